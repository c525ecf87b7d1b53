"""Trials of the contract of connections that bring values."""

import asyncio
from collections.abc import Callable
from itertools import count

from gost_core import keys
from gost_core.common.net import (
    ContextCarrier,
)
from gost_core.context import Context
from gost_core.testing import Contract
from gost_core.testing.common.net import (
    ContextCarrierContract,
)
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


class RightCarrier(ContextCarrier):
    def __init__(self) -> None:
        self.values = Context().with_value(keys.CLIENT_ID, "a client")

    def context(self) -> Context | None:
        return self.values


def run_carrier(make: Callable[[], ContextCarrier]) -> Contract:
    async def made() -> ContextCarrier:
        return make()

    return ContextCarrierContract(made, time_limit=TIME_LIMIT)


carrier = Trial[Callable[[], ContextCarrier]](ContextCarrierContract, run_carrier, RightCarrier)


@carrier.breaks("shape")
class AsyncContext(RightCarrier):
    async def context(self) -> Context | None:  # type: ignore  # the fault
        return self.values


@carrier.breaks("context-or-none")
class ContextAsDict(RightCarrier):
    def context(self) -> Context | None:
        return {"client": "a client"}  # type: ignore  # the fault


@carrier.breaks("same-each-time")
class OnceOnly(RightCarrier):
    def context(self) -> Context | None:
        values, self.values = self.values, Context()
        return values


@carrier.breaks("same-each-time")
class OfTheLatest(RightCarrier):
    """Has all of its connections bring the values of the one that came last."""

    numbers = count()
    latest = Context()

    def __init__(self) -> None:
        name = f"client {next(self.numbers)}"
        OfTheLatest.latest = Context().with_value(keys.CLIENT_ID, name)

    def context(self) -> Context | None:
        return self.latest


@carrier.breaks("outlives-its-maker", history="404aaae the context ends with the request")
class EndingWithItsMaker(RightCarrier):
    def __init__(self) -> None:
        super().__init__()
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(self.forget)

    def forget(self, _: object) -> None:
        self.values = Context()


@carrier.breaks("no-limit")
class WithTheLimitOfItsHandshake(RightCarrier):
    def __init__(self) -> None:
        super().__init__()
        limit = asyncio.get_running_loop().time() + 3600.0
        self.values = self.values.with_value(keys.TIME_LIMIT, limit)
