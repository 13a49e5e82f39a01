"""A meter at rest: an hour, a night, a month without a pulse, and the pulse that ends it.

A turn comes every minute here; rows are flushed every 300 s and the register is saved every 60 s meanwhile. 1000 of
CLOCK_MONOTONIC is START, on the grid. An idle line is drawn flat up to between half an hour and an hour ago.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import START, HandClock, Line
from test_store import rates

from powerpi.counting import Counting, Timing
from powerpi.meter import Meter
from powerpi.readings import power
from powerpi.store import Store

HOUR, DAY = 3600, 86400
TURN_SECONDS = 60
HALF_HOUR_RATE = 1 / 1800  # pulses per second: what is kept back for the next pulse lasts half an hour at least

ROUNDING = 1e-7  # pulses per second: rows are written with six decimals


@pytest.fixture
def counting(line: Line, clock: HandClock, make_store: Callable[..., Store]) -> Counting:
    meter = Meter("house", line.pin, make_store(), 0.010, START - 20)
    return Counting([meter], clock, Timing(300, 60, 900), lambda *_: None)


def rest(counting: Counting, line: Line, until: int) -> Meter:
    """Turns, but no pulse, until `until` (CLOCK_MONOTONIC); the clock of the wall is not asked."""
    while line.clock.now < until:
        line.clock.now = min(line.clock.now + TURN_SECONDS, until)
        counting.turn()
    return counting.meters["house"]


def pulses(counting: Counting, line: Line, *times: float) -> None:
    for time in times:
        line.pulse(time)
        counting.turn()


def stored(counting: Counting, seconds: int) -> list[float | None]:
    """Pulses per second of the steps from START on, after a clean end."""
    counting.last_turn()
    return rates(counting.meters["house"].store.rrd, START, START + seconds)


def longest_flat(found: list[float | None]) -> int:
    """How many steps in a row are zero at most."""
    edges = [-1, *(number for number, rate in enumerate(found) if rate != 0), len(found)]
    return max(after - before - 1 for before, after in pairwise(edges))


@pytest.mark.parametrize(
    ("quiet", "zeros"),
    [
        # never an hour without a pulse: one straight line, 1 pulse in so many seconds
        pytest.param(HOUR - 1, 0, id="almost an hour"),
        # the turn at 4615 finds an hour without a pulse: flat up to 2815, zero in the steps that end at 1030 to 2810
        pytest.param(HOUR + 50, 179, id="an hour"),
        # every half hour the next half hour is drawn flat
        pytest.param(12 * HOUR, None, id="a night"),
        pytest.param(31 * DAY, None, id="a month"),
    ],
)
def test_a_quiet_time_is_known_throughout_and_ends_without_a_spike(
    counting: Counting, line: Line, quiet: int, zeros: int | None
) -> None:
    pulses(counting, line, 1005, 1015)
    rest(counting, line, 1015 + quiet - 1)
    end = 1015 + quiet
    pulses(counting, line, end, end + 10, end + 20)
    # rows from START + 10 to the last boundary before the last pulse
    steps = (end + 20 - 1000) // 10
    found = stored(counting, 10 * steps)
    assert found[0] is None
    assert None not in found[1:]
    assert min(rate for rate in found[1:] if rate is not None) >= 0
    between = [rate for rate in found[2 : (end - 1000) // 10] if rate is not None]
    assert max(between) <= max(1 / quiet, HALF_HOUR_RATE) + ROUNDING
    flat = longest_flat(found)
    # what is kept back for the next pulse is an hour at most and half an hour at least
    assert flat == zeros if zeros is not None else (quiet - HOUR) // 10 - 2 <= flat <= (quiet - 1800) // 10
    # the first row stands at 1.5 pulses, 5 were sent, the last 10 s are drawn up to the boundary
    drawn = 10 * sum(rate for rate in found[1:] if rate is not None)
    last_boundary = 1000 + 10 * steps
    assert drawn == pytest.approx(4 + (last_boundary - end - 10) / 10 - 1.5, abs=1e-3)


@pytest.mark.parametrize("quiet", [HOUR, 12 * HOUR, 31 * DAY])
def test_while_it_rests_rows_come_up_to_an_hour_ago_and_the_live_figure_falls(
    counting: Counting, line: Line, quiet: int
) -> None:
    pulses(counting, line, 1005, 1015)
    meter = rest(counting, line, 1015 + quiet)
    live = meter.live
    assert START + quiet + 15 - HOUR - TURN_SECONDS <= live.rows[-1].time <= START + quiet + 15 - 1800
    assert live.rows[-1].pulses == 2
    # at most a pulse of 1 Wh (3600 Ws) in so many seconds, known 0.12 s after its begin: never 0
    assert power(live, 1000) == (pytest.approx(3600 / (quiet - 0.12)), True)
    assert live.pulses_since == 0


def test_every_row_of_a_rest_is_at_most_what_its_pulses_allow(counting: Counting, line: Line) -> None:
    """Pulses at ever longer distances: a row is at most one pulse in its distance or in half an hour."""
    distances = [30, 600, 1790, 1810, 3590, 3610, 5000, 7300, 20000]
    times = [1005]
    pulses(counting, line, *times)
    for distance in distances:
        rest(counting, line, times[-1] + distance - 1)
        times.append(times[-1] + distance)
        pulses(counting, line, times[-1])
    rest(counting, line, times[-1] + 2 * HOUR)
    found = stored(counting, (times[-1] - 1000) // 10 * 10)
    for number, rate in enumerate(found[1:], 1):
        begin, end = 1000 + 10 * number, 1010 + 10 * number
        touching = [b - a for a, b in pairwise(times) if a < end and b > begin]
        assert rate is not None
        assert rate <= 1 / min(*touching, 1800) + ROUNDING


@pytest.mark.parametrize("rest_seconds", [HOUR + TURN_SECONDS, 12 * HOUR, 31 * DAY])
def test_a_meter_without_a_pulse_since_the_start_is_known_to_rest(
    counting: Counting, line: Line, rest_seconds: int
) -> None:
    meter = rest(counting, line, 1000 + rest_seconds)
    assert meter.pulses == 0
    rows_until = meter.live.rows[-1].time - START
    assert rest_seconds - HOUR - TURN_SECONDS <= rows_until <= rest_seconds - 1800
    found = stored(counting, rows_until + 10)
    # the first row is that of START + 10: nothing is known of the step before it
    assert found == [None, *[0.0] * (rows_until // 10 - 1), None]


def test_nothing_is_called_zero_in_the_first_hour(counting: Counting, line: Line) -> None:
    meter = rest(counting, line, 1000 + HOUR - 1)
    assert meter.live.rows == ()
    assert power(meter.live, 1000) == (pytest.approx(3600 / (HOUR - 1 - 0.12)), True)
    assert meter.store.last_row is None


def test_a_restart_while_it_rests_leaves_a_gap_and_no_spike(
    counting: Counting, line: Line, make_store: Callable[..., Store]
) -> None:
    pulses(counting, line, 1005, 1015)
    rest(counting, line, 1015 + 5 * HOUR)
    counting.last_turn()
    before = counting.meters["house"].store.last_row
    assert before
    line.clock.now += 100
    meter = Meter("house", line.pin, make_store(), 0.010, START)
    again = Counting([meter], line.clock, Timing(300, 60, 900), lambda *_: None)
    began = line.clock.now
    rest(again, line, int(began) + 3 * HOUR)
    pulses(again, line, began + 3 * HOUR + 5)
    seconds = int(began - 1000 + 3 * HOUR) // 10 * 10
    found = stored(again, seconds)
    gap = [START + 10 * number for number, rate in enumerate(found) if rate is None]
    # from the last row before the end to the first boundary after the new start, and the step before the first row
    first_row = START + (int(began - 1000) // 10 + 1) * 10
    assert gap == [START, *range(before.time, first_row, 10)]
    assert max(rate for rate in found[2:] if rate is not None) <= HALF_HOUR_RATE + ROUNDING
    assert meter.pulses == 3


def test_a_month_of_rest_takes_no_memory(counting: Counting, line: Line, tmp_path: Path) -> None:
    pulses(counting, line, 1005, 1015)

    def memory(days: int) -> tuple[int, int]:
        meter = rest(counting, line, 1015 + days * DAY)
        gc.collect()
        return len(gc.get_objects()), len(meter.live.rows)

    (objects, rows), (objects_later, rows_later) = memory(2), memory(31)
    # a flush is due every 300 s, rows come by the half hour: none wait longer
    assert rows <= 180 + 30
    assert rows_later <= 180 + 30
    assert objects_later - objects < 300
