"""Units: figures worked out by hand from the meter constant."""

from __future__ import annotations

import pytest

from powerpi.units import pulses, watt_hours, watts


@pytest.mark.parametrize(
    ("count", "seconds", "imp_per_kwh", "power"),
    [
        (1, 36, 1000, 100.0),  # 1 Wh in 36 s: a hundredth of an hour
        (1, 0.1, 1000, 36_000.0),
        (1, 3600, 1000, 1.0),
        (10, 3600, 2000, 5.0),
        (1, 36, 500, 200.0),
        (0, 10, 1000, 0.0),
        (0.25, 9, 10_000, 10.0),  # 0.025 Wh in a four-hundredth of an hour
    ],
)
def test_mean_power_of_pulses_in_a_time(count: float, seconds: float, imp_per_kwh: float, power: float) -> None:
    assert watts(count, seconds, imp_per_kwh) == pytest.approx(power)


@pytest.mark.parametrize(
    ("count", "imp_per_kwh", "energy"),
    [(1, 1000, 1.0), (1, 2000, 0.5), (1, 500, 2.0), (1234.5, 1000, 1234.5), (0, 1000, 0.0), (75, 0.5, 150_000.0)],
)
def test_energy_of_pulses_and_back(count: float, imp_per_kwh: float, energy: float) -> None:
    assert watt_hours(count, imp_per_kwh) == pytest.approx(energy)
    assert pulses(energy, imp_per_kwh) == pytest.approx(count)


def test_an_hour_of_mean_power_is_its_energy() -> None:
    assert watts(800, 3600, 1000) == pytest.approx(watt_hours(800, 1000))
