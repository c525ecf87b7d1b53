"""The listener and its connection against the contract: a test for each clause."""

import asyncio

from gost_core.common.net import Addr, Conn
from gost_core.listener import addr_option
from gost_core.testing.common.net import ConnContract
from gost_core.testing.listener import ListenerContract

from .connection import StreamConn
from .listener import BACKLOG, SocketListener


async def connect(addr: Addr) -> Conn:
    """Connect a client to the listener."""
    host, _, port = str(addr).rpartition(":")
    return StreamConn(*await asyncio.open_connection(host, int(port)))


async def pair() -> tuple[Conn, Conn]:
    """Open a connection, and return both of its ends."""
    listener = SocketListener(addr_option("127.0.0.1:0"))
    await listener.init(None)
    client = await connect(listener.addr())
    accepted = await listener.accept()
    await listener.close()
    return client, accepted


TestListener = ListenerContract(
    lambda option: SocketListener(addr_option("127.0.0.1:0"), option),
    connect=connect,
    backlog=BACKLOG,
).as_tests()
TestConn = ConnContract(pair).as_tests()
