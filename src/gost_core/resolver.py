"""Name resolution."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context

__all__ = ("InvalidError", "Option", "Options", "Resolver")


class InvalidError(LookupError):
    """There is no resolver here; the caller leaves the address as it is (D39).

    A resolver that was given no server to ask raises it, for instance. A live reference whose
    resolver is gone does not: it raises an OSError (D60).
    """


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`Resolver.resolve`; there are none yet."""


Option: TypeAlias = Callable[[Options], object]


class Resolver(Protocol):
    """Turns names into addresses.

    If one is configured, no part of the program asks the DNS of the system instead, not even for
    datagrams (D9, D39).

    Concurrency: called for many requests at once. Equal queries may share one exchange, which then
    goes on when one of the callers is cancelled, and takes no TIME_LIMIT of any of them (D69). What
    blocks, such as a lookup by the system, runs in a pool that belongs to the resolver and is
    bounded for each client, never on the event loop (D21).

    Checked by :class:`gost_core.testing.resolver.ResolverContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IPv4Address | IPv6Address]:
        """Resolve a host.

        Args:
            ctx: the request's values.
            network: ``ip4`` or ``ip6`` for one family, ``ip`` for both (D11). ``tcp4`` and ``udp4``
                ask for ``ip4``, ``tcp6`` and ``udp6`` for ``ip6`` (D39).
            host: a name or a literal address, without port and brackets. A literal comes back as
                itself.
            opts: see :class:`Options`.

        Returns:
            The addresses in order of preference, the caller's own to keep; for ``ip`` of both
            families. Empty = the name does not exist, and the dial fails (D39).

        Raises:
            InvalidError: leave the address as it is.
            OSError: no server answered, or its answer is malformed; the attempt fails (D15, D39).
                Answers may be kept for a time that the resolver documents, and no longer than that
                when no server answers (D39).
        """
        ...
