"""Trials of the contracts of limiters of bytes, and of what finds them."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, PacketConn
from gost_core.context import Context
from gost_core.limiter import SCOPE_CLIENT, SCOPE_CONN, Option, Options
from gost_core.limiter.traffic import Limiter
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.limiter.traffic import LimiterContract, TrafficLimiterContract
from tests.kit.limiter._wrapper import Wrapper
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


# ---- Limiter


class RightLimited(Wrapper, PacketConn):
    def __init__(self, inner: Conn, limiter: Limiter) -> None:
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
    def refusing(cls) -> Limiter:
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


def run_traffic(cls: type[RightTraffic]) -> Contract:
    return LimiterContract(cls, refusing=cls.refusing, wrap=cls.wrapper, time_limit=TIME_LIMIT)


traffics = Trial[type[RightTraffic]](LimiterContract, run_traffic, RightTraffic)


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


# ---- TrafficLimiter


class RightTrafficLimiter:
    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = limits
        self.limiters: dict[object, Limiter] = {}
        self.reachable = True

    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        return self.find("in", key, self.applied(*opts))

    async def out(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        return self.find("out", key, self.applied(*opts))

    def applied(self, *opts: Option) -> Options:
        return apply(Options(), *opts)

    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
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
) -> Contract:
    return TrafficLimiterContract(
        make,
        unserved_scope=SCOPE_CLIENT,
        break_backend=break_traffic_limiter,
        time_limit=TIME_LIMIT,
    )


traffic_limiters = Trial[Callable[[Mapping[str, int]], RightTrafficLimiter]](
    TrafficLimiterContract, run_traffic_limiters, RightTrafficLimiter
)


@traffic_limiters.breaks("shape")
class OneOption(RightTrafficLimiter):
    async def in_(self, ctx: Context, key: str, option: Option, /) -> Limiter | None:  # type: ignore  # the fault
        return await super().in_(ctx, key, option)


@traffic_limiters.breaks("limit-found")
class OneDirection(RightTrafficLimiter):
    async def out(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        await super().out(ctx, key, *opts)
        return None


@traffic_limiters.breaks("same-budget")
class BudgetPerTarget(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        if super().find(direction, key, options) is None:
            return None
        budget = (direction, key, options.addr)
        return self.limiters.setdefault(budget, RightTraffic(self.limits[key]))


@traffic_limiters.breaks("unlimited-free")
class DefaultLimit(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        found = super().find(direction, key, options)
        return found if key in self.limits else RightTraffic(1000)


@traffic_limiters.breaks("scope-defaults")
class NoScopeNoLimit(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
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
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        return super().find(direction, key, options) if self.reachable else None


trials = (traffics, traffic_limiters)
