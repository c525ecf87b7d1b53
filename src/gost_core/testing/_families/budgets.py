"""Clauses of limiters that grant or refuse at once, and of what finds limiters by key."""

import asyncio
import gc
import math
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Final, Generic, TypeAlias

from typing_extensions import Protocol, TypeVar

from gost_core.testing._families.calls import Mended, Methods
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import (
    expect,
    given,
    in_threads,
    leaving_no_task,
    need,
    raises,
    returned,
    within,
)

__all__ = (
    "ALIKE",
    "LIKE",
    "LIMITED",
    "MANY",
    "OTHER",
    "PLENTY",
    "Budget",
    "Limited",
    "Limits",
    "Meter",
    "OnePerKey",
    "spend",
)

LIMITED: Final[tuple[str, str]] = ("192.0.2.1", "2001:db8::1")
"""The keys that have a limit."""
_LONG: Final[str] = "client." * 20
LIKE: Final[tuple[str, ...]] = (
    *(LIMITED[0], f"{LIMITED[0]}0", f"{LIMITED[0]}00", f"{_LONG}example", f"{_LONG}test"),
    *("2001:db8::1", "2001:db8::2", "fe80::1%eth0", "fe80::1%eth1"),
)
"""Keys of which one is a part of another, or begins as another does."""
ALIKE: Final[tuple[str, ...]] = ("92.0.2.1", "192.0.2.2", "2001:db8::3")
"""Keys without a limit, of which each is like one of those."""
MANY: Final[tuple[str, ...]] = tuple(f"198.18.{n >> 8}.{n & 255}" for n in range(5100))
"""More keys than are kept where they are kept in a small place."""
OTHER: Final[int] = 7
"""A limit that a key is given later."""
PLENTY: Final[int] = 1 << 20
"""More than any budget holds."""

_FREE: Final[str] = "198.51.100.7"
_NEW: Final[str] = "203.0.113.9"
_CALLS: Final[int] = 10_000
_LOOKUPS: Final[int] = 50
# Seconds for which grants are counted, at most, and of which a wait that is longer counts.
_WHILE: Final[float] = 2.5
_IDLE: Final[float] = 3600.0
_TICK: Final[float] = 0.02
# Somewhat more than half a second: what comes back at its end may be asked for a little later.
_HALF: Final[float] = 0.6


class Limited(Protocol):
    """Something with a limit."""

    def limit(self) -> float:
        """Return it; 0 or less = unlimited."""
        ...


class Granting(Limited, Protocol):
    """A limiter that grants or refuses at once."""

    def allow(self, n: int, /) -> bool:
        """Take ``n``, or refuse."""
        ...


class Finding(Protocol):
    """What finds such limiters."""

    def limiter(self, key: str, /) -> Granting | None:
        """Return the limiter of a key."""
        ...


FindingT = TypeVar("FindingT", bound=Finding)
GrantingT = TypeVar("GrantingT", bound=Granting)
LimitedT = TypeVar("LimitedT", bound=Limited)
LookupT = TypeVar("LookupT")

Ways: TypeAlias = Mapping[str, Callable[[str], Awaitable[LimitedT | None]]]
"""The methods that find a limiter by its key, by their names."""


class Budget(Contract, Generic[GrantingT]):
    """The clauses of limiters that grant or refuse at once.

    Hooks: ``_full`` makes a limiter with all of its budget, of which nothing comes back by itself;
    ``_unlimited`` one whose limit is 0 or less, which is asked for each of ``_amounts``.
    """

    group: Callable[[Sequence[GrantingT]], Granting] | None = None
    """Makes a limiter that grants what every one of these grants."""

    _amounts: ClassVar[tuple[int, ...]]

    @abstractmethod
    def _full(self) -> GrantingT:
        """Make a limiter with all of its budget."""

    @abstractmethod
    def _unlimited(self, limit: int, /) -> GrantingT:
        """Make a limiter without limit, by this number."""

    @clause("A limiter without limit grants everything, and limit() is 0 or less.", "D51")
    async def unlimited_grants(self) -> None:
        limiters = [self._unlimited(0)]
        expect(limiters[0].limit() <= 0, f"limit() was {limiters[0].limit()} without a limit")
        # What makes them may take no negative number, or make 0 of it.
        with suppress(ValueError):
            limiters.append(self._unlimited(-1))
        for limiter in limiters:
            for n in self._amounts:
                granted = limiter.limit() > 0 or limiter.allow(n)
                expect(granted, f"allow({n}) was False at a limit() of {limiter.limit()}")

    @clause("A group that refuses takes nothing from any of its members.", "D51", after=(FIRST,))
    async def group_refusal_free(self) -> None:
        group = need(self.group, "group")
        full = spend(self._full())
        for loose in (0, 1):
            untouched = group([self._full(), self._full()])
            expect(untouched.allow(1), "a group refused where each of its members grants")
            members = [self._full(), self._full()]
            spend(members[1 - loose])
            expect(not group(members).allow(1), "a group granted with a member that is spent")
            expect(not members[1 - loose].allow(1), "a group's refusal gave its member something")
            rest = spend(members[loose])
            expect(rest == full, f"a group's refusal left {rest} of {full} in another member")


def spend(limiter: Granting, /) -> int:
    """Take one after the other until one is refused, and return how many were granted."""
    for granted in range(_CALLS):
        if not limiter.allow(1):
            return granted
    raise Broken(f"allow(1) was True {_CALLS} times in a row at a limit of {limiter.limit()}")


class Meter:
    """Measures what is granted by a limit, beside what a right one brings in the same moments."""

    def __init__(self, limit: float, burst: float) -> None:
        self.granted = 0
        self._limit = limit
        self._burst = burst
        self._now = asyncio.get_running_loop().time
        self._began = self._last = self._now()
        self._brought = 0.0
        # A burst hides twice the limit for as long as this.
        self._while = min(1 + 1.5 * burst / limit, _WHILE)

    def too_much(self) -> bool:
        """Tell whether more was granted than may be."""
        most = 1.5 * self._limit * max(0.5, self._now() - self._began) + self._burst + 1
        return self.granted > most

    async def run(self, poll: Callable[[], object]) -> None:
        """Call ``poll`` often, for a while; break the clause unless the grants were right."""
        marks = deque([(0.0, self.granted)])
        while self._last - self._began < self._while and not self.too_much():
            poll()
            await asyncio.sleep(0.01)
            now = self._now()
            # What a busy machine does not ask for is not granted.
            self._brought += min(now - self._last, _TICK) * self._limit
            self._last = now
            marks.append((self._brought, self.granted))
            if self._brought - marks[0][0] >= _HALF * self._limit:
                least = 0.5 * (self._brought - marks[0][0]) - 1
                granted = self.granted - marks.popleft()[1]
                expect(granted >= least, f"{granted} were granted in {_HALF} s where {least} may")
        took = f"in {self._last - self._began:.2f} s at {self._limit:g} a second"
        expect(not self.too_much(), f"{self.granted} were granted {took}")
        least = 0.5 * self._brought - 1
        expect(self.granted >= least, f"only {self.granted} were granted {took}")


class Limits(Mended[LookupT], Generic[LookupT, LimitedT]):
    """The clauses of what finds limiters by key.

    Hooks: ``_build`` makes one where the keys ``LIMITED`` have the limit ``_limit``, and others
    none. ``_ways`` returns its methods.
    """

    change_limit: Callable[[LookupT, str, int], Awaitable[object]] | None = None
    """Gives a key another limit, 0 = none, where limits can change while they are in use."""
    kept_for: float = 0.0
    """For how many seconds it keeps answers, as it documents."""
    elapse: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Lets so many seconds pass, at once if its clock can be moved."""

    _limit: ClassVar[float]

    @abstractmethod
    def _ways(self, lookup: LookupT, /) -> Ways[LimitedT]:
        """Return its methods."""

    def _expect_unlimited(self, limiter: LimitedT, what: str) -> None:
        expect(limiter.limit() <= 0, f"{what} of a free key gave the limit {limiter.limit()}")

    async def _wear(self, lookup: LookupT) -> None:
        """Let happen what begins no budget anew: time, and the change of another key's limit."""
        if self.change_limit is not None:
            await given(self.change_limit(lookup, LIMITED[1], OTHER), "change_limit()")
        # Nobody waits for an hour whose clock cannot be moved.
        await self.elapse(self.kept_for if self.elapse is asyncio.sleep else _IDLE)

    async def _expect_limit(self, ways: Ways[LimitedT], when: str = "") -> None:
        """Break the clause unless the limiters have the limit; ``when`` says what was special."""
        for what, find in ways.items():
            for key in LIMITED:
                limiter = await within(find(key), what)
                limit = math.nan if limiter is None else limiter.limit()
                expect(
                    math.isclose(limit, self._limit),
                    f"{what} of {key!r} gave {'no limiter' if limiter is None else limit} where "
                    f"the limit is {self._limit:g}{when}",
                )

    @clause("A key with a limit gives a limiter of that limit.", "D53")
    async def limit_found(self) -> None:
        await self._expect_limit(self._ways(self._build()))

    @clause("A key without a limit gives None, or a limiter without limit.", "D51, D53")
    async def unlimited_free(self) -> None:
        for what, find in self._ways(self._build()).items():
            limiter = await within(find(_FREE), what)
            if limiter is not None:
                self._expect_unlimited(limiter, what)

    @clause(
        "A limit that is changed or removed acts at the next lookup, or when the time is over for "
        "which answers are kept.",
        "D51",
        after=("limit_found", "unlimited_free"),
    )
    async def changed_limit_acts(self) -> None:
        change_limit, lookup = need(self.change_limit, "change_limit"), self._build()
        await self._expect_limit(self._ways(lookup))
        # Up, down, away, and there again.
        for limit in (OTHER, 2, 0, OTHER):
            await given(change_limit(lookup, LIMITED[0], limit), "change_limit()")
            await self.elapse(self.kept_for)
            for what, find in self._ways(lookup).items():
                limiter = await within(find(LIMITED[0]), what)
                told = 0.0 if limiter is None else max(0.0, limiter.limit())
                changed = f"{what} gave the limit {told:g} after it was changed to {limit}"
                expect(math.isclose(told, limit), changed)

    @clause("A lookup that cannot tell raises OSError, and leaves no task behind.", "D20, D53")
    async def broken_backend_raises(self) -> None:
        for what, find in self._ways(await self._broken()).items():
            called = f"{what} of a new key with its backend broken"
            # As many failures as make most breakers open, and then more.
            for _ in range(2):
                calls = (leaving_no_task(find(_NEW), called) for _ in range(10))
                await asyncio.gather(*(raises(call, called, OSError) for call in calls))

    @clause(
        "When its limits are out of reach, what was found before is given no longer than answers "
        "are kept.",
        "D51, D53",
        after=("broken_backend_raises", "limit_found"),
    )
    async def kept_no_longer(self) -> None:
        need(self.break_backend, "break_backend")
        lookup, known = self._build(), (*LIMITED, _FREE)
        ways = self._ways(lookup)
        for what, find in ways.items():
            for key in known:
                await within(find(key), what)
        await self._break(lookup)
        await self.elapse(self.kept_for)
        for what, find in ways.items():
            for key in known:
                called = f"{what} of {key!r}, which was found before its backend was broken,"
                await raises(find(key), called, OSError)


class OnePerKey(Limits[FindingT, Granting], first=("limit_found",)):
    """Those of them that find one limiter for a key, which grants or refuses at once.

    Hook: ``_of`` makes one where these keys have the limit ``_limit``.
    """

    @abstractmethod
    def _of(self, *keys: str) -> FindingT:
        """Make one."""

    def _build(self) -> FindingT:
        return self._of(*LIMITED)

    def _ways(self, lookup: FindingT, /) -> Ways[Granting]:
        async def find(key: str) -> Granting | None:
            return lookup.limiter(key)

        return {"limiter()": find}

    async def _methods(self, component: FindingT, /) -> Methods:
        return {"limiter()": lambda: self._expect_limit(self._ways(component))}

    def _expect_unlimited(self, limiter: Granting, what: str) -> None:
        super()._expect_unlimited(limiter, what)
        expect(limiter.allow(PLENTY), f"allow({PLENTY}) was False without a limit")

    def _spend(self, lookup: FindingT) -> None:
        """Take one from one key, each time by another lookup, until that is refused."""
        for _ in range(_CALLS):
            if not _limiter(lookup, LIMITED[0]).allow(1):
                return
        raise Broken(f"{_CALLS} limiters of one key, asked for one after the other, all granted 1")

    @clause("The same key draws on the same budget each time.", "D53", after=("limit_found",))
    async def same_budget(self) -> None:
        self._spend(self._build())

    @clause(
        "Keys with limits of their own have budgets of their own.", "D53", after=("same_budget",)
    )
    async def keys_apart(self) -> None:
        lookup, (spent, other) = self._build(), LIMITED
        held = _limiter(lookup, spent)
        self._spend(lookup)
        granted = _limiter(lookup, other).allow(1)
        expect(granted, f"spending the budget of {spent!r} spent that of {other!r}")
        expect(not held.allow(1), f"what was held of {spent!r} granted of another key's budget")

    @clause(
        "A key keeps its budget when nobody holds its limiter, and however many other keys are "
        "asked for.",
        "D51",
        after=("same_budget",),
    )
    async def budget_lasts(self) -> None:
        lookup = self._of(*LIMITED, *MANY)
        self._spend(lookup)
        gc.collect()
        expect(not _limiter(lookup, LIMITED[0]).allow(1), "unused, a budget began anew")
        for key in MANY:
            _limiter(lookup, key).allow(1)
            await asyncio.sleep(0)
        await self._wear(lookup)
        fresh = _limiter(lookup, LIMITED[0]).allow(1)
        expect(not fresh, f"after {len(MANY)} other keys, a budget began anew")

    @clause(
        "Threads that ask for one key for the first time, at once, draw on one budget.",
        "D3, D21, D51",
        after=("same_budget",),
    )
    async def first_callers(self) -> None:
        full = spend(_limiter(self._build(), LIMITED[0]))
        lookups = [self._build() for _ in range(_LOOKUPS)]
        for lookup in lookups[::3]:
            _limiter(lookup, LIMITED[1])
        # After a change, callers are the first again; a limit below 1 cannot be set.
        if self.change_limit is not None and self._limit >= 1:
            for lookup in lookups[1::3]:
                for limit in (2, int(self._limit)):
                    await given(self.change_limit(lookup, LIMITED[0], limit), "change_limit()")
            await self.elapse(self.kept_for)
        granted = await in_threads(
            lambda number: spend(_limiter(lookups[number], LIMITED[0])),
            _LOOKUPS,
            "limiter() from threads",
        )
        for of_one in zip(*granted, strict=True):
            expect(sum(of_one) == full, f"threads got {sum(of_one)} of a budget of {full}")

    @clause(
        "Threads that ask for different keys at once do not mix.",
        "D21, D22",
        after=("limit_found", "unlimited_free"),
    )
    async def threads_apart(self) -> None:
        lookup = self._build()

        def find(number: int) -> None:
            for key in (LIMITED[0], _FREE):
                limiter = lookup.limiter(key)
                limited = limiter is not None and limiter.limit() > 0
                expect(limited is (key != _FREE), f"{key!r} got the limit of another, in threads")

        await in_threads(find, _LOOKUPS, "limiter() from threads")

    @clause("Keys are compared whole.", "D51", after=("keys_apart", "unlimited_free"))
    async def keys_whole(self) -> None:
        lookup = self._of(*LIKE)
        for key in LIKE:
            expect(_limiter(lookup, key).allow(1), f"a key like {key!r} took its budget")
            spend(_limiter(lookup, key))
        for key in ALIKE:
            other = lookup.limiter(key)
            free = other is None or other.limit() <= 0
            expect(free, f"{key!r} has a limit, of a key like it")

    @clause(
        'The key "", of a client without a host, is legal, and can have a limit.',
        "D53, Go's implementations",
        after=("unlimited_free",),
    )
    async def empty_key(self) -> None:
        self._expect_legal("")
        # Who gives the limits may take addresses alone.
        with suppress(ValueError):
            limiter = _limiter(self._of(""), "")
            expect(limiter.limit() > 0, "the key '' has a limit, and limiter('') is unlimited")

    @clause("A key that is no address is legal.", "Go's implementations", after=("empty_key",))
    async def any_key(self) -> None:
        self._expect_legal("client.example", "/run/client.sock", f"/run/{_LONG}.sock")

    def _expect_legal(self, *keys: str) -> None:
        lookup = self._build()
        for key in keys:
            limiter = lookup.limiter(key)
            if limiter is not None:
                self._expect_unlimited(limiter, f"limiter({key!r})")


def _limiter(lookup: Finding, key: str) -> Granting:
    return returned(lookup.limiter(key), f"limiter({key!r})")
