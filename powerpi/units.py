"""Pulses, energy and power: pure arithmetic on the meter constant.

`imp_per_kwh` is the meter constant in impulses per kWh, as printed on the meter; 1 kWh = 3 600 000 Ws.
"""

from __future__ import annotations

WATT_SECONDS_PER_KWH = 3_600_000
WATT_HOURS_PER_KWH = 1000


def watts(pulses: float, seconds: float, imp_per_kwh: float) -> float:
    """Mean power in W of `pulses` within `seconds`: P = 3 600 000 pulses / (imp_per_kwh seconds)."""
    return WATT_SECONDS_PER_KWH * pulses / (imp_per_kwh * seconds)


def watt_hours(pulses: float, imp_per_kwh: float) -> float:
    """Energy in Wh of `pulses`."""
    return WATT_HOURS_PER_KWH * pulses / imp_per_kwh


def pulses(watt_hours: float, imp_per_kwh: float) -> float:
    """Pulses (a fraction is possible) of an energy in Wh."""
    return watt_hours * imp_per_kwh / WATT_HOURS_PER_KWH
