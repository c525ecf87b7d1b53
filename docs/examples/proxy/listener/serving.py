"""A listener that makes something more of what another listener accepts, such as TLS."""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable
from typing import Final

from gost_core import listener
from gost_core.common import net
from gost_core.logger import Logger, default
from gost_core.metadata import Metadata

from ..component import Component
from ..metadata import whole
from ..net.address import host_of
from ..net.newcomers import fairly
from ..net.wrapper import ClosedOnce


class ServingListener(ClosedOnce, Component, listener.Listener):
    """Serves each connection in a task of its own, so that no client waits for another (D26)."""

    def __init__(self, inner: listener.Listener, logger: Logger | None = None) -> None:
        super().__init__()
        self._inner = inner
        self._logger = logger or default()
        self._serving: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: deque[net.Conn] = deque()
        self._changed: Final = asyncio.Event()

    @abstractmethod
    async def take(self, conn: net.Conn) -> None:
        """Do with a connection what is to be done, and ``offer`` what ``accept`` may give."""

    async def offer(self, conn: net.Conn) -> None:
        """Hand over to ``accept``; if too many wait for it, the newcomer is closed (D26)."""
        if len(self._ready) < self._backlog:
            self._ready.append(conn)
            self._changed.set()
        else:
            self._logger.warnf("%s came when %g waited", conn.remote_addr(), self._backlog)
            await conn.close()

    async def init(self, metadata: Metadata | None, /) -> None:
        await super().init(metadata)
        self._backlog = whole(metadata, "backlog", 128)
        await self._inner.init(metadata)
        self._serving = self._start(self._serve())

    async def accept(self) -> net.Conn:
        self.check_initialized()
        while not self.is_closed():
            if self._ready:
                return self._ready.popleft()
            assert self._serving is not None
            if self._serving.done():
                failed, self._serving = self._serving, self._start(self._serve())
                failed.result()  # of what is beneath, which may go on (D26)
            self._changed.clear()
            await self._changed.wait()
        raise listener.ClosedError("this listener was closed")

    def addr(self) -> net.Addr:
        return self._inner.addr()

    async def _end(self) -> None:
        self._changed.set()
        if self._serving is not None:
            # Before the others: each of them has begun then, and closes what it was given.
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        await self._inner.close()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(conn.close() for conn in self._ready))

    async def _serve(self) -> None:
        while True:
            conn = await self._inner.accept()
            task = self._start(fairly(host_of(str(conn.remote_addr())), self.take, conn))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._changed.set())
        return task
