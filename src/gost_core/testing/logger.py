"""The contract of loggers."""

import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import Final, Generic, NoReturn, TypeAlias

from typing_extensions import TypeVar

from gost_core.logger import Logger, LogLevel
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import expect, given, in_threads, need

__all__ = ("LoggerContract",)

LoggerT = TypeVar("LoggerT", bound=Logger, default=Logger)

_LEVELS: Final[tuple[LogLevel, ...]] = tuple(LogLevel)
_LINES: Final[int] = 50

_Method: TypeAlias = Callable[..., None]


def _plain(logger: Logger, end: str = "") -> dict[str, _Method]:
    """Return the methods that join their arguments, by name and severity, but ``fatal``."""
    return {name: getattr(logger, name) for name in (one.value + end for one in _LEVELS[:-1])}


def _formatting(logger: Logger) -> dict[str, _Method]:
    """Return the methods that format, by name and severity, but ``fatalf``."""
    return _plain(logger, "f")


class LoggerContract(Contract, Generic[LoggerT], interface=Logger):
    """What a logger promises."""

    make: Callable[[LogLevel], LoggerT] = field(kw_only=False)
    """Makes a logger of a level, which has written nothing."""
    lines: Callable[[LoggerT], Awaitable[Sequence[str]]] | None = None
    """Reads back the lines that a logger, and all made from it by ``with_fields``, have written, in
    whatever format."""
    set_level: Callable[[LoggerT, LogLevel], Awaitable[object]] | None = None
    """Changes the level of a logger."""

    async def _specimen(self) -> LoggerT:
        return self.make(LogLevel.INFO)

    async def _written(self, logger: LoggerT, *parts: str) -> list[str]:
        """Return the lines that hold all of ``parts``."""
        lines = await given(need(self.lines, "lines")(logger), "lines()")
        return [line for line in lines if all(part in line for part in parts)]

    async def _expect_written(self, logger: LoggerT, what: str, *parts: str) -> None:
        count = len(await self._written(logger, *parts))
        holding = " and ".join(map(repr, parts))
        expect(count == 1, f"after {what}, {count} lines held {holding}, instead of one")

    @clause("get_level() tells the level that the logger was made with.", "D59")
    async def level_told(self) -> None:
        for level in _LEVELS:
            told = self.make(level).get_level()
            expect(told is level, f"get_level() of a logger of {level.name} returned {told!r}")

    @clause(
        "A level is enabled if it is as severe as the logger's or more, TRACE the least severe.",
        "D59",
    )
    async def levels_ordered(self) -> None:
        for position, level in enumerate(_LEVELS):
            logger = self.make(level)
            for other, asked in enumerate(_LEVELS):
                enabled = logger.is_level_enabled(asked)
                expect(
                    enabled is (other >= position),
                    f"is_level_enabled({asked.name}) was {enabled} in a logger of {level.name}",
                )

    @clause("Each method writes a line if its level is enabled, and nothing else.", "D59")
    async def levels_written(self) -> None:
        for position, level in enumerate(_LEVELS):
            logger = self.make(level)
            for methods in (_plain(logger), _formatting(logger)):
                for severity, (name, log) in enumerate(methods.items()):
                    log(f"message of {name}, the end")
                    lines = await self._written(logger, f"message of {name}, the end")
                    expect(
                        len(lines) == (severity >= position),
                        f"{name}() of a logger of {level.name} wrote {len(lines)} lines",
                    )

    @clause("The plain methods join str() of their arguments with spaces.", "D59")
    async def joins_with_spaces(self) -> None:
        logger = self.make(LogLevel.TRACE)
        for name, log in _plain(logger).items():
            log(name, "and", 1, None, LogLevel.INFO)
            joined = f"{name} and 1 None {LogLevel.INFO}"
            await self._expect_written(logger, f"{name}() of 5 arguments", joined)
            log(f"{name} of 50%", "and %s", "%%", name.upper())
            whole = f"{name} of 50% and %s %% {name.upper()}"
            await self._expect_written(logger, f"{name}() of texts with percent signs", whole)

    @clause("The methods that end in f format by format % args.", "D59")
    async def formats(self) -> None:
        logger = self.make(LogLevel.TRACE)
        for name, log in _formatting(logger).items():
            log("%s has %03d of %.1f%%", name, 7, 0.25)
            await self._expect_written(logger, f"{name}()", f"{name} has 007 of 0.2%")
            log(f"{name} is at 100%%.")
            await self._expect_written(logger, f"{name}() of %% alone", f"{name} is at 100%.")
            log(f"{name} of %s.", (1, {"key": "%d"}))
            text = name + " of (1, {'key': '%d'})."
            await self._expect_written(logger, f"{name}() of a tuple", text)

    @clause(
        "A line tells what its arguments were when it was logged, whatever becomes of them.",
        "D23, D59",
        after=("formats", "joins_with_spaces"),
    )
    async def arguments_not_kept(self) -> None:
        logger = self.make(LogLevel.TRACE)
        for name, log in (*_plain(logger).items(), *_formatting(logger).items()):
            lent = {"state": "early"}
            log(f"{name} of %s", lent)
            lent["state"] = "late"
            await self._expect_written(logger, f"{name}() of what changed", f"{name} of", "early")

    @clause("A line that is not enabled is not formatted.", "D59")
    async def formats_if_enabled(self) -> None:
        logger = self.make(LogLevel.FATAL)
        for name, log in _formatting(logger).items():
            witness = _Witness()
            log("%s", witness)
            expect(not witness.asked, f"an argument of {name}() was formatted at level FATAL")

    @clause("Logging never raises, whatever it is given, also as a field.", "D59")
    async def never_raises(self) -> None:
        logger = self.make(LogLevel.TRACE)
        with_field = logger.with_fields({"a_key": _Unprintable()})
        for name, log in (*_plain(logger).items(), *_plain(with_field).items()):
            for plain in ((), (_Unprintable(),), ("%d", object())):
                _log_unharmed(name, log, plain)
        for name, log in (*_formatting(logger).items(), *_formatting(with_field).items()):
            for arguments in (
                ("%d", "no number"),
                ("%s",),
                ("%s and %s", 1),
                ("no place", "for this"),
                ("100%", 1),
                ("%(name)s", 1),
                ("%s", _Unprintable()),
                ("%", _Unprintable()),
            ):
                _log_unharmed(name, log, arguments)

    @clause(
        "A format that does not fit its arguments is written as it is, with them behind it.",
        "D59",
        after=("formats", "never_raises"),
    )
    async def misfit_written(self) -> None:
        logger = self.make(LogLevel.TRACE)
        for name, log in _formatting(logger).items():
            log("%d apples", f"many-{name}")
            await self._expect_written(logger, f"{name}()", "%d apples", f"many-{name}")
            log(f"{name} is at 99%")
            await self._expect_written(logger, f"{name}() with a bare %", f"{name} is at 99%")

    @clause("with_fields() returns a logger that adds the fields to its lines.", "D59")
    async def fields_added(self) -> None:
        logger = self.make(LogLevel.INFO)
        child = logger.with_fields({"first_key": "first-value"})
        child.with_fields({}).with_fields({"second_key": 2222}).info("one message")
        parts = ("one message", "first_key", "first-value", "second_key", "2222")
        await self._expect_written(logger, "logging with 2 fields", *parts)

    @clause(
        "with_fields() leaves the logger itself as it is, and what was made from it before.",
        "D59",
        after=("fields_added",),
    )
    async def fields_apart(self) -> None:
        logger = self.make(LogLevel.INFO)
        child = logger.with_fields({"first_key": "first-value"})
        logger.with_fields({"first_key": "other-value"}).info("beside it")
        child.info("with a field")
        logger.info("without a field")
        made = "logging by one of two loggers with fields"
        await self._expect_written(logger, made, "with a field", "first-value")
        await self._expect_written(logger, "logging without fields", "without a field")
        lines = await self._written(logger, "without a field", "first-value")
        expect(not lines, "a line of the logger held a field of the one made from it")

    @clause("with_fields() copies the mapping.", "D59", after=("fields_added",))
    async def fields_copied(self) -> None:
        logger = self.make(LogLevel.INFO)
        fields = {"first_key": "old-value"}
        child = logger.with_fields(fields)
        fields["first_key"] = "new-value"
        child.info("one message")
        await self._expect_written(
            logger, "the caller had changed its mapping", "one message", "old-value"
        )

    @clause(
        "Of two fields of one key the later wins, and stands in the line once.",
        "D59",
        after=("fields_added",),
    )
    async def later_field_wins(self) -> None:
        logger = self.make(LogLevel.INFO)
        child = logger.with_fields({"first_key": "old-value"})
        child.with_fields({"first_key": "new-value"}).info("one message")
        for line in await self._written(logger, "one message"):
            keys, old, new = map(line.count, ("first_key", "old-value", "new-value"))
            expect(
                (keys, old, new) == (1, 0, 1),
                f"with a field set twice, the line held its key {keys} times, the old value {old} "
                f"times and the new one {new} times",
            )

    @clause(
        "A logger made by with_fields() shares the level, also when it changes.",
        "D59",
        after=("level_told", "levels_ordered"),
    )
    async def level_shared(self) -> None:
        logger = self.make(LogLevel.WARN)
        child = logger.with_fields({"first_key": "first-value"})
        for level in (LogLevel.WARN, LogLevel.DEBUG, LogLevel.ERROR):
            if level is not LogLevel.WARN:
                set_level = need(self.set_level, "set_level")
                await given(set_level(logger, level), "set_level()")
            for one in (logger, child):
                told, warns = one.get_level(), one.is_level_enabled(LogLevel.WARN)
                right = told is level and warns is (level is not LogLevel.ERROR)
                expect(right, f"at {level.name}, one told {told!r}, and for WARN {warns}")

    @clause("fatal() and fatalf() raise SystemExit(1).", "D59")
    async def fatal_exits(self) -> None:
        logger = self.make(LogLevel.FATAL)
        for what, log in (("fatal()", logger.fatal), ("fatalf()", logger.fatalf)):
            for arguments in (("the end",), ("%d", "no number")):
                code = _exit_code(log, *arguments)
                expect(code == 1, f"{what} raised SystemExit({code!r}) instead of SystemExit(1)")

    @clause("fatal() and fatalf() write their line first.", "D59", after=("fatal_exits", "formats"))
    async def fatal_written(self) -> None:
        logger = self.make(LogLevel.FATAL)
        _exit_code(logger.fatal, "the", "end")
        await self._expect_written(logger, "fatal()", "the end")
        _exit_code(logger.fatalf, "end %d", 7)
        await self._expect_written(logger, "fatalf()", "end 7")

    @clause(
        "Lines that threads write at once stay whole, with their fields.",
        "D21, D59",
        after=("fields_added", "levels_written"),
    )
    async def threads(self) -> None:
        logger = self.make(LogLevel.INFO)
        child = logger.with_fields({"first_key": "first-value"})

        def log(number: int) -> str:
            message = f"begin-{threading.get_ident()}-{number}-end"
            child.info(message)
            return message

        written = await in_threads(log, _LINES, "info() from threads")
        lines = await self._written(logger, "begin-")
        for message in (message for messages in written for message in messages):
            count = sum(message in line and "first-value" in line for line in lines)
            whole = f"{message!r} and its field"
            expect(count == 1, f"after logging from threads, {count} lines held {whole}")
        mixed = [line for line in lines if line.count("begin-") > 1]
        expect(not mixed, f"{len(mixed)} lines held the messages of several threads")


class _Witness:
    """Knows whether it was formatted."""

    def __init__(self) -> None:
        self.asked = False

    def __str__(self) -> str:
        self.asked = True
        return "witness"


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("this has no text")

    __repr__ = __str__


def _log_unharmed(name: str, log: _Method, arguments: tuple[object, ...]) -> None:
    try:
        log(*arguments)
    except Exception as error:
        shown = ", ".join(
            "an object without text" if isinstance(one, _Unprintable) else repr(one)
            for one in arguments
        )
        raise Broken(f"{name}({shown}) raised {describe(error)}") from error


def _exit_code(log: Callable[..., NoReturn], *arguments: object) -> object:
    try:
        log(*arguments)
    except SystemExit as exit_:
        return exit_.code
    raise Broken("fatal() or fatalf() returned instead of raising SystemExit(1)")
