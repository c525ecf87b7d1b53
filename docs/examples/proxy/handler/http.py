"""Serving HTTP clients: tunnels for CONNECT, and requests for http:// addresses one by one."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass

import h11

from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context

from ..net.hosts import normal_target
from ..net.relay import ClientGoneError, Traffic, of_client, relay
from ..wire import http
from ..wire.http import Messages, answer
from .proxy import GREETING_LIMIT, ProxyHandler, RefusedError, Request, reply_and_linger

VIA = ("Via", "1.1 gost-example-proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Request):
    """A request for an http:// address, and the response to it."""

    near: Messages
    """What is said with the client."""
    far: h11.Connection
    """What is said with the target; it has said the head of the request."""


class HTTPHandler(ProxyHandler):
    """Serves HTTP clients: a tunnel for CONNECT, else one exchange after the other.

    Each request is decided on anew: who asks, where it goes, what the rules and limits say.
    """

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        near = Messages(conn, http.side(h11.SERVER))
        try:
            asked = await near.read_request(host=b"-")  # the target says it all
        except ProtocolError as error:
            raise RefusedError(f"malformed request: {error}", answer(400)) from error
        header = http.header_of(asked)
        said = http.credentials(header, "proxy-authorization")
        client_id = None
        if said is not None or self.auther is None:
            client_id = await self.identify(ctx, *(said or ("", "")))
        if client_id is None:
            raise RefusedError("wrong user name or password", answer(407))
        try:
            if asked.method == b"CONNECT":
                return _tunnel(near, asked, client_id)
            return _exchange(near, asked, header, client_id)
        except (ValueError, ProtocolError, h11.LocalProtocolError) as error:
            raise RefusedError(f"malformed request: {error}", answer(400)) from error

    def refusal(self, error: Exception, /) -> bytes:
        match error:
            case PermissionError():
                return answer(403)
            case TimeoutError():
                return answer(504)
            case ValueError():
                return answer(400)
            case _:
                return answer(502)

    def serve(self, ctx: Context, request: Request) -> Awaitable[None]:
        if isinstance(request, Exchange):
            return self._serve_one_by_one(ctx, request)
        return super().serve(ctx, request)

    def carry(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> Awaitable[None]:
        if isinstance(request, Exchange):
            return _carry(request, client, target, traffic)
        return super().carry(ctx, request, client, target, traffic)

    async def _serve_one_by_one(self, ctx: Context, request: Request) -> None:
        while True:
            conn = request.client
            await super().serve(ctx, request)
            if not isinstance(request, Exchange) or not request.near.is_done():
                return
            try:
                async with asyncio.timeout(GREETING_LIMIT):
                    request = await of_client(self.negotiate(ctx, request.near.rest(conn)))
            except TimeoutError:  # it may keep its connection as long, and no longer
                return
            ctx = self.known(ctx, request)


def _tunnel(near: Messages, asked: h11.Request, client_id: str) -> Request:
    target = normal_target(asked.target.decode("ascii").rpartition("@")[2])
    reply = b"HTTP/1.1 200 Connection established\r\n\r\n"
    return Request(target=target, client=near.rest(near.conn), client_id=client_id, reply=reply)


def _exchange(near: Messages, asked: h11.Request, header: http.Header, client_id: str) -> Exchange:
    """Rewrite a proxy's request as the target wants it."""
    authority, path = http.split_url(asked.target.decode("ascii"))
    target = normal_target(http.with_port(authority))
    fields = [("Host", authority), *http.forwarded(header), VIA, *_upgrade(header)]
    far = http.side(h11.CLIENT)
    head = far.send(h11.Request(method=asked.method, target=path, headers=[*map(_encoded, fields)]))
    assert head is not None
    return Exchange(
        target=target, client=near.conn, client_id=client_id, head=head, near=near, far=far
    )


def _upgrade(header: http.Header) -> http.Header:
    """Return what asks for another protocol, or ends the connection with this exchange."""
    protocol = ", ".join(http.fields_of(header).get("Upgrade", ()))
    if protocol and "upgrade" in http.tokens_of(header):
        return [("Connection", "upgrade"), ("Upgrade", protocol)]
    return [("Connection", "close")]


def _encoded(field: tuple[str, str]) -> tuple[bytes, bytes]:
    return field[0].encode("ascii"), field[1].encode("latin-1")


async def _carry(request: Exchange, client: Conn, target: Conn, traffic: Traffic) -> None:
    """Carry one request there and one response back, which may come first."""
    near, far = request.near, Messages(target, request.far)
    near.conn = client
    sending = asyncio.create_task(_send(request.head, near, far, traffic))
    receiving = asyncio.create_task(_receive(near, far, traffic))
    try:
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
        await receiving
    except ClientGoneError:
        raise
    except Exception as error:
        if near.state.our_state is not h11.SEND_RESPONSE:  # too late to say so
            raise
        raise RefusedError(f"{request.target}: {error}", answer(502)) from error
    finally:
        sending.cancel()
        receiving.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
    if near.state.our_state is h11.SWITCHED_PROTOCOL:
        await relay(near.rest(client), far.rest(far.conn), traffic)
    elif not near.is_done():
        await reply_and_linger(client, b"")


async def _send(head: bytes, near: Messages, far: Messages, traffic: Traffic) -> None:
    # A target that reads no more may have answered already.
    with suppress(BrokenPipeError, ConnectionResetError):
        await far.conn.write(head)
        while (data := await of_client(near.read_body())) is not None:
            await far.write(h11.Data(data=bytes(data)))
            traffic.sent += memoryview(data).nbytes
        await far.write(h11.EndOfMessage())


async def _receive(near: Messages, far: Messages, traffic: Traffic) -> None:
    for _ in range(http.INTERIM):
        said = await far.read_response()
        header = http.forwarded(http.header_of(said))
        if said.status_code == 101:
            header += _upgrade(http.header_of(said))
        said = type(said)(
            status_code=said.status_code,
            headers=[*map(_encoded, [*header, VIA])],
            reason=said.reason,
        )
        # Clients of HTTP/1.0 know no interim responses.
        if isinstance(said, h11.Response) or near.state.their_http_version != b"1.0":
            await of_client(near.write(said))
        if isinstance(said, h11.Response):
            break
        if said.status_code == 101:
            return
    else:
        raise ProtocolError("no final response comes")
    while (data := await far.read_body()) is not None:
        await of_client(near.write(h11.Data(data=bytes(data))))
        traffic.received += memoryview(data).nbytes
    await of_client(near.write(h11.EndOfMessage()))
