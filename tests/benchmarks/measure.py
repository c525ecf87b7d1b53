"""How everything here is measured: what is compared takes turns, and a round gives one ratio.

The machine may be slower in one minute than in the next. Both sides of a ratio of one round ran
side by side, so that ratio holds; the median over the rounds is the figure, and the quartiles tell
how far it can be trusted. Whatever runs in one thread is measured in processor time, which other
programs hardly change.
"""

import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal


@dataclass(frozen=True, slots=True)
class Samples:
    """What one subject gave, in the order of the rounds."""

    values: Sequence[float]

    def middle(self) -> float:
        return median(self.values)

    def best(self) -> float:
        return min(self.values)

    def quartiles(self) -> tuple[float, float]:
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        lower, _, upper = quantiles(self.values, n=4, method="inclusive")
        return lower, upper

    def over(self, other: "Samples") -> "Samples":
        """Return the ratio to another subject, round by round."""
        return Samples([a / b for a, b in zip(self.values, other.values, strict=True)])

    def minus(self, other: "Samples") -> "Samples":
        """Return the difference to another subject, round by round."""
        return Samples([a - b for a, b in zip(self.values, other.values, strict=True)])

    def times(self, factor: float) -> "Samples":
        """Return the same in another unit."""
        return Samples([value * factor for value in self.values])


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure must hold."""

    way: Literal["at most", "at least"]
    value: float

    def holds(self, figure: float) -> bool:
        return figure <= self.value if self.way == "at most" else figure >= self.value

    def __str__(self) -> str:
        return f"{self.way} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table."""

    subject: str
    samples: Samples
    unit: str
    bound: Bound | None = None


def ratio(subject: str, of: Samples, to: Samples, bound: Bound | None = None) -> Figure:
    """Make the figure that says how one subject stands to another; these are drawn."""
    return Figure(subject, of.over(to), "x", bound)


def interleaved(subjects: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Samples]:
    """Measure each subject once a round; who begins changes from round to round."""
    values: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            progress(f"round {number + 1} of {rounds}: {name}")
            values[name].append(subjects[name]())
    progress("")
    return {name: Samples(found) for name, found in values.items()}


def timed(calls: Mapping[str, Callable[[], object]], quick: bool) -> dict[str, Samples]:
    """Measure the seconds of one call of each; about 50 ns of them are the measuring loop's."""
    duration, rounds = (0.002, 3) if quick else (0.02, 15)
    return interleaved(
        {name: seconds_per_call(call, duration) for name, call in calls.items()}, rounds
    )


def seconds_per_call(call: Callable[[], object], duration: float) -> Callable[[], float]:
    """Return what measures the seconds of one call, by a loop that takes about ``duration``."""
    number = 1
    while (once := _seconds(call, number)) < duration / 4:
        number *= 2
    number = max(1, int(number * duration / once))
    return lambda: _seconds(call, number) / number


def _seconds(call: Callable[[], object], number: int) -> float:
    times = [None] * number
    gc.disable()
    began = time.process_time()
    for _ in times:
        call()
    took = time.process_time() - began
    gc.enable()
    return took


def progress(text: str) -> None:
    """Say on a terminal what goes on; the next line takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text[:78]}", end="", file=sys.stderr, flush=True)
