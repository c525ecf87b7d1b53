"""What the tests of the example share."""

from collections.abc import Callable

import pytest

from tests.examples.proxy_harness import forked


@pytest.fixture
def refusal() -> Callable[..., str]:
    """What the program says of arguments that are wrong: it ends with 2, and shows no traceback."""

    def refusal(*arguments: str) -> str:
        with forked(*arguments) as running:
            code, said = running.ended(), "".join(running.lines)
        assert code == 2, said
        assert "Traceback" not in said
        return said

    return refusal
