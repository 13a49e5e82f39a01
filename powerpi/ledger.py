"""The rows of one meter as they travel from one PowerPi to another: read, compared by digests, added, put right.

Both ends of a mirror have one, over the RRD that the meter's Store keeps. Rows are handed out only while nobody is
writing them, and so only those that are on disk: what a power cut takes from here was never told to anybody.
"""

from __future__ import annotations

import logging
import shutil
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

from powerpi import digests, layout, ring, undo
from powerpi.digests import Kept, Unit
from powerpi.errors import BusyError, DamagedError
from powerpi.folder import held, storing
from powerpi.layout import ARCHIVES_SECONDS, Layout
from powerpi.pulses import STEP_SECONDS, Row

Result = TypeVar("Result")

log = logging.getLogger(__name__)

READ_TRIES = 100
READ_PAUSE_SECONDS = 0.02  # a write and its sync take some milliseconds, on a card some tenths of a second
GATE_SECONDS = 10.0  # a drawing may take that long


class Span(NamedTuple):
    """The rows that an archive holds: times in (after, until]."""

    after: int
    until: int


class Compared(NamedTuple):
    """The digests of units; and those whose rows have changed on the disk, with the digests that were kept of them."""

    digests: dict[Unit, str]
    changed: Kept


class Ledger:
    """The rows in one RRD; every method raises StoreError, BusyError while somebody writes for long.

    `gate` is the lock that keeps others from drawing the file while it is written here; `hold` is called before every
    write and makes sure that the folder is still this process's.
    """

    def __init__(self, rrd: Path, gate: Lock, hold: Callable[[], None] = lambda: None) -> None:
        self.rrd = rrd
        self._undo = rrd.with_suffix(".undo")
        self._digests = rrd.with_suffix(".digests")
        self._gate = gate
        self._hold = hold
        self._said = ""

    def newest(self) -> Row | None:
        """The newest row on disk with the counter, None where there is none."""
        return self._read(lambda header: header.last_row)

    def spans(self) -> dict[int, Span]:
        """What each archive holds, by the length of its steps in seconds."""
        return self._read(_spans)

    def held(self) -> tuple[Row | None, dict[int, Span]]:
        """The newest row, and what each archive holds, both of one moment."""
        return self._read(lambda header: (header.last_row, _spans(header)))

    def rows(self, unit: Unit) -> array[float]:
        """The rows of a unit, in pulses per second; what is not held is unknown (NaN)."""
        return self._read(lambda _: ring.read(self.rrd, *unit))

    def copy(self, path: Path) -> None:
        """Write the whole file to `path`, as it is between two writes."""
        self._read(lambda _: shutil.copyfile(self.rrd, path))

    def digests(self, step_seconds: int, after: int, until: int, fresh: bool = False) -> Compared:
        """The digests of the units in (after, until]. `fresh`: none is taken from what was kept, all are compared.

        Raises BusyError where another file takes the RRD's place meanwhile: its rows are no harm to what was kept.
        """
        wanted = list(digests.units(step_seconds, after, until))
        file = self._file()
        kept, newest = self._kept(), self.newest()
        over = newest.time // step_seconds * step_seconds if newest else 0
        found = {unit: kept[unit] for unit in wanted if unit in kept and not fresh}
        found |= {unit: digests.digest(self.rows(unit)) for unit in wanted if unit not in found}
        changed = {unit: kept[unit] for unit in wanted if kept.get(unit, found[unit]) != found[unit]}
        learned = {unit: text for unit, text in found.items() if unit.whole and unit.until <= over and unit not in kept}
        if learned:
            self._keep({**self._still_held(kept), **learned}, file)
        if self._file() != file:
            raise BusyError(f"{self.rrd} has just been replaced by an import")
        return Compared({unit: found[unit] for unit in wanted}, changed)

    def _still_held(self, kept: Kept) -> Kept:
        spans = self.spans()
        return {
            unit: text
            for unit, text in kept.items()
            if unit.step_seconds in spans and unit.after >= spans[unit.step_seconds].after
        }

    def _kept(self) -> Kept:
        """The digests that were kept; none where the file cannot be read: it is there to save work and to find harm."""
        try:
            return digests.read(self._digests)
        except OSError as error:
            self._say(f"the digests cannot be read: {error}")
            return {}

    def _file(self) -> int:
        """Which file it is: another one may take its place, whose rows are others."""
        with storing(self.rrd):
            return self.rrd.stat().st_ino

    def _keep(self, kept: Kept, file: int) -> None:
        """Keep digests of the rows in a file, unless another one has taken its place meanwhile."""
        try:
            digests.write(self._digests, kept)
            if self._file() != file:
                self._digests.unlink(missing_ok=True)
        except OSError as error:
            self._say(f"the digests cannot be kept: {error}")

    def _say(self, sentence: str) -> None:
        """Log a change of state, once."""
        if sentence != self._said:
            log.warning("%s: %s", self.rrd.name, sentence)
        self._said = sentence

    def append(self, after: int, rates: Sequence[float], pulses: float) -> None:
        """Add the rows that follow `after`, and wait until they are on disk; `pulses` is the counter at the last."""
        with storing(self.rrd):
            self._hold()
            ring.append(self.rrd, after, rates, pulses, self._alone)

    def put(self, unit: Unit, rates: Sequence[float]) -> None:
        """Put other rows in the place of those of a unit, and wait until they are on disk."""
        self.forget(unit)
        with storing(self.rrd):
            self._hold()
            ring.put(self.rrd, unit.step_seconds, unit.after, rates, self._alone)

    def forget(self, unit: Unit) -> None:
        """Do not hold the rows of a unit against the digests that were kept any more; its means go with the rows."""
        kept = self._kept()
        with storing(self._digests):
            left = {other: text for other, text in kept.items() if not _concerned(other, unit)}
            if left != kept:
                digests.write(self._digests, left)

    def _alone(self) -> AbstractContextManager[None]:
        """While nobody draws the file and librrd does not write it; never while the disk is waited for."""
        return held(self._gate, GATE_SECONDS, f"{self.rrd} is being drawn")

    def _read(self, read: Callable[[Layout], Result]) -> Result:
        """What `read` finds while the file is at rest: librrd changes it in several places one after the other."""
        with storing(self.rrd):
            for _ in range(READ_TRIES):
                before = self._at_rest()
                if before:
                    try:
                        result = read(layout.read(self.rrd))
                    except DamagedError:  # or seen while it was half changed
                        if self._at_rest() == before:
                            raise
                    else:
                        if self._at_rest() == before:
                            return result
                time.sleep(READ_PAUSE_SECONDS)
        raise BusyError(f"{self.rrd} is being written for longer than {READ_TRIES * READ_PAUSE_SECONDS:g} s")

    def _at_rest(self) -> tuple[bytes, int] | None:
        """The file's first bytes, with the header, and its size; None while rows are being written. Raises OSError."""
        return None if undo.read(self._undo) else layout.read_head(self.rrd)


def _spans(header: Layout) -> dict[int, Span]:
    spans = ((step, ring.span(header, step)) for step in ARCHIVES_SECONDS)
    return {step: Span(*span) for step, span in spans if span}


def _concerned(other: Unit, changed: Unit) -> bool:
    """Whether a change of rows or means changes what `other` holds: the means follow from the rows."""
    meets = other.after < changed.until and changed.after < other.until
    return meets and changed.step_seconds in (other.step_seconds, STEP_SECONDS)


def merged(own: Iterable[float], other: Iterable[float]) -> array[float]:
    """The rows of `own`, and those of `other` where `own` has unknowns."""
    return array("d", (theirs if mine != mine else mine for mine, theirs in zip(own, other, strict=True)))  # noqa: PLR0124
