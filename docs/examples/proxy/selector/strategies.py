"""Whose turn it is: strategies to choose one of several items that would all do."""

import itertools
import random
from hashlib import sha256
from typing import TypeVar

from gost_core.chain import Node
from gost_core.context import Context
from gost_core.keys import CLIENT_ID, HASH_SOURCE
from gost_core.selector import Strategy

T = TypeVar("T")


class RoundRobin(Strategy[T]):
    """Takes one after the other."""

    def __init__(self) -> None:
        self._turn = itertools.count()

    async def apply(self, ctx: Context, /, *items: T) -> T | None:
        return items[next(self._turn) % len(items)] if items else None


class Hash(Strategy[Node]):
    """Keeps a client at one node for as long as that node may be chosen.

    A client is whom the authenticator knows, or else what the context says to hash. For it each
    node gets a score by its name, which stays when a hop makes its nodes anew (D40). The highest
    score wins: when a node goes, its own clients move and nobody else's.
    """

    async def apply(self, ctx: Context, /, *items: Node) -> Node | None:
        source = ctx.value(CLIENT_ID) or ctx.value(HASH_SOURCE)
        if not source:  # any key may be absent (D28)
            return random.choice(items) if items else None
        # Not hash(), which gives other numbers in the next process.
        return max(
            items, key=lambda node: sha256(f"{source}\0{node.name}".encode()).digest(), default=None
        )
