"""Choosing one of several: nodes of a hop, chains of a group.

A selector filters its items, then lets a strategy choose among what is left. It looks at the items:
a :class:`Marker` has their failures, and their metadata the weights and limits.
"""

from abc import abstractmethod
from collections.abc import Sequence
from time import time
from typing import NoReturn, TypeVar, final

from typing_extensions import Protocol, runtime_checkable

from gost_core._lock import LOCK
from gost_core.context import Context

__all__ = ("FailMarker", "Filter", "Markable", "Marker", "Selector", "Strategy")

# Invariant: each of the three takes items of T and gives items of T back.
T = TypeVar("T")


class Selector(Protocol[T]):
    """Chooses one item of several, for one request.

    Items may be :class:`Markable`, have metadata, or have a probe result; an item without them has
    never failed, has weight 1, is no backup and was not probed. A selector reads this metadata:
    ``weight`` and ``maxFails``, whole numbers (0 and less count as 1), ``failTimeout``, a finite
    number of seconds (0 and less count as 10), and ``backup``, a bool; a bool is no number. A value
    of another type is a ValueError that names the key, and the item if it has a name. An item has
    failed while its marker counts ``maxFails`` or more and the last failure is less than
    ``failTimeout`` seconds old. If all have failed, a selector may choose none of them. Its owner,
    a hop or a group, then takes the first eligible one as the last resort (D45).

    Concurrency: one selector serves all requests of its owner at once. Nothing here waits for
    the network.

    Checked by :class:`gost_core.testing.selector.SelectorContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def select(self, ctx: Context, /, *items: T) -> T | None:
        """Choose one of ``items``.

        Args:
            ctx: the request's values; a hash strategy reads CLIENT_ID and HASH_SOURCE.
            items: in a stable order, which strategies may go by. Borrowed: neither changed nor
                kept (D44).

        Returns:
            The chosen item, which need not be one of ``items``; None if there are none or none
            will do (D44).
        """
        ...


class Strategy(Protocol[T]):
    """Decides which of several items is next: in turn, at random, by hash.

    It may keep a state, such as which item is next. One strategy serves all requests at once. A
    caller with a single item need not ask it.

    Checked by :class:`gost_core.testing.selector.StrategyContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        """Choose one of ``items``.

        Args:
            ctx: the request's values.
            items: in a stable order; neither changed nor kept (D44).

        Returns:
            The chosen item, which need not be one of ``items``; None if there are none (D44).
        """
        ...


class Filter(Protocol[T]):
    """Leaves out the items that must not be chosen now, such as those that have failed.

    One filter serves all requests at once.

    Checked by :class:`gost_core.testing.selector.FilterContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def filter(self, ctx: Context, /, *items: T) -> Sequence[T]:
        """Return those of ``items`` that may be chosen, in their order; perhaps none (D44).

        Args:
            ctx: the request's values.
            items: neither changed nor kept (D44).
        """
        ...


class Marker(Protocol):
    """Counts failures and remembers the last.

    A part of the program that sees a component fail calls :meth:`mark`, and one that sees it work
    calls :meth:`reset`. Filters read the marker. It holds one view of what failed: if two parts can
    disagree, such as a probe of a node and a user of its chain, each needs a marker.

    Any thread may use it (D21), and no call waits.

    Checked by :class:`gost_core.testing.selector.MarkerContract`.
    """

    __slots__ = ()

    @abstractmethod
    def time(self) -> float:
        """Return when the last failure was marked, in POSIX seconds with their fraction.

        0.0 = never. :meth:`reset` does not change it (D43).
        """
        ...

    @abstractmethod
    def count(self) -> int:
        """Return how many failures were marked since the last reset. It does not fade."""
        ...

    @abstractmethod
    def mark(self) -> None:
        """Count a failure, now."""
        ...

    @abstractmethod
    def reset(self) -> None:
        """Set the count to 0 and keep the time of the last failure (D43)."""
        ...


@runtime_checkable
class Markable(Protocol):
    """Something whose failures are tracked. A wrapper shows the marker of what it wraps.

    A Route marks the node that a failed step was to reach; a chain that is Markable is marked by
    the routes that it gives (D43, D70).

    Checked by :class:`gost_core.testing.selector.MarkableContract`.
    """

    __slots__ = ()

    @abstractmethod
    def marker(self) -> Marker | None:
        """Return the marker, the same object each time; None = failures are not tracked (D43)."""
        ...


@final
class FailMarker(Marker):
    """The Marker that counts in memory, by the clock of ``time.time()``.

    It cannot be copied or pickled, since a copy would count apart: share the marker instead. After
    a fork the child has a separate marker that begins with the same counts, and works (D21).
    """

    __slots__ = ("__weakref__", "_count", "_time")

    def __init__(self) -> None:
        self._time = 0.0
        self._count = 0

    def __repr__(self) -> str:
        return f"<FailMarker count={self._count} time={self._time}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be copied or pickled: a copy would count apart; share the marker"
        )

    def time(self) -> float:
        """Return when the last failure was marked, in POSIX seconds; 0.0 = never."""
        return self._time

    def count(self) -> int:
        """Return how many failures were marked since the last reset."""
        return self._count

    def mark(self) -> None:
        """Count a failure, now."""
        with LOCK:
            self._time = time()
            self._count += 1

    def reset(self) -> None:
        """Set the count to 0 and keep the time of the last failure (D43)."""
        with LOCK:
            self._count = 0
