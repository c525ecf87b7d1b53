"""The chain: a node of each hop in turn."""

from gost_core import chain, hop
from gost_core.context import Context
from gost_core.options import apply

from .route import NodeRoute, transport_of


class HopChain(chain.Chainer):
    """Takes a node from each hop in turn."""

    def __init__(self, *hops: hop.Hop) -> None:
        self._hops = hops

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: chain.RouteOption
    ) -> chain.Route | None:
        host = apply(chain.RouteOptions(), *opts).host
        nodes: list[chain.Node] = []
        for step in self._hops:
            node = await step.select(
                ctx,
                hop.network_select_option(network),
                hop.addr_select_option(address),
                hop.host_select_option(host),
            )
            if node is None:  # the chain ends here (D40)
                break
            transport = transport_of(node)
            if nodes and transport.multiplex():
                # The route is cut: the nodes so far only lead to this one's session (D34). Others
                # use the same node now, so the way to it is written on copies (D41, D42).
                node, transport = node.copy(), transport.copy()
                transport.options().route = NodeRoute(*nodes)
                node.options().transport = transport
                nodes.clear()
            nodes.append(node)
        return NodeRoute(*nodes)
