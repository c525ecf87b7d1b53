"""Faults of what a call leaves behind that failed."""

import asyncio
from typing import Any


def stuck(right: Any, method: str) -> Any:
    """Return a class whose calls hang once one has failed, as if that had kept a lock."""

    async def call(self: Any, *args: Any, **options: Any) -> Any:
        if self.is_stuck:
            await asyncio.Event().wait()
        try:
            return await getattr(right, method)(self, *args, **options)
        except ConnectionResetError:
            self.is_stuck = True
            raise

    return type("Stuck", (right,), {"is_stuck": False, method: call})
