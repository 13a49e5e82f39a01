"""A whole file of any size that comes into being at once: it has its name when all of it is on disk, or there is none.

What is not finished has the name with `.new` behind it, held by a lock: what a killed process left is told from what
another one is just writing.
"""

from __future__ import annotations

import fcntl
import os
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


class NewFile:
    """Write to `file` in a `with`; after an exception nothing is left behind.

    Made by root it belongs to whom its folder belongs to, because that is who wants it.
    """

    def __init__(self, path: Path, force: bool = False) -> None:
        """`force`: take the place of a file of that name at the end. Raises StoreError."""
        self.path = path
        self._force = force
        self._fresh = path.with_name(path.name + SUFFIX)
        with storing(path):
            self._refuse_other()
            self.file: BinaryIO = open(_taken(self._fresh), "wb")  # noqa: SIM115 (closed when it is left)

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
            if not finished:  # while it is locked: nobody else's
                self._fresh.unlink(missing_ok=True)
            with suppress(OSError):  # a full disk is told by what failed before
                self.file.close()

    def _finish(self) -> None:
        """Give it its name. Raises StoreError."""
        with storing(self.path):
            self.file.flush()
            descriptor = self.file.fileno()
            _give_to_owner(descriptor, self.path.parent)
            os.fsync(descriptor)
            with suppress(OSError):  # a hint
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            self._refuse_other()
            self._fresh.rename(self.path)
            files.sync_folder(self.path.parent)


def _taken(path: Path) -> int:
    """The descriptor of a file to write, empty and locked; never through a link. Raises StoreError, OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        # what has another name by now was finished in this moment
        if not _lock(descriptor) or not path.exists() or not os.path.samestat(path.stat(), os.fstat(descriptor)):
            raise StoreError(f"{path} is being written by another process")
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # of a file system that knows no rights
            os.fchmod(descriptor, MODE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


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
    """Remove what a killed process left unfinished, but not what is being written; whether it did. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        stale = _lock(descriptor)
        if stale:
            path.unlink()
    finally:
        os.close(descriptor)
    return stale
