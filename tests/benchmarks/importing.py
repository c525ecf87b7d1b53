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


def figures(quick: bool) -> Iterator[Figure]:
    modules = contract_modules()
    floor = ", ".join(floor_modules(modules))
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "bare_dataclasses.py").write_text(bare_dataclasses(modules))
        statements = {
            "floor": floor,
            "floor and bare dataclasses": f"{floor}, bare_dataclasses",
            "gost_core": ", ".join(modules),
            **OTHERS,
        }
        measures: dict[str, Callable[[], float]] = {
            name: partial(import_seconds, names, directory) for name, names in statements.items()
        }
        for measure in measures.values():  # whatever was not compiled yet is now
            measure()
        found = interleaved(measures, 2 if quick else 25)
    for name, samples in found.items():
        yield Figure(name, samples.times(1000), "ms")
    every = found["gost_core"]
    yield ratio("gost_core over its floor", every, found["floor"], Bound("at most", 1.3))
    bare = found["floor and bare dataclasses"]
    yield ratio("gost_core over floor and bare dataclasses", every, bare)
    for name in OTHERS:
        yield ratio(f"gost_core over {name}", every, found[name])


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


def import_seconds(names: str, directory: str) -> float:
    """Import modules in an interpreter of their own; return the seconds that it took."""
    program = f"import time; began = time.process_time(); import {names}; "
    search = os.pathsep.join([directory, *filter(None, sys.path)])
    result = subprocess.run(
        [sys.executable, "-c", program + "print(time.process_time() - began)"],
        capture_output=True,
        check=True,
        text=True,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": search},
    )
    return float(result.stdout)
