"""Options: the class behind the option functions, and their application.

That each option function sets its field is held by the comparison with the Go module.
"""

import copy
import pickle
from dataclasses import dataclass, field
from functools import partial
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gost_core import connector, dialer
from gost_core.common.url import Userinfo
from gost_core.dialer import DialOptions, host_dial_option, net_dialer_dial_option
from gost_core.hop import SelectOptions, body_select_option, header_select_option
from gost_core.options import FieldOption, apply
from tests.contract.untyped import untyped

SECRET = "s3cret"
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@dataclass(slots=True, kw_only=True)
class Settings:
    """An options class of an implementer's own."""

    name: str = ""
    size: int = 0
    token: str = field(default="", repr=False)


class PlainSettings:
    """An options class that is no dataclass."""

    name = ""


@dataclass(slots=True, kw_only=True)
class MoreDialOptions(DialOptions):
    """What an implementer adds to the contract's options."""

    retries: int = 0


# ---- apply


def test_apply_fills_the_object_that_it_is_given_and_returns_it() -> None:
    options = DialOptions()
    assert apply(options, host_dial_option("example.com:443")) is options
    assert options.host == "example.com:443"


def test_apply_without_options_leaves_the_zero_values() -> None:
    assert apply(DialOptions()) == DialOptions()


def test_apply_skips_none() -> None:
    options = apply(DialOptions(), None, host_dial_option("example.com"), None)
    assert options == DialOptions(host="example.com")


@given(st.lists(st.tuples(st.sampled_from(["name", "size"]), st.integers()), max_size=8))
def test_of_the_options_for_one_field_the_last_wins(assignments: list[tuple[str, int]]) -> None:
    options = apply(Settings(), *(FieldOption(Settings, name, n) for name, n in assignments))
    last = dict(assignments)
    assert options.name == last.get("name", "")
    assert options.size == last.get("size", 0)


def test_apply_calls_foreign_callables_in_order_and_ignores_what_they_return() -> None:
    seen = list[str]()

    def rename(name: str, options: Settings) -> str:
        seen.append(options.name)
        options.name = name
        return "ignored"

    class Resize:
        def __call__(self, options: Settings, /) -> Settings:
            seen.append(options.name)
            return Settings(name="ignored")

    options = Settings()
    last = apply(options, partial(rename, "a"), lambda o: rename("b", o), Resize())
    assert last is options
    assert seen == ["", "a", "b"]
    assert options == Settings(name="b")


def test_an_option_that_raises_ends_the_application() -> None:
    def refuse(options: DialOptions) -> None:
        raise ValueError("no such host")

    options = DialOptions()
    with pytest.raises(ValueError, match="no such host"):
        apply(options, host_dial_option("a"), refuse, host_dial_option("b"))
    assert options.host == "a"


def test_a_subclass_takes_the_options_of_its_base_and_keeps_its_type() -> None:
    own = FieldOption(MoreDialOptions, "retries", 3)
    options = apply(MoreDialOptions(), host_dial_option("example.com"), own)
    assert options == MoreDialOptions(host="example.com", retries=3)


def test_an_option_of_a_subclass_is_refused_by_its_base() -> None:
    with pytest.raises(TypeError, match=r"MoreDialOptions.*gost_core\.dialer\.DialOptions"):
        FieldOption(MoreDialOptions, "retries", 3)(untyped(DialOptions()))


def test_an_option_refuses_a_class_that_only_looks_alike_and_names_both() -> None:
    options = connector.Options()
    with pytest.raises(TypeError) as caught:
        apply(options, untyped(dialer.auth_option(Userinfo("alice", SECRET))))
    assert "gost_core.dialer.Options" in str(caught.value)
    assert "gost_core.connector.Options" in str(caught.value)
    assert "'auth'" in str(caught.value)
    assert options == connector.Options()


# ---- FieldOption


def test_an_option_can_be_looked_at() -> None:
    option = host_dial_option("example.com")
    assert isinstance(option, FieldOption)
    assert option.owner is DialOptions
    assert option.field == "host"
    assert option.value == "example.com"


def test_an_option_can_be_matched() -> None:
    match untyped(host_dial_option("example.com")):
        case FieldOption(owner, "host", value):
            assert (owner, value) == (DialOptions, "example.com")
        case other:
            pytest.fail(f"{other!r} did not match")


def test_a_value_is_shared_and_not_copied() -> None:
    header = {"Accept": ["text/html"]}
    option = header_select_option(header)
    assert apply(SelectOptions(), option).header is header
    assert apply(SelectOptions(), copy.copy(option)).header is header


def test_an_option_can_be_applied_to_many_objects() -> None:
    option = host_dial_option("example.com")
    for options in (DialOptions(), DialOptions(host="other")):
        assert apply(options, option) == DialOptions(host="example.com")


def test_options_are_equal_if_class_field_and_value_are() -> None:
    option = host_dial_option("example.com")
    assert option == FieldOption(DialOptions, "host", "example.com")
    assert hash(option) == hash(FieldOption(DialOptions, "host", "example.com"))
    for other in (
        FieldOption(MoreDialOptions, "host", "example.com"),
        FieldOption(DialOptions, "dialer", "example.com"),
        FieldOption(DialOptions, "host", "example.org"),
    ):
        assert option != other
        assert len({option, other}) == 2


def test_an_option_leaves_the_comparison_with_other_things_to_them() -> None:
    option: object = host_dial_option("example.com")
    assert option == ANY
    assert option != "example.com"


def test_an_option_whose_value_has_no_hash_has_none_but_compares() -> None:
    option = header_select_option({"Accept": ["text/html"]})
    with pytest.raises(TypeError, match="unhashable"):
        hash(option)
    assert option == header_select_option({"Accept": ["text/html"]})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_option_survives_pickling(protocol: int) -> None:
    option = header_select_option({"Accept": ["text/html"]})
    restored = pickle.loads(pickle.dumps(option, protocol))
    assert restored == option
    assert apply(SelectOptions(), restored).header == {"Accept": ["text/html"]}


def test_the_repr_shows_class_field_and_value() -> None:
    assert (
        repr(host_dial_option("example.com")) == "FieldOption(DialOptions, 'host', 'example.com')"
    )
    assert repr(net_dialer_dial_option(None)) == "FieldOption(DialOptions, 'dialer', None)"
    assert (
        repr(FieldOption(PlainSettings, "name", "a")) == "FieldOption(PlainSettings, 'name', 'a')"
    )


@pytest.mark.parametrize(
    "option",
    [
        header_select_option({"Authorization": [SECRET]}),
        body_select_option(SECRET.encode()),
        dialer.auth_option(Userinfo("alice", SECRET)),
        FieldOption(Settings, "token", SECRET),
    ],
    ids=["header", "body", "credentials", "own"],
)
def test_a_secret_reaches_neither_the_repr_nor_the_error(option: object) -> None:
    with pytest.raises(TypeError) as caught:
        apply(DialOptions(), untyped(option))
    for text in (repr(option), str(option), f"{option}", repr([option]), str(caught.value)):
        assert "FieldOption(" in text
        assert SECRET not in text


def test_only_the_field_that_is_hidden_is_hidden() -> None:
    assert repr(FieldOption(Settings, "name", "visible")).count("visible") == 1
