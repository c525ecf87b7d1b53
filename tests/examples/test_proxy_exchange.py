"""What a proxy and a gateway of HTTP/1 owe to both sides, beside the bytes of the bodies."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from gost_core.chain import Node, matcher_body_size_node_option
from gost_core.common.url import Userinfo
from proxy.handler.http import HTTPHandler
from proxy.hop import NodeHop
from proxy.wire import header
from tests.examples.proxy_harness import echo, proxy, router_through, run, server
from tests.examples.test_proxy_gateway import gateway
from tests.examples.test_proxy_http import Client, Origin, get, whole

VIA = b"Via: 1.1 gost-example-proxy\r\n"


def through_proxy(target: str) -> AbstractAsyncContextManager[str]:
    return proxy(HTTPHandler)


def through_gateway(target: str) -> AbstractAsyncContextManager[str]:
    return gateway(NodeHop(Node("node", target)))


both = pytest.mark.parametrize("through", [through_proxy, through_gateway])
Through = Callable[[str], AbstractAsyncContextManager[str]]


@both
def test_a_message_tells_on_both_ways_that_it_came_by_here(through: Through) -> None:
    async def main() -> None:
        there = Origin(b"", b"HTTP/1.1 200 OK\r\nVia: 1.0 other\r\nContent-Length: 0\r\n\r\n")
        async with server(there) as target, through(target) as address:
            async with Client(address) as client:
                head, _ = await client.ask(get(target, b"Via: 2 first\r\n"))
            assert b"Via: 1.0 other\r\n" in head
            assert VIA in head
            assert there.heads[0].index(b"Via: 2 first\r\n") < there.heads[0].index(VIA)

    run(main())


@both
def test_an_old_client_says_how_long_its_body_is(through: Through) -> None:
    async def main() -> None:
        there = Origin(b"one")
        async with server(there) as target, through(target) as address:
            for fields in (b"", b"Transfer-Encoding: chunked\r\n"):
                post = get(target, fields, version=b"1.0", method=b"POST")
                assert (await whole(address, post + b"0\r\n\r\n")).startswith(b"HTTP/1.1 411 ")
            length = b"Content-Length: 2\r\n"
            post = get(target, length, version=b"1.0", method=b"POST") + b"ok"
            assert (await whole(address, post)).startswith(b"HTTP/1.1 200 ")
        assert there.bodies == [b"ok"]

    run(main())


def test_options_are_asked_of_the_whole_target_or_of_one_path() -> None:
    async def main() -> None:
        there = Origin(b"one")
        async with (
            server(there) as target,
            proxy(HTTPHandler) as address,
            Client(address) as client,
        ):
            await client.ask(b"OPTIONS http://%b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
            await client.ask(b"OPTIONS http://%b/ HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
        lines = [head.partition(b"\r\n")[0] for head in there.heads]
        assert lines == [b"OPTIONS * HTTP/1.1", b"OPTIONS / HTTP/1.1"]

    run(main())


def test_options_for_the_proxy_itself_need_a_password_where_all_else_does() -> None:
    async def main() -> None:
        async with proxy(HTTPHandler, user=Userinfo("me", "secret")) as address:
            answer = await whole(address, b"OPTIONS * HTTP/1.1\r\nHost: proxy\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 407 ")

    run(main())


def test_options_for_a_whole_server_go_through_a_gateway() -> None:
    async def main() -> None:
        there = Origin(b"one")
        async with (
            server(there) as target,
            through_gateway(target) as address,
            Client(address) as client,
        ):
            assert (await client.ask(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"))[1] == b"one"
        assert there.heads[0].startswith(b"OPTIONS * HTTP/1.1\r\n")

    run(main())


@both
def test_another_protocol_is_spoken_where_both_sides_want_it(through: Through) -> None:
    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"connection: upgrade\r\n" in head
        assert b"upgrade: chat\r\n" in head
        writer.write(b"HTTP/1.1 101 Go\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\nhello")
        await echo(reader, writer)

    async def main() -> None:
        async with (
            server(origin) as target,
            through(target) as address,
            Client(address) as client,
        ):
            upgrade = b"Connection: x-mine, Upgrade\r\nUpgrade: chat\r\nX-Mine: 1\r\n"
            client.writer.write(get(target, upgrade) + b", early")
            head = (await client.head()).lower()
            assert head.startswith(b"http/1.1 101 ")
            assert b"connection: upgrade\r\n" in head
            assert await client.reader.readexactly(12) == b"hello, early"

    run(main())


@pytest.mark.parametrize(
    ("version", "fields"),
    [(b"1.1", b"Upgrade: chat\r\n"), (b"1.0", b"Connection: upgrade\r\nUpgrade: chat\r\n")],
)
@both
def test_what_nobody_asks_for_properly_is_not_passed_on(
    through: Through, version: bytes, fields: bytes
) -> None:
    async def main() -> None:
        there = Origin(b"one")
        async with server(there) as target, through(target) as address:
            asked = get(target, fields, version=version)
            async with Client(address) as client:
                assert (await client.ask(asked))[1] == b"one"
        assert b"pgrade" not in there.heads[0]

    run(main())


@pytest.mark.parametrize("protocol", [b"h2c", b"chat, H2C", b"HTTP/2.0", b"TLS/1.2"])
@both
def test_no_other_http_is_spoken_whose_requests_no_rule_would_see(
    through: Through, protocol: bytes
) -> None:
    async def main() -> None:
        there = Origin(b"one")
        async with server(there) as target, through(target) as address:
            asked = get(target, b"Connection: upgrade\r\nUpgrade: %b\r\n" % protocol)
            async with Client(address) as client:
                assert (await client.ask(asked))[1] == b"one"
        assert b"pgrade" not in there.heads[0]

    run(main())


@both
def test_a_body_that_is_malformed_is_the_fault_of_the_client(through: Through) -> None:
    async def main() -> None:
        async with server(Origin(b"one")) as target, through(target) as address:
            asked = get(target, b"Transfer-Encoding: chunked\r\n", method=b"POST")
            assert (await whole(address, asked + b"0x2\r\nab\r\n"))[9:12] == b"400"

    run(main())


@both
def test_a_client_learns_which_protocol_it_has_to_speak(through: Through) -> None:
    async def main() -> None:
        answer = (
            b"HTTP/1.1 426 No\r\nConnection: upgrade\r\nUpgrade: chat\r\nContent-Length: 0\r\n\r\n"
        )
        async with (
            server(Origin(b"", answer)) as target,
            through(target) as address,
            Client(address) as client,
        ):
            head, _ = await client.ask(get(target))
            assert b"\r\nUpgrade: chat\r\n" in head

    run(main())


@both
def test_a_body_is_asked_for_by_the_target_and_what_it_says_before_comes_through(
    through: Through,
) -> None:
    bodies: list[bytes] = []

    async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"100-continue" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        bodies.append(await reader.readexactly(4))
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def main() -> None:
        async with (
            server(origin) as target,
            through(target) as address,
            Client(address) as client,
        ):
            expect = b"Expect: 100-continue\r\nContent-Length: 4\r\n"
            head, _ = await client.ask(get(target, expect, method=b"PUT"))
            assert head.startswith(b"HTTP/1.1 100 ")
            client.writer.write(b"body")
            assert (await client.head()).startswith(b"HTTP/1.1 103 ")
            assert (await client.ask(b""))[1] == b"ok"
        assert bodies == [b"body"]

    run(main())


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
@both
def test_a_request_that_says_how_far_it_may_go_goes_no_further(
    through: Through, method: bytes
) -> None:
    async def main() -> None:
        there = Origin(b"one")
        async with server(there) as target, through(target) as address:
            for field in (b"Max-Forwards: 0\r\n", b"max-forwards: 10\r\n"):
                asked = get(target, field, method=method)
                assert (await whole(address, asked)).startswith(b"HTTP/1.1 501 ")
            other = get(target, b"Max-Forwards: 0\r\nConnection: close\r\n")
            assert (await whole(address, other)).startswith(b"HTTP/1.1 200 ")
        assert len(there.heads) == 1

    run(main())


def test_options_for_the_proxy_itself_are_answered_by_it() -> None:
    async def main() -> None:
        async with proxy(HTTPHandler) as address:
            answer = await whole(address, b"OPTIONS * HTTP/1.1\r\nHost: proxy\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")

    run(main())


def test_a_gateway_refuses_a_rule_on_bodies_which_it_does_not_read() -> None:
    async def main() -> None:
        hop = NodeHop(Node("node", "192.0.2.1:80", matcher_body_size_node_option(3)))
        with pytest.raises(ValueError, match="matcher_body_size"):
            async with gateway(hop):
                pass

    run(main())


@pytest.mark.parametrize("field", ["Connection: {}", "Connection: close\r\nConnection: {}"])
def test_many_words_about_the_connection_cost_no_more_than_their_letters(field: str) -> None:
    def seconds(count: int) -> float:
        words = ", ".join(f"x{number}" for number in range(count))
        fields = [("Connection", words), *((f"x{number}", "1") for number in range(count))]
        began = time.process_time()
        assert header.forwarded(fields) == []
        return time.process_time() - began

    small, large = (min(seconds(count) for _ in range(3)) for count in (500, 4_000))
    assert large < 24 * small + 0.02, field  # eight times as much: a square would be 64 times


# ---- through another proxy


class Forwarding(Origin):
    """A proxy that opens no tunnel but to port 443, as many are delivered."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        tunnel = head.startswith(b"CONNECT ")
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n" if tunnel else self.answer)
        await writer.drain()


@asynccontextmanager
async def entry(upstream: str) -> AsyncGenerator[str, None]:
    async with proxy(HTTPHandler, await router_through(upstream)) as address:
        yield address


def test_a_plain_request_goes_through_a_proxy_that_opens_no_tunnel_for_it() -> None:
    async def main() -> None:
        there = Forwarding(b"one")
        login = b"Proxy-Authorization: Basic %b\r\n" % b64encode(b"me:secret")
        async with server(there) as upstream, entry(f"http://me:secret@{upstream}") as address:
            async with Client(address) as client:
                for path in (b"", b"/a?b"):
                    asked = b"GET http://X.example:80%b HTTP/1.1\r\nHost: a\r\n\r\n" % path
                    assert (await client.ask(asked))[1] == b"one"
            assert (await whole(address, b"CONNECT x.example:80 HTTP/1.1\r\n\r\n"))[9:12] == b"403"
        assert [head.partition(b"\r\n")[0] for head in there.heads] == [
            b"GET http://x.example HTTP/1.1",
            b"GET http://x.example/a?b HTTP/1.1",
            b"CONNECT x.example:80 HTTP/1.1",
        ]
        assert all(head.count(login) == 1 for head in there.heads)

    run(main())


def test_only_the_last_of_several_proxies_is_asked_for_the_url() -> None:
    async def main() -> None:
        there = Forwarding(b"one")
        async with server(there) as upstream, proxy(HTTPHandler) as first:
            router = await router_through(f"http://{first}", f"http://{upstream}")
            async with proxy(HTTPHandler, router) as address, Client(address) as client:
                # The target has the address of the node itself: the way to that is a tunnel.
                assert (await client.ask(get(upstream)))[1] == b"one"
        assert there.heads[0].startswith(b"GET http://%b/ HTTP/1.1\r\n" % upstream.encode())

    run(main())


def test_that_the_next_proxy_wants_other_credentials_is_no_question_to_the_client() -> None:
    async def main() -> None:
        there = Forwarding(b"", b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n")
        async with server(there) as upstream, entry(f"http://{upstream}") as address:
            asked = b"GET http://x.example/ HTTP/1.1\r\nHost: a\r\n\r\n"
            assert (await whole(address, asked)).startswith(b"HTTP/1.1 502 ")

    run(main())


def test_an_upgrade_goes_through_another_proxy_as_it_goes_to_a_target() -> None:
    async def main() -> None:
        async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Go\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n")
            await echo(reader, writer)

        async with (
            server(chat) as target,
            proxy(HTTPHandler) as upstream,
            entry(f"http://{upstream}") as address,
            Client(address) as client,
        ):
            upgrade = b"Connection: Upgrade\r\nUpgrade: chat\r\n"
            client.writer.write(get(target, upgrade) + b"hello")
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
            assert await client.reader.readexactly(5) == b"hello"

    run(main())
