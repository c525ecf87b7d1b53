"""A stream that was cut does not look complete: a break travels through the proxy (D72)."""

import asyncio
import socket
import struct
from contextlib import suppress

import pytest

from gost_core.common import net
from gost_core.context import Context
from proxy.handler.http import HTTPHandler
from proxy.handler.proxy import ProxyHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.net.dialer import SystemDialer
from tests.examples.proxy_harness import connected, proxy, run, server
from tests.examples.test_mux import pair, streams
from tests.examples.test_proxy_contract import accepted
from tests.examples.test_proxy_protocols import NO_AUTHENTICATION, socks5_request
from tests.examples.tls_harness import secure

SENT = bytes(300_000)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break off as a crash does."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def request(protocol: type[ProxyHandler], target: str, tunnel: bool) -> bytes:
    if protocol is SOCKS5Handler:
        return NO_AUTHENTICATION + socks5_request(target)
    if tunnel:
        return f"CONNECT {target} HTTP/1.1\r\n\r\n".encode()
    return f"GET http://{target}/ HTTP/1.0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("protocol", "tunnel"), [(SOCKS5Handler, True), (HTTPHandler, True), (HTTPHandler, False)]
)
def test_a_target_that_breaks_off_is_a_break_for_the_client_who_has_got_what_came(
    protocol: type[ProxyHandler], tunnel: bool
) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if protocol is HTTPHandler and not tunnel:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + SENT)
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    async def main() -> None:
        async with server(cut) as target, proxy(protocol) as address:
            conn = await SystemDialer().dial(Context(), "tcp", address)
            await conn.write(request(protocol, target, tunnel))
            received, broke = b"", False
            try:
                while data := await conn.read(65536):
                    received += data
            except ConnectionResetError:
                broke = True
            assert broke
            assert received.endswith(SENT)
            await conn.close()

    run(main())


def test_a_client_that_breaks_off_is_a_break_for_the_target() -> None:
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        try:
            await reader.read()
            ends.put_nowait("end")
        except ConnectionResetError:
            ends.put_nowait("break")

    async def main() -> None:
        async with server(target) as there, proxy(SOCKS5Handler) as address:
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request(SOCKS5Handler, there, True) + b"half a mess")
            await reader.readuntil(b"hello")
            reset(writer)
            assert await ends.get() == "break"

    run(main())


def test_an_aborted_connection_ends_its_calls_and_closes_as_any_other() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            await ended(conn)
            peer.setblocking(True)
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(peer.recv, 1)

    run(main())


def test_an_aborted_stream_is_reset_and_leaves_the_others() -> None:
    async def main() -> None:
        async with pair() as (client, server_):
            near, far = await streams(client, server_)
            other, there = await streams(client, server_)
            await ended(near)
            with pytest.raises(ConnectionResetError):
                await far.read(1)
            await other.write(b"well")
            assert await there.read(4) == b"well"

    run(main())


def test_tls_that_is_aborted_says_no_farewell() -> None:
    async def main() -> None:
        client, server_ = await secure(*await accepted())
        await ended(client)
        with pytest.raises(ConnectionResetError):
            await server_.read(1)
        await server_.close()

    run(main())


async def ended(conn: net.Conn) -> None:
    """Abort a connection that is read from, and close it."""
    assert isinstance(conn, net.Aborter)
    reading = asyncio.create_task(conn.read(1))
    await asyncio.sleep(0)
    conn.abort()
    conn.abort()
    with suppress(net.ClosedError):
        await asyncio.wait_for(reading, 5)
    await conn.close()
    conn.abort()
    with pytest.raises(net.ClosedError):
        await conn.write(b"x")
