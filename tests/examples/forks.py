"""Runs the example's program in forks of this process, which has imported all.

An interpreter of its own for each takes ten times as long. What comes by the socket that is the
standard input: a list of arguments in a line of JSON, with two pipes. The program says what it says
into the first; into the second go its process ID at once, and its exit code in the end.
"""

import gc
import json
import os
import signal
import socket
import sys
import traceback

sys.path[0] = os.getcwd()

from proxy import __main__ as program  # noqa: E402 this file is run by its path


def serve(asked: socket.socket) -> None:
    """Start a program for each request, until nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who waits for a program
    while True:
        line, pipes = b"", list[int]()
        while not line.endswith(b"\n"):
            data, come, *_ = socket.recv_fds(asked, 65536, 2)
            if not data:
                return
            line, pipes = line + data, pipes + come
        if not os.fork():
            watch(json.loads(line), *pipes)
        for pipe in pipes:
            os.close(pipe)


def watch(arguments: list[str], said: int, told: int) -> None:
    """Run the program in a fork of its own; tell its process ID, and its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not (child := os.fork()):
        os.close(told)
        os.dup2(said, sys.stderr.fileno())
        os.close(said)
        run(arguments)
    os.close(said)
    os.write(told, b"%d\n" % child)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


def run(arguments: list[str]) -> None:
    """Be the program."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)  # where the requests come from
    os.dup2(nothing, 1)
    os.close(nothing)
    sys.argv = [program.__file__, *arguments]
    code: object = 1
    try:
        code = program.main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    gc.collect()  # what was never awaited is said now
    sys.stderr.flush()
    # All else takes less time than taking down what was imported.
    os._exit(code if isinstance(code, int) else 1)


serve(socket.socket(fileno=sys.stdin.fileno()))
