"""A stream of an HTTP/2 session, which is a connection."""

import asyncio
import errno
from contextlib import suppress
from copy import copy
from typing import Final, Protocol

from h2 import events
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from typing_extensions import Buffer

from gost_core.common import net

WINDOW: Final = 256 * 1024  # bytes of a stream that may wait here to be read


class Carrier(Protocol):
    """What a stream needs of its session, which says what each of it does."""

    @property
    def h2(self) -> H2Connection: ...

    @property
    def conn(self) -> net.Conn: ...

    def room(self, stream: "Stream") -> int: ...

    def send(self, stream: "Stream", frame: memoryview) -> None: ...

    def flush(self) -> int: ...

    async def remove(self, stream: "Stream") -> None: ...


class Stream(net.Conn, net.HalfCloser, net.Aborter):
    """A connection that shares a session with others.

    Its peer sends no more than a window beyond what was read here, so whoever is slow holds up
    nobody else. In the other direction the session takes a frame at a time, of each in turn (D8).
    """

    def __init__(self, session: Carrier, number: int, name: str) -> None:
        self.number: Final = number
        self.name: Final = name
        """What its opener called it."""
        self.is_unsent = False
        """Whether a frame of it waits to be sent."""
        self.fault: Exception | None = None
        """What has ended it."""
        self._session = session
        self._arrived = bytearray()
        self._freed = 0  # bytes of the window that the peer does not have back yet
        self._answered = False
        self._ended = False  # the peer's stream
        self._write_ended = False
        self._is_writing = False  # and stays so when a write is given up in the middle
        self._changed = asyncio.Event()

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        while not self._arrived:
            if self._ended and not isinstance(self.fault, net.ClosedError):
                return b""
            self._check_alive()
            await self._change()
        data = bytes(self._arrived[:n])
        del self._arrived[:n]
        self._freed += len(data)
        if self._freed >= WINDOW // 2 and not self._ended and self.fault is None:
            self._session.h2.increment_flow_control_window(self._freed, self.number)
            self._session.flush()
            self._freed = 0
        return data

    async def write(self, data: Buffer, /) -> None:
        self._check_alive()
        if self._write_ended:
            raise BrokenPipeError(errno.EPIPE, "the outgoing stream was ended by close_write()")
        if self._is_writing:
            raise RuntimeError("another task is already writing to this connection")
        rest = memoryview(data).cast("B")
        self._is_writing = True
        while rest:
            if frame := rest[: self._session.room(self)]:
                self._session.send(self, frame)
                rest = rest[len(frame) :]
            else:
                await self._change()
                self._check_alive()
        self._is_writing = False

    async def close_write(self) -> None:
        self._check_alive()
        if not self._write_ended:
            self._write_ended = True
            self._session.h2.end_stream(self.number)
            self._session.flush()

    async def close(self) -> None:
        if not isinstance(self.fault, net.ClosedError):
            with suppress(ProtocolError):  # if the session or the peer has ended it before
                if self._is_writing:  # half of something was sent: that is no end, but a break
                    self._session.h2.reset_stream(self.number, ErrorCodes.CANCEL)
                if not self._write_ended:
                    self._session.h2.end_stream(self.number)
                if not self._ended:  # the peer need not send any more
                    self._session.h2.reset_stream(self.number, ErrorCodes.NO_ERROR)
            self._arrived.clear()
            self.fail(net.ClosedError("this connection was closed here"))
        await self._session.remove(self)

    def abort(self) -> None:
        if not isinstance(self.fault, net.ClosedError):
            with suppress(ProtocolError):  # if the session or the peer has ended it before
                self._session.h2.reset_stream(self.number, ErrorCodes.CANCEL)
            self._arrived.clear()
            self.fail(net.ClosedError("this connection was closed here"))
            self._session.flush()

    def local_addr(self) -> net.Addr:
        return self._session.conn.local_addr()

    def remote_addr(self) -> net.Addr:
        return self._session.conn.remote_addr()

    async def answer(self) -> None:
        """Wait until the peer has taken the stream."""
        while not self._answered:
            if self.fault is not None:
                raise copy(self.fault)
            await self._change()

    def take(self, event: events.Event) -> None:
        """Take in what the peer says."""
        match event:
            case events.ResponseReceived() if dict(event.headers).get(b":status") == b"200":
                self._answered = True
            case events.DataReceived():
                self._arrived += event.data
                self._freed += event.flow_controlled_length - len(event.data)  # the padding
            case events.StreamEnded():
                self._ended = True
            case events.ResponseReceived() | events.StreamReset():
                reason = f"{self.remote_addr()} refuses the stream {self.name!r}"
                self.fault = ConnectionRefusedError(errno.ECONNREFUSED, reason)
            case _:  # what says that there is room to write
                pass
        self.wake()

    def wake(self) -> None:
        """Let its calls look again."""
        self._changed.set()

    def fail(self, fault: Exception) -> None:
        self.fault = fault
        self.wake()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _check_alive(self) -> None:
        if isinstance(self.fault, net.ClosedError):
            raise copy(self.fault)
        if self.fault is not None:
            raise ConnectionResetError(
                errno.ECONNRESET, f"the connection to {self.remote_addr()} broke off"
            ) from self.fault
