"""What is lent for a call only, and is the caller's again once the call is over."""

import gc
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from weakref import ref

from typing_extensions import Buffer

from gost_core.context import Key
from gost_core.testing._run.attempt import Broken, current
from gost_core.testing._run.waiting import all_within, expect, until
from gost_core.testing._stage.network import BareConn

__all__ = ("expect_dropped", "kept_of", "lend", "lend_several", "lending")

# A caller may hand over any of these, short or long.
_VIEWS: Final[tuple[Callable[[bytearray], Buffer], ...]] = (
    lambda buffer: buffer,
    lambda buffer: memoryview(buffer)[:6],
    lambda buffer: memoryview(buffer)[::2],
    lambda buffer: memoryview(buffer).cast("H"),
)

_LENT_DATA: Final[bytes] = b"lent for a call "


class _Lent:
    """A value of a request, of which nothing else knows."""


_LENT: Final[Key[_Lent]] = Key("a value that is lent")


@contextmanager
def lending() -> Generator[list[ref[Any]]]:
    """Lend calls a value by their context; what they open, the kit forgets.

    In the end the list has the value, and the connections that the kit has opened for the calls.
    """
    made, value = current(), _Lent()
    lent, before, opened = [ref[Any](value)], made.ctx, len(made.cleanups)
    made.ctx = made.ctx.with_value(_LENT, value)
    try:
        yield lent
    finally:
        made.ctx = before
        owners = (getattr(close, "__self__", None) for close in made.cleanups[opened:])
        # What a dialer has made a connection of is its own affair.
        lent += [ref(one) for one in owners if isinstance(one, BareConn) and one.top is one]
        del made.cleanups[opened:]


async def expect_dropped(lent: Iterable[ref[Any]], what: str, /) -> None:
    """Break the clause unless nothing is kept, sooner or later, of what was lent."""

    def is_kept() -> bool:
        # A connection that was left open is the affair of another clause.
        return any(kept_of(lent)) and any(getattr(one(), "closed", one()) for one in lent)

    await until(lambda: not is_kept(), f"{what}, and what was lent for the call is kept")


async def lend(
    call: Callable[[Buffer], Awaitable[object]],
    buffer: bytearray,
    view: Callable[[bytearray], Buffer] = _VIEWS[0],
    /,
) -> None:
    """Make a call with a view of a buffer, which is then filled with b"-" and emptied.

    Break the clause if the call has changed it, or if it is still in use once the call is over.
    """
    lent, before = view(buffer), bytes(buffer)
    size = memoryview(lent).nbytes
    await call(lent)
    expect(bytes(buffer) == before, "the buffer that was lent for a call was changed")
    buffer[:] = b"-" * len(buffer)
    try:
        if isinstance(lent, memoryview):
            expect(lent.nbytes == size, "the view that was lent for a call was cut by it")
            lent.release()
        buffer.clear()
    except BufferError:
        raise Broken("the buffer that was lent for a call was in use after it") from None
    except ValueError:
        raise Broken("the view that was lent for a call was released by it") from None


async def lend_several(
    call: Callable[[int, Buffer], Awaitable[object]], what: str, longest: int = 1 << 16, /
) -> list[bytes]:
    """Make calls at once, each with a number from 0 and a buffer; return what was in these."""
    times = (1, longest // len(_LENT_DATA))
    buffers = [bytearray(_LENT_DATA * many) for many in times for _ in _VIEWS]
    views = [*enumerate(_VIEWS * 2)]
    contents = [bytes(view(buffers[number])) for number, view in views]
    calls = (lend(partial(call, number), buffers[number], view) for number, view in views)
    await all_within(calls, f"{what}, several at once")
    return contents


def kept_of(lent: Iterable[ref[Any]], /) -> list[bool]:
    """Tell of each whether it is still kept.

    What serves one call after the other may hold something of the last ones.
    """
    lent = [*lent]
    # The youngest first: to look through all that there is takes long where there is much.
    for generation in range(3):
        if all(one() is None for one in lent):
            break
        gc.collect(generation)
    return [one() is not None for one in lent]
