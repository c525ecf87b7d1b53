"""Whose turn it is: strategies to choose one of several items that would all do."""

import itertools
import random
from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

from gost_core.chain import Node, ProbeResultReader
from gost_core.context import Context
from gost_core.keys import CLIENT_ID, HASH_SOURCE
from gost_core.metadata import Metadata, Metadatable
from gost_core.selector import Strategy

from ..metadata import no_text, whole

T = TypeVar("T")


def metadata_of(item: object) -> Metadata | None:
    """Return the settings of an item that may have none."""
    return item.metadata() if isinstance(item, Metadatable) else None


class RoundRobin(Strategy[T]):
    """Takes one after the other."""

    def __init__(self) -> None:
        self._turn = itertools.count()

    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        return items[next(self._turn) % len(items)] if items else None


class Weighted(Strategy[T]):
    """Draws lots, of which an item has as many as its ``weight`` says (D45)."""

    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        return _draw(items)


class Hash(Strategy[Node]):
    """Keeps a client at one node for as long as that node may be chosen.

    A client is whom the authenticator knows, or else what the context says to hash. For it each
    node gets a score by its name, which stays when a hop makes its nodes anew (D40). The highest
    score wins: when a node goes, its own clients move and nobody else's.
    """

    async def apply(self, ctx: Context, /, *items: Node) -> Node | None:
        source = ctx.value(CLIENT_ID) or ctx.value(HASH_SOURCE)
        if not source:  # any key may be absent (D28)
            return _draw(items)
        # Not hash(), which gives other numbers in the next process.
        return max(
            items,
            key=lambda node: sha256(f"{source}\0{node.name}".encode()).digest(),
            default=None,
        )


class LowestLatency(Strategy[T]):
    """Takes what answered its latest probe fastest; while nothing has, it draws lots."""

    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        timed: list[tuple[float, T]] = []
        for item in items:
            result = item.probe_result() if isinstance(item, ProbeResultReader) else None
            if result is not None and result.success:
                timed.append((result.latency, item))
        return min(timed, key=lambda pair: pair[0])[1] if timed else _draw(items)


def _draw(items: Sequence[T]) -> T | None:
    weights = [whole(no_text(metadata_of(item), "weight"), "weight", 1) for item in items]
    return random.choices(items, weights)[0] if items else None
