"""Builds the parts that the daemon runs: the counters restored, nothing started."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

from powerpi import looking
from powerpi.answering import handlers
from powerpi.clock import OLDEST_TIME, Clock
from powerpi.config import Settings
from powerpi.counting import Counting, Timing
from powerpi.door import Door, Handler
from powerpi.furnish import build_reader, counted_room, received_room
from powerpi.gaps import UNKNOWN, Session
from powerpi.house import House, Received
from powerpi.ledger import Ledger
from powerpi.meter import Meter
from powerpi.mirror import Mirror
from powerpi.notary import notary
from powerpi.pictures import Gallery
from powerpi.pin import Pin, watch
from powerpi.pulses import STEP_SECONDS, next_boundary
from powerpi.push import Push
from powerpi.reader import Reader
from powerpi.sending import build_push
from powerpi.store import Store

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_DIED = 1  # a thread died: start again


class Parts(NamedTuple):
    """Everything that runs."""

    counting: Counting
    house: House
    reader: Reader
    pins: tuple[Pin, ...]
    mirror: Mirror | None
    push: Push | None
    door: Door


class Fate:
    """Why the process ends: asked to, or a thread died."""

    def __init__(self) -> None:
        self.exit_code = EXIT_OK

    def died(self, name: str, death: BaseException) -> None:
        """A thread ended with an exception: take the process down, so that it is started again."""
        self.exit_code = EXIT_DIED
        log.critical("thread %s died, ending: %r", name, death, exc_info=death)
        os.kill(os.getpid(), signal.SIGTERM)


def open_meters(
    settings: Settings, pins: Sequence[Pin], open_store: Callable[[str], Store], start: int, last_end: str
) -> list[Meter]:
    """The meters with their restored counters. Raises StoreError."""
    meters = []
    for meter, pin in zip(settings.meters, pins, strict=True):
        counted = Meter(meter.name, pin, open_store(meter.name), meter.min_pulse_ms / 1000, start, last_end=last_end)
        for note in counted.notes:
            log.warning("meter %s: %s", meter.name, note)
        log.info(
            "meter %s: GPIO%d, %g imp/kWh, counter at %d pulses",
            *(meter.name, meter.gpio, meter.imp_per_kwh, counted.pulses),
        )
        meters.append(counted)
    return meters


def last_end(session: Session) -> str:
    """How the last run ended; a disk that refuses is no reason not to count."""
    try:
        reason = session.last_end()
    except OSError as error:
        log.warning("how the last run ended cannot be read: %s", error)
        return UNKNOWN
    if reason == UNKNOWN:
        log.info("no run before this one is noted")
    else:
        log.info("how the last run ended: %s", reason.replace("_", " "))
    return reason


def build_mirror(settings: Settings, counting: Counting, files: Callable[[str], tuple[Store, Ledger]]) -> Mirror | None:
    """The receiving side; None where nobody may send. Raises StoreError."""
    if not settings.senders:
        return None
    clock = counting.clock

    def now() -> float | None:
        return None if counting.offset is None else clock.monotonic() + counting.offset

    return Mirror(settings.senders, files, clock.monotonic, now, lambda: counting.trusted)


def first_start(clock: Clock) -> int:
    """Where a new RRD begins, in Unix seconds; long ago while the clock is not to be trusted."""
    now = clock.monotonic() + clock.offset()
    return next_boundary(now) - 2 * STEP_SECONDS if clock.trusted() and now > OLDEST_TIME else OLDEST_TIME


def answers(settings: Settings, counting: Counting, house: House, notes: Handler) -> dict[str, Handler]:
    """What is answered at the door, by what is asked."""
    return handlers(counting, **looking.handlers(settings, counting, house), reading=notes)


def build(
    settings: Settings,
    factory: Any,
    clock: Clock,
    fate: Fate,
    *,
    beat: Callable[[], None] = lambda: None,
    hold: Callable[[], None] = lambda: None,
) -> Parts:
    """All parts, the counters restored, nothing started. Raises PinError, StoreError, MissingError."""
    if settings.meters:
        watch(factory, fate.died)
    pins = tuple(Pin(factory, meter.gpio, meter.pull) for meter in settings.meters)
    gate = Lock()
    store, zone = settings.store, settings.timezone

    def files(meter: str) -> tuple[Store, Ledger]:
        opened = Store(settings.state, meter, store.archive_years, gate, hold)
        return opened, Ledger(opened.rrd, gate, hold)

    opened = {meter.name: files(meter.name) for meter in settings.meters}
    stores = {name: one for name, (one, _) in opened.items()}
    meters = open_meters(settings, pins, stores.__getitem__, first_start(clock), last_end(Session(settings.state)))
    timing = Timing(store.flush_seconds, store.register_seconds, settings.clock_wait_seconds)
    counting = Counting(meters, clock, timing, fate.died, beat)
    mirror = build_mirror(settings, counting, files)
    ledgers = {name: ledger for name, (_, ledger) in opened.items()}
    push = build_push(settings, counting, ledgers, fate.died)
    reader, names = build_reader(settings, gate)
    rooms = {
        meter.name: counted_room(meter, counted, reader, zone)
        for meter, counted in zip(settings.meters, meters, strict=True)
    }
    received = Received(mirror.meters if mirror else [], lambda meter: received_room(meter, reader, zone))
    status = (lambda: push.status) if push else None
    house = House(counting, rooms, Gallery(reader, zone, names), reader, received, push=status)
    notes = notary(settings, counting, ledgers, hold, push)
    door = Door(settings.state, answers(settings, counting, house, notes), fate.died)
    return Parts(counting, house, reader, pins, mirror, push, door)
