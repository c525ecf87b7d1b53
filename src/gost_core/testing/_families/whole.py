"""What a stream carries: in pieces of any length, and to its end."""

import random
from collections.abc import Awaitable, Callable
from typing import Final

from gost_core.common.net import Conn
from gost_core.testing._run.waiting import expect, expect_cancelled, given, settle, within
from gost_core.testing._stage.network import GREETING
from gost_core.testing._stage.streams import ALL, begin, cancelled_beside

__all__ = ("LAST", "LONG", "PIECES", "WORDS", "read_whole", "write_last")

PIECES: Final[str] = (
    "What comes is read in pieces of any length: what a cancelled read() asked for makes no "
    "difference, and what has come before the other end goes away is still read."
)
WORDS: Final[str] = (
    "What write() took goes out whole, however long, and though close() follows at once."
)
LONG: Final[bytes] = random.Random(1).randbytes(100_000)
"""Words that nobody can shorten."""
LAST: Final[bytes] = LONG[:4096]

# Up to how many cancelled reads something comes beside.
_CUTS: Final[int] = 8


async def read_whole(
    conn: Conn,
    send: Callable[[bytes], Awaitable[object]],
    end: Callable[[], Awaitable[object]],
    /,
) -> None:
    """Break the clause unless all is read that comes by ``send``, and once more beside ``end``."""
    async for reading, _ in cancelled_beside(lambda: conn.read(ALL), lambda: send(b"x"), _CUTS):
        later = conn.read(ALL) if reading.cancelled() else reading
        data = await within(later, "read(), after one that was cancelled while something came,")
        expect(data == b"x", f"b'x' came beside a cancelled read(), and {data!r} was read")
    for beside in (settle, settle, end):
        await given(send(GREETING), "sending what is to be read")
        received = await _piece(conn)
        # The rest has come with the first of it.
        await settle()
        await given(beside(), "what comes next")
        await settle()
        while len(received) < len(GREETING) and (piece := await _piece(conn)):
            received += piece
        expect(received == GREETING, f"of {GREETING!r}, which came, {received!r} was read")
        if beside is not end:
            await expect_cancelled(await begin(conn.read(ALL)), "read()")


async def write_last(conn: Conn, /) -> None:
    """Write the last words, and close at once."""
    await conn.write(LAST)
    await conn.close()


async def _piece(conn: Conn) -> bytes:
    piece = await within(conn.read(2), "read(2)")
    expect(len(piece) <= 2, f"read(2) returned {len(piece)} bytes")
    return piece
