"""Entries of a cache, and the option of one."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gost_core import cache
from gost_core.cache import Entry, NotFoundError, SetOptions, with_ttl
from gost_core.options import apply

NOW = 1_700_000_000.0


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "time", lambda: NOW)


def test_an_entry_without_expiration_never_expires() -> None:
    entry = Entry(data=b"answer")
    assert (entry.ttl(), entry.expired()) == (math.inf, False)


@pytest.mark.parametrize(
    ("left", "expired"), [(60.0, False), (0.001, False), (0.0, True), (-60.0, True)]
)
def test_an_entry_expires_at_its_moment(left: float, expired: bool) -> None:
    entry = Entry(expiration=NOW + left)
    assert entry.ttl() == pytest.approx(left, abs=1e-6)
    assert entry.expired() is expired


@given(st.floats(min_value=1, max_value=2 * NOW))
def test_an_entry_has_expired_exactly_if_no_seconds_are_left(expiration: float) -> None:
    entry = Entry(expiration=expiration)
    assert entry.expired() is (entry.ttl() <= 0)


def test_the_clock_is_that_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "time", time.time)
    assert 0 < Entry(expiration=time.time() + 3600).ttl() <= 3600


@pytest.mark.parametrize("ttl", [0.0, 1.5, math.inf])
def test_the_lifetime_of_an_entry_is_an_option(ttl: float) -> None:
    assert apply(SetOptions(), with_ttl(ttl)) == SetOptions(ttl=ttl)


def test_what_is_absent_is_a_lookup_that_failed_and_no_failure_of_io() -> None:
    assert issubclass(NotFoundError, LookupError)
    assert not issubclass(NotFoundError, OSError)
