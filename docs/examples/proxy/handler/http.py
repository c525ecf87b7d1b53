"""Serving HTTP clients: tunnels for CONNECT, and requests for http:// addresses one by one."""

from collections.abc import Awaitable

import h11

from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context

from ..net.hosts import normal_target
from ..net.relay import Traffic, relay
from ..wire import header as fields
from ..wire import http
from ..wire.http import FORWARDED, Messages, answer
from .exchange import Exchange, carry
from .proxy import ProxyHandler, Refusals, RefusedError, Request, reply_and_linger


class Answered(Request):
    """A request that goes no further than here."""


class HTTPHandler(ProxyHandler):
    """Serves HTTP clients: a tunnel for CONNECT, else one exchange after the other.

    Each request is decided on anew: who asks, where it goes, what the rules and limits say.
    """

    too_often = answer(429)
    refusals: Refusals = (
        *((PermissionError, answer(403)), (TimeoutError, answer(504))),
        *((ValueError, answer(400)), (Exception, answer(502))),
    )

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        try:
            near = Messages(conn, http.side(h11.SERVER))
            asked = await near.read_request(host=b"-")  # the target says it all
            self.count_request(conn)
            client_id = await self._log_in(ctx, asked)
            check_served(asked)
            if asked.method == b"CONNECT":
                return _tunnel(near, asked, client_id)
            if (asked.method, asked.target) == (b"OPTIONS", b"*"):
                # What it says is not sent back, passwords and all.
                return Answered(target="", client=near.conn, reply=answer(200))
            return _exchange(near, asked, client_id)
        except (ValueError, ProtocolError, h11.LocalProtocolError) as error:
            raise RefusedError(f"malformed request: {error}", answer(400)) from error

    def serve(self, ctx: Context, request: Request) -> Awaitable[None]:
        if isinstance(request, Answered):
            return reply_and_linger(request.client, request.reply)
        if isinstance(request, Exchange):
            return self._serve_one_by_one(ctx, request)
        return super().serve(ctx, request)

    def reach(self, ctx: Context, request: Request) -> Awaitable[Conn]:
        if isinstance(request, Exchange) and request.url:
            ctx = ctx.with_value(FORWARDED, request.target)
        return super().reach(ctx, request)

    def carry(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> Awaitable[None]:
        if isinstance(request, Exchange):
            return self._carry(ctx, request, client, target, traffic)
        return super().carry(ctx, request, client, target, traffic)

    async def _log_in(self, ctx: Context, asked: h11.Request) -> str:
        if self.auther is None:
            return ""
        said = fields.credentials(fields.header_of(asked))
        client_id = None if said is None else await self.identify(ctx, *said)
        if client_id is None:
            raise RefusedError("wrong user name or password", answer(407))
        return client_id

    async def _serve_one_by_one(self, ctx: Context, request: Request) -> None:
        while isinstance(request, Exchange):
            conn = request.client
            await super().serve(ctx, request)
            if not request.near.is_done():
                return
            try:
                request = await self.greet(ctx, request.near.rest(conn))
            except TimeoutError:  # it may keep its connection as long, and no longer
                return
            ctx = self.known(ctx, request)
        await self.serve(ctx, request)

    async def _carry(
        self, ctx: Context, request: Exchange, client: Conn, target: Conn, traffic: Traffic
    ) -> None:
        near = request.near
        near.conn = client
        far = await carry(request, target, traffic)
        if near.state.our_state is h11.SWITCHED_PROTOCOL:
            await relay(near.rest(client), far.rest(far.conn), traffic)


def check_served(asked: h11.Request) -> None:
    """Refuse a body whose end nobody could find, and a request that says how far it may go."""
    names = {name for name, _ in asked.headers}
    has_body = asked.method in (b"POST", b"PUT", b"PATCH") or b"transfer-encoding" in names
    if asked.http_version == b"1.0" and has_body and b"content-length" not in names:
        raise RefusedError("a body without a length", answer(411))
    if b"max-forwards" in names and asked.method in (b"OPTIONS", b"TRACE"):
        raise RefusedError("how far a request goes is not counted here", answer(501))


def _tunnel(near: Messages, asked: h11.Request, client_id: str) -> Request:
    target = normal_target(asked.target.decode("ascii"))
    reply = b"HTTP/1.1 200 Connection established\r\n\r\n"
    return Request(target=target, client=near.rest(near.conn), client_id=client_id, reply=reply)


def _exchange(near: Messages, asked: h11.Request, client_id: str) -> Exchange:
    """Rewrite a proxy's request as the target wants it."""
    authority, path = fields.split_url(asked.target.decode("ascii"))
    target = normal_target(fields.with_port(authority))
    url = f"http://{target.removesuffix(':80')}{path}"
    if not path.startswith("/"):
        path = "*" if asked.method == b"OPTIONS" and not path else f"/{path}"
    return Exchange(
        target=target,
        client=near.conn,
        client_id=client_id,
        near=near,
        method=asked.method,
        path=path,
        header=[("Host", authority), *forwarded(asked)],
        url=url,
    )


def forwarded(asked: h11.Request) -> fields.Header:
    """Return the fields that a request has on its way on."""
    header = fields.header_of(asked)
    passed = [*fields.forwarded(header), fields.via(asked)]
    if asked.http_version == b"1.0":  # whose clients cannot ask for another protocol
        return [*passed, ("Connection", "close")]
    return passed + fields.upgrade(header)
