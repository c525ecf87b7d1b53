"""What real protocols need of the contracts: the fields that the page on checking names."""

import re
import socket
from pathlib import Path
from typing import ClassVar, Final

import pytest

from gost_core.testing._run.declaring import fields_of
from tests.kit import TRIALS, virtual_time
from tests.kit.listener import _datagrams
from tests.kit.listener._datagrams import DatagramListener, Peer

PAGE: Final = Path(__file__).parents[2] / "docs" / "checking.md"


@pytest.mark.one_python
def test_every_field_that_the_page_names_is_one_of_a_contract() -> None:
    _, _, table = PAGE.read_text("utf-8").partition("| Field | Where | What it tells |\n")
    rows = table.partition("\n\n")[0].splitlines()[1:]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row.split("|")[1])}
    assert len(named) > 10
    assert named <= {one.name for trial in TRIALS for one in fields_of(trial.contract)}


# ---- A listener of datagrams


class ClosingTheSocket(DatagramListener):
    """Takes the socket from the connections that it has accepted."""

    def end(self) -> None:
        super().end()
        for peer in tuple(self.peers.values()):
            self.leave(peer)


class KeepingTheSocket(DatagramListener):
    """Waits for a connection that has gone."""

    kept: ClassVar[list[socket.socket]] = []

    def bind(self) -> None:
        super().bind()
        self.kept.append(self.beneath)

    def leave(self, peer: Peer | None = None) -> None:
        if peer is None:
            super().leave()


@pytest.mark.needs("sockets")
@pytest.mark.parametrize("addr", ["127.0.0.1:0", "0.0.0.0:0"])
def test_a_listener_of_datagrams_keeps_its_contract_at_one_address_and_at_all(addr: str) -> None:
    report = virtual_time.judge(
        lambda: _datagrams.run(addr).run(), lambda report: len(report.held) == len(report.results)
    )
    assert len(report.held) == len(report.results), str(report)


@pytest.mark.needs("sockets")
@pytest.mark.one_python
@pytest.mark.parametrize(
    ("fault", "clause"),
    [
        (ClosingTheSocket, "listener.Listener.accepted-survive"),
        (KeepingTheSocket, "listener.Listener.address-freed"),
    ],
)
def test_a_fault_of_a_listener_of_datagrams_is_caught(
    fault: type[DatagramListener], clause: str
) -> None:
    report = virtual_time.run(_datagrams.run("0.0.0.0:0", fault).run(only=[clause]))
    while KeepingTheSocket.kept:
        KeepingTheSocket.kept.pop().close()
    assert clause in [one.clause.id for one in report.broken], str(report)
