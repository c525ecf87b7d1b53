"""From names to addresses: a table, as a hosts file has it, and the DNS."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import dns.asyncresolver
import dns.name
import dns.nameserver
import dns.resolver
from dns.exception import DNSException

from gost_core import hosts, resolver
from gost_core.context import Context
from gost_core.options import apply

from .address import host_of, split_target

IP = IPv4Address | IPv6Address

FAMILIES: Final = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}
VERSIONS: Final = {"ip4": 4, "ip6": 6}


class TableHostMapper(hosts.HostMapper):
    """Knows the names of a table, and nothing below or above them."""

    def __init__(self, table: Mapping[str, Sequence[IP]]) -> None:
        self._table = {host_of(name): tuple(found) for name, found in table.items()}

    @classmethod
    def parse(cls, lines: Iterable[str]) -> "TableHostMapper":
        """Read the lines of a hosts file: an address, names, perhaps a ``#`` and a comment."""
        table: dict[str, list[IP]] = {}
        for number, line in enumerate(lines, 1):
            address, *names = line.partition("#")[0].split() or [""]
            if not address:
                continue
            try:
                found = ip_address(address)
            except ValueError as error:
                raise ValueError(f"line {number} of the hosts: {error}") from None
            for name in names:
                table.setdefault(host_of(name), []).append(found)
        return cls(table)

    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: hosts.Option
    ) -> Sequence[IP] | None:
        apply(hosts.Options(), *opts)
        found = self._table.get(host_of(host))
        # None sends the caller to the resolver; a name without an address of the family is known
        # all the same, so that is an empty answer (D39).
        return None if found is None else _of_family(network, found)


class DNSResolver(resolver.Resolver):
    """Asks DNS servers, each given as ``host:port`` with an IP address for a host."""

    def __init__(self, *servers: str, timeout: float = 5.0) -> None:
        if not servers:  # the library would go on with the system's servers (D39)
            raise ValueError("a DNS resolver needs the address of at least one server")
        # Nothing is read from the system's settings: a constructor does no I/O (D18).
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [_nameserver(server) for server in servers]
        self._resolver.lifetime = timeout
        self._resolver.cache = dns.resolver.LRUCache()

    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: resolver.Option
    ) -> Sequence[IP]:
        apply(resolver.Options(), *opts)
        try:
            return _of_family(network, [ip_address(host)])
        except ValueError:
            pass
        try:
            name = dns.name.from_text(host)
        except DNSException:  # a label of 64 letters, say; no such name can exist
            return []
        family = FAMILIES.get(network, socket.AF_UNSPEC)
        try:
            answers = await self._resolver.resolve_name(name, family, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except DNSException as error:  # not an empty answer, which would be final (D39)
            raise socket.gaierror(socket.EAI_AGAIN, f"{host}: {error}") from error
        # IPv4 first: a dial takes the first address, and not every host has IPv6.
        return sorted(map(ip_address, answers.addresses()), key=lambda address: address.version)


def _nameserver(server: str) -> dns.nameserver.Nameserver:
    host, port = split_target(server)
    return dns.nameserver.Do53Nameserver(str(ip_address(host)), port)


def _of_family(network: str, found: Sequence[IP]) -> list[IP]:
    version = VERSIONS.get(network)
    return [address for address in found if version in (None, address.version)]
