"""The API reference: a page for each module of the installed package, made by autodoc.

Autodoc knows nothing of protocols and of type aliases. Here a protocol loses the constructor that
it has only by accident, ``(*args, **kwargs)``, and an alias keeps its name in signatures.
"""

import ast
import dataclasses
import enum
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from inspect import getdoc
from operator import attrgetter
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Final, NewType, TypeAlias, get_type_hints

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import ExtensionMetadata, stringify_annotation
from typing_extensions import get_original_bases, is_protocol

from docs._made import package
from gost_core.testing import Contract

FOLDER: Final = "reference"
SECTIONS: Final = ("Interfaces", "Classes", "Options", "Functions", "Errors", "Values")

EVERYWHERE: Final = {"Option", "Options"}
"""What most modules have under one name: each page says it of all others in one word."""

ELSEWHERE: Final = {
    # Only the newer inventories have these two as classes.
    "collections.abc.Buffer": "library/collections.abc.html#collections.abc.Buffer",
    "re.Pattern": "library/re.html#re-objects",
    "typing_extensions.Buffer": "library/collections.abc.html#collections.abc.Buffer",
    "unittest.case.TestCase": "library/unittest.html#unittest.TestCase",
}
"""Where Python documents what its inventory does not have, or has under another name."""


VARIABLE: Final = re.compile(r"(gost_core\.[\w.]+\.)?(\w*T|P|P\.args|P\.kwargs)")
"""The names of the type variables, which have no page of their own."""


def write_pages(app: Sphinx) -> None:
    """Write the pages that differ from what stands there, and remove those of former modules."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    texts = pages()
    written = {folder / name for name in texts}
    for former in set(folder.rglob("*.rst")) - written:
        former.unlink()
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


@cache
def documented() -> tuple[str, ...]:
    """Return the names of the modules that have a page."""
    return tuple(
        name for name in package.module_names() if name != package.NAME and not is_contract(name)
    )


def pages() -> dict[str, str]:
    """Return the text of each page of the reference, by the name of its file."""
    texts = {f"{place(name)}.rst": "\n".join(page(name)) for name in documented()}
    return texts | {"index.rst": "\n".join(index())}


def index() -> Iterator[str]:
    """Write the page that lists the modules."""
    yield from ("API reference", "=============", "")
    yield from (f".. automodule:: {package.NAME}", "", *table(documented()))
    yield from (".. toctree::", "   :hidden:", "")
    yield from (f"   {short(name)} <{place(name)}>" for name in documented())
    yield ""


def table(names: Sequence[str]) -> Iterator[str]:
    """Write a table of modules, each with the first line of its docstring."""
    yield from (".. list-table::", "   :widths: 1 3", "")
    for name in names:
        summary = (getdoc(import_module(name)) or "").partition("\n\n")[0].replace("\n", " ")
        yield from (f"   * - :doc:`{short(name)} </{FOLDER}/{place(name)}>`", f"     - {summary}")
    yield ""


def short(module_name: str) -> str:
    """Return the name of a module within the package."""
    return module_name.removeprefix(f"{package.NAME}.")


def place(module_name: str) -> str:
    """Return the path of a module's page, without its ending: ``limiter/rate``."""
    return short(module_name).replace(".", "/")


def is_contract(module_name: str) -> bool:
    """Tell whether a module holds contracts, which stand on the page of their interface."""
    return module_name.startswith(f"{package.NAME}.testing.")


def page(module_name: str) -> Iterator[str]:
    """Write the page of a module: what it says of itself, then its public names in sections."""
    module = import_module(module_name)
    parent, _, last = module_name.rpartition(".")
    yield from (module_name, "=" * len(module_name), "", f".. automodule:: {module_name}", "")
    yield from (".. code-block:: python", "", f"   from {parent} import {last}", "")
    yield from namesakes(module_name)
    order = list(vars(module))
    names = sorted(package.public_names(module), key=order.index)
    children = [name for name in documented() if name.rpartition(".")[0] == module_name]
    if children:
        yield from ("Modules", "-------", "", *table(children))
    for heading in SECTIONS:
        members = [name for name in names if section(module, name) == heading]
        if members:
            yield from (heading, "-" * len(heading), "")
            for name in members:
                yield from directive(module, name)
    contracts = f"{package.NAME}.testing.{short(module_name)}"
    if contracts in package.module_names():
        yield from ("Contracts", "---------", "", f".. automodule:: {contracts}", "")
        for name in package.public_names(import_module(contracts)):
            yield from contract(contracts, getattr(import_module(contracts), name))


def namesakes(module_name: str) -> Iterator[str]:
    """Write which names of other modules are not to be taken for those of this one."""
    own = set(package.public_names(import_module(module_name)))
    other_modules = [name for name in documented() if name != module_name]
    shared = [
        (name, other)
        for name in sorted(own)
        for other in other_modules
        if name in package.public_names(import_module(other))
    ]
    # There are dozens of these, and what they are for is seen by their module.
    options = {other: None for name, other in shared if name.islower()}
    others = [
        f"``{short(other)}.{name}``"
        for name, other in shared
        if not (name.islower() or name in EVERYWHERE)
    ]
    if everywhere := sorted(own.intersection(EVERYWHERE)):
        others.append(" and ".join(f"``{name}``" for name in everywhere) + " of other modules")
    if options:
        modules = ", ".join(f"``{short(name)}``" for name in options)
        others.append(f"the option functions of the same names in {modules}")
    if others:
        yield from (
            ".. rst-class:: basis",
            "",
            f"Not to be confused with: {'; '.join(others)}.",
            "",
        )


def contract(module_name: str, cls: type[Contract]) -> Iterator[str]:
    """Write what documents a contract: what has to be given to it, in the constructor's order."""
    full_name = f"{module_name}.{cls.__name__}"
    yield from (f".. autoclass:: {full_name}", "")
    for field in sorted(dataclasses.fields(cls), key=lambda one: one.kw_only is True):
        yield f"   .. autoattribute:: {full_name}.{field.name}"
        # Among the members Sphinx would take it for a method, and show its address as the value.
        if isinstance(field.default, FunctionType):
            yield "      :no-value:"
        yield ""


def clauses(full_name: str) -> Iterator[str]:
    """Write the clauses of an interface as lists that a reader opens, one for each contract."""
    for cls in package.contracts():
        if f"{package.NAME}.{cls.clauses[0].id.rpartition('.')[0]}" == full_name:
            summary = f"{len(cls.clauses)} clauses of {cls.__name__}"
            yield from (".. raw:: html", "", f"   <details><summary>{summary}</summary>", "")
            for one in cls.clauses:
                sentence = re.sub(r"([\\*_`|])", r"\\\1", one.sentence)
                yield f"- :ref:`{one.id.rpartition('.')[2]} <{one.id.lower()}>`: {sentence}"
            yield from ("", ".. raw:: html", "", "   </details>", "")


def section(module: ModuleType, name: str) -> str:
    """Say in which section a public name stands."""
    value: object = getattr(module, name)
    aliases = option_aliases(module)
    match value:
        case type() if is_protocol(value):
            return "Interfaces"
        case type() if issubclass(value, Exception):
            return "Errors"
        case type() if name.removesuffix("s") in aliases:
            return "Options"
        case type():
            return "Classes"
        case FunctionType() if result(value) in aliases:
            return "Options"
        case FunctionType():
            return "Functions"
        case _:
            return "Options" if name in aliases else "Values"


def directive(module: ModuleType, name: str) -> Iterator[str]:
    """Write the directive that documents a public name."""
    value: object = getattr(module, name)
    full_name = f"{module.__name__}.{name}"
    if isinstance(value, type):
        # A field that the constructor's description describes has no text of its own.
        yield from (f".. autoclass:: {full_name}", "   :members:", "   :undoc-members:")
        if "__str__" in getattr(value, "__abstractmethods__", ()):
            yield "   :special-members: __str__"
        if not is_protocol(value) and value.__bases__ != (object,):
            yield "   :show-inheritance:"
        if any(is_private(base) for base in value.__bases__):
            public = {base.__name__ for base in value.__mro__[1:] if not is_private(base)}
            yield f"   :inherited-members: {', '.join(sorted(public))}"
            # Of these, and on Python 3.11 only, Sphinx would ask issubclass of a protocol.
            hidden = "__callable_proto_members_only__, __protocol_attrs__, __slots__"
            yield f"   :exclude-members: {hidden}"
        yield from ("", *clauses(full_name))
    elif isinstance(value, FunctionType):
        yield f".. autofunction:: {full_name}"
    elif isinstance(value, NewType) or get_type_hints(module).get(name) is TypeAlias:
        stands_for = value.__supertype__ if isinstance(value, NewType) else value
        yield from (f".. py:type:: {name}", f"   :canonical: {annotation(stands_for)}", "")
        comment = ModuleAnalyzer.for_module(module.__name__).find_attr_docs().get(("", name), [])
        yield from (f"   {line}" for line in comment)
    else:
        yield f".. autodata:: {full_name}"
    yield ""


def annotation(value: object) -> str:
    """Write a type for one of Sphinx's directives, whose links show no modules."""
    return stringify_annotation(value, "smart")


def is_private(cls: type[object]) -> bool:
    """Tell whether a class is the package's and not public."""
    return cls.__module__.startswith(package.NAME) and cls not in package.exported()


def result(function: FunctionType) -> str:
    """Return what a function returns, in the words of the source."""
    node = package.definition(function.__module__, function.__name__)
    assert not isinstance(node, ast.ClassDef)
    return "" if node.returns is None else ast.unparse(node.returns)


def option_aliases(module: ModuleType) -> list[str]:
    """Return the names of the options' aliases of a module."""
    hints = get_type_hints(module)
    names = package.public_names(module)
    return [name for name in names if name.endswith("Option") and hints.get(name) is TypeAlias]


PARAMETERS: Final = {
    "[[~P], ": "[~P, ",
    "*args: ~typing.~P": "*args: ~P.args",
    "**kwargs: ~typing.~P": "**kwargs: ~P.kwargs",
}
"""How autodoc writes a ParamSpec, and how it is written."""


@cache
def aliases() -> dict[str, str]:
    """Return the alias of each kind of options, by what autodoc writes in its place."""
    modules = [import_module(name) for name in package.contract_names()]
    return {
        annotation(getattr(module, name)): f"~{module.__name__}.{name}"
        for module in modules
        for name in option_aliases(module)
    }


def write_signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Say how an object is called, in the words of its source."""
    values = list(factory_values(obj))
    if isinstance(obj, type) and (is_protocol(obj) or issubclass(obj, enum.Enum)):
        return "", None
    for value in values:
        signature = signature and signature.replace("<factory>", value, 1)
    signature = signature and re.sub(r"<function (\w+)>", r"\1", signature)
    for text, alias in (PARAMETERS | aliases()).items():
        signature = signature and signature.replace(text, alias)
        returns = returns and returns.replace(text, alias)
    return signature, returns


def factory_values(obj: object) -> Iterator[str]:
    """Return what the factories of a dataclass make, in the order of its fields."""
    if dataclasses.is_dataclass(obj):
        for field in dataclasses.fields(obj):
            if field.default_factory is not dataclasses.MISSING:
                value: object = field.default_factory()
                known = value in ({}, ())
                yield repr(value) if known else f"{type(value).__name__}()"


def show_public_bases(
    app: Sphinx, name: str, obj: object, options: object, bases: list[object]
) -> None:
    """Replace a private base class by its own bases."""
    for base in list(bases):
        if isinstance(base, type) and is_private(base):
            place = bases.index(base)
            bases[place : place + 1] = get_original_bases(base)


def say_runtime_checkable(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Say of a protocol that ``isinstance`` works with it; the source has a decorator for that."""
    if isinstance(obj, type) and is_protocol(obj) and getattr(obj, "_is_runtime_protocol", False):
        lines.extend(["", "Runtime-checkable: ``isinstance`` looks for the names of its members."])


def keep_builtins(app: Sphinx, document: nodes.document) -> None:
    """Keep the builtin ``type`` from being looked for among the fields of that name."""
    for node in document.findall(addnodes.pending_xref):
        if node.get("reftarget") == "type":
            node.attributes.pop("refspecific", None)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Node | None:
    """Find what no inventory has: type variables, and what goes by another name elsewhere."""
    target = str(node.get("reftarget", ""))
    if target in ELSEWHERE:
        uri = f"{app.config.intersphinx_mapping['python'][1][0]}/{ELSEWHERE[target]}"
        return nodes.reference("", "", content, internal=False, refuri=uri)
    # What is private stands in signatures, and has no page.
    is_private = target.startswith(f"{package.NAME}.testing._")
    return content if is_private or VARIABLE.fullmatch(target) else None


def read_google_style(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Read the headings in a docstring, as napoleon does; the text below a field has none.

    There napoleon would take whatever stands before a colon for a type.
    """
    if what not in ("attribute", "data"):
        lines[:] = GoogleDocstring(lines).lines()


def keep_to_own_source(app: Sphinx, module_name: str, attribute: str) -> str | None:
    """Have an alias of what others define lead to its own line, and show no source of theirs."""
    try:
        origin = attrgetter(attribute)(import_module(module_name)).__module__
    except AttributeError:
        return None
    return None if origin.partition(".")[0] == package.NAME else module_name


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in the build."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-bases", show_public_bases)
    app.connect("autodoc-process-docstring", read_google_style)
    app.connect("autodoc-process-docstring", say_runtime_checkable)
    app.connect("doctree-read", keep_builtins)
    app.connect("missing-reference", resolve)
    app.connect("viewcode-follow-imported", keep_to_own_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
