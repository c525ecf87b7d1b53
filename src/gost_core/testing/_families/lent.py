"""What is lent for a call only: a buffer, which is the caller's again once the call is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from typing_extensions import Buffer

from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.waiting import within

__all__ = ("lend",)

# A caller may hand over any of these, short or long.
_VIEWS: Final[tuple[Callable[[bytearray], Buffer], ...]] = (
    lambda buffer: buffer,
    lambda buffer: memoryview(buffer)[:6],
    lambda buffer: memoryview(buffer)[::2],
    lambda buffer: memoryview(buffer).cast("H"),
)


async def lend(call: Callable[[int, Buffer], Awaitable[object]], what: str, /) -> list[bytes]:
    """Make calls at once, each with a number from 0 and a buffer; return what was in these.

    Each buffer is changed as soon as its own call is over. It must not be in use any more then.
    """
    buffers = [bytearray(b"lent for a call " * times) for times in (1, 4096) for _ in _VIEWS]
    lent = [view(buffer) for view, buffer in zip(_VIEWS * 2, buffers, strict=True)]
    contents = [bytes(one) for one in lent]

    async def lend_one(number: int) -> None:
        buffer, view = buffers[number], lent[number]
        await call(number, view)
        buffer[:] = b"-" * len(buffer)
        try:
            if isinstance(view, memoryview):
                view.release()
            buffer.clear()
        except BufferError:
            raise Broken(f"after {what} its buffer was still in use") from None

    await within(asyncio.gather(*map(lend_one, range(len(lent)))), f"{what}, several at once,")
    return contents
