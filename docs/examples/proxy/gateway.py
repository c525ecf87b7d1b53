"""An HTTP gateway: which node serves a request, and what is changed on the way there and back."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import parse_qs, unquote

import h11

from gost_core import handler, hop
from gost_core.chain import HTTPBodyRewriteSettings, HTTPNodeSettings, Node, TLSNodeSettings
from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context
from gost_core.keys import CLIENT_ID

from .address import host_of
from .handler import GREETING_LIMIT, RefusedError, Request, reply_and_linger
from .http import HTTPHandler, answer, credentials, with_port
from .messages import (
    Header,
    changed,
    fields_of,
    forwarded,
    next_event,
    parse_target,
    read_body,
    rewrite_target,
    rewritten,
    without,
    write_message,
)
from .relay import CHUNK, ClientGoneError, Traffic, of_client
from .rewrite import BodyRules
from .stream import read_head
from .tls import connect_tls
from .tls_settings import target_config

_config = lru_cache(target_config)  # it reads the certificates of all authorities
MOST_TO_MATCH = 10 << 20  # bytes of a body that matchers may see (D68)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Request):
    """A request that a node was found for, as the node's settings have made it."""

    node: Node
    settings: HTTPNodeSettings
    method: bytes
    path: str
    header: Header
    near: h11.Connection
    """What is spoken with the client."""
    early: Sequence[bytes]
    """What of the body was read already, for the matchers to see."""


class GatewayHandler(HTTPHandler, handler.Forwarder):
    """Sends each request to the node that a hop chooses for it; one request a connection.

    A body that rules fit is read whole before it goes on, all others pass as they come. Where
    there are rules, targets are asked for no content coding and no part of a body; what comes in a
    coding all the same is not looked into.
    """

    def __init__(self, *opts: handler.Option) -> None:
        super().__init__(*opts)
        self._hop: hop.Hop | None = None

    def forward(self, hop: hop.Hop | None, /) -> None:
        if self._initialized:
            raise RuntimeError("forward() comes before init()")
        self._hop = hop

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Exchange:
        near = h11.Connection(h11.SERVER)
        try:
            head, client = await read_head(conn)
            near.receive_data(f"{head}\r\n\r\n".encode("latin-1"))
            message = near.next_event()
            if not isinstance(message, h11.Request):
                raise ValueError("it has no first line")
            host, path, query = parse_target(message)
            fields = fields_of(message)
            user, password = credentials(fields.get("Authorization", []))
        except (ValueError, ProtocolError, h11.ProtocolError) as error:
            raise RefusedError(f"malformed request: {error}", answer(400)) from error
        client_id = await self.identify(ctx, user, password)
        if client_id is None:
            raise RefusedError("wrong user name or password", answer(401))
        early = await self._peek(near, client)
        try:
            node = await self._select(
                ctx.with_value(CLIENT_ID, client_id),
                hop.client_ip_select_option(_ip(conn)),
                hop.network_select_option("tcp"),
                hop.addr_select_option(with_port(host) if host else ""),
                hop.protocol_select_option("http"),
                hop.host_select_option(host),
                hop.method_select_option(message.method.decode().upper()),
                hop.path_select_option(unquote(path)),
                hop.query_select_option(parse_qs(query, keep_blank_values=True)),
                hop.header_select_option(fields),
                hop.body_select_option(b"".join(early)),
            )
        except Exception as error:  # never turned into another target (D36)
            raise RefusedError(f"{host}: {error}", self.refusal(error)) from error
        if node is None:
            raise RefusedError(f"no node serves {host!r}", answer(404))
        settings = node.options().http or HTTPNodeSettings()
        by = settings.auther
        if by is not None and await self.identify(ctx, user, password, by) is None:
            raise RefusedError(f"{node.name}: wrong user name or password", answer(401))
        header = forwarded(message)
        if by is not None or self.auther is not None:
            header = without(header, b"authorization")  # meant for this gateway
        if settings.rewrite_response_body:
            header = without(header, b"accept-encoding", b"range")
        header = changed(
            header, {"Host": settings.host or host or node.addr, "Connection": "close"}
        )
        return Exchange(
            target=with_port(node.addr, 80 if node.options().tls is None else 443),
            client=client,
            client_id=client_id,
            node=node,
            settings=settings,
            near=near,
            method=message.method,
            path=rewrite_target(settings.rewrite_url, path, query),
            header=changed(header, settings.request_header),
            early=early,
        )

    async def _select(self, ctx: Context, *opts: hop.SelectOption) -> Node | None:
        return None if self._hop is None else await self._hop.select(ctx, *opts)

    async def _peek(self, near: h11.Connection, client: Conn) -> Sequence[bytes]:
        """Read as much of the body as the nodes' matchers want to see (D68)."""
        nodes: Sequence[Node] = self._hop.nodes() if isinstance(self._hop, hop.NodeList) else ()
        wanted = max((node.options().matcher_body_size for node in nodes), default=0)
        wanted = min(wanted, MOST_TO_MATCH)
        early: list[bytes] = []
        if wanted > 0:
            await _invite(near, client)
        while sum(map(len, early)) < wanted and near.their_state is h11.SEND_BODY:
            event = await next_event(near, client)
            if isinstance(event, h11.Data):
                early.append(bytes(event.data))
        return early

    async def reach(self, ctx: Context, request: Request) -> Conn:
        assert isinstance(request, Exchange)
        node = request.node
        try:
            target = await super().reach(ctx, request)
            if (settings := node.options().tls) is not None:
                target = await _secured(target, settings, request.target)
        except Exception as error:
            fault = error.__cause__ if isinstance(error, RefusedError) else error
            if isinstance(fault, OSError) and not isinstance(fault, PermissionError):
                node.marker().mark()
            raise
        node.marker().reset()
        return target

    async def carry(
        self, ctx: Context, request: Request, client: Conn, target: Conn, traffic: Traffic
    ) -> None:
        """Carry one request there and one response back, which may come first."""
        assert isinstance(request, Exchange)
        exchange, near, far = request, request.near, h11.Connection(h11.CLIENT)

        async def to_target(data: bytes) -> None:
            await target.write(data)
            traffic.sent += len(data)

        async def to_client(data: bytes) -> None:
            await of_client(client.write(data))
            traffic.received += len(data)

        async def send() -> None:
            header = exchange.header
            has_body = without(header, b"content-length", b"transfer-encoding") != header
            settings = exchange.settings.rewrite_request_body if has_body else ()
            rules = _rules(ctx, settings, header, direction="request", uri=exchange.path)
            if rules:
                await _invite(near, client)
            # A target that reads no more may have answered already.
            with suppress(BrokenPipeError, ConnectionResetError):
                async with aclosing(read_body(near, client, exchange.early)) as body:
                    header, body = await rewritten(header, body, rules)
                    start = h11.Request(
                        method=exchange.method, target=exchange.path, headers=header
                    )
                    await write_message(far, start, body, to_target)
            while await of_client(client.read(CHUNK)):  # no second request is served
                pass

        async def receive() -> None:
            while isinstance(start := await next_event(far, target), h11.InformationalResponse):
                await to_client(near.send(start) or b"")
            if not isinstance(start, h11.Response):
                raise ProtocolError(f"{exchange.target} gives no response")
            header = forwarded(start)
            has_body = exchange.method != b"HEAD" and start.status_code not in (204, 304)
            settings = exchange.settings.rewrite_response_body if has_body else ()
            rules = _rules(ctx, settings, header, direction="response", uri=exchange.path)
            async with aclosing(read_body(far, target)) as body:
                header, body = await rewritten(header, body, rules)
                # After everything else (D67).
                header = changed(
                    header, {**exchange.settings.response_header, "Connection": "close"}
                )
                start = h11.Response(
                    status_code=start.status_code, reason=start.reason, headers=header
                )
                await write_message(near, start, body, to_client)

        sending, receiving = asyncio.create_task(send()), asyncio.create_task(receive())
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            await receiving
        except (ClientGoneError, RefusedError):
            raise
        except Exception as error:
            if near.our_state is not h11.SEND_RESPONSE:
                raise
            raise RefusedError(f"{exchange.target}: {error}", answer(502)) from error
        finally:
            sending.cancel()
            receiving.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
        if near.their_state is h11.SEND_BODY:
            await reply_and_linger(client, b"")


async def _secured(target: Conn, settings: TLSNodeSettings, addr: str) -> Conn:
    """Speak TLS to a target, if it does within its time; else it is closed."""
    try:
        async with asyncio.timeout(GREETING_LIMIT):
            return await connect_tls(target, _config(settings), addr)
    except BaseException as error:
        await target.close()
        if not isinstance(error, Exception):
            raise
        raise RefusedError(f"{addr}: {str(error) or 'no answer'}", answer(502)) from error


def _rules(
    ctx: Context, rules: Sequence[HTTPBodyRewriteSettings], header: Header, **metadata: str
) -> BodyRules | None:
    fields = {name.lower(): value.decode("latin-1") for name, value in header}
    if b"content-encoding" in fields:
        return None
    media_type = fields.get(b"content-type", "").partition(";")[0].strip().lower()
    return BodyRules(ctx, rules, media_type, metadata)


async def _invite(near: h11.Connection, client: Conn) -> None:
    """Ask for the body, if the client waits to be asked."""
    if near.they_are_waiting_for_100_continue:
        data = near.send(h11.InformationalResponse(status_code=100, headers=[]))
        await of_client(client.write(data or b""))


def _ip(conn: Conn) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host_of(str(conn.remote_addr())))
    except ValueError:
        return None
