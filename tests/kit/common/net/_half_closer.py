"""Trials of the contract of connections that can half-close."""

import asyncio
import errno
import socket
from contextlib import suppress

from typing_extensions import Buffer

from gost_core.common.net import (
    Conn,
    UnsupportedError,
)
from gost_core.testing import Contract
from gost_core.testing.common.net import (
    HalfCloserContract,
)
from tests.kit.common.net._sockets import SocketConn, sockets, unsent
from tests.kit.trial import Trial

TIME_LIMIT = 1.0


class RightHalfCloser(SocketConn):
    """A stream that says so if what is below it cannot half-close, as a wrapper does."""

    able = True
    peer: socket.socket | None = None

    async def close(self) -> None:
        await super().close()
        if self.peer is not None:
            self.peer.close()

    async def close_write(self) -> None:
        if not self.able:
            raise UnsupportedError("the connection beneath cannot half-close")
        await super().close_write()


def run_half_closer(make: type[RightHalfCloser]) -> Contract:
    async def pair() -> tuple[Conn, Conn]:
        here, there = sockets(socket.SOCK_STREAM)
        return make(here), SocketConn(there)

    async def unable() -> Conn:
        here, there = sockets(socket.SOCK_STREAM)
        conn = make(here)
        conn.able = False
        conn.peer = there
        return conn

    return HalfCloserContract(pair, make_unable=unable, time_limit=TIME_LIMIT)


half_closer = Trial[type[RightHalfCloser]](HalfCloserContract, run_half_closer, RightHalfCloser)


@half_closer.breaks("shape")
class SyncCloseWrite(RightHalfCloser):
    def close_write(self) -> None:  # type: ignore  # the fault
        self.sock.shutdown(socket.SHUT_WR)


@half_closer.breaks("ends-stream", history="d189dc7 the end of a request is not passed on")
class SwallowingTheEnd(RightHalfCloser):
    ended = False

    async def close_write(self) -> None:
        self.check_open()
        if not self.able:
            await super().close_write()
        self.ended = True

    async def write(self, data: Buffer, /) -> None:
        if self.ended:
            raise BrokenPipeError("the outgoing stream was ended")
        await super().write(data)


@half_closer.breaks("reading-goes-on", history="db21de8 the answer is cut off at the request's end")
class EndingBoth(RightHalfCloser):
    async def close_write(self) -> None:
        await super().close_write()
        self.sock.shutdown(socket.SHUT_RD)


@half_closer.breaks("break-is-no-end")
class OverByABreak(RightHalfCloser):
    """Takes any end for the end of the exchange, once it has said all."""

    said_all = False

    async def close_write(self) -> None:
        await super().close_write()
        self.said_all = True

    async def read(self, n: int, /) -> bytes:
        try:
            return await super().read(n)
        except ConnectionResetError:
            if self.said_all:
                return b""
            raise


@half_closer.breaks("unread-kept")
class DroppingWhatHasCome(RightHalfCloser):
    async def close_write(self) -> None:
        await super().close_write()
        with suppress(BlockingIOError):
            self.sock.recv(65536)


@half_closer.breaks("close-after")
class KeepingTheOtherHalf(RightHalfCloser):
    ended = False

    async def close_write(self) -> None:
        await super().close_write()
        self.ended = True

    async def close(self) -> None:
        if self.ended and not self.closed:
            LEFT_OPEN.append(self.sock.dup())
        await super().close()

    async def linger(self) -> None:
        if not self.ended:
            await super().linger()


LEFT_OPEN: list[socket.socket] = []


@half_closer.breaks("twice")
class ResettingTheSecondTime(RightHalfCloser):
    ended = False

    async def close_write(self) -> None:
        await super().close_write()
        if self.ended:
            self.sock.shutdown(socket.SHUT_RD)
        self.ended = True


@half_closer.breaks("twice")
class PassingOnWhatTheSystemSays(RightHalfCloser):
    ended = False

    async def close_write(self) -> None:
        if not self.able:
            await super().close_write()
        self.check_open()
        if not self.ended:
            self.sock.shutdown(socket.SHUT_WR)
        self.ended = True


@half_closer.breaks("twice")
class ClosedByItsFailure(RightHalfCloser):
    async def close_write(self) -> None:
        try:
            await super().close_write()
        except BrokenPipeError:
            self.abort()
            raise


@half_closer.breaks("unsupported")
class RefusingOnce(RightHalfCloser):
    refused = False

    async def close_write(self) -> None:
        if self.able or not self.refused:
            self.refused = True
            await super().close_write()


@half_closer.breaks("twice")
class EndingOnlyOnce(RightHalfCloser):
    ended = False

    async def close_write(self) -> None:
        if self.ended:
            raise OSError(errno.ENOTCONN, "the stream has been ended")
        await super().close_write()
        self.ended = True


@half_closer.breaks("next-after-cancelled")
class EndingAtFirstOnly(RightHalfCloser):
    begun = False

    async def close_write(self) -> None:
        if self.begun and not self.closed:
            return
        self.begun = self.able
        await asyncio.sleep(0)
        await super().close_write()


@half_closer.breaks("write-after")
class DroppingAfterTheEnd(RightHalfCloser):
    async def write(self, data: Buffer, /) -> None:
        try:
            await super().write(data)
        except BrokenPipeError:
            return


@half_closer.breaks("after-close")
class EndingTheClosed(RightHalfCloser):
    async def close_write(self) -> None:
        if not self.closed:
            await super().close_write()


@half_closer.breaks("close-wakes-waiting")
class WaitingForTheAborted(RightHalfCloser):
    """Waits until all is sent, and returns when the connection is aborted meanwhile."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True
        super().abort()

    async def close_write(self) -> None:
        self.check_open()
        while self.able and unsent(self.sock):
            await asyncio.sleep(0.01)
            if self.aborted:
                return
            self.check_open()
        await super().close_write()


@half_closer.breaks("writing-goes-on", history="722dde5 1801451 a transfer one way is cut")
class ClosingAtTheEnd(RightHalfCloser):
    async def read(self, n: int, /) -> bytes:
        if not (data := await super().read(n)):
            self.sock.shutdown(socket.SHUT_WR)
        return data


@half_closer.breaks("unsupported")
class PretendingToEnd(RightHalfCloser):
    async def close_write(self) -> None:
        if self.able:
            await super().close_write()


@half_closer.breaks("unsupported")
class ClosingInstead(RightHalfCloser):
    async def close_write(self) -> None:
        if not self.able:
            await self.close()
        await super().close_write()


@half_closer.breaks("next-after-cancelled")
class EndedBeforeItEnds(RightHalfCloser):
    """Notes that the stream has ended, and then waits until all of it is sent."""

    ended = False

    async def close_write(self) -> None:
        self.check_open()
        if self.ended:
            return
        self.ended = self.able
        while self.able and unsent(self.sock):
            await asyncio.sleep(0.01)
            self.check_open()
        await super().close_write()


@half_closer.breaks("last-words")
class LeavingAfterItsEnd(RightHalfCloser):
    """Waits at close() for nothing that is unsent, since the stream has ended already."""

    ended = False

    async def close_write(self) -> None:
        await super().close_write()
        self.ended = True

    async def linger(self) -> None:
        if not self.ended:
            await super().linger()


@half_closer.breaks("close-wakes-waiting")
class WaitingForTheClosed(RightHalfCloser):
    """Waits until all is sent, and does not see that the connection was closed meanwhile."""

    async def close_write(self) -> None:
        self.check_open()
        while self.able and not self.closed and unsent(self.sock):  # noqa: ASYNC110 nothing tells
            await asyncio.sleep(0.01)
        if not self.closed:
            await super().close_write()


@half_closer.breaks("refusal-over")
class WatchingForTheEnd(RightHalfCloser):
    """Watches how long a connection stays half closed, also one that does not become so."""

    watching: asyncio.Task[None] | None = None

    async def close_write(self) -> None:
        watching = asyncio.create_task(asyncio.sleep(60))
        await super().close_write()
        self.stop()
        self.watching = watching

    async def close(self) -> None:
        self.stop()
        await super().close()

    def stop(self) -> None:
        if self.watching is not None:
            self.watching.cancel()
