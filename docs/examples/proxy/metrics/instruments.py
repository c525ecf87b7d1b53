"""What is measured, an instrument that does as it is told, and statistics that are metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gost_core import metrics
from gost_core.metrics import MetricName
from gost_core.observer.stats import Kind

from ..observer.stats import Counts

CONNECTIONS: Final = MetricName("proxy_connections_total")
OPEN: Final = MetricName("proxy_connections_open")
ERRORS: Final = MetricName("proxy_errors_total")
BYTES: Final = MetricName("proxy_bytes_total")
DURATION: Final = MetricName("proxy_connection_seconds")


def nothing(value: float) -> None:
    """Measure nothing."""


@dataclass(frozen=True, slots=True)
class Instrument(metrics.Counter, metrics.Gauge, metrics.Observer):
    """An instrument of any kind: it does what it is given, and otherwise nothing."""

    adds: Callable[[float], None] = nothing
    sets: Callable[[float], None] = nothing
    observes: Callable[[float], None] = nothing

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
        self._measure.get(kind, nothing)(n)
