"""HTTP proxying (RFC 9110): the CONNECT method, and requests for http:// addresses."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from http import HTTPStatus

from gost_core import connector
from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context
from gost_core.metadata import Metadata

from .address import split_target
from .connector import ProxyConnector
from .handler import ProxyHandler, RefusedError, Request
from .stream import read_head

Header = list[tuple[str, str]]

# Meant for this proxy or for one connection only, so not passed on.
HOP_BY_HOP = {"connection", "host", "keep-alive", "proxy-authorization", "proxy-connection"}


class HTTPHandler(ProxyHandler):
    """Serves HTTP clients: a tunnel for CONNECT, one exchange for any other request."""

    async def negotiate(self, ctx: Context, conn: Conn, /) -> Request:
        try:
            head, client = await read_head(conn)
            method, url, version, header = _parse(head)
            user, password = credentials(
                value for name, value in header if name.lower() == "proxy-authorization"
            )
            if method == "CONNECT":
                target, head = url.rpartition("@")[2], ""
                reply = "HTTP/1.1 200 Connection established\r\n\r\n"
            else:
                target, head = _to_origin(method, url, version, header)
                reply = ""
            split_target(target)
        except (ValueError, ProtocolError) as error:
            raise RefusedError(f"malformed request: {error}", answer(400)) from error
        client_id = await self.identify(ctx, user, password)
        if client_id is None:
            raise RefusedError("wrong user name or password", answer(407))
        return Request(
            target=target,
            client=client,
            client_id=client_id,
            reply=reply.encode(),
            head=head.encode("latin-1"),
        )

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


class HTTPConnector(ProxyConnector):
    """Reaches targets through an HTTP proxy, by CONNECT."""

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        auth = self._options.auth
        self._authorization = ""
        if auth is not None:
            if ":" in auth.username:
                raise ValueError("a user name for HTTP cannot contain a colon")
            token = b64encode(f"{auth.username}:{auth.password or ''}".encode()).decode()
            self._authorization = f"Proxy-Authorization: Basic {token}\r\n"

    async def connect(
        self,
        ctx: Context,
        conn: Conn,
        network: str,
        address: str,
        /,
        *opts: connector.ConnectOption,
    ) -> Conn:
        self.check_network(network)
        split_target(address)
        request = f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{self._authorization}\r\n"
        await conn.write(request.encode("ascii"))
        # The connection that comes back holds what came behind the reply (D33).
        reply, conn = await read_head(conn)
        found = re.match(r"HTTP/1\.[01] (\d{3})\b", reply)
        if found is None:
            raise ProtocolError(f"{conn.remote_addr()} does not answer as HTTP does")
        status = int(found[1])
        if not 200 <= status < 300:
            reason = f"{address}: status {status}, says {conn.remote_addr()}"
            raise (
                PermissionError(reason) if status in (403, 407) else ConnectionRefusedError(reason)
            )
        return conn


def _parse(head: str) -> tuple[str, str, str, Header]:
    """Take the head of a request apart: method, URL, version, header fields."""
    request, *lines = head.split("\r\n")
    found = re.fullmatch(r"([!#$%&'*+.^_`|~\w-]+) (\S+) (HTTP/1\.[01])", request, re.ASCII)
    if found is None:
        raise ValueError("the first line is no request of HTTP/1")
    header: Header = []
    for line in lines:
        field = re.fullmatch(r"([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n\0]*?)[ \t]*", line, re.ASCII)
        if field is None:
            raise ValueError("a line of the header is no field")
        header.append((field[1], field[2]))
    return found[1], found[2], found[3], header


def _to_origin(method: str, url: str, version: str, header: Header) -> tuple[str, str]:
    """Rewrite a proxy's request as the target wants it: return the target and the new head."""
    found = re.fullmatch(r"http://([^/?#]+)([^#]*)(?:#.*)?", url, re.IGNORECASE)
    if found is None:
        raise ValueError("only CONNECT and addresses that begin with http:// are served")
    authority = found[1].rpartition("@")[2]
    path = found[2] if found[2].startswith("/") else f"/{found[2]}"
    named = {
        token.strip().lower()
        for name, value in header
        if name.lower() == "connection"
        for token in value.split(",")
    }
    fields = [field for field in header if field[0].lower() not in HOP_BY_HOP | named]
    lines = [
        f"{method} {path} {version}",
        f"Host: {authority}",
        *(f"{name}: {value}" for name, value in fields),
        "Connection: close",
    ]
    return with_port(authority), "\r\n".join([*lines, "", ""])


def with_port(authority: str, port: int = 80) -> str:
    """Write out the port that an address of HTTP may leave out."""
    return authority if re.search(r":\d+$", authority) else f"{authority}:{port}"


def credentials(fields: Iterable[str]) -> tuple[str, str]:
    """Return the user and the password in fields of a header, both "" if there are none."""
    for value in fields:
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "basic":
            user, _, password = b64decode(token, validate=True).decode().partition(":")
            return user, password
    return "", ""


def answer(status: int) -> bytes:
    """Return a response without a body."""
    challenge = {
        401: 'WWW-Authenticate: Basic realm="proxy"\r\n',
        407: 'Proxy-Authenticate: Basic realm="proxy"\r\n',
    }.get(status, "")
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{line}{challenge}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
