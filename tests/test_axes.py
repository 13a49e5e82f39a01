import math

import pytest

from powerpi import axes
from powerpi.axes import Scale


@pytest.mark.parametrize(
    ("least", "step"), [(0.2, 1), (1, 1), (1.1, 2), (2.1, 5), (5.1, 10), (204, 500), (8068, 10_000)]
)
def test_nice_step_is_the_next_of_1_2_5_and_a_whole_number(least: float, step: int) -> None:
    assert axes.nice_step(least) == step


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (None, Scale(20, 100)),
        (0.0, Scale(20, 100)),
        (0.4, Scale(1, 1)),
        (3.0, Scale(1, 4)),
        (1000.0, Scale(200, 1200)),  # 1020 with its air: 6 lines
        (2333.0, Scale(500, 2500)),
        (39_549.0, Scale(10_000, 50_000)),
    ],
)
def test_scale_ends_on_a_line_above_the_largest_value(largest: float | None, expected: Scale) -> None:
    assert axes.scale(largest, 300) == expected


@pytest.mark.parametrize("height", [120, 230, 300, 400, 1000])
def test_scale_never_has_more_lines_than_the_height_allows(height: int) -> None:
    for largest in range(1, 50_000, 97):
        step, top = axes.scale(largest, height)
        assert top >= largest * 1.02
        assert 1 <= top / step <= max(2, min(6, height / 36 - 1))


def test_clock_labels_keep_46_pixels_apart() -> None:
    assert axes.clock_grid(3600, 842).startswith("MINUTE:5:")  # 70 pixels; 2 minutes would be 28
    assert axes.clock_grid(86400, 307).startswith("HOUR:4:")  # 51 pixels; 3 hours would be 38
    assert axes.clock_grid(86400, 842) == "HOUR:2:HOUR:2:HOUR:2:0:%H:%M"


def test_days_of_a_week_are_named_under_their_middle() -> None:
    assert axes.week_grid(604_800, 840, 80_000, "%a", 70) == "DAY:1:DAY:1:DAY:1:86400:%a"


def test_last_day_of_a_week_is_not_cut_off_at_the_right_edge() -> None:
    # 720 s a pixel. Noon of the last day lies 10 pixels before the edge; half a label needs 35 - 15 = 20 pixels.
    grid = axes.week_grid(604_800, 840, 43_200 + 7200, "%a", 70)
    middle = int(grid.split(":")[6]) / 2
    assert (43_200 + 7200 - middle) / 720 == 20


def test_days_are_thinned_until_their_dates_fit() -> None:
    assert ":DAY:2:86400:" in axes.days_grid(86400 / 27, "%d.%m.")
    assert ":WEEK:1:86400:" in axes.days_grid(86400 / 9.3, "%d.%m.")
    assert ":WEEK:2:86400:" in axes.days_grid(86400 / 3.3, "%d.%m.")


def test_coarsest_labels_are_taken_when_none_fits() -> None:
    assert ":WEEK:4:86400:" in axes.days_grid(86400, "%d.%m.")


@pytest.mark.parametrize("largest", [1e12, 1e300, math.inf, math.nan, -1.0])
def test_scale_ends_somewhere_whatever_a_disk_has_made_of_a_row(largest: float) -> None:
    assert 100 <= axes.scale(largest, 300).top <= 1.2e9
