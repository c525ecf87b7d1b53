"""The contracts of connections, of what they can do besides, and of whoever opens them."""

import asyncio
import functools
import os
import random
import shutil
import socket
import tempfile
from array import array
from collections.abc import Awaitable, Callable, Iterator
from itertools import groupby
from typing import Final, Generic, TypeAlias, TypeVar, cast

from typing_extensions import Buffer

from gost_core import keys
from gost_core.common.net import (
    Addr,
    ClosedError,
    Closer,
    Conn,
    ConnUnwrapper,
    ContextCarrier,
    Dialer,
    HalfCloser,
    Listener,
    PacketConn,
    UnsupportedError,
    find_capability,
)
from gost_core.context import Context, Key
from gost_core.metadata import Metadatable
from gost_core.testing._contract import (
    Broken,
    Contract,
    NotTried,
    checks,
    clause,
    describe,
    expect,
    run,
)
from gost_core.testing._doubles import Address, MemoryConn, connected_pair
from gost_core.testing._fakes import FakeMetadata
from gost_core.testing._report import Report

__all__ = (
    "check_common_net_closer",
    "check_common_net_conn",
    "check_common_net_conn_unwrapper",
    "check_common_net_context_carrier",
    "check_common_net_dialer",
    "check_common_net_half_closer",
    "check_common_net_listener",
    "check_common_net_packet_conn",
)

R = TypeVar("R")
CloserT = TypeVar("CloserT", bound=Closer)

MakePair: TypeAlias = Callable[[], Awaitable[tuple[Conn, Conn]]]
MakeTrio: TypeAlias = Callable[[], Awaitable[tuple[Conn, Conn, Conn]]]

_TRANSFER: Final[int] = 300_000
_CHUNK: Final[int] = 1 << 20
# More than the buffers of a connection may hold, all of them together.
_FLOOD: Final[int] = 64
_ALL: Final[int] = 65535
_ROUNDS: Final[int] = 60
# After how many turns of the event loop a call is cancelled: before, while and after it is done.
_TURNS: Final[int] = 12
_MANY_TURNS: Final[int] = 10_000


async def turns(count: int) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(contract: Contract, condition: Callable[[], bool], what: str) -> None:
    """Break the clause unless something becomes so."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110 what is on trial announces nothing
            await asyncio.sleep(0.001)

    await contract.within(look(), what)


def returned(value: R | None, what: str) -> R:
    """Break the clause if a call returned None, whatever its annotation says."""
    if value is None:
        raise Broken(f"{what} returned None")
    return value


def as_object(value: object) -> object:
    """Return the value as something of which the annotation says nothing."""
    return value


def failure_of(future: "asyncio.Future[R]") -> BaseException | None:
    """Return what a call that has ended raised."""
    return asyncio.CancelledError() if future.cancelled() else future.exception()


def outcome_of(future: "asyncio.Future[R]") -> str:
    """Say how a call ended, for a report."""
    if not future.done():
        return "still waited"
    if future.cancelled():
        return "was cancelled"
    if error := future.exception():
        return f"raised {describe(error)}"
    return f"returned {future.result()!r:.50}"


class Wires(Contract, interface=Conn):
    """What scenarios with connections have in common."""

    async def by_living_task(self, awaitable: Awaitable[R], what: str) -> R:
        """Await in a task that goes on afterwards.

        What may not depend on the end of the task that made it (D4) is on trial in one clause, and
        must not break all the others.
        """
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            try:
                value = await awaitable
            except Exception as error:
                if not result.done():
                    result.set_exception(error)
            else:
                if not result.done():
                    result.set_result(value)
            await asyncio.Event().wait()

        living = start(live())

        async def end() -> None:
            living.cancel()

        keep(end)
        return await within(result, what)

    async def write(self, conn: Conn, data: Buffer) -> None:
        """Write, within the time limit."""
        await within(conn.write(data), f"write() of {memoryview(data).nbytes} bytes")

    async def read(self, conn: Conn, n: int = _ALL) -> bytes:
        """Read, within the time limit."""
        return await within(conn.read(n), f"read({n})")

    async def read_exactly(self, conn: Conn, count: int, n: int = _ALL) -> bytes:
        """Read ``count`` bytes, or up to the end."""
        data = bytearray()
        while len(data) < count:
            if not (piece := await read(conn, n)):
                break
            data += piece
        return bytes(data)

    async def carry(self, source: Conn, sink: Conn, data: bytes) -> None:
        """Break the clause unless ``data`` gets from one end to the other."""
        await write(source, data)
        received = await read_exactly(sink, len(data))
        expect(received == data, f"{data!r:.60} was written, {received!r:.60} was read")

    async def end_of(self, conn: Conn) -> None:
        """Wait until a connection has ended, by whatever means."""
        try:
            while await conn.read(_ALL):
                pass
        except OSError:
            return

    async def flood(self, conn: Conn) -> "asyncio.Future[int]":
        """Write to a peer that reads nothing until no more is taken.

        Returns:
            The writes that go on; if everything was taken, how much that was.
        """
        taken = 0
        chunk = bytes(_CHUNK)

        async def write() -> int:
            nonlocal taken
            while taken < _FLOOD * _CHUNK:
                await conn.write(chunk)
                taken += _CHUNK
            return taken

        writing = start(write())
        before = -1
        while not writing.done() and before < taken:
            before = taken
            await settle()
        return writing

    async def connect(self, make: MakePair) -> tuple[Conn, Conn]:
        """Have a factory make a pair, and keep it."""
        here, there = await given(by_task_that_goes_on(make(), "connecting"), "connecting")
        keep(there.close)
        keep(here.close)
        return here, there

    async def race_with_cancels(
        self, accept: Callable[[], Awaitable[Conn]], connect: Callable[[], Awaitable[Conn]]
    ) -> None:
        """Connect clients beside cancelled accepts; break the clause if one is lost."""
        clients: list[Conn] = []

        async def echo(conn: Conn) -> None:
            keep(conn.close)
            while data := await conn.read(1):
                await conn.write(data)

        async def connect_and_cancel(after: int) -> int:
            """Cancel after some turns of the event loop; return how many accept() took, if less."""
            accepting = start(accept())
            await turns(1)
            connecting = start(connect())
            taken = 0
            while taken < after and not accepting.done():
                await asyncio.sleep(0)
                taken += 1
            accepting.cancel()
            clients.append(await connecting)
            await ended(accepting)
            if not accepting.cancelled():
                start(echo(await within(accepting, "a cancelled accept()")))
            return taken

        taken = await connect_and_cancel(_MANY_TURNS)
        for number in range(2 * _TURNS):
            await connect_and_cancel(max(0, taken - number % _TURNS + 2))

        async def accept_all() -> None:
            while True:
                start(echo(await accept()))

        async def answer(client: Conn) -> None:
            try:
                await client.read(1)
            except OSError:
                return

        start(accept_all())
        answers = [start(answer(client)) for client in clients]
        await asyncio.wait(answers, timeout=self.time_limit)
        lost = sum(not one.done() for one in answers)
        expect(
            not lost,
            f"of {len(clients)} clients that came beside cancelled accept() calls, {lost} were "
            "neither accepted later nor closed",
        )

    async def blocked_write(self, conn: Conn) -> "asyncio.Future[int]":
        """Begin writes of which one waits."""
        writing = await flood(conn)
        if writing.done():
            raise NotTried(f"no write() waited: it {outcome_of(writing)}")
        return writing


class ConnContract(Wires, interface=Conn):
    """Check a connection.

    A wrapper is checked by wrapping one end of what such a factory makes.
    """

    make: MakePair | None = field(kw_only=False)
    """Opens a stream: the end on trial, and its peer, which is on trial as well or any connection
    that keeps the contract. None = the class carries datagrams only."""
    make_datagram: MakePair | None = None
    """Opens a connected pair of datagram connections, likewise."""
    break_off: Callable[[Conn], Awaitable[None]] | None = None
    """Breaks a connection off at the peer's end, which it is given, as a crash does; on TCP, close
    with a linger time of 0."""

    async def _specimen(self) -> Conn:
        here, _ = await self._pair()
        return here

    async def _stream(self) -> tuple[Conn, Conn]:
        if self.make is None:
            raise NotTried("the connections carry datagrams")
        return await connect(self.make)

    async def _datagrams(self) -> tuple[Conn, Conn]:
        need(self.make_datagram, 'make_datagram')  # NEED
        return await connect(self.make_datagram)

    async def _pair(self) -> tuple[Conn, Conn]:
        return await (self._datagrams() if self.make is None else self._stream())

    # ---- Addresses

    @clause("Both addresses are there, on networks in lower case, with IPv6 in brackets.", "D2")
    async def addresses(self) -> None:
        here, _ = await self._pair()
        for what, addr in _addresses(here):
            network, text = addr.network(), str(addr)
            expect(
                network == network.lower(), f"{what}.network() is {network!r}; write it lower case"
            )
            if network.startswith(("tcp", "udp")):
                host, _, _ = text.rpartition(":")
                bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
                expect(not bare, f"{what} is {text!r}; write IPv6 in brackets")

    @clause("Both addresses stay the same after close().", "D2", after=("addresses",))
    async def addresses_after_close(self) -> None:
        here, there = await self._pair()
        before = [(what, addr.network(), str(addr)) for what, addr in _addresses(here)]
        await given(there.close(), "the peer's close()")
        await given(here.close(), "close()")
        after = [(what, addr.network(), str(addr)) for what, addr in _addresses(here)]
        expect(before == after, f"{before} became {after}")

    # ---- Data

    @clause("read() returns what is there, without waiting for more.", "D8")
    async def reads_what_is_there(self) -> None:
        here, there = await self._pair()
        await write(there, b"abc")
        data = await read(here)
        expect(
            bool(data) and b"abc".startswith(data), f"b'abc' was written, read() returned {data!r}"
        )

    @clause("read(n) returns at most n bytes.", "D8")
    async def reads_at_most(self) -> None:
        here, there = await self._pair()
        await write(there, b"abcdef")
        data = await read(here, 2)
        expect(len(data) <= 2, f"read(2) returned {len(data)} bytes")

    @clause("read(n) raises ValueError for n < 1.", "D8")
    async def reads_at_least_one(self) -> None:
        here, there = await self._pair()
        await write(there, b"abc")
        for n in (0, -1):
            await raises(here.read(n), f"read({n})", ValueError)

    @clause(
        "A read() that waits does not keep a write() waiting.",
        "D6",
        after=("reads_what_is_there",),
    )
    async def duplex(self) -> None:
        here, there = await self._pair()
        reading = start(here.read(_ALL))
        await settle()
        await within(here.write(b"x"), "write() beside a waiting read()")
        await read(there)
        await write(there, b"y")
        data = await within(reading, "the waiting read()")
        expect(data == b"y", f"the waiting read() returned {data!r} instead of b'y'")

    @clause(
        "What is written arrives whole and in order, both ways at once, however it is cut.",
        "D8",
        after=("reads_what_is_there", "reads_at_least_one", "duplex"),
    )
    async def transfer(self) -> None:
        here, there = await self._stream()
        dice = random.Random(1)

        async def send(conn: Conn, data: bytes) -> None:
            position = 0
            while position < len(data):
                size = dice.randint(1, 70_000)
                await write(conn, data[position : position + size])
                position += size

        async def receive(conn: Conn, expected: bytes, way: str) -> None:
            received = bytearray()
            while len(received) < len(expected):
                if not (piece := await read(conn, dice.randint(1, 70_000))):
                    break
                received += piece
            if bytes(received) != expected:
                same = sum(1 for _ in _common(received, expected))
                raise Broken(
                    f"of {len(expected)} bytes {way}, {len(received)} arrived, and only the first "
                    f"{same} as they were written"
                )

        up, down = dice.randbytes(_TRANSFER), dice.randbytes(_TRANSFER)
        await asyncio.gather(
            send(here, up),
            receive(there, up, "written here"),
            send(there, down),
            receive(here, down, "written by the peer"),
        )

    @clause(
        "Anything with a buffer can be written, and goes out as its bytes.",
        "D8",
        after=("reads_what_is_there",),
    )
    async def any_buffer(self) -> None:
        here, there = await self._pair()
        values = array("I", range(6))
        buffers: tuple[Buffer, ...] = (
            b"bytes",
            bytearray(b"bytearray"),
            memoryview(b"memoryview"),
            values,
            memoryview(values).cast("B").cast("I", (2, 3)),
        )
        for data in buffers:
            expected = memoryview(data).tobytes()
            await write(here, data)
            received = await read_exactly(there, len(expected))
            name = type(data).__name__
            expect(received == expected, f"{name}: {expected!r} was written, {received!r} was read")

    @clause(
        "write() keeps nothing of the buffer: its owner may change it afterwards.",
        "D8",
        after=("reads_what_is_there",),
    )
    async def buffer_not_kept(self) -> None:
        for size in (5, _TRANSFER) if self.make else (5,):
            here, there = await self._pair()
            data = bytearray(b"x" * size)
            receiving = start(read_exactly(there, size)) if size > 5 else None
            await within(here.write(data), "write() of a bytearray")
            data[:] = b"y" * size
            try:
                data.clear()
            except BufferError:
                raise Broken("after write() the bytearray was still in use") from None
            received = await (receiving or read_exactly(there, size))
            expect(b"y" not in received, "what the buffer held after write() was sent")

    @clause(
        "Writing nothing is no end: the peer reads what comes next.",
        "D8",
        after=("reads_what_is_there",),
    )
    async def empty_is_no_end(self) -> None:
        here, there = await self._pair()
        reading = start(there.read(_ALL))
        await within(here.write(b""), "write(b'')")
        await settle()
        await write(here, b"x")
        data = await within(reading, "the peer's read()")
        expect(data == b"x", f"after write(b'') and write(b'x') the peer read {data!r}")

    @clause("A slow peer slows the writer: write() waits for room.", "D8")
    async def write_waits(self) -> None:
        here, _ = await self._stream()
        writing = await flood(here)
        if writing.done():
            raise Broken(
                f"with a peer that reads nothing, write() of {_FLOOD} MiB {outcome_of(writing)}"
            )

    # ---- Ends

    @clause(
        'When the peer has ended, read() returns the rest, then b"", and b"" ever after.',
        "D8",
        after=("reads_what_is_there",),
    )
    async def end(self) -> None:
        here, there = await self._stream()
        await write(there, b"abc")
        await given(there.close(), "the peer's close()")
        received = await read_exactly(here, 4)
        expect(received == b"abc", f"before the end, {received!r} was read instead of b'abc'")
        for _ in range(2):
            data = await read(here)
            expect(data == b"", f"after the end, read() returned {data!r}")

    @clause("When the peer is gone, write() raises BrokenPipeError or ConnectionResetError.", "D14")
    async def write_to_gone_peer(self) -> None:
        here, there = await self._stream()
        await given(there.close(), "the peer's close()")

        async def write() -> None:
            while True:
                await here.write(b"x")
                await settle()

        await raises(
            write(), "write() to a peer that is gone", BrokenPipeError, ConnectionResetError
        )

    @clause("When the connection breaks off, a waiting read() raises ConnectionResetError.", "D14")
    async def broken_off(self) -> None:
        need(self.break_off, 'break_off')  # NEED
        here, there = await self._pair()
        reading = start(here.read(_ALL))
        await settle()
        await given(self.break_off(there), "break_off()")
        await raises(reading, "the waiting read()", ConnectionResetError)

    # ---- Cancelling

    @clause("A cancelled read() ends as cancelled.", "D14")
    async def read_cancellable(self) -> None:
        here, _ = await self._pair()
        reading = start(here.read(_ALL))
        await settle()
        reading.cancel()
        await ended(reading)
        expect(reading.cancelled(), f"a cancelled read() {outcome_of(reading)}")

    @clause(
        "A cancelled read() loses no data: a later one returns it.",
        "D7",
        after=("read_cancellable", "reads_what_is_there"),
    )
    async def cancelled_read_loses_nothing(self) -> None:
        here, there = await self._pair()
        received = bytearray()
        for number in range(_ROUNDS):
            reading = start(here.read(_ALL))
            await turns(1)
            writing = start(there.write(bytes([number])))
            await turns(number % _TURNS)
            reading.cancel()
            await within(writing, "the peer's write()")
            await ended(reading)
            if not reading.cancelled():
                received += await within(reading, "a cancelled read()")
        await write(there, b"\xff")
        while not received.endswith(b"\xff"):
            if not (data := await read(here)):
                break
            received += data
        missing = len(set(range(_ROUNDS)) - set(received))
        expect(not missing, f"of {_ROUNDS} bytes sent beside cancelled reads, {missing} were lost")
        expected = bytes(range(_ROUNDS)) + b"\xff"
        expect(
            bytes(received) == expected, "what was sent beside cancelled reads arrived in disorder"
        )

    @clause("A cancelled write() ends as cancelled.", "D14", after=("write_waits",))
    async def write_cancellable(self) -> None:
        here, _ = await self._stream()
        writing = await blocked_write(here)
        writing.cancel()
        await ended(writing)
        expect(writing.cancelled(), f"a cancelled write() {outcome_of(writing)}")

    @clause(
        "A time-out on one connection leaves other connections alone.",
        "D4, D14",
        after=("read_cancellable", "reads_what_is_there"),
    )
    async def time_outs_apart(self) -> None:
        here, _ = await self._pair()
        other, other_peer = await self._pair()
        reading, other_reading = start(here.read(_ALL)), start(other.read(_ALL))
        await settle()
        reading.cancel()
        await settle()
        expect(
            not other_reading.done(),
            f"when another connection's read() timed out, read() {outcome_of(other_reading)}",
        )
        await write(other_peer, b"x")
        data = await within(other_reading, "the other connection's read()")
        expect(data == b"x", f"the other connection's read() returned {data!r}")

    @clause("The connection outlives the task that made it.", "D4", after=("reads_what_is_there",))
    async def outlives_its_maker(self) -> None:
        make = self.make or self.make_datagram
        assert make is not None
        # given() awaits in a task that ends.
        here, there = await given(make(), "connecting")
        keep(there.close)
        keep(here.close)
        await settle()
        await carry(here, there, b"ping")
        await carry(there, here, b"pong")

    # ---- Two at once

    @clause(
        "Two writers at once: their bytes are not mixed, or one gets a RuntimeError.",
        "D6",
        after=("transfer",),
    )
    async def writers_not_mixed(self) -> None:
        here, there = await self._stream()
        writes = [start(here.write(letter * _CHUNK)) for letter in (b"a", b"b")]
        received = bytearray()

        async def receive() -> None:
            while piece := await there.read(_ALL):
                received.extend(piece)

        receiving = start(receive())
        await within(asyncio.wait(writes), "one of two write() calls at once")
        expected = 0
        for write in writes:
            error = failure_of(write)
            expect(
                error is None or isinstance(error, RuntimeError),
                f"one of two write() calls at once {outcome_of(write)}",
            )
            expected += 0 if error else _CHUNK

        await until(
            self,
            lambda: len(received) >= expected or receiving.done(),
            "the arrival of what two write() calls at once took",
        )
        changes = len(_runs(received)) - 1
        expect(changes <= 1, f"the bytes of two write() calls at once alternate {changes} times")

    @clause(
        "Two readers at once: each byte goes to one of them, or one gets a RuntimeError.",
        "D6",
        after=("transfer", "reads_at_most"),
    )
    async def readers_not_mixed(self) -> None:
        here, there = await self._stream()
        reads = [start(here.read(4)) for _ in range(2)]
        await settle()
        await write(there, b"abcdefgh")
        await within(asyncio.wait(reads), "one of two read() calls at once")
        pieces: list[bytes] = []
        for read in reads:
            error = failure_of(read)
            expect(
                error is None or isinstance(error, RuntimeError),
                f"one of two read() calls at once {outcome_of(read)}",
            )
            if error is None:
                pieces.append(read.result())
        missing = 8 - sum(map(len, pieces))
        pieces.append(await read_exactly(here, missing) if missing > 0 else b"")
        whole = sorted(b"".join(pieces)) == sorted(b"abcdefgh")
        expect(whole, f"of b'abcdefgh', two read() calls at once and a later one got {pieces}")

    # ---- Closing

    @clause("close() ends what the peer reads.", "D1")
    async def close_reaches_peer(self) -> None:
        here, there = await self._stream()
        await within(here.close(), "close()")
        await within(end_of(there), "the peer's connection, after close(),")

    @clause(
        "What write() took arrives, though close() follows at once.",
        "D8",
        after=("close_reaches_peer", "reads_what_is_there"),
    )
    async def last_words(self) -> None:
        here, there = await self._stream()
        data = bytes(range(256)) * 16

        async def write_and_close() -> None:
            await here.write(data)
            await here.close()

        await within(write_and_close(), "write() and close()")
        received = await read_exactly(there, len(data))
        expect(
            received == data,
            f"of {len(data)} bytes written before close(), {len(received)} arrived",
        )

    @clause("close() may be called twice.", "D1")
    async def close_twice(self) -> None:
        here, _ = await self._pair()
        await within(here.close(), "close()")
        await within(here.close(), "the second close()")

    @clause(
        "close() may be called several times at once; each returns when the first has.",
        "D1",
        after=("close_twice",),
    )
    async def close_at_once(self) -> None:
        here, _ = await self._pair()
        await closed_at_once(here.close)

    @clause("close() is quiet also when the peer has closed or broken off before.", "D1")
    async def close_after_peer(self) -> None:
        here, there = await self._pair()
        await given(there.close(), "the peer's close()")
        await settle()
        await within(here.close(), "close() after the peer's")
        if self.break_off is not None:
            here, there = await self._pair()
            await given(self.break_off(there), "break_off()")
            await settle()
            await within(here.close(), "close() of a broken connection")

    @clause("close() wakes a waiting read(), which raises ClosedError.", "D1, D14")
    async def close_wakes_read(self) -> None:
        here, _ = await self._pair()
        reading = start(here.read(_ALL))
        await settle()
        await within(here.close(), "close() beside a waiting read()")
        await raises(reading, "the waiting read()", ClosedError)

    @clause("read() after close() raises ClosedError, even if something had arrived.", "D1, D14")
    async def read_after_close(self) -> None:
        here, there = await self._pair()
        await write(there, b"abc")
        await settle()
        await within(here.close(), "close()")
        await raises(here.read(_ALL), "read() after close()", ClosedError)

    @clause("write() after close() raises ClosedError.", "D1, D14")
    async def write_after_close(self) -> None:
        here, _ = await self._pair()
        await within(here.close(), "close()")
        await raises(here.write(b"x"), "write() after close()", ClosedError)

    @clause(
        "close() is bounded, though a write() was cut off and the peer reads nothing.",
        "D1, D7",
        after=("write_waits", "write_cancellable"),
    )
    async def close_bounded(self) -> None:
        here, _ = await self._stream()
        writing = await blocked_write(here)
        writing.cancel()
        await ended(writing)
        await within(here.close(), "close() with a peer that reads nothing")

    @clause(
        "close() wakes a waiting write(), which raises ClosedError.",
        "D1, D14",
        after=("write_waits", "close_bounded", "write_after_close"),
    )
    async def close_wakes_write(self) -> None:
        here, _ = await self._stream()
        writing = await blocked_write(here)
        await within(here.close(), "close() beside a waiting write()")
        await raises(writing, "the waiting write()", ClosedError)

    @clause(
        "A cancelled close() frees everything all the same.",
        "D1",
        after=("close_reaches_peer", "close_twice"),
    )
    async def close_cancelled(self) -> None:
        for count in (1, 2, 3):
            here, there = await self._stream()
            closing = start(here.close())
            await turns(count)
            closing.cancel()
            await within(
                end_of(there), "the peer's connection, after a cancelled close()"
            )

    # ---- Datagrams

    @clause("On a datagram connection, each read() returns one datagram.", "D8")
    async def datagram_whole(self) -> None:
        here, there = await self._datagrams()
        sent = [b"a", b"bc" * 700, b"d"]
        for data in sent:
            await write(there, data)
        received = [await read(here) for _ in sent]
        expect(
            sorted(received) == sorted(sent),
            f"datagrams of {[*map(len, sent)]} bytes were read as {[*map(len, received)]}",
        )

    @clause(
        "On a datagram connection, read(n) cuts to n; the rest is gone.",
        "D8",
        after=("reads_at_most", "datagram_whole"),
    )
    async def datagram_cut(self) -> None:
        here, there = await self._datagrams()
        await write(there, b"abcdef")
        first = await read(here, 2)
        await write(there, b"x")
        second = await read(here, 2)
        expect(
            (first, second) == (b"ab", b"x"),
            f"read(2) of b'abcdef' and then of b'x' returned {first!r} and {second!r}",
        )

    @clause(
        "On a datagram connection, read() returns no empty datagram.",
        "D8",
        after=("datagram_whole",),
    )
    async def datagram_not_empty(self) -> None:
        here, there = await self._datagrams()
        await write(there, b"")
        await settle()
        await write(there, b"x")
        data = await read(here)
        expect(data == b"x", f"after an empty datagram and b'x', read() returned {data!r}")

    @clause("On a datagram connection, write() of too long a datagram raises OSError.", "D8")
    async def datagram_too_long(self) -> None:
        here, _ = await self._datagrams()
        await raises(here.write(bytes(_ALL + 1)), "write() of 65536 bytes", OSError)


async def closed_at_once(contract: Contract, close: Callable[[], Awaitable[None]]) -> None:
    """Break the clause unless three calls of ``close`` at once end well, the first one first."""
    closings = [contract.start(close()) for _ in range(3)]
    await contract.within(
        asyncio.wait(closings, return_when=asyncio.FIRST_COMPLETED), "close(), thrice at once"
    )
    await contract.settle()
    if not closings[0].done():
        raise Broken("a second close() returned while the first one was still at it")
    await contract.within(asyncio.gather(*closings), "close(), thrice at once")


def _addresses(conn: Conn) -> list[tuple[str, Addr]]:
    """Return both addresses with the names of their methods."""
    return [
        ("local_addr()", returned(conn.local_addr(), "local_addr()")),
        ("remote_addr()", returned(conn.remote_addr(), "remote_addr()")),
    ]


def _common(one: bytes | bytearray, other: bytes | bytearray) -> Iterator[None]:
    for left, right in zip(one, other, strict=False):
        if left != right:
            return
        yield


def _runs(data: bytearray) -> bytes:
    """Reduce each run of equal bytes to one byte."""
    return bytes(byte for byte, _ in groupby(data))


class PacketConnContract(Wires, interface=PacketConn):
    """Check a connection that exchanges datagrams with more than one peer."""

    make: MakeTrio = field(kw_only=False)
    """Opens three unconnected datagram connections: the one on trial, and two peers, which are on
    trial as well or keep the contract. The peers can be reached at what their ``local_addr()``
    says."""
    make_connected: MakePair | None = None
    """Opens a connected pair of which the first is on trial."""

    async def _specimen(self) -> Conn:
        conn, _, _ = await self._sockets()
        return conn

    async def _sockets(self) -> tuple[Conn, Conn, Conn]:
        conns = await given(self.make(), "opening the sockets")
        for conn in conns:
            keep(conn.close)
        return conns

    async def _connected(self) -> tuple[Conn, Conn]:
        need(self.make_connected, 'make_connected')  # NEED
        return await connect(self.make_connected)

    async def _send(self, conn: Conn, data: Buffer, addr: Addr) -> None:
        await within(packets(conn).write_to(data, addr), f"write_to({addr})")

    async def _receive(self, conn: Conn, n: int = _ALL) -> tuple[bytes, Addr]:
        return await within(packets(conn).read_from(n), f"read_from({n})")

    async def _carry(self, source: Conn, sink: Conn, data: bytes, addr: Addr) -> Addr:
        """Send a datagram, break the clause unless it arrives, and return where it is from."""
        await self._send(source, data, addr)
        received, sender = await self._receive(sink)
        expect(received == data, f"{data!r} was sent to {addr}, {received!r} was received")
        return sender

    @clause("A datagram gets to the address it is for, and tells the address it is from.", "D9")
    async def exchange(self) -> None:
        conn, *peers = await self._sockets()
        for number, peer in enumerate(peers):
            sender = await self._carry(conn, peer, b"ping %d" % number, peer.local_addr())
            source = await self._carry(peer, conn, b"pong %d" % number, sender)
            told, real = _words(source), _words(peer.local_addr())
            expect(told == real, f"a datagram from {real} was said to be from {told}")

    @clause("write_to() takes any Addr, by network() and str().", "D9", after=("exchange",))
    async def foreign_addr(self) -> None:
        conn, peer, _ = await self._sockets()
        await self._carry(conn, peer, b"x", Address(*_words(peer.local_addr())))

    @clause("write_to() raises ValueError for a malformed address.", "D15", after=("exchange",))
    async def malformed_addr(self) -> None:
        conn, peer, _ = await self._sockets()
        network, _ = _words(peer.local_addr())
        for text in ("127.0.0.1:70000", "[::1:53"):
            writing = packets(conn).write_to(b"x", Address(network, text))
            await raises(writing, f"write_to({text})", ValueError)

    @clause("Each read_from() returns one datagram.", "D8", after=("exchange",))
    async def whole(self) -> None:
        conn, peer, _ = await self._sockets()
        sent = [b"a", b"bc" * 700, b"d"]
        home = (await self._announce(conn, peer))[0]
        for data in sent:
            await self._send(peer, data, home)
        received = [(await self._receive(conn))[0] for _ in sent]
        expect(
            sorted(received) == sorted(sent),
            f"datagrams of {[*map(len, sent)]} bytes were read as {[*map(len, received)]}",
        )

    async def _announce(self, conn: Conn, peer: Conn) -> tuple[Addr, Addr]:
        """Have ``peer`` learn where ``conn`` is; return the addresses of both."""
        await self._send(conn, b"here", peer.local_addr())
        _, home = await self._receive(peer)
        return home, peer.local_addr()

    @clause("read_from(n) cuts to n; the rest is gone.", "D8", after=("exchange", "whole"))
    async def cut(self) -> None:
        conn, peer, _ = await self._sockets()
        home, _ = await self._announce(conn, peer)
        received: list[bytes] = []
        for data in (b"abcdef", b"x"):
            await self._send(peer, data, home)
            received.append((await self._receive(conn, 2))[0])
        expect(
            received == [b"ab", b"x"],
            f"read_from(2) of b'abcdef' and then of b'x' returned {received}",
        )

    @clause("read_from(n) raises ValueError for n < 1.", "D8")
    async def reads_at_least_one(self) -> None:
        conn, _, _ = await self._sockets()
        for n in (0, -1):
            await raises(packets(conn).read_from(n), f"read_from({n})", ValueError)

    @clause("write_to() of too long a datagram raises OSError.", "D8", after=("exchange",))
    async def too_long(self) -> None:
        conn, peer, _ = await self._sockets()
        writing = packets(conn).write_to(bytes(_ALL + 1), peer.local_addr())
        await raises(writing, "write_to() of 65536 bytes", OSError)

    @clause(
        "Anything with a buffer can be sent, and its owner may change it afterwards.",
        "D8",
        after=("exchange",),
    )
    async def any_buffer(self) -> None:
        conn, peer, _ = await self._sockets()
        values = array("I", range(6))
        for data in (bytearray(b"bytearray"), values, memoryview(values)):
            expected = memoryview(data).tobytes()
            await self._carry_buffer(conn, peer, data, expected)
        data = bytearray(b"x")
        await self._send(conn, data, peer.local_addr())
        data[:] = b"y"
        try:
            data.clear()
        except BufferError:
            raise Broken("after write_to() the bytearray was still in use") from None
        received, _ = await self._receive(peer)
        expect(received == b"x", "what the buffer held after write_to() was sent")

    async def _carry_buffer(self, conn: Conn, peer: Conn, data: Buffer, expected: bytes) -> None:
        await self._send(conn, data, peer.local_addr())
        received, _ = await self._receive(peer)
        name = type(data).__name__
        expect(received == expected, f"{name}: {expected!r} was sent, {received!r} was received")

    @clause("A cancelled read_from() ends as cancelled.", "D14")
    async def read_cancellable(self) -> None:
        conn, _, _ = await self._sockets()
        reading = start(packets(conn).read_from(_ALL))
        await settle()
        reading.cancel()
        await ended(reading)
        expect(reading.cancelled(), f"a cancelled read_from() {outcome_of(reading)}")

    @clause(
        "A cancelled read_from() loses no datagram: a later one returns it.",
        "D7",
        after=("exchange", "read_cancellable", "whole"),
    )
    async def cancelled_read_loses_nothing(self) -> None:
        conn, peer, _ = await self._sockets()
        home, _ = await self._announce(conn, peer)
        received: set[bytes] = set()
        for number in range(_ROUNDS):
            reading = start(packets(conn).read_from(_ALL))
            await turns(1)
            writing = start(packets(peer).write_to(bytes([number]), home))
            await turns(number % _TURNS)
            reading.cancel()
            await within(writing, "the peer's write_to()")
            await ended(reading)
            if not reading.cancelled():
                received.add((await within(reading, "a cancelled read_from()"))[0])
        await self._send(peer, b"end", home)
        while b"end" not in received:
            received.add((await self._receive(conn))[0])
        missing = _ROUNDS + 1 - len(received)
        expect(not missing, f"of {_ROUNDS} datagrams beside cancelled reads, {missing} were lost")

    @clause("On an unconnected socket, read() and write() raise UnsupportedError.", "D9")
    async def unconnected(self) -> None:
        conn, _, _ = await self._sockets()
        await raises(conn.write(b"x"), "write() without a peer", UnsupportedError)
        await raises(conn.read(_ALL), "read() without a peer", UnsupportedError)

    @clause('remote_addr() of an unconnected socket prints as "".', "D2")
    async def remote_addr_nowhere(self) -> None:
        conn, _, _ = await self._sockets()
        for what, addr in _addresses(conn):
            if what == "remote_addr()":
                expect(not str(addr), f"{what} without a peer prints as {str(addr)!r}")

    @clause("On a connected socket, write_to() the peer is legal.", "D9", after=("exchange",))
    async def connected_peer(self) -> None:
        conn, peer = await self._connected()
        there = Address(*_words(conn.remote_addr()))
        await within(packets(conn).write_to(b"x", there), "write_to() the peer")
        data = await read(peer)
        expect(data == b"x", f"write_to() the peer sent b'x', {data!r} was read")

    @clause("On a connected socket, write_to() another address raises ValueError.", "D9")
    async def connected_elsewhere(self) -> None:
        conn, _ = await self._connected()
        _, other, _ = await self._sockets()
        writing = packets(conn).write_to(b"x", other.local_addr())
        await raises(writing, "write_to() another address than the peer's", ValueError)

    @clause("close() wakes a waiting read_from(), which raises ClosedError.", "D1, D14")
    async def close_wakes_read(self) -> None:
        conn, _, _ = await self._sockets()
        reading = start(packets(conn).read_from(_ALL))
        await settle()
        await within(conn.close(), "close() beside a waiting read_from()")
        await raises(reading, "the waiting read_from()", ClosedError)

    @clause("After close(), read_from() and write_to() raise ClosedError.", "D1, D14")
    async def use_after_close(self) -> None:
        conn, peer, _ = await self._sockets()
        there = peer.local_addr()
        await within(conn.close(), "close()")
        await raises(packets(conn).read_from(_ALL), "read_from() after close()", ClosedError)
        await raises(
            packets(conn).write_to(b"x", there), "write_to() after close()", ClosedError
        )


def packets(conn: Conn) -> PacketConn:
    """Return the connection as a PacketConn, which the scenario needs it to be."""
    if not isinstance(conn, PacketConn):
        raise NotTried(f"a {type(conn).__qualname__} is no PacketConn")
    return conn


def _words(addr: Addr) -> tuple[str, str]:
    return addr.network(), str(addr)


class HalfCloserContract(Wires, interface=HalfCloser):
    """Check a connection that can end its own direction of a stream."""

    make: MakePair = field(kw_only=False)
    """Opens a stream: the end on trial, and its peer."""
    make_unable: Callable[[], Awaitable[Conn]] | None = None
    """Opens a connection of the same class over one that cannot half-close; for wrappers."""

    async def _specimen(self) -> Conn:
        here, _ = await self._pair()
        return here

    async def _pair(self) -> tuple[Conn, Conn]:
        return await connect(self.make)

    async def _end(self, conn: Conn) -> None:
        await within(half(conn).close_write(), "close_write()")

    @clause('After close_write(), the peer reads what was written, then b"".', "D8")
    async def ends_stream(self) -> None:
        here, there = await self._pair()
        await write(here, b"abc")
        await self._end(here)
        received = await read_exactly(there, 4)
        expect(received == b"abc", f"b'abc' was written, the peer read {received!r} to the end")

    @clause(
        "After close_write(), what the peer writes is still read, a waiting read() included.",
        "D10",
        after=("ends_stream",),
    )
    async def reading_goes_on(self) -> None:
        here, there = await self._pair()
        reading = start(here.read(_ALL))
        await settle()
        await self._end(here)
        await settle()
        await write(there, b"x")
        data = await within(reading, "read(), which waited at close_write(),")
        expect(data == b"x", f"read(), which waited at close_write(), returned {data!r}")
        await carry(there, here, b"answer" * 1000)

    @clause("close_write() may be called twice.", "D1")
    async def twice(self) -> None:
        here, _ = await self._pair()
        await self._end(here)
        await within(half(here).close_write(), "a second close_write()")

    @clause("write() after close_write() raises BrokenPipeError.", "D14")
    async def write_after(self) -> None:
        here, _ = await self._pair()
        await self._end(here)
        await raises(here.write(b"x"), "write() after close_write()", BrokenPipeError)

    @clause("close_write() after close() raises ClosedError.", "D1, D14")
    async def after_close(self) -> None:
        here, _ = await self._pair()
        await within(here.close(), "close()")
        await raises(half(here).close_write(), "close_write() after close()", ClosedError)

    @clause("When the peer has ended its stream, this end may go on writing.", "D10")
    async def writing_goes_on(self) -> None:
        here, there = await self._pair()
        if not isinstance(there, HalfCloser):
            raise NotTried("the peer cannot end its stream alone")
        await given(there.close_write(), "the peer's close_write()")
        data = await read(here)
        expect(data == b"", f"after the peer's close_write(), read() returned {data!r}")
        await settle()
        await carry(here, there, b"answer" * 1000)

    @clause(
        "Over a connection that cannot, close_write() raises UnsupportedError, and all else works.",
        "D10",
    )
    async def unsupported(self) -> None:
        need(self.make_unable, 'make_unable')  # NEED
        conn = await given(self.make_unable(), "`make_unable`")
        keep(conn.close)
        if not isinstance(conn, HalfCloser):
            return
        await raises(
            conn.close_write(), "close_write() over a connection that cannot", UnsupportedError
        )
        await within(conn.write(b"x"), "write() after close_write() was refused")


def half(conn: Conn) -> HalfCloser:
    """Return the connection as a HalfCloser, which the scenario needs it to be."""
    if not isinstance(conn, HalfCloser):
        raise NotTried(f"a {type(conn).__qualname__} is no HalfCloser")
    return conn


class _Bare(Conn):
    """A connection without any capability, over another one."""

    def __init__(self, inner: MemoryConn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


class _Carrying(_Bare, ContextCarrier):
    """A connection that brings a context."""

    carried: Final = Context().with_value(keys.CLIENT_ID, "a client")

    def context(self) -> Context:
        return self.carried


class _Packets(_Bare, PacketConn):
    """A connection that carries datagrams."""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.inner.read(n), self.inner.remote_addr()

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self.inner.write(data)


class _Middle(_Bare, ConnUnwrapper):
    """A wrapper of the kit's own."""

    def unwrap_conn(self) -> Conn:
        return self.inner


class ConnUnwrapperContract(Wires, interface=ConnUnwrapper):
    """Check a wrapper of connections that leaves their bytes as they are.

    How it carries data is the affair of :func:`check_common_net_conn`.
    """

    wrap: Callable[[Conn], Conn] = field(kw_only=False)
    """Wraps a stream."""
    wrap_datagrams: Callable[[Conn], Conn] | None = None
    """Wraps a connection that is a PacketConn."""

    async def _specimen(self) -> Conn:
        wrapper, _ = self._wrapped(_Bare)
        return wrapper

    def _wrapped(
        self, make: Callable[[MemoryConn], Conn], wrap: Callable[[Conn], Conn] | None = None
    ) -> tuple[Conn, MemoryConn]:
        """Return a wrapper around what ``make`` makes of a connection, and the far end."""
        near, far = connected_pair()
        keep(far.close)
        keep(near.close)
        wrapper = (wrap or self.wrap)(make(near))
        keep(wrapper.close)
        return wrapper, far

    @clause("unwrap_conn() shows the connection directly beneath, the same each time.", "D10")
    async def shows_inner(self) -> None:
        near, _ = connected_pair()
        middle = _Middle(near)
        wrapper = self.wrap(middle)
        keep(wrapper.close)
        layers: list[object] = []
        layer: object = wrapper
        # More layers than a factory may put on, in case that this unwraps to itself.
        while layer is not middle and isinstance(layer, ConnUnwrapper) and len(layers) < 10:
            layers.append(layer)
            layer = layer.unwrap_conn()
        names = " > ".join(type(one).__qualname__ for one in [*layers, layer])
        expect(layer is middle, f"what was wrapped is not found; the layers are {names}")
        same = isinstance(wrapper, ConnUnwrapper) and wrapper.unwrap_conn() is wrapper.unwrap_conn()
        expect(same, "unwrap_conn() returned something else the second time")

    @clause("The wrapper leaves the bytes as they are, both ways.", "D10")
    async def bytes_unchanged(self) -> None:
        wrapper, far = self._wrapped(_Bare)
        data = bytes(range(256)) * 4
        await carry(wrapper, far, data)
        await carry(far, wrapper, data)

    @clause("Closing the wrapper closes what it wraps.", "D3")
    async def close_closes_inner(self) -> None:
        near, far = connected_pair()
        keep(far.close)
        wrapper = self.wrap(_Bare(near))
        await within(wrapper.close(), "close()")
        expect(near.closed, "after close() of the wrapper, what it wraps is open")

    @clause(
        "Over a connection that can half-close, the wrapper can.", "D10", after=("bytes_unchanged",)
    )
    async def keeps_half_close(self) -> None:
        wrapper, far = self._wrapped(lambda near: near)
        if not isinstance(wrapper, HalfCloser):
            raise Broken("the wrapper has no close_write(), and what it wraps has")
        await within(wrapper.close_write(), "close_write()")
        data = await read(far)
        expect(data == b"", f"after close_write() of the wrapper, the peer read {data!r}")
        await carry(far, wrapper, b"answer")

    @clause(
        "Over a connection that cannot half-close, close_write() is missing or raises "
        "UnsupportedError.",
        "D10",
    )
    async def invents_no_half_close(self) -> None:
        wrapper, _ = self._wrapped(_Bare)
        if isinstance(wrapper, HalfCloser):
            await raises(
                wrapper.close_write(),
                "close_write() over a connection that cannot",
                UnsupportedError,
            )

    @clause("What is beneath is found through the wrapper: the context, the metadata.", "D10")
    async def shows_capabilities(self) -> None:
        wrapper, _ = self._wrapped(_Carrying)
        carrier = find_capability(wrapper, ContextCarrier)
        context = None if carrier is None else carrier.context()
        expect(
            context is not None and context.value(keys.CLIENT_ID) == "a client",
            f"the context of what is wrapped was looked for, {context} was found",
        )

        class Described(_Bare, Metadatable):
            def metadata(self) -> FakeMetadata:
                return metadata

        metadata = FakeMetadata(weight=2)
        wrapper, _ = self._wrapped(Described)
        found = find_capability(wrapper, Metadatable)
        expect(
            found is not None
            and (shown := found.metadata()) is not None
            and shown.get("weight") == 2,
            "the metadata of what is wrapped was looked for, and not found",
        )

    @clause("Over a connection that carries datagrams, the wrapper is a PacketConn.", "D10")
    async def keeps_packets(self) -> None:
        need(self.wrap_datagrams, 'wrap_datagrams')  # NEED
        wrapper, far = self._wrapped(_Packets, self.wrap_datagrams)
        if not isinstance(wrapper, PacketConn):
            raise Broken("the wrapper is no PacketConn, and what it wraps is one")
        await within(wrapper.write_to(b"ping", wrapper.remote_addr()), "write_to()")
        received = await read(far)
        expect(received == b"ping", f"b'ping' was sent through the wrapper, {received!r} received")
        await write(far, b"pong")
        data, _ = await within(wrapper.read_from(_ALL), "read_from()")
        expect(data == b"pong", f"b'pong' was received as {data!r}")

    @clause("Over a stream, the wrapper is no PacketConn.", "D10")
    async def invents_no_packets(self) -> None:
        wrapper, _ = self._wrapped(_Bare)
        expect(not isinstance(wrapper, PacketConn), "around a stream, the wrapper is a PacketConn")


# object: the keys have types of their own, and here each value is only compared with itself.
_KEYS: Final[tuple[Key[object], ...]] = tuple(
    cast("Key[object]", value) for value in vars(keys).values() if isinstance(value, Key)
)


class ContextCarrierContract(Wires, interface=ContextCarrier):
    """Check a connection that brings values of its own."""

    make: Callable[[], Awaitable[ContextCarrier]] = field(kw_only=False)
    """Opens such a connection, with some of the keys of :mod:`gost_core.keys` in it."""

    async def _specimen(self) -> ContextCarrier:
        return owned(await by_task_that_goes_on(self.make(), "making it"))

    @clause("context() returns a Context, or None.", "D28")
    async def context_or_none(self) -> None:
        context = as_object((await self._specimen()).context())
        expect(
            context is None or isinstance(context, Context), f"context() returned {context!r:.80}"
        )

    @clause("The values are the same each time.", "D28", after=("context_or_none",))
    async def same_each_time(self) -> None:
        carrier = await self._specimen()
        first, second = _values(carrier), _values(carrier)
        expect(first == second, f"context() held {first}, and then {second}")

    @clause(
        "The values live as long as the connection, beyond the task that made it.",
        "D4",
        after=("same_each_time",),
    )
    async def outlives_its_maker(self) -> None:

        async def make() -> tuple[ContextCarrier, list[object] | None]:
            carrier = owned(await self.make())
            return carrier, _values(carrier)

        # given() awaits in a task that ends.
        carrier, before = await given(make(), "making it")
        await settle()
        after = _values(carrier)
        expect(before == after, f"context() held {before}; when its maker had ended, {after}")


def _values(carrier: ContextCarrier) -> list[object] | None:
    context = carrier.context()
    return None if context is None else [context.value(key) for key in _KEYS]


class CloserContract(Contract, Generic[CloserT], interface=Closer):
    """Check how a component is closed: a dialer with sessions, a handler, a hop, a router."""

    make: Callable[[], Awaitable[CloserT]] = field(kw_only=False)
    """Makes the component, initialized and at work, its background tasks running. It leaves no task
    of its own behind."""
    wait: Callable[[CloserT], Awaitable[object]] | None = None
    """Calls something of the component that waits until it is closed."""
    call_back: Callable[[CloserT, Callable[[], Awaitable[None]]], Awaitable[object]] | None = None
    """Calls the component in such a way that it calls the given function from inside, as a handler
    dials through a router that it was given."""
    is_free: Callable[[CloserT], bool] | None = None
    """Tells whether everything that the component held is released."""

    async def _specimen(self) -> CloserT:
        component = await given(self.make(), "making it")
        keep(component.close)
        return component

    async def _close(self, component: CloserT, what: str = "close()") -> None:
        await within(component.close(), what)

    @clause("close() ends, and raises nothing.", "D1")
    async def closes(self) -> None:
        await self._close(await self._specimen())

    @clause("close() releases what the component holds.", "D1", after=("closes",))
    async def releases(self) -> None:
        need(self.is_free, 'is_free')  # NEED
        component = await self._specimen()
        await self._close(component)
        expect(self.is_free(component), "after close(), not everything is released")

    @clause("After close(), no task of the component is left.", "D20", after=("closes",))
    async def no_task_left(self) -> None:
        before = asyncio.all_tasks()
        component = await self._specimen()
        await self._close(component)
        await settle()
        left = [task.get_coro() for task in asyncio.all_tasks() - before]
        expect(not left, f"after close(), {len(left)} tasks go on: {left!r:.200}")

    @clause("close() may be called twice.", "D1", after=("closes",))
    async def twice(self) -> None:
        component = await self._specimen()
        await self._close(component)
        await self._close(component, "a second close()")

    @clause(
        "close() may be called several times at once; each returns when the first has.",
        "D1",
        after=("twice",),
    )
    async def at_once(self) -> None:
        await closed_at_once((await self._specimen()).close)

    @clause("A cancelled close() releases everything all the same.", "D1", after=("releases",))
    async def cancelled(self) -> None:
        need(self.is_free, 'is_free')  # NEED
        for count in (1, 2, 3):
            component = await self._specimen()
            closing = start(component.close())
            await turns(count)
            closing.cancel()
            freed = functools.partial(self.is_free, component)
            await until(freed, "releasing everything after a cancelled close()")

    @clause("close() ends a waiting call, which raises ClosedError.", "D1, D14", after=("closes",))
    async def wakes_waiting(self) -> None:
        need(self.wait, 'wait')  # NEED
        component = await self._specimen()
        waiting = start(self.wait(component))
        await settle()
        if waiting.done():
            raise NotTried(f"`wait` did not wait, it {outcome_of(waiting)}")
        await self._close(component, "close() beside a waiting call")
        await raises(waiting, "the waiting call", ClosedError)

    @clause("close() may be called from inside a call of the component.", "D22", after=("closes",))
    async def from_inside(self) -> None:
        need(self.call_back, 'call_back')  # NEED
        component = await self._specimen()
        closed = asyncio.Event()

        async def close() -> None:
            await component.close()
            closed.set()

        calling = start(self.call_back(component, close))
        await within(closed.wait(), "close() from inside a call")
        # How the call ends is its own affair: perhaps with a ClosedError.
        await within(asyncio.wait({calling}), "the call from inside which close() was called")


class ListenerContract(Wires, interface=Listener):
    """Check a listener that is bound: what a Router or a Binder gives."""

    make: Callable[[], Awaitable[Listener]] = field(kw_only=False)
    """Binds a listener, at a free address."""
    connect: Callable[[Addr], Awaitable[Conn]] = field(kw_only=False)
    """Connects a client to an address."""
    make_at: Callable[[Addr], Awaitable[Listener]] | None = None
    """Binds a listener at an address that another one had."""

    async def _specimen(self) -> Listener:
        return owned(await given(by_task_that_goes_on(self.make(), "binding"), "binding"))

    async def _client(self, listener: Listener) -> Conn:
        client = await given(connect(listener.addr()), "connecting a client")
        keep(client.close)
        # Datagrams make a connection only once there is one.
        await given(client.write(b"x"), "a client's write()")
        return client

    async def _meet(self, listener: Listener) -> tuple[Conn, Conn]:
        """Connect a client and accept it; return the accepted connection and the client."""
        client = await self._client(listener)
        conn = returned(await within(listener.accept(), "accept()"), "accept()")
        keep(conn.close)
        data = await read(conn)
        expect(data == b"x", f"a client wrote b'x', {data!r} was read")
        return conn, client

    async def _waiting(self, listener: Listener) -> "asyncio.Future[Conn]":
        accepting = start(listener.accept())
        await settle()
        return accepting

    @clause("A client's connection comes out of accept(), and carries bytes both ways.", "D5")
    async def accepts(self) -> None:
        conn, client = await self._meet(await self._specimen())
        await carry(conn, client, b"pong")
        await carry(client, conn, b"ping")

    @clause("addr() is there, with the real port, and stays the same after close().", "D2, D25")
    async def address(self) -> None:
        listener = await self._specimen()
        before = _words(returned(listener.addr(), "addr()"))
        expect(not before[1].endswith(":0"), f"addr() is {before[1]}, which is no bound address")
        await given(listener.close(), "close()")
        after = _words(returned(listener.addr(), "addr() after close()"))
        expect(before == after, f"by close(), addr() changed from {before} to {after}")

    @clause("The listener outlives the task that bound it.", "D4", after=("accepts",))
    async def outlives_its_caller(self) -> None:
        # given() awaits in a task that ends.
        listener = owned(await given(self.make(), "binding"))
        accepting = await self._waiting(listener)
        expect(
            not accepting.done(),
            f"when the task that bound had ended, accept() {outcome_of(accepting)}",
        )
        await self._client(listener)
        conn = await within(accepting, "accept() after the task that bound had ended")
        keep(conn.close)

    @clause("A cancelled accept() ends as cancelled.", "D14")
    async def accept_cancellable(self) -> None:
        accepting = await self._waiting(await self._specimen())
        accepting.cancel()
        await ended(accepting)
        expect(accepting.cancelled(), f"a cancelled accept() {outcome_of(accepting)}")

    @clause(
        "A connection that comes beside a cancelled accept() is returned later, or closed.",
        "D26",
        after=("accepts", "accept_cancellable"),
    )
    async def cancelled_accept_loses_nothing(self) -> None:
        listener = await self._specimen()
        await race_with_cancels(listener.accept, lambda: self._client(listener))

    @clause("close() wakes a waiting accept(), which raises ClosedError.", "D1")
    async def close_wakes_accept(self) -> None:
        listener = await self._specimen()
        accepting = await self._waiting(listener)
        await within(listener.close(), "close() beside a waiting accept()")
        await raises(accepting, "the waiting accept()", ClosedError)

    @clause("accept() after close() raises ClosedError.", "D1")
    async def accept_after_close(self) -> None:
        listener = await self._specimen()
        await within(listener.close(), "close()")
        await raises(listener.accept(), "accept() after close()", ClosedError)

    @clause("close() may be called twice.", "D1")
    async def close_twice(self) -> None:
        listener = await self._specimen()
        await within(listener.close(), "close()")
        await within(listener.close(), "the second close()")

    @clause(
        "close() may be called several times at once; each returns when the first has.",
        "D1",
        after=("close_twice",),
    )
    async def close_at_once(self) -> None:
        await closed_at_once((await self._specimen()).close)

    @clause(
        "close() frees the address before it returns: it can be bound again at once.",
        "D27",
        after=("accepts",),
    )
    async def address_freed(self) -> None:
        need(self.make_at, 'make_at')  # NEED
        listener = await self._specimen()
        await self._meet(listener)
        addr = listener.addr()
        await within(listener.close(), "close()")
        try:
            again = owned(await within(self.make_at(addr), "binding again"))
        except OSError as error:
            text = f"after close(), {addr} could not be bound: {describe(error)}"
            raise Broken(text) from error
        await self._meet(again)

    @clause("close() closes the connections that nobody accepted.", "D27", after=("accepts",))
    async def unaccepted_closed(self) -> None:
        listener = await self._specimen()
        if listener.addr().network().startswith("udp"):
            raise NotTried("a client cannot see the end of datagrams")
        client = await self._client(listener)
        await settle()
        await within(listener.close(), "close()")
        await within(
            end_of(client), "after close(), the connection of a client that was not accepted"
        )

    @clause("close() leaves accepted connections alone.", "D27", after=("accepts",))
    async def accepted_survive(self) -> None:
        listener = await self._specimen()
        conn, client = await self._meet(listener)
        await within(listener.close(), "close()")
        await settle()
        await carry(conn, client, b"pong")
        await carry(client, conn, b"ping")


class Echo(asyncio.Protocol):
    """One connection of an :class:`EchoServer`."""

    def __init__(self, server: "EchoServer") -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since the transports of other event loops need not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections += 1
        self._server.open.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self._transport)


class PacketEcho(asyncio.DatagramProtocol):
    """A socket that sends back each datagram."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


class EchoServer:
    """Sends back what it receives, on this host's loopback."""

    def __init__(self, contract: Contract) -> None:
        self.connections = 0
        self.open: set[asyncio.Transport] = set()
        self._contract = contract
        self._loop = asyncio.get_running_loop()

    async def tcp(self, host: str = "127.0.0.1") -> str:
        """Serve TCP, and return the address."""
        server = await self._loop.create_server(lambda: Echo(self), host, 0)
        self._keep(server)
        name = server.sockets[0].getsockname()
        return f"[{host}]:{name[1]}" if ":" in host else f"{host}:{name[1]}"

    async def unix(self) -> str:
        """Serve at a path, and return it."""
        folder = tempfile.mkdtemp()

        async def remove() -> None:
            shutil.rmtree(folder)

        self._contract.keep(remove)
        path = os.path.join(folder, "echo")
        self._keep(await self._loop.create_unix_server(lambda: Echo(self), path))
        return path

    async def udp(self) -> str:
        """Serve UDP, and return the address."""
        transport, _ = await self._loop.create_datagram_endpoint(
            PacketEcho, local_addr=("127.0.0.1", 0)
        )

        async def close() -> None:
            transport.close()

        self._contract.keep(close)
        return "{}:{}".format(*transport.get_extra_info("sockname"))

    def _keep(self, server: asyncio.Server) -> None:
        async def close() -> None:
            server.close()
            for transport in tuple(self.open):
                transport.abort()

        self._contract.keep(close)


class DialerContract(Wires, interface=Dialer):
    """Check what opens connections from this host.

    The check has servers of its own on the loopback. udp and unix need not be offered.
    """

    make: Callable[[], Dialer] = field(kw_only=False)
    """Makes the dialer."""
    unresolvable_addr: str | None = None
    """An address to dial with a name that does not resolve, and of which that is known soon:
    ``host.invalid:80``, say."""

    async def _specimen(self) -> Dialer:
        return self._build()

    def _build(self) -> Dialer:
        return owned(self.make())

    async def _dial(self, dialer: Dialer, network: str, addr: str) -> Conn:
        what = f"dial({network}, {addr})"
        dialing = by_task_that_goes_on(dialer.dial(Context(), network, addr), what)
        conn = returned(await dialing, what)
        keep(conn.close)
        return conn

    async def _dial_offered(self, network: str, addr: str) -> Conn:
        """Dial by a network that need not be offered."""
        try:
            return await self._dial(self._build(), network, addr)
        except UnsupportedError as error:
            raise NotTried(f"{network} is not offered: {error}") from error

    async def _echo(self, conn: Conn, data: bytes = b"ping") -> None:
        await carry(conn, conn, data)

    @clause("dial() gives a connection to the address.", "D5")
    async def reaches(self) -> None:
        addr = await EchoServer(self).tcp()
        await self._echo(await self._dial(self._build(), "tcp", addr))

    @clause("The connection has both addresses.", "D2", after=("reaches",))
    async def addresses(self) -> None:
        addr = await EchoServer(self).tcp()
        _addresses(await self._dial(self._build(), "tcp", addr))

    @clause("tcp4 and tcp6 are tcp as well.", "D11", after=("reaches",))
    async def networks(self) -> None:
        addr = await EchoServer(self).tcp()
        await self._echo(await self._dial(self._build(), "tcp4", addr))
        try:
            addr = await EchoServer(self).tcp("::1")
        except OSError:
            return  # This host has no IPv6.
        await self._echo(await self._dial(self._build(), "tcp6", addr))

    @clause("A name is resolved.", "D12", after=("networks",))
    async def resolves_names(self) -> None:
        _, _, port = (await EchoServer(self).tcp()).rpartition(":")
        await self._echo(await self._dial(self._build(), "tcp4", f"localhost:{port}"))

    @clause("A name that does not resolve raises socket.gaierror.", "D14", after=("reaches",))
    async def unresolvable(self) -> None:
        if self.unresolvable_addr is None:
            raise NotTried("no `unresolvable` was given")
        dialing = self._dial(self._build(), "tcp", self.unresolvable_addr)
        await raises(dialing, f"dial(tcp, {self.unresolvable_addr})", socket.gaierror)

    @clause("Where nobody listens, dial() raises ConnectionRefusedError.", "D14")
    async def refused(self) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            addr = "{}:{}".format(*bound.getsockname())
            dialing = self._dial(self._build(), "tcp", addr)
            await raises(dialing, "dial() of a port without listener", ConnectionRefusedError)

    @clause(
        "A network that is not offered raises UnsupportedError, before anything is sent.",
        "D15",
        after=("reaches",),
    )
    async def unsupported(self) -> None:
        await self._refuses("gopher", "{}", UnsupportedError)

    @clause(
        "A malformed address raises ValueError, before anything is sent.", "D15", after=("reaches",)
    )
    async def malformed(self) -> None:
        for addr in ("127.0.0.1", "127.0.0.1:70000", "[127.0.0.1:80"):
            await self._refuses("tcp", addr, ValueError)

    @clause("An address without a host raises ValueError.", "D12", after=("reaches",))
    async def no_host(self) -> None:
        await self._refuses("tcp", ":{1}", ValueError)

    async def _refuses(self, network: str, pattern: str, error: type[Exception]) -> None:
        server = EchoServer(self)
        addr = await server.tcp()
        addr = pattern.format(addr, addr.rpartition(":")[2])
        dialing = self._dial(self._build(), network, addr)
        await raises(dialing, f"dial({network}, {addr})", error)
        await settle()
        expect(not server.connections, f"dial({network}, {addr}) connected before it refused")

    @clause(
        "The connection outlives the time limit and the task of dial().", "D4", after=("reaches",)
    )
    async def outlives_its_caller(self) -> None:
        addr = await EchoServer(self).tcp()
        dialer = self._build()

        async def dial() -> Conn:
            async with asyncio.timeout(self.time_limit):
                return await dialer.dial(Context(), "tcp", addr)

        # within() awaits in a task that ends.
        conn = await within(dial(), "dial()")
        keep(conn.close)
        await settle()
        await self._echo(conn)

    @clause("Each dial() gives a connection of its own.", "D3", after=("reaches",))
    async def connections_apart(self) -> None:
        addr = await EchoServer(self).tcp()
        dialer = self._build()
        one, other = [await self._dial(dialer, "tcp", addr) for _ in range(2)]
        await within(one.close(), "close() of one of two connections")
        await self._echo(other)

    @clause(
        "One dialer may dial several times at once.",
        "D32",
        after=("reaches", "outlives_its_caller", "connections_apart"),
    )
    async def at_once(self) -> None:
        addr = await EchoServer(self).tcp()
        dialer = self._build()
        dials = asyncio.gather(*(dialer.dial(Context(), "tcp", addr) for _ in range(5)))
        conns = await within(dials, "dial(), five times at once")
        for conn in conns:
            keep(conn.close)
        await within(conns[0].close(), "close() of one of five connections")
        for number, conn in enumerate(conns[1:]):
            await self._echo(conn, b"ping %d" % number)

    async def _silent(self) -> str:
        """Return an address that never answers: the queue of its listener is full."""
        server = socket.create_server(("127.0.0.1", 0), backlog=0)
        name = server.getsockname()
        clients = [server]

        async def close() -> None:
            for client in clients:
                client.close()

        keep(close)
        loop = asyncio.get_running_loop()
        for _ in range(64):
            client = socket.socket()
            clients.append(client)
            client.setblocking(False)
            try:
                async with asyncio.timeout(0.1):
                    await loop.sock_connect(client, name)
            except TimeoutError:
                return "{}:{}".format(*name)
        raise NotTried("on this system no queue of a listener becomes full")

    async def _dial_silent(self, dialer: Dialer) -> "asyncio.Future[Conn]":
        """Begin a dial() that nobody answers."""
        dialing = start(dialer.dial(Context(), "tcp", await self._silent()))
        await settle()
        if dialing.done():
            raise NotTried(f"dial() of an address that does not answer {outcome_of(dialing)}")
        return dialing

    @clause("A cancelled dial() ends as cancelled.", "D14", after=("reaches",))
    async def cancellable(self) -> None:
        dialing = await self._dial_silent(self._build())
        dialing.cancel()
        await ended(dialing)
        expect(dialing.cancelled(), f"a cancelled dial() {outcome_of(dialing)}")

    @clause(
        "A dial() that nobody answers does not keep another one waiting.",
        "D32",
        after=("reaches", "outlives_its_caller", "cancellable"),
    )
    async def silence_apart(self) -> None:
        addr = await EchoServer(self).tcp()
        dialer = self._build()
        await self._dial_silent(dialer)
        conn = await within(
            dialer.dial(Context(), "tcp", addr), "dial() beside one that nobody answers"
        )
        keep(conn.close)
        await self._echo(conn)

    @clause("A cancelled dial() leaves nothing open.", "D4", after=("reaches", "cancellable"))
    async def cancelled_frees(self) -> None:
        server = EchoServer(self)
        addr = await server.tcp()
        dialer = self._build()
        for count in range(_TURNS):
            dialing = start(dialer.dial(Context(), "tcp", addr))
            await turns(count)
            dialing.cancel()
            await ended(dialing)
            if dialing.done() and failure_of(dialing) is None:
                await within(dialing.result().close(), "close()")
        await settle()
        await until(lambda: not server.open, "closing what cancelled dial() calls had opened")

    @clause("udp with an address gives a connection that carries datagrams.", "D9")
    async def udp(self) -> None:
        conn = await self._dial_offered("udp", await EchoServer(self).udp())
        for data in (b"one", b"two"):
            await self._echo(conn, data)

    @clause(
        "On a udp connection, write_to() another address raises ValueError.", "D9", after=("udp",)
    )
    async def udp_elsewhere(self) -> None:
        other = await EchoServer(self).udp()
        conn = await self._dial_offered("udp", await EchoServer(self).udp())
        writing = packets(conn).write_to(b"x", Address("udp", other))
        await raises(writing, "write_to() another address than the peer's", ValueError)

    @clause(
        'udp with "" gives a PacketConn that reaches any address, without read() and write().', "D9"
    )
    async def udp_unconnected(self) -> None:
        servers = [await EchoServer(self).udp() for _ in range(2)]
        conn = await self._dial_offered("udp", "")
        if not isinstance(conn, PacketConn):
            raise Broken(f'dial(udp, "") gave a {type(conn).__qualname__}, which is no PacketConn')
        for addr in servers:
            await within(conn.write_to(b"ping", Address("udp", addr)), f"write_to({addr})")
            data, sender = await within(conn.read_from(_ALL), "read_from()")
            expect(
                (data, str(sender)) == (b"ping", addr),
                f"b'ping' was sent to {addr}, {data!r} came back from {sender}",
            )
        await raises(conn.write(b"x"), "write() without a peer", UnsupportedError)
        await raises(conn.read(_ALL), "read() without a peer", UnsupportedError)

    @clause("unix takes a path.", "D11, D12")
    async def unix(self) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise NotTried("this system has no such sockets")
        await self._echo(await self._dial_offered("unix", await EchoServer(self).unix()))
