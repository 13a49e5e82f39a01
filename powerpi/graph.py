"""Curves of power: a span of time and what was measured in it become arguments for `rrdtool graphv -`.

Nothing is drawn or read here. Times are Unix seconds, power is in W; the store holds pulses per second. Only the
lossless archive is used, so a curve cannot begin more than 366 days ago. Bars of energy are in `bars`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from powerpi import axes
from powerpi.periods import day_start
from powerpi.picture import (
    MEAN_COLOR,
    ROW_SECONDS,
    Look,
    Rows,
    comment,
    decimal,
    drawn_row_seconds,
    escaped,
    frame,
    gap,
    gap_legend,
    hatching,
    level,
    source,
)
from powerpi.units import watts

LINE_COLOR = "#e08a0b"
AREA_COLOR = "#f59e0b63"
BAND_COLOR = "#f59e0b3a"
PERCENTILE_COLOR = "#9a6cf5"
# Longer spans show days instead of clock times, and no percentile: sorting all rows costs most of the time.
CLOCK_SECONDS = 2 * axes.DAY_SECONDS
# Formats of texts.GRAPH_TEXTS and the pixels that such a label takes, from the one that says most
DAY_LABELS = (("graph_day_format", 70), ("graph_weekday_date_format", 48), ("graph_weekday_format", 40))


class Span(NamedTuple):
    """What a curve shows; all three lie on the grid of rows. Unknown rows after `due` are no gap: they may come."""

    start: int
    end: int
    due: int

    @property
    def seconds(self) -> int:
        """Length of the span."""
        return self.end - self.start


class Figures(NamedTuple):
    """What is said beside a curve, from rows of 10 s; None is unknown. The peak's time is the end of its row."""

    mean_watts: float | None
    peak_watts: float | None
    peak_time: float | None
    unknown_seconds: float | None  # up to `Span.due`
    percentile_watts: float | None  # 95 % of the known rows are not above it; None for long spans


def figures_arguments(rrd: Path, imp_per_kwh: float, span: Span) -> list[str]:
    """Arguments that draw nothing and print what `figures` reads, from every single row of the span."""
    arguments = [
        *("--start", str(span.start), "--end", str(span.end - 1)),  # librrd adds a row to an end on the grid
        *("--width", str(span.seconds // ROW_SECONDS)),  # a pixel a row: nothing is averaged beforehand
        *power("p", "w", rrd, imp_per_kwh),
        *("VDEF:mean=w,AVERAGE", "PRINT:mean:%.3lf"),
        *("VDEF:peak=w,MAXIMUM", "PRINT:peak:%.3lf", "PRINT:peak:%s:strftime"),
        *(f"CDEF:missing=p,UN,TIME,{span.due},LE,*", "VDEF:unknown=missing,TOTAL", "PRINT:unknown:%.0lf"),
    ]
    if span.seconds > CLOCK_SECONDS:
        return arguments
    return [*arguments, "VDEF:percentile=w,95,PERCENTNAN", "PRINT:percentile:%.3lf"]


def figures(prints: Sequence[str]) -> Figures:
    """The PRINT values of `figures_arguments` in their order. Raises ValueError for anything else."""
    mean, peak, time, unknown, *percentile = prints
    if number(mean) is None:  # then rrdtool prints a percentile of 0 and a time of "-"
        return Figures(None, None, None, number(unknown), None)
    percentiles = [number(text) for text in percentile]
    return Figures(number(mean), number(peak), number(time), number(unknown), *percentiles or [None])


def number(text: str) -> float | None:
    """A number as rrdtool prints it; "-nan" and "nan" are unknown."""
    value = float(text)
    return value if isfinite(value) else None


def power(pulses_name: str, watts_name: str, rrd: Path, imp_per_kwh: float, reduce: str = "AVERAGE") -> list[str]:
    """A DEF of pulses per second and a CDEF of it in watts, from rows of 10 s."""
    factor = watts(1, 1, imp_per_kwh)
    return [
        source(pulses_name, rrd, ROW_SECONDS, reduce),
        f"CDEF:{watts_name}={pulses_name},{factor:.10g},*",
    ]


def curve_arguments(rrd: Path, imp_per_kwh: float, span: Span, seen: Figures, look: Look) -> list[str]:
    """Arguments that draw power over a span: `seen` are the figures of the same span."""
    scale = axes.scale(seen.peak_watts, look.size.height)
    pixels = axes.plot_pixels(look.size.width, axes.label_digits(scale.top))
    row_seconds = drawn_row_seconds(span.seconds / pixels, ROW_SECONDS)
    gap_seen = (seen.unknown_seconds or 0) > row_seconds
    legend = peak_legend(seen, look, clock=span.seconds <= CLOCK_SECONDS)
    return [
        *frame(look, Rows(span.start, span.end, row_seconds), scale, x_grid(span, pixels, look)),
        *power("p", "w", rrd, imp_per_kwh),
        *gap("p", span.start, span.due),
        *(hatching(look, scale.top, span.seconds / pixels, row_seconds) if gap_seen else []),
        f"AREA:w{AREA_COLOR}: {look.words['graph_power']}",
        *(band(rrd, imp_per_kwh, legend) if row_seconds > ROW_SECONDS else comment(legend)),
        f"LINE1:w{LINE_COLOR}",
        *(levels(seen, look) if mostly_known(seen, span) else []),
        *([gap_legend(look)] if gap_seen else []),
    ]


def x_grid(span: Span, pixels: int, look: Look) -> str:
    """Clock times up to two days, else days: with weekday and date as far as there is room."""
    if span.seconds <= CLOCK_SECONDS:
        return axes.clock_grid(span.seconds, pixels)
    room = axes.DAY_SECONDS * pixels / span.seconds
    key, label_pixels = next(label for label in DAY_LABELS if label[1] < room or label is DAY_LABELS[-1])
    rest = span.end - day_start(span.end, look.zone)
    return axes.week_grid(span.seconds, pixels, rest, look.date_format(key), label_pixels)


def band(rrd: Path, imp_per_kwh: float, legend: str) -> list[str]:
    """The band from the mean of a pixel up to its largest row, on top of the area of the CDEF `w`."""
    most = power("q", "most", rrd, imp_per_kwh, "MAX")
    return [*most, "CDEF:band=most,w,-", f"AREA:band{BAND_COLOR}:{' ' + legend if legend else ''}:STACK"]


def peak_legend(seen: Figures, look: Look, clock: bool) -> str:
    """The peak and its local time, such as "Peak 2111 W (08:16)", with its day unless `clock`; empty while unknown."""
    if seen.peak_watts is None or seen.peak_time is None:
        return ""
    time = datetime.fromtimestamp(seen.peak_time, look.zone)
    when = time.strftime(look.words["graph_clock_format" if clock else "graph_moment_format"])
    return escaped(f"{look.words['graph_peak']} {watts_text(seen.peak_watts, look)} ({when})")


def mostly_known(seen: Figures, span: Span) -> bool:
    """Whether at least half of what is due is known: a mean of less would be a line through what nobody measured."""
    return (seen.unknown_seconds or 0) <= (min(span.due, span.end) - span.start) / 2


def levels(seen: Figures, look: Look) -> list[str]:
    """The lines of the mean and of the 95th percentile, where they are known."""
    percentile = look.words["graph_percentile_short" if look.small else "graph_percentile"]
    lines = (
        (seen.mean_watts, MEAN_COLOR, "6,3", look.words["graph_mean"]),
        (seen.percentile_watts, PERCENTILE_COLOR, "2,2", percentile),
    )
    return [
        level(value, color, dashes, f"{name} {watts_text(value, look)}")
        for value, color, dashes, name in lines
        if value is not None
    ]


def watts_text(value: float, look: Look) -> str:
    """Power for the legend: whole watts, below 10 W with one decimal."""
    digits = f"{value:.1f}" if value < 10 else f"{value:.0f}"
    return f"{decimal(digits, look.words)} W"
