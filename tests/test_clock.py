"""The machine's clocks, and who may vouch for them."""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from powerpi.clock import SystemClock, kernel_synchronised

# The number of the system call adjtimex and the place of `int status` in struct timex (<sys/timex.h>).
ADJTIMEX = {"x86_64": (159, 40), "aarch64": (171, 40), "armv7l": (124, 20), "armv6l": (124, 20)}


def clock(timesync_file: Path, network_time: bool = True) -> SystemClock:
    return SystemClock(network_time, timesync_file)


def test_offset_turns_monotonic_into_unix_seconds(tmp_path: Path) -> None:
    before = time.time()
    machine = clock(tmp_path / "none")
    now = machine.monotonic() + machine.offset()
    # taken between two readings of the wall clock; 10 ms for slewing and rounding
    assert before - 0.01 <= now <= time.time() + 0.01


def test_monotonic_is_the_clock_of_the_kernels_edges(tmp_path: Path) -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert before <= clock(tmp_path / "none").monotonic() <= time.clock_gettime(time.CLOCK_MONOTONIC)


def test_offset_stands_still_while_nobody_steps_the_clock(tmp_path: Path) -> None:
    machine = clock(tmp_path / "none")
    assert machine.offset() == pytest.approx(machine.offset(), abs=0.01)


def test_trusted_once_timesyncd_has_made_its_file(tmp_path: Path) -> None:
    machine = clock(tmp_path / "synchronized")
    before = machine.trusted()
    (tmp_path / "synchronized").touch()
    assert machine.trusted()
    assert before == kernel_synchronised()


def test_without_timesyncd_the_kernel_decides(tmp_path: Path) -> None:
    assert clock(tmp_path / "synchronized").trusted() == kernel_synchronised()


def test_trusted_without_network_time(tmp_path: Path) -> None:
    assert clock(tmp_path / "none", network_time=False).trusted()


def kernel_says() -> bool | None:
    """What the kernel answers to a system call made by Perl, which every Debian has; None where that is unknown."""
    if shutil.which("perl") is None or platform.machine() not in ADJTIMEX:
        return None
    call, place = ADJTIMEX[platform.machine()]
    script = f'$t = "\\0" x 512; $s = syscall({call}, $t); print "$s ", unpack("x{place} l", $t)'
    asked = subprocess.run(["perl", "-e", script], capture_output=True, text=True, check=True)
    state, status = map(int, asked.stdout.split())
    return state in range(5) and not status & 0x40  # TIME_OK to TIME_WAIT, STA_UNSYNC


def test_kernel_synchronised_agrees_with_a_system_call_made_elsewhere() -> None:
    said = kernel_says()
    if said is None:
        pytest.skip("no perl, or a machine whose system calls are not in the table")
    assert kernel_synchronised() is said
