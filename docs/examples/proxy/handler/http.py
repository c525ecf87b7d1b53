"""Serving HTTP clients: the CONNECT method, and requests for http:// addresses."""

from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context

from ..net.address import split_target
from ..net.stream import read_head
from ..wire.http import answer, credentials, parse_request, to_origin
from .proxy import ProxyHandler, RefusedError, Request


class HTTPHandler(ProxyHandler):
    """Serves HTTP clients: a tunnel for CONNECT, one exchange for any other request."""

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        try:
            head, client = await read_head(conn)
            method, url, version, header = parse_request(head)
            user, password = credentials(header, "proxy-authorization")
            if method == "CONNECT":
                target, request = url.rpartition("@")[2], b""
                reply = b"HTTP/1.1 200 Connection established\r\n\r\n"
            else:
                target, request = to_origin(method, url, version, header)
                reply = b""
            split_target(target)
        except (ValueError, ProtocolError) as error:
            raise RefusedError(f"malformed request: {error}", answer(400)) from error
        client_id = await self.identify(ctx, user, password)
        if client_id is None:
            raise RefusedError("wrong user name or password", answer(407))
        return Request(target=target, client=client, client_id=client_id, reply=reply, head=request)

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
