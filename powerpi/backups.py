"""The folder of dated backups: what the next one is called, which are ours, and which of them go when it is there."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

from powerpi import new_file
from powerpi.backup_file import read_head
from powerpi.config import Settings
from powerpi.errors import BackupError, StoreError
from powerpi.folder import storing
from powerpi.saving import host_name

DATED = re.compile(r"powerpi-([A-Za-z0-9-]+)-\d{8}T\d{6}Z\.zip")
IN_STATE = "backups"


def folder(settings: Settings) -> Path:
    """Where backups go by themselves."""
    return settings.backup.folder or settings.state / IN_STATE


def made_folder(settings: Settings) -> Path:
    """The same, made if need be within the state folder, but nowhere else. Raises StoreError."""
    wanted = folder(settings)
    with storing(wanted):
        if settings.backup.folder is None:
            wanted.mkdir(mode=0o750, exist_ok=True)
        elif not wanted.is_dir():  # a stick that is not mounted is not to be filled on the card
            raise StoreError(f"[backup] folder = {wanted} is not there: is its disk mounted?")
    return wanted


def next_path(where: Path, now: float) -> Path:
    """The name of a backup that is made now, Unix seconds: host and UTC, so that names sort by age."""
    return where / f"powerpi-{host_name()}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}.zip"


def ours(where: Path) -> list[Path]:
    """The backups of this machine in a folder by name and by what they hold, newest first. Raises StoreError."""
    with storing(where):
        paths = sorted(where.iterdir(), reverse=True)
    return [path for path in paths if _is_dated(path.name) and _is_ours(path)]


def _is_dated(name: str) -> bool:
    match = DATED.fullmatch(name)
    return match is not None and match[1] == host_name()


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with suppress(BackupError, OSError), path.open("rb") as file:
        return read_head(file).host == host_name()
    return False


def keep_newest(made: Path, keep: int) -> list[Path]:
    """Remove the oldest backups beyond `keep`, never the one just `made`; returns them. Raises StoreError."""
    others = [path for path in ours(made.parent) if path != made]
    gone = others[max(keep - 1, 0) :]
    with storing(made.parent):
        for path in gone:
            path.unlink()
    return gone


def sweep(where: Path) -> None:
    """Remove what killed backups left unfinished; what will not go is no reason to make none."""
    with suppress(OSError):
        for path in where.iterdir():
            name = path.name.removesuffix(new_file.SUFFIX)
            if name != path.name and _is_dated(name) and not path.is_symlink():
                new_file.remove_stale(path)
