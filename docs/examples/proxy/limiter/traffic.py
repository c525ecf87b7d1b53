"""How many bytes a second may go through."""

import asyncio
from collections.abc import Mapping, MutableMapping
from weakref import WeakValueDictionary

from gost_core import limiter
from gost_core.context import Context
from gost_core.limiter import SCOPE_CONN, traffic
from gost_core.options import apply

from ..net.address import host_of
from .bucket import Bucket, Budgets

PAUSE = 0.02  # seconds at least between grants, so that a slow stream does not go byte by byte


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

    def is_full(self) -> bool:
        """Tell whether it is as good as a new one."""
        return self._bucket.is_full()

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
        # The budget of a connection ends with it, once it is as good as a new one.
        self._passing = WeakValueDictionary[tuple[str, ...], Bytes]()
        self._spent = Budgets[tuple[str, ...], Bytes]()

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
        budget = (direction, scope, options.service, key)
        found = budgets.setdefault(budget, Bytes(limit))
        if budgets is self._passing:
            self._spent.of(budget, lambda: found)
        return found
