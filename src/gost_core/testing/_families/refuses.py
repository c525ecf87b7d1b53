"""The clauses of what refuses: when it cannot decide, and what it tells of passwords."""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from gost_core.testing._families.lookups import Answers
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.secrets import expect_untold, overheard
from gost_core.testing._run.waiting import expect, need

__all__ = ("RIGHT", "Discreet", "Refuses")

AnswerT = TypeVar("AnswerT")
ComponentT = TypeVar("ComponentT")
QuestionT = TypeVar("QuestionT")

RIGHT: Final[str] = "gost-core-testing-right"
"""A password that is found in any text."""


class Discreet(Contract):
    """What is told passwords. Hook: ``_told`` yields errors and reprs, when one is tried."""

    def _right(self) -> str:
        """Return a right password."""
        return RIGHT

    @abstractmethod
    def _told(self, password: str, /) -> AsyncIterator[object]:
        """Try a password."""

    @clause(
        "No password, right or wrong, is in a repr, an error or a log, plain or in base64.",
        "D17",
        after=(FIRST,),
    )
    async def passwords_hidden(self) -> None:
        # What is refused may be the right one, but for a slip of the finger.
        for password in (self._right(), "gost-core-testing-slip"):
            with overheard(password):
                async for told in self._told(password):
                    expect_untold(password, told, "a repr or an error")


class Refuses(Answers[ComponentT, QuestionT, AnswerT]):
    """What answers, and refuses when it cannot decide."""

    kept_for: float | None = None
    """For how many seconds it goes by answers that it was given before, as it documents; 0 if it
    asks each time."""
    elapse: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Lets so many seconds pass, at once if its clock can be moved."""

    @clause(
        "What cannot decide refuses all, also whom it let in before, once no answers are kept.",
        "D49",
        after=(FIRST, "backend_broken"),
    )
    async def refuses_all(self) -> None:
        kept_for, component = need(self.kept_for, "kept_for"), await self._ready()
        questions = await self._questions()
        for question in questions:
            await self._answer(component, question)
        await self._break(component)
        await self.elapse(kept_for)
        for question in questions:
            # An exception refuses too.
            with contextlib.suppress(OSError):
                answer = await self._answer(component, question)
                refused = answer is None or answer is False
                expect(refused, f"out of reach, {self._named(question)} let in as before")
