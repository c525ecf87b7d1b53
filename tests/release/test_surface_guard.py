"""The guard on the surface: whom a change breaks, and which version it needs."""

import compileall
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from docs._made import surface
from tests.release import snapshot, surface_guard
from tests.release.surface_guard import Change, Version, changes, required, verdict
from tests.release.surface_types import fits, misfits, parse_signature, parse_type

pytestmark = pytest.mark.one_python

ROOT: Final = Path(__file__).parents[2]

CALLERS: Final = "breaks callers"
IMPLEMENTERS: Final = "breaks implementers"
BOTH: Final = "breaks callers and implementers"
COMPATIBLE: Final = "compatible"


def test_the_version_is_high_enough_for_what_changed_since_the_last_release() -> None:
    last, text = surface_guard.released()
    found = [] if last is None else changes(text, surface.text())
    is_enough, sentence = verdict(last, surface_guard.present_version(), found)
    if not is_enough:
        pytest.fail("\n".join([*surface_guard.report(found), sentence]), pytrace=False)


# Changes of the source


def replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(package: Path) -> None:
        path = package / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return edit


def both(*edits: Callable[[Path], None]) -> Callable[[Path], None]:
    def edit(package: Path) -> None:
        for one in edits:
            one(package)

    return edit


def rename_everywhere(old: str, new: str) -> Callable[[Path], None]:
    def edit(package: Path) -> None:
        for path in package.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(rf"\b{old}\b", new, text), encoding="utf-8")

    return edit


NEW_MEMBER: Final = """    @abstractmethod
    async def warm_up(self) -> None:
        \"\"\"Get ready.\"\"\"
        ...

    @abstractmethod
    async def admit("""

NEW_INTERFACE: Final = """

@runtime_checkable
class WarmUp(Protocol):
    \"\"\"An admission that gets ready first.\"\"\"

    __slots__ = ()

    @abstractmethod
    async def warm_up(self) -> None:
        \"\"\"Get ready.\"\"\"
        ...


class Admission(Protocol):"""

SEEDED: Final[dict[str, tuple[Callable[[Path], None], dict[str, str]]]] = {
    "new abstract member": (
        replace("admission.py", "    @abstractmethod\n    async def admit(", NEW_MEMBER),
        {"admission.Admission.warm_up": IMPLEMENTERS},
    ),
    "new required parameter": (
        replace("admission.py", "addr: str, /, *opts", "addr: str, port: int, /, *opts"),
        {"admission.Admission.admit": BOTH},
    ),
    "async to sync": (
        replace("listener.py", "    async def accept(self)", "    def accept(self)"),
        {"listener.Listener.accept": BOTH},
    ),
    "narrowed argument": (
        replace("common/net.py", "def write(self, data: Buffer", "def write(self, data: bytes"),
        {"common.net.Conn.write": CALLERS},
    ),
    "widened result": (
        replace(
            "common/net.py",
            "network: str, addr: str, /) -> Conn:",
            "network: str, addr: str, /) -> Conn | None:",
        ),
        {"common.net.Dialer.dial": CALLERS},
    ),
    "removed option": (
        both(
            replace("connector.py", '    "udp_conn_ttl_bind_option",\n', ""),
            replace("connector.py", "def udp_conn_ttl_bind_option(", "def _udp_option("),
        ),
        {"connector.udp_conn_ttl_bind_option": CALLERS},
    ),
    "renamed constant": (
        rename_everywhere("SCOPE_CONN", "SCOPE_CONNECTION"),
        {"limiter.SCOPE_CONN": BOTH, "limiter.SCOPE_CONNECTION": COMPATIBLE},
    ),
    "changed default": (
        replace("chain.py", "    retries: int = 0\n", "    retries: int = 1\n"),
        {"chain.RouterOptions.retries": CALLERS},
    ),
    "new optional interface": (
        both(
            replace("admission.py", "\n\nclass Admission(Protocol):", NEW_INTERFACE),
            replace("admission.py", '("Admission", ', '("Admission", "WarmUp", '),
            replace("admission.py", "import Protocol", "import Protocol, runtime_checkable"),
        ),
        {"admission.WarmUp": COMPATIBLE},
    ),
    "docstring only": (
        replace("admission.py", "Tell whether the source may", "Say if the source may"),
        {},
    ),
    # More of the same kinds, where the answer is another.
    "widened argument": (
        replace(
            "registry.py", "def unregister(self, name: str", "def unregister(self, name: str | None"
        ),
        {"registry.Registry.unregister": IMPLEMENTERS},
    ),
    "narrowed result": (
        replace(
            "connector.py",
            "metadata: Metadata | None, /) -> None",
            "metadata: Metadata, /) -> None",
        ),
        {"connector.Connector.init": CALLERS},
    ),
    "new optional parameter": (
        replace("admission.py", "addr: str, /, *opts", "addr: str, port: int = 0, /, *opts"),
        {"admission.Admission.admit": BOTH},
    ),
    "new option": (
        both(
            replace(
                "limiter/__init__.py",
                '    src: str = ""\n',
                '    src: str = ""\n    dst: str = ""\n',
            ),
            replace(
                "limiter/__init__.py",
                '    "src_option",\n',
                '    "dst_option",\n    "src_option",\n',
            ),
            replace(
                "limiter/__init__.py",
                "def src_option(",
                'def dst_option(dst: str, /) -> Option:\n    """Say."""\n'
                '    return FieldOption(Options, "dst", dst)\n\n\ndef src_option(',
            ),
        ),
        {"limiter.Options.dst": COMPATIBLE, "limiter.dst_option": COMPATIBLE},
    ),
    "permuted parameters": (
        replace(
            "common/net.py",
            "async def dial(self, ctx: Context, network: str, addr: str, /)",
            "async def dial(self, ctx: Context, addr: str, network: str, /)",
        ),
        {"common.net.Dialer.dial": BOTH},
    ),
    "narrower type variable": (
        both(
            replace(
                "testing/common/net/_closer.py",
                "ClosedError, Closer",
                "ClosedError, Closer, HalfCloser",
            ),
            replace("testing/common/net/_closer.py", "bound=Closer", "bound=HalfCloser"),
        ),
        {"testing.common.net.CloserContract": CALLERS},
    ),
}
"""Edits of the package's source, and what the guard must say of each name."""


# Half of its time would be spent on a search for garbage, and there is hardly any.
PRINT: Final = """
import gc
gc.disable()
from docs._made import surface
print(surface.text(), end="")
"""


def surface_of(source: Path) -> str:
    """Return the surface of a copy of the package, from an interpreter of its own."""
    printed = subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert printed.returncode == 0, printed.stderr
    return printed.stdout


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that is compiled, so that of its own copies only the edits are."""
    package = tmp_path_factory.mktemp("compiled") / "gost_core"
    shutil.copytree(ROOT / "src" / "gost_core", package)
    compileall.compile_dir(package, quiet=1)
    return package


@pytest.mark.parametrize(("edit", "expected"), SEEDED.values(), ids=SEEDED)
def test_a_change_of_the_source_is_classified_right(
    tmp_path: Path, compiled: Path, edit: Callable[[Path], None], expected: dict[str, str]
) -> None:
    shutil.copytree(compiled, tmp_path / "gost_core")
    edit(tmp_path / "gost_core")
    found = changes(snapshot.RECORD.read_text(encoding="utf-8"), surface_of(tmp_path))
    named = {change.name.removeprefix("gost_core."): change.effect for change in found}
    assert named == expected
    is_breaking = any(effect != COMPATIBLE for effect in expected.values())
    needed = Version(2, 0, 0) if is_breaking else Version(1, 5, 0) if expected else Version(1, 4, 2)
    assert required(Version(1, 4, 2), found) == needed
    assert required(Version(0, 4, 2), found) == (Version(0, 5, 0) if expected else Version(0, 4, 2))


# Changes of a snapshot

SNAPSHOT: Final = """\
gost_core.sample

    class CheckedContract(testing.Contract, Generic[CheckedT])
        time_limit: float = 5.0
        make: Callable[[], CheckedT]
        sample: str | None = None

    class Closed(Enum)
        LOW = 1
        HIGH = 2

    class Failure(OSError)

    class Interface(Protocol)
        name: str
        abstract def get(key: str, /, *opts: Option) -> int | None
        abstract def put(key: str, value: str, /) -> None
        abstract def set(key: str, value: str, *, old: str, new: str) -> None

    LIMIT: Final[int] = 1
    Name = NewType(str)
    Option = Callable[[Options], object]

    @dataclass(slots=True, kw_only=True)
    class Options
        host: str | None = None

    @final
    @runtime_checkable
    class Other(Protocol)
        abstract def get() -> int

    @dataclass(frozen=True, slots=True)
    class Place
        x: int
        y: float = 0.0

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Struct
        host: str = ''  # not in repr

    class Thing
        property def size() -> int
        def name() -> str

    def run(value: int, other: T, /, *, limit: float = 1.0) -> str  # T is Interface

gost_core.observer.stats

    class Kind(IntEnum)
        TOTAL = 1
"""


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("    class CheckedContract", "    class RenamedContract", CALLERS),
        ("        sample: str", "        example: str", CALLERS),
        ("        sample: str", "        more: int = 0\n        sample: str", COMPATIBLE),
        ("        sample: str", "        more: int\n        sample: str", CALLERS),
        ("sample: str | None = None", "sample: str | bytes | None = None", COMPATIBLE),
        ("sample: str | None = None", "sample: str = None", CALLERS),
        ("sample: str | None = None", "sample: str | None = ''", CALLERS),
        ("sample: str | None = None", "sample: str | None", CALLERS),
        ("Callable[[], CheckedT]", "Callable[[], object]", COMPATIBLE),
        ("Callable[[], CheckedT]", "Callable[[str], CheckedT]", CALLERS),
        ("Generic[CheckedT]", "Generic[CheckedT, T]", CALLERS),
        ("        HIGH = 2", "        HIGH = 2\n        TOP = 3", BOTH),
        ("        HIGH = 2", "        HIGH = 3", BOTH),
        ("        LOW = 1\n        HIGH = 2", "        HIGH = 2\n        LOW = 1", BOTH),
        ("        TOTAL = 1", "        TOTAL = 1\n        ERRORS = 2", COMPATIBLE),
        ("class Failure(OSError)", "class Failure(ConnectionError)", BOTH),
        ("    class Failure(OSError)", "    def Failure() -> OSError", BOTH),
        (
            "    class Failure(OSError)",
            "    class Failure(OSError)\n        def __init__(error: str, /) -> None",
            CALLERS,
        ),
        ("        name: str\n", "        name: object\n", BOTH),
        ("        name: str\n", "        name: str\n        size: int\n", IMPLEMENTERS),
        ("        name: str\n", "        name: str\n        def size() -> int\n", IMPLEMENTERS),
        ("        name: str\n", "", CALLERS),
        ("-> int | None", "-> int", IMPLEMENTERS),
        ("-> int | None", "-> None | int", COMPATIBLE),
        ("-> int | None", "-> str", BOTH),
        ("(key: str, /", "(name: str, /", COMPATIBLE),
        ("(key: str, /", "(key: str", IMPLEMENTERS),
        ("(key: str, /", "(key: str | None, /", IMPLEMENTERS),
        (", /, *opts: Option)", ", /)", CALLERS),
        ("put(key: str, value: str, /)", "put(value: str, key: str, /)", BOTH),
        ("put(key: str, value: str, /)", "put(value: str, old: str, /)", BOTH),
        ("put(key: str, value: str, /)", "put(old: str, key: str, /)", BOTH),
        ("put(key: str, value: str, /)", "put(old: str = '', key: str = '', /)", BOTH),
        ("put(key: str, value: str, /)", "put(old: str, new: str, /)", COMPATIBLE),
        ("set(key: str, value: str,", "set(value: str, key: str,", BOTH),
        ("set(key: str, value: str, *,", "set(key: str, *, value: str,", CALLERS),
        ("*, old: str, new: str)", "*, new: str, old: str)", COMPATIBLE),
        ("*, old: str, new: str)", "*, old: str, newer: str)", BOTH),
        ("abstract def get(key", "abstract async def get(key", BOTH),
        ("abstract def get(key: str, /, *opts: Option)", "abstract property def get()", BOTH),
        ("LIMIT: Final[int] = 1", "LIMIT: Final[int] = 2", BOTH),
        ("    LIMIT: Final[int] = 1\n", "", BOTH),
        ("NewType(str)", "NewType(int)", BOTH),
        ("Callable[[Options], object]", "Callable[[Options], None]", BOTH),
        ("host: str | None = None", "host: str = None", CALLERS),
        ("host: str | None = None", "host: str | None | int = None", IMPLEMENTERS),
        ("host: str | None = None", "host: str | None", CALLERS),
        ("        host: str | None = None", "        port: str | None = None", BOTH),
        ("@dataclass(slots=True, kw_only=True)", "@dataclass(frozen=True, slots=True)", BOTH),
        ("    @final\n", "", COMPATIBLE),
        ("    @runtime_checkable\n", "", CALLERS),
        ("    class Interface", "    @runtime_checkable\n    class Interface", COMPATIBLE),
        ("    class Thing", "    @final\n    class Thing", CALLERS),
        ("        y: float = 0.0", "        y: float = 0.0\n        z: int = 0", COMPATIBLE),
        ("        y: float = 0.0", "        y: float = 0.0\n        z: int", BOTH),
        ("        y: float = 0.0", "        y: int = 0.0", BOTH),
        ("        x: int\n        y: float = 0.0", "        y: float = 0.0\n        x: int", BOTH),
        ("        x: int\n", "        z: int = 0\n        x: int\n", BOTH),
        ("  # not in repr", "", BOTH),
        ("host: str = ''  #", "host: str = 'a'  #", BOTH),
        ("property def size", "def size", CALLERS),
        ("property def size() -> int", "size: int", BOTH),
        ("        name: str\n", "        def name() -> str\n", BOTH),
        ("        y: float = 0.0", "        def y() -> float", BOTH),
        ("limit: float = 1.0", "limit: float = <Limit 'x'>", CALLERS),
        ("        def name() -> str\n", "", CALLERS),
        (
            "        def name() -> str\n",
            "        def name() -> str\n        def other() -> int\n",
            COMPATIBLE,
        ),
        ("(value: int,", "(value: float,", COMPATIBLE),
        ("(value: int,", "(value: bool,", CALLERS),
        ("limit: float = 1.0", "limit: float = 2.0", CALLERS),
        ("limit: float = 1.0", "limit: float", CALLERS),
        ("limit: float = 1.0", "limit: float = 1.0, more: int = 0", COMPATIBLE),
        ("limit: float = 1.0", "limit: float = 1.0, more: int", CALLERS),
        ("limit: float = 1.0", "bound: float = 1.0", CALLERS),
        ("run(value: int, other: T, /", "run(other: T, value: int, /", CALLERS),
        ("    def run", "    async def run", CALLERS),
        ("T is Interface", "T is Other", CALLERS),
        ("gost_core.observer.stats\n", "gost_core.observer.counts\n", ""),
    ],
)
def test_a_change_of_a_snapshot_is_classified_right(old: str, new: str, effect: str) -> None:
    assert SNAPSHOT.count(old) == 1
    found = changes(SNAPSHOT, SNAPSHOT.replace(old, new))
    if effect:
        assert _worst(found) == effect, [*surface_guard.report(found)]
    else:
        assert "gost_core.observer.stats" in {change.name for change in found}


def _worst(found: Sequence[Change]) -> str:
    effects = {change.effect for change in found}
    (worst, *_) = [one for one in (BOTH, CALLERS, IMPLEMENTERS, COMPATIBLE) if one in effects]
    return worst


@given(st.data())
def test_no_line_of_the_surface_may_go_or_come_unseen(data: st.DataObject) -> None:
    lines = snapshot.RECORD.read_text(encoding="utf-8").splitlines()
    place = data.draw(st.sampled_from([n for n, line in enumerate(lines) if line.startswith("  ")]))
    line = lines[place].strip()
    assume(not line.startswith(("class", "@")))  # its members would be those of another class
    with_, without = ("\n".join(one) for one in (lines, lines[:place] + lines[place + 1 :]))
    gone, come = changes(with_, without), changes(without, with_)
    assert line in {change.old for change in gone}
    assert line in {change.new for change in come}


def test_an_overload_may_not_go_unseen() -> None:
    text = snapshot.RECORD.read_text(encoding="utf-8")
    overloads = [line for line in text.splitlines(keepends=True) if "# overload" in line]
    assert len(overloads) > 1
    for line in overloads:
        assert line.strip() in {change.old for change in changes(text, text.replace(line, ""))}


def test_a_surface_is_that_of_itself() -> None:
    text = snapshot.RECORD.read_text(encoding="utf-8")
    assert changes(text, text) == []
    assert changes("", text)
    assert _worst(changes("", text)) == COMPATIBLE
    assert _worst(changes(text, "")) == BOTH


# Signatures

NAMES: Final = ("a", "b", "c")
TYPES: Final = ("bool", "int", "float", "object")


@st.composite
def signatures(draw: st.DrawFn, types: Sequence[str] = ("object",)) -> str:
    """Write a signature of up to three parameters."""
    names = draw(st.permutations(NAMES))[: draw(st.integers(0, 3))]
    kinds = sorted(draw(st.integers(0, 2)) for _ in names)
    type_ = st.sampled_from(types)
    by_place = kinds.count(0)
    has_rest = draw(st.booleans())
    parts = list[str]()
    optional = False
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        if kind == 2 and (place == 0 or kinds[place - 1] != 2):
            parts.append(f"*rest: {draw(type_)}" if has_rest else "*")
        optional = draw(st.booleans()) or (optional and kind != 2)
        parts.append(f"{name}: {draw(type_)}" + (" = 0" if optional else ""))
        if place == by_place - 1:
            parts.append("/")
    if has_rest and 2 not in kinds:
        parts.append(f"*rest: {draw(type_)}")
    return f"def f({', '.join(parts)}) -> {draw(type_)}"


def function(line: str) -> Callable[..., object]:
    namespace: dict[str, Callable[..., object]] = {}
    exec(f"{line}: ...", namespace)
    return namespace["f"]


def accepts(call: Callable[..., object], places: int, names: Sequence[str]) -> bool:
    try:
        call(*range(places), **dict.fromkeys(names))
    except TypeError:
        return False
    return True


CALLS: Final = [
    (places, names)
    for places in range(5)
    for length in range(4)
    for names in itertools.combinations(NAMES, length)
]


@settings(max_examples=500)
@given(signatures(), signatures())
def test_what_fits_takes_every_call_that_python_would_take(old: str, new: str) -> None:
    reasons = list(misfits(parse_signature(old), parse_signature(new)))
    asked, given_ = function(old), function(new)
    failed = [call for call in CALLS if accepts(asked, *call) and not accepts(given_, *call)]
    assert reasons or not failed, f"{new} does not take {failed}"


@given(signatures(TYPES))
def test_a_signature_fits_itself(line: str) -> None:
    assert list(misfits(parse_signature(line), parse_signature(line))) == []


@given(signatures(TYPES), signatures(TYPES))
def test_a_change_and_its_reverse_break_opposite_parties(old: str, new: str) -> None:
    text = "gost_core.sample\n\n    class Interface(Protocol)\n        abstract {}\n"
    there, back = (
        {
            party.value
            for change in changes(text.format(one), text.format(other))
            for party in change.broken
        }
        for one, other in ((old, new), (new, old))
    )
    opposite = {"callers": "implementers", "implementers": "callers"}
    assert there == {opposite[party] for party in back}


@pytest.mark.parametrize(
    ("asked", "given_", "reason"),
    [
        ("def f(a: int, /) -> None", "def f(a: int, b: int, /) -> None", "it needs b"),
        ("def f(a: int) -> None", "def f(b: int) -> None", "it does not take a by name"),
        ("def f(*, a: int) -> None", "def f(a: int, /) -> None", "it needs a"),
        ("def f(a: int, b: int) -> None", "def f(b: int, a: int) -> None", "a has another place"),
        ("def f(a: int, /, *, b: int) -> None", "def f(b: int) -> None", "b may be given twice"),
        (
            "def f(*a: int) -> None",
            "def f(b: str = '', *a: int) -> None",
            "int is not known to fit str",
        ),
        ("def f(**a: int) -> None", "def f(*, b: int = 0, **a: int) -> None", "it takes b itself"),
        ("async def f() -> None", "def f() -> None", "a plain def, not async def"),
    ],
)
def test_a_reason_says_what_is_wrong(asked: str, given_: str, reason: str) -> None:
    reasons = "; ".join(misfits(parse_signature(asked), parse_signature(given_)))
    assert reason in reasons


# Types

LEAVES: Final = ("bool", "bytes", "float", "int", "None", "object", "str", "Buffer", "chain.Node")


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{} | {}".format, inner, inner),
        st.builds("list[{}]".format, inner),
        st.builds("Sequence[{}]".format, inner),
        st.builds("Iterable[{}]".format, inner),
        st.builds("tuple[{}, ...]".format, inner),
        st.builds("tuple[{}, {}]".format, inner, inner),
        st.builds("dict[str, {}]".format, inner),
        st.builds("Mapping[str, {}]".format, inner),
        st.builds("Callable[[{}], {}]".format, inner, inner),
    )


types = st.recursive(st.sampled_from(LEAVES), containers, max_leaves=4)


class Opaque:
    """A value of no type but object."""


Simple: TypeAlias = bool | int | float | str | bytes | None
Values: TypeAlias = list[Simple] | tuple[Simple, ...]
Value: TypeAlias = Simple | Values | dict[str, Simple | Values] | Opaque

VALUES: Final[tuple[Value, ...]] = (
    True,
    1,
    1.5,
    "s",
    b"b",
    None,
    [],
    [1],
    ["s", None],
    (),
    (1,),
    (1, "s"),
    (True, 1.5, "s"),
    {},
    {"s": 1},
    {"s": [1.5, None]},
    Opaque(),
)


def holds(value: Value, type_: str) -> bool:
    """Tell whether a value is of a type, slowly and surely; no value here can be called."""
    outer, _, inner = type_.partition("[")
    parts = _split_outside(type_, " | ")
    if len(parts) > 1:
        return any(holds(value, part) for part in parts)
    arguments = _split_outside(inner[:-1], ", ")
    match outer:
        case "object":
            return True
        case "None":
            return value is None
        case "float":
            return isinstance(value, float | int)
        case "bool" | "bytes" | "int" | "str":
            return type(value).__name__ == outer or (outer == "int" and isinstance(value, bool))
        case "Buffer":
            return isinstance(value, bytes)
        case "list" | "Sequence" | "Iterable":
            if isinstance(value, tuple) and outer == "list":
                return False
            return isinstance(value, list | tuple) and all(holds(v, arguments[0]) for v in value)
        case "tuple" if arguments[1] == "...":
            return isinstance(value, tuple) and all(holds(one, arguments[0]) for one in value)
        case "tuple":
            if not isinstance(value, tuple) or len(value) != 2:
                return False
            return holds(value[0], arguments[0]) and holds(value[1], arguments[1])
        case "dict" | "Mapping":
            return isinstance(value, dict) and all(holds(v, arguments[1]) for v in value.values())
        case _:
            return False


def _split_outside(text: str, separator: str) -> list[str]:
    """Split a text where no bracket is open."""
    parts = [""]
    for piece in re.split(f"({re.escape(separator)})", text):
        if piece == separator and parts[-1].count("[") == parts[-1].count("]"):
            parts.append("")
        else:
            parts[-1] += piece
    return parts


@settings(max_examples=500)
@given(types, types)
def test_a_type_that_fits_another_has_no_value_that_the_other_has_not(one: str, other: str) -> None:
    if fits(parse_type(one), parse_type(other)):
        assert [v for v in VALUES if holds(v, one) and not holds(v, other)] == []


@given(types, types)
def test_a_type_fits_itself_and_every_union_with_itself(one: str, other: str) -> None:
    assert fits(parse_type(one), parse_type(one))
    assert fits(parse_type(one), parse_type(f"{one} | {other}"))
    assert fits(parse_type(one), parse_type(f"{other} | {one}"))
    assert fits(parse_type(one), parse_type("object"))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("bool", "int", True),
        ("int", "float", True),
        ("float", "int", False),
        ("bytes", "Buffer", True),
        ("Buffer", "bytes", False),
        ("str", "Sequence[str]", False),
        ("list[int]", "list[float]", False),
        ("list[int]", "Sequence[float]", True),
        ("list[str] | tuple[str, ...]", "Sequence[str]", True),
        ("tuple[int, ...]", "tuple[int, object]", False),
        ("tuple[int, str]", "tuple[float, str]", True),
        ("Mapping[str, int]", "Mapping[str, float]", True),
        ("Mapping[int, int]", "Mapping[float, int]", False),
        ("Callable[[float], int]", "Callable[[int], float]", True),
        ("Callable[[int], int]", "Callable[[float], int]", False),
        ("Callable[[], None]", "Callable[[int], None]", False),
        ("Callable[..., int]", "Callable[[int], int]", False),
        ("Awaitable[bool]", "Awaitable[int]", True),
        ("context.Key[bool]", "context.Key[int]", False),
        ("NoReturn", "str", True),
        ("chain.Node", "selector.Markable", False),  # true, but not known here
    ],
)
def test_fitting_is_what_a_type_checker_says_or_less(one: str, other: str, expected: bool) -> None:
    assert fits(parse_type(one), parse_type(other)) is expected


# Versions and the command

BREAKING: Final = changes(SNAPSHOT, SNAPSHOT.replace("        name: str\n", ""))
ADDING: Final = changes(SNAPSHOT, SNAPSHOT.replace("    @final\n", ""))


@pytest.mark.parametrize(
    ("last", "next_", "found", "expected"),
    [
        ("0.1.0", "0.1.0", [], True),
        ("0.1.0", "0.1.1", ADDING, False),
        ("0.1.3", "0.2.0", ADDING, True),
        ("0.1.0", "0.1.1", BREAKING, False),
        ("0.1.0", "0.2.0", BREAKING, True),
        ("0.9.0", "1.0.0", BREAKING, True),
        ("1.2.3", "1.2.2", [], False),
        ("1.2.3", "1.2.4", [], True),
        ("1.2.3", "1.2.4", ADDING, False),
        ("1.2.3", "1.3.0", ADDING, True),
        ("1.2.3", "1.9.0", BREAKING, False),
        ("1.2.3", "2.0.0", BREAKING, True),
    ],
)
def test_the_version_follows_from_the_changes(
    last: str, next_: str, found: list[Change], expected: bool
) -> None:
    versions = (surface_guard.version(last), surface_guard.version(next_))
    is_enough, sentence = verdict(*versions, found)
    assert is_enough is expected
    assert last in sentence


def test_anything_may_be_the_first_release() -> None:
    is_enough, sentence = verdict(None, Version(0, 1, 0), [])
    assert is_enough
    assert sentence == "Nothing has been released: 0.1.0 may have any surface."


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the guard read and write a record of the released surface that is not the real one."""
    path = tmp_path / "released.txt"
    monkeypatch.setattr(surface_guard, "RELEASED", path)
    monkeypatch.setattr(surface_guard, "present_version", lambda: Version(1, 1, 0))
    path.write_text(f"{surface_guard.NOT_RELEASED}\n", encoding="utf-8")
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["surface_guard.py", *arguments])
    return surface_guard.main()


def test_a_release_records_its_surface_and_the_next_is_measured_by_it(
    released: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 0
    assert "Nothing has been released" in capsys.readouterr().out

    assert run(monkeypatch, "--release") == 0
    assert released.read_text(encoding="utf-8") == f"# gost_core 1.1.0\n\n{surface.text()}"
    assert run(monkeypatch) == 0
    assert "The surface is that of 1.1.0" in capsys.readouterr().out

    text = surface.text().replace("abstract async def admit(", "abstract def admit(")
    monkeypatch.setattr(surface, "text", lambda: text)
    assert run(monkeypatch) == 1
    printed = capsys.readouterr().out
    assert "breaks callers and implementers: 1\n  gost_core.admission.Admission.admit" in printed
    assert "it needs 2.0.0 at least, and pyproject.toml says 1.1.0" in printed
    assert run(monkeypatch, "--release") == 1
    assert "# gost_core 1.1.0" in released.read_text(encoding="utf-8")
    assert text not in released.read_text(encoding="utf-8")


def test_two_snapshots_are_compared_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "old.txt", tmp_path / "new.txt"]
    for path, text in zip(paths, (SNAPSHOT, SNAPSHOT.replace("    @final\n", "")), strict=True):
        path.write_text(text, encoding="utf-8")
    assert run(monkeypatch, *map(str, paths)) == 0
    assert capsys.readouterr().out == (
        "compatible: 1\n  gost_core.sample.Other\n      - @final\n\n"
    )


def test_a_record_without_a_version_is_refused(released: Path) -> None:
    released.write_text("gost_core\n", encoding="utf-8")
    with pytest.raises(ValueError, match="names no version: gost_core"):
        surface_guard.released()


def test_a_line_that_is_none_of_a_surface_is_refused() -> None:
    with pytest.raises(ValueError, match="is no line of a surface"):
        changes(SNAPSHOT, SNAPSHOT.replace("    LIMIT: Final[int] = 1", "    <LIMIT>"))
