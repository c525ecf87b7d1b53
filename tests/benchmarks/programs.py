"""The programs that are measured: the proxies, each a process of its own, and their clients."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Literal

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs" / "examples"
LIMIT = 30.0  # seconds for whatever must not hang

# On the event loop that all others run on, whatever else is installed.
_PPROXY: Final[str] = """
import sys
sys.modules["uvloop"] = None
from pproxy.server import main
main()
"""

Protocol = Literal["socks5", "http"]


@dataclass(frozen=True, slots=True)
class Program:
    """A running program that listens at a port of this host. What it uses is read from /proc."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Return the processor time that it has taken so far, with that of its children."""
        tasks = (task for pid in _tree(self.pid) for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def memory(self) -> int:
        """Return the bytes of memory that it holds (RSS), with those of its children."""
        pages = sum(
            int(Path(f"/proc/{process}/statm").read_text().split()[1])
            for process in _tree(self.pid)
        )
        return pages * os.sysconf("SC_PAGE_SIZE")


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


@contextmanager
def running(name: str, protocol: Protocol = "socks5") -> Generator[Program]:
    """Run a program on a free port; it is up when this is entered, and gone when it is left."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command, directory = _command(name, protocol, port)
    with TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            end = time.monotonic() + LIMIT
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > end:
                    output.seek(0)
                    raise RuntimeError(f"{name} does not listen:\n{output.read()}")
                time.sleep(0.05)
            yield Program(process.pid, port)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _command(name: str, protocol: Protocol, port: int) -> tuple[list[str], Path]:
    """Return a program's arguments, and the directory to run it in."""
    url = f"{protocol}://127.0.0.1:{port}"
    match name:
        case "target" | "bare sockets":
            return [str(HERE / f"{name.split()[0]}.py"), str(port)], HERE
        case "example":
            return ["-m", "proxy", "-L", url], EXAMPLES
        case "pproxy":
            return ["-c", _PPROXY, "-l", url], HERE
        case "proxy.py":  # its package is called proxy too, so the directory decides
            processes = ["--num-workers", "1", "--num-acceptors", "1"]
            where = ["--hostname", "127.0.0.1", "--port", str(port)]
            # It drops idle connections after ten seconds, unless it is told otherwise.
            return ["-m", "proxy", *where, *processes, "--timeout", "600"], HERE
        case _:
            raise ValueError(f"no program is called {name!r}")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def connect(proxy: Program, protocol: Protocol, target: Program) -> socket.socket:
    """Connect to the target through a proxy."""
    conn = socket.create_connection(("127.0.0.1", proxy.port), LIMIT)
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if protocol == "socks5":
            conn.sendall(b"\x05\x01\x00")
            _expect(conn, b"\x05\x00", 2)
            conn.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.port.to_bytes(2, "big"))
            _expect(conn, b"\x05\x00", 10)
        else:
            host = f"127.0.0.1:{target.port}"
            conn.sendall(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):  # the target says nothing before it is asked
                data = conn.recv(4096)
                if not data:
                    raise ConnectionError("the proxy ended the connection")
                head += data
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise ConnectionError(f"the proxy says {head!r}")
    except BaseException:
        conn.close()
        raise
    return conn


def ask(conn: socket.socket, size: int, buffer: bytearray) -> None:
    """Have the target send ``size`` bytes, and read them all."""
    conn.sendall(size.to_bytes(8, "big"))
    while size:
        received = conn.recv_into(buffer, min(size, len(buffer)))
        if not received:
            raise ConnectionError("the stream ended early")
        size -= received


def exchange(conn: socket.socket) -> None:
    """Send a byte, and read it back."""
    conn.sendall(b"?")
    _expect(conn, b"?", 1)


def _expect(conn: socket.socket, begin: bytes, length: int) -> None:
    reply = conn.recv(length, socket.MSG_WAITALL)
    if len(reply) != length or not reply.startswith(begin):
        raise ConnectionError(f"an unexpected reply: {reply!r}")
