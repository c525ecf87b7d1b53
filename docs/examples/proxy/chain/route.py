"""Ways through nodes, where they are from, and what names of nodes and targets stand for."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gost_core import chain, connector, hop, listener
from gost_core.common import net
from gost_core.context import Context
from gost_core.hosts import HostMapper
from gost_core.keys import TIME_LIMIT
from gost_core.options import apply
from gost_core.resolver import InvalidError, Resolver

from ..component import refuse_options
from ..listener.tcp import TCPListener
from ..metadata import MemoryMetadata
from ..net.address import join_host_port, split_host_port
from ..net.dialer import RULE, SystemDialer
from ..wire.http import FORWARDED

T = TypeVar("T")


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
        ctx = ctx.without(RULE)  # on targets, and no node is one
        return await self._at_last(
            ctx, lambda last, conn: last.connect(ctx, conn, network, address)
        )

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: chain.BindOption
    ) -> net.Listener:
        options = apply(chain.BindOptions(), *opts)
        if not self._nodes:
            check_limit(ctx)
            if not network.startswith("tcp"):
                raise net.UnsupportedError(f"network {network!r} is not offered here; tcp is")
            bound = TCPListener(listener.addr_option(address or ":0"))
            await bound.init(MemoryMetadata({"backlog": options.backlog}))
            return bound
        asked = (
            connector.mux_bind_option(options.mux),
            connector.backlog_bind_option(options.backlog),
            connector.udp_data_queue_size_bind_option(options.udp_data_queue_size),
            connector.udp_data_buffer_size_bind_option(options.udp_data_buffer_size),
            connector.udp_conn_ttl_bind_option(options.udp_conn_ttl),
        )
        return await self._at_last(
            ctx, lambda last, conn: last.bind(ctx, conn, network, address, *asked)
        )

    async def _at_last(
        self, ctx: Context, ask: Callable[[chain.Transporter, net.Conn], Awaitable[T]]
    ) -> T:
        """Ask the last node for a target; that it cannot reach one marks nobody."""
        conn = await self._reach_last(ctx)
        try:
            check_limit(ctx)
            return await ask(transport_of(self._nodes[-1]), conn)
        except BaseException:
            await conn.close()
            raise

    async def _reach_last(self, ctx: Context) -> net.Conn:
        """Connect to the first node, through it to the second, and so on."""
        conn: net.Conn | None = None
        before: chain.Transporter | None = None
        for node in self._nodes:
            options, transport = node.options(), transport_of(node)
            try:
                check_limit(ctx)
                addr = await resolve(ctx, node.addr, options.host_mapper, options.resolver)
                check_limit(ctx)
                if conn is None or before is None:
                    conn = await transport.dial(ctx, addr)
                else:
                    conn = await before.connect(ctx.without(FORWARDED), conn, "tcp", addr)
                check_limit(ctx)
                conn = await transport.handshake(ctx, conn)
            except BaseException as error:
                begun = not isinstance(error, LimitPassedError)
                # A cancellation is how the limit on a silent node arrives; before the limit it is
                # the caller's own (D69).
                if begun and (isinstance(error, Exception) or has_passed(ctx)):
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
            transport = transport_of(node)
            if nodes and transport.multiplex():
                # The route is cut: the nodes so far only lead to this one's session (D34). Others
                # use the same node now, so the way to it is written on copies (D41, D42).
                node, transport = node.copy(), transport.copy()
                transport.options().route = NodeRoute(*nodes)
                node.options().transport = transport
                nodes.clear()
            nodes.append(node)
        return NodeRoute(*nodes)


class LimitPassedError(TimeoutError):
    """A step was not begun, since the time limit of the call has passed (D69)."""


def has_passed(ctx: Context) -> bool:
    """Tell whether the call has failed by time."""
    limit = ctx.value(TIME_LIMIT)
    return limit is not None and asyncio.get_running_loop().time() >= limit


def check_limit(ctx: Context) -> None:
    """Begin a step, unless it is too late."""
    if has_passed(ctx):
        raise LimitPassedError("the time limit has passed")


async def resolve(
    ctx: Context,
    addr: str,
    host_mapper: HostMapper | None,
    resolver: Resolver | None,
    family: str = "ip",
) -> str:
    """Turn the name in an address into an IP address, if somebody here is there to do it (D39)."""
    if host_mapper is None and resolver is None:
        return addr
    try:
        host, port = split_host_port(addr)
    except ValueError:  # a path, a name without port: not to be resolved (D12)
        return addr
    found = None if host_mapper is None else await host_mapper.lookup(ctx, family, host)
    if found is None and resolver is not None:
        try:
            found = await resolver.resolve(ctx, family, host)
        except InvalidError:
            return addr
    if found is None:
        return addr
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
    return join_host_port(str(found[0]), port)


def transport_of(node: chain.Node) -> chain.Transporter:
    """Return what a node is reached by; a route needs that of each."""
    transport = node.options().transport
    if transport is None:
        raise ValueError(f"node {node.name} has no transport, so no route can go through it")
    return transport
