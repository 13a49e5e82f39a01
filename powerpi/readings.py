"""Power now, energy of days and months, meter reading: plain values for whoever shows them.

Energies come from the stored rows; what is not stored yet is added from the counting thread's live picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from powerpi import anchors, units
from powerpi.errors import ReaderError
from powerpi.layout import LOSSLESS_DAYS, MEAN_SECONDS
from powerpi.meter import Live
from powerpi.periods import day_start, known_until
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.totals import Span, Total

LEAST_WAIT_SECONDS = 3.0  # before two pulses have come, an upper bound says something only from here on
LONGEST_PULSE_SECONDS = 0.12  # EN 62053-31
WAIT_SHARE = 1.2
BATCH_SECONDS = 31 * 86400  # read at once: more would make the reading process grow
CACHED_SPANS = 4096


class Energy(NamedTuple):
    """The energy of a span of time, and how much of that span is known."""

    watt_hours: float | None  # None: nothing is known
    known_seconds: int


class Day(NamedTuple):
    """The energy of a local day so far, and how much of it is unknown."""

    watt_hours: float | None
    unknown_seconds: int | None  # None: nothing can be said


NOTHING = Day(None, None)


class MeterReading(NamedTuple):
    """What is shown of a meter; times are Unix seconds, None is unknown."""

    meter: str
    label: str
    imp_per_kwh: float
    watts: float | None
    watts_at_most: bool  # waiting for the next pulse: `watts` is an upper bound
    last_pulse_time: float | None
    today_watt_hours: float | None
    today_unknown_seconds: int | None
    yesterday_watt_hours: float | None
    yesterday_unknown_seconds: int | None
    meter_reading_watt_hours: float
    edges_rejected: int
    edges_lost: int
    contact_closed: bool | None
    sampled: bool = False  # its energy is made of power samples, and as true as these
    received_from: str | None = None  # who sends it; None: it is counted here
    received_time: float | None = None  # when something last came from there
    silent: bool = False  # ... which is too long ago
    no_pulse_yet: bool = False  # none has ever been counted: then the bound says more of the wiring than of the house


class Facts(Protocol):
    """What is known of a meter from its settings, or from who sends it."""

    @property
    def name(self) -> str:
        """Its name in addresses."""

    @property
    def label(self) -> str:
        """What the page calls it."""

    @property
    def imp_per_kwh(self) -> float:
        """The meter constant, in impulses per kWh."""

    @property
    def offset_kwh(self) -> float:
        """What its display showed when the counter stood at 0, in kWh, as long as no reading is noted."""


class Notice(NamedTuple):
    """Something to tell the user: `notice_KEY` in the catalogue of texts, about a meter and with a value, or None."""

    key: str
    meter: str | None
    value: str | None


class Health(NamedTuple):
    """What is wrong (counting or its data in danger), and what somebody should look at."""

    faults: tuple[Notice, ...]
    warnings: tuple[Notice, ...]


def power(live: Live, imp_per_kwh: float) -> tuple[float | None, bool]:
    """Power in W, and whether that is an upper bound.

    While no pulse comes, power is at most 3 600 000 / (imp_per_kwh x seconds since the last one, or since the start).
    A pulse is known when it has ended, at most LONGEST_PULSE_SECONDS later. Loads are never quite constant: a wait
    a little longer than the last one does not yet mean less power.
    """
    since = live.begun if live.last_pulse is None else live.last_pulse
    waited = live.taken - since - LONGEST_PULSE_SECONDS
    if live.interval_seconds is None:
        return (units.watts(1, waited, imp_per_kwh), True) if waited >= LEAST_WAIT_SECONDS else (None, False)
    if waited > WAIT_SHARE * live.interval_seconds:
        return units.watts(1, waited, imp_per_kwh), True
    return units.watts(1, live.interval_seconds, imp_per_kwh), False


def rows_total(rows: Sequence[Row], start: int) -> Total:
    """Pulses and known seconds of rows after `start`; only neighbours one step apart know what was in between."""
    steps = [b.pulses - a.pulses for a, b in pairwise(rows) if a.time >= start and b.time - a.time == STEP_SECONDS]
    return (sum(steps) if steps else None), STEP_SECONDS * len(steps)


class Energies:
    """Energies of one meter's spans; those that lie wholly in the past are read once only."""

    def __init__(self, rrd: Path, imp_per_kwh: float, read: Callable[[Path, Sequence[Span], int], list[Total]]) -> None:
        self._rrd = rrd
        self._imp_per_kwh = imp_per_kwh
        self._read = read
        self._totals: dict[Span, Total] = {}
        self._lock = Lock()

    def of(self, spans: Sequence[Span], last_time: int) -> list[Energy]:
        """Energy of each span between quarter hours (Unix seconds), as far as it lies before the row at `last_time`."""
        oldest = last_time - LOSSLESS_DAYS * 86400
        clipped = [_clipped(span, last_time, oldest) for span in spans]
        with self._lock:
            self._learn([span for span in clipped if span[0] < span[1]], oldest)
            return [self._energy(span) for span in clipped]

    def forget(self) -> None:
        """Remember nothing: the past has changed."""
        with self._lock:
            self._totals.clear()

    def _learn(self, spans: Sequence[Span], oldest: int) -> None:
        if len(self._totals) > CACHED_SPANS:
            self._totals.clear()
        for step, old in ((STEP_SECONDS, False), (MEAN_SECONDS, True)):
            missing = [span for span in spans if span not in self._totals and (span[0] < oldest) == old]
            for batch in _batches(missing):
                self._totals.update(zip(batch, self._read(self._rrd, batch, step), strict=True))

    def _energy(self, span: Span) -> Energy:
        pulses, known_seconds = self._totals.get(span, (None, 0))
        return Energy(None if pulses is None else units.watt_hours(pulses, self._imp_per_kwh), known_seconds)


def _clipped(span: Span, last_time: int, oldest: int) -> Span:
    """The part of a span that can be read: up to the last row, in whole quarter hours where only those are left."""
    start, end = span[0], min(span[1], last_time)
    return (start, end // MEAN_SECONDS * MEAN_SECONDS) if start < oldest else (start, end)


def _batches(spans: Sequence[Span]) -> list[list[Span]]:
    """Groups of spans that lie within BATCH_SECONDS."""
    batches: list[list[Span]] = []
    for span in sorted(spans):
        if not batches or span[1] - batches[-1][0][0] > BATCH_SECONDS:
            batches.append([])
        batches[-1].append(span)
    return batches


class MeterReadings:
    """The readings of one meter."""

    def __init__(self, settings: Facts, energies: Energies, zone: ZoneInfo) -> None:
        self.settings = settings
        self.energies = energies
        self._zone = zone

    def read(self, live: Live, now: float, offset: float | None, brief: bool = False) -> MeterReading:
        """The figures at `now` (CLOCK_MONOTONIC); `offset` leads to Unix seconds, None while no clock is trusted.

        `brief`: without the energy of days, which may have to be read from the RRD.
        """
        imp_per_kwh = self.settings.imp_per_kwh
        watts, at_most = power(live, imp_per_kwh)
        yesterday, today = self._days(live, None if offset is None or brief else now + offset)
        return MeterReading(
            meter=self.settings.name,
            label=self.settings.label,
            imp_per_kwh=imp_per_kwh,
            watts=watts,
            watts_at_most=at_most,
            last_pulse_time=None if offset is None or live.last_pulse is None else live.last_pulse + offset,
            today_watt_hours=today.watt_hours,
            today_unknown_seconds=today.unknown_seconds,
            yesterday_watt_hours=yesterday.watt_hours,
            yesterday_unknown_seconds=yesterday.unknown_seconds,
            meter_reading_watt_hours=anchors.watt_hours(
                live.anchors, live.pulses, imp_per_kwh, self.settings.offset_kwh
            ),
            edges_rejected=live.contact.rejected,
            edges_lost=live.contact.lost,
            contact_closed=live.contact.closed,
            no_pulse_yet=live.pulses == 0 and live.last_pulse is None,
        )

    def _days(self, live: Live, time: float | None) -> list[Day]:
        """Yesterday and today at Unix time `time`; unknown without it, or while the store cannot be read."""
        if time is None:
            return [NOTHING, NOTHING]
        midnights = [day_start(time, self._zone, days) for days in (-1, 0, 1)]
        newest_time = live.rows[-1].time if live.rows else 0
        until = known_until(newest_time, time)
        try:
            return [self._day(live, span, until, newest_time) for span in pairwise(midnights)]
        except ReaderError:  # the live figure and the counter do not depend on it
            return [NOTHING, NOTHING]

    def _day(self, live: Live, span: Span, until: int, newest_time: int) -> Day:
        """One day: what is stored, then rows not stored yet, then pulses counted since the newest row."""
        start, end = span
        stored = self.energies.of([span], live.rows[0].time if live.rows else 0)[0]
        fresh_pulses, fresh_seconds = rows_total([row for row in live.rows if row.time <= end], start)
        counted = live.pulses_since if start <= newest_time < end else 0.0
        parts = [fresh_pulses, counted or None]
        known = [units.watt_hours(part, self.settings.imp_per_kwh) for part in parts if part is not None]
        if stored.watt_hours is not None:
            known.append(stored.watt_hours)
        unknown_seconds = min(until, end) - start - stored.known_seconds - fresh_seconds
        return Day(sum(known) if known else None, max(0, unknown_seconds))
