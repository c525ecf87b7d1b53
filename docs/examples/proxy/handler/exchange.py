"""One request of HTTP and the response to it, between a client and a target."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass

import h11

from gost_core.common.net import Conn, ProtocolError, find_capability

from ..net.address import host_of
from ..net.newcomers import fairly
from ..net.relay import ClientGoneError, Traffic, of_client
from ..wire import header as fields
from ..wire import http
from ..wire.header import Header
from ..wire.http import Messages, answer
from .proxy import RefusedError, Request, reply_and_linger

Body = AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Request):
    """A request, as its target wants it."""

    near: Messages
    """What is said with the client."""
    method: bytes
    path: str
    header: Header
    url: str = ""
    """What it is asked for where a proxy is asked; "" = no proxy is, but by a tunnel."""

    async def change(
        self, response: h11.Response, header: Header, body: Body
    ) -> tuple[Header, Body]:
        """Return what becomes of the response: of its header, and of its body."""
        return header, body


async def carry(exchange: Exchange, target: Conn, traffic: Traffic) -> Messages:
    """Carry one request there and one response back, which may come first; return the far side."""
    near, far = exchange.near, Messages(target, http.side(h11.CLIENT))
    host = host_of(str(near.conn.remote_addr()))
    sending = asyncio.ensure_future(fairly(host, _send, exchange, far, traffic))
    receiving = asyncio.ensure_future(fairly(host, _receive, exchange, far, traffic))
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
        of_it = isinstance(error, ProtocolError) and sending.done() and sending.exception() is error
        status = 400 if of_it else 502  # a malformed body is the client's own
        raise RefusedError(f"{exchange.target}: {error}", answer(status)) from error
    finally:
        sending.cancel()
        receiving.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
    if not near.is_done() and near.state.our_state is not h11.SWITCHED_PROTOCOL:
        await reply_and_linger(near.conn, b"")
    return far


async def _send(exchange: Exchange, far: Messages, traffic: Traffic) -> None:
    near, proxy = exchange.near, find_capability(far.conn, http.ForwardingConn)
    head = far.state.send(
        h11.Request(
            method=exchange.method,
            target=exchange.path if proxy is None else exchange.url,
            headers=fields.encoded(exchange.header),
        )
    )
    assert head is not None
    traffic.sent += len(head)
    # A target that reads no more may have answered already.
    with suppress(BrokenPipeError, ConnectionResetError):
        await far.conn.write(head if proxy is None else head[:-2] + proxy.authorization + b"\r\n")
        while data := await of_client(near.read_body()):
            await far.write(h11.Data(data=data))
            traffic.sent += len(data)
        await far.write(h11.EndOfMessage())


async def _receive(exchange: Exchange, far: Messages, traffic: Traffic) -> None:
    near = exchange.near
    for _ in range(http.INTERIM):
        said = await far.read_response()
        if said.status_code == 407:
            raise ProtocolError(f"{far.conn.remote_addr()} wants other credentials from this proxy")
        header = [*fields.forwarded(fields.header_of(said)), fields.via(said)]
        if said.status_code in (101, 426):
            header += fields.upgrade(fields.header_of(said))
        if isinstance(said, h11.Response):
            return await _respond(exchange, said, header, far, traffic)
        if near.state.their_http_version != b"1.0":  # whose clients know no interim responses
            await of_client(near.write(_head(said, header)))
        if said.status_code == 101:
            return
    raise ProtocolError("no final response comes")


async def _respond(
    exchange: Exchange, said: h11.Response, header: Header, far: Messages, traffic: Traffic
) -> None:
    header, body = await exchange.change(said, header, far.body())
    async with aclosing(body):
        await of_client(exchange.near.write(_head(said, header)))
        async for data in body:
            await of_client(exchange.near.write(h11.Data(data=data)))
            traffic.received += len(data)
    await of_client(exchange.near.write(h11.EndOfMessage()))


def _head(
    said: h11.Response | h11.InformationalResponse, header: Header
) -> h11.Response | h11.InformationalResponse:
    return type(said)(
        status_code=said.status_code, headers=fields.encoded(header), reason=said.reason
    )
