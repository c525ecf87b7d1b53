"""What listeners promise of what they are given to serve: admission, limits, and statistics."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, Generic

from typing_extensions import TypeVar

from gost_core.admission import Admission
from gost_core.admission import Option as AdmitOption
from gost_core.common.net import Conn, Listener, PacketConn
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.limiter import SCOPE_CONN
from gost_core.limiter.conn import ConnLimiter
from gost_core.limiter.conn import Limiter as ConnPlaces
from gost_core.listener import (
    Option,
    admission_option,
    auth_option,
    conn_limiter_option,
    router_option,
    stats_option,
    traffic_limiter_option,
)
from gost_core.observer.stats import Kind
from gost_core.testing._families.acceptors import HELLO
from gost_core.testing._families.refuses import Discreet
from gost_core.testing._run.attempt import Broken, Exempt, NotTried
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    failure_of,
    given,
    may_refuse,
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
from gost_core.testing._stage.fakes.chain import FakeRouter
from gost_core.testing._stage.fakes.limiter import FakeTrafficLimiter
from gost_core.testing._stage.fakes.recorded import Lent, Recorded, out_of_reach
from gost_core.testing._stage.fakes.service import FakeStats
from gost_core.testing._stage.memory import MemoryMetadata
from gost_core.testing._stage.streams import (
    begin,
    carry,
    end_of,
    flood,
    race_with_cancels,
    read,
    write,
)
from gost_core.testing.listener._serving import ListenerSite, Serving

__all__ = ("CountedPlaces", "OneVerdict", "ServingOptions", "host_of")

SiteT = TypeVar("SiteT", bound=ListenerSite)

# Some may be beyond a backlog.
_MANY_CLIENTS: Final[int] = 8


class CountedPlaces(Lent, ConnPlaces, ConnLimiter):
    """A limit on connections, the same for all clients; it remembers what it was asked."""

    def __init__(self, places: int) -> None:
        self.free = places
        self.reachable = True
        self.keys: list[str] = []
        self._places = places

    def limiter(self, key: str, /) -> ConnPlaces:
        self.keys.append(key)
        if not self.reachable:
            raise OSError("the limits are out of reach")
        return self

    def allow(self, n: int, /) -> bool:
        # Too many given back show as more than there are.
        if n > self.free:
            return False
        self.free -= n
        return True

    def limit(self) -> int:
        return self._places


class OneVerdict(Lent, Admission):
    """Refuses one source or none, once, and admits all others."""

    def __init__(self, verdict: bool) -> None:
        self.sources = Recorded[tuple[str, str]]()
        self._verdict = verdict

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: AdmitOption) -> bool:
        await self.sources.record((network, addr))
        verdict, self._verdict = self._verdict, True
        return verdict


class _SlowToLeave(OneVerdict):
    """Takes longer to go when its call is cancelled than all that is ready to happen."""

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: AdmitOption) -> bool:
        try:
            return await super().admit(ctx, network, addr, *opts)
        except asyncio.CancelledError:
            await asyncio.sleep(0.03)
            raise


class ServingOptions(Serving[SiteT], Discreet, Generic[SiteT]):
    """The clauses of listeners that serve what their options say, which none must."""

    async def _told(self, password: str, /) -> AsyncIterator[object]:
        listener = self._build(auth_option(Userinfo("User", password))).listener
        try:
            await within(listener.init(MemoryMetadata()), "init()")
        except ValueError as error:
            yield error
        yield repr(listener)

    async def _given(self, *opts: Option) -> SiteT:
        """Return a listener with options that it need not serve, if it says so."""
        site = self._build(*opts)
        with may_refuse(ValueError):
            await within(site.listener.init(MemoryMetadata()), "init()")
        return await self._apart(site, *opts)

    async def _to_close(self) -> Listener:
        admission = _SlowToLeave(True)
        admission.sources.hang(1)
        try:
            site = await self._given(admission_option(admission))
        except Exempt:
            return await super()._to_close()
        await begin(site.listener.accept())
        start(site.connect_refused())
        # If it is not asked, that is the affair of another clause.
        with suppress(Broken):
            await admission.sources.reached("the admission")
        return site.listener

    async def _apart(self, site: SiteT, *opts: Option) -> SiteT:
        """Return a like listener whose host is another one than that of its clients."""
        return site

    @clause(
        "A client for whom the limiter has no place is closed, and the next one that fits comes.",
        "D26",
        after=("accepts",),
    )
    async def limit_keeps_serving(self) -> None:
        places = CountedPlaces(1)
        site = await self._given(conn_limiter_option(places))
        conn, _ = await site.meet()
        accepting = await begin(site.listener.accept())
        client = await site.connect_refused()
        if client is not None and not isinstance(client, PacketConn):
            await within(end_of(client), "the connection of a client beyond the limit")
        await settle()
        _expect_none(accepting, "a client beyond the limit")
        await within(conn.close(), "close() of the accepted connection")
        await site.connect()
        conn = owned(await within(accepting, "accept(), after a place became free,"))
        expect(set(places.keys) <= {_host(conn)}, f"the limiter was asked for {places.keys}")

    @clause(
        "A client whose limiter cannot be found is closed, and the next one whose can comes.",
        "D26, D53",
        after=("limit_keeps_serving",),
    )
    async def limit_fails_closed(self) -> None:
        places = CountedPlaces(2)
        site = await self._given(conn_limiter_option(places))
        await site.meet()
        places.reachable = False
        accepting = await begin(site.listener.accept())
        await site.connect_refused()
        await settle()
        _expect_none(accepting, "a client whose limit is out of reach")
        places.reachable = True
        await site.connect()
        owned(await within(accepting, "accept(), with the limits in reach again,"))

    @clause(
        "A connection gives its place back once, however often it is closed.",
        "D51",
        after=("limit_keeps_serving",),
    )
    async def place_given_back_once(self) -> None:
        for after in range(3):
            places = CountedPlaces(2)
            site = await self._given(conn_limiter_option(places))
            await self._close_one_of_two(site, after, lambda: places.free == 1)  # noqa: B023
            observed = f"one of two connections was closed; {places.free} places are free"
            expect(places.free == 1, observed)

    async def _close_one_of_two(
        self, site: SiteT, after: int, one_left: Callable[[], bool]
    ) -> None:
        """Accept two connections, and close one of them again and again, cancelled at first."""
        conn, _ = await site.meet()
        await site.meet()
        if after:
            # A close() waits for what is unsent.
            await flood(conn)
        closing = start(conn.close())
        await turns(after)
        closing.cancel()
        await ended(closing)
        if after:
            await until(one_left, "a close() was cancelled, and its connection counts as open")
        await asyncio.gather(conn.close(), conn.close())
        await conn.close()

    @clause(
        "Who is refused, and who is never accepted, keeps no place.",
        "D26, D27, D51",
        after=(
            "place_given_back_once",
            "admission_refuses",
            "cancelled_accept_loses_nothing",
            "close_wakes_accept",
            "outlives_its_caller",
            "unaccepted_closed",
        ),
    )
    async def place_not_kept(self) -> None:
        places = CountedPlaces(2)
        await self._refuse(OneVerdict(False), conn_limiter_option(places))
        kept = "a client was refused and one accepted, and of two places none became free"
        await until(lambda: places.free == 1, kept)
        kept = f"of {_MANY_CLIENTS} clients that nobody accepted, some kept places after close()"
        for limits in ([], [FakeTrafficLimiter()]):
            places, opts = CountedPlaces(100), [traffic_limiter_option(one) for one in limits]
            with suppress(Exempt):
                site = await self._given(conn_limiter_option(places), *opts)
                conn, _ = await site.meet()
                for one in limits:
                    one.error = OSError("the limits are out of reach")
                for _ in range(_MANY_CLIENTS):
                    await site.connect_refused()
                await within(site.listener.close(), "close()")
                await within(conn.close(), "close() of the accepted connection")
                await until(lambda: places.free == 100, kept)  # noqa: B023
        with suppress(Exempt):
            await self._expect_places_of_cancelled()
            places = CountedPlaces(100)
            await self._serve_bad_clients(await self._given(conn_limiter_option(places)))
            kept = "clients that did something wrong kept places, though all is closed"
            await until(lambda: places.free == 100, kept)

    async def _expect_places_of_cancelled(self) -> None:
        """Break the clause if clients that came beside cancelled calls of accept() keep places."""
        places, accepted = CountedPlaces(100), list[Conn]()
        site = await self._given(conn_limiter_option(places))

        async def accept() -> Conn:
            accepted.append(await site.listener.accept())
            return accepted[-1]

        await race_with_cancels(accept, lambda: site.connect_refused(b"x"))
        closing = (conn.close() for conn in accepted)
        await within(asyncio.gather(*closing), "close() of all accepted connections")
        kept = "clients that came beside cancelled calls of accept() kept places"
        await until(lambda: places.free == 100, kept)

    async def _serve_bad_clients(self, site: SiteT) -> None:
        """Have clients come that do something wrong, and close whatever has become of them."""
        accepting = await begin(site.listener.accept())
        with suppress(NotTried):
            for what, come in self._bad_clients(site).items():
                owned(await given(come(site.listener.addr()), what))
        await settle()
        await within(site.listener.close(), "close()")
        await ended(accepting)
        if accepting.done() and failure_of(accepting) is None:
            conn = returned(accepting.result(), "accept()")
            await within(conn.close(), "close() of an accepted connection")

    @clause(
        "A source that the admission refuses is closed, and the next client comes.",
        "D26, D50",
        after=("accepts",),
    )
    async def admission_refuses(self) -> None:
        await self._refuse(OneVerdict(False))

    @clause(
        "Of two clients that come at once, of which one is refused, that one is closed, and the "
        "other served.",
        "D22, D50",
        after=("admission_refuses", "outlives_its_caller", "silent_accepted"),
    )
    async def verdicts_apart(self) -> None:
        admission, answers = OneVerdict(False), asyncio.Event()
        admission.sources.meanwhile = answers.wait
        site = await self._given(admission_option(admission))
        accepting, hellos = await begin(site.listener.accept()), [b"0", b"1"]
        connecting = [start(site.connect_refused(one)) for one in hellos]
        await settle()
        answers.set()
        conn = owned(await within(accepting, "accept() of one of two clients"))
        accepting = await begin(site.listener.accept())
        served, refused = await asyncio.gather(*connecting)
        if await read(conn, 1) == hellos[1]:
            served, refused = refused, served
        await carry(conn, returned(served, "connecting the client that is served"), b"pong")
        if refused is not None and not isinstance(refused, PacketConn):
            await within(end_of(refused), "the connection of the client that is refused")
        _expect_none(accepting, "the client that is refused")

    @clause("Closing it leaves open what was lent to it.", "D19", after=("admission_refuses",))
    async def lent_stays_open(self) -> None:
        admission, places = OneVerdict(True), CountedPlaces(100)
        stats, limiter, router = FakeStats(), FakeTrafficLimiter(), FakeRouter()
        for lent, option in (
            (admission, admission_option(admission)),
            (places, conn_limiter_option(places)),
            (stats, stats_option(stats)),
            (limiter, traffic_limiter_option(limiter)),
            (router, router_option(router)),
        ):
            with suppress(Exempt):
                site = await self._given(option)
                await site.meet()
                await within(site.listener.close(), "close()")
            expect(not lent.closed, f"close() closed the {type(lent).__name__} that it was lent")
            if self.bad_metadata is not None:
                failing = self._build(option).listener.init(self.bad_metadata)
                with suppress(ValueError):
                    await within(failing, "init(bad_metadata)")
            expect(not lent.closed, f"init(bad_metadata) closed the {type(lent).__name__}")

    @clause("An admission that fails refuses.", "D49", after=("admission_refuses",))
    async def admission_fails_closed(self) -> None:
        # Whatever it raises: a client may have an address that nobody has thought of.
        for error in (*out_of_reach("the rules"), LookupError("a fault of its own")):
            admission = OneVerdict(True)
            admission.sources.fail(error)
            await self._refuse(admission)

    async def _refuse(self, admission: OneVerdict, *opts: Option) -> None:
        site = await self._given(admission_option(admission), *opts)
        accepting = await begin(site.listener.accept())
        await site.connect_refused()
        await until(lambda: bool(admission.sources), "the admission was not asked about a client")
        await settle()
        _expect_none(accepting, "a client that was refused")
        await site.connect()
        owned(await within(accepting, "accept() of a client after a refused one"))

    @clause(
        "close() ends an accept() that waits while the admission is asked.",
        "D1, D26",
        after=("accepts", "admission_refuses", "close_wakes_accept"),
    )
    async def close_ends_admission(self) -> None:
        admission = OneVerdict(True)
        admission.sources.hang(1)
        site = await self._given(admission_option(admission))
        accepting = await begin(site.listener.accept())
        start(site.connect_refused())
        await admission.sources.reached("the admission")
        await within(site.listener.close(), "close() while the admission is asked")
        await raises(accepting, "the waiting accept()", self._closed_error)
        still_asked = "close() has ended, and the admission is still asked"
        await until(lambda: admission.sources.cancelled == 1, still_asked)

    @clause(
        "The admission is told the network and the address of the source.",
        "D50",
        after=("accepts", "admission_refuses"),
    )
    async def admission_told_source(self) -> None:
        admission = OneVerdict(True)
        conn, _ = await (await self._given(admission_option(admission))).meet()
        source = conn.remote_addr()
        # The port is of no use to rules, and may be left out.
        told = {(network, host_of(addr)) for network, addr in admission.sources}
        expect(
            told == {(source.network(), _host(conn))},
            f"of a client at {source} by {source.network()}, admit() was told {admission.sources}",
        )

    @clause(
        "Each connection counts in the stats once, and no longer as open once it is closed; "
        "close() of the listener changes no count.",
        "D54",
        after=("accepts", "accepted_survive", "admission_refuses", "close_wakes_accept"),
    )
    async def stats_counted(self) -> None:
        stats = FakeStats()
        site = await self._given(stats_option(stats))
        await self._close_one_of_two(site, 1, lambda: stats.get(Kind.CURRENT_CONNS) == 1)
        await within(site.listener.close(), "close()")
        counts = stats.get(Kind.TOTAL_CONNS), stats.get(Kind.CURRENT_CONNS)
        expect(
            counts == (2, 1),
            f"two connections were accepted, one was closed; counted were (total, open) {counts}",
        )
        counted, right = stats.get(Kind.INPUT_BYTES), 2 * len(HELLO)
        expect(counted >= right, f"{right} bytes were read, {counted} were counted")
        stats = FakeStats()
        with suppress(Exempt):
            await self._refuse(OneVerdict(False), stats_option(stats))
            still_open = "of two clients one was refused, and both count as open"
            await until(lambda: stats.get(Kind.CURRENT_CONNS) <= 1, still_open)
        stats = FakeStats()
        await self._serve_bad_clients(await self._given(stats_option(stats)))
        still_open = "clients that did something wrong count as open, though all is closed"
        await until(lambda: not stats.get(Kind.CURRENT_CONNS), still_open)

    @clause("What no traffic limiter grants, write() refuses.", "D52, D53", after=("accepts",))
    async def refused_traffic_raises(self) -> None:
        await self._expect_limited("out", lambda conn: conn.write(b"x"))

    @clause("What no traffic limiter grants, read() refuses.", "D52, D53", after=("accepts",))
    async def refused_reads_raise(self) -> None:
        await self._expect_limited("in", lambda conn: conn.read(1))

    @clause(
        "Bytes that are read are drawn from the traffic budget once they are there, and no others.",
        "D52",
        after=("refused_reads_raise",),
    )
    async def traffic_in_hand(self) -> None:
        limiter = FakeTrafficLimiter(only="in")
        conn, client = await (await self._given(traffic_limiter_option(limiter))).meet()
        before = limiter.granted
        for _ in range(_MANY_CLIENTS):
            await given(client.write(b"x"), "a client's write()")
            await read(conn)
        drawn = limiter.granted - before
        # What a protocol puts around a byte may count too.
        expect(drawn <= 100 * _MANY_CLIENTS, f"to read {_MANY_CLIENTS} bytes, {drawn} were drawn")

    @clause(
        "What a traffic limiter grants in parts is written, and read, whole.",
        "D8, D52",
        after=("refused_reads_raise", "refused_traffic_raises"),
    )
    async def traffic_in_parts(self) -> None:
        conn, client = await (
            await self._given(traffic_limiter_option(FakeTrafficLimiter()))
        ).meet()
        for data in (b"ping", b"x" * 1000):
            await carry(conn, client, data)
            await carry(client, conn, data)

    @clause(
        "Of clients that come at once, each draws on the traffic budget of its own address.",
        "D22, D53",
        after=("outlives_its_caller", "traffic_in_parts", "limit_keeps_serving"),
    )
    async def budgets_apart(self) -> None:
        limiter, answers = FakeTrafficLimiter(), asyncio.Event()
        limiter.asked.meanwhile = answers.wait
        site = await self._given(traffic_limiter_option(limiter))
        accepting = await begin(site.listener.accept())
        connecting = [start(site.connect()) for _ in range(2)]
        await settle()
        answers.set()
        conns = owned(await given(accepting, "accept()")), await site.accept()
        await given(asyncio.gather(*connecting), "connecting two clients")
        asked = {key for scope, key in limiter.asked if scope == SCOPE_CONN}
        wrong = asked - {str(conn.remote_addr()) for conn in conns}
        expect(not wrong, f"the traffic limiter was asked for {wrong}, which are no connections")
        for conn, other in (conns, conns[::-1]):
            limiter.drawn_from.clear()
            await read(conn)
            await write(conn, b"x")
            mixed = str(other.remote_addr()) in limiter.drawn_from
            expect(not mixed, "a client drew on the traffic budget of another")

    async def _expect_limited(self, way: str, use: Callable[[Conn], Awaitable[object]]) -> None:
        limiter = FakeTrafficLimiter(only=way)
        site = await self._given(traffic_limiter_option(limiter))
        conn, client = await site.meet()
        limiter.refuses = True
        await given(client.write(b"x"), "a client's write()")
        await raises(use(conn), "a call that gets no bytes granted", OSError)
        limiter.refuses, limiter.error = False, OSError("the limits are out of reach")
        accepting = await begin(site.listener.accept())
        await site.connect_refused()
        await settle()
        # The client may be refused before.
        if accepting.done():
            conn = owned(await given(accepting, "accept()"))
            await raises(use(conn), "a call whose limit cannot be found", OSError)


def _expect_none(accepting: "asyncio.Future[Conn]", who: str) -> None:
    """Break the clause unless accept() still waits, whoever came."""
    if accepting.done() and failure_of(accepting) is None:
        owned(accepting.result())
        raise Broken(f"{who} came out of accept()")
    expect(not accepting.done(), f"with {who}, accept() {outcome_of(accepting)}")


def _host(conn: Conn) -> str:
    return host_of(str(conn.remote_addr()))


def host_of(addr: str) -> str:
    """Return the host of an address with a port or without one."""
    host, colon, port = addr.rpartition(":")
    return (host if colon and port.isdecimal() else addr).strip("[]")
