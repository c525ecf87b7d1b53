"""Metrics over prometheus-client."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import prometheus_client as prometheus

from gost_core import metrics
from gost_core.metrics import Labels, MetricName

from ..net.address import join_host_port
from .instruments import BYTES, CONNECTIONS, DURATION, ERRORS, OPEN, Instrument

Family = prometheus.Counter | prometheus.Gauge | prometheus.Histogram
FamilyT = TypeVar("FamilyT", prometheus.Counter, prometheus.Gauge, prometheus.Histogram)


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

    @contextmanager
    def shown(self, host: str, port: int) -> Generator[str, None, None]:
        """Show the numbers over HTTP while the block lasts, to this host if none is named."""
        server, thread = prometheus.start_http_server(port, host or "127.0.0.1", self.registry)
        try:
            yield join_host_port(host, server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _find(self, kind: type[FamilyT], name: str, labels: Labels) -> FamilyT | None:
        keys, family = self._families.get(name, (None, None))
        if isinstance(family, kind) and keys == set(labels):
            return family.labels(**labels)
        return None
