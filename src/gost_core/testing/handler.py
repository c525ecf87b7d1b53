"""The contract of handlers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gost_core import handler
from gost_core.chain import DialOptions, Node
from gost_core.common.net import Closer, Conn, HalfCloser
from gost_core.context import Context, Key
from gost_core.handler import (
    Forwarder,
    Handler,
    auther_option,
    bypass_option,
    rate_limiter_option,
    router_option,
    traffic_limiter_option,
)
from gost_core.hop import Hop
from gost_core.keys import CLIENT_ID
from gost_core.testing._families.life import InitialisedOnce
from gost_core.testing._run.attempt import Broken, Exempt
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    closable,
    ended,
    expect,
    expect_cancelled,
    expect_raises,
    failure_of,
    given,
    need,
    owned,
    raises,
    settle,
    start,
    until,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeHop, FakeRouter
from gost_core.testing._stage.fakes.limiter import FakeRateLimiter, FakeTrafficLimiter
from gost_core.testing._stage.fakes.lookups import FakeAuthenticator, FakeBypass
from gost_core.testing._stage.fakes.recorded import Call
from gost_core.testing._stage.memory import MemoryConn, MemoryMetadata, connected_pair
from gost_core.testing._stage.streams import end_of, read_exactly

__all__ = ("HandlerContract",)

_Connect: TypeAlias = Callable[[Conn, str], Awaitable[Conn]]
_Login: TypeAlias = Callable[[Conn, str, str, str], Awaitable[Conn]]

_MARK: Final[Key[str]] = Key("a value of the check")
_TARGET: Final[str] = "target.example:80"
_NODE: Final[str] = "198.51.100.7:80"
# More than any buffer on the way holds, so that all of it must flow.
_DATA: Final[bytes] = bytes(range(256)) * 2048
_GARBAGE: Final[bytes] = bytes(range(255, -1, -1)) * 16


@dataclass(frozen=True)
class _Client:
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
class _Served:
    """A handler, and the router by which it dials."""

    handler: Handler
    router: FakeRouter

    def client(self) -> _Client:
        """Have a client come."""
        conn, handled = map(owned, connected_pair())
        ctx = Context().with_value(_MARK, "here")
        return _Client(conn, handled, start(self.handler.handle(ctx, handled)))

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

    async def expect_not_dialed(self, client: _Client, why: str) -> None:
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


class HandlerContract(InitialisedOnce, interface=Handler):
    """What a handler promises that dials by a router of the kit."""

    make: Callable[[*tuple[handler.Option, ...]], Handler] = field(kw_only=False)
    """Makes a handler with the options that it is called with, a router among them, before
    ``init()``; a class whose constructor takes ``*opts: Option`` will do."""
    connect: _Connect | None = None
    """Speaks the client's side of the protocol on the connection, up to where bytes for the target
    at the address can be sent, and returns the connection on which they are. It raises, or waits
    until it is cancelled, when the handler refuses. For a handler that needs no protocol it returns
    the connection as it is."""
    login: _Login | None = None
    """The same, with a user and a password."""
    elapse: Callable[[float], Awaitable[object]] | None = None
    """Lets so many seconds pass by the clock by which the handler ends what is idle."""

    def _made(self, *opts: handler.Option) -> _Served:
        router = FakeRouter()
        return _Served(owned(self.make(router_option(router), *opts)), router)

    async def _ready(self, *opts: handler.Option) -> _Served:
        served = self._made(*opts)
        await given(served.handler.init(None), "init()")
        return served

    async def _initialised(self) -> tuple[Handler, None]:
        return (await self._ready()).handler, None

    async def _obliging(self, *opts: handler.Option) -> _Served:
        """Return a handler whose targets go when the client goes."""
        served = await self._ready(*opts)
        served.serve_targets()
        return served

    # ---- Life

    @clause("It is constructed without an event loop.", "D18")
    async def constructed_without_loop(self) -> None:
        call = asyncio.to_thread(lambda: self.make(router_option(FakeRouter())))
        made = await within(call, "constructing it in a thread without an event loop")
        owned(made)

    @clause("init() accepts None, and empty metadata.", "D18")
    async def init_without_metadata(self) -> None:
        for metadata in (None, MemoryMetadata()):
            init = self._made().handler.init(metadata)
            await within(init, f"init({metadata and 'empty metadata'})")

    @clause("Without a router, init() works, or raises a ValueError.", "D15, D18")
    async def init_without_options(self) -> None:
        with suppress(ValueError):
            await within(owned(self.make()).init(None), "init() without options")

    @clause("handle() before init() raises RuntimeError, and closes the connection.", "D18, D28")
    async def handle_before_init(self) -> None:
        client = self._made().client()
        await client.conn.close()
        await raises(client.handling, "handle() before init()", RuntimeError)
        await client.expect_closed("handle() before init() has raised")

    @clause("close() is legal before init(), twice, and two at once.", "D1, D18")
    async def close_any_time(self) -> None:
        for prepare in (False, True):
            made = (await self._ready() if prepare else self._made()).handler
            closer = closable(made)
            await within(closer.close(), "close()")
            both = asyncio.gather(closer.close(), closer.close())
            await within(both, "two more calls of close() at once")

    @clause("Closing it leaves the router open, which was only lent to it.", "D19")
    async def router_stays_open(self) -> None:
        served = await self._ready()
        if isinstance(served.handler, Closer):
            await within(served.handler.close(), "close()")
        expect(not served.router.closed, "close() closed the router")

    # ---- Clients

    @clause("A client that goes away at once is no failure, and its connection is closed.", "D28")
    async def client_gone(self) -> None:
        client = (await self._obliging()).client()
        await client.conn.close()
        await client.expect_returns("a client that went away at once")
        await client.expect_closed("the client has gone away")

    @clause(
        "A client that breaks the connection off is no failure, and the connection is closed.",
        "D28",
    )
    async def client_reset(self) -> None:
        client = (await self._obliging()).client()
        await settle()
        client.conn.break_off()
        await client.expect_returns("a client that broke its connection off")
        await client.expect_closed("the client has broken off")

    @clause("What makes no sense ends the call, and the connection is closed.", "D28")
    async def garbage(self) -> None:
        client = (await self._obliging()).client()
        with suppress(OSError):
            await given(client.conn.write(_GARBAGE), "sending garbage")
        await client.conn.close()
        await client.expect_ends("a client that sent garbage")
        await client.expect_closed("the client has sent garbage")

    @clause("Cancelling handle() closes the connection.", "D4, D28")
    async def cancel_closes(self) -> None:
        client = (await self._obliging()).client()
        await settle()
        await expect_cancelled(client.handling, "handle()")
        await client.expect_closed("handle() was cancelled")

    @clause(
        "After close() too, handle() closes the connection, and ends.",
        "D28",
        after=("client_gone",),
    )
    async def handle_after_close(self) -> None:
        served = await self._obliging()
        await within(closable(served.handler).close(), "close()")
        client = served.client()
        await client.conn.close()
        await client.expect_ends("a client of a closed handler")
        await client.expect_closed("the handler was closed before")

    @clause("A client that says nothing does not hold up another.", "D22", after=("client_gone",))
    async def concurrent(self) -> None:
        served = await self._obliging()
        served.client()
        await settle()
        second = served.client()
        await second.conn.close()
        await second.expect_ends("a client beside a silent one")

    # ---- Traffic

    async def _connected(self, *opts: handler.Option) -> tuple[_Served, _Client, Conn, MemoryConn]:
        """Return a client that has reached its target, its connection to it, and the target."""
        connect = need(self.connect, "connect")
        served = await self._ready(*opts)
        client = served.client()
        near = await within(connect(client.conn, _TARGET), "reaching a target by `connect`")
        far = owned(await within(served.router.targets.get(), "the dial to the target"))
        return served, client, near, far

    @clause("The router is asked for the target, by the name that the client said.", "D12")
    async def dials_target(self) -> None:
        served, _, _, _ = await self._connected()
        call = served.router.dials[0]
        expect(call.address == _TARGET, f"for {_TARGET!r} the router was asked {call.address!r}")
        expect(call.network.startswith("tcp"), f"the network that was asked for: {call.network!r}")

    @clause("The router is given the values of the connection.", "D28", after=("dials_target",))
    async def context_handed_on(self) -> None:
        served, _, _, _ = await self._connected()
        value = served.router.dials[0].ctx.value(_MARK)
        expect(value == "here", "the router was given a context without the connection's values")

    @clause("What is sent arrives, both ways, whole and in order.", "D8", after=("dials_target",))
    async def carries(self) -> None:
        _, _, near, far = await self._connected()
        for source, sink, what in (
            (near, far, "from the client to the target"),
            (far, near, "from the target to the client"),
        ):
            start(source.write(_DATA))
            data = await read_exactly(sink, len(_DATA))
            expect(data == _DATA, f"{what}, the bytes that arrive are not those that were sent")

    @clause(
        "When the client ends its stream, the target's answer still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def client_half_closes(self) -> None:
        _, _, near, far = await self._connected()
        await _expect_half_close(near, far, "client", "target")

    @clause(
        "When the target ends its stream, what the client sends still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def target_half_closes(self) -> None:
        _, _, near, far = await self._connected()
        await _expect_half_close(far, near, "target", "client")

    @clause(
        "A transfer may take its time in one direction while the other is silent.",
        "Go's implementations",
        after=("carries",),
    )
    async def one_way(self) -> None:
        elapse = need(self.elapse, "elapse")
        _, _, near, far = await self._connected()
        for _ in range(4):
            await given(elapse(5.0), "letting 5 s pass")
            # If this fails, nothing arrives.
            with suppress(OSError):
                await far.write(b"data")
            data = await within(read_exactly(near, 4), "what the target sends, 5 s after the last")
            expect(data == b"data", f"b'data' was sent, and {data!r} arrived")

    @clause(
        "When the exchange is over, handle() returns, and both connections are closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def exchange_ends(self) -> None:
        served, client, near, far = await self._connected()
        await far.close()
        await within(near.close(), "the client's close()")
        await client.expect_returns("an exchange that both ends have ended")
        await client.expect_closed("the exchange is over")
        await served.expect_targets_closed("the exchange is over")

    @clause(
        "A client that goes away during the exchange is no failure, and the target is closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def client_gone_later(self) -> None:
        served, client, near, far = await self._connected()
        await within(near.close(), "the client's close()")
        start(_send_for_ever(far))
        await client.expect_returns("a client that went away during the exchange")
        await served.expect_targets_closed("the client has gone away")

    @clause(
        "Cancelling during the exchange closes both connections.",
        "D4",
        after=("dials_target", "cancel_closes"),
    )
    async def cancel_closes_target(self) -> None:
        served, client, _, _ = await self._connected()
        await expect_cancelled(client.handling, "handle()")
        await client.expect_closed("handle() was cancelled")
        await served.expect_targets_closed("handle() was cancelled")

    @clause(
        "When the target cannot be reached, handle() ends and closes the connection.",
        "D28",
        after=("dials_target",),
    )
    async def target_unreachable(self) -> None:
        served = await self._ready()
        served.router.dials.fail_always(ConnectionRefusedError(_TARGET))
        client = self._asking(served)
        await client.expect_ends("a client whose target refuses")
        await client.expect_closed("the target has refused")

    @clause(
        "With a traffic limiter, all bytes of a client are drawn from its budgets.",
        "D52, D53",
        after=("carries",),
    )
    async def traffic_limited(self) -> None:
        limiter = FakeTrafficLimiter()
        _, _, near, far = await self._connected(traffic_limiter_option(limiter))
        for source, sink in ((near, far), (far, near)):
            start(source.write(_DATA))
            await given(read_exactly(sink, len(_DATA)), "the transfer")
        granted, carried = limiter.granted, 2 * len(_DATA)
        expect(granted >= carried, f"{carried} bytes were carried, and {granted} drawn")

    @clause("When a traffic limiter refuses, the exchange ends.", "D52", after=("traffic_limited",))
    async def traffic_refused(self) -> None:
        connect = need(self.connect, "connect")
        served = await self._obliging(traffic_limiter_option(FakeTrafficLimiter(refuses=True)))
        client = served.client()

        async def send() -> None:
            conn = await connect(client.conn, _TARGET)
            await conn.write(_DATA)

        start(send())
        await client.expect_ends("a client whose bytes the limiter refuses")

    # ---- Who is refused

    def _asking(self, served: _Served) -> _Client:
        """Have a client ask for the target, with whatever result."""
        connect = need(self.connect, "connect")
        client = served.client()
        start(connect(client.conn, _TARGET))
        return client

    async def _expect_refused(self, why: str, *opts: handler.Option) -> None:
        served = await self._ready(*opts)
        await served.expect_not_dialed(self._asking(served), why)

    @clause(
        "A client over its limit of requests is refused: nothing is dialed.",
        "D51",
        after=("dials_target",),
    )
    async def rate_limited(self) -> None:
        limiter = rate_limiter_option(FakeRateLimiter())
        await self._expect_refused("the rate limiter allows nothing", limiter)

    @clause(
        "A rate limiter that raises refuses: nothing is dialed.", "D53", after=("dials_target",)
    )
    async def rate_limiter_broken(self) -> None:
        limiter = FakeRateLimiter(OSError("the limits are out of reach"))
        await self._expect_refused("the rate limiter raises OSError", rate_limiter_option(limiter))

    @clause(
        "A destination that the bypass contains is refused: it is not dialed.",
        "D47",
        after=("dials_target",),
    )
    async def bypass_refuses(self) -> None:
        rules = bypass_option(FakeBypass("target.example"))
        await self._expect_refused("the bypass contains the destination", rules)

    @clause("A bypass that raises refuses: nothing is dialed.", "D36", after=("dials_target",))
    async def bypass_broken(self) -> None:
        rules = FakeBypass()
        rules.asked.fail_always(OSError("the rules are out of reach"))
        await self._expect_refused("the bypass raises OSError", bypass_option(rules))

    async def _logged_in(
        self, users: FakeAuthenticator, password: str = "password"
    ) -> tuple[_Served, _Client]:
        """Have a client ask for the target, with credentials, and whatever result."""
        login = need(self.login, "login")
        served = await self._ready(auther_option(users))
        client = served.client()
        start(login(client.conn, _TARGET, "user", password))
        return served, client

    @clause("Wrong credentials are refused, and right ones let in.", "D49")
    async def auther_decides(self) -> None:
        users = FakeAuthenticator("user", "password", "client-7")
        served, _ = await self._logged_in(users)
        await served.dialed("the password is right, and nothing is dialed")
        served, client = await self._logged_in(users, "wrong")
        await served.expect_not_dialed(client, "the password is wrong")
        if self.connect is not None:
            served = await self._ready(auther_option(users))
            await served.expect_not_dialed(self._asking(served), "nobody has logged in")

    @clause('The client id "" is one too: it is let in.', "D49", after=("auther_decides",))
    async def auther_empty_id(self) -> None:
        served, _ = await self._logged_in(FakeAuthenticator("user", "password", ""))
        await served.dialed('the client id is "", and nothing is dialed')

    @clause("An authenticator that raises refuses.", "D49", after=("auther_decides",))
    async def auther_broken(self) -> None:
        users = FakeAuthenticator("user", "password", "client-7")
        users.asked.fail_always(OSError("the users are out of reach"))
        served, client = await self._logged_in(users)
        await served.expect_not_dialed(client, "the authenticator raises OSError")

    @clause(
        "The id that the authenticator returns is the context's client id.",
        "D28",
        after=("auther_decides",),
    )
    async def client_id(self) -> None:
        served, _ = await self._logged_in(FakeAuthenticator("user", "password", "client-7"))
        found = (await served.dialed("nothing is dialed")).ctx.value(CLIENT_ID)
        expect(found == "client-7", f"the id is 'client-7', and CLIENT_ID is {found!r}")

    # ---- Forwarding

    def _forwarder(self, hop: Hop | None) -> _Served:
        """Return a handler that is told to forward, before init()."""
        served = self._made()
        _as_forwarder(served.handler).forward(hop)
        return served

    async def _forwarding(self, hop: Hop) -> _Served:
        served = self._forwarder(hop)
        await given(served.handler.init(None), "init()")
        return served

    @clause(
        "forward(None) before init() is legal: there is no forwarding.",
        "D18",
        after=("init_without_metadata",),
    )
    async def forward_none(self) -> None:
        await within(self._forwarder(None).handler.init(None), "init() after forward(None)")

    @clause("forward() after init() raises RuntimeError.", "D18", after=("init_without_metadata",))
    async def forward_late(self) -> None:
        forwarder = _as_forwarder((await self._ready()).handler)
        with expect_raises("forward() after init()", RuntimeError):
            forwarder.forward(None)

    @clause("With a hop, clients are sent to the node that it chooses.", "D18")
    async def forward_target(self) -> None:
        served = await self._forwarding(FakeHop(Node("node", _NODE)))
        self._asking(served)
        address = (await served.dialed(f"the hop chose {_NODE}, and nothing is dialed")).address
        expect(address == _NODE, f"the hop chose {_NODE}, and {address!r} was dialed")

    @clause(
        "Where the hop chooses None there is no target: nothing is dialed.",
        "D40",
        after=("forward_target",),
    )
    async def forward_no_target(self) -> None:
        served = await self._forwarding(FakeHop(None))
        await served.expect_not_dialed(self._asking(served), "the hop chooses None")

    @clause(
        "What the hop raises refuses the client: nothing is dialed.",
        "D36",
        after=("forward_target",),
    )
    async def forward_broken_hop(self) -> None:
        hop = FakeHop(Node("node", _NODE))
        hop.asked.fail_always(PermissionError("refused by rule"))
        served = await self._forwarding(hop)
        await served.expect_not_dialed(self._asking(served), "the hop raises PermissionError")

    @clause("Closing it leaves the hop open, which was only lent to it.", "D19")
    async def hop_stays_open(self) -> None:
        hop = FakeHop(Node("node", _NODE))
        made = (await self._forwarding(hop)).handler
        if isinstance(made, Closer):
            await within(made.close(), "close()")
        expect(not hop.closed, "close() closed the hop")


def _as_forwarder(made: Handler, /) -> Forwarder:
    """Return a handler that forwards as such."""
    if not isinstance(made, Forwarder):
        raise Exempt("it is no Forwarder")
    return made


async def _expect_half_close(first: Conn, second: Conn, one: str, other: str, /) -> None:
    """Break the clause unless ``second`` can send after ``first`` has ended its stream."""
    if not isinstance(first, HalfCloser):
        raise Exempt(f"the {one} of this protocol cannot end its stream alone")
    await within(first.write(b"request"), f"writing by the {one}")
    await within(first.close_write(), f"close_write() of the {one}")
    end = read_exactly(second, len(b"request") + 1)
    data = await within(end, f"the end of the {one}'s stream at the {other}")
    expect(data == b"request", f"the {one} sent b'request', and {data!r} arrived")
    await settle()
    start(second.write(_DATA))
    data = await read_exactly(first, len(_DATA))
    whole = data == _DATA
    expect(whole, f"of {len(_DATA)} bytes that the {other} sent after that, {len(data)} came")


async def _send_for_ever(conn: MemoryConn, /) -> None:
    with suppress(OSError):
        while True:
            await conn.write(b"data")
            await asyncio.sleep(0)
