"""One meter's files: the RRD with its rows and the register with its lifetime counter.

Knows pulses and seconds, neither watts nor money. The RRD holds one data source `pulses`, a rate in pulses per
second derived from the lifetime counter; unknown where no row was written. The only importer of rrdtool's binding.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import rrdtool

from powerpi import draft, files, layout, register, undo
from powerpi.errors import BusyError, DamagedError, StoreError
from powerpi.folder import held, storing
from powerpi.layout import Layout
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.register import Register
from powerpi.undo import Undo

BATCH_ROWS = 1000  # one call with 200 000 values crashes librrd 1.7.2
LOCK_TRIES = 10
LOCK_PAUSE_SECONDS = 0.05
LAST_DIGIT = 1e-6  # of the pulses as they are written
IN_TIME = "what belongs there waits until it can be stored"  # in memory, or at its sender
GATE_SECONDS = 1.0  # how long a write waits for a drawing, or an import, before it keeps its rows for the next turn


class Store:
    """The RRD and the register of one meter in `folder`.

    `gate` is held during every call of rrdtool, here and in whoever lets another process read the file: a reader
    locks the writer out. `hold` is called before every write and makes sure that the folder is still this process's.
    """

    def __init__(
        self, folder: Path, meter: str, archive_years: int, gate: Lock, hold: Callable[[], None] = lambda: None
    ) -> None:
        self.rrd = folder / f"{meter}.rrd"
        self._register_path = folder / f"{meter}.register"
        self._undo_path = folder / f"{meter}.undo"
        self._archive_years = archive_years
        self._gate = gate
        self._hold = hold
        self._register = Register(0, 0, 0)
        self.last_row: Row | None = None  # the newest row on disk
        self.edition = 0  # how often rows of the past were changed
        self._changing = Lock()  # held while the file is written, or another takes its place

    def create(self, start: int) -> None:
        """Make an empty RRD whose rows may begin after `start`. Never overwrites. Raises StoreError."""
        with storing(self.rrd):
            if self.rrd.exists():
                raise StoreError(f"{self.rrd} exists already and was left as it is")
            new = self.rrd.with_name(f"{self.rrd.name}.new")
            for stray in new.parent.glob(f"{new.name}*"):  # left by a process that was killed while it made one
                stray.unlink()
            self.make(new, start)
            undo.prepare(self._undo_path)
            undo.forget(self._undo_path)
            self.rrd.with_suffix(".digests").unlink(missing_ok=True)  # they are of the rows of another file
            new.rename(self.rrd)
            files.sync_folder(self.rrd.parent)

    def make(self, path: Path, start: int) -> None:
        """Make an empty RRD at `path`, in the place of what is there, with rows after `start`. Raises StoreError."""
        with storing(path):
            layout.check_room(path.parent, self._archive_years)
            settings = ("--start", str(start), "--step", str(STEP_SECONDS))
            with self._gated(path):
                _call(rrdtool.create, path, *settings, *layout.schema(self._archive_years))
            files.sync_file(path, forget=True)

    def adopt(self, copy: Path) -> None:
        """Let a changed copy of the RRD take its place, with the rows that were written here since it was made.

        Whatever happens, the RRD is as it was or as it shall be. Raises StoreError; then it is as it was.
        """
        with self._alone(), storing(copy):
            self._hold()
            self._undo_torn()
            draft.ready(copy, self.rrd)
            with self._gated(self.rrd):
                copy.rename(self.rrd)
            self.edition += 1
            draft.adopted(self.rrd)

    def open(self, start: int) -> tuple[int, list[str]]:
        """Restore the lifetime counter in pulses; make what is missing, set aside what is damaged.

        `start` is where a new RRD begins. Returns the counter and a sentence for each thing that was not as expected.
        Raises StoreError.
        """
        known, notes = self._restore_register()
        self._register = known or self._register
        self.last_row = None
        try:
            with storing(self.rrd):
                self._undo_torn()
                header, made = self._header(start)
                self.last_row = header.last_row
                notes += made
        except StoreError as error:
            if known is None and os.path.lexists(self.rrd):
                raise  # it may know a counter that nobody can read now
            notes.append(f"{error}; {IN_TIME}")
        if known and self.last_row and self.last_row.time > known.time and self.last_row.pulses > known.pulses:
            notes.append("the register is older than the rows: the disk forgot a write it had confirmed, or refused it")
        return self._restored_pulses(known), notes

    def open_counter(self) -> tuple[int, list[str]]:
        """Restore the lifetime counter without any RRD; a sentence for each thing that was not as expected.

        Raises StoreError.
        """
        known, notes = self._restore_register()
        self._register = known or self._register
        return self._register.pulses, notes

    def _restore_register(self) -> tuple[Register | None, list[str]]:
        """Read the register and have its room on disk; what is damaged is set aside."""
        with storing(self._register_path):
            known = register.read(self._register_path)
        notes = []
        try:
            with storing(self._register_path):
                if known is None and not register.is_blank(self._register_path):
                    notes.append(
                        f"the register was damaged and is kept as {files.set_aside(self._register_path, 'damaged')}"
                    )
                register.prepare(self._register_path)
        except StoreError as error:
            notes.append(f"{error}; {IN_TIME}")
        return known, notes

    def _restored_pulses(self, known: Register | None) -> int:
        """The lifetime counter. Every write saves the register first: a row that is older and larger is damage."""
        row = self.last_row
        if known and row and known.time >= row.time:
            return known.pulses
        return max(known.pulses if known else 0, math.ceil(row.pulses) if row else 0)

    def start_anew(self, start: int, why: str) -> Path:
        """Set the RRD aside and begin an empty one; returns where the old one is kept. Raises StoreError."""
        with self._alone():
            with storing(self.rrd):
                kept = files.set_aside(self.rrd, why)
            self.last_row = None
            self.create(start)
        return kept

    def write(self, rows: Sequence[Row]) -> list[str]:
        """Write rows (rising times on the grid) and wait until they are on disk; rows already there are passed over.

        A file that vanished or was damaged meanwhile is made anew. Returns a sentence for each such thing. Raises
        StoreError; then some rows may be there already, and the same call may be made again.
        """
        with self._alone(), storing(self.rrd):
            self._hold()
            header, notes = self._header(rows[0].time - STEP_SECONDS, rows)
            self._witness(rows[-1])
            synced = self.last_row.time if self.last_row else header.last_update
            undo.keep(self._undo_path, Undo(layout.read_head(self.rrd)[0][: header.header_bytes], rows[-1]))
            with self._gated(self.rrd):  # for nobody else may write a page between the two
                layout.touch(self.rrd, header, min(synced, header.last_update), rows[-1].time)
                self._update([f"{row.time}:{row.pulses:.6f}" for row in rows if row.time > header.last_update])
            files.sync_file(self.rrd)
            undo.forget(self._undo_path)
        self.last_row = rows[-1]
        return notes

    def _undo_torn(self) -> None:
        """Put the header back that the last process left half changed. Raises OSError."""
        unfinished = undo.read(self._undo_path)
        if unfinished and self.rrd.exists() and layout.is_torn(*layout.read_head(self.rrd), *unfinished):
            files.overwrite(self.rrd, unfinished.header)
        if unfinished:
            with suppress(OSError):  # of a disk that is read-only now; nothing depends on it
                undo.forget(self._undo_path)

    def _header(self, start: int, rows: Sequence[Row] = ()) -> tuple[Layout, list[str]]:
        """What the file says; one that is missing is made with rows after `start`, a damaged one set aside before.

        `rows` are those being written, none at the start. Raises OSError.
        """
        notes = []
        try:
            header = layout.read(self.rrd)
            if header.last_update > start and layout.is_empty(self.rrd, header):  # from before the clock went back
                self.rrd.unlink()
                self.create(start)
                header = layout.read(self.rrd)
            self._compare(header, rows)
            return header, []
        except FileNotFoundError:
            if rows:  # not at the start
                notes.append(f"{self.rrd} had vanished; a new one goes on")
        except DamagedError as error:
            notes.append(f"{error}; it is kept as {files.set_aside(self.rrd, 'damaged')}, a new one goes on")
        self.last_row = None
        self.create(start)
        return layout.read(self.rrd), notes

    def _compare(self, header: Layout, rows: Sequence[Row]) -> None:
        """Raise DamagedError when the file does not end as it was written, but for an older one from a backup."""
        if rows and header.last_update > rows[-1].time:
            raise DamagedError(f"{self.rrd} ends at {header.last_update}, later than anything that was written")
        found = header.last_row
        known = {row.time: row.pulses for row in (self.last_row, *rows) if row}
        if not found or not known or found.time < min(known):
            return
        if abs(found.pulses - known.get(found.time, math.inf)) > LAST_DIGIT:
            raise DamagedError(f"{self.rrd} ends with {found.pulses} pulses at {found.time}, which were never written")

    def _witness(self, newest: Row) -> None:
        """Let the register know a row before the RRD does; where it cannot, the row is witness enough."""
        pulses = math.ceil(newest.pulses)
        with suppress(StoreError):
            if pulses > self._register.pulses and self.has_register():  # one that vanished is made by the next save
                self.save_register(pulses, newest.time)

    def _update(self, values: Sequence[str]) -> None:
        """Give all rows to librrd, however many; the gate is held."""
        for start in range(0, len(values), BATCH_ROWS):
            _call(rrdtool.update, self.rrd, *values[start : start + BATCH_ROWS])

    @property
    def stored_pulses(self) -> int:
        """The lifetime counter as far as it is on disk."""
        return self._register.pulses

    @property
    def stored_pulses_time(self) -> int:
        """The time of the newest row when the lifetime counter came to disk; 0: it never did, or there was none."""
        return self._register.time

    @property
    def last_time(self) -> int:
        """The time of the newest row on disk, Unix seconds; 0: there is none. Any thread may ask."""
        row = self.last_row  # once: it may be another one, or none, a moment later
        return row.time if row else 0

    @property
    def known_until(self) -> int:
        """Up to when something is known of the meter, in Unix seconds; 0: nothing is."""
        return self.last_time or self._register.time

    def has_register(self) -> bool:
        """Whether the register file is there. Raises StoreError."""
        with storing(self._register_path):
            return self._register_path.exists()

    def save_register(self, pulses: int, time: int) -> None:
        """Put the lifetime counter on disk, safe against a power cut at any moment. Raises StoreError."""
        following = Register(self._register.sequence + 1, pulses, time)
        with storing(self._register_path):
            self._hold()
            register.write(self._register_path, following)
        self._register = following

    def _gated(self, path: Path) -> AbstractContextManager[None]:
        """Hold the gate. Raises BusyError."""
        return held(self._gate, GATE_SECONDS, f"{path} is being drawn")

    def _alone(self) -> AbstractContextManager[None]:
        """Let no other thread write the file or replace it. Raises BusyError: who counts never waits for an import."""
        return held(self._changing, GATE_SECONDS, f"{self.rrd} is being replaced by an import, or written,")


def dump(rrd: Path, xml: Path) -> None:
    """Write what any RRD holds as XML, in the place of what is at `xml`. Raises StoreError."""
    _call(rrdtool.dump, rrd, str(xml))


def _call(function: Callable[..., Any], path: Path, *arguments: str) -> Any:
    """Call rrdtool on a file, again while another process holds it; the gate is held. Raises StoreError, BusyError."""
    for _ in range(LOCK_TRIES):
        try:
            return function(str(path), *arguments)
        except rrdtool.OperationalError as error:
            if "could not lock" not in str(error):
                raise StoreError(_said(path, str(error))) from error
        time.sleep(LOCK_PAUSE_SECONDS)
    raise BusyError(f"{path} is locked by another process")


def _said(path: Path, error: str) -> str:
    """An error of rrdtool's as a sentence that names the file."""
    return error if str(path) in error else f"{path}: {error or 'rrdtool failed, is the disk full?'}"
