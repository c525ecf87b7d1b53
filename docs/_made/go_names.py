"""Go's names beside Python's: tables made from the recorded facts and the rules of translation.

Every Go name becomes an object of a domain of its own, so that the site's search finds it by name
and leads to its row, and so that ``{go:obj}`` links to it, here and from other projects.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.domains import Domain, ObjType
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata

from docs._made import package, surface, translation
from docs._made.citations import link
from docs._made.go_facts import Function, Symbol, packages, symbols

WITHOUT_COUNTERPART: Final = {
    "Error": "str(error)",
    "Unwrap": "error.__cause__",
}
"""The methods of Go's errors, and what says the same of an exception."""


@dataclass(frozen=True)
class Entry:
    """A Go name and its Python name, each with its declaration."""

    go_name: str
    """As the module has it: ``chain.Node.Copy``."""
    kind: str
    go: str
    python_name: str
    """The full name of what the Python documentation has of it; "" = it has nothing."""
    python: str
    origin: str = ""
    """Where the Go name is known from; "" = the sources of the module."""


def entries(symbol: Symbol) -> Iterator[Entry]:
    """Return an exported name, then its methods and fields."""
    module_name = f"{package.NAME}.{translation.module_name(symbol.package)}"
    name = translation.python_name(symbol)
    owner, _, member = name.partition(".")
    declared = surface.declaration(module_name, owner)
    lines = [line.partition("  #")[0].strip() for line in declared]  # without its notes
    if member:
        python = f"{owner}.{member_line(lines, member)}"
    elif str(symbol) in translation.CONSTRUCTORS:
        constructor = member_line(lines, "__init__")
        python = constructor.replace("def __init__", owner).removesuffix(" -> None")
    else:
        end = next((i for i, line in enumerate(lines) if line.startswith("class ")), 0)
        python = "\n".join(lines[: end + 1])
    yield Entry(
        str(symbol),
        kind(symbol),
        go_declaration(symbol),
        f"{module_name}.{name}",
        python,
        symbol.origin,
    )
    for method in symbol.methods:
        text = WITHOUT_COUNTERPART.get(method.name)
        python_name = translation.snake_case(method.name)
        yield Entry(
            f"{symbol}.{method.name}",
            "method",
            f"{method.name}{go_signature(method)}",
            "" if text else f"{module_name}.{name}.{python_name}",
            text or member_line(lines, python_name),
        )
    for field in symbol.fields:
        python_name = translation.snake_case(field.name)
        yield Entry(
            f"{symbol}.{field.name}",
            "field",
            f"{field.name} {field.type}",
            f"{module_name}.{name}.{python_name}",
            member_line(lines, python_name),
            field.origin,
        )


def kind(symbol: Symbol) -> str:
    """Say what sort of object of the domain a symbol is."""
    return symbol.kind if symbol.kind in ("const", "func", "var") else "type"


def member_line(lines: Sequence[str], name: str) -> str:
    """Return the line of a class that declares a member."""
    for line in lines:
        if line.startswith((f"{name}: ", f"{name} = ")) or f"def {name}(" in line:
            return line
    raise LookupError(f"{lines[0]} declares no {name}")


def go_declaration(symbol: Symbol) -> str:
    """Write the head of a declaration as Go does."""
    match symbol.kind:
        case "interface" | "struct":
            return f"type {symbol.name}{'[T any]' if symbol.is_generic else ''} {symbol.kind}"
        case "functype":
            return f"type {symbol.name} func{go_signature(symbol.function)}"
        case "type":
            return f"type {symbol.name} {symbol.type}"
        case "slice":
            return f"type {symbol.name} []{symbol.type}"
        case "const":
            declared = f"const {symbol.name} {symbol.type}".strip()
            return f"{declared} = {go_value(symbol)}"
        case "var":
            return f"var {symbol.name} error"
        case _:
            return f"func {symbol.name}{go_signature(symbol.function)}"


def go_value(symbol: Symbol) -> str:
    """Write the value of a constant."""
    return f'"{symbol.value}"' if isinstance(symbol.value, str) else str(symbol.value)


def go_signature(function: Function) -> str:
    """Write parameters and results."""
    parameters = ", ".join(f"{one.name} {one.type}".strip() for one in function.parameters)
    match function.results:
        case ():
            return f"({parameters})"
        case (result,):
            return f"({parameters}) {result}"
        case results:
            return f"({parameters}) ({', '.join(results)})"


def anchor(go_name: str) -> str:
    """Return the id of a name's row."""
    return "go-" + go_name.replace("/", "-")


class Names(SphinxDirective):
    """The table of all names, a section for each package."""

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        return [self.section(path) for path in packages()]

    def section(self, path: str) -> nodes.section:
        """Make the section of a package."""
        section = nodes.section("", nodes.title("", path), ids=[anchor(path)])
        own = [symbol for symbol in symbols().values() if symbol.package == path]
        rows = [
            self.row(entry, is_member=position > 0)
            for symbol in own
            for position, entry in enumerate(entries(symbol))
        ]
        section += table(("Go", "Python"), rows, "translation", "filtered")
        self.state.document.note_implicit_target(section)
        return section

    def row(self, entry: Entry, *, is_member: bool) -> nodes.row:
        """Make the row of a name, and the object that the search finds."""
        domain = self.env.domains["go"]
        assert isinstance(domain, GoDomain)
        domain.note(entry)
        go: nodes.Node = nodes.literal(text=entry.go, classes=["go"])
        if entry.origin:
            go = nodes.inline("", "", go, nodes.inline(text=f" known from {entry.origin}"))
        python: nodes.Node = nodes.literal(text=entry.python, classes=["python"])
        if entry.python_name:
            python = link(entry.python_name, python, self.env.docname, domain="py", role="obj")
        row = nodes.row("", *cells(go, python), ids=[anchor(entry.go_name)])
        row["classes"].append("member" if is_member else "symbol")
        return row


class Deviations(SphinxDirective):
    """A table of ``translation``: what the rules do not lead to, and why."""

    required_arguments = 1

    TABLES: Final[Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]]] = {
        "special": (
            ("Go", "Python", "Why"),
            [(name, one.declaration, one.reason) for name, one in translation.SPECIAL.items()],
        ),
        "bases": (("Go", "Bases in Python"), [*translation.BASES.items()]),
        "none-results": (("Go", "None in place of a result"), [*translation.NONE_RESULTS.items()]),
        "none-arguments": (
            ("Go", "None in place of the argument"),
            [*translation.NONE_ARGUMENTS.items()],
        ),
    }

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        heads, rows = self.TABLES[self.arguments[0]]
        page = self.env.docname
        written = list[nodes.row]()
        for go_name, *texts in rows:
            named = link(go_name, nodes.literal(text=go_name), page, domain="go", role="obj")
            others = [
                nodes.literal(text=text) if "Python" in head else nodes.Text(text)
                for head, text in zip(heads[1:], texts, strict=True)
            ]
            written.append(nodes.row("", *cells(named, *others)))
        return [table(heads, written, "deviations")]


def cells(*contents: nodes.Node) -> Iterator[nodes.entry]:
    """Make the cells of a row."""
    for content in contents:
        yield nodes.entry("", nodes.paragraph("", "", content))


def table(heads: Sequence[str], rows: list[nodes.row], *css_classes: str) -> nodes.table:
    """Make a table."""
    head = nodes.thead("", nodes.row("", *cells(*map(nodes.Text, heads))))
    columns = [nodes.colspec(colwidth=1) for _ in heads]
    group = nodes.tgroup("", *columns, head, nodes.tbody("", *rows), cols=len(heads))
    return nodes.table("", group, classes=[*css_classes])


class GoDomain(Domain):
    """The names of the Go module."""

    name = "go"
    label = "Go"
    object_types: ClassVar[dict[str, ObjType]] = {
        kind: ObjType(kind, "obj") for kind in ("type", "func", "const", "var", "method", "field")
    }
    roles: ClassVar[dict[str, Any]] = {"obj": XRefRole()}  # Any: as the base class has it
    initial_data: ClassVar[dict[str, Any]] = {"objects": {}}

    @property
    def objects(self) -> dict[str, tuple[str, str]]:
        """The page and the kind of each name."""
        found: dict[str, tuple[str, str]] = self.data["objects"]
        return found

    def note(self, entry: Entry) -> None:
        """Remember a name that the page being read has."""
        self.objects[entry.go_name] = self.env.docname, entry.kind

    def clear_doc(self, docname: str) -> None:
        """Forget the names of a page."""
        for name in [name for name, (page, _) in self.objects.items() if page == docname]:
            del self.objects[name]

    def merge_domaindata(self, docnames: AbstractSet[str], otherdata: dict[str, Any]) -> None:
        """Take what another process has read."""
        self.objects.update(otherdata["objects"])

    def resolve_xref(
        self,
        env: BuildEnvironment,
        fromdocname: str,
        builder: Builder,
        typ: str,
        target: str,
        node: addnodes.pending_xref,
        contnode: nodes.Element,
    ) -> nodes.reference | None:
        """Find the row of a name."""
        if target not in self.objects:
            return None
        page, _ = self.objects[target]
        return make_refnode(builder, fromdocname, page, anchor(target), contnode, target)

    def resolve_any_xref(
        self,
        env: BuildEnvironment,
        fromdocname: str,
        builder: Builder,
        target: str,
        node: addnodes.pending_xref,
        contnode: nodes.Element,
    ) -> list[tuple[str, nodes.reference]]:
        """Find the row of a name that may be something else as well."""
        found = self.resolve_xref(env, fromdocname, builder, "obj", target, node, contnode)
        return [] if found is None else [("go:obj", found)]

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        """Return the names for the search and for the inventory."""
        for name, (page, kind_) in self.objects.items():
            yield name, name, kind_, page, anchor(name), 1


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in the build."""
    app.add_domain(GoDomain)
    app.add_directive("go-names", Names)
    app.add_directive("go-deviations", Deviations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
