"""What a check found: the outcome of each clause, as data and as a table."""

import os
import sys
import textwrap
from dataclasses import dataclass
from enum import Enum
from typing import Final, TextIO, final

__all__ = ("Clause", "ContractError", "Outcome", "Report", "Result")


@final
@dataclass(frozen=True, slots=True)
class Clause:
    """One promise of an interface that a check can try."""

    id: str
    """``<module>.<Interface>.<clause>``, the same in docstrings, checks and documentation."""
    sentence: str
    """What is promised."""
    basis: str
    """The decision behind it, such as "D60", or the evidence."""
    after: tuple[str, ...] = ()
    """The ids of the clauses without which this one cannot be tried."""


class Outcome(Enum):
    """What became of a clause."""

    HELD = "held"
    """It was tried, and the object keeps it."""
    BROKEN = "BROKEN"
    """It was tried, and the object does not keep it."""
    NOT_TRIED = "not tried"
    """It could not be tried, so nothing is known."""


@final
@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one clause."""

    clause: Clause
    """What was to be tried."""
    outcome: Outcome
    """What became of it."""
    detail: str = ""
    """What was observed if it is broken; why, if it was not tried."""


_COLOURS: Final[dict[Outcome, str]] = {
    Outcome.HELD: "\x1b[32m",
    Outcome.BROKEN: "\x1b[1;31m",
    Outcome.NOT_TRIED: "\x1b[33m",
}
_RESET: Final[str] = "\x1b[0m"
_WIDTH: Final[int] = 100


@final
@dataclass(frozen=True, slots=True)
class Report:
    """The outcomes of all clauses that one check knows.

    ``str()`` gives the table without colour; :meth:`print` colours it on a terminal.
    """

    subject: str
    """What was checked: the name of its class."""
    interface: str
    """What it was checked against, ``<module>.<Interface>``."""
    results: tuple[Result, ...]
    """The outcome of each clause, in the order in which they were tried."""

    @property
    def held(self) -> tuple[Result, ...]:
        """The clauses that the object keeps."""
        return self._of(Outcome.HELD)

    @property
    def broken(self) -> tuple[Result, ...]:
        """The clauses that the object breaks."""
        return self._of(Outcome.BROKEN)

    @property
    def not_tried(self) -> tuple[Result, ...]:
        """The clauses of which nothing is known."""
        return self._of(Outcome.NOT_TRIED)

    def __str__(self) -> str:
        return self._table(colour=False)

    def print(self, file: TextIO | None = None) -> None:
        """Print the table, in colour if ``file`` is a terminal and NO_COLOR is not set, or empty.

        Args:
            file: where to; None = standard output.
        """
        stream = sys.stdout if file is None else file
        colour = stream.isatty() and not os.environ.get("NO_COLOR")
        print(self._table(colour=colour), file=stream)

    def _of(self, outcome: Outcome) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.outcome is outcome)

    def _table(self, *, colour: bool) -> str:
        lines = [
            f"{self.subject} as {self.interface}: {len(self.held)} held, "
            f"{len(self.broken)} broken, {len(self.not_tried)} not tried"
        ]
        for result in self.results:
            outcome = f"{result.outcome.value:<9}"
            if colour:
                outcome = f"{_COLOURS[result.outcome]}{outcome}{_RESET}"
            basis = f" ({result.clause.basis})" if result.clause.basis else ""
            lines.append(f"  {outcome}  {result.clause.id}")
            lines += _paragraph(f"{result.clause.sentence}{basis}")
            if result.detail and result.outcome is not Outcome.HELD:
                label = "observed: " if result.outcome is Outcome.BROKEN else "because: "
                lines += _paragraph(label + result.detail)
            elif result.detail:
                lines += _paragraph(result.detail)
        return "\n".join(lines)


def _paragraph(text: str) -> list[str]:
    indent = " " * 13
    return [
        wrapped
        for line in text.splitlines()
        for wrapped in textwrap.wrap(
            line, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  "
        )
    ]


@final
class ContractError(AssertionError):
    """An object breaks the contract of its interface.

    The message names the object, the interface and every broken clause, with what was observed.
    """

    def __init__(self, report: Report, /) -> None:
        super().__init__(report)
        self.report: Final[Report] = report

    def __str__(self) -> str:
        broken = self.report.broken
        plural = "clause" if len(broken) == 1 else "clauses"
        lines = [
            f"{self.report.subject} breaks {len(broken)} {plural} of {self.report.interface}",
        ]
        for result in broken:
            basis = f" ({result.clause.basis})" if result.clause.basis else ""
            lines.append(f"{result.clause.id}: {result.clause.sentence}{basis}")
            lines += textwrap.indent(f"observed: {result.detail}", "    ").splitlines()
        return "\n".join(lines)
