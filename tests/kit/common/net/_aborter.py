"""Trials of the contract of connections that can be broken off."""

import asyncio
import socket
from collections.abc import Callable

from gost_core.common.net import Conn
from gost_core.testing import Contract
from gost_core.testing._stage.streams import ALL
from gost_core.testing.common.net import AborterContract
from tests.kit.common.net._sockets import SocketConn, sockets
from tests.kit.trial import Trial

TIME_LIMIT = 1.0

MakeConn = Callable[[socket.socket], Conn]


def run_aborter(make: MakeConn) -> Contract:
    async def pair() -> tuple[Conn, Conn]:
        here, there = sockets(socket.SOCK_STREAM)
        return make(here), SocketConn(there)

    return AborterContract(pair, time_limit=TIME_LIMIT)


aborter = Trial[MakeConn](AborterContract, run_aborter, SocketConn)


@aborter.breaks("shape")
class AsyncAbort(SocketConn):
    async def abort(self) -> None:  # type: ignore  # the fault
        super().abort()


@aborter.breaks("cut-shows")
class AbortAsClose(SocketConn):
    """Ends the connection at once, and as if all were well."""

    def abort(self) -> None:
        if not self.closed:
            self.end()
            self.sock.close()


@aborter.breaks("wakes-waiting")
class WakingNobody(SocketConn):
    def abort(self) -> None:
        self.reader = self.writer = None
        super().abort()


@aborter.breaks("abort-twice")
class AbortingOnce(SocketConn):
    aborted = False

    def abort(self) -> None:
        if self.aborted:
            raise OSError("the socket is closed")
        self.aborted = True
        super().abort()


@aborter.breaks("close-follows")
class ClosingInOrder(SocketConn):
    """Waits at close() until all is sent, though it was aborted."""

    aborted = False

    def abort(self) -> None:
        if not self.closed:
            self.aborted = True
            super().abort()

    async def close(self) -> None:
        if self.aborted and self.unsent:
            await asyncio.Event().wait()
        await super().close()

    unsent = False

    async def writable(self) -> None:
        self.unsent = True
        await super().writable()


@aborter.breaks("after-close")
class BreakingOffWhatWasClosed(SocketConn):
    closing: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        if not self.closed:
            self.end()
            self.closing = self.loop.call_later(0.05, self.sock.close)

    def __del__(self) -> None:
        # The loop may end before.
        self.sock.close()

    def abort(self) -> None:
        self.closed = self.closed and self.closing is None
        super().abort()


@aborter.breaks("use-after")
class GivingOutAfterAbort(SocketConn):
    """Reads ahead, and gives out what is left of that, but for what close() has dropped."""

    ahead = b""

    async def read(self, n: int, /) -> bytes:
        self.ahead = self.ahead or await super().read(ALL)
        data, self.ahead = self.ahead[:n], self.ahead[n:]
        return data

    async def close(self) -> None:
        if not self.closed:
            self.ahead = b""
            await super().close()
