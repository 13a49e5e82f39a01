"""The most that a meter can have measured, worked out by hand."""

from __future__ import annotations

import pytest
from pytest import approx

from powerpi.csv_forms import KWH, READING, WATTS, Faults
from powerpi.limits import Limit, most_watts


@pytest.mark.parametrize(
    ("imp_per_kwh", "watts"),
    [(1000, 1_200_000), (100, 12_000_000), (10_000, 120_000), (100_000, 100_000)],
)
def test_20_times_the_fastest_s0_is_the_most(imp_per_kwh: float, watts: float) -> None:
    # 1000 pulses in 3 s at 1000 imp/kWh: 1 kWh in 3 s
    assert most_watts(imp_per_kwh) == approx(watts)


@pytest.mark.parametrize(
    ("kind", "value", "seconds", "said"),
    [
        (WATTS, 1_200_000, 10, []),
        (WATTS, 1_200_001, 10, ["line 7: 1200001 W cannot be: wanted 1200000 W at most"]),
        (KWH, 1_200_000, 3600, []),
        (KWH, 1_300_000, 3600, ["line 7: 1300 kWh in 3600 s cannot be: wanted 1200 kWh at most"]),
        (READING, 1e9, 86_400, ["line 7: 1000000 kWh in 86400 s cannot be: wanted 28800 kWh at most"]),
        (READING, 1000, 1, []),  # a display of whole kWh turns
        (READING, 20_001, 1, ["line 7: 20.001 kWh in 1 s cannot be: wanted 20 kWh at most"]),
    ],
)
def test_what_is_above_it_is_named(kind: str, value: float, seconds: float, said: list[str]) -> None:
    faults = Faults()
    assert Limit(kind, faults, 1_200_000).is_fault(7, value, seconds) is bool(said)
    assert faults.sentences() == said


def test_without_a_limit_all_can_be() -> None:
    assert not Limit(KWH, Faults()).is_fault(1, 1e15, 1)
