"""Numbers, times and sentences of the page, figures worked out by hand."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from powerpi.gaps import Gap
from powerpi.graph import Figures
from powerpi.page import (
    GapView,
    Neighbours,
    gaps_title,
    gaps_view,
    gaps_within,
    graph_view,
    meter_view,
    neighbours,
    notice_text,
)
from powerpi.periods import PERIODS
from powerpi.pictures import BarFigures
from powerpi.readings import MeterReading, Notice
from powerpi.texts import texts
from powerpi.wording import number, watts_text

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


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def alt(period: str, figures: Figures | BarFigures | None, language: str) -> str:
    return plain(graph_view(PERIODS[period], figures, texts(language), BERLIN).alt)


def test_peak_of_a_day_has_its_time_and_of_a_week_its_date_too() -> None:
    figures = Figures(304.2, 2111.0, SUMMER_MORNING, 0, 658.0)
    assert alt("day", figures, "de") == "Leistung der letzten 24 Stunden: Mittel 304 W, Spitze 2111 W um 08:16"
    assert alt("week", figures, "en") == "Power of the last 7 days: mean 304 W, peak 2111 W on 2026-07-05 at 08:16"


@pytest.mark.parametrize(
    ("unknown_seconds", "language", "told"),
    [(None, "en", ""), (59.0, "en", ""), (60.0, "en", "; 1 min unknown"), (5760.0, "de", "; 1 h 36 min unbekannt")],
)
def test_curve_says_how_much_of_it_is_unknown(unknown_seconds: float | None, language: str, told: str) -> None:
    figures = Figures(304.2, 2111.0, SUMMER_MORNING, unknown_seconds, 658.0)
    whole = alt("day", figures._replace(unknown_seconds=0), language)
    assert whole.endswith("08:16")
    assert alt("day", figures, language) == whole + told


def test_bars_speak_of_energy() -> None:
    figures = BarFigures(8_740.0, 18_420.0, int(SUMMER_MORNING), 0)
    assert (
        alt("month", figures, "en")
        == "Energy per day of the last 31 days: mean 8.7 kWh, highest 18.4 kWh on 2026-07-05"
    )
    assert alt("year", figures, "de").endswith("Mittel 8,7 kWh, Höchstwert 18,4 kWh im Monat 07/2026")


def test_bars_say_how_many_of_them_lack_something() -> None:
    figures = BarFigures(8_740.0, 18_420.0, int(SUMMER_MORNING), 5)
    assert alt("month", figures, "en").endswith(" on 2026-07-05; 5 of 31 not wholly known")
    assert alt("year", figures, "de").endswith(" im Monat 07/2026; 5 von 12 nicht ganz bekannt")


@pytest.mark.parametrize(
    ("period", "figures"), [("day", Figures(None, None, None, 86400, None)), ("year", BarFigures(None, None, None, 31))]
)
def test_graph_without_data_says_so(period: str, figures: Figures | BarFigures) -> None:
    assert alt(period, figures, "en").endswith(": nothing is known yet")


@pytest.mark.parametrize(
    ("period", "title", "lead"),
    [
        ("hour", "2026-07-05 07:16 to 2026-07-05 08:16", "Power from 2026-07-05 07:16 to 2026-07-05 08:16"),
        ("month", "2026-06-05 to 2026-07-05", "Energy per day from 2026-06-05 to 2026-07-05"),
        ("year", "2025-08 to 2026-07", "Energy per month from 2025-08 to 2026-07"),
    ],
)
def test_graph_of_the_past_names_its_first_and_last_time(period: str, title: str, lead: str) -> None:
    view = graph_view(PERIODS[period], None, texts("en"), BERLIN, int(SUMMER_MORNING))
    assert (view.title, view.alt) == (title, lead)


def test_curves_are_followed_by_what_adjoins_them() -> None:
    end, hour = int(SUMMER_MORNING), PERIODS["hour"]
    assert neighbours(hour, None, BERLIN, end + 7.5) == Neighbours(end - 3600, None)
    assert neighbours(hour, end, BERLIN, end + 3601) == Neighbours(end - 3600, end + 3600)
    assert neighbours(hour, end, BERLIN, end + 3600) == Neighbours(end - 3600, None)  # that would be now
    assert neighbours(hour, end, BERLIN, end + 367 * 86400) == Neighbours(None, end + 3600)  # no longer stored


def test_bars_are_followed_by_whole_days_and_months() -> None:
    now = 1_798_761_600.0  # 2027-01-01 01:00 in Berlin
    # February 2026 to January 2027 are shown, so the year before ends with January 2026
    february = 1_769_900_400  # 2026-02-01 00:00 in Berlin
    assert neighbours(PERIODS["year"], None, BERLIN, now) == Neighbours(february, None)
    # 31 days end with 25 October 2026, which has 25 hours; they begin with 25 September
    monday, september = 1_792_969_200, 1_790_287_200  # 2026-10-26 00:00 and 2026-09-25 00:00 in Berlin
    after = monday + 31 * 86400
    assert neighbours(PERIODS["month"], monday, BERLIN, now) == Neighbours(september, after)
    assert neighbours(PERIODS["month"], after, BERLIN, now).earlier == monday


READING = MeterReading(
    "house", "House", 1000.0, None, False, None, None, None, 9000.0, 59, 12_000.0, 0, 0, None
)  # fmt: skip


def test_only_unknown_time_worth_a_word_gets_one() -> None:
    view = meter_view(READING, texts("en"), BERLIN, SUMMER_MORNING)
    assert (view.today_unknown, view.yesterday_unknown) == ("", "")
    minute = meter_view(READING._replace(yesterday_unknown_seconds=60), texts("en"), BERLIN, SUMMER_MORNING)
    assert minute.yesterday_unknown == "1 min unknown"


def test_unknown_power_says_what_it_waits_for_and_an_unknown_time_is_a_dash() -> None:
    waiting = meter_view(READING, texts("de"), BERLIN, SUMMER_MORNING)
    assert (waiting.known, waiting.last_pulse) == (False, "Wartet auf die ersten Impulse")
    timeless = meter_view(READING._replace(watts=80.0), texts("de"), BERLIN, SUMMER_MORNING)
    assert (timeless.known, timeless.last_pulse) == (True, "Letzter Impuls –")


def test_a_meter_whose_sender_is_silent_is_not_taken_for_one_that_is_not_wired() -> None:
    unwired = READING._replace(watts=82.0, watts_at_most=True, no_pulse_yet=True)
    view = meter_view(unwired, texts("en"), BERLIN, SUMMER_MORNING)
    assert (view.watts, view.known, view.at_most, view.no_pulse_yet) == ("–", False, False, True)
    silent = meter_view(unwired._replace(watts=None, silent=True), texts("en"), BERLIN, SUMMER_MORNING)
    assert (silent.no_pulse_yet, silent.last_pulse) == (False, "–")


def test_notice_names_its_meter_by_label_and_otherwise_none() -> None:
    words = texts("en")
    labels = {"pump": "Heat pump"}
    assert notice_text(Notice("edges_lost", "pump", "3"), labels, words).startswith(
        "Heat pump: Edges were lost today, 3 since"
    )
    assert notice_text(Notice("clock_waiting", None, None), labels, words).startswith("The clock is not set yet")


# ---------------------------------------------------------------- gaps

MORNING = int(SUMMER_MORNING)  # 2026-07-05 08:16:00 in Berlin


def listed(gap: Gap, language: str = "en", now: float = SUMMER_MORNING) -> GapView:
    (view,) = gaps_view("Gaps", [gap], texts(language), BERLIN, now).listed
    return view


def test_gap_within_a_day_has_its_date_once() -> None:
    gap = Gap(MORNING - 6480, MORNING, "power_cut")  # 1 h 48 min
    assert listed(gap) == GapView(("2026-07-05", "06:28 – 08:16"), "1 h 48 min", "Power cut, or the machine crashed")
    german = GapView(("05.07.2026", "06:28 – 08:16"), "1 h 48 min", "Stromausfall oder Absturz des Rechners")
    assert listed(gap, "de") == german


def test_gap_over_local_midnight_has_both_dates() -> None:
    before = MORNING - 8 * 3600 - 17 * 60  # 2026-07-04 23:59 in Berlin, the same day in UTC
    assert listed(Gap(before, before + 660, "disk")).time == ("2026-07-04 23:59 –", "2026-07-05 00:10")


@pytest.mark.parametrize(("seconds", "clocks"), [(590, "08:16:00 – 08:25:50"), (600, "08:16 – 08:26")])
def test_only_a_short_gap_is_told_to_the_second(seconds: int, clocks: str) -> None:
    assert listed(Gap(MORNING, MORNING + seconds, "stopped")).time == ("2026-07-05", clocks)


def test_gap_that_lasts_has_a_beginning_and_is_as_long_as_it_has_lasted() -> None:
    view = listed(Gap(MORNING - 40, None, "stopped"), now=SUMMER_MORNING + 0.9)
    assert (view.time, view.length) == (("Since 2026-07-05 08:15", ""), "40 s")


def test_gap_that_lasts_has_no_length_while_the_clock_is_behind_it() -> None:
    assert listed(Gap(MORNING, None, "power_cut"), now=SUMMER_MORNING - 86400).length == "–"


def test_twenty_gaps_are_listed_and_it_says_whether_there_are_others() -> None:
    gaps = [Gap(MORNING - 86400 * age, MORNING - 86400 * age + 3600, "ended") for age in range(21)]
    for number_of_gaps, others in ((20, False), (21, True)):
        view = gaps_view("Gaps", gaps[:number_of_gaps], texts("en"), BERLIN, SUMMER_MORNING)
        assert (len(view.listed), view.others) == (20, others)
    assert [gap.time[0] for gap in view.listed[:2]] == ["2026-07-05", "2026-07-04"]


def test_title_counts_the_gaps_of_the_last_31_days() -> None:
    month = MORNING - 31 * 86400
    gaps = [Gap(MORNING - 60, None, "disk"), Gap(month - 60, month + 1, "ended"), Gap(month - 90, month, "stopped")]
    assert gaps_title(gaps, texts("en"), SUMMER_MORNING) == "Gaps (2 in the last 31 days)"
    assert gaps_title([], texts("de"), SUMMER_MORNING) == "Lücken (0 in den letzten 31 Tagen)"


def starts(gaps: list[Gap], period: str, end: int | None, now: float = SUMMER_MORNING) -> list[int]:
    return [gap.start - MORNING for gap in gaps_within(gaps, PERIODS[period], end, BERLIN, now)]


def test_gaps_of_a_curve_are_those_that_it_shows_in_whole_or_in_part() -> None:
    edges = [(-1, 10), (-3600, -1), (-3700, -3599), (-3700, -3600), (0, 10), (-9000, 9000)]
    gaps = [Gap(MORNING + start, MORNING + end, "stopped") for start, end in edges]
    assert starts(gaps, "hour", MORNING, SUMMER_MORNING + 86400) == [-1, -3600, -3700, -9000]


def test_gap_that_has_just_begun_is_shown_by_every_newest_picture() -> None:
    lasting = Gap(MORNING + 3599, None, "power_cut")
    assert [starts([lasting], period, None, SUMMER_MORNING + 3600) for period in PERIODS] == [[3599]] * len(PERIODS)


def test_gaps_of_bars_are_those_of_all_their_days() -> None:
    # 31 days up to 2026-07-05 begin on 2026-06-05 at 00:00 in Berlin, 30 days, 8 h and 16 min before
    first, midnight = -(30 * 86400 + 8 * 3600 + 16 * 60), 86400 - 8 * 3600 - 16 * 60
    edges = [(midnight, midnight + 10), (midnight - 1, midnight + 10), (first - 10, first + 1), (first - 10, first)]
    gaps = [Gap(MORNING + start, MORNING + end, "stopped") for start, end in edges]
    assert starts(gaps, "month", MORNING, SUMMER_MORNING + 90 * 86400) == [midnight - 1, first - 10]
