"""An audit finds faults, or says that it could not look; it never takes silence for "none"."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.release import audit

pytestmark = pytest.mark.one_python

Answer: TypeAlias = Mapping[str, object] | None


def about(requirement: str, **known: object) -> Answer:
    name, _, version = requirement.partition("==")
    return {"name": name, "version": version, **known}


def unreachable(requirement: str) -> Answer:
    return None


def ignorant(requirement: str) -> Answer:
    return about(requirement, vulns=[])


def finding_all(requirement: str) -> Answer:
    return about(requirement, vulns=[{"id": "CVE-0", "fix_versions": ["9"]}])


def finding_what_is_known(requirement: str) -> Answer:
    return (finding_all if requirement == audit.FAULTY else ignorant)(requirement)


def skipping_others(requirement: str) -> Answer:
    return finding_all(requirement) if requirement == audit.FAULTY else about(requirement, skip="?")


def served(answer: Callable[[str], Answer]) -> object:
    """Return what takes the place of running pip-audit, with what it is told of each package."""

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        [listed] = [one for one in command if one.startswith("--requirement=")]
        asked = Path(listed.partition("=")[2]).read_text("utf-8").split()
        told = [answer(one) for one in asked]
        if None in told:
            return subprocess.CompletedProcess(command, 1, "", "Traceback\nOSError: no route\n")
        return subprocess.CompletedProcess(command, 0, json.dumps({"dependencies": told}), "")

    return run


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (unreachable, 2, "no advisory service answered: OSError: no route"),
        (ignorant, 2, "knows no fault"),
        (skipping_others, 2, "nothing was said of pytest==9.0.3"),
        (finding_what_is_known, 0, "1 packages audited, 0 faults known"),
        (finding_all, 1, "CVE-0, mended in 9"),
    ],
)
def test_only_a_service_that_finds_a_known_fault_can_say_that_there_is_none(
    answer: Callable[[str], Answer],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(subprocess, "run", served(answer))
    monkeypatch.setattr(audit, "installed", lambda: {"pytest==9.0.3"})
    assert audit.main([]) == code
    output = capsys.readouterr()
    assert said in output.out + output.err
    assert ("audited," in output.out) == (code != 2)


def test_everything_but_this_repository_s_own_is_asked_about() -> None:
    names = {one.partition("==")[0] for one in audit.installed()}
    assert "pytest" in names
    assert not names & audit.OWN
