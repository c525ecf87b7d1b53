"""The marker that counts in memory."""

import copy
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gost_core.selector import FailMarker
from tests.contract.interleaving import interleavings


def test_a_new_marker_has_never_failed() -> None:
    marker = FailMarker()
    assert marker.count() == 0
    assert marker.time() == 0.0


def test_a_failure_is_stamped_with_the_time_of_day_to_the_fraction_of_a_second() -> None:
    marker = FailMarker()
    for _ in range(3):
        before = time.time()
        marker.mark()
        assert before <= marker.time() <= time.time()


@given(st.lists(st.sampled_from(["mark", "reset"])))
def test_the_count_is_of_the_marks_since_the_last_reset_and_the_time_survives_it(
    calls: list[str],
) -> None:
    marker = FailMarker()
    expected = 0
    for call in calls:
        before = marker.time()
        if call == "mark":
            marker.mark()
            expected += 1
            assert marker.time() >= before
        else:
            marker.reset()
            expected = 0
            assert marker.time() == before
        assert marker.count() == expected
    assert (marker.time() > 0.0) is ("mark" in calls)


def test_markers_count_apart() -> None:
    one, other = FailMarker(), FailMarker()
    one.mark()
    assert (one.count(), other.count(), other.time()) == (1, 0, 0.0)


@pytest.mark.needs("threads")
def test_no_mark_is_lost_between_threads() -> None:
    for run in interleavings():
        marker = FailMarker()
        run(marker.mark, marker.mark)
        assert marker.count() == 2


@pytest.mark.needs("threads")
def test_a_reset_beside_a_mark_comes_before_or_after_it() -> None:
    for run in interleavings():
        marker = FailMarker()
        marker.mark()
        run(marker.mark, marker.reset)
        assert marker.count() in (0, 1)


@pytest.mark.needs("threads")
def test_who_sees_a_failure_counted_sees_its_time() -> None:
    def look(marker: FailMarker) -> None:
        assert marker.count() == 0 or marker.time() > 0.0

    for run in interleavings():
        marker = FailMarker()
        run(marker.mark, partial(look, marker))


@pytest.mark.needs("threads")
def test_marks_of_many_threads_are_all_counted() -> None:
    marker = FailMarker()

    def mark_often() -> None:
        for _ in range(500):
            marker.mark()

    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(mark_often)
    assert marker.count() == 4000


@pytest.mark.needs("threads")
def test_a_finalizer_may_mark_a_failure_in_the_middle_of_a_mark() -> None:
    # In a process of its own: a marker that waits for itself would hold up all later tests.
    program = """
import gc
from gost_core.selector import FailMarker

class Connection:
    def __init__(self):
        self.cycle = self
    def __del__(self):
        marker.mark()

marker = FailMarker()
gc.set_threshold(1)
for _ in range(300):
    Connection()
    marker.mark()
gc.collect()
assert marker.count() == 600
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_marker_is_not_copied_since_the_copy_would_count_apart(
    duplicate: Callable[[object], object],
) -> None:
    with pytest.raises(TypeError, match="count apart"):
        duplicate(FailMarker())
