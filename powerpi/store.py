"""One meter's files: the RRD with its rows and the register with its lifetime counter.

Knows pulses and seconds, neither watts nor money. The RRD holds one data source `pulses`, a rate in pulses per
second derived from the lifetime counter; unknown where no row was written. The only importer of rrdtool's binding.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import rrdtool

from powerpi import register
from powerpi.errors import BusyError, DamagedError, StoreError
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.register import Register

LOSSLESS_DAYS = 366
MEAN_SECONDS = 900  # the utilities' load-profile interval; every time zone's midnight falls on one
KNOWN_SHARE = 0.5  # a quarter hour at least half known counts as known
BATCH_ROWS = 1000  # one call with 200 000 values crashes librrd 1.7.2
LOCK_TRIES = 10
LOCK_PAUSE_SECONDS = 0.05
MACHINE_ERRORS = (
    *(errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE),
    *(errno.ENFILE, errno.EISDIR, errno.ENODEV, errno.ENOTDIR, errno.ENOENT, errno.ESTALE),
)
GATE_SECONDS = 1.0  # how long a write waits for a drawing to end before it keeps its rows for the next turn


def schema(archive_years: int) -> list[str]:
    """The definition of an RRD: every step of 366 days, and 15-minute means for `archive_years` (0: none).

    The heartbeat is one step: any missing row makes the time in between unknown.
    """
    lossless = LOSSLESS_DAYS * 86400 // STEP_SECONDS
    lines = [f"DS:pulses:DDERIVE:{STEP_SECONDS}:0:U", f"RRA:AVERAGE:{KNOWN_SHARE}:1:{lossless}"]
    if archive_years:
        means = archive_years * 366 * 86400 // MEAN_SECONDS
        lines.append(f"RRA:AVERAGE:{KNOWN_SHARE}:{MEAN_SECONDS // STEP_SECONDS}:{means}")
    return lines


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the state folder for this process alone, made if need be. Raises StoreError when another one has it."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StoreError(f"state folder {folder} cannot be used: {error.strerror}") from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether another process holds the state folder now; nothing is made."""
    try:
        with (folder / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(f"state folder {folder} is in use by another powerpi; stop that one first") from error
    except OSError as error:
        raise StoreError(f"state folder {folder} cannot be locked: {error.strerror}") from error


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn the operating system's errors into StoreError; `path` is named where the error names none."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{error.filename or path}: {error.strerror}") from error


class Store:
    """The RRD and the register of one meter in `folder`.

    `gate` is held during every call of rrdtool, here and in whoever lets another process read the file: a reader
    locks the writer out.
    """

    def __init__(self, folder: Path, meter: str, archive_years: int, gate: Lock) -> None:
        self.rrd = folder / f"{meter}.rrd"
        self._register_path = folder / f"{meter}.register"
        self._archive_years = archive_years
        self._gate = gate
        self._register = Register(0, 0, 0)
        self.last_row: Row | None = None  # the newest row on disk

    def create(self, start: int) -> None:
        """Make an empty RRD whose rows may begin after `start`. Never overwrites. Raises StoreError."""
        with storing(self.rrd):
            if self.rrd.exists():
                raise StoreError(f"{self.rrd} exists already and was left as it is")
            arguments = ("--no-overwrite", "--start", str(start), "--step", str(STEP_SECONDS))
            self._call(rrdtool.create, *arguments, *schema(self._archive_years))
            register.sync_file(self.rrd, forget=True)
            register.sync_folder(self.rrd.parent)

    def open(self, start: int) -> tuple[int, list[str]]:
        """Restore the lifetime counter in pulses; make what is missing, set aside what is damaged.

        `start` is where a new RRD begins. Returns the counter and a sentence for each thing that was not as expected.
        Raises StoreError.
        """
        notes = []
        with storing(self._register_path):
            known = register.read(self._register_path)
            if known is None and not register.is_blank(self._register_path):
                notes.append(f"the register was damaged and is kept as {_set_aside(self._register_path, 'damaged')}")
            register.prepare(self._register_path)
        self._register = known or self._register
        notes += self._restore_rows(start)
        stored = math.ceil(self.last_row.pulses) if self.last_row else 0
        return max(self._register.pulses, stored), notes

    def _restore_rows(self, start: int) -> list[str]:
        """Find the newest row; a file that is missing is made, a damaged one set aside before."""
        notes = []
        with storing(self.rrd):
            if self.rrd.exists():
                try:
                    self.last_row = self._last_row()
                    return []
                except DamagedError as error:
                    notes.append(f"{error}; it is kept as {_set_aside(self.rrd, 'damaged')}, a new one goes on")
            self.last_row = None
            self.create(start)
        return notes

    def start_anew(self, start: int, why: str) -> Path:
        """Set the RRD aside and begin an empty one; returns where the old one is kept. Raises StoreError."""
        with storing(self.rrd):
            kept = _set_aside(self.rrd, why)
        self.last_row = None
        self.create(start)
        return kept

    def write(self, rows: Sequence[Row]) -> list[str]:
        """Write rows (rising times on the grid) and wait until they are on disk; rows already there are passed over.

        A file that vanished or was damaged meanwhile is made anew. Returns a sentence for each such thing. Raises
        StoreError; then some rows may be there already, and the same call may be made again.
        """
        try:
            self._write(rows)
        except BusyError:
            raise
        except StoreError as refusal:
            with storing(self.rrd):
                self.rrd.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
                whole = self.rrd.exists()
            notes = self._restore_rows(rows[0].time - STEP_SECONDS)
            if whole and not notes:  # the file is not to blame
                raise refusal
            self._write(rows)
            return notes or [f"{self.rrd} had vanished; a new one goes on"]
        return []

    def _write(self, rows: Sequence[Row]) -> None:
        last = self._call(rrdtool.last)
        values = [f"{row.time}:{row.pulses:.6f}" for row in rows if row.time > last]
        for start in range(0, len(values), BATCH_ROWS):
            self._call(rrdtool.update, *values[start : start + BATCH_ROWS])
        with storing(self.rrd):
            register.sync_file(self.rrd)
        self.last_row = rows[-1]

    @property
    def known_until(self) -> int:
        """Up to when something is known of the meter, in Unix seconds; 0: nothing is."""
        return self.last_row.time if self.last_row else self._register.time

    def has_register(self) -> bool:
        """Whether the register file is there. Raises StoreError."""
        with storing(self._register_path):
            return self._register_path.exists()

    def save_register(self, pulses: int, time: int) -> None:
        """Put the lifetime counter on disk, safe against a power cut at any moment. Raises StoreError."""
        following = Register(self._register.sequence + 1, pulses, time)
        with storing(self._register_path):
            register.write(self._register_path, following)
        self._register = following

    def _last_row(self) -> Row | None:
        """The newest row in the RRD, None when there is none. Raises DamagedError when the file is not one of ours."""
        try:
            info = self._call(rrdtool.info)
        except BusyError:
            raise
        except StoreError as error:
            if any(os.strerror(number) in str(error) for number in MACHINE_ERRORS):
                raise  # the disk is to blame, not what is on it
            raise DamagedError(str(error)) from error
        if info["step"] != STEP_SECONDS or info.get("ds[pulses].type") != "DDERIVE":
            raise DamagedError(f"{self.rrd} is not an RRD of PowerPi")
        try:
            pulses = float(info["ds[pulses].last_ds"])
        except ValueError:  # "U": no row was ever written
            return None
        if not math.isfinite(pulses):
            raise DamagedError(f"{self.rrd} ends with {pulses} pulses")
        return Row(int(info["last_update"]), pulses)

    def _call(self, function: Callable[..., Any], *arguments: str) -> Any:
        """Call rrdtool on the file, again while another process holds it. Raises StoreError, BusyError."""
        if not self._gate.acquire(timeout=GATE_SECONDS):
            raise BusyError(f"{self.rrd} is being drawn for longer than {GATE_SECONDS:g} s")
        try:
            for _ in range(LOCK_TRIES):
                try:
                    return function(str(self.rrd), *arguments)
                except rrdtool.OperationalError as error:
                    if "could not lock" not in str(error):
                        raise StoreError(str(error) or f"{self.rrd}: rrdtool failed, is the disk full?") from error
                time.sleep(LOCK_PAUSE_SECONDS)
        finally:
            self._gate.release()
        raise BusyError(f"{self.rrd} is locked by another process")


def _set_aside(path: Path, why: str) -> Path:
    """Rename a file that cannot serve, never onto another one, and return its new name. Raises OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.{why}-{stamp}{suffix}") for suffix in ("", *(f"-{n}" for n in range(1, 100))))
    free = next(name for name in names if not name.exists())
    path.rename(free)
    return free
