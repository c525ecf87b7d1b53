"""The command that follows the Go module, on small packages written for it."""

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs._made import go_facts, translation
from tests.go import upstream
from tests.go.upstream_reader import MODULE, Facts, UnreadableError, read

pytestmark = pytest.mark.one_python

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

Packages = dict[str, dict[str, Facts]]


def write_module(directory: Path, /, **sources: str) -> Path:
    """Write a module of the right name, with one package of one file for each source."""
    for package, source in {**sources, "": ""}.items():
        path = directory / package
        path.mkdir(parents=True, exist_ok=True)
        if package:
            (path / "a.go").write_text(f"package {package}\n{source}\n", encoding="utf-8")
    (directory / "go.mod").write_text(f"module {MODULE}\n\ngo 1.22\n", encoding="utf-8")
    return directory


def commit(directory: Path, tag: str) -> Path:
    """Make a module a checkout, or its changes a new version."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", tag), ("tag", tag)):
        subprocess.run(["git", "-C", directory, *identity, *command], check=True)
    return directory


def problems(directory: Path, source: str) -> list[str]:
    return read(write_module(directory, hop=source)).problems


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the command read and write a copy of the record."""
    path = tmp_path / "record.json"
    shutil.copy(go_facts.RECORD, path)
    monkeypatch.setattr(go_facts, "RECORD", path)
    return path


def test_each_kind_of_name_is_read_as_the_record_has_it(tmp_path: Path) -> None:
    module = write_module(
        tmp_path,
        hop="""
        type Chooser interface {
            // Choose has a comment.
            Choose(ctx context.Context, from, to string, opts ...Option) (name string, ok bool)
            Close() error
        }
        type Bag[T any] interface { Take(int, ...T) map[string]T }
        type Options struct {
            Host, Path string
            hidden     int
            TLS        struct { ALPN []string }
            Any        interface{}
        }
        type Option func(o *Options)
        type Kind int
        type Named struct{}
        func (n *Named) Name() string { return "" }
        func (n *Named) hidden() {}
        func HostOption(host string) Option {
            // why not
            return func(o *Options) {
                o.Host = host // set
            }
        }
        func NewNamed(name string) *Named { return nil }
        func hidden() {}
        type Codes []int
        func (c Codes) Match(code int) bool { return false }
        var ErrGone, hiddenError = errors.New("gone"), errors.New("hidden")
        var Default Kind
        """,
    )
    string = {"name": "", "type": "string"}
    none: Facts = {"params": [], "results": []}
    assert read(module).problems == []
    assert read(module).packages["hop"] == {
        "Bag": {
            "file": "a.go",
            "type_params": "[T any]",
            "kind": "interface",
            "methods": {
                "Take": {
                    "params": [{"name": "", "type": "int"}, {"name": "", "type": "...T"}],
                    "results": [{"name": "", "type": "map[string]T"}],
                }
            },
        },
        "Chooser": {
            "file": "a.go",
            "kind": "interface",
            "methods": {
                "Choose": {
                    "params": [
                        {"name": "ctx", "type": "context.Context"},
                        {"name": "from", "type": "string"},
                        {"name": "to", "type": "string"},
                        {"name": "opts", "type": "...Option"},
                    ],
                    "results": [{"name": "name", "type": "string"}, {"name": "ok", "type": "bool"}],
                },
                "Close": {**none, "results": [{"name": "", "type": "error"}]},
            },
        },
        "Codes": {
            "file": "a.go",
            "kind": "slice",
            "elem": "int",
            "methods": {
                "Match": {
                    "params": [{"name": "code", "type": "int"}],
                    "results": [{"name": "", "type": "bool"}],
                }
            },
        },
        "Default": {"kind": "var", "file": "a.go", "type": "Kind", "value": ""},
        "ErrGone": {"kind": "var", "file": "a.go", "type": "", "value": 'errors.New("gone")'},
        "HostOption": {
            "kind": "func",
            "file": "a.go",
            "params": [{"name": "host", "type": "string"}],
            "results": [{"name": "", "type": "Option"}],
            "sets": "Host",
        },
        "Kind": {"file": "a.go", "kind": "type", "type": "int", "methods": {}},
        "Named": {
            "file": "a.go",
            "kind": "struct",
            "fields": [],
            "methods": {"Name": {**none, "results": [string]}},
        },
        "NewNamed": {
            "kind": "func",
            "file": "a.go",
            "params": [{"name": "name", "type": "string"}],
            "results": [{"name": "", "type": "*Named"}],
        },
        "Option": {
            "file": "a.go",
            "kind": "functype",
            "params": [{"name": "o", "type": "*Options"}],
            "results": [],
            "methods": {},
        },
        "Options": {
            "file": "a.go",
            "kind": "struct",
            "fields": [
                {"name": "Host", "type": "string"},
                {"name": "Path", "type": "string"},
                {
                    "name": "TLS",
                    "type": "struct",
                    "fields": [{"name": "ALPN", "type": "[]string"}],
                },
                {"name": "Any", "type": "any"},
            ],
            "methods": {},
        },
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('const A = "x"', {"A": ("", "x")}),
        ("const A = `a\\n`", {"A": ("", "a\\n")}),
        ("const A, B = 1, 2", {"A": ("", 1), "B": ("", 2)}),
        ("const (A Kind = iota; B; C)", {"A": ("Kind", 0), "B": ("Kind", 1), "C": ("Kind", 2)}),
        ("const (A Kind = iota + 1; _; C)", {"A": ("Kind", 1), "C": ("Kind", 3)}),
        ("const (_ = 1 << (10 * iota); KB; MB)", {"KB": ("", 1024), "MB": ("", 1 << 20)}),
        ('const (A = 1; B Name = "b")', {"A": ("", 1), "B": ("Name", "b")}),
        ("const A = Kind(iota)", {"A": ("Kind", 0)}),
        ("const (B = first + 1; first Kind = -3)", {"B": ("Kind", -2)}),
        ("const A = 0x1f | 0b100000", {"A": ("", 63)}),
        ("const A = 1.5", {"A": ("", 1.5)}),
        ("const A = true", {"A": ("", True)}),
    ],
)
def test_a_constant_has_the_value_that_go_gives_it(
    tmp_path: Path, source: str, expected: dict[str, tuple[str, object]]
) -> None:
    found = read(write_module(tmp_path, hop=source.replace("; ", "\n").replace(")", "\n)")))
    assert found.problems == []
    names = found.packages["hop"]
    assert {n: (f["type"], json.loads(f["value"])) for n, f in names.items()} == expected


def test_what_nobody_can_import_is_left_out_and_files_are_joined(tmp_path: Path) -> None:
    module = write_module(tmp_path, hop="type Hop struct{}", main="type Main struct{}")
    (module / "hop" / "b.go").write_text("package hop\nfunc (h Hop) Nodes() {}")
    (module / "hop" / "b_test.go").write_text("package hop\ntype Test struct{}")
    for directory in ("internal", "hop/internal", "hop/testdata", "vendor/x", ".git/x", "_old"):
        (module / directory).mkdir(parents=True)
        (module / directory / "a.go").write_text("package x\ntype X struct{}")
    found = read(module)
    assert found.problems == []
    assert [(package, list(names)) for package, names in found.packages.items()] == [
        ("hop", ["Hop"])
    ]
    assert list(found.packages["hop"]["Hop"]["methods"]) == ["Nodes"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("type A interface { io.Closer }", "embedded interface or a type constraint: io.Closer"),
        ("type A interface { ~int | ~string }", "a type constraint: ~int | ~string"),
        ("type A interface { Open(); seal() }", "method that is not exported: seal()"),
        ("type A struct { sync.Mutex }", "an embedded field: sync.Mutex"),
        ("type A = string", "a type alias: A = string"),
        ("func Map[T any](items []T) {}", "a generic function: func Map[T any](items []T)"),
        ("type A int\ntype A string", "hop/a.go:3: a second declaration of a name: A string"),
        ("const A = len(B)", "a constant expression that is not understood: len(B)"),
        ("const A = elsewhere.B", "not understood: elsewhere.B"),
        ("const A = B", "a constant without a value that can be found: B"),
        ("func (m Missing) Close() {}", "Missing is not read"),
        *(
            (
                "type S struct { A, b int }\ntype O func(*S)\n"
                f"func With(a int) O {{ return func(s *S) {{ {body} }} }}",
                "hop/a.go:4: an option function that does more than set one exported field",
            )
            for body in ("s.A = a; s.B = a", "s.A = a + 1", "other.A = a", "s.b = a")
        ),
    ],
)
def test_what_the_facts_cannot_hold_is_reported_with_its_place(
    tmp_path: Path, source: str, problem: str
) -> None:
    (found,) = problems(tmp_path, source)
    assert problem in found
    assert found.startswith("hop/a.go:")


def test_what_is_not_understood_hides_nothing_beside_it(tmp_path: Path) -> None:
    source = "type (\n A struct { B }\n C int\n)\nconst (\nD = f()\nE = 1\n)\nvar F int"
    found = read(write_module(tmp_path, hop=source))
    assert len(found.problems) == 2
    assert {"C", "E", "F"} <= found.packages["hop"].keys()


def test_a_name_in_the_root_of_the_module_is_reported(tmp_path: Path) -> None:
    module = write_module(tmp_path, hop="type Hop int")
    (module / "core.go").write_text("package core\nconst Version = 1\n")
    assert read(module).problems == ["core.go:2: a name in the root of the module: Version"]


def test_source_that_does_not_parse_is_named_with_its_line(tmp_path: Path) -> None:
    module = write_module(tmp_path, hop="type Hop int\n\nfunc broken( {\n")
    with pytest.raises(UnreadableError, match=r"^hop/a\.go:4: this is not Go"):
        read(module)


def test_another_directory_is_not_taken_for_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no go\\.mod"):
        read(tmp_path)
    (tmp_path / "go.mod").write_text("module example.com/other\n")
    with pytest.raises(UnreadableError, match=r"its go\.mod names example\.com/other"):
        read(tmp_path)
    with pytest.raises(UnreadableError, match="no exported Go name"):
        read(write_module(tmp_path, hop="type hidden int"))


def signature(facts: Facts) -> str:
    parameters, results = (
        ", ".join(f"{one['name']} {one['type']}" for one in facts[kind])
        for kind in ("params", "results")
    )
    return f"({parameters}) ({results})"


def go_source(name: str, facts: Facts) -> Iterator[str]:
    """Write Go source that has given facts."""
    kind = facts["kind"]
    methods = facts.get("methods", {}).items()
    match kind:
        case "interface":
            inner = "; ".join(f"{method}{signature(one)}" for method, one in methods)
            yield f"type {name}{facts.get('type_params', '')} interface {{ {inner} }}"
            return
        case "struct":
            yield f"type {name} {struct(facts)}"
        case "functype":
            yield f"type {name} func{signature(facts)}"
        case "type":
            yield f"type {name} {facts['type']}"
        case "slice":
            yield f"type {name} []{facts['elem']}"
        case "func":
            body = ""
            if "sets" in facts:
                value = facts["params"][0]["name"]
                body = f"return func(o *X) {{ o.{facts['sets']} = {value} }}"
            yield f"func {name}{signature(facts)} {{ {body} }}"
        case _:
            yield f"{kind} {name} {facts['type']} = {facts['value']}"
    for method, one in methods:
        yield f"func (it *{name}) {method}{signature(one)} {{}}"


def struct(facts: Facts) -> str:
    inner = "; ".join(
        f"{one['name']} {struct(one) if 'fields' in one else one['type']}"
        for one in facts["fields"]
    )
    return f"struct {{ {inner} }}"


def recorded() -> Packages:
    packages: Packages = json.loads(go_facts.RECORD.read_text(encoding="utf-8"))["packages"]
    return packages


def test_the_whole_record_is_read_back_from_source_that_has_its_facts(tmp_path: Path) -> None:
    module = write_module(tmp_path)
    expected = recorded()
    for package, names in expected.items():
        (module / package).mkdir(parents=True, exist_ok=True)
        for name, facts in names.items():
            facts["file"] = "x.go"
            for known in (facts, *facts.get("fields", ())):
                known.pop("origin", None)
            with (module / package / "x.go").open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in go_source(name, facts))
        source = (module / package / "x.go").read_text("utf-8")
        (module / package / "x.go").write_text(f"package x\n{source}", encoding="utf-8")
    found = read(module)
    assert found.problems == []
    assert found.packages == expected


def test_the_record_is_what_the_command_writes() -> None:
    assert upstream.recorded().text() == go_facts.RECORD.read_text(encoding="utf-8")


def test_a_checkout_confirms_or_changes_what_is_known_from_elsewhere(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = write_module(
        tmp_path / "module",
        hop="""
        type Hop interface { Nodes() int }
        type Node struct { Name string; Codes int }
        """,
    )
    facts = read(module).packages
    facts["hop"]["Hop"]["origin"] = "a plan for hops"
    facts["hop"]["Node"]["fields"][1] |= {"type": "string", "origin": "a plan for nodes"}
    record.write_text(upstream.Version("1", "v1", facts).text(), encoding="utf-8")
    commit(module, "v2")

    assert upstream.main([str(module)]) == 1
    told = capsys.readouterr().out
    assert "confirmed hop.Hop, which was known from elsewhere" in told
    assert "confirmed hop.Node" not in told
    assert "changed hop.Node" in told
    assert "Known from a plan for nodes" in " ".join(told.split())

    upstream.main([str(module), "--write"])
    assert "origin" not in record.read_text(encoding="utf-8")


def test_what_v060_adds_is_known_from_those_who_use_it() -> None:
    known = {name for name, side in upstream.sides(upstream.recorded()).items() if side.origins}
    assert {name for name in known if name.startswith("cache.")} == {
        f"cache.{name}"
        for name in ("Cache", "Entry", "ErrNotFound", "SetOption", "SetOptions", "WithTTL")
    }
    assert known >= {"chain.FailCodes", "chain.HTTPNodeSettings", "handler.CacheOption"}
    assert "chain.Node" not in known


def test_the_tables_settle_every_recorded_name() -> None:
    every = go_facts.symbols().values()
    assert [missed for symbol in every for missed in translation.undecided(symbol)] == []


NAMES: Final = sorted(upstream.recorded().names())


def add_to(names: dict[str, Facts], name: str) -> None:
    """Change a name a little: one member more, or another parameter or value."""
    facts = names[name]
    match facts["kind"]:
        case "interface":
            facts["methods"]["Added"] = {"params": [], "results": []}
        case "struct":
            facts["fields"].append({"name": "Added", "type": "string"})
        case "slice":
            facts["methods"]["Added"] = {"params": [], "results": []}
        case "var":
            facts["value"] += "0"
        case _ if facts["params"]:
            facts["params"][0]["name"] += "Added"
        case _:
            facts["params"].append({"name": "added", "type": "string"})


def add_beside(names: dict[str, Facts], name: str) -> None:
    """Add another name of the same kind."""
    names[f"{name}Added"] = copy.deepcopy(names[name])


@given(st.sampled_from(NAMES), st.booleans(), st.data())
def test_a_change_is_reported_under_its_name_and_no_other(
    name: str, removed: bool, data: st.DataObject
) -> None:
    packages = recorded()
    package, _, own_name = name.rpartition(".")
    kind = packages[package][own_name]["kind"]
    whole = kind in ("const", "type") or data.draw(st.booleans())
    (add_beside if whole else add_to)(packages[package], own_name)
    versions = [upstream.recorded(), upstream.Version("2", "v2", packages)]
    found = upstream.changes(*(reversed(versions) if removed else versions))
    expected = "changed" if not whole else "removed" if removed else "added"
    assert [(one.name, one.kind) for one in found] == [
        (f"{name}Added" if whole else name, expected)
    ]


OLD: Final = """
type Hop interface { Select(ctx context.Context, addr string) *Node; Nodes() []string }
type Node struct { Name string; Weight int }
type Options struct { Host string }
type Option func(o *Options)
func HostOption(host string) Option { return func(o *Options) { o.Host = host } }
const Depth = "a"
"""

NEW: Final = """
type Hop interface { Nodes() []string; Select(ctx context.Context, address string) *Node }
type Node struct { Weight int; Name string }
type Options struct { Host string; ClientIP net.IP }
type Option func(o *Options)
func ClientIPOption(ip net.IP) Option { return func(o *Options) { o.ClientIP = ip } }
const Depth = "b"
type Lister interface { List(ctx context.Context, big *big.Int) error }
type Level int
const LevelLow Level = 1
const Limit = 5
func NewHop() Hop { return nil }
"""


def described(tmp_path: Path, old: str, new: str) -> dict[str, str]:
    versions = [
        upstream.Version(name, name, read(write_module(tmp_path / name, hop=source)).packages)
        for name, source in (("v1", old), ("v2", new))
    ]
    return {one.name: "\n".join(one.lines()) for one in upstream.changes(*versions)}


def test_a_difference_is_told_in_go_and_in_python(tmp_path: Path) -> None:
    found = described(tmp_path, OLD, NEW)
    assert found.keys() == {
        "hop.ClientIPOption",
        "hop.Depth",
        "hop.Hop",
        "hop.HostOption",
        "hop.Level",
        "hop.LevelLow",
        "hop.Limit",
        "hop.Lister",
        "hop.NewHop",
        "hop.Node",
        "hop.Options",
    }
    assert found["hop.ClientIPOption"] == (
        "added hop.ClientIPOption\n"
        "    Go        + func ClientIPOption(ip net.IP) Option // sets ClientIP\n"
        "    Python    gost_core.hop.client_ip_option\n"
        "              + def client_ip_option(IPv4Address | IPv6Address | None, /) -> Option"
    )
    assert found["hop.Depth"] == (
        "changed hop.Depth\n"
        '    Go        - const Depth = "a"\n'
        '              + const Depth = "b"\n'
        "    Python    gost_core.hop.DEPTH\n"
        "              - DEPTH: Final[str] = 'a'\n"
        "              + DEPTH: Final[str] = 'b'"
    )
    assert found["hop.HostOption"].startswith("removed hop.HostOption\n    Go        - func ")
    assert "- def host_option(str, /) -> Option" in found["hop.HostOption"]
    assert "+     client_ip: IPv4Address | IPv6Address | None = None" in found["hop.Options"]
    assert "the same fields in another order" in found["hop.Node"]


def test_a_new_name_of_a_parameter_is_a_change_and_another_order_of_methods_is_not(
    tmp_path: Path,
) -> None:
    found = described(tmp_path, OLD, NEW)["hop.Hop"]
    assert found == (
        "changed hop.Hop\n"
        "    Go        -     Select(ctx context.Context, addr string) *Node\n"
        "              +     Select(ctx context.Context, address string) *Node\n"
        "    Python    gost_core.hop.Hop\n"
        "                as it was, but for an order or the name of a parameter"
    )


def test_what_the_rules_do_not_settle_is_asked_for_and_not_guessed(tmp_path: Path) -> None:
    found = described(tmp_path, OLD, NEW)
    assert "Undecided STANDARD_TYPES has no *big.Int" in found["hop.Lister"]
    assert "Undecided BASES has no hop.Level" in found["hop.Level"]
    assert "Undecided CONSTRUCTORS has no hop.NewHop" in found["hop.NewHop"]
    assert "Undecided constant_name is for strings, which hop.Limit is not" in found["hop.Limit"]
    assert "class" not in found["hop.Level"]


@needs_git
def test_the_command_compares_two_checkouts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = commit(write_module(tmp_path / "old", hop="type A int"), "v1.0.0")
    new = commit(write_module(tmp_path / "new", hop="type B int"), "v1.1.0")

    assert upstream.main([str(new), "--against", str(old)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"{MODULE} v1.1.0 (")
    assert "compared with v1.0.0 (" in printed
    assert "1 added, 0 changed, 1 removed, 0 not understood" in printed

    assert upstream.main([str(new), "--against", str(new)]) == 0
    assert "0 added, 0 changed, 0 removed, 0 not understood" in capsys.readouterr().out


@needs_git
def test_write_makes_the_checkout_the_record(tmp_path: Path, record: Path) -> None:
    module = commit(write_module(tmp_path / "new", hop="type A int"), "v9.0.0")
    assert upstream.main([str(module)]) == 1
    assert "v9.0.0" not in record.read_text()
    assert upstream.main([str(module), "--write"]) == 0
    written = json.loads(record.read_text())
    assert written["version"] == "v9.0.0"
    assert len(written["commit"]) == 7
    assert list(written["packages"]) == ["hop"]
    assert upstream.main([str(module)]) == 0


@needs_git
@pytest.mark.parametrize("source", ["type A struct { B }", "type A int // not committed"])
def test_write_refuses_what_is_not_understood_and_what_is_in_no_commit(
    tmp_path: Path, record: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = record.read_text()
    module = commit(write_module(tmp_path / "new", hop="type A int"), "v9.0.0")
    write_module(module, hop=source)
    assert upstream.main([str(module), "--write"]) == 2
    printed = capsys.readouterr()
    assert "written" in printed.out + printed.err
    assert record.read_text() == before


@needs_git
def test_a_directory_without_a_version_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upstream.main([str(write_module(tmp_path, hop="type A int"))]) == 2
    assert "git cannot tell which version" in capsys.readouterr().err
    assert upstream.main([str(tmp_path / "nowhere")]) == 2
    assert "it has no go.mod" in capsys.readouterr().err
