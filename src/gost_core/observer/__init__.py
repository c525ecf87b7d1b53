"""Observers: what is told of the state and the traffic of services."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from typing_extensions import Protocol

from gost_core.context import Context

__all__ = ("Event", "EventType", "Observer", "Option", "Options")


class EventType(StrEnum):
    """The types of events that the contract knows; others may exist beside them."""

    STATUS = "status"
    """A service changed its state."""
    STATS = "stats"
    """Traffic was counted."""


class Event(Protocol):
    """Something that an observer is told.

    What it carries is a matter between those who make an event and those who understand it.
    """

    __slots__ = ()

    @abstractmethod
    def type(self) -> str:
        """Return the type: an :class:`EventType`, or any other string."""
        ...


@dataclass(slots=True, kw_only=True)
class Options:
    """What a call of :meth:`Observer.observe` may say besides: nothing yet."""


Option: TypeAlias = Callable[[Options], object]


class Observer(Protocol):
    """Takes events, and delivers them somewhere.

    Not to be mistaken for :class:`gost_core.metrics.Observer`, which takes single values.

    Concurrency: called by many tasks at once. Calling back into whoever reports, such as closing
    the service, is legal (D22).

    Checked by :func:`gost_core.testing.check_observer_observer`: ``shape``, ``delivered``,
    ``empty-returns``, ``unknown-harmless``, ``unknown-skipped``, ``again-legal``,
    ``failure-raises``, ``retry-delivers``, ``batch-unchanged``, ``batch-not-kept``, ``concurrent``.
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
            OSError: the batch was not delivered; the same batch may come again, with what a part
                of it did before (D56). Returning means that it was delivered.
        """
        ...
