"""The contract of what is probed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Generic

from typing_extensions import TypeVar

from gost_core.chain import ProbeResult, ProbeResultReader
from gost_core.selector import Markable, Marker
from gost_core.testing._run.attempt import Exempt
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.waiting import expect, given, need, returned, start, turns

__all__ = ("ProbeResultReaderContract",)

ReaderT = TypeVar("ReaderT", bound=ProbeResultReader, default=ProbeResultReader)


class ProbeResultReaderContract(Contract, Generic[ReaderT], interface=ProbeResultReader):
    """What something promises that is probed."""

    make: Callable[[], ReaderT] = field(kw_only=False)
    """Makes one that was not probed yet. If it is Markable, its marker is tried too."""
    probe: Callable[[ReaderT, bool], Awaitable[object]] | None = None
    """Lets one probe of it begin and end, well if the second argument is True, and with a failure
    if it is False."""

    async def _specimen(self) -> ReaderT:
        # Not owned: a node has a close() that is not awaited, and is no Closer.
        return self.make()

    async def _probed(self, *successes: bool) -> ReaderT:
        reader = self.make()
        for success in successes:
            await self._probe(reader, success)
        return reader

    async def _probe(self, reader: ReaderT, success: bool) -> None:
        await given(need(self.probe, "probe")(reader, success), "the probe")

    async def _result(self, *successes: bool) -> ProbeResult:
        """Return the result after these probes."""
        reader = await self._probed(*successes)
        return returned(reader.probe_result(), "after a probe, probe_result()")

    @clause("Before the first probe has ended, there is no result.", "D43")
    async def none_at_first(self) -> None:
        reader = self.make()
        result = reader.probe_result()
        expect(result is None, f"nothing was probed, and probe_result() returned {result}")
        probing = None if self.probe is None else start(self._probe(reader, False))
        while probing is not None and not probing.done():
            told = reader.probe_result()
            expect(not (told and told.success), f"while it failed, probe_result() returned {told}")
            await turns(1)

    @clause("After a probe that succeeds, there is a result that says so.", "D46")
    async def success_stored(self) -> None:
        result = await self._result(True)
        expect(result.success, f"the probe succeeded, and the result is {result}")
        expect(result.error == "", f"the probe succeeded, with the error {result.error!r}")

    @clause("After a probe that fails, there is a result that says so, and why.", "D46")
    async def failure_stored(self) -> None:
        result = await self._result(False)
        expect(not result.success, f"the probe failed, and the result is {result}")
        expect(result.error != "", "the probe failed, and the result has no error")

    @clause("The latest result counts.", "D43, D46", after=("success_stored", "failure_stored"))
    async def latest(self) -> None:
        for last in (True, False):
            result = await self._result(not last, last)
            right = result.success is last and bool(result.error) is not last
            expect(right, f"after probes of success {not last} and {last} the result is {result}")

    @clause("A probe that ends as the one before has a result too.", "D46", after=("latest",))
    async def latest_alike(self) -> None:
        for success in (True, False):
            reader = await self._probed(success)
            first, limit = reader.probe_result(), time.monotonic() + self.time_limit
            # The clock of the probe may be a coarser one.
            while reader.probe_result() == first:
                expect(time.monotonic() < limit, f"after more probes the result is still {first}")
                await asyncio.sleep(0.001)
                await self._probe(reader, success)

    @clause(
        "A result says how long the probe took, and when it ended.",
        "D46",
        after=("success_stored",),
    )
    async def timed(self) -> None:
        before = time.time()
        result = await self._result(True)
        after = time.time()
        # The clock of the probe may be a coarser one.
        expect(
            before - 1 <= result.timestamp <= after + 1,
            f"the probe ended at {after:.3f} at the latest, and the result's timestamp is "
            f"{result.timestamp}",
        )
        expect(
            0 <= result.latency <= after - before + 1,
            f"the probe took {after - before:.3f} s at most, and the latency is {result.latency}",
        )

    @clause("A probe that fails marks, also after another one.", "D46")
    async def failure_marks(self) -> None:
        reader = self.make()
        for number in range(4):
            before = self._marker(reader).count()
            await self._probe(reader, False)
            count = self._marker(reader).count()
            expect(count > before, f"a probe failed, and the marker went from {before} to {count}")
            if number == 1:
                # Those who use a node may reset it between two failures.
                self._marker(reader).reset()

    @clause("A probe that succeeds resets the marker.", "D46", after=("failure_marks",))
    async def success_resets(self) -> None:
        reader = await self._probed(False, True)
        for _ in range(2):
            marker = self._marker(reader)
            expect(marker.count() == 0, f"the marker counts {marker.count()}")
            # Those who use a node may mark it between two successes.
            marker.mark()
            await self._probe(reader, True)

    def _marker(self, reader: ReaderT) -> Marker:
        marker = reader.marker() if isinstance(reader, Markable) else None
        if marker is None:
            raise Exempt("it has no marker")
        return marker
