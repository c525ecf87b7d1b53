"""Calls as programs make them that are not type-checked."""

from typing import Any


def untyped(value: object) -> Any:
    """Return ``value`` as something that fits everywhere."""
    return value
