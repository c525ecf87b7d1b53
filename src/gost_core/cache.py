"""Caches: bytes under keys, kept for a while.

A cache saves work and decides nothing. If it fails, its caller goes on as if nothing had been found
(D75).
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import TypeAlias

from typing_extensions import Buffer, Protocol

from gost_core.context import Context
from gost_core.options import FieldOption

__all__ = ("Cache", "Entry", "NotFoundError", "SetOption", "SetOptions", "with_ttl")


class NotFoundError(LookupError):
    """The cache holds nothing under the key (D75).

    Not for a cache that cannot be reached, which is an OSError.
    """


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Entry:
    """What a cache holds under a key.

    An entry may be expired: a cache may still return it, for those who would rather serve what is
    old than nothing. Ask :meth:`expired` before you use the data (D75).
    """

    data: bytes = b""
    """What was stored."""
    expiration: float = 0.0
    """When it expires, in POSIX seconds as ``time.time()`` counts them; 0.0 = never."""

    def expired(self) -> bool:
        """Tell whether the entry has expired: from the moment :attr:`expiration` on."""
        return self.ttl() <= 0

    def ttl(self) -> float:
        """Return the seconds that are left: 0 or less once expired, ``math.inf`` for never."""
        return self.expiration - time() if self.expiration else math.inf


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class SetOptions:
    """Options for one call of :meth:`Cache.set`."""

    ttl: float = 0.0
    """How many seconds the entry lives; 0 = the cache's own default, ``math.inf`` = without end."""


SetOption: TypeAlias = Callable[[SetOptions], object]


def with_ttl(ttl: float, /) -> SetOption:
    """Set ``SetOptions.ttl``.

    How many seconds the entry lives; 0 = the cache's own default, ``math.inf`` = without end.
    """
    return FieldOption(SetOptions, "ttl", ttl)


class Cache(Protocol):
    """Keeps bytes under keys, for a while and as far as there is room.

    An entry may go at any time, before it expires too. What was stored last is what is found, and
    keys are compared whole.

    For callers: a cache that raises an OSError is a miss, never a failure of the exchange (D75).

    Concurrency: called by many tasks at once.

    Checked by :class:`gost_core.testing.cache.CacheContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def delete(self, ctx: Context, key: str, /) -> None:
        """Remove what is stored under ``key``; a no-op if nothing is.

        Raises:
            OSError: the cache cannot be reached, and the entry may still be there.
        """
        ...

    @abstractmethod
    async def get(self, ctx: Context, key: str, /) -> Entry:
        """Return what is stored under ``key``.

        Args:
            ctx: the values of the request.
            key: what the caller chose; "" is a key like any other.

        Returns:
            The entry. It may be expired; whether an expired one is still there is best effort
            (D75).

        Raises:
            NotFoundError: nothing is stored under ``key``, or not any more.
            OSError: the cache cannot be reached; the caller goes on as after NotFoundError.
        """
        ...

    @abstractmethod
    async def set(self, ctx: Context, key: str, data: Buffer, /, *opts: SetOption) -> None:
        """Store ``data`` under ``key``, in place of what was there.

        Args:
            ctx: the values of the request.
            key: what the caller chose; "" is a key like any other.
            data: any buffer; ``b""`` is a value too. The caller may change it once the call has
                returned.
            opts: see :class:`SetOptions`.

        Raises:
            OSError: the cache cannot be reached; the caller goes on without (D75).
        """
        ...
