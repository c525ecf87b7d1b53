"""HTTP: one request after the other, each decided anew, and what no two sides read alike."""

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Self

import h11
import pytest

from gost_core.common.net import ProtocolError
from gost_core.common.url import Userinfo
from gost_core.connector import auth_option
from gost_core.context import Context
from gost_core.handler import bypass_option, router_option
from proxy.bypass import PatternBypass
from proxy.chain.router import RetryRouter
from proxy.connector.http import HTTPConnector
from proxy.handler.http import HTTPHandler
from proxy.net.address import TCPAddr
from proxy.net.dialer import SystemDialer
from proxy.net.wrapper import PrefixedConn
from proxy.wire import header, http
from tests.examples.proxy_harness import connected, logged, proxy, run, server, until
from tests.examples.test_proxy_protocols import talk

USER = Userinfo("me", "sécret")
LOGIN = b"Proxy-Authorization: Basic %s\r\n" % b64encode("me:sécret".encode())


class Origin:
    """Answers each request with its name, and keeps what it was told."""

    def __init__(self, name: bytes, answer: bytes = b"") -> None:
        self.answer = answer or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
            len(name),
            name,
        )
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            self.heads.append(head)
            if found := re.search(rb"(?i)content-length: (\d+)", head):
                self.bodies.append(await reader.readexactly(int(found[1])))
            elif b"chunked" in head.lower():
                self.bodies.append(await reader.readuntil(b"0\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            if b"\r\n\r\n" in self.answer and b"ength" not in self.answer:
                return writer.write_eof()


class Client:
    """Keeps one connection to the proxy."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def __aenter__(self) -> Self:
        host, _, port = self.address.rpartition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a request; return the head and the body of a response with a length."""
        self.writer.write(request)
        head = await self.head()
        found = re.search(rb"(?i)content-length: (\d+)", head)
        return head, await self.reader.readexactly(int(found[1]) if found else 0)


def get(target: str, *fields: bytes, version: bytes = b"1.1", method: bytes = b"GET") -> bytes:
    return b"%s http://%s/ HTTP/%s\r\nHost: %s\r\n%s\r\n" % (
        method,
        target.encode(),
        version,
        target.encode(),
        b"".join(fields),
    )


async def whole(address: str, said: bytes) -> bytes:
    """Send something; return all that comes back, up to the end."""
    async with Client(address) as client:
        client.writer.write(said)
        return await client.reader.read()


def test_each_request_of_a_connection_goes_to_its_own_host_and_shows_no_password() -> None:
    one, two = Origin(b"one"), Origin(b"two")

    async def main() -> None:
        async with (
            server(one) as first,
            server(two) as second,
            proxy(HTTPHandler, user=USER) as address,
            Client(address) as client,
        ):
            for _ in range(3):
                assert (await client.ask(get(first, LOGIN)))[1] == b"one"
                assert (await client.ask(get(second, LOGIN)))[1] == b"two"
        assert len(one.heads) == len(two.heads) == 3
        assert not [head for head in one.heads + two.heads if b"proxy-auth" in head.lower()]

    run(main())


def test_each_request_of_a_connection_must_log_in() -> None:
    async def main() -> None:
        async with (
            server(Origin(b"one")) as target,
            proxy(HTTPHandler, user=USER) as address,
            Client(address) as client,
        ):
            assert (await client.ask(get(target, LOGIN)))[1] == b"one"
            head, _ = await client.ask(get(target))
            assert head.startswith(b"HTTP/1.1 407 ")
            assert await client.reader.read() == b""

    run(main())


def test_each_request_of_a_connection_is_held_against_the_rules() -> None:
    one, two = Origin(b"one"), Origin(b"two")

    async def main() -> None:
        async with (
            server(one) as first,
            server(two) as second,
            Rules() as address,
            Client(address) as client,
        ):
            assert (await client.ask(get(first)))[1] == b"one"
            forbidden = second.replace("127.0.0.1", "localhost")
            head, _ = await client.ask(get(forbidden))
            assert head.startswith(b"HTTP/1.1 403 ")
        assert two.heads == []

    run(main())


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("GET http://bücher.example/ HTTP/1.1", b"403"),
        ("CONNECT BÜCHER.example:80 HTTP/1.1", b"403"),
        ("GET http://a..ü/ HTTP/1.1", b"400"),
        ("GET http://127.1/ü HTTP/1.1", b"400"),
        ("GET http://b\udcfccher.example/ HTTP/1.1", b"400"),  # a byte that is no text
    ],
)
def test_a_name_that_is_not_ascii_is_held_against_the_rules_in_its_one_form(
    line: str, code: bytes
) -> None:
    async def main() -> None:
        async with Rules() as address:
            answer = await talk(
                address, line.encode(errors="surrogateescape") + b"\r\nHost: x\r\n\r\n"
            )
            assert answer.startswith(b"HTTP/1.1 " + code)

    run(main())


def test_what_is_not_ascii_in_a_path_is_percent_encoded() -> None:
    origin = Origin(b"A")

    async def main() -> None:
        async with server(origin) as there, Rules() as address, Client(address) as client:
            line = f"GET http://{there}/ü?ö HTTP/1.1\r\n".encode()
            assert (await client.ask(line + b"Host: x\r\n\r\n"))[1] == b"A"

    run(main())
    assert origin.heads[0].startswith(b"GET /%C3%BC?%C3%B6 HTTP/1.1\r\n")


class Rules:
    """A proxy that lets nobody ask for some hosts by their names."""

    async def __aenter__(self) -> str:
        rules = PatternBypass("localhost", "xn--bcher-kva.example")

        class Handler(HTTPHandler):
            def __init__(self, *opts: object) -> None:
                super().__init__(router_option(RetryRouter()), bypass_option(rules))

        self.running = proxy(Handler)
        return await self.running.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await self.running.__aexit__(None, None, None)


def test_requests_that_do_not_wait_for_each_other_are_served_in_order() -> None:
    async def main() -> None:
        one, two = Origin(b"one"), Origin(b"two")
        async with server(one) as first, server(two) as second, proxy(HTTPHandler) as address:
            post = get(first, b"Content-Length: 4\r\n", method=b"POST") + b"body"
            last = get(second, b"Connection: close\r\n")
            received = await whole(address, post + get(second) + get(first) + last)
            assert re.findall(rb"\r\n\r\n(\w{3})", received) == [b"one", b"two", b"one", b"two"]
            assert one.bodies == [b"body"]

    run(main())


@pytest.mark.parametrize(
    ("field", "body"),
    [
        (b"Content-Length: 6\r\n", b"answer"),
        (b"Transfer-Encoding: chunked\r\n", b"2;x=y\r\nan\r\n4\r\nswer\r\n0\r\n\r\n"),
    ],
)
def test_bodies_go_both_ways_and_the_connection_stays(field: bytes, body: bytes) -> None:
    async def main() -> None:
        there = Origin(b"", b"HTTP/1.1 200 OK\r\nX-Length: 0\r\n%s\r\n%s" % (field, body))
        async with (
            server(there) as target,
            proxy(HTTPHandler) as address,
            Client(address) as client,
        ):
            for _ in range(2):
                client.writer.write(get(target, field, method=b"POST") + body)
                head = await client.head()
                if b"chunked" in head:
                    received = await client.reader.readuntil(b"0\r\n\r\n")
                    assert re.sub(rb"\w+\r\n|\r\n", b"", received) in (b"answer", b"")
                else:
                    assert await client.reader.readexactly(6) == b"answer"
        assert [re.sub(rb"(?m)^[0-9a-f]+\r\n|\r\n", b"", body) for body in there.bodies] == [
            b"answer"
        ] * 2

    run(main())


def test_a_body_without_a_length_comes_in_chunks_or_up_to_the_end_for_old_clients() -> None:
    async def main() -> None:
        async with (
            server(Origin(b"", b"HTTP/1.0 200 OK\r\n\r\nanswer")) as target,
            proxy(HTTPHandler) as address,
        ):
            new = await whole(address, get(target, b"Connection: close\r\n"))
            assert new.endswith(b"\r\n\r\n6\r\nanswer\r\n0\r\n\r\n")
            assert (await whole(address, get(target, version=b"1.0"))).endswith(b"\nanswer")

    run(main())


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 3, 4\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding: chunked\nX: 1\r\n",
        b"X: 1\rTransfer-Encoding: chunked\r\n",
        b"X: 1\r\n Transfer-Encoding: chunked\r\n",
        b"X: 1\0\r\n",
        b"Host: other\r\n",
    ],
)
def test_what_two_servers_could_read_differently_is_refused(fields: bytes) -> None:
    there = Origin(b"one")

    async def main() -> None:
        async with server(there) as target, proxy(HTTPHandler) as address:
            received = await whole(address, get(target, fields, method=b"POST") + b"0\r\n\r\n")
            assert re.match(rb"HTTP/1.1 [45]0[01] ", received)
            assert received.count(b"HTTP/1.1 ") == 1
        assert there.heads == []

    run(main())


def test_a_head_of_very_many_fields_is_refused() -> None:
    async def main() -> None:
        there = Origin(b"one")
        async with server(there) as target, proxy(HTTPHandler) as address:
            for count, status in ((http.FIELDS - 1, b"200"), (http.FIELDS + 1, b"400")):
                asked = get(target, b"Connection: close\r\n", b"a:b\r\n" * (count - 1))
                assert (await whole(address, asked))[9:12] == status
        assert len(there.heads) == 1

    run(main())


def test_small_chunks_leave_others_their_turn() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        async with connected() as (conn, peer):
            messages = http.Messages(conn, http.side(h11.SERVER))
            head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer.sendall(head + b"1\r\na\r\n" * 1000 + b"0\r\n\r\n")
            await messages.read_request()
            counting = asyncio.create_task(count())
            assert b"".join([one async for one in messages.body()]) == b"a" * 1000
            counting.cancel()
            await asyncio.wait({counting})
        assert turns >= 1000 // http.TOGETHER

    run(main())


@pytest.mark.parametrize(
    ("chunk", "refused"),
    [
        (b"1\r\na\r\n", True),
        (b"a\r\n" + b"a" * 10 + b"\r\n", True),
        (b"10\r\n" + b"a" * 16 + b"\r\n", False),
    ],
)
def test_a_body_in_very_many_small_chunks_is_refused(
    chunk: bytes, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SMALL_RATE", 0.001)
    monkeypatch.setattr(http, "SMALL_BURST", 1000)

    async def main() -> None:
        async with connected() as (conn, peer):
            messages = http.Messages(conn, http.side(h11.SERVER))
            head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer.sendall(head + chunk * 1001 + b"0\r\n\r\n")
            await messages.read_request()
            expected = pytest.raises(ProtocolError, match="small") if refused else nullcontext()
            with expected:
                assert len(b"".join([one async for one in messages.body()])) == 16 * 1001

    run(main())


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\n", b"\n\r\n"])
@pytest.mark.parametrize("asked", [b"GET http://a/ HTTP/1.1\nHost: a", b"CONNECT a:1 HTTP/1.1"])
def test_a_head_whose_lines_end_otherwise_is_refused_before_its_time_is_over(
    asked: bytes, end: bytes
) -> None:
    async def main() -> None:
        async with proxy(HTTPHandler) as address:
            assert (await whole(address, asked + end)).startswith(b"HTTP/1.1 400 ")

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 O\nK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nLength: 0\r\n\r\n",
        b"HTTP/1.1 100 Go on\r\nLength: 0\r\n\r\n" * 100,
        b"220 ready\r\nLength: 0\r\n\r\n",
    ],
)
def test_a_target_that_does_not_speak_http_is_a_bad_gateway(answer: bytes) -> None:
    async def main() -> None:
        async with server(Origin(b"", answer)) as target, proxy(HTTPHandler) as address:
            received = await whole(address, get(target, version=b"1.0"))
            assert received.startswith(b"HTTP/1.1 502 ")

    run(main())


def test_a_body_that_breaks_off_does_not_look_whole() -> None:
    async def main() -> None:
        cut = Origin(b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\npart")
        async with server(cut) as target, proxy(HTTPHandler) as address:
            received = await talk(address, get(target))
            assert b"part" in received
            assert not received.endswith(b"0\r\n\r\n")

    run(main())


def test_heads_without_bodies_leave_the_connection_as_it_is() -> None:
    async def main() -> None:
        async with (
            server(Origin(b"", b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n")) as target,
            proxy(HTTPHandler) as address,
            Client(address) as client,
        ):
            for method in (b"GET", b"HEAD", b"GET"):
                client.writer.write(get(target, method=method))
                assert (await client.head()).startswith(b"HTTP/1.1 304 No")

    run(main())


def test_an_answer_before_the_end_of_an_upload_arrives() -> None:
    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Long\r\nContent-Length: 2\r\n\r\nno")
        writer.write_eof()

    async def main() -> None:
        async with (
            server(origin) as target,
            proxy(HTTPHandler) as address,
            Client(address) as client,
        ):
            post = get(target, b"Content-Length: 9999999\r\n", method=b"POST")
            head, body = await client.ask(post + bytes(100_000))
            assert head.startswith(b"HTTP/1.1 413 ")
            assert body == b"no"

    run(main())


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"Basic " + b64encode("me:sécret".encode("latin-1")), b"200"),
        (b"basic   " + b64encode("me:sécret".encode()), b"200"),
        (b"Basic !!!", b"407"),
        (b"Basic", b"407"),
        (b"Bearer x", b"407"),
        (b"Basic " + b64encode(b"me:sec\xff"), b"407"),
    ],
)
def test_credentials_of_any_form_are_right_or_wrong_and_no_bad_request(
    said: bytes, status: bytes
) -> None:
    async def main() -> None:
        async with (
            server(Origin(b"one")) as target,
            proxy(HTTPHandler, user=USER) as address,
            Client(address) as client,
        ):
            head, _ = await client.ask(get(target, b"Proxy-Authorization: %s\r\n" % said))
            assert head[9:12] == status

    run(main())


@pytest.mark.parametrize("said", [b"\x05\x01\x00", b"\x16\x03\x01\x02\x00\x01", b"\x04\x01"])
def test_who_speaks_another_protocol_is_told_at_once(said: bytes) -> None:
    async def main() -> None:
        async with proxy(HTTPHandler) as address, Client(address) as client:
            client.writer.write(said)  # and waits for an answer
            assert (await client.head()).startswith(b"HTTP/1.1 400 ")

    run(main())


def test_an_empty_line_before_a_request_is_passed_over() -> None:
    async def main() -> None:
        async with (
            server(Origin(b"one")) as target,
            proxy(HTTPHandler) as address,
            Client(address) as client,
        ):
            for _ in range(2):
                assert (await client.ask(b"\r\n" + get(target)))[1] == b"one"

    run(main())


def test_a_connector_waits_for_the_final_response() -> None:
    async def node(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello")

    async def main() -> None:
        async with server(node) as address:
            connector = HTTPConnector(auth_option(USER))
            await connector.init(None)
            conn = await SystemDialer().dial(Context(), "tcp", address)
            conn = await connector.connect(Context(), conn, "tcp", "target.example:80")
            assert await conn.read(100) == b"hello"
            await conn.close()

    run(main())


# ---- what a peer can make the patterns work

CLASSES = [b" ", b"\t", b" \t", b"a", b"a ", b":", b"-", b"1", b";", b"/", b"%", b"=", b"\xe9"]


def request_head(run: bytes) -> None:
    """Read a head whose field has a run of characters, and one that cannot be, behind them."""
    message = b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX:" + run + b"\0\r\n\r\n"
    asyncio.run(read(message))


def request_line(run: bytes) -> None:
    asyncio.run(read(b"GET http://a/" + run + b"\0 HTTP/1.1\r\nHost: a\r\n\r\n"))


def name(run: bytes) -> None:
    asyncio.run(read(b"GET / HTTP/1.1\r\nHost: a\r\nX" + run + b"\r\n\r\n"))


def trailers(run: bytes) -> None:
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    asyncio.run(read(start + b"0\r\nX:" + run + b"\0\r\n\r\n"))


def chunk(run: bytes) -> None:
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    asyncio.run(read(start + b"1;" + run + b"\0\r\n"))


def response(run: bytes) -> None:
    asyncio.run(read_response(b"HTTP/1.1 200" + run + b"\0\r\nX:" + run + b"\0\r\n\r\n"))


def url(run: bytes) -> None:
    text = run.decode("latin-1")
    for address in (f"http://{text}", f"http://a/{text}\n", f"{text}#", f"http://a:{text}x"):
        with suppress(ValueError):
            header.with_port(header.split_url(address)[0])


class Said(PrefixedConn):
    """Gives what was said, and ends."""

    def __init__(self, said: bytes) -> None:
        self._prefix = said

    async def read(self, n: int, /) -> bytes:
        data, self._prefix = self._prefix[:n], self._prefix[n:]
        return data

    def remote_addr(self) -> TCPAddr:
        return TCPAddr("192.0.2.1", 80)


async def read(said: bytes) -> None:
    messages = http.Messages(Said(said), http.side(h11.SERVER))
    try:
        await messages.read_request()
        while await messages.read_body():
            pass
    except OSError:
        pass


async def read_response(said: bytes) -> None:
    with suppress(OSError):
        await http.read_final_response(Said(said), "GET")


@pytest.mark.parametrize(
    "reading", [request_head, request_line, name, trailers, chunk, response, url]
)
def test_no_pattern_takes_longer_than_the_bytes_it_is_given(
    reading: Callable[[bytes], None],
) -> None:
    def seconds(run: bytes) -> float:
        began = time.process_time()
        reading(run)
        return time.process_time() - began

    reading(b"warm")
    for character in CLASSES:
        small = min(seconds(character * (8_000 // len(character))) for _ in range(3))
        large = min(seconds(character * (64_000 // len(character))) for _ in range(3))
        # Eight times as much: a square would be 64 times the work, a cube 512 times.
        assert large < 24 * small + 0.02, character


@pytest.mark.parametrize(
    "head",
    [
        b"GET http://a.example/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization : s3cret\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization s3cret\r\n\r\n",
        b"GET http://me:s3cret@a.example/ HTTP/9\r\nHost: a.example\r\n\r\n",
        b"GET http://me:s3cret@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"GET http://s3cret\\@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"CONNECT me:s3cret@a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"CONNECT me:s3cret@a.example HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "CONNECT s3crété@a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n".encode(),
    ],
)
def test_what_is_malformed_is_refused_and_no_secret_in_it_is_logged(
    head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with proxy(HTTPHandler) as address:
            assert (await talk(address, head)).startswith(b"HTTP/1.1 400 ")
            await until(lambda: "malformed request" in caplog.text)

    with logged(caplog):
        run(main())
    assert "s3cr" not in caplog.text
