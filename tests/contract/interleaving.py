"""Two calls at once, at every point where the one can cut into the other.

A race between threads may show itself once in a thousand runs. Here the first call is stopped
before one of its bytecode instructions until the second, in another thread, is over; once this was
done for each instruction, there is no place left where the second could have cut in.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from types import FrameType
from typing import Any, Final, TypeAlias

Call: TypeAlias = Callable[[], object]

_LOCKED_OUT: Final = 0.01
"""After so many seconds the second call is taken to wait for a lock that the first one holds."""


def interleavings() -> Iterator[Callable[[Call, Call], None]]:
    """Yield functions that run two calls beside each other, each function at another point.

    The last one runs the second call after the first. What a call raises is raised::

        for run in interleavings():
            marker = FailMarker()
            run(marker.mark, marker.mark)
            assert marker.count() == 2
    """
    for step in count():
        interleaving = _Interleaving(step)
        yield interleaving.run
        if not interleaving.was_cut:
            return


class _Interleaving:
    def __init__(self, step: int) -> None:
        self.was_cut = False
        self._steps_left = step

    def run(self, first: Call, second: Call) -> None:
        with ThreadPoolExecutor(2) as threads:
            started = list[Future[object]]()

            # Any: the type of a trace function contains itself and has no public name.
            def trace(frame: FrameType, event: str, argument: object) -> Any:
                frame.f_trace = trace
                frame.f_trace_lines = False
                frame.f_trace_opcodes = True
                if event == "opcode" and not started:
                    if self._steps_left == 0:
                        started.append(threads.submit(second))
                        wait(started, _LOCKED_OUT)
                    self._steps_left -= 1
                return trace

            def traced() -> object:
                frame = inspect.currentframe()
                if frame is not None:
                    # Python 3.12 looks at it when tracing starts, and not later.
                    frame.f_trace_opcodes = True
                sys.settrace(trace)
                try:
                    return first()
                finally:
                    sys.settrace(None)

            threads.submit(traced).result()
            self.was_cut = bool(started)
            (started[0] if started else threads.submit(second)).result()
