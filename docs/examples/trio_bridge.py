"""Calls what is written for trio from an asyncio event loop, such as that of the contracts."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, TypeVarTuple

import trio
from outcome import Outcome
from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn, HalfCloser, UnsupportedError
from gost_core.listener import Listener
from gost_core.metadata import Metadata
from gost_core.testing import ForwardingConn

R = TypeVar("R")
Args = TypeVarTuple("Args")


@asynccontextmanager
async def trio_inside() -> AsyncGenerator[trio.Nursery]:
    """Run trio inside the running asyncio event loop, in its thread; give a nursery."""
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[trio.Nursery] = loop.create_future()
    over: asyncio.Future[Outcome[None]] = loop.create_future()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            opened.set_result(nursery)
            await trio.sleep_forever()

    trio.lowlevel.start_guest_run(
        main,
        run_sync_soon_threadsafe=lambda function: loop.call_soon_threadsafe(function),
        done_callback=over.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    nursery = await opened
    try:
        yield nursery
    finally:
        nursery.cancel_scope.cancel()
        (await over).unwrap()


async def call(
    nursery: trio.Nursery, function: Callable[[*Args], Awaitable[R]], /, *args: *Args
) -> R:
    """Call ``function`` in a task of trio, which is cancelled when this call is.

    The call ends when the task has ended. A task that was done before the cancellation came to it
    still gives its result, so that nothing is lost; if that is None, the call ends as cancelled.
    """
    ended: asyncio.Future[R] = asyncio.get_running_loop().create_future()
    scope = trio.CancelScope()

    async def run() -> None:
        try:
            with scope:
                ended.set_result(await function(*args))
        except Exception as error:
            ended.set_exception(error)
        finally:
            ended.cancel()  # has an effect only if there is neither

    nursery.start_soon(run)
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError as error:
            cancelled = error
            scope.cancel()
    result = ended.result()
    if cancelled is not None and result is None:
        raise cancelled
    return result


class TrioConn(ForwardingConn, HalfCloser):
    """A connection that is written for trio, for callers on asyncio."""

    def __init__(self, nursery: trio.Nursery, inner: Conn, /) -> None:
        super().__init__(inner)
        self._nursery = nursery

    async def read(self, n: int, /) -> bytes:
        return await call(self._nursery, self.inner.read, n)

    async def write(self, data: Buffer, /) -> None:
        await call(self._nursery, self.inner.write, data)

    async def close_write(self) -> None:
        if not isinstance(self.inner, HalfCloser):
            raise UnsupportedError("the connection beneath cannot end its stream alone")
        await call(self._nursery, self.inner.close_write)

    async def close(self) -> None:
        await call(self._nursery, self.inner.close)


class TrioListener(Listener):
    """A listener that is written for trio, for callers on asyncio."""

    def __init__(self, nursery: trio.Nursery, inner: Listener, /) -> None:
        self.inner = inner
        self._nursery = nursery

    async def init(self, metadata: Metadata | None, /) -> None:
        await call(self._nursery, self.inner.init, metadata)

    async def accept(self) -> Conn:
        return TrioConn(self._nursery, await call(self._nursery, self.inner.accept))

    async def close(self) -> None:
        await call(self._nursery, self.inner.close)

    def addr(self) -> Addr:
        return self.inner.addr()
