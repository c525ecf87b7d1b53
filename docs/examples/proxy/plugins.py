"""Components by name: one registry a kind, filled by the plug-ins of all that is installed.

A package offers a component by an entry point in the group of its kind. Those of this package stand
in the ``pyproject.toml`` beside it, and are found once it is installed.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, distributions
from typing import Final, Generic, TypeVar

from gost_core import connector, dialer, handler, listener
from gost_core.resolver import Resolver
from gost_core.sd import SD

from .net.address import hidden
from .registry import MemoryRegistry

Option = TypeVar("Option")
Component = TypeVar("Component")


@dataclass(slots=True)
class Plugin(Generic[Option, Component]):
    """Makes a component; what it needs is imported when the first is made."""

    point: EntryPoint

    def __call__(self, *opts: Option) -> Component:
        name = f"{self.point.name!r} of {self.point.group}"
        try:
            make: Callable[..., Component] = self.point.load()
        except ImportError as error:
            raise ValueError(f"{name} cannot be loaded: {remedy(error)}") from error
        except Exception as error:  # whatever goes wrong where somebody else wrote
            raise ValueError(f"{name} cannot be loaded: {type(error).__name__}: {error}") from error
        return make(*opts)


def remedy(error: ImportError) -> str:
    """Return what an error of this kind says, and what to install."""
    library = (error.name or "").partition(".")[0]
    names = {"dns": "dnspython", "prometheus_client": "prometheus-client"}
    return f"{error}; pip install {names.get(library, library)}" if library else str(error)


left_out: Final[list[str]] = []
"""What was found and is of no use, and why; for the log."""


@lru_cache(1)
def _installed(path: tuple[str, ...]) -> list[EntryPoint]:
    """Return the entry points of all that is installed there, but of what cannot be read."""
    found: list[EntryPoint] = []
    for distribution in distributions(path=[*path]):
        try:
            found += distribution.entry_points
        except Exception as error:  # which would keep all others from being found
            left_out.append(f"the entry points of {distribution.name}: {error!r}")
    return list(dict.fromkeys(found))  # some are found twice, by two paths


class Plugins(MemoryRegistry[Plugin[Option, Component]]):
    """The plug-ins of one kind."""

    def __init__(self, group: str) -> None:
        super().__init__()
        points = [point for point in _installed((*sys.path,)) if point.group == group]
        # Those of this package first: another one that takes a name of theirs is left out.
        for point in sorted(points, key=lambda point: not point.value.startswith("proxy.")):
            try:
                self.register(point.name, Plugin(point))
            except ValueError as error:
                left_out.append(f"the plug-in {point.value} of {group}: {error}")

    def named(self, name: str) -> Plugin[Option, Component]:
        """Return the plug-in of a name; a ValueError says what there is instead of it."""
        plugin = self.get(name)
        if plugin is None:
            raise ValueError(f"{hidden(name)!r} is not one of {', '.join(sorted(self.get_all()))}")
        return plugin


listeners: Final = Plugins[listener.Option, listener.Listener]("gost.listeners")
handlers: Final = Plugins[handler.Option, handler.Handler]("gost.handlers")
dialers: Final = Plugins[dialer.Option, dialer.Dialer]("gost.dialers")
connectors: Final = Plugins[connector.Option, connector.Connector]("gost.connectors")
resolvers: Final = Plugins[str, Resolver]("gost.resolvers")
sds: Final = Plugins[str, SD]("gost.sds")
