"""Peers who say anything: nothing unexpected is logged, nobody hangs, and nothing stays open.

What is said is made of right messages by chance, from a seed. ``FUZZ_SECONDS=600 pytest -n 4
tests/examples/test_fuzz.py`` takes longer for each face, and ``FUZZ_SEED`` gives other chances.
"""

import asyncio
import io
import logging
import os
import random
import re
import ssl
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from gost_core.common import net
from gost_core.context import Context
from gost_core.logger import default, set_default
from proxy.logger import StandardLogger
from proxy.net.dialer import SystemDialer
from tests.examples.proxy_harness import LIMIT, run, server
from tests.examples.test_floods import OPENING, PREFACE, frame, leaving_nothing
from tests.examples.test_reverse import serving
from tests.examples.tls_harness import CERT_FILE, KEY_FILE

pytestmark = pytest.mark.one_python

SECONDS = float(os.environ.get("FUZZ_SECONDS", "1"))
SEED = os.environ.get("FUZZ_SEED", "0")
AT_ONCE = 8
EXPECTED = (
    r"(RefusedError|ProtocolError|SSLError|\w*(Connection|BrokenPipe|Timeout|Permission)\w*) "
)

SOCKS5 = [
    b"\5\1\0\5\1\0\1\x7f\0\0\1\0\x50question",
    b"\5\1\0\5\1\0\3\x09localhost\0\x50question",
    b"\5\2\0\2\5\1\0\4" + bytes(15) + b"\1\0\x50question",
    b"\5\1\0\5\3\0\1\0\0\0\0\0\0",
    b"\5\1\2\1\4user\x08password\5\1\0\1\x7f\0\0\1\0\x50question",
]
REQUESTS = [
    b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, x\r\nX: 1\r\n\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\nquestion",
    b"POST http://localhost/a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nquestion",
    b"POST http://localhost/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"8;x=y\r\nquestion\r\n0\r\nX: y\r\n\r\n",
    b"GET http://localhost/ HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"GET http://localhost/ HTTP/1.0\r\nProxy-Authorization: Basic dTpw\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n0\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\nanswer",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nanswer",
    b"\5\0\5\0\0\1\x7f\0\0\1\0\x50answer",
    b"\5\xff",
    b"answer",
]
SESSIONS = [
    PREFACE + frame(1, 4, 1, OPENING) + frame(0, 1, 1, SOCKS5[0]),
    PREFACE + frame(1, 4, 1, OPENING) + frame(0, 0, 1, SOCKS5[1]) + frame(3, 0, 1, bytes(4)),
    PREFACE + frame(1, 0, 1, OPENING[:4]) + frame(9, 4, 1, OPENING[4:]) + frame(6, 0, 0, bytes(8)),
    PREFACE + frame(8, 0, 0, b"\0\0\xff\0") + frame(7, 0, 0, bytes(8)),
    PREFACE + frame(4, 0, 0, b"\0\4\0\0\xff\xff\0\3\0\0\0\1") + frame(2, 0, 1, bytes(5)),
]
HELLO = bytes.fromhex("16030100320100002e0303") + bytes(32) + bytes.fromhex("000002130101000000")
DATAGRAMS = [
    b"\0\0\0\1\x7f\0\0\1\0\x50question",
    b"\0\0\0\3\x09localhost\0\x50question",
    b"\0\0\1\1\x7f\0\0\1\0\x50fragment",
    b"\0\0\0\4" + bytes(16) + b"\0\x50",
]


def mutated(chance: random.Random, messages: Sequence[bytes]) -> bytes:
    """Make something of one of the messages, and perhaps of another."""
    data = bytearray(chance.choice(messages))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 1, 2, 4, 16)))
        match chance.randrange(7):
            case 0:
                data[start:end] = chance.randbytes(end - start)
            case 1:
                del data[start:end]
            case 2:
                data[start:start] = data[start:end] * chance.choice((1, 2, 100))
            case 3:
                data[start:start] = chance.choice((b"\0", b"\xff", b"\r\n", b" ", b"\n", b"\x80"))
            case 4:
                data[start:] = chance.choice(messages)[start:]
            case 5:
                data[start:start] = str(chance.choice((-1, 0, 2**31, 2**64, "1e9", "ü"))).encode()
            case _:
                del data[start:]
    return bytes(data)


async def say(writer: asyncio.StreamWriter, chance: random.Random, said: bytes) -> None:
    """Send something in pieces, as any network may cut it."""
    while said:
        size = chance.choice((1, 7, 100, len(said), len(said)))
        writer.write(said[:size])
        said = said[size:]
        await writer.drain()


@asynccontextmanager
async def target(chance: random.Random) -> AsyncGenerator[str, None]:
    """Run a server that answers anything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        await say(writer, chance, mutated(chance, RESPONSES))
        writer.write_eof()
        while await reader.read(65536):
            pass

    async with server(serve) as address:
        yield address


async def talk(address: str, chance: random.Random, messages: Sequence[bytes]) -> None:
    """Say something, and see that it comes to an end."""
    reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
    with suppress(ConnectionError):
        await say(writer, chance, mutated(chance, messages))
        if not chance.randrange(10):
            return writer.transport.abort()
        writer.write_eof()
        while await reader.read(65536):
            pass
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def send(address: str, chance: random.Random, messages: Sequence[bytes]) -> None:
    """Have datagrams relayed."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(*address.rsplit(":", 1))
    writer.write(SOCKS5[3])
    reply = await reader.readexactly(12)
    port = int.from_bytes(reply[-2:], "big")
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
    )
    for _ in range(5):
        transport.sendto(mutated(chance, messages))
    transport.close()
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


FACES = {
    "socks5": ("socks5://127.0.0.1:0", "", SOCKS5),
    "socks5 with a password": ("socks5://user:password@127.0.0.1:0", "", SOCKS5[4:]),
    "datagrams": ("socks5://127.0.0.1:0?bypass=~127.0.0.1", "", DATAGRAMS),
    "http": ("http://127.0.0.1:0", "", REQUESTS),
    "gateway": ("gateway://127.0.0.1:0/localhost:80", "", REQUESTS),
    "a session": ("socks5+h2://127.0.0.1:0", "", SESSIONS),
    "TLS": (f"http+tls://127.0.0.1:0?certFile={CERT_FILE}&keyFile={KEY_FILE}", "", [HELLO]),
    "a proxy by socks5": ("http://127.0.0.1:0", "socks5://", REQUESTS),
    "a proxy by http": ("socks5://127.0.0.1:0", "http://", SOCKS5),
    "a proxy by a session": ("socks5://127.0.0.1:0", "http+h2://", SOCKS5),
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Take what is logged by the example, and by asyncio."""
    text, before = io.StringIO(), default()
    handler = logging.StreamHandler(text)
    logger = logging.Manager(logging.RootLogger(logging.WARNING)).getLogger("proxy")
    logger.addHandler(handler)
    logging.getLogger("asyncio").addHandler(handler)
    set_default(StandardLogger(logger))
    yield text
    set_default(before)
    logging.getLogger("asyncio").removeHandler(handler)


@pytest.mark.parametrize("face", FACES)
def test_whatever_a_peer_says_it_comes_to_an_end(
    face: str, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, hop, messages = FACES[face]
    chance = random.Random(f"{SEED} {face}")

    async def main() -> None:
        async with AsyncExitStack() as stack:
            there = await stack.enter_async_context(target(chance))
            dial = SystemDialer.dial

            async def dial_there(
                dialer: SystemDialer, ctx: Context, network: str, addr: str, /
            ) -> net.Conn:
                return await dial(dialer, ctx, network, there if network == "tcp" else addr)

            # Whatever is asked for, nobody else on this host or beyond hears of it.
            monkeypatch.setattr(SystemDialer, "dial", dial_there)
            hops = [f"{hop}{there}"] if hop else []
            service, _ = await stack.enter_async_context(serving(url, *hops))
            once = send if face == "datagrams" else talk

            async def several(first: int) -> None:
                chances = [random.Random(f"{SEED} {first + n}") for n in range(AT_ONCE)]
                async with asyncio.timeout(LIMIT):
                    await asyncio.gather(
                        *(once(str(service.addr()), one, messages) for one in chances)
                    )

            await several(0)  # what is imported when it is first needed stays
            async with leaving_nothing():
                end, number = time.monotonic() + SECONDS, AT_ONCE
                while time.monotonic() < end or number < 2 * AT_ONCE:
                    await several(number)
                    number += AT_ONCE

    run(main(), 2 * LIMIT + SECONDS)
    lines = log.getvalue().splitlines()
    assert [line for line in lines if not re.match(EXPECTED, line)] == []
