"""The router, which tries again."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from typing_extensions import Buffer

from gost_core import chain
from gost_core.common import net
from gost_core.context import Context
from gost_core.keys import HASH_SOURCE, TIME_LIMIT
from gost_core.logger import default
from gost_core.options import apply
from gost_core.recorder import (
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
)

from ..component import refuse_options
from ..net.address import UDPAddr, addresses_of, host_of, split_host_port
from ..net.dialer import check_found
from ..net.wrapper import Wrapper
from ..recorder import RecordPoint
from .route import LimitPassedError, NodeRoute, has_passed, resolve

T = TypeVar("T")
Find = Callable[[net.Addr], Awaitable[net.Addr]]

GRACE: Final = 0.02  # seconds from the time limit of an attempt to its cancellation (D69)


class RetryRouter(chain.Router):
    """Maps, resolves, finds a route and dials by it, and all of that again if it fails (D38)."""

    def __init__(self, *opts: chain.RouterOption) -> None:
        self._options = apply(chain.RouterOptions(), *opts)
        refuse_options(self._options, "ifce_name", "netns", "sock_opts")
        logger = self._options.logger or default()
        self._dials = RecordPoint(RECORDER_SERVICE_ROUTER_DIAL_ADDRESS, logger)
        self._failures = RecordPoint(RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR, logger)

    def options(self) -> chain.RouterOptions:
        return self._options

    async def dial(
        self, ctx: Context, network: str, address: str, /, *opts: chain.DialOption
    ) -> net.Conn:
        options = self._options

        async def attempt(ctx: Context) -> net.Conn:
            addr = await self._resolve(ctx, network, address)
            if addr != address:
                await check_found(ctx, network, addr)
            route = await self._route(ctx, network, addr, address)
            conn = await route.dial(ctx, network, addr, *opts)
            if not network.startswith("udp"):
                return RoutedConn(conn, route)
            direct = not addr and not route.nodes()
            kept = ctx.without(TIME_LIMIT)  # what outlives the call is kept without its limit
            find = partial(self._find, kept, network) if direct else None
            return RoutedPackets(conn, route, find)

        if not options.recorders:
            return await self._try(ctx, attempt)
        host, recorders = host_of(address).encode(), options.recorders if address else ()
        await self._dials.record(ctx, recorders, host)
        try:
            return await self._try(ctx, attempt)
        except Exception:
            await self._failures.record(ctx, recorders, host)
            raise

    async def _resolve(self, ctx: Context, network: str, address: str) -> str:
        options = self._options
        family = "ip" + network[-1] if network[-1:] in ("4", "6") else "ip"
        return await resolve(ctx, address, options.host_mapper, options.resolver, family)

    async def _find(self, ctx: Context, network: str, addr: net.Addr) -> net.Addr:
        """Tell where a datagram goes that names its target."""
        host, port = split_host_port(await self._resolve(ctx, network, str(addr)))
        found = UDPAddr((await addresses_of(host, network, ctx.value(HASH_SOURCE) or ""))[0], port)
        await check_found(ctx, network, str(found), str(addr))
        return found

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: chain.BindOption
    ) -> net.Listener:
        async def attempt(ctx: Context) -> net.Listener:
            route = await self._route(ctx, network, address, "")
            if self._options.chain is not None and not route.nodes():
                raise chain.EmptyRouteError(f"the chain has no node to bind {address!r} at")
            return RoutedListener(await route.bind(ctx, network, address, *opts), route)

        return await self._try(ctx, attempt)

    async def _route(self, ctx: Context, network: str, addr: str, host: str) -> chain.Route:
        chainer, route = self._options.chain, None
        if chainer is not None:
            route = await chainer.route(ctx, network, addr, chain.with_host_route_option(host))
        return NodeRoute() if route is None else route

    async def _try(self, ctx: Context, attempt: Callable[[Context], Awaitable[T]]) -> T:
        seconds, clock = self._options.timeout or 15.0, asyncio.get_running_loop().time
        faults: list[OSError] = []
        while len(faults) <= max(self._options.retries, 0):
            # The earlier limit holds: that of the caller, for all attempts, or that of this one.
            limits = [ctx.value(TIME_LIMIT), clock() + seconds if seconds > 0 else None]
            limit = min((one for one in limits if one is not None), default=None)
            if has_passed(ctx):
                faults = faults or [LimitPassedError("the time limit has passed")]
                break
            told = ctx if limit is None else ctx.with_value(TIME_LIMIT, limit)
            # Whoever marks goes by the clock, so the cancellation comes after the limit (D69).
            ending = asyncio.timeout_at(None if limit is None else limit + GRACE)
            try:
                async with ending:
                    return await attempt(told)
            except (net.UnsupportedError, net.DeniedError, chain.EmptyRouteError):  # final (D16)
                raise
            except TimeoutError as error:
                own = ending.expired()
                faults.append(TimeoutError(f"no answer in {seconds:g} s") if own else error)
            except OSError as error:
                faults.append(error)
        *earlier, last = faults
        for fault in earlier:
            last.add_note(f"before: {fault}")
        raise last


def names_of_route(conn: net.Conn) -> str:
    """Name the nodes that a connection goes through."""
    carrier = net.find_capability(conn, chain.RouteCarrier)
    route = None if carrier is None else carrier.taken_route()
    nodes = () if route is None else route.nodes()
    return " > ".join(node.name for node in nodes) or "direct"


class RoutedConn(Wrapper, chain.RouteCarrier):
    """A connection that tells by which route it came (D74)."""

    def __init__(self, inner: net.Conn, route: chain.Route, find: Find | None = None) -> None:
        super().__init__(inner)
        self._route = route
        self._find = find

    def taken_route(self) -> chain.Route | None:
        return self._route


class RoutedPackets(RoutedConn, net.PacketConn):
    """One that carries datagrams; if it goes anywhere, its router finds where."""

    async def read_from(self, n: int, /) -> tuple[bytes, net.Addr]:
        assert isinstance(self._inner, net.PacketConn)
        return await self._inner.read_from(n)

    async def write_to(self, data: Buffer, addr: net.Addr, /) -> None:
        assert isinstance(self._inner, net.PacketConn)
        await self._inner.write_to(data, addr if self._find is None else await self._find(addr))


class RoutedListener(net.Listener, chain.RouteCarrier):
    """A listener that tells by which route it was bound."""

    def __init__(self, inner: net.Listener, route: chain.Route) -> None:
        self._inner = inner
        self._route = route

    async def accept(self) -> net.Conn:
        return await self._inner.accept()

    async def close(self) -> None:
        await self._inner.close()

    def addr(self) -> net.Addr:
        return self._inner.addr()

    def taken_route(self) -> chain.Route | None:
        return self._route
