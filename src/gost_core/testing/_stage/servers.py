"""Servers on this host's loopback."""

import asyncio
import os
import shutil
import socket
import tempfile
from contextlib import AbstractContextManager
from typing import Any, cast
from unittest import mock

from gost_core.testing._run.attempt import Exempt
from gost_core.testing._run.waiting import keep

__all__ = ("EchoServer", "free_descriptor", "resolving", "silent_address")


class EchoServer:
    """Sends back what it receives, until the scenario is over."""

    def __init__(self) -> None:
        self.connections = 0
        self.open: set[asyncio.Transport] = set()
        self._loop = asyncio.get_running_loop()

    async def tcp(self, host: str = "127.0.0.1") -> str:
        """Serve TCP, and return the address."""
        server = await self._loop.create_server(lambda: _Echo(self), host, 0)
        self._keep(server)
        port = server.sockets[0].getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def unix(self) -> str:
        """Serve at a path, and return it."""
        folder = tempfile.mkdtemp()
        keep(lambda: shutil.rmtree(folder))
        path = os.path.join(folder, "echo")
        self._keep(await self._loop.create_unix_server(lambda: _Echo(self), path))
        return path

    async def udp(self, port: int = 0) -> str:
        """Serve UDP, and return the address."""
        addr = ("127.0.0.1", port)
        transport, _ = await self._loop.create_datagram_endpoint(_PacketEcho, local_addr=addr)
        keep(transport.close)
        return "{}:{}".format(*transport.get_extra_info("sockname"))

    def _keep(self, server: asyncio.Server) -> None:
        async def close() -> None:
            server.close()
            for transport in tuple(self.open):
                transport.abort()

        keep(close)


class _Echo(asyncio.Protocol):
    """One connection of an :class:`EchoServer`."""

    def __init__(self, server: EchoServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since the transports of other event loops need not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections += 1
        self._server.open.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self._transport)


class _PacketEcho(asyncio.DatagramProtocol):
    """A socket of an :class:`EchoServer`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # As above.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


def free_descriptor() -> int:
    """Return the lowest one that is free: it rises as sockets stay open, where they have any."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def resolving(name: str, *hosts: str) -> AbstractContextManager[object]:
    """Have the system's resolver give a name these addresses, in this order, to this process."""
    real = socket.getaddrinfo

    def answer(host: Any, *args: Any, **kwargs: Any) -> list[Any]:
        found: list[Any] = []
        for one in hosts if host in (name, name.encode()) else (host,):
            try:
                found += real(one, *args, **kwargs)
            except socket.gaierror:
                # It may be of another family than was asked for.
                if one == host:
                    raise
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no such address")
        return found

    return mock.patch.object(socket, "getaddrinfo", answer)


async def silent_address() -> str:
    """Return a TCP address that never answers: the queue of its listener is full."""
    server = socket.create_server(("127.0.0.1", 0), backlog=0)
    name = server.getsockname()
    keep(server.close)
    loop = asyncio.get_running_loop()
    for _ in range(64):
        client = socket.socket()
        keep(client.close)
        client.setblocking(False)
        try:
            async with asyncio.timeout(0.1):
                await loop.sock_connect(client, name)
        except TimeoutError:
            return "{}:{}".format(*name)
    raise Exempt("on this system no queue of a listener becomes full")
