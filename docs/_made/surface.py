"""The public surface of gost_core as text, a line for each member.

It is the same on every Python that is supported.
"""

import ast
import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module

from typing_extensions import get_original_bases

from docs._made import package
from gost_core.testing._run.declaring import is_clause

# Their names say enough without the module.
_WELL_KNOWN = frozenset(
    {"builtins", "collections.abc", "enum", "ipaddress", "typing", "typing_extensions"}
)


def text() -> str:
    """Return the whole surface."""
    sections = list[str]()
    for module_name in package.module_names():
        lines = [module_name, ""]
        for name in package.public_names(import_module(module_name)):
            described = [f"    {line}" for line in declaration(module_name, name)]
            if len(described) == 1:
                lines += described
            else:  # a class stands apart
                lines += ["", *described, ""]
        sections.append("\n".join(lines).strip())
    return "\n\n".join(sections).replace("\n\n\n", "\n\n") + "\n"


def declaration(module_name: str, name: str) -> list[str]:
    """Describe a public name of a module, the members of a class indented.

    What belongs to the module itself is written without the module's name.
    """
    module = import_module(module_name)
    value: object = getattr(module, name)
    hints = typing.get_type_hints(module)
    if isinstance(value, type):
        lines = [*_head(value), *(f"    {member}" for member in _members(value))]
    elif isinstance(value, types.FunctionType):
        lines = [_signature(value)]
    elif isinstance(value, typing.NewType):
        lines = [f"{name} = NewType({annotation(value.__supertype__)})"]
    elif hints.get(name) is typing.TypeAlias:
        lines = [f"{name} = {_unnamed(value)}"]
    else:
        lines = [f"{name}: {annotation(hints[name])} = {_value(value)}"]
    own = re.compile(rf"(?<![\w.]){re.escape(_short(module_name))}\.(?=[A-Z])")
    return [own.sub("", line) for line in lines]


def annotation(value: object) -> str:
    """Write a type: an option by its alias, a class of the package with its module."""
    alias = _option_aliases().get(value) if typing.get_origin(value) is Callable else None
    return alias or _unnamed(value)


def _unnamed(value: object) -> str:
    origin = typing.get_origin(value)
    parts = list[object](getattr(value, "__args__", ()))
    arguments = [annotation(part) for part in parts]
    if value is types.NoneType:
        return "None"
    if value is ...:
        return "..."
    if isinstance(value, typing.TypeVar | typing.ParamSpec):
        return value.__name__
    if origin in (types.UnionType, typing.Union):
        return " | ".join(arguments)
    if origin is Callable:
        *parameters, result = arguments
        all_at_once = parts[0] is ... or isinstance(parts[0], typing.ParamSpec)
        listed = parameters[0] if all_at_once else f"[{', '.join(parameters)}]"
        return f"Callable[{listed}, {result}]"
    if arguments:
        return f"{annotation(origin)}[{', '.join(arguments)}]"
    if isinstance(value, type):
        known = value.__module__ in _WELL_KNOWN
        return value.__name__ if known else f"{_short(value.__module__)}.{value.__name__}"
    if isinstance(value, typing.NewType):
        return _short(str(value))
    return str(value).removeprefix("typing.")


@cache
def _option_aliases() -> dict[object, str]:
    """Return the name of each option's alias; there is one for each class of options."""
    return {
        getattr(import_module(module_name), name): f"{_short(module_name)}.{name}"
        for module_name in package.contract_names()
        for name in package.public_names(import_module(module_name))
        if name.endswith("Option") and name != "FieldOption"
    }


def _short(module_name: str) -> str:
    """Write the name of a module within the package; what a private one defines is its parent's."""
    return re.sub(r"\._.*", "", module_name).removeprefix(f"{package.NAME}.")


def _head(cls: type[object]) -> Iterator[str]:
    for decorator in package.class_definition(cls).decorator_list:
        yield f"@{ast.unparse(decorator)}"
    if cls in package.contracts():
        # Which families it has its clauses from is no API.
        parameters = getattr(cls, "__parameters__", ())
        variables = ", ".join(map(_unnamed, parameters))
        generic = f", Generic[{variables}]" if variables else ""
        yield f"class {cls.__name__}(Contract{generic}){_note(parameters)}"
        return
    bases = list(_public_bases(cls))
    listed = ", ".join(map(_unnamed, bases))
    yield f"class {cls.__name__}{f'({listed})' if listed else ''}{_note(bases)}"


def _public_bases(cls: type[object]) -> Iterator[object]:
    """Return the bases of a class; in place of a private one, its own bases."""
    for base in get_original_bases(cls):
        if isinstance(base, type) and _is_private(base):
            yield from _public_bases(base)
        elif base is not object:
            yield base


def _members(cls: type[object]) -> Iterator[str]:
    """Describe what a class adds to its public bases, in the order of the source."""
    if issubclass(cls, enum.Enum):
        yield from (f"{member.name} = {_value(member.value)}" for member in cls)
    elif dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        yield from (_field(field, hints[field.name]) for field in dataclasses.fields(cls))
    else:
        yield from _attributes(cls)
    if cls in package.contracts():
        return
    for definer in (cls, *filter(_is_private, cls.__mro__)):
        for node in package.methods(package.class_definition(definer)):
            if is_clause(vars(definer)[node.name]):
                continue
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            is_shown = _is_shown(node.name) or "abstractmethod" in decorators
            if is_shown and "overload" not in decorators:
                yield from _method(inspect.getattr_static(definer, node.name))


def _is_private(cls: type[object]) -> bool:
    return cls.__module__.startswith(package.NAME) and cls not in package.exported()


def _is_shown(method_name: str) -> bool:
    """Tell whether a method is public and says more than that every object has it."""
    if method_name.startswith("__"):
        return method_name == "__init__" or not hasattr(object, method_name)
    return not method_name.startswith("_")


def _method(method: typing.Any) -> Iterator[str]:
    # A property has its function in fget, a static method and a class method in __func__.
    function = getattr(method, "fget", None) or getattr(method, "__func__", method)
    kind = "" if method is function else f"{type(method).__name__} "
    yield kind + _signature(function)
    for overload in typing.get_overloads(function):
        deprecated = ", deprecated" if hasattr(overload, "__deprecated__") else ""
        if isinstance(overload, types.FunctionType):  # which deprecated() returns too
            yield f"{_signature(overload)}  # overload{deprecated}"


def _field(field: "dataclasses.Field[object]", hint: object) -> str:
    line = f"{field.name}: {annotation(hint)}"
    if field.default is not dataclasses.MISSING:
        line += f" = {_value(field.default)}"
    elif field.default_factory is not dataclasses.MISSING:
        line += f" = {_value(field.default_factory())}"
    left_out = [name for name in ("repr", "hash") if getattr(field, name) is False]
    return f"{line}  # not in {', '.join(left_out)}" if left_out else line


def _attributes(cls: type[object]) -> Iterator[str]:
    """Describe the public attributes that a class declares in its body or in its constructor."""
    definition = package.class_definition(cls)
    statements = list[ast.stmt](definition.body)
    for method in package.methods(definition):
        if method.name == "__init__":
            statements.extend(method.body)
    for statement in statements:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name)):
                if not name.startswith("_"):
                    yield f"{name}: {ast.unparse(statement.annotation)}"
            case _:
                pass


class _Text(str):
    """A text that :class:`inspect.Signature` writes as it is."""

    def __repr__(self) -> str:
        return str(self)


def _signature(function: types.FunctionType) -> str:
    hints = typing.get_type_hints(function)
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(
            annotation=_Text(annotation(hints[parameter.name])),
            default=parameter.default
            if parameter.default is parameter.empty
            else _Text(_value(parameter.default)),
        )
        for parameter in signature.parameters.values()
        if parameter.name in hints  # self is not
    ]
    result = _Text(annotation(hints["return"]))
    abstract = "abstract " if hasattr(function, "__isabstractmethod__") else ""
    asynchronous = "async " if inspect.iscoroutinefunction(function) else ""
    written = signature.replace(parameters=parameters, return_annotation=result)
    return f"{abstract}{asynchronous}def {function.__name__}{written}{_note(hints.values())}"


def _note(hints: Iterable[object]) -> str:
    """Write what limits the type variables of some types, as a comment."""
    limits = dict.fromkeys(limit for hint in hints for limit in _limits(hint))
    return f"  # {', '.join(limits)}" if limits else ""


def _limits(hint: object) -> Iterator[str]:
    if isinstance(hint, typing.TypeVar):
        if hint.__bound__ is not None:
            yield f"{hint.__name__} is {annotation(hint.__bound__)}"
        if hint.__constraints__:
            yield f"{hint.__name__} is one of {', '.join(map(annotation, hint.__constraints__))}"
        if hint.__covariant__ or hint.__contravariant__:
            yield f"{hint.__name__} is {'co' if hint.__covariant__ else 'contra'}variant"
    for part in getattr(hint, "__args__", ()):
        yield from _limits(part)


def _value(value: object) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if dataclasses.is_dataclass(value):
        return f"{type(value).__name__}()"
    if inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"  # its repr has an address of memory
    return repr(value)
