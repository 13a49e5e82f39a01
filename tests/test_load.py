"""The made-up household: always the same, never twice the same, and plausible."""

from datetime import date, timedelta
from itertools import pairwise
from random import Random
from statistics import mean

import pytest

from powerpi.load import STEPS_PER_DAY, Cooler, Day, Household, light

YEAR = [date(2023, 1, 1) + timedelta(days=day) for day in range(365)]
HOUR = 360  # steps
SEEDS = (1, 2, 3)


def kwh(watts):
    return sum(watts) * 10 / 3_600_000


def home_days(house, days=YEAR):
    return [day for day in days if not house.away(day) and not house.away(day - timedelta(days=1))]


def mean_watts(house, days, from_hour, to_hour):
    return mean(mean(house.day_watts(day)[int(from_hour * HOUR) : int(to_hour * HOUR)]) for day in days)


def test_day_is_the_same_in_whatever_order_days_are_asked_for():
    forwards, backwards = Household(7), Household(7)
    days = YEAR[60:75]
    there = [forwards.day_watts(day) for day in days]
    back = [backwards.day_watts(day) for day in reversed(days)]
    assert there == back[::-1]


def test_another_seed_is_another_house():
    assert Household(1).day_watts(YEAR[0]) != Household(2).day_watts(YEAR[0])


def test_no_two_days_of_a_year_are_alike():
    house = Household(1)
    assert len({tuple(house.day_watts(day)) for day in YEAR}) == 365


@pytest.mark.parametrize("seed", SEEDS)
def test_year_of_a_family_is_2500_to_4500_kwh_with_peaks_of_4_to_8_kw(seed):
    house = Household(seed)
    days = [house.day_watts(day) for day in YEAR]
    assert 2500 < sum(map(kwh, days)) < 4500
    assert 4000 < max(map(max, days)) < 8000
    assert all(len(day) == STEPS_PER_DAY for day in days)
    assert min(map(min, days)) > 50


@pytest.mark.parametrize("seed", SEEDS)
def test_every_night_draws_100_to_200_watts(seed):
    house = Household(seed)
    assert all(100 < mean_watts(house, [day], 2, 5) < 200 for day in YEAR)


def test_winter_takes_more_than_summer():
    house = Household(1)
    january, june = home_days(house, YEAR[:31]), home_days(house, YEAR[151:181])
    assert mean_watts(house, january, 0, 24) > 1.2 * mean_watts(house, june, 0, 24)


def test_light_comes_on_in_the_afternoon_in_winter_and_late_in_summer():
    def evening_hours(winter):
        day = Day(Random(1), weekend=False, winter=winter, wake_hour=6.3, bed_hour=23.0)
        return [run.start / HOUR for run in light(day) if run.start > 12 * HOUR]

    assert 16 <= min(evening_hours(1.0)) <= max(evening_hours(1.0)) < 17.5
    assert 21 <= min(evening_hours(0.0)) <= max(evening_hours(0.0)) < 22


def test_weekday_noon_is_empty_and_weekend_noon_is_cooked_for():
    house = Household(1)
    days = home_days(house)
    weekend, weekday = ([d for d in days if (d.weekday() >= 5) == free] for free in (True, False))
    assert mean_watts(house, weekend, 11.5, 13) > 2 * mean_watts(house, weekday, 11.5, 13)


@pytest.mark.parametrize("seed", SEEDS)
def test_holiday_is_two_weeks_in_a_row_in_july_and_august(seed):
    house = Household(seed)
    summer = [day for day in YEAR if day.month in (7, 8)]
    assert any(all(map(house.away, summer[first : first + 14])) for first in range(len(summer) - 13))
    assert 14 <= sum(map(house.away, YEAR)) < 40


def test_away_only_base_fridge_and_freezer_run():
    house = Household(1)
    second_away = [after for before, after in pairwise(YEAR) if house.away(before) and house.away(after)]
    assert all(max(house.day_watts(day)) < 110 + 85 + 105 + 30 for day in second_away)
    assert all(100 < mean_watts(house, [day], 0, 24) < 200 for day in second_away)


def test_fridge_runs_on_over_midnight():
    # cycles of 250 steps, each 100 late and on for 80 + 100 // 2 = 130: 8640 = 34 x 250 + 140, so the last cycle
    # of the day runs from step 8500 + 100 to 8730, 90 steps of it after midnight
    fridge = Cooler(85, 250, 80, [100])
    evening, night = list(fridge.runs(0))[-1], next(fridge.runs(STEPS_PER_DAY))
    assert evening == (8600, 130, 85)
    assert night == (-40, 130, 85)


def test_load_is_continuous_over_midnight_when_nobody_is_up():
    # at midnight of a day nobody begins anything: whatever steps there is noise of 15 W each way or a compressor
    house = Household(1)
    pairs = [(house.day_watts(before)[-1], house.day_watts(after)[0]) for before, after in pairwise(YEAR)]
    jumps = [abs(after - before) for before, after in pairs]
    assert sum(jump > 40 for jump in jumps) < 20
