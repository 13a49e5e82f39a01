"""`powerpi check`, the meters: the contact and its pulses, rows and gaps on disk, and the counter."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock

from powerpi import gaps, register
from powerpi.clock import Clock
from powerpi.config import MeterSettings, Settings
from powerpi.contacts import Sight, Sights, open_source
from powerpi.digests import Unit
from powerpi.errors import DamagedError, NobodyError, PinError, RefusedError, StoreError
from powerpi.finding import Finding
from powerpi.gaps import Gap
from powerpi.layout import MEAN_SECONDS
from powerpi.ledger import Ledger
from powerpi.periods import day_start, span_text
from powerpi.progress import Progress
from powerpi.pulse_health import KEPT
from powerpi.pulses import IDLE_SECONDS, STEP_SECONDS, Row
from powerpi.watching import place_text

SLICE_SECONDS = 0.25
CLOSED_SECONDS = 0.5  # a pulse is over sooner
FUTURE_SECONDS = 60


def check_contacts(
    settings: Settings, seconds: float, clock: Clock, sleep: Callable[[float], None]
) -> Iterator[Finding]:
    """Whether each pin can be read, its level, and the pulses of the last, or the next, `seconds`."""
    try:
        source = open_source(settings, clock)
    except PinError as error:
        yield Finding("pins", False, str(error))
        return
    except (NobodyError, RefusedError) as error:
        yield Finding("pins", None, f"not looked at, for a PowerPi that cannot be asked may hold them: {error}")
        return
    try:
        if seconds and not source.running:
            listen(seconds, sleep)
        sights = source.look({})
    finally:
        source.close()
    for meter in settings.meters:
        if meter.name in sights.meters:
            yield check_contact(meter, sights.meters[meter.name], sights, seconds)
        else:
            yield Finding(f"meter {meter.name}", None, "the PowerPi that runs does not know it yet: restart it")


def listen(seconds: float, sleep: Callable[[float], None]) -> None:
    """Wait while pulses come."""
    slices = round(seconds / SLICE_SECONDS)
    with Progress(f"listening for pulses for {seconds:g} s", slices) as progress:
        for done in range(slices):
            progress.to(done)
            sleep(SLICE_SECONDS)


def check_contact(meter: MeterSettings, sight: Sight, sights: Sights, seconds: float) -> Finding:
    """One meter's contact: what it is now, and the pulses of the last `seconds`."""
    closed_seconds = sights.now - sight.since if sight.closed else 0.0
    stuck = closed_seconds > CLOSED_SECONDS
    level = f"closed for {span_text(int(closed_seconds))}: look at the wiring or at `pull`" if stuck else "open"
    heard, said = _pulses(sight, sights.now, seconds)
    lost = f"; {sight.lost} edges were lost" if sight.lost else ""
    text = f"{place_text(meter)}, {meter.imp_per_kwh:g} imp/kWh, contact {level}; {said}{lost}"
    return Finding(f"meter {meter.name}", None if stuck or not heard or sight.lost else True, text)


def _pulses(sight: Sight, now: float, seconds: float) -> tuple[bool, str]:
    """Whether there is no need to look closer, and the pulses in words."""
    last = f"the newest {span_text(int(now - sight.seen.pulses[-1][0]))} ago" if sight.seen.pulses else "none so far"
    if not seconds:
        return True, f"pulses: {last}"
    of_late = sum(begin >= now - seconds for begin, _ in sight.seen.pulses)
    more = " or more" if of_late == KEPT else ""
    said = f"{of_late}{more} pulse{'' if of_late == 1 else 's'} in {seconds:g} s, {last}"
    return (True, said) if of_late else (False, f"{said}: `powerpi check --watch` shows each one as it comes")


def check_files(settings: Settings, meter: str, running: bool, now: float) -> Iterator[Finding]:
    """The files of one meter, counted here or received; `now` is Unix seconds."""
    what, rrd = f"rows {meter}", settings.state / f"{meter}.rrd"
    row = None
    try:
        if os.path.lexists(rrd):
            row = Ledger(rrd, Lock()).newest()
            yield _check_rows(settings, meter, row, running, now) if row else _check_means(settings, rrd, what)
        else:
            yield Finding(what, None, f"{rrd} is not there yet; PowerPi makes it")
    except DamagedError as error:
        yield Finding(what, False, f"{error}; at the next start it is set aside, and a new one begun")
    except StoreError as error:
        yield Finding(what, False, str(error))
    yield check_counter(settings, meter, row)


def _check_means(settings: Settings, rrd: Path, what: str) -> Finding:
    """An RRD without rows: its size, and the years of its means, which an import may have brought."""
    size = f"{rrd.stat().st_size / 1e6:.0f} MB"
    ledger = Ledger(rrd, Lock())
    span = ledger.spans().get(MEAN_SECONDS)
    means = ledger.rows(Unit(MEAN_SECONDS, *span)) if span else ()
    known = [number for number, mean in enumerate(means) if not math.isnan(mean)]
    if not span or not known:
        return Finding(what, None, f"{size}, no row yet")
    ends = (span.after + known[0] * MEAN_SECONDS, span.after + known[-1] * MEAN_SECONDS)
    first, last = (datetime.fromtimestamp(time, settings.timezone).year for time in ends)
    years = f"of {first}" if first == last else f"from {first} to {last}"
    return Finding(what, None, f"{size}, no row of {STEP_SECONDS} s yet; means {years}")


def _check_rows(settings: Settings, meter: str, row: Row, running: bool, now: float) -> Finding:
    """The RRD that is there: its size, newest row, and today's gaps."""
    what, rrd, zone = f"rows {meter}", settings.state / f"{meter}.rrd", settings.timezone
    today = day_start(now, zone)
    size = f"{rrd.stat().st_size / 1e6:.0f} MB"
    lacking = gaps_text(gaps.read(rrd.with_suffix(".gaps"))[0], int(today), int(now))
    age = now - row.time
    newest = f"{size}, newest row {datetime.fromtimestamp(row.time, zone):%F %T}"
    if age < -FUTURE_SECONDS:
        return Finding(what, False, f"{newest}, {span_text(int(-age))} in the future: one of two clocks was wrong")
    said = f"{newest} ({span_text(max(0, int(age)))} ago), {lacking}"
    counted = meter in [one.name for one in settings.meters]
    late = running and counted and age > IDLE_SECONDS + 3 * settings.store.flush_seconds
    return Finding(what, None if late else True, f"{said}; it is late: see the log" if late else said)


def gaps_text(found: Sequence[Gap], since: int, now: int) -> str:
    """The gaps since a time, in words."""
    lately = [gap for gap in found if gap.end is None or gap.end > since]
    if not lately:
        return "no gap today"
    seconds = sum((now if gap.end is None else gap.end) - max(gap.start, since) for gap in lately)
    return f"{len(lately)} gap{'' if len(lately) == 1 else 's'} today, {span_text(max(0, seconds))} in all"


def check_counter(settings: Settings, meter: str, row: Row | None) -> Finding:
    """The register, and whether it fits the newest row."""
    what, path = f"counter {meter}", settings.state / f"{meter}.register"
    try:
        known = register.read(path)
        damaged = known is None and not register.is_blank(path)
    except NotADirectoryError:  # the state folder is none: that is told already
        known, damaged = None, False
    except OSError as error:
        return Finding(what, False, f"{path} cannot be read: {error.strerror}")
    if damaged:
        return Finding(
            what, False, f"{path} is damaged; at the next start it is set aside, and the rows tell the counter"
        )
    if known is None:
        return Finding(what, None, f"{path} holds nothing yet")
    written = f"{datetime.fromtimestamp(known.time, settings.timezone):%F %T}" if known.time else "at an unknown time"
    said = f"{known.pulses} pulses, written {written}"
    due = known.time + settings.store.register_seconds + STEP_SECONDS
    if row and row.time > due and row.pulses > known.pulses + 1:
        return Finding(what, None, f"{said}, but the newest row knows {row.pulses:.0f}: the disk forgot a write")
    return Finding(what, True, said)
