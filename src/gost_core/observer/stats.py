"""Counters of a service or a client."""

from abc import abstractmethod
from enum import IntEnum

from typing_extensions import Protocol

__all__ = ("Kind", "Stats")


class Kind(IntEnum):
    """What is counted."""

    TOTAL_CONNS = 1
    """Connections, since the beginning; an accepted session of datagrams is one (D54)."""
    CURRENT_CONNS = 2
    """Connections that are open; the one count that also falls."""
    INPUT_BYTES = 3
    """Bytes that the service read from the counted side. Those of a datagram association are added
    to those of its control connection (D54)."""
    OUTPUT_BYTES = 4
    """Bytes that the service wrote to the counted side."""
    TOTAL_ERRS = 5
    """Connections whose ``handle()`` raised an Exception other than a DeniedError (D15). When a
    client went away, ``handle()`` returns, so it is not counted (D28)."""


class Stats(Protocol):
    """Counts, by :class:`Kind`.

    Any thread may use it (D21), and no call waits: it is asked for every read and write. Several
    values read one after the other are no snapshot of one moment.

    Checked by :class:`gost_core.testing.observer.stats.StatsContract`.
    """

    __slots__ = ()

    @abstractmethod
    def add(self, kind: Kind, n: int, /) -> None:
        """Add ``n`` to a count.

        Args:
            kind: an unknown one is ignored (D54).
            n: at least 0; for CURRENT_CONNS also negative, once for each connection that was
                counted, however often it is closed. Elsewhere a negative number is the caller's
                error (D54).

        Example::

            stats.add(Kind.CURRENT_CONNS, 1)
            try:
                stats.add(Kind.INPUT_BYTES, len(await conn.read(65536)))
            finally:
                stats.add(Kind.CURRENT_CONNS, -1)
        """
        ...

    @abstractmethod
    def get(self, kind: Kind, /) -> int:
        """Return a count, 0 for an unknown kind; reading never changes it (D54).

        Example::

            stats.add(Kind.OUTPUT_BYTES, 5)
            stats.add(Kind.OUTPUT_BYTES, 3)
            assert stats.get(Kind.OUTPUT_BYTES) == 8
        """
        ...

    @abstractmethod
    def is_updated(self) -> bool:
        """Tell whether something was added since the last call of this or of :meth:`reset`.

        Asking clears the mark, so there is one reader who asks, and asks only when the answer will
        be sent (D54).
        """
        ...

    @abstractmethod
    def reset(self) -> None:
        """Set all counts to 0 and clear the mark of :meth:`is_updated`.

        Only for counters of which no counted connection is open: closing one afterwards would take
        CURRENT_CONNS below zero.
        """
        ...
