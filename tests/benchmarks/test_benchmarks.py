"""The benchmark command works; what it measures is for whoever runs it on a quiet machine."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_quick_run_prints_its_figures_and_draws_the_ratios(tmp_path: Path) -> None:
    picture = tmp_path / "new" / "picture.svg"
    result = run("--quick", "routes", "--picture", str(picture))
    assert result.returncode == 0, result.stderr
    table = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    ratios = [line for line in table if line.endswith(" x")]
    assert len(table) > len(ratios) > 0
    texts = [text.text or "" for text in ElementTree.parse(picture).iter() if text.text]
    assert any(str(date.today().year) in text and "Python" in text for text in texts)
    for ratio in ratios:
        subject = ratio.strip().partition("  ")[0]
        assert any(text.startswith(subject) for text in texts), subject


def test_a_part_that_does_not_exist_is_named_beside_those_that_do() -> None:
    result = run("route")
    assert result.returncode == 2
    assert "route;" in result.stderr
    assert "routes" in result.stderr
