"""Numbers, times and sentences of the page, figures worked out by hand."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from powerpi.graph import Figures
from powerpi.page import graph_view, notice_text, number, watts_text
from powerpi.periods import PERIODS
from powerpi.pictures import BarFigures
from powerpi.readings import Notice
from powerpi.texts import texts

BERLIN = ZoneInfo("Europe/Berlin")
SUMMER_MORNING = 1_783_232_160.0  # 2026-07-05 06:16 UTC, 08:16 in Berlin


@pytest.mark.parametrize(
    ("value", "decimals", "english", "german"),
    [
        (None, 1, "–", "–"),
        (0.0, 2, "0.00", "0,00"),
        (2111.4, 0, "2111", "2111"),
        (9999.4, 0, "9999", "9999"),
        (9999.6, 0, "10,000", "10\u202f000"),
        (123456.78, 1, "123,456.8", "123\u202f456,8"),
    ],
)
def test_numbers_follow_the_language(value: float | None, decimals: int, english: str, german: str) -> None:
    assert number(value, decimals, texts("en")) == english
    assert number(value, decimals, texts("de")) == german


@pytest.mark.parametrize(
    ("watts", "text"), [(None, "–"), (0.04, "0,0"), (3.42, "3,4"), (9.94, "9,9"), (9.96, "10"), (304.5001, "305")]
)
def test_small_power_has_a_decimal(watts: float | None, text: str) -> None:
    assert watts_text(watts, texts("de")) == text


def alt(period: str, figures: Figures | BarFigures | None, language: str) -> str:
    return graph_view(PERIODS[period], figures, texts(language), BERLIN).alt


def test_peak_of_a_day_has_its_time_and_of_a_week_its_date_too() -> None:
    figures = Figures(304.2, 2111.0, SUMMER_MORNING, 0, 658.0)
    assert alt("day", figures, "de") == "Leistung der letzten 24 Stunden: Mittel 304 W, Spitze 2111 W um 08:16"
    assert alt("week", figures, "en") == "Power of the last 7 days: mean 304 W, peak 2111 W on 2026-07-05 at 08:16"


def test_bars_speak_of_energy() -> None:
    figures = BarFigures(8_740.0, 18_420.0, int(SUMMER_MORNING))
    assert (
        alt("month", figures, "en")
        == "Energy per day of the last 31 days: mean 8.7 kWh, highest 18.4 kWh on 2026-07-05"
    )
    assert alt("year", figures, "de").endswith("Mittel 8,7 kWh, höchstens 18,4 kWh im Monat 07/2026")


@pytest.mark.parametrize(
    ("period", "figures"), [("day", Figures(None, None, None, 86400, None)), ("year", BarFigures(None, None, None))]
)
def test_graph_without_data_says_so(period: str, figures: Figures | BarFigures) -> None:
    assert alt(period, figures, "en").endswith(": nothing is known yet")


def test_notice_names_its_meter_by_label_and_otherwise_none() -> None:
    words = texts("en")
    labels = {"pump": "Heat pump"}
    assert notice_text(Notice("edges_lost", "pump", "3"), labels, words).startswith("Heat pump: 3 edges were lost")
    assert notice_text(Notice("clock_waiting", None, None), labels, words).startswith("The clock is not set yet")
