"""Limiters that allow and grant something, or nothing."""

from gost_core import limiter
from gost_core.context import Context
from gost_core.limiter import rate, traffic
from gost_core.options import apply
from gost_core.testing._stage.fakes.recorded import Lent, Recorded

__all__ = ("FakeRateLimiter", "FakeTrafficLimiter")


class _Budget(traffic.Limiter):
    def __init__(self, limiter: "FakeTrafficLimiter", key: str) -> None:
        self._limiter = limiter
        self._key = key

    async def wait(self, ctx: Context, n: int, /) -> int:
        self._limiter.drawn_from.add(self._key)
        await self._limiter.waits.record(n)
        if self._limiter.refuses:
            return 0
        granted = n - n // 2
        self._limiter.granted += granted
        return granted

    def limit(self) -> int:
        return 1_000_000_000

    def set(self, n: int, /) -> None:
        raise AssertionError("only the owner of a limiter sets it")


class FakeTrafficLimiter(Lent, traffic.TrafficLimiter):
    """A limiter that grants half of what it is asked for and counts it, or grants nothing.

    With ``only``, "in" or "out", the other direction has no limit.
    """

    def __init__(self, *, refuses: bool = False, only: str = "") -> None:
        self.refuses = refuses
        self.error: Exception | None = None
        self._only = only
        self.granted = 0
        self.waits = Recorded[int]()
        self.asked = Recorded[tuple[str, str]]()
        self.drawn_from = set[str]()

    async def in_(self, ctx: Context, key: str, /, *opts: limiter.Option) -> traffic.Limiter | None:
        """Return the budget of a key."""
        return await self._find("in", key, *opts)

    async def out(self, ctx: Context, key: str, /, *opts: limiter.Option) -> traffic.Limiter | None:
        """Return the budget of a key."""
        return await self._find("out", key, *opts)

    async def _find(self, way: str, key: str, *opts: limiter.Option) -> traffic.Limiter | None:
        if self._only not in ("", way):
            return None
        if self.error is not None:
            raise self.error
        scope = apply(limiter.Options(), *opts).scope
        await self.asked.record((scope or limiter.SCOPE_CONN, key))
        return _Budget(self, key)


class _Requests(rate.Limiter):
    def __init__(self, limiter: "FakeRateLimiter") -> None:
        self._limiter = limiter

    def allow(self, n: int, /) -> bool:
        self._limiter.taken += n
        return self._limiter.allows

    def limit(self) -> float:
        return 1.0


class FakeRateLimiter(rate.RateLimiter):
    """A limiter that lets all requests through, or none, or fails; it records keys and requests."""

    def __init__(self, error: Exception | None = None, *, allows: bool = False) -> None:
        self._error = error
        self.allows = allows
        self.keys: list[str] = []
        self.taken = 0

    def limiter(self, key: str, /) -> rate.Limiter:
        """Return the limiter of every key."""
        self.keys.append(key)
        if self._error is not None:
            raise self._error
        return _Requests(self)
