"""Compares a checkout of go-gost/core with the recorded facts, and says what Python would need.

Exit status: 0 without a difference, 1 with one, 2 if something was not understood. With ``--write``
the facts of the checkout become the record; test_parity.py then names what the package lacks.

A recorded name that is known from elsewhere than the module's sources says from where, its origin;
a checkout that has the name decides what it is, and takes the place of the origin.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs._made import go_facts, translation
from tests.go.upstream_reader import MODULE, Facts, UnreadableError, read

JUDGEMENT = """\
The rules cannot tell what may wait or be None, nor what is looked for at run time: decide it for
each new method and interface, in BLOCKING, NONE_RESULTS, NONE_ARGUMENTS and RUNTIME_CHECKABLE of
translation.py. Whatever Go leaves unsaid needs a decision in docs/decisions.md."""


@dataclass(frozen=True, slots=True)
class Version:
    """The facts of one version of the module."""

    commit: str
    version: str
    packages: Mapping[str, Mapping[str, Facts]]

    def __str__(self) -> str:
        return f"{self.version} ({self.commit})"

    def text(self) -> str:
        """Write the record."""
        facts = {"module": MODULE, "commit": self.commit, "version": self.version}
        return json.dumps({**facts, "packages": self.packages}, indent=1, ensure_ascii=False)

    def names(self) -> dict[str, Facts]:
        """Return the facts of every name: ``chain.Node``."""
        return {
            f"{package}.{name}": facts
            for package, names in self.packages.items()
            for name, facts in names.items()
        }


@dataclass(frozen=True, slots=True)
class Side:
    """A name as one version has it: in Go, in Python, and what is not settled about the latter."""

    go: Sequence[str] = ()
    python_name: str = ""
    python: Sequence[str] = ()
    undecided: Sequence[str] = ()
    origins: Sequence[str] = ()
    """Where the name, or some of its fields, are known from, if not from the module's sources."""


@dataclass(frozen=True, slots=True)
class Change:
    """A name that is not the same in two versions."""

    name: str
    old: Side
    new: Side

    @property
    def kind(self) -> str:
        """Say whether the name was added, changed or removed."""
        if not self.old.go:
            return "added"
        return "changed" if self.new.go else "removed"

    def lines(self) -> Iterator[str]:
        """Describe the change in Go's terms, then in Python's."""
        yield f"{self.kind} {self.name}"
        order = ["  the same fields in another order"]
        yield from _block("Go", "", _difference(self.old.go, self.new.go) or order)
        python_name = self.new.python_name or self.old.python_name
        difference = _difference(self.old.python, self.new.python)
        if self.kind == "changed" and not (difference or self.new.undecided):
            difference = ["  as it was, but for an order or the name of a parameter"]
        yield from _block("Python", f"gost_core.{python_name}", difference)
        yield from _block("Undecided", "", self.new.undecided)
        yield from _block("Known from", "", self.old.origins)


def recorded() -> Version:
    """Read the recorded facts."""
    facts: Any = json.loads(go_facts.RECORD.read_text(encoding="utf-8"))
    return Version(facts["commit"], facts["version"], facts["packages"])


def of_checkout(checkout: Path) -> tuple[Version, list[str]]:
    """Read the facts of a checkout, and what of it the facts cannot hold."""
    source = read(checkout)
    commit = _git(checkout, "rev-parse", "--short=7", "HEAD")
    version = _git(checkout, "describe", "--tags", "--always")
    return Version(commit, version, source.packages), source.problems


def changes(old: Version, new: Version) -> Iterator[Change]:
    """Return every difference between two versions, by name."""
    before, after = sides(old), sides(new)
    for name in sorted(before.keys() | after.keys()):
        change = Change(name, before.get(name, Side()), after.get(name, Side()))
        if change.old.go != change.new.go:
            yield change


def confirmed(old: Version, new: Version) -> list[str]:
    """Return the names whose origin is recorded, and that a later version has just as recorded."""
    before, after = sides(old), sides(new)
    both = before.keys() & after.keys()
    return sorted(
        name
        for name in both
        if before[name].go == after[name].go and before[name].origins and not after[name].origins
    )


def sides(version: Version) -> dict[str, Side]:
    """Describe every name of a version."""
    with go_facts.using(version.packages):
        symbols = go_facts.symbols()
        return {name: _side(facts, symbols[name]) for name, facts in version.names().items()}


def go_lines(name: str, facts: Facts) -> Iterator[str]:
    """Write a name as Go declares it: its head, then the fields in order, then the methods."""
    kind = facts["kind"]
    match kind:
        case "interface" | "struct":
            yield f"type {name}{facts.get('type_params', '')} {kind}"
        case "functype":
            yield f"type {name} func{_signature(facts)}"
        case "type":
            yield f"type {name} {facts['type']}"
        case "slice":
            yield f"type {name} []{facts['elem']}"
        case "func":
            sets = f" // sets {facts['sets']}" if "sets" in facts else ""
            yield f"func {name}{_signature(facts)}{sets}"
        case _:
            type_ = f" {facts['type']}" if facts["type"] else ""
            value = f" = {facts['value']}" if facts["value"] else ""
            yield f"{kind} {name}{type_}{value}"
    yield from (f"    {_field(field)}" for field in facts.get("fields", ()))
    methods = sorted(facts.get("methods", {}).items())
    yield from (f"    {method}{_signature(signature)}" for method, signature in methods)


def _side(facts: Facts, symbol: go_facts.Symbol) -> Side:
    go = list(go_lines(symbol.name, facts))
    undecided = list(translation.undecided(symbol))
    module = translation.module_name(symbol.package)
    python_name = f"{module}.{translation.python_name(symbol)}"
    found = [symbol.origin, *(field.origin for field in symbol.fields)]
    origins = list(dict.fromkeys(origin for origin in found if origin))
    if undecided:  # the rules would lead astray
        return Side(go, python_name, (), undecided, origins)
    head, *members = translation.declaration(symbol)
    if symbol.kind in ("interface", "struct", "slice", "type") and head.startswith("@"):
        head, *members = (f"{head} {members[0]}", *members[1:])
    python = [head, *(f"    {member}" for member in members)]
    return Side(go, python_name, python, (), origins)


def _field(field: Facts) -> str:
    inner = "; ".join(_field(one) for one in field.get("fields", ()))
    return f"{field['name']} {field['type']}" + (f" {{ {inner} }}" if inner else "")


def _signature(facts: Facts) -> str:
    parameters = ", ".join(f"{one['name']} {one['type']}".strip() for one in facts["params"])
    results = [f"{one['name']} {one['type']}".strip() for one in facts["results"]]
    alone = len(results) == 1 and " " not in results[0]
    listed = f" {results[0]}" if alone else f" ({', '.join(results)})" if results else ""
    return f"({parameters}){listed}"


def _difference(old: Sequence[str], new: Sequence[str]) -> list[str]:
    gone = [f"- {line}" for line in old if line not in new]
    return gone + [f"+ {line}" for line in new if line not in old]


def _block(title: str, first: str, lines: Sequence[str]) -> Iterator[str]:
    everything = [first, *lines] if first else lines
    for place, line in enumerate(everything):
        yield f"    {title if place == 0 else '':<9} {line}".rstrip()


def _git(checkout: Path, *command: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(checkout), *command],
            capture_output=True,
            check=True,
            encoding="utf-8",
        )
    except FileNotFoundError:
        raise UnreadableError("git is needed to tell which version a checkout is") from None
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip()
        raise UnreadableError(f"git cannot tell which version {checkout} is: {said}") from None
    return result.stdout.strip()


def _compare(checkout: Path, against: Path | None, *, write: bool) -> int:
    new, problems = of_checkout(checkout)
    if against is None:
        old = recorded()
    else:
        old, more = of_checkout(against)
        problems += more
    found = list(changes(old, new))
    print(f"{MODULE} {new}, compared with {old}")
    for change in found:
        print("", *change.lines(), sep="\n")
    for problem in problems:
        print(f"\nnot understood {problem}")
    for name in confirmed(old, new):
        print(f"\nconfirmed {name}, which was known from elsewhere")
    kinds = [change.kind for change in found]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("added", "changed", "removed"))
    print(f"\n{counts}, {len(problems)} not understood")
    if found:
        print(f"\n{JUDGEMENT}")
    if problems:
        print("\nTeach upstream_reader.py what was not understood; nothing was written.")
        return 2
    if write:
        if _git(checkout, "status", "--porcelain"):
            raise UnreadableError(f"{checkout} has changes that are in no commit; nothing written")
        go_facts.RECORD.write_text(new.text(), encoding="utf-8")
        print(f"\n{go_facts.RECORD.name} written")
        return 0
    return 1 if found else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="a git checkout of the module")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--against", type=Path, help="another checkout, in place of the record")
    other.add_argument("--write", action="store_true", help="record the facts of the checkout")
    options = parser.parse_args(arguments)
    try:
        return _compare(options.checkout, options.against, write=options.write)
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
