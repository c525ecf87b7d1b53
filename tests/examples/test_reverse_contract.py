"""The reverse path and the forward against the contract."""

import asyncio

import pytest

from gost_core import handler
from gost_core.chain import Node, Router
from gost_core.common.net import Addr, Conn, Listener
from gost_core.common.url import Userinfo
from gost_core.connector import mux_bind_option
from gost_core.context import Context
from gost_core.handler import auther_option, router_option
from gost_core.hop import Hop
from gost_core.listener import Listener as ServiceListener
from gost_core.listener import Option, addr_option
from gost_core.testing.common.net import ConnContract
from gost_core.testing.common.net import ListenerContract as NetListenerContract
from gost_core.testing.connector import BinderContract
from gost_core.testing.handler import HandlerContract
from gost_core.testing.listener import ReverseListenerContract
from proxy.auth import UserTable
from proxy.chain.router import RetryRouter
from proxy.connector.socks5 import SOCKS5Connector
from proxy.handler.forward import ForwardHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.listener.rtcp import ReverseListener
from proxy.listener.tcp import TCPListener
from proxy.metadata import MemoryMetadata
from proxy.net.dialer import SystemDialer

# Contracts wait much. The kit's own trials run on each Python, and what the example keeps on one.
pytestmark = pytest.mark.one_python

# ---- binding


async def bind(conn: Conn, router: Router) -> None:
    """Play a proxy that may be had listen."""
    served = SOCKS5Handler(router_option(router))
    await served.init(MemoryMetadata({"bind": True}))
    await served.handle(Context(), conn)


async def unable(conn: Conn, router: Router) -> None:
    """Play a proxy that may not."""
    served = SOCKS5Handler(router_option(router))
    await served.init(None)
    await served.handle(Context(), conn)


async def refusing(conn: Conn, router: Router) -> None:
    """Play a proxy that wants a password."""
    served = SOCKS5Handler(
        router_option(router), auther_option(UserTable(Userinfo("user", "password")))
    )
    await served.init(MemoryMetadata({"bind": True}))
    await served.handle(Context(), conn)


async def malformed(conn: Conn, router: Router) -> None:
    """Play what is no proxy."""
    await conn.read(100)
    await conn.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    while await conn.read(100):
        pass


TestSOCKS5Binder = BinderContract(
    SOCKS5Connector,
    node=bind,
    incapable=unable,
    refusing=refusing,
    garbling=malformed,
).as_tests()


async def dial(addr: Addr) -> Conn:
    return await SystemDialer().dial(Context(), "tcp", str(addr))


async def tunnel(addr: Addr | str = "127.0.0.1:0") -> Listener:
    """Bind through a proxy of this event loop, which serves one connection."""
    local = TCPListener(addr_option("127.0.0.1:0"))
    await local.init(None)
    conn = await dial(local.addr())
    accepted = await local.accept()
    await local.close()
    serving = asyncio.create_task(bind(accepted, RetryRouter()))
    tasks.add(serving)
    serving.add_done_callback(tasks.discard)
    connector = SOCKS5Connector()
    await connector.init(None)
    shaken = await connector.handshake(Context(), conn)
    return await connector.bind(Context(), shaken, "tcp", str(addr), mux_bind_option(True))


tasks: set[asyncio.Task[None]] = set()


async def visit() -> tuple[Conn, Conn]:
    """Return what a tunnel has brought, and its visitor."""
    listener = await tunnel()
    visitor = await dial(listener.addr())
    conn = await listener.accept()
    await listener.close()
    return conn, visitor


TestTunnelListener = NetListenerContract(tunnel, dial, make_at=tunnel).as_tests()
TestVisitor = ConnContract(visit).as_tests()


# ---- the reverse listener


def reverse(option: Option) -> ServiceListener:
    return ReverseListener(option)


TestReverseListener = ReverseListenerContract(
    reverse,
    bad_metadata=MemoryMetadata({"backlog": "many"}),
).as_tests()


# ---- the forward


class OneTarget(ForwardHandler):
    """Forwards to one target, unless it is told where."""

    def __init__(self, *opts: handler.Option) -> None:
        super().__init__(*opts)
        self.forward(TargetHop())


class TargetHop(Hop):
    """Has one node."""

    async def select(self, ctx: Context, /, *opts: object) -> Node | None:
        return Node("target", "target.example:80")


async def connect(conn: Conn, target: str) -> Conn:
    return conn


TestForwardHandler = HandlerContract(OneTarget, connect=connect).as_tests()
