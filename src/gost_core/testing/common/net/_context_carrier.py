"""The contract of connections that bring values of their own."""

from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Final, cast

from gost_core import keys
from gost_core.common.net import ContextCarrier
from gost_core.context import Context, Key
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import (
    by_task_that_ends,
    by_task_that_goes_on,
    expect,
    given,
    owned,
    settle,
)

__all__ = ("ContextCarrierContract",)

# object: the keys have types of their own, and here each value is only compared with itself.
_KEYS: Final[tuple[Key[object], ...]] = tuple(
    cast("Key[object]", value) for value in vars(keys).values() if isinstance(value, Key)
)


class ContextCarrierContract(Contract, interface=ContextCarrier):
    """What a connection promises that brings values of its own."""

    make: Callable[[], Awaitable[ContextCarrier]] = field(kw_only=False)
    """Opens such a connection, with some of the keys of :mod:`gost_core.keys` in it."""

    async def _specimen(self) -> ContextCarrier:
        return owned(await by_task_that_goes_on(self.make(), "making it"))

    @clause("context() returns a Context, or None.", "D28")
    async def context_or_none(self) -> None:
        context = (await self._specimen()).context()
        expect(_is_context_or_none(context), f"context() returned {context!r:.80}")

    @clause(
        "The values are the same each time, whatever connections come meanwhile.",
        "D28",
        after=("context_or_none",),
    )
    async def same_each_time(self) -> None:
        carrier = await self._specimen()
        first, _ = _values(carrier), await self._specimen()
        second = _values(carrier)
        expect(first == second, f"context() held {first}, and then {second}")

    @clause(
        "The values live as long as the connection, beyond the task that made it.",
        "D4",
        after=("same_each_time",),
    )
    async def outlives_its_maker(self) -> None:

        async def make() -> tuple[ContextCarrier, list[object] | None]:
            carrier = owned(await self.make())
            return carrier, _values(carrier)

        carrier, before = await given(by_task_that_ends(make(), "making it"), "making it")
        await settle()
        after = _values(carrier)
        expect(before == after, f"context() held {before}; when its maker had ended, {after}")

    @clause(
        "No TIME_LIMIT is among the values: it concerns one call, and the connection goes on.",
        "D69",
        after=("context_or_none",),
    )
    async def no_limit(self) -> None:
        context = (await self._specimen()).context()
        limit = None if context is None else context.value(keys.TIME_LIMIT)
        expect(limit is None, "context() holds the TIME_LIMIT of a call")


def _is_context_or_none(value: object) -> bool:
    return value is None or isinstance(value, Context)


def _values(carrier: ContextCarrier) -> list[object] | None:
    context = carrier.context()
    return None if context is None else [context.value(key) for key in _KEYS]
