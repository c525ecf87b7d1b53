"""Rules on destinations."""

from contextlib import suppress

from gost_core import bypass
from gost_core.context import Context
from gost_core.options import apply

from .net.address import host_of, ip_of
from .net.hosts import NameSet, NetworkSet, normal_host


class PatternBypass(bypass.Bypass):
    """Bypasses what its patterns match or, as a whitelist, all that they do not match.

    A pattern is a network (``10.0.0.0/8``), an address, or a name: ``.d`` is d and all below it,
    ``*.d`` all below it, and ``*`` whatever there is. A name is matched by its letters: where it
    leads to shows only once it has been resolved. A pattern that could match nothing is a
    ValueError, and so is none.
    """

    def __init__(self, *patterns: str, whitelist: bool = False) -> None:
        if not patterns:
            raise ValueError("a bypass needs a pattern")
        self._whitelist = whitelist
        networks: list[str] = []
        names: list[str] = []
        for pattern in patterns:
            address = ip_of(pattern)
            if "/" in pattern or address is not None:
                networks.append(pattern if address is None else str(address))
            else:
                names.append(pattern)
            if pattern == "*":  # whoever writes that means addresses too
                networks += ["0.0.0.0/0", "::/0"]
        self._networks = NetworkSet(networks)
        self._names = NameSet(names)

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
        if ip is not None:
            return ip in self._networks
        if not host.isascii():
            with suppress(ValueError):  # what is no name is none of these
                host = normal_host(host)
        return host != "" and host in self._names
