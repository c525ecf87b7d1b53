"""What routers are tried with: a router over a chain of the kit, and what it must do there."""

import asyncio
import copy
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import UnsupportedOperation
from ipaddress import ip_address
from itertools import product
from typing import Any, Final, TypeAlias

from gost_core.chain import (
    DialOption,
    DialOptions,
    Route,
    RouteCarrier,
    Router,
    RouterOption,
    RouterOptions,
    SockOpts,
    chain_router_option,
    host_mapper_router_option,
    interface_dial_option,
    logger_dial_option,
    recorders_router_option,
    resolver_router_option,
    retries_router_option,
    timeout_router_option,
)
from gost_core.common.net import (
    Closer,
    Conn,
    DeniedError,
    Listener,
    UnsupportedError,
    find_capability,
)
from gost_core.context import Context
from gost_core.keys import SESSION_ID, TIME_LIMIT
from gost_core.options import FieldOption
from gost_core.recorder import (
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
    RecorderObject,
)
from gost_core.resolver import InvalidError
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.waiting import (
    applies,
    ended,
    expect,
    may_refuse,
    owned,
    raises,
    returned,
    start,
    until,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeChainer, FakeRoute
from gost_core.testing._stage.fakes.connections import Scene
from gost_core.testing._stage.fakes.lookups import FakeHostMapper, FakeResolver
from gost_core.testing._stage.fakes.recorded import Call, Recorded
from gost_core.testing._stage.fakes.recorder import FakeRecorder
from gost_core.testing._stage.memory import Address
from gost_core.testing._stage.network import ssl_errors
from gost_core.testing._stage.streams import packets
from gost_core.testing.chain._shared import (
    TARGET,
    expect_binds,
    expect_carries,
    expect_nothing_open,
    kept,
    loopback,
    names,
    node,
    step_error,
    target_of,
)

__all__ = (
    "LONG",
    "MANY",
    "SHORT",
    "Routed",
    "chained",
    "dial_offered",
    "expect_apart",
    "expect_at_once",
    "expect_errors_noted",
    "expect_chosen",
    "expect_limit_earlier",
    "expect_limit_kept",
    "expect_limit_told",
    "expect_names_found",
    "expect_no_lookup",
    "expect_no_record_hinders",
    "expect_no_retry_hinders",
    "expect_permanent",
    "expect_question",
    "expect_retried",
    "expect_taken",
    "expect_timeout",
    "expect_recorded",
    "expect_failure_recorded",
    "expect_recorders_apart",
    "expect_lent_open",
    "expect_options_kept",
    "expect_names_travel",
    "expect_bound",
    "maps",
    "permanent_errors",
    "resolves",
    "retried_errors",
)

# Timeouts of an attempt, in seconds.
LONG: Final[float] = 30.0
SHORT: Final[float] = 0.05
# So many attempts that one of them ends within a short timeout on any machine.
MANY: Final[int] = 100
_CHOICES: Final[tuple[str, ...]] = ("", "a", "bc", "of-the-call", "of-the-router")
_FAILURES: Final[int] = 200
# How many times as many attempts are made beside the router's.
_SLACK: Final[int] = 10


@dataclass(frozen=True)
class Routed:
    """A router over a chain that finds a route with a node."""

    scene: Scene
    route: FakeRoute
    chain: FakeChainer
    router: Router

    def dial(self, ctx: Context | None = None, network: str = "tcp") -> Awaitable[Conn]:
        """Dial the target."""
        ctx = ctx or Context()
        return self.router.dial(ctx, network, target_of(ctx))

    def bind(self, ctx: Context | None = None) -> Awaitable[Listener]:
        """Bind."""
        return self.router.bind(ctx or Context(), "tcp", ":0")

    def limits(self) -> list[float | None]:
        """Return the time limits that chain and route were told, attempt by attempt."""
        asked = [call.ctx for call in self.chain.asked]
        made = [call.ctx for call in self.route.dials] or [call.ctx for call in self.route.binds]
        # A limit may have passed between the two.
        pairs = zip(asked, made, strict=False)
        return [ctx.value(TIME_LIMIT) for pair in pairs for ctx in pair]

    async def dialed(self) -> Call[DialOptions]:
        """Dial the target; return what the route was told."""
        await within(self.dial(), "dial()")
        return self.route.dials[0]


MakeRouter: TypeAlias = Callable[[*tuple[RouterOption, ...]], Router]
MakeRouted: TypeAlias = Callable[[*tuple[RouterOption, ...]], Routed]
UseRouted: TypeAlias = Callable[[Routed, Context | None], Awaitable[Conn | Listener]]


def chained() -> tuple[Scene, FakeRoute, FakeChainer]:
    """Return a chain that finds a route with a node, the route, and where it leads."""
    scene = Scene()
    route = FakeRoute(scene, node(scene, "one"))
    return scene, route, FakeChainer(route)


def maps(*addresses: str) -> tuple[FakeHostMapper, RouterOption]:
    """Return a mapper that maps the target to these addresses, and the option of it."""
    mapper = FakeHostMapper({"target.example": [ip_address(one) for one in addresses]})
    return mapper, host_mapper_router_option(mapper)


def resolves(*addresses: str) -> tuple[FakeResolver, RouterOption]:
    """Return a resolver of the target to these addresses, and the option of it."""
    known = FakeResolver({"target.example": [ip_address(one) for one in addresses]})
    return known, resolver_router_option(known)


def permanent_errors(first: type[Exception], /) -> list[Exception]:
    """Return new ones, after which nothing is tried again: one that is raised keeps what it saw."""
    return [one("it stays so") for one in (first, DeniedError, ValueError, UnicodeError)]


async def expect_permanent(
    call: Awaitable[object], attempts: Recorded[Any], error: Exception
) -> None:
    """Break the clause unless a failure of the only attempt comes through."""
    attempts.fail_always(error)
    await raises(call, f"a call where the route raises {error!r}", type(error))
    more = len(attempts) - 1
    expect(not more, f"a {type(error).__name__} was followed by {more} attempts")


async def expect_apart(one: Routed) -> None:
    """Break the clause unless dials at once, different in every argument, do not mix."""
    targets = {"tcp": "192.0.2.1:80", "tcp4": "192.0.2.2:80", "tcp6": "three.example:80"}
    calls = (
        one.router.dial(Context().with_value(SESSION_ID, n), n, target, interface_dial_option(n))
        for n, target in targets.items()
    )
    conns = await within(asyncio.gather(*calls), "several dials at once")
    dialed = [call.network for call in one.route.dials]
    expect(sorted(dialed) == [*targets], f"of the dials {targets} the route had {dialed}")
    for network, conn in zip(targets, conns, strict=True):
        far = one.scene.far_ends[dialed.index(network)]
        await expect_carries(conn, far, f"the connection by {network}, of several at once,")
    told = [(of.network, of.address, of.options.host, of.ctx) for of in one.chain.asked]
    made = [(of.network, of.address, of.options.interface, of.ctx) for of in one.route.dials]
    for position, (network, address, option, ctx) in enumerate((*told, *made)):
        # A host that is not given is that of the address.
        options = (address, "") if position < len(told) else (network,)
        right = address == targets[network] and option in options
        expect(right, f"for {network} of {targets}, {address} and {option!r} was asked for")
        session = ctx.value(SESSION_ID)
        expect(session in (None, network), f"a dial of {targets} had the values of {session}")


async def expect_retried(one: Routed, error: Exception, *, binds: bool) -> None:
    """Break the clause unless an error is followed by another attempt."""
    calls = one.route.binds if binds else one.route.dials
    calls.fail(error)
    await within(one.bind() if binds else one.dial(), f"a call whose first attempt is {error!r}")
    expect(len(calls) == 2, f"after {error!r} there were {len(calls) - 1} attempts")


async def expect_no_retry_hinders(routed: MakeRouted, /) -> None:
    """Break the clause unless a further attempt goes on beside one that waits."""
    one = routed(timeout_router_option(LONG), retries_router_option(1))
    for using, calls in ((one.dial, one.route.dials), (one.bind, one.route.binds)):
        calls.hang(1)
        one.chain.asked.fail(step_error())
        start(using())
        await calls.reached("the route")
        one.chain.asked.fail(step_error())
        await within(using(), "a call whose second attempt is beside one that waits")


def retried_errors() -> Iterator[Exception]:
    """Return errors of which each may be another one at the next attempt."""
    yield PermissionError("the node refuses")
    yield TimeoutError("the system gave up")
    yield UnsupportedOperation("this is a ValueError too")
    for error_type in ssl_errors():
        # The one for certificates is a ValueError too; TLS has it wherever it is.
        found = [one for one in error_type.__subclasses__() if issubclass(one, ValueError)]
        yield from (one("the certificate is not valid") for one in found)


async def dial_offered(
    router: Router, network: str, address: str, ctx: Context | None = None
) -> Conn:
    """Dial by a network that need not be offered."""
    call = kept(router.dial(ctx or Context(), network, address))
    with may_refuse(UnsupportedError):
        return await within(call, f"dial({network!r}, {address!r})")


async def expect_errors_noted(one: Routed, using: UseRouted, /) -> None:
    """Break the clause unless the last of three errors is raised, with the others as notes."""
    errors = OSError("apples"), ConnectionResetError("pears"), ConnectionRefusedError("plums")
    for calls in (one.route.dials, one.route.binds):
        calls.fail(*errors)
    try:
        await within(using(one, None), "the call")
    except OSError as error:
        expect("plums" in str(error), f"the last error was plums, and it raised {error!r}")
        notes: list[str] = getattr(error, "__notes__", [])
        for fruit in ("apples", "pears"):
            expect(any(fruit in note for note in notes), f"{fruit} are not in the notes {notes}")
    else:
        raise Broken("three attempts failed, and the call returned")


async def expect_chosen(make: MakeRouter, expected: list[str], /, *of_the_calls: str) -> None:
    """Break the clause unless dials, of which each may say one, go by these interfaces.

    The same is tried of network namespaces and of the settings of sockets.
    """
    fields = (("interface", "ifce_name"), ("netns", "netns"), ("sock_opts", "sock_opts"))
    # A route without nodes: only there do these options concern anything.
    others = (("tcp", list[DialOption]()), ("udp", [logger_dial_option(None)]))
    for (name, own), (network, other) in product(fields, others):
        values = {one: SockOpts(mark=len(one)) if name == "sock_opts" else one for one in _CHOICES}
        route = FakeRoute(Scene())
        route.dials.fail_always(step_error())
        of_router = FieldOption(RouterOptions, own, values["of-the-router"])
        router = make(chain_router_option(FakeChainer(route)), of_router)
        for one in of_the_calls:
            opts = [FieldOption(DialOptions, name, values[one])] if one else other
            with suppress(Exception):
                await within(router.dial(Context(), network, "127.0.0.1:1", *opts), "dial()")
        applies(bool(route.dials), "it dials itself, not by the route, if that has no nodes")
        used = [getattr(call.options, name) for call in route.dials]
        right = [values[one] for one in expected]
        expect(used == right, f"as {name} {used} were used, not {right}")


async def expect_names_found(make: MakeRouter, /) -> None:
    """Break the clause unless names in datagrams are mapped, and then resolved, each time."""
    for network, literal in (("udp", "127.0.0.1"), ("udp4", "127.0.0.1"), ("udp6", "[::1]")):
        family, here = f"ip{network[3:]}", [ip_address(literal.strip("[]"))]
        mapping = {"mapped.example": here}
        mapper = FakeHostMapper(mapping)
        known = FakeResolver({"resolved.example": here, "mapped.example": here})
        router = make(host_mapper_router_option(mapper), resolver_router_option(known))
        limit = asyncio.get_running_loop().time() + 3600.0
        ctx = Context().with_value(SESSION_ID, network).with_value(TIME_LIMIT, limit)
        conn = await dial_offered(router, network, "", ctx)
        kind = socket.AF_INET6 if family == "ip6" else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as there:
            there.setblocking(False)
            # Not every system has IPv6.
            with may_refuse(OSError):
                there.bind((str(here[0]), 0))

            async def send(host: str, *errors: type[Exception]) -> None:
                addr = Address("udp", f"{host}:{there.getsockname()[1]}")
                sending = packets(conn).write_to(b"x", addr)  # noqa: B023
                if errors:
                    return await raises(sending, f"write_to() {host} without address", *errors)
                await within(sending, f"write_to() {host}")
                receiving = asyncio.get_running_loop().sock_recv(there, 2)
                await within(receiving, f"the datagram to {host}")

            await send("mapped.example")
            await send("resolved.example")
            mapping["mapped.example"] = []
            await send("mapped.example", OSError)
            # The system knows this one.
            await send("localhost", OSError)
            known.asked.fail_always(InvalidError("leave the address alone"))
            await send(literal)
        told = {(one.value(SESSION_ID), one.value(TIME_LIMIT)) for one in mapper.asked.contexts}
        expect(told == {(network, None)}, f"for {network} the mapper had session and limit {told}")
        families = {one[0] for one in mapper.asked}
        expect(families == {family}, f"for datagrams by {network} the mapper had {families}")


async def expect_limit_told(routed: MakeRouted, /) -> None:
    """Break the clause unless each attempt is told its end."""
    now = asyncio.get_running_loop().time
    for binds, timeout in ((False, LONG), (True, LONG), (False, 0.0)):
        one = routed(timeout_router_option(timeout), retries_router_option(1))
        seconds = timeout or 15.0
        began, calls = now(), one.route.binds if binds else one.route.dials
        calls.meanwhile = lambda: asyncio.sleep(SHORT)
        await expect_retried(one, step_error(), binds=binds)
        expect(len({*one.limits()}) == 2, f"TIME_LIMIT was {one.limits()} in two attempts")
        for limit in one.limits():
            right = limit is not None and began + seconds <= limit <= now() + seconds
            expect(right, f"of {seconds:g} s from {began} on, TIME_LIMIT was {limit}")
    one = routed(timeout_router_option(-1.0))
    await within(one.dial(), "dial()")
    expect(one.limits() == [None] * 2, f"without a timeout TIME_LIMIT was {one.limits()}")


async def expect_limit_kept(routed: MakeRouted, /) -> None:
    """Break the clause unless an attempt has its time."""
    one = routed(timeout_router_option(SHORT), retries_router_option(1))
    one.route.dials.hang(1)
    await within(one.dial(), "a dial whose first attempt hangs")
    over = one.route.dials.cancelled_at - (one.limits()[1] or 0.0)
    # A millisecond less, for clocks that are no finer.
    expect(over >= 0.009, f"the attempt was cancelled {over:.3f} s after its TIME_LIMIT")


async def expect_limit_earlier(routed: MakeRouted, /) -> None:
    """Break the clause unless the earlier one of two limits holds."""
    for seconds, timeout, attempts in ((SHORT, LONG, 1), (SHORT, -1.0, 1), (LONG, SHORT, 2)):
        one = routed(timeout_router_option(timeout), retries_router_option(1))
        for using, calls in ((one.dial, one.route.dials), (one.bind, one.route.binds)):
            calls.hang()
            limit = asyncio.get_running_loop().time() + seconds
            call = using(Context().with_value(TIME_LIMIT, limit))
            await raises(call, "a call of which every attempt hangs", TimeoutError)
            told = [call.ctx.value(TIME_LIMIT) for call in calls]
            right = len(told) <= attempts and all((one == limit) == (attempts == 1) for one in told)
            what = f"{timeout:g} s a time and {seconds:g} s for all"
            expect(right, f"{what}, and TIME_LIMIT was {told}")


async def expect_timeout(routed: MakeRouted, /) -> None:
    """Break the clause unless what hangs is ended, whatever hangs."""
    limit = timeout_router_option(SHORT)
    mapper, mapping = maps("192.0.2.10")
    known, resolving = resolves("192.0.2.10")
    by_chain, by_route = routed(limit), routed(limit)
    hanging: tuple[tuple[str, Routed, Recorded[Any]], ...] = (
        ("the host mapper", routed(limit, mapping), mapper.asked),
        ("the resolver", routed(limit, resolving), known.asked),
        ("the chain", by_chain, by_chain.chain.asked),
        ("the route", by_route, by_route.route.dials),
    )
    for what, one, calls in hanging:
        calls.hang()
        await raises(one.dial(), f"a dial where {what} hangs", TimeoutError)


async def expect_question(routed: MakeRouted, /) -> None:
    """Break the clause unless the lookups are asked the right question."""
    for network, address, right in (
        ("tcp", "[2001:db8::1]:80", ("ip", "2001:db8::1")),
        ("tcp", TARGET, ("ip", "target.example")),
        ("tcp4", TARGET, ("ip4", "target.example")),
        ("udp6", TARGET, ("ip6", "target.example")),
    ):
        mapper = FakeHostMapper({})
        known = FakeResolver({right[1]: [ip_address("2001:db8::1")]})
        one = routed(host_mapper_router_option(mapper), resolver_router_option(known))
        await dial_offered(one.router, network, address)
        asked_for, host = one.chain.asked[0].address, one.chain.asked[0].options.host
        # A host that is not given is that of the address.
        right_host = (host or asked_for) == address
        expect(right_host, f"for {network} {address} the host that the chain had is {host}")
        for who, asked in (("mapper", mapper.asked), ("resolver", known.asked)):
            # A literal needs no question, and a name each time.
            told = {right} if address == TARGET else {right} & set(asked)
            expect(set(asked) == told, f"for {network} {address} the {who} had {asked}")


async def expect_no_lookup(routed: MakeRouted, /) -> None:
    """Break the clause if what has no port is looked up."""
    for network, address in (
        ("unix", "/run/some.socket"),
        ("serial", "COM1"),
        ("udp", ""),
        ("ip", "2001:db8::1"),
        ("ip", "target.example"),
    ):
        (mapper, mapping), (known, resolving) = maps(), resolves()
        one = routed(mapping, resolving)
        await dial_offered(one.router, network, address)
        told = one.route.dials[0].address
        expect(told == address, f"dial({network!r}, {address!r}) had the route dial {told!r}")
        asked = mapper.asked + known.asked
        expect(not asked, f"for {address!r} there was a lookup of {asked}")


async def expect_at_once(routed: MakeRouted, /) -> None:
    """Break the clause unless attempts follow each other at once."""
    one = routed(retries_router_option(_FAILURES))
    one.route.dials.fail(*[step_error() for _ in range(_FAILURES)])
    what = f"a dial of {_FAILURES} attempts that fail at once, and a good one,"
    dialing = start(one.dial())
    # The same attempts with nothing between them share the moment, so no clock is needed.
    _, route, chain = chained()
    route.dials.fail_always(step_error())
    while not dialing.done():
        made = len(route.dials)
        slow = f"{what} had made {len(one.route.dials)} while a loop beside it made {made}"
        expect(made < _SLACK * _FAILURES, slow)
        await chain.route(Context(), "tcp", TARGET)
        with suppress(OSError):
            await route.dial(Context(), "tcp", TARGET)
    await within(dialing, what)


async def expect_taken(routed: MakeRouted, direct: Router, /) -> None:
    """Break the clause unless what a router gives tells by which route it came."""
    one = routed()
    _, address = await loopback()
    other = FakeRoute(one.scene, node(one.scene, "other"))
    calls: tuple[tuple[Callable[[], Awaitable[Conn | Listener]], Route | None], ...] = (
        (one.dial, one.route),
        (one.bind, one.route),
        (partial(one.router.dial, Context(), "udp", ""), one.route),
        (partial(direct.dial, Context(), "tcp", address), None),
        (partial(dial_offered, direct, "udp", ""), None),
        (partial(direct.bind, Context(), "tcp", "127.0.0.1:0"), None),
    )
    conns = [owned(await within(call(), "the call")) for call, _ in calls]
    routes = [route for _, route in calls]
    # Each tells of its own call, also where the later one ends first.
    uses: tuple[UseRouted, ...] = Routed.dial, Routed.bind
    for using in uses:
        one, over = routed(), asyncio.Event()
        one.route.dials.meanwhile = one.route.binds.meanwhile = over.wait
        first = start(using(one, None))
        await until(lambda: bool(one.route.dials or one.route.binds), "no route was asked")  # noqa: B023
        one.chain.found = other
        conns.append(owned(await within(using(one, None), "a call by another route")))
        over.set()
        conns.append(owned(await within(first, "a call that had begun before")))
        routes += other, one.route
    for conn, route in zip(conns, routes, strict=True):
        carrier = find_capability(conn, RouteCarrier)
        taken = returned(carrier, "find_capability(RouteCarrier)").taken_route()
        right = names(taken) == [] if route is None else taken is route
        expect(right, f"it came by {names(route)}, and taken_route() is {names(taken)}")


def _recording(routed: MakeRouted, *recorders: tuple[FakeRecorder, str]) -> Routed:
    """Return a router with recorders of these points."""
    objects = (RecorderObject(recorder=one, record=point) for one, point in recorders)
    return routed(recorders_router_option(*objects))


async def expect_recorded(routed: MakeRouted, /) -> None:
    """Break the clause unless dialed hosts are recorded."""
    first, second, other = FakeRecorder(), FakeRecorder(), FakeRecorder()
    point = RECORDER_SERVICE_ROUTER_DIAL_ADDRESS
    one = _recording(routed, (other, "recorder.of.something.else"), (first, point), (second, point))
    for network, address in (("tcp", TARGET), ("udp", TARGET), ("tcp", "[2001:db8::1]:80")):
        await dial_offered(one.router, network, address)
    right = [b"target.example", b"target.example", b"2001:db8::1"]
    for recorder in (first, second):
        records = recorder.records
        expect(records == right, f"a recorder of {point} has {records}, not {right}")
    expect(not other.records, f"a recorder of another point has {other.records}")


async def expect_failure_recorded(routed: MakeRouted, /) -> None:
    """Break the clause unless the hosts of failed dials are recorded."""
    for error in (step_error(), DeniedError("by rule"), None):
        recorder, hosts = FakeRecorder(), ["one.example", "two.example"]
        point = RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR
        one = _recording(routed, (recorder, point))
        if error is not None:
            one.route.dials.fail_always(error)
        calls = (one.router.dial(Context(), "tcp", f"{host}:80") for host in hosts)
        await within(asyncio.gather(*calls, return_exceptions=True), "dial(), twice at once,")
        expected = [] if error is None else [host.encode() for host in hosts]
        records, what = sorted(recorder.records), f"a recorder of {point}"
        expect(records == expected, f"of dials to {hosts} by {error!r}, {what} has {records}")


async def expect_recorders_apart(routed: MakeRouted, /) -> None:
    """Break the clause unless a recorder may fail."""
    failing, other = FakeRecorder(), FakeRecorder()
    failing.records.fail_always(OSError("no space is left"))
    point = RECORDER_SERVICE_ROUTER_DIAL_ADDRESS
    await within(_recording(routed, (failing, point), (other, point)).dial(), "dial()")
    expect(len(other.records) == 1, f"one recorder failed, and the other has {other.records}")


async def expect_no_record_hinders(routed: MakeRouted, /) -> None:
    """Break the clause if a dial waits for a record of another one."""
    recorder = FakeRecorder()
    one = _recording(routed, (recorder, RECORDER_SERVICE_ROUTER_DIAL_ADDRESS))
    recorder.records.hang(1)
    silent = start(one.dial())
    await recorder.records.reached("the recorder")
    conn = await within(one.dial(), "dial() beside one whose recorder is silent")
    await conn.close()
    silent.cancel()
    await ended(silent)
    if not silent.cancelled():
        await silent.result().close()
    expect_nothing_open(one.scene, "a dial was cancelled, whose recorder was silent")


async def expect_lent_open(routed: MakeRouted, /) -> None:
    """Break the clause if something is closed that was lent."""
    (mapper, mapping), (known, resolving) = maps("192.0.2.10"), resolves("192.0.2.10")
    recorder = FakeRecorder()
    record = RecorderObject(recorder=recorder, record=RECORDER_SERVICE_ROUTER_DIAL_ADDRESS)
    one = routed(mapping, resolving, recorders_router_option(record))
    one.route.dials.fail(step_error())
    with suppress(OSError):
        await within(one.dial(), "dial()")
    if isinstance(one.router, Closer):
        await within(one.router.close(), "close()")
    for lent in (one.chain, mapper, known, recorder):
        expect(not lent.closed, f"a {type(lent).__name__}, which was only lent, was closed")


async def expect_options_kept(routed: MakeRouted, /) -> None:
    """Break the clause unless the options are those of the router, and stay."""
    one = routed(retries_router_option(2))
    options = one.router.options()
    before = copy.copy(options)
    await within(one.dial(), "dial()")
    after = one.router.options()
    expect(after is options, "options() returned another object than before")
    expect(after == before, f"options() were {before}, and are {after} after a dial")
    expect(options.chain is one.chain, "options().chain is another one")
    expect(options.retries == 2, f"options().retries is {options.retries}")


async def expect_names_travel(routed: MakeRouted, /) -> None:
    """Break the clause if the names of datagrams are looked up before a chain."""
    (mapper, mapping), (known, resolving) = maps("192.0.2.20"), resolves("192.0.2.20")
    conn = await dial_offered(routed(mapping, resolving).router, "udp", "")
    await within(packets(conn).write_to(b"x", Address("udp", TARGET)), "write_to() a name")
    asked = mapper.asked + known.asked
    expect(not asked, f"for a datagram through a chain there was a lookup of {asked}")


async def expect_bound(routed: MakeRouted, /) -> None:
    """Break the clause unless a bind is the one that was asked for."""
    lookups = maps("192.0.2.10")[1], resolves("192.0.2.10")[1]
    one = routed(*lookups, retries_router_option(1))
    # The second attempt has the options too.
    one.route.binds.fail(step_error())
    await expect_binds(one.router.bind, one.route.binds)
    for asked in (one.chain.asked, one.route.binds):
        told = {(call.network, call.address) for call in asked}
        right = {("tcp4", ":1"), ("tcp6", TARGET)}
        expect(told == right, f"for binds of {right} a chain or a route was asked for {told}")
