"""Trials of the contracts of limiters of requests, and of what finds them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from weakref import WeakValueDictionary

from gost_core.limiter.rate import Limiter
from gost_core.testing import Contract
from gost_core.testing._families.budgets import LIKE
from gost_core.testing.limiter.rate import LimiterContract, RateLimiterContract
from tests.kit._backend import Asking, break_backend, mend_backend
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
class StarvedByPolling(RightBucket):
    """Counts whole ones that have come back since it was last asked."""

    def refill(self) -> None:
        now = time.monotonic()
        self.there = min(self.burst, self.there + int((now - self.stamp) * self.per_second))
        self.stamp = now


@buckets.breaks("unlimited-grants")
class NothingForZero(RightBucket):
    def allow(self, n: int, /) -> bool:
        return self.per_second > 0 and super().allow(n)


@buckets.breaks("threads")
class UnlockedBucket(RightBucket):
    def allow(self, n: int, /) -> bool:
        self.refill()
        if self.per_second > 0 and self.there < n:
            return False
        time.sleep(0)
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


class RightRateLimiter(Asking):
    def __init__(self, limits: Mapping[str, float]) -> None:
        self.limiters: dict[str, RightBucket] = {
            key: RightBucket(limit) for key, limit in limits.items()
        }

    def limiter(self, key: str, /) -> Limiter | None:
        if not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        return self.limiters.get(key)

    def change(self, key: str, limit: int) -> None:
        del self.limiters[key]
        if limit > 0:
            self.limiters[key] = RightBucket(limit)


async def change_limit(lookup: RightRateLimiter, key: str, limit: int) -> None:
    lookup.change(key, limit)


def run_rate_limiters(
    make: Callable[[Mapping[str, float]], RightRateLimiter],
) -> Contract:
    return RateLimiterContract(
        make,
        change_limit=change_limit,
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


@rate_limiters.breaks("limit-found")
class RateLimiterByPort(RightRateLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        return super().limiter(key.partition(":")[0])


@rate_limiters.breaks("same-budget")
class FreshBucket(RightRateLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        found = super().limiter(key)
        return found and RightBucket(found.limit())


@rate_limiters.breaks("keys-apart")
class OneBucketForAll(RightRateLimiter):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.limiters = dict.fromkeys(limits, RightBucket(max(limits.values())))


@rate_limiters.breaks("unlimited-free")
class SlowForUnknown(RightRateLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        return super().limiter(key) or (RightBucket(1.0) if key else None)


@rate_limiters.breaks("empty-key")
class MissingKey(RightRateLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        return super().limiter(key) if key else self.limiters[key]


@rate_limiters.breaks("broken-backend-raises")
class WrongError(RightRateLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        if not self.reachable:
            raise RuntimeError("the limits are out of reach")
        return super().limiter(key)


class MadeBucket(RightRateLimiter):
    """Makes limiters when they are asked for, and keeps them in a way of its own."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.kept: MutableMapping[str, RightBucket] = self.keep()
        self.lock: AbstractContextManager[object] = threading.Lock()

    def keep(self) -> MutableMapping[str, RightBucket]:
        return {}

    def limiter(self, key: str, /) -> Limiter | None:
        found = super().limiter(key)
        if found is None:
            return None
        with self.lock:
            kept = self.kept.get(key)
            if kept is None or kept.limit() != found.limit():
                kept = self.make(found.limit())
                self.kept[key] = kept
            return kept

    def make(self, limit: float) -> RightBucket:
        return RightBucket(limit)


class Remembering(OrderedDict[str, RightBucket]):
    """Forgets all but the last thousand."""

    def __setitem__(self, key: str, value: RightBucket) -> None:
        super().__setitem__(key, value)
        if len(self) > 1000:
            self.popitem(last=False)


@rate_limiters.breaks("budget-lasts")
class ForgettingTheBucketOfMany(MadeBucket):
    def keep(self) -> MutableMapping[str, RightBucket]:
        return Remembering()


class CircularBucket(RightBucket):
    """Lives until the garbage is collected."""

    def __init__(self, limit: float) -> None:
        super().__init__(limit)
        self.me = self


@rate_limiters.breaks("budget-lasts")
class ForgettingUnheldBucket(MadeBucket):
    def keep(self) -> MutableMapping[str, RightBucket]:
        return WeakValueDictionary()

    def make(self, limit: float) -> RightBucket:
        return CircularBucket(limit)


@rate_limiters.breaks("first-callers")
class TwoBucketForFirstCallers(MadeBucket):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.lock = nullcontext()

    def make(self, limit: float) -> RightBucket:
        time.sleep(0)
        return super().make(limit)


@rate_limiters.breaks("changed-limit-acts")
class KeepingBucket(RightRateLimiter):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.known = dict(self.limiters)

    def limiter(self, key: str, /) -> Limiter | None:
        return super().limiter(key) and self.known[key] if self.reachable else super().limiter(key)


@rate_limiters.breaks("keys-whole")
class BucketOfKeysThatBeginSo(RightRateLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        like = [one for one in LIKE if one in self.limiters and key.startswith(one)]
        return super().limiter(like[0] if like else key)


@rate_limiters.breaks("keys-whole")
class BucketOfKeysThatEndSo(RightRateLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        like = [one for one in LIKE if one in self.limiters and key and one.endswith(key)]
        return super().limiter(like[0] if like else key)


@rate_limiters.breaks("backend-mended")
class RateLimiterGivingUp(RightRateLimiter):
    gave_up = False

    def limiter(self, key: str, /) -> Limiter | None:
        self.gave_up = self.gave_up or not self.reachable
        if self.gave_up:
            raise ConnectionRefusedError("the limits were out of reach")
        return super().limiter(key)


trials = (buckets, rate_limiters)
