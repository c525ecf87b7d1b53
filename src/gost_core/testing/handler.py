"""The contract of handlers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import field
from typing import Final

from gost_core import handler
from gost_core.chain import Node
from gost_core.common.net import Closer, DeniedError, HalfCloser
from gost_core.handler import (
    Handler,
    auther_option,
    bypass_option,
    rate_limiter_option,
    router_option,
    traffic_limiter_option,
)
from gost_core.hop import Hop
from gost_core.keys import CLIENT_ID
from gost_core.limiter import SCOPE_CONN
from gost_core.testing._families.life import InitialisedOnce
from gost_core.testing._run.attempt import Broken, Exempt
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    applies,
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
    within,
)
from gost_core.testing._stage.fakes.chain import FakeHop, FakeRouter
from gost_core.testing._stage.fakes.limiter import FakeRateLimiter, FakeTrafficLimiter
from gost_core.testing._stage.fakes.lookups import FakeAuthenticator, FakeBypass
from gost_core.testing._stage.handled import (
    DATA,
    GARBAGE,
    MARK,
    TARGET,
    Client,
    Connect,
    Login,
    Served,
    Site,
    as_forwarder,
    expect_half_close,
    send_for_ever,
)
from gost_core.testing._stage.memory import (
    MemoryMetadata,
    connected_pair,
)
from gost_core.testing._stage.streams import read_exactly

__all__ = ("HandlerContract",)


_CLIENT: Final[str] = "192.0.2.1:1024"
_NODE: Final[str] = "198.51.100.7:80"


class HandlerContract(InitialisedOnce, interface=Handler):
    """What a handler promises that dials by a router of the kit."""

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

    @property
    def _site(self) -> Site:
        return Site(self.make, self.connect, self.login, self.elapse)

    async def _initialised(self) -> tuple[Handler, None]:
        return (await self._site.ready()).handler, None

    # ---- Life

    @clause("It is constructed without an event loop.", "D18")
    async def constructed_without_loop(self) -> None:
        call = asyncio.to_thread(lambda: self.make(router_option(FakeRouter())))
        made = await within(call, "constructing it in a thread without an event loop")
        owned(made)

    @clause("init() accepts None, and empty metadata.", "D18")
    async def init_without_metadata(self) -> None:
        for metadata in (None, MemoryMetadata()):
            init = self._site.made().handler.init(metadata)
            await within(init, f"init({metadata and 'empty metadata'})")

    @clause("Without a router, init() works, or raises a ValueError.", "D15, D18")
    async def init_without_options(self) -> None:
        with suppress(ValueError):
            await within(owned(self.make()).init(None), "init() without options")

    @clause("handle() before init() raises RuntimeError, and closes the connection.", "D18, D28")
    async def handle_before_init(self) -> None:
        client = self._site.made().client()
        await client.conn.close()
        await raises(client.handling, "handle() before init()", RuntimeError)
        await client.expect_closed("handle() before init() has raised")

    @clause("close() is legal before init(), twice, and two at once.", "D1, D18")
    async def close_any_time(self) -> None:
        for prepare in (False, True):
            made = (await self._site.ready() if prepare else self._site.made()).handler
            closer = closable(made)
            await within(closer.close(), "close()")
            both = asyncio.gather(closer.close(), closer.close())
            await within(both, "two more calls of close() at once")

    @clause("Closing it leaves the router open, which was only lent to it.", "D19")
    async def router_stays_open(self) -> None:
        served = await self._site.ready()
        if isinstance(served.handler, Closer):
            await within(served.handler.close(), "close()")
        expect(not served.router.closed, "close() closed the router")

    # ---- Clients

    @clause("A client that goes away at once is no failure, and its connection is closed.", "D28")
    async def client_gone(self) -> None:
        client = (await self._site.obliging()).client()
        await client.conn.close()
        await client.expect_returns("a client that went away at once")
        await client.expect_closed("the client has gone away")

    @clause(
        "A client that breaks the connection off is no failure, and the connection is closed.",
        "D28",
    )
    async def client_reset(self) -> None:
        client = (await self._site.obliging()).client()
        await settle()
        client.conn.break_off()
        await client.expect_returns("a client that broke its connection off")
        await client.expect_closed("the client has broken off")

    @clause("What makes no sense ends the call, and the connection is closed.", "D28")
    async def garbage(self) -> None:
        client = (await self._site.obliging()).client()
        with suppress(OSError):
            await given(client.conn.write(GARBAGE), "sending garbage")
        await client.conn.close()
        await client.expect_ends("a client that sent garbage")
        await client.expect_closed("the client has sent garbage")

    @clause("Cancelling handle() closes the connection.", "D4, D28")
    async def cancel_closes(self) -> None:
        client = (await self._site.obliging()).client()
        await settle()
        await expect_cancelled(client.handling, "handle()")
        await client.expect_closed("handle() was cancelled")

    @clause(
        "After close() too, handle() closes the connection, and ends.",
        "D28",
        after=("client_gone",),
    )
    async def handle_after_close(self) -> None:
        await _try_handle_after_close(self._site)

    @clause("A client that says nothing does not hold up another.", "D22", after=("client_gone",))
    async def concurrent(self) -> None:
        served = await self._site.obliging()
        served.client()
        await settle()
        second = served.client()
        await second.conn.close()
        await second.expect_ends("a client beside a silent one")

    # ---- Traffic

    @clause("The router is asked for the target, by the name that the client said.", "D12")
    async def dials_target(self) -> None:
        served, _, _, _ = await self._site.connected()
        call = served.router.dials[0]
        expect(call.address == TARGET, f"for {TARGET!r} the router was asked {call.address!r}")
        expect(call.network.startswith("tcp"), f"the network that was asked for: {call.network!r}")

    @clause("The router is given the values of the connection.", "D28", after=("dials_target",))
    async def context_handed_on(self) -> None:
        served, _, _, _ = await self._site.connected()
        value = served.router.dials[0].ctx.value(MARK)
        expect(value == "here", "the router was given a context without the connection's values")

    @clause("What is sent arrives, both ways, whole and in order.", "D8", after=("dials_target",))
    async def carries(self) -> None:
        _, _, near, far = await self._site.connected()
        for source, sink, what in (
            (near, far, "from the client to the target"),
            (far, near, "from the target to the client"),
        ):
            start(source.write(DATA))
            data = await read_exactly(sink, len(DATA))
            expect(data == DATA, f"{what}, the bytes that arrive are not those that were sent")

    @clause(
        "When the client ends its stream, the target's answer still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def client_half_closes(self) -> None:
        _, _, near, far = await self._site.connected()
        await expect_half_close(near, far, "client", "target")

    @clause(
        "When the target ends its stream, what the client sends still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def target_half_closes(self) -> None:
        _, _, near, far = await self._site.connected()
        await expect_half_close(far, near, "target", "client")

    @clause(
        "A transfer may take its time in one direction while the other is silent.",
        "Go's implementations",
        after=("carries",),
    )
    async def one_way(self) -> None:
        await _try_one_way(self._site)

    @clause(
        "When the exchange is over, handle() returns, and both connections are closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def exchange_ends(self) -> None:
        await _try_exchange_ends(self._site)

    @clause(
        "A client that goes away during the exchange is no failure, and the target is closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def client_gone_later(self) -> None:
        await _try_client_gone_later(self._site)

    @clause(
        "Cancelling during the exchange closes both connections.",
        "D4",
        after=("dials_target", "cancel_closes"),
    )
    async def cancel_closes_target(self) -> None:
        served, client, _, _ = await self._site.connected()
        await expect_cancelled(client.handling, "handle()")
        await client.expect_closed("handle() was cancelled")
        await served.expect_targets_closed("handle() was cancelled")
        served.router.dials.hang()
        client = self._site.asking(served)
        await served.router.dials.reached("the router")
        await expect_cancelled(client.handling, "handle()")
        expect(served.router.dials.cancelled == 1, "handle() has ended, and the dial goes on")

    @clause(
        "When the target cannot be reached, handle() ends and closes the connection.",
        "D28",
        after=("dials_target",),
    )
    async def target_unreachable(self) -> None:
        await _try_target_unreachable(self._site)

    @clause(
        "With a traffic limiter, all bytes of a client are drawn from its budgets.",
        "D52, D53",
        after=("carries",),
    )
    async def traffic_limited(self) -> None:
        await _try_traffic_limited(self._site)

    @clause("When a traffic limiter refuses, the exchange ends.", "D52", after=("traffic_limited",))
    async def traffic_refused(self) -> None:
        await _try_traffic_refused(self._site)

    # ---- Who is refused

    async def _expect_refused(self, why: str, *opts: handler.Option) -> None:
        served = await self._site.ready(*opts)
        await served.expect_not_dialed(self._site.asking(served), why)

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
    ) -> tuple[Served, Client]:
        """Have a client ask for the target, with credentials, and whatever result."""
        login = need(self.login, "login")
        served = await self._site.ready(auther_option(users))
        client = served.client()
        start(login(client.conn, TARGET, "user", password))
        return served, client

    @clause("Wrong credentials are refused, and right ones let in.", "D49", after=("concurrent",))
    async def auther_decides(self) -> None:
        users = FakeAuthenticator("user", "password", "client-7")
        served, _ = await self._logged_in(users)
        await served.dialed("the password is right, and nothing is dialed")
        served, client = await self._logged_in(users, "wrong")
        await served.expect_not_dialed(client, "the password is wrong")
        users.asked.hang(1)
        served, _ = await self._logged_in(users)
        await users.asked.reached("the authenticator")
        start(need(self.login, "login")(served.client().conn, TARGET, "user", "password"))
        await served.dialed("one client waits for the authenticator, and another is held up")

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

    @clause(
        "A client that brings no credentials is refused where there is an authenticator, before "
        "anything of its request is judged.",
        "D28",
        after=("auther_decides", "dials_target"),
    )
    async def auther_needed(self) -> None:
        users, rules = FakeAuthenticator("user", "password", "client-7"), FakeBypass()
        opts = auther_option(users), bypass_option(rules)
        await self._expect_refused("the client brings no credentials", *opts)
        expect(not rules.asked, "the client brings no credentials, and the bypass was asked")

    @clause(
        "The rate limit is asked first, by the client's host, and a refused login has spent it.",
        "D28, D53",
        after=("auther_decides", "rate_limited"),
    )
    async def rate_first(self) -> None:
        await _expect_rate_first(self._site)

    @clause(
        "A client that a rule of this side refuses ends handle() in a DeniedError.",
        "D15, D28",
        after=("rate_limited", "bypass_refuses"),
    )
    async def denied(self) -> None:
        await _try_denied(self._site)

    @clause(
        "Success is told only when the target is reached, where the protocol can tell it.",
        "D28",
        after=("dials_target",),
    )
    async def told_truly(self) -> None:
        await _expect_told_truly(self._site)

    @clause(
        "Names are brought to one form: a name of other case, or with a trailing dot, is the same; "
        "other spellings of numbers are refused.",
        "D12",
        after=("bypass_refuses",),
    )
    async def names_one_form(self) -> None:
        await _expect_one_form(self._site)

    @clause(
        "A target that breaks off, or a handle() that is cancelled, is no end of the client's "
        "stream: the connection is broken off if it can be.",
        "D28, D72",
        after=("carries", "cancel_closes"),
    )
    async def cut_shown(self) -> None:
        await _try_cut_shown(self._site)

    @clause(
        "When the client ends its stream, and the target cannot half-close, the target is closed.",
        "D10, D28",
        after=("client_half_closes",),
    )
    async def closed_whole(self) -> None:
        await _try_closed_whole(self._site)

    @clause("Clients at once each reach their own target.", "D22", after=("carries", "concurrent"))
    async def clients_apart(self) -> None:
        await _expect_apart(self._site)

    # ---- Forwarding

    def _forwarder(self, hop: Hop | None) -> Served:
        """Return a handler that is told to forward, before init()."""
        served = self._site.made()
        as_forwarder(served.handler).forward(hop)
        return served

    async def _forwarding(self, hop: Hop) -> Served:
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
        forwarder = as_forwarder((await self._site.ready()).handler)
        with expect_raises("forward() after init()", RuntimeError):
            forwarder.forward(None)

    @clause("With a hop, clients are sent to the node that it chooses.", "D18")
    async def forward_target(self) -> None:
        served = await self._forwarding(FakeHop(Node("node", _NODE)))
        self._site.asking(served)
        address = (await served.dialed(f"the hop chose {_NODE}, and nothing is dialed")).address
        expect(address == _NODE, f"the hop chose {_NODE}, and {address!r} was dialed")

    @clause(
        "Where the hop chooses None there is no target: nothing is dialed.",
        "D40",
        after=("forward_target",),
    )
    async def forward_no_target(self) -> None:
        served = await self._forwarding(FakeHop(None))
        await served.expect_not_dialed(self._site.asking(served), "the hop chooses None")

    @clause(
        "What the hop raises refuses the client: nothing is dialed.",
        "D36",
        after=("forward_target",),
    )
    async def forward_broken_hop(self) -> None:
        hop = FakeHop(Node("node", _NODE))
        hop.asked.fail_always(PermissionError("refused by rule"))
        served = await self._forwarding(hop)
        await served.expect_not_dialed(self._site.asking(served), "the hop raises PermissionError")

    @clause("Closing it leaves the hop open, which was only lent to it.", "D19")
    async def hop_stays_open(self) -> None:
        hop = FakeHop(Node("node", _NODE))
        made = (await self._forwarding(hop)).handler
        if isinstance(made, Closer):
            await within(made.close(), "close()")
        expect(not hop.closed, "close() closed the hop")


async def _expect_rate_first(site: Site, /) -> None:
    login = need(site.login, "login")
    for allows in (False, True):
        users = FakeAuthenticator("user", "password", "client-7")
        limiter = FakeRateLimiter(allows=allows)
        served = await site.ready(auther_option(users), rate_limiter_option(limiter))
        client = served.client()
        start(login(client.conn, TARGET, "user", "wrong"))
        await served.expect_not_dialed(client, "the password is wrong")
        expect(limiter.taken > 0, "a refused login spent nothing of the rate limit")
        expect(set(limiter.keys) == {"192.0.2.1"}, f"for {_CLIENT} it was asked {limiter.keys}")
        expect(allows or not users.asked, "over the rate limit, the authenticator was asked")


async def _expect_told_truly(site: Site, /) -> None:
    connect = need(site.connect, "connect")
    asking = start(connect(owned(connected_pair()[0]), TARGET))
    await settle()
    applies(not asking.done(), "its protocol tells nothing")
    for error in (None, ConnectionRefusedError(TARGET)):
        served = await site.ready()
        served.router.dials.hang(1 if error is None else 0)
        served.router.dials.fail(*[error] if error else [])
        client = served.client()
        asking = start(connect(client.conn, TARGET))
        await served.dialed("nothing is dialed")
        await (settle() if error is None else client.expect_ends("a client whose target refuses"))
        await settle()
        told = asking.done() and failure_of(asking) is None
        expect(not told, f"the dial is {error or 'not over'}, and the client is told of success")


async def _choosing(site: Site, /) -> Connect:
    """Return the hook by which a client reaches a target of its own choice."""
    connect, served = need(site.connect, "connect"), await site.ready()
    start(connect(served.client().conn, "other.example:80"))
    address = (await served.dialed("nothing is dialed")).address
    applies(address == "other.example:80", "its clients do not choose their target")
    return connect


async def _expect_one_form(site: Site, /) -> None:
    connect = await _choosing(site)
    for address in ("TARGET.Example:80", "target.example.:80"):
        served = await site.ready(bypass_option(FakeBypass("target.example:")))
        start(connect((client := served.client()).conn, address))
        await served.expect_not_dialed(client, f"the bypass has the name in {address!r}")
    for address in ("127.1:80", "2130706433:80", "0x7f000001:80", "0177.0.0.1:80"):
        served = await site.ready()
        client = served.client()
        asking = start(connect(client.conn, address))
        await ended(asking, client.handling, start(served.router.targets.get()), any_of_them=True)
        await client.conn.close()
        await served.expect_not_dialed(client, f"{address} is no address in one form")


async def _expect_apart(site: Site, /) -> None:
    connect, served = await _choosing(site), await site.ready()
    names = [f"{number}.example:80" for number in range(3)]
    calls = (connect(served.client().conn, name) for name in names)
    conns = await within(asyncio.gather(*calls), "several clients at once")
    far_ends = [owned(await within(served.router.targets.get(), "a dial")) for _ in names]
    reached = dict(zip((call.address for call in served.router.dials), far_ends, strict=True))
    expect(sorted(reached) == names, f"{names} were asked for, and {sorted(reached)} reached")
    for name, conn in zip(names, conns, strict=True):
        await within(conn.write(name.encode()), "write()")
    for name, far in reached.items():
        data = await within(read_exactly(far, len(name)), "what a client sent")
        expect(data == name.encode(), f"at {name} arrived {data!r}")


async def _try_denied(site: Site, /) -> None:
    rules, limiter = FakeBypass("target.example"), FakeRateLimiter()
    for option in (bypass_option(rules), rate_limiter_option(limiter)):
        served = await site.ready(option)
        client = site.asking(served)
        await served.expect_not_dialed(client, "a rule refuses the client")
        await client.conn.close()
        await raises(client.handling, "handle() of a client that is refused", DeniedError)


async def _try_cut_shown(site: Site, /) -> None:
    for cancels in (False, True):
        _, client, near, far = await site.connected()
        await far.write(b"part")
        await given(read_exactly(near, 4), "reading what the target sent")
        if cancels:
            client.handling.cancel()
        else:
            far.break_off()
        what = "cancelling handle()" if cancels else "a reset by the target"
        with suppress(OSError):
            data = await within(near.read(1), f"a read after {what}")
            raise Broken(f"after {what} the client read {data!r}, which is an end in order")


async def _try_closed_whole(site: Site, /) -> None:
    served = await site.ready()
    served.router.half_closes = False
    client = served.client()
    near = await within(need(site.connect, "connect")(client.conn, TARGET), "`connect`")
    far = owned(await within(served.router.targets.get(), "the dial to the target"))
    if not isinstance(near, HalfCloser):
        raise Exempt("a client of this protocol cannot end its stream alone")
    await within(near.close_write(), "close_write()")
    data = await within(far.read(1), "the end of the client's stream, at the target,")
    expect(not data, f"the client ended its stream, and the target read {data!r}")
    await client.expect_ends("a client whose target cannot half-close")


async def _try_one_way(site: Site, /) -> None:
    elapse = need(site.elapse, "elapse")
    _, _, near, far = await site.connected()
    for _ in range(4):
        await given(elapse(5.0), "letting 5 s pass")
        # If this fails, nothing arrives.
        with suppress(OSError):
            await far.write(b"data")
        data = await within(read_exactly(near, 4), "what the target sends, 5 s after the last")
        expect(data == b"data", f"b'data' was sent, and {data!r} arrived")


async def _try_traffic_limited(site: Site, /) -> None:
    limiter = FakeTrafficLimiter()
    _, _, near, far = await site.connected(traffic_limiter_option(limiter))
    for source, sink in ((near, far), (far, near)):
        start(source.write(DATA))
        await given(read_exactly(sink, len(DATA)), "the transfer")
    granted = limiter.granted
    expect(granted >= 2 * len(DATA), f"{2 * len(DATA)} bytes were carried, and {granted} drawn")
    wrong = {key for scope, key in limiter.asked if scope == SCOPE_CONN} - {_CLIENT}
    expect(not wrong, f"of the connection of {_CLIENT}, the limiter was asked for {wrong}")


async def _try_traffic_refused(site: Site, /) -> None:
    connect = need(site.connect, "connect")
    served = await site.obliging(traffic_limiter_option(FakeTrafficLimiter(refuses=True)))
    client = served.client()

    async def send() -> None:
        conn = await connect(client.conn, TARGET)
        await conn.write(DATA)

    start(send())
    await client.expect_ends("a client whose bytes the limiter refuses")


async def _try_handle_after_close(site: Site, /) -> None:
    served = await site.obliging()
    await within(closable(served.handler).close(), "close()")
    client = served.client()
    await client.conn.close()
    await client.expect_ends("a client of a closed handler")
    await client.expect_closed("the handler was closed before")


async def _try_exchange_ends(site: Site, /) -> None:
    served, client, near, far = await site.connected()
    await far.close()
    await within(near.close(), "the client's close()")
    await client.expect_returns("an exchange that both ends have ended")
    await client.expect_closed("the exchange is over")
    await served.expect_targets_closed("the exchange is over")


async def _try_target_unreachable(site: Site, /) -> None:
    served = await site.ready()
    served.router.dials.fail_always(ConnectionRefusedError(TARGET))
    client = site.asking(served)
    await client.expect_ends("a client whose target refuses")
    await client.expect_closed("the target has refused")


async def _try_client_gone_later(site: Site, /) -> None:
    served, client, near, far = await site.connected()
    await within(near.close(), "the client's close()")
    start(send_for_ever(far))
    await client.expect_returns("a client that went away during the exchange")
    await served.expect_targets_closed("the client has gone away")
