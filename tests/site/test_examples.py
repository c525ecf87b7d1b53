"""The examples in docstrings: the members that are used most have one, and each does what it says.

The list is of ``go-gost/x`` at 0132cef: how often its code calls each method of an interface. The
methods of Logger that write a line are counted as one.
"""

import ast
import asyncio
import logging
import re
from collections.abc import Awaitable, Iterator, Sequence
from importlib import import_module
from ipaddress import IPv4Address
from textwrap import dedent
from types import SimpleNamespace
from typing import Final

import pytest

from docs._made import package
from gost_core import dialer, observer
from gost_core.chain import Node, resolver_router_option
from gost_core.common.net import Conn, DeniedError
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.keys import CLIENT_ID
from gost_core.listener import AcceptError
from gost_core.metadata import Metadata
from gost_core.testing import MemoryMetadata, connected_pair
from gost_core.testing._run.attempt import Attempt, attempt
from gost_core.testing._stage.fakes.lookups import FakeResolver
from gost_core.testing._stage.fakes.recorder import FakeRecorder
from gost_core.testing._stage.fakes.service import FakeListener, FakeStats
from proxy.auth import UserTable
from proxy.bypass import PatternBypass
from proxy.chain.route import NodeRoute
from proxy.chain.router import RetryRouter
from proxy.chain.transporter import NodeTransporter
from proxy.connector.socks5 import SOCKS5Connector
from proxy.hop import NodeHop
from proxy.limiter.traffic import Bytes
from proxy.listener.tcp import TCPListener
from proxy.logger import StandardLogger

pytestmark = pytest.mark.one_python

CALLS: Final = {
    "logger.Logger.errorf": 1149,
    "logger.Logger.with_fields": 220,
    "observer.stats.Stats.add": 107,
    "observer.stats.Stats.get": 94,
    "logger.Logger.is_level_enabled": 84,
    "listener.Listener.close": 78,
    "metadata.Metadata.get": 74,
    "bypass.Bypass.contains": 36,
    "dialer.Dialer.dial": 32,
    "recorder.Recorder.record": 31,
    "listener.Listener.addr": 30,
    "listener.Listener.accept": 30,
    "chain.Router.options": 28,
    "chain.Transporter.options": 28,
    "limiter.traffic.Limiter.limit": 28,
    "limiter.traffic.Limiter.set": 28,
    "observer.Observer.observe": 22,
    "hop.Hop.select": 21,
    "auth.Authenticator.authenticate": 19,
    "metadata.Metadata.is_exists": 18,
    "limiter.traffic.Limiter.wait": 18,
}
"""A call is shared out among the interfaces with a method of its name that its file imports."""

LEADS_TO: Final = {
    "logger.Logger.errorf": "'dial 192.0.2.7:443: nobody listens' in logged",
    "logger.Logger.with_fields": "'connected service=socks client=192.0.2.7' in logged",
    "logger.Logger.is_level_enabled": "data == b'hello'",
    "observer.stats.Stats.add": "stats.get(Kind.INPUT_BYTES) == 5",
    "observer.stats.Stats.get": "stats.get(Kind.OUTPUT_BYTES) == 8",
    "listener.Listener.close": "listener.closed and conn.closed",
    "metadata.Metadata.get": "limit == 3",
    "bypass.Bypass.contains": "target",
    "dialer.Dialer.dial": "conn.closed",
    "recorder.Recorder.record": "recorder.records == [b'192.0.2.7']",
    "listener.Listener.addr": "host == '127.0.0.1'",
    "listener.Listener.accept": "listener.closed and conn.closed and slept == [1]",
    "chain.Router.options": "[str(one) for one in addresses] == ['192.0.2.80']",
    "chain.Transporter.options": "conn and transport.options().route is None",
    "limiter.traffic.Limiter.limit": "'at most 1000 bytes a second' in logged",
    "limiter.traffic.Limiter.set": "limiter.limit() == 0",
    "observer.Observer.observe": "observer.kept[0].state == 'ready' and not unsent",
    "hop.Hop.select": "'by way of first' in logged",
    "auth.Authenticator.authenticate": "ctx.value(CLIENT_ID) == 'alice'",
    "metadata.Metadata.is_exists": "metadata.is_exists('INTERFACE')",
    "limiter.traffic.Limiter.wait": "data == b'' and granted == 5",
}
"""What holds once an example has run."""

EXAMPLE: Final = re.compile(r"^Example::\n\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)


def examples() -> Iterator[tuple[str, str]]:
    """Return the example of each method that has one, by the full name within the package."""
    for module_name in package.contract_names():
        for cls in package.public_classes(module_name):
            for method in package.methods(package.class_definition(cls)):
                if found := EXAMPLE.search(f"{ast.get_docstring(method)}\n"):
                    short = module_name.removeprefix(f"{package.NAME}.")
                    yield f"{short}.{cls.__name__}.{method.name}", dedent(found[1])


EXAMPLES: Final = dict(examples())
NOBODY: Final = "192.0.2.7:443"


class PairDialer(dialer.Dialer):
    """Dials within this process."""

    async def init(self, metadata: Metadata | None, /) -> None: ...

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> Conn:
        if addr == NOBODY:
            raise ConnectionRefusedError("nobody listens")
        return connected_pair(server=addr)[0]


class KeepingObserver(observer.Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[observer.Event] = []

    async def observe(
        self, ctx: Context, events: Sequence[observer.Event], /, *opts: observer.Option
    ) -> None:
        self.kept += events


async def given() -> dict[str, object]:
    """Return what an example may use, by the names that it uses."""
    conn, other = connected_pair()
    await other.write(b"hello")
    connections = PairDialer()
    listener = FakeListener()
    listener.push(connected_pair()[1])
    recorder = FakeRecorder()
    transport = NodeTransporter(connections, SOCKS5Connector())
    known = FakeResolver({"example.net": [IPv4Address("192.0.2.80")]})

    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def serve(conn: Conn) -> None:
        await conn.close()
        if slept:
            await listener.close()
        else:
            listener.push(AcceptError(OSError("too many open files")), connected_pair()[1])

    return {
        "CLIENT_ID": CLIENT_ID,
        "DeniedError": DeniedError,
        "addr": NOBODY,
        "asyncio": SimpleNamespace(sleep=sleep),
        "authenticator": UserTable(Userinfo("alice", "secret")),
        "bypass": PatternBypass("10.0.0.0/8"),
        "conn": conn,
        "ctx": Context(),
        "data": b"hello",
        "dialer": connections,
        "hop": NodeHop(Node("first", "192.0.2.7:1080")),
        "limiter": Bytes(1000),
        "listener": listener,
        "logger": StandardLogger(logging.getLogger("example")),
        "make_listener": TCPListener,
        "metadata": MemoryMetadata(maxfails=3),
        "other": other,
        "observer": KeepingObserver(),
        "password": "secret",
        "recorder": recorder,
        "request": b"hello",
        "route": NodeRoute(),
        "router": RetryRouter(resolver_router_option(known)),
        "serve": serve,
        "slept": slept,
        "stats": FakeStats(),
        "transport": transport,
        "unsent": [],
        "user": "alice",
    }


async def run(code: str, names: dict[str, object]) -> None:
    """Run code that may await, as one writes it within a function."""
    compiled = compile(code, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if isinstance(result := eval(compiled, names), Awaitable):
        await result


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, caplog: pytest.LogCaptureFixture) -> None:
    names = dict(vars(import_module(f"{package.NAME}.{name.rsplit('.', 2)[0]}")))

    async def scenario() -> None:
        names.update(await given())
        await asyncio.wait_for(run(EXAMPLES[name], names), 60)
        if isinstance(made := names["listener"], TCPListener):
            await made.close()

    caplog.set_level(logging.INFO, "example")
    # What plays the rest of the world belongs into a clause.
    assert asyncio.run(attempt(scenario, Attempt("an example", 60.0))) is None
    assert eval(LEADS_TO[name], names | {"logged": caplog.text}), LEADS_TO[name]


def test_the_members_that_are_used_most_have_an_example() -> None:
    assert set(CALLS) - set(EXAMPLES) == set()


def test_an_example_is_short_enough_for_an_editor() -> None:
    assert {name: code for name, code in EXAMPLES.items() if not 3 <= code.count("\n") <= 10} == {}
