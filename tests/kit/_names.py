"""What right implementations know of names and addresses."""

import contextlib
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

IP: TypeAlias = IPv4Address | IPv6Address

VERSIONS: Final = {"ip": (4, 6), "ip4": (4,), "ip6": (6,)}


def plain(name: str) -> str:
    """Return what is compared of a name: all but case and trailing dot, in ASCII."""
    name = name.removesuffix(".").lower()
    # What is no name equals none.
    with contextlib.suppress(UnicodeError):
        return name if name.isascii() else name.encode("idna").decode()
    return name


def host_of(addr: str) -> str:
    """Return what rules compare of an address: its host, in one form."""
    host, colon, port = addr.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        host = addr
    host = host.strip("[]")
    return one_address(host) or plain(host)


def one_address(host: str) -> str:
    """Return the form in which rules compare an address, or "" if it is none."""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address)


def rules_of(rules: Sequence[str]) -> set[str]:
    """Read rules: names, and addresses."""
    if not rules:
        raise ValueError("there are no rules")
    return set(map(rule_of, rules))


def rule_of(rule: str) -> str:
    if address := one_address(rule):
        return address
    if not rule or ":" in rule or re.match(r"[\d.]*\*", rule):
        raise ValueError(f"the rule {rule!r} never matches")
    return plain(rule)
