"""What tells this state folder from all others, whatever its machine is called: random, made once, kept in the folder.

A backup has it in its name and in its head, so that machines of one name can share a folder of backups.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from pathlib import Path

from powerpi import files
from powerpi.folder import storing

FILE = "identity"
BYTES = 8
IDENTITY = re.compile(rf"[0-9a-f]{{{2 * BYTES}}}")


def read(state: Path) -> str:
    """The identity of a state folder, "" while it has none. Raises StoreError."""
    path = state / FILE
    with storing(path):
        if not path.is_file():
            return ""
        found = path.read_text(encoding="ascii", errors="replace").strip()
    return found if IDENTITY.fullmatch(found) else ""


def made(state: Path) -> str:
    """The same, made if need be. Raises StoreError."""
    path = state / FILE
    fresh = f"{secrets.token_hex(BYTES)}\n"
    if not read(state):
        with storing(path):
            with suppress(FileExistsError):  # by another process in this moment, or it is damaged
                files.create(path, fresh)
            if not read(state):
                files.rewrite(path, fresh, damaged=True)
    return read(state)
