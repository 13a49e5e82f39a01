"""The rows of a backup, held against those that are here: which are the same, and which are not."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import NamedTuple

from powerpi.backup_file import BackupFile
from powerpi.digests import Unit
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS


class Comparison(NamedTuple):
    """Known rows and means of a backup, and how many of them are otherwise here."""

    rows: int = 0
    means: int = 0
    different: int = 0
    first_different: int | None = None  # Unix seconds
    missing: int = 0  # unknown here, though they have room
    first_missing: int | None = None
    without_room: int = 0  # older than what an archive here holds

    @property
    def identical(self) -> bool:
        """Whether all that has room here is here."""
        return not self.different and not self.missing


def compare(
    backup: BackupFile, meter: str, ledger: Ledger | None, progress: Callable[[float], None] = lambda _: None
) -> Comparison:
    """Compare all rows of a meter; without a ledger they are read and counted alone.

    `progress` hears which share of them is done. Raises BackupError where they are not what was saved, StoreError.
    """
    saved = backup.meters[meter]
    found = Comparison()
    total = sum(unit.until - unit.after for unit in saved.units) or 1
    done = 0
    for unit in saved.units:
        found = _added(found, unit, backup.whole_unit(meter, unit), ledger)
        done += unit.until - unit.after
        progress(done / total)
    return found


def _added(found: Comparison, unit: Unit, theirs: array[float], ledger: Ledger | None) -> Comparison:
    known = sum(rate == rate for rate in theirs)  # noqa: PLR0124 (NaN: unknown)
    rows, means = (known, 0) if unit.step_seconds == STEP_SECONDS else (0, known)
    found = found._replace(rows=found.rows + rows, means=found.means + means)
    if ledger is None or not known:
        return found
    ours = ledger.rows(unit)
    if ours.tobytes() == theirs.tobytes():
        return found
    return _differing(found, unit, theirs, ours, ledger)


def _differing(found: Comparison, unit: Unit, theirs: array[float], ours: array[float], ledger: Ledger) -> Comparison:
    """Look at a unit that is not the same row by row."""
    span = ledger.spans().get(unit.step_seconds)
    held = span.after if span else unit.until
    different, missing, without_room = [], [], 0
    for time, their, our in zip(
        range(unit.after + unit.step_seconds, unit.until + 1, unit.step_seconds), theirs, ours, strict=True
    ):
        if their != their or their == our:  # noqa: PLR0124
            continue
        if our == our:  # noqa: PLR0124
            different.append(time)
        elif time <= held:
            without_room += 1
        else:
            missing.append(time)
    return found._replace(
        different=found.different + len(different),
        first_different=found.first_different or next(iter(different), None),
        missing=found.missing + len(missing),
        first_missing=found.first_missing or next(iter(missing), None),
        without_room=found.without_room + without_room,
    )
