"""Trials of the contract of routes."""

import asyncio
from collections.abc import Callable, Sequence

from typing_extensions import Buffer

from gost_core import connector
from gost_core.chain import (
    BindOption,
    BindOptions,
    DialOption,
    EmptyRouteError,
    Node,
    Route,
    Transporter,
)
from gost_core.common.net import Addr, Conn, Listener
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._stage.fakes.connections import LayeredConn
from gost_core.testing.chain import RouteContract
from tests.kit.chain._direct import bind_here, dial_here, lookup
from tests.kit.chain._transporter import die_with_the_task
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


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
            raise OSError(f"the route is broken: {error}") from error


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


@trial.breaks("success-resets")
class NeverResetting(RightRoute):
    async def reach(self, ctx: Context, network: str) -> tuple[Transporter, Conn]:
        counts = [node.marker().count() for node in self.own_nodes]
        reached = await super().reach(ctx, network)
        for node, count in zip(self.own_nodes, counts, strict=True):
            for _ in range(count):
                node.marker().mark()
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
        return self.Top(await super().dial(ctx, network, address, *opts))


@trial.breaks("concurrent")
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


@trial.breaks("context-handed-on")
class ForgettingTheContext(RightRoute):
    async def step(
        self, ctx: Context, last: tuple[Transporter, Conn] | None, node: Node, network: str
    ) -> tuple[Transporter, Conn]:
        return await super().step(Context(), last, node, network)


@trial.breaks("direct-dial")
class NeedingANode(RightRoute):
    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        if not self.own_nodes and address.startswith("127."):
            raise EmptyRouteError("the route has no node")
        return await super().dial(ctx, network, address, *opts)


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
