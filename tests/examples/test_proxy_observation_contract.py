"""The observing parts of the example against the contract."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typing_extensions import Buffer

from gost_core.common.net import Conn
from gost_core.context import Context
from gost_core.handler import Handler
from gost_core.listener import Listener
from gost_core.metrics import Labels, MetricName
from gost_core.observer.stats import Stats
from gost_core.recorder import (
    RECORDER_SERVICE_CLIENT_ADDRESS,
    Recorder,
    RecorderObject,
    RecordOption,
)
from gost_core.service import Service
from gost_core.testing.common.net import ConnContract, ConnUnwrapperContract, HalfCloserContract
from gost_core.testing.metrics import CounterContract, GaugeContract, MetricsContract
from gost_core.testing.metrics import ObserverContract as MetricsObserverContract
from gost_core.testing.observer import ObserverContract as ObserverObserverContract
from gost_core.testing.observer.stats import StatsContract
from gost_core.testing.recorder import RecorderContract
from gost_core.testing.service import ServiceContract
from proxy.metrics.instruments import BYTES, CONNECTIONS, DURATION, OPEN, Instrument, MeasuredCounts
from proxy.metrics.prometheus import PrometheusMetrics
from proxy.observer.reporter import RecordingObserver, StatsEvent, StatusEvent
from proxy.observer.stats import CountingConn, Counts
from proxy.recorder import FileRecorder
from proxy.service import TaskService
from tests.examples.test_proxy_contract import Whole, accepted, break_off

# Contracts wait much. The kit's own trials run on each Python, and what the example keeps on one.
pytestmark = pytest.mark.one_python

# ---- recorder


class TemporaryRecorder(FileRecorder):
    """Records into a file that is gone with it."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        super().__init__(Path(self._directory.name) / "records")

    async def written(self) -> Sequence[bytes]:
        await self._queue.join()
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [json.loads(line)["record"].encode("latin-1") for line in lines]

    async def close(self) -> None:
        await super().close()
        self._directory.cleanup()


async def records(recorder: TemporaryRecorder) -> Sequence[bytes]:
    return await recorder.written()


class Discarding(Recorder):
    """Keeps nothing, in its own time."""

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        await asyncio.sleep(0)


TestFileRecorder = RecorderContract(TemporaryRecorder, records=records).as_tests()


# ---- observer


class Kept(Recorder):
    """Keeps records, unless it is broken."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.is_broken = False

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        if self.is_broken:
            raise OSError("it is broken")
        self.records.append(bytes(data))


class KeptObserver(RecordingObserver):
    """Delivers to memory."""

    def __init__(self) -> None:
        self.kept = Kept()
        super().__init__(self.kept)


async def delivered(observer: KeptObserver) -> int:
    return len(observer.kept.records)


async def break_delivery(observer: KeptObserver) -> None:
    observer.kept.is_broken = True


async def mend_delivery(observer: KeptObserver) -> None:
    observer.kept.is_broken = False


async def counting() -> tuple[Conn, Conn]:
    """Return a connection that is counted, and its peer."""
    inner, peer = await accepted()
    return CountingConn(inner, Counts()), peer


async def counting_unable() -> Conn:
    inner, peer = await accepted()
    await peer.close()
    return CountingConn(Whole(inner), Counts())


TestRecordingObserver = ObserverObserverContract(
    KeptObserver,
    event=lambda: StatusEvent("service", "running", ""),
    delivered_events=delivered,
    break_backend=break_delivery,
    mend_backend=mend_delivery,
).as_tests()
TestStatsEvents = ObserverObserverContract(
    KeptObserver,
    event=lambda: StatsEvent("service", {"total_conns": 1}),
    delivered_events=delivered,
).as_tests()
TestCounts = StatsContract(Counts).as_tests()
TestCountingConn = ConnContract(counting, break_off=break_off).as_tests()
TestCountingConnHalfCloser = HalfCloserContract(counting, make_unable=counting_unable).as_tests()
TestCountingConnUnwrapper = ConnUnwrapperContract(
    lambda conn: CountingConn(conn, Counts())
).as_tests()


# ---- metrics


OF_SERVICE = {"service": "check"}


class Owned:
    """Makes an instrument of its own metrics for each call, and knows what it shows."""

    def __init__(
        self, make: Callable[[PrometheusMetrics], Instrument], name: MetricName, suffix: str = ""
    ) -> None:
        self._make = make
        self._sample = name + suffix
        self._made: list[tuple[Instrument, PrometheusMetrics]] = []

    def __call__(self) -> Instrument:
        metrics = PrometheusMetrics()
        made = self._make(metrics)
        self._made.append((made, metrics))
        return made

    def value(self, instrument: Instrument) -> float:
        metrics = next(metrics for made, metrics in self._made if made is instrument)
        return sample(metrics, self._sample, OF_SERVICE)


def sample(metrics: PrometheusMetrics, name: str, labels: Labels) -> float:
    return metrics.registry.get_sample_value(name, dict(labels)) or 0.0


def value(metrics: PrometheusMetrics, name: MetricName, labels: Labels) -> float:
    return sample(metrics, f"{name}_count" if name == DURATION else name, labels)


a_counter = Owned(lambda metrics: metrics.counter(CONNECTIONS, OF_SERVICE), CONNECTIONS)
a_gauge = Owned(lambda metrics: metrics.gauge(OPEN, OF_SERVICE), OPEN)
a_histogram = Owned(lambda metrics: metrics.observer(DURATION, OF_SERVICE), DURATION, "_count")

TestPrometheusMetrics = MetricsContract(
    PrometheusMetrics,
    counter=(BYTES, {**OF_SERVICE, "direction": "in"}),
    gauge=(OPEN, OF_SERVICE),
    observer=(DURATION, OF_SERVICE),
    value=value,
).as_tests()
TestCounter = CounterContract(a_counter, value=a_counter.value).as_tests()
TestGauge = GaugeContract(a_gauge, value=a_gauge.value).as_tests()
TestHistogram = MetricsObserverContract(
    a_histogram, count=lambda made: int(a_histogram.value(made))
).as_tests()
TestMeasuredCounts = StatsContract(lambda: MeasuredCounts(PrometheusMetrics(), "check")).as_tests()


# ---- service, handler


def with_stats(listener: Listener, handler: Handler, stats: Stats) -> Service:
    return TaskService(listener, handler, stats=stats)


def observed(listener: Listener, handler: Handler) -> Service:
    return TaskService(
        listener,
        handler,
        name="check",
        recorders=[RecorderObject(recorder=Discarding(), record=RECORDER_SERVICE_CLIENT_ADDRESS)],
        observer=RecordingObserver(Discarding()),
        metrics=PrometheusMetrics(),
    )


TestObservedService = ServiceContract(observed, with_stats=with_stats).as_tests()
