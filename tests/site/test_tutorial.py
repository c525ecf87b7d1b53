"""The tutorial can be followed from its page alone: its files and its lines do what it says."""

import asyncio
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

import pytest

import gost_core
from gost_core.common.net import Conn
from gost_core.listener import addr_option
from tests.site import tutorial_page
from tests.site.tutorial_page import Command, without_numbers
from tutorial import checks
from tutorial.listener import SocketListener

COMMANDS: Final = tutorial_page.commands()
OF_CHECKERS: Final = ("mypy", "pyright")
"""What tests/typing runs, where the checkers are installed."""
TO_SET_UP: Final = ("mkdir", "python3", "pip")
"""What makes the folder and its environment; here they are made by the test."""
SERVING: Final = "127.0.0.1:8000"
"""Where the page has the program listen; the test asks for a free port."""


def is_run_here(command: Command) -> bool:
    return command.line.split()[0] not in (*OF_CHECKERS, *TO_SET_UP)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tutorial_page.write(tmp_path)
    return tmp_path


def start(line: str, folder: Path) -> subprocess.Popen[str]:
    """Start a line of the page in the folder, with this Python and this package."""
    program, *arguments = shlex.split(line)
    interpreter = [sys.executable] if program == "python" else [sys.executable, "-m", program]
    return subprocess.Popen(
        [*interpreter, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(gost_core.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell has what it starts in the background ignore Ctrl-C, and so all that this starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def test_the_page_shows_every_file_of_the_tutorial_whole_and_under_its_name() -> None:
    written = (tutorial_page.DOCS / "examples" / "tutorial").glob("*.py")
    assert {*tutorial_page.files(), "tutorial/__init__.py"} == {
        f"tutorial/{path.name}" for path in written
    }


def test_each_line_of_the_page_is_run_by_a_test_or_makes_the_folder() -> None:
    programs = {command.line.split()[0] for command in COMMANDS}
    assert programs == {*TO_SET_UP, *OF_CHECKERS, "pytest", "python"}


# Its waits are long: the kit is patient with a peer that does not read.
@pytest.mark.one_python
@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if is_run_here(command) and SERVING not in command.line],
    ids=lambda command: command.line,
)
def test_a_line_of_the_page_prints_what_the_page_shows(command: Command, folder: Path) -> None:
    with start(command.line, folder) as process:
        printed, _ = process.communicate()
    assert command.shown
    assert without_numbers(command.shown) in without_numbers(printed)
    assert (process.returncode == 0) is not command.shown.startswith("usage")


def test_the_program_sends_back_what_it_gets_and_ends_quietly(folder: Path) -> None:
    (command,) = (command for command in COMMANDS if SERVING in command.line)
    with start(command.line.replace(SERVING, "127.0.0.1:0"), folder) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert without_numbers(said) == without_numbers(command.shown)
        port = int(re.findall(r"\d+", said)[-1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as answer:
                assert answer.read() == b"hello"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate()
    assert (rest, process.returncode) == ("", 0)


@pytest.mark.parametrize("addr", ["", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:65536"])
def test_a_wrong_address_is_named_in_init(addr: str) -> None:
    with pytest.raises(ValueError, match=r"write it as host:port"):
        asyncio.run(SocketListener(addr_option(addr)).init(None))


def test_the_last_words_arrive_although_the_peer_is_still_sending() -> None:
    # Closed at once, its system answers the unread bytes with a reset, and drops what is unsent.
    async def read_all(conn: Conn) -> int:
        length = 0
        while data := await conn.read(65536):
            length += len(data)
        return length

    async def scenario() -> int:
        here, there = await checks.pair()
        sending = asyncio.create_task(there.write(bytes(300_000)))
        reading = asyncio.create_task(read_all(there))
        await here.write(bytes(3_000_000))
        await here.close()
        try:
            return await reading
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await there.close()

    assert asyncio.run(asyncio.wait_for(scenario(), 60)) == 3_000_000
