"""How much work a peer of an HTTP/2 session may ask for."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from typing import Final

from h2 import events

from gost_core.common import net

from .address import host_of

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

    def is_needed(self) -> bool:
        """Tell whether a session has it, or another one would be better than this."""
        return self.sessions > 0 or self._spent > OVERHEAD * (time.monotonic() - self._counted)

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


class HostBudgets:
    """Gives a host one budget for all its sessions: a new session is no new budget."""

    def __init__(self) -> None:
        self._budgets = OrderedDict[str, Budget]()

    def of(self, conn: net.Conn) -> Budget:
        """Return the budget of the host that a connection is to."""
        for host in [*islice(self._budgets, 2)]:  # so what nobody needs is gone in the end
            if self._budgets[host].is_needed():
                self._budgets.move_to_end(host)
            else:
                del self._budgets[host]
        return self._budgets.setdefault(host_of(str(conn.remote_addr())), Budget())
