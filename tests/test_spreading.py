"""Intervals put into the rows of a real RRD."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from threading import Lock

import pytest
from conftest import START
from pytest import approx

from powerpi.digests import Unit
from powerpi.errors import DataError
from powerpi.export import parts
from powerpi.intervals import Intervals
from powerpi.layout import LOSSLESS_DAYS, MEAN_SECONDS
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.spreading import Filled, spread
from powerpi.store import Store

YEAR = LOSSLESS_DAYS * 86400
QUARTER = START // MEAN_SECONDS * MEAN_SECONDS  # 22:00 UTC


@pytest.fixture
def ledger(make_store: Callable[..., Store]) -> Ledger:
    """Rows at 0.5 pulses a second in the newest minute."""
    store = make_store()
    store.open(START - 70)
    store.write([Row(START - 60 + 10 * n, 5.0 * n) for n in range(7)])
    return Ledger(store.rrd, Lock())


def intervals(*given: tuple[float, float, float]) -> Intervals:
    found = Intervals()
    for interval in given:
        found.add(*interval)
    return found


def put(ledger: Ledger, *given: tuple[float, float, float], overwrite: bool = False, imp: float = 1000.0) -> Filled:
    return spread(ledger, intervals(*given), imp, overwrite)


def only(rates: Iterable[float]) -> float:
    """The rate that all of them are."""
    [rate] = set(rates)
    return rate


def watt_hours(ledger: Ledger, imp_per_kwh: float = 1000.0) -> float:
    """The energy of all that is known."""
    pulses = (
        part.step_seconds * rate for part in parts(ledger, None, None) for rate in part.rates if not math.isnan(rate)
    )
    return sum(pulses) * 1000 / imp_per_kwh


def test_the_last_year_gets_rows_of_ten_seconds(ledger: Ledger) -> None:
    filled = put(ledger, (START - 7200, START - 3600, 600.0))
    assert filled == Filled(rows=360)
    # 600 Wh in an hour are 600 pulses at 1000 imp/kWh
    assert only(ledger.rows(Unit(STEP_SECONDS, START - 7200, START - 3600))) == approx(1 / 6)


def test_the_meter_constant_counts(ledger: Ledger) -> None:
    put(ledger, (START - 7200, START - 3600, 600.0), imp=500.0)
    assert only(ledger.rows(Unit(STEP_SECONDS, START - 7200, START - 3600))) == approx(1 / 12)


def test_their_quarter_hours_follow(ledger: Ledger) -> None:
    put(ledger, (QUARTER - 7200, QUARTER - 3600, 600.0))
    assert only(ledger.rows(Unit(MEAN_SECONDS, QUARTER - 7200, QUARTER - 3600))) == approx(1 / 6)


def test_the_years_before_get_quarter_hours(ledger: Ledger) -> None:
    begin = QUARTER - YEAR - 30 * 86400
    filled = put(ledger, (begin, begin + 3600, 600.0))
    assert filled == Filled(means=4)
    assert only(ledger.rows(Unit(MEAN_SECONDS, begin, begin + 3600))) == approx(1 / 6)


def test_energy_across_the_border_of_both_is_all_there_once(ledger: Ledger) -> None:
    before = watt_hours(ledger)
    border = START - YEAR
    filled = put(ledger, *((border + 600 * n, border + 600 * n + 600, 100.0 + n) for n in range(-300, 300)))
    assert (filled.older, filled.later, filled.lost_watt_hours) == (0, 0, 0)
    assert watt_hours(ledger) - before == approx(sum(100.0 + n for n in range(-300, 300)), rel=1e-9)


def test_what_is_known_stays(ledger: Ledger) -> None:
    filled = put(ledger, (START - 3600, START, 3600.0))
    assert filled == Filled(rows=354, kept=6)
    assert set(ledger.rows(Unit(STEP_SECONDS, START - 60, START))) == {0.5}
    assert set(ledger.rows(Unit(STEP_SECONDS, START - 3600, START - 60))) == {1.0}


def test_unless_it_shall_be_replaced(ledger: Ledger) -> None:
    filled = put(ledger, (START - 3600, START, 3600.0), overwrite=True)
    assert filled == Filled(rows=354, replaced=6)
    assert set(ledger.rows(Unit(STEP_SECONDS, START - 3600, START))) == {1.0}


def test_the_same_again_changes_nothing(ledger: Ledger) -> None:
    given = [(START - 7213.5 - 100 * n, START - 7120.5 - 100 * n, 5.0 + n) for n in range(300)][::-1]
    assert put(ledger, *given).changed
    before = ledger.rrd.read_bytes()
    assert put(ledger, *given).changed == 0
    assert put(ledger, *given, overwrite=True).changed == 0
    assert ledger.rrd.read_bytes() == before


def test_what_has_no_room_is_counted(ledger: Ledger) -> None:
    oldest = ledger.spans()[MEAN_SECONDS].after
    filled = put(
        ledger, (oldest - 7200, oldest - 3600, 1.0), (oldest - 3600, oldest + 3600, 8.0), (START, START + 9, 1)
    )
    assert (filled.older, filled.later, filled.means) == (2, 1, 4)
    assert watt_hours(ledger) == approx(4.0 + 30.0)  # half of it, and the newest minute


def test_without_means_there_are_rows_alone(make_store: Callable[..., Store]) -> None:
    store = make_store(archive_years=0)
    store.open(START - 10)
    store.write([Row(START, 0.0), Row(START + 10, 1.0)])
    filled = put(Ledger(store.rrd, Lock()), (START - YEAR - 3590, START - YEAR + 3610, 720.0))
    assert (filled.older, filled.rows, filled.means) == (1, 360, 0)


def test_who_waits_hears_how_far_it_is(ledger: Ledger) -> None:
    heard: list[float] = []
    spread(ledger, intervals((START - YEAR - 86400, START, 1e6)), 1000.0, overwrite=False, progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1


@pytest.mark.parametrize("seed", range(3))
def test_energy_is_conserved_whatever_the_intervals(ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    before, time, given = watt_hours(ledger), START - YEAR - 200 * 86400.0, []
    while time < START - 40 * 86400:
        time += chance.choice([0, 0, chance.uniform(0, 20 * 86400)])
        length = chance.choice([chance.uniform(900, 86400), chance.uniform(86400, 30 * 86400)])
        given.append((time, time + length, chance.uniform(0, 20_000)))
        time += length
    filled = put(ledger, *given)
    total = sum(watt_hours for _, _, watt_hours in given)
    assert watt_hours(ledger) - before + filled.lost_watt_hours == approx(total, rel=1e-9)


def test_more_than_a_mirror_takes_is_refused(ledger: Ledger) -> None:
    # 3 GWh in 10 s at 1000 imp/kWh: 300 000 000 pulses a second
    with pytest.raises(DataError, match=r"makes a row of more than 1e\+06 pulses a second; nothing was imported"):
        put(ledger, (QUARTER - 3600, QUARTER - 3590, 3e9))
    assert put(ledger, (QUARTER - 3600, QUARTER - 3590, 9e6)).rows == 1
