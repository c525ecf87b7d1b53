"""What griffe, a tool of others, finds broken between two states of the package.

It sees less than the guard, and other things: each side's mistakes are not the other's.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.release.surface_guard import Change


def breakages(old: Path, new: Path) -> Iterator[tuple[str, str]]:
    """Compare two folders with the package; return what breaks, by public name, and how."""
    import griffe  # only a release needs it, and tests of a release run without it too

    before, after = (
        griffe.load("gost_core", search_paths=[place], allow_inspection=False)
        for place in (old, new)
    )
    for breakage in griffe.find_breaking_changes(before, after):
        # What a private module defines is public by the name of its parent; a constructor that
        # nobody wrote is that of the fields.
        name = re.sub(r"\._\w+(?=\.)", "", breakage.obj.path).removesuffix(".__init__")
        yield name, breakage.explain(griffe.ExplanationStyle.ONE_LINE)


def unseen(found: Iterable[tuple[str, str]], changes: Iterable[Change]) -> Iterator[str]:
    """Return what breaks by names that, by the guard, break nobody."""
    broken = [f"{change.name}." for change in changes if change.broken]
    for name, what in found:
        own = f"{name}."
        if not any(own.startswith(other) or other.startswith(own) for other in broken):
            yield what
