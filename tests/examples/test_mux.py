"""Many connections on one: they neither mix nor wait for each other, and they end together."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer

from gost_core.common import net
from gost_core.context import Context
from gost_core.dialer import net_dialer_dial_option
from gost_core.listener import addr_option
from proxy.dialer.h2 import MuxDialer
from proxy.listener.h2 import MuxListener
from proxy.listener.tcp import TCPListener
from proxy.net import h2_session as session_module
from proxy.net.dialer import SystemDialer
from proxy.net.h2_session import Session
from proxy.net.h2_stream import Stream
from proxy.net.wrapper import Wrapper
from tests.examples.proxy_harness import run

Serve = Callable[[net.Conn], Coroutine[Any, Any, None]]
Dial = Callable[[], Coroutine[Any, Any, net.Conn]]


async def echo(conn: net.Conn) -> None:
    while data := await conn.read(65536):
        await conn.write(data)


@asynccontextmanager
async def mux_node(serve: Serve = echo, addr: str = "127.0.0.1:0") -> AsyncGenerator[str, None]:
    """Run a node that serves each stream; yield its address."""
    listener = MuxListener(addr_option(addr))
    await listener.init(None)

    async def handle(conn: net.Conn) -> None:
        with suppress(OSError):
            await serve(conn)
        await conn.close()

    async def accept(streams: asyncio.TaskGroup) -> None:
        with suppress(net.ClosedError):
            while True:
                streams.create_task(handle(await listener.accept()))

    async with asyncio.TaskGroup() as streams:
        streams.create_task(accept(streams))
        try:
            yield str(listener.addr())
        finally:
            await listener.close()


class CountingDialer(SystemDialer):
    """Counts what it opens, and can cut it off."""

    def __init__(self) -> None:
        self.opened: list[net.Conn] = []

    async def dial(self, ctx: Context, network: str, addr: str, /) -> net.Conn:
        conn = await super().dial(ctx, network, addr)
        self.opened.append(conn)
        return conn


@asynccontextmanager
async def dialing(addr: str) -> AsyncGenerator[tuple[Dial, CountingDialer], None]:
    """Yield what dials a stream to a node, and what dials beneath it."""
    dialer, beneath = MuxDialer(), CountingDialer()
    await dialer.init(None)
    try:
        yield lambda: dialer.dial(Context(), addr, net_dialer_dial_option(beneath)), beneath
    finally:
        await dialer.close()


async def connected() -> tuple[net.Conn, net.Conn]:
    """Return the two ends of a connection."""
    listener = TCPListener(addr_option("127.0.0.1:0"))
    await listener.init(None)
    near = await SystemDialer().dial(Context(), "tcp", str(listener.addr()))
    far = await listener.accept()
    await listener.close()
    return near, far


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[Session, Session], None]:
    """Yield the client and the server of one session."""
    near, far = await connected()
    client, server = Session(near, client=True), Session(far, client=False)
    try:
        yield client, server
    finally:
        await asyncio.gather(client.close(), server.close())


async def streams(client: Session, server: Session) -> tuple[Stream, Stream]:
    """Open a stream; return both ends."""
    near, far = await asyncio.gather(client.open("name:1"), server.accept())
    return near, far


async def read_all(conn: net.Conn) -> bytes:
    data = bytearray()
    while piece := await conn.read(65536):
        data += piece
    return bytes(data)


@pytest.mark.one_python
def test_a_hundred_streams_at_once_share_a_session_and_do_not_mix() -> None:
    async def exchange(conn: net.Conn, mark: bytes) -> None:
        sent = mark * 30_000  # more than a window of each stream

        async def send() -> None:
            for start in range(0, len(sent), 7777):
                await conn.write(sent[start : start + 7777])
            assert isinstance(conn, net.HalfCloser)
            await conn.close_write()

        _, received = await asyncio.gather(send(), read_all(conn))
        assert received == sent
        await conn.close()

    async def main() -> None:
        async with mux_node() as addr, dialing(addr) as (dial, beneath):
            conns = await asyncio.gather(*(dial() for _ in range(100)))
            await asyncio.gather(
                *(exchange(conn, b"<stream %3d>" % number) for number, conn in enumerate(conns))
            )
            assert len(beneath.opened) == 1

    run(main())


def test_a_stream_that_nobody_reads_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        async with pair() as (client, server):
            stuck, _ = await streams(client, server)

            async def write_for_ever() -> None:
                while True:
                    await stuck.write(bytes(65536))

            writing = asyncio.create_task(write_for_ever())
            for _ in range(20):
                near, far = await streams(client, server)
                sending = asyncio.create_task(near.write(bytes(1_000_000)))
                received = 0
                while received < 1_000_000:
                    received += len(await far.read(65536))
                await sending
                await near.close()
                await far.close()
            assert not writing.done()  # it waits, since what is below it is bounded
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    run(main())


def test_a_stream_that_sends_much_lets_others_go_between() -> None:
    async def main() -> None:
        async with pair() as (client, server):
            big, big_end = await streams(client, server)
            small, small_end = await streams(client, server)
            writing = asyncio.create_task(big.write(bytes(20_000_000)))
            reading = asyncio.create_task(read_all(big_end))
            await small.write(b"between")
            assert await small_end.read(7) == b"between"
            assert not writing.done()
            await writing
            await big.close()
            assert len(await reading) == 20_000_000

    run(main())


@given(
    sizes=st.lists(st.integers(0, 200_000), max_size=6),
    reads=st.lists(st.integers(1, 100_000), min_size=1, max_size=6),
)
@settings(max_examples=30)
def test_bytes_arrive_whole_and_in_order_however_they_are_cut(
    sizes: list[int], reads: list[int]
) -> None:
    async def main() -> None:
        async with pair() as (client, server):
            near, far = await streams(client, server)
            sent = [bytes([number]) * size for number, size in enumerate(sizes)]

            async def send() -> None:
                for data in sent:
                    await near.write(data)
                await near.close()

            async def receive() -> bytes:
                data, number = bytearray(), 0
                while piece := await far.read(reads[number % len(reads)]):
                    assert len(piece) <= reads[number % len(reads)]
                    data += piece
                    number += 1
                return bytes(data)

            _, received = await asyncio.gather(send(), receive())
            assert received == b"".join(sent)

    run(main())


def test_when_the_connection_beneath_breaks_every_stream_is_reset() -> None:
    async def main() -> None:
        near, far = await connected()
        client, server = Session(near, client=True), Session(far, client=False)
        pairs = [await streams(client, server) for _ in range(5)]
        reads = [asyncio.create_task(conn.read(1)) for conn, _ in pairs]
        accepting = asyncio.create_task(server.accept())
        await far.close()
        for error in await asyncio.gather(*reads, return_exceptions=True):
            assert isinstance(error, ConnectionResetError)
        with pytest.raises(ConnectionResetError):
            await client.open("name:1")
        with pytest.raises(net.ClosedError):
            await accepting
        await asyncio.gather(client.close(), server.close())

    run(main())


class Slow(Wrapper):
    """Writes when it is let."""

    def __init__(self, inner: net.Conn) -> None:
        super().__init__(inner)
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, data: Buffer, /) -> None:
        await self.open.wait()
        await super().write(data)


def test_the_last_words_of_a_session_arrive() -> None:
    async def main() -> None:
        near, far = await connected()
        slow = Slow(near)
        client = Session(slow, client=True, retiring=True)
        server = Session(far, client=False)
        one, other = await streams(client, server)
        slow.open.clear()
        await one.write(b"last words")
        closing = asyncio.create_task(one.close())  # and with it the session
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await other.read(1)
        slow.open.set()
        assert await read_all(other) == b"last words"
        await closing
        await server.close()

    run(main())


def test_a_session_ends_with_its_last_user_and_the_next_dial_opens_another() -> None:
    async def main() -> None:
        async with mux_node() as addr, dialing(addr) as (dial, beneath):
            first, second = await asyncio.gather(dial(), dial())
            await first.close()
            await second.write(b"alive")
            assert await second.read(5) == b"alive"
            await second.close()
            with pytest.raises(net.ClosedError):
                await beneath.opened[0].read(1)
            third = await dial()
            await third.write(b"again")
            assert await third.read(5) == b"again"
            assert len(beneath.opened) == 2

    run(main())


def test_a_dialer_without_sessions_keeps_nothing_of_a_node_that_refused() -> None:
    async def main() -> None:
        async with mux_node() as addr:
            pass
        async with dialing(addr) as (dial, _):
            faults = await asyncio.gather(*(dial() for _ in range(5)), return_exceptions=True)
            assert {type(fault) for fault in faults} == {ConnectionRefusedError}
            assert len({id(fault) for fault in faults}) == 5  # whoever adds notes, adds its own
            async with mux_node(addr=addr):
                conn = await dial()
                await conn.close()

    run(main())


def test_who_speaks_no_http2_is_told_of_at_once() -> None:
    async def main() -> None:
        near, far = await connected()
        client = Session(near, client=True)
        await far.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        with pytest.raises(net.ProtocolError, match="does not answer as HTTP/2"):
            await client.open("name:1")
        await client.close()
        await far.close()

    run(main())


class Stuck(Wrapper):
    """Can be read; what is written goes nowhere."""

    async def write(self, data: Buffer, /) -> None:
        await asyncio.Event().wait()


def test_a_peer_that_asks_and_does_not_read_ends_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its questions would fill the memory with answers."""
    monkeypatch.setattr(session_module, "UNSENT", 10_000)

    async def main() -> None:
        near, far = await connected()
        server = Session(Stuck(far), client=False)
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
        ping = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + b"question"
        with suppress(ConnectionResetError):
            await near.write(preface + ping * 1000)
        with pytest.raises(net.ProtocolError, match="does not read"):
            await server.accept()
        await near.close()
        await server.close()

    run(main())


def test_a_stream_that_is_reset_right_behind_its_opening_ends_nothing_else() -> None:
    """Both arrive at once, so the stream is gone when its opening is looked at."""

    async def main() -> None:
        async with pair() as (client, server):
            opening = asyncio.create_task(client.open("given up:1"))
            await asyncio.sleep(0)
            opening.cancel()
            near, far = await streams(client, server)
            assert far.name == "given up:1"  # it was there for a moment
            assert await server.accept() is not far
            await near.write(b"well")
            await near.close()

    run(main())


def test_a_write_that_was_given_up_does_not_look_like_an_end() -> None:
    """Half a message and an end would be taken for a whole one."""

    async def main() -> None:
        async with pair() as (client, server):
            near, far = await streams(client, server)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await near.write(bytes(10_000_000))
            await near.close()
            with pytest.raises(ConnectionResetError):
                await read_all(far)

    run(main())


def test_a_session_that_falls_silent_is_asked_and_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "SILENCE", 0.1)

    async def main() -> None:
        listener = TCPListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        conn = await SystemDialer().dial(Context(), "tcp", str(listener.addr()))
        silent = await listener.accept()
        client = Session(conn, client=True)
        with pytest.raises(TimeoutError):
            await client.open("name:1")
        await client.close()
        await silent.close()
        await listener.close()

    run(main())


def test_a_session_that_is_idle_stays_alive_by_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "SILENCE", 0.5)

    async def main() -> None:
        async with pair() as (client, server):
            near, far = await streams(client, server)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.8):
                    await near.read(1)
            await far.write(b"still here")
            assert await near.read(10) == b"still here"

    run(main())
