"""The contract of dialers."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from typing_extensions import TypeVar

from gost_core.common.net import ClosedError, Closer, Conn, Listener, UnsupportedError
from gost_core.context import Context
from gost_core.dialer import (
    Dialer,
    DialOption,
    DialOptions,
    Handshaker,
    Multiplexer,
    addr_handshake_option,
    host_dial_option,
    net_dialer_dial_option,
)
from gost_core.keys import TIME_LIMIT
from gost_core.testing._families.closers import closed_at_once, closed_twice, closes_cut_short
from gost_core.testing._families.life import LifeCycle
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._families.steps import (
    Answered,
    Secretive,
    Streamed,
    cut_anywhere,
    expect_no_task_left,
    succeeds,
)
from gost_core.testing._run.attempt import Exempt, current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    applies,
    closable,
    expect,
    expect_cancelled,
    given,
    need,
    outcome_of,
    owned,
    raises,
    returned,
    settle,
    start,
    turns,
    until,
    within,
)
from gost_core.testing._stage.network import Network, Peer, echo, silent
from gost_core.testing._stage.servers import EchoServer

__all__ = ("ADDR", "NAME", "DialerContract", "DialerT")

DialerT = TypeVar("DialerT", bound=Dialer, default=Dialer)

NAME: Final[str] = "proxy.example:443"
"""What a node is called in its configuration."""
# On this host, so that a dialer that goes its own way comes to nobody, and to nobody else.
ADDR: Final[str] = "127.0.0.1:1"
_OTHER_ADDR: Final[str] = "127.0.0.1:2"
_CALLS: Final[int] = 5
# Long enough for a busy machine to begin two dials.
_LIMIT: Final[float] = 0.5


class DialerContract(
    LifeCycle[DialerT],
    TakesOptions,
    Answered[DialerT, Peer],
    Secretive[DialerT, Peer, Conn],
    Streamed[DialerT, Peer],
    interface=Dialer,
    first=("dials",),
):
    """What a dialer promises.

    The contract is the network and the node: the dialer is given, by its options, a dialer whose
    connections exist in memory only, and ``peer`` plays the node at their far end. A silent node,
    one that dies and one that comes back need no hook. If the dialer has a handshake, ``peer``
    waits for it, and the contract does it.

    The connections that it gives have a contract of their own, ``common.net.ConnContract``.
    """

    peer: Peer = echo
    """Plays the node at its end of a connection: speaks the transport's protocol, and sends back
    what comes through it, until it ends. The contract closes that end."""
    host: str = NAME
    """The node's address as configured; its host is what certificates must be for."""
    listen: Callable[[], Awaitable[Listener]] | None = None
    """For a dialer that opens its own sockets, such as one for a serial line: begins to listen
    where ``addr()`` says; its connections are played by the peers."""
    leaving: Peer | None = None
    """Plays a node that sends back what comes once and then ends the session as its protocol does,
    such as ``async with QuicServer(conn) as session: await echo_once(await session.accept())``."""
    pass_idle_time: Callable[[], Awaitable[object]] | None = None
    """Lets the idle time pass that the dialer documents, after which it ends a session without
    users; None = a session ends with its last user."""

    _called = "dial()"
    _options = DialOptions

    def _first_use(self, component: DialerT, /) -> Awaitable[object]:
        return component.dial(current().ctx, ADDR, net_dialer_dial_option(Network(self.peer)))

    def _right(self) -> Peer:
        return self.peer

    def _played(self, node: Peer, /) -> Peer:
        return node

    async def _network(self, peer: Peer, /) -> Network:
        network = Network(peer)
        if self.listen is not None:
            await network.listen(await given(self.listen(), "listen()"))
        return network

    async def _deaths(self) -> tuple[Peer, ...]:
        ends = () if self.leaving is None else (self.leaving,)
        return ends if await self._carries_datagrams() else (*await super()._deaths(), *ends)

    async def _carries_datagrams(self) -> bool:
        """Tell whether the dialer asks for datagrams, which tell nothing of a node that is gone."""
        dialer, network = await self._ready(), await self._network(self.peer)
        await given(self._dialed(dialer, network), "dial()")
        return network.carries_datagrams()

    async def _addressed(self) -> Conn:
        dialer, network = await self._ready(), await self._network(self.peer)
        return await succeeds(self._dialed(dialer, network), "dial()")

    def _inside(self) -> None:
        applies(self.listen is None, "the dialer opens its own sockets, as `listen` says")

    def _dialing(
        self, dialer: DialerT, network: Network, addr: str = ADDR, *opts: DialOption
    ) -> Awaitable[Conn]:
        """Dial; what comes of it is not looked at."""
        if network.listener is not None:
            addr = str(network.listener.addr())
        else:
            opts = (net_dialer_dial_option(network), *opts)
        return dialer.dial(current().ctx, addr, host_dial_option(self.host), *opts)

    async def _dialed(
        self, dialer: DialerT, network: Network, addr: str = ADDR, *opts: DialOption
    ) -> Conn:
        """Dial, and keep the result."""
        return owned(returned(await self._dialing(dialer, network, addr, *opts), "dial()"))

    async def _step(self, component: DialerT, network: Network, addr: str = ADDR, /) -> Conn:
        """Dial, and do the dialer's handshake if it has one."""
        conn = await self._dialed(component, network, addr)
        if isinstance(component, Handshaker):
            shaking = component.handshake(current().ctx, conn, addr_handshake_option(self.host))
            conn = owned(returned(await shaking, "handshake()"))
        return conn

    async def _use(self, component: DialerT, result: Conn, peer: Peer, what: str, /) -> None:
        await self._works(result, what)

    async def _open(self, dialer: DialerT, network: Network, addr: str = ADDR) -> Conn:
        return await succeeds(self._step(dialer, network, addr), "dialing")

    async def _call_with(self, *opts: AnyOption) -> None:
        await self._dialed(await self._ready(), await self._network(self.peer), ADDR, *opts)

    @clause(
        "dial() gives a connection to the node, and it carries data.",
        "D5, D31",
        after=("options_dialer_used",),
    )
    async def dials(self) -> None:
        dialer, network = await self._ready(), await self._network(self.peer)

        async def use() -> None:  # in one task, which the connection need not outlive here
            await self._works(await self._step(dialer, network), "the connection")

        await within(use(), "dialing")

    @clause(
        "A node is known by the address that is dialed: with a name in the options, of dial() and "
        "of the handshake, it is reached again and again.",
        "D32",
        after=("outlives_call",),
    )
    async def known_by_address(self) -> None:
        dialer, network = await self._ready(), await self._network(self.peer)
        for _ in range(4):
            await self._works(await self._open(dialer, network), "the connection")

    @clause("The connection beneath comes from the dialer in the options.", "D23, D32")
    async def options_dialer_used(self) -> None:
        self._inside()
        dialer, network = await self._ready(), await self._network(self.peer)
        dialing = start(self._dialed(dialer, network))
        await within(asyncio.wait({dialing}), "dial()")
        expect(bool(network.dials), f"dial() {outcome_of(dialing)}; the dialer given was not asked")

    @clause(
        "The address given is dialed; the host in the options is for names only.",
        "D32",
        after=("options_dialer_used", "outlives_call"),
    )
    async def address_dialed(self) -> None:
        self._inside()
        for given_addr in (ADDR, "[2001:db8::1]:1", "node.example:1"):
            dialer, network = await self._ready(), await self._network(self.peer)
            owned(await succeeds(self._dialing(dialer, network, given_addr), "dial()"))
            for name, addr in network.dials:
                legal = (given_addr, "") if name.startswith("udp") else (given_addr,)
                what = f"dial({given_addr!r}) with the host {self.host!r} had {addr!r} dialed"
                expect(addr in legal, what)

    @clause(
        "Without a dialer in the options it dials from this host, also after calls with one.",
        "D24",
        after=("addresses_apart",),
    )
    async def own_network(self) -> None:
        self._inside()
        dialer, network, lent = await self._ready(), Network(self.peer), Network(self.peer)
        await self._open(dialer, lent)
        lent.dials.clear()
        await network.listen_on_loopback("udp" if await self._carries_datagrams() else "tcp")
        await self._works(await self._open(dialer, network), "the connection")
        expect(not lent.dials, f"the dialer of an earlier call was asked for {lent.dials}")

    @clause(
        "One dialer dials several times at once, and the connections do not mix.",
        "D32",
        after=("known_by_address",),
    )
    async def concurrent(self) -> None:
        dialer, network = await self._ready(), await self._network(self.peer)
        calls = [self._step(dialer, network) for _ in range(_CALLS)]
        conns = await succeeds(asyncio.gather(*calls), f"one of {_CALLS} dials at once")
        pings = (self._works(conn, f"one of {_CALLS} connections") for conn in conns)
        await within(asyncio.gather(*pings), "using them at once")

    @clause(
        "Two addresses are two nodes, even under one host, each by the dialer in its options.",
        "D22, D23, D32",
        after=("known_by_address", "address_dialed"),
    )
    async def addresses_apart(self) -> None:
        self._inside()
        for calls in (2, 1):
            dialer = await self._ready()
            ways = [(addr, await self._network(self.peer)) for addr in (ADDR, _OTHER_ADDR)]
            # At first both at once, then one after the other.
            for number in range(0, 2, calls):
                some = ways[number : number + calls]
                opening = asyncio.gather(*(self._open(dialer, way, addr) for addr, way in some))
                for conn in await within(opening, "dialing"):
                    await self._works(conn, "the connection")
            for addr, way in ways:
                dialed = {one for _, one in way.dials}
                what = f"{addr} was dialed by a dialer of its own, which dialed {sorted(dialed)}"
                expect(dialed in ({addr}, {""}), what)

    # ---- Owning

    @clause(
        "Each result is a handle of its own: closing one leaves the others alive.",
        "D3",
        after=("known_by_address",),
    )
    async def handles_apart(self) -> None:
        dialer, network = await self._ready(), await self._network(self.peer)
        for number in range(5):
            first, second = [await self._open(dialer, network) for _ in range(2)]
            # What the node still sends to the first comes too late.
            start(self._works(first, "the first connection"))
            await turns(number)
            await closed_twice(first)
            await settle()
            await self._works(second, "the second connection, after close() of the first,")

    @clause("Closing the last result leaves nothing open.", "D3", after=("known_by_address",))
    async def close_frees(self) -> None:
        dialer, network = await self._ready(), await self._network(self.peer)
        for conn in [await self._open(dialer, network) for _ in range(2)]:
            await within(conn.close(), "close()")
        await _expect_idle(network, "every result was closed", self.pass_idle_time)

    # ---- Failures

    @clause(
        "A failure to open the connection beneath comes through as what it is, to this call alone.",
        "D5, D14, D16",
        after=("addresses_apart",),
    )
    async def failure_beneath(self) -> None:
        self._inside()
        for error in (
            ConnectionRefusedError("nobody listens there"),
            socket.gaierror(socket.EAI_NONAME, "no such name"),
            UnsupportedError("this network is not offered"),
            ValueError("the address is malformed"),
        ):
            dialer, network = await self._ready(), await self._network(self.peer)
            network.error = error
            what, server = f"dial(), as the options' dialer raised {describe(error)},", EchoServer()
            failing = start(self._dialing(dialer, network, addr := await server.tcp()))
            await self._open(dialer, await self._network(self.peer), _OTHER_ADDR)
            await raises(failing, what, type(error))
            await self._open(dialer, await self._network(self.peer), addr)
            expect(not server.connections, f"{what} connected all the same")

    @clause("When dial() raises, nothing is left open.", "D3", after=("dials", "close_frees"))
    async def failure_frees(self) -> None:
        for peer in await self._failing():
            dialer, network = await self._ready(), await self._network(peer)
            before, dialing = asyncio.all_tasks(), start(self._dialing(dialer, network))
            await within(asyncio.wait({dialing}), "dial()")
            if dialing.exception() is None:
                await given(dialing.result().close(), "close()")
            await _expect_idle(network, f"dial() {outcome_of(dialing)}", self.pass_idle_time)
            await expect_no_task_left(before, f"dial() {outcome_of(dialing)}")

    # ---- Silence

    @clause("A cancelled dial() ends promptly, as cancelled.", "D4, D14", after=("outlives_call",))
    async def cancellable(self) -> None:
        for silence in ("network", "node") if self.listen is None else ("node",):
            dialer, network = await self._ready(), await self._network(silent)
            network.is_silent = silence == "network"
            dialing = start(self._dialing(dialer, network))
            await _begun(network)
            if not dialing.done():
                await expect_cancelled(dialing, f"dial() through a silent {silence}")

    @clause(
        "A cancelled dial() leaves nothing open, wherever it was.",
        "D4",
        after=("cancellable", "close_frees"),
    )
    async def cancel_frees(self) -> None:
        dialer = await self._ready()
        for peer, is_silent in ((silent, True), (silent, False), (self.peer, False)):
            network = await self._network(peer)
            network.is_silent = is_silent and self.listen is None
            dial = partial(self._dialing, dialer, network)
            for calls in (1, 2):
                await asyncio.gather(*(cut_anywhere(dial) for _ in range(calls)))
                await _expect_idle(network, f"{calls} dial() were cancelled", self.pass_idle_time)

    @clause(
        "After calls that were cancelled, it works as before.",
        "D18",
        after=("outlives_call", "cancellable"),
    )
    async def works_after_cancel(self) -> None:
        slow, answering = _answering(self.peer)
        dialer, network = await self._ready(), await self._network(slow)
        await cut_anywhere(lambda: self._step(dialer, network), every=6)
        # A session that is kept for its idle time is as good as a new one.
        answering.set()
        conn = await succeeds(self._step(dialer, network), "dialing after cancelled calls")
        await self._works(conn, "the connection dialed after cancelled calls")

    @clause(
        "A dial that waits for a silent node does not hold up one to another node.",
        "D22, D32",
        after=("concurrent", "cancellable", "addresses_apart"),
    )
    async def silent_dial_alone(self) -> None:
        self._inside()
        for silence in ("the network", "the node"):
            dialer, network = await self._ready(), await self._network(silent)
            if silence == "the network":
                network.black_holes.add(_OTHER_ADDR)
            waiting = start(self._dialing(dialer, network, _OTHER_ADDR))
            await _begun(network)
            network.peer = self.peer
            what = f"a connection to {ADDR}, while {silence} was silent to {_OTHER_ADDR},"
            await self._works(await self._open(dialer, network), what)
            waiting.cancel()

    @clause(
        "Of two dials to one node that wait, one is cancelled: the other goes on.",
        "D4, D32",
        after=("concurrent", "cancellable"),
    )
    async def cancel_spares_others(self) -> None:
        await self._give_one_up(None)

    @clause(
        "Of two dials to one node that wait, the TIME_LIMIT of one passes: the other goes on.",
        "D69",
        after=("cancel_spares_others",),
    )
    async def limit_spares_others(self) -> None:
        await self._give_one_up(asyncio.get_running_loop().time() + _LIMIT)

    async def _give_one_up(self, limit: float | None) -> None:
        """Dial twice, the first time with a TIME_LIMIT, and then cancel that."""
        slow, answering = _answering(self.peer)
        dialer, network = await self._ready(), await self._network(slow)
        network.answering = answering
        current().ctx = Context() if limit is None else Context().with_value(TIME_LIMIT, limit)
        first = start(self._dialed(dialer, network))
        await _begun(network)
        current().ctx = Context()
        second = start(self._step(dialer, network))
        await settle()
        await asyncio.sleep(0.0 if limit is None else _LIMIT + 0.01)
        first.cancel()
        await settle()
        answering.set()
        conn = await succeeds(second, "dialing, beside a dial() that was given up,")
        await self._works(conn, "the connection that was dialed beside one that was given up")

    # ---- Sessions

    @clause(
        "A node that died and came back is reached again: a dead session is never handed out.",
        "D32",
        after=("known_by_address",),
    )
    async def node_comes_back(self) -> None:
        if self.leaving is None and await self._carries_datagrams():
            return await self._comes_back_unnoticed()
        dialer, network = await self._ready(), await self._network(self.leaving or self.peer)
        conn = await self._open(dialer, network)
        await self._works(conn, "the first connection")
        reading = start(conn.read(1))
        await settle()
        network.peer = self.peer
        if self.leaving is None:
            await network.break_off()
        # Now the session's end is known, however the dialer learns of it.
        await within(asyncio.wait({reading}), "read() from a node that is gone")
        await settle()
        again = await succeeds(self._step(dialer, network), "dialing after the node was back")
        await self._works(again, "the connection dialed after the node was back")
        for number in range(6):
            start(again.close())
            await turns(number)
            again = await self._open(dialer, network)
            await self._works(again, "a connection dialed beside close() of the last one")

    async def _comes_back_unnoticed(self) -> None:
        """Break the clause if a session is handed out that has failed, over datagrams."""
        failing = need(self.garbling or self.refusing, "garbling` or `refusing")
        dialer, network = await self._ready(), await self._network(failing)
        with suppress(OSError):
            await within(self._step(dialer, network), "dialing a node that fails")
        network.peer = self.peer
        again = await succeeds(self._step(dialer, network), "dialing after the node had failed")
        await self._works(again, "the connection dialed after the node had failed")

    @clause(
        "If connections share a session, so do those of two first dials at once.",
        "D3, D34",
        after=("concurrent", "multiplex_constant"),
    )
    async def one_session(self) -> None:
        dialer, network = await self._ready(), await self._network(self.peer)
        applies(_multiplexer(dialer).multiplex(), "its multiplex() says that they share none")
        dials = asyncio.gather(*(self._open(dialer, network) for _ in range(2)))
        await within(dials, "two dials at once")
        opened = len(network.dials) or len(network.links)
        expect(opened == 1, f"two dials at once opened {opened} sessions")

    @clause("multiplex() gives the same answer at any time.", "D34", after=("outlives_call",))
    async def multiplex_constant(self) -> None:
        dialer, network = self._made(), await self._network(self.peer)
        answers = [_multiplexer(dialer).multiplex()]
        expect(answers[0] in (True, False), f"multiplex() returned {answers[0]!r}")
        await given(dialer.init(self.metadata), "init()")
        answers.append(_multiplexer(dialer).multiplex())
        await self._open(dialer, network)
        answers.append(_multiplexer(dialer).multiplex())
        expect(len(set(answers)) == 1, f"made, initialised and in use it answered {answers}")

    @clause(
        "close() of the dialer ends its sessions and its tasks, also if it is cancelled.",
        "D1, D19, D20",
        after=("addresses_apart", "close_any_time"),
    )
    async def close_ends_sessions(self) -> None:
        async def opened() -> tuple[Closer, Callable[[], Awaitable[None]]]:
            dialer, network = await self._ready(), await self._network(self.peer)
            closer = closable(dialer)
            # Without sessions the connections are the caller's.
            _multiplexer(dialer)
            for addr in (ADDR, _OTHER_ADDR):
                await self._open(dialer, network, addr)
            return closer, lambda: network.expect_unused("the dialer was closed")

        before = asyncio.all_tasks()
        closer, expect_freed = await opened()
        await closed_at_once(closer)
        await expect_freed()
        await closes_cut_short(opened)
        await expect_no_task_left(before, "the dialer was closed")

    @clause(
        "close() of the dialer wakes a waiting dial(), which raises ClosedError, and so does one "
        "after it.",
        "D1, D14",
        after=("cancellable", "close_any_time"),
    )
    async def close_wakes_dial(self) -> None:
        dialer, network = await self._ready(), await self._network(self.peer)
        closer = closable(dialer)
        network.is_silent = True
        waiting = start(self._dialing(dialer, network))
        await settle()
        await within(closer.close(), "close() of the dialer")
        if self.listen is None:
            await raises(waiting, "the waiting dial()", ClosedError)
        await raises(self._dialing(dialer, network), "dial() after close()", ClosedError)


async def _expect_idle(
    network: Network, when: str, pass_idle_time: Callable[[], Awaitable[object]] | None
) -> None:
    """Break the clause unless nothing is open after the idle time, however long that is."""
    if pass_idle_time is not None:
        await pass_idle_time()
    await network.expect_unused(when)


def _answering(peer: Peer) -> tuple[Peer, asyncio.Event]:
    """Return a node that says nothing until the event comes."""
    answering = asyncio.Event()

    async def slow(conn: Conn) -> None:
        await answering.wait()
        await peer(conn)

    return slow, answering


async def _begun(network: Network) -> None:
    """Wait until a dial has begun and, if it waits at all, waits."""
    await until(lambda: bool(network.dials or network.links), "dial() asked for no connection")
    await settle()


def _multiplexer(dialer: Dialer) -> Multiplexer:
    """Return what may share sessions as such."""
    if not isinstance(dialer, Multiplexer):
        raise Exempt("it has no multiplex()")
    return dialer
