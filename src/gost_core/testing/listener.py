"""The contract of listeners, local and reverse."""

import asyncio
import errno
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Final, TypeAlias

from gost_core.admission import Admission
from gost_core.admission import Option as AdmitOption
from gost_core.chain import BindOption
from gost_core.common import net
from gost_core.common.net import Addr, Closer, Conn, UnsupportedError
from gost_core.context import Context
from gost_core.limiter import Option as LimiterOption
from gost_core.limiter.conn import ConnLimiter
from gost_core.limiter.conn import Limiter as ConnPlaces
from gost_core.limiter.traffic import Limiter as Budget
from gost_core.limiter.traffic import TrafficLimiter
from gost_core.listener import (
    AcceptError,
    BindError,
    ClosedError,
    Listener,
    Option,
    Options,
    addr_option,
    admission_option,
    conn_limiter_option,
    router_option,
    stats_option,
    traffic_limiter_option,
)
from gost_core.metadata import Metadata
from gost_core.observer.stats import Kind
from gost_core.testing._contract import (
    Broken,
    NotTried,
    checks,
    clause,
    describe,
    expect,
    run,
)
from gost_core.testing._doubles import Address, MemoryListener
from gost_core.testing._fakes import FakeListener, FakeMetadata, FakeRouter, FakeStats
from gost_core.testing._net import (
    Wires,
    closed_at_once,
    failure_of,
    given_back,
    outcome_of,
    turns,
    until,
)
from gost_core.testing._report import Report

__all__ = ("check_listener_listener",)


MakeListener: TypeAlias = Callable[[Option], Listener]
Client: TypeAlias = Callable[[Addr], Awaitable[Closer]]

# What D26 says passes.
_TEMPORARY: Final = (
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ECONNABORTED,
    errno.EINTR,
)
_HELLO: Final[bytes] = b"hello"
_ANY_PORT: Final[str] = "127.0.0.1:0"


class BindingRouter(FakeRouter):
    """A router that binds addresses of its own, at which the scenario plays the clients."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []
        self.bound: list[MemoryListener] = []
        self._ports = count(1024)

    async def bind(
        self, ctx: Context, network: str, address: str, /, *opts: BindOption
    ) -> net.Listener:
        """Bind, or fail as the scenario says."""
        if self.failures:
            raise self.failures.pop(0)
        if any(str(one.addr()) == address for one in self.in_use):
            raise OSError(errno.EADDRINUSE, f"{address} is in use")
        host, _, port = address.rpartition(":")
        number = next(self._ports) if port in ("", "0") else int(port)
        self.bound.append(MemoryListener(Address(network, f"{host or '127.0.0.1'}:{number}")))
        return self.bound[-1]

    @property
    def in_use(self) -> list[MemoryListener]:
        """What was bound and is not closed."""
        return [one for one in self.bound if not one.closed]


class CountedPlaces(ConnPlaces, ConnLimiter):
    """A limit on connections, the same for all clients; it remembers what it was asked."""

    def __init__(self, places: int) -> None:
        self.free = places
        self.keys: list[str] = []
        self._places = places

    def limiter(self, key: str, /) -> ConnPlaces:
        """Return the limit."""
        self.keys.append(key)
        return self

    def allow(self, n: int, /) -> bool:
        """Take places, or give them back; too many given back show as more than there are."""
        if n > self.free:
            return False
        self.free -= n
        return True

    def limit(self) -> int:
        """Return how many there are."""
        return self._places


class OneVerdict(Admission):
    """Says the same of every source, once."""

    def __init__(self, verdict: bool | Exception) -> None:
        self.verdict = verdict
        self.sources: list[tuple[str, str]] = []

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: AdmitOption) -> bool:
        """Say it."""
        self.sources.append((network, addr))
        verdict, self.verdict = self.verdict, True
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


class SilentAdmission(Admission):
    """Never answers."""

    def __init__(self) -> None:
        self.was_asked = False

    async def admit(self, ctx: Context, network: str, addr: str, /, *opts: AdmitOption) -> bool:
        """Wait for ever."""
        self.was_asked = True
        await asyncio.Event().wait()
        return False


class OneWay(Budget, TrafficLimiter):
    """Limits one direction; grants everything there, and later nothing."""

    def __init__(self, *, reads: bool) -> None:
        self._reads = reads
        self.grants = True

    async def in_(self, ctx: Context, key: str, /, *opts: LimiterOption) -> Budget | None:
        """Return the limit of what is read."""
        return self if self._reads else None

    async def out(self, ctx: Context, key: str, /, *opts: LimiterOption) -> Budget | None:
        """Return the limit of what is written."""
        return None if self._reads else self

    async def wait(self, ctx: Context, n: int, /) -> int:
        """Grant, or refuse."""
        # A caller that asks again for ever must not stop the event loop.
        await asyncio.sleep(0)
        return n if self.grants else 0

    def limit(self) -> int:
        """Return the limit."""
        return 1

    def set(self, n: int, /) -> None:
        """Do nothing."""


class ListenerContract(Wires, interface=Listener):
    # MANUAL fields from the check function
    """Check a listener.

    A factory gets an option, which it gives to the listener behind its own ones. With it the check
    chooses an address, and gives an admission, limits, statistics and, to a reverse listener, a
    Router that it plays itself. A listener that does not serve what it was given says so by a
    ValueError from ``init()``; then the clauses about it are not tried. To ignore it breaks them.
    """

    make: MakeListener | None = field(kw_only=False)
    """Makes a local listener that is not initialized, at a free port of the loopback or at an
    address of its own: ``lambda option: MyListener(addr_option("127.0.0.1:0"), option)``. None =
    there are reverse listeners only."""
    connect: Callable[[Addr], Awaitable[Conn]] | None = field(kw_only=False)
    """Connects a client to an address, and does what the listener's protocol wants before it
    accepts. None = as before."""
    make_reverse: MakeListener | None = None
    """Makes a reverse listener that is not initialized. Without ``make``, all clauses are tried
    with it, and the check plays the clients as well."""
    backlog: int | None = None
    """How many clients wait unaccepted at most; None = the system knows."""
    bad_clients: Mapping[str, Client] | None = None
    """Clients that do something wrong, under what they are: "one that sent garbage". Each connects
    and returns what is to be closed later. None = over TCP, one that sends garbage and one that
    breaks off."""
    bad_metadata: Metadata | None = None
    """Settings of which one is wrong; None = nothing can be wrong."""
    fail: Callable[[Listener, OSError], Awaitable[None]] | None = None
    """Makes the listener's ``accept()``, which waits, meet an error in what is beneath: the socket,
    or the server in the background."""
    connect_silent: Client | None = None
    """Connects and says nothing; None = over TCP."""
    wrap: Callable[[Listener], Listener] | None = None
    """Wraps a listener; None = this is no wrapper."""

    def __init__(
        self,
        make: MakeListener | None,
        connect: Callable[[Addr], Awaitable[Conn]] | None,
        make_reverse: MakeListener | None,
        *,
        backlog: int | None,
        bad_clients: Mapping[str, Client] | None,
        bad_metadata: Metadata | None,
        fail: Callable[[Listener, OSError], Awaitable[None]] | None,
        silent_client: Client | None,
        wrap: Callable[[Listener], Listener] | None,
    ) -> None:
        super().__init__()
        self._make = make
        self._client = connect
        self._make_reverse = make_reverse
        self._backlog = backlog
        self._bad_clients = bad_clients
        self._bad_metadata = bad_metadata
        self._fail = fail
        self._silent_client = silent_client
        self._wrap = wrap
        self._router = BindingRouter()

    async def _specimen(self) -> Listener:
        return self._build()

    # ---- What the scenarios have in common

    @property
    def _is_reverse(self) -> bool:
        return self._make is None

    def _build(self, *opts: Option) -> Listener:
        """Build a listener: a local one, if there is a factory of such."""
        if self._make is None:
            return self._build_reverse(*opts)

        def all_of_them(options: Options) -> None:
            for option in opts:
                option(options)

        listener = self._make(all_of_them)
        keep(listener.close)
        return listener

    def _build_reverse(self, *opts: Option) -> Listener:
        if self._make_reverse is None:
            raise NotTried("no `make_reverse` was given")
        self._router = BindingRouter()
        return self._build_at_router(addr_option(_ANY_PORT), *opts)

    def _build_at_router(self, *opts: Option) -> Listener:
        """Build a reverse listener at the router that there is."""
        if self._make_reverse is None:
            raise NotTried("no `make_reverse` was given")

        def all_of_them(options: Options) -> None:
            for option in (router_option(self._router), *opts):
                option(options)

        listener = self._make_reverse(all_of_them)
        keep(listener.close)
        return listener

    def _build_local(self, *opts: Option) -> Listener:
        if self._make is None:
            raise NotTried("it is a reverse listener")
        return self._build(*opts)

    def _build_at(self, addr: str) -> Listener:
        """Build a listener for an address that another one has, or had."""
        if self._is_reverse:
            return self._build_at_router(addr_option(addr))
        return self._build(addr_option(addr))

    async def _init(self, listener: Listener) -> Listener:
        await given(by_task_that_goes_on(listener.init(FakeMetadata()), "init()"), "init()")
        return listener

    async def _ready(self, *opts: Option) -> Listener:
        return await self._init(self._build(*opts))

    async def _serving(self, option: Option) -> Listener:
        """Build a listener with an option that it need not serve, if it says so."""
        listener = self._build(option)
        try:
            await within(listener.init(FakeMetadata()), "init()")
        except ValueError as error:
            raise NotTried(f"init() refuses the option: {error}") from error
        except Exception as error:
            raise NotTried(f"init() failed: {describe(error)}") from error
        return listener

    async def _connect(self, listener: Listener, hello: bytes = _HELLO) -> Conn:
        """Connect a client, and have it say something, as datagrams need it."""
        if self._is_reverse or self._client is None:
            return await self._connect_by_router(hello)
        client = await given(self._client(listener.addr()), "connecting a client")
        keep(client.close)
        await given(client.write(hello), "a client's write()")
        return client

    async def _connect_by_router(self, hello: bytes = _HELLO) -> Conn:
        """Connect a client where the router has bound, whatever addr() says of it."""
        what = "binding in accept()"
        await given(until(lambda: bool(self._router.in_use), what), what)
        client = self._router.in_use[-1].connect()
        keep(client.close)
        await client.write(hello)
        return client

    async def _accept(self, listener: Listener) -> Conn:
        conn = returned(await by_task_that_goes_on(listener.accept(), "accept()"), "accept()")
        keep(conn.close)
        return conn

    async def _meet(self, listener: Listener) -> tuple[Conn, Conn]:
        """Connect a client and accept it; return the accepted connection and the client."""
        if self._is_reverse:
            connecting = start(self._connect_by_router())
            conn = await self._accept(listener)
            client = await connecting
        else:
            client = await self._connect(listener)
            conn = await self._accept(listener)
        received = await read_exactly(conn, len(_HELLO))
        expect(received == _HELLO, f"a client wrote {_HELLO!r}, {received!r} was read")
        return conn, client

    async def _find(self, listener: Listener, hello: bytes, after: str) -> Conn:
        """Accept until the client is there that says ``hello``."""
        found: asyncio.Future[Conn] = asyncio.get_running_loop().create_future()

        async def listen_to(conn: Conn) -> None:
            if (await conn.read(len(hello))).startswith(hello) and not found.done():
                found.set_result(conn)

        async def accept() -> Conn:
            while True:
                conn = returned(await listener.accept(), "accept()")
                keep(conn.close)
                start(listen_to(conn))

        accepting = start(accept())
        either = asyncio.wait({accepting, found}, return_when=asyncio.FIRST_COMPLETED)
        try:
            await within(either, f"accepting a good client after {after}")
            if not found.done():
                raise Broken(f"after {after}, accept() {outcome_of(accepting)}")
        finally:
            accepting.cancel()
            await ended(accepting)
        return found.result()

    async def _waiting(self, listener: Listener) -> "asyncio.Future[Conn]":
        """Begin an accept() that waits."""
        accepting = start(listener.accept())
        await settle()
        return accepting

    def _needs_stream(self, listener: Listener) -> None:
        if listener.addr().network().startswith("udp"):
            raise NotTried("a client cannot see the end of datagrams")

    # ---- The life of a listener

    @clause("The constructor needs no event loop.", "D18")
    async def built_anywhere(self) -> None:
        await within(asyncio.to_thread(self._build), "the constructor in a thread")

    @clause("accept() before init() raises RuntimeError.", "D18")
    async def use_before_init(self) -> None:
        await raises(self._build().accept(), "accept() before init()", RuntimeError)

    @clause("close() before init() is legal.", "D18")
    async def close_before_init(self) -> None:
        await within(self._build().close(), "close() before init()")

    @clause("A client's connection comes out of accept(), and carries bytes both ways.", "D5, D26")
    async def accepts(self) -> None:
        listener = await self._ready()
        conn, client = await self._meet(listener)
        await carry(conn, client, b"pong")
        await carry(client, conn, b"ping")

    @clause("A second init() raises RuntimeError, and changes nothing.", "D18", after=("accepts",))
    async def init_twice(self) -> None:
        listener = await self._ready()
        await raises(listener.init(FakeMetadata()), "a second init()", RuntimeError)
        await self._meet(listener)

    @clause("init(None) is init() without settings.", "D18", after=("accepts",))
    async def init_none(self) -> None:
        listener = self._build()
        await within(listener.init(None), "init(None)")
        await self._meet(listener)

    @clause(
        "A wrong setting is a ValueError in init(), which releases everything.",
        "D18, D64",
        after=("accepts", "close_before_init"),
    )
    async def failed_init_releases(self) -> None:
        if self._bad_metadata is None:
            raise NotTried("no `bad_metadata` was given")
        addr = await self._free_address()
        listener = self._build_at(addr)
        await raises(listener.init(self._bad_metadata), "init(bad_metadata)", ValueError)
        await self._bind_again(addr, "after init(bad_metadata) had failed")
        await within(listener.close(), "close() after init() had failed")

    async def _free_address(self) -> str:
        """Return an address that a listener had."""
        listener = await self._ready()
        await self._meet(listener)
        addr = str(listener.addr()) if not self._is_reverse else str(self._router.bound[-1].addr())
        await given(listener.close(), "close()")
        return addr

    async def _bind_again(self, addr: str, when: str) -> None:
        """Break the clause unless a listener can be bound, sooner or later."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + self.time_limit
        while True:
            listener = self._build_at(addr)
            try:
                await self._bind(listener)
            except (OSError, BindError) as error:
                if loop.time() >= limit:
                    text = f"{when}, {addr} could not be bound: {describe(error)}"
                    raise Broken(text) from error
                await given(listener.close(), "close()")
                await settle()
            else:
                return

    async def _bind(self, listener: Listener) -> None:
        await within(listener.init(FakeMetadata()), "init() at the same address")
        await self._meet(listener)

    @clause(
        "The listener and what it accepted outlive the tasks of init() and accept().",
        "D4",
        after=("accepts",),
    )
    async def outlives_its_caller(self) -> None:
        listener = self._build()
        # given() awaits in a task that ends.
        await given(listener.init(FakeMetadata()), "init()")
        await settle()
        accepting = start(listener.accept())
        client = await self._connect(listener)
        conn = await within(accepting, "accept() after the task of init() had ended")
        keep(conn.close)
        await settle()
        await carry(conn, client, b"pong")

    # ---- Addresses

    @clause("addr() is there, on a network in lower case, and stays the same after close().", "D2")
    async def address(self) -> None:
        listener = await self._ready()
        if self._is_reverse:
            await self._meet(listener)
        before = returned(listener.addr(), "addr()")
        words = before.network(), str(before)
        expect(
            words[0] == words[0].lower(), f"addr().network() is {words[0]!r}; write it lower case"
        )
        await given(listener.close(), "close()")
        after = returned(listener.addr(), "addr() after close()")
        now = after.network(), str(after)
        expect(words == now, f"by close(), addr() changed from {words} to {now}")

    @clause("addr() of a local listener has the real port after init(), also for port 0.", "D25")
    async def real_address(self) -> None:
        listener = await self._init(self._build_local())
        text = str(listener.addr())
        expect(not text.endswith(":0"), f"after init(), addr() is {text!r}")

    @clause(
        "When init() returns, a local listener is bound: clients can connect.",
        "D25",
        after=("real_address",),
    )
    async def bound(self) -> None:
        listener = await self._init(self._build_local())
        connecting = start(self._connect(listener))
        await ended(connecting)
        expect(
            connecting.done() and failure_of(connecting) is None,
            f"after init(), before accept(), connecting {outcome_of(connecting)}",
        )

    @clause(
        "A local listener raises OSError in init() if the address is in use.",
        "D25",
        after=("real_address", "bound"),
    )
    async def address_in_use(self) -> None:
        first = await self._init(self._build_local())
        second = self._build_at(str(first.addr()))
        await raises(
            second.init(FakeMetadata()), "init() for an address that is in use", OSError
        )

    # ---- Accepting

    @clause(
        "A client that connects and says nothing does not keep the next one waiting.",
        "D26",
        after=("accepts",),
    )
    async def silent_client(self) -> None:
        listener = await self._ready()
        if self._is_reverse:
            await self._meet(listener)
            silent: Closer = self._router.in_use[-1].connect()
        elif self._silent_client is not None:
            silent = await given(self._silent_client(listener.addr()), "`silent_client`")
        else:
            silent = await given(_say(listener.addr(), b""), "a silent client over TCP")
        keep(silent.close)
        await settle()
        connecting = start(self._connect(listener, b"good"))
        await self._find(listener, b"good", "one that says nothing")
        await connecting

    @clause(
        "One client's trouble stays with it: accept() raises nothing, and the next client comes.",
        "D26",
        after=("accepts",),
    )
    async def bad_client(self) -> None:
        listener = await self._ready()
        clients: dict[str, Client] = dict(self._bad_clients or {})
        if self._is_reverse:
            await self._meet(listener)
            clients = {"one that broke off": self._broken_off}
        elif not clients and listener.addr().network().startswith("tcp"):
            clients = {"one that sent garbage": _garbage, "one that broke off": _reset}
        elif not clients:
            raise NotTried("no `bad_clients` were given, and the network is not TCP")
        for number, (name, bad_client) in enumerate(clients.items()):
            hello = b"good%d" % number
            accepting = start(self._find(listener, hello, name))
            bad = await given(bad_client(listener.addr()), name)
            keep(bad.close)
            await settle()
            await self._connect(listener, hello)
            await accepting

    async def _broken_off(self, addr: Addr) -> Closer:
        client = self._router.in_use[-1].connect()
        client.break_off()
        return client

    @clause("A cancelled accept() ends as cancelled.", "D14")
    async def accept_cancellable(self) -> None:
        accepting = await self._waiting(await self._ready())
        accepting.cancel()
        await ended(accepting)
        expect(accepting.cancelled(), f"a cancelled accept() {outcome_of(accepting)}")

    @clause(
        "A connection that comes beside a cancelled accept() is returned later, or closed.",
        "D26",
        after=("accepts", "accept_cancellable"),
    )
    async def cancelled_accept_loses_nothing(self) -> None:
        listener = await self._ready()
        await self._meet(listener)
        await race_with_cancels(listener.accept, lambda: self._connect(listener, b"x"))

    @clause("When the backlog is full, the newcomer is closed.", "D26", after=("accepts", "bound"))
    async def backlog_full(self) -> None:
        if self._backlog is None:
            raise NotTried("no `backlog` was given")
        listener = await self._init(self._build_local())
        self._needs_stream(listener)
        assert self._client is not None
        ends: list[asyncio.Future[None]] = []
        # Some more than one, for what a listener may hold in its hands.
        for number in range(self._backlog + 3):
            try:
                client = await within(self._client(listener.addr()), "connecting a client")
                keep(client.close)
                await client.write(b"%d" % number)
            except OSError:
                break
            ends.append(start(end_of(client)))
        else:
            await asyncio.wait(ends, timeout=self.time_limit, return_when=asyncio.FIRST_COMPLETED)
            expect(
                any(end.done() for end in ends),
                f"with a backlog of {self._backlog}, none of {len(ends)} clients was closed",
            )
        conn = await self._accept(listener)
        first = await read(conn, 1)
        expect(first == b"0", f"the client that was accepted first was number {first!r}, not 0")

    @clause(
        "EMFILE and its like become AcceptError; after it, accept() goes on.",
        "D26",
        after=("accepts",),
    )
    async def temporary_error(self) -> None:
        listener = await self._init(self._build_local())
        if self._fail is None:
            raise NotTried("no `fail` was given")
        for number in _TEMPORARY:
            accepting = await self._waiting(listener)
            error = OSError(number, errno.errorcode[number])
            await given(self._fail(listener, error), "`fail`")
            what = f"accept(), on {errno.errorcode[number]},"
            await raises(accepting, what, AcceptError)
        await self._meet(listener)

    @clause(
        "A server that dies in the background shows in accept(), which raises what happened.",
        "D26",
        after=("accepts",),
    )
    async def failure_shows(self) -> None:
        listener = await self._init(self._build_local())
        if self._fail is None:
            raise NotTried("no `fail` was given")
        accepting = await self._waiting(listener)
        await given(self._fail(listener, OSError(errno.EBADF, "it died")), "`fail`")
        await ended(accepting)
        error = failure_of(accepting) if accepting.done() else None
        final = isinstance(error, Exception) and not isinstance(
            error, AcceptError | BindError | ClosedError
        )
        expect(final, f"accept(), beneath which the server died, {outcome_of(accepting)}")

    @clause("After a final error, accept() raises ClosedError.", "D26", after=("failure_shows",))
    async def closed_by_failure(self) -> None:
        listener = await self._init(self._build_local())
        if self._fail is None:
            raise NotTried("no `fail` was given")
        accepting = await self._waiting(listener)
        await given(self._fail(listener, OSError(errno.EBADF, "it died")), "`fail`")
        await ended(accepting)
        await raises(listener.accept(), "accept() after a final error", ClosedError)

    @clause("A wrapper passes AcceptError and BindError on unchanged.", "D26")
    async def wrapper_passes_errors(self) -> None:
        if self._wrap is None:
            raise NotTried("no `wrap` was given")
        for error in (AcceptError(OSError("below")), BindError(OSError("below"))):
            inner = FakeListener()
            wrapper = self._wrap(inner)
            keep(wrapper.close)
            await given(wrapper.init(None), "init() of the wrapper")
            accepting = await self._waiting(wrapper)
            inner.push(error)
            await ended(accepting)
            same = accepting.done() and failure_of(accepting) is error
            expect(
                same,
                f"the inner accept() raised {describe(error)}, the wrapper's "
                f"{outcome_of(accepting)}",
            )

    # ---- Closing

    @clause("close() wakes a waiting accept(), which raises ClosedError.", "D1, D26")
    async def close_wakes_accept(self) -> None:
        listener = await self._ready()
        accepting = await self._waiting(listener)
        await within(listener.close(), "close() beside a waiting accept()")
        await raises(accepting, "the waiting accept()", ClosedError)

    @clause("accept() after close() raises ClosedError.", "D1, D26")
    async def accept_after_close(self) -> None:
        listener = await self._ready()
        await within(listener.close(), "close()")
        await raises(listener.accept(), "accept() after close()", ClosedError)

    @clause("close() may be called twice.", "D1")
    async def close_twice(self) -> None:
        listener = await self._ready()
        await within(listener.close(), "close()")
        await within(listener.close(), "the second close()")

    @clause(
        "close() may be called several times at once; each returns when the first has.",
        "D1",
        after=("close_twice",),
    )
    async def close_at_once(self) -> None:
        listener = await self._ready()
        await closed_at_once(listener.close)

    @clause(
        "close() frees the address before it returns: it can be bound again at once.",
        "D27",
        after=("accepts",),
    )
    async def address_freed(self) -> None:
        listener = await self._ready()
        conn, _ = await self._meet(listener)
        # One connection is open, and one was closed at this end first, which TCP remembers.
        other, _ = await self._meet(listener)
        await given(other.close(), "close() of an accepted connection")
        addr = str(self._router.in_use[-1].addr()) if self._is_reverse else str(listener.addr())
        await within(listener.close(), "close()")
        try:
            await self._bind(self._build_at(addr))
        except (OSError, BindError) as error:
            text = f"after close(), {addr} could not be bound: {describe(error)}"
            raise Broken(text) from error
        await given(conn.close(), "close() of an accepted connection")

    @clause(
        "A cancelled close() frees the address all the same.",
        "D1, D27",
        after=("address_freed", "close_twice"),
    )
    async def close_cancelled(self) -> None:
        for number in (1, 2, 3):
            listener = await self._ready()
            await self._meet(listener)
            addr = str(self._router.in_use[-1].addr()) if self._is_reverse else str(listener.addr())
            closing = start(listener.close())
            await turns(number)
            closing.cancel()
            await ended(closing)
            await self._bind_again(addr, "after a cancelled close()")

    @clause("close() closes the connections that nobody accepted.", "D27", after=("accepts",))
    async def unaccepted_closed(self) -> None:
        listener = await self._ready()
        await self._meet(listener)
        self._needs_stream(listener)
        client = await self._connect(listener)
        await settle()
        await within(listener.close(), "close()")
        await within(
            end_of(client), "after close(), the connection of a client that was not accepted"
        )

    @clause("close() leaves accepted connections alone.", "D27", after=("accepts",))
    async def accepted_survive(self) -> None:
        listener = await self._ready()
        conn, client = await self._meet(listener)
        await within(listener.close(), "close()")
        await settle()
        await carry(conn, client, b"pong")
        await carry(client, conn, b"ping")

    @clause("After close(), no task of the listener is left.", "D20")
    async def no_task_left(self) -> None:
        before = asyncio.all_tasks()
        listener = self._build()
        await given(listener.init(FakeMetadata()), "init()")
        accepting = await self._waiting(listener)
        accepting.cancel()
        await ended(accepting)
        await within(listener.close(), "close()")
        await settle()
        left = [task.get_coro() for task in asyncio.all_tasks() - before]
        expect(not left, f"after close(), {len(left)} tasks go on: {left!r:.200}")

    # ---- What the options say

    @clause(
        "A client for whom the limiter has no place is closed, and the next one that fits comes.",
        "D26",
        after=("accepts",),
    )
    async def limit_keeps_serving(self) -> None:
        places = CountedPlaces(1)
        listener = await self._serving(conn_limiter_option(places))
        conn, _ = await self._meet(listener)
        accepting = await self._waiting(listener)
        client = await self._connect_refused(listener)
        if client is not None and not listener.addr().network().startswith("udp"):
            await within(end_of(client), "the connection of a client beyond the limit")
        await settle()
        expect(
            not accepting.done(),
            f"with a client beyond the limit, accept() {outcome_of(accepting)}",
        )
        await within(conn.close(), "close() of the accepted connection")
        await self._connect(listener)
        conn = await within(accepting, "accept(), after a place became free,")
        keep(conn.close)
        expect(set(places.keys) <= {_host(conn)}, f"the limiter was asked for {places.keys}")

    async def _connect_refused(self, listener: Listener) -> Conn | None:
        """Connect a client that may be closed on the way."""
        if self._is_reverse or self._client is None:
            return await self._connect_by_router()
        try:
            client = await within(self._client(listener.addr()), "connecting a client")
            keep(client.close)
            await client.write(_HELLO)
        except OSError:
            return None
        return client

    @clause(
        "A connection gives its place back once, however often it is closed.",
        "D51",
        after=("limit_keeps_serving",),
    )
    async def place_given_back_once(self) -> None:
        places = CountedPlaces(2)
        listener = await self._serving(conn_limiter_option(places))
        conn, _ = await self._meet(listener)
        await self._meet(listener)
        await asyncio.gather(conn.close(), conn.close())
        await conn.close()
        expect(
            places.free == 1, f"one of two connections was closed; {places.free} places are free"
        )

    @clause(
        "A source that the admission refuses is closed, and the next client comes.",
        "D26, D50",
        after=("accepts",),
    )
    async def admission_refuses(self) -> None:
        await self._refuse(OneVerdict(False))

    @clause("An admission that fails refuses.", "D49", after=("admission_refuses",))
    async def admission_fails_closed(self) -> None:
        await self._refuse(OneVerdict(OSError("the rules are out of reach")))

    async def _refuse(self, admission: OneVerdict) -> None:
        listener = await self._serving(admission_option(admission))
        accepting = await self._waiting(listener)
        await self._connect_refused(listener)
        await until(lambda: bool(admission.sources), "asking the admission about a client")
        await settle()
        if accepting.done() and failure_of(accepting) is None:
            keep(accepting.result().close)
            raise Broken("a client that was refused came out of accept()")
        expect(not accepting.done(), f"with a refused client, accept() {outcome_of(accepting)}")
        await self._connect(listener)
        conn = await within(accepting, "accept() of a client after a refused one")
        keep(conn.close)

    @clause(
        "close() ends an accept() that waits while the admission is asked.",
        "D1, D26",
        after=("accepts", "admission_refuses", "close_wakes_accept"),
    )
    async def close_ends_admission(self) -> None:
        admission = SilentAdmission()
        listener = await self._serving(admission_option(admission))
        accepting = await self._waiting(listener)
        start(self._connect_refused(listener))
        await until(lambda: admission.was_asked, "asking the admission about a client")
        await within(listener.close(), "close() while the admission is asked")
        await raises(accepting, "the waiting accept()", ClosedError)

    @clause(
        "The admission is told the network and the address of the source.",
        "D50",
        after=("accepts", "admission_refuses"),
    )
    async def admission_told_source(self) -> None:
        admission = OneVerdict(True)
        listener = await self._serving(admission_option(admission))
        conn, _ = await self._meet(listener)
        source = conn.remote_addr()
        # The port is of no use to rules, and may be left out.
        told = {(network, _host_of(addr)) for network, addr in admission.sources}
        expect(
            told == {(source.network(), _host(conn))},
            f"of a client at {source} by {source.network()}, admit() was told {admission.sources}",
        )

    @clause(
        "Each connection counts in the stats once, and no longer as open once it is closed.",
        "D54",
        after=("accepts",),
    )
    async def stats_counted(self) -> None:
        stats = FakeStats()
        listener = await self._serving(stats_option(stats))
        conn, _ = await self._meet(listener)
        await self._meet(listener)
        await asyncio.gather(conn.close(), conn.close())
        await conn.close()
        counts = stats.get(Kind.TOTAL_CONNS), stats.get(Kind.CURRENT_CONNS)
        expect(
            counts == (2, 1),
            f"two connections were accepted, one was closed; counted were (total, open) {counts}",
        )
        read = stats.get(Kind.INPUT_BYTES)
        expect(read >= 2 * len(_HELLO), f"{2 * len(_HELLO)} bytes were read, {read} were counted")

    @clause("When the traffic limiter grants nothing, write() raises.", "D52", after=("accepts",))
    async def refused_traffic_raises(self) -> None:
        limiter = OneWay(reads=False)
        listener = await self._serving(traffic_limiter_option(limiter))
        conn, _ = await self._meet(listener)
        limiter.grants = False
        await raises(conn.write(b"x"), "write() that gets no bytes granted", OSError)

    @clause("When the traffic limiter grants nothing, read() raises.", "D52", after=("accepts",))
    async def refused_reads_raise(self) -> None:
        limiter = OneWay(reads=True)
        listener = await self._serving(traffic_limiter_option(limiter))
        conn, client = await self._meet(listener)
        limiter.grants = False
        await given(client.write(b"x"), "a client's write()")
        await raises(conn.read(1), "read() that gets no bytes granted", OSError)

    # ---- Reverse listeners

    @clause("A reverse listener binds in accept(), not in init().", "D25")
    async def reverse_binds_in_accept(self) -> None:
        listener = await self._init(self._build_reverse())
        await settle()
        expect(not self._router.bound, "init() of a reverse listener bound an address")
        await self._meet_reverse(listener)

    async def _meet_reverse(self, listener: Listener) -> Conn:
        connecting = start(self._connect_by_router())
        conn = await self._accept(listener)
        await connecting
        return conn

    @clause(
        "addr() of a reverse listener is the address asked for, and once it is bound the real one.",
        "D25",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_address(self) -> None:
        listener = await self._init(self._build_reverse())
        before = str(returned(listener.addr(), "addr()"))
        expect(
            before == _ANY_PORT, f"{_ANY_PORT} was asked for; before accept(), addr() is {before}"
        )
        await self._meet_reverse(listener)
        after, real = str(listener.addr()), str(self._router.bound[-1].addr())
        expect(after == real, f"{real} was bound; addr() is {after}")

    @clause(
        "A reverse listener that could not bind raises BindError, and binds at the next accept().",
        "D26",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_bind_error(self) -> None:
        listener = await self._init(self._build_reverse())
        error = ConnectionRefusedError(errno.ECONNREFUSED, "the hop is away")
        self._router.failures.append(error)
        accepting = start(listener.accept())
        await raises(accepting, "accept() that could not bind", BindError)
        cause = accepting.exception()
        expect(
            cause is not None and cause.__cause__ is error,
            f"the cause of the BindError is not {describe(error)}",
        )
        await self._meet_reverse(listener)

    @clause(
        "What will never bind is raised as it is: UnsupportedError, ValueError.",
        "D16",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_bind_unsupported(self) -> None:
        for error in (UnsupportedError("nothing binds here"), ValueError("a malformed address")):
            listener = await self._init(self._build_reverse())
            self._router.failures.append(error)
            await raises(listener.accept(), "accept() that can never bind", type(error))

    @clause(
        "When what was bound fails, accept() raises AcceptError, and the next one binds again.",
        "D26",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_accept_error(self) -> None:
        listener = await self._init(self._build_reverse())
        await self._meet_reverse(listener)
        accepting = await self._waiting(listener)
        self._router.in_use[-1].fail(ConnectionResetError(errno.ECONNRESET, "the tunnel broke"))
        await raises(accepting, "accept(), when the tunnel broke,", AcceptError)
        await self._meet_reverse(listener)
        expect(
            len(self._router.in_use) == 1,
            f"after a failure, {len(self._router.in_use)} bound addresses are in use",
        )

    @clause(
        "close() of a reverse listener closes what it has bound; accept() raises ClosedError.",
        "D27",
        after=("reverse_binds_in_accept",),
    )
    async def reverse_close(self) -> None:
        listener = await self._init(self._build_reverse())
        await self._meet_reverse(listener)
        accepting = await self._waiting(listener)
        await within(listener.close(), "close() beside a waiting accept()")
        await raises(accepting, "the waiting accept()", ClosedError)
        expect(not self._router.in_use, "close() left the bound address in use")


def _host(conn: Conn) -> str:
    return _host_of(str(conn.remote_addr()))


def _host_of(addr: str) -> str:
    """Return the host of an address with a port or without one."""
    host, colon, port = addr.rpartition(":")
    return (host if colon and port.isdecimal() else addr).strip("[]")


class _RawClient(Closer):
    """A TCP client that speaks no protocol."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    async def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def break_off(self) -> None:
        """Close the socket without the usual end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


async def _say(addr: Addr, data: bytes) -> _RawClient:
    """Connect by TCP, and send ``data``."""
    host, _, port = str(addr).rpartition(":")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(sock, (host.strip("[]"), int(port)))
        if data:
            await loop.sock_sendall(sock, data)
    except BaseException:
        sock.close()
        raise
    return _RawClient(sock)


async def _garbage(addr: Addr) -> Closer:
    return await _say(addr, bytes(range(255, 0, -1)))


async def _reset(addr: Addr) -> Closer:
    client = await _say(addr, b"")
    client.break_off()
    return client


# MANUAL @checks(ListenerContract)
# MANUAL async def check_listener_listener(
# MANUAL     make: MakeListener | None,
# MANUAL     connect: Callable[[Addr], Awaitable[Conn]] | None,
# MANUAL     /,
# MANUAL     *,
# MANUAL     make_reverse: MakeListener | None = None,
# MANUAL     backlog: int | None = None,
# MANUAL     bad_clients: Mapping[str, Client] | None = None,
# MANUAL     bad_metadata: Metadata | None = None,
# MANUAL     fail: Callable[[Listener, OSError], Awaitable[None]] | None = None,
# MANUAL     silent_client: Client | None = None,
# MANUAL     wrap: Callable[[Listener], Listener] | None = None,
# MANUAL     time_limit: float = 5.0,
# MANUAL ) -> Report:
# MANUAL     """Check a listener.
# MANUAL 
# MANUAL     A factory gets an option, which it gives to the listener behind its own ones. With it the check
# MANUAL     chooses an address, and gives an admission, limits, statistics and, to a reverse listener, a
# MANUAL     Router that it plays itself. A listener that does not serve what it was given says so by a
# MANUAL     ValueError from ``init()``; then the clauses about it are not tried. To ignore it breaks them.
# MANUAL 
# MANUAL     Args:
# MANUAL         make: makes a local listener that is not initialized, at a free port of the loopback or at
# MANUAL             an address of its own: ``lambda option: MyListener(addr_option("127.0.0.1:0"),
# MANUAL             option)``. None = there are reverse listeners only.
# MANUAL         connect: connects a client to an address, and does what the listener's protocol wants
# MANUAL             before it accepts. None = as before.
# MANUAL         make_reverse: makes a reverse listener that is not initialized. Without ``make``, all
# MANUAL             clauses are tried with it, and the check plays the clients as well.
# MANUAL         backlog: how many clients wait unaccepted at most; None = the system knows.
# MANUAL         bad_clients: clients that do something wrong, under what they are: "one that sent
# MANUAL             garbage". Each connects and returns what is to be closed later. None = over TCP, one
# MANUAL             that sends garbage and one that breaks off.
# MANUAL         bad_metadata: settings of which one is wrong; None = nothing can be wrong.
# MANUAL         fail: makes the listener's ``accept()``, which waits, meet an error in what is beneath: the
# MANUAL             socket, or the server in the background.
# MANUAL         silent_client: connects and says nothing; None = over TCP.
# MANUAL         wrap: wraps a listener; None = this is no wrapper.
# MANUAL         time_limit: seconds for each wait.
# MANUAL 
# MANUAL     Returns:
# MANUAL         The report, if no clause is broken.
# MANUAL 
# MANUAL     Raises:
# MANUAL         ContractError: some are; it lists them all.
# MANUAL         TypeError: no listener was given to check.
# MANUAL     """
# MANUAL     if make is None and make_reverse is None:
# MANUAL         raise TypeError("nothing to check: give `make`, or `make_reverse`, or both")
# MANUAL     contract = ListenerContract(
# MANUAL         make,
# MANUAL         connect,
# MANUAL         make_reverse,
# MANUAL         backlog=backlog,
# MANUAL         bad_clients=bad_clients,
# MANUAL         bad_metadata=bad_metadata,
# MANUAL         fail=fail,
# MANUAL         silent_client=silent_client,
# MANUAL         wrap=wrap,
# MANUAL     )
# MANUAL     return await run(contract, time_limit)
