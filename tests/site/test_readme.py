"""The README: its example does what it says, and its table is right."""

import asyncio
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from docs._made.go_facts import symbols
from gost_core.admission import Admission
from gost_core.context import Context

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_of(text: str) -> list[str]:
    """Return the code in a page, block by block."""
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("addr", "admitted"),
    [("192.0.2.7:1080", True), ("198.51.100.7:1080", False), ("", False), ("[::1]:1080", False)],
)
def test_the_example_admits_only_its_network(addr: str, admitted: bool) -> None:
    names: dict[str, Any] = {}
    exec(code_of(README)[0], names)
    make: Callable[[IPv4Network], Admission] = names["SourceNetwork"]
    admission = make(IPv4Network("192.0.2.0/24"))
    assert asyncio.run(admission.admit(Context(), "tcp", addr)) is admitted


def test_the_table_names_each_interface_once_with_its_summary() -> None:
    rows = re.findall(r"^\| `([\w.]+)\.(\w+)` \| (.*) \|$", README, flags=re.MULTILINE)
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
