"""Readings of a meter's display that somebody noted: what ties the counter to what the display shows.

They are kept beside the RRD in the text file `NAME.readings`, a line each: `TIME WATT_HOURS PULSES WORD`, where the
word is same_meter or new_meter. Times are Unix seconds. From the newest one on the display is known by the pulses
counted since.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from powerpi import files, units
from powerpi.gaps import Gap

SUFFIX = ".readings"
LEAST_UNKNOWN_SECONDS = 60  # a shorter hole is not worth a word
LATEST = 1 << 32  # Unix seconds: the year 2106; whatever is later is damage
WORDS = {"same_meter": False, "new_meter": True}


class Anchor(NamedTuple):
    """What the display showed at a moment, and where the lifetime counter stood then."""

    time: int
    watt_hours: float
    pulses: float  # with a fraction; below 0 for a moment before the counter began
    new_meter: bool = False  # a new series begins: the readings before are of another meter

    @property
    def place(self) -> tuple[int, bool]:
        """Its place among the others: the last reading of a meter may have the time of the first one of the next."""
        return self.time, self.new_meter


Anchors = tuple[Anchor, ...]  # oldest first


def path_of(rrd: Path) -> Path:
    """Where the readings of the meter with that RRD are kept."""
    return rrd.with_suffix(SUFFIX)


def merged(anchors: Iterable[Anchor]) -> Anchors:
    """All of them, oldest first. Of two at the same place the later one in `anchors` is right."""
    by_place = {anchor.place: anchor for anchor in anchors}
    return tuple(by_place[place] for place in sorted(by_place))


# ---------------------------------------------------------------- the file


def encode(anchor: Anchor) -> str:
    """The line of a reading; its numbers come back to the last bit."""
    word = next(word for word, new_meter in WORDS.items() if new_meter == anchor.new_meter)
    return f"{anchor.time} {float(anchor.watt_hours)!r} {float(anchor.pulses)!r} {word}\n"


def decode(line: str) -> Anchor | None:
    """The reading in a line; None where it is torn or foreign."""
    match line.split():
        case [time, watt_hours, pulses, word] if word in WORDS and line.endswith("\n"):
            return _checked(time, watt_hours, pulses, WORDS[word])
    return None


def _checked(time: str, watt_hours: str, pulses: str, new_meter: bool) -> Anchor | None:
    try:
        anchor = Anchor(int(time), float(watt_hours), float(pulses), new_meter)
    except ValueError:
        return None
    sound = 0 < anchor.time < LATEST and math.isfinite(anchor.watt_hours) and math.isfinite(anchor.pulses)
    return anchor if sound and anchor.watt_hours >= 0 else None


def read(path: Path) -> tuple[Anchors, bool]:
    """The readings in a file, oldest first, and whether anything in it is damaged: that is passed over."""
    anchors, damaged = files.decoded(path, decode)
    return merged(anchors), damaged


def write(path: Path, anchors: Iterable[Anchor], damaged: bool) -> Anchors:
    """Put readings on disk in the place of those there; returns them oldest first. Raises OSError.

    `damaged`, as `read` says: the file there is set aside.
    """
    kept = merged(anchors)
    files.rewrite(path, "".join(map(encode, kept)), damaged)
    return kept


class Noted:
    """The readings of one meter: those in its file. Any thread may look at `all`: it is replaced, never changed."""

    def __init__(self, path: Path) -> None:
        """`notes` says what was not as expected in the file."""
        self.path = path
        self.all, self._damaged = read(path)
        kept = f"; it is kept when the next reading is noted, {len(self.all)} could be read"
        self.notes = [f"the readings in {path} are damaged{kept}"] if self._damaged else []

    def put(self, anchors: Iterable[Anchor]) -> None:
        """Let these be all readings, on disk first; a damaged file is set aside. Raises OSError."""
        self.all = write(self.path, anchors, self._damaged)
        self._damaged = False


# ---------------------------------------------------------------- the display


def offset_kwh(anchors: Sequence[Anchor], pulses: float, imp_per_kwh: float, configured_kwh: float) -> float:
    """What the display showed when the counter stood at 0, in kWh, as the newest reading says it.

    `pulses` is the counter of the moment; without any reading it is as configured. A reading between two pulses stands
    until the second one comes: the display never shows less than what was just read from it.
    """
    if not anchors:
        return configured_kwh
    newest = anchors[-1]
    began = min(newest.pulses, pulses) if newest.pulses - pulses <= 1 else newest.pulses
    return (newest.watt_hours - units.watt_hours(began, imp_per_kwh)) / units.WATT_HOURS_PER_KWH


def watt_hours(anchors: Sequence[Anchor], pulses: float, imp_per_kwh: float, configured_kwh: float) -> float:
    """What the display shows when the counter stands at `pulses`, in Wh."""
    offset = offset_kwh(anchors, pulses, imp_per_kwh, configured_kwh)
    return units.watt_hours(pulses, imp_per_kwh) + offset * units.WATT_HOURS_PER_KWH


# ---------------------------------------------------------------- how well it counts


class Interval(NamedTuple):
    """What was counted between two readings of one meter, and what its display says."""

    since: int  # Unix seconds
    until: int
    counted_watt_hours: float
    shown_watt_hours: float
    missing_pulses: float  # below 0: too many were counted
    unknown_seconds: int  # in between, as the gaps say

    @property
    def missing_share(self) -> float | None:
        """How much of what the display says was not counted: 0.01 is 1 %. None: the display has not moved."""
        missing = self.shown_watt_hours - self.counted_watt_hours
        return missing / self.shown_watt_hours if self.shown_watt_hours > 0 else None


class NotedReading(NamedTuple):
    """A reading as the API tells it: with what was counted since the one before, None where it is the first one."""

    time: int
    watt_hours: float
    new_meter: bool
    counted_watt_hours: float | None
    missing_pulses: float | None
    unknown_seconds: int | None


class Account(NamedTuple):
    """What is told of the readings of a meter."""

    readings: tuple[NotedReading, ...]  # newest first
    whole: Interval | None  # from the first to the last of the meter that is there now; None: as whole_interval says
    decimals: int  # of a kWh on its display


def interval(before: Anchor, after: Anchor, imp_per_kwh: float, gaps: Iterable[Gap] = ()) -> Interval:
    """What lies between two readings of the same meter."""
    counted, shown = after.pulses - before.pulses, after.watt_hours - before.watt_hours
    return Interval(
        before.time,
        after.time,
        counted_watt_hours=units.watt_hours(counted, imp_per_kwh),
        shown_watt_hours=shown,
        missing_pulses=units.pulses(shown, imp_per_kwh) - counted,
        unknown_seconds=unknown_seconds(gaps, before.time, after.time),
    )


def unknown_seconds(gaps: Iterable[Gap], since: int, until: int) -> int:
    """How much of a time lies in gaps."""
    parts = (min(until, until if gap.end is None else gap.end) - max(since, gap.start) for gap in gaps)
    return sum(part for part in parts if part > 0)


def series(anchors: Sequence[Anchor]) -> list[Anchors]:
    """The readings by meters: a new series begins with each one that is of a new meter."""
    found: list[Anchors] = []
    for anchor in anchors:
        if anchor.new_meter or not found:
            found.append(())
        found[-1] += (anchor,)
    return found


def is_lost(before: Anchor, after: Anchor) -> bool:
    """Whether the counter is lower at a reading than at the one before: nobody knows what was counted in between."""
    return after.pulses < before.pulses - 1  # of which a part was under way


def lost_notes(anchors: Sequence[Anchor], pulses: int) -> list[str]:
    """What is to be said where the counter, `pulses`, is lower than it was at the newest reading."""
    if not anchors or not is_lost(anchors[-1], anchors[-1]._replace(pulses=pulses)):
        return []
    lost = f"the counter is at {pulses} pulses, lower than the {anchors[-1].pulses:.0f} at the newest reading"
    return [f"{lost}: the display is shown too low; restore a backup, or note a reading"]


def whole_interval(series: Anchors, imp_per_kwh: float, gaps: Sequence[Gap] = ()) -> Interval | None:
    """What lies between the first and the last reading of a meter; None: there are not two, or the counter was lost."""
    if len(series) <= 1 or any(is_lost(before, after) for before, after in pairwise(series)):
        return None
    return interval(series[0], series[-1], imp_per_kwh, gaps)


def intervals(anchors: Sequence[Anchor], imp_per_kwh: float, gaps: Sequence[Gap] = ()) -> list[Interval | None]:
    """What lies between each reading and the one before it; None: it is the first of its meter, or of its counter."""
    pairs = zip((None, *anchors), anchors, strict=False)
    return [
        None
        if before is None or after.new_meter or is_lost(before, after)
        else interval(before, after, imp_per_kwh, gaps)
        for before, after in pairs
    ]


def account(anchors: Sequence[Anchor], imp_per_kwh: float, gaps: Sequence[Gap] = ()) -> Account:
    """What is told of these readings."""
    found = zip(anchors, intervals(anchors, imp_per_kwh, gaps), strict=True)
    readings = tuple(
        NotedReading(
            anchor.time,
            anchor.watt_hours,
            anchor.new_meter,
            since.counted_watt_hours if since else None,
            since.missing_pulses if since else None,
            since.unknown_seconds if since else None,
        )
        for anchor, since in found
    )
    last = series(anchors)[-1] if anchors else ()
    return Account(readings[::-1], whole_interval(last, imp_per_kwh, gaps), decimals(last))


def decimals(anchors: Iterable[Anchor]) -> int:
    """How many decimals of a kWh the display has, as far as its readings tell: 0 to 3."""
    return max((_decimals(anchor.watt_hours) for anchor in anchors), default=0)


def _decimals(watt_hours: float) -> int:
    digits = f"{watt_hours / units.WATT_HOURS_PER_KWH:.3f}".partition(".")[2]
    return len(digits.rstrip("0"))
