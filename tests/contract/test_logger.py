"""Groups of loggers, and the default logger."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import pytest

from gost_core.logger import Logger, LoggerGroup, LogLevel, default, set_default
from tests.contract.untyped import untyped

Line = tuple[str, tuple[object, ...]]

LEVELS = ("trace", "debug", "info", "warn", "error")


class Exited(SystemExit):
    """What a member's ``fatal`` raises, to be told from what the group raises."""


class MemoryLogger:
    """Keeps its lines as pairs of the method that was called and its arguments."""

    def __init__(self, level: LogLevel = LogLevel.INFO) -> None:
        self.lines = list[Line]()
        self.fields = dict[str, object]()
        self.level = level

    def with_fields(self, fields: Mapping[str, object], /) -> "MemoryLogger":
        derived = MemoryLogger(self.level)
        derived.lines = self.lines
        derived.fields = {**self.fields, **fields}
        return derived

    def trace(self, *args: object) -> None:
        self.lines.append(("trace", args))

    def tracef(self, format: str, /, *args: object) -> None:
        self.lines.append(("tracef", (format, *args)))

    def debug(self, *args: object) -> None:
        self.lines.append(("debug", args))

    def debugf(self, format: str, /, *args: object) -> None:
        self.lines.append(("debugf", (format, *args)))

    def info(self, *args: object) -> None:
        self.lines.append(("info", args))

    def infof(self, format: str, /, *args: object) -> None:
        self.lines.append(("infof", (format, *args)))

    def warn(self, *args: object) -> None:
        self.lines.append(("warn", args))

    def warnf(self, format: str, /, *args: object) -> None:
        self.lines.append(("warnf", (format, *args)))

    def error(self, *args: object) -> None:
        self.lines.append(("error", args))

    def errorf(self, format: str, /, *args: object) -> None:
        self.lines.append(("errorf", (format, *args)))

    def fatal(self, *args: object) -> NoReturn:
        self.lines.append(("fatal", args))
        raise Exited(3)

    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        self.lines.append(("fatalf", (format, *args)))
        raise Exited(3)

    def get_level(self) -> LogLevel:
        return self.level

    def is_level_enabled(self, level: LogLevel, /) -> bool:
        return list(LogLevel).index(level) >= list(LogLevel).index(self.level)


class ReturningLogger(MemoryLogger):
    """A logger whose ``fatal`` returns, against the contract."""

    def fatal(self, *args: object) -> Any:
        self.lines.append(("fatal", args))

    def fatalf(self, format: str, /, *args: object) -> Any:
        self.lines.append(("fatalf", (format, *args)))


def call(logger: Logger, method: str) -> None:
    """Call the method of a logger that has this name."""
    log: Callable[..., None] = getattr(logger, method)
    log("%s to %s", "alice", 443)


@pytest.fixture(autouse=True)
def _default_logger() -> Iterator[None]:
    before = default()
    yield
    set_default(before)


# ---- LoggerGroup


@pytest.mark.parametrize("method", [name + suffix for name in LEVELS for suffix in ("", "f")])
def test_each_member_gets_each_line_as_it_was_given(method: str) -> None:
    members = MemoryLogger(LogLevel.FATAL), MemoryLogger(LogLevel.TRACE)
    call(LoggerGroup(*members), method)
    for member in members:
        assert member.lines == [(method, ("%s to %s", "alice", 443))]


def test_the_members_get_a_line_in_their_order() -> None:
    first, second = MemoryLogger(), MemoryLogger()
    second.lines = first.lines
    LoggerGroup(first, second.with_fields({}), first).info("line")
    assert first.lines == [("info", ("line",))] * 3


@pytest.mark.parametrize("member_class", [MemoryLogger, ReturningLogger])
@pytest.mark.parametrize("method", ["fatal", "fatalf"])
def test_a_fatal_line_reaches_all_members_and_then_the_program_ends(
    method: str, member_class: type[MemoryLogger]
) -> None:
    members = [member_class(), MemoryLogger(), member_class()]
    with pytest.raises(SystemExit) as caught:
        call(LoggerGroup(*members), method)
    assert type(caught.value) is SystemExit
    assert caught.value.code == 1
    for member in members:
        assert member.lines == [(method, ("%s to %s", "alice", 443))]


@pytest.mark.parametrize("method", ["fatal", "fatalf"])
def test_a_fatal_line_ends_the_program_also_without_members(method: str) -> None:
    with pytest.raises(SystemExit) as caught:
        call(LoggerGroup(), method)
    assert caught.value.code == 1


def test_fields_go_to_new_members_and_the_group_stays_as_it_is() -> None:
    members = MemoryLogger(), MemoryLogger()
    group = LoggerGroup(*members)
    assert group.with_fields({"service": "a"}).with_fields({"sid": 1}) is not group
    derived = [member.with_fields({"service": "a"}) for member in members]
    assert [member.fields for member in members] == [{}, {}]
    assert [member.fields for member in derived] == [{"service": "a"}] * 2


def test_each_member_of_a_derived_group_has_the_fields() -> None:
    seen = list[tuple[str, Mapping[str, object]]]()

    class Named(MemoryLogger):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def with_fields(self, fields: Mapping[str, object], /) -> "Named":
            seen.append((self.name, fields))
            derived = Named(f"{self.name}'")
            derived.lines = self.lines
            return derived

    one, other = Named("one"), Named("other")
    derived = LoggerGroup(one, other).with_fields({"sid": 1}).with_fields({"kind": "http"})
    assert seen == [
        ("one", {"sid": 1}),
        ("other", {"sid": 1}),
        ("one'", {"kind": "http"}),
        ("other'", {"kind": "http"}),
    ]
    derived.info("line")
    assert one.lines == other.lines == [("info", ("line",))]


def test_a_level_is_enabled_if_any_member_writes_it() -> None:
    group = LoggerGroup(MemoryLogger(LogLevel.ERROR), MemoryLogger(LogLevel.DEBUG))
    enabled = [level for level in LogLevel if group.is_level_enabled(level)]
    assert enabled == [
        LogLevel.DEBUG,
        LogLevel.INFO,
        LogLevel.WARN,
        LogLevel.ERROR,
        LogLevel.FATAL,
    ]


def test_the_level_is_that_of_the_first_member() -> None:
    group = LoggerGroup(MemoryLogger(LogLevel.ERROR), MemoryLogger(LogLevel.DEBUG))
    assert group.get_level() is LogLevel.ERROR


def test_an_empty_group_writes_nothing_and_says_so() -> None:
    group = LoggerGroup()
    assert not any(group.is_level_enabled(level) for level in LogLevel)
    assert group.get_level() is LogLevel.INFO
    group.infof("%d does not fit", "this")
    group.with_fields({"sid": 1}).error("nothing")


def test_a_member_that_is_none_is_refused_at_once_and_located() -> None:
    with pytest.raises(TypeError, match="logger 2 of the group is None"):
        LoggerGroup(MemoryLogger(), untyped(None))


def test_a_group_cannot_be_changed_by_what_it_was_made_of() -> None:
    member = MemoryLogger()
    members = [member]
    group = LoggerGroup(*members)
    members.append(member)
    group.info("line")
    assert len(member.lines) == 1


def test_the_repr_of_a_group_shows_its_members() -> None:
    assert repr(LoggerGroup(LoggerGroup(), LoggerGroup())) == (
        "LoggerGroup(LoggerGroup(), LoggerGroup())"
    )


# ---- The default logger


def test_loggers_of_different_classes_may_follow_each_other_as_the_default() -> None:
    for logger in (MemoryLogger(), LoggerGroup(MemoryLogger()), ReturningLogger()):
        set_default(logger)
        assert default() is logger


def test_who_has_the_former_default_keeps_it() -> None:
    former, later = MemoryLogger(), MemoryLogger()
    set_default(former)
    kept = default()
    set_default(later)
    kept.info("line")
    assert len(former.lines) == 1
    assert later.lines == []


def test_none_is_refused_as_the_default_and_the_former_one_stays() -> None:
    logger = MemoryLogger()
    set_default(logger)
    with pytest.raises(TypeError, match=r"LoggerGroup\(\)"):
        set_default(untyped(None))
    assert default() is logger


@pytest.mark.needs("processes")
def test_before_a_default_is_set_lines_are_discarded_and_a_fatal_one_ends_the_program() -> None:
    # In a process of its own: only there is nothing set yet.
    program = """
from gost_core.logger import LogLevel, default
logger = default()
logger.errorf("%s", "line")
logger.with_fields({"sid": 1}).error("line")
assert not logger.is_level_enabled(LogLevel.FATAL)
logger.fatal("line")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


# ---- Levels


def test_levels_are_declared_by_severity_and_do_not_compare_as_text() -> None:
    assert [level.value for level in LogLevel] == [*LEVELS, "fatal"]
    with pytest.raises(TypeError):
        max(untyped(LogLevel))
