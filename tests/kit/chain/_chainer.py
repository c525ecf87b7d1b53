"""Trials of the contract of chainers."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from gost_core.chain import (
    Chainer,
    DialOption,
    Node,
    Route,
    RouteOption,
    RouteOptions,
    Transporter,
)
from gost_core.common.net import Closer, Conn, UnsupportedError
from gost_core.context import Context
from gost_core.hop import (
    Hop,
    NodeList,
    addr_select_option,
    host_select_option,
    network_select_option,
)
from gost_core.options import apply
from gost_core.selector import FailMarker, Markable, Marker
from gost_core.testing import Contract
from gost_core.testing.chain import ChainerContract
from tests.kit._backend import remembering, remembering_each
from tests.kit._stuck import (
    few_places,
    keeping_the_context,
    losing_places,
    stuck,
    timing_out,
)
from tests.kit.chain._route import RightRoute
from tests.kit.common.net._sockets import split
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


class RightChainer(Chainer, Markable):
    def __init__(self, hops: Sequence[Hop]) -> None:
        self.hops = tuple(hops)
        self.own_marker = FailMarker()

    def marker(self) -> Marker | None:
        return self.own_marker

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        nodes: list[Node] = []
        for hop in self.hops:
            node = await self.select(hop, ctx, network, address, apply(RouteOptions(), *opts).host)
            if node is None:
                break
            transport = node.options().transport
            if transport is not None and self.multiplexes(node, transport):
                nodes = [self.cut(node, transport, nodes)]
            else:
                nodes.append(node)
        return self.made_of(nodes)

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await hop.select(
            ctx,
            network_select_option(network),
            addr_select_option(address),
            host_select_option(host),
        )

    def multiplexes(self, node: Node, transport: Transporter) -> bool:
        return transport.multiplex()

    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        """Return a copy of a multiplexing node that is reached through those before."""
        node = node.copy()
        transport = transport.copy()
        transport.options().route = RightRoute(before)
        node.options().transport = transport
        return node

    def made_of(self, nodes: list[Node]) -> Route | None:
        return RightRoute(nodes, self.own_marker)


MakeChainer = Callable[[Sequence[Hop]], Chainer]


def run(make: MakeChainer) -> Contract:
    return ChainerContract(make, time_limit=TIME_LIMIT)


trial = Trial[MakeChainer](ChainerContract, run, RightChainer)


@trial.breaks("shape")
class NoOptions(RightChainer):
    async def route(  # type: ignore  # the fault
        self, ctx: Context, network: str, address: str, /
    ) -> Route | None:
        return await super().route(ctx, network, address)


@trial.breaks("nodes-of-hops")
class Backwards(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        return super().made_of(nodes[::-1])


@trial.breaks("none-ends")
class SkippingNone(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        host = apply(RouteOptions(), *opts).host
        chosen = [await self.select(hop, ctx, network, address, host) for hop in self.hops]
        if None not in chosen or chosen[0] is None:
            return await super().route(ctx, network, address, *opts)
        return RightRoute([node for node in chosen if node is not None])


@trial.breaks("none-ends")
class TakingTheOnlyNode(RightChainer):
    """Has a hop after the first choose the one node that it lists."""

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        chosen = await super().select(hop, ctx, network, address, host)
        if chosen is None and hop is not self.hops[0] and isinstance(hop, NodeList):
            return hop.nodes()[0]
        return chosen


@trial.breaks("none-direct")
class AlwaysANode(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        return super().made_of(nodes or [Node("direct", "")])


@trial.breaks("errors-pass")
class WrappingRefusals(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        try:
            return await super().select(hop, ctx, network, address, host)
        except PermissionError as error:
            raise PermissionError(f"the hop refuses: {error}") from error


@trial.breaks("failures-raised", history="x hop plugin: an error of the hop becomes None")
class FailingOpen(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        try:
            return await super().select(hop, ctx, network, address, host)
        except OSError:
            return None


@trial.breaks("request-handed-on")
class BareHost(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await super().select(hop, ctx, network, address, "" if network == "udp" else host)


@trial.breaks("any-address", history="core@801f835 an address without a port is rejected")
class NeedingAPort(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        split(address)
        return await super().route(ctx, network, address, *opts)


@trial.breaks("context-handed-on")
class AskingWithoutContext(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await super().select(hop, Context(), network, address, host)


@trial.breaks("context-handed-on")
class AskingForTheFirst(RightChainer):
    first: Context | None = None

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        self.first = self.first or ctx
        return await super().select(hop, self.first, network, address, host)


@trial.breaks("asked-anew")
class Remembering(RightChainer):
    known: Route | None = None

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        if self.known is None:
            self.known = await super().route(ctx, network, address, *opts)
        return self.known


@trial.breaks("concurrent")
class Locking(RightChainer):
    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.lock = asyncio.Lock()

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        async with self.lock:
            return await super().route(ctx, network, address, *opts)


@trial.breaks("marks-itself", history="ce60160 the chain of a cut route is lost")
class MarkingUncutRoutes(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        transport = nodes[0].options().transport if nodes else None
        is_cut = transport is not None and transport.options().route is not None
        return RightRoute(nodes, None if is_cut else self.own_marker)


@trial.breaks("marks-itself")
class NeverMarked(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        return RightRoute(nodes)


@trial.breaks("cancel-passes")
class Shielding(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        selecting = super().select(hop, ctx, network, address, host)
        return await asyncio.shield(asyncio.ensure_future(selecting))


@trial.breaks("calls-apart")
class KeepingTheNodes(RightChainer):
    """Has one list of nodes for all."""

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        self.host = apply(RouteOptions(), *opts).host
        return await super().route(ctx, network, address, *opts)

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await super().select(hop, ctx, network, address, self.host)


@trial.breaks("multiplexing-twice")
class AllBefore(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        host = apply(RouteOptions(), *opts).host
        nodes: list[Node] = []
        before: list[Node] = []
        for hop in self.hops:
            node = await self.select(hop, ctx, network, address, host)
            if node is None:
                break
            transport = node.options().transport
            if transport is not None and transport.multiplex():
                node, nodes = self.cut(node, transport, before), []
            nodes.append(node)
            before = [*before, node]
        return self.made_of(nodes)


@trial.breaks("route-dials")
class RouteIsAList(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        class OnlyNodes(RightRoute):
            async def dial(
                self, ctx: Context, network: str, address: str, /, *opts: DialOption
            ) -> Conn:
                raise UnsupportedError("this route shows its nodes")

        return OnlyNodes(nodes)


@trial.breaks("multiplexing-cuts")
class NeverCutting(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        host = apply(RouteOptions(), *opts).host
        nodes: list[Node] = []
        for hop in self.hops:
            node = await self.select(hop, ctx, network, address, host)
            if node is None:
                break
            nodes.append(node)
        return RightRoute(nodes)


@trial.breaks("multiplexing-copies", history="569572d the route is set on the hop's transport")
class CuttingTheOriginal(RightChainer):
    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        transport.options().route = RightRoute(before)
        return node


@trial.breaks("multiplexing-independent", history="569572d routes overwrite each other")
class OneCopyForAll(RightChainer):
    copies: dict[Node, tuple[Node, Transporter]]

    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.copies = {}

    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        twin, transport = self.copies.setdefault(node, (node.copy(), transport.copy()))
        transport.options().route = RightRoute(before)
        twin.options().transport = transport
        return twin


@trial.breaks("hops-stay-open", history="3cd4fad closing one chain closes a shared hop")
class ClosingItsHops(RightChainer, Closer):
    async def close(self) -> None:
        for hop in self.hops:
            if isinstance(hop, Closer):
                await hop.close()


trial.breaks("failure-over")(stuck(RightChainer, "route"))
trial.breaks("cancelled-at-limit")(timing_out(RightChainer, "route"))


@trial.breaks("cancel-passes")
class EndingAtACancelledHop(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        try:
            return await super().select(hop, ctx, network, address, host)
        except asyncio.CancelledError:
            if hop is self.hops[0]:
                raise
            return None


@trial.breaks("failures-raised")
class TakingTheLastGoodRoute(RightChainer):
    good: Route | None = None

    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        with suppress(TimeoutError):
            self.good = await super().route(ctx, network, address, *opts)
        return self.good


@trial.breaks("asked-anew")
class KeepingTheNodeOfAName(RightChainer):
    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.by_name: dict[str, Node] = {}

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        node = await super().select(hop, ctx, network, address, host)
        return node and self.by_name.setdefault(f"{id(hop)} {node.name}", node)


@trial.breaks("multiplexing-independent")
class KeepingTheCut(RightChainer):
    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.cuts: dict[Node, Node] = {}

    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        if node not in self.cuts:
            self.cuts[node] = super().cut(node, transport, before)
        return self.cuts[node]


class Strict(RightRoute):
    """Marks its chain for a call that its caller gave up."""

    def has_failed_by_time(self, ctx: Context) -> bool:
        if not super().has_failed_by_time(ctx):
            self.mark_chain()
            return False
        return True


@trial.breaks("limit-marks-itself")
class MarkedByCancelling(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        return Strict(nodes, self.own_marker)


@trial.breaks("limit-marks-itself")
class MarkedByItsHop(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        try:
            return await super().select(hop, ctx, network, address, host)
        except OSError:
            self.own_marker.mark()
            raise


@trial.breaks("limit-marks-itself")
class MarkedByACancelledQuestion(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        try:
            return await super().select(hop, ctx, network, address, host)
        except asyncio.CancelledError:
            self.own_marker.mark()
            raise


trial.breaks("many-cancelled")(losing_places(RightChainer, "route", asyncio.CancelledError))


@trial.breaks("multiplexing-independent")
class KnowingWhoMultiplexes(RightChainer):
    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.known = dict[str, bool]()

    def multiplexes(self, node: Node, transport: Transporter) -> bool:
        return self.known.setdefault(node.name, transport.multiplex())


trial.breaks("many-failed")(losing_places(RightChainer, "route", Exception))
trial.breaks("many-waiting")(few_places(RightChainer, "route"))


@trial.breaks("asked-anew")
class KeepingTheCutOfAName(RightChainer):
    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.cuts = dict[tuple[str, ...], Node]()

    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        names = (node.name, *(one.name for one in before))
        if names not in self.cuts:
            self.cuts[names] = super().cut(node, transport, before)
        return self.cuts[names]


@trial.breaks("any-address")
class LoweringPaths(RightChainer):
    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return await super().select(hop, ctx, network, address.lower(), host)


@trial.breaks("asked-anew")
class KeepingThatThereIsNone(RightChainer):
    """Asks a hop no more for a host for which it had no node."""

    def __init__(self, hops: Sequence[Hop]) -> None:
        super().__init__(hops)
        self.without = set[tuple[Hop, str]]()

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        if (hop, host) in self.without:
            return None
        node = await super().select(hop, ctx, network, address, host)
        if node is None:
            self.without.add((hop, host))
        return node


@trial.breaks("failure-frees")
class AskingAllHopsAtOnce(RightChainer):
    async def route(
        self, ctx: Context, network: str, address: str, /, *opts: RouteOption
    ) -> Route | None:
        host = apply(RouteOptions(), *opts).host
        asking = (self.select(hop, ctx, network, address, host) for hop in self.hops)
        chosen = dict(zip(self.hops, await asyncio.gather(*asking), strict=True))
        return await Choosing(chosen, self).route(ctx, network, address, *opts)


class Choosing(RightChainer):
    """Makes a route of what hops have chosen."""

    def __init__(self, chosen: dict[Hop, Node | None], chainer: RightChainer) -> None:
        super().__init__(tuple(chosen))
        self.chosen = chosen
        self.own_marker = chainer.own_marker

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        return self.chosen[hop]


@trial.breaks("marks-itself")
class ResetByAnotherRoute(RightChainer):
    def made_of(self, nodes: list[Node]) -> Route | None:
        if nodes:
            self.own_marker.reset()
        return super().made_of(nodes)


class Forgiving(RightRoute):
    def mark_chain(self) -> None:
        if not isinstance(sys.exception(), PermissionError):
            super().mark_chain()


@trial.breaks("marks-itself")
class UnmarkedByRefusals(RightChainer):
    """Counts no node that refuses the credentials: it has answered, after all."""

    def made_of(self, nodes: list[Node]) -> Route | None:
        return Forgiving(nodes, self.own_marker)


trial.breaks("nothing-kept")(remembering(RightChainer, "route"))
trial.breaks("nothing-kept")(keeping_the_context(RightChainer, "route"))
trial.breaks("nothing-kept")(remembering_each(RightChainer, "route"))


@trial.breaks("probes-go-on")
class ClosingItsNodes(RightChainer):
    """Takes the nodes for its own, once it has copied them."""

    def cut(self, node: Node, transport: Transporter, before: list[Node]) -> Node:
        copied = super().cut(node, transport, before)
        node.close()
        return copied


@trial.breaks("failures-raised")
class EndingWhereMalformed(RightChainer):
    """Takes what is malformed for a hop without a node."""

    async def select(
        self, hop: Hop, ctx: Context, network: str, address: str, host: str
    ) -> Node | None:
        try:
            return await super().select(hop, ctx, network, address, host)
        except ValueError:
            return None
