"""Bars of energy, one per local day or month: they become arguments for `rrdtool graphv -`.

Bars stand between exact local midnights, days of 23 and 25 hours included, and no RRD could hold them: so their
heights travel inside one CDEF each for whole and for partly measured bars, a chain of comparisons with the time.
The store is only asked where it knows nothing. Times are Unix seconds, energy is in Wh, sizes in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from powerpi import axes
from powerpi.periods import Period
from powerpi.picture import (
    COARSE_ROW_SECONDS,
    MEAN_COLOR,
    Look,
    Rows,
    comment,
    decimal,
    drawn_row_seconds,
    frame,
    gap,
    gap_legend,
    hatching,
    level,
    source,
)
from powerpi.units import WATT_HOURS_PER_KWH

WHOLE_COLOR = "#f59e0bd9"
PART_COLOR = "#f59e0b80"
WHOLE_SHARE = 0.02  # a bar that lacks no more than this is a whole one
LEAST_KWH = 3  # below it the scale is in Wh: whole numbers do without a decimal sign


class Bar(NamedTuple):
    """Energy from one local midnight to another; None is unknown. Time still to come counts as unknown."""

    start: int
    end: int
    watt_hours: float | None
    unknown_seconds: int


class Window(NamedTuple):
    """What the plot shows, and how many seconds one of its pixels stands for."""

    start: int
    end: int
    seconds_per_pixel: float

    @property
    def row_seconds(self) -> int:
        """Length of the rows that are drawn: whole ones of the store, a pixel or more."""
        return drawn_row_seconds(self.seconds_per_pixel, COARSE_ROW_SECONDS)

    def pixel(self, time: float) -> int:
        """The pixel, from the left edge of the plot, at whose left edge `time` is drawn."""
        return round((time - self.start) / self.seconds_per_pixel)

    def threshold(self, pixel: int) -> int:
        """The TIME that parts the row of `pixel` from the row before it.

        rrdgraph draws pixel n from the row that holds start + (n + 1) pixels; TIME is the end of that row, thus
        in the mean half a row later. Half a pixel before that lies the border.
        """
        return round(self.start + (pixel + 0.5) * self.seconds_per_pixel + self.row_seconds / 2)


class Unit(NamedTuple):
    """In what the bars are measured: its name and how many Wh it has."""

    name: str
    watt_hours: int


def bars_arguments(rrd: Path, bars: Sequence[Bar], period: Period, due: int, look: Look) -> list[str]:
    """Arguments that draw `bars` (at least one, in their order, without holes between them).

    Unknown time is drawn as a gap up to `due` only: what lies behind may still come.
    """
    most = highest(bars)
    unit = unit_of(most)
    scale = axes.scale(most / unit.watt_hours, look.size.height)
    pixels = axes.plot_pixels(look.size.width, axes.label_digits(scale.top))
    seen = window(bars, pixels)
    gap_seen = any(missing_seconds(bar, due) for bar in bars)
    return [
        *frame(look, Rows(seen.start, seen.end, seen.row_seconds), scale, x_grid(period, seen, look)),
        source("p", rrd, COARSE_ROW_SECONDS),
        *gap("p", bars[0].start, due),
        *(hatching(look, scale.top, seen.seconds_per_pixel, seen.row_seconds) if gap_seen else []),
        *areas(bars, period, seen, unit, look),
        *mean_line(bars, unit, look),
        *total(bars, look),
        *([gap_legend(look)] if gap_seen else []),
    ]


def highest(bars: Sequence[Bar]) -> float:
    """Energy of the highest bar, in Wh; 0 when all are unknown."""
    return max((bar.watt_hours or 0 for bar in bars), default=0)


def unit_of(watt_hours: float) -> Unit:
    """In what an energy is best told: kWh, a small one in Wh."""
    small = 0 < watt_hours < LEAST_KWH * WATT_HOURS_PER_KWH
    return Unit("Wh", 1) if small else Unit("kWh", WATT_HOURS_PER_KWH)


def is_whole(bar: Bar) -> bool:
    """Whether the bar was measured from end to end."""
    return bar.unknown_seconds <= WHOLE_SHARE * (bar.end - bar.start)


def missing_seconds(bar: Bar, due: int) -> int:
    """Unknown time of a bar before `due`; trifles, too narrow to be drawn, do not count."""
    missing = bar.unknown_seconds - max(0, bar.end - max(due, bar.start))
    return missing if missing > WHOLE_SHARE * (bar.end - bar.start) else 0


def window(bars: Sequence[Bar], pixels: int) -> Window:
    """What a plot `pixels` wide shows: the bars, and beside them less than half of one's place.

    The margin is chosen so that each place is a whole number of pixels, where so little is enough for it.
    """
    start, end = bars[0].start, bars[-1].end
    spare = pixels % len(bars)
    if spare >= pixels / len(bars):
        return Window(start, end, (end - start) / pixels)
    per_pixel = (end - start) / (pixels - spare)
    margin = int(per_pixel * spare / 2)
    return Window(start - margin, end + margin, per_pixel)


def x_grid(period: Period, seen: Window, look: Look) -> str:
    """The scale of time: a label under each bar, or under some days."""
    if period.bars == "month":
        return axes.months_grid(look.date_format("graph_month_format"))
    return axes.days_grid(seen.seconds_per_pixel, look.date_format("graph_date_format"))


def areas(bars: Sequence[Bar], period: Period, seen: Window, unit: Unit, look: Look) -> list[str]:
    """The bars themselves: those measured from end to end in full colour, the others paler."""
    whole = [bar for bar in bars if is_whole(bar)]
    part = [bar for bar in bars if not is_whole(bar) and bar.watt_hours is not None]
    name = f"{unit.name} {look.words[f'graph_per_{period.bars}']}"
    legend = f": {look.words['graph_part']}" if part else ""
    return [
        f"CDEF:whole={chain(whole, seen, unit)}",
        f"AREA:whole{WHOLE_COLOR}: {name}",
        f"CDEF:part={chain(part, seen, unit)}",
        f"AREA:part{PART_COLOR}{legend}",
    ]


def chain(bars: Sequence[Bar], seen: Window, unit: Unit) -> str:
    """An RPN expression: the height of the bar that holds the time, unknown between bars.

    Read "before t0 unknown, else before t1 v0, else before t2 unknown, else ... unknown".
    """
    steps = ["p", "POP"]
    for bar in bars:
        start, end = (str(seen.threshold(pixel)) for pixel in edges(bar, seen))
        value = None if bar.watt_hours is None else bar.watt_hours / unit.watt_hours
        # what is infinite, or no number, is drawn up to the top
        height = "UNKN" if value is None else f"{value if value < axes.MOST else axes.MOST:.6g}"
        steps += ["TIME", start, "LE", "UNKN", "TIME", end, "LE", height]
    return ",".join([*steps, "UNKN", *["IF"] * (2 * len(bars))])


def edges(bar: Bar, seen: Window) -> tuple[int, int]:
    """First pixel of a bar and first one after it: a fifth of its place stays free, at most 8 pixels.

    Where a place is so narrow that a free pixel more or less would show, bars touch.
    """
    place = (bar.end - bar.start) / seen.seconds_per_pixel
    free = min(8, round(place / 5)) if place >= 9 else 0
    left = free // 2
    return seen.pixel(bar.start) + left, seen.pixel(bar.end) - (free - left)


def mean_line(bars: Sequence[Bar], unit: Unit, look: Look) -> list[str]:
    """The mean of the bars measured from end to end; none of them, no line."""
    known = [bar.watt_hours for bar in bars if is_whole(bar) and bar.watt_hours is not None]
    if not known:
        return []
    mean = sum(known) / len(known)
    text = f"{look.words['graph_mean']} {energy_text(mean, look)}"
    return [level(mean / unit.watt_hours, MEAN_COLOR, "6,3", text)]


def total(bars: Sequence[Bar], look: Look) -> list[str]:
    """The sum of all that is known, in words."""
    known = [bar.watt_hours for bar in bars if bar.watt_hours is not None]
    return comment(f"{look.words['graph_total']} {energy_text(sum(known), look)}") if known else []


def energy_text(watt_hours: float, look: Look) -> str:
    """Energy for the legend, such as "14,5 kWh" or "72 Wh"."""
    unit = unit_of(watt_hours)
    value = watt_hours / unit.watt_hours
    digits = f"{value:.1f}" if 0 < value < 100 and unit.name == "kWh" else f"{value:.0f}"
    return f"{decimal(digits, look.words)} {unit.name}"
