"""The contract of connections that can end their own direction of a stream."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import field

from gost_core.common.net import Aborter, ClosedError, Conn, HalfCloser, UnsupportedError
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import (
    applies,
    ended,
    expect,
    expect_cancelled,
    given,
    need,
    noting_tasks,
    owned,
    raises,
    settle,
    start,
    turns,
    within,
)
from gost_core.testing._stage.streams import (
    ALL,
    CHUNK,
    MakePair,
    begin,
    carry,
    connect,
    drained,
    fill,
    read,
    read_exactly,
    write,
    write_on,
)
from gost_core.testing.common.net._conn import expect_last_words

__all__ = ("HalfCloserContract",)


class HalfCloserContract(Contract, interface=HalfCloser):
    """What a connection promises that can end its own direction of a stream."""

    make: MakePair = field(kw_only=False)
    """Opens a stream: the end on trial, and its peer."""
    make_unable: Callable[[], Awaitable[Conn]] | None = None
    """Opens a connection of the same class over one that cannot half-close."""
    wraps: bool = True
    """Whether the class is one of wrappers; False = each of its connections can half-close."""

    async def _specimen(self) -> Conn:
        return (await self._pair())[0]

    async def _pair(self) -> tuple[Conn, Conn]:
        return await connect(self.make)

    async def _end(self, conn: Conn) -> None:
        await within(_half(conn).close_write(), "close_write()")

    @clause('After close_write(), the peer reads all that was written, then b"".', "D8")
    async def ends_stream(self) -> None:
        here, there = await self._pair()
        due = 3 + await fill(here, there)
        receiving = start(drained(there))
        await write(here, b"abc")
        await self._end(here)
        received = await within(receiving, "the peer's stream, after close_write(),")
        expect(received == due, f"{due} bytes were on their way, the peer read {received}")
        data = await read(there)
        expect(data == b"", f"after that, the peer's read() returned {data!r}")

    @clause(
        "After close_write(), what the peer writes is still read, a waiting read() included.",
        "D10",
        after=("ends_stream",),
    )
    async def reading_goes_on(self) -> None:
        here, there = await self._pair()
        reading = await begin(here.read(ALL))
        await self._end(here)
        await settle()
        await write(there, b"x")
        data = await within(reading, "read(), which waited at close_write(),")
        expect(data == b"x", f"read(), which waited at close_write(), returned {data!r}")
        await carry(there, here, b"answer" * 1000)

    @clause(
        "After close_write() too, a peer that breaks off is no end of its stream: read() raises "
        "ConnectionResetError.",
        "D8",
        after=("reading_goes_on",),
    )
    async def break_is_no_end(self) -> None:
        for waits in (False, True):
            here, there = await self._pair()
            aborter = need(there if isinstance(there, Aborter) else None, "make` whose peer aborts")
            await self._end(here)
            reading = await begin(here.read(ALL)) if waits else here.read(ALL)
            aborter.abort()
            await given(there.close(), "the peer's close()")
            await raises(reading, "read(), after a break by the peer,", ConnectionResetError)

    @clause(
        "close_write() takes nothing of what has come, and waits for no cancelled read().",
        "D10, D20",
        after=("ends_stream",),
    )
    async def unread_kept(self) -> None:
        here, there = await self._pair()
        await expect_cancelled(await begin(here.read(ALL)), "read()")
        await write(there, b"early")
        await settle()
        await self._end(here)
        early = await read_exactly(here, len(b"early"))
        expect(early == b"early", f"b'early' came before close_write(), {early!r} was read")

    @clause(
        "After a close_write() that was cancelled, the next one ends the stream.",
        "D1, D20",
        after=("ends_stream", "twice"),
    )
    async def next_after_cancelled(self) -> None:
        for after in range(3):
            here, there = await self._pair()
            # What is unsent may have to be sent first.
            await fill(here, there)
            ending = start(_half(here).close_write())
            await turns(after)
            ending.cancel()
            await ended(ending)
            receiving = start(drained(there))
            await self._end(here)
            await within(receiving, "the peer's stream, after a cancelled close_write(),")

    @clause(
        "close_write() may be called twice, and reading goes on; once the peer is gone it raises "
        "BrokenPipeError or ConnectionResetError, or nothing.",
        "D1, D10, D14",
        after=("reading_goes_on",),
    )
    async def twice(self) -> None:
        for breaks in (False, True):
            here, there = await self._pair()
            if breaks and isinstance(there, Aborter):
                there.abort()
            else:
                await self._end(here)
                await within(_half(here).close_write(), "a second close_write()")
                await carry(there, here, b"answer")
            await given(there.close(), "the peer's close()")
            await settle()
            with suppress(BrokenPipeError, ConnectionResetError):
                await within(_half(here).close_write(), "close_write() to a peer that is gone")
            try:
                await read(here)
            except OSError as error:
                closed = "close_write() to a peer that is gone closed this end too"
                expect(not isinstance(error, ClosedError), closed)

    @clause("write() after close_write() raises BrokenPipeError.", "D14")
    async def write_after(self) -> None:
        here, _ = await self._pair()
        await self._end(here)
        await raises(here.write(b"x"), "write() after close_write()", BrokenPipeError)

    @clause("close() after close_write() ends the other direction.", "D3", after=("ends_stream",))
    async def close_after(self) -> None:
        here, there = await self._pair()
        await self._end(here)
        await within(here.close(), "close() after close_write()")
        what = "the peer's write(), after close_write() and close(),"
        await raises(write_on(there), what, BrokenPipeError, ConnectionResetError)

    @clause(
        "What write() took arrives, though close_write() and close() follow at once and the peer "
        "sends on.",
        "D8",
        after=("reading_goes_on", "close_after"),
    )
    async def last_words(self) -> None:
        await expect_last_words(*await self._pair(), is_full=True, halves=True)

    @clause("close_write() after close() raises ClosedError.", "D1, D14")
    async def after_close(self) -> None:
        here, _ = await self._pair()
        await within(here.close(), "close()")
        await raises(_half(here).close_write(), "close_write() after close()", ClosedError)

    @clause(
        "close() ends a close_write() that waits, which raises ClosedError; so does abort().",
        "D1, D14, D72",
        after=("ends_stream", "after_close"),
    )
    async def close_wakes_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        free, _ = await self._pair()
        began = loop.time()
        await within(_half(free).close_write(), "close_write()")
        took = loop.time() - began
        for aborts in (False, True):
            here, there = await self._pair()
            # What is unsent may have to be sent first.
            await fill(here, there)
            ending = await begin(_half(here).close_write())
            # One that waits for nothing may take its time, on a busy machine.
            await settle()
            await asyncio.sleep(10 * took)
            waits = not ending.done()
            if aborts and isinstance(here, Aborter):
                here.abort()
            else:
                await within(here.close(), "close() beside a waiting close_write()")
            if waits:
                await raises(ending, "the waiting close_write()", ClosedError)

    @clause("When the peer has ended its stream, this end may go on writing.", "D10")
    async def writing_goes_on(self) -> None:
        here, there = await self._pair()
        end = there.close_write if isinstance(there, HalfCloser) else None
        end = need(end, "make` whose peer can end its stream alone")
        await given(end(), "the peer's close_write()")
        data = await read(here)
        expect(data == b"", f"after the peer's close_write(), read() returned {data!r}")
        await settle()
        receiving = start(read_exactly(there, CHUNK))
        for _ in range(2):
            await write(here, bytes(CHUNK // 2))
        received = await within(receiving, "what the peer reads")
        expect(len(received) == CHUNK, f"of {CHUNK} bytes, {len(received)} arrived")

    @clause(
        "Over a connection that cannot, close_write() raises UnsupportedError, and all else works.",
        "D10",
    )
    async def unsupported(self) -> None:
        if conn := await self._unable():
            for _ in range(2):
                what = "close_write() over a connection that cannot"
                await raises(_half(conn).close_write(), what, UnsupportedError)
            await within(conn.write(b"x"), "write() after close_write() was refused")

    @clause(
        "A close_write() that was refused leaves no task behind.", "D20", after=("unsupported",)
    )
    async def refusal_over(self) -> None:
        if conn := await self._unable():
            begun = list[asyncio.Task[object]]()
            with suppress(UnsupportedError):
                await within(noting_tasks(_half(conn).close_write(), begun), "close_write()")
            await within(conn.close(), "close()")
            await ended(asyncio.gather(*begun, return_exceptions=True))
            left = [one for one in begun if not one.done()]
            expect(not left, f"close_write() was refused, and close() left {left}")

    async def _unable(self) -> Conn | None:
        """Return a connection that cannot half-close, or None if it does not have the method."""
        applies(self.wraps, "it is no wrapper")
        make_unable = need(self.make_unable, "make_unable")
        conn = owned(await given(make_unable(), "`make_unable`"))
        return conn if isinstance(conn, HalfCloser) else None


def _half(conn: Conn) -> HalfCloser:
    """Return the connection as the HalfCloser that the scenario needs it to be."""
    if not isinstance(conn, HalfCloser):
        raise Broken(f"a {type(conn).__qualname__} is no HalfCloser")
    return conn
