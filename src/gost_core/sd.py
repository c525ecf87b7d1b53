"""Service discovery: which proxies offer a service now."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context

__all__ = ("Option", "Options", "SD", "Service")


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Service:
    """One instance of a service. ``id``, ``name`` and ``node`` together are its key (D61)."""

    id: str = ""
    """Tells instances of one name on one node apart."""
    name: str = ""
    """What is offered, and asked for by :meth:`SD.get`."""
    node: str = ""
    """Which proxy offers it; a caller may leave out its own."""
    network: str = ""
    """The network to reach it by, such as ``tcp`` (D11). To renew and to deregister it may be ""
    (D61)."""
    address: str = ""
    """The address to reach it at, as ``host:port`` (D12). To renew and to deregister it may be ""
    (D61)."""


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`SD.register`; there are none yet."""


Option: TypeAlias = Callable[[Options], object]


class SD(Protocol):
    """A directory of services, shared by several proxies.

    What is registered lives for a lease, whose length the implementation decides and documents;
    its owner renews it in time, several times a lease. An entry that cannot be read is left out and
    logged, and fields that are not known are ignored (D61).

    Concurrency: called by many tasks at once, and by other proxies. A change that waits for
    the directory holds up nobody who asks, and no change of another name (D22).

    Checked by :class:`gost_core.testing.sd.SDContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def register(self, ctx: Context, service: Service, /, *opts: Option) -> None:
        """Enter a service, in place of one with the same key (D61).

        Raises:
            OSError: the directory cannot be reached; nothing is known of what it holds.
        """
        ...

    @abstractmethod
    async def deregister(self, ctx: Context, service: Service, /) -> None:
        """Remove the service with this key; a no-op if there is none (D61).

        Raises:
            OSError: the directory cannot be reached.
        """
        ...

    @abstractmethod
    async def renew(self, ctx: Context, service: Service, /) -> None:
        """Renew the lease of the service with this key; its network and address stay (D61).

        Raises:
            LookupError: there is none, perhaps not any more; the caller registers again (D61).
            OSError: the directory cannot be reached.
        """
        ...

    @abstractmethod
    async def get(self, ctx: Context, name: str, /) -> Sequence[Service]:
        """Return the living services of a name, in order of preference.

        Callers take the first that suits them, so the order is the load balancing. Empty if there
        are none; never None inside (D61). The caller's own may be among them.

        Raises:
            OSError: the directory cannot be reached. Entries that were kept may be given as long as
                their leases last, and no longer (D61).
        """
        ...
