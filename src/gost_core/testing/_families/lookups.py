"""Clauses of components that answer questions, most of them by asking something else.

``Answers`` adds to ``Mended`` and ``Waiting`` what is promised of a single answer, ``Lookup`` of
many at once, ``OptionLookup`` of options. ``Hosts`` is for all that compare hosts, ``WholeHosts``
for those that know all names; ``Addresses`` finds the addresses of a host. Those that say yes or no
are in ``verdicts``.
"""

import asyncio
import contextlib
import ipaddress
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar
from weakref import ref

from gost_core.context import Context
from gost_core.keys import SESSION_ID
from gost_core.testing._families.calls import Mended, Methods, Waiting
from gost_core.testing._families.lent import kept_of
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._run.attempt import current
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import (
    all_within,
    applies,
    ended,
    expect,
    expect_cancelled,
    failure_of,
    leaving_no_task,
    left_of,
    need,
    noting_tasks,
    outcome_of,
    raises,
    settle,
    start,
    turns,
    within,
)

__all__ = (
    "Addresses",
    "Answers",
    "Changes",
    "Hosts",
    "IPs",
    "Lends",
    "Lookup",
    "OptionLookup",
    "Question",
    "Respell",
    "WholeHosts",
    "expect_sequence",
    "is_empty",
    "split_port",
    "versions",
    "with_trailing_dot",
)

AnswerT = TypeVar("AnswerT")
ComponentT = TypeVar("ComponentT")
QuestionT = TypeVar("QuestionT")
ResultT = TypeVar("ResultT")

# More than most pools have places.
_CALLS: Final[int] = 40
# One less than the threads that asyncio has for calls that block, on a single core.
_FEW: Final[int] = 4
# More calls than those of which something may still be held.
_LENT: Final[int] = 100
# For how many seconds a question is left without an answer.
_PATIENCE: Final[float] = 1.5


class Answers(Mended[ComponentT], Waiting[ComponentT], Generic[ComponentT, QuestionT, AnswerT]):
    """The clauses of what is asked something, whatever it is.

    Hooks: ``_questions`` says what to ask, ``_ask`` asks it, ``_named`` is the name of that call in
    a report. ``_expect_right`` judges an answer. ``_expect_safe`` judges one that was given out of
    reach of what knows it; by default that must be right as well, from memory. ``_forget`` ends
    what is kept in memory, by default nothing does.
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

    def _more_questions(self, _: int = 2, /) -> Sequence[QuestionT]:
        """Return so many more questions: about what is not there, and so in no memory."""
        return ()

    def _many_questions(self, count: int, /) -> Sequence[QuestionT]:
        """Return questions of which no two may be asked as one."""
        return self._more_questions(count)

    async def _forget(self) -> bool:
        """Let the time pass for which answers are kept; tell whether none is kept any more."""
        return False

    def _may_share(self, question: QuestionT, other: QuestionT, /) -> bool:
        """Tell whether two questions may be asked as one."""
        return question == other

    def _expect_safe(self, question: QuestionT, answer: AnswerT, /) -> None:
        """Break the clause unless the answer may be given out of reach of what knows it."""
        self._expect_right(question, answer, " out of reach of what it asks")

    async def _answer(self, component: ComponentT, question: QuestionT, /) -> AnswerT:
        """Ask, within the time limit."""
        return await within(self._ask(component, question), self._named(question))

    async def _cut_short(self, component: ComponentT, question: QuestionT, /) -> None:
        """Ask, and cancel the call: what it leaves must not stand for an answer."""
        asked = start(self._ask(component, question))
        await turns(1)
        asked.cancel()
        await ended(asked)

    async def _use(self, component: ComponentT, what: str, /) -> None:
        # The answer to what is asked next may be kept.
        asked = await self._questions()
        same = [one for one in asked if self._named(one) == what]
        for other in asked:
            if not any(self._may_share(one, other) for one in same):
                await self._answer(component, other)

    async def _judge(self, component: ComponentT, question: QuestionT, when: str, /) -> None:
        """Ask, and break the clause unless the answer is right."""
        self._expect_right(question, await self._ask(component, question), when)

    async def _methods(self, component: ComponentT, /) -> Methods:
        return {
            self._named(one): partial(self._judge, component, one, " when a call was cancelled")
            for one in await self._questions()
        }

    @clause(
        "When what it asks is out of reach, a call raises OSError and makes no answer up.",
        "D36",
        after=(FIRST,),
    )
    async def backend_broken(self) -> None:
        questions = await self._questions()
        for before in ((), questions):
            component, raised = await self._ready(), False
            for question in before:
                await self._answer(component, question)
                await self._cut_short(component, question)
            await self._break(component)
            forgotten = bool(before) and await self._forget()
            for question in questions:
                try:
                    self._expect_safe(question, await self._answer(component, question))
                except OSError:
                    raised = True
            expect(
                raised or not forgotten, "answers were kept though what it asks was out of reach"
            )
            # Who cannot tell what is there cannot tell what is not.
            for other in self._more_questions() if raised else ():
                await raises(self._ask(component, other), f"{self._named(other)} likewise", OSError)

    @clause(
        "However many calls have failed, since what it asks is out of reach, the next one ends; "
        "none makes an answer up or leaves a task behind.",
        "D20",
        after=(FIRST, "backend_broken"),
    )
    async def next_after_failures(self) -> None:
        component = await self._broken()
        for question in await self._questions():
            what = self._named(question)
            calls = (leaving_no_task(self._ask(component, question), what) for _ in range(_CALLS))
            asked = [*map(start, calls)]
            await ended(*asked)
            asked.append(start(leaving_no_task(self._ask(component, question), what)))
            await ended(*asked)
            hangs = not all(one.done() for one in asked)
            expect(not hangs, f"{what}, {_CALLS} times out of reach, did not end")
            for one in asked:
                with contextlib.suppress(OSError):
                    self._expect_safe(question, one.result())

    @clause(
        "While what it asks leaves one question without an answer, others get theirs; the one "
        "makes none up, and ends when it is cancelled.",
        "D14, D22",
        after=(FIRST, "cancelled"),
    )
    async def others_go_on(self) -> None:
        asked = await self._questions()
        left: list[tuple[QuestionT, asyncio.Future[Any], list[asyncio.Task[object]]]] = []
        for question in asked[:_FEW] if self.places is None else asked[: self.places - 1 or 1]:
            begun = list[asyncio.Task[object]]()
            others = {
                self._named(one): partial(self._end, one)
                for one in (*asked, *self._more_questions())
                if not self._may_share(question, one)
            }
            silent = await self._expect_works([partial(self._note, question, begun)], others)
            left += [(question, one, begun) for one in silent]
        expect(bool(left), "`stall_backend` left no question without an answer")
        # They may have a time limit of their own, which is no answer either.
        await asyncio.wait([one for _, one, _ in left], timeout=_PATIENCE)
        for question, stalled, begun in left:
            if stalled.done():
                tasks = [one for one in left_of(begun) if not one.cancelling()]
                expect(not tasks, f"{self._named(question)} ended, and left {tasks}")
                with contextlib.suppress(OSError):
                    self._expect_safe(question, stalled.result())
            else:
                await expect_cancelled(stalled, self._named(question))

    async def _note(
        self, question: QuestionT, begun: list[asyncio.Task[object]], component: ComponentT
    ) -> AnswerT:
        return await noting_tasks(self._ask(component, question), begun)

    async def _end(self, question: QuestionT, component: ComponentT) -> None:
        with contextlib.suppress(Exception):
            await self._ask(component, question)

    def _asking(self, question: QuestionT) -> Callable[[ComponentT], Awaitable[AnswerT]]:
        return lambda component: self._ask(component, question)

    def _silent(self, count: int, /) -> Sequence[Callable[[ComponentT], Awaitable[AnswerT]]]:
        return [self._asking(one) for one in self._many_questions(count)]

    async def _others(self) -> Mapping[str, Callable[[ComponentT], Awaitable[object]]]:
        return {self._named(one): self._asking(one) for one in await self._questions()}


class Changes(Answers[ComponentT, QuestionT, AnswerT]):
    """Those of them that can be changed.

    Hooks: ``_changes`` are calls that change something; ``_elsewhere``, by default none, are more
    of them, about other keys.
    """

    @abstractmethod
    def _changes(self, component: ComponentT, /) -> Methods:
        """Return a call of each method that changes something, which may be made often."""

    def _elsewhere(self, _: ComponentT, /) -> Methods:
        """Return calls that change what none of those is about."""
        return {}

    async def _methods(self, component: ComponentT, /) -> Methods:
        return {**await super()._methods(component), **self._changes(component)}

    @clause(
        "While what it asks leaves one change without an answer, others get theirs.",
        "D22",
        after=(FIRST, "others_go_on"),
    )
    async def change_hinders_none(self) -> None:
        await self._expect_beside_changes(await self._others())

    @clause(
        "While what it asks leaves one change without an answer, those of other keys are made.",
        "D22",
        after=(FIRST, "change_hinders_none"),
    )
    async def changes_go_on(self) -> None:
        elsewhere = self._elsewhere(await self._ready())
        await self._expect_beside_changes(
            {f"{one} of another key": partial(_call, self._elsewhere, one) for one in elsewhere}
        )

    async def _expect_beside_changes(
        self, others: Mapping[str, Callable[[ComponentT], Awaitable[object]]]
    ) -> None:
        for what in self._changes(await self._ready()):
            beside = {f"{other}, and {what} silent": others[other] for other in others}
            await self._expect_works([partial(_call, self._changes, what)], beside)

    @clause(
        "A change that cannot be made, since the store is out of reach, raises OSError and leaves "
        "no task behind.",
        "D14, D20",
        after=(FIRST, "next_after_failures"),
    )
    async def change_raises(self) -> None:
        asked = [start(change()) for change in self._changes(await self._ready()).values()]
        await ended(*asked)
        # What stores nothing need not ask whether it could.
        changing = any(outcome_of(one) != "returned False" for one in asked)
        applies(changing, "it changes nothing: each call returned False")
        for what, change in self._changes(await self._broken()).items():
            await ended(*(start(change()) for _ in range(_CALLS)))
            for number in range(3):
                called = f"{what} {number} with its backend broken"
                await raises(leaving_no_task(change(), called), called, OSError)


class Lookup(Answers[ComponentT, QuestionT, AnswerT]):
    """Those of them that are asked by many at once, of which none changes another's answer."""

    def _beside(self, component: ComponentT, /) -> Sequence[Callable[[], Awaitable[object]]]:
        """Return calls with other arguments, whose answers are not known."""
        return [partial(self._ask, component, one) for one in self._more_questions()]

    async def _at_once(self) -> Sequence[QuestionT]:
        """Return what to ask at once: by default what is asked elsewhere."""
        return await self._questions()

    @clause("Calls for several requests at once do not mix.", "D22", after=(FIRST,))
    async def concurrent(self) -> None:
        component, samples = await self._ready(), await self._at_once()
        need(samples if len(samples) > 1 else None, "second sample, of another answer")
        # Each of the others once the last that was begun.
        for beside in (None, *self._beside(component)):
            questions = [*samples] * (_CALLS if beside is None else 1)
            asked = [start(self._ask(component, one)) for one in questions]
            if beside is not None:
                start(beside())
            answers = await all_within(asked, f"{len(questions)} calls at once")
            for question, answer in zip(questions, answers, strict=True):
                self._expect_right(question, answer, " beside other calls")


class Lends(Answers[ComponentT, QuestionT, AnswerT], TakesOptions):
    """Those of them that are given a context and options. Hook: ``_tell`` calls with both."""

    _holds_last: ClassVar[bool] = True
    """Whether something may serve one call after the other, and hold the last."""

    @abstractmethod
    def _tell(
        self, component: ComponentT, question: QuestionT, /, *opts: AnyOption
    ) -> Awaitable[object]:
        """Make each call that takes options, with the context of the attempt."""

    @clause(
        "Nothing is kept that was given for a call: no context and no option.",
        "D23",
        after=(FIRST, "options"),
    )
    async def nothing_kept(self) -> None:
        component, (*first, last) = await self._ready(), await self._questions()
        lent = [one for each in first for one in await self._lend(component, each)]
        await self._answer(component, last)
        await self._expect_dropped(component, last, _LENT)
        if not self._holds_last:
            lent += await self._lend(component, last)
            await settle()
        expect(not any(kept_of(lent)), "what a call had is kept long after it")
        if self.break_backend is not None:
            await self._expect_dropped(await self._break(component), last, _CALLS, at_once=True)

    async def _expect_dropped(
        self, component: ComponentT, question: QuestionT, count: int, *, at_once: bool = False
    ) -> None:
        calls = list[asyncio.Future[Sequence[ref[Any]]]]()
        for _ in range(count):
            calls.append(start(self._lend(component, question)))
            # Until it has read what the attempt lends it; out of reach, it may take long to fail.
            await (turns(2) if at_once else ended(calls[-1]))
        await ended(*calls)
        await settle()
        # One that does not end is the affair of another clause.
        done = (one for one in calls if one.done() and not failure_of(one))
        kept = sum(kept_of(lent for one in done for lent in one.result()))
        # What serves one call after the other may hold the last.
        expect(kept < count / 2, f"of what {count} calls had, {kept} contexts or options are kept")

    async def _lend(self, component: ComponentT, question: QuestionT) -> Sequence[ref[Any]]:
        """Ask with a context and an option of which nothing else knows."""
        over = False

        def option(_: object) -> None:
            """Set nothing, and that for one call only."""
            expect(not over, "an option was applied when the call was over that it was given to")

        current().ctx = ctx = Context().with_value(SESSION_ID, "one")
        with contextlib.suppress(OSError):
            await within(self._tell(component, question, option), self._named(question))
        current().ctx, over = Context(), True
        return ref(ctx), ref(option)


class OptionLookup(Lookup[ComponentT, QuestionT, AnswerT], Lends[ComponentT, QuestionT, AnswerT]):
    """Those of them that take options.

    Hooks: ``_options``; ``_any_question``, by default the first, has some answer, be it right or
    wrong, whatever the contract was given. ``_tell`` makes the calls that take options, by default
    it asks.
    """

    @abstractmethod
    def _ask(
        self, component: ComponentT, question: QuestionT, /, *opts: AnyOption
    ) -> Awaitable[AnswerT]:
        """Call the component, with options."""

    def _tell(
        self, component: ComponentT, question: QuestionT, /, *opts: AnyOption
    ) -> Awaitable[object]:
        """Make each call that takes options."""
        return self._ask(component, question, *opts)

    async def _any_question(self) -> QuestionT:
        """Return a question that has some answer."""
        return (await self._questions())[0]

    async def _call_with(self, *opts: AnyOption) -> None:
        component, question = await self._ready(), await self._any_question()
        # Twice: what one call was told must not stay for the next.
        for _ in range(2):
            await self._ask(component, question, *opts)


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
        await self._expect_respelled(with_trailing_dot)


class WholeHosts(Hosts):
    """Those of them that know all names there are.

    Hook: ``_expect_unknown`` asks for names; it leaves open whether they are refused.
    """

    @abstractmethod
    async def _expect_unknown(self, *hosts: str) -> None:
        """Break the clause if one of these is taken for ``host.example``."""

    @clause(
        "A name with something about it, such as a user, a path or a space, is not that name.",
        "D12",
        after=(FIRST, "host_case", "trailing_dot"),
    )
    async def host_whole(self) -> None:
        name = "host.example"
        around = "x@", "x:x@", "http://", " "
        behind = "/x", "?x", "#x", " ", "\t", "%", ","
        await self._expect_unknown(*(one + name for one in around), *(name + one for one in behind))


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

    def _may_share(self, question: Question, other: Question) -> bool:
        return question[1] == other[1]

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


# ---- Verbs


def _call(methods: Callable[[ComponentT], Methods], what: str, component: ComponentT) -> Any:
    return methods(component)[what]()


def expect_sequence(found: object, what: str, /) -> None:
    """Break the clause unless a call returned what has a length and an order."""
    expect(isinstance(found, Sequence), f"{what} returned {found!r}, which is no sequence")


def is_empty(found: object, /) -> bool:
    """Tell whether a result is an empty sequence, and not None, which is as false."""
    return isinstance(found, Sequence) and not found


def versions(network: str, addr: str, /) -> tuple[str, ...]:
    """Return the versions of a network by which an address can be reached."""
    host, _ = split_port(addr)
    try:
        return (f"{network}{ipaddress.ip_address(host.strip('[]')).version}",)
    except ValueError:
        return (f"{network}4", f"{network}6")


def split_port(addr: str, /) -> tuple[str, str]:
    """Return the host of an address, and the port with its colon, or "" without one."""
    host, colon, port = addr.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
    return (host, colon + port) if colon and port.isdecimal() and not bare else (addr, "")


def _upper_case(addr: str, /) -> str:
    """Write the host in capitals."""
    host, port = split_port(addr)
    upper = None if host.upper() == host else host.upper() + port
    return need(upper, "host with a small letter")


def with_trailing_dot(addr: str, /) -> str:
    """Write the host in the rooted form."""
    host, port = split_port(addr)
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.strip("[]"))
        host = ""
    dotted = None if not host or host.endswith(".") else f"{host}.{port}"
    return need(dotted, "host that is a name without a trailing dot")
