"""What right implementations ask, and what goes wrong while they wait for it."""

import asyncio
import contextlib
from collections import deque
from typing import Any


class Asking:
    """Asks a backend, which can be out of reach, and silent once."""

    reachable = True
    silent = False

    async def ask(self) -> None:
        await asyncio.sleep(0)
        if self.silent:
            self.silent = False
            await asyncio.Event().wait()


async def break_backend(asking: Asking) -> None:
    asking.reachable = False


async def mend_backend(asking: Asking) -> None:
    asking.reachable = True


async def stall_backend(asking: Asking) -> None:
    asking.silent = True


class Deaf(Asking):
    """Asks again when it is cancelled."""

    async def ask(self) -> None:
        try:
            await super().ask()
        except asyncio.CancelledError:
            await super().ask()


class Leaking(Asking):
    """Has ten slots, and loses one with each call that is cancelled."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.slots = asyncio.Semaphore(10)

    async def ask(self) -> None:
        await self.slots.acquire()
        try:
            await super().ask()
        except Exception:
            self.slots.release()
            raise
        self.slots.release()


class Impatient(Asking):
    """Goes on without an answer after a second."""

    async def ask(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await super().ask()
                return
        self.late()

    def late(self) -> None: ...


class Exhausting(Asking):
    """Has ten slots, and loses one with each call that fails."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.slots = asyncio.Semaphore(10)

    async def ask(self) -> None:
        if not self.reachable:
            await self.slots.acquire()
        await super().ask()


class OneAtATime(Asking):
    """Holds a lock while it asks."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.lock = asyncio.Lock()

    async def ask(self) -> None:
        async with self.lock:
            await super().ask()


class AFewAtATime(Asking):
    """Asks eight questions at a time, of which some may wait for long."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.places = asyncio.Semaphore(8)

    async def ask(self) -> None:
        async with self.places:
            await super().ask()


class LeavingTasks(Asking):
    """Asks in a task that goes on when the call is cancelled."""

    async def ask(self) -> None:
        await asyncio.shield(asyncio.ensure_future(super().ask()))


class Watched(Asking):
    """Has a task with a name watch each question, which is ended only after an answer."""

    async def ask(self) -> None:
        watch = asyncio.create_task(asyncio.sleep(30.0), name="watch")
        await super().ask()
        watch.cancel()


class AskingTwo(Asking):
    """Asks two at once; when one fails, the question to the other is left."""

    async def ask(self) -> None:
        await asyncio.gather(super().ask(), self.ask_other())

    async def ask_other(self) -> None:
        await asyncio.sleep(0)
        if not self.reachable:
            raise ConnectionRefusedError("it was out of reach")


class GivingUp(Asking):
    """Asks nobody any more once that has failed."""

    gave_up = False

    async def ask(self) -> None:
        await super().ask()
        self.gave_up = self.gave_up or not self.reachable
        if self.gave_up:
            raise ConnectionRefusedError("it was out of reach")


class Breaking(Asking):
    """Asks nobody any more once that has failed three times."""

    failures = 0

    async def ask(self) -> None:
        await super().ask()
        self.failures += not self.reachable
        if self.failures >= 3:
            raise ConnectionRefusedError("it was out of reach")


def remembering(right: Any, method: str) -> Any:
    """Return a class that keeps what its last calls were given."""

    async def call(self: Any, *args: Any) -> Any:
        self.__dict__.setdefault("calls", deque[Any](maxlen=64)).append(args)
        return await getattr(right, method)(self, *args)

    return type("Remembering", (right,), {method: call})


def remembering_each(right: Any, method: str) -> Any:
    """Return a class that keeps the context of the last call about each target."""

    async def call(self: Any, ctx: Any, *args: Any) -> Any:
        self.__dict__.setdefault("last", {})[args[-1]] = ctx
        return await getattr(right, method)(self, ctx, *args)

    return type("RememberingEach", (right,), {method: call})
