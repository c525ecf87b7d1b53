"""Connections, listeners and dialers over asyncio's streams, a wrapper, and capabilities."""

import asyncio
from contextlib import suppress
from typing import assert_type

from typing_extensions import Buffer, Protocol, runtime_checkable

from gost_core.common.net import (
    Addr,
    ClosedError,
    Closer,
    Conn,
    ConnUnwrapper,
    ContextCarrier,
    Dialer,
    Error,
    HalfCloser,
    Listener,
    PacketConn,
    UnsupportedError,
    find_capability,
)
from gost_core.context import Context


class TCPAddr:
    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def network(self) -> str:
        return "tcp"

    def __str__(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"


class StreamConn:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        local_addr: TCPAddr,
        remote_addr: TCPAddr,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._local_addr = local_addr
        self._remote_addr = remote_addr

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"a read asks for at least 1 byte, not {n}")
        return await self._reader.read(n)

    async def write(self, data: Buffer, /) -> None:
        # StreamWriter takes bytes, bytearray and memoryview, and a Buffer may be another one.
        self._writer.write(memoryview(data))
        await self._writer.drain()

    async def close_write(self) -> None:
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def local_addr(self) -> TCPAddr:
        return self._local_addr

    def remote_addr(self) -> TCPAddr:
        return self._remote_addr


class CountingConn(Conn):
    """A wrapper, by inheritance: it counts what passes and shows what it wraps."""

    def __init__(self, conn: Conn, ctx: Context) -> None:
        self._conn = conn
        self._ctx = ctx
        self.count = 0

    async def read(self, n: int, /) -> bytes:
        data = await self._conn.read(n)
        self.count += len(data)
        return data

    async def write(self, data: Buffer, /) -> None:
        await self._conn.write(data)
        self.count += memoryview(data).nbytes

    async def close(self) -> None:
        await self._conn.close()

    def local_addr(self) -> Addr:
        return self._conn.local_addr()

    def remote_addr(self) -> Addr:
        return self._conn.remote_addr()

    def unwrap_conn(self) -> Conn:
        return self._conn

    def context(self) -> Context:
        return self._ctx


class DatagramConn:
    """An unconnected datagram socket: datagrams go to, and come from, more than one peer."""

    def __init__(self, bound_to: Addr) -> None:
        self._bound_to = bound_to
        self._datagrams = asyncio.Queue[tuple[bytes, Addr]]()

    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        data, source = await self._datagrams.get()
        return data[:n], source

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        await self._datagrams.put((bytes(data), addr))

    async def read(self, n: int, /) -> bytes:
        raise UnsupportedError("an unconnected socket reads by read_from")

    async def write(self, data: Buffer, /) -> None:
        raise UnsupportedError("an unconnected socket writes by write_to")

    async def close(self) -> None:
        return

    def local_addr(self) -> Addr:
        return self._bound_to

    def remote_addr(self) -> Addr:
        return TCPAddr("", 0)


class QueueListener:
    """A listener that is fed by its own program."""

    def __init__(self, addr: Addr) -> None:
        self._addr = addr
        self._connections = asyncio.Queue[Conn | None]()

    async def accept(self) -> Conn:
        connection = await self._connections.get()
        if connection is None:
            raise ClosedError("the listener is closed")
        return connection

    async def close(self) -> None:
        await self._connections.put(None)

    def addr(self) -> Addr:
        return self._addr


class StreamDialer:
    async def dial(self, ctx: Context, network: str, addr: str, /) -> StreamConn:
        if not network.startswith("tcp"):
            raise UnsupportedError(f"network {network!r} is not offered")
        host, _, port = addr.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        return StreamConn(reader, writer, TCPAddr("localhost", 0), TCPAddr(host, int(port)))


class InheritingDialer(Dialer):
    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        return await StreamDialer().dial(ctx, network, addr)


class BusyError(OSError):
    """An exception that says by itself whether to try again."""

    def timeout(self) -> bool:
        return False

    def temporary(self) -> bool:
        return True


class InheritingBusyError(OSError, Error):
    def timeout(self) -> bool:
        return False

    def temporary(self) -> bool:
        return True


@runtime_checkable
class TLSCarrier(Protocol):
    """A capability of another package."""

    def tls_version(self) -> str: ...


async def finish_sending(conn: Conn) -> None:
    """A capability of the connection itself: what is not offered is None."""
    half_closer = find_capability(conn, HalfCloser)
    assert_type(half_closer, HalfCloser | None)
    if half_closer is None:
        await conn.close()
    else:
        await half_closer.close_write()


def context_of(conn: Conn) -> Context:
    """A capability looked for through the wrappers."""
    carrier = find_capability(conn, ContextCarrier)
    assert_type(carrier, ContextCarrier | None)
    carried = carrier.context() if carrier is not None else None
    return carried if carried is not None else Context()


def tls_version(conn: Conn) -> str:
    """Another package's capability, a protocol, and a class that is none."""
    carrier = find_capability(conn, TLSCarrier)
    assert_type(carrier, TLSCarrier | None)
    stream = find_capability(conn, StreamConn)
    assert_type(stream, StreamConn | None)
    return "" if carrier is None else carrier.tls_version()


def prove_addr(addr: TCPAddr) -> Addr:
    return addr


def prove_conn(conn: StreamConn) -> Conn:
    return conn


def prove_half_closer(conn: StreamConn) -> HalfCloser:
    return conn


def prove_inheriting_conn(conn: CountingConn) -> Conn:
    return conn


def prove_conn_unwrapper(conn: CountingConn) -> ConnUnwrapper:
    return conn


def prove_context_carrier(conn: CountingConn) -> ContextCarrier:
    return conn


def prove_datagram_conn(conn: DatagramConn) -> Conn:
    return conn


def prove_packet_conn(conn: DatagramConn) -> PacketConn:
    return conn


def prove_closer(conn: StreamConn) -> Closer:
    return conn


def prove_listener(listener: QueueListener) -> Listener:
    return listener


def prove_dialer(dialer: StreamDialer) -> Dialer:
    return dialer


def prove_inheriting_dialer(dialer: InheritingDialer) -> Dialer:
    return dialer


def prove_error(error: BusyError) -> Error:
    return error


def prove_inheriting_error(error: InheritingBusyError) -> Error:
    return error
