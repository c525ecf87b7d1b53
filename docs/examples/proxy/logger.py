"""The contract's Logger over the standard library's logging."""

import logging
from collections.abc import Mapping
from typing import Final, NoReturn

from gost_core.logger import Logger, LogLevel

LEVELS: Final[Mapping[LogLevel, int]] = {
    level: getattr(logging, level.name, 5)  # trace is none of the library's
    for level in LogLevel
}


class StandardLogger(Logger):
    """Writes to a ``logging.Logger``; fields stand behind the message as ``key=value``.

    The level is that of the ``logging.Logger``, so all loggers made by ``with_fields`` share it.
    """

    def __init__(self, target: logging.Logger, fields: Mapping[str, object] | None = None) -> None:
        self._target = target
        self._fields = dict(fields or {})

    def with_fields(self, fields: Mapping[str, object], /) -> "StandardLogger":
        return StandardLogger(self._target, {**self._fields, **fields})

    def trace(self, *args: object) -> None:
        self._join(LogLevel.TRACE, args)

    def tracef(self, format: str, /, *args: object) -> None:
        self._format(LogLevel.TRACE, format, args)

    def debug(self, *args: object) -> None:
        self._join(LogLevel.DEBUG, args)

    def debugf(self, format: str, /, *args: object) -> None:
        self._format(LogLevel.DEBUG, format, args)

    def info(self, *args: object) -> None:
        self._join(LogLevel.INFO, args)

    def infof(self, format: str, /, *args: object) -> None:
        self._format(LogLevel.INFO, format, args)

    def warn(self, *args: object) -> None:
        self._join(LogLevel.WARN, args)

    def warnf(self, format: str, /, *args: object) -> None:
        self._format(LogLevel.WARN, format, args)

    def error(self, *args: object) -> None:
        self._join(LogLevel.ERROR, args)

    def errorf(self, format: str, /, *args: object) -> None:
        self._format(LogLevel.ERROR, format, args)

    def fatal(self, *args: object) -> NoReturn:
        self._join(LogLevel.FATAL, args)
        raise SystemExit(1)

    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        self._format(LogLevel.FATAL, format, args)
        raise SystemExit(1)

    def get_level(self) -> LogLevel:
        enabled = (level for level in LogLevel if self.is_level_enabled(level))
        return next(enabled, LogLevel.FATAL)

    def is_level_enabled(self, level: LogLevel, /) -> bool:
        return self._target.isEnabledFor(LEVELS[level])

    def _join(self, level: LogLevel, args: tuple[object, ...]) -> None:
        if self.is_level_enabled(level):
            self._write(level, " ".join(map(_text, args)))

    def _format(self, level: LogLevel, format: str, args: tuple[object, ...]) -> None:
        if self.is_level_enabled(level):
            try:
                message = format % args
            except Exception:  # logging never breaks what it reports on (D59)
                message = " ".join([format, *map(_text, args)])
            self._write(level, message)

    def _write(self, level: LogLevel, message: str) -> None:
        fields = [f"{key}={_text(value)}" for key, value in self._fields.items()]
        text = " ".join([message, *fields])
        name = self._target.name
        # Not by log(), which looks for the line of code that calls, and would find this one.
        self._target.handle(logging.LogRecord(name, LEVELS[level], "", 0, text, None, None))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def with_notes(error: Exception) -> str:
    """Return what an exception says and what was noted on it since, in one line."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


class Outage:
    """Logs that something begins to fail and that it works again, not each failure in between."""

    def __init__(self, what: str, logger: Logger) -> None:
        self._what = what
        self._logger = logger
        self.failures = 0

    def failed(self, reason: object) -> None:
        """Count a failure."""
        self.failures += 1
        if self.failures == 1:
            self._logger.warnf("%s fails: %s", self._what, reason)

    def ended(self) -> None:
        """Take note of a success."""
        if self.failures:
            self._logger.infof("%s works again, after %d failures", self._what, self.failures)
        self.failures = 0
