"""Limits on the number of bytes in a time."""

from abc import abstractmethod

from typing_extensions import Protocol

from gost_core.context import Context
from gost_core.limiter import Option

__all__ = ("Limiter", "TrafficLimiter")


class Limiter(Protocol):
    """A budget of bytes that refills as time goes by, shared by all its users.

    In half a second or more, it grants at least half of what the limit allows in that time, and at
    most one and a half times as much, plus the burst, which is at most what the limit allows in one
    second. A caller that asks often does not get less (D52).

    For callers: a limiter whose :meth:`limit` is 0 or less need not be asked.

    Checked by :class:`gost_core.testing.limiter.traffic.LimiterContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def wait(self, ctx: Context, n: int, /) -> int:
        """Take up to ``n`` bytes from the budget, waiting until some are there.

        Args:
            ctx: the connection's values.
            n: bytes, at least 1: what the caller holds in hand, not what it hopes for.

        Returns:
            How many were granted, 1 to ``n``; the caller asks again for the rest, also for the rest
            of a datagram, until all of it is granted. Without a limit, all of ``n`` (D51). 0
            refuses the rest for good: a read or write of it raises OSError, and a datagram is
            dropped, on write with an OSError. A caller that loops on 0 never ends (D52).

        Cancelling the wait takes nothing from the budget. Any number of connections may wait at
        once, and none waits for ever while others are served (D52).

        Example::

            while data:
                granted = await limiter.wait(ctx, len(data))
                if granted == 0:
                    raise OSError("the limiter refuses the rest")
                await conn.write(data[:granted])
                data = data[granted:]
        """
        ...

    @abstractmethod
    def limit(self) -> int:
        """Return the bytes that come back each second; 0 or less = unlimited (D51).

        Example::

            limit = limiter.limit()
            if limit > 0:
                logger.infof("at most %d bytes a second", limit)
        """
        ...

    @abstractmethod
    def set(self, n: int, /) -> None:
        """Change the limit to ``n`` bytes a second, 0 or less = unlimited.

        It acts on calls that wait already, and fills no budget (D52). Only the owner of the limiter
        calls this, not its users.

        Example::

            limiter.set(125_000)  # one megabit a second
            limiter.set(0)  # no limit any more
            assert await limiter.wait(ctx, 300_000) == 300_000
        """
        ...


class TrafficLimiter(Protocol):
    """Finds the limits for a connection, one for each direction.

    It may be asked at every read and write, each time with the same key and options. So an
    implementation that asks a server for its rules keeps the answers for a while.

    The same key, scope and service draw on the same budget (D53). An implementation says which
    scopes it serves.

    Concurrency: asked for many connections at once.

    Checked by :class:`gost_core.testing.limiter.traffic.TrafficLimiterContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def in_(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        """Return the limiter of what the service reads from the limited connection (D52).

        Args:
            ctx: the connection's values.
            key: whose traffic it is: for SCOPE_SERVICE the service's name, for SCOPE_CONN the
                client's address with its port, for SCOPE_CLIENT the client's id.
            opts: see :class:`gost_core.limiter.Options`.

        Returns:
            The limiter; None = unlimited, or a scope that is not served (D53).

        Raises:
            OSError: the limits cannot be reached; the caller refuses (D53).
        """
        ...

    @abstractmethod
    async def out(self, ctx: Context, key: str, /, *opts: Option) -> Limiter | None:
        """Return the limiter of what the service writes to the limited connection (D52).

        Args:
            ctx: the connection's values.
            key: whose traffic it is: for SCOPE_SERVICE the service's name, for SCOPE_CONN the
                client's address with its port, for SCOPE_CLIENT the client's id.
            opts: see :class:`gost_core.limiter.Options`.

        Returns:
            The limiter; None = unlimited, or a scope that is not served (D53).

        Raises:
            OSError: the limits cannot be reached; the caller refuses (D53).
        """
        ...
