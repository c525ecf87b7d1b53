"""The contract of connections."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from itertools import groupby

from typing_extensions import Buffer

from gost_core.common.net import ClosedError, Conn, HalfCloser, UnsupportedError
from gost_core.testing._families.closers import SHORTEST_CLOSE, Closers, closes_cut_short
from gost_core.testing._families.lent import lend
from gost_core.testing._families.readers import Readers, not_refused
from gost_core.testing._families.whole import TRANSFER, expect_carried
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    applies,
    by_task_that_ends,
    ended,
    expect,
    expect_cancelled,
    given,
    need,
    outcome_of,
    owned,
    raises,
    settle,
    start,
    turns,
    until,
    within,
)
from gost_core.testing._stage.streams import (
    ALL,
    CHUNK,
    FLOOD,
    TURNS,
    MakePair,
    addresses_of,
    begin,
    blocked_write,
    carry,
    connect,
    drained,
    end_of,
    expect_written_right,
    fill,
    flood,
    read,
    read_exactly,
    write,
    write_on,
)

__all__ = ("ConnContract", "expect_last_words")


class ConnContract(Readers, Closers, interface=Conn, first=("reads_what_is_there",)):
    """What a connection promises.

    A wrapper is tried by wrapping one end of what such a factory makes.
    """

    make: MakePair | None = field(kw_only=False)
    """Opens a stream: the end on trial, and its peer, which is on trial as well or any connection
    that keeps the contract. None = the class carries datagrams only."""
    make_datagram: MakePair | None = None
    """Opens a connected pair of datagram connections, likewise."""
    carries_datagrams: bool = True
    """Whether the class carries datagrams; False = streams only."""
    break_off: Callable[[Conn], Awaitable[None]] | None = None
    """Breaks a connection off at the peer's end, which it is given, as a crash does; on TCP, close
    with a linger time of 0."""
    cut: Callable[[Conn], Awaitable[object]] | None = None
    """Ends what is beneath the peer's end, which it is given, without the end that the protocol
    announces. For TLS and WebSocket: ``lambda conn: conn.inner.close()``."""
    ask: Callable[[Conn], Awaitable[Callable[[], bool]]] | None = None
    """Has the peer's end, which it is given, ask for an answer that the protocol wants, and returns
    what tells whether it has come. For WebSocket, whose ``ping()`` returns a future:
    ``async def ask(conn): return (await conn.ping()).done``."""

    def __post_init__(self) -> None:
        """Refuse to try nothing."""
        super().__post_init__()
        self._factory()

    def _factory(self) -> MakePair:
        if (make := self.make or self.make_datagram) is None:
            raise TypeError("nothing to try: give `make`, or `make_datagram`, or both")
        return make

    async def _to_close(self) -> Conn:
        return (await self._ends())[0]

    async def _ends(self) -> tuple[Conn, Conn]:
        return await connect(self._factory())

    async def _stream(self) -> tuple[Conn, Conn]:
        applies(self.make is not None, "the class carries datagrams only")
        return await self._ends()

    async def _datagrams(self) -> tuple[Conn, Conn]:
        applies(self.carries_datagrams, "the class carries streams only")
        return await connect(need(self.make_datagram, "make_datagram"))

    # ---- Addresses

    @clause("Both addresses are there, on networks in lower case, with IPv6 in brackets.", "D2")
    async def addresses(self) -> None:
        expect_written_right((await self._ends())[0])

    @clause(
        "Both addresses stay the same when the peer has closed or broken off, and after close().",
        "D2",
        after=("addresses", "close_after_peer"),
    )
    async def addresses_after_close(self) -> None:
        for end in filter(None, (_close, self.break_off)):
            here, there = await self._ends()
            told = [_told(here)]
            await given(end(there), "the peer's end")
            await settle()
            told.append(_told(here))
            await given(here.close(), "close()")
            told.append(_told(here))
            expect(told[0] == told[1] == told[2], " became ".join(map(str, told)))

    # ---- Data

    @clause("read() returns what is there, without waiting for more.", "D8")
    async def reads_what_is_there(self) -> None:
        here, there = await self._ends()
        await write(there, b"abc")
        data = await read(here)
        right = type(data) is bytes and b"abc".startswith(data or b"-")
        expect(right, f"b'abc' was written, read() returned {data!r}")

    @clause("read(n) returns at most n bytes.", "D8", after=("read_cancellable",))
    async def reads_at_most(self) -> None:
        here, there = await self._ends()
        # What one that was cancelled had asked for makes no difference.
        await expect_cancelled(await begin(here.read(ALL)), "read()")
        await write(there, b"abcdef")
        data = await read(here, 2)
        expect(len(data) <= 2, f"read(2) returned {len(data)} bytes")

    @clause(
        "What is written arrives whole and in order, both ways at once, however it is cut.",
        "D8",
        after=("reads_what_is_there", "reads_at_least_one", "duplex"),
    )
    async def transfer(self) -> None:
        await expect_carried(*await self._stream())

    @clause(
        "What is read beside a write() that waits does not change what that writes.",
        "D6",
        after=("transfer",),
    )
    async def ways_apart(self) -> None:
        await expect_carried(*await self._stream(), reads_late=True)

    @clause(
        "Anything with a buffer can be written, and goes out as its bytes.",
        "D8",
        after=("reads_what_is_there",),
    )
    async def any_buffer(self) -> None:
        for make in filter(None, (self.make, self.make_datagram)):
            here, there = await connect(make)
            for data in _buffers(75_000 if make is self.make else 6):
                due = memoryview(data).tobytes()
                receiving = start(read_exactly(there, len(due)))
                await write(here, data)
                received, name = await receiving, type(data).__name__
                came = f"{name}: {due!r:.60} was written, {received!r:.60} was read"
                expect(received == due, came)

    @clause(
        "write() keeps nothing of the buffer: its owner may change it afterwards.",
        "D8",
        after=("reads_what_is_there",),
    )
    async def buffer_not_kept(self) -> None:
        for size in (5, TRANSFER) if self.make else (5,):
            here, there = await self._ends()
            data = bytearray(b"x" * size)
            receiving = start(read_exactly(there, size)) if size > 5 else None
            await within(lend(here.write, data), "write() of a bytearray")
            received = await (receiving or read_exactly(there, size))
            expect(b"-" not in received, "what the buffer held after write() was sent")

    @clause(
        "Writing nothing is no end: the peer reads what comes next.",
        "D8",
        after=("reads_what_is_there",),
    )
    async def empty_is_no_end(self) -> None:
        here, there = await self._ends()
        reading = start(there.read(ALL))
        await within(here.write(b""), "write(b'')")
        await settle()
        await write(here, b"x")
        data = await within(reading, "the peer's read()")
        expect(data == b"x", f"after write(b'') and write(b'x') the peer read {data!r}")

    @clause("A slow peer slows its writer, and no other: write() waits for room.", "D8, D22")
    async def write_waits(self) -> None:
        here, _ = await self._stream()
        whole = await begin(here.write(bytes(FLOOD)))
        here, there = await self._stream()
        await carry(here, there, b"x")
        for writing in (whole, await flood(here)):
            done = f"a peer reads nothing, and write() of {FLOOD} bytes {outcome_of(writing)}"
            expect(not writing.done(), done)

    @clause(
        "Who does not read slows the peer: what is read ahead is bounded.",
        "D8",
        after=("write_waits", "read_cancellable"),
    )
    async def read_ahead_bounded(self) -> None:
        for is_half_closed in (False, True):
            here, there = await self._stream()
            await carry(there, here, b"x")
            if is_half_closed and await _half_closed(here):
                await expect_cancelled(await begin(here.read(ALL)), "read()")
            writing = await flood(there)
            taken = f"while nobody read, a peer's write() of {FLOOD} bytes {outcome_of(writing)}"
            expect(not writing.done(), taken)

    # ---- Ends

    @clause(
        'When the peer has ended, read() returns the rest, then b"", and b"" ever after.',
        "D8",
        after=("reads_what_is_there", "transfer"),
    )
    async def end(self) -> None:
        for ends_both in (True, False):
            here, there = await self._stream()
            await write(there, b"abc")
            if ends_both:
                await given(there.close(), "the peer's close()")
            elif not await _half_closed(there):
                return
            await _expect_end(here, b"abc")

    @clause(
        "An end beneath that the protocol did not announce is none: read() returns the rest, then "
        "raises ConnectionResetError.",
        "D8",
        after=("end", "reads_at_most"),
    )
    async def truncated(self) -> None:
        cut = need(self.cut, "cut")
        here, there = await self._stream()
        await write(there, b"abc")
        # What is read ahead of a read() is not lost either.
        received = await read(here, 1)
        await settle()
        await given(cut(there), "`cut`")
        received += await read_exactly(here, 2)
        expect(received == b"abc", f"of b'abc', {received!r} was read")
        await raises(here.read(ALL), "read() after it", ConnectionResetError)

    @clause(
        "When the peer is gone, write() raises BrokenPipeError or ConnectionResetError, each time.",
        "D14",
    )
    async def write_to_gone_peer(self) -> None:
        here, there = await self._stream()
        await given(there.close(), "the peer's close()")
        for _ in range(2):
            what = "write() to a peer that is gone"
            await raises(write_on(here), what, BrokenPipeError, ConnectionResetError)

    @clause("When the connection breaks off, a waiting read() raises ConnectionResetError.", "D14")
    async def broken_off(self) -> None:
        break_off = need(self.break_off, "break_off")
        here, there = await self._ends()
        reading = await begin(here.read(ALL))
        await given(break_off(there), "`break_off`")
        await raises(reading, "the waiting read()", ConnectionResetError)

    @clause(
        "A break is no end: each later read() raises ConnectionResetError too, also after a "
        "write() that failed.",
        "D8, D14",
        after=("broken_off", "write_to_gone_peer"),
    )
    async def break_is_no_end(self) -> None:
        break_off = need(self.break_off, "break_off")
        for first in (None, write_on):
            here, there = await self._stream()
            await given(break_off(there), "`break_off`")
            if first is not None:
                await raises(first(here), "write() on it", BrokenPipeError, ConnectionResetError)
            for _ in range(2):
                await raises(here.read(ALL), "read() of what broke off", ConnectionResetError)

    # ---- Cancelling

    @clause(
        "What the peer asks for is answered, and a read() cancelled meanwhile cuts nothing.",
        "D6, D7",
        after=("read_cancellable", "reads_what_is_there"),
    )
    async def answers(self) -> None:
        ask = need(self.ask, "ask")
        here, there = await self._ends()
        for number in range(TURNS):
            reading, asking = await begin(here.read(ALL)), start(ask(there))
            await turns(number)
            reading.cancel()
            await ended(reading)
            await carry(there, here, b"ping")
            # The answer may go with what is written next.
            await carry(here, there, b"pong")
            await until(await given(asking, "`ask`"), "what the peer asked for was not answered")

    @clause("A cancelled write() ends as cancelled.", "D14", after=("write_waits",))
    async def write_cancellable(self) -> None:
        here, _ = await self._stream()
        await expect_cancelled(await blocked_write(here), "write()")

    @clause(
        "A timeout on one connection leaves other connections alone.",
        "D4, D14",
        after=("read_cancellable", "reads_what_is_there"),
    )
    async def time_outs_apart(self) -> None:
        here, _ = await self._ends()
        other, other_peer = await self._ends()
        reading, other_reading = start(here.read(ALL)), await begin(other.read(ALL))
        reading.cancel()
        await settle()
        apart = f"when another connection's read() timed out, read() {outcome_of(other_reading)}"
        expect(not other_reading.done(), apart)
        await write(other_peer, b"x")
        data = await within(other_reading, "the other connection's read()")
        expect(data == b"x", f"the other connection's read() returned {data!r}")

    @clause("The connection outlives the task that made it.", "D4", after=("reads_what_is_there",))
    async def outlives_its_maker(self) -> None:
        connecting = by_task_that_ends(self._factory()(), "connecting")
        here, there = map(owned, await given(connecting, "connecting"))
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
        received = bytearray()

        async def receive() -> None:
            while piece := await there.read(ALL):
                received.extend(piece)

        writes = [start(here.write(letter * CHUNK)) for letter in (b"a", b"b")]
        receiving = start(receive())
        taken = CHUNK * len(await not_refused(writes, "write()"))
        await until(
            lambda: len(received) >= taken or receiving.done(),
            f"of {taken} bytes that two write() calls at once took, some did not arrive",
        )
        changes = sum(1 for _ in groupby(received)) - 1
        expect(changes <= 1, f"the bytes of two write() calls at once alternate {changes} times")

    @clause(
        "Two readers at once: each byte goes to one of them, or one gets a RuntimeError.",
        "D6",
        after=("transfer", "reads_at_most"),
    )
    async def readers_not_mixed(self) -> None:
        here, there = await self._stream()
        reads = [start(here.read(4)), await begin(here.read(4))]
        await write(there, b"abcdefgh")
        pieces = [reading.result() for reading in await not_refused(reads, "read()")]
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
        "What write() took arrives, though close() follows at once and the peer sends on or has "
        "ended its stream.",
        "D8",
        after=("close_reaches_peer", "close_after_peer", "write_waits", "read_ahead_bounded"),
    )
    async def last_words(self) -> None:
        await expect_last_words(*await self._stream())
        for peer_ends in (False, True):
            await expect_last_words(*await self._stream(), is_full=True, peer_ends=peer_ends)

    @clause("close() is quiet also when the peer has closed or broken off before.", "D1")
    async def close_after_peer(self) -> None:
        for end in filter(None, (_close, self.break_off)):
            here, there = await self._ends()
            await given(end(there), "the peer's end")
            await settle()
            await within(here.close(), "close() after the peer's end")

    @clause("read() after close() raises ClosedError, even if something had arrived.", "D1, D14")
    async def read_after_close(self) -> None:
        here, there = await self._ends()
        await write(there, b"abc")
        await read(here, 1)
        await write(there, b"abc")
        await settle()
        await within(here.close(), "close()")
        await raises(here.read(ALL), "read() after close()", ClosedError)

    @clause("write() after close() raises ClosedError.", "D1, D14")
    async def write_after_close(self) -> None:
        here, _ = await self._ends()
        await within(here.close(), "close()")
        await raises(here.write(b"x"), "write() after close()", ClosedError)

    @clause(
        "close() is bounded, though a write() was cut off and the peer reads nothing or writes on.",
        "D1, D7",
        after=("write_waits", "write_cancellable"),
    )
    async def close_bounded(self) -> None:
        for writes_on in (False, True):
            here, there = await self._stream()
            writing = await blocked_write(here)
            writing.cancel()
            await ended(writing)
            if writes_on:
                start(write_on(there))
            await within(here.close(), "close() with a peer that reads nothing")

    @clause(
        "close() wakes a waiting write(), which raises ClosedError.",
        "D1, D14",
        after=("write_waits", "close_bounded", "write_after_close"),
    )
    async def close_wakes_write(self) -> None:
        here, _ = await self._stream()
        writing = await begin(here.write(bytes(FLOOD)))
        await within(here.close(), "close() beside a waiting write()")
        await raises(writing, "the waiting write()", ClosedError)

    @clause(
        "A cancelled close() ends as cancelled, and frees everything all the same.",
        "D1, D14",
        after=("close_reaches_peer", "close_twice", "write_waits"),
    )
    async def close_cancelled(self) -> None:
        await _cancel_close(self._stream)

        async def opened() -> tuple[Conn, Callable[[], Awaitable[None]]]:
            here, there = await self._stream()
            what = "the peer's connection, after a cancelled close()"
            return here, lambda: within(end_of(there), what)

        await closes_cut_short(opened)

    # ---- Datagrams

    @clause("On a datagram connection, each read() returns one datagram.", "D8")
    async def datagram_whole(self) -> None:
        here, there = await self._datagrams()
        await self._expect_whole(here, there.write)

    @clause(
        "On a datagram connection, read(n) cuts to n; the rest is gone.",
        "D8",
        after=("reads_at_most", "datagram_whole"),
    )
    async def datagram_cut(self) -> None:
        here, there = await self._datagrams()
        await self._expect_cut(here, there.write)

    @clause(
        "On a datagram connection, read() returns no empty datagram.",
        "D8",
        after=("datagram_whole",),
    )
    async def datagram_not_empty(self) -> None:
        here, there = await self._datagrams()
        await write(there, b"")
        await settle()
        await carry(there, here, b"x")

    @clause("On a datagram connection, write() of too long a datagram raises OSError.", "D8")
    async def datagram_too_long(self) -> None:
        here, _ = await self._datagrams()
        await raises(here.write(bytes(ALL + 1)), "write() of 65536 bytes", OSError)


def _buffers(count: int) -> Sequence[Buffer]:
    values = array("I", range(count))
    return (
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"memoryview"),
        values,
        memoryview(values).cast("B").cast("I", (2, count // 2)),
    )


async def _close(conn: Conn) -> None:
    await conn.close()


async def _half_closed(conn: Conn) -> bool:
    """End a connection's outgoing stream; tell whether it can, as a wrapper may not know."""
    if not isinstance(conn, HalfCloser):
        return False
    try:
        await within(conn.close_write(), "the peer's close_write()")
    except UnsupportedError:
        return False
    return True


async def _expect_end(conn: Conn, rest: bytes) -> None:
    """Break the clause unless the rest of a stream is read, then its end, and again its end."""
    received = await read_exactly(conn, len(rest) + 1, 1)
    expect(received == rest, f"before the end, {received!r} was read instead of {rest!r}")
    for _ in range(2):
        data = await read(conn)
        expect(data == b"", f"after the end, read() returned {data!r}")


async def _cancel_close(connected: MakePair) -> None:
    """Break the clause unless a close() that waits can be cancelled, and frees, beside another."""
    for calls, which in ((1, 0), (2, 0), (2, 1)):
        here, there = await connected()
        await fill(here, there)
        others = [await begin(here.close()) for _ in range(calls)]
        closing = others.pop(which)
        if not closing.done():
            await expect_cancelled(closing, "close()")
        # The first one may wait until the peer has read all.
        beside = asyncio.gather(*others, end_of(there) if which else settle())
        await within(beside, "close(), beside one that was cancelled,")
        await within(end_of(there), "the peer's connection, after a cancelled close(),")
        await raises(write_on(there), "its write()", BrokenPipeError, ConnectionResetError)
        await within(here.close(), "close(), after one that was cancelled,")


async def expect_last_words(
    here: Conn, there: Conn, *, is_full: bool = False, peer_ends: bool = False, halves: bool = False
) -> None:
    """Break the clause unless what was written before close() arrives; the buffers may be full."""
    due = await fill(here, there) if is_full else 4096
    sending, full = None, asyncio.Event()
    if peer_ends:
        await _half_closed(there)
    elif is_full:
        # More than has room, and before the peer reads on.
        sending = await flood(there, full)
        full.set()
    await settle()
    loop = asyncio.get_running_loop()
    began = loop.time()
    closing = start(_write_and_close(here, b"" if is_full else bytes(due), halves))
    if is_full:
        # The peer has read nothing yet, so something is still unsent.
        await settle()
        # A close_write() may wait until the peer has read all.
        await (settle() if sending is None or halves else ended(sending))
    received = await within(drained(there), "the peer's connection, after close(),")
    await within(closing, "close()")
    expect(
        received == due or loop.time() - began >= SHORTEST_CLOSE,
        f"of {due} bytes that were on their way at close(), {received} arrived",
    )


async def _write_and_close(conn: Conn, data: bytes, halves: bool) -> None:
    await conn.write(data)
    if halves and isinstance(conn, HalfCloser):
        await conn.close_write()
    await conn.close()


def _told(conn: Conn) -> list[tuple[str, str, str]]:
    return [(what, addr.network(), str(addr)) for what, addr in addresses_of(conn)]
