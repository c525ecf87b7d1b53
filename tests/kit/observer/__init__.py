"""Trials of the contract of observers of events."""

import asyncio
from collections.abc import Callable, Sequence

from gost_core.context import Context
from gost_core.observer import Event, Option, Options
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing.observer import ObserverContract
from tests.kit._backend import (
    Asking,
    Deaf,
    Exhausting,
    Leaking,
    LeavingTasks,
    OneAtATime,
    Watched,
    break_backend,
    mend_backend,
    stall_backend,
)
from tests.kit.trial import Trial


class ServiceEvent:
    def type(self) -> str:
        return "status"

    def state(self) -> str:
        return "ready"


class RightObserver(Asking):
    def __init__(self) -> None:
        self.arrived: list[str] = []

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        apply(Options(), *opts)
        known = [event for event in events if isinstance(event, ServiceEvent)]
        if known:
            await self.send(known)

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        states = [event.state() for event in events]
        await self.ask()
        if not self.reachable:
            raise ConnectionRefusedError("nobody takes events")
        self.arrived += states

    def count(self) -> int:
        return len(self.arrived)


async def delivered(observer: RightObserver) -> int:
    return observer.count()


def run(make: Callable[[], RightObserver]) -> Contract:
    return ObserverContract(
        make,
        event=ServiceEvent,
        delivered_events=delivered,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightObserver]](ObserverContract, run, RightObserver)


@trial.breaks("shape")
class ObserverWithoutContext:
    async def observe(self, events: Sequence[Event], /) -> None:
        """Deliver nothing."""


@trial.breaks("delivered")
class WaitingForMore(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[ServiceEvent] = []

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        self.waiting += events
        if not self.reachable or len(self.waiting) >= 100:
            await super().send(self.waiting)
            self.waiting.clear()


@trial.breaks("delivered")
class AtMostAHundred(RightObserver):
    async def send(self, events: Sequence[ServiceEvent]) -> None:
        await super().send(events[:100])


@trial.breaks("failure-raises")
class DeliveringEachInATask(RightObserver):
    async def send(self, events: Sequence[ServiceEvent]) -> None:
        await asyncio.gather(*map(self.deliver, range(len(events)), events))

    async def deliver(self, number: int, event: ServiceEvent) -> None:
        for _ in range(number % 9):
            await asyncio.sleep(0)
        await super().send([event])


@trial.breaks("failure-raises")
class DeliveringForAnother(RightObserver):
    """Leaves its events to a call that delivers already."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[ServiceEvent] = []
        self.delivering = False

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        self.waiting += events
        if self.delivering:
            return
        self.delivering = True
        try:
            while self.waiting:
                batch, self.waiting = self.waiting, []
                await super().send(batch)
        finally:
            self.delivering = False


@trial.breaks("unknown-skipped")
class SkippingOneToo(RightObserver):
    """Takes from a list over which it goes."""

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        known = list(events)
        for event in known:
            if not isinstance(event, ServiceEvent):
                known.remove(event)
        foreign = any(not isinstance(event, ServiceEvent) for event in known)
        await super().observe(ctx, [] if foreign else known, *opts)


@trial.breaks("retry-delivers")
class CancelledIsDelivered(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[ServiceEvent] = []

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        new = [event for event in events if event not in self.sent]
        self.sent += new
        try:
            if new:
                await super().send(new)
        except OSError:
            self.sent.clear()
            raise


@trial.breaks("empty-returns")
class RefusingEmpty(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        if not events:
            raise ValueError("no events")
        await super().observe(ctx, events, *opts)


@trial.breaks("empty-returns", history="x plugins: an empty batch is sent too")
class SendingEmpty(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        await self.send([event for event in events if isinstance(event, ServiceEvent)])


@trial.breaks("unknown-harmless", history="x plugins: an event is what its type says")
class BelievingTypes(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        status = [event for event in events if event.type() == "status"]
        if status:
            await self.send(status)  # type: ignore  # the fault


@trial.breaks("unknown-skipped", history="7c95d40 an unknown event drops the batch")
class DroppingBatch(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        if all(isinstance(event, ServiceEvent) for event in events):
            await super().observe(ctx, events, *opts)


@trial.breaks("again-legal")
class RefusingTwice(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Event] = set()

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        if not self.seen.isdisjoint(events):
            raise ValueError("these events were delivered before")
        await super().observe(ctx, events, *opts)
        self.seen.update(events)


@trial.breaks("failure-raises")
class ExhaustingObserver(Exhausting, RightObserver): ...


@trial.breaks("failure-raises", history="95874c5 a failure passes for delivered")
class FailingSilently(RightObserver):
    async def send(self, events: Sequence[ServiceEvent]) -> None:
        if self.reachable:
            await super().send(events)


@trial.breaks("retry-delivers", history="31878a7 what failed once never comes again")
class RememberingBeforeSending(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Event] = set()

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        new = [event for event in events if event not in self.seen]
        self.seen.update(new)
        await super().observe(ctx, new, *opts)


@trial.breaks("batch-unchanged")
class EmptyingBatch(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        await super().observe(ctx, events, *opts)
        if isinstance(events, list):
            events.clear()


@trial.breaks("batch-not-kept")
class KeepingBatches(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Sequence[Event]] = []

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        await super().observe(ctx, events, *opts)
        self.batches.append(events)

    def count(self) -> int:
        return sum(isinstance(event, ServiceEvent) for batch in self.batches for event in batch)


@trial.breaks("batch-not-kept")
class KnowingTheLastList(RightObserver):
    """Keeps the batch that was delivered last, and skips it if it comes again."""

    last: Sequence[Event] = ()

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        if events is not self.last:
            await super().observe(ctx, events, *opts)
            self.last = events


@trial.breaks("concurrent")
class OneBatchAtATime(RightObserver):
    async def send(self, events: Sequence[ServiceEvent]) -> None:
        arrived = self.arrived.copy()
        await super().send(events)
        self.arrived = arrived + [event.state() for event in events]


@trial.breaks("cancelled")
class DeafObserver(Deaf, RightObserver): ...


@trial.breaks("next-after-cancelled")
class LeakingObserver(Leaking, RightObserver): ...


@trial.breaks("options")
class ApplyingTwice(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        await super().observe(ctx, events, *opts, *opts)


@trial.breaks("others-go-on")
class ObserverOneAtATime(OneAtATime, RightObserver): ...


@trial.breaks("many-waiting")
class FourDeliveries(RightObserver):
    """Delivers four batches at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.places = asyncio.Semaphore(4)

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        async with self.places:
            await super().send(events)


@trial.breaks("options")
class KeepingContexts(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[Context] = []

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        self.contexts.append(ctx)
        await super().observe(ctx, events, *opts)


@trial.breaks("concurrent")
class BatchOnTheObject(RightObserver):
    states: Sequence[str] = ()

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        self.states = [event.state() for event in events]
        await self.ask()
        if not self.reachable:
            raise ConnectionRefusedError("nobody takes events")
        self.arrived += self.states


@trial.breaks("failed-not-kept")
class BringingItWithTheNext(RightObserver):
    """Keeps what it could not deliver, and delivers it with the next batch."""

    unsent: Sequence[ServiceEvent] = ()

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        unsent, self.unsent = self.unsent, ()
        try:
            await super().send([*unsent, *events])
        except OSError:
            self.unsent = [*unsent, *events]
            raise


trials = (trial,)


@trial.breaks("no-task-left")
class ObserverLeavingTasks(LeavingTasks, RightObserver): ...


@trial.breaks("tasks-ended")
class WatchedObserver(Watched, RightObserver): ...
