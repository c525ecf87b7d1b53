"""What the limiters of traffic are told of a request, and the scopes of a limit.

The limiters are in :mod:`~gost_core.limiter.conn` (how many connections),
:mod:`~gost_core.limiter.rate` (how many requests a second) and
:mod:`~gost_core.limiter.traffic` (how many bytes a second).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gost_core.options import FieldOption

__all__ = (
    "Option",
    "Options",
    "SCOPE_CLIENT",
    "SCOPE_CONN",
    "SCOPE_SERVICE",
    "addr_option",
    "client_option",
    "network_option",
    "scope_option",
    "service_option",
    "src_option",
)

SCOPE_SERVICE: Final[str] = "service"
"""The limit is that of the whole service."""

SCOPE_CONN: Final[str] = "conn"
"""The limit is that of one connection."""

SCOPE_CLIENT: Final[str] = "client"
"""The limit is that of one client, on all its connections."""


@dataclass(slots=True, kw_only=True)
class Options:
    """Which budget a caller wants, and what for."""

    service: str = ""
    """The name of the asking service; "" = not told."""
    scope: str = ""
    """Whose budget is meant, one of the ``SCOPE_`` constants; "" = SCOPE_CONN."""
    network: str = ""
    """The network of the traffic (D11); "" = not told."""
    addr: str = ""
    """The target (D12); "" = none, or not told."""
    client: str = ""
    """The id of the client, as an Authenticator gave it; "" = not told."""
    src: str = ""
    """Where the client is, with its port (D12); "" = not told."""


Option: TypeAlias = Callable[[Options], object]


def scope_option(scope: str, /) -> Option:
    """Say whose budget is meant."""
    return FieldOption(Options, "scope", scope)


def service_option(service: str, /) -> Option:
    """Say which service asks."""
    return FieldOption(Options, "service", service)


def network_option(network: str, /) -> Option:
    """Say by which network the traffic goes (D11)."""
    return FieldOption(Options, "network", network)


def addr_option(addr: str, /) -> Option:
    """Say where the traffic goes (D12)."""
    return FieldOption(Options, "addr", addr)


def client_option(client: str, /) -> Option:
    """Say who the client is."""
    return FieldOption(Options, "client", client)


def src_option(src: str, /) -> Option:
    """Say where the client is (D12)."""
    return FieldOption(Options, "src", src)
