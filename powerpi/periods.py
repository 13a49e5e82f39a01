"""The periods that graphs show, and the local days and months that energy is summed over.

Times are Unix seconds (UTC); days and months are cut at local midnight of the given time zone, so that days
of 23 and 25 hours are right.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Period(NamedTuple):
    """One graph's length: a curve of power over `seconds`, or one bar of energy per local day or month."""

    name: str  # as in the URL
    seconds: int  # the length of a curve; for bars about that length
    bars: str | None  # None: a curve; "day" or "month": what one bar stands for
    bar_count: int  # how many bars, the running day or month included
    fresh_seconds: int  # a newer picture would look no different before this many seconds


PERIODS = {
    period.name: period
    for period in (
        Period("hour", 3600, None, 0, 10),
        Period("12h", 12 * 3600, None, 0, 30),
        Period("day", 24 * 3600, None, 0, 60),
        Period("week", 7 * 86400, None, 0, 300),
        Period("month", 31 * 86400, "day", 31, 900),
        Period("quarter", 91 * 86400, "day", 91, 900),
        Period("year", 366 * 86400, "month", 12, 3600),
    )
}


TOLD_IN_DAYS_SECONDS = 3 * 86400
WAITING_SECONDS = 7200  # rows wait for the next pulse, an idle meter's for up to an hour: later ones are missing


def known_until(newest_row_time: int, now: float) -> int:
    """Where graphs and sums end: at the newest row, or now, when rows are missing rather than waiting for a pulse."""
    return newest_row_time if now - newest_row_time <= WAITING_SECONDS else int(now)


def day_start(time: float, zone: ZoneInfo, days: int = 0) -> int:
    """Local midnight that begins the day of `time`, moved by `days` calendar days."""
    date = datetime.fromtimestamp(time, zone).date() + timedelta(days=days)
    return int(datetime(date.year, date.month, date.day, tzinfo=zone).timestamp())


def month_start(time: float, zone: ZoneInfo, months: int = 0) -> int:
    """Local midnight that begins the month of `time`, moved by `months` calendar months."""
    local = datetime.fromtimestamp(time, zone)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    return int(datetime(year, month + 1, 1, tzinfo=zone).timestamp())


def midnights(period: Period, end: float, zone: ZoneInfo) -> list[int]:
    """Local midnights between the bars (bar_count + 1); the last bar holds the instant before `end`."""
    start = month_start if period.bars == "month" else day_start
    return [start(end - 1, zone, number) for number in range(1 - period.bar_count, 2)]


def span_text(seconds: int) -> str:
    """A length of time, in unit signs that both languages share: 40 s, 25 min, 3 h 20 min, 9 d 4 h (of 24 h each)."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < TOLD_IN_DAYS_SECONDS:
        hours, minutes = divmod(round(seconds / 60), 60)
        parts = ((hours, "h"), (minutes, "min"))
    else:
        days, hours = divmod(round(seconds / 3600), 24)
        parts = ((days, "d"), (hours, "h"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
