"""The contracts of gost_core.testing, tried on implementations whose faults are known."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import pytest

from gost_core.testing import Report
from tests.kit import FAULTS, TRIALS, Fault, Trial, virtual_time

NEEDS: Final[Mapping[str, Collection[str]]] = {
    "sockets": (
        "chain.Route",
        "chain.Router",
        "common.net.Aborter",
        "common.net.Conn",
        "common.net.Dialer",
        "common.net.HalfCloser",
        "common.net.PacketConn",
        "connector.Connector",
        "dialer.Dialer",
        "handler.Handler",
        "listener.Listener",
    ),
    "threads": (
        "limiter.conn.ConnLimiter",
        "limiter.conn.Limiter",
        "limiter.rate.Limiter",
        "limiter.rate.RateLimiter",
        "logger.Logger",
        "metrics.Counter",
        "metrics.Gauge",
        "metrics.Metrics",
        "metrics.Observer",
        "observer.stats.Stats",
        "registry.Registry",
        "selector.Marker",
    ),
}
"""The interfaces whose contracts are tried with them."""


def marks(trial: Trial[Any]) -> list[pytest.MarkDecorator]:
    """Return the marks of what a trial needs."""
    interface = trial.contract.clauses[0].id.removesuffix(".shape")
    return [pytest.mark.needs(what) for what, names in NEEDS.items() if interface in names]


# A right implementation may fail on one Python only; a fault is a fault on each. Some stop the
# event loop, and a thread ends that. That a fault breaks no other clause, tests/kit/alone.py holds.
@pytest.mark.needs("threads")
@pytest.mark.one_python
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_breaks_its_clause(fault: Fault) -> None:
    fault.expect_named(only=[fault.clause])


@pytest.mark.parametrize(
    "trial",
    [pytest.param(one, id=one.contract.__module__, marks=marks(one)) for one in TRIALS],
)
def test_a_right_implementation_keeps_every_clause(trial: Trial[Any]) -> None:
    def tried(report: Report) -> int:
        # A clause that holds untried has a detail.
        return sum(not result.detail for result in report.held)

    clauses = len(trial.contract.clauses)
    report = virtual_time.judge(
        lambda: trial.over(trial.right).run(), lambda report: tried(report) == clauses
    )
    assert tried(report) == clauses, str(report)


def test_every_clause_has_a_fault() -> None:
    clauses = {clause.id for trial in TRIALS for clause in trial.contract.clauses}
    assert clauses == {fault.clause for fault in FAULTS}


def test_what_needs_sockets_or_threads_is_a_trial() -> None:
    interfaces = {trial.contract.clauses[0].id.removesuffix(".shape") for trial in TRIALS}
    assert {name for names in NEEDS.values() for name in names} <= interfaces
