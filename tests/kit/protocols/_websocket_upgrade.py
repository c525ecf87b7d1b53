"""Both ends of the upgrade to the transport like WebSocket: a dialer, and a listener."""

import asyncio
from typing import Final

from gost_core.common.net import ClosedError, Closer, Conn, ProtocolError
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.dialer import (
    Dialer,
    DialOption,
    DialOptions,
    HandshakeOption,
    HandshakeOptions,
    Handshaker,
)
from gost_core.options import apply
from tests.kit.dialer._protocol import PASSWORD, OwnNetwork, Settings, read_exactly
from tests.kit.listener._local import RightListener
from tests.kit.listener._serving import ServedConn
from tests.kit.protocols._websocket import WebSocketConn

LONGEST_LINE: Final = 1024


async def line(conn: Conn) -> str:
    data = b""
    while not data.endswith(b"\n"):
        if len(data) > LONGEST_LINE:
            raise ProtocolError("a line has no end")
        # Byte by byte: what comes behind it belongs to the frames.
        data += await read_exactly(conn, 1)
    return data.decode("latin-1").rstrip("\n")


async def answer_upgrade(conn: Conn, host: str | None = None) -> None:
    match (await line(conn)).split(" "):
        case ["GET", for_host, login]:
            if host not in (None, for_host):
                raise ProtocolError("another host was asked for")
            if login != f"alice:{PASSWORD.replace(' ', '+')}":
                await conn.write(b"401\n")
                raise PermissionError("a wrong login")
        case _:
            raise ProtocolError("that is no request")


class WebSocketDialer(Settings, Dialer, Handshaker, Closer):
    """Dials, and upgrades in a step of its own."""

    connection: type[WebSocketConn] = WebSocketConn
    limit = 10.0

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.closed = False
        self.dials: set[asyncio.Task[Conn]] = set()

    async def dial(self, ctx: Context, addr: str, /, *opts: DialOption) -> Conn:
        self.check_ready()
        self.check_open()
        options = apply(DialOptions(), *opts)
        network = options.dialer or OwnNetwork()
        dialing = asyncio.create_task(network.dial(ctx, "tcp", addr))
        self.dials.add(dialing)
        try:
            return await dialing
        except asyncio.CancelledError:
            if dialing.done() and not dialing.cancelled() and dialing.exception() is None:
                await dialing.result().close()
            self.check_open()
            raise
        finally:
            self.dials.discard(dialing)

    async def handshake(self, ctx: Context, conn: Conn, /, *opts: HandshakeOption) -> Conn:
        self.check_ready()
        host = apply(HandshakeOptions(), *opts).addr or str(conn.remote_addr())
        async with asyncio.timeout(self.limit):
            await self.upgrade(conn, host)
        return self.connection(conn)

    async def upgrade(self, conn: Conn, host: str) -> None:
        await conn.write(self.request(host))
        match await line(conn):
            case "101":
                pass
            case "401":
                raise PermissionError(f"the node refuses {self.auth.username!r}")
            case _:
                raise ProtocolError("the node's answer to the upgrade is malformed")

    def request(self, host: str) -> bytes:
        login = f"{self.auth.username}:{self.auth.password}".replace(" ", "+")
        return f"GET {host} {login}\n".encode()

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("the dialer was closed")

    async def close(self) -> None:
        self.closed = True
        # One of them may be what calls this.
        dials = self.dials - {asyncio.current_task()}
        for dialing in dials:
            dialing.cancel()
        if dials:
            await asyncio.wait(dials)


class WebSocketListener(RightListener):
    """Upgrades each client by a task of its own."""

    connection: type[WebSocketConn] = WebSocketConn

    async def serve(self, conn: ServedConn) -> None:
        try:
            async with asyncio.timeout(10):
                await self.expect_header(conn)
                await self.admit(conn)
                await answer_upgrade(conn.inner)
                if len(self.queue) >= self.backlog:
                    raise OSError("the backlog is full")
                await conn.inner.write(b"101\n")
        except BaseException as error:
            await conn.close()
            if not isinstance(error, Exception):
                raise
        else:
            # Limits and statistics are about what the client sends within the frames.
            conn.inner = self.connection(conn.inner)
            self.put(conn)

    async def close(self) -> None:
        self.end()
        # All of this goes on if this call is cancelled.
        conns: list[Conn] = [*self.greetings.values()]
        conns += [one for one in self.queue if not isinstance(one, Exception)]
        self.queue.clear()
        for greeting in self.greetings:
            greeting.cancel()
        ending = {*self.greetings, *(asyncio.create_task(conn.close()) for conn in conns)}
        if ending:
            await asyncio.wait(ending)
