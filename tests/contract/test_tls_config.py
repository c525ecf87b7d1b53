"""TLS settings."""

import copy
import dataclasses
import ssl
from typing import Any

import pytest

from gost_core.common.tls import TLSConfig, TLSSource
from tests.contract.untyped import untyped


def test_the_context_is_the_one_that_was_given_and_stays_as_it_was() -> None:
    context = ssl.create_default_context()
    before = (context.verify_mode, context.check_hostname, context.options)
    config = TLSConfig(context, "example.com")
    assert config.context is context
    assert copy.copy(config).context is context
    assert (context.verify_mode, context.check_hostname, context.options) == before


def test_the_server_name_is_that_of_the_address_unless_it_is_given() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert TLSConfig(context).server_name == ""
    assert TLSConfig(context=context, server_name="example.com").server_name == "example.com"


@pytest.mark.parametrize("name", ["context", "server_name", "source"])
def test_a_config_that_connections_share_cannot_be_changed(name: str) -> None:
    config: Any = TLSConfig(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, None)


def test_configs_are_equal_if_they_share_the_context_and_the_name() -> None:
    context, other = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    config = TLSConfig(context, "example.com")
    assert {config: "found"}[TLSConfig(context, "example.com")] == "found"
    assert config != TLSConfig(context, "example.org")
    assert config != TLSConfig(other, "example.com")


def test_a_config_tells_what_its_context_was_made_of_only_if_somebody_says_so() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    source = TLSSource(ca_file="ca.pem", alpn=["h3"])
    assert TLSConfig(context).source is None
    assert TLSConfig(context, "example.com", source=source).source is source
    assert TLSConfig(context) != TLSConfig(context, source=source)
    with pytest.raises(TypeError, match="positional"):
        untyped(TLSConfig)(context, "example.com", source)


def test_a_source_verifies_unless_it_is_told_not_to() -> None:
    assert TLSSource() == TLSSource(cert_file="", key_file="", ca_file="", alpn=(), verify=True)
