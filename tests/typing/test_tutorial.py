"""The type checkers accept the tutorial's files, in a folder where nothing else is."""

import json
import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Final

import pytest

import gost_core
from tests.site import tutorial_page
from tests.site.tutorial_page import Command, without_numbers

pytestmark = pytest.mark.one_python

SCRIPTS: Final = sysconfig.get_path("scripts")
PACKAGE: Final = os.fspath(Path(gost_core.__file__).parents[1])


@pytest.mark.parametrize(
    "command",
    [one for one in tutorial_page.commands() if one.line.startswith(("mypy", "pyright"))],
    ids=lambda command: command.line,
)
def test_a_checker_says_of_the_tutorial_what_the_page_shows(
    command: Command, tmp_path: Path
) -> None:
    program, *arguments = shlex.split(command.line)
    found = shutil.which(program, path=SCRIPTS)
    if found is None:
        pytest.skip(f"{program} is not installed here; the dependency group 'types' has it")
    tutorial_page.write(tmp_path)
    # Where the package is not installed but lies on PYTHONPATH.
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [PACKAGE]}))
    result = subprocess.run(
        [found, *arguments],
        cwd=tmp_path,
        env={
            **os.environ,
            "MYPYPATH": "" if "site-packages" in PACKAGE else PACKAGE,
            "PATH": os.pathsep.join((SCRIPTS, os.environ.get("PATH", ""))),
        },
        capture_output=True,
        encoding="utf-8",
    )
    assert without_numbers(result.stdout.strip()) == without_numbers(command.shown.strip())
