"""How much work a peer of an HTTP/2 session may ask for."""

import time
from collections.abc import Iterable
from typing import Final

from h2 import events

# What frames cost is in their heads and fields, whatever they carry. So many bytes of these a peer
# may send in a second, and so many at once; what is carried, in either direction, pays for more.
OVERHEAD: Final = 64 * 1024
BURST: Final = 96 * 1024
CARRIED: Final = 16  # bytes that pay for one
LEAST: Final = 32  # bytes that each frame counts for, however short
NEWCOMER: Final = 100  # bytes that a new stream counts for
PATIENCE: Final = 5.0  # seconds that a peer is made to wait in all, before it has to go


class Budget:
    """Slows down a peer that asks for much and carries little."""

    def __init__(self) -> None:
        self.sessions = 0  # that go by it
        self._spent = 0.0
        self._waited = 0.0
        self._counted = time.monotonic()

    def is_full(self) -> bool:
        """Tell whether no session has it, and another one would be no better."""
        paid = OVERHEAD * (time.monotonic() - self._counted)
        return not self.sessions and self._spent <= paid

    def carry(self, size: int) -> None:
        """Take note of bytes for the peer: it has to say that there is room again."""
        self._spent -= size / CARRIED

    def spend(self, received: int, happened: Iterable[events.Event]) -> float | None:
        """Take note of bytes from the peer; return the seconds to wait, None = for too long."""
        carried = extra = 0
        for event in happened:
            size = len(event.data) if isinstance(event, events.DataReceived) else 0
            carried += size
            extra += NEWCOMER if isinstance(event, events.RequestReceived) else max(LEAST - size, 0)
        now = time.monotonic()
        paid = carried + carried / CARRIED + OVERHEAD * (now - self._counted)
        self._spent = max(self._spent + received + extra - paid, 0.0)
        self._counted = now
        if not self._spent:
            self._waited = 0.0
        pause = max(self._spent - BURST, 0.0) / OVERHEAD
        self._waited += pause
        return pause if self._waited <= PATIENCE else None
