"""Peers who have not logged in and ask for much: neighbours hardly notice, and nothing is left.

All is in one event loop, and its processor time tells what a neighbour waits for: a machine that
is busy with something else changes nothing of that.
"""

import asyncio
import gc
import os
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import lru_cache
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from proxy.net import h2_budget
from proxy.net.address import split_host_port
from tests.examples.proxy_harness import LIMIT, echo, run, server
from tests.examples.test_reverse import FAR, bound, serving
from tests.examples.tls_harness import CERT_FILE, KEY_FILE, NAME, client_context

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in Linux's /proc"),
]

ALONE, BESIDE = 0.2, 0.8  # seconds that a neighbour asks before the flood, and beside it
TIMES = 10  # what a request of a neighbour may cost beside it
TURN = 0.05  # seconds that the others may wait for a turn
KEPT = 8000  # pieces of memory that may stay: h2 forgets streams that ended when another one opens
CACHED = type(lru_cache(int))

OPENING = b"\x02\x07CONNECT\x41\x01x"  # of a stream: its method and authority


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(4, 1, 0)


def rapid_reset() -> Iterator[bytes]:
    for stream in count(1, 2):
        yield frame(1, 4, stream, OPENING) + frame(3, 0, stream, bytes([0, 0, 0, 8]))


def openings() -> Iterator[bytes]:
    for stream in range(1, 40_000, 2):
        yield frame(1, 4, stream, OPENING)


def repeated(said: bytes) -> Callable[[], Iterator[bytes]]:
    """Return what opens a stream and then says something again and again."""

    def say() -> Iterator[bytes]:
        yield frame(1, 4, 1, OPENING)
        while True:
            yield said

    return say


def continuations() -> Iterator[bytes]:
    yield frame(1, 0, 1, OPENING)
    while True:
        yield frame(9, 0, 1, b"\x00\x01a\x01b")


FRAMES = {
    "rapid reset": rapid_reset,
    "20,000 streams": openings,
    "CONTINUATION": continuations,
    "WINDOW_UPDATE": repeated(frame(8, 0, 1, bytes([0, 0, 0, 1]))),
    "WINDOW_UPDATE of the session": repeated(frame(8, 0, 0, bytes([0, 0, 0, 1]))),
    "SETTINGS": repeated(frame(4, 0, 0)),
    "PING": repeated(frame(6, 0, 0, b"question")),
    "PRIORITY": repeated(frame(2, 0, 3, bytes([0, 0, 0, 0, 16]))),
    "empty DATA": repeated(frame(0, 0, 1)),
    "padding": repeated(frame(0, 8, 1, bytes([100]) + bytes(100))),
}
MANY = 100  # connections at once, all of which may speak in the same turn
SPACES = b"GET http://x/ HTTP/1.1\r\nHost: x\r\nX:" + b" " * 1000 + b"\0\r\n\r\n"
# Lengths at which reading them costs most.
LONG_URL = b"GET http://" + b"1:" * 8000 + b"/ HTTP/1.1\r\nHost: x\r\n\r\n"
LONG_QUERY = b"GET /?" + b"&a" * 7000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
LONG_PATH = b"GET /" + b"%2f" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
ENDLESS = b"\4\1\0\x50\0\0\0\1" + b"u" * 1_000_000
LONG_NAME = b"\5\1\0\5\1\0\3\xfc" + "ü.".encode() * 84 + b"\0\x50"
SLOW_NAME = b"\5\1\0\5\1\0\3\x09name.slow\0\x50"
CONNECTIONS = {
    "half greetings of SOCKS5": ("socks5", b"\5"),
    "half greetings of HTTP": ("http", b"GET http://x/"),
    "half greetings of HTTP/2": ("socks5+h2", PREFACE[:20]),
    "no greeting of SOCKS5": ("socks5", b"220 ready\r\n"),
    "1,000 spaces": ("http", SPACES),
    "slow names": ("socks5", SLOW_NAME),
    "long URLs": ("http", LONG_URL),
    "long queries": ("gateway", LONG_QUERY),
    "long paths": ("gateway", LONG_PATH),
    "SOCKS4a without an end": ("socks5", ENDLESS),
    "names that need to be encoded": ("socks5", LONG_NAME),
}


@asynccontextmanager
async def flooding(address: str, connections: int, said: bytes) -> AsyncGenerator[None, None]:
    """Have a process of its own flood an address."""
    program = Path(__file__).with_name("flooding.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(program), address, str(connections)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(said)
        process.stdin.close()
        assert await process.stdout.readline() == b"flooding\n"
        yield
    finally:
        process.kill()
        await process.wait()


async def cost(proxy: str, target: str) -> float:
    """Ask through a SOCKS5 proxy; return the loop's processor time from the question to the end."""
    host, _, port = target.rpartition(":")
    asked = b"\5\1\0\3" + bytes([len(host)]) + host.encode() + int(port).to_bytes(2, "big")
    began = time.thread_time()
    reader, writer = await asyncio.open_connection(*proxy.rsplit(":", 1))
    try:
        writer.write(b"\5\1\0")
        assert await reader.readexactly(2) == b"\5\0"
        writer.write(asked)
        assert (await reader.readexactly(10))[:2] == b"\5\0"
        writer.write(b"question")
        assert await reader.readexactly(8) == b"question"
        return time.thread_time() - began
    finally:
        writer.close()
        await writer.wait_closed()


async def usual_cost(seconds: float, proxy: str, target: str) -> float:
    """Ask again and again; return the median."""
    costs: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(costs) < 20:
        costs.append(await cost(proxy, target))
        await asyncio.sleep(0.001)
    return statistics.median(costs)


@asynccontextmanager
async def turns() -> AsyncGenerator[list[float], None]:
    """Note the most processor time that goes by between two turns of a task."""
    longest = [0.0]

    async def look() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.0001)
            now = time.thread_time()
            longest[0], before = max(longest[0], now - before), now

    looking = asyncio.create_task(look())
    # What the tests before have left to be collected is not this loop's turn.
    gc.disable()
    try:
        yield longest
    finally:
        gc.enable()
        looking.cancel()
        await asyncio.wait({looking})


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def clearing() -> list[Callable[[], None]]:
    """Return what empties each cache: it is bounded, and may fill."""
    return [one.cache_clear for one in gc.get_objects() if isinstance(one, CACHED)]


@asynccontextmanager
async def leaving_nothing() -> AsyncGenerator[None, None]:
    """Wait for what is open at the end to be what was open before, and compare the memory."""
    gc.unfreeze()  # tests/conftest.py has put aside what was there before the test
    early = clearing()
    gc.freeze()

    def memory() -> int:
        for clear in (*early, *clearing()):
            clear()
        gc.collect()
        return sys.getallocatedblocks()

    files, tasks, kept = open_files(), len(asyncio.all_tasks()), memory()
    yield
    while open_files() > files or len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110, no event
        await asyncio.sleep(0.01)
    for _ in range(3):  # who waited for the tasks learns of their end
        await asyncio.sleep(0)
    assert memory() < kept + KEPT


def nothing() -> None:
    pass


async def neighbour_beside(
    flood: AbstractAsyncContextManager[None],
    proxy: str,
    target: str,
    afterwards: Callable[[], None] = nothing,
) -> None:
    await cost(proxy, target)  # whatever the first one loads is there now
    async with leaving_nothing(), turns() as longest:
        alone = await usual_cost(ALONE, proxy, target)
        async with flood:
            beside = await usual_cost(BESIDE, proxy, target)
        afterwards()
    assert beside < TIMES * alone
    assert longest[0] < TURN


@pytest.mark.parametrize("flood", FRAMES.values(), ids=FRAMES)
def test_frames_of_one_session_are_hardly_noticed(
    flood: Callable[[], Iterator[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who was made to wait so long has to go, and until then it is not seen that it has gone.
    monkeypatch.setattr(h2_budget, "PATIENCE", 2 * BESIDE)

    async def main() -> None:
        said = PREFACE + b"".join(islice(flood(), 40_000))
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            flooded, _ = await stack.enter_async_context(serving("socks5+h2://127.0.0.1:0"))
            proxy, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            sending = flooding(str(flooded.addr()), 1, said)
            await neighbour_beside(sending, str(proxy.addr()), target)

    run(main())


@pytest.mark.parametrize(("scheme", "said"), CONNECTIONS.values(), ids=CONNECTIONS)
def test_many_clients_who_say_no_more_are_hardly_noticed(
    scheme: str, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, over = socket.getaddrinfo, threading.Event()

    def slowly(host: str, *arguments: Any, **more: Any) -> Any:
        if host == "name.slow":
            over.wait(LIMIT)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return found(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            named = target.replace("127.0.0.1", "localhost")
            behind = "/127.0.0.1:1" if scheme == "gateway" else ""
            url = f"{scheme}://127.0.0.1:0{behind}"
            flooded, _ = await stack.enter_async_context(serving(url))
            proxy, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            stack.callback(over.set)
            flood = flooding(str(flooded.addr()), MANY, said)
            await neighbour_beside(flood, str(proxy.addr()), named, over.set)

    run(main())


@pytest.mark.parametrize("said", [b"question", bytes(1_000_000)], ids=["little", "much"])
def test_visitors_of_a_bound_port_are_hardly_noticed(said: bytes) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            far, _ = await stack.enter_async_context(serving(FAR))
            near, _ = await stack.enter_async_context(
                serving(f"rtcp://127.0.0.1:0/{target}", f"socks5://{far.addr()}")
            )
            flood = flooding(await bound(near), MANY, said)
            await neighbour_beside(flood, str(far.addr()), target)

    run(main())


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


@pytest.mark.parametrize(
    ("chunk", "times"),
    [
        (b"1\r\na\r\n", 5000),
        (b"1;%b\r\na\r\n" % (b" " * 2000), 200),
        (b"1;%b\r\na\r\n" % (b"a" * 2000), 500),
        (b"1;%b\r\na\r\n" % (b"a" * 16384), 100),
    ],
    ids=["small", "blanks", "extensions", "long extensions"],
)
def test_bodies_in_many_small_chunks_are_hardly_noticed(chunk: bytes, times: int) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            origin = await stack.enter_async_context(server(swallow))
            flooded, _ = await stack.enter_async_context(serving("http://127.0.0.1:0"))
            proxy, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            head = (
                f"POST http://{origin}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            said = head.encode() + chunk * times
            flood = flooding(str(flooded.addr()), MANY if len(chunk) > 10_000 else 20, said)
            await neighbour_beside(flood, str(proxy.addr()), target)

    run(main())


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_many_requests_behind_each_other_are_hardly_noticed() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            origin = await stack.enter_async_context(server(answer))
            flooded, _ = await stack.enter_async_context(serving("http://127.0.0.1:0"))
            proxy, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            said = f"GET http://{origin}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 10_000
            flood = flooding(str(flooded.addr()), 30, said)
            await neighbour_beside(flood, str(proxy.addr()), target)

    run(main())


def test_a_proxy_that_is_told_to_reach_itself_is_hardly_noticed() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            proxy, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            port = split_host_port(str(proxy.addr()))[1].to_bytes(2, "big")
            for itself in (b"\1\x7f\0\0\1", b"\1\0\0\0\0", b"\3\x09localhost"):
                said = (b"\5\1\0\5\1\0" + itself + port) * 300
                flood = flooding(str(proxy.addr()), 20, said)
                await neighbour_beside(flood, str(proxy.addr()), target)

    run(main())


def hello() -> bytes:
    """Return what a client of TLS begins with."""
    said = ssl.MemoryBIO()
    client = client_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname=NAME)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


def test_many_who_begin_tls_at_once_are_hardly_noticed() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            url = f"socks5+tls://127.0.0.1:0?certFile={CERT_FILE}&keyFile={KEY_FILE}"
            flooded, _ = await stack.enter_async_context(serving(url))
            proxy, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            flood = flooding(str(flooded.addr()), 5 * MANY, hello())
            await neighbour_beside(flood, str(proxy.addr()), target)

    run(main())


@asynccontextmanager
async def datagrams(address: str, associations: int, said: bytes) -> AsyncGenerator[None, None]:
    """Send a datagram again and again through a SOCKS5 proxy."""
    over = threading.Event()

    def send(peers: list[socket.socket]) -> None:
        while not over.is_set():
            for peer in peers:
                with suppress(OSError):
                    peer.send(said)

    async with AsyncExitStack() as stack:
        peers: list[socket.socket] = []
        for _ in range(associations):
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(
                host, int(port), local_addr=("127.0.0.2", 0)
            )
            stack.callback(writer.close)
            writer.write(b"\5\1\0\5\3\0\1" + bytes(6))
            relay = (await reader.readexactly(12))[-2:]
            peer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            peer.setblocking(False)
            peer.bind(("127.0.0.2", 0))
            peer.connect((host, int.from_bytes(relay, "big")))
            peers.append(peer)
        sending = asyncio.create_task(asyncio.to_thread(send, peers))
        try:
            yield
        finally:
            over.set()
            await sending


@pytest.mark.parametrize(
    "said",
    [b"\0", b"\0\0\0\7" + bytes(6), b"\0\0\0\3\xfc" + "ü.".encode() * 84 + b"\0\x35"],
    ids=["cut short", "no such type", "names that need to be encoded"],
)
def test_datagrams_that_go_nowhere_are_hardly_noticed(said: bytes) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(server(echo))
            flooded, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            proxy, _ = await stack.enter_async_context(serving("socks5://127.0.0.1:0"))
            await asyncio.to_thread(int)  # the thread that sends is there now
            flood = datagrams(str(flooded.addr()), 30, said)
            await neighbour_beside(flood, str(proxy.addr()), target)

    run(main())
