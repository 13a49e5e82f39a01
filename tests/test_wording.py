"""Numbers and times in the signs of both languages, figures worked out by hand."""

from __future__ import annotations

import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpi.texts import LANGUAGES, texts
from powerpi.wording import UNKNOWN, kwh, local, moment, number, watts_text

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
EN, DE = texts("en"), texts("de")
MORNING = 1_783_232_160.0  # 2026-07-05 06:16 UTC: 08:16 in Berlin, 15:16 in Tokyo
NARROW = "\u202f"


@pytest.mark.parametrize(
    ("value", "decimals", "english", "german"),
    [
        (0.0, 0, "0", "0"),
        (-0.04, 1, "-0.0", "-0,0"),
        (0.5, 0, "0", "0"),  # half to even, as everywhere in Python
        (1.25, 1, "1.2", "1,2"),
        (999.0, 0, "999", "999"),
        (9999.0, 0, "9999", "9999"),
        (9999.99, 1, "10,000.0", f"10{NARROW}000,0"),
        (10_000.0, 0, "10,000", f"10{NARROW}000"),
        (1_234_567.891, 2, "1,234,567.89", f"1{NARROW}234{NARROW}567,89"),
        (-12_345.0, 0, "-12,345", f"-12{NARROW}345"),
        (12.0, 3, "12.000", "12,000"),
    ],
)
def test_number_has_the_signs_of_the_language(value: float, decimals: int, english: str, german: str) -> None:
    assert number(value, decimals, EN) == english
    assert number(value, decimals, DE) == german


@pytest.mark.parametrize("words", [EN, DE])
def test_unknown_is_a_dash_and_never_a_zero(words: dict[str, str]) -> None:
    assert number(None, 2, words) == watts_text(None, words) == kwh(None, 1, words) == UNKNOWN == "–"


@given(st.floats(-1e12, 1e12), st.integers(0, 3))
def test_a_german_number_is_an_english_one_in_other_signs(value: float, decimals: int) -> None:
    english = number(value, decimals, EN)
    assert number(value, decimals, DE) == english.translate({ord(","): NARROW, ord("."): ","})
    assert math.isclose(float(english.replace(",", "")), value, abs_tol=0.51 * 10**-decimals)


@pytest.mark.parametrize(
    ("watts", "english", "german"),
    [
        (0.0, "0.0", "0,0"),
        (9.949, "9.9", "9,9"),
        (9.95, "10", "10"),  # never "9.9" and then "10.0"
        (10.0, "10", "10"),
        (2111.4, "2111", "2111"),
        (36_000.0, "36,000", f"36{NARROW}000"),
    ],
)
def test_power_below_ten_watts_has_a_decimal(watts: float, english: str, german: str) -> None:
    assert watts_text(watts, EN) == english
    assert watts_text(watts, DE) == german


@pytest.mark.parametrize(
    ("watt_hours", "decimals", "english", "german"),
    [(0.0, 1, "0.0", "0,0"), (18_420.0, 1, "18.4", "18,4"), (12_345_678.0, 2, "12,345.68", f"12{NARROW}345,68")],
)
def test_energy_is_shown_in_kwh(watt_hours: float, decimals: int, english: str, german: str) -> None:
    assert kwh(watt_hours, decimals, EN) == english
    assert kwh(watt_hours, decimals, DE) == german


def test_local_time_is_that_of_the_zone() -> None:
    assert local(MORNING, BERLIN, "%F %T") == "2026-07-05 08:16:00"
    assert local(MORNING, TOKYO, "%F %T") == "2026-07-05 15:16:00"
    assert local(MORNING + 0.999, BERLIN, "%T") == "08:16:00"


@pytest.mark.parametrize(
    ("time", "english", "german"),
    [
        (MORNING, "08:16", "08:16"),
        (MORNING - (8 * 60 + 16) * 60, "00:00", "00:00"),
        (MORNING - (8 * 60 + 16) * 60 - 1, "2026-07-04 23:59", "04.07.2026 23:59"),
        (MORNING + 16 * 3600, "2026-07-06 00:16", "06.07.2026 00:16"),
        (MORNING - 365 * 86400, "2025-07-05 08:16", "05.07.2025 08:16"),
    ],
)
def test_moment_of_another_day_has_its_date(time: float, english: str, german: str) -> None:
    assert moment(time, EN, BERLIN, MORNING) == english
    assert moment(time, DE, BERLIN, MORNING) == german


def test_whether_it_is_today_is_a_matter_of_the_zone() -> None:
    evening = MORNING - 9 * 3600  # 23:16 of the day before in Berlin, 06:16 of the same day in Tokyo
    assert moment(evening, EN, TOKYO, MORNING) == "06:16"
    assert moment(evening, EN, BERLIN, MORNING) == "2026-07-04 23:16"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_hour_that_comes_twice_is_shown_as_the_clock_on_the_wall_shows_it(language: str) -> None:
    first = 1_792_888_200.0  # 2026-10-25 00:30 UTC, 02:30 in summer time; an hour later it is 02:30 again
    assert (
        moment(first, texts(language), BERLIN, first) == moment(first + 3600, texts(language), BERLIN, first) == "02:30"
    )
