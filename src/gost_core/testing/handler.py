"""The contract of handlers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import field

from gost_core import handler
from gost_core.chain import Node
from gost_core.common.net import Closer
from gost_core.handler import (
    Handler,
    auther_option,
    bypass_option,
    rate_limiter_option,
    router_option,
)
from gost_core.keys import CLIENT_ID
from gost_core.testing._families.life import InitialisedOnce
from gost_core.testing._families.refuses import Discreet
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    closable,
    expect,
    expect_cancelled,
    expect_raises,
    given,
    owned,
    raises,
    settle,
    within,
)
from gost_core.testing._stage import handled, logins, parting
from gost_core.testing._stage.fakes.chain import FakeHop, FakeRouter
from gost_core.testing._stage.fakes.limiter import FakeRateLimiter
from gost_core.testing._stage.fakes.lookups import FakeAuthenticator, FakeBypass
from gost_core.testing._stage.fakes.recorded import failures, out_of_reach
from gost_core.testing._stage.handled import GARBAGE, NODE, TARGET, Connect, Login, Site
from gost_core.testing._stage.memory import MemoryMetadata

__all__ = ("HandlerContract",)


class HandlerContract(InitialisedOnce, Discreet, interface=Handler):
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

    def _uninitialised(self) -> Handler:
        return self._site.made().handler

    # ---- Life

    @clause("It is constructed without an event loop.", "D18")
    async def constructed_without_loop(self) -> None:
        call = asyncio.to_thread(lambda: self.make(router_option(FakeRouter())))
        owned(await within(call, "constructing it in a thread without an event loop"))

    @clause("init() accepts None, and empty metadata.", "D18")
    async def init_without_metadata(self) -> None:
        for metadata in (None, MemoryMetadata()):
            init = self._site.made().handler.init(metadata)
            await within(init, f"init({metadata and 'empty metadata'})")

    @clause("Without a router, init() works, or raises a ValueError.", "D15, D18")
    async def init_without_options(self) -> None:
        made = owned(self.make())
        with suppress(ValueError):
            await within(made.init(None), "init() without options")
        if isinstance(made, Closer):
            await within(made.close(), "close() after init() without options")

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
            both = asyncio.gather(closer.close(), closer.close())
            await within(both, "two calls of close() at once")
            await within(closer.close(), "a further close()")

    @clause(
        "close() may be called from inside handle(), and waits for no client.",
        "D22, D29",
        after=("dials_target", "concurrent"),
    )
    async def close_inside_handle(self) -> None:
        await handled.try_close_inside(self._site)

    @clause("Closing it leaves the router open, which was only lent to it.", "D19")
    async def router_stays_open(self) -> None:
        served = await self._site.ready()
        await within(closable(served.handler).close(), "close()")
        expect(not served.router.closed, "close() closed the router")

    # ---- Clients

    @clause("A client that goes away at once is no failure, and its connection is closed.", "D28")
    async def client_gone(self) -> None:
        client = (await self._site.obliging()).client()
        await client.conn.close()
        await client.expect_returns("a client that went away at once")
        await client.expect_closed("the client has gone away")

    @clause("A client that breaks off is no failure, and its connection is closed.", "D28")
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

    @clause(
        "Half a request is none: a client that goes away in the middle of it has nothing dialed.",
        "D8, D28",
        after=("dials_target",),
    )
    async def half_request(self) -> None:
        await handled.try_half_request(self._site)

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
        await handled.try_handle_after_close(self._site)

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
        call = (await self._site.connected())[0].router.dials[0]
        expect(call.address == TARGET, f"for {TARGET!r} the router was asked {call.address!r}")
        expect(call.network.startswith("tcp"), f"the network that was asked for: {call.network!r}")

    @clause(
        "An address is dialed as the client says it, an IPv6 one in brackets.",
        "D12",
        after=("dials_target",),
    )
    async def addresses_dialed(self) -> None:
        await handled.expect_addresses_dialed(self._site)

    @clause("What it asks gets that client's values.", "D28", after=("dials_target", "concurrent"))
    async def context_handed_on(self) -> None:
        await handled.expect_values(self._site)

    @clause("What is sent arrives, both ways, whole and in order.", "D8", after=("dials_target",))
    async def carries(self) -> None:
        await handled.expect_carried(self._site)

    @clause(
        "When the client ends its stream, the target's answer still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def client_half_closes(self) -> None:
        await handled.expect_half_close(self._site, "client")

    @clause(
        "When the target ends its stream, what the client sends still arrives whole.",
        "D10",
        after=("carries",),
    )
    async def target_half_closes(self) -> None:
        await handled.expect_half_close(self._site, "target")

    @clause(
        "A transfer may take its time in one direction while the other is silent, or has ended.",
        "D28",
        after=("carries", "client_half_closes"),
    )
    async def one_way(self) -> None:
        await handled.try_one_way(self._site)

    @clause(
        "When the exchange is over, handle() returns, and both connections are closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def exchange_ends(self) -> None:
        await handled.try_exchange_ends(self._site)

    @clause(
        "A client that goes away during the exchange is no failure, and the target is closed.",
        "D3, D28",
        after=("dials_target",),
    )
    async def client_gone_later(self) -> None:
        await handled.try_client_gone_later(self._site)

    @clause(
        "Cancelling during the exchange closes both connections.",
        "D4",
        after=("dials_target", "cancel_closes", "traffic_limited"),
    )
    async def cancel_closes_target(self) -> None:
        await handled.try_cancel_closes_target(self._site)

    @clause(
        "When the target cannot be reached, whatever the router raises, handle() ends and closes "
        "the connection.",
        "D28",
        after=("dials_target",),
    )
    async def target_unreachable(self) -> None:
        await handled.try_target_unreachable(self._site)

    @clause(
        "Failed calls leave no task behind, no call keeps anything, and the next client is served.",
        "D20, D23, D28",
        after=("context_handed_on", "garbage", "target_unreachable"),
    )
    async def nothing_left(self) -> None:
        await handled.try_nothing_left(self._site)
        await parting.try_nothing_kept(self._site)

    @clause(
        "When one direction fails, the other has ended before handle() returns, even if it waits "
        "for the traffic limiter.",
        "D28",
        after=("traffic_limited",),
    )
    async def both_ended(self) -> None:
        await handled.try_both_ended(self._site)

    @clause(
        "All bytes of a client are drawn from its traffic budgets; no direction waits for another.",
        "D22, D52, D53",
        after=("carries",),
    )
    async def traffic_limited(self) -> None:
        await handled.try_traffic_limited(self._site)

    @clause(
        "Bytes are drawn from the traffic budgets once they are there, and no others.",
        "D52",
        after=("traffic_limited",),
    )
    async def traffic_in_hand(self) -> None:
        await handled.try_traffic_in_hand(self._site)

    @clause(
        "When a traffic limiter refuses or cannot be asked, the exchange ends, on both sides.",
        "D3, D52, D53",
        after=("traffic_limited", "target_unreachable"),
    )
    async def traffic_refused(self) -> None:
        await handled.try_traffic_refused(self._site)

    # ---- Who is refused

    async def _expect_refused(self, why: str, *opts: handler.Option) -> None:
        served = await self._site.ready(*opts)
        await served.expect_not_dialed(self._site.asking(served), why)

    @clause(
        "A request spends the limit once; a client over it is refused: nothing is dialed.",
        "D28, D51",
        after=("dials_target", "concurrent"),
    )
    async def rate_limited(self) -> None:
        await handled.try_rate_limited(self._site)

    @clause(
        "A rate limiter that raises refuses: nothing is dialed.", "D53", after=("dials_target",)
    )
    async def rate_limiter_broken(self) -> None:
        for error in out_of_reach("the limits"):
            limiter = rate_limiter_option(FakeRateLimiter(error))
            await self._expect_refused(f"the rate limiter raises {describe(error)}", limiter)

    @clause(
        "A destination that the bypass contains is refused: it is not dialed.",
        "D47",
        after=("dials_target", "concurrent"),
    )
    async def bypass_refuses(self) -> None:
        await handled.try_bypass_refuses(self._site)

    @clause("A bypass that raises refuses: nothing is dialed.", "D36", after=("dials_target",))
    async def bypass_broken(self) -> None:
        for error in failures("the rules"):
            rules = FakeBypass()
            rules.asked.fail_always(error)
            await self._expect_refused(f"the bypass raises {describe(error)}", bypass_option(rules))

    @clause("Wrong credentials are refused, and right ones let in.", "D49", after=("concurrent",))
    async def auther_decides(self) -> None:
        await logins.try_auther_decides(self._site)

    def _told(self, password: str, /) -> AsyncIterator[object]:
        return logins.told(self._site, password)

    @clause("Of logins at once, each has its own verdict.", "D22, D49", after=("auther_decides",))
    async def logins_apart(self) -> None:
        await logins.expect_logins_apart(self._site)

    @clause('The client id "" is one too: it is let in.', "D49", after=("auther_decides",))
    async def auther_empty_id(self) -> None:
        served, _ = await self._site.logged_in(FakeAuthenticator("User", "Password", ""))
        await served.dialed('the client id is "", and nothing is dialed')

    @clause("An authenticator that raises refuses.", "D49", after=("auther_decides",))
    async def auther_broken(self) -> None:
        await logins.try_auther_broken(self._site)

    @clause(
        "The id that the authenticator returns is the context's client id.",
        "D28",
        after=("auther_decides",),
    )
    async def client_id(self) -> None:
        served, _ = await self._site.logged_in(FakeAuthenticator("User", "Password", "client-7"))
        found = (await served.dialed("nothing is dialed")).ctx.value(CLIENT_ID)
        expect(found == "client-7", f"the id is 'client-7', and CLIENT_ID is {found!r}")

    @clause(
        "A client that brings no credentials is refused where there is an authenticator, before "
        "anything of its request is judged.",
        "D28",
        after=("auther_decides", "dials_target"),
    )
    async def auther_needed(self) -> None:
        users, rules = FakeAuthenticator("User", "Password", "client-7"), FakeBypass()
        opts = auther_option(users), bypass_option(rules)
        await self._expect_refused("the client brings no credentials", *opts)
        expect(not rules.asked, "the client brings no credentials, and the bypass was asked")

    @clause(
        "The rate limit is asked first, by the client's host, and a refused login has spent it.",
        "D28, D53",
        after=("auther_decides", "rate_limited"),
    )
    async def rate_first(self) -> None:
        await handled.expect_rate_first(self._site)

    @clause(
        "A client that a rule of this side refuses ends handle() in a DeniedError.",
        "D15, D28",
        after=("rate_limited", "bypass_refuses"),
    )
    async def denied(self) -> None:
        await handled.try_denied(self._site)

    @clause(
        "Success is told only when the target is reached, where the protocol can tell it.",
        "D28",
        after=("dials_target",),
    )
    async def told_truly(self) -> None:
        await handled.expect_told_truly(self._site)

    @clause(
        "Names are brought to one form: a name of other case, or with a trailing dot, is the same; "
        "other spellings of numbers are refused.",
        "D12",
        after=("bypass_refuses",),
    )
    async def names_one_form(self) -> None:
        await handled.expect_one_form(self._site)

    @clause(
        "A target that breaks off, or a handle() that is cancelled, is no end of the client's "
        "stream: the connection is broken off if it can be.",
        "D28, D72",
        after=("carries", "cancel_closes"),
    )
    async def cut_shown(self) -> None:
        await handled.try_cut_shown(self._site)

    @clause(
        "When the client ends its stream, and the target cannot half-close, the target is closed.",
        "D10, D28",
        after=("client_half_closes",),
    )
    async def closed_whole(self) -> None:
        await handled.try_closed_whole(self._site)

    @clause(
        "Clients at once, however many wait, reach their own targets by their own traffic budgets.",
        "D22",
        after=("carries", "concurrent", "traffic_limited", "nothing_left"),
    )
    async def clients_apart(self) -> None:
        await handled.expect_apart(self._site)

    # ---- Forwarding

    @clause("forward(None) is legal: nobody is forwarded.", "D18", after=("init_without_metadata",))
    async def forward_none(self) -> None:
        await within(self._site.forwarder(None).handler.init(None), "init() after forward(None)")

    @clause("forward() after init() raises RuntimeError.", "D18", after=("init_without_metadata",))
    async def forward_late(self) -> None:
        forwarder = handled.as_forwarder((await self._site.ready()).handler)
        with expect_raises("forward() after init()", RuntimeError):
            forwarder.forward(None)

    @clause(
        "With a hop, each client is sent to the node that it chooses then.",
        "D18, D28",
        after=("concurrent",),
    )
    async def forward_target(self) -> None:
        await handled.try_forward_target(self._site)

    @clause(
        "Where the node that the hop chose cannot be reached, nothing else is dialed.",
        "D28, D36",
        after=("forward_target",),
    )
    async def forward_no_other(self) -> None:
        served = await self._site.forwarding(FakeHop(Node("node", NODE)))
        served.router.dials.fail_always(ConnectionRefusedError(NODE))
        await self._site.asking(served).expect_ends("a client whose node refuses")
        dialed = {call.address for call in served.router.dials}
        expect(dialed == {NODE}, f"the hop chose {NODE}, which refused, and {dialed} were dialed")

    @clause(
        "Where the hop chooses None there is no target: nothing is dialed.",
        "D40",
        after=("forward_target",),
    )
    async def forward_no_target(self) -> None:
        served = await self._site.forwarding(FakeHop(None))
        await served.expect_not_dialed(self._site.asking(served), "the hop chooses None")

    @clause(
        "What the hop raises refuses the client: nothing is dialed.",
        "D36",
        after=("forward_target", "forward_no_target"),
    )
    async def forward_broken_hop(self) -> None:
        hop = FakeHop(Node("node", NODE))
        for error in failures("the nodes"):
            hop.asked.fail_always(error)
            served, why = await self._site.forwarding(hop), f"the hop raises {describe(error)}"
            await served.expect_not_dialed(self._site.asking(served), why)

    @clause("Closing it leaves the hop open, which was only lent to it.", "D19")
    async def hop_stays_open(self) -> None:
        served = await self._site.forwarding(hop := FakeHop(Node("node", NODE)))
        await within(closable(served.handler).close(), "close()")
        expect(not hop.closed, "close() closed the hop")
