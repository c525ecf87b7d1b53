"""The contract of observers of events."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import final

from typing_extensions import TypeVar

from gost_core.context import Context
from gost_core.observer import Event, EventType, Observer, Options
from gost_core.testing._families.calls import Methods, OneWaiting
from gost_core.testing._families.options import AnyOption, TakesOptions, lend_contexts
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    all_within,
    ended,
    expect,
    given,
    leaving_no_task,
    need,
    raises,
    settle,
    start,
    turns,
    within,
)

__all__ = ("ObserverContract",)

ObserverT = TypeVar("ObserverT", bound=Observer, default=Observer)


class ObserverContract(
    OneWaiting[ObserverT],
    TakesOptions,
    interface=Observer,
    first=("again_legal",),
    said={
        "options": (
            "Any callable may be an option of observe(); each is applied once, in order. The "
            "context is not kept.",
            "D23, D69",
        )
    },
):
    """What an observer of events promises."""

    make: Callable[[], ObserverT] = field(kw_only=False)
    """Makes an observer that has delivered nothing. It is closed at the end, if it is a Closer."""
    event: Callable[[], Event]
    """Makes an event that the observer understands, a new one each time."""
    delivered_events: Callable[[ObserverT], Awaitable[int]] | None = None
    """Tells how many events have arrived where an observer delivers."""
    break_backend: Callable[[ObserverT], Awaitable[object]] | None = None
    """Makes whatever it delivers to fail."""

    _options = Options

    def _send(self, component: ObserverT) -> Awaitable[None]:
        return component.observe(Context(), [self.event()])

    def _silent(self, count: int) -> Sequence[Callable[[ObserverT], Awaitable[None]]]:
        return [self._send] * count

    async def _others(self) -> Mapping[str, Callable[[ObserverT], Awaitable[None]]]:
        return {"observe()": self._send}

    async def _methods(self, component: ObserverT) -> Methods:
        return {"observe()": partial(self._send, component)}

    async def _call_with(self, *opts: AnyOption) -> None:
        observer = self._build()
        await lend_contexts(lambda ctx: observer.observe(ctx, [self.event()], *opts), "observe()")

    async def _observe(self, observer: ObserverT, events: Sequence[Event], what: str) -> None:
        await within(observer.observe(Context(), events), what)

    async def _count(self, observer: ObserverT) -> int:
        delivered_events = need(self.delivered_events, "delivered_events")
        return await given(delivered_events(observer), "delivered_events()")

    @clause("When observe() returns, all events of the batch were delivered.", "D56")
    async def delivered(self) -> None:
        observer = self._build()
        for size in (500, 3, 1):
            batch = tuple(self.event() for _ in range(size))
            await self._observe(observer, batch, "observe()")
        count = await self._count(observer)
        expect(count == 504, f"{count} of 504 events were delivered when observe() had returned")

    @clause("An empty batch returns at once, whatever the state of the backend.", "D56")
    async def empty_returns(self) -> None:
        await self._observe(self._build(), [], "observe([])")
        if self.break_backend is not None:
            await self._observe(await self._broken(), [], "observe([]) with its backend broken")

    @clause("An event of an unknown class does not fail the batch.", "D56")
    async def unknown_harmless(self) -> None:
        observer = self._build()
        for kind in (EventType.STATUS, EventType.STATS, "gost-core-testing"):
            await self._observe(observer, [_Foreign(kind)], f"observe() of an unknown {kind} event")

    @clause(
        "Beside an event of an unknown class, the others of the batch are delivered.",
        "D56",
        after=("delivered", "unknown_harmless"),
    )
    async def unknown_skipped(self) -> None:
        observer = self._build()
        one, other = _Foreign(EventType.STATUS), _Foreign("gost-core-testing")
        batch = [one, self.event(), other, one, self.event(), self.event()]
        await self._observe(observer, batch, "observe()")
        count = await self._count(observer)
        expect(count == 3, f"{count} events were delivered of 3, which came with 3 unknown ones")

    @clause("The same batch may come again.", "D56")
    async def again_legal(self) -> None:
        observer = self._build()
        batch = [self.event(), self.event()]
        await self._observe(observer, batch, "observe()")
        await self._observe(observer, batch, "observe() of the same batch again")

    @clause("A batch that cannot be delivered raises OSError, and leaves no task.", "D20, D56")
    async def failure_raises(self) -> None:
        observer = await self._broken()
        for number in range(3):
            what, batch = f"observe() {number}, out of reach,", [self.event() for _ in range(3)]
            observing = leaving_no_task(observer.observe(Context(), batch), what)
            await raises(observing, what, OSError)
        calls = [start(observer.observe(Context(), [self.event()])) for _ in range(40)]
        for number, call in enumerate(calls):
            await raises(call, f"observe() {number} of 40 at once, out of reach,", OSError)

    @clause(
        "A batch that comes again after a failure, or after a cancelled call, is delivered.",
        "D56",
        after=("again_legal", "delivered", "failure_raises"),
    )
    async def retry_delivers(self) -> None:
        mend_backend, observer = need(self.mend_backend, "mend_backend"), await self._broken()
        batch = [self.event(), self.event()]
        failing = observer.observe(Context(), batch)
        await raises(failing, "observe() with its backend broken", OSError)
        await given(mend_backend(observer), "mend_backend()")
        await self._observe(observer, batch, "observe() of the same batch again")
        count = await self._count(observer)
        expect(count >= 2, f"{count} of 2 events were delivered when their batch came again")
        for stage in range(1, 4):
            before, batch = await self._count(observer), [self.event()]
            observing = start(observer.observe(Context(), batch))
            await turns(stage)
            observing.cancel()
            await ended(observing)
            await self._observe(observer, batch, "observe() of a batch whose call was cancelled")
            count = await self._count(observer)
            expect(count > before, "a batch that came again after a cancelled call had no effect")

    @clause("What was not delivered comes with no later batch.", "D56", after=("retry_delivers",))
    async def failed_not_kept(self) -> None:
        mend_backend, observer = need(self.mend_backend, "mend_backend"), await self._broken()
        await raises(observer.observe(Context(), [self.event()]), "observe(), broken,", OSError)
        await given(mend_backend(observer), "mend_backend()")
        await settle()
        # A part of the batch may have been delivered before it failed.
        before = await self._count(observer)
        await self._observe(observer, [self.event()], "observe() after one that had failed")
        count = await self._count(observer) - before
        expect(count == 1, f"with a batch of 1, after one that had failed, {count} were delivered")

    @clause("The batch is not changed.", "D56")
    async def batch_unchanged(self) -> None:
        events: list[Event] = [self.event(), _Foreign("gost-core-testing"), self.event()]
        batch = events.copy()
        await self._observe(self._build(), batch, "observe()")
        same = len(batch) == 3 and all(map(lambda a, b: a is b, batch, events))
        expect(same, f"observe() left {len(batch)} events in a batch of 3, or others")

    @clause(
        "The batch is not kept: what the caller does with its list later has no effect.",
        "D56",
        after=("delivered",),
    )
    async def batch_not_kept(self) -> None:
        observer = self._build()
        batch = [self.event()]
        await self._observe(observer, batch, "observe()")
        batch.append(self.event())
        await settle()
        count = await self._count(observer)
        expect(count == 1, f"{count} events were delivered after the list of 1 had grown to 2")
        batch[:] = [self.event()]
        await self._observe(observer, batch, "observe() of a list that was filled anew")
        count = await self._count(observer)
        expect(count == 2, f"{count} events were delivered of 2, each alone in the same list")

    @clause("Batches observed at once are all delivered.", "D56", after=("delivered",))
    async def concurrent(self) -> None:
        observer = self._build()
        sizes = [1 + number % 3 for number in range(20)]
        batches = ([self.event() for _ in range(size)] for size in sizes)
        observing = (observer.observe(Context(), batch) for batch in batches)
        await all_within(observing, "observe(), 20 at once")
        count, sent = await self._count(observer), sum(sizes)
        expect(count == sent, f"{count} of {sent} events were delivered, from 20 batches at once")


@final
class _Foreign(Event):
    """An event of a class that no observer knows."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def type(self) -> str:
        return self._kind
