"""The one form of a host (D12), and rules on hosts, however many there are."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Generic, TypeVar

import idna

from .address import KEPT, LONGEST, hidden, ip_of, join_host_port, split_host_port, split_target

IP = IPv4Address | IPv6Address
V = TypeVar("V")


def normal_host(host: str) -> str:
    """Bring a host to the form in which it is compared, looked up and passed on.

    A name is ASCII in lower case, without a trailing dot. What ends with a number is an IPv4
    address in four decimal parts: no other way to write numbers is a host, since some resolvers
    take it for one and no rule would. A ValueError says what is wrong.
    """
    if len(host) > LONGEST:
        raise ValueError(f"no host has a name of {len(host)} characters")
    if not host.isprintable() or re.search(r"[\\\s/@]", host):
        raise ValueError(f"{hidden(host)!r}: no host has such characters in its name")
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True, transitional=False).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"{host!r} is no name of a host: {error}") from None
    host = host.lower().removesuffix(".")
    if (ip := ip_of(host)) is not None:
        return str(ip)
    if not all(host.split(".")) or re.search(r"[:\[\]]", host):
        raise ValueError(f"{host!r} is neither a name nor an address")
    if re.fullmatch(r"\d+|0x[0-9a-f]*", host.rpartition(".")[2]):
        raise ValueError(f"{host!r}: write an address of IPv4 in four decimal parts")
    return host


def split_place(addr: str) -> tuple[str, int]:
    """Take apart an address to listen at, which needs no host."""
    host, port = split_host_port(addr)
    return normal_host(host) if host else "", port


@lru_cache(KEPT)
def normal_target(addr: str) -> str:
    """Bring an address to dial to that form."""
    host, port = split_target(addr)
    return join_host_port(normal_host(host), port)


class NetworkMap(Generic[V]):
    """Tells what belongs to the networks that an address is in."""

    def __init__(self) -> None:
        self._prefixes: dict[tuple[int, int], dict[int, V]] = {}

    def add(self, network: IPv4Network | IPv6Network, value: V) -> None:
        """Add what belongs to a network, unless that has something already."""
        if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
            network = IPv4Network(
                (network.network_address.ipv4_mapped, max(network.prefixlen - 96, 0))
            )
        if network.num_addresses == 1:
            network = ip_network(_reached(network.network_address))
        key = network.version, network.max_prefixlen - network.prefixlen
        number = int(network.network_address) >> key[1]
        self._prefixes.setdefault(key, {}).setdefault(number, value)

    def of(self, ip: IP) -> Iterator[V]:
        """Yield what belongs to each network around an address."""
        ip = _reached(ip)
        number = int(ip)
        for (version, shift), prefixes in self._prefixes.items():
            if version == ip.version and number >> shift in prefixes:
                yield prefixes[number >> shift]


def _reached(ip: IP) -> IP:
    """Return what an address leads to who dials it: the unspecified one leads to this host."""
    if not ip.is_unspecified:
        return ip
    return IPv4Address("127.0.0.1") if ip.version == 4 else IPv6Address("::1")


class NetworkSet:
    """Tells whether an address is in one of its networks."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = NetworkMap[bool]()
        for text in networks:
            self._networks.add(ip_network(text), True)

    def __contains__(self, ip: IP) -> bool:
        return any(self._networks.of(ip))


class NameSet:
    """Tells whether a name is one of its names.

    ``.d`` is d and all below it, ``*.d`` all below it, and ``*`` any name.
    """

    def __init__(self, rules: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._above: set[str] = set()
        for rule in rules:
            name = rule.removeprefix("*.").removeprefix(".")
            name = "" if rule == "*" else rule_name(name)
            if rule.startswith(("*", ".")):
                self._above.add(name)
            if not rule.startswith("*"):
                self._names.add(name)

    def __contains__(self, host: str) -> bool:
        found = host in self._names
        while host and not found:
            host = host.partition(".")[2]
            found = host in self._above
        return found


def rule_name(text: str) -> str:
    """Bring a name that a rule names to its one form; a pattern is none."""
    name = normal_host(text)
    if not ip_of(name) and not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", name):
        raise ValueError(f"{text!r} is neither a name nor a network; no port or range is one")
    return name
