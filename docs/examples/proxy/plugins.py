"""Components by name: one registry a kind, filled by the plug-ins of all that is installed.

A package offers a component by an entry point in the group of its kind. Those of this package stand
in the ``pyproject.toml`` beside it, and are found once it is installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Generic, TypeVar

from gost_core import connector, dialer, handler, listener
from gost_core.chain import Node
from gost_core.logger import default
from gost_core.resolver import Resolver
from gost_core.sd import SD
from gost_core.selector import Strategy

from .registry import MemoryRegistry

Option = TypeVar("Option")
Component = TypeVar("Component")


@dataclass(slots=True)
class Plugin(Generic[Option, Component]):
    """Makes a component; what it needs is imported when the first is made."""

    point: EntryPoint

    def __call__(self, *opts: Option) -> Component:
        try:
            make: Callable[..., Component] = self.point.load()
        except ImportError as error:
            raise ValueError(
                f"{self.point.name!r} of {self.point.group} cannot be loaded: {error}"
            ) from error
        return make(*opts)


class Plugins(MemoryRegistry[Plugin[Option, Component]]):
    """The plug-ins of one kind."""

    def __init__(self, group: str) -> None:
        super().__init__()
        points = entry_points(group=group)
        # Those of this package first: another one that takes a name of theirs is left out.
        for point in sorted(points, key=lambda point: not point.value.startswith("proxy.")):
            try:
                self.register(point.name, Plugin(point))
            except ValueError as error:
                default().warnf("the plug-in %s of %s is left out: %s", point.value, group, error)

    def named(self, name: str) -> Plugin[Option, Component]:
        """Return the plug-in of a name; a ValueError says what there is instead of it."""
        plugin = self.get(name)
        if plugin is None:
            raise ValueError(f"{name!r} is not one of {', '.join(sorted(self.get_all()))}")
        return plugin


listeners: Final = Plugins[listener.Option, listener.Listener]("gost.listeners")
handlers: Final = Plugins[handler.Option, handler.Handler]("gost.handlers")
dialers: Final = Plugins[dialer.Option, dialer.Dialer]("gost.dialers")
connectors: Final = Plugins[connector.Option, connector.Connector]("gost.connectors")
strategies: Final = Plugins[object, Strategy[Node]]("gost.strategies")
resolvers: Final = Plugins[str, Resolver]("gost.resolvers")
sds: Final = Plugins[str, SD]("gost.sds")
