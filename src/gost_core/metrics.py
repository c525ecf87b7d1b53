"""Metrics: the instruments of a monitoring system.

Instruments are written to and never read. Any thread may use them, without waiting (D21).
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import NewType, TypeAlias

from typing_extensions import Protocol

__all__ = ("Counter", "Gauge", "Labels", "MetricName", "Metrics", "Observer")

MetricName = NewType("MetricName", str)
"""What an instrument measures; matches ``[a-z_][a-z0-9_]*`` (D58)."""

Labels: TypeAlias = Mapping[str, str]
"""What tells the series of one metric apart; keys match ``[a-z_][a-z0-9_]*`` (D58)."""


class Counter(Protocol):
    """A value that only grows.

    Any thread may use it (D21), and no call waits.

    Checked by :class:`gost_core.testing.metrics.CounterContract`.
    """

    __slots__ = ()

    @abstractmethod
    def inc(self) -> None:
        """Add 1."""
        ...

    @abstractmethod
    def add(self, value: float, /) -> None:
        """Add ``value``, at least 0.

        Raises:
            ValueError: ``value`` is negative; the counter stays as it is (D58).
        """
        ...


class Gauge(Protocol):
    """A value that rises and falls.

    Any thread may use it (D21), and no call waits.

    Checked by :class:`gost_core.testing.metrics.GaugeContract`.
    """

    __slots__ = ()

    @abstractmethod
    def inc(self) -> None:
        """Add 1."""
        ...

    @abstractmethod
    def dec(self) -> None:
        """Subtract 1."""
        ...

    @abstractmethod
    def add(self, value: float, /) -> None:
        """Add ``value``, which may be negative."""
        ...

    @abstractmethod
    def set(self, value: float, /) -> None:
        """Replace the value."""
        ...


class Observer(Protocol):
    """A distribution of values, such as a histogram.

    Any thread may use it (D21), and no call waits.

    Not to be mistaken for :class:`gost_core.observer.Observer`, which takes events.

    Checked by :class:`gost_core.testing.metrics.ObserverContract`.
    """

    __slots__ = ()

    @abstractmethod
    def observe(self, value: float, /) -> None:
        """Count ``value`` in; durations are in seconds."""
        ...


class Metrics(Protocol):
    """Gives instruments.

    One name and one set of labels give one series, from the same object or another; ask once and
    keep it. Two sets of labels are the same if they have the same pairs, in any order. One name has
    one kind and one set of label keys, which its first use fixes. A name or keys that the
    implementation does not know, or knows otherwise, give an instrument that does nothing: never
    None, never an exception, since measuring must not break what it measures (D58).

    Any thread may use it (D21), and no call waits.

    Checked by :class:`gost_core.testing.metrics.MetricsContract`.
    """

    __slots__ = ()

    @abstractmethod
    def counter(self, name: MetricName, labels: Labels, /) -> Counter:
        """Return the counter of this name and these labels.

        The labels are copied; an empty mapping means none (D58).
        """
        ...

    @abstractmethod
    def gauge(self, name: MetricName, labels: Labels, /) -> Gauge:
        """Return the gauge of this name and these labels.

        The labels are copied; an empty mapping means none (D58).
        """
        ...

    @abstractmethod
    def observer(self, name: MetricName, labels: Labels, /) -> Observer:
        """Return the distribution of this name and these labels.

        The labels are copied; an empty mapping means none (D58).
        """
        ...
