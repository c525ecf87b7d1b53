"""What handlers are tried with: clients that come, and targets that a router of the kit reaches."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from gost_core import handler
from gost_core.chain import DialOptions
from gost_core.common.net import Aborter, Conn, HalfCloser
from gost_core.context import Context, Key
from gost_core.handler import (
    Forwarder,
    Handler,
    router_option,
)
from gost_core.testing._run.attempt import Broken, Exempt
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    ended,
    expect,
    failure_of,
    given,
    need,
    owned,
    settle,
    start,
    until,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeRouter
from gost_core.testing._stage.fakes.recorded import Call
from gost_core.testing._stage.memory import (
    ForwardingConn,
    MemoryConn,
    connected_pair,
)
from gost_core.testing._stage.streams import end_of, read_exactly

__all__ = (
    "TARGET",
    "Connect",
    "Login",
    "Site",
    "DATA",
    "GARBAGE",
    "as_forwarder",
    "MARK",
    "AbortableConn",
    "Client",
    "Served",
    "expect_half_close",
    "send_for_ever",
)

Connect: TypeAlias = Callable[[Conn, str], Awaitable[Conn]]
Login: TypeAlias = Callable[[Conn, str, str, str], Awaitable[Conn]]

TARGET: Final[str] = "target.example:80"
MARK: Final[Key[str]] = Key("a value of the check")
# More than any buffer on the way holds, so that all of it must flow.
DATA: Final[bytes] = bytes(range(256)) * 2048
GARBAGE: Final[bytes] = bytes(range(255, -1, -1)) * 16


class AbortableConn(ForwardingConn, HalfCloser, Aborter):
    """A connection that can be broken off."""

    def __init__(self, end: MemoryConn) -> None:
        super().__init__(end)
        self._end = end

    async def close_write(self) -> None:
        """End the outgoing stream."""
        await self._end.close_write()

    def abort(self) -> None:
        """Break it off."""
        if not self._end.closed:
            self._end.break_off()


@dataclass(frozen=True)
class Client:
    """A client, the end of its connection that is handled, and the call that handles it."""

    conn: MemoryConn
    handled: MemoryConn
    handling: "asyncio.Future[None]"

    async def expect_ends(self, what: str) -> None:
        """Break the clause unless handle() ends, however it does."""
        await ended(self.handling)
        expect(self.handling.done(), f"handle() of {what} did not end")

    async def expect_returns(self, what: str) -> None:
        """Break the clause unless handle() ends well."""
        await self.expect_ends(what)
        if error := failure_of(self.handling):
            raise Broken(f"handle() of {what} raised {describe(error)}")

    async def expect_closed(self, when: str) -> None:
        """Break the clause unless the handler closes the connection."""
        await until(lambda: self.handled.closed, f"{when}, and the connection is still open")


@dataclass(frozen=True)
class Served:
    """A handler, and the router by which it dials."""

    handler: Handler
    router: FakeRouter

    def client(self) -> Client:
        """Have a client come."""
        conn, handled = map(owned, connected_pair())
        ctx = Context().with_value(MARK, "here")
        return Client(conn, handled, start(self.handler.handle(ctx, AbortableConn(handled))))

    def serve_targets(self) -> None:
        """Have targets go when the client goes."""

        async def serve() -> None:
            while True:
                start(drain(await self.router.targets.get()))

        async def drain(target: MemoryConn) -> None:
            await end_of(target)
            await target.close()

        start(serve())

    async def dialed(self, otherwise: str) -> Call[DialOptions]:
        """Return the first dial; ``otherwise`` says what is wrong if there is none."""
        await until(lambda: bool(self.router.dials), otherwise)
        return self.router.dials[0]

    async def expect_not_dialed(self, client: Client, why: str) -> None:
        """Break the clause unless a client is refused before anything is dialed."""
        dials = self.router.dials
        await until(
            lambda: client.handling.done() or bool(dials), f"{why}, and the client is not refused"
        )
        if dials:
            raise Broken(f"{why}, and {dials[0].address!r} was dialed all the same")

    async def expect_targets_closed(self, when: str) -> None:
        """Break the clause unless the handler closes what it dialed."""
        ends = self.router.near_ends
        await until(
            lambda: all(near.closed for near in ends),
            f"{when}, and the connection to the target is still open",
        )


async def expect_half_close(first: Conn, second: Conn, one: str, other: str, /) -> None:
    """Break the clause unless ``second`` can send after ``first`` has ended its stream."""
    if not isinstance(first, HalfCloser):
        raise Exempt(f"the {one} of this protocol cannot end its stream alone")
    await within(first.write(b"request"), f"writing by the {one}")
    await within(first.close_write(), f"close_write() of the {one}")
    end = read_exactly(second, len(b"request") + 1)
    data = await within(end, f"the end of the {one}'s stream at the {other}")
    expect(data == b"request", f"the {one} sent b'request', and {data!r} arrived")
    await settle()
    start(second.write(DATA))
    data = await read_exactly(first, len(DATA))
    whole = data == DATA
    expect(whole, f"of {len(DATA)} bytes that the {other} sent after that, {len(data)} came")


async def send_for_ever(conn: MemoryConn, /) -> None:
    with suppress(OSError):
        while True:
            await conn.write(b"data")
            await asyncio.sleep(0)


def as_forwarder(made: Handler, /) -> Forwarder:
    """Return a handler that forwards as such."""
    if not isinstance(made, Forwarder):
        raise Exempt("it is no Forwarder")
    return made


@dataclass(frozen=True)
class Site:
    """Where handlers are tried: what the contract was given."""

    make: Callable[..., Handler]
    connect: Connect | None
    login: Login | None
    elapse: Callable[[float], Awaitable[object]] | None

    def made(self, *opts: handler.Option) -> Served:
        """Make a handler, and the router by which it dials."""
        router = FakeRouter()
        return Served(owned(self.make(router_option(router), *opts)), router)

    async def ready(self, *opts: handler.Option) -> Served:
        """Make one, and initialise it."""
        served = self.made(*opts)
        await given(served.handler.init(None), "init()")
        return served

    async def obliging(self, *opts: handler.Option) -> Served:
        """Return a handler whose targets go when the client goes."""
        served = await self.ready(*opts)
        served.serve_targets()
        return served

    async def connected(self, *opts: handler.Option) -> tuple[Served, Client, Conn, MemoryConn]:
        """Return a client that has reached its target, its connection to it, and the target."""
        connect = need(self.connect, "connect")
        served = await self.ready(*opts)
        client = served.client()
        near = await within(connect(client.conn, TARGET), "reaching a target by `connect`")
        far = owned(await within(served.router.targets.get(), "the dial to the target"))
        return served, client, near, far

    def asking(self, served: Served) -> Client:
        """Have a client ask for the target, with whatever result."""
        connect = need(self.connect, "connect")
        client = served.client()
        start(connect(client.conn, TARGET))
        return client
