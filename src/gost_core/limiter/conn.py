"""Limits on the number of open connections."""

from abc import abstractmethod

from typing_extensions import Protocol

__all__ = ("ConnLimiter", "Limiter")


class Limiter(Protocol):
    """A number of places, taken by connections while they are open.

    A call that is refused has taken nothing (D51). An accepted session of datagrams takes one place
    (D54).

    Any thread may use it (D21), and no call waits.

    For callers: give back exactly once for each time that places were taken, however often the
    connection is closed. A connection that gets no place is closed, and the listener goes on
    accepting (D26).

    Checked by :class:`gost_core.testing.limiter.conn.LimiterContract`.
    """

    __slots__ = ()

    @abstractmethod
    def allow(self, n: int, /) -> bool:
        """Take places, or give them back.

        Args:
            n: above 0, ``n`` places are taken, all or none. Below 0, ``-n`` places are given back;
                if fewer were taken, all are free then, and never more. 0 changes nothing (D51).

        Returns:
            True if the places were taken or given back, and for 0; False if there were too few.
            Without a limit, always True (D51).
        """
        ...

    @abstractmethod
    def limit(self) -> int:
        """Return how many places there are; 0 or less = unlimited (D51)."""
        ...


class ConnLimiter(Protocol):
    """Finds the limit for a client.

    It has the same members as :class:`gost_core.limiter.rate.RateLimiter`; no ``isinstance`` tells
    the two apart.

    Each key has one budget. It does not begin anew because all limiters of the key were dropped, or
    because many other keys were asked for. Keys are compared whole (D53).

    Any thread may use it (D21), and no call waits.

    Checked by :class:`gost_core.testing.limiter.conn.ConnLimiterContract`.
    """

    __slots__ = ()

    @abstractmethod
    def limiter(self, key: str, /) -> Limiter | None:
        """Return the limiter for a client.

        Args:
            key: the client's host, without port and brackets; "" if it has none.

        Returns:
            A limiter on the budget of ``key``, the same budget each time; None = unlimited (D53).

        Raises:
            OSError: the limits cannot be reached; the caller refuses the connection (D53).
        """
        ...
