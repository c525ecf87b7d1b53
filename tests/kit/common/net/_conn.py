"""Trials of the contract of connections."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from typing_extensions import Buffer

from gost_core.common.net import (
    Addr,
    Conn,
)
from gost_core.testing import Contract
from gost_core.testing._stage.streams import ALL
from gost_core.testing.common.net import (
    ConnContract,
)
from tests.kit._stuck import closing_ahead, closing_for_all
from tests.kit.common.net._sockets import GRACE, SocketAddr, SocketConn, sockets, unsent, wake
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


async def reset(conn: Conn) -> None:
    assert isinstance(conn, SocketConn)
    conn.abort()


MakeConn = Callable[[socket.socket], Conn]


def run_conn(make: MakeConn) -> Contract:
    peers: dict[Conn, Conn] = {}

    async def pair(kind: socket.SocketKind) -> tuple[Conn, Conn]:
        one, other = sockets(kind)
        here, there = make(one), SocketConn(other)
        peers[there] = here
        if isinstance(here, EndingWhenBothHave):
            here.peer = there
        return here, there

    async def ask(there: Conn) -> Callable[[], bool]:
        here = peers[there]
        # No socket asks for anything; the faulty one is asked beside the stream.
        return here.ask() if isinstance(here, AnsweringInRead) else lambda: True

    return ConnContract(
        lambda: pair(socket.SOCK_STREAM),
        make_datagram=lambda: pair(socket.SOCK_DGRAM),
        break_off=reset,
        # What has arrived is read before the reset shows.
        cut=reset,
        ask=ask,
        time_limit=TIME_LIMIT,
    )


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


@conn.breaks("addresses-after-close")
class AskingForThePeer(SocketConn):
    def remote_addr(self) -> Addr:
        if not self.closed:
            self.remote = SocketAddr(self.remote.network(), self.sock.getpeername())
        return self.remote


@conn.breaks("reads-what-is-there")
class ReadingExactly(SocketConn):
    async def read(self, n: int, /) -> bytes:
        data = piece = await super().read(n)
        while piece and len(data) < n and not self.datagrams:
            piece = await super().read(n - len(data))
            data += piece
        return data


@conn.breaks("reads-what-is-there")
class ReadingOtherBytes(SocketConn):
    async def read(self, n: int, /) -> bytes:
        return bytearray(await super().read(n))  # type: ignore  # the fault


@conn.breaks("reads-at-most")
class ReadingTooMuch(SocketConn):
    async def read(self, n: int, /) -> bytes:
        return await super().read(65535 if n > 0 else n)


@conn.breaks("reads-at-most")
class GoingOnWithWhatWasCancelled(SocketConn):
    """Has the next read take what the one asked for that was cancelled."""

    size = 0

    async def read(self, n: int, /) -> bytes:
        self.size = size = self.size if n > 0 and not self.datagrams and self.size else n
        data = await super().read(size)
        self.size = 0
        return data


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


@conn.breaks("ways-apart")
class OneBuffer(SocketConn):
    """Reads into the buffer from which a write that waits goes on."""

    size = 16384

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.buffer = bytearray(self.size)

    async def read(self, n: int, /) -> bytes:
        data = await super().read(n)
        self.buffer[: len(data)] = data[: self.size]
        return data

    async def write(self, data: Buffer, /) -> None:
        rest = memoryview(data).cast("B")
        if self.datagrams or self.writing or not rest:
            return await super().write(data)
        while piece := rest[: self.size]:
            self.buffer[: len(piece)] = piece
            await super().write(memoryview(self.buffer)[: len(piece)])
            rest = rest[self.size :]


@conn.breaks("any-buffer")
class CountingItems(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        view = memoryview(data)
        await super().write(view.tobytes()[: len(view)])


@conn.breaks("any-buffer")
class GoingOnByItems(SocketConn):
    """Goes on after a part that was sent as if its bytes were items."""

    async def write(self, data: Buffer, /) -> None:
        size, view = 2048, memoryview(data)
        while view.ndim == 1 and view.nbytes > size > view.itemsize > 1:
            await super().write(view.tobytes()[:size])
            view = view[size:]
        await super().write(view)


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
                with self.break_kept():
                    del self.queue[: self.sock.send(self.queue)]
        except BlockingIOError:
            self.loop.call_later(0.001, self.send)
        except OSError as error:
            self.fault = error


@conn.breaks("write-waits")
class SharingTheRoom(SocketConn):
    """All connections together have room for what waits to be sent."""

    taken: ClassVar[list[int]] = []
    waiting: ClassVar[list[asyncio.Future[None]]] = []

    async def write(self, data: Buffer, /) -> None:
        self.check_open()
        if self.writing:
            raise RuntimeError("another task is writing")
        size = memoryview(data).nbytes
        while self.taken and sum(self.taken) + size > 1 << 20:
            self.writer = self.loop.create_future()
            self.waiting.append(self.writer)
            await self.writer
            self.check_open()
        self.taken.append(size)
        try:
            await super().write(data)
        finally:
            self.taken.remove(size)
            while self.waiting:
                wake(self.waiting.pop())


@conn.breaks("write-waits")
class TakingTheLast(SocketConn):
    """Waits until it has sent what it took, and then takes anything."""

    sending: asyncio.Task[None] | None = None

    async def write(self, data: Buffer, /) -> None:
        if self.sending is not None:
            await asyncio.wait({self.sending})
        self.check_open()
        view = memoryview(data).cast("B")
        if len(view) <= 1 << 20 or self.sending is not None:
            await super().write(data)
            return
        self.sending = asyncio.create_task(super().write(bytes(view)))

    async def close(self) -> None:
        await super().close()
        if self.sending is not None:
            await asyncio.gather(self.sending, return_exceptions=True)


@conn.breaks("read-ahead-bounded")
class ReadingAhead(SocketConn):
    """Once it has read, it reads what it can."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.ahead = bytearray()
        self.fault: OSError | None = None

    async def read(self, n: int, /) -> bytes:
        if n < 1 or self.datagrams or self.closed:
            return await super().read(n)
        if self.ahead:
            data = bytes(self.ahead[:n])
            del self.ahead[:n]
            return data
        if self.fault is not None:
            raise self.fault
        data = await super().read(n)
        self.loop.add_reader(self.sock, self.read_ahead)
        return data

    def read_ahead(self) -> None:
        try:
            data = self.sock.recv(65535)
        except OSError as error:
            data, self.fault = b"", error
        self.ahead += data
        if not data:
            self.loop.remove_reader(self.sock)


@conn.breaks("end")
class EndingWhenBothHave(SocketConn):
    peer: SocketConn | None = None

    async def read(self, n: int, /) -> bytes:
        if not (data := await super().read(n)):
            while self.peer and not self.peer.closed:  # noqa: ASYNC110 as above
                await asyncio.sleep(0.01)
        return data


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


@conn.breaks("write-to-gone-peer")
class FailingOnce(SocketConn):
    told = False

    async def write(self, data: Buffer, /) -> None:
        try:
            await super().write(data)
        except ConnectionError:
            if self.told:
                return
            self.told = True
            raise


@conn.breaks("write-to-gone-peer", history="e9372ea what was dropped is reported as sent")
class PretendingToSend(SocketConn):
    async def write(self, data: Buffer, /) -> None:
        with suppress(ConnectionError):
            await super().write(data)


class Waiting(SocketConn):
    waited = False

    async def readable(self) -> None:
        self.waited = True
        await super().readable()


@conn.breaks("broken-off")
class ResetAsEnd(Waiting):
    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionResetError:
            if not self.waited:
                raise
            return b""


@conn.breaks("truncated")
class TellingTheBreakFirst(SocketConn):
    """Reads ahead, and drops that when the connection breaks off."""

    ahead = b""

    async def read(self, n: int, /) -> bytes:
        if self.datagrams or n < 1:
            return await super().read(n)
        self.check_open()
        if not self.ahead:
            self.ahead = await super().read(4096)
        else:
            with suppress(BlockingIOError), self.break_kept():
                self.sock.recv(1, socket.MSG_PEEK)
        data, self.ahead = self.ahead[:n], self.ahead[n:]
        return data


@conn.breaks("close-cancelled")
class SharingTheClose(SocketConn):
    """Whose second close() awaits the future of the first, and cancels it when it is cancelled."""

    async def close(self) -> None:
        if self.closed and self.lingering is not None:
            return await self.lingering
        await super().close()


@conn.breaks("truncated")
class CutAsEnd(Waiting):
    has_read = False

    async def read(self, n: int, /) -> bytes:
        try:
            data = await super().read(n)
        except ConnectionResetError:
            if self.waited or not self.has_read:
                raise
            return b""
        self.has_read = True
        return data


@conn.breaks("break-is-no-end")
class ToldOnce(SocketConn):
    """Reads as the system does, which tells once that the connection broke off."""

    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionResetError:
            self.broken = False
            raise


@conn.breaks("answers")
class AnsweringInRead(SocketConn):
    asked = False
    is_half_sent = False

    def ask(self) -> Callable[[], bool]:
        self.asked = True
        wake(self.reader)
        return lambda: not self.asked

    async def readable(self) -> None:
        await super().readable()
        if self.asked:
            self.is_half_sent = True
            await asyncio.sleep(0)
            self.is_half_sent = self.asked = False

    async def write(self, data: Buffer, /) -> None:
        if self.is_half_sent:
            raise ConnectionResetError("the peer was sent half an answer")
        await super().write(data)


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


@conn.breaks("close-reaches-peer", history="a2e2810 the goodbye was cancelled unsent")
class ClosingNothing(SocketConn):
    async def close(self) -> None:
        if not self.closed:
            LEFT_OPEN.append(self.sock.dup())
        await super().close()

    async def linger(self) -> None:
        """End nothing."""


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
                with self.break_kept():
                    del self.gathered[: self.sock.send(self.gathered)]
        except BlockingIOError:
            self.loop.call_later(0.001, self.flush)
        except OSError as error:
            self.fault = error


@conn.breaks("last-words")
class ClosingPlainly(SocketConn):
    async def linger(self) -> None:
        """Leave all of it to the system."""


@conn.breaks("last-words")
class WaitingWithoutDiscarding(SocketConn):
    async def linger(self) -> None:
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            for _ in range(25):
                if not unsent(self.sock):
                    return
                await asyncio.sleep(GRACE / 25)


@conn.breaks("last-words")
class DiscardingOnce(SocketConn):
    async def linger(self) -> None:
        with suppress(OSError):
            while self.sock.recv(65536):
                pass


@conn.breaks("close-twice", history="#779 a65b7a0 a channel is closed twice")
class ClosingOnce(SocketConn):
    async def close(self) -> None:
        self.check_open()
        await super().close()


conn.breaks("close-at-once")(closing_ahead(SocketConn))


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
class BoundedAnew(SocketConn):
    """Has the time of its close begin anew with all that comes."""

    async def linger(self) -> None:
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            limit = self.loop.time() + GRACE
            while self.loop.time() < limit:
                with suppress(BlockingIOError):
                    while self.sock.recv(65536):
                        limit = self.loop.time() + GRACE
                    return
                if not unsent(self.sock):
                    return
                await asyncio.sleep(0.02)


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
            if self.unsent and not self.closed:
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


@conn.breaks("close-cancelled")
class ClosingUndisturbed(SocketConn):
    async def linger(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)
        await super().linger()


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


@conn.breaks("addresses")
class HostsOnly(SocketConn):
    def remote_addr(self) -> Addr:
        remote = super().remote_addr()
        return SocketAddr(remote.network(), str(remote).rpartition(":")[0])


@conn.breaks("read-after-close")
class GivingOutTheBuffer(SocketConn):
    """Reads ahead, and gives out what is left of that after close() too."""

    ahead = b""

    async def read(self, n: int, /) -> bytes:
        if self.datagrams or n < 1:
            return await super().read(n)
        self.ahead = self.ahead or await super().read(ALL)
        data, self.ahead = self.ahead[:n], self.ahead[n:]
        return data


conn.breaks("close-cancelled")(closing_for_all(SocketConn))


@conn.breaks("close-cancelled")
class WaitingForTheCancelled(SocketConn):
    """Has a later close() wait for the first, which never ends once it was cancelled."""

    gone: asyncio.Event | None = None

    async def close(self) -> None:
        if self.gone is not None:
            await self.gone.wait()
            return
        self.gone = asyncio.Event()
        await super().close()
        self.gone.set()


@conn.breaks("close-cancelled")
class LeavingWhatLingers(SocketConn):
    """Leaves the socket open when it is cancelled while it waits for the peer."""

    async def linger(self) -> None:
        try:
            await super().linger()
        except asyncio.CancelledError:
            LEFT_OPEN.append(self.sock.dup())
            raise
