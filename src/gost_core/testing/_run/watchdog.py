"""What ends a clause in which the event loop stands still: no time limit within the loop can."""

import asyncio
import ctypes
import inspect
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from gost_core.testing._run.attempt import Attempt, Blocked
from gost_core.testing._run.report import is_theirs, place_of

__all__ = ("THREAD", "watched")

THREAD: Final[str] = "gost_core.testing watchdog"
"""What the thread is called."""

# Seconds between two looks, and how long a clause is tried before a terminal is told its name.
LOOK: Final[float] = 1.0
_SILENCE: Final[float] = 2.0
# Seconds of computing by which it is found out how busy the machine is.
_SAMPLE: Final[float] = 0.05
# A system without threads may not have a clock for one.
_computed: Final[Callable[[], float]] = getattr(time, "thread_time", time.process_time)
_DEBUGGERS: Final[frozenset[str]] = frozenset(("bdb", "pydevd"))


@contextmanager
def watched() -> Generator[Callable[[Attempt], None]]:
    """See to it, from a thread, that the event loop makes its turns while attempts are made.

    If it makes none for the time limit, longer on a busy machine, :class:`Blocked` is raised in the
    code where it stands, and standard error is told. In the main thread of a POSIX system that also
    interrupts a call into C that waits, as ``time.sleep()`` or a lock does. Elsewhere, and where C
    code computes, it is raised once that has returned. Code that catches every BaseException and
    goes on is not ended.

    Returns:
        What is to be told of each attempt before it is made.
    """
    loop, ident = asyncio.get_running_loop(), threading.get_ident()
    outside = _frames(inspect.currentframe())
    over, turned, lock = threading.Event(), threading.Event(), threading.Lock()
    made = Attempt("", 0.0)

    def begin(attempt: Attempt) -> None:
        nonlocal made
        with lock:
            made = attempt
        turned.set()  # Between two attempts, nobody but the kit keeps the loop.

    def watch() -> None:
        seen, looks = made, 0
        while not over.wait(LOOK):
            seen, looks = made, looks + 1 if seen is made else 1
            if looks * LOOK == _SILENCE and sys.stderr.isatty():
                print(f"trying {seen.clause} ...", file=sys.stderr)
            turned.clear()
            with suppress(RuntimeError):  # It may have been closed.
                loop.call_soon_threadsafe(turned.set)
            while not turned.wait(seen.time_limit):
                if turned.wait(seen.time_limit * (slowness() - 1)):
                    break
                with lock:
                    if over.is_set():
                        return
                    if seen is made:
                        stop()

    def stop() -> None:
        # Documented, in spite of its name.
        frame = sys._current_frames().get(ident)  # pyright: ignore[reportPrivateUsage]  # as said
        inside = [frame for frame in _frames(frame) if frame not in outside]
        modules = {one.f_globals.get("__name__") for one, _ in traceback.walk_stack(frame)}
        if not inside or modules & _DEBUGGERS:
            return  # Not the object's doing: the machine is busy, say.
        place = place_of(traceback.extract_stack(inside[0], 1)[0])
        made.blocked = f"blocked the event loop for {made.time_limit:g} s, at {place}"
        print(f"{made.clause} {made.blocked}", file=sys.stderr)
        error = ctypes.py_object(Blocked)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), error)
        if interruptible:
            signal.pthread_kill(ident, signal.SIGURG)

    with _interruptible() as interruptible:
        with suppress(RuntimeError):  # A Python may be without threads.
            threading.Thread(target=watch, name=THREAD, daemon=True).start()
        try:
            yield begin
        finally:
            with lock:
                over.set()
            turned.set()


def slowness() -> float:
    """Return how many seconds a second of computing takes, here and now."""
    began, used = time.monotonic(), _computed()
    while _computed() - used < _SAMPLE:
        pass
    return (time.monotonic() - began) / _SAMPLE


def _frames(frame: FrameType | None) -> list[FrameType]:
    """Return a frame and its callers, the innermost first, but not the kit's and the library's."""
    return [one for one, _ in traceback.walk_stack(frame) if is_theirs(one.f_code.co_filename)]


@contextmanager
def _interruptible() -> Generator[bool]:
    """Have a signal interrupt what waits in C; tell whether this thread and system have that."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield False
        return
    # Python code has to run for an exception to be raised; this signal means nothing else.
    before = signal.signal(signal.SIGURG, lambda _number, _frame: None)
    try:
        yield True
    finally:
        signal.signal(signal.SIGURG, before)
