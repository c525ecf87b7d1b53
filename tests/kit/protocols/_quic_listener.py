"""The listener of the transport like QUIC: all that it has accepted lives on its one socket."""

import asyncio
import socket
from contextlib import suppress

from gost_core.common.net import Addr, ClosedError, Conn, HalfCloser
from gost_core.context import Context
from gost_core.metadata import Metadata
from tests.kit.common.net._sockets import DatagramConn, split
from tests.kit.listener._local import RightListener
from tests.kit.listener._serving import ServedConn
from tests.kit.protocols._quic import LOGIN, QuicSession
from tests.kit.protocols._sessions import Carrier, Kind, Stream, message, parsed


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
            except Exception:
                # Whatever goes wrong with it, an admission that does not answer lets nobody in.
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

    def read_settings(self, metadata: Metadata | None) -> None:
        super().read_settings(metadata)
        if self.options.proxy_protocol > 0:
            raise ValueError("proxy_protocol: no header comes ahead of datagrams")

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
            if self.closed:
                raise OSError("the listener was closed")
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
