"""Trials of the contract of connections that exchange datagrams."""

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from typing_extensions import Buffer

from gost_core.common.net import (
    Addr,
    Conn,
)
from gost_core.testing import Contract
from gost_core.testing._stage.streams import ALL
from gost_core.testing.common.net import (
    PacketConnContract,
)
from tests.kit.common.net._sockets import DatagramConn, SocketAddr, sockets, split
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


MakePackets = Callable[[socket.socket], Conn]


def run_packets(make: MakePackets) -> Contract:
    async def trio() -> tuple[Conn, Conn, Conn]:
        socks = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(3)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return make(socks[0]), DatagramConn(socks[1]), DatagramConn(socks[2])

    async def connected() -> tuple[Conn, Conn]:
        here, there = sockets(socket.SOCK_DGRAM)
        return make(here), DatagramConn(there)

    return PacketConnContract(trio, make_connected=connected, time_limit=TIME_LIMIT)


packet_conn = Trial[MakePackets](PacketConnContract, run_packets, DatagramConn)


@packet_conn.breaks("shape")
class SyncWriteTo(DatagramConn):
    def write_to(self, data: Buffer, addr: Addr, /) -> None:  # type: ignore  # the fault
        self.sock.sendto(data, split(str(addr)))


@packet_conn.breaks("readers-not-mixed")
class WakingTheLast(DatagramConn):
    async def readable(self) -> None:
        self.reader = None
        await super().readable()


@packet_conn.breaks("exchange", history="173de75 746811e an association mixes its targets")
class StickyTarget(DatagramConn):
    target: Addr | None = None

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if self.target is None and not str(self.remote) and str(addr).startswith("127.0.0.1"):
            split(str(addr))
            self.target = addr
        await super().write_to(data, self.target or addr)


class Reused(SocketAddr):
    def __init__(self) -> None:
        super().__init__("udp", "")


@packet_conn.breaks("exchange")
class OneAddress(DatagramConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.sender = Reused()

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        data, addr = await super().read_from(n)
        self.sender.words = addr.network(), str(addr)
        return data, self.sender


@packet_conn.breaks("foreign-addr")
class OfUDPOnly(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if addr.network() != "udp":
            raise ValueError(f"{addr} is an address of {addr.network()}")
        await super().write_to(data, addr)


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


@packet_conn.breaks("buffer-not-kept", history="25cd60d #896 a pooled buffer lives on")
class KeepingPackets(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.kept = memoryview(data)
        await super().write_to(data, addr)


@packet_conn.breaks("duplex")
class OneLock(DatagramConn):
    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.lock = asyncio.Lock()

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        async with self.lock:
            return await super().read_from(n)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        async with self.lock:
            await super().write_to(data, addr)


@packet_conn.breaks("writers-not-mixed")
class KeepingTheTarget(DatagramConn):
    target: tuple[str, int] = ("", 0)

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.target = split(str(addr))
        if str(self.remote) or self.closed:
            return await super().write_to(data, addr)
        await asyncio.sleep(0)
        await self.send_to(data, self.target)


@packet_conn.breaks("whole")
class StrippingPadding(DatagramConn):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        data, addr = await super().read_from(n)
        return data.rstrip(b"\0"), addr


@packet_conn.breaks("connected-peer")
class TellingNoPeer(DatagramConn):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        data, addr = await super().read_from(n)
        return data, SocketAddr("udp", "") if str(self.remote) else addr


@packet_conn.breaks("unconnected")
class ReadingAnybodys(DatagramConn):
    used = False

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        self.used = True
        return await super().read_from(n)

    async def read(self, n: int, /) -> bytes:
        if self.used and not str(self.remote):
            return (await super().read_from(n))[0]
        return await super().read(n)


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


@packet_conn.breaks("connected-not-empty")
class GivingOutTheEmpty(DatagramConn):
    async def read(self, n: int, /) -> bytes:
        self.check_connected()
        return (await self.read_from(n))[0]


@packet_conn.breaks("connected-elsewhere")
class AlwaysToThePeer(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await super().write_to(data, self.remote if str(self.remote) else addr)


@packet_conn.breaks("connected-heard")
class TakingAnybodys(DatagramConn):
    """Sends to one peer, by a socket that takes what anybody sends."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        if str(self.remote):
            home = sock.getsockname()
            sock.close()
            self.sock = socket.socket(type=socket.SOCK_DGRAM)
            self.sock.setblocking(False)
            self.sock.bind(home)

    async def write(self, data: Buffer, /) -> None:
        self.check_open()
        self.check_connected()
        await self.send_to(data, split(str(self.remote)))


@packet_conn.breaks("close-wakes-read")
class LeavingThePacketReader(DatagramConn):
    async def close(self) -> None:
        self.reader = None
        await super().close()


@packet_conn.breaks("write-after-close")
class SendingAfterClose(DatagramConn):
    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        if not self.closed:
            await super().write_to(data, addr)


@packet_conn.breaks("use-after-close")
class ClosingByAndBy(DatagramConn):
    async def close(self) -> None:
        if not self.closed:
            self.end()
            try:
                await asyncio.sleep(0.05)
            finally:
                self.sock.close()


@packet_conn.breaks("whole")
class EndingByNothing(DatagramConn):
    """Takes an empty datagram for the end."""

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        data, addr = await super().read_from(n)
        if not data:
            raise ConnectionResetError("the peer has ended it")
        return data, addr


@packet_conn.breaks("connected-cancelled")
class ReadingOnOfOnePeer(DatagramConn):
    """Leaves a read() of a connected socket to itself when it is cancelled."""

    async def read(self, n: int, /) -> bytes:
        reading = asyncio.ensure_future(super().read(n))
        await asyncio.wait({reading})
        return reading.result()


@packet_conn.breaks("buffer-not-kept")
class ReleasingTheView(DatagramConn):
    """Releases a view once it is sent, though it is the caller's own."""

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await super().write_to(data, addr)
        if isinstance(data, memoryview):
            data.release()


@packet_conn.breaks("use-after-close")
class GivingOutItsQueue(DatagramConn):
    """Takes all that has come at once, and gives that out after close() too."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.queue: deque[tuple[bytes, Addr]] = deque()

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        if n < 1 or not self.queue:
            self.queue.append(await super().read_from(n if n < 1 else ALL))
            with suppress(BlockingIOError):
                while True:
                    data, name = self.sock.recvfrom(ALL)
                    self.queue.append((data, SocketAddr("udp", name)))
        data, addr = self.queue.popleft()
        return data[:n], addr


@packet_conn.breaks("undelivered")
class EndedByTheUnreachable(DatagramConn):
    """Takes a datagram that nobody took for the end of the connection."""

    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionRefusedError:
            await self.close()
            raise


@packet_conn.breaks("undelivered")
class RefusedForGood(DatagramConn):
    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionRefusedError as error:
            self.refused = error
            raise

    refused: ConnectionRefusedError | None = None

    def check_open(self) -> None:
        super().check_open()
        if self.refused is not None:
            raise self.refused


@packet_conn.breaks("remote-addr-nowhere")
class AskingTheSystem(DatagramConn):
    def local_addr(self) -> Addr:
        return SocketAddr("udp", self.sock.getsockname())
