"""What the page says: readings and figures to the words, numbers and times of one language.

In: MeterReading, Figures, Gap and Notice values (Unix seconds, watts, watt-hours, None where unknown).
Out: plain text for the template, kWh and local time. Nothing here knows HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from powerpi.ask import END_TIMES
from powerpi.gaps import Gap
from powerpi.graph import Figures
from powerpi.layout import LOSSLESS_DAYS
from powerpi.page_mirror import origin_text
from powerpi.periods import PERIODS, Period, day_start, midnights, month_start, span_text
from powerpi.pictures import BarFigures
from powerpi.readings import MeterReading, Notice
from powerpi.wording import UNKNOWN, Words, kwh, local, number, watts_text

LEAST_UNKNOWN_SECONDS = 60  # a shorter hole in a day is not worth a word
GAPS_LISTED = 20
LATELY_SECONDS = 31 * 86400
SHORT_GAP_SECONDS = 600  # a shorter gap is told to the second


class MeterView(NamedTuple):
    """One meter as the page shows it; every field is text in the page's language."""

    name: str
    label: str
    watts: str
    known: bool  # whether power is
    at_most: bool
    no_pulse_yet: bool  # then of power nothing is said but where help is
    last_pulse: str
    today: str
    today_unknown: str  # empty where (almost) the whole day is known; likewise yesterday_unknown
    yesterday: str
    yesterday_unknown: str
    meter_reading: str
    origin: str  # who sends it; empty: it is counted here
    details: list[tuple[str, str]]  # what a fitter wants to know: (name, value)


class GraphView(NamedTuple):
    """One graph as the page shows it."""

    period: str
    title: str
    alt: str
    fresh_seconds: int


class Neighbours(NamedTuple):
    """The ends, in Unix seconds, of the pictures before and after one; None: there is none."""

    earlier: int | None
    later: int | None


class GapView(NamedTuple):
    """One gap as the page lists it; every field is text in the page's language."""

    time: tuple[str, str]  # from and to, the date once where it is the same; lines are best broken between the two
    length: str
    reason: str


class GapsView(NamedTuple):
    """The newest gaps, and whether there are others."""

    title: str
    listed: list[GapView]
    others: bool


def meter_view(reading: MeterReading, words: Words, zone: ZoneInfo, now: float) -> MeterView:
    """What the page says about one meter at the time `now`."""
    unwired = reading.no_pulse_yet and not reading.silent
    if unwired:
        reading = reading._replace(watts=None, watts_at_most=False)
    return MeterView(
        name=reading.meter,
        label=reading.label,
        watts=watts_text(reading.watts, words),
        known=reading.watts is not None,
        at_most=reading.watts_at_most,
        no_pulse_yet=unwired,
        last_pulse=_last_pulse(reading, words, zone, now),
        today=kwh(reading.today_watt_hours, 2, words),
        today_unknown=_unknown_part(reading.today_unknown_seconds, words),
        yesterday=kwh(reading.yesterday_watt_hours, 2, words),
        yesterday_unknown=_unknown_part(reading.yesterday_unknown_seconds, words),
        meter_reading=kwh(reading.meter_reading_watt_hours, 1, words),
        origin=origin_text(reading, words, zone, now),
        details=_details(reading, words),
    )


def graph_view(
    period: Period, figures: Figures | BarFigures | None, words: Words, zone: ZoneInfo, end: int | None = None
) -> GraphView:
    """Title and alternative text of a graph that ends at `end`; `figures` are None where they cannot be had now."""
    if end is None:
        title, lead = words[f"period_{period.name}"], words[f"alt_{period.name}"]
    else:
        title, lead = _past("past", period, end, words, zone), _past(f"past_{_kind(period)}", period, end, words, zone)
    return GraphView(period.name, title, lead + _figures(figures, period, words, zone), period.fresh_seconds)


def _kind(period: Period) -> str:
    return period.bars or "curve"


def _past(key: str, period: Period, end: int, words: Words, zone: ZoneInfo) -> str:
    """A text about what is shown: from and to the minute, or the first and the last bar."""
    first, last = end - period.seconds, end
    if period.bars:
        first, *_, last, _ = midnights(period, end, zone)
    time_format = words[f"format_past_{_kind(period)}"]
    return words[key].format(start=local(first, zone, time_format), end=local(last, zone, time_format))


def neighbours(period: Period, end: int | None, zone: ZoneInfo, now: float) -> Neighbours:
    """What adjoins the picture that ends at `end` (None: now). Bars go by whole days or months."""
    earlier, after = _shown(period, end, zone, now)
    later, oldest = after + period.seconds, int(now) - LOSSLESS_DAYS * 86400  # curves need the lossless archive
    if period.bars:
        start = month_start if period.bars == "month" else day_start
        later, oldest = start(after, zone, period.bar_count), END_TIMES[0]
    return Neighbours(earlier if earlier > oldest else None, later if end is not None and later < now else None)


def _shown(period: Period, end: int | None, zone: ZoneInfo, now: float) -> tuple[int, int]:
    """From when to when the picture that ends at `end` (None: now) shows something; bars are whole."""
    seen = int(now) // period.fresh_seconds * period.fresh_seconds if end is None else end
    if not period.bars:
        return seen - period.seconds, seen
    first, *_, after = midnights(period, seen, zone)
    return first, after


def gaps_within(gaps: Sequence[Gap], period: Period, end: int | None, zone: ZoneInfo, now: float) -> list[Gap]:
    """Those of `gaps` that the picture that ends at `end` (None: now) shows, wholly or in part."""
    start, after = _shown(period, end, zone, now)
    return [gap for gap in gaps if (end is None or gap.start < after) and (gap.end is None or gap.end > start)]


def gaps_title(gaps: Sequence[Gap], words: Words, now: float) -> str:
    """How many of `gaps` touch the last 31 days."""
    lately = [gap for gap in gaps if gap.end is None or gap.end > now - LATELY_SECONDS]
    return words["gaps_lately"].format(number=len(lately))


def gaps_view(title: str, gaps: Sequence[Gap], words: Words, zone: ZoneInfo, now: float) -> GapsView:
    """What the page says under `title` about `gaps`, which come newest first."""
    return GapsView(title, [_gap(gap, words, zone, now) for gap in gaps[:GAPS_LISTED]], len(gaps) > GAPS_LISTED)


def _gap(gap: Gap, words: Words, zone: ZoneInfo, now: float) -> GapView:
    """One gap; the length of an open one is that up to `now`."""
    seconds = (int(now) if gap.end is None else gap.end) - gap.start
    length = span_text(seconds) if seconds >= 0 else UNKNOWN
    return GapView(_gap_time(gap, words, zone), length, words[f"gap_{gap.reason}"])


def _gap_time(gap: Gap, words: Words, zone: ZoneInfo) -> tuple[str, str]:
    short = gap.end is not None and gap.end - gap.start < SHORT_GAP_SECONDS
    date_format, clock_format = words["format_past_day"], words["format_clock_seconds" if short else "format_clock"]
    date, clock = local(gap.start, zone, date_format), local(gap.start, zone, clock_format)
    if gap.end is None:
        return words["gap_open"].format(start=f"{date} {clock}"), ""
    end_date, end_clock = local(gap.end, zone, date_format), local(gap.end, zone, clock_format)
    if date == end_date:
        return date, f"{clock} – {end_clock}"
    return f"{date} {clock} –", f"{end_date} {end_clock}"


def _figures(figures: Figures | BarFigures | None, period: Period, words: Words, zone: ZoneInfo) -> str:
    if figures is None:
        return ""
    if isinstance(figures, BarFigures):
        return _bars(figures, period, words, zone)
    return _curve(figures, period, words, zone)


def notice_text(notice: Notice, labels: Mapping[str, str], words: Words) -> str:
    """The sentence of a notice, led by the name that `labels` gives to its meter if it is about one."""
    sentence = words[f"notice_{notice.key}"].format(value=notice.value or UNKNOWN)
    return f"{labels.get(notice.meter, notice.meter)}: {sentence}" if notice.meter else sentence


def notice_texts(notices: Sequence[Notice], labels: Mapping[str, str], words: Words) -> list[str]:
    """The sentences of all `notices`; `labels` gives the names of meters."""
    return [notice_text(notice, labels, words) for notice in notices]


def _unknown_part(seconds: float | None, words: Words) -> str:
    if seconds is None or seconds < LEAST_UNKNOWN_SECONDS:
        return ""
    return words["unknown_part"].format(span=span_text(int(seconds)))


def _last_pulse(reading: MeterReading, words: Words, zone: ZoneInfo, now: float) -> str:
    """When the last pulse came: the time of today, or with the date; while power is unknown, what it waits for."""
    time = reading.last_pulse_time
    if reading.watts is None:
        return words["waiting"] if not reading.silent else UNKNOWN
    if time is None:  # no pulse yet, or no clock to tell its time by
        return words["last_pulse"].format(time=UNKNOWN)
    today = local(time, zone, "%F") == local(now, zone, "%F")
    time_format = words["format_clock_seconds" if today else "format_date_clock"]
    return words["last_pulse"].format(time=local(time, zone, time_format))


def _curve(figures: Figures, period: Period, words: Words, zone: ZoneInfo) -> str:
    """Mean and peak of a curve of power, and what is unknown of it.

    The peak has its time of day, and its date where the curve is longer than a day.
    """
    if figures.mean_watts is None or figures.peak_watts is None:
        return words["alt_unknown"]
    mean, peak = watts_text(figures.mean_watts, words), watts_text(figures.peak_watts, words)
    key = "alt_peak_clock" if period.seconds <= PERIODS["day"].seconds else "alt_peak_moment"
    missing = _unknown_part(figures.unknown_seconds, words)
    when = _when(figures.peak_time, words[key], zone)
    return words["alt_curve"].format(mean=mean, peak=peak) + when + (f"; {missing}" if missing else "")


def _bars(figures: BarFigures, period: Period, words: Words, zone: ZoneInfo) -> str:
    """Mean and highest of the whole bars of energy, when the highest one was, and how many bars lack something."""
    if figures.mean_watt_hours is None:
        return words["alt_unknown"]
    mean, peak = kwh(figures.mean_watt_hours, 1, words), kwh(figures.peak_watt_hours, 1, words)
    when = _when(figures.peak_start, words[f"alt_peak_{period.bars}"], zone)
    part = words["alt_incomplete"].format(bars=figures.incomplete, of=period.bar_count) if figures.incomplete else ""
    return words["alt_bars"].format(mean=mean, peak=peak) + when + part


def _when(time: float | None, time_format: str, zone: ZoneInfo) -> str:
    return "" if time is None else local(time, zone, time_format)


def _details(reading: MeterReading, words: Words) -> list[tuple[str, str]]:
    contact = {None: UNKNOWN, True: words["contact_closed"], False: words["contact_open"]}
    decimals = 0 if reading.imp_per_kwh == int(reading.imp_per_kwh) else 1
    constant = (words["meter_constant"], f"{number(reading.imp_per_kwh, decimals, words)} imp/kWh")
    if reading.sampled:  # of its contact nobody tells anything
        return [constant]
    return [
        constant,
        (words["contact"], contact[reading.contact_closed]),
        (words["edges_rejected"], number(reading.edges_rejected, 0, words)),
        (words["edges_lost"], number(reading.edges_lost, 0, words)),
    ]
