"""What the example's handlers and connectors say on the wire, and to whom."""

import asyncio
import socket
import traceback
from base64 import b64encode

import pytest

from gost_core.auth import Option
from gost_core.chain import DialOption
from gost_core.common.net import (
    ClosedError,
    Conn,
    HalfCloser,
    ProtocolError,
    UnsupportedError,
    find_capability,
)
from gost_core.common.url import Userinfo
from gost_core.connector import Connector, auth_option
from gost_core.context import Context
from gost_core.handler import auther_option, router_option
from proxy.auth import UserTable
from proxy.chain.router import RetryRouter
from proxy.chain.transporter import NodeTransporter
from proxy.connector.http import HTTPConnector
from proxy.connector.proxy import ProxyConnector
from proxy.connector.socks5 import SOCKS5Connector
from proxy.dialer.tcp import TCPDialer
from proxy.handler.http import HTTPHandler
from proxy.handler.proxy import ProxyHandler, RefusedError
from proxy.handler.socks5 import SOCKS5Handler
from proxy.net.dialer import SystemDialer
from proxy.net.tcp import TCPConn
from proxy.net.wrapper import PrefixedConn
from tests.examples.proxy_harness import LIMIT, connected, echo, proxy, router_through, run, server

NO_AUTHENTICATION = b"\x05\x01\x00"


def socks5_request(address: str, command: int = 1) -> bytes:
    host, _, port = address.rpartition(":")
    name = host.encode()
    return bytes([5, command, 0, 3, len(name)]) + name + int(port).to_bytes(2, "big")


async def talk(address: str, *parts: bytes) -> bytes:
    """Send the parts, each by itself, end the stream, and return all that comes back."""
    conn = await SystemDialer().dial(Context(), "tcp", address)
    assert isinstance(conn, HalfCloser)
    received = b""
    try:
        for part in parts:
            await conn.write(part)
            await asyncio.sleep(0)
        await conn.close_write()
        while data := await conn.read(65536):
            received += data
    except (ConnectionResetError, BrokenPipeError):
        pass
    finally:
        await conn.close()
    return received


def test_socks5_serves_a_client_whose_greeting_comes_byte_by_byte() -> None:
    async def main() -> None:
        async with server(echo) as target, proxy(SOCKS5Handler) as address:
            said = NO_AUTHENTICATION + socks5_request(target) + b"hello"
            answer = await talk(address, *(bytes([byte]) for byte in said))
            assert answer == b"\x05\x00" + b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"hello"

    run(main())


def test_socks5_serves_a_client_that_does_not_wait_for_replies() -> None:
    async def main() -> None:
        async with server(echo) as target, proxy(SOCKS5Handler) as address:
            answer = await talk(address, NO_AUTHENTICATION + socks5_request(target) + b"hello")
            assert answer.endswith(b"hello")

    run(main())


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param(b"\x04\x01\x00\x50", b"", id="SOCKS4"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"", id="HTTP"),
        pytest.param(b"\x05\x01\x02", b"\x05\xff", id="no acceptable method"),
        pytest.param(b"\x05\x00", b"\x05\xff", id="no method"),
        pytest.param(b"\x05\x01", b"", id="cut short"),
        pytest.param(b"", b"", id="nothing"),
        pytest.param(
            NO_AUTHENTICATION + socks5_request("a:1", command=2), b"\x05\x00\x05\x07", id="BIND"
        ),
        pytest.param(
            NO_AUTHENTICATION + b"\x05\x01\x00\x02\x00\x50", b"\x05\x00\x05\x08", id="address type"
        ),
        pytest.param(
            NO_AUTHENTICATION + b"\x05\x01\x00\x03\x01\xff\x00\x50",
            b"\x05\x00\x05\x08",
            id="name beyond ASCII",
        ),
        pytest.param(
            NO_AUTHENTICATION + socks5_request("a\r\nb:1"), b"\x05\x00\x05\x08", id="line in name"
        ),
        pytest.param(
            NO_AUTHENTICATION + b"\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
            b"\x05\x00\x05\x01",
            id="version in the request",
        ),
    ],
)
def test_socks5_answers_what_it_does_not_serve(said: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with proxy(SOCKS5Handler) as address:
            received = await talk(address, said)
            assert received[: len(answer)] == answer
            assert bool(received) == bool(answer)

    run(main())


@pytest.mark.parametrize(
    ("said", "status"),
    [
        pytest.param(b"\x05\x01\x00\r\n\r\n", 400, id="SOCKS5"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="origin form"),
        pytest.param(b"GET https://example.com/ HTTP/1.1\r\n\r\n", 400, id="https"),
        pytest.param(b"GET http:///path HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET http://a:b/ HTTP/1.1\r\n\r\n", 400, id="no number for a port"),
        pytest.param(b"CONNECT example.com HTTP/1.1\r\n\r\n", 400, id="no port"),
        pytest.param(b"CONNECT :80 HTTP/1.1\r\n\r\n", 400, id="CONNECT without host"),
        pytest.param(b"GET http://a/ HTTP/2.0\r\n\r\n", 400, id="version"),
        pytest.param(b"GET http://a/\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nno field\r\n\r\n", 400, id="no field"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nX: 1\r\n folded\r\n\r\n", 400, id="folded"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nX: 1\nY: 2\r\n\r\n", 400, id="bare line feed"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nX : 1\r\n\r\n", 400, id="space before colon"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nX: " + b"x" * 100_000, 400, id="endless header"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\n", None, id="cut short"),
    ],
)
def test_http_answers_what_it_does_not_serve(said: bytes, status: int | None) -> None:
    async def main() -> None:
        async with proxy(HTTPHandler) as address:
            received = await talk(address, said)
            assert received.startswith(b"HTTP/1.1 %d " % status if status else b"")
            assert bool(received) == bool(status)

    run(main())


def test_http_rewrites_a_request_to_what_the_target_wants() -> None:
    seen: list[bytes] = []

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nanswer")
        writer.write_eof()

    async def main() -> None:
        async with server(origin) as target, proxy(HTTPHandler) as address:
            answer = await talk(
                address,
                b"POST http://%s/a%%20b?c=d#e HTTP/1.1\r\n" % target.encode(),
                b"Host: elsewhere\r\nProxy-Connection: keep-alive\r\nX-One: 1\r\n",
                b"Proxy-Authorization: Basic eDp5\r\nConnection: keep-alive, X-Two\r\n",
                b"X-Two: 2\r\nContent-Length: 4\r\n\r\nbody",
            )
            assert answer.endswith(b"\r\n\r\n6\r\nanswer\r\n0\r\n\r\n")
        expected = (
            f"POST /a%20b?c=d HTTP/1.1\r\nHost: {target}\r\nX-One: 1\r\n"
            "Content-Length: 4\r\nVia: 1.1 gost-example-proxy\r\nConnection: close\r\n\r\nbody"
        )
        assert seen == [expected.encode()]

    run(main())


class FailingRouter(RetryRouter):
    """Fails to dial, in one way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def dial(self, ctx: Context, network: str, address: str, /, *opts: DialOption) -> Conn:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (PermissionError("by rule"), 2, 403),
        (ConnectionRefusedError("nobody there"), 5, 502),
        (TimeoutError("too slow"), 6, 504),
        (socket.gaierror("no such name"), 4, 502),
        (ValueError("malformed"), 1, 400),
        (RuntimeError("a fault of ours"), 1, 502),
    ],
)
def test_a_client_is_told_why_its_target_was_not_reached(
    error: Exception, code: int, status: int
) -> None:
    async def main() -> None:
        async with proxy(SOCKS5Handler, FailingRouter(error)) as address:
            said = NO_AUTHENTICATION + socks5_request("a:1")
            assert (await talk(address, said))[2:4] == bytes([5, code])
        async with proxy(HTTPHandler, FailingRouter(error)) as address:
            answer = await talk(address, b"CONNECT a:1 HTTP/1.1\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 %d " % status)

    run(main())


def test_a_client_that_is_refused_in_mid_upload_can_finish_and_read_why() -> None:
    def upload(address: str) -> bytes:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), LIMIT) as client:
            client.sendall(b"POST http://a/ HTTP/1.1\r\n\r\n" + bytes(20 * 1024 * 1024))
            return client.recv(12)

    async def main() -> None:
        async with proxy(HTTPHandler, FailingRouter(ConnectionRefusedError())) as address:
            assert await asyncio.to_thread(upload, address) == b"HTTP/1.1 502"

    run(main())


USER = Userinfo("me", "secret")


@pytest.mark.parametrize(
    ("user", "answer"),
    [
        (Userinfo("me", "secret"), b"\x01\x00"),
        (Userinfo("me", "wrong"), b"\x01\x01"),
        (Userinfo("you", "secret"), b"\x01\x01"),
        (Userinfo("me", ""), b"\x01\x01"),
    ],
)
def test_socks5_lets_in_who_knows_the_password(user: Userinfo, answer: bytes) -> None:
    name, password = user.username.encode(), (user.password or "").encode()
    login = bytes([1, len(name)]) + name + bytes([len(password)]) + password

    async def main() -> None:
        async with server(echo) as target, proxy(SOCKS5Handler, user=USER) as address:
            said = login + socks5_request(target) + b"hello"
            received = await talk(address, b"\x05\x02\x00\x02", said)
            assert received[:4] == b"\x05\x02" + answer
            assert received.endswith(b"hello") == (answer == b"\x01\x00")
            assert await talk(address, NO_AUTHENTICATION) == b"\x05\xff"

    run(main())


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        (b"me:secret", 200),
        (b"me:wrong", 407),
        (b"me", 407),
        (None, 407),
    ],
)
def test_http_lets_in_who_knows_the_password(credentials: bytes | None, status: int) -> None:
    async def main() -> None:
        async with server(echo) as target, proxy(HTTPHandler, user=USER) as address:
            field = b""
            if credentials is not None:
                field = b"Proxy-Authorization: Basic %s\r\n" % b64encode(credentials)
            answer = await talk(
                address, b"CONNECT %s HTTP/1.1\r\n%s\r\nhello" % (target.encode(), field)
            )
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert answer.endswith(b"\r\n\r\nhello") == (status == 200)
            assert (b"Proxy-Authenticate: Basic" in answer) == (status == 407)

    run(main())


def test_an_authenticator_that_cannot_decide_refuses() -> None:
    class Broken(UserTable):
        async def authenticate(
            self, ctx: Context, user: str, password: str, /, *opts: Option
        ) -> str | None:
            raise OSError("no answer from the directory")

    async def main() -> None:
        handler = SOCKS5Handler(router_option(RetryRouter()), auther_option(Broken(USER)))
        await handler.init(None)
        async with connected() as (conn, peer):
            peer.send(b"\x05\x01\x02" + b"\x01\x02me\x06secret")
            peer.shutdown(socket.SHUT_WR)
            with pytest.raises(RefusedError):
                await handler.handle(Context(), conn)
            assert await asyncio.get_running_loop().sock_recv(peer, 100) == b"\x05\x02\x01\x01"

    run(main())


def test_an_id_that_is_empty_is_no_refusal() -> None:
    class Nameless(UserTable):
        async def authenticate(
            self, ctx: Context, user: str, password: str, /, *opts: Option
        ) -> str | None:
            return ""

    async def main() -> None:
        handler = SOCKS5Handler(router_option(RetryRouter()), auther_option(Nameless(USER)))
        await handler.init(None)
        async with connected() as (conn, peer):
            peer.send(b"\x05\x01\x02" + b"\x01\x01x\x01y")
            peer.shutdown(socket.SHUT_WR)
            await handler.handle(Context(), conn)
            assert await asyncio.get_running_loop().sock_recv(peer, 100) == b"\x05\x02\x01\x00"

    run(main())


@pytest.mark.parametrize("said", [b"", b"\x05", NO_AUTHENTICATION + b"\x05\x01"])
def test_a_client_that_leaves_is_no_failure_and_its_connection_is_closed(said: bytes) -> None:
    async def main() -> None:
        handler = SOCKS5Handler(router_option(RetryRouter()))
        await handler.init(None)
        async with connected() as (conn, peer):
            peer.send(said)
            peer.close()
            await handler.handle(Context(), conn)
            with pytest.raises(ClosedError):
                await conn.read(1)

    run(main())


def test_a_handler_owns_the_connection_even_before_init() -> None:
    async def main() -> None:
        async with connected() as (conn, _):
            with pytest.raises(RuntimeError):
                await SOCKS5Handler(router_option(RetryRouter())).handle(Context(), conn)
            with pytest.raises(ClosedError):
                await conn.read(1)

    run(main())


def test_a_handler_without_router_says_so_in_init() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="router"):
            await HTTPHandler().init(None)

    run(main())


async def ready(connector: Connector) -> Connector:
    await connector.init(None)
    return connector


async def through(connector: Connector, proxy: str, network: str, address: str) -> Conn:
    """Reach an address by way of a connector, as a route would."""
    dialer = TCPDialer()
    await dialer.init(None)
    transport = NodeTransporter(dialer, connector)
    conn = await transport.dial(Context(), proxy)
    try:
        conn = await transport.handshake(Context(), conn)
        return await transport.connect(Context(), conn, network, address)
    except BaseException:
        await conn.close()
        raise


REPLIES: dict[type[ProxyConnector], bytes] = {
    SOCKS5Connector: b"\x05\x00\x05\x00\x00\x03\x01a\x00\x50",
    HTTPConnector: b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\n",
}


@pytest.mark.parametrize("protocol", REPLIES)
def test_bytes_behind_the_reply_are_not_lost(protocol: type[ProxyConnector]) -> None:
    async def speaks_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REPLIES[protocol] + b"welcome\r\n\r\nstranger")  # all in one segment
        writer.write_eof()
        await reader.read()

    async def main() -> None:
        async with server(speaks_first) as address:
            conn = await through(await ready(protocol()), address, "tcp", "a.example:80")
            received = b""
            while data := await conn.read(3):
                received += data
            assert received == b"welcome\r\n\r\nstranger"
            await conn.close()

    run(main())


@pytest.mark.parametrize("protocol", REPLIES)
def test_a_name_is_passed_on_as_a_name(protocol: type[ProxyConnector]) -> None:
    async def main() -> None:
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(REPLIES[protocol])
            asked.set_result(await reader.read())

        async with server(listening) as address:
            conn = await through(await ready(protocol()), address, "tcp", "name.invalid:80")
            await conn.close()
            assert b"name.invalid" in await asked

    run(main())


@pytest.mark.parametrize(
    ("protocol", "reply", "error"),
    [
        (SOCKS5Connector, b"\x05\xff", PermissionError),
        (SOCKS5Connector, b"\x05\x02", ProtocolError),
        (SOCKS5Connector, b"HTTP/1.1 400 Bad Request\r\n\r\n", ProtocolError),
        (SOCKS5Connector, b"\x05\x00\x05\x02\x00\x01" + bytes(6), PermissionError),
        (SOCKS5Connector, b"\x05\x00\x05\x05\x00\x01" + bytes(6), ConnectionRefusedError),
        (SOCKS5Connector, b"\x05\x00\x05\x00\x00\x09" + bytes(6), ProtocolError),
        (SOCKS5Connector, b"\x05\x00\x05", ConnectionResetError),
        (HTTPConnector, b"HTTP/1.1 407 Log in\r\n\r\n", PermissionError),
        (HTTPConnector, b"HTTP/1.1 502 Bad Gateway\r\n\r\n", ConnectionRefusedError),
        (HTTPConnector, b"\x05\xff\r\n\r\n", ProtocolError),
        (HTTPConnector, b"x" * 100_000, ProtocolError),
        (HTTPConnector, b"HTTP/1.1 200", ConnectionResetError),
    ],
)
def test_a_refusal_is_an_error_of_its_kind(
    protocol: type[ProxyConnector], reply: bytes, error: type[Exception]
) -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        writer.write_eof()
        await reader.read()

    async def main() -> None:
        async with server(refusing) as address:
            with pytest.raises(error):
                await through(await ready(protocol()), address, "tcp", "target.example:80")

    run(main())


@pytest.mark.parametrize("protocol", REPLIES)
@pytest.mark.parametrize(
    ("network", "address", "error"),
    [
        ("unix", "a:1", UnsupportedError),
        ("tcp", "a", ValueError),
        ("tcp", ":80", ValueError),
        ("tcp", "a\r\nb:80", ValueError),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_byte(
    protocol: type[ProxyConnector], network: str, address: str, error: type[Exception]
) -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            connector = await ready(protocol())
            with pytest.raises(error):
                await connector.connect(Context(), conn, network, address)
            with pytest.raises(BlockingIOError):
                peer.recv(1)

    run(main())


@pytest.mark.parametrize(("kind", "scheme"), [(SOCKS5Handler, "socks5"), (HTTPHandler, "http")])
def test_a_connector_logs_in_at_the_handler_of_its_protocol(
    kind: type[ProxyHandler], scheme: str
) -> None:
    async def main() -> None:
        async with server(echo) as target, proxy(kind, user=USER) as address:
            router = await router_through(f"{scheme}://me:secret@{address}")
            conn = await router.dial(Context(), "tcp", target)
            await conn.write(b"hello")
            assert await conn.read(100) == b"hello"
            await conn.close()
            with pytest.raises(PermissionError) as caught:
                await (await router_through(f"{scheme}://me:guess@{address}")).dial(
                    Context(), "tcp", target
                )
            assert "guess" not in "".join(traceback.format_exception_only(caught.value))

    run(main())


@pytest.mark.parametrize(
    ("protocol", "user"),
    [
        (SOCKS5Connector, Userinfo("x" * 256, "y")),
        (SOCKS5Connector, Userinfo("x", "y" * 256)),
        (SOCKS5Connector, Userinfo("x")),
        (HTTPConnector, Userinfo("a:b", "y")),
    ],
)
def test_credentials_that_a_protocol_cannot_carry_are_refused_in_init(
    protocol: type[ProxyConnector], user: Userinfo
) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="user name"):
            await protocol(auth_option(user)).init(None)

    run(main())


def test_a_token_goes_with_an_empty_password() -> None:
    async def node(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(4) == b"\x05\x02\x00\x02"
        writer.write(b"\x05\x02")
        assert await reader.readexactly(8) == b"\x01\x05token\x00"
        writer.write(b"\x01\x00")
        await reader.readexactly(10)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00hello")
        await reader.read()

    async def main() -> None:
        async with server(node) as address:
            router = await router_through(f"socks5://token:@{address}")
            conn = await router.dial(Context(), "tcp", "192.0.2.1:80")
            assert await conn.read(5) == b"hello"
            await conn.close()

    run(main())


def test_a_wrapper_keeps_what_its_connection_can_do() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            wrapped = PrefixedConn(conn, b"first")
            assert wrapped.unwrap_conn() is conn
            assert find_capability(wrapped, TCPConn) is conn
            assert await wrapped.read(3) == b"fir"
            peer.send(b"second")
            assert await wrapped.read(100) == b"st"
            assert await wrapped.read(100) == b"second"
            await wrapped.close_write()
            assert await asyncio.get_running_loop().sock_recv(peer, 1) == b""

    run(main())
