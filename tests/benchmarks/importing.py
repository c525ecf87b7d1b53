"""What importing the contract takes, in a fresh interpreter, beside other interface libraries."""

import ast
import dataclasses
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import gost_core
from tests.benchmarks.measure import Bound, Figure, interleaved, ratio

OTHERS = {
    "opentelemetry-api": "opentelemetry.baggage, opentelemetry.metrics, opentelemetry.propagate, "
    "opentelemetry.trace, opentelemetry._logs",
    "zope.interface": "zope.interface",
    "anyio.abc": "anyio.abc",
    "trio.abc": "trio.abc",
    "twisted.internet.interfaces": "twisted.internet.interfaces",
}

AFTER = Bound("at most", 0.95)

WHY = """\
Most of what importing adds to its floor is the code that dataclasses generate and compile at each
import: the share above. Were dataclasses, or protocols too, for nothing, it would come to the next
ratios. Each way around the compiling was tried, and takes more than it gives: methods shared by all
dataclasses reach 1.83, make comparing eight times slower and hide the fields from type checkers;
methods that are compiled when they are first called reach 1.41, and isinstance finds Hashable where
nothing can be hashed. So what counts is what a program pays that has imported asyncio anyway.
"""

FREE = {
    "free_dataclasses": """
import dataclasses

def dataclass(cls=None, **options):
    return cls or (lambda cls: cls)

dataclasses.dataclass = dataclass
""",
    "free_protocols": """
import typing_extensions

class Protocol:
    __slots__ = ()

    def __class_getitem__(cls, key):
        return cls

typing_extensions.Protocol = Protocol
typing_extensions.runtime_checkable = lambda cls: cls
typing_extensions.get_protocol_members = lambda cls: frozenset()
""",
}
"""Modules that make something cost nothing, and do nothing."""


def figures(quick: bool) -> Iterator[Figure]:
    modules = contract_modules()
    every, floor = ", ".join(modules), ", ".join(floor_modules(modules))
    free = f"{floor}, free_dataclasses"
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "bare_dataclasses.py").write_text(bare_dataclasses(modules))
        for name, source in FREE.items():
            Path(directory, f"{name}.py").write_text(source)
        statements = {
            "floor": floor,
            "floor and bare dataclasses": f"{floor}, bare_dataclasses",
            "gost_core": every,
            "gost_core, dataclasses for nothing": f"{free}, {every}",
            "gost_core, protocols for nothing too": f"{free}, free_protocols, {every}",
            "gost_core.listener": "gost_core.listener",
            "gost_core.testing": "gost_core.testing",
            "asyncio": "asyncio",
            **OTHERS,
        }
        measures: dict[str, Callable[[], float]] = {
            name: partial(import_seconds, names, directory) for name, names in statements.items()
        }
        after = "gost_core, after asyncio"
        measures[after] = partial(import_seconds, every, directory, "import asyncio")
        for measure in measures.values():  # whatever was not compiled yet is now
            measure()
        found = interleaved(measures, 2 if quick else 25)
    for name, samples in found.items():
        yield Figure(name, samples.times(1000), "ms")
    whole, least = found["gost_core"], found["floor"]
    yield ratio("gost_core after asyncio, over asyncio", found[after], found["asyncio"], AFTER)
    listener, kit = found["gost_core.listener"], found["gost_core.testing"]
    yield ratio("gost_core.testing over gost_core.listener", kit, listener, Bound("at most", 1.5))
    yield ratio("gost_core over its floor", whole, least)
    nothing = found["gost_core, dataclasses for nothing"]
    share = whole.minus(nothing).over(whole.minus(least)).times(100)
    yield Figure("of what it adds to its floor, dataclasses", share, "%")
    for name in ("gost_core, dataclasses for nothing", "gost_core, protocols for nothing too"):
        yield ratio(f"{name}, over the floor", found[name], least)
    bare = found["floor and bare dataclasses"]
    yield ratio("gost_core over floor and bare dataclasses", whole, bare)
    for name in OTHERS:
        yield ratio(f"gost_core over {name}", whole, found[name])


def contract_modules() -> list[str]:
    """Return the names of all modules of the package but those of ``testing``."""
    found = pkgutil.walk_packages(gost_core.__path__, "gost_core.")
    return [module.name for module in found if ".testing" not in module.name]


def floor_modules(modules: list[str]) -> list[str]:
    """Return what the modules import from elsewhere, themselves."""
    found: set[str] = set()
    for name in modules:
        for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(name)))):
            match node:
                case ast.Import(names=aliases):
                    found.update(alias.name for alias in aliases)
                case ast.ImportFrom(module=str(source)):
                    found.add(source)
                case _:
                    pass
    return sorted(name for name in found if not name.startswith("gost_core"))


def bare_dataclasses(modules: list[str]) -> str:
    """Write a module that has as many dataclasses, with as many fields, and nothing else.

    How much of the import is the code that dataclasses generate shows beside it.
    """
    lines = ["from dataclasses import dataclass"]
    for name in modules:
        module = importlib.import_module(name)
        for cls in vars(module).values():
            if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
                continue
            if cls.__module__ == name:
                frozen = "__setattr__" in vars(cls)
                lines.append(f"@dataclass(slots=True, kw_only=True, frozen={frozen})")
                lines.append(f"class C{len(lines)}:\n    'Documented.'")
                lines += [f"    {field.name}: object = None" for field in dataclasses.fields(cls)]
    return "\n".join(lines) + "\n"


def import_seconds(names: str, directory: str, before: str = "") -> float:
    """Import modules in an interpreter of their own; return the seconds that it took.

    Args:
        names: the modules.
        directory: where to look for modules first.
        before: a statement to execute before the clock runs.
    """
    program = f"{before}\nimport time; began = time.process_time(); import {names}; "
    search = os.pathsep.join([directory, *filter(None, sys.path)])
    result = subprocess.run(
        [sys.executable, "-c", program + "print(time.process_time() - began)"],
        capture_output=True,
        check=True,
        text=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": ""},
    )
    return float(result.stdout)
