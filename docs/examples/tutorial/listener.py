"""A listener over asyncio's server."""

import asyncio
import socket

from gost_core.common.net import Addr, Conn
from gost_core.listener import ClosedError, Listener, Option, Options
from gost_core.metadata import Metadata
from gost_core.options import apply

from .connection import SocketAddr, StreamConn

BACKLOG = 128
UNSERVED = (
    "auther",
    "auth",
    "tls_config",
    "admission",
    "traffic_limiter",
    "conn_limiter",
    "stats",
    "netns",
    "router",
)


class SocketListener(Listener):
    """Accepts TCP connections over IPv4."""

    def __init__(self, *opts: Option) -> None:
        self._options = apply(Options(), *opts)
        self._server: asyncio.Server | None = None
        self._addr = SocketAddr("0.0.0.0", 0)
        # What nobody has accepted yet; None ends the line.
        self._waiting = asyncio.Queue[StreamConn | None]()
        self._closed = False

    async def init(self, metadata: Metadata | None, /) -> None:
        if self._server is not None or self._closed:
            raise RuntimeError("init() comes once, and before close()")
        for name in UNSERVED:
            if getattr(self._options, name) not in (None, ""):
                raise ValueError(f"the option {name!r} is not served here; leave it out")
        if self._options.proxy_protocol > 0:
            raise ValueError("the option 'proxy_protocol' is not served here; leave it out")
        host, colon, port = self._options.addr.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"{self._options.addr!r} is no address; write it as host:port")
        # Bound when this returns (D25). No host is everywhere (D12): here, all of IPv4.
        server = await asyncio.start_server(
            self._arrive, host or "0.0.0.0", int(port), family=socket.AF_INET
        )
        if self._closed:  # meanwhile (D1)
            server.close()
            raise ClosedError("this listener was closed")
        self._server = server
        self._addr = SocketAddr.of(server.sockets[0].getsockname())

    async def accept(self) -> Conn:
        if self._server is None and not self._closed:
            raise RuntimeError("accept() before init()")
        conn = await self._waiting.get()  # cancelling this takes nobody from the line (D26)
        if conn is None:
            self._waiting.put_nowait(None)
            raise ClosedError("this listener was closed")
        return conn

    def addr(self) -> Addr:
        return self._addr

    async def close(self) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()  # frees the address at once (D27)
        while not self._waiting.empty():
            unaccepted = self._waiting.get_nowait()
            if unaccepted is not None:
                unaccepted.drop()
        self._waiting.put_nowait(None)
        await asyncio.sleep(0)  # as in StreamConn.close

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed or self._waiting.qsize() >= BACKLOG:
            writer.transport.abort()
        else:
            self._waiting.put_nowait(StreamConn(reader, writer))
