"""TLS of the example against the contract: one test for each clause."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable

from certificates import CA_FILE, CLIENT, NAME, SERVER, authority, certificate, client_certificate
from test_proxy_contract import FailingListener, Whole, accepted, dial, fail

from gost_core.common.net import Addr, Conn, ContextCarrier
from gost_core.common.tls import TLSConfig
from gost_core.dialer import Dialer, tls_config_option
from gost_core.listener import Listener, Option, addr_option
from gost_core.listener import tls_config_option as served_config_option
from gost_core.testing import (
    check_common_net_conn,
    check_common_net_context_carrier,
    check_common_net_half_closer,
    check_common_net_listener,
    check_dialer_dialer,
    check_dialer_handshaker,
    check_listener_listener,
    contract_tests,
)
from proxy.metadata import MemoryMetadata
from proxy.tcp import TCPConn
from proxy.tls import TLSConn, TLSDialer, TLSListener, connect_tls
from proxy.upgrade import UpgradingListener


async def served(inner: Conn, config: TLSConfig = SERVER) -> TLSConn:
    """Do the server's handshake."""
    conn = TLSConn(inner, config, None)
    await conn.handshake()
    return conn


async def secured(
    beneath: Awaitable[tuple[Conn, Conn]], client: TLSConfig = CLIENT, server: TLSConfig = SERVER
) -> tuple[Conn, Conn]:
    """Speak TLS over both ends of a connection; the first is the server's."""
    here, there = await beneath
    return await asyncio.gather(served(here, server), connect_tls(there, client, NAME))


async def server_first() -> tuple[Conn, Conn]:
    return await secured(accepted())


async def client_first() -> tuple[Conn, Conn]:
    server, client = await server_first()
    return client, server


async def old_fashioned() -> tuple[Conn, Conn]:
    """Return both ends of a connection by TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return await secured(accepted(), TLSConfig(context))


async def nested() -> tuple[Conn, Conn]:
    """Return both ends of TLS in TLS over a connection that can do nothing besides."""

    async def beneath() -> tuple[Conn, Conn]:
        here, there = await server_first()
        return Whole(here), Whole(there)

    return await secured(beneath())


async def unable() -> Conn:
    conn, peer = await old_fashioned()
    await peer.close()
    return conn


async def break_off(conn: Conn) -> None:
    """Break off what is beneath."""
    while not isinstance(conn, TCPConn):
        assert isinstance(conn, TLSConn | Whole)
        conn = conn._inner
    no_linger = struct.pack("ii", 1, 0)
    sock = conn._transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    await conn.close()


async def with_certificate() -> ContextCarrier:
    """Return the server's end of a connection whose client has shown who it is."""
    server, client = (ssl.SSLContext(protocol) for protocol in PROTOCOLS)
    certificate.configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    client_certificate.configure_cert(client)
    authority.configure_trust(client)
    conn, peer = await secured(accepted(), TLSConfig(client), TLSConfig(server))
    await peer.close()
    assert isinstance(conn, ContextCarrier)
    return conn


PROTOCOLS = ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT

TestServerConn = contract_tests(check_common_net_conn, server_first, break_off=break_off)
TestClientConn = contract_tests(check_common_net_conn, client_first, break_off=break_off)
TestOldFashionedConn = contract_tests(check_common_net_conn, old_fashioned, break_off=break_off)
TestNestedConn = contract_tests(check_common_net_conn, nested, break_off=break_off)
TestServerHalfCloser = contract_tests(
    check_common_net_half_closer, server_first, make_unable=unable
)
TestClientHalfCloser = contract_tests(check_common_net_half_closer, client_first)
TestNestedHalfCloser = contract_tests(check_common_net_half_closer, nested)
TestContextOfConn = contract_tests(check_common_net_context_carrier, with_certificate)


# ---- the dialer: each of these plays the node


async def node(conn: Conn) -> None:
    tls = await served(conn)
    while data := await tls.read(65535):
        await tls.write(data)
    await tls.close()


async def greeting_node(conn: Conn) -> None:
    tls = await served(conn)
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
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    context.set_alpn_protocols(["other", "h2"])
    context.sni_callback = lambda tls, name, context: names.append(name)
    tls = await served(conn, TLSConfig(context))
    assert names == [NAME]
    assert tls._tls.version() == "TLSv1.2"
    assert tls._tls.selected_alpn_protocol() == "h2"
    while data := await tls.read(65535):
        await tls.write(data)


def trusting() -> TLSDialer:
    return TLSDialer(tls_config_option(CLIENT))


def exact() -> Dialer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return TLSDialer(tls_config_option(TLSConfig(context)))


TestTLSDialer = contract_tests(
    check_dialer_dialer,
    trusting,
    node,
    host=f"{NAME}:443",
    malformed=nonsense_node,
)
TestTLSSettings = contract_tests(
    check_dialer_dialer,
    TLSDialer,
    node,
    metadata=MemoryMetadata({"caFile": CA_FILE}),
    bad_setting=("caFile", 7),
    host=f"{NAME}:443",
)
TestTLSHandshaker = contract_tests(
    check_dialer_handshaker,
    trusting,
    node,
    host=f"{NAME}:443",
    malformed=nonsense_node,
    greeting=greeting_node,
)
TestExactHandshaker = contract_tests(
    check_dialer_handshaker, exact, node, host=f"{NAME}:443", exact=exact_node
)


# ---- the listener


class FailingTLSListener(TLSListener):
    """Listens at a socket that fails when it is told to."""

    def __init__(self, *opts: Option) -> None:
        super().__init__(*opts, served_config_option(SERVER))
        self._inner = FailingListener(*opts)


class Unchanging(UpgradingListener):
    """Leaves connections as they are."""

    async def upgrade(self, conn: Conn) -> Conn:
        return conn


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
    await fail(listener._inner, error)


async def bound_tls(addr: Addr | str = "127.0.0.1:0") -> TLSListener:
    listener = TLSListener(addr_option(str(addr)), served_config_option(SERVER))
    await listener.init(None)
    return listener


TestTLSListener = contract_tests(
    check_listener_listener,
    loopback,
    connect,
    bad_metadata=MemoryMetadata({"backlog": "many"}),
    backlog=128,
    fail=fail_beneath,
    wrap=Unchanging,
)
TestBoundTLSListener = contract_tests(
    check_common_net_listener, bound_tls, connect, make_at=bound_tls
)
