"""A meter's files to save and to bring back, and a look at all of their rows; for the tests of backups."""

from __future__ import annotations

import io
import math
import random
import threading
from array import array
from pathlib import Path

from conftest import START

from powerpi import ring, saving, sealed
from powerpi.backup_file import BackupFile
from powerpi.digests import Unit, units
from powerpi.facts import Facts
from powerpi.layout import ARCHIVES_SECONDS, MEAN_SECONDS
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.saving import Origin
from powerpi.store import Store

FIRST = START - STEP_SECONDS
HAUS = Origin(Facts("house", "Haus", 1000.0, 12.5), None)


class House:
    """The store of a meter in a folder, and its ledger."""

    def __init__(self, folder: Path, name: str = "house", archive_years: int = 20) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self.gate = threading.Lock()
        self.store = Store(folder, name, archive_years, self.gate)
        self.store.open(FIRST)
        self.ledger = Ledger(self.store.rrd, self.gate)

    def write(self, count: int, seed: int = 1, gap_rows: int = 0) -> None:
        """Write so many rows of all powers after `gap_rows` unknown ones, and the counter."""
        chance = random.Random(seed)
        last = self.store.last_row or Row(FIRST, 0.0)
        rows, time, pulses = [], last.time + STEP_SECONDS * gap_rows, last.pulses
        for _ in range(count):
            time, pulses = time + STEP_SECONDS, round(pulses + chance.choice([0, 0.01, chance.uniform(0, 20)]), 6)
            rows.append(Row(time, pulses))
        self.store.write(rows)
        self.store.save_register(max(self.store.stored_pulses, math.ceil(pulses)), time)

    def old_means(self, count: int) -> None:
        """Know means of the time before the last year, as if it had been counting then."""
        end = self.ledger.spans()[STEP_SECONDS].after // MEAN_SECONDS * MEAN_SECONDS
        for part in units(MEAN_SECONDS, end - count * MEAN_SECONDS, end):
            rates = [0.001 * (time // MEAN_SECONDS % 1000) for time in range(part.after, part.until, MEAN_SECONDS)]
            self.ledger.put(part, rates)


def backup_of(folder: Path, *names: str, origin: Origin = HAUS) -> io.BytesIO:
    """A backup of meters in a folder."""
    file = io.BytesIO()
    with sealed.sealed(file) as archive:
        saving.begin(archive, "[powerpi]\n")
        for name in names or ("house",):
            saving.save(archive, folder, name, origin)
        saving.end(archive, names or ("house",), START + 1000 * 86400, "1.0.0")
    return file


def opened(folder: Path, *names: str) -> BackupFile:
    return BackupFile(backup_of(folder, *names))


def all_rows(rrd: Path, days: int = 60) -> dict[int, bytes]:
    """The bytes of all rows of both archives, by their steps: up to so many days after START."""
    until = START // 86400 * 86400 + days * 86400
    years = {STEP_SECONDS: 1, MEAN_SECONDS: 20}
    return {step: ring.read(rrd, step, until - years[step] * 366 * 86400, until).tobytes() for step in ARCHIVES_SECONDS}


def known(rates: array[float]) -> int:
    return sum(not math.isnan(rate) for rate in rates)


def day_of(time: int) -> Unit:
    """The unit of rows that a time lies in."""
    return Unit(STEP_SECONDS, time // 86400 * 86400, time // 86400 * 86400 + 86400)
