"""Route tables: which gateway leads to an address.

Not to be mistaken for :class:`gost_core.chain.Router`, which opens connections.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias, overload

from typing_extensions import Protocol, deprecated

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = ("Option", "Options", "Route", "Router", "id_option")


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Route:
    """One line of a route table.

    Not to be mistaken for :class:`gost_core.chain.Route`, which is a way through nodes.
    """

    net: IPv4Network | IPv6Network | None = None
    """The destination as a network; None if ``dst`` is none. To make a route, set ``dst`` in its
    place: giving ``net`` is deprecated, reading it is not."""
    dst: str = ""
    """The destination: an address, a network in CIDR form, or an opaque name."""
    gateway: str = ""
    """Where to send it: an address, or the name of a client. It is returned unchanged."""

    @overload
    def __init__(self, *, dst: str = "", gateway: str = "") -> None: ...

    @overload
    @deprecated("give the destination as dst; net is kept for parity with Go")
    def __init__(
        self, *, net: IPv4Network | IPv6Network | None, dst: str = "", gateway: str = ""
    ) -> None: ...

    def __init__(
        self, *, net: IPv4Network | IPv6Network | None = None, dst: str = "", gateway: str = ""
    ) -> None:
        # As the dataclass would: only the overloads can say which field is deprecated.
        object.__setattr__(self, "net", net)
        object.__setattr__(self, "dst", dst)
        object.__setattr__(self, "gateway", gateway)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`Router.get_route`."""

    id: str = ""
    """Which of several tables is meant; "" = the only one, or the default."""


Option: TypeAlias = Callable[[Options], object]


def id_option(id: str, /) -> Option:
    """Set ``Options.id``.

    Which of several tables is meant; "" = the only one, or the default.
    """
    return FieldOption(Options, "id", id)


class Router(Protocol):
    """Looks up routes in a configured table, which it does not change (D63).

    The table of the operating system is neither read nor changed (D63).

    Concurrency: called for each packet, by many tasks at once, so it is fast.

    Checked by :class:`gost_core.testing.router.RouterContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def get_route(self, ctx: Context, dst: str, /, *opts: Option) -> Route | None:
        """Find the route to ``dst``.

        A route whose destination equals ``dst`` comes first, then the first network, in the order
        of the table, that contains it (D63).

        Args:
            ctx: the packet's values.
            dst: one address without port and mask, or a name.
            opts: see :class:`Options`.

        Returns:
            The route; None if there is none, if ``dst`` is "", or if the table is unknown (D63).

        Raises:
            OSError: the table cannot be reached.
        """
        ...
