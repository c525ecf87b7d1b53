"""HTTP messages on their way through a gateway: read, changed, and written again (RFC 9112)."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final
from urllib.parse import quote, unquote

import h11

from gost_core.chain import HTTPURLRewriteSetting
from gost_core.common.net import Conn, ProtocolError

from .handler import RefusedError
from .http import answer
from .relay import CHUNK, ClientGoneError, of_client
from .rewrite import BodyRules
from .rules import canonical

Header = list[tuple[bytes, bytes]]
Body = AsyncGenerator[bytes, None]

# Said for one connection only; the framing of a body is told anew.
ONE_CONNECTION: Final = {
    *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization"),
    *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
}


async def next_event(parser: h11.Connection, conn: Conn) -> h11.Event:
    """Read what comes next; a RefusedError tells a client that it breaks the rules of HTTP."""
    is_client = parser.our_role is h11.SERVER
    try:
        while not isinstance(event := parser.next_event(), h11.Event):
            data = await (of_client(conn.read(CHUNK)) if is_client else conn.read(CHUNK))
            if is_client and not data:
                raise ClientGoneError
            parser.receive_data(data)
    except h11.RemoteProtocolError as error:
        reason = f"{conn.remote_addr()} breaks the rules of HTTP: {error}"
        raise (RefusedError(reason, answer(400)) if is_client else ProtocolError(reason)) from error
    return event


async def read_body(parser: h11.Connection, conn: Conn, early: Sequence[bytes] = ()) -> Body:
    """Yield a body as it comes, first what was read of it already."""
    for data in early:
        yield data
    while parser.their_state is h11.SEND_BODY and isinstance(
        event := await next_event(parser, conn), h11.Data
    ):
        yield bytes(event.data)


async def rewritten(header: Header, body: Body, rules: BodyRules | None) -> tuple[Header, Body]:
    """Return what the rules make of a message; a body of their own frames it anew."""
    if not rules:
        return header, body
    if rules.is_stream:
        return framed(header, None), rules.rewrite_events(body)
    held = b""
    async for data in body:
        held += data
        if len(held) > rules.limit:  # too long: it passes unchanged (D68)
            return header, _joined(held, body)
    held = await rules.rewrite(held)
    return framed(header, len(held)), _joined(held, body)


async def _joined(held: bytes, rest: Body) -> Body:
    yield held
    async with aclosing(rest):
        async for data in rest:
            yield data


async def write_message(
    writer: h11.Connection,
    start: h11.Request | h11.Response,
    body: Body,
    write: Callable[[bytes], Awaitable[None]],
) -> None:
    """Write a message as its body comes."""
    async with aclosing(body):
        await write(writer.send(start) or b"")
        async for data in body:
            await write(writer.send(h11.Data(data=data)) or b"")
        await write(writer.send(h11.EndOfMessage()) or b"")


def fields_of(message: h11.Request | h11.Response) -> dict[str, list[str]]:
    """Return the header as matchers want it (D48)."""
    found: dict[str, list[str]] = {}
    for name, value in message.headers:
        found.setdefault(canonical(name.decode()), []).append(value.decode("latin-1"))
    return found


def forwarded(message: h11.Request | h11.Response | h11.InformationalResponse) -> Header:
    """Return the header without what is said for this connection only."""
    named = {
        name.strip().lower()
        for field, value in message.headers
        if field == b"connection"
        for name in value.split(b",")
    }
    dropped = ONE_CONNECTION | named - {b"host", b"content-length"}
    header = without(message.headers.raw_items(), *dropped)
    is_chunked = any(name == b"transfer-encoding" for name, _ in message.headers)
    return framed(header, None) if is_chunked else header


def framed(header: Header, length: int | None) -> Header:
    """Return the header for a body of this length, or of one that is not known (None)."""
    known = (b"Content-Length", b"%d" % (length or 0))
    framing = (b"Transfer-Encoding", b"chunked") if length is None else known
    return [*without(header, b"content-length", b"transfer-encoding"), framing]


def changed(header: Header, changes: Mapping[str, str]) -> Header:
    """Set fields of a header; an empty value deletes (D67)."""
    left = without(header, *(name.lower().encode() for name in changes))
    return left + [(name.encode(), value.encode()) for name, value in changes.items() if value]


def without(header: Header, *names: bytes) -> Header:
    """Return a header without the fields of these names."""
    return [(name, value) for name, value in header if name.lower() not in names]


def parse_target(message: h11.Request) -> tuple[str, str, str]:
    """Return the host of a request, its path and its query, as they were written."""
    target = message.target.decode("latin-1")
    found = re.fullmatch(
        r"(?:https?://([^/?#]+))?(/[^?#]*|\*)?(?:\?([^#]*))?", target, re.IGNORECASE
    )
    if found is None:
        raise ValueError("the target is neither a path nor an address of HTTP")
    path = found[2] or "/"
    if {".", ".."} & {*re.split(r"[/\\]", unquote(path))}:
        # Rules on paths would be asked about another one than the target serves.
        raise ValueError("no path goes up here")
    hosts = [value.decode("latin-1") for name, value in message.headers if name == b"host"]
    return found[1] or "".join(hosts), path, found[3] or ""


def rewrite_target(rules: Sequence[HTTPURLRewriteSetting], path: str, query: str) -> str:
    """Apply the first rule that fits, to the decoded path (D67)."""
    decoded = unquote(path, errors="surrogateescape")
    for rule in rules:
        if rule.pattern.search(decoded):
            found, mark, added = rule.pattern.sub(rule.replacement, decoded).partition("?")
            if found or added:
                path = quote(found or "/", safe="/:@!$&'()*+,;=~", errors="surrogateescape")
                query = quote(added, safe="/:@!$&'()*+,;=~?%") if mark else query
            break
    return f"{path}?{query}" if query else path
