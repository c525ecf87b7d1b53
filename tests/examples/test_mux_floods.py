"""A peer of a session who has not logged in, asks for much and carries nothing: it stops nobody."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, islice

import pytest

from gost_core.common import net
from gost_core.context import Context
from gost_core.listener import addr_option
from proxy.listener.h2 import MuxListener
from proxy.net import h2_budget, h2_session
from proxy.net.dialer import SystemDialer
from proxy.net.h2_session import Session
from tests.examples.proxy_harness import echo, run, server
from tests.examples.test_mux import dialing, mux_node, pair, read_all, streams
from tests.examples.test_mux import echo as echo_stream

pytestmark = pytest.mark.one_python

OPENING = b"\x02\x07CONNECT\x41\x01x"  # of a stream: its method and authority
SECONDS = 1.5


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


def repeated(*frames: bytes) -> Callable[[], Iterator[bytes]]:
    """Return what opens a stream and then says something again and again."""

    def say() -> Iterator[bytes]:
        yield frame(1, 4, 1, OPENING)
        while True:
            yield frames[0]

    return say


def continuations() -> Iterator[bytes]:
    yield frame(1, 0, 1, OPENING)
    while True:
        yield frame(9, 0, 1, b"\x00\x01a\x01b")


FLOODS = {
    "rapid reset": rapid_reset,
    "openings": openings,
    "CONTINUATION": continuations,
    "WINDOW_UPDATE": repeated(frame(8, 0, 1, bytes([0, 0, 0, 1]))),
    "WINDOW_UPDATE of the session": repeated(frame(8, 0, 0, bytes([0, 0, 0, 1]))),
    "SETTINGS": repeated(frame(4, 0, 0)),
    "PING": repeated(frame(6, 0, 0, b"question")),
    "PRIORITY": repeated(frame(2, 0, 3, bytes([0, 0, 0, 0, 16]))),
    "empty DATA": repeated(frame(0, 0, 1)),
    "padding": repeated(frame(0, 8, 1, bytes([100]) + bytes(100))),
}


class Flood:
    """Says all of it, from a thread, as fast as it is taken."""

    def __init__(self, address: str, said: Iterator[bytes]) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        # Made before, so that nothing is in the way of the loop that is looked at.
        self._said = PREFACE + b"".join(islice(said, 40_000))
        self._thread = threading.Thread(target=self._say)
        threading.Thread(target=self._listen, daemon=True).start()

    def _say(self) -> None:
        with suppress(OSError):
            self._socket.sendall(self._said)

    def _listen(self) -> None:
        with suppress(OSError):
            while self._socket.recv(65536):
                pass

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        await asyncio.to_thread(self._thread.join)


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_beside_a_flood_everybody_has_a_turn(flood: Callable[[], Iterator[bytes]]) -> None:
    async def main() -> None:
        listener = MuxListener(addr_option("127.0.0.1:0"))
        await listener.init(None)

        async def accept() -> None:
            with suppress(net.ClosedError):
                while True:
                    await (await listener.accept()).close()

        async with server(echo) as target:
            accepting = asyncio.create_task(accept())
            peer = Flood(str(listener.addr()), flood())
            peer.start()
            turns = asyncio.create_task(longest_turn())
            # What the tests before have left to be collected is not this loop's turn.
            gc.disable()
            try:
                answers = await asked(target, SECONDS)
            finally:
                gc.enable()
            turns.cancel()
            await peer.stop()
            await listener.close()
            await accepting
            longest = await turns
        # How long a neighbour waits is the machine's affair; whose turn it is is not.
        assert answers
        assert longest < 0.05

    run(main())


async def asked(address: str, seconds: float) -> int:
    """Ask a neighbour again and again; return how many answers there were."""
    conn = await SystemDialer().dial(Context(), "tcp", address)
    answers = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await conn.write(b"question")
        answers += bool(await conn.read(100))
        await asyncio.sleep(0.001)
    await conn.close()
    return answers


async def longest_turn() -> float:
    """Return, once cancelled, the most processor time that went by between two own turns."""
    longest, before = 0.0, time.thread_time()
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.0001)
            now = time.thread_time()
            longest, before = max(longest, now - before), now
    return longest


def test_who_asks_for_too_much_for_too_long_has_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_budget, "PATIENCE", 0.1)

    async def main() -> None:
        async with pair() as (client, server):
            near, _ = await streams(client, server)
            client.h2.ping(b"question")
            ping = client.h2.data_to_send()
            with suppress(OSError):
                await client.conn.write(ping * 20_000)
            with pytest.raises(net.ProtocolError, match="asks for much"):
                await server.accept()
            with pytest.raises(ConnectionResetError):
                await near.read(1)

    run(main())


def test_who_carries_much_is_not_made_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_budget, "PATIENCE", 0.0)
    monkeypatch.setattr(h2_budget, "OVERHEAD", 1)

    async def main() -> None:
        async with pair() as (client, server):
            near, far = await streams(client, server)
            sent = bytes(30_000_000)

            async def send() -> None:
                await near.write(sent)
                await near.close_write()

            sending = asyncio.create_task(send())
            assert len(await read_all(far)) == len(sent)
            await sending
            await far.write(sent[:1000])
            assert await near.read(1000)
            assert isinstance(client, Session)

    run(main())


def test_more_streams_than_a_session_has_go_by_another_one() -> None:
    async def main() -> None:
        many = h2_session.STREAMS + 10
        async with mux_node(echo_stream) as address, dialing(address) as (dial, beneath):
            conns = await asyncio.gather(*(dial() for _ in range(many)))
            assert len(beneath.opened) == 2
            for conn in (conns[0], conns[-1]):
                await conn.write(b"question")
                assert await conn.read(100) == b"question"
            await asyncio.gather(*(conn.close() for conn in conns))

    run(main())
