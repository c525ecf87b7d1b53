"""What the kit itself takes: each contract, tried on the right implementation of its tests.

Waits cost nothing here: idle time is skipped, and what is measured is processor time.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.benchmarks.measure import Bound, Figure, Samples, interleaved
from tests.kit import TRIALS, Trial, virtual_time


def figures(quick: bool) -> Iterator[Figure]:
    trials = TRIALS[:3] if quick else TRIALS
    measures: dict[str, Callable[[], float]] = {
        trial.contract.clauses[0].id.removesuffix(".shape"): partial(seconds, trial)
        for trial in trials
    }
    found = interleaved(measures, 2 if quick else 5)
    total = Samples(
        [sum(values) for values in zip(*(s.values for s in found.values()), strict=True)]
    )
    clauses = sum(len(trial.contract.clauses) for trial in trials)
    yield Figure(f"{len(found)} contracts", total, "s")
    yield Figure(f"a clause, of {clauses}", total.times(1000 / clauses), "ms", Bound("at most", 50))
    slowest = sorted(found, key=lambda name: found[name].middle(), reverse=True)
    for name in slowest[:3]:
        yield Figure(f"one of the slowest: {name}", found[name], "s")


def seconds(trial: Trial[Any]) -> float:
    """Return the processor time of one run of a contract."""
    contract = trial.over(trial.right)
    began = time.process_time()
    virtual_time.run(contract.run())
    return time.process_time() - began
