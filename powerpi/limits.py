"""The most that a meter can have measured: more in a file is a slip, which a mirror would refuse."""

from __future__ import annotations

import math

from powerpi.csv_forms import WATTS, Faults
from powerpi.units import WATT_HOURS_PER_KWH, watts

MOST_PULSES = 20 / 0.06  # a second: 20 times what S0 sends, closed and open for 30 ms each (EN 62053-31)
LEAST_MOST_WATTS = 100_000.0  # whatever the constant: the file may be of another meter
TURN_SECONDS = 60.0  # the last digit of a display turns at once, be it a whole kWh


def most_watts(imp_per_kwh: float) -> float:
    """More than any meter of this constant can have measured, with generous room; in W."""
    return max(watts(MOST_PULSES, 1, imp_per_kwh), LEAST_MOST_WATTS)


class Limit:
    """Names the lines of a file whose mean power cannot be."""

    def __init__(self, kind: str, faults: Faults, most: float = math.inf) -> None:
        """`kind` of the values, one of csv_forms.KINDS; `most` in W."""
        self._kind = kind
        self._faults = faults
        self._most = most

    def is_fault(self, line: int, value: float, seconds: float) -> bool:
        """Whether a value, in W, or in Wh within so many seconds, is above the limit; then its line is named."""
        if self._kind == WATTS:
            above, said = value > self._most, f"{value:.10g} W cannot be: wanted {self._most:.0f} W at most"
        else:
            kwh = value / WATT_HOURS_PER_KWH
            most = self._most * max(seconds, TURN_SECONDS) / 3600 / WATT_HOURS_PER_KWH
            above, said = kwh > most, f"{kwh:.10g} kWh in {seconds:.6g} s cannot be: wanted {most:.6g} kWh at most"
        if above:
            self._faults.add(line, said)
        return above
