"""A connection that passes everything on."""

from typing_extensions import Buffer

from gost_core.common.net import Addr, Conn


class Wrapper(Conn):
    def __init__(self, inner: Conn) -> None:
        self.inner = inner

    async def read(self, n: int, /) -> bytes:
        return await self.inner.read(n)

    async def write(self, data: Buffer, /) -> None:
        await self.inner.write(data)

    async def close(self) -> None:
        await self.inner.close()

    def local_addr(self) -> Addr:
        return self.inner.local_addr()

    def remote_addr(self) -> Addr:
        return self.inner.remote_addr()
