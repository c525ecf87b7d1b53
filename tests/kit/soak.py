"""Runs all contracts on right implementations again and again, and counts false alarms.

    python tests/kit/soak.py --runs 200 --at-once 8

So many processes at once run all trials; they are each other's load, and ``--busy`` adds loops that
do nothing else. At the end it says which clauses were not held, how often, and how near each clause
has come to its time limit.
"""

import argparse
import asyncio
import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from gost_core.testing import Contract, Outcome  # noqa: E402 the trials are no installed package
from gost_core.testing._run.attempt import observers  # noqa: E402
from tests.kit import TRIALS  # noqa: E402

ENOUGH: Final = 0.5
"""The part of its time limit that no clause should need."""


@dataclass
class Found:
    """What runs have shown."""

    alarms: Counter[str] = field(default_factory=Counter[str])
    """How often a clause was not held."""
    observed: dict[str, str] = field(default_factory=dict[str, str])
    """What was observed the last time."""
    shares: dict[str, float] = field(default_factory=dict[str, float])
    """The largest part of its time limit that a wait of a clause has taken."""

    def add(self, other: "Found") -> None:
        self.alarms.update(other.alarms)
        self.observed.update(other.observed)
        for clause, share in other.shares.items():
            self.shares[clause] = max(share, self.shares.get(clause, 0.0))


def run_all(_: int) -> Found:
    """Run the contract of every trial once."""
    found = Found()
    observers[:] = [
        lambda made: found.shares.update({made.clause: made.longest_wait / made.time_limit})
    ]
    for trial in TRIALS:
        # The limit that users have: those of the trials are short, for the faults that hang.
        patient = replace(trial.over(trial.right), time_limit=Contract.time_limit)
        for result in asyncio.run(patient.run()).results:
            if result.outcome is not Outcome.HELD:
                found.alarms[result.clause.id] += 1
                found.observed[result.clause.id] = result.detail
    return found


def burn() -> None:
    while True:
        pass


def main() -> int:
    """Run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how often all contracts are run")
    parser.add_argument("--at-once", type=int, default=8, help="how many processes run them")
    parser.add_argument("--busy", type=int, default=0, help="how many loops are busy beside them")
    arguments = parser.parse_args()
    spawning = multiprocessing.get_context("spawn")
    loops = [spawning.Process(target=burn, daemon=True) for _ in range(arguments.busy)]
    for loop in loops:
        loop.start()
    began = time.monotonic()
    found = Found()
    try:
        with ProcessPoolExecutor(arguments.at_once, spawning) as pool:
            runs = [pool.submit(run_all, number) for number in range(arguments.runs)]
            for done, run in enumerate(as_completed(runs), 1):
                found.add(run.result())
                print(f"\r{done} of {arguments.runs} runs", end="", file=sys.stderr, flush=True)
    finally:
        for loop in loops:
            loop.terminate()
    print(file=sys.stderr)
    for clause, share in sorted(found.shares.items(), key=lambda pair: -pair[1]):
        print(f"{share:7.1%} of its time limit  {clause}")
    for clause, times in found.alarms.most_common():
        print(f"FALSE ALARM, {times} times  {clause}: {found.observed[clause]}")
    late = sum(share > ENOUGH for share in found.shares.values())
    print(
        f"{arguments.runs} runs of {len(found.shares)} clauses, {arguments.at_once} at once beside "
        f"{arguments.busy} busy loops, in {time.monotonic() - began:.0f} s: "
        f"{found.alarms.total()} false alarms, {late} clauses above {ENOUGH:.0%} of their limit"
    )
    return int(bool(found.alarms) or bool(late))


if __name__ == "__main__":
    sys.exit(main())
