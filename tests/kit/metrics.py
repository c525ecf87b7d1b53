"""Trials of the contracts of metrics and their instruments."""

import re
import threading
from collections.abc import Callable

from gost_core.metrics import Counter, Gauge, Labels, MetricName, Observer
from gost_core.testing import Contract
from gost_core.testing.metrics import (
    CounterContract,
    GaugeContract,
    MetricsContract,
    ObserverContract,
)
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


# ---- Counter, Gauge, Observer


class RightGauge:
    def __init__(self) -> None:
        self.value = 0.0
        self.lock = threading.Lock()

    def inc(self) -> None:
        self.add(1)

    def dec(self) -> None:
        self.add(-1)

    def add(self, value: float, /) -> None:
        with self.lock:
            self.value += value

    def set(self, value: float, /) -> None:
        with self.lock:
            self.value = value


class UnlockedGauge(RightGauge):
    def add(self, value: float, /) -> None:
        self.value += value


def gauge_value(gauge: RightGauge) -> float:
    return gauge.value


def run_gauges(make: Callable[[], RightGauge]) -> Contract:
    return GaugeContract(make, value=gauge_value, time_limit=TIME_LIMIT)


gauges = Trial[Callable[[], RightGauge]](GaugeContract, run_gauges, RightGauge)
gauges.breaks("threads")(UnlockedGauge)


@gauges.breaks("shape")
class ValueFirst(RightGauge):
    def inc(self, value: float, /) -> None:  # type: ignore  # the fault
        self.add(value)


@gauges.breaks("inc-adds-one")
class OneAtMost(RightGauge):
    def inc(self) -> None:
        self.set(1)


@gauges.breaks("dec-subtracts-one")
class NeverBelowZero(RightGauge):
    def dec(self) -> None:
        self.set(max(0, self.value - 1))


@gauges.breaks("add-adds")
class OnlyUpwards(RightGauge):
    def add(self, value: float, /) -> None:
        super().add(value if value in (1, -1) else abs(value))


@gauges.breaks("set-replaces")
class SettingOnce(RightGauge):
    def set(self, value: float, /) -> None:
        if self.value == 0:
            super().set(value)


@gauges.breaks("set-replaces")
class SettingOnlyWhatIsNew(RightGauge):
    """Does not set what was set last."""

    last: float | None = None

    def set(self, value: float, /) -> None:
        if value != self.last:
            self.last = value
            super().set(value)


class RightCounter:
    def __init__(self) -> None:
        self.gauge = RightGauge()

    def inc(self) -> None:
        self.gauge.inc()

    def add(self, value: float, /) -> None:
        if value < 0:
            raise ValueError(f"add({value}): a counter only grows")
        self.gauge.add(value)


def counter_value(counter: RightCounter) -> float:
    return counter.gauge.value


def run_counters(make: Callable[[], RightCounter]) -> Contract:
    return CounterContract(make, value=counter_value, time_limit=TIME_LIMIT)


counters = Trial[Callable[[], RightCounter]](CounterContract, run_counters, RightCounter)


@counters.breaks("shape")
class AsyncCounter(RightCounter):
    async def inc(self) -> None:  # type: ignore  # the fault
        super().inc()


@counters.breaks("inc-adds-one")
class CountingOnce(RightCounter):
    def inc(self) -> None:
        self.gauge.set(1)


@counters.breaks("add-adds")
class WholeNumbers(RightCounter):
    def add(self, value: float, /) -> None:
        super().add(value if value < 0 else int(value))


class Gauge32Bits(RightGauge):
    def add(self, value: float, /) -> None:
        with self.lock:
            self.value = (self.value + value) % 2**32


@counters.breaks("add-adds")
class Counter32Bits(RightCounter):
    """Begins anew after 4 GiB."""

    def __init__(self) -> None:
        super().__init__()
        self.gauge = Gauge32Bits()


@counters.breaks("negative-refused")
class IgnoringNegative(RightCounter):
    def add(self, value: float, /) -> None:
        super().add(max(0, value))


@counters.breaks("negative-leaves")
class AddingBeforeRefusing(RightCounter):
    def add(self, value: float, /) -> None:
        self.gauge.add(value)
        if value < 0:
            raise ValueError(f"add({value}): a counter only grows")


@counters.breaks("threads")
class UnlockedCounter(RightCounter):
    def __init__(self) -> None:
        super().__init__()
        self.gauge = UnlockedGauge()


class CellsOfThreads(RightGauge):
    """Has a cell for each thread, by its id, which is that of another thread later."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: dict[int, RightGauge] = {}
        self.local = threading.local()

    def add(self, value: float, /) -> None:
        if not hasattr(self.local, "cell"):
            self.local.cell = self.cells[threading.get_ident()] = RightGauge()
        self.local.cell.add(value)
        with self.lock:
            self.value = sum(cell.value for cell in list(self.cells.values()))


@counters.breaks("threads")
class CountingByThread(RightCounter):
    def __init__(self) -> None:
        super().__init__()
        self.gauge = CellsOfThreads()


class RightObserver:
    def __init__(self) -> None:
        self.values: list[float] = []

    def observe(self, value: float, /) -> None:
        self.values.append(value)


def observed(observer: RightObserver) -> int:
    return len(observer.values)


def run_observers(make: Callable[[], RightObserver]) -> Contract:
    return ObserverContract(make, count=observed, time_limit=TIME_LIMIT)


observers = Trial[Callable[[], RightObserver]](ObserverContract, run_observers, RightObserver)


@observers.breaks("shape")
class ObservingLabels(RightObserver):
    def observe(self, value: float, labels: Labels, /) -> None:  # type: ignore  # the fault
        super().observe(value)


@observers.breaks("counted-in")
class CountingOnlyChanges(RightObserver):
    last = 0.0

    def observe(self, value: float, /) -> None:
        if value != self.last or value == 0.5:
            super().observe(value)
        self.last = value


@observers.breaks("threads")
class HandingOverInBatches(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.batch: list[float] = []

    def observe(self, value: float, /) -> None:
        self.batch.append(value)
        if value != 0.5 or len(self.batch) == 10:
            self.values += self.batch
            self.batch = []


@observers.breaks("threads")
class CopyingObserver(RightObserver):
    def observe(self, value: float, /) -> None:
        values = [*self.values, value]
        self.values = values


# ---- Metrics

NAME = re.compile("[a-z_][a-z0-9_]*")


class RightInstrument(RightGauge):
    """A counter, a gauge, or a distribution that only counts."""

    def observe(self, value: float, /) -> None:
        self.inc()


class RightMetrics:
    def __init__(self) -> None:
        self.kinds: dict[MetricName, tuple[str, frozenset[str]]] = {}
        self.series: dict[tuple[MetricName, frozenset[tuple[str, str]]], RightInstrument] = {}
        self.lock = threading.Lock()

    def counter(self, name: MetricName, labels: Labels, /) -> Counter:
        return self.find("counter", name, labels)

    def gauge(self, name: MetricName, labels: Labels, /) -> Gauge:
        return self.find("gauge", name, labels)

    def observer(self, name: MetricName, labels: Labels, /) -> Observer:
        return self.find("observer", name, labels)

    def find(self, kind: str, name: MetricName, labels: Labels) -> RightInstrument:
        keys = frozenset(labels)
        if not NAME.fullmatch(name):
            return self.unknown(name)
        known_kind, known_keys = self.kinds.setdefault(name, (kind, keys))
        if known_kind != kind:
            return self.other_kind(name, labels)
        if known_keys != keys or not all(map(NAME.fullmatch, keys)):
            return self.other_keys(name, labels)
        return self.one(name, labels)

    def unknown(self, name: MetricName) -> RightInstrument:
        return RightInstrument()

    def other_kind(self, name: MetricName, labels: Labels) -> RightInstrument:
        return RightInstrument()

    def other_keys(self, name: MetricName, labels: Labels) -> RightInstrument:
        return RightInstrument()

    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        with self.lock:
            return self.series.setdefault((name, frozenset(labels.items())), RightInstrument())

    def value(self, name: MetricName, labels: Labels) -> float:
        return self.one(name, labels).value


def series_value(metrics: RightMetrics, name: MetricName, labels: Labels) -> float:
    return metrics.value(name, labels)


def run_metrics(make: Callable[[], RightMetrics]) -> Contract:
    return MetricsContract(make, value=series_value, time_limit=TIME_LIMIT)


metrics = Trial[Callable[[], RightMetrics]](MetricsContract, run_metrics, RightMetrics)


@metrics.breaks("shape")
class LabelsOptional(RightMetrics):
    def counter(self, name: MetricName, /, **labels: str) -> Counter:  # type: ignore  # the fault
        return super().counter(name, labels)


@metrics.breaks("same-series")
class FreshEachTime(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        self.series.pop((name, frozenset(labels.items())), None)
        return super().one(name, labels)

    def value(self, name: MetricName, labels: Labels) -> float:
        return self.series[name, frozenset(labels.items())].value


@metrics.breaks("labels-apart")
class OneSeriesPerName(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return super().one(name, dict.fromkeys(labels, "any"))


@metrics.breaks("labels-apart")
class CutLabels(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return super().one(name, {key: text[:255] for key, text in labels.items()})


@metrics.breaks("labels-apart")
class OneInstrumentPerName(RightMetrics):
    """Binds the instrument of a name to the labels that were asked for last."""

    def __init__(self) -> None:
        super().__init__()
        self.bound: dict[MetricName, LateInstrument] = {}

    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        found = self.bound.setdefault(name, LateInstrument(self, name, labels))
        found.labels = dict(labels)
        return found

    def value(self, name: MetricName, labels: Labels) -> float:
        return super().one(name, labels).value


@metrics.breaks("labels-unchanged", history="bc3d12e the host is added to the caller's labels")
class AddingHost(RightMetrics):
    def counter(self, name: MetricName, labels: Labels, /) -> Counter:
        found = super().counter(name, labels)
        if isinstance(labels, dict):
            labels["host"] = "example.com"
        return found


@metrics.breaks("unknown-name-harmless")
class NamesInAscii(RightMetrics):
    def find(self, kind: str, name: MetricName, labels: Labels) -> RightInstrument:
        name.encode("ascii")
        return super().find(kind, name, labels)


@metrics.breaks("other-keys-harmless")
class KeysInAscii(RightMetrics):
    def find(self, kind: str, name: MetricName, labels: Labels) -> RightInstrument:
        for key in labels:
            key.encode("ascii")
        return super().find(kind, name, labels)


class LateInstrument(RightInstrument):
    """Looks its series up when it is written to."""

    def __init__(self, metrics: RightMetrics, name: MetricName, labels: Labels) -> None:
        super().__init__()
        self.metrics = metrics
        self.name = name
        self.labels = labels

    def inc(self) -> None:
        RightMetrics.one(self.metrics, self.name, self.labels).inc()


@metrics.breaks("labels-copied")
class KeepingLabels(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return LateInstrument(self, name, labels)

    def value(self, name: MetricName, labels: Labels) -> float:
        return super().one(name, labels).value


@metrics.breaks("unknown-name-harmless")
class RefusingUnknown(RightMetrics):
    def unknown(self, name: MetricName) -> RightInstrument:
        raise ValueError(f"{name!r} is no metric")


@metrics.breaks("unknown-name-harmless", history="bc3d12e None for an unknown name")
class NoneForUnknown(RightMetrics):
    def unknown(self, name: MetricName) -> RightInstrument:
        return None  # type: ignore  # the fault


@metrics.breaks("other-keys-harmless", history="x prometheus metrics: other label keys panic")
class RefusingOtherKeys(RightMetrics):
    def other_keys(self, name: MetricName, labels: Labels) -> RightInstrument:
        raise ValueError(f"{name!r} has other labels than {sorted(labels)}")


@metrics.breaks("other-kind-harmless")
class RefusingOtherKinds(RightMetrics):
    def other_kind(self, name: MetricName, labels: Labels) -> RightInstrument:
        raise ValueError(f"{name!r} is of another kind")


@metrics.breaks("other-kind-apart")
class MixingKinds(RightMetrics):
    def other_kind(self, name: MetricName, labels: Labels) -> RightInstrument:
        return self.one(name, labels)


@metrics.breaks("threads")
class UnlockedMetrics(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        key = (name, frozenset(labels.items()))
        found = self.series.get(key)
        if found is None:
            found = self.series[key] = RightInstrument()
        return found


@metrics.breaks("labels-apart")
class JoiningValues(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        joined = "".join(labels[key] for key in sorted(labels))
        return super().one(name, {"joined": joined})


@metrics.breaks("labels-apart")
class SetsOfValues(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return super().one(name, {value: "" for value in labels.values()})


@metrics.breaks("labels-apart")
class ValuesInSmallLetters(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return super().one(name, {key: text.lower() for key, text in labels.items()})


@metrics.breaks("labels-apart")
class ValuesBetweenCommas(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return super().one(name, {"all": ",".join(labels[key] for key in sorted(labels))})


@metrics.breaks("labels-apart")
class PairsBetweenCommas(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return super().one(
            name, {"all": ",".join(f"{key}={labels[key]}" for key in sorted(labels))}
        )


@metrics.breaks("label-order")
class InTheOrderGiven(RightMetrics):
    def one(self, name: MetricName, labels: Labels) -> RightInstrument:
        return super().one(name, {"all": str([*labels.items()])})


@metrics.breaks("other-keys-apart")
class IgnoringOtherKeys(RightMetrics):
    def find(self, kind: str, name: MetricName, labels: Labels) -> RightInstrument:
        known = self.kinds.get(name)
        if known is not None and known[1] < set(labels):
            labels = {key: labels[key] for key in known[1]}
        return super().find(kind, name, labels)


@metrics.breaks("other-keys-apart")
class SeriesOfAnyKeys(RightMetrics):
    def other_keys(self, name: MetricName, labels: Labels) -> RightInstrument:
        return self.one(name, labels)


@metrics.breaks("other-kind-apart")
class DistributionsInCounters(RightMetrics):
    def find(self, kind: str, name: MetricName, labels: Labels) -> RightInstrument:
        known = self.kinds.get(name, ("", frozenset()))[0]
        mixed = known == "counter" and kind == "observer"
        return super().find(known if mixed else kind, name, labels)


@gauges.breaks("threads")
class AddingWithoutTheLock(RightGauge):
    def inc(self) -> None:
        super().add(1)

    def dec(self) -> None:
        super().add(-1)

    def add(self, value: float, /) -> None:
        before = self.value
        self.value = before + value


@gauges.breaks("set-replaces")
class PartForEachThread(RightGauge):
    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[int, float] = {}

    def add(self, value: float, /) -> None:
        self.set(self.parts.get(threading.get_ident(), 0) + value)

    def set(self, value: float, /) -> None:
        with self.lock:
            self.parts[threading.get_ident()] = value
            self.value = sum(self.parts.values())


@gauges.breaks("set-replaces")
class ZeroIsNotGiven(RightGauge):
    def set(self, value: float, /) -> None:
        if value:
            super().set(value)


@gauges.breaks("set-replaces")
class KeepingWhatWasAdded(RightGauge):
    base = 0.0
    added = 0.0

    def add(self, value: float, /) -> None:
        with self.lock:
            self.added += value
            self.value = self.base + self.added

    def set(self, value: float, /) -> None:
        self.base = self.value = value


@counters.breaks("negative-refused")
class RefusingWholeNumbers(RightCounter):
    def add(self, value: float, /) -> None:
        if value <= -1 or value >= 0:
            super().add(value)


@counters.breaks("negative-refused")
class RefusingOnce(RightCounter):
    refused = False

    def add(self, value: float, /) -> None:
        if value >= 0 or not self.refused:
            self.refused = value < 0
            super().add(value)


@counters.breaks("negative-leaves")
class ClosedByARefusal(RightCounter):
    refused = False

    def inc(self) -> None:
        if not self.refused:
            super().inc()

    def add(self, value: float, /) -> None:
        self.refused = self.refused or value < 0
        super().add(value)


@metrics.breaks("labels-reused")
class OneMappingOneSeries(RightMetrics):
    """Remembers the last series by its mapping, whatever is in that now."""

    last: tuple[Labels, str, MetricName, RightInstrument] | None = None

    def find(self, kind: str, name: MetricName, labels: Labels) -> RightInstrument:
        if self.last is not None and self.last[0] is labels and self.last[1:3] == (kind, name):
            return self.last[3]
        found = super().find(kind, name, labels)
        self.last = (labels, kind, name, found)
        return found


@gauges.breaks("threads-set")
class SettingWithoutTheLock(RightGauge):
    """Sets in one step, which comes between the two of an addition."""

    def set(self, value: float, /) -> None:
        self.value = value


@gauges.breaks("set-replaces")
class SettingByADifference(RightGauge):
    def set(self, value: float, /) -> None:
        self.add(value - self.value)


trials = (counters, gauges, metrics, observers)
