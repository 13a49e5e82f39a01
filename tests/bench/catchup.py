"""A year of rows caught up by a mirror over TLS, and compared.

`powerpi push` sends what the simulated household left in a Pi's state folder to `powerpi run` with [mirror], through
TLS that this process ends as a web server would: three processes, Python's start included. The limit is rrdtool's
binding in this process, which writes the same rows into an RRD of the same layout in batches of 1000 and then waits for
the disk once. `powerpi push --verify` has both ends read the year from their disks; this process compares all rows of
both files besides.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import rrdtool

from powerpi import demo, files
from powerpi.demo import METER
from powerpi.digests import Unit, units
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS
from powerpi.store import Store
from tests.bench.common import (
    MOCK,
    TOP,
    Figure,
    at_most,
    config_text,
    free_port,
    powerpi_run,
    progress,
    seconds_to_page,
    settings,
)
from tests.tls import Authority, Forwarder

PASSWORD = "nothing to protect here"  # noqa: S105 (of the benchmark's own mirror)
SENDER = "pi"
BATCH_ROWS = 1000
GOAL_SECONDS = 60.0


class Year(NamedTuple):
    """The state folders of a Pi and of its mirror, and the rows that both are to hold."""

    pi: Path
    mirror: Path

    @property
    def span(self) -> Unit:
        """The lossless rows of the Pi."""
        return Unit(STEP_SECONDS, *ledger(self.pi).spans()[STEP_SECONDS])


def ledger(state: Path) -> Ledger:
    """The rows of the meter in a state folder."""
    return Ledger(state / f"{METER}.rrd", Lock())


def made(folder: Path, end: float) -> Year:
    """A Pi with a year of history up to `end` (Unix seconds), and an empty place for its mirror."""
    year = Year(folder / "pi", folder / "mirror")
    for state in year:
        state.mkdir()
    demo.fill(settings(year.pi), demo.load_of(demo.Wishes(0, 1, None, False, None)), end)
    os.sync()
    return year


def mirror_text(state: Path, port: int, senders: Iterable[str]) -> str:
    """The configuration of a mirror; `senders` are sections."""
    return (
        f"[powerpi]\nstate = {state}\nlisten = 127.0.0.1:{port}\nnetwork_time = no\n[mirror]\naccept = yes\n"
        + "".join(senders)
    )


def sender_text(name: str, password_hash: str, meter: str) -> str:
    """The section of one sender, whose meter is called `meter` here."""
    return f"[mirror {name}]\npassword_hash = {password_hash}\nmeters = {METER} as {meter}\n"


def measure(year: Year, password_hash: str) -> list[Figure]:
    """All figures of a year that is caught up; the mirror then holds it."""
    progress("a year caught up over TLS")
    with mirrored(year, password_hash):
        sent, _ = pushed(year.pi)
        pushed(year.pi, "--verify")  # also sends the means of the time before that year
        verified, said = pushed(year.pi, "--verify")
        assert "there" not in said, said  # nothing had to be put right
    rows = equal_rows(year)
    progress("the same rows by rrdtool alone")
    bare = bare_seconds(year)
    seconds = "{:.1f} s".format
    return [
        at_most(f"{rows} rows caught up over TLS", sent, GOAL_SECONDS, seconds)._replace(
            limit=f"{bare:.2f} s", ratio=f"{sent / bare:.1f}"
        ),
        Figure("rows a second", f"{rows / sent:.0f}", f"{rows / bare:.0f}", f"{bare / sent:.3f}"),
        Figure("all of them compared (`powerpi push --verify`)", seconds(verified)),
    ]


@contextmanager
def mirrored(year: Year, password_hash: str) -> Iterator[None]:
    """A mirror behind TLS, and the Pi's configuration that leads there."""
    port = free_port()
    config = year.mirror / "powerpi.conf"
    config.write_text(mirror_text(year.mirror, port, [sender_text(SENDER, password_hash, METER)]), encoding="utf-8")
    authority = Authority()
    with powerpi_run(config) as process, Forwarder(port, authority.context()) as front:
        push = (
            f"[push]\nurl = {front.url}\nuser = {SENDER}\npassword = {PASSWORD}\nca_file = {authority.pem(year.pi)}\n"
        )
        (year.pi / "powerpi.conf").write_text(config_text(year.pi) + push, encoding="utf-8")
        seconds_to_page(process, port, time.monotonic())
        yield


def pushed(state: Path, *options: str) -> tuple[float, str]:
    """How many seconds `powerpi push` takes, and what it says: both ends are in step, and identical if compared."""
    command = [sys.executable, "-m", "powerpi", "push", "--config", str(state / "powerpi.conf"), *options]
    began = time.monotonic()
    done = subprocess.run(command, cwd=TOP, env={**os.environ, **MOCK}, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert f"{METER}: in step\n" in done.stdout, done.stdout
    assert not options or f"{METER}: identical up to" in done.stdout, done.stdout
    return seconds, done.stdout


def equal_rows(year: Year) -> int:
    """How many rows both ends hold, all of them equal to the last bit, unknown ones too."""
    here, there = ledger(year.pi), ledger(year.mirror)
    assert here.newest() == there.newest(), f"{here.newest()} here, {there.newest()} at the mirror"
    for unit in units(*year.span):
        assert here.rows(unit).tobytes() == there.rows(unit).tobytes(), f"{unit} differs"
    return (year.span.until - year.span.after) // STEP_SECONDS


def bare_seconds(year: Year) -> float:
    """How long rrdtool alone takes for the same rows in the same file system, one wait for the disk included."""
    values = list(counters(year))
    store = Store(year.mirror, "bare", settings(year.pi).store.archive_years, Lock())
    store.create(year.span.after - STEP_SECONDS)
    began = time.monotonic()
    for first in range(0, len(values), BATCH_ROWS):
        rrdtool.update(str(store.rrd), *values[first : first + BATCH_ROWS])
    files.sync_file(store.rrd)
    seconds = time.monotonic() - began
    store.rrd.unlink()
    return seconds


def counters(year: Year) -> Iterator[str]:
    """The rows as rrdtool takes them: times and lifetime counters; unknown rows are left out."""
    here, end, pulses = ledger(year.pi), year.span.after, 0.0
    yield f"{end}:0"
    for unit in units(*year.span):
        for rate in here.rows(unit):
            end += STEP_SECONDS
            if not math.isnan(rate):
                pulses += rate * STEP_SECONDS
                yield f"{end}:{pulses:.6f}"
