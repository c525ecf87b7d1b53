"""A transport like QUIC: datagrams beneath, a login, and streams above.

A stream is silent: the other side learns of it by the first byte. All that a listener has accepted
lives on its one socket.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gost_core.common.net import (
    Addr,
    ClosedError,
    Closer,
    Conn,
    HalfCloser,
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
from tests.kit.listener._local import RightListener
from tests.kit.listener._serving import ServedConn
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
        if tasks:
            await asyncio.wait(tasks)
        for session in tuple(self.sessions.values()):
            await session.close()

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("the dialer was closed")


# ---- The listener


class ServedStream(ServedConn, HalfCloser):
    def __init__(self, stream: Stream, listener: "QuicListener") -> None:
        super().__init__(stream, listener.options)
        self.stream = stream

    async def close_write(self) -> None:
        await self.stream.close_write()


class Peer(Carrier):
    """A client's messages, as they come on the socket of the listener."""

    def __init__(self, listener: "QuicListener", addr: Addr) -> None:
        self.listener = listener
        self.addr = addr
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.session: QuicSession | None = None
        self.task = asyncio.create_task(self.serve())
        self.task.add_done_callback(lambda _: listener.gone(self))

    async def serve(self) -> None:
        with suppress(OSError):
            if not await self.let_in():
                await self.send(message(Kind.REFUSED))
                return
            await self.send(message(Kind.WELCOME))
            self.session = session = QuicSession(self, self.listener.begun)
            if self.listener.closed:
                session.retire()
            await asyncio.wait({session.receiving})
            await session.ended()

    async def let_in(self) -> bool:
        async with asyncio.timeout(10):
            kind, _, login = parsed(await self.receive())
            if kind is not Kind.HELLO or login != LOGIN:
                return False
            admission, source = self.listener.options.admission, self.addr
            try:
                return admission is None or await admission.admit(
                    Context(), source.network(), str(source)
                )
            except OSError:
                return False

    def retire(self) -> None:
        if self.session is None:
            self.task.cancel()
        else:
            self.session.retire()

    def is_used(self) -> bool:
        return self.session is not None and not self.session.over

    async def send(self, message: bytes) -> None:
        await self.listener.send(message, self.addr)

    async def receive(self) -> bytes:
        return await self.inbox.get()

    async def close(self) -> None:
        """Leave the socket to the others."""

    def local_addr(self) -> Addr:
        return self.listener.addr()

    def remote_addr(self) -> Addr:
        return self.addr


class QuicListener(RightListener):
    """Accepts the streams of all clients; when it is closed, the last of them frees the socket."""

    receiving: "asyncio.Task[None] | None" = None
    freeing: "asyncio.Task[None] | None" = None

    def bind(self) -> None:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        try:
            sock.bind(split(self.options.addr))
        except OSError:
            sock.close()
            raise
        self.socket = DatagramConn(sock)
        self.address = self.socket.local_addr()

    def listen(self) -> None:
        self.peers: dict[str, Peer] = {}
        self.sending = asyncio.Lock()
        self.receiving = asyncio.create_task(self.receive())

    async def receive(self) -> None:
        with suppress(ClosedError):
            while True:
                data, addr = await self.socket.read_from(65535)
                peer = self.peers.get(str(addr))
                if peer is None and not self.closed and data[:1] == bytes([Kind.HELLO]):
                    peer = self.peers[str(addr)] = Peer(self, addr)
                if peer is not None:
                    peer.inbox.put_nowait(data)

    async def send(self, data: bytes, addr: Addr) -> None:
        async with self.sending:
            await self.socket.write_to(data, addr)

    def begun(self, stream: Stream) -> None:
        conn = ServedStream(stream, self)
        serving = asyncio.create_task(self.serve(conn))
        self.greetings[serving] = conn
        serving.add_done_callback(self.greetings.pop)

    async def ask(self, conn: ServedConn) -> None:
        """Do nothing: it was asked when the session began."""

    async def serve(self, conn: ServedConn) -> None:
        try:
            await self.admit(conn)
            if len(self.queue) >= self.backlog:
                raise OSError("the backlog is full")
        except BaseException as error:
            await conn.close()
            if not isinstance(error, Exception):
                raise
        else:
            self.put(conn)

    def gone(self, peer: Peer) -> None:
        self.peers.pop(str(peer.addr), None)
        if self.closed:
            self.free()

    def free(self) -> None:
        if not self.peers and self.freeing is None:
            self.freeing = asyncio.create_task(self.socket.close())

    def end(self) -> None:
        """Accept nobody from now on."""
        self.closed = True
        self.wake()
        if self.receiving is not None:
            for peer in tuple(self.peers.values()):
                peer.retire()
            self.free()

    async def close(self) -> None:
        self.end()
        if self.receiving is None:
            return
        # All of this goes on if this call is cancelled.
        conns: list[Conn] = [*self.greetings.values()]
        conns += [one for one in self.queue if not isinstance(one, Exception)]
        self.queue.clear()
        for serving in self.greetings:
            serving.cancel()
        ending = {*self.greetings, *(asyncio.create_task(conn.close()) for conn in conns)}
        if ending:
            await asyncio.wait(ending)
        if ended := [peer.task for peer in self.peers.values() if not peer.is_used()]:
            await asyncio.wait(ended)
        if self.freeing is not None:
            await asyncio.wait({self.freeing, self.receiving})
