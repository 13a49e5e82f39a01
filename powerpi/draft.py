"""A copy of an RRD in which many rows of the past are changed, while the original goes on; then it takes its place.

Until then the original is as it was, whatever happens to the copy: `NAME.rrd.import` beside it. One that a process left
behind that was killed is made anew by the next.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from powerpi import files, layout, ring, undo
from powerpi.errors import DamagedError, StoreError
from powerpi.folder import storing
from powerpi.pulses import STEP_SECONDS

SUFFIX = ".import"
SPARE_BYTES = 4_000_000  # for what is counted meanwhile


def path_of(rrd: Path) -> Path:
    """Where the copy of an RRD is."""
    return rrd.with_name(f"{rrd.name}{SUFFIX}")


@contextmanager
def begun(rrd: Path) -> Iterator[Path]:
    """An empty file for the copy, for this process alone; removed at the end, unless it has taken the RRD's place.

    Raises StoreError while another process has one.
    """
    path = path_of(rrd)
    with storing(path), files.opened(path, os.O_RDWR | os.O_CREAT) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another import into {rrd} is under way; wait until it is done") from None
        if not _is_at(path, descriptor):  # it has just taken the RRD's place
            raise StoreError(f"another import into {rrd} has just ended; try again")
        os.ftruncate(descriptor, 0)
        try:
            yield path
        finally:
            if _is_at(path, descriptor):
                path.unlink()


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def check_room(rrd: Path) -> None:
    """Raise OSError where a copy of an RRD has no room."""
    disk = os.statvfs(rrd.parent)
    if disk.f_bavail * disk.f_frsize < rrd.stat().st_size + SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path_of(rrd)))


def follow(copy: Path, rrd: Path) -> None:
    """Add to a copy the rows that its original got since. Raises OSError, DamagedError.

    The phases of the archives are the same for the whole life of a file: another file has others.
    """
    copied, now = layout.read(copy), layout.read(rrd)
    if copied.phases != now.phases:
        raise DamagedError(f"{copy} is no copy of {rrd} as it is now, and was left as it is")
    if copied.last_update < now.last_update and now.last_pulses is not None:
        rates = ring.read(rrd, STEP_SECONDS, copied.last_update, now.last_update)
        ring.append(copy, copied.last_update, rates, now.last_pulses)


def ready(copy: Path, rrd: Path) -> None:
    """Have a copy on disk, with all that its original holds; no write of the original is under way. Raises OSError."""
    if rrd.exists():
        follow(copy, rrd)
    layout.read(copy)
    files.sync_file(copy, forget=True)
    unfinished = rrd.with_suffix(".undo")
    undo.prepare(unfinished)
    undo.forget(unfinished)
    files.sync_file(unfinished)
    _forget_digests(rrd)


def adopted(rrd: Path) -> None:
    """A copy has taken the RRD's place: have that on disk; where that fails a power cut may bring the other back."""
    with suppress(OSError):
        _forget_digests(rrd)  # kept meanwhile
        files.sync_folder(rrd.parent)


def _forget_digests(rrd: Path) -> None:
    """They are of the rows that were, which the mirror must not bring back."""
    rrd.with_suffix(".digests").unlink(missing_ok=True)
