"""What handlers are tried with: clients that come, and targets that a router of the kit reaches.

The longer scenarios are here too, since one module holds no more than can be read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from socket import gaierror
from typing import Any, Final, TypeAlias

from gost_core import handler
from gost_core.chain import DialOptions, Node
from gost_core.common.net import Aborter, Conn, DeniedError, HalfCloser, UnsupportedError
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
from gost_core.limiter import SCOPE_CONN
from gost_core.testing._run.attempt import Broken, Exempt, current
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    applies,
    closable,
    ended,
    expect,
    expect_cancelled,
    failure_of,
    given,
    need,
    outcome_of,
    owned,
    raises,
    settle,
    start,
    turns,
    until,
    within,
)
from gost_core.testing._stage.fakes.chain import FakeHop, FakeRouter
from gost_core.testing._stage.fakes.limiter import FakeRateLimiter, FakeTrafficLimiter
from gost_core.testing._stage.fakes.lookups import FakeAuthenticator, FakeBypass
from gost_core.testing._stage.fakes.recorded import Call, Recorded, out_of_reach
from gost_core.testing._stage.memory import ForwardingConn, MemoryConn, connected_pair, unread
from gost_core.testing._stage.network import CutConn
from gost_core.testing._stage.streams import end_of, read_exactly

__all__ = ("DATA", "GARBAGE", "NODE", "TARGET", "Client", "Connect", "Login", "Served", "Site")

Connect: TypeAlias = Callable[[Conn, str], Awaitable[Conn]]
Login: TypeAlias = Callable[[Conn, str, str, str], Awaitable[Conn]]

NODE: Final[str] = "198.51.100.7:80"
TARGET: Final[str] = "target.example:80"
MARK: Final[Key[str]] = Key("a value of the check")
_CLIENT: Final[str] = "192.0.2.1:1024"
_USER: Final[tuple[str, str]] = ("User", "Password")
# More than a handler would keep places for, if each failure kept one.
_MANY: Final[int] = 20
_WAITING: Final[int] = 100
# More than any buffer on the way holds, so that all of it must flow.
DATA: Final[bytes] = bytes(range(256)) * 2048
_ANSWER: Final[bytes] = DATA[:0:-1]
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

    def client(self, value: str = "here", addr: str = _CLIENT) -> Client:
        """Have a client come, with a value of its connection, from an address."""
        conn, handled = map(owned, connected_pair(client=addr))
        ctx = Context().with_value(MARK, value)
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

    async def expect_next_refused(self, client: Client, why: str) -> None:
        """Break the clause unless a client is refused behind one that was let in."""
        self.router.dials.clear()
        await self.expect_not_dialed(client, f"after a first client, {why}")

    async def expect_targets_closed(self, when: str) -> None:
        """Break the clause unless the handler closes what it dialed."""
        ends = self.router.near_ends
        await until(
            lambda: all(near.closed for near in ends),
            f"{when}, and the connection to the target is still open",
        )


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

    def forwarder(self, hop: Hop | None) -> Served:
        """Return a handler that is told to forward, before init()."""
        served = self.made()
        as_forwarder(served.handler).forward(hop)
        return served

    async def forwarding(self, hop: Hop) -> Served:
        """Return a handler that forwards to the nodes of a hop."""
        served = self.forwarder(hop)
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
        begun(connect(client.conn, TARGET), "connect")
        return client

    def sending(self, served: Served) -> Client:
        """Have a client ask for the target, and send."""
        connect = need(self.connect, "connect")
        client = served.client()

        async def send() -> None:
            await (await connect(client.conn, TARGET)).write(DATA)

        begun(send(), "connect")
        return client

    async def logged_in(
        self, users: FakeAuthenticator, password: str = "Password"
    ) -> tuple[Served, Client]:
        """Have a client ask for the target, with credentials, and whatever result."""
        login = need(self.login, "login")
        served = await self.ready(auther_option(users))
        client = served.client()
        begun(login(client.conn, TARGET, "User", password), "login")
        return served, client


def begun(call: Awaitable[object], hook: str, /) -> None:
    """Begin a call of a hook; a report says what it raised, from which all else may follow."""
    calling = start(call)
    current().remarks.append(
        lambda: f"`{hook}` {outcome_of(calling)}" if calling.done() and failure_of(calling) else ""
    )


# ---- The longer scenarios of clauses


async def expect_carried(site: Site, /) -> None:
    _, _, near, far = await site.connected()
    start(near.write(DATA))
    await settle()
    start(far.write(_ANSWER))
    # What the target is sent waits, as it reads nothing yet.
    for sink, due, what in (
        (near, _ANSWER, "from the target to the client"),
        (far, DATA, "from the client to the target"),
    ):
        data = await read_exactly(sink, len(due))
        expect(data == due, f"{what}, the bytes that arrive are not those that were sent")


async def expect_half_close(site: Site, one: str, /) -> None:
    """Break the clause unless the other side can send after ``one`` has ended its stream."""
    _, _, near, far = await site.connected()
    ends: dict[str, Conn] = {"client": near, "target": far}
    first = ends.pop(one)
    [(other, second)] = ends.items()
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


async def try_cancel_closes_target(site: Site, /) -> None:
    served, client, _, _ = await site.connected()
    await expect_cancelled(client.handling, "handle()")
    await client.expect_closed("handle() was cancelled")
    await served.expect_targets_closed("handle() was cancelled")
    served.router.dials.hang()
    client = site.asking(served)
    await served.router.dials.reached("the router")
    await expect_cancelled(client.handling, "handle()")
    expect(served.router.dials.cancelled == 1, "handle() has ended, and the dial goes on")
    limiter = FakeTrafficLimiter()
    served = await site.ready(traffic_limiter_option(limiter))
    limiter.asked.hang()
    client = site.sending(served)
    await limiter.asked.reached("the traffic limiter")
    await expect_cancelled(client.handling, "handle()")
    await client.expect_closed("handle() was cancelled as it asked the limiter")
    await served.expect_targets_closed("handle() was cancelled as it asked the limiter")


async def expect_values(site: Site, /) -> None:
    connect, rules = need(site.connect, "connect"), FakeBypass()
    users, values = FakeAuthenticator("User", "Password", "client-7"), ["here", "there"]
    ways: list[tuple[handler.Option, Connect]] = [(bypass_option(rules), connect)]
    if (login := site.login) is not None:
        ways.append((auther_option(users), lambda conn, addr: login(conn, addr, *_USER)))
    for option, ask in ways:
        served = await site.ready(option)
        for value in values:
            begun(ask(served.client(value).conn, TARGET), "login` or `connect")
        await until(lambda: len(served.router.dials) >= len(values), "nothing is dialed")  # noqa: B023
        asked = served.router.dials.contexts, rules.asked.contexts, users.asked.contexts
        for who, contexts in zip(("router", "bypass", "authenticator"), asked, strict=True):
            told = sorted({str(ctx.value(MARK)) for ctx in contexts})
            what = f"of connections with the values {values} the {who} was given {told}"
            expect(told == values[: len(contexts)], what)


async def try_rate_limited(site: Site, /) -> None:
    limiter = FakeRateLimiter(allows=True)
    served = (await site.connected(rate_limiter_option(limiter)))[0]
    expect(limiter.taken == 1, f"one request spent {limiter.taken} of the rate limit")
    limiter.allows = False
    await served.expect_next_refused(site.asking(served), "the limit is used up")


async def expect_rate_first(site: Site, /) -> None:
    login = need(site.login, "login")
    for allows, addr in ((False, _CLIENT), (True, "[2001:db8::1]:1024")):
        users = FakeAuthenticator("User", "Password", "client-7")
        limiter, host = FakeRateLimiter(allows=allows), addr.rpartition(":")[0].strip("[]")
        served = await site.ready(auther_option(users), rate_limiter_option(limiter))
        client = served.client(addr=addr)
        start(login(client.conn, TARGET, "User", "wrong"))
        await served.expect_not_dialed(client, "the password is wrong")
        expect(limiter.taken > 0, "a refused login spent nothing of the rate limit")
        expect(set(limiter.keys) == {host}, f"for {addr} it was asked {limiter.keys}")
        expect(allows or not users.asked, "over the rate limit, the authenticator was asked")


async def expect_told_truly(site: Site, /) -> None:
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


async def choosing(site: Site, /) -> Connect:
    """Return the hook by which a client reaches a target of its own choice."""
    connect, served = need(site.connect, "connect"), await site.ready()
    start(connect(served.client().conn, "other.example:80"))
    address = (await served.dialed("nothing is dialed")).address
    applies(address == "other.example:80", "its clients do not choose their target")
    return connect


async def expect_one_form(site: Site, /) -> None:
    connect = await choosing(site)
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


async def expect_addresses_dialed(site: Site, /) -> None:
    connect = await choosing(site)
    for address in ("192.0.2.7:80", "[2001:db8::7]:80"):
        served = await site.ready()
        client = served.client()
        asking = start(connect(client.conn, address))
        await ended(asking, client.handling, start(served.router.targets.get()), any_of_them=True)
        await settle()
        # A protocol may have no words for IPv6; then nothing comes to the handler.
        if served.router.dials or client.handling.done():
            dialed = [call.address for call in served.router.dials]
            expect(dialed == [address], f"a client asked for {address}, and {dialed} was dialed")


async def try_half_request(site: Site, /) -> None:
    connect, served = await choosing(site), await site.ready()
    client = served.client()
    await ended(start(connect(CutConn(client.conn), TARGET)))
    await client.conn.close()
    await served.expect_not_dialed(client, "a client said half of its request")


async def expect_apart(site: Site, /) -> None:
    connect, limiter = await choosing(site), FakeTrafficLimiter()
    served = await site.ready(traffic_limiter_option(limiter))
    names = [f"{number}.example:{80 + number}" for number in range(3)]
    addrs = [f"192.0.2.{number}:{1024 + number}" for number in range(3)]
    clients = [served.client(addr=addr) for addr in addrs]
    calls = [connect(one.conn, name) for one, name in zip(clients, names, strict=True)]
    conns = await within(asyncio.gather(*calls), "several clients at once")
    far_ends = [owned(await within(served.router.targets.get(), "a dial")) for _ in names]
    reached = dict(zip((call.address for call in served.router.dials), far_ends, strict=True))
    expect(sorted(reached) == names, f"{names} were asked for, and {sorted(reached)} reached")
    for name, conn in zip(names, conns, strict=True):
        await within(conn.write(name.encode()), "write()")
    for name, far in reached.items():
        data = await within(read_exactly(far, len(name)), "what a client sent")
        expect(data == name.encode(), f"at {name} arrived {data!r}")
    asked = sorted({key for scope, key in limiter.asked if scope == SCOPE_CONN})
    expect(asked in ([], addrs), f"of clients at {addrs} the traffic limiter was asked for {asked}")
    served.router.dials.hang()
    due = len(names) + _WAITING
    for _ in range(_WAITING):
        site.asking(served)
    few = f"of {_WAITING} clients at once, not each is dialed for while the others wait"
    await until(lambda: len(served.router.dials) == due, few)


async def try_denied(site: Site, /) -> None:
    rules, limiter = FakeBypass("target.example"), FakeRateLimiter()
    for option in (bypass_option(rules), rate_limiter_option(limiter)):
        served = await site.ready(option)
        client = site.asking(served)
        await served.expect_not_dialed(client, "a rule refuses the client")
        await client.conn.close()
        await client.expect_closed("a rule has refused the client")
        await raises(client.handling, "handle() of a client that is refused", DeniedError)


async def try_cut_shown(site: Site, /) -> None:
    for cancels in (False, True):
        _, client, near, far = await site.connected()
        reading = start(read_exactly(near, 8))
        for part in (b"part", b"last"):
            await far.write(part)
            await until(lambda: not unread(far), "what the target sends is not read")  # noqa: B023
            await turns(20)
        if cancels:
            client.handling.cancel()
        else:
            far.break_off()
        what = "cancelling handle()" if cancels else "a reset by the target"
        data = await given(reading, f"reading what the handler had read before {what}")
        expect(data == b"partlast", f"after {what}, of b'partlast' the client read {data!r}")
        with suppress(OSError):
            data = await within(near.read(1), f"a read after {what}")
            raise Broken(f"after {what} the client read {data!r}, which is an end in order")


async def try_closed_whole(site: Site, /) -> None:
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


async def try_one_way(site: Site, /) -> None:
    elapse = need(site.elapse, "elapse")
    for client in ("silent", "ended"):
        _, _, near, far = await site.connected()
        if client == "ended" and isinstance(near, HalfCloser):
            await within(near.close_write(), "close_write() of the client")
        for _ in range(15):
            await given(elapse(5.0), "letting 5 s pass")
            # If this fails, nothing arrives.
            with suppress(OSError):
                await far.write(b"data")
            data = await within(read_exactly(near, 4), "what the target sends, 5 s after the last")
            expect(data == b"data", f"b'data' came to a client that is {client}: it read {data!r}")


async def try_traffic_limited(site: Site, /) -> None:
    limiter = FakeTrafficLimiter()
    _, _, near, far = await site.connected(traffic_limiter_option(limiter))
    for source, sink in ((near, far), (far, near)):
        start(source.write(DATA))
        await given(read_exactly(sink, len(DATA)), "the transfer")
    granted = limiter.granted
    expect(granted >= 2 * len(DATA), f"{2 * len(DATA)} bytes were carried, and {granted} drawn")
    wrong = {key for scope, key in limiter.asked if scope == SCOPE_CONN} - {_CLIENT}
    expect(not wrong, f"of the connection of {_CLIENT}, the limiter was asked for {wrong}")
    limiter.waits.hang(1)
    start(near.write(DATA))
    await limiter.waits.reached("the traffic limiter")
    start(far.write(DATA))
    await given(read_exactly(near, len(DATA)), "the other direction, while one waits,")


async def try_traffic_in_hand(site: Site, /) -> None:
    limiter = FakeTrafficLimiter()
    _, _, near, far = await site.connected(traffic_limiter_option(limiter))
    await settle()
    before = limiter.granted
    for source, sink in ((near, far), (far, near)) * _MANY:
        await within(source.write(b"x"), "writing a byte")
        await given(read_exactly(sink, 1), "reading it at the other end")
    drawn, sent = limiter.granted - before, 2 * _MANY
    # What a protocol puts around a byte may count too.
    expect(drawn <= 100 * sent, f"{sent} bytes were sent, one by one, and {drawn} were drawn")


async def try_traffic_refused(site: Site, /) -> None:
    for error in (None, *out_of_reach("the limits")):
        limiter = FakeTrafficLimiter(refuses=error is None)
        limiter.error = error
        served = await site.obliging(traffic_limiter_option(limiter))
        client = site.sending(served)
        what = f"a client whose limiter {describe(error) if error else 'refuses'}"
        await client.expect_ends(what)
        await client.expect_closed(f"handle() has ended of {what}")
        await served.expect_targets_closed(f"handle() has ended of {what}")


async def try_bypass_refuses(site: Site, /) -> None:
    rules = FakeBypass()
    served = (await site.connected(bypass_option(rules)))[0]
    rules.prefixes = ("target.example",)
    await served.expect_next_refused(site.asking(served), "the bypass contains it")
    rules.prefixes = ("refused",)
    await expect_one_refused(site, bypass_option(rules), rules.asked, await choosing(site))


async def expect_one_refused(
    site: Site, option: handler.Option, asked: Recorded[Any], ask: Connect
) -> None:
    """Break the clause unless of clients at once those are let in that are not refused."""
    served, answers = await site.ready(option), asyncio.Event()
    asked.clear()
    asked.meanwhile = answers.wait
    for name in ("one.example:80", "refused.example:80", "two.example:80"):
        start(ask(served.client().conn, name))
    await until(lambda: len(asked) >= 3, "of 3 clients at once, not all are judged")
    answers.set()
    dials = served.router.dials
    await until(lambda: len(dials) >= 2, "of 3 clients at once, of which 1 is refused, not 2 dial")
    await settle()
    dialed = [call.address for call in dials]
    right = len(dialed) == 2 and "refused.example:80" not in dialed
    expect(right, f"of 3 clients at once, of which 1 is refused, the targets are {dialed}")


async def try_forward_target(site: Site, /) -> None:
    hop = FakeHop(None)
    served = await site.forwarding(hop)
    for addr in (NODE, "198.51.100.8:8080"):
        hop.node = Node("node", addr)
        served.router.dials.clear()
        site.asking(served)
        address = (await served.dialed(f"the hop chose {addr}, and nothing is dialed")).address
        expect(address == addr, f"the hop chose {addr}, and {address!r} was dialed")


async def try_handle_after_close(site: Site, /) -> None:
    served = await site.obliging()
    await within(closable(served.handler).close(), "close()")
    for _ in range(2):
        client = served.client()
        await client.conn.close()
        await client.expect_ends("a client of a closed handler")
        await client.expect_closed("the handler was closed before")


async def try_close_inside(site: Site, /) -> None:
    served, closed = await site.obliging(), asyncio.Event()
    closer = closable(served.handler)

    async def close() -> None:
        try:
            await closer.close()
        finally:
            # It may end all calls, this one too.
            closed.set()

    served.client()
    await settle()
    served.router.dials.meanwhile = close
    site.asking(served)
    await within(closed.wait(), "close() from inside handle(), beside another client")


async def try_exchange_ends(site: Site, /) -> None:
    served, client, near, far = await site.connected()
    await far.close()
    await within(near.close(), "the client's close()")
    await client.expect_returns("an exchange that both ends have ended")
    await client.expect_closed("the exchange is over")
    await served.expect_targets_closed("the exchange is over")


async def try_target_unreachable(site: Site, /) -> None:
    served = await site.ready()
    others = DeniedError(TARGET), UnsupportedError(TARGET), gaierror(-2, "no such name")
    for error in (*out_of_reach("the target"), *others):
        served.router.dials.fail(error)
        client = site.asking(served)
        await client.expect_ends(f"a client for whom the router raises {describe(error)}")
        await client.expect_closed(f"the router has raised {describe(error)}")


async def try_nothing_left(site: Site, /) -> None:
    served = await site.ready()
    before = asyncio.all_tasks()
    for _ in range(_MANY):
        served.router.dials.fail(ConnectionRefusedError(TARGET))
        await site.asking(served).expect_ends("a client whose target refuses")

    def left() -> int:
        return len(asyncio.all_tasks() - before - set(current().started))

    # It may keep some at work for all its clients.
    await until(lambda: left() < _MANY / 2, f"after {_MANY} failures, {left()} more tasks go on")
    served.router.dials.clear()
    site.asking(served)
    await served.dialed(f"after {_MANY} clients whose targets refused, the next is not served")


async def try_both_ended(site: Site, /) -> None:
    limiter = FakeTrafficLimiter()
    _, client, near, far = await site.connected(traffic_limiter_option(limiter))
    await settle()
    limiter.waits.hang()
    await given(near.write(b"data"), "write()")
    await limiter.waits.reached("the traffic limiter")
    far.break_off()
    await client.expect_ends("a client whose target broke off")
    expect(limiter.waits.cancelled == 1, "handle() has ended, and one direction waits")


async def try_client_gone_later(site: Site, /) -> None:
    served, client, near, far = await site.connected()
    await within(near.close(), "the client's close()")
    start(send_for_ever(far))
    await client.expect_returns("a client that went away during the exchange")
    await served.expect_targets_closed("the client has gone away")
    served = await site.obliging()
    served.router.dials.meanwhile = lambda: client.conn.close()
    client = site.asking(served)
    await client.expect_ends("a client that went away during the dial")
    await served.expect_targets_closed("the client has gone away during the dial")
