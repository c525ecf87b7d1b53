"""The contracts elsewhere than on asyncio's own event loop: over trio, and on uvloop."""

import asyncio
import socket
import struct
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import pytest
import trio

from gost_core import listener
from gost_core.common import net
from gost_core.common.net import Addr, Conn
from gost_core.listener import Listener, addr_option
from gost_core.testing import Contract, ForwardingConn, Outcome, Report, Result, verify
from gost_core.testing.common.net import ConnContract, HalfCloserContract, ListenerContract
from gost_core.testing.listener import ListenerContract as ServingContract
from tests.kit import TRIALS
from tests.kit._over_trio import StreamConn, StreamListener
from trio_bridge import TrioConn, TrioListener, call, trio_inside

pytestmark = pytest.mark.one_python

PATIENT = 20.0
"""Seconds. The limits of the trials are short for the sake of faults that hang; here is none."""


def test_without_asyncio_a_contract_says_what_it_needs() -> None:
    async def pair() -> tuple[Conn, Conn]:
        raise AssertionError

    with pytest.raises(RuntimeError, match="needs a running asyncio event loop: await run"):
        trio.run(ConnContract(pair).run)


# ---- What is written for trio


class Unable(ForwardingConn):
    """Cannot end its stream alone. It brings its peer."""

    def __init__(self, inner: Conn, peer: Conn) -> None:
        super().__init__(inner)
        self.peer = peer

    async def close(self) -> None:
        await self.peer.close()
        await super().close()


Made = Callable[[trio.Nursery], Contract]
MakeConn = Callable[[trio.SocketStream], Conn]
MakeListener = Callable[..., Listener]


class Makers:
    """Makes what is written for trio, and shows it to asyncio."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        conn: MakeConn = StreamConn,
        make: MakeListener = StreamListener,
    ) -> None:
        self.nursery = nursery
        self.conn = conn
        self.make = make

    async def connect(self, addr: Addr) -> Conn:
        host, _, port = str(addr).rpartition(":")
        stream = await call(self.nursery, trio.open_tcp_stream, host, int(port))
        return TrioConn(self.nursery, self.conn(stream))

    async def pair(self) -> tuple[Conn, Conn]:
        bound = await self.bind()
        here = await self.connect(bound.addr())
        there = await bound.accept()
        await bound.close()
        return here, there

    async def unable(self) -> Conn:
        here, there = await self.pair()
        assert isinstance(here, TrioConn)
        assert isinstance(there, TrioConn)
        return TrioConn(self.nursery, Unable(here.inner, there.inner))

    def unbound(self, *opts: listener.Option) -> Listener:
        return TrioListener(self.nursery, self.make(addr_option("127.0.0.1:0"), *opts))

    async def bind(self, *opts: listener.Option) -> Listener:
        bound = self.unbound(*opts)
        await bound.init(None)
        return bound

    async def break_off(self, conn: Conn) -> None:
        assert isinstance(conn, TrioConn)
        assert isinstance(conn.inner, StreamConn)
        linger = struct.pack("ii", 1, 0)
        conn.inner.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await call(self.nursery, conn.inner.stream.aclose)


def conn_contract(nursery: trio.Nursery, conn: MakeConn = StreamConn) -> Contract:
    makers = Makers(nursery, conn=conn)
    return ConnContract(makers.pair, break_off=makers.break_off)


def half_closer_contract(nursery: trio.Nursery, conn: MakeConn = StreamConn) -> Contract:
    makers = Makers(nursery, conn=conn)
    return HalfCloserContract(makers.pair, make_unable=makers.unable)


def listener_contract(nursery: trio.Nursery, make: MakeListener = StreamListener) -> Contract:
    makers = Makers(nursery, make=make)
    return ListenerContract(
        makers.bind,
        makers.connect,
        make_at=lambda addr: makers.bind(addr_option(str(addr))),
    )


def serving_contract(nursery: trio.Nursery) -> Contract:
    makers = Makers(nursery)
    return ServingContract(makers.unbound, makers.connect)


def tried(contract: Made, *, only: Collection[str] = ()) -> Report:
    async def main() -> Report:
        async with trio_inside() as nursery:
            return await contract(nursery).run(only=only)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("contract", "held"),
    [
        (conn_contract, 33),
        (half_closer_contract, 8),
        (listener_contract, 13),
        (serving_contract, 25),
    ],
)
def test_what_is_written_for_trio_keeps_the_contract(contract: Made, held: int) -> None:
    report = tried(contract)
    assert not report.broken, str(report)
    assert len(report.held) >= held, str(report)


def test_the_shape_of_what_is_written_for_trio_needs_no_loop() -> None:
    verify(StreamListener(addr_option("127.0.0.1:0")), Listener)


# ---- What is wrong there


class Quiet(StreamConn):
    """Takes its own close for the end of the peer's stream."""

    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except net.ClosedError:
            return b""


class Swallowing(StreamConn):
    """Makes an answer of a cancellation."""

    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except trio.Cancelled:
            return b""


class Dropping(StreamConn):
    """Waits between taking the bytes and returning them, longer than others have the processor."""

    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        await trio.sleep(0.2)
        return data


class Ending(StreamConn):
    """Ends both ways where it should end one."""

    async def close_write(self) -> None:
        await super().close_write()
        self.stream.socket.shutdown(socket.SHUT_RD)


class Grasping(StreamListener):
    """Closes what it has given away."""

    def __init__(self, *opts: listener.Option) -> None:
        super().__init__(*opts)
        self.accepted: list[Conn] = []

    async def accept(self) -> Conn:
        self.accepted.append(await super().accept())
        return self.accepted[-1]

    async def close(self) -> None:
        await super().close()
        for conn in self.accepted:
            await conn.close()


@pytest.mark.parametrize(
    ("contract", "clause"),
    [
        (partial(conn_contract, conn=Quiet), "Conn.close-wakes-read"),
        (partial(conn_contract, conn=Swallowing), "Conn.read-cancellable"),
        (partial(conn_contract, conn=Dropping), "Conn.cancelled-read-loses-nothing"),
        (partial(half_closer_contract, conn=Ending), "HalfCloser.reading-goes-on"),
        (partial(listener_contract, make=Grasping), "Listener.accepted-survive"),
    ],
)
def test_what_is_wrong_in_it_is_found(contract: Made, clause: str) -> None:
    report = tried(contract, only=[f"common.net.{clause}"])
    assert [result.clause.id for result in report.broken] == [f"common.net.{clause}"], str(report)


# ---- The bridge


def test_a_call_returns_and_raises_what_is_returned_and_raised_in_trio() -> None:
    async def add(first: int, second: int) -> int:
        await trio.lowlevel.checkpoint()
        return first + second

    async def fail() -> None:
        raise ConnectionResetError("the peer is gone")

    async def main() -> None:
        async with trio_inside() as nursery:
            assert await call(nursery, add, 1, 2) == 3
            with pytest.raises(ConnectionResetError, match="the peer is gone"):
                await call(nursery, fail)

    asyncio.run(main())


def test_a_cancelled_call_ends_when_trio_has_cleaned_up() -> None:
    done: list[str] = []

    async def wait() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
            done.append("cleaned up")

    async def main() -> None:
        async with trio_inside() as nursery:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(nursery, wait), 0.01)
            assert done == ["cleaned up"]
            # The next call works.
            await call(nursery, trio.lowlevel.checkpoint)

    asyncio.run(main())


def test_what_was_done_before_the_cancellation_came_is_not_lost() -> None:
    async def take() -> bytes:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.01)
        return b"taken"

    async def main() -> bytes:
        async with trio_inside() as nursery:
            taking = asyncio.create_task(call(nursery, take))
            await asyncio.sleep(0)
            taking.cancel()
            return await taking

    assert asyncio.run(main()) == b"taken"


def test_a_call_that_gives_nothing_ends_as_cancelled_though_it_was_done_before() -> None:
    async def main() -> None:
        async with trio_inside() as nursery:
            calling = asyncio.create_task(call(nursery, trio.lowlevel.cancel_shielded_checkpoint))
            await asyncio.sleep(0)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling

    asyncio.run(main())


def test_the_end_of_trio_ends_the_calls_that_wait_there() -> None:
    async def main() -> None:
        async with trio_inside() as nursery:
            waiting = asyncio.create_task(call(nursery, trio.sleep_forever))
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())


# ---- uvloop


@pytest.mark.skipif(not find_spec("uvloop"), reason="uvloop is not offered for this platform")
def test_right_implementations_keep_every_clause_on_uvloop() -> None:
    uvloop = import_module("uvloop")
    alarms: list[Result] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for trial in TRIALS:
            contract = replace(trial.over(trial.right), time_limit=PATIENT)
            report = runner.run(contract.run())
            alarms += [one for one in report.results if one.outcome is not Outcome.HELD]
    assert not alarms
