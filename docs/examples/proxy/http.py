"""HTTP proxying (RFC 9110): the CONNECT method, and requests for http:// addresses."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from http import HTTPStatus

from gost_core import connector
from gost_core.common.net import Conn, ProtocolError
from gost_core.context import Context
from gost_core.metadata import Metadata

from .address import split_target
from .connector import ProxyConnector
from .handler import ProxyHandler, RefusedError, Request
from .rules import canonical
from .stream import read_head

Header = list[tuple[str, str]]

# Meant for this proxy or for one connection only, so not passed on.
HOP_BY_HOP = {
    *("connection", "host", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("proxy-connection", "te", "upgrade"),
}
FIELD = r"([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n\0]*?)[ \t]*"
REQUEST = r"([!#$%&'*+.^_`|~\w-]+) (\S+) (HTTP/1\.[01])"


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
                target, request = _to_origin(method, url, version, header)
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
        status = status_of(reply)
        if not 200 <= status < 300:
            reason = f"{address}: status {status}, says {conn.remote_addr()}"
            raise (
                PermissionError(reason) if status in (403, 407) else ConnectionRefusedError(reason)
            )
        return conn


def parse_head(head: str) -> tuple[str, Header]:
    """Take the head of a message apart: its first line, and the fields behind it."""
    first, *lines = head.split("\r\n")
    fields = [re.fullmatch(FIELD, line, re.ASCII) for line in lines]
    header = [(field[1], field[2]) for field in fields if field is not None]
    if len(header) < len(lines):
        raise ValueError("a line of the header is no field")
    return first, header


def parse_request(head: str) -> tuple[str, str, str, Header]:
    """Take the head of a request apart: method, URL, version, header fields."""
    first, header = parse_head(head)
    found = re.fullmatch(REQUEST, first, re.ASCII)
    if found is None:
        raise ValueError("the first line is no request of HTTP/1")
    return found[1], found[2], found[3], header


def status_of(head: str) -> int:
    """Return the status of a response."""
    found = re.match(r"HTTP/1\.[01] (\d{3})\b", head, re.ASCII)
    if found is None:
        raise ProtocolError("the peer does not answer as HTTP does")
    return int(found[1])


def write_head(first: str, header: Header) -> bytes:
    """Write the head of a message that is the last one of its connection."""
    lines = [first, *(f"{name}: {value}" for name, value in header), "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def fields_of(header: Header) -> dict[str, list[str]]:
    """Return a header as matchers want it (D48)."""
    found: dict[str, list[str]] = {}
    for name, value in header:
        found.setdefault(canonical(name), []).append(value)
    return found


def length_of(header: Header) -> int | None:
    """Return the length of a body; one that comes in chunks is not served."""
    fields = fields_of(header)
    lengths = {*fields.get("Content-Length", ())}
    if "Transfer-Encoding" in fields or len(lengths) > 1 or not all(map(str.isdecimal, lengths)):
        raise ValueError("a body needs one Content-Length, and no Transfer-Encoding")
    return int(lengths.pop()) if lengths else None


def forwarded(header: Header) -> Header:
    """Return the fields that are not for one connection only."""
    tokens = ",".join(fields_of(header).get("Connection", ())).lower().split(",")
    dropped = {token.strip() for token in tokens} - {"content-length", "transfer-encoding"}
    return [field for field in header if field[0].lower() not in HOP_BY_HOP | dropped]


def changed(header: Header, changes: Mapping[str, str]) -> Header:
    """Set fields of a header; an empty value deletes (D67)."""
    names = {name.lower() for name in changes}
    left = [field for field in header if field[0].lower() not in names]
    return left + [(name, value) for name, value in changes.items() if value]


def _to_origin(method: str, url: str, version: str, header: Header) -> tuple[str, bytes]:
    """Rewrite a proxy's request as the target wants it: return the target and the new head."""
    found = re.fullmatch(r"http://([^/?#]+)([^#]*)(?:#.*)?", url, re.IGNORECASE)
    if found is None:
        raise ValueError("only CONNECT and addresses that begin with http:// are served")
    authority = found[1].rpartition("@")[2]
    path = found[2] if found[2].startswith("/") else f"/{found[2]}"
    fields = [("Host", authority), *forwarded(header)]
    return with_port(authority), write_head(f"{method} {path} {version}", fields)


def with_port(authority: str, port: int = 80) -> str:
    """Write out the port that an address of HTTP may leave out."""
    return authority if re.search(r":\d+$", authority) else f"{authority}:{port}"


def credentials(header: Header, name: str) -> tuple[str, str]:
    """Return the user and the password in a field of a header, both "" if there is none."""
    for value in fields_of(header).get(canonical(name), ()):
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
