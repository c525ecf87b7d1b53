"""From names to addresses by the DNS."""

import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

import dns.asyncresolver
import dns.name
import dns.nameserver
import dns.resolver
from dns.exception import DNSException

from gost_core import resolver
from gost_core.cache import Cache, NotFoundError, with_ttl
from gost_core.context import Context
from gost_core.options import apply

from .cache import MemoryCache
from .hosts import of_family
from .net.address import split_target
from .net.hosts import IP

FAMILIES: Final = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}


class DNSResolver(resolver.Resolver):
    """Asks DNS servers, each given as ``host:port`` with an IP address for a host.

    Addresses are kept in a cache for as long as their servers say; if it fails, they are asked for.
    """

    def __init__(self, *servers: str, timeout: float = 5.0, cache: Cache | None = None) -> None:
        if not servers:  # the library would go on with the system's servers (D39)
            raise ValueError("a DNS resolver needs the address of at least one server")
        # Nothing is read from the system's settings: a constructor does no I/O (D18).
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [_nameserver(server) for server in servers]
        self._resolver.lifetime = timeout
        self._cache = MemoryCache() if cache is None else cache

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
        key = f"dns {network} {name.canonicalize()}"
        found = await self._kept(ctx, key)
        if found is None:
            found, ttl = await self._ask(network, name)
            if ttl > 0:
                data = json.dumps([str(address) for address in found]).encode()
                with suppress(OSError):  # a cache that fails is none (D75)
                    await self._cache.set(ctx, key, data, with_ttl(ttl))
        # IPv4 first: a dial takes the first address, and not every host has IPv6.
        return sorted(found, key=lambda address: address.version)

    async def _kept(self, ctx: Context, key: str) -> list[IP] | None:
        # What is nonsense in there was found as little as what is not there.
        with suppress(NotFoundError, OSError, TypeError, ValueError):
            entry = await self._cache.get(ctx, key)
            if not entry.expired():
                return [ip_address(str(text)) for text in json.loads(entry.data)]
        return None

    async def _ask(self, network: str, name: dns.name.Name) -> tuple[list[IP], float]:
        """Return addresses, and for how many seconds they hold."""
        family = FAMILIES.get(network, socket.AF_UNSPEC)
        try:
            answers = await self._resolver.resolve_name(name, family, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], 0
        except DNSException as error:  # not an empty answer, which would be final (D39)
            raise socket.gaierror(socket.EAI_AGAIN, f"{name}: {error}") from error
        both: list[dns.resolver.Answer] = [*answers.values()]
        ends = [answer.expiration for answer in both if answer.rrset]
        return [*map(ip_address, answers.addresses())], min(ends, default=0) - time.time()


def _nameserver(server: str) -> dns.nameserver.Nameserver:
    host, port = split_target(server)
    return dns.nameserver.Do53Nameserver(str(ip_address(host)), port)
