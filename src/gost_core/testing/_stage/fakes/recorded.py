"""What a fake keeps of the calls of one method, and how they end."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gost_core.common.net import Closer, Conn
from gost_core.context import Context
from gost_core.testing._run.attempt import current
from gost_core.testing._run.waiting import given

__all__ = ("Call", "Lent", "Recorded", "failures", "out_of_reach")

CallT = TypeVar("CallT")
OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True)
class Call(Generic[OptionsT]):
    """A call, with what it was given; what the method does not take is empty."""

    ctx: Context
    options: OptionsT
    network: str = ""
    address: str = ""
    conn: Conn | None = None


class Lent(Closer):
    """What others are lent, and must not close."""

    closed = False

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class Recorded(list[CallT]):
    """The calls of one method, which end well unless a scenario tells otherwise.

    ``meanwhile`` is awaited by each; ``cancelled`` counts those that were cancelled so;
    ``contexts`` are those that they were given.
    """

    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[Context] = []
        self.hanging = asyncio.Event()
        self.cancelled = 0
        self.cancelled_at = 0.0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self._failures: deque[Exception] = deque()
        self._always: Exception | None = None
        self._hangs = 0
        current().records += (self.clear, self.contexts.clear)

    def fail(self, *errors: Exception) -> None:
        """Have the next calls fail, each with one of ``errors``."""
        self._failures.extend(errors)

    def fail_always(self, error: Exception | None) -> None:
        """Have every call fail, or none any more."""
        self._always = error

    def hang(self, times: int = 1_000_000) -> None:
        """Have the next calls wait until they are cancelled."""
        self._hangs = times
        self.hanging.clear()

    async def reached(self, what: str) -> None:
        """Wait until a call hangs; ``what`` names who is called."""
        await given(self.hanging.wait(), f"reaching {what}")

    async def record(self, call: CallT, ctx: Context | None = None) -> None:
        """Keep a call, and end it as it was told."""
        self.append(call)
        if (given_ctx := call.ctx if isinstance(call, Call) else ctx) is not None:
            self.contexts.append(given_ctx)
        waits = self.meanwhile
        if self._hangs:
            self._hangs -= 1
            self.hanging.set()
            waits = asyncio.Event().wait
        if waits is not None:
            try:
                await waits()
            except asyncio.CancelledError:
                self.cancelled += 1
                self.cancelled_at = asyncio.get_running_loop().time()
                raise
        # A real one waits for the network.
        await asyncio.sleep(0)
        if self._failures:
            raise self._failures.popleft()
        if self._always is not None:
            raise self._always


def out_of_reach(what: str, /) -> tuple[OSError, ...]:
    """Return what is raised, one class after another, where ``what`` is out of reach."""
    classes = OSError, ConnectionRefusedError, ConnectionResetError, TimeoutError
    return tuple(cls(f"{what} cannot be reached") for cls in classes)


def failures(what: str, /) -> tuple[Exception, ...]:
    """Return what is raised where ``what`` is out of reach, refuses, or fails by a fault."""
    others = PermissionError(f"{what} refuses"), ValueError(f"{what} is malformed")
    return (*out_of_reach(what), *others, LookupError(f"{what} misses something"))
