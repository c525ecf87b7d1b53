"""Trials of the checks of limiters, and of what finds them."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import ClassVar

from gost_core.testing.limiter.conn import ConnLimiterContract
from gost_core.testing.limiter.conn import LimiterContract as ConnLimiterContract
from gost_core.testing.limiter.rate import LimiterContract as RateLimiterContract
from gost_core.testing.limiter.rate import RateLimiterContract
from gost_core.testing.limiter.traffic import LimiterContract as TrafficLimiterContract
from gost_core.testing.limiter.traffic import TrafficLimiterContract
from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, PacketConn
from gost_core.context import Context
from gost_core.limiter import SCOPE_CLIENT, SCOPE_CONN, Option, Options, conn, rate, traffic
from gost_core.options import apply
from gost_core.testing import Report
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


class Wrapper(Conn):
    """Passes everything on."""

    def __init__(self, inner: Conn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


# ---- limiter.conn.Limiter


class RightCounted(Wrapper):
    def __init__(self, inner: Conn, limiter: conn.Limiter) -> None:
        super().__init__(inner)
        self.limiter = limiter
        self.counted = limiter.allow(1)

    async def close(self) -> None:
        counted, self.counted = self.counted, False
        await self.inner.close()
        if counted:
            self.limiter.allow(-1)


class RightPlaces:
    wrapper: ClassVar[type[RightCounted]] = RightCounted

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0
        self.lock = threading.Lock()

    def allow(self, n: int, /) -> bool:
        with self.lock:
            if n > 0 and 0 < self.places < self.taken + n:
                return False
            self.taken = max(0, self.taken + n)
            return True

    def limit(self) -> int:
        return self.places

    @classmethod
    def group(cls, members: Sequence[conn.Limiter]) -> conn.Limiter:
        return RightPlacesGroup(members)


class RightPlacesGroup:
    def __init__(self, members: Sequence[conn.Limiter]) -> None:
        self.members = members

    def allow(self, n: int, /) -> bool:
        for position, member in enumerate(self.members):
            if not member.allow(n):
                for earlier in self.members[:position]:
                    earlier.allow(-n)
                return False
        return True

    def limit(self) -> int:
        return min(member.limit() for member in self.members)


def run_places(cls: type[RightPlaces]) -> Coroutine[object, object, Report]:
    return ConnLimiterContract(cls, group=cls.group, wrap=cls.wrapper, time_limit=TIME_LIMIT).run()


places = Trial[type[RightPlaces]](ConnLimiterContract, run_places, RightPlaces)


@places.breaks("shape")
class PlacesAsProperty(RightPlaces):
    @property
    def limit(self) -> int:  # type: ignore  # the fault
        return self.places


@places.breaks("limit-told")
class TellingFreePlaces(RightPlaces):
    def limit(self) -> int:
        return self.places - 1 if self.places else 0


@places.breaks("grants-to-limit")
class OneTooMany(RightPlaces):
    def allow(self, n: int, /) -> bool:
        with self.lock:
            if n > 0 and 0 < self.places < self.taken:
                return False
            self.taken = max(0, self.taken + n)
            return True


@places.breaks("all-or-nothing")
class TakingWhatIsThere(RightPlaces):
    def allow(self, n: int, /) -> bool:
        granted = super().allow(n)
        if not granted:
            self.taken = self.places
        return granted


@places.breaks("release-returns")
class RefusingRelease(RightPlaces):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) and (n >= 0 or self.places <= 0)


@places.breaks("release-floored", history="x conn limiter: the count has no floor")
class NegativeCount(RightPlaces):
    def allow(self, n: int, /) -> bool:
        with self.lock:
            if n > 0 and 0 < self.places < self.taken + n:
                return False
            self.taken += n
            return True


@places.breaks("zero-changes-nothing")
class RefusingZeroWhenFull(RightPlaces):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) and (n != 0 or self.taken < self.places)


@places.breaks("unlimited-grants")
class NoPlacesForZero(RightPlaces):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) and (n < 0 or self.places > 0)


@places.breaks("threads")
class UnlockedPlaces(RightPlaces):
    def allow(self, n: int, /) -> bool:
        if n > 0 and 0 < self.places < self.taken + n:
            return False
        time.sleep(0)
        self.taken = max(0, self.taken + n)
        return True


class KeepingGroup(RightPlacesGroup):
    def allow(self, n: int, /) -> bool:
        return all([member.allow(n) for member in self.members])


@places.breaks("group-refusal-free")
class PlacesKeptByGroup(RightPlaces):
    @classmethod
    def group(cls, members: Sequence[conn.Limiter]) -> conn.Limiter:
        return KeepingGroup(members)


class FreeingPerClose(RightCounted):
    async def close(self) -> None:
        await self.inner.close()
        self.limiter.allow(-1)


@places.breaks("closing-frees-once", history="f9fb5f4 d12663d a place is freed by each close")
class PlacesFreedPerClose(RightPlaces):
    wrapper = FreeingPerClose


class FreeingPerCloseAtOnce(RightCounted):
    async def close(self) -> None:
        counted = self.counted
        await self.inner.close()
        self.counted = False
        if counted:
            self.limiter.allow(-1)


@places.breaks("closing-frees-once")
class PlacesFreedPerCloseAtOnce(RightPlaces):
    wrapper = FreeingPerCloseAtOnce


# ---- limiter.rate.Limiter


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
    def group(cls, members: Sequence[rate.Limiter]) -> rate.Limiter:
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


def run_buckets(cls: type[RightBucket]) -> Coroutine[object, object, Report]:
    return RateLimiterContract(cls, group=cls.group, time_limit=TIME_LIMIT).run()


buckets = Trial[type[RightBucket]](RateLimiterContract, run_buckets, RightBucket)


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
    def group(cls, members: Sequence[rate.Limiter]) -> rate.Limiter:
        return ChargingBucketGroup(
            [member for member in members if isinstance(member, RightBucket)]
        )


# ---- limiter.conn.ConnLimiter and limiter.rate.RateLimiter


class RightConnLimiter:
    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limiters: dict[str, RightPlaces] = {
            key: RightPlaces(limit) for key, limit in limits.items()
        }
        self.reachable = True

    def limiter(self, key: str, /) -> conn.Limiter | None:
        if not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        return self.limiters.get(key)


async def break_conn_limiter(lookup: RightConnLimiter) -> None:
    lookup.reachable = False


def run_conn_limiters(
    make: Callable[[Mapping[str, int]], RightConnLimiter],
) -> Coroutine[object, object, Report]:
    return ConnLimiterContract(make, break_backend=break_conn_limiter, time_limit=TIME_LIMIT).run()


conn_limiters = Trial[Callable[[Mapping[str, int]], RightConnLimiter]](
    ConnLimiterContract, run_conn_limiters, RightConnLimiter
)


@conn_limiters.breaks("shape")
class ConnLimiterWithScope(RightConnLimiter):
    def limiter(self, key: str, scope: str, /) -> conn.Limiter | None:  # type: ignore  # the fault
        return super().limiter(key)


@conn_limiters.breaks("limit-found")
class ConnLimiterByPort(RightConnLimiter):
    def limiter(self, key: str, /) -> conn.Limiter | None:
        return super().limiter(key.partition(":")[0])


@conn_limiters.breaks("same-budget")
class FreshPlaces(RightConnLimiter):
    def limiter(self, key: str, /) -> conn.Limiter | None:
        found = super().limiter(key)
        return found and RightPlaces(found.limit())


@conn_limiters.breaks("keys-apart")
class OneBudgetForAll(RightConnLimiter):
    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.limiters = dict.fromkeys(limits, RightPlaces(max(limits.values())))


@conn_limiters.breaks("unlimited-free")
class FullForUnknown(RightConnLimiter):
    def limiter(self, key: str, /) -> conn.Limiter | None:
        return super().limiter(key) or (RightPlaces(1) if key else None)


@conn_limiters.breaks("empty-key")
class ParsingKeys(RightConnLimiter):
    def limiter(self, key: str, /) -> conn.Limiter | None:
        if not key:
            raise ValueError("'' is no address")
        return super().limiter(key)


@conn_limiters.breaks("broken-backend-raises")
class FailingOpen(RightConnLimiter):
    def limiter(self, key: str, /) -> conn.Limiter | None:
        return self.limiters.get(key)


class RightRateLimiter:
    def __init__(self, limits: Mapping[str, float]) -> None:
        self.limiters: dict[str, RightBucket] = {
            key: RightBucket(limit) for key, limit in limits.items()
        }
        self.reachable = True

    def limiter(self, key: str, /) -> rate.Limiter | None:
        if not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        return self.limiters.get(key)


async def break_rate_limiter(lookup: RightRateLimiter) -> None:
    lookup.reachable = False


def run_rate_limiters(
    make: Callable[[Mapping[str, float]], RightRateLimiter],
) -> Coroutine[object, object, Report]:
    return RateLimiterContract(make, break_backend=break_rate_limiter, time_limit=TIME_LIMIT).run()


rate_limiters = Trial[Callable[[Mapping[str, float]], RightRateLimiter]](
    RateLimiterContract, run_rate_limiters, RightRateLimiter
)


@rate_limiters.breaks("shape")
class AsyncRateLimiter(RightRateLimiter):
    async def limiter(self, key: str, /) -> rate.Limiter | None:  # type: ignore  # the fault
        return super().limiter(key)


@rate_limiters.breaks("limit-found")
class RateLimiterByPort(RightRateLimiter):
    def limiter(self, key: str, /) -> rate.Limiter | None:
        return super().limiter(key.partition(":")[0])


@rate_limiters.breaks("same-budget")
class FreshBucket(RightRateLimiter):
    def limiter(self, key: str, /) -> rate.Limiter | None:
        found = super().limiter(key)
        return found and RightBucket(found.limit())


@rate_limiters.breaks("keys-apart")
class OneBucketForAll(RightRateLimiter):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.limiters = dict.fromkeys(limits, RightBucket(max(limits.values())))


@rate_limiters.breaks("unlimited-free")
class SlowForUnknown(RightRateLimiter):
    def limiter(self, key: str, /) -> rate.Limiter | None:
        return super().limiter(key) or (RightBucket(1.0) if key else None)


@rate_limiters.breaks("empty-key")
class MissingKey(RightRateLimiter):
    def limiter(self, key: str, /) -> rate.Limiter | None:
        return super().limiter(key) if key else self.limiters[key]


@rate_limiters.breaks("broken-backend-raises")
class WrongError(RightRateLimiter):
    def limiter(self, key: str, /) -> rate.Limiter | None:
        if not self.reachable:
            raise RuntimeError("the limits are out of reach")
        return super().limiter(key)


# ---- limiter.traffic.Limiter


class RightLimited(Wrapper, PacketConn):
    def __init__(self, inner: Conn, limiter: traffic.Limiter) -> None:
        super().__init__(inner)
        self.limiter = limiter

    async def write(self, data: Buffer, /) -> None:
        rest = bytes(data)
        while rest:
            granted = await self.limiter.wait(Context(), len(rest))
            if not granted:
                raise OSError("the rest was refused by the traffic limit")
            await self.inner.write(rest[:granted])
            rest = rest[granted:]

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        assert isinstance(self.inner, PacketConn)
        return await self.inner.read_from(n)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        assert isinstance(self.inner, PacketConn)
        size = len(bytes(data))
        if await self.limiter.wait(Context(), size) < size:
            raise OSError("the datagram was dropped by the traffic limit")
        await self.inner.write_to(data, addr)


class RightTraffic:
    wrapper: ClassVar[type[RightLimited]] = RightLimited

    def __init__(self, per_second: int, *, refuses: bool = False) -> None:
        self.per_second = per_second
        self.refuses = refuses
        self.there = float(per_second)
        self.stamp = time.monotonic()
        self.changed = asyncio.Event()

    @classmethod
    def refusing(cls) -> traffic.Limiter:
        return cls(1000, refuses=True)

    async def wait(self, ctx: Context, n: int, /) -> int:
        if self.refuses:
            return 0
        while self.per_second > 0:
            if granted := self.take(n):
                return granted
            await self.sleep()
        return n

    def take(self, n: int) -> int:
        now = time.monotonic()
        self.there += (now - self.stamp) * self.per_second
        self.there = min(self.there, float(self.per_second))
        self.stamp = now
        granted = max(0, min(n, int(self.there)))
        self.there -= granted
        return granted

    async def sleep(self) -> None:
        """Sleep until a byte is there, or the limit is another."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout((1 - self.there) / self.per_second):
                await self.changed.wait()

    def limit(self) -> int:
        return self.per_second

    def set(self, n: int, /) -> None:
        self.per_second = n
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def run_traffic(cls: type[RightTraffic]) -> Coroutine[object, object, Report]:
    return TrafficLimiterContract(
        cls, refusing=cls.refusing, wrap=cls.wrapper, time_limit=TIME_LIMIT
    ).run()


traffics = Trial[type[RightTraffic]](TrafficLimiterContract, run_traffic, RightTraffic)


@traffics.breaks("shape")
class SyncWait(RightTraffic):
    def wait(self, ctx: Context, n: int, /) -> int:  # type: ignore  # the fault
        return self.take(n)


@traffics.breaks("limit-told")
class TellingKilobytes(RightTraffic):
    def limit(self) -> int:
        return -(-self.per_second // 1024)


@traffics.breaks("set-told", history="x traffic group: set does nothing")
class FixedLimit(RightTraffic):
    def set(self, n: int, /) -> None:
        self.wake()


@traffics.breaks("grants-within-ask")
class GrantingAllThatIsThere(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        granted = await super().wait(ctx, n)
        return granted if self.refuses or self.per_second <= 0 else granted + self.take(1000)


@traffics.breaks("unlimited-grants")
class CappedWithoutLimit(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        return await super().wait(ctx, min(n, 65536))


@traffics.breaks("spent-waits")
class NeverWaiting(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        return 0 if self.refuses else n


@traffics.breaks("all-served")
class RefusingSecondWaiter(RightTraffic):
    waiting = False

    async def sleep(self) -> None:
        if self.waiting:
            await asyncio.Event().wait()
        self.waiting = True
        try:
            await super().sleep()
        finally:
            self.waiting = False


class DecidingOnce(RightTraffic):
    """Decides how long a call waits when it begins."""

    waiting = 0

    async def sleep(self) -> None:
        self.waiting += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.waiting / self.per_second):
                    await self.changed.wait()
        finally:
            self.waiting -= 1


@traffics.breaks("set-wakes")
class WakingOnlyWithoutLimit(DecidingOnce):
    def set(self, n: int, /) -> None:
        self.per_second = n
        if n <= 0:
            self.wake()


@traffics.breaks("unlimited-wakes")
class WakingOnlyWithLimit(DecidingOnce):
    def set(self, n: int, /) -> None:
        self.per_second = n
        if n > 0:
            self.wake()


@traffics.breaks("cancel-takes-nothing")
class Reserving(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        if self.refuses or self.per_second <= 0 or self.there >= 1:
            return await super().wait(ctx, n)
        self.there -= 1
        while self.per_second > 0 > self.there:
            await self.sleep()
            self.take(0)
        return 1


@traffics.breaks("refusal-final")
class RefusingOnce(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        refuses, self.refuses = self.refuses, False
        return 0 if refuses else await super().wait(ctx, n)


class AskingForEver(RightLimited):
    async def write(self, data: Buffer, /) -> None:
        rest = bytes(data)
        while rest:
            granted = await self.limiter.wait(Context(), len(rest))
            await self.inner.write(rest[:granted])
            rest = rest[granted:]


@traffics.breaks("refused-write-raises", history="e9372ea a write asks for ever")
class TrafficAskedForEver(RightTraffic):
    wrapper = AskingForEver


class DroppingSilently(RightLimited):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        with contextlib.suppress(OSError):
            await super().write_to(data, addr)


@traffics.breaks("dropped-datagram-raises", history="e9372ea a dropped datagram counts as sent")
class TrafficDroppedSilently(RightTraffic):
    wrapper = DroppingSilently


# ---- limiter.traffic.TrafficLimiter


class RightTrafficLimiter:
    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = limits
        self.limiters: dict[object, traffic.Limiter] = {}
        self.reachable = True

    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> traffic.Limiter | None:
        return self.find("in", key, self.applied(*opts))

    async def out(self, ctx: Context, key: str, /, *opts: Option) -> traffic.Limiter | None:
        return self.find("out", key, self.applied(*opts))

    def applied(self, *opts: Option) -> Options:
        return apply(Options(), *opts)

    def find(self, direction: str, key: str, options: Options) -> traffic.Limiter | None:
        if not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        scope = options.scope or SCOPE_CONN
        if key not in self.limits or scope != SCOPE_CONN:
            return None
        budget = (direction, key, scope, options.service)
        return self.limiters.setdefault(budget, RightTraffic(self.limits[key]))


async def break_traffic_limiter(lookup: RightTrafficLimiter) -> None:
    lookup.reachable = False


def run_traffic_limiters(
    make: Callable[[Mapping[str, int]], RightTrafficLimiter],
) -> Coroutine[object, object, Report]:
    return TrafficLimiterContract(
        make,
        unserved_scope=SCOPE_CLIENT,
        break_backend=break_traffic_limiter,
        time_limit=TIME_LIMIT,
    ).run()


traffic_limiters = Trial[Callable[[Mapping[str, int]], RightTrafficLimiter]](
    TrafficLimiterContract, run_traffic_limiters, RightTrafficLimiter
)


@traffic_limiters.breaks("shape")
class OneOption(RightTrafficLimiter):
    async def in_(self, ctx: Context, key: str, option: Option, /) -> traffic.Limiter | None:  # type: ignore  # the fault
        return await super().in_(ctx, key, option)


@traffic_limiters.breaks("limit-found")
class OneDirection(RightTrafficLimiter):
    async def out(self, ctx: Context, key: str, /, *opts: Option) -> traffic.Limiter | None:
        await super().out(ctx, key, *opts)
        return None


@traffic_limiters.breaks("same-budget")
class BudgetPerTarget(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> traffic.Limiter | None:
        if super().find(direction, key, options) is None:
            return None
        budget = (direction, key, options.addr)
        return self.limiters.setdefault(budget, RightTraffic(self.limits[key]))


@traffic_limiters.breaks("unlimited-free")
class DefaultLimit(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> traffic.Limiter | None:
        found = super().find(direction, key, options)
        return found if key in self.limits else RightTraffic(1000)


@traffic_limiters.breaks("scope-defaults")
class NoScopeNoLimit(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> traffic.Limiter | None:
        return super().find(direction, key, options) if options.scope else None


@traffic_limiters.breaks("unserved-scope-none")
class EveryScope(RightTrafficLimiter):
    def applied(self, *opts: Option) -> Options:
        options = super().applied(*opts)
        options.scope = SCOPE_CONN
        return options


@traffic_limiters.breaks("last-option-wins")
class FirstOptionWins(RightTrafficLimiter):
    def applied(self, *opts: Option) -> Options:
        return super().applied(*reversed(opts))


@traffic_limiters.breaks("broken-backend-raises", history="x plugins: a failing lookup is no limit")
class UnlimitedWhenBroken(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> traffic.Limiter | None:
        return super().find(direction, key, options) if self.reachable else None


trials = (places, buckets, conn_limiters, rate_limiters, traffics, traffic_limiters)
