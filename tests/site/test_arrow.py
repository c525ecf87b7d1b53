"""Who imports whom, on the syntax tree: tests/ may use what makes the pages, docs/ never tests/."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.one_python

ROOT: Final = Path(__file__).parents[2]
FILES: Final = [
    path.relative_to(ROOT) for part in ("docs", "tests") for path in ROOT.glob(f"{part}/**/*.py")
]


def imported(path: Path) -> Iterator[str]:
    """Return what the absolute imports of a file name; the others stay in its package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=str(source), level=0, names=aliases):
                yield from (f"{source}.{alias.name}" for alias in aliases)
            case ast.ImportFrom(level=level) if level > 1:
                if not (path.parents[level - 1] / "__init__.py").exists():
                    pytest.fail(f"{path}: line {node.lineno} imports from above its package")
            case _:
                pass


def is_allowed(path: Path, name: str) -> bool:
    """Say whether a file may import a name, if it is one of docs/ or tests/."""
    match name.split("."):
        case ["tests", *_]:
            return path.parts[0] == "tests"
        case ["docs", "_made", *_]:
            return path.parts[0] == "tests" or path.is_relative_to("docs/_made")
        case ["docs", *_]:
            return False
        case _:
            return True


@pytest.mark.parametrize("path", FILES, ids=Path.as_posix)
def test_a_file_imports_only_what_stands_before_it(path: Path) -> None:
    assert [name for name in imported(ROOT / path) if not is_allowed(path, name)] == []


def test_an_import_is_seen_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "page.py"
    path.write_text("def draw():\n    from tests.kit import net\nimport tests.kit, docs.conf\n")
    found = set(imported(path))
    assert found == {"tests.kit.net", "tests.kit", "docs.conf"}
    assert not any(is_allowed(Path("docs/_made/draw.py"), name) for name in found)
