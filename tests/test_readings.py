"""Readings worked out by hand: power between and after pulses, energy of days, the meter reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from powerpi.config import MeterSettings
from powerpi.meter import Live
from powerpi.periods import day_start
from powerpi.pulses import Contact, Row
from powerpi.readings import Energies, Energy, MeterReadings, power, rows_total
from powerpi.totals import Span, Total

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = 1_700_002_800  # 2023-11-15 00:00 in Berlin
SETTINGS = MeterSettings("house", "Haus", 24, 1000, "up", 10, offset_kwh=12_000.5)


def live(**changes: object) -> Live:
    return Live(
        taken=910.0,
        begun=800.0,
        pulses=5000,
        last_pulse=900.0,
        interval_seconds=36.0,
        rows=(),
        pulses_since=0.0,
        contact=Contact(False, rejected=4, lost=1),
        lost_edge=None,
    )._replace(**changes)


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (1.0, (100.0, False)),  # 36 s between pulses of 1 Wh
        (36.0, (100.0, False)),
        (43.0, (100.0, False)),  # less than a fifth longer
        (72.12, (50.0, True)),  # 72 s without one, and it is known 0.12 s later: at most 50 W
        (3600.12, (1.0, True)),
    ],
)
def test_power_falls_while_it_waits_for_the_next_pulse(waited: float, expected: tuple[float, bool]) -> None:
    assert power(live(taken=900.0 + waited), 1000) == pytest.approx(expected)


@pytest.mark.parametrize(("pulses", "last_pulse", "never"), [(0, None, True), (1, 900.0, False), (5000, None, False)])
def test_no_pulse_yet_is_none_ever_and_the_bound_on_power_stays(
    pulses: int, last_pulse: float | None, *, never: bool
) -> None:
    waits = live(pulses=pulses, last_pulse=last_pulse, interval_seconds=None, taken=936.12, begun=900.0)
    found = MeterReadings(SETTINGS, Energies(Path("none.rrd"), 1000, lambda *_: []), BERLIN).read(
        waits, 936.12, None, brief=True
    )
    assert (found.no_pulse_yet, found.watts_at_most) == (never, True)
    assert found.watts == pytest.approx(100.0)


def test_power_is_bounded_before_there_are_two_pulses() -> None:
    assert power(live(last_pulse=None, interval_seconds=None, taken=802.0), 1000) == (None, False)
    assert power(live(last_pulse=None, interval_seconds=None, taken=836.12), 1000) == pytest.approx((100.0, True))
    assert power(live(interval_seconds=None, taken=902.0), 1000) == (None, False)
    assert power(live(interval_seconds=None, taken=936.12), 1000) == pytest.approx((100.0, True))


def test_rows_one_step_apart_know_what_was_between_them() -> None:
    rows = [Row(100, 1.0), Row(110, 2.0), Row(140, 9.0), Row(150, 9.5)]
    assert rows_total(rows, 0) == (1.5, 20)
    assert rows_total(rows, 110) == (0.5, 10)
    assert rows_total(rows, 150) == (None, 0)
    assert rows_total([], 0) == (None, 0)


class Reads:
    """Answers with one pulse for every known second, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[Span], int]] = []

    def __call__(self, _: Path, spans: Sequence[Span], step_seconds: int) -> list[Total]:
        self.asked.append((list(spans), step_seconds))
        return [(float(end - start), end - start) for start, end in spans]


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def energies(reads: Reads) -> Energies:
    return Energies(Path("house.rrd"), 500, reads)


def test_spans_end_at_the_last_row_and_later_ones_are_unknown(energies: Energies) -> None:
    # 500 imp/kWh: a pulse is 2 Wh
    assert energies.of([(0, 900), (900, 1800), (1800, 2700)], 1000) == [
        Energy(1800.0, 900),
        Energy(200.0, 100),
        Energy(None, 0),
    ]


def test_what_lies_in_the_past_is_read_once(energies: Energies, reads: Reads) -> None:
    energies.of([(0, 900), (900, 1800)], 1000)
    energies.of([(0, 900), (900, 1800)], 1010)
    assert reads.asked == [([(0, 900), (900, 1000)], 10), ([(900, 1010)], 10)]


def test_older_than_the_lossless_archive_comes_from_quarter_hours(energies: Energies, reads: Reads) -> None:
    now = 400 * 86400
    energies.of([(0, 86400), (now - 86400, now)], now)
    assert sorted(reads.asked, key=lambda asked: asked[1]) == [([(now - 86400, now)], 10), ([(0, 86400)], 900)]


def test_a_year_is_read_in_parts(energies: Energies, reads: Reads) -> None:
    days = [(86400 * n, 86400 * (n + 1)) for n in range(366)]
    assert len(energies.of(days, 366 * 86400)) == 366
    assert max(len(spans) for spans, _ in reads.asked) == 31
    assert len(reads.asked) == 12


def readings(reads: Reads) -> MeterReadings:
    return MeterReadings(SETTINGS, Energies(Path("house.rrd"), SETTINGS.imp_per_kwh, reads), BERLIN)


def test_today_is_what_is_stored_and_what_is_not_yet(reads: Reads) -> None:
    noon = MIDNIGHT + 12 * 3600
    # stored up to noon (1 pulse a second there), two more rows in memory, 0.5 pulses counted since the last
    rows = (Row(noon, 100.0), Row(noon + 10, 104.0), Row(noon + 20, 107.0))
    found = readings(reads).read(live(rows=rows, pulses_since=0.5), 950.0, noon + 25 - 950.0)
    assert found.today_watt_hours == pytest.approx(12 * 3600 + 7 + 0.5)
    assert found.today_unknown_seconds == 0
    assert found.yesterday_watt_hours == pytest.approx(86400)
    assert found.yesterday_unknown_seconds == 0


def test_a_gap_shows_as_unknown_seconds(reads: Reads) -> None:
    noon = MIDNIGHT + 12 * 3600
    rows = (Row(noon, 100.0), Row(noon + 600, 104.0), Row(noon + 610, 107.0))
    found = readings(reads).read(live(rows=rows), 950.0, noon + 615 - 950.0)
    assert found.today_unknown_seconds == 600


def test_rows_that_wait_over_midnight_belong_to_their_days(reads: Reads) -> None:
    rows = (Row(MIDNIGHT - 10, 100.0), Row(MIDNIGHT, 103.0), Row(MIDNIGHT + 10, 108.0))
    found = readings(reads).read(live(rows=rows), 950.0, MIDNIGHT + 15 - 950.0)
    assert found.yesterday_watt_hours == pytest.approx(86400 - 10 + 3)
    assert found.today_watt_hours == pytest.approx(5)
    assert (found.yesterday_unknown_seconds, found.today_unknown_seconds) == (0, 0)


def test_day_of_the_change_to_winter_time_has_25_hours(reads: Reads) -> None:
    monday = day_start(1_698_700_000, BERLIN)  # 2023-10-30; the Sunday before had 25 hours
    found = readings(reads).read(live(rows=(Row(monday + 3600, 9.0),)), 950.0, monday + 3605 - 950.0)
    assert found.yesterday_watt_hours == pytest.approx(25 * 3600)


def test_nothing_stored_and_nothing_counted_is_unknown_not_zero(reads: Reads) -> None:
    found = readings(reads).read(live(rows=(), last_pulse=None, interval_seconds=None), 950.0, MIDNIGHT + 60 - 950.0)
    assert (found.today_watt_hours, found.yesterday_watt_hours) == (None, None)
    assert found.last_pulse_time is None
    assert found.today_unknown_seconds == 60


def test_without_a_trusted_clock_days_are_unknown_and_the_counter_is_not(reads: Reads) -> None:
    found = readings(reads).read(live(), 950.0, None)
    assert (found.today_watt_hours, found.today_unknown_seconds, found.last_pulse_time) == (None, None, None)
    assert found.meter_reading_watt_hours == pytest.approx(5000 + 12_000_500)
    assert found.watts is not None


def test_meter_reading_is_the_register_and_the_offset(reads: Reads) -> None:
    found = readings(reads).read(live(), 950.0, MIDNIGHT - 950.0)
    assert found.meter_reading_watt_hours == pytest.approx(12_005_500)
    assert (found.edges_rejected, found.edges_lost, found.contact_closed) == (4, 1, False)
    assert found.last_pulse_time == pytest.approx(MIDNIGHT - 50)
