"""Datagrams: UDP sockets, and UDP ASSOCIATE of SOCKS5 at both of its ends."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import dns.message
import pytest
import socks
from hypothesis import given
from hypothesis import strategies as st

from gost_core import handler
from gost_core.chain import (
    Router,
    host_mapper_router_option,
    resolver_router_option,
)
from gost_core.common.net import Addr, Conn, PacketConn
from gost_core.common.url import Userinfo
from gost_core.connector import auth_option, dialer_connect_option
from gost_core.context import Context
from gost_core.limiter import SCOPE_CLIENT
from gost_core.listener import addr_option
from gost_core.testing.common.net import ConnContract, ConnUnwrapperContract, PacketConnContract
from gost_core.testing.connector import ConnectorContract
from gost_core.testing.limiter.traffic import LimiterContract
from proxy.auth import UserTable
from proxy.bypass import PatternBypass
from proxy.chain.router import RetryRouter
from proxy.connector.association import Association
from proxy.connector.socks5 import SOCKS5Connector
from proxy.handler.proxy import RefusedError
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hosts import TableHostMapper
from proxy.limiter.limited import LimitedConn, LimitedPackets
from proxy.limiter.traffic import Bytes, ScopedTrafficLimiter
from proxy.listener.tcp import TCPListener
from proxy.net.address import TCPAddr, UDPAddr, split_host_port
from proxy.net.dialer import SystemDialer
from proxy.net.udp import UDPConn, open_udp
from proxy.net.wrapper import Wrapper
from proxy.resolver import DNSResolver
from proxy.wire import socks5 as wire
from proxy.wire.socks5 import pack_address, unpack_address
from tests.examples.dns_server import DNSServer
from tests.examples.peers import dante, microsocks
from tests.examples.proxy_harness import LIMIT, proxy, router_through, run

USER = Userinfo("user", "open sesame")
PLENTY = 1 << 30


# ---- Sockets, and proxies to associate with


async def open_to(network: str, addr: str) -> UDPConn:
    conn = await SystemDialer().dial(Context(), network, addr)
    assert isinstance(conn, UDPConn)
    return conn


async def connected() -> tuple[UDPConn, UDPConn]:
    """Return two sockets that are connected to each other."""
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    one.bind(("127.0.0.1", 0))
    other.bind(("127.0.0.1", 0))
    one.connect(other.getsockname())
    other.connect(one.getsockname())
    return UDPConn(one), UDPConn(other)


async def streams() -> tuple[Conn, Conn]:
    """Return the ends of a TCP connection: the client's, and the server's."""
    listener = TCPListener(addr_option("127.0.0.1:0"))
    await listener.init(None)
    client = await SystemDialer().dial(Context(), "tcp", str(listener.addr()))
    server = await listener.accept()
    await listener.close()
    return client, server


class Remembering(SystemDialer):
    """Remembers where it dialed."""

    dialed = ""

    async def dial(self, ctx: Context, network: str, addr: str, /) -> Conn:
        self.dialed = addr
        return await super().dial(ctx, network, addr)


async def associate(
    client: Conn, user: Userinfo | None = None, dialer: SystemDialer | None = None
) -> Association:
    connector = SOCKS5Connector(auth_option(user))
    await connector.init(None)
    conn = await connector.handshake(Context(), client)
    association = await connector.connect(Context(), conn, "udp", "", dialer_connect_option(dialer))
    assert isinstance(association, Association)
    return association


class Proxy:
    """A SOCKS5 proxy at the far end of one connection, and what its client has associated."""

    handling: asyncio.Task[None]
    stream: Conn
    association: Association
    relay: str


@asynccontextmanager
async def associated(
    *opts: handler.Option, router: Router | None = None, user: Userinfo | None = None
) -> AsyncGenerator[Proxy, None]:
    proxy = Proxy()
    serving = SOCKS5Handler(handler.router_option(router or RetryRouter()), *opts)
    await serving.init(None)
    client, server = await streams()
    proxy.handling = asyncio.create_task(serving.handle(Context(), server))
    proxy.stream = client
    dialer = Remembering()
    proxy.association = await associate(client, user=user, dialer=dialer)
    proxy.relay = dialer.dialed
    try:
        yield proxy
    finally:
        await proxy.association.close()
        await asyncio.gather(proxy.handling, return_exceptions=True)


async def heard(conn: PacketConn) -> bytes:
    return (await conn.read_from(65535))[0]


# ---- The contract


class OnLoopback(Wrapper):
    """Claims the addresses of a connection over the loopback."""

    def local_addr(self) -> Addr:
        return TCPAddr("127.0.0.1", 1080)

    def remote_addr(self) -> Addr:
        return TCPAddr("127.0.0.1", 1081)


async def sockets() -> tuple[Conn, Conn, Conn]:
    return open_udp(local="127.0.0.1"), open_udp(local="127.0.0.1"), open_udp(local="127.0.0.1")


async def socket_of_both_families() -> tuple[Conn, Conn, Conn]:
    return open_udp(), open_udp(local="127.0.0.1"), open_udp(local="127.0.0.1")


async def limited() -> tuple[Conn, Conn]:
    here, there = await connected()
    return LimitedPackets(Context(), here, Bytes(PLENTY), Bytes(PLENTY)), there


async def limited_sockets() -> tuple[Conn, Conn, Conn]:
    here, one, other = await sockets()
    return LimitedPackets(Context(), here, Bytes(PLENTY), Bytes(PLENTY)), one, other


async def both_ends() -> tuple[Conn, Conn]:
    """Return an association as the client has it, and as a proxy has it that plays the target."""
    here, there = await connected()
    client, server = await streams()
    return Association(client, here, "192.0.2.1:53"), Association(server, there, "192.0.2.1:53")


async def through_proxy() -> tuple[Conn, Conn, Conn]:
    """Return an association with a proxy, which ends with it, and peers beyond the proxy."""
    serving = SOCKS5Handler(handler.router_option(RetryRouter()))
    await serving.init(None)
    client, server = await streams()
    handling = asyncio.create_task(serving.handle(Context(), server))
    association = await associate(client)
    assert not handling.done()
    return association, open_udp(local="127.0.0.1"), open_udp(local="127.0.0.1")


async def node(conn: Conn, router: Router) -> None:
    serving = SOCKS5Handler(handler.router_option(router))
    await serving.init(None)
    await serving.handle(Context(), OnLoopback(conn))


TestUDPConn = ConnContract(None, make_datagram=connected).as_tests()
TestUDPPackets = PacketConnContract(sockets, make_connected=connected).as_tests()
TestUDPPacketsOfBothFamilies = PacketConnContract(socket_of_both_families).as_tests()
TestLimitedPackets = ConnContract(None, make_datagram=limited).as_tests()
TestLimitedPacketsPackets = PacketConnContract(limited_sockets, make_connected=limited).as_tests()
TestLimitedPacketsUnwrapper = ConnUnwrapperContract(
    lambda conn: LimitedConn(Context(), conn, None, None),
    wrap_datagrams=lambda conn: LimitedPackets(Context(), conn, None, None),
).as_tests()
TestLimitedPacketsLimiter = LimiterContract(
    Bytes,
    wrap=lambda conn, budget: LimitedPackets(Context(), conn, None, budget),
).as_tests()
TestAssociation = ConnContract(None, make_datagram=both_ends).as_tests()
TestAssociationPackets = PacketConnContract(through_proxy, make_connected=both_ends).as_tests()
TestConnector = ConnectorContract(
    SOCKS5Connector,
    node=node,
    networks=("tcp", "udp"),
    associates=True,
).as_tests()


# ---- UDP


def test_a_connected_socket_hears_that_nobody_listens() -> None:
    async def main() -> None:
        nobody = open_udp(local="127.0.0.1")
        await nobody.close()
        conn = await open_to("udp", str(nobody.local_addr()))
        await conn.write(b"hello")
        with pytest.raises(ConnectionRefusedError):
            await conn.read(100)
        await conn.close()

    run(main())


def test_a_flood_of_datagrams_leaves_others_their_turn() -> None:
    async def main() -> None:
        here, there = await connected()
        for _ in range(10):
            await there.write(b"flood")
        other = asyncio.create_task(asyncio.sleep(0))
        for _ in range(5):
            await here.read(100)
        assert other.done()
        await here.close()
        await there.close()

    run(main())


def test_a_name_is_resolved_where_the_datagram_leaves() -> None:
    async def main() -> None:
        there = open_udp(local="127.0.0.1")
        for network in ("udp", "udp4"):
            for conn, dialed in (
                (await open_to("udp4", f"localhost:{there.local_addr().port}"), True),
                (await open_to(network, ""), False),
            ):
                to = UDPAddr("LocalHost" if not dialed else "127.0.0.1", there.local_addr().port)
                await conn.write_to(network.encode(), to)
                assert await heard(there) == network.encode()
                await conn.close()
        await there.close()

    run(main())


def test_a_socket_of_one_family_does_not_reach_the_other() -> None:
    async def main() -> None:
        for network, addr in (("udp6", "127.0.0.1:53"), ("udp4", "[::1]:53")):
            with pytest.raises(OSError, match="family"):
                await open_to(network, addr)
            conn = await open_to(network, "")
            with pytest.raises(OSError, match=r"family|unreachable"):
                await conn.write_to(b"x", UDPAddr(*split_host_port(addr)))
            await conn.close()

    run(main())


def test_an_address_of_another_network_is_refused() -> None:
    async def main() -> None:
        conn = open_udp()
        with pytest.raises(ValueError, match="tcp"):
            await conn.write_to(b"x", TCPAddr("127.0.0.1", 53))
        await conn.close()

    run(main())


# ---- UDP ASSOCIATE


@pytest.fixture
def dns_server() -> Generator[DNSServer, None, None]:
    server = DNSServer({"www.example": ["192.0.2.7"]})
    yield server
    server.close()


async def ask(via: str, where: str, user: Userinfo | None = None) -> str:
    """Ask a DNS server by PySocks, which nobody here wrote; return the address that it tells."""
    query = dns.message.make_query("www.example", "A")

    def send_and_receive() -> bytes:
        with socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            name, password = (user.username, user.password) if user else (None, None)
            asking.set_proxy(socks.SOCKS5, *split_host_port(via), True, name, password)
            asking.settimeout(LIMIT)
            asking.sendto(query.to_wire(), split_host_port(where))
            data: bytes
            data, _ = asking.recvfrom(65535)
            return data

    answer = dns.message.from_wire(await asyncio.to_thread(send_and_receive))
    assert query.is_response(answer)
    return answer.answer[0].to_text().split()[-1]


def known_as(name: str, host: str = "127.0.0.1") -> Router:
    """Return a router that knows a name."""
    mapper = TableHostMapper({name: [ip_address(host)]})
    return RetryRouter(host_mapper_router_option(mapper))


@pytest.mark.parametrize("user", [None, USER])
def test_pysocks_asks_a_dns_server_through_a_proxy(
    dns_server: DNSServer, user: Userinfo | None
) -> None:
    async def main() -> None:
        async with proxy(SOCKS5Handler, user=user) as via:
            assert await ask(via, dns_server.address, user) == "192.0.2.7"

    run(main())


def test_pysocks_asks_a_dns_server_through_a_chain_and_only_the_last_proxy_knows_its_name(
    dns_server: DNSServer,
) -> None:
    async def main() -> None:
        _, port = split_host_port(dns_server.address)
        login = "socks5://user:open%20sesame@"
        async with (
            proxy(SOCKS5Handler, known_as("dns.example"), user=USER) as last,
            proxy(SOCKS5Handler, await router_through(f"socks5://{last}")) as wrong,
            proxy(SOCKS5Handler, await router_through(login + last)) as mid,
            proxy(SOCKS5Handler, await router_through(f"socks5://{mid}")) as first,
        ):
            for via in (mid, first):
                assert await ask(via, f"dns.example:{port}") == "192.0.2.7"
            with pytest.raises(socks.ProxyError):
                await ask(wrong, f"dns.example:{port}")

    run(main())


def test_pysocks_asks_a_dns_server_through_a_proxy_and_dante(
    dns_server: DNSServer, tmp_path: Path
) -> None:
    async def main(dante: str) -> None:
        async with proxy(SOCKS5Handler, await router_through(dante)) as via:
            assert await ask(via, dns_server.address) == "192.0.2.7"

    with dante(tmp_path) as running:
        run(main(running))


def test_a_proxy_that_serves_no_datagrams_says_so(tmp_path: Path) -> None:
    async def main(microsocks: str) -> None:
        router = await router_through(microsocks)
        with pytest.raises(ConnectionRefusedError, match="COMMAND_NOT_SUPPORTED"):
            await router.dial(Context(), "udp", "")

    with microsocks(tmp_path) as running:
        run(main(running))


def test_datagrams_of_both_families_go_through_one_association() -> None:
    async def main() -> None:
        async with associated() as proxy:
            for host in ("127.0.0.1", "::1"):
                target = open_udp(local=host)
                await proxy.association.write_to(host.encode(), target.local_addr())
                data, sender = await target.read_from(100)
                assert data == host.encode()
                await target.write_to(b"back", sender)
                assert await proxy.association.read_from(100) == (b"back", target.local_addr())
                await target.close()

    run(main())


def test_an_association_ends_with_the_stream_of_its_client() -> None:
    async def main() -> None:
        async with associated() as proxy:
            relay = proxy.relay
            await proxy.stream.close()
            await proxy.handling
            conn = await open_to("udp", relay)
            await conn.write(b"too late")
            with pytest.raises(ConnectionRefusedError):
                await conn.read(100)
            await conn.close()

    run(main())


def test_an_association_ends_with_the_stream_of_its_proxy() -> None:
    async def main() -> None:
        async with associated() as proxy:
            reading = asyncio.create_task(heard(proxy.association))
            await asyncio.sleep(0)
            proxy.handling.cancel()
            with pytest.raises(ConnectionResetError, match="ended the association"):
                await reading
            with pytest.raises(ConnectionResetError, match="ended the association"):
                await proxy.association.write_to(b"too late", UDPAddr("127.0.0.1", 53))

    run(main())


def test_an_association_through_a_chain_ends_when_the_next_proxy_is_gone() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            async with proxy(SOCKS5Handler) as last:
                through = await router_through(f"socks5://{last}")
                first = await stack.enter_async_context(associated(router=through))
            with pytest.raises(ConnectionResetError, match="ended the association"):
                await heard(first.association)
            with pytest.raises(ConnectionResetError, match="ended the association"):
                await first.handling

    run(main())


@pytest.mark.parametrize("said", ["0.0.0.0:0", "0.0.0.0:9"])
def test_only_the_host_that_asked_is_relayed_and_from_any_port_unless_it_said_one(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "ANYWHERE", said)

    async def main() -> None:
        target = open_udp(local="127.0.0.1")
        packet = bytes(3) + pack_address(str(target.local_addr()))
        async with associated() as proxy:
            foreign, local = open_udp(local="127.0.0.2"), open_udp(local="127.0.0.1")
            relay = UDPAddr(*split_host_port(proxy.relay))
            await foreign.write_to(packet + b"of another host", relay)
            await proxy.association.write_to(b"of the client", target.local_addr())
            assert await heard(target) == b"of the client"
            await foreign.write_to(packet + b"of another host", relay)
            await local.write_to(packet + b"of another port", relay)
            if said.endswith(":0"):
                data, sender = await target.read_from(100)
                assert data == b"of another port"
                await target.write_to(b"answer", sender)
                assert (await heard(local)).endswith(b"answer")  # it goes where the last was from
            await proxy.association.write_to(b"of the client again", target.local_addr())
            assert await heard(target) == b"of the client again"
            for conn in (foreign, local):
                await conn.close()
        await target.close()

    run(main())


def test_fragments_and_what_is_malformed_are_dropped() -> None:
    async def main() -> None:
        target = open_udp(local="127.0.0.1")
        address = pack_address(str(target.local_addr()))
        async with associated() as proxy:
            raw = await open_to("udp", proxy.relay)
            for packet in (
                b"\0",
                b"\0\0\1" + address + b"a fragment",
                b"\0\0\0",
                b"\0\0\0\x09" + address[1:] + b"of no type",
                b"\0\0\0" + address[:-1],
                b"\0\0\0\x03\x01\xff\0\x35" + b"a name beyond ASCII",
                b"\0\0\0\x03\0\0\x35" + b"no name",
                b"\0\0\0" + address + b"whole",
            ):
                await raw.write(packet)
            assert await heard(target) == b"whole"
            await raw.close()
        await target.close()

    run(main())


def test_a_target_against_the_rules_is_left_out_and_others_are_served() -> None:
    async def main() -> None:
        there = open_udp(local="127.0.0.1")
        port = there.local_addr().port
        bypass = handler.bypass_option(PatternBypass("localhost", "127.0.0.2"))
        async with associated(bypass) as proxy:
            for host in ("localhost", "127.0.0.2", "127.0.0.1"):
                await proxy.association.write_to(host.encode(), UDPAddr(host, port))
            assert await heard(there) == b"127.0.0.1"
        await there.close()

    run(main())


@pytest.mark.parametrize("mapped", [False, True])
def test_a_target_whose_name_leads_where_a_rule_says_no_is_left_out(mapped: bool) -> None:
    async def main() -> None:
        there = open_udp()
        port = there.local_addr().port
        table = TableHostMapper({"one.example": [ip_address("127.0.0.1")]} if mapped else {})
        bypass = handler.bypass_option(PatternBypass("127.0.0.1", "::1"))
        async with associated(
            bypass, router=RetryRouter(host_mapper_router_option(table))
        ) as proxy:
            for host in ("one.example" if mapped else "localhost", "127.0.0.2"):
                await proxy.association.write_to(host.encode(), UDPAddr(host, port))
            assert await heard(there) == b"127.0.0.2"
        await there.close()

    run(main())


def test_a_name_that_the_resolver_does_not_know_is_never_asked_of_the_system() -> None:
    async def main() -> None:
        there = open_udp(local="127.0.0.1")
        port = there.local_addr().port
        server = DNSServer({"known.example": ["127.0.0.1"]})
        router = RetryRouter(resolver_router_option(DNSResolver(server.address)))
        async with associated(router=router) as proxy:
            for host in ("localhost", "known.example"):
                await proxy.association.write_to(host.encode(), UDPAddr(host, port))
            assert await heard(there) == b"known.example"
        server.close()
        await there.close()

    run(main())


def test_a_datagram_that_cannot_be_sent_ends_nothing() -> None:
    async def main() -> None:
        there = open_udp(local="127.0.0.1")
        async with associated() as proxy:
            for addr in (UDPAddr("name.invalid", 53), UDPAddr("255.255.255.255", 53)):
                await proxy.association.write_to(b"to nobody", addr)
            with pytest.raises(OSError, match="too long"):
                await proxy.association.write_to(bytes(65507), there.local_addr())
            await proxy.association.write_to(b"to somebody", there.local_addr())
            assert await heard(there) == b"to somebody"
        await there.close()

    run(main())


def test_a_datagram_beyond_the_limit_of_its_client_waits_until_all_of_it_is_granted() -> None:
    async def main() -> None:
        there = open_udp(local="127.0.0.1")
        limits = ScopedTrafficLimiter({SCOPE_CLIENT: {"user": 1000}})
        limiting = handler.traffic_limiter_option(limits)
        async with associated(limiting, handler.auther_option(UserTable(USER)), user=USER) as proxy:
            await proxy.association.write_to(bytes(2000), there.local_addr())
            assert await heard(there) == bytes(2000)
            await proxy.association.write_to(b"small", there.local_addr())
            assert await heard(there) == b"small"
        await there.close()

    run(main())


def test_a_client_is_refused_if_no_route_carries_datagrams() -> None:
    async def main() -> None:
        client, server = await streams()
        router = await router_through("http://127.0.0.1:1")
        serving = SOCKS5Handler(handler.router_option(router))
        await serving.init(None)
        handling = asyncio.create_task(serving.handle(Context(), server))
        with pytest.raises(ConnectionRefusedError, match="udp: "):
            await associate(client)
        await client.close()
        with pytest.raises(RefusedError):
            await handling

    run(main())


def test_a_relay_without_a_host_is_at_the_host_of_the_proxy() -> None:
    async def main() -> None:
        client, server = await streams()
        relay = open_udp(local="127.0.0.1")
        await server.write(b"\5\0" + b"\5\0\0" + pack_address(f"0.0.0.0:{relay.local_addr().port}"))
        dialer = Remembering()
        association = await associate(client, dialer=dialer)
        assert dialer.dialed == str(relay.local_addr())
        await association.write_to(b"hello", UDPAddr("192.0.2.1", 53))
        assert await heard(relay) == bytes(3) + pack_address("192.0.2.1:53") + b"hello"
        for conn in (association, server, relay):
            await conn.close()

    run(main())


@pytest.mark.parametrize("target", [":53", "192.0.2.1", "a\r\nb:53", f"{'x' * 256}:53"])
def test_a_malformed_target_is_refused_before_anything_is_sent(target: str) -> None:
    async def main() -> None:
        client, server = await streams()
        connector = SOCKS5Connector()
        await connector.init(None)
        with pytest.raises(ValueError, match=re.escape(repr(target)[:200])):
            await connector.connect(Context(), client, "udp", target)
        await client.close()
        assert await server.read(100) == b""
        await server.close()

    run(main())


def test_a_target_by_address_is_the_only_one_that_is_heard() -> None:
    async def main() -> None:
        here, there = await connected()
        client, server = await streams()
        association = Association(client, here, "[2001:db8:0::1]:53")
        for sender in ("[2001:db8::1]:54", "[2001:db8::2]:53", "[2001:db8::1]:53"):
            await there.write(bytes(3) + pack_address(sender) + sender.encode())
        assert await association.read(100) == b"[2001:db8::1]:53"
        await association.close()
        for conn in (there, server):
            await conn.close()

    run(main())


HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    # The form of the system, which writes the IPv4 address in one of IPv6 as such.
    st.ip_addresses(v=6).map(lambda ip: f"[{socket.inet_ntop(socket.AF_INET6, ip.packed)}]"),
    st.from_regex(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,2}", fullmatch=True).filter(
        lambda name: not re.fullmatch(r"\d+|0x[0-9a-f]*", name.rpartition(".")[2])
    ),
)


@given(HOSTS, st.integers(0, 65535), st.binary(max_size=100))
def test_an_address_comes_back_and_so_does_what_follows_it(
    host: str, port: int, data: bytes
) -> None:
    packed = pack_address(f"{host}:{port}")
    assert unpack_address(packed + data) == (f"{host}:{port}", data)
    for length in range(len(packed)):
        with pytest.raises(ValueError, match="cut short"):
            unpack_address(packed[:length])


@given(st.sampled_from([b"", b"\1", b"\3", b"\4"]), st.binary())
def test_no_address_is_a_value_error(kind: bytes, more: bytes) -> None:
    data = kind + more
    try:
        address, rest = unpack_address(data)
    except ValueError:
        return
    assert data.endswith(rest)
    split_host_port(address)
