"""Counting what goes through a service."""

from threading import Lock

from typing_extensions import Buffer

from gost_core.common import net
from gost_core.observer.stats import Kind, Stats

from ..net.wrapper import Wrapper


class Counts(Stats):
    """Counts behind a lock: any thread may use it (D21)."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def add(self, kind: Kind, n: int, /) -> None:
        with self._lock:
            if kind in self._counts:
                self._counts[kind] += n
                self._updated = True

    def get(self, kind: Kind, /) -> int:
        with self._lock:
            return self._counts.get(kind, 0)

    def is_updated(self) -> bool:
        with self._lock:
            updated, self._updated = self._updated, False
            return updated

    def reset(self) -> None:
        with self._lock:
            self._counts = dict.fromkeys(Kind, 0)
            self._updated = False


class CountingConn(Wrapper):
    """Counts itself, and the bytes that are read and written."""

    def __init__(self, inner: net.Conn, stats: Stats) -> None:
        super().__init__(inner)
        self._stats = stats
        self._open = True
        stats.add(Kind.TOTAL_CONNS, 1)
        stats.add(Kind.CURRENT_CONNS, 1)

    async def read(self, n: int, /) -> bytes:
        data = await self._inner.read(n)  # not by way of super(), which is one frame more to keep
        self._stats.add(Kind.INPUT_BYTES, len(data))
        return data

    async def write(self, data: Buffer, /) -> None:
        await super().write(data)
        self._stats.add(Kind.OUTPUT_BYTES, memoryview(data).nbytes)

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            was_open, self._open = self._open, False
            if was_open:  # counted down once, however often it is closed (D54)
                self._stats.add(Kind.CURRENT_CONNS, -1)
