"""The router, which tries again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from gost_core import chain
from gost_core.common import net
from gost_core.context import Context, Key
from gost_core.logger import default
from gost_core.options import apply
from gost_core.recorder import (
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
)

from ..component import refuse_options
from ..net.address import host_of
from ..net.udp import PeerConn
from ..recorder import RecordPoint
from .route import NodeRoute, resolve

T = TypeVar("T")


class Trace:
    """The nodes that a connection goes through, for whoever asked to know."""

    def __init__(self) -> None:
        self.nodes: Sequence[chain.Node] = ()

    def __str__(self) -> str:
        return " > ".join(node.name for node in self.nodes) or "direct"


# A key of this package's own: a handler puts a Trace into the context, the router fills it in.
TRACE: Final[Key[Trace]] = Key("TRACE")


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

        async def attempt() -> net.Conn:
            addr = await resolve(ctx, address, options.host_mapper, options.resolver)
            route = await self._route(ctx, network, addr, address)
            conn = await route.dial(ctx, network, addr, *opts)
            trace = ctx.value(TRACE)
            if trace is not None:
                trace.nodes = route.nodes()
            if network.startswith("udp") and not isinstance(conn, net.PacketConn):
                return PeerConn(conn)
            return conn

        host, recorders = host_of(address).encode(), options.recorders if address else ()
        await self._dials.record(ctx, recorders, host)
        try:
            return await self._try(attempt)
        except Exception:
            await self._failures.record(ctx, recorders, host)
            raise

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: chain.BindOption
    ) -> net.Listener:
        async def attempt() -> net.Listener:
            route = await self._route(ctx, network, address, "")
            if self._options.chain is not None and not route.nodes():
                raise chain.EmptyRouteError(f"the chain has no node to bind {address!r} at")
            return await route.bind(ctx, network, address, *opts)

        return await self._try(attempt)

    async def _route(self, ctx: Context, network: str, addr: str, host: str) -> chain.Route:
        chainer, route = self._options.chain, None
        if chainer is not None:
            route = await chainer.route(ctx, network, addr, chain.with_host_route_option(host))
        return NodeRoute() if route is None else route

    async def _try(self, attempt: Callable[[], Awaitable[T]]) -> T:
        seconds = self._options.timeout or 15.0
        faults: list[OSError] = []
        while len(faults) <= max(self._options.retries, 0):
            limit = asyncio.timeout(seconds if seconds > 0 else None)
            try:
                async with limit:
                    return await attempt()
            except net.UnsupportedError:  # permanent (D16)
                raise
            except TimeoutError as error:
                own = limit.expired()
                faults.append(TimeoutError(f"no answer in {seconds:g} s") if own else error)
            except OSError as error:
                faults.append(error)
        *earlier, last = faults
        for fault in earlier:
            last.add_note(f"before: {fault}")
        raise last
