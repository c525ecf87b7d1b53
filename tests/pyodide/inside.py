"""Runs the tests that need no processes, sockets or threads, in Pyodide; see run.mjs."""

import asyncio
import selectors
import sys
from asyncio import events, runners
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

import gost_core

PATHS: Final = (
    "tests/contract",
    "tests/go/test_parity.py",
    "tests/kit",
    "tests/release/test_surface.py",
    "tests/site/test_documentation.py",
)
IGNORED: Final = ("tests/kit/protocols", "tests/kit/test_other_loops.py")
"""What cannot even be imported: it needs trio, or packages for real protocols."""

AT_LEAST: Final = 3800
"""How many tests must pass, so that none drop out unseen."""


class Loop(asyncio.BaseEventLoop):
    """An event loop that has timers, and neither sockets nor threads.

    Pyodide's own is the event loop of JavaScript, which cannot be run until something is done.
    """

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__()
        self._selector = selector or selectors.DefaultSelector()

    def _process_events(self, _found: object) -> None:
        """Do nothing: nothing is watched."""

    def _write_to_self(self) -> None:
        """Do nothing: no other thread wakes this one."""

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # asyncio passes it
    ) -> None:
        """Do nothing: an executor without threads has none to end."""


class Outcomes:
    """Counts the tests by what came of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1


def main() -> int:
    """Return the exit code of pytest, or 1 if tests were skipped or too few passed."""
    replace_event_loop()
    outcomes = Outcomes()
    options = ["-q", "-p", "no:cacheprovider", "-m", "not needs"]
    ignored = [f"--ignore={path}" for path in IGNORED]
    status = int(pytest.main([*options, *ignored, *PATHS], plugins=[outcomes]))
    passed, skipped = outcomes.counts["passed"], outcomes.counts["skipped"]
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"CPython {version} ({sys.platform}), {Path(gost_core.__file__).parent}: {passed} passed")
    if skipped or passed < AT_LEAST:
        print(f"{skipped} skipped, where none may be; {passed} passed, of at least {AT_LEAST}")
        return status or 1
    return status


def replace_event_loop() -> None:
    """Have asyncio run :class:`Loop`, as if none ran here yet."""
    replaced: Any = asyncio
    events._set_running_loop(None)
    replaced.SelectorEventLoop = replaced.new_event_loop = Loop
    replaced.events.new_event_loop = Loop
    replaced.run = runners.run
