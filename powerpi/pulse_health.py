"""How healthy the pulses of a contact look: the newest closings, and what their widths and pauses say. Pure.

In: when the contact closed and opened again (CLOCK_MONOTONIC seconds), and whether that counted as a pulse.
Out: widths and pauses in milliseconds, power in W, a proposed `min_pulse_ms`. What is not known is None.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import pairwise
from math import sqrt
from operator import sub
from statistics import median
from typing import NamedTuple

from powerpi import units
from powerpi.pulses import Contact, Edge, feed

KEPT = 300  # closings of each kind: an unquiet contact does not drive out the pulses
S0_SECONDS = 0.03  # EN 62053-31: the shortest pulse and the shortest pause
LONGEST_SECONDS = 0.12  # EN 62053-31; what is closed for longer is turned by a disc, and shorter at a higher power
LEAST_PULSES = 10  # fewer say nothing
NEAR = 3  # neighbouring distances that make a power: a single one may be a disturbance
LATE_SECONDS = 86400.0  # how long a high power is remembered
HOUR_SECONDS = 3600.0
HOURS = int(LATE_SECONDS // HOUR_SECONDS)
MARGIN = 1.5  # a limit this much above all disturbances and below all pulses is a good one
MOST_PROPOSED_MS = 29.0  # the configuration takes less than 30
NEAR_SHARE = 0.8  # of the highest countable power: worth a look
WIDTH_EDGES_MS = (0, 10, 20, 30, 40, 60, 80, 100, 120, 200, 500, 1000)
PAUSE_EDGES_MS = (0, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)

Closing = tuple[float, float]  # when the contact closed, and when it opened again


class Seen(NamedTuple):
    """The newest closings of one contact, oldest first."""

    pulses: tuple[Closing, ...] = ()
    rejected: tuple[Closing, ...] = ()
    nearest: tuple[tuple[int, float], ...] = ()  # an hour of CLOCK_MONOTONIC, the shortest mean distance of pulses then
    min_pulse_ms: float = 0.0  # as configured


class Trace:
    """Remembers the newest closings of one contact; for the thread that counts, which hands out what is `seen`."""

    def __init__(self, min_pulse_seconds: float) -> None:
        self._pulses: deque[Closing] = deque(maxlen=KEPT)
        self._rejected: deque[Closing] = deque(maxlen=KEPT)
        self._min_pulse_seconds = min_pulse_seconds
        self._fresh = 0  # pulses since they were last handed out
        self._seen = Seen(min_pulse_ms=min_pulse_seconds * 1000)

    def feed(self, contact: Contact, edge: Edge) -> tuple[Contact, float | None]:
        """As `pulses.feed`; a closing that the edge ends is remembered."""
        after, pulse = feed(contact, edge, self._min_pulse_seconds)
        if pulse is not None:
            self.pulse(pulse, edge.time)
        elif after.rejected != contact.rejected:
            self.reject(contact.since, edge.time)
        return after, pulse

    def pulse(self, begin: float, end: float) -> None:
        """A closing that counted."""
        self._pulses.append((begin, end))
        self._fresh += 1

    def reject(self, begin: float | None, end: float) -> None:
        """A closing that did not count."""
        if begin is not None:
            self._rejected.append((begin, end))

    def seen(self) -> Seen:
        """What has been seen so far; the same object while nothing has come."""
        seen, rejected = self._seen, self._rejected
        newest = seen.rejected[-1] if seen.rejected else None
        if not self._fresh and (not rejected or rejected[-1] == newest):
            return seen
        pulses = tuple(self._pulses)
        nearest = _nearest(seen.nearest, pulses, self._fresh)
        self._fresh = 0
        self._seen = Seen(pulses, tuple(rejected), nearest, seen.min_pulse_ms)
        return self._seen


def _nearest(
    known: tuple[tuple[int, float], ...], pulses: Sequence[Closing], fresh: int
) -> tuple[tuple[int, float], ...]:
    """The shortest mean distance of NEAR + 1 neighbours, hour by hour, with the `fresh` last pulses taken in.

    These came within a turn of the counting thread, and so in the hour of the newest.
    """
    begins = [begin for begin, _ in pulses[-fresh - NEAR :]] if fresh else []
    if len(begins) <= NEAR:
        return known
    distance = min(map(sub, begins[NEAR:], begins)) / NEAR
    hour = int(begins[-1] // HOUR_SECONDS)
    if known and known[-1][0] == hour:
        return known if known[-1][1] <= distance else (*known[:-1], (hour, distance))
    return (*known[-HOURS:], (hour, distance))


class Told(NamedTuple):
    """One closing as it is told."""

    begin: float  # CLOCK_MONOTONIC seconds
    counted: bool
    width_ms: float
    pause_ms: float | None  # since the pulse before; of one that did not count, since the closing before
    watts: float | None  # that the distance to the pulse before means; of pulses alone


def told(seen: Seen, imp_per_kwh: float) -> list[Told]:
    """All closings that were seen, oldest first."""
    found: list[Told] = []
    last_pulse: Closing | None = None
    last: Closing | None = None
    counted = ((closing, True) for closing in seen.pulses)
    for closing, is_pulse in merge(counted, ((closing, False) for closing in seen.rejected)):
        (begin, end), before = closing, last_pulse if is_pulse else last
        pause_ms = (begin - before[1]) * 1000 if before else None
        far = is_pulse and before is not None and begin > before[0]
        watts = units.watts(1, begin - before[0], imp_per_kwh) if before and far else None
        found.append(Told(begin, is_pulse, (end - begin) * 1000, pause_ms, watts))
        last, last_pulse = closing, closing if is_pulse else last_pulse
    return found


class Bin(NamedTuple):
    """One column of a histogram: from `from_ms` to below `until_ms` (None: whatever is longer)."""

    from_ms: int
    until_ms: int | None
    pulses: int
    rejected: int


class PulseHealth(NamedTuple):
    """What the newest pulses say."""

    pulses: int  # looked at, likewise the next
    rejected: int
    width_ms: float | None  # median, of pulses
    shortest_width_ms: float | None
    pause_ms: float | None  # median
    shortest_pause_ms: float | None
    widths: tuple[Bin, ...]
    pauses: tuple[Bin, ...]  # before pulses
    min_pulse_ms: float  # as configured
    proposed_min_pulse_ms: float | None  # only where the configured one leaves too little margin
    highest_watts: float | None  # the highest power that could be counted
    peak_watts: float | None  # the highest that was seen in the last day
    peak_share: float | None  # the one as a share of the other: above NEAR_SHARE it is worth a look


def health(seen: Seen, imp_per_kwh: float, now: float) -> PulseHealth:
    """The summary of what was seen up to `now`, CLOCK_MONOTONIC seconds."""
    widths = [(end - begin) * 1000 for begin, end in seen.pulses]
    short = [(end - begin) * 1000 for begin, end in seen.rejected]
    pauses = [(after[0] - before[1]) * 1000 for before, after in pairwise(seen.pulses)]
    return PulseHealth(
        pulses=len(widths),
        rejected=len(short),
        width_ms=median(widths) if widths else None,
        shortest_width_ms=min(widths, default=None),
        pause_ms=median(pauses) if pauses else None,
        shortest_pause_ms=min(pauses, default=None),
        widths=histogram(WIDTH_EDGES_MS, widths, short),
        pauses=histogram(PAUSE_EDGES_MS, pauses),
        min_pulse_ms=seen.min_pulse_ms,
        proposed_min_pulse_ms=proposed_min_pulse_ms(widths, short, seen.min_pulse_ms),
        highest_watts=highest_watts(seen, imp_per_kwh),
        peak_watts=peak_watts(seen, imp_per_kwh, now),
        peak_share=peak_share(seen, imp_per_kwh, now),
    )


def histogram(edges_ms: Sequence[int], pulses: Iterable[float], rejected: Iterable[float] = ()) -> tuple[Bin, ...]:
    """How many lengths fall between each edge and the next, without the empty columns at either end."""
    counts = [[0, 0] for _ in edges_ms]
    for kind, lengths in enumerate((pulses, rejected)):
        for length in lengths:
            counts[max(0, bisect_right(edges_ms, round(length, 6)) - 1)][kind] += 1
    ends = [*edges_ms[1:], None]
    bins = [Bin(edge, end, *count) for edge, end, count in zip(edges_ms, ends, counts, strict=True)]
    used = [number for number, one in enumerate(bins) if one.pulses or one.rejected]
    return tuple(bins[used[0] : used[-1] + 1]) if used else ()


def proposed_min_pulse_ms(widths: Sequence[float], short: Sequence[float], configured: float) -> float | None:
    """A limit halfway between the longest disturbance and the shortest true pulse; None: the configured one is good.

    A disturbance is what lasts less than S0 allows and less than half of the usual pulse, counted or not. Disturbances
    last from microseconds to milliseconds, pulses tens of them: halfway is the geometric mean, as many times longer
    than the one as shorter than the other. Without disturbances it is half the shortest pulse.
    """
    if len(widths) < LEAST_PULSES:
        return None
    border = min(S0_SECONDS * 1000, median(widths) / 2)
    disturbance = max((width for width in (*widths, *short) if width < border), default=0.0)
    shortest = min(width for width in widths if width >= border)
    if MARGIN * disturbance <= configured and configured * MARGIN <= shortest:
        return None
    halfway = sqrt(disturbance * shortest) if disturbance else shortest / 2
    proposed = min(MOST_PROPOSED_MS, float(f"{halfway:.2g}"))
    return proposed if disturbance < proposed < shortest and proposed != configured else None


def highest_watts(seen: Seen, imp_per_kwh: float) -> float | None:
    """The power at which pulses of the usual width would be as near to each other as S0 and `min_pulse_ms` allow."""
    if len(seen.pulses) < LEAST_PULSES:
        return None
    usual = median(end - begin for begin, end in seen.pulses)
    pause = max(S0_SECONDS, seen.min_pulse_ms / 1000)
    return units.watts(1, min(usual, LONGEST_SECONDS) + pause, imp_per_kwh)


def peak_watts(seen: Seen, imp_per_kwh: float, now: float) -> float | None:
    """The highest power of the last day that NEAR + 1 neighbouring pulses mean; None: too few have come."""
    oldest = (now - LATE_SECONDS) // HOUR_SECONDS
    distance = min((distance for hour, distance in seen.nearest if hour >= oldest), default=0.0)
    return units.watts(1, distance, imp_per_kwh) if distance > 0 else None


def peak_share(seen: Seen, imp_per_kwh: float, now: float) -> float | None:
    """The highest power of the last day as a share of the highest that could be counted."""
    peak, highest = peak_watts(seen, imp_per_kwh, now), highest_watts(seen, imp_per_kwh)
    return peak / highest if peak and highest else None


class Pulses(NamedTuple):
    """The newest closings of a meter's contact and what they say; `offset` leads to Unix seconds, None: not yet."""

    told: list[Told]
    health: PulseHealth
    offset: float | None


def pulses_of(seen: Seen, imp_per_kwh: float, now: float, offset: float | None) -> Pulses:
    """What is told of a contact at `now`, CLOCK_MONOTONIC seconds."""
    return Pulses(told(seen, imp_per_kwh), health(seen, imp_per_kwh, now), offset)
