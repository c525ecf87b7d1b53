"""The page of the interfaces names each of them once, with the first line of its docstring."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from docs._made.go_facts import symbols

pytestmark = pytest.mark.one_python

PAGE = (Path(__file__).parents[2] / "docs" / "interfaces.md").read_text(encoding="utf-8")


def test_the_page_names_each_interface_once_with_its_summary() -> None:
    rows = re.findall(r"^\| `([\w.]+)\.(\w+)` \| (.*) \|$", PAGE, flags=re.MULTILINE)
    summaries = {
        (module, name): (inspect.getdoc(getattr(import_module(f"gost_core.{module}"), name)) or "")
        .partition("\n")[0]
        .replace(":class:", "")
        for module, name, _ in rows
    }
    interfaces = sorted(
        (symbol.package.replace("/", "."), symbol.name)
        for symbol in symbols().values()
        if symbol.kind == "interface"
    )
    assert sorted((module, name) for module, name, _ in rows) == interfaces
    assert {(module, name): summary for module, name, summary in rows} == summaries
