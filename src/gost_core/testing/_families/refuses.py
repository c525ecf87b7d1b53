"""The clause of what refuses when it cannot decide."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gost_core.testing._families.lookups import Answers
from gost_core.testing._run.contract import FIRST, clause
from gost_core.testing._run.waiting import expect, need

__all__ = ("Refuses",)

AnswerT = TypeVar("AnswerT")
ComponentT = TypeVar("ComponentT")
QuestionT = TypeVar("QuestionT")


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
