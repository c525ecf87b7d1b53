"""Host mapping: fixed addresses for names, before anything is resolved."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context

__all__ = ("HostMapper", "Option", "Options")


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`HostMapper.lookup`; there are none yet."""


Option: TypeAlias = Callable[[Options], object]


class HostMapper(Protocol):
    """Maps names to addresses, as a hosts file does.

    A Router asks it first, then the Resolver, and leaves the name as it is if neither knows it
    (D39). Names of the mapping are brought to the one form of a host where they are read (D12).

    Concurrency: called for many requests at once.

    Checked by :class:`gost_core.testing.hosts.HostMapperContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def lookup(
        self, ctx: Context, network: str, host: str, /, *opts: Option
    ) -> Sequence[IPv4Address | IPv6Address] | None:
        """Look up a host.

        Args:
            ctx: the request's values.
            network: ``ip``, ``ip4`` or ``ip6``: which families are wanted (D11). ``tcp4`` and
                ``udp4`` ask for ``ip4``, ``tcp6`` and ``udp6`` for ``ip6`` (D39).
            host: a name or a literal address, without port and brackets. ASCII case and a trailing
                dot do not count (D12). A literal that is not mapped is simply not there.
            opts: see :class:`Options`.

        Returns:
            The addresses, the best first, not to be changed. None = not mapped, so the caller goes
            on to the Resolver. Empty = mapped, but with no address of that family: the dial fails
            with gaierror (D39). Compare the result with None, since an empty sequence is false too.

        Raises:
            OSError: the mapping cannot be reached.
        """
        ...
