"""The nodes that are alternatives of each other: a fixed list, or what a directory knows."""

from collections.abc import Sequence
from dataclasses import fields

from gost_core.bypass import with_host_option
from gost_core.chain import Node, NodeFilterSettings, NodeOption
from gost_core.context import Context
from gost_core.hop import Hop, NodeList, SelectOption, SelectOptions
from gost_core.ingress import Ingress
from gost_core.options import apply
from gost_core.routing import Request
from gost_core.sd import SD, Service
from gost_core.selector import Selector, Strategy

from .net.address import host_of
from .selector import BackupFilter, FailFilter, FilteringSelector, PriorityFilter, RoundRobin


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


class IngressHop(Hop):
    """Its nodes are the services that the ingress names for a host and the directory lists.

    A service keeps its node, and with it its record of failures, for as long as it is listed
    (D40). The first in the directory's order of preference that has not failed is chosen (D61).
    """

    def __init__(self, ingress: Ingress, sd: SD, *opts: NodeOption) -> None:
        self._ingress = ingress
        self._sd = sd
        self._opts = opts
        self._nodes: dict[str, dict[Service, Node]] = {}

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        host = apply(SelectOptions(), *opts).host
        rule = await self._ingress.get_rule(ctx, host)
        if rule is None:
            return None
        known = self._nodes.get(rule.endpoint, {})
        nodes = {
            service: known.get(service) or self._node(service)
            for service in await self._sd.get(ctx, rule.endpoint)
            if service.network.startswith("tcp")
        }
        self._nodes[rule.endpoint] = nodes
        alive = await FailFilter[Node]().filter(ctx, *nodes.values())
        return next(iter(alive or nodes.values()), None)  # the last resort (D45)

    def _node(self, service: Service) -> Node:
        return Node(f"{service.node}/{service.id}", service.address, *self._opts)
