"""The inbound side: listeners, handlers, and the service that joins one of each."""

import asyncio
from contextlib import AsyncExitStack

from typing_extensions import Buffer

from gost_core import handler, listener
from gost_core.common.net import Addr, Closer, Conn
from gost_core.context import Context
from gost_core.handler import Forwarder, HandleOption, HandleOptions, Handler
from gost_core.hop import Hop
from gost_core.keys import CLIENT_ID, SESSION_ID
from gost_core.limiter import SCOPE_CLIENT, scope_option
from gost_core.listener import AcceptError, BindError, ClosedError, Listener
from gost_core.logger import default
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.service import Service


class ProgramAddr:
    def network(self) -> str:
        return "program"

    def __str__(self) -> str:
        return "here"


class QueueListener:
    """A listener that is fed by its own program."""

    def __init__(self, *opts: listener.Option | None) -> None:
        self._options = apply(listener.Options(), *opts)
        self._connections = asyncio.Queue[Conn | Exception](128)

    async def init(self, metadata: Metadata | None, /) -> None:
        if self._options.addr:
            raise ValueError(f"a queue has no address, and {self._options.addr!r} is one")

    async def accept(self) -> Conn:
        connection = await self._connections.get()
        if isinstance(connection, OSError):
            raise AcceptError(connection)
        if isinstance(connection, Exception):
            raise BindError(connection)
        return connection

    async def close(self) -> None:
        await self._connections.put(ClosedError("the listener is closed"))

    def addr(self) -> Addr:
        return ProgramAddr()


class InheritingListener(Listener):
    """A wrapper around any listener: it passes on what it does not change."""

    def __init__(self, inner: Listener) -> None:
        self._inner = inner
        self.accepted = 0

    async def init(self, metadata: Metadata | None, /) -> None:
        await self._inner.init(metadata)

    async def accept(self) -> Conn:
        connection = await self._inner.accept()
        self.accepted += 1
        return connection

    async def close(self) -> None:
        await self._inner.close()

    def addr(self) -> Addr:
        return self._inner.addr()


class EchoHandler:
    def __init__(self, *opts: handler.Option | None) -> None:
        self._options = apply(handler.Options(), *opts)
        self._buffer_size = 65536

    async def init(self, metadata: Metadata | None, /) -> None:
        if metadata is None or not metadata.is_exists("bufferSize"):
            return
        size = metadata.get("bufferSize")
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"bufferSize is a number of bytes, not {size!r}")
        self._buffer_size = size

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(conn.close)
            while data := await conn.read(self._buffer_size):
                await self._reply(ctx, conn, data)

    async def _reply(self, ctx: Context, conn: Conn, data: Buffer) -> None:
        limiters = self._options.limiter
        client = ctx.value(CLIENT_ID)
        view = memoryview(data)
        if limiters is None or client is None:
            await conn.write(view)
            return
        limiter = await limiters.out(ctx, client, scope_option(SCOPE_CLIENT))
        while limiter is not None and view.nbytes:
            granted = await limiter.wait(ctx, view.nbytes)
            if not granted:
                raise PermissionError("the traffic limit refuses the rest")
            await conn.write(view[:granted])
            view = view[granted:]


class RedirectingHandler(Handler):
    """By inheritance: it tells each client which node to go to, so it is a Forwarder as well."""

    def __init__(self) -> None:
        self._hop: Hop | None = None

    def forward(self, hop: Hop | None, /) -> None:
        self._hop = hop

    async def init(self, metadata: Metadata | None, /) -> None:
        if self._hop is None:
            raise ValueError("this handler needs a hop to forward to")

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        options = apply(HandleOptions(), *opts)
        tells_name = options.metadata is not None and options.metadata.is_exists("tellName")
        try:
            node = await self._hop.select(ctx) if self._hop is not None else None
            if node is None:
                raise ConnectionRefusedError("the hop has no node for this client")
            await conn.write((node.name if tells_name else node.addr).encode())
        finally:
            await conn.close()


class SerialService:
    """Handles one connection after the other."""

    def __init__(self, listener: Listener, handler: Handler) -> None:
        self._listener = listener
        self._handler = handler
        self._count = 0

    async def serve(self) -> None:
        while True:
            try:
                connection = await self._listener.accept()
            except AcceptError:
                await asyncio.sleep(1)
                continue
            except ClosedError:
                return
            self._count += 1
            ctx = Context().with_value(SESSION_ID, str(self._count))
            try:
                await self._handler.handle(ctx, connection)
            except OSError as error:
                default().warnf("session %d: %s", self._count, error)

    def addr(self) -> Addr:
        return self._listener.addr()

    async def close(self) -> None:
        await self._listener.close()
        if isinstance(self._handler, Closer):
            await self._handler.close()


def prove_listener(listener: QueueListener) -> Listener:
    return listener


def prove_inheriting_listener(listener: InheritingListener) -> Listener:
    return listener


def prove_handler(handler: EchoHandler) -> Handler:
    return handler


def prove_inheriting_handler(handler: RedirectingHandler) -> Handler:
    return handler


def prove_forwarder(forwarder: RedirectingHandler) -> Forwarder:
    return forwarder


def prove_service(service: SerialService) -> Service:
    return service
