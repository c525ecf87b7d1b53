"""Routes through nodes, the chain that finds them, and the router that tries again."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from gost_core import chain, connector, hop, listener
from gost_core.common import net
from gost_core.context import Context, Key
from gost_core.hosts import HostMapper
from gost_core.logger import default
from gost_core.options import apply
from gost_core.recorder import (
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
)
from gost_core.resolver import InvalidError, Resolver

from .address import host_of, join_host_port, split_host_port
from .component import refuse_options
from .metadata import MemoryMetadata
from .recorder import RecordPoint
from .tcp import SystemDialer, TCPListener
from .udp import PeerConn

T = TypeVar("T")


class Trace:
    """The nodes that a connection goes through, for whoever asked to know."""

    def __init__(self) -> None:
        self.nodes: Sequence[chain.Node] = ()

    def __str__(self) -> str:
        return " > ".join(node.name for node in self.nodes) or "direct"


# A key of this package's own: a handler puts a Trace into the context, the router fills it in.
TRACE: Final[Key[Trace]] = Key("TRACE")


class NodeRoute(chain.Route):
    """A way through nodes in order; direct if there are none (D36)."""

    def __init__(self, *nodes: chain.Node) -> None:
        self._nodes = nodes

    def nodes(self) -> Sequence[chain.Node]:
        return self._nodes

    async def dial(
        self, ctx: Context, network: str, address: str, /, *opts: chain.DialOption
    ) -> net.Conn:
        if not self._nodes:
            refuse_options(apply(chain.DialOptions(), *opts), "interface", "netns", "sock_opts")
            return await SystemDialer().dial(ctx, network, address)
        conn = await self._reach_last(ctx)
        try:
            # A target that cannot be reached is no fault of the node: nobody is marked.
            return await _transport(self._nodes[-1]).connect(ctx, conn, network, address)
        except BaseException:
            await conn.close()
            raise

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: chain.BindOption
    ) -> net.Listener:
        options = apply(chain.BindOptions(), *opts)
        if not self._nodes:
            if not network.startswith("tcp"):
                raise net.UnsupportedError(f"network {network!r} is not offered here; tcp is")
            bound = TCPListener(listener.addr_option(address or ":0"))
            await bound.init(MemoryMetadata({"backlog": options.backlog}))
            return bound
        conn = await self._reach_last(ctx)
        try:
            return await _transport(self._nodes[-1]).bind(
                ctx,
                conn,
                network,
                address,
                connector.mux_bind_option(options.mux),
                connector.backlog_bind_option(options.backlog),
            )
        except BaseException:
            await conn.close()
            raise

    async def _reach_last(self, ctx: Context) -> net.Conn:
        """Connect to the first node, through it to the second, and so on."""
        conn: net.Conn | None = None
        before: chain.Transporter | None = None
        for node in self._nodes:
            options, transport = node.options(), _transport(node)
            try:
                addr = await resolve(ctx, node.addr, options.host_mapper, options.resolver)
                if conn is None or before is None:
                    conn = await transport.dial(ctx, addr)
                else:
                    conn = await before.connect(ctx, conn, "tcp", addr)
                conn = await transport.handshake(ctx, conn)
            except BaseException as error:
                # Cancellation marks too: it is how the limit on a silent node arrives (D14).
                node.marker().mark()
                error.add_note(f"at node {node.name}")
                if conn is not None:
                    await conn.close()
                raise
            node.marker().reset()
            before = transport
        assert conn is not None
        return conn


class HopChain(chain.Chainer):
    """Takes a node from each hop in turn."""

    def __init__(self, *hops: hop.Hop) -> None:
        self._hops = hops

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: chain.RouteOption
    ) -> chain.Route | None:
        host = apply(chain.RouteOptions(), *opts).host
        nodes: list[chain.Node] = []
        for step in self._hops:
            node = await step.select(
                ctx,
                hop.network_select_option(network),
                hop.addr_select_option(address),
                hop.host_select_option(host),
            )
            if node is None:  # the chain ends here (D40)
                break
            transport = _transport(node)
            if nodes and transport.multiplex():
                # The route is cut: the nodes so far only lead to this one's session (D34). Others
                # use the same node now, so the way to it is written on copies (D41, D42).
                node, transport = node.copy(), transport.copy()
                transport.options().route = NodeRoute(*nodes)
                node.options().transport = transport
                nodes.clear()
            nodes.append(node)
        return NodeRoute(*nodes)


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


async def resolve(
    ctx: Context, addr: str, host_mapper: HostMapper | None, resolver: Resolver | None
) -> str:
    """Turn the name in an address into an IP address, if somebody here is there to do it (D39)."""
    try:
        host, port = split_host_port(addr)
    except ValueError:  # a path, a name without port: not to be resolved (D12)
        return addr
    found = None if host_mapper is None else await host_mapper.lookup(ctx, "ip", host)
    if found is None and resolver is not None:
        try:
            found = await resolver.resolve(ctx, "ip", host)
        except InvalidError:
            return addr
    if found is None:
        return addr
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
    return join_host_port(str(found[0]), port)


def _transport(node: chain.Node) -> chain.Transporter:
    transport = node.options().transport
    if transport is None:
        raise ValueError(f"node {node.name} has no transport, so no route can go through it")
    return transport
