"""A connection around another one, for whoever adds something to it."""

from collections.abc import Generator
from contextlib import contextmanager

from typing_extensions import Buffer

from gost_core.common import net


class Wrapper(net.Conn, net.HalfCloser, net.ConnUnwrapper):
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

    def local_addr(self) -> net.Addr:
        return self._inner.local_addr()

    def remote_addr(self) -> net.Addr:
        return self._inner.remote_addr()

    def unwrap_conn(self) -> net.Conn:
        return self._inner


@contextmanager
def alone(busy: set[str], doing: str) -> Generator[None, None, None]:
    """Note what a task does with a connection; one of two that do the same is refused (D6)."""
    if doing in busy:
        raise RuntimeError(f"another task is already {doing} on this connection")
    busy.add(doing)
    try:
        yield
    finally:
        busy.remove(doing)
