"""What the example's metadata, registry and logger keep of their contracts."""

import logging

import pytest

from gost_core.logger import LogLevel
from gost_core.metadata import Metadata
from gost_core.registry import DuplicateError
from proxy.logger import StandardLogger
from proxy.metadata import MemoryMetadata, number
from proxy.registry import MemoryRegistry


def test_metadata_ignores_case_and_knows_a_stored_none() -> None:
    metadata: Metadata = MemoryMetadata({"maxFails": 3, "nothing": None})
    assert metadata.get("MAXFAILS") == 3
    assert metadata.is_exists("Nothing")
    assert not metadata.is_exists("failTimeout")


def test_a_registry_keeps_the_first_of_two() -> None:
    registry = MemoryRegistry[str]()
    registry.register("name", "first")
    with pytest.raises(DuplicateError):
        registry.register("name", "second")
    with pytest.raises(ValueError, match="empty"):
        registry.register("", "value")
    everything = registry.get_all()
    assert registry.get("name") == "first"
    registry.unregister("name")
    registry.unregister("name")
    assert everything == {"name": "first"}
    assert registry.get("name") is None
    assert not registry.is_registered("name")


@pytest.mark.parametrize(
    ("value", "expected"), [(3, 3), (0.5, 0.5), ("7", 7), (0, 10), (-1, 10), (None, 10)]
)
def test_a_number_is_read_or_its_default(value: object, expected: float) -> None:
    assert number(MemoryMetadata({"key": value}), "KEY", 10) == expected
    assert number(None, "key", 10) == 10


@pytest.mark.parametrize("value", ["many", "", True, [1], {}])
def test_a_setting_that_is_no_number_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="maxFails"):
        number(MemoryMetadata({"maxFails": value}), "maxFails", 1)


class Unspeakable:
    """An object without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_logger_never_raises_and_writes_what_it_can(caplog: pytest.LogCaptureFixture) -> None:
    logger = StandardLogger(logging.getLogger("test"))
    caplog.set_level(logging.INFO, "test")
    logger.info("one", 2, None)
    logger.infof("%d of %s", 1, "two")
    logger.infof("%d of %s", "one")
    logger.infof("100%")
    logger.info(Unspeakable())
    logger.infof("%s", Unspeakable())
    assert [record.getMessage() for record in caplog.records] == [
        "one 2 None",
        "1 of two",
        "%d of %s one",
        "100%",
        "<Unspeakable without text: RuntimeError>",
        "%s <Unspeakable without text: RuntimeError>",
    ]


def test_later_fields_win_and_loggers_share_their_level(caplog: pytest.LogCaptureFixture) -> None:
    logger = StandardLogger(logging.getLogger("test"))
    fields: dict[str, object] = {"a": 1, "b": 1}
    other = logger.with_fields(fields).with_fields({"b": 2})
    fields["a"] = 3
    caplog.set_level(logging.WARNING, "test")
    other.info("not written")
    other.warn("written")
    logger.warn("plain")
    assert [record.getMessage() for record in caplog.records] == ["written a=1 b=2", "plain"]
    assert logger.get_level() is other.get_level() is LogLevel.WARN
    assert not other.is_level_enabled(LogLevel.INFO)
    assert other.is_level_enabled(LogLevel.FATAL)


def test_a_fatal_line_ends_the_program(caplog: pytest.LogCaptureFixture) -> None:
    logger = StandardLogger(logging.getLogger("test"))
    with pytest.raises(SystemExit) as caught:
        logger.fatalf("over %s", "now")
    assert caught.value.code == 1
    assert caplog.messages == ["over now"]
