"""Writes docs/coverage.md: where the example implements each interface, and what exercises it.

``python -m tests.examples.coverage_table`` runs the example's traffic
tests and notes which of them call which interface; tests of the contract's clauses do not count.
``--check`` compares the recorded page with the code, without running anything.
"""

import argparse
import ast
import functools
import importlib
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typing_extensions import get_protocol_members, is_protocol

import proxy
from docs._made.go_facts import symbols
from gost_core import chain, logger, selector

TESTS = Path(__file__).parent
PAGE = TESTS.parents[1] / "docs" / "coverage.md"
OF_THE_PACKAGE = (chain, logger, selector)
"""The modules of gost_core that have classes with behaviour."""


def interfaces() -> dict[str, type[object]]:
    """Return the interfaces of the Go module, by their names in Python."""
    names = sorted(
        f"{symbol.package.replace('/', '.')}.{symbol.name}"
        for symbol in symbols().values()
        if symbol.kind == "interface"
    )
    return {
        name: getattr(importlib.import_module(f"gost_core.{module}"), cls)
        for name in names
        for module, _, cls in [name.rpartition(".")]
    }


@functools.cache
def classes() -> tuple[type[object], ...]:
    """Return the classes of the example, and the concrete ones of the package."""
    modules: list[ModuleType] = [*OF_THE_PACKAGE]
    for info in pkgutil.walk_packages(proxy.__path__, "proxy."):
        if not info.name.endswith("__main__"):
            modules.append(importlib.import_module(info.name))
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    )


def implementers(interface: type[object]) -> list[type[object]]:
    """Return the classes that implement an interface and say so."""
    return [cls for cls in classes() if interface in cls.__mro__ and cls is not interface]


class Witness:
    """A plug-in for pytest that notes who calls what during which test."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {name: set() for name in interfaces()}

    def install(self) -> None:
        """Put a note-taker around each method of each implementer, inherited ones included."""
        for name, interface in interfaces().items():
            members = get_protocol_members(interface)
            found = {
                (base, member)
                for cls in implementers(interface)
                for base in cls.__mro__
                for member in members & vars(base).keys()
                if not is_protocol(base)
            }
            for base, member in found:
                setattr(base, member, self._noting(name, vars(base)[member]))

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noting(*args: object, **kwargs: object) -> object:
            # It names the running test, and which part of it runs.
            test = re.split(r"\[| \(", os.environ.get("PYTEST_CURRENT_TEST", ""))[0]
            if "::Test" not in test:  # those classes are made of the contract's clauses
                self.seen[name].add(test)
            return method(*args, **kwargs)

        return noting


def traffic() -> dict[str, list[str]]:
    """Run the traffic tests; return for each interface the tests that exercise it."""
    witness = Witness()
    witness.install()
    files = [
        path for path in TESTS.glob("test_*.py") if not re.search("contract|coverage", path.name)
    ]
    code = pytest.main(["--quiet", "-p", "no:xdist", *map(str, sorted(files))])
    if code:
        sys.exit("a test failed, so the page was left as it is")
    seen = [test for tests in witness.seen.values() for test in tests if test]

    def rank(test: str) -> tuple[bool, int, str]:
        return test not in witness.seen["service.Service"], seen.count(test), test

    # First those with a proxy at work, and of them what exercises little besides.
    return {name: sorted(filter(None, tests), key=rank) for name, tests in witness.seen.items()}


def lines(exercised: dict[str, list[str]]) -> Iterator[str]:
    """Write the page."""
    yield "# The whole architecture at work"
    yield ""
    yield f"Each of the {len(interfaces())} interfaces is implemented by the example in"
    yield "`docs/examples/proxy`, or by the package itself, and carries real traffic in a test."
    yield "This page is made from the code by `python -m tests.examples.coverage_table`."
    yield ""
    yield "| Interface | Implemented by | Exercised by, for example |"
    yield "| --- | --- | --- |"
    for name, interface in interfaces().items():
        where = ", ".join(f"`{cls.__module__}.{cls.__name__}`" for cls in implementers(interface))
        tests = exercised.get(name) or [""]
        path, _, test = tests[0].partition("::")
        more = f", and {len(tests) - 1} more" if len(tests) > 1 else ""
        shown = f"`{Path(path).name}`: {test.removeprefix('test_').replace('_', ' ')}{more}"
        yield f"| `{name}` | {where} | {shown if test else ''} |"


def recorded() -> dict[str, tuple[str, str]]:
    """Return what the page says of each interface: who implements it, and what exercises it."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    return {name: (where, test) for name, where, test in rows}


def faults() -> Iterator[str]:
    """Say what on the page is not, or no longer, so."""
    rows = recorded()
    tests = {
        f"`{path.name}`: {node.name.removeprefix('test_').replace('_', ' ')}"
        for path in TESTS.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for line in lines({}):
        found = re.match(r"\| `([\w.]+)` \| (.*?) \|  \|$", line)
        if found is None:
            continue
        name, where = found.groups()
        said, test = rows.get(name, ("", ""))
        if not where:
            yield f"{name} is implemented nowhere"
        if said != where:
            yield f"{name} is implemented by {where}; the page says {said or 'nothing'}"
        if re.sub(r", and \d+ more$", "", test) not in tests:
            yield f"{name} is exercised by no test that exists; the page says {test or 'nothing'}"


def main() -> int:
    """Write the page, or compare it with the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the page with the code only")
    if not parser.parse_args().check:
        PAGE.write_text("\n".join([*lines(traffic()), ""]), encoding="utf-8")
    found = list(faults())
    print(*found or [f"{PAGE.name} is as the code is."], sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
