"""Tries arguments of the example's program, each in a fork of this process, which has imported all.

A program of its own for each would take twenty times as long. It reads a list of arguments in each
line, as JSON, and writes the exit code and what was said.
"""

import json
import os
import signal
import sys

sys.path[0] = os.getcwd()

from proxy import __main__ as program  # noqa: E402 this file is run by its path


def answer(arguments: list[str], limit: int) -> tuple[int, str]:
    """Run the program in a fork, for so many seconds at most."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, sys.stderr.fileno())
        os.close(reading)
        os.close(writing)
        sys.argv = [program.__file__, *arguments]
        signal.alarm(limit)
        try:
            code: object = program.main()
        except SystemExit as refusal:
            code = refusal.code
        sys.stderr.flush()
        # All else takes less time than taking down what was imported.
        os._exit(code if isinstance(code, int) else 1)
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line), int(sys.argv[1]))), flush=True)
