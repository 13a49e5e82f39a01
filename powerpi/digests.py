"""Digests of rows: two ends that hold the same rows have the same digests, and compare those instead of the rows.

A unit is as many rows as are sent at once: a day of the lossless archive, 90 days of the 15-minute means. The digests
of units that are over are kept beside the RRD, a line each, `STEP AFTER HEX`: a unit whose rows have another digest
than the one that was kept has changed on its disk.
"""

from __future__ import annotations

import hashlib
import re
import sys
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from powerpi import files

UNIT_ROWS = 8640
MOST_UNITS = 1000  # compared at once: a year of days has 367, 50 years of 90 days have 204
DIGEST_BYTES = 8  # no defence against forgers, only against chance: one in 10^19
LINE = re.compile(r"(\d{1,4}) (\d{1,10}) ([0-9a-f]{16})\n")


class Unit(NamedTuple):
    """The rows of one archive with times in (after, until], Unix seconds; a whole unit or a part of one."""

    step_seconds: int
    after: int
    until: int

    @property
    def whole(self) -> bool:
        """Whether this is no mere part of a unit."""
        return self.until - self.after == UNIT_ROWS * self.step_seconds


def units(step_seconds: int, after: int, until: int) -> Iterator[Unit]:
    """The units in (after, until], the first and the last of them perhaps in part; both on the grid of the step."""
    length = UNIT_ROWS * step_seconds
    while after < until:
        end = min(until, (after // length + 1) * length)
        yield Unit(step_seconds, after, end)
        after = end


def digest(rates: array[float]) -> str:
    """The digest of rows whose unknowns all have the same bits, as `ring.read` gives them."""
    if sys.byteorder == "big":
        rates = array("d", rates)
        rates.byteswap()
    return hashlib.blake2b(rates.tobytes(), digest_size=DIGEST_BYTES).hexdigest()


Kept = dict[Unit, str]  # the digests of whole units


def read(path: Path) -> Kept:
    """The digests in a file; lines that are torn or foreign are passed over. Raises OSError."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return {}
    found = (match for line in lines if (match := LINE.fullmatch(line)))
    steps = ((int(match[1]), int(match[2]), match[3]) for match in found)
    return {Unit(step, after, after + UNIT_ROWS * step): text for step, after, text in steps}


def write(path: Path, kept: Mapping[Unit, str]) -> None:
    """Put the digests on disk in the place of those there. Raises OSError."""
    lines = (f"{unit.step_seconds} {unit.after} {text}\n" for unit, text in sorted(kept.items()))
    files.replace(path, "".join(lines))
