"""What the simulated meter really sent, as the host heard it, and PowerPi's rows against it.

The host hears of a pulse before it happens and keeps it whatever becomes of the machine. Of a pulse: its number since
the boot, CLOCK_MONOTONIC and Unix seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

STEP_SECONDS = 10


class Sent(NamedTuple):
    """A pulse."""

    number: int
    monotonic: float
    wall: float


class Row(NamedTuple):
    """A step of the RRD: Unix seconds of its end, and its pulses, None where unknown."""

    time: int
    pulses: float | None


Life = Sequence[Sent]  # the pulses from one boot to the next


def lives(path: Path) -> list[list[Sent]]:
    """All pulses, by boot; a boot in which none was sent is not there."""
    found: list[list[Sent]] = []
    for sent in _pulses(path.read_text(encoding="ascii")):
        if sent.number == 1:
            found.append([])
        found[-1].append(sent)
    return found


def _pulses(text: str) -> Iterator[Sent]:
    """The pulses in whole lines."""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            number, monotonic, wall = line.split()
            yield Sent(int(number), float(monotonic), float(wall))


def nearest(life: Life, wall: float) -> Sent:
    """The pulse that was sent nearest to a Unix time."""
    return min(life, key=lambda sent: abs(sent.wall - wall))


def placed(life: Life) -> list[Sent]:
    """The same pulses by the clock as it was at the end: one that was set meanwhile was wrong before."""
    offset = life[-1].wall - life[-1].monotonic
    return [sent._replace(wall=sent.monotonic + offset) for sent in life]


def counter_at(life: Life, wall: float) -> float | None:
    """The pulses sent up to a Unix time, on the line between the two around it; None outside."""
    after = bisect_left(life, wall, key=lambda sent: sent.wall)
    if not 0 < after < len(life):
        return None
    before, following = life[after - 1], life[after]
    return before.number + (wall - before.wall) / (following.wall - before.wall)


def deviations(rows: Sequence[Row], life: Life) -> list[float]:
    """By how many pulses each known row that lies wholly in a life differs from what was sent."""
    found = []
    for row in rows:
        start, end = counter_at(life, row.time - STEP_SECONDS), counter_at(life, row.time)
        if row.pulses is not None and start is not None and end is not None:
            found.append(abs(row.pulses - (end - start)))
    return found


def known_between(rows: Sequence[Row], start: float, end: float) -> list[Row]:
    """The known rows that lie wholly between two Unix times."""
    return [row for row in rows if row.pulses is not None and start <= row.time - STEP_SECONDS and row.time <= end]


def holes(rows: Sequence[Row]) -> int:
    """How many rows are unknown between the first and the last known one."""
    known = [row.time for row in rows if row.pulses is not None]
    return sum((later - earlier) // STEP_SECONDS - 1 for earlier, later in pairwise(known))


def parse_rows(text: str) -> list[Row]:
    """The rows in what `rrdtool fetch` prints; the data source is a rate in pulses per second."""
    rows = []
    for line in text.splitlines():
        time, colon, value = line.partition(": ")
        if colon and time.isdigit():
            rate = float(value)
            rows.append(Row(int(time), None if math.isnan(rate) else rate * STEP_SECONDS))
    return rows
