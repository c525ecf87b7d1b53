"""What the contracts of chains share: a request, a step that fails, and what must follow."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, Final, TypeVar

from gost_core.chain import Node, Route
from gost_core.common.net import Conn, Listener, PacketConn, UnsupportedError
from gost_core.context import Context, Key
from gost_core.keys import TIME_LIMIT
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    by_task_that_ends,
    ended,
    expect,
    failure_of,
    given,
    may_refuse,
    owned,
    raises,
    settle,
    start,
    turns,
    within,
)
from gost_core.testing._stage.fakes.chain import proxy
from gost_core.testing._stage.fakes.connections import Scene
from gost_core.testing._stage.fakes.recorded import Recorded
from gost_core.testing._stage.memory import MemoryConn
from gost_core.testing._stage.servers import EchoServer

__all__ = (
    "Connecting",
    "Limited",
    "Opening",
    "NAME",
    "RESOLVED",
    "TARGET",
    "expect_carries",
    "expect_context",
    "expect_direct",
    "expect_nothing_open",
    "expect_step_error",
    "kept",
    "loopback",
    "names",
    "node",
    "request",
    "step_error",
)

OpenedT = TypeVar("OpenedT", Conn, Listener)

NAME: Final[str] = "proxy.example:1080"
"""The address of a node as the operator configured it."""
RESOLVED: Final[str] = "192.0.2.10:1080"
"""What a resolver made of that."""
TARGET: Final[str] = "target.example:80"
"""Where a client wants to go."""

# Up to how many turns of the event loop a call gets before it is cancelled.
_TURNS: Final[int] = 40
_MARK: Final[Key[str]] = Key("a value of the request")


def request() -> Context:
    """Return the context of a request that has a value."""
    return Context().with_value(_MARK, "here")


def expect_context(ctx: Context, who: str, /) -> None:
    """Break the clause unless the context has the value of the request."""
    expect(ctx.value(_MARK) == "here", f"{who} was given a context without the request's values")


def node(scene: Scene, name: str, /) -> Node:
    """Return a node of a chain."""
    return proxy(scene, name, "192.0.2.1:1080")[0]


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


# ---- A step that fails


def step_error() -> OSError:
    """Return what a step raises."""
    return ConnectionResetError("the step failed")


async def expect_step_error(call: Awaitable[object], what: str, /) -> None:
    """Break the clause unless a call raises what the step raised."""
    expected = step_error()
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


# ---- Families


class Connecting(Contract):
    """The clauses of what opens connections."""

    _timeout: ClassVar[float] = 0.0
    """The seconds of a timeout of its own, which must not end the connection."""

    @abstractmethod
    def _opening(self, network: str = "tcp") -> tuple[Awaitable[Conn], Scene]:
        """Return a call that opens a connection, and where it does."""

    @clause("The connection outlives the task and the timeout of the call.", "D4", after=(FIRST,))
    async def outlives(self) -> None:
        call, scene = self._opening()

        async def opened() -> Conn:
            async with asyncio.timeout(self.time_limit):
                return await call

        conn = await by_task_that_ends(opened(), "opening a connection")
        await settle()
        await asyncio.sleep(1.5 * self._timeout)
        await expect_carries(conn, scene.far_ends[-1], "a connection whose task has ended")

    @clause("For udp the result is a PacketConn.", "D11, D38", after=("outlives",))
    async def udp_packets(self) -> None:
        for network in ("udp", "udp4", "udp6"):
            with may_refuse(UnsupportedError):
                conn = await within(self._opening(network)[0], f"a call by {network}")
            kind = type(conn).__qualname__
            expect(isinstance(conn, PacketConn), f"a {kind}, for {network}, is no PacketConn")


class Opening(Connecting):
    """The clause of what opens a connection by one call."""

    @clause("Cancelled anywhere, a call leaves nothing open.", "D4", after=("outlives",))
    async def cancel_closes(self) -> None:
        for number in range(_TURNS):
            call, scene = self._opening()
            opening = start(call)
            await turns(number)
            opening.cancel()
            await ended(opening)
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
