"""Limits on the number of requests in a time."""

from abc import abstractmethod

from typing_extensions import Protocol

__all__ = ("Limiter", "RateLimiter")


class Limiter(Protocol):
    """A budget that begins full and refills as time goes by, up to its burst.

    In half a second or more, it grants at least half of what the limit allows in that time, and at
    most one and a half times as much, plus the burst. A caller that asks often does not get less,
    and a refused call has taken nothing (D51).

    Any thread may use it (D21), and no call waits.

    Checked by :class:`gost_core.testing.limiter.rate.LimiterContract`.
    """

    __slots__ = ()

    @abstractmethod
    def allow(self, n: int, /) -> bool:
        """Take ``n`` from the budget, all or nothing; what was taken does not come back.

        Args:
            n: at least 1. More than the burst is never granted (D51).

        Returns:
            True if it was taken; False if too little was there. Without a limit, always True (D51).
        """
        ...

    @abstractmethod
    def limit(self) -> float:
        """Return how many come back each second; 0 or less = unlimited (D51)."""
        ...


class RateLimiter(Protocol):
    """Finds the limit for a client.

    It has the same members as :class:`gost_core.limiter.conn.ConnLimiter`; no ``isinstance`` tells
    the two apart.

    Each key has one budget. It does not begin anew because all limiters of the key were dropped, or
    because many other keys were asked for. Keys are compared whole (D53).

    Any thread may use it (D21), and no call waits.

    Checked by :class:`gost_core.testing.limiter.rate.RateLimiterContract`.
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
            OSError: the limits cannot be reached; the caller refuses the request (D53).
        """
        ...
