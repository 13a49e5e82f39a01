"""The rows of a meter as lines of CSV: 10 s, quarter hours, hours, or local days, months and years.

Energy comes from the 10 s rows as far as the lossless archive reaches, and from 15-minute means before. A line covers
[from, to); unknown is an empty field. Nothing is held in memory but a unit of rows.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Callable, Iterator
from itertools import compress, count, filterfalse
from typing import NamedTuple
from zoneinfo import ZoneInfo

from powerpi.digests import Unit, units
from powerpi.layout import MEAN_SECONDS, quarter_end
from powerpi.ledger import Ledger, Span
from powerpi.moments import STEPS, Stamps, next_start
from powerpi.pulses import STEP_SECONDS
from powerpi.units import WATT_HOURS_PER_KWH, watt_hours, watts

HEADINGS = "from,to,kwh,watts,known_seconds"


class Sum(NamedTuple):
    """What is known of [start, end), Unix seconds."""

    start: int
    end: int
    pulses: float
    known_seconds: int


class Part(NamedTuple):
    """Rows of one archive, pulses per second; the first begins at `after`."""

    step_seconds: int
    after: int
    rates: array[float]


def parts(ledger: Ledger, start: int | None, end: int | None) -> Iterator[Part]:
    """The rows in [start, end), Unix seconds, from the first known one to the last: means, then 10 s rows.

    What is asked for is cut to whole rows. Raises StoreError.
    """
    spans, begun = ledger.spans(), False
    last = _known_until(ledger, spans)
    end = last if end is None else min(end, last)
    for step, span in sorted(used_spans(spans).items(), reverse=True):
        for unit in units(step, *_cut(span, step, start, end)):
            rates = ledger.rows(unit)
            first = 0 if begun else next(compress(count(), map(operator.eq, rates, rates)), len(rates))  # NaN differs
            begun = begun or first < len(rates)
            if begun:
                yield Part(step, unit.after + first * step, rates[first:])


def _cut(span: Span, step: int, start: int | None, end: int) -> Span:
    """The part of a span that lies in [start, end), in whole rows."""
    after = span.after if start is None else max(span.after, -(-start // step) * step)
    return Span(after, min(span.until, end // step * step))


def _known_until(ledger: Ledger, spans: dict[int, Span]) -> int:
    """The end of the last known row; 0: there is none."""
    for step, span in sorted(used_spans(spans).items()):
        for unit in reversed(list(units(step, *span))):
            rates = ledger.rows(unit)
            for place in range(len(rates), 0, -1):
                if not math.isnan(rates[place - 1]):
                    return unit.after + place * step
    return 0


def used_spans(spans: dict[int, Span]) -> dict[int, Span]:
    """Which rows of each archive serve: the means end where the 10 s rows begin, at a whole quarter hour."""
    lossless = spans[STEP_SECONDS]
    if MEAN_SECONDS not in spans:
        return {STEP_SECONDS: lossless}
    border = quarter_end(lossless.after)
    return {
        MEAN_SECONDS: Span(spans[MEAN_SECONDS].after, border),
        STEP_SECONDS: Span(min(border, lossless.until), lossless.until),
    }


def sums(found: Iterator[Part], step: str, zone: ZoneInfo) -> Iterator[Sum]:
    """Rows put together to steps, one of moments.STEPS, cut at local time; coarser rows stand for themselves."""
    open_sum: Sum | None = None
    boundary = 0
    for part in found:
        if part.step_seconds >= STEPS[step]:
            yield from _singly(part)
            continue
        place = 0
        while place < len(part.rates):
            time = part.after + place * part.step_seconds
            if open_sum is None or time >= boundary or time != open_sum.end:
                if open_sum:
                    yield open_sum
                open_sum, boundary = Sum(time, time, 0.0, 0), next_start(time, step, zone)
            rows = min(-(-(boundary - time) // part.step_seconds), len(part.rates) - place)
            open_sum = _more(open_sum, part.rates[place : place + rows], part.step_seconds)
            place += rows
    if open_sum:
        yield open_sum


def _singly(part: Part) -> Iterator[Sum]:
    time, step = part.after, part.step_seconds
    for rate in part.rates:
        end = time + step
        yield Sum(time, end, rate * step, step) if rate == rate else Sum(time, end, 0.0, 0)  # noqa: PLR0124 (NaN)
        time = end


def _more(so_far: Sum, rates: array[float], step_seconds: int) -> Sum:
    known = list(filterfalse(math.isnan, rates))
    return Sum(
        so_far.start,
        so_far.end + step_seconds * len(rates),
        so_far.pulses + step_seconds * math.fsum(known),
        so_far.known_seconds + step_seconds * len(known),
    )


def lines(
    ledger: Ledger,
    imp_per_kwh: float,
    zone: ZoneInfo,
    step: str,
    *,
    start: int | None = None,
    end: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[str]:
    """The lines of the CSV, without headings; `progress` hears up to when, Unix seconds. Raises StoreError."""

    def heard() -> Iterator[Part]:
        for part in parts(ledger, start, end):
            yield part
            progress(part.after + len(part.rates) * part.step_seconds)

    text = Stamps(zone).text
    kwh_per_pulse, watts_of = watt_hours(1, imp_per_kwh) / WATT_HOURS_PER_KWH, watts(1, 1, imp_per_kwh)
    form = "%s,%s,%.9f,%.3f,%d\n" if STEPS[step] <= MEAN_SECONDS else "%s,%s,%.6f,%.3f,%d\n"  # no row loses anything
    ended, end_text = 0, ""
    for begin, until, pulses, known in sums(heard(), step, zone):
        begin_text = end_text if begin == ended else text(begin)
        ended, end_text = until, text(until)
        if known:
            yield form % (begin_text, end_text, pulses * kwh_per_pulse, pulses / known * watts_of, known)
        else:
            yield f"{begin_text},{end_text},,,0\n"


def held(ledger: Ledger) -> Unit:
    """From when to when there may be rows, for a progress bar. Raises StoreError."""
    spans = ledger.spans()
    return Unit(STEP_SECONDS, min(span.after for span in spans.values()), spans[STEP_SECONDS].until)
