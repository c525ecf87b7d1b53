"""The contract of transporters."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import field
from functools import partial
from typing import Any, TypeVar
from weakref import ref

from gost_core.chain import SockOpts, Transporter
from gost_core.common.net import Conn, Listener, UnsupportedError
from gost_core.connector import BindOption, BindUnsupportedError, Connector
from gost_core.context import Context
from gost_core.dialer import Dialer
from gost_core.keys import SESSION_ID, TIME_LIMIT
from gost_core.testing._families.asking import APART, Asking, Waits
from gost_core.testing._families.lent import expect_dropped
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    given,
    may_refuse,
    raises,
    returned,
    start,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeRoute
from gost_core.testing._stage.fakes.connections import LayeredConn, Scene
from gost_core.testing._stage.fakes.connector import (
    BindingConnector,
    FakeConnector,
    HandshakingConnector,
)
from gost_core.testing._stage.fakes.dialer import FakeDialer, HandshakingDialer, MultiplexingDialer
from gost_core.testing._stage.fakes.recorded import Recorded
from gost_core.testing._stage.memory import ForwardingConn
from gost_core.testing.chain._shared import (
    NAME,
    RESOLVED,
    TARGET,
    Connecting,
    expect_binds,
    expect_carries,
    expect_step_error,
    kept,
    loopback,
    node,
    step_error,
    target_of,
)

__all__ = ("TransporterContract",)

ConnectorT = TypeVar("ConnectorT", bound=FakeConnector)
DialerT = TypeVar("DialerT", bound=FakeDialer)


class TransporterContract(
    Asking,
    Connecting,
    interface=Transporter,
    first=("outlives", "route_used"),
    said={
        "outlives": (
            "The connection outlives the task and the timeout of the calls that made it.",
            "D4",
        )
    },
):
    """What a transporter promises, over dialers and connectors of the kit."""

    make: Callable[[Dialer, Connector], Transporter] = field(kw_only=False)
    """Makes a transporter over a dialer and a connector that are ready for use, with
    ``TransportOptions()``. What they can do beside their own interface, such as a handshake, is
    found on them as D31 says."""

    async def _specimen(self) -> Transporter:
        return self._over(FakeDialer, FakeConnector)[3]

    def _over(
        self, dialer: Callable[[Scene], DialerT], connector: Callable[[Scene], ConnectorT]
    ) -> tuple[Scene, DialerT, ConnectorT, Transporter]:
        """Make a transporter over these two."""
        scene = Scene()
        one, other = dialer(scene), connector(scene)
        return scene, one, other, self.make(one, other)

    def _opening(self, ctx: Context, network: str = "tcp") -> tuple[Awaitable[Conn], Scene]:
        scene, _, _, transport = self._over(HandshakingDialer, HandshakingConnector)
        return self._all_steps(transport, ctx, network), scene

    def _binding(self, ctx: Context) -> tuple[Awaitable[Listener], Scene]:
        scene, _, _, transport = self._over(FakeDialer, BindingConnector)
        return transport.bind(ctx, scene.connection("the connection"), "tcp", ":0"), scene

    @clause("options() returns the options themselves, the same object each time.", "D23")
    async def options_live(self) -> None:
        _, _, _, transport = self._over(FakeDialer, FakeConnector)
        transport.options().addr = NAME
        addr = transport.options().addr
        expect(addr == NAME, f"options().addr was set to {NAME!r} and is {addr!r}")

    @clause(
        "dial() opens the transport by the dialer, at the address that it is given.",
        "D42",
        after=("outlives",),
    )
    async def dial(self) -> None:
        scene, dialer, _, transport = self._over(FakeDialer, FakeConnector)
        transport.options().addr = NAME
        conn = await within(transport.dial(Context(), RESOLVED), "dial()")
        expect(len(dialer.dials) == 1, f"the dialer was called {len(dialer.dials)} times")
        addr = dialer.dials[0].address
        expect(addr == RESOLVED, f"dial({RESOLVED!r}) had the dialer dial {addr!r}")
        await expect_carries(conn, scene.far_ends[0], "the result of dial()")

    @clause(
        "The dialer is told the node's address as configured, from the options, as the host.",
        "D32",
        after=("options_live", "dial"),
    )
    async def dial_host(self) -> None:
        scene, dialer, _, transport = self._over(FakeDialer, FakeConnector)
        for addr, nodes in (("", 0), (NAME, 0), ("other.example:1080", 0), (NAME, 1)):
            transport.options().addr = addr
            transport.options().route = FakeRoute(scene, *[node(scene, "one")] * nodes)
            await within(transport.dial(Context(), RESOLVED), "dial()")
            host = dialer.dials[-1].options.host
            right = host == addr or not addr
            expect(right, f"options().addr was {addr!r}, and the dialer's host is {host!r}")
            expect(transport.options().addr == addr, "dial() changed the options")

    @clause(
        "The dialer's handshake comes first, then the connector's, on what the first one made.",
        "D31",
        after=("outlives",),
    )
    async def handshake_order(self) -> None:
        for nodes in (0, 1):
            scene, _, connector, transport = self._over(HandshakingDialer, HandshakingConnector)
            # The way to the node changes nothing.
            transport.options().route = FakeRoute(scene, *[node(scene, "one")] * nodes)
            conn = scene.connection("the connection")
            result = await within(transport.handshake(Context(), conn), "handshake()")
            steps = ", ".join(scene.log)
            right = scene.log == ["dialer.handshake", "connector.handshake"]
            expect(right, f"the steps were {steps}")
            between = connector.handshakes[0].conn
            expect(between is not conn, "the second step was given the first one's input")
            await expect_carries(result, scene.far_ends[0], "the result of handshake()")
            name = result.name if isinstance(result, LayeredConn) else "what the transport made"
            expect(result is not between, f"the result was {name}")

    @clause(
        "A handshake that the dialer or the connector lacks is skipped.", "D31", after=("outlives",)
    )
    async def handshake_optional(self) -> None:
        for dialer, connector, count in (
            (FakeDialer, FakeConnector, 0),
            (HandshakingDialer, FakeConnector, 1),
            (FakeDialer, HandshakingConnector, 1),
        ):
            scene, _, _, transport = self._over(dialer, connector)
            conn = scene.connection("the connection")
            result = await within(transport.handshake(Context(), conn), "handshake()")
            expect(len(scene.log) == count, f"with {count} handshakes the steps were {scene.log}")
            await expect_carries(result, scene.far_ends[0], "the result of handshake()")

    @clause(
        "The dialer's handshake is told the node's address as configured.",
        "D32",
        after=("options_live",),
    )
    async def handshake_address(self) -> None:
        _, dialer, _, transport = self._over(HandshakingDialer, FakeConnector)
        conn = await given(transport.dial(Context(), RESOLVED), "dial()")
        for addr in (NAME, "other.example:1080"):
            transport.options().addr = addr
            await within(transport.handshake(Context(), conn), "handshake()")
            told = dialer.handshakes[-1].options.addr
            expect(told == addr, f"options().addr was {addr!r}, and the handshake had {told!r}")

    @clause(
        "When the connector's handshake fails, what the dialer's handshake made is closed.", "D3"
    )
    async def handshake_failure_closes(self) -> None:
        for error in (step_error(), ValueError("malformed")):
            scene, _, connector, transport = self._over(HandshakingDialer, HandshakingConnector)
            connector.handshakes.fail(error)
            conn = scene.connection("the input")
            await raises(transport.handshake(Context(), conn), "the handshake", Exception)
            self._expect_only_input(scene, f"the second handshake failed by {error!r}")

    @clause(
        "When the connector's handshake is cancelled, what the dialer's handshake made is closed.",
        "D4",
    )
    async def handshake_cancel_closes(self) -> None:
        scene, _, connector, transport = self._over(HandshakingDialer, HandshakingConnector)
        for _ in range(2):
            connector.handshakes.hang()
            task = start(transport.handshake(Context(), scene.connection("the input")))
            await connector.handshakes.reached("the connector's handshake")
            task.cancel()
            await ended(task)
            self._expect_only_input(scene, "the handshake was cancelled")

    def _expect_only_input(self, scene: Scene, when: str) -> None:
        left = [name for name in scene.still_open() if name != "the input"]
        expect(not left, f"{when}, and still open is {', '.join(left)}")

    @clause(
        "connect() has the connector reach the target over the connection, as it was asked for.",
        "D12",
        after=("outlives",),
    )
    async def connect(self) -> None:
        for asked in (("udp", TARGET), ("tcp", "[2001:db8::1]:80"), ("udp6", ""), ("unix", "a:b")):
            scene, _, connector, transport = self._over(FakeDialer, FakeConnector)
            conn = scene.connection("the connection")
            result = await within(transport.connect(Context(), conn, *asked), "connect()")
            made = connector.connects[0].network, connector.connects[0].address
            expect(made == asked, f"connect{asked} had the connector reach {made}")
            expect(result is not conn, "the result was the connection to the node")
            await expect_carries(result, scene.far_ends[0], "the result of connect()")

    @clause(
        "No connection is kept that a call was given.",
        "D23",
        after=("handshake_optional", "connect", "bind", "calls_apart"),
    )
    async def connections_dropped(self) -> None:
        scene, _, _, transport = self._over(FakeDialer, BindingConnector)
        uses: tuple[Callable[[Conn], Awaitable[Conn | Listener]], ...] = (
            partial(transport.handshake, Context()),
            lambda conn: transport.connect(Context(), conn, "tcp", TARGET),
            lambda conn: transport.bind(Context(), conn, "tcp", ":0"),
        )
        for use in uses:
            lent = [await self._lend_conn(scene, use) for _ in range(2)]
            await expect_dropped(lent, "the connections were closed")

    async def _lend_conn(
        self, scene: Scene, use: Callable[[Conn], Awaitable[Conn | Listener]]
    ) -> ref[Conn]:
        conn = ForwardingConn(scene.connection("the connection"))
        made = await within(use(conn), "the call")
        await given(made.close(), "close()")
        for forget in (scene.opened.clear, *current().records):
            forget()
        return ref(conn)

    @clause(
        "A connector's second connection goes past the chain, not by the options' route.",
        "D33",
        after=("options_live", "connect"),
    )
    async def connect_past_the_chain(self) -> None:
        scene, _, connector, transport = self._over(FakeDialer, FakeConnector)
        route = FakeRoute(scene, node(scene, "one"))
        transport.options().route = route
        conn = scene.connection("the connection")
        await within(transport.connect(Context(), conn, "tcp", TARGET), "connect()")
        dialer = connector.connects[0].options.dialer
        if dialer is not None:
            _, address = await loopback()
            call = kept(dialer.dial(Context(), "tcp", address))
            await within(call, "dialing by the connector's dialer")
        expect(not route.dials, "the connector's dialer dialed by the route")

    @clause(
        "bind() has the connector bind, over the connection and as it was asked for.",
        "D22, D31",
        after=("context_handed_on",),
    )
    async def bind(self) -> None:
        scene, _, connector, transport = self._over(FakeDialer, BindingConnector)

        async def bind(ctx: Context, network: str, address: str, *opts: BindOption) -> Listener:
            conn = scene.connection(network)
            return await transport.bind(ctx, conn, network, address, *opts)

        await expect_binds(bind, connector.binds)
        for one in connector.binds:
            over = one.conn.name if isinstance(one.conn, LayeredConn) else "another one"
            right = over == one.network
            expect(right, f"a bind by {one.network} went over the connection of {over}")

    @clause("bind() with a connector that is no Binder raises BindUnsupportedError.", "D16")
    async def bind_unsupported(self) -> None:
        scene, _, _, transport = self._over(FakeDialer, FakeConnector)
        call = transport.bind(Context(), scene.connection("the connection"), "tcp", ":0")
        await raises(call, "bind() without a Binder", BindUnsupportedError)

    def _each_step(self) -> Iterator[tuple[str, Recorded[Any], Transporter]]:
        """Yield each step, the calls in which it is done, and a transporter to do it with."""
        for number in range(4):
            _, dialer, connector, transport = self._over(HandshakingDialer, HandshakingConnector)
            steps: tuple[tuple[str, Recorded[Any]], ...] = (
                ("dial()", dialer.dials),
                ("handshake() of the dialer", dialer.handshakes),
                ("handshake() of the connector", connector.handshakes),
                ("connect()", connector.connects),
            )
            step, calls = steps[number]
            yield step, calls, transport

    @clause(
        "Errors of the dialer and of the connector come through as they were raised.",
        "D14",
        after=("failures_raised",),
    )
    async def errors_pass(self) -> None:
        for step, calls, transport in self._each_step():
            for error in (step_error(), ValueError("malformed")):
                calls.fail_always(error)
                call = self._all_steps(transport, Context())
                await expect_step_error(call, f"{step}, failing,", error)

    def _waits(self) -> Waits:
        for step, calls, transport in self._each_step():
            yield step, calls, partial(self._all_steps, transport)
        scene, _, connector, transport = self._over(FakeDialer, BindingConnector)
        conn = scene.connection("the connection")
        yield "a bind", connector.binds, lambda ctx: transport.bind(ctx, conn, "tcp", ":0")
        scene, dialer, _, routed = self._over(FakeDialer, FakeConnector)
        dialer.through = "tcp"
        routed.options().route = route = FakeRoute(scene, node(scene, "one"))
        yield "the route", route.dials, lambda ctx: routed.dial(ctx, RESOLVED)

    async def _expect_routes_apart(self) -> None:
        """Break the clause unless transports of one dialer, at once, go by their own routes."""
        scene, dialer, connector, _ = self._over(FakeDialer, FakeConnector)
        dialer.through, calls, dialed = "tcp", list[Awaitable[Conn]](), list[Recorded[Any]]()
        for number in range(3):
            one, route = self.make(dialer, connector), FakeRoute(scene, node(scene, "one"))
            one.options().route = route
            dialed.append(route.dials)
            calls.append(one.dial(Context(), f"192.0.2.{number}:1080"))
        await within(asyncio.gather(*calls), "dial() of three transports at once")
        found = [[one.address for one in dials] for dials in dialed]
        right = found == [[f"192.0.2.{number}:1080"] for number in range(3)]
        expect(right, f"three transports dialed at once, and by their routes went {found}")

    async def _expect_apart(self) -> None:
        await self._expect_routes_apart()
        scene, dialer, connector, transport = self._over(HandshakingDialer, HandshakingConnector)
        told = [(f"192.0.2.{n}:1080", one[0], one[2]) for n, one in enumerate(APART)]
        calls = (
            self._all_steps(
                transport, Context().with_value(SESSION_ID, addr), network, addr, target
            )
            for addr, network, target in told
        )
        conns = await within(asyncio.gather(*calls), "the steps of several connections at once")
        dialed = [one.address for one in dialer.dials]
        expect(sorted(dialed) == [one[0] for one in told], f"of {told} were dialed {dialed}")
        for (addr, network, target), conn in zip(told, conns, strict=True):
            far = scene.far_ends[dialed.index(addr)]
            await expect_carries(conn, far, f"the connection by {addr}, of several at once,")
            for one in connector.connects:
                asked = one.network, one.address
                mine = one.ctx.value(SESSION_ID) == addr
                expect(mine == (asked == (network, target)), f"for {told} one asked for {asked}")
        for calls_of in (dialer.dials, dialer.handshakes, connector.handshakes, connector.connects):
            ctxs = {one.ctx.value(SESSION_ID) for one in calls_of}
            expect(ctxs == {one[0] for one in told}, f"steps of {told} had the values of {ctxs}")

    @clause(
        "multiplex() is what the dialer says, and False for a dialer that is no Multiplexer.", "D34"
    )
    async def multiplex(self) -> None:
        scene = Scene()
        for dialer, expected in (
            (FakeDialer(scene), False),
            (MultiplexingDialer(scene, False), False),
            (MultiplexingDialer(scene, True), True),
        ):
            transport = self.make(dialer, FakeConnector(scene))
            name = f"a {type(dialer).__name__} for which routes are{'' if expected else ' not'} cut"
            for when in ("", ", after a dial"):
                answer = transport.multiplex()
                expect(answer is expected, f"multiplex() returned {answer!r} over {name}{when}")
                await within(self._all_steps(transport, Context()), "the steps")

    # ---- Copies

    @clause(
        "copy() returns a distinct transport: changing its options changes no other.",
        "D42",
        after=("options_live",),
    )
    async def copy_distinct(self) -> None:
        _, _, _, transport = self._over(FakeDialer, FakeConnector)
        twin = transport.copy()
        others = transport, twin, transport.copy(), twin.copy()
        for position, one in enumerate(others):
            one.options().addr = f"{position}.example:1080"
        found = [one.options().addr[0] for one in others]
        expect(found == ["0", "1", "2", "3"], f"four transports share options: {found}")

    @clause(
        "A copy's options begin with the values of the original's.",
        "D42",
        after=("options_live", "copy_shares_sessions"),
    )
    async def copy_values(self) -> None:
        scene, _, _, transport = self._over(FakeDialer, FakeConnector)
        options, values = transport.options(), (NAME, "eth0", "blue", SockOpts(mark=7))
        for options.addr in (RESOLVED, NAME):
            copied = transport.copy().options()
            expect(copied == options, f"the original has {options}, and its copy {copied}")
            _, options.ifce_name, options.netns, options.sock_opts = values
            options.route = FakeRoute(scene)

    @clause(
        "A copy works by the same dialer and connector, so it shares their sessions.",
        "D42",
        after=("dial",),
    )
    async def copy_shares_sessions(self) -> None:
        scene = Scene()
        dialer, connector = MultiplexingDialer(scene, True), BindingConnector(scene)
        twin = self.make(dialer, connector).copy()
        await within(twin.bind(Context(), scene.connection("x"), "tcp", ":0"), "bind() of a copy")
        expect(twin.multiplex(), "the copy of a transport that multiplexes does not")
        await within(self._all_steps(twin, Context()), "the steps of a copy")
        expect(len(dialer.dials) == 1, "the copy did not dial by the original's dialer")
        expect(len(connector.connects) == 1, "the copy did not use the original's connector")

    @clause(
        "With a route in its options, the node is reached through that route.",
        "D34",
        after=("options_live", "dial", "copy_shares_sessions"),
    )
    async def route_used(self) -> None:
        for network in ("tcp", "udp"):
            # Not every way is offered to datagrams, but none is left by them.
            with may_refuse(UnsupportedError):
                _, _, route, _ = await self._dialed_by_route(network)
            calls = [(call.network, call.address) for call in route.dials]
            expect(calls == [(network, RESOLVED)], f"what was dialed by the route: {calls}")

    @clause(
        "What the dialer was given to dial with works after the call too.",
        "D23",
        after=("route_used",),
    )
    async def route_dialer_kept(self) -> None:
        _, dialer, route, conn = await self._dialed_by_route()
        await conn.close()
        net_dialer = returned(dialer.dials[0].options.dialer, "the dialer in the options")
        again = net_dialer.dial(Context(), "tcp", RESOLVED)
        await within(again, "dialing again by what the dialer was given")
        expect(len(route.dials) == 2, "dialing again did not go by the route")

    @clause(
        "What the dialer was given to dial with tells the route the TIME_LIMIT of each of its "
        "own calls, and of no other.",
        "D69",
        after=("route_dialer_kept",),
    )
    async def route_dialer_limits(self) -> None:
        _, dialer, route, _ = await self._dialed_by_route()
        net_dialer = returned(dialer.dials[0].options.dialer, "the dialer in the options")
        later = asyncio.get_running_loop().time() + 3600.0
        for limit in (later, None):
            ctx = Context() if limit is None else Context().with_value(TIME_LIMIT, limit)
            await within(net_dialer.dial(ctx, "tcp", RESOLVED), "dialing again")
            told = route.dials[-1].ctx.value(TIME_LIMIT)
            expect(told == limit, f"in dial() until {limit} the route was told {told}")

    async def _dialed_by_route(
        self, network: str = "tcp"
    ) -> tuple[Transporter, FakeDialer, FakeRoute, Conn]:
        scene, dialer, _, transport = self._over(FakeDialer, FakeConnector)
        twin = transport.copy()
        other, route = (FakeRoute(scene, node(scene, "one")) for _ in range(2))
        transport.options().route = other
        # Each dial goes by the route of its moment, and none is kept.
        for way in (None, other):
            dialer.through, twin.options().route = "" if way is None else network, way
            await given(twin.dial(Context(), RESOLVED), "dial() by another way")
        twin.options().route, twin.options().addr = route, NAME
        conn = await within(twin.dial(Context(), RESOLVED), "dial()")
        expect(len(other.dials) == 1, f"of dials by another route there were {len(other.dials)}")
        dialer.dials[:] = dialer.dials[-1:]
        return twin, dialer, route, conn

    async def _all_steps(
        self,
        transport: Transporter,
        ctx: Context,
        network: str = "tcp",
        addr: str = RESOLVED,
        target: str = "",
    ) -> Conn:
        """Dial, shake hands, and connect to the target; close what was opened if that fails."""
        conn = await transport.dial(ctx, addr)
        try:
            conn = await transport.handshake(ctx, conn)
            return await transport.connect(ctx, conn, network, target or target_of(ctx))
        except BaseException:
            await conn.close()
            raise
