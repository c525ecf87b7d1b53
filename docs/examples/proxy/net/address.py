"""Addresses of sockets, how they are written (D12), and what a name stands for."""

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self, TypeAlias
from weakref import WeakValueDictionary

LONGEST: Final = 253  # characters of a name: the DNS has room for no more
KEPT: Final = 1024  # answers about addresses that are asked for again and again
LOOKUPS: Final = 4  # that the system is asked for at once, for one client
_pools: Final = WeakValueDictionary[str, ThreadPoolExecutor]()

SocketName: TypeAlias = tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class SocketAddr:
    """Where a socket of the internet is."""

    host: str
    port: int

    @classmethod
    def of(cls, name: SocketName) -> Self:
        """Take the name of a socket."""
        host, port = name[:2]
        # An IPv4 peer of a socket that serves both families.
        return cls(host.removeprefix("::ffff:") if "." in host else host, port)

    def __str__(self) -> str:
        return join_host_port(self.host, self.port) if self.host or self.port else ""


@dataclass(frozen=True, slots=True)
class TCPAddr(SocketAddr):
    """An address of a TCP socket.

    It satisfies ``gost_core.common.net.Addr`` without naming it. The larger classes inherit from
    their protocols: so a missing method is reported where it is missing.
    """

    def network(self) -> str:
        return "tcp"


@dataclass(frozen=True, slots=True)
class UDPAddr(SocketAddr):
    """An address of a UDP socket; without host and port it is nowhere, and prints as "" (D2)."""

    def network(self) -> str:
        return "udp"


def join_host_port(host: str, port: int) -> str:
    """Write an address the way the contract does: IPv6 in brackets (D12)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def hidden(text: str) -> str:
    """Return what is known to be no secret (D17): of what follows a colon, that is a port alone."""
    scheme, mark, rest = text.partition("://")
    if not mark or not re.fullmatch("[A-Za-z0-9+]*", scheme):
        scheme, mark, rest = "", "", text
    user, at, rest = rest.rpartition("@")
    shown = rest.partition("?")[0]
    for addr in shown.split(","):
        host = addr.rpartition(":")[0].strip("[]")
        if ":" in addr and not ip_of(host) and not re.fullmatch(r"[^:]*:\d{0,5}", addr):
            shown = "***"
    return (scheme + mark + ("***" if user else "") + at + shown)[:LONGEST]


@lru_cache(KEPT)
def split_host_port(addr: str) -> tuple[str, int]:
    """Take ``host:port`` apart; a ValueError says what is wrong with anything else."""
    host, colon, port = addr.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        reason = "has no port; write it as host:port, with a port up to 65535"
        raise ValueError(f"{hidden(addr)!r} {reason}")
    if not host.isprintable() or " " in host or len(host) > LONGEST:
        raise ValueError(f"{hidden(addr)!r}: no host has such characters or so many of them")
    if bracketed := re.fullmatch(r"\[([^\[\]]*)\]", host):
        host = bracketed[1]
    elif any(mark in host for mark in ":[]"):
        raise ValueError(f"{hidden(addr)!r}: an IPv6 host stands in brackets, as in [::1]:{port}")
    return host, int(port)


def split_target(addr: str) -> tuple[str, int]:
    """Take apart an address to dial, which needs a host (D12)."""
    host, port = split_host_port(addr)
    if not host:
        raise ValueError(f"{hidden(addr)!r} has no host; write it as host:port")
    return host, port


@lru_cache(KEPT)
def host_of(addr: str) -> str:
    """Return the host in an address that may carry a port (D37), ready to compare (D12)."""
    try:
        host, _ = split_host_port(addr)
    except ValueError:
        host = addr
    host = host.rstrip(".").lower()
    return str(ip_of(host) or host)


@lru_cache(KEPT)
def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is, if it is no name; as IPv4 if IPv6 only wraps that."""
    try:
        ip = ip_address(host)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


async def addresses_of(host: str, network: str, client: str = "") -> list[str]:
    """Return the IP addresses of a host, in order of preference; names are the system's affair.

    Its calls block, so each client has threads of its own: slow names hold up nobody else (D18).
    """
    if (ip := ip_of(host)) is not None and network[-1:] not in {"4", "6"} - {str(ip.version)}:
        return [str(ip)]
    family = {"4": socket.AF_INET, "6": socket.AF_INET6}.get(network[-1:], socket.AF_UNSPEC)
    pool = _pools.setdefault(client, ThreadPoolExecutor(LOOKUPS, "names"))
    return await asyncio.wrap_future(pool.submit(_look_up, host, family, pool))


def _look_up(host: str, family: int, pool: ThreadPoolExecutor) -> list[str]:
    """Ask the system; the pool lasts as long, whether or not anybody still waits."""
    return [str(name[0]) for *_, name in socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)]
