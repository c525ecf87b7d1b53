"""The README, on a forge and as the page of an index: its example, its report, its links."""

import asyncio
import re
from collections.abc import Callable
from importlib.util import find_spec
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from gost_core.admission import Admission
from gost_core.context import Context
from gost_core.testing import ContractError

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """Return what the page has in fences of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def make() -> Callable[[IPv4Network], Admission]:
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    made: Callable[[IPv4Network], Admission] = names["SourceNetwork"]
    return made


@pytest.mark.parametrize(
    ("addr", "admitted"),
    [("192.0.2.7:1080", True), ("198.51.100.7:1080", False), ("", False), ("[::1]:1080", False)],
)
def test_the_example_admits_only_its_network(
    make: Callable[[IPv4Network], Admission], addr: str, admitted: bool
) -> None:
    admission = make(IPv4Network("192.0.2.0/24"))
    assert asyncio.run(admission.admit(Context(), "tcp", addr)) is admitted


def test_the_fault_that_the_page_tells_of_is_reported_as_it_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    faulty = blocks("python")[0].replace("return False", "return True")
    with pytest.raises(ContractError):
        exec(faulty, {})
    printed = re.sub(r"\d+", "#", capsys.readouterr().out)
    first, last = re.sub(r"\d+", "#", blocks("text")[0]).split("  ...\n")
    assert printed.startswith(first)
    assert printed.endswith(last)


def test_the_run_of_all_tests_uses_the_commands_of_the_page() -> None:
    commands = re.findall(r"^    (.+)$", README, flags=re.MULTILINE)
    runner = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (install,) = (one.removeprefix("apt-get install ") for one in commands if "apt-get" in one)
    (test,) = (one for one in commands if one.endswith("/tox -p all"))
    assert re.findall(r"^apt-get install --\S+ --yes (.+)$", runner, flags=re.MULTILINE) == [
        install
    ]
    assert runner.endswith(f"{test}\n")


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed here")
def test_each_link_leads_to_a_file_here_and_to_the_same_thing_from_an_index() -> None:
    from docs._made.index_page import LINK, PAGE, absolute

    paths = [link["path"].partition("#")[0] for link in LINK.finditer(README)]
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    assert "docs/examples/README.md" in [path for path in paths if not PAGE.fullmatch(path)]
    urls = {"Documentation": "https://docs.invalid/", "Source": "https://src.invalid/"}
    links = [
        "[a](docs/architecture/routing.md#one-attempt)",
        '<img src="docs/pictures/routing.svg" alt="">',
        "[b](docs/examples/README.md), [c](https://gost.run), [d](#read)",
    ]
    assert [absolute(text, urls) for text in links] == [
        "[a](https://docs.invalid/architecture/routing.html#one-attempt)",
        '<img src="https://src.invalid/raw/HEAD/docs/pictures/routing.svg" alt="">',
        "[b](https://src.invalid/blob/HEAD/docs/examples/README.md), "
        "[c](https://gost.run), [d](#read)",
    ]
    assert LINK.search(absolute(README, urls)) is None


def test_it_names_the_package_of_each_program_that_a_test_asks_for() -> None:
    asked = {
        package
        for path in (ROOT / "tests" / "examples").glob("*.py")
        for package in re.findall(
            r'(?:program|peer)\("[\w.-]+", "([\w.-]+)"\)', path.read_text(encoding="utf-8")
        )
    }
    assert asked <= set(re.findall(r"apt-get install (.+)", README)[0].split())
