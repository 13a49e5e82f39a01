"""Whom a command works as: what root does in the state folder belongs to the service's user, as what it writes does."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

ROOT = 0


def become_owner(folder: Path) -> None:
    """Go on as the owner of a folder, with all groups of that user, where root runs this and the folder is not its own.

    For the whole process, and for good. Files opened before stay open. Raises OSError.
    """
    if os.geteuid() != ROOT or not folder.is_dir():
        return
    owner, group = folder.stat().st_uid, folder.stat().st_gid
    if owner == ROOT:
        return
    try:
        account = pwd.getpwuid(owner)
        os.initgroups(account.pw_name, account.pw_gid)
        group = account.pw_gid
    except KeyError:  # a number without a name
        os.setgroups([])
    os.setgid(group)
    os.setuid(owner)
