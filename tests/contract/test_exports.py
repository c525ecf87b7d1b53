"""What a module offers, and what comes with importing it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, resources
from typing import Final, TypeVar

import pytest

from docs._made import package


def defined_names(module_name: str) -> Iterator[str]:
    """Return the public names that a module defines, or brings up from a private one below it."""
    module = import_module(module_name)
    for node in package.syntax_tree(module_name).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = [node.name]
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case ast.ImportFrom(module=str(source)) if source.startswith(f"{module_name}._"):
                names = [alias.name for alias in node.names]
            case _:
                names = []
        for name in names:
            if not name.startswith("_") and not isinstance(getattr(module, name), TypeVar):
                yield name


@pytest.mark.parametrize("module_name", package.module_names())
def test_all_lists_what_a_module_defines(module_name: str) -> None:
    names = package.public_names(import_module(module_name))
    assert set(names) == set(defined_names(module_name))


@pytest.mark.parametrize("module_name", package.module_names())
def test_all_is_a_sorted_tuple(module_name: str) -> None:
    names = package.public_names(import_module(module_name))
    assert type(names) is tuple
    assert list(names) == sorted(set(names))


IMPORT_EACH_FIRST: Final = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    for imported in [module for module in sys.modules if module.startswith("gost_core")]:
        del sys.modules[imported]
    import_module(name)
"""


@pytest.mark.needs("processes")
@pytest.mark.one_python
def test_each_module_can_be_the_first_that_is_imported() -> None:
    subprocess.run([sys.executable, "-c", IMPORT_EACH_FIRST, *package.module_names()], check=True)


@pytest.mark.needs("processes")
def test_importing_the_package_imports_no_other_module_of_it() -> None:
    program = (
        "import sys, gost_core; print(*(name for name in sys.modules if 'gost_core.' in name))"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert process.stdout.split() == []


def test_the_package_is_marked_as_typed() -> None:
    assert resources.files(package.NAME).joinpath("py.typed").is_file()
