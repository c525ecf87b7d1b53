"""What the tests of the example proxy share: servers to reach, proxies to go through."""

import asyncio
import atexit
import json
import logging
import os
import queue
import re
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol, Self, TypeVar

import pytest

from gost_core.bypass import Bypass
from gost_core.chain import Router, chain_router_option, retries_router_option
from gost_core.common.net import Conn
from gost_core.common.url import Userinfo
from gost_core.handler import auther_option, bypass_option, router_option
from gost_core.listener import addr_option
from gost_core.logger import default, set_default
from proxy.auth import UserTable
from proxy.build import make_node
from proxy.chain.route import HopChain
from proxy.chain.router import RetryRouter
from proxy.handler.proxy import ProxyHandler
from proxy.hop import NodeHop
from proxy.listener.tcp import TCPListener
from proxy.logger import StandardLogger
from proxy.service import TaskService
from proxy.urls import parse

T = TypeVar("T")

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
BRIEF = 5.0  # seconds in which a close has ended (D8)
LIMIT = 60.0  # seconds for whatever must not hang, also on a machine that is busy


def run(main: Coroutine[Any, Any, T], limit: float = LIMIT) -> T:
    """Run a test's coroutine, for a bounded time, and see that it leaves no task behind.

    A close that has begun goes on to its end, whoever was cancelled meanwhile.
    """

    async def bounded() -> T:
        result = await asyncio.wait_for(main, limit)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        closing = {task for task in left if getattr(task.get_coro(), "__name__", "") == "_end"}
        assert left == closing, f"tasks left behind: {left - closing}"
        if closing:
            _, endless = await asyncio.wait(closing, timeout=BRIEF)
            assert not endless, f"closes that do not end: {endless}"
        return result

    return asyncio.run(bounded())


@asynccontextmanager
async def server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[str, None]:
    """Run a TCP server on a free port; yield its address. Connections end with it."""
    tasks: set[asyncio.Task[None]] = set()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        _ = task.cancelled() or task.exception()  # looked at, so that asyncio does not log it

    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Known before its first step, so that none is forgotten that has not begun.
        task = asyncio.create_task(handled(reader, writer))
        tasks.add(task)
        task.add_done_callback(ended)
        task.add_done_callback(lambda _: writer.transport.abort())

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield "{}:{}".format(*listening.sockets[0].getsockname())
    finally:
        listening.close()
        for _ in range(3):  # what asyncio has accepted by now comes to handle() meanwhile
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def refused_address() -> str:
    """Return an address where nobody listens, and where nobody else can come to listen."""
    sock = socket.socket()
    weakref.finalize(refused_address, sock.close)  # it is bound until the tests are over
    sock.bind(("127.0.0.1", 0))
    return "{}:{}".format(*sock.getsockname())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, up to its end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    await reader.read()


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[Conn, socket.socket], None]:
    """Yield an accepted connection and the bare, non-blocking socket at its other end."""
    listener = TCPListener(addr_option("127.0.0.1:0"))
    await listener.init(None)
    host, _, port = str(listener.addr()).rpartition(":")
    with socket.socket() as peer:
        peer.setblocking(False)
        await asyncio.get_running_loop().sock_connect(peer, (host, int(port)))
        conn = await listener.accept()
        await listener.close()
        try:
            yield conn, peer
        finally:
            await conn.close()


async def router_through(*hops: str, retries: int = 0) -> Router:
    """Make a router that goes through hops, each written as an argument of -F."""
    chain = HopChain(
        *[
            NodeHop(*[await make_node(node, AsyncExitStack()) for node in parse(hop)])
            for hop in hops
        ]
    )
    return RetryRouter(chain_router_option(chain), retries_router_option(retries))


@asynccontextmanager
async def proxy(
    protocol: type[ProxyHandler],
    router: Router | None = None,
    user: Userinfo | None = None,
    bypass: Bypass | None = None,
) -> AsyncGenerator[str, None]:
    """Run a proxy in this event loop; yield its address."""
    handler = protocol(
        router_option(router or RetryRouter()),
        auther_option(UserTable(user) if user else None),
        bypass_option(bypass),
    )
    await handler.init(None)
    listener = TCPListener(addr_option("127.0.0.1:0"))
    await listener.init(None)
    service = TaskService(listener, handler)
    serving = asyncio.create_task(service.serve())
    try:
        yield str(service.addr())
    finally:
        await service.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about; the test's own limit ends it."""
    while not holds():  # noqa: ASYNC110 - what holds() looks at has no event
        await asyncio.sleep(0.001)


@contextmanager
def logged(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Have what the program logs kept."""
    before = default()
    set_default(StandardLogger(logging.getLogger("test")))
    try:
        with caplog.at_level(logging.INFO, "test"):
            yield
    finally:
        set_default(before)


class Process(Protocol):
    """What a test does with a process."""

    @property
    def pid(self) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float, /) -> int: ...


class Program:
    """The proxy as a program of its own."""

    def __init__(self, process: Process, said: IO[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._said = said
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._said:
            self._queue.put(line)
        self._queue.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the next match in what the program logs; fail if it ends or takes too long."""
        while (line := self._queue.get(timeout=LIMIT)) is not None:
            self.lines.append(line)
            found = re.search(pattern, line)
            if found is not None:
                return found
        raise AssertionError(f"no line matches {pattern!r}:\n{''.join(self.lines)}")

    def address(self, scheme: str) -> str:
        """Return where the program listens; ask in the order of its arguments."""
        return self.wait_for(rf"listening on {re.escape(scheme)}://(\S+)")[1]

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """End the program by a signal; return its exit code."""
        self.process.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        """Wait for the program's end; return its exit code."""
        code = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        while (line := self._queue.get(timeout=LIMIT)) is not None:
            self.lines.append(line)
        self._queue.put(None)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """See that it is gone."""
        self.process.kill()
        self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        self._said.close()


def program(*arguments: str) -> Program:
    """Run the proxy as a program of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=EXAMPLES,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    return Program(process, process.stderr)


class Fork:
    """A process that tells its end by a pipe."""

    def __init__(self, told: IO[str]) -> None:
        if not (pid := told.readline()):
            raise ChildProcessError("forks.py has ended; what it said is above")
        self.pid = int(pid)
        self._told = told
        self._code: int | None = None

    def send_signal(self, sig: int, /) -> None:
        if not self._has_ended(0):
            with suppress(ProcessLookupError):  # its end is about to be told
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float, /) -> int:
        if not self._has_ended(timeout):
            raise TimeoutError(f"the program has not ended in {timeout:g} s")
        assert self._code is not None
        return self._code

    def _has_ended(self, timeout: float) -> bool:
        if self._code is not None:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._told, selectors.EVENT_READ)
            if not selector.select(timeout):
                return False
        with self._told as told:
            self._code = int(told.readline())
        return True


class Forks:
    """A process that has imported the program, and runs it in forks of itself."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._asked, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
            self._process = subprocess.Popen(command, cwd=EXAMPLES, stdin=theirs.fileno())
        atexit.register(self._end)

    def _end(self) -> None:
        self._asked.close()
        self._process.wait(LIMIT)

    def start(self, *arguments: str) -> Program:
        """Run the program with some arguments."""
        (said, saying), (told, telling) = os.pipe(), os.pipe()
        request = json.dumps(arguments).encode() + b"\n"
        with self._asking:
            socket.send_fds(self._asked, [request], [saying, telling])
            for pipe in (saying, telling):
                os.close(pipe)
            process = Fork(os.fdopen(told))
        return Program(process, os.fdopen(said, encoding="utf-8", errors="replace"))


forks = cache(Forks)


def forked(*arguments: str) -> Program:
    """Do as program() in a tenth of the time: without the start of Python, and its end."""
    if not hasattr(os, "fork"):  # on Windows
        return program(*arguments)
    return forks().start(*arguments)
