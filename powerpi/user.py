"""Whom a command works as: what root does in the state folder belongs to the service's user, as what it writes does."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = 0


def become_owner(folder: Path) -> None:
    """Go on as the owner of a folder, with all groups of that user, where root runs this and the folder is not its own.

    For the whole process, and for good. Files opened before stay open. Raises OSError.
    """
    owner = _owner(folder)
    if owner:
        os.setgroups(owner.groups)
        os.setgid(owner.group)
        os.setuid(owner.user)


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """The same for a while, to come back to a place where only root may write. Raises OSError."""
    owner = _owner(folder)
    if owner is None:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(owner.groups)
    os.setegid(owner.group)
    os.seteuid(owner.user)
    try:
        yield
    finally:
        os.seteuid(ROOT)
        os.setegid(group)
        os.setgroups(groups)


class _Owner(NamedTuple):
    user: int
    group: int
    groups: list[int]


def _owner(folder: Path) -> _Owner | None:
    """Whom to go on as; None: as who it is. Raises OSError."""
    if os.geteuid() != ROOT or not folder.is_dir():
        return None
    user, group = folder.stat().st_uid, folder.stat().st_gid
    if user == ROOT:
        return None
    try:
        account = pwd.getpwuid(user)
    except KeyError:  # a number without a name
        return _Owner(user, group, [])
    return _Owner(user, account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid))
