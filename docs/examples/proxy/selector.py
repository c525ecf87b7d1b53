"""Which of several nodes is taken: some are left out, and one of the others has its turn."""

import itertools
import math
import time
from collections.abc import Sequence
from typing import TypeVar

from gost_core.chain import Node
from gost_core.context import Context
from gost_core.metadata import Metadatable
from gost_core.selector import Filter, Markable, Selector, Strategy

T = TypeVar("T")
N = TypeVar("N", bound=float)


def setting_of(item: object, key: str, default: N, *kinds: type[N]) -> N:
    """Read a setting of an item; one of another type names the key and the item (D45).

    None at all, and a number of 0 or less, give the default.
    """
    settings = item.metadata() if isinstance(item, Metadatable) else None
    value = None if settings is None else settings.get(key)
    if value is None:
        return default
    is_bool = isinstance(value, bool)
    if isinstance(value, kinds) and is_bool == (bool in kinds) and math.isfinite(value):
        return value if value > 0 else default
    name = f" of node {item.name}" if isinstance(item, Node) else ""
    wanted = " or ".join(kind.__name__ for kind in kinds)
    raise ValueError(f"the setting {key!r}{name} is {value!r}; it must be {wanted}")


def has_failed(item: object) -> bool:
    """Tell whether an item has failed too often, too recently (D45)."""
    marker = item.marker() if isinstance(item, Markable) else None
    if marker is None:
        return False
    most = setting_of(item, "maxFails", 1, int)
    pause = setting_of(item, "failTimeout", 10.0, int, float)
    return marker.count() >= most and time.time() - marker.time() < pause


class FailFilter(Filter[T]):
    """Takes out what has failed."""

    async def filter(self, ctx: Context, /, *items: T) -> Sequence[T]:
        return [item for item in items if not has_failed(item)]


class BackupFilter(Filter[T]):
    """Takes out backups while there is anything else (D45)."""

    async def filter(self, ctx: Context, /, *items: T) -> Sequence[T]:
        return [one for one in items if not setting_of(one, "backup", False, bool)] or items


class PriorityFilter(Filter[Node]):
    """Leaves only the node of the highest priority, if that is above 0 and unique (D45)."""

    async def filter(self, ctx: Context, /, *items: Node) -> Sequence[Node]:
        highest = max((node.options().priority for node in items), default=0)
        winners = [node for node in items if node.options().priority == highest]
        return winners if highest > 0 and len(winners) == 1 else items


class RoundRobin(Strategy[T]):
    """Takes one after the other."""

    def __init__(self) -> None:
        self._turn = itertools.count()

    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        return items[next(self._turn) % len(items)] if items else None


class FilteringSelector(Selector[T]):
    """Hands what one filter leaves to the next, and the rest to the strategy."""

    def __init__(self, strategy: Strategy[T], *filters: Filter[T]) -> None:
        self._strategy = strategy
        self._filters = filters

    async def select(self, ctx: Context, /, *items: T) -> T | None:
        left: Sequence[T] = items
        for filter in self._filters:
            left = await filter.filter(ctx, *left)
        return await self._strategy.apply(ctx, *left)
