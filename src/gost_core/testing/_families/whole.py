"""What a stream carries: in pieces of any length, and to its end."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from gost_core.common.net import Conn
from gost_core.testing._run.waiting import expect, expect_cancelled, given, settle, start, within
from gost_core.testing._stage.network import GREETING
from gost_core.testing._stage.streams import ALL, begin, cancelled_beside, read, read_exactly, write

__all__ = (
    "LAST",
    "LONG",
    "PIECES",
    "TRANSFER",
    "WORDS",
    "expect_carried",
    "expect_echoed",
    "expect_ways_apart",
    "read_whole",
    "write_last",
    "write_whole",
)

PIECES: Final[str] = (
    "What comes is read in pieces of any length: what a cancelled read() asked for makes no "
    "difference, and what has come before the other end goes away is still read."
)
WORDS: Final[str] = (
    "What write() took goes out whole, however long, whatever is read meanwhile, and though "
    "close() follows at once."
)
LONG: Final[bytes] = random.Random(1).randbytes(100_000)
"""Words that nobody can shorten."""
LAST: Final[bytes] = LONG[:4096]
TRANSFER: Final[int] = 300_000
"""More than the buffers of a connection take at once, often."""
_OTHERS: Final[bytes] = LONG[::-1]

# Up to how many cancelled reads something comes beside.
_CUTS: Final[int] = 5


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


async def write_last(conn: Conn, /) -> int:
    """Write the last words, and close at once; return how many bytes they have."""
    await conn.write(LAST)
    await conn.close()
    return len(LAST)


async def write_whole(conn: Conn, other: Conn, /) -> None:
    """Break the clause unless all that is written, up to close(), comes to the other end."""
    await expect_ways_apart(conn.read, [partial(conn.write, LONG)], other)
    received = start(read_exactly(other, len(LONG + LAST)))
    await within(conn.write(LONG), "write()")
    await within(write_last(conn), "write() and close()")
    expect(await received == LONG + LAST, "not all that was written came to the other end")


async def expect_echoed(conn: Conn, /) -> None:
    """Break the clause unless all comes back that is written to a peer that sends it back.

    It is so much that the write waits, until what has come back is read beside it.
    """
    much = LONG * 8
    writing = await begin(conn.write(much))
    back = await read_exactly(conn, len(much))
    await within(writing, "write()")
    expect(back == much, f"of {len(much)} bytes that were written others came back")


async def expect_ways_apart(
    read: Callable[[int], Awaitable[bytes]],
    writes: Sequence[Callable[[], Awaitable[object]]],
    other: Conn,
    /,
) -> None:
    """Break the clause if what is read beside writes of LONG, of which one waits, changes them.

    So much is to be written that the buffers beneath have no room for all.
    """

    async def write_all() -> None:
        for one in writes:
            await one()

    writing = await begin(write_all())
    for data in (_OTHERS[:n] for n in (30_000, 60_000)):
        sending, received = start(other.write(data)), b""
        while len(received) < len(data):
            received += await within(read(ALL), "a read beside a write that waits")
        await given(sending, "a write() of the other end")
        expect(received == data, "what was read beside a write that waited is not what was sent")
    written = await read_exactly(other, len(LONG))
    await within(writing, "a write beside reads")
    expect(written == LONG, "what was written is not what came, and something was read meanwhile")


async def _piece(conn: Conn) -> bytes:
    piece = await within(conn.read(2), "read(2)")
    expect(len(piece) <= 2, f"read(2) returned {len(piece)} bytes")
    return piece


async def expect_carried(here: Conn, there: Conn, /, *, reads_late: bool = False) -> None:
    """Break the clause unless much arrives, both ways at once."""
    dice = random.Random(1)
    up, down = dice.randbytes(TRANSFER), dice.randbytes(TRANSFER)
    sending = start(asyncio.gather(_send(here, up, dice), _send(there, down, dice)))
    hearing = start(_receive(here, down, dice, "written by the peer"))
    if reads_late:
        # A write waits meanwhile, where the buffers have no room for all.
        await hearing
    await asyncio.gather(sending, hearing, _receive(there, up, dice, "written here"))


async def _send(conn: Conn, data: bytes, dice: random.Random) -> None:
    while data:
        size = dice.randint(1, 70_000)
        await write(conn, data[:size])
        data = data[size:]


async def _receive(conn: Conn, expected: bytes, dice: random.Random, way: str) -> None:
    received = bytearray()
    while len(received) < len(expected):
        if not (piece := await read(conn, dice.randint(1, 70_000))):
            break
        received += piece
    changed = "" if expected.startswith(received) else ", not as they were written"
    expect(
        bytes(received) == expected,
        f"of {len(expected)} bytes {way}, {len(received)} arrived{changed}",
    )
