"""Options for the lookups of traffic limiters, and the scopes of a limit.

Each scope, service and direction has a separate budget for each key, and keys are compared whole. A
budget does not begin anew because every reference to its limiter was dropped, or because many other
keys were asked for. A limit that is changed or removed acts from the next lookup on, or, if an
implementation keeps answers for a time that it documents, at the latest after that time (D53).

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


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Which budget a caller wants, and what for."""

    service: str = ""
    """The name of the asking service; "" = not given."""
    scope: str = ""
    """Whose budget is meant, one of the ``SCOPE_`` constants; "" = SCOPE_CONN."""
    network: str = ""
    """The network of the traffic, such as ``tcp`` (D11); "" = not given."""
    addr: str = ""
    """The target, as ``host:port`` (D12); "" = none, or not given."""
    client: str = ""
    """The id of the client, as an Authenticator gave it; "" = not given."""
    src: str = ""
    """Where the client is, with its port (D12); "" = not given."""


Option: TypeAlias = Callable[[Options], object]


def scope_option(scope: str, /) -> Option:
    """Set ``Options.scope``.

    Whose budget is meant, one of the ``SCOPE_`` constants; "" = SCOPE_CONN.
    """
    return FieldOption(Options, "scope", scope)


def service_option(service: str, /) -> Option:
    """Set ``Options.service``.

    The name of the asking service; "" = not given.
    """
    return FieldOption(Options, "service", service)


def network_option(network: str, /) -> Option:
    """Set ``Options.network``.

    The network of the traffic, such as ``tcp`` (D11); "" = not given.
    """
    return FieldOption(Options, "network", network)


def addr_option(addr: str, /) -> Option:
    """Set ``Options.addr``.

    The target, as ``host:port`` (D12); "" = none, or not given.
    """
    return FieldOption(Options, "addr", addr)


def client_option(client: str, /) -> Option:
    """Set ``Options.client``.

    The id of the client, as an Authenticator gave it; "" = not given.
    """
    return FieldOption(Options, "client", client)


def src_option(src: str, /) -> Option:
    """Set ``Options.src``.

    Where the client is, with its port (D12); "" = not given.
    """
    return FieldOption(Options, "src", src)
