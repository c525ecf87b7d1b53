"""Sessions: many connections over one, by HTTP/2 (RFC 9113); each is a stream of CONNECT."""

import asyncio
import errno
import time
from collections import deque
from contextlib import suppress
from copy import copy
from typing import Final

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from gost_core.common import net

from .h2_budget import Budget
from .h2_stream import WINDOW, Stream
from .newcomers import fairly
from .wrapper import ClosedOnce

FRAME: Final = 64 * 1024  # bytes of a stream that may wait here to be sent
UNSENT: Final = 1024 * 1024  # bytes that wait at most for a peer that asks and does not read
UNLIMITED: Final = 2**31 - 1  # as HTTP/2 writes it
SILENCE: Final = 30.0  # seconds without a byte, after which a peer is asked whether it lives
STREAMS: Final = 256  # that a peer may have open at once: h2 goes through all of them for each
TURN: Final = 0.00005  # seconds of work, after which others have their turn
PIECE: Final = 256  # bytes that are worked on before one looks how long it took
LAST_WORDS: Final = 1.0  # seconds for a peer to take what was sent before the end


class Session(ClosedOnce, net.Closer):
    """One side of a session: the client, which opens streams, or the server, which accepts them.

    It owns the connection. A task receives what comes for all streams and another one sends (D20).
    A retiring one ends with its last stream. ``host`` causes its work, if one does.
    """

    def __init__(
        self,
        conn: net.Conn,
        *,
        client: bool,
        retiring: bool = False,
        backlog: int = 0,
        budget: Budget | None = None,
        host: str = "",
    ) -> None:
        self.h2: Final = _connection(client)
        """For its streams, who call ``flush`` then."""
        self.conn: Final = conn
        self._peer = str(conn.remote_addr())
        self._client = client
        self._retiring = retiring
        self._backlog = backlog if backlog > 0 else STREAMS
        self._streams: dict[int, Stream] = {}
        self._newcomers: deque[Stream] = deque()
        self._arrival = asyncio.Event()
        self._out = bytearray()
        self._answers = 0  # bytes in it that the peer has caused
        self._unsent: list[Stream] = []
        self._due = asyncio.Event()  # something to send
        self._room = 0  # bytes received that the session's window does not have back yet
        self._budget: Final = budget or Budget()
        self._budget.sessions += 1
        self._heard = False
        self._fault: Exception | None = None
        self._task = asyncio.ensure_future(fairly(host, self._run) if host else self._run())
        self._task.set_name(f"session with {self._peer}")

    @property
    def is_alive(self) -> bool:
        return self._fault is None and not self.is_closed()

    @property
    def has_streams(self) -> bool:
        return bool(self._streams)

    @property
    def has_room(self) -> bool:
        """Whether the peer lets another stream be opened."""
        # What it allows is not known before it has said something.
        most = min(self.h2.remote_settings.max_concurrent_streams, STREAMS)
        return self.h2.open_outbound_streams < most

    async def open(self, name: str) -> Stream:
        """Open a stream; it is there when the peer has said so, and not refused it."""
        if self._fault is not None:
            raise copy(self._fault)
        try:
            stream = Stream(self, self.h2.get_next_available_stream_id(), name)
            self.h2.send_headers(stream.number, [(":method", "CONNECT"), (":authority", name)])
        except ProtocolError as error:
            raise OSError(f"the session with {self._peer} has no stream left") from error
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

    async def _end(self) -> None:
        self._fail(net.ClosedError("this session was closed here"))
        with suppress(ProtocolError):  # said before
            self.h2.close_connection()
        self.flush()
        # The peer, told of the end when all was sent, closes the connection.
        await asyncio.wait({self._task}, timeout=LAST_WORDS if self._heard else 0)
        self._task.cancel()
        await asyncio.wait({self._task})

    def room(self, stream: Stream) -> int:
        """Tell how many bytes of a stream may be sent now; when there are more, it is woken."""
        if stream.is_unsent:
            return 0
        window = max(self.h2.local_flow_control_window(stream.number), 0)
        return min(window, self.h2.max_outbound_frame_size)

    def send(self, stream: Stream, frame: memoryview) -> None:
        """Send bytes for which there is room."""
        self.h2.send_data(stream.number, frame)
        stream.is_unsent = True
        self._unsent.append(stream)
        self._budget.carry(len(frame))
        self.flush()

    def flush(self) -> int:
        """Hand over what h2 has to say; return how many bytes these were."""
        data = self.h2.data_to_send()
        self._out += data
        self._due.set()
        return len(data)

    async def remove(self, stream: Stream) -> None:
        """Let go of a stream that is closed here."""
        self._streams.pop(stream.number, None)
        self.flush()
        if self._retiring and not self._streams:
            await self.close()

    def _fail(self, fault: Exception) -> None:
        if self._fault is None:
            self._fault = fault
            for stream in self._streams.values():
                stream.fail(fault)
            self._streams = {}
            self._arrival.set()

    async def _run(self) -> None:
        sending = asyncio.create_task(self._send(), name=f"sender to {self._peer}")
        fault: Exception = net.ClosedError("this session was closed here")
        try:
            await self._receive()
        except OSError as error:
            fault = error
        except Exception as error:  # h2's own, and what else strange bytes can do to it
            fault = net.ProtocolError(f"{self._peer} breaks the rules of HTTP/2: {error}")
            fault.__cause__ = error
        finally:
            self._budget.sessions -= 1
            sending.cancel()
            self._fail(fault)
            await self.conn.close()
            await asyncio.wait({sending})

    async def _receive(self) -> None:
        while data := await self._read():
            # A server begins with its settings; h2 would wait long for the end of anything else.
            if self._client and not self._heard and data[3:4] not in (b"", b"\4"):
                raise net.ProtocolError(f"{self._peer} does not answer as HTTP/2 does")
            self._heard = True
            began = time.perf_counter()
            # Closed here, it only remains to wait for the end.
            for start in range(0, len(data) if self._fault is None else 0, PIECE):
                await self._work(data[start : start + PIECE])
                if time.perf_counter() - began > TURN:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
        raise ConnectionResetError(errno.ECONNRESET, f"{self._peer} ended the session")

    async def _work(self, data: bytes) -> None:
        """Do what a peer's frames ask for; who asks for too much waits."""
        happened = self.h2.receive_data(data)
        for event in happened:
            self._take(event)
        self._answers += self.flush()
        if self._answers > UNSENT:
            raise net.ProtocolError(f"{self._peer} sends, and does not read")
        pause = self._budget.spend(len(data), happened)
        if pause is None:
            raise net.ProtocolError(f"{self._peer} asks for much and carries little")
        if pause:
            await asyncio.sleep(pause)

    async def _read(self) -> bytes:
        for ask in (True, False):
            with suppress(TimeoutError):  # the cancelled read has lost nothing (D7)
                async with asyncio.timeout(SILENCE):
                    return await self.conn.read(WINDOW)
            if ask and self._fault is None:
                self.h2.ping(b"alive?  ")
                self.flush()
        raise TimeoutError(errno.ETIMEDOUT, f"{self._peer} has fallen silent")

    def _take(self, event: events.Event) -> None:
        match event:
            case events.RequestReceived():
                self._welcome(event)
            case events.ConnectionTerminated():
                raise ConnectionResetError(errno.ECONNRESET, f"{self._peer} closed the session")
            case events.RemoteSettingsChanged() | events.WindowUpdated(stream_id=0):
                for stream in self._streams.values():
                    stream.wake()
            case _:
                stream_id: int | None = getattr(event, "stream_id", None)
                if stream_id in self._streams:  # else it is closed here, and this came too late
                    self._streams[stream_id].take(event)
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
            while self._out or self._fault is None:
                self._due.clear()
                data, self._out, self._answers = self._out, bytearray(), 0
                streams, self._unsent = self._unsent, []
                for stream in streams:
                    stream.is_unsent = False
                    stream.wake()
                await (self.conn.write(data) if data else self._due.wait())
            if isinstance(self.conn, net.HalfCloser):  # closed here, and all is sent
                await self.conn.close_write()
        except OSError as error:
            self._fail(error)  # else it would look as if this side had closed
            await self.conn.close()  # which ends the task that receives, and with it the session


def _connection(client: bool) -> H2Connection:
    """Return what has begun a session, with its own settings said."""
    h2 = H2Connection(H2Configuration(client_side=client))
    # In force from the beginning: what is changed later is so when the peer has heard of it.
    h2.local_settings = Settings(
        client,
        {
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS,
            SettingCodes.MAX_HEADER_LIST_SIZE: h2.DEFAULT_MAX_HEADER_LIST_SIZE,
        },
    )
    h2.initiate_connection()
    h2.update_settings(
        {SettingCodes.INITIAL_WINDOW_SIZE: WINDOW, SettingCodes.MAX_FRAME_SIZE: FRAME}
    )
    # Nothing waits for the window of the whole session: a stream that nobody reads would fill
    # it, and hold up all the others.
    h2.increment_flow_control_window(UNLIMITED - h2.inbound_flow_control_window)
    return h2
