"""Trials of the contracts of limiters of connections, and of what finds them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar
from weakref import WeakValueDictionary

from gost_core.common.net import Conn
from gost_core.limiter.conn import Limiter
from gost_core.testing import Contract
from gost_core.testing._families.budgets import LIKE
from gost_core.testing.limiter.conn import ConnLimiterContract, LimiterContract
from tests.kit._backend import Asking, break_backend, mend_backend
from tests.kit.limiter._wrapper import Wrapper
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


# ---- Limiter


class RightCounted(Wrapper):
    def __init__(self, inner: Conn, limiter: Limiter) -> None:
        super().__init__(inner)
        self.limiter = limiter
        self.counted = limiter.allow(1)

    async def close(self) -> None:
        counted, self.counted = self.counted, False
        try:
            await self.inner.close()
        finally:
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
    def group(cls, members: Sequence[Limiter]) -> Limiter:
        return RightPlacesGroup(members)


class RightPlacesGroup:
    def __init__(self, members: Sequence[Limiter]) -> None:
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


def run_places(cls: type[RightPlaces]) -> Contract:
    return LimiterContract(cls, group=cls.group, wrap=cls.wrapper, time_limit=TIME_LIMIT)


places = Trial[type[RightPlaces]](LimiterContract, run_places, RightPlaces)


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
    def group(cls, members: Sequence[Limiter]) -> Limiter:
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


class KeepingWhenCancelled(RightCounted):
    async def close(self) -> None:
        counted, self.counted = self.counted, False
        await self.inner.close()
        if counted:
            self.limiter.allow(-1)


@places.breaks("closing-frees-once")
class PlacesKeptWhenCancelled(RightPlaces):
    wrapper = KeepingWhenCancelled


# ---- ConnLimiter


class RightConnLimiter(Asking):
    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limiters: dict[str, RightPlaces] = {
            key: RightPlaces(limit) for key, limit in limits.items()
        }

    def limiter(self, key: str, /) -> Limiter | None:
        if not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        return self.limiters.get(key)

    def change(self, key: str, limit: int) -> None:
        del self.limiters[key]
        if limit > 0:
            self.limiters[key] = RightPlaces(limit)


async def change_limit(lookup: RightConnLimiter, key: str, limit: int) -> None:
    lookup.change(key, limit)


def run_conn_limiters(
    make: Callable[[Mapping[str, int]], RightConnLimiter],
) -> Contract:
    return ConnLimiterContract(
        make,
        change_limit=change_limit,
        break_backend=break_backend,
        mend_backend=mend_backend,
        time_limit=TIME_LIMIT,
    )


conn_limiters = Trial[Callable[[Mapping[str, int]], RightConnLimiter]](
    ConnLimiterContract, run_conn_limiters, RightConnLimiter
)


@conn_limiters.breaks("shape")
class ConnLimiterWithScope(RightConnLimiter):
    def limiter(self, key: str, scope: str, /) -> Limiter | None:  # type: ignore  # the fault
        return super().limiter(key)


@conn_limiters.breaks("limit-found")
class ConnLimiterByPort(RightConnLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        return super().limiter(key.partition(":")[0])


@conn_limiters.breaks("same-budget")
class FreshPlaces(RightConnLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        found = super().limiter(key)
        return found and RightPlaces(found.limit())


@conn_limiters.breaks("keys-apart")
class OneBudgetForAll(RightConnLimiter):
    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.limiters = dict.fromkeys(limits, RightPlaces(max(limits.values())))


@conn_limiters.breaks("unlimited-free")
class FullForUnknown(RightConnLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        return super().limiter(key) or (RightPlaces(1) if key else None)


@conn_limiters.breaks("empty-key")
class ParsingKeys(RightConnLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        if not key:
            raise ValueError("'' is no address")
        return super().limiter(key)


@conn_limiters.breaks("broken-backend-raises")
class FailingOpen(RightConnLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        return self.limiters.get(key)


class MadePlaces(RightConnLimiter):
    """Makes limiters when they are asked for, and keeps them in a way of its own."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.kept: MutableMapping[str, RightPlaces] = self.keep()
        self.lock: AbstractContextManager[object] = threading.Lock()

    def keep(self) -> MutableMapping[str, RightPlaces]:
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

    def make(self, limit: int) -> RightPlaces:
        return RightPlaces(limit)


class Remembering(OrderedDict[str, RightPlaces]):
    """Forgets all but the last thousand."""

    def __setitem__(self, key: str, value: RightPlaces) -> None:
        super().__setitem__(key, value)
        if len(self) > 1000:
            self.popitem(last=False)


@conn_limiters.breaks("budget-lasts")
class ForgettingThePlacesOfMany(MadePlaces):
    def keep(self) -> MutableMapping[str, RightPlaces]:
        return Remembering()


class CircularPlaces(RightPlaces):
    """Lives until the garbage is collected."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.me = self


@conn_limiters.breaks("budget-lasts")
class ForgettingUnheldPlaces(MadePlaces):
    def keep(self) -> MutableMapping[str, RightPlaces]:
        return WeakValueDictionary()

    def make(self, limit: int) -> RightPlaces:
        return CircularPlaces(limit)


@conn_limiters.breaks("first-callers")
class TwoPlacesForFirstCallers(MadePlaces):
    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.lock = nullcontext()

    def make(self, limit: int) -> RightPlaces:
        time.sleep(0)
        return super().make(limit)


@conn_limiters.breaks("changed-limit-acts")
class KeepingPlaces(RightConnLimiter):
    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.known = dict(self.limiters)

    def limiter(self, key: str, /) -> Limiter | None:
        return super().limiter(key) and self.known[key] if self.reachable else super().limiter(key)


@conn_limiters.breaks("keys-whole")
class PlacesOfKeysThatBeginSo(RightConnLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        like = [one for one in LIKE if one in self.limiters and key.startswith(one)]
        return super().limiter(like[0] if like else key)


@conn_limiters.breaks("keys-whole")
class PlacesOfKeysThatEndSo(RightConnLimiter):
    def limiter(self, key: str, /) -> Limiter | None:
        like = [one for one in LIKE if one in self.limiters and key and one.endswith(key)]
        return super().limiter(like[0] if like else key)


@conn_limiters.breaks("backend-mended")
class ConnLimiterGivingUp(RightConnLimiter):
    gave_up = False

    def limiter(self, key: str, /) -> Limiter | None:
        self.gave_up = self.gave_up or not self.reachable
        if self.gave_up:
            raise ConnectionRefusedError("the limits were out of reach")
        return super().limiter(key)


trials = (conn_limiters, places)
