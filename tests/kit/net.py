"""Trials of the checks of connections, of their capabilities, and of the dialer beneath them."""

import asyncio
import errno
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import ClassVar
from weakref import WeakValueDictionary

from gost_core.testing._doubles import Address, MemoryListener
from typing_extensions import Buffer

from gost_core.common.net import (
    Addr,
    ClosedError,
    Closer,
    Conn,
    ConnUnwrapper,
    ContextCarrier,
    Dialer,
    HalfCloser,
    Listener,
    PacketConn,
    UnsupportedError,
)
from gost_core.context import Context
from gost_core.keys import CLIENT_ID
from gost_core.testing import Report
from gost_core.testing.common.net import (
    CloserContract,
    ConnContract,
    ConnUnwrapperContract,
    ContextCarrierContract,
    DialerContract,
    HalfCloserContract,
    ListenerContract,
    PacketConnContract,
)
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


class SocketAddr(Addr):
    def __init__(self, network: str, name: tuple[object, ...] | str) -> None:
        self.words = network, name if isinstance(name, str) else f"{name[0]}:{name[1]}"

    def network(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return self.words[1]


class SocketConn(Conn, HalfCloser):
    """A connection over a socket that is connected: TCP, or UDP."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.datagrams = sock.type == socket.SOCK_DGRAM
        self.reader: asyncio.Future[None] | None = None
        self.writer: asyncio.Future[None] | None = None
        self.writing = False
        self.closed = False
        network = "udp" if self.datagrams else "tcp"
        self.local: Addr = SocketAddr(network, sock.getsockname())
        try:
            self.remote: Addr = SocketAddr(network, sock.getpeername())
        except OSError:
            self.remote = SocketAddr(network, "")

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"read({n}) asks for nothing")
        while True:
            self.check_open()
            try:
                # No await between the readiness and this, so a cancel loses nothing (D7).
                data = self.sock.recv(n)
            except BlockingIOError:
                await self.readable()
            else:
                if data or not self.datagrams:
                    return data

    async def write(self, data: Buffer, /) -> None:
        self.check_open()
        if self.writing:
            raise RuntimeError("another task is writing")
        self.writing = True
        try:
            rest = memoryview(data).cast("B")
            if self.datagrams and not rest:
                self.sock.send(rest)
            while rest:
                try:
                    rest = rest[self.sock.send(rest) :]
                except BlockingIOError:
                    await self.writable()
                    self.check_open()
        finally:
            self.writing = False

    async def close_write(self) -> None:
        self.check_open()
        self.sock.shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.remove_reader(self.sock)
            self.loop.remove_writer(self.sock)
            self.sock.close()
            for waiter in (self.reader, self.writer):
                wake(waiter)

    def local_addr(self) -> Addr:
        return self.local

    def remote_addr(self) -> Addr:
        return self.remote

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("this connection was closed here")

    async def readable(self) -> None:
        if self.reader is not None:
            raise RuntimeError("another task is reading")
        self.reader = self.loop.create_future()
        self.loop.add_reader(self.sock, wake, self.reader)
        try:
            await self.reader
        finally:
            self.reader = None
            if not self.closed:
                self.loop.remove_reader(self.sock)

    async def writable(self) -> None:
        self.writer = self.loop.create_future()
        self.loop.add_writer(self.sock, wake, self.writer)
        try:
            await self.writer
        finally:
            self.writer = None
            if not self.closed:
                self.loop.remove_writer(self.sock)


def wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def sockets(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    if kind == socket.SOCK_STREAM:
        with socket.create_server(("127.0.0.1", 0)) as server:
            here = socket.create_connection(server.getsockname())
            return here, server.accept()[0]
    pair = socket.socket(type=kind), socket.socket(type=kind)
    for sock in pair:
        sock.bind(("127.0.0.1", 0))
    for sock, peer in zip(pair, reversed(pair), strict=True):
        sock.connect(peer.getsockname())
    return pair


async def reset(conn: Conn) -> None:
    assert isinstance(conn, SocketConn)
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await conn.close()


MakeConn = Callable[[socket.socket], Conn]


def run_conn(make: MakeConn) -> Coroutine[object, object, Report]:
    async def pair(kind: socket.SocketKind) -> tuple[Conn, Conn]:
        here, there = sockets(kind)
        return make(here), SocketConn(there)

    return ConnContract(
        lambda: pair(socket.SOCK_STREAM),
        make_datagram=lambda: pair(socket.SOCK_DGRAM),
        break_off=reset,
        time_limit=TIME_LIMIT,
    ).run()


conn = Trial[MakeConn](ConnContract, run_conn, SocketConn)


@conn.breaks("shape")
class SyncWrite(SocketConn):
    def write(self, data: Buffer, /) -> None:  # type: ignore  # the fault
        self.sock.sendall(data)


@conn.breaks("addresses")
class Nowhere(SocketConn):
    def remote_addr(self) -> Addr:
        return None  # type: ignore  # the fault


@conn.breaks("addresses")
class BareIPv6(SocketConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.remote = SocketAddr("tcp", ("::1", 80))


@conn.breaks("addresses")
class GoNetwork(SocketConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.remote = SocketAddr("TCP", ("127.0.0.1", 80))


@conn.breaks("addresses-after-close")
class AskingTheSocket(SocketConn):
    def local_addr(self) -> Addr:
        return SocketAddr("tcp", self.sock.getsockname())


@conn.breaks("reads-what-is-there")
class ReadingExactly(SocketConn):
    async def read(self, n: int, /) -> bytes:
        data = piece = await super().read(n)
        while piece and len(data) < n and not self.datagrams:
            piece = await super().read(n - len(data))
            data += piece
        return data


@conn.breaks("reads-at-most")
class ReadingTooMuch(SocketConn):
    async def read(self, n: int, /) -> bytes:
        return await super().read(65535 if n > 0 else n)


@conn.breaks("reads-at-least-one")
class ReadingNothing(SocketConn):
    async def read(self, n: int, /) -> bytes:
        return await super().read(n) if n > 0 else b""


@conn.breaks("duplex")
class OneLock(SocketConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.lock = asyncio.Lock()

    async def read(self, n: int, /) -> bytes:
        async with self.lock:
            return await super().read(n)

    async def write(self, data: Buffer, /) -> None:
        async with self.lock:
            await super().write(data)


@conn.breaks("transfer")
class CuttingTheStream(SocketConn):
    async def read(self, n: int, /) -> bytes:
        return (await super().read(65535 if n > 0 else n))[:n]


@conn.breaks("any-buffer")
class CountingItems(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        view = memoryview(data)
        await super().write(view.tobytes()[: len(view)])


@conn.breaks(
    "buffer-not-kept", history="25cd60d #896 a pooled buffer lives on in what was returned"
)
class Keeping(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        self.kept = memoryview(data)
        await super().write(data)


@conn.breaks("empty-is-no-end")
class EndingOnEmpty(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        if not memoryview(data).nbytes:
            self.sock.shutdown(socket.SHUT_WR)
        await super().write(data)


@conn.breaks("write-waits")
class Unbounded(SocketConn):
    """Takes everything and sends it by and by."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.queue = bytearray()
        self.fault: OSError | None = None

    async def write(self, data: Buffer, /) -> None:
        self.check_open()
        if self.fault is not None:
            raise self.fault
        if self.datagrams:
            return await super().write(data)
        self.queue += memoryview(data).cast("B")
        self.send()

    def send(self) -> None:
        try:
            while self.queue and not self.closed:
                del self.queue[: self.sock.send(self.queue)]
        except BlockingIOError:
            self.loop.call_later(0.001, self.send)
        except OSError as error:
            self.fault = error


@conn.breaks("end")
class RaisingAtTheEnd(SocketConn):
    async def read(self, n: int, /) -> bytes:
        if data := await super().read(n):
            return data
        raise EOFError("the stream has ended")


@conn.breaks("end")
class EndingOnce(SocketConn):
    ended = False

    async def read(self, n: int, /) -> bytes:
        if self.ended:
            await asyncio.Event().wait()
        data = await super().read(n)
        self.ended = not data
        return data


@conn.breaks("write-to-gone-peer", history="e9372ea what was dropped is reported as sent")
class PretendingToSend(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        with suppress(ConnectionError):
            await super().write(data)


@conn.breaks("broken-off")
class ResetAsEnd(SocketConn):
    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionResetError:
            return b""


@conn.breaks("read-cancellable")
class CancelledAsTimeout(SocketConn):
    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except asyncio.CancelledError:
            raise TimeoutError("the read timed out") from None


@conn.breaks("cancelled-read-loses-nothing")
class LosingWhatCameBesideACancel(SocketConn):
    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        await asyncio.sleep(0)
        return data


@conn.breaks("write-cancellable")
class Stubborn(SocketConn):
    async def writable(self) -> None:
        try:
            await super().writable()
        except asyncio.CancelledError:
            await super().writable()


@conn.breaks("time-outs-apart", history="x mux: the streams of a session share one deadline")
class SharedDeadline(SocketConn):
    readers: ClassVar[set[asyncio.Future[None]]] = set()

    async def readable(self) -> None:
        waiting = asyncio.ensure_future(super().readable())
        self.readers.add(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            for reader in self.readers - {waiting}:
                reader.cancel()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise TimeoutError("the session's deadline has passed") from None
        finally:
            self.readers.discard(waiting)


@conn.breaks(
    "outlives-its-maker", history="221144f the connection ends with the context of its dial"
)
class DyingWithItsMaker(SocketConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: asyncio.ensure_future(self.close()))


@conn.breaks("writers-not-mixed")
class SendingPiecemeal(SocketConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.lock = asyncio.Lock()

    async def write(self, data: Buffer, /) -> None:
        view = memoryview(data).cast("B")
        self.check_open()
        for start in range(0, len(view) or 1, 65536):
            async with self.lock:
                await super().write(view[start : start + 65536])
            await asyncio.sleep(0)


@conn.breaks("readers-not-mixed")
class SharingWhatIsRead(SocketConn):
    reading: asyncio.Future[bytes] | None = None

    async def read(self, n: int, /) -> bytes:
        if self.reading is not None:
            return await asyncio.shield(self.reading)
        self.reading = self.loop.create_future()
        try:
            data = await super().read(n)
            self.reading.set_result(data)
            return data
        finally:
            self.reading.cancel()
            self.reading = None


LEFT_OPEN: list[socket.socket] = []


@conn.breaks("close-reaches-peer")
class ClosingNothing(SocketConn):
    async def close(self) -> None:
        if not self.closed:
            LEFT_OPEN.append(self.sock.dup())
        await super().close()


@conn.breaks("last-words")
class SendingLater(SocketConn):
    """Gathers small writes for one turn of the event loop, and forgets them at close."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.gathered = bytearray()
        self.fault: OSError | None = None

    async def write(self, data: Buffer, /) -> None:
        view = memoryview(data).cast("B")
        self.check_open()
        if self.fault is not None:
            raise self.fault
        if len(view) <= 8192:
            self.gathered += view
            self.loop.call_soon(self.flush)
            return
        while self.gathered and self.fault is None:  # noqa: ASYNC110 the fault need not be elegant
            await asyncio.sleep(0)
        await super().write(view)

    def flush(self) -> None:
        try:
            while self.gathered and not self.closed:
                del self.gathered[: self.sock.send(self.gathered)]
        except BlockingIOError:
            self.loop.call_later(0.001, self.flush)
        except OSError as error:
            self.fault = error


@conn.breaks("close-twice", history="#779 a65b7a0 a channel is closed twice")
class ClosingOnce(SocketConn):
    async def close(self) -> None:
        self.check_open()
        await super().close()


@conn.breaks("close-at-once")
class ClosingAhead(SocketConn):
    closing = False
    contended = False

    async def close(self) -> None:
        if self.closing:
            self.contended = True
            return
        self.closing = True
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0.5 if self.contended else 0)
        finally:
            await super().close()


@conn.breaks("close-after-peer", history="007ff0b close fails when the other side has closed")
class ClosingNoisily(SocketConn):
    async def close(self) -> None:
        try:
            ended = not self.closed and self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            ended = False
        await super().close()
        if ended:
            raise ConnectionResetError("the peer was first")


@conn.breaks("close-wakes-read")
class LeavingTheReader(SocketConn):
    async def close(self) -> None:
        self.reader = None
        await super().close()


@conn.breaks("read-after-close")
class EndAfterClose(SocketConn):
    async def read(self, n: int, /) -> bytes:
        return b"" if self.closed else await super().read(n)


@conn.breaks("write-after-close")
class WritingToNobody(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        if not self.closed:
            await super().write(data)


@conn.breaks("close-bounded")
class WaitingForThePeer(SocketConn):
    unsent = False

    async def write(self, data: Buffer, /) -> None:
        try:
            await super().write(data)
        except asyncio.CancelledError:
            self.unsent = True
            raise

    async def close(self) -> None:
        try:
            if self.unsent:
                await self.writable()
        finally:
            await super().close()


@conn.breaks("close-wakes-write")
class LeavingTheWriter(SocketConn):
    async def close(self) -> None:
        self.writer = None
        await super().close()


@conn.breaks("close-cancelled")
class ClosingInTwoSteps(SocketConn):
    async def close(self) -> None:
        await asyncio.sleep(0.001)
        await super().close()


@conn.breaks("datagram-whole")
class JoiningDatagrams(SocketConn):
    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        with suppress(BlockingIOError):
            while self.datagrams and len(data) < n:
                data += self.sock.recv(n - len(data))
        return data


@conn.breaks("datagram-cut")
class KeepingTheRest(SocketConn):
    rest = b""

    async def read(self, n: int, /) -> bytes:
        if not self.datagrams or n < 1:
            return await super().read(n)
        data = self.rest or await super().read(65535)
        self.rest = data[n:]
        return data[:n]


@conn.breaks("datagram-not-empty")
class PassingEmptyDatagrams(SocketConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.datagrams = False


@conn.breaks("datagram-too-long", history="e9372ea what was dropped is reported as sent")
class DroppingLongDatagrams(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        if not self.datagrams or memoryview(data).nbytes <= 65507:
            await super().write(data)


class DatagramConn(SocketConn, PacketConn):
    """A UDP socket, connected or not."""

    async def read(self, n: int, /) -> bytes:
        self.check_connected()
        return await super().read(n)

    async def write(self, data: Buffer, /) -> None:
        self.check_connected()
        await super().write(data)

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        if n < 1:
            raise ValueError(f"read_from({n}) asks for nothing")
        while True:
            self.check_open()
            try:
                data, name = self.sock.recvfrom(n)
            except BlockingIOError:
                await self.readable()
            else:
                return data, SocketAddr("udp", name)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        name = split(str(addr))
        self.check_open()
        if str(self.remote) == str(addr):
            await self.write(data)
        elif str(self.remote):
            raise ValueError(f"this socket is connected to {self.remote}, not to {addr}")
        else:
            await self.send_to(data, name)

    async def send_to(self, data: Buffer, name: tuple[str, int]) -> None:
        while True:
            try:
                self.sock.sendto(memoryview(data).cast("B"), name)
            except BlockingIOError:
                await self.writable()
                self.check_open()
            else:
                return

    async def close_write(self) -> None:
        raise UnsupportedError("datagrams have no end")

    def check_connected(self) -> None:
        if not str(self.remote):
            raise UnsupportedError("this socket has no peer")


def split(addr: str) -> tuple[str, int]:
    host, _, port = addr.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{addr!r} is not host:port")
    if host.startswith("[") != host.endswith("]"):
        raise ValueError(f"{addr!r}: a bracket is missing")
    return host.strip("[]"), int(port)


MakePackets = Callable[[socket.socket], Conn]


def run_packets(make: MakePackets) -> Coroutine[object, object, Report]:
    async def trio() -> tuple[Conn, Conn, Conn]:
        socks = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(3)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return make(socks[0]), DatagramConn(socks[1]), DatagramConn(socks[2])

    async def connected() -> tuple[Conn, Conn]:
        here, there = sockets(socket.SOCK_DGRAM)
        return make(here), DatagramConn(there)

    return PacketConnContract(trio, make_connected=connected, time_limit=TIME_LIMIT).run()


packet_conn = Trial[MakePackets](PacketConnContract, run_packets, DatagramConn)


@packet_conn.breaks("shape")
class SyncWriteTo(DatagramConn):
    def write_to(self, data: Buffer, addr: Addr, /) -> None:  # type: ignore  # the fault
        self.sock.sendto(data, split(str(addr)))


@packet_conn.breaks("exchange", history="173de75 746811e an association mixes its targets")
class StickyTarget(DatagramConn):
    target: Addr | None = None

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if self.target is None and not str(self.remote) and str(addr).startswith("127.0.0.1"):
            split(str(addr))
            self.target = addr
        await super().write_to(data, self.target or addr)


@packet_conn.breaks("foreign-addr")
class OwnAddressesOnly(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if not isinstance(addr, SocketAddr) and not str(self.remote):
            split(str(addr))
            raise TypeError("not an address of this library")
        await super().write_to(data, addr)


@packet_conn.breaks("malformed-addr")
class MalformedAsOSError(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        try:
            split(str(addr))
        except ValueError as error:
            raise OSError("cannot send") from error
        await super().write_to(data, addr)


@packet_conn.breaks("whole")
class JoiningPackets(DatagramConn):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        data, addr = await super().read_from(n)
        try:
            while len(data) < n:
                data += self.sock.recv(n - len(data))
        except BlockingIOError:
            return data, addr
        return data, addr


@packet_conn.breaks("cut", history="x dtls: what does not fit is returned by the next read")
class KeepingTheRestOfPackets(DatagramConn):
    rest = b""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        if self.rest:
            data, self.rest = self.rest[:n], self.rest[n:]
            return data, self.local
        data, addr = await super().read_from(max(n, 65535) if n > 0 else n)
        self.rest = data[n:]
        return data[:n], addr


@packet_conn.breaks("reads-at-least-one")
class ReadingNoPacket(DatagramConn):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await super().read_from(n) if n > 0 else (b"", self.local)


@packet_conn.breaks("too-long", history="e9372ea a datagram that was dropped is reported as sent")
class DroppingLongPackets(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if memoryview(data).nbytes <= 65507:
            await super().write_to(data, addr)


@packet_conn.breaks("any-buffer")
class CountingItemsOfPackets(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        view = memoryview(data)
        await super().write_to(view.tobytes()[: len(view)], addr)


@packet_conn.breaks("any-buffer", history="25cd60d #896 a pooled buffer lives on")
class KeepingPackets(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.kept = memoryview(data)
        await super().write_to(data, addr)


@packet_conn.breaks("read-cancellable")
class CancelledPacketAsTimeout(DatagramConn):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        try:
            return await super().read_from(n)
        except asyncio.CancelledError:
            raise TimeoutError("the read timed out") from None


@packet_conn.breaks("cancelled-read-loses-nothing")
class LosingPackets(DatagramConn):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        received = await super().read_from(n)
        await asyncio.sleep(0)
        return received


@packet_conn.breaks("unconnected")
class AnsweringWhoWroteLast(DatagramConn):
    async def write(self, data: Buffer, /) -> None:
        if str(self.remote) or self.closed:
            await super().write(data)


@packet_conn.breaks("remote-addr-nowhere")
class ZeroAddress(DatagramConn):
    def remote_addr(self) -> Addr:
        return self.remote if str(self.remote) else SocketAddr("udp", ("0.0.0.0", 0))


@packet_conn.breaks("connected-peer", history="a9be7e6 write_to fails on a connected socket")
class SendingToOnConnected(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if str(self.remote) == str(addr):
            raise OSError(errno.EISCONN, "the socket is connected")
        await super().write_to(data, addr)


@packet_conn.breaks("connected-elsewhere")
class AlwaysToThePeer(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await super().write_to(data, self.remote if str(self.remote) else addr)


@packet_conn.breaks("close-wakes-read")
class LeavingThePacketReader(DatagramConn):
    async def close(self) -> None:
        self.reader = None
        await super().close()


@packet_conn.breaks("use-after-close")
class SendingAfterClose(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if not self.closed:
            await super().write_to(data, addr)


class RightHalfCloser(SocketConn):
    """A stream that says so if what is below it cannot half-close, as a wrapper does."""

    able = True
    peer: socket.socket | None = None

    async def close(self) -> None:
        await super().close()
        if self.peer is not None:
            self.peer.close()

    async def close_write(self) -> None:
        if not self.able:
            raise UnsupportedError("the connection beneath cannot half-close")
        self.check_open()
        self.sock.shutdown(socket.SHUT_WR)


def run_half_closer(make: type[RightHalfCloser]) -> Coroutine[object, object, Report]:
    async def pair() -> tuple[Conn, Conn]:
        here, there = sockets(socket.SOCK_STREAM)
        return make(here), SocketConn(there)

    async def unable() -> Conn:
        here, there = sockets(socket.SOCK_STREAM)
        conn = make(here)
        conn.able = False
        conn.peer = there
        return conn

    return HalfCloserContract(pair, make_unable=unable, time_limit=TIME_LIMIT).run()


half_closer = Trial[type[RightHalfCloser]](HalfCloserContract, run_half_closer, RightHalfCloser)


@half_closer.breaks("shape")
class SyncCloseWrite(RightHalfCloser):
    def close_write(self) -> None:  # type: ignore  # the fault
        self.sock.shutdown(socket.SHUT_WR)


@half_closer.breaks("ends-stream", history="d189dc7 the end of a request is not passed on")
class SwallowingTheEnd(RightHalfCloser):
    ended = False

    async def close_write(self) -> None:
        self.check_open()
        if not self.able:
            await super().close_write()
        self.ended = True

    async def write(self, data: Buffer, /) -> None:
        if self.ended:
            raise BrokenPipeError("the outgoing stream was ended")
        await super().write(data)


@half_closer.breaks("reading-goes-on", history="db21de8 the answer is cut off at the request's end")
class EndingBoth(RightHalfCloser):
    async def close_write(self) -> None:
        await super().close_write()
        self.sock.shutdown(socket.SHUT_RD)


@half_closer.breaks("twice")
class EndingOnlyOnce(RightHalfCloser):
    ended = False

    async def close_write(self) -> None:
        if self.ended:
            raise OSError(errno.ENOTCONN, "the stream has been ended")
        await super().close_write()
        self.ended = True


@half_closer.breaks("write-after")
class DroppingAfterTheEnd(RightHalfCloser):
    async def write(self, data: Buffer, /) -> None:
        try:
            await super().write(data)
        except BrokenPipeError:
            return


@half_closer.breaks("after-close")
class EndingTheClosed(RightHalfCloser):
    async def close_write(self) -> None:
        if not self.closed:
            await super().close_write()


@half_closer.breaks("writing-goes-on", history="722dde5 1801451 a transfer one way is cut")
class ClosingAtTheEnd(RightHalfCloser):
    async def read(self, n: int, /) -> bytes:
        if not (data := await super().read(n)):
            self.sock.shutdown(socket.SHUT_WR)
        return data


@half_closer.breaks("unsupported")
class PretendingToEnd(RightHalfCloser):
    async def close_write(self) -> None:
        if self.able:
            await super().close_write()


@half_closer.breaks("unsupported")
class ClosingInstead(RightHalfCloser):
    async def close_write(self) -> None:
        if not self.able:
            await self.close()
        await super().close_write()


class PlainWrapper(Conn):
    def __init__(self, inner: Conn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()


class RightWrapper(PlainWrapper, HalfCloser, ConnUnwrapper):
    async def close_write(self) -> None:
        if not isinstance(self.inner, HalfCloser):
            raise UnsupportedError("the connection beneath cannot half-close")
        await self.inner.close_write()

    def unwrap_conn(self) -> Conn:
        return self.inner


class RightPacketWrapper(RightWrapper, PacketConn):
    @property
    def packets(self) -> PacketConn:
        assert isinstance(self.inner, PacketConn)
        return self.inner

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await self.packets.read_from(n)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self.packets.write_to(data, addr)


def right_wrap(inner: Conn) -> Conn:
    return RightPacketWrapper(inner) if isinstance(inner, PacketConn) else RightWrapper(inner)


Wrap = Callable[[Conn], Conn]


def run_wrapper(wrap: Wrap) -> Coroutine[object, object, Report]:
    return ConnUnwrapperContract(wrap, wrap_datagrams=wrap, time_limit=TIME_LIMIT).run()


wrapper = Trial[Wrap](ConnUnwrapperContract, run_wrapper, right_wrap)


class PropertyOf(RightWrapper):
    @property
    def unwrap_conn(self) -> Conn:  # type: ignore  # the fault
        return self.inner


@wrapper.breaks("shape")
def unwrapping_property(inner: Conn) -> Conn:
    return PropertyOf(inner)


class ToTheBottom(RightWrapper):
    def unwrap_conn(self) -> Conn:
        inner = self.inner
        while isinstance(inner, ConnUnwrapper):
            inner = inner.unwrap_conn()
        return inner


@wrapper.breaks("shows-inner")
def skipping_layers(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else ToTheBottom(inner)


class Itself(RightWrapper):
    def unwrap_conn(self) -> Conn:
        return self if isinstance(self.inner, ConnUnwrapper) else self.inner


@wrapper.breaks("shows-inner")
def unwrapping_itself(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Itself(inner)


class Masking(RightWrapper):
    async def read(self, n: int, /) -> bytes:
        return bytes(byte ^ 42 for byte in await super().read(n))

    async def write(self, data: Buffer, /) -> None:
        await super().write(bytes(byte ^ 42 for byte in bytes(data)))


@wrapper.breaks("bytes-unchanged")
def masking(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Masking(inner)


class Leaky(RightWrapper):
    async def close(self) -> None:
        """Close nothing."""


@wrapper.breaks("close-closes-inner")
def leaking(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Leaky(inner)


class HidingHalfClose(PlainWrapper, ConnUnwrapper):
    def unwrap_conn(self) -> Conn:
        return self.inner


@wrapper.breaks(
    "keeps-half-close", history="#867 x#78 bc44bab 49ceda6 c29517b a wrapper hides capabilities"
)
def hiding_half_close(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else HidingHalfClose(inner)


class Inventing(RightWrapper):
    async def close_write(self) -> None:
        if isinstance(self.inner, HalfCloser):
            await super().close_write()


@wrapper.breaks("invents-no-half-close")
def inventing(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else Inventing(inner)


class NoContext(RightWrapper, ContextCarrier):
    def context(self) -> Context | None:
        return None


@wrapper.breaks("shows-capabilities", history="x obfs, ReadWriteConn: the context is lost")
def losing_context(inner: Conn) -> Conn:
    return right_wrap(inner) if isinstance(inner, PacketConn) else NoContext(inner)


@wrapper.breaks("keeps-packets", history="3b4fd64 wrapping a UDP session makes a stream of it")
def streaming(inner: Conn) -> Conn:
    return RightWrapper(inner)


@wrapper.breaks("invents-no-packets")
def always_packets(inner: Conn) -> Conn:
    return RightPacketWrapper(inner)


class RightCarrier(ContextCarrier):
    def __init__(self) -> None:
        self.values = Context().with_value(CLIENT_ID, "a client")

    def context(self) -> Context | None:
        return self.values


def run_carrier(make: Callable[[], ContextCarrier]) -> Coroutine[object, object, Report]:
    async def made() -> ContextCarrier:
        return make()

    return ContextCarrierContract(made, time_limit=TIME_LIMIT).run()


carrier = Trial[Callable[[], ContextCarrier]](ContextCarrierContract, run_carrier, RightCarrier)


@carrier.breaks("shape")
class AsyncContext(RightCarrier):
    async def context(self) -> Context | None:  # type: ignore  # the fault
        return self.values


@carrier.breaks("context-or-none")
class ContextAsDict(RightCarrier):
    def context(self) -> Context | None:
        return {"client": "a client"}  # type: ignore  # the fault


@carrier.breaks("same-each-time")
class OnceOnly(RightCarrier):
    def context(self) -> Context | None:
        values, self.values = self.values, Context()
        return values


@carrier.breaks("outlives-its-maker", history="404aaae the context ends with the request")
class EndingWithItsMaker(RightCarrier):
    def __init__(self) -> None:
        super().__init__()
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(self.forget)

    def forget(self, _: object) -> None:
        self.values = Context()


class RightComponent(Closer):
    """Something with a background task, calls that wait, and something to release."""

    def __init__(self) -> None:
        self.held = True
        self.closing = asyncio.Event()
        self.working = asyncio.create_task(self.work())

    async def work(self) -> None:
        await asyncio.Event().wait()

    async def wait(self) -> None:
        await self.closing.wait()
        raise ClosedError("this component was closed")

    async def call(self, back: Callable[[], Awaitable[None]]) -> None:
        await back()

    async def close(self) -> None:
        self.release()
        await asyncio.wait({self.working})

    def release(self) -> None:
        self.held = False
        self.closing.set()
        self.working.cancel()


def run_closer(make: type[RightComponent]) -> Coroutine[object, object, Report]:
    async def made() -> RightComponent:
        return make()

    return CloserContract(
        made,
        wait=lambda component: component.wait(),
        call_back=lambda component, back: component.call(back),
        is_free=lambda component: not component.held,
        time_limit=TIME_LIMIT,
    ).run()


closer = Trial[type[RightComponent]](CloserContract, run_closer, RightComponent)


@closer.breaks("shape", history="x chain.Node: close is not awaited, and looks like a Closer's")
class SyncClose(RightComponent):
    def close(self) -> None:  # type: ignore  # the fault
        self.release()


@closer.breaks("closes")
class ReportingFaults(RightComponent):
    async def close(self) -> None:
        await super().close()
        raise OSError("the session had gone")


@closer.breaks("releases", history="x masque: closing closes nothing")
class KeepingWhatItHeld(RightComponent):
    async def close(self) -> None:
        await super().close()
        self.held = True


@closer.breaks("no-task-left", history="3cd4fad 50f4a6b 6248d4c probes outlive close")
class WorkingOn(RightComponent):
    async def close(self) -> None:
        self.held = False
        self.closing.set()


@closer.breaks("twice", history="#779 007ff0b a65b7a0 a channel is closed twice")
class ClosableOnce(RightComponent):
    async def close(self) -> None:
        if not self.held:
            raise ClosedError("this component was closed")
        await super().close()


@closer.breaks("at-once")
class ClosedAhead(RightComponent):
    begun = False
    contended = False

    async def close(self) -> None:
        if self.begun:
            self.contended = True
            return
        self.begun = True
        self.release()
        await asyncio.sleep(0)
        await asyncio.sleep(0.5 if self.contended else 0)
        await super().close()


@closer.breaks("cancelled")
class ReleasingLast(RightComponent):
    async def close(self) -> None:
        self.working.cancel()
        await asyncio.sleep(0.001)
        await super().close()


@closer.breaks("wakes-waiting", history="x wt: close does not wake Accept")
class LeavingWaiters(RightComponent):
    async def wait(self) -> None:
        await asyncio.Event().wait()


@closer.breaks("from-inside", history="7e31834 close from inside a call locks up")
class LockedWhileCalling(RightComponent):
    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def call(self, back: Callable[[], Awaitable[None]]) -> None:
        async with self.lock:
            await super().call(back)

    async def close(self) -> None:
        self.release()
        async with self.lock:
            await super().close()


LISTENERS: WeakValueDictionary[str, "RightListener"] = WeakValueDictionary()


class RightListener(MemoryListener):
    """A listener within this process, whose address is its own until it is closed."""

    def __init__(self, addr: str = "") -> None:
        super().__init__(Address("tcp", addr or f"192.0.2.1:{next(PORTS)}"))
        if str(self.addr()) in LISTENERS:
            raise OSError(errno.EADDRINUSE, f"{addr} is in use")
        LISTENERS[str(self.addr())] = self

    def free(self) -> None:
        LISTENERS.pop(str(self.addr()), None)

    async def close(self) -> None:
        self.free()
        await super().close()


PORTS = count(1024)


def run_listener(make: type[RightListener]) -> Coroutine[object, object, Report]:
    async def made() -> Listener:
        return make()

    async def made_at(addr: Addr) -> Listener:
        return make(str(addr))

    async def connect(addr: Addr) -> Conn:
        return LISTENERS[str(addr)].connect()

    return ListenerContract(made, connect, make_at=made_at, time_limit=TIME_LIMIT).run()


listener = Trial[type[RightListener]](ListenerContract, run_listener, RightListener)


@listener.breaks("shape")
class SyncAccept(RightListener):
    def accept(self) -> Conn:  # type: ignore  # the fault
        raise ClosedError("nothing waits here")


@listener.breaks("accepts", history="x http3: Accept gives neither connection nor error")
class Nothing(RightListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        await conn.close()
        return None  # type: ignore  # the fault


@listener.breaks("address", history="x dns, pht, http3: addr shows the port that was asked for")
class ForgettingTheAddress(RightListener):
    def addr(self) -> Address:
        return Address("tcp", "") if self.closed else super().addr()


@listener.breaks("outlives-its-caller", history="221144f what was bound ends with the call")
class EndingWithTheBind(RightListener):
    def __init__(self, addr: str = "") -> None:
        super().__init__(addr)
        task = asyncio.current_task()
        assert task is not None
        if not addr:
            task.add_done_callback(lambda _: asyncio.ensure_future(self.close()))


@listener.breaks("accept-cancellable")
class CancelledAcceptAsTimeout(RightListener):
    async def accept(self) -> Conn:
        try:
            return await super().accept()
        except asyncio.CancelledError:
            raise TimeoutError("nobody came") from None


@listener.breaks("cancelled-accept-loses-nothing")
class PreparingInAccept(RightListener):
    async def accept(self) -> Conn:
        conn = await super().accept()
        await asyncio.sleep(0)
        return conn


@listener.breaks("close-wakes-accept", history="x wt: close does not wake Accept")
class LeavingAccept(RightListener):
    async def accept(self) -> Conn:
        accepting = self.closed
        try:
            return await super().accept()
        except ClosedError:
            if not accepting:
                await asyncio.Event().wait()
            raise


@listener.breaks("accept-after-close")
class BadDescriptor(RightListener):
    async def accept(self) -> Conn:
        if self.closed:
            raise OSError(errno.EBADF, "the socket is closed")
        return await super().accept()


@listener.breaks(
    "close-twice", history="x listeners: the result of a second close is the system's error"
)
class ListenerClosedOnce(RightListener):
    async def close(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "the socket is closed")
        await super().close()


@listener.breaks("close-at-once")
class ListenerClosedAhead(RightListener):
    begun = False
    contended = False

    async def close(self) -> None:
        if self.begun:
            self.contended = True
            return
        self.begun = True
        await asyncio.sleep(0)
        await asyncio.sleep(0.5 if self.contended else 0)
        await super().close()


@listener.breaks("address-freed", history="#754 ba3e1cb the address is still in use after close")
class KeepingTheAddress(RightListener):
    def free(self) -> None:
        asyncio.get_running_loop().call_later(0.3, super().free)


@listener.breaks(
    "unaccepted-closed", history="x ws, mtls, quic: what is queued at close stays open"
)
class ForgettingTheQueue(RightListener):
    async def close(self) -> None:
        self._waiting.clear()
        await super().close()


@listener.breaks("accepted-survive")
class ClosingWhatWasAccepted(RightListener):
    def __init__(self, addr: str = "") -> None:
        super().__init__(addr)
        self.accepted: list[Conn] = []

    async def accept(self) -> Conn:
        self.accepted.append(await super().accept())
        return self.accepted[-1]

    async def close(self) -> None:
        await super().close()
        for conn in self.accepted:
            await conn.close()


class RightDialer(Dialer):
    tcp: type[SocketConn] = SocketConn
    udp: type[SocketConn] = DatagramConn
    networks: ClassVar[tuple[str, ...]] = ("tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix")

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if network not in self.networks:
            raise UnsupportedError(f"network {network!r} is not offered")
        if network == "unix":
            return await self.connect(socket.AF_UNIX, socket.SOCK_STREAM, addr)
        kind = socket.SOCK_STREAM if network.startswith("tcp") else socket.SOCK_DGRAM
        if kind == socket.SOCK_DGRAM and not addr:
            return self.open()
        host, port = self.split(addr)
        family = {"4": socket.AF_INET, "6": socket.AF_INET6}.get(network[-1], socket.AF_UNSPEC)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=kind)
        return await self.connect(found[0][0], kind, found[0][4])

    def split(self, addr: str) -> tuple[str, int]:
        return split(addr)

    def open(self) -> Conn:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 0))
        return self.udp(sock)

    async def connect(
        self, family: socket.AddressFamily, kind: socket.SocketKind, name: tuple[object, ...] | str
    ) -> Conn:
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, name)
        except BaseException:
            sock.close()
            raise
        return self.tcp(sock) if kind == socket.SOCK_STREAM else self.udp(sock)


def run_dialer(make: Callable[[], Dialer]) -> Coroutine[object, object, Report]:
    # Too long for a query, so the resolver knows without asking the network.
    unresolvable = "a." * 130 + "invalid:80"
    return DialerContract(make, unresolvable=unresolvable, time_limit=TIME_LIMIT).run()


dialer = Trial[Callable[[], Dialer]](DialerContract, run_dialer, RightDialer)


@dialer.breaks("shape")
class DialWithOptions(RightDialer):
    async def dial(  # type: ignore  # the fault
        self, ctx: Context, network: str, addr: str, options: object, /
    ) -> Conn:
        return await super().dial(ctx, network, addr)


@dialer.breaks("reaches")
class NoConn(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        conn = await super().dial(ctx, network, addr)
        if network != "tcp":
            return conn
        await conn.close()
        return None  # type: ignore  # the fault


@dialer.breaks("addresses")
class NoRemoteAddr(RightDialer):
    tcp = Nowhere


@dialer.breaks("networks", history="x http: only the exact name of a network counts")
class ExactNetworks(RightDialer):
    networks = ("tcp", "udp", "unix")


@dialer.breaks("resolves-names")
class NumbersOnly(RightDialer):
    def split(self, addr: str) -> tuple[str, int]:
        host, port = super().split(addr)
        if host == "localhost":
            raise ValueError(f"{host!r} is no IP address")
        return host, port


@dialer.breaks("unresolvable")
class UnresolvableAsConnectionError(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except socket.gaierror as error:
            raise ConnectionError("cannot resolve") from error


@dialer.breaks("refused")
class RefusedAsOSError(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except ConnectionRefusedError as error:
            raise OSError("cannot connect") from error


@dialer.breaks("unsupported")
class UnsupportedAsValueError(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if network == "gopher":
            raise ValueError(f"network {network!r} is not known")
        return await super().dial(ctx, network, addr)


@dialer.breaks("unsupported", history="x tunnel, router: the request is sent, then refused")
class RefusingLate(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if network != "gopher":
            return await super().dial(ctx, network, addr)
        conn = await super().dial(ctx, "tcp", addr)
        await conn.close()
        raise UnsupportedError(f"network {network!r} is not offered")


@dialer.breaks("malformed")
class GuessingThePort(RightDialer):
    def split(self, addr: str) -> tuple[str, int]:
        return (addr, 1) if ":" not in addr else super().split(addr)


@dialer.breaks("no-host", history="x socks5: an empty host becomes 127.0.0.1")
class GuessingTheHost(RightDialer):
    def split(self, addr: str) -> tuple[str, int]:
        return super().split(f"127.0.0.1{addr}" if addr.startswith(":") else addr)


@dialer.breaks("outlives-its-caller", history="221144f x#117 the connection ends with its dial")
class EndingWithTheDial(RightDialer):
    tcp = DyingWithItsMaker

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return await super().dial(ctx, network, addr)


@dialer.breaks("connections-apart", history="x mtls, mtcp, mws: Dial gives the shared connection")
class OneSession(RightDialer):
    def __init__(self) -> None:
        self.sessions: dict[tuple[str, str], Conn] = {}

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if (network, addr) not in self.sessions:
            self.sessions[network, addr] = await super().dial(ctx, network, addr)
        return self.sessions[network, addr]


@dialer.breaks("at-once")
class OneDialForAll(RightDialer):
    def __init__(self) -> None:
        self.dialing: dict[str, asyncio.Future[Conn]] = {}

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        if addr in self.dialing:
            return await asyncio.shield(self.dialing[addr])
        self.dialing[addr] = asyncio.get_running_loop().create_future()
        try:
            conn = await super().dial(ctx, network, addr)
            self.dialing[addr].set_result(conn)
            return conn
        finally:
            self.dialing.pop(addr).cancel()


@dialer.breaks("cancellable", history="b92c1b1 #777 a hop that says nothing is waited for for ever")
class CancelledDialAsTimeout(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        try:
            return await super().dial(ctx, network, addr)
        except asyncio.CancelledError:
            raise TimeoutError("the dial timed out") from None


@dialer.breaks(
    "silence-apart", history="18c1d60 c45d271 a lock is held while a dead peer is dialed"
)
class LockedWhileDialing(RightDialer):
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        async with self.lock:
            return await super().dial(ctx, network, addr)


LEFT_CONNECTED: list[asyncio.Future[Conn]] = []


@dialer.breaks("cancelled-frees")
class DialingOn(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        dialing = asyncio.ensure_future(super().dial(ctx, network, addr))
        try:
            return await asyncio.shield(dialing)
        except asyncio.CancelledError:
            LEFT_CONNECTED.append(dialing)
            raise


@dialer.breaks("udp")
class NeverConnected(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return self.open() if network == "udp" else await super().dial(ctx, network, addr)


@dialer.breaks("udp-elsewhere")
class SendingToThePeer(RightDialer):
    udp = AlwaysToThePeer


@dialer.breaks("udp-unconnected", history="x http3, masque: the socket is no PacketConn")
class NoPackets(RightDialer):
    def open(self) -> Conn:
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        return SocketConn(sock)


@dialer.breaks("unix")
class PathAsHost(RightDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return await super().dial(ctx, "tcp" if network == "unix" else network, addr)


trials = (conn, packet_conn, half_closer, wrapper, carrier, closer, listener, dialer)
