"""The nodes that a directory knows for a host name."""

from gost_core import hop, ingress
from gost_core.chain import Node, NodeOption
from gost_core.context import Context
from gost_core.options import apply
from gost_core.sd import SD, Service

from ..selector.filters import has_failed


class IngressHop(hop.Hop):
    """Its nodes are the services that the ingress names for a host and the directory lists.

    A service keeps its node, and with it its record of failures, for as long as it is listed
    (D40). The first in the directory's order of preference that has not failed is chosen (D61).
    """

    def __init__(self, ingress: ingress.Ingress, sd: SD, *opts: NodeOption) -> None:
        self._ingress = ingress
        self._sd = sd
        self._opts = opts
        self._nodes: dict[str, dict[Service, Node]] = {}

    async def select(self, ctx: Context, /, *opts: hop.SelectOption) -> Node | None:
        host = apply(hop.SelectOptions(), *opts).host
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
        alive = (node for node in nodes.values() if not has_failed(node))
        return next(alive, next(iter(nodes.values()), None))  # the last resort (D45)

    def _node(self, service: Service) -> Node:
        return Node(f"{service.node}/{service.id}", service.address, *self._opts)
