"""Periods: local days and months, above all where the clocks change. Expected times by `date -u -d @...`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpi.periods import PERIODS, WAITING_SECONDS, Period, day_start, known_until, midnights, month_start, span_text

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "UTC"]


def utc(text: str) -> int:
    """Unix seconds of a time such as 2024-03-31 22:00, in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("time", "days", "start"),
    [
        ("2024-01-15 12:00", 0, "2024-01-14 23:00"),  # winter: UTC+1
        ("2024-07-15 12:00", 0, "2024-07-14 22:00"),  # summer: UTC+2
        ("2024-01-14 23:00", 0, "2024-01-14 23:00"),  # midnight belongs to the day it begins
        ("2024-01-14 22:59:59", 0, "2024-01-13 23:00"),
        ("2024-01-15 12:00", -15, "2023-12-30 23:00"),
        ("2024-01-15 12:00", 1, "2024-01-15 23:00"),
    ],
)
def test_day_begins_at_local_midnight(time: str, days: int, start: str) -> None:
    assert day_start(utc(time), BERLIN, days) == utc(start)


@pytest.mark.parametrize(
    ("date", "hours"), [("2024-03-31 12:00", 23), ("2024-10-27 12:00", 25), ("2024-06-01 12:00", 24)]
)
def test_days_on_which_the_clocks_change_have_23_and_25_hours(date: str, hours: int) -> None:
    noon = utc(date)
    assert day_start(noon, BERLIN, 1) - day_start(noon, BERLIN) == hours * 3600


def test_a_day_whose_midnight_is_skipped_begins_at_its_first_instant() -> None:
    # Brazil, 2018-11-04: 00:00 (UTC-3) became 01:00 (UTC-2) at 03:00 UTC
    zone = ZoneInfo("America/Sao_Paulo")
    assert day_start(utc("2018-11-04 12:00"), zone) == utc("2018-11-04 03:00")


def test_a_day_whose_midnight_comes_twice_begins_at_the_first() -> None:
    # Cuba, 2024-11-03: 01:00 (UTC-4) became 00:00 (UTC-5) at 05:00 UTC; the first midnight was at 04:00 UTC
    zone = ZoneInfo("America/Havana")
    assert day_start(utc("2024-11-03 12:00"), zone) == utc("2024-11-03 04:00")


@pytest.mark.parametrize(
    ("time", "months", "start"),
    [
        ("2024-03-31 21:59", 0, "2024-02-29 23:00"),
        ("2024-03-31 22:00", 0, "2024-03-31 22:00"),  # 1 April, 00:00 in summer time
        ("2024-01-31 12:00", 1, "2024-01-31 23:00"),  # no 31 February in between
        ("2024-01-15 12:00", -1, "2023-11-30 23:00"),
        ("2024-01-15 12:00", -13, "2022-11-30 23:00"),
        ("2024-12-15 12:00", 1, "2024-12-31 23:00"),
    ],
)
def test_month_begins_at_local_midnight_of_its_first(time: str, months: int, start: str) -> None:
    assert month_start(utc(time), BERLIN, months) == utc(start)


@given(st.integers(0, 2**32 - 1), st.sampled_from(ZONES))
def test_every_instant_lies_in_its_own_day_and_month(time: int, name: str) -> None:
    zone = ZoneInfo(name)
    assert day_start(time, zone) <= time < day_start(time, zone, 1)
    assert month_start(time, zone) <= time < month_start(time, zone, 1)


# ---------------------------------------------------------------- the bars


def test_the_last_bar_is_the_running_month() -> None:
    bounds = midnights(PERIODS["year"], utc("2024-03-31 12:00"), BERLIN)
    assert len(bounds) == 13
    assert bounds[0] == utc("2023-03-31 22:00")  # 1 April 2023
    assert bounds[-2:] == [utc("2024-02-29 23:00"), utc("2024-03-31 22:00")]


def test_a_month_has_31_daily_bars_of_23_to_25_hours() -> None:
    bounds = midnights(PERIODS["month"], utc("2024-04-10 12:00"), BERLIN)
    lengths = [end - start for start, end in pairwise(bounds)]
    assert len(lengths) == 31
    assert sorted(lengths)[:2] == [23 * 3600, 24 * 3600]
    assert bounds[-1] == utc("2024-04-10 22:00")


def test_at_midnight_the_last_bar_is_the_day_that_has_just_ended() -> None:
    assert midnights(PERIODS["month"], utc("2024-01-15 23:00"), BERLIN)[-1] == utc("2024-01-15 23:00")
    assert midnights(PERIODS["month"], utc("2024-01-15 23:00:10"), BERLIN)[-1] == utc("2024-01-16 23:00")


@pytest.mark.parametrize("period", PERIODS.values(), ids=lambda period: period.name)
def test_a_period_is_a_curve_or_bars_and_its_pictures_stay_fresh_for_less_than_it_lasts(period: Period) -> None:

    assert (period.bars is None) == (period.bar_count == 0)
    assert 0 < period.fresh_seconds < period.seconds


@pytest.mark.parametrize("name", ["month", "quarter", "year"])
def test_bars_span_about_the_length_that_the_period_states(name: str) -> None:
    period = PERIODS[name]
    bounds = midnights(period, utc("2024-01-15 12:00"), BERLIN)
    assert bounds[-1] - bounds[0] == pytest.approx(period.seconds, rel=0.01)


# ---------------------------------------------------------------- where what is known ends


def test_rows_that_wait_for_a_pulse_end_the_graph_at_the_newest() -> None:
    assert known_until(1000, 1000 + WAITING_SECONDS) == 1000


def test_rows_that_are_missing_leave_a_gap_up_to_now() -> None:
    assert known_until(1000, 1000 + WAITING_SECONDS + 0.5) == 1000 + WAITING_SECONDS


# ---------------------------------------------------------------- lengths of time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (89, "1 min"),
        (1500, "25 min"),
        (3599, "1 h"),  # never "60 min"
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (90_000, "25 h"),
        (259_199, "72 h"),
        (259_200, "3 d"),
        (792_000, "9 d 4 h"),
        (345_599, "4 d"),  # never "24 h"
    ],
)
def test_lengths_of_time_are_short(seconds: int, text: str) -> None:
    assert span_text(seconds) == text
