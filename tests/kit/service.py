"""Trials of the contract of services."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import ClassVar, Final, Protocol

from gost_core.common.net import (
    Addr,
    Closer,
    Conn,
    ConnUnwrapper,
    ContextCarrier,
    DeniedError,
    UnsupportedError,
    find_capability,
)
from gost_core.context import Context
from gost_core.handler import Handler
from gost_core.keys import DESTINATION_ADDRESS, HASH_SOURCE, SESSION_ID, SOURCE_ADDRESS
from gost_core.listener import AcceptError, BindError, ClosedError, Listener
from gost_core.observer.stats import Kind, Stats
from gost_core.service import Service
from gost_core.testing import Contract
from gost_core.testing.service import ServiceContract
from tests.kit.trial import Trial

TIME_LIMIT = 1.5

_SESSIONS: Final = count(1)


class RightService(Service):
    def __init__(
        self,
        listener: Listener,
        handler: Handler,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stats: Stats | None = None,
    ) -> None:
        self.listener = listener
        self.handler = handler
        self.sleep = sleep
        self.stats = stats
        self.served = False
        self.closing = asyncio.Event()
        self.conns: dict[asyncio.Task[None], Conn] = {}

    def addr(self) -> Addr:
        return self.listener.addr()

    async def serve(self) -> None:
        if self.served:
            raise RuntimeError("a service serves once")
        self.served = True
        try:
            await self.accept_all()
        except asyncio.CancelledError:
            await self.cancel_handlers()
            await self.close_cancelled()
            raise

    async def close_cancelled(self) -> None:
        await self.listener.close()

    async def accept_all(self) -> None:
        delay = 0.0
        while True:
            try:
                conn = await self.accept()
            except (AcceptError, BindError) as error:
                delay = self.next_delay(delay, error)
                await self.wait(delay or 1.0)
            except Exception:
                if self.closing.is_set():
                    break
                await self.give_up()
                await self.finish_handlers()
                raise
            else:
                delay = 0.0
                self.begin(conn)
        await self.finish_handlers()

    async def accept(self) -> Conn:
        return await self.listener.accept()

    async def give_up(self) -> None:
        await self.listener.close()

    def next_delay(self, delay: float, error: AcceptError | BindError) -> float:
        return 0.0 if isinstance(error, AcceptError) else min(delay * 2, 5.0) or 1.0

    async def wait(self, delay: float) -> None:
        """Wait, but not when the service is closed."""
        waits = {
            asyncio.ensure_future(self.sleep(delay)),
            asyncio.ensure_future(self.closing.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def begin(self, conn: Conn) -> None:
        task = asyncio.create_task(self.handle(conn))
        self.conns[task] = conn
        task.add_done_callback(self.ended)

    def ended(self, task: asyncio.Task[None]) -> None:
        del self.conns[task]

    async def handle(self, conn: Conn) -> None:
        try:
            await self.handler.handle(self.context(conn), conn)
        except Exception as error:
            if self.stats is not None and self.counts(error):
                self.stats.add(Kind.TOTAL_ERRS, 1)

    def counts(self, error: Exception) -> bool:
        return not isinstance(error, DeniedError)

    def context(self, conn: Conn) -> Context:
        ctx = self.carried(conn).with_value(SESSION_ID, str(next(_SESSIONS)))
        if ctx.value(SOURCE_ADDRESS) is None:
            ctx = ctx.with_value(SOURCE_ADDRESS, conn.remote_addr())
        if ctx.value(DESTINATION_ADDRESS) is None:
            ctx = ctx.with_value(DESTINATION_ADDRESS, conn.local_addr())
        if ctx.value(HASH_SOURCE) is None:
            ctx = ctx.with_value(HASH_SOURCE, self.host(str(ctx.value(SOURCE_ADDRESS))))
        return ctx

    def carried(self, conn: Conn) -> Context:
        carrier = find_capability(conn, ContextCarrier)
        return (carrier.context() if carrier is not None else None) or Context()

    def host(self, address: str) -> str:
        return address.rpartition(":")[0].strip("[]") or address

    async def finish_handlers(self) -> None:
        while self.conns:
            await asyncio.wait(self.conns)

    async def cancel_handlers(self) -> None:
        conns = list(self.conns.values())
        for task in self.conns:
            task.cancel()
        await self.finish_handlers()
        # A handler that was cancelled before it began has closed nothing.
        for conn in conns:
            await conn.close()

    async def close(self) -> None:
        self.closing.set()
        try:
            await self.listener.close()
        finally:
            if isinstance(self.handler, Closer):
                await self.handler.close()


class MakeService(Protocol):
    def __call__(
        self,
        listener: Listener,
        handler: Handler,
        sleep: Callable[[float], Awaitable[None]] = ...,
        stats: Stats | None = ...,
    ) -> Service: ...


def run(make: MakeService) -> Contract:
    return ServiceContract(
        make,
        with_sleep=lambda listener, handler, sleep: make(listener, handler, sleep=sleep),
        with_stats=lambda listener, handler, stats: make(listener, handler, stats=stats),
        time_limit=TIME_LIMIT,
    )


trial = Trial[MakeService](ServiceContract, run, RightService)


@trial.breaks("shape")
class AddrAsProperty(RightService):
    @property
    def addr(self) -> Addr:  # type: ignore  # the fault
        return self.listener.addr()


@trial.breaks("addr")
class NowhereAfterClose(RightService):
    def addr(self) -> Addr:
        if self.closing.is_set():
            raise OSError("the service is closed")
        return super().addr()


@trial.breaks("handled")
class HandlingTheFirst(RightService):
    first: Conn | None = None

    async def handle(self, conn: Conn) -> None:
        if self.first is None or conn is self.first:
            self.first = conn
            await super().handle(conn)


@trial.breaks("handled")
class HandlingTheLast(RightService):
    """Keeps on the object what belongs to a call."""

    last: Conn

    def begin(self, conn: Conn) -> None:
        self.last = conn
        super().begin(conn)

    async def handle(self, conn: Conn) -> None:
        await super().handle(self.last)


@trial.breaks("handlers-concurrent")
class SixtyFourHandlers(RightService):
    async def accept(self) -> Conn:
        while len(self.conns) >= 64:
            await asyncio.wait(self.conns, return_when=asyncio.FIRST_COMPLETED)
        return await super().accept()


@trial.breaks("carried-none")
class CarriedBefore(RightService):
    before = Context()

    def carried(self, conn: Conn) -> Context:
        carrier = find_capability(conn, ContextCarrier)
        self.before = (carrier.context() if carrier is not None else None) or self.before
        return self.before


@trial.breaks("failure-contained")
class PausingAfterFailures(RightService):
    failed = False

    async def handle(self, conn: Conn) -> None:
        try:
            await self.handler.handle(self.context(conn), conn)
        except Exception as error:
            self.failed = True
            if self.stats is not None and self.counts(error):
                self.stats.add(Kind.TOTAL_ERRS, 1)

    async def accept(self) -> Conn:
        if self.failed:
            await self.finish_handlers()
        return await super().accept()


@trial.breaks("failure-contained")
class EndedByItsHandlers(RightService):
    """Takes the cancellation of a handler for its own."""

    serving: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        self.serving = asyncio.current_task()
        await super().serve()

    def ended(self, task: asyncio.Task[None]) -> None:
        super().ended(task)
        if task.cancelled() and self.serving is not None:
            self.serving.cancel()


@trial.breaks("handlers-concurrent")
class OneAfterTheOther(RightService):
    def __init__(
        self,
        listener: Listener,
        handler: Handler,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stats: Stats | None = None,
    ) -> None:
        super().__init__(listener, handler, sleep, stats)
        self.lock = asyncio.Lock()

    async def handle(self, conn: Conn) -> None:
        async with self.lock:
            await super().handle(conn)


@trial.breaks("accept-alone")
class AcceptingTwice(RightService):
    waits = False

    async def accept(self) -> Conn:
        asyncio.get_running_loop().call_soon(self.accept_too)
        self.waits = True
        try:
            return await super().accept()
        finally:
            self.waits = False

    def accept_too(self) -> None:
        if self.waits:
            beside = asyncio.ensure_future(self.listener.accept())
            asyncio.get_running_loop().call_soon(beside.cancel)


@trial.breaks("session-id")
class OneSession(RightService):
    def context(self, conn: Conn) -> Context:
        return super().context(conn).with_value(SESSION_ID, "session")


@trial.breaks("session-id")
class NamedByTheirPlaceInMemory(RightService):
    def context(self, conn: Conn) -> Context:
        return super().context(conn).with_value(SESSION_ID, f"{id(conn):x}")


@trial.breaks("handled")
class NeedingHostAndPort(RightService):
    """Ends with a client that has no port, as one of a Unix socket has none."""

    def begin(self, conn: Conn) -> None:
        _, _, port = str(conn.remote_addr()).rpartition(":")
        if not port.isdecimal():
            raise ValueError(f"no port: {conn.remote_addr()}")
        super().begin(conn)


@trial.breaks("addresses")
class SwappedAddresses(RightService):
    def context(self, conn: Conn) -> Context:
        ctx = super().context(conn)
        if ctx.value(SOURCE_ADDRESS) is conn.remote_addr():
            ctx = ctx.with_value(SOURCE_ADDRESS, conn.local_addr())
        return ctx


@trial.breaks("addresses")
class GoingToTheListener(RightService):
    """Says of each client that it connected to the address of the listener."""

    def context(self, conn: Conn) -> Context:
        ctx = super().context(conn)
        if ctx.value(DESTINATION_ADDRESS) is conn.local_addr():
            ctx = ctx.with_value(DESTINATION_ADDRESS, self.listener.addr())
        return ctx


@trial.breaks("hash-source")
class HashingThePort(RightService):
    def host(self, address: str) -> str:
        return address


@trial.breaks("carried-context", history="bc44bab 49ceda6 c29517b a wrapper hides the context")
class LookingAtTheOutside(RightService):
    def carried(self, conn: Conn) -> Context:
        return (conn.context() if isinstance(conn, ContextCarrier) else None) or Context()


@trial.breaks("carried-context")
class LookingAtTheInside(RightService):
    def carried(self, conn: Conn) -> Context:
        found = super().carried(conn)
        while isinstance(conn, ConnUnwrapper):
            conn = conn.unwrap_conn()
            if isinstance(conn, ContextCarrier):
                found = super().carried(conn)
        return found


@trial.breaks("carried-addresses")
class OverwritingAddresses(RightService):
    def carried(self, conn: Conn) -> Context:
        ctx = super().carried(conn)
        if ctx.value(SOURCE_ADDRESS) is not None:
            ctx = ctx.with_value(SOURCE_ADDRESS, conn.remote_addr())
        return ctx


@trial.breaks("carried-addresses")
class HashingTheSocket(RightService):
    def context(self, conn: Conn) -> Context:
        host = self.host(str(conn.remote_addr()))
        return super().context(conn).with_value(HASH_SOURCE, host)


@trial.breaks("carried-none")
class NeedingAContext(RightService):
    def context(self, conn: Conn) -> Context:
        if isinstance(conn, ContextCarrier) and conn.context() is None:
            return Context()
        return super().context(conn)


@trial.breaks("conn-left")
class ClosingAfterHandling(RightService):
    async def handle(self, conn: Conn) -> None:
        try:
            await super().handle(conn)
        finally:
            await conn.close()


@trial.breaks("failure-contained")
class EndingWithAHandler(RightService):
    async def handle(self, conn: Conn) -> None:
        try:
            await self.handler.handle(self.context(conn), conn)
        except Exception:
            if self.stats is not None:
                self.stats.add(Kind.TOTAL_ERRS, 1)
            await self.close()


@trial.breaks("close-ends-serve")
class RaisingAtTheEnd(RightService):
    async def accept_all(self) -> None:
        await super().accept_all()
        raise ConnectionAbortedError("the service was closed")


@trial.breaks("close-order", history="x service: the handler is closed before the listener")
class HandlerFirst(RightService):
    async def close(self) -> None:
        if isinstance(self.handler, Closer):
            await self.handler.close()
        await super().close()


@trial.breaks("close-leaves-handlers", history="#362 489a762 what becomes of connections at close")
class ClosingConnectionsToo(RightService):
    async def close(self) -> None:
        await super().close()
        for conn in list(self.conns.values()):
            await conn.close()


@trial.breaks("serve-waits", history="489a762 serve() ends before its handlers")
class LeavingHandlersBehind(RightService):
    async def finish_handlers(self) -> None:
        if not self.closing.is_set() or self.cancelling():
            await super().finish_handlers()

    def cancelling(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0


@trial.breaks("serve-waits")
class WaitingASecond(RightService):
    async def finish_handlers(self) -> None:
        if self.closing.is_set():
            task = asyncio.current_task()
            limit = None if task is not None and task.cancelling() else 1.0
            if self.conns:
                await asyncio.wait([*self.conns], timeout=limit)
        else:
            await super().finish_handlers()


@trial.breaks("close-twice", history="#779 007ff0b a65b7a0 a second close fails")
class ClosingOnce(RightService):
    async def close(self) -> None:
        if self.closing.is_set() and self.served:
            raise RuntimeError("the service is closed")
        await super().close()


@trial.breaks("close-at-once")
class ClosedWhileItCloses(RightService):
    async def close(self) -> None:
        if not self.closing.is_set():
            await super().close()


@trial.breaks("close-before-serve")
class NotYet(RightService):
    async def close(self) -> None:
        if self.served:
            await super().close()


@trial.breaks("close-inside-handler")
class WaitingForHandlers(RightService):
    async def close(self) -> None:
        await super().close()
        if asyncio.current_task() in self.conns:
            await self.finish_handlers()


@trial.breaks("serve-once")
class ServingAgain(RightService):
    async def serve(self) -> None:
        self.served = False
        await super().serve()


@trial.breaks("final-error", history="a1d7da4 #433 nobody learns that the listener has ended")
class SwallowingTheError(RightService):
    async def serve(self) -> None:
        try:
            await super().serve()
        except ConnectionAbortedError:
            return


@trial.breaks("permanent", history="#170 an unsupported bind is retried for ever")
class WaitingForSupport(RightService):
    async def accept_all(self) -> None:
        try:
            await super().accept_all()
        except UnsupportedError:
            await asyncio.sleep(1)
            await self.accept_all()


@trial.breaks("final-error-closes", history="x service: serve() ends and the socket stays bound")
class LeavingTheListener(RightService):
    async def give_up(self) -> None:
        pass


@trial.breaks("final-error-closes")
class LeavingWhatEnded(RightService):
    async def give_up(self) -> None:
        if not isinstance(sys.exc_info()[1], ClosedError):
            await super().give_up()


@trial.breaks("final-error-waits")
class CancellingAfterASecond(RightService):
    async def give_up(self) -> None:
        await super().give_up()
        if self.conns:
            await asyncio.sleep(1.0)
        for task in self.conns:
            task.cancel()


@trial.breaks("cancel-handlers")
class DeafAfterClose(RightService):
    async def cancel_handlers(self) -> None:
        if not self.closing.is_set():
            await super().cancel_handlers()


@trial.breaks("cancel-closes-listener")
class LeavingItWhileWaiting(RightService):
    waiting = False

    async def wait(self, delay: float) -> None:
        self.waiting = True
        await super().wait(delay)
        self.waiting = False

    async def close_cancelled(self) -> None:
        if not self.waiting:
            await super().close_cancelled()


@trial.breaks("final-error-waits")
class RaisingAtOnce(RightService):
    async def finish_handlers(self) -> None:
        task = asyncio.current_task()
        if self.closing.is_set() or (task is not None and task.cancelling()):
            await super().finish_handlers()


@trial.breaks("cancel-handlers")
class OneTableForAll(RightService):
    """Keeps the connections of all services in an attribute of the class."""

    table: ClassVar[dict[asyncio.Task[None], Conn]] = {}

    def __init__(
        self,
        listener: Listener,
        handler: Handler,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stats: Stats | None = None,
    ) -> None:
        super().__init__(listener, handler, sleep, stats)
        self.conns = self.table


@trial.breaks("cancel-handlers")
class LeavingHandlersRunning(RightService):
    async def cancel_handlers(self) -> None:
        for conn in list(self.conns.values()):
            await conn.close()


@trial.breaks("cancel-closes")
class AcceptingInATask(RightService):
    async def accept(self) -> Conn:
        accepting = asyncio.ensure_future(self.listener.accept())
        try:
            await asyncio.wait({accepting})
        finally:
            accepting.cancel()
        return accepting.result()


@trial.breaks("cancel-closes")
class LeavingConnsToTheirHandlers(RightService):
    async def cancel_handlers(self) -> None:
        for task in self.conns:
            task.cancel()
        await self.finish_handlers()


@trial.breaks("cancel-closes")
class LeavingTheUnbegun(LeavingConnsToTheirHandlers):
    async def handle(self, conn: Conn) -> None:
        await asyncio.sleep(0)
        await super().handle(conn)


@trial.breaks("backoff")
class WaitingTheSame(RightService):
    def next_delay(self, delay: float, error: AcceptError | BindError) -> float:
        return 1.0


@trial.breaks("backoff")
class BeginningAgain(RightService):
    times = 0

    def next_delay(self, delay: float, error: AcceptError | BindError) -> float:
        self.times += delay >= 5
        return super().next_delay(0.0 if self.times > 2 else delay, error)


@trial.breaks("backoff-accept-error")
class GrowingAfterAcceptErrors(RightService):
    def next_delay(self, delay: float, error: AcceptError | BindError) -> float:
        return super().next_delay(delay, error) or 1.0


@trial.breaks("backoff-accept-error", history="x#52 97ed508 back-off goes on after a good bind")
class OneBackOffForBoth(RightService):
    def next_delay(self, delay: float, error: AcceptError | BindError) -> float:
        return min(delay * 2, 5.0) or 1.0


@trial.breaks("backoff-connection", history="x#52 97ed508 back-off goes on after a good bind")
class NeverForgetting(RightService):
    longest = 0.0

    def next_delay(self, delay: float, error: AcceptError | BindError) -> float:
        self.longest = super().next_delay(self.longest, error)
        return self.longest


@trial.breaks("backoff-closed")
class WaitingToTheEnd(RightService):
    async def wait(self, delay: float) -> None:
        await self.sleep(delay)


@trial.breaks("failure-counted")
class BreaksAreClientsThatLeft(RightService):
    def counts(self, error: Exception) -> bool:
        return not isinstance(error, DeniedError | ConnectionResetError | BrokenPipeError)


@trial.breaks("failure-counted")
class CountingNothing(RightService):
    async def handle(self, conn: Conn) -> None:
        self.stats = None
        await super().handle(conn)


@trial.breaks("success-not-counted", history="0ab5363 a vanished client is counted as an error")
class CountingEverything(RightService):
    async def handle(self, conn: Conn) -> None:
        if self.stats is not None:
            before = self.stats.get(Kind.TOTAL_ERRS)
            await super().handle(conn)
            if self.stats.get(Kind.TOTAL_ERRS) == before:
                self.stats.add(Kind.TOTAL_ERRS, 1)
        else:
            await super().handle(conn)


@trial.breaks("close-after-end")
class NothingLeftToClose(RightService):
    """Takes a service that has ended for one that is closed."""

    over = False

    async def serve(self) -> None:
        if self.served:
            raise RuntimeError("a service serves once")
        try:
            await super().serve()
        finally:
            self.over = True

    async def close(self) -> None:
        if not self.over:
            await super().close()


trials = (trial,)


@trial.breaks("closed-error")
class ClosedIsTheEnd(RightService):
    async def accept_all(self) -> None:
        try:
            await super().accept_all()
        except ClosedError:
            return


@trial.breaks("final-error-waits")
class ClosingAfterTheHandlers(RightService):
    async def give_up(self) -> None:
        await self.finish_handlers()
        await super().give_up()


@trial.breaks("cancel-closes-listener")
class ListeningOn(RightService):
    async def close_cancelled(self) -> None:
        pass


@trial.breaks("denied-not-counted", history="0ab5363 a refused client is a failure of the server")
class CountingRefusals(RightService):
    def counts(self, error: Exception) -> bool:
        return True


@trial.breaks("denied-not-counted")
class CountingTheCancelled(RightService):
    async def cancel_handlers(self) -> None:
        if self.stats is not None:
            self.stats.add(Kind.TOTAL_ERRS, len(self.conns))
        await super().cancel_handlers()


@trial.breaks("failure-counted")
class EveryPermissionErrorIsARefusal(RightService):
    def counts(self, error: Exception) -> bool:
        return not isinstance(error, PermissionError)


@trial.breaks("failure-counted")
class RefusalsWithinGroups(RightService):
    def counts(self, error: Exception) -> bool:
        within: Sequence[Exception] = getattr(error, "exceptions", ())
        refused = any(isinstance(one, DeniedError) for one in within)
        return not refused and super().counts(error)


@trial.breaks("failure-counted")
class GroupsOfRefusals(RightService):
    """Takes a group of nothing but refusals for a refusal."""

    def counts(self, error: Exception) -> bool:
        within: Sequence[Exception] = getattr(error, "exceptions", (error,))
        return any(super(GroupsOfRefusals, self).counts(one) for one in within)


@trial.breaks("failure-counted")
class CountingUntilItIsClosed(RightService):
    def counts(self, error: Exception) -> bool:
        return super().counts(error) and not self.closing.is_set()


@trial.breaks("cancel-handlers")
class LeavingTheCancelled(RightService):
    async def cancel_handlers(self) -> None:
        for task, conn in tuple(self.conns.items()):
            task.cancel()
            await conn.close()


@trial.breaks("close-cancelled")
class ClosingOneAfterTheOther(RightService):
    """Closes no handler if it is cancelled while the listener takes its time."""

    async def close(self) -> None:
        self.closing.set()
        await self.listener.close()
        if isinstance(self.handler, Closer):
            await self.handler.close()


@trial.breaks("close-cancelled")
class ClosingByATask(RightService):
    """Has the first close() take all others with it when it is cancelled."""

    closed: asyncio.Future[None] | None = None

    async def close(self) -> None:
        self.closed = self.closed or asyncio.ensure_future(super().close())
        await self.closed
