"""Entries to intervals: lengths of steps, local time, readings of a display."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pytest import approx

from powerpi.csv_forms import Faults, Table, decoded
from powerpi.errors import DataError
from powerpi.intervals import END, Intervals, intervals, is_at_end, timed

BERLIN = ZoneInfo("Europe/Berlin")


def made(text: str, kind: str | None = None, times: str | None = None) -> tuple[Intervals, list[str], list[str]]:
    """The intervals, all notes, and what is said of bad lines."""
    faults, table = Faults(), Table(decoded(io.BytesIO(text.encode())), kind)
    entries, notes = timed(table.entries(faults), BERLIN, faults)
    at_end = is_at_end(table.form) if times is None else times == END
    found = intervals(entries, table.form, BERLIN, at_end, faults)
    return found, [*notes, *found.notes], faults.sentences()


def shown(found: Intervals) -> list[tuple[str, str, float]]:
    """Starts and ends in UTC, without the date where it is the same."""
    return [
        (f"{datetime.fromtimestamp(a, UTC):%m-%d %H:%M}", f"{datetime.fromtimestamp(b, UTC):%m-%d %H:%M}", approx(wh))
        for a, b, wh in found
    ]


def test_a_time_is_the_beginning_of_its_step() -> None:
    found, notes, faults = made("time,kwh\n2026-11-26T10:00,1\n2026-11-26T11:00,2\n2026-11-26T12:00,3\n")
    assert shown(found) == [
        ("11-26 09:00", "11-26 10:00", 1000),
        ("11-26 10:00", "11-26 11:00", 2000),
        ("11-26 11:00", "11-26 12:00", 3000),
    ]
    assert (found.step, notes, faults) == ("hour{s}", [], [])


def test_or_its_end_when_told_or_when_the_heading_says_so() -> None:
    lines = "26.11.2026 10:15;1\n26.11.2026 10:30;2\n"
    wanted = [("11-26 09:00", "11-26 09:15", 1000), ("11-26 09:15", "11-26 09:30", 2000)]
    assert shown(made(f"Zeit;kWh\n{lines}", times=END)[0]) == wanted
    assert shown(made(f"bis;kWh\n{lines}")[0]) == wanted
    assert made(f"bis;kWh\n{lines}")[0].step == "quarter hour{s}"


def test_watts_become_energy() -> None:
    found, _, _ = made("minute,watts\n2026-11-26T10:00,600\n2026-11-26T10:01,1200\n2026-11-26T10:02,0\n")
    assert list(found.watt_hours) == [approx(10), approx(20), 0]


def test_a_gap_stays_a_gap() -> None:
    found, _, _ = made("hour,kwh\n2026-11-26T10:00,1\n2026-11-26T11:00,2\n2026-11-26T15:00,3\n2026-11-26T16:00,3\n")
    assert shown(found)[1:3] == [("11-26 10:00", "11-26 11:00", 2000), ("11-26 14:00", "11-26 15:00", 3000)]


def test_a_value_stands_no_longer_than_up_to_the_next() -> None:
    found, _, _ = made("time,watts\n2026-11-26T10:00,60\n2026-11-26T10:01,60\n2026-11-26T10:01:30,60\n"
                       "2026-11-26T10:02:30,60\n")  # fmt: skip
    assert [end - start for start, end, _ in found] == [60, 30, 60, 60]
    assert list(found.watt_hours) == [1, 0.5, 1, 1]


def test_empty_values_are_unknown_and_counted() -> None:
    found, notes, _ = made("hour,kwh\n2026-11-26T10:00,1\n2026-11-26T11:00,\n2026-11-26T12:00,3\n")
    assert [wh for _, _, wh in found] == [1000, 3000]
    assert notes == ["lines without a value, whose time is unknown: 1"]


def test_the_newest_may_stand_first() -> None:
    down, _, faults = made("hour,kwh\n2026-11-26T12:00,3\n2026-11-26T11:00,2\n2026-11-26T10:00,1\n")
    up, _, _ = made("hour,kwh\n2026-11-26T10:00,1\n2026-11-26T11:00,2\n2026-11-26T12:00,3\n")
    assert shown(down) == shown(up)
    assert faults == []


def test_days_are_local_days() -> None:
    found, _, _ = made("Tag;kWh\n" + "".join(f"{day}.3.2026;24\n" for day in (28, 29, 30)))
    assert shown(found) == [
        ("03-27 23:00", "03-28 23:00", 24000),
        ("03-28 23:00", "03-29 22:00", 24000),  # 23 hours
        ("03-29 22:00", "03-30 22:00", 24000),
    ]
    assert found.step == "day{s}"


@pytest.mark.parametrize(
    ("text", "step", "last"),
    [
        ("month,kwh\n2026-01,1\n2026-02,1\n2026-03,1\n", "month{s}", ("02-28 23:00", "03-31 22:00", 1000)),
        ("time,kwh\n2026-02-01,1\n2026-03-01,1\n", "month{s}", ("02-28 23:00", "03-31 22:00", 1000)),
        ("year,kwh\n2024,1\n2025,1\n", "year{s}", ("12-31 23:00", "12-31 23:00", 1000)),
        ("month,kwh\n2026-03,1\n", "month{s}", ("02-28 23:00", "03-31 22:00", 1000)),
        ("day,kwh\n2026-03-29,1\n", "day{s}", ("03-28 23:00", "03-29 22:00", 1000)),
        ("hour,kwh\n2026-03-29T12:00,1\n", "hour{s}", ("03-29 10:00", "03-29 11:00", 1000)),
        ("week,time,kwh\n,2026-03-23,1\n,2026-03-30,1\n", "value{s} of 7 days", ("03-29 22:00", "04-05 22:00", 1000)),
    ],
)
def test_months_years_and_single_values(text: str, step: str, last: tuple[str, str, float]) -> None:
    found, _, _ = made(text)
    assert (found.step, shown(found)[-1]) == (step, last)


def test_a_single_value_of_no_length_is_refused() -> None:
    with pytest.raises(DataError, match="a single value does not say for how long it stands"):
        made("time,kwh\n2026-11-26T10:00,1\n")


# ---------------------------------------------------------------- the clocks change


def test_the_hour_that_comes_twice_is_told_apart_by_the_order_of_the_file() -> None:
    times = ("01:00", "02:00", "02:00", "03:00")
    found, notes, faults = made("hour,kwh\n" + "".join(f"2026-10-25T{time},1\n" for time in times))
    assert [start for start, _, _ in shown(found)] == ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert (notes, faults) == ([], [])


def test_quarter_hours_of_the_hour_that_comes_twice() -> None:
    hours = [f"2026-10-25T{hour:02d}:{minute:02d},1\n" for hour in (1, 2, 2, 3) for minute in (0, 15, 30, 45)]
    found, _, faults = made("time,kwh\n" + "".join(hours))
    assert [b - a for a, b in zip(found.starts, list(found.starts)[1:], strict=False)] == [900] * 15
    assert faults == []


def test_with_the_newest_first_it_is_the_same() -> None:
    times = ("03:00", "02:00", "02:00", "01:00")
    found, _, faults = made("hour,kwh\n" + "".join(f"2026-10-25T{time},1\n" for time in times))
    assert [start for start, _, _ in shown(found)] == ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert faults == []


def test_values_of_the_hour_that_there_is_not_are_told() -> None:
    lines = "2026-03-29T01:00,1\n2026-03-29T02:00,0\n2026-03-29T03:00,1\n"
    found, notes, _ = made(f"hour,kwh\n{lines}")
    assert [start for start, _, _ in shown(found)] == ["03-29 00:00", "03-29 01:00"]
    assert notes == ["values at local times that there are not, such as 2026-03-29 02:00, are left out: 1"]


def test_a_clock_that_nobody_sets_shows_standard_time() -> None:
    lines = "2026-03-29T01:00,1\n2026-03-29T02:00,2\n2026-03-29T03:00,1\n2026-07-01T12:00,1\n"
    found, notes, _ = made(f"hour,kwh\n{lines}")
    assert [start for start, _, _ in shown(found)] == ["03-29 00:00", "03-29 01:00", "03-29 02:00", "07-01 11:00"]
    assert notes == ["its clock was not set forward in spring: all times are taken as standard time"]


def test_intervals_that_end_in_the_hour_that_comes_twice() -> None:
    text = "from,to,kwh\n2026-10-25T01:00,2026-10-25T02:00,1\n2026-10-25T02:00,2026-10-25T02:00,2\n"
    text += "2026-10-25T02:00,2026-10-25T03:00,3\n"
    assert shown(made(text)[0]) == [
        ("10-24 23:00", "10-25 00:00", 1000),
        ("10-25 00:00", "10-25 01:00", 2000),
        ("10-25 01:00", "10-25 02:00", 3000),
    ]


# ---------------------------------------------------------------- readings


def test_the_energy_between_two_readings_is_their_difference() -> None:
    found, notes, _ = made("time,reading\n2026-11-26T10:00,100\n2026-11-26T11:30,101.5\n2026-11-26T12:00,101.5\n")
    assert shown(found) == [("11-26 09:00", "11-26 10:30", 1500), ("11-26 10:30", "11-26 11:00", 0)]
    assert (found.readings, notes) == (3, [])


def test_a_reading_that_falls_is_a_meter_that_was_replaced() -> None:
    lines = "2026-11-01,5000\n2026-11-02,5010\n2026-11-03,2\n2026-11-04,12\n"
    found, notes, _ = made(f"Datum,Zählerstand\n{lines}")
    assert [wh for _, _, wh in found] == [10000, 10000]
    assert notes == [
        "the reading falls from 5010 to 2 kWh on 2026-11-03 00:00: the meter was replaced, and what it took meanwhile"
        " is unknown"
    ]


def test_readings_far_apart_are_spread_and_that_is_told() -> None:
    found, notes, _ = made("time,reading\n2026-01-01,0\n2026-02-01,310\n2026-02-02,320\n")
    assert [wh for _, _, wh in found] == [310000, 10000]
    assert notes == ["readings more than a day after the one before, whose energy is spread evenly: 1"]


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hour,kwh\n2026-11-26T10:00,1\n2026-11-26T10:00,1\n2026-11-26T11:00,1\n",
         "line 3: its time is not later than that of the line before"),
        ("from,to,kwh\n2026-11-26T10:00,2026-11-26T09:00,1\n2026-11-26T12:00,2026-11-26T13:00,1\n",
         "line 2: it ends before it begins"),
        ("from,to,kwh\n2026-11-26T10:00,2026-11-26T12:00,1\n2026-11-26T11:00,2026-11-26T13:00,1\n",
         "line 3: it begins before the one before it has ended"),
        ("hour,kwh\n2026-11-26T10:00,1\n2026-11-26T11:00Z,1\n2026-11-26T13:00,1\n",
         "line 3: wanted a time without an offset, like the others"),
        ("hour,kwh\n2026-11-26T10:00Z,1\n2026-11-26T11:00,1\n2026-11-26T13:00Z,1\n",
         "line 3: wanted a time with an offset, like the others"),
    ],
)  # fmt: skip
def test_lines_that_do_not_fit_the_others_are_named(text: str, fault: str) -> None:
    _, _, faults = made(text)
    assert faults == [fault]


def test_what_no_meter_can_have_measured_is_a_bad_line() -> None:
    table, faults = Table(decoded(io.BytesIO(b"date,reading\n2026-11-01,12345.6\n2026-11-02,123456789\n"
                                             b"2026-11-03,12365\n2026-11-04,12366\n")), None), Faults()  # fmt: skip
    entries, _ = timed(table.entries(faults), BERLIN, faults)
    found = intervals(entries, table.form, BERLIN, False, faults, most=1_200_000)
    assert faults.sentences() == ["line 3: 123444443.4 kWh in 86400 s cannot be: wanted 28800 kWh at most"]
    assert list(found.watt_hours) == [approx(1000)]
