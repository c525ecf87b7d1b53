"""Trials of the contract of routers."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar
from weakref import WeakSet

from typing_extensions import Buffer

from gost_core import chain, keys
from gost_core.chain import (
    BindOption,
    DialOption,
    DialOptions,
    EmptyRouteError,
    Route,
    RouteCarrier,
    RouterOption,
    RouterOptions,
)
from gost_core.common import net
from gost_core.common.net import (
    Addr,
    ClosedError,
    Closer,
    Conn,
    ConnUnwrapper,
    DeniedError,
    Listener,
    UnsupportedError,
)
from gost_core.context import Context
from gost_core.options import apply
from gost_core.recorder import (
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
)
from gost_core.resolver import InvalidError
from gost_core.testing import Contract
from gost_core.testing._stage.fakes.recorder import FakeRecorder
from gost_core.testing._stage.memory import Address, ForwardingConn
from gost_core.testing.chain import RouterContract
from tests.kit._backend import remembering, remembering_each
from tests.kit._stuck import (
    Cutting,
    Drowsy,
    EndedByBreaks,
    Forgetful,
    Hurried,
    OneBuffer,
    ReadingOnBeneath,
    ending_at_the_limit,
    ending_with_the_task,
    few_places,
    giving,
    keeping_the_context,
    losing_places,
    stuck,
    timing_out,
)
from tests.kit.chain._direct import PlainConn, join, lookup
from tests.kit.chain._route import RightRoute, SleepingListener
from tests.kit.common.net._sockets import SocketConn, split
from tests.kit.trial import Trial

TIME_LIMIT = 1.5
Result = TypeVar("Result")


class Routed(ForwardingConn, ConnUnwrapper, RouteCarrier):
    """A connection that tells by which route it came."""

    def __init__(self, inner: Conn, route: Route | None) -> None:
        super().__init__(inner)
        self.route = route

    def unwrap_conn(self) -> Conn:
        return self.inner

    def taken_route(self) -> Route | None:
        return self.route


class RoutedPackets(Routed, net.PacketConn):
    """One that carries datagrams."""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        assert isinstance(self.inner, net.PacketConn)
        return await self.inner.read_from(n)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        assert isinstance(self.inner, net.PacketConn)
        await self.inner.write_to(data, addr)


class DirectPackets(RoutedPackets):
    """One that goes anywhere, and has its router find where."""

    def __init__(self, inner: Conn, route: Route, find: Callable[[str], Awaitable[str]]) -> None:
        super().__init__(inner, route)
        self.find = find

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await super().write_to(data, Address(addr.network(), await self.find(str(addr))))


class RoutedListener(Listener, RouteCarrier):
    def __init__(self, inner: Listener, route: Route | None) -> None:
        self.inner = inner
        self.route = route

    async def accept(self) -> Conn:
        return await self.inner.accept()

    async def close(self) -> None:
        await self.inner.close()

    def addr(self) -> Addr:
        return self.inner.addr()

    def taken_route(self) -> Route | None:
        return self.route


class RightRouter(chain.Router):
    def __init__(self, *opts: RouterOption | None) -> None:
        self.own_options = apply(RouterOptions(), *opts)

    def options(self) -> RouterOptions:
        return self.own_options

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        await self.record(ctx, RECORDER_SERVICE_ROUTER_DIAL_ADDRESS, address)
        try:
            return await self.attempts(
                ctx, lambda ctx: self.dial_once(ctx, network, address, *opts)
            )
        except Exception:
            await self.record(ctx, RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR, address)
            raise

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await self.attempts(ctx, lambda ctx: self.bind_once(ctx, network, address, *opts))

    async def attempts(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        errors: list[OSError] = []
        while True:
            try:
                return await self.limited(ctx, attempt)
            except PassedError as error:
                raise errors[-1] if errors else error from None
            except (UnsupportedError, DeniedError, EmptyRouteError):
                raise
            except OSError as error:
                errors.append(error)
                if len(errors) > max(self.own_options.retries, 0):
                    self.note(error, errors[:-1])
                    raise
                await self.pause()

    async def limited(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        """Make an attempt within its time."""
        now = asyncio.get_running_loop().time()
        limit, timeout = ctx.value(keys.TIME_LIMIT), self.limit()
        if limit is not None and now >= limit:
            raise PassedError("the time limit has passed")
        if timeout is not None:
            limit = self.earlier(limit, now + timeout)
        if limit is None:
            return await attempt(ctx)
        async with asyncio.timeout_at(limit + self.grace):
            return await attempt(self.telling(ctx, limit))

    grace = 0.02

    def earlier(self, of_the_call: float | None, own: float) -> float:
        return own if of_the_call is None else min(of_the_call, own)

    def telling(self, ctx: Context, limit: float) -> Context:
        return ctx.with_value(keys.TIME_LIMIT, limit)

    def limit(self) -> float | None:
        timeout = self.own_options.timeout
        return None if timeout < 0 else timeout or 15.0

    async def pause(self) -> None:
        """Wait between two attempts: not at all."""

    def note(self, error: OSError, earlier: list[OSError]) -> None:
        for one in earlier:
            error.add_note(f"an earlier attempt: {type(one).__name__}: {one}")

    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        resolved = await self.resolve(ctx, address, network)
        route = await self.route(ctx, network, resolved, address)
        own = self.own_options
        conn = await route.dial(
            ctx,
            network,
            resolved,
            chain.interface_dial_option(own.ifce_name),
            chain.netns_dial_option(own.netns),
            chain.sock_opts_dial_option(own.sock_opts),
            chain.logger_dial_option(own.logger),
            *opts,
        )
        if isinstance(conn, net.PacketConn) and not address and not route.nodes():
            find = partial(self.find, ctx.without(keys.TIME_LIMIT), network=network)
            return DirectPackets(conn, route, find)
        return self.routed(conn, route)

    async def find(self, ctx: Context, address: str, network: str) -> str:
        """Tell where a datagram goes."""
        return await self.resolve(ctx, address, network)

    def routed(self, conn: Conn, route: Route) -> Conn:
        made = RoutedPackets if isinstance(conn, net.PacketConn) else Routed
        return made(conn, route)

    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        own = self.own_options
        family = "ip" + network[3:] if network[3:] in ("4", "6") else "ip"
        return await lookup(ctx, address, own.host_mapper, own.resolver, family)

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        if self.own_options.chain is None:
            return RightRoute(())
        option = chain.with_host_route_option(host)
        route = await self.own_options.chain.route(ctx, network, address, option)
        return RightRoute(()) if route is None else route

    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        route = await self.route(ctx, network, address, "")
        if self.own_options.chain is not None and not route.nodes():
            raise EmptyRouteError("the chain has no node to bind at")
        return RoutedListener(await route.bind(ctx, network, address, *opts), route)

    async def record(self, ctx: Context, point: str, address: str) -> None:
        host = self.host(address)
        for one in self.own_options.recorders:
            if one.record == point:
                with suppress(OSError):
                    await one.recorder.record(ctx, host.encode())

    def host(self, address: str) -> str:
        """Return what is recorded of an address."""
        return address.rpartition(":")[0].strip("[]") or address


class PassedError(TimeoutError):
    """An attempt was not begun."""


MakeRouter = Callable[[*tuple[RouterOption, ...]], chain.Router]


def run(make: MakeRouter) -> Contract:
    return RouterContract(make, time_limit=TIME_LIMIT)


trial = Trial[MakeRouter](RouterContract, run, RightRouter)


@trial.breaks("shape")
class AsyncOptions(RightRouter):
    async def options(self) -> RouterOptions:  # type: ignore  # the fault
        return self.own_options


@trial.breaks("options")
class HidingOptions(RightRouter):
    def options(self) -> RouterOptions:
        return RouterOptions()


@trial.breaks("dial")
class Tcp4Only(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        return await super().dial(ctx, network.replace("tcp", "tcp4"), address, *opts)


@trial.breaks("datagram-names", history="ee7b1e9 69c397d the system is asked for names")
class AskingTheSystem(RightRouter):
    async def find(self, ctx: Context, address: str, network: str) -> str:
        return address


@trial.breaks("no-chain-direct")
class NeedingAChain(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if self.own_options.chain is None and network == "tcp":
            raise EmptyRouteError("there is no chain")
        return await super().dial(ctx, network, address, *opts)


@trial.breaks("direct-last-words")
class ClosingPlainly(RightRouter):
    def routed(self, conn: Conn, route: Route) -> Conn:
        return super().routed(PlainConn(conn.sock) if type(conn) is SocketConn else conn, route)


@trial.breaks("no-route-direct")
class NeedingARoute(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        route = await super().route(ctx, network, address, host)
        if self.own_options.chain is not None and isinstance(route, RightRoute):
            raise EmptyRouteError("the chain found no route")
        return route


@trial.breaks("refusal-not-direct", history="x hop and chain: failures fall open to direct")
class GoingDirectInstead(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        try:
            return await super().route(ctx, network, address, host)
        except OSError:
            return RightRoute(())


@trial.breaks("bind-empty-route", history="core@f3482d7 bind crashes on a route that is None")
class BindingAtNone(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if self.own_options.chain is None:
            return await super().bind_once(ctx, network, address, *opts)
        route = await self.own_options.chain.route(ctx, network, address)
        bound = await route.bind(ctx, network, address, *opts)  # type: ignore  # the fault
        return RoutedListener(bound, route)


@trial.breaks("bind-no-chain")
class NeedingAChainToBind(RightRouter):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if self.own_options.chain is None:
            raise EmptyRouteError("there is no chain")
        return await super().bind(ctx, network, address, *opts)


@trial.breaks("bind")
class ResolvingWhatItBinds(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await super().bind_once(ctx, network, await self.resolve(ctx, address), *opts)


class Repeating(RightRouter):
    """Tries again after errors that are permanent."""

    async def again(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        for _ in range(max(self.own_options.retries, 0)):
            with suppress(UnsupportedError, ValueError):
                return await attempt()
        return await attempt()


@trial.breaks("bind-permanent", history="#170 an unsupported bind is retried for ever")
class RepeatingBinds(Repeating):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        bind = super().bind
        return await self.again(lambda: bind(ctx, network, address, *opts))


@trial.breaks("permanent")
class RepeatingDials(Repeating):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        dial = super().dial
        return await self.again(lambda: dial(ctx, network, address, *opts))


@trial.breaks("retries")
class RetriesAsAttempts(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.shown = self.own_options
        self.own_options = replace(self.shown, retries=self.shown.retries - 1)

    def options(self) -> RouterOptions:
        return self.shown


@trial.breaks("retries-none")
class NegativeAsPositive(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.own_options.retries = abs(self.own_options.retries)


@trial.breaks("retries-at-once")
class Pausing(RightRouter):
    async def pause(self) -> None:
        await asyncio.sleep(0.02)


@trial.breaks("errors-noted")
class LastErrorOnly(RightRouter):
    def note(self, error: OSError, earlier: list[OSError]) -> None:
        pass


@trial.breaks("attempts-apart")
class CountingForAll(RightRouter):
    """Counts what failed on the router, from the last call on."""

    failed = 0

    async def attempts(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        self.failed = 0
        return await super().attempts(ctx, attempt)

    async def pause(self) -> None:
        self.failed += 1
        if self.failed > self.own_options.retries:
            raise OSError("no attempt is left")


@trial.breaks("retry-hinders-none")
class OneRetryAtATime(RightRouter):
    """Makes first attempts at any time, and further ones one by one, to spare the nodes."""

    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.lock = asyncio.Lock()
        self.failed = WeakSet[asyncio.Task[object]]()

    async def limited(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        if asyncio.current_task() not in self.failed:
            return await super().limited(ctx, attempt)
        async with self.lock:
            return await super().limited(ctx, attempt)

    async def pause(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.failed.add(task)


@trial.breaks("retry-hinders-none")
class OneBindAgainAtATime(OneRetryAtATime):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.dialing = WeakSet[asyncio.Task[object]]()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        task = asyncio.current_task()
        assert task is not None
        self.dialing.add(task)
        return await super().dial(ctx, network, address, *opts)

    async def pause(self) -> None:
        if asyncio.current_task() not in self.dialing:
            await super().pause()


@trial.breaks("route-each-attempt")
class OneRouteForAll(RightRouter):
    known: Route | None = None

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        self.known = None
        return await super().dial(ctx, network, address, *opts)

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        if self.known is None:
            self.known = await super().route(ctx, network, address, host)
        return self.known


@trial.breaks("timeout", history="b92c1b1 what hangs before the dial knows no limit")
class ResolvingDespiteTheLimit(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        resolving = asyncio.ensure_future(super().resolve(ctx, address, network))
        if self.own_options.timeout > 1:
            return await resolving
        try:
            return await asyncio.shield(resolving)
        except asyncio.CancelledError:
            return await resolving


@trial.breaks("timeout-each-attempt", history="bc0d695 core@4e831b9 one timeout for all retries")
class OneTimeoutForAll(RightRouter):
    """Has time left for all attempts together, of what each of them is told."""

    async def attempts(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        async with asyncio.timeout(super().limit()):
            return await super().attempts(ctx, attempt)


@trial.breaks("timeout-zero")
class NegativeIsOver(RightRouter):
    def limit(self) -> float | None:
        return self.own_options.timeout or 15.0


@trial.breaks("cancel")
class RetryingWhatWasCancelled(RightRouter):
    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        try:
            return await super().dial_once(ctx, network, address, *opts)
        except asyncio.CancelledError:
            if self.own_options.retries != 3:
                raise
            raise ConnectionAbortedError("the attempt was cancelled") from None


@trial.breaks("outlives", history="221144f x#117 the connection ends with the dial's timeout")
class EndingWithTheTimeout(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        if (limit := self.limit()) is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(limit, lambda: asyncio.ensure_future(conn.close()))
        return conn


@trial.breaks("concurrent")
class OneAtATime(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.lock = asyncio.Lock()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        async with self.lock:
            return await super().dial(ctx, network, address, *opts)


@trial.breaks("per-call-options")
class OwnOptionsLast(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        name = self.own_options.ifce_name
        own = chain.interface_dial_option(name) if name else None
        return await super().dial(ctx, network, address, *opts, *filter(None, [own]))


@trial.breaks("own-options")
class OnlyCallOptions(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        return await super().dial(ctx, network, address, all_of(*opts))


def all_of(*opts: DialOption) -> DialOption:
    """Return an option that sets what these do, and all else to its default."""
    of_the_call = apply(DialOptions(), *opts)

    def option(options: DialOptions) -> None:
        for one in fields(options):
            setattr(options, one.name, getattr(of_the_call, one.name))

    return option


@trial.breaks("own-options")
class OnlyTheCallsIfAny(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        return await super().dial(ctx, network, address, *(opts and [all_of(*opts)]))


@trial.breaks("resolved", history="core@801f835 the route is chosen before the name is resolved")
class RoutingTheName(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        return await super().route(ctx, network, host or address, host)


@trial.breaks("resolved-ipv6")
class WithoutBrackets(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        resolved = await super().resolve(ctx, address, network)
        return resolved.replace("[2001:db8::10]", "2001:db8::10")


class Lookup(RightRouter):
    """Looks names up in its own way."""

    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        host, colon, port = address.rpartition(":")
        if not colon or network[3:] or (":" in host and not host.startswith("[")):
            return await super().resolve(ctx, address, network)
        found = await self.found(ctx, host.strip("[]"))
        return address if found is None else join(found, port)

    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        found = await lookup(
            ctx, f"{host}:0", self.own_options.host_mapper, self.own_options.resolver
        )
        with suppress(ValueError):
            return ip_address(split(found)[0])
        return None

    async def asked(
        self, ctx: Context, host: str, network: str = "ip"
    ) -> IPv4Address | IPv6Address | None:
        """Ask the resolver alone."""
        resolver = self.own_options.resolver
        if resolver is None:
            return None
        try:
            found = await resolver.resolve(ctx, network, host)
        except InvalidError:
            return None
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
        return found[0]


@trial.breaks("resolver-question")
class MappingBothFamiliesOnly(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        own = self.own_options
        if network[3:] not in ("4", "6"):
            return await super().resolve(ctx, address, network)
        return await lookup(ctx, address, None, own.resolver, f"ip{network[3:]}")


@trial.breaks("resolver-question")
class AskingForIPv4(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        mapped = None if mapper is None else await mapper.lookup(ctx, "ip", host)
        if mapped is None:
            return await self.asked(ctx, host, "ip4")
        return await super().found(ctx, host)


@trial.breaks("mapped")
class ResolvingFirst(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        mapped = None if mapper is None else await mapper.lookup(ctx, "ip", host)
        return await self.asked(ctx, host) if mapped else await super().found(ctx, host)


@trial.breaks("unmapped-resolved")
class MapperInsteadOfResolver(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        if mapper is not None and await mapper.lookup(ctx, "ip", host) is None:
            return None
        return await super().found(ctx, host)


@trial.breaks("mapped-empty", history="x hosts: a host of the other family is taken for a miss")
class EmptyAsMissing(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        if mapper is not None and not await mapper.lookup(ctx, "ip", host):
            return await self.asked(ctx, host)
        return await super().found(ctx, host)


@trial.breaks("unresolved", history="x udp: an empty answer falls back to the system's DNS")
class KeepingTheName(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        if self.own_options.host_mapper is None:
            with suppress(socket.gaierror):
                return await self.asked(ctx, host)
            return None
        return await super().found(ctx, host)


@trial.breaks("resolver-invalid")
class InvalidFails(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        if self.own_options.resolver is not None and self.own_options.host_mapper is None:
            await self.own_options.resolver.resolve(ctx, "ip", split(address)[0])
        return await super().resolve(ctx, address, network)


@trial.breaks("failures-raised", history="x resolver plugin: an error means no such name")
class IgnoringFailures(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        try:
            return await super().resolve(ctx, address, network)
        except ConnectionResetError:
            return address


@trial.breaks("resolver-failure")
class AnyFailureIsUnknown(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        try:
            return await super().resolve(ctx, address, network)
        except OSError as error:
            raise socket.gaierror(f"no address of {address}") from error


@trial.breaks("name-stays", history="8fd5200 0522ae8 #877 names are resolved too early")
class ResolvingEarly(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        resolved = await super().resolve(ctx, address, network)
        return resolved.replace("localhost", "127.0.0.1")


@trial.breaks("no-port", history="core@801f835 an address without a port is rejected")
class NeedingAPortToDial(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        if address:
            split(address)
        return await super().resolve(ctx, address, network)


@trial.breaks("udp-packets", history="3b4fd64 a wrapper makes a stream of datagrams")
class PlainUdp(RightRouter):
    def routed(self, conn: Conn, route: Route) -> Conn:
        return Routed(conn, route) if route.nodes() else super().routed(conn, route)


@trial.breaks("taken-route", history="e22aa91 the way is written where another call overwrites it")
class TellingTheLastRoute(RightRouter):
    last: Route | None = None

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        self.last = await super().route(ctx, network, address, host)
        return self.last

    def routed(self, conn: Conn, route: Route) -> Conn:
        made = super().routed(conn, route)
        asyncio.get_running_loop().call_soon(setattr, made, "route", None)
        return made


@trial.breaks("taken-route")
class ListenersTellNothing(RightRouter):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        bound = await super().bind(ctx, network, address, *opts)
        assert isinstance(bound, RoutedListener)
        return bound.inner


@trial.breaks("limit-told")
class OneLimitForAll(RightRouter):
    async def attempts(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        if (timeout := self.limit()) is not None:
            limit = asyncio.get_running_loop().time() + 0.9 * timeout
            if ctx.value(keys.TIME_LIMIT) is None and timeout > 1:
                return await super().attempts(
                    ctx, lambda ctx: attempt(ctx.with_value(keys.TIME_LIMIT, limit))
                )
        return await super().attempts(ctx, attempt)


@trial.breaks("limit-told")
class TellingSeconds(RightRouter):
    def telling(self, ctx: Context, limit: float) -> Context:
        if ctx.value(keys.TIME_LIMIT) is None and self.own_options.timeout > 1:
            limit -= asyncio.get_running_loop().time()
        return super().telling(ctx, limit)


@trial.breaks("limit-told")
class TellingTheFirstLimit(RightRouter):
    told: float | None = None

    def telling(self, ctx: Context, limit: float) -> Context:
        if ctx.value(keys.TIME_LIMIT) is None and self.own_options.timeout > 1:
            limit = self.told = self.told or limit
        return super().telling(ctx, limit)


@trial.breaks("limit-kept")
class CancellingAtTheLimit(RightRouter):
    grace = 0.0


@trial.breaks("limit-earlier")
class OwnLimitHolds(RightRouter):
    def earlier(self, of_the_call: float | None, own: float) -> float:
        return own


@trial.breaks("limit-earlier")
class LimitOfTheCallerHolds(RightRouter):
    def earlier(self, of_the_call: float | None, own: float) -> float:
        return own if of_the_call is None else of_the_call


@trial.breaks("limit-earlier")
class WithoutALimitOfItsOwn(RightRouter):
    """Leaves the limit of the caller to the caller, where it has none."""

    async def limited(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        if self.limit() is not None:
            return await super().limited(ctx, attempt)
        limit = ctx.value(keys.TIME_LIMIT)
        if limit is not None and asyncio.get_running_loop().time() >= limit:
            raise PassedError("the time limit has passed")
        return await attempt(ctx)


@trial.breaks("limit-passed")
class OneAttemptAtLeast(RightRouter):
    async def limited(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        try:
            return await super().limited(ctx, attempt)
        except PassedError:
            async with asyncio.timeout(0):
                return await attempt(ctx)


@trial.breaks("retried")
class OsErrorsOfValueFinal(RightRouter):
    async def limited(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        try:
            return await super().limited(ctx, attempt)
        except OSError as error:
            if isinstance(error, ValueError):
                raise ValueError(str(error)) from error
            raise


@trial.breaks("retried")
class RefusalsFinal(RightRouter):
    async def limited(
        self, ctx: Context, attempt: Callable[[Context], Awaitable[Result]]
    ) -> Result:
        try:
            return await super().limited(ctx, attempt)
        except PermissionError as error:
            raise DeniedError(str(error)) from error


@trial.breaks("permanent")
class RepeatingDenials(Repeating):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        dial = super().dial
        for _ in range(max(self.own_options.retries, 0)):
            with suppress(DeniedError):
                return await dial(ctx, network, address, *opts)
        return await dial(ctx, network, address, *opts)


@trial.breaks("bind-empty-route")
class RepeatingEmptyBinds(RightRouter):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        for _ in range(max(self.own_options.retries, 0)):
            with suppress(EmptyRouteError):
                return await super().bind(ctx, network, address, *opts)
        return await super().bind(ctx, network, address, *opts)


@trial.breaks("cancel-passes")
class Shielding(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        resolving = super().resolve(ctx, address, network)
        if (timeout := self.limit()) is None or timeout < 1:
            return await resolving
        return await asyncio.shield(asyncio.ensure_future(resolving))


@trial.breaks("calls-apart")
class KeepingTheNetwork(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        self.network = network
        return await super().dial(ctx, network, address, *opts)

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        network = self.network if host and network.startswith("tcp") else network
        return await super().route(ctx, network, address, host)


@trial.breaks("cancel-closes")
class RecordingWhatWasDialed(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        await asyncio.sleep(0)
        return conn


@trial.breaks("own-options")
class OptionsOfTheCallStay(RightRouter):
    kept: tuple[DialOption, ...] = ()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        self.kept = opts or self.kept
        return await super().dial(ctx, network, address, *self.kept)


@trial.breaks("resolver-question")
class BothFamiliesAlways(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        return await super().resolve(ctx, address)


@trial.breaks("udp-direct")
class NeedingAnAddress(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if self.own_options.chain is None and not address:
            raise ValueError("there is no address")
        return await super().dial(ctx, network, address, *opts)


@trial.breaks("recorded", history="x router: only the first recorder of a point is used")
class FirstRecorderOnly(RightRouter):
    async def record(self, ctx: Context, point: str, address: str) -> None:
        own = self.own_options
        first = [one for one in own.recorders if one.record == point][:1]
        self.own_options = replace(own, recorders=first)
        await super().record(ctx, point, address)
        self.own_options = own


@trial.breaks("recorded-failure")
class RecordingNoFailure(RightRouter):
    async def record(self, ctx: Context, point: str, address: str) -> None:
        if point != RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR:
            await super().record(ctx, point, address)


@trial.breaks("recorder-failure")
class FailingWithItsRecorder(RightRouter):
    async def record(self, ctx: Context, point: str, address: str) -> None:
        for one in self.own_options.recorders:
            if one.record == point:
                await one.recorder.record(ctx, self.host(address).encode())


@trial.breaks("recorder-hinders-none")
class RecordingInTurn(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.recording = asyncio.Lock()

    async def record(self, ctx: Context, point: str, address: str) -> None:
        async with self.recording:
            await super().record(ctx, point, address)


@trial.breaks("context-handed-on")
class RoutingWithoutContext(RightRouter):
    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        return await super().dial_once(Context(), network, address, *opts)


@trial.breaks("context-handed-on")
class LookingUpForNobody(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        is_datagram = network.startswith("udp")
        return await super().resolve(ctx if is_datagram else Context(), address, network)


@trial.breaks("chain-stays-open", history="x router: close() closes a chain that others use")
class ClosingItsChain(RightRouter, Closer):
    async def close(self) -> None:
        if isinstance(self.own_options.chain, Closer):
            await self.own_options.chain.close()


trial.breaks("failure-over")(stuck(RightRouter, "dial"))
trial.breaks("cancelled-at-limit")(timing_out(RightRouter, "dial"))


@trial.breaks("close-closes-all")
class ClosingOnce(RightRouter):
    """Has a second close() return while the first one is at it."""

    class Once(Routed):
        closed = False

        async def close(self) -> None:
            if not self.closed:
                self.closed = True
                await super().close()

    class Packets(Once, RoutedPackets):
        """One that carries datagrams."""

    def routed(self, conn: Conn, route: Route) -> Conn:
        return (self.Packets if isinstance(conn, net.PacketConn) else self.Once)(conn, route)


@trial.breaks("close-closes-all")
class ClosingBehind(RightRouter):
    class Behind(Routed):
        async def close(self) -> None:
            ENDING.add(asyncio.create_task(self.close_later()))

        async def close_later(self) -> None:
            await asyncio.sleep(0.2)
            await super().close()

    class Packets(Behind, RoutedPackets):
        """One that carries datagrams."""

    def routed(self, conn: Conn, route: Route) -> Conn:
        return (self.Packets if isinstance(conn, net.PacketConn) else self.Behind)(conn, route)


ENDING: set[asyncio.Task[None]] = set()


@trial.breaks("options")
class FillingInDefaults(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        self.own_options.timeout = self.own_options.timeout or 15.0
        return await super().dial(ctx, network, address, *opts)


@trial.breaks("chain-stays-open")
class ClosingItsLookups(RightRouter, Closer):
    async def close(self) -> None:
        for one in (self.own_options.resolver, self.own_options.host_mapper):
            if isinstance(one, Closer):
                await one.close()


@trial.breaks("chain-stays-open")
class ClosingTheChainOfAFailure(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        try:
            return await super().dial(ctx, network, address, *opts)
        except OSError:
            if isinstance(self.own_options.chain, Closer):
                await self.own_options.chain.close()
            raise


@trial.breaks("bind")
class BindingTwiceWithoutOptions(RightRouter):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        attempts = iter([opts])
        return await self.attempts(
            ctx, lambda ctx: self.bind_once(ctx, network, address, *next(attempts, ()))
        )


@trial.breaks("own-options")
class KeepingTheOptionsOfAFailure(RightRouter):
    failed: tuple[DialOption, ...] = ()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        earlier, self.failed = self.failed, ()
        try:
            return await super().dial(ctx, network, address, *earlier, *opts)
        except OSError:
            self.failed = opts
            raise


@trial.breaks("route-each-attempt")
class MappingOnce(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        mapped: list[str] = []

        async def attempt(ctx: Context) -> Conn:
            if not mapped:
                mapped.append(await self.resolve(ctx, address, network))
            route = await self.route(ctx, network, mapped[0], address)
            return self.routed(await route.dial(ctx, network, mapped[0], *opts), route)

        if self.own_options.host_mapper is None or not address or self.own_options.resolver:
            return await super().dial(ctx, network, address, *opts)
        return await self.attempts(ctx, attempt)


@trial.breaks("failures-raised")
class LeavingTheNameOfASilentResolver(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        try:
            return await super().resolve(ctx, address, network)
        except TimeoutError:
            return address


@trial.breaks("datagram-names")
class AnyFamilyForDatagrams6(RightRouter):
    async def find(self, ctx: Context, address: str, network: str) -> str:
        return await super().find(ctx, address, network.removesuffix("6"))


@trial.breaks("no-port")
class CuttingBareIPv6(RightRouter):
    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        if address.count(":") > 1 and not address.startswith("["):
            host, _, port = address.rpartition(":")
            return await super().resolve(ctx, f"[{host}]:{port}", network)
        return await super().resolve(ctx, address, network)


@trial.breaks("recorded")
class RecordingBrackets(RightRouter):
    def host(self, address: str) -> str:
        return address.rpartition(":")[0] or address


@trial.breaks("recorded-failure")
class RecordingNoDenial(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        try:
            return await super().dial(ctx, network, address, *opts)
        except DeniedError:
            for one in self.own_options.recorders:
                assert isinstance(one.recorder, FakeRecorder)
                one.recorder.records.clear()
            raise


@trial.breaks("recorder-failure")
class StoppingAtARecorderThatFails(RightRouter):
    async def record(self, ctx: Context, point: str, address: str) -> None:
        with suppress(OSError):
            for one in self.own_options.recorders:
                if one.record == point:
                    await one.recorder.record(ctx, self.host(address).encode())


@trial.breaks("datagram-names")
class KeepingTheAddressesOfNames(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.found: dict[str, str] = {}

    async def find(self, ctx: Context, address: str, network: str) -> str:
        if address not in self.found:
            self.found[address] = await super().find(ctx, address, network)
        return self.found[address]


@trial.breaks("datagram-names")
class TellingLookupsTheLimitOfTheDial(RightRouter):
    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        conn = await super().dial_once(ctx, network, address, *opts)
        if isinstance(conn, DirectPackets):
            conn.find = partial(self.find, ctx, network=network)
        return conn


@trial.breaks("datagram-names-travel")
class LookingUpDatagramsOfAChain(RightRouter):
    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        conn = await super().dial_once(ctx, network, address, *opts)
        if isinstance(conn, RoutedPackets) and not isinstance(conn, DirectPackets) and not address:
            find = partial(self.find, ctx.without(keys.TIME_LIMIT), network=network)
            return DirectPackets(conn.inner, conn.taken_route() or RightRoute(()), find)
        return conn


@trial.breaks("datagrams-whole")
class CuttingDatagrams(RightRouter):
    class Cut(RoutedPackets):
        async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
            return await super().read_from(min(n, 8192))

    def routed(self, conn: Conn, route: Route) -> Conn:
        if isinstance(conn, net.PacketConn):
            return self.Cut(conn, route)
        return super().routed(conn, route)


@trial.breaks("resolver-question")
class CuttingTheHostOfIPv6(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        cut = host.split(":")[0] if host.startswith("[") else host
        return await super().route(ctx, network, address, cut)


trial.breaks("many-cancelled")(losing_places(RightRouter, "dial", asyncio.CancelledError))
trial.breaks("many-failed")(losing_places(RightRouter, "dial", Exception))
trial.breaks("many-waiting")(few_places(RightRouter, "dial"))
trial.breaks("listener-outlives")(ending_with_the_task(RightRouter, "bind"))
trial.breaks("outlives-limit")(ending_at_the_limit(RightRouter, "dial"))
trial.breaks("break-shown")(giving(RightRouter, "dial", EndedByBreaks))
trial.breaks("ends-whole")(giving(RightRouter, "dial", Hurried))
trial.breaks("ends-whole")(giving(RightRouter, "dial", OneBuffer))
trial.breaks("ends-whole")(giving(RightRouter, "dial", Forgetful))
trial.breaks("reads-whole")(giving(RightRouter, "dial", ReadingOnBeneath))
trial.breaks("nothing-kept")(remembering(RightRouter, "dial"))
trial.breaks("nothing-kept")(keeping_the_context(RightRouter, "dial"))
trial.breaks("nothing-kept")(remembering_each(RightRouter, "dial"))


@trial.breaks("recorder-hinders-none")
class RecordingBehind(RightRouter):
    """Records what it has dialed, and forgets that when it is cancelled there."""

    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        conn = await super().dial_once(ctx, network, address, *opts)
        await super().record(ctx, RECORDER_SERVICE_ROUTER_DIAL_ADDRESS, address)
        return conn

    async def record(self, ctx: Context, point: str, address: str) -> None:
        if point == RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR:
            await super().record(ctx, point, address)


@trial.breaks("bind-no-chain")
class BindingAsleep(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if self.own_options.chain is not None:
            return await super().bind_once(ctx, network, address, *opts)
        listener = SleepingListener(socket.create_server(split(address)))
        return RoutedListener(listener, None)


@trial.breaks("bind")
class BindingAnyVersion(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await super().bind_once(ctx, network.rstrip("46"), address, *opts)


@trial.breaks("bind")
class BindingWhereTheLastOneDoes(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.address = address
        await asyncio.sleep(0)
        return await super().bind_once(ctx, network, self.address, *opts)


@trial.breaks("limit-told")
class NoTimeoutIsNoLimit(RightRouter):
    def limit(self) -> float | None:
        return super().limit() if self.own_options.timeout else None


@trial.breaks("own-options")
class SocketsWithoutSettings(RightRouter):
    """Takes the settings of sockets from the calls alone."""

    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.given, self.own_options = self.own_options, replace(self.own_options, sock_opts=None)

    def options(self) -> RouterOptions:
        return self.given


@trial.breaks("recorded-failure")
class RecordingTheLastAddress(RightRouter):
    address = ""

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        self.address = address
        return await super().dial(ctx, network, address, *opts)

    async def record(self, ctx: Context, point: str, address: str) -> None:
        await super().record(ctx, point, self.address)


@trial.breaks("udp-direct")
class ReadingAsleep(RightRouter):
    class Asleep(DirectPackets):
        """Its close() wakes nobody who waits in read_from()."""

        async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
            try:
                return await super().read_from(n)
            except ClosedError:
                await asyncio.Event().wait()
                raise

    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        made = await super().dial_once(ctx, network, address, *opts)
        if isinstance(made, DirectPackets):
            return self.Asleep(made.inner, RightRoute(()), made.find)
        return made


@trial.breaks("taken-route")
class DatagramsFromNowhere(RightRouter):
    class Packets(ForwardingConn, net.PacketConn):
        async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
            assert isinstance(self.inner, net.PacketConn)
            return await self.inner.read_from(n)

        async def write_to(self, data: Buffer, addr: Addr, /) -> None:
            assert isinstance(self.inner, net.PacketConn)
            await self.inner.write_to(data, addr)

    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        made = await super().dial_once(ctx, network, address, *opts)
        return self.Packets(made) if isinstance(made, net.PacketConn) else made


class BindingOtherwise(RightRouter):
    """Binds as a router does that is made anew."""

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        twin = self.twin()
        twin.own_options = self.own_options
        return await twin.attempts(ctx, lambda ctx: self.bind_once(ctx, network, address, *opts))

    def twin(self) -> RightRouter:
        return RightRouter()


@trial.breaks("errors-noted")
class BindingWithoutNotes(BindingOtherwise):
    class Silent(RightRouter):
        def note(self, error: OSError, earlier: list[OSError]) -> None:
            """Note nothing."""

    def twin(self) -> RightRouter:
        return self.Silent()


@trial.breaks("limit-earlier")
class BindingByItsOwnLimit(BindingOtherwise):
    class Own(RightRouter):
        def earlier(self, of_the_call: float | None, own: float) -> float:
            return own

    def twin(self) -> RightRouter:
        return self.Own()


@trial.breaks("accepted-survive")
class CuttingWhatIsAccepted(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        listener = await super().bind_once(ctx, network, address, *opts)
        assert isinstance(listener, RoutedListener)
        return RoutedListener(Cutting(listener.inner), listener.route)


@trial.breaks("bind-no-chain")
class BindingDrowsily(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        listener = await super().bind_once(ctx, network, address, *opts)
        if self.own_options.chain is not None:
            return listener
        return RoutedListener(Drowsy(listener), RightRoute(()))


class OfTheLatest(Routed):
    router: "TellingTheLatest"

    def taken_route(self) -> Route | None:
        return self.router.latest


@trial.breaks("taken-route")
class TellingTheLatest(RightRouter):
    """Has what it gave tell the route of its last call."""

    latest: Route | None = None

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        self.latest = await super().route(ctx, network, address, host)
        return self.latest

    def routed(self, conn: Conn, route: Route) -> Conn:
        if isinstance(conn, net.PacketConn):
            return super().routed(conn, route)
        made = OfTheLatest(conn, route)
        made.router = self
        return made


@trial.breaks("bind")
class BindingByTcp(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        route = await self.route(ctx, "tcp", address, "")
        if self.own_options.chain is not None and not route.nodes():
            raise EmptyRouteError("the chain has no node to bind at")
        return RoutedListener(await route.bind(ctx, network, address, *opts), route)


@trial.breaks("failures-raised")
class LeavingTheUnknownAlone(RightRouter):
    """Takes any LookupError for an InvalidError."""

    async def resolve(self, ctx: Context, address: str, network: str = "tcp") -> str:
        try:
            return await super().resolve(ctx, address, network)
        except LookupError:
            return address


@trial.breaks("refusal-not-direct")
class DirectWhereMalformed(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        try:
            return await super().route(ctx, network, address, host)
        except ValueError:
            return RightRoute(())


@trial.breaks("taken-route")
class KeepingTheRouteOnItself(RightRouter):
    """Keeps the route of a call where another call finds it."""

    taken: Route

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        self.taken = await super().route(ctx, network, address, host)
        return self.taken

    def routed(self, conn: Conn, route: Route) -> Conn:
        return super().routed(conn, self.taken)
