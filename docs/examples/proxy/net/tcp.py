"""A connection by TCP.

It needs an event loop that can watch sockets (``add_reader``), as all but Windows' default can.
"""

import asyncio
import errno
import socket
import struct
import sys
import time
from array import array
from asyncio import Future
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from typing_extensions import Buffer

from gost_core.common import net

from .address import SocketName, TCPAddr

# A larger buffer is slower to get than to fill twice. Protocols begin with a few bytes at a time,
# for which the system is not asked each time.
MOST_AT_ONCE, LEAST_AT_ONCE = 256 * 1024, 512

RESET: Final = 7  # the state of a connection that the peer has broken off
LAST_WORDS: Final = 1.0  # seconds, once it is closed, for what was written to be sent

# A peer that always has more to read would leave no turn to anything else, not even to a timeout.
MOST_IN_A_ROW = 64

# A peer that has gone without a word would be waited for without end; so it is asked after a while.
_SECONDS = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_FOUND = [(getattr(socket, name, 0), value) for name, value in _SECONDS.items()]
Options = Sequence[tuple[int, int, int]]
OPTIONS: Final = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, option, value) for option, value in _FOUND if option),
]

# Those that are left to be set where the listening socket has all of them.
LEFT: Final[Options] = [] if sys.platform == "linux" else OPTIONS

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ


class Readiness:
    """Lets one task at a time wait until a socket can be read, or written.

    No byte passes through here, so a wait that is cancelled loses nothing (D7, D26). The socket is
    watched until it is ready and nobody waits: a task that has read soon waits for more.
    """

    __slots__ = ("_descriptor", "_for_writing", "_look", "_loop", "_waiter")

    def __init__(self, sock: socket.socket, *, for_writing: bool = False) -> None:
        self._descriptor: Final = sock.fileno()
        self._for_writing: Final = for_writing
        self._loop: asyncio.AbstractEventLoop | None = None  # which watches it
        # Only while somebody waits: it may refer to what owns this object.
        self._look: Callable[[], None] | None = None
        self._waiter: Future[None] | None = None

    async def wait(self, look: Callable[[], None] | None = None) -> None:
        """Wait until it can, or until ``look``, which is called then, has called ``wake``."""
        try:
            await self.watch(look or self.wake, asyncio.get_running_loop().create_future())
        finally:
            self.pause()

    def watch(self, look: Callable[[], None], waiter: Future[None]) -> Future[None]:
        """Call ``look`` whenever it can, until the waiter is done."""
        self._look, self._waiter = look, waiter
        if self._loop is None:
            loop = self._loop = waiter.get_loop()
            watch = loop.add_writer if self._for_writing else loop.add_reader
            watch(self._descriptor, self._notice)
        return waiter

    def pause(self) -> None:
        """Call nobody, and wake nobody."""
        self._look = self._waiter = None

    def is_awaited(self) -> bool:
        return self._waiter is not None

    def wake(self) -> None:
        """Let the waiting task look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        """Watch the socket no more, as must be before it is closed."""
        self.wake()
        if self._loop is not None:
            loop, self._loop = self._loop, None
            (loop.remove_writer if self._for_writing else loop.remove_reader)(self._descriptor)

    def _notice(self) -> None:
        if self._look is None or self._waiter is None or self._waiter.done():
            self.end()
        else:
            self._look()


class TCPConn(net.Conn, net.HalfCloser, net.Aborter):
    """A connection over a socket.

    What has arrived stays in the kernel until somebody reads, so an idle connection has no buffer;
    what a read has taken from there and not returned, the next one does (D7). ``write`` returns
    when the kernel has taken everything (D8).
    """

    def __init__(self, sock: socket.socket, remote: SocketName, options: Options = OPTIONS) -> None:
        sock.setblocking(False)
        for option in options:
            sock.setsockopt(*option)
        self.socket: Final = sock
        """For what copies, as are ``readable``, ``writable``, ``fault`` and the ends."""
        self.readable: Final = Readiness(sock)
        self.writable: Final = Readiness(sock, for_writing=True)
        self.arrived = b""
        self._wanted = 0
        # Asked once: the addresses stay valid after close (D2), the socket does not.
        self._local_addr: Final = TCPAddr.of(sock.getsockname())
        self._remote_addr: Final = TCPAddr.of(remote)
        self.peer_ended = False
        self.write_ended = False
        self._closed = False
        self.fault: OSError | None = None

    def check(self) -> None:
        """Raise an error if it was closed here, or broke off."""
        self._check_open()
        self._check_whole()

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        if self.readable.is_awaited():
            raise RuntimeError("another task is already reading from this connection")
        self._check_open()
        self._wanted = max(LEAST_AT_ONCE, min(n, MOST_AT_ONCE))
        while not (self.arrived or self.peer_ended):
            self._check_whole()
            await self.readable.wait(self._receive)
            self._check_open()
        data, self.arrived = self.arrived[:n], self.arrived[n:]
        return data

    def _receive(self) -> None:
        # Before the task that waits has its turn, so that the socket is not ready once more.
        try:
            self.arrived = self.socket.recv(self._wanted)
        except BlockingIOError:
            return
        except OSError as error:
            self.fault = error
        else:
            self.peer_ended = not self.arrived and self.fault is None
        self.readable.wake()

    async def write(self, data: Buffer, /) -> None:
        if self.writable.is_awaited():
            raise RuntimeError("another task is already writing to this connection")
        self.check()
        if self.write_ended:
            raise BrokenPipeError(errno.EPIPE, "the outgoing stream was ended by close_write()")
        rest = memoryview(data).cast("B")
        while True:
            try:
                rest = rest[self.socket.send(rest) :]
            except BlockingIOError:
                pass
            except OSError as error:
                self.fault = error
                raise
            if not rest:
                return
            await self.writable.wait()
            self.check()

    async def close_write(self) -> None:
        self._check_open()
        self.write_ended = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise BrokenPipeError(errno.EPIPE, "the peer is gone") from error

    async def close(self) -> None:
        self.readable.end()
        self.writable.end()
        if not self._closed:
            self._closed = True
            end = time.monotonic() + LAST_WORDS
            try:
                # The system lets nobody wait for what is unsent.
                while self._has_to_linger() and time.monotonic() < end:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            finally:  # also if whoever closes it has no time
                self.socket.close()
        while self.socket.fileno() >= 0:  # another task closes it  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def _has_to_linger(self) -> bool:
        """End this stream; tell whether the peer might lose what was written last (D8).

        Bytes that come after the close, or were left unread, would have the system reset the
        connection, and drop what is unsent.
        """
        if self.peer_ended or self.fault is not None:
            return False
        try:
            if not self.write_ended:
                self.socket.shutdown(socket.SHUT_WR)
            for _ in range(MOST_IN_A_ROW):
                if not self.socket.recv(MOST_AT_ONCE):
                    return False
        except BlockingIOError:
            pass
        except OSError:  # the peer is gone, and what it did not take stays unsent
            return False
        return self.unsent() > 0

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            self.readable.end()
            self.writable.end()
            with suppress(OSError):  # closed without a time to linger, it is reset
                no_linger = struct.pack("ii", 1, 0)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.socket.close()

    def unsent(self) -> int:
        """Tell how many bytes the system still has to send, where it tells; else 0."""
        if self.socket.fileno() < 0 or sys.platform != "linux":
            return 0
        left = array("i", [0])
        with suppress(OSError):
            state = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            if state != RESET:  # then what is unsent stays so
                ioctl(self.socket, TIOCOUTQ, left)
        return left[0]

    def local_addr(self) -> net.Addr:
        return self._local_addr

    def remote_addr(self) -> net.Addr:
        return self._remote_addr

    def _check_open(self) -> None:
        if self._closed:
            raise net.ClosedError("this connection was closed here")

    def _check_whole(self) -> None:
        if self.fault is not None:  # the system tells of it only once
            raise ConnectionResetError(
                errno.ECONNRESET, f"the connection to {self._remote_addr} broke off"
            ) from self.fault
