"""The shared keys."""

import pytest

from gost_core import keys
from gost_core.context import Context
from gost_core.keys import (
    CLIENT_ID,
    DESTINATION_ADDRESS,
    HASH_SOURCE,
    LABELS,
    PEER_CERTIFICATE,
    SESSION_ID,
    SOURCE_ADDRESS,
    TIME_LIMIT,
)


class Address:
    def __init__(self, text: str) -> None:
        self.text = text

    def network(self) -> str:
        return "tcp"

    def __str__(self) -> str:
        return self.text


@pytest.mark.parametrize("name", keys.__all__)
def test_a_key_is_called_like_its_constant(name: str) -> None:
    assert repr(getattr(keys, name)) == f"<Key {name!r}>"


def test_each_key_holds_a_value_of_its_own() -> None:
    client, target = Address("203.0.113.7:50000"), Address("192.0.2.1:443")
    context = (
        Context()
        .with_value(SESSION_ID, "session")
        .with_value(SOURCE_ADDRESS, client)
        .with_value(DESTINATION_ADDRESS, target)
        .with_value(CLIENT_ID, "")
        .with_value(HASH_SOURCE, "203.0.113.7")
        .with_value(LABELS, {"tenant": "blue"})
        .with_value(PEER_CERTIFICATE, b"\x30\x82")
        .with_value(TIME_LIMIT, 0.0)
    )
    assert context.value(SESSION_ID) == "session"
    assert context.value(SOURCE_ADDRESS) is client
    assert context.value(DESTINATION_ADDRESS) is target
    assert context.value(CLIENT_ID) == ""
    assert context.value(HASH_SOURCE) == "203.0.113.7"
    assert context.value(LABELS) == {"tenant": "blue"}
    assert context.value(PEER_CERTIFICATE) == b"\x30\x82"
    assert context.value(TIME_LIMIT) == 0.0
    assert context.without(TIME_LIMIT).value(TIME_LIMIT) is None
