"""Settings in memory."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gost_core.metadata import Metadata

from .net.address import hidden

MOST: Final = 2**31 - 1  # what the system takes for a number, and more than anybody needs


class MemoryMetadata(Metadata):
    """Settings in a dict, found whatever the case of their keys (D64)."""

    def __init__(self, settings: Mapping[str, object] | None = None) -> None:
        self._settings: dict[str, object] = {}
        for key, value in (settings or {}).items():
            self.set(key, value)

    def is_exists(self, key: str, /) -> bool:
        return key.casefold() in self._settings

    def set(self, key: str, value: object, /) -> None:
        self._settings[key.casefold()] = value

    def get(self, key: str, /) -> object:
        return self._settings.get(key.casefold())


def number(metadata: Metadata | None, key: str, default: float) -> float:
    """Read a setting that is a number; 0 or less, or none at all, gives the default (D24, D45).

    None is legal for no metadata (D18). A value of another type is a ValueError that names the
    key (D64), and so is what is no number to count by; settings that come from a command line are
    text, so text that is a number will do.
    """
    value = None if metadata is None else metadata.get(key)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", str(value)):
        raise ValueError(f"the setting {key!r} is {hidden(repr(value))}; it must be a number")
    found = float(str(value))
    if not abs(found) <= MOST:  # which no comparison with NaN is
        raise ValueError(f"the setting {key!r} is {found}; it must be a number up to {MOST}")
    return found if found > 0 else default


def whole(metadata: Metadata | None, key: str, default: int) -> int:
    """Read a setting that is a whole number, likewise."""
    found = number(metadata, key, default)
    if found % 1:
        raise ValueError(f"the setting {key!r} is {found}; it must be a whole number")
    return int(found)


def file_at(path: str) -> Path:
    """Return a path; a named pipe is refused, which could be waited for without end."""
    try:
        if (file := Path(path)).resolve().is_fifo():  # the pipe of a shell resolves to no file
            raise ValueError(f"{path} is a named pipe; give a file")
    except OSError as error:  # a name that is too long, say
        raise ValueError(f"{path}: {error.strerror}") from error
    return file


def text(metadata: Metadata | None, key: str) -> str:
    """Read a setting that is text; none gives "" (D64)."""
    value = None if metadata is None else metadata.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"the setting {key!r} is {value!r}; it must be text")
    return value or ""


def flag(metadata: Metadata | None, key: str, default: bool) -> bool:
    """Read a setting that is yes or no, also as text; none gives the default (D64)."""
    value = None if metadata is None else metadata.get(key)
    found = {"true": True, "false": False, "none": default}.get(str(value).lower())
    if found is None:
        raise ValueError(f"the setting {key!r} is {value!r}; it must be true or false")
    return found
