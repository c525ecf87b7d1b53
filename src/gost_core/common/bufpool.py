"""A pool of byte buffers, for those that need large ones often.

It helps with buffers of about 64 KiB and more; to make a smaller one is as fast (D65).
Any thread may use it, and so may a child after a fork (D21).
"""

from bisect import bisect_left
from collections import deque
from typing import Final

from gost_core._lock import LOCK

__all__ = ("get", "put")


class _Block(bytearray):
    """A buffer of the pool, told by its type from any other bytearray."""

    __slots__ = ("home", "is_lent")

    home: "deque[_Block]"
    """Where it waits while it is not in use."""
    is_lent: bool


_SIZES: Final[tuple[int, ...]] = (
    128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 66560,
)  # fmt: skip
_KEPT_PER_SIZE: Final[int] = 64

_free: Final[dict[int, deque[_Block]]] = {size: deque(maxlen=_KEPT_PER_SIZE) for size in _SIZES}


def get(size: int, /) -> memoryview:
    """Return a writable view of exactly ``size`` bytes.

    The caller owns it until it gives it to :func:`put`; one that is never put is garbage like any
    other. The contents are arbitrary, perhaps what another connection carried: send on only what
    you have written (D65).

    Args:
        size: at least 0. Above 66560 the buffer is a new one, and never pooled.

    Raises:
        ValueError: ``size`` is negative.
    """
    free = _free.get(size)  # most callers ask for a size of the pool
    if free is None:
        if size < 0:
            raise ValueError(f"a buffer cannot have {size} bytes; the size is at least 0")
        if size > _SIZES[-1]:
            return memoryview(bytearray(size))
        return get(_SIZES[bisect_left(_SIZES, size)])[:size]
    try:
        block = free.pop()
    except IndexError:
        # One byte more and away again: from then on put can test for other views without moving
        # the bytes.
        block = _Block(size + 1)
        block.pop()
        block.home = free
    view = memoryview(block)
    block.is_lent = True  # after the view, so that a put beside this finds one or the other
    return view


def put(view: memoryview, /) -> None:
    """Give back what :func:`get` returned; the view is released and cannot be used again.

    A buffer of which another view lives, such as a slice, is not pooled again, so nobody's bytes
    change under them (D65). A view of anything else than the pool's is only released.

    Raises:
        ValueError: the view was put, or released, before.
        BufferError: the view itself is in use, for instance by ``recv_into``.
    """
    with LOCK:
        block = view.obj
        view.release()
        # Of several views of one block the first decides; none pools it a second time.
        if type(block) is not _Block or not block.is_lent:
            return
        block.is_lent = False
    try:
        block.append(0)  # which no bytearray allows while another view of it lives
    except BufferError:
        return
    block.pop()
    block.home.append(block)
