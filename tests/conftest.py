"""What the test run says at its end about the contracts of gost_core.testing."""

import pytest

from tests.kit import FAULTS, TRIALS

_FAULT_TEST = "test_the_report_names_exactly_the_broken_clause"


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
