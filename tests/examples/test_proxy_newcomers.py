"""Who says nothing, fails to log in, or falls silent, stops nobody else."""

import asyncio
import os
import socket
import sys
import time
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import pytest

from gost_core.common.net import Conn, DeniedError
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.handler import auther_option, router_option
from gost_core.keys import HASH_SOURCE
from gost_core.listener import addr_option
from proxy.auth import FAILURES_AT_ONCE, UserTable
from proxy.chain.router import RetryRouter
from proxy.connector import tunnel
from proxy.handler import proxy as handlers
from proxy.handler.http import HTTPHandler
from proxy.handler.proxy import ProxyHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.listener.tcp import TCPListener
from proxy.metadata import MemoryMetadata
from proxy.net import newcomers
from proxy.net.address import TCPAddr
from proxy.net.dialer import MOST_ROUNDS, SystemDialer, known_source
from proxy.net.newcomers import Newcomers
from proxy.net.tcp import OPTIONS
from proxy.net.wrapper import Wrapper
from proxy.service import TaskService
from tests.examples import test_reverse as reverse
from tests.examples.proxy_harness import LIMIT, connected, echo, proxy, run, server
from tests.examples.test_proxy_http import Client, Origin, get, whole

# Hosts of this machine that are not the same: the whole network 127.0.0.0/8 is the loopback.
ONE, OTHER = "127.0.0.1", "127.0.0.2"
USER = Userinfo("me", "secret")


class From(Wrapper):
    """A connection of a client at some address."""

    def __init__(self, inner: Conn, host: str) -> None:
        super().__init__(inner)
        self._host = host

    def remote_addr(self) -> TCPAddr:
        return TCPAddr(self._host, 1)


def test_a_host_with_many_greetings_loses_its_own_oldest_ones() -> None:
    async def main() -> None:
        newcomers, ended, told = Newcomers(3), list[str](), asyncio.Event()

        async def greet(conn: Conn, name: str) -> None:
            try:
                await newcomers.limited(conn, 60, told.wait())
            except TimeoutError:
                ended.append(name)

        async with connected() as (conn, _), asyncio.TaskGroup() as tasks:
            for name, host in [
                *(("other", OTHER), ("first", ONE), ("second", ONE), ("third", ONE)),
                *(("fourth", ONE), ("fifth", ONE)),
            ]:
                tasks.create_task(greet(From(conn, host), name))
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            told.set()
        assert ended == ["first", "second", "third"]

    run(main())


def test_several_that_come_at_once_end_several() -> None:
    async def main() -> None:
        newcomers = Newcomers(2)

        async def greet(conn: Conn) -> None:
            await newcomers.limited(conn, 60, asyncio.sleep(0.01))

        async with connected() as (conn, _):
            greetings = [greet(From(conn, ONE)) for _ in range(10)]
            found = await asyncio.gather(*greetings, return_exceptions=True)
        assert [error is None for error in found] == [False] * 8 + [True] * 2

    run(main())


@asynccontextmanager
async def serving(
    handler: ProxyHandler, host: str = "127.0.0.1", **settings: object
) -> AsyncGenerator[str, None]:
    """Run a proxy at all addresses of the loopback."""
    await handler.init(MemoryMetadata(settings))
    listener = TCPListener(addr_option(f"{host}:0"))
    await listener.init(None)
    service = TaskService(listener, handler)
    task = asyncio.create_task(service.serve())
    try:
        yield str(service.addr())
    finally:
        await service.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("protocol", [HTTPHandler, SOCKS5Handler])
def test_half_greetings_stop_nobody_else(
    protocol: type[ProxyHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "Newcomers", partial(Newcomers, 5))

    async def main() -> None:
        handler = protocol(router_option(RetryRouter()))
        async with serving(handler) as address, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(address)) for _ in range(20)]
            for client in clients:
                client.writer.write(b"\x05" if protocol is SOCKS5Handler else b"GET / HT")
            for client in clients[:15]:  # told so, or reset
                with suppress(ConnectionError):
                    await client.reader.read()
            said = b"\x05\x01\x00" if protocol is SOCKS5Handler else b"GET /\r\n\r\n"
            async with Client(address) as last:
                last.writer.write(said)
                assert await last.reader.read(1)

    run(main())


# ---- logins


def login(word: bytes) -> bytes:
    return b"Proxy-Authorization: Basic %b\r\n" % b64encode(b"me:" + word)


async def socks(address: str, word: bytes, host: str) -> bytes:
    where, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(where, int(port), local_addr=(host, 0))
    writer.write(b"\x05\x01\x02\x01\x02me" + bytes([len(word)]) + word)
    found = await reader.readexactly(4)
    writer.close()
    return found[2:]


def test_passwords_are_not_tried_faster_than_they_can_be_forgotten() -> None:
    async def main() -> None:
        async with server(Origin(b"one")) as target, proxy(HTTPHandler, None, USER) as address:
            for _ in range(FAILURES_AT_ONCE):
                answer = await whole(address, get(target, login(b"guess")))
                assert answer.startswith(b"HTTP/1.1 407 ")
            answer = await whole(address, get(target, login(b"secret")))
            assert answer.startswith(b"HTTP/1.1 429 ")

    run(main())


def test_who_guesses_passwords_stops_no_other_host() -> None:
    async def main() -> None:
        users = auther_option(UserTable(USER))
        handler = SOCKS5Handler(router_option(RetryRouter()), users)
        async with serving(handler) as address:
            for _ in range(FAILURES_AT_ONCE):
                assert await socks(address, b"guess", ONE) == b"\x01\x01"
            assert await socks(address, b"secret", ONE) == b"\x01\x01"
            assert await socks(address, b"secret", OTHER) == b"\x01\x00"

    run(main())


def test_who_asks_without_a_password_first_has_not_failed() -> None:
    async def main() -> None:
        async with server(Origin(b"one")) as target, proxy(HTTPHandler, None, USER) as address:
            for _ in range(FAILURES_AT_ONCE + 1):
                assert (await whole(address, get(target))).startswith(b"HTTP/1.1 407 ")
            async with Client(address) as client:
                assert (await client.ask(get(target, login(b"secret"))))[1] == b"one"

    run(main())


# ---- silence


def test_a_silent_tunnel_ends_where_a_setting_says_so_and_a_busy_one_stays() -> None:
    async def main() -> None:
        handler = HTTPHandler(router_option(RetryRouter()))
        async with (
            server(echo) as target,
            serving(handler, idleTimeout=0.2) as address,
            Client(address) as client,
        ):
            client.writer.write(b"CONNECT %b HTTP/1.1\r\n\r\n" % target.encode())
            await client.head()
            for _ in range(5):
                client.writer.write(b"x")
                assert await client.reader.readexactly(1) == b"x"
                await asyncio.sleep(0.05)
            with suppress(ConnectionResetError):
                assert await client.reader.read() == b""

    run(main())


def test_the_system_asks_peers_that_say_nothing_whether_they_live() -> None:
    async def main() -> None:
        async with connected() as (conn, _):
            assert len(OPTIONS) == (5 if sys.platform == "linux" else len(OPTIONS))
            with socket.socket(fileno=os.dup(descriptor(conn))) as same:
                for level, option, value in OPTIONS:
                    assert same.getsockopt(level, option) == value

    run(main())


def descriptor(conn: Conn) -> int:
    found = vars(conn)["socket"]
    assert isinstance(found, socket.socket)
    return found.fileno()


# ---- whose work it is


def test_work_of_a_host_leaves_turns_to_others_and_ends_as_it_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(newcomers, "ALONE", LIMIT)

    async def main() -> None:
        turns = 0

        async def look() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async def work(steps: int) -> str:
            for _ in range(steps):
                end = time.thread_time() + 20 * newcomers.SHARE
                while time.thread_time() < end:
                    pass
                await asyncio.sleep(0)
            return "done"

        looking = asyncio.create_task(look())
        assert await newcomers.fairly(OTHER, work, 1) == "done"
        turns = 0
        both = newcomers.fairly(ONE, work, 5), newcomers.fairly(ONE, work, 5)
        assert [*await asyncio.gather(*both)] == ["done", "done"]
        assert turns >= 5 * 2 * 20 - 40  # what the last steps owe is not waited for
        looking.cancel()
        await asyncio.wait({looking})

    run(main())


@pytest.mark.parametrize("owing", [False, True])
def test_work_of_a_host_hears_of_its_cancellation_also_when_it_owes_turns(
    owing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newcomers, "ALONE", LIMIT)

    async def main() -> None:
        heard, begun = list[str](), asyncio.Event()

        async def work() -> None:
            end = time.thread_time() + (100 * newcomers.SHARE if owing else 0)
            while time.thread_time() < end:
                pass
            begun.set()
            try:
                await asyncio.sleep(0 if owing else LIMIT)
                heard.append("no")
            except asyncio.CancelledError:
                heard.append("yes")
                raise

        async def nothing() -> None:
            pass

        await newcomers.fairly(OTHER, nothing)
        working = asyncio.ensure_future(newcomers.fairly(ONE, work))
        await begun.wait()
        await asyncio.sleep(0)
        working.cancel()
        await asyncio.wait({working})
        assert working.cancelled()
        assert heard == ["yes"]

    run(main())


def test_whom_this_program_has_dialed_for_is_known_where_it_reaches_itself() -> None:
    async def main() -> None:
        listener = TCPListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        there, ctx = str(listener.addr()), Context().with_value(HASH_SOURCE, "192.0.2.1")
        conns: list[Conn] = []
        for _ in range(MOST_ROUNDS + 1):
            conns += [await SystemDialer().dial(ctx, "tcp", there), await listener.accept()]
            source = str(conns[-1].remote_addr())
            ctx = known_source(Context(), source, there)
            assert ctx.value(HASH_SOURCE) == "192.0.2.1"
            # Whoever else has this address has it where it leads elsewhere.
            assert known_source(Context(), source, "127.0.0.1:1").value(HASH_SOURCE) == ONE
        with pytest.raises(DeniedError, match="back here"):
            await SystemDialer().dial(ctx, "tcp", there)
        await asyncio.gather(*(conn.close() for conn in conns), listener.close())

    run(main())


# ---- visitors


def test_visitors_from_one_host_leave_places_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "OF_ONE_HOST", 2)

    async def visit(address: str, host: str, stack: AsyncExitStack) -> bytes:
        where, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(where, int(port), local_addr=(host, 0))
        stack.callback(writer.close)
        writer.write(b"hello")
        with suppress(ConnectionResetError):
            return await reader.read(5)
        return b""

    async def main() -> None:
        async with (
            server(echo) as target,
            reverse.serving(reverse.FAR) as (far, _),
            reverse.serving(f"rtcp://127.0.0.1:0/{target}", f"socks5://{far.addr()}") as (near, _),
            AsyncExitStack() as stack,
        ):
            address = await reverse.bound(near)
            found = [await visit(address, host, stack) for host in (ONE, ONE, ONE, OTHER)]
            assert found == [b"hello", b"hello", b"", b"hello"]

    run(main())
