"""Recorders: a file, a queue before a slow one, and the points at which there is a record."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from typing_extensions import Buffer

from gost_core import recorder
from gost_core.common import net
from gost_core.context import Context
from gost_core.keys import SESSION_ID
from gost_core.logger import Logger, default
from gost_core.options import apply

from .logger import Outage
from .wrapper import HoldingWrapper

TRAFFIC: Final = "recorder.proxy.handler.traffic"
"""Record point: a handler copies between a client and its target; the record is what was copied."""

QUEUE_LIMIT: Final = 4 * 1024 * 1024  # bytes
LAST_WORDS: Final = 2.0  # seconds to write, at the end, what is queued


class FileRecorder(recorder.Recorder):
    """Appends a line of JSON to a file for each record, whose bytes are written as Latin-1 text.

    A thread writes. So a connection waits for the disk, unless a queue stands before this.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()

    async def record(self, ctx: Context, data: Buffer, /, *opts: recorder.RecordOption) -> None:
        line = {
            "time": time.time(),
            "session": ctx.value(SESSION_ID),
            "metadata": apply(recorder.RecordOptions(), *opts).metadata,
            "record": bytes(data).decode("latin-1"),
        }
        # A thread that has begun goes on when it is no longer awaited: all or nothing (D55).
        await asyncio.to_thread(self._append, json.dumps(line).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        with self._lock, self._path.open("ab", buffering=0) as file:
            end = file.tell()
            if file.write(line) < len(line):
                file.truncate(end)
                raise OSError(f"{self._path} has no room for a record")


class QueueRecorder(recorder.Recorder, net.Closer):
    """Lets connections go on while another recorder works on their records, one at a time.

    What finds the queue full is dropped. That, and what the other recorder fails to keep, is
    logged when it begins and when it ends.
    """

    def __init__(
        self, inner: recorder.Recorder, limit: int = QUEUE_LIMIT, logger: Logger | None = None
    ) -> None:
        self._inner = inner
        self._limit = limit
        self._logger = logger or default()
        self._outage = Outage("recording", self._logger)
        self._queue = asyncio.Queue[tuple[Context, bytes, Sequence[recorder.RecordOption]]]()
        self._size = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def record(self, ctx: Context, data: Buffer, /, *opts: recorder.RecordOption) -> None:
        if self._closed:
            raise net.ClosedError("this recorder was closed")
        record = bytes(data)
        if self._size + _cost(record) > self._limit:
            self._outage.failed(f"{self._size} bytes are queued, and there is no room for more")
            return
        self._size += _cost(record)
        self._queue.put_nowait((ctx, record, opts))
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="queue of a recorder")

    async def close(self) -> None:
        self._closed = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await self._queue.join()
        finally:
            left, self._size = self._size, 0
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait({self._task})
            if left:
                self._logger.warnf("recording ends with %d bytes that are not written", left)

    async def _work(self) -> None:
        while True:
            ctx, record, opts = await self._queue.get()
            try:
                await self._inner.record(ctx, record, *opts)
            except Exception as error:
                self._outage.failed(error)
            else:
                if self._queue.empty():
                    self._outage.ended()
            finally:
                self._size -= _cost(record)
                self._queue.task_done()


def _cost(record: bytes) -> int:
    return len(record) + 256  # what holds it counts too, so empty ones are limited as well


class RecordPoint:
    """A place where a component records: with every object of this point, and harmlessly (D55)."""

    def __init__(self, name: str, logger: Logger) -> None:
        self._name = name
        self._outage = Outage(name, logger)

    async def record(
        self,
        ctx: Context,
        objects: Sequence[recorder.RecorderObject],
        data: Buffer,
        mark: str = "",
    ) -> None:
        """Record, with the mark of a direction if there is one."""
        faults: list[Exception] = []
        for one in objects:
            if one.record == self._name:
                record = _prepare(bytes(data), mark, one.options or recorder.Options())
                metadata = recorder.metadata_record_option(dict(one.metadata))
                try:
                    await one.recorder.record(ctx, record, metadata)
                except Exception as error:
                    faults.append(error)
        if faults:
            self._outage.failed(faults[0])
        else:
            self._outage.ended()

    def watch(
        self, ctx: Context, conn: net.Conn, objects: Sequence[recorder.RecorderObject]
    ) -> net.Conn:
        """Have a connection's bytes recorded, if somebody wants them at this point."""
        wanted = any(one.record == self._name for one in objects)
        return RecordedConn(conn, partial(self.record, ctx, objects)) if wanted else conn


class RecordedConn(HoldingWrapper):
    """Has recorded what is read and what is written."""

    def __init__(self, inner: net.Conn, record: Callable[[Buffer, str], Awaitable[None]]) -> None:
        super().__init__(inner)
        self._record = record

    async def pass_on(self, data: bytes, /) -> int:
        await self.until_closed(self._record(data, ">"))
        return len(data)

    async def write(self, data: Buffer, /) -> None:
        await super().write(data)
        if memoryview(data).nbytes:
            await self.until_closed(self._record(data, "<"))


def _prepare(data: bytes, mark: str, options: recorder.Options) -> bytes:
    clock = datetime.now().astimezone().strftime(options.timestamp_format)
    prefix = [part for part in (mark if options.direction else "", clock) if part]
    # What has no direction is an address, and as text already.
    body = data.hex(" ").encode() if options.hexdump and mark else data
    return b" ".join([*(part.encode() for part in prefix), body])
