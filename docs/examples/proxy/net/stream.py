"""Reading what a protocol says from a stream that cuts it anywhere."""

from gost_core.common import net

from .wrapper import Wrapper


async def read_exactly(conn: net.Conn, n: int) -> bytes:
    """Read ``n`` bytes and none beyond, so that what follows stays for the next reader."""
    data = b""
    while len(data) < n:
        data += await read_more(conn, n - len(data))
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
