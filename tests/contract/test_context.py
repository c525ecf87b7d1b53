"""Contexts and their keys."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gost_core.context import Context, Key
from tests.contract.untyped import untyped

USER = Key[str]("USER")
PORT = Key[int]("PORT")

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


# ---- Context


def test_an_empty_context_holds_nothing() -> None:
    assert Context().value(USER) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers()),
        max_size=20,
    )
)
def test_a_context_never_changes_whatever_is_derived_from_it(
    steps: list[tuple[int, int, int]],
) -> None:
    keys = [Key[int]("same name") for _ in range(4)]
    contexts = [Context()]
    expected: list[dict[int, int]] = [{}]
    for parent, key, value in steps:
        parent %= len(contexts)
        contexts.append(contexts[parent].with_value(keys[key], value))
        expected.append({**expected[parent], key: value})
    for context, values in zip(contexts, expected, strict=True):
        assert [context.value(key) for key in keys] == [values.get(index) for index in range(4)]


@pytest.mark.needs("threads")
def test_threads_that_derive_from_one_context_do_not_see_each_others_values() -> None:
    shared = Context().with_value(USER, "shared")

    def derive(port: int) -> tuple[int | None, str | None]:
        context = shared
        for number in (port, -port, port):
            context = context.with_value(PORT, number)
        return context.value(PORT), context.value(USER)

    with ThreadPoolExecutor(8) as threads:
        derived = list(threads.map(derive, range(400)))
    assert derived == [(port, "shared") for port in range(400)]
    assert shared.value(PORT) is None


@pytest.mark.parametrize("value", ["", 0, False, 0.0, b"", (), []], ids=repr)
def test_a_value_that_tests_false_is_held_and_is_not_absent(value: object) -> None:
    key = Key[object]("ANY")
    assert Context().with_value(key, value).value(key) is value


def test_none_is_refused_since_it_would_look_absent() -> None:
    with pytest.raises(TypeError, match="USER"):
        Context().with_value(USER, untyped(None))


def test_a_value_is_shared_and_not_copied() -> None:
    key = Key[list[int]]("NUMBERS")
    numbers = [1]
    context = Context().with_value(key, numbers).with_value(USER, "alice")
    assert context.value(key) is numbers


def test_the_repr_names_the_keys_and_shows_no_value() -> None:
    context = Context().with_value(USER, "s3cret").with_value(PORT, 8443)
    for text in (repr(context), str(context), f"{context}", repr([context])):
        assert "USER" in text
        assert "PORT" in text
        assert "s3cret" not in text
        assert "8443" not in text


def test_a_context_takes_no_attributes() -> None:
    with pytest.raises(AttributeError):
        untyped(Context()).user = "alice"


def test_a_copied_context_still_finds_its_values() -> None:
    context = Context().with_value(USER, "alice")
    assert copy.copy(context).value(USER) == "alice"
    assert copy.deepcopy([context])[0].value(USER) == "alice"


def test_pickling_a_context_is_refused_instead_of_losing_its_values() -> None:
    context = Context().with_value(USER, "alice")
    with pytest.raises(TypeError, match="USER"):
        pickle.dumps(context)


@given(st.lists(st.integers(0, 3), max_size=6), st.integers(0, 3))
def test_a_context_without_a_key_lacks_this_one_and_no_other(held: list[int], index: int) -> None:
    keys = [Key[int]("same name") for _ in range(4)]
    context = Context()
    for number in held:
        context = context.with_value(keys[number], number)
    without = context.without(keys[index])
    expected = [number if number in held else None for number in range(4)]
    assert [context.value(key) for key in keys] == expected
    expected[index] = None
    assert [without.value(key) for key in keys] == expected


def test_a_context_without_a_key_gives_it_a_value_again() -> None:
    context = Context().with_value(USER, "alice").without(USER)
    assert context.with_value(USER, "bob").value(USER) == "bob"


# ---- Key


def test_keys_of_the_same_name_are_different_keys() -> None:
    one, other = Key[str]("USER"), Key[str]("USER")
    assert one != other
    context = Context().with_value(one, "alice")
    assert context.value(other) is None
    assert context.with_value(other, "bob").value(one) == "alice"


def test_a_key_equals_itself_and_can_be_looked_up() -> None:
    assert {USER: "found"}[USER] == "found"
    assert len({USER, PORT, USER}) == 2


def test_a_copy_of_a_key_is_the_key() -> None:
    assert copy.copy(USER) is USER
    assert copy.deepcopy([USER])[0] is USER


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickling_a_key_is_refused_with_the_remedy(protocol: int) -> None:
    with pytest.raises(TypeError, match=r"'USER'.*import the key"):
        pickle.dumps(USER, protocol)


def test_the_repr_of_a_key_shows_its_name() -> None:
    assert "'USER'" in repr(USER)
