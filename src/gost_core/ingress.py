"""Ingress: which endpoint serves a public host name."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = ("Ingress", "Option", "Options", "Rule", "with_service")


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Rule:
    """One public host name, or a group of them, and where it leads."""

    hostname: str = ""
    """An exact host; ``.d`` or ``*.d`` for d and everything below it; ``.`` for the rest (D62)."""
    endpoint: str = ""
    """Where it leads: an opaque name, such as a tunnel's id. "" = nowhere: no rule (D62)."""


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of an :class:`Ingress`."""

    service: str = ""
    """The name of the asking service; "" = not given."""


Option: TypeAlias = Callable[[Options], object]


def with_service(service: str, /) -> Option:
    """Set ``Options.service``.

    The name of the asking service; "" = not given.
    """
    return FieldOption(Options, "service", service)


class Ingress(Protocol):
    """Keeps rules from public host names to endpoints.

    Concurrency: called for many requests at once, on their way to an answer. A change that waits
    for the store holds up nobody who asks, and no change of another host (D22).

    Checked by :class:`gost_core.testing.ingress.IngressContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def set_rule(self, ctx: Context, rule: Rule, /, *opts: Option) -> bool:
        """Store a rule, in place of one with the same host name and the same endpoint.

        A rule for a host that another endpoint has is not replaced. To look and to store are one
        step, so of two endpoints that want a host at once one gets it. To give a host to another
        endpoint, delete its rule first (D62).

        Args:
            ctx: the request's values.
            rule: an empty endpoint deletes the rule of that host name (D62).
            opts: see :class:`Options`.

        Returns:
            True if it was stored or deleted. False if not, because another endpoint has the host or
            the store is read only (D62).

        Raises:
            OSError: the store cannot be reached.
        """
        ...

    @abstractmethod
    async def get_rule(self, ctx: Context, host: str, /, *opts: Option) -> Rule | None:
        """Find the rule for a host.

        An exact host comes first, then the longest ``.d`` or ``*.d`` that covers it, then ``.``
        (D62).

        Args:
            ctx: the request's values.
            host: as the client sent it; a port is ignored, and so are ASCII case and a trailing dot
                (D12, D62).
            opts: see :class:`Options`.

        Returns:
            The rule, whose ``hostname`` is its own, not the one asked for; None if no rule covers
            ``host``.

        Raises:
            OSError: the store cannot be reached.
        """
        ...
