"""The gateway of the example: which node a request goes to, and what becomes of it on the way."""

import asyncio
import gzip
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from typing_extensions import Buffer

from gost_core.auth import Authenticator
from gost_core.auth import Option as AuthOption
from gost_core.chain import (
    HTTPBodyRewriteSettings,
    HTTPNodeSettings,
    HTTPURLRewriteSetting,
    Node,
    NodeFilterSettings,
    NodeOption,
    TLSNodeSettings,
    http_node_option,
    matcher_node_option,
    node_filter_option,
    priority_node_option,
    tls_node_option,
)
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.handler import router_option
from gost_core.hop import Hop
from gost_core.ingress import Rule
from gost_core.listener import addr_option
from gost_core.options import apply
from gost_core.rewriter import RewriteOption, RewriteOptions, Rewriter
from gost_core.sd import Service
from gost_core.testing.handler import HandlerContract
from gost_core.testing.rewriter import RewriterContract
from proxy.auth import UserTable
from proxy.chain.router import RetryRouter
from proxy.handler.gateway import GatewayHandler
from proxy.hop import IngressHop, NodeHop
from proxy.ingress import MemoryIngress
from proxy.listener.tcp import TCPListener
from proxy.rewriter import PatternRewriter
from proxy.routing import RequestMatcher
from proxy.sd.memory import MemorySD
from proxy.service import TaskService
from tests.examples.proxy_harness import run, server
from tests.examples.test_proxy_protocols import talk

CTX = Context()
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

TestPatternRewriter = RewriterContract(
    lambda: PatternRewriter(re.compile(rb"(w)orld"), rb"\1ide"),
    samples={b"hello world": b"hello wide", b"": b"", b"other": b"other"},
).as_tests()
TestGatewayHandler = HandlerContract(GatewayHandler).as_tests()


@asynccontextmanager
async def gateway(hop: Hop | None) -> AsyncGenerator[str]:
    """Run a gateway in this event loop; yield its address."""
    handler = GatewayHandler(router_option(RetryRouter()))
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
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
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
        if writer.can_write_eof():
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
    content: bytes | None = None,
    **header: str,
) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
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
        sd = MemorySD(lease=10, clock=lambda: now)
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
        async with to_one_node(response) as (one, address):
            request = (
                b"GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\nX-Hop: 1\r\nTE: trailers"
                b"\r\nConnection: X-Hop, Host, Content-Length, close\r\n"
                b"Proxy-Authorization: secret\r\nContent-Length: 2\r\n\r\nhi"
            )
            answer = await exchange(address, request)
            assert one.head[0] == "GET /x HTTP/1.1"
            assert sorted(one.head[1:]) == [
                "Connection: close",
                "Content-Length: 2",
                "Host: a.example",
                "Via: 1.1 gost-example-proxy",
            ]
            assert one.body == b"hi"
            assert answer == (
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 gost-example-proxy\r\n"
                b"Connection: close\r\n\r\nok"
            )

    run(main())


@asynccontextmanager
async def to_one_node(
    response: bytes = b"", settings: HTTPNodeSettings | None = None
) -> AsyncGenerator[tuple[Backend, str]]:
    """Run a gateway before a single server; yield the server and the gateway's address."""
    async with backend(response=response) as one:
        node = Node("node", one.address, http_node_option(settings))
        async with gateway(NodeHop(node)) as address:
            yield one, address


def replaced(
    pattern: bytes, replacement: bytes, type: str = "", limit: int = 0
) -> HTTPBodyRewriteSettings:
    return HTTPBodyRewriteSettings(
        type=type, pattern=re.compile(pattern), replacement=replacement, max_chunk_size=limit
    )


class Log(Rewriter):
    """Shouts, drops what says so, fails where it is told to, and says goodbye."""

    def __init__(self) -> None:
        self.given: list[bytes | None] = []
        self.metadata: list[object] = []

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.metadata.append(apply(RewriteOptions(), *opts).metadata)
        self.given.append(None if data is None else bytes(data))
        if data is None:
            return b"data: bye"
        if b"fail" in bytes(data):
            raise RuntimeError("told to fail")
        return b"" if b"drop" in bytes(data) else bytes(data).upper()


@pytest.mark.parametrize(
    ("rules", "media_type", "body", "expected"),
    [
        ([replaced(b"(c)at", rb"\1ow"), replaced(b"cow", b"dog")], "text/html", b"a cat", b"a dog"),
        ([replaced(b"cat", b"dog")], "text/plain", b"a cat", b"a cat"),
        ([replaced(b"cat", b"dog", "*")], "text/plain", b"a cat", b"a dog"),
        ([replaced(b"cat", b"dog", "a/b, Text/Plain")], "text/plain", b"a cat", b"a dog"),
        ([replaced(b"cat", b"", "*")], "text/plain", b"cat", b""),
        ([HTTPBodyRewriteSettings(type="*", replacement=b"all")], "a/b", b"a cat", b"all"),
        ([replaced(b"cat", b"dog", limit=5)], "text/html", b"a cat", b"a dog"),
        ([replaced(b"cat", b"dog", limit=4)], "text/html", b"a cat", b"a cat"),
        (
            [replaced(b"no", b"", limit=5), replaced(b"cat", b"dog", limit=2)],
            "text/html",
            b"a cat",
            b"a dog",
        ),
        ([HTTPBodyRewriteSettings(rewriter=Log())], "a/b", b"a cat", b"A CAT"),
        (
            [HTTPBodyRewriteSettings(rewriter=PatternRewriter(re.compile(rb"(c)at"), rb"\1ow"))],
            "a/b",
            b"a cat",
            b"a cow",
        ),
        (
            [HTTPBodyRewriteSettings(rewriter=Log(), pattern=re.compile(b"dog"))],
            "text/html",
            b"a cat",
            b"a cat",
        ),
    ],
)
@pytest.mark.parametrize("framing", ["length", "end"])
def test_bodies_are_rewritten_by_all_rules_that_fit_in_order(
    rules: Sequence[HTTPBodyRewriteSettings],
    media_type: str,
    body: bytes,
    expected: bytes,
    framing: str,
) -> None:
    async def main() -> None:
        settings = HTTPNodeSettings(rewrite_response_body=rules)
        response = html(body, media_type)
        if framing == "end":
            response = response.replace(b"Content-Length", b"X")
        async with to_one_node(response, settings) as (_, address):
            answer = await ask(address)
            assert (answer.status_code, answer.content) == (200, expected)

    run(main())


@pytest.mark.parametrize(
    "settings",
    [
        HTTPNodeSettings(auther=UserTable(Userinfo("user", "password"))),
        HTTPNodeSettings(rewrite_request_body=[replaced(b"cat", b"dog")]),
        HTTPNodeSettings(rewrite_response_body=[replaced(b"cat", b"dog", "json:a.b")]),
        HTTPNodeSettings(rewrite_response_body=[replaced(b"cat", b"dog", "*")]),
    ],
)
def test_rules_that_are_not_served_let_nothing_through(settings: HTTPNodeSettings) -> None:
    async def main() -> None:
        events = html(b"data: a cat\n\n", "text/event-stream")
        async with to_one_node(events, settings) as (_, address):
            answer = await ask(address, "/", "POST", b"a cat")
            assert (answer.status_code >= 400, answer.content) == (True, b"")

    run(main())


def test_targets_are_asked_for_whole_and_plain_bodies_where_rules_read_them() -> None:
    async def main() -> None:
        body = gzip.compress(b"a cat")
        response = html(body, "text/html", "Content-Encoding: gzip")
        settings = HTTPNodeSettings(rewrite_response_body=[replaced(b"cat", b"dog")])
        async with to_one_node(response, settings) as (one, address):
            answer = await ask(address, accept_encoding="gzip", range="bytes=0-3")
            assert "accept-encoding" not in "".join(one.head).lower()
            assert "range" not in "".join(one.head).lower()
            assert answer.text == "a cat"  # what comes in a coding all the same is not looked into

    run(main())


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_response_without_a_body_gets_none(status: str) -> None:
    async def main() -> None:
        settings = HTTPNodeSettings(
            rewrite_response_body=[HTTPBodyRewriteSettings(type="*", replacement=b"all")]
        )
        response = f"HTTP/1.1 {status}\r\n\r\n".encode()
        async with to_one_node(response, settings) as (_, address):
            assert (await exchange(address, LAST)).endswith(b"\r\nConnection: close\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        async with to_one_node(head, settings) as (_, address):
            answer = await exchange(address, LAST.replace(b"GET", b"HEAD"))
            assert answer.lower().count(b"content-length: 5") == 1
            assert answer.endswith(b"\r\n\r\n")

    run(main())


@pytest.mark.parametrize("rules", [(), (replaced(b"x", b"y", "*"),)])
def test_big_bodies_pass_unchanged(rules: Sequence[HTTPBodyRewriteSettings]) -> None:
    body = bytes(range(256)) * 40_000 + b"x"

    async def main() -> None:
        settings = HTTPNodeSettings(rewrite_response_body=rules)
        async with to_one_node(html(body), settings) as (one, address):
            answer = await ask(address, "/", "PUT", body)
            assert answer.content == body
            assert one.body == body

    run(main())


def test_a_rewriter_that_fails_lets_nothing_through() -> None:
    async def main() -> None:
        rules = [HTTPBodyRewriteSettings(rewriter=Log())]
        settings = HTTPNodeSettings(rewrite_response_body=rules)
        async with to_one_node(html(b"please fail"), settings) as (_, address):
            answer = await ask(address)
            assert (answer.status_code, answer.content) == (502, b"")

    run(main())


# ---- who may


class Broken(Authenticator):
    async def authenticate(
        self, ctx: Context, user: str, password: str, /, *opts: AuthOption
    ) -> str | None:
        raise OSError("the backend is away")


def test_a_node_that_wants_tls_is_not_spoken_to_in_plain_text() -> None:
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        said.append(await reader.read())

    async def main() -> None:
        async with server(serve) as address:
            node = Node("node", address, tls_node_option(TLSNodeSettings()))
            async with gateway(NodeHop(node)) as near:
                assert (await ask(near)).status_code >= 400
            assert b"GET" not in b"".join(said)

    run(main())


# ---- faults, and the corners of the protocol


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/../secret HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/%2e%2E/secret HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/..%5csecret HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nok",
    ],
)
def test_a_malformed_request_gets_400(request_: bytes) -> None:
    async def main() -> None:
        async with to_one_node() as (one, address):
            assert (await exchange(address, request_)).startswith(b"HTTP/1.1 400 ")
            assert one.requests == []

    run(main())


def test_each_request_of_a_connection_is_decided_on_anew() -> None:
    async def main() -> None:
        async with backend("ours") as ours, backend("theirs") as theirs:
            nodes = [
                Node(one.name, one.address, matcher_node_option(RequestMatcher(host=one.name)))
                for one in (ours, theirs)
            ]
            async with gateway(NodeHop(*nodes)) as address:
                answer = await exchange(
                    address,
                    b"POST /a HTTP/1.1\r\nHost: ours\r\nContent-Length: 2\r\n\r\nok"
                    b"PUT /b HTTP/1.1\r\nHost: theirs\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"1;x=y\r\no\r\n1\r\nk\r\n0\r\n\r\n"
                    b"GET /c HTTP/1.1\r\nHost: nobody's\r\n\r\n",
                )
        assert re.findall(rb"HTTP/1.1 (\d+)|\n(ours|theirs)", answer) == [
            *((b"200", b""), (b"", b"ours"), (b"200", b""), (b"", b"theirs"), (b"404", b"")),
        ]
        assert [one.body for one in (ours, theirs)] == [b"ok", b"ok"]

    run(main())


def test_a_response_that_comes_before_the_end_of_the_request_arrives() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        while await reader.read(65536):
            pass

    async def main() -> None:
        async with server(serve) as address, gateway(NodeHop(Node("node", address))) as near:
            host, _, port = near.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
            writer.write(b"x" * 1_000_000)
            assert (await reader.read()).endswith(b"\r\n\r\nbig")
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b" ", b"HTTP/1.1 502 "),
        (b"SSH-2.0\r\n\r\n", b"HTTP/1.1 502 "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", b"HTTP/1.1 502 "),
        (b"HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\nabcde", b"HTTP/1.1 502 "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"HTTP/1.1 200 "),
    ],
)
def test_a_target_that_breaks_off_or_breaks_the_rules_is_told_from_a_whole_response(
    response: bytes, expected: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with to_one_node(response) as (_, address):
            answer = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert answer.startswith(expected)
            assert not answer.endswith(b"\r\n\r\nabcde")

    run(main())


def test_a_client_that_ended_its_side_gets_its_response() -> None:
    async def main() -> None:
        async with to_one_node() as (_, address):
            assert (await exchange(address, LAST, half_close=True)).endswith(b"backend")

    run(main())


def test_an_exchange_ends_with_its_response_though_the_target_stays() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        while await reader.read(100):
            pass
        gone.set()

    async def main() -> None:
        async with server(serve) as address, gateway(NodeHop(Node("node", address))) as near:
            assert (await exchange(near, LAST)).endswith(b"ok")
            await gone.wait()

    run(main())


def test_a_directory_that_is_out_of_reach_gives_502_and_nothing_direct() -> None:
    class Away(MemorySD):
        async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
            raise OSError("the directory is away")

    async def main() -> None:
        hop = IngressHop(MemoryIngress(Rule(hostname=".", endpoint="web")), Away())
        async with gateway(hop) as address:
            assert (await ask(address)).status_code == 502

    run(main())
