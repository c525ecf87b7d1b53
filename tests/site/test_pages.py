"""The code in the documentation and in the README runs."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from gost_core.common.net import Conn
from gost_core.listener import addr_option
from gost_core.testing import connected_pair
from gost_core.testing.common.net import ConnContract
from gost_core.testing.listener import ListenerContract
from proxy.listener.tcp import TCPListener
from proxy.metadata import MemoryMetadata
from proxy.registry import MemoryRegistry
from tests.kit._over_trio import open_pair
from tests.kit.chain._group import RightGroup
from tests.kit.common.net._dialer import RightDialer as RightNetDialer
from tests.kit.listener._datagrams import DatagramListener, send_nothing
from tests.kit.listener._datagrams import connect as connect_datagrams
from tests.kit.listener._local import RightListener, connect, greet, open_tcp
from tests.kit.protocols._quic_listener import QuicListener
from tests.kit.protocols._quic_trial import dial
from tests.kit.protocols._ssh import SshConnector, SshDialer
from tests.kit.protocols._ssh_trial import node as ssh_node
from tests.kit.protocols._websocket import WebSocketConn
from tests.kit.protocols._websocket_trial import node as websocket_node
from tests.kit.protocols._websocket_upgrade import WebSocketDialer, answer_upgrade
from tests.kit.resolver import RightResolver
from tutorial import checks

pytestmark = pytest.mark.one_python

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [
    path
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    if "```python\n" in path.read_text(encoding="utf-8")
]

PRINTED: Final = {
    "README.md": "0 broken",
    "docs/checking.md": "trio_bridge.TrioConn as common.net.Conn: 34 held, 0 broken",
    "docs/how-to.md": "typo",
    "docs/index.md": "0 broken",
    "docs/tutorial.md": "tutorial.connection.StreamConn as common.net.Conn: ",
}
"""What shows that the code of a page did what the page says."""


async def nothing(*_: object) -> None: ...


async def open_websocket_pair() -> tuple[Conn, Conn]:
    client, server = connected_pair()
    return WebSocketConn(client), WebSocketConn(server)


async def accept_websocket(conn: Conn) -> WebSocketConn:
    await answer_upgrade(conn)
    await conn.write(b"101\n")
    return WebSocketConn(conn)


def settings(**values: object) -> MemoryMetadata:
    return MemoryMetadata(values)


GIVEN: Final[dict[str, dict[str, object]]] = {
    "docs/checking.md": {
        "MyDatagramListener": DatagramListener,
        "MyGroup": RightGroup,
        "MyListener": RightListener,
        "MyQuicListener": QuicListener,
        "MyNetDialer": RightNetDialer,
        "MyRegistry": MemoryRegistry,
        "MySshConnector": SshConnector,
        "MyResolver": RightResolver,
        "MySshDialer": SshDialer,
        "MyWebSocketConn": WebSocketConn,
        "MyWebSocketDialer": WebSocketDialer,
        "accept_websocket": accept_websocket,
        "connect": connect,
        "connect_datagrams": connect_datagrams,
        "dial": dial,
        "greet": greet,
        "open_pair": open_pair,
        "open_tcp": open_tcp,
        "open_websocket_pair": open_websocket_pair,
        "play_ssh_node": ssh_node,
        "play_websocket_node": websocket_node,
        "send_nothing": send_nothing,
    },
    "docs/new-user.md": {
        "ConnContract": ConnContract,
        "ListenerContract": ListenerContract,
        "Settings": settings,
        "TcpListener": TCPListener,
        "addr_option": addr_option,
        "break_off": nothing,
        "connect": checks.connect,
        "fail": nothing,
        "pair": checks.pair,
    },
}
"""What the code of a page uses and leaves to its reader to write."""


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_code_of_a_page_runs(
    page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ModuleType("registry")
    monkeypatch.setattr(written, "MemoryRegistry", MemoryRegistry, raising=False)
    monkeypatch.setitem(sys.modules, written.__name__, written)
    document = Document.parse(str(page), PythonCodeBlockParser())
    document.namespace.update(GIVEN.get(page_name(page), {}), __name__="page")
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    assert examples
    assert PRINTED.get(page_name(page), "") in capsys.readouterr().out
