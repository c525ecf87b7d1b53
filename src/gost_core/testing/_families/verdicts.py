"""Clauses of what says yes or no of an address, by its rules."""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final, TypeVar

from gost_core.testing._families.lookups import (
    OptionLookup,
    Question,
    Respell,
    WholeHosts,
    split_port,
)
from gost_core.testing._run.attempt import NotTried
from gost_core.testing._run.contract import FIRST, clause
from gost_core.testing._run.waiting import all_within, expect, expect_raises, need, owned, within

__all__ = ("UNREADABLE", "Verdicts")

ComponentT = TypeVar("ComponentT")

_NETWORKS: Final[tuple[str, ...]] = ("udp", "unix", "", "tcp6", "tcp4")
_DEAD: Final[tuple[str, ...]] = (
    "",
    "127.*",
    "10.1.*",
    "host.example:80",
    "192.0.2.1:80",
    "[2001:db8::1]",
    "[2001:db8::1]:80",
)
UNREADABLE: Final[tuple[str, ...]] = (
    "not an address",
    ":::",
    "[2001:db8::1:443",
    "no.example:http",
    "\udcff.example:80",
    # No IDNA has these: a label that is empty, and one that is too long.
    "host..example:80",
    f"{64 * 'x'}.example:80",
    f"b\u00fccher.{64 * 'x'}.example:80",
)
"""What cannot be read, so that no rule names it."""
# Rules, and addresses that they name.
_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "Host.Example.": ("host.example:80", "HOST.example.:80"),
    "b\u00fccher.example": ("xn--bcher-kva.example:80", "B\u00dcCHER.example:80"),
    "xn--bcher-kva.test": ("b\u00fccher.test:80",),
}
_UNNAMED: Final[tuple[str, ...]] = (
    "xhost.example:80",
    "host.example.test:80",
    "192.0.2.10:80",
    "192.0.2.100:80",
    "[::192.0.2.1]:80",
)
_ADDRESSES: Final[Mapping[str, tuple[str, ...]]] = {
    "192.0.2.1": ("[::ffff:192.0.2.1]:80", "[::ffff:c000:201]:80"),
    "::ffff:192.0.2.2": ("192.0.2.2:80",),
    **dict.fromkeys(
        ("127.0.0.1", "0.0.0.0"), ("127.0.0.1:80", "0.0.0.0:80", "[::ffff:0.0.0.0]:80")
    ),
    **dict.fromkeys(("::1", "::"), ("[::1]:80", "[::]:80")),
    # As an address with a port, the first would be another one.
    "2001:DB8:0::443": ("2001:db8::443", "[2001:db8::443]:80"),
}


class Verdicts(OptionLookup[ComponentT, Question, bool], WholeHosts):
    """The clauses of what says yes or no of an address on a network.

    Hooks: ``_samples`` are addresses of which the verdict over tcp is known. ``_of_named`` is the
    verdict on what a blacklist names.
    """

    make_of: Callable[[Sequence[str]], ComponentT] | None = None
    """Makes one of a list of rules, as a blacklist: names, and addresses of both versions."""

    _of_named: ClassVar[bool]

    @abstractmethod
    def _samples(self) -> Mapping[str, bool]:
        """Return addresses with the verdict on each over tcp."""

    async def _questions(self) -> Sequence[Question]:
        return [("tcp", addr) for addr in self._samples()]

    async def _any_question(self) -> Question:
        return "tcp", "192.0.2.1:1024"

    def _more_questions(self, count: int = 8, /) -> Sequence[Question]:
        return [("tcp", f"host{number}.example:80") for number in range(count)]

    def _expect_right(self, question: Question, answer: bool, when: str = "", /) -> None:
        self._expect_verdict(question, answer, self._samples()[question[1]], when)

    def _expect_verdict(
        self, question: Question, answer: object, expected: bool, when: str = ""
    ) -> None:
        right = bool(answer) is expected
        expect(right, f"{self._named(question)} was {answer!r} instead of {expected}{when}")

    async def _expect_verdicts(self, samples: Mapping[str, bool], network: str = "tcp") -> None:
        """Break the clause unless all of these are right."""
        component = self._build()
        for addr, expected in samples.items():
            answer = await self._answer(component, (network, addr))
            self._expect_verdict((network, addr), answer, expected)

    async def _expect_respelled(self, respell: Respell, /) -> None:
        others: dict[str, bool] = {}
        for addr, expected in self._samples().items():
            with contextlib.suppress(NotTried):
                others[respell(addr)] = expected
        await self._expect_verdicts(need(others or None, "sample that can be spelled so"))

    async def _expect_unknown(self, *hosts: str) -> None:
        component = self._of("host.example")
        for host in hosts:
            # What becomes of one that cannot be read is told elsewhere.
            with contextlib.suppress(PermissionError, ValueError):
                answer = await self._answer(component, ("tcp", f"{host}:80"))
                self._expect_verdict(("tcp", f"{host}:80"), answer, not self._of_named)

    def _beside(self, component: ComponentT, /) -> Sequence[Callable[[], Awaitable[object]]]:
        return [
            partial(self._ask, component, (network, addr))
            for network in _NETWORKS
            for addr in (*self._samples(), *map(_bare, self._samples()), "")
        ]

    def _of(self, *rules: str) -> ComponentT:
        return owned(need(self.make_of, "make_of")(rules))

    async def _expect_named(self, samples: Mapping[str, Sequence[str]]) -> None:
        """Break the clause unless each rule names its addresses, and none of the others."""
        for rule, addresses in samples.items():
            component = self._of(rule)
            named = [addr for addresses in samples.values() for addr in addresses]
            asked = [("tcp", addr) for addr in (*named, *_UNNAMED)]
            # At once first, before it may remember answers.
            at_once = (self._ask(component, one) for one in asked)
            answers = await all_within(at_once, f"{len(asked)} calls at once")
            answers += [await self._answer(component, one) for one in asked]
            for one, answer in zip(2 * asked, answers, strict=True):
                expected = self._of_named is (one[1] in addresses)
                what = f"by the rule {rule!r}, {self._named(one)} was {answer!r}"
                expect(bool(answer) is expected, what)

    @clause(
        "The port of an address makes no difference, nor that there is none.",
        "D12, D47, D50",
        after=(FIRST,),
    )
    async def any_port(self) -> None:
        others: dict[str, bool] = {}
        for addr, expected in self._samples().items():
            host, port = split_port(addr)
            if port:
                ported = [f"{host}:{one}" for one in (1, 8080, 65535)]
                others |= dict.fromkeys((*ported, _bare(addr)), expected)
        await self._expect_verdicts(need(others or None, "sample with a port"))

    @clause("A list of rules that is empty is a ValueError.", "D47, D50", after=(FIRST,))
    async def empty_list_refused(self) -> None:
        need(self.make_of, "make_of")
        with expect_raises("an empty list of rules", ValueError):
            self._of()

    @clause(
        "A rule that can never match is a ValueError: 127.*, a host with a port, an address in "
        "brackets, an empty one.",
        "D47, D50",
        after=(FIRST,),
    )
    async def dead_rule_refused(self) -> None:
        need(self.make_of, "make_of")
        for rule in _DEAD:
            with expect_raises(f"the rule {rule!r}", ValueError):
                self._of("host.example", rule)

    @clause(
        "Rules and hosts are compared in one form: without letter case and trailing dot, IDNA as "
        "ASCII.",
        "D12",
        after=(FIRST, "host_case", "trailing_dot", "concurrent"),
    )
    async def one_form(self) -> None:
        await self._expect_named(_FORMS)

    @clause(
        "An IPv6 address is the same in each spelling; an IPv4 address written as IPv6 counts as "
        "IPv4, and an unspecified one as loopback.",
        "D12",
        after=(FIRST, "concurrent"),
    )
    async def one_address(self) -> None:
        await self._expect_named(_ADDRESSES)

    @clause(
        "Out of reach of the rules no network, no option and no missing port gets another verdict.",
        "D36, D49",
        after=("any_port", "next_after_failures"),
    )
    async def out_of_reach(self) -> None:
        asked = [ask() for ask in self._beside(self._build())]
        answers = asyncio.gather(*asked, return_exceptions=True)
        right = await within(answers, "calls at once")
        component = self._build()
        for question in await self._questions():
            await self._answer(component, question)
        await self._break(component)
        for ask, expected in zip(self._beside(component), right, strict=True):
            with contextlib.suppress(OSError):
                answer = await within(ask(), "a call out of reach of the rules")
                # What cannot decide may refuse, and not bypass.
                safe = answer == expected or not (answer or self._of_named)
                expect(safe, f"a call out of reach of the rules returned {answer!r}")


def _bare(addr: str) -> str:
    """Return the host of an address as it stands alone."""
    return split_port(addr)[0].strip("[]")
