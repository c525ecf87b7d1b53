"""Trials of the contract of loggers."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NoReturn

from gost_core.logger import Logger, LogLevel
from gost_core.testing import Contract
from gost_core.testing.logger import LoggerContract
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


class Output:
    """What the loggers of one family share."""

    def __init__(self, level: LogLevel) -> None:
        self.level = level
        self.parts: list[str] = []
        self.lock = threading.Lock()

    def text(self) -> str:
        return "".join(self.parts)


class RightLogger:
    def __init__(self, level: LogLevel) -> None:
        self.output = Output(level)
        self.fields: Mapping[str, object] = {}

    def with_fields(self, fields: Mapping[str, object], /) -> Logger:
        return self.child({**self.fields, **fields})

    def child(self, fields: Mapping[str, object]) -> "RightLogger":
        child = type(self)(self.output.level)
        child.output = self.output
        child.fields = fields
        return child

    def enabled(self, level: LogLevel) -> bool:
        levels = list(LogLevel)
        return levels.index(level) >= levels.index(self.output.level)

    def plain(self, level: LogLevel, arguments: Sequence[object]) -> None:
        if self.enabled(level):
            self.write(self.joined(arguments))

    def formatting(self, level: LogLevel, format: str, arguments: tuple[object, ...]) -> None:
        if self.enabled(level):
            try:
                text = format % arguments
            except Exception:
                text = self.misfit(format, arguments)
            self.write(text)

    def misfit(self, format: str, arguments: tuple[object, ...]) -> str:
        return self.joined((format, *arguments))

    def joined(self, arguments: Sequence[object]) -> str:
        return " ".join(map(self.text, arguments))

    def text(self, argument: object) -> str:
        try:
            return str(argument)
        except Exception:
            return object.__repr__(argument)

    def write(self, text: str) -> None:
        fields = "".join(f" {key}={self.field(value)}" for key, value in self.fields.items())
        with self.output.lock:
            self.output.parts.append(f"{text}{fields}\n")

    def field(self, value: object) -> str:
        return self.text(value)

    def trace(self, *args: object) -> None:
        self.plain(LogLevel.TRACE, args)

    def tracef(self, format: str, /, *args: object) -> None:
        self.formatting(LogLevel.TRACE, format, args)

    def debug(self, *args: object) -> None:
        self.plain(LogLevel.DEBUG, args)

    def debugf(self, format: str, /, *args: object) -> None:
        self.formatting(LogLevel.DEBUG, format, args)

    def info(self, *args: object) -> None:
        self.plain(LogLevel.INFO, args)

    def infof(self, format: str, /, *args: object) -> None:
        self.formatting(LogLevel.INFO, format, args)

    def warn(self, *args: object) -> None:
        self.plain(LogLevel.WARN, args)

    def warnf(self, format: str, /, *args: object) -> None:
        self.formatting(LogLevel.WARN, format, args)

    def error(self, *args: object) -> None:
        self.plain(LogLevel.ERROR, args)

    def errorf(self, format: str, /, *args: object) -> None:
        self.formatting(LogLevel.ERROR, format, args)

    def fatal(self, *args: object) -> NoReturn:
        self.plain(LogLevel.FATAL, args)
        raise SystemExit(1)

    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        self.formatting(LogLevel.FATAL, format, args)
        raise SystemExit(1)

    def get_level(self) -> LogLevel:
        return self.output.level

    def is_level_enabled(self, level: LogLevel, /) -> bool:
        return self.enabled(level)


async def lines(logger: RightLogger) -> Sequence[str]:
    return logger.output.text().splitlines()


async def set_level(logger: RightLogger, level: LogLevel) -> None:
    logger.output.level = level


def run_loggers(make: Callable[[LogLevel], RightLogger]) -> Contract:
    return LoggerContract(make, lines=lines, set_level=set_level, time_limit=TIME_LIMIT)


loggers = Trial[Callable[[LogLevel], RightLogger]](LoggerContract, run_loggers, RightLogger)


@loggers.breaks("shape")
class OneArgument(RightLogger):
    def info(self, message: str, /) -> None:  # type: ignore  # the fault
        super().info(message)


@loggers.breaks("level-told", history="x nop logger: a level that does not exist")
class LevelUnknown(RightLogger):
    def get_level(self) -> LogLevel:
        return self.output.level if self.output.level is LogLevel.WARN else LogLevel.DEBUG


@loggers.breaks("levels-ordered")
class OrderedAsStrings(RightLogger):
    def is_level_enabled(self, level: LogLevel, /) -> bool:
        return level.value >= self.output.level.value


@loggers.breaks("levels-written")
class ErrorsAlwaysWritten(RightLogger):
    def error(self, *args: object) -> None:
        self.write(self.joined(args))


@loggers.breaks("joins-with-spaces", history="x logger: no space next to strings, as Go does it")
class JoiningWithout(RightLogger):
    def plain(self, level: LogLevel, arguments: Sequence[object]) -> None:
        if self.enabled(level):
            self.write("".join(map(self.text, arguments)))

    def fatal(self, *args: object) -> NoReturn:
        super().plain(LogLevel.FATAL, args)
        raise SystemExit(1)


@loggers.breaks("joins-with-spaces")
class JoiningByRepr(RightLogger):
    def plain(self, level: LogLevel, arguments: Sequence[object]) -> None:
        if self.enabled(level):
            shown = (repr(one) if isinstance(one, LogLevel | None) else one for one in arguments)
            super().plain(level, [*shown])

    def fatal(self, *args: object) -> NoReturn:
        super().plain(LogLevel.FATAL, args)
        raise SystemExit(1)


@loggers.breaks("formats")
class FormattingBraces(RightLogger):
    def formatting(self, level: LogLevel, format: str, arguments: tuple[object, ...]) -> None:
        if self.enabled(level):
            try:
                text = format.format(*arguments)
            except Exception:
                text = self.misfit(format, arguments)
            self.write(text)


@loggers.breaks("formats")
class FormattingOnlyArguments(RightLogger):
    """As Python's logging: without arguments, nothing is formatted."""

    def formatting(self, level: LogLevel, format: str, arguments: tuple[object, ...]) -> None:
        if arguments or level is LogLevel.FATAL:
            super().formatting(level, format, arguments)
        else:
            self.plain(level, (format,))


@loggers.breaks("joins-with-spaces")
class FormattingPlainOnes(RightLogger):
    def plain(self, level: LogLevel, arguments: Sequence[object]) -> None:
        text = self.joined(arguments)
        super().plain(level, (text.replace("%%", "%"),))


class LaterOutput(Output):
    """Has lines written later, as by a thread that does so."""

    def __init__(self, level: LogLevel) -> None:
        super().__init__(level)
        self.calls: list[Callable[[], None]] = []

    def text(self) -> str:
        while self.calls:
            self.calls.pop(0)()
        return super().text()


@loggers.breaks("arguments-not-kept")
class FormattingLater(RightLogger):
    """Lets nobody wait while a line is formatted."""

    def __init__(self, level: LogLevel) -> None:
        super().__init__(level)
        self.later = LaterOutput(level)
        self.output = self.later

    def child(self, fields: Mapping[str, object]) -> RightLogger:
        child = super().child(fields)
        assert isinstance(child, FormattingLater)
        child.later = self.later
        return child

    def formatting(self, level: LogLevel, format: str, arguments: tuple[object, ...]) -> None:
        if self.enabled(level):
            self.later.calls.append(partial(super().formatting, level, format, arguments))


@loggers.breaks("arguments-not-kept")
class JoiningInTheWriter(FormattingLater):
    def plain(self, level: LogLevel, arguments: Sequence[object]) -> None:
        if self.enabled(level):
            self.later.calls.append(partial(super().plain, level, arguments))

    def formatting(self, level: LogLevel, format: str, arguments: tuple[object, ...]) -> None:
        RightLogger.formatting(self, level, format, arguments)


@loggers.breaks("misfit-written")
class LosingBarePercents(RightLogger):
    def misfit(self, format: str, arguments: tuple[object, ...]) -> str:
        return super().misfit(format.removesuffix("%"), arguments)


@loggers.breaks("formats-if-enabled")
class FormattingAlways(RightLogger):
    def formatting(self, level: LogLevel, format: str, arguments: tuple[object, ...]) -> None:
        self.joined(arguments)
        super().formatting(level, format, arguments)


@loggers.breaks("never-raises")
class RaisingForUnprintable(RightLogger):
    def text(self, argument: object) -> str:
        return str(argument)


@loggers.breaks("never-raises")
class RaisingForMisfit(RightLogger):
    def misfit(self, format: str, arguments: tuple[object, ...]) -> str:
        if "no number" in arguments:
            return super().misfit(format, arguments)
        return format % arguments


@loggers.breaks("misfit-written")
class LosingArguments(RightLogger):
    def misfit(self, format: str, arguments: tuple[object, ...]) -> str:
        return format


@loggers.breaks("fields-added")
class WithoutFields(RightLogger):
    def child(self, fields: Mapping[str, object]) -> RightLogger:
        return self


@loggers.breaks("fields-apart")
class AddingToItself(RightLogger):
    def child(self, fields: Mapping[str, object]) -> RightLogger:
        self.fields = fields
        return self


@loggers.breaks("fields-apart")
class KeepingOneChild(RightLogger):
    made: RightLogger | None = None

    def child(self, fields: Mapping[str, object]) -> RightLogger:
        self.made = self.made or super().child(fields)
        self.made.fields = fields
        return self.made


@loggers.breaks("fields-copied")
class KeepingMapping(RightLogger):
    def with_fields(self, fields: Mapping[str, object], /) -> Logger:
        return self.child({**self.fields, **fields} if self.fields else fields)


@loggers.breaks("later-field-wins", history="cc02cff #895 fields stand in the line twice")
class DuplicateFields(RightLogger):
    prefix = ""

    def with_fields(self, fields: Mapping[str, object], /) -> Logger:
        child = self.child(dict(fields))
        assert isinstance(child, DuplicateFields)
        child.prefix = self.prefix + "".join(f"{key}={self.fields[key]} " for key in self.fields)
        return child

    def write(self, text: str) -> None:
        super().write(self.prefix + text)


@loggers.breaks("later-field-wins")
class EarlierFieldWins(RightLogger):
    def with_fields(self, fields: Mapping[str, object], /) -> Logger:
        return self.child({**fields, **self.fields})


@loggers.breaks("level-shared")
class LevelCopied(RightLogger):
    def child(self, fields: Mapping[str, object]) -> RightLogger:
        child = super().child(fields)
        child.output = Output(self.output.level)
        child.output.parts = self.output.parts
        return child


@loggers.breaks("level-shared")
class RememberingWhatIsEnabled(RightLogger):
    def __init__(self, level: LogLevel) -> None:
        super().__init__(level)
        self.known: dict[LogLevel, bool] = {}

    def is_level_enabled(self, level: LogLevel, /) -> bool:
        return self.known.setdefault(level, self.enabled(level))


@loggers.breaks("fatal-exits", history="x nop logger: fatal returns")
class SurvivingFatal(RightLogger):
    def fatal(self, *args: object) -> NoReturn:  # type: ignore  # the fault
        self.plain(LogLevel.FATAL, args)


@loggers.breaks("fatal-exits")
class ExitingWithSuccess(RightLogger):
    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        self.formatting(LogLevel.FATAL, format, args)
        raise SystemExit


@loggers.breaks("fatal-written")
class ExitingAtOnce(RightLogger):
    def fatal(self, *args: object) -> NoReturn:
        raise SystemExit(1)


@loggers.breaks("never-raises")
class FieldsNeedText(RightLogger):
    def field(self, value: object) -> str:
        return str(value)


@loggers.breaks("threads")
class OneBufferForAll(RightLogger):
    buffer: list[str] = []  # noqa: RUF012 the fault

    def write(self, text: str) -> None:
        self.buffer.clear()
        self.buffer.append(text)
        self.buffer.extend(f" {key}={self.field(value)}" for key, value in self.fields.items())
        with self.output.lock:
            self.output.parts.append("".join(self.buffer) + "\n")


@loggers.breaks("threads")
class WritingInParts(RightLogger):
    def write(self, text: str) -> None:
        self.output.parts.append(text)
        self.output.parts.append(
            "".join(f" {key}={self.text(one)}" for key, one in self.fields.items()) + "\n"
        )


class Local(threading.local):
    """What each thread has of its own."""

    fields: Mapping[str, object] = {}


@loggers.breaks("threads")
class FieldsOfTheThread(RightLogger):
    """Keeps the fields for the thread that has set them."""

    def __init__(self, level: LogLevel) -> None:
        super().__init__(level)
        self.local = Local()

    def child(self, fields: Mapping[str, object]) -> RightLogger:
        child = super().child({})
        assert isinstance(child, FieldsOfTheThread)
        child.local.fields = fields
        return child

    def with_fields(self, fields: Mapping[str, object], /) -> Logger:
        return self.child({**self.local.fields, **fields})

    def write(self, text: str) -> None:
        plain = super().child(self.local.fields)
        RightLogger.write(plain, text)


trials = (loggers,)
