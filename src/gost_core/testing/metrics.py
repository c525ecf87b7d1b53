"""The contracts of metrics and their instruments."""

import contextlib
import math
from collections.abc import Callable, Generator
from typing import Final, Generic, TypeAlias, TypeVar

from gost_core.metrics import Counter, Gauge, Labels, MetricName, Metrics, Observer
from gost_core.testing._contract import (
    Broken,
    Contract,
    NotTried,
    checks,
    clause,
    describe,
    expect,
    expect_raises,
    run,
)
from gost_core.testing._report import Report

__all__ = (
    "check_metrics_counter",
    "check_metrics_gauge",
    "check_metrics_metrics",
    "check_metrics_observer",
)

CounterT = TypeVar("CounterT", bound=Counter)
GaugeT = TypeVar("GaugeT", bound=Gauge)
InstrumentT = TypeVar("InstrumentT")
MetricsT = TypeVar("MetricsT", bound=Metrics)
ObserverT = TypeVar("ObserverT", bound=Observer)
Series: TypeAlias = tuple[MetricName, Labels]

_ROUNDS: Final[int] = 200
_LABELS: Final[Labels] = {"service": "one"}
_UNKNOWN: Final[tuple[MetricName, ...]] = (
    MetricName("gost_core_testing_unknown"),
    MetricName("no name!"),
    MetricName(""),
)


class CounterContract(Contract, Generic[CounterT], interface=Counter):
    """Check a counter of metrics."""

    make: Callable[[], CounterT] = field(kw_only=False)
    """Makes a counter at 0."""
    value: Callable[[CounterT], float] | None = None
    """Tells what a counter has come to."""

    async def _specimen(self) -> CounterT:
        return self.make()

    def _expect(self, counter: CounterT, wanted: float, after: str) -> None:
        need(self.value, 'value')  # NEED
        _expect_value(self.value(counter), wanted, after)

    @clause("inc() adds 1.", "D58")
    async def inc_adds_one(self) -> None:
        counter = self.make()
        counter.inc()
        counter.inc()
        self._expect(counter, 2, "inc() and inc()")

    @clause("add() adds its argument, 0 and fractions included.", "D58")
    async def add_adds(self) -> None:
        counter = self.make()
        counter.add(2)
        counter.add(0)
        counter.add(0.5)
        self._expect(counter, 2.5, "add(2), add(0) and add(0.5)")

    @clause("A negative add() raises ValueError.", "D58")
    async def negative_refused(self) -> None:
        counter = self.make()
        with expect_raises("add(-1)", ValueError):
            counter.add(-1)

    @clause(
        "A negative add() leaves the counter as it is.",
        "D58",
        after=("add_adds", "negative_refused"),
    )
    async def negative_leaves(self) -> None:
        counter = self.make()
        counter.add(3)
        with expect_raises("add(-1)", ValueError):
            counter.add(-1)
        self._expect(counter, 3, "add(3) and add(-1)")

    @clause("Nothing that threads add at once is lost.", "D21", after=("inc_adds_one",))
    async def threads(self) -> None:
        counter = self.make()

        def add() -> None:
            for _ in range(_ROUNDS):
                counter.inc()

        threads = len(await in_threads(add, "inc() from threads"))
        self._expect(counter, threads * _ROUNDS, f"{_ROUNDS} inc() in each of {threads} threads")


def _expect_value(value: float, wanted: float, after: str) -> None:
    expect(
        math.isclose(value, wanted), f"the value was {value:g} instead of {wanted:g} after {after}"
    )


class GaugeContract(Contract, Generic[GaugeT], interface=Gauge):
    """Check a gauge of metrics."""

    make: Callable[[], GaugeT] = field(kw_only=False)
    """Makes a gauge at 0."""
    value: Callable[[GaugeT], float] | None = None
    """Tells what a gauge shows."""

    async def _specimen(self) -> GaugeT:
        return self.make()

    def _expect(self, gauge: GaugeT, wanted: float, after: str) -> None:
        need(self.value, 'value')  # NEED
        _expect_value(self.value(gauge), wanted, after)

    @clause("inc() adds 1.", "D58")
    async def inc_adds_one(self) -> None:
        gauge = self.make()
        gauge.inc()
        gauge.inc()
        self._expect(gauge, 2, "inc() and inc()")

    @clause("dec() subtracts 1, also below 0.", "D58")
    async def dec_subtracts_one(self) -> None:
        gauge = self.make()
        gauge.dec()
        gauge.dec()
        self._expect(gauge, -2, "dec() and dec()")

    @clause("add() adds its argument, which may be negative.", "D58")
    async def add_adds(self) -> None:
        gauge = self.make()
        gauge.add(2.5)
        gauge.add(-4)
        self._expect(gauge, -1.5, "add(2.5) and add(-4)")

    @clause("set() replaces the value.", "D58")
    async def set_replaces(self) -> None:
        gauge = self.make()
        gauge.set(7)
        gauge.set(-2.5)
        self._expect(gauge, -2.5, "set(7) and set(-2.5)")

    @clause(
        "Nothing that threads add at once is lost.",
        "D21",
        after=("dec_subtracts_one", "inc_adds_one"),
    )
    async def threads(self) -> None:
        gauge = self.make()

        def add() -> None:
            for _ in range(_ROUNDS):
                gauge.inc()
                gauge.inc()
                gauge.dec()

        threads = len(await in_threads(add, "inc() and dec() from threads"))
        self._expect(gauge, threads * _ROUNDS, f"threads had added {threads * _ROUNDS}")


class ObserverContract(Contract, Generic[ObserverT], interface=Observer):
    """Check a distribution of metrics."""

    make: Callable[[], ObserverT] = field(kw_only=False)
    """Makes a distribution that has counted in nothing."""
    count: Callable[[ObserverT], int] | None = None
    """Tells how many values a distribution has counted in."""

    async def _specimen(self) -> ObserverT:
        return self.make()

    def _expect(self, observer: ObserverT, wanted: int, after: str) -> None:
        need(self.count, 'count')  # NEED
        count = self.count(observer)
        expect(count == wanted, f"{count} values had been counted in after {after}")

    @clause("Each value is counted in, equal ones, 0 and whole numbers included.", "D58")
    async def counted_in(self) -> None:
        observer = self.make()
        values = (0.25, 0.25, 0, 3, 1e-9, 1e9)
        for value in values:
            observer.observe(value)
        self._expect(observer, len(values), f"{len(values)} values")

    @clause("Nothing that threads observe at once is lost.", "D21", after=("counted_in",))
    async def threads(self) -> None:
        observer = self.make()

        def observe() -> None:
            for _ in range(_ROUNDS):
                observer.observe(0.5)

        threads = len(await in_threads(observe, "observe() from threads"))
        self._expect(observer, threads * _ROUNDS, f"{_ROUNDS} in each of {threads} threads")


class MetricsContract(Contract, Generic[MetricsT], interface=Metrics):
    """Check metrics."""

    make: Callable[[], MetricsT] = field(kw_only=False)
    """Makes metrics to which nothing was written."""
    counter: tuple[MetricName, Labels] = (MetricName("gost_core_testing_counter"), _LABELS)
    """The name and the labels of a counter that they know. Metrics that know any name need not be
    told any."""
    gauge: tuple[MetricName, Labels] = (MetricName("gost_core_testing_gauge"), _LABELS)
    """Likewise a gauge."""
    observer: tuple[MetricName, Labels] = (MetricName("gost_core_testing_observer"), _LABELS)
    """Likewise a distribution."""
    value: Callable[[MetricsT, MetricName, Labels], float] | None = None
    """Tells what a series has come to; of a distribution, how many values were counted in."""

    async def _specimen(self) -> MetricsT:
        return self.make()

    def _expect(self, metrics: MetricsT, series: Series, wanted: float, after: str) -> None:
        need(self.value, 'value')  # NEED
        value = self.value(metrics, *series)
        name = series[0]
        expect(
            math.isclose(value, wanted),
            f"the value of {name} was {value:g} instead of {wanted:g} after {after}",
        )

    def _write(self, metrics: MetricsT, labels: Callable[[Labels], Labels]) -> None:
        """Write once to a series of each kind."""
        metrics.counter(self.counter[0], labels(self.counter[1])).inc()
        metrics.gauge(self.gauge[0], labels(self.gauge[1])).inc()
        metrics.observer(self.observer[0], labels(self.observer[1])).observe(1.0)

    @clause("One name with one set of labels is one series, however often it is asked for.", "D58")
    async def same_series(self) -> None:
        metrics = self.make()
        for _ in range(2):
            self._write(metrics, dict)
        for series in (self.counter, self.gauge, self.observer):
            self._expect(metrics, series, 2, "2 instruments had been asked for and written to")

    @clause("Other labels are another series.", "D58", after=("same_series",))
    async def labels_apart(self) -> None:
        if not (self.counter[1] and self.gauge[1] and self.observer[1]):
            raise NotTried("`counter`, `gauge` or `observer` has no labels")
        metrics = self.make()
        self._write(metrics, dict)
        self._write(metrics, lambda labels: {key: f"{text}-2" for key, text in labels.items()})
        for series in (self.counter, self.gauge, self.observer):
            self._expect(metrics, series, 1, "another series had been written to as well")

    @clause("The labels are not changed.", "D58")
    async def labels_unchanged(self) -> None:
        metrics = self.make()
        given: list[tuple[Labels, Labels]] = []

        def remember(labels: Labels) -> Labels:
            copy = dict(labels)
            given.append((labels, copy))
            return copy

        self._write(metrics, remember)
        for before, after in given:
            expect(before == after, f"the labels {dict(before)} became {dict(after)}")

    @clause(
        "The labels are copied: changing the mapping later has no effect.",
        "D58",
        after=("same_series",),
    )
    async def labels_copied(self) -> None:
        metrics = self.make()
        mine = [dict(series[1]) for series in (self.counter, self.gauge, self.observer)]
        counter = metrics.counter(self.counter[0], mine[0])
        gauge = metrics.gauge(self.gauge[0], mine[1])
        observer = metrics.observer(self.observer[0], mine[2])
        for labels in mine:
            labels.update({key: f"{text}-2" for key, text in labels.items()})
        counter.inc()
        gauge.inc()
        observer.observe(1.0)
        for series in (self.counter, self.gauge, self.observer):
            self._expect(metrics, series, 1, "the caller had changed its mapping")

    @clause(
        "A name that is unknown gives an instrument all the same, never None or an exception.",
        "D58",
    )
    async def unknown_name_harmless(self) -> None:
        for use in _USES:
            for name in _UNKNOWN:
                for labels in (_LABELS, {}):
                    use(self.make(), name, labels)

    @clause("Label keys other than those of the name give an instrument all the same.", "D58")
    async def other_keys_harmless(self) -> None:
        known = (self.counter, self.gauge, self.observer)
        for use, (name, labels) in zip(_USES, known, strict=True):
            for other in ({}, {**labels, "gost_core_testing": "x"}, {"no key!": "x"}):
                metrics = self.make()
                use(metrics, name, labels)
                use(metrics, name, other)

    @clause("A name of another kind gives an instrument all the same.", "D58")
    async def other_kind_harmless(self) -> None:
        for name, labels in (self.counter, self.gauge, self.observer):
            metrics = self.make()
            self._write(metrics, dict)
            for use in _USES:
                use(metrics, name, labels)

    @clause(
        "What is written to a name of another kind is written nowhere.",
        "D58",
        after=("other_kind_harmless", "same_series"),
    )
    async def other_kind_apart(self) -> None:
        metrics = self.make()
        self._write(metrics, dict)
        name, labels = self.counter
        metrics.gauge(name, dict(labels)).set(50)
        for name, labels in (self.gauge, self.observer):
            metrics.counter(name, dict(labels)).add(50)
        for series in (self.counter, self.gauge, self.observer):
            self._expect(metrics, series, 1, "its name had been used for another kind")

    @clause(
        "Threads that ask for one series at once write to one.",
        "D21, D58",
        after=("labels_apart", "same_series"),
    )
    async def threads(self) -> None:
        name, labels = self.counter
        if not labels:
            raise NotTried("`counter` has no labels")
        metrics = self.make()
        many = [
            {key: f"{text}-{number}" for key, text in labels.items()} for number in range(_ROUNDS)
        ]

        def write() -> None:
            for one in many:
                metrics.counter(name, dict(one)).inc()

        threads = len(await in_threads(write, "counter() and inc() from threads"))
        for one in many:
            after = f"counter() and inc() in each of {threads} threads"
            self._expect(metrics, (name, one), threads, after)


def _use_counter(metrics: Metrics, name: MetricName, labels: Labels) -> None:
    with _harmless("counter", name, labels):
        counter = _there(metrics.counter(name, dict(labels)))
        counter.inc()
        counter.add(1)


def _use_gauge(metrics: Metrics, name: MetricName, labels: Labels) -> None:
    with _harmless("gauge", name, labels):
        gauge = _there(metrics.gauge(name, dict(labels)))
        gauge.inc()
        gauge.dec()
        gauge.add(-1)
        gauge.set(2)


def _use_observer(metrics: Metrics, name: MetricName, labels: Labels) -> None:
    with _harmless("observer", name, labels):
        _there(metrics.observer(name, dict(labels))).observe(0.5)


_USES: Final = (_use_counter, _use_gauge, _use_observer)


@contextlib.contextmanager
def _harmless(kind: str, name: MetricName, labels: Labels) -> Generator[None]:
    try:
        yield
    except Exception as error:
        raise Broken(
            f"using {kind}({name!r}, {dict(labels)!r}) raised {describe(error)}"
        ) from error


def _there(instrument: InstrumentT) -> InstrumentT:
    if instrument is None:
        raise TypeError("the instrument is None")
    return instrument
