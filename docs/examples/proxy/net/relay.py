"""Copying between a client and what it wanted to reach."""

import asyncio
import os
import socket
import sys
import time
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from errno import EINVAL, ENOSYS, EPERM
from typing import Final, TypeVar

from gost_core.common import net

from .address import host_of
from .newcomers import fairly
from .tcp import TCPConn
from .wrapper import bare

T = TypeVar("T")

# What one read of the event loop brings at most; a smaller number would cut it into pieces.
CHUNK = 256 * 1024
LAST_WORDS = 1.0  # seconds for what was written to be sent

SOME: Final = 64 * 1024  # bytes that are read; where as many come at once, the system moves them
MUCH: Final = 1024 * 1024  # bytes that it moves at once, by way of a pipe
PIPES: Final = 64  # of all flows at most, since each is two open files

if sys.platform == "linux":
    from fcntl import F_SETPIPE_SZ, fcntl
    from os import SPLICE_F_MOVE, SPLICE_F_NONBLOCK, splice

    NOW: Final = SPLICE_F_MOVE | SPLICE_F_NONBLOCK


class ClientGoneError(Exception):
    """The client went away, which is its right and no failure of the exchange (D28)."""


async def of_client(call: Awaitable[T]) -> T:
    """Await a read from or a write to the client, whose departure is unlike other faults."""
    try:
        return await call
    except (ConnectionResetError, BrokenPipeError) as error:
        raise ClientGoneError from error


@dataclass(slots=True)
class Traffic:
    """How many bytes went each way, seen from the client."""

    sent: int = 0
    received: int = 0

    def count_sent(self, size: int) -> None:
        self.sent += size

    def count_received(self, size: int) -> None:
        self.received += size


async def relay(client: net.Conn, target: net.Conn, traffic: Traffic) -> None:
    """Copy both ways until both streams have ended.

    The end of one stream is handed on while the other one goes on: a client that half-closes
    behind its request still gets the whole answer. A fault of either side ends both.
    """

    async def send() -> None:
        while data := await of_client(client.read(SOME)):
            await target.write(data)
            traffic.count_sent(len(data))
            del data  # or it is kept until there is more, which may be never
        await _end(target)

    async def receive() -> None:
        while data := await target.read(CHUNK):
            await of_client(client.write(data))
            traffic.count_received(len(data))
            del data
        await _end(client)

    near, far = bare(client), bare(target)
    with suppress(net.ClosedError):  # _end() has closed a connection that cannot half-close
        if isinstance(near, TCPConn) and isinstance(far, TCPConn):
            far.check()
            await of_client(_pump(near, far, traffic))
            far.check()
        else:
            await both(host_of(str(client.remote_addr())), send, receive)


async def _pump(near: TCPConn, far: TCPConn, traffic: Traffic) -> None:
    """Copy until both streams have ended, or ``check`` says why not; it does so of the client."""
    near.check()
    done = asyncio.get_running_loop().create_future()
    flows = Flow(near, far, traffic.count_sent, done), Flow(far, near, traffic.count_received, done)
    try:
        await done
    finally:
        for flow in flows:
            flow.stop()
    near.check()


class Flow:
    """Copies when sockets are ready, without a task; ``done`` learns that both ways have ended."""

    pipes, moves = 0, True

    def __init__(
        self, source: TCPConn, sink: TCPConn, count: Callable[[int], None], done: Future[None]
    ) -> None:
        self._source, self._sink, self._count, self._done = source, sink, count, done
        self._pipe: tuple[int, int] | None = None
        self._piped = 0  # bytes in it
        self._rest, source.arrived = source.arrived, b""
        self._send()

    def stop(self) -> None:
        """Copy no more."""
        self._source.readable.pause()
        self._sink.writable.pause()
        Flow.pipes -= self._pipe is not None
        for end in self._pipe or ():
            os.close(end)

    def _receive(self) -> None:
        source, size = self._source.socket, 0
        try:
            if sys.platform == "linux" and Flow.moves and self._pipe is not None:
                size = self._piped = splice(source.fileno(), self._pipe[1], MUCH, flags=NOW)
            else:
                self._rest = source.recv(SOME)
                size = len(self._rest)
        except BlockingIOError:
            return
        except OSError as error:
            if Flow.moves and self._pipe is not None and error.errno in (EINVAL, ENOSYS, EPERM):
                Flow.moves = False  # this system does not, and says so before the first byte
                return None
            self._source.fault = error
            return self._finish()
        if size:
            if size == SOME and self._pipe is None:
                self._make_pipe()
            return self._send()
        self._source.peer_ended = self._sink.write_ended = True
        self._source.readable.pause()
        with suppress(OSError):  # a peer that is gone needs no end
            self._sink.socket.shutdown(socket.SHUT_WR)
        if self._source.write_ended:
            self._finish()

    def _send(self) -> None:
        sink = self._sink.socket
        try:
            while self._rest:
                sent = sink.send(self._rest)
                self._rest = self._rest[sent:]
                self._count(sent)
            while sys.platform == "linux" and self._pipe is not None and self._piped:
                sent = splice(self._pipe[0], sink.fileno(), self._piped, flags=NOW)
                self._piped -= sent
                self._count(sent)
        except BlockingIOError:
            self._source.readable.pause()
            self._sink.writable.watch(self._send, self._done)
            return
        except OSError as error:
            self._sink.fault = error
            return self._finish()
        self._sink.writable.pause()
        self._source.readable.watch(self._receive, self._done)

    def _make_pipe(self) -> None:
        if sys.platform == "linux" and Flow.moves and Flow.pipes < PIPES:
            with suppress(OSError):  # too many files are open, or such a pipe is too much
                self._pipe = os.pipe()
                Flow.pipes += 1
                fcntl(self._pipe[1], F_SETPIPE_SZ, MUCH)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def both(host: str, *copying: Callable[[], Coroutine[object, None, None]]) -> None:
    """Await what copies for a host; a fault of one ends the others."""
    calls = [asyncio.ensure_future(fairly(host, call)) for call in copying]
    try:
        await asyncio.gather(*calls)
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def while_active(call: Awaitable[None], traffic: Traffic, seconds: float) -> None:
    """Await what copies; a TimeoutError ends it when nothing has gone through for so long."""
    copying, before = asyncio.ensure_future(call), -1
    try:
        while before != (now := traffic.sent + traffic.received):
            before = now
            await asyncio.wait({copying}, timeout=seconds)
            if copying.done():
                return copying.result()
        raise TimeoutError(f"nothing went through for {seconds:g} s")
    finally:
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)


async def break_off(conn: net.Conn) -> None:
    """Have a peer see that what it got is not all there was, once it has got that (D72)."""
    if isinstance(conn, net.Aborter):
        tcp = net.find_capability(conn, TCPConn)
        end = time.monotonic() + LAST_WORDS
        # The system lets nobody wait for that.
        while tcp is not None and tcp.unsent() and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        conn.abort()
    await conn.close()


async def _end(conn: net.Conn) -> None:
    # A peer that is gone needs no end; whether its own stream was whole shows in the other copy.
    with suppress(BrokenPipeError, ConnectionResetError):
        try:
            if isinstance(conn, net.HalfCloser):
                return await conn.close_write()
        except net.UnsupportedError:
            pass
        await conn.close()
