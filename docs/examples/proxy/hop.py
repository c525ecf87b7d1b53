"""Choosing a node: filters, the selector that joins them with a strategy, and the hop."""

import time
from collections.abc import Sequence
from typing import TypeVar

from gost_core.bypass import with_host_option
from gost_core.chain import Node, NodeFilterSettings
from gost_core.context import Context
from gost_core.hop import Hop, NodeList, SelectOption, SelectOptions
from gost_core.options import apply
from gost_core.routing import Request
from gost_core.selector import Filter, Markable, Selector, Strategy

from .address import host_of
from .metadata import number
from .strategies import RoundRobin, metadata_of

T = TypeVar("T")


def has_failed(item: object) -> bool:
    """Tell whether an item has failed too often, too recently (D45)."""
    marker = item.marker() if isinstance(item, Markable) else None
    if marker is None:
        return False
    settings = metadata_of(item)
    most = number(settings, "maxFails", 1)
    pause = number(settings, "failTimeout", 10.0)
    return marker.count() >= most and time.time() - marker.time() < pause


def is_backup(item: object) -> bool:
    """Tell whether an item stands back while others live (D45)."""
    settings = metadata_of(item)
    return settings is not None and settings.get("backup") is True


class FailFilter(Filter[T]):
    """Takes out what has failed."""

    async def filter(self, ctx: Context, /, *items: T) -> Sequence[T]:
        return [item for item in items if not has_failed(item)]


class BackupFilter(Filter[T]):
    """Takes out backups while there is anything else."""

    async def filter(self, ctx: Context, /, *items: T) -> Sequence[T]:
        return [item for item in items if not is_backup(item)] or items


class PriorityFilter(Filter[Node]):
    """Leaves only the node of the highest priority, if that is above 0 and unique (D45)."""

    async def filter(self, ctx: Context, /, *items: Node) -> Sequence[Node]:
        highest = max((node.options().priority for node in items), default=0)
        winners = [node for node in items if node.options().priority == highest]
        return winners if highest > 0 and len(winners) == 1 else items


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


class NodeHop(Hop, NodeList):
    """A fixed list of nodes, of which a strategy chooses among those that live.

    Without one they are used in turn.
    """

    def __init__(self, *nodes: Node, strategy: Strategy[Node] | None = None) -> None:
        self._nodes = nodes
        self._selector: Selector[Node] = FilteringSelector(
            strategy or RoundRobin[Node](),
            FailFilter[Node](),
            BackupFilter[Node](),
            PriorityFilter(),
        )

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        options = apply(SelectOptions(), *opts)
        eligible = [node for node in self._nodes if await _is_eligible(ctx, node, options)]
        if not eligible:
            return None
        # All have failed: the first one is the last resort (D45).
        return await self._selector.select(ctx, *eligible) or eligible[0]

    def nodes(self) -> Sequence[Node]:
        return self._nodes


async def _is_eligible(ctx: Context, node: Node, options: SelectOptions) -> bool:
    rules = node.options()
    if rules.bypass is not None and await rules.bypass.contains(
        ctx, options.network, options.addr, with_host_option(options.host)
    ):
        return False
    if rules.matcher is None:
        return rules.filter is None or _fits(rules.filter, options)
    # SelectOptions and Request have the same fields; values are shared, not copied (D23).
    return await rules.matcher.match(
        Request(
            client_ip=options.client_ip,
            host=options.host,
            network=options.network,
            protocol=options.protocol,
            method=options.method,
            path=options.path,
            query=options.query,
            header=options.header,
            body=options.body,
        )
    )


def _fits(filter: NodeFilterSettings, options: SelectOptions) -> bool:
    """Tell whether a request is one that a node serves; what the filter leaves open fits."""
    host, wanted = host_of(options.host), host_of(filter.host)
    return (
        (host.endswith(wanted) if wanted.startswith(".") else wanted in ("", host))
        and filter.protocol in ("", options.protocol)
        and options.path.startswith(filter.path)
    )
