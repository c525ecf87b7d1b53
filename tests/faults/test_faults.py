"""What goes wrong around the example proxy, and what it makes of it.

After each fault: an answer for the client where one can be given, one clear line in the log, and
nothing left open. ``tox -e once -- tests/faults`` runs this alone; it takes a minute or two.
``CONNECTIONS=20000 pytest tests/faults`` sees smaller leaks, and takes longer.
"""

import asyncio
import hashlib
import os
import random
import re
import resource
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.examples.dns_server import DNSServer
from tests.examples.proxy_harness import (
    LIMIT,
    Program,
    echo,
    forked,
    program,
    refused_address,
    run,
    server,
)

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(
        sys.platform != "linux", reason="what a process has open is counted in Linux's /proc"
    ),
]

TIMES = 20  # a fault that leaks shows it by then
CONNECTIONS = int(os.environ.get("CONNECTIONS", "4000"))
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Watch:
    """Sees what a program holds."""

    process: Program

    def open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.process.pid}/fd").iterdir())

    def memory(self) -> int:
        """Return how many bytes are resident."""
        status = Path(f"/proc/{self.process.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    async def until_open(self, files: int) -> None:
        """Wait until no more files are open than before."""
        async with asyncio.timeout(LIMIT):
            while self.open_files() > files:  # noqa: ASYNC110, a process gives no notice of it
                await asyncio.sleep(0.01)


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


@asynccontextmanager
async def connected(address: str) -> AsyncGenerator[Streams, None]:
    reader, writer = await asyncio.open_connection(*split(address))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def request(streams: Streams, target: str) -> int:
    """Ask an HTTP proxy for a tunnel; return the status."""
    reader, writer = streams
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split()[1])


async def status(entry: str, target: str) -> int:
    async with connected(entry) as streams:
        return await request(streams, target)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as the system does for a program that was killed."""
    client: socket.socket = writer.get_extra_info("socket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read, and never answer."""
    while await reader.read(65536):
        pass


async def dying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be an HTTP proxy that breaks off behind the first bytes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await reader.readexactly(1)
    writer.write(b"first")
    await writer.drain()
    reset(writer)


async def repeated(
    running: Program, entry: str, fault: Callable[[], Awaitable[None]], said: str
) -> None:
    """Have a fault happen again and again; each time it is told once, and leaves nothing."""
    watch = Watch(running)
    before = watch.open_files()
    for _ in range(TIMES):
        await fault()
    await watch.until_open(before)
    running.stop()
    told = [line for line in running.lines if not re.search("listening on|received=0", line)]
    assert [line for line in told if not re.search(said, line)] == []
    assert len(told) == TIMES
    assert "Traceback" not in "".join(running.lines)


def faulty(
    said: str, *arguments: str, target: str, expected: int, listen: str = "http://127.0.0.1:0"
) -> None:
    async def main() -> None:
        with forked("-L", listen, *arguments) as running:
            entry = running.address("http")

            async def fault() -> None:
                assert await status(entry, target) == expected

            await repeated(running, entry, fault, said)

    run(main())


def test_a_target_that_refuses_is_told() -> None:
    target = refused_address()
    faulty(rf"{target}: .*Errno 111", target=target, expected=502)


def test_a_hop_that_refuses_is_told() -> None:
    hop = refused_address()
    faulty(
        rf"target.example:80: .*Errno 111.*at node http://{hop}",
        *("-F", f"http://{hop}"),
        target="target.example:80",
        expected=502,
    )


def test_a_rule_that_refuses_is_told() -> None:
    faulty(
        r"bad.example:80 is refused by rule",
        target="bad.example:80",
        listen="http://127.0.0.1:0?bypass=*.example",
        expected=403,
    )


def test_a_resolver_that_fails_is_told() -> None:
    with_fault = DNSServer({})
    with_fault.broken = True
    try:
        faulty(
            r"target.example:80: .*target.example",
            *("--resolver", with_fault.address),
            target="target.example:80",
            expected=502,
        )
    finally:
        with_fault.close()


def test_a_hop_that_is_silent_is_told_when_the_limit_of_the_attempt_is_over() -> None:
    async def main() -> None:
        async with server(silent) as hop:
            with forked(
                *("-L", "http://127.0.0.1:0", "-F", f"http://{hop}", "--timeout", "0.1")
            ) as running:
                entry = running.address("http")

                async def fault() -> None:
                    assert await status(entry, "target.example:80") == 504

                await repeated(running, entry, fault, r"target.example:80: no answer in 0.1 s")

    run(main())


def test_a_hop_that_dies_in_mid_stream_is_told_and_no_byte_before_is_lost() -> None:
    async def main() -> None:
        async with server(dying) as hop:
            with forked("-L", "http://127.0.0.1:0", "-F", f"http://{hop}") as running:
                entry = running.address("http")

                async def fault() -> None:
                    async with connected(entry) as (reader, writer):
                        assert await request((reader, writer), "target.example:80") == 200
                        writer.write(b"x")
                        assert await reader.readexactly(5) == b"first"
                        with suppress(ConnectionResetError):
                            assert await reader.read() == b""

                await repeated(
                    running,
                    entry,
                    fault,
                    r"ConnectionResetError .*target=target.example:80 .* sent=1 received=5",
                )

    run(main())


@pytest.mark.parametrize("how", ["closes", "resets"])
@pytest.mark.parametrize("when", ["at once", "in its greeting", "in mid-stream"])
def test_a_client_that_vanishes_is_no_failure(how: str, when: str) -> None:
    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "http://127.0.0.1:0") as running:
                entry = running.address("http")
                watch = Watch(running)
                before = watch.open_files()
                for _ in range(TIMES):
                    async with connected(entry) as (reader, writer):
                        if when == "in its greeting":
                            writer.write(b"CONNECT ")
                        if when == "in mid-stream":
                            assert await request((reader, writer), target) == 200
                            writer.write(bytes(100_000))
                            await reader.readexactly(1)
                        if how == "resets":
                            reset(writer)
                await watch.until_open(before)
                assert await status(entry, target) == 200
                running.stop()
                told = "".join(running.lines)
                assert "Error" not in told
                assert "WARNING" not in told

    run(main())


def test_a_client_beyond_its_places_is_refused_and_told() -> None:
    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "http://127.0.0.1:0?climiter=1") as running:
                entry = running.address("http")
                async with connected(entry) as streams:
                    assert await request(streams, target) == 200

                    async def fault() -> None:
                        async with connected(entry) as (reader, _):
                            with suppress(ConnectionResetError):
                                assert await reader.read() == b""

                    await repeated(running, entry, fault, r"places for this client are taken")

    run(main())


def test_when_files_run_out_clients_wait_and_are_served_later() -> None:
    most = 40

    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "http://127.0.0.1:0") as running:
                pid = running.process.pid
                entry = running.address("http")
                assert await status(entry, target) == 200
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
                idle = [await asyncio.open_connection(*split(entry)) for _ in range(2 * most)]
                await asyncio.to_thread(running.wait_for, "Too many open files.*accepting again")
                for _, writer in idle:
                    writer.close()
                assert await status(entry, target) == 200
                running.stop()
                assert "Traceback" not in "".join(running.lines)

    run(main())


def test_a_recorder_that_is_slow_holds_up_nobody_and_is_told(tmp_path: Path) -> None:
    record = tmp_path / "record"
    os.mkfifo(record)  # whoever opens it waits for a reader, who does not come yet

    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "http://127.0.0.1:0", "--record", str(record)) as running:
                entry = running.address("http")

                async def served() -> None:
                    async with connected(entry) as (reader, writer):
                        assert await request((reader, writer), target) == 200
                        writer.write(b"question")
                        assert await reader.readexactly(8) == b"question"

                for _ in range(TIMES):
                    await served()
                with record.open("rb"):  # now the recorder's turn comes, and fails
                    assert running.stop() == 0
                told = [line for line in running.lines if "WARNING" in line]
                assert len(told) == 1, told

    run(main())


def test_no_byte_is_lost_or_mixed_among_200_connections_of_which_half_vanish() -> None:
    async def client(entry: str, target: str, number: int) -> None:
        content = random.Random(number).randbytes(200_000)
        async with connected(entry) as (reader, writer):
            assert await request((reader, writer), target) == 200

            async def send() -> None:
                writer.write(content)
                await writer.drain()
                writer.write_eof()

            sending = asyncio.create_task(send())
            try:
                if number % 2:
                    assert content.startswith(await reader.read(1000))
                    reset(writer)
                else:
                    digest = hashlib.sha256(content).digest()
                    assert hashlib.sha256(await reader.read()).digest() == digest
            finally:
                await asyncio.gather(sending, return_exceptions=True)

    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "socks5://127.0.0.1:0") as exit:
                hop = f"socks5://{exit.address('socks5')}"
                with forked("-L", "http://127.0.0.1:0", "-F", hop) as running:
                    entry, watch = running.address("http"), Watch(running)
                    before = watch.open_files()
                    async with asyncio.TaskGroup() as clients:
                        for number in range(200):
                            clients.create_task(client(entry, target, number))
                    await watch.until_open(before)

    run(main())


def test_5000_idle_connections_leave_room_for_one_that_is_not() -> None:
    count = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * count:
        pytest.skip(f"this host allows {hard} open files, and {3 * count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 * count, hard))

    async def main() -> None:
        async with server(silent) as idle_target, server(echo) as target:
            with forked("-L", "http://127.0.0.1:0?backlog=1024") as running:
                entry, watch = running.address("http"), Watch(running)
                before = watch.open_files()
                idle = list[Streams]()
                for _ in range(count):
                    streams = await asyncio.open_connection(*split(entry))
                    assert await request(streams, idle_target) == 200
                    idle.append(streams)
                async with connected(entry) as (reader, writer):
                    assert await request((reader, writer), target) == 200
                    writer.write(b"question")
                    assert await reader.readexactly(8) == b"question"
                for _, writer in idle:
                    reset(writer)
                await watch.until_open(before)
                assert running.stop() == 0

    try:
        run(main(), 6 * LIMIT)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_connections_in_a_row_leave_no_memory_behind() -> None:
    async def one(entry: str, target: str) -> None:
        async with connected(entry) as (reader, writer):
            assert await request((reader, writer), target) == 200
            writer.write(b"question")
            assert await reader.readexactly(8) == b"question"

    async def main() -> None:
        async with server(echo) as target:
            with program("-L", "http://127.0.0.1:0") as running:
                entry, watch = running.address("http"), Watch(running)
                before = watch.open_files()
                measured = list[int]()
                for _ in range(4):
                    for _ in range(CONNECTIONS // 4):
                        await one(entry, target)
                    await watch.until_open(before)
                    measured.append(watch.memory())
                # What three quarters of them leave behind would be some 0.7 KiB each.
                assert measured[-1] - measured[0] < 2 * 1024 * 1024, measured
                assert running.stop() == 0

    run(main(), max(1, CONNECTIONS // 2000) * LIMIT)
