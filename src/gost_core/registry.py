"""Registries: components by name."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TypeVar

from typing_extensions import Protocol

__all__ = ("DuplicateError", "MissingError", "Registry", "require")

# Invariant: values of T go in and come out.
T = TypeVar("T")


class DuplicateError(ValueError):
    """The name is taken; the registry keeps what it has (D60)."""


class MissingError(LookupError):
    """A configuration mentions a name that is not registered (D60)."""


class Registry(Protocol[T]):
    """Holds components of one kind, each under a name.

    Names are exact: case and spaces count (D60). A registry keeps values and closes none (D19).
    Any thread may use it (D21), and no call waits.

    To replace a value, unregister it and register the new one; between the two the name is missing.

    Checked by :class:`gost_core.testing.registry.RegistryContract`.
    """

    __slots__ = ()

    @abstractmethod
    def register(self, name: str, value: T, /) -> None:
        """Enter ``value`` under ``name``.

        Raises:
            DuplicateError: the name is taken, and keeps its value (D60).
            ValueError: the name is "", or the value is None (D60).
        """
        ...

    @abstractmethod
    def unregister(self, name: str, /) -> None:
        """Remove what is under ``name``; a no-op if nothing is.

        The value is not closed; its maker does that (D19, D60).
        """
        ...

    @abstractmethod
    def is_registered(self, name: str, /) -> bool:
        """Tell whether something is under ``name``."""
        ...

    @abstractmethod
    def get(self, name: str, /) -> T | None:
        """Return what is under ``name``, or None if nothing is.

        A registry that says so in its documentation returns, for a name that is registered, a live
        reference instead: an object that finds the current value at each call, and that fails
        closed while the name is not there. For a name that is not registered it is None all the
        same. To fail closed means: an Admission answers False, an Authenticator None, a limiter
        ``allow`` False and ``wait`` 0; a Logger discards; ``nodes()`` is empty, ``marker()`` and
        ``metadata()`` are None; a Bypass, Cache, Chainer, HostMapper, Hop, Ingress, Matcher,
        Observer, Recorder, Resolver, Rewriter, Router, SD, and the lookups of limiters raise
        OSError (D60).

        For callers: do not pass the None on as an option, where it would mean that everybody may.
        Use :func:`require` for a name that a configuration mentions (D60).
        """
        ...

    @abstractmethod
    def get_all(self) -> Mapping[str, T]:
        """Return all values by name, as they are at this moment.

        Later changes do not show in it (D60).
        """
        ...


def require(registry: Registry[T], name: str, /) -> T:
    """Return what is under ``name``, which a configuration mentions, so that it must be there.

    Args:
        registry: where to look.
        name: exact; "" is missing too.

    Raises:
        MissingError: nothing is under ``name``, which the message quotes: an error of the
            configuration (D60).
    """
    value = registry.get(name)
    if value is None:
        raise MissingError(f"nothing is registered under {name!r}")
    return value
