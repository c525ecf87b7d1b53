"""What a test run reads of the tests, and what it says at its end about the contracts."""

import gc
import re
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.kit import FAULTS, TRIALS

# No test depends on how fast the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# How a module says that all its tests are for one Python.
_ONE_PYTHON = re.compile(r"^pytestmark = (?:\[\s+)?pytest\.mark\.one_python\b", re.MULTILINE)
# The modules whose tests take longest. First those that mostly wait: in the end, there is something
# to do for each core.
_LONGEST = (
    "typing/test_gates.py",
    "kit/test_trials.py",
    "kit/test_other_loops.py",
    "site/test_site.py",
    "test_*_contract.py",
    "site/*.py",
    "faults/*.py",
    "release/*.py",
)
_FAULT_TEST = "test_a_fault_breaks_its_clause"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a module of which ``-m`` takes nothing: its import would take each process time."""
    if config.option.markexpr != "not one_python" or collection_path.suffix != ".py":
        return None
    return bool(_ONE_PYTHON.search(collection_path.read_text(encoding="utf-8"))) or None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests and modules come that stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: no process has to wait for it in the end."""

    @cache
    def place(path: Path) -> int:
        matching = (place for place, pattern in enumerate(_LONGEST) if path.match(pattern))
        return next(matching, len(_LONGEST))

    items.sort(key=lambda item: place(item.path))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let each search for garbage look through what came with its own test, and nothing older."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many clauses there are, how many faults were tried, and how many were named."""

    def count(outcome: str) -> int:
        reports = terminalreporter.stats.get(outcome, [])
        return sum(_FAULT_TEST in getattr(report, "nodeid", "") for report in reports)

    kills, survivors = count("passed"), count("failed")
    if kills or survivors:
        clauses = len({one.id for trial in TRIALS for one in trial.contract.clauses})
        terminalreporter.write_line(
            f"contracts: {clauses} clauses, {len(FAULTS)} faults, {kills} kills, "
            f"{survivors} survivors"
        )
