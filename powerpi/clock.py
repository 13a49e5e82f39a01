"""Monotonic to wall time, and whether the wall clock can be trusted.

Edges carry CLOCK_MONOTONIC; `offset()` is what must be added to get Unix seconds. It changes only when
somebody steps the clock (slewing moves both clocks alike), so an interval between two edges is never bent.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Protocol

OLDEST_TIME = 1_577_836_800  # 2020-01-01: a clock that shows less was never set, and rrdtool knows no year before 1980
STA_UNSYNC = 0x40  # <sys/timex.h>: clock unsynchronised
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMESYNC_FILE = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd(8), once the clock is set
_LIBC = ctypes.CDLL(None)
_SAMPLES = 3  # a thread interrupted between two readings is unlikely to be so every time
_TIMEX_BYTES = 512  # struct timex is 208 bytes at most; the kernel writes no more than its own size
_STATUS_WORD = 5 if ctypes.sizeof(ctypes.c_long) == 4 else 10  # `int status` in struct timex, in 32-bit words


class Clock(Protocol):
    """What the counting needs of time."""

    def monotonic(self) -> float:
        """Seconds CLOCK_MONOTONIC."""
        ...

    def offset(self) -> float:
        """Unix seconds minus CLOCK_MONOTONIC seconds, now."""
        ...

    def trusted(self) -> bool:
        """Whether the wall clock is known to be right."""
        ...


def kernel_synchronised() -> bool:
    """True when adjtimex(2) reports a disciplined clock; chrony, ntpd and timesyncd all clear STA_UNSYNC."""
    buffer = (ctypes.c_int32 * (_TIMEX_BYTES // 4))()
    state = _LIBC.adjtimex(ctypes.byref(buffer))
    return state not in (-1, TIME_ERROR) and not buffer[_STATUS_WORD] & STA_UNSYNC


def _sample() -> tuple[float, float]:
    """How long the sample took and the offset it found, both in seconds."""
    before, wall, after = time.monotonic(), time.time(), time.monotonic()
    return after - before, wall - (before + after) / 2


class SystemClock:
    """The machine's clocks; without network time (`network_time=False`) the wall clock is taken as it is."""

    def __init__(self, network_time: bool, timesync_file: Path = TIMESYNC_FILE) -> None:
        self._network_time = network_time
        self._timesync_file = timesync_file
        self.monotonic = time.monotonic

    def offset(self) -> float:
        """Unix seconds minus CLOCK_MONOTONIC seconds, from the sample that took least time."""
        return min(_sample() for _ in range(_SAMPLES))[1]

    def trusted(self) -> bool:
        """Whether timesyncd or the kernel says that the clock is synchronised, or nobody ever will."""
        return not self._network_time or self._timesync_file.exists() or kernel_synchronised()
