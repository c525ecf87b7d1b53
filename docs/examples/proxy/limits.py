"""Limits on connections, requests and bytes: how much there is, and for whom."""

import asyncio
import time
from collections.abc import Mapping, MutableMapping
from threading import Lock
from weakref import WeakValueDictionary

from gost_core import limiter
from gost_core.context import Context
from gost_core.limiter import SCOPE_CONN, conn, rate, traffic
from gost_core.options import apply

from .address import host_of

PAUSE = 0.02  # seconds at least between grants, so that a slow stream does not go byte by byte


class Places(conn.Limiter):
    """So many places, for connections that are open at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._lock = Lock()  # any thread may use it (D21)

    def allow(self, n: int, /) -> bool:
        with self._lock:
            if n > 0 and 0 < self._limit < self._taken + n:
                return False
            self._taken = max(self._taken + n, 0)
            return True

    def limit(self) -> int:
        return self._limit


class HostConnLimiter(conn.ConnLimiter):
    """Gives each host places of its own: those that are set for it, or as many as all others."""

    def __init__(self, limits: Mapping[str, int], others: int = 0) -> None:
        self._places = {host: Places(limit) for host, limit in limits.items()}
        self._others = others
        # Whoever took a place keeps its limiter to give it back, so none in use is forgotten.
        self._of_others = WeakValueDictionary[str, Places]()
        self._lock = Lock()

    def limiter(self, key: str, /) -> conn.Limiter | None:
        with self._lock:
            if key in self._places or self._others <= 0:
                return self._places.get(key)
            return self._of_others.setdefault(key, Places(self._others))


class Bucket:
    """A token bucket: it holds a burst, and is refilled at a rate."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._filled = time.monotonic()

    def level(self) -> float:
        """Return what is there by now."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._filled) * self._rate)
        self._filled = now
        return self._level

    def is_full(self) -> bool:
        """Tell whether it is as good as a new one."""
        return self.level() == self._burst

    def take(self, n: int) -> bool:
        """Take ``n`` if they are there, else nothing."""
        if self.level() < n:
            return False
        self._level -= n
        return True

    def change(self, rate: float, burst: float) -> None:
        """Change what comes from now on; what is there stays, if it fits."""
        self._level = min(self.level(), burst)
        self._rate, self._burst = rate, burst


class Requests(rate.Limiter):
    """So many requests a second; a pause saves up a burst, by default that of one second."""

    def __init__(self, limit: float, burst: int = 0) -> None:
        self._limit = limit
        self._bucket = Bucket(limit, burst or int(limit) + 1)
        self._lock = Lock()

    def allow(self, n: int, /) -> bool:
        with self._lock:
            return self._limit <= 0 or self._bucket.take(n)

    def limit(self) -> float:
        return self._limit

    def is_full(self) -> bool:
        """Tell whether it is as good as a new one."""
        with self._lock:
            return self._bucket.is_full()


class HostRateLimiter(rate.RateLimiter):
    """Gives each host a budget of its own: the one set for it, or the one that all others have."""

    def __init__(self, limits: Mapping[str, float], others: float = 0) -> None:
        self._limits = dict(limits)
        self._others = others
        self._requests: dict[str, Requests] = {}
        self._lock = Lock()

    def limiter(self, key: str, /) -> rate.Limiter | None:
        limit = self._limits.get(key, self._others)
        if limit <= 0:
            return None
        with self._lock:
            if key not in self._requests:
                # A newcomer is the occasion to forget who has long been gone.
                kept = {host: one for host, one in self._requests.items() if not one.is_full()}
                self._requests = {**kept, key: Requests(limit)}
            return self._requests[key]


class Bytes(traffic.Limiter):
    """So many bytes a second, for all who draw on it; a pause saves up those of one second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bucket = Bucket(limit, limit)
        self._changed = asyncio.Event()

    async def wait(self, ctx: Context, n: int, /) -> int:
        while self._limit > 0:
            if (there := int(self._bucket.level())) > 0:
                granted = min(n, there)
                self._bucket.take(granted)
                return granted
            missing = 1 - self._bucket.level()
            try:
                # Nothing is taken before the call returns, so a cancelled one takes nothing.
                async with asyncio.timeout(max(missing / self._limit, PAUSE)):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return n

    def limit(self) -> int:
        return self._limit

    def set(self, n: int, /) -> None:
        self._limit = n
        self._bucket.change(max(n, 0), max(n, 0))
        # Who waits has reckoned with the old limit (D52).
        self._changed.set()
        self._changed = asyncio.Event()


class ScopedTrafficLimiter(traffic.TrafficLimiter):
    """Goes by rules for each scope, in bytes a second and direction.

    A scope's rules are by key: the service's name, the client's id, or for a connection the
    client's host. "*" is every other key. A scope without rules is not served.
    """

    def __init__(self, rules: Mapping[str, Mapping[str, int]]) -> None:
        self._rules = {scope: dict(limits) for scope, limits in rules.items()}
        self._lasting: dict[tuple[str, ...], Bytes] = {}
        # The budget of a connection ends with it.
        self._passing = WeakValueDictionary[tuple[str, ...], Bytes]()

    async def in_(self, ctx: Context, key: str, /, *opts: limiter.Option) -> traffic.Limiter | None:
        return self._find("in", key, apply(limiter.Options(), *opts))

    async def out(self, ctx: Context, key: str, /, *opts: limiter.Option) -> traffic.Limiter | None:
        return self._find("out", key, apply(limiter.Options(), *opts))

    def _find(self, direction: str, key: str, options: limiter.Options) -> Bytes | None:
        scope = options.scope or SCOPE_CONN
        rules = self._rules.get(scope, {})
        name = host_of(key) if scope == SCOPE_CONN else key
        limit = rules.get(name, rules.get("*"))
        if limit is None:
            return None
        budgets: MutableMapping[tuple[str, ...], Bytes] = (
            self._passing if scope == SCOPE_CONN else self._lasting
        )
        return budgets.setdefault((direction, scope, options.service, key), Bytes(limit))
