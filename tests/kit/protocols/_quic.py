"""A transport like QUIC: datagrams beneath, a login, and streams above.

A stream is silent: the other side learns of it by the first byte. All that a listener has accepted
lives on its one socket.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from gost_core.common.net import (
    Addr,
    ClosedError,
    Closer,
    Conn,
    PacketConn,
    ProtocolError,
    UnsupportedError,
)
from gost_core.common.net import Dialer as NetDialer
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.dialer import Dialer, DialOption, DialOptions, Multiplexer
from gost_core.options import apply
from tests.kit.common.net._sockets import DatagramConn, split
from tests.kit.dialer._protocol import PASSWORD, Settings
from tests.kit.protocols._sessions import (
    STREAMS,
    Carrier,
    Kind,
    Session,
    Stream,
    message,
    parsed,
)

LOGIN: Final = f"alice:{PASSWORD}".encode()


class OwnNetwork(NetDialer):
    """This host's own datagrams."""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        try:
            sock.connect(split(addr))
        except BaseException:
            sock.close()
            raise
        return DatagramConn(sock)


class OwnSocket(Carrier):
    """A client's messages: each is a datagram of a connected socket."""

    def __init__(self, conn: Conn) -> None:
        if not isinstance(conn, PacketConn):
            raise UnsupportedError("QUIC needs datagrams beneath")
        self.conn = conn

    async def send(self, message: bytes) -> None:
        await self.conn.write(message)

    async def receive(self) -> bytes:
        return await self.conn.read(65535)

    async def close(self) -> None:
        await self.conn.close()

    def local_addr(self) -> Addr:
        return self.conn.local_addr()

    def remote_addr(self) -> Addr:
        return self.conn.remote_addr()


class QuicSession(Session):
    longest = 1200
    highest = 0

    def __init__(
        self, carrier: Carrier, on_stream: Callable[[Stream], object] | None = None
    ) -> None:
        super().__init__(carrier, is_client=on_stream is None)
        self.on_stream = on_stream

    def take(self, kind: Kind, number: int, data: bytes) -> None:
        if number <= self.highest or kind not in (Kind.DATA, Kind.END) or self.on_stream is None:
            # Something late for a stream that was closed here.
            return
        if len(self.streams) >= STREAMS or number % 2 == 0:
            raise ProtocolError("no such stream may be begun")
        self.highest = number
        stream = self.add(self.stream(number))
        stream.take(kind, data)
        self.on_stream(stream)


class Opening:
    """A session that is being opened, for all who wait for it."""

    def __init__(self, task: "asyncio.Task[QuicSession]") -> None:
        self.task = task
        self.waiting = 0

    def abandon(self) -> None:
        """Open it for nobody."""
        self.task.cancel()
        if self.task.done() and not self.task.cancelled() and self.task.exception() is None:
            self.task.result().retire()


class QuicDialer(Settings, Dialer, Multiplexer, Closer):
    """Gives streams of one session for each address."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.closed = False
        self.sessions: dict[str, QuicSession] = {}
        self.openings: dict[str, Opening] = {}

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        self.check_open()
        session = self.sessions.get(addr)
        if session is None or session.over:
            return await self.first(addr, apply(DialOptions(), *opts))
        return session.open()

    async def first(self, addr: str, options: DialOptions) -> Conn:
        if (opening := self.openings.get(addr)) is None:
            # Not the caller's context: the session serves later requests too.
            task = asyncio.create_task(self.opened(addr, options))
            opening = self.openings[addr] = Opening(task)
        opening.waiting += 1
        try:
            await asyncio.wait({opening.task})
            self.check_open()
            return opening.task.result().open()
        finally:
            opening.waiting -= 1
            if not opening.waiting:
                if self.openings.get(addr) is opening:
                    del self.openings[addr]
                opening.abandon()

    async def opened(self, addr: str, options: DialOptions) -> QuicSession:
        conn = await (options.dialer or OwnNetwork()).dial(Context(), "udp", addr)
        try:
            self.check_open()
            carrier = OwnSocket(conn)
            await self.log_in(carrier)
        except BaseException:
            await conn.close()
            raise
        self.sessions[addr] = session = self.session(carrier)
        # It is used before it can end, or it is abandoned.
        session.stays = True
        return session

    def session(self, carrier: Carrier) -> QuicSession:
        return QuicSession(carrier)

    async def log_in(self, carrier: Carrier) -> None:
        login = f"{self.auth.username}:{self.auth.password}"
        await carrier.send(message(Kind.HELLO, 0, login.encode()))
        match parsed(await carrier.receive())[0]:
            case Kind.WELCOME:
                pass
            case Kind.REFUSED:
                raise PermissionError(f"the node refuses {self.auth.username!r}")
            case Kind.GOODBYE:
                raise ConnectionResetError("the node ended the session")
            case _:
                raise ProtocolError("the node answered the login by something else")

    def multiplex(self) -> bool:
        return True

    async def close(self) -> None:
        self.closed = True
        # One of them may be what calls this.
        tasks = {opening.task for opening in self.openings.values()} - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        for session in self.sessions.values():
            session.end()  # also when what follows is cancelled
        if tasks:
            await asyncio.wait(tasks)
        for session in tuple(self.sessions.values()):
            await session.close()

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("the dialer was closed")
