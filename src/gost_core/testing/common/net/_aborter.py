"""The contract of connections that can be broken off."""

from dataclasses import field

from gost_core.common.net import Aborter, ClosedError, Conn
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import expect, raises, within
from gost_core.testing._stage.streams import (
    ALL,
    MakePair,
    begin,
    blocked_write,
    connect,
    drained,
    end_of,
    read,
    read_exactly,
    write,
)

__all__ = ("AborterContract",)


class AborterContract(Contract, interface=Aborter):
    """What a connection promises that can be broken off, so that it does not look complete."""

    make: MakePair = field(kw_only=False)
    """Opens a stream: the end on trial, and its peer, which keeps the contract of connections."""

    async def _specimen(self) -> Conn:
        return (await self._pair())[0]

    async def _pair(self) -> tuple[Conn, Conn]:
        return await connect(self.make)

    @clause("After abort() the peer reads no end: read() raises ConnectionResetError.", "D72")
    async def cut_shows(self) -> None:
        here, there = await self._pair()
        await write(here, b"half")
        _abort(here)
        # It is told by close(), if that cannot be done without waiting.
        await within(here.close(), "close() after abort()")
        what = "the peer's read(), after abort() and close(),"
        await raises(_read_on(there), what, ConnectionResetError)

    @clause("abort() ends waiting calls, which raise ClosedError.", "D72")
    async def wakes_waiting(self) -> None:
        here, _ = await self._pair()
        reading = await begin(here.read(ALL))
        writing = await blocked_write(here)
        _abort(here)
        await raises(reading, "the waiting read()", ClosedError)
        await raises(writing, "the waiting write()", ClosedError)

    @clause(
        "After abort() and close(), read() and write() raise ClosedError, even if something had "
        "arrived.",
        "D14, D72",
        after=("wakes_waiting",),
    )
    async def use_after(self) -> None:
        here, there = await self._pair()
        await write(there, b"early")
        await read(here, 1)
        _abort(here)
        await within(here.close(), "close() after abort()")
        await raises(here.read(ALL), "read() after abort() and close()", ClosedError)
        await raises(here.write(b"x"), "write() after abort() and close()", ClosedError)

    @clause("abort() may be called twice.", "D72")
    async def abort_twice(self) -> None:
        here, there = await self._pair()
        _abort(here)
        _abort(here)
        await within(here.close(), "close() after abort()")
        await within(end_of(there), "the peer's connection")

    @clause("After abort(), close() does not wait for a peer that reads nothing.", "D1, D72")
    async def close_follows(self) -> None:
        here, there = await self._pair()
        await blocked_write(here)
        _abort(here)
        await within(here.close(), "close() after abort()")
        await within(drained(there), "the peer's connection")

    @clause("After close(), abort() has no effect.", "D72")
    async def after_close(self) -> None:
        here, there = await self._pair()
        await write(here, b"all")
        await within(here.close(), "close()")
        _abort(here)
        received = await read_exactly(there, 3)
        expect(received == b"all", f"of b'all', {received!r} was read")
        data = await read(there)
        expect(data == b"", f"after that, the peer's read() returned {data!r}")


def _abort(conn: Conn) -> None:
    """Abort the connection, which the scenario needs to be an Aborter."""
    if not isinstance(conn, Aborter):
        raise Broken(f"a {type(conn).__qualname__} is no Aborter")
    conn.abort()


async def _read_on(conn: Conn) -> None:
    """Read to the end."""
    while await conn.read(ALL):
        pass
