"""The contracts of metrics and their instruments."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Final, Generic, TypeAlias

from typing_extensions import Protocol, TypeVar

from gost_core.metrics import Counter, Gauge, Labels, MetricName, Metrics, Observer
from gost_core.testing._families.counts import Anew, Count
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import expect, expect_raises, in_threads, need, turns

__all__ = ("CounterContract", "GaugeContract", "MetricsContract", "ObserverContract")


class _Adding(Protocol):
    """What counters and gauges can do."""

    def inc(self) -> None: ...

    def add(self, value: float, /) -> None: ...


AddingT = TypeVar("AddingT", bound=_Adding)
CounterT = TypeVar("CounterT", bound=Counter, default=Counter)
GaugeT = TypeVar("GaugeT", bound=Gauge, default=Gauge)
MetricsT = TypeVar("MetricsT", bound=Metrics, default=Metrics)
ObserverT = TypeVar("ObserverT", bound=Observer, default=Observer)
_Series: TypeAlias = tuple[MetricName, Labels]

_SERIES: Final[int] = 200
_SETS: Final[int] = 20
_LABELS: Final[Labels] = {"service": "one", "host": "two"}
# What joins values, alone or with their keys.
_SIGNS: Final[tuple[str, ...]] = (",", ";", "|", "/", ":", " ", "_", "-", ".", "\0", "\xff", ",=")
_UNKNOWN: Final[tuple[MetricName, ...]] = (
    MetricName("gost_core_testing_unknown"),
    MetricName("no name!"),
    MetricName("gr\u00f6\u00dfe"),
    MetricName(""),
)


class _Value(Count[AddingT]):
    """The clauses of what has a value to which is added."""

    value: Callable[[AddingT], float] | None = None
    """Tells what one has come to."""

    def _count_in(self, count: AddingT, /) -> None:
        count.inc()
        count.add(2)

    def _expect_counted(self, count: AddingT, times: int, after: str, /) -> None:
        self._expect(count, 3 * times, after)

    def _expect(self, instrument: AddingT, wanted: float, after: str) -> None:
        value = need(self.value, "value")(instrument)
        right = math.isclose(value, wanted)
        expect(right, f"the value was {value:g} instead of {wanted:g} after {after}")

    @clause("inc() adds 1.", "D58")
    async def inc_adds_one(self) -> None:
        instrument = self.make()
        instrument.inc()
        instrument.inc()
        self._expect(instrument, 2, "inc() and inc()")


class CounterContract(_Value[CounterT], interface=Counter, first=("inc_adds_one",)):
    """What a counter of metrics promises."""

    @clause("add() adds its argument, 0 and fractions included.", "D58")
    async def add_adds(self) -> None:
        counter = self.make()
        counter.add(2)
        counter.add(0)
        counter.add(0.5)
        self._expect(counter, 2.5, "add(2), add(0) and add(0.5)")
        # More bytes than 32 bits can count.
        counter.add(2.0**40)
        self._expect(counter, 2.0**40, "add(2 ** 40)")

    @clause("A negative add() raises ValueError.", "D58")
    async def negative_refused(self) -> None:
        counter = self.make()
        counter.add(3)
        for value in (-1, -0.5, -math.inf, -1):
            with expect_raises(f"add({value})", ValueError):
                counter.add(value)

    @clause(
        "A negative add() leaves the counter as it is.",
        "D58",
        after=("add_adds", "inc_adds_one", "negative_refused"),
    )
    async def negative_leaves(self) -> None:
        counter = self.make()
        counter.add(3)
        with expect_raises("add(-1)", ValueError):
            counter.add(-1)
        counter.inc()
        self._expect(counter, 4, "add(3), add(-1) and inc()")


class GaugeContract(
    _Value[GaugeT],
    Anew[GaugeT],
    interface=Gauge,
    first=("dec_subtracts_one", "inc_adds_one"),
):
    """What a gauge of metrics promises."""

    def _count_in(self, count: GaugeT, /) -> None:
        super()._count_in(count)
        count.inc()
        count.dec()

    def _one(self, count: GaugeT, /) -> tuple[Callable[[], object], ...]:
        return count.inc, partial(count.set, 0), partial(need(self.value, "value"), count)

    @clause(
        "A set() beside what another thread adds is not lost.",
        "D21",
        after=("set_replaces", "threads"),
    )
    async def threads_set(self) -> None:
        await self._expect_not_lost("set(0)")

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

    @clause("set() replaces the value, whoever has written it.", "D21, D58", after=("add_adds",))
    async def set_replaces(self) -> None:
        gauge = self.make()
        gauge.inc()
        for value in (7, -2.5, 0, 3):
            for change in (gauge.inc, gauge.dec):
                gauge.set(value)
                self._expect(gauge, value, f"set({value})")
                change()
        gauge.set(3)
        gauge.add(1)
        self._expect(gauge, 4, "set(3) and add(1)")
        gauges = [gauge, *(self.make() for _ in range(_SETS))]
        await in_threads(lambda number: gauges[number].set(7), len(gauges), "set() in threads")
        for one in gauges:
            self._expect(one, 7, "set(7) in several threads")


class ObserverContract(
    Count[ObserverT],
    interface=Observer,
    first=("counted_in",),
    said={"threads": ("Nothing that threads observe at once is lost.", "D21")},
):
    """What a distribution of metrics promises."""

    count: Callable[[ObserverT], int] | None = None
    """Tells how many values a distribution has counted in."""

    def _count_in(self, count: ObserverT, /) -> None:
        count.observe(0.5)

    def _expect_counted(self, count: ObserverT, times: int, after: str, /) -> None:
        counted = need(self.count, "count")(count)
        expect(counted == times, f"{counted} values had been counted in after {after}")

    @clause("Each value is counted in, equal ones, 0 and whole numbers included.", "D58")
    async def counted_in(self) -> None:
        observer = self.make()
        values = (0.25, 0.25, 0, 3, 1e-9, 1e9)
        for value in values:
            observer.observe(value)
        self._expect_counted(observer, len(values), f"{len(values)} values")


class MetricsContract(Contract, Generic[MetricsT], interface=Metrics):
    """What metrics promise."""

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

    def _known(self) -> tuple[_Series, _Series, _Series]:
        return self.counter, self.gauge, self.observer

    def _writes(
        self, metrics: MetricsT, labels: Callable[[Labels], Labels] = dict
    ) -> tuple[Callable[[], object], ...]:
        """Ask for an instrument of each kind, and return what writes to them once."""
        return (
            metrics.counter(self.counter[0], labels(self.counter[1])).inc,
            metrics.gauge(self.gauge[0], labels(self.gauge[1])).inc,
            partial(metrics.observer(self.observer[0], labels(self.observer[1])).observe, 1.0),
        )

    def _write(self, metrics: MetricsT, labels: Callable[[Labels], Labels] = dict) -> None:
        """Write once to a series of each kind."""
        for write in self._writes(metrics, labels):
            write()

    def _expect(self, metrics: MetricsT, wanted: float, after: str, *several: _Series) -> None:
        """Break the clause unless series, without any those of each kind, have a value."""
        value_of = need(self.value, "value")
        for name, labels in several or self._known():
            value = value_of(metrics, name, labels)
            expect(
                math.isclose(value, wanted),
                f"the value of {name} was {value:g} instead of {wanted:g} after {after}",
            )

    @clause("One name with one set of labels is one series, however often it is asked for.", "D58")
    async def same_series(self) -> None:
        metrics = self.make()
        for _ in range(2):
            self._write(metrics)
        self._expect(metrics, 2, "2 instruments had been asked for and written to")

    @clause("Other labels are another series.", "D58", after=("same_series",))
    async def labels_apart(self) -> None:
        labelled = all(labels for _, labels in self._known())
        need(labelled or None, "counter`, `gauge` and `observer` with labels")
        metrics = self.make()
        others: list[Callable[[Labels], Labels]] = [dict, _others, _in_capitals, _with_space]
        if all(len(labels) > 1 for _, labels in self._known()):
            others += [_swapped, _shifted, _shifted_back]
            others += [partial(_joined, sign, last) for sign in _SIGNS for last in (False, True)]
        others += [partial(_others, number=10**300 + last) for last in (0, 1)]
        # All are held before the first of them is written to.
        for writes in [self._writes(metrics, other) for other in others]:
            for write in writes:
                write()
        for name, labels in self._known():
            made = [other(labels) for other in others]
            for one in made:
                after = f"{len(made) - 1} other series had been written to as well"
                self._expect(metrics, made.count(one), after, (name, one))

    @clause("The same pairs in another order are the same labels.", "D58", after=("same_series",))
    async def label_order(self) -> None:
        several = all(len(labels) > 1 for _, labels in self._known())
        need(several or None, "counter`, `gauge` and `observer` with two labels")
        metrics = self.make()
        self._write(metrics)
        self._write(metrics, _reversed)
        self._expect(metrics, 2, "their labels had been given in either order")

    @clause(
        "What is written to a name with other label keys than those of its first use is written "
        "nowhere.",
        "D58",
        after=("other_keys_harmless", "same_series"),
    )
    async def other_keys_apart(self) -> None:
        metrics = self.make()
        self._write(metrics)
        for other in (_fewer, _more):
            self._write(metrics, other)
            self._expect(metrics, 1, "its name had been used with other label keys")
            for name, labels in self._known():
                if self.value is not None and other(labels) != labels:
                    value = 0.0
                    with contextlib.suppress(Exception):  # there is no such series
                        value = self.value(metrics, name, other(labels))
                    expect(not value, f"{name} has a series of other label keys")

    @clause("The labels are not changed.", "D58")
    async def labels_unchanged(self) -> None:
        passed: list[tuple[Labels, Labels]] = []

        def remember(labels: Labels) -> Labels:
            copy = dict(labels)
            passed.append((labels, copy))
            return copy

        self._write(self.make(), remember)
        for before, after in passed:
            expect(before == after, f"the labels {dict(before)} became {dict(after)}")

    @clause(
        "The labels are copied: changing the mapping later has no effect.",
        "D58",
        after=("same_series",),
    )
    async def labels_copied(self) -> None:
        metrics = self.make()
        mine = [dict(labels) for _, labels in self._known()]
        counter = metrics.counter(self.counter[0], mine[0])
        gauge = metrics.gauge(self.gauge[0], mine[1])
        observer = metrics.observer(self.observer[0], mine[2])
        for labels in mine:
            labels.update(_others(labels))
        counter.inc()
        gauge.inc()
        observer.observe(1.0)
        self._expect(metrics, 1, "the caller had changed its mapping")

    @clause(
        "A mapping that was changed, and is given again, is another set of labels.",
        "D58",
        after=("labels_apart", "labels_copied"),
    )
    async def labels_reused(self) -> None:
        labelled = all(labels for _, labels in self._known())
        need(labelled or None, "counter`, `gauge` and `observer` with labels")
        metrics = self.make()
        writes: tuple[Callable[[Labels], object], ...] = (
            lambda mine: metrics.counter(self.counter[0], mine).inc(),
            lambda mine: metrics.gauge(self.gauge[0], mine).inc(),
            lambda mine: metrics.observer(self.observer[0], mine).observe(1.0),
        )
        for write, (name, labels) in zip(writes, self._known(), strict=True):
            mine = dict(labels)
            for _ in range(2):
                write(mine)
                mine.update(_others(labels))
            both = ((name, labels), (name, _others(labels)))
            self._expect(metrics, 1, "one mapping had been given with two sets of labels", *both)

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
        for use, (name, labels) in zip(_USES, self._known(), strict=True):
            for other in ({}, _more(labels), {"no key!": "x"}, {"gr\u00f6\u00dfe": "x"}):
                metrics = self.make()
                use(metrics, name, labels)
                use(metrics, name, other)

    @clause("A name of another kind gives an instrument all the same.", "D58")
    async def other_kind_harmless(self) -> None:
        for name, labels in self._known():
            metrics = self.make()
            self._write(metrics)
            for use in _USES:
                use(metrics, name, labels)

    @clause(
        "What is written to a name of another kind is written nowhere.",
        "D58",
        after=("other_kind_harmless", "same_series"),
    )
    async def other_kind_apart(self) -> None:
        metrics = self.make()
        self._write(metrics)
        for own, (name, labels) in zip(_USES, self._known(), strict=True):
            for use in _USES:
                if use is not own:
                    use(metrics, name, labels)
        self._expect(metrics, 1, "its name had been used for another kind")

    @clause(
        "Threads that ask for one series at once write to one.",
        "D21, D58",
        after=("labels_apart", "same_series"),
    )
    async def threads(self) -> None:
        name, labels = self.counter
        need(labels or None, "counter` with labels")
        metrics = self.make()
        many = [_others(labels, number) for number in range(_SERIES)]

        def write(number: int) -> None:
            metrics.counter(name, dict(many[number])).inc()

        threads = len(await in_threads(write, _SERIES, "counter() and inc() from threads"))
        after = f"counter() and inc() in each of {threads} threads"
        for one in many:
            self._expect(metrics, threads, after, (name, one))
            # To read one may take as long as to read them all.
            await turns(1)


def _others(labels: Labels, number: int = 2) -> Labels:
    """Return other labels with the same keys."""
    return {key: f"{text}-{number}" for key, text in labels.items()}


def _in_capitals(labels: Labels) -> Labels:
    return {
        key: text.swapcase() if text.swapcase() != text else f"{text}x"
        for key, text in labels.items()
    }


def _with_space(labels: Labels) -> Labels:
    return {key: f"{text} " for key, text in labels.items()}


def _swapped(labels: Labels) -> Labels:
    """Return the same keys and values, each value with another key."""
    return dict(zip(labels, [*labels.values()][::-1], strict=True))


def _shifted(labels: Labels) -> Labels:
    """Return values that are the same as the others when they are joined."""
    first, second, *_ = labels
    text, rest = labels[first], labels[second]
    return {**labels, first: text + rest[:1], second: rest[1:]}


def _shifted_back(labels: Labels) -> Labels:
    return _shifted(_reversed(labels))


def _joined(sign: str, last: bool, labels: Labels) -> Labels:
    """Return values that are the same as the others when they are joined by this sign."""
    first, second, *_ = sorted(labels)
    both = f"x{sign}x".replace("=", f"{second}=")
    return {**labels, first: "x" if last else both, second: both if last else "x"}


def _reversed(labels: Labels) -> Labels:
    return dict([*labels.items()][::-1])


def _fewer(labels: Labels) -> Labels:
    return dict([*labels.items()][1:])


def _more(labels: Labels) -> Labels:
    return {**labels, "gost_core_testing": "x"}


def _user(kind: str, **calls: tuple[float, ...]) -> Callable[[Metrics, MetricName, Labels], None]:
    """Return what makes an instrument of a kind, and calls its methods, which never fails."""

    def use(metrics: Metrics, name: MetricName, labels: Labels) -> None:
        try:
            instrument = getattr(metrics, kind)(name, dict(labels))
            for method, arguments in calls.items():
                getattr(instrument, method)(*arguments)
        except Exception as error:
            used = f"using {kind}({name!r}, {dict(labels)!r})"
            raise Broken(f"{used} raised {describe(error)}") from error

    return use


_USES: Final = (
    _user("counter", inc=(), add=(1,)),
    _user("gauge", inc=(), dec=(), add=(-1,), set=(2,)),
    _user("observer", observe=(0.5,)),
)
