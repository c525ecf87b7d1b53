"""The contract of recorders."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import field
from typing import Final

from typing_extensions import TypeVar

from gost_core.common.net import Closer
from gost_core.context import Context
from gost_core.recorder import Recorder, RecordOptions, metadata_record_option
from gost_core.testing._families.calls import Mended, Methods, Stalling
from gost_core.testing._families.closers import (
    Closers,
    closes_cut_short,
    expect_no_task_after_close,
)
from gost_core.testing._families.lent import lend_several
from gost_core.testing._families.options import AnyOption, TakesOptions
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import (
    all_within,
    closable,
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
from gost_core.testing._stage.streams import begin

__all__ = ("RecorderContract",)

RecorderT = TypeVar("RecorderT", bound=Recorder, default=Recorder)

# One letter for each record, so that a mixture shows; long enough for a write to come in parts,
# and together short enough for a queue.
_LONG: Final[int] = 70_000
_LETTERS: Final = b"ABCDEFGHIJKL"
# What is longer may be refused: no store has room for everything.
_SHORT: Final[int] = 1_000


class RecorderContract(
    Mended[RecorderT],
    Stalling[RecorderT],
    TakesOptions,
    Closers,
    interface=Recorder,
    first=("metadata_taken",),
):
    """What a recorder promises."""

    make: Callable[[], RecorderT] = field(kw_only=False)
    """Makes a recorder that has kept nothing. It is closed at the end, if it is a Closer."""
    records: Callable[[RecorderT], Awaitable[Sequence[bytes]]] | None = None
    """Reads back all that a recorder has kept, in any order. What is recorded has no control
    character, so a separator such as a newline cuts none in two; it need not be text."""
    break_backend: Callable[[RecorderT], Awaitable[object]] | None = None
    """Makes whatever keeps the records fail. Not for a recorder that queues."""

    _options = RecordOptions

    async def _methods(self, component: RecorderT) -> Methods:
        return {"record()": lambda: component.record(Context(), b"one")}

    async def _call_with(self, *opts: AnyOption) -> None:
        recorder = self._build()
        for _ in range(2):
            await recorder.record(Context(), b"one", *opts)

    async def _to_close(self) -> Closer:
        recorder = self.make()
        await self._record(recorder, b"one")
        return closable(recorder)

    async def _record(self, recorder: RecorderT, data: bytes) -> None:
        await within(recorder.record(Context(), data), f"record() of {len(data)} bytes")

    async def _longest(self) -> int:
        """Return how long a record may be."""
        try:
            await self._record(self._build(), b"x" * _LONG)
        except OSError:
            return _SHORT
        return _LONG

    async def _kept(self, recorder: RecorderT) -> list[bytes]:
        records = need(self.records, "records")
        return [bytes(one) for one in await given(records(recorder), "records()")]

    async def _expect_kept(self, recorder: RecorderT, *wanted: bytes) -> None:
        kept = await self._kept(recorder)
        expect(
            Counter(kept) == Counter(wanted),
            f"{_summary(kept)} were kept where {_summary(wanted)} had been recorded",
        )

    @clause("One record() is one record, kept whole.", "D55")
    async def kept_whole(self) -> None:
        recorder = self._build()
        records = [b"one", b" two  words ", b"one", b"one", b"x" * _SHORT, b"\xff\xc3("]
        for data in records:
            await self._record(recorder, data)
        with contextlib.suppress(OSError):
            await self._record(recorder, b"x" * _LONG)
            records.append(b"x" * _LONG)
        await self._expect_kept(recorder, *records)
        # Any byte may be in a record; this one may not fit what reads them back.
        await self._record(self._build(), b"\0\n")

    @clause('b"" is a record too.', "D55", after=("kept_whole",))
    async def empty_kept(self) -> None:
        recorder = self._build()
        await self._record(recorder, b"")
        await self._record(recorder, b"one")
        await self._expect_kept(recorder, b"", b"one")

    @clause(
        "Records made at once are kept each for itself, never mixed.", "D55", after=("kept_whole",)
    )
    async def concurrent_whole(self) -> None:
        recorder, length = self._build(), await self._longest()
        # Neither of two equal ones stands for the other.
        records = [bytes([letter]) * length for letter in _LETTERS[:1] + _LETTERS]
        recording = (recorder.record(Context(), data) for data in records)
        await all_within(recording, f"record(), {len(records)} at once")
        await self._expect_kept(recorder, *records)

    @clause(
        "Any buffer is taken, and is the caller's again when record() has returned.",
        "D55",
        after=("concurrent_whole", "kept_whole"),
    )
    async def buffer_returned(self) -> None:
        recorder, longest = self._build(), await self._longest()
        lent = await lend_several(
            lambda _, data: recorder.record(Context(), data), "record()", longest
        )
        await self._expect_kept(recorder, *lent)

    @clause(
        "A cancelled record() leaves the record whole or not at all, and the others alone.",
        "D55",
        after=("concurrent_whole", "kept_whole"),
    )
    async def cancelled_whole(self) -> None:
        recorder, length = self._build(), await self._longest()
        records = [bytes([letter]) * length for letter in _LETTERS]
        for after, data in enumerate(records):
            recording = start(recorder.record(Context(), data))
            beside = start(recorder.record(Context(), b"beside"))
            await turns(after)
            recording.cancel()
            await ended(recording)
            expect(recording.done(), "a cancelled record() did not end")
            await given(beside, "record() beside a cancelled one")
        await self._record(recorder, b"last")
        kept, others = Counter(await self._kept(recorder)), [b"beside"] * len(records)
        expect(
            kept <= Counter((*records, *others, b"last")),
            f"{_summary(kept.elements())} were kept of cancelled records of {length} bytes",
        )
        lost = len(others) - kept[b"beside"]
        expect(not lost, f"{lost} records were lost that were made beside cancelled ones")
        expect(kept[b"last"] == 1, "a record that was made after cancelled ones was not kept")

    @clause("Metadata of any kind that JSON can hold is taken, None included.", "D23, D55")
    async def metadata_taken(self) -> None:
        recorder = self._build()
        for metadata in (None, True, 1, "text", [1, "two"], {"key": {"inner": None}}):
            before = repr(metadata)
            recording = recorder.record(Context(), b"one", metadata_record_option(metadata))
            await within(recording, f"record() with the metadata {before}")
            expect(repr(metadata) == before, f"the metadata {before} became {metadata!r}")

    @clause(
        "A record that cannot be kept raises OSError, and leaves no task behind.",
        "D20, D55",
        after=("empty_kept", "tasks_ended"),
    )
    async def broken_backend_raises(self) -> None:
        recorder, what = await self._broken(), "record() with its backend broken"
        before = asyncio.all_tasks()
        for _ in range(3):
            calls = [recorder.record(Context(), data) for data in (b"one", b"", b"two")]
            for one in [start(leaving_no_task(call, what)) for call in calls]:
                await raises(one, what, OSError)
        # The recorder's own tasks end with it.
        if isinstance(recorder, Closer):
            await within(recorder.close(), "close()")
            await expect_no_task_after_close(before)

    @clause(
        "A cancelled close() ends as cancelled, and the next one ends too.",
        "D1, D19",
        after=("close_twice",),
    )
    async def close_cancelled(self) -> None:
        async def recording() -> tuple[Closer, Callable[[], Awaitable[object]]]:
            return await self._to_close(), settle

        await closes_cut_short(recording)

    @clause(
        "close() waits for no backend that is silent to a record.", "D1", after=("close_twice",)
    )
    async def close_beside_silence(self) -> None:
        stall_backend, recorder = need(self.stall_backend, "stall_backend"), self._build()
        await self._record(recorder, b"one")
        await given(stall_backend(recorder), "stall_backend()")
        await begin(recorder.record(Context(), b"two"))
        await within(closable(recorder).close(), "close() beside a record that waits")

    @clause(
        "A record made after close() is kept, or raises OSError.",
        "D55",
        after=("close_twice", "kept_whole"),
    )
    async def closed_tells(self) -> None:
        recorder = self.make()
        await within(closable(recorder).close(), "close()")
        try:
            await self._record(recorder, b"late")
        except OSError:
            return
        await self._expect_kept(recorder, b"late")


def _summary(records: Iterable[bytes]) -> str:
    """Name records by what they begin with and their length."""
    return ", ".join(f"{bytes(one[:8])!r}[{len(one)}]" for one in records) or "none"
