"""The nodes that a hop chooses among."""

from collections.abc import Sequence
from dataclasses import fields

from gost_core.bypass import with_host_option
from gost_core.chain import Node, NodeFilterSettings
from gost_core.context import Context
from gost_core.hop import Hop, NodeList, SelectOption, SelectOptions
from gost_core.options import apply
from gost_core.routing import Request
from gost_core.selector import Selector, Strategy

from ..net.address import host_of
from ..selector.filters import BackupFilter, FailFilter, FilteringSelector, PriorityFilter
from ..selector.strategies import RoundRobin


class NodeHop(Hop, NodeList):
    """A fixed list of nodes, of which a strategy chooses among those that live; else in turn."""

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
    # SelectOptions has the fields of a Request; values are shared, not copied (D23).
    known = {field.name: getattr(options, field.name) for field in fields(Request)}
    return await rules.matcher.match(Request(**known))


def _fits(filter: NodeFilterSettings, options: SelectOptions) -> bool:
    """Tell whether a request is one that a node serves; what the filter leaves open fits."""
    host, wanted = host_of(options.host), host_of(filter.host)
    return (
        (host.endswith(wanted) if wanted.startswith(".") else wanted in ("", host))
        and filter.protocol in ("", options.protocol)
        and options.path.startswith(filter.path)
    )
