"""Limits: of connections, of requests a second, of traffic."""

import asyncio
import threading
import time

from gost_core.context import Context
from gost_core.limiter import SCOPE_SERVICE, Option, Options, conn, rate, traffic
from gost_core.options import apply


class CountLimiter:
    """At most so many at a time. Any thread may ask, so a lock guards the count."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._lock = threading.Lock()

    def allow(self, n: int, /) -> bool:
        with self._lock:
            if n > 0 and 0 < self._limit < self._count + n:
                return False
            self._count = max(self._count + n, 0)
            return True

    def limit(self) -> int:
        return self._limit


class SharedConnLimiter:
    """One budget for all keys."""

    def __init__(self, limit: int) -> None:
        self._limiter = CountLimiter(limit)

    def limiter(self, key: str, /) -> CountLimiter:
        return self._limiter


class WindowLimiter:
    """So many in each second of the clock."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._second = 0
        self._count = 0
        self._lock = threading.Lock()

    def allow(self, n: int, /) -> bool:
        with self._lock:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._count = second, 0
            if 0 < self._limit < self._count + n:
                return False
            self._count += n
            return True

    def limit(self) -> float:
        return self._limit


class KeyedRateLimiter:
    """A budget for each key; the empty key is unlimited."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._limiters: dict[str, WindowLimiter] = {}
        self._lock = threading.Lock()

    def limiter(self, key: str, /) -> rate.Limiter | None:
        if not key:
            return None
        with self._lock:
            return self._limiters.setdefault(key, WindowLimiter(self._limit))


class SliceLimiter:
    """Grants slices of a tenth of a second's budget, one after the other."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def wait(self, ctx: Context, n: int, /) -> int:
        if self._limit <= 0:
            return n
        granted = min(n, max(self._limit // 10, 1))
        await asyncio.sleep(granted / self._limit)
        return granted

    def limit(self) -> int:
        return self._limit

    def set(self, n: int, /) -> None:
        self._limit = n


class ServiceTrafficLimiter:
    """Serves the scope of the service only."""

    def __init__(self, read: int, written: int) -> None:
        self._read = SliceLimiter(read)
        self._written = SliceLimiter(written)

    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> traffic.Limiter | None:
        return self._read if apply(Options(), *opts).scope == SCOPE_SERVICE else None

    async def out(self, ctx: Context, key: str, /, *opts: Option) -> traffic.Limiter | None:
        return self._written if apply(Options(), *opts).scope == SCOPE_SERVICE else None


def prove_conn_limiter_of_key(limiter: CountLimiter) -> conn.Limiter:
    return limiter


def prove_conn_limiter(limiter: SharedConnLimiter) -> conn.ConnLimiter:
    return limiter


def prove_rate_limiter_of_key(limiter: WindowLimiter) -> rate.Limiter:
    return limiter


def prove_rate_limiter(limiter: KeyedRateLimiter) -> rate.RateLimiter:
    return limiter


def prove_traffic_limiter_of_key(limiter: SliceLimiter) -> traffic.Limiter:
    return limiter


def prove_traffic_limiter(limiter: ServiceTrafficLimiter) -> traffic.TrafficLimiter:
    return limiter
