"""Trials of the contract of counters."""

import threading
from collections.abc import Callable

from gost_core.observer.stats import Kind, Stats
from gost_core.testing import Contract
from gost_core.testing.observer.stats import StatsContract
from tests.kit.trial import Trial


class RightStats:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values = dict.fromkeys(Kind, 0)
        self.marked = False

    def add(self, kind: Kind, n: int, /) -> None:
        with self.lock:
            if kind in self.values:
                self.values[kind] += n
                self.marked = True

    def get(self, kind: Kind, /) -> int:
        return self.values.get(kind, 0)

    def is_updated(self) -> bool:
        with self.lock:
            marked, self.marked = self.marked, False
        return marked

    def reset(self) -> None:
        with self.lock:
            self.values = dict.fromkeys(Kind, 0)
            self.marked = False


def run(make: Callable[[], Stats]) -> Contract:
    return StatsContract(make, time_limit=2.0)


trial = Trial[Callable[[], Stats]](StatsContract, run, RightStats)


@trial.breaks("shape")
class UpdatedProperty(RightStats):
    @property
    def is_updated(self) -> bool:  # type: ignore  # the fault
        return self.marked


@trial.breaks("starts-at-zero")
class UpdatedAtFirst(RightStats):
    def __init__(self) -> None:
        super().__init__()
        self.marked = True


@trial.breaks("counts")
class OneCountForBytes(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        super().add(Kind.INPUT_BYTES if kind is Kind.OUTPUT_BYTES else kind, n)


@trial.breaks("get-keeps", history="x trial: with resetTraffic, reading takes the bytes away")
class TakenByReading(RightStats):
    def get(self, kind: Kind, /) -> int:
        value = super().get(kind)
        if kind in (Kind.INPUT_BYTES, Kind.OUTPUT_BYTES):
            self.values[kind] = 0
        return value


@trial.breaks("current-falls")
class NeverFalling(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        super().add(kind, max(n, 0))


@trial.breaks("unknown-ignored")
class UnknownKindRaises(RightStats):
    def get(self, kind: Kind, /) -> int:
        return self.values[kind]


@trial.breaks("unknown-ignored")
class MarkedByUnknown(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        super().add(kind, n)
        self.marked = True


@trial.breaks("updated")
class ErrorsUnmarked(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        marked = self.marked
        super().add(kind, n)
        if kind is Kind.TOTAL_ERRS:
            self.marked = marked


@trial.breaks("asking-clears")
class MarkedUntilReset(RightStats):
    def is_updated(self) -> bool:
        return self.marked


@trial.breaks("get-leaves-mark")
class UnmarkedByReading(RightStats):
    def get(self, kind: Kind, /) -> int:
        self.marked = False
        return super().get(kind)


@trial.breaks("reset-zeroes")
class KeepingCurrent(RightStats):
    def reset(self) -> None:
        current = self.values[Kind.CURRENT_CONNS]
        super().reset()
        self.values[Kind.CURRENT_CONNS] = current


@trial.breaks("reset-clears")
class MarkedByReset(RightStats):
    def reset(self) -> None:
        super().reset()
        self.marked = True


@trial.breaks("threads")
class UnlockedStats(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        if kind in self.values:
            self.values[kind] += n
            super().add(kind, 0)


@trial.breaks("threads")
class UnlockedErrors(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        if kind is not Kind.TOTAL_ERRS:
            super().add(kind, n)
            return
        self.values[kind] += n
        super().add(kind, 0)


@trial.breaks("threads-reset")
class ResettingWithoutLock(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        with self.lock:
            if (value := self.values.get(kind)) is not None:
                self.values[kind] = value + n
                self.marked = True

    def reset(self) -> None:
        self.marked = False
        for kind in self.values:
            self.values[kind] = 0


@trial.breaks("threads-told")
class LosingTheMark(RightStats):
    def is_updated(self) -> bool:
        marked = self.marked
        self.marked = False
        return marked


@trial.breaks("threads-told")
class MarkedBeforeItIsAdded(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        self.marked = self.marked or kind in self.values
        with self.lock:
            if kind in self.values:
                self.values[kind] += n


@trial.breaks("counts")
class Stats32Bits(RightStats):
    def get(self, kind: Kind, /) -> int:
        return super().get(kind) % 2**32


@trial.breaks("threads-told")
class UnmarkingLater(RightStats):
    def reset(self) -> None:
        with self.lock:
            self.values = dict.fromkeys(Kind, 0)
        self.marked = False


@trial.breaks("updated")
class UpdatedByTheSum(RightStats):
    """Knows by the sum whether something was added: a connection that fails leaves it as it was."""

    last = 0

    def is_updated(self) -> bool:
        with self.lock:
            last, self.last = self.last, sum(self.values.values())
            return self.last != last

    def reset(self) -> None:
        with self.lock:
            self.values = dict.fromkeys(Kind, 0)
            self.last = 0


trials = (trial,)
