"""Values that travel with a call: who asks, from where, in which session.

A :class:`Context` carries values and nothing else. Cancelling a call and limiting its time belong
to the task that awaits it (``asyncio.timeout``, ``task.cancel()``), so this module knows of no
event loop. One of the values, :data:`gost_core.keys.TIME_LIMIT`, tells by when the caller expects
an end; it ends nothing by itself (D69).
"""

from collections.abc import Mapping
from typing import Any, Final, Generic, NoReturn, TypeVar, final

__all__ = ("Context", "Key")

# Explicit and invariant: T stands in no signature of Key, so an inferred variance would let
# Context.with_value pair a Key[str] with an int.
T = TypeVar("T")


@final
class Key(Generic[T]):
    """The name under which a :class:`Context` holds a value of type ``T``.

    A key equals only itself: two keys of the same name are two keys, and neither finds what the
    other stored. So packages that exchange a value import the key from one place; those that
    independent packages share are in :mod:`gost_core.keys`. Copying a key gives the same key, and
    pickling one is refused, since what came back would find nothing.

    Args:
        name: what the key is called in a ``repr``; it identifies nothing.
    """

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str, /) -> None:
        self.name: Final[str] = name

    def __repr__(self) -> str:
        return f"<Key {self.name!r}>"

    def __copy__(self) -> "Key[T]":
        return self

    def __deepcopy__(self, memo: object, /) -> "Key[T]":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled: a key equals only itself, so a copy in another process "
            "would find no value; import the key there instead"
        )


@final
class Context:
    """An immutable set of values, each under a :class:`Key`.

    ``Context()`` is empty, and every callee copes with an empty one: any key may be absent (D28).
    A context never expires and is never cancelled; one of its values may be a moment, TIME_LIMIT,
    which concerns only the call that it was given to. To keep a context after the call, keep it
    :meth:`without` that key (D69). It may be shared, and read from any thread (D21). Its ``repr``
    names the keys but no value, since a value may be a secret (D17).
    """

    __slots__ = ("__weakref__", "_values")

    def __init__(self) -> None:
        # Any: each value has the type of its own key, which only with_value and value can say.
        self._values: Mapping[Key[Any], Any] = {}

    def value(self, key: Key[T], /) -> T | None:
        """Return what ``key`` holds here, or None if it holds nothing."""
        return self._values.get(key)

    def with_value(self, key: Key[T], value: T, /) -> "Context":
        """Return a context with all that this one holds, and with ``value`` under ``key``.

        This context does not change. The value is shared, not copied, and must not be changed
        afterwards.

        Raises:
            TypeError: ``value`` is None, which would look like an absent value.
        """
        if value is None:
            raise TypeError(
                f"the value of {key!r} is None; leave the key out of the context instead"
            )
        context = Context()
        context._values = {**self._values, key: value}
        return context

    def without(self, key: Key[T], /) -> "Context":
        """Return a context that holds all that this one holds, but nothing under ``key``.

        This context does not change. A context that is kept after a call is kept without the values
        that were meant for that call only, such as TIME_LIMIT (D69). A key that holds nothing is no
        error.
        """
        context = Context()
        context._values = {name: value for name, value in self._values.items() if name is not key}
        return context

    def __repr__(self) -> str:
        return f"Context({', '.join(key.name for key in self._values)})"
