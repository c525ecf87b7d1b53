"""Writes docs/clauses.md and docs/historical-faults.md from the contracts and their trials.

Run ``python -m tests.kit.clauses`` after a change to a clause or a trial; with ``--check`` it only
compares.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gost_core.testing import Clause
from tests.kit import FAULTS, TRIALS, Trial, kinds
from tests.kit.history import TRAPS, UNSEEN

DOCS = Path(__file__).parents[2] / "docs"
DECISIONS = DOCS / "decisions.md"
REPORT = re.compile(r"(?:(core@)?([0-9a-f]{7})|(x)?#(\d+))")
NO_CLAUSE = re.compile(r"^\*\*(?:Not checked yet|Cannot be checked)\*\*: ((?:.+\n)+)", re.MULTILINE)


def clauses() -> list[Clause]:
    """Return all clauses; what two contracts of one interface share is there once."""
    return list({one.id: one for trial in TRIALS for one in trial.contract.clauses}.values())


def decisions() -> dict[str, str]:
    """Return what is said under each decision, by number, in order."""
    sections = re.split(r"^#+ (.+)\n", DECISIONS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titled = zip(sections[1::2], sections[2::2], strict=True)
    return {title.partition(":")[0]: text for title, text in titled if re.match(r"D\d+: ", title)}


def without_clause() -> dict[str, str]:
    """Return why no clause rests on a decision, or "" if it does not say that, by number."""
    return {
        number: " ".join(reason[1].split()) if (reason := NO_CLAUSE.search(text)) else ""
        for number, text in decisions().items()
        if number not in tried()
    }


def tried() -> set[str]:
    """Return the numbers of the decisions that clauses rest on."""
    return {number for clause in clauses() for number in re.findall(r"\bD\d+\b", clause.basis)}


def clause_lines() -> Iterator[str]:
    """Write the page of the clauses."""
    yield "# The contract's clauses"
    yield ""
    yield "What `gost_core.testing` can try on an implementation, sentence by sentence. The ids"
    yield "are stable: they stand in the reports of the contracts, and here. This page is made from"
    yield "the code by `python -m tests.kit.clauses`."
    yield ""
    interfaces = {interface_of(trial) for trial in TRIALS}
    yield f"{len(clauses())} clauses of {len(TRIALS)} contracts, for {len(interfaces)} interfaces:"
    yield "those of Go that promise behaviour, and those of `gost_core.common.net`."
    for trial in sorted(TRIALS, key=title):
        interface = interface_of(trial)
        path = interface.rpartition(".")[0]
        yield ""
        yield f"## {title(trial)}"
        yield ""
        contract = f"gost_core.testing.{path}.{trial.contract.__name__}"
        hooks = ", ".join(f"`{name}`" for name in inspect.signature(trial.contract).parameters)
        yield f"`{interface}` is tried by `{contract}`, which takes {hooks}."
        yield ""
        yield "| Clause | Promise | Decision |"
        yield "| --- | --- | --- |"
        for clause in trial.contract.clauses:
            name = clause.id.rpartition(".")[2]
            yield f"| `{name}` | {cell(clause.sentence)} | {clause.basis or 'the interface'} |"
    yield from kind_lines()
    yield ""
    yield "## Decisions without a clause"
    yield ""
    yield "What no black box can see, what is not the affair of a single implementation, or what"
    yield "is new."
    yield ""
    yield "| Decision | Why |"
    yield "| --- | --- |"
    for number, reason in without_clause().items():
        yield f"| {number} | {reason[:1].upper()}{reason[1:]} |"


def kind_lines() -> Iterator[str]:
    """Write the table of the kinds of faults: what sees each in each interface, and reasons."""
    table = {interface: kinds.row(ids) for interface, ids in clause_ids().items()}
    seen = sum(bool(one.clauses) for row in table.values() for one in row)
    cells = len(table) * len(kinds.KINDS)
    yield ""
    yield "## Kinds of faults"
    yield ""
    yield f"What competent developers get wrong is of {len(kinds.KINDS)} kinds. In {seen} of the"
    yield f"{cells} cells of this table a clause sees the kind; the number says how many do. In the"
    yield "others, a dash, the kind cannot occur, or no black box can see it: the lists below say"
    yield "why, and name the clauses."
    yield ""
    for number, kind in enumerate(kinds.KINDS, 1):
        yield f"{number}. **{kind.name}.** {kind.what}"
    yield ""
    numbers = [str(number) for number in range(1, len(kinds.KINDS) + 1)]
    yield "{.kinds}"
    yield f"| Interface | {' | '.join(numbers)} |"
    yield f"| --- |{' --- |' * len(numbers)}"
    for interface, row in table.items():
        marks = [str(len(one.clauses)) if one.clauses else "-" for one in row]
        yield f"| [`{interface}`](#{anchor(interface)}) | {' | '.join(marks)} |"
    for at, kind in enumerate(kinds.KINDS):
        yield ""
        yield f"<details><summary>{kind.name}</summary>"
        yield ""
        for interface, row in table.items():
            if row[at].clauses:
                names = ", ".join(f"`{name}`" for name in row[at].clauses)
                yield f"- `{interface}`: {names}"
        reasons: dict[str, list[str]] = {}
        for interface, row in table.items():
            if not row[at].clauses:
                reasons.setdefault(row[at].reason, []).append(f"`{interface}`")
        for reason, interfaces in reasons.items():
            yield f"- {reason} {', '.join(interfaces)}"
        yield ""
        yield "</details>"


def anchor(interface: str) -> str:
    """Return where the section of an interface is on the page."""
    return interface.replace(".", "").lower()


def clause_ids() -> dict[str, tuple[str, ...]]:
    """Return the ids of the clauses of each interface, in order of the interfaces."""
    ids: dict[str, dict[str, None]] = {}
    for trial in TRIALS:
        of_it = ids.setdefault(interface_of(trial), {})
        of_it.update(dict.fromkeys(clause.id for clause in trial.contract.clauses))
    return {interface: tuple(ids[interface]) for interface in sorted(ids)}


def history_lines() -> Iterator[str]:
    """Write the page of the historical faults."""
    yield "# Historical faults"
    yield ""
    yield "Bugs that the Go implementations of these interfaces have had, and the clause that"
    yield "catches each. Every row is a faulty implementation in `tests/kit`, and a test holds that"
    yield "the contract names exactly that clause. A hash is a commit of go-gost/x, `core@` one of"
    yield "go-gost/core, `#N` an issue of go-gost/gost, `x#N` one of go-gost/x; `x` and a name say"
    yield "what the code of that component does, without a report. This page is made from the code"
    yield "by `python -m tests.kit.clauses`."
    yield ""
    yield "| Where | What went wrong | Clause | Trial |"
    yield "| --- | --- | --- | --- |"
    for fault in sorted(FAULTS, key=lambda fault: (fault.clause, fault.name)):
        if fault.history:
            where, what = split(fault.history)
            yield f"| {linked(where)} | {cell(what)} | `{fault.clause}` | `{fault.name}` |"
    yield ""
    yield "## What no black box can see"
    yield ""
    yield "| Where | What went wrong | Why no clause sees it |"
    yield "| --- | --- | --- |"
    for trap in TRAPS:
        if trap.name in UNSEEN:
            yield f"| {linked(trap.name)} | {trap.what} | {UNSEEN[trap.name]} |"


def interface_of(trial: Trial[Any]) -> str:
    """Return the name of the interface that a trial's contract is for."""
    return trial.contract.clauses[0].id.rpartition(".")[0]


def title(trial: Trial[Any]) -> str:
    """Return the interface, and which kind of it where it has several contracts."""
    interface = interface_of(trial)
    kind = trial.contract.__name__.removesuffix(f"{interface.rpartition('.')[2]}Contract")
    return f"{interface}, {kind.lower()}" if kind else interface


def split(history: str) -> tuple[str, str]:
    """Take apart where a fault was and what it did."""
    named = re.fullmatch(r"((?:x|core)(?: [^:]*)?): (.*)", history)
    reported = re.fullmatch(r"((?:(?:(?:core@)?[0-9a-f]{7}|x?#\d+) )+)(.*)", history)
    found = named or reported
    if found is None:
        raise ValueError(f"{history!r} names no commit, issue or component")
    return found[1].strip(), found[2]


def linked(where: str) -> str:
    """Make a link of each commit and of each issue; what is neither stays as it is."""
    return " ".join(
        f"[{word}](https://github.com/go-gost/{address(*found.groups())})"
        if (found := REPORT.fullmatch(word))
        else word
        for word in where.split()
    )


def address(core: str | None, commit: str | None, x: str | None, issue: str | None) -> str:
    """Return where a commit or an issue is, below the organisation."""
    if commit:
        return f"{'core' if core else 'x'}/commit/{commit}"
    return f"{'x' if x else 'gost'}/issues/{issue}"


def cell(text: str) -> str:
    """Write text in a table."""
    return text.replace("|", "\\|")


def pages() -> dict[Path, str]:
    """Return what stands in each file."""
    return {
        DOCS / "clauses.md": "\n".join([*clause_lines(), ""]),
        DOCS / "historical-faults.md": "\n".join([*history_lines(), ""]),
    }


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if out of date")
    check = parser.parse_args().check
    outdated = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in outdated:
        if check:
            print(f"{path.name} is out of date: run python -m tests.kit.clauses")
        else:
            path.write_text(pages()[path], encoding="utf-8")
            print(f"{path.name} written")
    return int(check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main())
