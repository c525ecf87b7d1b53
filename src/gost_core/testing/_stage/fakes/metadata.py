"""Metadata of a few values."""

from gost_core.metadata import Metadata

__all__ = ("FakeMetadata",)


class FakeMetadata(Metadata):
    """Metadata."""

    def __init__(self, **values: object) -> None:
        self._values = {key.lower(): value for key, value in values.items()}

    def is_exists(self, key: str, /) -> bool:
        """Tell whether the key is there."""
        return key.lower() in self._values

    def set(self, key: str, value: object, /) -> None:
        """Set a value."""
        self._values[key.lower()] = value

    def get(self, key: str, /) -> object:
        """Return a value."""
        return self._values.get(key.lower())
