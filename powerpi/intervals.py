"""Entries of a file to intervals of time with their energy: the lengths of steps, local time, readings of a display.

In: entries (start, perhaps an end, a value). Out: intervals that follow each other, in Unix seconds and Wh.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from powerpi.csv_forms import END_WORDS, READING, STEP_WORDS, WATTS, Entry, Faults, Form, heading_words
from powerpi.errors import DataError
from powerpi.limits import Limit
from powerpi.moments import Clocks
from powerpi.periods import day_start, month_start

NAN = math.nan
LOOKED_AT = 100_000  # distances of times, to find the usual one
DAY_SECONDS = 86400
DAY_LENGTHS = (23 * 3600, 24 * 3600, 25 * 3600)
MONTH_LEAST_SECONDS, YEAR_LEAST_SECONDS = 28 * DAY_SECONDS - 3600, 365 * DAY_SECONDS - 3600
WIDTHS = {"day": "day", "tag": "day", "month": "month", "monat": "month", "year": "year", "jahr": "year"}
START, END = "start", "end"


class Interval(NamedTuple):
    """Energy of [start, end), Unix seconds and Wh."""

    start: float
    end: float
    watt_hours: float


class Intervals:
    """Many intervals, oldest first, in little memory; `notes` are what has to be told of them."""

    def __init__(self) -> None:
        self.starts, self.ends, self.watt_hours = array("d"), array("d"), array("d")
        self.notes: list[str] = []
        self.step = "interval{s}"  # what they are called
        self.readings = 0  # of a display, where they are what there was between these

    def __iter__(self) -> Iterator[Interval]:
        return map(Interval, self.starts, self.ends, self.watt_hours)

    def within(self, after: float, until: float) -> Iterator[tuple[float, float, float]]:
        """Start, end and Wh of those that have a part in (after, until]."""
        places = slice(bisect_right(self.ends, after), bisect_left(self.starts, until))
        return zip(self.starts[places], self.ends[places], self.watt_hours[places], strict=True)

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, start: float, end: float, watt_hours: float) -> None:
        """One more, after the others."""
        self.starts.append(start)
        self.ends.append(end)
        self.watt_hours.append(watt_hours)


class Timed:
    """Entries whose times are Unix seconds, in rising order; NaN for ends that are not said and values not known."""

    def __init__(self) -> None:
        self.starts, self.ends, self.values, self.lines = array("d"), array("d"), array("d"), array("I")
        self.local = False
        self.width = ""

    def add(self, entry: Entry) -> None:
        """Take an entry, its times as they were written."""
        self.starts.append(entry.start.seconds)
        self.ends.append(NAN if entry.end is None else entry.end.seconds)
        self.values.append(NAN if entry.value is None else entry.value)
        self.lines.append(entry.line)

    def turn(self) -> None:
        """Oldest first, where the file has the newest first."""
        self.keep(range(len(self.starts) - 1, -1, -1))

    def keep(self, places: Sequence[int]) -> None:
        """Only the entries at these places, in this order."""
        self.starts, self.ends, self.values = (
            array("d", map(values.__getitem__, places)) for values in (self.starts, self.ends, self.values)
        )
        self.lines = array("I", map(self.lines.__getitem__, places))


def timed(entries: Iterable[Entry], zone: ZoneInfo, faults: Faults) -> tuple[Timed, list[str]]:
    """Entries with their times in Unix seconds, and what has to be told; those out of order are faults."""
    found = Timed()
    for entry in entries:
        if not len(found.starts):
            found.local, found.width = entry.start.local, entry.start.width
        if entry.start.local != found.local or (entry.end and entry.end.local != found.local):
            faults.add(entry.line, f"wanted a time {'without' if found.local else 'with'} an offset, like the others")
            continue
        found.add(entry)
    if len(found.starts) > 1 and found.starts[0] > found.starts[-1]:
        found.turn()
    notes = _to_unix(found, Clocks(zone)) if found.local else []
    _check_order(found, faults)
    return found, notes


def _to_unix(found: Timed, clocks: Clocks) -> list[str]:
    """Local times to Unix seconds, those of an hour that comes twice in the order of the file; what is to be told."""
    starts, later, missing, twice = found.starts, False, array("I"), False
    before = -math.inf
    unix = array("d")
    for place, local in enumerate(starts):
        offsets = clocks.place(local).offsets
        later = len(offsets) > 1 and (later or (local <= before and len(clocks.place(before).offsets) > 1))
        twice = twice or later
        if not offsets:
            missing.append(place)
        unix.append(local - offsets[-1 if later else 0] if offsets else NAN)
        before = local
    if any(found.values[place] > 0 for place in missing) and not twice:
        return _standard_time(found, clocks)
    for place, end in enumerate(found.ends):
        if not math.isnan(end):
            offsets = clocks.place(end).offsets or (clocks.place(end).standard,)
            found.ends[place] = next((end - each for each in offsets if end - each > unix[place]), end - offsets[-1])
    found.starts = unix
    if not missing:
        return []
    example = datetime.fromtimestamp(starts[missing[0]], tz=ZoneInfo("UTC"))
    found.keep(array("I", (place for place, time in enumerate(unix) if not math.isnan(time))))
    return [f"values at local times that there are not, such as {example:%F %H:%M}, are left out: {len(missing)}"]


def _standard_time(found: Timed, clocks: Clocks) -> list[str]:
    """Times of a clock that nobody sets: it shows the hour that is skipped in spring, and none twice in autumn."""
    for values in (found.starts, found.ends):
        for place, local in enumerate(values):
            if not math.isnan(local):
                values[place] = local - clocks.place(local).standard
    return ["its clock was not set forward in spring: all times are taken as standard time"]


def _check_order(found: Timed, faults: Faults) -> None:
    """Leave out, and name, what is not later than the line before it, or ends before it begins."""
    newest, good = -math.inf, array("I")  # of millions of lines a list would take a multiple of the room
    for place, (start, end) in enumerate(zip(found.starts, found.ends, strict=True)):
        if start <= newest:
            faults.add(found.lines[place], "its time is not later than that of the line before")
        elif end <= start:  # never for NaN
            faults.add(found.lines[place], "it ends before it begins")
        else:
            good.append(place)
            newest = start
    if len(good) < len(found.starts):
        found.keep(good)


# ---------------------------------------------------------------- steps


class Step(NamedTuple):
    """How long a value stands: some seconds, or local days, months or years."""

    seconds: float
    width: str = ""  # "day", "month" or "year"
    days: int = 1

    def after(self, time: float, zone: ZoneInfo, steps: int = 1) -> float:
        """The moment so many steps later."""
        if self.width == "day":
            return day_start(time, zone, steps * self.days)
        if self.width:
            return month_start(time, zone, steps * (12 if self.width == "year" else 1))
        return time + steps * self.seconds

    def words(self) -> str:
        """What they are called; `{s}` is there where there are many."""
        if self.width:
            return f"{self.width}{{s}}" if self.days == 1 else f"value{{s}} of {self.days} days"
        known = {3600: "hour{s}", 900: "quarter hour{s}", 60: "minute{s}"}
        return known.get(round(self.seconds)) or f"value{{s}} of {self.seconds:g} s"


def step_of(found: Timed, form: Form, zone: ZoneInfo) -> Step:
    """The usual distance of the times. Raises DataError where a single value tells none."""
    word = next((word for word in sorted(heading_words(form.time_heading)) if word in STEP_WORDS), "")
    if len(found.starts) < 2:
        width = found.width or WIDTHS.get(word, "")
        if not (width or STEP_WORDS.get(word)):
            raise DataError("a single value does not say for how long it stands: wanted columns such as from,to,kwh")
        return Step(STEP_WORDS.get(word) or DAY_SECONDS, width)
    distances = Counter(round(b - a, 3) for a, b in islice(pairwise(found.starts), LOOKED_AT))
    usual = distances.most_common(1)[0][0]
    if usual < DAY_LENGTHS[0]:
        return Step(usual)
    some = list(islice(found.starts, 1000))
    if any(time != day_start(time, zone) for time in some):
        return Step(usual)
    if usual >= MONTH_LEAST_SECONDS and all(time == month_start(time, zone) for time in some):
        return Step(usual, "year" if usual >= YEAR_LEAST_SECONDS else "month")
    return Step(usual, "day", round(usual / DAY_SECONDS))


# ---------------------------------------------------------------- energy


def is_at_end(form: Form) -> bool:
    """Whether the headings say that a time without another one is the end of its interval."""
    return not form.ends and bool(heading_words(form.time_heading) & END_WORDS)


def intervals(
    found: Timed, form: Form, zone: ZoneInfo, at_end: bool, faults: Faults, *, most: float = math.inf
) -> Intervals:
    """The energy of each entry; `at_end`: a time without another one ends its interval. Raises DataError.

    A mean power above `most` W is a fault.
    """
    made, limit = Intervals(), Limit(form.kind, faults, most)
    if not len(found.starts):
        return made
    if form.kind == READING:
        _from_readings(found, made, zone, limit)
        return made
    step = None if form.ends else step_of(found, form, zone)
    made.step = step.words() if step else made.step
    unknown, newest_end = 0, -math.inf
    for place, (start, end) in enumerate(_spans(found, step, zone, at_end)):
        value = found.values[place]
        if start < newest_end:
            faults.add(found.lines[place], "it begins before the one before it has ended")
            continue
        newest_end = end
        if math.isnan(value):
            unknown += 1
        elif not limit.is_fault(found.lines[place], value, end - start):
            made.add(start, end, value * (end - start) / 3600 if form.kind == WATTS else value)
    if unknown:
        made.notes.append(f"lines without a value, whose time is unknown: {unknown}")
    return made


def _spans(found: Timed, step: Step | None, zone: ZoneInfo, at_end: bool) -> Iterator[tuple[float, float]]:
    """From when to when each value stands: a step, or up to its neighbour where that is nearer."""
    starts = found.starts
    if step is None:
        yield from zip(starts, found.ends, strict=True)
    elif at_end:
        before = -math.inf
        for time in starts:
            yield max(step.after(time, zone, -1), before), time
            before = time
    else:
        for place, time in enumerate(starts):
            following = starts[place + 1] if place + 1 < len(starts) else math.inf
            yield time, min(step.after(time, zone), following)


def _from_readings(found: Timed, made: Intervals, zone: ZoneInfo, limit: Limit) -> None:
    """What was counted between two readings of a display; a fall says that the meter was replaced."""
    made.step = "reading{s}"
    made.readings = sum(value == value for value in found.values)  # noqa: PLR0124 (NaN: unknown)
    all_of_them = zip(found.starts, found.values, found.lines, strict=True)
    wide = 0
    for (start, before, _), (end, after, line) in pairwise(one for one in all_of_them if not math.isnan(one[1])):
        if after < before:
            when = datetime.fromtimestamp(end, zone)
            made.notes.append(
                f"the reading falls from {before / 1000:.10g} to {after / 1000:.10g} kWh on {when:%F %H:%M}: the meter"
                " was replaced, and what it took meanwhile is unknown"
            )
        elif not limit.is_fault(line, after - before, end - start):
            made.add(start, end, after - before)
            wide += end - start > DAY_LENGTHS[-1]
    if wide:
        made.notes.append(f"readings more than a day after the one before, whose energy is spread evenly: {wide}")
