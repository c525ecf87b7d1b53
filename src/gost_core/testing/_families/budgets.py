"""Clauses of limiters that grant or refuse at once, and of what finds limiters by key."""

import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, Final, Generic, TypeAlias

from typing_extensions import Protocol, TypeVar

from gost_core.testing._families.lookups import Backed
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import expect, need, raises, returned, within

__all__ = ("LIMITED", "PLENTY", "Budget", "Limited", "Limits", "OnePerKey", "spend")

LIMITED: Final[tuple[str, str]] = ("192.0.2.1", "2001:db8::1")
"""The keys that have a limit."""
PLENTY: Final[int] = 1 << 20
"""More than any budget holds."""

_FREE: Final[str] = "198.51.100.7"
_NEW: Final[str] = "203.0.113.9"
_CALLS: Final[int] = 10_000


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
    ``_unlimited`` one without limit, which is asked for each of ``_amounts``.
    """

    group: Callable[[Sequence[GrantingT]], Granting] | None = None
    """Makes a limiter that grants what every one of these grants."""

    _amounts: ClassVar[tuple[int, ...]]

    @abstractmethod
    def _full(self) -> GrantingT:
        """Make a limiter with all of its budget."""

    @abstractmethod
    def _unlimited(self) -> GrantingT:
        """Make a limiter without limit."""

    @clause("A limiter without limit grants everything, and limit() is 0 or less.", "D51")
    async def unlimited_grants(self) -> None:
        limiter = self._unlimited()
        expect(limiter.limit() <= 0, f"limit() was {limiter.limit()} without a limit")
        for n in self._amounts:
            expect(limiter.allow(n), f"allow({n}) was False without a limit")

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
            rest = spend(members[loose])
            expect(rest == full, f"a group's refusal left {rest} of {full} in another member")


def spend(limiter: Granting, /) -> int:
    """Take one after the other until one is refused, and return how many were granted."""
    for granted in range(_CALLS):
        if not limiter.allow(1):
            return granted
    raise Broken(f"allow(1) was True {_CALLS} times in a row at a limit of {limiter.limit()}")


class Limits(Backed[LookupT], Generic[LookupT, LimitedT]):
    """The clauses of what finds limiters by key.

    Hooks: ``_build`` makes one where the keys ``LIMITED`` have the limit ``_limit``, and others
    none. ``_ways`` returns its methods.
    """

    _limit: ClassVar[float]

    @abstractmethod
    def _ways(self, lookup: LookupT, /) -> Ways[LimitedT]:
        """Return its methods."""

    def _expect_unlimited(self, limiter: LimitedT, what: str) -> None:
        expect(limiter.limit() <= 0, f"{what} of a free key gave the limit {limiter.limit()}")

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

    @clause("A lookup that cannot tell raises OSError.", "D53")
    async def broken_backend_raises(self) -> None:
        for what, find in self._ways(await self._broken()).items():
            await raises(find(_NEW), f"{what} of a new key with its backend broken", OSError)


class OnePerKey(Limits[FindingT, Granting]):
    """Those of them that find one limiter for a key, which grants or refuses at once."""

    def _ways(self, lookup: FindingT, /) -> Ways[Granting]:
        async def find(key: str) -> Granting | None:
            return lookup.limiter(key)

        return {"limiter()": find}

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
        lookup = self._build()
        self._spend(lookup)
        spent, other = LIMITED
        granted = _limiter(lookup, other).allow(1)
        expect(granted, f"spending the budget of {spent!r} spent that of {other!r}")

    @clause('The key "", of a client without a host, is legal.', "Go's implementations")
    async def empty_key(self) -> None:
        self._build().limiter("")


def _limiter(lookup: Finding, key: str) -> Granting:
    return returned(lookup.limiter(key), f"limiter({key!r})")
