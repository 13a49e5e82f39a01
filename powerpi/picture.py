"""What all pictures have in common: size, colours, letters, the frame round the plot, numbers in the user's way.

Pictures are arguments for `rrdtool graphv -`, see rrdgraph(1). One picture serves light and dark pages: its
background is transparent and its colours are seen on both. The child that draws has to run in the time zone
`Look.zone` (variable TZ) and in the environment that `locales` gives for the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from powerpi import axes

ROW_SECONDS = 10  # of the store's lossless archive
COARSE_ROW_SECONDS = 900  # of its long archive
FORMATS = ("PNG", "SVG")
FONT = "DejaVu Sans"

FRAME_COLORS = {
    "BACK": "#00000000",
    "CANVAS": "#00000000",
    "SHADEA": "#00000000",
    "SHADEB": "#00000000",
    "GRID": "#00000000",
    "FRAME": "#00000000",
    "ARROW": "#00000000",
    "MGRID": "#80808038",
    "AXIS": "#8b949e",
    "FONT": "#757e89",  # a contrast of 4 to white as well as to near-black
}
MEAN_COLOR = "#14a08f"
GAP_COLOR = "#94a3b82e"
HATCH_COLOR = "#94a3b880"
HATCH_PIXELS = 11  # from one line of the hatching to the next
BELOW_PIXELS = 70  # of the height, that scale and legend take: about, the slant of the hatching follows from it


class Size(NamedTuple):
    """The whole picture in pixels, and how many dots of the file make one of them (1; 2 for sharp screens)."""

    width: int
    height: int
    zoom: int


class Look(NamedTuple):
    """How a picture is to look. `names`: the child writes weekdays and months in the language of `words`."""

    size: Size
    image_format: str  # one of FORMATS
    words: Mapping[str, str]  # of texts.texts(language)
    names: bool
    zone: ZoneInfo

    @property
    def small(self) -> bool:
        """Whether there is room for few words only."""
        return axes.is_small(self.size.width)

    def date_format(self, key: str) -> str:
        """The strftime format `key` of the catalogue, or its twin in figures when there are no names."""
        return self.words[key if self.names else f"{key}_figures"]


class Rows(NamedTuple):
    """The rows to draw: from `start` to `end`, each `seconds` long (see `drawn_row_seconds`)."""

    start: int
    end: int
    seconds: int


def frame(look: Look, rows: Rows, scale: axes.Scale, x_grid: str) -> list[str]:
    """Everything round the plot: span, size, letters, colours, both scales.

    The length of the rows has to be told: rrdgraph 1.7 takes the width of the picture for it, not of the
    narrower plot, and then silently skips a row here and there.
    """
    digits = axes.label_digits(scale.top)
    return [
        *("--start", str(rows.start), "--end", str(rows.end), "--step", str(rows.seconds)),
        *("--imgformat", look.image_format),
        *("--width", str(look.size.width), "--height", str(look.size.height), "--full-size-mode"),
        *("--zoom", str(look.size.zoom), "--border", "0", "--disable-rrdtool-tag", "--grid-dash", "1:0"),
        *("--lower-limit", "0", "--upper-limit", str(scale.top), "--rigid"),
        *("--y-grid", f"{scale.step}:1", "--left-axis-format", f"%{digits}.0lf"),
        *("--units-exponent", "0", "--units-length", str(digits), "--x-grid", x_grid),
        *fonts(look),
        *(part for name, color in FRAME_COLORS.items() for part in ("--color", f"{name}{color}")),
        "TEXTALIGN:left",
    ]


def drawn_row_seconds(seconds_per_pixel: float, stored_seconds: int) -> int:
    """Length of the rows to draw: whole ones of the store, and at least a pixel long, so that none is skipped."""
    return max(1, ceil(seconds_per_pixel / stored_seconds)) * stored_seconds


def fonts(look: Look) -> list[str]:
    """The letters of scales and legend."""
    legend = 8 if look.small else 9
    return ["--font", f"DEFAULT:{legend}:{FONT}", "--font", f"AXIS:{axes.POINTS}:{FONT}"]


def source(name: str, rrd: Path, row_seconds: int, reduce: str = "AVERAGE") -> str:
    """A DEF of rows of that length, whatever the width; a pixel that holds several is made by `reduce`."""
    return f"DEF:{name}={escaped(str(rrd))}:pulses:AVERAGE:step={row_seconds}:reduce={reduce}"


def gap(name: str, start: int, due: int) -> list[str]:
    """The area over the full height wherever the DEF `name` is unknown from `start` to `due`."""
    unknown = f"CDEF:gap={name},UN,TIME,{start},GT,TIME,{due},LE,*,*,INF,UNKN,IF"
    return [unknown, f"AREA:gap{GAP_COLOR}"]


def hatching(look: Look, top: int, seconds_per_pixel: float, row_seconds: int) -> list[str]:
    """Slanting lines over the area of `gap`, on a scale that ends at `top`.

    rrdgraph knows no patterns. So each line is a sawtooth of the time that climbs from 0 to `top`, by as many pixels
    as it goes to the right, and is unknown in the one row in which it falls back; the next one is a little ahead.
    """
    lines = ceil((look.size.height - BELOW_PIXELS) / HATCH_PIXELS)
    climb_seconds = round(lines * HATCH_PIXELS * seconds_per_pixel)
    slope = top / climb_seconds
    arguments = ["CDEF:gone=gap,UN,UNKN,TIME,IF"]
    for line in range(lines):
        ahead_seconds = round(line * HATCH_PIXELS * seconds_per_pixel)
        height = f"gone,{ahead_seconds},+,{climb_seconds},%,{slope:.9g},*,{row_seconds * slope:.9g},INF,LIMIT"
        arguments += [f"CDEF:hatch{line}={height}", f"LINE1:hatch{line}{HATCH_COLOR}"]
    return arguments


def gap_legend(look: Look) -> str:
    """What the gap's colour means: an area of height 0, because the legend has the order of drawing."""
    return f"AREA:0{GAP_COLOR}: {look.words['graph_gap']}"


def level(value: float, color: str, dashes: str, legend: str) -> str:
    """A dashed line across the plot at `value`."""
    return f"LINE1:{value:.6g}{color}: {escaped(legend)}:dashes={dashes}"


def comment(legend: str) -> list[str]:
    """Words in the legend without a colour; none for an empty text."""
    return [f"COMMENT:{legend}"] if legend else []


def escaped(text: str) -> str:
    """A text as rrdgraph wants it inside an argument: its own separator and escape sign marked."""
    return text.replace("\\", "\\\\").replace(":", "\\:")


def decimal(digits: str, words: Mapping[str, str]) -> str:
    """A number such as "2.5" with the decimal sign of the language."""
    return digits.replace(".", words["graph_decimal_sign"])
