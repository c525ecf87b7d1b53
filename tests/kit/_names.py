"""What right implementations know of names and addresses."""

from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

IP: TypeAlias = IPv4Address | IPv6Address

VERSIONS: Final = {"ip": (4, 6), "ip4": (4,), "ip6": (6,)}


def plain(name: str) -> str:
    """Return what is compared of a name: all but case and trailing dot."""
    return name.removesuffix(".").lower()


def host_of(addr: str) -> str:
    """Return what rules compare of an address: the host without port, case and trailing dot."""
    host, colon, port = addr.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        host = addr
    return plain(host.strip("[]"))
