"""What reads the bytes of a peer takes time in proportion to their number, whatever they are."""

import ast
import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import Buffer

import proxy
from gost_core.chain import DialOption, Node
from gost_core.common import net
from gost_core.context import Context
from gost_core.handler import bypass_option, router_option
from proxy.bypass import PatternBypass
from proxy.chain.router import RetryRouter
from proxy.handler.gateway import GatewayHandler
from proxy.handler.http import HTTPHandler
from proxy.handler.proxy import ProxyHandler
from proxy.hop import NodeHop
from proxy.net.udp import NOWHERE

pytestmark = pytest.mark.one_python

SIZES = 100, 500, 8000
SLACK = 4  # times more than in proportion; what is quadratic takes 80 times more
UNMEASURED = 20e-6  # seconds that say nothing: the clock's, and what is done for any input

# A character of each class that a pattern may name, and some that hardly any one names.
USUAL = "aZ09_-. \t\r\n\0\v\x85é/:@%,;=[]()*?#\"'\\"
# What may stand in front, so that a pattern comes to what it repeats.
BEFORE = "", "x", "1", "http://x", "GET http://x", "X:", "[", "0x"
# And what may stand behind, so that it does not match after all.
BEHIND = "", "\0", "!"


def patterns() -> Iterator[tuple[str, str | bytes]]:
    """Find the patterns in the modules of the example, and how each is used."""
    for path in sorted(Path(proxy.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr != "escape"
            ):
                # A pattern that is put together would not be found: write it in one piece.
                written: object = ast.literal_eval(node.args[0])
                assert isinstance(written, str | bytes)
                yield node.func.attr, written


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time that a call takes."""
    began = time.thread_time()
    call()
    return time.thread_time() - began


def grows_in_proportion(call: Callable[[int], Callable[[], object]]) -> bool:
    """Tell whether twice the size takes twice the time; what takes too much is not tried longer."""

    def holds(size: int, bound: float) -> bool:
        # Once may be by chance, such as where garbage is collected.
        return any(seconds(call(size)) < bound for _ in range(3))

    # First sizes at which even what takes exponential time comes to an end.
    first = seconds(call(10)) + UNMEASURED
    if not holds(20, 2 * SLACK * first):
        return False
    smallest, *larger = SIZES
    first = seconds(call(smallest)) + UNMEASURED
    return all(holds(size, SLACK * size / smallest * first) for size in larger)


@pytest.mark.parametrize(("used", "written"), sorted({*patterns()}, key=str))
def test_a_pattern_takes_time_in_proportion(used: str, written: str | bytes) -> None:
    # Latin-1 gives each character of a pattern for bytes one byte.
    pattern = re.compile(written if isinstance(written, str) else written.decode("latin-1"))
    search = pattern.fullmatch if used == "fullmatch" else pattern.search
    for character in sorted({*USUAL, *pattern.pattern}):
        for before in BEFORE:
            for behind in BEHIND:

                def call(size: int) -> Callable[[], object]:
                    return partial(search, before + character * size + behind)  # noqa: B023

                assert grows_in_proportion(call), (before, character, behind)


@pytest.mark.parametrize("bad", [r"(a+)+b", r"a*a*b", r"a*b"])
def test_a_pattern_that_takes_more_is_seen(bad: str) -> None:
    search = re.compile(bad).search
    assert not grows_in_proportion(lambda size: partial(search, "a" * size + "!"))


class Said(net.Conn):
    """A client that says something, hears nothing, and is gone."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    async def read(self, n: int, /) -> bytes:
        data, self._said = self._said[:n], self._said[n:]
        return data

    async def write(self, data: Buffer, /) -> None:
        pass

    async def close(self) -> None:
        pass

    def local_addr(self) -> net.Addr:
        return NOWHERE

    def remote_addr(self) -> net.Addr:
        return NOWHERE


def answering(said: bytes) -> RetryRouter:
    """Return a router to whom each target answers the same."""

    class Answering(RetryRouter):
        async def dial(
            self, ctx: Context, network: str, address: str, /, *opts: DialOption
        ) -> net.Conn:
            return Said(said)

    return Answering()


# What a client says, and what its target says then: where a letter is repeated stands "{}".
REQUEST = "GET http://x/ HTTP/1.1\r\nHost: x\r\n"
POST = "POST http://x/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
SAID = {
    "method": ("{} http://x/ HTTP/1.1\r\n\r\n", ""),
    "host": ("CONNECT {}:80 HTTP/1.1\r\n\r\n", ""),
    "labels": ("CONNECT a{}b:80 HTTP/1.1\r\n\r\n", ""),
    "URL": ("GET http://{} HTTP/1.1\r\n\r\n", ""),
    "path": ("GET http://x/{} HTTP/1.1\r\n\r\n", ""),
    "version": ("GET http://x/ HTTP/1.1{}\r\n\r\n", ""),
    "name of a field": (REQUEST + "X{}: x\r\n\r\n", ""),
    "value of a field": (REQUEST + "X: x{}\0\r\n\r\n", ""),
    "begin of a value": (REQUEST + "X:{}\0\r\n\r\n", ""),
    "tokens": (REQUEST + "Connection: close{}\r\n\r\n", ""),
    "password": (REQUEST + "Proxy-Authorization: Basic {}\r\n\r\n", ""),
    "fields": (REQUEST + "X: {}\r\n\r\n".replace("{}", "{},"), ""),
    "length": (REQUEST + "Content-Length: {}\r\n\r\n", ""),
    "size of a chunk": (POST + "1{}\r\nx", ""),
    "trailer": (POST + "0\r\nX:{}\0\r\n\r\n", ""),
    "in front": ("{}" + REQUEST + "\r\n", ""),
    "reason": (REQUEST + "\r\n", "HTTP/1.1 200 {}\r\n\r\n"),
    "field of a response": (REQUEST + "\r\n", "HTTP/1.1 200 OK\r\nX:{}\0\r\n\r\n"),
    "length of a response": (REQUEST + "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n"),
    "tokens of a response": (REQUEST + "\r\n", "HTTP/1.1 200 OK\r\nConnection: {}\r\n\r\n"),
}


def handler(protocol: type[ProxyHandler], said: bytes) -> ProxyHandler:
    rules = PatternBypass(".d", "*.d", "10.0.0.0/8")
    made = protocol(router_option(answering(said)), bypass_option(rules))
    if isinstance(made, GatewayHandler):
        made.forward(NodeHop(Node("x", "x")))
    return made


@pytest.mark.parametrize("protocol", [HTTPHandler, GatewayHandler])
@pytest.mark.parametrize(("asked", "answered"), SAID.values(), ids=SAID)
def test_a_message_takes_time_in_proportion(
    asked: str, answered: str, protocol: type[ProxyHandler]
) -> None:
    def call(character: str, size: int) -> Callable[[], object]:
        request, response = (
            text.replace("{}", character * size).encode("latin-1") for text in (asked, answered)
        )
        made = handler(protocol, response)

        def handle() -> None:
            with suppress(Exception):  # which the service logs
                loop.run_until_complete(made.handle(Context(), Said(request)))

        loop.run_until_complete(made.init(None))
        return handle

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        for character in USUAL:
            assert grows_in_proportion(partial(call, character)), repr(character)
