"""The state folder: held by one process alone, and its errors in the words of the store."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from powerpi.errors import BusyError, StoreError


class FolderLock:
    """The state folder held for this process alone, by a lock on a file in it."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if need be, and lock it. Raises StoreError when another process has it."""
        self._folder = folder
        self._descriptor = -1
        self._one = Lock()  # two threads that take it at once would be in each other's way
        with _using(folder):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._take()

    def hold(self) -> None:
        """Make sure that the folder at this place is still the one that is held; lock one that took its place.

        Any thread may call it. Raises StoreError.
        """
        with self._one:
            self._hold()

    def _hold(self) -> None:
        try:
            if os.path.samestat((self._folder / "lock").stat(), os.fstat(self._descriptor)):
                return
        except FileNotFoundError:
            with _using(self._folder):
                self._folder.mkdir(mode=0o750, exist_ok=True)  # not its parents: a disk may not be mounted
        except OSError:  # it cannot be told: the write will tell
            return
        self._take()

    def _take(self) -> None:
        with _using(self._folder):
            descriptor = _lock_file(self._folder / "lock")
        try:
            _lock(descriptor, self._folder)
        except StoreError:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def locked_folder(folder: Path) -> Iterator[FolderLock]:
    """Hold the state folder for this process alone, made if need be. Raises StoreError when another one has it."""
    lock = FolderLock(folder)
    try:
        yield lock
    finally:
        lock.close()


@contextmanager
def _using(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"state folder {folder} cannot be used: {error.strerror}") from error


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


def _lock_file(path: Path) -> int:
    """The open lock file, made if need be; on a disk that became read-only it can be locked all the same."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


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


@contextmanager
def held(lock: Lock, seconds: float, why: str) -> Iterator[None]:
    """Hold a lock of this process. Raises BusyError with `why` where somebody else has it for longer than `seconds`."""
    if not lock.acquire(timeout=seconds):
        raise BusyError(f"{why} for longer than {seconds:g} s")
    try:
        yield
    finally:
        lock.release()
