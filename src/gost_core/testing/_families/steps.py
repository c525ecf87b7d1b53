"""Clauses of a step on the way to a target in which a node takes part.

A dial, either handshake, a connect, a bind: each is asked of a component, waits for a node that may
refuse, talk nonsense, die or say nothing, and gives something that is used and closed.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import field
from itertools import count
from typing import Any, ClassVar, Final, Generic

from typing_extensions import Protocol, TypeVar

from gost_core.common.net import (
    ClosedError,
    Conn,
    DeniedError,
    PacketConn,
    ProtocolError,
    UnsupportedError,
)
from gost_core.context import Context
from gost_core.keys import TIME_LIMIT
from gost_core.metadata import Metadata
from gost_core.testing._families.lent import expect_dropped, lending
from gost_core.testing._families.whole import PIECES, WORDS, expect_echoed, read_whole, write_last
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.secrets import expect_untold, overheard
from gost_core.testing._run.waiting import (
    applies,
    ended,
    expect,
    expect_cancelled,
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
    until,
    within,
)
from gost_core.testing._stage.network import (
    GREETING,
    BareConn,
    Network,
    Peer,
    Ping,
    babbling,
    echo,
    ending,
    resetting,
    silent,
    ssl_errors,
)
from gost_core.testing._stage.streams import (
    CHUNK,
    FLOOD,
    begin,
    end_of,
    expect_written_right,
    read_exactly,
)

__all__ = (
    "UNOFFERED",
    "Addressed",
    "Answered",
    "BENEATH",
    "MANY",
    "Component",
    "ComponentT",
    "Made",
    "NODE",
    "OverConn",
    "Pinged",
    "Secretive",
    "Step",
    "Streamed",
    "bare",
    "cut_anywhere",
    "expect_no_task_left",
    "greeted",
    "outlived",
    "succeeds",
)

R = TypeVar("R")

BENEATH: Final[str] = "Closing the result closes the connection beneath."
UNOFFERED: Final[str] = (
    "A network that is not offered raises UnsupportedError, before anything is sent."
)
# Where a connection to a node leads that no dialer of the object made.
NODE: Final[str] = "192.0.2.10:1080"
MANY: Final[int] = 100
"""How many calls wait at once, as D22 says; a lock with several places has fewer."""

# More bytes than a protocol holds that nobody reads.
_MUCH: Final[int] = 8 * CHUNK
# Up to how many turns of the event loop a call gets before it is cancelled.
_TURNS: Final[int] = 50
_numbers: Final = count(1)


class Component(Protocol):
    """A dialer or a connector, as far as its life goes."""

    async def init(self, metadata: Metadata | None, /) -> None:
        """Read the settings."""
        ...


class Closable(Protocol):
    """Whatever can be closed."""

    async def close(self) -> None:
        """Close it."""
        ...


ComponentT = TypeVar("ComponentT", bound=Component)
NodeT = TypeVar("NodeT")
ClosableT = TypeVar("ClosableT", bound=Closable, default=Closable)


class Made(Contract, Generic[ComponentT]):
    """What is made by a factory and initialised with settings."""

    make: Callable[[], ComponentT] = field(kw_only=False)
    """Makes one with no more options than it needs, not yet initialised."""
    metadata: Metadata | None = None
    """The settings that it needs; None = none."""

    async def _specimen(self) -> ComponentT:
        return self._made()

    def _made(self) -> ComponentT:
        return owned(self.make())

    async def _ready(self) -> ComponentT:
        """Make one, and initialise it."""
        component = self._made()
        await given(component.init(self.metadata), "init()")
        return component


class Step(Made[ComponentT], Generic[ComponentT, NodeT, ClosableT]):
    """The clauses of any step."""

    refusing: NodeT | None = None
    """Plays a node that refuses: the credentials, or by a rule of its own."""
    garbling: NodeT | None = None
    """Plays a node that sends what the protocol does not allow, then waits for the end."""

    pass_limit: Callable[[], Awaitable[object]] | None = None
    """Lets the time pass that the call limits itself to."""

    _called: ClassVar[str]
    """What reports call the step: "connect()"."""

    @abstractmethod
    def _right(self) -> Peer:
        """Return who plays a node that does all that it should."""

    @abstractmethod
    def _played(self, node: NodeT, /) -> Peer:
        """Return who plays a node as one of the fields says."""

    @abstractmethod
    async def _step(self, component: ComponentT, network: Network, /) -> ClosableT:
        """Take the step, with the node at the far end of a network; keep what it gives."""

    @abstractmethod
    async def _use(
        self, component: ComponentT, result: ClosableT, peer: Peer, what: str, /
    ) -> None:
        """Break the clause unless a result, to which ``peer`` helped, is good for what comes."""

    async def _use_at_once(self, result: ClosableT, /) -> None:
        """Do with a result what shows a failure that the step may leave for later."""

    def _read(self, _: ClosableT, /) -> Awaitable[bytes] | None:
        """Return a read() of a result, which waits for the peer to speak, if it has one."""
        return None

    def _reads(self, *results: ClosableT) -> "list[asyncio.Future[bytes]]":
        """Begin reads of results: a limit of each read shows on one that waits."""
        return [start(one) for one in map(self._read, results) if one is not None]

    async def _network(self, peer: Peer, /) -> Network:
        """Return a network with that peer at its far end."""
        return Network(peer)

    async def _deaths(self) -> tuple[Peer, ...]:
        """Return who plays the nodes that go away, if that can be noticed."""
        return ending, resetting

    async def _failing(self) -> list[Peer]:
        """Return who plays the nodes that fail."""
        nodes = (self.refusing, self.garbling)
        played = (self._played(node) for node in nodes if node is not None)
        failing = [*await self._deaths(), *played]
        return need(failing or None, "refusing` or `garbling")

    async def _taken(self) -> tuple[ComponentT, ClosableT]:
        """Take the step by a right node; return the component and the result."""
        component, network = await self._ready(), await self._network(self._right())
        return component, await succeeds(self._step(component, network), self._called)

    async def _fails(self, node: NodeT | None, hook: str, *errors: type[Exception]) -> None:
        """Break the clause unless the step, or the first use of what it gives, raises."""
        played = self._played(need(node, hook))
        component = await self._known()

        async def fail() -> None:
            network = await self._network(played)
            try:
                await self._use_at_once(await self._step(component, network))
            except DeniedError as error:
                raise Broken(f"{describe(error)} is for the rules of this side") from error

        for when in ("", ", the second time"):
            await raises(fail(), f"{self._called}, with a {hook} node{when},", *errors)

    async def _known(self) -> ComponentT:
        """Return a component, which may have met a right node before."""
        return await self._ready()

    @clause("The result outlives the time limit and the task of the call.", "D4", after=(FIRST,))
    async def outlives_call(self) -> None:
        component, peer = await self._ready(), self._right()
        network = await self._network(peer)
        result = await outlived(self._step(component, network), self._called)
        await self._use(component, result, peer, f"the result, after the task of {self._called},")

    @clause("The result outlives the TIME_LIMIT of the call.", "D4", after=("outlives_call",))
    async def outlives_limit(self) -> None:
        loop, made = asyncio.get_running_loop(), current()
        for seconds in (0.1, 1.0, made.time_limit):
            component, peer = await self._ready(), self._right()
            network, limit = await self._network(peer), loop.time() + seconds
            made.ctx = Context().with_value(TIME_LIMIT, limit)
            # A busy machine needs longer.
            with suppress(TimeoutError):
                result = await within(self._step(component, network), self._called)
                break
        else:
            raise Broken(f"{self._called} raised TimeoutError long before its TIME_LIMIT")
        made.ctx = Context()
        reads = self._reads(result)
        await asyncio.sleep(limit + 0.01 - loop.time())
        await settle()
        await _expect_waiting(reads)
        await self._use(component, result, peer, "the result, after the TIME_LIMIT of its call,")

    @clause(
        "If the node ends, breaks off or babbles before, that is an OSError.", "D14", after=(FIRST,)
    )
    async def node_dies(self) -> None:
        deaths = await self._deaths()
        applies(bool(deaths), "datagrams do not tell that a node is gone")
        for peer in deaths:
            component, network = await self._ready(), await self._network(peer)
            await self._expect_death_shown(self._step(component, network))
        component, network = await self._ready(), await self._network(babbling)
        with suppress(OSError):
            await within(self._step(component, network), f"{self._called} with a babbling node")

    async def _expect_death_shown(self, call: Awaitable[ClosableT], /) -> None:
        """Break the clause if the step raises anything but OSError; it may leave that to a use."""
        with suppress(OSError):
            await within(call, f"{self._called} with a node that goes away")

    @clause(
        "Limits set for the call are cleared: afterwards they may pass.",
        "D4, D31",
        after=("outlives_call",),
    )
    async def limits_cleared(self) -> None:
        pass_limit = need(self.pass_limit, "pass_limit")
        component, peers = await self._ready(), [self._right() for _ in range(2)]
        networks = [await self._network(peer) for peer in peers]
        results = [await succeeds(self._step(component, one), self._called) for one in networks]
        reads = self._reads(*results)
        await given(pass_limit(), "pass_limit()")
        await settle()
        await _expect_waiting(reads)
        what = f"a result, after the limit of {self._called} itself,"
        for result, peer in zip(results, peers, strict=True):
            await self._use(component, result, peer, what)

    @clause(
        "Nothing that was given for a call is kept once its result is closed, though others go on.",
        "D23",
        after=("outlives_call", "concurrent"),
    )
    async def nothing_kept(self) -> None:
        component, network = await self._ready(), await self._network(self._right())
        with lending() as of_first:  # which may open what the others share
            first = await succeeds(self._step(component, network), self._called)
        await succeeds(self._step(component, network), self._called)
        with lending() as of_last:
            last = await succeeds(self._step(component, network), self._called)
        await given(first.close(), "close()")
        await given(last.close(), "close()")
        del first, last
        await expect_dropped(of_first + of_last, f"the results of {self._called} were closed")

    @clause("A refusal raises PermissionError, or ssl.SSLError from TLS.", "D15", after=(FIRST,))
    async def refused(self) -> None:
        await self._fails(self.refusing, "refusing", PermissionError, *ssl_errors())

    @clause(
        "A malformed answer raises ProtocolError, or ssl.SSLError from TLS.", "D15", after=(FIRST,)
    )
    async def malformed(self) -> None:
        await self._fails(self.garbling, "garbling", ProtocolError, *ssl_errors())


class OverConn(Step[ComponentT, NodeT, ClosableT]):
    """The clauses of a step over a connection that the caller brings, and closes if it fails."""

    @abstractmethod
    async def _begin(
        self, component: ComponentT, conn: BareConn, aside: Network | None = None, /
    ) -> ClosableT:
        """Take the step over the top of this; what it opens besides, it opens by ``aside``."""

    async def _over(self, network: Network, /, *, late: bool = False) -> BareConn:
        """Return a connection by a network, of which the component gets the ``top``."""
        return bare(network, late=late)

    async def _step(self, component: ComponentT, network: Network, /) -> ClosableT:
        # Nobody goes another way, past a node that fails.
        return await self._begin(component, await self._over(network), Network(echo))

    async def _known(self) -> ComponentT:
        return (await self._taken())[0]

    @clause(
        "When it raises, and the caller has closed the connection, nothing goes on and nothing "
        "is left open.",
        "D3, D20",
        after=(FIRST,),
    )
    async def failure_frees(self) -> None:
        for peer in await self._failing():
            conn = await self._over(await self._network(peer))
            before = asyncio.all_tasks()
            component, aside = await self._ready(), Network(echo)
            call = start(self._begin(component, conn, aside))
            await within(asyncio.wait({call}), self._called)
            if call.exception() is None:
                await given(call.result().close(), "close()")
            elif conn.top is conn:
                busy = f"{self._called} had failed, and still reads or writes"
                await until(lambda: not conn.pending, busy)  # noqa: B023
            await within(conn.top.close(), "close() of the connection to the node")
            await until(lambda: conn.closed, "the connection beneath stayed open")  # noqa: B023
            await aside.expect_unused(f"{self._called} had failed")
            await expect_no_task_left(before, f"{self._called} had failed")

    @clause(
        "Cancelled while the node is silent, it ends promptly, as cancelled.",
        "D7, D14",
        after=(FIRST,),
    )
    async def cancellable(self) -> None:
        call, conn = await self._waiting(await self._ready())
        await expect_cancelled(call, f"{self._called}, waiting for a silent node,")
        # The dialer's own session may read for ever.
        idle = not conn.pending or conn.top is not conn
        expect(idle, f"{self._called} has ended, and still reads or writes")

    async def _waiting(self, component: ComponentT) -> "tuple[asyncio.Future[ClosableT], BareConn]":
        """Have a call wait for a silent node; return it, and the connection."""
        conn = await self._over(await self._network(silent))
        call = start(self._begin(component, conn))
        await until(lambda: call.done() or bool(conn.calls), f"{self._called} did not begin")
        await settle()
        if call.done():
            await given(call, self._called)
        applies(not call.done(), f"{self._called} waits for nothing that the peer says")
        return call, conn

    @clause(
        "A call that waits for a silent node, or was cancelled while it did, holds up no other.",
        "D20, D22",
        after=("cancellable", "outlives_call"),
    )
    async def silent_alone(self) -> None:
        component = await self._ready()
        for when in ("beside one that waits for a silent node", "after that was cancelled"):
            call, _ = await self._waiting(component)
            if when.startswith("after"):
                await expect_cancelled(call, self._called)
            other = self._step(component, await self._network(self._right()))
            await succeeds(other, f"{self._called} {when}")

    @clause(
        "However many calls wait for silent nodes, others go on.", "D22", after=("silent_alone",)
    )
    async def many_waiting(self) -> None:
        component = await self._ready()
        for number in range(MANY):
            conn = await self._over(await self._network(silent))
            call = start(self._begin(component, conn))
            begun = f"beside {number} that wait for silent nodes, {self._called} did not begin"
            await until(lambda: call.done() or bool(conn.calls), begun)  # noqa: B023

    @clause(
        "After a node that failed, the next connection works, also beside one that waits for a "
        "silent node.",
        "D20, D22",
        after=("node_dies", "silent_alone"),
    )
    async def failure_over(self) -> None:
        component = await self._ready()
        for peer in await self._failing():
            with suppress(Exception):
                await within(self._step(component, await self._network(peer)), self._called)
            start(self._begin(component, await self._over(await self._network(silent))))
            await settle()
            other = self._step(component, await self._network(self._right()))
            await succeeds(other, f"{self._called}, after one at a node that failed,")

    @clause(
        "Cancelled anywhere, and the connection closed by the caller, nothing goes on, and the "
        "next call works.",
        "D4, D14, D20",
        after=("silent_alone",),
    )
    async def cancel_frees(self) -> None:
        conns = [await self._over(await self._network(silent)) for _ in range(_TURNS)]
        before, unused = asyncio.all_tasks(), iter(conns)
        component, aside = await self._ready(), Network(echo)
        await cut_anywhere(lambda: self._begin(component, next(unused), aside))
        for conn in conns:
            await within(conn.top.close(), "close() of the connection to the node")
        await aside.expect_unused(f"{self._called} was cancelled")
        await expect_no_task_left(before, f"{self._called} was cancelled")
        other = self._step(component, await self._network(self._right()))
        await succeeds(other, f"{self._called}, after {_TURNS} that were cancelled,")


class Addressed(Step[ComponentT, NodeT, Conn]):
    """The clause of a step that gives a connection."""

    def _read(self, result: Conn, /) -> Awaitable[bytes]:
        return result.read(1)

    async def _addressed(self) -> Conn:
        """Return a result of the step."""
        _, result = await self._taken()
        return result

    @clause("The result has both addresses.", "D2, D5", after=("outlives_call",))
    async def addresses(self) -> None:
        expect_written_right(await self._addressed())


class Answered(Addressed[ComponentT, NodeT]):
    """The clause of a step that may wait for an answer of the node."""

    @clause(
        "If it waits for an answer of the node, an end in place of one is an OSError, and silence "
        "is none.",
        "D14",
        after=("outlives_call", "node_dies"),
    )
    async def end_is_no_answer(self) -> None:
        deaths = {ending, resetting}.intersection(await self._deaths())
        applies(bool(deaths), "datagrams tell of no end")
        component, network = await self._ready(), await self._network(silent)
        waiting = start(self._step(component, network))
        # As long as a right node takes.
        await self._taken()
        applies(not waiting.done(), "it waits for no answer")
        if self.pass_limit is not None:
            await given(self.pass_limit(), "pass_limit()")
            await settle()
            answered = waiting.done() and failure_of(waiting) is None
            expect(not answered, f"{self._called} took a node's silence for an answer")
        for peer in deaths:
            component, network = await self._ready(), await self._network(peer)
            what = f"{self._called} with a node that goes away before it answers"
            await raises(self._step(component, network), what, OSError)


class Pinged(Contract):
    """What gives connections that can be tried."""

    ping: Ping | None = None
    """Uses a connection, and raises unless it works; None = what is written comes back."""

    async def _works(self, conn: Conn, what: str, /) -> None:
        """Break the clause unless a connection carries data."""
        try:
            await within((self.ping or _ping)(conn), "sending there and back")
        except Exception as error:
            reason = str(error) if isinstance(error, Broken) else describe(error)
            raise Broken(f"{what} did not work: {reason}") from error


async def _ping(conn: Conn) -> None:
    """Raise unless the other end sends back what it gets."""
    # Each time another word, so that connections which mix are noticed.
    word = b"ping %d" % next(_numbers)
    lent = bytearray(word)
    await conn.write(lent)
    # Whoever lent a buffer uses it again.
    lent[:] = bytes(len(lent))
    received = await read_exactly(conn, len(word))
    expect(received == word, f"{word!r} was sent, and {received!r} came back")


class Streamed(Addressed[ComponentT, NodeT], Pinged):
    """The clauses of a step that gives a stream."""

    async def _carrying(self, component: ComponentT, result: Conn, /) -> Conn:
        """Return what carries data once the step has given that result."""
        return result

    async def _stream(self) -> tuple[Conn, Network]:
        """Return a stream on which what is written comes back, and where it leads."""
        applies(self.ping is None, "what is given as `ping` alone knows what comes")
        component, network = await self._ready(), await self._network(self._right())
        result = await succeeds(self._step(component, network), self._called)
        conn = await self._carrying(component, result)
        applies(not isinstance(conn, PacketConn), "what is too long of a datagram is cut")
        return conn, network

    @clause(PIECES, "D7, D8", after=("outlives_call",))
    async def reads_whole(self) -> None:
        conn, network = await self._stream()
        await read_whole(conn, conn.write, network.close)
        if not network.carries_datagrams():
            await within(end_of(conn), "what comes from a node that has gone away")

    @clause(
        "When the node breaks off, read() raises ConnectionResetError: it is no end.",
        "D8, D14",
        after=("outlives_call",),
    )
    async def break_shown(self) -> None:
        conn, network = await self._stream()
        in_memory = network.listener is None and not network.carries_datagrams()
        applies(in_memory, "only what goes through memory is broken off")
        await self._works(conn, "the connection")
        await network.break_off()
        await raises(conn.read(1), "read() of what broke off", ConnectionResetError)

    @clause(WORDS, "D8", after=("outlives_call",))
    async def writes_whole(self) -> None:
        conn, network = await self._stream()
        await expect_echoed(conn)
        before = network.written()
        last = await within(write_last(conn), "write() and close()")
        if network.listener is None and not network.carries_datagrams():
            went = network.written() - before
            expect(went >= last, f"of {last} bytes before close(), {went} went out")

    @clause(
        "close() ends a read() and a write() that wait, which raise ClosedError.",
        "D1, D14",
        after=("outlives_call",),
    )
    async def close_wakes(self) -> None:
        for what in ("read()", "write()"):
            conn, network = await self._stream()
            if what == "write()" and network.carries_datagrams():
                # Too many of them are lost, and make nobody wait.
                continue
            # What is written comes back, and nobody reads it; in memory there is little room.
            much = FLOOD if network.listener else _MUCH
            call = conn.read(1) if what == "read()" else conn.write(bytes(much))
            waiting = await begin(call)
            await within(conn.close(), f"close() beside a {what} that waits")
            await ended(waiting)
            # Whether what is beneath is closed too is the question of another clause.
            woken = waiting.done() and failure_of(waiting) is not None
            applies(woken or not network.is_used(), "what is beneath stays open")
            await raises(waiting, f"the {what} that waited", ClosedError)


class Secretive(Step[ComponentT, NodeT, ClosableT]):
    """The clause of a step that may bring credentials."""

    secret: str | None = field(default=None, repr=False)
    """The password that ``make`` gives, or whatever else is never to be told; one that stands for
    nothing else. Of fewer than 8 characters it is found only where it is a word of its own, and
    not in base64."""

    @clause("No repr, error or log tells a credential, not even in base64.", "D17", after=(FIRST,))
    async def secret_hidden(self) -> None:
        secret = need(self.secret, "secret")
        with overheard(secret):
            component, result = await self._taken()
            expect_untold(secret, repr(component), "the repr")
            expect_untold(secret, repr(result), "the repr of the result")
            networks = [await self._network(peer) for peer in await self._failing()]
            networks.append(await self._network(self._right()))
            networks[-1].error = ConnectionRefusedError("nobody listens there")
            for network in networks:
                component = await self._ready()
                try:
                    await within(self._step(component, network), self._called)
                except Exception as error:
                    expect_untold(secret, error, f"the error of {self._called}")
                expect_untold(secret, repr(component), "the repr")


# ---- Verbs


def bare(network: Network, /, *, late: bool = False) -> BareConn:
    """Return a connection that no dialer of the object made."""
    return owned(BareConn(network.connect("tcp", NODE), late=late))


async def succeeds(awaitable: Awaitable[R], what: str, /) -> R:
    """Await what has to succeed, and to return something."""
    return returned(await given(awaitable, what), what)


async def outlived(call: Awaitable[R], what: str, /) -> R:
    """Make a call in a task of its own, whose time limit runs out once it has returned."""
    results: list[R] = []

    async def make() -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                results.append(await call)
                limit.reschedule(asyncio.get_running_loop().time())
                await asyncio.Event().wait()
        return True

    await succeeds(make(), what)
    expect(bool(results), f"{what} raised TimeoutError, without a limit")
    await settle()
    return results[0]


async def cut_anywhere(begin: Callable[[], Awaitable[Closable]], /, *, every: int = 1) -> None:
    """Cancel a call again and again, each time later; what it returned is closed."""
    for number in range(0, _TURNS, every):
        task = start(begin())
        await turns(number)
        cut = task.cancel()
        await ended(task)
        failure = failure_of(task) if task.done() else None
        wrong = cut and isinstance(failure, Exception)
        expect(not wrong, f"a call that was cancelled {outcome_of(task)}")
        if task.done() and failure is None:
            await given(task.result().close(), "close()")


async def expect_no_task_left(before: set[asyncio.Task[Any]], when: str, /) -> None:
    """Break the clause if more tasks run on than before, but for those of the peers."""
    mine = asyncio.current_task()

    def left() -> set[asyncio.Task[Any]]:
        return {
            task for task in asyncio.all_tasks() - before - current().others if task is not mine
        }

    def names() -> str:
        return ", ".join(getattr(one.get_coro(), "__qualname__", one.get_name()) for one in left())

    with suppress(Broken):
        await until(lambda: not left(), "")
    expect(not left(), f"{when}, and still running is {names()}")


async def _expect_waiting(reads: "list[asyncio.Future[bytes]]") -> None:
    """Break the clause if the limit of a call has ended a read() that waited; then end each."""
    for one in reads:
        failure = failure_of(one) if one.done() else None
        # What is only for a connector need not be read.
        ended_by_it = failure is not None and not isinstance(failure, UnsupportedError)
        expect(not ended_by_it, f"a read() that waited until the limit {outcome_of(one)}")
        one.cancel()
        await ended(one)


async def greeted(conn: Conn, /) -> None:
    """Break the clause unless the greeting of who speaks first can be read."""
    # In pieces, so that what was read ahead shows if the first read() drops the rest of it.
    received = await read_exactly(conn, len(GREETING), 2)
    expect(received == GREETING, f"{GREETING!r} was sent, and {received!r} was read")
