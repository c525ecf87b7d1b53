"""Observers: they receive events about the state and the traffic of services."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context

__all__ = (
    "Event",
    "EventType",
    "Observer",
    "Option",
    "Options",
    "StatsEvent",
    "StatusEvent",
)


class EventType(StrEnum):
    """The types of events that the contract knows; there may be others."""

    STATUS = "status"
    """A service changed its state."""
    STATS = "stats"
    """Traffic was counted."""


class Event(Protocol):
    """Something that an observer receives.

    What it carries is a matter between those who make an event and those who understand it. Two
    kinds that independent packages exchange are :class:`StatusEvent` and :class:`StatsEvent` (D73).
    """

    __slots__ = ()

    @abstractmethod
    def type(self) -> str:
        """Return the type: an :class:`EventType`, or any other string."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class StatusEvent(Event):
    """A service or a handler has reached a state (D73)."""

    kind: str = ""
    """What has: ``"service"`` or ``"handler"``; "" = not given. It is no
    :class:`gost_core.observer.stats.Kind`."""
    service: str = ""
    """The name of the service; "" = not given."""
    state: str = ""
    """The state: ``"running"`` = it begins, ``"ready"`` = it serves, ``"failed"`` = it met an
    error, ``"closed"`` = it has ended; "" = not given."""
    message: str = ""
    """What an operator wants to know of it, without credentials (D17); "" = nothing."""

    def type(self) -> EventType:
        """Return ``EventType.STATUS``."""
        return EventType.STATUS


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class StatsEvent(Event):
    """What was counted for a service, or for one client of it, up to now (D73)."""

    kind: str = ""
    """Who counted: ``"service"`` or ``"handler"``; "" = not given. It is no
    :class:`gost_core.observer.stats.Kind`."""
    service: str = ""
    """The name of the service; "" = not given."""
    client: str = ""
    """The id of the client, as an Authenticator gave it; "" = all clients together."""
    total_conns: int = 0
    """Connections, since the beginning."""
    current_conns: int = 0
    """Connections that are open."""
    input_bytes: int = 0
    """Bytes that the service read from the counted side."""
    output_bytes: int = 0
    """Bytes that the service wrote to the counted side."""
    total_errs: int = 0
    """Connections whose handling failed."""

    def type(self) -> EventType:
        """Return ``EventType.STATS``."""
        return EventType.STATS


@dataclass(slots=True, kw_only=True, weakref_slot=True)
class Options:
    """Options for one call of :meth:`Observer.observe`; there are none yet."""


Option: TypeAlias = Callable[[Options], object]


class Observer(Protocol):
    """Takes events, and delivers them, for instance to a server.

    Not to be mistaken for :class:`gost_core.metrics.Observer`, which takes single values.

    Concurrency: called by many tasks at once. During the call, an implementation may call its
    caller, for instance close the service (D22).

    Checked by :class:`gost_core.testing.observer.ObserverContract`.
    """

    __slots__ = ()

    @abstractmethod
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        """Deliver events.

        Args:
            ctx: the call's values.
            events: an empty batch returns at once; an event of an unknown class is skipped, and
                the others are delivered (D56). The caller's own: neither changed nor kept.
            opts: see :class:`Options`.

        Raises:
            OSError: the batch was not delivered; the caller may deliver the same batch again, so
                some of its events may arrive twice (D56). If the call returns, all were delivered.

        Example::

            event = StatusEvent(kind="service", service="socks", state="ready")
            try:
                await observer.observe(ctx, [event])
            except OSError:
                unsent.append(event)  # to be sent again
        """
        ...
