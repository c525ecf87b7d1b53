"""The contract of routes."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from gost_core.chain import (
    Node,
    Route,
    backlog_bind_option,
    host_mapper_node_option,
    mux_bind_option,
    resolver_node_option,
)
from gost_core.common.net import Conn, Listener, UnsupportedError
from gost_core.connector import BindUnsupportedError
from gost_core.context import Context
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, expect_cancelled, given, raises, start, within
from gost_core.testing._stage.fakes.chain import FakeTransporter, proxy
from gost_core.testing._stage.fakes.connections import Scene
from gost_core.testing._stage.fakes.lookups import FakeHostMapper, FakeResolver
from gost_core.testing._stage.fakes.recorded import Call, Recorded
from gost_core.testing.chain._shared import (
    TARGET,
    Connecting,
    expect_carries,
    expect_context,
    expect_direct,
    expect_nothing_open,
    expect_step_error,
    kept,
    names,
    request,
    step_error,
)

__all__ = ("RouteContract",)

# One for each step at which a route can fail when the first node is dialed.
_STEPS: Final[tuple[str, ...]] = (
    "the first handshake",
    "connecting to the second node",
    "the second handshake",
    "connecting to the target",
)


@dataclass(frozen=True)
class _Two:
    """A route through two nodes, whose transports are the kit's."""

    scene: Scene
    route: Route
    nodes: tuple[Node, Node]
    one: FakeTransporter
    two: FakeTransporter

    def dial(self, ctx: Context | None = None, network: str = "tcp") -> Awaitable[Conn]:
        """Dial the target."""
        return self.route.dial(ctx or Context(), network, TARGET)

    def bind(self) -> Awaitable[Listener]:
        """Bind at the last node."""
        return self.route.bind(Context(), "tcp", ":0")

    def step(self, number: int) -> Recorded[Call[None]]:
        """Return the calls of one of :data:`_STEPS`."""
        one, two = self.one, self.two
        return (one.handshakes, one.connects, two.handshakes, two.connects)[number]

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

    def expect_marks(self, expected: Sequence[str], when: str) -> None:
        """Break the clause unless these nodes are marked once, and no others."""
        counts = {node.name: node.marker().count() for node in self.nodes}
        right = {node.name: int(node.name in expected) for node in self.nodes}
        expect(counts == right, f"{when}, and the counts of failures are {counts}")


class RouteContract(Connecting, interface=Route):
    """What a route promises, over nodes whose transports are the kit's.

    Without nodes it is tried on this host's loopback.
    """

    make: Callable[[Sequence[Node]], Route] = field(kw_only=False)
    """Makes a route through the nodes, in order; direct if there are none."""

    async def _specimen(self) -> Route:
        return self.make(())

    def _two(self) -> _Two:
        scene = Scene()
        first, one = proxy(scene, "one", "192.0.2.1:1080")
        second, two = proxy(scene, "two", "192.0.2.2:1080")
        nodes = (first, second)
        return _Two(scene, self.make(nodes), nodes, one, two)

    def _opening(self) -> tuple[Awaitable[Conn], Scene]:
        two = self._two()
        return two.dial(), two.scene

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
        two = self._two()
        conn = await within(two.dial(network="udp"), "dial()")
        two.expect_steps(f"two: connect udp {TARGET}")
        await expect_carries(conn, two.scene.far_ends[0], "the result of dial()")

    @clause("The steps of a bind are those of a dial, and the last node binds.", "D31")
    async def bind_order(self) -> None:
        two = self._two()
        await within(two.bind(), "bind()")
        two.expect_steps("two: bind tcp :0")

    @clause("The last node is given the options of the bind.", "D35", after=("bind_order",))
    async def bind_options(self) -> None:
        two = self._two()
        opts = mux_bind_option(True), backlog_bind_option(7)
        await within(two.route.bind(Context(), "tcp", ":0", *opts), "bind()")
        options = two.two.binds[0].options
        expect(options.mux, "mux was True, and the node was told False")
        expect(options.backlog == 7, f"backlog was 7, and the node was told {options.backlog}")

    @clause(
        "A node's own host mapper and resolver tell its address.", "D39, D42", after=("dial_order",)
    )
    async def nodes_resolved(self) -> None:
        scene = Scene()
        mapped = FakeHostMapper({"one.example": [ip_address("192.0.2.1")]})
        known = FakeResolver({"two.example": [ip_address("2001:db8::2")]})
        one, _ = proxy(scene, "one", "one.example:1080", host_mapper_node_option(mapped))
        two, _ = proxy(scene, "two", "two.example:1080", resolver_node_option(known))
        await within(self.make((one, two)).dial(Context(), "tcp", TARGET), "dial()")
        expected = ["one: dial 192.0.2.1:1080", "one: connect tcp [2001:db8::2]:1080"]
        expect([scene.log[0], scene.log[2]] == expected, f"the steps were {scene.log}")

    @clause("Every step is given the values of the request.", "D28", after=("dial_order",))
    async def context_handed_on(self) -> None:
        two = self._two()
        await within(two.dial(request()), "dial()")
        for call in (*two.one.dials, *(two.step(number)[0] for number in range(len(_STEPS)))):
            expect_context(call.ctx, "a step")

    @clause("Several tasks may dial by one route at once.", "D21", after=("dial_order",))
    async def concurrent(self) -> None:
        two = self._two()
        both = asyncio.gather(two.dial(), two.dial())
        first, second = await within(both, "two dials at once")
        await within(first.write(b"1"), "writing to the first connection")
        await within(second.write(b"2"), "writing to the second connection")
        far_ends = {
            await within(far.read(1), "the arrival of what was written"): far
            for far in two.scene.far_ends
        }
        expect(
            set(far_ends) == {b"1", b"2"},
            f"b'1' and b'2' were written to one connection each, and {set(far_ends)} arrived",
        )
        await within(first.close(), "close() of the first connection")
        await expect_carries(second, far_ends[b"2"], "the second of two connections")

    # ---- When a step fails

    @clause("When the first handshake fails, what was dialed is closed.", "D3")
    async def first_handshake_failure_closes(self) -> None:
        await self._expect_failure_closes(0)

    @clause("When connecting to a later node fails, everything before it is closed.", "D3")
    async def hop_failure_closes(self) -> None:
        await self._expect_failure_closes(1)

    @clause("When a later handshake fails, everything before it is closed.", "D3")
    async def later_handshake_failure_closes(self) -> None:
        await self._expect_failure_closes(2)

    @clause("When connecting to the target fails, everything is closed.", "D3")
    async def target_failure_closes(self) -> None:
        await self._expect_failure_closes(3)

    async def _expect_failure_closes(self, step: int) -> None:
        two = self._two()
        two.step(step).fail_always(step_error())
        await raises(two.dial(), "the dial", Exception)
        expect_nothing_open(two.scene, f"{_STEPS[step]} failed")

    @clause("When binding at the last node fails, everything is closed.", "D3")
    async def bind_failure_closes(self) -> None:
        two = self._two()
        two.two.binds.fail_always(step_error())
        await raises(two.bind(), "the bind", Exception)
        expect_nothing_open(two.scene, "binding at the last node failed")

    @clause("When a later node's name does not resolve, everything before it is closed.", "D3")
    async def resolve_failure_closes(self) -> None:
        scene = Scene()
        known = FakeResolver({})
        known.asked.fail_always(step_error())
        one, _ = proxy(scene, "one", "192.0.2.1:1080")
        two, _ = proxy(scene, "two", "two.example:1080", resolver_node_option(known))
        await raises(self.make((one, two)).dial(Context(), "tcp", TARGET), "the dial", Exception)
        expect_nothing_open(scene, "the second node's resolver failed")

    @clause("When a dial is cancelled at any step, everything is closed.", "D4")
    async def cancel_closes(self) -> None:
        for step, what in enumerate(_STEPS):
            two = self._two()
            two.step(step).hang()
            task = start(two.dial())
            await two.step(step).reached(what)
            await expect_cancelled(task, f"dial at {what}")
            expect_nothing_open(two.scene, f"the dial was cancelled at {what}")

    @clause("Errors of a step come through as they were raised.", "D14, D15")
    async def errors_pass(self) -> None:
        for step, what in enumerate(_STEPS):
            two = self._two()
            two.step(step).fail_always(step_error())
            await expect_step_error(two.dial(), f"a dial where {what} fails")

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
    )
    async def failure_marks(self) -> None:
        for step, marked in ((None, "one"), (0, "one"), (1, "two"), (2, "two")):
            two = self._two()
            calls = two.one.dials if step is None else two.step(step)
            calls.fail_always(step_error())
            await raises(two.dial(), "the dial", Exception)
            what = "dialing the first node" if step is None else _STEPS[step]
            two.expect_marks([marked], f"{what} failed")

    @clause("The nodes that worked are reset.", "D43", after=("dial_order",))
    async def success_resets(self) -> None:
        two = self._two()
        for node in two.nodes:
            node.marker().mark()
        await within(two.dial(), "dial()")
        two.expect_marks([], "all worked")

    @clause("A target that cannot be reached marks nobody.", "D43")
    async def target_marks_nobody(self) -> None:
        two = self._two()
        two.two.connects.fail_always(ConnectionRefusedError(TARGET))
        await raises(two.dial(), "the dial", Exception)
        two.expect_marks([], "the target refused")

    @clause(
        "Closing the connection, or the listener, closes every layer.",
        "D3, D35",
        after=("dial_order", "bind_order"),
    )
    async def close_closes_all(self) -> None:
        two = self._two()
        conn = await within(two.dial(), "dial()")
        await within(conn.close(), "close()")
        expect_nothing_open(two.scene, "the connection was closed")
        tunnel = await within(two.bind(), "bind()")
        await within(tunnel.close(), "close()")
        expect_nothing_open(two.scene, "the listener was closed")

    # ---- Without nodes

    @clause("A route without nodes dials from this host.", "D36")
    async def direct_dial(self) -> None:
        await expect_direct(self.make(()).dial)

    @clause("A route without nodes binds on this host.", "D36, D35")
    async def direct_bind(self) -> None:
        tunnel = await within(
            kept(self.make(()).bind(Context(), "tcp", "127.0.0.1:0")), "binding on the loopback"
        )
        host, _, port = str(tunnel.addr()).rpartition(":")
        expect(port not in ("", "0"), f"port 0 was asked for, and addr() is {tunnel.addr()}")
        connecting = asyncio.to_thread(socket.create_connection, (host, int(port)))
        with await given(connecting, "connecting"):
            await within(kept(tunnel.accept()), "accept()")

    @clause("Without nodes, dialing an address without a host raises ValueError.", "D12")
    async def direct_empty_host(self) -> None:
        call = kept(self.make(()).dial(Context(), "tcp", ":80"))
        await raises(call, "dialing ':80'", ValueError)

    @clause("Without nodes, a network that is not offered raises UnsupportedError.", "D15")
    async def direct_unsupported(self) -> None:
        call = kept(self.make(()).dial(Context(), "semaphore", "192.0.2.1:1"))
        await raises(call, "dialing the network 'semaphore'", UnsupportedError)
