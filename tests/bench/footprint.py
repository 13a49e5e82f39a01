"""Memory, CPU at rest, and how soon the first page comes.

Memory: `powerpi run` on a state folder with a year of history, after the page and all its graphs, in every size that it
offers, were served several times; sum over the counting process and its drawing child. The goal uses RSS, which counts
shared pages in each process (so it is the harder one); PSS stands beside it. "Cache full" is the same after SVG
pictures of many sizes, more than are kept. The limit is a Python that only imports the four packages. gpiozero's mock
pin, which a PC needs, imports what lgpio's on a Pi does not (pkg_resources in gpiozero 1.6): the goals are held
against what remains without it.

CPU at rest: the daemon with a constant load of 500 W on the mock pin and nobody looking, by the scheduler's
nanoseconds of all threads; the thread that drives the pin is in it.

First page: from exec of `powerpi run` to the last byte of `GET /`, Python's start included, after the files were read
once (a warm page cache).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.common import (
    Figure,
    at_most,
    children,
    config_text,
    cpu_seconds,
    fetched,
    fill,
    folder,
    free_port,
    memory_mb,
    picture_paths,
    powerpi_run,
    progress,
    seconds_to_page,
    server,
)

SERVED_TIMES = 5
PAGE_SIZES = (
    "width=560&height=300",
    "width=560&height=300&zoom=2",
    "width=358&height=230&zoom=2",
    "width=1400&height=560&zoom=2",
)
FULL_SIZES = range(700, 720)  # widths of SVG pictures: some 7 MB, the cache keeps 2
GOAL_MB = 60.0
GOAL_COUNTING_MB = 45.0
IDLE_SECONDS = 60.0
WARM_SECONDS = 5.0
GOAL_IDLE_PERCENT = 0.15
STARTS = 5
GOAL_START_SECONDS = 1.0
LOAD_WATTS = "500"
PACKAGES = "import gpiozero, rrdtool, bottle, waitress"
ANY_PIN = f"{PACKAGES}, gpiozero.pins.local"
MOCK_PIN = f"{ANY_PIN}, gpiozero.pins.mock"


class Memory(NamedTuple):
    """Resident memory of the counting process and of its children, in MB."""

    counting: float
    drawing: float

    @property
    def total(self) -> float:
        """Of all together."""
        return self.counting + self.drawing


def measure() -> list[Figure]:
    """All figures of this subject."""
    with folder() as state:
        fill(state)
        config = state / "powerpi.conf"
        port = free_port()
        config.write_text(config_text(state, port), encoding="utf-8")
        return [*memory(config, port), start(config, port), idle(state)]


def started(config: Path, port: int) -> float:
    """Seconds from exec to the first page."""
    began = time.monotonic()
    with powerpi_run(config) as process:
        return seconds_to_page(process, port, began)


def start(config: Path, port: int) -> Figure:
    """The median of some starts."""
    progress("from start to the first page")
    seconds = statistics.median(started(config, port) for _ in range(STARTS))
    return at_most(f"exec to first page (median of {STARTS})", seconds, GOAL_START_SECONDS, "{:.2f} s".format)


def resident(pid: int, kind: str) -> Memory:
    """Memory of a daemon and of its children."""
    return Memory(memory_mb(pid, kind), sum(memory_mb(child, kind) for child in children(pid)))


def memory(config: Path, port: int) -> list[Figure]:
    """Memory after much was served."""
    progress("memory")
    pictures = [f"{path}?{size}&lang=en" for path in picture_paths() for size in PAGE_SIZES]
    others = [path.replace(".png", f".svg?width={width}") for path in picture_paths() for width in FULL_SIZES]
    with powerpi_run(config) as process:
        seconds_to_page(process, port, time.monotonic())
        for _ in range(SERVED_TIMES):
            fetched(port, "/", *pictures)
        rss, pss = resident(process.pid, "Rss"), resident(process.pid, "Pss")
        fetched(port, *others)
        full = resident(process.pid, "Rss")
    mb, bare, mock = "{:.1f} MB".format, import_mb(PACKAGES), import_mb(MOCK_PIN) - import_mb(ANY_PIN)
    return [
        Figure("RSS, all processes, on the mock pin", mb(rss.total)),
        Figure("of it imported by gpiozero's mock pin alone", mb(mock)),
        at_most("RSS, all processes, without that", rss.total - mock, GOAL_MB, mb),
        at_most(
            "RSS, counting process, without that",
            rss.counting - mock,
            GOAL_COUNTING_MB,
            mb,
            f"{mb(bare)} (imports alone)",
        ),
        Figure("RSS, drawing process", mb(rss.drawing)),
        Figure("PSS, all / counting / drawing", " / ".join(map(mb, (pss.total, *pss)))),
        Figure("RSS with the cache full, all / counting / drawing", " / ".join(map(mb, (full.total, *full)))),
    ]


def import_mb(imports: str) -> float:
    """RSS of a Python that has imported something, in MB."""
    code = f"{imports}; print(open('/proc/self/smaps_rollup').read())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[1]) * 1024 / 1e6 for line in said.splitlines() if line.startswith("Rss:"))


def idle(state: Path) -> Figure:
    """CPU of a daemon that counts 500 W and is not looked at, in percent of a core."""
    progress(f"CPU at rest, {IDLE_SECONDS:.0f} s")
    with server("tests.bench.serve", str(state), LOAD_WATTS) as (process, _):
        time.sleep(WARM_SECONDS)
        before = cpu_seconds(process.pid)
        time.sleep(IDLE_SECONDS)
        percent = (cpu_seconds(process.pid) - before) / IDLE_SECONDS * 100
        assert not children(process.pid)
    return at_most(f"CPU at {LOAD_WATTS} W, nobody looking", percent, GOAL_IDLE_PERCENT, "{:.3f} %".format)
