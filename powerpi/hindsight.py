"""Where the lifetime counter stood at an earlier moment, walked back over the stored rows.

Times are Unix seconds; what the rows do not know was not counted, and how long that was is told.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from itertools import filterfalse
from typing import NamedTuple

from powerpi.digests import Unit, units
from powerpi.layout import MEAN_SECONDS, quarter_end
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS, Knot, Row


class Stand(NamedTuple):
    """The counter at a moment, in pulses."""

    pulses: float  # below 0 where rows reach back to before the counter began
    unknown_seconds: int  # from then to now


def stand(ledger: Ledger, now: Knot, time: int) -> Stand | None:
    """The counter at `time`, when it stands at `now`; None: nothing is known of that time, nor of any before it.

    Raises StoreError.
    """
    if time >= now.time:
        return Stand(now.pulses, 0)
    newest = ledger.newest() if ledger.rrd.exists() else None
    if newest is None:
        return None
    if time >= newest.time:
        return Stand(_between(newest, now, time), 0)
    if not _known_before(ledger, time):
        return None
    pulses, unknown_seconds = newest.pulses, 0.0
    for unit, rates in _since(ledger, time, newest.time):
        first = (unit.after + unit.step_seconds - time) / unit.step_seconds  # how much of its first row lies after
        pulses -= _sum(rates, first) * unit.step_seconds
        unknown_seconds += _unknown(rates, first) * unit.step_seconds
    return Stand(pulses, round(unknown_seconds))


def _between(before: Row, after: Knot, time: int) -> float:
    """The counter on the line from the newest row to now."""
    if after.time <= before.time:
        return after.pulses
    return before.pulses + (after.pulses - before.pulses) * (time - before.time) / (after.time - before.time)


def _since(ledger: Ledger, time: int, until: int) -> Iterator[tuple[Unit, array[float]]]:
    """The units of rows from the one that `time` lies in, of means where the rows are gone. Raises StoreError."""
    spans = ledger.spans()
    rows = spans[STEP_SECONDS]
    if time < rows.after and MEAN_SECONDS in spans:
        after, end = time // MEAN_SECONDS * MEAN_SECONDS, quarter_end(rows.after)
        yield from ((unit, ledger.rows(unit)) for unit in units(MEAN_SECONDS, after, end))
        time = end
    after = time // STEP_SECONDS * STEP_SECONDS
    yield from ((unit, ledger.rows(unit)) for unit in units(STEP_SECONDS, after, until))


def _known_before(ledger: Ledger, time: int) -> bool:
    """Whether any row up to the one that `time` lies in is known. Raises StoreError."""
    for step, span in ledger.spans().items():
        until = min(span.until, (time // step + 1) * step)
        for unit in reversed(list(units(step, span.after, until))):
            if not all(map(math.isnan, ledger.rows(unit))):
                return True
    return False


def _sum(rates: array[float], first: float) -> float:
    """The sum of the known rows, of the first one that share alone."""
    if not rates:
        return 0.0
    known = math.fsum(filterfalse(math.isnan, rates))
    return known if first >= 1 or math.isnan(rates[0]) else known - (1 - first) * rates[0]


def _unknown(rates: array[float], first: float) -> float:
    """How many rows are unknown, of the first one that share alone."""
    unknown = float(sum(map(math.isnan, rates)))
    return unknown if not rates or first >= 1 or not math.isnan(rates[0]) else unknown - (1 - first)
