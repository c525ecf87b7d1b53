"""Bypass: which addresses a proxy leaves alone."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = (
    "Bypass",
    "Option",
    "Options",
    "with_host_option",
    "with_path_option",
    "with_service",
)


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`Bypass.contains`."""

    service: str = ""
    """The name of the asking service; "" = not given."""
    host: str = ""
    """The name by which the address was asked for, perhaps with a port; it tells more than an
    address that was resolved since. "" = not given (D37)."""
    path: str = ""
    """The path of an HTTP request, percent-decoded and without the query; "" = not given."""


Option: TypeAlias = Callable[[Options], object]


def with_service(service: str, /) -> Option:
    """Set ``Options.service``.

    The name of the asking service; "" = not given.
    """
    return FieldOption(Options, "service", service)


def with_host_option(host: str, /) -> Option:
    """Set ``Options.host``.

    The name by which the address was asked for, perhaps with a port; it tells more than an
    address that was resolved since. "" = not given (D37).
    """
    return FieldOption(Options, "host", host)


def with_path_option(path: str, /) -> Option:
    """Set ``Options.path``.

    The path of an HTTP request, percent-decoded and without the query; "" = not given.
    """
    return FieldOption(Options, "path", path)


class Bypass(Protocol):
    """Decides which destinations are bypassed.

    The caller decides what that means: a chain skips the hop, a hop skips the node, a handler
    refuses the request (D47).

    A name is compared letter by letter; it is not resolved. A caller that resolves it asks again,
    with the address, and with the name as ``Options.host``, and then dials that very address. An
    IPv4 address that is written as IPv6 counts as IPv4, an unspecified address as loopback (D12,
    D47). For implementers: a list of rules that is empty, and a rule that can never match
    (``127.*``, ``host:port``, an address in brackets, ``""``), is a ValueError where the rules are
    read (D47).

    For callers: await the answer. A coroutine is true, and to a handler true means refuse.

    Concurrency: called for many requests at once, for datagrams one by one, so it is fast.

    Checked by :class:`gost_core.testing.bypass.BypassContract`.
    """

    __slots__ = ()

    @abstractmethod
    def is_whitelist(self) -> bool:
        """Tell whether the rules name what is *not* bypassed.

        For those who combine several; to read an answer of :meth:`contains` it is not needed.
        """
        ...

    @abstractmethod
    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        """Tell whether the destination is bypassed.

        The answer is final: a whitelist's inversion is in it already (D47).

        Args:
            ctx: the request's values.
            network: the network of the destination, such as ``tcp`` (D11); "" = not given.
            addr: the destination, with or without a port; ASCII case and a trailing dot of its host
                do not count (D12). The empty address is never bypassed (D47).
            opts: see :class:`Options`.

        Raises:
            DeniedError: the request is refused by rule.
            OSError: the rules cannot be reached. Neither is ever turned into a direct connection
                (D36).

        Example::

            target = "example.net:443"
            if await bypass.contains(ctx, "tcp", target):
                raise DeniedError(f"{target} is refused by rule")
        """
        ...
