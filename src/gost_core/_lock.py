"""The lock of the buffers' pool and of all markers.

A thread that forks takes it first. So nobody is in the middle of a change then, and the child,
which has that thread alone, can let go of it: a lock that another thread held would stay locked
there for good (D21).
"""

import os
import sys
from threading import RLock
from typing import Final

__all__ = ("LOCK",)

# Reentrant, since the collector may run a finalizer within that needs it too.
LOCK: Final = RLock()

if sys.platform != "win32":
    os.register_at_fork(
        before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
    )
