"""The clause of calls that take options."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar, Generic, TypeAlias, TypeVar
from weakref import ref

from gost_core.context import Context
from gost_core.keys import SESSION_ID
from gost_core.testing._families.lent import kept_of
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import FIRST, Contract, clause
from gost_core.testing._run.waiting import expect, given, leaving_no_task, within

__all__ = ("AnyOption", "OptionWatch", "TakesOptions", "lend_contexts")

OptionsT = TypeVar("OptionsT")

AnyOption: TypeAlias = Callable[[object], object]
"""An option that can be applied to whatever there is."""


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

    def applied(self) -> int:
        """Return how many times any was applied."""
        return len(self._applied)

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


class TakesOptions(Contract):
    """The clause of a component that has a method with options."""

    _options: ClassVar[type[object]]
    """What the options are applied to."""

    @abstractmethod
    def _call_with(self, *opts: AnyOption) -> Awaitable[Callable[[], Awaitable[None]] | None]:
        """Make a component, and call with these options all of its methods that take any.

        Twice, if no other clause sees what one call leaves for the next. Return what uses that
        which came of the calls, if anything did.
        """

    @clause(
        "Any callable may be an option, and options are applied once each, in order, by the call, "
        "to an object of its own.",
        "D23",
        after=(FIRST,),
    )
    async def options(self) -> None:
        watch = OptionWatch(self._options)
        use = await within(self._call_with(*watch.opts()), "a call with options")
        watch.judge()
        if use is not None:
            applied = watch.applied()
            with suppress(Broken):
                await given(use(), "using what came of a call with options")
            expect(watch.applied() == applied, "an option was applied when the call was over")

        def unfit(target: object) -> None:
            raise TypeError(f"of a {type(target).__name__} I know nothing")

        with suppress(TypeError):
            what = "a call whose option raises TypeError"
            await within(leaving_no_task(self._call_with(unfit), what), what)


async def lend_contexts(call: Callable[[Context], Awaitable[object]], what: str, /) -> None:
    """Make calls, and break the clause if the context of one is kept after it and the next."""
    lent = list[ref[Context]]()
    for session in ("one", "two", "three"):
        ctx = Context().with_value(SESSION_ID, session)
        await call(ctx)
        lent.append(ref(ctx))
    kept = any(kept_of(lent)[:-1])
    expect(not kept, f"the context of {what} was kept after the call, and the next one")
