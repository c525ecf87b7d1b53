"""Credentials."""

import copy
import dataclasses
import hmac
import logging
import pickle
import pprint
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gost_core import connector
from gost_core.common.url import Userinfo

SECRET = "s3cret"

SHOWN: dict[str, Callable[[Userinfo], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda user: format(user),
    "f-string": lambda user: f"{user} {user!r} {user=}",
    "percent": lambda user: "%s %r" % (user, user),  # noqa: UP031 - logging formats so
    "list": lambda user: repr([user]),
    "dict": lambda user: str({"auth": user}),
    "pprint": pprint.pformat,
    "options": lambda user: repr(connector.Options(auth=user)),
    "options, pprint": lambda user: pprint.pformat(connector.Options(auth=user)),
    "options, asdict": lambda user: str(dataclasses.asdict(connector.Options(auth=user))),
    "option": lambda user: repr(connector.auth_option(user)),
}

# Few characters, so that equal parts occur; among them a surrogate, as it comes from bytes that are
# no UTF-8, and the byte that ends a string in C.
parts = st.text("aé\udcff\0", max_size=3)
passwords = st.none() | parts


@settings(max_examples=300)
@given(parts, passwords, parts, passwords)
def test_two_are_equal_exactly_if_both_parts_are(
    username: str, password: str | None, other_username: str, other_password: str | None
) -> None:
    one, other = Userinfo(username, password), Userinfo(other_username, other_password)
    are_same = (username, password) == (other_username, other_password)
    assert (one == other) is are_same
    assert (one != other) is not are_same
    if are_same:
        assert hash(one) == hash(other)


@given(st.text(), st.none() | st.text())
def test_any_text_is_kept_and_equals_itself(username: str, password: str | None) -> None:
    user = Userinfo(username, password)
    assert (user.username, user.password) == (username, password)
    assert user == Userinfo(username, password)


def test_no_password_differs_from_the_empty_password() -> None:
    assert Userinfo("alice").password is None
    assert Userinfo("alice") != Userinfo("alice", "")
    assert len({Userinfo("alice"), Userinfo("alice", "")}) == 2
    assert repr(Userinfo("alice")) != repr(Userinfo("alice", ""))


def test_a_part_of_the_name_is_no_part_of_the_password() -> None:
    assert Userinfo("ab", "c") != Userinfo("a", "bc")


def test_credentials_leave_the_comparison_with_other_things_to_them() -> None:
    assert Userinfo("alice", SECRET) == ANY
    assert Userinfo("alice", SECRET) != ("alice", SECRET)


@pytest.mark.parametrize("username", ["alice", "bob"])
def test_the_time_of_a_comparison_tells_nothing(
    username: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = list[bytes]()

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert Userinfo("alice", SECRET) != Userinfo(username, "wrong")
    assert compared == [b"alice", SECRET.encode()]


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_the_password_is_never_shown_and_the_name_is(show: Callable[[Userinfo], str]) -> None:
    text = show(Userinfo("alice", SECRET))
    assert SECRET not in text
    assert "alice" in text


def test_a_log_line_does_not_show_the_password(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("refused %s %r", *[Userinfo("alice", SECRET)] * 2)
    assert "alice" in caplog.text
    assert SECRET not in caplog.text


def test_credentials_have_no_dictionary_that_would_show_the_password() -> None:
    user: Any = Userinfo("alice", SECRET)
    assert not hasattr(user, "__dict__")
    assert not dataclasses.is_dataclass(user)
    with pytest.raises(AttributeError):
        user.passwd = "misspelt"


def test_copies_and_pickles_are_whole() -> None:
    user = Userinfo("alice", SECRET)
    assert copy.copy(user) == user
    assert copy.deepcopy(user) == user
    assert pickle.loads(pickle.dumps(user)) == user


@pytest.mark.parametrize("name", ["username", "password"])
def test_credentials_never_change(name: str) -> None:
    user = Userinfo("alice", SECRET)
    found = hash(user)
    with pytest.raises(AttributeError, match="cannot be changed") as setting:
        setattr(user, name, "other")
    with pytest.raises(AttributeError, match="cannot be changed") as deleting:
        delattr(user, name)
    assert user == Userinfo("alice", SECRET)
    assert hash(user) == found
    assert SECRET not in f"{setting.value}{deleting.value}"
