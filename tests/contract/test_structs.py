"""The classes that hold data: options, which are filled, and settings, which never change."""

import copy
import dataclasses
import pickle
import re
import ssl
from typing import Any

import pytest
from typing_extensions import Buffer

from docs._made.package import contract_names, public_classes
from gost_core import connector, dialer, handler, listener
from gost_core.chain import (
    HTTPBodyRewriteSettings,
    HTTPNodeSettings,
    HTTPURLRewriteSetting,
    NodeOptions,
    ProbeConfig,
    TLSNodeSettings,
    TLSOptions,
    http_node_option,
)
from gost_core.common.tls import TLSConfig, TLSSource
from gost_core.common.url import Userinfo
from gost_core.context import Context
from gost_core.hop import SelectOptions
from gost_core.recorder import RecorderObject, RecordOption
from gost_core.routing import Request
from tests.contract.untyped import untyped

SECRET = "s3cret"
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@dataclasses.dataclass(frozen=True)
class Discard:
    """A recorder that keeps nothing and can be pickled."""

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        """Discard a record."""


REQUIRED: dict[str, object] = {
    "context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    "pattern": re.compile("^/api"),
    "recorder": Discard(),
}

CLASSES = [
    cls
    for name in contract_names()
    for cls in public_classes(name)
    if dataclasses.is_dataclass(cls)
]


def has_hash(cls: Any) -> bool:
    """Tell whether objects of a class have a hash, which they have exactly if they are frozen."""
    return cls.__hash__ is not None


FILLED = [cls for cls in CLASSES if not has_hash(cls)]
FROZEN = [cls for cls in CLASSES if has_hash(cls)]


def full_name(cls: type[object]) -> str:
    """Return the name of a class with that of its module."""
    return f"{cls.__module__.removeprefix('gost_core.')}.{cls.__qualname__}"


each_class = pytest.mark.parametrize("cls", CLASSES, ids=full_name)
each_filled = pytest.mark.parametrize("cls", FILLED, ids=full_name)
each_frozen = pytest.mark.parametrize("cls", FROZEN, ids=full_name)


def make(cls: Any) -> Any:
    """Make an object of a class with nothing but what is required."""
    required = {
        field.name: REQUIRED[field.name]
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    return cls(**required)


# ---- All


@each_class
def test_what_is_made_alike_is_equal(cls: type[object]) -> None:
    assert make(cls) == make(cls)
    assert make(cls) != object()


@each_class
def test_a_shallow_copy_is_equal_and_another_object(cls: type[object]) -> None:
    original = make(cls)
    duplicate = copy.copy(original)
    assert duplicate == original
    assert duplicate is not original


@each_class
def test_a_misspelt_attribute_is_refused(cls: type[object]) -> None:
    instance = make(cls)
    assert not hasattr(instance, "__dict__")
    # On a frozen class with slots Python 3.11 and 3.12 raise a TypeError.
    with pytest.raises((AttributeError, TypeError)):
        instance.misspelt = 1


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not TLSConfig], ids=full_name)
def test_a_deep_copy_and_a_pickle_are_equal(cls: type[object]) -> None:
    original = make(cls)
    assert copy.deepcopy(original) == original
    assert pickle.loads(pickle.dumps(original)) == original


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not TLSConfig], ids=full_name)
def test_fields_are_given_by_name_so_that_a_new_one_breaks_no_caller(cls: type[object]) -> None:
    with pytest.raises(TypeError, match="positional"):
        untyped(cls)("value")


@each_class
def test_objects_do_not_share_a_default_that_can_be_changed(cls: type[object]) -> None:
    one, other = make(cls), make(cls)
    for field in dataclasses.fields(untyped(cls)):
        value = getattr(one, field.name)
        if isinstance(value, dict):
            assert getattr(other, field.name) is not value


# ---- Options


@each_filled
def test_options_have_no_hash_since_they_change(cls: type[object]) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(make(cls))


@each_filled
def test_options_can_be_filled_and_compare_by_their_values(cls: type[object]) -> None:
    for field in dataclasses.fields(untyped(cls)):
        options = make(cls)
        value = object()
        setattr(options, field.name, value)
        assert getattr(options, field.name) is value
        assert options != make(cls)


def test_a_copy_of_options_can_be_changed_alone() -> None:
    options = NodeOptions(network="udp", priority=1)
    duplicate = copy.copy(options)
    duplicate.priority = 2
    assert options == NodeOptions(network="udp", priority=1)


# ---- Settings


@each_frozen
def test_settings_that_are_shared_cannot_be_changed(cls: type[object]) -> None:
    settings = make(cls)
    for field in dataclasses.fields(untyped(cls)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, field.name, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(settings, field.name)


@each_frozen
def test_equal_settings_are_found_by_their_hash(cls: type[object]) -> None:
    assert {make(cls): "found"}[make(cls)] == "found"


@pytest.mark.parametrize(
    ("settings", "others"),
    [
        (ProbeConfig(http_headers={"a": "1"}), ProbeConfig(http_headers={"a": "2"})),
        (HTTPNodeSettings(request_header={"a": ""}), HTTPNodeSettings()),
        (HTTPNodeSettings(response_header={"a": ""}), HTTPNodeSettings()),
        (Request(query={"q": ["1"]}), Request(query={"q": ["2"]})),
        (Request(header={"Accept": ["*/*"]}), Request()),
        (Request(body=b"a"), Request(body=b"b")),
        (TLSSource(alpn=["h3"]), TLSSource()),
        (TLSOptions(alpn=["h2"]), TLSOptions(cipher_suites=["TLS_AES_128_GCM_SHA256"])),
        (
            RecorderObject(recorder=Discard(), metadata={"a": [1]}),
            RecorderObject(recorder=Discard()),
        ),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_with_mappings_or_lists_have_a_hash_and_differ_by_them(
    settings: object, others: object
) -> None:
    assert hash(settings) == hash(copy.copy(settings))
    assert settings != others
    assert len({settings, others}) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_settings_survive_pickling_with_all_that_they_hold(protocol: int) -> None:
    settings = HTTPNodeSettings(
        host="example.com",
        request_header={"Authorization": SECRET},
        rewrite_url=[HTTPURLRewriteSetting(pattern=re.compile("^/a"), replacement="/b")],
        rewrite_response_body=[HTTPBodyRewriteSettings(pattern=re.compile(b"a"), replacement=b"b")],
    )
    assert pickle.loads(pickle.dumps(settings, protocol)) == settings


@pytest.mark.parametrize(
    ("cls", "name"), [(RecorderObject, "recorder"), (HTTPURLRewriteSetting, "pattern")]
)
def test_what_makes_no_sense_empty_must_be_given(cls: type[object], name: str) -> None:
    with pytest.raises(TypeError, match=name):
        untyped(cls)()


def test_settings_of_tls_hold_options_though_none_were_given() -> None:
    assert TLSNodeSettings().options == TLSOptions()


# ---- Secrets


@pytest.mark.parametrize(
    "instance",
    [
        ProbeConfig(http_headers={"Authorization": SECRET}),
        ProbeConfig(command=f"curl -u admin:{SECRET} 127.0.0.1"),
        HTTPNodeSettings(request_header={"Authorization": SECRET}),
        HTTPNodeSettings(response_header={"Set-Cookie": SECRET}),
        Request(query={"token": [SECRET]}),
        Request(header={"Authorization": [SECRET]}),
        Request(body=SECRET.encode()),
        SelectOptions(query={"token": [SECRET]}),
        SelectOptions(header={"Authorization": [SECRET]}),
        SelectOptions(body=SECRET.encode()),
        connector.Options(auth=Userinfo("alice", SECRET)),
        dialer.Options(auth=Userinfo("alice", SECRET)),
        handler.Options(auth=Userinfo("alice", SECRET)),
        listener.Options(auth=Userinfo("alice", SECRET)),
        NodeOptions(http=HTTPNodeSettings(request_header={"Authorization": SECRET})),
        http_node_option(HTTPNodeSettings(request_header={"Authorization": SECRET})),
    ],
    ids=lambda instance: type(instance).__name__,
)
def test_a_secret_is_not_shown(instance: object) -> None:
    for text in (repr(instance), str(instance), f"{instance}", repr([instance])):
        assert SECRET not in text
        assert type(instance).__name__ in text


def test_what_is_no_secret_is_shown() -> None:
    assert "'example.com'" in repr(HTTPNodeSettings(host="example.com"))
    assert "'/status'" in repr(ProbeConfig(http_path="/status"))
