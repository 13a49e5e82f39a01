"""Noted readings: the file, what the display shows by them, and how well was counted between two."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from powerpi import anchors, units
from powerpi.anchors import Anchor, Noted, read, write
from powerpi.gaps import Gap

FIRST = Anchor(1_700_000_000, 12_345_600.0, 1000.0)
SECOND = Anchor(1_701_000_000, 12_758_200.0, 413_300.0)  # 412.6 kWh later, of which 412.3 were counted
CHANGED = Anchor(1_702_000_000, 300.0, 413_400.25, new_meter=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "house.readings"


# ---------------------------------------------------------------- the file


def test_readings_are_kept_beside_the_rrd_a_line_each(path: Path) -> None:
    assert anchors.path_of(path.parent / "house.rrd") == path
    assert write(path, [CHANGED, FIRST], damaged=False) == (FIRST, CHANGED)
    assert path.read_text() == (
        "1700000000 12345600.0 1000.0 same_meter\n1702000000 300.0 413400.25 new_meter\n"  # oldest first
    )
    assert read(path) == ((FIRST, CHANGED), False)
    assert path.stat().st_mode & 0o777 == 0o640


def test_every_number_comes_back_to_the_last_bit(path: Path) -> None:
    chance = random.Random(5)
    made = [Anchor(1000 + n, chance.uniform(0, 1e11), chance.uniform(-1e9, 1e11), n == 3) for n in range(200)]
    write(path, made, damaged=False)
    assert read(path) == (tuple(made), False)


def test_without_a_file_nothing_is_noted(path: Path) -> None:
    assert read(path) == ((), False)
    assert (Noted(path).all, Noted(path).notes) == ((), [])
    assert not path.exists()


def test_torn_and_foreign_lines_are_passed_over_and_told(path: Path) -> None:
    path.write_bytes(
        b"1700000000 12345600.0 1000.0 same_meter\nnonsense\n\xff\xfe\n1 2 3\n1 2 3 other_meter\nx 2 3 same_meter\n"
        b"1 nan 3 same_meter\n1 2 inf same_meter\n1 -2 3 same_meter\n9999999999999 2 3 same_meter\n"
        b"1702000000 300.0 413400.25 new_meter\n1703000000 12 1"
    )
    assert read(path) == ((FIRST, CHANGED), True)


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.write_text("by a stranger\n")], ids=["folder", "text"]
)
def test_a_damaged_file_is_set_aside_by_the_next_reading_and_never_deleted(
    path: Path, make: Callable[[Path], object]
) -> None:
    make(path)
    noted = Noted(path)
    assert noted.all == ()
    [note] = noted.notes
    assert str(path) in note
    noted.put([FIRST])
    assert noted.all == (FIRST,)
    assert read(path) == ((FIRST,), False)
    [kept] = path.parent.glob("house.readings.damaged-*")
    assert kept.is_dir() or kept.read_text() == "by a stranger\n"
    noted.put([FIRST, SECOND])  # and nothing more is set aside
    assert len(list(path.parent.glob("house.readings.damaged-*"))) == 1


def test_what_cannot_be_stored_is_not_noted(tmp_path: Path) -> None:
    noted = Noted(tmp_path / "away" / "house.readings")
    with pytest.raises(FileNotFoundError):
        noted.put([FIRST])
    assert noted.all == ()


def test_a_later_reading_of_the_same_time_takes_the_place_of_the_first(path: Path) -> None:
    right = FIRST._replace(watt_hours=12_345_700.0)
    assert write(path, [FIRST, right], damaged=False) == (right,)


def test_the_last_reading_of_a_meter_and_the_first_of_the_next_may_have_one_time() -> None:
    last = CHANGED._replace(watt_hours=13_000_000.0, new_meter=False)
    assert anchors.merged([CHANGED, last]) == (last, CHANGED)


# ---------------------------------------------------------------- the display


def test_without_a_reading_the_configuration_says_what_the_display_shows() -> None:
    # 2500 pulses at 500 imp/kWh are 5 kWh, on top of 7.25
    assert anchors.watt_hours((), 2500, 500, 7.25) == 12_250
    assert anchors.offset_kwh((), 2500, 500, 7.25) == 7.25


def test_from_the_newest_reading_on_the_pulses_since_are_added() -> None:
    # 250 pulses after the second one, 0.5 kWh at 500 imp/kWh
    assert anchors.watt_hours((FIRST, SECOND), 413_550, 500, 7.25) == pytest.approx(12_758_700)
    # of the new meter that showed 0.3 kWh: 99.75 pulses, 0.09975 kWh at 1000 imp/kWh
    assert anchors.watt_hours((FIRST, SECOND, CHANGED), 413_500, 1000, 7.25) == pytest.approx(399.75)


def test_the_offset_and_the_pulses_give_the_same_as_the_display() -> None:
    # the counter that has 413 kWh more than the new meter: an offset below zero
    assert anchors.offset_kwh((FIRST, CHANGED), 413_500, 1000, 0) == pytest.approx(0.3 - 413.40025)


def test_a_reading_between_two_pulses_stands_until_the_second_one() -> None:
    noted = (Anchor(1_700_000_000, 100_000.0, 50.75),)
    # one pulse is 100 Wh at 10 imp/kWh: it was read three quarters on the way to the 51st
    shown = [anchors.watt_hours(noted, pulses, 10, 0) for pulses in (50, 51, 52)]
    assert shown == pytest.approx([100_000, 100_025, 100_125])
    # it was read when the 51st was overdue: a whole pulse on the way
    noted = (Anchor(1_700_000_000, 100_000.0, 51.0),)
    assert [anchors.watt_hours(noted, pulses, 10, 0) for pulses in (50, 51, 52)] == [100_000, 100_000, 100_100]
    # a counter that lost pulses after all is behind, and the display with it
    assert anchors.watt_hours(noted, 48, 10, 0) == pytest.approx(100_000 - 300)


def test_the_display_never_goes_back_while_nothing_is_missing() -> None:
    """Readings of a true meter, whole digits only, at any moment: at every pulse the display is at least as before."""
    chance = random.Random(7)
    for _ in range(200):
        imp_per_kwh = chance.choice([10, 75, 500, 1000, 10_000])
        start = chance.uniform(0, 1e8)  # Wh on the meter when the counter stood at 0
        noted: tuple[Anchor, ...] = ()
        shown, taken = -1.0, 0.0
        for pulses in range(40):
            now = anchors.watt_hours(noted, pulses, imp_per_kwh, start / 1000)
            assert now >= shown - 1e-6
            shown = now
            if chance.random() < 0.2:
                taken = max(taken, pulses + chance.random())  # the true counter when somebody reads the display
                truth = start + units.watt_hours(taken, imp_per_kwh)
                noted = anchors.merged([*noted, Anchor(1_700_000_000 + pulses, truth, taken)])
                now = anchors.watt_hours(noted, pulses, imp_per_kwh, start / 1000)
                assert now >= shown - 1e-6
                assert now == pytest.approx(truth)
                shown = now


# ---------------------------------------------------------------- how well it counts


def test_what_is_missing_between_two_readings() -> None:
    found = anchors.interval(FIRST, SECOND, 1000)
    assert (found.since, found.until) == (FIRST.time, SECOND.time)
    assert (found.counted_watt_hours, found.shown_watt_hours) == (412_300, 412_600)
    assert found.missing_pulses == pytest.approx(300)
    assert found.missing_share == pytest.approx(300 / 412_600)
    assert found.unknown_seconds == 0


def test_too_many_are_less_than_none_missing() -> None:
    # 412 600 pulses at 800 imp/kWh would be 515.375 kWh of 412.6
    found = anchors.interval(FIRST, SECOND, 800)
    assert found.missing_pulses == pytest.approx(412_600 * 0.8 - 412_300)
    assert found.missing_share == pytest.approx((412.6 - 515.375) / 412.6)


def test_a_counter_that_was_lost_says_nothing_of_how_well_it_counts() -> None:
    before, first = Anchor(1000, 12_345_600.0, 12_345_600.0), Anchor(2000, 1e7, 3.0)
    last = Anchor(3000, 2e7, 10_000_003.0)
    again = [before._replace(time=500, watt_hours=12e6, pulses=12e6), before, first, last]
    found = anchors.intervals(again, 1000.0)
    assert [interval is None for interval in found] == [True, False, True, False]
    assert found[3]
    assert found[3].missing_share == 0
    assert anchors.account(again, 1000.0).whole is None
    assert anchors.account(again[2:], 1000.0).whole == found[3]


def test_a_counter_that_was_lost_is_told() -> None:
    noted = [Anchor(1000, 12_345_600.0, 12_345.6)]
    assert anchors.lost_notes(noted, 3000) == [
        "the counter is at 3000 pulses, lower than the 12346 at the newest reading: the display is shown too low;"
        " restore a backup, or note a reading"
    ]
    assert anchors.lost_notes(noted, 12_345) == []  # the pulse of which a part was under way did not end
    assert anchors.lost_notes(noted, 12_344) != []
    assert anchors.lost_notes([], 0) == []


def test_a_display_that_has_not_moved_has_no_share() -> None:
    assert anchors.interval(FIRST, FIRST._replace(time=1_700_000_100, pulses=1005), 1000).missing_share is None


def test_gaps_are_counted_as_far_as_they_lie_in_between() -> None:
    gaps = [Gap(50, 120, "stopped"), Gap(150, 160, "disk"), Gap(190, 300, "ended"), Gap(400, None, "stopped")]
    assert anchors.unknown_seconds(gaps, 100, 200) == 20 + 10 + 10
    assert anchors.unknown_seconds(gaps, 300, 350) == 0
    assert anchors.unknown_seconds(gaps, 350, 450) == 50  # it lasts


def test_a_new_meter_begins_a_series_of_its_own() -> None:
    third = Anchor(1_703_000_000, 100_300.0, 513_400.25)
    all_of_them = (FIRST, SECOND, CHANGED, third)
    assert anchors.series(all_of_them) == [(FIRST, SECOND), (CHANGED, third)]
    found = anchors.intervals(all_of_them, 1000)
    assert (found[0], found[2]) == (None, None)
    assert [each.counted_watt_hours for each in found if each] == [412_300, 100_000]


def test_the_account_is_of_the_meter_that_is_there_now() -> None:
    assert anchors.account((), 1000) == ((), None, 0)
    told = anchors.account((FIRST, SECOND, CHANGED), 1000)
    assert told.whole is None  # there is one reading of it
    assert [reading.time for reading in told.readings] == [CHANGED.time, SECOND.time, FIRST.time]
    assert [reading.counted_watt_hours for reading in told.readings] == [None, 412_300, None]
    third, fourth = Anchor(1_703_000_000, 50_300.0, 463_000.0), Anchor(1_704_000_000, 100_300.0, 513_000.25)
    told = anchors.account((FIRST, SECOND, CHANGED, third, fourth), 1000, [Gap(1_703_000_000, 1_703_000_600, "ended")])
    assert told.whole
    assert (told.whole.since, told.whole.until) == (CHANGED.time, fourth.time)
    # 100 kWh on the meter, 99 600 pulses
    assert told.whole.missing_pulses == pytest.approx(400)
    assert told.whole.unknown_seconds == 600


@pytest.mark.parametrize(
    ("watt_hours", "decimals"), [(12_345_000, 0), (12_345_600, 1), (12_345_670, 2), (12_345_678, 3), (0, 0)]
)
def test_decimals_are_those_of_the_readings(watt_hours: float, decimals: int) -> None:
    assert anchors.decimals([Anchor(1, watt_hours, 0.0)]) == decimals
    assert anchors.decimals([Anchor(1, watt_hours, 0.0), Anchor(2, 12_345_678, 0.0)]) == 3
    assert anchors.decimals([]) == 0
