"""Closing what many may close at once."""

import asyncio
from abc import abstractmethod


class ClosedOnce:
    """Is closed in one task, which runs to its end whoever calls and is cancelled (D1)."""

    _closing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._end())
        await asyncio.shield(self._closing)

    def is_closed(self) -> bool:
        return self._closing is not None

    @abstractmethod
    async def _end(self) -> None:
        """Release everything, in bounded time; raise nothing."""
