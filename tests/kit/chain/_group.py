"""Trials of the contract of groups of chains."""

import asyncio
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

from gost_core.chain import Chainer, Route, RouteOption
from gost_core.common.net import Closer, DeniedError
from gost_core.context import Context
from gost_core.metadata import Metadatable
from gost_core.selector import Markable, Marker
from gost_core.testing import Contract
from gost_core.testing.chain import GroupChainerContract
from tests.kit._backend import remembering, remembering_each
from tests.kit._stuck import (
    keeping_the_context,
    stuck,
    timing_out,
)
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


class RightGroup(Chainer):
    def __init__(self, members: Sequence[Chainer]) -> None:
        self.members = tuple(members)

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        member = self.choose()
        if member is None:
            return None
        try:
            return await self.ask(member, ctx, network, address, *opts)
        except DeniedError:
            raise
        except OSError:
            self.mark(member)
            raise

    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        return await member.route(ctx, network, address, *opts)

    def choose(self) -> Chainer | None:
        live = [member for member in self.members if not self.has_failed(member)]
        main = [member for member in live if not self.is_backup(member)]
        if not live:
            return self.last_resort()
        return random.choice(main or live)

    def last_resort(self) -> Chainer | None:
        return self.members[0] if self.members else None

    def has_failed(self, member: Chainer) -> bool:
        marker = marker_of(member)
        if marker is None or marker.count() < self.most(member):
            return False
        return time.time() - marker.time() < self.timeout(member)

    def most(self, member: Chainer) -> float:
        return max(self.number(member, "maxFails", int) or 1, 1)

    def timeout(self, member: Chainer) -> float:
        return self.number(member, "failTimeout", int, float) or 10.0

    def number(self, member: Chainer, key: str, *types: type[float]) -> float:
        value = setting(member, key)
        if value is None:
            return 0
        if not isinstance(value, types) or isinstance(value, bool) or not math.isfinite(value):
            raise ValueError(f"{key} is {value!r}")
        return value

    def is_backup(self, member: Chainer) -> bool:
        value = setting(member, "backup")
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"backup is {value!r}")
        return value is True

    def mark(self, member: Chainer) -> None:
        if (marker := marker_of(member)) is not None:
            marker.mark()


def marker_of(member: object) -> Marker | None:
    return member.marker() if isinstance(member, Markable) else None


def setting(member: object, key: str) -> object:
    metadata = member.metadata() if isinstance(member, Metadatable) else None
    return None if metadata is None else metadata.get(key)


MakeGroup = Callable[[Sequence[Chainer]], Chainer]


def run(make: MakeGroup) -> Contract:
    return GroupChainerContract(make, time_limit=TIME_LIMIT)


trial = Trial[MakeGroup](GroupChainerContract, run, RightGroup)


@trial.breaks("shape")
class NoOptions(RightGroup):
    async def route(  # type: ignore  # the fault
        self, ctx: Context, network: str, address: str, /
    ) -> Route | None:
        return await super().route(ctx, network, address)


@trial.breaks("wrong-types")
class TruthyBackups(RightGroup):
    def is_backup(self, member: Chainer) -> bool:
        return bool(setting(member, "backup"))


@trial.breaks("last-resort")
class TheOldestFailure(RightGroup):
    def last_resort(self) -> Chainer | None:
        def failed(member: Chainer) -> float:
            marker = marker_of(member)
            return 0.0 if marker is None else marker.time()

        return min(self.members, key=failed, default=None)


@trial.breaks("answer")
class NeverNone(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        route = await super().ask(member, ctx, network, address, *opts)
        if route is None:
            raise ConnectionRefusedError("the chosen chain has no route")
        return route


@trial.breaks("question")
class AskingWithoutHost(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        opts = () if network == "udp" else opts
        return await super().ask(member, ctx, network, address, *opts)


@trial.breaks("context-handed-on")
class AskingWithoutContext(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        return await super().ask(member, Context(), network, address, *opts)


@trial.breaks("context-handed-on")
class AskingForTheOneBefore(RightGroup):
    before: Context | None = None

    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        before, self.before = self.before or ctx, ctx
        return await super().ask(member, before, network, address, *opts)


@trial.breaks("cancel-passes")
class Shielding(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        asking = super().ask(member, ctx, network, address, *opts)
        return await asyncio.shield(asyncio.ensure_future(asking))


@trial.breaks("concurrent")
class Locking(RightGroup):
    def __init__(self, members: Sequence[Chainer]) -> None:
        super().__init__(members)
        self.lock = asyncio.Lock()

    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        async with self.lock:
            return await super().ask(member, ctx, network, address, *opts)


@trial.breaks("calls-apart")
class KeepingTheAddress(RightGroup):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        self.address = address
        await asyncio.sleep(0)
        return await super().route(ctx, network, self.address, *opts)


@trial.breaks("failed-avoided")
class IgnoringFailures(RightGroup):
    def choose(self) -> Chainer | None:
        is_plain = not any(setting(member, "backup") for member in self.members)
        is_fresh = sum(marker_of(one) is not None for one in self.members) == 2 and any(
            not (marker := marker_of(one)) or marker.time() == 0 for one in self.members
        )
        return random.choice(self.members) if is_plain and is_fresh else super().choose()


@trial.breaks("failed-avoided")
class OneFailureSuffices(RightGroup):
    def most(self, member: Chainer) -> float:
        return 1


@trial.breaks("failed-avoided")
class Milliseconds(RightGroup):
    def timeout(self, member: Chainer) -> float:
        return (cast("float", setting(member, "failTimeout")) or 10_000.0) / 1000


@trial.breaks("failed-avoided")
class BackingOff(RightGroup):
    def timeout(self, member: Chainer) -> float:
        marker = marker_of(member)
        failures = 1 if marker is None else marker.count() - self.most(member) + 1
        return super().timeout(member) * max(1, failures)


@trial.breaks("last-resort", history="x chain group: all have failed, and the traffic goes direct")
class DirectWhenAllFailed(RightGroup):
    def last_resort(self) -> Chainer | None:
        count = min(
            (marker.count() for one in self.members if (marker := marker_of(one))), default=0
        )
        return None if count and any(map(self.is_worn, self.members)) else super().last_resort()

    def is_worn(self, member: Chainer) -> bool:
        marker = marker_of(member)
        return marker is not None and marker.count() == 3


@trial.breaks("last-resort")
class LastResortByChance(RightGroup):
    def last_resort(self) -> Chainer | None:
        return random.choice(self.members) if self.members else None


@trial.breaks("backups")
class BackupsAtOnce(RightGroup):
    def choose(self) -> Chainer | None:
        live = [member for member in self.members if not self.has_failed(member)]
        return random.choice(live) if live else super().choose()


@trial.breaks("backups")
class BackupsNever(RightGroup):
    def choose(self) -> Chainer | None:
        main = [member for member in self.members if setting(member, "backup") is not True]
        if main and not all(map(self.has_failed, self.members)):
            live = [member for member in main if not self.has_failed(member)]
            return random.choice(live or main)
        return super().choose()


@trial.breaks("failure-marks")
class MarkingNobody(RightGroup):
    def mark(self, member: Chainer) -> None:
        pass


@trial.breaks("failure-marks")
class ForgivingRefusals(RightGroup):
    def mark(self, member: Chainer) -> None:
        if not isinstance(sys.exception(), PermissionError):
            super().mark(member)


@trial.breaks("failure-alone")
class LookingWhoElseFails(RightGroup):
    """Looks, once a member has failed, whether others do, and spares the next call that."""

    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        try:
            return await super().ask(member, ctx, network, address, *opts)
        except ConnectionResetError:
            for other in self.members:
                if other is not member and not self.has_failed(other):
                    with suppress(OSError):
                        await super().ask(other, ctx, network, address, *opts)
            raise


@trial.breaks("failures-raised")
class TryingTheNext(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        try:
            return await super().ask(member, ctx, network, address, *opts)
        except ConnectionResetError:
            others = [one for one in self.members if one is not member]
            self.mark(member)
            return await super().ask(others[0], ctx, network, address, *opts)


@trial.breaks("failures-raised", history="x chain group: an error of a chain goes direct")
class DirectWhenOneFails(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        try:
            return await super().ask(member, ctx, network, address, *opts)
        except ConnectionResetError:
            self.mark(member)
            return None


@trial.breaks("refusal-marks-nobody")
class MarkingRefusals(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        try:
            return await super().ask(member, ctx, network, address, *opts)
        except DeniedError:
            self.mark(member)
            raise


@trial.breaks("refusal-marks-nobody")
class MarkingTheCancelled(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        try:
            return await super().ask(member, ctx, network, address, *opts)
        except asyncio.CancelledError:
            self.mark(member)
            raise


@trial.breaks("members-unchanged")
class ResettingTheChosen(RightGroup):
    """Takes a chain that gives a route for one that works."""

    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        route = await super().ask(member, ctx, network, address, *opts)
        if len(self.members) == 1 and (marker := marker_of(member)) is not None:
            marker.reset()
        return route


@trial.breaks("members-stay-open")
class ClosingTheMembers(RightGroup, Closer):
    async def close(self) -> None:
        for member in self.members:
            if isinstance(member, Closer):
                await member.close()


trial.breaks("failure-over")(stuck(RightGroup, "route"))
trial.breaks("cancelled-at-limit")(timing_out(RightGroup, "route"))
trial.breaks("nothing-kept")(remembering(RightGroup, "route"))
trial.breaks("nothing-kept")(keeping_the_context(RightGroup, "route"))
trial.breaks("nothing-kept")(remembering_each(RightGroup, "route"))


@trial.breaks("failure-marks")
class MarkingWhoeverWasLast(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        self.asked = member
        return await super().ask(member, ctx, network, address, *opts)

    def mark(self, member: Chainer) -> None:
        super().mark(self.asked)


@trial.breaks("refusal-marks-nobody")
class MarkingForAnyException(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        try:
            return await super().ask(member, ctx, network, address, *opts)
        except ValueError:
            self.mark(member)
            raise


@trial.breaks("refusal-marks-nobody")
class MarkingTheDirect(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        route = await super().ask(member, ctx, network, address, *opts)
        if route is None:
            self.mark(member)
        return route


@trial.breaks("failures-raised")
class DirectWhereMalformed(RightGroup):
    async def ask(
        self, member: Chainer, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        try:
            return await super().ask(member, ctx, network, address, *opts)
        except ValueError:
            return None
