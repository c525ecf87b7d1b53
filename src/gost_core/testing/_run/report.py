"""What running a contract found: the outcome of each clause, as data and as a text."""

import os
import re
import sys
import sysconfig
import textwrap
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TextIO, final

__all__ = (
    "Clause",
    "ContractError",
    "Outcome",
    "Report",
    "Result",
    "describe",
    "is_theirs",
    "place_of",
)


@final
@dataclass(frozen=True, slots=True)
class Clause:
    """One promise of an interface that its contract can try."""

    id: str
    """``<module>.<Interface>.<clause>``, the same in reports and documentation; of a clause that
    a subclass of a contract adds, ``<module>.<class>.<clause>`` of that subclass."""
    sentence: str
    """What is promised."""
    basis: str
    """The decisions behind it, such as "D60" or "D1, D27", or the evidence."""
    after: tuple[str, ...] = ()
    """The ids of the clauses without which this one cannot be tried."""

    @property
    def decisions(self) -> tuple[str, ...]:
        """The numbers of the decisions in the basis, such as ("D1", "D27")."""
        return tuple(re.findall(r"\bD\d+\b", self.basis))


class Outcome(Enum):
    """What became of a clause."""

    HELD = "held"
    """The object keeps it, or need not do what it speaks of."""
    BROKEN = "BROKEN"
    """It was tried, and the object does not keep it."""
    KNOWN = "known"
    """It is broken, as whoever ran the contract said that it would be."""
    NOT_TRIED = "not tried"
    """Something that it takes was not given, or what it needs is not held: nothing is known."""


@final
@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one clause."""

    clause: Clause
    """What was to be tried."""
    outcome: Outcome
    """What became of it."""
    detail: str = ""
    """What was observed if it is broken; what was not given, if it was not tried; of a clause that
    holds, what the object does without; "" = it was tried, and holds."""


_COLOURS: Final[dict[Outcome, str]] = {
    Outcome.HELD: "\x1b[32m",
    Outcome.BROKEN: "\x1b[1;31m",
    Outcome.KNOWN: "\x1b[33m",
    Outcome.NOT_TRIED: "\x1b[33m",
}
_RESET: Final[str] = "\x1b[0m"
_WIDTH: Final[int] = 100
_INDENT: Final[str] = " " * 13


@final
@dataclass(frozen=True, slots=True)
class Report:
    """The outcomes of the clauses of one contract that were to be tried.

    ``str()`` gives a short text without colour: what is broken, then what was not tried, by
    reason, and a summary at the end. :meth:`print` colours it on a terminal.
    """

    subject: str
    """What was on trial: the name of its class, with its module."""
    interface: str
    """What it was compared with, ``<module>.<Interface>``."""
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
    def known(self) -> tuple[Result, ...]:
        """The clauses that the object breaks, as was said before."""
        return self._of(Outcome.KNOWN)

    @property
    def not_tried(self) -> tuple[Result, ...]:
        """The clauses of which nothing is known."""
        return self._of(Outcome.NOT_TRIED)

    def raise_if_broken(self) -> "Report":
        """Return the report.

        Raises:
            ContractError: clauses are broken; it lists them all.
        """
        if self.broken:
            raise ContractError(self)
        return self

    def __str__(self) -> str:
        return self._text(colour=False, verbose=False)

    def print(self, file: TextIO | None = None, *, verbose: bool = False) -> None:
        """Print the report, in colour if ``file`` is a terminal and NO_COLOR is not set, or empty.

        Args:
            file: where to; None = standard output.
            verbose: True = each clause with its sentence, those that are kept as well.
        """
        stream = sys.stdout if file is None else file
        colour = stream.isatty() and not os.environ.get("NO_COLOR")
        print(self._text(colour=colour, verbose=verbose), file=stream)

    def _of(self, outcome: Outcome) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.outcome is outcome)

    def _text(self, *, colour: bool, verbose: bool) -> str:
        lines: list[str] = []
        if verbose:
            for outcome in (Outcome.HELD, Outcome.NOT_TRIED, Outcome.KNOWN, Outcome.BROKEN):
                lines += self._in_full(outcome, colour=colour)
        else:
            for outcome in (Outcome.BROKEN, Outcome.KNOWN):
                lines += self._in_full(outcome, colour=colour)
            lines += self._reasons(colour=colour)
            lines += self._names(colour=colour)
        return "\n".join([*lines, self._summary()])

    def _in_full(self, outcome: Outcome, *, colour: bool) -> list[str]:
        """Write each clause of an outcome with its sentence and what was observed."""
        lines: list[str] = []
        for result in self._of(outcome):
            lines.append(f"  {_label(outcome, colour)}  {result.clause.id}")
            lines += _paragraph(_sentence(result.clause))
            if result.detail:
                lines += _paragraph(_DETAILS[outcome] + result.detail)
        return lines

    def _reasons(self, *, colour: bool) -> list[str]:
        """Write what was not tried, the clauses of one reason together."""
        by_reason: dict[str, list[str]] = {}
        for result in self.not_tried:
            by_reason.setdefault(result.detail, []).append(self._short(result.clause))
        lines: list[str] = []
        for reason, names in by_reason.items():
            first, *rest = _paragraph(f"{reason}: {', '.join(names)}")
            lines += [f"  {_label(Outcome.NOT_TRIED, colour)}  {first.strip()}", *rest]
        return lines

    def _names(self, *, colour: bool) -> list[str]:
        """Write which clauses are kept."""
        if not self.held:
            return []
        first, *rest = _paragraph(", ".join(map(self._held, self.held)))
        return [f"  {_label(Outcome.HELD, colour)}  {first.strip()}", *rest]

    def _short(self, clause: Clause) -> str:
        """Return the id of a clause without the name of the interface."""
        return clause.id.removeprefix(f"{self.interface}.")

    def _held(self, result: Result) -> str:
        return self._short(result.clause) + (f" ({result.detail})" if result.detail else "")

    def _summary(self) -> str:
        counts = [
            f"{len(self.held)} held",
            f"{len(self.broken)} broken",
            *([f"{len(self.known)} known to be broken"] if self.known else []),
            f"{len(self.not_tried)} not tried",
        ]
        return f"{self.subject} as {self.interface}: {', '.join(counts)}"


_DETAILS: Final[dict[Outcome, str]] = {
    Outcome.HELD: "",
    Outcome.BROKEN: "observed: ",
    Outcome.KNOWN: "",
    Outcome.NOT_TRIED: "because: ",
}


def _label(outcome: Outcome, colour: bool) -> str:
    text = f"{outcome.value:<9}"
    return f"{_COLOURS[outcome]}{text}{_RESET}" if colour else text


def _sentence(clause: Clause) -> str:
    return f"{clause.sentence} ({clause.basis})" if clause.basis else clause.sentence


def _paragraph(text: str) -> list[str]:
    return [
        wrapped
        for line in text.splitlines()
        for wrapped in textwrap.wrap(
            line,
            _WIDTH,
            initial_indent=_INDENT,
            subsequent_indent=f"{_INDENT}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


@final
class ContractError(AssertionError):
    """An object breaks the contract of its interface.

    The message names every broken clause, what was observed first, then the object and the
    interface.
    """

    def __init__(self, report: Report, /) -> None:
        super().__init__(report)
        self.report: Final[Report] = report

    def __str__(self) -> str:
        broken = self.report.broken
        plural = "clause" if len(broken) == 1 else "clauses"
        lines: list[str] = []
        for result in broken:
            lines.append(result.detail)
            lines.append(f"    {result.clause.id}: {_sentence(result.clause)}")
        lines.append(
            f"{self.report.subject} breaks {len(broken)} {plural} of {self.report.interface}"
        )
        return "\n".join(lines)


# ---- Where something was raised

_KIT: Final[str] = os.path.dirname(os.path.dirname(__file__)) + os.sep
_LIBRARY: Final[tuple[str, ...]] = (
    *{sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")},
    "<frozen ",
)
_INSTALLED: Final[tuple[str, ...]] = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")}
)


def describe(error: BaseException, /) -> str:
    """Name an exception, and the place outside of the kit where it comes from."""
    text = str(error)
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return named + "".join(f", {place}" for place in _places(error))


def _places(error: BaseException) -> Iterable[str]:
    """Say where an exception was raised, and, if that is in an installed package, by whose call."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__, limit=-200)
        if is_theirs(frame.filename)
    ]
    own = [frame for frame in frames if not frame.filename.startswith(_INSTALLED)]
    if frames:
        yield f"at {place_of(frames[-1])}"
    if own and own[-1] is not frames[-1]:
        yield f"called at {place_of(own[-1])}"


def is_theirs(filename: str, /) -> bool:
    """Tell whether a file is neither the kit's nor of the standard library."""
    if filename.startswith(_INSTALLED):
        return not filename.startswith(_KIT)
    return not filename.startswith((_KIT, *_LIBRARY))


def place_of(frame: traceback.FrameSummary, /) -> str:
    """Say where a frame is."""
    relative = os.path.relpath(frame.filename)
    name = frame.filename if relative.startswith(os.pardir) else relative
    return f"{name}:{frame.lineno} in {frame.name}"
