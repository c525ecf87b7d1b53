"""Routing: nodes and what they are reached by, hops, chains, routes and routers."""

from collections.abc import Sequence

from gost_core import connector, dialer
from gost_core.chain import (
    BindOption,
    BindOptions,
    Chainer,
    DialOption,
    DialOptions,
    EmptyRouteError,
    Node,
    ProbeResult,
    ProbeResultReader,
    Route,
    RouteOption,
    RouteOptions,
    Router,
    RouterOption,
    RouterOptions,
    Transporter,
    TransportOption,
    TransportOptions,
    addr_transport_option,
    metadata_node_option,
    network_node_option,
    priority_node_option,
    transport_node_option,
)
from gost_core.common import net
from gost_core.common.net import Conn, UnsupportedError
from gost_core.context import Context
from gost_core.dialer import host_dial_option, net_dialer_dial_option
from gost_core.hop import Hop, NodeList, SelectOption, SelectOptions
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.routing import Matcher, Request


class PairTransporter:
    """Joins a dialer and a connector; the copy shares both and has options of its own."""

    def __init__(
        self,
        network: net.Dialer,
        dialer: dialer.Dialer,
        connector: connector.Connector,
        *opts: TransportOption | None,
    ) -> None:
        self._network = network
        self._dialer = dialer
        self._connector = connector
        self._options = apply(TransportOptions(), *opts)

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        host = self._options.addr or addr
        return await self._dialer.dial(
            ctx, addr, host_dial_option(host), net_dialer_dial_option(self._network)
        )

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        return conn

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        return await self._connector.connect(ctx, conn, network, address)

    async def bind(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.BindOption,
    ) -> net.Listener:
        if not isinstance(self._connector, connector.Binder):
            raise connector.BindUnsupportedError("the connector cannot bind")
        return await self._connector.bind(ctx, conn, network, address, *opts)

    def multiplex(self) -> bool:
        return isinstance(self._dialer, dialer.Multiplexer) and self._dialer.multiplex()

    def options(self) -> TransportOptions:
        return self._options

    def copy(self) -> "PairTransporter":
        copy = PairTransporter(self._network, self._dialer, self._connector)
        copy._options.addr = self._options.addr
        copy._options.route = self._options.route
        return copy


class InheritingTransporter(Transporter):
    """A wrapper that keeps everything but multiplexing."""

    def __init__(self, inner: Transporter) -> None:
        self._inner = inner

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        return await self._inner.dial(ctx, addr)

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        return await self._inner.handshake(ctx, conn)

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        return await self._inner.connect(ctx, conn, network, address)

    async def bind(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.BindOption,
    ) -> net.Listener:
        return await self._inner.bind(ctx, conn, network, address, *opts)

    def multiplex(self) -> bool:
        return False

    def options(self) -> TransportOptions:
        return self._inner.options()

    def copy(self) -> Transporter:
        return InheritingTransporter(self._inner.copy())


class ListHop:
    """The first node that serves the network; the list is open to those who probe."""

    def __init__(self, *nodes: Node) -> None:
        self._nodes = nodes

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        for node in self._nodes:
            if options.network.startswith(node.options().network):
                return node
        return None

    def nodes(self) -> Sequence[Node]:
        return self._nodes


class InheritingHop(Hop, NodeList):
    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        request = Request(host=options.host, network=options.network, path=options.path)
        for node in self.nodes():
            matcher = node.options().matcher
            if matcher is None or await matcher.match(request):
                return node
        return None

    def nodes(self) -> Sequence[Node]:
        return [Node("one", "192.0.2.1:443"), Node("two", "[2001:db8::2]:443")]


class SuffixMatcher:
    def __init__(self, suffix: str) -> None:
        self._suffix = suffix

    async def match(self, request: Request, /) -> bool:
        return request.host.partition(":")[0].casefold().endswith(self._suffix)


class OneNodeRoute:
    """A route through one node."""

    def __init__(self, node: Node, transporter: Transporter) -> None:
        self._node = node
        self._transporter = transporter

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        options = apply(DialOptions(), *opts)
        if options.interface:
            raise UnsupportedError("this route does not choose an interface")
        connection = await self._open(ctx)
        try:
            return await self._transporter.connect(ctx, connection, network, address)
        except BaseException:
            await connection.close()
            raise

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> net.Listener:
        options = apply(BindOptions(), *opts)
        connection = await self._open(ctx)
        try:
            return await self._transporter.bind(
                ctx, connection, network, address, connector.mux_bind_option(options.mux)
            )
        except BaseException:
            await connection.close()
            raise

    def nodes(self) -> Sequence[Node]:
        return (self._node,)

    async def _open(self, ctx: Context) -> Conn:
        connection = await self._transporter.dial(ctx, self._node.addr)
        try:
            return await self._transporter.handshake(ctx, connection)
        except BaseException:
            await connection.close()
            raise


class HopChainer:
    """A chain of one hop."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        options = apply(RouteOptions(), *opts)
        node = await self._hop.select(
            ctx, lambda select: setattr(select, "host", options.host or address)
        )
        if node is None:
            return None
        transporter = node.options().transport
        if transporter is None:
            raise UnsupportedError(f"node {node.name} has no transport")
        return OneNodeRoute(node, transporter)


class InheritingRouter(Router):
    """Asks the chain for a route each time."""

    def __init__(self, *opts: RouterOption | None) -> None:
        self._options = apply(RouterOptions(), *opts)

    def options(self) -> RouterOptions:
        return self._options

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        route = await self._route(ctx, network, address)
        return await route.dial(ctx, network, address, *opts)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> net.Listener:
        route = await self._route(ctx, network, address)
        return await route.bind(ctx, network, address, *opts)

    async def _route(self, ctx: Context, network: str, address: str) -> Route:
        chain = self._options.chain
        route = await chain.route(ctx, network, address) if chain is not None else None
        if route is None:
            raise EmptyRouteError(f"no route to {address}")
        return route


class RoutingRouter:
    """Structurally: it adds nothing to the route that it was given."""

    def __init__(self, route: Route) -> None:
        self._route = route

    def options(self) -> RouterOptions:
        return RouterOptions()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        return await self._route.dial(ctx, network, address, *opts)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> net.Listener:
        return await self._route.bind(ctx, network, address, *opts)


class ProbedChainer:
    def probe_result(self) -> ProbeResult | None:
        return ProbeResult(success=True, latency=0.012)


def build_node(metadata: Metadata | None, transporter: Transporter) -> Node:
    """Options of a constructor may be left out one by one, with None."""
    copy = transporter.copy()
    addr_transport_option("proxy.example:443")(copy.options())
    return Node(
        "proxy",
        "proxy.example:443",
        network_node_option("tcp"),
        transport_node_option(copy),
        metadata_node_option(metadata),
        priority_node_option(10) if metadata is not None else None,
    )


def prove_transporter(transporter: PairTransporter) -> Transporter:
    return transporter


def prove_inheriting_transporter(transporter: InheritingTransporter) -> Transporter:
    return transporter


def prove_hop(hop: ListHop) -> Hop:
    return hop


def prove_node_list(nodes: ListHop) -> NodeList:
    return nodes


def prove_inheriting_hop(hop: InheritingHop) -> Hop:
    return hop


def prove_matcher(matcher: SuffixMatcher) -> Matcher:
    return matcher


def prove_route(route: OneNodeRoute) -> Route:
    return route


def prove_chainer(chainer: HopChainer) -> Chainer:
    return chainer


def prove_router(router: RoutingRouter) -> Router:
    return router


def prove_inheriting_router(router: InheritingRouter) -> Router:
    return router


def prove_probe_result_reader(reader: ProbedChainer) -> ProbeResultReader:
    return reader
