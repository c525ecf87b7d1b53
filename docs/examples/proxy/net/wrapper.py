"""Connections around others, and what is alike in reading, waiting and closing."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from copy import copy
from typing import TypeVar

from typing_extensions import Buffer

from gost_core.common import net

T = TypeVar("T")


class Wrapper(net.Conn, net.HalfCloser, net.Aborter, net.ConnUnwrapper):
    """Changes no byte, so it shows what it wraps, and keeps the capability to half-close (D10).

    Whether the wrapped connection can, shows in the call: one that cannot says so.
    """

    def __init__(self, inner: net.Conn) -> None:
        self._inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self._inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self._inner.write(data)

    async def close_write(self) -> None:
        if not isinstance(self._inner, net.HalfCloser):
            raise net.UnsupportedError("the connection beneath cannot half-close")
        await self._inner.close_write()

    async def close(self) -> None:
        await self._inner.close()

    def abort(self) -> None:
        if isinstance(self._inner, net.Aborter):
            self._inner.abort()

    def local_addr(self) -> net.Addr:
        return self._inner.local_addr()

    def remote_addr(self) -> net.Addr:
        return self._inner.remote_addr()

    def unwrap_conn(self) -> net.Conn:
        return self._inner


def bare(conn: net.Conn) -> net.Conn:
    """Return what wrappers are around that neither see nor change what goes through."""
    plain = Wrapper.read, Wrapper.write
    while isinstance(conn, Wrapper) and (type(conn).read, type(conn).write) == plain:
        conn = conn.unwrap_conn()
    return conn


@contextmanager
def alone(busy: set[str], doing: str) -> Generator[None, None, None]:
    """Note what a task does with a connection; one of two that do the same is refused (D6)."""
    if doing in busy:
        raise RuntimeError(f"another task is already {doing} here")
    busy.add(doing)
    try:
        yield
    finally:
        busy.remove(doing)


class Waits:
    """Calls that wait for something, and end when their object is closed (D1)."""

    def __init__(self, what: str, error: type[net.ClosedError] = net.ClosedError) -> None:
        self._closed = error(f"this {what} was closed")
        self._limits: set[asyncio.Timeout] = set()
        self.ended = False

    async def until_closed(self, call: Awaitable[T]) -> T:
        """Await something that is interrupted when the object is closed."""
        limit = asyncio.timeout(0 if self.ended else None)
        self._limits.add(limit)
        try:
            async with limit:
                result = await call
        except TimeoutError:
            if not limit.expired():
                raise
        else:
            if not self.ended:
                return result
            if isinstance(result, net.Closer):  # which nobody else will ever have
                await result.close()
        finally:
            self._limits.discard(limit)
        raise copy(self._closed)

    def end(self) -> None:
        self.ended = True
        limits, self._limits = self._limits, set()
        for limit in limits:
            if not limit.expired():
                limit.reschedule(0)


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


async def read_exactly(conn: net.Conn, n: int) -> bytes:
    """Read ``n`` bytes and none beyond, so that what follows stays for the next reader."""
    return await read_message(conn, lambda _: n)


async def read_message(conn: net.Conn, size: Callable[[bytes], int]) -> bytes:
    """Read as many bytes as ``size`` says, which is told those that are there, and none beyond."""
    data = b""
    while len(data) < (whole := size(data)):
        data += await read_more(conn, whole - len(data))
    return data


async def read_more(conn: net.Conn, n: int) -> bytes:
    """Read what comes next of a message that is not over."""
    data = await conn.read(n)
    if not data:
        raise ConnectionResetError(f"{conn.remote_addr()} ended the connection in mid-message")
    return data


class PrefixedConn(Wrapper):
    """A connection whose first bytes have been read already, and are given out again."""

    def __init__(self, inner: net.Conn, prefix: bytes) -> None:
        super().__init__(inner)
        self._prefix = prefix

    async def read(self, n: int, /) -> bytes:
        if not self._prefix or n < 1:
            return await super().read(n)
        data, self._prefix = self._prefix[:n], self._prefix[n:]
        return data

    async def close(self) -> None:
        self._prefix = b""
        await super().close()
