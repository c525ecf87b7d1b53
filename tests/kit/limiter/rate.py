"""Trials of the contracts of limiters of requests, and of what finds them."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from gost_core.limiter.rate import Limiter
from gost_core.testing import Contract
from gost_core.testing.limiter.rate import LimiterContract, RateLimiterContract
from tests.kit._backend import break_backend, mend_backend
from tests.kit.dialer._protocol import mixed
from tests.kit.limiter._finding import FAULTS, Clock, Finder, change_limit
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


# ---- Limiter


class RightBucket:
    burst = 3

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.there = float(self.burst)
        self.stamp = time.monotonic()
        self.lock = threading.Lock()

    def allow(self, n: int, /) -> bool:
        with self.lock:
            self.refill()
            if self.per_second > 0 and self.there < n:
                return False
            self.there -= n
            return True

    def refill(self) -> None:
        now = time.monotonic()
        self.there = min(self.burst, self.there + (now - self.stamp) * self.per_second)
        self.stamp = now

    def limit(self) -> float:
        return self.per_second

    @classmethod
    def group(cls, members: Sequence[Limiter]) -> Limiter:
        return RightBucketGroup([member for member in members if isinstance(member, RightBucket)])


class RightBucketGroup:
    def __init__(self, members: Sequence[RightBucket]) -> None:
        self.members = members

    def allow(self, n: int, /) -> bool:
        return all(member.there >= n for member in self.members) and all(
            [member.allow(n) for member in self.members]
        )

    def limit(self) -> float:
        return min(member.limit() for member in self.members)


def run_buckets(cls: type[RightBucket]) -> Contract:
    return LimiterContract(cls, group=cls.group, time_limit=TIME_LIMIT)


buckets = Trial[type[RightBucket]](LimiterContract, run_buckets, RightBucket)


@buckets.breaks("shape")
class AsyncBucket(RightBucket):
    async def allow(self, n: int, /) -> bool:  # type: ignore  # the fault
        return super().allow(n)


@buckets.breaks("limit-told")
class WholeNumbers(RightBucket):
    def limit(self) -> float:
        return int(self.per_second)


@buckets.breaks("spent-refused")
class Bottomless(RightBucket):
    def allow(self, n: int, /) -> bool:
        return self.per_second <= 0 or n <= self.burst


@buckets.breaks("all-or-nothing")
class OnCredit(RightBucket):
    def allow(self, n: int, /) -> bool:
        with self.lock:
            self.refill()
            if self.per_second > 0 and (self.there < 1 or n > self.burst):
                return False
            self.there -= n
            return True


@buckets.breaks("all-or-nothing")
class ChargingOneForAll(RightBucket):
    def allow(self, n: int, /) -> bool:
        granted = super().allow(n)
        if granted and n > 1:
            self.there += n - 1
        return granted


@buckets.breaks("refusal-free")
class ChargingRefusals(RightBucket):
    def allow(self, n: int, /) -> bool:
        granted = super().allow(n)
        if not granted:
            self.there -= n
        return granted


@buckets.breaks("burst-bounds")
class GrantingMoreWhenFull(RightBucket):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) or (n > 2 * self.burst and self.there == self.burst)


@buckets.breaks("idle-saves-burst")
class SavingForEver(RightBucket):
    def refill(self) -> None:
        now = time.monotonic()
        self.there += (now - self.stamp) * self.per_second
        self.stamp = now


@buckets.breaks("refills")
class SpentForGood(RightBucket):
    def refill(self) -> None:
        if self.there == self.burst:
            super().refill()


@buckets.breaks("rate")
class PerMinute(RightBucket):
    def __init__(self, per_second: float) -> None:
        super().__init__(per_second)
        self.stamp = time.monotonic()

    def refill(self) -> None:
        now = time.monotonic()
        self.there = min(self.burst, self.there + (now - self.stamp) * self.per_second / 60)
        self.stamp = now


@buckets.breaks("rate")
class FortyTimes(RightBucket):
    def refill(self) -> None:
        now = time.monotonic()
        self.there = min(self.burst, self.there + (now - self.stamp) * self.per_second * 40)
        self.stamp = now


@buckets.breaks("rate")
class TwiceBehindItsBurst(RightBucket):
    """Grants twice its limit, which a burst of a whole second hides for some time."""

    burst = 40

    def refill(self) -> None:
        now = time.monotonic()
        self.there = min(self.burst, self.there + (now - self.stamp) * self.per_second * 2)
        self.stamp = now


@buckets.breaks("rate")
class StarvedByPolling(RightBucket):
    """Counts whole ones that have come back since it was last asked."""

    def refill(self) -> None:
        now = time.monotonic()
        self.there = min(self.burst, self.there + int((now - self.stamp) * self.per_second))
        self.stamp = now


@buckets.breaks("rate")
class WholeLimits(RightBucket):
    def refill(self) -> None:
        now = time.monotonic()
        brought = (now - self.stamp) * int(self.per_second)
        self.there = min(self.burst, self.there + brought)
        self.stamp = now


@buckets.breaks("rate")
class OncePerSecond(RightBucket):
    """Fills its budget anew each second."""

    def refill(self) -> None:
        if (now := time.monotonic()) - self.stamp >= 1:
            self.there, self.stamp = float(max(self.burst, self.per_second)), now

    def allow(self, n: int, /) -> bool:
        return (self.per_second <= 0 or n <= self.burst) and super().allow(n)


@buckets.breaks("unlimited-grants")
class NothingForZero(RightBucket):
    def allow(self, n: int, /) -> bool:
        return self.per_second > 0 and super().allow(n)


@buckets.breaks("unlimited-grants")
class NothingForLess(RightBucket):
    def allow(self, n: int, /) -> bool:
        return self.per_second >= 0 and super().allow(n)


@buckets.breaks("threads")
class UnlockedBucket(RightBucket):
    def allow(self, n: int, /) -> bool:
        self.refill()
        if self.per_second > 0 and self.there < n:
            return False
        self.there -= n
        return True


class ChargingBucketGroup(RightBucketGroup):
    def allow(self, n: int, /) -> bool:
        return all(member.allow(n) for member in self.members)


@buckets.breaks("group-refusal-free", history="9bbd7da a denial is charged to other members")
class BucketsChargedByGroup(RightBucket):
    @classmethod
    def group(cls, members: Sequence[Limiter]) -> Limiter:
        return ChargingBucketGroup(
            [member for member in members if isinstance(member, RightBucket)]
        )


# ---- RateLimiter


class RightRateLimiter(Finder[RightBucket]):
    def made(self, limit: float) -> RightBucket:
        return RightBucket(limit)


def run_rate_limiters(make: Callable[[Mapping[str, float]], RightRateLimiter]) -> Contract:
    return RateLimiterContract(
        make,
        change_limit=change_limit,
        elapse=Clock.elapse,
        break_backend=break_backend,
        mend_backend=mend_backend,
        time_limit=TIME_LIMIT,
    )


rate_limiters = Trial[Callable[[Mapping[str, float]], RightRateLimiter]](
    RateLimiterContract, run_rate_limiters, RightRateLimiter
)


@rate_limiters.breaks("shape")
class AsyncRateLimiter(RightRateLimiter):
    async def limiter(self, key: str, /) -> Limiter | None:  # type: ignore  # the fault
        return super().limiter(key)


for clause, faults in FAULTS.items():
    for fault in faults:
        rate_limiters.breaks(clause)(mixed(fault, RightRateLimiter))


trials = (buckets, rate_limiters)
