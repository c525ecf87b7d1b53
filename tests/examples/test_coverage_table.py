import pytest

from tests.examples import coverage_table

pytestmark = pytest.mark.one_python


def test_each_interface_is_implemented_and_carries_traffic_in_a_test_that_exists() -> None:
    assert list(coverage_table.faults()) == []
