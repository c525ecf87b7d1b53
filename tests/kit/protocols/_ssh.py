"""A dialer and a connector like SSH's: a login, then channels over a session, opened by either end.

The connector takes only the sessions of its dialer. The node tells why it refuses a login or a
target. Why it refuses to listen it does not tell.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from typing_extensions import Buffer

from gost_core.common.net import (
    Addr,
    ClosedError,
    Conn,
    Listener,
    ProtocolError,
    UnsupportedError,
    find_capability,
)
from gost_core.connector import (
    Binder,
    BindOption,
    BindOptions,
    BindUnsupportedError,
    ConnectOption,
    ConnectOptions,
    Connector,
)
from gost_core.context import Context
from gost_core.dialer import (
    Dialer,
    DialOption,
    DialOptions,
    HandshakeOption,
    HandshakeOptions,
    Handshaker,
)
from gost_core.options import apply
from gost_core.testing._stage.memory import Address
from tests.kit.common.net._sockets import split
from tests.kit.dialer._protocol import PASSWORD, OwnNetwork, Settings, read_exactly
from tests.kit.protocols._sessions import (
    STREAMS,
    Carrier,
    Kind,
    Session,
    Signal,
    Stream,
    message,
    parsed,
)

PROHIBITED: Final = b"prohibited"
LOGIN: Final = f"alice:{PASSWORD}".encode()
LONGEST: Final = 65536
BACKLOG: Final = 128


class Packets(Carrier):
    """Messages over a stream, each behind its length."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn

    async def send(self, message: bytes) -> None:
        await self.conn.write(len(message).to_bytes(4, "big") + message)

    async def receive(self) -> bytes:
        size = int.from_bytes(await read_exactly(self.conn, 4), "big")
        if size > LONGEST:
            raise ProtocolError("that is no message")
        return await read_exactly(self.conn, size)

    async def close(self) -> None:
        await self.conn.close()

    def local_addr(self) -> Addr:
        return self.conn.local_addr()

    def remote_addr(self) -> Addr:
        return self.conn.remote_addr()


class Channel(Stream):
    """A stream with somebody: a target, or a visitor."""

    def __init__(self, session: Session, number: int, peer: str) -> None:
        super().__init__(session, number)
        self.peer = Address("tcp", peer)
        self.opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """What was wrong; "" = nothing."""

    def remote_addr(self) -> Addr:
        return self.peer

    def take(self, kind: Kind, data: bytes) -> None:
        if kind in (Kind.OPENED, Kind.FAILED):
            if self.opened.done():
                raise ProtocolError("the channel was answered before")
            self.opened.set_result(data.decode() or "refused" if kind is Kind.FAILED else "")
        else:
            super().take(kind, data)

    def fail(self, error: OSError) -> None:
        super().fail(error)
        if not self.opened.done():
            self.opened.set_result("")


class SshSession(Session):
    """Channels, and what each end asks of the other."""

    def __init__(
        self,
        carrier: Carrier,
        *,
        is_client: bool = True,
        on_open: Callable[[Channel], object] | None = None,
        on_forward: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        super().__init__(carrier, is_client=is_client)
        self.on_open = on_open
        self.on_forward = on_forward
        self.forwarding: asyncio.Future[str | None] | None = None
        self.answering: set[asyncio.Task[None]] = set()

    def begin(self, peer: str) -> Channel:
        if self.over:
            raise ConnectionResetError("the session has ended")
        channel = self.channel(next(self.numbers), peer)
        self.add(channel)
        channel.post(Kind.OPEN, peer.encode())
        return channel

    def channel(self, number: int, peer: str) -> Channel:
        return Channel(self, number, peer)

    async def forward(self, address: str) -> str | None:
        """Have the other end listen; return where, or None if it refuses."""
        if self.forwarding is not None or self.over:
            raise ConnectionResetError("this session serves one listener")
        self.forwarding = asyncio.get_running_loop().create_future()
        self.post(Kind.FORWARD, data=address.encode())
        return await self.forwarding

    def take(self, kind: Kind, number: int, data: bytes) -> None:
        match kind:
            case Kind.OPEN if self.on_open is not None and len(self.streams) < STREAMS:
                channel = self.channel(number, data.decode())
                self.add(channel)
                self.on_open(channel)
            case Kind.OPEN:
                self.post(Kind.FAILED, number, b"there is no room")
            case Kind.FORWARD if self.on_forward is not None:
                answering = asyncio.create_task(self.answer(self.on_forward(data.decode())))
                self.answering.add(answering)
                answering.add_done_callback(self.answering.discard)
            case Kind.FORWARDED | Kind.DENIED if self.forwarding and not self.forwarding.done():
                self.forwarding.set_result(data.decode() if kind is Kind.FORWARDED else None)
            case Kind.DATA | Kind.CREDIT | Kind.END | Kind.CLOSE | Kind.RESET:
                # Something late for a channel that was closed here.
                pass
            case _:
                raise ProtocolError(f"{kind.name} is not awaited")

    async def answer(self, forwarding: Awaitable[str]) -> None:
        try:
            self.post(Kind.FORWARDED, data=(await forwarding).encode())
        except OSError:
            self.post(Kind.DENIED)

    def end(self, error: OSError | None = None) -> None:
        super().end(error)
        if self.forwarding and not self.forwarding.done():
            self.forwarding.set_exception(error or ClosedError("the session was ended"))
        for answering in self.answering:
            answering.cancel()


class LoggedIn(Conn):
    """A session, which is good for channels only. The first of them takes it over."""

    def __init__(self, session: SshSession) -> None:
        self.session = session

    async def read(self, n: int, /) -> bytes:
        raise UnsupportedError("what comes, comes by channels")

    async def write(self, data: Buffer, /) -> None:
        raise UnsupportedError("what goes, goes by channels")

    async def close(self) -> None:
        await self.session.close()

    def local_addr(self) -> Addr:
        return self.session.carrier.local_addr()

    def remote_addr(self) -> Addr:
        return self.session.carrier.remote_addr()


class Forwarding(Listener):
    """What the node listens for: a listener, which owns the session."""

    def __init__(self, session: SshSession, *, is_single: bool, backlog: int) -> None:
        self.session = session
        self.is_single = is_single
        self.backlog = backlog
        self.bound = Address("tcp", "")
        self.came = 0
        self.waiting: deque[Channel] = deque()
        self.changed = Signal()
        self.closed = False
        session.users.add(self)
        session.on_open = self.visited
        session.receiving.add_done_callback(lambda _: self.changed.wake())

    def visited(self, channel: Channel) -> None:
        if self.closed or len(self.waiting) >= self.backlog or (self.is_single and self.came):
            channel.post(Kind.FAILED, b"nobody waits")
            channel.abort()
            return
        self.came += 1
        channel.post(Kind.OPENED)
        self.waiting.append(channel)
        self.changed.wake()

    async def accept(self) -> Conn:
        while not self.closed:
            if self.waiting:
                return self.waiting.popleft()
            if self.session.over:
                raise ConnectionResetError("the session has ended")
            await self.changed.wait()
        raise ClosedError("the listener was closed")

    async def close(self) -> None:
        self.closed = True
        self.changed.wake()
        while self.waiting:
            self.waiting.popleft().abort()
        self.session.leave(self)
        await self.session.ended()

    def addr(self) -> Addr:
        return self.bound


class SshDialer(Settings, Dialer, Handshaker):
    """Logs in once a connection."""

    limit = 10.0
    session: type[SshSession] = SshSession

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        dialer = apply(DialOptions(), *opts).dialer or OwnNetwork()
        return await dialer.dial(ctx, "tcp", addr)

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        apply(HandshakeOptions(), *opts)
        self.check_ready()
        async with asyncio.timeout(self.limit):
            return await self.log_in(Packets(conn))

    async def log_in(self, carrier: Carrier) -> Conn:
        login = f"{self.auth.username}:{self.auth.password}"
        await carrier.send(message(Kind.HELLO, 0, login.encode()))
        match parsed(await carrier.receive()):
            case (Kind.WELCOME, _, _):
                return LoggedIn(self.session(carrier))
            case (Kind.REFUSED, _, _):
                raise PermissionError(f"the node refuses {self.auth.username!r}")
            case _:
                raise ProtocolError("the node answered the login by something else")


class SshConnector(Settings, Connector, Binder):
    """Opens a channel for each call."""

    is_single = False
    """Whether what is bound is for one visitor."""

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        session = self.checked(conn, network)
        apply(ConnectOptions(), *opts)
        split(address)
        channel = session.begin(address)
        if problem := await channel.opened:
            session.leave(channel)
            if problem == PROHIBITED.decode():
                raise PermissionError(f"the node does not connect to {address}")
            raise ConnectionRefusedError(f"the node cannot reach {address}: {problem}")
        if channel.error is not None:
            raise channel.error
        return channel

    async def bind(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: BindOption
    ) -> Listener:
        session = self.checked(conn, network)
        options = apply(BindOptions(), *opts)
        if options.mux and self.is_single:
            raise BindUnsupportedError("what is bound is for one visitor")
        listener = self.listener(session, options)
        if (bound := await session.forward(address or ":0")) is None:
            raise ConnectionRefusedError(f"the node does not listen on {address!r}")
        listener.bound = Address("tcp", bound)
        return listener

    def listener(self, session: SshSession, options: BindOptions) -> Forwarding:
        backlog = options.backlog or BACKLOG
        return Forwarding(session, is_single=self.is_single, backlog=backlog)

    def checked(self, conn: Conn, network: str) -> SshSession:
        self.check_ready()
        if not network.startswith("tcp"):
            raise UnsupportedError(f"SSH carries streams only, not {network}")
        if (found := find_capability(conn, LoggedIn)) is None:
            raise ValueError("SSH needs a connection of its own dialer")
        return found.session
