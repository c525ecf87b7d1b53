"""Choosing: selectors, strategies, filters, and what they find on the items."""

import random
import time
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from gost_core.chain import Node
from gost_core.context import Context
from gost_core.metadata import Metadata, Metadatable
from gost_core.selector import FailMarker, Filter, Markable, Marker, Selector, Strategy

T = TypeVar("T")


class FirstStrategy(Generic[T]):
    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        return items[0] if items else None


class InheritingStrategy(Strategy[T]):
    """A generic class by inheritance: random."""

    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        return random.choice(items) if items else None


class LiveFilter(Generic[T]):
    """What has no marker is never failed."""

    async def filter(self, ctx: Context, /, *items: T) -> Sequence[T]:
        return [item for item in items if not _has_failed(item)]


class InheritingFilter(Filter[Node]):
    """For nodes only, so that it can look at what nodes have."""

    async def filter(self, ctx: Context, /, *items: Node) -> Sequence[Node]:
        return tuple(node for node in items if node.options().priority >= 0)


class FilteringSelector(Generic[T]):
    def __init__(self, strategy: Strategy[T], *filters: Filter[T]) -> None:
        self._strategy = strategy
        self._filters = filters

    async def select(self, ctx: Context, /, *items: T) -> T | None:
        remaining: Sequence[T] = items
        for filter_ in self._filters:
            remaining = await filter_.filter(ctx, *remaining)
        return await self._strategy.apply(ctx, *remaining)


class InheritingSelector(Selector[Node]):
    async def select(self, ctx: Context, /, *items: Node) -> Node | None:
        return max(items, key=lambda node: node.options().priority, default=None)


class LastFailureMarker:
    """Remembers the last failure only."""

    def __init__(self) -> None:
        self._time = 0.0
        self._failed = False

    def time(self) -> float:
        return self._time

    def count(self) -> int:
        return int(self._failed)

    def mark(self) -> None:
        self._time = time.time()
        self._failed = True

    def reset(self) -> None:
        self._failed = False


class Group:
    """An item with failures and settings."""

    def __init__(self, metadata: Metadata) -> None:
        self._marker = FailMarker()
        self._metadata = metadata

    def marker(self) -> FailMarker:
        return self._marker

    def metadata(self) -> Metadata:
        return self._metadata


class DictMetadata:
    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = {key.casefold(): value for key, value in values.items()}

    def is_exists(self, key: str, /) -> bool:
        return key.casefold() in self._values

    def set(self, key: str, value: object, /) -> None:
        self._values[key.casefold()] = value

    def get(self, key: str, /) -> object:
        return self._values.get(key.casefold())


async def select_node(ctx: Context, nodes: Sequence[Node]) -> Node | None:
    """The type of the items follows from how the selector is made."""
    selector = FilteringSelector(FirstStrategy[Node](), LiveFilter[Node](), InheritingFilter())
    return await selector.select(ctx, *nodes)


def _has_failed(item: object) -> bool:
    marker = item.marker() if isinstance(item, Markable) else None
    return marker is not None and marker.count() > 0


def prove_strategy(strategy: FirstStrategy[Node]) -> Strategy[Node]:
    return strategy


def prove_inheriting_strategy(strategy: InheritingStrategy[str]) -> Strategy[str]:
    return strategy


def prove_filter(filter: LiveFilter[Node]) -> Filter[Node]:
    return filter


def prove_inheriting_filter(filter: InheritingFilter) -> Filter[Node]:
    return filter


def prove_selector(selector: FilteringSelector[T]) -> Selector[T]:
    return selector


def prove_inheriting_selector(selector: InheritingSelector) -> Selector[Node]:
    return selector


def prove_marker(marker: LastFailureMarker) -> Marker:
    return marker


def prove_fail_marker(marker: FailMarker) -> Marker:
    return marker


def prove_markable(group: Group) -> Markable:
    return group


def prove_metadatable(group: Group) -> Metadatable:
    return group


def prove_markable_node(node: Node) -> Markable:
    return node


def prove_metadatable_node(node: Node) -> Metadatable:
    return node


def prove_metadata(metadata: DictMetadata) -> Metadata:
    return metadata
