"""The fields of HTTP's messages (RFC 9110), and its URLs."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Final

import h11

Header = list[tuple[str, str]]
Event = h11.Request | h11.Response | h11.InformationalResponse

# Meant for this proxy or for one connection only, so not passed on.
HOP_BY_HOP: Final = {
    *("connection", "host", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("proxy-connection", "te", "upgrade"),
}


def header_of(event: Event) -> Header:
    """Return the fields of a head, with their names as they were written."""
    return [
        (name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers.raw_items()
    ]


def encoded(header: Header) -> list[tuple[bytes, bytes]]:
    """Write the fields of a head."""
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in header]


def fields_of(header: Header) -> dict[str, list[str]]:
    """Return a header as matchers want it (D48)."""
    found: dict[str, list[str]] = {}
    for name, value in header:
        found.setdefault(canonical(name), []).append(value)
    return found


def tokens_of(header: Header) -> set[str]:
    """Return what the field Connection names, in lower case."""
    tokens = ",".join(fields_of(header).get("Connection", ())).lower().split(",")
    return {token.strip() for token in tokens}


def forwarded(header: Header) -> Header:
    """Return the fields that are not for one connection only."""
    dropped = HOP_BY_HOP | tokens_of(header) - {"content-length", "transfer-encoding"}
    return [field for field in header if field[0].lower() not in dropped]


def upgrade(header: Header) -> Header:
    """Return what asks for another protocol, or ends the connection with this exchange.

    No other HTTP is asked for: nobody would look at the requests in it.
    """
    protocol = ", ".join(fields_of(header).get("Upgrade", ()))
    asked = "upgrade" in tokens_of(header)
    if protocol and asked and not re.search("(?i)h2c|http/|tls/", protocol):
        return [("Connection", "upgrade"), ("Upgrade", protocol)]
    return [("Connection", "close")]


def via(event: Event) -> tuple[str, str]:
    """Return the field that tells that a message came by here, and in which version."""
    return "Via", f"{event.http_version.decode('ascii')} gost-example-proxy"


def changed(header: Header, changes: Mapping[str, str]) -> Header:
    """Set fields of a header; an empty value deletes (D67)."""
    names = {name.lower() for name in changes}
    left = [field for field in header if field[0].lower() not in names]
    return left + [(name, value) for name, value in changes.items() if value]


def split_url(url: str) -> tuple[str, str]:
    """Return the authority of an address of HTTP, and what follows if anything."""
    found = re.fullmatch(r"http://([^/?#]+)([^#]*)(?:#.*)?", url, re.IGNORECASE)
    if found is None:
        raise ValueError("only CONNECT and addresses that begin with http:// are served")
    return found[1], found[2]


def with_port(authority: str, port: int = 80) -> str:
    """Write out the port that an address of HTTP may leave out."""
    return authority if re.search(r":\d+$", authority[-8:]) else f"{authority}:{port}"


def credentials(header: Header) -> tuple[str, str] | None:
    """Return the user and the password for a proxy, both "" if there is no such field.

    None = the field says something that nobody can have meant for a password.
    """
    values = fields_of(header).get("Proxy-Authorization", [])
    if not values:
        return "", ""
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "basic":
        return None
    try:
        data = b64decode(token.strip(), validate=True)
    except (ValueError, binascii.Error):
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:  # older clients write as older pages did
        text = data.decode("latin-1")
    user, _, password = text.partition(":")
    return user, password


def canonical(name: str) -> str:
    """Write the name of a header as requests have it (D48)."""
    return "-".join(word.capitalize() for word in name.split("-"))
