"""Builds the parts, starts them, waits in the web server, and stops them in order."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from powerpi.check import check_program, check_state
from powerpi.clock import OLDEST_TIME, Clock
from powerpi.config import Settings
from powerpi.counting import Counting, Timing
from powerpi.folder import locked_folder
from powerpi.front import application
from powerpi.furnish import build_reader, counted_room, received_room
from powerpi.gaps import CLOCK_UNSET, DISK, ENDED, STOPPED, UNKNOWN, Session
from powerpi.house import House, Received
from powerpi.ledger import Ledger
from powerpi.logins import Desk, Logins
from powerpi.meter import Meter
from powerpi.mirror import Mirror
from powerpi.notify import notifier
from powerpi.pictures import Gallery
from powerpi.pin import Pin, watch
from powerpi.pulses import STEP_SECONDS, next_boundary
from powerpi.push import Push
from powerpi.reader import Reader
from powerpi.sending import build_push
from powerpi.server import listening_socket, open_server, page_address
from powerpi.store import Store
from powerpi.worker import Worker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_OK = 0
EXIT_DIED = 1  # a thread died: start again
M_ARENA_MAX = -8  # <malloc.h>
LOGINS_WAITING = 1  # two of the web server's four threads may be held by passwords, the others serve


class Parts(NamedTuple):
    """Everything that runs."""

    counting: Counting
    house: House
    reader: Reader
    pins: tuple[Pin, ...]
    mirror: Mirror | None
    push: Push | None


class Fate:
    """Why the process ends: asked to, or a thread died."""

    def __init__(self) -> None:
        self.exit_code = EXIT_OK

    def died(self, name: str, death: BaseException) -> None:
        """A thread ended with an exception: take the process down, so that it is started again."""
        self.exit_code = EXIT_DIED
        log.critical("thread %s died, ending: %r", name, death, exc_info=death)
        os.kill(os.getpid(), signal.SIGTERM)


def share_one_heap() -> None:
    """Let all threads of this process allocate from one heap: glibc gives each its own otherwise, half empty."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc alone has it
    if mallopt:
        mallopt(M_ARENA_MAX, 1)


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


def look_around(settings: Settings) -> None:
    """Log what is amiss on this machine, as `powerpi check` would say it; counting goes on."""
    for finding in (check_program(), check_state(settings.state, settings.names)):
        if not finding.right:
            log.warning("%s: %s", finding.what, finding.said)


def last_end(session: Session) -> str:
    """How the last run ended; a disk that refuses is no reason not to count."""
    try:
        reason = session.last_end()
    except OSError as error:
        log.warning("how the last run ended cannot be read: %s", error)
        return UNKNOWN
    log.info("how the last run ended: %s", reason.replace("_", " "))
    return reason


@contextmanager
def noted(session: Session, counting: Counting, fate: Fate) -> Iterator[None]:
    """Note on disk that PowerPi runs, and how it ended: the reason of the gap that begins then."""
    try:
        session.begin()
    except OSError as error:
        log.warning("that PowerPi runs cannot be noted: %s", error)
    try:
        yield
    except BaseException:
        fate.exit_code = fate.exit_code or EXIT_DIED
        raise
    finally:
        end(session, counting, fate)


def end(session: Session, counting: Counting, fate: Fate) -> None:
    """Note how this run ends."""
    if fate.exit_code:
        reason = ENDED
    elif any(meter.unwritten for meter in counting.meters.values()):
        reason = DISK
    else:
        reason = STOPPED if counting.offset is not None else CLOCK_UNSET
    try:
        session.end(reason)
    except OSError as error:
        log.warning("how this run ends cannot be noted: %s", error)


def build_mirror(settings: Settings, counting: Counting, files: Callable[[str], tuple[Store, Ledger]]) -> Mirror | None:
    """The receiving side; None where nobody may send. Raises StoreError."""
    if not settings.senders:
        return None
    clock = counting.clock

    def now() -> float | None:
        return None if counting.offset is None else clock.monotonic() + counting.offset

    return Mirror(settings.senders, files, clock.monotonic, now, lambda: counting.trusted)


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
    now = clock.monotonic() + clock.offset()
    start = next_boundary(now) - 2 * STEP_SECONDS if clock.trusted() and now > OLDEST_TIME else OLDEST_TIME
    store, zone = settings.store, settings.timezone

    def files(meter: str) -> tuple[Store, Ledger]:
        opened = Store(settings.state, meter, store.archive_years, gate, hold)
        return opened, Ledger(opened.rrd, gate, hold)

    opened = {meter.name: files(meter.name) for meter in settings.meters}
    stores = {name: one for name, (one, _) in opened.items()}
    meters = open_meters(settings, pins, stores.__getitem__, start, last_end(Session(settings.state)))
    timing = Timing(store.flush_seconds, store.register_seconds, settings.clock_wait_seconds)
    counting = Counting(meters, clock, timing, fate.died, beat)
    mirror = build_mirror(settings, counting, files)
    push = build_push(settings, counting, {name: ledger for name, (_, ledger) in opened.items()}, fate.died)
    reader, names = build_reader(settings, gate)
    rooms = {
        meter.name: counted_room(meter, counted, reader, zone)
        for meter, counted in zip(settings.meters, meters, strict=True)
    }
    received = Received(mirror.meters if mirror else [], lambda meter: received_room(meter, reader, zone))
    status = (lambda: push.status) if push else None
    house = House(counting, rooms, Gallery(reader, zone, names), reader, received, push=status)
    return Parts(counting, house, reader, pins, mirror, push)


def serve_pages(settings: Settings, parts: Parts) -> WSGIApplication:
    """All that is served, with the logins that the configuration wants."""
    viewers = {viewer.name: viewer.password_hash for viewer in settings.viewers}
    senders = {sender.name: sender.password_hash for sender in settings.senders}
    desk = Desk(LOGINS_WAITING)
    return application(
        parts.house,
        settings.timezone,
        settings.host_names,
        viewers=Logins(viewers, desk=desk) if viewers else None,
        mirror=(parts.mirror, Logins(senders, desk=desk)) if parts.mirror else None,
    )


@contextmanager
def ended_by_signals(workers: Sequence[Worker], reader: Reader) -> Iterator[None]:
    """The first SIGTERM, SIGINT or SIGHUP begins the last write at once and ends the web server in the main thread.

    A picture that is being drawn is given up, later signals change nothing: the last write takes a few seconds.
    """

    def end(number: int, frame: object) -> NoReturn:  # noqa: ARG001 (the signature of signal handlers)
        for later in SIGNALS:
            signal.signal(later, signal.SIG_IGN)
        reader.abort()
        for worker in workers:
            worker.stop_soon()
        sys.exit()

    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    settings: Settings,
    factory: Any,
    clock: Clock,
    drivers: Callable[[Fate], Sequence[Worker]] = lambda _: (),
    ready: Callable[[int], None] = lambda _: None,
) -> int:
    """Count and serve until a signal comes; returns the exit code. Raises PinError, StoreError, ServerError.

    `drivers` makes further workers (the demo's household), `ready` hears of the port once the page is served.
    """
    share_one_heap()
    fate = Fate()
    with ExitStack() as stack:
        listening = stack.enter_context(listening_socket(*settings.listen))  # before anything is made on disk
        lock = stack.enter_context(locked_folder(settings.state))
        look_around(settings)
        notify = notifier()
        parts = build(settings, factory, clock, fate, beat=lambda: notify("WATCHDOG=1"), hold=lock.hold)
        stack.enter_context(noted(Session(settings.state), parts.counting, fate))
        stack.enter_context(suppress(SystemExit))  # how a signal ends the web server
        server = open_server(serve_pages(settings, parts), listening, receives=parts.mirror is not None)
        stack.callback(server.close)
        stack.callback(parts.reader.close)
        workers = [parts.counting, *drivers(fate), *([parts.push] if parts.push else [])]
        stack.enter_context(ended_by_signals(workers, parts.reader))
        for worker in workers:
            stack.callback(worker.stop)
        for pin in parts.pins:
            stack.callback(pin.close)
        for worker in workers:
            worker.start()
        log.info("the page is at %s", page_address(listening))
        notify("READY=1")
        stack.callback(notify, "STOPPING=1")
        ready(listening.getsockname()[1])
        server.run()
    return farewell(parts.counting, fate.exit_code)


def farewell(counting: Counting, exit_code: int) -> int:
    """Say whether all is written; the exit code of the process."""
    unwritten = [meter.name for meter in counting.meters.values() if meter.unwritten]
    if unwritten:
        log.error("stopped; not everything could be written for %s", ", ".join(unwritten))
        return exit_code or os.EX_IOERR
    log.info("stopped; all is written")
    return exit_code
