"""The gateway of the example: which node a request goes to, and what becomes of it on the way."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from proxy_harness import run, server

from gost_core.chain import (
    HTTPNodeSettings,
    HTTPURLRewriteSetting,
    Node,
    NodeFilterSettings,
    NodeOption,
    http_node_option,
    matcher_body_size_node_option,
    matcher_node_option,
    node_filter_option,
    priority_node_option,
)
from gost_core.context import Context
from gost_core.handler import Option, router_option
from gost_core.hop import Hop
from gost_core.ingress import Rule
from gost_core.listener import addr_option
from gost_core.routing import Matcher, Request
from gost_core.sd import Service
from gost_core.testing import check_handler_handler, check_rewriter_rewriter, contract_tests
from proxy.chain import RetryRouter
from proxy.discovery import MemorySD
from proxy.gateway import GatewayHandler
from proxy.hop import NodeHop
from proxy.ingress import IngressHop, MemoryIngress
from proxy.rewrite import PatternRewriter
from proxy.rules import RequestMatcher
from proxy.service import TaskService
from proxy.tcp import TCPListener

CTX = Context()

TestPatternRewriter = contract_tests(
    check_rewriter_rewriter,
    lambda: PatternRewriter(re.compile(rb"(w)orld"), rb"\1ide"),
    samples={b"hello world": b"hello wide", b"": b"", b"other": b"other"},
)
TestGatewayHandler = contract_tests(check_handler_handler, GatewayHandler)


@asynccontextmanager
async def gateway(hop: Hop | None, *opts: Option) -> AsyncGenerator[str]:
    """Run a gateway in this event loop; yield its address."""
    handler = GatewayHandler(router_option(RetryRouter()), *opts)
    handler.forward(hop)
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


@dataclass(slots=True)
class Backend:
    """A server of HTTP that remembers what it was asked."""

    name: str = "backend"
    response: bytes = b""
    """All of it; by default its name, and what it was asked."""
    requests: list[bytes] = field(default_factory=list[bytes])
    address: str = ""

    @property
    def request(self) -> bytes:
        return self.requests[-1]

    @property
    def head(self) -> list[str]:
        return self.request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def body(self) -> bytes:
        return self.request.partition(b"\r\n\r\n")[2]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        if found := re.search(rb"\r\ncontent-length: (\d+)", lower):
            body = await reader.readexactly(int(found[1]))
        elif b"transfer-encoding: chunked" in lower:
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            body = b""
        self.requests.append(head + body)
        text = self.name.encode()
        default = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
        writer.write(self.response or default)
        await writer.drain()
        writer.write_eof()
        await reader.read()


@asynccontextmanager
async def backend(name: str = "backend", response: bytes = b"") -> AsyncGenerator[Backend]:
    made = Backend(name, response)
    async with server(made.serve) as made.address:
        yield made


def html(body: bytes, media_type: str = "text/html; charset=utf-8", *more: str) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(
    address: str,
    path: str = "/",
    method: str = "GET",
    content: bytes | AsyncGenerator[bytes] | None = None,
    **header: str,
) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        fields = {name.replace("_", "-"): value for name, value in header.items()}
        return await client.request(
            method, f"http://{address}{path}", content=content, headers=fields
        )


async def exchange(address: str, request: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes as they are; return all that comes back."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        if half_close:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


# ---- which node


def test_the_ingress_and_the_directory_lead_a_host_to_its_service() -> None:
    async def main() -> None:
        ingress = MemoryIngress(
            Rule(hostname="a.example", endpoint="web"), Rule(hostname="*.b.example", endpoint="api")
        )
        sd = MemorySD()
        async with backend("web") as web, backend("api") as api:
            for one in (web, api):
                await sd.register(CTX, Service(name=one.name, network="tcp", address=one.address))
            async with gateway(IngressHop(ingress, sd)) as address:
                assert (await ask(address, host="A.example:80")).text == "web"
                assert (await ask(address, host="x.b.example")).text == "api"
                assert (await ask(address, host="c.example")).status_code == 404
                await sd.deregister(CTX, Service(name="web"))
                assert (await ask(address, host="a.example")).status_code == 404

    run(main())


def test_a_service_that_left_is_not_chosen_after_its_lease() -> None:
    async def main() -> None:
        now = 0.0
        sd = MemorySD(10, lambda: now)
        hop = IngressHop(MemoryIngress(Rule(hostname=".", endpoint="web")), sd)
        async with backend("here") as here, gateway(hop) as address:
            await sd.register(CTX, Service(name="web", network="tcp", address=here.address))
            assert (await ask(address)).text == "here"
            now = 11.0
            assert (await ask(address)).status_code == 404
            assert len(here.requests) == 1

    run(main())


def test_a_service_that_cannot_be_reached_is_passed_over_next_time() -> None:
    async def main() -> None:
        sd = MemorySD()
        hop = IngressHop(MemoryIngress(Rule(hostname=".", endpoint="web")), sd)
        async with backend("alive") as alive, gateway(hop) as address:
            async with backend() as dead:
                pass
            for one in (dead, alive):
                service = Service(name="web", node=one.name, network="tcp", address=one.address)
                await sd.register(CTX, service)
            statuses = [(await ask(address)).status_code for _ in range(20)]
            assert statuses.count(502) <= 1
            assert statuses[-1] == 200

    run(main())


def test_matchers_filters_and_priorities_choose_the_node() -> None:
    async def main() -> None:
        async with (
            backend("host") as host,
            backend("path") as path,
            backend("header") as header,
            backend("filter") as filter,
            backend("else") as other,
        ):

            def node(one: Backend, *opts: NodeOption) -> Node:
                return Node(one.name, one.address, *opts)

            hop = NodeHop(
                node(other),
                node(
                    host,
                    matcher_node_option(RequestMatcher(host="*.example")),
                    priority_node_option(1),
                ),
                node(
                    path,
                    matcher_node_option(RequestMatcher(path="/an api")),
                    priority_node_option(2),
                ),
                node(
                    header,
                    matcher_node_option(RequestMatcher(header={"x-a1b": "yes"}, method="POST")),
                    priority_node_option(3),
                ),
                node(
                    filter,
                    node_filter_option(NodeFilterSettings(protocol="http", host="f.example")),
                    priority_node_option(4),
                ),
            )
            async with gateway(hop) as address:
                assert (await ask(address)).text == "else"
                assert (await ask(address, host="a.example")).text == "host"
                assert (await ask(address, "/an%20api/x?q", host="a.example")).text == "path"
                assert (await ask(address, "/an%20apix", host="a.example")).text == "host"
                assert (await ask(address, "/an%20api", "POST", X_A1B="yes")).text == "header"
                assert (await ask(address, "/an%20api", "GET", X_A1B="yes")).text == "path"
                assert (
                    await ask(address, "/", "POST", X_a1b="yes", host="f.example")
                ).text == "filter"

    run(main())


class BodyMatcher(Matcher):
    """Wants a word to be in the body."""

    def __init__(self, word: bytes) -> None:
        self._word = word

    async def match(self, request: Request, /) -> bool:
        return self._word in request.body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_matcher_sees_the_beginning_of_a_body_and_the_target_all_of_it(chunked: bool) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for piece in (b"a fish ", b"and a bird", b"!" * 100_000):
            yield piece

    async def main() -> None:
        whole = b"a fish and a bird" + b"!" * 100_000
        async with backend("fish") as fish, backend("bird") as bird:
            hop = NodeHop(
                *(
                    Node(
                        one.name,
                        one.address,
                        matcher_node_option(BodyMatcher(word)),
                        matcher_body_size_node_option(size),
                    )
                    for one, word, size in ((fish, b"cat", 5), (bird, b"bird", 17))
                )
            )
            async with gateway(hop) as address:
                content = pieces() if chunked else whole
                assert (await ask(address, "/", "POST", content)).text == "bird"
                assert bird.body == whole
                assert (await ask(address, "/", "POST", b"nothing")).status_code == 404

    run(main())


# ---- what is changed


def test_the_url_and_the_headers_are_changed_on_the_way() -> None:
    async def main() -> None:
        async with backend(response=html(b"", "text/plain", "X-Old: 1", "Server: secret")) as one:
            node = Node(
                "node",
                one.address,
                http_node_option(
                    HTTPNodeSettings(
                        host="inner.example",
                        request_header={"X-Set": "new", "x-drop": ""},
                        response_header={"server": "gateway", "X-More": "2"},
                        rewrite_url=[
                            HTTPURLRewriteSetting(pattern=re.compile("^/none")),
                            HTTPURLRewriteSetting(
                                pattern=re.compile("^/o ld/(.*)"), replacement=r"/new/\1?from=old"
                            ),
                            HTTPURLRewriteSetting(pattern=re.compile("new"), replacement="never"),
                        ],
                    )
                ),
            )
            async with gateway(NodeHop(node)) as address:
                response = await ask(address, "/o%20ld/%C3%A4%3Cb?q=1", X_Drop="x", X_Keep="k")
                assert one.head[0] == "GET /new/%C3%A4%3Cb?from=old HTTP/1.1"
                fields = {line.lower() for line in one.head[1:]}
                assert {"host: inner.example", "x-set: new", "x-keep: k"} <= fields
                assert not any(line.startswith("x-drop") for line in fields)
                assert response.headers["server"] == "gateway"
                assert response.headers["x-more"] == "2"
                assert response.headers["x-old"] == "1"
                await ask(address, "/as%2Fis/%zz?a=%20b&c")
                assert one.head[0] == "GET /as%2Fis/%zz?a=%20b&c HTTP/1.1"

    run(main())


def test_what_concerns_one_connection_only_is_not_passed_on() -> None:
    async def main() -> None:
        response = (
            b"HTTP/1.1 200 OK\r\nConnection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Content-Length: 2\r\n\r\nok"
        )
        async with (
            backend(response=response) as one,
            gateway(NodeHop(Node("node", one.address))) as address,
        ):
            answer = await exchange(
                address,
                b"GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\nX-Hop: 1\r\nTE: trailers\r\n"
                b"Connection: X-Hop, Host, Content-Length\r\nProxy-Authorization: secret\r\n"
                b"Content-Length: 2\r\n\r\nhi",
            )
            assert one.head == [
                "GET /x HTTP/1.1",
                "Content-Length: 2",
                "Host: a.example",
                "Connection: close",
            ]
            assert one.body == b"hi"
            assert answer == (
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            )

    run(main())
