"""Trials: a contract with all that it can be given, a right implementation, and faulty ones."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from gost_core.testing import Contract, Report
from tests.kit import virtual_time

F = TypeVar("F")
G = TypeVar("G", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Fault:
    """An implementation that breaks one clause and no other."""

    clause: str
    """The id of the clause."""
    name: str
    """What the faulty implementation is called."""
    over: Callable[[], Contract]
    """Returns the contract of it."""
    history: str
    """The commit or issue of the Go implementations that had this fault; "" = none."""

    def __str__(self) -> str:
        return f"{self.clause}:{self.name}"

    def expect_named(self, *, only: Collection[str] = ()) -> None:
        """Run the contract, or ``only`` these of its clauses: none but the broken one is named."""

        def named(report: Report) -> bool:
            return [result.clause.id for result in report.broken] == [self.clause]

        report = virtual_time.judge(lambda: self.over().run(only=only), named)
        assert named(report), str(report)


@dataclass
class Trial(Generic[F]):
    """A contract, how to make it over an implementation, and the implementations to try it on.

    ``over`` gives the contract every factory and hook that it knows, so that on ``right`` each
    clause is tried and held. Faulty implementations are added by the decorator :meth:`breaks`.
    """

    contract: type[Contract]
    over: Callable[[F], Contract]
    right: F
    faults: list[Fault] = field(default_factory=list[Fault])

    def breaks(self, clause: str, *, history: str = "") -> Callable[[G], G]:
        """Add an implementation that breaks ``clause``, named without module and interface."""
        prefix = self.contract.clauses[0].id.removesuffix("shape")

        def add(faulty: G) -> G:
            # A fault may be one that type checkers see too, so it need not fit.
            implementation = cast("F", faulty)
            name = getattr(faulty, "__name__", repr(faulty))
            fault = Fault(prefix + clause, name, lambda: self.over(implementation), history)
            self.faults.append(fault)
            return faulty

        return add
