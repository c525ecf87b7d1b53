"""What the type checkers say: nothing at all, but for the marked lines of ``reject/``.

A wrong line there ends in a comment such as ``# error: mypy pyright``: those checkers must report
the line, and no other checker may; ``# error: all`` names all of them. So a mistake that is no
longer seen fails here, and so does a checker that learns to see more.
"""

import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

import gost_core
from docs._made import package

pytestmark = pytest.mark.one_python

ROOT: Final[Path] = Path(__file__).parents[2]
SCRIPTS: Final[Path] = Path(sysconfig.get_path("scripts"))
REJECTED: Final[tuple[str, ...]] = tuple(
    path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("tests/typing/reject/*.py"))
)


@dataclass(frozen=True, slots=True)
class Checker:
    """A type checker: run as it is, it checks what pyproject.toml says, which excludes reject/."""

    command: tuple[str, ...]
    target: str
    rejected: tuple[str, ...]
    reported: re.Pattern[str]

    @property
    def name(self) -> str:
        return self.command[0]


CHECKERS: Final[tuple[Checker, ...]] = (
    Checker(
        command=("mypy",),
        target="--python-version",
        rejected=REJECTED,
        reported=re.compile(r"^(.+?):(\d+): error: .*", re.MULTILINE),
    ),
    Checker(
        command=("pyright",),
        target="--pythonversion",
        # No command line takes back what its settings exclude.
        rejected=("--project", "tests/typing/reject"),
        reported=re.compile(r"^ +(.+?):(\d+):\d+ - .*", re.MULTILINE),
    ),
    Checker(
        command=("ty", "check", "--output-format=concise"),
        target="--python-version",
        rejected=REJECTED,
        reported=re.compile(r"^(.+?):(\d+):\d+: .*", re.MULTILINE),
    ),
    Checker(
        command=("pyrefly", "check", "--output-format=min-text"),
        target="--python-version",
        rejected=REJECTED,
        reported=re.compile(r"^ *ERROR (.+?):(\d+):.*", re.MULTILINE),
    ),
)

each_checker = pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.name)
# What a checker finds for a Python between these it finds for one of them: what is not there yet is
# missing in the oldest, and what has gone is missing in the newest.
each_target = pytest.mark.parametrize("python", ["3.11", "3.13"])


def run(command: Sequence[str], directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment; its return code is 0, or 1 if it has found something."""
    program = shutil.which(command[0], path=SCRIPTS)
    if program is None:
        pytest.skip(f"{command[0]} is not installed here; the dependency group 'types' has it")
    # pyright looks for packages in the environment of the first Python on PATH, whatever its
    # --pythonpath says.
    path = os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", "")))
    result = subprocess.run(
        [program, *command[1:]],
        cwd=directory,
        env={**os.environ, "PATH": path},
        capture_output=True,
        encoding="utf-8",
    )
    if result.returncode not in (0, 1):
        pytest.fail(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result


# What users import, and how they use it, meets the checker of every Python. The checks in testing
# run on each.
USED: Final[tuple[str, ...]] = (
    *(
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "src" / "gost_core").rglob("*.py"))
        if "testing" not in path.parts
    ),
    "tests/typing/accept",
)


@pytest.mark.parametrize(("python", "paths"), [("3.11", ()), ("3.13", USED)], ids=["3.11", "3.13"])
@each_checker
def test_checker_reports_nothing(checker: Checker, python: str, paths: Sequence[str]) -> None:
    result = run([*checker.command, checker.target, python, *paths])
    reported = [match.group() for match in checker.reported.finditer(result.stdout)]
    if reported or result.returncode:
        pytest.fail("\n".join(reported) or result.stdout, pytrace=False)


@each_target
@each_checker
def test_checker_reports_every_marked_line_and_no_other(checker: Checker, python: str) -> None:
    result = run([*checker.command, checker.target, python, *checker.rejected])
    reported = {
        f"{Path(match[1]).name}:{match[2]}": match.group()
        for match in checker.reported.finditer(result.stdout)
    }
    marked = {line for line, names in _marks() if checker.name in names}
    missing = [f"{line}: not reported" for line in sorted(marked - reported.keys())]
    extra = [reported[line] for line in sorted(reported.keys() - marked)]
    if missing or extra:
        pytest.fail("\n".join(missing + extra), pytrace=False)


def test_the_hooks_before_a_commit_run_the_ruff_that_is_pinned() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    hooked = re.findall(r"ruff-pre-commit\n +rev: v(\S+)", hooks)
    pinned = re.findall(r'"ruff==(\S+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert hooked == pinned
    assert len(pinned) == 1


def test_every_mark_names_known_checkers() -> None:
    known = {checker.name for checker in CHECKERS}
    assert [line for line, names in _marks() if not names or not names <= known] == []


def _marks() -> Iterator[tuple[str, set[str]]]:
    """Return each marked line, with the checkers that must report it."""
    for path in REJECTED:
        for number, line in enumerate((ROOT / path).read_text("utf-8").splitlines(), 1):
            _, mark, names = line.partition("# error:")
            if mark:
                named = set(names.partition("(")[0].split())
                everyone = {checker.name for checker in CHECKERS}
                yield f"{Path(path).name}:{number}", everyone if named == {"all"} else named


def test_installed_package_is_completely_typed_and_documented(tmp_path: Path) -> None:
    if Path(gost_core.__file__).is_relative_to(ROOT / "src"):
        pytest.skip("the source tree is imported here; this test is for the installed wheel")
    result = run(
        ["pyright", "--ignoreexternal", "--verifytypes", "gost_core", "--outputjson"], tmp_path
    )
    found = json.loads(result.stdout)["typeCompleteness"]
    diagnostics = [
        (symbol["name"], diagnostic["message"])
        for symbol in found["symbols"]
        for diagnostic in symbol["diagnostics"]
    ]
    # The sentence of a clause says what its method does.
    clauses = {
        one.id.rpartition(".")[2].replace("-", "_")
        for contract in package.contracts()
        for one in contract.clauses
    }
    of_clauses = [
        name
        for name, _ in diagnostics
        if name.startswith("gost_core.testing.") and name.rpartition(".")[2] in clauses
    ]
    incomplete = [f"{name}: {message}" for name, message in diagnostics if name not in of_clauses]
    assert incomplete == []
    assert found["exportedSymbolCounts"]["withKnownType"] > 0
    assert found["completenessScore"] == 1
    assert found["missingFunctionDocStringCount"] == len(of_clauses)
    assert found["missingClassDocStringCount"] == 0


@pytest.mark.parametrize("directory", ["src", "docs", "tests"])
def test_every_ignore_comment_names_its_rule_and_has_a_reason(directory: str) -> None:
    """The reason stands behind the rule, or in a comment on the line above.

    The faults in tests/kit name no rule, since each checker has its own for the same mistake.
    """
    ignore = re.compile(r"# (?:type|pyright|ty|pyrefly): ignore(\[[\w, -]+\])?(.*)")
    faults: list[str] = []
    for path in sorted((ROOT / directory).rglob("*.py")):
        lines = path.read_text("utf-8").splitlines()
        for number, (above, line) in enumerate(pairwise(["", *lines]), 1):
            found = ignore.search(line)
            if found is None:
                continue
            has_rule = bool(found[1]) or path.is_relative_to(ROOT / "tests" / "kit")
            has_reason = bool(found[2].strip()) or above.lstrip().startswith("#")
            if not (has_rule and has_reason):
                faults.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert faults == []
