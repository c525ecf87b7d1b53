"""Says whom a change of the public surface breaks, and which version it needs.

Without arguments the code is compared with the last released surface, as CI does it; the exit
status is 1 if the version in pyproject.toml is too low. Two snapshots, such as an older surface.txt
and the present one, are compared as they are. ``--release`` records the surface of a new release.

*Callers* call functions and the methods of interfaces. *Implementers* write classes that fit an
interface. Options, structs, enums and constants pass between the two, so most changes to them break
both. A contract class has callers only: those who check with it. What is not known to be compatible
counts as breaking.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from docs._made import surface
from tests.release.surface_types import Signature, fits, misfits, parse_signature, parse_type

ROOT: Final = Path(__file__).parents[2]
RELEASED: Final = Path(__file__).parents[1] / "data" / "released-surface.txt"

OPEN_ENUMS: Final[Mapping[str, str]] = {
    "gost_core.observer.EventType": "Event.type() is any str, and unknown events are skipped (D56)",
    "gost_core.observer.stats.Kind": "unknown kinds are ignored and read 0 (D54)",
}
"""The enums that may gain members, and why nobody is surprised by one."""

NOT_RELEASED: Final = "# gost_core has not been released."
"""The head of the released surface before there is one."""


class Party(Enum):
    """Those who rely on the surface."""

    CALLERS = "callers"
    IMPLEMENTERS = "implementers"


BOTH: Final = (Party.CALLERS, Party.IMPLEMENTERS)


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two surfaces: a line that is new, gone, or another."""

    name: str
    old: str
    new: str
    broken: Mapping[Party, tuple[str, ...]]
    """Whom it breaks, and why; nobody if it is compatible."""

    @property
    def effect(self) -> str:
        """Say whom it breaks."""
        parties = " and ".join(party.value for party in Party if party in self.broken)
        return f"breaks {parties}" if parties else "compatible"

    def lines(self) -> Iterator[str]:
        """Describe the change."""
        yield self.name
        yield from (
            f"    {sign} {line}" for sign, line in (("-", self.old), ("+", self.new)) if line
        )
        for party, reasons in self.broken.items():
            yield f"    {party.value}: {'; '.join(reasons)}"


class Version(NamedTuple):
    """A version: major, minor, patch."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return ".".join(map(str, self))


@dataclass(frozen=True, slots=True)
class Declaration:
    """A public name with its members, as a snapshot describes it."""

    line: str
    decorators: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Tell a class, function, alias, new type, constant or module."""
        for kind, pattern in _KINDS.items():
            if re.match(pattern, self.line):
                return kind
        raise ValueError(f"{self.line!r} is no line of a surface")

    @property
    def bases(self) -> str:
        """Return what a class derives from."""
        return re.sub(r"^class \w+", "", self.line)

    @property
    def is_interface(self) -> bool:
        """Tell a class that others implement."""
        return "Protocol" in self.bases

    @property
    def is_contract(self) -> bool:
        """Tell a class of clauses; its fields are what is passed to it."""
        return re.search(r"\bContract\b", self.bases) is not None

    @property
    def parties(self) -> tuple[Party, ...]:
        """Return those who rely on it."""
        return (Party.CALLERS,) if self.kind == "function" or self.is_contract else BOTH

    @property
    def is_enum(self) -> bool:
        """Tell a class of named values."""
        return re.search(r"\b(Int|Str)?(Enum|Flag)\b", self.bases) is not None

    @property
    def is_struct(self) -> bool:
        """Tell a class of fields."""
        return bool(self.decorator("dataclass"))

    def decorator(self, name: str) -> str:
        """Return a decorator with its arguments, "" if there is none of that name."""
        found = (one for one in self.decorators if re.match(rf"@{name}\b", one))
        return next(found, "")


_KINDS: Final = {
    "class": r"class \w+",
    "function": r"(async )?def \w+\(",
    "new type": r"\w+ = NewType\(",
    "alias": r"\w+ = ",
    "constant": r"\w+: ",
    "module": r"module ",
}


def parse(text: str) -> dict[str, Declaration]:
    """Read a snapshot: its modules and their public names, by full name."""
    found = dict[str, Declaration]()
    module = ""
    decorators = tuple[str, ...]()
    name = ""
    for line in text.splitlines():
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if not content or line.startswith("#"):
            continue
        if indent == 0:
            module = content
            found[module] = Declaration(f"module {module}")
        elif indent == 8:
            declared = found[name]
            found[name] = Declaration(
                declared.line, declared.decorators, (*declared.members, content)
            )
        elif content.startswith("@"):
            decorators = (*decorators, content)
        else:
            name = f"{module}.{_name(content)}"
            found[name] = Declaration(content, decorators)
            decorators = ()
    return found


def changes(old_text: str, new_text: str) -> list[Change]:
    """Compare two snapshots."""
    old, new = parse(old_text), parse(new_text)
    found = list[Change]()
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is None and after is not None:
            found.append(Change(name, "", after.line, {}))
        elif before is not None and after is None:
            found.append(_change(name, before.line, "", before.parties, "it is gone"))
        elif before is not None and after is not None:
            is_options = _is_options(before, name, old)
            found += _compare(name, before, after, is_options=is_options)
    return found


def required(released: Version, found: Iterable[Change]) -> Version:
    """Return the least version that may have these changes."""
    found = list(found)
    if not found:
        return released
    if released.major == 0:
        return Version(0, released.minor + 1, 0)
    if any(change.broken for change in found):
        return Version(released.major + 1, 0, 0)
    return Version(released.major, released.minor + 1, 0)


def released() -> tuple[Version | None, str]:
    """Return the version of the last release, None if there is none yet, and its surface."""
    head, _, text = RELEASED.read_text(encoding="utf-8").partition("\n")
    found = re.fullmatch(r"# gost_core (\S+)", head)
    if found is None and head != NOT_RELEASED:
        raise ValueError(f"the first line of {RELEASED.name} names no version: {head}")
    return (None if found is None else version(found[1])), text


def present_version() -> Version:
    """Return the version in pyproject.toml: that of the next release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return version(str(project["version"]))


def version(text: str) -> Version:
    """Read a version."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"{text} is no version of the form major.minor.patch")
    return Version(*map(int, found.groups()))


def report(found: Iterable[Change]) -> Iterator[str]:
    """Write changes, the worst first."""
    order = ["breaks callers and implementers", "breaks callers", "breaks implementers"]
    found = list(found)
    for effect in (*order, "compatible"):
        group = [change for change in found if change.effect == effect]
        if group:
            yield f"{effect}: {len(group)}"
            yield from (f"  {line}" for change in group for line in change.lines())
            yield ""


def verdict(last: Version | None, next_: Version, found: Iterable[Change]) -> tuple[bool, str]:
    """Say whether the next version may have these changes since the last release."""
    if last is None:
        return True, f"Nothing has been released: {next_} may have any surface."
    needed = required(last, found)
    if needed == last:
        return next_ >= last, f"The surface is that of {last}: a patch release will do."
    enough = next_ >= needed
    remedy = "" if enough else f", and pyproject.toml says {next_}: raise it, or undo the change"
    return enough, f"The surface is not that of {last}: it needs {needed} at least{remedy}."


def _name(line: str) -> str:
    found = re.match(r"(?:class|(?:\w+ )*def) (\w+)|(\w+)", line)
    if found is None:
        raise ValueError(f"{line!r} is no line of a surface")
    return found[1] or found[2]


def _change(name: str, old: str, new: str, whom: Iterable[Party], why: str) -> Change:
    return Change(name, old, new, {party: (why,) for party in whom})


def _is_options(declared: Declaration, name: str, names: Mapping[str, Declaration]) -> bool:
    """Tell whether a class is filled by option functions."""
    module, _, own_name = name.rpartition(".")
    alias = names.get(f"{module}.{own_name.removesuffix('s')}")
    is_filled = alias is not None and alias.line.endswith(f"Callable[[{own_name}], object]")
    return declared.kind == "class" and is_filled


def _compare(
    name: str, old: Declaration, new: Declaration, *, is_options: bool
) -> Iterator[Change]:
    if old.kind != new.kind:
        yield _change(name, old.line, new.line, BOTH, f"it is a {new.kind}, not a {old.kind}")
    elif old.kind == "class":
        yield from _compare_heads(name, old, new)
        yield from _compare_members(name, old, new, is_options=is_options)
    elif old.line != new.line:
        if old.kind == "function":
            yield _compare_calls(name, old.line, new.line, (Party.CALLERS,))
        else:
            yield _change(name, old.line, new.line, BOTH, f"the {old.kind} is another one")


def _compare_heads(name: str, old: Declaration, new: Declaration) -> Iterator[Change]:
    for decorator in dict.fromkeys((*old.decorators, *new.decorators)):
        was, is_ = (decorator in one.decorators for one in (old, new))
        if was == is_:
            continue
        before, after = (decorator, "") if was else ("", decorator)
        match decorator, was:
            case ("@runtime_checkable", False) | ("@final", True):
                yield Change(name, before, after, {})
            case "@runtime_checkable", True:
                why = "isinstance does not work any more"
                yield _change(name, before, after, (Party.CALLERS,), why)
            case "@final", False:
                why = "it cannot be derived from any more"
                yield _change(name, before, after, (Party.CALLERS,), why)
            case _:
                yield _change(name, before, after, BOTH, "it is made in another way")
    if old.bases != new.bases:
        why = "other bases are not known to be compatible"
        yield _change(name, old.line, new.line, old.parties, why)


def _compare_members(
    name: str, old: Declaration, new: Declaration, *, is_options: bool
) -> Iterator[Change]:
    before, after = (_by_name(one.members) for one in (old, new))
    for member in dict.fromkeys((*before, *after)):
        full, was, is_ = f"{name}.{member}", before.get(member, ""), after.get(member, "")
        if not was:
            yield _added_member(full, is_, old)
        elif not is_:
            only_called = old.is_interface or _is_method(was)
            whom = (Party.CALLERS,) if only_called else old.parties
            yield _change(full, was, "", whom, "it is gone")
        elif was != is_:
            yield _changed_member(full, was, is_, old, is_options=is_options)
    by_place = old.is_struct and "kw_only=True" not in old.decorator("dataclass")
    common = [member for member in before if member in after]
    places = [member for member in after if member in before or by_place][: len(common)]
    if common != places and (old.is_enum or by_place):
        yield _change(name, ", ".join(before), ", ".join(after), BOTH, "the order is another one")


def _by_name(members: Iterable[str]) -> dict[str, str]:
    """Return members by their names; the second of a name, an overload, has a number behind it."""
    found = dict[str, str]()
    for member in members:
        name = _name(member)
        number = sum(_name(other) == name for other in found.values()) + 1
        found[name if number == 1 else f"{name} ({number})"] = member
    return found


def _added_member(full: str, line: str, owner: Declaration) -> Change:
    class_name, _, member = full.rpartition(".")
    if owner.is_interface or line.startswith("abstract "):
        return _change(full, "", line, (Party.IMPLEMENTERS,), "they do not have it")
    if owner.is_enum and not _is_method(line):
        closed = () if class_name in OPEN_ENUMS else BOTH
        return _change(full, "", line, closed, "they do not expect it")
    if (owner.is_struct or owner.is_contract) and not _is_method(line):
        needed = () if _Field(line).default else owner.parties
        return _change(full, "", line, needed, "whoever makes one does not give it")
    callers = (Party.CALLERS,) if member == "__init__" else ()
    return _change(full, "", line, callers, "it is made in another way")


def _changed_member(
    full: str, old: str, new: str, owner: Declaration, *, is_options: bool
) -> Change:
    if _is_method(old) and _is_method(new):
        return _compare_calls(full, old, new, BOTH if owner.is_interface else (Party.CALLERS,))
    if (owner.is_struct or owner.is_contract) and not (_is_method(old) or _is_method(new)):
        found = _compare_fields(full, old, new, is_options=is_options or owner.is_contract)
        broken = {party: why for party, why in found.broken.items() if party in owner.parties}
        return replace(found, broken=broken)
    return _change(full, old, new, owner.parties, "it is another one")


def _is_method(line: str) -> bool:
    return " def " in f" {line}"


def _compare_calls(name: str, old: str, new: str, whom: Iterable[Party]) -> Change:
    """Compare two signatures: callers rely on the old one, implementers have it."""
    try:
        before, after = parse_signature(old), parse_signature(new)
    except SyntaxError:  # the text of a default need not be Python
        return _change(name, old, new, whom, "it cannot be compared")
    sides: dict[Party, tuple[Signature, Signature]] = {
        Party.CALLERS: (before, after),
        Party.IMPLEMENTERS: (after, before),
    }
    broken = {party: tuple(misfits(*sides[party])) for party in whom}
    return Change(name, old, new, {party: why for party, why in broken.items() if why})


def _compare_fields(name: str, old: str, new: str, *, is_options: bool) -> Change:
    """Compare two fields: callers set those of options and contracts, and anyone other ones.

    The default of an option is what a caller gets who says nothing.
    """
    before, after = _Field(old), _Field(new)
    broken: dict[Party, tuple[str, ...]] = {}

    def add(party: Party, why: str) -> None:
        for one in (party,) if is_options else BOTH:
            broken[one] = (*broken.get(one, ()), why)

    old_type, new_type = parse_type(before.type), parse_type(after.type)
    if not fits(old_type, new_type):
        add(Party.CALLERS, f"{before.type} is not known to fit {after.type}")
    if not fits(new_type, old_type):
        add(Party.IMPLEMENTERS, f"{after.type} is not known to fit {before.type}")
    if before.default and before.default != after.default:
        add(Party.CALLERS, "the default is another one" if after.default else "it has no default")
    if before.note != after.note:
        broken |= {party: (*broken.get(party, ()), "its repr or hash is another") for party in BOTH}
    return Change(name, old, new, broken)


class _Field:
    """The parts of a field's line: ``name: type = default  # note``."""

    def __init__(self, line: str) -> None:
        declared, _, self.note = line.partition("  # ")
        annotated, _, self.default = declared.partition(" = ")
        _, _, self.type = annotated.partition(": ")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("snapshots", nargs="*", type=Path, help="an old and a new snapshot")
    parser.add_argument("--release", action="store_true", help="record the surface as released")
    options = parser.parse_args()
    paths: list[Path] = options.snapshots
    if paths:
        if len(paths) != 2 or options.release:
            parser.error("give two snapshots, or none")
        print(*report(changes(*(path.read_text(encoding="utf-8") for path in paths))), sep="\n")
        return 0
    last, text = released()
    found = [] if last is None else changes(text, surface.text())
    is_enough, sentence = verdict(last, present_version(), found)
    print(*report(found), sentence, sep="\n")
    if options.release and is_enough:
        head = f"# gost_core {present_version()}"
        RELEASED.write_text(f"{head}\n\n{surface.text()}", encoding="utf-8")
        print(f"{RELEASED.name} is that of {present_version()} now.")
    return 0 if is_enough else 1


if __name__ == "__main__":
    sys.exit(main())
