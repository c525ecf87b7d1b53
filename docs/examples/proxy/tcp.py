"""TCP: a connection, the listener that accepts such connections, the dialers that open them."""

import asyncio
import errno
import socket
from typing import Final, cast

from typing_extensions import Buffer

from gost_core import dialer, listener
from gost_core.common import net
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.options import apply

from .address import TCPAddr, addresses_of, split_host_port, split_target
from .component import Component, refuse_options
from .limited import accept_within_limits
from .metadata import number
from .udp import dial_udp

# What says that accept() failed this time, and that the listener is well (D26).
TEMPORARY: Final = {
    getattr(errno, name)
    for name in ("ECONNABORTED", "EINTR", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM")
}

DECISION_LIMIT = 5.0  # seconds to decide on a client: the next one waits meanwhile


class TCPConn(asyncio.Protocol, net.Conn, net.HalfCloser):
    """A connection over one of asyncio's transports.

    The event loop delivers what arrives whether or not somebody waits for it. What nobody waits
    for is held here, and the transport pauses until it is taken: so a cancelled read loses nothing
    (D7), and one arrival is all that is ever buffered. In the other direction nothing is buffered
    at all: ``write`` returns when the kernel has taken everything (D8).
    """

    def __init__(self) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._arrived = b""
        self._taken = 0  # how much of it has been read
        self._ended = False  # the peer's stream
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._write_ended = False
        self._closed = False
        self._fault: Exception | None = None
        self._gone: Final = asyncio.Event()

    async def read(self, n: int, /) -> bytes:
        if n < 1:
            raise ValueError(f"cannot read {n} bytes; ask for at least 1")
        if self._reader is not None:
            raise RuntimeError("another task is already reading from this connection")
        while not self._arrived:
            if self._ended and not self._closed:
                return b""
            self._check_alive()
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = self._arrived[self._taken : self._taken + n]
        self._taken += len(data)
        if self._taken == len(self._arrived):
            self._arrived = b""
            self._taken = 0
            self._transport.resume_reading()
        return data

    async def write(self, data: Buffer, /) -> None:
        self._check_alive()
        if self._write_ended:
            raise BrokenPipeError(errno.EPIPE, "the outgoing stream was ended by close_write()")
        if self._writer is not None:
            raise RuntimeError("another task is already writing to this connection")
        self._transport.write(data if isinstance(data, bytes) else memoryview(data).cast("B"))
        while self._transport.get_write_buffer_size() or self._transport.is_closing():
            self._check_alive()
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None

    async def close_write(self) -> None:
        self._check_alive()
        self._write_ended = True
        try:
            self._transport.write_eof()
        except OSError as error:
            raise BrokenPipeError(errno.EPIPE, "the peer is gone") from error

    async def close(self) -> None:
        self._closed = True
        self._arrived = b""
        # Not close(), which would wait for a peer that reads no more: abort() is bounded (D1), and
        # drops only what a write() that has not returned was about to send.
        self._transport.abort()
        await self._gone.wait()

    def local_addr(self) -> net.Addr:
        return self._local_addr

    def remote_addr(self) -> net.Addr:
        return self._remote_addr

    def _check_alive(self) -> None:
        if self._closed:
            raise net.ClosedError("this connection was closed here")
        if self._gone.is_set():
            raise ConnectionResetError(
                errno.ECONNRESET, f"the connection to {self._remote_addr} broke off"
            ) from self._fault

    # From here on: what the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since the transports of other event loops need not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)
        # Asked once: the addresses stay valid after close (D2), the socket does not.
        self._local_addr = TCPAddr.of(transport.get_extra_info("sockname"))
        self._remote_addr = TCPAddr.of(transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        self._arrived = self._arrived + data if self._arrived else data
        if self._reader is None:
            self._transport.pause_reading()
        else:
            _wake(self._reader)

    def eof_received(self) -> bool:
        self._ended = True
        _wake(self._reader)
        return True  # keep the outgoing direction open: that is what HalfCloser is for

    def resume_writing(self) -> None:
        _wake(self._writer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fault = exc
        self._gone.set()
        _wake(self._reader)
        _wake(self._writer)


class TCPListener(Component, listener.Listener):
    """Accepts TCP connections at an address of this host.

    It needs an event loop that can watch sockets (``add_reader``), as all but Windows' default can.
    It is a ``gost_core.common.net.Listener`` too, which has the same methods but for ``init``.
    """

    def __init__(self, *opts: listener.Option) -> None:
        super().__init__()
        self._options = apply(listener.Options(), *opts)
        self._socket: socket.socket | None = None
        self._addr = TCPAddr("", 0)
        self._waiter: asyncio.Future[None] | None = None
        self._deciding: asyncio.Timeout | None = None
        self._closed = False

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auther", "auth", "tls_config", "proxy_protocol")
        refuse_options(self._options, "netns")
        host, port = split_host_port(self._options.addr)
        backlog = int(number(metadata, "backlog", 128))
        self._loop = asyncio.get_running_loop()
        # No host is everywhere (D12): one socket for both families, where the system has that.
        both = not host and socket.has_dualstack_ipv6()
        address = (await addresses_of(host, "tcp"))[0] if host else ""
        self._socket = socket.create_server(
            (address, port),
            family=socket.AF_INET6 if both or ":" in address else socket.AF_INET,
            backlog=backlog,
            dualstack_ipv6=both,
        )
        self._socket.setblocking(False)
        self._addr = TCPAddr.of(self._socket.getsockname())

    async def accept(self) -> net.Conn:
        if self._waiter is not None:
            raise RuntimeError("another task is already accepting from this listener")
        while not self._closed:
            self.check_initialized()
            assert self._socket is not None
            try:
                # No await between the readiness and the accept: nothing is lost to a cancel (D26).
                client, _ = self._socket.accept()
            except BlockingIOError:
                await self._readable(self._socket)
                continue
            except OSError as error:
                if error.errno in TEMPORARY:
                    raise listener.AcceptError(error) from error
                await self.close()
                raise
            try:
                _, conn = await self._loop.connect_accepted_socket(TCPConn, client)
            except OSError:  # this client's trouble, and nobody else's (D26)
                client.close()
                continue
            served = await self._within_limits(conn)
            if served is not None:
                return served
        raise listener.ClosedError("this listener was closed")

    def addr(self) -> net.Addr:
        return self._addr

    async def close(self) -> None:
        closed, self._closed = self._closed, True
        if self._socket is None or closed:
            return
        if self._waiter is not None:
            self._loop.remove_reader(self._socket)
            _wake(self._waiter)
        self._socket.close()
        if self._deciding is not None and not self._deciding.expired():
            self._deciding.reschedule(0)

    async def _within_limits(self, conn: net.Conn) -> net.Conn | None:
        try:
            async with asyncio.timeout(DECISION_LIMIT) as self._deciding:
                return await accept_within_limits(conn, self._options)
        except TimeoutError:  # nobody can decide, or nobody need: the listener was closed (D1)
            return None
        finally:
            self._deciding = None

    async def _readable(self, server: socket.socket) -> None:
        self._waiter = self._loop.create_future()
        self._loop.add_reader(server, _wake, self._waiter)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if not self._closed:
                self._loop.remove_reader(server)


class SystemDialer(net.Dialer):
    """Opens connections from this host, by TCP and UDP; names are resolved by the system."""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> net.Conn:
        if network.startswith("udp"):
            return await dial_udp(network, addr)
        if not network.startswith("tcp"):
            raise net.UnsupportedError(f"network {network!r} is not offered here; tcp and udp are")
        host, port = split_target(addr)
        loop = asyncio.get_running_loop()
        fault = OSError(f"{host} has no address")
        for address in await addresses_of(host, network):
            try:
                _, conn = await loop.create_connection(TCPConn, address, port)
            except OSError as error:
                fault = error
            else:
                return conn
        raise fault


class TCPDialer(Component, dialer.Dialer):
    """Reaches nodes by plain TCP: the transport is the connection."""

    def __init__(self, *opts: dialer.Option) -> None:
        super().__init__()
        self._options = apply(dialer.Options(), *opts)

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auth", "tls_config", "proxy_protocol")

    async def dial(self, ctx: Context, addr: str, /, *opts: dialer.DialOption) -> net.Conn:
        self.check_initialized()
        beneath = apply(dialer.DialOptions(), *opts).dialer or SystemDialer()
        return await beneath.dial(ctx, "tcp", addr)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
