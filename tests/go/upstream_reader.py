"""Reads the public API from the Go source of the module, with tree-sitter.

The facts have the form of ``data/go-core-api.json``. What that form cannot hold is never left out
in silence: it is a finding in :attr:`Source.problems`, with its file and line.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import tree_sitter_go
from tree_sitter import Language, Node, Parser

MODULE: Final = "github.com/go-gost/core"

Facts = dict[str, Any]
"""What is known of a name; ``json`` has no narrower type for it."""

_PARSER: Final = Parser(Language(tree_sitter_go.language()))

_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<<": lambda value, places: value << places,
    ">>": lambda value, places: value >> places,
    "|": lambda one, other: one | other,
}


class UnreadableError(Exception):
    """The source cannot be read at all."""


class _UnknownError(Exception):
    """A piece of source has a meaning that the facts cannot hold."""

    def __init__(self, node: Node, what: str) -> None:
        super().__init__(node, what)
        self.line = node.start_point.row + 1
        self.what = f"{what}: {_text(node).partition(' {')[0]}"


@dataclass(slots=True)
class Source:
    """What was found in the packages of a module."""

    packages: dict[str, dict[str, Facts]] = field(default_factory=dict[str, dict[str, Facts]])
    """The facts of each exported name, by package and name."""
    problems: list[str] = field(default_factory=list[str])
    """What the facts cannot hold, each with its file and line."""


@dataclass(frozen=True, slots=True)
class _Constant:
    type: str
    value: Node | None
    iota: int


def read(checkout: Path) -> Source:
    """Read all packages of a checkout but commands, tests and what is internal to the module."""
    _check_module(checkout)
    source = Source()
    directories = sorted({path.parent for path in checkout.rglob("*.go")})
    for directory in directories:
        inner = directory.relative_to(checkout)
        hidden = any(part.startswith((".", "_")) for part in inner.parts)
        if hidden or {"internal", "testdata", "vendor"} & set(inner.parts):
            continue
        package = _Package(inner, source.problems)
        for path in sorted(directory.glob("*.go")):
            if not path.name.endswith("_test.go"):
                package.read(path)
        names = package.finish()
        if names:
            source.packages[inner.as_posix()] = names
    if not source.packages and not source.problems:
        raise UnreadableError(f"{checkout} has no exported Go name: is the checkout complete?")
    return source


def _check_module(checkout: Path) -> None:
    go_mod = checkout / "go.mod"
    if not go_mod.is_file():
        raise UnreadableError(f"{checkout} is no checkout of {MODULE}: it has no go.mod")
    found = re.search(r"^module\s+(\S+)", go_mod.read_text("utf-8"), re.MULTILINE)
    if found is None or found[1] != MODULE:
        name = found[1] if found else "nothing"
        raise UnreadableError(f"{checkout} is no checkout of {MODULE}: its go.mod names {name}")


class _Package:
    """The exported names of one package, collected file by file."""

    def __init__(self, directory: Path, problems: list[str]) -> None:
        self._directory = directory
        self._problems = problems
        self._names: dict[str, Facts] = {}
        self._methods: list[tuple[str, str, Facts]] = []
        self._functions: list[tuple[str, Node]] = []
        self._constants: dict[str, _Constant] = {}

    def read(self, path: Path) -> None:
        file = (self._directory / path.name).as_posix()
        root = _PARSER.parse(path.read_bytes()).root_node
        if root.has_error:
            raise UnreadableError(f"{file}:{_first_error(root)}: this is not Go that can be parsed")
        if any(_text(clause) == "package main" for clause in root.named_children):
            return  # nobody imports a command
        for declaration in root.named_children:
            # A group of types is read one by one: what is not understood hides no other.
            grouped = declaration.type == "type_declaration"
            for node in declaration.named_children if grouped else (declaration,):
                try:
                    self._read_declaration(file, node)
                except _UnknownError as error:
                    self._report(file, error)

    def _read_declaration(self, file: str, node: Node) -> None:
        match node.type:
            case "type_spec":
                self._read_type(file, node)
            case "const_declaration":
                self._read_constants(file, node)
            case "var_declaration":
                self._read_variables(file, node)
            case "function_declaration":
                self._read_function(file, node)
            case "method_declaration":
                self._read_method(file, node)
            case "package_clause" | "import_declaration" | "comment":
                pass
            case "type_alias" if not _is_exported(_name(node)):
                pass
            case _:
                raise _UnknownError(node, f"a {node.type.replace('_', ' ')}")

    def finish(self) -> dict[str, Facts]:
        """Join what may stand in different files, and return the names."""
        for name, facts in self._names.items():
            if facts["kind"] == "const":
                self._evaluate(name, facts)
        for file, method, facts in self._methods:
            owner, _, name = method.partition(".")
            methods = self._names.get(owner, {}).get("methods")
            if methods is None or name in methods:
                self._problems.append(f"{file}: {method} is declared twice, or {owner} is not read")
            else:
                methods[name] = facts
        for file, node in self._functions:
            try:
                self._read_option_function(self._names[_name(node)], node)
            except _UnknownError as error:
                self._report(file, error)
        for facts in self._names.values():
            facts.pop("at", None)
        return dict(sorted(self._names.items()))

    def _report(self, file: str, error: _UnknownError) -> None:
        self._problems.append(f"{file}:{error.line}: {error.what}")

    def _add(self, file: str, node: Node, name: str, facts: Facts) -> None:
        if self._directory == Path():
            self._report(file, _UnknownError(node, "a name in the root of the module"))
        elif name in self._names:
            self._report(file, _UnknownError(node, "a second declaration of a name"))
        else:
            self._names[name] = facts

    def _read_type(self, file: str, spec: Node) -> None:
        name = _name(spec)
        if not _is_exported(name):
            return
        defined = _child(spec, "type")
        parameters = spec.child_by_field_name("type_parameters")
        facts: Facts = {"file": Path(file).name}
        if parameters is not None:
            facts["type_params"] = _type_text(parameters)
        match defined.type:
            case "interface_type":
                facts |= {"kind": "interface", "methods": dict(_interface_methods(defined))}
            case "struct_type":
                facts |= {"kind": "struct", "fields": list(_fields(defined)), "methods": {}}
            case "function_type":
                facts |= {"kind": "functype", **_signature(defined), "methods": {}}
            case "slice_type":
                elem = _type_text(_child(defined, "element"))
                facts |= {"kind": "slice", "elem": elem, "methods": {}}
            case _:
                facts |= {"kind": "type", "type": _type_text(defined), "methods": {}}
        self._add(file, spec, name, facts)

    def _read_constants(self, file: str, declaration: Node) -> None:
        type_ = ""
        values = list[Node]()
        specs = [spec for spec in declaration.named_children if spec.type == "const_spec"]
        for iota, spec in enumerate(specs):
            value = spec.child_by_field_name("value")
            if value is not None:  # otherwise the type and the values of the line above hold
                written = spec.child_by_field_name("type")
                type_ = "" if written is None else _type_text(written)
                values = list(value.named_children)
            names = [node for node in spec.children_by_field_name("name") if node.is_named]
            for place, node in enumerate(names):
                name = _text(node)
                expression = values[place] if place < len(values) else None
                self._constants[name] = _Constant(type_, expression, iota)
                if _is_exported(name):
                    at = (file, node)
                    kind = {"kind": "const", "file": Path(file).name}
                    self._add(file, node, name, {**kind, "type": "", "value": "", "at": at})

    def _evaluate(self, name: str, facts: Facts) -> None:
        file, node = facts["at"]
        try:
            type_, value = self._constant(node, name, frozenset())
        except _UnknownError as error:
            self._report(file, error)
        else:
            facts |= {"type": type_, "value": json.dumps(value, ensure_ascii=False)}

    def _constant(self, node: Node, name: str, asked: frozenset[str]) -> tuple[str, Any]:
        constant = self._constants.get(name)
        if constant is None or constant.value is None or name in asked:
            raise _UnknownError(node, "a constant without a value that can be found")
        type_, value = self._value(constant.value, constant.iota, asked | {name})
        return constant.type or type_, value

    def _value(self, node: Node, iota: int, asked: frozenset[str]) -> tuple[str, Any]:
        """Evaluate a constant expression: its type, "" if it has none, and its value."""
        text = _text(node)
        match node.type:
            case "iota":
                return "", iota
            case "int_literal" if re.fullmatch(r"0|[1-9]\d*|0[xob][0-9a-fA-F]+", text):
                return "", int(text, 0)
            case "float_literal" if re.fullmatch(r"\d+\.\d+", text):
                return "", float(text)
            case "true" | "false":
                return "", text == "true"
            case "raw_string_literal":
                return "", text[1:-1]
            case "interpreted_string_literal" if not re.search(r"\\[^\"\\bfnrtu]", text):
                return "", json.loads(text)
            case "identifier":
                return self._constant(node, text, asked)
            case "parenthesized_expression":
                return self._value(node.named_children[0], iota, asked)
            case "unary_expression" if text.startswith("-"):
                type_, value = self._value(_child(node, "operand"), iota, asked)
                return type_, -value
            case "binary_expression" if _text(_child(node, "operator")) in _OPERATORS:
                left_type, left = self._value(_child(node, "left"), iota, asked)
                right_type, right = self._value(_child(node, "right"), iota, asked)
                operate = _OPERATORS[_text(_child(node, "operator"))]
                return left_type or right_type, operate(left, right)
            case "call_expression" if len(_child(node, "arguments").named_children) == 1:
                converted = _text(_child(node, "function"))
                if converted.isidentifier() and converted not in ("len", "real", "imag"):
                    argument = _child(node, "arguments").named_children[0]
                    return converted, self._value(argument, iota, asked)[1]
            case _:
                pass
        raise _UnknownError(node, "a constant expression that is not understood")

    def _read_variables(self, file: str, declaration: Node) -> None:
        for spec in _descendants(declaration, "var_spec"):
            names = [node for node in spec.children_by_field_name("name") if node.is_named]
            value = spec.child_by_field_name("value")
            values = [] if value is None else value.named_children
            type_ = spec.child_by_field_name("type")
            for place, node in enumerate(names):
                if _is_exported(_text(node)):
                    facts: Facts = {"kind": "var", "file": Path(file).name}
                    facts["type"] = "" if type_ is None else _type_text(type_)
                    facts["value"] = _text(values[place]) if place < len(values) else ""
                    self._add(file, node, _text(node), facts)

    def _read_function(self, file: str, node: Node) -> None:
        name = _name(node)
        if not _is_exported(name):
            return
        if node.child_by_field_name("type_parameters") is not None:
            raise _UnknownError(node, "a generic function")
        self._add(file, node, name, {"kind": "func", "file": Path(file).name, **_signature(node)})
        self._functions.append((file, node))

    def _read_method(self, file: str, node: Node) -> None:
        (receiver, *_) = _parameters(_child(node, "receiver"))
        owner = re.sub(r"\[.*", "", receiver["type"].lstrip("*"))
        if _is_exported(owner) and _is_exported(_name(node)):
            self._methods.append((file, f"{owner}.{_name(node)}", _signature(node)))

    def _read_option_function(self, facts: Facts, node: Node) -> None:
        """Find which field is set by a function that returns an option of this package."""
        results = [result["type"] for result in facts["results"]]
        if len(results) != 1 or self._names.get(results[0], {}).get("kind") != "functype":
            return
        body = re.sub(r"//.*", "", _text(node.child_by_field_name("body") or node))
        parameters = "|".join(parameter["name"] for parameter in facts["params"])
        found = re.fullmatch(
            r"\{\s*return func\((\w+) [^)]*\)\s*\{\s*"
            rf"(\w+)\.(\w+)\s*=\s*({parameters})\s*\}}\s*\}}",
            body,
        )
        option = self._names[results[0]]
        options = option["params"][0]["type"].lstrip("*") if option["params"] else ""
        fields = [one["name"] for one in self._names.get(options, {}).get("fields", ())]
        if found is None or found[1] != found[2] or found[3] not in fields:
            what = "an option function that does more than set one exported field"
            raise _UnknownError(node, what)
        facts["sets"] = found[3]


def _interface_methods(interface: Node) -> Iterator[tuple[str, Facts]]:
    for element in interface.named_children:
        if element.type == "comment":
            continue
        if element.type not in ("method_elem", "method_spec"):  # its name in older grammars
            raise _UnknownError(element, "an embedded interface or a type constraint")
        if not _is_exported(_name(element)):
            raise _UnknownError(element, "an interface with a method that is not exported")
        yield _name(element), _signature(element)


def _fields(struct: Node) -> Iterator[Facts]:
    for declaration in _children(struct.named_children[0], "field_declaration"):
        names = [node for node in declaration.children_by_field_name("name") if node.is_named]
        if not names:
            raise _UnknownError(declaration, "an embedded field")
        type_ = _child(declaration, "type")
        for name in map(_text, names):
            if not _is_exported(name):
                continue
            if type_.type == "struct_type":
                yield {"name": name, "type": "struct", "fields": list(_fields(type_))}
            else:
                yield {"name": name, "type": _type_text(type_)}


def _signature(node: Node) -> Facts:
    result = node.child_by_field_name("result")
    if result is None:
        results = list[Facts]()
    elif result.type == "parameter_list":
        results = list(_parameters(result))
    else:
        results = [{"name": "", "type": _type_text(result)}]
    return {"params": list(_parameters(_child(node, "parameters"))), "results": results}


def _parameters(listed: Node) -> Iterator[Facts]:
    for declaration in listed.named_children:
        if declaration.type == "comment":
            continue
        dots = "..." if declaration.type == "variadic_parameter_declaration" else ""
        type_ = dots + _type_text(_child(declaration, "type"))
        names = [node for node in declaration.children_by_field_name("name") if node.is_named]
        for name in map(_text, names) if names else ("",):
            yield {"name": name, "type": type_}


def _type_text(node: Node) -> str:
    text = re.sub(r"\s+", " ", _text(node))
    return re.sub(r"\binterface ?\{ ?\}", "any", text)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8")


def _name(node: Node) -> str:
    return _text(_child(node, "name"))


def _child(node: Node, name: str) -> Node:
    child = node.child_by_field_name(name)
    if child is None:
        raise _UnknownError(node, f"a {node.type} without a {name}")
    return child


def _children(node: Node, kind: str) -> list[Node]:
    return [child for child in node.named_children if child.type == kind]


def _descendants(node: Node, kind: str) -> Iterator[Node]:
    """Return the nodes of a kind, wherever a group of declarations puts them."""
    for child in node.named_children:
        if child.type == kind:
            yield child
        elif child.type.endswith("_list"):
            yield from _descendants(child, kind)


def _is_exported(name: str) -> bool:
    return name[:1].isupper()


def _first_error(root: Node) -> int:
    """Return the line of the first place that does not parse."""
    for child in root.children:
        if child.is_error or child.is_missing:
            return child.start_point.row + 1
        if child.has_error:
            return _first_error(child)
    return root.start_point.row + 1
