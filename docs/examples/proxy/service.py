"""The loop that accepts connections and has them handled."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

from gost_core.common import net
from gost_core.context import Context
from gost_core.handler import Handler
from gost_core.keys import DESTINATION_ADDRESS, HASH_SOURCE, SESSION_ID, SOURCE_ADDRESS
from gost_core.listener import AcceptError, BindError, Listener
from gost_core.logger import Logger, default
from gost_core.metrics import Metrics
from gost_core.observer import Observer
from gost_core.observer.stats import Kind, Stats
from gost_core.recorder import RECORDER_SERVICE_CLIENT_ADDRESS, RecorderObject
from gost_core.service import Service

from .logger import with_notes
from .metrics.instruments import DURATION, Instrument
from .net.dialer import known_source
from .net.newcomers import fairly
from .observer.reporter import INTERVAL, Reporter
from .observer.stats import Counts
from .recorder import RecordPoint

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0


class TaskService(Service):
    """Handles each connection in a task of its own.

    The statistics are those that the listener counts in, if it does: the service adds the errors.
    """

    def __init__(
        self,
        listener: Listener,
        handler: Handler,
        logger: Logger | None = None,
        *,
        name: str = "",
        recorders: Sequence[RecorderObject] = (),
        stats: Stats | None = None,
        metrics: Metrics | None = None,
        observer: Observer | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._logger = logger or default()
        self._recorders = recorders
        self._clients = RecordPoint(RECORDER_SERVICE_CLIENT_ADDRESS, self._logger)
        self._stats = stats or Counts()
        self._seconds = metrics.observer(DURATION, {"service": name}) if metrics else Instrument()
        self._reporter = Reporter(observer, name, self._stats, interval, self._logger)
        self._accepted: set[net.Conn] = set()  # and not handled yet: a task may end before it runs
        self._served = False
        self._closing = asyncio.Event()

    def addr(self) -> net.Addr:
        return self._listener.addr()

    async def serve(self) -> None:
        if self._served:
            raise RuntimeError("this service was served before")
        self._served = True
        self._reporter.start()
        self._reporter.tell("running")
        try:
            await self._serve()
        finally:
            await self._reporter.close()  # whose last report is of all connections

    async def close(self) -> None:
        self._closing.set()
        self._reporter.tell("closed")
        try:
            await self._listener.close()
        finally:
            if isinstance(self._handler, net.Closer):
                await self._handler.close()

    async def _serve(self) -> None:
        failure: Exception | None = None
        # The group is left after the last handler. Cancelling it cancels the handlers.
        try:
            async with asyncio.TaskGroup() as handlers:
                try:
                    await self._accept(handlers)
                except Exception as error:
                    await self._listener.close()
                    if not self._closing.is_set():
                        failure = error
                        self._reporter.tell("failed", str(error))
        finally:
            for conn in self._accepted:
                await conn.close()
            await self._listener.close()  # also when the service is cancelled (D29)
        if failure is not None:
            raise failure

    async def _accept(self, handlers: asyncio.TaskGroup) -> None:
        pause = 0.0
        while True:
            try:
                conn = await self._listener.accept()
            except (AcceptError, BindError) as error:
                # Only what could not be bound is waited for longer each time (D29).
                pause = min(2 * pause, LONGEST_PAUSE) or FIRST_PAUSE
                pause = pause if isinstance(error, BindError) else FIRST_PAUSE
                self._logger.warnf("%s; accepting again in %g s", error, pause)
                self._reporter.tell("failed", str(error))
                await self._pause(pause)
                pause = pause if isinstance(error, BindError) else 0.0
            else:
                pause = 0.0
                self._reporter.tell("running")
                self._accepted.add(conn)
                handlers.create_task(self._handle(conn))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _handle(self, conn: net.Conn) -> None:
        self._accepted.discard(conn)
        ctx, began = _context(conn), time.monotonic()
        host = ctx.value(HASH_SOURCE) or ""
        try:
            if self._recorders:
                await self._clients.record(ctx, self._recorders, host.encode())
            await fairly(host, self._handler.handle, ctx, conn)
        except asyncio.CancelledError:  # as serve() was (D29)
            await conn.close()
            raise
        except Exception as error:  # one client's trouble ends nothing else (D28)
            session, what = ctx.value(SESSION_ID), with_notes(error)
            logger = self._logger.with_fields({"session": session})
            log = logger.infof
            if not isinstance(error, net.DeniedError):  # a rule's answer is no failure (D15)
                self._stats.add(Kind.TOTAL_ERRS, 1)
                log = logger.warnf
            log("%s from %s: %s", type(error).__name__, conn.remote_addr(), what)
        finally:
            self._seconds.observe(time.monotonic() - began)


def _context(conn: net.Conn) -> Context:
    """Make a connection's context: what it carries, or an empty one, and what is known here."""
    carrier = net.find_capability(conn, net.ContextCarrier)
    ctx = (None if carrier is None else carrier.context()) or Context()
    if ctx.value(SOURCE_ADDRESS) is None:
        ctx = ctx.with_value(SOURCE_ADDRESS, conn.remote_addr())
    if ctx.value(DESTINATION_ADDRESS) is None:
        ctx = ctx.with_value(DESTINATION_ADDRESS, conn.local_addr())
    ctx = known_source(ctx, str(ctx.value(SOURCE_ADDRESS)), str(conn.local_addr()))
    return ctx.with_value(SESSION_ID, secrets.token_hex(4))
