"""The contract of chainers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import field
from functools import partial
from typing import Any

from gost_core.chain import Chainer, Node, Route, with_host_route_option
from gost_core.common.net import Closer, Conn, DeniedError
from gost_core.context import Context
from gost_core.hop import Hop, SelectOption, SelectOptions
from gost_core.options import apply
from gost_core.selector import Markable
from gost_core.testing._families.asking import APART, Asking, Waits
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    applies,
    expect,
    expect_cancelled,
    leaving_no_task,
    raises,
    returned,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeHop, proxy
from gost_core.testing._stage.fakes.connections import Scene
from gost_core.testing._stage.fakes.recorded import Recorded
from gost_core.testing._stage.streams import begin
from gost_core.testing.chain._shared import (
    NAME,
    RESOLVED,
    SOON,
    TARGET,
    interrupted,
    names,
    node,
    step_error,
    target_of,
)

__all__ = ("ChainerContract",)


class _ByNetwork(FakeHop):
    """A hop that chooses another node for each network."""

    async def select(self, ctx: Context, /, *opts: SelectOption) -> Node | None:
        """Choose a node."""
        await super().select(ctx, *opts)
        return node(Scene(), apply(SelectOptions(), *opts).network)


class ChainerContract(Asking, interface=Chainer, first=("nodes_of_hops",)):
    """What a chainer promises that makes its routes from hops."""

    make: Callable[[Sequence[Hop]], Chainer] = field(kw_only=False)
    """Makes a chainer over the hops, in order; they are lent to it."""

    async def _specimen(self) -> Chainer:
        return self.make(())

    async def _route(self, *hops: Hop) -> Route | None:
        """Make a chainer over hops, and ask it for a route."""
        return await self._asked(self.make(hops))

    async def _asked(self, chainer: Chainer) -> Route | None:
        return await within(chainer.route(Context(), "tcp", TARGET), "route()")

    @clause("The route goes through a node of each hop, in order.", "D40")
    async def nodes_of_hops(self) -> None:
        scene = Scene()
        found = names(await self._route(FakeHop(node(scene, "one")), FakeHop(node(scene, "two"))))
        expect(found == ["one", "two"], f"the hops chose one and two, and the route has {found}")

    @clause("Where a hop chooses None, the chain ends, and later hops are left out.", "D40")
    async def none_ends(self) -> None:
        scene = Scene()
        hops = FakeHop(node(scene, "one")), FakeHop(None), FakeHop(node(scene, "three"))
        found = names(await self._route(*hops))
        expect(found == ["one"], f"the second hop chose None, and the route has {found}")

    @clause(
        "Without hops, and when the first chooses None, the route is None or has no nodes.", "D36"
    )
    async def none_direct(self) -> None:
        for hops in ((), (FakeHop(None), FakeHop(node(Scene(), "two")))):
            found = names(await self._route(*hops))
            expect(found == [], f"there is no first node, and the route has {found}")

    @clause(
        "What a hop raises comes through; it never becomes a route or None.",
        "D36",
        after=("asked_anew", "failures_raised"),
    )
    async def errors_pass(self) -> None:
        scene = Scene()
        failing = FakeHop(node(scene, "two"))
        chainer = self.make((FakeHop(node(scene, "one")), failing))
        for error in (DeniedError("by rule"), TimeoutError("silent"), OSError(), KeyError("x")):
            await self._asked(chainer)
            failing.asked.fail(error)
            call = chainer.route(Context(), "tcp", TARGET)
            await raises(call, f"route() over a hop that raises {error!r}", type(error))

    @clause(
        "A hop that fails, beside one that is silent, leaves nothing that still asks it.",
        "D20",
        after=("failures_raised", "failure_over"),
    )
    async def failure_frees(self) -> None:
        failing, silent = FakeHop(None), FakeHop(None)
        failing.asked.fail(step_error())
        silent.asked.hang(1)
        asked = leaving_no_task(self._asked(self.make((failing, silent))), "route() over both")
        asking = await begin(asked)
        # It may ask both at once, and wait for both.
        with suppress(OSError, asyncio.InvalidStateError):
            asking.result()

    @clause("Each hop is told the network, the address and the host of the request.", "D37")
    async def request_handed_on(self) -> None:
        scene = Scene()
        hops = FakeHop(node(scene, "one")), FakeHop(node(scene, "two"))
        host = with_host_route_option(NAME)
        await within(self.make(hops).route(Context(), "udp", RESOLVED, host), "route()")
        for hop in hops:
            options = hop.asked[0].options
            told = (options.network, options.addr, options.host)
            expect(told == ("udp", RESOLVED, NAME), f"a hop was told {told}")

    @clause("Any address is accepted: an empty one, a path, a name.", "D12, D37")
    async def any_address(self) -> None:
        for network, address in (("udp", ""), ("unix", "/run/Some.socket"), ("serial", "COM1")):
            hop = FakeHop(node(Scene(), "one"))
            call = self.make((hop,)).route(Context(), network, address)
            found = names(await within(call, f"route({network!r}, {address!r})"))
            expect(found == ["one"], f"for {network!r}, {address!r} the route has {found}")
            told = hop.asked[0].options.addr
            expect(told == address, f"for {network!r}, {address!r} the hop was told {told!r}")

    @clause("Hops are asked anew for each request.", "D40", after=("nodes_of_hops", "none_direct"))
    async def asked_anew(self) -> None:
        hop = FakeHop(None)
        chainer = self.make((hop,))
        # Nodes of one name are several.
        for name in ("one", "other", "", "one", "multiplexing", "multiplexing"):
            made, _ = proxy(Scene(), name, RESOLVED, multiplexes=name == "multiplexing")
            hop.node = chosen = made if name else None
            # No node for a host is for this time alone.
            host = f"{name or 'one'}.example"
            call = chainer.route(Context(), "tcp", TARGET, with_host_route_option(host))
            route = await within(call, "route()")
            # It may be a copy, which has the marker of its original.
            found = [] if route is None else [one.marker() for one in route.nodes()]
            right = [chosen.marker()] if chosen else []
            expect(found == right, f"the hop now chooses {chosen}, and the route has {route}")
            told = hop.asked[-1].options.host
            expect(told == host, f"for {host} the hop was told {told!r}")

    def _waits(self) -> Waits:
        for position in (0, 1):
            hops = FakeHop(node(Scene(), "one")), FakeHop(node(Scene(), "two"))
            asked, route = hops[position].asked, self.make(hops).route
            yield f"hop {position}", asked, lambda ctx: route(ctx, "tcp", target_of(ctx))  # noqa: B023

    async def _expect_apart(self) -> None:
        hops = _ByNetwork(None), _ByNetwork(None)
        chainer = self.make(hops)
        calls = (
            chainer.route(Context(), network, addr, with_host_route_option(host))
            for network, addr, host in APART
        )
        routes = await within(asyncio.gather(*calls), "several calls at once")
        for (network, _, _), route in zip(APART, routes, strict=True):
            expect(names(route) == [network] * 2, f"for {network} the route has {names(route)}")
        for hop in hops:
            told = {(one.options.network, one.options.addr, one.options.host) for one in hop.asked}
            expect(told == {*APART}, f"of requests {APART} a hop was told {told}")

    @clause(
        "If it is Markable, its routes mark it when a dial or bind fails at one of their nodes, "
        "and reset it after a success.",
        "D70",
        after=("route_dials", "multiplexing_cuts"),
    )
    async def marks_itself(self) -> None:
        for multiplexes in (False, True):
            two, step = proxy(Scene(), "two", "192.0.2.2:1080", multiplexes=multiplexes)
            chainer = self.make((FakeHop(node(Scene(), "one")), FakeHop(two)))
            marker = chainer.marker() if isinstance(chainer, Markable) else None
            applies(marker is not None, "it is not Markable")
            marker = returned(marker, "marker()")
            for binds in (False, True):
                for fails in (True, False, None):
                    error = PermissionError("the node refuses") if binds else step_error()
                    step.handshakes.fail(*[error] * (fails is True))
                    calls = step.binds if binds else step.connects
                    calls.fail(*[ConnectionRefusedError("by the target")] * (fails is None))
                    route = returned(await self._asked(chainer), "route()")
                    using = route.bind if binds else route.dial
                    with suppress(OSError):
                        await within(using(Context(), "tcp", TARGET), "using the route")
                    # Another route is no success.
                    await self._asked(chainer)
                    count = marker.count()
                    what = {True: "failed at a node", False: "went well", None: "was refused"}
                    expect(
                        (count > 0) == (fails is True),
                        f"what was asked of the route {what[fails]}, and the chain counts {count}",
                    )

    @clause(
        "If it is Markable, a call that ends at its TIME_LIMIT marks it; one that is cancelled "
        "before, or a hop that fails, marks it not.",
        "D43, D69, D70",
        after=("marks_itself", "errors_pass", "failure_over", "cancel_passes"),
    )
    async def limit_marks_itself(self) -> None:
        hop = FakeHop(None)
        chainer = self.make((hop,))
        marker = chainer.marker() if isinstance(chainer, Markable) else None
        applies(marker is not None, "it is not Markable")
        marker = returned(marker, "marker()")
        hop.asked.fail(step_error())
        await raises(self._asked(chainer), "route() over a hop that fails", OSError)
        hop.asked.hang(1)
        await expect_cancelled(await begin(self._asked(chainer)), "route()")
        expect(marker.count() == 0, "route() failed or was cancelled, and the chain was marked")
        for by_limit, seconds in ((False, 3600.0), (True, SOON)):
            hop.node, step = proxy(Scene(), "one", RESOLVED)
            route = returned(await self._asked(chainer), "route()")

            def make() -> tuple[None, Callable[[Context], Awaitable[Conn]], Recorded[Any]]:
                return None, lambda ctx: route.dial(ctx, "tcp", TARGET), step.handshakes  # noqa: B023

            await interrupted(make, seconds, by_limit=by_limit)
            count = marker.count()
            expect(
                (count > 0) == by_limit,
                f"a call was cancelled {seconds:g} s before its limit, and it counts {count}",
            )

    @clause("The route dials through its nodes.", "D31", after=("nodes_of_hops",))
    async def route_dials(self) -> None:
        scene = Scene()
        route = await self._route(FakeHop(node(scene, "one")), FakeHop(node(scene, "two")))
        await within(returned(route, "route()").dial(Context(), "tcp", TARGET), "dial()")
        expect(scene.log[-1:] == [f"two: connect tcp {TARGET}"], f"the steps were {scene.log}")

    # ---- Multiplexing nodes

    @clause(
        "Where two nodes multiplex, the route to each begins at the one before.",
        "D34",
        after=("multiplexing_cuts",),
    )
    async def multiplexing_twice(self) -> None:
        multiplexing = ("first", "third", "last")
        order = ("first", "second", "third", "fourth", "last")
        hops = (
            FakeHop(proxy(Scene(), name, RESOLVED, multiplexes=name in multiplexing)[0])
            for name in order
        )
        route = await self._route(*hops)
        ways: list[list[str]] = []
        while found := names(route):
            ways.append(found)
            transport = returned(route, "route()").nodes()[0].options().transport
            route = None if transport is None else transport.options().route
        right = [["last"], ["third", "fourth"], ["first", "second"]]
        expect(ways == right, f"of {order}, {multiplexing} multiplex, and the ways are {ways}")

    def _multiplexing(self) -> tuple[FakeHop, FakeHop, FakeHop]:
        """Return hops of which the second chooses a multiplexing node."""
        scene = Scene()
        two, _ = proxy(scene, "two", "192.0.2.2:1080", multiplexes=True)
        return FakeHop(node(scene, "one")), FakeHop(two), FakeHop(node(scene, "three"))

    @clause(
        "At a multiplexing node the route is cut: it begins there, and the nodes before are in "
        "the route of that node's transport.",
        "D34",
        after=("nodes_of_hops",),
    )
    async def multiplexing_cuts(self) -> None:
        route = await self._route(*self._multiplexing())
        found = names(route)
        expect(found == ["two", "three"], f"two multiplexes, and the route has {found}")
        before = _names_before(route)
        expect(before == ["one"], f"the way to two is one, and its transport has {before}")

    @clause(
        "The hop's own node and transport stay as they are: the route has copies.",
        "D41, D42",
        after=("multiplexing_cuts",),
    )
    async def multiplexing_copies(self) -> None:
        hops = self._multiplexing()
        own = hops[1].node
        original = None if own is None else own.options().transport
        first = await self._route(*hops)
        own, original = returned(own, "the hop"), returned(original, "transport")
        first = returned(first, "route()")
        expect(original.options().route is None, "the route was set on the hop's own transport")
        expect(own.options().transport is original, "the hop's own node got another transport")
        expect(first.nodes()[0].marker() is own.marker(), "the copy has a marker of its own")

    @clause("No probe of a hop's node is stopped.", "D19", after=("multiplexing_cuts",))
    async def probes_go_on(self) -> None:
        hops, stopped = self._multiplexing(), list[str]()
        for hop in hops:
            own = returned(hop.node, "the hop")
            own.set_probe_cancel(partial(stopped.append, own.name))
        await self._route(*hops)
        expect(not stopped, f"the probes of {stopped} were stopped")

    @clause(
        "Each route keeps its own way, whatever way other requests get.",
        "D42",
        after=("multiplexing_copies", "asked_anew"),
    )
    async def multiplexing_independent(self) -> None:
        hops = self._multiplexing()
        chainer = self.make(hops)
        first = await self._asked(chainer)
        hops[0].node = node(Scene(), "other")
        second = await self._asked(chainer)
        before = _names_before(first), _names_before(second)
        expect(before == (["one"], ["other"]), f"the ways of two requests go by {before}")
        hops[1].node = node(Scene(), "two")
        found = names(await self._asked(chainer))
        whole = ["other", "two", "three"]
        expect(found == whole, f"the node two multiplexes no more, and the route has {found}")

    @clause("Closing it leaves the hops open that it was lent.", "D19")
    async def hops_stay_open(self) -> None:
        hop = FakeHop(node(Scene(), "one"))
        chainer = self.make((hop,))
        if isinstance(chainer, Closer):
            await within(chainer.close(), "close()")
        expect(not hop.closed, "close() closed a hop that others use too")


def _names_before(route: Route | None, /) -> list[str]:
    """Return the names of the nodes through which a route's first node is reached."""
    transport = None if route is None else route.nodes()[0].options().transport
    return names(None if transport is None else transport.options().route)
