"""The ingress, the route tables and the service discovery of the example, and what goes by them."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_network

import pytest
from redis.asyncio import Redis

from gost_core import chain
from gost_core.chain import Chainer, chain_router_option, with_host_route_option
from gost_core.common.net import Closer
from gost_core.context import Context
from gost_core.options import apply
from gost_core.router import Option, Route, Router
from gost_core.sd import SD, Service
from gost_core.sd import Option as SDOption
from gost_core.testing.chain import ChainerContract
from gost_core.testing.common.net import CloserContract
from gost_core.testing.ingress import IngressContract
from gost_core.testing.router import RouterContract
from gost_core.testing.sd import SDContract
from proxy.build import make_node
from proxy.chain.route import HopChain
from proxy.chain.router import RetryRouter, names_of_route
from proxy.handler.socks5 import SOCKS5Handler
from proxy.hop import NodeHop
from proxy.ingress import MemoryIngress
from proxy.net.address import host_of
from proxy.router import TableRouter
from proxy.sd.memory import MemorySD, registered
from proxy.sd.redis import RedisSD
from proxy.urls import parse
from tests.contract.untyped import untyped
from tests.examples.proxy_harness import EXAMPLES, echo, forked, logged, proxy, run, server
from tests.examples.redis_server import RedisServer, needs_redis

CTX = Context()

# ---- ingress, routes

TestMemoryIngress = IngressContract(lambda rules: MemoryIngress(*rules)).as_tests()
TestTableRouter = RouterContract(
    lambda routes: TableRouter({"": routes}), make_tables=TableRouter
).as_tests()


class Everywhere(Router):
    """A table that has a route to all there is, by one gateway."""

    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        return Route(dst=dst, gateway="gate")


class TableChain(Chainer):
    """Goes to a target by the chain of its gateway; without a gateway, directly (D36).

    The name that was asked for may stand in the table as well as the address that it has.
    """

    def __init__(self, table: Router, gateways: Mapping[str, Chainer]) -> None:
        self._table = table
        self._gateways = gateways

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: chain.RouteOption
    ) -> chain.Route | None:
        found: Route | None = None
        for target in (apply(chain.RouteOptions(), *opts).host, address):
            found = found or await self._table.get_route(ctx, host_of(target))
        if found is None:
            return None
        if found.gateway not in self._gateways:
            # Direct would be past the very gateway that the table asks for.
            raise PermissionError(f"{address}: the gateway {found.gateway!r} is not known here")
        return await self._gateways[found.gateway].route(ctx, network, address, *opts)


TestTableChain = ChainerContract(
    lambda hops: TableChain(Everywhere(), {"gate": HopChain(*hops)})
).as_tests()


async def gate_of(table: Mapping[str, Sequence[Route]], address: str, host: str = "") -> str:
    """Return by which gateway a chain goes to an address, "" = directly."""
    ways: dict[str, Chainer] = {
        name: HopChain(
            NodeHop(await make_node(parse(f"socks5://{name}:1080")[0], AsyncExitStack()))
        )
        for name in ("one", "two")
    }
    table_chain = TableChain(TableRouter(table), ways)
    route = await table_chain.route(CTX, "tcp", address, with_host_route_option(host))
    return "" if route is None else route.nodes()[0].addr.removesuffix(":1080")


@pytest.mark.parametrize(
    ("address", "host", "gate"),
    [
        ("192.0.2.1:80", "", "one"),
        ("192.0.2.2:80", "", "two"),
        ("[2001:db8::1]:80", "", "one"),
        ("[2001:DB8:0::1]:80", "", "one"),
        ("A.example.:443", "", "two"),
        ("198.51.100.1:443", "a.example:443", "two"),  # resolved, and known by its name
        ("192.0.2.2:443", "b.example:443", "two"),  # by its address, the name is in no table
        ("198.51.100.1:443", "b.example:443", ""),
    ],
)
def test_a_target_is_reached_by_the_gateway_of_its_route(
    address: str, host: str, gate: str
) -> None:
    table = [
        Route(dst="192.0.2.0/24", gateway="two"),
        Route(dst="192.0.2.1", gateway="one"),
        Route(dst="2001:db8::1", gateway="one"),
        Route(dst="a.example", gateway="two"),
    ]
    assert run(gate_of({"": table}, address, host)) == gate


def test_an_unknown_gateway_refuses_and_does_not_go_direct() -> None:
    with pytest.raises(PermissionError, match="'gone'"):
        run(gate_of({"": [Route(dst="0.0.0.0/0", gateway="gone")]}, "192.0.2.1:80"))


def test_a_route_of_the_deprecated_network_counts() -> None:
    route: Route = untyped(Route)(net=ip_network("192.0.2.0/24"), gateway="one")
    table = {"": [route]}
    assert run(gate_of(table, "192.0.2.1:80")) == "one"


def test_traffic_goes_through_the_proxy_that_is_the_gateway() -> None:
    async def main() -> None:
        async with server(echo) as near, server(echo) as far, proxy(SOCKS5Handler) as gate:
            # By the name that is asked for, since here all addresses are alike.
            table = TableRouter({"": [Route(dst="127.0.0.1", gateway="gate")]})
            way = HopChain(NodeHop(await make_node(parse(f"socks5://{gate}")[0], AsyncExitStack())))
            router = RetryRouter(chain_router_option(TableChain(table, {"gate": way})))
            for target, through in (
                (far, f"socks5://{gate}"),
                (f"localhost:{near.rpartition(':')[2]}", "direct"),
            ):
                conn = await router.dial(CTX, "tcp", target)
                await conn.write(b"hello")
                assert await conn.read(9) == b"hello"
                assert names_of_route(conn) == through
                await conn.close()

    run(main())


# ---- discovery

SERVICE = Service(id="1", name="web", node="here", network="tcp", address="192.0.2.1:80")
LEASE = 2.0


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    async def elapse(self, seconds: float) -> None:
        self.now += seconds


class Servers:
    """Gives each directory a server of its own, to be killed at will."""

    def __init__(self) -> None:
        self._running: dict[RedisSD, RedisServer] = {}

    def make(self) -> RedisSD:
        server = RedisServer()
        sd = RedisSD(server.url, LEASE)
        self._running[sd] = server
        return sd

    def join(self, sd: RedisSD) -> RedisSD:
        other = RedisSD(self._running[sd].url, LEASE)
        self._running[other] = self._running[sd]
        return other

    async def make_async(self) -> RedisSD:
        sd = self.make()
        await sd.get(CTX, "web")
        return sd

    async def kill(self, sd: RedisSD) -> None:
        self._running[sd].kill()

    async def suspend(self, sd: RedisSD) -> None:
        self._running[sd].suspend()

    def restart(self, sd: RedisSD) -> None:
        self._running[sd].start()

    def url(self, sd: RedisSD) -> str:
        return self._running[sd].url

    def kill_all(self) -> None:
        while self._running:
            self._running.popitem()[1].kill()


CLOCK = Clock()
SERVERS = Servers()


@pytest.fixture(autouse=True, scope="module")
def servers_end() -> Generator[None]:
    yield
    SERVERS.kill_all()


async def wait_for_nothing(sd: RedisSD) -> None:
    """Wait for an answer that the server never gives."""
    await SERVERS.suspend(sd)
    await sd.get(CTX, "web")


TestMemorySD = SDContract(
    lambda: MemorySD(lease=LEASE, clock=CLOCK),
    join=lambda sd: sd,
    lease=LEASE,
    elapse=CLOCK.elapse,
).as_tests()
TestRedisSD = needs_redis(
    SDContract(SERVERS.make, join=SERVERS.join, lease=LEASE, break_backend=SERVERS.kill).as_tests()
)
TestRedisSDCloser = needs_redis(
    CloserContract(SERVERS.make_async, wait=wait_for_nothing).as_tests()
)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; run() bounds how long."""
    while True:
        if await holds():
            return
        await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs_redis)])
def joined(request: pytest.FixtureRequest) -> Generator[Callable[[], SD]]:
    """Give what makes a directory's SD for one more proxy."""
    if request.param == "memory":
        shared = MemorySD(lease=LEASE)
        yield lambda: shared
        return
    server = RedisServer()
    yield lambda: RedisSD(server.url, LEASE)
    server.kill()


@asynccontextmanager
async def closing(sd: SD) -> AsyncGenerator[SD]:
    try:
        yield sd
    finally:
        if isinstance(sd, Closer):
            await sd.close()


def test_a_registered_service_outlives_its_lease_and_leaves_when_it_ends(
    joined: Callable[[], SD],
) -> None:
    async def main() -> None:
        async with closing(joined()) as here, closing(joined()) as there:

            async def is_listed() -> bool:
                return SERVICE in await there.get(CTX, "web")

            async with registered(here, SERVICE, LEASE / 4):
                await until(is_listed)
                await asyncio.sleep(1.5 * LEASE)
                assert await is_listed()
            assert not await is_listed()

    run(main())


def test_a_service_that_the_directory_has_lost_is_registered_again(
    joined: Callable[[], SD],
) -> None:
    async def main() -> None:
        async with closing(joined()) as here, closing(joined()) as there:

            async def is_listed() -> bool:
                return SERVICE in await there.get(CTX, "web")

            async with registered(here, SERVICE, LEASE / 4):
                await until(is_listed)
                await there.deregister(CTX, SERVICE)
                await until(is_listed)

    run(main())


def test_a_service_whose_proxy_died_is_not_listed_after_its_lease(
    joined: Callable[[], SD],
) -> None:
    async def main() -> None:
        async with closing(joined()) as here, closing(joined()) as there:

            async def is_gone() -> bool:
                return not await there.get(CTX, "web")

            await here.register(CTX, SERVICE)
            assert not await is_gone()
            await until(is_gone)

    run(main())


def test_what_callers_take_first_differs(joined: Callable[[], SD]) -> None:
    async def main() -> None:
        async with closing(joined()) as sd:
            for number in range(3):
                await sd.register(CTX, replace(SERVICE, id=str(number)))
            firsts = {(await sd.get(CTX, "web"))[0].id for _ in range(200)}
            assert firsts == {"0", "1", "2"}

    run(main())


ENTER = "redis.call('SADD', KEYS[1], KEYS[2]) redis.call(ARGV[1], KEYS[2], ARGV[2])"


@needs_redis
def test_bad_entries_are_left_out_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    good = b'{"id": "1", "name": "web", "address": "a:1", "colour": "red"}'
    bad = [b"{", b"[1]", b"7", b'{"id": 1, "name": "web"}', b"\xff\xfe", b"[" * 100_000]
    later = b"another one"

    async def main() -> None:
        server = RedisServer()
        async with closing(RedisSD(server.url)) as sd, raw(server.url) as redis:
            for number, text in enumerate([good, *bad]):
                await redis.eval(ENTER, 2, "sd:web", f"entry {number}", "SET", text)
            await redis.eval(ENTER, 2, "sd:web", "entry 9", "LPUSH", "no text at all")
            listed = [Service(id="1", name="web", address="a:1")]
            for _ in range(2):
                assert await sd.get(CTX, "web") == listed
            await redis.eval(ENTER, 2, "sd:web", "entry 1", "SET", later)
            assert await sd.get(CTX, "web") == listed
        server.kill()

    with logged(caplog):
        run(main())
    assert len(caplog.messages) == len([*bad, "no text at all", later])
    assert all("an entry of 'web' in the directory is left out" in one for one in caplog.messages)


@asynccontextmanager
async def raw(url: str) -> AsyncGenerator[Redis]:
    redis = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType] - redis has no types
    try:
        yield redis
    finally:
        await redis.aclose()


@needs_redis
def test_names_that_hold_the_separator_are_told_apart() -> None:
    async def main() -> None:
        async with closing(SERVERS.make()) as sd:
            services = [
                replace(SERVICE, name=name, node=node)
                for name, node in (("a", "b:c"), ("a:b", "c"), ("a", "b"))
            ]
            for service in services:
                await sd.register(CTX, service)
            assert await sd.get(CTX, "a:b") == [services[1]]
            assert len(await sd.get(CTX, "a")) == 2

    run(main())


@needs_redis
def test_services_that_left_leave_nothing_on_the_server() -> None:
    async def main() -> None:
        async with closing(SERVERS.make()) as sd:
            assert isinstance(sd, RedisSD)
            for number in range(5):
                await sd.register(CTX, replace(SERVICE, id=str(number)))
                await sd.deregister(CTX, replace(SERVICE, id=str(number)))
            assert await sd.get(CTX, "web") == []
            # The library does not say what the options of its methods are.
            client = Redis.from_url(SERVERS.url(sd))  # pyright: ignore[reportUnknownMemberType]
            async with client as redis:
                keys = await redis.keys()  # pyright: ignore[reportUnknownMemberType] - likewise
            assert keys == []

    run(main())


@needs_redis
def test_a_registration_survives_the_absence_of_its_server() -> None:
    async def main() -> None:
        async with closing(SERVERS.make()) as sd:
            assert isinstance(sd, RedisSD)

            async def is_listed() -> bool:
                with suppress(OSError):
                    return SERVICE in await sd.get(CTX, "web")
                return False

            async with registered(sd, SERVICE, LEASE / 4):
                await until(is_listed)
                await SERVERS.kill(sd)
                assert not await is_listed()
                await asyncio.to_thread(SERVERS.restart, sd)
                await until(is_listed)

    run(main())


@needs_redis
def test_a_secret_in_the_address_of_the_server_shows_in_no_error() -> None:
    async def main() -> None:
        sd = SERVERS.make()
        wrong = RedisSD(SERVERS.url(sd).replace("//", "//user:secret@"))
        async with closing(sd), closing(wrong):
            with pytest.raises(OSError, match="directory fails") as caught:
                await wrong.get(CTX, "web")
            assert "secret" not in f"{caught.value!r}{wrong!r}"

    run(main())


def test_a_registration_ends_while_its_directory_does_not_answer() -> None:
    class Hanging(MemorySD):
        async def register(self, ctx: Context, service: Service, /, *opts: SDOption) -> None:
            await asyncio.Event().wait()

        async def deregister(self, ctx: Context, service: Service, /) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        async with registered(Hanging(), SERVICE, 0.05):
            await asyncio.sleep(0)

    run(main())


# ---- proxies that share a directory

REGISTER = """
import asyncio, sys
from gost_core.context import Context
from gost_core.sd import Service
from proxy.sd.redis import RedisSD

async def main():
    sd = RedisSD(sys.argv[1], lease=float(sys.argv[3]))
    service = Service(id="1", name="web", node="other", network="tcp", address=sys.argv[2])
    await sd.register(Context(), service)
    print("registered", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    await reader.read()


@needs_redis
def test_a_proxy_finds_what_another_process_registered_until_its_lease_is_over() -> None:
    async def main() -> None:
        redis = RedisServer()
        async with server(hello) as backend, gateway(redis.url) as address:
            assert (await ask(address)).startswith(b"HTTP/1.1 404 ")
            other = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", REGISTER, redis.url, backend, "1.5"),
                cwd=EXAMPLES,
                stdout=asyncio.subprocess.PIPE,
            )
            assert other.stdout is not None
            assert await other.stdout.readline() == b"registered\n"
            assert (await ask(address)).endswith(b"hello")
            other.kill()
            await other.communicate()

            async def has_left() -> bool:
                return (await ask(address)).startswith(b"HTTP/1.1 404 ")

            await until(has_left)
        redis.kill()

    run(main())


@needs_redis
def test_a_proxy_started_second_finds_the_service_that_the_first_registered() -> None:
    async def main() -> None:
        redis = RedisServer()
        async with server(hello) as backend:
            with forked(
                *("-L", f"gateway://127.0.0.1:0/{backend}?register=web", "--sd", redis.url)
            ) as first:
                await asyncio.to_thread(first.address, "gateway")
                async with gateway(redis.url) as second:

                    async def is_found() -> bool:
                        return (await ask(second)).endswith(b"hello")

                    await until(is_found)
                    assert await asyncio.to_thread(first.stop) == 0
                    # It has said goodbye: no lease need run out.
                    assert (await ask(second)).startswith(b"HTTP/1.1 404 ")
        redis.kill()

    run(main())


@needs_redis
@pytest.mark.parametrize("how", ["killed", "silent"])
def test_a_directory_that_fails_is_a_clear_error_and_no_hang(how: str) -> None:
    async def main() -> None:
        redis = RedisServer()
        with forked("-L", "gateway://127.0.0.1:0?ingress=.=web", "--sd", redis.url) as one:
            address = await asyncio.to_thread(one.address, "gateway")
            assert (await ask(address)).startswith(b"HTTP/1.1 404 ")
            redis.kill() if how == "killed" else redis.suspend()
            assert (await ask(address)).startswith(b"HTTP/1.1 502 ")
            await asyncio.to_thread(one.wait_for, "the service directory fails: ")
        redis.kill()

    run(main())


@pytest.mark.one_python
def test_a_directory_or_a_rule_that_makes_no_sense_is_named_and_hides_its_password() -> None:
    for arguments, reason in (
        (("-L", "gateway://:0", "--sd", "redis://u:secret@host:port"), "argument --sd: .*port"),
        (("-L", "gateway://:0", "--sd", "other://u:secret@h"), "'other' is not one of"),
        (("-L", "gateway://:0", "--sd", "memory://secret@h"), "argument --sd"),
        (("-L", "gateway://127.0.0.1:0?ingress=a.example"), "HOST=SERVICE"),
        (("-L", "gateway://127.0.0.1:0"), "host:port/TARGET"),
    ):
        with forked(*arguments) as one:
            one.wait_for(reason)
            assert one.ended() == 2
            assert "secret" not in "".join(one.lines)


@asynccontextmanager
async def gateway(url: str) -> AsyncGenerator[str]:
    """Run a gateway as a program, which looks for the service ``web``; yield its address."""
    with forked("-L", "gateway://127.0.0.1:0?ingress=.=web", "--sd", url) as running:
        yield await asyncio.to_thread(running.address, "gateway")


async def ask(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer
