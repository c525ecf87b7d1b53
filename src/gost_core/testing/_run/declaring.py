"""How a contract is written down: fields are its parameters, methods are its clauses.

::

    class RegistryContract(Contract, Generic[T], interface=Registry):
        make: Callable[[], Registry[T]] = field(kw_only=False)
        '''Makes an empty registry.'''
        value: Callable[[], T]
        '''Makes a value that may be registered.'''

        @clause("A second value under a name is refused, and the first stays.", "D60")
        async def duplicate_refused(self) -> None:
            registry = owned(self.make())
            ...

The name of the method gives the clause its id. Helpers of a scenario have names with an underscore
in front; the verbs of ``waiting`` are functions. Several contracts inherit clauses that they share
from a family, a class that names no interface.
"""

import inspect
from abc import ABC
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import Field, dataclass, field
from typing import Any, ClassVar, Final, TypeGuard, TypeVar

from typing_extensions import dataclass_transform

from gost_core.testing._run.report import Clause
from gost_core.testing._run.verify import interface_name

__all__ = ("FIRST", "Declared", "Scenario", "clause", "fields_of", "full_name", "is_clause")

Scenario = Callable[..., Coroutine[Any, Any, None]]
ScenarioT = TypeVar("ScenarioT", bound=Scenario)

FIRST: Final[str] = "(first)"
"""In ``after`` of a family's clause: what the contract itself names as ``first``."""

_API: Final[frozenset[str]] = frozenset(("as_tests", "check", "clauses", "run"))


@dataclass(frozen=True, slots=True)
class _Mark:
    """What :func:`clause` says of a scenario."""

    sentence: str
    basis: str
    after: tuple[str, ...]


_marks: Final[dict[object, _Mark]] = {}


def clause(
    sentence: str, basis: str, /, *, after: tuple[str, ...] = ("shape",)
) -> Callable[[ScenarioT], ScenarioT]:
    """Make a method of a :class:`Contract` the scenario of a clause.

    The method is async and takes no arguments. It returns when the object keeps the clause; an
    AssertionError or any other exception breaks it, and :class:`NotTried` says that it could not
    be tried.

    Args:
        sentence: what is promised.
        basis: the decisions, such as "D60" or "D1, D27", or the evidence; "" = none.
        after: the names of the methods of this contract whose clauses must hold before this one
            can be tried.
    """

    def mark(scenario: ScenarioT) -> ScenarioT:
        _marks[scenario] = _Mark(sentence, basis, after)
        return scenario

    return mark


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(field,))
class Declared(ABC):  # noqa: B024 families have abstract methods
    """What makes a dataclass of each contract and of each family, and collects their clauses."""

    clauses: ClassVar[tuple[Clause, ...]] = ()
    """The clauses, in the order in which they are tried."""

    _interface: ClassVar[type[object] | None] = None
    _first: ClassVar[tuple[str, ...]] = ()
    _said: ClassVar[Mapping[str, tuple[str, str]]] = {}
    # The class that named the interface: clauses of it and of its bases go by the interface's name.
    _namer: ClassVar[type[object]] = object
    _scenarios: ClassVar[Mapping[str, Scenario]] = {}

    def __init_subclass__(
        cls,
        *,
        interface: type[object] | None = None,
        first: tuple[str, ...] | None = None,
        said: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        super().__init_subclass__()
        if interface is not None:
            cls._interface = interface
            cls._namer = cls
        if first is not None:
            cls._first = first
        cls._said = {**cls._said, **(said or {})}
        _refuse_taken_names(cls)
        # No repr: a field may hold a secret. No equality: two contracts are two.
        dataclass(eq=False, kw_only=True, repr=False)(cls)
        if cls._interface is not None:
            cls.clauses, cls._scenarios = cls._collected(interface_name(cls._interface))

    @classmethod
    def _collected(cls, name: str) -> tuple[tuple[Clause, ...], dict[str, Scenario]]:
        """Return the clauses of the class and its bases, each behind those that it comes after."""
        prefixes: dict[str, str] = {}
        scenarios: dict[str, Scenario] = {}
        for base in reversed(cls.__mro__):
            prefix = name if base in cls._namer.__mro__ else full_name(base)
            for method, function in vars(base).items():
                if is_clause(function):
                    if scenarios.get(method, function) is not function:
                        raise TypeError(f"{cls.__qualname__} inherits two clauses named {method}")
                    prefixes[method] = prefix
                    scenarios[method] = function
        ids = {method: f"{prefix}.{_dashed(method)}" for method, prefix in prefixes.items()}
        after = {method: cls._after(method, scenarios) for method in scenarios}
        order: list[str] = []
        while waiting := [method for method in scenarios if method not in order]:
            ready = [method for method in waiting if set(after[method]) <= set(order)]
            if not ready:
                raise TypeError(f"{cls.__qualname__}: {', '.join(waiting)} wait for each other")
            order.append(ready[0])
        clauses: list[Clause] = []
        for method in order:
            mark = _marks[scenarios[method]]
            sentence, basis = cls._said.get(method, (mark.sentence, mark.basis))
            needed = tuple(ids[one] for one in after[method])
            clauses.append(Clause(ids[method], sentence, basis, needed))
        if unknown := set(cls._said) - set(scenarios):
            raise TypeError(f"{cls.__qualname__} says anew {sorted(unknown)}, which do not exist")
        return tuple(clauses), {ids[method]: scenarios[method] for method in order}

    @classmethod
    def _after(cls, method: str, scenarios: Mapping[str, Scenario]) -> tuple[str, ...]:
        """Return the methods whose clauses come before that of ``method``."""
        after = _marks[scenarios[method]].after
        if FIRST in after:
            # What is first itself cannot come after the first.
            first = () if method in cls._first else cls._first
            after = (*first, *(one for one in after if one != FIRST)) or ("shape",)
        if missing := set(after) - set(scenarios):
            raise TypeError(
                f"{cls.__qualname__}.{method} comes after {sorted(missing)}, which do not exist"
            )
        return after


def _refuse_taken_names(cls: type[Declared]) -> None:
    """Raise TypeError if the class gives a name to two things of which one is a clause."""
    own = vars(cls)
    taken = {
        name: base
        for base in cls.__mro__[1:]
        for name, value in vars(base).items()
        if is_clause(value)
    }
    annotated = set(inspect.get_annotations(cls))
    inherited_fields = {one.name for base in cls.__mro__[1:] for one in fields_of(base)}
    for name in sorted(annotated | set(own)):
        value = own.get(name)
        is_scenario = is_clause(value)
        if name in taken:
            raise TypeError(
                f"{cls.__qualname__}.{name}: {taken[name].__qualname__} has a clause of this name"
            )
        if is_scenario and (name in annotated or name in inherited_fields):
            raise TypeError(f"{cls.__qualname__}.{name} is both a field and a clause")
        if name in _API and any(name in vars(base) for base in cls.__mro__[1:]):
            raise TypeError(f"{cls.__qualname__}.{name}: every contract has a method of this name")


def is_clause(value: object) -> TypeGuard[Scenario]:
    """Tell whether a member of a class is a scenario."""
    return inspect.isfunction(value) and value in _marks


def fields_of(cls: type[object]) -> tuple[Field[Any], ...]:
    """Return the fields of a class that is perhaps a dataclass."""
    return tuple(getattr(cls, "__dataclass_fields__", {}).values())


def full_name(cls: type[object]) -> str:
    """Return the name of a class with its module, as a report tells it."""
    if cls.__module__ in ("builtins", "__main__"):
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def _dashed(name: str) -> str:
    return name.replace("_", "-")
