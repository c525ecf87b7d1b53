"""The contracts of transporters, routes, chainers, routers and of what is probed."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final, Generic, TypeVar

from gost_core.chain import (
    Chainer,
    EmptyRouteError,
    Node,
    NodeOption,
    ProbeResultReader,
    Route,
    Router,
    RouterOption,
    Transporter,
    backlog_bind_option,
    chain_router_option,
    host_mapper_node_option,
    host_mapper_router_option,
    interface_dial_option,
    interface_router_option,
    mux_bind_option,
    recorders_router_option,
    resolver_node_option,
    resolver_router_option,
    retries_router_option,
    timeout_router_option,
    with_host_route_option,
)
from gost_core.common.net import Closer, Conn, PacketConn, UnsupportedError
from gost_core.connector import BindUnsupportedError, Connector
from gost_core.connector import mux_bind_option as connector_mux_bind_option
from gost_core.context import Context, Key
from gost_core.dialer import Dialer
from gost_core.hop import Hop
from gost_core.recorder import (
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
    RecorderObject,
)
from gost_core.resolver import InvalidError
from gost_core.selector import Markable
from gost_core.testing._contract import (
    Broken,
    Contract,
    NotTried,
    checks,
    clause,
    describe,
    expect,
    run,
)
from gost_core.testing._doubles import MemoryConn
from gost_core.testing._fakes import (
    BindingConnector,
    FakeChainer,
    FakeConnector,
    FakeDialer,
    FakeHop,
    FakeHostMapper,
    FakeRecorder,
    FakeResolver,
    FakeRoute,
    FakeTransporter,
    HandshakingConnector,
    HandshakingDialer,
    Layer,
    Loopback,
    MultiplexingDialer,
    Script,
    World,
    cancel,
    proxy,
)
from gost_core.testing._report import Report

__all__ = (
    "check_chain_chainer",
    "check_chain_probe_result_reader",
    "check_chain_route",
    "check_chain_router",
    "check_chain_transporter",
)

OpenedT = TypeVar("OpenedT")
ReaderT = TypeVar("ReaderT", bound=ProbeResultReader)

# What the operator configured, and what a resolver made of it.
_NAME: Final[str] = "proxy.example:1080"
_RESOLVED: Final[str] = "192.0.2.10:1080"
_TARGET: Final[str] = "target.example:80"
_MARK: Final[Key[str]] = Key("a value of the check")
# One for each step at which a route can fail.
_STEPS: Final[tuple[str, ...]] = (
    "the first handshake",
    "connecting to the second node",
    "the second handshake",
    "connecting to the target",
)


def _context() -> Context:
    return Context().with_value(_MARK, "here")


def _expect_context(ctx: Context, who: str) -> None:
    expect(ctx.value(_MARK) == "here", f"{who} was given a context without the request's values")


async def _expect_carries(contract: Contract, near: Conn, far: MemoryConn, what: str) -> None:
    """Break the clause unless bytes go both ways."""
    await contract.within(near.write(b"ping"), f"writing to {what}")
    data = await contract.within(far.read(4), f"the arrival of what was written to {what}")
    expect(data == b"ping", f"b'ping' was written to {what}, and {data!r} arrived")
    await far.write(b"pong")
    data = await contract.within(near.read(4), f"reading from {what}")
    expect(data == b"pong", f"b'pong' was sent, and {data!r} was read from {what}")


def _expect_nothing_open(world: World, when: str) -> None:
    if left := world.still_open():
        raise Broken(f"{when}, and still open is {', '.join(left)}")


async def _expect_same_error(contract: Contract, call: Awaitable[object], what: str) -> None:
    """Break the clause unless ``call`` raises the error that :func:`_error` makes."""
    expected = _error()
    try:
        await contract.within(call, what)
    except Exception as error:
        same = type(error) is type(expected) and error.args == expected.args
        expect(same, f"{what} raised {describe(error)} instead of {describe(expected)}")
        return
    raise Broken(f"{what} raised nothing instead of {describe(expected)}")


def _error() -> OSError:
    return ConnectionResetError("the step failed")


async def _expect_failing(contract: Contract, call: Awaitable[object], what: str) -> None:
    """Make a call that fails, whatever it raises; if it does not, the clause is not tried."""
    try:
        await contract.within(call, what)
    except Exception:
        return
    raise NotTried(f"{what} did not fail")


async def _kept(contract: Contract, call: Awaitable[OpenedT]) -> OpenedT:
    """Make a call that must fail; what it opens all the same is closed."""
    return contract.owned(await call)


# ---- Transporter


class TransporterContract(Contract, interface=Transporter):
    def __init__(self, make: Callable[[Dialer, Connector], Transporter]) -> None:
        super().__init__()
        self._make = make

    async def specimen(self) -> Transporter:
        world = self._world()
        return self._make(FakeDialer(world), FakeConnector(world))

    @clause("options() returns the options themselves, the same object each time.", "D23")
    async def options_live(self) -> None:
        world = self._world()
        transport = self._make(FakeDialer(world), FakeConnector(world))
        transport.options().addr = _NAME
        addr = transport.options().addr
        expect(addr == _NAME, f"options().addr was set to {_NAME!r} and is {addr!r}")

    @clause(
        "The connection outlives the task and the timeout of the calls that made it.",
        "D4",
    )
    async def outlives(self) -> None:
        world = self._world()
        transport = self._make(HandshakingDialer(world), HandshakingConnector(world))

        async def connect() -> Conn:
            async with asyncio.timeout(self.time_limit):
                return await self._all_steps(transport)

        conn = await self.within(self.start(connect()), "the steps")
        await self.settle()
        await _expect_carries(self, conn, world.far_ends[0], "a connection of a task that ended")

    @clause(
        "dial() opens the transport by the dialer, at the address that it is given.",
        "D42",
        after=("outlives",),
    )
    async def dial(self) -> None:
        world = self._world()
        dialer = FakeDialer(world)
        transport = self._make(dialer, FakeConnector(world))
        transport.options().addr = _NAME
        conn = await self.within(transport.dial(_context(), _RESOLVED), "dial()")
        expect(len(dialer.dials) == 1, f"the dialer was called {len(dialer.dials)} times")
        addr = dialer.dials[0].addr
        expect(addr == _RESOLVED, f"dial({_RESOLVED!r}) had the dialer dial {addr!r}")
        await _expect_carries(self, conn, world.far_ends[0], "the result of dial()")

    @clause(
        "The dialer is told the node's address as configured, from the options, as the host.",
        "D32",
        after=("options_live", "dial"),
    )
    async def dial_host(self) -> None:
        world = self._world()
        dialer = FakeDialer(world)
        transport = self._make(dialer, FakeConnector(world))
        transport.options().addr = _NAME
        await self.within(transport.dial(Context(), _RESOLVED), "dial()")
        host = dialer.dials[0].options.host
        expect(host == _NAME, f"options().addr was {_NAME!r}, and the dialer's host is {host!r}")

    @clause(
        "The dialer's handshake comes first, then the connector's, on what the first one made.",
        "D31",
        after=("outlives",),
    )
    async def handshake_order(self) -> None:
        world = self._world()
        connector = HandshakingConnector(world)
        transport = self._make(HandshakingDialer(world), connector)
        conn = world.connection("the connection")
        result = await self.within(transport.handshake(Context(), conn), "handshake()")
        steps = ", ".join(world.log)
        expect(world.log == ["dialer.handshake", "connector.handshake"], f"the steps were {steps}")
        expect(connector.inputs[0] is not conn, "the second step was given the first one's input")
        await _expect_carries(self, result, world.far_ends[0], "the result of handshake()")
        name = result.name if isinstance(result, Layer) else "what the transport made"
        expect(result is not connector.inputs[0], f"the result was {name}")

    @clause(
        "A handshake that the dialer or the connector lacks is skipped.", "D31", after=("outlives",)
    )
    async def handshake_optional(self) -> None:
        for has_first in (False, True):
            world = self._world()
            dialer = HandshakingDialer(world) if has_first else FakeDialer(world)
            transport = self._make(dialer, FakeConnector(world))
            await self._expect_handshake(world, transport, 1 if has_first else 0)
        world = self._world()
        transport = self._make(FakeDialer(world), HandshakingConnector(world))
        await self._expect_handshake(world, transport, 1)

    async def _expect_handshake(self, world: World, transport: Transporter, count: int) -> None:
        conn = world.connection("the connection")
        result = await self.within(transport.handshake(Context(), conn), "handshake()")
        expect(len(world.log) == count, f"with {count} handshakes the steps were {world.log}")
        await _expect_carries(self, result, world.far_ends[0], "the result of handshake()")

    @clause(
        "The dialer's handshake is told the node's address as configured.",
        "D32",
        after=("options_live",),
    )
    async def handshake_address(self) -> None:
        world = self._world()
        dialer = HandshakingDialer(world)
        transport = self._make(dialer, FakeConnector(world))
        transport.options().addr = _NAME
        conn = world.connection("the connection")
        await self.within(transport.handshake(Context(), conn), "handshake()")
        addr = dialer.handshakes[0].addr
        expect(addr == _NAME, f"options().addr was {_NAME!r}, and the handshake was told {addr!r}")

    @clause(
        "When the connector's handshake fails, what the dialer's handshake made is closed.", "D3"
    )
    async def handshake_failure_closes(self) -> None:
        world = self._world()
        connector = HandshakingConnector(world)
        connector.handshaking.fail_always(_error())
        transport = self._make(HandshakingDialer(world), connector)
        conn = world.connection("the input")
        await _expect_failing(self, transport.handshake(Context(), conn), "the handshake")
        left = [name for name in world.still_open() if name != "the input"]
        expect(not left, f"the second handshake failed, and still open is {', '.join(left)}")

    @clause(
        "When the connector's handshake is cancelled, what the dialer's handshake made is closed.",
        "D4",
    )
    async def handshake_cancel_closes(self) -> None:
        world = self._world()
        connector = HandshakingConnector(world)
        connector.handshaking.hang()
        transport = self._make(HandshakingDialer(world), connector)
        task = self.start(transport.handshake(Context(), world.connection("the input")))
        await self._reached(connector.handshaking, "the connector's handshake")
        task.cancel()
        await asyncio.wait({task}, timeout=self.time_limit)
        left = [name for name in world.still_open() if name != "the input"]
        expect(not left, f"the handshake was cancelled, and still open is {', '.join(left)}")

    @clause(
        "connect() has the connector reach the target over the connection, as it was asked for.",
        "D12",
        after=("outlives",),
    )
    async def connect(self) -> None:
        world = self._world()
        connector = FakeConnector(world)
        transport = self._make(FakeDialer(world), connector)
        conn = world.connection("the connection")
        call = transport.connect(_context(), conn, "udp", _TARGET)
        result = await self.within(call, "connect()")
        made = connector.connects[0]
        expect(
            (made.network, made.address) == ("udp", _TARGET),
            f"connect('udp', {_TARGET!r}) had the connector reach {made.network} {made.address}",
        )
        expect(result is not conn, "the result was the connection to the node")
        await _expect_carries(self, result, world.far_ends[0], "the result of connect()")

    @clause(
        "A connector's second connection goes past the chain, not by the options' route.",
        "D33",
        after=("options_live", "connect"),
    )
    async def connect_past_the_chain(self) -> None:
        world = self._world()
        connector = FakeConnector(world)
        transport = self._make(FakeDialer(world), connector)
        node, _ = proxy(world, "one", "192.0.2.1:1080")
        route = FakeRoute(world, node)
        transport.options().route = route
        conn = world.connection("the connection")
        await self.within(transport.connect(Context(), conn, "tcp", _TARGET), "connect()")
        dialer = connector.connects[0].options.dialer
        if dialer is not None:
            server = await self._loopback()
            call = dialer.dial(Context(), "tcp", server.address)
            beside = await self.within(call, "dialing by the connector's dialer")
            self.keep(beside.close)
        expect(not route.dials, "the connector's dialer dialed by the route")

    @clause("bind() has the connector bind, with the options of the call.", "D31")
    async def bind(self) -> None:
        world = self._world()
        connector = BindingConnector(world)
        transport = self._make(FakeDialer(world), connector)
        conn = world.connection("the connection")
        call = transport.bind(Context(), conn, "tcp", ":0", connector_mux_bind_option(True))
        await self.within(call, "bind()")
        made = connector.binds[0]
        expect(
            (made.network, made.address) == ("tcp", ":0"),
            f"bind('tcp', ':0') had the connector bind {made.network} {made.address}",
        )
        expect(made.options.mux, "the connector was not given the options of the call")

    @clause("bind() with a connector that is no Binder raises BindUnsupportedError.", "D16")
    async def bind_unsupported(self) -> None:
        world = self._world()
        transport = self._make(FakeDialer(world), FakeConnector(world))
        call = transport.bind(Context(), world.connection("the connection"), "tcp", ":0")
        await self.raises(call, "bind() without a Binder", BindUnsupportedError)

    @clause("Errors of the dialer and of the connector come through as they were raised.", "D14")
    async def errors_pass(self) -> None:
        for step in ("dial()", "the dialer's handshake", "the connector's handshake", "connect()"):
            world = self._world()
            dialer, connector = HandshakingDialer(world), HandshakingConnector(world)
            transport = self._make(dialer, connector)
            scripts = {
                "dial()": dialer.dialing,
                "the dialer's handshake": dialer.handshaking,
                "the connector's handshake": connector.handshaking,
                "connect()": connector.connecting,
            }
            scripts[step].fail_always(_error())
            await _expect_same_error(self, self._all_steps(transport), f"{step}, failing,")

    @clause("Cancelling a step cancels what the dialer or the connector does.", "D4, D14")
    async def cancel_passes(self) -> None:
        for step in ("dial()", "handshake()", "connect()"):
            world = self._world()
            dialer, connector = HandshakingDialer(world), FakeConnector(world)
            transport = self._make(dialer, connector)
            scripts = {
                "dial()": dialer.dialing,
                "handshake()": dialer.handshaking,
                "connect()": connector.connecting,
            }
            scripts[step].hang()
            task = self.start(self._all_steps(transport))
            await self._reached(scripts[step], step)
            await cancel(task, step, self.time_limit)

    @clause("Requests at once do not get into one another's way.", "D33", after=("dial",))
    async def concurrent(self) -> None:
        world = self._world()
        transport = self._make(HandshakingDialer(world), HandshakingConnector(world))
        inputs = [world.connection("the first"), world.connection("the second")]
        calls = (transport.handshake(Context(), conn) for conn in inputs)
        results = await self.within(asyncio.gather(*calls), "two handshakes at once")
        for number in (0, 1):
            far = world.far_ends[number]
            await _expect_carries(self, results[number], far, "the result of one of two handshakes")

    @clause("The dialer and the connector are given the values of the request.", "D28")
    async def context_handed_on(self) -> None:
        world = self._world()
        dialer, connector = FakeDialer(world), FakeConnector(world)
        transport = self._make(dialer, connector)
        await self.given(self._all_steps(transport), "dialing and connecting")
        _expect_context(dialer.contexts[0], "the dialer")
        _expect_context(connector.contexts[0], "the connector")

    @clause(
        "multiplex() is what the dialer says, and False for a dialer that is no Multiplexer.",
        "D34",
    )
    async def multiplex(self) -> None:
        world = self._world()
        for dialer, expected in (
            (FakeDialer(world), False),
            (MultiplexingDialer(world, False), False),
            (MultiplexingDialer(world, True), True),
        ):
            answer = self._make(dialer, FakeConnector(world)).multiplex()
            name = f"a {type(dialer).__name__} for which routes are{'' if expected else ' not'} cut"
            expect(answer is expected, f"multiplex() returned {answer!r} over {name}")

    @clause(
        "copy() returns a distinct transport: changing its options changes no other.",
        "D42",
        after=("options_live",),
    )
    async def copy_distinct(self) -> None:
        world = self._world()
        transport = self._make(FakeDialer(world), FakeConnector(world))
        twin = transport.copy()
        twin.options().route = FakeRoute(world)
        twin.options().addr = _NAME
        expect(transport.options().route is None, "setting the copy's route set the original's")
        expect(transport.options().addr == "", "setting the copy's addr set the original's")

    @clause(
        "A copy's options begin with the values of the original's.", "D42", after=("options_live",)
    )
    async def copy_values(self) -> None:
        world = self._world()
        transport = self._make(FakeDialer(world), FakeConnector(world))
        transport.options().addr = _NAME
        addr = transport.copy().options().addr
        expect(addr == _NAME, f"the original's addr is {_NAME!r}, and its copy's {addr!r}")

    @clause(
        "A copy works by the same dialer and connector, so it shares their sessions.",
        "D42",
        after=("dial",),
    )
    async def copy_shares_sessions(self) -> None:
        world = self._world()
        dialer = MultiplexingDialer(world, True)
        connector = FakeConnector(world)
        twin = self._make(dialer, connector).copy()
        expect(twin.multiplex(), "the copy of a transport that multiplexes does not")
        await self.within(self._all_steps(twin), "the steps of a copy")
        expect(len(dialer.dials) == 1, "the copy did not dial by the original's dialer")
        expect(len(connector.connects) == 1, "the copy did not use the original's connector")

    @clause(
        "With a route in its options, the node is reached through that route.",
        "D34",
        after=("options_live", "dial", "copy_shares_sessions"),
    )
    async def route_used(self) -> None:
        world = self._world()
        _, _, route, _ = await self._dialed_by_route(world)
        calls = [(call.network, call.address) for call in route.dials]
        expect(calls == [("tcp", _RESOLVED)], f"what was dialed by the route: {calls}")

    @clause(
        "What the dialer was given to dial with works after the call too.",
        "D23",
        after=("route_used",),
    )
    async def route_dialer_kept(self) -> None:
        world = self._world()
        twin, dialer, route, conn = await self._dialed_by_route(world)
        await conn.close()
        net_dialer = dialer.dials[0].options.dialer
        if net_dialer is None:
            raise NotTried("the dialer was given none")
        twin.options().route = None
        again = net_dialer.dial(Context(), "tcp", _RESOLVED)
        await self.within(again, "dialing again by what the dialer was given")
        expect(len(route.dials) == 2, "dialing again did not go by the route")

    async def _dialed_by_route(
        self, world: World
    ) -> tuple[Transporter, FakeDialer, FakeRoute, Conn]:
        dialer = FakeDialer(world)
        dialer.through = True
        twin = self._make(dialer, FakeConnector(world)).copy()
        node, _ = proxy(world, "one", "192.0.2.1:1080")
        route = FakeRoute(world, node)
        twin.options().route = route
        conn = await self.within(twin.dial(Context(), _RESOLVED), "dial()")
        return twin, dialer, route, conn

    async def _all_steps(self, transport: Transporter) -> Conn:
        conn = await transport.dial(_context(), _RESOLVED)
        conn = await transport.handshake(_context(), conn)
        return await transport.connect(_context(), conn, "tcp", _TARGET)

    async def _reached(self, script: Script, what: str) -> None:
        await self.given(script.hanging.wait(), f"reaching {what}")

    async def _loopback(self) -> Loopback:
        server = Loopback()
        self.keep(server.close)
        await self.given(server.start(), "a server on the loopback")
        return server

    def _world(self) -> World:
        world = World()
        self.keep(world.close)
        return world


@checks(TransporterContract)
async def check_chain_transporter(
    make: Callable[[Dialer, Connector], Transporter], /, *, time_limit: float = 5.0
) -> Report:
    """Check a transporter, over dialers and connectors of the kit.

    Args:
        make: makes a transporter over a dialer and a connector that are ready for use, with
            ``TransportOptions()``. What they can do beside their own interface, such as a
            handshake, is found on them as D31 says.
        time_limit: seconds for each wait.

    Returns:
        The report, if no clause is broken.

    Raises:
        ContractError: some are; it lists them all.
    """
    return await run(TransporterContract(make), time_limit)


# ---- Route


class RouteContract(Contract, interface=Route):
    def __init__(self, make: Callable[[Sequence[Node]], Route]) -> None:
        super().__init__()
        self._make = make

    async def specimen(self) -> Route:
        return self._make(())

    @clause("nodes() returns the nodes in order.", "D36")
    async def nodes(self) -> None:
        world = self._world()
        route, _, _ = self._two(world)
        names = [node.name for node in route.nodes()]
        expect(names == ["one", "two"], f"the nodes are one, two, and nodes() has {names}")
        none = self._make(()).nodes()
        expect(len(none) == 0, f"a route without nodes has {none!r}")

    @clause(
        "The connection outlives the task and the timeout of the call.",
        "D4",
    )
    async def outlives(self) -> None:
        world = self._world()
        route, _, _ = self._two(world)

        async def dial() -> Conn:
            async with asyncio.timeout(self.time_limit):
                return await route.dial(Context(), "tcp", _TARGET)

        conn = await self.within(self.start(dial()), "dial()")
        await self.settle()
        await _expect_carries(self, conn, world.far_ends[0], "a connection of a task that ended")

    @clause(
        "The steps of a dial: the first node is dialed, and each further one reached by tcp "
        "through the one before, after its handshake; the last one connects to the target.",
        "D31, D11",
        after=("outlives",),
    )
    async def dial_order(self) -> None:
        world = self._world()
        route, _, _ = self._two(world)
        conn = await self.within(route.dial(Context(), "udp", _TARGET), "dial()")
        self._expect_steps(world, f"two: connect udp {_TARGET}")
        await _expect_carries(self, conn, world.far_ends[0], "the result of dial()")

    @clause("The steps of a bind are those of a dial, and the last node binds.", "D31")
    async def bind_order(self) -> None:
        world = self._world()
        route, _, _ = self._two(world)
        await self.within(route.bind(Context(), "tcp", ":0"), "bind()")
        self._expect_steps(world, "two: bind tcp :0")

    @clause("The last node is given the options of the bind.", "D35", after=("bind_order",))
    async def bind_options(self) -> None:
        world = self._world()
        route, _, two = self._two(world)
        call = route.bind(Context(), "tcp", ":0", mux_bind_option(True), backlog_bind_option(7))
        await self.within(call, "bind()")
        options = two[1].bind_options[0]
        expect(options.mux, "mux was True, and the node was told False")
        expect(options.backlog == 7, f"backlog was 7, and the node was told {options.backlog}")

    @clause(
        "A node's own host mapper and resolver tell its address.", "D39, D42", after=("dial_order",)
    )
    async def nodes_resolved(self) -> None:
        world = self._world()
        mapped = FakeHostMapper({"one.example": [ip_address("192.0.2.1")]})
        known = FakeResolver({"two.example": [ip_address("2001:db8::2")]})
        one = proxy(world, "one", "one.example:1080", host_mapper_node_option(mapped))
        two = proxy(world, "two", "two.example:1080", resolver_node_option(known))
        route = self._make((one[0], two[0]))
        await self.within(route.dial(Context(), "tcp", _TARGET), "dial()")
        expected = ["one: dial 192.0.2.1:1080", "one: connect tcp [2001:db8::2]:1080"]
        expect([world.log[0], world.log[2]] == expected, f"the steps were {world.log}")

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

    @clause("When binding at the last node fails, everything is closed.", "D3")
    async def bind_failure_closes(self) -> None:
        world = self._world()
        route, _, two = self._two(world)
        two[1].binding.fail_always(_error())
        await _expect_failing(self, route.bind(Context(), "tcp", ":0"), "the bind")
        _expect_nothing_open(world, "binding at the last node failed")

    @clause("When a later node's name does not resolve, everything before it is closed.", "D3")
    async def resolve_failure_closes(self) -> None:
        world = self._world()
        known = FakeResolver({})
        known.resolving.fail_always(_error())
        one = proxy(world, "one", "192.0.2.1:1080")
        two = proxy(world, "two", "two.example:1080", resolver_node_option(known))
        route = self._make((one[0], two[0]))
        await _expect_failing(self, route.dial(Context(), "tcp", _TARGET), "the dial")
        _expect_nothing_open(world, "the second node's resolver failed")

    @clause("When a dial is cancelled at any step, everything is closed.", "D4")
    async def cancel_closes(self) -> None:
        for step, what in enumerate(_STEPS):
            world = self._world()
            route, one, two = self._two(world)
            script = self._script(one[1], two[1], step)
            script.hang()
            task = self.start(route.dial(Context(), "tcp", _TARGET))
            await self.given(script.hanging.wait(), f"reaching {what}")
            await cancel(task, f"a dial at {what}", self.time_limit)
            _expect_nothing_open(world, f"the dial was cancelled at {what}")

    @clause("Errors of a step come through as they were raised.", "D14, D15")
    async def errors_pass(self) -> None:
        for step, what in enumerate(_STEPS):
            world = self._world()
            route, one, two = self._two(world)
            self._script(one[1], two[1], step).fail_always(_error())
            call = route.dial(Context(), "tcp", _TARGET)
            await _expect_same_error(self, call, f"a dial where {what} fails")

    @clause("A node that cannot bind raises BindUnsupportedError.", "D16", after=("bind_order",))
    async def bind_unsupported(self) -> None:
        world = self._world()
        route, _, two = self._two(world)
        two[1].binding.fail_always(BindUnsupportedError("this node cannot bind"))
        call = route.bind(Context(), "tcp", ":0")
        await self.raises(call, "bind() at a node that cannot", BindUnsupportedError)

    @clause(
        "A node that cannot be dialed or reached, or whose handshake fails, is marked, "
        "and no other is.",
        "D43",
    )
    async def failure_marks(self) -> None:
        for step, marked in ((-1, "one"), (0, "one"), (1, "two"), (2, "two")):
            world = self._world()
            route, one, two = self._two(world)
            script = one[1].dialing if step < 0 else self._script(one[1], two[1], step)
            script.fail_always(_error())
            await _expect_failing(self, route.dial(Context(), "tcp", _TARGET), "the dial")
            counts = {node.name: node.marker().count() for node, _ in (one, two)}
            expected = {"one": int(marked == "one"), "two": int(marked == "two")}
            what = _STEPS[step] if step >= 0 else "dialing the first node"
            expect(counts == expected, f"{what} failed, and the counts of failures are {counts}")

    @clause("The nodes that worked are reset.", "D43", after=("dial_order",))
    async def success_resets(self) -> None:
        world = self._world()
        route, one, two = self._two(world)
        one[0].marker().mark()
        two[0].marker().mark()
        await self.within(route.dial(Context(), "tcp", _TARGET), "dial()")
        counts = {node.name: node.marker().count() for node, _ in (one, two)}
        expect(not any(counts.values()), f"all worked, and the counts of failures are {counts}")

    @clause("A target that cannot be reached marks nobody.", "D43")
    async def target_marks_nobody(self) -> None:
        world = self._world()
        route, one, two = self._two(world)
        two[1].connecting.fail_always(ConnectionRefusedError(_TARGET))
        await _expect_failing(self, route.dial(Context(), "tcp", _TARGET), "the dial")
        counts = {node.name: node.marker().count() for node, _ in (one, two)}
        expect(not any(counts.values()), f"the target refused, and the counts are {counts}")

    @clause(
        "Closing the connection, or the listener, closes every layer.",
        "D3, D35",
        after=("dial_order", "bind_order"),
    )
    async def close_closes_all(self) -> None:
        world = self._world()
        route, _, _ = self._two(world)
        conn = await self.within(route.dial(Context(), "tcp", _TARGET), "dial()")
        await self.within(conn.close(), "close()")
        _expect_nothing_open(world, "the connection was closed")
        tunnel = await self.within(route.bind(Context(), "tcp", ":0"), "bind()")
        await self.within(tunnel.close(), "close()")
        _expect_nothing_open(world, "the listener was closed")

    @clause("Several tasks may dial by one route at once.", "D21", after=("dial_order",))
    async def concurrent(self) -> None:
        world = self._world()
        route, _, _ = self._two(world)
        calls = (route.dial(Context(), "tcp", _TARGET) for _ in range(2))
        first, second = await self.within(asyncio.gather(*calls), "two dials at once")
        await self.within(first.write(b"1"), "writing to the first connection")
        await self.within(second.write(b"2"), "writing to the second connection")
        far_ends = {
            await self.within(far.read(1), "the arrival of what was written"): far
            for far in world.far_ends
        }
        expect(
            set(far_ends) == {b"1", b"2"},
            f"b'1' and b'2' were written to one connection each, and {set(far_ends)} arrived",
        )
        await self.within(first.close(), "close() of the first connection")
        await _expect_carries(self, second, far_ends[b"2"], "the second of two connections")

    @clause("Every step is given the values of the request.", "D28", after=("dial_order",))
    async def context_handed_on(self) -> None:
        world = self._world()
        route, one, two = self._two(world)
        await self.within(route.dial(_context(), "tcp", _TARGET), "dial()")
        for ctx in (*one[1].contexts, *two[1].contexts):
            _expect_context(ctx, "a step")

    @clause("A route without nodes dials from this host.", "D36")
    async def direct_dial(self) -> None:
        server = Loopback()
        self.keep(server.close)
        await self.given(server.start(), "a server on the loopback")
        conn = await self.within(
            self._make(()).dial(Context(), "tcp", server.address), "dialing the loopback"
        )
        self.keep(conn.close)
        await self.within(conn.write(b"ping"), "write()")
        data = await self.within(conn.read(4), "read()")
        expect(data == b"ping", f"an echo server sent back {data!r} for b'ping'")

    @clause("A route without nodes binds on this host.", "D36, D35")
    async def direct_bind(self) -> None:
        tunnel = await self.within(
            self._make(()).bind(Context(), "tcp", "127.0.0.1:0"), "binding on the loopback"
        )
        self.keep(tunnel.close)
        host, _, port = str(tunnel.addr()).rpartition(":")
        expect(port not in ("", "0"), f"port 0 was asked for, and addr() is {tunnel.addr()}")
        _, writer = await self.given(asyncio.open_connection(host, int(port)), "connecting")
        self.keep(_closing(writer))
        conn = await self.within(tunnel.accept(), "accept()")
        self.keep(conn.close)

    @clause("Without nodes, dialing an address without a host raises ValueError.", "D12")
    async def direct_empty_host(self) -> None:
        call = _kept(self, self._make(()).dial(Context(), "tcp", ":80"))
        await self.raises(call, "dialing ':80'", ValueError)

    @clause("Without nodes, a network that is not offered raises UnsupportedError.", "D15")
    async def direct_unsupported(self) -> None:
        call = _kept(self, self._make(()).dial(Context(), "semaphore", "192.0.2.1:1"))
        await self.raises(call, "dialing the network 'semaphore'", UnsupportedError)

    async def _expect_failure_closes(self, step: int) -> None:
        world = self._world()
        route, one, two = self._two(world)
        self._script(one[1], two[1], step).fail_always(_error())
        await _expect_failing(self, route.dial(Context(), "tcp", _TARGET), "the dial")
        _expect_nothing_open(world, f"{_STEPS[step]} failed")

    def _expect_steps(self, world: World, last: str) -> None:
        expected = [
            "one: dial 192.0.2.1:1080",
            "one: handshake",
            "one: connect tcp 192.0.2.2:1080",
            "two: handshake",
            last,
        ]
        expect(world.log == expected, f"the steps were {', '.join(world.log)}")

    def _script(self, one: FakeTransporter, two: FakeTransporter, step: int) -> Script:
        return (one.handshaking, one.connecting, two.handshaking, two.connecting)[step]

    def _two(
        self, world: World
    ) -> tuple[Route, tuple[Node, FakeTransporter], tuple[Node, FakeTransporter]]:
        one = proxy(world, "one", "192.0.2.1:1080")
        two = proxy(world, "two", "192.0.2.2:1080")
        return self._make((one[0], two[0])), one, two

    def _world(self) -> World:
        world = World()
        self.keep(world.close)
        return world


def _closing(writer: asyncio.StreamWriter) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        writer.close()

    return close


@checks(RouteContract)
async def check_chain_route(
    make: Callable[[Sequence[Node]], Route], /, *, time_limit: float = 5.0
) -> Report:
    """Check a route, over nodes whose transports are the kit's.

    Without nodes it is checked on this host's loopback.

    Args:
        make: makes a route through the nodes, in order; direct if there are none.
        time_limit: seconds for each wait.

    Returns:
        The report, if no clause is broken.

    Raises:
        ContractError: some are; it lists them all.
    """
    return await run(RouteContract(make), time_limit)


# ---- Chainer


class ChainerContract(Contract, interface=Chainer):
    def __init__(self, make: Callable[[Sequence[Hop]], Chainer]) -> None:
        super().__init__()
        self._make = make

    async def specimen(self) -> Chainer:
        return self._make(())

    @clause("The route goes through a node of each hop, in order.", "D40")
    async def nodes_of_hops(self) -> None:
        world = self._world()
        route = await self._route(FakeHop(_node(world, "one")), FakeHop(_node(world, "two")))
        names = _names(route)
        expect(names == ["one", "two"], f"the hops chose one and two, and the route has {names}")

    @clause("Where a hop chooses None, the chain ends, and later hops are left out.", "D40")
    async def none_ends(self) -> None:
        world = self._world()
        hops = FakeHop(_node(world, "one")), FakeHop(None), FakeHop(_node(world, "three"))
        names = _names(await self._route(*hops))
        expect(names == ["one"], f"the second hop chose None, and the route has {names}")

    @clause(
        "Without hops, and when the first chooses None, the route is None or has no nodes.", "D36"
    )
    async def none_direct(self) -> None:
        world = self._world()
        for hops in ((), (FakeHop(None), FakeHop(_node(world, "two")))):
            names = _names(await self._route(*hops))
            expect(names == [], f"there is no first node, and the route has {names}")

    @clause("What a hop raises comes through; it never becomes a route or None.", "D36")
    async def errors_pass(self) -> None:
        for error in (PermissionError("refused by rule"), OSError("out of reach"), KeyError("x")):
            world = self._world()
            failing = FakeHop(_node(world, "two"))
            failing.selecting.fail_always(error)
            chainer = self._make((FakeHop(_node(world, "one")), failing))
            call = chainer.route(Context(), "tcp", _TARGET)
            await self.raises(call, f"route() over a hop that raises {error!r}", type(error))

    @clause("Each hop is told the network, the address and the host of the request.", "D37")
    async def request_handed_on(self) -> None:
        world = self._world()
        hops = FakeHop(_node(world, "one")), FakeHop(_node(world, "two"))
        chainer = self._make(hops)
        call = chainer.route(Context(), "udp", _RESOLVED, with_host_route_option(_NAME))
        await self.within(call, "route()")
        for hop in hops:
            told = (hop.asked[0].network, hop.asked[0].addr, hop.asked[0].host)
            expect(told == ("udp", _RESOLVED, _NAME), f"a hop was told {told}")

    @clause("Any address is accepted: an empty one, a path, a name.", "D37")
    async def any_address(self) -> None:
        for network, address in (("udp", ""), ("unix", "/run/some.socket"), ("serial", "COM1")):
            world = self._world()
            chainer = self._make((FakeHop(_node(world, "one")),))
            call = chainer.route(Context(), network, address)
            names = _names(await self.within(call, f"route({network!r}, {address!r})"))
            expect(names == ["one"], f"for {network!r}, {address!r} the route has {names}")

    @clause("Hops are given the values of the request.", "D28", after=("nodes_of_hops",))
    async def context_handed_on(self) -> None:
        hop = FakeHop(_node(self._world(), "one"))
        await self.within(self._make((hop,)).route(_context(), "tcp", _TARGET), "route()")
        _expect_context(hop.contexts[0], "the hop")

    @clause("Hops are asked anew for each request.", "D40", after=("nodes_of_hops",))
    async def asked_anew(self) -> None:
        world = self._world()
        hop = FakeHop(_node(world, "one"))
        chainer = self._make((hop,))
        await self.within(chainer.route(Context(), "tcp", _TARGET), "route()")
        hop.node = _node(world, "other")
        names = _names(await self.within(chainer.route(Context(), "tcp", _TARGET), "route()"))
        expect(names == ["other"], f"the hop now chooses other, and the route has {names}")

    @clause("One request does not wait for another's hop.", "D22", after=("nodes_of_hops",))
    async def concurrent(self) -> None:
        hop = FakeHop(_node(self._world(), "one"))
        hop.selecting.hang(1)
        chainer = self._make((hop,))
        self.start(chainer.route(Context(), "tcp", _TARGET))
        await self.given(hop.selecting.hanging.wait(), "reaching the hop")
        await self.within(chainer.route(Context(), "tcp", _TARGET), "route() beside one that waits")

    @clause("The route dials through its nodes.", "D31", after=("nodes_of_hops",))
    async def route_dials(self) -> None:
        world = self._world()
        route = await self._route(FakeHop(_node(world, "one")), FakeHop(_node(world, "two")))
        if route is None:
            raise NotTried("there was no route")
        await self.within(route.dial(Context(), "tcp", _TARGET), "dial()")
        expect(world.log[-1:] == [f"two: connect tcp {_TARGET}"], f"the steps were {world.log}")

    @clause(
        "At a multiplexing node the route is cut: it begins there, and the nodes before are in "
        "the route of that node's transport.",
        "D34",
        after=("nodes_of_hops",),
    )
    async def multiplexing_cuts(self) -> None:
        world = self._world()
        hops = self._multiplexing(world)
        route = await self._route(*hops)
        names = _names(route)
        expect(names == ["two", "three"], f"two multiplexes, and the route has {names}")
        if route is not None:
            transport = route.nodes()[0].options().transport
            before = None if transport is None else transport.options().route
            names = _names(before)
            expect(names == ["one"], f"the way to two is one, and its transport has {names}")

    @clause(
        "The hop's own node and transport stay as they are: the route has copies.",
        "D41, D42",
        after=("multiplexing_cuts",),
    )
    async def multiplexing_copies(self) -> None:
        world = self._world()
        hops = self._multiplexing(world)
        own, transport = hops[1].node, None if hops[1].node is None else hops[1].node.options()
        original = None if transport is None else transport.transport
        first = await self._route(*hops)
        if own is None or original is None or first is None:
            raise NotTried("there was no route")
        expect(original.options().route is None, "the route was set on the hop's own transport")
        expect(own.options().transport is original, "the hop's own node got another transport")
        expect(first.nodes()[0].marker() is own.marker(), "the copy has a marker of its own")

    @clause(
        "A route keeps its way, whatever route a later request gets.",
        "D42",
        after=("multiplexing_copies",),
    )
    async def multiplexing_independent(self) -> None:
        world = self._world()
        hops = self._multiplexing(world)
        chainer = self._make(hops)
        first = await self.within(chainer.route(Context(), "tcp", _TARGET), "route()")
        hops[0].node = _node(world, "other")
        await self.within(chainer.route(Context(), "tcp", _TARGET), "route()")
        transport = None if first is None else first.nodes()[0].options().transport
        names = _names(None if transport is None else transport.options().route)
        expect(names == ["one"], f"after a second request the way of the first goes by {names}")

    @clause("Closing it leaves the hops open that it was lent.", "D19")
    async def hops_stay_open(self) -> None:
        hop = FakeHop(_node(self._world(), "one"))
        chainer = self._make((hop,))
        if isinstance(chainer, Closer):
            await self.within(chainer.close(), "close()")
        expect(not hop.closed, "close() closed a hop that others use too")

    def _multiplexing(self, world: World) -> tuple[FakeHop, FakeHop, FakeHop]:
        two, _ = proxy(world, "two", "192.0.2.2:1080", multiplexes=True)
        return FakeHop(_node(world, "one")), FakeHop(two), FakeHop(_node(world, "three"))

    async def _route(self, *hops: Hop) -> Route | None:
        call = self._make(hops).route(Context(), "tcp", _TARGET)
        return await self.within(call, "route()")

    def _world(self) -> World:
        world = World()
        self.keep(world.close)
        return world


def _node(world: World, name: str, *opts: NodeOption) -> Node:
    return proxy(world, name, "192.0.2.1:1080", *opts)[0]


def _names(route: Route | None) -> list[str]:
    return [] if route is None else [node.name for node in route.nodes()]


@checks(ChainerContract)
async def check_chain_chainer(
    make: Callable[[Sequence[Hop]], Chainer], /, *, time_limit: float = 5.0
) -> Report:
    """Check a chainer that makes its routes from hops.

    Args:
        make: makes a chainer over the hops, in order; they are lent to it.
        time_limit: seconds for each wait.

    Returns:
        The report, if no clause is broken.

    Raises:
        ContractError: some are; it lists them all.
    """
    return await run(ChainerContract(make), time_limit)


# ---- Router

_LONG: Final[float] = 30.0
_SHORT: Final[float] = 0.05


class RouterContract(Contract, interface=Router):
    def __init__(self, make: Callable[[*tuple[RouterOption, ...]], Router]) -> None:
        super().__init__()
        self._make = make

    async def specimen(self) -> Router:
        return self._make()

    @clause("options() returns what the router was made with.", "D23")
    async def options(self) -> None:
        chain = FakeChainer(None)
        router = self._make(chain_router_option(chain), retries_router_option(2))
        expect(router.options().chain is chain, "options().chain is another one")
        expect(router.options().retries == 2, f"options().retries is {router.options().retries}")

    @clause("dial() connects by the route that the chain finds.", "D38")
    async def dial(self) -> None:
        world, route, _, router = self._routed()
        conn = await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        expect(len(route.dials) == 1, f"the route was dialed {len(route.dials)} times")
        call = route.dials[0]
        told = (call.network, call.address)
        expect(told == ("tcp", _TARGET), f"dial('tcp', {_TARGET!r}) had the route dial {told}")
        await _expect_carries(self, conn, world.far_ends[0], "the result of dial()")

    @clause("Without a chain, a dial is direct.", "D36")
    async def no_chain_direct(self) -> None:
        await self._expect_direct()

    @clause("A chain that finds None, or a route without nodes, makes a dial direct.", "D36")
    async def no_route_direct(self) -> None:
        await self._expect_direct(chain_router_option(FakeChainer(None)))
        world = self._world()
        router = self._make(chain_router_option(FakeChainer(FakeRoute(world))))
        server = await self._loopback()
        call = router.dial(Context(), "tcp", server.address)
        conn = await self.within(call, "dial() by a route without nodes")
        self.keep(conn.close)

    @clause("An exception of the chain is never turned into a direct connection.", "D36")
    async def refusal_not_direct(self) -> None:
        for error in (PermissionError("refused by rule"), OSError("out of reach")):
            server = await self._loopback()
            chain = FakeChainer(None)
            chain.routing.fail_always(error)
            router = self._make(chain_router_option(chain))
            call = _kept(self, router.dial(Context(), "tcp", server.address))
            await self.raises(call, f"dial() by a chain that raises {error!r}", type(error))
            await self.settle()
            expect(server.connections == 0, "the target was connected to all the same")

    @clause(
        "With a chain that finds None, or a route without nodes, bind() raises EmptyRouteError.",
        "D36",
    )
    async def bind_empty_route(self) -> None:
        for route in (None, FakeRoute(self._world())):
            router = self._make(chain_router_option(FakeChainer(route)))
            what = "None" if route is None else "a route without nodes"
            call = _kept(self, router.bind(Context(), "tcp", "127.0.0.1:0"))
            await self.raises(call, f"bind() over {what}", EmptyRouteError)

    @clause("Without a chain, bind() listens on this host.", "D36")
    async def bind_no_chain(self) -> None:
        call = self._make().bind(Context(), "tcp", "127.0.0.1:0")
        tunnel = await self.within(call, "bind()")
        self.keep(tunnel.close)
        expect(not str(tunnel.addr()).endswith(":0"), f"addr() of port 0 is {tunnel.addr()}")

    @clause(
        "bind() binds at the route with the options of the call; nothing is mapped or resolved.",
        "D38",
    )
    async def bind(self) -> None:
        addresses = [ip_address("192.0.2.10")]
        mapper = FakeHostMapper({"target.example": addresses})
        known = FakeResolver({"target.example": addresses})
        _, route, _, router = self._routed(
            host_mapper_router_option(mapper), resolver_router_option(known)
        )
        call = router.bind(Context(), "tcp", _TARGET, mux_bind_option(True))
        await self.within(call, "bind()")
        expect(len(route.binds) == 1, f"the route was bound {len(route.binds)} times")
        address = route.binds[0].address
        expect(address == _TARGET, f"bind({_TARGET!r}) had the route bind {address!r}")
        expect(route.binds[0].bind_options.mux, "mux was True, and the route was told False")

    @clause("bind() that is not supported, or malformed, is not tried again.", "D16")
    async def bind_permanent(self) -> None:
        for error in (BindUnsupportedError("this node cannot bind"), ValueError("malformed")):
            _, route, _, router = self._routed(retries_router_option(3))
            route.binding.fail_always(error)
            call = router.bind(Context(), "tcp", ":0")
            await self.raises(call, f"bind() where the route raises {error!r}", type(error))
            calls = route.binding.calls
            expect(calls == 1, f"a {type(error).__name__} was followed by {calls - 1} attempts")

    @clause("`retries` is how many attempts follow the first.", "D24, D38", after=("dial",))
    async def retries(self) -> None:
        _, route, _, router = self._routed(retries_router_option(2))
        route.dialing.fail_always(_error())
        await _expect_failing(self, router.dial(Context(), "tcp", _TARGET), "the dial")
        calls = route.dialing.calls
        expect(calls == 3, f"with 2 retries there were {calls} attempts instead of 3")

    @clause("With 0 or negative `retries` there is one attempt.", "D24", after=("dial",))
    async def retries_none(self) -> None:
        for retries in (0, -1):
            _, route, _, router = self._routed(retries_router_option(retries))
            route.dialing.fail_always(_error())
            await _expect_failing(self, router.dial(Context(), "tcp", _TARGET), "the dial")
            calls = route.dialing.calls
            expect(calls == 1, f"with {retries} retries there were {calls} attempts instead of 1")

    @clause("An OSError is followed by the next attempt at once.", "D38", after=("retries",))
    async def retries_at_once(self) -> None:
        failures = 200
        _, route, _, router = self._routed(retries_router_option(failures))
        route.dialing.fail(*[_error() for _ in range(2 * failures)])
        now = asyncio.get_running_loop().time
        began = now()
        for _ in range(failures):
            with suppress(OSError):
                await route.dial(Context(), "tcp", _TARGET)
        unhindered = now() - began
        began = now()
        call = router.dial(Context(), "tcp", _TARGET)
        await self.within(call, f"a dial of {failures} attempts that fail at once, and a good one")
        took = now() - began
        # What the machine is busy with slows both; a wait between attempts only the router.
        expect(
            took < 0.005 * failures + 20 * unhindered,
            f"{failures} attempts that fail at once took {took:.2f} s by the router, and "
            f"{unhindered:.2f} s without one",
        )

    @clause("The last error is raised, with the earlier ones as notes.", "D38", after=("retries",))
    async def errors_noted(self) -> None:
        _, route, _, router = self._routed(retries_router_option(2))
        errors = OSError("apples"), ConnectionResetError("pears"), ConnectionRefusedError("plums")
        route.dialing.fail(*errors)
        try:
            await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        except OSError as error:
            expect("plums" in str(error), f"the last error was plums, and it raised {error!r}")
            notes: list[str] = getattr(error, "__notes__", [])
            for fruit in ("apples", "pears"):
                found = any(fruit in note for note in notes)
                expect(found, f"an earlier error said {fruit}, and the notes are {notes}")
        else:
            raise Broken("three attempts failed, and dial() returned")

    @clause("Each attempt asks the chain for a route.", "D38", after=("retries",))
    async def route_each_attempt(self) -> None:
        _, route, chain, router = self._routed(retries_router_option(2))
        route.dialing.fail_always(_error())
        await _expect_failing(self, router.dial(Context(), "tcp", _TARGET), "the dial")
        calls = len(chain.calls)
        expect(calls == 3, f"3 attempts asked the chain {calls} times")

    @clause(
        "UnsupportedError and ValueError are raised at once, without another attempt.",
        "D16, D38",
        after=("dial",),
    )
    async def permanent(self) -> None:
        for error in (UnsupportedError("no such network here"), ValueError("malformed")):
            _, route, _, router = self._routed(retries_router_option(3))
            route.dialing.fail_always(error)
            call = router.dial(Context(), "tcp", _TARGET)
            await self.raises(call, f"dial() where the route raises {error!r}", type(error))
            calls = route.dialing.calls
            expect(calls == 1, f"a {type(error).__name__} was followed by {calls - 1} attempts")

    @clause("An attempt that takes longer than the timeout ends in a TimeoutError.", "D14, D38")
    async def timeout(self) -> None:
        for what in ("the host mapper", "the resolver", "the chain", "the route"):
            mapper = FakeHostMapper({})
            known = FakeResolver({"target.example": [ip_address("192.0.2.10")]})
            _, route, chain, router = self._routed(
                timeout_router_option(_SHORT),
                host_mapper_router_option(mapper if what == "the host mapper" else None),
                resolver_router_option(known),
            )
            scripts = {
                "the host mapper": mapper.looking,
                "the resolver": known.resolving,
                "the chain": chain.routing,
                "the route": route.dialing,
            }
            scripts[what].hang()
            call = router.dial(Context(), "tcp", _TARGET)
            await self.raises(call, f"a dial where {what} hangs", TimeoutError)

    @clause(
        "The timeout is for each attempt: one that hangs leaves the next its whole time.",
        "D38",
        after=("timeout", "retries"),
    )
    async def timeout_each_attempt(self) -> None:
        _, route, _, router = self._routed(
            timeout_router_option(2 * _SHORT), retries_router_option(5)
        )
        route.dialing.hang(1)
        call = router.dial(Context(), "tcp", _TARGET)
        await self.within(call, "a dial whose first attempt hangs")

    @clause(
        "A timeout of 0 is the default of 15 s and a negative one is no limit: "
        "neither ends an attempt at once.",
        "D24",
        after=("dial",),
    )
    async def timeout_zero(self) -> None:
        for timeout in (0.0, -1.0):
            _, _, _, router = self._routed(timeout_router_option(timeout))
            call = router.dial(Context(), "tcp", _TARGET)
            await self.within(call, f"a dial with a timeout of {timeout}")

    @clause(
        "Cancelling ends the attempt, and no other follows.", "D4, D14", after=("dial", "retries")
    )
    async def cancel(self) -> None:
        _, route, _, router = self._routed(timeout_router_option(_LONG), retries_router_option(3))
        route.dialing.hang(1)
        task = self.start(router.dial(Context(), "tcp", _TARGET))
        await self.given(route.dialing.hanging.wait(), "reaching the route")
        await cancel(task, "the dial", self.time_limit)
        calls = route.dialing.calls
        expect(calls == 1, f"after the cancellation there were {calls - 1} more attempts")

    @clause("The connection outlives the task and the timeout of the call.", "D4", after=("dial",))
    async def outlives(self) -> None:
        world, _, _, router = self._routed(
            timeout_router_option(2 * _SHORT), retries_router_option(5)
        )
        conn = await self.given(
            self.start(router.dial(Context(), "tcp", _TARGET)), "a dial in a task of its own"
        )
        await asyncio.sleep(3 * _SHORT)
        await _expect_carries(self, conn, world.far_ends[-1], "a connection older than the timeout")

    @clause("One dial that hangs does not hold up another.", "D22", after=("dial",))
    async def concurrent(self) -> None:
        _, route, _, router = self._routed(timeout_router_option(_LONG))
        route.dialing.hang(1)
        self.start(router.dial(Context(), "tcp", _TARGET))
        await self.given(route.dialing.hanging.wait(), "reaching the route")
        call = router.dial(Context(), "tcp", _TARGET)
        await self.within(call, "a dial beside one that hangs")

    @clause("The options of a call win over the router's own.", "D38", after=("dial",))
    async def per_call_options(self) -> None:
        # A route without nodes: only there do these options concern anything.
        route = FakeRoute(self._world())
        router = self._serving(
            chain_router_option(FakeChainer(route)), interface_router_option("of-the-router")
        )
        with suppress(Exception):
            call = router.dial(
                Context(), "tcp", "127.0.0.1:1", interface_dial_option("of-the-call")
            )
            await self.within(call, "dial()")
        if not route.dials:
            raise NotTried("it dials itself, not by the route, if that has no nodes")
        interface = route.dials[0].dial_options.interface
        expect(interface == "of-the-call", f"the interface that was used is {interface!r}")

    @clause("The router's own options apply where the call has none.", "D38", after=("dial",))
    async def own_options(self) -> None:
        route = FakeRoute(self._world())
        router = self._serving(
            chain_router_option(FakeChainer(route)), interface_router_option("of-the-router")
        )
        with suppress(Exception):
            await self.within(router.dial(Context(), "tcp", "127.0.0.1:1"), "dial()")
        if not route.dials:
            raise NotTried("it dials itself, not by the route, if that has no nodes")
        interface = route.dials[0].dial_options.interface
        expect(interface == "of-the-router", f"the interface that was used is {interface!r}")

    @clause(
        "Chain and route are given the resolved address, and the chain also the original as the "
        "host.",
        "D37, D38",
        after=("dial",),
    )
    async def resolved(self) -> None:
        known = FakeResolver({"target.example": [ip_address("192.0.2.10")]})
        _, route, chain, router = self._routed(resolver_router_option(known))
        await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        told = (chain.calls[0].address, route.dials[0].address)
        expected = "192.0.2.10:80"
        expect(told == (expected, expected), f"chain and route were told {told}")
        host = chain.calls[0].host
        expect(host == _TARGET, f"the host that the chain was told is {host!r}")

    @clause("An IPv6 address that a name resolves to is put in brackets.", "D12", after=("dial",))
    async def resolved_ipv6(self) -> None:
        known = FakeResolver({"target.example": [ip_address("2001:db8::10")]})
        _, route, _, router = self._routed(resolver_router_option(known))
        await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        address = route.dials[0].address
        expect(address == "[2001:db8::10]:80", f"the route was told {address!r}")

    @clause(
        "Mapper and resolver are asked for both families, by the bare host.",
        "D11, D39",
        after=("dial",),
    )
    async def resolver_question(self) -> None:
        mapper = FakeHostMapper({})
        known = FakeResolver({"2001:db8::1": [ip_address("2001:db8::1")]})
        _, _, _, router = self._routed(
            host_mapper_router_option(mapper), resolver_router_option(known)
        )
        await self.within(router.dial(Context(), "tcp", "[2001:db8::1]:80"), "dial()")
        for who, asked in (("mapper", mapper.asked), ("resolver", known.asked)):
            # A literal needs no question.
            right = all(question == ("ip", "2001:db8::1") for question in asked)
            expect(right, f"for [2001:db8::1]:80 the {who} was asked {asked}")

    @clause("The host mapper is asked first, and what it maps is not resolved.", "D39")
    async def mapped(self) -> None:
        mapper = FakeHostMapper({"target.example": [ip_address("192.0.2.20")]})
        known = FakeResolver({"target.example": [ip_address("192.0.2.10")]})
        _, route, _, router = self._routed(
            host_mapper_router_option(mapper), resolver_router_option(known)
        )
        await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        address = route.dials[0].address
        expect(address == "192.0.2.20:80", f"mapped to 192.0.2.20, the route was told {address!r}")

    @clause("What the host mapper does not map goes to the resolver.", "D39")
    async def unmapped_resolved(self) -> None:
        known = FakeResolver({"target.example": [ip_address("192.0.2.10")]})
        _, route, _, router = self._routed(
            host_mapper_router_option(FakeHostMapper({})), resolver_router_option(known)
        )
        await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        address = route.dials[0].address
        expect(address == "192.0.2.10:80", f"the route was told {address!r}")

    @clause("A name that is mapped to no address fails the dial with gaierror.", "D39")
    async def mapped_empty(self) -> None:
        known = FakeResolver({"target.example": [ip_address("192.0.2.10")]})
        _, route, _, router = self._routed(
            host_mapper_router_option(FakeHostMapper({"target.example": []})),
            resolver_router_option(known),
        )
        call = router.dial(Context(), "tcp", _TARGET)
        await self.raises(call, "dialing a name that is mapped to nothing", socket.gaierror)
        expect(not route.dials, "the route was dialed all the same")

    @clause("A name that the resolver does not know fails the dial with gaierror.", "D39")
    async def unresolved(self) -> None:
        _, route, _, router = self._routed(resolver_router_option(FakeResolver({})))
        call = router.dial(Context(), "tcp", _TARGET)
        await self.raises(call, "dialing a name that does not exist", socket.gaierror)
        expect(not route.dials, "the route was dialed all the same")

    @clause("A resolver's InvalidError leaves the address as it is.", "D39", after=("dial",))
    async def resolver_invalid(self) -> None:
        known = FakeResolver({})
        known.resolving.fail_always(InvalidError("there is no such resolver"))
        _, route, _, router = self._routed(resolver_router_option(known))
        await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        address = route.dials[0].address
        expect(address == _TARGET, f"the route was told {address!r} instead of {_TARGET!r}")

    @clause("A mapper or a resolver that fails otherwise fails the attempt.", "D39")
    async def resolver_failure(self) -> None:
        mapper, known = FakeHostMapper({}), FakeResolver({})
        for option, script in (
            (host_mapper_router_option(mapper), mapper.looking),
            (resolver_router_option(known), known.resolving),
        ):
            script.fail_always(_error())
            _, route, _, router = self._routed(option)
            call = router.dial(Context(), "tcp", _TARGET)
            await self.raises(call, "a dial whose name lookup fails", ConnectionResetError)
            expect(not route.dials, "the route was dialed with the name all the same")

    @clause(
        "Without mapper and resolver a name stays a name, for whoever is at the end of the route.",
        "D12, D39",
        after=("dial",),
    )
    async def name_stays(self) -> None:
        _, route, chain, router = self._routed()
        await self.within(router.dial(Context(), "tcp", "localhost:80"), "dial()")
        told = (chain.calls[0].address, route.dials[0].address)
        expect(told == ("localhost:80", "localhost:80"), f"chain and route were told {told}")

    @clause(
        "What does not split into host and port is neither mapped nor resolved, and goes on.",
        "D12, D37",
        after=("dial",),
    )
    async def no_port(self) -> None:
        for network, address in (("unix", "/run/some.socket"), ("serial", "COM1"), ("udp", "")):
            mapper, known = FakeHostMapper({}), FakeResolver({})
            _, route, _, router = self._routed(
                host_mapper_router_option(mapper), resolver_router_option(known)
            )
            await self._dial_offered(router, network, address)
            told = route.dials[0].address
            expect(told == address, f"dial({network!r}, {address!r}) had the route dial {told!r}")
            asked = mapper.asked + known.asked
            expect(not asked, f"for {address!r} there was a lookup of {asked}")

    @clause("For udp the result is a PacketConn, whatever the route gives.", "D38", after=("dial",))
    async def udp_packets(self) -> None:
        for network in ("udp", "udp4", "udp6"):
            _, _, _, router = self._routed()
            conn = await self._dial_offered(router, network, _TARGET)
            kind = type(conn).__qualname__
            expect(isinstance(conn, PacketConn), f"a {kind}, for {network}, is no PacketConn")

    @clause("Without a chain, dialing udp without an address gives a PacketConn.", "D9, D38")
    async def udp_direct(self) -> None:
        conn = await self._dial_offered(self._make(), "udp", "")
        self.keep(conn.close)
        kind = type(conn).__qualname__
        expect(isinstance(conn, PacketConn), f"a {kind} is no PacketConn")

    @clause("Every recorder of dialed addresses is given the target's host.", "D55")
    async def recorded(self) -> None:
        first, second, other = FakeRecorder(), FakeRecorder(), FakeRecorder()
        point = RECORDER_SERVICE_ROUTER_DIAL_ADDRESS
        _, _, _, router = self._routed(
            recorders_router_option(
                RecorderObject(recorder=other, record="recorder.of.something.else"),
                RecorderObject(recorder=first, record=point),
                RecorderObject(recorder=second, record=point),
            )
        )
        await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
        for recorder in (first, second):
            records = recorder.records
            expect(records == [b"target.example"], f"a recorder of {point} has {records}")
        expect(not other.records, f"a recorder of another point has {other.records}")

    @clause("Every recorder of failed dials is given the target's host, after a failure.", "D55")
    async def recorded_failure(self) -> None:
        for fails in (True, False):
            recorder = FakeRecorder()
            point = RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR
            _, route, _, router = self._routed(
                recorders_router_option(RecorderObject(recorder=recorder, record=point))
            )
            if fails:
                route.dialing.fail_always(_error())
            with suppress(Exception):
                await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")
            expected = [b"target.example"] if fails else []
            end = "failed" if fails else "went well"
            expect(
                recorder.records == expected,
                f"the dial {end}, and a recorder of {point} has {recorder.records}",
            )

    @clause("A recorder that fails does not fail the dial.", "D55", after=("recorded",))
    async def recorder_failure(self) -> None:
        recorder = FakeRecorder()
        recorder.recording.fail_always(_error())
        point = RECORDER_SERVICE_ROUTER_DIAL_ADDRESS
        _, _, _, router = self._routed(
            recorders_router_option(RecorderObject(recorder=recorder, record=point))
        )
        await self.within(router.dial(Context(), "tcp", _TARGET), "dial()")

    @clause("Chain and route are given the values of the request.", "D28", after=("dial",))
    async def context_handed_on(self) -> None:
        _, route, chain, router = self._routed()
        await self.within(router.dial(_context(), "tcp", _TARGET), "dial()")
        _expect_context(chain.calls[0].ctx, "the chain")
        _expect_context(route.dials[0].ctx, "the route")

    @clause("Closing a router leaves its chain open, which was only lent to it.", "D19")
    async def chain_stays_open(self) -> None:
        _, _, chain, router = self._routed()
        if isinstance(router, Closer):
            await self.within(router.close(), "close()")
        expect(not chain.closed, "close() closed the chain")

    async def _expect_direct(self, *opts: RouterOption) -> None:
        server = await self._loopback()
        router = self._make(*opts)
        conn = await self.within(
            router.dial(Context(), "tcp", server.address), "dialing the loopback"
        )
        self.keep(conn.close)
        await self.within(conn.write(b"ping"), "write()")
        data = await self.within(conn.read(4), "read()")
        expect(data == b"ping", f"an echo server sent back {data!r} for b'ping'")

    def _routed(self, *opts: RouterOption) -> tuple[World, FakeRoute, FakeChainer, Router]:
        """Return a router over a chain whose route has a node."""
        world = self._world()
        route = FakeRoute(world, _node(world, "one"))
        chain = FakeChainer(route)
        return world, route, chain, self._serving(chain_router_option(chain), *opts)

    def _serving(self, *opts: RouterOption) -> Router:
        """Make a router with options that it need not serve, if it says so."""
        try:
            return self._make(*opts)
        except ValueError as error:
            raise NotTried(f"the constructor refuses an option: {error}") from error

    async def _dial_offered(self, router: Router, network: str, address: str) -> Conn:
        """Dial by a network that need not be offered."""
        try:
            return await self.within(
                router.dial(Context(), network, address), f"dial({network!r}, {address!r})"
            )
        except UnsupportedError as error:
            raise NotTried(f"{network} is not offered: {error}") from error

    async def _loopback(self) -> Loopback:
        server = Loopback()
        self.keep(server.close)
        await self.given(server.start(), "a server on the loopback")
        return server

    def _world(self) -> World:
        world = World()
        self.keep(world.close)
        return world


@checks(RouterContract)
async def check_chain_router(
    make: Callable[[*tuple[RouterOption, ...]], Router], /, *, time_limit: float = 5.0
) -> Report:
    """Check a router, over chains, routes, mappers and resolvers of the kit.

    What is direct is checked on this host's loopback.

    Args:
        make: makes a router with the options that it is called with; a class whose constructor
            takes ``*opts: RouterOption`` will do.
        time_limit: seconds for each wait, more than one.

    Returns:
        The report, if no clause is broken.

    Raises:
        ContractError: some are; it lists them all.
    """
    return await run(RouterContract(make), time_limit)


# ---- ProbeResultReader


class ProbeResultReaderContract(Contract, Generic[ReaderT], interface=ProbeResultReader):
    def __init__(
        self,
        make: Callable[[], ReaderT],
        probe: Callable[[ReaderT, bool], Awaitable[object]] | None,
    ) -> None:
        super().__init__()
        self._make = make
        self._probe = probe

    async def specimen(self) -> ReaderT:
        return self._make()

    @clause("Before the first probe has ended, there is no result.", "D43")
    async def none_at_first(self) -> None:
        result = self._make().probe_result()
        expect(result is None, f"nothing was probed, and probe_result() returned {result}")

    @clause("After a probe that succeeds, there is a result that says so.", "D46")
    async def success_stored(self) -> None:
        reader = await self._probed(True)
        result = reader.probe_result()
        if result is None:
            raise Broken("probe_result() returned None after a probe")
        else:
            expect(result.success, f"the probe succeeded, and the result is {result}")
            expect(result.error == "", f"the probe succeeded, with the error {result.error!r}")

    @clause("After a probe that fails, there is a result that says so, and why.", "D46")
    async def failure_stored(self) -> None:
        reader = await self._probed(False)
        result = reader.probe_result()
        if result is None:
            raise Broken("probe_result() returned None after a probe")
        else:
            expect(not result.success, f"the probe failed, and the result is {result}")
            expect(result.error != "", "the probe failed, and the result has no error")

    @clause("The latest result counts.", "D43, D46", after=("success_stored", "failure_stored"))
    async def latest(self) -> None:
        for last in (True, False):
            reader = await self._probed(not last, last)
            result = reader.probe_result()
            found = result is not None and result.success is last
            expect(found, f"after probes of success {not last} and {last} the result is {result}")

    @clause(
        "A result says how long the probe took, and when it ended.",
        "D46",
        after=("success_stored",),
    )
    async def timed(self) -> None:
        before = time.time()
        reader = await self._probed(True)
        after = time.time()
        result = reader.probe_result()
        if result is not None:
            expect(
                # The clock of the probe may be a coarser one.
                before - 1 <= result.timestamp <= after + 1,
                f"the probe ended at {after:.3f} at the latest, the result's timestamp is "
                f"{result.timestamp}",
            )
            expect(
                0 <= result.latency <= after - before + 1,
                f"the probe took {after - before:.3f} s at most, and the latency is "
                f"{result.latency}",
            )

    @clause("A probe that fails marks.", "D46")
    async def failure_marks(self) -> None:
        reader = await self._probed(False)
        expect(self._count(reader) > 0, "the probe failed, and the marker counts 0")

    @clause("A probe that succeeds resets the marker.", "D46", after=("failure_marks",))
    async def success_resets(self) -> None:
        reader = await self._probed(False, True)
        expect(self._count(reader) == 0, f"the marker counts {self._count(reader)}")

    async def _probed(self, *successes: bool) -> ReaderT:
        if self._probe is None:
            raise NotTried("no `probe` was given")
        reader = self._make()
        for success in successes:
            await self.given(self._probe(reader, success), "the probe")
        return reader

    def _count(self, reader: ReaderT) -> int:
        marker = reader.marker() if isinstance(reader, Markable) else None
        if marker is None:
            raise NotTried("it has no marker")
        return marker.count()


@checks(ProbeResultReaderContract)
async def check_chain_probe_result_reader(
    make: Callable[[], ReaderT],
    /,
    *,
    probe: Callable[[ReaderT, bool], Awaitable[object]] | None = None,
    time_limit: float = 5.0,
) -> Report:
    """Check something that is probed.

    Args:
        make: makes one that was not probed yet. If it is Markable, its marker is checked too.
        probe: lets one probe of it begin and end, well if the second argument is True, and with
            a failure if it is False.
        time_limit: seconds for each wait.

    Returns:
        The report, if no clause is broken.

    Raises:
        ContractError: some are; it lists them all.
    """
    return await run(ProbeResultReaderContract(make, probe), time_limit)
