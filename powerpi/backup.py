"""`powerpi backup`: all that is kept of the meters in one file, while a PowerPi runs and while none does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import BinaryIO
from zoneinfo import ZoneInfo

from powerpi import __version__, backups, config, config_copy, door, identity, saving, sealed
from powerpi.backup_file import BackupFile
from powerpi.clock import OLDEST_TIME
from powerpi.comparing import Comparison, compare
from powerpi.config import Settings
from powerpi.errors import BackupError, ConfigError, NobodyError, PowerPiError, RefusedError, StoreError
from powerpi.folder import is_locked, locked_folder, storing
from powerpi.ledger import Ledger
from powerpi.new_file import NewFile
from powerpi.progress import Progress
from powerpi.saving import Made
from powerpi.store import Store
from powerpi.user import as_owner, become_owner
from powerpi.values import system_zone

STANDARD_OUTPUT = Path("-")


def make(conf: Path, file: Path | None, force: bool) -> int:
    """Make a backup of all meters: in `file`, on standard output, or in the folder of backups, where the oldest goes.

    `conf` is the configuration's place; `force` takes the place of a file that is there. Returns the exit code: 1 when
    the rows of a meter could not be read. Raises ConfigError, StoreError.
    """
    settings, text = config.load(conf), conf.read_text(encoding="utf-8-sig")
    copy = config_copy.plain(text)
    if file == STANDARD_OUTPUT:
        return _make_on_standard_output(settings, copy)
    if file is not None:  # root may write where the owner of the state folder may not
        with NewFile(file, force, closed=settings.state) as new, as_owner(settings.state):
            whole = _save(settings, copy, new.file, file)
            if not whole and os.path.lexists(file):
                raise StoreError(f"{file} stays as it was, it may know more; wanted another name for what there is now")
        print(f"made {file}, {file.stat().st_size} bytes")
        return 0 if whole else 1
    become_owner(settings.state)
    where = backups.made_folder(settings)
    own = identity.made(settings.state)
    backups.sweep(where, own)
    path = backups.next_path(where, own, time.time())
    with NewFile(path) as new:
        whole = _save(settings, copy, new.file, path)
    print(f"made {path}, {path.stat().st_size} bytes")
    for gone in backups.keep_newest(path, settings.backup.keep, own, time.time()):
        print(f"removed {gone.name}: {settings.backup.keep} are kept")
    return 0 if whole else 1


def _make_on_standard_output(settings: Settings, copy: str) -> int:
    if sys.stdout.isatty():
        print("powerpi backup -: wanted a file or a program to write to, not a terminal", file=sys.stderr)
        return 2
    become_owner(settings.state)
    whole = _save(settings, copy, sys.stdout.buffer, Path("standard output"))
    sys.stdout.flush()
    return 0 if whole else 1


def _save(settings: Settings, copy: str, out: BinaryIO, path: Path) -> bool:
    """Write a backup, and say on standard error what is in it; whether all could be read.

    Raises StoreError, with the path where that is full.
    """
    found = saving.meters(settings)
    if not found:
        raise StoreError(f"there is nothing to save in {settings.state}: nothing has been counted yet")
    if len(found) > saving.MOST_METERS:
        raise StoreError(f"{settings.state} has {len(found)} meters: a backup takes {saving.MOST_METERS}")
    whole = True
    with _at_rest(settings, list(found)), storing(path), sealed.sealed(out) as archive:
        saving.begin(archive, copy)
        for name, origin in found.items():
            with Progress(f"Saving {name}", 1) as bar:
                made = saving.save(archive, settings.state, name, origin, bar.to)
            print(f"{name}: {_told(made, name in settings.names)}", file=sys.stderr)
            whole = whole and not made.fault
        own = identity.read(settings.state)
        saving.end(archive, list(found), int(time.time()), __version__, identity=own, whole=whole)
    return whole


def _told(made: Made, configured: bool) -> str:
    parts = [f"{made.rows} rows and {made.means} means, the counter at {made.saved.standing.pulses} pulses"]
    if made.impossible_rows:
        parts.append(f"{made.impossible_rows} rows cannot be, the disk has changed them: unknown in the backup")
    if made.fault:
        parts.append(f"its rows are not in the backup: {made.fault}")
    if not configured:
        parts.append("the configuration does not know it")
    return "; ".join(parts)


@contextmanager
def _at_rest(settings: Settings, names: list[str]) -> Iterator[None]:
    """Have what runs write its newest rows; while nothing does, put right what a killed one left, and no more.

    Meanwhile a PowerPi may be started: it is never kept waiting for a backup.
    """
    if is_locked(settings.state):
        try:
            said = "" if door.ask(settings.state, "flush") else "its disk takes no rows just now"
        except (NobodyError, RefusedError) as error:
            said = str(error)
        if said:
            print(f"powerpi: the newest minutes may be missing: {said}", file=sys.stderr)
        yield
        return
    with locked_folder(settings.state):
        for name in names:
            if (settings.state / f"{name}.rrd").exists():
                store = Store(settings.state, name, settings.store.archive_years, Lock())
                for note in store.open(OLDEST_TIME)[1]:
                    print(f"{name}: {note}", file=sys.stderr)
    yield


# ---------------------------------------------------------------- verify


def verify(conf: Path, file: Path | None) -> int:
    """Check every checksum of a backup, the newest one without a `file`, and hold its rows against those here.

    Returns the exit code: 1 when rows here are others, or unknown. Raises BackupError for one that is damaged,
    ConfigError, StoreError.
    """
    settings = _settings(conf)
    path = file or _newest(settings)
    with opened(path) as found:
        if settings:
            become_owner(settings.state)
        with named(path):
            with Progress(f"Checking {path.name}", 1) as bar:
                backup = BackupFile(found, lambda done, total: bar.to(done / total))
            zone = settings.timezone if settings else system_zone()
            print(f"{path}: {told(backup, zone)}")
            same = [_verified(backup, name, settings, zone) for name in backup.meters]
    return 0 if all(same) else 1


def _settings(conf: Path) -> Settings | None:
    """The configuration; without one there is nothing to compare a backup with."""
    try:
        return config.load(conf)
    except ConfigError as error:
        print(f"powerpi: only the file is checked, without comparing: {error.faults[0]}", file=sys.stderr)
        return None


def _newest(settings: Settings | None) -> Path:
    if settings is None:
        raise StoreError("wanted the FILE to check")
    become_owner(settings.state)
    found = backups.ours(backups.folder(settings), identity.read(settings.state), time.time())
    if not found:
        raise StoreError(f"there is no backup in {backups.folder(settings)}")
    return found[0].path


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read, closed afterwards. Raises StoreError."""
    with storing(path):
        if path.is_fifo() or path.is_char_device():  # nobody could look at its end first
            raise StoreError(f"{path} is no file: wanted one that is on a disk")
        file = path.open("rb")
    with file:
        yield file


@contextmanager
def named(file: Path) -> Iterator[None]:
    """Let the errors of a backup, and of the disk it is on, name its file. Raises BackupError, StoreError."""
    try:
        yield
    except BackupError as error:
        raise BackupError(f"{file} {error}") from error
    except PowerPiError:
        raise
    except OSError as error:
        raise StoreError(f"{error.filename or file}: {error.strerror}") from error


def told(backup: BackupFile, zone: ZoneInfo) -> str:
    """What a backup that is whole says of itself."""
    head = backup.head
    return f"whole, made {datetime.fromtimestamp(head.time, zone):%F %T} on {head.host} by PowerPi {head.version}"


def _verified(backup: BackupFile, name: str, settings: Settings | None, zone: ZoneInfo) -> bool:
    """Say how a meter's rows compare; whether all that has room here is here."""
    rrd = settings.state / f"{name}.rrd" if settings else None
    ledger = Ledger(rrd, Lock()) if rrd and rrd.exists() else None
    with Progress(f"Reading {name}", 1) as bar:
        found = compare(backup, name, ledger, bar.to)
    parts = [f"{found.rows} rows and {found.means} means"]
    pulses = backup.meters[name].standing.pulses
    lower = rrd is not None and saving.counter(rrd, ledger.newest() if ledger else None)[0] < pulses
    absent = rrd is not None and ledger is None and bool(found.rows + found.means)
    if ledger:
        parts += differences(found, zone, "the store")
    elif absent:
        parts.append("none of them is here: `powerpi restore` brings them back")
    if lower:
        parts.append(f"the counter here is lower than the {pulses} pulses in the backup")
    print(f"{name}: {'; '.join(parts)}")
    return found.identical and not lower and not absent


def differences(found: Comparison, zone: ZoneInfo, what: str) -> list[str]:
    """What is to be said of rows that were compared with `what`."""
    parts = [f"identical with {what}"] if found.identical else []
    if found.different:
        parts.append(f"different here: {found.different}, the first of {_time(found.first_different, zone)}")
    if found.missing:
        parts.append(f"unknown here: {found.missing}, the first of {_time(found.first_missing, zone)}")
    if found.without_room:
        parts.append(f"older than what has room here: {found.without_room}")
    return parts


def _time(time: int | None, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(time or 0, zone):%F %T}"
