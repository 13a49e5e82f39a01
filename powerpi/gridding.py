"""Amounts that belong to intervals of time, spread over the steps of a grid: pure arithmetic.

In: intervals [start, end) in seconds that do not overlap, each with an amount. Out: rates, amount per second, of each
step; unknown (NaN) where less than half of a step is covered, as librrd has it. Nothing of the whole amount is lost.
"""

from __future__ import annotations

import math
from array import array

NAN = math.nan
KNOWN_SHARE = 0.5


class Grid:
    """The steps of `step_seconds` with ends in (after, until], both on the grid."""

    def __init__(self, step_seconds: int, after: int, until: int) -> None:
        self.step_seconds = step_seconds
        self.after = after
        self.until = until
        steps = (until - after) // step_seconds
        self._amounts = array("d", [0.0]) * steps
        self._seconds = array("d", [0.0]) * steps
        self._edges: set[int] = set()  # steps that an interval covers in part

    def add(self, start: float, end: float, amount: float) -> float:
        """Spread an amount evenly over [start, end); returns how much of it lies on the grid."""
        if end - start == self.step_seconds and not (start - self.after) % self.step_seconds:
            return self._add_step(int(start - self.after) // self.step_seconds, amount)
        begin, finish = max(start, self.after), min(end, self.until)
        if begin >= finish:
            return 0.0
        per_second = amount / (end - start)
        first, last = self._step(begin), self._step(finish)
        if first == last:
            self._cover(first, finish - begin, per_second)
        else:
            whole = first
            if begin > self._begin(first):
                self._cover(first, self._begin(first + 1) - begin, per_second)
                whole = first + 1
            self._fill(whole, last, per_second)
            if finish > self._begin(last):
                self._cover(last, finish - self._begin(last), per_second)
        return amount if (begin, finish) == (start, end) else per_second * (finish - begin)

    def _add_step(self, step: int, amount: float) -> float:
        """One whole step, as most are."""
        if not 0 <= step < len(self._amounts):
            return 0.0
        self._amounts[step] = amount
        self._seconds[step] = self.step_seconds
        return amount

    def _step(self, time: float) -> int:
        return int((time - self.after) // self.step_seconds)

    def _begin(self, step: int) -> int:
        return self.after + step * self.step_seconds

    def _cover(self, step: int, seconds: float, per_second: float) -> None:
        self._amounts[step] += per_second * seconds
        self._seconds[step] += seconds
        self._edges.add(step)

    def _fill(self, first: int, end: int, per_second: float) -> None:
        """Whole steps, which no other interval can touch."""
        if first < end:
            self._amounts[first:end] = array("d", [per_second * self.step_seconds]) * (end - first)
            self._seconds[first:end] = array("d", [float(self.step_seconds)]) * (end - first)

    def settle(self) -> float:
        """Let steps that are too little covered to be known give their amount to a neighbour that is.

        Returns what has none and is lost.
        """
        lost = 0.0
        for step in sorted(self._edges):
            if self._is_known(step):
                continue
            heir = next((other for other in (step + 1, step - 1) if self._is_known(other)), None)
            if heir is None:
                lost += self._amounts[step]
            else:
                self._amounts[heir] += self._amounts[step]
            self._amounts[step] = self._seconds[step] = 0.0
        self._edges.clear()
        return lost

    def _is_known(self, step: int) -> bool:
        return 0 <= step < len(self._seconds) and self._seconds[step] >= self.step_seconds * KNOWN_SHARE

    def rates(self, after: int, until: int) -> array[float]:
        """The rates of the steps with ends in (after, until], once all is added and settled."""
        begin, end = (time - self.after for time in (after, until))
        places = slice(begin // self.step_seconds, end // self.step_seconds)
        least, step = self.step_seconds * KNOWN_SHARE, self.step_seconds
        pairs = zip(self._amounts[places], self._seconds[places], strict=True)
        return array("d", (amount / step if seconds >= least else NAN for amount, seconds in pairs))
