"""What the contracts of chains share: a request, a step that fails, and what must follow."""

import asyncio
import socket
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from gost_core import chain, connector
from gost_core.chain import Node, Route
from gost_core.common.net import ClosedError, Closer, Conn, Listener, PacketConn, UnsupportedError
from gost_core.context import Context
from gost_core.keys import SESSION_ID, TIME_LIMIT
from gost_core.testing._families.asking import LENT_NUMBER
from gost_core.testing._families.closers import (
    closed_at_once,
    closed_twice,
    closes_cut_short,
    expect_heard,
    give_little_room,
)
from gost_core.testing._families.whole import LONG, PIECES, expect_ways_apart, read_whole
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    by_task_that_ends,
    by_task_that_goes_on,
    ended,
    expect,
    failure_of,
    given,
    may_refuse,
    outcome_of,
    owned,
    raises,
    settle,
    start,
    turns,
    until,
    within,
)
from gost_core.testing._stage.fakes.chain import proxy
from gost_core.testing._stage.fakes.connections import FakeNetListener, LayeredPackets, Scene
from gost_core.testing._stage.fakes.recorded import Recorded
from gost_core.testing._stage.memory import MemoryConn
from gost_core.testing._stage.servers import EchoServer
from gost_core.testing._stage.streams import FLOOD, begin, packets, read_exactly, write

__all__ = (
    "Connecting",
    "Limited",
    "Opening",
    "NAME",
    "RESOLVED",
    "SOON",
    "TARGET",
    "expect_binds",
    "expect_carries",
    "expect_direct",
    "expect_direct_bind",
    "expect_ended",
    "expect_nothing_open",
    "expect_step_error",
    "expect_unconnected",
    "interrupted",
    "kept",
    "loopback",
    "names",
    "node",
    "step_error",
    "target_of",
)

OpenedT = TypeVar("OpenedT", Conn, Listener)
SceneT = TypeVar("SceneT")
_Opens: TypeAlias = Callable[[Context], tuple[Awaitable[OpenedT], Scene]]

NAME: Final[str] = "proxy.example:1080"
"""The address of a node as the operator configured it."""
RESOLVED: Final[str] = "192.0.2.10:1080"
"""What a resolver made of that."""
TARGET: Final[str] = "target.example:80"
"""Where a client wants to go."""
SOON: Final[float] = 0.02
"""Seconds until a TIME_LIMIT, on a machine that has nothing else to do."""

# Up to how many turns of the event loop a call gets before it is cancelled.
_TURNS: Final[int] = 40
_LONG: Final[int] = 30_000
_bounds: Final = attrgetter(*(one.name for one in fields(connector.BindOptions)))
_WORDS: Final[bytes] = b"nothing more follows"


def node(scene: Scene, name: str, /) -> Node:
    """Return a node of a chain."""
    return proxy(scene, name, "192.0.2.1:1080")[0]


def target_of(ctx: Context, /) -> str:
    """Return the target of a request: of each whose context is lent, another one."""
    return f"target.example:{80 + (ctx.value(LENT_NUMBER) or 0)}"


def names(route: Route | None, /) -> list[str]:
    """Return the names of a route's nodes."""
    return [] if route is None else [node.name for node in route.nodes()]


async def kept(call: Awaitable[OpenedT], /) -> OpenedT:
    """Make a call; what it opens is closed when the scenario is over."""
    return owned(await call)


async def loopback() -> tuple[EchoServer, str]:
    """Return a server on this host's loopback, and its address."""
    server = EchoServer()
    return server, await given(server.tcp(), "a server on the loopback")


# ---- What must follow


async def expect_carries(near: Conn, far: MemoryConn, what: str, /) -> None:
    """Break the clause unless bytes go both ways."""
    await within(near.write(b"ping"), f"writing to {what}")
    data = await within(far.read(4), f"the arrival of what was written to {what}")
    expect(data == b"ping", f"b'ping' was written to {what}, and {data!r} arrived")
    await far.write(b"pong")
    data = await within(near.read(4), f"reading from {what}")
    expect(data == b"pong", f"b'pong' was sent, and {data!r} was read from {what}")


async def expect_direct(dial: Callable[[Context, str, str], Awaitable[Conn]], /) -> None:
    """Break the clause unless a call connects to this host's loopback."""
    _, address = await loopback()
    conn = await within(kept(dial(Context(), "tcp", address)), "dialing the loopback")
    await within(conn.write(b"ping"), "write()")
    data = await within(conn.read(4), "read()")
    expect(data == b"ping", f"an echo server sent back {data!r} for b'ping'")
    await expect_ended(conn, conn.read(1))


async def expect_direct_bind(bind: Callable[[Context, str, str], Awaitable[Listener]], /) -> None:
    """Break the clause unless a call listens on this host, until that is closed."""
    call = kept(bind(Context(), "tcp", "127.0.0.1:0"))
    tunnel = await by_task_that_goes_on(call, "binding on the loopback")
    host, _, port = str(tunnel.addr()).rpartition(":")
    expect(port not in ("", "0"), f"port 0 was asked for, and addr() is {tunnel.addr()}")
    loop, accepted = asyncio.get_running_loop(), list[Conn]()
    with socket.socket() as client, socket.socket() as other:
        for one in (client, other):
            give_little_room(one)
            await given(loop.sock_connect(one, (host, int(port))), "connecting")
            accepted.append(await within(kept(tunnel.accept()), "accept()"))
        await expect_heard(accepted[0], client)
        # The other one is still open.
        await expect_ended(tunnel, tunnel.accept())


async def expect_ended(closer: Closer, call: Awaitable[object], /) -> None:
    """Break the clause unless close() ends a call that waits."""
    waiting = await begin(call)
    await closed_twice(closer)
    await raises(waiting, "a call that waited when close() came", ClosedError)


async def expect_unconnected(conn: Conn, /) -> None:
    """Break the clause unless this carries datagrams, with any peer, until it is closed."""
    packet_conn = packets(conn)
    await raises(conn.write(b"x"), "write() without a peer", UnsupportedError)
    await raises(conn.read(1), "read() without a peer", UnsupportedError)
    await expect_ended(conn, packet_conn.read_from(1))


# ---- Options of a bind


def _mux(options: chain.BindOptions | connector.BindOptions, /) -> None:
    """Let many connections come; an option of a bind, as the next one is."""
    options.mux = True


def _each_bound(options: chain.BindOptions | connector.BindOptions, /) -> None:
    """Set every other bound, each to another number."""
    options.backlog, options.udp_data_queue_size, options.udp_data_buffer_size = 2, 3, 4
    options.udp_conn_ttl = 5.0


async def expect_binds(bind: Callable[..., Awaitable[Listener]], binds: Recorded[Any], /) -> None:
    """Break the clause unless of two binds, also at once, each is told what it was asked for.

    ``bind`` takes a context, a network, an address and options; ``binds`` are what it asks for.
    """
    right = [("tcp4", ":1", "tcp4", True, 2, 3, 4, 5), ("tcp6", TARGET, "tcp6", False, 0, 0, 0, 0)]
    ctxs = [Context().with_value(SESSION_ID, one[0]) for one in right]
    both: list[Callable[[], Awaitable[Listener]]] = [
        partial(bind, ctxs[0], *right[0][:2], _mux, _each_bound),
        partial(bind, ctxs[1], *right[1][:2]),
    ]
    for at_once in (False, True):
        for calls in [both] if at_once else [[one] for one in both]:
            await within(asyncio.gather(*(call() for call in calls)), "bind()")
        told = [
            (one.network, one.address, one.ctx.value(SESSION_ID), *_bounds(one.options))
            for one in binds[-2:]
        ]
        expect(sorted(told) == right, f"two binds were {right}, and were told as {told}")


# ---- A step that is interrupted, or fails


async def interrupted(
    make: Callable[[], tuple[SceneT, Callable[[Context], Awaitable[object]], Recorded[Any]]],
    seconds: float | None,
    *,
    by_limit: bool,
) -> SceneT:
    """Cancel a call at a step that hangs, when its time limit is over or long before.

    ``make`` returns what is on trial, the call, and the calls of the step.
    """
    loop, limit = asyncio.get_running_loop(), current().time_limit
    on_trial, call, step = make()
    moment = loop.time() + (seconds or 0.0)
    ctx = Context() if seconds is None else Context().with_value(TIME_LIMIT, moment)
    step.hang()
    calling, hanging = start(call(ctx)), start(step.hanging.wait())
    await ended(calling, hanging, any_of_them=True)
    if by_limit and not hanging.done() and seconds is not None and seconds < limit:
        # A busy machine did not come so far.
        return await interrupted(make, 4 * seconds, by_limit=True)
    expect(hanging.done(), f"a call {outcome_of(calling)} before the step that hangs")
    if by_limit:
        await asyncio.sleep(moment + 0.01 - loop.time())
    calling.cancel()
    await ended(calling)
    return on_trial


def step_error() -> OSError:
    """Return what a step raises."""
    return ConnectionResetError("the step failed")


async def expect_step_error(
    call: Awaitable[object], what: str, expected: Exception | None = None, /
) -> None:
    """Break the clause unless a call raises what the step raised; None = what a step raises."""
    expected = expected or step_error()
    try:
        await within(call, what)
    except Exception as error:
        same = type(error) is type(expected) and error.args == expected.args
        expect(same, f"{what} raised {describe(error)} instead of {describe(expected)}")
    else:
        raise Broken(f"{what} raised nothing instead of {describe(expected)}")


def expect_nothing_open(scene: Scene, when: str, /) -> None:
    """Break the clause if something that was opened is still open."""
    if left := scene.still_open():
        raise Broken(f"{when}, and still open is {', '.join(left)}")


def _read(conn: Conn) -> Awaitable[object]:
    return conn.read(1)


def _write(conn: Conn) -> Awaitable[object]:
    return conn.write(bytes(FLOOD))


def _accept(listener: Listener) -> Awaitable[object]:
    return listener.accept()


# ---- Families


class Connecting(Contract):
    """The clauses of what opens connections."""

    _timeout: ClassVar[float] = 0.0
    """The seconds of a timeout of its own, which must not end the connection."""

    @abstractmethod
    def _opening(self, ctx: Context, network: str = "tcp") -> tuple[Awaitable[Conn], Scene]:
        """Return a call that opens a connection, and where it does."""

    @abstractmethod
    def _binding(self, ctx: Context) -> tuple[Awaitable[Listener], Scene]:
        """Return a call that binds, and where it does."""

    @clause("The connection outlives the task and the timeout of the call.", "D4", after=(FIRST,))
    async def outlives(self) -> None:
        call, scene = self._opening(Context())

        async def opened() -> Conn:
            async with asyncio.timeout(self.time_limit):
                return await call

        conn = await by_task_that_ends(opened(), "opening a connection")
        await settle()
        await asyncio.sleep(1.5 * self._timeout)
        await expect_carries(conn, scene.far_ends[-1], "a connection whose task has ended")

    @clause(
        "A stream that breaks off does not look complete: read() raises ConnectionResetError.",
        "D8",
        after=("outlives",),
    )
    async def break_shown(self) -> None:
        call, scene = self._opening(Context())
        conn = await within(call, "the call")
        scene.far_ends[-1].break_off()
        await raises(conn.read(1), "read() of what broke off", ConnectionResetError)

    @clause(
        "What either side writes before it ends or closes arrives whole, and then the end.",
        "D8",
        after=("outlives",),
    )
    async def ends_whole(self) -> None:
        call, scene = self._opening(Context())
        near, far = await within(call, "the call"), scene.far_ends[-1]
        await expect_ways_apart(near.read, [partial(near.write, LONG)], far)
        await write(far, _WORDS)
        await far.close_write()
        # In pieces, up to the end.
        found = await read_exactly(near, 2 * len(_WORDS), 3)

        async def speak() -> None:
            for piece in (_WORDS[:5], _WORDS[5:]):
                await near.write(piece)
            # At once: nothing that is still to be sent has gone by itself.
            await near.close()

        await given(speak(), "write() and close()")
        for what, data in (("read", found), ("written", await read_exactly(far, 2 * len(_WORDS)))):
            expect(data == _WORDS, f"of {_WORDS!r}, the last words, {data!r} could be {what}")

    @clause(PIECES, "D7, D8", after=("outlives", "ends_whole"))
    async def reads_whole(self) -> None:
        call, scene = self._opening(Context())
        near, far = await within(call, "the call"), scene.far_ends[-1]
        await read_whole(near, far.write, far.close_write)

    @clause("The listener outlives the task of the call.", "D4", after=("outlives",))
    async def listener_outlives(self) -> None:
        call, scene = self._binding(Context())
        await by_task_that_ends(call, "binding")
        await settle()
        expect(len(scene.still_open()) == len(scene.opened), "the listener ended with its call")

    @clause("What is opened outlives the TIME_LIMIT of the call.", "D4", after=("outlives",))
    async def outlives_limit(self) -> None:
        for opens in (self._opening, self._binding):
            await self._outlive(opens, SOON)

    async def _outlive(self, opens: _Opens[Any], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + seconds
        call, scene = opens(Context().with_value(TIME_LIMIT, limit))
        try:
            await by_task_that_goes_on(call, "opening something")
        except TimeoutError:
            # A busy machine needs longer.
            expect(seconds < self.time_limit, f"in {seconds:g} s nothing was opened")
            return await self._outlive(opens, 4 * seconds)
        await asyncio.sleep(limit + 0.01 - loop.time())
        await settle()
        expect(len(scene.still_open()) == len(scene.opened), "it ended at its TIME_LIMIT")

    @clause(
        "Closing what was opened closes every layer: again, several times at once, beside a call "
        "that waits, and when the close is cancelled.",
        "D1, D3, D35",
        after=("outlives",),
    )
    async def close_closes_all(self) -> None:
        for begun in (
            partial(self._begun, self._opening, _read),
            partial(self._begun, self._opening, _write),
            partial(self._begun, self._binding, _accept),
        ):
            await closes_cut_short(begun)
            made, expect_closed = await begun(at_once=True)
            await closed_at_once(made)
            await closed_twice(made)
            await expect_closed()

    async def _begun(
        self,
        opens: _Opens[OpenedT],
        wait: Callable[[OpenedT], Awaitable[object]],
        *,
        at_once: bool = False,
    ) -> tuple[Closer, Callable[[], Awaitable[None]]]:
        call, scene = opens(Context())
        made = await within(call, "the call")
        waiting = await begin(wait(made))
        # Longer than what is ready to happen, so that it shows which close() ends first.
        scene.goodbye = 0.03 if at_once else 0.0

        async def expect_closed() -> None:
            if at_once:
                expect_nothing_open(scene, "close() returned")
            await until(lambda: not scene.still_open(), "after close() something was still open")
            await raises(waiting, "a call that waited when close() came", ClosedError)

        return made, expect_closed

    @clause(
        "What was accepted goes on when the listener is closed, and closing the last of it ends "
        "what is beneath; accept(), if it waits, raises ClosedError at once.",
        "D1, D27, D35",
        after=("listener_outlives", "close_closes_all"),
    )
    async def accepted_survive(self) -> None:
        call, scene = self._binding(Context())
        listener = await within(call, "the call")
        (*beneath, last), bound = scene.still_open(), scene.opened[-1]
        assert isinstance(bound, FakeNetListener), last
        client = bound.connect()
        conn = owned(await within(listener.accept(), "accept()"))
        waiting = await begin(listener.accept())
        await within(listener.close(), "close() of the listener")
        await raises(waiting, "accept() that waited, beside what was accepted,", ClosedError)
        left = scene.still_open()
        expect(left == beneath, f"beneath what was accepted was {beneath}, and is {left}")
        await expect_carries(conn, client, "what was accepted, after close() of the listener,")
        await within(conn.close(), "close() of what was accepted")
        await until(lambda: not scene.still_open(), "the last was closed, and not what is beneath")

    @clause("For udp the result is a PacketConn.", "D11, D38", after=("outlives",))
    async def udp_packets(self) -> None:
        for network in ("udp", "udp4", "udp6"):
            with may_refuse(UnsupportedError):
                call, _ = self._opening(Context(), network)
                conn = await within(call, f"a call by {network}")
            kind = type(conn).__qualname__
            expect(isinstance(conn, PacketConn), f"a {kind}, for {network}, is no PacketConn")

    @clause("Datagrams stay whole, whichever methods carry them.", "D8", after=("udp_packets",))
    async def datagrams_whole(self) -> None:
        call, scene = self._opening(Context(), "udp")
        with may_refuse(UnsupportedError):
            conn = await within(call, "a call by udp")
        packet_conn, data = packets(conn), bytes(_LONG)
        for _ in range(2):
            await scene.far_ends[-1].write(data)
        await within(conn.write(data), "write()")
        await within(packet_conn.write_to(data, conn.remote_addr()), "write_to()")
        *_, made = (one for one in scene.opened if isinstance(one, LayeredPackets))
        found = [len(await within(conn.read(_LONG), "read()")), *made.lengths]
        found += [len((await within(packet_conn.read_from(65535), "read_from()"))[0])]
        expect(found == [_LONG] * 4, f"datagrams of {_LONG} bytes went as {found}")


class Opening(Connecting):
    """The clause of what opens a connection by one call."""

    @clause(
        "Cancelled anywhere, a call ends as cancelled and leaves nothing open.",
        "D4, D14",
        after=("outlives",),
    )
    async def cancel_closes(self) -> None:
        await self._expect_freed(self._opening)
        await self._expect_freed(self._binding)

    async def _expect_freed(self, opens: _Opens[OpenedT]) -> None:
        for number in range(_TURNS):
            call, scene = opens(Context())
            opening = start(call)
            await turns(number)
            cut = opening.cancel()
            await ended(opening)
            wrong = cut and isinstance(failure_of(opening), Exception)
            expect(not wrong, f"a call that was cancelled {outcome_of(opening)}")
            if failure_of(opening) is None:
                await given(opening.result().close(), "close()")
            else:
                expect_nothing_open(scene, f"a call was cancelled after {number} turns of the loop")


class Limited(Contract):
    """The clause of what is told a time limit."""

    @abstractmethod
    def _limited(self, ctx: Context) -> Iterator[tuple[Awaitable[object], Recorded[Any]]]:
        """Yield calls with a context, each with what it asks of others at first."""

    @clause(
        "After the TIME_LIMIT nothing is begun: a call is a TimeoutError.", "D69", after=(FIRST,)
    )
    async def limit_passed(self) -> None:
        ctx = Context().with_value(TIME_LIMIT, asyncio.get_running_loop().time() - 1.0)
        for call, asked in self._limited(ctx):
            await raises(call, "a call whose TIME_LIMIT has passed", TimeoutError)
            expect(not asked, "a call whose TIME_LIMIT has passed went on")
