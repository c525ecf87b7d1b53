"""The contracts of limiters, and of what finds them."""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, PacketConn
from gost_core.context import Context
from gost_core.limiter import (
    SCOPE_CONN,
    Option,
    Options,
    addr_option,
    client_option,
    conn,
    network_option,
    rate,
    scope_option,
    service_option,
    src_option,
    traffic,
)
from gost_core.testing._contract import (
    Broken,
    Contract,
    NotTried,
    checks,
    clause,
    expect,
    expect_raises,
    run,
)
from gost_core.testing._doubles import Address
from gost_core.testing._report import Report

__all__ = (
    "check_limiter_conn_conn_limiter",
    "check_limiter_conn_limiter",
    "check_limiter_rate_limiter",
    "check_limiter_rate_rate_limiter",
    "check_limiter_traffic_limiter",
    "check_limiter_traffic_traffic_limiter",
)

LookupT = TypeVar("LookupT", bound=rate.RateLimiter)
ConnLimiterT = TypeVar("ConnLimiterT", bound=conn.ConnLimiter)
TrafficLimiterT = TypeVar("TrafficLimiterT", bound=traffic.TrafficLimiter)

_CALLS: Final[int] = 10_000
_DRAWS: Final[int] = 1000
_ROUNDS: Final[int] = 200
_PLENTY: Final[int] = 1 << 20
_PEER: Final[Address] = Address("udp", "192.0.2.2:53")

# So slow that no test lives to see anything come back.
_NEVER: Final[float] = 1e-6

_LIMITED: Final[str] = "192.0.2.1"
_LIMITED_TOO: Final[str] = "2001:db8::1"
_FREE: Final[str] = "198.51.100.7"
_NEW: Final[str] = "203.0.113.9"


class ConnLimiterContract(Contract, interface=conn.Limiter):
    """Check a limiter of connections."""

    make: Callable[[int], conn.Limiter] = field(kw_only=False)
    """Makes a limiter with so many places, all of them free; 0 = unlimited."""
    group: Callable[[Sequence[conn.Limiter]], conn.Limiter] | None = None
    """Makes a limiter that grants what every one of these grants."""
    wrap: Callable[[Conn, conn.Limiter], Conn] | None = None
    """Takes one place of a limiter, and returns the connection wrapped in one that gives it back
    when it is closed."""

    async def _specimen(self) -> conn.Limiter:
        return self.make(3)

    @clause("limit() tells how many places there are.", "D51")
    async def limit_told(self) -> None:
        limit = self.make(3).limit()
        expect(limit == 3, f"limit() returned {limit} where there are 3 places")

    @clause("As many places as there are can be taken, and no more.", "D51")
    async def grants_to_limit(self) -> None:
        limiter = self.make(3)
        for taken in range(3):
            expect(limiter.allow(1), f"allow(1) was False with {taken} of 3 places taken")
        expect(not limiter.allow(1), "allow(1) was True with all 3 places taken")

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
        for _ in range(3):
            limiter.allow(1)
        expect(limiter.allow(-2), "allow(-2) was False")
        for number in (1, 2):
            expect(limiter.allow(1), f"allow(1) was False, {number} of 2 after allow(-2)")
        expect(not limiter.allow(1), "allow(1) was True a third time after allow(-2)")

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
        for taken in range(3):
            expect(limiter.allow(1), f"allow(1) was False with {taken} of 3 places taken")
        expect(not limiter.allow(1), "a fourth place was there after giving back too many of 3")

    @clause(
        "allow(0) is granted, full or not, and changes nothing.",
        "D51",
        after=("grants_to_limit",),
    )
    async def zero_changes_nothing(self) -> None:
        limiter = self.make(1)
        expect(limiter.allow(0), "allow(0) was False with a place free")
        expect(limiter.allow(1), "allow(1) was False after allow(0)")
        expect(limiter.allow(0), "allow(0) was False with no place free")
        expect(not limiter.allow(1), "allow(1) was True with no place free, after allow(0)")

    @clause("A limiter without limit grants everything, and limit() is 0 or less.", "D51")
    async def unlimited_grants(self) -> None:
        limiter = self.make(0)
        expect(limiter.limit() <= 0, f"limit() was {limiter.limit()} without a limit")
        for n in (1, _PLENTY, -1, -2 * _PLENTY, 1):
            expect(limiter.allow(n), f"allow({n}) was False without a limit")

    @clause(
        "Threads together never get more places than there are, and none is lost between them.",
        "D21, D51",
        after=("grants_to_limit", "release_returns"),
    )
    async def threads(self) -> None:
        limiters = [self.make(8) for _ in range(_ROUNDS)]

        def take() -> list[int]:
            return [_spend(limiter) for limiter in limiters]

        def give_back() -> None:
            for limiter in limiters:
                limiter.allow(-2)

        taken = zip(*await in_threads(take, "allow(1) from threads"), strict=True)
        for total in map(sum, taken):
            expect(total == 8, f"threads took {total} of 8 places")
        await in_threads(give_back, "allow(-2) from threads")
        for limiter in limiters:
            free = _spend(limiter)
            expect(free == 8, f"{free} of 8 places were free when threads had given back all")

    @clause(
        "A group that refuses takes nothing from any of its members.",
        "D51",
        after=("grants_to_limit",),
    )
    async def group_refusal_free(self) -> None:
        need(self.group, 'group')  # NEED
        for first, second in ((1, 2), (2, 1)):
            members = [self.make(first), self.make(second)]
            group = self.group(members)
            expect(group.allow(1), "a group with free places in each member refused")
            expect(not group.allow(1), "a group granted with one of its members full")
            loose = max(members, key=lambda member: member.limit())
            expect(loose.allow(1), "a group's refusal took a place of the member that had one")

    @clause(
        "However often a connection is closed, its place is given back once.",
        "D1, D51",
        after=("grants_to_limit", "release_returns"),
    )
    async def closing_frees_once(self) -> None:
        need(self.wrap, 'wrap')  # NEED
        for at_once in (False, True):
            limiter = self.make(3)
            limiter.allow(2)
            connection = self.wrap(_Inner(), limiter)
            keep(connection.close)
            expect(not limiter.allow(1), "an open connection held no place")
            if at_once:
                closing = asyncio.gather(connection.close(), connection.close())
                await within(closing, "close(), twice at once")
            else:
                await within(connection.close(), "close()")
                await within(connection.close(), "a second close()")
            await settle()
            expect(limiter.allow(1), "a closed connection held its place")
            expect(not limiter.allow(1), "closing a connection twice gave back two places")


class RateLimiterContract(Contract, interface=rate.Limiter):
    """Check a limiter of requests."""

    make: Callable[[float], rate.Limiter] = field(kw_only=False)
    """Makes a limiter to which so many come back each second, with a full budget; 0 = unlimited.
    The burst is its own affair; it should be from 2 to some thousands."""
    group: Callable[[Sequence[rate.Limiter]], rate.Limiter] | None = None
    """Makes a limiter that grants what every one of these grants."""

    async def _specimen(self) -> rate.Limiter:
        return self.make(1.0)

    @clause("limit() tells how many come back each second.", "D51")
    async def limit_told(self) -> None:
        limit = self.make(2.5).limit()
        expect(math.isclose(limit, 2.5), f"limit() returned {limit} for 2.5 a second")

    @clause("What the budget holds is granted, then allow() refuses.", "D51")
    async def spent_refused(self) -> None:
        limiter = self.make(_NEVER)
        expect(limiter.allow(1), "allow(1) was False with a full budget")
        _spend(limiter)

    @clause(
        "allow(n) with less than n there is refused.",
        "D51",
        after=("spent_refused",),
    )
    async def all_or_nothing(self) -> None:
        burst = _spend(self.make(_NEVER))
        if burst < 2:
            raise NotTried("a burst of 1 leaves no room; let `make` give a burst of 2 or more")
        limiter = self.make(_NEVER)
        expect(limiter.allow(burst), f"allow({burst}) was False with {burst} there")
        limiter = self.make(_NEVER)
        limiter.allow(1)
        expect(not limiter.allow(burst), f"allow({burst}) was True with {burst - 1} there")

    @clause(
        "A refusal charges nothing.",
        "D51",
        after=("spent_refused",),
    )
    async def refusal_free(self) -> None:
        burst = _spend(self.make(_NEVER))
        limiter = self.make(_NEVER)
        for _ in range(3):
            limiter.allow(burst + 1)
        rest = _spend(limiter)
        expect(rest == burst, f"{rest} of {burst} were there after allow({burst + 1}) was refused")

    @clause("More than the burst is never granted.", "D51", after=("spent_refused",))
    async def burst_bounds(self) -> None:
        burst = _spend(self.make(_NEVER))
        for n in (burst + 1, burst + 2, 10 * burst, _PLENTY):
            granted = self.make(_NEVER).allow(n)
            expect(not granted, f"allow({n}) was True at a burst of {burst}")

    @clause(
        "Time that passes unused saves up no more than the burst.",
        "D51",
        after=("burst_bounds", "refusal_free"),
    )
    async def idle_saves_burst(self) -> None:
        burst = bisect_left(range(1, 1 << 40), True, key=lambda n: not self.make(1000.0).allow(n))
        limiter = self.make(1000.0)
        await asyncio.sleep(0.05)
        granted = limiter.allow(burst + 1)
        expect(not granted, f"allow({burst + 1}) was True at a burst of {burst}, after a pause")

    @clause("What was spent comes back as time goes by.", "D51", after=("refusal_free",))
    async def refills(self) -> None:
        limiter = self.make(100.0)
        _spend(limiter)

        for _ in range(int(100 * self.time_limit)):
            await asyncio.sleep(0.01)
            if limiter.allow(1):
                return
        raise Broken(f"nothing had come back after {self.time_limit:g} s at 100 a second")

    @clause("A limiter without limit grants everything, and limit() is 0 or less.", "D51")
    async def unlimited_grants(self) -> None:
        limiter = self.make(0.0)
        expect(limiter.limit() <= 0, f"limit() was {limiter.limit()} without a limit")
        for n in (1, _PLENTY, _PLENTY):
            expect(limiter.allow(n), f"allow({n}) was False without a limit")

    @clause(
        "Threads together get no more than the budget holds, and no less.",
        "D21, D51",
        after=("refusal_free",),
    )
    async def threads(self) -> None:
        burst = _spend(self.make(_NEVER))
        limiters = [self.make(_NEVER) for _ in range(max(10, _ROUNDS // burst))]

        def spend_all() -> int:
            return sum(_spend(limiter) for limiter in limiters)

        granted = sum(await in_threads(spend_all, "allow() from threads"))
        budget = burst * len(limiters)
        expect(granted == budget, f"threads got {granted} where {budget} were there")

    @clause(
        "A group that refuses takes nothing from any of its members.",
        "D51",
        after=("refusal_free",),
    )
    async def group_refusal_free(self) -> None:
        need(self.group, 'group')  # NEED
        burst = _spend(self.make(_NEVER))
        for loose_one in (0, 1):
            members = [self.make(_NEVER), self.make(_NEVER)]
            _spend(members[1 - loose_one])
            expect(not self.group(members).allow(1), "a group granted with a member that is spent")
            rest = _spend(members[loose_one])
            expect(
                rest == burst,
                f"a group's refusal left {rest} of {burst} in the member that had all",
            )


def _spend(limiter: rate.Limiter) -> int:
    """Take one after the other until one is refused, and return how many were granted."""
    for granted in range(_CALLS):
        if not limiter.allow(1):
            return granted
    raise Broken(f"allow(1) was True {_CALLS} times in a row at a limit of {limiter.limit()}")


class RateLookupContract(Contract, Generic[LookupT], interface=rate.RateLimiter):
    """Check what finds the limiters of requests."""

    make: Callable[[Mapping[str, float]], LookupT] = field(kw_only=False)
    """Makes one with these limits by key, where all other keys are unlimited; the keys are
    addresses of clients, the limits are so many a second."""
    break_backend: Callable[[LookupT], Awaitable[object]] | None = None
    """Puts the limits out of reach."""

    async def _specimen(self) -> LookupT:
        return self.make()

    def _limiter(self, lookup: LookupT, key: str) -> rate.Limiter:
        limiter = lookup.limiter(key)
        if limiter is None:
            raise Broken(f"limiter({key!r}) returned None where there is a limit")
        return limiter

    @clause("A key with a limit gives a limiter of that limit.", "D53")
    async def limit_found(self) -> None:
        lookup = self.make()
        for key in (_LIMITED, _LIMITED_TOO):
            limit = self._limiter(lookup, key).limit()
            expect(
                math.isclose(limit, self.limit),
                f"the limiter of {key!r} has the limit {limit} instead of {self.limit}",
            )

    @clause("The same key draws on the same budget each time.", "D53", after=("limit_found",))
    async def same_budget(self) -> None:
        self._spend(self.make())

    def _spend(self, lookup: LookupT) -> None:
        for _ in range(_CALLS):
            if not self._limiter(lookup, _LIMITED).allow(1):
                return
        raise Broken(f"{_CALLS} limiters of one key, asked for one after the other, all granted 1")

    @clause(
        "Keys with limits of their own have budgets of their own.", "D53", after=("same_budget",)
    )
    async def keys_apart(self) -> None:
        lookup = self.make()
        self._spend(lookup)
        expect(
            self._limiter(lookup, _LIMITED_TOO).allow(1),
            f"spending the budget of {_LIMITED!r} spent that of {_LIMITED_TOO!r}",
        )

    @clause("A key without a limit gives None, or a limiter without limit.", "D51, D53")
    async def unlimited_free(self) -> None:
        limiter = self.make().limiter(_FREE)
        if limiter is not None:
            expect(limiter.limit() <= 0, f"an unlimited key has the limit {limiter.limit()}")
            expect(limiter.allow(_PLENTY), f"allow({_PLENTY}) was False without a limit")

    @clause('The key "", of a client without a host, is legal.', "Go's implementations")
    async def empty_key(self) -> None:
        self.make().limiter("")

    @clause("A lookup that cannot tell raises OSError.", "D53")
    async def broken_backend_raises(self) -> None:
        need(self.break_backend, 'break_backend')  # NEED
        lookup = self.make()
        await given(self.break_backend(lookup), "break_backend()")
        with expect_raises("limiter() of a new key with its backend broken", OSError):
            lookup.limiter(_NEW)


class ConnLookupContract(RateLookupContract[ConnLimiterT], interface=conn.ConnLimiter):
    # MANUAL fields from the check function
    """Check what finds the limiters of connections."""

    make: Callable[[Mapping[str, int]], ConnLimiterT] = field(kw_only=False)
    """Makes one with these limits by key, where all other keys are unlimited; the keys are
    addresses of clients, the limits numbers of places."""
    break_backend: Callable[[ConnLimiterT], Awaitable[object]] | None = None
    """Puts the limits out of reach."""


# MANUAL @checks(ConnLookupContract)
# MANUAL async def check_limiter_conn_conn_limiter(
# MANUAL     make: Callable[[Mapping[str, int]], ConnLimiterT],
# MANUAL     /,
# MANUAL     *,
# MANUAL     break_backend: Callable[[ConnLimiterT], Awaitable[object]] | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check what finds the limiters of connections.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes one with these limits by key, where all other keys are unlimited; the keys
# MANUAL             are addresses of clients, the limits numbers of places.
# MANUAL         break_backend: puts the limits out of reach.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     limits = {_LIMITED: 3, _LIMITED_TOO: 3}
# MANUAL     return await run(ConnLookupContract(3, lambda: make(limits), break_backend), time_limit)


# MANUAL @checks(RateLookupContract)
# MANUAL async def check_limiter_rate_rate_limiter(
# MANUAL     make: Callable[[Mapping[str, float]], LookupT],
# MANUAL     /,
# MANUAL     *,
# MANUAL     break_backend: Callable[[LookupT], Awaitable[object]] | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check what finds the limiters of requests.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes one with these limits by key, where all other keys are unlimited; the keys
# MANUAL             are addresses of clients, the limits are so many a second.
# MANUAL         break_backend: puts the limits out of reach.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     limits = {_LIMITED: _NEVER, _LIMITED_TOO: _NEVER}
# MANUAL     return await run(RateLookupContract(_NEVER, lambda: make(limits), break_backend), time_limit)


class TrafficLimiterContract(Contract, interface=traffic.Limiter):
    """Check a limiter of bytes."""

    make: Callable[[int], traffic.Limiter] = field(kw_only=False)
    """Makes a limiter to which so many bytes come back each second; 0 = unlimited."""
    refusing: Callable[[], traffic.Limiter] | None = None
    """Makes a limiter that refuses."""
    wrap: Callable[[Conn, traffic.Limiter], Conn] | None = None
    """Wraps a connection, here one that can also send datagrams, so that the limiter governs what
    is written to it."""

    async def _specimen(self) -> traffic.Limiter:
        return self.make(1000)

    async def _wait(self, limiter: traffic.Limiter, n: int) -> int:
        return await within(limiter.wait(Context(), n), f"wait({n})")

    @clause("limit() tells how many bytes come back each second.", "D51")
    async def limit_told(self) -> None:
        limit = self.make(1000).limit()
        expect(limit == 1000, f"limit() returned {limit} for 1000 a second")

    @clause("limit() tells what set() has set.", "D52", after=("limit_told",))
    async def set_told(self) -> None:
        limiter = self.make(1000)
        limiter.set(2000)
        expect(limiter.limit() == 2000, f"limit() returned {limiter.limit()} after set(2000)")

    @clause("wait(n) grants at least 1 byte and at most n.", "D52")
    async def grants_within_ask(self) -> None:
        for n in (1, 2, 100, _PLENTY):
            granted = await self._wait(self.make(1000), n)
            expect(1 <= granted <= n, f"wait({n}) granted {granted}")

    @clause("A limiter without limit grants all that is asked for.", "D51, D52")
    async def unlimited_grants(self) -> None:
        limiter = self.make(0)
        expect(limiter.limit() <= 0, f"limit() was {limiter.limit()} without a limit")
        for n in (1, _PLENTY, _PLENTY):
            granted = await self._wait(limiter, n)
            expect(granted == n, f"wait({n}) granted {granted} without a limit")

    @clause(
        "When the budget is spent, wait() waits until some is there.",
        "D52",
        after=("grants_within_ask",),
    )
    async def spent_waits(self) -> None:
        limiter = self.make(1)
        await self.spent(lambda: limiter.wait(Context(), _PLENTY))

    async def spent(self, draw: Callable[[], Awaitable[int]]) -> None:
        """Take all that is there, and leave a call behind that waits."""
        for _ in range(_DRAWS):
            waiting = start(draw())
            await ended(waiting}, timeout=0.02)
            if not waiting.done():
                return
            waiting.result()
        raise Broken(
            f"{_DRAWS} calls of wait({_PLENTY}) in a row were granted at once, "
            "where 1 byte comes back a second"
        )

    @clause(
        "Any number of calls may wait at once, and all are served.",
        "D52",
        after=("grants_within_ask",),
    )
    async def all_served(self) -> None:
        limiter = self.make(2000)
        await self._wait(limiter, _PLENTY)
        callers = [start(_take(limiter, 10)) for _ in range(20)]
        await within(asyncio.gather(*callers), "20 callers' waiting for 10 of 2000 bytes/s")

    @clause(
        "Raising the limit serves calls that wait already.",
        "D52",
        after=("all_served", "set_told", "spent_waits"),
    )
    async def set_wakes(self) -> None:
        await self._set_while_waiting(1 << 30)

    @clause(
        "Lifting the limit serves calls that wait already.",
        "D51, D52",
        after=("all_served", "set_told", "spent_waits", "unlimited_grants"),
    )
    async def unlimited_wakes(self) -> None:
        await self._set_while_waiting(0)

    async def _set_while_waiting(self, limit: int) -> None:
        limiter = self.make(1)
        await self.spent(lambda: limiter.wait(Context(), _PLENTY))
        # At 1 byte a second, the last of so many would wait for longer than the time limit.
        waiting = [
            start(limiter.wait(Context(), _PLENTY))
            for _ in range(int(2 * self.time_limit) + 2)
        ]
        await settle()
        limiter.set(limit)
        await within(asyncio.gather(*waiting), f"waiting calls, after set({limit}),")

    @clause(
        "A cancelled wait takes nothing from the budget.",
        "D52",
        after=("all_served", "spent_waits"),
    )
    async def cancel_takes_nothing(self) -> None:
        limiter = self.make(20)
        await self._wait(limiter, _PLENTY)
        # If each of them took its byte, the next call would wait for longer than the time limit.
        waiting = [
            start(limiter.wait(Context(), 1)) for _ in range(int(40 * self.time_limit) + 40)
        ]
        await settle()
        for call in waiting:
            call.cancel()
        await settle()
        await within(
            limiter.wait(Context(), 1),
            f"wait(1) at 20 bytes/s, after {len(waiting)} cancelled ones,",
        )

    @clause("A refusal is for good: 0 at once, and again.", "D52")
    async def refusal_final(self) -> None:
        need(self.refusing, 'refusing')  # NEED
        limiter = self.refusing()
        for number in (1, 2, 3):
            granted = await self._wait(limiter, 100)
            expect(granted == 0, f"wait(100) number {number} granted {granted} where 0 refuses")

    @clause("A write that the limiter refuses raises OSError; it does not ask for ever.", "D8, D52")
    async def refused_write_raises(self) -> None:
        need(self.wrap, 'wrap')  # NEED
        connection = self.wrap(_Inner(), _Refusing())
        keep(connection.close)
        await raises(connection.write(b"some bytes"), "write() when refused", OSError)

    @clause(
        "A datagram granted less than its size is dropped, and write_to() raises OSError.", "D52"
    )
    async def dropped_datagram_raises(self) -> None:
        need(self.wrap, 'wrap')  # NEED
        inner = _Inner()
        connection = self.wrap(inner, _Sparing())
        keep(connection.close)
        if not isinstance(connection, PacketConn):
            raise NotTried("`wrap` gives a connection without write_to()")
        sending = connection.write_to(b"datagram", _PEER)
        await raises(sending, "write_to() of 8 bytes when 7 are granted", OSError)
        expect(not inner.sent, f"{inner.sent!r} was sent though 7 of 8 bytes were granted")


async def _take(limiter: traffic.Limiter, n: int) -> None:
    """Take ``n`` bytes, as a caller does who needs them all."""
    while n > 0:
        granted = await limiter.wait(Context(), n)
        expect(granted > 0, f"wait({n}) was refused")
        n -= granted


class TrafficLookupContract(Contract, Generic[TrafficLimiterT], interface=traffic.TrafficLimiter):
    """Check what finds the limiters of bytes."""

    make: Callable[[Mapping[str, int]], TrafficLimiterT] = field(kw_only=False)
    """Makes one with these limits by key, in bytes a second for either direction, where all other
    keys are unlimited."""
    scope: str = SCOPE_CONN
    """A scope that it serves, for which the limits are."""
    unserved_scope: str | None = None
    """A scope that it does not serve."""
    break_backend: Callable[[TrafficLimiterT], Awaitable[object]] | None = None
    """Puts the limits out of reach."""

    async def _specimen(self) -> TrafficLimiterT:
        return self._build()

    def _build(self) -> TrafficLimiterT:
        return owned(self.make({_LIMITED: 1}))

    async def _both(
        self, lookup: TrafficLimiterT, key: str, *opts: Option
    ) -> list[tuple[str, traffic.Limiter | None]]:
        """Return what in_() and out() give, each with its name."""
        return [
            ("in_()", await within(lookup.in_(Context(), key, *opts), "in_()")),
            ("out()", await within(lookup.out(Context(), key, *opts), "out()")),
        ]

    @clause("A key with a limit gives limiters of that limit, one for each direction.", "D52, D53")
    async def limit_found(self) -> None:
        lookup = self._build()
        for what, limiter in await self._both(lookup, _LIMITED, scope_option(self.scope)):
            limit = None if limiter is None else limiter.limit()
            expect(limit == 1, f"{what} gave the limit {limit} where it is 1 byte a second")

    @clause(
        "The same key, scope and service draw on the same budget, whatever the other options.",
        "D53",
        after=("limit_found",),
    )
    async def same_budget(self) -> None:
        lookup = self._build()
        for what in ("in_()", "out()"):
            await self._expect_shared(lookup, what)

    async def _expect_shared(self, lookup: TrafficLimiterT, what: str) -> None:
        look = lookup.in_ if what == "in_()" else lookup.out
        for number in range(_DRAWS):
            looking = look(
                Context(),
                _LIMITED,
                scope_option(self.scope),
                service_option("service-0"),
                network_option("tcp" if number % 2 else "udp"),
                addr_option(f"192.0.2.2:{1024 + number}"),
                client_option(f"client-{number}"),
                src_option(f"198.51.100.7:{1024 + number}"),
            )
            limiter = await within(looking, what)
            if limiter is None:
                raise Broken(f"{what} returned None where there is a limit")
            waiting = start(limiter.wait(Context(), _PLENTY))
            await ended(waiting}, timeout=0.02)
            if not waiting.done():
                return
            expect(waiting.result() > 0, f"a limiter that {what} gave refused")
        raise Broken(
            f"{_DRAWS} limiters of one key, scope and service, which {what} gave one after the "
            f"other, all granted at once, where 1 byte comes back a second"
        )

    @clause("A key without a limit gives None, or a limiter without limit.", "D51, D53")
    async def unlimited_free(self) -> None:
        lookup = self._build()
        for what, limiter in await self._both(lookup, _FREE, scope_option(self.scope)):
            if limiter is not None:
                limit = limiter.limit()
                expect(limit <= 0, f"{what} gave the limit {limit} for an unlimited key")

    @clause(
        'Without a scope, and with "", the scope is that of a connection.',
        "Go's implementations",
        after=("limit_found",),
    )
    async def scope_defaults(self) -> None:
        if self.scope != SCOPE_CONN:
            raise NotTried("`scope` is not that of a connection")
        lookup = self._build()
        for opts in ((), (scope_option(""),)):
            for what, limiter in await self._both(lookup, _LIMITED, *opts):
                limit = None if limiter is None else limiter.limit()
                expect(limit == 1, f"{what} with {len(opts)} options gave the limit {limit}, not 1")

    @clause("A scope that is not served gives None.", "D53", after=("limit_found",))
    async def unserved_scope_none(self) -> None:
        need(self.unserved_scope, 'unserved_scope')  # NEED
        lookup = self._build()
        for what, limiter in await self._both(lookup, _LIMITED, scope_option(self.unserved_scope)):
            expect(limiter is None, f"{what} gave a limiter for a scope that is not served")

    @clause(
        "Options are any callables, applied in order; the last one wins.",
        "D23",
        after=("limit_found",),
    )
    async def last_option_wins(self) -> None:
        def served(options: Options) -> None:
            options.scope = self.scope

        lookup = self._build()
        other = scope_option(
            "gost-core-testing" if self.unserved_scope is None else self.unserved_scope
        )
        for what, limiter in await self._both(lookup, _LIMITED, other, served):
            limit = None if limiter is None else limiter.limit()
            expect(limit == 1, f"{what} gave the limit {limit} where the last of two scopes has 1")

    @clause("A lookup that cannot tell raises OSError.", "D53")
    async def broken_backend_raises(self) -> None:
        need(self.break_backend, 'break_backend')  # NEED
        lookup = self._build()
        await given(self.break_backend(lookup), "break_backend()")
        for method, what in ((lookup.in_, "in_()"), (lookup.out, "out()")):
            looking = method(Context(), _NEW, scope_option(self.scope))
            await raises(looking, f"{what} of a new key with its backend broken", OSError)


# MANUAL @checks(TrafficLookupContract)
# MANUAL async def check_limiter_traffic_traffic_limiter(
# MANUAL     make: Callable[[Mapping[str, int]], TrafficLimiterT],
# MANUAL     /,
# MANUAL     *,
# MANUAL     scope: str = SCOPE_CONN,
# MANUAL     unserved_scope: str | None = None,
# MANUAL     break_backend: Callable[[TrafficLimiterT], Awaitable[object]] | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check what finds the limiters of bytes.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes one with these limits by key, in bytes a second for either direction, where
# MANUAL             all other keys are unlimited.
# MANUAL         scope: a scope that it serves, for which the limits are.
# MANUAL         unserved_scope: a scope that it does not serve.
# MANUAL         break_backend: puts the limits out of reach.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL     """
# MANUAL     contract = TrafficLookupContract(make, scope, unserved_scope, break_backend)
# MANUAL     return await run(contract, time_limit)


class _Inner(Conn, PacketConn):
    """A connection to be wrapped: it yields on each call, and keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def read(self, n: int, /) -> bytes:
        await asyncio.sleep(0)
        return b""

    async def write(self, data: Buffer, /) -> None:
        await asyncio.sleep(0)
        self.sent.append(bytes(data))

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        await asyncio.sleep(0)
        return b"datagram"[:n], _PEER

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self.write(data)

    async def close(self) -> None:
        await asyncio.sleep(0)

    def local_addr(self) -> Address:
        return Address("udp", "192.0.2.1:1024")

    def remote_addr(self) -> Address:
        return _PEER


class _Sparing(traffic.Limiter):
    """Grants one byte less than is asked for, but at least one."""

    async def wait(self, ctx: Context, n: int, /) -> int:
        await asyncio.sleep(0)
        return max(n - 1, 1)

    def limit(self) -> int:
        return 1000

    def set(self, n: int, /) -> None:
        """Stay as it is."""


class _Refusing(_Sparing):
    """Refuses; it yields, so that a caller who asks for ever can be stopped."""

    async def wait(self, ctx: Context, n: int, /) -> int:
        await asyncio.sleep(0)
        return 0
