"""The rows of a real RRD as lines of CSV."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from zoneinfo import ZoneInfo

import pytest
from pytest import approx

from powerpi.digests import Unit
from powerpi.export import held, lines
from powerpi.layout import LOSSLESS_DAYS, MEAN_SECONDS
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store

BERLIN = ZoneInfo("Europe/Berlin")
END = 1_795_716_000  # 2026-11-26 19:00 in Berlin
YEAR = LOSSLESS_DAYS * 86400


def at(*parts: int, fold: int = 0) -> int:
    """Unix seconds of a local time."""
    return int(datetime(*parts, tzinfo=BERLIN, fold=fold).timestamp())  # type: ignore[misc, arg-type]


@pytest.fixture
def ledger(make_store: Callable[..., Store]) -> Ledger:
    """An RRD that ends at END and knows nothing."""
    store = make_store()
    store.create(END)
    return Ledger(store.rrd, Lock())


def put(ledger: Ledger, after: int, until: int, rate: float, step: int = STEP_SECONDS) -> None:
    """Let rows be known, in pulses per second."""
    ledger.put(Unit(step, after, until), array("d", [rate] * ((until - after) // step)))


def exported(
    ledger: Ledger, step: str, imp: float = 1000.0, start: int | None = None, end: int | None = None
) -> list[str]:
    return [line.rstrip("\n") for line in lines(ledger, imp, BERLIN, step, start=start, end=end)]


def test_ten_seconds_are_what_is_stored(ledger: Ledger) -> None:
    put(ledger, END - 20, END, 0.25)
    # 0.25 pulses/s at 1000 imp/kWh are 900 W, 2.5 Wh in 10 s
    assert exported(ledger, "10s") == [
        "2026-11-26T18:59:40+01:00,2026-11-26T18:59:50+01:00,0.002500000,900.000,10",
        "2026-11-26T18:59:50+01:00,2026-11-26T19:00:00+01:00,0.002500000,900.000,10",
    ]


def test_unknown_is_empty_and_never_zero(ledger: Ledger) -> None:
    put(ledger, END - 30, END - 20, 0.0)
    put(ledger, END - 10, END, 0.25)
    assert [line.split(",", 2)[2] for line in exported(ledger, "10s")] == [
        "0.000000000,0.000,10",
        ",,0",
        "0.002500000,900.000,10",
    ]


def test_power_is_the_mean_of_what_is_known(ledger: Ledger) -> None:
    put(ledger, END - 3600, END - 2700, 0.25)
    put(ledger, END - 900, END, 0.25)
    [hour] = exported(ledger, "hour")
    assert hour == "2026-11-26T18:00:00+01:00,2026-11-26T19:00:00+01:00,0.450000,900.000,1800"


def test_the_constant_of_the_meter_counts(ledger: Ledger) -> None:
    put(ledger, END - 10, END, 0.25)
    assert exported(ledger, "10s", imp=500.0)[0].endswith(",0.005000000,1800.000,10")


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)])
def test_days_are_local_days(ledger: Ledger, day: tuple[int, int, int], hours: int) -> None:
    year, month, date = day
    begin = at(year, month, date)
    put(ledger, begin - 3600, begin + 26 * 3600, 0.25)
    found = [line.split(",") for line in exported(ledger, "day", start=begin, end=begin + hours * 3600)]
    assert [(float(kwh), int(known)) for _, _, kwh, _, known in found] == [(approx(0.9 * hours), hours * 3600)]


def test_the_hour_that_comes_twice_has_two_lines(ledger: Ledger) -> None:
    begin = at(2026, 10, 25, 1)
    put(ledger, begin, begin + 4 * 3600, 0.25)
    assert [line.split(",")[0] for line in exported(ledger, "hour")] == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_months_and_years_add_up_rows_and_older_means(ledger: Ledger) -> None:
    put(ledger, at(2025, 1, 1), at(2025, 1, 2), 0.25, MEAN_SECONDS)  # 21.6 kWh
    put(ledger, at(2025, 11, 27), at(2025, 11, 28), 0.25)
    assert exported(ledger, "year") == ["2025-01-01T00:00:00+01:00,2025-11-28T00:00:00+01:00,43.200000,900.000,172800"]
    months = exported(ledger, "month")
    assert len(months) == 11
    assert months[1] == "2025-02-01T00:00:00+01:00,2025-03-01T00:00:00+01:00,,,0"


def test_before_the_last_year_quarter_hours_stand_for_themselves(ledger: Ledger) -> None:
    begin = at(2025, 3, 1, 12)
    put(ledger, begin, begin + 1800, 0.25, MEAN_SECONDS)
    for step in ("10s", "15min"):
        assert exported(ledger, step) == [
            "2025-03-01T12:00:00+01:00,2025-03-01T12:15:00+01:00,0.225000000,900.000,900",
            "2025-03-01T12:15:00+01:00,2025-03-01T12:30:00+01:00,0.225000000,900.000,900",
        ]


def test_nothing_is_told_twice_where_means_and_rows_meet(ledger: Ledger) -> None:
    border = END - YEAR
    put(ledger, border - 7200, border + 3600, 0.25, MEAN_SECONDS)
    put(ledger, border, border + 3600, 0.25)
    found = [line.split(",") for line in exported(ledger, "10s")]
    assert [first[1] for first in found[:-1]] == [second[0] for second in found[1:]]
    assert sum(float(kwh) for _, _, kwh, _, _ in found) == approx(2.7)
    assert (len(found), found[0][4], found[-1][4]) == (8 + 360, "900", "10")


def test_a_part_is_cut_out_at_the_second(ledger: Ledger) -> None:
    put(ledger, END - 7200, END, 0.25)
    found = [line.split(",") for line in exported(ledger, "hour", start=END - 5403, end=END - 1797)]
    assert [(begin[11:19], until[11:19], known) for begin, until, _, _, known in found] == [
        ("17:30:00", "18:00:00", "1800"),
        ("18:00:00", "18:30:00", "1800"),
    ]


def test_a_part_that_is_not_held_is_empty(ledger: Ledger) -> None:
    put(ledger, END - 7200, END, 0.25)
    assert exported(ledger, "day", start=END) == []
    assert exported(ledger, "day", end=0) == []
    assert exported(ledger, "day", start=END - 7200, end=END - 7200) == []


def test_of_a_meter_that_knows_nothing_there_are_no_lines(ledger: Ledger) -> None:
    assert exported(ledger, "year") == []


def test_the_state_of_librrd_is_read_as_it_stands(make_store: Callable[..., Store]) -> None:
    store = make_store("shed", archive_years=0)
    store.open(END - 20)
    store.write([Row(END - 10, 0.0), Row(END, 2.5)])
    assert exported(Ledger(store.rrd, Lock()), "10s") == [
        "2026-11-26T18:59:50+01:00,2026-11-26T19:00:00+01:00,0.002500000,900.000,10"
    ]


def test_who_waits_hears_how_far_it_is(ledger: Ledger) -> None:
    put(ledger, END - 10 * 86400, END, 0.25)
    heard: list[int] = []
    list(lines(ledger, 1000.0, BERLIN, "day", progress=heard.append))
    assert heard == sorted(heard)
    assert heard[-1] == held(ledger).until == END
    assert not any(map(math.isnan, heard))
