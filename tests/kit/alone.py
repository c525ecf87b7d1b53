"""Each seeded fault before its whole contract: it breaks its clause, and no other.

    pytest -n 6 tests/kit/alone.py

So no clause is there twice, and none names what another is for. The tests try each fault on its own
clause only, which takes a tenth of the time.
"""

import pytest

from tests.kit import FAULTS, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_breaks_its_clause_alone(fault: Fault) -> None:
    fault.expect_named()
