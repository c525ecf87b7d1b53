"""How the example finds a way to a target, and what it does when one fails."""

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from gost_core import hosts, resolver
from gost_core.bypass import Bypass
from gost_core.bypass import Option as BypassOption
from gost_core.chain import (
    EmptyRouteError,
    Node,
    NodeFilterSettings,
    Router,
    RouterOption,
    bypass_node_option,
    chain_router_option,
    host_mapper_router_option,
    metadata_node_option,
    node_filter_option,
    priority_node_option,
    resolver_router_option,
    retries_router_option,
    timeout_router_option,
    transport_node_option,
)
from gost_core.common.net import ClosedError, Conn, UnsupportedError
from gost_core.connector import BindUnsupportedError
from gost_core.context import Context
from gost_core.dialer import Multiplexer
from gost_core.handler import HandleOption, Handler
from gost_core.hop import (
    addr_select_option,
    host_select_option,
    path_select_option,
    protocol_select_option,
)
from gost_core.keys import DESTINATION_ADDRESS, HASH_SOURCE, SESSION_ID, SOURCE_ADDRESS
from gost_core.listener import AcceptError, BindError, addr_option
from gost_core.metadata import Metadata
from proxy.chain.route import HopChain, NodeRoute
from proxy.chain.router import RetryRouter, names_of_route
from proxy.chain.transporter import NodeTransporter
from proxy.connector.socks5 import SOCKS5Connector
from proxy.dialer.tcp import TCPDialer
from proxy.handler.http import HTTPHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hop import NodeHop
from proxy.listener.tcp import TCPListener
from proxy.metadata import MemoryMetadata
from proxy.net.dialer import SystemDialer
from proxy.service import TaskService
from tests.examples.proxy_harness import (
    LIMIT,
    echo,
    proxy,
    refused_address,
    router_through,
    run,
    server,
)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a connection and never answer."""
    await reader.read()
    await asyncio.Event().wait()


async def says_hello(router: Router, target: str) -> str:
    """Exchange a hello with an echo server; return the route that it took."""
    conn = await router.dial(Context(), "tcp", target)
    try:
        await conn.write(b"hello")
        assert await conn.read(100) == b"hello"
    finally:
        await conn.close()
    return names_of_route(conn)


def test_alternatives_take_turns_and_a_dead_one_is_left_out() -> None:
    async def main() -> None:
        async with server(echo) as target, proxy(HTTPHandler) as one:
            async with proxy(SOCKS5Handler) as other:
                router = await router_through(f"http://{one},socks5://{other}", retries=1)
                names = f"http://{one}", f"socks5://{other}"
                routes = [await says_hello(router, target) for _ in range(4)]
                assert sorted(set(routes)) == sorted(names)
                assert routes[0] == routes[2] != routes[1] == routes[3]
            routes = [await says_hello(router, target) for _ in range(4)]
            assert set(routes) == {names[0]}

    run(main())


def test_a_silent_node_costs_one_attempt_and_no_more() -> None:
    async def main() -> None:
        met = 0

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal met
            met += 1
            await silent(reader, writer)

        async with server(echo) as target, server(mute) as bad, proxy(SOCKS5Handler) as good:
            chain = (await router_through(f"socks5://{bad},{good}")).options().chain
            router = RetryRouter(
                chain_router_option(chain), retries_router_option(1), timeout_router_option(2)
            )
            assert [await says_hello(router, target) for _ in range(4)] == [f"socks5://{good}"] * 4
        assert met == 1

    run(main())


def test_the_last_error_tells_of_the_attempts_before_it() -> None:
    async def main() -> None:
        one, other = refused_address(), refused_address()
        router = await router_through(f"http://{one},socks5://{other}", retries=1)
        with pytest.raises(ConnectionRefusedError) as caught:
            await router.dial(Context(), "tcp", "a.example:80")
        notes = "\n".join(caught.value.__notes__)
        assert f"at node socks5://{other}" in notes
        assert one.rpartition(":")[2] in notes

    run(main())


class CountingRouter(RetryRouter):
    """Counts attempts by counting how often its mapper is asked."""

    def __init__(self, error: Exception, *opts: RouterOption) -> None:
        self.error = error
        self.attempts = 0
        super().__init__(host_mapper_router_option(self), *opts)

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IPv4Address | IPv6Address] | None:
        self.attempts += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "retries", "attempts"),
    [
        (OSError("down"), 2, 3),
        (OSError("down"), -1, 1),
        (UnsupportedError("never"), 2, 1),
        (ValueError("malformed"), 2, 1),
    ],
)
def test_what_may_pass_is_tried_again_and_what_is_permanent_is_not(
    error: Exception, retries: int, attempts: int
) -> None:
    async def main() -> None:
        router = CountingRouter(error, retries_router_option(retries))
        with pytest.raises(type(error), match=str(error)):
            await router.dial(Context(), "tcp", "a.example:80")
        assert router.attempts == attempts

    run(main())


def test_a_time_limit_is_for_each_attempt_and_says_so() -> None:
    async def main() -> None:
        async with server(silent) as mute:
            chain = (await router_through(f"http://{mute}")).options().chain
            router = RetryRouter(
                chain_router_option(chain), retries_router_option(1), timeout_router_option(0.1)
            )
            began = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError, match=r"0\.1 s"):
                await router.dial(Context(), "tcp", "a.example:80")
            assert asyncio.get_running_loop().time() - began >= 0.2

    run(main())


@pytest.mark.parametrize("scheme", ["http", "socks5"])  # they wait for an answer in another step
def test_a_cancelled_dial_makes_no_other_attempt_and_frees_what_it_opened(scheme: str) -> None:
    async def main() -> None:
        met, ended = asyncio.Event(), asyncio.Event()

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            met.set()
            await reader.read()
            ended.set()

        async with server(mute) as address:
            router = await router_through(f"{scheme}://{address}", retries=5)
            dialing = asyncio.create_task(router.dial(Context(), "tcp", "a.example:80"))
            await met.wait()
            dialing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialing
            await ended.wait()

    run(main())


@pytest.mark.parametrize("hops", [1, 2])
def test_a_refusal_on_the_way_closes_the_connection_that_led_there(hops: int) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\x05\x00" + b"\x05\x05\x00\x01" + bytes(6))
            await reader.read()
            ended.set()

        async with server(refuses) as address:
            router = await router_through(*[f"socks5://{address}", "socks5://b.example:1"][:hops])
            with pytest.raises(ConnectionRefusedError):
                await router.dial(Context(), "tcp", "a.example:80")
            await asyncio.wait_for(ended.wait(), LIMIT)

    run(main())


class Names(resolver.Resolver, hosts.HostMapper):
    """Knows some names, as a mapper or as a resolver."""

    def __init__(self, **names: list[str]) -> None:
        self.names = names

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IPv4Address | IPv6Address]:
        if host not in self.names:
            raise resolver.InvalidError(host)
        return [ip_address(address) for address in self.names[host]]

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IPv4Address | IPv6Address] | None:
        found = self.names.get(host)
        return None if found is None else [ip_address(address) for address in found]


def test_a_mapped_name_is_not_resolved_and_an_empty_answer_fails() -> None:
    async def main() -> None:
        async with server(echo) as target:
            port = target.rpartition(":")[2]
            router = RetryRouter(
                host_mapper_router_option(Names(mapped=["127.0.0.1"], other_family=[])),
                resolver_router_option(
                    Names(mapped=["192.0.2.1"], other_family=["127.0.0.1"], nowhere=[])
                ),
            )
            assert await says_hello(router, f"mapped:{port}") == "direct"
            assert await says_hello(router, f"localhost:{port}") == "direct"  # InvalidError
            for name in ("other_family", "nowhere"):
                with pytest.raises(socket.gaierror):
                    await router.dial(Context(), "tcp", f"{name}:{port}")

    run(main())


def test_a_name_reaches_the_last_proxy_unresolved() -> None:
    async def main() -> None:
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def last(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set_result(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await reader.read()

        async with server(last) as address, proxy(SOCKS5Handler) as first:
            router = await router_through(f"socks5://{first}", f"http://{address}")
            conn = await router.dial(Context(), "tcp", "name.invalid:80")
            await conn.close()
            assert (await asked).startswith(b"CONNECT name.invalid:80 ")

    run(main())


def test_a_refusing_target_is_no_fault_of_the_node_which_has_proved_to_work() -> None:
    async def main() -> None:
        async with proxy(SOCKS5Handler) as address:
            router = await router_through(f"socks5://{address}")
            chain = router.options().chain
            assert chain is not None
            route = await chain.route(Context(), "tcp", "a:1")
            assert route is not None
            marker = route.nodes()[0].marker()
            marker.mark()
            with pytest.raises(ConnectionRefusedError):
                await router.dial(Context(), "tcp", refused_address())
            assert marker.count() == 0

    run(main())


def test_binding_needs_a_node_that_can_or_no_chain_at_all() -> None:
    async def main() -> None:
        async with proxy(SOCKS5Handler) as address:
            with pytest.raises(BindUnsupportedError):
                await (await router_through(f"socks5://{address}")).bind(Context(), "tcp", ":0")
        with pytest.raises(EmptyRouteError):
            await RetryRouter(chain_router_option(HopChain())).bind(Context(), "tcp", ":0")
        listener = await RetryRouter().bind(Context(), "tcp", "127.0.0.1:0")
        dialed = await SystemDialer().dial(Context(), "tcp", str(listener.addr()))
        accepted = await listener.accept()
        await listener.close()
        await dialed.close()
        assert await accepted.read(1) == b""
        await accepted.close()

    run(main())


class MultiplexingDialer(TCPDialer, Multiplexer):
    """Says that it multiplexes."""

    def multiplex(self) -> bool:
        return True


def test_a_multiplexing_node_cuts_the_route_and_is_reached_through_the_nodes_before_it() -> None:
    async def node(address: str, dialer: TCPDialer) -> Node:
        connector = SOCKS5Connector()
        await dialer.init(None)
        await connector.init(None)
        transport = NodeTransporter(dialer, connector)
        return Node(address, address, transport_node_option(transport))

    async def main() -> None:
        async with server(echo) as target, proxy(SOCKS5Handler) as one, proxy(SOCKS5Handler) as two:
            first = await node(one, TCPDialer())
            second = await node(two, MultiplexingDialer())
            chain = HopChain(NodeHop(first), NodeHop(second))
            routes = [await chain.route(Context(), "tcp", target) for _ in range(2)]
            assert all(isinstance(route, NodeRoute) for route in routes)
            for route in routes:
                assert route is not None
                (last,) = route.nodes()
                assert last is not second
                assert last.marker() is second.marker()
                transport = last.options().transport
                assert transport is not None
                beneath = transport.options().route
                assert beneath is not None
                assert list(beneath.nodes()) == [first]
            original = second.options().transport
            assert original is not None
            assert original.options().route is None
            assert await says_hello(RetryRouter(chain_router_option(chain)), target) == two

    run(main())


async def chosen(*nodes: Node, times: int = 4) -> list[str]:
    hop = NodeHop(*nodes)
    found = [await hop.select(Context(), addr_select_option("a.example:80")) for _ in range(times)]
    return ["" if node is None else node.name for node in found]


def made(name: str, failures: int = 0, priority: int = 0, **settings: object) -> Node:
    settings = {"failTimeout": 3600, **settings}
    node = Node(
        name,
        f"{name}:1",
        priority_node_option(priority),
        metadata_node_option(MemoryMetadata(settings)),
    )
    for _ in range(failures):
        node.marker().mark()
    return node


class BypassAll(Bypass):
    """Bypasses everything."""

    def is_whitelist(self) -> bool:
        return False

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: BypassOption) -> bool:
        return addr == "a.example:80"


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ([], ["", "", "", ""]),
        ([made("a"), made("b")], ["a", "b", "a", "b"]),
        ([made("a", failures=1), made("b")], ["b", "b", "b", "b"]),
        ([made("a", failures=1, maxFails=2), made("b")], ["a", "b", "a", "b"]),
        ([made("a", failures=1, failTimeout=1e-9), made("b")], ["a", "b", "a", "b"]),
        ([made("a", failures=1), made("b", failures=1)], ["a", "a", "a", "a"]),
        ([made("a", backup=True), made("b")], ["b", "b", "b", "b"]),
        ([made("a", backup=True), made("b", failures=1)], ["a", "a", "a", "a"]),
        ([made("a", priority=1), made("b", priority=2)], ["b", "b", "b", "b"]),
        ([made("a", priority=2), made("b", priority=2)], ["a", "b", "a", "b"]),
        ([made("a", priority=-1), made("b")], ["a", "b", "a", "b"]),
        ([made("a"), made("b", priority=2, failures=1)], ["a", "a", "a", "a"]),
        ([made("a"), made("b", priority=2, backup=True)], ["a", "a", "a", "a"]),
        ([Node("a", "a:1", bypass_node_option(BypassAll())), made("b")], ["b", "b", "b", "b"]),
    ],
)
def test_a_hop_chooses(nodes: list[Node], names: list[str]) -> None:
    assert run(chosen(*nodes)) == names


@pytest.mark.parametrize(
    ("filter", "fits"),
    [
        (NodeFilterSettings(), True),
        (NodeFilterSettings(protocol="http"), True),
        (NodeFilterSettings(protocol="tls"), False),
        (NodeFilterSettings(host="WWW.a.example."), True),
        (NodeFilterSettings(host="a.example"), False),
        (NodeFilterSettings(host=".a.example"), True),
        (NodeFilterSettings(host=".example.com"), False),
        (NodeFilterSettings(path="/api"), True),
        (NodeFilterSettings(path="/api/2"), False),
        (NodeFilterSettings(protocol="http", path="/other"), False),
    ],
)
def test_a_node_serves_the_requests_that_its_filter_lets_through(
    filter: NodeFilterSettings, fits: bool
) -> None:
    async def main() -> Node | None:
        hop = NodeHop(Node("a", "a:1", node_filter_option(filter)))
        return await hop.select(
            Context(),
            protocol_select_option("http"),
            host_select_option("www.A.example:80"),
            path_select_option("/api/1"),
        )

    assert (run(main()) is not None) is fits


class Holding(Handler):
    """Holds its connections until it is told."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.contexts: list[Context] = []
        self.conns: list[Conn] = []
        self.closed = 0

    async def init(self, metadata: Metadata | None, /) -> None:
        pass

    async def handle(self, ctx: Context, conn: Conn, /, *opts: HandleOption) -> None:
        self.contexts.append(ctx)
        self.conns.append(conn)
        try:
            await conn.write(b"!")
            await self.release.wait()
            raise RuntimeError("this client's trouble")
        finally:
            await conn.close()

    async def close(self) -> None:
        self.closed += 1


async def bound() -> TCPListener:
    listener = TCPListener(addr_option("127.0.0.1:0"))
    await listener.init(None)
    return listener


def test_a_service_that_is_closed_serves_its_handlers_to_the_end() -> None:
    async def main() -> None:
        handler = Holding()
        service = TaskService(await bound(), handler)
        serving = asyncio.create_task(service.serve())
        client = await SystemDialer().dial(Context(), "tcp", str(service.addr()))
        assert await client.read(1) == b"!"
        (ctx,) = handler.contexts
        assert str(ctx.value(SOURCE_ADDRESS)) == str(client.local_addr())
        assert str(ctx.value(DESTINATION_ADDRESS)) == str(service.addr())
        assert ctx.value(HASH_SOURCE) == "127.0.0.1"
        assert ctx.value(SESSION_ID)
        await asyncio.gather(service.close(), service.close())
        assert handler.closed
        again = TCPListener(addr_option(str(service.addr())))
        await again.init(None)
        await again.close()
        done, _ = await asyncio.wait([serving], timeout=0.05)
        assert not done
        handler.release.set()
        await serving
        await client.close()
        with pytest.raises(RuntimeError):
            await service.serve()

    run(main())


def test_a_service_that_is_cancelled_closes_every_connection() -> None:
    def descriptors() -> int:
        return len(os.listdir("/dev/fd"))

    async def main() -> None:
        before = descriptors()
        handler = Holding()
        service = TaskService(await bound(), handler)
        serving = asyncio.create_task(service.serve())
        clients = [
            await SystemDialer().dial(Context(), "tcp", str(service.addr())) for _ in range(20)
        ]
        await clients[0].read(1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        await service.close()
        for conn in handler.conns:
            with pytest.raises(ClosedError):
                await conn.read(1)
        for client in clients:
            await client.close()
        assert descriptors() == before

    run(main())


class Scripted(TCPListener):
    """Raises what its script says, then accepts."""

    def __init__(self, *script: Exception) -> None:
        super().__init__(addr_option("127.0.0.1:0"))
        self.script = list(script)

    async def accept(self) -> Conn:
        if self.script:
            raise self.script.pop(0)
        return await super().accept()


def test_a_service_waits_longer_each_time_and_starts_anew_after_an_accept_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    fault = OSError(errno.EMFILE, "too many")

    async def main() -> None:
        listener = Scripted(*[BindError(fault)] * 4, AcceptError(fault), BindError(fault))
        await listener.init(None)
        service = TaskService(listener, Holding())

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            if not listener.script:
                await service.close()

        monkeypatch.setattr(service, "_pause", pause)
        await service.serve()

    run(main())
    assert pauses == [1, 2, 4, 5, 1, 1]


def test_a_pause_ends_when_the_service_is_closed() -> None:
    async def main() -> None:
        listener = Scripted(AcceptError(OSError(errno.EMFILE, "too many")))
        await listener.init(None)
        service = TaskService(listener, Holding())
        serving = asyncio.create_task(service.serve())
        await asyncio.sleep(0)
        await service.close()
        await asyncio.wait_for(serving, 0.5)

    run(main())


def test_a_listener_that_fails_ends_the_service_with_its_error() -> None:
    async def main() -> None:
        listener = Scripted(OSError(errno.EBADF, "gone"))
        await listener.init(None)
        with pytest.raises(OSError, match="gone"):
            await TaskService(listener, Holding()).serve()
        with pytest.raises(ClosedError):
            await listener.accept()

    run(main())
