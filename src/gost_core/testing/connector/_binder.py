"""The contract of connectors that can have their node listen."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from gost_core.common.net import ClosedError, Conn, Listener
from gost_core.connector import (
    Binder,
    BindOption,
    BindOptions,
    BindUnsupportedError,
    Connector,
    mux_bind_option,
)
from gost_core.testing._families.closers import closed_at_once, closed_twice, closes_cut_short
from gost_core.testing._families.lent import lend
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._families.steps import succeeds
from gost_core.testing._families.whole import (
    LAST,
    PIECES,
    WORDS,
    read_whole,
    write_last,
    write_whole,
)
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    expect_cancelled,
    given,
    need,
    owned,
    raises,
    returned,
    settle,
    start,
    until,
    within,
)
from gost_core.testing._stage.network import BareConn, Network, Node, Outside, Peer
from gost_core.testing._stage.streams import (
    ALL,
    begin,
    cancelled_beside,
    carry,
    drained,
    end_of,
    read_exactly,
)
from gost_core.testing.connector._node import ConnectorT, Playing, ThroughNode

__all__ = ("BinderContract",)

_CALLS: Final[int] = 5
_ADDRESSES: Final[tuple[str, ...]] = (
    *("", ":0", ":8080", "0.0.0.0:8080", "[::]:8080", "bind.example:8080", "localhost:8080"),
)
_LEFT: Final[str] = "the listener was closed, and the connection beneath was not"
_EVERYWHERE: Final[tuple[str, ...]] = ("", "0.0.0.0", "[::]")


class BinderContract(
    TakesOptions,
    ThroughNode[ConnectorT, Listener],
    interface=Binder,
    first=("binds",),
    said={
        "outlives_call": ("The listener outlives the time limit and the task of the call.", "D4")
    },
):
    """What a connector promises that can bind.

    The contract is the client, the connection to the node, and the visitors who come to what the
    node has bound; ``node`` is what is between. The rest of the connector has a contract of its
    own, :class:`ConnectorContract`, which takes the same factories.
    """

    node: Node
    """Plays the proxy node at its end of a connection: reads what the connector asks for, binds by
    the router's ``bind()``, tells where, and passes on whoever comes, with the address, until the
    connection ends. The contract closes its end."""
    networks: list[str] | tuple[str, ...] = ("tcp",)
    """By what it binds: "tcp", or "tcp" and "udp"."""
    incapable: Node | None = None
    """Plays a node that says that it cannot bind."""
    gives_reasons: bool = True
    """Whether a node tells why it does not bind. For SSH, which gives no reason, say
    ``gives_reasons=False``: then ``incapable`` leads to a ConnectionRefusedError, and ``refusing``
    may."""

    _called = "bind()"
    _options = BindOptions

    async def _begin(
        self, component: ConnectorT, conn: BareConn, aside: Network | None = None, /
    ) -> Listener:
        return await self._binding(component, conn)

    def _asking(
        self, connector: ConnectorT, conn: Conn, network: str, address: str, /
    ) -> Awaitable[Listener]:
        return _binder(connector).bind(current().ctx, conn, network, address)

    async def _use(self, component: ConnectorT, result: Listener, peer: Peer, what: str, /) -> None:
        assert isinstance(peer, Playing)
        await self._expect_visit(peer.outside, result)

    async def _fails(self, node: Node | None, hook: str, *errors: type[Exception]) -> None:
        if hook == "refusing" and not self.gives_reasons:
            errors = (*errors, ConnectionRefusedError)
        await super()._fails(node, hook, *errors)

    async def _expect_death_shown(self, call: Awaitable[Listener], /) -> None:
        # Nothing can be left for later: bind() tells what was bound.
        await raises(call, "bind() at a node that goes away", OSError)

    async def _call_with(self, *opts: AnyOption) -> Callable[[], Awaitable[None]]:
        connector, outsides = await self._ready(), (Outside(), Outside())
        conns = [await self._reach(outside) for outside in outsides]
        listeners = [await self._binding(connector, conn, ":0", "tcp", *opts) for conn in conns]
        return partial(self._expect_visit, outsides[-1], listeners[-1])

    async def _binding(
        self,
        connector: ConnectorT,
        conn: BareConn,
        address: str = ":0",
        network: str = "tcp",
        *opts: BindOption,
    ) -> Listener:
        """Bind, after the connector's handshake if it has one."""
        shaken = await self._shaken(connector, conn)
        binding = _binder(connector).bind(current().ctx, shaken, network, address, *opts)
        return owned(returned(await binding, "bind()"))

    async def _bind(
        self,
        outside: Outside,
        address: str = ":0",
        network: str = "tcp",
        *opts: BindOption,
        late: bool = False,
    ) -> Listener:
        """Bind by a connector of its own."""
        connector, conn = await self._ready(), await self._reach(outside, late=late)
        return await succeeds(self._binding(connector, conn, address, network, *opts), "bind()")

    async def _accept(self, listener: Listener) -> Conn:
        return owned(await succeeds(listener.accept(), "accept()"))

    async def _expect_visit(self, outside: Outside, listener: Listener) -> None:
        """Break the clause unless a visitor is accepted, and bytes go both ways."""
        await _expect_carried(*await self._visit(outside, listener))

    async def _visit(self, outside: Outside, listener: Listener) -> tuple[Conn, Conn]:
        """Have a visitor come while accept() waits; return the visitor's end, and what came."""
        expect(bool(outside.listeners), "bind() returned, and the node did not listen")
        accepting = start(self._accept(listener))
        await settle()
        visitor = outside.listeners[0].visit()
        return visitor, await accepting

    @clause("The node listens, and what comes to it is accepted here, and carries data.", "D35")
    async def binds(self) -> None:
        connector, outside = await self._ready(), Outside()
        conn = await self._reach(outside)

        async def use() -> None:
            listener = await self._binding(connector, conn)
            await self._expect_visit(outside, listener)

        await within(use(), "bind()")

    @clause(
        'The node is asked for "", ":0", ":port", "0.0.0.0:port", "[::]:port" and "host:port" '
        "alike: the port as it is, no host as everywhere, an IPv4 literal as IPv4, one of IPv6 as "
        "IPv6.",
        "D35",
        after=("outlives_call",),
    )
    async def address_forms(self) -> None:
        for address in _ADDRESSES:
            connector, outside = await self._ready(), Outside()
            binding = self._binding(connector, await self._reach(outside), address)
            bound = (await succeeds(binding, f"bind() to {address!r}")).addr()
            asked = outside.binds[0][1]
            right = _split(asked) == _split(address)
            if address.startswith(("0", "[")):
                # Of the two that mean everywhere one is no other.
                right = right and asked.startswith("0") == address.startswith("0")
                told = str(bound).startswith("[") == asked.startswith("[")
                expect(told, f"the node was to listen on {asked}, and addr() is {bound}")
            expect(right, f"bind() to {address!r} had the node listen on {asked!r}")

    @clause(
        "Binds at once, to several addresses, each have their own.",
        "D22, D33",
        after=("address_forms",),
    )
    async def concurrent(self) -> None:
        connector, ports = await self._ready(), [f":{8081 + number}" for number in range(_CALLS)]
        outsides = [Outside() for _ in ports]
        calls = [
            self._binding(connector, await self._reach(outside), port)
            for outside, port in zip(outsides, ports, strict=True)
        ]
        listeners = await succeeds(asyncio.gather(*calls), f"one of {_CALLS} binds at once")
        for outside, port, listener in zip(outsides, ports, listeners, strict=True):
            asked = [_split(asked) for _, asked in outside.binds]
            expect(asked == [_split(port)], f"one of several binds, to {port}, asked for {asked}")
            await self._expect_visit(outside, listener)

    @clause("addr() is what the node bound, with its real port.", "D2, D25, D35", after=("binds",))
    async def bound_address(self) -> None:
        outside = Outside()
        listener = await self._bind(outside, ":0")
        addr, bound = listener.addr(), outside.listeners[0].addr()
        returned(addr, "addr()")
        expect(
            _split(str(addr))[1] == _split(str(bound))[1],
            f"the node listens on {bound}, and addr() is {addr}",
        )

    @clause(
        "What is accepted has the visitor's address as its remote one, also once it is closed.",
        "D2, D35",
        after=("outlives_call",),
    )
    async def visitor_address(self) -> None:
        for address in (":0", "[::]:0"):
            outside = Outside()
            listener = await self._bind(outside, address)
            visitor, conn = await self._visit(outside, listener)
            came = str(visitor.local_addr())
            for closed in ("", ", once closed,"):
                returned(conn.local_addr(), f"local_addr() of the accepted connection{closed}")
                remote = str(conn.remote_addr())
                what = f"{came} came, and the accepted connection{closed} is with {remote}"
                expect(remote == came, what)
                await within(conn.close(), "close() of the accepted connection")

    @clause(
        "Options that say nothing leave room: a visitor who comes and writes before accept() is "
        "not lost.",
        "D24",
        after=("outlives_call",),
    )
    async def visitor_waits(self) -> None:
        outside = Outside()
        listener = await self._bind(outside)
        visitor = outside.listeners[0].visit()
        for data in (b"early", b"bytes"):
            await given(visitor.write(data), "the visitor's write()")
            await settle()
        received = await read_exactly(await self._accept(listener), len(b"earlybytes"), 3)
        expect(received == b"earlybytes", f"b'earlybytes' was written, {received!r} arrived")

    @clause(
        "Options that say nothing leave datagrams of 8000 bytes whole.",
        "D24",
        after=("visitor_waits",),
    )
    async def datagrams(self) -> None:
        network, outside = await self._offered("udp"), Outside()
        listener = await self._bind(outside, ":0", network)
        visitor = outside.listeners[0].visit()
        sent = [b"a" * 8000, b"b"]
        for data in sent:
            await given(visitor.write(data), "the visitor's write()")
        conn, (asked, _) = await self._accept(listener), outside.binds[0]
        expect(asked.startswith("udp"), f"bind() by {network} had the node listen by {asked}")
        received = [await within(conn.read(ALL), "read() of a datagram") for _ in sent]
        expect(
            received == sent,
            f"datagrams of {[*map(len, sent)]} bytes were read as {[*map(len, received)]}",
        )

    @clause(
        "Who can carry a single visitor only refuses the option mux, before anything is sent.",
        "D35",
        after=("binds",),
    )
    async def mux_refused(self) -> None:
        await self._bind_for_many(Outside())

    async def _bind_for_many(self, outside: Outside) -> Listener | None:
        connector, conn = await self._ready(), await self._reach(outside)
        shaken = await given(self._shaken(connector, conn), "handshake()")
        before, mux = conn.written, mux_bind_option(True)
        binding = _binder(connector).bind(current().ctx, shaken, "tcp", ":0", mux)
        try:
            return owned(returned(await within(binding, "bind() with mux"), "bind()"))
        except BindUnsupportedError:
            expect(conn.written == before, "something was sent before bind() refused mux")
            return None

    @clause(
        "With the option mux many visitors may come, and they do not mix, nor end with another, "
        "unless it is refused.",
        "D3, D35",
        after=("visitor_address", "mux_refused"),
    )
    async def many_visitors(self) -> None:
        outside = Outside()
        if (listener := await self._bind_for_many(outside)) is None:
            return
        visitors = {
            str(visitor.local_addr()): visitor
            for visitor in (outside.listeners[0].visit() for _ in range(_CALLS))
        }
        for _ in range(_CALLS):
            conn = await self._accept(listener)
            remote = str(conn.remote_addr())
            expect(remote in visitors, f"{remote} was accepted twice, or never came")
            await _expect_carried(visitors.pop(remote), conn)
            await closed_twice(conn)

    @clause(PIECES, "D7, D8", after=("visitor_waits",))
    async def reads_whole(self) -> None:
        network = Network(Playing(self.node, outside := Outside()))
        listener = await succeeds(self._step(await self._ready(), network), "bind()")
        visitor, conn = await self._visit(outside, listener)
        await read_whole(conn, visitor.write, network.close)
        await within(end_of(conn), "what a visitor sends, when the node is gone,")

    @clause(WORDS, "D8", after=("reads_whole",))
    async def writes_whole(self) -> None:
        listener = await self._bind(outside := Outside())
        visitor, conn = await self._visit(outside, listener)
        await write_whole(conn, visitor)

    @clause(
        "A visitor who ends is read to its end; closing what was accepted ends what it reads.",
        "D1, D8",
        after=("reads_whole", "writes_whole"),
    )
    async def ends_told(self) -> None:
        listener = await self._bind(outside := Outside())
        visitor, conn = await self._visit(outside, listener)
        await given(write_last(visitor), "what a visitor says before it ends")
        count = await within(drained(conn), "what came from a visitor who has ended")
        expect(count == len(LAST), f"a visitor sent {len(LAST)} bytes and ended, {count} came")
        listener = await self._bind(outside := Outside())
        visitor, conn = await self._visit(outside, listener)
        await within(conn.close(), "close() of the accepted connection")
        await within(end_of(visitor), "what a visitor reads after close(),")

    @clause(
        "However many calls of accept() were cancelled, the next one takes who comes.",
        "D14, D20",
        after=("visitor_waits",),
    )
    async def accept_cancellable(self) -> None:
        outside = Outside()
        listener = await self._bind(outside)
        for _ in range(3):
            await expect_cancelled(await begin(listener.accept()), "accept()")
        await self._expect_visit(outside, listener)

    @clause(
        "A visitor who comes while an accept() is cancelled is accepted by the next, or closed.",
        "D26",
        after=("accept_cancellable",),
    )
    async def cancelled_accept_loses_nothing(self) -> None:
        async def visit() -> Conn:
            return outside.listeners[0].visit()

        async def accept() -> Conn:
            return await listener.accept()

        listener = await self._bind(outside := Outside())
        async for accepting, visitor in cancelled_beside(accept, visit, 5):
            gone = start(end_of(visitor))
            if accepting.cancelled():
                await ended(accepting := start(accept()), gone, any_of_them=True)
            if not gone.done():
                gone.cancel()
                await ended(gone)
                conn = await given(accepting, "accept(), after one beside which a visitor came,")
                await _expect_carried(visitor, owned(returned(conn, "accept()")))
            # Some carry a single visitor.
            listener = await self._bind(outside := Outside())

    @clause(
        "A visitor who comes right behind the node's answer is not lost.",
        "D33",
        after=("visitor_waits",),
    )
    async def early_visitor(self) -> None:
        outside = Outside()
        outside.expects_early_visitor = True
        listener = await self._bind(outside, late=True)
        await _expect_carried(outside.visitors[0], await self._accept(listener))

    # ---- Closing

    @clause("Closing the listener ends the tunnel.", "D3, D35", after=("outlives_call",))
    async def close_ends_tunnel(self) -> None:
        listener, conn, outside = await self._tunnel()
        # Whom nobody accepts keeps nothing open.
        outside.listeners[0].visit()
        await settle()
        await closed_at_once(listener)
        await within(listener.close(), "another close()")
        # What a dialer has made of the connection may take longer.
        freed = conn.closed or self.dial is not None
        expect(freed, "close() has returned, and the connection beneath was still open")
        await until(lambda: conn.closed, _LEFT)

    async def _tunnel(self) -> tuple[Listener, BareConn, Outside]:
        connector, outside = await self._ready(), Outside()
        conn = await self._reach(outside)
        return await succeeds(self._binding(connector, conn), "bind()"), conn, outside

    @clause(
        "A cancelled close() of the listener ends as cancelled, and ends the tunnel all the same.",
        "D1, D14",
        after=("close_ends_tunnel",),
    )
    async def close_cancelled(self) -> None:
        async def bound() -> tuple[Listener, Callable[[], Awaitable[None]]]:
            listener, conn, _ = await self._tunnel()
            return listener, lambda: until(lambda: conn.closed, _LEFT)

        await closes_cut_short(bound)

    @clause(
        "What was accepted goes on when the listener is closed, and the tunnel ends with the last.",
        "D35",
        after=("close_ends_tunnel",),
    )
    async def accepted_survive(self) -> None:
        listener, conn, outside = await self._tunnel()
        visitor, accepted = await self._visit(outside, listener)
        await within(listener.close(), "close()")
        await settle()
        await _expect_carried(visitor, accepted)
        await within(accepted.close(), "close() of the last accepted connection")
        await until(lambda: conn.closed, _LEFT)

    @clause(
        "Closing the listener wakes a waiting accept(), which raises ClosedError, and so does one "
        "after it.",
        "D1, D14",
        after=("close_ends_tunnel",),
    )
    async def close_wakes_accept(self) -> None:
        for accepted in (0, 1):
            listener = await self._bind(outside := Outside())
            for _ in range(accepted):
                await self._visit(outside, listener)
            accepting = start(listener.accept())
            await settle()
            # Some carry a single visitor.
            if accepted and accepting.done():
                break
            await within(listener.close(), "close()")
            await raises(accepting, "the waiting accept()", ClosedError)
            await raises(listener.accept(), "accept() after close()", ClosedError)
        listener, _, outside = await self._tunnel()
        outside.listeners[0].visit()
        await settle()
        await within(listener.close(), "close()")
        what = "accept() after close(), of whom nobody had accepted,"
        await raises(listener.accept(), what, ClosedError)

    @clause(
        "When the node is gone, accept() raises an OSError.", "D14, D26", after=("outlives_call",)
    )
    async def node_lost(self) -> None:
        network = Network(self._right())
        listener = await succeeds(self._step(await self._ready(), network), "bind()")
        accepting = start(listener.accept())
        await settle()
        await network.break_off()
        await raises(accepting, "accept(), when the node was gone,", OSError)
        await raises(listener.accept(), "accept() after that", OSError)

    # ---- Failures

    @clause(
        "If the node cannot bind, that is a BindUnsupportedError, or without a reason a "
        "ConnectionRefusedError.",
        "D15, D16",
        after=("binds",),
    )
    async def unable(self) -> None:
        network = Network(self._played(need(self.incapable, "incapable")))
        call = self._step(await self._ready(), network)
        error = BindUnsupportedError if self.gives_reasons else ConnectionRefusedError
        await raises(call, "bind() at a node that cannot", error)


def _split(address: str) -> tuple[str, str]:
    """Return host and port; any host that means everywhere is "", and so is port 0."""
    host, _, port = address.rpartition(":")
    return "" if host in _EVERYWHERE else host, port.lstrip("0")


def _binder(connector: Connector) -> Binder:
    """Return the connector as a Binder, which the scenario needs it to be."""
    if not isinstance(connector, Binder):
        raise Broken("it has no bind()")
    return connector


async def _expect_carried(visitor: Conn, conn: Conn) -> None:
    """Break the clause unless bytes go both ways."""
    await carry(visitor, conn, b"from the visitor")
    answer = b"to the visitor"
    await within(lend(conn.write, bytearray(answer)), "write() to the visitor")
    received = await read_exactly(visitor, len(answer))
    expect(received == answer, f"{answer!r} was written to the visitor, who read {received!r}")
