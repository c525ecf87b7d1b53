"""What is committed stands where everybody looks for it."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(
        shutil.which("git") is None or not (ROOT / ".git").exists(),
        reason="git is not installed, or this is no clone",
    ),
]


def test_nothing_stands_at_the_top_but_what_everybody_knows() -> None:
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, encoding="utf-8")
    top = {name.partition("/")[0] for name in listed.split("\0") if name and name[0] != "."}
    assert top == {"LICENSE", "README.md", "docs", "pyproject.toml", "src", "tests"}
