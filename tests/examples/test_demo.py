"""The demo, which is the first command of the README."""

import re
import subprocess
import sys

import pytest

from tests.examples.proxy_harness import EXAMPLES, LIMIT

pytestmark = pytest.mark.one_python

pytest.importorskip("socksio", reason="the demo's client is httpx with its socks extra")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the examples are."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )


def test_the_demo_shows_both_ways_and_the_move_after_a_death() -> None:
    done = python("demo.py")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout  # colours are for terminals
    before, after = done.stdout.split("north is killed")
    for scheme in ("socks5", "http"):
        for node in ("north", "south"):
            assert re.search(rf"{scheme} +{node} .*every byte right", before)
    assert re.search(r"north \(failed\), south .*every byte right", after)
    assert after.count("every byte right") == 4
    assert after.count("north") == 1


def test_the_demo_and_a_plain_proxy_need_nothing_that_the_readme_does_not_install() -> None:
    missing = ("dns", "h2", "prometheus_client", "redis")
    code = f"import sys; sys.modules.update(dict.fromkeys({missing})); import demo, proxy.__main__"
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("right", "fault"),
    [
        ("+ content)", "+ content[::-1])"),
        ("await reader.readuntil", "raise SystemError('origin')  # "),
    ],
)
def test_the_demo_fails_with_a_clear_line_when_something_is_wrong(right: str, fault: str) -> None:
    source = (EXAMPLES / "demo.py").read_text()
    spoiled = source.replace(right, fault, 1)
    assert spoiled != source
    done = python("-W", "ignore", "-c", spoiled)
    assert done.returncode == 1
    assert re.fullmatch(r"Failed: .+\n", done.stderr.splitlines(keepends=True)[-1])
