"""How many may be there who have not said yet what they want."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from gost_core.common import net

from .address import host_of

T = TypeVar("T")

MOST: Final = 512  # at once
TURNS: Final = 4  # of the loop, for each of those who come from one host
_turns: Final = WeakValueDictionary[tuple[int, str], asyncio.Lock]()


async def turn(conn: net.Conn, turns: int = TURNS) -> None:
    """Wait before work that a peer causes: those of one host have it done one after the other."""
    loop, host = asyncio.get_running_loop(), host_of(str(conn.remote_addr()))
    async with _turns.setdefault((id(loop), host), asyncio.Lock()):
        for _ in range(turns):
            await asyncio.sleep(0)


class Newcomers:
    """Gives each newcomer a time, and ends some of them earlier where there are too many.

    It is the host that has most which loses its oldest one: whoever opens many connections and
    says nothing stops nobody else.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: dict[str, dict[asyncio.Timeout, None]] = {}  # by host, the oldest first

    async def limited(self, conn: net.Conn, seconds: float, call: Awaitable[T]) -> T:
        """Await what a newcomer begins with; a TimeoutError says that its time is over."""
        host, limit = host_of(str(conn.remote_addr())), asyncio.timeout(seconds)
        try:
            async with limit:
                self._waiting.setdefault(host, {})[limit] = None
                if sum(map(len, self._waiting.values())) > self._most:
                    self._end_one()
                try:
                    return await call
                finally:
                    self._forget(host, limit)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError("it did not say in time what it wants") from error

    def _end_one(self) -> None:
        host = max(self._waiting, key=lambda host: len(self._waiting[host]))
        oldest = next(iter(self._waiting[host]))
        self._forget(host, oldest)
        oldest.reschedule(0)

    def _forget(self, host: str, limit: asyncio.Timeout) -> None:
        if limit in self._waiting.get(host, ()):
            del self._waiting[host][limit]
            if not self._waiting[host]:
                del self._waiting[host]
