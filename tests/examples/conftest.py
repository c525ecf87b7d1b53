"""What the tests of the example share."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.examples.proxy_harness import EXAMPLES, LIMIT


@pytest.fixture(scope="session")
def refusal() -> Iterator[Callable[..., str]]:
    """What the program says of arguments that are wrong: it ends with 2, and shows no traceback."""
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("refusals.py"), str(int(LIMIT))],
        cwd=EXAMPLES,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        asked, answered = process.stdin, process.stdout
        assert asked is not None
        assert answered is not None

        def refusal(*arguments: str) -> str:
            print(json.dumps(arguments), file=asked, flush=True)
            code, said = json.loads(answered.readline())
            assert code == 2, said
            assert "Traceback" not in said
            return str(said)

        yield refusal
