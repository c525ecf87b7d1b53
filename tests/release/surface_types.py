"""When one type or signature fits another, as far as that is certain from their text.

A small, conservative part of what a type checker knows: no class of the package is compared with
another, so that what is not known here to fit does not.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

_SUPERTYPE: Final[Mapping[str, str]] = {
    "bool": "int",
    "int": "float",  # as type checkers see it
    "bytearray": "Buffer",
    "bytes": "Buffer",
    "memoryview": "Buffer",
    "dict": "Mapping",
    "list": "Sequence",
    "tuple": "Sequence",
    "frozenset": "Collection",
    "set": "Collection",
    "Sequence": "Collection",
    "Collection": "Iterable",
    "Iterator": "Iterable",
}
"""For each type the next wider one."""

_COVARIANT: Final = frozenset(
    {"Awaitable", "Collection", "Iterable", "Iterator", "Sequence", "frozenset"}
)
"""The types whose only argument may be narrower."""


def parse_type(text: str) -> ast.expr:
    """Read an annotation of a snapshot."""
    return ast.parse(text, mode="eval").body


def fits(one: ast.expr, other: ast.expr) -> bool:
    """Tell whether each value of a type is certainly one of another."""
    if ast.dump(one) == ast.dump(other):
        return True
    if len(_union(one)) > 1:
        return all(fits(part, other) for part in _union(one))
    if len(_union(other)) > 1:
        return any(fits(one, part) for part in _union(other))
    name, arguments = _split(one)
    other_name, others = _split(other)
    if other_name == "object" or name == "NoReturn":
        return True
    if name == other_name:
        return _arguments_fit(name, arguments, others)
    if name == "tuple":
        if not _is_endless(arguments):
            return False
        arguments = arguments[:1]
    wider = _SUPERTYPE.get(name)
    return wider is not None and fits(_join(wider, arguments), other)


def _arguments_fit(name: str, ones: Sequence[ast.expr], others: Sequence[ast.expr]) -> bool:
    if len(ones) != len(others):
        return False
    match name:
        case "Callable":
            (parameters, result), (other_parameters, other_result) = ones, others
            if not (isinstance(parameters, ast.List) and isinstance(other_parameters, ast.List)):
                return _is_same(parameters, other_parameters) and fits(result, other_result)
            pairs = zip(other_parameters.elts, parameters.elts, strict=False)
            same_length = len(parameters.elts) == len(other_parameters.elts)
            return same_length and all(fits(*pair) for pair in pairs) and fits(result, other_result)
        case "tuple":
            same_shape = _is_endless(ones) is _is_endless(others)
            return same_shape and all(fits(*pair) for pair in zip(ones, others, strict=True))
        case "Mapping":
            return _is_same(ones[0], others[0]) and fits(ones[1], others[1])
        case _ if name in _COVARIANT:
            return fits(ones[0], others[0])
        case _:
            return all(_is_same(*pair) for pair in zip(ones, others, strict=True))


def _is_endless(arguments: Sequence[ast.expr]) -> bool:
    """Tell the arguments of a tuple of any length."""
    return len(arguments) == 2 and ast.unparse(arguments[1]) == "..."


def _is_same(one: ast.expr, other: ast.expr) -> bool:
    return fits(one, other) and fits(other, one)


def _union(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_union(node.left), *_union(node.right)]
    return [node]


def _split(node: ast.expr) -> tuple[str, list[ast.expr]]:
    """Take a type apart into its name and its arguments."""
    if not isinstance(node, ast.Subscript):
        return ast.unparse(node), []
    arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return ast.unparse(node.value), list(arguments)


def _join(name: str, arguments: Sequence[ast.expr]) -> ast.expr:
    listed = ", ".join(map(ast.unparse, arguments))
    return parse_type(f"{name}[{listed}]" if arguments else name)


class Kind(Enum):
    """How an argument reaches a parameter."""

    PLACE = "by its place"
    EITHER = "by its place or its name"
    NAME = "by its name"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that takes one argument."""

    name: str
    kind: Kind
    type: ast.expr
    default: str
    """Its source, "" if there is none."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a snapshot says of a function or method."""

    nature: str
    """What stands before ``def``, such as ``async``, without ``abstract``."""
    parameters: tuple[Parameter, ...]
    rest: ast.expr | None
    """The type of ``*args``."""
    named_rest: str
    """The source of ``**kwargs``."""
    result: ast.expr
    note: str

    def positional(self) -> list[Parameter]:
        """Return the parameters that an argument may reach by its place."""
        return [one for one in self.parameters if one.kind is not Kind.NAME]

    def by_name(self) -> dict[str, Parameter]:
        """Return the parameters that an argument may reach by its name."""
        return {one.name: one for one in self.parameters if one.kind is not Kind.PLACE}


def parse_signature(line: str) -> Signature:
    """Read the line of a function or method."""
    declared, _, note = line.partition("  # ")
    nature, _, rest = f" {declared}".partition(" def ")
    (function,) = ast.parse(f"def {rest}: ...").body
    if not isinstance(function, ast.FunctionDef):
        raise ValueError(f"{line!r} is no function")
    arguments = function.args
    parameters = list[Parameter]()
    places = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(places) - len(arguments.defaults)) + list(arguments.defaults)
    for place, (one, default) in enumerate(zip(places, defaults, strict=True)):
        by_place_only = place < len(arguments.posonlyargs)
        kind = Kind.PLACE if by_place_only else Kind.EITHER
        parameters.append(Parameter(one.arg, kind, _annotation(one), _source(default)))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(Parameter(one.arg, Kind.NAME, _annotation(one), _source(default)))
    return Signature(
        nature=re.sub(r"\babstract\b", "", nature).strip(),
        parameters=tuple(parameters),
        rest=_annotation(arguments.vararg) if arguments.vararg else None,
        named_rest=ast.unparse(_annotation(arguments.kwarg)) if arguments.kwarg else "",
        result=function.returns or parse_type("object"),
        note=note,
    )


def _annotation(argument: ast.arg) -> ast.expr:
    return argument.annotation or parse_type("object")


def _source(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node)


def misfits(asked: Signature, given: Signature) -> Iterator[str]:
    """Say why calls that are written for one signature may fail on another.

    Callers rely on the old signature and meet the new one; an implementation has the old signature
    and is called by the new one.
    """
    if asked.nature != given.nature:
        yield f"it is {given.nature or 'a plain'} def, not {asked.nature or 'a plain'} def"
    if asked.note != given.note:
        yield "its type variables are others"
    if asked.named_rest != given.named_rest:
        yield "it takes other arguments by name"
    yield from _positional_misfits(asked, given)
    yield from _named_misfits(asked, given)
    if not fits(given.result, asked.result):
        yield (
            f"the result {ast.unparse(given.result)} "
            f"is not known to fit {ast.unparse(asked.result)}"
        )


def _positional_misfits(asked: Signature, given: Signature) -> Iterator[str]:
    places, given_places = asked.positional(), given.positional()
    given_names = [one.name for one in given_places]
    for place, parameter in enumerate(places):
        if parameter.name in given_names and given_names.index(parameter.name) != place:
            # Also where its type would fit: what is meant by a place is what its name says.
            yield f"{parameter.name} has another place"
        if place < len(given_places):
            yield from _parameter_misfits(parameter, given_places[place])
        elif given.rest is None:
            yield f"it takes no {parameter.name}"
        else:
            yield from _type_misfits(parameter.name, parameter.type, given.rest)
    for parameter in given_places[len(places) :]:
        named = asked.by_name().get(parameter.name)
        is_given = named is not None and not named.default and parameter.kind is Kind.EITHER
        if not (parameter.default or is_given):
            yield f"it needs {parameter.name}"
        if asked.rest is not None:
            yield from _type_misfits(parameter.name, asked.rest, parameter.type)
    if asked.rest is not None and given.rest is None:
        yield "it takes no further arguments"
    elif asked.rest is not None and given.rest is not None:
        yield from _type_misfits("further arguments", asked.rest, given.rest)


def _named_misfits(asked: Signature, given: Signature) -> Iterator[str]:
    places = [one.name for one in asked.positional()]
    given_places = [one.name for one in given.positional()]
    for name, parameter in asked.by_name().items():
        other = given.by_name().get(name)
        if other is None:
            yield f"it does not take {name} by name"
            continue
        if parameter.kind is Kind.EITHER:
            if other.kind is Kind.NAME:
                yield f"{name} has no place"
            continue  # what has a place was compared there
        if other.kind is Kind.EITHER and (given_places.index(name) < len(places) or asked.rest):
            yield f"{name} may be given twice"
        yield from _parameter_misfits(parameter, other)
    for parameter in given.parameters:
        is_known = parameter.name in asked.by_name()
        if asked.named_rest and parameter.kind is not Kind.PLACE and not is_known:
            yield f"it takes {parameter.name} itself"
        if parameter.kind is Kind.NAME and not (parameter.default or is_known):
            yield f"it needs {parameter.name}"


def _parameter_misfits(asked: Parameter, given: Parameter) -> Iterator[str]:
    if asked.default and not given.default:
        yield f"{asked.name} has no default"
    elif asked.default != given.default and asked.default:
        yield f"the default of {asked.name} is another one"
    yield from _type_misfits(asked.name, asked.type, given.type)


def _type_misfits(name: str, asked: ast.expr, given: ast.expr) -> Iterator[str]:
    if not fits(asked, given):
        yield f"{name}: {ast.unparse(asked)} is not known to fit {ast.unparse(given)}"
