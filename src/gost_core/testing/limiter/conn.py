"""The contracts of limiters of connections, and of what finds them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final

from typing_extensions import TypeVar

from gost_core.common.net import Conn
from gost_core.limiter.conn import ConnLimiter, Limiter
from gost_core.testing._families.budgets import LIMITED, PLENTY, Budget, OnePerKey, spend
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    in_threads,
    need,
    owned,
    returned,
    settle,
    start,
    turns,
    within,
)
from gost_core.testing._stage.sink import Sink

__all__ = ("ConnLimiterContract", "LimiterContract")

ConnLimiterT = TypeVar("ConnLimiterT", bound=ConnLimiter, default=ConnLimiter)
LimiterT = TypeVar("LimiterT", bound=Limiter, default=Limiter)

_LIMITERS: Final[int] = 200
_PLACES: Final[int] = 3


class LimiterContract(Budget[LimiterT], interface=Limiter, first=("grants_to_limit",)):
    """What a limiter of connections promises."""

    make: Callable[[int], LimiterT] = field(kw_only=False)
    """Makes a limiter with so many places, all of them free; 0 = unlimited. For -1 it may raise
    ValueError."""
    wrap: Callable[[Conn, LimiterT], Conn] | None = None
    """Takes one place of a limiter, and returns the connection wrapped in one that gives it back
    when it is closed."""

    _amounts = (1, PLENTY, -1, -2 * PLENTY, 1)

    async def _specimen(self) -> LimiterT:
        return self._full()

    def _full(self) -> LimiterT:
        return self.make(3)

    def _unlimited(self, limit: int, /) -> LimiterT:
        return self.make(limit)

    @clause("limit() tells how many places there are.", "D51")
    async def limit_told(self) -> None:
        limit = self.make(3).limit()
        expect(limit == 3, f"limit() returned {limit} where there are 3 places")

    @clause("As many places as there are can be taken, and no more.", "D51")
    async def grants_to_limit(self) -> None:
        _expect_free(self.make(3), 3, "at first")

    @clause(
        "allow(n) with fewer than n places free is refused, and takes none.",
        "D51",
        after=("grants_to_limit",),
    )
    async def all_or_nothing(self) -> None:
        limiter = self.make(3)
        expect(not limiter.allow(4), "allow(4) was True with 3 places")
        limiter.allow(1)
        expect(not limiter.allow(3), "allow(3) was True with 2 of 3 places free")
        expect(limiter.allow(2), "allow(2) was False with 2 of 3 places free, after refusals")

    @clause(
        "Places that are given back can be taken again; giving back is always granted.",
        "D51",
        after=("grants_to_limit",),
    )
    async def release_returns(self) -> None:
        limiter = self.make(3)
        spend(limiter)
        expect(limiter.allow(-2), "allow(-2) was False")
        _expect_free(limiter, 2, "after allow(-2)")
        members = [self.make(3), self.make(3)]
        for group in [self.group(members)] if self.group else []:
            expect(group.allow(3), "a group refused what each of its members has")
            group.allow(-2)
            for member in members:
                _expect_free(member, 2, "in a member, after allow(-2) of a group")

    @clause(
        "Giving back more than was taken leaves all places free, never more than that.",
        "D51",
        after=("grants_to_limit", "release_returns"),
    )
    async def release_floored(self) -> None:
        limiter = self.make(3)
        limiter.allow(-1)
        limiter.allow(1)
        limiter.allow(-5)
        _expect_free(limiter, 3, "after giving back too many")

    @clause(
        "allow(0) is granted, full or not, and changes nothing.",
        "D51",
        after=("grants_to_limit", "unlimited_grants"),
    )
    async def zero_changes_nothing(self) -> None:
        limiter = self.make(1)
        expect(limiter.allow(0), "allow(0) was False with a place free")
        expect(limiter.allow(1), "allow(1) was False after allow(0)")
        expect(limiter.allow(0), "allow(0) was False with no place free")
        expect(not limiter.allow(1), "allow(1) was True with no place free, after allow(0)")
        expect(self.make(0).allow(0), "allow(0) was False without a limit")

    @clause(
        "Threads together never get more places than there are, and none is lost between them.",
        "D21, D51",
        after=("grants_to_limit", "release_returns"),
    )
    async def threads(self) -> None:
        limiters = [self.make(8) for _ in range(_LIMITERS)]
        taken = await in_threads(lambda i: spend(limiters[i]), _LIMITERS, "allow(1) from threads")
        for of_one in zip(*taken, strict=True):
            expect(sum(of_one) == 8, f"threads took {sum(of_one)} of 8 places")
        await in_threads(lambda i: limiters[i].allow(-2), _LIMITERS, "allow(-2) from threads")
        for limiter in limiters:
            _expect_free(limiter, 8, "when threads had given back all")

    @clause(
        "However often a connection is closed, its place is given back once.",
        "D1, D51",
        after=("grants_to_limit", "release_returns"),
    )
    async def closing_frees_once(self) -> None:
        wrap = need(self.wrap, "wrap")
        for way in ("", "at once", "cancelled"):
            limiter = self.make(3)
            limiter.allow(2)
            connection = owned(wrap(Sink(), limiter))
            expect(not limiter.allow(1), "an open connection held no place")
            if way == "at once":
                both = asyncio.gather(connection.close(), connection.close())
                await within(both, "close(), twice at once")
            else:
                closing = start(connection.close())
                if way == "cancelled":
                    await turns(1)
                    closing.cancel()
                await ended(closing)
                await settle()
                _expect_free(limiter, 1, "when its connection had been closed once")
                limiter.allow(-1)
                await within(connection.close(), "a second close()")
            await settle()
            _expect_free(limiter, 1, "when its connection had been closed twice")


def _expect_free(limiter: Limiter, places: int, when: str) -> None:
    """Take what is free; break the clause unless it was so many places."""
    free = spend(limiter)
    expect(free == places, f"{free} places were free instead of {places}, {when}")


class ConnLimiterContract(OnePerKey[ConnLimiterT], interface=ConnLimiter):
    """What finds the limiters of connections promises."""

    make: Callable[[Mapping[str, int]], ConnLimiterT] = field(kw_only=False)
    """Makes one with these limits by key, where all other keys are unlimited; the keys are
    addresses of clients, the limits numbers of places."""

    _limit = _PLACES

    def _of(self, *keys: str) -> ConnLimiterT:
        return owned(self.make(dict.fromkeys(keys, _PLACES)))

    @clause(
        "A place that was taken by one lookup of a key can be given back by another.",
        "D51, D53",
        after=("same_budget",),
    )
    async def given_back(self) -> None:
        lookup = self._build()
        self._spend(lookup)
        for n in (-1, -2):
            one, other = (returned(lookup.limiter(LIMITED[0]), "limiter()") for _ in range(2))
            one.allow(n)
            _expect_free(other, -n, f"after allow({n}) of another lookup")
