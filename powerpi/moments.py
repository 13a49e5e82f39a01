"""Dates and times as people write them, to seconds and back; where local hours, days, months and years begin.

Unix seconds are UTC. Local seconds are what the clock on the wall shows, counted as if it were UTC: two of them may
stand for one moment when the clocks are set back, and some of them for none when they are set forward.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from powerpi.periods import day_start, month_start

CLOCK = r"(?:(?:[T ]|, ?)(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?)?"
OFFSET = r" ?(Z|UTC|[+-]\d{2}:?\d{2})?"
ISO = re.compile(rf"(\d{{4}})(?:[-/](\d{{1,2}})(?:[-/](\d{{1,2}}){CLOCK}{OFFSET})?)?", re.ASCII)
GERMAN = re.compile(rf"(\d{{1,2}})\.(\d{{1,2}})\.(\d{{4}}|\d{{2}}){CLOCK}{OFFSET}(?: Uhr)?", re.ASCII)
EPOCH = re.compile(r"\d{9,10}(?:\.\d+)?", re.ASCII)  # Unix seconds from 1973 on
STEPS = {"10s": 10, "15min": 900, "hour": 3600, "day": 86400, "month": 31 * 86400, "year": 366 * 86400}
YEARS = range(1970, 2100)  # others are slips, and the calendar ends soon after 9999
MOST_OFFSET_SECONDS = 14 * 3600  # on the Line Islands
SAME_SECONDS = 900  # every change of the clocks falls on a quarter hour, as every time zone's midnight does
EXAMPLES = "2026-11, 2026-11-26, 2026-11-26T18:30 or 26.11.2026 18:30, with an offset such as +01:00 if need be"


class Moment(NamedTuple):
    """What was written: Unix seconds, or local seconds where it was no more than the time on the wall."""

    seconds: float
    local: bool
    width: str = ""  # "year", "month" or "day": what a date without a time stands for


def read(text: str) -> Moment:
    """The moment in a text, ISO or German, or Unix seconds. Raises ValueError."""
    if EPOCH.fullmatch(text):
        return Moment(float(text), local=False)
    if found := ISO.fullmatch(text):
        year, month, day, *rest = found.groups()
    elif found := GERMAN.fullmatch(text):
        day, month, year, *rest = found.groups()
    else:
        raise ValueError(text)
    hour, minute, second, offset = rest
    date = datetime(int(year) + (2000 if len(year) == 2 else 0), int(month or 1), int(day or 1), tzinfo=UTC)
    if date.year not in YEARS:
        raise ValueError(text)
    seconds = date.timestamp() + _clock(hour, minute, second, text)
    width = "" if hour else "day" if day else "month" if month else "year"
    return Moment(seconds - _offset(offset), False, width) if offset else Moment(seconds, True, width)


def _clock(hour: str | None, minute: str | None, second: str | None, text: str) -> float:
    """Seconds since midnight; 24:00 is the end of the day. Raises ValueError."""
    if hour is None:
        return 0.0
    seconds = int(hour) * 3600 + int(minute or 0) * 60 + float(second or 0)
    if int(minute or 0) > 59 or float(second or 0) >= 60 or seconds > 86400:
        raise ValueError(text)
    return seconds


def _offset(text: str) -> int:
    """Seconds east of Greenwich. Raises ValueError for more than there are anywhere."""
    if text in ("Z", "UTC"):
        return 0
    size = int(text[1:3]) * 3600 + int(text[-2:]) * 60
    if int(text[-2:]) > 59 or size > MOST_OFFSET_SECONDS:
        raise ValueError(text)
    return -size if text.startswith("-") else size


class QuickReader:
    """Reads many times that lie close together: what differs only in minutes and seconds is looked up once."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, str], Moment] = {}
        self._last: tuple[str | None, Moment] = (
            None,
            Moment(0, local=False),
        )  # one interval's end is the next one's start

    def read(self, text: str) -> Moment:
        """As `read` above. Raises ValueError."""
        if text != self._last[0]:
            self._last = (text, self._read(text))
        return self._last[1]

    def _read(self, text: str) -> Moment:
        if len(text) < 19 or text[13] != ":" or text[16] != ":" or text[4] != "-" or text[11:13] > "23":
            return read(text)
        minute, second = text[14:16], text[17:19]
        if not (minute.isdecimal() and second.isdecimal() and minute < "60" and second < "60"):
            return read(text)
        key = (text[:13], text[19:])
        hour = self._hours.get(key)
        if hour is None:
            if len(self._hours) > 10000:
                self._hours.clear()
            hour = self._hours[key] = read(f"{key[0]}:00:00{key[1]}")
        return Moment(hour.seconds + int(minute) * 60 + int(second), hour.local)


class Place(NamedTuple):
    """What a local time may stand for: its offsets in seconds; two while the clocks are set back, none in the gap."""

    offsets: tuple[int, ...]
    standard: int  # the offset without daylight saving, at that time of that year


class Clocks:
    """The clocks of one time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._place = lru_cache(1 << 16)(self._look_up)

    def place(self, local: float) -> Place:
        """What a local time may stand for."""
        return self._place(int(local // SAME_SECONDS))

    def _look_up(self, quarter: int) -> Place:
        naive = datetime.fromtimestamp(quarter * SAME_SECONDS, UTC).replace(tzinfo=self.zone)
        first, second = (naive.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
        offsets = tuple(int(offset.total_seconds()) for offset in (first, second))
        standard = int((first - (naive.dst() or timedelta())).total_seconds())
        if first == second:
            return Place(offsets[:1], standard)
        return Place(offsets if first > second else (), standard)

    def unix(self, moment: Moment) -> float:
        """Unix seconds; the first of two, and in the gap what a clock would show that was not set."""
        if not moment.local:
            return moment.seconds
        place = self.place(moment.seconds)
        return moment.seconds - (place.offsets or (place.standard,))[0]


def next_start(time: int, step: str, zone: ZoneInfo) -> int:
    """Where the step after that of `time` begins; `step` is one of STEPS."""
    if step == "month":
        return month_start(time, zone, 1)
    if step == "day":
        return day_start(time, zone, 1)
    if step == "year":
        return month_start(time, zone, 13 - datetime.fromtimestamp(time, zone).month)
    seconds = STEPS[step]
    shift = (
        int((datetime.fromtimestamp(time, zone).utcoffset() or timedelta()).total_seconds()) if step == "hour" else 0
    )
    return ((time + shift) // seconds + 1) * seconds - shift


class Stamps:
    """Unix seconds as local time with its offset: 2026-11-26T18:30:00+01:00."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._quarter = -1
        self._texts = ("", 0, "")

    def text(self, time: int) -> str:
        """The text of a moment; quick for those in one quarter hour, which only differ in minutes and seconds."""
        quarter, seconds = divmod(time, SAME_SECONDS)
        if quarter != self._quarter:
            began = datetime.fromtimestamp(quarter * SAME_SECONDS, self._zone)
            whole = began.isoformat()
            self._texts, self._quarter = (whole[:14], began.minute, whole[19:]), quarter
        before, minute, after = self._texts
        return f"{before}{minute + seconds // 60:02d}:{seconds % 60:02d}{after}"
