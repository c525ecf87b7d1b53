"""An HTTP gateway: which node serves a request, and what is changed on the way there and back."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs, quote, unquote

import h11

from gost_core import hop
from gost_core.chain import HTTPNodeSettings, HTTPURLRewriteSetting, Node
from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context

from ..component import refuse_options
from ..net.relay import CHUNK, ClientGoneError, Traffic, of_client
from ..net.stream import PrefixedConn, read_exactly
from ..net.tls import connect_tls
from ..net.tls_settings import target_config
from ..wire import http
from .bodies import BodyRules
from .forward import ForwardHandler, ForwardRequest
from .http import HTTPHandler
from .proxy import GREETING_LIMIT, RefusedError, Request, reply_and_linger

_config = lru_cache(target_config)  # it reads the certificates of all authorities
MOST_TO_MATCH = 10 << 20  # bytes of a body that matchers may see (D68)
UNQUOTED = "/:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(ForwardRequest):
    """A request that a node was found for, as the node's settings have made it."""

    settings: HTTPNodeSettings
    method: str
    path: str
    length: int
    """Of the body, which the client sends meanwhile."""


class GatewayHandler(HTTPHandler, ForwardHandler):
    """Sends each request to the node that a hop chooses for it; one request a connection.

    It speaks HTTP/1.0 with targets: no body comes in chunks, so it can be told where one ends, and
    a body of unknown length is refused to clients. What comes in a content coding all the same is
    not rewritten.
    """

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Exchange:
        try:
            near = http.Messages(conn, http.side(h11.SERVER))
            asked = await near.read_request()
            client, method, header = near.conn, asked.method.decode(), http.header_of(asked)
            host, path, query = _parse_url(asked.target.decode(), header)
            length = http.length_of(header) or 0
        except (ValueError, ProtocolError) as error:
            raise RefusedError(f"malformed request: {error}", http.answer(400)) from error
        if self._hop is None:
            raise RefusedError("there is no hop to choose a node", http.answer(404))
        early = await read_exactly(client, min(length, self._matched_size()))
        try:
            node = await self._hop.select(
                ctx,
                hop.network_select_option("tcp"),
                hop.addr_select_option(http.with_port(host)),
                hop.protocol_select_option("http"),
                hop.host_select_option(host),
                hop.method_select_option(method.upper()),
                hop.path_select_option(unquote(path)),
                hop.query_select_option(parse_qs(query, keep_blank_values=True)),
                hop.header_select_option(http.fields_of(header)),
                hop.body_select_option(early),
            )
        except Exception as error:  # never turned into another target (D36)
            raise RefusedError(f"{host}: {error}", self.refusal(error)) from error
        if node is None:
            raise RefusedError(f"no node serves {host!r}", http.answer(404))
        settings = node.options().http or HTTPNodeSettings()
        header = http.changed(http.forwarded(header), {"Host": settings.host or host, "Expect": ""})
        if settings.auther is not None:
            said = http.credentials(header, "authorization")
            if said is None or await self.identify(ctx, *said, settings.auther) is None:
                raise RefusedError(f"{node.name}: wrong user name or password", http.answer(401))
            header = http.changed(header, {"Authorization": ""})  # meant for this gateway
        if settings.rewrite_response_body:
            header = http.changed(header, {"Accept-Encoding": "", "Range": ""})
        header = http.changed(header, settings.request_header)
        path = _rewritten(settings.rewrite_url, path, query)
        return Exchange(
            target=http.with_port(node.addr, 80 if node.options().tls is None else 443),
            client=PrefixedConn(client, early) if early else client,
            head=http.write_head(f"{method} {path} HTTP/1.0", header),
            node=node,
            settings=settings,
            method=method,
            path=path,
            length=length,
        )

    def _matched_size(self) -> int:
        """Return how much of a body the nodes' matchers want to see (D68)."""
        nodes: Sequence[Node] = self._hop.nodes() if isinstance(self._hop, hop.NodeList) else ()
        wanted = max((node.options().matcher_body_size for node in nodes), default=0)
        return max(0, min(wanted, MOST_TO_MATCH))

    async def reach(self, ctx: Context, request: Request) -> Conn:
        assert isinstance(request, Exchange)
        refuse_options(request.settings, "rewrite_request_body")
        target = await super().reach(ctx, request)
        tls = request.node.options().tls
        if tls is None:
            return target
        try:
            async with asyncio.timeout(GREETING_LIMIT):
                return await connect_tls(target, _config(tls), request.target)
        except BaseException:
            await target.close()
            raise

    async def carry(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> None:
        """Carry one request there and one response back, which may come first."""
        assert isinstance(request, Exchange)

        async def send() -> None:
            data, left = request.head, request.length
            while True:
                # A target that reads no more may have answered already.
                with suppress(BrokenPipeError, ConnectionResetError):
                    await target.write(data)
                received = await of_client(client.read(CHUNK))
                if not received:
                    break
                data = received[:left]  # no second request is served
                left -= len(data)
                traffic.sent += len(data)
            if left:
                raise ClientGoneError

        async def receive() -> None:
            async with aclosing(_response(ctx, request, target)) as response:
                async for data in response:
                    await of_client(client.write(data))
                    traffic.received += len(data)

        sending, receiving = asyncio.create_task(send()), asyncio.create_task(receive())
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            await receiving
        except ClientGoneError:
            raise
        except Exception as error:
            if traffic.received:
                raise
            raise RefusedError(f"{request.target}: {error}", http.answer(502)) from error
        finally:
            sending.cancel()
            receiving.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
        await reply_and_linger(client, b"")


async def _response(ctx: Context, exchange: Exchange, target: Conn) -> AsyncGenerator[bytes, None]:
    """Yield what a target answers, as the node's settings make it."""
    response, target = await http.read_final_response(target, exchange.method)
    status, header = response.status_code, http.header_of(response)
    try:
        left = http.length_of(header)
    except ValueError as error:
        raise ProtocolError(f"malformed response: {error}") from error
    fields, settings = http.fields_of(header), exchange.settings
    has_body = exchange.method != "HEAD" and status not in (204, 304)
    rules = BodyRules(
        ctx,
        settings.rewrite_response_body if has_body and "Content-Encoding" not in fields else (),
        fields.get("Content-Type", [""])[0].partition(";")[0].strip().lower(),
        {"direction": "response", "uri": exchange.path},
    )
    body, held = _body(target, left if has_body else 0), b""
    if rules and rules.is_stream:
        header = http.changed(header, {"Content-Length": ""})
        body = rules.rewrite_events(body)
    elif rules:
        async for data in body:
            held += data
            if len(held) > rules.limit:  # too long: it passes unchanged (D68)
                break
        else:
            held = await rules.rewrite(held)
            header = http.changed(header, {"Content-Length": str(len(held))})
    header = http.changed(http.forwarded(header), settings.response_header)  # after all else (D67)
    reason = response.reason.decode("latin-1")
    yield http.write_head(f"HTTP/1.1 {status} {reason}", header) + held
    async with aclosing(body):
        async for data in body:
            yield data


async def _body(conn: Conn, length: int | None) -> AsyncGenerator[bytes, None]:
    """Yield a body of a known length, or what comes up to the end."""
    if length is None:
        while data := await conn.read(CHUNK):
            yield data
        return
    while length:
        data = await read_exactly(conn, min(length, CHUNK))
        length -= len(data)
        yield data


def _parse_url(url: str, header: http.Header) -> tuple[str, str, str]:
    """Return the host of a request, its path and its query, as they were written."""
    found = re.fullmatch(r"(?:https?://([^/?#]+))?(/[^?#]*)?(?:\?([^#]*))?", url, re.IGNORECASE)
    if found is None:
        raise ValueError("the target is neither a path nor an address of HTTP")
    path = found[2] or "/"
    if {".", ".."} & {*re.split(r"[/\\]", unquote(path))}:
        # Rules on paths would be asked about another one than the target serves.
        raise ValueError("no path goes up here")
    hosts = http.fields_of(header).get("Host", [])
    if len(hosts) != 1:
        raise ValueError("a request has one host")
    return found[1] or hosts[0], path, found[3] or ""


def _rewritten(rules: Sequence[HTTPURLRewriteSetting], path: str, query: str) -> str:
    """Apply the first rule that fits, to the decoded path (D67)."""
    decoded = unquote(path, errors="surrogateescape")
    for rule in rules:
        if rule.pattern.search(decoded):
            found, mark, added = rule.pattern.sub(rule.replacement, decoded).partition("?")
            if found or added:
                path = quote(found or "/", safe=UNQUOTED, errors="surrogateescape")
                query = quote(added, safe=f"{UNQUOTED}?%") if mark else query
            break
    return f"{path}?{query}" if query else path
