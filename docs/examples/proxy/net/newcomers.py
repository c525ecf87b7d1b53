"""What peers may ask for before others have their turn, and how many may not have asked yet."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Final, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from gost_core.common import net

from .address import host_of

P = ParamSpec("P")
T = TypeVar("T")

MOST: Final = 512  # at once
# Seconds of work in a turn of the loop for one host; the same where no other one has had any done
# for so many seconds.
SHARE, ALL, ALONE = 0.0001, 0.002, 1.0


class Host:
    """What the peers of a host have caused, and not made up for by leaving turns to others."""

    latest, came = "", -ALONE  # who has had something done, and when that was somebody else

    def __init__(self) -> None:
        self.debt = 0.0
        self.lock = asyncio.Lock()

    async def pay(self, share: float) -> None:
        """Wait for as many turns as it takes; those of one host do so one after the other."""
        async with self.lock:
            while self.debt >= share:
                self.debt -= share
                await asyncio.sleep(0)


_hosts: Final = WeakValueDictionary[tuple[int, str], Host]()


@coroutine
def fairly(
    host: str, work: Callable[P, Coroutine[object, None, T]], *args: P.args, **more: P.kwargs
) -> Generator[object, None, T]:
    """Do what a peer has caused: the more work it is, the more turns all others have.

    Work is time of the processor between two waits; so it is the same what a peer asks for, on how
    many connections, and how often.
    """
    key = id(asyncio.get_running_loop()), host
    account = _hosts.get(key) or _hosts.setdefault(key, Host())
    call = work(*args, **more)
    fault: BaseException | None = None
    while True:
        if Host.latest != host:
            Host.latest, Host.came = host, time.monotonic()
        crowded = time.monotonic() - Host.came < ALONE
        clock, share = (time.thread_time, SHARE) if crowded else (time.perf_counter, ALL)
        began = clock()
        try:
            waits = call.send(None) if fault is None else call.throw(fault)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            account.debt += clock() - began
        try:
            fault = None
            yield waits
            if account.debt >= share:
                yield from account.pay(share).__await__()
        except BaseException as error:  # also that of a cancellation, which the call hears of
            fault = error


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
