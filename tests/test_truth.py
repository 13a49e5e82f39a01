"""The curve is true: a real household through the real filter, the real counting and a real RRD.

The recording holds mean watts of minutes, taken here as steps of constant power. Its minutes and the 10 s grid
belong to different clocks: the recorder's runs slow by 10 s in the 26 days (4.5 ppm), so that a change of power
falls on every place within a step equally often. (Were all changes locked to the very boundary of a step, the error
would be 9.8 W: the straight line between two pulses cannot know that the power changed just there.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import rrdtool
from conftest import START, HandClock, Line

from powerpi.counting import Counting, Timing
from powerpi.meter import Meter
from powerpi.store import Store

PULSE_WATT_SECONDS = 3600  # at 1000 imp/kWh
WIDTH_SECONDS = 0.050
DRIFT_SECONDS = 10.0


class Load(NamedTuple):
    """Power in steps: when each ends (seconds from the start) and the energy up to there (Ws)."""

    ends: list[float]
    energies: list[float]

    @classmethod
    def recorded(cls, path: Path) -> Load:
        watts = [int(line.partition(",")[2]) for line in path.read_text().splitlines()[1:]]
        minute_seconds = 60 + DRIFT_SECONDS / len(watts)
        energies = accumulate((value * minute_seconds for value in watts), initial=0.0)
        return cls([minute_seconds * n for n in range(len(watts) + 1)], list(energies))

    def pulse_times(self) -> Iterator[float]:
        """When the energy passes each whole pulse."""
        number = 1
        for (begin, before), (end, after) in pairwise(zip(*self, strict=True)):
            while number * PULSE_WATT_SECONDS <= after:
                yield begin + (end - begin) * (number * PULSE_WATT_SECONDS - before) / (after - before)
                number += 1

    def at_steps(self, steps: int) -> list[float]:
        """The energy in Ws at each 10 s boundary."""
        found, minute = [], 0
        for time in range(0, 10 * steps + 1, 10):
            while self.ends[minute + 1] < time:
                minute += 1
            share = (time - self.ends[minute]) / (self.ends[minute + 1] - self.ends[minute])
            found.append(self.energies[minute] + share * (self.energies[minute + 1] - self.energies[minute]))
        return found


def rms_watts(watts: Sequence[float | None], truth: Sequence[float]) -> float:
    squares = [(value - true) ** 2 for value, true in zip(watts, truth, strict=True) if value is not None]
    return math.sqrt(math.fsum(squares) / len(squares))


def stored_rates(rrd: Path, steps: int) -> list[float | None]:
    """Pulses per second of every step from START on."""
    span = ("--start", str(START), "--end", str(START + 10 * steps), "--step", "10", "--maxrows", "400000")
    data = rrdtool.xport(*span, f"DEF:p={rrd}:pulses:AVERAGE:step=10", "XPORT:p")["data"]
    return [row[0] for row in data][:steps]


@pytest.fixture
def load(household_minutes: Path) -> Load:
    return Load.recorded(household_minutes)


def test_rows_of_a_real_household_are_true_to_5_watts_and_lose_no_pulse(
    load: Load, make_store: Callable[..., Store], clock: HandClock, line: Line
) -> None:
    meter = Meter("house", line.pin, make_store(), 0.010, START)
    counting = Counting([meter], clock, Timing(300, 60, 900), lambda *_: None)
    begin, sent, due = clock.now, 0, 0.0
    for time in load.pulse_times():
        line.pulse(begin + time, WIDTH_SECONDS)
        sent += 1
        if clock.now >= due:  # a turn a second, as the thread does
            counting.turn()
            due = clock.now + 1
    counting.last_turn()
    assert sent == int(load.energies[-1] / PULSE_WATT_SECONDS)
    assert meter.pulses == sent

    steps = int(load.ends[-1]) // 10 - 1
    energies = load.at_steps(steps)
    rates = stored_rates(meter.store.rrd, steps)
    truth = [(after - before) / 10 for before, after in pairwise(energies)]
    assert rates.count(None) == rates.index(next(rate for rate in rates if rate is not None))  # only before the first
    assert rates.count(None) <= 2
    error = rms_watts([None if rate is None else rate * PULSE_WATT_SECONDS for rate in rates], truth)
    print(f"RMS error against the true power: {error:.2f} W over {steps} rows")
    assert error < 5

    integrated = math.fsum(rate * 10 for rate in rates if rate is not None)
    before_first_row = energies[rates.count(None)] / PULSE_WATT_SECONDS
    after_last_row = (load.energies[-1] - energies[-1]) / PULSE_WATT_SECONDS
    assert abs(before_first_row + integrated + after_last_row - sent) <= 1


def test_counts_per_step_would_be_thirty_times_worse(load: Load) -> None:
    steps = int(load.ends[-1]) // 10 - 1
    counts = [0] * (steps + 2)
    for time in load.pulse_times():
        counts[int(time // 10)] += 1
    truth = [(after - before) / 10 for before, after in pairwise(load.at_steps(steps))]
    error = rms_watts([count * PULSE_WATT_SECONDS / 10 for count in counts[:steps]], truth)
    assert 120 < error < 160
