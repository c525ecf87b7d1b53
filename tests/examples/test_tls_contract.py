"""TLS of the example against the contract: one test for each clause."""

import ssl

import pytest

from gost_core.common.net import Addr, Conn, ContextCarrier
from gost_core.common.tls import TLSConfig
from gost_core.dialer import Dialer, tls_config_option
from gost_core.listener import Listener, Option, addr_option
from gost_core.listener import tls_config_option as served_config_option
from gost_core.testing.common.net import ConnContract, ContextCarrierContract, HalfCloserContract
from gost_core.testing.common.net import ListenerContract as NetListenerContract
from gost_core.testing.dialer import DialerContract, HandshakerContract
from gost_core.testing.listener import ListenerContract as ListenerListenerContract
from proxy.dialer.tls import TLSDialer
from proxy.listener.serving import ServingListener
from proxy.listener.tls import TLSListener
from proxy.metadata import MemoryMetadata
from proxy.net.tls import connect_tls
from tests.examples.test_proxy_contract import (
    Breakable,
    FailingListener,
    Whole,
    accepted,
    dial,
    fail,
)
from tests.examples.tls_harness import (
    CA_FILE,
    CLIENT,
    CLIENT_FILE,
    NAME,
    SERVER,
    OpenConn,
    client_context,
    secure,
    serve,
    server_context,
)

# Contracts wait much. The kit's own trials run on each Python, and what the example keeps on one.
pytestmark = pytest.mark.one_python


class Bare(Whole):
    """Shows what is in it, and can do nothing besides."""

    @property
    def beneath(self) -> Conn:
        return self._inner


async def server_first() -> tuple[Conn, Conn]:
    here, there = await accepted()
    client, server = await secure(there, here)
    return server, client


async def client_first() -> tuple[Conn, Conn]:
    return await secure(*await accepted())


async def old_fashioned() -> tuple[Conn, Conn]:
    """Return both ends of a connection by TLS 1.2."""
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return await secure(*await accepted(), TLSConfig(context))


async def nested() -> tuple[Conn, Conn]:
    """Return both ends of TLS in TLS over connections that can do nothing besides."""
    here, there = await client_first()
    return await secure(Bare(here), Bare(there))


async def unable() -> Conn:
    conn, peer = await old_fashioned()
    await peer.close()
    return conn


async def break_off(conn: Conn) -> None:
    """Break off what is beneath."""
    while not isinstance(conn, Breakable):
        assert isinstance(conn, OpenConn | Bare)
        conn = conn.beneath
    await conn.break_off()


async def with_certificate() -> ContextCarrier:
    """Return the server's end of a connection whose client has shown who it is."""
    client, server = client_context(), server_context()
    client.load_cert_chain(CLIENT_FILE)
    server.load_verify_locations(CA_FILE)
    server.verify_mode = ssl.CERT_REQUIRED
    peer, conn = await secure(*await accepted(), TLSConfig(client), TLSConfig(server))
    await peer.close()
    return conn


TestServerConn = ConnContract(server_first, break_off=break_off).as_tests()
TestClientConn = ConnContract(client_first, break_off=break_off).as_tests()
TestOldFashionedConn = ConnContract(old_fashioned, break_off=break_off).as_tests()
TestNestedConn = ConnContract(nested, break_off=break_off).as_tests()
TestServerHalfCloser = HalfCloserContract(server_first, make_unable=unable).as_tests()
TestClientHalfCloser = HalfCloserContract(client_first).as_tests()
TestNestedHalfCloser = HalfCloserContract(nested).as_tests()
TestContextOfConn = ContextCarrierContract(with_certificate).as_tests()


# ---- the dialer: each of these plays the node


async def node(conn: Conn) -> None:
    tls = await serve(conn)
    while data := await tls.read(65535):
        await tls.write(data)
    await tls.close()


async def greeting_node(conn: Conn) -> None:
    tls = await serve(conn)
    await tls.write(b"hello")
    while await tls.read(65535):
        pass


async def nonsense_node(conn: Conn) -> None:
    await conn.write(b"220 ready\r\n\r\n")
    while await conn.read(65535):
        pass


async def exact_node(conn: Conn) -> None:
    """Go on only if the name, the version and the protocol are those that ``exact`` has set."""
    names: list[str | None] = []
    context = server_context()
    context.set_alpn_protocols(["other", "h2"])
    context.sni_callback = lambda tls, name, context: names.append(name)
    tls = await serve(conn, TLSConfig(context))
    assert names == [NAME]
    assert tls.tls.version() == "TLSv1.2"
    assert tls.tls.selected_alpn_protocol() == "h2"
    while data := await tls.read(65535):
        await tls.write(data)


def trusting() -> TLSDialer:
    return TLSDialer(tls_config_option(CLIENT))


def exact() -> Dialer:
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return TLSDialer(tls_config_option(TLSConfig(context)))


TestTLSDialer = DialerContract(
    trusting,
    peer=node,
    host=f"{NAME}:443",
    garbling=nonsense_node,
).as_tests()
TestTLSSettings = DialerContract(
    TLSDialer,
    peer=node,
    metadata=MemoryMetadata({"caFile": CA_FILE}),
    bad_setting=("caFile", 7),
    host=f"{NAME}:443",
).as_tests()
TestTLSHandshaker = HandshakerContract(
    trusting,
    peer=node,
    host=f"{NAME}:443",
    garbling=nonsense_node,
    greeting=greeting_node,
).as_tests()
TestExactHandshaker = HandshakerContract(
    exact, peer=node, host=f"{NAME}:443", exact=exact_node
).as_tests()


# ---- the listener


class FailingTLSListener(TLSListener):
    """Listens at a socket that fails when it is told to."""

    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts, served_config_option(SERVER))
        self.beneath = FailingListener(*opts)
        self._inner: Listener = self.beneath


class Unchanging(ServingListener):
    """Leaves connections as they are."""

    async def take(self, conn: Conn) -> None:
        await self.offer(conn)


def loopback(option: Option) -> Listener:
    return FailingTLSListener(addr_option("127.0.0.1:0"), option)


async def connect(addr: Addr) -> Conn:
    conn = await dial(addr)
    try:
        return await connect_tls(conn, CLIENT, str(addr))
    except BaseException:
        await conn.close()
        raise


async def fail_beneath(listener: Listener, error: OSError) -> None:
    assert isinstance(listener, FailingTLSListener)
    await fail(listener.beneath, error)


async def bound_tls(addr: Addr | str = "127.0.0.1:0") -> TLSListener:
    listener = TLSListener(addr_option(str(addr)), served_config_option(SERVER))
    await listener.init(None)
    return listener


TestTLSListener = ListenerListenerContract(
    loopback,
    connect,
    bad_metadata=MemoryMetadata({"backlog": "many"}),
    backlog=128,
    fail=fail_beneath,
    wrap=Unchanging,
).as_tests()
TestBoundTLSListener = NetListenerContract(bound_tls, connect, make_at=bound_tls).as_tests()
