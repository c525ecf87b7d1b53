"""The contracts of limiters of requests, and of what finds them."""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final

from typing_extensions import TypeVar

from gost_core.limiter.rate import Limiter, RateLimiter
from gost_core.testing._families.budgets import PLENTY, Budget, Meter, OnePerKey, spend
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, in_threads, need, owned

__all__ = ("LimiterContract", "RateLimiterContract")

LimiterT = TypeVar("LimiterT", bound=Limiter, default=Limiter)
RateLimiterT = TypeVar("RateLimiterT", bound=RateLimiter, default=RateLimiter)

_GRANTS: Final[int] = 200
# So many a second that less than one comes back between two questions.
_RATE: Final[float] = 40.0

# So slow that no test lives to see anything come back.
_NEVER: Final[float] = 1e-6


class LimiterContract(Budget[LimiterT], interface=Limiter, first=("refusal_free",)):
    """What a limiter of requests promises."""

    make: Callable[[float], LimiterT] = field(kw_only=False)
    """Makes a limiter to which so many come back each second, with a full budget; 0 = unlimited.
    For -1 it may raise ValueError. The burst is its own affair; it should be from 2 to some
    thousands."""

    _amounts = (1, PLENTY, PLENTY)

    async def _specimen(self) -> LimiterT:
        return self.make(1.0)

    def _full(self) -> LimiterT:
        return self.make(_NEVER)

    def _unlimited(self, limit: int, /) -> LimiterT:
        return self.make(float(limit))

    @clause("limit() tells how many come back each second.", "D51")
    async def limit_told(self) -> None:
        limit = self.make(2.5).limit()
        expect(math.isclose(limit, 2.5), f"limit() returned {limit} for 2.5 a second")

    @clause("What the budget holds is granted, then allow() refuses.", "D51")
    async def spent_refused(self) -> None:
        expect(spend(self._full()) > 0, "allow(1) was False with a full budget")

    @clause("allow(n) with less than n there is refused.", "D51", after=("spent_refused",))
    async def all_or_nothing(self) -> None:
        burst = spend(self._full())
        need(burst if burst > 1 else None, "make` that gives a burst of 2 or more")
        limiter = self._full()
        expect(limiter.allow(burst), f"allow({burst}) was False with {burst} there")
        expect(not limiter.allow(1), f"allow(1) was True after allow({burst}), of {burst} there")
        limiter = self._full()
        limiter.allow(1)
        expect(not limiter.allow(burst), f"allow({burst}) was True with {burst - 1} there")

    @clause("A refusal charges nothing.", "D51", after=("spent_refused",))
    async def refusal_free(self) -> None:
        burst = spend(self._full())
        limiter = self._full()
        for _ in range(3):
            limiter.allow(burst + 1)
        rest = spend(limiter)
        expect(rest == burst, f"{rest} of {burst} were there after allow({burst + 1}) was refused")

    @clause("More than the burst is never granted.", "D51", after=("spent_refused",))
    async def burst_bounds(self) -> None:
        burst = spend(self._full())
        for n in (burst + 1, burst + 2, 10 * burst, PLENTY):
            expect(not self._full().allow(n), f"allow({n}) was True at a burst of {burst}")

    @clause(
        "Time that passes unused saves up no more than the burst.",
        "D51",
        after=("burst_bounds", "refusal_free"),
    )
    async def idle_saves_burst(self) -> None:
        burst = self._burst(1000.0)
        limiter = self.make(1000.0)
        await asyncio.sleep(0.05)
        granted = limiter.allow(burst + 1)
        expect(not granted, f"allow({burst + 1}) was True at a burst of {burst}, after a pause")

    def _burst(self, limit: float) -> int:
        """Return the most that is granted at once."""
        return bisect_left(range(1, 1 << 40), True, key=lambda n: not self.make(limit).allow(n))

    @clause(
        "While it is asked often, it grants half of its limit to one and a half of it, plus the "
        "burst.",
        "D51",
        after=("idle_saves_burst", "refills"),
    )
    async def rate(self) -> None:
        limiter, meter = self.make(_RATE), Meter(_RATE, self._burst(_RATE))
        # What it had at first says nothing of what comes back.
        spend(limiter)

        def take() -> None:
            while not meter.too_much() and limiter.allow(1):
                meter.granted += 1

        await meter.run(take)
        # A limit of less than one a second is one, too.
        await self._expect_back(0.9)

    @clause("What was spent comes back as time goes by.", "D51", after=("refusal_free",))
    async def refills(self) -> None:
        await self._expect_back(100.0)

    async def _expect_back(self, limit: float) -> None:
        """Break the clause unless something comes back by this limit."""
        limiter, seconds = self.make(limit), self.time_limit + 2 / limit
        spend(limiter)
        for _ in range(int(100 * seconds)):
            await asyncio.sleep(0.01)
            if limiter.allow(1):
                return
        raise Broken(f"nothing had come back after {seconds:g} s at {limit:g} a second")

    @clause(
        "Threads together get no more than the budget holds, and no less.",
        "D21, D51",
        after=("refusal_free",),
    )
    async def threads(self) -> None:
        burst = spend(self._full())
        # Threads that are watched are slow: of a great burst, they get the last part.
        left = min(burst, _GRANTS // 10)
        limiters = [self._full() for _ in range(_GRANTS // left)]
        for limiter in limiters if burst > left else ():
            limiter.allow(burst - left)
        count = len(limiters)
        granted = await in_threads(lambda i: spend(limiters[i]), count, "allow() from threads")
        for of_one in zip(*granted, strict=True):
            expect(sum(of_one) == left, f"threads got {sum(of_one)} where {left} were there")


class RateLimiterContract(OnePerKey[RateLimiterT], interface=RateLimiter):
    """What finds the limiters of requests promises."""

    make: Callable[[Mapping[str, float]], RateLimiterT] = field(kw_only=False)
    """Makes one with these limits by key, where all other keys are unlimited; the keys are
    addresses of clients, the limits are so many a second."""

    _limit = _NEVER

    def _of(self, *keys: str) -> RateLimiterT:
        return owned(self.make(dict.fromkeys(keys, _NEVER)))
