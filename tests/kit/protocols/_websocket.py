"""A transport like WebSocket: an upgrade, then frames; the close of one end ends both ways.

A task of the connection reads what comes, up to a bound, and another one sends, so that a ping is
answered whatever the caller does, and no call that is cancelled cuts a frame in two.
"""

import asyncio
from collections import deque
from contextlib import suppress
from enum import IntEnum
from typing import Final

from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Conn, ProtocolError
from tests.kit.dialer._protocol import read_exactly
from tests.kit.protocols._sessions import Signal

BUFFER: Final = 65536
FRAME: Final = 16384
LONGEST_LINE: Final = 1024
GRACE: Final = 0.5
"""Seconds that a close waits for what is unsent, and for the close frame of the other end."""


class Opcode(IntEnum):
    DATA = 2
    CLOSE = 8
    PING = 9
    PONG = 10


def frame(opcode: Opcode, data: bytes = b"") -> bytes:
    return bytes([opcode]) + len(data).to_bytes(4, "big") + data


class WebSocketConn(Conn):
    """One end, after the upgrade. It owns the connection beneath."""

    def __init__(self, inner: Conn) -> None:
        self.inner = inner
        self.incoming = bytearray()
        self.outbox = deque[bytes]()
        self.unsent = 0
        self.pong: bytes | None = None
        self.pongs: deque[bytes] = deque(maxlen=16)
        """What the other end has answered."""
        self.ended = False
        self.closed = False
        self.error: OSError | None = None
        self.changed = Signal()
        self.writing = asyncio.Lock()
        self.hurried: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sending = asyncio.create_task(self.send_all())
        self.receiving = asyncio.create_task(self.receive_all())
        self.finishing: asyncio.Task[None] | None = None

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"read({n}) asks for nothing")
        while True:
            self.check_open()
            if self.incoming:
                data = bytes(self.incoming[:n])
                del self.incoming[:n]
                self.changed.wake()
                return data
            if self.ended:
                return b""
            if self.error is not None:
                raise self.as_read(self.error)
            await self.changed.wait()

    def as_read(self, error: OSError) -> OSError:
        return error if isinstance(error, ProtocolError) else ConnectionResetError(str(error))

    async def write(self, data: Buffer, /) -> None:
        rest = memoryview(bytes(data))
        async with self.writing:
            self.check_writable()
            while rest:
                while self.unsent >= BUFFER:
                    await self.changed.wait()
                    self.check_writable()
                self.post(Opcode.DATA, bytes(rest[:FRAME]))
                rest = rest[FRAME:]

    async def ping(self, data: bytes) -> None:
        self.post(Opcode.PING, data)

    async def close(self) -> None:
        if self.finishing is None:
            self.closed = True
            self.say_goodbye()
            self.changed.wake()
            self.finishing = asyncio.create_task(self.finish())
        try:
            await asyncio.wait({self.finishing})
        except asyncio.CancelledError:
            with suppress(asyncio.InvalidStateError):
                self.hurried.set_result(None)
            raise

    def say_goodbye(self) -> None:
        if not self.ended:
            self.post(Opcode.CLOSE)

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("this end was closed")

    def check_writable(self) -> None:
        self.check_open()
        if self.ended:
            raise BrokenPipeError("the other end has closed")
        if self.error is not None:
            raise self.as_read(self.error)

    # ---- What goes out

    def post(self, opcode: Opcode, data: bytes = b"") -> None:
        self.outbox.append(frame(opcode, data))
        self.unsent += len(self.outbox[-1])
        self.changed.wake()

    async def send_all(self) -> None:
        try:
            while True:
                if self.pong is not None:
                    data, self.pong = self.pong, None
                    await self.inner.write(frame(Opcode.PONG, data))
                elif self.outbox:
                    await self.inner.write(self.outbox[0])
                    self.unsent -= len(self.outbox.popleft())
                    self.changed.wake()
                elif self.closed:
                    return
                else:
                    await self.changed.wait()
        except OSError as error:
            self.fail(error)

    # ---- What comes

    async def receive_all(self) -> None:
        try:
            while not self.ended:
                opcode, data = await self.receive()
                await self.take(opcode, data)
        except OSError as error:
            self.fail(error)

    async def receive(self) -> tuple[Opcode, bytes]:
        head = await read_exactly(self.inner, 5)
        size = int.from_bytes(head[1:], "big")
        if head[0] not in tuple(Opcode) or size > FRAME:
            raise ProtocolError("that is no frame")
        return Opcode(head[0]), await read_exactly(self.inner, size)

    async def take(self, opcode: Opcode, data: bytes) -> None:
        match opcode:
            case Opcode.DATA:
                while len(self.incoming) >= BUFFER and not self.closed:
                    await self.changed.wait()
                self.incoming += b"" if self.closed else data
            case Opcode.PING:
                # A newer one takes the place of what was not sent yet.
                self.pong = data
            case Opcode.PONG:
                self.pongs.append(data)
            case Opcode.CLOSE:
                if not self.closed:
                    self.post(Opcode.CLOSE)
                self.ended = True
        self.changed.wake()

    # ---- The end

    def fail(self, error: OSError) -> None:
        if not self.ended:
            self.error = self.error or error
        self.changed.wake()

    async def finish(self) -> None:
        for task in (self.sending, self.receiving):
            await asyncio.wait(
                {task, self.hurried}, timeout=GRACE, return_when=asyncio.FIRST_COMPLETED
            )
        for task in (self.sending, self.receiving):
            task.cancel()
        await asyncio.wait({self.sending, self.receiving})
        await self.inner.close()
