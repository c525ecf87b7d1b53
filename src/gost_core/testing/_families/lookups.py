"""Clauses of components that answer questions, and of those that say yes or no of an address."""

import asyncio
import ipaddress
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final, Generic, TypeVar

from gost_core.testing._run.attempt import NotTried
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import expect, given, need, start, turns, within

__all__ = ("Lookup", "OptionLookup", "OptionWatch", "Verdicts", "is_empty")

AnswerT = TypeVar("AnswerT")
ComponentT = TypeVar("ComponentT")
OptionsT = TypeVar("OptionsT")
QuestionT = TypeVar("QuestionT")

_CALLS: Final[int] = 20
# After how many turns of the event loop a call is cancelled.
_STAGES: Final[int] = 4


class Lookup(Contract, Generic[ComponentT, QuestionT, AnswerT]):
    """The clauses of components that are asked something, whatever it is."""

    break_backend: Callable[[ComponentT], Awaitable[object]] | None = None
    """Puts what a component asks out of its reach, as when a server has gone."""

    @abstractmethod
    def _build(self) -> ComponentT:
        """Make a component that can be asked the questions."""

    @abstractmethod
    def _questions(self) -> Sequence[QuestionT]:
        """Return what to ask: several questions of different answers, if there are such."""

    @abstractmethod
    def _ask(self, component: ComponentT, question: QuestionT, /) -> Awaitable[AnswerT]:
        """Call the component."""

    @abstractmethod
    def _expect_right(self, question: QuestionT, answer: AnswerT, when: str, /) -> None:
        """Break the clause unless the answer is right; ``when`` says what was special."""

    def _expect_safe(self, question: QuestionT, answer: AnswerT, /) -> None:
        """Break the clause unless the answer may be given while nothing can be looked up."""
        # It may remember what it was told before.
        self._expect_right(question, answer, "out of reach of what it asks")

    async def _specimen(self) -> ComponentT:
        return self._build()

    @clause(
        "Calls for several requests at once do not mix.", "Go's implementations", after=(FIRST,)
    )
    async def concurrent(self) -> None:
        component, questions = self._build(), [*self._questions()] * _CALLS
        asked = asyncio.gather(*(self._ask(component, one) for one in questions))
        answers = await within(asked, f"{len(questions)} calls at once")
        for question, answer in zip(questions, answers, strict=True):
            self._expect_right(question, answer, "beside other calls")

    @clause(
        "A call that is cancelled passes the cancellation on, and does not make an answer of it.",
        "D4, D14",
        after=(FIRST,),
    )
    async def cancelled(self) -> None:
        component = self._build()
        for question in self._questions():
            for answer in await answers_when_cancelled(partial(self._ask, component, question)):
                self._expect_right(question, answer, "of a cancelled call")

    @clause(
        "When what it asks is out of reach, a call raises OSError and makes no answer up.",
        "D36",
        after=(FIRST,),
    )
    async def backend_broken(self) -> None:
        break_backend = need(self.break_backend, "break_backend")
        component = self._build()
        await given(break_backend(component), "break_backend()")
        for question in self._questions():
            try:
                answer = await within(self._ask(component, question), "a call")
            except OSError:
                continue
            self._expect_safe(question, answer)


class OptionLookup(Lookup[ComponentT, QuestionT, AnswerT]):
    """Those of them that take options."""

    _options: ClassVar[type[object]]
    """What the options are applied to."""

    @abstractmethod
    def _ask(
        self, component: ComponentT, question: QuestionT, /, *opts: Callable[[object], object]
    ) -> Awaitable[AnswerT]:
        """Call the component, with options."""

    def _any_question(self) -> QuestionT:
        """Return a question that has some answer."""
        return self._questions()[0]

    @clause("Any callable may be an option, and options are applied once each, in order.", "D23")
    async def options(self) -> None:
        watch = OptionWatch(self._options)
        asked = self._ask(self._build(), self._any_question(), *watch.opts())
        await within(asked, "a call with options")
        watch.judge()


Question = tuple[str, str]


class Verdicts(OptionLookup[ComponentT, Question, bool]):
    """Those that say yes or no of an address on a network."""

    @abstractmethod
    def _samples(self) -> Mapping[str, bool]:
        """Return addresses of which the verdict over tcp is known."""

    def _questions(self) -> Sequence[Question]:
        return [("tcp", addr) for addr in self._samples()]

    def _any_question(self) -> Question:
        return "tcp", "192.0.2.1:1024"

    def _expect_right(self, question: Question, answer: bool, when: str, /) -> None:
        self._expect_verdict(question, answer, self._samples()[question[1]], f", {when}")

    def _expect_verdict(
        self, question: Question, answer: object, expected: bool, when: str = ""
    ) -> None:
        network, addr = question
        expect(
            bool(answer) is expected,
            f"of {addr!r} by {network!r} it said {answer!r} instead of {expected}{when}",
        )

    async def _verdict(self, component: ComponentT, question: Question) -> bool:
        network, addr = question
        return await within(self._ask(component, question), f"asking of {addr!r} by {network!r}")

    async def _expect_verdicts(self, samples: Mapping[str, bool], network: str = "tcp") -> None:
        """Break the clause unless all of these are right."""
        component = self._build()
        for addr, expected in samples.items():
            answer = await self._verdict(component, (network, addr))
            self._expect_verdict((network, addr), answer, expected)

    async def _expect_respelled(self, respell: Callable[[str], str | None], why_not: str) -> None:
        """Break the clause unless the samples get the same verdict in another spelling."""
        others = {
            other: expected
            for addr, expected in self._samples().items()
            if (other := respell(addr)) is not None
        }
        if not others:
            raise NotTried(why_not)
        await self._expect_verdicts(others)

    @clause("Hosts compare without regard to case.", "D12", after=(FIRST,))
    async def host_case(self) -> None:
        await self._expect_respelled(upper_case, "no sample has a small letter in its host")

    @clause("A trailing dot of a host makes no difference.", "D12", after=(FIRST,))
    async def trailing_dot(self) -> None:
        await self._expect_respelled(with_trailing_dot, "the host of no sample is a name")


async def answers_when_cancelled(call: Callable[[], Awaitable[AnswerT]], /) -> list[AnswerT]:
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


class OptionWatch(Generic[OptionsT]):
    """Two options, plain functions, that note when and to what they are applied."""

    def __init__(self, options: type[OptionsT]) -> None:
        self._options = options
        self._applied: list[tuple[str, object]] = []

    def opts(self) -> tuple[Callable[[OptionsT], object], Callable[[OptionsT], object]]:
        """Return the options."""
        return (
            lambda target: self._applied.append(("first", target)),
            lambda target: self._applied.append(("second", target)),
        )

    def judge(self) -> None:
        """Break the clause if they were applied wrongly; who needs no options may ignore them."""
        for _, target in self._applied:
            expect(
                isinstance(target, self._options),
                f"an option was applied to a {type(target).__qualname__}",
            )
            # What forwards its options has them applied to more than one object.
            order = [name for name, other in self._applied if other is target]
            expect(
                order == ["first", "second"],
                f"the options first and second were applied as: {', '.join(order)}",
            )


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


def upper_case(addr: str, /) -> str | None:
    """Return the address with its host in capitals; None if that has no small letters."""
    host, port = _split_port(addr)
    return None if host.upper() == host else host.upper() + port


def with_trailing_dot(addr: str, /) -> str | None:
    """Return the address with its host in the rooted form; None if that is not a name."""
    host, port = _split_port(addr)
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None if host.endswith(".") or not host else f"{host}.{port}"
    return None
