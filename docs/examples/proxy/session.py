"""Sessions: many connections over one, by HTTP/2 (RFC 9113); each is a stream of CONNECT."""

import asyncio
import errno
from collections import OrderedDict, deque
from contextlib import suppress
from copy import copy
from typing import Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from typing_extensions import Buffer

from gost_core.common import net

WINDOW: Final = 256 * 1024  # bytes of a stream that may wait here to be read
FRAME: Final = 64 * 1024  # bytes that a stream sends at most before it is the next one's turn
UNSENT: Final = 1024 * 1024  # bytes that wait at most for a peer that asks and does not read
UNLIMITED: Final = 2**31 - 1  # as HTTP/2 writes it
BACKLOG: Final = 128  # streams that wait at most to be accepted
SILENCE: Final = 30.0  # seconds without a byte, after which a peer is asked whether it lives
LAST_WORDS: Final = 1.0  # seconds for a peer to take what was sent before the end


class Stream(net.Conn, net.HalfCloser):
    """A connection that shares a session with others.

    Its peer sends no more than a window beyond what was read here, so whoever is slow holds up
    nobody else. In the other direction ``write`` returns when the session has taken all (D8).
    """

    def __init__(self, session: "Session", number: int, name: str) -> None:
        self.number: Final = number
        self.name: Final = name
        """What its opener called it."""
        self.rest = memoryview(b"")
        """What ``write`` has yet to hand to the session."""
        self.fault: Exception | None = None
        """What has ended it."""
        self._session = session
        self._arrived = bytearray()
        self._freed = 0  # bytes of the window that the peer does not have back yet
        self._answered = False
        self._ended = False  # the peer's stream
        self._write_ended = False
        self._torn = False  # a write was given up in the middle
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
        if self.rest:
            raise RuntimeError("another task is already writing to this connection")
        view = memoryview(data)
        self.rest = view.cast("B") if view.nbytes else view[:0]
        try:
            self._session.send(self)
            while self.rest:
                await self._change()
                self._check_alive()
        finally:
            self._torn, self.rest = bool(self.rest), memoryview(b"")

    async def close_write(self) -> None:
        self._check_alive()
        if not self._write_ended:
            self._write_ended = True
            self._session.h2.end_stream(self.number)
            self._session.flush()

    async def close(self) -> None:
        if not isinstance(self.fault, net.ClosedError):
            # A write that waits, or was cancelled, leaves half of something: no end, but a break.
            torn = self._torn or bool(self.rest)
            with suppress(ProtocolError):  # if the session or the peer has ended it before
                if not torn and not self._write_ended:
                    self._session.h2.end_stream(self.number)
                if torn or not self._ended:  # the peer need not send any more
                    code = ErrorCodes.CANCEL if torn else ErrorCodes.NO_ERROR
                    self._session.h2.reset_stream(self.number, code)
            self._arrived.clear()
            self.fail(net.ClosedError("this connection was closed here"))
        await self._session.remove(self)

    def local_addr(self) -> net.Addr:
        return self._session.local_addr()

    def remote_addr(self) -> net.Addr:
        return self._session.remote_addr()

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
            case events.WindowUpdated():
                self._session.send(self)
            case _:
                reason = f"{self.remote_addr()} refuses the stream {self.name!r}"
                self.fault = ConnectionRefusedError(errno.ECONNREFUSED, reason)
        self._changed.set()

    def sent(self, n: int) -> None:
        self.rest = self.rest[n:]
        self._changed.set()

    def fail(self, fault: Exception) -> None:
        self.fault = fault
        self._changed.set()

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


class Session(net.Closer):
    """One side of a session: the client, which opens streams, or the server, which accepts them.

    It owns the connection. A task receives what comes for all streams and another one sends, in
    turn for each, when the connection has taken what was sent before (D8, D20). A retiring session
    ends with the last stream that it has.
    """

    def __init__(
        self, conn: net.Conn, *, client: bool, retiring: bool = False, backlog: int = 0
    ) -> None:
        self.h2: Final = H2Connection(H2Configuration(client_side=client))
        """For its streams, who call ``flush`` then."""
        self._conn = conn
        self._client = client
        self._retiring = retiring
        self._backlog = backlog if backlog > 0 else BACKLOG
        self._streams: dict[int, Stream] = {}
        self._newcomers: deque[Stream] = deque()
        self._arrival = asyncio.Event()
        self._sending: OrderedDict[Stream, None] = OrderedDict()  # a queue, each one in it once
        self._out = bytearray()
        self._due = asyncio.Event()  # something to send
        self._room = 0  # bytes received that the session's window does not have back yet
        self._heard = False
        self._fault: Exception | None = None
        self.h2.initiate_connection()
        self.h2.update_settings(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                SettingCodes.MAX_FRAME_SIZE: FRAME,
                SettingCodes.MAX_CONCURRENT_STREAMS: UNLIMITED,
            }
        )
        # Nothing waits for the window of the whole session: a stream that nobody reads would fill
        # it, and hold up all the others.
        self.h2.increment_flow_control_window(UNLIMITED - self.h2.inbound_flow_control_window)
        self._task = asyncio.create_task(self._run(), name=f"session with {conn.remote_addr()}")

    @property
    def is_alive(self) -> bool:
        return self._fault is None

    @property
    def is_idle(self) -> bool:
        return not self._streams

    def local_addr(self) -> net.Addr:
        return self._conn.local_addr()

    def remote_addr(self) -> net.Addr:
        return self._conn.remote_addr()

    async def open(self, name: str) -> Stream:
        """Open a stream; it is there when the peer has said so, and not refused it."""
        if self._fault is not None:
            raise copy(self._fault)
        try:
            stream = Stream(self, self.h2.get_next_available_stream_id(), name)
            self.h2.send_headers(stream.number, [(":method", "CONNECT"), (":authority", name)])
        except ProtocolError as error:
            raise OSError(f"the session with {self.remote_addr()} has no stream left") from error
        self._streams[stream.number] = stream
        self.flush()
        try:
            await stream.answer()
        except BaseException:
            await stream.close()
            raise
        return stream

    async def accept(self) -> Stream:
        """Return the next stream that the peer has opened; it fails as a listener's does (D26)."""
        while not self._newcomers:
            if self._retiring:
                raise net.ClosedError("this session accepts no more streams")
            if (fault := self._fault) is not None:
                self._fault = net.ClosedError("this session has ended")
                raise fault
            self._arrival.clear()
            await self._arrival.wait()
        return self._newcomers.popleft()

    async def retire(self) -> None:
        """Accept no stream any more, and end with the last one that there is."""
        self._retiring = True
        self._arrival.set()
        while self._newcomers:
            await self._newcomers.popleft().close()
        if not self._streams:
            await self.close()

    async def close(self) -> None:
        """End the session and its streams; what was sent before still arrives, or times out."""
        self._end(net.ClosedError("this session was closed here"))
        with suppress(ProtocolError):  # said before
            self.h2.close_connection()
        self.flush()
        try:
            # The peer, told of the end, closes the connection.
            await asyncio.wait({self._task}, timeout=LAST_WORDS if self._heard else 0)
        finally:
            if not self._task.cancelling():
                self._task.cancel()
            await asyncio.wait({self._task})

    def send(self, stream: Stream) -> None:
        """Queue a stream that has something to send."""
        self._sending[stream] = None
        self.flush()

    def flush(self) -> None:
        self._due.set()

    async def remove(self, stream: Stream) -> None:
        """Let go of a stream that is closed here."""
        self._streams.pop(stream.number, None)
        self.flush()
        if self._retiring and not self._streams:
            await self.close()

    def _end(self, fault: Exception) -> None:
        if self._fault is None:
            self._fault = fault
            for stream in self._streams.values():
                stream.fail(fault)
            self._streams = {}
            self._arrival.set()

    async def _run(self) -> None:
        sending = asyncio.create_task(self._send(), name=f"sender to {self.remote_addr()}")
        fault: Exception = net.ClosedError("this session was closed here")
        try:
            await self._receive()
        except OSError as error:
            fault = error
        except Exception as error:  # h2's own, and what else strange bytes can do to it
            fault = net.ProtocolError(f"{self.remote_addr()} breaks the rules of HTTP/2: {error}")
            fault.__cause__ = error
        finally:
            sending.cancel()
            self._end(fault)
            await self._conn.close()
            await asyncio.wait({sending})

    async def _receive(self) -> None:
        while data := await self._read():
            # A server begins with its settings; h2 would wait long for the end of anything else.
            if self._client and not self._heard and data[3:4] not in (b"", b"\4"):
                raise net.ProtocolError(f"{self.remote_addr()} does not answer as HTTP/2 does")
            self._heard = True
            if self._fault is not None:  # closed here: it only remains to wait for the end
                continue
            for event in self.h2.receive_data(data):
                self._take(event)
            self._out += self.h2.data_to_send()
            if len(self._out) > UNSENT:
                raise net.ProtocolError(f"{self.remote_addr()} sends, and does not read")
            self.flush()
        raise ConnectionResetError(errno.ECONNRESET, f"{self.remote_addr()} ended the session")

    async def _read(self) -> bytes:
        for ask in (True, False):
            with suppress(TimeoutError):  # the cancelled read has lost nothing (D7)
                async with asyncio.timeout(SILENCE):
                    return await self._conn.read(WINDOW)
            if ask and self._fault is None:
                self.h2.ping(b"alive?  ")
                self.flush()
        raise TimeoutError(errno.ETIMEDOUT, f"{self.remote_addr()} has fallen silent")

    def _take(self, event: events.Event) -> None:
        match event:
            case events.RequestReceived():
                self._welcome(event)
            case events.ConnectionTerminated():
                raise ConnectionResetError(
                    errno.ECONNRESET, f"{self.remote_addr()} closed the session"
                )
            case events.RemoteSettingsChanged() | events.WindowUpdated(stream_id=0):
                self._sending.update(dict.fromkeys(self._streams.values()))
            case (
                events.ResponseReceived(stream_id=number)
                | events.DataReceived(stream_id=number)
                | events.StreamEnded(stream_id=number)
                | events.StreamReset(stream_id=number)
                | events.WindowUpdated(stream_id=number)
            ):
                if number in self._streams:  # else it is closed here, and this came too late
                    self._streams[number].take(event)
            case _:
                pass
        if isinstance(event, events.DataReceived):
            self._room += event.flow_controlled_length
            if self._room >= WINDOW:
                self.h2.increment_flow_control_window(self._room)
                self._room = 0

    def _welcome(self, event: events.RequestReceived) -> None:
        name = bytes(dict(event.headers).get(b":authority", b"")).decode(errors="replace")
        stream = Stream(self, event.stream_id, name)
        with suppress(ProtocolError):  # the peer has reset it, right behind its opening
            if self._retiring or len(self._newcomers) >= self._backlog:
                self.h2.reset_stream(stream.number, ErrorCodes.REFUSED_STREAM)
                return
            self._streams[stream.number] = stream
            self._newcomers.append(stream)
            self._arrival.set()
            self.h2.send_headers(stream.number, [(":status", "200")])

    async def _send(self) -> None:
        try:
            while True:
                if data := self._next():
                    await self._conn.write(data)
                elif self._fault is None:
                    self._due.clear()
                    await self._due.wait()
                else:  # closed here, and all is sent
                    break
            if isinstance(self._conn, net.HalfCloser):
                await self._conn.close_write()
        except OSError:
            await self._conn.close()  # which ends the task that receives, and with it the session

    def _next(self) -> bytes:
        """Return what is to be sent now: what the session has to say, or a frame of a stream."""
        data, self._out = bytes(self._out) + self.h2.data_to_send(), bytearray()
        while not data and self._sending:
            stream, _ = self._sending.popitem(last=False)
            if stream.fault is None and stream.rest:
                window = max(self.h2.local_flow_control_window(stream.number), 0)
                frame = stream.rest[: min(window, self.h2.max_outbound_frame_size)]
                if frame:  # else the peer will say when there is room again
                    self.h2.send_data(stream.number, frame)
                    data = self.h2.data_to_send()
                    stream.sent(len(frame))
                    self._sending[stream] = None
        return data
