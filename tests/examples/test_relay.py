"""How the example copies from socket to socket: all of it, whatever comes in between."""

import asyncio
import errno
import os
import random
import socket
import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from gost_core.context import Context
from gost_core.limiter.traffic import Limiter
from proxy.chain.route import NodeRoute
from proxy.chain.router import RoutedConn
from proxy.limiter.conn import CountedConn, Places
from proxy.limiter.limited import LimitedConn
from proxy.limiter.traffic import Bytes
from proxy.net import relay as relaying
from proxy.net.relay import ClientGoneError, Flow, Traffic, relay
from proxy.net.tcp import TCPConn
from proxy.net.wrapper import PrefixedConn, bare
from tests.examples.proxy_harness import run

MIB = 1024 * 1024


def pair() -> tuple[socket.socket, TCPConn]:
    """Return two ends of a connection, of which the example has one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = socket.create_connection(listening.getsockname())
        near, name = listening.accept()
    far.setblocking(False)
    return far, TCPConn(near, name)


@asynccontextmanager
async def relayed(
    traffic: Traffic,
) -> AsyncGenerator[tuple[socket.socket, socket.socket, "asyncio.Task[None]"], None]:
    """Relay between a client and a target; give both, and the relaying."""
    (client, near), (target, far) = pair(), pair()
    relay_ = asyncio.create_task(relay(near, RoutedConn(far, NodeRoute()), traffic))
    try:
        yield client, target, relay_
    finally:
        relay_.cancel()
        await asyncio.gather(relay_, return_exceptions=True)
        for conn in (near, far):
            await conn.close()
        client.close()
        target.close()
    assert Flow.pipes == 0


async def received(sock: socket.socket, pause: float = 0) -> bytes:
    """Read to the end, with pauses at first."""
    loop, data = asyncio.get_running_loop(), bytearray()
    while piece := await loop.sock_recv(sock, 100_000):
        data += piece
        await asyncio.sleep(pause if len(data) < MIB else 0)
    return bytes(data)


async def send(sock: socket.socket, data: bytes) -> None:
    """Send all, and end the stream."""
    await asyncio.get_running_loop().sock_sendall(sock, data)
    sock.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def contents() -> tuple[bytes, bytes]:
    """What goes each way: no piece of it is like another."""
    up, down = (random.Random(seed).randbytes(16 * MIB + 1) for seed in (1, 2))
    return up, down


@pytest.mark.parametrize("pipes", ["as usual", "none is left", "none can be opened", "no use"])
@pytest.mark.parametrize("pause", [0, 0.005])
def test_all_bytes_arrive_both_ways_in_their_order(
    pipes: str, pause: float, contents: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    up, down = contents
    opened, pipe = 0, os.pipe

    def counted() -> tuple[int, int]:
        nonlocal opened
        if pipes == "none can be opened":
            raise OSError("too many open files")
        opened += 1
        return pipe()

    monkeypatch.setattr(os, "pipe", counted)

    def refused(*_: object, **__: object) -> int:
        raise OSError(errno.EINVAL, "this system moves no bytes between sockets and pipes")

    monkeypatch.setattr(relaying, "PIPES", 0 if pipes == "none is left" else 2)
    monkeypatch.setattr(Flow, "moves", True)
    if pipes == "no use":
        monkeypatch.setattr(relaying, "splice", refused, raising=False)

    async def main() -> None:
        traffic = Traffic()
        async with relayed(traffic) as (client, target, relay_):
            _, _, there, back = await asyncio.gather(
                send(client, up), send(target, down), received(target), received(client, pause)
            )
            assert (there == up, back == down) == (True, True)
            await relay_
        assert (traffic.sent, traffic.received) == (len(up), len(down))

    run(main())
    # That pipes are of no use shows on the first, perhaps before the other way has one.
    usual = {"as usual": {2}, "no use": {1, 2}} if sys.platform == "linux" else {}
    assert opened in usual.get(pipes, {0})


def test_small_and_large_pieces_take_turns() -> None:
    async def main() -> None:
        loop, traffic = asyncio.get_running_loop(), Traffic()
        async with relayed(traffic) as (client, target, _):
            for size in (1, 3 * MIB, 2, 5 * MIB, 3):
                sent = random.Random(size).randbytes(size)
                sending = asyncio.create_task(loop.sock_sendall(target, sent))
                got = b""
                while len(got) < size:
                    got += await loop.sock_recv(client, MIB)
                assert got == sent
                await sending

    run(main())


def test_an_answer_comes_behind_the_end_of_the_question() -> None:
    async def main() -> None:
        async with relayed(Traffic()) as (client, target, relay_):
            await send(client, b"question")
            assert await received(target) == b"question"
            assert not relay_.done()
            await send(target, b"answer")
            assert await received(client) == b"answer"
            await relay_

    run(main())


@pytest.mark.parametrize("who", ["client", "target"])
def test_a_reset_ends_both_ways_and_says_whose_it_was(who: str) -> None:
    async def main() -> None:
        async with relayed(Traffic()) as (client, target, relay_):
            gone = client if who == "client" else target
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()
            with pytest.raises(ClientGoneError if who == "client" else ConnectionResetError):
                await relay_

    run(main())


def test_a_peer_that_does_not_read_holds_up_the_other() -> None:
    async def main() -> None:
        loop, traffic = asyncio.get_running_loop(), Traffic()
        async with relayed(traffic) as (_, target, relay_):
            sending = asyncio.create_task(loop.sock_sendall(target, bytes(64 * MIB)))
            done, _ = await asyncio.wait({sending}, timeout=0.5)
            assert not done, "64 MiB were buffered for nobody"
            relay_.cancel()  # in the middle, with bytes in the pipe
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    run(main())


def test_what_counts_or_changes_bytes_is_not_passed_by() -> None:
    async def main() -> None:
        far, conn = pair()
        limit: Limiter = Bytes(1)
        limited = LimitedConn(Context(), conn, limit, limit)
        assert bare(RoutedConn(CountedConn(conn, Places(1)), NodeRoute())) is conn
        assert bare(RoutedConn(limited, NodeRoute())) is limited
        prefixed = PrefixedConn(conn, b"x")
        assert bare(prefixed) is prefixed
        await conn.close()
        far.close()

    run(main())
