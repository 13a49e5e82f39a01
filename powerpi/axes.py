"""The axes of a graph: where the lines and labels of both scales go.

In: the largest value, the span in seconds, the size in pixels. Out: steps as plain numbers and the text of
rrdgraph's `--x-grid` (GTM:GST:MTM:MST:LTM:LST:LPR:LFM, see rrdgraph(1)). Nothing is drawn here.
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import NamedTuple

DAY_SECONDS = 86400
SMALL_WIDTH = 480  # narrower pictures (a phone held upright) get smaller letters and fewer words
MARGIN = 15  # pixels that rrdgraph keeps free on either side of plot and scale
POINTS = 8  # size of the scales' letters: half of "23:59" is then no wider than MARGIN, and never cut off
DIGIT_PIXELS = 7  # what rrdgraph reserves for a digit of DejaVu Sans in this size
MOST = 1e9  # W, or kWh: no picture shows more
MONTH_SECONDS = 30 * DAY_SECONDS
CLOCK_PIXELS = 46  # that a label "23:59" and the air round it take
DATE_PIXELS = 46  # "31.12." or "31 Dec"

# (unit of rrdgraph, steps of it, seconds) from fine to coarse
TIME_STEPS = (
    *(("MINUTE", minutes, minutes * 60) for minutes in (1, 2, 5, 10, 15, 20, 30)),
    *(("HOUR", hours, hours * 3600) for hours in (1, 2, 3, 4, 6, 12)),
)
# Weeks, not 7 days: rrdgraph counts days from the first one drawn, but weeks from the weekday they begin with.
DAY_STEPS = (
    *(("DAY", days, days * DAY_SECONDS) for days in (1, 2, 3, 4)),
    *(("WEEK", weeks, weeks * 7 * DAY_SECONDS) for weeks in (1, 2, 4)),
)


class Scale(NamedTuple):
    """The vertical scale: a line and a label every `step`, the last one at `top`; both whole numbers."""

    step: int
    top: int


def is_small(width: int) -> bool:
    """Whether a picture of this many pixels needs the frugal layout."""
    return width < SMALL_WIDTH


def nice_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 ... that is not below `least`; labels stay whole numbers."""
    decade = 10 ** floor(log10(max(least, 1)))
    return next(int(decade * factor) for factor in (1, 2, 5, 10) if decade * factor >= least)


def scale(largest: float | None, height: int) -> Scale:
    """The vertical scale for values from 0 to `largest` (None or 0: nothing to show, 0 to 100).

    A line takes at least 36 pixels of a picture `height` pixels high, the legend counted in; never more
    than 6 lines. Two per cent of air keep the peak's line off the upper edge. What is above MOST is cut off: a disk
    has made it, or somebody imported it.
    """
    highest = (min(largest, MOST) if largest and largest > 0 else 98.0) * 1.02  # NaN is not above 0
    lines = min(6, max(2, height // 36 - 1))
    step = nice_step(highest / lines)
    return Scale(step, step * ceil(highest / step))


def label_digits(top: int) -> int:
    """Digits that the vertical scale needs for its labels: at least 3, so that small loads do not jump."""
    return max(3, len(str(top)))


def plot_pixels(width: int, digits: int) -> int:
    """Width of the plot itself in a picture `width` pixels wide whose labels have `digits` digits."""
    return width - 2 * MARGIN - digits * DIGIT_PIXELS


def first_fitting(steps: tuple[tuple[str, int, int], ...], least_seconds: float) -> tuple[str, int]:
    """Unit and count of the finest step that is not below `least_seconds`, else the coarsest."""
    fitting = (step for step in steps if step[2] >= least_seconds)
    unit, count, _ = next(fitting, steps[-1])
    return unit, count


def clock_grid(seconds: int, pixels: int) -> str:
    """`--x-grid` with clock times, for spans of hours."""
    unit, count = first_fitting(TIME_STEPS, seconds / pixels * CLOCK_PIXELS)
    return ":".join([f"{unit}:{count}"] * 3 + ["0", "%H:%M"])


def week_grid(seconds: int, pixels: int, rest_seconds: int, day_label: str, label_pixels: int) -> str:
    """`--x-grid` with a label under the middle of each day; `rest_seconds` of the last day are shown.

    rrdgraph cuts a label off that is wider than twice its way to the right edge of the picture: where that
    would happen to the last one, all move left by the few pixels that it needs.
    """
    needed = max(0, label_pixels / 2 - MARGIN) * seconds / pixels
    cut_off = DAY_SECONDS / 2 <= rest_seconds < DAY_SECONDS / 2 + needed
    width = round(2 * (rest_seconds - needed)) if cut_off else DAY_SECONDS
    return f"DAY:1:DAY:1:DAY:1:{width}:{day_label}"


def days_grid(seconds_per_pixel: float, day_label: str) -> str:
    """`--x-grid` of one bar per day: labels under their bars, lines at months' ends only."""
    unit, count = first_fitting(DAY_STEPS, seconds_per_pixel * DATE_PIXELS)
    return f"MONTH:1:MONTH:1:{unit}:{count}:{DAY_SECONDS}:{day_label}"


def months_grid(month_label: str) -> str:
    """`--x-grid` of one bar per month: labels under their bars, lines at years' ends only."""
    return f"YEAR:1:YEAR:1:MONTH:1:{MONTH_SECONDS}:{month_label}"
