"""Prints what an editor shows of members that are drawn by lot, for somebody to review.

``python -m tests.site.hover 7`` draws 25 by the seed 7; ``--count`` says how many.
"""

import argparse
import ast
import random
from collections.abc import Iterator
from importlib import import_module

from docs._made import options, package


def texts() -> Iterator[tuple[str, str]]:
    """Return what an editor shows of each public class, function, method and field, by its name."""
    for module_name in package.contract_names():
        module = package.syntax_tree(module_name)
        public = package.public_names(import_module(module_name))
        for node in module.body:
            if isinstance(node, package.Definition) and node.name in public:
                yield from described(node, f"{module_name}.{node.name}")
        for field, text in options.fields(module).items():
            if field.partition(".")[0] in public:
                yield f"{module_name}.{field}", text


def described(node: package.Definition, name: str) -> Iterator[tuple[str, str]]:
    """Return the text of a definition, and those of its methods."""
    if said := ast.get_docstring(node):
        yield name, said
    if isinstance(node, ast.ClassDef):
        for method in package.methods(node):
            if not method.name.startswith("_"):
                yield from described(method, f"{name}.{method.name}")


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.site.hover", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=25, help="how many to draw; %(default)s")
    arguments = parser.parse_args()
    every = sorted(texts())
    drawn = random.Random(arguments.seed).sample(every, min(arguments.count, len(every)))
    for name, text in drawn:
        print(f"\n== {name}\n\n{text}")


if __name__ == "__main__":
    main()
