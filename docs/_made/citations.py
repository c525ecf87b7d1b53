"""Makes links of what the pages and the docstrings cite.

They are written to be read as they stand, in an editor as well: ``(D26)``, ``close-twice``,
``listener.Listener``. Here each of these becomes a link, and each decision and each clause a target
that other projects can link to as well: ``:ref:`D26```, ``:ref:`listener.Listener.close-twice```.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Final

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.util.typing import ExtensionMetadata

from docs._made import package

DECISION: Final = re.compile(r"\bD\d+\b")
CLAUSES_PAGE: Final = "clauses"
DECISIONS_PAGE: Final = "decisions"

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
def clauses() -> frozenset[str]:
    """Return the ids of all clauses."""
    return frozenset(one.id for contract in package.contracts() for one in contract.clauses)


@cache
def public_objects() -> dict[str, str]:
    """Return the full names of what is public, by what a text may call it."""
    found: dict[str, str] = {}
    for module_name in package.module_names():
        module = import_module(module_name)
        short = module_name.removeprefix(f"{package.NAME}.")
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


def add_label(app: Sphinx, label: str, node: nodes.Element) -> None:
    """Make a node the target of a label, for this site and for those who use its inventory."""
    page = app.env.docname
    node["ids"].append(re.sub(r"[^a-z0-9]+", "-", label.lower()))
    domain = app.env.domains.standard_domain
    assert isinstance(domain, StandardDomain)
    domain.anonlabels[label.lower()] = page, node["ids"][-1]
    domain.labels[label.lower()] = page, node["ids"][-1], label


def mark_decisions(app: Sphinx, document: nodes.document) -> None:
    """Make a target of each decision, where a list item begins with its number."""
    for item in document.findall(nodes.list_item):
        first = next(item.findall(nodes.strong), None)
        if first is not None and DECISION.fullmatch(first.astext()):
            add_label(app, first.astext(), item)


def mark_clauses(app: Sphinx, document: nodes.document) -> None:
    """Make a target of each clause, where a row of an interface's table begins with its name."""
    for section in document.findall(nodes.section):
        title = section.next_node(nodes.title)
        for row in section.findall(nodes.row):
            first = row.next_node(nodes.entry)
            if title is None or first is None:
                continue
            clause = f"{title.astext()}.{first.astext()}"
            if clause in clauses():
                add_label(app, clause, row)


def link_decisions(document: nodes.document, page: str) -> None:
    """Link the numbers of decisions in running text."""
    for text in list(document.findall(nodes.Text)):
        if not DECISION.search(text) or is_linked(text) or isinstance(text.parent, nodes.strong):
            continue
        parts = list[nodes.Node]()
        end = 0
        for found in DECISION.finditer(text):
            number = nodes.inline(text=found[0])
            parts += [nodes.Text(text[end : found.start()]), to_label(found[0], number, page)]
            end = found.end()
        text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def is_linked(node: nodes.Node) -> bool:
    """Tell whether a text or a name stands in code, in a title, or in a link already."""
    return any(isinstance(parent, KEPT) for parent in ancestors(node))


def link_names(document: nodes.document, page: str) -> None:
    """Link clauses by their ids and public objects by their full names, where they stand as code.

    In the docstring of an interface a clause has its short name.
    """
    for literal in list(document.findall(nodes.literal)):
        if is_linked(literal):
            continue
        name = literal.astext()
        clause = name if name in clauses() else f"{described_interface(literal)}.{name}"
        if clause in clauses():
            linked = to_label(clause, literal.deepcopy(), page)
        elif (called := name.partition("(")[0]) in public_objects():
            target = public_objects()[called]
            role = "mod" if target == name and target in package.module_names() else "obj"
            linked = link(target, literal.deepcopy(), page, domain="py", role=role)
        else:
            continue
        literal.parent.replace(literal, linked)


def described_interface(node: nodes.Node) -> str:
    """Return ``<module>.<Interface>`` if a node is in the list of the clauses of one, or ""."""
    paragraph = node.parent
    if not isinstance(paragraph, nodes.paragraph) or "Checked by" not in paragraph.astext():
        return ""
    for parent in ancestors(node):
        if isinstance(parent, addnodes.desc):
            signature = parent.next_node(addnodes.desc_signature)
            assert isinstance(signature, addnodes.desc_signature)
            module = str(signature["module"]).removeprefix(f"{package.NAME}.")
            return f"{module}.{signature['fullname']}"
    return ""


def ancestors(node: nodes.Node) -> Iterator[nodes.Node]:
    """Return what a node stands in, from the inside."""
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def cite(app: Sphinx, document: nodes.document) -> None:
    """Make the targets and the links of a page that was read."""
    page = app.env.docname
    if page == DECISIONS_PAGE:
        mark_decisions(app, document)
    if page == CLAUSES_PAGE:
        mark_clauses(app, document)
    link_decisions(document, page)
    link_names(document, page)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in the build."""
    app.connect("doctree-read", cite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
