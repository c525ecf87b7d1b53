"""Whose turn it is: choosing one of several items that would all do."""

import itertools
from typing import TypeVar

from gost_core.context import Context
from gost_core.selector import Strategy

T = TypeVar("T")


class RoundRobin(Strategy[T]):
    """Takes one after the other."""

    def __init__(self) -> None:
        self._turn = itertools.count()

    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        return items[next(self._turn) % len(items)] if items else None
