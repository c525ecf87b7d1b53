"""Trials of the contracts of limiters of bytes, and of what finds them."""

import asyncio
import contextlib
import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from typing import ClassVar

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, PacketConn
from gost_core.context import Context
from gost_core.limiter import SCOPE_CLIENT, SCOPE_CONN, SCOPE_SERVICE, Option, Options
from gost_core.limiter.traffic import Limiter
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._families.budgets import LIMITED
from gost_core.testing.limiter.traffic import LimiterContract, TrafficLimiterContract
from tests.kit._backend import (
    AFewAtATime,
    Asking,
    Deaf,
    GivingUp,
    Leaking,
    LeavingTasks,
    OneAtATime,
    Watched,
    break_backend,
    mend_backend,
    stall_backend,
)
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
        rest = len(bytes(data))
        while rest:
            granted = await self.limiter.wait(Context(), rest)
            if not granted:
                raise OSError("the datagram was dropped by the traffic limit")
            rest -= granted
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


@traffics.breaks("set-told")
class TellingWhatWasAsked(RightTraffic):
    told = 0

    def limit(self) -> int:
        self.told = self.told or self.per_second
        return self.told


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


@traffics.breaks("all-served")
class ForgettingAllButTen(RightTraffic):
    waiting = 0

    async def wait(self, ctx: Context, n: int, /) -> int:
        self.waiting += 1
        if self.waiting > 10 and self.per_second == 2000:
            await asyncio.Event().wait()
        granted = await super().wait(ctx, n)
        self.waiting -= 1
        return granted


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


@traffics.breaks("cancel-takes-nothing")
class TakingBeforeItWaits(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        granted = await super().wait(ctx, n)
        if granted > 1:
            await asyncio.sleep(0)
        return granted


@traffics.breaks("cancelled")
class RefusingWhenCancelled(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        try:
            return await super().wait(ctx, n)
        except asyncio.CancelledError:
            return 0


@traffics.breaks("rate")
class PerMinute(RightTraffic):
    def take(self, n: int) -> int:
        if 100 < self.per_second < 1000:
            self.stamp += (time.monotonic() - self.stamp) * 59 / 60
        return super().take(n)


@traffics.breaks("rate")
class FortyTimes(RightTraffic):
    def take(self, n: int) -> int:
        if self.per_second > 100:
            self.stamp -= (time.monotonic() - self.stamp) * 39
        return super().take(n)


@traffics.breaks("rate")
class TwiceBehindItsBurst(RightTraffic):
    def take(self, n: int) -> int:
        if self.per_second > 100:
            self.stamp -= time.monotonic() - self.stamp
        return super().take(n)


@traffics.breaks("rate")
class ServingTheGreatestFirst(RightTraffic):
    def __init__(self, per_second: int, *, refuses: bool = False) -> None:
        super().__init__(per_second, refuses=refuses)
        self.asked: list[int] = []

    async def wait(self, ctx: Context, n: int, /) -> int:
        self.asked.append(n)
        try:
            while self.per_second > 0 and n < max(self.asked):
                await self.sleep()
            return await super().wait(ctx, n)
        finally:
            self.asked.remove(n)


@traffics.breaks("set-governs")
class FilledBySetting(RightTraffic):
    def set(self, n: int, /) -> None:
        self.there = float(n)
        super().set(n)


@traffics.breaks("set-governs")
class SavingWhatAHigherLimitBrought(RightTraffic):
    def take(self, n: int) -> int:
        saved = self.there
        granted = super().take(n)
        if not granted or saved > self.per_second:
            granted = max(0, min(n, int(saved)))
            self.there = saved - granted if granted else self.there
        return granted


@traffics.breaks("set-governs")
class LiftedForGood(RightTraffic):
    lifted = False

    def set(self, n: int, /) -> None:
        super().set(n)
        self.lifted = self.lifted or n == 0

    async def wait(self, ctx: Context, n: int, /) -> int:
        return n if self.lifted else await super().wait(ctx, n)


@traffics.breaks("refusal-final")
class RefusingOnce(RightTraffic):
    async def wait(self, ctx: Context, n: int, /) -> int:
        refuses, self.refuses = self.refuses, False
        return 0 if refuses else await super().wait(ctx, n)


@traffics.breaks("set-wakes")
class KeepingWhatIsAsked(RightTraffic):
    """Keeps what a call asks for where the next one does."""

    asked = 0

    async def wait(self, ctx: Context, n: int, /) -> int:
        self.asked = n
        return await super().wait(ctx, n)

    def take(self, n: int) -> int:
        return super().take(self.asked)


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


class DroppingParts(RightLimited):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        size = len(bytes(data))
        if await self.limiter.wait(Context(), size) < size:
            raise OSError("the datagram was dropped by the traffic limit")
        await super().write_to(data, addr)


@traffics.breaks("datagram-in-parts")
class TrafficDroppedInParts(RightTraffic):
    wrapper = DroppingParts


class DroppingSilently(RightLimited):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        with contextlib.suppress(OSError):
            await super().write_to(data, addr)


@traffics.breaks("dropped-datagram-raises", history="e9372ea a dropped datagram counts as sent")
class TrafficDroppedSilently(RightTraffic):
    wrapper = DroppingSilently


# ---- TrafficLimiter


class RightTrafficLimiter(Asking):
    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits = dict(limits)
        self.limiters: MutableMapping[object, Limiter] = {}

    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        options = self.applied(*opts)
        await self.ask()
        return self.find("in", key, options)

    async def out(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        options = self.applied(*opts)
        await self.ask()
        return self.find("out", key, options)

    def change(self, key: str, limit: int) -> None:
        self.limits[key] = limit
        for budget, limiter in self.limiters.items():
            if isinstance(budget, tuple) and key in budget:
                limiter.set(limit)

    def applied(self, *opts: Option) -> Options:
        return apply(Options(), *opts)

    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        if not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        scope = options.scope or SCOPE_CONN
        if not self.limits.get(key) or scope not in (SCOPE_CONN, SCOPE_SERVICE):
            return None
        budget = (direction, key, scope, options.service)
        return self.limiters.setdefault(budget, RightTraffic(self.limits[key]))


async def change_limit(lookup: RightTrafficLimiter, key: str, limit: int) -> None:
    lookup.change(key, limit)


def run_traffic_limiters(
    make: Callable[[Mapping[str, int]], RightTrafficLimiter],
) -> Contract:
    return TrafficLimiterContract(
        make,
        other_scope=SCOPE_SERVICE,
        unserved_scope=SCOPE_CLIENT,
        change_limit=change_limit,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
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


@traffic_limiters.breaks("same-budget")
class BudgetPerNetwork(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        if super().find(direction, key, options) is None:
            return None
        budget = (direction, key, options.service, options.network)
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


@traffic_limiters.breaks("scope-defaults")
class ScopeOfTheLastCall(RightTrafficLimiter):
    last: tuple[Option, ...] = ()

    def applied(self, *opts: Option) -> Options:
        self.last = opts or self.last
        return super().applied(*self.last)


@traffic_limiters.breaks("scope-defaults")
class NoScopeApart(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        found = super().find(direction, key, options)
        if options.scope or found is None:
            return found
        return self.limiters.setdefault((direction, key), RightTraffic(self.limits[key]))


@traffic_limiters.breaks("unserved-scope-none")
class EveryScope(RightTrafficLimiter):
    def applied(self, *opts: Option) -> Options:
        options = super().applied(*opts)
        options.scope = options.scope.replace(SCOPE_CLIENT, SCOPE_CONN)
        return options


class SetOnce(Options):
    """Keeps the first scope."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "scope" or not getattr(self, "scope", ""):
            object.__setattr__(self, name, value)


@traffic_limiters.breaks("last-option-wins")
class FirstOptionWins(RightTrafficLimiter):
    def applied(self, *opts: Option) -> Options:
        return apply(SetOnce(), *opts)


@traffic_limiters.breaks("broken-backend-raises", history="x plugins: a failing lookup is no limit")
class UnlimitedWhenBroken(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        return super().find(direction, key, options) if self.reachable else None


@traffic_limiters.breaks("broken-backend-raises")
class TryingAgain(RightTrafficLimiter):
    """Goes on in a task when it has failed, until its limits are back."""

    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        if not self.reachable:
            self.trying = asyncio.ensure_future(asyncio.Event().wait())
        return super().find(direction, key, options)


@traffic_limiters.breaks("no-task-left")
class AskingInTasks(LeavingTasks, RightTrafficLimiter):
    pass


@traffic_limiters.breaks("tasks-ended")
class WatchingLookups(Watched, RightTrafficLimiter): ...


class KeepingAsked(RightTrafficLimiter):
    """Keeps what it was asked, to refresh its limits."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.asked: dict[str, object] = {}

    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        self.asked[key] = self.kept(ctx, opts)
        return await super().in_(ctx, key, *opts)

    def kept(self, ctx: Context, opts: tuple[Option, ...]) -> object:
        return ctx


@traffic_limiters.breaks("nothing-kept")
class KeepingContexts(KeepingAsked):
    pass


@traffic_limiters.breaks("nothing-kept")
class KeepingWhatOptionsSaid(KeepingAsked):
    def kept(self, ctx: Context, opts: tuple[Option, ...]) -> object:
        return opts


@traffic_limiters.breaks("kept-no-longer")
class KeptWhileBroken(RightTrafficLimiter):
    """Gives the budgets that it has, as long as it cannot ask."""

    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        budget = (direction, key, options.scope or SCOPE_CONN, options.service)
        if not self.reachable and budget in self.limiters:
            return self.limiters[budget]
        return super().find(direction, key, options)


class Keyed(RightTrafficLimiter):
    """Keeps budgets by keys of its own."""

    def budget(self, direction: str, key: str, options: Options) -> tuple[str, ...]:
        return (direction, key, options.scope or SCOPE_CONN, options.service)

    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        if super().find(direction, key, options) is None:
            return None
        budget = self.budget(direction, key, options)
        return self.limiters.setdefault(("kept", *budget), RightTraffic(self.limits[key]))


@traffic_limiters.breaks("budget-lasts")
class BegunAnewByChange(RightTrafficLimiter):
    def change(self, key: str, limit: int) -> None:
        self.limits[key] = limit
        self.limiters.clear()


@traffic_limiters.breaks("changed-limit-acts")
class RemovedForGood(RightTrafficLimiter):
    def change(self, key: str, limit: int) -> None:
        if self.limits[key]:
            super().change(key, limit)


@traffic_limiters.breaks("directions-apart")
class OneBudgetForBothDirections(Keyed):
    def budget(self, direction: str, key: str, options: Options) -> tuple[str, ...]:
        return super().budget("", key, options)


@traffic_limiters.breaks("directions-apart")
class DirectionOfAnother(RightTrafficLimiter):
    """Keeps on the object what belongs to a call."""

    direction = ""

    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        self.direction = "in"
        options = self.applied(*opts)
        await self.ask()
        return self.find(self.direction, key, options)

    async def out(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        self.direction = "out"
        options = self.applied(*opts)
        await self.ask()
        return self.find(self.direction, key, options)


@traffic_limiters.breaks("directions-apart")
class OneBudgetForBothDirectionsOfAService(Keyed):
    def budget(self, direction: str, key: str, options: Options) -> tuple[str, ...]:
        whole = options.scope == SCOPE_SERVICE
        return super().budget("" if whole else direction, key, options)


@traffic_limiters.breaks("services-apart")
class OneBudgetForTheScopeOfServices(Keyed):
    def budget(self, direction: str, key: str, options: Options) -> tuple[str, ...]:
        whole = options.scope == SCOPE_SERVICE
        return (direction, key, options.scope) if whole else super().budget(direction, key, options)


@traffic_limiters.breaks("services-apart")
class CutServices(Keyed):
    def budget(self, direction: str, key: str, options: Options) -> tuple[str, ...]:
        return (*super().budget(direction, key, options)[:3], options.service[:255])


@traffic_limiters.breaks("services-apart")
class OneBudgetForAllServices(Keyed):
    def budget(self, direction: str, key: str, options: Options) -> tuple[str, ...]:
        return (direction, key, options.scope or SCOPE_CONN)


@traffic_limiters.breaks("scopes-apart")
class OneBudgetForAllScopes(Keyed):
    def budget(self, direction: str, key: str, options: Options) -> tuple[str, ...]:
        return (direction, key, options.service)


@traffic_limiters.breaks("keys-whole")
class OneBudgetForAllKeys(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        return super().find(direction, LIMITED[0] if key == LIMITED[1] else key, options)


@traffic_limiters.breaks("keys-whole")
class NamelessThrough(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        limiter = super().find(direction, key, options)
        return limiter if key else None


@traffic_limiters.breaks("keys-whole")
class WithoutPort(RightTrafficLimiter):
    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        host, _, port = key.rpartition(":")
        return super().find(direction, host if "." in host and port else key, options)


class LastBudgets(OrderedDict[object, Limiter]):
    """Forgets all but the last thousand."""

    def setdefault(self, key: object, default: Limiter) -> Limiter:
        found = super().setdefault(key, default)
        if len(self) > 1000:
            self.popitem(last=False)
        return found


@traffic_limiters.breaks("budget-lasts")
class ForgettingBudgets(RightTrafficLimiter):
    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.limiters = LastBudgets()


@traffic_limiters.breaks("budget-lasts")
class TwoForFirstCallers(RightTrafficLimiter):
    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        options = self.applied(*opts)
        budget = ("in", key, options.scope, options.service)
        missing = budget not in self.limiters
        found = await super().in_(ctx, key, *opts)
        if missing and found is not None:
            found = self.limiters[budget] = RightTraffic(self.limits[key])
        return found


@traffic_limiters.breaks("changed-limit-acts")
class KeepingLimits(RightTrafficLimiter):
    def change(self, key: str, limit: int) -> None:
        if limit:
            super().change(key, limit)


@traffic_limiters.breaks("concurrent")
class RememberingTheKey(RightTrafficLimiter):
    key = ""

    async def out(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        self.key = key
        await self.ask()
        return self.find("out", self.key, self.applied(*opts))


@traffic_limiters.breaks("options")
class KeepingOptions(RightTrafficLimiter):
    options = Options()

    def applied(self, *opts: Option) -> Options:
        self.options.scope = self.options.service = ""
        return dataclasses.replace(apply(self.options, *opts))


@traffic_limiters.breaks("cancelled")
class DeafTrafficLimiter(Deaf, RightTrafficLimiter): ...


@traffic_limiters.breaks("next-after-cancelled")
class LeakingTrafficLimiter(Leaking, RightTrafficLimiter): ...


@traffic_limiters.breaks("backend-mended")
class TrafficLimiterGivingUp(GivingUp, RightTrafficLimiter): ...


@traffic_limiters.breaks("others-go-on")
class AskingOneAtATime(OneAtATime, RightTrafficLimiter): ...


@traffic_limiters.breaks("many-waiting")
class AskingAFewAtATime(AFewAtATime, RightTrafficLimiter): ...


@traffic_limiters.breaks("keys-whole")
class IPv6WithoutPort(RightTrafficLimiter):
    """Limits IPv6 clients by their hosts."""

    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        host = key.partition("]")[0].removeprefix("[")
        return super().find(direction, host, options)


@traffic_limiters.breaks("same-budget")
class SourcesHavePorts(RightTrafficLimiter):
    """Takes no client that has a path in place of a host and a port."""

    def find(self, direction: str, key: str, options: Options) -> Limiter | None:
        if options.src:
            _, port = options.src.rsplit(":", 1)
            int(port)
        return super().find(direction, key, options)


trials = (traffics, traffic_limiters)
