"""Writes the public surface to ``tests/data/surface.txt``: ``python -m tests.release.snapshot``.

The text is read in code review: whatever changes the contract shows there.
"""

import argparse
import sys
from difflib import unified_diff
from pathlib import Path

from docs._made import surface

RECORD = Path(__file__).parents[1] / "data" / "surface.txt"


def difference() -> str:
    """Return how the surface differs from the record, as a unified diff; "" if it does not."""
    recorded = RECORD.read_text(encoding="utf-8") if RECORD.exists() else ""
    lines = unified_diff(
        recorded.splitlines(), surface.text().splitlines(), RECORD.name, "gost_core", lineterm=""
    )
    return "\n".join(lines)


def main() -> int:
    """Write the surface to its record, or compare it with the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare with surface.txt, and fail if it differs"
    )
    options = parser.parse_args()
    if not options.check:
        RECORD.write_text(surface.text(), encoding="utf-8")
        return 0
    found = difference()
    print(found or "The surface is as recorded.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
