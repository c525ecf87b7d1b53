"""The contract of services."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gost_core.common.net import Conn, UnsupportedError
from gost_core.connector import BindUnsupportedError
from gost_core.context import Context, Key
from gost_core.handler import Handler
from gost_core.keys import DESTINATION_ADDRESS, HASH_SOURCE, SESSION_ID, SOURCE_ADDRESS
from gost_core.listener import AcceptError, BindError, Listener
from gost_core.observer.stats import Kind, Stats
from gost_core.service import Service
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
from gost_core.testing._doubles import Address, MemoryConn, connected_pair
from gost_core.testing._fakes import (
    CarryingConn,
    ClosableHandler,
    FakeHandler,
    FakeListener,
    FakeStats,
    World,
    Wrapper,
    cancel,
    happens,
)
from gost_core.testing._report import Report

__all__ = ("check_service_service",)

Sleep = Callable[[float], Awaitable[None]]

_MARK: Final[Key[str]] = Key("a value of the check")
# How many steps of the event loop a connection is given before its service is cancelled.
_STEPS: Final[int] = 10


class ServiceContract(Contract, interface=Service):
    """Check a service, over listeners and handlers of the kit."""

    make: Callable[[Listener, Handler], Service] = field(kw_only=False)
    """Makes a service over a listener and a handler that are ready for use."""
    with_sleep: Callable[[Listener, Handler, Sleep], Service] | None = None
    """Makes one that waits by calling and awaiting the function that it is given, with the seconds
    to wait, in place of ``asyncio.sleep``; without it nothing is known of what follows an
    AcceptError or a BindError."""
    with_stats: Callable[[Listener, Handler, Stats], Service] | None = None
    """Makes one that counts its errors."""

    async def _specimen(self) -> Service:
        return self._service(FakeListener(), FakeHandler())

    @clause("Before, during and after serving addr() is the listener's address.", "D2")
    async def addr(self) -> None:
        listener = FakeListener()
        service = self._service(listener, FakeHandler())
        expected = str(listener.addr())
        self._expect_addr(service, expected, "before serving")
        start(service.serve())
        await settle()
        self._expect_addr(service, expected, "while serving")
        await within(service.close(), "close()")
        self._expect_addr(service, expected, "after close()")

    def _expect_addr(self, service: Service, expected: str, when: str) -> None:
        addr = str(service.addr())
        expect(addr == expected, f"the listener is at {expected}, and {when} addr() is {addr}")

    @clause("Each connection that is accepted is handled.", "D28")
    async def handled(self) -> None:
        listener, handler = FakeListener(), FakeHandler()
        self._serve(listener, handler)
        listener.push(_conn(), _conn())
        await self._until(lambda: len(handler.conns) == 2, "the handling of two connections")

    @clause("A handler at work does not hold up the next connection.", "D28", after=("handled",))
    async def handlers_concurrent(self) -> None:
        listener, handler = FakeListener(), FakeHandler(_wait_for_ever)
        self._serve(listener, handler)
        listener.push(_conn(), _conn())
        await self._until(lambda: len(handler.conns) == 2, "the handling of a second connection")

    @clause("accept() has one caller at a time.", "D26", after=("handled",))
    async def accept_alone(self) -> None:
        listener, handler = FakeListener(), FakeHandler()
        self._serve(listener, handler)
        listener.push(_conn(), _conn(), _conn())
        await self._until(lambda: len(handler.conns) == 3, "the handling of three connections")
        most = listener.most_at_once
        expect(most == 1, f"accept() was called by {most} at once")

    @clause("The context has a session id, another for each connection.", "D28", after=("handled",))
    async def session_id(self) -> None:
        listener, handler = FakeListener(), FakeHandler()
        self._serve(listener, handler)
        listener.push(_conn(), _conn())
        await self._until(lambda: len(handler.conns) == 2, "the handling of two connections")
        first, second = (ctx.value(SESSION_ID) for ctx in handler.contexts)
        expect(bool(first) and bool(second), f"the session ids are {first!r} and {second!r}")
        expect(first != second, f"two connections have the session id {first!r}")

    @clause(
        "The context's source address is the client's, its destination address where it "
        "connected to.",
        "D28",
        after=("handled",),
    )
    async def addresses(self) -> None:
        ctx = await self._context_of(_conn())
        source, destination = ctx.value(SOURCE_ADDRESS), ctx.value(DESTINATION_ADDRESS)
        expect(str(source) == "192.0.2.1:1024", f"SOURCE_ADDRESS is {source}")
        expect(str(destination) == "192.0.2.2:80", f"DESTINATION_ADDRESS is {destination}")

    @clause("The context's hash source is the client's host.", "D12, D28", after=("handled",))
    async def hash_source(self) -> None:
        for client, host in (
            ("192.0.2.1:1024", "192.0.2.1"),
            ("[2001:db8::1]:1024", "2001:db8::1"),
        ):
            found = (await self._context_of(_conn(client))).value(HASH_SOURCE)
            expect(found == host, f"for a client at {client}, HASH_SOURCE is {found!r}")

    @clause(
        "A context that the connection carries is the handler's, also beneath wrappers.",
        "D10, D28",
        after=("handled",),
    )
    async def carried_context(self) -> None:
        world = self._world()
        carried = Context().with_value(_MARK, "here")
        carrier = CarryingConn(world, _conn(), carried)
        for conn in (carrier, Wrapper(world, "a wrapper", carrier)):
            ctx = await self._context_of(conn)
            where = "carried" if conn is carrier else "carried beneath a wrapper"
            expect(ctx.value(_MARK) == "here", f"the handler has no value that was {where}")
            session = ctx.value(SESSION_ID)
            expect(bool(session), f"with a context {where} there is no session id")

    @clause(
        "What the carried context says of source and destination stays.",
        "D28",
        after=("carried_context",),
    )
    async def carried_addresses(self) -> None:
        carried = Context().with_value(SOURCE_ADDRESS, Address("tcp", "203.0.113.7:5000"))
        carried = carried.with_value(DESTINATION_ADDRESS, Address("tcp", "203.0.113.8:443"))
        ctx = await self._context_of(CarryingConn(self._world(), _conn(), carried))
        source, destination = ctx.value(SOURCE_ADDRESS), ctx.value(DESTINATION_ADDRESS)
        expect(str(source) == "203.0.113.7:5000", f"SOURCE_ADDRESS became {source}")
        expect(str(destination) == "203.0.113.8:443", f"DESTINATION_ADDRESS became {destination}")

    @clause("A connection that carries None is handled as any other.", "D28", after=("handled",))
    async def carried_none(self) -> None:
        ctx = await self._context_of(CarryingConn(self._world(), _conn(), None))
        session = ctx.value(SESSION_ID)
        expect(bool(session), "there is no session id")

    @clause(
        "The connection is the handler's: the service leaves it open, whatever handle() does.",
        "D28",
        after=("handled",),
    )
    async def conn_left(self) -> None:
        for fails in (False, True):
            listener, handler = FakeListener(), FakeHandler(_fail if fails else None)
            handler.closes_connections = False
            self._serve(listener, handler)
            conn = _conn()
            keep(conn.close)
            listener.push(conn)
            await self._handling_over(handler)
            await settle()
            what = "failed" if fails else "returned"
            expect(not conn.closed, f"handle() {what}, and the service closed the connection")

    @clause("A handler that fails ends nothing but its own connection.", "D28", after=("handled",))
    async def failure_contained(self) -> None:
        listener, handler = FakeListener(), FakeHandler(_fail)
        serving = self._serve(listener, handler)
        listener.push(_conn())
        await self._handling_over(handler)
        await settle()
        expect(not serving.done(), "a handler failed, and serve() ended")
        listener.push(_conn())
        await self._until(lambda: len(handler.conns) == 2, "the handling of the next connection")

    @clause("After close() serve() returns.", "D29")
    async def close_ends_serve(self) -> None:
        service = self._service(FakeListener(), FakeHandler())
        serving = start(service.serve())
        await settle()
        await within(service.close(), "close()")
        await within(serving, "serve() after close()")

    @clause("close() closes the listener, then the handler if it is a Closer.", "D19, D29")
    async def close_order(self) -> None:
        events: list[str] = []
        service = self._service(FakeListener(events), ClosableHandler(events))
        start(service.serve())
        await settle()
        await within(service.close(), "close()")
        order = list(dict.fromkeys(events))
        expect(order == ["listener.close", "handler.close"], f"what was closed: {order}")

    @clause(
        "close() waits for no handler, and handlers that run go on.",
        "D29",
        after=("handled",),
    )
    async def close_leaves_handlers(self) -> None:
        listener, handler = FakeListener(), FakeHandler(_echo)
        service = self._service(listener, handler)
        start(service.serve())
        client, conn = connected_pair()
        keep(client.close)
        listener.push(conn)
        await given(handler.came.wait(), "the handling of a connection")
        await within(service.close(), "close() beside a handler")
        await settle()
        expect(handler.cancelled == 0, "close() cancelled a handler")
        expect(not conn.closed, "close() closed a connection that is being handled")
        await client.write(b"ping")
        data = await within(client.read(4), "the exchange after close()")
        expect(data == b"ping", f"after close() the handler sent back {data!r} for b'ping'")

    @clause(
        "serve() returns only after the handlers that run.",
        "D29",
        after=("handled", "close_ends_serve"),
    )
    async def serve_waits(self) -> None:
        release = asyncio.Event()
        listener, handler = FakeListener(), FakeHandler(_until_set(release))
        service = self._service(listener, handler)
        serving = start(service.serve())
        listener.push(_conn())
        await given(handler.came.wait(), "the handling of a connection")
        await within(service.close(), "close()")
        await settle()
        expect(not serving.done(), "serve() ended before a handler had")
        release.set()
        await within(serving, "serve() after the last handler")

    @clause("Closing twice is legal, one call after the other and both at once.", "D1")
    async def close_twice(self) -> None:
        for at_once in (False, True):
            events: list[str] = []
            service = self._service(FakeListener(events), ClosableHandler(events))
            start(service.serve())
            await settle()
            if at_once:
                both = asyncio.gather(service.close(), service.close())
                await within(both, "two calls of close() at once")
            else:
                await within(service.close(), "close()")
                await within(service.close(), "a second close()")

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
        listener, handler = FakeListener(), FakeHandler()
        service = self._service(listener, handler)

        async def close(ctx: Context, conn: Conn) -> None:
            await service.close()

        handler.serve = close
        serving = start(service.serve())
        listener.push(_conn())
        await within(serving, "serve() of a service that a handler closes")

    @clause("A second serve() raises RuntimeError.", "D29")
    async def serve_once(self) -> None:
        service = self._service(FakeListener(), FakeHandler())
        serving = start(service.serve())
        await settle()
        await raises(service.serve(), "a second serve()", RuntimeError)
        await given(service.close(), "close()")
        await given(serving, "serve()")
        await raises(service.serve(), "serve() after the first has ended", RuntimeError)

    @clause("serve() raises the listener's final error.", "D29")
    async def final_error(self) -> None:
        listener = FakeListener()
        serving = self._serve(listener, FakeHandler())
        listener.push(ConnectionAbortedError("the listener is broken"))
        try:
            await within(serving, "serve() over a listener that fails")
        except ConnectionAbortedError as error:
            expect(str(error) == "the listener is broken", f"serve() raised {describe(error)}")
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"serve() raised {describe(error)} instead of the listener's") from error
        else:
            raise Broken("the listener failed, and serve() returned")

    @clause(
        "UnsupportedError and ValueError of the listener are final: there is no waiting.",
        "D16",
        after=("final_error",),
    )
    async def permanent(self) -> None:
        for error in (
            UnsupportedError("no such network here"),
            BindUnsupportedError("this node cannot bind"),
            ValueError("malformed"),
        ):
            listener = FakeListener()
            serving = self._serve(listener, FakeHandler())
            listener.push(error)
            what = f"serve() over a listener that raises {type(error).__name__}"
            await raises(serving, what, type(error))

    @clause("A final error has the listener closed.", "D29", after=("final_error",))
    async def final_error_closes(self) -> None:
        listener = FakeListener()
        serving = self._serve(listener, FakeHandler())
        listener.push(OSError("the listener is broken"))
        await ended(serving)
        expect(listener.closed, "serve() raised the listener's error and left it open")

    @clause("A final error is raised after the handlers that run.", "D29", after=("final_error",))
    async def final_error_waits(self) -> None:
        release = asyncio.Event()
        listener, handler = FakeListener(), FakeHandler(_until_set(release))
        serving = self._serve(listener, handler)
        listener.push(_conn())
        await given(handler.came.wait(), "the handling of a connection")
        listener.push(OSError("the listener is broken"))
        await settle()
        expect(not serving.done(), "serve() ended before a handler had")
        expect(handler.cancelled == 0, "the listener failed, and a handler was cancelled")
        release.set()
        await raises(serving, "serve() after the last handler", OSError)

    @clause("Cancelling serve() cancels the handlers, and ends after them.", "D29")
    async def cancel_handlers(self) -> None:
        listener, handler = FakeListener(), FakeHandler(_wait_for_ever)
        serving = self._serve(listener, handler)
        listener.push(_conn())
        await given(handler.came.wait(), "the handling of a connection")
        await cancel(serving, "serve()", self.time_limit)
        expect(handler.cancelled == 1, "serve() was cancelled, and the handler was not")
        expect(handler.running == 0, "serve() ended before the handler that it cancelled")

    @clause(
        "Cancelling serve() closes every connection that was accepted, also one that comes at "
        "that moment.",
        "D4, D29",
    )
    async def cancel_closes(self) -> None:
        for steps in range(_STEPS):
            listener, handler = FakeListener(), FakeHandler(_wait_for_ever)
            serving = self._serve(listener, handler)
            conn = _conn()
            listener.push(conn)
            for _ in range(steps):
                await asyncio.sleep(0)
            serving.cancel()
            await ended(serving)
            left_open = conn in listener.taken and not conn.closed
            expect(not left_open, "a connection was accepted, and serve() cancelled: it stays open")

    @clause(
        "After BindErrors the service waits 1 s, doubling to 5 s, and accepts again.",
        "D26, D29",
        after=("handled",),
    )
    async def backoff(self) -> None:
        failures = [BindError(OSError("no tunnel")) for _ in range(5)]
        await self._expect_waits([1, 2, 4, 5, 5], *failures)

    @clause("After an AcceptError the wait is 1 s again.", "D26, D29", after=("backoff",))
    async def backoff_accept_error(self) -> None:
        bind, accept = BindError(OSError("no tunnel")), AcceptError(OSError("the tunnel broke"))
        await self._expect_waits([1, 2, 1, 1], bind, bind, accept, accept)

    @clause("After a connection the wait is 1 s again.", "D29", after=("backoff",))
    async def backoff_connection(self) -> None:
        bind = BindError(OSError("no tunnel"))
        await self._expect_waits([1, 2, 1], bind, bind, _conn(), bind)

    @clause("close() ends the wait too.", "D1, D29", after=("backoff", "close_ends_serve"))
    async def backoff_closed(self) -> None:
        waiting = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        listener = FakeListener()
        service = self._sleeping(listener, FakeHandler(), sleep)
        serving = start(service.serve())
        listener.push(BindError(OSError("no tunnel")))
        await given(waiting.wait(), "the wait")
        await within(service.close(), "close()")
        await within(serving, "serve() after close()")

    @clause("A handler that fails is counted as an error.", "D28", after=("handled",))
    async def failure_counted(self) -> None:
        errors = await self._errors_of(_fail)
        expect(errors == 1, f"one handler failed, and TOTAL_ERRS is {errors}")

    @clause(
        "A handler that returns, as it does when its client goes away, is not counted as an error.",
        "D28",
        after=("failure_counted",),
    )
    async def success_not_counted(self) -> None:
        errors = await self._errors_of(None)
        expect(errors == 0, f"the handler returned, and TOTAL_ERRS is {errors}")

    async def _errors_of(self, handling: Callable[[Context, Conn], Awaitable[None]] | None) -> int:
        need(self.with_stats, 'with_stats')  # NEED
        listener, handler, stats = FakeListener(), FakeHandler(handling), FakeStats()
        service = self.with_stats(listener, handler, stats)
        keep(service.close)
        serving = start(service.serve())
        listener.push(_conn())
        await self._handling_over(handler)
        await given(service.close(), "close()")
        await given(serving, "serve()")
        return stats.get(Kind.TOTAL_ERRS)

    async def _expect_waits(self, expected: list[float], *items: Conn | Exception) -> None:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            await asyncio.sleep(0)

        listener, handler = FakeListener(), FakeHandler()
        service = self._sleeping(listener, handler, sleep)
        serving = start(service.serve())
        last = _conn()
        listener.push(*items, last)
        await self._until(
            lambda: last in listener.taken or serving.done(), "the connection after the failures"
        )
        close = len(waits) == len(expected) and all(
            abs(wait - right) < 0.01 for wait, right in zip(waits, expected, strict=True)
        )
        expect(close, f"the waits were {waits} instead of {expected}")

    def _sleeping(self, listener: Listener, handler: Handler, sleep: Sleep) -> Service:
        need(self.with_sleep, 'with_sleep')  # NEED
        service = self.with_sleep(listener, handler, sleep)
        keep(service.close)
        return service

    async def _context_of(self, conn: Conn) -> Context:
        """Return the context with which a connection is handled."""
        listener, handler = FakeListener(), FakeHandler()
        handler.closes_connections = False
        self._serve(listener, handler)
        listener.push(conn)
        await within(handler.came.wait(), "the handling of a connection")
        return handler.contexts[0]

    async def _handling_over(self, handler: FakeHandler) -> None:
        await self._until(lambda: handler.came.is_set() and not handler.running, "the handling")

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        await within(happens(condition), what)

    def _serve(self, listener: Listener, handler: Handler) -> "asyncio.Future[None]":
        return start(self._service(listener, handler).serve())

    def _service(self, listener: Listener, handler: Handler) -> Service:
        service = self.make(listener, handler)
        keep(service.close)
        return service

    def _world(self) -> World:
        world = World()
        keep(world.close)
        return world


def _conn(client: str = "192.0.2.1:1024") -> MemoryConn:
    return connected_pair(client=client)[1]


async def _fail(ctx: Context, conn: Conn) -> None:
    raise PermissionError("the handler failed")


async def _wait_for_ever(ctx: Context, conn: Conn) -> None:
    await asyncio.Event().wait()


async def _echo(ctx: Context, conn: Conn) -> None:
    while data := await conn.read(65536):
        await conn.write(data)


def _until_set(event: asyncio.Event) -> Callable[[Context, Conn], Awaitable[None]]:
    async def wait(ctx: Context, conn: Conn) -> None:
        await event.wait()

    return wait
