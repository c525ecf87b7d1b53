"""What chains are made of, recording what it is asked: transports, routes, hops, and routers."""

import asyncio
import copy
from collections.abc import Sequence

from gost_core import connector
from gost_core.chain import (
    BindOption,
    BindOptions,
    Chainer,
    DialOption,
    DialOptions,
    Node,
    NodeOption,
    Route,
    RouteOption,
    RouteOptions,
    Router,
    RouterOptions,
    Transporter,
    TransportOptions,
    transport_node_option,
)
from gost_core.common.net import Conn, Listener
from gost_core.context import Context
from gost_core.hop import Hop, NodeList, SelectOption, SelectOptions
from gost_core.options import apply
from gost_core.testing._stage.fakes.connections import FakeNetListener, Scene, Wrapper, layer
from gost_core.testing._stage.fakes.recorded import Call, Lent, Recorded
from gost_core.testing._stage.memory import ForwardingConn, MemoryConn, connected_pair

__all__ = ("FakeChainer", "FakeHop", "FakeRoute", "FakeRouter", "FakeTransporter", "proxy")


class FakeTransporter(Transporter):
    """The transport of a node; each step puts a layer on what it is given."""

    def __init__(self, scene: Scene, name: str, *, multiplexes: bool = False) -> None:
        self.scene = scene
        self.name = name
        self.dials = Recorded[Call[None]]()
        self.handshakes = Recorded[Call[None]]()
        self.connects = Recorded[Call[None]]()
        self.binds = Recorded[Call[connector.BindOptions]]()
        self._multiplexes = multiplexes
        self._options = TransportOptions()

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        """Open a connection."""
        self._log(f"dial {addr}")
        await self.dials.record(Call(ctx, None, address=addr))
        return self.scene.connection(f"what {self.name} dialed")

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        """Put a layer on ``conn``."""
        self._log("handshake")
        await self.handshakes.record(Call(ctx, None, conn=conn))
        return Wrapper(self.scene, f"what the handshake of {self.name} made", conn)

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        """Put a layer on ``conn``."""
        self._log(f"connect {network} {address}")
        await self.connects.record(Call(ctx, None, network, address, conn))
        return layer(self.scene, f"what {self.name} connected", conn, network)

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: connector.BindOption
    ) -> Listener:
        """Put a listener on ``conn``."""
        self._log(f"bind {network} {address}")
        options = apply(connector.BindOptions(), *opts)
        await self.binds.record(Call(ctx, options, network, address, conn))
        return FakeNetListener(self.scene, f"what {self.name} bound", conn, address)

    def multiplex(self) -> bool:
        """Say whether routes are cut here."""
        return self._multiplexes

    def options(self) -> TransportOptions:
        """Return the options."""
        return self._options

    def copy(self) -> "FakeTransporter":
        """Return a transport with options of its own."""
        twin = copy.copy(self)
        twin._options = copy.copy(self._options)
        return twin

    def _log(self, step: str) -> None:
        self.scene.log.append(f"{self.name}: {step}")


def proxy(
    scene: Scene, name: str, addr: str, *opts: NodeOption, multiplexes: bool = False
) -> tuple[Node, FakeTransporter]:
    """Return a node of a chain, and its transport."""
    transport = FakeTransporter(scene, name, multiplexes=multiplexes)
    return Node(name, addr, transport_node_option(transport), *opts), transport


class FakeRoute(Route):
    """A route, which opens connections without going anywhere."""

    def __init__(self, scene: Scene, *nodes: Node) -> None:
        self.scene = scene
        self.dials = Recorded[Call[DialOptions]]()
        self.binds = Recorded[Call[BindOptions]]()
        self._nodes = nodes

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        """Open a connection."""
        await self.dials.record(Call(ctx, apply(DialOptions(), *opts), network, address))
        return self.scene.connection("what the route dialed", network)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        """Open a listener."""
        await self.binds.record(Call(ctx, apply(BindOptions(), *opts), network, address))
        return FakeNetListener(self.scene, "what the route bound", None, address)

    def nodes(self) -> Sequence[Node]:
        """Return the nodes."""
        return self._nodes


class FakeChainer(Lent, Chainer):
    """A chainer that gives the route that it was given last."""

    def __init__(self, route: Route | None) -> None:
        self.asked = Recorded[Call[RouteOptions]]()
        self.found = route

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        """Return the route."""
        await self.asked.record(Call(ctx, apply(RouteOptions(), *opts), network, address))
        return self.found


class FakeHop(Lent, Hop, NodeList):
    """A hop that chooses the same node each time, which need not be the one that it lists."""

    def __init__(self, node: Node | None) -> None:
        self.node = node
        self.asked = Recorded[Call[SelectOptions]]()

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        """Choose the node."""
        await self.asked.record(Call(ctx, apply(SelectOptions(), *opts)))
        return self.node

    def nodes(self) -> Sequence[Node]:
        """Return a node that its rules let nobody choose."""
        return (Node("not chosen", "192.0.2.99:1080"),)


class FakeRouter(Lent, Router):
    """A router to targets that the scenario plays."""

    def __init__(self) -> None:
        self.dials = Recorded[Call[DialOptions]]()
        self.near_ends: list[MemoryConn] = []
        self.targets: asyncio.Queue[MemoryConn] = asyncio.Queue()
        self.half_closes = True
        self._options = RouterOptions()

    def options(self) -> RouterOptions:
        """Return the options."""
        return self._options

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        """Open a connection to a target, which can half-close or cannot."""
        await self.dials.record(Call(ctx, apply(DialOptions(), *opts), network, address))
        near, far = connected_pair(network or "tcp", "192.0.2.2:2048", "192.0.2.3:80")
        self.near_ends.append(near)
        self.targets.put_nowait(far)
        return near if self.half_closes else ForwardingConn(near)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        """Refuse."""
        raise connector.BindUnsupportedError("this router binds nothing")
