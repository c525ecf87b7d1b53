"""What a service is made of: a listener and handlers that do as a scenario tells, and counts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gost_core import handler, listener
from gost_core.common.net import ClosedError, Closer, Conn
from gost_core.context import Context
from gost_core.metadata import Metadata
from gost_core.observer.stats import Kind, Stats
from gost_core.testing._run.waiting import turns
from gost_core.testing._stage.fakes.recorded import Lent
from gost_core.testing._stage.memory import Address, MemoryListener

__all__ = ("ClosableHandler", "FakeHandler", "FakeListener", "FakeStats")


class FakeListener(MemoryListener, listener.Listener):
    """A listener whose connections and errors come from the scenario."""

    def __init__(self, events: list[str] | None = None) -> None:
        super().__init__(Address("tcp", "0.0.0.0:80"))
        self.events: Final = [] if events is None else events
        self.taken: list[Conn] = []
        self.most_at_once = 0
        self._at_once = 0

    def push(self, *items: Conn | Exception) -> None:
        """Let connections come, and errors."""
        for item in items:
            self._arrive(item)

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def accept(self) -> Conn:
        """Return the next connection, or raise the next error."""
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.taken.append(await super().accept())
        except ClosedError as error:
            raise listener.ClosedError("the listener was closed") from error
        finally:
            self._at_once -= 1
        return self.taken[-1]

    async def close(self) -> None:
        """Close, and say goodbye, which takes a moment."""
        if not self.closed:
            self.events.append("listener.close")
        await super().close()
        await turns(5)


class FakeHandler(handler.Handler):
    """A handler that does what the scenario says, and closes the connection at the end."""

    def __init__(self, serve: Callable[[Context, Conn], Awaitable[None]] | None = None) -> None:
        self.serve = serve
        self.contexts: list[Context] = []
        self.conns: list[Conn] = []
        self.running = 0
        self.cancelled = 0
        self.closes_connections = True
        self.came = asyncio.Event()

    async def init(self, metadata: Metadata | None, /) -> None:
        """Do nothing."""

    async def handle(self, ctx: Context, conn: Conn, /, *opts: handler.HandleOption) -> None:
        """Serve."""
        self.contexts.append(ctx)
        self.conns.append(conn)
        self.came.set()
        self.running += 1
        try:
            if self.serve is not None:
                await self.serve(ctx, conn)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            if self.closes_connections:
                await conn.close()
            self.running -= 1


class ClosableHandler(FakeHandler, Closer):
    """A handler that must be closed."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self._events = events

    async def close(self) -> None:
        """Remember it, and take longer than what is ready to happen."""
        self._events.append("handler.close")
        await asyncio.sleep(0.05)


class FakeStats(Lent, Stats):
    """Counts."""

    def __init__(self) -> None:
        self.counts: dict[Kind, int] = {}

    def add(self, kind: Kind, n: int, /) -> None:
        """Add."""
        self.counts[kind] = self.get(kind) + n

    def get(self, kind: Kind, /) -> int:
        """Return a count."""
        return self.counts.get(kind, 0)

    def is_updated(self) -> bool:
        """Say no."""
        return False

    def reset(self) -> None:
        """Forget the counts."""
        self.counts.clear()
