"""What is typed on the command line: readings with point or comma, local times at the changes of the clock."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from powerpi import typed

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "watt_hours"),
    [
        ("12345.6", 12_345_600),
        ("12345,6", 12_345_600),
        ("12345", 12_345_000),
        ("12345.678", 12_345_678),  # a thousand would need a sign after the first two digits as well
        ("012345,678", 12_345_678),  # as it stands on the display
        ("000.678", 678),
        ("0", 0),
        ("0.1", 100),
        ("123.4560", 123_456),
        ("99999999", 99_999_999_000),
        (" 7.5 ", 7_500),
    ],
)
def test_a_reading_is_typed_with_a_point_or_a_comma(text: str, watt_hours: float) -> None:
    assert typed.reading(text) == watt_hours


@pytest.mark.parametrize("text", ["12.345", "12,345", "1.000", "999.999"])
def test_what_may_be_a_thousand_is_asked_for_again(text: str) -> None:
    digits = text.replace(".", "").replace(",", "")
    with pytest.raises(
        ValueError, match=rf"^'{text}' may be {text} kWh or {digits} kWh: wanted {text}0 .* or {digits}$"
    ):
        typed.reading(text)
    assert typed.reading(f"{text}0") * 1000 == typed.reading(digits)


@pytest.mark.parametrize(
    "text", ["", "-5", "1.234,5", "1,234.5", "1e5", "nan", "inf", "12 345", "1_000", "٣", "0x10", "5 kWh", "1.23456"]
)
def test_what_is_no_reading_is_refused_with_what_is_wanted(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no reading: wanted kWh as on the display, such as 12345.6 or 12345,6"):
        typed.reading(text)


@pytest.mark.parametrize("text", ["99999999.5", "100000000"])
def test_more_than_a_display_shows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted at most 99999999 kWh$"):
        typed.reading(text)


def test_a_very_long_text_is_not_told_back_whole() -> None:
    with pytest.raises(ValueError, match=r"is no reading") as told:
        typed.reading("9" * 10_000)
    assert len(str(told.value)) < 200


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-26T18:30", 1_795_714_200),  # 17:30 UTC
        ("2026-11-26 18:30", 1_795_714_200),
        ("2026-11-26T18:30:05", 1_795_714_205),
        ("2026-11-26T18:30Z", 1_795_717_800),
        ("2026-11-26T18:30+01:00", 1_795_714_200),
        ("2026-07-26T18:30", 1_785_083_400),  # summer: 16:30 UTC
        ("2026-10-25T02:30+02:00", 1_792_888_200),  # the first of two
        ("2026-10-25T02:30+01:00", 1_792_891_800),
    ],
)
def test_a_time_is_of_the_zone_or_has_an_offset(text: str, time: int) -> None:
    assert typed.unix_time(text, BERLIN) == time


def test_a_time_that_comes_twice_is_asked_for_with_its_offset() -> None:
    with pytest.raises(
        ValueError,
        match=r"^'2026-10-25 02:30' comes twice in Europe/Berlin: wanted it with its offset,"
        r" 2026-10-25T02:30:00\+02:00 or 2026-10-25T02:30:00\+01:00$",
    ):
        typed.unix_time("2026-10-25 02:30", BERLIN)


def test_a_time_that_the_clocks_skip_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"^'2026-03-29 02:30' does not exist in Europe/Berlin: the clocks were put"):
        typed.unix_time("2026-03-29 02:30", BERLIN)
    assert typed.unix_time("2026-03-29 03:00", BERLIN) - typed.unix_time("2026-03-29 01:59", BERLIN) == 60


@pytest.mark.parametrize("text", ["", "yesterday", "18:30", "2026-02-30 10:00", "2026-11-26T25:00", "20261126T1830"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time: wanted a date and a time such as 2026-11-26T18:30"):
        typed.unix_time(text, BERLIN)


def test_a_date_alone_is_not_enough() -> None:
    with pytest.raises(ValueError, match=r"^'2026-11-26' is a day: wanted a date and a time"):
        typed.unix_time("2026-11-26", BERLIN)
