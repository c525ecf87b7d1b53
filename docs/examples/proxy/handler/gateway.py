"""An HTTP gateway: which node serves a request, and what is changed on the way there and back."""

import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote

import h11

from gost_core import chain, hop, rewriter
from gost_core.chain import HTTPNodeSettings, Node
from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context
from gost_core.metadata import Metadata

from ..component import refuse_options
from ..wire import header as fields
from ..wire import http
from ..wire.http import Messages, answer
from .exchange import Body, Exchange
from .forward import ForwardHandler, ForwardRequest
from .http import HTTPHandler, check_served, forwarded
from .proxy import RefusedError, Request

UNQUOTED = "/:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded(Exchange, ForwardRequest):
    """A request that a node was found for, as the node's settings have made it."""

    ctx: Context
    settings: HTTPNodeSettings

    async def change(
        self, response: h11.Response, header: fields.Header, body: Body
    ) -> tuple[fields.Header, Body]:
        found = fields.fields_of(header)
        rules = self.settings.rewrite_response_body
        has_body = self.method != b"HEAD" and response.status_code not in (204, 304)
        if has_body and "Content-Encoding" not in found:
            media_type = found.get("Content-Type", [""])[0].partition(";")[0].strip().lower()
            if fitting := [rule for rule in rules if _fits(rule, media_type)]:
                limit = max(rule.max_chunk_size for rule in rules) or 1 << 20
                said = rewriter.metadata_rewrite_option({"direction": "response", "uri": self.path})
                header, body = await _rewritten_body(self.ctx, fitting, limit, said, header, body)
        return fields.changed(header, self.settings.response_header), body  # after all else (D67)


class GatewayHandler(HTTPHandler, ForwardHandler):
    """Sends each request to the node that a hop chooses for it."""

    async def init(self, metadata: Metadata | None, /) -> None:
        nodes: Sequence[Node] = self._hop.nodes() if isinstance(self._hop, hop.NodeList) else ()
        for node in nodes:
            refuse_options(node.options(), "matcher_body_size")  # which no rule gets to see
        await super().init(metadata)

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        try:
            near = Messages(conn, http.side(h11.SERVER))
            asked = await near.read_request()
            self.count_request(conn)
            check_served(asked)
            header = forwarded(asked)
            host, path, query = _parse_url(asked)
        except (ValueError, ProtocolError) as error:
            raise RefusedError(f"malformed request: {error}", answer(400)) from error
        node = await self._choose(ctx, asked, host, path, query)
        settings = node.options().http or HTTPNodeSettings()
        if settings.rewrite_response_body:
            header = fields.changed(header, {"Accept-Encoding": "", "Range": ""})
        header = [("Host", settings.host or host), *header]
        path = _rewritten(settings.rewrite_url, path, query)
        return Forwarded(
            target=fields.with_port(node.addr),
            client=near.conn,
            near=near,
            method=asked.method,
            path=path,
            header=fields.changed(header, settings.request_header),
            ctx=ctx,
            node=node,
            settings=settings,
        )

    async def _choose(
        self, ctx: Context, asked: h11.Request, host: str, path: str, query: str
    ) -> Node:
        if self._hop is None:
            raise RefusedError("there is no hop to choose a node", answer(404))
        try:
            node = await self._hop.select(
                ctx,
                hop.network_select_option("tcp"),
                hop.addr_select_option(fields.with_port(host)),
                hop.protocol_select_option("http"),
                hop.host_select_option(host),
                hop.method_select_option(asked.method.decode().upper()),
                hop.path_select_option(unquote(path)),
                hop.query_select_option(parse_qs(query, True, max_num_fields=http.FIELDS)),
                hop.header_select_option(fields.fields_of(fields.header_of(asked))),
            )
        except Exception as error:  # never turned into another target (D36)
            raise RefusedError(f"{host}: {error}", self.refusal(error)) from error
        if node is None:
            raise RefusedError(f"no node serves {host!r}", answer(404))
        return node

    async def reach(self, ctx: Context, request: Request) -> Conn:
        assert isinstance(request, Forwarded)
        refuse_options(request.settings, "auther", "rewrite_request_body")
        if any(rule.type.startswith("json:") for rule in request.settings.rewrite_response_body):
            raise ValueError("rules on fields of JSON are not served here")
        refuse_options(request.node.options(), "tls", "matcher_body_size")  # no TLS is spoken
        return await super().reach(ctx, request)


def _fits(rule: chain.HTTPBodyRewriteSettings, media_type: str) -> bool:
    """Tell whether a rule is for a media type (D68)."""
    wanted = rule.type or ("*" if rule.rewriter is not None else "text/html")
    if wanted != "*" and media_type not in [one.strip().lower() for one in wanted.split(",")]:
        return False
    if media_type == "text/event-stream":
        raise ValueError("rules on streams of events are not served here")
    return True


async def _rewritten_body(
    ctx: Context,
    rules: Sequence[chain.HTTPBodyRewriteSettings],
    limit: int,
    option: rewriter.RewriteOption,
    header: fields.Header,
    body: Body,
) -> tuple[fields.Header, Body]:
    """Apply rules to a body, each to what the one before it has made."""
    held = bytearray()
    async for data in body:
        held += data
        if len(held) > limit:  # too long: it passes unchanged (D68)
            return header, _chained(bytes(held), body)
    whole = bytes(held)
    for rule in rules:
        if rule.pattern is None or rule.pattern.search(whole):
            if rule.rewriter is not None:
                whole = await rule.rewriter.rewrite(ctx, whole, option)
            elif rule.pattern is not None:
                whole = rule.pattern.sub(rule.replacement, whole)
            else:
                whole = rule.replacement
    header = fields.changed(header, {"Content-Length": "", "Transfer-Encoding": ""})
    return [*header, ("Content-Length", str(len(whole)))], _chained(whole, body)


async def _chained(first: bytes, rest: Body) -> Body:
    async with aclosing(rest):
        if first:
            yield first
        async for data in rest:
            yield data


def _parse_url(asked: h11.Request) -> tuple[str, str, str]:
    """Return the host of a request, its path and its query, as they were written."""
    url, header = asked.target.decode(), fields.header_of(asked)
    hosts = fields.fields_of(header).get("Host", [])
    if len(hosts) != 1:
        raise ValueError("a request has one host")
    if (asked.method, url) == (b"OPTIONS", "*"):
        return hosts[0], url, ""
    found = re.fullmatch(r"(?:https?://([^/?#]+))?(/[^?#]*)?(?:\?([^#]*))?", url, re.IGNORECASE)
    if found is None:
        raise ValueError("the target is neither a path nor an address of HTTP")
    path = found[2] or "/"
    if {".", ".."} & {*re.split(r"[/\\]", unquote(path))}:
        # Rules on paths would be asked about another one than the target serves.
        raise ValueError("no path goes up here")
    return found[1] or hosts[0], path, found[3] or ""


def _rewritten(rules: Sequence[chain.HTTPURLRewriteSetting], path: str, query: str) -> str:
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
