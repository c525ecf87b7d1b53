"""What is recorded, counted, reported, measured and logged, and that it costs no connection."""

import asyncio
import json
import logging
import os
import re
import resource
import socket
import threading
import urllib.request
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typing_extensions import Buffer

from gost_core import handler
from gost_core.chain import logger_router_option, recorders_router_option
from gost_core.common.net import ClosedError, Conn
from gost_core.context import Context
from gost_core.handler import router_option
from gost_core.listener import AcceptError, addr_option, admission_option, stats_option
from gost_core.logger import Logger, LoggerGroup
from gost_core.observer import Event, Observer, Option
from gost_core.observer.stats import Kind
from gost_core.recorder import (
    RECORDER_SERVICE_CLIENT_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
    Options,
    Recorder,
    RecorderObject,
    RecordOption,
)
from proxy import recorder
from proxy.admission import NetworkAdmission
from proxy.chain.router import RetryRouter
from proxy.handler.proxy import ProxyHandler
from proxy.handler.socks5 import SOCKS5Handler
from proxy.listener.tcp import TCPListener
from proxy.logger import StandardLogger
from proxy.metrics.instruments import MeasuredCounts
from proxy.metrics.prometheus import PrometheusMetrics
from proxy.observer import reporter
from proxy.observer.reporter import RecordingObserver, StatsEvent, StatusEvent
from proxy.observer.stats import Counts
from proxy.recorder import FileRecorder, RecordPoint
from proxy.service import TaskService
from tests.examples.peers import program
from tests.examples.proxy_harness import LIMIT, echo, run, server, until

POINTS = (
    RECORDER_SERVICE_CLIENT_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR,
)

Lines = list[str]


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: Lines = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def logger_to(kept: logging.Handler, level: int = logging.DEBUG) -> Logger:
    """Make a logger of a tree of its own, so that nothing else logs into it."""
    target = logging.Manager(logging.RootLogger(level)).getLogger("proxy")
    target.addHandler(kept)
    return StandardLogger(target)


def kept_lines() -> tuple[Lines, Logger]:
    kept = Kept()
    return kept.lines, logger_to(kept)


def everywhere(one: Recorder, options: Options | None = None) -> list[RecorderObject]:
    """Record at every point, and say at which."""
    return [
        RecorderObject(recorder=one, record=point, options=options, metadata={"point": point})
        for point in POINTS
    ]


@asynccontextmanager
async def serving(service: TaskService) -> AsyncGenerator[str, None]:
    """Serve until the block ends, and then to the end."""
    task = asyncio.create_task(service.serve())
    try:
        yield str(service.addr())
    finally:
        await service.close()
        await task


async def made(
    protocol: type[ProxyHandler] = SOCKS5Handler,
    *,
    recorders: Sequence[RecorderObject] = (),
    told: Observer | None = None,
    metrics: PrometheusMetrics | None = None,
    logger: Logger | None = None,
) -> TaskService:
    """Make a proxy that is observed in all ways that are asked for."""
    counts = MeasuredCounts(metrics, "proxy") if metrics else Counts()
    handle = protocol(
        router_option(
            RetryRouter(recorders_router_option(*recorders), logger_router_option(logger))
        ),
        handler.logger_option(logger),
    )
    await handle.init(None)
    listener = TCPListener(addr_option("127.0.0.1:0"), stats_option(counts))
    await listener.init(None)
    return TaskService(
        listener,
        handle,
        logger,
        name="proxy",
        recorders=recorders,
        stats=counts,
        metrics=metrics,
        observer=told,
        interval=0.01,
    )


@dataclass(slots=True)
class Exchanged:
    """What a client has sent and received, down to the last byte."""

    sent: int = 0
    received: int = 0


async def exchange(proxy: str, target: str, data: bytes = b"over and out") -> Exchanged:
    """Speak SOCKS5 by hand, send data to an echo, and count."""
    reader, writer = await asyncio.open_connection(*proxy.split(":"))
    host, _, port = target.rpartition(":")
    name = host.encode()
    request = b"\x05\x01\x00\x03" + bytes([len(name)]) + name + int(port).to_bytes(2, "big")
    try:
        writer.write(b"\x05\x01\x00")
        greeting = await reader.readexactly(2)
        writer.write(request)
        reply = await reader.readexactly(10)
        if reply[1]:
            await reader.read()
            return Exchanged(3 + len(request), 12)

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        _, echoed = await asyncio.gather(send(), reader.read(-1))
        assert echoed == data
        return Exchanged(3 + len(request) + len(data), len(greeting + reply + echoed))
    finally:
        writer.close()
        await writer.wait_closed()


def read_records(path: Path) -> dict[str, list[bytes]]:
    """Return what a file holds for each record point."""
    found: dict[str, list[bytes]] = {point: [] for point in POINTS}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        found[entry["metadata"]["point"]].append(entry["record"].encode("latin-1"))
    return found


class Memory(Recorder):
    """Keeps records, when it may; else it waits, or fails."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.fault: OSError | None = None
        self.asked = asyncio.Semaphore(0)
        self.may = asyncio.Event()
        self.may.set()

    async def record(self, ctx: Context, data: Buffer, /, *opts: RecordOption) -> None:
        self.asked.release()
        await self.may.wait()
        if self.fault is not None:
            raise self.fault
        self.records.append(bytes(data))


class Slow(FileRecorder):
    """Writes when it may."""

    def __init__(self, path: Path, limit: int = 500, logger: Logger | None = None) -> None:
        super().__init__(path, limit, logger)
        self.may = threading.Event()

    def _append(self, line: bytes) -> None:
        self.may.wait(LIMIT)
        super()._append(line)

    async def written(self) -> None:
        await self._queue.join()


class Told(Observer):
    """Keeps the batches that it is told, and does with each what a test wants."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.batches: list[Sequence[Event]] = []
        self.news = asyncio.Event()
        self._then = then

    async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
        self.batches.append(events)
        self.news.set()
        self._then()

    def states(self) -> list[str]:
        return [one.state for one in self.events() if isinstance(one, StatusEvent)]

    def counts(self) -> list[dict[str, int]]:
        return [dict(one.counts) for one in self.events() if isinstance(one, StatsEvent)]

    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]


def nowhere() -> str:
    """Return an address that refuses."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return "{}:{}".format(*taken.getsockname())


# ---- records


def test_the_addresses_of_client_and_target_of_curl_are_recorded(tmp_path: Path) -> None:
    curl = program("curl", "curl")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()

    async def main() -> None:
        queue = FileRecorder(tmp_path / "records")
        async with server(answer) as target, serving(await made(recorders=everywhere(queue))) as at:
            port = target.rpartition(":")[2]
            process = await asyncio.create_subprocess_exec(
                *(curl, "-sS", "--socks5-hostname", at, f"http://localhost:{port}/"),
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await process.communicate()
            assert output == b"hello"
        await queue.close()
        found = read_records(tmp_path / "records")
        assert found[RECORDER_SERVICE_CLIENT_ADDRESS] == [b"127.0.0.1"]
        assert found[RECORDER_SERVICE_ROUTER_DIAL_ADDRESS] == [b"localhost"]
        assert found[RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR] == []
        entries = [json.loads(line) for line in (tmp_path / "records").read_text().splitlines()]
        (session,) = {entry["session"] for entry in entries}
        assert session

    run(main())


def test_a_target_that_cannot_be_reached_is_recorded_at_both_points_of_the_router() -> None:
    async def main() -> None:
        memory = Memory()
        async with serving(await made(recorders=everywhere(memory))) as at:
            await exchange(at, nowhere())
        assert memory.records == [b"127.0.0.1"] * 3

    run(main())


def test_a_record_begins_with_the_time_if_that_is_wanted() -> None:
    async def main() -> None:
        memory = Memory()
        point = RecordPoint(POINTS[0], LoggerGroup())
        options = Options(timestamp_format="at %%")
        await point.record(Context(), everywhere(memory, options), b"192.0.2.1")
        await point.record(Context(), everywhere(memory), b"192.0.2.2")
        assert memory.records == [b"at % 192.0.2.1", b"192.0.2.2"]

    run(main())


def test_a_broken_recorder_costs_no_connection_and_one_line_for_each_point() -> None:
    async def main() -> None:
        lines, logger = kept_lines()
        memory = Memory()
        memory.fault = OSError("the disk is full")
        service = await made(recorders=everywhere(memory), logger=logger)
        async with server(echo) as target, serving(service) as at:
            for _ in range(5):
                await exchange(at, target, b"x" * 100_000)
            faults = [line for line in lines if "the disk is full" in line]
            assert sorted(faults) == sorted(
                f"{point} fails: the disk is full"
                for point in POINTS
                if point != RECORDER_SERVICE_ROUTER_DIAL_ADDRESS_ERROR
            )
            memory.fault = None
            await exchange(at, target)
            again = [line for line in lines if "works again" in line]
            assert f"{POINTS[0]} works again, after 5 failures" in again
            assert len(again) == 2

    run(main())


def test_a_slow_recorder_holds_up_nothing_and_costs_one_line(tmp_path: Path) -> None:
    async def main() -> None:
        lines, logger = kept_lines()
        slow = Slow(tmp_path / "records", limit=3, logger=logger)
        async with (
            server(echo) as target,
            serving(await made(recorders=everywhere(slow), logger=logger)) as at,
        ):
            for _ in range(3):
                await exchange(at, target)
        (fault,) = [line for line in lines if "recording" in line]
        assert "no room" in fault
        slow.may.set()
        await slow.written()
        found = read_records(tmp_path / "records")
        assert found[RECORDER_SERVICE_CLIENT_ADDRESS][0] == b"127.0.0.1"
        assert re.fullmatch(r"recording works again, after \d+ failures", lines[-1])
        await slow.close()

    run(main())


def test_what_is_queued_is_written_before_the_end_and_nothing_is_taken_afterwards(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        one = FileRecorder(tmp_path / "records")
        for letter in "abc":
            await one.record(Context(), letter.encode())
        await asyncio.gather(one.close(), one.close())
        lines = (tmp_path / "records").read_text().splitlines()
        assert [json.loads(line)["record"] for line in lines] == ["a", "b", "c"]
        with pytest.raises(ClosedError):
            await one.record(Context(), b"d")

    run(main())


def test_closing_a_recorder_that_hangs_is_bounded_and_says_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder, "LAST_WORDS", 0.01)

    async def main() -> None:
        lines, logger = kept_lines()
        slow = Slow(tmp_path / "records", logger=logger)
        for letter in b"abc":
            await slow.record(Context(), bytes([letter]))
        await slow.close()
        slow.may.set()
        (line,) = lines
        assert re.fullmatch(r"recording ends with 3 records that are not written", line)

    run(main())


def test_empty_records_fill_a_queue_too_and_what_stays_full_says_so_once(tmp_path: Path) -> None:
    async def main() -> None:
        lines, logger = kept_lines()
        slow = Slow(tmp_path / "records", limit=100, logger=logger)
        for _ in range(1000):
            await slow.record(Context(), b"")
        assert len(lines) == 1
        slow.may.set()
        await slow.close()
        assert len((tmp_path / "records").read_text().splitlines()) == 100
        assert re.fullmatch(r"recording works again, after \d+ failures", lines[1])

    run(main())


def test_a_disk_that_takes_half_a_record_is_left_with_none_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "records"
        lines, logger = kept_lines()
        one = Slow(path, logger=logger)
        one.may.set()
        await one.record(Context(), b"first")
        await one.written()
        before = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            await one.record(Context(), b"x" * 5000)
            await one.written()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == before
        assert "no room" in lines[0]
        await one.close()

    run(main())


def test_cancelling_a_service_closes_a_connection_that_waits_for_a_recorder() -> None:
    async def main() -> None:
        memory = Memory()
        memory.may.clear()
        service = await made(recorders=everywhere(memory))
        task = asyncio.create_task(service.serve())
        reader, writer = await asyncio.open_connection(*str(service.addr()).split(":"))
        writer.write(b"\x05")
        await memory.asked.acquire()
        task.cancel()
        await asyncio.wait({task})
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await service.close()

    run(main())


# ---- an observer


def test_an_observer_is_told_the_state_and_each_byte_that_went_through() -> None:
    async def main() -> None:
        told = Told()
        data = os.urandom(300_000)
        async with server(echo) as target, serving(await made(told=told)) as at:
            seen = [await exchange(at, target, data) for _ in range(3)]
            seen.append(await exchange(at, nowhere()))
        assert told.states() == ["running", "closed"]
        assert told.counts()[-1] == {
            "total_conns": 4,
            "current_conns": 0,
            "input_bytes": sum(one.sent for one in seen),
            "output_bytes": sum(one.received for one in seen),
            "total_errs": 1,
        }

    run(main())


def test_an_observer_is_told_of_open_connections_while_they_last_and_of_nothing_else() -> None:
    async def main() -> None:
        told = Told()
        async with serving(await made(told=told)) as at:
            await until(lambda: told.states() == ["running"])
            assert told.counts() == []
            _, writer = await asyncio.open_connection(*at.split(":"))
            await until(lambda: bool(told.counts()))
            assert told.counts()[0]["current_conns"] == 1
            reports = len(told.batches)
            await asyncio.sleep(0.05)  # several intervals
            assert len(told.batches) == reports
            writer.close()
            await writer.wait_closed()
            await until(lambda: told.counts()[-1]["current_conns"] == 0)

    run(main())


def test_a_client_that_is_refused_is_counted_and_does_not_stay_open() -> None:
    async def main() -> None:
        counts = Counts()
        refusing = admission_option(NetworkAdmission("127.0.0.0/8"))
        listener = TCPListener(addr_option("127.0.0.1:0"), stats_option(counts), refusing)
        await listener.init(None)
        accepting = asyncio.create_task(listener.accept())
        reader, writer = await asyncio.open_connection(*str(listener.addr()).split(":"))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await listener.close()
        with pytest.raises(ClosedError):
            await accepting
        await until(lambda: counts.get(Kind.CURRENT_CONNS) == 0)
        assert counts.get(Kind.TOTAL_CONNS) == 1

    run(main())


def test_a_listener_that_fails_for_a_while_is_a_change_of_state() -> None:
    class Failing(TCPListener):
        faults = 2

        async def accept(self) -> Conn:
            if self.faults:
                self.faults -= 1
                raise AcceptError(OSError("no more files"))
            return await super().accept()

    class Hasty(TaskService):
        async def _pause(self, seconds: float) -> None:
            pass

    async def main() -> None:
        told = Told()
        listener = Failing(addr_option("127.0.0.1:0"))
        await listener.init(None)
        handle = SOCKS5Handler(router_option(RetryRouter()))
        await handle.init(None)
        service = Hasty(listener, handle, LoggerGroup(), observer=told)
        async with server(echo) as target, serving(service) as at:
            await exchange(at, target)
        assert told.states() == ["running", "failed", "running", "closed"]
        messages = [one.message for one in told.events() if isinstance(one, StatusEvent)]
        assert "no more files" in messages[1]

    run(main())


def test_a_listener_that_fails_for_good_is_the_last_state() -> None:
    class Broken(TCPListener):
        async def accept(self) -> Conn:
            raise PermissionError("no more of this")

    async def main() -> None:
        told = Told()
        listener = Broken(addr_option("127.0.0.1:0"))
        await listener.init(None)
        handle = SOCKS5Handler(router_option(RetryRouter()))
        await handle.init(None)
        service = TaskService(listener, handle, LoggerGroup(), observer=told)
        with pytest.raises(PermissionError):
            await service.serve()
        assert told.states() == ["running", "failed"]

    run(main())


def test_a_batch_that_was_not_delivered_comes_again_before_anything_newer() -> None:
    async def main() -> None:
        lines, logger = kept_lines()
        failures = iter(range(3))

        def fail() -> None:
            if next(failures, None) is not None:
                raise OSError("nobody listens")

        told = Told(fail)
        async with server(echo) as target, serving(await made(told=told, logger=logger)) as at:
            seen = await exchange(at, target)
            await until(lambda: bool(told.counts()))
            await until(lambda: told.counts()[-1]["output_bytes"] == seen.received)
        first = told.batches[0]
        assert list(told.batches[:4]) == [first] * 4
        assert told.batches[4] != first
        assert [line for line in lines if "observer" in line] == [
            "the observer of proxy fails: nobody listens",
            "the observer of proxy works again, after 3 failures",
        ]

    run(main())


def test_an_observer_that_hangs_holds_up_no_connection_and_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporter, "LAST_WORDS", 0.01)

    class Hanging(Observer):
        async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        async with server(echo) as target, serving(await made(told=Hanging())) as at:
            await exchange(at, target)

    run(main())


def test_an_observer_may_close_the_service_that_it_observes() -> None:
    class Closing(Observer):
        service: TaskService

        async def observe(self, ctx: Context, events: Sequence[Event], /, *opts: Option) -> None:
            await self.service.close()

    async def main() -> None:
        closing = Closing()
        closing.service = await made(told=closing)
        await closing.service.serve()

    run(main())


def test_events_are_delivered_as_json() -> None:
    async def main() -> None:
        memory = Memory()
        told = RecordingObserver(memory)
        async with server(echo) as target, serving(await made(told=told)) as at:
            await exchange(at, target)
        events = [json.loads(one) for one in memory.records]
        assert events[0] == {
            "type": "status",
            "service": "proxy",
            "state": "running",
            "message": "",
        }
        assert events[-1]["type"] in {"status", "stats"}
        assert {event["service"] for event in events} == {"proxy"}

    run(main())


# ---- metrics


async def scrape(address: str) -> dict[tuple[str, str], float]:
    """Ask for the numbers as a monitoring system does; return them by name and direction."""

    def get() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=LIMIT) as answer:
            return str(answer.read().decode())

    return {
        (sample.name, sample.labels.get("direction", "")): sample.value
        for family in text_string_to_metric_families(await asyncio.to_thread(get))
        for sample in family.samples
        if sample.labels.get("service") == "proxy"
    }


def test_metrics_show_over_http_what_went_through() -> None:
    async def main() -> None:
        metrics = PrometheusMetrics()
        async with (
            AsyncExitStack() as shown,
            server(echo) as target,
            serving(await made(metrics=metrics, logger=LoggerGroup())) as at,
        ):
            monitor = shown.enter_context(metrics.shown("127.0.0.1", 0))
            before = await scrape(monitor)
            assert before["proxy_connections_total", ""] == 0
            _, writer = await asyncio.open_connection(*at.split(":"))
            writer.write(b"\x05")
            await until(lambda: value(metrics, "proxy_bytes_total", direction="in") == 1)
            assert (await scrape(monitor))["proxy_connections_open", ""] == 1
            writer.close()
            await writer.wait_closed()
            seen = [await exchange(at, target, os.urandom(100_000)) for _ in range(2)]
            seen.append(await exchange(at, nowhere()))
            await until(lambda: value(metrics, "proxy_connection_seconds_count") == 4)
            found = await scrape(monitor)
            assert found["proxy_connections_total", ""] == 4
            assert found["proxy_connections_open", ""] == 0
            assert found["proxy_errors_total", ""] == 1
            assert found["proxy_bytes_total", "in"] == 1 + sum(one.sent for one in seen)
            assert found["proxy_bytes_total", "out"] == sum(one.received for one in seen)

    run(main())


def value(metrics: PrometheusMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"service": "proxy", **labels})


# ---- a group of loggers


def test_every_member_of_a_group_of_loggers_gets_each_line_of_its_level(tmp_path: Path) -> None:
    async def main() -> None:
        kept, strict = Kept(), Kept()
        file = logging.FileHandler(tmp_path / "log")
        group = LoggerGroup(
            logger_to(kept), logger_to(file), logger_to(strict, level=logging.WARNING)
        )
        async with server(echo) as target, serving(await made(logger=group)) as at:
            for _ in range(3):
                await exchange(at, target)
            await exchange(at, nowhere())
        file.close()
        assert len(kept.lines) == 4
        assert (tmp_path / "log").read_text().splitlines() == kept.lines
        (warning,) = strict.lines
        assert warning in kept.lines
        assert "session=" in warning

    run(main())
