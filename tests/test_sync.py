"""Catching up and comparing, with both ends real: afterwards every row is the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import START, HandClock
from pair import Mirroring, Pi, assert_equal_ends

from powerpi.digests import Unit
from powerpi.pulses import STEP_SECONDS

DAY_ROWS = 86400 // STEP_SECONDS


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    clock.ahead += 400 * 86400
    with Mirroring(tmp_path / "mirror", clock).serving() as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, mirroring: Mirroring) -> Pi:
    return Pi(tmp_path / "pi", mirroring.url)


def test_rows_gaps_and_the_counter_come_across(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(100, seed=1)
    pi.write(50, gap_rows=7, seed=2)
    assert [progress.behind_rows for progress in pi.push()] == [0]
    assert_equal_ends(pi, mirroring.meter())
    assert mirroring.meter().pulses == pi.store.stored_pulses
    assert mirroring.meter().facts == ("house", "Haus", 1000.0, 12.5)


def test_nothing_is_sent_twice(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(20)
    pi.push()
    pi.write(20)
    assert len(pi.push()) == 1
    assert len(pi.push()) == 1  # the state alone
    assert_equal_ends(pi, mirroring.meter())


def test_an_outage_of_a_month_is_caught_up_a_day_at_a_time(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(31 * DAY_ROWS, seed=3)
    behind = [progress.behind_rows for progress in pi.push()]
    assert len(behind) == 31
    assert behind == sorted(behind, reverse=True)
    assert_equal_ends(pi, mirroring.meter())


def test_verify_finds_nothing_where_nothing_differs(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(3 * DAY_ROWS, seed=4)
    pi.push()
    for fresh in (False, True):
        verdict = pi.twin.verify(fresh)
        assert verdict == (START + 3 * 86400 - STEP_SECONDS, 0, 0, 0, 0)


def test_a_different_row_is_found_and_put_right(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(2 * DAY_ROWS, seed=5)
    pi.push()
    pi.twin.verify(fresh=False)
    meter = mirroring.meter()
    unit = Unit(STEP_SECONDS, START + 5000, START + 5010)
    meter.ledger.put(unit, [1.5])
    assert pi.twin.verify(fresh=False).repaired_rows == 1
    assert_equal_ends(pi, meter)
    assert pi.twin.verify(fresh=True).repaired_rows == 0
