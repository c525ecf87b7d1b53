"""What finds limiters of connections or of requests: right, and in the same ways wrong."""

import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Final, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from gost_core.testing._families.budgets import LIKE, LIMITED
from tests.kit._backend import Asking


class Granting(Protocol):
    def allow(self, n: int, /) -> bool: ...

    def limit(self) -> float: ...


GrantingT = TypeVar("GrantingT", bound=Granting)


class Clock:
    """Tells the time to what forgets."""

    now: ClassVar[float] = 0.0

    @classmethod
    async def elapse(cls, seconds: float) -> None:
        cls.now += seconds


class Finder(Asking, Generic[GrantingT]):
    """Has a limiter for each key with a limit."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        self.limiters: dict[str, GrantingT] = {
            key: self.made(limit) for key, limit in limits.items()
        }

    @abstractmethod
    def made(self, limit: float) -> GrantingT:
        """Make a limiter."""

    def limiter(self, key: str, /) -> GrantingT | None:
        if not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        return self.limiters.get(key)

    def change(self, key: str, limit: float) -> None:
        self.limiters.pop(key, None)
        if limit > 0:
            self.limiters[key] = self.made(limit)


async def change_limit(lookup: Finder[GrantingT], key: str, limit: int) -> None:
    lookup.change(key, limit)


# ---- Faults


class ByPort(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        return super().limiter(key.partition(":")[0])


class Fresh(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        found = super().limiter(key)
        return found and self.made(found.limit())


class OneForAll(Finder[GrantingT]):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.limiters = dict.fromkeys(limits, self.made(max(limits.values())))


class Handle:
    """Grants from the budget that was found last."""

    budget: Granting

    def allow(self, n: int, /) -> bool:
        return self.budget.allow(n)

    def limit(self) -> float:
        return self.budget.limit()


class OneHandle(Finder[GrantingT]):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.handle = Handle()

    def limiter(self, key: str, /) -> GrantingT | None:
        found = super().limiter(key)
        if found is None:
            return None
        self.handle.budget = found
        return self.handle  # type: ignore  # it stands for what it leads to


class LimitedByDefault(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        known = not key or key.startswith(("client.", "/"))
        return super().limiter(key) or (None if known else self.made(1.0))


class ParsingKeys(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        if not key:
            raise ValueError("'' is no address")
        return super().limiter(key)


class AddressesOnly(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        if key in ("client.example", "localhost"):
            raise ValueError(f"{key!r} is no address")
        return super().limiter(key)


class AnybodyForNobody(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        return super().limiter(key or next((one for one in self.limiters), key))


class NamelessThrough(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        limiter = super().limiter(key)
        return limiter if key else None


class FailingOpen(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        return self.limiters.get(key)


class WrongError(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        if not self.reachable:
            raise RuntimeError("the limits are out of reach")
        return super().limiter(key)


class BreakerFailingOpen(Finder[GrantingT]):
    """Asks no more once that has failed ten times, and limits nobody."""

    failures = 0

    def limiter(self, key: str, /) -> GrantingT | None:
        self.failures = 0 if self.reachable else self.failures + 1
        return None if self.failures > 10 else super().limiter(key)


class GivingUp(Finder[GrantingT]):
    gave_up = False

    def limiter(self, key: str, /) -> GrantingT | None:
        self.gave_up = self.gave_up or not self.reachable
        if self.gave_up:
            raise ConnectionRefusedError("the limits were out of reach")
        return super().limiter(key)


class EncodingKeys(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        return super().limiter(key and key.encode("idna").decode())


class Made(Finder[GrantingT]):
    """Makes limiters when they are asked for, and keeps them in a way of its own."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.kept: MutableMapping[str, GrantingT] = self.keep()
        self.lock: AbstractContextManager[object] = threading.Lock()

    def keep(self) -> MutableMapping[str, GrantingT]:
        return {}

    def limiter(self, key: str, /) -> GrantingT | None:
        found = super().limiter(key)
        if found is None:
            return None
        with self.lock:
            kept = self.kept.get(key)
            if kept is None or kept.limit() != found.limit():
                kept = self.kept[key] = self.begun(found.limit())
            return kept

    def begun(self, limit: float) -> GrantingT:
        return self.made(limit)


class Remembering(OrderedDict[str, GrantingT]):
    """Forgets all but the last four thousand or so."""

    def __setitem__(self, key: str, value: GrantingT) -> None:
        super().__setitem__(key, value)
        if len(self) > 4096:
            self.popitem(last=False)


class ForgettingOfMany(Made[GrantingT]):
    def keep(self) -> MutableMapping[str, GrantingT]:
        return Remembering()


class ForgettingUnheld(Made[GrantingT]):
    """Has limiters live until the garbage is collected."""

    def keep(self) -> MutableMapping[str, GrantingT]:
        return WeakValueDictionary()

    def begun(self, limit: float) -> GrantingT:
        limiter = super().begun(limit)
        vars(limiter)["me"] = limiter
        return limiter


class ForgettingIdle(Made[GrantingT]):
    """Forgets what was not asked for in a minute."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.asked = Clock.now

    def limiter(self, key: str, /) -> GrantingT | None:
        if Clock.now - self.asked > 60:
            self.kept.clear()
        self.asked = Clock.now
        return super().limiter(key)


class BegunAnewByChange(Made[GrantingT]):
    def change(self, key: str, limit: float) -> None:
        super().change(key, limit)
        self.kept.clear()


class TwoForFirstCallers(Made[GrantingT]):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.lock = nullcontext()

    def begun(self, limit: float) -> GrantingT:
        return super().begun(limit)


class TwoForFirstCallersOfAKey(TwoForFirstCallers[GrantingT]):
    """Makes the first one of all before anybody else is asked."""

    def begun(self, limit: float) -> GrantingT:
        return super().begun(limit) if self.kept else self.made(limit)


class TwoForTheVeryFirst(TwoForFirstCallers[GrantingT]):
    """Is careful once anybody has asked, or a limit has changed."""

    used = False

    def limiter(self, key: str, /) -> GrantingT | None:
        found = super().limiter(key)
        self.used = True
        return found

    def change(self, key: str, limit: float) -> None:
        self.used = True
        super().change(key, limit)

    def begun(self, limit: float) -> GrantingT:
        return self.made(limit) if self.used else super().begun(limit)


class KeyOnTheObject(Finder[GrantingT]):
    asked = ""

    def limiter(self, key: str, /) -> GrantingT | None:
        self.asked = key
        return super().limiter(self.asked)


class KeptAfterChange(Finder[GrantingT]):
    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.known = dict(self.limiters)

    def limiter(self, key: str, /) -> GrantingT | None:
        return super().limiter(key) and self.known[key] if self.reachable else super().limiter(key)


class Raised(Finder[GrantingT]):
    """Takes no limit that is lower."""

    def change(self, key: str, limit: float) -> None:
        if limit <= 0 or key not in self.limiters or limit > self.limiters[key].limit():
            super().change(key, limit)


class RemovedForGood(Finder[GrantingT]):
    def change(self, key: str, limit: float) -> None:
        if key in self.limiters:
            super().change(key, limit)


class ThatBeginSo(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        like = [one for one in LIKE if one in self.limiters and key.startswith(one)]
        return super().limiter(like[0] if like else key)


class ThatEndSo(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        like = [one for one in LIKE if one in self.limiters and key and one.endswith(key)]
        return super().limiter(like[0] if like else key)


class WithoutPorts(Finder[GrantingT]):
    """Takes what follows the last colon for a port."""

    def limiter(self, key: str, /) -> GrantingT | None:
        host, colon, _ = key.rpartition(":")
        like = (one for one in self.limiters if colon and one.startswith(host + colon))
        return super().limiter(next(like, key))


class CutKeys(Finder[GrantingT]):
    def limiter(self, key: str, /) -> GrantingT | None:
        like = (one for one in self.limiters if one[:64] == key[:64])
        return super().limiter(key if key in LIMITED else next(like, key))


class NetworksForHosts(Finder[GrantingT]):
    """Takes the hosts of an IPv6 network for one, as each of them has many addresses."""

    def limiter(self, key: str, /) -> GrantingT | None:
        network, colons, _ = key.partition("::")
        like = (one for one in self.limiters if colons and one.startswith(network + colons))
        return super().limiter(key) or super().limiter(next(like, key))


class WithoutZones(Finder[GrantingT]):
    """Takes a link-local address for the same on every interface."""

    def limiter(self, key: str, /) -> GrantingT | None:
        address, zone, _ = key.partition("%")
        like = (one for one in self.limiters if zone and one.startswith(address + zone))
        return super().limiter(next(like, key))


class KeptWhileBroken(Finder[GrantingT]):
    """Gives what it found the last time, as long as it cannot ask."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        super().__init__(limits)
        self.known: dict[str, GrantingT | None] = {}

    def limiter(self, key: str, /) -> GrantingT | None:
        if self.reachable or key not in self.known:
            self.known[key] = super().limiter(key)
        return self.known[key]


class FreeWhileBroken(KeptWhileBroken[GrantingT]):
    """Keeps that a key has no limit, as nothing is to be found there."""

    def limiter(self, key: str, /) -> GrantingT | None:
        found = super().limiter(key)
        if found is not None and not self.reachable:
            raise ConnectionRefusedError("the limits are out of reach")
        return found


FAULTS: Final[Mapping[str, tuple[type[Finder[Granting]], ...]]] = {
    "limit-found": (ByPort,),
    "same-budget": (Fresh,),
    "keys-apart": (OneForAll, OneHandle),
    "unlimited-free": (LimitedByDefault,),
    "empty-key": (ParsingKeys, AnybodyForNobody, NamelessThrough),
    "any-key": (AddressesOnly, EncodingKeys),
    "broken-backend-raises": (FailingOpen, WrongError, BreakerFailingOpen),
    "backend-mended": (GivingUp,),
    "kept-no-longer": (KeptWhileBroken, FreeWhileBroken),
    "budget-lasts": (ForgettingOfMany, ForgettingUnheld, ForgettingIdle, BegunAnewByChange),
    "first-callers": (TwoForFirstCallers, TwoForFirstCallersOfAKey, TwoForTheVeryFirst),
    "threads-apart": (KeyOnTheObject,),
    "changed-limit-acts": (KeptAfterChange, Raised, RemovedForGood),
    "keys-whole": (
        ThatBeginSo,
        ThatEndSo,
        CutKeys,
        WithoutPorts,
        WithoutZones,
        NetworksForHosts,
    ),
}
"""By the clauses that they break."""
