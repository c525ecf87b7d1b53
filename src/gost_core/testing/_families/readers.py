"""Clauses of reading, of streams and datagrams alike."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias

from typing_extensions import Buffer

from gost_core.common.net import ClosedError, Conn
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    expect_cancelled,
    failure_of,
    outcome_of,
    raises,
    start,
    turns,
    within,
)
from gost_core.testing._stage.streams import ALL, TURNS, begin

__all__ = ("Readers", "Send", "expect_none_lost", "not_refused")

Send: TypeAlias = Callable[[Buffer], Awaitable[None]]

_ROUNDS: Final[int] = 60


class Readers(Contract):
    """The clauses of what reads, and has a peer that writes."""

    _verb: ClassVar[str] = "read"

    @abstractmethod
    async def _ends(self) -> tuple[Conn, Conn]:
        """Return the connection on trial, and its peer."""

    async def _sender(self, conn: Conn, peer: Conn) -> Send:
        """Return what has the peer send to the connection on trial."""
        return peer.write

    async def _writing(self, conn: Conn, data: Buffer, peer: Conn) -> None:
        await conn.write(data)

    async def _reading(self, conn: Conn, n: int = ALL) -> bytes:
        return await conn.read(n)

    async def _read(self, conn: Conn, n: int = ALL) -> bytes:
        return await within(self._reading(conn, n), f"{self._verb}({n})")

    @clause("read(n) raises ValueError for n < 1.", "D8")
    async def reads_at_least_one(self) -> None:
        conn, _ = await self._ends()
        for n in (0, -1):
            await raises(self._reading(conn, n), f"{self._verb}({n})", ValueError)

    @clause("A read() that waits does not keep a write() waiting.", "D6", after=(FIRST,))
    async def duplex(self) -> None:
        conn, peer = await self._ends()
        send = await self._sender(conn, peer)
        reading = await begin(self._reading(conn))
        await within(self._writing(conn, b"x", peer), f"a write beside a waiting {self._verb}()")
        await self._read(peer)
        await within(send(b"y"), "what the peer sends")
        data = await within(reading, f"the waiting {self._verb}()")
        expect(data == b"y", f"the waiting {self._verb}() returned {data!r} instead of b'y'")

    @clause(
        "A cancelled read() ends as cancelled; however many were, the next one works.",
        "D14, D20",
        after=(FIRST,),
    )
    async def read_cancellable(self) -> None:
        conn, peer = await self._ends()
        send = await self._sender(conn, peer)
        for _ in range(TURNS):
            await expect_cancelled(await begin(self._reading(conn)), f"{self._verb}()")
        await within(send(b"x"), "what the peer sends")
        data = await self._read(conn)
        expect(data == b"x", f"after cancelled calls, {self._verb}() returned {data!r}, not b'x'")

    @clause(
        "A cancelled read() loses no data: a later one returns it.",
        "D7",
        after=(FIRST, "read_cancellable"),
    )
    async def cancelled_read_loses_nothing(self) -> None:
        conn, peer = await self._ends()
        read, send = partial(self._reading, conn), await self._sender(conn, peer)
        await expect_none_lost(read, send, self._verb)

    @clause("close() wakes a waiting read(), which raises ClosedError.", "D1, D14")
    async def close_wakes_read(self) -> None:
        conn, _ = await self._ends()
        reading = await begin(self._reading(conn))
        await within(conn.close(), f"close() beside a waiting {self._verb}()")
        await raises(reading, f"the waiting {self._verb}()", ClosedError)

    # ---- For those that read datagrams

    async def _expect_whole(self, conn: Conn, send: Send) -> None:
        """Break the clause unless each call returns one datagram."""
        # Two of them are alike, and one ends in what might be padding.
        sent, long = [b"a", b"a", b"bc" * 700 + b"\0"], b"d" * 9000
        for data in sent:
            await within(send(data), "what the peer sends")
        # Not everywhere may one be so long.
        with suppress(OSError):
            await within(send(long), "what the peer sends")
            sent.append(long)
        received = [await self._read(conn) for _ in sent]
        expect(
            sorted(received) == sorted(sent),
            f"datagrams of {[*map(len, sent)]} bytes were read as {[*map(len, received)]}",
        )

    async def _expect_cut(self, conn: Conn, send: Send) -> None:
        """Break the clause unless what is too long for a call is cut to it."""
        received: list[bytes] = []
        for data in (b"abcdef", b"x"):
            await within(send(data), "what the peer sends")
            received.append(await self._read(conn, 2))
        expect(
            received == [b"ab", b"x"],
            f"{self._verb}(2) of b'abcdef' and then of b'x' returned {received}",
        )


async def expect_none_lost(
    read: Callable[[int], Awaitable[bytes]], send: Send, verb: str, /
) -> None:
    """Break the clause if a cancelled call loses what comes beside it."""
    received = bytearray()
    for number in range(_ROUNDS):
        reading = start(read(1 if number // TURNS % 2 else ALL))
        await turns(1)
        sending = start(send(bytes([number])))
        await turns(number % TURNS)
        reading.cancel()
        await within(sending, "what the peer sends")
        await ended(reading)
        lost = f"{verb}(), after a cancelled one beside which something came,"
        later = read(ALL) if reading.cancelled() else reading
        received += await within(later, lost)
    due, got = bytes(range(_ROUNDS)), bytes(received)
    expect(got == due, f"{due!r} came beside cancelled calls, {verb}() returned {got!r}")


async def not_refused(
    calls: "Sequence[asyncio.Future[Any]]", what: str, /
) -> "list[asyncio.Future[Any]]":
    """Break the clause unless calls at once end well or by RuntimeError; return the former."""
    await within(asyncio.wait(calls), f"one of two {what} calls at once")
    for call in calls:
        expect(
            failure_of(call) is None or isinstance(failure_of(call), RuntimeError),
            f"one of two {what} calls at once {outcome_of(call)}",
        )
    return [call for call in calls if failure_of(call) is None]
