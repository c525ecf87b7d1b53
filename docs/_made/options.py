"""Writes into the docstring of each option function what its field says.

``python -m docs._made.options`` changes the sources of gost_core, from which it must be installed.
"""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from docs._made import package


def fields(module: ast.Module) -> dict[str, str]:
    """Return the texts below the fields of a module's classes, by class and field."""
    return {
        f"{cls.name}.{ast.unparse(field.target)}": inspect.cleandoc(text).strip()
        for cls in module.body
        if isinstance(cls, ast.ClassDef)
        for field, below in pairwise(cls.body)
        if isinstance(field, ast.AnnAssign)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(text := below.value.value, str)
    }


def functions(module: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Return the option functions of a module, each with the class and the field that it sets."""
    for function in module.body:
        match function:
            case ast.FunctionDef(
                body=[
                    *_,
                    ast.Return(
                        value=ast.Call(
                            func=ast.Name(id="FieldOption"),
                            args=[ast.Name(id=owner), ast.Constant(value=str(field)), _],
                        )
                    ),
                ]
            ):
                yield function, f"{owner}.{field}"
            case _:
                pass


def written(source: str) -> str:
    """Return the source of a module with the docstrings of its option functions written anew."""
    module = ast.parse(source)
    texts = fields(module)
    lines = source.splitlines(keepends=True)
    for function, field in reversed(list(functions(module))):
        first = function.body[0].lineno - 1
        last = first if ast.get_docstring(function) is None else function.body[0].end_lineno
        docstring = f'"""Set ``{field}``.\n\n{texts[field]}\n"""'
        lines[first:last] = [f"    {line}".rstrip() + "\n" for line in docstring.split("\n")]
    return "".join(lines)


if __name__ == "__main__":
    for name in package.contract_names():
        path = Path(inspect.getfile(import_module(name)))
        source = path.read_text(encoding="utf-8")
        if (new := written(source)) != source:
            path.write_text(new, encoding="utf-8")
            print(f"{name} written")
