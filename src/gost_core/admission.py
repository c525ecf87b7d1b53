"""Admission: who may connect at all."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = ("Admission", "Option", "Options", "with_network", "with_service")


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`Admission.admit`."""

    service: str = ""
    """The name of the asking service; "" = not given."""
    network: str = ""
    """The source's network once more, for implementations that read options only; "" = not
    given."""


Option: TypeAlias = Callable[[Options], object]


def with_service(service: str, /) -> Option:
    """Set ``Options.service``.

    The name of the asking service; "" = not given.
    """
    return FieldOption(Options, "service", service)


def with_network(network: str, /) -> Option:
    """Set ``Options.network``.

    The source's network once more, for implementations that read options only; "" = not
    given.
    """
    return FieldOption(Options, "network", network)


class Admission(Protocol):
    """Decides whether a source may connect, before anything is read from it.

    For callers: write ``if not await admission.admit(...)``. Without the ``await`` the test is of a
    coroutine, which is always true, and everybody is admitted. An exception refuses (D49).

    For implementers: a list of rules that is empty, and a rule that can never match (``127.*``,
    ``host:port``, an address in brackets, ``""``), is a ValueError where the rules are read. An
    IPv4 address that is written as IPv6 counts as IPv4, an unspecified address as loopback (D12,
    D50).

    Concurrency: called for many connections at once. A listener may ask within ``accept()``, so
    a slow answer may slow it down; what takes long belongs behind a cache.

    Checked by :class:`gost_core.testing.admission.AdmissionContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        """Tell whether the source may connect.

        Args:
            ctx: the values of the connection, if it has any yet.
            network: the network of the source, such as ``tcp`` (D11), never that of the listener
                (D50).
            addr: the source: host and port, a host, a path, or "" (D12). Where PROXY headers are
                trusted, it is the source that the header names (D71). An address that is empty or
                cannot be read matches no rule, so a blacklist admits it and a whitelist refuses it
                (D50).
            opts: see :class:`Options`.

        Returns:
            True to admit. An implementation that cannot decide, because its rules or its backend
            cannot be reached, refuses: False (D49).
        """
        ...
