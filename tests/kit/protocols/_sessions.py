"""Streams over one session, each with a window, for the protocols that have them.

Whatever is sent goes through the outbox of the session, so that a call which is cancelled cuts no
message in two. The window of a stream bounds what of it waits there, and at the other end.
"""

import asyncio
from collections import deque
from contextlib import suppress
from enum import IntEnum, auto
from itertools import count
from typing import Final

from typing_extensions import Buffer, Protocol

from gost_core.common.net import Aborter, Addr, ClosedError, Conn, HalfCloser, ProtocolError

WINDOW: Final = 65536
STREAMS: Final = 64
GRACE: Final = 0.5
"""Seconds that the end of a session waits for what is unsent."""


class Kind(IntEnum):
    HELLO = auto()
    WELCOME = auto()
    REFUSED = auto()
    OPEN = auto()
    OPENED = auto()
    FAILED = auto()
    FORWARD = auto()
    FORWARDED = auto()
    DENIED = auto()
    DATA = auto()
    CREDIT = auto()
    END = auto()
    CLOSE = auto()
    RESET = auto()
    PING = auto()
    PONG = auto()
    GOODBYE = auto()


class Goodbye(ConnectionResetError):
    """The other end ended the session, as the protocol does."""


class Carrier(Protocol):
    """Carries messages, whole and in order."""

    async def send(self, message: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def close(self) -> None: ...
    def local_addr(self) -> Addr: ...
    def remote_addr(self) -> Addr: ...


def message(kind: Kind, number: int = 0, data: bytes = b"") -> bytes:
    return bytes([kind]) + number.to_bytes(4, "big") + data


def parsed(data: bytes) -> tuple[Kind, int, bytes]:
    if len(data) < 5 or data[0] not in tuple(Kind):
        raise ProtocolError("that is no message")
    return Kind(data[0]), int.from_bytes(data[1:5], "big"), data[5:]


class Signal:
    """Wakes all who wait for a change."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def wake(self) -> None:
        self.event.set()
        self.event = asyncio.Event()

    async def wait(self) -> None:
        await self.event.wait()


class Stream(Conn, HalfCloser, Aborter):
    """One end of a stream."""

    def __init__(self, session: "Session", number: int) -> None:
        self.session = session
        self.number = number
        self.incoming = bytearray()
        self.credit = WINDOW
        self.owed = 0
        self.ended = False
        self.finished = False
        self.stopped = False
        self.closed = False
        self.error: OSError | None = None
        self.changed = Signal()
        self.writing = asyncio.Lock()

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"read({n}) asks for nothing")
        while True:
            self.check_open()
            if self.incoming:
                # No await between the wait and this, so a cancel loses nothing (D7).
                data = bytes(self.incoming[:n])
                del self.incoming[:n]
                self.give_credit(len(data))
                return data
            if self.ended:
                return b""
            if self.error is not None:
                raise ConnectionResetError(str(self.error))
            await self.changed.wait()

    def give_credit(self, size: int) -> None:
        self.owed += size
        if self.owed >= WINDOW // 2:
            self.post(Kind.CREDIT, self.owed.to_bytes(4, "big"))
            self.owed = 0

    async def write(self, data: Buffer, /) -> None:
        rest = memoryview(bytes(data))
        async with self.writing:
            self.check_writable()
            while rest:
                while not self.credit:
                    await self.changed.wait()
                    self.check_writable()
                size = min(self.credit, self.session.longest, len(rest))
                self.credit -= size
                self.post(Kind.DATA, bytes(rest[:size]))
                rest = rest[size:]

    async def close_write(self) -> None:
        self.check_open()
        if not self.finished:
            self.finished = True
            self.post(Kind.END)

    async def close(self) -> None:
        self.leave(Kind.CLOSE)
        await self.session.ended()

    def abort(self) -> None:
        self.leave(Kind.RESET)

    def leave(self, kind: Kind) -> None:
        if not self.closed:
            self.closed = True
            self.post(kind)
            self.changed.wake()
            self.session.leave(self)

    def local_addr(self) -> Addr:
        return self.session.carrier.local_addr()

    def remote_addr(self) -> Addr:
        return self.session.carrier.remote_addr()

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("this end was closed")

    def check_writable(self) -> None:
        self.check_open()
        if self.error is not None:
            raise ConnectionResetError(str(self.error))
        if self.stopped or self.finished:
            raise BrokenPipeError("the stream has ended")

    def post(self, kind: Kind, data: bytes = b"") -> None:
        self.session.post(kind, self.number, data)

    def take(self, kind: Kind, data: bytes) -> None:
        match kind:
            case Kind.DATA:
                if len(self.incoming) + len(data) > WINDOW:
                    raise ProtocolError("more came than the window has room for")
                self.incoming += data
            case Kind.CREDIT:
                self.credit += int.from_bytes(data, "big")
            case Kind.END:
                self.ended = True
            case Kind.CLOSE:
                self.ended = self.stopped = True
            case _:
                self.error = ConnectionResetError("the other end broke the stream off")
        self.changed.wake()

    def fail(self, error: OSError) -> None:
        self.error = error
        self.changed.wake()


class Session:
    """Streams over one carrier, until the last of its users leaves."""

    longest = 32768

    def __init__(self, carrier: Carrier, *, is_client: bool) -> None:
        self.carrier = carrier
        self.numbers = count(1 if is_client else 2, 2)
        self.streams: dict[int, Stream] = {}
        self.users: set[object] = set()
        self.stays = not is_client
        """Whether it goes on when nobody uses it."""
        self.over = False
        self.pongs = 0
        self.outbox = deque[bytes]()
        self.posted = Signal()
        self.hurried: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sending = asyncio.create_task(self.send_all())
        self.receiving = asyncio.create_task(self.receive_all())
        self.finishing: asyncio.Task[None] | None = None

    def stream(self, number: int) -> Stream:
        return Stream(self, number)

    def open(self) -> Stream:
        return self.add(self.stream(next(self.numbers)))

    def add(self, stream: Stream) -> Stream:
        self.streams[stream.number] = stream
        self.users.add(stream)
        return stream

    def leave(self, user: object) -> None:
        self.users.discard(user)
        if isinstance(user, Stream):
            self.streams.pop(user.number, None)
        if not self.users and not self.stays:
            self.end()

    def retire(self) -> None:
        """Go on only for those who use it now."""
        self.stays = False
        self.leave(None)

    # ---- Messages

    def post(self, kind: Kind, number: int = 0, data: bytes = b"") -> None:
        if not self.over:
            self.outbox.append(message(kind, number, data))
            self.posted.wake()

    async def send_all(self) -> None:
        try:
            while True:
                while self.outbox:
                    await self.carrier.send(self.outbox.popleft())
                if self.over:
                    return
                await self.posted.wait()
        except OSError as error:
            self.end(error)

    async def receive_all(self) -> None:
        try:
            while True:
                self.handle(*parsed(await self.carrier.receive()))
        except OSError as error:
            self.end(error)

    def handle(self, kind: Kind, number: int, data: bytes) -> None:
        if kind is Kind.GOODBYE:
            raise Goodbye("the other end ended the session")
        if kind is Kind.PING:
            # No call of a user is concerned, and one answer is enough for all that wait.
            if message(Kind.PONG) not in self.outbox:
                self.post(Kind.PONG)
        elif kind is Kind.PONG:
            self.pongs += 1
        elif stream := self.streams.get(number):
            stream.take(kind, data)
        else:
            self.take(kind, number, data)

    def take(self, kind: Kind, number: int, data: bytes) -> None:
        """Take what is for no stream that there is."""

    # ---- The end

    def end(self, error: OSError | None = None) -> None:
        if self.over:
            return
        if not isinstance(error, Goodbye):
            self.post(Kind.GOODBYE)
        self.over = True
        self.posted.wake()
        for stream in self.streams.values():
            stream.fail(error or ClosedError("the session was ended"))
        self.finishing = asyncio.create_task(self.finish())

    async def finish(self) -> None:
        await asyncio.wait(
            {self.sending, self.hurried}, timeout=GRACE, return_when=asyncio.FIRST_COMPLETED
        )
        tasks = {self.sending, self.receiving}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await self.carrier.close()

    async def ended(self) -> None:
        """Wait until it is closed if it has ended; a cancelled wait has it close at once."""
        if self.finishing is None:
            return
        try:
            await asyncio.wait({self.finishing})
        except asyncio.CancelledError:
            with suppress(asyncio.InvalidStateError):
                self.hurried.set_result(None)
            raise

    async def close(self) -> None:
        self.end()
        await self.ended()
