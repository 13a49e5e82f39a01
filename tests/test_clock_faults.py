"""A clock that boots wrong, jumps, steps back or is never set: which rows are made of even pulses, by hand.

A pulse comes every 10 s, at 1005, 1015, ... of CLOCK_MONOTONIC, and 1000 of it is START of the wall clock: the counter
is 1.5 at START + 10, 2.5 at START + 20. A turn follows each pulse, so a step at 1100 is seen by the turn of 1105.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from conftest import START, HandClock, Line
from test_store import rates

from powerpi.building import Fate, build
from powerpi.clock import OLDEST_TIME
from powerpi.config import parse
from powerpi.counting import Counting, Timing
from powerpi.meter import Meter
from powerpi.pulses import Row
from powerpi.readings import Notice, power
from powerpi.store import Store

HOUR, DAY, YEAR = 3600, 86400, 365 * 86400
WAIT = 100  # seconds that an untrusted clock is waited for
Make = Callable[[], Counting]


class Event(NamedTuple):
    """At `time` (CLOCK_MONOTONIC) the wall clock is stepped by so many seconds, and perhaps found to be right."""

    time: float
    step: float
    trusted: bool = False


def even(first: int, last: int, ahead: float = 0) -> list[Row]:
    """Rows at START + `first`, 10 s later, ... START + `last`, made with a wall clock that was so much ahead."""
    return [Row(START + since, (since - ahead + 5) / 10) for since in range(first, last + 1, 10)]


def count(counting: Counting, line: Line, until: int, events: Iterable[Event] = ()) -> list[Row]:
    """A pulse every 10 s and a turn after each until `until` (CLOCK_MONOTONIC); the rows that are shown then."""
    clock, due = line.clock, list(events)
    for time in range(int(clock.now + 5) // 10 * 10 + 5, until, 10):
        while due and due[0].time <= time:
            event = due.pop(0)
            clock.ahead += event.step
            clock.is_trusted = clock.is_trusted or event.trusted
        line.pulse(time)
        counting.turn()
    assert not due
    return list(counting.meters["house"].live.rows)


def close_to(rows: list[Row]) -> list[Row]:
    return [Row(row.time, pytest.approx(row.pulses, abs=1e-5)) for row in rows]


@pytest.fixture
def make_counting(line: Line, clock: HandClock, make_store: Callable[..., Store]) -> Make:
    """Starts the program (again); turns are made by hand, and files written at the end or when asked."""

    def make() -> Counting:
        meter = Meter("house", line.pin, make_store(), 0.010, OLDEST_TIME)
        return Counting([meter], clock, Timing(1e9, 60, WAIT), lambda *_: None)

    return make


@pytest.mark.parametrize(
    ("until", "events", "expected"),
    [
        # the interval from 1095 on lies at the new time: it begins at START + 155 and ends at START + 165
        pytest.param(1200, [Event(1100, 60)], even(10, 90) + even(160, 250, 60), id="a minute ahead"),
        # START + 96 to 106: the row at 100 would touch the one at 90
        pytest.param(1200, [Event(1100, 1)], even(10, 90) + even(110, 190, 1), id="a second ahead"),
        pytest.param(1200, [Event(1100, 7)], even(10, 90) + even(110, 200, 7), id="7 s ahead"),
        pytest.param(1200, [Event(1100, HOUR)], even(10, 90) + even(3700, 3790, HOUR), id="an hour ahead"),
        pytest.param(1200, [Event(1100, YEAR)], even(10, 90) + even(YEAR + 100, YEAR + 190, YEAR), id="a year ahead"),
        pytest.param(1200, [Event(1100, -1)], even(10, 90) + even(110, 190, -1), id="a second back"),
        # what lies at or before START + 100 by the new clock is counted and not drawn
        pytest.param(1200, [Event(1100, -60)], even(10, 90) + even(110, 130, -60), id="a minute back"),
        pytest.param(1500, [Event(1100, -300)], even(10, 90) + even(110, 190, -300), id="five minutes back"),
        pytest.param(4800, [Event(1100, -HOUR)], even(10, 90) + even(110, 190, -HOUR), id="an hour back"),
        pytest.param(
            1300,
            [Event(1100, 60), Event(1150, -60)],
            even(10, 90) + even(160, 200, 60) + even(220, 290),
            id="a minute ahead and back again",
        ),
        pytest.param(1200, [Event(1100, 0.04)], even(10, 190), id="40 ms are no step"),
        # the second 40 ms make 80 ms: seen after 1145, which was drawn up to START + 140
        pytest.param(
            1200, [Event(1100, 0.04), Event(1150, 0.04)], even(10, 140) + even(160, 190, 0.08), id="twice 40 ms are one"
        ),
    ],
)
def test_a_step_of_the_clock_moves_rows_and_bends_none(
    make_counting: Make, line: Line, until: int, events: list[Event], expected: list[Row]
) -> None:
    counting = make_counting()
    assert count(counting, line, until, events) == close_to(expected)
    live = counting.meters["house"].live
    assert live.pulses == (until - 1000) // 10
    assert live.interval_seconds == pytest.approx(10)
    assert power(live, 1000) == (pytest.approx(360), False)


@pytest.mark.parametrize("back", [2 * HOUR, DAY, YEAR])
def test_a_step_back_of_more_than_an_hour_keeps_the_old_file_whole_and_begins_another(
    make_counting: Make, line: Line, tmp_path: Path, back: int
) -> None:
    counting = make_counting()
    count(counting, line, 1300)
    counting.flush(0)  # asked for, not waited for: the next turn writes
    count(counting, line, 1600, [Event(1400, -back)])
    counting.last_turn()
    meter = counting.meters["house"]
    assert meter.pulses == 60
    # rows up to 1390 were made before the step, those after 1300 were still in memory
    [kept] = tmp_path.glob("house.rrd.*")
    assert kept.name.startswith("house.rrd.future-")
    assert rates(kept, START, START + 400) == [None, *[pytest.approx(0.1)] * 38, None]
    # the interval from 1395 on is in the new one: its first row is that of 1400
    begin = START - back + 390
    assert rates(meter.store.rrd, begin, begin + 210) == [None, *[pytest.approx(0.1)] * 19, None]


def test_a_step_back_of_an_hour_from_the_newest_row_on_disk_is_waited_for_too(
    make_counting: Make, line: Line, tmp_path: Path
) -> None:
    counting = make_counting()
    count(counting, line, 1300)
    counting.flush(0)
    rows = count(counting, line, 5100, [Event(1400, -HOUR - 100)])
    # the row at 300 is on disk, those of 310 to 390 were in memory and lay further ahead than an hour
    assert rows == close_to(even(300, 300) + even(320, 390, -HOUR - 100))
    assert list(tmp_path.glob("house.rrd.*")) == []
    counting.last_turn()
    found = rates(counting.meters["house"].store.rrd, START + 290, START + 400)
    assert found == [pytest.approx(0.1), None, None, *[pytest.approx(0.1)] * 7, None]


def test_a_clock_that_was_wrong_for_less_than_a_flush_leaves_the_file_where_it_is(
    make_counting: Make, line: Line, tmp_path: Path
) -> None:
    counting = make_counting()
    count(counting, line, 1300)
    counting.flush(0)
    rows = count(counting, line, 1600, [Event(1400, 30 * DAY), Event(1450, -30 * DAY)])
    # the flush came with the turn of 1305; 1395 was the last pulse at the right time, 1445 the last at the wrong one
    assert rows == close_to(even(300, 390) + even(450, 590))
    assert list(tmp_path.glob("house.rrd.*")) == []
    assert counting.meters["house"].pulses == 60


@pytest.mark.parametrize(
    ("wrong", "events", "expected"),
    [
        pytest.param(-300, [Event(1050, 300, trusted=True)], even(10, 190), id="minutes behind"),
        pytest.param(-HOUR, [Event(1050, HOUR, trusted=True)], even(10, 190), id="an hour behind"),
        pytest.param(-YEAR, [Event(1050, YEAR, trusted=True)], even(10, 190), id="a year behind"),
        pytest.param(YEAR, [Event(1050, -YEAR, trusted=True)], even(10, 190), id="a year ahead"),
        pytest.param(
            -YEAR, [Event(1020, 300), Event(1080, YEAR - 300, trusted=True)], even(10, 190), id="set in two steps"
        ),
        # adopted by the turn of 1105, more than 100 s after the start
        pytest.param(-YEAR, [], even(10 - YEAR, 190 - YEAR, -YEAR), id="never set"),
        pytest.param(
            -YEAR,
            [Event(1150, YEAR, trusted=True)],
            even(10 - YEAR, 140 - YEAR, -YEAR) + even(150, 190),
            id="set after the wait",
        ),
        pytest.param(0, [Event(1150, HOUR)], even(10, 140) + even(3750, 3790, HOUR), id="moved ahead after the wait"),
        # nobody vouches for it: it never goes back, because rows at times that are passed would be refused
        pytest.param(0, [Event(1150, -DAY)], even(10, 190), id="moved back after the wait"),
        pytest.param(0, [Event(1150, -DAY), Event(1180, DAY, trusted=True)], even(10, 190), id="moved back and set"),
    ],
)
def test_a_clock_that_boots_wrong_is_waited_for(
    make_counting: Make, line: Line, wrong: int, events: list[Event], expected: list[Row]
) -> None:
    line.clock.is_trusted = False
    line.clock.ahead += wrong
    counting = make_counting()
    assert count(counting, line, 1200, events) == close_to(expected)
    assert counting.meters["house"].pulses == 20


@pytest.mark.parametrize("behind", [0, 300, HOUR, YEAR])
def test_after_a_reboot_with_a_clock_behind_rows_are_where_they_belong_and_the_time_down_is_unknown(
    make_counting: Make, line: Line, clock: HandClock, behind: int
) -> None:
    counting = make_counting()
    count(counting, line, 1200)
    counting.last_turn()
    clock.now, clock.is_trusted = 1300, False
    clock.ahead -= behind
    counting = make_counting()
    count(counting, line, 1400, [Event(1350, behind, trusted=True)])
    counting.last_turn()
    meter = counting.meters["house"]
    assert meter.pulses == 20 + 10
    # rows from 10 to 190, then from 310 (the first boundary after the first pulse) to 390
    known = [pytest.approx(0.1)]
    assert rates(meter.store.rrd, START + 10, START + 390) == known * 18 + [None] * 12 + known * 8


def test_a_reboot_without_network_goes_on_after_the_last_row(make_counting: Make, line: Line, clock: HandClock) -> None:
    counting = make_counting()
    count(counting, line, 1200)
    counting.last_turn()
    clock.now, clock.is_trusted = 1300, False
    clock.ahead -= YEAR
    counting = make_counting()
    count(counting, line, 1500)
    counting.last_turn()
    # the last row is at START + 190; 1300 becomes START + 210, so the first pulse is at 215 and the last at 405
    known = [pytest.approx(0.1)]
    found = rates(counting.meters["house"].store.rrd, START + 10, START + 400)
    assert found == known * 18 + [None] * 3 + known * 18


@pytest.mark.parametrize("trusted_at", [1000, 1050])
@pytest.mark.parametrize(
    ("ahead", "first"),
    [
        pytest.param(1800, 1820, id="half an hour is waited for"),
        pytest.param(2 * HOUR, 10, id="two hours are set aside"),
        pytest.param(YEAR, 10, id="a year is set aside"),
    ],
)
def test_a_file_that_ends_in_the_future_of_a_right_clock(
    make_counting: Make, line: Line, ahead: int, first: int, trusted_at: int
) -> None:
    store = make_counting().meters["house"].store
    store.write([Row(START + 10, 5.0), Row(START + ahead, 9.0)])
    line.clock.is_trusted = False
    counting = make_counting()
    rows = count(counting, line, 2900, [Event(trusted_at, 0, trusted=True)])
    assert len(list(store.rrd.parent.glob("house.rrd.future-*"))) == (ahead > HOUR)
    # the counter goes on from the 9 pulses that the file knew; nothing that waited for the clock is missing
    expected = [Row(row.time, row.pulses + 9) for row in even(first, 1890)]
    assert [row for row in rows if row.time != START + ahead] == close_to(expected)


def test_never_synchronised_is_said_counted_and_drawn_all_day(line: Line, clock: HandClock, tmp_path: Path) -> None:
    clock.is_trusted = False
    settings = parse(f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\n[meter house]\ngpio = 24\n")
    parts = build(settings, line.factory, clock, Fate())
    line.pin = parts.pins[0]
    house, counting = parts.house, parts.counting
    try:
        count(counting, line, 1000 + 890)
        assert Notice("clock_waiting", None, None) in house.health().warnings
        assert house.meter("house").today_watt_hours is None
        assert house.meter("house").meter_reading_watt_hours == 89
        count(counting, line, 1000 + DAY)
        assert Notice("clock_untrusted", None, None) in house.health().warnings
        # START is 22:13:20: from the first pulse to midnight, 6395 s, and the rest of the day by then
        found = house.meter("house")
        assert found.yesterday_watt_hours == pytest.approx(639.5, abs=1)
        assert found.today_watt_hours == pytest.approx((DAY - 6400) / 10, abs=1)
        assert found.today_unknown_seconds == 0
        count(counting, line, 1000 + DAY + 100, [Event(1000 + DAY, 0, trusted=True)])
        assert not {notice.key for notice in house.health().warnings} & {"clock_waiting", "clock_untrusted"}
    finally:
        parts.reader.close()


@pytest.mark.parametrize(
    ("date", "hours"), [((2024, 3, 30), 24), ((2024, 3, 31), 23), ((2024, 10, 26), 24), ((2024, 10, 27), 25)]
)
def test_a_day_on_which_the_clocks_change_has_the_energy_of_its_hours(
    line: Line, clock: HandClock, tmp_path: Path, date: tuple[int, int, int], hours: int
) -> None:
    """100 W, a pulse every 36 s, from an hour before the day up to the next noon."""
    midnight = datetime(*date, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    clock.ahead = midnight - HOUR - clock.now
    settings = parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = Europe/Berlin\nnetwork_time = no\n[meter house]\ngpio = 24\n"
    )
    parts = build(settings, line.factory, clock, Fate())
    line.pin = parts.pins[0]
    begin = clock.now
    try:
        for number in range((1 + hours + 12) * 100):
            line.pulse(begin + 36 * number + 18)
            parts.counting.turn()
        found = parts.house.meter("house")
        assert found.yesterday_watt_hours == pytest.approx(hours * 100, abs=1e-3)
        assert found.yesterday_unknown_seconds == 0
        assert found.today_watt_hours == pytest.approx(1200, abs=1)
        assert found.today_unknown_seconds == 0
    finally:
        parts.reader.close()
