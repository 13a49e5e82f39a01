"""Small files that survive a power cut: room made beforehand, parts overwritten, the whole replaced, or set aside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Record = TypeVar("Record")


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """The descriptor of a file, closed afterwards; a new one is for this user and the group. Raises OSError."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o640)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def prepare(path: Path, size: int) -> None:
    """Make room for `size` bytes where there is none yet, so that a full disk is no obstacle later. Raises OSError."""
    with opened(path, os.O_RDWR | os.O_CREAT) as descriptor:
        if os.fstat(descriptor).st_size >= size:
            return
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    sync_folder(path.parent)


def overwrite(path: Path, content: bytes, place: int = 0, *, wait: bool = True) -> None:
    """Write bytes where room was made before; `wait` until they are on disk. Raises OSError."""
    with opened(path, os.O_WRONLY) as descriptor:
        os.pwrite(descriptor, content, place)
        if wait:
            os.fdatasync(descriptor)


def replace(path: Path, text: str) -> None:
    """Put a whole small file on disk in the place of the one there; a power cut leaves one of both. Raises OSError."""
    _written(path, text).replace(path)
    sync_folder(path.parent)


def _written(path: Path, text: str) -> Path:
    """A whole small file on disk, beside the one whose place it is to take. Raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    with opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        with open(descriptor, "wb", closefd=False) as file:  # writes all or raises, where os.write may write a part
            file.write(text.encode())
        os.fdatasync(descriptor)
    return fresh


def decoded(path: Path, decode: Callable[[str], Record | None]) -> tuple[list[Record], bool]:
    """What `decode` makes of each line of a text file, and whether anything in it is damaged: that is passed over."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return [], False
    except OSError:
        return [], True
    records = [record for line in lines if (record := decode(line)) is not None]
    return records, len(records) < len(lines)


def rewrite(path: Path, text: str, damaged: bool) -> None:
    """Put a small file in the place of the one there; `damaged`: that is set aside. Raises OSError.

    Whatever happens in between, the name leads to the one or to the other: what can be read of a damaged one is in use.
    """
    fresh = _written(path, text)
    if damaged and path.exists():  # not where it was set aside before, and the write failed then
        try:
            os.link(path, _free_name(path, "damaged"))
        except OSError:  # of a folder, or on a file system that knows one name alone
            set_aside(path, "damaged")
    fresh.replace(path)
    sync_folder(path.parent)


def create(path: Path, text: str) -> None:
    """Put a whole small file on disk where none is, for this user and the group, all of it or nothing.

    Raises FileExistsError where one is, OSError when it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        with opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
            os.fchmod(descriptor, 0o640)  # whatever the umask
            with open(descriptor, "wb", closefd=False) as file:
                file.write(text.encode())
            os.fdatasync(descriptor)
        os.link(fresh, path)  # other than a rename it never takes the place of another file
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut. Raises OSError."""
    with opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        os.fsync(descriptor)


def sync_file(path: Path, forget: bool = False) -> None:
    """Wait until a file's data is on disk; `forget` also drops it from the page cache. Raises OSError.

    Newer kernels keep a just created file in large folios, and then each small update writes 2 MB back.
    """
    with opened(path, os.O_RDONLY) as descriptor:
        os.fdatasync(descriptor)
        if forget:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def set_aside(path: Path, why: str) -> Path:
    """Rename a file that cannot serve, never onto another one, and return its new name. Raises OSError."""
    free = _free_name(path, why)
    path.rename(free)
    return free


def _free_name(path: Path, why: str) -> Path:
    """What a file is called that is set aside."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.{why}-{stamp}{suffix}") for suffix in ("", *(f"-{n}" for n in range(1, 100))))
    return next(name for name in names if not os.path.lexists(name))
