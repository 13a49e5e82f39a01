"""A whole file of any size that comes into being at once: it has its name when all of it is on disk, or there is none.

What is not finished has the name with `.new` behind it, held by a lock: what a killed process left is told from what
another one is just writing. A link leads to the place of the file; a device or a FIFO is written straight into.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from powerpi import files
from powerpi.errors import StoreError
from powerpi.folder import storing
from powerpi.user import ROOT

SUFFIX = ".new"
MODE = 0o640  # for its owner and the group, whatever the umask: it may hold a household's habits
STRAIGHT = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC  # behind what is there
STREAMS = ("/dev", "/proc")  # /dev/stdout is in the one, what it leads to in the other: what is open already


class NewFile:
    """Write to `file` in a `with`; after an exception nothing is left behind.

    Made by root it belongs to whom its folder belongs to, because that is who wants it.
    """

    def __init__(self, path: Path, force: bool = False, closed: Path | None = None) -> None:
        """`force`: take the place of a file of that name at the end. `closed`: a folder that takes none.

        Raises StoreError.
        """
        self.path = path
        self._force = force
        with storing(path):
            self._refuse_other()
            self._place = _place(path)
            if closed and closed.is_dir() and self._place.parent.is_dir() and self._place.parent.samefile(closed):
                raise StoreError(f"{path} is in {closed}, which is for PowerPi's own files alone; wanted another place")
            self._fresh = None if _is_written_straight(path) else self._place.with_name(self._place.name + SUFFIX)
            descriptor = _taken(self._fresh) if self._fresh else os.open(path, STRAIGHT)
            self.file: BinaryIO = os.fdopen(descriptor, "wb")

    def _refuse_other(self) -> None:
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder; wanted the name of a file")
        if os.path.lexists(self.path) and not self._force:
            raise StoreError(f"{self.path} exists already and was left as it is; --force takes its place")

    def __enter__(self) -> NewFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        finished = False
        try:
            if kind is None:
                self._finish()
                finished = True
        finally:
            if self._fresh and not finished:  # while it is locked: nobody else's
                self._fresh.unlink(missing_ok=True)
            with suppress(OSError):  # a full disk is told by what failed before
                self.file.close()

    def _finish(self) -> None:
        """Give it its name. Raises StoreError."""
        with storing(self.path):
            self.file.flush()
            if self._fresh is None:
                return
            descriptor = self.file.fileno()
            _give_to_owner(descriptor, self._place.parent)
            os.fsync(descriptor)
            with suppress(OSError):  # a hint
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            self._refuse_other()
            self._fresh.rename(self._place)
            files.sync_folder(self._place.parent)


def _place(path: Path) -> Path:
    """Where a path leads to, through all links. Raises OSError for links that lead nowhere at all."""
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return place


def _is_written_straight(path: Path) -> bool:
    """Whether what is there cannot be replaced: a device, a FIFO, or what this process has open already."""
    folder = os.path.realpath(path.parent)
    if not path.exists():
        return False
    return not stat.S_ISREG(path.stat().st_mode) or folder == STREAMS[0] or folder.startswith(f"{STREAMS[1]}/")


def _taken(path: Path) -> int:
    """The descriptor of a file to write, made now and locked. Raises StoreError, OSError.

    What a killed process left goes before: somebody else may have it open, or it may have another name as well.
    """
    busy = f"{path} is being written by another process"
    with suppress(FileNotFoundError):
        if not remove_stale(path):
            raise StoreError(busy)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    except FileExistsError:
        raise StoreError(busy) from None
    try:
        if not (_lock(descriptor) and _is_at(descriptor, path)):  # it was taken for a stale one in this moment
            raise StoreError(busy)
        with suppress(OSError):  # of a file system that knows no rights
            os.fchmod(descriptor, MODE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file has that name: what is finished has another one, what is stale none."""
    with suppress(OSError):
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    return False


def _lock(descriptor: int) -> bool:
    """Lock an open file, unless another process has; a disk that knows no locks keeps nobody out."""
    with suppress(OSError):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """Let a file belong to whom its folder belongs to, where root made it and the file system knows owners."""
    if os.geteuid() == ROOT:
        with suppress(OSError):
            os.fchown(descriptor, folder.stat().st_uid, folder.stat().st_gid)


def remove_stale(path: Path) -> bool:
    """Remove what a killed process left unfinished, but not what is being written; whether it did.

    Raises StoreError for what is no file, OSError.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise StoreError(f"{path} is in the way, and is no file: wanted it removed")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        stale = _lock(descriptor) and _is_at(descriptor, path)
        if stale:
            path.unlink()
    finally:
        os.close(descriptor)
    return stale
