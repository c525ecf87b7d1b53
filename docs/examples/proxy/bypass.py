"""Rules on destinations."""

from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network

from gost_core import bypass
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of, ip_of


class PatternBypass(bypass.Bypass):
    """Bypasses what its patterns match or, as a whitelist, all that they do not match.

    A pattern is a network (``10.0.0.0/8``), an address, or a name in which ``*`` may stand. A name
    is matched by its letters: where it leads to shows only once it has been resolved.
    """

    def __init__(self, *patterns: str, whitelist: bool = False) -> None:
        self._whitelist = whitelist
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: list[str] = []
        for pattern in patterns:
            try:
                self._networks.append(ip_network(pattern))
            except ValueError:
                if "/" in pattern:
                    raise
                self._names.append(host_of(pattern))

    def is_whitelist(self) -> bool:
        return self._whitelist

    async def contains(
        self, ctx: Context, network: str, addr: str, /, *opts: bypass.Option
    ) -> bool:
        options = apply(bypass.Options(), *opts)
        if not addr:  # never bypassed, not even by a whitelist (D47)
            return False
        # The name that was asked for tells what an address resolved since no longer does.
        matched = self._matches(addr) or self._matches(options.host)
        return matched is not self._whitelist

    def _matches(self, addr: str) -> bool:
        host = host_of(addr).strip("[]")
        ip = ip_of(host)
        if ip is None:
            return any(fnmatchcase(host, name) for name in self._names)
        return any(ip in network for network in self._networks)
