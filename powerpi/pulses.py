"""Edges to pulses, pulses to rows: the arithmetic of PowerPi, pure.

In: edges (CLOCK_MONOTONIC seconds, contact closed or open) of one S0 contact.
Out: the time of each pulse, and rows: the lifetime counter read off at the boundaries of the 10 s grid.
"""

from __future__ import annotations

import math
from typing import NamedTuple

STEP_SECONDS = 10
IDLE_SECONDS = 3600  # without a pulse for this long, power is as good as zero ...
IDLE_KEPT_SECONDS = 1800  # ... but the newest part is kept back, so that the next pulse has room and makes no spike


class Edge(NamedTuple):
    """A change of level, with the kernel's time stamp (CLOCK_MONOTONIC seconds)."""

    time: float
    closed: bool
    missed: int = 0  # edges right before this one that the kernel counted but could not keep


class Contact(NamedTuple):
    """What is remembered of the contact between two edges."""

    closed: bool
    since: float | None = None  # when this level began; None: before anybody looked
    pulse_end: float = -math.inf  # when the last counted pulse, or its bouncing, ended
    rejected: int = 0  # edges that belong to no pulse
    lost: int = 0  # edges that nobody handed over: the kernel counted them, or two in a row had the same level


def feed(contact: Contact, edge: Edge, min_pulse_seconds: float) -> tuple[Contact, float | None]:
    """The contact after `edge`, and the time at which the pulse began that this edge completes, or None.

    A pulse is a closed contact for at least `min_pulse_seconds`, then open. Closing again sooner than that
    after a pulse is the same pulse bouncing. A contact found closed at the start makes no pulse: nobody saw
    it close.
    """
    time, closed, missed = edge
    was_closed, since, pulse_end, rejected, lost = contact
    lost += missed
    if closed == was_closed:
        if since is None and not missed:  # the change of pull, or an edge from before the level was read
            return contact, None
        return Contact(closed, time, pulse_end, rejected, lost if missed else lost + 1), None
    if closed or since is None:
        return Contact(closed, time, pulse_end, rejected, lost), None
    if since - pulse_end < min_pulse_seconds:
        return Contact(closed, time, time, rejected + 2, lost), None
    if time - since < min_pulse_seconds:
        return Contact(closed, time, pulse_end, rejected + 2, lost), None
    return Contact(closed, time, time, rejected, lost), since


class Knot(NamedTuple):
    """An instant at which the counter is known exactly; seconds of whichever clock the caller works in."""

    time: float
    pulses: float


class Row(NamedTuple):
    """The lifetime counter (with a fraction) at a boundary of the grid: Unix seconds, the END of its step."""

    time: int
    pulses: float


def next_boundary(time: float) -> int:
    """The first boundary of the grid after `time`."""
    return (math.floor(time / STEP_SECONDS) + 1) * STEP_SECONDS


def rows_between(before: Knot, after: Knot) -> list[Row]:
    """The rows on the line between two knots (Unix seconds): boundaries after `before`, up to `after`."""
    first = next_boundary(before.time)
    if first > after.time:
        return []
    slope = (after.pulses - before.pulses) / (after.time - before.time)
    boundaries = range(first, math.floor(after.time) + 1, STEP_SECONDS)
    return [Row(time, before.pulses + slope * (time - before.time)) for time in boundaries]


def idle_knot(last: Knot, now: float) -> Knot | None:
    """Where the line may be drawn on flat because no pulse came for IDLE_SECONDS, or None."""
    if now - last.time < IDLE_SECONDS:
        return None
    return Knot(now - IDLE_KEPT_SECONDS, last.pulses)
