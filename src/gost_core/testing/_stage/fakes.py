"""The kit's fakes: components that record what they are asked, and do as a scenario tells them."""

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeVar

from typing_extensions import Buffer

from gost_core import (
    auth,
    bypass,
    connector,
    dialer,
    handler,
    hosts,
    limiter,
    listener,
    recorder,
    resolver,
)
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
from gost_core.common.net import Closer, Conn, ConnUnwrapper, ContextCarrier, Listener
from gost_core.context import Context
from gost_core.hop import Hop, SelectOption, SelectOptions
from gost_core.limiter import rate, traffic
from gost_core.metadata import Metadata
from gost_core.observer.stats import Kind, Stats
from gost_core.options import apply
from gost_core.routing import Matcher, Request
from gost_core.testing._contract import Broken, describe, expect
from gost_core.testing._doubles import Address, MemoryConn, connected_pair

__all__ = (
    "BindingConnector",
    "CarryingConn",
    "ClosableHandler",
    "FakeAuthenticator",
    "FakeBypass",
    "FakeChainer",
    "FakeConnector",
    "FakeDialer",
    "FakeHandler",
    "FakeHop",
    "FakeHostMapper",
    "FakeListener",
    "FakeMatcher",
    "FakeMetadata",
    "FakeNetListener",
    "FakeRateLimiter",
    "FakeRecorder",
    "FakeResolver",
    "FakeRoute",
    "FakeRouter",
    "FakeStats",
    "FakeTrafficLimiter",
    "FakeTransporter",
    "HandshakingConnector",
    "HandshakingDialer",
    "Layer",
    "Loopback",
    "MultiplexingDialer",
    "Script",
    "World",
    "Wrapper",
    "cancel",
    "happens",
    "proxy",
)

IP = IPv4Address | IPv6Address
R = TypeVar("R")


async def happens(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that nothing announces."""
    while not condition():  # noqa: ASYNC110 it announces nothing
        await asyncio.sleep(0.001)


async def cancel(task: "asyncio.Future[R]", what: str, time_limit: float) -> None:
    """Cancel a call, and break the clause unless it ends by that."""
    task.cancel()
    await ended(task}, timeout=time_limit)
    expect(task.done(), f"{what} did not end within {time_limit:g} s of being cancelled")
    if not task.cancelled():
        error = task.exception()
        result = "returned" if error is None else f"raised {describe(error)}"
        raise Broken(f"{what} was cancelled, and {result} instead of CancelledError")


class Script:
    """How the calls of one method end: well, unless it was told otherwise."""

    def __init__(self) -> None:
        self.calls = 0
        self.hanging = asyncio.Event()
        self._failures: deque[Exception] = deque()
        self._always: Exception | None = None
        self._hangs = 0

    def fail(self, *errors: Exception) -> None:
        """Have the next calls fail, each with one of ``errors``."""
        self._failures.extend(errors)

    def fail_always(self, error: Exception) -> None:
        """Have every call fail."""
        self._always = error

    def hang(self, times: int = 1_000_000) -> None:
        """Have the next calls wait until they are cancelled."""
        self._hangs = times

    async def play(self) -> None:
        """Do what the next call does."""
        self.calls += 1
        if self._hangs:
            self._hangs -= 1
            self.hanging.set()
            await asyncio.Event().wait()
        # A real one waits for the network.
        for _ in range(3):
            await asyncio.sleep(0)
        if self._failures:
            raise self._failures.popleft()
        if self._always is not None:
            raise self._always


class World:
    """What happened, in order, and what was opened."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.opened: list[Layer | FakeNetListener] = []
        self.far_ends: list[MemoryConn] = []

    def still_open(self) -> list[str]:
        """Name what was opened and is not closed."""
        return [one.name for one in self.opened if not one.closed]

    def connection(self, name: str) -> "Layer":
        """Open a connection; the other end goes to :attr:`far_ends`."""
        near, far = connected_pair()
        self.far_ends.append(far)
        return Layer(self, name, near)

    async def close(self) -> None:
        """Close everything."""
        for one in [*self.opened, *self.far_ends]:
            await one.close()


class Layer(Conn):
    """A connection that one step made over the one before, and that owns it."""

    def __init__(self, world: World, name: str, inner: Conn) -> None:
        self.name = name
        self.inner = inner
        self.closed = False
        world.opened.append(self)

    async def read(self, n: int, /) -> bytes:
        """Read from the connection below."""
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        """Write to the connection below."""
        await self.inner.write(data)

    async def close(self) -> None:
        """Close this layer and those below."""
        self.closed = True
        await self.inner.close()

    def local_addr(self) -> Address:
        """Return this end's address."""
        return Address("tcp", str(self.inner.local_addr()))

    def remote_addr(self) -> Address:
        """Return the other end's address."""
        return Address("tcp", str(self.inner.remote_addr()))


class FakeNetListener(Listener):
    """A listener somewhere, over a connection if there is one below, which it owns."""

    def __init__(self, world: World, name: str, inner: Conn | None, address: str) -> None:
        self.name = name
        self.closed = False
        self._inner = inner
        self._address = Address("tcp", address)
        world.opened.append(self)

    async def accept(self) -> Conn:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        """Close the listener, and what is below."""
        self.closed = True
        if self._inner is not None:
            await self._inner.close()

    def addr(self) -> Address:
        """Return the address."""
        return self._address


class Loopback:
    """A server on this host's loopback that sends back what it receives."""

    def __init__(self) -> None:
        self.address = ""
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        """Bind, and begin to serve."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Close the server and its connections."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


# ---- Of a transporter


@dataclass(frozen=True)
class Dialed:
    """A call of a dialer."""

    addr: str
    options: dialer.DialOptions


class FakeDialer(dialer.Dialer):
    """A dialer; with ``through`` it uses the dialer that it is given."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dialing = Script()
        self.dials: list[Dialed] = []
        self.contexts: list[Context] = []
        self.through = False

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> Conn:
        """Open a connection."""
        options = apply(dialer.DialOptions(), *opts)
        self.dials.append(Dialed(addr, options))
        self.contexts.append(ctx)
        self.world.log.append("dialer.dial")
        await self.dialing.play()
        if self.through and options.dialer is not None:
            return await options.dialer.dial(ctx, "tcp", addr)
        return self.world.connection("what the dialer opened")


class HandshakingDialer(FakeDialer, dialer.Handshaker):
    """A dialer with a handshake."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.handshaking = Script()
        self.handshakes: list[dialer.HandshakeOptions] = []

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: dialer.HandshakeOption) -> Conn:
        """Put a layer on ``conn``."""
        self.handshakes.append(apply(dialer.HandshakeOptions(), *opts))
        self.world.log.append("dialer.handshake")
        await self.handshaking.play()
        return Layer(self.world, "what the dialer's handshake made", conn)


class MultiplexingDialer(FakeDialer, dialer.Multiplexer):
    """A dialer that says whether routes are cut at its node."""

    def __init__(self, world: World, multiplexes: bool) -> None:
        super().__init__(world)
        self._multiplexes = multiplexes

    def multiplex(self) -> bool:
        """Say so."""
        return self._multiplexes


@dataclass(frozen=True)
class Connected:
    """A call of a connector."""

    conn: Conn
    network: str
    address: str
    options: connector.ConnectOptions


@dataclass(frozen=True)
class Bound:
    """A call of a binder."""

    conn: Conn
    network: str
    address: str
    options: connector.BindOptions


class FakeConnector(connector.Connector):
    """A connector."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.connecting = Script()
        self.connects: list[Connected] = []
        self.contexts: list[Context] = []

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def connect(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.ConnectOption,
    ) -> Conn:
        """Put a layer on ``conn``."""
        options = apply(connector.ConnectOptions(), *opts)
        self.connects.append(Connected(conn, network, address, options))
        self.contexts.append(ctx)
        self.world.log.append("connector.connect")
        await self.connecting.play()
        return Layer(self.world, "what the connector made", conn)


class HandshakingConnector(FakeConnector, connector.Handshaker):
    """A connector with a handshake."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.handshaking = Script()
        self.inputs: list[Conn] = []

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        """Put a layer on ``conn``."""
        self.inputs.append(conn)
        self.world.log.append("connector.handshake")
        await self.handshaking.play()
        return Layer(self.world, "what the connector's handshake made", conn)


class BindingConnector(FakeConnector, connector.Binder):
    """A connector that can bind."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.binding = Script()
        self.binds: list[Bound] = []

    async def bind(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.BindOption,
    ) -> Listener:
        """Put a listener on ``conn``."""
        self.binds.append(Bound(conn, network, address, apply(connector.BindOptions(), *opts)))
        self.world.log.append("connector.bind")
        await self.binding.play()
        return FakeNetListener(self.world, "the listener", conn, address)


# ---- Of a route


class FakeTransporter(Transporter):
    """The transport of a node; each step puts a layer on what it is given."""

    def __init__(self, world: World, name: str, *, multiplexes: bool = False) -> None:
        self.world = world
        self.name = name
        self.dialing = Script()
        self.handshaking = Script()
        self.connecting = Script()
        self.binding = Script()
        self.bind_options: list[connector.BindOptions] = []
        self.contexts: list[Context] = []
        self._multiplexes = multiplexes
        self._options = TransportOptions()

    async def dial(self, ctx: Context, addr: str, /) -> Conn:
        """Open a connection."""
        self._note(ctx, f"dial {addr}")
        await self.dialing.play()
        return self.world.connection(f"what {self.name} dialed")

    async def handshake(self, ctx: Context, conn: Conn, /) -> Conn:
        """Put a layer on ``conn``."""
        self._note(ctx, "handshake")
        await self.handshaking.play()
        return Layer(self.world, f"what the handshake of {self.name} made", conn)

    async def connect(self, ctx: Context, conn: Conn, network: str, address: str, /) -> Conn:
        """Put a layer on ``conn``."""
        self._note(ctx, f"connect {network} {address}")
        await self.connecting.play()
        return Layer(self.world, f"what {self.name} connected", conn)

    async def bind(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.BindOption,
    ) -> Listener:
        """Put a listener on ``conn``."""
        self._note(ctx, f"bind {network} {address}")
        self.bind_options.append(apply(connector.BindOptions(), *opts))
        await self.binding.play()
        return FakeNetListener(self.world, f"what {self.name} bound", conn, address)

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

    def _note(self, ctx: Context, what: str) -> None:
        self.contexts.append(ctx)
        self.world.log.append(f"{self.name}: {what}")


def proxy(
    world: World, name: str, addr: str, *opts: NodeOption, multiplexes: bool = False
) -> tuple[Node, FakeTransporter]:
    """Return a node of a chain, and its transport."""
    transport = FakeTransporter(world, name, multiplexes=multiplexes)
    return Node(name, addr, transport_node_option(transport), *opts), transport


# ---- Of a router


@dataclass(frozen=True)
class RouteCall:
    """A call of a route or of a router."""

    ctx: Context
    network: str
    address: str
    dial_options: DialOptions = field(default_factory=DialOptions)
    bind_options: BindOptions = field(default_factory=BindOptions)


class FakeRoute(Route):
    """A route; it opens connections that are no PacketConn."""

    def __init__(self, world: World, *nodes: Node) -> None:
        self.world = world
        self.dialing = Script()
        self.binding = Script()
        self.dials: list[RouteCall] = []
        self.binds: list[RouteCall] = []
        self._nodes = nodes

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        """Open a connection."""
        self.dials.append(
            RouteCall(ctx, network, address, dial_options=apply(DialOptions(), *opts))
        )
        await self.dialing.play()
        return self.world.connection("what the route dialed")

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        """Open a listener."""
        self.binds.append(
            RouteCall(ctx, network, address, bind_options=apply(BindOptions(), *opts))
        )
        await self.binding.play()
        return FakeNetListener(self.world, "what the route bound", None, address)

    def nodes(self) -> Sequence[Node]:
        """Return the nodes."""
        return self._nodes


@dataclass(frozen=True)
class ChainerCall:
    """A call of a chainer."""

    ctx: Context
    network: str
    address: str
    host: str


class FakeChainer(Chainer, Closer):
    """A chainer that gives the same route each time."""

    def __init__(self, route: Route | None) -> None:
        self.routing = Script()
        self.calls: list[ChainerCall] = []
        self.closed = False
        self._route = route

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        """Return the route."""
        host = apply(RouteOptions(), *opts).host
        self.calls.append(ChainerCall(ctx, network, address, host))
        await self.routing.play()
        return self._route

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeHostMapper(hosts.HostMapper):
    """A mapping of hosts."""

    def __init__(self, mapping: Mapping[str, Sequence[IP]]) -> None:
        self.looking = Script()
        self.asked: list[tuple[str, str]] = []
        self._mapping = mapping

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        """Look up."""
        self.asked.append((network, host))
        await self.looking.play()
        return self._mapping.get(host)


class FakeResolver(resolver.Resolver):
    """A resolver that knows a few names."""

    def __init__(self, known: Mapping[str, Sequence[IP]]) -> None:
        self.resolving = Script()
        self.asked: list[tuple[str, str]] = []
        self._known = known

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        """Resolve."""
        self.asked.append((network, host))
        await self.resolving.play()
        return list(self._known.get(host, ()))


class FakeRecorder(recorder.Recorder):
    """A recorder."""

    def __init__(self) -> None:
        self.recording = Script()
        self.records: list[bytes] = []

    async def record(self, ctx: Context, data: Buffer, /, *opts: recorder.RecordOption) -> None:
        """Keep the record."""
        self.records.append(bytes(data))
        await self.recording.play()


# ---- Of a chainer and of a hop


class FakeHop(Hop, Closer):
    """A hop that chooses the same node each time."""

    def __init__(self, node: Node | None) -> None:
        self.node = node
        self.selecting = Script()
        self.asked: list[SelectOptions] = []
        self.contexts: list[Context] = []
        self.closed = False

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        """Choose the node."""
        self.asked.append(apply(SelectOptions(), *opts))
        self.contexts.append(ctx)
        await self.selecting.play()
        return self.node

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeBypass(bypass.Bypass):
    """A bypass of those addresses that begin with one of ``prefixes``."""

    def __init__(self, *prefixes: str) -> None:
        self.deciding = Script()
        self.asked: list[tuple[str, str, str]] = []
        self._prefixes = prefixes

    def is_whitelist(self) -> bool:
        """Say no."""
        return False

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        """Decide by how the address begins."""
        self.asked.append((network, addr, apply(bypass.Options(), *opts).host))
        await self.deciding.play()
        return bool(self._prefixes) and addr.startswith(self._prefixes)


class FakeMatcher(Matcher):
    """A matcher with one answer."""

    def __init__(self, answer: bool) -> None:
        self.matching = Script()
        self.requests: list[Request] = []
        self._answer = answer

    async def match(self, request: Request, /) -> bool:
        """Give the answer."""
        self.requests.append(request)
        await self.matching.play()
        return self._answer


class FakeMetadata(Metadata):
    """Metadata."""

    def __init__(self, **values: object) -> None:
        self._values = {key.lower(): value for key, value in values.items()}

    def is_exists(self, key: str, /) -> bool:
        """Tell whether the key is there."""
        return key.lower() in self._values

    def set(self, key: str, value: object, /) -> None:
        """Set a value."""
        self._values[key.lower()] = value

    def get(self, key: str, /) -> object:
        """Return a value."""
        return self._values.get(key.lower())


# ---- Of a service


class CarryingConn(Layer, ContextCarrier):
    """A connection that brings a context."""

    def __init__(self, world: World, inner: Conn, carried: Context | None) -> None:
        super().__init__(world, "the connection", inner)
        self._carried = carried

    def context(self) -> Context | None:
        """Return the context."""
        return self._carried


class Wrapper(Layer, ConnUnwrapper):
    """A wrapper that shows what it wraps."""

    def unwrap_conn(self) -> Conn:
        """Return what is wrapped."""
        return self.inner


class FakeListener(listener.Listener):
    """A listener whose connections and errors come from the scenario."""

    def __init__(self, events: list[str] | None = None) -> None:
        self.events: Final = [] if events is None else events
        self.accepts = 0
        self.closed = False
        self.taken: list[Conn] = []
        self.most_at_once = 0
        self._at_once = 0
        self._queue: deque[Conn | Exception] = deque()
        self._changed = asyncio.Event()

    def push(self, *items: Conn | Exception) -> None:
        """Let connections come, and errors."""
        self._queue.extend(items)
        self._changed.set()

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def accept(self) -> Conn:
        """Return the next connection, or raise the next error."""
        self.accepts += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            # Two accepts at once would be seen even if there were something to accept.
            await asyncio.sleep(0)
            while not self._queue and not self.closed:
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._at_once -= 1
        if self.closed:
            raise listener.ClosedError("the listener was closed")
        item = self._queue.popleft()
        if isinstance(item, Exception):
            raise item
        self.taken.append(item)
        return item

    def addr(self) -> Address:
        """Return the address."""
        return Address("tcp", "192.0.2.2:80")

    async def close(self) -> None:
        """Close."""
        if not self.closed:
            self.events.append("listener.close")
        self.closed = True
        self._changed.set()


class FakeHandler(handler.Handler):
    """A handler that does what the scenario says, and closes the connection at the end."""

    def __init__(self, serve: Callable[[Context, Conn], Awaitable[None]] | None = None) -> None:
        self.serve = serve
        self.contexts: list[Context] = []
        self.conns: list[Conn] = []
        self.running = 0
        self.cancelled = 0
        self.closes_connections = True
        self.came = asyncio.Event()

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def handle(self, ctx: Context, conn: Conn, /, *opts: handler.HandleOption) -> None:
        """Serve."""
        self.contexts.append(ctx)
        self.conns.append(conn)
        self.came.set()
        self.running += 1
        try:
            if self.serve is not None:
                await self.serve(ctx, conn)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            if self.closes_connections:
                await conn.close()
            self.running -= 1


class ClosableHandler(FakeHandler, Closer):
    """A handler that must be closed."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self._events = events

    async def close(self) -> None:
        """Remember it."""
        self._events.append("handler.close")


class FakeStats(Stats):
    """Counts."""

    def __init__(self) -> None:
        self.counts: dict[Kind, int] = {}

    def add(self, kind: Kind, n: int, /) -> None:
        """Add."""
        self.counts[kind] = self.get(kind) + n

    def get(self, kind: Kind, /) -> int:
        """Return a count."""
        return self.counts.get(kind, 0)

    def is_updated(self) -> bool:
        """Say no."""
        return False

    def reset(self) -> None:
        """Forget the counts."""
        self.counts.clear()


# ---- Of a handler


class FakeRouter(Router, Closer):
    """A router to targets that the scenario plays."""

    def __init__(self) -> None:
        self.dialing = Script()
        self.dials: list[RouteCall] = []
        self.near_ends: list[MemoryConn] = []
        self.targets: asyncio.Queue[MemoryConn] = asyncio.Queue()
        self.closed = False
        self._options = RouterOptions()

    def options(self) -> RouterOptions:
        """Return the options."""
        return self._options

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        """Open a connection to a target."""
        self.dials.append(RouteCall(ctx, network, address))
        await self.dialing.play()
        near, far = connected_pair(network or "tcp", "192.0.2.2:2048", "192.0.2.3:80")
        self.near_ends.append(near)
        self.targets.put_nowait(far)
        return near

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        """Refuse."""
        raise connector.BindUnsupportedError("this router binds nothing")

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class FakeAuthenticator(auth.Authenticator):
    """An authenticator that knows one user."""

    def __init__(self, user: str, password: str, client_id: str) -> None:
        self.deciding = Script()
        self._known = (user, password)
        self._client_id = client_id

    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: auth.Option
    ) -> str | None:
        """Decide."""
        await self.deciding.play()
        return self._client_id if (user, password) == self._known else None


class _Budget(traffic.Limiter):
    def __init__(self, limiter: "FakeTrafficLimiter") -> None:
        self._limiter = limiter

    async def wait(self, ctx: Context, n: int, /) -> int:
        await asyncio.sleep(0)
        if self._limiter.refuses:
            return 0
        self._limiter.granted += n
        return n

    def limit(self) -> int:
        return 1_000_000_000

    def set(self, n: int, /) -> None:
        raise AssertionError("only the owner of a limiter sets it")


class FakeTrafficLimiter(traffic.TrafficLimiter):
    """A limiter that grants everything and counts it, or grants nothing."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.granted = 0
        self._budget = _Budget(self)

    async def in_(self, ctx: Context, key: str, /, *opts: limiter.Option) -> traffic.Limiter:
        """Return the budget of every key."""
        return self._budget

    async def out(self, ctx: Context, key: str, /, *opts: limiter.Option) -> traffic.Limiter:
        """Return the budget of every key."""
        return self._budget


class _NoRequests(rate.Limiter):
    def allow(self, n: int, /) -> bool:
        return False

    def limit(self) -> float:
        return 1.0


class FakeRateLimiter(rate.RateLimiter):
    """A limiter that lets no request through, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def limiter(self, key: str, /) -> rate.Limiter:
        """Return the limiter of every key."""
        if self._error is not None:
            raise self._error
        return _NoRequests()
