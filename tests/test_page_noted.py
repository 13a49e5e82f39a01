"""What is said of noted readings, in both languages."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from powerpi.anchors import Anchor, account, interval
from powerpi.gaps import Gap
from powerpi.page_noted import interval_text, noted_details
from powerpi.texts import texts

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = 1_772_359_200  # 2026-03-01 11:00 in Berlin
JUNE = 1_780_300_800  # 2026-06-01 10:00
FIRST, SECOND = Anchor(MARCH, 12_345_600.0, 1000.0), Anchor(JUNE, 12_758_200.0, 413_300.0)
PLAIN = {**texts("en"), "group_sign": ""}


def said(after: Anchor, decimals: int = 1, gaps: tuple[Gap, ...] = (), before: Anchor = FIRST) -> str:
    return interval_text(interval(before, after, 1000, gaps), decimals, PLAIN, BERLIN).replace("\u00a0", " ")


def test_what_is_missing_is_told_as_a_share_and_in_pulses() -> None:
    # 300 of 412 600 pulses: 0.0727 %
    assert said(SECOND) == ("since 2026-03-01: 412.3 kWh counted, 412.6 on the meter, 0.07 % missing (300 pulses)")


def test_too_many_are_told_as_well() -> None:
    # 8 kWh more than 412.6: 1.94 %
    assert said(SECOND._replace(pulses=421_600.0)) == (
        "since 2026-03-01: 420.6 kWh counted, 412.6 on the meter, 1.9 % too many (8000 pulses)"
    )


@pytest.mark.parametrize(
    ("pulses", "decimals", "exact"),
    [(413_501.0, 1, True), (413_499.0, 1, False), (413_599.5, 3, True), (413_598.5, 3, False), (412_601.0, 0, True)],
)
def test_less_than_the_last_digit_of_the_display_is_no_difference(pulses: float, decimals: int, exact: bool) -> None:
    assert said(SECOND._replace(pulses=pulses), decimals).endswith("as exact as the display tells") is exact


def test_pulses_without_any_energy_on_the_meter_have_no_share() -> None:
    after = Anchor(JUNE, FIRST.watt_hours, 6000.0)
    assert said(after) == "since 2026-03-01: 5.0 kWh counted, 0.0 on the meter, 5000 pulses too many"


def test_what_nobody_counted_in_between_is_told() -> None:
    assert said(SECOND, gaps=(Gap(MARCH - 60, MARCH + 3 * 3600, "stopped"),)).endswith(
        "0.07 % missing (300 pulses); 3 h unknown"
    )
    assert said(SECOND, gaps=(Gap(MARCH, MARCH + 59, "stopped"),)).endswith("(300 pulses)")


def test_what_began_lately_is_told_with_its_time_of_day() -> None:
    assert said(Anchor(MARCH + 7200, 12_346_600.0, 1900.0)).startswith("since 2026-03-01 11:00: 0.9 kWh counted")


def test_page_tells_the_last_reading_and_how_well_was_counted_since_the_first() -> None:
    told = account((FIRST, SECOND), 1000)
    assert noted_details(told, texts("en"), BERLIN) == [
        ("Last noted reading", "12,758.2\u00a0kWh, 2026-06-01 10:00"),
        ("Counted since 2026-03-01", "412.3 of 412.6\u00a0kWh"),
        ("How well", "0.07\u00a0% missing (300 pulses)"),
    ]
    assert noted_details(told, texts("de"), BERLIN) == [
        ("Letzte Ablesung", "12\u202f758,2\u00a0kWh, 01.06.2026 10:00"),
        ("Gezählt seit 01.03.2026", "412,3 von 412,6\u00a0kWh"),
        ("Wie genau", "es fehlen 0,07\u00a0% (300 Impulse)"),
    ]


def test_page_says_nothing_of_what_was_not_noted() -> None:
    assert noted_details(account((), 1000), texts("en"), BERLIN) == []
    assert [name for name, _ in noted_details(account((FIRST,), 1000), texts("en"), BERLIN)] == ["Last noted reading"]
