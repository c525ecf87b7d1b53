"""The contract of routes."""

import asyncio
import copy
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from itertools import product
from typing import Any, Final, TypeAlias

from gost_core.chain import Node, NodeOption, Route, host_mapper_node_option, resolver_node_option
from gost_core.common.net import Conn, Listener, UnsupportedError
from gost_core.connector import BindUnsupportedError
from gost_core.context import Context
from gost_core.keys import SESSION_ID, TIME_LIMIT
from gost_core.resolver import InvalidError
from gost_core.testing._families.asking import Asking, Waits
from gost_core.testing._families.closers import expect_last_words_here
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, may_refuse, raises, start, until, within
from gost_core.testing._stage.fakes.chain import FakeTransporter, proxy
from gost_core.testing._stage.fakes.connections import LayeredConn, Scene
from gost_core.testing._stage.fakes.lookups import FakeHostMapper, FakeResolver
from gost_core.testing._stage.fakes.recorded import Recorded, out_of_reach
from gost_core.testing.chain._shared import (
    SOON,
    TARGET,
    Limited,
    Opening,
    expect_binds,
    expect_carries,
    expect_direct,
    expect_direct_bind,
    expect_nothing_open,
    expect_step_error,
    expect_unconnected,
    interrupted,
    kept,
    names,
    step_error,
    target_of,
)

__all__ = ("RouteContract",)

# One for each step at which a route can fail when the first node is dialed.
_STEPS: Final[tuple[str, ...]] = (
    "the first handshake",
    "connecting to the second node",
    "the second handshake",
    "connecting to the target",
)
_MARKED: Final[tuple[tuple[int, str], ...]] = ((-1, "one"), (0, "one"), (1, "two"), (2, "two"))

# Two of them are equal, and have a connection each all the same.
_DIALS: Final = (("tcp", "0.example:80"), ("udp", "1.example:80"), ("tcp", "0.example:80"))


@dataclass(frozen=True)
class _Two:
    """A route through two nodes, whose transports are the kit's."""

    scene: Scene
    route: Route
    nodes: tuple[Node, Node]
    one: FakeTransporter
    two: FakeTransporter

    def dial(
        self, ctx: Context | None = None, network: str = "tcp", target: str | None = None
    ) -> Awaitable[Conn]:
        """Dial the target."""
        ctx = ctx or Context()
        return self.route.dial(ctx, network, target_of(ctx) if target is None else target)

    def bind(self, ctx: Context | None = None) -> Awaitable[Listener]:
        """Bind at the last node."""
        return self.route.bind(ctx or Context(), "tcp", ":0")

    def step(self, number: int) -> Recorded[Any]:
        """Return the calls of one of :data:`_STEPS`; of number -1 dialing the first node."""
        one, two = self.one, self.two
        steps = one.handshakes, one.connects, two.handshakes, two.connects, two.binds, one.dials
        return steps[number]

    def expect_steps(self, last: str) -> None:
        """Break the clause unless the nodes did their steps in order."""
        expected = [
            "one: dial 192.0.2.1:1080",
            "one: handshake",
            "one: connect tcp 192.0.2.2:1080",
            "two: handshake",
            last,
        ]
        log = self.scene.log
        expect(log == expected, f"the steps were {', '.join(log)}")

    def expect_marks(self, expected: Sequence[str], when: str, *, perhaps: str = "") -> None:
        """Break the clause unless these nodes are marked once, and others but ``perhaps`` not."""
        counts = {one.name: one.marker().count() for one in self.nodes if one.name != perhaps}
        right = {name: int(name in expected) for name in counts}
        expect(counts == right, f"{when}, and the counts of failures are {counts}")


_Uses: TypeAlias = Callable[[_Two, Context | None], Awaitable[object]]
_USES: Final[tuple[_Uses, ...]] = (_Two.dial, _Two.bind)


class RouteContract(Asking, Opening, Limited, interface=Route, first=("outlives",)):
    """What a route promises, over nodes whose transports are the kit's.

    Without nodes it is tried on this host's loopback.
    """

    make: Callable[[Sequence[Node]], Route] = field(kw_only=False)
    """Makes a route through the nodes, in order; direct if there are none."""

    async def _specimen(self) -> Route:
        return self.make(())

    def _two(self, second_addr: str = "192.0.2.2:1080", *opts: NodeOption) -> _Two:
        scene = Scene()
        first, one = proxy(scene, "one", "192.0.2.1:1080")
        second, two = proxy(scene, "two", second_addr, *opts)
        nodes = (first, second)
        return _Two(scene, self.make(nodes), nodes, one, two)

    def _opening(self, ctx: Context, network: str = "tcp") -> tuple[Awaitable[Conn], Scene]:
        known = FakeResolver({"two.example": [ip_address("192.0.2.2")]})
        two = self._two("two.example:1080", resolver_node_option(known))
        return two.dial(ctx, network), two.scene

    def _binding(self, ctx: Context) -> tuple[Awaitable[Listener], Scene]:
        two = self._two()
        return two.bind(ctx), two.scene

    @clause("nodes() returns the nodes in order.", "D36")
    async def nodes(self) -> None:
        found = names(self._two().route)
        expect(found == ["one", "two"], f"the nodes are one, two, and nodes() has {found}")
        none = self.make(()).nodes()
        expect(len(none) == 0, f"a route without nodes has {none!r}")

    # ---- The steps

    @clause(
        "The steps of a dial: the first node is dialed, and each further one reached by tcp "
        "through the one before, after its handshake; the last one connects to the target.",
        "D31, D11",
        after=("outlives",),
    )
    async def dial_order(self) -> None:
        # Without an address it gives a PacketConn that is not connected, by the same way.
        for target in (TARGET, ""):
            two = self._two()
            conn = await within(kept(two.dial(network="udp", target=target)), "dial()")
            two.expect_steps(f"two: connect udp {target}")
            await expect_carries(conn, two.scene.far_ends[0], "the result of dial()")

    @clause("The steps of a bind are those of a dial, and the last node binds.", "D31")
    async def bind_order(self) -> None:
        for network in ("tcp", "udp"):
            two = self._two()
            await within(two.route.bind(Context(), network, ":0"), "bind()")
            two.expect_steps(f"two: bind {network} :0")

    @clause(
        "The last node is given network, address and options of the bind, and of no other.",
        "D22, D35",
        after=("bind_order", "context_handed_on"),
    )
    async def bind_options(self) -> None:
        two = self._two()
        await expect_binds(two.route.bind, two.two.binds)

    @clause(
        "Dials and binds change no options of the nodes and their transports.",
        "D23, D41",
        after=("dial_order", "bind_order"),
    )
    async def options_unchanged(self) -> None:
        two = self._two()
        lent = (*two.nodes, two.one, two.two)
        before = [copy.copy(one.options()) for one in lent]
        for using in (_Two.dial, _Two.bind):
            await within(using(two), "the call")
            after = [one.options() for one in lent]
            expect(after == before, f"options were {before}, and are {after}")

    @clause(
        "A node's own host mapper and resolver tell its address, anew for each dial and bind.",
        "D39, D42",
        after=("dial_order",),
    )
    async def nodes_resolved(self) -> None:
        scene, found = Scene(), dict[str, Sequence[Any]]()
        found["three.example"] = [ip_address("192.0.2.3")]
        by_mapper = host_mapper_node_option(FakeHostMapper(found))
        by_resolver = resolver_node_option(FakeResolver(found))
        one, _ = proxy(scene, "one", "one.example:1080", by_mapper)
        two, _ = proxy(scene, "two", "two.example:1080", by_resolver)
        # Has none of its own.
        three, _ = proxy(scene, "three", "three.example:1080")
        route = self.make((one, two, three))
        for now, using in enumerate((route.dial, route.bind, route.dial), 1):
            found["one.example"] = [ip_address(f"192.0.2.{now}")]
            found["two.example"] = [ip_address(f"2001:db8::{now}")]
            scene.log.clear()
            await within(using(Context(), "tcp", TARGET), "the call")
            expected = [f"192.0.2.{now}:1080", f"[2001:db8::{now}]:1080", "three.example:1080"]
            reached = [step.rpartition(" ")[2] for step in scene.log[:6:2]]
            expect(reached == expected, f"the steps were {scene.log}")

    @clause(
        "A node's name without address is a gaierror, and one of an InvalidError stays.",
        "D39",
        after=("nodes_resolved", "failures_raised"),
    )
    async def nodes_unresolved(self) -> None:
        for error in (None, InvalidError("not here")):
            scene, known = Scene(), FakeResolver({})
            known.asked.fail(*[error] if error else [])
            one, _ = proxy(scene, "one", "one.example:1080", resolver_node_option(known))
            call = self.make((one,)).dial(Context(), "tcp", TARGET)
            if error is None:
                await raises(call, "a dial by a node without address", socket.gaierror)
            else:
                await within(call, "dial()")
            right = [] if error is None else ["one: dial one.example:1080"]
            expect(scene.log[:1] == right, f"the resolver raised {error}, then came {scene.log}")

    @clause("A node's lookups are asked by the bare host.", "D12, D39", after=("nodes_resolved",))
    async def nodes_question(self) -> None:
        scene, host = Scene(), "2001:db8::1"
        mapper, known = FakeHostMapper({}), FakeResolver({host: [ip_address(host)]})
        lookups = host_mapper_node_option(mapper), resolver_node_option(known)
        one, _ = proxy(scene, "one", f"[{host}]:1080", *lookups)
        with suppress(OSError):
            await within(self.make((one,)).dial(Context(), "tcp", TARGET), "dial()")
        # A literal needs no question.
        asked = {name for _, name in (*mapper.asked, *known.asked)}
        expect(asked <= {host}, f"the lookups of a node at [{host}]:1080 were asked for {asked}")
        expect(scene.log[:1] == [f"one: dial [{host}]:1080"], f"the steps were {scene.log}")

    def _waits(self) -> Waits:
        for step, what in (*enumerate(_STEPS), (-1, "dialing the first node")):
            two = self._two()
            yield what, two.step(step), two.dial
        two = self._two()
        yield "binding at the last node", two.two.binds, two.bind
        found = {"one.example": [ip_address("192.0.2.1")]}
        mapper, known = FakeHostMapper(found), FakeResolver(found)
        yield "the mapper of a node", mapper.asked, self._by(host_mapper_node_option(mapper))
        yield "the resolver of a node", known.asked, self._by(resolver_node_option(known))

    def _by(self, lookup: NodeOption) -> Callable[[Context], Awaitable[Conn]]:
        route = self.make((proxy(Scene(), "one", "one.example:80", lookup)[0],))
        return lambda ctx: route.dial(ctx, "tcp", target_of(ctx))

    async def _expect_apart(self) -> None:
        two, told = self._two(), _DIALS
        ctxs = [Context().with_value(SESSION_ID, str(n)) for n in range(len(told))]
        calls = (two.dial(ctx, *one) for ctx, one in zip(ctxs, told, strict=True))
        conns = await within(asyncio.gather(*calls), "several dials at once")
        dialed = {call.ctx.value(SESSION_ID): n for n, call in enumerate(two.one.dials)}
        expect(len(dialed) == len(told), f"{len(told)} dials at once made {len(dialed)}")
        far_ends = [two.scene.far_ends[dialed[str(n)]] for n in range(len(told))]
        for conn, far in zip(conns, far_ends, strict=True):
            await expect_carries(conn, far, "one of several connections")
        for call in two.two.connects:
            number = call.ctx.value(SESSION_ID) or ""
            asked = call.network, call.address
            expect(asked == told[int(number)], f"of dials to {told} one had the node reach {asked}")
            beneath = call.conn
            while isinstance(beneath, LayeredConn):
                beneath = beneath.inner
            right = two.scene.bottoms[dialed[number]]
            expect(beneath is right, f"the way to {asked} went by another dial's connection")
        await within(conns[0].close(), "close() of the first connection")
        await expect_carries(conns[1], far_ends[1], "the second of several connections")

    # ---- When a step fails

    @clause(
        "When the first handshake fails, what was dialed is closed, and a call "
        "that is cancelled then ends so.",
        "D3, D14",
        after=("cancel_closes",),
    )
    async def first_handshake_failure_closes(self) -> None:
        await self._expect_failure_closes(0)

    @clause(
        "When connecting to a later node fails, everything before it is closed, and a call "
        "that is cancelled then ends so.",
        "D3, D14",
        after=("cancel_closes",),
    )
    async def hop_failure_closes(self) -> None:
        await self._expect_failure_closes(1)

    @clause(
        "When a later handshake fails, everything before it is closed, and a call "
        "that is cancelled then ends so.",
        "D3, D14",
        after=("cancel_closes",),
    )
    async def later_handshake_failure_closes(self) -> None:
        await self._expect_failure_closes(2)

    @clause(
        "When connecting to the target fails, everything is closed, and a call "
        "that is cancelled then ends so.",
        "D3, D14",
        after=("cancel_closes",),
    )
    async def target_failure_closes(self) -> None:
        await self._expect_failure_closes(3)

    async def _expect_failure_closes(self, step: int) -> None:
        for error in (step_error(), ValueError("malformed")):
            two = self._two()
            two.step(step).fail_always(error)
            await raises(two.dial(), "the dial", Exception)
            expect_nothing_open(two.scene, f"{_STEPS[step]} failed by {error!r}")

        def fail(ctx: Context) -> tuple[Awaitable[Conn], Scene]:
            two = self._two()
            two.step(step).fail_always(step_error())
            return two.dial(ctx), two.scene

        await self._expect_freed(fail)

    @clause("When binding at the last node fails, everything is closed.", "D3")
    async def bind_failure_closes(self) -> None:
        for error in (step_error(), ValueError("malformed"), BindUnsupportedError("not here")):
            two = self._two()
            two.two.binds.fail_always(error)
            await raises(two.bind(), "the bind", Exception)
            expect_nothing_open(two.scene, f"binding at the last node failed by {error!r}")

    @clause(
        "When a later node's name does not resolve, everything before it is closed.",
        "D3",
        after=("nodes_unresolved",),
    )
    async def resolve_failure_closes(self) -> None:
        for error in (step_error(), ValueError("malformed"), None):
            known = FakeResolver({})
            known.asked.fail(*[error] if error else [])
            two = self._two("two.example:1080", resolver_node_option(known))
            await raises(two.dial(), "the dial", Exception)
            expect_nothing_open(two.scene, f"the second node's resolver failed by {error!r}")

    @clause("Errors of a step come through as they were raised.", "D14, D15")
    async def errors_pass(self) -> None:
        for step, what in enumerate(_STEPS):
            for error in (step_error(), ValueError("malformed")):
                two = self._two()
                two.step(step).fail_always(error)
                await expect_step_error(two.dial(), f"a dial where {what} fails", error)

    @clause("A node that cannot bind raises BindUnsupportedError.", "D16", after=("bind_order",))
    async def bind_unsupported(self) -> None:
        two = self._two()
        two.two.binds.fail_always(BindUnsupportedError("this node cannot bind"))
        await raises(two.bind(), "bind() at a node that cannot", BindUnsupportedError)

    # ---- Marks

    @clause(
        "A node that cannot be dialed or reached, or whose handshake fails, is marked, "
        "and no other is.",
        "D43",
        after=("failure_over",),
    )
    async def failure_marks(self) -> None:
        for step, marked in _MARKED:
            for using in (_Two.dial, _Two.bind):
                two = self._two()
                two.step(step).fail_always(step_error())
                await raises(using(two), "the call", Exception)
                two.expect_marks([marked], f"{(*_STEPS, 'dialing the first node')[step]} failed")
                two.step(step).fail_always(PermissionError("the node refuses"))
                await raises(using(two), "a second call", Exception)
                count = max(node.marker().count() for node in two.nodes)
                expect(count == 2, f"a node failed twice, and counts {count}")

    @clause(
        "A call that fails marks its own node, whatever other calls do meanwhile.",
        "D22, D43",
        after=("failure_marks", "success_resets", "concurrent"),
    )
    async def marks_apart(self) -> None:
        for step, marked in _MARKED:
            for using in (_Two.dial, _Two.bind):
                two, over = self._two(), asyncio.Event()
                calls = two.step(step)
                calls.meanwhile = over.wait
                failing = start(using(two))
                await until(lambda: bool(calls), "the step was not begun")  # noqa: B023
                calls.meanwhile = None
                await within(using(two), "a call beside one that waits")
                calls.fail(step_error())
                over.set()
                await raises(failing, "a call whose step fails after that", Exception)
                two.expect_marks([marked], "a call failed, beside one that went well")

    @clause("The notes of a failure name the node.", "D74", after=("failure_marks",))
    async def failure_notes(self) -> None:
        for (step, marked), using in product(_MARKED, _USES):
            two = self._two()
            two.step(step).fail_always(step_error())
            try:
                await within(using(two, None), "the call")
            except OSError as error:
                notes: list[str] = getattr(error, "__notes__", [])
                named = any(marked in note for note in notes)
                expect(named, f"node {marked!r} failed, and the notes are {notes}")

    async def _interrupted(
        self, using: _Uses, step: int, seconds: float | None, *before: str, by_limit: bool = False
    ) -> _Two:
        """Interrupt a call at a step, where these nodes were marked before."""

        def make() -> tuple[_Two, Callable[[Context], Awaitable[object]], Recorded[Any]]:
            two = self._two()
            for node in two.nodes:
                node.marker().mark() if node.name in before else None
            return two, partial(using, two), two.step(step)

        return await interrupted(make, seconds, by_limit=by_limit)

    @clause(
        "A node that is silent until the TIME_LIMIT is marked, and no other is; a target that is "
        "silent marks nobody.",
        "D43, D69",
        after=("failure_marks", "target_marks_nobody"),
    )
    async def limit_marks(self) -> None:
        for using, (step, marked) in (*product(_USES, _MARKED), (_Two.dial, (3, ""))):
            two = await self._interrupted(using, step, SOON, by_limit=True)
            two.expect_marks(marked.split(), "a step was cancelled when the TIME_LIMIT was over")

    @clause(
        "A call that is cancelled before its TIME_LIMIT, or without one, leaves all marks as they "
        "are.",
        "D43, D69",
        after=("failure_marks",),
    )
    async def cancel_marks_nobody(self) -> None:
        for using, (step, reached) in product(_USES, _MARKED):
            for seconds, before in product((None, 3600.0), ([], [reached])):
                two = await self._interrupted(using, step, seconds, *before)
                when = f"a call was cancelled by its caller, {before} were marked before"
                two.expect_marks(before, when)

    @clause(
        "When the TIME_LIMIT passes on the way, no further step is begun: that is a TimeoutError, "
        "everything is closed, and nobody is marked.",
        "D69",
        after=(
            "limit_passed",
            "first_handshake_failure_closes",
            "resolve_failure_closes",
            "later_handshake_failure_closes",
            "target_failure_closes",
            "bind_failure_closes",
            "target_marks_nobody",
            "context_handed_on",
        ),
    )
    async def limit_passes(self) -> None:
        loop = asyncio.get_running_loop()
        for step, what in (*enumerate(_STEPS), (4, "binding")):
            two, limit = self._two(), loop.time() + SOON
            before, using = two.step(min(step, 3) - 1), two.bind if step == 4 else two.dial
            # A little more: a timer may be early.
            before.meanwhile = lambda: asyncio.sleep(limit + 0.01 - loop.time())  # noqa: B023
            call = using(Context().with_value(TIME_LIMIT, limit))
            await raises(call, f"a call whose TIME_LIMIT passes before {what}", TimeoutError)
            expect(not two.step(step), f"the TIME_LIMIT had passed, and {what} was begun")
            cut = _MARKED[min(step, 3)][1] if before.cancelled else ""
            two.expect_marks([], f"the TIME_LIMIT passed before {what}", perhaps=cut)
            expect_nothing_open(two.scene, f"the TIME_LIMIT passed before {what}")

    def _limited(self, ctx: Context) -> Iterator[tuple[Awaitable[object], Recorded[Any]]]:
        for using in (_Two.dial, _Two.bind):
            two = self._two()
            yield using(two, ctx), two.one.dials

    @clause("The nodes that worked are reset.", "D43", after=("dial_order",))
    async def success_resets(self) -> None:
        for using in (_Two.dial, _Two.bind):
            two = self._two()
            for node in two.nodes:
                node.marker().mark()
            await within(using(two), "the call")
            two.expect_marks([], "all worked")

    @clause("A target that cannot be reached marks nobody.", "D43")
    async def target_marks_nobody(self) -> None:
        two = self._two()
        two.two.binds.fail_always(ConnectionRefusedError(TARGET))
        await raises(two.bind(), "the bind", Exception)
        for error in (*out_of_reach(TARGET), PermissionError(TARGET)):
            two.two.connects.fail_always(error)
            await raises(two.dial(), "the dial", Exception)
            two.expect_marks([], f"a bind was refused, and a target was out of reach by {error!r}")

    # ---- Without nodes

    @clause("A route without nodes dials from this host.", "D36")
    async def direct_dial(self) -> None:
        await expect_direct(self.make(()).dial)

    @clause(
        "Without nodes, what write() took arrives at a peer that sends on, though close() follows.",
        "D8",
        after=("direct_dial",),
    )
    async def direct_last_words(self) -> None:
        await expect_last_words_here(partial(self.make(()).dial, Context(), "tcp"))

    @clause(
        "Without nodes, udp without an address gives an unconnected PacketConn.",
        "D9",
        after=("direct_dial", "direct_unsupported"),
    )
    async def direct_packets(self) -> None:
        with may_refuse(UnsupportedError):
            conn = await within(kept(self.make(()).dial(Context(), "udp", "")), "dial()")
        await expect_unconnected(conn)

    @clause("A route without nodes binds on this host.", "D36, D35")
    async def direct_bind(self) -> None:
        await expect_direct_bind(self.make(()).bind)

    @clause(
        "Without nodes, a call after the TIME_LIMIT is a TimeoutError too.",
        "D69",
        after=("direct_dial", "direct_bind", "limit_passed"),
    )
    async def direct_limit(self) -> None:
        ctx = Context().with_value(TIME_LIMIT, asyncio.get_running_loop().time() - 1.0)
        what = "a direct call whose TIME_LIMIT has passed"
        await raises(kept(self.make(()).dial(ctx, "tcp", "127.0.0.1:1")), what, TimeoutError)
        await raises(kept(self.make(()).bind(ctx, "tcp", "127.0.0.1:0")), what, TimeoutError)

    @clause("Without nodes, dialing an address without a host raises ValueError.", "D12")
    async def direct_empty_host(self) -> None:
        call = kept(self.make(()).dial(Context(), "tcp", ":80"))
        await raises(call, "dialing ':80'", ValueError)

    @clause("Without nodes, a network that is not offered raises UnsupportedError.", "D15")
    async def direct_unsupported(self) -> None:
        call = kept(self.make(()).dial(Context(), "semaphore", "192.0.2.1:1"))
        await raises(call, "dialing the network 'semaphore'", UnsupportedError)
