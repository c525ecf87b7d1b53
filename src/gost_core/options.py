"""Functional options: how a call is given what only some calls need.

An option is any callable that takes an options object and sets something on it. The contract's
option functions (``host_dial_option("example.com")``) return a :class:`FieldOption`, which sets
one field and can be looked at; an implementer's own options may be plain functions. The object that
is given options fills an options object with them::

    options = apply(DialOptions(), *opts)
"""

import dataclasses
from collections.abc import Callable
from typing import Final, Generic, TypeVar, final

__all__ = ("FieldOption", "apply")

T = TypeVar("T")


def apply(target: T, /, *opts: Callable[[T], object] | None) -> T:
    """Apply options to an options object, in order, and return that object.

    The callee does this once for each call, on a new object. If two options set the same field, the
    last one wins (D23). Option values are shared with the caller, not copied, and neither side
    changes them.

    Args:
        target: usually a fresh ``XOptions()``. An instance of a subclass takes the options of its
            base class too and keeps its own type.
        opts: None is skipped. What an option returns is ignored, so an ``async`` function passed
            as an option is never awaited and sets nothing; no type checker reports that.

    Raises:
        TypeError: an option belongs to another options class.
    """
    for option in opts:
        if option is not None:
            option(target)
    return target


@final
class FieldOption(Generic[T]):
    """An option that sets one field: the class behind every option function of the contract.

    It can be inspected (``owner``, ``field``, ``value``; in a ``match``, declare the subject as
    ``object``), compared, hashed if its value can be, pickled if its value can be, and applied any
    number of times, from any thread (D21). Its ``repr`` and its errors hide the value where the
    options class hides that field from its own ``repr`` (D17); pickling and ``value`` do not.

    Args:
        owner: the options class.
        field: the name of the field to set.
        value: what to set it to, shared and never copied.
    """

    __slots__ = ("__weakref__", "field", "owner", "value")
    __match_args__ = ("owner", "field", "value")

    def __init__(self, owner: type[T], field: str, value: object, /) -> None:
        # type[object], not type[T]: after isinstance(option, FieldOption) the T is unknown, and
        # pyright's strict mode would report every use of an owner that depends on it.
        self.owner: Final[type[object]] = owner
        self.field: Final[str] = field
        self.value: Final[object] = value

    def __call__(self, target: T, /) -> None:
        """Set the field on ``target``, which must be an instance of ``owner``.

        Raises:
            TypeError: it is not; the message names both classes.
        """
        if not isinstance(target, self.owner):
            raise TypeError(
                f"{self!r} sets a field of {_full_name(self.owner)} "
                f"and cannot be applied to {_full_name(type(target))}"
            )
        setattr(target, self.field, self.value)

    def __eq__(self, other: object, /) -> bool:
        if not isinstance(other, FieldOption):
            return NotImplemented
        return (self.owner, self.field, self.value) == (other.owner, other.field, other.value)

    def __hash__(self) -> int:
        return hash((self.owner, self.field, self.value))

    def __reduce__(self) -> tuple[type["FieldOption[object]"], tuple[type[object], str, object]]:
        return FieldOption, (self.owner, self.field, self.value)

    def __repr__(self) -> str:
        value = "<hidden>" if self._is_hidden() else repr(self.value)
        return f"FieldOption({self.owner.__qualname__}, {self.field!r}, {value})"

    def _is_hidden(self) -> bool:
        return dataclasses.is_dataclass(self.owner) and any(
            field.name == self.field and not field.repr for field in dataclasses.fields(self.owner)
        )


def _full_name(cls: type[object]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
