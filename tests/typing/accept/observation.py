"""Seeing what happens: logs, metrics, events, statistics, records, rewriting."""

import logging
import threading
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from typing_extensions import Buffer

from gost_core import metrics, observer
from gost_core.context import Context
from gost_core.keys import SESSION_ID
from gost_core.logger import Logger, LogLevel, default
from gost_core.metrics import Counter, Gauge, Labels, MetricName, Metrics
from gost_core.observer import Event, EventType
from gost_core.observer.stats import Kind, Stats
from gost_core.options import apply
from gost_core.recorder import Recorder, RecordOption, RecordOptions, metadata_record_option
from gost_core.rewriter import RewriteOption, Rewriter

_NUMBERS: dict[LogLevel, int] = {
    LogLevel.TRACE: 5,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.FATAL: logging.CRITICAL,
}


class StandardLogger:
    """Over the standard library's logging; only the lines that are written are formatted."""

    def __init__(self, logger: logging.Logger, fields: Mapping[str, object]) -> None:
        self._logger = logger
        self._fields = dict(fields)

    def with_fields(self, fields: Mapping[str, object], /) -> "StandardLogger":
        return StandardLogger(self._logger, {**self._fields, **fields})

    def trace(self, *args: object) -> None:
        self._log(LogLevel.TRACE, args)

    def tracef(self, format: str, /, *args: object) -> None:
        self._logf(LogLevel.TRACE, format, args)

    def debug(self, *args: object) -> None:
        self._log(LogLevel.DEBUG, args)

    def debugf(self, format: str, /, *args: object) -> None:
        self._logf(LogLevel.DEBUG, format, args)

    def info(self, *args: object) -> None:
        self._log(LogLevel.INFO, args)

    def infof(self, format: str, /, *args: object) -> None:
        self._logf(LogLevel.INFO, format, args)

    def warn(self, *args: object) -> None:
        self._log(LogLevel.WARN, args)

    def warnf(self, format: str, /, *args: object) -> None:
        self._logf(LogLevel.WARN, format, args)

    def error(self, *args: object) -> None:
        self._log(LogLevel.ERROR, args)

    def errorf(self, format: str, /, *args: object) -> None:
        self._logf(LogLevel.ERROR, format, args)

    def fatal(self, *args: object) -> NoReturn:
        self._log(LogLevel.FATAL, args)
        raise SystemExit(1)

    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        self._logf(LogLevel.FATAL, format, args)
        raise SystemExit(1)

    def get_level(self) -> LogLevel:
        return next((level for level in LogLevel if self.is_level_enabled(level)), LogLevel.FATAL)

    def is_level_enabled(self, level: LogLevel, /) -> bool:
        return self._logger.isEnabledFor(_NUMBERS[level])

    def _log(self, level: LogLevel, args: tuple[object, ...]) -> None:
        if self.is_level_enabled(level):
            self._logger.log(_NUMBERS[level], "%s %s", " ".join(map(str, args)), self._fields)

    def _logf(self, level: LogLevel, format: str, args: tuple[object, ...]) -> None:
        if self.is_level_enabled(level):
            try:
                text = format % args
            except (TypeError, ValueError):
                text = f"{format} {args}"
            self._logger.log(_NUMBERS[level], "%s %s", text, self._fields)


class FatalLogger(Logger):
    """By inheritance: discards everything but the end of the program."""

    def with_fields(self, fields: Mapping[str, object], /) -> Logger:
        return self

    def trace(self, *args: object) -> None:
        return

    def tracef(self, format: str, /, *args: object) -> None:
        return

    def debug(self, *args: object) -> None:
        return

    def debugf(self, format: str, /, *args: object) -> None:
        return

    def info(self, *args: object) -> None:
        return

    def infof(self, format: str, /, *args: object) -> None:
        return

    def warn(self, *args: object) -> None:
        return

    def warnf(self, format: str, /, *args: object) -> None:
        return

    def error(self, *args: object) -> None:
        return

    def errorf(self, format: str, /, *args: object) -> None:
        return

    def fatal(self, *args: object) -> NoReturn:
        raise SystemExit(1)

    def fatalf(self, format: str, /, *args: object) -> NoReturn:
        raise SystemExit(1)

    def get_level(self) -> LogLevel:
        return LogLevel.FATAL

    def is_level_enabled(self, level: LogLevel, /) -> bool:
        return level is LogLevel.FATAL


class SumCounter:
    def __init__(self) -> None:
        self._sum = 0.0
        self._lock = threading.Lock()

    def inc(self) -> None:
        self.add(1)

    def add(self, value: float, /) -> None:
        if value < 0:
            raise ValueError(f"a counter does not go down, and {value} is negative")
        with self._lock:
            self._sum += value


class SumGauge:
    def __init__(self) -> None:
        self._sum = 0.0
        self._lock = threading.Lock()

    def inc(self) -> None:
        self.add(1)

    def dec(self) -> None:
        self.add(-1)

    def add(self, value: float, /) -> None:
        with self._lock:
            self._sum += value

    def set(self, value: float, /) -> None:
        with self._lock:
            self._sum = value


class LastObserver:
    def __init__(self) -> None:
        self._last = 0.0

    def observe(self, value: float, /) -> None:
        self._last = value


class UnlabelledMetrics:
    """One instrument for each name, whatever the labels."""

    def __init__(self) -> None:
        self._counters: dict[MetricName, SumCounter] = {}
        self._gauges: dict[MetricName, SumGauge] = {}
        self._observers: dict[MetricName, LastObserver] = {}

    def counter(self, name: MetricName, labels: Labels, /) -> Counter:
        return self._counters.setdefault(name, SumCounter())

    def gauge(self, name: MetricName, labels: Labels, /) -> Gauge:
        return self._gauges.setdefault(name, SumGauge())

    def observer(self, name: MetricName, labels: Labels, /) -> metrics.Observer:
        return self._observers.setdefault(name, LastObserver())


class TrafficEventType(StrEnum):
    """Kinds of events of another package: the set is open."""

    TRAFFIC = "traffic"


class TrafficEvent:
    def __init__(self, count: int) -> None:
        self.count = count

    def type(self) -> TrafficEventType:
        return TrafficEventType.TRAFFIC


class StatusEvent:
    def type(self) -> EventType:
        return EventType.STATUS


class LoggingObserver:
    async def observe(
        self, ctx: Context, events: Sequence[Event], /, *opts: observer.Option
    ) -> None:
        for event in events:
            match event:
                case TrafficEvent(count=count):
                    default().infof("%d bytes", count)
                case _ if event.type() == EventType.STATUS:
                    default().info("status")
                case _:
                    default().debug("skipped:", event.type())


class TallyStats:
    def __init__(self) -> None:
        self._values = Tally[Kind]()
        self._is_updated = False
        self._lock = threading.Lock()

    def add(self, kind: Kind, n: int, /) -> None:
        with self._lock:
            self._values[kind] += n
            self._is_updated = True

    def get(self, kind: Kind, /) -> int:
        return self._values[kind]

    def is_updated(self) -> bool:
        with self._lock:
            is_updated, self._is_updated = self._is_updated, False
            return is_updated

    def reset(self) -> None:
        with self._lock:
            self._values.clear()
            self._is_updated = False


class FileRecorder:
    """Appends a record to a file by a single write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        options = apply(RecordOptions(), *opts)
        session = ctx.value(SESSION_ID) or "-"
        with self._path.open("ab", buffering=0) as file:
            file.write(f"{session} {options.metadata} ".encode() + bytes(data) + b"\n")


class UpperCaseRewriter:
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        return b"" if data is None else bytes(data).upper()


async def count_and_record(
    ctx: Context, metrics_: Metrics, stats: Stats, recorder: Recorder, data: bytes
) -> None:
    """What callers write."""
    metrics_.counter(MetricName("input_bytes_total"), {"service": "web"}).add(len(data))
    stats.add(Kind.INPUT_BYTES, len(data))
    await recorder.record(ctx, memoryview(data)[:1024], metadata_record_option({"size": len(data)}))


def prove_logger(logger: StandardLogger) -> Logger:
    return logger


def prove_inheriting_logger(logger: FatalLogger) -> Logger:
    return logger


def prove_counter(counter: SumCounter) -> Counter:
    return counter


def prove_gauge(gauge: SumGauge) -> Gauge:
    return gauge


def prove_gauge_as_counter(gauge: SumGauge) -> Counter:
    return gauge


def prove_metrics_observer(observer: LastObserver) -> metrics.Observer:
    return observer


def prove_metrics(metrics: UnlabelledMetrics) -> Metrics:
    return metrics


def prove_event(event: StatusEvent) -> Event:
    return event


def prove_event_of_another_package(event: TrafficEvent) -> Event:
    return event


def prove_observer(observer: LoggingObserver) -> observer.Observer:
    return observer


def prove_stats(stats: TallyStats) -> Stats:
    return stats


def prove_recorder(recorder: FileRecorder) -> Recorder:
    return recorder


def prove_rewriter(rewriter: UpperCaseRewriter) -> Rewriter:
    return rewriter
