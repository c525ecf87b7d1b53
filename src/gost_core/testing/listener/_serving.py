"""What listeners promise wherever they bind: their life, their addresses, their clients."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Generic, TypeAlias

from typing_extensions import TypeVar

from gost_core.common.net import Aborter, Addr, Closer, Conn
from gost_core.listener import AcceptError, BindError, ClosedError, Listener, Option, Options
from gost_core.metadata import Metadata
from gost_core.testing._families.acceptors import Acceptors, Site
from gost_core.testing._families.closers import expect_no_task_after_close
from gost_core.testing._families.life import ReadsSettings
from gost_core.testing._run.attempt import Broken, Exempt
from gost_core.testing._run.contract import clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    applies,
    by_task_that_ends,
    by_task_that_goes_on,
    ended,
    expect,
    failure_of,
    given,
    need,
    outcome_of,
    owned,
    raises,
    returned,
    settle,
    start,
    turns,
    within,
)
from gost_core.testing._stage.fakes.service import FakeListener
from gost_core.testing._stage.memory import MemoryConn, MemoryMetadata
from gost_core.testing._stage.streams import ALL, begin, carry

__all__ = ("BadClient", "ListenerSite", "MakeListener", "Serving", "all_of")

MakeListener: TypeAlias = Callable[[Option], Listener]
BadClient: TypeAlias = Callable[[Addr], Awaitable[Closer]]


def all_of(*opts: Option) -> Option:
    """Make one option of several."""

    def apply_all(options: Options) -> None:
        for option in opts:
            option(options)

    return apply_all


class ListenerSite(Site[Listener]):
    """A listener, and the way by which clients come to it."""

    async def accept(self) -> Conn:
        """Accept a client, by a task that goes on."""
        conn = returned(await by_task_that_goes_on(self.listener.accept(), "accept()"), "accept()")
        self.accepted.append(conn)
        return owned(conn)

    async def let_bind(self) -> None:
        """Have the listener bind, if it does that in accept()."""

    async def find(self, hello: bytes, after: str) -> None:
        """Accept until the client is there that says ``hello``."""
        found = asyncio.Event()

        async def listen_to(conn: Conn) -> None:
            if (await conn.read(len(hello))).startswith(hello):
                found.set()

        async def accept() -> None:
            while True:
                conn = owned(returned(await self.listener.accept(), "accept()"))
                start(listen_to(conn))
                await turns(1)

        accepting = start(accept())
        finding = start(found.wait())
        await ended(accepting, finding, any_of_them=True)
        accepting.cancel()
        expect(found.is_set(), f"after {after}, accept() {outcome_of(accepting)}")
        await ended(accepting)


SiteT = TypeVar("SiteT", bound=ListenerSite)


class Serving(Acceptors[SiteT], ReadsSettings, Generic[SiteT]):
    """The clauses of listeners, wherever they bind."""

    bad_metadata: Metadata | None = None
    """Settings of which one is wrong; None = nothing can be wrong."""
    wrap: Callable[[Listener], Listener] | None = None
    """Wraps a listener; None = this is no wrapper."""

    _closed_error = ClosedError

    @abstractmethod
    def _build(self, *opts: Option) -> SiteT:
        """Build a listener that is not initialized."""

    @abstractmethod
    def _build_at(self, addr: str, site: SiteT) -> SiteT:
        """Build one for the address that the listener of ``site`` has, or had."""

    @abstractmethod
    async def _silent_client(self, site: SiteT) -> Closer:
        """Connect a client that says nothing."""

    @abstractmethod
    def _bad_clients(self, site: SiteT) -> Mapping[str, BadClient]:
        """Return clients that do something wrong, under what they are."""

    async def _specimen(self) -> Listener:
        return self._build().listener

    def _uninitialised(self) -> Listener:
        return self._build().listener

    async def _init(self, site: SiteT) -> SiteT:
        initializing = by_task_that_goes_on(site.listener.init(MemoryMetadata()), "init()")
        await given(initializing, "init()")
        return site

    async def _ready(self) -> SiteT:
        return await self._init(self._build())

    async def _bound(self) -> SiteT:
        site = await self._ready()
        await site.meet()
        return site

    async def _come_halfway(self, site: SiteT) -> None:
        # Without a hook there may be none.
        with suppress(Broken):
            owned(await self._silent_client(site))

    async def _use(self, site: SiteT) -> None:
        """Leave one connection open, and close one at this end first, which TCP remembers."""
        await site.meet()
        other, _ = await site.meet()
        await given(other.close(), "close() of an accepted connection")

    def _binder(self, site: SiteT) -> Callable[[Addr], Awaitable[SiteT]]:
        async def bind_at(addr: Addr) -> SiteT:
            other = self._build_at(str(addr), site)
            await within(other.listener.init(MemoryMetadata()), "init() at the same address")
            return other

        return bind_at

    # ---- The life of a listener

    @clause("The constructor needs no event loop.", "D18")
    async def built_anywhere(self) -> None:
        await within(asyncio.to_thread(self._build), "the constructor in a thread")

    @clause("accept() before init() raises RuntimeError.", "D18")
    async def use_before_init(self) -> None:
        await raises(self._build().listener.accept(), "accept() before init()", RuntimeError)

    @clause(
        "close() before init() is legal, and accept() raises after it.",
        "D18",
        after=("use_before_init",),
    )
    async def close_before_init(self) -> None:
        listener = self._build().listener
        await within(listener.close(), "close() before init()")
        what = "accept(), closed before init(),"
        await raises(listener.accept(), what, RuntimeError, ClosedError)

    @clause("A second init() raises RuntimeError, and changes nothing.", "D18", after=("accepts",))
    async def init_twice(self) -> None:
        site = await self._ready()
        await raises(site.listener.init(MemoryMetadata()), "a second init()", RuntimeError)
        await site.meet()

    @clause("init(None) is init() without settings.", "D18", after=("accepts",))
    async def init_none(self) -> None:
        site = self._build()
        await within(site.listener.init(None), "init(None)")
        await site.meet()

    @clause(
        "A wrong setting is a ValueError in init(), which releases everything.",
        "D18, D64",
        after=("accepts", "close_before_init"),
    )
    async def failed_init_releases(self) -> None:
        bad_metadata = need(self.bad_metadata, "bad_metadata")
        site = await self._bound()
        addr = site.addr()
        await given(site.listener.close(), "close()")
        listener = self._build_at(str(addr), site).listener
        await raises(listener.init(bad_metadata), "init(bad_metadata)", ValueError)
        await self._expect_freed(site, addr, "after init(bad_metadata) had failed")
        await within(listener.close(), "close() after init() had failed")

    @clause(
        "close() beside init() leaves nothing bound.",
        "D1, D27",
        after=("address_freed", "close_before_init"),
    )
    async def close_beside_init(self) -> None:
        for after in range(3):
            site = await self._bound()
            addr = site.addr()
            await given(site.listener.close(), "close()")
            await self._leave(site)
            listener = self._build_at(str(addr), site).listener
            initializing = start(listener.init(MemoryMetadata()))
            await turns(after)
            await within(listener.close(), "close() beside init()")
            await ended(initializing)
            await self._expect_freed(site, addr, "after a close() beside init()")

    @clause(
        "The listener and what it accepted outlive the tasks of init() and accept().",
        "D4",
        after=("accepts",),
    )
    async def outlives_its_caller(self) -> None:
        site = self._build()
        initializing = by_task_that_ends(site.listener.init(MemoryMetadata()), "init()")
        await given(initializing, "init()")
        await settle()
        conn, client = await self._expect_outlived(site)
        await settle()
        await carry(conn, client, b"pong")

    @clause("addr() is there, on a network in lower case, and stays the same after close().", "D2")
    async def address(self) -> None:
        site = await self._ready()
        await site.let_bind()
        network, _ = await self._expect_same_addr(site.listener)
        expect(network == network.lower(), f"addr().network() is {network!r}; write it lower case")

    # ---- Accepting

    @clause(
        "A client that connects and says nothing does not keep the next one waiting.",
        "D26",
        after=("accepts",),
    )
    async def silent_client(self) -> None:
        site = await self._ready()
        await site.let_bind()
        owned(await self._silent_client(site))
        await settle()
        connecting = start(site.connect(b"good"))
        await site.find(b"good", "one that says nothing")
        await connecting

    @clause(
        "One client's trouble stays with it: accept() raises nothing, and the next client comes.",
        "D26",
        after=("accepts",),
    )
    async def bad_client(self) -> None:
        site = await self._ready()
        await site.let_bind()
        for number, (name, bad_client) in enumerate(self._bad_clients(site).items()):
            hello = b"good%d" % number
            finding = start(site.find(hello, name))
            owned(await given(bad_client(site.listener.addr()), name))
            await settle()
            connecting = start(site.connect(hello))
            await finding
            await connecting

    @clause(
        "When its client breaks off, read() raises ConnectionResetError, each time: it is no end.",
        "D8, D14",
        after=("accepts",),
    )
    async def break_shown(self) -> None:
        conn, client = await self._stream()
        await _break_off(client)
        reading = start(conn.read(ALL))
        await ended(reading)
        applies(reading.done(), "a protocol need not have a reset")
        await raises(reading, "read() of what broke off", ConnectionResetError)
        await raises(conn.read(ALL), "read() after a break", ConnectionResetError)

    @clause("A wrapper passes AcceptError and BindError on unchanged.", "D26")
    async def wrapper_passes_errors(self) -> None:
        wrap = need(self.wrap, "wrap")
        for error in (AcceptError(OSError("below")), BindError(OSError("below"))):
            inner = FakeListener()
            wrapper = owned(wrap(inner))
            await given(wrapper.init(None), "init() of the wrapper")
            accepting = await begin(wrapper.accept())
            inner.push(error)
            await ended(accepting)
            expect(
                accepting.done() and failure_of(accepting) is error,
                f"the inner accept() raised {describe(error)}, the wrapper's "
                f"{outcome_of(accepting)}",
            )

    # ---- Closing

    @clause("After close(), no task of the listener is left.", "D20")
    async def no_task_left(self) -> None:
        before = asyncio.all_tasks()
        listener = self._build().listener
        await given(listener.init(MemoryMetadata()), "init()")
        accepting = await begin(listener.accept())
        accepting.cancel()
        await ended(accepting)
        await within(listener.close(), "close()")
        await expect_no_task_after_close(before)


async def _break_off(client: Conn) -> None:
    """Break a connection off at the client's end, as a client does that crashes."""
    if isinstance(client, MemoryConn):
        client.break_off()
    elif isinstance(client, Aborter):
        client.abort()
    else:
        raise Exempt("a client that is no Aborter cannot break off")
    await given(client.close(), "close() of a client that breaks off")
