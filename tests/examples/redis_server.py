"""A Redis server of a test's own, to share and to kill."""

import shutil
import signal
import subprocess
from typing import Final

import pytest

from tests.examples.peers import free_port

COMMAND: Final = shutil.which("redis-server")

needs_redis = pytest.mark.skipif(
    COMMAND is None, reason="redis-server is not installed; Debian's package has that name"
)


class RedisServer:
    """A server on a free port, which keeps everything in memory."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.url = ""
        while self._process is None:  # somebody else may take the port before the server does
            self._port = free_port()
            self.url = f"redis://127.0.0.1:{self._port}"
            self.start()

    def start(self) -> None:
        """Start it, again at the same port and with nothing in it."""
        assert COMMAND is not None
        arguments = ["--bind", "127.0.0.1", "--port", str(self._port), "--save", "", "--dir", "/"]
        process = subprocess.Popen([COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if "Ready to accept connections" in line:
                self._process = process
                return
        process.communicate()

    def suspend(self) -> None:
        """Make it silent."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it as a fault would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
