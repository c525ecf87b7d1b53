"""Access and limits, with real traffic."""

import asyncio
import gc
import random
import time
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from gost_core import handler, limiter, listener
from gost_core.admission import Admission, Option
from gost_core.common.net import ClosedError, Conn, HalfCloser
from gost_core.common.url import Userinfo
from gost_core.connector import auth_option
from gost_core.context import Context
from gost_core.limiter import SCOPE_CLIENT, SCOPE_CONN, SCOPE_SERVICE, rate
from gost_core.limiter.traffic import Limiter
from proxy.admission import NetworkAdmission
from proxy.auth import UserTable
from proxy.chain.router import RetryRouter
from proxy.connector.socks5 import SOCKS5Connector
from proxy.handler.socks5 import SOCKS5Handler
from proxy.limiter.conn import HostConnLimiter
from proxy.limiter.limited import LimitedConn
from proxy.limiter.rate import HostRateLimiter
from proxy.limiter.traffic import Bytes, ScopedTrafficLimiter
from proxy.listener import limits
from proxy.listener.tcp import TCPListener
from proxy.net.dialer import SystemDialer
from proxy.service import TaskService
from tests.examples.proxy_harness import echo, run, server

ALICE, BOB = Userinfo("alice", "rabbit"), Userinfo("bob", "builder")
SERVICE = "socks"


@asynccontextmanager
async def proxy(
    *listening: listener.Option, handling: tuple[handler.Option, ...] = ()
) -> AsyncGenerator[str, None]:
    """Run a SOCKS5 proxy with these options; yield its address."""
    serving = SOCKS5Handler(handler.router_option(RetryRouter()), *handling)
    await serving.init(None)
    local = TCPListener(
        listener.addr_option("127.0.0.1:0"), listener.service_option(SERVICE), *listening
    )
    await local.init(None)
    service = TaskService(local, serving)
    task = asyncio.create_task(service.serve())
    try:
        yield str(service.addr())
        assert not task.done(), "the service ended"
    finally:
        await service.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connect(via: str, target: str, user: Userinfo | None = None) -> Conn:
    """Reach a target through the proxy."""
    conn = await SystemDialer().dial(Context(), "tcp", via)
    connector = SOCKS5Connector(auth_option(user))
    await connector.init(None)
    try:
        conn = await connector.handshake(Context(), conn)
        return await connector.connect(Context(), conn, "tcp", target)
    except BaseException:
        await conn.close()
        raise


async def echoes(conn: Conn, sent: bytes) -> None:
    """Send, end the stream, and see that every byte comes back in its place."""

    async def send() -> None:
        await conn.write(sent)
        assert isinstance(conn, HalfCloser)
        await conn.close_write()

    sending = asyncio.create_task(send())
    received = bytearray()
    try:
        while data := await conn.read(65536):
            received += data
        await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await conn.close()
    assert received == sent


async def is_served(via: str, target: str) -> bool:
    try:
        await echoes(await connect(via, target), b"hello")
    except (ConnectionError, PermissionError):
        return False
    return True


async def until_served(via: str, target: str) -> None:
    """Try again until the proxy has seen that an earlier client is gone."""
    while not await is_served(via, target):  # noqa: ASYNC110 it tells nobody
        await asyncio.sleep(0.01)


def test_a_full_listener_refuses_the_newcomer_and_serves_the_next_after_a_close() -> None:
    async def main() -> None:
        places = HostConnLimiter({"127.0.0.1": 2})
        async with server(echo) as target, proxy(listener.conn_limiter_option(places)) as via:
            first, second = await connect(via, target), await connect(via, target)
            for _ in range(3):
                assert not await is_served(via, target)
            await first.close()
            await until_served(via, target)
            await second.write(b"still served")
            assert await second.read(100) == b"still served"
            await second.close()

    run(main())


def test_a_place_is_given_back_after_every_kind_of_client() -> None:
    async def main() -> None:
        places = HostConnLimiter({}, others=1)
        async with server(echo) as target, proxy(listener.conn_limiter_option(places)) as via:
            for _ in range(20):
                await until_served(via, target)
                dead = await SystemDialer().dial(Context(), "tcp", via)
                await dead.write(b"no SOCKS")
                await dead.close()
            await until_served(via, target)

    run(main())


def test_hosts_have_places_of_their_own() -> None:
    lookup = HostConnLimiter({"192.0.2.1": 1}, others=1)
    one, other = lookup.limiter("192.0.2.1"), lookup.limiter("192.0.2.2")
    again = lookup.limiter("192.0.2.2")
    assert one is not None
    assert other is not None
    assert again is not None
    assert one.allow(1)
    assert other.allow(1)
    assert not again.allow(1)


def test_a_host_that_has_its_whole_budget_back_is_forgotten() -> None:
    lookup = HostRateLimiter({}, others=1)
    found = lookup.limiter("192.0.2.1")
    assert found is not None
    remembered = weakref.ref(found)
    del found
    lookup.limiter("192.0.2.2")
    gc.collect()
    assert remembered() is None


@pytest.mark.parametrize(
    ("admission", "served"),
    [
        (NetworkAdmission("127.0.0.0/8", whitelist=True), True),
        (NetworkAdmission("192.0.2.0/24", whitelist=True), False),
        (NetworkAdmission("192.0.2.0/24"), True),
        (NetworkAdmission("127.0.0.0/8"), False),
    ],
)
def test_a_list_of_networks_decides_who_is_served(
    admission: NetworkAdmission, served: bool
) -> None:
    async def main() -> None:
        async with server(echo) as target, proxy(listener.admission_option(admission)) as via:
            assert [await is_served(via, target) for _ in range(3)] == [served] * 3

    run(main())


def test_a_refused_client_takes_no_place() -> None:
    async def main() -> None:
        places = HostConnLimiter({"127.0.0.1": 1})
        nobody = NetworkAdmission("127.0.0.0/8")
        async with (
            server(echo) as target,
            proxy(listener.admission_option(nobody), listener.conn_limiter_option(places)) as via,
        ):
            assert not await is_served(via, target)
        found = places.limiter("127.0.0.1")
        assert found is not None
        assert found.allow(1)

    run(main())


class Undecided(Admission):
    """Comes to no answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        self.asked.set()
        await asyncio.Event().wait()
        return True


def test_an_admission_that_comes_to_no_answer_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DECISION_LIMIT", 0.05)

    async def main() -> None:
        async with server(echo) as target, proxy(listener.admission_option(Undecided())) as via:
            assert [await is_served(via, target) for _ in range(2)] == [False, False]

    run(main())


def test_close_waits_for_no_admission_and_closes_its_client() -> None:
    async def main() -> None:
        admission = Undecided()
        local = TCPListener(
            listener.addr_option("127.0.0.1:0"), listener.admission_option(admission)
        )
        await local.init(None)
        accepting = asyncio.create_task(local.accept())
        client = await SystemDialer().dial(Context(), "tcp", str(local.addr()))
        await admission.asked.wait()
        await local.close()
        with pytest.raises(listener.ClosedError):
            await accepting
        with suppress(ConnectionResetError):
            assert await client.read(1) == b""
        await client.close()

    run(main())


def test_an_ipv4_client_of_an_ipv6_socket_is_in_its_ipv4_network() -> None:
    async def main() -> None:
        blacklist = NetworkAdmission("192.0.2.0/24")
        assert not await blacklist.admit(Context(), "tcp", "[::ffff:192.0.2.1]:1024")

    run(main())


def test_a_malformed_network_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"192\.0\.2\.0/99"):
        NetworkAdmission("192.0.2.0/99")


def test_a_client_over_its_rate_is_refused_until_the_budget_is_refilled() -> None:
    async def main() -> None:
        rates = HostRateLimiter({}, others=1)
        option = handler.rate_limiter_option(rates)
        async with server(echo) as target, proxy(handling=(option,)) as via:
            began = time.monotonic()
            served = 0
            while await is_served(via, target):
                served += 1
            # The burst: that of a second, and one more; then one a second.
            assert 2 <= served <= 2 + time.monotonic() - began
            await until_served(via, target)
            assert time.monotonic() - began >= 0.95

    run(main())


class Counting(rate.RateLimiter, rate.Limiter):
    """Grants each request, and counts them."""

    taken = 0

    def limiter(self, key: str, /) -> rate.Limiter:
        return self

    def allow(self, n: int, /) -> bool:
        self.taken += n
        return True

    def limit(self) -> float:
        return 0


@pytest.mark.parametrize("user", [None, ALICE])
def test_a_request_is_counted_once_with_a_login_or_without(user: Userinfo | None) -> None:
    async def main() -> None:
        rates = Counting()
        handling = (
            handler.rate_limiter_option(rates),
            handler.auther_option(user and UserTable(user)),
        )
        async with server(echo) as target, proxy(handling=handling) as via:
            await echoes(await connect(via, target, user), b"hello")
        assert rates.taken == 1

    run(main())


def test_a_slow_transfer_takes_its_time_and_speeds_up_when_the_rate_is_changed() -> None:
    sent = random.Random(1).randbytes(8 << 20)

    async def main() -> None:
        limits = ScopedTrafficLimiter({SCOPE_SERVICE: {SERVICE: 100_000}})
        option = listener.traffic_limiter_option(limits)
        async with server(echo) as target, proxy(option) as via:
            began = time.monotonic()
            await echoes(await connect(via, target), sent[:200_000])
            # The first second's bytes are there at the start, in either direction.
            assert time.monotonic() - began >= 0.95
            # At the old rate, this would take well over a minute.
            conn = await connect(via, target)
            transfer = asyncio.create_task(echoes(conn, sent))
            done, _ = await asyncio.wait([transfer], timeout=0.3)
            assert not done
            for look in (limits.in_, limits.out):
                found = await look(
                    Context(),
                    SERVICE,
                    limiter.scope_option(SCOPE_SERVICE),
                    limiter.service_option(SERVICE),
                )
                assert found is not None
                found.set(100_000_000)
            await transfer

    run(main())


@pytest.mark.parametrize(
    ("scope", "key", "connections", "each"),
    [(SCOPE_SERVICE, SERVICE, 3, 40_000), (SCOPE_CONN, "127.0.0.1", 1, 120_000)],
)
def test_the_connections_of_a_service_share_its_rate_and_one_has_its_own(
    scope: str, key: str, connections: int, each: int
) -> None:
    async def main() -> None:
        limits = ScopedTrafficLimiter({scope: {key: 60_000}})
        option = listener.traffic_limiter_option(limits)
        async with server(echo) as target, proxy(option) as via:
            began = time.monotonic()
            conns = [await connect(via, target) for _ in range(connections)]
            await asyncio.gather(*(echoes(conn, b"x" * each) for conn in conns))
            # 120 kB on one budget take a second longer than the first 60.
            assert time.monotonic() - began >= 0.95

    run(main())


def test_connections_of_a_client_share_its_rate_and_those_of_another_client_do_not() -> None:
    async def main() -> None:
        limits = ScopedTrafficLimiter({SCOPE_CLIENT: {"alice": 60_000}})
        options = (
            handler.traffic_limiter_option(limits),
            handler.auther_option(UserTable(ALICE, BOB)),
        )
        async with server(echo) as target, proxy(handling=options) as via:

            async def transfer(user: Userinfo, size: int) -> None:
                async def one() -> None:
                    await echoes(await connect(via, target, user), b"x" * size)

                await asyncio.gather(*(one() for _ in range(3)))

            began = time.monotonic()
            await transfer(ALICE, 40_000)
            assert time.monotonic() - began >= 0.95
            hers = asyncio.create_task(transfer(ALICE, 10_000_000))  # for many minutes
            await transfer(BOB, 100_000)
            assert not hers.done()
            hers.cancel()

    run(main())


@asynccontextmanager
async def pair(in_: Limiter | None, out: Limiter | None) -> AsyncGenerator[tuple[Conn, Conn], None]:
    """Yield an accepted connection that is held to limits, and its peer."""
    local = TCPListener(listener.addr_option("127.0.0.1:0"))
    await local.init(None)
    peer = await SystemDialer().dial(Context(), "tcp", str(local.addr()))
    conn = LimitedConn(Context(), await local.accept(), in_, out)
    await local.close()
    try:
        yield conn, peer
    finally:
        await conn.close()
        await peer.close()


@pytest.mark.parametrize("direction", ["in", "out"])
def test_each_direction_draws_on_its_own_budget(direction: str) -> None:
    sent = random.Random(4).randbytes(15_000)

    async def main() -> None:
        reads = direction == "in"
        in_, out = (Bytes(10_000), None) if reads else (None, Bytes(10_000))
        async with pair(in_, out) as (conn, peer):
            source, sink = (peer, conn) if reads else (conn, peer)
            began = time.monotonic()
            writing = asyncio.create_task(source.write(sent))
            received = b""
            while len(received) < len(sent):
                received += await sink.read(65536)
            await writing
            assert received == sent
            assert time.monotonic() - began >= 0.45

    run(main())


def test_a_cancelled_read_that_waited_for_its_budget_loses_nothing() -> None:
    sent = random.Random(2).randbytes(3000)

    async def main() -> None:
        async with pair(Bytes(2000), None) as (conn, peer):
            await peer.write(sent)
            received = b""
            while len(received) < len(sent):
                reading = asyncio.create_task(conn.read(700))
                await asyncio.wait([reading], timeout=0.007)
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    received += await reading
            assert received == sent

    run(main())


def test_lifting_the_limit_keeps_the_bytes_in_order() -> None:
    sent = random.Random(3).randbytes(300_000)

    async def main() -> None:
        budget = Bytes(10)
        async with pair(budget, None) as (conn, peer):
            writing = asyncio.create_task(peer.write(sent))
            received = await conn.read(65536)
            budget.set(0)
            while len(received) < len(sent):
                received += await conn.read(65536)
            await writing
            assert received == sent

    run(main())


@pytest.mark.parametrize("operation", ["read", "write"])
def test_close_ends_a_call_that_waits_for_its_budget(operation: str) -> None:
    async def main() -> None:
        async with pair(Bytes(1), Bytes(1)) as (conn, peer):
            await peer.write(b"xx")
            waiting: asyncio.Future[bytes] | asyncio.Future[None]
            if operation == "read":
                await conn.read(2)
                waiting = asyncio.ensure_future(conn.read(2))
            else:
                waiting = asyncio.ensure_future(conn.write(b"x" * 1000))
            done, _ = await asyncio.wait([waiting], timeout=0.1)
            assert not done
            await conn.close()
            with pytest.raises(ClosedError):
                await waiting

    run(main())
