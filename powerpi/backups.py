"""The folder of dated backups: what the next one is called, which are ours, and which of them go when it is there."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from powerpi import new_file, sealed
from powerpi.backup_file import Head, read_head
from powerpi.config import Settings
from powerpi.errors import BackupError, StoreError
from powerpi.folder import storing
from powerpi.saving import host_name

DATED = re.compile(r"powerpi-[A-Za-z0-9-]+-([0-9a-f]{8})-\d{8}T\d{6}Z\.zip")
SHORT = 8  # digits of an identity that go into a name
IN_STATE = "backups"
FUTURE_SECONDS = 300  # by so much a clock may go back


class Kept(NamedTuple):
    """A backup of this state folder."""

    path: Path
    head: Head


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


def next_path(where: Path, identity: str, now: float) -> Path:
    """The name of a backup that is made now, Unix seconds: with host, identity of the state folder, and UTC."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    return where / f"powerpi-{host_name()}-{identity[:SHORT]}-{stamp}.zip"


def ours(where: Path, identity: str, now: float) -> list[Kept]:
    """The backups of the state folder with that identity, as name and head say, newest first. Raises StoreError.

    Those from the future, which a wrong clock made, are the last ones; `now` is Unix seconds.
    """
    with storing(where):
        paths = [path for path in where.iterdir() if _is_dated(path.name, identity)]
    found = [Kept(path, head) for path in paths if (head := _head(path)) and head.identity == identity]
    return sorted(found, key=lambda kept: (kept.head.time <= now + FUTURE_SECONDS, kept.head.time), reverse=True)


def _is_dated(name: str, identity: str) -> bool:
    match = DATED.fullmatch(name)
    return match is not None and match[1] == identity[:SHORT]


def _head(path: Path) -> Head | None:
    if path.is_symlink() or not path.is_file():
        return None
    with suppress(BackupError, OSError), path.open("rb") as file:
        return read_head(file)
    return None


def keep_newest(made: Path, keep: int, identity: str, now: float) -> list[Path]:
    """Remove the oldest backups beyond `keep`, never the one just `made`; returns them. Raises StoreError.

    One without the rows of a meter takes no whole one's place, nor does a damaged one.
    """
    found = ours(made.parent, identity, now)
    like = [kept.head.whole for kept in found if kept.path == made]
    room, gone = keep - 1, []
    for kept in found:
        if kept.path == made or [kept.head.whole] != like:
            continue
        if room <= 0:
            gone.append(kept.path)
        elif _is_sound(kept.path):
            room -= 1
    with storing(made.parent):
        for path in gone:
            path.unlink()
    return gone


def _is_sound(path: Path) -> bool:
    with suppress(BackupError, OSError), path.open("rb") as file:
        sealed.check(file, lambda *_: None)
        return True
    return False


def sweep(where: Path, identity: str) -> None:
    """Remove what killed backups left unfinished; what will not go is no reason to make none."""
    with suppress(OSError):
        for path in where.iterdir():
            name = path.name.removesuffix(new_file.SUFFIX)
            if name != path.name and _is_dated(name, identity) and not path.is_symlink() and path.is_file():
                new_file.remove_stale(path)
