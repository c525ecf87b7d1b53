"""Clauses of whatever can be closed, and the verbs in which they are written."""

import asyncio
import socket
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from gost_core.common.net import Closer, Conn
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import ended, expect, owned, settle, start, turns, within
from gost_core.testing._stage.streams import ALL, CHUNK, begin

__all__ = (
    "AT_ONCE",
    "SHORTEST_CLOSE",
    "TWICE",
    "Closers",
    "closed_at_once",
    "closed_twice",
    "closes_cut_short",
    "expect_heard",
    "expect_last_words_here",
    "expect_no_task_after_close",
    "give_little_room",
)

SHORTEST_CLOSE: Final[float] = 1.0
"""Seconds that the shortest bound of D1 is: who reads later may lose something."""
TWICE: Final[str] = "close() may be called twice."
AT_ONCE: Final[str] = (
    "close() may be called several times at once; each returns when the first has."
)
_CUTS: Final = ((1, 1, 0), (2, 1, 0), (3, 1, 0), (1, 2, 0), (1, 2, 1))
"""After how many turns of the event loop, of how many calls of close(), which is cancelled."""


class Closers(Contract):
    """The clauses of what can be closed, again and again."""

    @abstractmethod
    async def _to_close(self) -> Closer:
        """Return one that is at work."""

    async def _specimen(self) -> object:
        return await self._to_close()

    @clause(TWICE, "D1")
    async def close_twice(self) -> None:
        await closed_twice(await self._to_close())

    @clause(AT_ONCE, "D1", after=("close_twice",))
    async def close_at_once(self) -> None:
        await closed_at_once(await self._to_close())


async def closed_twice(closer: Closer, /) -> None:
    """Break the clause unless it can be closed twice, one call after the other."""
    await within(closer.close(), "close()")
    await within(closer.close(), "the second close()")


async def closed_at_once(closer: Closer, /) -> None:
    """Break the clause unless three calls of close() at once end well, the first one first."""
    closings = [start(closer.close()) for _ in range(3)]
    first_of_them = asyncio.wait(closings, return_when=asyncio.FIRST_COMPLETED)
    await within(first_of_them, "close(), thrice at once")
    await settle()
    expect(closings[0].done(), "a second close() returned while the first one was still at it")
    await within(asyncio.gather(*closings), "close(), thrice at once")


async def closes_cut_short(
    begin: Callable[[], Awaitable[tuple[Closer, Callable[[], Awaitable[object]]]]], /
) -> None:
    """Cancel a close() again and again, each time later; break the clause unless all is freed.

    ``begin`` returns what is to be closed, and what breaks the clause unless it is freed.
    """
    cut_short = list[asyncio.Future[None]]()
    # Beside the last ones another close() goes on, which would free what they leave.
    for count, calls, which in _CUTS:
        closer, expect_freed = await begin()
        others = [start(closer.close()) for _ in range(calls)]
        closing = others.pop(which)
        await turns(count)
        if closing.cancel():
            cut_short.append(closing)
        await ended(closing)
        for other in others:
            await within(other, "close(), beside one that was cancelled,")
        await expect_freed()
        await within(closer.close(), "close(), after one that was cancelled,")
    # One may have been over in the very moment, but not each.
    ended_so = not cut_short or any(one.cancelled() for one in cut_short)
    expect(ended_so, "close(), whenever it was cancelled, did not end as cancelled")


async def expect_last_words_here(dial: Callable[[str], Awaitable[Conn]], /) -> None:
    """Break the clause unless what is written before close() reaches a server on this host."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        give_little_room(server)
        conn = owned(await within(dial("{}:{}".format(*server.getsockname())), "dial()"))
        peer, _ = await within(loop.sock_accept(server), "a connection to the server")
    await expect_heard(conn, peer)


def give_little_room(peer: socket.socket, /) -> None:
    """Give a peer room for a part of what it will hear: the rest is unsent when close() comes."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK // 16)
    peer.setblocking(False)


async def expect_heard(conn: Conn, peer: socket.socket, /) -> None:
    """Break the clause unless what is written before close() reaches a peer that has little room.

    It sends on meanwhile, and is closed once it has read all.
    """
    loop = asyncio.get_running_loop()

    async def speak() -> None:
        await conn.write(bytes(CHUNK))
        await conn.close()

    began, received = loop.time(), 0
    with peer:
        peer.send(b"what nobody reads")
        speaking = await begin(speak())
        with suppress(OSError):
            peer.send(b"and more of it")
        with suppress(OSError):
            while piece := await within(loop.sock_recv(peer, ALL), "what comes, or the end,"):
                received += len(piece)
        late = loop.time() - began >= SHORTEST_CLOSE
    await within(speaking, "write() and close()")
    lost = f"of {CHUNK} bytes before close(), a peer that sends on has read {received}"
    expect(received == CHUNK or late, lost)


async def expect_no_task_after_close(before: set[asyncio.Task[Any]], /) -> None:
    """Break the clause if, after close(), more tasks run than before."""
    await settle()
    left = [task.get_coro() for task in asyncio.all_tasks() - before]
    expect(not left, f"after close(), {len(left)} tasks go on: {left!r:.200}")
