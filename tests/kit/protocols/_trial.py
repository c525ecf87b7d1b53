"""A trial of a protocol: the contracts of all its parts, and what is wrong with the faulty ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gost_core.testing import Contract

PartsT = TypeVar("PartsT")


@dataclass
class ProtocolTrial(Generic[PartsT]):
    """The contracts of the parts of a protocol."""

    name: str
    right: PartsT
    over: Callable[[PartsT], tuple[Contract, ...]]
    """Returns a contract for each interface of these parts, with every hook."""
    faults: dict[str, tuple[PartsT, str]] = field(default_factory=dict[str, tuple[PartsT, str]])
    """Faulty parts by what is wrong with them, each with the clause that catches it."""
