"""Recorders: a file, a queue before a slow one, and the points at which there is a record."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

from gost_core import recorder
from gost_core.common import net
from gost_core.context import Context
from gost_core.keys import SESSION_ID
from gost_core.logger import Logger, default
from gost_core.options import apply

from .logger import Outage

QUEUE_LIMIT: Final = 10_000  # records
LAST_WORDS: Final = 2.0  # seconds to write, at the end, what is queued


class FileRecorder(recorder.Recorder, net.Closer):
    """Appends a line of JSON to a file for each record, whose bytes are written as Latin-1 text.

    A task writes, so that no connection waits for a disk. That it fails, or that there is no room
    for more, is logged when it begins, and when all that was queued is written again.
    """

    def __init__(self, path: Path, limit: int = QUEUE_LIMIT, logger: Logger | None = None) -> None:
        self._path = path
        self._logger = logger or default()
        self._queue = asyncio.Queue[bytes](limit)
        self._outage = Outage("recording", self._logger)
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def record(self, ctx: Context, data: Buffer, /, *opts: recorder.RecordOption) -> None:
        if self._closed:
            raise net.ClosedError("this recorder was closed")
        entry = {
            "time": time.time(),
            "session": ctx.value(SESSION_ID),
            "metadata": apply(recorder.RecordOptions(), *opts).metadata,
            "record": bytes(data).decode("latin-1"),
        }
        line = json.dumps(entry).encode() + b"\n"
        if self._queue.full():
            waiting = self._queue.qsize()
            return self._outage.failed(f"{waiting} wait for {self._path}; no room for more")
        self._queue.put_nowait(line)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name=f"records of {self._path}")

    async def close(self) -> None:
        self._closed = True
        try:
            async with asyncio.timeout(LAST_WORDS):
                await self._queue.join()
        except TimeoutError:
            left = self._queue.qsize() + 1  # and the one that is being written
            self._logger.warnf("recording ends with %d records that are not written", left)
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait({self._task})

    async def _work(self) -> None:
        while True:
            line = await self._queue.get()
            try:
                await asyncio.to_thread(self._append, line)
            except OSError as error:
                self._outage.failed(error)
            else:
                if self._queue.empty():
                    self._outage.ended()
            self._queue.task_done()

    def _append(self, line: bytes) -> None:
        with open(self._path, "ab", buffering=0, opener=private) as file:
            written = file.write(line) or 0
            if written < len(line):  # all or nothing (D55)
                file.truncate(file.tell() - written)
                raise OSError(f"{self._path} has no room for a record")


def private(path: str, flags: int) -> int:
    """Open a file that nobody else reads: records say who goes where. A pipe waits for nobody."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)


class RecordPoint:
    """A place where a component records: with every object of this point, and harmlessly (D55)."""

    def __init__(self, name: str, logger: Logger) -> None:
        self._name = name
        self._outage = Outage(name, logger)

    async def record(
        self, ctx: Context, objects: Sequence[recorder.RecorderObject], data: bytes
    ) -> None:
        """Make one record, with the time in front if that is wanted."""
        faults: list[Exception] = []
        for one in objects:
            if one.record == self._name:
                options = one.options or recorder.Options()
                clock = datetime.now().astimezone().strftime(options.timestamp_format)
                record = f"{clock} ".encode() + data if clock else data
                metadata = recorder.metadata_record_option(dict(one.metadata))
                try:
                    await one.recorder.record(ctx, record, metadata)
                except Exception as error:
                    faults.append(error)
        if faults:
            self._outage.failed(faults[0])
        else:
            self._outage.ended()
