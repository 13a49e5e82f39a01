"""Amounts spread over the steps of a grid."""

from __future__ import annotations

import math
import random

import pytest
from pytest import approx

from powerpi.gridding import Grid


def made(step: int, after: int, until: int, *intervals: tuple[float, float, float]) -> tuple[Grid, float]:
    """A grid with intervals, settled; and what was lost."""
    grid = Grid(step, after, until)
    for interval in intervals:
        grid.add(*interval)
    return grid, grid.settle()


def rates(grid: Grid) -> list[float | None]:
    return [None if math.isnan(rate) else rate for rate in grid.rates(grid.after, grid.until)]


def test_an_amount_is_spread_evenly_over_its_interval() -> None:
    grid, lost = made(10, 0, 50, (10, 40, 6.0))
    assert rates(grid) == [None, 0.2, 0.2, 0.2, None]
    assert lost == 0


def test_a_step_that_is_one_interval_has_all_of_it() -> None:
    grid, _ = made(10, 100, 130, (110, 120, 5.0), (90, 100, 7.0), (130, 140, 7.0))
    assert rates(grid) == [None, 0.5, None]


def test_steps_at_the_edges_are_weighed() -> None:
    # 24 s with 24: 4 s of the first step, less than half, go to the second; 10 of 10; 10 of 10
    grid, lost = made(10, 0, 40, (6, 30, 24.0))
    assert rates(grid) == [None, 1.4, 1.0, None]
    assert lost == 0


def test_half_a_step_is_known() -> None:
    grid, _ = made(10, 0, 20, (5, 10, 5.0))
    assert rates(grid) == [0.5, None]  # all of the amount, over the whole step


def test_two_intervals_make_a_step_together() -> None:
    grid, _ = made(10, 0, 10, (0, 3, 3.0), (3, 10, 14.0))
    assert rates(grid) == [1.7]


def test_a_piece_without_a_neighbour_is_lost_and_told() -> None:
    grid, lost = made(10, 0, 30, (12, 15, 3.0))
    assert rates(grid) == [None] * 3
    assert lost == 3.0


def test_a_piece_goes_to_the_step_before_where_none_follows() -> None:
    grid, lost = made(10, 0, 30, (0, 13, 13.0))
    assert rates(grid) == [1.3, None, None]
    assert lost == 0


def test_what_lies_outside_is_cut_off() -> None:
    grid = Grid(10, 100, 120)
    assert grid.add(90, 110, 4.0) == 2.0
    assert grid.add(110, 150, 8.0) == 2.0
    assert grid.add(0, 50, 4.0) == 0
    grid.settle()
    assert rates(grid) == [0.2, 0.2]


def test_zero_is_known() -> None:
    grid, _ = made(10, 0, 20, (0, 10, 0.0))
    assert rates(grid) == [0.0, None]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_of_the_whole_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    step = chance.choice([10, 900])
    length = 200 * step
    grid, time, total, intervals = Grid(step, 0, length), 0.0, 0.0, []
    while True:
        time += chance.choice([0, 0, 0, chance.uniform(0, 5 * step)])
        end = time + chance.choice([step, chance.uniform(step, 7 * step), chance.uniform(step / 50, step)])
        if end > length:
            break
        intervals.append((time, end, chance.uniform(0, 100)))
        time = end
    total = sum(amount for _, _, amount in intervals)
    assert sum(grid.add(*interval) for interval in intervals) == approx(total)
    lost = grid.settle()
    known = [rate for rate in rates(grid) if rate is not None]
    assert sum(known) * step + lost == approx(total)
    covered = [0.0] * 200
    for begin, end, _ in intervals:
        for place in range(int(begin // step), min(int(end // step) + 1, 200)):
            covered[place] += max(0.0, min(end, (place + 1) * step) - max(begin, place * step))
    for place, (rate, seconds) in enumerate(zip(rates(grid), covered, strict=True)):
        if abs(seconds - step / 2) > 1e-6:  # known where half is covered, and nowhere else
            assert (rate is not None) == (seconds > step / 2), place


def test_a_year_in_one_interval_is_all_of_the_grid() -> None:
    grid, _ = made(10, 0, 366 * 86400, (0, 366 * 86400, 366 * 86400 * 2.0))
    assert set(grid.rates(0, 366 * 86400)) == {2.0}
