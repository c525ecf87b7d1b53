"""The contract of handlers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from gost_core import handler
from gost_core.chain import Node
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
from gost_core.testing._doubles import MemoryConn, connected_pair
from gost_core.testing._fakes import (
    FakeAuthenticator,
    FakeBypass,
    FakeHop,
    FakeMetadata,
    FakeRateLimiter,
    FakeRouter,
    FakeTrafficLimiter,
    cancel,
    happens,
)
from gost_core.testing._report import Report

__all__ = ("check_handler_handler",)

Connect = Callable[[Conn, str], Awaitable[Conn]]
Login = Callable[[Conn, str, str, str], Awaitable[Conn]]

_MARK: Final[Key[str]] = Key("a value of the check")
_TARGET: Final[str] = "target.example:80"
_NODE: Final[str] = "198.51.100.7:80"
# More than any buffer on the way holds, so that all of it must flow.
_DATA: Final[bytes] = bytes(range(256)) * 2048
_GARBAGE: Final[bytes] = bytes(range(255, -1, -1)) * 16


class _Client:
    """A client, and the task that handles it."""

    def __init__(self, conn: MemoryConn, handled: MemoryConn, handling: "asyncio.Future[None]"):
        self.conn = conn
        self.handled = handled
        self.handling = handling


class HandlerContract(Contract, interface=Handler):
    """Check a handler; it dials by a router of the kit."""

    make: Callable[[*tuple[handler.Option, ...]], Handler] = field(kw_only=False)
    """Makes a handler with the options that it is called with, a router among them, before
    ``init()``; a class whose constructor takes ``*opts: Option`` will do."""
    connect: Connect | None = None
    """Speaks the client's side of the protocol on the connection, up to where bytes for the target
    at the address can be sent, and returns the connection on which they are. It raises, or waits
    until it is cancelled, when the handler refuses. For a handler that needs no protocol it returns
    the connection as it is."""
    login: Login | None = None
    """The same, with a user and a password."""
    elapse: Callable[[float], Awaitable[object]] | None = None
    """Lets so many seconds pass by the clock by which the handler ends what is idle."""

    async def _specimen(self) -> Handler:
        return self._handler()

    # ---- Life

    @clause("It is constructed without an event loop.", "D18")
    async def constructed_without_loop(self) -> None:
        call = asyncio.to_thread(self.make, router_option(FakeRouter()))
        made = await within(call, "constructing it in a thread without an event loop")
        owned(made)

    @clause("init() accepts None, and empty metadata.", "D18")
    async def init_without_metadata(self) -> None:
        for metadata in (None, FakeMetadata()):
            made = self._handler(router_option(FakeRouter()))
            await within(made.init(metadata), f"init({metadata and 'empty metadata'})")

    @clause("Without a router, init() works, or raises a ValueError.", "D15, D18")
    async def init_without_options(self) -> None:
        made = self._handler()
        try:
            await within(made.init(None), "init() without options")
        except ValueError:
            return

    @clause("A second init() raises RuntimeError.", "D18", after=("init_without_metadata",))
    async def init_once(self) -> None:
        made = await self._ready(FakeRouter())
        await raises(made.init(None), "a second init()", RuntimeError)

    @clause("handle() before init() raises RuntimeError, and closes the connection.", "D18, D28")
    async def handle_before_init(self) -> None:
        made = self._handler(router_option(FakeRouter()))
        client = self._client(made)
        await client.conn.close()
        await raises(client.handling, "handle() before init()", RuntimeError)
        await self._expect_closed(client, "handle() before init() has raised")

    @clause("close() is legal before init(), twice, and two at once.", "D1, D18")
    async def close_any_time(self) -> None:
        for prepare in (False, True):
            made = self._handler(router_option(FakeRouter()))
            if not isinstance(made, Closer):
                raise NotTried("it is no Closer")
            if prepare:
                await given(made.init(None), "init()")
            await within(made.close(), "close()")
            both = asyncio.gather(made.close(), made.close())
            await within(both, "two more calls of close() at once")

    @clause("Closing it leaves the router open, which was only lent to it.", "D19")
    async def router_stays_open(self) -> None:
        router = FakeRouter()
        made = await self._ready(router)
        if isinstance(made, Closer):
            await within(made.close(), "close()")
        expect(not router.closed, "close() closed the router")

    # ---- Clients

    @clause("A client that goes away at once is no failure, and its connection is closed.", "D28")
    async def client_gone(self) -> None:
        client = self._client(await self._ready(self._obliging_router()))
        await client.conn.close()
        await self._expect_returns(client, "a client that went away at once")
        await self._expect_closed(client, "the client has gone away")

    @clause(
        "A client that breaks the connection off is no failure, and the connection is closed.",
        "D28",
    )
    async def client_reset(self) -> None:
        client = self._client(await self._ready(self._obliging_router()))
        await settle()
        client.conn.break_off()
        await self._expect_returns(client, "a client that broke its connection off")
        await self._expect_closed(client, "the client has broken off")

    @clause("What makes no sense ends the call, and the connection is closed.", "D28")
    async def garbage(self) -> None:
        client = self._client(await self._ready(self._obliging_router()))
        with suppress(OSError):
            await given(client.conn.write(_GARBAGE), "sending garbage")
        await client.conn.close()
        await self._expect_ends(client, "a client that sent garbage")
        await self._expect_closed(client, "the client has sent garbage")

    @clause("Cancelling handle() closes the connection.", "D4, D28")
    async def cancel_closes(self) -> None:
        client = self._client(await self._ready(self._obliging_router()))
        await settle()
        await cancel(client.handling, "handle()", self.time_limit)
        await self._expect_closed(client, "handle() was cancelled")

    @clause(
        "After close() too, handle() closes the connection, and ends.",
        "D28",
        after=("client_gone",),
    )
    async def handle_after_close(self) -> None:
        made = await self._ready(self._obliging_router())
        if not isinstance(made, Closer):
            raise NotTried("it is no Closer")
        await within(made.close(), "close()")
        client = self._client(made)
        await client.conn.close()
        await self._expect_ends(client, "a client of a closed handler")
        await self._expect_closed(client, "the handler was closed before")

    @clause("A client that says nothing does not hold up another.", "D22", after=("client_gone",))
    async def concurrent(self) -> None:
        made = await self._ready(self._obliging_router())
        self._client(made)
        await settle()
        second = self._client(made)
        await second.conn.close()
        await self._expect_ends(second, "a client beside a silent one")

    # ---- Traffic

    @clause("The router is asked for the target, by the name that the client said.", "D12")
    async def dials_target(self) -> None:
        router = FakeRouter()
        await self._connected(router)
        call = router.dials[0]
        expect(call.address == _TARGET, f"for {_TARGET!r} the router was asked {call.address!r}")
        expect(call.network.startswith("tcp"), f"the network that was asked for: {call.network!r}")

    @clause("The router is given the values of the connection.", "D28", after=("dials_target",))
    async def context_handed_on(self) -> None:
        router = FakeRouter()
        await self._connected(router)
        value = router.dials[0].ctx.value(_MARK)
        expect(value == "here", "the router was given a context without the connection's values")

    @clause("What is sent arrives, both ways, whole and in order.", "D8", after=("dials_target",))
    async def carries(self) -> None:
        _, near, far = await self._connected(FakeRouter())
        for source, sink, what in (
            (near, far, "from the client to the target"),
            (far, near, "from the target to the client"),
        ):
            start(source.write(_DATA))
            data = await within(_read(sink, len(_DATA)), f"{len(_DATA)} bytes {what}")
            expect(data == _DATA, f"{what}, the bytes that arrive are not those that were sent")

    @clause(
        "When the client ends its stream, the target's answer still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def client_half_closes(self) -> None:
        _, near, far = await self._connected(FakeRouter())
        await self._expect_half_close(near, far, "client", "target")

    @clause(
        "When the target ends its stream, what the client sends still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def target_half_closes(self) -> None:
        _, near, far = await self._connected(FakeRouter())
        await self._expect_half_close(far, near, "target", "client")

    @clause(
        "A transfer may take its time in one direction while the other is silent.",
        "Go's implementations",
        after=("carries",),
    )
    async def one_way(self) -> None:
        need(self.elapse, 'elapse')  # NEED
        _, near, far = await self._connected(FakeRouter())
        for _ in range(4):
            await given(self.elapse(5.0), "letting 5 s pass")
            # If this fails, nothing arrives.
            with suppress(OSError):
                await far.write(b"data")
            data = await within(_read(near, 4), "what the target sends, 5 s after the last")
            expect(data == b"data", f"b'data' was sent, and {data!r} arrived")

    @clause(
        "When the exchange is over, handle() returns, and both connections are closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def exchange_ends(self) -> None:
        router = FakeRouter()
        client, near, far = await self._connected(router)
        await far.close()
        await within(near.close(), "the client's close()")
        await self._expect_returns(client, "an exchange that both ends have ended")
        await self._expect_closed(client, "the exchange is over")
        await self._expect_target_closed(router, "the exchange is over")

    @clause(
        "A client that goes away during the exchange is no failure, and the target is closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def client_gone_later(self) -> None:
        router = FakeRouter()
        client, near, far = await self._connected(router)
        await within(near.close(), "the client's close()")
        start(_send_for_ever(far))
        await self._expect_returns(client, "a client that went away during the exchange")
        await self._expect_target_closed(router, "the client has gone away")

    @clause(
        "Cancelling during the exchange closes both connections.",
        "D4",
        after=("dials_target", "cancel_closes"),
    )
    async def cancel_closes_target(self) -> None:
        router = FakeRouter()
        client, _, _ = await self._connected(router)
        await cancel(client.handling, "handle()", self.time_limit)
        await self._expect_closed(client, "handle() was cancelled")
        await self._expect_target_closed(router, "handle() was cancelled")

    @clause(
        "When the target cannot be reached, handle() ends and closes the connection.",
        "D28",
        after=("dials_target",),
    )
    async def target_unreachable(self) -> None:
        router = FakeRouter()
        router.dialing.fail_always(ConnectionRefusedError(_TARGET))
        client = self._client(await self._ready(router))
        self._ask(client)
        await self._expect_ends(client, "a client whose target refuses")
        await self._expect_closed(client, "the target has refused")

    @clause(
        "With a traffic limiter, all bytes of a client are drawn from its budgets.",
        "D52, D53",
        after=("carries",),
    )
    async def traffic_limited(self) -> None:
        limiter = FakeTrafficLimiter()
        _, near, far = await self._connected(FakeRouter(), traffic_limiter_option(limiter))
        for source, sink in ((near, far), (far, near)):
            start(source.write(_DATA))
            await given(_read(sink, len(_DATA)), "the transfer")
        granted, carried = limiter.granted, 2 * len(_DATA)
        expect(granted >= carried, f"{carried} bytes were carried, and {granted} drawn")

    @clause(
        "When a traffic limiter refuses, the exchange ends.",
        "D52",
        after=("traffic_limited",),
    )
    async def traffic_refused(self) -> None:
        limiter = FakeTrafficLimiter(refuses=True)
        made = await self._ready(self._obliging_router(), traffic_limiter_option(limiter))
        client = self._client(made)
        start(self._send(client, _DATA))
        await self._expect_ends(client, "a client whose bytes the limiter refuses")

    # ---- Who is refused

    @clause(
        "A client over its limit of requests is refused: nothing is dialed.",
        "D51",
        after=("dials_target",),
    )
    async def rate_limited(self) -> None:
        router = FakeRouter()
        made = await self._ready(router, rate_limiter_option(FakeRateLimiter()))
        await self._expect_refused(made, router, "the rate limiter allows nothing")

    @clause(
        "A rate limiter that raises refuses: nothing is dialed.", "D53", after=("dials_target",)
    )
    async def rate_limiter_broken(self) -> None:
        router = FakeRouter()
        limiter = FakeRateLimiter(OSError("the limits are out of reach"))
        made = await self._ready(router, rate_limiter_option(limiter))
        await self._expect_refused(made, router, "the rate limiter raises OSError")

    @clause(
        "A destination that the bypass contains is refused: it is not dialed.",
        "D47",
        after=("dials_target",),
    )
    async def bypass_refuses(self) -> None:
        router = FakeRouter()
        made = await self._ready(router, bypass_option(FakeBypass("target.example")))
        await self._expect_refused(made, router, "the bypass contains the destination")

    @clause("A bypass that raises refuses: nothing is dialed.", "D36", after=("dials_target",))
    async def bypass_broken(self) -> None:
        rules = FakeBypass()
        rules.deciding.fail_always(OSError("the rules are out of reach"))
        router = FakeRouter()
        made = await self._ready(router, bypass_option(rules))
        await self._expect_refused(made, router, "the bypass raises OSError")

    @clause("Wrong credentials are refused, and right ones let in.", "D49")
    async def auther_decides(self) -> None:
        users = FakeAuthenticator("user", "password", "client-7")
        router = FakeRouter()
        made = await self._ready(router, auther_option(users))
        await self._log_in(made, "password")
        await self._until(lambda: bool(router.dials), "the dial for the right password")
        router = FakeRouter()
        made = await self._ready(router, auther_option(users))
        client = await self._log_in(made, "wrong")
        await self._expect_not_dialed(client, router, "the password is wrong")

    @clause('The client id "" is one too: it is let in.', "D49", after=("auther_decides",))
    async def auther_empty_id(self) -> None:
        router = FakeRouter()
        users = FakeAuthenticator("user", "password", "")
        made = await self._ready(router, auther_option(users))
        await self._log_in(made, "password")
        await self._until(lambda: bool(router.dials), 'the dial for a client with the id ""')

    @clause("An authenticator that raises refuses.", "D49", after=("auther_decides",))
    async def auther_broken(self) -> None:
        users = FakeAuthenticator("user", "password", "client-7")
        users.deciding.fail_always(OSError("the users are out of reach"))
        router = FakeRouter()
        made = await self._ready(router, auther_option(users))
        client = await self._log_in(made, "password")
        await self._expect_not_dialed(client, router, "the authenticator raises OSError")

    @clause(
        "The id that the authenticator returns is the context's client id.",
        "D28",
        after=("auther_decides",),
    )
    async def client_id(self) -> None:
        router = FakeRouter()
        users = FakeAuthenticator("user", "password", "client-7")
        made = await self._ready(router, auther_option(users))
        await self._log_in(made, "password")
        await self._until(lambda: bool(router.dials), "the dial")
        found = router.dials[0].ctx.value(CLIENT_ID)
        expect(found == "client-7", f"the id is 'client-7', and CLIENT_ID is {found!r}")

    # ---- Forwarding

    @clause(
        "forward(None) before init() is legal: there is no forwarding.",
        "D18",
        after=("init_without_metadata",),
    )
    async def forward_none(self) -> None:
        made, forwarder = self._forwarder(FakeRouter())
        forwarder.forward(None)
        await within(made.init(None), "init() after forward(None)")

    @clause("forward() after init() raises RuntimeError.", "D18", after=("init_without_metadata",))
    async def forward_late(self) -> None:
        made, forwarder = self._forwarder(FakeRouter())
        await given(made.init(None), "init()")
        try:
            forwarder.forward(None)
        except RuntimeError:
            return
        except Exception as error:
            raise Broken(f"forward() after init() raised {describe(error)}") from error
        raise Broken("forward() after init() raised nothing instead of RuntimeError")

    @clause("With a hop, clients are sent to the node that it chooses.", "D18")
    async def forward_target(self) -> None:
        router = FakeRouter()
        made = await self._forwarding(router, FakeHop(Node("node", _NODE)))
        self._ask(self._client(made))
        await self._until(lambda: bool(router.dials), "the dial to the node of the hop")
        address = router.dials[0].address
        expect(address == _NODE, f"the hop chose {_NODE}, and {address!r} was dialed")

    @clause(
        "Where the hop chooses None there is no target: nothing is dialed.",
        "D40",
        after=("forward_target",),
    )
    async def forward_no_target(self) -> None:
        router = FakeRouter()
        made = await self._forwarding(router, FakeHop(None))
        await self._expect_refused(made, router, "the hop chooses None")

    @clause(
        "What the hop raises refuses the client: nothing is dialed.",
        "D36",
        after=("forward_target",),
    )
    async def forward_broken_hop(self) -> None:
        hop = FakeHop(Node("node", _NODE))
        hop.selecting.fail_always(PermissionError("refused by rule"))
        router = FakeRouter()
        made = await self._forwarding(router, hop)
        await self._expect_refused(made, router, "the hop raises PermissionError")

    @clause("Closing it leaves the hop open, which was only lent to it.", "D19")
    async def hop_stays_open(self) -> None:
        hop = FakeHop(Node("node", _NODE))
        made = await self._forwarding(FakeRouter(), hop)
        if isinstance(made, Closer):
            await within(made.close(), "close()")
        expect(not hop.closed, "close() closed the hop")

    # ---- What they use

    async def _connected(
        self, router: FakeRouter, *opts: handler.Option
    ) -> tuple[_Client, Conn, MemoryConn]:
        """Return a client that has reached its target, its connection to it, and the target."""
        need(self.connect, 'connect')  # NEED
        client = self._client(await self._ready(router, *opts))
        call = self.connect(client.conn, _TARGET)
        near = await within(call, "reaching a target by `connect`")
        far = await within(router.targets.get(), "the dial to the target")
        keep(far.close)
        return client, near, far

    def _ask(self, client: _Client) -> None:
        """Have the client ask for the target, with whatever result."""
        need(self.connect, 'connect')  # NEED
        start(self.connect(client.conn, _TARGET))

    async def _send(self, client: _Client, data: bytes) -> None:
        """Have the client reach the target and send, as far as it gets."""
        if self.connect is not None:
            conn = await self.connect(client.conn, _TARGET)
            await conn.write(data)

    async def _log_in(self, made: Handler, password: str) -> _Client:
        """Have a client ask for the target, with credentials, and whatever result."""
        need(self.login, 'login')  # NEED
        client = self._client(made)
        start(self.login(client.conn, _TARGET, "user", password))
        return client

    async def _expect_refused(self, made: Handler, router: FakeRouter, why: str) -> None:
        client = self._client(made)
        self._ask(client)
        await self._expect_not_dialed(client, router, why)

    async def _expect_not_dialed(self, client: _Client, router: FakeRouter, why: str) -> None:
        await self._until(
            lambda: client.handling.done() or bool(router.dials), f"the refusal where {why}"
        )
        if router.dials:
            raise Broken(f"{why}, and {router.dials[0].address!r} was dialed all the same")

    async def _expect_half_close(self, first: Conn, second: Conn, one: str, other: str) -> None:
        """Break the clause unless ``second`` can send after ``first`` has ended its stream."""
        if not isinstance(first, HalfCloser):
            raise NotTried(f"the {one} of this protocol cannot end its stream alone")
        await within(first.write(b"request"), f"writing by the {one}")
        await within(first.close_write(), f"close_write() of the {one}")
        data = await within(_read(second, 8), f"the end of the {one}'s stream at the {other}")
        expect(data == b"request", f"the {one} sent b'request', and {data!r} arrived")
        await settle()
        start(second.write(_DATA))
        data = await within(_read(first, len(_DATA)), f"what the {other} sends after that")
        whole = data == _DATA
        expect(whole, f"of {len(_DATA)} bytes that the {other} sent after that, {len(data)} came")

    async def _expect_returns(self, client: _Client, what: str) -> None:
        await self._expect_ends(client, what)
        error = None if client.handling.cancelled() else client.handling.exception()
        if error is not None:
            raise Broken(f"handle() of {what} raised {describe(error)}")

    async def _expect_ends(self, client: _Client, what: str) -> None:
        await within(asyncio.wait({client.handling}), f"handle() of {what}")

    async def _expect_closed(self, client: _Client, when: str) -> None:
        await self._until(lambda: client.handled.closed, f"{when}; closing the connection")

    async def _expect_target_closed(self, router: FakeRouter, when: str) -> None:
        await self._until(
            lambda: all(near.closed for near in router.near_ends),
            f"{when}; closing the connection to the target",
        )

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        await within(happens(condition), what)

    def _client(self, made: Handler) -> _Client:
        conn, handled = connected_pair()
        keep(conn.close)
        keep(handled.close)
        ctx = Context().with_value(_MARK, "here")
        return _Client(conn, handled, start(made.handle(ctx, handled)))

    def _obliging_router(self) -> FakeRouter:
        """Return a router to targets that go when the client goes."""
        router = FakeRouter()

        async def serve() -> None:
            while True:
                start(_drain(await router.targets.get()))

        start(serve())
        return router

    def _forwarder(self, router: FakeRouter) -> tuple[Handler, Forwarder]:
        made = self._handler(router_option(router))
        if not isinstance(made, Forwarder):
            raise NotTried("it is no Forwarder")
        return made, made

    async def _forwarding(self, router: FakeRouter, hop: Hop) -> Handler:
        made, forwarder = self._forwarder(router)
        forwarder.forward(hop)
        await given(made.init(None), "init()")
        return made

    async def _ready(self, router: FakeRouter, *opts: handler.Option) -> Handler:
        made = self._handler(router_option(router), *opts)
        await given(made.init(None), "init()")
        return made

    def _handler(self, *opts: handler.Option) -> Handler:
        return owned(self.make(*opts))


async def _read(conn: Conn, n: int) -> bytes:
    """Read ``n`` bytes, or up to the end of the stream."""
    data = bytearray()
    while len(data) < n:
        chunk = await conn.read(n - len(data))
        if not chunk:
            break
        data += chunk
    return bytes(data)


async def _drain(conn: MemoryConn) -> None:
    with suppress(OSError):
        while await conn.read(65536):
            pass
    await conn.close()


async def _send_for_ever(conn: MemoryConn) -> None:
    with suppress(OSError):
        while True:
            await conn.write(b"data")
            await asyncio.sleep(0)
