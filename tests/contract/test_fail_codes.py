"""Status codes that mean failure."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gost_core.chain import FailCodes, HTTPNodeSettings


@pytest.mark.parametrize(
    ("codes", "matching", "others"),
    [
        ((), (), (0, 5, 200, 404, 500)),
        ((404,), (404,), (4, 40, 400, 403, 500)),
        ((5,), (500, 502, 599), (5, 499, 600, 55)),
        ((404, 5), (404, 500), (400, 405, 600)),
    ],
)
def test_a_code_matches_itself_or_its_whole_class(
    codes: tuple[int, ...], matching: tuple[int, ...], others: tuple[int, ...]
) -> None:
    fail_codes = FailCodes(codes)
    assert [code for code in (*matching, *others) if fail_codes.match(code)] == list(matching)


@given(st.lists(st.integers(0, 999), max_size=4), st.integers(100, 999))
def test_a_status_matches_if_it_is_named_or_its_class_is(codes: list[int], status: int) -> None:
    named = status in codes
    of_class = any(code < 100 and 100 * code <= status < 100 * code + 100 for code in codes)
    assert FailCodes(codes).match(status) is (named or of_class)


def test_they_are_a_tuple_that_says_what_it_is() -> None:
    codes = FailCodes((404, 5))
    assert codes == (404, 5)
    assert hash(codes) == hash((404, 5))
    assert eval(repr(codes)) == codes
    assert type(eval(repr(codes))) is FailCodes


def test_a_copy_and_a_pickle_still_match() -> None:
    codes = FailCodes((5,))
    for duplicate in (copy.copy(codes), copy.deepcopy(codes), pickle.loads(pickle.dumps(codes))):
        assert type(duplicate) is FailCodes
        assert duplicate.match(503)


def test_a_node_fails_by_no_status_unless_some_are_given() -> None:
    assert not HTTPNodeSettings().fail_codes.match(500)
    assert HTTPNodeSettings(fail_codes=FailCodes((5,))).fail_codes.match(500)
