"""Whether two RRDs hold the same, found without any of PowerPi's code: by their bytes, and by what rrdtool prints.

Where a row lies in the file is what `rrdtool info` says: the values of all archives are the file's end, one ring behind
the other (rrd_format.h).
"""

from __future__ import annotations

import subprocess
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.vm.results import Result
from tests.vm.truth import STEP_SECONDS

VALUE_BYTES = 8
PIECE_SECONDS = 30 * 86400  # what rrdtool prints of a year takes 300 MB


class Archive(NamedTuple):
    """The rows of an archive, oldest first: length of a row, Unix seconds of the end of the newest, rates."""

    row_seconds: int
    until: int
    rates: array[float]

    @property
    def first(self) -> int:
        """Unix seconds of the end of the oldest row."""
        return self.until - (len(self.rates) - 1) * self.row_seconds

    def since(self, time: int) -> array[float]:
        """The rows from the one that ends at `time` on."""
        return self.rates[(time - self.first) // self.row_seconds :]


class Compared(NamedTuple):
    """Rows of two archives: known on both ends, unknown on both, and the times of those that differ."""

    known: int
    unknown: int
    different: list[int]


def info(rrd: Path) -> dict[str, str]:
    """What `rrdtool info` says of a file."""
    lines = subprocess.run(["rrdtool", "info", str(rrd)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(line.split(" = ", 1) for line in lines.splitlines())


def archives(rrd: Path) -> list[Archive]:
    """All archives of a file with one data source."""
    said, data = info(rrd), rrd.read_bytes()
    numbers = [n for n in range(len(said)) if f"rra[{n}].rows" in said]
    sizes = [int(said[f"rra[{n}].rows"]) for n in numbers]
    found = []
    for n in numbers:
        begin = len(data) - VALUE_BYTES * sum(sizes[n:])
        ring = array("d", data[begin : begin + VALUE_BYTES * sizes[n]])
        oldest = int(said[f"rra[{n}].cur_row"]) + 1
        row_seconds = int(said["step"]) * int(said[f"rra[{n}].pdp_per_row"])
        until = int(said["last_update"]) // row_seconds * row_seconds
        found.append(Archive(row_seconds, until, ring[oldest:] + ring[:oldest]))
    return found


def compare(one: Archive, other: Archive) -> Compared:
    """Compare to the last bit; an end that goes further than the other differs there."""
    first = max(one.first, other.first)
    shorter, longer = sorted((one.until, other.until))
    different = list(range(shorter + one.row_seconds, longer + 1, one.row_seconds))
    known = unknown = 0
    for place, (a, b) in enumerate(zip(one.since(first), other.since(first), strict=False)):
        if a == b:
            known += 1
        elif a != a and b != b:  # noqa: PLR0124 (NaN)
            unknown += 1
        else:
            different.append(first + place * one.row_seconds)
    return Compared(known, unknown, sorted(different))


def same_texts(one: Path, other: Path, row_seconds: int, start: int, end: int) -> int | None:
    """How many rows of (start, end] `rrdtool fetch` prints alike for both; None where it does not.

    Unknown is nan or -nan, as whoever made it left the sign: that says nothing.
    """
    lines = 0
    for begin in range(start, end, PIECE_SECONDS):
        span = ["-r", str(row_seconds), "-s", str(begin), "-e", str(min(end, begin + PIECE_SECONDS) - row_seconds)]
        here, there = (_fetched(rrd, span) for rrd in (one, other))
        if here != there:
            return None
        lines += here.count(b": ")
    return lines


def _fetched(rrd: Path, span: list[str]) -> bytes:
    command = ["rrdtool", "fetch", str(rrd), "AVERAGE", *span]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.replace(b"-nan", b"nan")


def verified(who: str, said: str) -> Result:
    """What `powerpi push --verify` says."""
    last = said.strip().splitlines()[-1]
    kept = "identical up to" in last and "not identical" not in last
    return Result(f"{who} was cut: `powerpi push --verify` finds both ends equal", last, kept)


def equal(who: str, here: Path, there: Path) -> Iterator[Result]:
    """Both RRDs, to the last bit and without PowerPi's code."""
    for one, other in zip(archives(here), archives(there), strict=True):
        found = compare(one, other)
        promise = f"{who} was cut: all rows of {one.row_seconds} s are equal, bit for bit, unknown the same"
        said = f"{found.known:,} known, {found.unknown:,} unknown, {len(found.different)} different"
        yield Result(promise, f"{said} {found.different[:5] or ''}".strip(), bool(found.known) and not found.different)
        start = one.first - one.row_seconds if one.row_seconds == STEP_SECONDS else one.until - 400 * 86400
        rows = same_texts(here, there, one.row_seconds, start, one.until)
        said = "different" if rows is None else f"{rows:,} rows"
        yield Result(f"{who} was cut: `rrdtool fetch` prints the same for both", said, rows is not None)
