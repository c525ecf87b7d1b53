"""Trials of the contracts of limiters of connections, and of what finds them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from gost_core.common.net import Conn
from gost_core.limiter.conn import Limiter
from gost_core.testing import Contract
from gost_core.testing.limiter.conn import ConnLimiterContract, LimiterContract
from tests.kit._backend import break_backend, mend_backend
from tests.kit.dialer._protocol import mixed
from tests.kit.limiter._finding import FAULTS, Clock, Finder, change_limit
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


@places.breaks("zero-changes-nothing")
class RefusingZeroWithoutLimit(RightPlaces):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) and (n != 0 or self.places > 0)


@places.breaks("unlimited-grants")
class NoPlacesForZero(RightPlaces):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) and (n < 0 or self.places > 0)


@places.breaks("unlimited-grants")
class NoPlacesForLess(RightPlaces):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) and (n < 0 or self.places >= 0)


@places.breaks("threads")
class UnlockedPlaces(RightPlaces):
    def allow(self, n: int, /) -> bool:
        if n > 0 and 0 < self.places < self.taken + n:
            return False
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


class FreeingGroup(RightPlacesGroup):
    def allow(self, n: int, /) -> bool:
        if all([member.allow(n) for member in self.members]):
            return True
        for member in self.members:
            member.allow(-n)
        return False


@places.breaks("group-refusal-free")
class PlacesFreedByGroup(RightPlaces):
    """A member that refuses gets back what it has not given."""

    @classmethod
    def group(cls, members: Sequence[Limiter]) -> Limiter:
        return FreeingGroup(members)


class GivingBackToTheFirst(RightPlacesGroup):
    def allow(self, n: int, /) -> bool:
        return super().allow(n) if n > 0 else self.members[0].allow(n)


@places.breaks("release-returns")
class PlacesLostByGroup(RightPlaces):
    @classmethod
    def group(cls, members: Sequence[Limiter]) -> Limiter:
        return GivingBackToTheFirst(members)


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


class KeepingUntilClosedAgain(RightCounted):
    async def close(self) -> None:
        await self.inner.close()
        counted, self.counted = self.counted, False
        if counted:
            self.limiter.allow(-1)


@places.breaks("closing-frees-once")
class PlacesKeptUntilClosedAgain(RightPlaces):
    wrapper = KeepingUntilClosedAgain


# ---- ConnLimiter


class RightConnLimiter(Finder[RightPlaces]):
    def made(self, limit: float) -> RightPlaces:
        return RightPlaces(int(limit))


def run_conn_limiters(make: Callable[[Mapping[str, int]], RightConnLimiter]) -> Contract:
    return ConnLimiterContract(
        make,
        change_limit=change_limit,
        elapse=Clock.elapse,
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


class Handle(RightPlaces):
    """Gives back what it took itself, and no more."""

    def __init__(self, inner: RightPlaces) -> None:
        super().__init__(inner.limit())
        self.inner = inner

    def allow(self, n: int, /) -> bool:
        n = max(n, -self.taken)
        granted = self.inner.allow(n)
        self.taken += n if granted else 0
        return granted


@conn_limiters.breaks("given-back")
class HandleForEachLookup(RightConnLimiter):
    def limiter(self, key: str, /) -> RightPlaces | None:
        found = super().limiter(key)
        return found and Handle(found)


class OncePerLookup(RightPlaces):
    """Gives back one place at most."""

    def __init__(self, inner: RightPlaces) -> None:
        super().__init__(inner.limit())
        self.inner = inner

    def allow(self, n: int, /) -> bool:
        return self.inner.allow(max(n, -1))


@conn_limiters.breaks("given-back")
class OnePlaceBack(RightConnLimiter):
    def limiter(self, key: str, /) -> RightPlaces | None:
        found = super().limiter(key)
        return found and OncePerLookup(found)


@conn_limiters.breaks("first-callers")
class TwoForFirstCallersAfterChange(RightConnLimiter):
    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(limits)
        self.changed: dict[str, float] = {}

    def limiter(self, key: str, /) -> RightPlaces | None:
        found = super().limiter(key)
        if found is None and self.changed.get(key):
            found = self.made(self.changed[key])
            self.limiters[key] = found
        return found

    def change(self, key: str, limit: float) -> None:
        self.limiters.pop(key, None)
        self.changed[key] = limit


for clause, faults in FAULTS.items():
    for fault in faults:
        conn_limiters.breaks(clause)(mixed(fault, RightConnLimiter))


trials = (conn_limiters, places)
