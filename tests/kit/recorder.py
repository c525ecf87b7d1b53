"""Trials of the contract of recorders."""

import asyncio
from collections.abc import Callable, Sequence

from typing_extensions import Buffer

from gost_core.context import Context
from gost_core.options import apply
from gost_core.recorder import RecordOption, RecordOptions
from gost_core.testing import Contract
from gost_core.testing.recorder import RecorderContract
from tests.kit._backend import (
    Asking,
    AskingTwo,
    Deaf,
    GivingUp,
    LeavingTasks,
    Watched,
    break_backend,
    mend_backend,
    stall_backend,
)
from tests.kit._stuck import closing_ahead, closing_undisturbed
from tests.kit.trial import Trial


class RightRecorder(Asking):
    """Writes lines to what stands for a file."""

    def __init__(self) -> None:
        self.file = bytearray()
        self.open = True
        self.lock = asyncio.Lock()

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        line = bytes(data) + b"\n"
        apply(RecordOptions(), *opts)
        async with self.lock:
            await self.write(line)

    async def write(self, line: bytes) -> None:
        await self.ask()
        if not self.reachable:
            raise OSError("no space left on device")
        self.file += line

    async def kept(self) -> Sequence[bytes]:
        return bytes(self.file).split(b"\n")[:-1]

    async def close(self) -> None:
        self.open = False


async def kept(recorder: RightRecorder) -> Sequence[bytes]:
    return await recorder.kept()


def run(make: Callable[[], RightRecorder]) -> Contract:
    return RecorderContract(
        make,
        records=kept,
        break_backend=break_backend,
        mend_backend=mend_backend,
        stall_backend=stall_backend,
        time_limit=2.0,
    )


trial = Trial[Callable[[], RightRecorder]](RecorderContract, run, RightRecorder)


@trial.breaks("shape")
class RecorderWithoutOptions(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /) -> None:  # type: ignore  # the fault
        await super().record(ctx, data)


@trial.breaks("kept-whole", history="64a16fa the rest of a short write is lost")
class LosingShortWrites(RightRecorder):
    async def write(self, line: bytes) -> None:
        await super().write(line if len(line) <= 65536 else line[:65535] + b"\n")


@trial.breaks("kept-whole")
class SkippingRepetitions(RightRecorder):
    last = b""

    async def write(self, line: bytes) -> None:
        if line != b"one\n" or line != self.last:
            await super().write(line)
        self.last = line


@trial.breaks("kept-whole")
class StrippingSpaces(RightRecorder):
    async def write(self, line: bytes) -> None:
        await super().write(line.strip(b" \n") + b"\n")


@trial.breaks("kept-whole")
class TakingTextOnly(RightRecorder):
    async def write(self, line: bytes) -> None:
        await super().write(line.decode("ascii").encode())


@trial.breaks("kept-whole")
class ReplacingWhatIsNoText(RightRecorder):
    async def write(self, line: bytes) -> None:
        await super().write(line.decode("utf-8", "replace").encode())


@trial.breaks("close-beside-silence")
class ClosingBehindTheRecord(RightRecorder):
    async def close(self) -> None:
        async with self.lock:
            await super().close()


@trial.breaks("broken-backend-raises")
class LookingForTheDisk(RightRecorder):
    """Looks for the disk once that has failed, and goes on when it is closed."""

    looking: asyncio.Task[None] | None = None

    async def write(self, line: bytes) -> None:
        try:
            await super().write(line)
        except OSError:
            if self.looking is None:
                self.looking = asyncio.create_task(asyncio.sleep(3600.0), name="the disk")
            raise


@trial.breaks("broken-backend-raises")
class WaitingForTheDisk(RightRecorder):
    async def write(self, line: bytes) -> None:
        while not self.reachable:  # noqa: ASYNC110 nothing tells
            await asyncio.sleep(0.1)
        await super().write(line)


@trial.breaks("empty-kept", history="x http recorder: an empty record is dropped")
class DroppingEmpty(RightRecorder):
    async def write(self, line: bytes) -> None:
        if line != b"\n":
            await super().write(line)


@trial.breaks("broken-backend-raises")
class WritingInTasks(RightRecorder):
    async def write(self, line: bytes) -> None:
        await asyncio.gather(super().write(line), self.ask_again())

    async def ask_again(self) -> None:
        for _ in range(10):
            await self.ask()


class WritingInParts(RightRecorder):
    async def write(self, line: bytes) -> None:
        for start in range(0, len(line), 4096):
            await super().write(line[start : start + 4096])


@trial.breaks("concurrent-whole", history="bf70f07 without a lock, records mix")
class Unlocked(WritingInParts):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        await self.write(bytes(data) + b"\n")


@trial.breaks("buffer-returned")
class KeepingBuffer(RightRecorder):
    def __init__(self) -> None:
        super().__init__()
        self.buffers: list[memoryview] = []

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        if not self.reachable:
            raise OSError("no space left on device")
        self.buffers.append(memoryview(data))

    async def kept(self) -> Sequence[bytes]:
        return [bytes(buffer) for buffer in self.buffers]


@trial.breaks("cancelled-whole", history="64a16fa a cancelled write leaves a part")
class CutByCancelling(WritingInParts):
    """Its lock keeps records apart, but not whole."""


@trial.breaks("metadata-taken")
class MappingsOnly(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        options = apply(RecordOptions(), *opts)
        if not isinstance(options.metadata, dict | None):
            raise TypeError("metadata must be a mapping")
        await super().record(ctx, data)


@trial.breaks("broken-backend-raises")
class LosingSilently(RightRecorder):
    async def write(self, line: bytes) -> None:
        if self.reachable:
            await super().write(line)


@trial.breaks("close-twice", history="64a16fa a second close fails")
class ClosingOnce(RightRecorder):
    async def close(self) -> None:
        if not self.open:
            raise OSError("bad file descriptor")
        await super().close()


trial.breaks("close-at-once")(closing_ahead(RightRecorder))
trial.breaks("close-cancelled")(closing_undisturbed(RightRecorder))


@trial.breaks("cancelled")
class DeafRecorder(Deaf, RightRecorder): ...


@trial.breaks("next-after-cancelled")
class LeakingRecorder(RightRecorder):
    """Has slots, and loses one with each call that is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = asyncio.Semaphore(15)

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        await self.slots.acquire()
        try:
            await super().record(ctx, data, *opts)
        except Exception:
            self.slots.release()
            raise
        self.slots.release()


@trial.breaks("options")
class KeepingOptions(RightRecorder):
    options = RecordOptions()

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        apply(self.options, *opts)
        await super().record(ctx, data)


@trial.breaks("backend-mended")
class RecorderGivingUp(GivingUp, RightRecorder): ...


@trial.breaks("backend-mended")
class FullOfFailures(RightRecorder):
    """Has room for sixteen records that wait, and counts those on that have failed."""

    waiting = 0

    async def write(self, line: bytes) -> None:
        if self.waiting == 16:
            raise OSError("too many records wait")
        self.waiting += 1
        try:
            await super().write(line)
        except asyncio.CancelledError:
            self.waiting -= 1
            raise
        self.waiting -= 1


@trial.breaks("cancelled-whole")
class CutWhenLong(RightRecorder):
    async def write(self, line: bytes) -> None:
        for start in range(0, len(line), 65536):
            await super().write(line[start : start + 65536])


@trial.breaks("cancelled-whole")
class CutBackToWhereItBegan(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        begin = len(self.file)
        self.file += bytes(data) + b"\n"
        try:
            await self.ask()
            if not self.reachable:
                raise OSError("no space left on device")
        except asyncio.CancelledError:
            del self.file[begin:]
            raise


@trial.breaks("concurrent-whole")
class EqualIsOnce(RightRecorder):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: set[bytes] = set()

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        line = bytes(data)
        if len(line) > 9 and line in self.waiting:
            return
        self.waiting.add(line)
        try:
            await super().record(ctx, line, *opts)
        finally:
            self.waiting.discard(line)


@trial.breaks("metadata-taken")
class AddingToMetadata(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        metadata = apply(RecordOptions(), *opts).metadata
        if isinstance(metadata, dict):
            metadata["length"] = len(bytes(data))
        await super().record(ctx, data)


@trial.breaks("broken-backend-raises")
class EmptyNeedsNoRoom(RightRecorder):
    async def write(self, line: bytes) -> None:
        if self.reachable or line != b"\n":
            await super().write(line)


@trial.breaks("broken-backend-raises")
class TellingOne(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        others = self.lock.locked()
        try:
            await super().record(ctx, data, *opts)
        except OSError:
            if not others:
                raise


@trial.breaks("buffer-returned")
class KeepingTheView(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        self.view = memoryview(data)
        await super().record(ctx, data, *opts)


@trial.breaks("buffer-returned")
class CountingItems(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        await super().record(ctx, bytes(data)[: len(memoryview(data))], *opts)


@trial.breaks("close-cancelled")
class ForgettingWhoCloses(RightRecorder):
    closing: asyncio.Future[None] | None = None

    async def close(self) -> None:
        if self.closing is not None:
            await self.closing
            return
        self.closing = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        await super().close()
        self.closing.set_result(None)


@trial.breaks("closed-tells")
class DroppingWhenClosed(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        if self.open:
            await super().record(ctx, data, *opts)


@trial.breaks("tasks-ended")
class RetryingForEver(RightRecorder):
    """Tries again in the background what failed, also after close()."""

    def __init__(self) -> None:
        super().__init__()
        self.retries: set[asyncio.Task[None]] = set()

    async def write(self, line: bytes) -> None:
        try:
            await super().write(line)
        except OSError:
            retrying = asyncio.create_task(self.retry(line), name="retry of a recorder")
            self.retries.add(retrying)
            retrying.add_done_callback(self.retries.discard)
            raise

    async def retry(self, line: bytes) -> None:
        await asyncio.sleep(5)
        await self.write(line)


trials = (trial,)


@trial.breaks("no-task-left")
class RecorderLeavingTasks(LeavingTasks, RightRecorder): ...


@trial.breaks("tasks-ended")
class WatchedRecorder(Watched, RightRecorder): ...


@trial.breaks("no-task-left")
class RecorderAskingTwo(AskingTwo, RightRecorder): ...
