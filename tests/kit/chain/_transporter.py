"""Trials of the contract of transporters."""

import asyncio
import copy
from collections.abc import Callable
from typing import ClassVar
from weakref import WeakKeyDictionary, ref

from typing_extensions import Buffer

from gost_core import connector, dialer, keys
from gost_core.chain import (
    Route,
    Transporter,
    TransportOptions,
)
from gost_core.common import net
from gost_core.common.net import Addr, Conn, Listener, PacketConn
from gost_core.context import Context
from gost_core.testing import Contract
from gost_core.testing._stage.memory import ForwardingConn, connected_pair
from gost_core.testing.chain import TransporterContract
from tests.kit._backend import remembering, remembering_each
from tests.kit._stuck import (
    Drowsy,
    EndedByBreaks,
    Forgetful,
    Hurried,
    OneBuffer,
    ReadingOnBeneath,
    close_behind,
    ending_at_the_limit,
    ending_with_the_task,
    few_places,
    giving,
    keeping_the_context,
    losing_places,
    stuck,
    timing_out,
)
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


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
        except BaseException as error:
            if first is not conn:
                await self.undo(first, error)
            raise

    async def undo(self, first: Conn, error: BaseException) -> None:
        """Close what the first handshake made, since the second one ended with ``error``."""
        await first.close()

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


def run(make: MakeTransporter) -> Contract:
    return TransporterContract(make, time_limit=TIME_LIMIT)


trial = Trial[MakeTransporter](TransporterContract, run, RightTransporter)


@trial.breaks("shape")
class AsyncMultiplex(RightTransporter):
    async def multiplex(self) -> bool:  # type: ignore  # the fault
        return super().multiplex()


@trial.breaks("dial", history="core TransportOptions: Addr called the address to dial")
class DialingTheConfiguredAddress(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        return await super().dial(ctx, self.own_options.addr or addr)


@trial.breaks("dial-host")
class HostAsResolved(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        host = dialer.host_dial_option(addr)
        net_dialer = dialer.net_dialer_dial_option(self.net_dialer())
        return await self.dialer.dial(ctx, addr, host, net_dialer)


@trial.breaks("handshake-order")
class ConnectorFirst(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        first = conn
        if isinstance(self.connector, connector.Handshaker):
            first = await self.connector.handshake(ctx, conn)
        if not isinstance(self.dialer, dialer.Handshaker):
            return first
        addr = dialer.addr_handshake_option(self.own_options.addr)
        return await self.dialer.handshake(ctx, first, addr)


@trial.breaks("handshake-optional")
class NeedingTheDialersHandshake(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        if not isinstance(self.dialer, dialer.Handshaker) and isinstance(
            self.connector, connector.Handshaker
        ):
            return conn
        return await super().handshake(ctx, conn)


@trial.breaks("handshake-address")
class HandshakeWithoutAddress(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        configured, self.own_options.addr = self.own_options.addr, ""
        try:
            return await super().handshake(ctx, conn)
        finally:
            self.own_options.addr = configured


@trial.breaks("handshake-failure-closes", history="569572d failed handshake leaks")
class LeakingHandshake(RightTransporter):
    async def undo(self, first: Conn, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            await first.close()


@trial.breaks("handshake-cancel-closes")
class LeakingCancelledHandshake(RightTransporter):
    async def undo(self, first: Conn, error: BaseException) -> None:
        if isinstance(error, Exception):
            await first.close()


@trial.breaks("connect")
class ConnectingToItsPort(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        return await super().connect(
            ctx, conn, network, address.replace("target.example:80", "a:1")
        )


@trial.breaks("connect")
class LosingTheBrackets(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        host, colon, port = address.rpartition(":")
        return await super().connect(ctx, conn, network, host.strip("[]") + colon + port)


@trial.breaks("connect-past-the-chain")
class ConnectingByTheRoute(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        option = connector.dialer_connect_option(self.net_dialer())
        return await self.connector.connect(ctx, conn, network, address, option)


@trial.breaks("bind")
class BindingWithoutOptions(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        return await super().bind(ctx, conn, network, address)


@trial.breaks("bind-unsupported", history="#170 an unsupported bind looks like a failed one")
class BindFailing(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        try:
            return await super().bind(ctx, conn, network, address, *opts)
        except connector.BindUnsupportedError as error:
            raise OSError(str(error)) from error


@trial.breaks("errors-pass")
class WrappingErrors(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        try:
            return await super().connect(ctx, conn, network, address)
        except OSError as error:
            raise OSError(f"cannot connect: {error}") from error


@trial.breaks("failures-raised")
class GoingOnWithoutTheNode(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        try:
            return await super().connect(ctx, conn, network, address)
        except TimeoutError:
            return conn


@trial.breaks("cancel-passes", history="b92c1b1 a step does not hear of the cancellation")
class Shielding(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        step = asyncio.ensure_future(super().connect(ctx, conn, network, address))
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            return await step


@trial.breaks("outlives", history="221144f the connection dies with the dial")
class DyingWithTheTask(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        conn = await super().dial(ctx, addr)
        die_with_the_task(conn)
        return conn


def die_with_the_task(conn: Conn) -> None:
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: asyncio.ensure_future(conn.close()))


@trial.breaks("calls-apart")
class KeepingTheConnection(RightTransporter):
    kept: tuple[Conn, ...] = ()

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        self.kept = (conn,)
        await asyncio.sleep(0)
        kept, self.kept = self.kept or (conn,), ()
        return await super().handshake(ctx, *kept)


@trial.breaks("calls-apart")
class KeepingTheContext(RightTransporter):
    ctx: ref[Context] | None = None

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        self.ctx = ref(ctx)
        return await super().dial(ctx, addr)

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        kept = self.ctx() if self.ctx else None
        return await super().connect(kept or ctx, conn, network, address)


@trial.breaks("concurrent")
class Locking(RightTransporter):
    def __init__(self, node_dialer: dialer.Dialer, node_connector: connector.Connector) -> None:
        super().__init__(node_dialer, node_connector)
        self.lock = asyncio.Lock()

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        async with self.lock:
            return await super().handshake(ctx, conn)


@trial.breaks("udp-packets")
class StreamsForAll(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        conn = await super().connect(ctx, conn, network, address)
        return ForwardingConn(conn) if network.startswith("udp") else conn


@trial.breaks("context-handed-on")
class BindingWithoutContext(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        return await super().bind(Context(), conn, network, address, *opts)


@trial.breaks("bind")
class BindingAsBefore(RightTransporter):
    kept: tuple[connector.BindOption, ...] = ()

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        self.kept += opts
        return await super().bind(ctx, conn, network, address, *self.kept)


@trial.breaks("context-handed-on")
class HandshakeWithoutContext(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        has_session = ctx.value(keys.SESSION_ID) is not None
        return await super().handshake(ctx if has_session else Context(), conn)


@trial.breaks("context-handed-on", history="221144f dialing with a background context")
class EmptyContext(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        has_session = ctx.value(keys.SESSION_ID) is not None
        return await super().dial(ctx if has_session else Context(), addr)


@trial.breaks("context-handed-on")
class BindingForTheOneBefore(RightTransporter):
    before: Context | None = None

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        before, self.before = self.before or ctx, ctx
        return await super().bind(before, conn, network, address, *opts)


@trial.breaks("multiplex")
class MultiplexingByClass(RightTransporter):
    def multiplex(self) -> bool:
        return isinstance(self.dialer, dialer.Multiplexer)


@trial.breaks("options-live", history="x parallel: options() is a throw-away object")
class OptionsCopied(RightTransporter):
    def options(self) -> TransportOptions:
        return copy.copy(self.own_options)


@trial.breaks("copy-distinct", history="569572d copy returns the original")
class CopyingItself(RightTransporter):
    def copy(self) -> Transporter:
        return self


@trial.breaks("copy-values")
class CopyingNoValues(RightTransporter):
    def copy(self) -> Transporter:
        return type(self)(self.dialer, self.connector)


@trial.breaks("copy-shares-sessions")
class CopyingTheDialer(RightTransporter):
    def copy(self) -> Transporter:
        return copy.deepcopy(self)


@trial.breaks("route-used")
class IgnoringTheRoute(RightTransporter):
    def net_dialer(self) -> net.Dialer | None:
        return None


@trial.breaks("failures-raised")
class DirectInPlaceOfTheRoute(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, addr)
        except OSError:
            if self.net_dialer() is None:
                raise
        return await self.dialer.dial(ctx, addr, dialer.host_dial_option(self.own_options.addr))


@trial.breaks("route-dialer-limits")
class DialingForTheFirst(RightTransporter):
    """Has what the dialer keeps dial with the context of the call that made it."""

    class First(RouteDialer):
        ctx: Context | None = None

        async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
            self.ctx = self.ctx or ctx
            return await self.route.dial(self.ctx, network, addr)

    def net_dialer(self) -> net.Dialer | None:
        by_route = super().net_dialer()
        return self.First(by_route.route) if isinstance(by_route, RouteDialer) else None


@trial.breaks("handshake-order")
class SkippingAHandshakeOnTheWay(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        if self.net_dialer() is None or not isinstance(self.connector, connector.Handshaker):
            return await super().handshake(ctx, conn)
        return await self.connector.handshake(ctx, conn)


@trial.breaks("dial-host")
class NamelessByRoute(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        if (by_route := self.net_dialer()) is None:
            return await super().dial(ctx, addr)
        return await self.dialer.dial(ctx, addr, dialer.net_dialer_dial_option(by_route))


@trial.breaks("route-used")
class DialingTheConfiguredByRoute(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        by_route = self.net_dialer() is not None
        return await super().dial(ctx, self.own_options.addr or addr if by_route else addr)


@trial.breaks("calls-apart")
class RoutesOfTheLast(RightTransporter):
    """Keeps the way with the dialer, which its copies share."""

    ways: ClassVar[WeakKeyDictionary[dialer.Dialer, net.Dialer | None]] = WeakKeyDictionary()

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        self.ways[self.dialer] = super().net_dialer()
        await asyncio.sleep(0)
        return await super().dial(ctx, addr)

    def net_dialer(self) -> net.Dialer | None:
        return self.ways[self.dialer]


@trial.breaks("route-dialer-kept")
class DialerOfTheCall(RightTransporter):
    class Ending(RouteDialer):
        over = False

        async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
            if self.over:
                raise OSError("the call is over")
            return await super().dial(ctx, network, addr)

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        if (route := self.own_options.route) is None:
            return await super().dial(ctx, addr)
        host, way = dialer.host_dial_option(self.own_options.addr), self.Ending(route)
        try:
            return await self.dialer.dial(ctx, addr, host, dialer.net_dialer_dial_option(way))
        finally:
            way.over = True


trial.breaks("failure-over")(stuck(RightTransporter, "handshake"))
trial.breaks("cancelled-at-limit")(timing_out(RightTransporter, "connect"))


@trial.breaks("close-closes-all")
class ClosingOnce(RightTransporter):
    class Once(ForwardingConn):
        closing = False

        async def close(self) -> None:
            if self.closing:
                raise ConnectionResetError("it is closed")
            self.closing = True
            await super().close()

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        made = await super().connect(ctx, conn, network, address)
        return made if network.startswith("udp") else self.Once(made)


@trial.breaks("dial-host")
class FillingInTheAddress(RightTransporter):
    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        self.own_options.addr = self.own_options.addr or addr
        return await super().dial(ctx, addr)


@trial.breaks("handshake-address")
class ShakingHandsAsDialed(RightTransporter):
    dialed = ""

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        conn = await super().dial(ctx, addr)
        self.dialed = self.own_options.addr
        return conn

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        if isinstance(self.connector, connector.Handshaker) or not isinstance(
            self.dialer, dialer.Handshaker
        ):
            return await super().handshake(ctx, conn)
        return await self.dialer.handshake(ctx, conn, dialer.addr_handshake_option(self.dialed))


@trial.breaks("handshake-failure-closes")
class ClosingAfterOSErrors(RightTransporter):
    async def undo(self, first: Conn, error: BaseException) -> None:
        if isinstance(error, (OSError, asyncio.CancelledError)):
            await first.close()


@trial.breaks("bind")
class PassingOneBindOption(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        return await super().bind(ctx, conn, network, address, *opts[-1:])


@trial.breaks("copy-distinct")
class CopyingOnce(RightTransporter):
    is_copy = False

    def copy(self) -> Transporter:
        if self.is_copy:
            return self
        twin = super().copy()
        assert isinstance(twin, CopyingOnce)
        twin.is_copy = True
        return twin


@trial.breaks("copy-values")
class CopyingTheAddressOnly(RightTransporter):
    def copy(self) -> Transporter:
        twin = super().copy()
        twin.options().netns = ""
        twin.options().sock_opts = None
        return twin


@trial.breaks("copy-shares-sessions")
class CopiesThatCannotBind(RightTransporter):
    is_copy = False

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        if self.is_copy:
            raise connector.BindUnsupportedError("a copy cannot bind")
        return await super().bind(ctx, conn, network, address, *opts)

    def copy(self) -> Transporter:
        twin = super().copy()
        assert isinstance(twin, CopiesThatCannotBind)
        twin.is_copy = True
        return twin


@trial.breaks("route-used")
class KeepingTheFirstWay(RightTransporter):
    way: tuple[net.Dialer | None] | None = None

    def net_dialer(self) -> net.Dialer | None:
        if self.way is None:
            self.way = (super().net_dialer(),)
        return self.way[0]


trial.breaks("many-cancelled")(losing_places(RightTransporter, "connect", asyncio.CancelledError))
trial.breaks("many-failed")(losing_places(RightTransporter, "connect", Exception))
trial.breaks("many-waiting")(few_places(RightTransporter, "connect"))
trial.breaks("listener-outlives")(ending_with_the_task(RightTransporter, "bind"))
trial.breaks("outlives-limit")(ending_at_the_limit(RightTransporter, "connect"))
trial.breaks("break-shown")(giving(RightTransporter, "connect", EndedByBreaks))


class SplitPackets(ForwardingConn, PacketConn):
    """Datagrams that are sent in pieces of 1400 bytes."""

    async def write(self, data: Buffer, /) -> None:
        rest = memoryview(data)
        while rest:
            await super().write(rest[:1400])
            rest = rest[1400:]

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        assert isinstance(self.inner, PacketConn)
        return await self.inner.read_from(n)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        assert isinstance(self.inner, PacketConn)
        await self.inner.write_to(data, addr)


@trial.breaks("datagrams-whole")
class SplittingDatagrams(RightTransporter):
    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        made = await super().connect(ctx, conn, network, address)
        return SplitPackets(made) if isinstance(made, PacketConn) else made


@trial.breaks("handshake-failure-closes")
class ClosingBehind(RightTransporter):
    """Has a task close what the first handshake made, and does not wait for it."""

    async def undo(self, first: Conn, error: BaseException) -> None:
        closing = close_behind(first)
        if not isinstance(error, Exception):
            await closing


trial.breaks("ends-whole")(giving(RightTransporter, "connect", Hurried))
trial.breaks("ends-whole")(giving(RightTransporter, "connect", OneBuffer))
trial.breaks("ends-whole")(giving(RightTransporter, "connect", Forgetful))
trial.breaks("reads-whole")(giving(RightTransporter, "connect", ReadingOnBeneath))
trial.breaks("nothing-kept")(remembering(RightTransporter, "dial"))
trial.breaks("nothing-kept")(keeping_the_context(RightTransporter, "dial"))
trial.breaks("nothing-kept")(remembering_each(RightTransporter, "connect"))


@trial.breaks("connections-dropped")
class RememberingConnections(RightTransporter):
    """Keeps the connections that it has shaken hands on, to close them one day."""

    def __init__(self, node_dialer: dialer.Dialer, node_connector: connector.Connector) -> None:
        super().__init__(node_dialer, node_connector)
        self.conns: list[Conn] = []

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        self.conns.append(conn)
        return await super().handshake(ctx, conn)


@trial.breaks("route-used")
class DatagramsPastTheRoute(RightTransporter):
    """Lets a dialer over datagrams, such as one of QUIC, leave from this host."""

    class StreamsByRoute(RouteDialer):
        async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
            if network.startswith("udp"):
                return connected_pair(network)[0]
            return await super().dial(ctx, network, addr)

    def net_dialer(self) -> net.Dialer | None:
        by_route = super().net_dialer()
        return self.StreamsByRoute(by_route.route) if isinstance(by_route, RouteDialer) else None


@trial.breaks("bind")
class BindingOverTheLastConnection(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        self.conn = conn
        await asyncio.sleep(0)
        return await super().bind(ctx, self.conn, network, address, *opts)


@trial.breaks("multiplex")
class MultiplexingAtFirst(RightTransporter):
    """Says that routes are cut only until there is a session."""

    has_session = False

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        self.has_session = True
        return await super().dial(ctx, addr)

    def multiplex(self) -> bool:
        return super().multiplex() and not self.has_session


@trial.breaks("close-closes-all")
class ClosingAfterTheWriter(RightTransporter):
    class Locked(ForwardingConn):
        def __init__(self, inner: Conn) -> None:
            super().__init__(inner)
            self.lock = asyncio.Lock()

        async def write(self, data: Buffer, /) -> None:
            async with self.lock:
                await super().write(data)

        async def close(self) -> None:
            async with self.lock:
                await super().close()

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        made = await super().connect(ctx, conn, network, address)
        return made if isinstance(made, PacketConn) else self.Locked(made)


@trial.breaks("accepted-survive")
class BoundAsleep(RightTransporter):
    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        return Drowsy(await super().bind(ctx, conn, network, address, *opts))


class ClosingBeneath(Drowsy):
    beneath: Conn

    async def close(self) -> None:
        await super().close()
        await self.beneath.close()


@trial.breaks("accepted-survive")
class ClosingTheTunnel(RightTransporter):
    """Closes, with the listener, the connection over which those go that it has accepted."""

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        listener = ClosingBeneath(await super().bind(ctx, conn, network, address, *opts))
        listener.beneath = conn
        return listener


@trial.breaks("errors-pass")
class MalformedAsBroken(RightTransporter):
    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        try:
            return await super().handshake(ctx, conn)
        except ValueError as error:
            raise net.ProtocolError("the node does not follow its protocol") from error
