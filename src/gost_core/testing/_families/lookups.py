"""Clauses of components that answer questions, most of them by asking something else.

``Backed`` knows how to put that out of reach; ``Answers`` adds what is promised of a single answer,
``Lookup`` of many at once, ``OptionLookup`` of options. ``Hosts`` is for all that compare hosts;
``Addresses`` finds their addresses, and ``Verdicts`` says yes or no.
"""

import asyncio
import contextlib
import ipaddress
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Generic, TypeAlias, TypeVar

from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._run.attempt import NotTried
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import expect, given, need, start, turns, within

__all__ = (
    "Addresses",
    "Answers",
    "Backed",
    "Hosts",
    "IPs",
    "Lookup",
    "OptionLookup",
    "Question",
    "Respell",
    "Verdicts",
    "is_empty",
    "versions",
)

AnswerT = TypeVar("AnswerT")
ComponentT = TypeVar("ComponentT")
QuestionT = TypeVar("QuestionT")

_CALLS: Final[int] = 20
# After how many turns of the event loop a call is cancelled.
_STAGES: Final[int] = 4


class Backed(Contract, Generic[ComponentT]):
    """What needs something else, such as a server or a file, which can fail. It has no clauses.

    Hooks: ``_build`` makes the component. ``_ready``, by default the same, makes one with all that
    its questions are about, where that takes calls. The verb for scenarios is ``_broken``.
    """

    break_backend: Callable[[ComponentT], Awaitable[object]] | None = None
    """Puts what a component asks out of its reach, as when a server has gone."""

    @abstractmethod
    def _build(self) -> ComponentT:
        """Make a component, and keep it."""

    async def _ready(self) -> ComponentT:
        """Make a component that can answer the questions."""
        return self._build()

    async def _broken(self) -> ComponentT:
        """Make a component, and put what it asks out of its reach."""
        break_backend = need(self.break_backend, "break_backend")
        component = await self._ready()
        await given(break_backend(component), "break_backend()")
        return component

    async def _specimen(self) -> ComponentT:
        return self._build()


class Answers(Backed[ComponentT], Generic[ComponentT, QuestionT, AnswerT]):
    """The clauses of what is asked something, whatever it is.

    Hooks: ``_questions`` says what to ask, ``_ask`` asks it, ``_named`` is the name of that call in
    a report. ``_expect_right`` judges an answer. ``_expect_safe`` judges one that was given out of
    reach of what knows it; by default that must be right as well, from memory.
    """

    @abstractmethod
    async def _questions(self) -> Sequence[QuestionT]:
        """Return what to ask, of different answers; together with the answer, if it varies."""

    @abstractmethod
    def _ask(self, component: ComponentT, question: QuestionT, /) -> Awaitable[AnswerT]:
        """Call the component."""

    @abstractmethod
    def _named(self, question: QuestionT, /) -> str:
        """Name the call, such as "lookup('ip', 'example.net')"; no secret stands in it."""

    @abstractmethod
    def _expect_right(self, question: QuestionT, answer: AnswerT, when: str = "", /) -> None:
        """Break the clause unless the answer is right; ``when`` says what is special, or is ""."""

    def _expect_safe(self, question: QuestionT, answer: AnswerT, /) -> None:
        """Break the clause unless the answer may be given out of reach of what knows it."""
        self._expect_right(question, answer, " out of reach of what it asks")

    async def _answer(self, component: ComponentT, question: QuestionT, /) -> AnswerT:
        """Ask, within the time limit."""
        return await within(self._ask(component, question), self._named(question))

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=(FIRST,),
    )
    async def cancelled(self) -> None:
        component = await self._ready()
        for question in await self._questions():
            for answer in await _answers_when_cancelled(partial(self._ask, component, question)):
                self._expect_right(question, answer, " when it was cancelled")

    @clause(
        "When what it asks is out of reach, a call raises OSError and makes no answer up.",
        "D36",
        after=(FIRST,),
    )
    async def backend_broken(self) -> None:
        questions, component = await self._questions(), await self._broken()
        for question in questions:
            try:
                answer = await self._answer(component, question)
            except OSError:
                continue
            self._expect_safe(question, answer)


class Lookup(Answers[ComponentT, QuestionT, AnswerT]):
    """Those of them that are asked by many at once, of which none changes another's answer."""

    @clause(
        "Calls for several requests at once do not mix.", "Go's implementations", after=(FIRST,)
    )
    async def concurrent(self) -> None:
        component, samples = await self._ready(), await self._questions()
        need(samples if len(samples) > 1 else None, "second sample, of another answer")
        questions = [*samples] * _CALLS
        asked = asyncio.gather(*(self._ask(component, one) for one in questions))
        answers = await within(asked, f"{len(questions)} calls at once")
        for question, answer in zip(questions, answers, strict=True):
            self._expect_right(question, answer, " beside other calls")


class OptionLookup(Lookup[ComponentT, QuestionT, AnswerT], TakesOptions):
    """Those of them that take options.

    Hooks: ``_options``; ``_any_question``, by default the first, has some answer, be it right or
    wrong, whatever the contract was given.
    """

    @abstractmethod
    def _ask(
        self, component: ComponentT, question: QuestionT, /, *opts: AnyOption
    ) -> Awaitable[AnswerT]:
        """Call the component, with options."""

    async def _any_question(self) -> QuestionT:
        """Return a question that has some answer."""
        return (await self._questions())[0]

    async def _call_with(self, *opts: AnyOption) -> object:
        return await self._ask(await self._ready(), await self._any_question(), *opts)


# ---- Hosts


Respell: TypeAlias = Callable[[str], str]
"""Writes a host, or an address, in another way that means the same; NotTried if there is none."""


class Hosts(Contract):
    """The clauses of all that compares hosts.

    Hook: ``_expect_respelled`` tries whether another spelling makes a difference.
    """

    @abstractmethod
    async def _expect_respelled(self, respell: Respell, /) -> None:
        """Break the clause unless a host gets the same answer when it is spelled otherwise."""

    @clause("Hosts compare without regard to case.", "D12", after=(FIRST,))
    async def host_case(self) -> None:
        await self._expect_respelled(_upper_case)

    @clause("A trailing dot of a host makes no difference.", "D12", after=(FIRST,))
    async def trailing_dot(self) -> None:
        await self._expect_respelled(_with_trailing_dot)


Question: TypeAlias = tuple[str, str]
"""A network and an address on it, or a host."""

IPs: TypeAlias = Sequence[IPv4Address | IPv6Address]


class Addresses(OptionLookup[ComponentT, Question, AnswerT], Hosts):
    """The clauses of what finds the addresses of a host, by the networks ip, ip4 and ip6.

    Hook: ``_both_families`` is a host that has addresses of both.
    """

    @abstractmethod
    def _both_families(self) -> str:
        """Return a host with IPv4 and IPv6 addresses; ``_expect_right`` knows which."""

    async def _expect_found(self, component: ComponentT, network: str, host: str) -> None:
        """Break the clause unless the answer is right."""
        question = (network, host)
        self._expect_right(question, await self._answer(component, question))

    @clause(
        '"ip4" and "ip6" give the addresses of that family, and no others.', "D39", after=(FIRST,)
    )
    async def one_family(self) -> None:
        component, host = self._build(), self._both_families()
        for network in ("ip4", "ip6"):
            await self._expect_found(component, network, host)


class Verdicts(OptionLookup[ComponentT, Question, bool], Hosts):
    """The clauses of what says yes or no of an address on a network.

    Hook: ``_samples`` are addresses of which the verdict over tcp is known.
    """

    @abstractmethod
    def _samples(self) -> Mapping[str, bool]:
        """Return addresses with the verdict on each over tcp."""

    async def _questions(self) -> Sequence[Question]:
        return [("tcp", addr) for addr in self._samples()]

    async def _any_question(self) -> Question:
        return "tcp", "192.0.2.1:1024"

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


# ---- Verbs


async def _answers_when_cancelled(call: Callable[[], Awaitable[AnswerT]], /) -> list[AnswerT]:
    """Cancel calls in several stages, and return what those have answered that did so.

    A call may be over before it is cancelled, or answer in the very moment; then it is right.
    """
    answers: list[AnswerT] = []
    for stage in range(1, _STAGES + 1):
        call_in_task = start(call())
        await turns(stage)
        call_in_task.cancel()
        await within(asyncio.wait({call_in_task}), "a call that was cancelled")
        if not call_in_task.cancelled():
            answers.append(call_in_task.result())
    return answers


def is_empty(found: object, /) -> bool:
    """Tell whether a result is an empty sequence, and not None, which is as false."""
    return isinstance(found, Sequence) and not found


def versions(network: str, addr: str, /) -> tuple[str, ...]:
    """Return the versions of a network by which an address can be reached."""
    host, _ = _split_port(addr)
    try:
        return (f"{network}{ipaddress.ip_address(host.strip('[]')).version}",)
    except ValueError:
        return (f"{network}4", f"{network}6")


def _split_port(addr: str, /) -> tuple[str, str]:
    """Return the host of an address, and the port with its colon, or "" without one."""
    host, colon, port = addr.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
    return (host, colon + port) if colon and port.isdecimal() and not bare else (addr, "")


def _upper_case(addr: str, /) -> str:
    """Write the host in capitals."""
    host, port = _split_port(addr)
    upper = None if host.upper() == host else host.upper() + port
    return need(upper, "host with a small letter")


def _with_trailing_dot(addr: str, /) -> str:
    """Write the host in the rooted form."""
    host, port = _split_port(addr)
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.strip("[]"))
        host = ""
    dotted = None if not host or host.endswith(".") else f"{host}.{port}"
    return need(dotted, "host that is a name without a trailing dot")
