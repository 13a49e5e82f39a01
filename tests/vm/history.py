"""More than a year of rows with holes, through PowerPi's own store: `python3 -m tests.vm.history FOLDER METER`."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Lock

from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store

DAYS = 400  # some of it is left in quarter hours only
HOLES_PER_ROW = 2e-5
LONGEST_HOLE_ROWS = 8640
MOST_PULSES = 30.0  # in a step: 10.8 kW
BATCH_ROWS = 50_000  # written at once: few waits for the disk


def history(end: int, chance: random.Random) -> Iterator[Row]:
    """Rows up to about `end`; where one is missing, the counter went on a little."""
    row = Row(end - DAYS * 86400, 0.0)
    while row.time < end:
        yield row
        steps = chance.randint(2, LONGEST_HOLE_ROWS) if chance.random() < HOLES_PER_ROW else 1
        row = Row(row.time + steps * STEP_SECONDS, round(row.pulses + MOST_PULSES * chance.random(), 6))


def main(folder: Path, meter: str) -> None:
    """Write until now."""
    end = int(time.time()) // STEP_SECONDS * STEP_SECONDS
    rows = history(end, random.Random())
    store = Store(folder, meter, 20, Lock())
    store.open(end - DAYS * 86400 - STEP_SECONDS)
    while batch := list(islice(rows, BATCH_ROWS)):
        store.write(batch)
        store.save_register(math.ceil(batch[-1].pulses), batch[-1].time)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
