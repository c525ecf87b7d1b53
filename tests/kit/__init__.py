"""Every trial of the contracts of gost_core.testing, each at the path of its contract."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from gost_core import testing
from tests.kit.trial import Fault, Trial


def _trials() -> Iterator[Trial[Any]]:
    for info in walk_packages(testing.__path__, f"{testing.__name__}."):
        path = info.name.removeprefix(f"{testing.__name__}.")
        if path[0] != "_" and "._" not in path and import_module(info.name).__all__:
            yield from import_module(f"{__name__}.{path}").trials


TRIALS: tuple[Trial[Any], ...] = tuple(_trials())

FAULTS: tuple[Fault, ...] = tuple(fault for trial in TRIALS for fault in trial.faults)

__all__ = ("FAULTS", "TRIALS", "Fault", "Trial")
