"""Trials of the contract of what must be closed."""

import asyncio
from collections.abc import Awaitable, Callable

from gost_core.common.net import (
    ClosedError,
    Closer,
)
from gost_core.testing import Contract
from gost_core.testing.common.net import (
    CloserContract,
)
from tests.kit._stuck import closing_for_all, closing_undisturbed
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


class RightComponent(Closer):
    """Something with a background task, calls that wait, and something to release."""

    def __init__(self) -> None:
        self.held = True
        self.closing = asyncio.Event()
        self.working = asyncio.create_task(self.work())

    async def work(self) -> None:
        await asyncio.Event().wait()

    async def wait(self) -> None:
        await self.closing.wait()
        raise ClosedError("this component was closed")

    async def call(self, back: Callable[[], Awaitable[None]]) -> None:
        await back()

    async def close(self) -> None:
        self.release()
        await asyncio.wait({self.working})

    def release(self) -> None:
        self.held = False
        self.closing.set()
        self.working.cancel()


def run_closer(make: type[RightComponent]) -> Contract:
    async def made() -> RightComponent:
        return make()

    return CloserContract(
        made,
        wait=lambda component: component.wait(),
        call_back=lambda component, back: component.call(back),
        is_free=lambda component: not component.held,
        time_limit=TIME_LIMIT,
    )


closer = Trial[type[RightComponent]](CloserContract, run_closer, RightComponent)


@closer.breaks("shape", history="x chain.Node: close is not awaited, and looks like a Closer's")
class SyncClose(RightComponent):
    def close(self) -> None:  # type: ignore  # the fault
        self.release()


@closer.breaks("closes")
class ReportingFaults(RightComponent):
    async def close(self) -> None:
        await super().close()
        raise OSError("the session had gone")


@closer.breaks("releases", history="x masque: closing closes nothing")
class KeepingWhatItHeld(RightComponent):
    async def close(self) -> None:
        await super().close()
        self.held = True


@closer.breaks("no-task-left", history="3cd4fad 50f4a6b 6248d4c probes outlive close")
class WorkingOn(RightComponent):
    async def close(self) -> None:
        self.held = False
        self.closing.set()


@closer.breaks("twice", history="#779 007ff0b a65b7a0 a channel is closed twice")
class ClosableOnce(RightComponent):
    async def close(self) -> None:
        if not self.held:
            raise ClosedError("this component was closed")
        await super().close()


@closer.breaks("at-once")
class ClosedAhead(RightComponent):
    begun = False
    contended = False

    async def close(self) -> None:
        if self.begun:
            self.contended = True
            return
        self.begun = True
        self.release()
        await asyncio.sleep(0)
        await asyncio.sleep(0.5 if self.contended else 0)
        await super().close()


@closer.breaks("cancelled")
class ReleasingLast(RightComponent):
    async def close(self) -> None:
        self.working.cancel()
        await asyncio.sleep(0.001)
        await super().close()


closer.breaks("cancelled")(closing_undisturbed(RightComponent))


@closer.breaks("wakes-waiting", history="x wt: close does not wake Accept")
class LeavingWaiters(RightComponent):
    async def wait(self) -> None:
        await asyncio.Event().wait()


@closer.breaks("from-inside", history="7e31834 close from inside a call locks up")
class LockedWhileCalling(RightComponent):
    def __init__(self) -> None:
        super().__init__()
        self.lock = asyncio.Lock()

    async def call(self, back: Callable[[], Awaitable[None]]) -> None:
        async with self.lock:
            await super().call(back)

    async def close(self) -> None:
        self.release()
        async with self.lock:
            await super().close()


@closer.breaks("wakes-waiting")
class ClosedByACancelledCall(RightComponent):
    async def wait(self) -> None:
        try:
            await super().wait()
        except asyncio.CancelledError:
            self.release()
            raise


@closer.breaks("cancelled")
class WakingAtTheEnd(RightComponent):
    async def close(self) -> None:
        self.held = False
        self.working.cancel()
        await asyncio.wait({self.working})
        await asyncio.sleep(0)
        self.closing.set()


@closer.breaks("cancelled")
class WaitingForACancelledClose(RightComponent):
    ended: asyncio.Event | None = None

    async def close(self) -> None:
        if self.ended is not None:
            await self.ended.wait()
            return
        self.ended = asyncio.Event()
        self.release()
        await asyncio.sleep(0)
        await asyncio.wait({self.working})
        self.ended.set()


closer.breaks("cancelled")(closing_for_all(RightComponent))


@closer.breaks("wakes-waiting")
class WaitingOnceClosed(RightComponent):
    """Wakes those who wait, and has whoever comes later wait for ever."""

    async def wait(self) -> None:
        if self.closing.is_set():
            await asyncio.Event().wait()
        await super().wait()


@closer.breaks("wakes-waiting")
class WakingOne(RightComponent):
    """Whose end is one item of a queue, so that one of those who wait gets it."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: asyncio.Queue[None] = asyncio.Queue()

    async def wait(self) -> None:
        await self.ends.get()
        raise ClosedError("this component was closed")

    def release(self) -> None:
        super().release()
        self.ends.put_nowait(None)


@closer.breaks("cancelled")
class SharingTheClose(RightComponent):
    """Whose calls of close() await one future, so that one that is cancelled cancels it."""

    over: asyncio.Future[None] | None = None

    async def close(self) -> None:
        if self.over is not None:
            return await self.over
        self.over = asyncio.get_running_loop().create_future()
        self.release()
        try:
            await asyncio.wait({self.working})
        finally:
            self.over.set_result(None)


@closer.breaks("calls-apart")
class KeepingTheCallback(RightComponent):
    """Of calls at once, each calls back the last one."""

    async def call(self, back: Callable[[], Awaitable[None]]) -> None:
        self.back = back
        await asyncio.sleep(0)
        await self.back()


@closer.breaks("no-task-left")
class BeatingOn(RightComponent):
    """Has a task beat while it calls, which goes on if the call fails."""

    async def call(self, back: Callable[[], Awaitable[None]]) -> None:
        beating = asyncio.create_task(self.work())
        await super().call(back)
        beating.cancel()
        await asyncio.wait({beating})
