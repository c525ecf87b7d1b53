"""Rules on destinations and on requests."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from gost_core import bypass
from gost_core.context import Context
from gost_core.options import apply
from gost_core.routing import Matcher, Request

from .address import host_of


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
        try:
            ip = ip_address(host)
        except ValueError:
            return any(fnmatchcase(host, name) for name in self._names)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped:  # another way to write an IPv4 address
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks)


class RequestMatcher(Matcher):
    """Matches requests for which all is so that was asked for; "" asks for nothing.

    ``*`` may stand in a host and in the value of a header. A path matches itself and everything
    below it: ``/api`` does not match ``/apiary``.
    """

    def __init__(
        self,
        *,
        host: str = "",
        path: str = "",
        method: str = "",
        header: Mapping[str, str] | None = None,
    ) -> None:
        self._host = host_of(host)
        self._path = path
        self._method = method.upper()
        self._header = {canonical(name): value for name, value in (header or {}).items()}

    async def match(self, request: Request, /) -> bool:
        # What is not known of a request is "", which not even "*" matches (D48).
        host = host_of(request.host)
        return (
            (not self._host or (host != "" and fnmatchcase(host, self._host)))
            and (not self._path or _is_below(request.path, self._path))
            and self._method in ("", request.method)
            and all(
                any(fnmatchcase(found, value) for found in request.header.get(name, ()))
                for name, value in self._header.items()
            )
        )


def canonical(name: str) -> str:
    """Write the name of a header as requests have it (D48)."""
    return "-".join(word.capitalize() for word in name.split("-"))


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
