"""Where the counter stood earlier: real RRDs, figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import pytest
from conftest import START

from powerpi.hindsight import Stand, stand
from powerpi.ledger import Ledger
from powerpi.pulses import Knot, Row
from powerpi.store import Store

DAY = 86400


def filled(make_store: Callable[..., Store], rows: Sequence[Row], archive_years: int = 20) -> Ledger:
    store = make_store(archive_years=archive_years)
    store.open(rows[0].time - 10)
    store.write(rows)
    return Ledger(store.rrd, Lock())


def steady(first: int, last: int, pulses: float, each: float) -> list[Row]:
    """Rows from START + first to START + last, `each` pulses apart."""
    return [Row(START + time, pulses + each * (time - first) / 10) for time in range(first, last + 10, 10)]


def test_now_and_later_is_as_it_stands(make_store: Callable[..., Store]) -> None:
    ledger = filled(make_store, steady(0, 100, 50, 2))
    now = Knot(START + 107.5, 72)
    assert stand(ledger, now, START + 200) == Stand(72, 0)


def test_between_the_newest_row_and_now_it_is_on_the_line(make_store: Callable[..., Store]) -> None:
    ledger = filled(make_store, steady(0, 100, 50, 2))  # 70 at the newest
    # 2 pulses in 8 s: half of them after 4 s
    assert stand(ledger, Knot(START + 108, 72), START + 104) == Stand(71, 0)
    assert stand(ledger, Knot(START + 108, 72), START + 100) == Stand(70, 0)


def test_at_the_boundaries_of_the_rows_it_is_what_was_written(make_store: Callable[..., Store]) -> None:
    ledger = filled(make_store, steady(0, 100, 50, 2))
    for time in range(10, 110, 10):
        found = stand(ledger, Knot(START + 108, 72), START + time)
        assert found
        assert found.pulses == pytest.approx(50 + 0.2 * time)


def test_within_a_step_it_is_a_part_of_the_step(make_store: Callable[..., Store]) -> None:
    rows = [Row(START, 50), Row(START + 10, 51), Row(START + 20, 55), Row(START + 30, 56)]
    found = stand(filled(make_store, rows), Knot(START + 35, 57), START + 13)
    assert found
    # 4 pulses in the step from 10 to 20 s, three tenths of it over
    assert found.pulses == pytest.approx(51 + 0.3 * 4)
    assert found.unknown_seconds == 0


def test_what_is_unknown_since_then_is_told_and_was_not_counted(make_store: Callable[..., Store]) -> None:
    # a gap of 300 s; the counter went on by 5 pulses that no row has
    rows = [*steady(0, 100, 50, 2), *steady(400, 500, 75, 2)]
    ledger, now = filled(make_store, rows), Knot(START + 503, 95)
    found = stand(ledger, now, START + 50)
    assert found
    # 95 at the newest row, 20 in the ten steps after the gap, 10 in the five before it
    assert found.pulses == pytest.approx(95 - 20 - 10)
    assert found.unknown_seconds == 300
    within = stand(ledger, now, START + 204)
    assert within
    assert (within.pulses, within.unknown_seconds) == (pytest.approx(75), 196)


def test_nothing_is_known_before_the_first_row(make_store: Callable[..., Store]) -> None:
    ledger, now = filled(make_store, steady(0, 100, 50, 2)), Knot(START + 108, 72)
    assert stand(ledger, now, START - 5) is None
    assert stand(ledger, now, START - 40 * DAY) is None
    assert stand(ledger, now, START + 3)


def test_without_an_rrd_nothing_is_known_but_now(make_store: Callable[..., Store]) -> None:
    ledger = Ledger(make_store().rrd, Lock())
    assert stand(ledger, Knot(START, 5), START - 10) is None
    assert stand(ledger, Knot(START, 5), START) == Stand(5, 0)


def long(make_store: Callable[..., Store], archive_years: int = 20) -> tuple[Ledger, Knot]:
    """400 days at 2 pulses a step, and where the counter stands now."""
    ledger = filled(make_store, steady(0, 0, 0, 2), archive_years)
    ledger.append(START, [0.2] * (400 * 8640), 400 * 8640 * 2)
    return ledger, Knot(START + 400 * DAY + 5, 400 * 8640 * 2 + 1)


def test_where_the_rows_are_gone_the_means_tell(make_store: Callable[..., Store]) -> None:
    """The first 34 of 400 days are held as means alone."""
    ledger, now = long(make_store)
    for time in (DAY, 10 * DAY + 427, 33 * DAY + 7, 34 * DAY, 100 * DAY + 3):
        found = stand(ledger, now, START + time)
        assert found
        assert found.pulses == pytest.approx(0.2 * time, abs=0.01)
        assert found.unknown_seconds == 0


def test_without_means_nothing_is_known_of_more_than_a_year_ago(make_store: Callable[..., Store]) -> None:
    ledger, now = long(make_store, archive_years=0)
    assert stand(ledger, now, START + 10 * DAY) is None
    assert stand(ledger, now, START + 100 * DAY)


def test_rows_from_before_the_counter_began_lead_below_zero(make_store: Callable[..., Store]) -> None:
    ledger = filled(make_store, steady(0, 100, 0, 2))
    ledger.append(START + 100, [0.1] * 10, 5.0)  # as after an import: the counter knows 5 pulses, the rows 30
    found = stand(ledger, Knot(START + 201, 5), START + 50)
    assert found
    assert found.pulses == pytest.approx(5 - 10 - 10)
