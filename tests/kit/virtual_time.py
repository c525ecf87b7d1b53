"""An event loop that does not wait where only the clock can end the wait: it moves the clock.

Most trials of the checks touch neither socket nor thread. When nothing in them is ready to run,
nothing will be before the next timer, so the time until then is skipped. While a socket is watched
or a thread runs that the trial has begun, something else may end the wait, and time is real.
"""

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any, ClassVar, Final, Self, TypeVar
from unittest import mock

from gost_core import selector
from gost_core.testing._run import watchdog

T = TypeVar("T")

PATIENT: Final = 20.0
"""The pace of a clock on which nothing right is late."""


class Clock(AbstractContextManager["Clock"]):
    """What ``time.time()``, ``time.monotonic()`` and a FailMarker tell while it is entered.

    Args:
        pace: seconds of the machine for each second that is told. A clock of pace 20 makes each
            time limit twenty times as patient with a machine that is busy with other things.
    """

    entered: ClassVar[list["Clock"]] = []

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self._skipped = 0.0
        self._patches = ExitStack()

    def skip(self, seconds: float) -> None:
        self._skipped += seconds

    def __enter__(self) -> Self:
        self.entered.append(self)
        for module, name in ((time, "time"), (time, "monotonic"), (selector, "time")):
            told = self._told(getattr(module, name))
            self._patches.enter_context(mock.patch.object(module, name, told))
        return self

    def __exit__(self, *_: object) -> None:
        self.entered.remove(self)
        self._patches.close()

    def _told(self, real: Callable[[], float]) -> Any:
        began = real()
        return lambda: began + (real() - began) / self.pace + self._skipped


async def elapse(seconds: float) -> None:
    """Move the clock that is entered, whatever may end the wait; the machine's own cannot be."""
    for clock in Clock.entered[-1:]:
        clock.skip(seconds)


class Selector(selectors.DefaultSelector):
    """Waits only for what is outside of the event loop."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._watched = self.get_map()
        self._threads = self._others()

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout <= 0:
            # What has been put into the loop by a thread is there without its pair of sockets.
            return super().select(0) if self._watches_others() else []
        # Looked at first: a thread that has ended since has woken the loop before it did.
        can_be_woken = self._watches_others() or not self._threads.issuperset(self._others())
        ready = super().select(0)
        if ready or timeout is None:
            return ready or super().select(timeout)
        if can_be_woken:
            return super().select(timeout * self._clock.pace)
        self._clock.skip(timeout)
        return ready

    @staticmethod
    def _others() -> set[threading.Thread]:
        """Return the threads but for the kit's own, which only looks whether the loop turns."""
        return {thread for thread in threading.enumerate() if thread.name != watchdog.THREAD}

    def _watches_others(self) -> bool:
        """Tell whether there is more than the loop's own pair of sockets, by which it is woken."""
        return len(self._watched) > 1


class Executor(ThreadPoolExecutor):
    """Has a thread for each call, which ends with it: none is left that might wake the loop."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        executor = ThreadPoolExecutor(1)
        future = executor.submit(fn, *args, **kwargs)
        executor.shutdown(wait=False)
        return future


def run(main: Coroutine[Any, Any, T], pace: float = 1.0) -> T:
    """Run a coroutine as ``asyncio.run`` does, in an event loop that skips idle time."""
    with Clock(pace) as clock:

        def new_loop() -> asyncio.AbstractEventLoop:
            loop = asyncio.SelectorEventLoop(Selector(clock))
            loop.set_default_executor(Executor())
            return loop

        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main)


def judge(main: Callable[[], Coroutine[Any, Any, T]], is_right: Callable[[T], bool]) -> T:
    """Run a coroutine; run it again on a patient clock if what it returns is not right.

    The limits of a trial are short, for the sake of the faults that hang. So on a busy machine a
    clause may seem broken that is only late, and a wrong report counts when it is so both times.
    """
    found = run(main())
    return found if is_right(found) else run(main(), PATIENT)
