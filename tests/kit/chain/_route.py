"""Trials of the contract of routes."""

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from typing_extensions import Buffer

from gost_core import connector, keys
from gost_core.chain import (
    BindOption,
    BindOptions,
    DialOption,
    EmptyRouteError,
    Node,
    Route,
    Transporter,
)
from gost_core.common.net import (
    Addr,
    ClosedError,
    Conn,
    ConnUnwrapper,
    Listener,
    PacketConn,
    ProtocolError,
)
from gost_core.context import Context
from gost_core.hosts import HostMapper, Option
from gost_core.options import apply
from gost_core.selector import Marker
from gost_core.testing import Contract
from gost_core.testing._stage.fakes.connections import LayeredConn
from gost_core.testing._stage.memory import ForwardingConn
from gost_core.testing.chain import RouteContract
from tests.kit._backend import remembering, remembering_each
from tests.kit._stuck import (
    Cutting,
    Drowsy,
    EndedByBreaks,
    Forgetful,
    Hurried,
    OneBuffer,
    ReadingOnBeneath,
    closing_undisturbed,
    ending_at_the_limit,
    ending_with_the_task,
    few_places,
    giving,
    keeping_the_context,
    losing_places,
    stuck,
    timing_out,
)
from tests.kit.chain._direct import (
    LocalListener,
    PlainConn,
    PlainListener,
    bind_here,
    dial_here,
    lookup,
)
from tests.kit.chain._transporter import die_with_the_task
from tests.kit.common.net._sockets import DatagramConn, SocketConn, split
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


class RightRoute(Route):
    failures: type[BaseException] = BaseException

    def __init__(self, nodes: Sequence[Node], chain: Marker | None = None) -> None:
        self.own_nodes = tuple(nodes)
        self.chain = chain

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes:
            self.check_limit(ctx)
            return await dial_here(network, address)
        last, conn = await self.reach(ctx, network)
        try:
            self.check_limit(ctx)
            return await last.connect(ctx, conn, network, address)
        except self.failures:
            await self.release(conn, "target")
            raise

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if not self.own_nodes:
            self.check_limit(ctx)
            return await bind_here(address)
        last, conn = await self.reach(ctx, network)
        try:
            self.check_limit(ctx)
            return await last.bind(ctx, conn, network, address, *self.bind_options(*opts))
        except self.failures:
            await self.release(conn, "bind")
            raise

    def bind_options(self, *opts: BindOption) -> Sequence[connector.BindOption]:
        options = apply(BindOptions(), *opts)
        return (
            connector.mux_bind_option(options.mux),
            connector.backlog_bind_option(options.backlog),
            connector.udp_data_queue_size_bind_option(options.udp_data_queue_size),
            connector.udp_data_buffer_size_bind_option(options.udp_data_buffer_size),
            connector.udp_conn_ttl_bind_option(options.udp_conn_ttl),
        )

    def nodes(self) -> Sequence[Node]:
        return self.own_nodes

    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        """Go as far as the last node."""
        last: tuple[Transporter, Conn] | None = None
        for node in self.own_nodes:
            try:
                last = await self.step(ctx, last, node, network)
            except PassedError:
                raise
            except BaseException as error:
                self.note(error, node)
                if isinstance(error, Exception) or self.has_failed_by_time(ctx):
                    self.mark(node)
                    self.mark_chain()
                raise
            self.reset(node)
        if self.chain is not None:
            self.chain.reset()
        assert last is not None
        return last

    def is_over(self, ctx: Context) -> bool:
        """Tell whether the time limit has passed."""
        limit = ctx.value(keys.TIME_LIMIT)
        return limit is not None and asyncio.get_running_loop().time() >= limit

    def has_failed_by_time(self, ctx: Context) -> bool:
        """Tell whether a call that was cancelled has failed."""
        return self.is_over(ctx)

    def check_limit(self, ctx: Context) -> None:
        """Begin a step, if it is not too late."""
        if self.is_over(ctx):
            raise PassedError("the time limit has passed")

    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        transport = node.options().transport
        assert transport is not None
        conn = None if last is None else last[1]
        stage = "resolve"
        try:
            self.check_limit(ctx)
            addr = await self.resolve(ctx, node)
            stage = "hop"
            self.check_limit(ctx)
            if last is None:
                conn = await self.first(ctx, transport, addr)
                stage = "first handshake"
            else:
                conn = await last[0].connect(ctx, last[1], "tcp", addr)
                stage = "later handshake"
            self.check_limit(ctx)
            return transport, await transport.handshake(ctx, conn)
        except self.failures:
            if conn is not None:
                await self.release(conn, stage)
            raise

    async def first(self, ctx: Context, transport: Transporter, addr: str) -> Conn:
        return await transport.dial(ctx, addr)

    async def resolve(self, ctx: Context, node: Node) -> str:
        return await lookup(ctx, node.addr, node.options().host_mapper, node.options().resolver)

    async def release(self, conn: Conn, stage: str) -> None:
        await conn.close()

    def mark(self, node: Node) -> None:
        node.marker().mark()

    def mark_chain(self) -> None:
        if self.chain is not None:
            self.chain.mark()

    def note(self, error: BaseException, node: Node) -> None:
        error.add_note(f"at node {node.name}")

    def reset(self, node: Node) -> None:
        node.marker().reset()


class PassedError(TimeoutError):
    """A step was not begun."""


MakeRoute = Callable[[Sequence[Node]], Route]


def run(make: MakeRoute) -> Contract:
    return RouteContract(make, time_limit=TIME_LIMIT)


trial = Trial[MakeRoute](RouteContract, run, RightRoute)


@trial.breaks("shape")
class NodesAsProperty(RightRoute):
    @property
    def nodes(self) -> Sequence[Node]:  # type: ignore  # the fault
        return self.own_nodes


@trial.breaks("nodes")
class NodesOfTheRest(RightRoute):
    def nodes(self) -> Sequence[Node]:
        return self.own_nodes[1:]


@trial.breaks("outlives", history="404aaae #117 the connection dies with the dial")
class DyingRoute(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        if self.own_nodes:
            die_with_the_task(conn)
        return conn


@trial.breaks("dial-order")
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

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await RightRoute(self.own_nodes, self.chain).bind(ctx, network, address, *opts)


@trial.breaks("udp-packets")
class StreamsForAll(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        return ForwardingConn(conn) if self.own_nodes else conn


@trial.breaks("bind-order", history="b8d9c79 the address to bind is changed on its way")
class FillingInTheHost(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if address.startswith(":"):
            address = f"0.0.0.0{address}"
        return await super().bind(ctx, network, address, *opts)


@trial.breaks("bind-options")
class BindingByDefaults(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return await super().bind(ctx, network, address)


@trial.breaks("bind-options")
class BindingAsBefore(RightRoute):
    kept: tuple[BindOption, ...] = ()

    def bind_options(self, *opts: BindOption) -> Sequence[connector.BindOption]:
        self.kept += opts
        return super().bind_options(*self.kept)


@trial.breaks("nodes-resolved")
class ByTheFirstNodesLookups(RightRoute):
    async def resolve(self, ctx: Context, node: Node) -> str:
        first, own = self.own_nodes[0].options(), node.options()
        mapper, resolver = own.host_mapper or first.host_mapper, own.resolver or first.resolver
        return await lookup(ctx, node.addr, mapper, resolver)


@trial.breaks("nodes-unresolved")
class UnresolvedAsItIs(RightRoute):
    async def resolve(self, ctx: Context, node: Node) -> str:
        try:
            return await super().resolve(ctx, node)
        except socket.gaierror:
            return node.addr


@trial.breaks("failures-raised")
class AsItIsAfterASilentResolver(RightRoute):
    async def resolve(self, ctx: Context, node: Node) -> str:
        try:
            return await super().resolve(ctx, node)
        except TimeoutError:
            return node.addr


@trial.breaks("failures-raised")
class AsItIsWithoutItsMapper(RightRoute):
    """Maps nothing while the mapper is out of reach."""

    async def resolve(self, ctx: Context, node: Node) -> str:
        try:
            return await super().resolve(ctx, node)
        except ConnectionError:
            if (resolver := node.options().resolver) is not None:
                return await lookup(ctx, node.addr, None, resolver)
            return node.addr


class InBrackets(HostMapper):
    def __init__(self, mapper: HostMapper) -> None:
        self.mapper = mapper

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IPv4Address | IPv6Address] | None:
        return await self.mapper.lookup(ctx, network, f"[{host}]" if ":" in host else host, *opts)


@trial.breaks("nodes-question")
class AskingInBrackets(RightRoute):
    async def resolve(self, ctx: Context, node: Node) -> str:
        options = node.options()
        mapper = None if options.host_mapper is None else InBrackets(options.host_mapper)
        return await lookup(ctx, node.addr, mapper, options.resolver)


@trial.breaks("nodes-resolved")
class ResolvingOnce(RightRoute):
    def __init__(self, nodes: Sequence[Node], chain: Marker | None = None) -> None:
        super().__init__(nodes, chain)
        self.addresses = dict[str, str]()

    async def resolve(self, ctx: Context, node: Node) -> str:
        if node.name not in self.addresses:
            self.addresses[node.name] = await super().resolve(ctx, node)
        return self.addresses[node.name]


@trial.breaks("nodes-resolved")
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


trial.breaks("first-handshake-failure-closes", history="569572d leak after a failed handshake")(
    leaking("first handshake")
)
trial.breaks("hop-failure-closes", history="569572d leak after a failed connect")(leaking("hop"))
trial.breaks("later-handshake-failure-closes", history="569572d leak after a failed handshake")(
    leaking("later handshake")
)
trial.breaks("target-failure-closes", history="569572d leak after a failed connect")(
    leaking("target")
)
trial.breaks("bind-failure-closes")(leaking("bind"))
trial.breaks("resolve-failure-closes")(leaking("resolve"))


@trial.breaks("cancel-closes")
class LeakingWhenCancelled(RightRoute):
    failures = Exception


@trial.breaks("errors-pass")
class OneErrorForAll(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        try:
            return await super().dial(ctx, network, address, *opts)
        except ConnectionResetError as error:
            broken = OSError(f"the route is broken: {error}")
            broken.add_note("at nodes one, two")
            raise broken from error


@trial.breaks("bind-unsupported", history="#170 an unsupported bind looks like a failed one")
class BindBroken(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        try:
            return await super().bind(ctx, network, address, *opts)
        except connector.BindUnsupportedError as error:
            raise OSError(str(error)) from error


@trial.breaks("failure-marks")
class MarkingTheFirst(RightRoute):
    def mark(self, node: Node) -> None:
        self.own_nodes[0].marker().mark()


@trial.breaks("failure-marks")
class ForgivingRefusals(RightRoute):
    """Marks no node that refuses the credentials: it has answered, after all."""

    def mark(self, node: Node) -> None:
        if not isinstance(sys.exception(), PermissionError):
            super().mark(node)


@trial.breaks("success-resets")
class NeverResetting(RightRoute):
    def reset(self, node: Node) -> None:
        pass


@trial.breaks("success-resets")
class ResettingTheLast(RightRoute):
    def reset(self, node: Node) -> None:
        if node is self.own_nodes[-1]:
            super().reset(node)


@trial.breaks("failure-marks")
class BindingWithoutMarks(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        counts = [node.marker().count() for node in self.own_nodes]
        try:
            return await super().bind(ctx, network, address, *opts)
        except OSError:
            for node, count in zip(self.own_nodes, counts, strict=True):
                if node.marker().count() > count:
                    node.marker().reset()
            raise


@trial.breaks("failure-marks")
class ResettingAtFirst(RightRoute):
    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        for node in self.own_nodes:
            node.marker().reset()
        return await super().reach(ctx, network)


@trial.breaks("failure-notes")
class WithoutNotes(RightRoute):
    def note(self, error: BaseException, node: Node) -> None:
        pass


@trial.breaks("limit-marks")
class MarkingErrorsOnly(RightRoute):
    def has_failed_by_time(self, ctx: Context) -> bool:
        return False


@trial.breaks("limit-marks")
class MarkingTheSilentTarget(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        task = asyncio.current_task()
        await super().release(conn, stage)
        if stage == "target" and task is not None and task.cancelling():
            self.own_nodes[-1].marker().mark()


@trial.breaks("cancel-marks-nobody")
class MarkingWhateverEnds(RightRoute):
    def has_failed_by_time(self, ctx: Context) -> bool:
        return True


@trial.breaks("cancel-marks-nobody")
class NoLimitIsOver(RightRoute):
    def has_failed_by_time(self, ctx: Context) -> bool:
        return self.is_over(ctx) or ctx.value(keys.TIME_LIMIT) is None


@trial.breaks("limit-passed")
class AskingTheClockLater(RightRoute):
    def check_limit(self, ctx: Context) -> None:
        is_late = self.own_nodes and self.is_long_over(ctx)
        super().check_limit(ctx.without(keys.TIME_LIMIT) if is_late else ctx)

    def is_long_over(self, ctx: Context) -> bool:
        limit = ctx.value(keys.TIME_LIMIT)
        return limit is not None and asyncio.get_running_loop().time() > limit + 0.9


@trial.breaks("limit-passes")
class AskingTheClockOnce(RightRoute):
    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        super().check_limit(ctx)
        return await super().reach(ctx, network)

    def check_limit(self, ctx: Context) -> None:
        if not self.own_nodes:
            super().check_limit(ctx)


@trial.breaks("limit-passes")
class MarkingWhatWasNotBegun(RightRoute):
    def check_limit(self, ctx: Context) -> None:
        if not self.is_over(ctx):
            return
        limit = ctx.value(keys.TIME_LIMIT)
        assert limit is not None
        if asyncio.get_running_loop().time() < limit + 0.9:
            raise TimeoutError("the time limit is over")
        super().check_limit(ctx)


@trial.breaks("cancel-passes")
class Shielding(RightRoute):
    async def resolve(self, ctx: Context, node: Node) -> str:
        return await asyncio.shield(asyncio.ensure_future(super().resolve(ctx, node)))


@trial.breaks("concurrent")
class Locking(RightRoute):
    def __init__(self, nodes: Sequence[Node], chain: Marker | None = None) -> None:
        super().__init__(nodes, chain)
        self.lock = asyncio.Lock()

    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        async with self.lock:
            return await super().reach(ctx, network)


@trial.breaks("calls-apart")
class KeepingTheTarget(RightRoute):
    target: tuple[str, str] = ("", "")

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes:
            return await super().dial(ctx, network, address, *opts)
        self.target = (network, address)
        last, conn = await self.reach(ctx, network)
        try:
            self.check_limit(ctx)
            return await last.connect(ctx, conn, *self.target)
        except BaseException:
            await conn.close()
            raise


@trial.breaks("cancel-closes")
class LeakingOnceReached(RightRoute):
    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        reached = await super().reach(ctx, network)
        await asyncio.sleep(0)
        return reached


@trial.breaks("target-marks-nobody")
class MarkingTheLast(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        await super().release(conn, stage)
        if stage == "target":
            self.own_nodes[-1].marker().mark()


@trial.breaks("close-closes-all")
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
            while isinstance(innermost, ForgettingTheLayers.Top | LayeredConn):
                innermost = innermost.inner
            await innermost.close()

        def local_addr(self) -> Addr:
            return self.inner.local_addr()

        def remote_addr(self) -> Addr:
            return self.inner.remote_addr()

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        return conn if isinstance(conn, PacketConn) else self.Top(conn)


@trial.breaks("calls-apart")
class OneConnectionForEqualDials(RightRoute):
    def __init__(self, nodes: Sequence[Node], chain: Marker | None = None) -> None:
        super().__init__(nodes, chain)
        self.dialing: dict[tuple[str, str], asyncio.Future[Conn]] = {}

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if address != "0.example:80":
            return await super().dial(ctx, network, address, *opts)
        key = (network, address)
        if key not in self.dialing:
            dialing = super().dial(ctx, network, address, *opts)
            self.dialing[key] = asyncio.ensure_future(dialing)
        return await self.dialing[key]


@trial.breaks("context-handed-on")
class ForgettingTheContext(RightRoute):
    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        return await super().step(ctx if last is None else Context(), last, node, network)


@trial.breaks("context-handed-on")
class BindingForTheFirst(RightRoute):
    kept_context: Context | None = None

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.kept_context = self.kept_context or ctx
        return await super().bind(self.kept_context, network, address, *opts)


@trial.breaks("direct-dial")
class NeedingANode(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes and address.startswith("127."):
            raise EmptyRouteError("the route has no node")
        return await super().dial(ctx, network, address, *opts)


@trial.breaks("direct-last-words")
class ClosingPlainly(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        if self.own_nodes or network != "tcp":
            return conn
        assert isinstance(conn, SocketConn)
        return PlainConn(conn.sock)


@trial.breaks("direct-bind")
class ClosingTheAcceptedPlainly(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        bound = await super().bind(ctx, network, address, *opts)
        return PlainListener(bound.sock) if isinstance(bound, LocalListener) else bound


@trial.breaks("direct-bind")
class NeedingANodeToBind(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if not self.own_nodes:
            raise EmptyRouteError("the route has no node")
        return await super().bind(ctx, network, address, *opts)


@trial.breaks("direct-empty-host")
class EmptyHostIsLocal(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if address.startswith(":"):
            raise ConnectionRefusedError("nobody listens on 127.0.0.1")
        return await super().dial(ctx, network, address, *opts)


@trial.breaks("direct-unsupported")
class EverythingIsTcp(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes and not network.startswith("tcp"):
            raise ConnectionRefusedError(f"{address} refuses tcp")
        return await super().dial(ctx, network, address, *opts)


trial.breaks("failure-over")(stuck(RightRoute, "reach"))
trial.breaks("cancelled-at-limit")(timing_out(RightRoute, "reach"))


@trial.breaks("target-failure-closes")
class ClosingUndisturbedAfterAFailure(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        try:
            await super().release(conn, stage)
        except asyncio.CancelledError:
            if stage != "target":
                raise


@trial.breaks("cancel-closes")
class LeavingACancelledBind(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        if stage != "bind" or not isinstance(sys.exception(), asyncio.CancelledError):
            await super().release(conn, stage)


@trial.breaks("cancel-closes")
class LeavingACancelledLookup(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        if stage != "resolve" or not isinstance(sys.exception(), asyncio.CancelledError):
            await super().release(conn, stage)


@trial.breaks("cancel-marks-nobody")
class ResettingWhenCancelled(RightRoute):
    def has_failed_by_time(self, ctx: Context) -> bool:
        failed = super().has_failed_by_time(ctx)
        if not failed:
            for node in self.own_nodes:
                self.reset(node)
        return failed


@trial.breaks("limit-passes")
class BindingTooLate(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if not self.own_nodes:
            return await super().bind(ctx, network, address, *opts)
        last, conn = await self.reach(ctx, network)
        try:
            return await last.bind(ctx, conn, network, address, *self.bind_options(*opts))
        except BaseException:
            await self.release(conn, "bind")
            raise


@trial.breaks("direct-limit")
class GoingDirectTooLate(RightRoute):
    def check_limit(self, ctx: Context) -> None:
        if self.own_nodes:
            super().check_limit(ctx)


@trial.breaks("bind-options")
class MuxAndBacklogOnly(RightRoute):
    def bind_options(self, *opts: BindOption) -> Sequence[connector.BindOption]:
        return super().bind_options(*opts)[:2]


@trial.breaks("context-handed-on")
class TellingTheTargetNoLimit(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes:
            return await super().dial(ctx, network, address, *opts)
        last, conn = await self.reach(ctx, network)
        try:
            self.check_limit(ctx)
            return await last.connect(ctx.without(keys.TIME_LIMIT), conn, network, address)
        except BaseException:
            await self.release(conn, "target")
            raise


Undisturbed = closing_undisturbed(ForwardingConn)


@trial.breaks("close-closes-all")
class ClosingUndisturbed(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        return conn if isinstance(conn, PacketConn) else Undisturbed(conn)


class ClosingOnce(ForwardingConn):
    """Closes what is beneath it by the first call alone."""

    closing = False

    async def close(self) -> None:
        if not self.closing:
            self.closing = True
            await asyncio.sleep(0.05)
            await super().close()


@trial.breaks("close-closes-all")
class LeavingTheSecondCloseEarly(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        return conn if isinstance(conn, PacketConn) else ClosingOnce(conn)


class CutPackets(ForwardingConn, PacketConn):
    """Datagrams of which 8192 bytes are enough for anybody."""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        assert isinstance(self.inner, PacketConn)
        return await self.inner.read_from(n)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        assert isinstance(self.inner, PacketConn)
        await self.inner.write_to(memoryview(data)[:8192], addr)


@trial.breaks("datagrams-whole")
class CuttingDatagrams(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        return CutPackets(conn) if isinstance(conn, PacketConn) else conn


trial.breaks("many-cancelled")(losing_places(RightRoute, "reach", asyncio.CancelledError))
trial.breaks("many-failed")(losing_places(RightRoute, "reach", Exception))
trial.breaks("many-waiting")(few_places(RightRoute, "reach"))
trial.breaks("listener-outlives")(ending_with_the_task(RightRoute, "bind"))
trial.breaks("outlives-limit")(ending_at_the_limit(RightRoute, "dial"))
trial.breaks("break-shown")(giving(RightRoute, "dial", EndedByBreaks))


@trial.breaks("dial-order")
class DatagramsFromHere(RightRoute):
    """Opens a datagram socket that is not connected on this host, whatever the nodes are."""

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if network.startswith("udp") and not address:
            self.check_limit(ctx)
            return await dial_here(network, address)
        return await super().dial(ctx, network, address, *opts)


@trial.breaks("options-unchanged")
class FillingInTheAddress(RightRoute):
    async def first(self, ctx: Context, transport: Transporter, addr: str) -> Conn:
        transport.options().addr = transport.options().addr or addr
        return await super().first(ctx, transport, addr)


@trial.breaks("bind-options")
class KeepingBindOptions(RightRoute):
    options: Sequence[connector.BindOption] = ()

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.options = super().bind_options(*opts)
        return await super().bind(ctx, network, address, *opts)

    def bind_options(self, *opts: BindOption) -> Sequence[connector.BindOption]:
        return self.options


@trial.breaks("target-marks-nobody")
class MarkingAllButRefusals(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        await super().release(conn, stage)
        error = sys.exception()
        expected = (ConnectionRefusedError, TimeoutError)
        if stage == "target" and isinstance(error, OSError) and not isinstance(error, expected):
            self.own_nodes[-1].marker().mark()


@trial.breaks("target-failure-closes")
class ClosingWhatIsLowest(RightRoute):
    """Closes the socket, and not what handshakes have put around it."""

    async def release(self, conn: Conn, stage: str) -> None:
        task = asyncio.current_task()
        cancelled = task is not None and task.cancelling()
        while stage == "target" and not cancelled and isinstance(conn, ConnUnwrapper):
            conn = conn.unwrap_conn()
        await super().release(conn, stage)


trial.breaks("ends-whole")(giving(RightRoute, "dial", Hurried))
trial.breaks("ends-whole")(giving(RightRoute, "dial", OneBuffer))
trial.breaks("ends-whole")(giving(RightRoute, "dial", Forgetful))
trial.breaks("reads-whole")(giving(RightRoute, "dial", ReadingOnBeneath))
trial.breaks("nothing-kept")(remembering(RightRoute, "dial"))
trial.breaks("nothing-kept")(keeping_the_context(RightRoute, "dial"))
trial.breaks("nothing-kept")(remembering_each(RightRoute, "dial"))


class SleepingListener(LocalListener):
    """Its close() wakes nobody who waits in accept()."""

    async def close(self) -> None:
        self.waiter = None
        await super().close()


@trial.breaks("direct-bind")
class BindingAsleep(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        if self.own_nodes:
            return await super().bind(ctx, network, address, *opts)
        self.check_limit(ctx)
        return SleepingListener(socket.create_server(split(address)))


class SleepingConn(ForwardingConn):
    """Its close() wakes nobody who waits in read()."""

    async def read(self, n: int, /) -> bytes:
        with suppress(ClosedError):
            return await super().read(n)
        return await asyncio.Event().wait() and b""


@trial.breaks("direct-dial")
class DialingAsleep(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        conn = await super().dial(ctx, network, address, *opts)
        return conn if self.own_nodes else SleepingConn(conn)


@trial.breaks("marks-apart")
class MarkingWhereverItIs(RightRoute):
    """Keeps the node of the step, whichever call takes it."""

    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        self.reached = node
        return await super().step(ctx, last, node, network)

    def mark(self, node: Node) -> None:
        super().mark(self.reached)


@trial.breaks("bind-options")
class BindingWhereTheLastOneDoes(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.asked = network, address
        if self.own_nodes:
            await asyncio.sleep(0)
        return await super().bind(ctx, *self.asked, *opts)


@trial.breaks("direct-packets")
class AnsweringTheLastPeer(RightRoute):
    class Talking(DatagramConn):
        """Writes to whom it was told to write last."""

        peer: Addr | None = None

        async def write_to(self, data: Buffer, addr: Addr, /) -> None:
            self.peer = addr
            await super().write_to(data, addr)

        async def write(self, data: Buffer, /) -> None:
            if self.peer is not None:
                await self.write_to(data, self.peer)

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if self.own_nodes or address:
            return await super().dial(ctx, network, address, *opts)
        self.check_limit(ctx)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return self.Talking(sock)


@trial.breaks("bind-failure-closes")
class LeakingAMalformedBind(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        if stage != "bind" or not isinstance(sys.exception(), ValueError):
            await super().release(conn, stage)


@trial.breaks("resolve-failure-closes")
class LeakingWithoutAnAddress(RightRoute):
    async def release(self, conn: Conn, stage: str) -> None:
        if stage != "resolve" or not isinstance(sys.exception(), socket.gaierror):
            await super().release(conn, stage)


@trial.breaks("accepted-survive")
class CuttingWhatIsAccepted(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        return Cutting(await super().bind(ctx, network, address, *opts))


@trial.breaks("direct-bind")
class BindingDrowsily(RightRoute):
    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        listener = await super().bind(ctx, network, address, *opts)
        return listener if self.own_nodes else Drowsy(listener)


class Binding(RightRoute):
    """One that knows whether it was asked to bind."""

    binds = False

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.binds = True
        return await super().bind(ctx, network, address, *opts)


@trial.breaks("limit-marks")
class MarkingNobodyInBind(Binding):
    def has_failed_by_time(self, ctx: Context) -> bool:
        return not self.binds and super().has_failed_by_time(ctx)


@trial.breaks("cancel-marks-nobody")
class MarkingTheCancelledBind(Binding):
    def has_failed_by_time(self, ctx: Context) -> bool:
        return self.binds or super().has_failed_by_time(ctx)


@trial.breaks("failure-notes")
class NotingDialsOnly(Binding):
    def note(self, error: BaseException, node: Node) -> None:
        if not self.binds:
            super().note(error, node)


@trial.breaks("nodes-resolved")
class ResolvingForDials(Binding):
    async def resolve(self, ctx: Context, node: Node) -> str:
        return node.addr if self.binds else await super().resolve(ctx, node)


@trial.breaks("bind-order")
class BindingByItsNetwork(RightRoute):
    """Reaches the nodes by the network by which the last one is to bind."""

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        self.network = network
        return await super().bind(ctx, network, address, *opts)

    network = "tcp"

    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        transport = node.options().transport
        if last is None or transport is None or self.network == "tcp":
            return await super().step(ctx, last, node, network)
        conn = await last[0].connect(ctx, last[1], self.network, node.addr)
        return transport, await transport.handshake(ctx, conn)


@trial.breaks("errors-pass")
class MalformedAsBroken(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        try:
            return await super().dial(ctx, network, address, *opts)
        except ValueError as error:
            if not self.own_nodes:
                raise
            raise ProtocolError("a node does not follow its protocol") from error
