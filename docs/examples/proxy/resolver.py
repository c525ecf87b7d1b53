"""From names to addresses by the DNS."""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

import dns.asyncresolver
import dns.name
import dns.nameserver
import dns.resolver
from dns.exception import DNSException

from gost_core import resolver
from gost_core.context import Context
from gost_core.options import apply

from .hosts import IP, of_family
from .net.address import split_target

FAMILIES: Final = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}


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
            return of_family(network, [ip_address(host)])
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
