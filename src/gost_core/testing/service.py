"""The contract of services."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gost_core.common.net import Conn, DeniedError, UnsupportedError
from gost_core.connector import BindUnsupportedError
from gost_core.context import Context, Key
from gost_core.handler import Handler
from gost_core.keys import DESTINATION_ADDRESS, HASH_SOURCE, SESSION_ID, SOURCE_ADDRESS
from gost_core.listener import AcceptError, BindError, ClosedError, Listener
from gost_core.observer.stats import Kind, Stats
from gost_core.service import Service
from gost_core.testing._families.closers import Closers, closes_cut_short
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    ended,
    expect,
    expect_cancelled,
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
from gost_core.testing._stage.fakes.connections import CarryingConn, Scene, Wrapper
from gost_core.testing._stage.fakes.recorded import Recorded
from gost_core.testing._stage.fakes.service import (
    ClosableHandler,
    FakeHandler,
    FakeListener,
    FakeStats,
)
from gost_core.testing._stage.memory import Address, MemoryConn, connected_pair
from gost_core.testing._stage.streams import carry

__all__ = ("ServiceContract",)

_Sleep: TypeAlias = Callable[[float], Awaitable[None]]
_Serve: TypeAlias = Callable[[Context, Conn], Awaitable[None]]

_MARK: Final[Key[str]] = Key("a value of the contract")
# How many steps of the event loop a connection is given before its service is cancelled.
_STEPS: Final[int] = 10
# How many come at once, so that some lie where others have lain.
_TOGETHER: Final[int] = 20
# More than any pool of handlers should hold, and seconds that none of them is given up after.
_MANY: Final[int] = 100
_PATIENCE: Final[float] = 1.5


@dataclass(frozen=True, eq=False)
class _Served:
    """A service at work, and what it works with."""

    service: Service
    listener: FakeListener
    handler: FakeHandler
    serving: "asyncio.Future[None]"

    async def handles(self, *conns: Conn) -> None:
        """Have connections come, and break the clause unless each is handled."""
        expected = len(self.handler.conns) + len(conns)
        self.listener.push(*conns)
        await until(
            lambda: len(self.handler.conns) == expected,
            f"{expected} connections came, and {len(self.handler.conns)} were handled",
        )
        for conn in conns:
            mine = any(one is conn for one in self.handler.conns)
            expect(mine, "one connection was handled twice, in place of another")

    async def handled(self) -> None:
        """Wait until a connection has been handled."""
        handler = self.handler
        await until(
            lambda: handler.came.is_set() and not handler.running, "a handler came to no end"
        )

    async def close(self, what: str = "close()") -> None:
        await within(self.service.close(), what)


class ServiceContract(Closers, interface=Service):
    """What a service promises, over listeners and handlers of the kit."""

    make: Callable[[Listener, Handler], Service] = field(kw_only=False)
    """Makes a service over a listener and a handler that are ready for use."""
    with_sleep: Callable[[Listener, Handler, _Sleep], Service] | None = None
    """Makes one that waits by calling and awaiting the function that it is given, with the seconds
    to wait, in place of ``asyncio.sleep``; without it nothing is known of what follows an
    AcceptError or a BindError."""
    with_stats: Callable[[Listener, Handler, Stats], Service] | None = None
    """Makes one that counts its errors."""

    async def _specimen(self) -> Service:
        return self._service(FakeListener(), FakeHandler())

    async def _to_close(self) -> Service:
        service = self._begin(ClosableHandler([])).service
        await settle()
        return service

    def _service(self, listener: Listener, handler: Handler) -> Service:
        return owned(self.make(listener, handler))

    def _begin(
        self,
        handler: FakeHandler,
        *,
        listener: FakeListener | None = None,
        make: Callable[[Listener, Handler], Service] | None = None,
    ) -> _Served:
        """Make a service, and begin to serve."""
        listener = listener or FakeListener()
        service = owned((make or self.make)(listener, handler))
        return _Served(service, listener, handler, start(service.serve()))

    def _serve(self, serve: _Serve | None = None) -> _Served:
        """Begin to serve by a handler that does something."""
        return self._begin(FakeHandler(serve))

    async def _busy(self, serve: _Serve) -> _Served:
        """Begin to serve, and let a connection come."""
        served = self._serve(serve)
        served.listener.push(_conn())
        await given(served.handler.came.wait(), "the handling of a connection")
        return served

    async def _context_of(self, conn: Conn) -> Context:
        """Return the context with which a connection is handled."""
        served = self._serve()
        served.handler.closes_connections = False
        await served.handles(conn)
        return served.handler.contexts[0]

    @clause("Before, during and after serving addr() is the listener's address.", "D2")
    async def addr(self) -> None:
        listener = FakeListener()
        service = self._service(listener, FakeHandler())
        expected = str(listener.addr())

        def expect_addr(when: str) -> None:
            addr = str(service.addr())
            expect(addr == expected, f"the listener is at {expected}, and {when} addr() is {addr}")

        expect_addr("before serving")
        start(service.serve())
        await settle()
        expect_addr("while serving")
        await within(service.close(), "close()")
        expect_addr("after close()")

    # ---- Handling

    @clause("Each connection that is accepted is handled, whatever its addresses are.", "D2, D28")
    async def handled(self) -> None:
        await self._serve().handles(_conn(), _conn(), _conn("@"), _conn(""))

    @clause("A handler at work does not hold up the next connection.", "D28", after=("handled",))
    async def handlers_concurrent(self) -> None:
        await self._serve(_wait_for_ever).handles(*(_conn() for _ in range(_MANY)))

    @clause("accept() has one caller at a time.", "D26", after=("handled",))
    async def accept_alone(self) -> None:
        served = self._serve()
        await served.handles(_conn(), _conn(), _conn())
        most = served.listener.most_at_once
        expect(most == 1, f"accept() was called by {most} at once")

    @clause("The context has a session id, another for each connection.", "D28", after=("handled",))
    async def session_id(self) -> None:
        await _expect_ids(self._serve())

    @clause(
        "The context's source address is the client's, its destination address where it "
        "connected to.",
        "D28",
        after=("handled",),
    )
    async def addresses(self) -> None:
        _expect_addresses(await self._context_of(_conn()), "192.0.2.1:1024", "192.0.2.2:80")

    @clause("The context's hash source is the client's host.", "D12, D28", after=("handled",))
    async def hash_source(self) -> None:
        for client, host in (
            ("192.0.2.1:1024", "192.0.2.1"),
            ("[2001:db8::1]:1024", "2001:db8::1"),
            ("a client", "a client"),
        ):
            found = (await self._context_of(_conn(client))).value(HASH_SOURCE)
            expect(found == host, f"for a client at {client}, HASH_SOURCE is {found!r}")

    @clause(
        "The outermost context that a connection carries is the handler's, also beneath wrappers.",
        "D10, D28",
        after=("handled",),
    )
    async def carried_context(self) -> None:
        scene = Scene()
        beneath = CarryingConn(scene, _conn(), Context().with_value(_MARK, "beneath"))
        carrier = CarryingConn(scene, beneath, Context().with_value(_MARK, "here"))
        for conn in (carrier, Wrapper(scene, "a wrapper", carrier)):
            ctx = await self._context_of(conn)
            where = "carried" if conn is carrier else "carried beneath a wrapper"
            expect(ctx.value(_MARK) == "here", f"the handler has no value that was {where}")
            expect(_is_in_session(ctx), f"with a context {where} there is no session id")

    @clause(
        "What the carried context says of source and destination stays, and the hash source is "
        "that source's host.",
        "D28",
        after=("carried_context", "hash_source"),
    )
    async def carried_addresses(self) -> None:
        source, destination = "203.0.113.7:5000", "203.0.113.8:443"
        carried = Context().with_value(SOURCE_ADDRESS, Address("tcp", source))
        carried = carried.with_value(DESTINATION_ADDRESS, Address("tcp", destination))
        ctx = await self._context_of(CarryingConn(Scene(), _conn(), carried))
        _expect_addresses(ctx, source, destination)
        found = ctx.value(HASH_SOURCE)
        expect(found == "203.0.113.7", f"for a client said to be at {source}, it is {found!r}")

    @clause("A connection that carries None is handled as any other.", "D28", after=("handled",))
    async def carried_none(self) -> None:
        served, scene = self._serve(), Scene()
        marked = Context().with_value(_MARK, "here")
        await served.handles(*(CarryingConn(scene, _conn(), ctx) for ctx in (marked, None)))
        ctx = served.handler.contexts[1]
        expect(_is_in_session(ctx), "there is no session id")
        expect(ctx.value(_MARK) is None, "there is a value of another connection's context")

    @clause(
        "The connection is the handler's: the service leaves it open, whatever handle() does.",
        "D28",
        after=("handled",),
    )
    async def conn_left(self) -> None:
        for serve, what in ((None, "returned"), (_fail, "failed")):
            served = self._serve(serve)
            served.handler.closes_connections = False
            conn = owned(_conn())
            served.listener.push(conn)
            await served.handled()
            await settle()
            expect(not conn.closed, f"handle() {what}, and the service closed the connection")

    @clause(
        "A handler that fails ends nothing but its own connection.",
        "D15, D28",
        after=("handlers_concurrent",),
    )
    async def failure_contained(self) -> None:
        for failing in (_fail, _raising(asyncio.CancelledError())):
            served = await self._busy(_wait_for_ever)
            served.handler.serve = failing
            await served.handles(_conn())
            await settle()
            expect(not served.serving.done(), "a handler failed, and serve() ended")
            await served.handles(_conn(), _conn())

    # ---- Closing

    @clause("After close() serve() returns.", "D29")
    async def close_ends_serve(self) -> None:
        served = self._serve()
        await settle()
        await served.close()
        await within(served.serving, "serve() after close()")

    @clause("close() closes the listener, then the handler if it is a Closer.", "D19, D29")
    async def close_order(self) -> None:
        events: list[str] = []
        served = self._begin(ClosableHandler(events), listener=FakeListener(events))
        await settle()
        await served.close()
        order = list(dict.fromkeys(events))
        expect(order == ["listener.close", "handler.close"], f"what was closed: {order}")

    @clause("A cancelled close() closes both too.", "D1, D29", after=("close_twice", "close_order"))
    async def close_cancelled(self) -> None:
        await _cancel_close(self._begin)

    @clause("close() waits for no handler, and handlers that run go on.", "D29", after=("handled",))
    async def close_leaves_handlers(self) -> None:
        served = self._serve(_echo)
        client, conn = connected_pair()
        owned(client)
        served.listener.push(conn)
        await given(served.handler.came.wait(), "the handling of a connection")
        await served.close("close() beside a handler")
        await settle()
        expect(served.handler.cancelled == 0, "close() cancelled a handler")
        expect(not conn.closed, "close() closed a connection that is being handled")
        await carry(client, client, b"ping")

    @clause(
        "serve() returns only after the handlers that run.",
        "D29",
        after=("handled", "close_ends_serve"),
    )
    async def serve_waits(self) -> None:
        release = asyncio.Event()
        served = await self._busy(_until_set(release))
        await served.close()
        await _expect_handled_on(served)
        release.set()
        await within(served.serving, "serve() after the last handler")

    @clause(
        "close() is legal before serving; serve() then returns.",
        "D1, D29",
        after=("close_ends_serve",),
    )
    async def close_before_serve(self) -> None:
        listener = FakeListener()
        service = self._service(listener, FakeHandler())
        await within(service.close(), "close() before serve()")
        expect(listener.closed, "close() before serve() left the listener open")
        await within(service.serve(), "serve() after close()")

    @clause("close() is legal from inside a handler.", "D22", after=("handled", "close_ends_serve"))
    async def close_inside_handler(self) -> None:
        served = self._serve()

        async def close(ctx: Context, conn: Conn) -> None:
            await served.service.close()

        served.handler.serve = close
        served.listener.push(_conn())
        await within(served.serving, "serve() of a service that a handler closes")

    @clause("A second serve() raises RuntimeError.", "D29", after=("close_ends_serve",))
    async def serve_once(self) -> None:
        served = self._serve()
        await settle()
        await raises(served.service.serve(), "a second serve()", RuntimeError)
        await given(served.close(), "close()")
        await given(served.serving, "serve()")
        what = "serve() after the first has ended"
        await raises(served.service.serve(), what, RuntimeError)

    # ---- Final errors

    @clause("serve() raises the listener's final error.", "D29")
    async def final_error(self) -> None:
        error = ConnectionAbortedError("the listener is broken")
        served = self._serve()
        served.listener.push(error)
        await raises(served.serving, "serve() over a listener that fails", ConnectionAbortedError)
        same = str(served.serving.exception()) == str(error)
        expect(same, f"serve() {outcome_of(served.serving)}, which is not the listener's error")

    @clause(
        "UnsupportedError, DeniedError and ValueError of the listener are final: it does not wait.",
        "D15, D16",
        after=("final_error",),
    )
    async def permanent(self) -> None:
        for error in (
            UnsupportedError("no such network here"),
            BindUnsupportedError("this node cannot bind"),
            DeniedError("refused by rule"),
            ValueError("malformed"),
        ):
            served = self._serve()
            served.listener.push(error)
            what = f"serve() over a listener that raises {type(error).__name__}"
            await raises(served.serving, what, type(error))

    @clause(
        "A ClosedError of the listener, which nobody here has closed, is a final error.",
        "D29",
        after=("final_error",),
    )
    async def closed_error(self) -> None:
        served = self._serve()
        served.listener.push(ClosedError("the tunnel was closed"))
        await raises(served.serving, "serve() over a listener that was closed", ClosedError)

    @clause(
        "close() closes the handler also once serve() has ended.", "D29", after=("close_order",)
    )
    async def close_after_end(self) -> None:
        for cancelled in (False, True):
            handler = ClosableHandler(events := list[str]())
            await _expect_closed_after(self._begin(handler), events, cancelled)

    @clause("A final error has the listener closed.", "D29", after=("final_error",))
    async def final_error_closes(self) -> None:
        for error in (OSError("the listener is broken"), ClosedError("it was"), ValueError("no")):
            served = self._serve()
            served.listener.push(error)
            await ended(served.serving)
            expect(served.listener.closed, f"serve() raised {error!r} of the listener, still open")

    @clause(
        "A final error is raised after the handlers that run.", "D29", after=("final_error_closes",)
    )
    async def final_error_waits(self) -> None:
        release = asyncio.Event()
        served = await self._busy(_until_set(release))
        served.listener.push(OSError("the listener is broken"))
        await _expect_handled_on(served)
        expect(served.listener.closed, "the listener failed, and was open while a handler ran")
        release.set()
        await raises(served.serving, "serve() after the last handler", OSError)

    # ---- Cancelling

    @clause(
        "Cancelling serve() cancels the handlers, and ends after them, also once it only waits.",
        "D29",
        after=("final_error_waits", "serve_waits"),
    )
    async def cancel_handlers(self) -> None:
        beside = await self._busy(_wait_for_ever)
        for before in ("", "after close()", "after the listener's error"):
            await _expect_cancels(await self._busy(_wait_for_ever), before)
        expect(not beside.handler.cancelled, "a handler of another service was cancelled too")

    @clause(
        "Cancelling serve() closes every connection that was accepted, also one that comes at "
        "that moment.",
        "D4, D29",
        after=("failure_contained",),
    )
    async def cancel_closes(self) -> None:
        for steps in range(_STEPS):
            await _expect_closed_by_cancelling(self._serve(_wait_for_ever), steps)

    @clause("Cancelling serve() closes the listener, also while it waits.", "D29")
    async def cancel_closes_listener(self) -> None:
        served = self._serve()
        await settle()
        await expect_cancelled(served.serving, "serve()")
        expect(served.listener.closed, "serve() was cancelled, and the listener stays open")
        if self.with_sleep is not None:
            served = await self._pausing()
            await expect_cancelled(served.serving, "serve(), while it waits after a BindError,")
            expect(
                served.listener.closed, "serve() was cancelled as it waited: the listener is open"
            )

    # ---- Waiting before it accepts again

    def _serve_with(self, sleep: _Sleep) -> _Served:
        with_sleep = need(self.with_sleep, "with_sleep")
        return self._begin(
            FakeHandler(), make=lambda listener, handler: with_sleep(listener, handler, sleep)
        )

    @clause(
        "After BindErrors the service waits 1 s, doubling to 5 s, and accepts again.",
        "D26, D29",
        after=("handled",),
    )
    async def backoff(self) -> None:
        failures = [BindError(OSError("no tunnel")) for _ in range(8)]
        await self._expect_waits([1, 2, 4, 5, 5, 5, 5, 5], *failures)

    @clause("After an AcceptError the wait is 1 s again.", "D26, D29", after=("backoff",))
    async def backoff_accept_error(self) -> None:
        bind, accept = BindError(OSError("no tunnel")), AcceptError(OSError("the tunnel broke"))
        await self._expect_waits([1, 2, 1, 1, 1, 2], bind, bind, accept, accept, bind, bind)

    @clause("After a connection the wait is 1 s again.", "D29", after=("backoff",))
    async def backoff_connection(self) -> None:
        bind = BindError(OSError("no tunnel"))
        await self._expect_waits([1, 2, 1], bind, bind, _conn(), bind)

    async def _expect_waits(self, expected: list[float], *items: Conn | Exception) -> None:
        waits = Recorded[float]()
        await _expect_waits(self._serve_with(waits.record), waits, expected, items)

    @clause("close() ends the wait too.", "D1, D29", after=("backoff", "close_ends_serve"))
    async def backoff_closed(self) -> None:
        served = await self._pausing()
        await served.close()
        await within(served.serving, "serve() after close()")

    async def _pausing(self) -> _Served:
        """Return a service that waits before it accepts again."""
        sleep = Recorded[float]()
        sleep.hang()
        served = self._serve_with(sleep.record)
        served.listener.push(BindError(OSError("no tunnel")))
        await sleep.reached("the wait")
        return served

    # ---- Counting

    @clause("A handler that fails is counted, also after close().", "D15", after=("serve_waits",))
    async def failure_counted(self) -> None:
        groups = [ExceptionGroup("two", [one(), DeniedError()]) for one in (OSError, DeniedError)]
        of_streams = ConnectionResetError("broken"), BrokenPipeError("gone"), TimeoutError("late")
        of_rules = OSError("it failed"), PermissionError("wrong password"), KeyError("x")
        for error in (*of_streams, *of_rules, *groups):
            for steps in (0, _STEPS):
                errors = await self._errors_of(_raising(error, steps))
                expect(errors == 1, f"one handler raised {error!r}, and TOTAL_ERRS is {errors}")

    @clause(
        "A handler that raises DeniedError, or is cancelled, is not counted as an error.",
        "D15",
        after=("failure_contained", "success_not_counted"),
    )
    async def denied_not_counted(self) -> None:
        errors = await self._errors_of(_raising(DeniedError("refused by rule")))
        expect(errors == 0, f"a handler refused its client by rule, and TOTAL_ERRS is {errors}")
        errors = await self._errors_of(_wait_for_ever, cancels=True)
        expect(errors == 0, f"serve() was cancelled, and TOTAL_ERRS is {errors}")

    @clause(
        "A handler that returns, as it does when its client goes away, is not counted as an error.",
        "D28",
        after=("failure_counted",),
    )
    async def success_not_counted(self) -> None:
        errors = await self._errors_of(None)
        expect(errors == 0, f"the handler returned, and TOTAL_ERRS is {errors}")

    async def _errors_of(self, serve: _Serve | None, *, cancels: bool = False) -> int:
        with_stats, stats = need(self.with_stats, "with_stats"), FakeStats()
        served = self._begin(
            FakeHandler(serve), make=lambda listener, handler: with_stats(listener, handler, stats)
        )
        await _expect_one_handled(served, cancels)
        return stats.get(Kind.TOTAL_ERRS)


def _conn(client: str = "192.0.2.1:1024") -> MemoryConn:
    return connected_pair(client=client)[1]


def _is_in_session(ctx: Context) -> bool:
    return ctx.value(SESSION_ID) not in (None, "")


async def _expect_ids(served: _Served) -> None:
    """Break the clause unless connections have ids of their own, also after others have gone."""
    for _ in range(_STEPS):
        await served.handles(*(_conn() for _ in range(_TOGETHER)))
        await served.handled()
        # What is free now may lie again where these lay.
        served.handler.conns.clear()
        served.listener.taken.clear()
    ids = [ctx.value(SESSION_ID) for ctx in served.handler.contexts]
    expect(all(ids), f"the session ids are {ids}")
    expect(len(set(ids)) == len(ids), f"of {len(ids)} connections, two have one session id")


def _expect_addresses(ctx: Context, source: str, destination: str) -> None:
    found = str(ctx.value(SOURCE_ADDRESS)), str(ctx.value(DESTINATION_ADDRESS))
    expect(found == (source, destination), f"source and destination are {found} in the context")


async def _expect_cancels(served: _Served, before: str) -> None:
    """Break the clause unless serve(), if it is cancelled, cancels its one handler."""
    if before == "after close()":
        await served.close()
    served.listener.push(*[OSError("the listener is broken")] * bool(before))
    await settle()
    await expect_cancelled(served.serving, f"serve() {before}")
    cancelled, running = served.handler.cancelled, served.handler.running
    expect(cancelled == 1, f"serve() was cancelled {before}, and the handler was not")
    expect(running == 0, "serve() ended before the handler that it cancelled")


async def _expect_closed_by_cancelling(served: _Served, steps: int) -> None:
    """Break the clause unless a serve() that is cancelled closes what came so long before."""
    # It is not left to the handlers.
    served.handler.closes_connections = False
    conn = _conn()
    served.listener.push(conn)
    await turns(steps)
    served.serving.cancel()
    await ended(served.serving)
    left_open = conn in served.listener.taken and not conn.closed
    expect(not left_open, "a connection was accepted, and serve() cancelled: it stays open")


async def _cancel_close(begin: Callable[..., _Served], /) -> None:
    """Break the clause unless a cancelled close() closes the listener and the handler."""

    async def begun() -> tuple[Service, Callable[[], Awaitable[None]]]:
        events = list[str]()
        served = begin(ClosableHandler(events), listener=FakeListener(events))
        await settle()

        async def expect_closed() -> None:
            await until(lambda: len(set(events)) == 2, f"a cancelled close() closed only {events}")
            await ended(served.serving)
            expect(served.serving.done(), "a cancelled close() did not end serve()")

        return served.service, expect_closed

    await closes_cut_short(begun)


async def _expect_closed_after(served: _Served, events: list[str], cancelled: bool) -> None:
    """Break the clause unless close() closes the handler of a service that serves no more."""
    await settle()
    if cancelled:
        served.serving.cancel()
    else:
        served.listener.push(OSError("the listener is broken"))
    await ended(served.serving)
    await served.close()
    how = "was cancelled" if cancelled else "had raised the listener's error"
    expect("handler.close" in events, f"serve() {how}, and close() closed no handler")


async def _expect_handled_on(served: _Served) -> None:
    """Break the clause unless a service that accepts no more lets its handlers work on."""
    await asyncio.wait({served.serving}, timeout=_PATIENCE)
    expect(not served.serving.done(), "serve() ended before a handler had")
    expect(
        served.handler.cancelled == 0, "a handler was cancelled, though nobody cancelled serve()"
    )


def _raising(error: BaseException, steps: int = 0) -> _Serve:
    async def fail(ctx: Context, conn: Conn) -> None:
        await turns(steps)
        raise error.with_traceback(None)

    return fail


_fail: Final = _raising(OSError("the handler failed"))


async def _wait_for_ever(ctx: Context, conn: Conn) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        # To end takes its time.
        await turns(_STEPS)


async def _echo(ctx: Context, conn: Conn) -> None:
    while data := await conn.read(65536):
        await conn.write(data)


def _until_set(event: asyncio.Event) -> _Serve:
    async def wait(ctx: Context, conn: Conn) -> None:
        await event.wait()

    return wait


async def _expect_waits(
    served: _Served, waits: list[float], expected: list[float], items: Sequence[Conn | Exception], /
) -> None:
    """Break the clause unless a service waits as expected while these things come."""
    last = _conn()
    served.listener.push(*items, last)
    await until(
        lambda: last in served.listener.taken or served.serving.done(),
        "the connection after the failures was not accepted",
    )
    close = len(waits) == len(expected) and all(
        abs(wait - right) < 0.01 for wait, right in zip(waits, expected, strict=True)
    )
    expect(close, f"the waits were {waits} instead of {expected}")


async def _expect_one_handled(served: _Served, cancels: bool, /) -> None:
    """Have a service handle one connection, or be cancelled while it does."""
    served.listener.push(_conn())
    await given(served.handler.came.wait(), "the handling of a connection")
    if cancels:
        await expect_cancelled(served.serving, "serve()")
    else:
        await given(served.close(), "close()")
        await given(served.serving, "serve()")
