"""The pool of buffers."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from textwrap import indent
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gost_core.common import bufpool
from tests.contract.interleaving import interleavings

LARGEST = 66560
BORDERS = (0, 128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, LARGEST)
MORE_THAN_POOLED = 100

USES: list[Callable[[memoryview], object]] = [
    bytes,
    len,
    memoryview,
    lambda view: view[0],
    lambda view: view[:1],
]

OTHER_VIEWS: dict[str, Callable[[memoryview], memoryview]] = {
    "slice": lambda view: view[10:20],
    "empty slice": lambda view: view[:0],
    "view": lambda view: memoryview(view),
    "cast": lambda view: view.cast("I"),
    "read only": lambda view: view.toreadonly(),
    "slice of a view": lambda view: memoryview(view)[1:][::2],
}

sizes = st.one_of(
    st.sampled_from(BORDERS),
    st.sampled_from(BORDERS).map(lambda size: size + 1),
    st.sampled_from(BORDERS[1:]).map(lambda size: size - 1),
    st.integers(0, 2 * LARGEST),
)


def take_all(size: int) -> list[memoryview]:
    """Take more buffers of a size than the pool can hold, each owned by one caller."""
    views = [bufpool.get(size) for _ in range(MORE_THAN_POOLED)]
    for number, view in enumerate(views):
        view[0] = number
    assert [view[0] for view in views] == list(range(MORE_THAN_POOLED)), "two owners of a buffer"
    return views


def try_to_put(view: memoryview, refused: list[memoryview]) -> None:
    """Give a buffer back, and note if it was given back before."""
    try:
        bufpool.put(view)
    except ValueError:
        refused.append(view)


# ---- What get returns


@given(sizes)
def test_a_buffer_is_a_writable_view_of_exactly_the_bytes_asked_for(size: int) -> None:
    for _ in range(2):  # the second one may come from the pool
        view = bufpool.get(size)
        assert (view.nbytes, view.format, view.shape) == (size, "B", (size,))
        assert view.contiguous
        view[:] = b"\xaa" * size
        assert bytes(view) == b"\xaa" * size
        bufpool.put(view)


def test_a_negative_size_is_refused_and_named() -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        bufpool.get(-1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50), sizes), max_size=30))
def test_what_an_owner_wrote_stays_until_it_gives_the_buffer_back(
    steps: list[tuple[bool, int, int]],
) -> None:
    owned = list[tuple[memoryview, bytes]]()
    for tag, (is_put, which, size) in enumerate(steps):
        if is_put and owned:
            view, content = owned.pop(which % len(owned))
            assert view == content
            bufpool.put(view)
        else:
            view, content = bufpool.get(size), bytes([tag]) * size
            view[:] = content
            owned.append((view, content))
    for view, content in owned:
        assert view == content


# ---- Pooling


@pytest.mark.parametrize("size", [1, 129, 65536, LARGEST])
def test_a_buffer_that_was_given_back_is_handed_out_again(size: int) -> None:
    view = bufpool.get(size)
    block = view.obj
    for _ in range(3):
        bufpool.put(view)
        (view,) = (taken for taken in take_all(size) if taken.obj is block)


def test_a_buffer_above_the_largest_size_is_not_kept() -> None:
    view = bufpool.get(LARGEST + 1)
    block = view.obj
    bufpool.put(view)
    assert not any(view.obj is block for view in take_all(LARGEST + 1))


def test_a_burst_of_buffers_is_not_kept_for_ever() -> None:
    views = [bufpool.get(128) for _ in range(1000)]
    blocks = [view.obj for view in views]
    for view in views:
        bufpool.put(view)
    kept = {id(bufpool.get(128).obj) for _ in blocks} & {id(block) for block in blocks}
    assert len(kept) < MORE_THAN_POOLED


def test_a_buffer_that_is_never_given_back_leaves_the_pool_in_order() -> None:
    for _ in range(MORE_THAN_POOLED):
        bufpool.get(512)
    take_all(512)


# ---- What put forbids


@pytest.mark.parametrize("use", USES)
def test_a_buffer_that_was_given_back_cannot_be_used(use: Callable[[memoryview], object]) -> None:
    view = bufpool.get(128)
    bufpool.put(view)
    with pytest.raises(ValueError, match="released"):
        use(view)


def test_a_buffer_cannot_be_given_back_twice() -> None:
    view = bufpool.get(128)
    bufpool.put(view)
    with pytest.raises(ValueError, match="released"):
        bufpool.put(view)
    take_all(128)


def test_a_buffer_in_use_is_not_given_back_and_stays_whole() -> None:
    view = bufpool.get(128)
    view[:] = b"\x01" * 128
    block = view.obj
    use = pickle.PickleBuffer(view)
    with pytest.raises(BufferError):
        bufpool.put(view)
    for other in take_all(128):
        assert other.obj is not block
    assert bytes(view) == b"\x01" * 128
    use.release()
    bufpool.put(view)
    assert any(other.obj is block for other in take_all(128))


@pytest.mark.parametrize("look_at", OTHER_VIEWS.values(), ids=OTHER_VIEWS)
@pytest.mark.parametrize("size", [128, 100])
def test_a_buffer_of_which_another_view_lives_is_never_handed_out_again(
    look_at: Callable[[memoryview], memoryview], size: int
) -> None:
    view = bufpool.get(size)
    view[:] = b"\x01" * size
    block = view.obj
    other = look_at(view)
    seen = bytes(other)
    bufpool.put(view)
    for fresh in take_all(size):
        assert fresh.obj is not block
        fresh[:] = b"\xff" * size
    assert bytes(other) == seen
    other.release()
    assert all(fresh.obj is not block for fresh in take_all(size))


@pytest.mark.parametrize("size", [128, LARGEST])
@pytest.mark.parametrize("make", [bytes, bytearray])
def test_a_view_of_foreign_bytes_is_released_and_its_bytes_are_left_alone(
    make: Callable[[int], bytes | bytearray], size: int
) -> None:
    foreign = make(size)
    view = memoryview(foreign)
    bufpool.put(view)
    with pytest.raises(ValueError, match="released"):
        bytes(view)
    for own in take_all(size):
        assert own.obj is not foreign
    assert foreign == bytes(size)


# ---- Threads


@pytest.mark.needs("threads")
def test_threads_that_give_back_the_same_view_hand_its_buffer_out_once() -> None:
    for run in interleavings():
        view = bufpool.get(128)
        refused = list[memoryview]()
        run(partial(try_to_put, view, refused), partial(try_to_put, view, refused))
        assert len(refused) == 1
        take_all(128)


@pytest.mark.needs("threads")
def test_threads_that_give_back_two_views_of_a_buffer_hand_it_out_once() -> None:
    for run in interleavings():
        view = bufpool.get(128)
        run(partial(bufpool.put, view), partial(bufpool.put, view[:10]))
        take_all(128)


@pytest.mark.needs("threads")
def test_a_buffer_that_is_given_back_beside_a_take_has_one_owner() -> None:
    taken = list[memoryview]()
    for run in interleavings():
        run(partial(bufpool.put, bufpool.get(128)), lambda: taken.extend(take_all(128)))
        taken.extend(take_all(128))
        assert len({id(view.obj) for view in taken}) == 2 * MORE_THAN_POOLED
        taken.clear()


@pytest.mark.needs("threads")
def test_threads_that_take_a_buffer_beside_each_other_get_one_each() -> None:
    taken = list[memoryview]()
    for run in interleavings():
        bufpool.put(bufpool.get(128))
        run(lambda: taken.append(bufpool.get(128)), lambda: taken.append(bufpool.get(128)))
        one, other = taken
        assert one.obj is not other.obj
        taken.clear()


@pytest.mark.needs("threads")
def test_threads_never_hold_the_same_buffer() -> None:
    barrier = Barrier(4)

    def work(worker: int) -> int:
        spoilt = 0
        barrier.wait()
        for _ in range(200):
            owned = [(bufpool.get(128), bytes([16 * worker + n]) * 128) for n in range(4)]
            for view, content in owned:
                view[:] = content
            spoilt += sum(bytes(view) != content for view, content in owned)
            for view, _ in owned:
                bufpool.put(view)
        return spoilt

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(work, range(4))) == [0, 0, 0, 0]
    finally:
        sys.setswitchinterval(interval)


# ---- Finalizers, which the collector may run in the middle of any call


def run_with_finalizers(body: str) -> None:
    """Run a loop in a process of its own: a pool that waits for itself would hold up this one."""
    program = f"""
import gc
from gost_core.common import bufpool

class Connection:
    def __init__(self, buffer):
        self.cycle, self.buffer = self, buffer
    def __del__(self):
        bufpool.put(self.buffer)

gc.freeze()  # what is imported need not be looked through each time
for threshold in (1, 2, 3):
    gc.set_threshold(threshold)
    for _ in range(100):
{indent(body, " " * 8)}
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.needs("threads")
def test_a_finalizer_may_give_a_buffer_back_while_another_one_is_given_back() -> None:
    run_with_finalizers("""
Connection(bufpool.get(128))
bufpool.put(bufpool.get(128))
""")


@pytest.mark.needs("threads")
def test_a_finalizer_that_gives_back_a_second_view_does_not_make_a_second_owner() -> None:
    run_with_finalizers("""
view = bufpool.get(128)
Connection(view[:10])
bufpool.put(view)
taken = [bufpool.get(128) for _ in range(100)]
assert len({id(view.obj) for view in taken}) == 100
""")
