"""Heads of HTTP/1 messages (RFC 9112), and what their fields mean (RFC 9110)."""

import re
from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus

from gost_core.common.net import ProtocolError

Header = list[tuple[str, str]]

# Meant for this proxy or for one connection only, so not passed on.
HOP_BY_HOP = {
    *("connection", "host", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("proxy-connection", "te", "upgrade"),
}
FIELD = r"([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n\0]*?)[ \t]*"
REQUEST = r"([!#$%&'*+.^_`|~\w-]+) (\S+) (HTTP/1\.[01])"


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


def to_origin(method: str, url: str, version: str, header: Header) -> tuple[str, bytes]:
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


def canonical(name: str) -> str:
    """Write the name of a header as requests have it (D48)."""
    return "-".join(word.capitalize() for word in name.split("-"))
