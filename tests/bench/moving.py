"""A year saved, brought back, exported and imported: the commands as they are, Python's start included.

Seconds are CPU seconds of the command, memory is its largest resident set. The limits are measured in the same run: for
a backup Python's zlib over the bytes of the same RRD at the same level; for what writes rows rrdtool's binding, which
writes them into an RRD of the same layout in batches of 1000; for an export `rrdtool fetch` of the same rows.
"""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from powerpi.demo import METER
from powerpi.pulses import STEP_SECONDS
from tests.bench import catchup
from tests.bench.catchup import Year
from tests.bench.common import TOP, Figure, at_most, config_text, folder, progress

HEADROOM_SECONDS = 3600.0  # the history ends in the past: nothing of it is of the future
QUICK_LEVEL = 1  # as in a backup
CHUNK_BYTES = 1 << 20
HOURS = 4 * 365 * 24
GOAL_SECONDS = 60.0
# a small process in between: a child begins with the largest memory that its parent ever had
MEASURED = """
import resource, subprocess, sys
ran = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


class Ran(NamedTuple):
    """What a command took."""

    seconds: float  # CPU
    megabytes: float  # at most, resident


def measure() -> list[Figure]:
    """All figures of one year and four."""
    with folder() as top:
        year = catchup.made(top, time.time() - HEADROOM_SECONDS)
        for state in year:
            (state / "powerpi.conf").write_text(config_text(state), encoding="utf-8")
        return [*_saved(year, top), *_as_text(year, top), _four_years(top)]


def _saved(year: Year, top: Path) -> list[Figure]:
    file = top / "year.zip"
    progress("a year saved and brought back")
    saved = _powerpi(year.pi, "backup", str(file))
    checked = _powerpi(year.pi, "backup", "--verify", str(file))
    restored = _powerpi(year.mirror, "restore", str(file))
    catchup.equal_rows(year)
    bare, packed = catchup.bare_seconds(year), _zlib_seconds(year)
    _emptied(year.mirror)
    return [
        _beside(f"a year saved (`powerpi backup`, {file.stat().st_size / 1e6:.0f} MB)", saved, packed, "bare zlib"),
        Figure("... and checked (`--verify`)", _told(checked)),
        _beside("... and brought back and compared (`powerpi restore`)", restored, bare, "bare rrdtool"),
    ]


def _as_text(year: Year, top: Path) -> list[Figure]:
    file = top / "year.csv"
    progress("a year exported and imported")
    exported = _powerpi(year.pi, "export", METER, "--step", "10s", "--output", str(file))
    after, until = year.span[1:]
    fetch = ["rrdtool", "fetch", str(year.pi / f"{METER}.rrd"), "AVERAGE", "-r", str(STEP_SECONDS)]
    fetched = _run([*fetch, "-s", str(after), "-e", str(until - STEP_SECONDS)])
    imported = _powerpi(year.mirror, "import", METER, str(file))
    bare = catchup.bare_seconds(year)
    _emptied(year.mirror)
    return [
        _beside("a year of 10 s rows exported (`powerpi export`)", exported, fetched.seconds, "rrdtool fetch"),
        _beside("... and imported again (`powerpi import`)", imported, bare, "bare rrdtool"),
    ]


def _four_years(top: Path) -> Figure:
    """Hours of kWh, as other programs export them."""
    file, state = top / "hours.csv", top / "hours"
    state.mkdir()
    (state / "powerpi.conf").write_text(config_text(state), encoding="utf-8")
    end = int(time.time()) // 3600 * 3600 - 3600
    times = (datetime.fromtimestamp(end - 3600 * (HOURS - n), UTC) for n in range(HOURS))
    lines = (f"{moment:%FT%T}+00:00,{n % 24 / 10:.4f}\n" for n, moment in enumerate(times))
    file.write_text("hour,kwh\n" + "".join(lines), encoding="utf-8")
    progress("four years of hours imported")
    ran = _powerpi(state, "import", METER, str(file))
    figure = at_most("four years of hours imported", ran.seconds, GOAL_SECONDS, "{:.1f} s".format)
    return figure._replace(value=_told(ran))


def _powerpi(state: Path, *arguments: str) -> Ran:
    command, *rest = arguments
    return _run([sys.executable, "-m", "powerpi", command, "--config", str(state / "powerpi.conf"), *rest])


def _run(command: list[str]) -> Ran:
    """A command to its end; its output is of no interest."""
    measured = [sys.executable, "-c", MEASURED, *command]
    ran = subprocess.run(measured, cwd=TOP, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    seconds, kilobytes = ran.stdout.split()
    return Ran(float(seconds), int(kilobytes) / 1000)


def _zlib_seconds(year: Year) -> float:
    began = time.process_time()
    packer = zlib.compressobj(QUICK_LEVEL)
    with (year.pi / f"{METER}.rrd").open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            packer.compress(chunk)
    return time.process_time() - began


def _emptied(state: Path) -> None:
    for path in state.glob(f"{METER}.*"):
        path.unlink()


def _beside(name: str, ran: Ran, limit: float, whose: str) -> Figure:
    return Figure(name, _told(ran), f"{limit:.1f} s ({whose})", f"{ran.seconds / limit:.1f}")


def _told(ran: Ran) -> str:
    return f"{ran.seconds:.1f} s, {ran.megabytes:.0f} MB"
