"""The contracts of limiters of bytes, and of what finds them."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any, Final
from weakref import ref

from typing_extensions import TypeVar

from gost_core.common.net import Conn, PacketConn
from gost_core.context import Context
from gost_core.keys import TIME_LIMIT
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
from gost_core.testing._families.budgets import (
    ALIKE,
    LIKE,
    LIMITED,
    MANY,
    OTHER,
    PLENTY,
    Limits,
    Meter,
    Ways,
)
from gost_core.testing._families.calls import Cancelled, Methods, OneWaiting
from gost_core.testing._families.lent import kept_of
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._run.attempt import Broken, Exempt
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    all_within,
    ended,
    expect,
    given,
    need,
    owned,
    raises,
    returned,
    settle,
    start,
    turns,
    within,
)
from gost_core.testing._stage.sink import PEER, Sink

__all__ = ("LimiterContract", "TrafficLimiterContract")

TrafficLimiterT = TypeVar("TrafficLimiterT", bound=TrafficLimiter, default=TrafficLimiter)

_DRAWS: Final[int] = 1000
# Bytes a second.
_SLOW: Final[int] = 1
_FAST: Final[int] = 200
_LARGE: Final[int] = 1 << 16
# More calls than those of which something may still be held.
_LENT: Final[int] = 100
# Seconds after which a caller asks anew. Of a limiter without a queue one may lose each race, since
# all wake at the same moments; who is starved is so whenever it asks.
_PATIENCE: Final[float] = 0.5


class LimiterContract(
    Cancelled[Limiter], interface=Limiter, first=("grants_within_ask", "spent_waits")
):
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

    async def _ready(self) -> Limiter:
        return await self._spent()

    async def _methods(self, component: Limiter) -> Methods:
        return {"wait(1)": lambda: component.wait(Context(), 1)}

    @clause("limit() tells how many bytes come back each second.", "D51")
    async def limit_told(self) -> None:
        limit = self.make(1000).limit()
        expect(limit == 1000, f"limit() returned {limit} for 1000 a second")

    @clause("limit() tells what set() has set.", "D52", after=("limit_told",))
    async def set_told(self) -> None:
        limiter = self.make(1000)
        for n in (2000, 3000):
            limiter.set(n)
            expect(limiter.limit() == n, f"limit() returned {limiter.limit()} after set({n})")

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
        lifted = self.make(_SLOW)
        lifted.set(-1)
        expect(lifted.limit() <= 0, f"limit() was {lifted.limit()} after set(-1)")
        granted = await _wait(lifted, PLENTY)
        expect(granted == PLENTY, f"wait({PLENTY}) granted {granted} after set(-1)")

    async def _set_while_waiting(self, limit: int) -> None:
        limiter = await self._spent()
        # At 1 byte a second, the last of so many would wait for longer than the time limit.
        count = int(2 * self.time_limit) + 2
        asked = range(PLENTY, PLENTY + count)
        waiting = [start(limiter.wait(Context(), n)) for n in asked]
        await settle()
        limiter.set(limit)
        granted = await within(asyncio.gather(*waiting), f"waiting calls, after set({limit}),")
        mixed = any(one > n for one, n in zip(granted, asked, strict=True))
        expect(not mixed, "a call was granted what another one had asked for")

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
        what = f"wait(1) at 20 bytes/s, after {count} cancelled ones,"
        await within(limiter.wait(Context(), 1), what)
        full = await _draw(self.make(_LARGE))
        for stage in range(1, 4):
            limiter = self.make(_LARGE)
            call = start(limiter.wait(Context(), PLENTY))
            await turns(stage)
            call.cancel()
            await ended(call)
            left = await _draw(limiter) if call.cancelled() else full
            expect(left > full / 2, f"a cancelled wait left {left} of {full} bytes")

    @clause(
        "Over some seconds, it grants half of its limit to one and a half of it, plus at most what "
        "one second brings, to all who ask, and each of them is served.",
        "D51, D52",
        after=("all_served", "spent_waits", "cancelled"),
    )
    async def rate(self) -> None:
        limiter = self.make(_FAST)
        # What it had at first says nothing of what comes back.
        await _draw(limiter)
        await _measure(limiter)

    @clause(
        "A lower limit that was set governs what is granted from then on, and setting it again "
        "fills no budget.",
        "D52",
        after=("rate", "set_told", "set_wakes"),
    )
    async def set_governs(self) -> None:
        limiter = self.make(1 << 20)
        await _wait(limiter, 1)
        # To lift the limit for a moment must not lift it for good.
        for n in (0, _FAST):
            limiter.set(n)

        async def again() -> None:
            while True:
                await asyncio.sleep(0.1)
                limiter.set(_FAST)

        setting = start(again())
        await _measure(limiter)
        setting.cancel()

    @clause("A refusal is for good: 0 at once, and again.", "D52")
    async def refusal_final(self) -> None:
        limiter = need(self.refusing, "refusing")()
        for number in (1, 2, 3):
            granted = await _wait(limiter, 100)
            expect(granted == 0, f"wait(100) number {number} granted {granted} where 0 refuses")

    @clause("A write that the limiter refuses raises OSError; it does not ask for ever.", "D8, D52")
    async def refused_write_raises(self) -> None:
        connection = owned(need(self.wrap, "wrap")(Sink(), _Sparing(0)))
        await raises(connection.write(b"some bytes"), "write() when refused", OSError)

    @clause(
        "A datagram that is granted in parts is sent, whole, when all of it has been granted.",
        "D52",
    )
    async def datagram_in_parts(self) -> None:
        sink, limiter = Sink(), _Sparing()
        sending = self._packets(sink, limiter).write_to(b"datagram", PEER)
        await within(sending, "write_to() of 8 bytes when they are granted in parts")
        expect(sink.sent == [b"datagram"], f"{sink.sent!r} was sent of a datagram")
        expect(limiter.granted == 8, f"{limiter.granted} of 8 bytes had been granted")

    @clause(
        "A datagram of which a part is refused is dropped, and write_to() raises OSError.", "D52"
    )
    async def dropped_datagram_raises(self) -> None:
        for granted in (0, 7):
            sink = Sink()
            sending = self._packets(sink, _Sparing(granted)).write_to(b"datagram", PEER)
            await raises(sending, f"write_to() of 8 bytes of which {granted} are granted", OSError)
            expect(not sink.sent, f"{sink.sent!r} was sent though 7 of 8 bytes were granted")

    def _packets(self, sink: Sink, limiter: Limiter) -> PacketConn:
        connection = owned(need(self.wrap, "wrap")(sink, limiter))
        if not isinstance(connection, PacketConn):
            raise Exempt("`wrap` gives a connection without write_to()")
        return connection


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


async def _measure(limiter: Limiter) -> None:
    """Break the clause unless several callers are granted as much as the limit says."""
    meter = Meter(_FAST, _FAST)
    served: set[int] = set()
    all_served = asyncio.Event()

    async def take(number: int) -> None:
        while not meter.too_much():
            try:
                async with asyncio.timeout(_PATIENCE):
                    granted = await limiter.wait(Context(), 1 if number == 9 else 7)
            except TimeoutError:
                continue
            meter.granted += granted
            expect(granted > 0, "wait() was refused")
            served.add(number)
            if len(served) == 10:
                all_served.set()
            await asyncio.sleep(0)

    callers = [start(take(number)) for number in range(10)]
    await meter.run(lambda: [one.result() for one in callers if one.done()])
    await within(all_served.wait(), "the first grant of each of 10 callers at once")
    for one in callers:
        one.cancel()


async def _draw(limiter: Limiter) -> int:
    """Take all that is there, and return how much that was."""
    drawn = 0
    for _ in range(_DRAWS):
        call = start(limiter.wait(Context(), PLENTY))
        await asyncio.wait({call}, timeout=0.02)
        if not call.done():
            call.cancel()
            break
        drawn += call.result()
        if call.result() < _LARGE // 100:
            # What has come back meanwhile.
            break
    return drawn


async def _expect_drawn(limiter: Limiter, full: int, since: float, otherwise: str) -> None:
    """Break the clause if a budget is full, though that has not had the time to come back."""
    drawn = await _draw(limiter)
    brought = 1.5 * _LARGE * (asyncio.get_running_loop().time() - since) + _LARGE / 4
    expect(not brought < 0.9 * full <= drawn, f"{otherwise}: {drawn} bytes, after {full}")


class _Sparing(Limiter):
    """Grants some of what is asked for, at least one byte, until there is nothing left."""

    def __init__(self, most: int = 1 << 20) -> None:
        self.granted = 0
        self._most = most

    async def wait(self, ctx: Context, n: int, /) -> int:
        # A caller that asks for ever can be stopped.
        await asyncio.sleep(0)
        granted = min(max(n - 1, 1), self._most - self.granted)
        self.granted += granted
        return granted

    def limit(self) -> int:
        return 1000

    def set(self, n: int, /) -> None:
        """Stay as it is."""


class TrafficLimiterContract(
    Limits[TrafficLimiterT, Limiter],
    OneWaiting[TrafficLimiterT],
    TakesOptions,
    interface=TrafficLimiter,
    first=("limit_found",),
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
    other_scope: str | None = None
    """Another scope that it serves, for which the same limits are."""
    unserved_scope: str | None = None
    """A scope that it does not serve."""

    _limit = _SLOW
    _options = Options

    def _build(self) -> TrafficLimiterT:
        return owned(self.make(dict.fromkeys(LIMITED, _SLOW)))

    async def _methods(self, component: TrafficLimiterT) -> Methods:
        ways = self._ways(component)
        return {what: partial(find, LIMITED[0]) for what, find in ways.items()}

    def _silent(self, count: int) -> Sequence[Callable[[TrafficLimiterT], Awaitable[object]]]:
        keys = (LIMITED[0], *(f"198.51.100.{number}" for number in range(count)))
        return [partial(self._ask_in, key) for key in keys[:count]]

    async def _others(self) -> Mapping[str, Callable[[TrafficLimiterT], Awaitable[object]]]:
        return {"in_()": partial(self._ask_in, LIMITED[1])}

    def _ask_in(self, key: str, lookup: TrafficLimiterT) -> Awaitable[object]:
        return self._ways(lookup)["in_()"](key)

    async def _call_with(self, *opts: AnyOption) -> None:
        lookup = self._build()
        for find in (lookup.in_, lookup.out):
            for _ in range(2):
                await find(Context(), LIMITED[0], *opts)

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
            network_option(f"network-{number}"),
            addr_option(f"192.0.2.2:{1024 + number}"),
            client_option(f"client-{number}"),
            src_option(f"198.51.100.7:{1024 + number}" if number % 2 else "/run/client.sock"),
        )
        return returned(await within(ways[what](LIMITED[0]), what), what)

    async def _find(
        self, lookup: TrafficLimiterT, what: str, key: str = LIMITED[0], *opts: Option
    ) -> Limiter:
        found = self._ways_with(lookup, *(opts or [scope_option(self.scope)]))[what](key)
        return returned(await within(found, what), what)

    async def _expect_apart(self, one: Limiter, other: Limiter, of: str) -> None:
        """Break the clause if callers of one limiter hold up those of another."""

        async def same(_number: int) -> Limiter:
            return one

        await _spend(same, f"calls of wait({PLENTY}) in a row were granted")
        # At 1 byte a second, a call behind so many would wait for longer than the time limit.
        for _ in range(int(2 * self.time_limit) + 2):
            start(one.wait(Context(), PLENTY))
        await settle()
        await within(other.wait(Context(), 1), f"wait(1), of {of} that was not used,")

    def _scopes(self) -> list[Option]:
        """Return the scopes that it serves."""
        return [scope_option(one) for one in (self.scope, self.other_scope) if one is not None]

    @clause("Directions have budgets of their own.", "D51", after=("same_budget",))
    async def directions_apart(self) -> None:
        for scope in self._scopes():
            lookup = self._build()
            finds = (self._find(lookup, what, LIMITED[0], scope) for what in ("in_()", "out()"))
            one, other = await asyncio.gather(*finds)
            await self._expect_apart(one, other, "a direction")

    @clause("Services have budgets of their own.", "D51", after=("same_budget",))
    async def services_apart(self) -> None:
        for scope in self._scopes():
            service = "service-1" * 30
            lookup, names = self._build(), map(service_option, (service, f"{service}0"))
            finds = (self._find(lookup, "in_()", LIMITED[0], scope, name) for name in names)
            one, other = await asyncio.gather(*finds)
            await self._expect_apart(one, other, "a service")

    @clause("Scopes have budgets of their own.", "D51", after=("same_budget",))
    async def scopes_apart(self) -> None:
        lookup, scopes = self._build(), (self.scope, need(self.other_scope, "other_scope"))
        found = (self._find(lookup, "in_()", LIMITED[0], scope_option(one)) for one in scopes)
        one, other = await asyncio.gather(*found)
        await self._expect_apart(one, other, "a scope")

    @clause(
        "Keys are compared whole, and have budgets of their own.",
        "D51",
        after=("same_budget", "unlimited_free"),
    )
    async def keys_whole(self) -> None:
        limits = {key: number for number, key in enumerate((*LIKE, ""), 1)}
        lookup = owned(self.make(limits))
        for key, limit in limits.items():
            found = (await self._find(lookup, "in_()", key)).limit()
            expect(found == limit, f"{key!r} has the limit {found} of a key like it")
        for key in ALIKE:
            free = await within(self._ways(lookup)["in_()"](key), "in_()")
            expect(free is None or free.limit() <= 0, f"{key!r} has a limit, of a key like it")
        lookup = self._build()
        one, other = [await self._find(lookup, "in_()", key) for key in LIMITED]
        await self._expect_apart(one, other, "a key")
        for host in (LIMITED[0], f"[{LIMITED[1]}]"):
            ports = (f"{host}:{port}" for port in (1024, 10240))
            two = [await within(self._ways(lookup)["in_()"](key), "in_()") for key in ports]
            # A rule may be for the host, but what is limited is the connection.
            if two[0] is not None and two[1] is not None:
                await self._expect_apart(two[0], two[1], "a port")

    @clause(
        "A key keeps its budget when nobody holds its limiter, however many other keys are asked "
        "for; two first callers at once get the same.",
        "D3, D51",
        after=("same_budget",),
    )
    async def budget_lasts(self) -> None:
        # Each may be asked of a server, so these are fewer.
        many = MANY[:1100]
        lookup = owned(self.make(dict.fromkeys((*LIMITED, *many), _LARGE)))
        began = asyncio.get_running_loop().time()
        first, second = await asyncio.gather(*(self._find(lookup, "in_()") for _ in range(2)))
        full = await _draw(first)
        await _expect_drawn(second, full, began, "of two first callers, both got a budget")
        del first, second
        gc.collect()
        again = await self._find(lookup, "in_()")
        await _expect_drawn(again, full, began, "a budget that nobody held began anew")
        find = self._ways(lookup)["in_()"]
        await all_within(map(find, many), f"in_() of {len(many)} keys at once")
        if self.change_limit is not None:
            await given(self.change_limit(lookup, LIMITED[1], OTHER), "change_limit()")
        await self.elapse(self.kept_for)
        again = await self._find(lookup, "in_()")
        await _expect_drawn(again, full, began, f"after {len(many)} keys, a budget began anew")

    @clause(
        "Calls at once, of other keys, directions and options, do not mix, and one that gets no "
        "answer holds up no other.",
        "D22",
    )
    async def concurrent(self) -> None:
        lookup = owned(self.make({key: number + 1 for number, key in enumerate(LIMITED)}))
        served, unserved = scope_option(self.scope), scope_option(self.unserved_scope or self.scope)
        calls = [
            (find, key, opts)
            for find in (lookup.in_, lookup.out)
            for key in LIMITED
            for opts in ((served, service_option(key)), (unserved, client_option(key)), (served,))
        ]
        expected = [await find(Context(), key, *opts) for find, key, opts in calls]
        calling = (find(Context(), key, *opts) for find, key, opts in calls)
        for was, found in zip(expected, await all_within(calling, "calls at once"), strict=True):
            limits = [0 if one is None else one.limit() for one in (was, found)]
            expect(limits[0] == limits[1], f"alone, a call gave {limits[0]}, at once {limits[1]}")

    @clause(
        'Without a scope, and with "", the scope is that of a connection.',
        "Go's implementations",
        after=("budget_lasts", "limit_found"),
    )
    async def scope_defaults(self) -> None:
        need(self.scope if self.scope == SCOPE_CONN else None, "scope` of a connection")
        lookup = self._build()
        for find in self._ways_with(lookup, scope_option(self.unserved_scope or "")).values():
            await find(LIMITED[0])
        await self._expect_limit(self._ways_with(lookup), ", without a scope")
        ways = self._ways_with(lookup, scope_option(""))
        await self._expect_limit(ways, ', with the scope ""')
        lookup, began = owned(self.make({LIMITED[0]: _LARGE})), asyncio.get_running_loop().time()
        full = await _draw(await self._find(lookup, "in_()"))
        again = await self._find(lookup, "in_()", LIMITED[0], scope_option(""))
        await _expect_drawn(again, full, began, 'the scope "" had a budget besides')

    @clause(
        "Nothing is kept that was given for a call: no option, and no context with a time limit.",
        "D23, D69",
        after=("limit_found", "options"),
    )
    async def nothing_kept(self) -> None:
        lookup, lent = self._build(), list[ref[Any]]()

        async def lend(key: str) -> None:
            ctx = Context().with_value(TIME_LIMIT, asyncio.get_running_loop().time() + 60)
            option = scope_option(self.scope)
            for find in (lookup.in_, lookup.out):
                await within(find(ctx, key, option), "a lookup")
            lent.extend((ref(ctx), ref(option)))

        for key in (LIMITED[0], *LIMITED[1:] * _LENT):
            await lend(key)
        kept = kept_of(lent)
        expect(not any(kept[:2]), f"after {_LENT} other calls, what a call had is kept")
        expect(sum(kept) < _LENT, f"what was given for {_LENT} calls is kept")

    @clause("A scope that is not served gives None.", "D53", after=("limit_found",))
    async def unserved_scope_none(self) -> None:
        unserved = need(self.unserved_scope, "unserved_scope")
        for what, find in self._ways_with(self._build(), scope_option(unserved)).items():
            limiter = await within(find(LIMITED[0]), what)
            expect(limiter is None, f"{what} gave a limiter for a scope that is not served")

    @clause(
        "Options are any callables, applied in order; the last one wins.",
        "D23",
        after=("limit_found", "options"),
    )
    async def last_option_wins(self) -> None:
        def served(options: Options) -> None:
            options.scope = self.scope

        unserved = self.unserved_scope
        other = scope_option("gost-core-testing" if unserved is None else unserved)
        ways = self._ways_with(self._build(), other, served)
        await self._expect_limit(ways, ", by the last of two scopes")
