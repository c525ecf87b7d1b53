"""Which tests do not run on Pyodide: each is counted here, so that none drops out unseen."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.kit import TRIALS, Trial, test_trials
from tests.pyodide.inside import IGNORED, PATHS, Loop

pytestmark = pytest.mark.one_python

NEEDING: Final[Mapping[str, int]] = {
    "tests/contract/test_bufpool.py": 7,
    "tests/contract/test_context.py": 1,
    "tests/contract/test_exports.py": 2,
    "tests/contract/test_fork.py": 1,
    "tests/contract/test_logger.py": 1,
    "tests/contract/test_selector.py": 5,
    "tests/kit/lenience/test_choosing.py": 1,
    "tests/kit/lenience/test_lookups.py": 1,
    "tests/kit/test_contract.py": 7,
    "tests/kit/test_hooks.py": 2,
    "tests/kit/test_strictness.py": 16,
    "tests/kit/test_trials.py": 2,
}
"""How many tests of a file are marked, whatever their parameters; test_trials.py lists those."""


def collected(*options: str) -> set[str]:
    """Return the ids of the tests that pytest finds, without their parameters."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *options, *PATHS]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    lines = result.stdout.splitlines()
    return {line.partition("[")[0] for line in lines if "::" in line}


def test_what_needs_more_than_pyodide_has_is_marked_and_counted() -> None:
    ignored = [f"--ignore={path}" for path in IGNORED]
    needing = collected("-m", "needs", *ignored)
    assert Counter(test.partition("::")[0] for test in needing) == NEEDING


@pytest.mark.parametrize("trial", [one for one in TRIALS if not test_trials.marks(one)])
def test_a_trial_without_a_mark_needs_no_more_than_pyodide_has(
    trial: Trial[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "SelectorEventLoop", Loop)
    monkeypatch.setattr(threading.Thread, "start", start)
    test_trials.test_a_right_implementation_keeps_every_clause(trial)
