"""Clauses of listeners, and what a scenario does with one."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Generic, TypeVar

from gost_core.common.net import Addr, ClosedError, Closer, Conn, Listener, PacketConn
from gost_core.listener import BindError
from gost_core.testing._families.closers import Closers, closes_cut_short
from gost_core.testing._families.whole import PIECES, WORDS, read_whole, write_whole
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import FIRST, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    applies,
    ended,
    expect,
    expect_cancelled,
    given,
    need,
    outcome_of,
    owned,
    raises,
    returned,
    settle,
    start,
    within,
)
from gost_core.testing._stage.memory import words
from gost_core.testing._stage.streams import (
    ALL,
    CHUNK,
    TURNS,
    begin,
    carry,
    end_of,
    expect_written_right,
    race_with_cancels,
    read_exactly,
    write,
)

__all__ = ("HELLO", "Acceptors", "Site")

HELLO: Final[bytes] = b"hello"
"""What a client says first. Datagrams make a connection only once there is one."""

# More than is taken for a client that reads nothing.
_MUCH: Final[int] = 8 * CHUNK

_CLIENTS: Final[int] = 3

# Of five seconds each.
_STEPS: Final[int] = 15

ListenerT_co = TypeVar("ListenerT_co", bound=Listener, covariant=True)
SiteT = TypeVar("SiteT", bound="Site[Listener]")


@dataclass(frozen=True, eq=False)
class Site(Generic[ListenerT_co]):
    """A listener, and the way by which clients come to it."""

    listener: ListenerT_co
    reach: Callable[[Addr], Awaitable[Conn]]
    """Connects a client to an address."""
    accepted: list[Conn] = field(default_factory=list[Conn], kw_only=True)

    def addr(self) -> Addr:
        """Return where the listener is bound."""
        return self.listener.addr()

    async def connect(self, hello: bytes = HELLO) -> Conn:
        """Connect a client, and have it say something."""
        return await given(self._connect(hello), "connecting a client")

    async def connect_refused(self, hello: bytes = HELLO) -> Conn | None:
        """Connect a client that may be closed on the way; then return None."""
        try:
            return await within(self._connect(hello), "connecting a client")
        except OSError:
            return None

    async def _connect(self, hello: bytes) -> Conn:
        client = owned(await self.reach(self.listener.addr()))
        await client.write(hello)
        return client

    async def accept(self) -> Conn:
        """Accept a client."""
        conn = returned(await within(self.listener.accept(), "accept()"), "accept()")
        self.accepted.append(conn)
        return owned(conn)

    async def meet(self) -> tuple[Conn, Conn]:
        """Connect a client and accept it; return the accepted connection and the client."""
        conn, client = await self._join()
        received = await read_exactly(conn, len(HELLO))
        expect(received == HELLO, f"a client wrote {HELLO!r}, {received!r} was read")
        return conn, client

    async def _join(self) -> tuple[Conn, Conn]:
        client = await self.connect()
        return await self.accept(), client


class Acceptors(Closers, Generic[SiteT]):
    """The clauses of what accepts connections, at an address."""

    shares_socket: bool = False
    """Whether all that is accepted lives on the listener's own socket, as with UDP and QUIC: then
    the last accepted connection frees the address, and not ``close()``."""
    speaks_first: bool = False
    """Whether a connection is accepted only once its client has written, as on GOST's QUIC."""
    elapse: Callable[[float], Awaitable[object]] | None = None
    """Lets so many seconds pass by the clock by which the listener ends what takes too long."""

    _closed_error: ClassVar[type[ClosedError]] = ClosedError

    @abstractmethod
    async def _ready(self) -> SiteT:
        """Return a listener that is ready to accept."""

    @abstractmethod
    def _binder(self, site: SiteT) -> Callable[[Addr], Awaitable[SiteT]]:
        """Return what binds another listener where ``site`` was."""

    async def _bound(self) -> SiteT:
        """Return a listener that is bound, even if it binds in accept()."""
        return await self._ready()

    async def _use(self, site: SiteT) -> None:
        """Have a listener accept, before the question is whether it can be bound again."""
        await site.meet()

    async def _leave(self, site: SiteT) -> None:
        for conn in site.accepted if self.shares_socket else ():
            await within(conn.close(), "close() of an accepted connection")

    async def _come_halfway(self, site: SiteT) -> None:
        """Have a client come that does not do all that it has to before it is accepted."""

    async def _to_close(self) -> Listener:
        return (await self._ready()).listener

    async def _expect_same_addr(self, listener: Listener) -> tuple[str, str]:
        """Break the clause unless addr() is the same after close(); return its words."""
        before = words(returned(listener.addr(), "addr()"))
        await given(listener.close(), "close()")
        after = words(returned(listener.addr(), "addr() after close()"))
        expect(before == after, f"by close(), addr() changed from {before} to {after}")
        return before

    async def _expect_outlived(self, site: SiteT) -> tuple[Conn, Conn]:
        """Break the clause unless a listener accepts, whose task has ended."""
        accepting = await begin(site.listener.accept())
        after = "after the task had ended that made it ready"
        expect(not accepting.done(), f"{after}, accept() {outcome_of(accepting)}")
        client = await site.connect()
        return owned(await within(accepting, f"accept() {after}")), client

    async def _let_pass(self) -> None:
        """Let 5 s pass, and what is due then happen."""
        await need(self.elapse, "elapse")(5.0)
        await settle()

    async def _expect_freed(self, site: SiteT, addr: Addr, when: str) -> None:
        """Break the clause unless a listener can be bound there, sooner or later."""
        await self._leave(site)
        loop, bind_at = asyncio.get_running_loop(), self._binder(site)
        limit = loop.time() + current().time_limit
        while True:
            other: SiteT | None = None
            try:
                other = await bind_at(addr)
                await other.meet()
            except (OSError, BindError) as error:
                if loop.time() >= limit:
                    text = f"{when}, {addr} could not be bound: {describe(error)}"
                    raise Broken(text) from error
                if other is not None:
                    await given(other.listener.close(), "close()")
                await settle()
            else:
                return

    @clause(
        "A client's connection comes out of accept() of the listener at its address, with both "
        "addresses, and carries bytes both ways.",
        "D2, D5, D26",
        after=(FIRST,),
    )
    async def accepts(self) -> None:
        sites, hellos = (await self._bound(), await self._bound()), (b"hello, 0", b"hello, 1")
        clients = [await site.connect(hello) for site, hello in zip(sites, hellos, strict=True)]
        # The first client came to the one that accepts last.
        for site, client, hello in reversed([*zip(sites, clients, hellos, strict=True)]):
            conn = await site.accept()
            received = await read_exactly(conn, len(hello))
            expect(
                received == hello, f"accept() gave who said {received!r}, where {hello!r} was said"
            )
            expect_written_right(conn)
            await carry(conn, client, b"pong")
            await carry(client, conn, b"ping")
            await write(conn, b"last words")
            await within(conn.close(), "close() of an accepted connection")
            received = await read_exactly(client, len(b"last words"))
            expect(received == b"last words", f"of its b'last words', {received!r} arrived")

    @clause("A client that says nothing comes out of accept() too.", "D31", after=("accepts",))
    async def silent_accepted(self) -> None:
        applies(not self.speaks_first, "the dialing side must speak first")
        site = await self._bound()
        client = owned(await given(site.reach(site.addr()), "connecting a client"))
        applies(not isinstance(client, PacketConn), "datagrams make a connection by the first one")
        await site.accept()

    @clause(
        "A cancelled accept() ends as cancelled; however many were, the next one works.",
        "D14, D20",
        after=("accepts",),
    )
    async def accept_cancellable(self) -> None:
        site = await self._ready()
        for _ in range(TURNS):
            await expect_cancelled(await begin(site.listener.accept()), "accept()")
        await site.meet()

    @clause(
        "Limits set for a client until it is accepted are cleared: afterwards they may pass.",
        "D4, D26",
        after=("accepts",),
    )
    async def limits_cleared(self) -> None:
        conn, client = await (await self._ready()).meet()
        applies(not isinstance(conn, PacketConn), "of datagrams, who is silent for 5 s is gone")
        for _ in range(_STEPS):
            await self._let_pass()
            # What is idle may be ended, as a session is.
            await carry(client, conn, b"ping")
            await carry(conn, client, b"pong")

    @clause("accept() waits for as long as nobody comes.", "D26", after=("accepts",))
    async def accept_waits(self) -> None:
        site = await self._ready()
        accepting = await begin(site.listener.accept())
        for _ in range(_STEPS):
            await self._let_pass()
            expect(not accepting.done(), f"accept(), to which nobody came, {outcome_of(accepting)}")
        await site.connect()
        owned(await within(accepting, "accept() after minutes"))

    @clause(
        "A connection that comes beside a cancelled accept(), or while nobody accepts, is returned "
        "later, or closed.",
        "D26",
        after=("accepts", "accept_cancellable"),
    )
    async def cancelled_accept_loses_nothing(self) -> None:
        site = await self._bound()
        await race_with_cancels(site.listener.accept, lambda: site.connect_refused(b"x"))

    async def _stream(self) -> tuple[Conn, Conn]:
        conn, client = await (await self._ready()).meet()
        applies(not isinstance(conn, PacketConn), "what is too long of a datagram is cut")
        return conn, client

    @clause(PIECES, "D7, D8", after=("accepts",))
    async def reads_whole(self) -> None:
        conn, client = await self._stream()
        await read_whole(conn, client.write, client.close)
        await within(end_of(conn), "a connection whose client has closed")

    @clause(WORDS, "D8", after=("accepts",))
    async def writes_whole(self) -> None:
        await write_whole(*await self._stream())

    @clause(
        "A client that writes nothing and reads nothing holds up no other.",
        "D22, D26",
        after=("accepts",),
    )
    async def stuck_client(self) -> None:
        site = await self._ready()
        stuck, _ = await site.meet()
        start(stuck.read(ALL))
        if not isinstance(stuck, PacketConn):
            start(stuck.write(bytes(_MUCH)))
        await settle()
        conn, client = await site.meet()
        await carry(conn, client, b"pong")
        await carry(client, conn, b"ping")

    @clause(
        "What goes over several accepted connections at once does not mix.",
        "D22, D26",
        after=("accepts",),
    )
    async def accepted_apart(self) -> None:
        site = await self._ready()
        met = [await site.meet() for _ in range(_CLIENTS)]
        ways = [way for conn, client in met for way in ((conn, client), (client, conn))]
        texts = (b"this goes way %d" % number for number in range(len(ways)))
        await asyncio.gather(*(carry(*way, text) for way, text in zip(ways, texts, strict=True)))

    @clause(
        "close() wakes a waiting accept(), which raises ClosedError, also while something that was "
        "accepted is still open.",
        "D1, D26",
        after=("accepts",),
    )
    async def close_wakes_accept(self) -> None:
        for accepted in (0, 1):
            site = await self._ready()
            for _ in range(accepted):
                await site.meet()
            accepting = await begin(site.listener.accept())
            await within(site.listener.close(), "close() beside a waiting accept()")
            await raises(accepting, "the waiting accept()", self._closed_error)

    @clause(
        "accept() after close() raises ClosedError, each time, even if a client had come.",
        "D1, D26",
        after=("unaccepted_closed",),
    )
    async def accept_after_close(self) -> None:
        site = await self._bound()
        await site.connect_refused()
        await settle()
        await within(site.listener.close(), "close()")
        for _ in range(2):
            await raises(site.listener.accept(), "accept() after close()", self._closed_error)

    @clause(
        "close() frees the address before it returns: it can be bound again at once.",
        "D27",
        after=("accepts",),
    )
    async def address_freed(self) -> None:
        await self._rebound()

    async def _rebound(self) -> tuple[Listener, SiteT]:
        """Have a listener be closed and its address bound again; return both."""
        site = await self._ready()
        bind_at = self._binder(site)
        await self._use(site)
        addr = site.addr()
        await within(site.listener.close(), "close()")
        await self._leave(site)
        try:
            other = await bind_at(addr)
            await other.meet()
        except (OSError, BindError) as error:
            text = f"after close(), {addr} could not be bound: {describe(error)}"
            raise Broken(text) from error
        return site.listener, other

    @clause(
        "A second close() leaves alone what has been bound at the address since.",
        "D1, D27",
        after=("address_freed", "close_twice"),
    )
    async def close_twice_frees_once(self) -> None:
        first, second = await self._rebound()
        await within(first.close(), "a second close()")
        await second.meet()

    @clause(
        "A cancelled close() ends as cancelled, frees the address all the same, and closes what "
        "nobody accepted.",
        "D1, D14, D27",
        after=("address_freed", "close_twice", "unaccepted_closed"),
    )
    async def close_cancelled(self) -> None:
        async def bound() -> tuple[Closer, Callable[[], Awaitable[None]]]:
            site = await self._bound()
            addr, client = site.addr(), await site.connect()
            await self._come_halfway(site)
            await settle()

            async def expect_freed() -> None:
                if not isinstance(client, PacketConn):
                    await within(end_of(client), "what a cancelled close() left unaccepted")
                await self._expect_freed(site, addr, "after a cancelled close()")

            return site.listener, expect_freed

        await closes_cut_short(bound)

    @clause(
        "close() closes the connections that nobody accepted.",
        "D27",
        after=("accepts", "accept_cancellable"),
    )
    async def unaccepted_closed(self) -> None:
        site = await self._bound()
        # What is open goes on, and changes nothing for the others.
        await site.meet()
        # What one may have taken that nobody waits for any more is not accepted either.
        await expect_cancelled(await begin(site.listener.accept()), "accept()")
        client, other = await site.connect(), await site.connect_refused()
        await settle()
        await within(site.listener.close(), "close()")
        endings = [start(end_of(one)) for one in (client, other) if one is not None]
        await ended(*endings)
        shown = all(one.done() for one in endings) or not isinstance(client, PacketConn)
        applies(shown, "a client need not see the end of datagrams")
        await within(asyncio.wait(endings), "a connection that close() left unaccepted")

    @clause(
        "close() leaves accepted connections alone, and what has come on them.",
        "D27",
        after=("accepts",),
    )
    async def accepted_survive(self) -> None:
        site = await self._ready()
        conn, client = await site.meet()
        await write(client, b"early")
        await settle()
        await within(site.listener.close(), "close()")
        await settle()
        early = await read_exactly(conn, len(b"early"))
        expect(early == b"early", f"b'early' came before close(), {early!r} was read after it")
        await carry(conn, client, b"pong")
        await carry(client, conn, b"ping")
