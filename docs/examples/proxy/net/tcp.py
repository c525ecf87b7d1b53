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
from collections.abc import Awaitable, Callable
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
KEEPALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _SECONDS.items()
        if hasattr(socket, name)
    ),
]

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ


class Readiness:
    """Lets one task at a time wait until a socket can be read, or written: ``with it as ready``.

    No byte passes through here, so a wait that is cancelled loses nothing (D7, D26). The socket is
    watched until it is ready and nobody waits: a task that has read soon waits for more.
    """

    __slots__ = ("_descriptor", "_for_writing", "_is_watched", "_look", "_waiter")

    def __init__(
        self,
        sock: socket.socket,
        *,
        for_writing: bool = False,
        look: Callable[[], None] | None = None,
    ) -> None:
        self._descriptor: Final = sock.fileno()
        self._for_writing: Final = for_writing
        self._look: Final = look or self.wake  # called when the time has come
        self._is_watched = False
        self._waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Awaitable[None]:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        if not self._is_watched:
            self._is_watched = True
            watch = loop.add_writer if self._for_writing else loop.add_reader
            watch(self._descriptor, self._notice)
        return self._waiter

    def __exit__(self, *_: object) -> None:
        self._waiter = None

    def is_awaited(self) -> bool:
        return self._waiter is not None

    def wake(self) -> None:
        """Let the waiting task look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        """Watch the socket no more, as must be before it is closed."""
        self.wake()
        if self._is_watched:
            self._is_watched = False
            loop = asyncio.get_running_loop()
            (loop.remove_writer if self._for_writing else loop.remove_reader)(self._descriptor)

    def _notice(self) -> None:
        if self._waiter is None or self._waiter.done():
            self.end()
        else:
            self._look()


class TCPConn(net.Conn, net.HalfCloser, net.Aborter):
    """A connection over a socket.

    What has arrived stays in the kernel until somebody reads, so an idle connection has no buffer;
    what a read has taken from there and not returned, the next one does (D7). ``write`` returns
    when the kernel has taken everything (D8).
    """

    def __init__(self, connected: socket.socket, remote: SocketName) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in KEEPALIVE:
            connected.setsockopt(*option)
        self._socket: Final = connected
        self._readable: Final = Readiness(connected, look=self._receive)
        self._writable: Final = Readiness(connected, for_writing=True, look=self._send_more)
        self._arrived = b""
        self._wanted = 0
        self._unsent: memoryview | None = None
        # Asked once: the addresses stay valid after close (D2), the socket does not.
        self._local_addr: Final = TCPAddr.of(connected.getsockname())
        self._remote_addr: Final = TCPAddr.of(remote)
        self._reads_in_a_row = 0
        self._peer_ended = False
        self._write_ended = False
        self._closed = False
        self._fault: OSError | None = None

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        if self._readable.is_awaited():
            raise RuntimeError("another task is already reading from this connection")
        self._reads_in_a_row += 1
        if self._reads_in_a_row > MOST_IN_A_ROW:
            self._reads_in_a_row = 0
            await asyncio.sleep(0)
        self._check_open()
        self._wanted = max(LEAST_AT_ONCE, min(n, MOST_AT_ONCE))
        if not self._arrived:
            self._receive()
        while not (self._arrived or self._peer_ended):
            self._check_whole()
            self._reads_in_a_row = 0
            with self._readable as ready:
                await ready
            self._check_open()
        data, self._arrived = self._arrived[:n], self._arrived[n:]
        return data

    def _receive(self) -> None:
        # Also before the task that waits has its turn, so that the socket is not ready once more.
        try:
            self._arrived = self._socket.recv(self._wanted)
        except BlockingIOError:
            return
        except OSError as error:
            self._fault = error
        else:
            self._peer_ended = not self._arrived and self._fault is None
        self._readable.wake()

    async def write(self, data: Buffer, /) -> None:
        if self._writable.is_awaited():
            raise RuntimeError("another task is already writing to this connection")
        self._check_open()
        self._check_whole()
        if self._write_ended:
            raise BrokenPipeError(errno.EPIPE, "the outgoing stream was ended by close_write()")
        self._unsent = memoryview(data).cast("B")
        try:
            self._send()
            if self._unsent:
                with self._writable as ready:
                    await ready
                self._check_open()
                if self._fault is not None:
                    raise self._fault
        finally:
            self._unsent = None

    def _send(self) -> None:
        assert self._unsent is not None
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self._fault = error
            raise

    def _send_more(self) -> None:
        # Without waking the task for each piece that the kernel has room for.
        with suppress(OSError):
            self._send()
        if not self._unsent or self._fault is not None:
            self._writable.wake()

    async def close_write(self) -> None:
        self._check_open()
        self._write_ended = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise BrokenPipeError(errno.EPIPE, "the peer is gone") from error

    async def close(self) -> None:
        self._readable.end()
        self._writable.end()
        if not self._closed:
            self._closed = True
            end = time.monotonic() + LAST_WORDS
            try:
                # The system lets nobody wait for what is unsent.
                while self._has_to_linger() and time.monotonic() < end:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            finally:  # also if whoever closes it has no time
                self._socket.close()
        while self._socket.fileno() >= 0:  # another task closes it  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def _has_to_linger(self) -> bool:
        """End this stream; tell whether the peer might lose what was written last (D8).

        Bytes that come after the close, or were left unread, would have the system reset the
        connection, and drop what is unsent.
        """
        if self._peer_ended or self._fault is not None:
            return False
        try:
            if not self._write_ended:
                self._socket.shutdown(socket.SHUT_WR)
            for _ in range(MOST_IN_A_ROW):
                if not self._socket.recv(MOST_AT_ONCE):
                    return False
        except BlockingIOError:
            pass
        except OSError:  # the peer is gone, and what it did not take stays unsent
            return False
        return self.unsent() > 0

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            self._readable.end()
            self._writable.end()
            with suppress(OSError):  # closed without a time to linger, it is reset
                no_linger = struct.pack("ii", 1, 0)
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self._socket.close()

    def unsent(self) -> int:
        """Tell how many bytes the system still has to send, where it tells; else 0."""
        if self._socket.fileno() < 0 or sys.platform != "linux":
            return 0
        left = array("i", [0])
        with suppress(OSError):
            state = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            if state != RESET:  # then what is unsent stays so
                ioctl(self._socket, TIOCOUTQ, left)
        return left[0]

    def local_addr(self) -> net.Addr:
        return self._local_addr

    def remote_addr(self) -> net.Addr:
        return self._remote_addr

    def _check_open(self) -> None:
        if self._closed:
            raise net.ClosedError("this connection was closed here")

    def _check_whole(self) -> None:
        if self._fault is not None:  # the system tells of it only once
            raise ConnectionResetError(
                errno.ECONNRESET, f"the connection to {self._remote_addr} broke off"
            ) from self._fault
