"""Clauses of reading, of streams and datagrams alike."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Final, TypeAlias

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

__all__ = ("Readers", "Send", "not_refused")

Send: TypeAlias = Callable[[bytes], Awaitable[None]]

_ROUNDS: Final[int] = 60
_LAST: Final[bytes] = b"\xff"


class Readers(Contract):
    """The clauses of what reads, and has a peer that writes."""

    _verb: ClassVar[str] = "read"
    _keeps_order: ClassVar[bool] = True

    @abstractmethod
    async def _ends(self) -> tuple[Conn, Conn]:
        """Return the connection on trial, and its peer."""

    async def _sender(self, conn: Conn, peer: Conn) -> Send:
        """Return what has the peer send to the connection on trial."""
        return peer.write

    async def _reading(self, conn: Conn, n: int = ALL) -> bytes:
        return await conn.read(n)

    async def _read(self, conn: Conn, n: int = ALL) -> bytes:
        return await within(self._reading(conn, n), f"{self._verb}({n})")

    @clause("read(n) raises ValueError for n < 1.", "D8")
    async def reads_at_least_one(self) -> None:
        conn, _ = await self._ends()
        for n in (0, -1):
            await raises(self._reading(conn, n), f"{self._verb}({n})", ValueError)

    @clause("A cancelled read() ends as cancelled.", "D14")
    async def read_cancellable(self) -> None:
        conn, _ = await self._ends()
        await expect_cancelled(await begin(self._reading(conn)), f"{self._verb}()")

    @clause(
        "A cancelled read() loses no data: a later one returns it.",
        "D7",
        after=(FIRST, "read_cancellable"),
    )
    async def cancelled_read_loses_nothing(self) -> None:
        conn, peer = await self._ends()
        send = await self._sender(conn, peer)
        received = bytearray()
        for number in range(_ROUNDS):
            reading = start(self._reading(conn))
            await turns(1)
            sending = start(send(bytes([number])))
            await turns(number % TURNS)
            reading.cancel()
            await within(sending, "what the peer sends")
            await ended(reading)
            if not reading.cancelled():
                received += await within(reading, f"a cancelled {self._verb}()")
        await within(send(_LAST), "what the peer sends")
        while not received.endswith(_LAST):
            if not (data := await self._read(conn)):
                break
            received += data
        missing = len(set(range(_ROUNDS)) - set(received))
        beside = f"of {_ROUNDS} bytes that came beside cancelled calls of {self._verb}()"
        expect(not missing, f"{beside}, {missing} were lost")
        if self._keeps_order:
            expected = bytes(range(_ROUNDS)) + _LAST
            expect(bytes(received) == expected, f"{beside}, some are in disorder")

    @clause("close() wakes a waiting read(), which raises ClosedError.", "D1, D14")
    async def close_wakes_read(self) -> None:
        conn, _ = await self._ends()
        reading = await begin(self._reading(conn))
        await within(conn.close(), f"close() beside a waiting {self._verb}()")
        await raises(reading, f"the waiting {self._verb}()", ClosedError)

    # ---- For those that read datagrams

    async def _expect_whole(self, conn: Conn, send: Send) -> None:
        """Break the clause unless each call returns one datagram."""
        sent = [b"a", b"bc" * 700, b"d"]
        for data in sent:
            await within(send(data), "what the peer sends")
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
