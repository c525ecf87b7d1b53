"""The contracts of limiters of bytes, and of what finds them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Final

from typing_extensions import TypeVar

from gost_core.common.net import Conn, PacketConn
from gost_core.context import Context
from gost_core.limiter import (
    SCOPE_CONN,
    Option,
    Options,
    addr_option,
    client_option,
    network_option,
    scope_option,
    service_option,
    src_option,
)
from gost_core.limiter.traffic import Limiter, TrafficLimiter
from gost_core.testing._families.budgets import LIMITED, PLENTY, Limits, Ways
from gost_core.testing._run.attempt import Broken, Exempt
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import (
    expect,
    need,
    owned,
    raises,
    returned,
    settle,
    start,
    within,
)
from gost_core.testing._stage.sink import PEER, Sink

__all__ = ("LimiterContract", "TrafficLimiterContract")

TrafficLimiterT = TypeVar("TrafficLimiterT", bound=TrafficLimiter, default=TrafficLimiter)

_DRAWS: Final[int] = 1000
# Bytes a second.
_SLOW: Final[int] = 1


class LimiterContract(Contract, interface=Limiter):
    """What a limiter of bytes promises."""

    make: Callable[[int], Limiter] = field(kw_only=False)
    """Makes a limiter to which so many bytes come back each second; 0 = unlimited."""
    refusing: Callable[[], Limiter] | None = None
    """Makes a limiter that refuses."""
    wrap: Callable[[Conn, Limiter], Conn] | None = None
    """Wraps a connection, here one that can also send datagrams, so that the limiter governs what
    is written to it."""

    async def _specimen(self) -> Limiter:
        return self.make(1000)

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
        for n in (1, 2, 100, PLENTY):
            granted = await _wait(self.make(1000), n)
            expect(1 <= granted <= n, f"wait({n}) granted {granted}")

    @clause("A limiter without limit grants all that is asked for.", "D51, D52")
    async def unlimited_grants(self) -> None:
        limiter = self.make(0)
        expect(limiter.limit() <= 0, f"limit() was {limiter.limit()} without a limit")
        for n in (1, PLENTY, PLENTY):
            granted = await _wait(limiter, n)
            expect(granted == n, f"wait({n}) granted {granted} without a limit")

    @clause(
        "When the budget is spent, wait() waits until some is there.",
        "D52",
        after=("grants_within_ask",),
    )
    async def spent_waits(self) -> None:
        await self._spent()

    async def _spent(self) -> Limiter:
        """Return a limiter of which all is taken, for which a call waits."""
        limiter = self.make(_SLOW)

        async def same(_number: int) -> Limiter:
            return limiter

        await _spend(same, f"calls of wait({PLENTY}) in a row were granted")
        return limiter

    @clause(
        "Any number of calls may wait at once, and all are served.",
        "D52",
        after=("grants_within_ask",),
    )
    async def all_served(self) -> None:
        limiter = self.make(2000)
        await _wait(limiter, PLENTY)
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
        limiter = await self._spent()
        # At 1 byte a second, the last of so many would wait for longer than the time limit.
        count = int(2 * self.time_limit) + 2
        waiting = [start(limiter.wait(Context(), PLENTY)) for _ in range(count)]
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
        await _wait(limiter, PLENTY)
        # If each of them took its byte, the next call would wait for longer than the time limit.
        count = int(40 * self.time_limit) + 40
        waiting = [start(limiter.wait(Context(), 1)) for _ in range(count)]
        await settle()
        for call in waiting:
            call.cancel()
        await settle()
        await within(
            limiter.wait(Context(), 1), f"wait(1) at 20 bytes/s, after {count} cancelled ones,"
        )

    @clause("A refusal is for good: 0 at once, and again.", "D52")
    async def refusal_final(self) -> None:
        limiter = need(self.refusing, "refusing")()
        for number in (1, 2, 3):
            granted = await _wait(limiter, 100)
            expect(granted == 0, f"wait(100) number {number} granted {granted} where 0 refuses")

    @clause("A write that the limiter refuses raises OSError; it does not ask for ever.", "D8, D52")
    async def refused_write_raises(self) -> None:
        connection = owned(need(self.wrap, "wrap")(Sink(), _Refusing()))
        await raises(connection.write(b"some bytes"), "write() when refused", OSError)

    @clause(
        "A datagram granted less than its size is dropped, and write_to() raises OSError.", "D52"
    )
    async def dropped_datagram_raises(self) -> None:
        sink = Sink()
        connection = owned(need(self.wrap, "wrap")(sink, _Sparing()))
        if not isinstance(connection, PacketConn):
            raise Exempt("`wrap` gives a connection without write_to()")
        sending = connection.write_to(b"datagram", PEER)
        await raises(sending, "write_to() of 8 bytes when 7 are granted", OSError)
        expect(not sink.sent, f"{sink.sent!r} was sent though 7 of 8 bytes were granted")


async def _wait(limiter: Limiter, n: int) -> int:
    return await within(limiter.wait(Context(), n), f"wait({n})")


async def _take(limiter: Limiter, n: int) -> None:
    """Take ``n`` bytes, as a caller does who needs them all."""
    while n > 0:
        granted = await limiter.wait(Context(), n)
        expect(granted > 0, f"wait({n}) was refused")
        n -= granted


async def _spend(find: Callable[[int], Awaitable[Limiter]], what: str) -> None:
    """Take all that is there at 1 byte a second, and leave a call behind that waits."""
    for number in range(_DRAWS):
        limiter = await find(number)
        call = start(limiter.wait(Context(), PLENTY))
        await asyncio.wait({call}, timeout=0.02)
        if not call.done():
            return
        expect(call.result() > 0, "a limiter refused")
    raise Broken(f"{_DRAWS} {what} at once, where 1 byte comes back a second")


class _Sparing(Limiter):
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


class TrafficLimiterContract(
    Limits[TrafficLimiterT, Limiter],
    interface=TrafficLimiter,
    said={
        "limit_found": (
            "A key with a limit gives limiters of that limit, one for each direction.",
            "D52, D53",
        )
    },
):
    """What finds the limiters of bytes promises."""

    make: Callable[[Mapping[str, int]], TrafficLimiterT] = field(kw_only=False)
    """Makes one with these limits by key, in bytes a second for either direction, where all other
    keys are unlimited."""
    scope: str = SCOPE_CONN
    """A scope that it serves, for which the limits are."""
    unserved_scope: str | None = None
    """A scope that it does not serve."""

    _limit = _SLOW

    def _build(self) -> TrafficLimiterT:
        return owned(self.make(dict.fromkeys(LIMITED, _SLOW)))

    def _ways(self, lookup: TrafficLimiterT, /) -> Ways[Limiter]:
        return self._ways_with(lookup, scope_option(self.scope))

    def _ways_with(self, lookup: TrafficLimiterT, *opts: Option) -> Ways[Limiter]:
        return {
            "in_()": lambda key: lookup.in_(Context(), key, *opts),
            "out()": lambda key: lookup.out(Context(), key, *opts),
        }

    @clause(
        "The same key, scope and service draw on the same budget, whatever the other options.",
        "D53",
        after=("limit_found",),
    )
    async def same_budget(self) -> None:
        lookup = self._build()
        for what in self._ways(lookup):
            await _spend(
                partial(self._found_anew, lookup, what),
                f"limiters of one key, scope and service, which {what} gave, all granted",
            )

    async def _found_anew(self, lookup: TrafficLimiterT, what: str, number: int) -> Limiter:
        """Find a limiter, with other options for each number."""
        ways = self._ways_with(
            lookup,
            scope_option(self.scope),
            service_option("service-0"),
            network_option("tcp" if number % 2 else "udp"),
            addr_option(f"192.0.2.2:{1024 + number}"),
            client_option(f"client-{number}"),
            src_option(f"198.51.100.7:{1024 + number}"),
        )
        return returned(await within(ways[what](LIMITED[0]), what), what)

    @clause(
        'Without a scope, and with "", the scope is that of a connection.',
        "Go's implementations",
        after=("limit_found",),
    )
    async def scope_defaults(self) -> None:
        need(self.scope if self.scope == SCOPE_CONN else None, "scope` of a connection")
        lookup = self._build()
        await self._expect_limit(self._ways_with(lookup), ", without a scope")
        ways = self._ways_with(lookup, scope_option(""))
        await self._expect_limit(ways, ', with the scope ""')

    @clause("A scope that is not served gives None.", "D53", after=("limit_found",))
    async def unserved_scope_none(self) -> None:
        unserved = need(self.unserved_scope, "unserved_scope")
        for what, find in self._ways_with(self._build(), scope_option(unserved)).items():
            limiter = await within(find(LIMITED[0]), what)
            expect(limiter is None, f"{what} gave a limiter for a scope that is not served")

    @clause(
        "Options are any callables, applied in order; the last one wins.",
        "D23",
        after=("limit_found",),
    )
    async def last_option_wins(self) -> None:
        def served(options: Options) -> None:
            options.scope = self.scope

        unserved = self.unserved_scope
        other = scope_option("gost-core-testing" if unserved is None else unserved)
        ways = self._ways_with(self._build(), other, served)
        await self._expect_limit(ways, ", by the last of two scopes")
