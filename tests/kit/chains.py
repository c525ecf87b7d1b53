"""Trials of the checks of transporters, routes, chainers, routers and of what is probed."""

import asyncio
import copy
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from gost_core.testing._fakes import Layer
from typing_extensions import Buffer

from gost_core import chain, connector, dialer
from gost_core.chain import (
    BindOption,
    BindOptions,
    Chainer,
    DialOption,
    DialOptions,
    EmptyRouteError,
    Node,
    ProbeResult,
    Route,
    RouteOption,
    RouteOptions,
    RouterOption,
    RouterOptions,
    Transporter,
    TransportOptions,
)
from gost_core.common import net
from gost_core.common.net import Addr, Closer, Conn, Listener, UnsupportedError
from gost_core.context import Context
from gost_core.hop import Hop, addr_select_option, host_select_option, network_select_option
from gost_core.hosts import HostMapper
from gost_core.options import apply
from gost_core.recorder import (
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
)
from gost_core.resolver import InvalidError, Resolver
from gost_core.testing import Report
from gost_core.testing.chain import (
    ChainerContract,
    ProbeResultReaderContract,
    RouteContract,
    RouterContract,
    TransporterContract,
)
from tests.kit.net import SocketAddr, SocketConn
from tests.kit.trial import Trial

TIME_LIMIT = 1.5
Result = TypeVar("Result")

MakeTransporter = Callable[[dialer.Dialer, connector.Connector], Transporter]


class RouteDialer(net.Dialer):
    def __init__(self, route: Route) -> None:
        self.route = route

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return await self.route.dial(ctx, network, addr)


class RightTransporter(Transporter):
    def __init__(self, node_dialer: dialer.Dialer, node_connector: connector.Connector) -> None:
        self.dialer = node_dialer
        self.connector = node_connector
        self.own_options = TransportOptions()

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        host = dialer.host_dial_option(self.own_options.addr)
        net_dialer = dialer.net_dialer_dial_option(self.net_dialer())
        return await self.dialer.dial(ctx, addr, host, net_dialer)

    def net_dialer(self) -> net.Dialer | None:
        route = self.own_options.route
        return RouteDialer(route) if route is not None and route.nodes() else None

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        first = conn
        if isinstance(self.dialer, dialer.Handshaker):
            addr = dialer.addr_handshake_option(self.own_options.addr)
            first = await self.dialer.handshake(ctx, conn, addr)
        if not isinstance(self.connector, connector.Handshaker):
            return first
        try:
            return await self.connector.handshake(ctx, first)
        except BaseException:
            if first is not conn:
                await first.close()
            raise

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        return await self.connector.connect(ctx, conn, network, address)

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        if not isinstance(self.connector, connector.Binder):
            raise connector.BindUnsupportedError(f"{self.connector!r} cannot bind")
        return await self.connector.bind(ctx, conn, network, address, *opts)

    def multiplex(self) -> bool:
        return isinstance(self.dialer, dialer.Multiplexer) and self.dialer.multiplex()

    def options(self) -> TransportOptions:
        return self.own_options

    def copy(self) -> Transporter:
        twin = type(self)(self.dialer, self.connector)
        twin.own_options = copy.copy(self.own_options)
        return twin


def run_transporter(make: MakeTransporter) -> Coroutine[object, object, Report]:
    return TransporterContract(make, time_limit=TIME_LIMIT).run()


transporters = Trial[MakeTransporter](TransporterContract, run_transporter, RightTransporter)


@transporters.breaks("shape")
class AsyncMultiplex(RightTransporter):
    async def multiplex(self) -> bool:  # type: ignore  # the fault
        return super().multiplex()


@transporters.breaks("dial", history="core TransportOptions: Addr called the address to dial")
class DialingTheConfiguredAddress(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        return await super().dial(ctx, self.own_options.addr or addr)


@transporters.breaks("dial-host")
class HostAsResolved(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        host = dialer.host_dial_option(addr)
        net_dialer = dialer.net_dialer_dial_option(self.net_dialer())
        return await self.dialer.dial(ctx, addr, host, net_dialer)


@transporters.breaks("handshake-order")
class ConnectorFirst(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        first = conn
        if isinstance(self.connector, connector.Handshaker):
            first = await self.connector.handshake(ctx, conn)
        if not isinstance(self.dialer, dialer.Handshaker):
            return first
        addr = dialer.addr_handshake_option(self.own_options.addr)
        return await self.dialer.handshake(ctx, first, addr)


@transporters.breaks("handshake-optional")
class NeedingTheDialersHandshake(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        if not isinstance(self.dialer, dialer.Handshaker) and isinstance(
            self.connector, connector.Handshaker
        ):
            return conn
        return await super().handshake(ctx, conn)


@transporters.breaks("handshake-address")
class HandshakeWithoutAddress(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        configured, self.own_options.addr = self.own_options.addr, ""
        try:
            return await super().handshake(ctx, conn)
        finally:
            self.own_options.addr = configured


@transporters.breaks("handshake-failure-closes", history="569572d failed handshake leaks")
class LeakingHandshake(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        first = conn
        if isinstance(self.dialer, dialer.Handshaker):
            addr = dialer.addr_handshake_option(self.own_options.addr)
            first = await self.dialer.handshake(ctx, conn, addr)
        if not isinstance(self.connector, connector.Handshaker):
            return first
        try:
            return await self.connector.handshake(ctx, first)
        except asyncio.CancelledError:
            await first.close()
            raise


@transporters.breaks("handshake-cancel-closes")
class LeakingCancelledHandshake(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        first = conn
        if isinstance(self.dialer, dialer.Handshaker):
            addr = dialer.addr_handshake_option(self.own_options.addr)
            first = await self.dialer.handshake(ctx, conn, addr)
        if not isinstance(self.connector, connector.Handshaker):
            return first
        try:
            return await self.connector.handshake(ctx, first)
        except Exception:
            await first.close()
            raise


@transporters.breaks("connect")
class ConnectingByTcp(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        return await super().connect(ctx, conn, "tcp", address)


@transporters.breaks("connect-past-the-chain")
class ConnectingByTheRoute(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        option = connector.dialer_connect_option(self.net_dialer())
        return await self.connector.connect(ctx, conn, network, address, option)


@transporters.breaks("bind")
class BindingWithoutOptions(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        return await super().bind(ctx, conn, network, address)


@transporters.breaks("bind-unsupported", history="#170 an unsupported bind looks like a failed one")
class BindFailing(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        try:
            return await super().bind(ctx, conn, network, address, *opts)
        except connector.BindUnsupportedError as error:
            raise OSError(str(error)) from error


@transporters.breaks("errors-pass")
class WrappingErrors(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        try:
            return await super().connect(ctx, conn, network, address)
        except OSError as error:
            raise RuntimeError(f"cannot connect: {error}") from error


@transporters.breaks("cancel-passes", history="b92c1b1 a step does not hear of the cancellation")
class Shielding(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        step = asyncio.ensure_future(super().connect(ctx, conn, network, address))
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            return await step


@transporters.breaks("outlives", history="221144f the connection dies with the dial")
class DyingWithTheTask(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        conn = await super().dial(ctx, addr)
        die_with_the_task(conn)
        return conn


def die_with_the_task(conn: Conn) -> None:
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: asyncio.ensure_future(conn.close()))


@transporters.breaks("concurrent")
class KeepingTheConnection(RightTransporter):
    conn: Conn

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        self.conn = conn
        await asyncio.sleep(0)
        return await super().handshake(ctx, self.conn)


@transporters.breaks("context-handed-on", history="221144f dialing with a background context")
class EmptyContext(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        return await super().dial(Context(), addr)


@transporters.breaks("multiplex")
class MultiplexingByClass(RightTransporter):
    def multiplex(self) -> bool:
        return isinstance(self.dialer, dialer.Multiplexer)


@transporters.breaks("options-live", history="x parallel: options() is a throw-away object")
class OptionsCopied(RightTransporter):
    def options(self) -> TransportOptions:
        return copy.copy(self.own_options)


@transporters.breaks("copy-distinct", history="569572d copy returns the original")
class CopyingItself(RightTransporter):
    def copy(self) -> Transporter:
        return self


@transporters.breaks("copy-values")
class CopyingNoValues(RightTransporter):
    def copy(self) -> Transporter:
        return type(self)(self.dialer, self.connector)


@transporters.breaks("copy-shares-sessions")
class CopyingTheDialer(RightTransporter):
    def copy(self) -> Transporter:
        return copy.deepcopy(self)


@transporters.breaks("route-used")
class IgnoringTheRoute(RightTransporter):
    def net_dialer(self) -> net.Dialer | None:
        return None


@transporters.breaks("route-dialer-kept")
class AskingForTheRoute(RightTransporter):
    class LiveDialer(net.Dialer):
        def __init__(self, options: TransportOptions) -> None:
            self.options = options

        async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
            if self.options.route is None:
                raise OSError("there is no route any more")
            return await self.options.route.dial(ctx, network, addr)

    def net_dialer(self) -> net.Dialer | None:
        return None if self.own_options.route is None else self.LiveDialer(self.own_options)


# ---- Route


class LocalSocket:
    """A socket that waits for what comes to it."""

    def __init__(self, sock: socket.socket, network: str) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.own_addr = SocketAddr(network, sock.getsockname())
        self.waiter: asyncio.Future[None] | None = None
        self.closed = False

    async def readable(self) -> None:
        loop = asyncio.get_running_loop()
        self.waiter = loop.create_future()
        loop.add_reader(self.sock, self.wake)
        try:
            await self.waiter
        finally:
            if not self.closed:
                loop.remove_reader(self.sock)
        self.check_open()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def check_open(self) -> None:
        if self.closed:
            raise net.ClosedError("it was closed here")

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self.sock)
            self.sock.close()
            self.wake()


class LocalListener(LocalSocket, Listener):
    async def accept(self) -> Conn:
        self.check_open()
        while True:
            try:
                return SocketConn(self.sock.accept()[0])
            except BlockingIOError:
                await self.readable()

    def addr(self) -> Addr:
        return self.own_addr


class Datagrams(LocalSocket, Conn, net.PacketConn):
    """An unconnected UDP socket."""

    async def read(self, n: int, /) -> bytes:
        raise UnsupportedError("this socket is not connected: use read_from()")

    async def write(self, data: Buffer, /) -> None:
        raise UnsupportedError("this socket is not connected: use write_to()")

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        self.check_open()
        while True:
            try:
                data, peer = self.sock.recvfrom(n)
            except BlockingIOError:
                await self.readable()
            else:
                return data, SocketAddr("udp", peer)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.check_open()
        self.sock.sendto(data, split(str(addr)))

    def local_addr(self) -> Addr:
        return self.own_addr

    def remote_addr(self) -> Addr:
        return Nowhere()


class Nowhere(Addr):
    def network(self) -> str:
        return "udp"

    def __str__(self) -> str:
        return ""


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def join(host: IPv4Address | IPv6Address, port: str) -> str:
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


async def dial_here(network: str, address: str) -> Conn:
    if network.startswith("udp") and not address:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return Datagrams(sock, "udp")
    if not network.startswith("tcp"):
        raise UnsupportedError(f"the network {network!r} is not offered")
    host, port = split(address)
    if not host:
        raise ValueError(f"{address!r} has no host")
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return SocketConn(sock)


async def bind_here(address: str) -> Listener:
    return LocalListener(socket.create_server(split(address)), "tcp")


async def lookup(
    ctx: Context, address: str, mapper: HostMapper | None, resolver: Resolver | None
) -> str:
    """Map and resolve an address as D39 says."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not host:
        return address
    found: Sequence[IPv4Address | IPv6Address] | None = None
    if mapper is not None:
        found = await mapper.lookup(ctx, "ip", host)
    if found is None and resolver is not None:
        try:
            found = await resolver.resolve(ctx, "ip", host)
        except InvalidError:
            return address
    if found is None:
        return address
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
    return join(found[0], port)


class RightRoute(Route):
    failures: type[BaseException] = BaseException

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.own_nodes = tuple(nodes)

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes:
            return await dial_here(network, address)
        last, conn = await self.reach(ctx, network)
        try:
            return await last.connect(ctx, conn, network, address)
        except self.failures:
            await self.release(conn, "target")
            raise

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if not self.own_nodes:
            return await bind_here(address)
        options = apply(BindOptions(), *opts)
        last, conn = await self.reach(ctx, network)
        try:
            return await last.bind(
                ctx,
                conn,
                network,
                address,
                connector.mux_bind_option(options.mux),
                connector.backlog_bind_option(options.backlog),
            )
        except self.failures:
            await self.release(conn, "bind")
            raise

    def nodes(self) -> Sequence[Node]:
        return self.own_nodes

    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        """Go as far as the last node."""
        last: tuple[Transporter, Conn] | None = None
        for node in self.own_nodes:
            try:
                last = await self.step(ctx, last, node, network)
            except Exception:
                self.mark(node)
                raise
            node.marker().reset()
        assert last is not None
        return last

    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        transport = node.options().transport
        assert transport is not None
        conn = None if last is None else last[1]
        stage = "resolve"
        try:
            addr = await self.resolve(ctx, node)
            stage = "hop"
            if last is None:
                conn = await transport.dial(ctx, addr)
                stage = "first handshake"
            else:
                conn = await last[0].connect(ctx, last[1], "tcp", addr)
                stage = "later handshake"
            return transport, await transport.handshake(ctx, conn)
        except self.failures:
            if conn is not None:
                await self.release(conn, stage)
            raise

    async def resolve(self, ctx: Context, node: Node) -> str:
        return await lookup(ctx, node.addr, node.options().host_mapper, node.options().resolver)

    async def release(self, conn: Conn, stage: str) -> None:
        await conn.close()

    def mark(self, node: Node) -> None:
        node.marker().mark()


MakeRoute = Callable[[Sequence[Node]], Route]


def run_route(make: MakeRoute) -> Coroutine[object, object, Report]:
    return RouteContract(make, time_limit=TIME_LIMIT).run()


routes = Trial[MakeRoute](RouteContract, run_route, RightRoute)


@routes.breaks("shape")
class NodesAsProperty(RightRoute):
    @property
    def nodes(self) -> Sequence[Node]:  # type: ignore  # the fault
        return self.own_nodes


@routes.breaks("nodes")
class NodesOfTheRest(RightRoute):
    def nodes(self) -> Sequence[Node]:
        return self.own_nodes[1:]


@routes.breaks("outlives", history="404aaae #117 the connection dies with the dial")
class DyingRoute(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        if self.own_nodes:
            die_with_the_task(conn)
        return conn


@routes.breaks("dial-order")
class TargetsNetworkBetweenNodes(RightRoute):
    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        if last is None or not network.startswith("udp"):
            return await super().step(ctx, last, node, network)
        transport = node.options().transport
        assert transport is not None
        conn = await last[0].connect(ctx, last[1], network, node.addr)
        return transport, await transport.handshake(ctx, conn)


@routes.breaks("bind-order", history="b8d9c79 the address to bind is changed on its way")
class FillingInTheHost(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if address.startswith(":"):
            address = f"0.0.0.0{address}"
        return await super().bind(ctx, network, address, *opts)


@routes.breaks("bind-options")
class BindingByDefaults(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await super().bind(ctx, network, address)


@routes.breaks("nodes-resolved")
class IgnoringNodeResolvers(RightRoute):
    async def resolve(self, ctx: Context, node: Node) -> str:
        await super().resolve(ctx, node)
        return node.addr


def leaking(leak: str) -> type[RightRoute]:
    class Leaking(RightRoute):
        async def release(self, conn: Conn, stage: str) -> None:
            task = asyncio.current_task()
            # Only this one: it closes when it is cancelled.
            if stage != leak or (task is not None and task.cancelling()):
                await conn.close()

    Leaking.__name__ = "LeakingAfter" + leak.title().replace(" ", "")
    return Leaking


routes.breaks("first-handshake-failure-closes", history="569572d leak after a failed handshake")(
    leaking("first handshake")
)
routes.breaks("hop-failure-closes", history="569572d leak after a failed connect")(leaking("hop"))
routes.breaks("later-handshake-failure-closes", history="569572d leak after a failed handshake")(
    leaking("later handshake")
)
routes.breaks("target-failure-closes", history="569572d leak after a failed connect")(
    leaking("target")
)
routes.breaks("bind-failure-closes")(leaking("bind"))
routes.breaks("resolve-failure-closes")(leaking("resolve"))


@routes.breaks("cancel-closes")
class LeakingWhenCancelled(RightRoute):
    failures = Exception


@routes.breaks("errors-pass")
class OneErrorForAll(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        try:
            return await super().dial(ctx, network, address, *opts)
        except ConnectionResetError as error:
            raise OSError(f"the route is broken: {error}") from error


@routes.breaks("bind-unsupported", history="#170 an unsupported bind looks like a failed one")
class BindBroken(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        try:
            return await super().bind(ctx, network, address, *opts)
        except connector.BindUnsupportedError as error:
            raise OSError(str(error)) from error


@routes.breaks("failure-marks")
class MarkingTheFirst(RightRoute):
    def mark(self, node: Node) -> None:
        self.own_nodes[0].marker().mark()


@routes.breaks("success-resets")
class NeverResetting(RightRoute):
    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        counts = [node.marker().count() for node in self.own_nodes]
        reached = await super().reach(ctx, network)
        for node, count in zip(self.own_nodes, counts, strict=True):
            for _ in range(count):
                node.marker().mark()
        return reached


@routes.breaks("target-marks-nobody")
class MarkingTheLast(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        await super().release(conn, stage)
        if stage == "target":
            self.own_nodes[-1].marker().mark()


@routes.breaks("close-closes-all")
class ForgettingTheLayers(RightRoute):
    class Top(Conn):
        def __init__(self, inner: Conn) -> None:
            self.inner = inner
            self.closed = False

        async def read(self, n: int, /) -> bytes:
            return await self.inner.read(n)

        async def write(self, data: Buffer, /) -> None:
            await self.inner.write(data)

        async def close(self) -> None:
            self.closed = True
            innermost: Conn = self
            while isinstance(innermost, ForgettingTheLayers.Top | Layer):
                innermost = innermost.inner
            await innermost.close()

        def local_addr(self) -> Addr:
            return self.inner.local_addr()

        def remote_addr(self) -> Addr:
            return self.inner.remote_addr()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        return self.Top(await super().dial(ctx, network, address, *opts))


@routes.breaks("concurrent")
class OneConnectionForAll(RightRoute):
    shared: "asyncio.Task[Conn] | None" = None

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes:
            return await super().dial(ctx, network, address, *opts)
        if self.shared is not None:
            return await self.shared
        self.shared = asyncio.ensure_future(super().dial(ctx, network, address, *opts))
        try:
            return await self.shared
        finally:
            self.shared = None


@routes.breaks("context-handed-on")
class ForgettingTheContext(RightRoute):
    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        return await super().step(Context(), last, node, network)


@routes.breaks("direct-dial")
class NeedingANode(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes and address.startswith("127."):
            raise EmptyRouteError("the route has no node")
        return await super().dial(ctx, network, address, *opts)


@routes.breaks("direct-bind")
class NeedingANodeToBind(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if not self.own_nodes:
            raise EmptyRouteError("the route has no node")
        return await super().bind(ctx, network, address, *opts)


@routes.breaks("direct-empty-host")
class EmptyHostIsLocal(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if address.startswith(":"):
            raise ConnectionRefusedError("nobody listens on 127.0.0.1")
        return await super().dial(ctx, network, address, *opts)


@routes.breaks("direct-unsupported")
class EverythingIsTcp(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes and not network.startswith("tcp"):
            raise ConnectionRefusedError(f"{address} refuses tcp")
        return await super().dial(ctx, network, address, *opts)


# ---- Chainer


class RightChainer(Chainer):
    def __init__(self, hops: Sequence[Hop]) -> None:
        self.hops = tuple(hops)

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        nodes: list[Node] = []
        for hop in self.hops:
            node = await self.select(hop, ctx, network, address, apply(RouteOptions(), *opts).host)
            if node is None:
                break
            transport = node.options().transport
            if transport is not None and transport.multiplex():
                nodes = [self.cut(node, transport, nodes)]
            else:
                nodes.append(node)
        return self.made_of(nodes)

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await hop.select(
            ctx,
            network_select_option(network),
            addr_select_option(address),
            host_select_option(host),
        )

    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        """Return a copy of a multiplexing node that is reached through those before."""
        node = node.copy()
        transport = transport.copy()
        transport.options().route = RightRoute(before)
        node.options().transport = transport
        return node

    def made_of(self, nodes: list[Node]) -> Route | None:
        return RightRoute(nodes)


MakeChainer = Callable[[Sequence[Hop]], Chainer]


def run_chainer(make: MakeChainer) -> Coroutine[object, object, Report]:
    return ChainerContract(make, time_limit=TIME_LIMIT).run()


chainers = Trial[MakeChainer](ChainerContract, run_chainer, RightChainer)


@chainers.breaks("shape")
class NoOptions(RightChainer):
    async def route(  # type: ignore  # the fault
        self, ctx: Context, network: str, address: str, /
    ) -> Route | None:
        return await super().route(ctx, network, address)


@chainers.breaks("nodes-of-hops")
class Backwards(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        return super().made_of(nodes[::-1])


@chainers.breaks("none-ends")
class SkippingNone(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        host = apply(RouteOptions(), *opts).host
        chosen = [await self.select(hop, ctx, network, address, host) for hop in self.hops]
        if None not in chosen or chosen[0] is None:
            return await super().route(ctx, network, address, *opts)
        return RightRoute([node for node in chosen if node is not None])


@chainers.breaks("none-direct")
class AlwaysANode(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        return super().made_of(nodes or [Node("direct", "")])


@chainers.breaks("errors-pass", history="x hop plugin: an error of the hop becomes None")
class FailingOpen(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        try:
            return await super().select(hop, ctx, network, address, host)
        except OSError:
            return None


@chainers.breaks("request-handed-on")
class BareHost(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await super().select(hop, ctx, network, address, address)


@chainers.breaks("any-address", history="core@801f835 an address without a port is rejected")
class NeedingAPort(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        split(address)
        return await super().route(ctx, network, address, *opts)


@chainers.breaks("context-handed-on")
class AskingWithoutContext(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await super().select(hop, Context(), network, address, host)


@chainers.breaks("asked-anew")
class Remembering(RightChainer):
    known: Route | None = None

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        if self.known is None:
            self.known = await super().route(ctx, network, address, *opts)
        return self.known


@chainers.breaks("concurrent", history="9fab332 a lock is held while waiting")
class Locking(RightChainer):
    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.lock = asyncio.Lock()

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        async with self.lock:
            return await super().route(ctx, network, address, *opts)


@chainers.breaks("route-dials")
class RouteIsAList(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        class OnlyNodes(RightRoute):
            async def dial(
                self, ctx: Context, network: str, address: str, /, *opts: DialOption
            ) -> Conn:
                raise UnsupportedError("this route shows its nodes")

        return OnlyNodes(nodes)


@chainers.breaks("multiplexing-cuts")
class NeverCutting(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        host = apply(RouteOptions(), *opts).host
        nodes: list[Node] = []
        for hop in self.hops:
            node = await self.select(hop, ctx, network, address, host)
            if node is None:
                break
            nodes.append(node)
        return RightRoute(nodes)


@chainers.breaks("multiplexing-copies", history="569572d the route is set on the hop's transport")
class CuttingTheOriginal(RightChainer):
    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        transport.options().route = RightRoute(before)
        return node


@chainers.breaks("multiplexing-independent", history="569572d routes overwrite each other")
class OneCopyForAll(RightChainer):
    copies: dict[str, tuple[Node, Transporter]]

    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.copies = {}

    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        twin, transport = self.copies.setdefault(node.name, (node.copy(), transport.copy()))
        transport.options().route = RightRoute(before)
        twin.options().transport = transport
        return twin


@chainers.breaks("hops-stay-open", history="3cd4fad closing one chain closes a shared hop")
class ClosingItsHops(RightChainer, Closer):
    async def close(self) -> None:
        for hop in self.hops:
            if isinstance(hop, Closer):
                await hop.close()


# ---- Router


class PacketsToOne(Conn, net.PacketConn):
    """Datagrams to and from the one peer of a connection."""

    def __init__(self, inner: Conn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.inner.read(n), self.remote_addr()

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if str(addr) != str(self.remote_addr()):
            raise ValueError(f"{addr} is not the peer of this connection")
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


class RightRouter(chain.Router):
    def __init__(self, *opts: RouterOption | None) -> None:
        self.own_options = apply(RouterOptions(), *opts)

    def options(self) -> RouterOptions:
        return self.own_options

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        await self.record(ctx, RECORDER_SERVICE_ROUTER_DIAL_ADDRESS, address)
        try:
            return await self.attempts(lambda: self.dial_once(ctx, network, address, *opts))
        except Exception:
            await self.record(ctx, RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR, address)
            raise

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await self.attempts(lambda: self.bind_once(ctx, network, address, *opts))

    async def attempts(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        errors: list[OSError] = []
        while True:
            try:
                async with asyncio.timeout(self.limit()):
                    return await attempt()
            except UnsupportedError:
                raise
            except OSError as error:
                errors.append(error)
                if len(errors) > max(self.own_options.retries, 0):
                    self.note(error, errors[:-1])
                    raise
                await self.pause()

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
        resolved = await self.resolve(ctx, address)
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
        if network.startswith("udp") and not isinstance(conn, net.PacketConn):
            return PacketsToOne(conn)
        return conn

    async def resolve(self, ctx: Context, address: str) -> str:
        return await lookup(ctx, address, self.own_options.host_mapper, self.own_options.resolver)

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
        return await route.bind(ctx, network, address, *opts)

    async def record(self, ctx: Context, point: str, address: str) -> None:
        host = address.rpartition(":")[0] or address
        for one in self.own_options.recorders:
            if one.record == point:
                with suppress(OSError):
                    await one.recorder.record(ctx, host.encode())


MakeRouter = Callable[[*tuple[RouterOption, ...]], chain.Router]


def run_router(make: MakeRouter) -> Coroutine[object, object, Report]:
    return RouterContract(make, time_limit=TIME_LIMIT).run()


routers = Trial[MakeRouter](RouterContract, run_router, RightRouter)


@routers.breaks("shape")
class AsyncOptions(RightRouter):
    async def options(self) -> RouterOptions:  # type: ignore  # the fault
        return self.own_options


@routers.breaks("options")
class HidingOptions(RightRouter):
    def options(self) -> RouterOptions:
        return RouterOptions()


@routers.breaks("dial")
class Tcp4Only(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        return await super().dial(ctx, network.replace("tcp", "tcp4"), address, *opts)


@routers.breaks("no-chain-direct")
class NeedingAChain(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if self.own_options.chain is None and network == "tcp":
            raise EmptyRouteError("there is no chain")
        return await super().dial(ctx, network, address, *opts)


@routers.breaks("no-route-direct")
class NeedingARoute(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        route = await super().route(ctx, network, address, host)
        if self.own_options.chain is not None and isinstance(route, RightRoute):
            raise EmptyRouteError("the chain found no route")
        return route


@routers.breaks("refusal-not-direct", history="x hop and chain: failures fall open to direct")
class GoingDirectInstead(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        try:
            return await super().route(ctx, network, address, host)
        except OSError:
            return RightRoute(())


@routers.breaks("bind-empty-route", history="core@f3482d7 bind crashes on a route that is None")
class BindingAtNone(RightRouter):
    async def bind_once(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if self.own_options.chain is None:
            return await super().bind_once(ctx, network, address, *opts)
        route = await self.own_options.chain.route(ctx, network, address)
        return await route.bind(ctx, network, address, *opts)  # type: ignore  # the fault


@routers.breaks("bind-no-chain")
class NeedingAChainToBind(RightRouter):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if self.own_options.chain is None:
            raise EmptyRouteError("there is no chain")
        return await super().bind(ctx, network, address, *opts)


@routers.breaks("bind")
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


@routers.breaks("bind-permanent", history="#170 an unsupported bind is retried for ever")
class RepeatingBinds(Repeating):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        bind = super().bind
        return await self.again(lambda: bind(ctx, network, address, *opts))


@routers.breaks("permanent")
class RepeatingDials(Repeating):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        dial = super().dial
        return await self.again(lambda: dial(ctx, network, address, *opts))


@routers.breaks("retries")
class RetriesAsAttempts(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.shown = self.own_options
        self.own_options = replace(self.shown, retries=self.shown.retries - 1)

    def options(self) -> RouterOptions:
        return self.shown


@routers.breaks("retries-none")
class NegativeAsPositive(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.own_options.retries = abs(self.own_options.retries)


@routers.breaks("retries-at-once")
class Pausing(RightRouter):
    async def pause(self) -> None:
        await asyncio.sleep(0.02)


@routers.breaks("errors-noted")
class LastErrorOnly(RightRouter):
    def note(self, error: OSError, earlier: list[OSError]) -> None:
        pass


@routers.breaks("route-each-attempt")
class OneRouteForAll(RightRouter):
    known: Route | None = None

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        self.known = None
        return await super().dial(ctx, network, address, *opts)

    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        if self.known is None:
            self.known = await super().route(ctx, network, address, host)
        return self.known


@routers.breaks("timeout", history="b92c1b1 what hangs before the dial knows no limit")
class ResolvingDespiteTheLimit(RightRouter):
    async def resolve(self, ctx: Context, address: str) -> str:
        resolving = asyncio.ensure_future(super().resolve(ctx, address))
        try:
            return await asyncio.shield(resolving)
        except asyncio.CancelledError:
            return await resolving


@routers.breaks("timeout-each-attempt", history="bc0d695 core@4e831b9 one timeout for all retries")
class OneTimeoutForAll(RightRouter):
    async def attempts(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        async with asyncio.timeout(super().limit()):
            return await super().attempts(attempt)

    def limit(self) -> float | None:
        return None


@routers.breaks("timeout-zero")
class NegativeIsOver(RightRouter):
    def limit(self) -> float | None:
        return self.own_options.timeout or 15.0


@routers.breaks("cancel")
class RetryingWhatWasCancelled(RightRouter):
    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        try:
            return await super().dial_once(ctx, network, address, *opts)
        except asyncio.CancelledError:
            if self.own_options.timeout < 1:
                raise
            raise ConnectionAbortedError("the attempt was cancelled") from None


@routers.breaks("outlives", history="221144f x#117 the connection ends with the dial's timeout")
class EndingWithTheTimeout(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        if (limit := self.limit()) is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(limit, lambda: asyncio.ensure_future(conn.close()))
        return conn


@routers.breaks("concurrent", history="5484717 a lock is held during I/O")
class OneAtATime(RightRouter):
    def __init__(self, *opts: RouterOption | None) -> None:
        super().__init__(*opts)
        self.lock = asyncio.Lock()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        async with self.lock:
            return await super().dial(ctx, network, address, *opts)


@routers.breaks("per-call-options")
class OwnOptionsLast(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        own = chain.interface_dial_option(self.own_options.ifce_name)
        return await super().dial(ctx, network, address, *opts, own)


@routers.breaks("own-options")
class OnlyCallOptions(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        interface = apply(DialOptions(), *opts).interface
        option = chain.interface_dial_option(interface)
        return await super().dial(ctx, network, address, option)


@routers.breaks("resolved", history="core@801f835 the route is chosen before the name is resolved")
class RoutingTheName(RightRouter):
    async def route(self, ctx: Context, network: str, address: str, host: str) -> Route:
        return await super().route(ctx, network, host or address, host)


@routers.breaks("resolved-ipv6")
class WithoutBrackets(RightRouter):
    async def resolve(self, ctx: Context, address: str) -> str:
        return (await super().resolve(ctx, address)).replace("[2001:db8::10]", "2001:db8::10")


class Lookup(RightRouter):
    """Looks names up in its own way."""

    async def resolve(self, ctx: Context, address: str) -> str:
        host, colon, port = address.rpartition(":")
        if not colon:
            return address
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


@routers.breaks("resolver-question")
class AskingForIPv4(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        mapped = None if mapper is None else await mapper.lookup(ctx, "ip", host)
        if mapped is None:
            return await self.asked(ctx, host, "ip4")
        return await super().found(ctx, host)


@routers.breaks("mapped")
class ResolvingFirst(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        mapped = None if mapper is None else await mapper.lookup(ctx, "ip", host)
        return await self.asked(ctx, host) if mapped else await super().found(ctx, host)


@routers.breaks("unmapped-resolved")
class MapperInsteadOfResolver(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        if mapper is not None and await mapper.lookup(ctx, "ip", host) is None:
            return None
        return await super().found(ctx, host)


@routers.breaks("mapped-empty", history="x hosts: a host of the other family is taken for a miss")
class EmptyAsMissing(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        mapper = self.own_options.host_mapper
        if mapper is not None and not await mapper.lookup(ctx, "ip", host):
            return await self.asked(ctx, host)
        return await super().found(ctx, host)


@routers.breaks("unresolved", history="x udp: an empty answer falls back to the system's DNS")
class KeepingTheName(Lookup):
    async def found(self, ctx: Context, host: str) -> IPv4Address | IPv6Address | None:
        if self.own_options.host_mapper is None:
            with suppress(socket.gaierror):
                return await self.asked(ctx, host)
            return None
        return await super().found(ctx, host)


@routers.breaks("resolver-invalid")
class InvalidFails(RightRouter):
    async def resolve(self, ctx: Context, address: str) -> str:
        if self.own_options.resolver is not None and self.own_options.host_mapper is None:
            await self.own_options.resolver.resolve(ctx, "ip", split(address)[0])
        return await super().resolve(ctx, address)


@routers.breaks("resolver-failure", history="x resolver plugin: an error means no such name")
class IgnoringFailures(RightRouter):
    async def resolve(self, ctx: Context, address: str) -> str:
        try:
            return await super().resolve(ctx, address)
        except ConnectionResetError:
            return address


@routers.breaks("name-stays", history="8fd5200 0522ae8 #877 names are resolved too early")
class ResolvingEarly(RightRouter):
    async def resolve(self, ctx: Context, address: str) -> str:
        resolved = await super().resolve(ctx, address)
        return resolved.replace("localhost", "127.0.0.1")


@routers.breaks("no-port", history="core@801f835 an address without a port is rejected")
class NeedingAPortToDial(RightRouter):
    async def resolve(self, ctx: Context, address: str) -> str:
        if address:
            split(address)
        return await super().resolve(ctx, address)


@routers.breaks("udp-packets")
class PlainUdp(RightRouter):
    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        conn = await super().dial_once(ctx, network, address, *opts)
        return conn.inner if isinstance(conn, PacketsToOne) else conn


@routers.breaks("udp-direct")
class NeedingAnAddress(RightRouter):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if self.own_options.chain is None and not address:
            raise ValueError("there is no address")
        return await super().dial(ctx, network, address, *opts)


@routers.breaks("recorded", history="x router: only the first recorder of a point is used")
class FirstRecorderOnly(RightRouter):
    async def record(self, ctx: Context, point: str, address: str) -> None:
        own = self.own_options
        first = [one for one in own.recorders if one.record == point][:1]
        self.own_options = replace(own, recorders=first)
        await super().record(ctx, point, address)
        self.own_options = own


@routers.breaks("recorded-failure")
class RecordingNoFailure(RightRouter):
    async def record(self, ctx: Context, point: str, address: str) -> None:
        if point != RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR:
            await super().record(ctx, point, address)


@routers.breaks("recorder-failure")
class FailingWithItsRecorder(RightRouter):
    async def record(self, ctx: Context, point: str, address: str) -> None:
        for one in self.own_options.recorders:
            if one.record == point:
                await one.recorder.record(ctx, address.rpartition(":")[0].encode())


@routers.breaks("context-handed-on")
class RoutingWithoutContext(RightRouter):
    async def dial_once(
        self, ctx: Context, network: str, address: str, /, *opts: DialOption
    ) -> Conn:
        return await super().dial_once(Context(), network, address, *opts)


@routers.breaks("chain-stays-open", history="x router: close() closes a chain that others use")
class ClosingItsChain(RightRouter, Closer):
    async def close(self) -> None:
        if isinstance(self.own_options.chain, Closer):
            await self.own_options.chain.close()


# ---- ProbeResultReader


async def probe(node: Node, success: bool) -> None:
    """Probe a node once, as a hop does."""
    began = time.time()
    await asyncio.sleep(0)
    ended = time.time()
    error = "" if success else "the node does not answer"
    node.set_probe_result(
        ProbeResult(success=success, latency=ended - began, error=error, timestamp=ended)
    )
    if success:
        node.marker().reset()
    else:
        node.marker().mark()


class Probed:
    """How something is made and probed."""

    def make(self) -> Node:
        return Node("node", "192.0.2.1:1080")

    async def probe(self, node: Node, success: bool) -> None:
        await probe(node, success)


def run_reader(make: Callable[[], Probed]) -> Coroutine[object, object, Report]:
    probed = make()
    return ProbeResultReaderContract(probed.make, probe=probed.probe, time_limit=TIME_LIMIT).run()


readers = Trial[Callable[[], Probed]](ProbeResultReaderContract, run_reader, Probed)


@readers.breaks("shape")
class ResultIsAField(Probed):
    def make(self) -> Node:
        class Field:
            probe_result = None

        return Field()  # type: ignore  # the fault


@readers.breaks("none-at-first")
class ZeroAtFirst(Probed):
    def make(self) -> Node:
        node = super().make()
        node.set_probe_result(ProbeResult())
        return node


class Editing(Probed):
    """Changes the result of a probe."""

    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return result

    async def probe(self, node: Node, success: bool) -> None:
        before = node.probe_result()
        await super().probe(node, success)
        result = node.probe_result()
        assert result is not None
        node.set_probe_result(self.edit(result) or before)


@readers.breaks("success-stored")
class StoringFailuresOnly(Editing):
    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return None if result.success else result


@readers.breaks("failure-stored")
class NotSayingWhy(Editing):
    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return replace(result, error="")


@readers.breaks("latest")
class KeepingTheFirst(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        first = node.probe_result()
        await super().probe(node, success)
        if first is not None:
            node.set_probe_result(first)


@readers.breaks("timed")
class Untimed(Editing):
    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return replace(result, timestamp=0.0)


@readers.breaks("failure-marks")
class NeverMarking(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        await super().probe(node, success)
        node.marker().reset()


@readers.breaks("success-resets", history="72db96d whose marks a probe resets")
class NeverResettingTheMarker(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        count = node.marker().count()
        await super().probe(node, success)
        while node.marker().count() < count:
            node.marker().mark()


trials = (transporters, routes, chainers, routers, readers)
