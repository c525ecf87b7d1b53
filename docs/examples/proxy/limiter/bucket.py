"""Budgets that are refilled, and who has one."""

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Protocol, TypeVar


class Bucket:
    """A token bucket: it holds a burst, and is refilled at a rate."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._filled = time.monotonic()

    def level(self) -> float:
        """Return what is there by now."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._filled) * self._rate)
        self._filled = now
        return self._level

    def is_full(self) -> bool:
        """Tell whether it is as good as a new one."""
        return self.level() == self._burst

    def take(self, n: int) -> bool:
        """Take ``n`` if they are there, else nothing."""
        if self.level() < n:
            return False
        self._level -= n
        return True

    def spend(self, n: int) -> None:
        """Take ``n``, on credit if they are not there."""
        self._level = self.level() - n

    def change(self, rate: float, burst: float) -> None:
        """Change what comes from now on; what is there stays, if it fits."""
        self._level = min(self.level(), burst)
        self._rate, self._burst = rate, burst


class Refilled(Protocol):
    """What is spent, and as good as new after a while."""

    def is_full(self) -> bool: ...


K = TypeVar("K")
B = TypeVar("B", bound=Refilled)


class Budgets(OrderedDict[K, B]):
    """Budgets by whose they are; one that is as good as new is forgotten in the end."""

    def of(self, key: K, new: Callable[[], B]) -> B:
        """Return a budget; a newcomer gets a new one, and is the occasion to look at two others."""
        if key not in self:
            for other in [*islice(self, 2)]:
                if self[other].is_full():
                    del self[other]
                else:
                    self.move_to_end(other)
            self[key] = new()
        return self[key]
