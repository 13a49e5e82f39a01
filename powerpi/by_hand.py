"""What else is done by hand: `powerpi create`, `powerpi push` and `powerpi restore`."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from powerpi import anchors, gaps, register, restore, units
from powerpi.clock import OLDEST_TIME, SystemClock
from powerpi.config import MeterSettings, PushSettings, Settings
from powerpi.errors import ConfigError, PeerError, StoreError
from powerpi.folder import is_locked, locked_folder, storing
from powerpi.keys import POWERPI
from powerpi.ledger import Ledger
from powerpi.messages import State
from powerpi.progress import Progress
from powerpi.pulses import STEP_SECONDS, next_boundary
from powerpi.sending import open_peer
from powerpi.store import Store
from powerpi.sync import Twin, Verdict

if TYPE_CHECKING:
    from powerpi.peer import Peer

LEAST_KWH = 1e-6  # less is rounding


def create(settings: Settings) -> int:
    """Make the empty RRDs of all meters that are counted here; returns the exit code. Raises StoreError."""
    code = os.EX_OK
    with locked_folder(settings.state):
        for meter in settings.meters:
            store = Store(settings.state, meter.name, settings.store.archive_years, Lock())
            try:
                store.create(next_boundary(time.time()) - 2 * STEP_SECONDS)
                print(f"made {store.rrd}")
            except StoreError as error:
                print(f"powerpi: {error}", file=sys.stderr)
                code = os.EX_IOERR
    return code


def push(settings: Settings, verify: bool, counter: bool) -> int:
    """Send all rows on disk that the mirror lacks, with a progress bar; `verify` compares all rows afterwards.

    `counter` has the mirror take the counters of this machine. Works while the daemon runs, and while it does not.
    Returns the exit code: 1 when the two are still not identical after what could be put right was.
    Raises ConfigError, PeerError, StoreError.
    """
    wanted = _pushed(settings)
    _check_clock(settings)
    identical = True
    with _peer(wanted) as peer, _at_rest(settings) as running:
        for meter in _sent(settings, wanted):
            if not (settings.state / f"{meter.name}.rrd").exists():
                print(f"{meter.name}: nothing has been counted yet")
                continue
            twin = Twin(meter.name, Ledger(settings.state / f"{meter.name}.rrd", Lock()), peer)
            if counter:
                peer.replace_counter(meter.name, _stored_pulses(settings, meter))
            # a daemon that runs knows more of this moment
            state = None if running else _state(settings, meter, wanted.interval_seconds)
            _send(twin, state)
            if verify:
                verdict, said = _compared(twin, peer, settings.timezone)
                identical = identical and not any(verdict[1:])
                print(f"{meter.name}: {said}")
    return 0 if identical else 1


def _check_clock(settings: Settings) -> None:
    if not SystemClock(settings.network_time).trusted():
        raise PeerError("the clock is not synchronised; nothing is exchanged with times that may be wrong")


def _sent(settings: Settings, wanted: PushSettings) -> Iterator[MeterSettings]:
    return (meter for meter in settings.meters if meter.name in wanted.meters)


def _send(twin: Twin, state: State | None) -> None:
    behind = None
    with Progress(f"Sending {twin.meter}", 1) as bar:
        for progress in twin.catch_up(lambda: state):
            behind = max(behind or 1, progress.behind_rows, 1)
            bar.to(1 - progress.behind_rows / behind)
    print(f"{twin.meter}: in step")


def _compared(twin: Twin, peer: Peer, zone: ZoneInfo) -> tuple[Verdict, str]:
    """Compare, put right what differs, and compare again; what is left then, and all of it in a line."""
    first = twin.verify(fresh=True)
    left = twin.verify(fresh=True) if first.repaired_rows or first.healed_rows else first
    if left.until is None:
        return left, f"there is nothing to compare with {peer.name}"
    until = f"{datetime.fromtimestamp(left.until, zone):%F %T}"
    differs = left.repaired_rows or left.healed_rows or left.damaged_rows
    alone = left.only_there_rows
    but = f" but for {alone} rows that are known there alone (`powerpi restore --from-mirror` fetches them)"
    parts = [f"{'not ' if differs else ''}identical up to {until}{but if alone else ''}"]
    for count, text in (
        (first.repaired_rows, "rows were missing or different there and were sent again"),
        (first.healed_rows, "rows had changed on the disk here and were fetched from there"),
        (
            left.damaged_rows,
            "rows are of days that have changed on the disk here and are otherwise there too: left alone",
        ),
    ):
        if count:
            parts.append(f"{count} {text}")
    return left, "; ".join(parts)


def from_mirror(settings: Settings) -> int:
    """Fetch from the mirror what is not known here. Raises ConfigError, PeerError, StoreError."""
    wanted = _pushed(settings)
    _check_clock(settings)
    with _peer(wanted) as peer, locked_folder(settings.state) as lock:
        for meter in _sent(settings, wanted):
            gate = Lock()
            store = Store(settings.state, meter.name, settings.store.archive_years, gate, lock.hold)
            with Progress(f"Fetching {meter.name}", 1) as bar:
                found = restore.restore(
                    meter.name,
                    store,
                    Ledger(store.rrd, gate, lock.hold),
                    peer,
                    time.time(),
                    progress=lambda done, total: bar.to(done / max(total, 1)),
                )
            for note in found.notes if found else ():
                print(f"{meter.name}: {note}", file=sys.stderr)
            print(f"{meter.name}: {_restored(meter, found, peer, store)}")
    return 0


def _restored(meter: MeterSettings, found: restore.Restored | None, peer: Peer, store: Store) -> str:
    if found is None:
        return f"{peer.name} knows nothing of it"
    parts = [
        f"{found.rows} rows and {found.means} older means came back",
        f"the counter stands at {found.pulses} pulses (before: {found.pulses_before})",
    ]
    noted = _note_told(meter, found, store)
    if noted:
        kwh = noted.watt_hours / units.WATT_HOURS_PER_KWH
        parts.append(f"that its display shows {kwh:.1f} kWh then is noted, as the mirror was told")
    return "; ".join(parts)


def _note_told(meter: MeterSettings, found: restore.Restored, store: Store) -> anchors.Anchor | None:
    """Note what the display showed as the mirror was told, where nothing is noted here and it is not as configured.

    Raises StoreError.
    """
    path = anchors.path_of(store.rrd)
    noted, damaged = anchors.read(path)
    watt_hours = units.watt_hours(found.pulses, meter.imp_per_kwh) + found.offset_kwh * units.WATT_HOURS_PER_KWH
    if noted or watt_hours < 0 or math.isclose(found.offset_kwh, meter.offset_kwh, abs_tol=LEAST_KWH):
        return None
    anchor = anchors.Anchor(store.known_until or int(time.time()), watt_hours, found.pulses)
    with storing(path):
        anchors.write(path, [anchor], damaged)
    return anchor


def _pushed(settings: Settings) -> PushSettings:
    """What is said of the mirror, which can be asked what it holds. Raises ConfigError."""
    push = settings.push
    if push is None:
        raise ConfigError(["[push] is missing: wanted url, user and password of a mirror"])
    if push.protocol != POWERPI:
        raise ConfigError([f"[push] protocol = {push.protocol}: wanted {POWERPI}, nobody can ask such a server"])
    return push


@contextmanager
def _peer(settings: PushSettings) -> Iterator[Peer]:
    peer = open_peer(settings)
    try:
        yield peer
    finally:
        peer.close()


@contextmanager
def _at_rest(settings: Settings) -> Iterator[bool]:
    """Whether a daemon runs; while none does, keep it from starting, and put right what a killed one left behind."""
    if is_locked(settings.state):
        yield True
        return
    with locked_folder(settings.state):
        for meter in settings.meters:
            if (settings.state / f"{meter.name}.rrd").exists():
                _, notes = Store(settings.state, meter.name, settings.store.archive_years, Lock()).open(OLDEST_TIME)
                for note in notes:
                    print(f"{meter.name}: {note}", file=sys.stderr)
        yield False


def _stored_pulses(settings: Settings, meter: MeterSettings) -> int:
    known = register.read(settings.state / f"{meter.name}.register")
    return known.pulses if known else 0


def _state(settings: Settings, meter: MeterSettings, push_seconds: int) -> State:
    """What is told along with the rows of a meter that is not counted just now."""
    found, _ = gaps.read(settings.state / f"{meter.name}.gaps")
    noted, _ = anchors.read(anchors.path_of(settings.state / f"{meter.name}.rrd"))
    pulses = _stored_pulses(settings, meter)
    return State(
        label=meter.label,
        imp_per_kwh=meter.imp_per_kwh,
        offset_kwh=anchors.offset_kwh(noted, pulses, meter.imp_per_kwh, meter.offset_kwh),
        pulses=pulses,
        interval_seconds=None,
        last_pulse_age_seconds=None,
        begun_age_seconds=0.0,
        contact_closed_age_seconds=None,
        edges_rejected=0,
        edges_lost=0,
        lost_edge_age_seconds=None,
        push_seconds=push_seconds,
        gaps=found,
    )
