"""Right implementations that are made otherwise than those of the trials.

Each is the short form of one by somebody who had not seen those; a contract called that broken.
"""

from gost_core.testing import Contract
from tests.kit import virtual_time


def expect_held(contract: Contract, *only: str) -> None:
    """Run these clauses, or all: each is tried, and none is broken."""
    report = virtual_time.judge(lambda: contract.run(only=only), lambda report: not report.broken)
    assert not report.broken, str(report)
    assert not report.not_tried, str(report)
