"""Makes links of what the pages and the docstrings cite.

They are written to be read as they stand, in an editor as well: ``(D26)``, ``listener.Listener``,
``listener.Listener.shape``. Here each of these becomes a link, and each decision and each clause a
target that other projects can link to as well: ``:ref:`D26```, ``:ref:`listener.Listener.shape```.

Below each decision stands which clauses check it and what cites it; its words that are in the
glossary are links. So that the search finds decisions and tasks, their titles are entries of the
index.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Final

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders import Builder
from sphinx.domains.std import StandardDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata

from docs._made import package
from gost_core.testing import Clause

DECISION: Final = re.compile(r"\bD\d+\b")
TITLED_DECISION: Final = re.compile(r"(D\d+): (.+)")
CLAUSES_PAGE: Final = "clauses"
DECISIONS_PAGE: Final = "decisions"
FAULTS_PAGE: Final = "historical-faults"
COVERAGE_PAGE: Final = "coverage"
GLOSSARY_PAGE: Final = "glossary"
TASKS_PAGE: Final = "how-to"
LONG_TABLES: Final = (CLAUSES_PAGE, COVERAGE_PAGE, FAULTS_PAGE)
"""The pages whose rows begin with a name, and are too many to look through."""

DOCS: Final = Path(__file__).parent.parent

KEPT: Final = (
    addnodes.desc_signature,
    addnodes.pending_xref,
    nodes.literal,
    nodes.literal_block,
    nodes.reference,
    nodes.title,
)
"""What nothing is linked in."""


@cache
def clauses() -> tuple[Clause, ...]:
    """Return all clauses; what two contracts of one interface share is there once."""
    every = (one for contract in package.contracts() for one in contract.clauses)
    return tuple({one.id: one for one in every}.values())


@cache
def clause_ids() -> frozenset[str]:
    """Return the ids of all clauses."""
    return frozenset(clause.id for clause in clauses())


@cache
def titles() -> dict[str, str]:
    """Return the titles of the decisions, by number."""
    text = (DOCS / f"{DECISIONS_PAGE}.md").read_text(encoding="utf-8")
    return dict(re.findall(rf"^### {TITLED_DECISION.pattern}$", text, re.MULTILINE))


@cache
def terms() -> dict[str, str]:
    """Return the terms of the glossary, by how they are written in lower case."""
    text = (DOCS / f"{GLOSSARY_PAGE}.md").read_text(encoding="utf-8")
    listed = text.partition(":::{glossary}\n")[2].partition("\n:::")[0]
    return {term.lower(): term for term in re.findall(r"^\S.*$", listed, re.MULTILINE)}


@cache
def any_term() -> re.Pattern[str]:
    """Return what finds a term in a text, also in the plural; of two, the longer one."""
    longest_first = sorted(map(re.escape, terms()), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(longest_first)})(?:e?s)?(?![\w-])", re.IGNORECASE)


@cache
def public_objects() -> dict[str, str]:
    """Return the full names of what is public, by what a text may call it."""
    found: dict[str, str] = {}
    for module_name in package.module_names():
        module = import_module(module_name)
        short = module_name.removeprefix(f"{package.NAME}.")
        if not short.startswith("testing."):  # contracts stand on the page of their interface
            found[module_name] = module_name
        for name in package.public_names(module):
            found[f"{short}.{name}"] = found[f"{module_name}.{name}"] = f"{module_name}.{name}"
    return found


def link(target: str, content: nodes.Node, page: str, *, domain: str, role: str) -> nodes.Node:
    """Make a link that Sphinx resolves, and warns of if there is no target."""
    return addnodes.pending_xref(
        "",
        content,
        refdomain=domain,
        reftype=role,
        reftarget=target,
        refdoc=page,
        refexplicit=True,
        refwarn=True,
    )


def to_label(label: str, content: nodes.Node, page: str) -> nodes.Node:
    """Link to a decision or a clause."""
    return link(label.lower(), content, page, domain="std", role="ref")


def add_label(app: Sphinx, label: str, node: nodes.Element) -> str:
    """Make a node the target of a label, for this site and for those who use its inventory."""
    page = app.env.docname
    anchor = re.sub(r"[^a-z0-9]+", "-", label.lower())
    node["ids"].insert(0, anchor)
    domain = app.env.domains.standard_domain
    assert isinstance(domain, StandardDomain)
    domain.anonlabels[label.lower()] = page, anchor
    domain.labels[label.lower()] = page, anchor, label
    return anchor


def decision_sections(document: nodes.document) -> Iterator[tuple[str, nodes.section]]:
    """Return the section of each decision, with its number."""
    for section in document.findall(nodes.section):
        title = section.next_node(nodes.title)
        if title is not None and (found := TITLED_DECISION.fullmatch(title.astext())):
            yield found[1], section


def mark_decisions(app: Sphinx, document: nodes.document) -> None:
    """Make each decision a target, and what the search finds by its number and by its title."""
    for number, section in decision_sections(document):
        anchor = add_label(app, number, section)
        found_by = f"{number}; {titles()[number]}", f"{number}: {titles()[number]}"
        section.insert(1, index_entries(anchor, *found_by))


def mark_tasks(document: nodes.document) -> None:
    """Make each task what the search finds by its title, and by the words that this has in ()."""
    for section in document.findall(nodes.section):
        title = section.next_node(nodes.title)
        if title is not None and title.parent is section:
            task, _, words = title.astext().rstrip(")").partition(" (")
            found_by = [task, *words.split(", ")]
            section.insert(1, index_entries(section["ids"][0], *filter(None, found_by)))


def index_entries(anchor: str, *found_by: str) -> addnodes.index:
    """Make entries of the index, which lead to a place on the page."""
    return addnodes.index(entries=[("single", entry, anchor, "main", None) for entry in found_by])


def mark_clauses(app: Sphinx, document: nodes.document) -> None:
    """Make a target of each clause, where a row of an interface's table begins with its name.

    Two contracts of one interface share clauses; the first table that has one is its target.
    """
    waiting = set(clause_ids())
    for section in document.findall(nodes.section):
        title = section.next_node(nodes.title)
        for row in section.findall(nodes.row):
            first = row.next_node(nodes.entry)
            if title is None or first is None:
                continue
            interface = title.astext().partition(",")[0]
            clause = f"{interface}.{first.astext()}"
            if clause in waiting:
                waiting.remove(clause)
                add_label(app, clause, row)


def link_decisions(document: nodes.document, page: str) -> Iterator[tuple[str, str]]:
    """Link the numbers of decisions in running text; return each with the anchor of its place."""
    for text in list(document.findall(nodes.Text)):
        if not DECISION.search(text) or is_linked(text) or isinstance(text.parent, nodes.strong):
            continue
        parts = list[nodes.Node]()
        end = 0
        for found in DECISION.finditer(text):
            number = nodes.inline(text=found[0])
            parts += [nodes.Text(text[end : found.start()]), to_label(found[0], number, page)]
            end = found.end()
            yield found[0], place(text)
        text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def place(node: nodes.Node) -> str:
    """Return the full name of what a text documents, or "" if that is no object."""
    for parent in ancestors(node):
        if isinstance(parent, addnodes.desc):
            signature = parent.next_node(addnodes.desc_signature)
            if isinstance(signature, addnodes.desc_signature) and signature["ids"]:
                return str(signature["ids"][0])
    return ""


def link_terms(document: nodes.document, page: str) -> None:
    """Link the words of the glossary where a decision first uses them."""
    for _, section in decision_sections(document):
        linked = set[str]()
        for text in list(section.findall(nodes.Text)):
            if is_linked(text) or isinstance(text.parent, nodes.strong):
                continue
            parts = list[nodes.Node]()
            end = 0
            for found in any_term().finditer(text):
                term = terms()[found[1].lower()]
                if term not in linked:
                    linked.add(term)
                    word = nodes.inline(text=found[0])
                    to_term = link(term, word, page, domain="std", role="term")
                    parts += [nodes.Text(text[end : found.start()]), to_term]
                    end = found.end()
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def is_linked(node: nodes.Node) -> bool:
    """Tell whether a text or a name stands in code, in a title, or in a link already."""
    return any(isinstance(parent, KEPT) for parent in ancestors(node))


def link_names(document: nodes.document, page: str) -> None:
    """Link clauses by their ids, public objects by their full names, and pages by their paths.

    Each is written as code.
    """
    for literal in list(document.findall(nodes.literal)):
        if is_linked(literal):
            continue
        name = literal.astext()
        if name in clause_ids():
            linked = to_label(name, literal.deepcopy(), page)
        elif (called := name.partition("(")[0]) in public_objects():
            target = public_objects()[called]
            role = "mod" if target == name and target in package.module_names() else "obj"
            linked = link(target, literal.deepcopy(), page, domain="py", role=role)
        elif (file := re.fullmatch(r"docs/([\w/-]+)\.md", name)) and page.startswith("reference/"):
            linked = link(f"/{file[1]}", literal.deepcopy(), page, domain="std", role="doc")
        else:
            continue
        literal.parent.replace(literal, linked)


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """Return what a node stands in, from the inside."""
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


# ---- While the pages are read


def cite(app: Sphinx, document: nodes.document) -> None:
    """Make the targets and the links of a page that was read."""
    page = app.env.docname
    if page == DECISIONS_PAGE:
        mark_decisions(app, document)
        link_terms(document, page)
    if page == CLAUSES_PAGE:
        mark_clauses(app, document)
    if page == TASKS_PAGE:
        mark_tasks(document)
    if page in LONG_TABLES:
        for table in document.findall(nodes.table):
            if "kinds" not in table["classes"]:
                table["classes"] += ["ids", "filtered"]
    # Sphinx keeps, forgets and merges what it knows of a page.
    app.env.metadata[page]["decisions"] = list(link_decisions(document, page))
    link_names(document, page)


def write_anew(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Name the page that shows what others cite, and one whose entries the search would forget."""
    return [DECISIONS_PAGE, TASKS_PAGE]


# ---- While a page is written


def finish(app: Sphinx, document: nodes.document, page: str) -> None:
    """Say below each decision what checks and cites it, and in each link to one its title."""
    break_long_names(document)
    if page == DECISIONS_PAGE:
        for number, section in decision_sections(document):
            section += paragraph("Checked by", clauses_by_interface(app, number))
            section += paragraph("Cited by", cited_by(app, number))
    for reference in document.findall(nodes.reference):
        target = reference.get("refuri") or f"{page}.html#{reference.get('refid')}"
        found = re.search(rf"\b{DECISIONS_PAGE}(?:\.html|/)#d(\d+)$", target)
        if found:
            reference["reftitle"] = f"D{found[1]}: {titles()[f'D{found[1]}']}"


def break_long_names(document: nodes.document) -> None:
    """Let a long name end a line behind a dot, ``_``, ``/`` or ``(``, and not within a word."""
    for named in [*document.findall(nodes.literal), *document.findall(nodes.reference)]:
        for text in list(named.findall(nodes.Text)):
            parts = re.split(r"(?<=\w[._/(])(?=\w)", text.astext())
            if len(parts) > 1:
                pieces: list[nodes.Node] = [nodes.Text(parts[0])]
                for part in parts[1:]:
                    pieces += [nodes.raw("", "<wbr>", format="html"), nodes.Text(part)]
                text.parent.replace(text, pieces)


def paragraph(heading: str, items: list[list[nodes.Node]]) -> list[nodes.Node]:
    """Write a list in small print, or nothing if it is empty."""
    if not items:
        return []
    text = nodes.paragraph("", "", nodes.strong(text=heading), nodes.Text(": "), classes=["basis"])
    for item in items[:-1]:
        text += [*item, nodes.Text("; ")]
    text += items[-1]
    return [text]


def clauses_by_interface(app: Sphinx, number: str) -> list[list[nodes.Node]]:
    """Return the links to the clauses that rest on a decision, together by interface."""
    rest_on = (clause.id for clause in clauses() if number in DECISION.findall(clause.basis))
    items = list[list[nodes.Node]]()
    for interface, ids in groupby(sorted(rest_on), lambda name: name.rpartition(".")[0]):
        item: list[nodes.Node] = [nodes.Text(f"{interface} ")]
        for name in ids:
            to_page, anchor, _ = app.env.domains.standard_domain.labels[name.lower()]
            item += [
                reference_to(app, to_page, anchor, code(name.rpartition(".")[2])),
                nodes.Text(", "),
            ]
        items.append(item[:-1])
    return items


def cited_by(app: Sphinx, number: str) -> list[list[nodes.Node]]:
    """Return the links to the docstrings and to the pages that cite a decision."""
    places = {
        (page, name)
        for page, known in app.env.metadata.items()
        for found, name in known.get("decisions", ())
        if found == number and page not in (DECISIONS_PAGE, CLAUSES_PAGE)
    }
    return [
        [
            reference_to(app, page, name, code(name.removeprefix(f"{package.NAME}.")))
            if name
            else reference_to(app, page, "", nodes.Text(app.env.titles[page].astext()))
        ]
        for page, name in sorted(places)
    ]


def reference_to(app: Sphinx, page: str, anchor: str, shown: nodes.Node) -> nodes.reference:
    """Link from the page of the decisions to a place."""
    assert isinstance(app.builder, Builder)
    return make_refnode(app.builder, DECISIONS_PAGE, page, anchor, shown)


def code(name: str) -> nodes.literal:
    """Show a name as code."""
    return nodes.literal(text=name)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in the build."""
    # Before Sphinx notes by which anchors its lists of contents reach the sections.
    app.connect("doctree-read", cite, priority=400)
    app.connect("env-updated", write_anew)
    app.connect("doctree-resolved", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
