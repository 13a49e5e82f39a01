"""What a mirror or a backup knows of a meter and nobody knows here any more, as on a new card.

Rows that are known here stay as they are. The daemon must not run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from powerpi import anchors, gaps
from powerpi.clock import OLDEST_TIME
from powerpi.digests import Unit, digest, units
from powerpi.errors import RefusedError
from powerpi.folder import storing
from powerpi.gaps import Gap
from powerpi.layout import MEAN_SECONDS, quarter_end
from powerpi.ledger import Ledger, merged
from powerpi.messages import Rows, Standing
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.ring import UNKNOWN
from powerpi.store import Store

FUTURE_SECONDS = 300  # as much as a mirror allows
MOST_PULSES_PER_SECOND = 1000 / 60  # EN 62053-31: 30 ms on, 30 ms off


class Source(Protocol):
    """Where rows come back from; every method raises PeerError or BackupError."""

    @property
    def name(self) -> str:
        """What to call it in a sentence."""

    def standing(self, meter: str) -> Standing:
        """What it holds of a meter."""

    def rows(self, meter: str, unit: Unit) -> Rows:
        """The rows that it holds of a unit, or of a part of one."""

    def digests(self, meter: str, unit: Unit, fresh: bool) -> dict[Unit, str]:
        """The digests of the units in a span of time; `fresh`: of what is there now."""


class Restored(NamedTuple):
    """What came back."""

    rows: int  # were unknown here
    means: int  # likewise, of the time before the last year
    pulses_before: int
    pulses: int  # the counter now
    offset_kwh: float  # what the source was told of the meter's display
    notes: tuple[str, ...]  # what was not as expected here


def restore(
    meter: str, store: Store, ledger: Ledger, source: Source, now: float, *, progress: Callable[[int, int], None]
) -> Restored | None:
    """Fetch what is missing; None: the source knows nothing of this meter. Raises PeerError, BackupError, StoreError.

    `now` is Unix seconds: rows of the future would wipe those that are known here. `progress` hears of rows looked at
    and rows there are. Ending it in the middle does no harm: begin again.
    """
    standing = source.standing(meter)
    if standing.newest is None and not standing.pulses:
        return None
    _check(standing, now, source.name)
    counted, notes = store.open(OLDEST_TIME)
    own = store.last_row
    after, until = standing.spans.get(STEP_SECONDS, (0, 0))  # a counter may be all that it knows
    total = (until - after) // STEP_SECONDS
    rows = _fill_rows(meter, ledger, source, standing, lambda done: progress(done, total)) if total else 0
    _end_alike(ledger, standing)
    store.open(OLDEST_TIME)  # the newest row may be another one now
    means = _fill_means(meter, ledger, source, standing)
    pulses = _counter(counted, own, ledger, standing)
    _tie_anew(store, standing, pulses - counted)  # before the counter: interrupted in between it does no harm
    store.save_register(pulses, _newest_time(ledger))
    _add_gaps(store, standing.gaps)
    return Restored(rows, means, counted, pulses, standing.offset_kwh, tuple(notes))


def _check(standing: Standing, now: float, name: str) -> None:
    """Raise RefusedError for what nobody can hold of a meter."""
    newest = max([standing.newest or 0, *(until for _, until in standing.spans.values())])
    if newest > now + FUTURE_SECONDS:
        raise RefusedError(f"{name} holds rows up to {newest}, {newest - now:.0f} s in the future: a clock is wrong")
    possible = (standing.newest_pulses or 0.0) + MOST_PULSES_PER_SECOND * (now - (standing.newest or 0) + 86400)
    if standing.pulses > possible:
        raise RefusedError(f"{name} holds a counter of {standing.pulses} pulses, which cannot be by its rows")


def _fill_rows(meter: str, ledger: Ledger, source: Source, standing: Standing, progress: Callable[[int], None]) -> int:
    """Put the source's rows where there are none here, oldest first; returns how many."""
    after, until = standing.spans[STEP_SECONDS]
    filled = 0
    for unit in _different(meter, ledger, source, Unit(STEP_SECONDS, after, until)):
        own = _newest_time(ledger) or None
        for part in _split(unit, own):
            filled += _fill(ledger, part, source.rows(meter, part), own, standing)
        progress((unit.until - after) // STEP_SECONDS)
    progress((until - after) // STEP_SECONDS)
    return filled


def _different(meter: str, ledger: Ledger, source: Source, span: Unit) -> Iterator[Unit]:
    """The units that the source holds otherwise than they are here: of those alone the rows are fetched."""
    there = source.digests(meter, span, fresh=False)
    return (unit for unit in units(*span) if digest(ledger.rows(unit)) != there.get(unit))


def _split(unit: Unit, own: int | None) -> list[Unit]:
    """A unit as the part that there are rows of here, and the part after the newest row here."""
    if own is None or not unit.after < own < unit.until:
        return [unit]
    return [unit._replace(until=own), unit._replace(after=own)]


def _fill(ledger: Ledger, unit: Unit, theirs: Rows, own: int | None, standing: Standing) -> int:
    """One unit's rows, or means; returns how many were unknown here."""
    if own is None or unit.after >= own:
        return _append(ledger, theirs, standing)
    held = ledger.spans()[unit.step_seconds].after
    if unit.after < held:  # older than what has room here
        if unit.until <= held:
            return 0
        theirs = Rows(unit.step_seconds, held, theirs.rates[(held - unit.after) // unit.step_seconds :])
        unit = unit._replace(after=held)
    ours = ledger.rows(unit)
    whole = merged(ours, theirs.rates)
    missing = sum(a != a and b == b for a, b in zip(ours, whole, strict=True))  # noqa: PLR0124 (NaN: unknown)
    if missing:
        ledger.put(unit, whole)
    return missing


def _append(ledger: Ledger, theirs: Rows, standing: Standing) -> int:
    """Rows that are newer than all here, without the unknown ones at their ends."""
    known = [place for place, rate in enumerate(theirs.rates) if rate == rate]  # noqa: PLR0124 (NaN: unknown)
    if not known:
        return 0
    first, end = known[0], known[-1] + 1
    later = standing.newest_pulses or 0.0
    ledger.append(theirs.after + first * STEP_SECONDS, theirs.rates[first:end], later)
    return len(known)


def _end_alike(ledger: Ledger, standing: Standing) -> None:
    """Let the rows end where those of the source do: the first row after a gap is unknown, and has a counter."""
    if standing.newest and _newest_time(ledger) < standing.newest:
        ledger.append(standing.newest - STEP_SECONDS, UNKNOWN, standing.newest_pulses or 0.0)


def _fill_means(meter: str, ledger: Ledger, source: Source, standing: Standing) -> int:
    """Put the source's means where there are none here, most of them of the time before the last year; how many."""
    spans = ledger.spans()
    if MEAN_SECONDS not in spans or MEAN_SECONDS not in standing.spans or not ledger.newest():
        return 0
    after = max(spans[MEAN_SECONDS].after, standing.spans[MEAN_SECONDS][0])
    until = min(spans[MEAN_SECONDS].until, standing.spans[MEAN_SECONDS][1])
    newest = spans[MEAN_SECONDS].until + 1  # all of them lie before it
    if after >= until:
        return 0
    filled = sum(
        _fill(ledger, unit, source.rows(meter, unit), newest, standing)
        for unit in _different(meter, ledger, source, Unit(MEAN_SECONDS, after, until))
    )
    edge = quarter_end(spans[STEP_SECONDS].after)
    if edge > spans[STEP_SECONDS].after and after < edge <= until:  # made of a part of its rows: the rest had no room
        last = Unit(MEAN_SECONDS, edge - MEAN_SECONDS, edge)
        ledger.put(last, merged(source.rows(meter, last).rates, ledger.rows(last)))
    return filled


def _counter(counted: int, own: Row | None, ledger: Ledger, standing: Standing) -> int:
    """The counter: that of the source, and what was counted here since it was told that.

    `own` is the newest row here before anything came back: `counted` may hold pulses that no row has yet.
    """
    newest = ledger.newest()
    if counted >= standing.pulses or not newest:
        return max(counted, standing.pulses)
    told = max(standing.pulses_time, ledger.spans()[STEP_SECONDS].after) // STEP_SECONDS * STEP_SECONDS
    since = (
        rate * STEP_SECONDS
        for unit in units(STEP_SECONDS, told, newest.time)
        for rate in ledger.rows(unit)
        if rate == rate  # noqa: PLR0124 (NaN: unknown)
    )
    after_rows = counted - own.pulses if own and own.time > standing.pulses_time else 0.0
    return standing.pulses + round(sum(since) + max(0.0, after_rows))


def _tie_anew(store: Store, standing: Standing, grown: int) -> None:
    """Let the readings that were noted here since the source was told its counter go on from one that has `grown`.

    Those that lie above the source's counter have been through this. Raises StoreError.
    """
    path = anchors.path_of(store.rrd)
    own, damaged = anchors.read(path)
    tied = tuple(
        anchor._replace(pulses=anchor.pulses + grown)
        if anchor.time > standing.pulses_time and anchor.pulses < standing.pulses
        else anchor
        for anchor in own
    )
    if tied != own:
        with storing(path):
            anchors.write(path, tied, damaged)


def _newest_time(ledger: Ledger) -> int:
    """The time of the newest row, 0 where there is none."""
    newest = ledger.newest()
    return newest.time if newest else 0


def _add_gaps(store: Store, told: tuple[Gap, ...]) -> None:
    """Keep the gaps that the source knows beside those known here."""
    path = store.rrd.with_suffix(".gaps")
    with storing(path):
        own, damaged = gaps.read(path)
        gaps.write(path, [*(gap for gap in told if gap.end), *own], damaged)
