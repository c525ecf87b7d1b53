"""Trials of the checks of counters, recorders, rewriters and observers of events."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

from typing_extensions import Buffer

from gost_core.context import Context
from gost_core.observer import Event, Option
from gost_core.observer.stats import Kind, Stats
from gost_core.options import apply
from gost_core.recorder import RecordOption, RecordOptions
from gost_core.rewriter import RewriteOption, RewriteOptions, Rewriter
from gost_core.testing import Report
from gost_core.testing.observer import ObserverContract
from gost_core.testing.observer.stats import StatsContract
from gost_core.testing.recorder import RecorderContract
from gost_core.testing.rewriter import RewriterContract
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


# ---- observer.stats.Stats


class RightStats:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values = dict.fromkeys(Kind, 0)
        self.marked = False

    def add(self, kind: Kind, n: int, /) -> None:
        with self.lock:
            if kind in self.values:
                self.values[kind] += n
                self.marked = True

    def get(self, kind: Kind, /) -> int:
        return self.values.get(kind, 0)

    def is_updated(self) -> bool:
        with self.lock:
            marked, self.marked = self.marked, False
        return marked

    def reset(self) -> None:
        with self.lock:
            self.values = dict.fromkeys(Kind, 0)
            self.marked = False


def run_stats(make: Callable[[], Stats]) -> Coroutine[object, object, Report]:
    return StatsContract(make, time_limit=TIME_LIMIT).run()


stats = Trial[Callable[[], Stats]](StatsContract, run_stats, RightStats)


@stats.breaks("shape")
class UpdatedProperty(RightStats):
    @property
    def is_updated(self) -> bool:  # type: ignore  # the fault
        return self.marked


@stats.breaks("starts-at-zero")
class UpdatedAtFirst(RightStats):
    def __init__(self) -> None:
        super().__init__()
        self.marked = True


@stats.breaks("counts")
class OneCountForBytes(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        super().add(Kind.INPUT_BYTES if kind is Kind.OUTPUT_BYTES else kind, n)


@stats.breaks("get-keeps", history="x stats: with resetTraffic, reading takes the bytes away")
class TakenByReading(RightStats):
    def get(self, kind: Kind, /) -> int:
        value = super().get(kind)
        if kind in (Kind.INPUT_BYTES, Kind.OUTPUT_BYTES):
            self.values[kind] = 0
        return value


@stats.breaks("current-falls")
class NeverFalling(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        super().add(kind, max(n, 0))


@stats.breaks("unknown-ignored")
class UnknownKindRaises(RightStats):
    def get(self, kind: Kind, /) -> int:
        return self.values[kind]


@stats.breaks("updated")
class ErrorsUnmarked(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        marked = self.marked
        super().add(kind, n)
        if kind is Kind.TOTAL_ERRS:
            self.marked = marked


@stats.breaks("asking-clears")
class MarkedUntilReset(RightStats):
    def is_updated(self) -> bool:
        return self.marked


@stats.breaks("get-leaves-mark")
class UnmarkedByReading(RightStats):
    def get(self, kind: Kind, /) -> int:
        self.marked = False
        return super().get(kind)


@stats.breaks("reset-zeroes")
class KeepingCurrent(RightStats):
    def reset(self) -> None:
        current = self.values[Kind.CURRENT_CONNS]
        super().reset()
        self.values[Kind.CURRENT_CONNS] = current


@stats.breaks("reset-clears")
class MarkedByReset(RightStats):
    def reset(self) -> None:
        super().reset()
        self.marked = True


@stats.breaks("threads")
class UnlockedStats(RightStats):
    def add(self, kind: Kind, n: int, /) -> None:
        if kind in self.values:
            value = self.values[kind]
            time.sleep(0)
            self.values[kind] = value + n
            self.marked = True


# ---- recorder.Recorder


class RightRecorder:
    """Writes lines to what stands for a file."""

    def __init__(self) -> None:
        self.file = bytearray()
        self.writable = True
        self.open = True
        self.lock = asyncio.Lock()

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        line = bytes(data) + b"\n"
        apply(RecordOptions(), *opts)
        async with self.lock:
            await self.write(line)

    async def write(self, line: bytes) -> None:
        await asyncio.sleep(0)
        if not self.writable:
            raise OSError("no space left on device")
        self.file += line

    async def kept(self) -> Sequence[bytes]:
        return bytes(self.file).split(b"\n")[:-1]

    async def close(self) -> None:
        self.open = False


async def kept(recorder: RightRecorder) -> Sequence[bytes]:
    return await recorder.kept()


async def fill_disk(recorder: RightRecorder) -> None:
    recorder.writable = False


def run_recorders(make: Callable[[], RightRecorder]) -> Coroutine[object, object, Report]:
    return RecorderContract(
        make, records=kept, break_backend=fill_disk, time_limit=TIME_LIMIT
    ).run()


recorders = Trial[Callable[[], RightRecorder]](RecorderContract, run_recorders, RightRecorder)


@recorders.breaks("shape")
class RecorderWithoutOptions(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /) -> None:  # type: ignore  # the fault
        await super().record(ctx, data)


@recorders.breaks("kept-whole", history="64a16fa the rest of a short write is lost")
class LosingShortWrites(RightRecorder):
    async def write(self, line: bytes) -> None:
        await super().write(line if len(line) <= 65536 else line[:65535] + b"\n")


@recorders.breaks("empty-kept", history="x http recorder: an empty record is dropped")
class DroppingEmpty(RightRecorder):
    async def write(self, line: bytes) -> None:
        if line != b"\n":
            await super().write(line)


class WritingInParts(RightRecorder):
    async def write(self, line: bytes) -> None:
        for start in range(0, len(line), 4096):
            await super().write(line[start : start + 4096])


@recorders.breaks("concurrent-whole", history="bf70f07 without a lock, records mix")
class Unlocked(WritingInParts):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        await asyncio.shield(self.write(bytes(data) + b"\n"))


@recorders.breaks("buffer-returned")
class KeepingBuffer(RightRecorder):
    def __init__(self) -> None:
        super().__init__()
        self.buffers: list[memoryview] = []

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        if not self.writable:
            raise OSError("no space left on device")
        self.buffers.append(memoryview(data))

    async def kept(self) -> Sequence[bytes]:
        return [bytes(buffer) for buffer in self.buffers]


@recorders.breaks("cancelled-whole", history="64a16fa a cancelled write leaves a part")
class CutByCancelling(WritingInParts):
    """Its lock keeps records apart, but not whole."""


@recorders.breaks("metadata-taken")
class MappingsOnly(RightRecorder):
    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        options = apply(RecordOptions(), *opts)
        if not isinstance(options.metadata, dict | None):
            raise TypeError("metadata must be a mapping")
        await super().record(ctx, data)


@recorders.breaks("broken-backend-raises")
class LosingSilently(RightRecorder):
    async def write(self, line: bytes) -> None:
        if self.writable:
            await super().write(line)


@recorders.breaks("close-twice", history="64a16fa a second close fails")
class ClosingOnce(RightRecorder):
    async def close(self) -> None:
        if not self.open:
            raise OSError("bad file descriptor")
        await super().close()


# ---- rewriter.Rewriter

SAMPLES: Final[dict[bytes, bytes]] = {
    b"a black cat": b"a black dog",
    b"no animal at all": b"no animal at all",
    b"cat, cat": b"dog, dog",
}


class RightRewriter:
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        if data is None:
            return b""
        body = bytes(data)
        await asyncio.sleep(0)
        return body.replace(b"cat", b"dog")


def run_rewriters(make: Callable[[], Rewriter]) -> Coroutine[object, object, Report]:
    return RewriterContract(make, samples=SAMPLES, time_limit=TIME_LIMIT).run()


rewriters = Trial[Callable[[], Rewriter]](RewriterContract, run_rewriters, RightRewriter)


@rewriters.breaks("shape")
class SyncRewriter:
    def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        return bytes(data or b"")


@rewriters.breaks("rewritten", history="x rewriter plugins: a failure leaves the body unchanged")
class Unchanged(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        return bytes(data or b"")


@rewriters.breaks("empty-legal", history="x grpc rewriter: no answer for an empty body")
class NothingForEmpty(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        result = await super().rewrite(ctx, data, *opts)
        return result if result or data is None else None  # type: ignore  # the fault


@rewriters.breaks("end-legal", history="3193eeb the end is matched like a body")
class MatchingTheEnd(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        body = bytes(data)  # type: ignore  # the fault
        return await super().rewrite(ctx, body, *opts)


@rewriters.breaks("next-stream")
class EndedForGood(RightRewriter):
    ended = False

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.ended = self.ended or data is None
        return b"" if self.ended else await super().rewrite(ctx, data, *opts)


@rewriters.breaks("input-unchanged")
class RewritingInPlace(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        result = await super().rewrite(ctx, data, *opts)
        if data is not None and not memoryview(data).readonly:
            memoryview(data)[:] = result
        return result


@rewriters.breaks("streams-apart")
class OneBufferForAll(RightRewriter):
    body = b""

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.body = bytes(data or b"")
        await asyncio.sleep(0)
        return self.body.replace(b"cat", b"dog")


@rewriters.breaks("unknown-metadata-ignored")
class AddressedOnly(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        metadata = apply(RewriteOptions(), *opts).metadata
        if isinstance(metadata, dict) and "uri" not in metadata:
            return bytes(data or b"")
        return await super().rewrite(ctx, data)


# ---- observer.Observer


class ServiceEvent:
    def type(self) -> str:
        return "status"

    def state(self) -> str:
        return "ready"


class RightObserver:
    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.reachable = True

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        known = [event for event in events if isinstance(event, ServiceEvent)]
        if known:
            await self.send(known)

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        states = [event.state() for event in events]
        await asyncio.sleep(0)
        if not self.reachable:
            raise ConnectionRefusedError("nobody takes events")
        self.arrived += states

    def count(self) -> int:
        return len(self.arrived)


async def delivered(observer: RightObserver) -> int:
    return observer.count()


async def break_observer(observer: RightObserver) -> None:
    observer.reachable = False


async def mend_observer(observer: RightObserver) -> None:
    observer.reachable = True


def run_observers(make: Callable[[], RightObserver]) -> Coroutine[object, object, Report]:
    return ObserverContract(
        make,
        ServiceEvent,
        delivered=delivered,
        break_backend=break_observer,
        mend_backend=mend_observer,
        time_limit=TIME_LIMIT,
    ).run()


observers = Trial[Callable[[], RightObserver]](ObserverContract, run_observers, RightObserver)


@observers.breaks("shape")
class ObserverWithoutContext:
    async def observe(self, events: Sequence[Event], /) -> None:
        """Deliver nothing."""


@observers.breaks("delivered")
class WaitingForMore(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[ServiceEvent] = []

    async def send(self, events: Sequence[ServiceEvent]) -> None:
        self.waiting += events
        if not self.reachable or len(self.waiting) >= 100:
            await super().send(self.waiting)
            self.waiting.clear()


@observers.breaks("empty-returns")
class RefusingEmpty(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        if not events:
            raise ValueError("no events")
        await super().observe(ctx, events, *opts)


@observers.breaks("empty-returns", history="x plugins: an empty batch is sent too")
class SendingEmpty(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        await self.send([event for event in events if isinstance(event, ServiceEvent)])


@observers.breaks("unknown-harmless", history="x plugins: an event is what its type says")
class BelievingTypes(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        status = [event for event in events if event.type() == "status"]
        if status:
            await self.send(status)  # type: ignore  # the fault


@observers.breaks("unknown-skipped", history="7c95d40 an unknown event drops the batch")
class DroppingBatch(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        if all(isinstance(event, ServiceEvent) for event in events):
            await super().observe(ctx, events, *opts)


@observers.breaks("again-legal")
class RefusingTwice(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Event] = set()

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        if not self.seen.isdisjoint(events):
            raise ValueError("these events were delivered before")
        await super().observe(ctx, events, *opts)
        self.seen.update(events)


@observers.breaks("failure-raises", history="95874c5 a failure passes for delivered")
class FailingSilently(RightObserver):
    async def send(self, events: Sequence[ServiceEvent]) -> None:
        if self.reachable:
            await super().send(events)


@observers.breaks("retry-delivers", history="31878a7 what failed once never comes again")
class RememberingBeforeSending(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Event] = set()

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        new = [event for event in events if event not in self.seen]
        self.seen.update(new)
        await super().observe(ctx, new, *opts)


@observers.breaks("batch-unchanged")
class EmptyingBatch(RightObserver):
    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        await super().observe(ctx, events, *opts)
        if isinstance(events, list):
            events.clear()


@observers.breaks("batch-not-kept")
class KeepingBatches(RightObserver):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Sequence[Event]] = []

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        await super().observe(ctx, events, *opts)
        self.batches.append(events)

    def count(self) -> int:
        return sum(isinstance(event, ServiceEvent) for batch in self.batches for event in batch)


@observers.breaks("concurrent")
class OneBatchAtATime(RightObserver):
    async def send(self, events: Sequence[ServiceEvent]) -> None:
        arrived = self.arrived.copy()
        await super().send(events)
        self.arrived = arrived + [event.state() for event in events]


trials = (stats, recorders, rewriters, observers)
