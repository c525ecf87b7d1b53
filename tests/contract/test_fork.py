"""What a child process can do after a fork that came in the middle of other threads' work."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, threading
from gost_core.common import bufpool
from gost_core.selector import FailMarker

def use():
    marker.mark()
    marker.reset()
    bufpool.put(bufpool.get(128))

def busy():
    while not ended.is_set():
        use()

marker, ended = FailMarker(), threading.Event()
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
hung = 0
for _ in range(12):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits for a lock which nobody will release
        for _ in range(100):
            use()
        os._exit(0)
    hung += os.waitpid(child, 0)[1] != 0
    if hung:
        break
ended.set()
for thread in threads:
    thread.join()
use()
print("hung:", hung)
"""


@pytest.mark.needs("processes")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_markers_and_the_pool_work_in_a_child_and_go_on_in_the_parent() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert (result.stdout, result.stderr) == ("hung: 0\n", "")
