"""Sessions of many streams against the contract: their connections, dialer and listener."""

import asyncio
import socket
from contextlib import suppress

import pytest

from gost_core.common.net import Addr, Conn
from gost_core.context import Context
from gost_core.dialer import host_dial_option
from gost_core.listener import Listener, Option, Options, addr_option, admission_option
from gost_core.metadata import Metadata
from gost_core.options import apply
from gost_core.testing.common.net import CloserContract, ConnContract, HalfCloserContract
from gost_core.testing.dialer import DialerContract
from gost_core.testing.listener import ListenerContract
from proxy.dialer.h2 import MuxDialer
from proxy.listener.h2 import MuxListener
from proxy.listener.tcp import TCPListener
from proxy.metadata import MemoryMetadata
from proxy.net.h2_session import Session
from proxy.net.h2_stream import Stream
from proxy.net.tcp import Readiness, TCPConn

# Contracts wait much. The kit's own trials run on each Python, and what the example keeps on one.
pytestmark = pytest.mark.one_python

# ---- streams


class Breakable(TCPConn):
    """Can end as the connection of a program that crashes."""

    async def break_off(self) -> None:
        self.abort()


beneath: dict[Conn, Breakable] = {}


async def connected() -> tuple[Conn, Breakable]:
    """Return the two ends of a connection."""
    listener = TCPListener(addr_option("127.0.0.1:0"))
    await listener.init(None)
    host, _, port = str(listener.addr()).rpartition(":")
    peer = Breakable(socket.create_connection((host, int(port))), (host, int(port)))
    conn = await listener.accept()
    await listener.close()
    return conn, peer


async def opened() -> tuple[Conn, Conn]:
    """Return a stream that was opened, and its peer, which was accepted."""
    near, far = await connected()
    client, server = (
        Session(near, client=True, retiring=True),
        Session(far, client=False),
    )
    conn, peer = await asyncio.gather(client.open("host:1"), server.accept())
    await server.retire()
    beneath[peer] = far
    return conn, peer


async def accepted() -> tuple[Conn, Conn]:
    """Return a stream that was accepted, and its peer, which was opened."""
    near, far = await connected()
    client, server = (
        Session(far, client=True, retiring=True),
        Session(near, client=False),
    )
    peer, conn = await asyncio.gather(client.open("host:1"), server.accept())
    await server.retire()
    beneath[peer] = far
    return conn, peer


async def break_off(conn: Conn) -> None:
    await beneath[conn].break_off()


TestOpenedStream = ConnContract(opened, break_off=break_off).as_tests()
TestAcceptedStream = ConnContract(accepted, break_off=break_off).as_tests()
TestStreamHalfCloser = HalfCloserContract(opened).as_tests()


# ---- the dialer


async def node(conn: Conn) -> None:
    """Play a node that sends back what comes by each stream."""
    session = Session(conn, client=False)

    async def echo(stream: Stream) -> None:
        with suppress(ConnectionResetError):
            while data := await stream.read(65536):
                await stream.write(data)
        await stream.close()

    try:
        async with asyncio.TaskGroup() as streams:
            while True:
                streams.create_task(echo(await session.accept()))
    finally:
        await session.close()


async def garbage(conn: Conn) -> None:
    await conn.write(b"this is no frame of HTTP/2 at all")
    while await conn.read(65536):
        pass


TestMuxDialer = DialerContract(MuxDialer, peer=node, garbling=garbage).as_tests()


async def at_work() -> MuxDialer:
    """Return a dialer that has a session."""
    tcp = TCPListener(addr_option("127.0.0.1:0"))
    await tcp.init(None)
    dialer = MuxDialer()
    await dialer.init(None)
    dialing = asyncio.create_task(dialer.dial(Context(), str(tcp.addr())))
    session = Session(await tcp.accept(), client=False)
    await asyncio.gather(session.accept(), dialing)
    await tcp.close()
    return dialer


async def dial_in_vain(dialer: MuxDialer) -> None:
    """Dial a node that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        await dialer.dial(Context(), "{}:{}".format(*silent.getsockname()))


TestMuxDialerCloser = CloserContract(at_work, wait=dial_in_vain).as_tests()


# ---- the listener


class FailingSocket(socket.socket):
    """Fails to accept when it is told to."""

    error: OSError | None = None

    def accept(self) -> tuple[socket.socket, object]:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return super().accept()


class FailingTCPListener(TCPListener):
    """Listens at a socket that fails when it is told to."""

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        assert self._socket is not None
        self.socket = FailingSocket(fileno=self._socket.detach())
        self.socket.setblocking(False)
        self._socket = self.socket
        self._arrival = Readiness(self.socket)

    def fail(self, error: OSError) -> None:
        self.socket.error = error
        self._arrival.wake()


class FailingListener(MuxListener):
    """Accepts sessions from a listener that fails when it is told to."""

    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts)
        admission = apply(Options(), *opts).admission
        self.tcp = FailingTCPListener(addr_option(self._options.addr), admission_option(admission))
        self._inner = self.tcp


async def fail(listener: Listener, error: OSError) -> None:
    assert isinstance(listener, FailingListener)
    listener.tcp.fail(error)


def loopback(option: Option) -> Listener:
    return FailingListener(addr_option("127.0.0.1:0"), option)


async def dial(addr: Addr) -> Conn:
    dialer = MuxDialer()
    await dialer.init(None)
    return await dialer.dial(Context(), str(addr), host_dial_option("proxy.example:1"))


TestMuxListener = ListenerContract(
    loopback,
    dial,
    backlog=128,
    bad_metadata=MemoryMetadata({"backlog": "many"}),
    fail=fail,
).as_tests()
