"""The contract of routers."""

import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import field
from functools import partial
from typing import Any

from gost_core.chain import (
    EmptyRouteError,
    Router,
    RouterOption,
    chain_router_option,
    host_mapper_router_option,
    resolver_router_option,
    retries_router_option,
    timeout_router_option,
)
from gost_core.common.net import Conn, Listener, UnsupportedError
from gost_core.connector import BindUnsupportedError
from gost_core.context import Context
from gost_core.resolver import InvalidError
from gost_core.testing._families.asking import Asking, Waits
from gost_core.testing._families.closers import expect_last_words_here
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    expect_cancelled,
    may_refuse,
    raises,
    settle,
    start,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeChainer, FakeRoute
from gost_core.testing._stage.fakes.connections import Scene
from gost_core.testing._stage.fakes.lookups import FakeHostMapper, FakeResolver
from gost_core.testing._stage.fakes.recorded import Recorded, failures
from gost_core.testing.chain._routed import (
    LONG,
    MANY,
    SHORT,
    Routed,
    chained,
    dial_offered,
    expect_apart,
    expect_at_once,
    expect_bound,
    expect_chosen,
    expect_errors_noted,
    expect_failure_recorded,
    expect_lent_open,
    expect_limit_earlier,
    expect_limit_kept,
    expect_limit_told,
    expect_names_found,
    expect_names_travel,
    expect_no_lookup,
    expect_no_record_hinders,
    expect_no_retry_hinders,
    expect_options_kept,
    expect_permanent,
    expect_question,
    expect_recorded,
    expect_recorders_apart,
    expect_retried,
    expect_taken,
    expect_timeout,
    maps,
    permanent_errors,
    resolves,
    retried_errors,
)
from gost_core.testing.chain._shared import (
    TARGET,
    Limited,
    Opening,
    expect_carries,
    expect_direct,
    expect_direct_bind,
    expect_unconnected,
    kept,
    loopback,
    step_error,
)

__all__ = ("RouterContract",)


class RouterContract(Asking, Opening, Limited, interface=Router, first=("dial",)):
    """What a router promises, over chains, routes, mappers and resolvers of the kit.

    What is direct is tried on this host's loopback.
    """

    make: Callable[[*tuple[RouterOption, ...]], Router] = field(kw_only=False)
    """Makes a router with the options that it is called with; a class whose constructor takes
    ``*opts: RouterOption`` will do."""

    def _routed(self, *opts: RouterOption) -> Routed:
        scene, route, chain = chained()
        return Routed(scene, route, chain, self._serving(chain_router_option(chain), *opts))

    def _serving(self, *opts: RouterOption) -> Router:
        """Make a router with options that it need not serve, if it says so."""
        with may_refuse(ValueError):
            return self.make(*opts)

    _timeout = 2 * SHORT

    def _limiting(self) -> Routed:
        limit = timeout_router_option(self._timeout)
        return self._routed(limit, retries_router_option(MANY))

    def _opening(self, ctx: Context, network: str = "tcp") -> tuple[Awaitable[Conn], Scene]:
        one = self._limiting()
        return one.dial(ctx, network), one.scene

    def _binding(self, ctx: Context) -> tuple[Awaitable[Listener], Scene]:
        one = self._limiting()
        return one.bind(ctx), one.scene

    def _waits(self) -> Waits:
        limit = timeout_router_option(LONG)
        (mapper, mapping), (known, resolving) = maps("192.0.2.10"), resolves("192.0.2.10")
        one, mapped = self._routed(limit), self._routed(limit, mapping)
        resolved = self._routed(limit, resolving)
        yield "the host mapper", mapper.asked, mapped.dial
        yield "the resolver", known.asked, resolved.dial
        yield "the chain", one.chain.asked, one.dial
        yield "the route", one.route.dials, one.dial
        yield "the route", one.route.binds, one.bind

    async def _expect_apart(self) -> None:
        await expect_apart(self._routed(host_mapper_router_option(FakeHostMapper({}))))

    def _limited(self, ctx: Context) -> Iterator[tuple[Awaitable[object], Recorded[Any]]]:
        for using in (Routed.dial, Routed.bind):
            one = self._routed(retries_router_option(3))
            yield using(one, ctx), one.chain.asked

    @clause("options() returns what the router was made with, unchanged.", "D23", after=("dial",))
    async def options(self) -> None:
        await expect_options_kept(self._routed)

    # ---- Where the way comes from

    @clause("dial() connects by the route that the chain finds.", "D38")
    async def dial(self) -> None:
        one = self._routed()
        conn = await within(one.dial(), "dial()")
        expect(len(one.route.dials) == 1, f"the route was dialed {len(one.route.dials)} times")
        told = (one.route.dials[0].network, one.route.dials[0].address)
        expect(told == ("tcp", TARGET), f"dial('tcp', {TARGET!r}) had the route dial {told}")
        await expect_carries(conn, one.scene.far_ends[0], "the result of dial()")

    @clause("Without a chain, a dial is direct.", "D36")
    async def no_chain_direct(self) -> None:
        await expect_direct(self.make().dial)

    @clause(
        "Without a chain, what is written before close() arrives at a peer that sends on.",
        "D8",
        after=("no_chain_direct",),
    )
    async def direct_last_words(self) -> None:
        await expect_last_words_here(partial(self.make().dial, Context(), "tcp"))

    @clause("A chain that finds None, or a route without nodes, makes a dial direct.", "D36")
    async def no_route_direct(self) -> None:
        await expect_direct(self.make(chain_router_option(FakeChainer(None))).dial)
        router = self.make(chain_router_option(FakeChainer(FakeRoute(Scene()))))
        _, address = await loopback()
        call = kept(router.dial(Context(), "tcp", address))
        await within(call, "dial() by a route without nodes")

    @clause("An exception of the chain is never turned into a direct connection.", "D36")
    async def refusal_not_direct(self) -> None:
        for error in failures("the chain"):
            server, address = await loopback()
            chain = FakeChainer(None)
            chain.asked.fail_always(error)
            router = self.make(chain_router_option(chain))
            call = kept(router.dial(Context(), "tcp", address))
            await raises(call, f"dial() by a chain that raises {error!r}", type(error))
            await settle()
            expect(server.connections == 0, "the target was connected to all the same")

    @clause("A router closes nothing that was only lent to it, such as its chain.", "D19")
    async def chain_stays_open(self) -> None:
        await expect_lent_open(self._routed)

    @clause(
        "What it gives tells by which route it came; none, or one without nodes, is direct.",
        "D74",
        after=("bind", "no_chain_direct", "bind_no_chain", "udp_direct", "concurrent"),
    )
    async def taken_route(self) -> None:
        await expect_taken(self._routed, self.make())

    # ---- Binding

    @clause(
        "With a chain that finds None, or a route without nodes, bind() raises EmptyRouteError.",
        "D36",
    )
    async def bind_empty_route(self) -> None:
        for route in (None, FakeRoute(Scene())):
            chain = FakeChainer(route)
            router = self.make(chain_router_option(chain), retries_router_option(3))
            what = "None" if route is None else "a route without nodes"
            call = kept(router.bind(Context(), "tcp", "127.0.0.1:0"))
            await raises(call, f"bind() over {what}", EmptyRouteError)
            more = len(chain.asked) - 1
            expect(not more, f"bind() over {what} was followed by {more} attempts")

    @clause("Without a chain, bind() listens on this host.", "D36")
    async def bind_no_chain(self) -> None:
        await expect_direct_bind(self.make().bind)

    @clause(
        "bind() binds at the route with the options of the call; nothing is mapped or resolved.",
        "D38",
        after=("retries", "route_each_attempt"),
    )
    async def bind(self) -> None:
        await expect_bound(self._routed)

    @clause("bind() that is not supported, denied or malformed is not tried again.", "D15, D16")
    async def bind_permanent(self) -> None:
        for error in permanent_errors(BindUnsupportedError):
            one = self._routed(retries_router_option(3))
            call = one.router.bind(Context(), "tcp", ":0")
            await expect_permanent(call, one.route.binds, error)

    # ---- Attempts

    async def _failed(self, retries: int, *opts: RouterOption) -> Routed:
        """Let every attempt of a dial fail."""
        one = self._routed(retries_router_option(retries), *opts)
        one.route.dials.fail_always(step_error())
        await raises(one.dial(), "the dial", Exception)
        return one

    @clause("`retries` is how many attempts follow the first.", "D24, D38", after=("dial",))
    async def retries(self) -> None:
        calls = len((await self._failed(2)).route.dials)
        expect(calls == 3, f"with 2 retries there were {calls} attempts instead of 3")

    @clause("Calls at once that fail have all their attempts each.", "D22", after=("retries",))
    async def attempts_apart(self) -> None:
        one = self._routed(retries_router_option(2))
        for using, calls in ((one.dial, one.route.dials), (one.bind, one.route.binds)):
            calls.fail_always(step_error())
            await ended(start(using()), start(using()))
            made = len(calls)
            expect(made == 6, f"two calls at once, of 2 retries each, made {made} attempts, not 6")

    @clause(
        "While a further attempt of one call waits, that of another goes on.",
        "D22",
        after=("retries", "concurrent", "retried", "refusal_not_direct"),
    )
    async def retry_hinders_none(self) -> None:
        await expect_no_retry_hinders(self._routed)

    @clause("With 0 or negative `retries` there is one attempt.", "D24", after=("dial",))
    async def retries_none(self) -> None:
        for retries in (0, -1):
            calls = len((await self._failed(retries)).route.dials)
            expect(calls == 1, f"with {retries} retries there were {calls} attempts instead of 1")

    @clause(
        "Each attempt maps, and asks the chain for a route.",
        "D38",
        after=("retries", "resolved", "resolver_question", "mapped", "mapped_empty"),
    )
    async def route_each_attempt(self) -> None:
        mapper, mapping = maps("192.0.2.20")
        asked = (await self._failed(2, mapping)).chain.asked
        told = [call.address for call in asked]
        expect(told == ["192.0.2.20:80"] * 3, f"3 attempts asked the chain for {told}")
        expect(len(mapper.asked) == 3, f"3 attempts asked the mapper {len(mapper.asked)} times")

    @clause("An OSError is followed by the next attempt at once.", "D38", after=("retries",))
    async def retries_at_once(self) -> None:
        await expect_at_once(self._routed)

    @clause("The last error is raised, with the earlier ones as notes.", "D38", after=("retries",))
    async def errors_noted(self) -> None:
        for using in (Routed.dial, Routed.bind):
            await expect_errors_noted(self._routed(retries_router_option(2)), using)

    @clause(
        "UnsupportedError, DeniedError and ValueError are raised at once, without another attempt.",
        "D15, D16, D38",
        after=("dial",),
    )
    async def permanent(self) -> None:
        for error in permanent_errors(UnsupportedError):
            one = self._routed(retries_router_option(3))
            await expect_permanent(one.dial(), one.route.dials, error)

    @clause(
        "Other OSErrors are followed by another attempt: a node's refusal, and what is both an "
        "OSError and a ValueError.",
        "D15, D16",
        after=("retries",),
    )
    async def retried(self) -> None:
        for error in retried_errors():
            for binds in (False, True):
                await expect_retried(self._routed(retries_router_option(1)), error, binds=binds)

    @clause(
        "Each attempt is told its end as the TIME_LIMIT: 0 is 15 s, a negative timeout is none.",
        "D24, D38, D69",
        after=("context_handed_on", "route_each_attempt", "timeout_zero"),
    )
    async def limit_told(self) -> None:
        await expect_limit_told(self._routed)

    @clause(
        "An attempt is cancelled 10 ms or more after its TIME_LIMIT.",
        "D69",
        after=("limit_told", "timeout_each_attempt"),
    )
    async def limit_kept(self) -> None:
        await expect_limit_kept(self._routed)

    @clause(
        "If the caller's TIME_LIMIT is earlier, it holds, and no attempt begins after it.",
        "D69",
        after=("limit_told", "limit_passed"),
    )
    async def limit_earlier(self) -> None:
        await expect_limit_earlier(self._routed)

    @clause("An attempt that takes longer than the timeout ends in a TimeoutError.", "D14, D38")
    async def timeout(self) -> None:
        await expect_timeout(self._routed)

    @clause(
        "The timeout is for each attempt: one that hangs leaves the next its whole time.",
        "D38",
        after=("timeout", "retries"),
    )
    async def timeout_each_attempt(self) -> None:
        one = self._routed(timeout_router_option(2 * SHORT), retries_router_option(MANY))
        one.route.dials.hang(1)
        await within(one.dial(), "a dial whose first attempt hangs")

    @clause(
        "A timeout of 0 is the default of 15 s and a negative one is no limit: "
        "neither ends an attempt at once.",
        "D24",
        after=("dial",),
    )
    async def timeout_zero(self) -> None:
        for timeout in (0.0, -1.0):
            one = self._routed(timeout_router_option(timeout))
            await within(one.dial(), f"a dial with a timeout of {timeout}")

    @clause(
        "Cancelling ends the attempt, and no other follows.", "D4, D14", after=("dial", "retries")
    )
    async def cancel(self) -> None:
        one = self._routed(timeout_router_option(LONG), retries_router_option(3))
        one.route.dials.hang(1)
        task = start(one.dial())
        await one.route.dials.reached("the route")
        await expect_cancelled(task, "dial")
        more = len(one.route.dials) - 1
        expect(not more, f"after the cancellation there were {more} more attempts")

    # ---- Options

    @clause("The options of a call win over the router's own.", "D38", after=("failure_over",))
    async def per_call_options(self) -> None:
        await expect_chosen(self._serving, ["of-the-call"], "of-the-call")

    @clause(
        "The router's own options apply where the call has none.",
        "D38",
        after=("per_call_options",),
    )
    async def own_options(self) -> None:
        await expect_chosen(self._serving, ["a", "of-the-router", "bc"], "a", "", "bc")

    # ---- Names

    @clause(
        "Chain and route are given the resolved address, and the chain also the original as the "
        "host.",
        "D37, D38",
        after=("dial",),
    )
    async def resolved(self) -> None:
        one = self._routed(resolves("192.0.2.10")[1])
        told = ((await one.dialed()).address, one.chain.asked[0].address)
        expect(told == ("192.0.2.10:80",) * 2, f"route and chain were told {told}")
        host = one.chain.asked[0].options.host
        expect(host == TARGET, f"the host that the chain was told is {host!r}")

    async def _expect_told(self, expected: str, *opts: RouterOption) -> None:
        """Break the clause unless the route is told this address for the target."""
        address = (await self._routed(*opts).dialed()).address
        expect(address == expected, f"the route was told {address!r} instead of {expected!r}")

    @clause("An IPv6 address that a name resolves to is put in brackets.", "D12", after=("dial",))
    async def resolved_ipv6(self) -> None:
        await self._expect_told("[2001:db8::10]:80", resolves("2001:db8::10")[1])

    @clause("The host mapper is asked first, and what it maps is not resolved.", "D39")
    async def mapped(self) -> None:
        opts = maps("192.0.2.20")[1], resolves("192.0.2.10")[1]
        await self._expect_told("192.0.2.20:80", *opts)

    @clause("What the host mapper does not map goes to the resolver.", "D39")
    async def unmapped_resolved(self) -> None:
        mapping = host_mapper_router_option(FakeHostMapper({}))
        await self._expect_told("192.0.2.10:80", mapping, resolves("192.0.2.10")[1])

    @clause("A resolver's InvalidError leaves the address as it is.", "D39", after=("dial",))
    async def resolver_invalid(self) -> None:
        known, resolving = resolves()
        known.asked.fail_always(InvalidError("there is no such resolver"))
        await self._expect_told(TARGET, resolving)

    async def _expect_fails(self, error: type[OSError], what: str, *opts: RouterOption) -> None:
        """Break the clause unless a dial raises before the route is dialed."""
        one = self._routed(*opts)
        await raises(one.dial(), what, error)
        expect(not one.route.dials, "the route was dialed all the same")

    @clause("A name that is mapped to no address fails the dial with gaierror.", "D39")
    async def mapped_empty(self) -> None:
        opts = maps()[1], resolves("192.0.2.10")[1]
        await self._expect_fails(socket.gaierror, "dialing a name that is mapped to nothing", *opts)

    @clause(
        "A name that the resolver does not know fails the dial with gaierror.",
        "D39",
        after=("failures_raised",),
    )
    async def unresolved(self) -> None:
        resolving = resolver_router_option(FakeResolver({}))
        await self._expect_fails(socket.gaierror, "dialing a name that does not exist", resolving)

    @clause(
        "A mapper or a resolver that fails otherwise fails the attempt.",
        "D39",
        after=("failures_raised",),
    )
    async def resolver_failure(self) -> None:
        for component, option in (maps("192.0.2.10"), resolves("192.0.2.10")):
            for error in (step_error(), TimeoutError("silent")):
                component.asked.fail_always(error)
                await self._expect_fails(type(error), "a dial whose lookup fails", option)

    @clause(
        "Mapper and resolver are asked by the bare host, for both families, and where the network "
        "says one, for that.",
        "D11, D39",
        after=("dial", "unmapped_resolved"),
    )
    async def resolver_question(self) -> None:
        await expect_question(self._routed)

    @clause(
        "Without mapper and resolver a name stays a name, for whoever is at the end of the route.",
        "D12, D39",
        after=("dial",),
    )
    async def name_stays(self) -> None:
        one = self._routed()
        await within(one.router.dial(Context(), "tcp", "localhost:80"), "dial()")
        told = (one.chain.asked[0].address, one.route.dials[0].address)
        expect(told == ("localhost:80",) * 2, f"chain and route were told {told}")

    @clause(
        "What does not split into host and port is neither mapped nor resolved, and goes on.",
        "D12, D37",
        after=("dial",),
    )
    async def no_port(self) -> None:
        await expect_no_lookup(self._routed)

    # ---- Datagrams

    @clause("Without a chain and an address, dialing udp gives an unconnected PacketConn.", "D9")
    async def udp_direct(self) -> None:
        await expect_unconnected(await dial_offered(self.make(), "udp", ""))

    @clause(
        "Names in datagrams without a fixed peer are mapped and resolved like others, each time, "
        "without the TIME_LIMIT of the dial, and never by the system: one without an address "
        "raises OSError.",
        "D9, D39",
        after=(
            "udp_direct",
            "mapped_empty",
            "unresolved",
            "resolver_question",
            "context_handed_on",
        ),
    )
    async def datagram_names(self) -> None:
        await expect_names_found(self._serving)

    @clause("Through a chain, names in datagrams travel as names.", "D9", after=("udp_packets",))
    async def datagram_names_travel(self) -> None:
        await expect_names_travel(self._routed)

    # ---- Recorders

    @clause("Every recorder of dialed addresses is given the target's host.", "D55")
    async def recorded(self) -> None:
        await expect_recorded(self._routed)

    @clause("Every recorder of failed dials is given the target's host, after a failure.", "D55")
    async def recorded_failure(self) -> None:
        await expect_failure_recorded(self._routed)

    @clause(
        "A recorder that fails does not fail the dial, nor the other recorders.",
        "D55",
        after=("recorded",),
    )
    async def recorder_failure(self) -> None:
        await expect_recorders_apart(self._routed)

    @clause(
        "A dial whose recorder is silent holds up no other, and frees all when it is cancelled.",
        "D4, D22",
        after=("concurrent", "close_closes_all"),
    )
    async def recorder_hinders_none(self) -> None:
        await expect_no_record_hinders(self._routed)
