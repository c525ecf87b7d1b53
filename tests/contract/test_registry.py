"""What a configuration mentions must be there."""

from collections.abc import Mapping

import pytest

from gost_core.registry import MissingError, Registry, require


class Words(Registry[str]):
    """A registry of texts, of which one is empty."""

    def register(self, name: str, value: str, /) -> None:
        raise NotImplementedError

    def unregister(self, name: str, /) -> None:
        raise NotImplementedError

    def is_registered(self, name: str, /) -> bool:
        raise NotImplementedError

    def get(self, name: str, /) -> str | None:
        return {"greeting": "hello", "silence": ""}.get(name)

    def get_all(self) -> Mapping[str, str]:
        raise NotImplementedError


@pytest.mark.parametrize(("name", "value"), [("greeting", "hello"), ("silence", "")])
def test_what_is_there_is_returned_though_it_tests_false(name: str, value: str) -> None:
    assert require(Words(), name) == value


@pytest.mark.parametrize("name", ["", "Greeting", "an other"])
def test_what_is_missing_is_an_error_that_quotes_the_name(name: str) -> None:
    with pytest.raises(MissingError, match=f"'{name}'"):
        require(Words(), name)


def test_a_missing_name_is_a_lookup_that_failed() -> None:
    assert issubclass(MissingError, LookupError)
