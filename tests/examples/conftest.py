"""Make the examples importable where they lie, and the harness of their tests beside them."""

import sys
from pathlib import Path

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE.parents[1] / "docs" / "examples")]
