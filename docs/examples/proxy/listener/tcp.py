"""Accepting TCP connections."""

import errno
import socket
from typing import Final

from gost_core import listener
from gost_core.common import net
from gost_core.metadata import Metadata
from gost_core.options import apply

from ..component import Component, refuse_options
from ..metadata import whole
from ..net.address import TCPAddr, addresses_of, split_host_port
from ..net.tcp import LEFT, OPTIONS, Readiness, TCPConn
from ..net.wrapper import Waits
from .limits import accept_within_limits, may_wait

# What says that accept() failed this time, and that the listener is well (D26).
TEMPORARY: Final = {
    getattr(errno, name)
    for name in ("ECONNABORTED", "EINTR", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM")
}


class TCPListener(Component, listener.Listener):
    """Accepts TCP connections at an address of this host; it is a ``net.Listener`` too."""

    def __init__(self, *opts: listener.Option) -> None:
        super().__init__()
        self._options = apply(listener.Options(), *opts)
        self._socket: socket.socket | None = None
        self._addr = TCPAddr("", 0)
        self._waits = Waits("listener", listener.ClosedError)

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        refuse_options(self._options, "auther", "auth", "tls_config", "proxy_protocol", "netns")
        host, port = split_host_port(self._options.addr)
        backlog = whole(metadata, "backlog", 128)
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
        for option in OPTIONS:
            self._socket.setsockopt(*option)
        self._arrival = Readiness(self._socket)
        self._addr = TCPAddr.of(self._socket.getsockname())

    async def accept(self) -> net.Conn:
        while not self._waits.ended:
            self.check_initialized()
            assert self._socket is not None
            if self._arrival.is_awaited():
                raise RuntimeError("another task is already accepting from this listener")
            await self._arrival.wait()
            if self._waits.ended:
                break
            try:
                # No await between the readiness and the accept: nothing is lost to a cancel (D26).
                client, name = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno in TEMPORARY:
                    raise listener.AcceptError(error) from error
                await self.close()
                raise
            try:
                conn = TCPConn(client, name, LEFT)
            except OSError:  # this client's trouble, and nobody else's (D26)
                client.close()
                continue
            deciding = accept_within_limits(conn, self._options)
            waits = may_wait(self._options)
            served = await (self._waits.until_closed(deciding) if waits else deciding)
            if served is not None:
                return served
        raise listener.ClosedError("this listener was closed")

    def addr(self) -> net.Addr:
        return self._addr

    async def close(self) -> None:
        self._waits.end()
        if self._socket is not None:
            self._arrival.end()
            self._socket.close()
