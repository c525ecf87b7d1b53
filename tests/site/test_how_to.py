"""The page of single tasks is found by the words that its readers search for."""

import re
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.one_python

PAGE: Final = (Path(__file__).parents[2] / "docs" / "how-to.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "query",
    [
        "accept raises",
        "cancel",
        "closes",
        "contract ci",
        "context key",
        "custom option",
        "dial chain",
        "direct refuse",
        "exception",
        "fake connection",
        "forgotten await",
        "limit time",
        "log",
        "measure",
        "own option",
        "write option",
        "none from route",
        "register name",
        "settings",
        "timeout",
        "trio",
        "wrap connection",
    ],
)
def test_a_heading_has_all_words_of_a_query(query: str) -> None:
    headings = [
        set(re.findall(r"\w+", line.lower())) for line in re.findall(r"^## (.+)$", PAGE, re.M)
    ]
    assert any(set(query.split()) <= words for words in headings)
