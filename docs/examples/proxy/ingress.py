"""An ingress in memory, and the hop that goes by it: which service has a public host name."""

from collections.abc import Iterator

from gost_core import hop, ingress
from gost_core.chain import Node, NodeOption
from gost_core.context import Context
from gost_core.options import apply
from gost_core.sd import SD, Service

from .address import host_of
from .hop import has_failed


class MemoryIngress(ingress.Ingress):
    """Rules in a dict, found by the names that could cover a host, the nearest first (D62)."""

    def __init__(self, *rules: ingress.Rule) -> None:
        self._rules: dict[str, ingress.Rule] = {}
        for rule in rules:
            self._set(rule)

    async def set_rule(self, ctx: Context, rule: ingress.Rule, /, *opts: ingress.Option) -> bool:
        apply(ingress.Options(), *opts)
        self._set(rule)
        return True

    async def get_rule(
        self, ctx: Context, host: str, /, *opts: ingress.Option
    ) -> ingress.Rule | None:
        apply(ingress.Options(), *opts)
        return next((self._rules[name] for name in _names(host) if name in self._rules), None)

    def _set(self, rule: ingress.Rule) -> None:
        # "*.d" and ".d" mean the same, and so are the same key; "." is the rest.
        name = host_of(rule.hostname).strip("[]").removeprefix("*") or "."
        if rule.endpoint:
            self._rules[name] = rule
        else:
            self._rules.pop(name, None)


def _names(host: str) -> Iterator[str]:
    """Yield under which names a rule for a host may stand, the strongest first."""
    name = host_of(host).strip("[]")
    yield name
    while name:
        yield f".{name}"
        _, _, name = name.partition(".")
    yield "."


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
