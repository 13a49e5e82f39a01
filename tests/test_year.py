"""A leap year of a household in virtual time, with 12 restarts, half of them kills; all parts are real.

The truth is what the pin was sent in each 10 s step. Days and months are read back the way the page does it.
"""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from conftest import HandClock, Line

from powerpi import gaps
from powerpi.counting import Counting, Timing
from powerpi.gaps import Gap
from powerpi.load import Household
from powerpi.meter import Meter
from powerpi.periods import day_start, month_start
from powerpi.pulses import STEP_SECONDS, next_boundary
from powerpi.reader import Reader
from powerpi.readings import Energies, Energy
from powerpi.simulate import PulseStep, pulse_steps
from powerpi.store import Store
from powerpi.totals import Span, Total, total_arguments, totals

BERLIN = ZoneInfo("Europe/Berlin")
IMP_PER_KWH = 1000
TURN_SECONDS = 60
TIMING = Timing(4 * 3600, 2 * 3600, 900)  # written rarely, for a year in a minute
BEGIN = int(datetime(2023, 12, 31, 23, 50, tzinfo=BERLIN).timestamp())
END = int(datetime(2025, 1, 1, 0, 10, tzinfo=BERLIN).timestamp())


class Restart(NamedTuple):
    """The program ends at `time` (Unix seconds) and is back so many seconds later."""

    time: float
    seconds: int
    killed: bool


def restart(month: int, day: int, clock: str, seconds: int, killed: bool = False) -> Restart:
    hour, minute = map(int, clock.split(":"))
    return Restart(datetime(2024, month, day, hour, minute, tzinfo=BERLIN).timestamp(), seconds, killed)


RESTARTS = [  # none in January: at the end it is older than the lossless rows, and quarter hours do not know of seconds
    restart(2, 2, "12:00", 3),
    restart(2, 29, "03:20", 40, killed=True),
    restart(3, 31, "01:50", 1200),  # over the hour that is left out
    restart(4, 10, "19:07", 7),
    restart(5, 1, "18:31", 300, killed=True),
    restart(6, 30, "23:00", 2 * 3600),  # over midnight and the end of a month
    restart(7, 14, "09:42", 90, killed=True),
    restart(8, 3, "14:05", 2 * 86400, killed=True),
    restart(9, 9, "20:15", 600),
    restart(10, 27, "02:10", 3600, killed=True),  # within the hour that comes twice
    restart(11, 20, "07:01", 15, killed=True),
    restart(12, 24, "17:30", 5 * 3600),
]


class House:
    """The meter, its program started again and again, and what the pin was sent meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock(wall=BEGIN)
        self.line = Line(self.clock)
        self.contact = self.line.factory.pin(24)
        self.sent = array("H", bytes(2 * ((END - BEGIN) // STEP_SECONDS)))  # pulses of each step
        self.lost = 0  # pulses that a kill took from the counter
        self.gaps: list[Gap] = []
        self.start(gaps.UNKNOWN)

    def start(self, last_end: str) -> None:
        self.line.pin.drain()
        store = Store(self.folder, "house", 20, threading.Lock())
        self.meter = Meter("house", self.line.pin, store, 0.010, BEGIN - 20, last_end=last_end)
        self.counting = Counting([self.meter], self.clock, TIMING, lambda *_: None)

    def live(self, step: PulseStep) -> int:
        """Send the pulses of a step, and have a turn at the end of each minute; how many pulses there were."""
        ahead, pulse = self.clock.ahead, self.line.pulse
        for time in step.times:
            pulse(time - ahead)
        self.sent[(step.end - BEGIN) // STEP_SECONDS - 1] = len(step.times)
        if step.end % TURN_SECONDS == 0:
            self.clock.now = max(self.clock.now, step.end - ahead)
            self.counting.turn()
            self.contact.clear_states()  # the mock pin remembers them all
        return len(step.times)

    def restart(self, planned: Restart, steps: Iterator[PulseStep]) -> None:
        """End the program, let the pulses of the time down pass, start it again, and note the gap that this makes."""
        if not planned.killed:
            self.counting.last_turn()
        last_row = self.meter.store.last_row
        assert last_row
        missed = next(step for step in steps if step.end >= planned.time + planned.seconds)
        self.clock.now = missed.end - self.clock.ahead
        reason = gaps.ENDED if planned.killed else gaps.STOPPED
        self.start(reason)
        lost = sum(self.sent) - self.lost - self.meter.pulses
        since_flush = sum(self.sent[(last_row.time - BEGIN) // STEP_SECONDS :])
        assert 0 <= lost <= (since_flush if planned.killed else 0)
        self.lost += lost
        first_pulse = next(step.times[0] for step in steps if self.live(step))
        self.gaps.append(Gap(last_row.time, max(next_boundary(first_pulse), last_row.time + 2 * STEP_SECONDS), reason))

    def known(self) -> array[int]:
        """The pulses of each step, without those in gaps."""
        found = array("H", self.sent)
        for start, end, _ in self.gaps:
            assert end
            for step in range((start - BEGIN) // STEP_SECONDS, (end - BEGIN) // STEP_SECONDS):
                found[step] = 0
        return found


def overlap_seconds(gap: Gap, span: Span) -> int:
    assert gap.end
    return max(0, min(gap.end, span[1]) - max(gap.start, span[0]))


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def live_a_year(house: House) -> list[float]:
    """The process's memory in MB at the end of each month."""
    steps = pulse_steps(Household(7), IMP_PER_KWH, BEGIN, BERLIN)
    restarts, month_ends = list(RESTARTS), [month_start(END - 3600, BERLIN, number) for number in range(-10, 2)]
    megabytes: list[float] = []
    for step in steps:
        house.live(step)
        if restarts and step.end >= restarts[0].time:
            house.restart(restarts.pop(0), steps)
        if month_ends and step.end >= month_ends[0]:
            month_ends.pop(0)
            megabytes.append(resident_megabytes())
        if step.end >= END:
            break
    house.counting.last_turn()
    return megabytes


def read_back(store: Store, spans: list[Span]) -> list[Energy]:
    """The energy of each span, as the page has it: from the reading child."""
    reader = Reader(threading.Lock(), lambda _: {})

    def read(rrd: Path, spans: Sequence[Span], step_seconds: int) -> list[Total]:
        return totals(reader.graph(total_arguments(rrd, spans, step_seconds)).prints)

    assert store.last_row
    try:
        return Energies(store.rrd, IMP_PER_KWH, read).of(spans, store.last_row.time)
    finally:
        reader.close()


def test_a_year_ends_with_the_totals_of_all_its_days_and_months_and_flat_memory(tmp_path: Path) -> None:
    house = House(tmp_path)
    megabytes = live_a_year(house)
    print(f"{sum(house.sent)} pulses, {house.lost} lost by kills; MB at the end of each month: {megabytes}")
    assert house.meter.pulses == sum(house.sent) - house.lost
    assert house.meter.live.gaps == tuple(house.gaps)
    assert len(house.gaps) == len(RESTARTS)
    assert max(megabytes[2:]) - megabytes[1] < 4

    new_year = day_start(BEGIN + 3600, BERLIN)
    days = list(pairwise(day_start(new_year, BERLIN, number) for number in range(367)))
    months = list(pairwise(month_start(new_year, BERLIN, number) for number in range(13)))
    assert (days[-1][1], {end - start for start, end in days}) == (END - 600, {82800, 86400, 90000})
    known = house.known()
    worst = 0.0
    for span, found in zip(days + months, read_back(house.meter.store, days + months), strict=True):
        touching = [gap for gap in house.gaps if overlap_seconds(gap, span)]
        sent = sum(known[(span[0] - BEGIN) // STEP_SECONDS : (span[1] - BEGIN) // STEP_SECONDS])
        # a pulse may fall on either side of a midnight and of a gap; 1 pulse is 1 Wh
        expected = pytest.approx(sent, abs=1 + len(touching)) if found.known_seconds else None
        assert found.watt_hours == expected
        assert found.known_seconds == span[1] - span[0] - sum(overlap_seconds(gap, span) for gap in touching)
        worst = max(worst, abs((found.watt_hours or 0) - sent))
    print(f"largest difference of a day or month: {worst:.2f} Wh")
