"""The world around a dialer or a connector: a network within this process, and who plays the rest.

A :class:`Network` opens connections, and hands the far end of each to whoever plays the peer. An
:class:`Outside` is such a network as a proxy node sees it: the targets that it dials, and the
visitors of what it binds.
"""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Generic, TypeAlias, TypeVar

from typing_extensions import Buffer, Protocol

from gost_core import chain
from gost_core.common.net import (
    Addr,
    ClosedError,
    Closer,
    Conn,
    Listener,
    PacketConn,
    UnsupportedError,
)
from gost_core.common.net import Dialer as NetDialer
from gost_core.context import Context
from gost_core.dialer import Dialer
from gost_core.metadata import Metadata
from gost_core.testing._contract import (
    Broken,
    Contract,
    NotTried,
    clause,
    describe,
    expect,
)
from gost_core.testing._doubles import Address, MemoryConn, MemoryListener, connected_pair
from gost_core.testing._fakes import FakeMetadata, cancel, happens
from gost_core.testing._net import turns

__all__ = (
    "GREETING",
    "BareConn",
    "Component",
    "LifeCycle",
    "Made",
    "Network",
    "Node",
    "Outside",
    "PacketEnd",
    "Peer",
    "Ping",
    "Setup",
    "StreamConn",
    "Wired",
    "as_closer",
    "break_off",
    "echo",
    "ending",
    "expect_addresses",
    "expect_found",
    "resetting",
    "silent",
    "ssl_errors",
)

R = TypeVar("R")
Peer: TypeAlias = Callable[[Conn], Awaitable[object]]
Node: TypeAlias = Callable[[Conn, chain.Router], Awaitable[object]]
Ping: TypeAlias = Callable[[Conn], Awaitable[object]]

GREETING: Final[bytes] = b"hello"
"""What a peer or a target that speaks first says."""

_ALL: Final[int] = 65535
_FOR_EVER: Final[float] = 86400.0
# A shorter one may stand in a repr by chance.
_SEARCHABLE: Final[int] = 8
# Up to how many turns of the event loop a call gets before it is cancelled.
_TURNS: Final[int] = 50
_numbers: Final = count(1)


def _port() -> int:
    """Return a port that nobody has had for long."""
    return 1024 + next(_numbers) % 60_000


# ---- Connections


class BareConn(Conn):
    """A connection that can do what every connection can, and no more.

    It counts the bytes written to it. With ``late``, a read takes its time, so that what comes
    close together is read together.
    """

    def __init__(self, inner: Conn, *, late: bool = False) -> None:
        self._inner = inner
        self._late = late
        self.written = 0
        self.closed = False

    async def read(self, n: int, /) -> bytes:
        """Read."""
        if self._late:
            await turns(40)
            await asyncio.sleep(0.01)
        return await self._inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        """Write."""
        self.written += memoryview(data).nbytes
        await self._inner.write(data)

    async def close(self) -> None:
        """Close."""
        self.closed = True
        await self._inner.close()

    def local_addr(self) -> Addr:
        """Return this end's address."""
        return self._inner.local_addr()

    def remote_addr(self) -> Addr:
        """Return the other end's address."""
        return self._inner.remote_addr()


class PacketEnd(Conn, PacketConn):
    """A datagram socket within this process.

    Args:
        local: its address.
        remote: the address to which it is connected; None = to none.
        find: finds the socket at an address, for the socket that sends to it.
    """

    def __init__(
        self,
        local: Address,
        remote: Address | None,
        find: "Callable[[PacketEnd, Address], PacketEnd]",
    ) -> None:
        self._local = local
        self._remote = remote
        self._find = find
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._changed = asyncio.Event()
        self.closed = False

    async def read(self, n: int, /) -> bytes:
        """Read a datagram."""
        if self._remote is None:
            raise UnsupportedError("the socket is not connected")
        return (await self.read_from(n))[0]

    async def read_from(self, n: int, /) -> tuple[bytes, Address]:
        """Read a datagram and who sent it."""
        while not self.closed:
            if self._queue:
                data, source = self._queue.popleft()
                return data[:n], source
            self._changed.clear()
            await self._changed.wait()
        raise ClosedError("this socket was closed")

    async def write(self, data: Buffer, /) -> None:
        """Send a datagram."""
        if self._remote is None:
            raise UnsupportedError("the socket is not connected")
        await self.write_to(data, self._remote)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        """Send a datagram to an address."""
        if self.closed:
            raise ClosedError("this socket was closed")
        if self._remote is not None and str(addr) != str(self._remote):
            raise ValueError(f"the socket is connected to {self._remote}, not to {addr}")
        if datagram := bytes(data):
            self._find(self, Address("udp", str(addr))).receive(datagram, self._local)

    def receive(self, data: bytes, source: Address) -> None:
        """Take a datagram in."""
        self._queue.append((data, source))
        self._changed.set()

    async def close(self) -> None:
        """Close."""
        self.closed = True
        self._changed.set()

    def local_addr(self) -> Address:
        """Return this end's address."""
        return self._local

    def remote_addr(self) -> Address:
        """Return the other end's address."""
        return self._remote or Address("udp", "")


def packet_pair(here: Address, there: Address) -> tuple[PacketEnd, PacketEnd]:
    """Return two sockets that are connected to each other."""
    near = PacketEnd(here, there, lambda _socket, _address: far)
    far = PacketEnd(there, here, lambda _socket, _address: near)
    return near, far


class StreamConn(Conn):
    """The server's end of a connection through this host's own network."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._local, self._remote = (
            Address("tcp", f"{host}:{port}")
            for host, port in map(writer.get_extra_info, ("sockname", "peername"))
        )

    async def read(self, n: int, /) -> bytes:
        """Read."""
        return await self._reader.read(n)

    async def write(self, data: Buffer, /) -> None:
        """Write."""
        self._writer.write(bytes(data))
        await self._writer.drain()

    async def close(self) -> None:
        """Close."""
        self._writer.close()

    def local_addr(self) -> Address:
        """Return this end's address."""
        return self._local

    def remote_addr(self) -> Address:
        """Return the other end's address."""
        return self._remote


class _LoopbackListener(MemoryListener):
    """Accepts connections through this host's own network."""

    async def start(self) -> None:
        """Bind."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        _, port = self._server.sockets[0].getsockname()
        self._addr = Address("tcp", f"127.0.0.1:{port}")

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._arrive(StreamConn(reader, writer))

    async def close(self) -> None:
        """Close."""
        self._server.close()
        await super().close()


# ---- Peers that need no protocol


async def echo(conn: Conn) -> None:
    """Send back what comes."""
    while data := await conn.read(_ALL):
        await conn.write(data)


async def silent(conn: Conn) -> None:
    """Say nothing."""
    while await conn.read(_ALL):
        pass


async def ending(conn: Conn) -> None:
    """End the connection at once."""


async def resetting(conn: Conn) -> None:
    """Break the connection off after the first bytes."""
    await conn.read(_ALL)
    raise _Reset


class _Reset(Exception):
    """Raised by a peer that breaks off."""


# ---- The network


class _Link:
    """A connection of a network; ``near`` is the end of the object on trial, if it is in here."""

    def __init__(self, near: MemoryConn | PacketEnd | None, far: Conn) -> None:
        self.near = near
        self.far = far
        self.ended = False

    def is_open(self) -> bool:
        """Tell whether the object on trial still has it open."""
        return not (self.ended if self.near is None else self.near.closed)


class _FarEnd(BareConn):
    """The far end of a connection from elsewhere: it notes when that has ended."""

    link: _Link

    async def read(self, n: int, /) -> bytes:
        """Read."""
        try:
            data = await super().read(n)
        except OSError:
            self.link.ended = True
            raise
        self.link.ended = not data
        return data


class Network(NetDialer):
    """A network whose connections all lead to one peer.

    Args:
        contract: the scenarios that use it.
        peer: plays the far end of each connection; when it is done, that is closed.
    """

    def __init__(self, contract: Contract, peer: Peer) -> None:
        self._contract = contract
        self.peer = peer
        self.listener: Listener | None = None
        self.dials: list[tuple[str, str]] = []
        self.links: list[_Link] = []
        self._sockets: list[PacketEnd] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.failures: list[Exception] = []
        self.error: Exception | None = None
        self.is_silent = False
        self.black_holes: set[str] = set()
        contract.keep(self.close)

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        """Open a connection to the peer."""
        self.dials.append((network, addr))
        await turns(2)
        if self.error is not None:
            raise self.error
        if self.is_silent or addr in self.black_holes:
            await asyncio.sleep(_FOR_EVER)
        if network.startswith("udp"):
            return self._socket(network, addr)
        return self.connect(network, addr)

    def connect(self, network: str, addr: str) -> MemoryConn:
        """Return a connection to the peer."""
        near, far = connected_pair(network, f"192.0.2.1:{_port()}", addr)
        self.play(_Link(near, far))
        return near

    def _socket(self, network: str, addr: str) -> PacketEnd:
        local = Address(network, f"192.0.2.1:{_port()}")
        ends: dict[str, PacketEnd] = {}

        def find(near: PacketEnd, address: Address) -> PacketEnd:
            if str(address) not in ends:
                far = PacketEnd(address, local, lambda _socket, _address: near)
                ends[str(address)] = far
                self.play(_Link(near, far))
            return ends[str(address)]

        socket = PacketEnd(local, Address(network, addr) if addr else None, find)
        self._sockets.append(socket)
        return socket

    async def listen(self, listener: Listener) -> None:
        """Serve who connects to ``listener``, which is closed in the end."""
        self.listener = listener
        self._contract.keep(listener.close)

        async def serve() -> None:
            with suppress(OSError):
                while True:
                    far = _FarEnd(await listener.accept())
                    far.link = _Link(None, far)
                    self.play(far.link)

        self.tasks.add(asyncio.create_task(serve()))

    async def listen_on_loopback(self) -> None:
        """Serve who connects through this host's own network."""
        listener = _LoopbackListener(Address("tcp", ""))
        await listener.start()
        await self.listen(listener)

    def play(self, link: _Link) -> None:
        """Have the peer play the far end."""
        self.links.append(link)

        async def play() -> None:
            try:
                await self.peer(link.far)
            except _Reset:
                break_off(link.far)
            except OSError:
                # The other end went first.
                pass
            except Exception as error:
                self.failures.append(error)
            finally:
                link.ended = True
                await link.far.close()

        self.tasks.add(asyncio.create_task(play()))

    def carries_datagrams(self) -> bool:
        """Tell whether datagrams were asked for, which tell nothing of a peer that is gone."""
        return any(network.startswith("udp") for network, _ in self.dials)

    def is_used(self) -> bool:
        """Tell whether the object on trial has anything open here."""
        sockets_open = any(not socket.closed for socket in self._sockets)
        return sockets_open or any(link.is_open() for link in self.links)

    async def break_off(self) -> None:
        """Break off all connections, as when the node crashes."""
        for link in self.links:
            break_off(link.far)
            await link.far.close()

    async def close(self) -> None:
        """End what goes on."""
        for task in self.tasks:
            task.cancel()
        for link in self.links:
            await link.far.close()


def ssl_errors() -> tuple[type[Exception], ...]:
    """Return what TLS raises; a Python may be without it."""
    try:
        import ssl
    except ImportError:
        return ()
    return (ssl.SSLError,)


def break_off(conn: Conn) -> None:
    """Break a connection off for the other end, if that can be done."""
    if isinstance(conn, MemoryConn):
        conn.break_off()


# ---- What a node sees


class _VisitedListener(MemoryListener):
    """A listener of a node, to which the scenario sends visitors."""

    def visit(self) -> MemoryConn | PacketEnd:
        """Let a visitor come, from an address of its own, and return the visitor's end."""
        network = self._addr.network()
        visitor = Address(network, f"198.51.100.7:{_port()}")
        near, far = (
            packet_pair(visitor, self._addr)
            if network.startswith("udp")
            else connected_pair(network, str(visitor), str(self._addr))
        )
        self._arrive(far)
        return near


class Outside(chain.Router):
    """What a node reaches: targets that send back what they get, and visitors."""

    def __init__(self, contract: "Wired") -> None:
        self.greeting = b""
        self.received: dict[str, bytes] = {}
        self.network = contract.network(self._target)
        self.listeners: list[_VisitedListener] = []
        self.binds: list[tuple[str, str]] = []
        self.expects_early_visitor = False
        self.visitors: list[MemoryConn | PacketEnd] = []

    def options(self) -> chain.RouterOptions:
        """Return options that say nothing."""
        return chain.RouterOptions()

    async def dial(
        self, ctx: Context, network: str, address: str, /, *opts: chain.DialOption
    ) -> Conn:
        """Reach a target."""
        return await self.network.dial(ctx, network, address)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: chain.BindOption
    ) -> Listener:
        """Listen for visitors."""
        self.binds.append((network, address))
        port = address.rpartition(":")[2]
        bound = port if port.strip("0") else _port()
        listener = _VisitedListener(Address(network, f"203.0.113.5:{bound}"))
        self.listeners.append(listener)
        if self.expects_early_visitor:
            self.visitors.append(listener.visit())
        return listener

    async def _target(self, conn: Conn) -> None:
        addr = str(conn.local_addr())
        self.received.setdefault(addr, b"")
        if self.greeting:
            await conn.write(self.greeting)
        while data := await conn.read(_ALL):
            self.received[addr] += data
            await conn.write(data)


# ---- What scenarios have in common


async def ping(conn: Conn) -> None:
    """Raise unless the other end sends back what it gets."""
    word = b"ping %d" % next(_numbers)
    await conn.write(word)
    received = b""
    while len(received) < len(word):
        if not (data := await conn.read(_ALL)):
            break
        received += data
    expect(received == word, f"{word!r} was sent, and {received!r} came back")


def expect_found(result: object, what: str) -> None:
    """Break the clause if a call returned None."""
    expect(result is not None, f"{what} returned None")


def expect_addresses(conn: Conn, what: str) -> None:
    """Break the clause unless both addresses of a connection can be asked for."""
    addresses: list[tuple[str, Addr | None]] = [
        ("local_addr", conn.local_addr()),
        ("remote_addr", conn.remote_addr()),
    ]
    for name, addr in addresses:
        if addr is None:
            raise Broken(f"{name}() of {what} returned None")
        network = addr.network()
        expect(
            network == network.lower(),
            f"{name}().network() of {what} is {network!r}; write it in lower case",
        )
        str(addr)


class Closable(Protocol):
    """Whatever can be closed."""

    async def close(self) -> None:
        """Close it."""
        ...


class Wired(Contract, interface=NetDialer):
    """What all scenarios here have in common: peers, their failures, and calls cut short."""

    def __init__(self, ping_hook: Ping | None, secret: str | None) -> None:
        super().__init__()
        self._ping = ping_hook or ping
        self._secret = secret
        self._networks: list[Network] = []

    def network(self, peer: Peer) -> Network:
        """Return a network with that peer."""
        network = Network(self, peer)
        self._networks.append(network)
        return network

    async def lose_peers(self) -> None:
        """Break off all connections to peers."""
        for network in self._networks:
            await network.break_off()

    async def within(self, awaitable: Awaitable[R], what: str) -> R:
        """Await; say what went wrong on the other side, if it did."""
        try:
            return await within(awaitable, what)
        except Broken as observation:
            failures = [error for network in self._networks for error in network.failures]
            if not failures:
                raise
            raise Broken(f"{observation}; the peer had raised {describe(failures[0])}") from None

    async def succeeds(self, awaitable: Awaitable[R], what: str) -> R:
        """Await what has to succeed, and to return something."""
        try:
            result = await within(awaitable, what)
        except (Broken, NotTried):
            raise
        except Exception as error:
            raise Broken(f"{what} raised {describe(error)}") from error
        expect_found(result, what)
        return result

    async def works(self, conn: Conn, what: str) -> None:
        """Break the clause unless a connection carries data."""
        try:
            await within(self._ping(conn), "sending there and back")
        except NotTried:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, Broken) else describe(error)
            raise Broken(f"{what} did not work: {reason}") from error

    async def greeted(self, conn: Conn) -> None:
        """Break the clause unless the greeting of who speaks first can be read."""
        received = b""
        while len(received) < len(GREETING):
            data = await within(conn.read(_ALL), "read() of what the other end says first")
            if not data:
                break
            received += data
        expect(received == GREETING, f"{GREETING!r} was sent, and {received!r} was read")

    async def eventually(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Break the clause unless a condition comes to hold."""
        waiting = start(happens(condition))
        await ended(waiting)
        waiting.cancel()
        expect(condition(), otherwise)

    async def outlived(self, call: Awaitable[R], what: str) -> R:
        """Make a call in a task of its own, whose time limit runs out once it has returned."""
        results: list[R] = []

        async def make() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as limit:
                    results.append(await call)
                    limit.reschedule(asyncio.get_running_loop().time())
                    await asyncio.Event().wait()

        try:
            await within(start(make()), what)
        except (Broken, NotTried):
            raise
        except Exception as error:
            raise Broken(f"{what} raised {describe(error)}") from error
        expect(bool(results), f"{what} raised TimeoutError, without a limit")
        await settle()
        return results[0]

    async def cut_short(
        self, call: Awaitable[object], waits: Callable[[], bool], what: str
    ) -> None:
        """Cancel a call when it waits for a silent peer; it must end by that."""
        task = start(call)
        await self.eventually(lambda: task.done() or waits(), f"{what} did not begin")
        await settle()
        if task.done():
            raise NotTried(f"{what} waits for nothing that the peer says")
        await cancel(task, f"{what}, waiting for a silent node,", self.time_limit)

    async def cut_anywhere(self, begin: Callable[[], Awaitable[Closable]]) -> None:
        """Cancel a call again and again, each time later; what it returned is closed."""
        for number in range(_TURNS):
            task = start(begin())
            await turns(number)
            task.cancel()
            await ended(task)
            if task.done() and not task.cancelled() and task.exception() is None:
                await given(task.result().close(), "close()")

    async def all_ended(self, network: Network, when: str) -> None:
        """Break the clause unless all connections of a network come to be closed."""
        await self.eventually(
            lambda: not network.is_used(), f"{when}, and a connection to the node stayed open"
        )

    async def no_task_left(self, before: set[asyncio.Task[Any]], when: str) -> None:
        """Break the clause if more tasks run than before and than the peers'."""

        def left() -> set[asyncio.Task[Any]]:
            peers = {task for network in self._networks for task in network.tasks}
            return asyncio.all_tasks() - before - peers - {waiting}

        waiting = asyncio.ensure_future(happens(lambda: not left()))
        await ended(waiting)
        waiting.cancel()
        tasks = left()
        expect(not tasks, f"{when}, and still running is {', '.join(map(_name_of, tasks))}")

    def hidden(self, text: str, where: str) -> None:
        """Break the clause if a text tells the secret."""
        expect(self.secret() not in text, f"{where} tells the secret")

    def secret(self) -> str:
        """Return the secret."""
        if self._secret is None:
            raise NotTried("no `secret` was given")
        if len(self._secret) < _SEARCHABLE:
            raise NotTried(f"the `secret` has fewer than {_SEARCHABLE} characters")
        return self._secret

    async def hidden_in_error(self, call: Awaitable[Closable], what: str) -> None:
        """Break the clause if the error of a call tells the secret."""
        error: BaseException | None = None
        try:
            keep((await within(call, what)).close)
        except Exception as raised:
            error = raised
        while error is not None:
            texts = [str(error), repr(error), *getattr(error, "__notes__", ())]
            self.hidden("\n".join(texts), f"the error of {what}")
            error = error.__cause__ or error.__context__


def _name_of(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())


# ---- The life of a component


class Component(Protocol):
    """A dialer or a connector, as far as its life goes."""

    async def init(self, metadata: Metadata | None, /) -> None:
        """Read the settings."""
        ...


def as_closer(component: object) -> Closer:
    """Return what must be closed as such."""
    if not isinstance(component, Closer):
        raise NotTried("it has no close(), so there is nothing to close")
    return component


class _With(FakeMetadata):
    """Metadata with one more setting."""

    def __init__(self, metadata: Metadata | None, key: str, value: object) -> None:
        super().__init__(**{key: value})
        self._others = metadata or FakeMetadata()

    def is_exists(self, key: str, /) -> bool:
        """Tell whether the key is there."""
        return super().is_exists(key) or self._others.is_exists(key)

    def get(self, key: str, /) -> object:
        """Return a value."""
        return super().get(key) if super().is_exists(key) else self._others.get(key)


ComponentT = TypeVar("ComponentT", bound=Component)


@dataclass(frozen=True)
class Setup(Generic[ComponentT]):
    """What the check of a component is given about it."""

    make: Callable[[], ComponentT]
    metadata: Metadata | None
    bad_setting: tuple[str, object] | None
    ping: Ping | None
    secret: str | None


class Made(Wired, Generic[ComponentT], interface=Dialer):
    """Scenarios with what a factory makes."""

    def __init__(self, setup: Setup[ComponentT]) -> None:
        super().__init__(setup.ping, setup.secret)
        self._setup = setup

    async def _specimen(self) -> ComponentT:
        return self.made()

    def made(self) -> ComponentT:
        """Make one."""
        return owned(self._setup.make())

    async def ready(self) -> ComponentT:
        """Make one, and initialise it."""
        component = self.made()
        await given(component.init(self._setup.metadata), "init()")
        return component


class LifeCycle(Made[ComponentT], interface=Dialer):
    """The clauses of what is made, initialised once, and then used."""

    @abstractmethod
    def first_use(self, component: ComponentT) -> Awaitable[object]:
        """Use it, as one does after init()."""

    @clause("It can be made where no event loop runs.", "D18")
    async def made_without_loop(self) -> None:
        owned(await within(asyncio.to_thread(self._setup.make), "making it in a thread"))

    @clause("init(None), or with empty metadata, means that nothing is set.", "D18, D64")
    async def init_without_metadata(self) -> None:
        for metadata in (None, FakeMetadata()):
            try:
                await within(self.made().init(metadata), "init() without metadata")
            except ValueError:
                # A setting that must be there is missing.
                if self._setup.metadata is None:
                    raise

    @clause("A second init() raises RuntimeError.", "D18")
    async def init_once(self) -> None:
        component = self.made()
        await given(component.init(self._setup.metadata), "init()")
        await raises(component.init(self._setup.metadata), "a second init()", RuntimeError)

    @clause("Use before init() raises RuntimeError.", "D18")
    async def use_before_init(self) -> None:
        await raises(self.first_use(self.made()), "use before init()", RuntimeError)

    @clause("init() raises a ValueError that names the key, if a setting is wrong.", "D18, D64")
    async def bad_setting_named(self) -> None:
        if self._setup.bad_setting is None:
            raise NotTried("no `bad_setting` was given")
        key, _ = self._setup.bad_setting
        try:
            await within(self.made().init(self.wrong_metadata()), "init()")
        except ValueError as error:
            named = key.lower() in str(error).lower()
            expect(named, f"init() with a wrong {key!r} raised {describe(error)}")
        else:
            raise Broken(f"init() with a wrong {key!r} raised nothing instead of ValueError")

    def wrong_metadata(self) -> Metadata | None:
        """Return metadata with the wrong setting, if one is known."""
        if self._setup.bad_setting is None:
            return self._setup.metadata
        return _With(self._setup.metadata, *self._setup.bad_setting)
