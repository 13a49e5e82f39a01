"""Help for tests of pictures: a store with a known curve, drawing with the real rrdtool, pixels of a PNG."""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import rrdtool

from powerpi.picture import GAP_COLOR, Look, Size
from powerpi.texts import texts

BERLIN = ZoneInfo("Europe/Berlin")
GAP_OPACITY = int(GAP_COLOR[-2:], 16)  # of the area of a gap, without a line of its hatching
FORBIDDEN = "\"'\n\r\0"


class Drawn(NamedTuple):
    prints: list[str]
    image: bytes
    info: dict[str, Any]


class Picture(NamedTuple):
    """RGBA rows of a PNG."""

    width: int
    height: int
    rows: list[bytes]

    def at(self, x: int, y: int) -> tuple[int, ...]:
        return tuple(self.rows[y][4 * x : 4 * x + 4])


def look(width: int = 900, height: int = 300, language: str = "en", **other: Any) -> Look:
    plain = Look(Size(width, height, 1), "PNG", texts(language), names=True, zone=BERLIN)
    return plain._replace(**other)


def make_store(path: Path, start: int) -> Path:
    archives = ("RRA:AVERAGE:0.5:1:3162240", "RRA:AVERAGE:0.5:90:701280")
    rrdtool.create(str(path), "--start", str(start), "--step", "10", "DS:pulses:DDERIVE:10:0:U", *archives)
    return path


def feed(path: Path, start: int, end: int, watts: Callable[[int], float], imp_per_kwh: int = 1000) -> None:
    """Rows of 10 s: `watts(t)` is the mean power of the row that ends at t, the first one at start + 10."""
    pulses = 0.0
    values = [f"{start}:0"]
    for row in range(start + 10, end + 1, 10):
        pulses += watts(row) * 10 * imp_per_kwh / 3_600_000
        values.append(f"{row}:{pulses:.9f}")
    for first in range(0, len(values), 1000):
        rrdtool.update(str(path), *values[first : first + 1000])


@contextmanager
def local_time(zone: ZoneInfo = BERLIN) -> Iterator[None]:
    """The time zone that the drawing child gets as TZ."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = str(zone)
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        os.environ.update({} if before is None else {"TZ": before})
        time.tzset()


def draw(arguments: list[str]) -> Drawn:
    assert [text for text in arguments if set(text) & set(FORBIDDEN)] == []
    with local_time():
        info = rrdtool.graphv("-", *arguments)
    prints = [info[f"print[{number}]"] for number in range(10) if f"print[{number}]" in info]
    return Drawn(prints, bytes(info.get("image", b"")), info)


def decode(png: bytes) -> Picture:
    """The pixels of a PNG with 8-bit RGBA and no interlacing (PNG specification, chapters 5 and 9)."""
    chunks, position = [], 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        chunks.append((png[position + 4 : position + 8], png[position + 8 : position + 8 + length]))
        position += length + 12
    width, height, depth, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    assert (depth, kind) == (8, 6)
    data = zlib.decompress(b"".join(content for name, content in chunks if name == b"IDAT"))
    rows = [bytes(4 * width)]
    for start in range(0, len(data), 4 * width + 1):
        rows.append(unfiltered(data[start], data[start + 1 : start + 1 + 4 * width], rows[-1]))
    return Picture(width, height, rows[1:])


def unfiltered(kind: int, line: bytes, above: bytes) -> bytes:
    row = bytearray(line)
    for index, value in enumerate(line):
        left, corner = (row[index - 4], above[index - 4]) if index >= 4 else (0, 0)
        up = above[index]
        row[index] = value + (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind] & 255
    return bytes(row)


def paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))


def plot_columns(drawn: Drawn, fraction: float) -> list[tuple[int, ...]]:
    """The pixels of one row of the plot, `fraction` of its height above its base."""
    picture = decode(drawn.image)
    info = drawn.info
    y = info["graph_top"] + round(info["graph_height"] * (1 - fraction))
    return [picture.at(info["graph_left"] + x, y) for x in range(info["graph_width"])]


def rises(pixels: Sequence[tuple[int, ...]]) -> list[int]:
    """Where lines of a gap's hatching begin in a row of pixels; a line of the grid is fainter."""
    opaque = [opacity > 2 * GAP_OPACITY for *_, opacity in pixels]
    return [x for x, (left, here) in enumerate(pairwise(opaque)) if here and not left]
