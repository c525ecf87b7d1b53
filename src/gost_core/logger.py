"""Logging: the interface, groups of loggers, and the default logger.

No log line holds a credential (D17).
"""

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, StrEnum
from typing import NoReturn, final

from typing_extensions import Protocol

__all__ = ("LogFormat", "LogLevel", "Logger", "LoggerGroup", "default", "set_default")


class LogFormat(StrEnum):
    """How an implementation writes a line."""

    TEXT = "text"
    """For people."""
    JSON = "json"
    """One JSON object a line."""


class LogLevel(Enum):
    """How severe a line is; the members are declared from the least to the most severe (D59).

    No string enum on purpose: as strings "warn" would be more severe than "error". Levels
    do not compare with ``<``; an implementation orders them by ``list(LogLevel)``.
    """

    TRACE = "trace"
    """Each step, with the data."""
    DEBUG = "debug"
    """What helps to find a fault."""
    INFO = "info"
    """What an operator wants to see in normal work."""
    WARN = "warn"
    """Something is wrong, and the work goes on."""
    ERROR = "error"
    """Something failed."""
    FATAL = "fatal"
    """The program cannot go on."""


class Logger(Protocol):
    """Writes log lines, each of a level, with fields.

    Every level has two methods. The plain one joins ``str()`` of its arguments with spaces. The
    one that ends in ``f`` formats by ``format % args``, and only if the level is enabled; a format
    that does not fit its arguments is written as it is, with the arguments behind it. Neither
    raises, whatever it is given: logging never breaks what it reports on (D59).

    Any thread may log (D21), without waiting for slow output.

    Checked by :class:`gost_core.testing.logger.LoggerContract`.
    """

    __slots__ = ()

    @abstractmethod
    def with_fields(self, fields: Mapping[str, object], /) -> "Logger":
        """Return a logger that adds ``fields`` to each line; this one stays as it is.

        The mapping is copied. Where a key is there already, the later value wins, once in the
        line. The level is shared with this logger, now and later (D59). Components do this for
        each connection, so it is cheap.

        Example::

            log = logger.with_fields({"service": "socks", "client": "192.0.2.7"})
            log.info("connected")  # the line has both fields
            logger.info("ready")  # this one has neither
        """
        ...

    @abstractmethod
    def trace(self, *args: object) -> None:
        """Log at level TRACE."""
        ...

    @abstractmethod
    def tracef(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level TRACE."""
        ...

    @abstractmethod
    def debug(self, *args: object) -> None:
        """Log at level DEBUG."""
        ...

    @abstractmethod
    def debugf(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level DEBUG."""
        ...

    @abstractmethod
    def info(self, *args: object) -> None:
        """Log at level INFO."""
        ...

    @abstractmethod
    def infof(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level INFO."""
        ...

    @abstractmethod
    def warn(self, *args: object) -> None:
        """Log at level WARN."""
        ...

    @abstractmethod
    def warnf(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level WARN."""
        ...

    @abstractmethod
    def error(self, *args: object) -> None:
        """Log at level ERROR."""
        ...

    @abstractmethod
    def errorf(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level ERROR.

        Example::

            try:
                conn = await dialer.dial(ctx, addr)
            except OSError as error:
                logger.errorf("dial %s: %s", addr, error)
        """
        ...

    @abstractmethod
    def fatal(self, *args: object) -> NoReturn:
        """Log at level FATAL, then raise ``SystemExit(1)``, whatever the level in force (D59)."""
        ...

    @abstractmethod
    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        """Log ``format % args`` at level FATAL, then raise ``SystemExit(1)`` (D59)."""
        ...

    @abstractmethod
    def get_level(self) -> LogLevel:
        """Return the least severe level that is written."""
        ...

    @abstractmethod
    def is_level_enabled(self, level: LogLevel, /) -> bool:
        """Tell whether a line of ``level`` is written; ask before preparing a costly one.

        Example::

            data = await conn.read(65536)
            if logger.is_level_enabled(LogLevel.TRACE):
                logger.trace("received", data.hex(" "))
        """
        ...


@final
class LoggerGroup(Logger):
    """Hands each line to every one of its loggers, in order.

    Each member writes what its own level lets through. An empty group discards everything.
    Immutable, so any thread may use it if its members allow that (D21).

    Args:
        loggers: the members, not closed and not changed by the group.

    Raises:
        TypeError: a member is None.
    """

    __slots__ = ("__weakref__", "_loggers")

    def __init__(self, *loggers: Logger) -> None:
        for position, logger in enumerate(loggers, 1):
            # The type rules None out; a program that is not type-checked would learn of it at its
            # first log line.
            if logger is None:  # pyright: ignore[reportUnnecessaryComparison]
                raise TypeError(f"logger {position} of the group is None; leave it out")
        self._loggers = loggers

    def __repr__(self) -> str:
        return f"LoggerGroup({', '.join(map(repr, self._loggers))})"

    def with_fields(self, fields: Mapping[str, object], /) -> "LoggerGroup":
        """Return a group of what each member's ``with_fields`` returns."""
        return LoggerGroup(*(logger.with_fields(fields) for logger in self._loggers))

    def trace(self, *args: object) -> None:
        """Log at level TRACE, in every member."""
        for logger in self._loggers:
            logger.trace(*args)

    def tracef(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level TRACE, in every member."""
        for logger in self._loggers:
            logger.tracef(format, *args)

    def debug(self, *args: object) -> None:
        """Log at level DEBUG, in every member."""
        for logger in self._loggers:
            logger.debug(*args)

    def debugf(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level DEBUG, in every member."""
        for logger in self._loggers:
            logger.debugf(format, *args)

    def info(self, *args: object) -> None:
        """Log at level INFO, in every member."""
        for logger in self._loggers:
            logger.info(*args)

    def infof(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level INFO, in every member."""
        for logger in self._loggers:
            logger.infof(format, *args)

    def warn(self, *args: object) -> None:
        """Log at level WARN, in every member."""
        for logger in self._loggers:
            logger.warn(*args)

    def warnf(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level WARN, in every member."""
        for logger in self._loggers:
            logger.warnf(format, *args)

    def error(self, *args: object) -> None:
        """Log at level ERROR, in every member."""
        for logger in self._loggers:
            logger.error(*args)

    def errorf(self, format: str, /, *args: object) -> None:
        """Log ``format % args`` at level ERROR, in every member."""
        for logger in self._loggers:
            logger.errorf(format, *args)

    def fatal(self, *args: object) -> NoReturn:
        """Log at level FATAL in every member, then raise ``SystemExit(1)`` (D59)."""
        for logger in self._loggers:
            with suppress(SystemExit):
                logger.fatal(*args)
        raise SystemExit(1)

    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        """Log ``format % args`` in every member, then raise ``SystemExit(1)`` (D59)."""
        for logger in self._loggers:
            with suppress(SystemExit):
                logger.fatalf(format, *args)
        raise SystemExit(1)

    def get_level(self) -> LogLevel:
        """Return the first member's level; INFO for an empty group."""
        return self._loggers[0].get_level() if self._loggers else LogLevel.INFO

    def is_level_enabled(self, level: LogLevel, /) -> bool:
        """Tell whether any member writes a line of ``level``; False for an empty group."""
        return any(logger.is_level_enabled(level) for logger in self._loggers)


_default: Logger = LoggerGroup()


def default() -> Logger:
    """Return the logger of those that were given none; never None.

    Before :func:`set_default` it is an empty LoggerGroup, which discards every line (D59). A
    component asks when it is constructed, and keeps what it got.
    """
    return _default


def set_default(logger: Logger, /) -> None:
    """Make ``logger`` the default logger, as a program does once, when it starts.

    Any class of logger may follow any other. Components that already have the former default keep
    it.

    Raises:
        TypeError: ``logger`` is None; ``LoggerGroup()`` discards.
    """
    # As in LoggerGroup: better here than at the first line of a program that is not type-checked.
    if logger is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise TypeError("the default logger cannot be None; LoggerGroup() discards every line")
    global _default
    _default = logger
