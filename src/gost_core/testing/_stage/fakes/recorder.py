"""A recorder that keeps its records."""

from typing_extensions import Buffer

from gost_core import recorder
from gost_core.context import Context
from gost_core.testing._stage.fakes.recorded import Lent, Recorded

__all__ = ("FakeRecorder",)


class FakeRecorder(Lent, recorder.Recorder):
    """A recorder."""

    def __init__(self) -> None:
        self.records = Recorded[bytes]()

    async def record(self, ctx: Context, data: Buffer, /, *opts: recorder.RecordOption) -> None:
        """Keep the record."""
        await self.records.record(bytes(data), ctx)
