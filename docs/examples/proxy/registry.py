"""Components by name, in memory."""

from collections.abc import Mapping
from threading import Lock
from typing import TypeVar

from gost_core.registry import DuplicateError, Registry

T = TypeVar("T")


class MemoryRegistry(Registry[T]):
    """A dict behind a lock: any thread may use a registry (D21).

    ``get`` returns the value itself, no live reference (D60).
    """

    def __init__(self) -> None:
        self._values: dict[str, T] = {}
        self._lock = Lock()

    def register(self, name: str, value: T, /) -> None:
        if not name or value is None:
            raise ValueError("a registry needs a name that is not empty, and a value")
        with self._lock:
            if name in self._values:
                raise DuplicateError(f"{name!r} is registered already; unregister it first")
            self._values[name] = value

    def unregister(self, name: str, /) -> None:
        with self._lock:
            self._values.pop(name, None)

    def is_registered(self, name: str, /) -> bool:
        with self._lock:
            return name in self._values

    def get(self, name: str, /) -> T | None:
        with self._lock:
            return self._values.get(name)

    def get_all(self) -> Mapping[str, T]:
        with self._lock:
            return dict(self._values)
