"""What a sender says of its meter and what hardly ever changes, kept in a small file beside the RRD (JSON)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from powerpi import files
from powerpi.errors import StoreError
from powerpi.folder import storing

MOST_BYTES = 4096  # a file that is longer is none of ours


class Facts(NamedTuple):
    """The facts of a meter; satisfies readings.Facts."""

    name: str
    label: str
    imp_per_kwh: float
    offset_kwh: float


def read(path: Path, name: str) -> Facts | None:
    """The facts of the meter of that name; None where nobody can read any: the sender says them again."""
    try:
        with storing(path), path.open("rb") as file:
            said = json.loads(file.read(MOST_BYTES))
        return Facts(name, str(said["label"]), float(said["imp_per_kwh"]), float(said["offset_kwh"]))
    except (StoreError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write(path: Path, facts: Facts) -> None:
    """Put facts on disk in the place of those there. Raises StoreError."""
    with storing(path):
        files.replace(path, json.dumps(facts._asdict(), ensure_ascii=False) + "\n")
