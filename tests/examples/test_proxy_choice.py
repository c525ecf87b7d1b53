"""How the example chooses: strategies, probes, names and rules, with real traffic."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address

import pytest
from typing_extensions import Buffer

from gost_core.bypass import with_host_option
from gost_core.cache import Entry, SetOption
from gost_core.chain import (
    Node,
    ProbeConfig,
    ProbeResult,
    ProbeType,
    Router,
    chain_router_option,
    host_mapper_router_option,
    matcher_node_option,
    priority_node_option,
    resolver_router_option,
    retries_router_option,
)
from gost_core.common.net import ClosedError
from gost_core.context import Context
from gost_core.handler import bypass_option, router_option
from gost_core.hop import (
    header_select_option,
    host_select_option,
    method_select_option,
    path_select_option,
)
from gost_core.listener import addr_option
from proxy.admission import NetworkAdmission
from proxy.build import make_node
from proxy.bypass import PatternBypass
from proxy.cache import MemoryCache
from proxy.chain.probe import Prober
from proxy.chain.route import HopChain
from proxy.chain.router import RetryRouter, names_of_route
from proxy.handler.http import HTTPHandler
from proxy.handler.proxy import ProxyHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hop import NodeHop
from proxy.hosts import TableHostMapper
from proxy.listener.tcp import TCPListener
from proxy.resolver import DNSResolver
from proxy.routing import RequestMatcher
from proxy.service import TaskService
from proxy.urls import parse
from tests.examples.dns_server import DNSServer
from tests.examples.proxy_harness import LIMIT, echo, proxy, run, server, until


async def node_at(url: str) -> Node:
    """Make the node of one argument of -F."""
    (address,) = parse(url)
    return await make_node(address, AsyncExitStack())


def router_over(hop: NodeHop, retries: int = 0) -> Router:
    return RetryRouter(chain_router_option(HopChain(hop)), retries_router_option(retries))


async def says_hello(router: Router, target: str, ctx: Context | None = None) -> str:
    """Exchange a hello with an echo server; return the route that it took."""
    conn = await router.dial(ctx or Context(), "tcp", target)
    try:
        await conn.write(b"hello")
        assert await conn.read(100) == b"hello"
    finally:
        await conn.close()
    return names_of_route(conn)


@asynccontextmanager
async def proxy_at(address: str, handler: ProxyHandler) -> AsyncGenerator[str, None]:
    """Run a proxy at an address, for as long as the block lasts."""
    await handler.init(None)
    listener = TCPListener(addr_option(address))
    await listener.init(None)
    service = TaskService(listener, handler)
    serving = asyncio.create_task(service.serve())
    try:
        yield str(service.addr())
    finally:
        await service.close()
        await serving


def free_address() -> str:
    """Return an address where nobody listens before the test does."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return "{}:{}".format(*taken.getsockname())


# ---- probes


class Mute:
    """A server that says nothing, and counts who comes and who goes."""

    came = gone = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        while await reader.read(100):
            pass
        self.gone += 1


async def probed(node: Node, config: ProbeConfig) -> ProbeResult:
    prober = Prober(config)
    await prober.probe(node)
    result = node.probe_result()
    assert result is not None
    return result


def test_a_probe_takes_a_dead_node_out_and_brings_it_back() -> None:
    async def main() -> None:
        address = free_address()
        async with server(echo) as target, proxy(HTTPHandler) as one:
            alive, other = await node_at(f"http://{one}"), await node_at(f"socks5://{address}")
            router = router_over(NodeHop(alive, other))
            prober = Prober(ProbeConfig(interval=0.01))
            try:
                prober.start(other)
                await until(lambda: other.marker().count() > 0)
                # No client has to find out: there is no second attempt here.
                assert {await says_hello(router, target) for _ in range(4)} == {alive.name}
                async with proxy_at(address, SOCKS5Handler(router_option(RetryRouter()))):
                    await until(lambda: other.marker().count() == 0)
                    routes = {await says_hello(router, target) for _ in range(4)}
                    assert routes == {alive.name, other.name}
                    other.close()
            finally:
                await prober.close()

    run(main())


def test_a_tcp_probe_does_the_handshake_of_the_node() -> None:
    async def main() -> None:
        async with server(echo) as no_proxy:
            node = await node_at(f"socks5://user:open%20sesame@{no_proxy}")
            result = await probed(node, ProbeConfig())
        assert not result.success
        assert "open sesame" not in result.error

    run(main())


def test_a_probe_that_gets_no_answer_ends_in_time_and_says_so() -> None:
    async def main() -> None:
        async with server(Mute()) as address:
            result = await probed(await node_at(f"socks5://{address}"), ProbeConfig(timeout=0.05))
        assert not result.success
        assert "0.05 s" in result.error

    run(main())


def test_a_second_probe_of_a_node_stops_the_first_and_a_closed_prober_starts_none() -> None:
    async def main() -> None:
        mute = Mute()
        async with server(mute) as address:
            node = await node_at(f"socks5://{address}")
            first, second = Prober(ProbeConfig(timeout=LIMIT)), Prober(ProbeConfig(timeout=LIMIT))
            first.start(node)
            await until(lambda: mute.came == 1)
            second.start(node)
            await until(lambda: mute.came == 2 and mute.gone == 1)
            await first.close()
            await second.close()
            with pytest.raises(ClosedError):
                first.start(node)

    run(main())


@pytest.mark.parametrize(
    "config",
    [
        ProbeConfig(interval=-1),
        ProbeConfig(timeout=-1),
        ProbeConfig(type=ProbeType.CMD),
        ProbeConfig(type=ProbeType.HTTP),
    ],
)
def test_settings_of_a_probe_that_cannot_be_are_refused(config: ProbeConfig) -> None:
    with pytest.raises(ValueError, match="probe"):
        Prober(config)


# ---- names


def test_a_name_of_the_hosts_file_leads_to_its_address_whatever_its_case() -> None:
    table = TableHostMapper.parse(
        [
            "# names of this test",
            "",
            "127.0.0.1 one.example Two.Example.  # both",
            "::1 six.example",
        ]
    )

    async def main() -> None:
        async with server(echo) as target:
            port = target.rpartition(":")[2]
            router = RetryRouter(host_mapper_router_option(table))
            for name in ("one.example", "TWO.example"):
                assert await says_hello(router, f"{name}:{port}") == "direct"
        assert await table.lookup(Context(), "ip4", "six.example") == []
        assert await table.lookup(Context(), "ip", "below.one.example") is None

    run(main())


def test_the_addresses_of_a_name_in_several_lines_add_up() -> None:
    table = TableHostMapper.parse(["192.0.2.1 a.example", "2001:db8::1 A.example"])
    found = run(table.lookup(Context(), "ip", "a.example"))
    assert found == [ip_address("192.0.2.1"), ip_address("2001:db8::1")]


def test_a_faulty_line_of_a_hosts_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"line 2.*192\.0\.2"):
        TableHostMapper.parse(["192.0.2.1 a.example", "192.0.2 b.example"])


@pytest.fixture
def dns_server() -> Iterator[DNSServer]:
    answering = DNSServer(
        {"here.example": ["127.0.0.1", "2001:db8::1"], "six.example": ["2001:db8::1"]}
    )
    yield answering
    answering.close()


def test_the_dns_leads_to_the_target_and_is_asked_once(dns_server: DNSServer) -> None:
    async def main() -> None:
        async with server(echo) as target:
            port = target.rpartition(":")[2]
            router = RetryRouter(resolver_router_option(DNSResolver(dns_server.address)))
            for _ in range(3):
                assert await says_hello(router, f"here.example:{port}") == "direct"

    run(main())
    assert sorted(dns_server.queries) == ["A here.example", "AAAA here.example"]


class Unreliable(MemoryCache):
    """Cannot be reached, or holds what nobody here has written."""

    def __init__(self, data: bytes | None) -> None:
        super().__init__()
        self._data = data

    async def get(self, ctx: Context, key: str, /) -> Entry:
        if self._data is None:
            raise ConnectionRefusedError("the cache is down")
        return Entry(data=self._data)

    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        raise ConnectionRefusedError("the cache is down")


@pytest.mark.parametrize("data", [None, b"nonsense", b"[7]", b"7", b'["x"]'])
def test_a_cache_that_fails_is_one_that_holds_nothing(
    data: bytes | None, dns_server: DNSServer
) -> None:
    resolver = DNSResolver(dns_server.address, cache=Unreliable(data))
    for _ in range(2):
        assert run(resolver.resolve(Context(), "ip4", "here.example")) == [ip_address("127.0.0.1")]
    assert dns_server.queries == 2 * ["A here.example"]


@pytest.mark.parametrize("name", ["nowhere.example", f"{'a' * 64}.example", "a..example"])
def test_a_name_that_does_not_exist_is_not_looked_for_elsewhere(
    name: str, dns_server: DNSServer
) -> None:
    router = RetryRouter(resolver_router_option(DNSResolver(dns_server.address)))
    with pytest.raises(socket.gaierror, match="no address"):
        run(router.dial(Context(), "tcp", f"{name}:80"))


def test_a_name_without_an_address_of_the_family_is_an_empty_answer(dns_server: DNSServer) -> None:
    resolver = DNSResolver(dns_server.address)
    assert run(resolver.resolve(Context(), "ip4", "six.example")) == []


def test_a_dns_server_that_fails_leaves_the_work_to_the_next(dns_server: DNSServer) -> None:
    failing = DNSServer({})
    failing.broken = True

    async def main() -> None:
        resolver = DNSResolver(failing.address, dns_server.address)
        found = await resolver.resolve(Context(), "ip", "here.example")
        assert [str(address) for address in found] == ["127.0.0.1", "2001:db8::1"]
        with pytest.raises(socket.gaierror) as caught:
            await DNSResolver(failing.address).resolve(Context(), "ip", "here.example")
        assert caught.value.errno == socket.EAI_AGAIN

    try:
        run(main())
    finally:
        failing.close()


@pytest.mark.parametrize(
    ("servers", "message"),
    [((), "at least one"), (("127.0.0.1",), "no port"), (("dns.example:53",), "dns.example")],
)
def test_a_dns_resolver_needs_servers_by_address_and_port(
    servers: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DNSResolver(*servers)


# ---- rules


@pytest.mark.parametrize(
    ("patterns", "whitelist", "addr", "bypassed"),
    [
        (["10.0.0.0/8"], False, "10.1.2.3:80", True),
        (["10.0.0.0/8"], False, "11.1.2.3:80", False),
        (["10.0.0.0/8"], False, "[::ffff:10.1.2.3]:80", True),
        (["2001:db8::/32"], False, "[2001:db8::1]:80", True),
        (["2001:db8::/32"], False, "2001:db8::1", True),
        (["2001:db8::/32"], False, "[2001:db8::1]", True),
        (["192.0.2.1"], False, "192.0.2.1", True),
        (["*.example"], False, "a.b.example:80", True),
        (["*.example"], False, "example:80", False),
        (["a.example", "b.example"], False, "b.example:80", True),
        (["*"], False, "", False),
        (["a.example"], True, "a.example:80", False),
        (["a.example"], True, "b.example:80", True),
        (["a.example"], True, "", False),
    ],
)
def test_patterns_decide(patterns: list[str], whitelist: bool, addr: str, bypassed: bool) -> None:
    rules = PatternBypass(*patterns, whitelist=whitelist)
    assert run(rules.contains(Context(), "tcp", addr)) is bypassed


def test_the_name_that_was_asked_for_counts_beside_its_address() -> None:
    host = with_host_option("a.example:80")
    blacklist, whitelist = PatternBypass("a.example"), PatternBypass("a.example", whitelist=True)
    assert run(blacklist.contains(Context(), "tcp", "192.0.2.1:80", host))
    assert not run(whitelist.contains(Context(), "tcp", "192.0.2.1:80", host))


@pytest.mark.parametrize("rules", [PatternBypass, NetworkAdmission])
def test_no_rules_at_all_are_refused(rules: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="needs a"):
        rules()


def test_a_pattern_that_is_no_network_although_it_looks_like_one_is_refused() -> None:
    with pytest.raises(ValueError, match="10"):
        PatternBypass("10.1.2.3/8")


def test_a_handler_refuses_what_its_bypass_contains() -> None:
    async def status(proxy: str, target: str) -> str:
        host, _, port = proxy.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return line.decode().split(" ")[1]

    async def main() -> None:
        rules = PatternBypass("127.0.0.0/8", whitelist=True)
        handler = HTTPHandler(router_option(RetryRouter()), bypass_option(rules))
        async with server(echo) as target, proxy_at("127.0.0.1:0", handler) as address:
            assert await status(address, target) == "200"
            assert await status(address, "metadata.example:80") == "403"

    run(main())


def test_a_node_is_skipped_for_what_its_bypass_contains() -> None:
    async def main() -> None:
        async with server(echo) as target, proxy(SOCKS5Handler) as one, proxy(SOCKS5Handler) as two:
            skipped, used = await node_at(f"socks5://{one}"), await node_at(f"socks5://{two}")
            skipped.options().bypass = PatternBypass("127.0.0.0/8")
            router = router_over(NodeHop(skipped, used))
            assert {await says_hello(router, target) for _ in range(4)} == {used.name}
            # Nothing is left: the chain ends at the hop, and the way is direct (D36, D40).
            assert await says_hello(router_over(NodeHop(skipped)), target) == "direct"

    run(main())


async def fetch(address: str, method: str, path: str) -> str:
    """Return the body of an answer."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode().partition("\r\n\r\n")[2]


class Site:
    """An HTTP server that answers every request alike."""

    def __init__(self, body: str) -> None:
        self.body = body

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 Fine\r\nContent-Length: {len(self.body)}\r\n\r\n"
        writer.write((head + self.body).encode())
        await writer.drain()
        await reader.read()


def test_a_matcher_sends_requests_below_api_to_one_node() -> None:
    async def main() -> None:
        async with server(Site("site")) as site, server(Site("api")) as api:
            hop = NodeHop(
                Node("site", site),
                Node(
                    "api",
                    api,
                    matcher_node_option(RequestMatcher(path="/api", method="get")),
                    priority_node_option(1),
                ),
            )

            async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.decode().split(" ", 2)
                node = await hop.select(
                    Context(), method_select_option(method), path_select_option(path)
                )
                assert node is not None
                host, _, port = node.addr.rpartition(":")
                answer, request = await asyncio.open_connection(host, int(port))
                request.write(head)
                writer.write(await answer.readuntil(b"\r\n\r\n"))
                writer.write(await answer.readexactly(len(node.name)))
                await writer.drain()
                request.close()
                await request.wait_closed()

            async with server(forward) as address:
                asked = ["/api", "/api/users", "/apiary", "/"]
                assert [await fetch(address, "GET", path) for path in asked] == [
                    "api",
                    "api",
                    "site",
                    "site",
                ]
                assert await fetch(address, "POST", "/api") == "site"

    run(main())


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (RequestMatcher(), True),
        (RequestMatcher(host="*.example"), True),
        (RequestMatcher(host="example"), False),
        (RequestMatcher(header={"accept": "text/*"}), True),
        (RequestMatcher(header={"accept": "image/*"}), False),
        (RequestMatcher(header={"X-Absent": "*"}), False),
        (RequestMatcher(host="www.example", header={"accept": "image/*"}), False),
    ],
)
def test_all_that_a_matcher_asks_for_must_be_so(rule: RequestMatcher, fits: bool) -> None:
    async def main() -> Node | None:
        return await NodeHop(Node("node", "192.0.2.1:1", matcher_node_option(rule))).select(
            Context(),
            host_select_option("WWW.example:80"),
            header_select_option({"Accept": ["application/json", "text/html"]}),
        )

    assert (run(main()) is not None) is fits
