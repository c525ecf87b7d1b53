"""Faults that once hung a contract, or hid behind "not tried", and what the report says of them."""

import asyncio
import logging
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import pytest
from typing_extensions import Buffer

from gost_core import logger
from gost_core.bypass import Bypass
from gost_core.bypass import Option as BypassOption
from gost_core.common.net import Addr, Conn, Listener, ProtocolError
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.dialer import Dialer, DialOptions
from gost_core.testing import Address, ForwardingConn, MemoryListener, Outcome, Report
from gost_core.testing._run import watchdog
from gost_core.testing._stage.network import Peer
from gost_core.testing.bypass import BypassContract
from gost_core.testing.chain import RouterContract
from gost_core.testing.common.net import ConnContract, ListenerContract
from gost_core.testing.dialer import DialerContract
from gost_core.testing.handler import HandlerContract
from tests.kit import TRIALS, handler, virtual_time
from tests.kit.common.net._closer import RightComponent, run_closer
from tests.kit.common.net._listener import RightListener, run_listener
from tests.kit.common.net._sockets import SocketConn, sockets
from tests.kit.dialer._dialer import RightDialer, pass_limit
from tests.kit.dialer._protocol import (
    PASSWORD,
    Session,
    malformed_node,
    node,
    refusing_node,
)

pytestmark = pytest.mark.needs("threads")


def broken(report: Report) -> dict[str, str]:
    """Return what was observed of the broken clauses, by the last parts of their ids."""
    return {result.clause.id.rpartition(".")[2]: result.detail for result in report.broken}


def expect_no_excuse(report: Report) -> None:
    """Expect nothing untried but what needs what is broken."""
    assert {result.outcome for result in report.results} >= {Outcome.BROKEN}
    for result in report.not_tried:
        assert result.detail.startswith("it needs "), str(report)


def dialing(
    make: Callable[[], Dialer], secret: str, over: Callable[[Peer], Peer] = lambda peer: peer
) -> DialerContract:
    right, refusing, garbling = map(over, (node, refusing_node, malformed_node))
    return DialerContract(
        make,
        peer=right,
        bad_setting=("timeout", "soon"),
        refusing=refusing,
        garbling=garbling,
        secret=secret,
        pass_limit=pass_limit,
        time_limit=1.5,
    )


# ---- A1: a loop of the kit that never ends


class AcceptingNobody(RightListener):
    async def accept(self) -> Conn:
        if self.closed:
            return None  # type: ignore  # the fault
        return await super().accept()


class AcceptingNobodyAtOnce(RightListener):
    async def accept(self) -> Conn:
        return None  # type: ignore  # the fault


@pytest.mark.parametrize("fault", [AcceptingNobody, AcceptingNobodyAtOnce])
def test_a1_a_listener_that_accepts_none_is_broken(fault: type[RightListener]) -> None:
    report = virtual_time.run(run_listener(fault).run())
    found = broken(report)
    if fault is AcceptingNobody:
        assert found["accept-after-close"] == (
            "accept() after close() raised nothing instead of ClosedError"
        )
    else:
        assert found["accepts"] == "accept() returned None"
    expect_no_excuse(report)


# ---- A2: a listener that is not there


def test_a2_a_listener_that_listens_nowhere_is_broken() -> None:
    async def make() -> Listener:
        return MemoryListener(Address("tcp", "192.0.2.1:80"))

    async def connect(addr: Addr) -> Conn:
        raise ConnectionRefusedError(f"nobody listens at {addr}")

    contract = ListenerContract(make, connect, make_at=lambda _: make(), time_limit=1.0)
    report = virtual_time.run(contract.run())
    assert broken(report)["accepts"].startswith(
        "connecting a client raised ConnectionRefusedError: nobody listens at 192.0.2.1:80, at"
    )
    expect_no_excuse(report)


class DyingWithItsMaker(RightListener):
    def __init__(self, addr: str = "") -> None:
        super().__init__(addr)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: self.free())


def test_a2_a_listener_that_dies_with_the_task_that_made_it_is_broken() -> None:
    report = virtual_time.judge(
        lambda: run_listener(DyingWithItsMaker).run(),
        lambda report: [*broken(report)] == ["outlives-its-caller"],
    )
    assert [*broken(report)] == ["outlives-its-caller"]
    assert "connecting a client raised" in broken(report)["outlives-its-caller"]


def test_a_hook_that_raises_is_named() -> None:
    async def break_off(conn: Conn) -> None:
        raise RuntimeError("no such switch")

    async def pair() -> tuple[Conn, Conn]:
        here, there = sockets(socket.SOCK_STREAM)
        return SocketConn(here), SocketConn(there)

    contract = ConnContract(pair, break_off=break_off, time_limit=1.0)
    report = virtual_time.run(contract.run())
    assert broken(report)["broken-off"].startswith(
        "`break_off` raised RuntimeError: no such switch"
    )
    assert f"{Path(__file__).name}:" in broken(report)["broken-off"]


async def login(conn: Conn, address: str, user: str, password: str) -> Conn:
    raise RuntimeError("this hook is wrong")


def test_a_login_that_raises_is_named() -> None:
    contract = HandlerContract(handler.RightHandler, login=login, time_limit=0.5)
    clauses = [f"handler.Handler.{one}" for one in ("auther-decides", "client-id")]
    report = virtual_time.run(contract.run(only=clauses))
    assert [*broken(report)], str(report)
    for observed in broken(report).values():
        assert "raised RuntimeError: this hook is wrong" in observed


class FailingInside(RightComponent):
    calling = False

    async def close(self) -> None:
        if self.held and self.calling:
            raise OSError("not now")
        await super().close()

    async def call(self, back: Callable[[], Awaitable[None]]) -> None:
        self.calling = True
        await super().call(back)


def test_what_close_raises_from_inside_is_named() -> None:
    report = virtual_time.run(run_closer(FailingInside).run(only=["common.net.Closer.from-inside"]))
    assert broken(report)["from-inside"].startswith(
        "close() from inside a call raised OSError: not now"
    )


# ---- A3: an implementation that keeps the event loop


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK", 0.05)


class Done:
    """Can be awaited, and never suspends."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class Fast(Bypass):
    """A bypass whose answers are right, if only they come."""

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: BypassOption) -> bool:
        await self.block()
        return False

    async def block(self) -> None: ...

    def is_whitelist(self) -> bool:
        return False


class Spinning(Fast):
    async def block(self) -> None:
        while True:
            await Done()


class Sleeping(Fast):
    async def block(self) -> None:
        time.sleep(3600)  # noqa: ASYNC251 the fault


class Deadlocked(Fast):
    async def block(self) -> None:
        lock = threading.Lock()
        while True:
            lock.acquire()


class SpinningBeside(Fast):
    """Its answer comes, but for a task that lets nobody go on and catches every Exception."""

    async def block(self) -> None:
        self.task = asyncio.create_task(self.spin())
        await asyncio.sleep(0)

    async def spin(self) -> None:
        while True:
            try:
                await Done()
            except Exception:
                continue


@pytest.mark.skipif(sys.platform == "win32", reason="no signal interrupts what waits in C there")
@pytest.mark.parametrize("fault", [Spinning, Sleeping, Deadlocked, SpinningBeside])
def test_a3_what_blocks_the_event_loop_is_ended_and_named(
    fault: type[Bypass], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watchdog, "LOOK", 0.05)
    contract = BypassContract(fault, passed="192.0.2.1:80", time_limit=0.2)
    report = asyncio.run(contract.run(only=["bypass.Bypass.answer"]))
    [(name, observed)] = broken(report).items()
    assert name == "answer"
    assert observed.startswith("blocked the event loop for 0.2 s, at ")
    assert f"{Path(__file__).name}:" in observed
    assert f"bypass.Bypass.answer {observed}" in capsys.readouterr().err


def test_a3_a_loop_in_another_thread_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK", 0.05)
    contract = BypassContract(Spinning, passed="192.0.2.1:80", time_limit=0.2)
    reports: list[Report] = []

    def run() -> None:
        reports.append(asyncio.run(contract.run(only=["bypass.Bypass.answer"])))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert broken(reports[0])["answer"].startswith("blocked the event loop for 0.2 s, at ")


class Computing(Fast):
    async def block(self) -> None:
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            pass


@pytest.mark.parametrize("slowness", [1.0, 1000.0])
def test_a_busy_machine_takes_longer(slowness: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK", 0.01)
    monkeypatch.setattr(watchdog, "slowness", lambda: slowness)
    contract = BypassContract(Computing, passed="192.0.2.1:80", time_limit=0.1)
    report = asyncio.run(contract.run(only=["bypass.Bypass.answer"]))
    assert ("blocked" in str(report)) is (slowness == 1.0)


class Debugged(Fast):
    async def block(self) -> None:
        # As pdb does while somebody thinks: a frame of its own waits.
        exec("wait(0.5)", {"__name__": "bdb", "wait": time.sleep})


def test_a_debugger_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK", 0.05)
    contract = BypassContract(Debugged, passed="192.0.2.1:80", time_limit=0.2)
    report = asyncio.run(contract.run(only=["bypass.Bypass.shape", "bypass.Bypass.answer"]))
    assert "blocked" not in str(report)


class Deaf(Fast):
    """Leaves a task that nothing ends."""

    async def block(self) -> None:
        self.task = asyncio.create_task(self.stay())

    async def stay(self) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue


def test_a3_a_task_that_is_deaf_to_cancelling_does_not_keep_the_run_from_ending() -> None:
    contract = BypassContract(Deaf, passed="192.0.2.1:80", time_limit=0.1)
    report = virtual_time.run(contract.run(only=["bypass.Bypass.answer"]))
    assert not broken(report)


# ---- A4: a secret that is logged or printed, or short


class Telling(RightDialer):
    """Tells its password when the node refuses."""

    password = PASSWORD

    async def log_in(self, conn: Conn) -> None:
        try:
            await super().log_in(conn)
        except (PermissionError, ProtocolError):
            self.tell()
            raise

    def tell(self) -> None: ...


class Logging(Telling):
    def tell(self) -> None:
        quiet = logging.getLogger("tests.kit.quiet")
        quiet.propagate = False
        quiet.debug("logging in with %s", self.password)


class LoggingOfGost(Telling):
    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.logger = logger.default().with_fields({"kind": "dialer"})

    def tell(self) -> None:
        self.logger.debugf("logging in with %s", self.password)


class Printing(Telling):
    def tell(self) -> None:
        print("logging in with", self.password)


class PrintingErrors(Telling):
    def tell(self) -> None:
        print("logging in with", self.password, file=sys.stderr)


class Chaining(Telling):
    def tell(self) -> None:
        raise ProtocolError("the login") from ExceptionGroup("", [OSError(self.password)])


class Noting(Telling):
    """Tells it in a note of what is behind an error that has another cause."""

    def tell(self) -> None:
        try:
            error = OSError("what came first")
            error.add_note(f"the password was {self.password}")
            raise error
        except OSError:
            raise ProtocolError("the login") from ValueError("a cause")


@pytest.mark.parametrize("password", [PASSWORD, "pw"])
@pytest.mark.parametrize(
    "fault", [Logging, LoggingOfGost, Printing, PrintingErrors, Chaining, Noting]
)
def test_a4_a_secret_that_is_told_anywhere_is_found(fault: type[Telling], password: str) -> None:
    def make() -> Telling:
        dialer = fault()
        dialer.password = password
        return dialer

    report = virtual_time.run(dialing(make, password).run(only=["dialer.Dialer.secret-hidden"]))
    where = "the error of dial()" if fault in (Chaining, Noting) else "what was logged or printed"
    assert broken(report) == {"secret-hidden": f"{where} tells a secret"}


def test_a4_a_short_secret_is_no_part_of_another_word() -> None:
    # The user is alice.
    contract = dialing(RightDialer, "al")
    report = virtual_time.run(contract.run(only=["dialer.Dialer.secret-hidden"]))
    assert len(report.held) == len(report.results)


# ---- A5: a busy machine


def test_a5_a_right_router_is_right_on_a_busy_machine() -> None:
    [trial] = (trial for trial in TRIALS if trial.contract is RouterContract)
    contract = trial.over(trial.right)
    # A clock that goes eight times as fast as the machine.
    only = ["chain.Router.retries-at-once", "chain.Router.resolver-failure"]
    report = virtual_time.run(contract.run(only=only), 1 / 8)
    assert not report.broken, str(report)


# ---- A6: datagrams


class Lines(ForwardingConn):
    """Makes a stream of datagrams, none of which is lost in here."""

    rest = b""

    async def read(self, n: int, /) -> bytes:
        data = self.rest or await super().read(65535)
        self.rest = data[n:]
        return data[:n]

    async def write(self, data: Buffer, /) -> None:
        whole = bytes(data)
        for start in range(0, len(whole), 32768):
            await super().write(whole[start : start + 32768])


class DatagramDialer(RightDialer):
    async def beneath(self, ctx: Context, addr: str, options: DialOptions) -> Conn:
        if options.dialer is not None:
            return Lines(await options.dialer.dial(ctx, "udp", addr))
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.setblocking(False)
        host, _, port = addr.rpartition(":")
        own.connect((host, int(port)))
        return Lines(SocketConn(own))


class KeepingTheFailed(DatagramDialer):
    """Hands out a session that has failed."""

    def usable(self, session: Session) -> bool:
        return True

    async def open(self, ctx: Context, addr: str, options: DialOptions) -> Session:
        conn = await self.beneath(ctx, addr, options)
        try:
            await self.log_in(conn)
        except OSError:
            self.sessions[addr] = Session(conn)
            await self.sessions[addr].close()
            raise
        except asyncio.CancelledError:
            await conn.close()
            raise
        return Session(conn)


class LeavingTheFailed(DatagramDialer):
    """Leaves a socket and a task behind."""

    async def abandon(self, conn: Conn, error: BaseException) -> None:
        if isinstance(error, OSError):
            self.left = Session(conn)
        else:
            await super().abandon(conn, error)


def over_datagrams(peer: Peer) -> Peer:
    async def play(conn: Conn) -> object:
        return await peer(Lines(conn))

    return play


@pytest.mark.parametrize(
    ("fault", "clauses"),
    [
        (DatagramDialer, ""),
        (KeepingTheFailed, "refused malformed node-comes-back"),
        (LeavingTheFailed, "failure-frees"),
    ],
)
def test_a6_a_dialer_of_datagrams_is_tried_as_fully(
    fault: type[DatagramDialer], clauses: str
) -> None:
    expected = clauses.split()
    report = virtual_time.judge(
        lambda: dialing(fault, PASSWORD, over_datagrams).run(),
        lambda report: [*broken(report)] == expected,
    )
    assert [*broken(report)] == expected, str(report)
    assert not report.not_tried, str(report)


# ---- A7: progress


class Boundless(SocketConn):
    """Takes all that is written, slowly, and passes on what is little."""

    async def write(self, data: Buffer, /) -> None:
        await asyncio.sleep(0.2)
        if memoryview(data).nbytes < 1024:
            await super().write(data)


def test_a7_a_slow_write_is_none_that_waits() -> None:
    async def pair() -> tuple[Conn, Conn]:
        here, there = sockets(socket.SOCK_STREAM)
        return Boundless(here), SocketConn(there)

    contract = ConnContract(pair, time_limit=1.0)
    report = virtual_time.run(contract.run(only=["common.net.Conn.write-waits"]))
    assert broken(report)["write-waits"].startswith(
        "write() went on, with a peer that read nothing"
    )
