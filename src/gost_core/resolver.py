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

    A reference to a resolver that is not registered raises it, for instance.
    """


@dataclass(slots=True, kw_only=True)
class Options:
    """What a call of :meth:`Resolver.resolve` may say besides: nothing yet."""


Option: TypeAlias = Callable[[Options], object]


class Resolver(Protocol):
    """Turns names into addresses.

    Where one is configured, nobody asks the system's DNS instead (D39).

    Concurrency: called for many requests at once. Equal queries may share one exchange, which then
    goes on when one of the callers is cancelled.

    Checked by :func:`gost_core.testing.check_resolver_resolver`: ``shape``, ``literals``,
    ``both-families``, ``one-family``, ``unknown-empty``, ``missing-invalid``, ``host-case``,
    ``trailing-dot``, ``result-own``, ``cancelled-twin``, ``options``, ``concurrent``,
    ``cancelled``, ``backend-broken``.
    """

    __slots__ = ()

    @abstractmethod
    async def resolve(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IPv4Address | IPv6Address]:
        """Resolve a host.

        Args:
            ctx: the request's values.
            network: ``ip4`` or ``ip6`` for one family, ``ip`` for both (D11).
            host: a name or a literal address, without port and brackets. A literal comes back as
                itself.
            opts: see :class:`Options`.

        Returns:
            The addresses in order of preference, the caller's own to keep; for ``ip`` of both
            families. Empty = the name does not exist, and the dial fails (D39).

        Raises:
            InvalidError: leave the address as it is.
            OSError: no server answered; the attempt fails (D39).
        """
        ...
