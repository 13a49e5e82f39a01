"""Intervals with energy put into the rows of a meter: 10 s as far as the lossless archive reaches, means before it.

What is known there already stays, unless told otherwise.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from itertools import compress
from typing import NamedTuple

from powerpi import units
from powerpi.digests import Unit
from powerpi.digests import units as units_of
from powerpi.errors import DataError
from powerpi.export import used_spans
from powerpi.gridding import Grid
from powerpi.intervals import Intervals
from powerpi.layout import MEAN_SECONDS
from powerpi.ledger import Ledger, Span, merged
from powerpi.messages import MOST_RATE
from powerpi.pulses import STEP_SECONDS

Progress = Callable[[float], None]  # hears which share is done


class Filled(NamedTuple):
    """What became of intervals."""

    rows: int = 0  # of 10 s, that were unknown
    means: int = 0  # of quarter hours, likewise
    replaced: int = 0  # rows and means of both kinds, that were known and are others now
    kept: int = 0  # ... that were known and stay
    older: int = 0  # intervals before the time that is held, at least in part
    later: int = 0  # ... after it
    lost_watt_hours: float = 0.0  # in pieces of less than half a step that have no neighbour

    @property
    def changed(self) -> int:
        """How many rows and means are not as they were."""
        return self.rows + self.means + self.replaced


def spread(
    ledger: Ledger, found: Intervals, imp_per_kwh: float, overwrite: bool, progress: Progress = lambda _: None
) -> Filled:
    """Put the energy of intervals into the rows; `progress` hears which share is done. Raises StoreError.

    Raises DataError where many pieces that are short make more than a mirror would take.
    """
    spans = ledger.spans()
    oldest, newest = min(span.after for span in spans.values()), spans[STEP_SECONDS].until
    filled = Filled(older=sum(start < oldest for start in found.starts), later=sum(end > newest for end in found.ends))
    held = {step: _needed(step, spans[step], span, found) for step, span in used_spans(spans).items()}
    total = max(sum((span.until - span.after) // step for step, span in held.items()), 1)
    done = 0
    for step in sorted(held, reverse=True):
        grid = Grid(step, *held[step])
        per_watt_hour = units.pulses(1, imp_per_kwh)
        for start, end, watt_hours in found.within(*held[step]):
            grid.add(start, end, watt_hours * per_watt_hour)
        lost = units.watt_hours(grid.settle(), imp_per_kwh)
        filled = filled._replace(lost_watt_hours=filled.lost_watt_hours + lost)
        for unit in units_of(step, *held[step]):
            filled = _put(ledger, unit, grid.rates(unit.after, unit.until), overwrite, filled)
            done += (unit.until - unit.after) // step
            progress(done / total)
    return filled


def _needed(step: int, whole: Span, used: Span, found: Intervals) -> Span:
    """The part of an archive that intervals touch: of the means those that serve alone, of the rows all."""
    after, until = (whole.after, used.until) if step == MEAN_SECONDS else whole
    after = max(after, int(found.starts[0] // step * step))
    until = min(until, -int(-found.ends[-1] // step * step))
    return Span(after, max(after, until))


def _put(ledger: Ledger, unit: Unit, theirs: array[float], overwrite: bool, filled: Filled) -> Filled:
    """One unit of rows; what became of it is added to what became of the others. Raises DataError, StoreError."""
    if all(map(math.isnan, theirs)):
        return filled
    if any(rate > MOST_RATE for rate in theirs):
        raise DataError(f"its energy makes a row of more than {MOST_RATE:g} pulses a second; nothing was imported")
    ours = ledger.rows(unit)
    whole = merged(theirs, ours) if overwrite else merged(ours, theirs)
    fresh = sum(map(math.isnan, ours)) - sum(map(math.isnan, whole))
    both = sum(known and not math.isnan(rate) for known, rate in zip(_known(ours), theirs, strict=True))
    replaced = sum(a != b for a, b in compress(zip(ours, whole, strict=True), _known(ours)))
    if fresh or replaced:
        ledger.put(unit, whole)
    kind = "means" if unit.step_seconds == MEAN_SECONDS else "rows"
    return filled._replace(
        **{kind: getattr(filled, kind) + fresh},
        replaced=filled.replaced + replaced,
        kept=filled.kept + (0 if overwrite else both),
    )


def _known(rates: array[float]) -> list[bool]:
    return [rate == rate for rate in rates]  # noqa: PLR0124 (NaN: unknown)
