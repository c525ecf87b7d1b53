"""The protocol that the trials of dialers speak: a login in lines, then frames of streams."""

import asyncio
from collections import deque
from itertools import count
from types import new_class
from typing import Final, TypeVar, cast

from typing_extensions import Buffer

from gost_core.common.net import Addr, ClosedError, Conn, ProtocolError
from gost_core.common.net import Dialer as NetDialer
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.testing._stage.network import GREETING, StreamConn, echo, silent

PASSWORD: Final = "correct horse"
TIME_LIMIT: Final = 1.5


# ---- A protocol: a login in lines, then frames of several streams


async def read_exactly(conn: Conn, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (piece := await conn.read(size - len(data))):
            raise ConnectionResetError("the other end is gone")
        data += piece
    return data


async def read_line(conn: Conn) -> str:
    line = b""
    while not line.endswith(b"\n"):
        line += await read_exactly(conn, 1)
    return line.decode(errors="replace").rstrip("\n")


async def log_in(conn: Conn, auth: Userinfo, settings: str = "") -> None:
    await conn.write(f"{settings}\t{auth.username}:{auth.password}\n".encode())
    answer = await read_line(conn)
    if answer == "refused":
        raise PermissionError(f"the node refuses {auth.username!r}")
    if answer != "welcome":
        raise ProtocolError(f"the node's answer to the login is malformed: {answer}")


async def let_in(conn: Conn, expected: str | None = None) -> None:
    settings, _, credentials = (await read_line(conn)).partition("\t")
    if credentials != f"alice:{PASSWORD}" or expected not in (None, settings):
        await conn.write(b"refused\n")
        raise PermissionError
    await conn.write(b"welcome\n")


async def node(conn: Conn) -> None:
    await let_in(conn)
    await echo(conn)


async def exact_node(conn: Conn) -> None:
    await let_in(conn, "h2 http/1.1")
    await echo(conn)


async def refusing_node(conn: Conn) -> None:
    await read_line(conn)
    await conn.write(b"refused\n")
    await silent(conn)


async def malformed_node(conn: Conn) -> None:
    await conn.write(b"HTTP/1.1 400 Bad Request\n")
    await silent(conn)


async def greeting_node(conn: Conn) -> None:
    await read_line(conn)
    await conn.write(b"welcome\n" + GREETING)
    await silent(conn)


class Stream(Conn):
    """A stream of a session; each read returns no more than one write."""

    def __init__(self, session: "Session", number: int) -> None:
        self.session = session
        self.number = number
        self.pieces: deque[bytes] = deque()
        self.ended = False
        self.closed = False
        self.changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        if data:
            self.pieces.append(data)
        else:
            self.ended = True
        self.changed.set()

    async def read(self, n: int, /) -> bytes:
        while not (self.closed or self.pieces or self.ended):
            self.changed.clear()
            await self.changed.wait()
        if self.closed:
            raise ClosedError("this end was closed")
        if not self.pieces:
            # Nothing announces the end of a stream.
            raise ConnectionResetError("the session is over")
        data = self.pieces.popleft()
        if data[n:]:
            self.pieces.appendleft(data[n:])
        return data[:n]

    async def write(self, data: Buffer, /) -> None:
        if self.closed:
            raise ClosedError("this end was closed")
        await self.session.send(self.number, bytes(data))

    async def close(self) -> None:
        self.closed = True
        self.changed.set()
        await self.session.leave(self)

    def local_addr(self) -> Addr:
        return self.session.conn.local_addr()

    def remote_addr(self) -> Addr:
        return self.session.conn.remote_addr()


class Session:
    """Streams on one connection, each until it is closed; the last one closes the connection."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn
        self.ended = False
        self.numbers = count(1)
        self.streams: dict[int, Stream] = {}
        self.sending = asyncio.Lock()
        self.receiving = asyncio.create_task(self.receive())

    def stream(self) -> Stream:
        number = next(self.numbers)
        self.streams[number] = Stream(self, number)
        return self.streams[number]

    async def send(self, number: int, data: bytes) -> None:
        async with self.sending:
            await self.conn.write(number.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data)

    async def receive(self) -> None:
        try:
            while True:
                number = int.from_bytes(await read_exactly(self.conn, 4), "big")
                data = await read_exactly(
                    self.conn, int.from_bytes(await read_exactly(self.conn, 4), "big")
                )
                self.arrive(number, data)
        except OSError:
            pass
        finally:
            self.ended = True
            for stream in self.streams.values():
                stream.feed(b"")

    def arrive(self, number: int, data: bytes) -> None:
        if number in self.streams:
            self.streams[number].feed(data)

    async def leave(self, stream: Stream) -> None:
        self.streams.pop(stream.number, None)
        if not self.streams:
            await self.close()

    async def close(self) -> None:
        self.ended = True
        self.receiving.cancel()
        await self.conn.close()
        await asyncio.wait({self.receiving})


class OwnNetwork(NetDialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        host, _, port = addr.rpartition(":")
        return StreamConn(*await asyncio.open_connection(host, int(port)))


class Settings:
    """The life of a component up to its first use."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        self.auth = auth or Userinfo("alice", PASSWORD)
        self.initialised = False

    async def init(self, metadata: Metadata | None, /) -> None:
        if self.initialised:
            raise RuntimeError("init() was called before")
        timeout = None if metadata is None else metadata.get("timeout")
        if not isinstance(timeout, float | None):
            raise ValueError(f"timeout must be a number of seconds, not {timeout!r}")
        self.initialised = True

    def check_ready(self) -> None:
        if not self.initialised:
            raise RuntimeError("init() was not called")


class LoopInConstructor(Settings):
    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.loop = asyncio.get_running_loop()


class InsistingOnMetadata(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        if metadata is None:
            raise TypeError("'NoneType' object is not subscriptable")
        await super().init(metadata)


class InitialisingAgain(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        self.initialised = False
        await super().init(metadata)


class NeedingNoInit(Settings):
    def check_ready(self) -> None:
        pass


class IgnoringSettings(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(None)


class NamingNoKey(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        try:
            await super().init(metadata)
        except ValueError:
            raise ValueError("invalid configuration") from None


class WritingDefaults(Settings):
    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        if metadata is not None and not metadata.is_exists("timeout"):
            metadata.set("timeout", 10)


LIFE_FAULTS: Final[tuple[tuple[str, type[Settings], str], ...]] = (
    ("made-without-loop", LoopInConstructor, ""),
    ("init-without-metadata", InsistingOnMetadata, "#372 init() crashed without metadata"),
    ("init-once", InitialisingAgain, ""),
    ("settings-unchanged", WritingDefaults, ""),
    ("use-before-init", NeedingNoInit, ""),
    ("bad-setting-named", IgnoringSettings, ""),
    ("bad-setting-named", NamingNoKey, ""),
)


RightT = TypeVar("RightT")


def mixed(fault: type[object], right: type[RightT]) -> type[RightT]:
    """Return what is right but for one fault."""
    # No checker knows the class of two bases that are arguments.
    return cast("type[RightT]", new_class(fault.__name__, (fault, right)))
