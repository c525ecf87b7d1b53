"""What listeners, handlers, dialers and connectors have in common: how their life begins."""

from gost_core.metadata import Metadata


class Component:
    """Initialized once, and of no use before (D18)."""

    def __init__(self) -> None:
        self._initialized = False

    async def init(self, metadata: Metadata | None, /) -> None:
        if self._initialized:
            raise RuntimeError(f"{type(self).__name__} was initialized before")
        self._initialized = True

    def check_initialized(self) -> None:
        if not self._initialized:
            raise RuntimeError(f"{type(self).__name__} is used before init()")


def refuse_options(options: object, *unserved: str) -> None:
    """Raise a ValueError for an option that is set although nothing here serves it.

    An admission or a TLS configuration that was silently ignored would leave a door open.
    """
    for name in unserved:
        value = getattr(options, name)
        if value and not (isinstance(value, int) and value < 0):  # a negative number is none (D24)
            raise ValueError(f"the option {name!r} is not served here; leave it out")
