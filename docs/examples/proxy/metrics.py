"""Metrics over prometheus-client, and statistics that are metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import prometheus_client as prometheus

from gost_core import metrics
from gost_core.metrics import Labels, MetricName
from gost_core.observer.stats import Kind

from .observer import Counts

CONNECTIONS: Final = MetricName("proxy_connections_total")
OPEN: Final = MetricName("proxy_connections_open")
ERRORS: Final = MetricName("proxy_errors_total")
BYTES: Final = MetricName("proxy_bytes_total")
DURATION: Final = MetricName("proxy_connection_seconds")

Family = prometheus.Counter | prometheus.Gauge | prometheus.Histogram
FamilyT = TypeVar("FamilyT", prometheus.Counter, prometheus.Gauge, prometheus.Histogram)


def _nothing(value: float) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Instrument(metrics.Counter, metrics.Gauge, metrics.Observer):
    """An instrument of any kind: it does what it is given, and otherwise nothing."""

    adds: Callable[[float], None] = _nothing
    sets: Callable[[float], None] = _nothing
    observes: Callable[[float], None] = _nothing

    def inc(self) -> None:
        self.adds(1)

    def dec(self) -> None:
        self.adds(-1)

    def add(self, value: float, /) -> None:
        self.adds(value)

    def set(self, value: float, /) -> None:
        self.sets(value)

    def observe(self, value: float, /) -> None:
        self.observes(value)


class PrometheusMetrics(metrics.Metrics):
    """Gives the instruments of this package, in a registry of its own.

    The library raises for a name, a kind or label keys that it does not know. Here they measure
    nothing, since nobody who measures expects an exception (D58).
    """

    def __init__(self) -> None:
        self.registry = registry = prometheus.CollectorRegistry()
        keys = ("service",)
        self._families: Mapping[str, tuple[set[str], Family]] = {
            name: (set(labels), make(name, help, labels, registry=registry))
            for make, name, help, labels in (
                (prometheus.Counter, CONNECTIONS, "Connections that were accepted.", keys),
                (prometheus.Gauge, OPEN, "Connections that are open.", keys),
                (prometheus.Counter, ERRORS, "Connections whose handling failed.", keys),
                (prometheus.Counter, BYTES, "Bytes of clients.", (*keys, "direction")),
                (prometheus.Histogram, DURATION, "How long a connection is handled.", keys),
            )
        }

    def counter(self, name: MetricName, labels: Labels, /) -> Instrument:
        series = self._find(prometheus.Counter, name, labels)
        return Instrument() if series is None else Instrument(adds=series.inc)

    def gauge(self, name: MetricName, labels: Labels, /) -> Instrument:
        series = self._find(prometheus.Gauge, name, labels)
        return Instrument() if series is None else Instrument(adds=series.inc, sets=series.set)

    def observer(self, name: MetricName, labels: Labels, /) -> Instrument:
        series = self._find(prometheus.Histogram, name, labels)
        return Instrument() if series is None else Instrument(observes=series.observe)

    def _find(self, kind: type[FamilyT], name: str, labels: Labels) -> FamilyT | None:
        keys, family = self._families.get(name, (None, None))
        if isinstance(family, kind) and keys == set(labels):
            return family.labels(**labels)
        return None


class MeasuredCounts(Counts):
    """Counts of a service that are metrics besides."""

    def __init__(self, measures: metrics.Metrics, service: str) -> None:
        super().__init__()
        of = {"service": service}
        self._measure: Mapping[int, Callable[[float], None]] = {
            Kind.TOTAL_CONNS: measures.counter(CONNECTIONS, of).add,
            Kind.CURRENT_CONNS: measures.gauge(OPEN, of).add,
            Kind.INPUT_BYTES: measures.counter(BYTES, {**of, "direction": "in"}).add,
            Kind.OUTPUT_BYTES: measures.counter(BYTES, {**of, "direction": "out"}).add,
            Kind.TOTAL_ERRS: measures.counter(ERRORS, of).add,
        }

    def add(self, kind: Kind, n: int, /) -> None:
        super().add(kind, n)
        self._measure.get(kind, _nothing)(n)
