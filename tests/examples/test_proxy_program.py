"""The example proxy as a program, with curl and bare sockets for clients."""

import asyncio
import hashlib
import http.server
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.examples.proxy_harness import EXAMPLES, LIMIT, echo, forked, program, run, server

BLOCK = random.Random(0).randbytes(1024 * 1024)

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")


class Origin(http.server.BaseHTTPRequestHandler):
    """Serves ``/<number>``, so many MiB, and gives the hash of what it is sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        blocks = int(self.path.strip("/"))
        self.send_response(200)
        self.send_header("Content-Length", str(blocks * len(BLOCK)))
        self.end_headers()
        for _ in range(blocks):
            self.wfile.write(BLOCK)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(digest)))
        self.end_headers()
        self.wfile.write(digest)

    def log_message(self, format: str, *args: object) -> None:
        pass


class OriginServer(http.server.ThreadingHTTPServer):
    """Takes it calmly when clients leave."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Run an HTTP server; give its address."""
    with OriginServer(("127.0.0.1", 0), Origin) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
        thread.start()
        yield "{}:{}".format(*serving.server_address[:2])
        serving.shutdown()
        thread.join(LIMIT)


def curl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", str(LIMIT), *arguments],
        capture_output=True,
        timeout=2 * LIMIT,
        check=False,
    )


@contextmanager
def chained(last: str) -> Generator[dict[str, str], None, None]:
    """Run two proxies, the first going through the last one's protocol; give the ways in."""
    listen = "-L", "socks5://127.0.0.1:0", "-L", "http://127.0.0.1:0"
    with forked(*listen) as exit:
        addresses = {scheme: exit.address(scheme) for scheme in ("socks5", "http")}
        with forked(*listen, "-F", f"{last}://{addresses[last]}") as entry:
            yield {
                "--socks5-hostname": entry.address("socks5"),
                "--proxy": f"http://{entry.address('http')}",
            }


@pytest.mark.one_python
@needs_curl
@pytest.mark.parametrize("last", ["socks5", "http"])
def test_100_mib_come_whole_through_two_proxies(last: str, origin: str, tmp_path: Path) -> None:
    expected = hashlib.sha256(BLOCK * 100).hexdigest()
    with chained(last) as ways:
        for option, value in ways.items():
            done = curl(option, value, "--output", str(tmp_path / "body"), f"http://{origin}/100")
            assert done.returncode == 0, done.stderr.decode()
            with (tmp_path / "body").open("rb") as body:
                assert hashlib.file_digest(body, "sha256").hexdigest() == expected


@pytest.mark.one_python
@needs_curl
def test_an_upload_comes_whole_through_two_proxies(origin: str, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BLOCK * 10)
    body = f"@{tmp_path / 'body'}"
    with chained("socks5") as ways:
        for way in [*ways.items(), ("--proxytunnel", "--proxy", ways["--proxy"])]:
            done = curl(*way, "--data-binary", body, f"http://{origin}/")
            assert done.stdout.decode() == hashlib.sha256(BLOCK * 10).hexdigest()


@needs_curl
def test_a_password_is_asked_for_and_never_logged(origin: str) -> None:
    listen = "-L", "socks5://me:s%40fe@127.0.0.1:0", "-L", "http://me:s%40fe@127.0.0.1:0"
    with program(*listen) as guarded:
        socks5, http = guarded.address("socks5"), guarded.address("http")
        forward = "-F", f"socks5://me:s%40fe@{socks5}", "-F", f"http://me:s%40fe@{http}"
        with program("-L", "http://127.0.0.1:0", *forward) as entry:
            url = f"http://{origin}/1"
            assert curl("-x", f"http://{entry.address('http')}", url).stdout == BLOCK
            assert curl("-x", f"socks5h://me:s%40fe@{socks5}", url).stdout == BLOCK
            assert curl("-x", f"http://me:s%40fe@{http}", url).stdout == BLOCK
            assert curl("-x", f"socks5h://me:guess@{socks5}", url).returncode != 0
            refused = curl("-x", f"http://me:guess@{http}", "-w", "%{http_code}", url)
            assert refused.stdout == b"407"
            assert entry.stop() == guarded.stop() == 0
            logged = "".join([*entry.lines, *guarded.lines])
            assert "wrong user name or password" in logged
            assert "s@fe" not in logged
            assert "s%40fe" not in logged
            assert "guess" not in logged


def test_a_client_that_half_closes_gets_its_whole_answer() -> None:
    async def answers_at_the_end(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        question = await reader.read()
        writer.write(question * 1000)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def main() -> None:
        async with server(answers_at_the_end) as target:
            with chained("http") as ways:
                host, _, port = ways["--socks5-hostname"].rpartition(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                target_host, _, target_port = target.rpartition(":")
                writer.write(
                    b"\x05\x01\x00\x05\x01\x00\x01"
                    + socket.inet_aton(target_host)
                    + int(target_port).to_bytes(2, "big")
                    + b"question" * 100
                )
                writer.write_eof()
                answer = await reader.read()
                assert answer[12:] == b"question" * 100_000
                writer.close()
                await writer.wait_closed()

    run(main())


def test_500_connections_at_once_all_succeed() -> None:
    resource = pytest.importorskip("resource")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= most < 4096:
        pytest.skip("this host allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, most))

    async def client(entry: str, target: str, number: int, together: asyncio.Barrier) -> None:
        host, _, port = entry.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        await together.wait()  # all of them are open now
        message = f"{number} ".encode() * 1000
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "http://127.0.0.1:0") as entry:
                address = entry.address("http")
                together = asyncio.Barrier(500)
                await asyncio.gather(
                    *(client(address, target, number, together) for number in range(500))
                )

    run(main())


@needs_curl
def test_a_hop_that_is_killed_in_mid_transfer_gives_an_error(origin: str, tmp_path: Path) -> None:
    with forked("-L", "socks5://127.0.0.1:0") as exit:
        hop = f"socks5://{exit.address('socks5')}"
        with forked("-L", "socks5://127.0.0.1:0", "-F", hop) as entry:
            way = "--socks5-hostname", entry.address("socks5"), "--limit-rate", "10M"
            with subprocess.Popen(
                [
                    "curl",
                    "--silent",
                    *way,
                    "--output",
                    str(tmp_path / "body"),
                    f"http://{origin}/100",
                ]
            ) as client:
                while not (tmp_path / "body").exists():
                    assert client.poll() is None
                exit.process.kill()
                assert client.wait(LIMIT) != 0
            entry.wait_for(r"route=socks5://\S+ sent=\d+ received=\d+")


@needs_curl
def test_traffic_moves_to_the_second_node_after_the_first_died(origin: str) -> None:
    with forked("-L", "http://127.0.0.1:0") as one, forked("-L", "socks5://127.0.0.1:0") as two:
        names = f"http://{one.address('http')}", f"socks5://{two.address('socks5')}"
        with forked("-L", "http://127.0.0.1:0", "-F", ",".join(names)) as entry:
            proxy = "-x", f"http://{entry.address('http')}"

            def route() -> str:
                assert curl(*proxy, f"http://{origin}/1").stdout == BLOCK
                return entry.wait_for(r"route=(\S+)")[1]

            assert {route(), route()} == set(names)
            one.process.kill()
            one.process.wait(LIMIT)
            assert [route() for _ in range(4)] == [names[1]] * 4


@needs_curl
def test_names_reach_the_last_hop_unresolved(origin: str) -> None:
    with forked("-L", "http://127.0.0.1:0") as exit:
        hop = f"http://{exit.address('http')}"
        with forked("-L", "socks5://127.0.0.1:0", "-F", hop) as entry:
            port = origin.rpartition(":")[2]
            curl("--socks5-hostname", entry.address("socks5"), f"http://localhost:{port}/1")
            assert exit.wait_for(r"target=(\S+)")[1] == f"localhost:{port}"


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_program_cleanly_also_in_mid_connection(number: signal.Signals) -> None:
    with program("-L", "socks5://127.0.0.1:0", "-L", "http://127.0.0.1:0") as running:
        host, _, port = running.address("socks5").rpartition(":")
        running.address("http")
        with socket.create_connection((host, int(port)), LIMIT) as client:
            client.sendall(b"\x05\x01\x00")
            assert client.recv(2) == b"\x05\x00"
            assert running.stop(number) == 0
            assert client.recv(1) == b""
        assert "Traceback" not in "".join(running.lines)


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ["-L", "required"]),
        (["-L", "127.0.0.1:1080"], ["-L", "127.0.0.1:1080", "socks5://"]),
        (["-L", "sock5://127.0.0.1:1080"], ["-L", "sock5://127.0.0.1:1080", "socks5://"]),
        (["-L", "http://127.0.0.1"], ["-L", "http://127.0.0.1", "host:port"]),
        (["-L", "http://127.0.0.1:99999"], ["-L", "99999", "65535"]),
        (["-L", "http://::1:80"], ["-L", "::1", "brackets"]),
        (["-L", "http://:0", "-F", "http://:80"], ["-F", "http://:80", "host:port"]),
        (["-L", "http://:0", "-F", "ftp://a:1"], ["-F", "ftp://a:1", "socks5://"]),
        (["-L", "http://:0", "-F", "http://a:1,b"], ["-F", "http://a:1,b", "host:port"]),
        (["-L", "http://:0", "-F", "http://a%3ab@a:1"], ["-F", "http://a:1", "colon"]),
        (["-L", "http://:0?backlog=many"], ["-L", "http://:0", "backlog", "many", "number"]),
        (["-L", "me:p@:80"], ["-L", "***@:80", "protocol://"]),
        (["-L", "http://me:p,w@:80"], ["-L", "***", "percent-encoded"]),
        (["-L", "http://me:p?w@:80"], ["-L", "***", "percent-encoded"]),
    ],
)
def test_a_bad_argument_is_named_with_its_fault_and_the_remedy(
    refusal: Callable[..., str], arguments: list[str], said: list[str]
) -> None:
    message = refusal(*arguments)
    for words in said:
        assert words in message
    assert "me:p" not in message


def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        with program("-L", f"http://{address}") as running:
            assert running.ended() == 1
            message = "".join(running.lines)
            assert f"http://{address}" in message
            assert "Traceback" not in message


def test_help_shows_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "--help"],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert "-L socks5://127.0.0.1:1080" in done.stdout
