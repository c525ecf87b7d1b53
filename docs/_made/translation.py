"""How the Go module is written in Python: the rules of the translation, as functions on text.

:func:`declaration` says what a Go name must look like in Python, in the notation of ``surface.py``
but without the names of parameters. What the rules do not settle stands in the tables.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from keyword import iskeyword
from typing import Final

from docs._made.go_facts import Function, Symbol, Variable, symbols


@dataclass(frozen=True, slots=True)
class Special:
    """A declaration that the rules do not lead to, and why it is right."""

    declaration: str
    reason: str


SPECIAL: Final[Mapping[str, Special]] = {
    "auth.Authenticator.Authenticate": Special(
        "abstract async def authenticate(context.Context, str, str, /, *Option) -> str | None",
        "One result in place of two: the id, which may be empty, or None when refused.",
    ),
    "chain.HTTPBodyRewriteSettings.Pattern": Special(
        "pattern: re.Pattern[bytes] | None = None", "Bodies are bytes."
    ),
    "chain.HTTPURLRewriteSetting.Pattern": Special(
        "pattern: re.Pattern[str]", "Required: a rule without a pattern makes no sense."
    ),
    "chain.NewNode": Special(
        "def __init__(str, str, /, *NodeOption | None) -> None",
        "A constructor skips None among its options; interface methods do not accept it.",
    ),
    "chain.Node.Marker": Special(
        "def marker() -> selector.Marker",
        "A node always has a marker; other Markables may have none (D43).",
    ),
    "chain.ProbeConfig.Type": Special(
        "type: ProbeType = ProbeType.TCP", "No member of the enum stands for Go's zero value."
    ),
    "chain.TLSNodeSettings.Options": Special(
        "options: TLSOptions = TLSOptions()", "The anonymous struct needs a name in Python."
    ),
    "common/bufpool.Get": Special(
        "def get(int, /) -> memoryview", "A slice that shares its memory is a memoryview (D65)."
    ),
    "common/bufpool.Put": Special(
        "def put(memoryview, /) -> None", "A slice that shares its memory is a memoryview (D65)."
    ),
    "hosts.HostMapper.Lookup": Special(
        "abstract async def lookup(context.Context, str, str, /, *Option)"
        " -> Sequence[IPv4Address | IPv6Address] | None",
        "One result in place of two: None is not mapped, empty is mapped to nothing (D39).",
    ),
    "logger.Logger.Fatal": Special(
        "abstract def fatal(*object) -> NoReturn", "It ends by raising SystemExit (D59)."
    ),
    "logger.Logger.Fatalf": Special(
        "abstract def fatalf(str, /, *object) -> NoReturn", "It ends by raising SystemExit (D59)."
    ),
    "observer.Event.Type": Special(
        "abstract def type() -> str", "The set of event types is open; an enum would close it."
    ),
    "recorder.RecorderObject.Recorder": Special(
        "recorder: Recorder", "Required: a record point without a recorder makes no sense."
    ),
    "rewriter.Rewriter.Rewrite": Special(
        "abstract async def rewrite(context.Context, Buffer | None, /, *RewriteOption) -> bytes",
        "None is the end of a stream, b'' an empty body (D57).",
    ),
}
"""What the rules do not lead to, by the Go name."""

BASES: Final[Mapping[str, str]] = {
    "cache.ErrNotFound": "LookupError",
    "chain.Node": "selector.Markable, metadata.Metadatable, ProbeResultReader",
    "chain.ProbeType": "StrEnum",
    "connector.ErrBindUnsupported": "common.net.UnsupportedError",
    "listener.AcceptError": "Exception, common.net.Error",
    "listener.BindError": "Exception, common.net.Error",
    "listener.ErrClosed": "common.net.ClosedError",
    "logger.LogFormat": "StrEnum",
    "logger.LogLevel": "Enum",  # as strings, WARN would be more than ERROR
    "observer.EventType": "StrEnum",
    "observer/stats.Kind": "IntEnum",
    "resolver.ErrInvalid": "LookupError",
}
"""The bases of what is neither a protocol nor a dataclass: enums, exceptions (D15), Node."""

CONSTRUCTORS: Final[Mapping[str, str]] = {
    "chain.NewNode": "Node",
    "listener.NewAcceptError": "AcceptError",
    "listener.NewBindError": "BindError",
    "logger.LoggerGroup": "LoggerGroup",
    "selector.NewFailMarker": "FailMarker",
}
"""The functions that make an object, and the classes that take their place."""

RUNTIME_CHECKABLE: Final[frozenset[str]] = frozenset(
    {
        "chain.ProbeResultReader",
        "connector.Binder",
        "connector.Handshaker",
        "dialer.Handshaker",
        "dialer.Multiplexer",
        "handler.Forwarder",
        "hop.NodeList",
        "metadata.Metadatable",
        "selector.Markable",
    }
)
"""The interfaces that are looked for at run time; no other is runtime-checkable."""

BLOCKING: Final[frozenset[str]] = frozenset(
    {
        "connector.Connector.Init",
        "dialer.Dialer.Init",
        "handler.Handler.Init",
        "listener.Listener.Accept",
        "listener.Listener.Close",
        "listener.Listener.Init",
        "routing.Matcher.Match",  # a rule may ask a Bypass or an Admission (D48)
        "service.Service.Close",
        "service.Service.Serve",
    }
)
"""The methods that may wait though they take no context, and so are ``async def``."""

NONE_RESULTS: Final[Mapping[str, str]] = {
    "chain.Chainer.Route": "go direct (D36)",
    "chain.Node.Metadata": "there is none (D43)",
    "chain.Node.ProbeResult": "not probed (D43)",
    "chain.ProbeResultReader.ProbeResult": "not probed (D43)",
    "hop.Hop.Select": "the chain ends there (D40)",
    "ingress.Ingress.GetRule": "no rule (D62)",
    "limiter/conn.ConnLimiter.Limiter": "unlimited (D53)",
    "limiter/rate.RateLimiter.Limiter": "unlimited (D53)",
    "limiter/traffic.TrafficLimiter.In": "unlimited, or a scope that is not served (D53)",
    "limiter/traffic.TrafficLimiter.Out": "unlimited, or a scope that is not served (D53)",
    "metadata.Metadatable.Metadata": "there is none (D43)",
    "registry.Registry.Get": "the name is missing (D60)",
    "router.Router.GetRoute": "no route (D63)",
    "selector.Markable.Marker": "failures are not tracked (D43)",
    "selector.Selector.Select": "no items (D44)",
    "selector.Strategy.Apply": "no items (D44)",
}
"""The methods that may return None, and what it means."""

NONE_ARGUMENTS: Final[Mapping[str, str]] = {
    "chain.Node.SetProbeCancel": "there is no probe any more (D46)",
    "chain.Node.SetProbeResult": "not probed (D43)",
    "connector.Connector.Init": "empty metadata (D18)",
    "dialer.Dialer.Init": "empty metadata (D18)",
    "handler.Forwarder.Forward": "no forwarding (D18)",
    "handler.Handler.Init": "empty metadata (D18)",
    "listener.Listener.Init": "empty metadata (D18)",
}
"""The methods whose one argument may be None, and what it means."""

STANDARD_TYPES: Final[Mapping[str, str]] = {
    "*net.IPNet": "IPv4Network | IPv6Network",
    "*regexp.Regexp": "re.Pattern[str]",
    "*tls.Config": "common.tls.TLSConfig",
    "*url.Userinfo": "common.url.Userinfo",
    "[]byte": "bytes",
    "[]string": "list[str] | tuple[str, ...]",
    "any": "object",
    "bool": "bool",
    "context.CancelFunc": "Callable[[], bool | None]",
    "context.Context": "context.Context",
    "error": "Exception",
    "float64": "float",
    "http.Header": "Mapping[str, list[str] | tuple[str, ...]]",
    "int": "int",
    "int64": "int",
    "net.Addr": "common.net.Addr",
    "net.Conn": "common.net.Conn",
    "net.IP": "IPv4Address | IPv6Address",
    "net.Listener": "common.net.Listener",
    "string": "str",
    "time.Duration": "float",
    "time.Time": "float",
    "uint64": "int",
    "url.Values": "Mapping[str, list[str] | tuple[str, ...]]",
}
"""The types of Go and of its standard library."""

ZERO_VALUES: Final[Mapping[str, str]] = {
    "bool": "False",
    "bytes": "b''",
    "float": "0.0",
    "int": "0",
    "str": "''",
}
"""The zero values of the types that have one of their own."""

NESTED_PACKAGES: Final[Mapping[str, str]] = {
    "conn": "limiter/conn",
    "rate": "limiter/rate",
    "stats": "observer/stats",
    "traffic": "limiter/traffic",
    "xnet": "common/net",
}
"""The paths of the packages whose name in a Go type is not their path."""

SPELLED_OUT: Final[Mapping[str, str]] = {"b": "data", "c": "cancel", "r": "result", "v": "value"}
"""The parameters of methods whose Go name is cut too short."""


def words(name: str) -> list[str]:
    """Split a Go name; an acronym is one word: ``UDPConnTTL`` is UDP, Conn, TTL."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)


def snake_case(name: str) -> str:
    """Translate the name of a function, method, field or parameter."""
    text = "_".join(words(name)).lower()
    return f"{text}_" if iskeyword(text) else text


def constant_name(name: str) -> str:
    """Translate the name of an untyped constant."""
    return "_".join(words(name)).upper()


def enum_member(name: str, enum: str) -> str:
    """Translate the name of a typed constant: its words, without those of the type.

    ``TraceLevel`` of LogLevel is TRACE, ``KindTotalConns`` of Kind is TOTAL_CONNS.
    """
    return "_".join(word for word in words(name) if word not in words(enum)).upper()


def error_name(name: str) -> str:
    """Translate the name of a sentinel error: ``ErrClosed`` is ClosedError."""
    return f"{name.removeprefix('Err')}Error"


def module_name(package: str) -> str:
    """Translate the path of a package, within ``gost_core``."""
    return package.replace("/", ".")


def python_name(symbol: Symbol) -> str:
    """Translate an exported name, within its module; the member of an enum is ``Kind.MEMBER``."""
    match symbol.kind:
        case "const" if f"{symbol.package}.{symbol.type}" in symbols():
            return f"{symbol.type}.{enum_member(symbol.name, symbol.type)}"
        case "const":
            return constant_name(symbol.name)
        case "func":
            return CONSTRUCTORS.get(str(symbol)) or snake_case(symbol.name)
        case "var":
            return error_name(symbol.name)
        case _:
            return symbol.name


def parameter_name(name: str) -> str:
    """Translate the name of a method's parameter."""
    return SPELLED_OUT.get(name) or snake_case(name)


def annotation(go_type: str, package: str) -> str:
    """Translate a type as a module writes it: what is its own stands without the module's name."""
    if go_type in STANDARD_TYPES:
        return _within(package, STANDARD_TYPES[go_type])
    if go_type.startswith("[]"):
        return f"Sequence[{annotation(go_type.removeprefix('[]'), package)}]"
    if go_type.startswith("map[string]"):
        return f"Mapping[str, {annotation(go_type.removeprefix('map[string]'), package)}]"
    definition = definition_of(go_type, package)
    if definition is None:  # the type parameter
        return go_type
    if definition.type.startswith("map["):
        return annotation(definition.type, definition.package)
    return _within(package, f"{module_name(definition.package)}.{definition.name}")


def definition_of(go_type: str, package: str) -> Symbol | None:
    """Find the exported name that a type refers to in a package; None if it is not the module's."""
    qualifier, _, name = go_type.lstrip("*.[]").rpartition(".")
    return symbols().get(f"{NESTED_PACKAGES.get(qualifier, qualifier) or package}.{name}")


def may_be_nil(go_type: str, package: str) -> bool:
    """Tell whether None in Python is a value of a Go type: a pointer, an interface, an IP."""
    definition = definition_of(go_type, package)
    is_interface = definition is not None and definition.kind == "interface"
    is_pointer = go_type.startswith("*")
    return is_pointer or is_interface or go_type in ("context.CancelFunc", "net.IP")


def field_annotation(go_type: str, package: str) -> str:
    """Translate the type of a field, which is also that of the parameter of its option function."""
    return annotation(go_type, package) + (" | None" if may_be_nil(go_type, package) else "")


def zero_value(go_type: str, package: str) -> str:
    """Translate the zero value of a type: what a field is if it is not given."""
    text = annotation(go_type, package)
    if may_be_nil(go_type, package) or text == "object":
        return "None"
    definition = definition_of(go_type, package)
    if definition is not None and definition.kind == "slice":
        return f"{definition.name}(())"
    return "{}" if text.startswith("Mapping[") else ZERO_VALUES.get(text, "()")


def is_async(owner: Symbol, method: Function) -> bool:
    """Tell whether a method is ``async def``: it takes a context, or is listed as blocking."""
    takes_context = any(parameter.type == "context.Context" for parameter in method.parameters)
    return takes_context or f"{owner}.{method.name}" in BLOCKING


def declaration(symbol: Symbol) -> tuple[str, ...]:
    """Say how an exported name is declared in Python: the head of a class, then its members."""
    if str(symbol) in SPECIAL:
        return (SPECIAL[str(symbol)].declaration,)
    match symbol.kind:
        case "interface":
            decorators = ("@runtime_checkable",) if str(symbol) in RUNTIME_CHECKABLE else ()
            protocol = "Protocol[T]" if symbol.is_generic else "Protocol"
            return (*decorators, f"class {symbol.name}({protocol})", *_methods(symbol))
        case "struct" if str(symbol) == "chain.Node":
            return ("@final", _head(symbol), "name: str", "addr: str", *_methods(symbol))
        case "struct" if str(symbol) in BASES:
            return (_head(symbol), *_methods(symbol))
        case "struct":
            frozen = "" if _is_filled_by_options(symbol) else "frozen=True, "
            dataclass_ = f"@dataclass({frozen}slots=True, kw_only=True, weakref_slot=True)"
            return (dataclass_, f"class {symbol.name}", *_fields(symbol), *_methods(symbol))
        case "slice":
            held = annotation(symbol.type, symbol.package)
            return ("@final", f"class {symbol.name}(tuple[{held}, ...])", *_methods(symbol))
        case "functype":
            options = symbol.function.parameters[0].type.removeprefix("*")
            return (f"{symbol.name} = Callable[[{options}], object]",)
        case "type" if str(symbol) in BASES:
            return (_head(symbol), *_enum_members(symbol))
        case "type" if symbol.type.startswith("map["):
            return (f"{symbol.name} = {annotation(symbol.type, symbol.package)}",)
        case "type":
            return (f"{symbol.name} = NewType({annotation(symbol.type, symbol.package)})",)
        case "const":
            name = python_name(symbol).rpartition(".")[2]
            final = ": Final[str]" if name == python_name(symbol) else ""
            return (f"{name}{final} = {symbol.value!r}",)
        case "var":
            return (_head(symbol),)
        case "func" if symbol.sets:
            return (_option_function(symbol),)
        case "func" if str(symbol) in CONSTRUCTORS:
            return (f"def __init__({_parameters(symbol.function, symbol.package)}) -> None",)
        case _:
            return (_signature(symbol.function, symbol.package),)


def undecided(symbol: Symbol) -> Iterator[str]:
    """Say what the tables do not settle for a name, which nothing but a decision can."""
    name = str(symbol)
    is_enum = symbol.kind == "type" and any(True for _ in _constants(symbol))
    if name not in BASES and (is_enum or symbol.kind == "var"):
        yield f"BASES has no {name}"
    if symbol.kind == "slice" and not symbol.methods:
        yield f"no rule says what {name} is, a named slice without methods"
    if symbol.kind == "const" and not (symbol.type or isinstance(symbol.value, str)):
        yield f"constant_name is for strings, which {name} is not"
    makes = symbol.kind == "func" and symbol.name.startswith("New")
    if name not in CONSTRUCTORS and makes:
        yield f"CONSTRUCTORS has no {name}"
    functions = (symbol.function, *symbol.methods)
    for place, function in enumerate(functions):
        function_name = f"{name}.{function.name}" if place else name
        results = [result for result in function.results if result != "error"]
        if len(results) > 1 and function_name not in SPECIAL:
            yield f"SPECIAL has no {function_name}, which has more than one result"
    variables = [*symbol.fields, *(inner for field in symbol.fields for inner in field.fields)]
    variables += [parameter for function in functions for parameter in function.parameters]
    types = [variable.type for variable in variables if not variable.fields]
    types += [result for function in functions for result in function.results]
    for go_type in dict.fromkeys(types):
        element = re.sub(r"^(\.\.\.|\[\]|map\[string\])+", "", go_type)
        is_parameter = symbol.is_generic and re.fullmatch("[A-Z]", element)
        known = go_type in STANDARD_TYPES or element in STANDARD_TYPES or is_parameter
        if not (known or definition_of(element, symbol.package)):
            yield f"STANDARD_TYPES has no {element}"


def options_struct(option_function: Symbol) -> Symbol:
    """Find the struct that an option function sets a field of."""
    (alias,) = option_function.function.results
    option = symbols()[f"{option_function.package}.{alias}"]
    options = option.function.parameters[0].type.removeprefix("*")
    return symbols()[f"{option.package}.{options}"]


def _within(package: str, text: str) -> str:
    return re.sub(rf"\b{re.escape(module_name(package))}\.(?=[A-Z])", "", text)


def _head(symbol: Symbol) -> str:
    return f"class {python_name(symbol)}({_within(symbol.package, BASES[str(symbol)])})"


def _is_filled_by_options(struct: Symbol) -> bool:
    return any(
        symbol.kind == "functype"
        and symbol.package == struct.package
        and symbol.function.parameters[0].type == f"*{struct.name}"
        for symbol in symbols().values()
    )


def _fields(struct: Symbol) -> Iterator[str]:
    for field in struct.fields:
        special = SPECIAL.get(f"{struct}.{field.name}")
        yield special.declaration if special else _field(field, struct.package)


def _field(field: Variable, package: str) -> str:
    text = field_annotation(field.type, package)
    return f"{snake_case(field.name)}: {text} = {zero_value(field.type, package)}"


def _enum_members(enum: Symbol) -> Iterable[str]:
    return sorted(declaration(constant)[0] for constant in _constants(enum))


def _constants(enum: Symbol) -> Iterator[Symbol]:
    for symbol in symbols().values():
        if symbol.kind == "const" and (symbol.package, symbol.type) == (enum.package, enum.name):
            yield symbol


def _option_function(symbol: Symbol) -> str:
    (parameter,) = symbol.function.parameters
    (alias,) = symbol.function.results
    struct = options_struct(symbol)
    (field,) = (field for field in struct.fields if field.name == symbol.sets)
    if parameter.type.startswith("..."):
        parameters = f"*{annotation(parameter.type.removeprefix('...'), symbol.package)}"
    else:
        parameters = f"{field_annotation(field.type, struct.package)}, /"
    return f"def {snake_case(symbol.name)}({parameters}) -> {alias}"


def _methods(owner: Symbol) -> Iterator[str]:
    for method in owner.methods:
        special = SPECIAL.get(f"{owner}.{method.name}")
        if special:
            yield special.declaration
        elif owner.kind == "interface":
            yield f"abstract {_method(owner, method)}"
        elif method.name not in ("Error", "Unwrap"):  # str() and __cause__ of an exception
            yield _method(owner, method)


def _method(owner: Symbol, method: Function) -> str:
    name = f"{owner}.{method.name}"
    text = _signature(
        method,
        owner.package,
        none_argument=name in NONE_ARGUMENTS,
        none_result=name in NONE_RESULTS,
    )
    return f"async {text}" if is_async(owner, method) else text


def _signature(
    function: Function, package: str, *, none_argument: bool = False, none_result: bool = False
) -> str:
    parameters = _parameters(function, package, none=none_argument)
    results = [annotation(result, package) for result in function.results if result != "error"]
    (result,) = results or ("None",)
    none = " | None" if none_result else ""
    return f"def {snake_case(function.name)}({parameters}) -> {result}{none}"


def _parameters(function: Function, package: str, *, none: bool = False) -> str:
    positional = list[str]()
    variadic = list[str]()
    for parameter in function.parameters:
        if parameter.type.startswith("..."):
            variadic.append(f"*{annotation(parameter.type.removeprefix('...'), package)}")
        else:
            text = "Buffer" if parameter.type == "[]byte" else annotation(parameter.type, package)
            positional.append(f"{text} | None" if none else text)
    if positional:
        positional.append("/")
    return ", ".join(positional + variadic)
