"""Holds every thread of a process but its first one, as if each hung in a call that never returns.

    freeze.py PID SECONDS    (inside the virtual machine; ptrace(2))

A watchdog that the first thread feeds would not see this; one that the counting thread feeds does.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

PTRACE_SEIZE = 0x4206  # <linux/ptrace.h>
PTRACE_INTERRUPT = 0x4207
WALL = 0x40000000  # waitpid(2): children of all kinds, traced threads too
LIBC = ctypes.CDLL(None, use_errno=True)


def ptrace(request: int, thread: int) -> None:
    """Raises OSError."""
    if LIBC.ptrace(request, thread, None, None):
        raise OSError(ctypes.get_errno(), f"ptrace of {thread}")


def freeze(process: int) -> int:
    """Hold all threads but the first; returns how many. They go on when this process ends."""
    threads = [int(task.name) for task in Path(f"/proc/{process}/task").iterdir()]
    held = [thread for thread in threads if thread != process]
    for thread in held:
        ptrace(PTRACE_SEIZE, thread)
        ptrace(PTRACE_INTERRUPT, thread)
    return len(held)


def watch(seconds: float) -> None:
    """Wait until the threads have ended; a tracer has to take note of it, or the process never quite ends."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.waitpid(-1, WALL | os.WNOHANG)
        except ChildProcessError:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    print(freeze(int(sys.argv[1])), "threads held", flush=True)
    watch(float(sys.argv[2]))
