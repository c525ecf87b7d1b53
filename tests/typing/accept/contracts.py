"""How contracts are used: made, run, made into tests, and given clauses of one's own."""

import unittest
from collections.abc import Awaitable, Callable
from typing import assert_type

from typing_extensions import TypeVar

from gost_core.bypass import Bypass, Option
from gost_core.context import Context
from gost_core.testing import Clause, Contract, Report, clause, expect, need
from gost_core.testing.bypass import BypassContract


class Rules(Bypass):
    """A bypass with a method of its own, which a hook may use."""

    def is_whitelist(self) -> bool:
        return False

    async def contains(self, ctx: Context, network: str, addr: str, /, *opts: Option) -> bool:
        return addr == "example.net:80"

    async def go_away(self) -> None: ...


async def break_backend(rules: Rules) -> None:
    await rules.go_away()


contract = BypassContract(Rules, bypassed="example.net:80", break_backend=break_backend)
assert_type(contract.make(), Rules)
assert_type(contract.bypassed, str | None)
assert_type(BypassContract.clauses, tuple[Clause, ...])
by_lambda = BypassContract(lambda: Rules(), passed="example.org:80", time_limit=1.0)
TestRules: type[unittest.TestCase] = contract.as_tests(known={"bypass.Bypass.answer": "why"})


async def run() -> Report:
    return (await contract.run(only=["bypass.Bypass.answer"])).raise_if_broken()


RulesT = TypeVar("RulesT", bound=Bypass, default=Bypass)


class OurContract(BypassContract[RulesT]):
    """With a promise of our own, and a hook of our own for it."""

    private: str = "10.0.0.1:80"
    """An address of a private network."""
    reload: Callable[[RulesT], Awaitable[object]] | None = None
    """Has the rules read anew."""

    @clause("Private networks are never bypassed.", "our guide", after=("answer",))
    async def private_networks(self) -> None:
        rules = self.make()
        await need(self.reload, "reload")(rules)
        expect(not await rules.contains(Context(), "tcp", self.private), "it was bypassed")


async def reload(rules: Rules) -> None: ...


ours = OurContract(Rules, private="192.0.2.1:80", reload=reload)
assert_type(ours.private, str)
contracts: list[Contract] = [contract, ours]
