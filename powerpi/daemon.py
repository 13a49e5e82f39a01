"""Builds the parts, starts them, waits in the web server, and stops them in order; the only importer of waitress."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, NoReturn

import waitress

from powerpi.clock import Clock
from powerpi.config import MeterSettings, Settings
from powerpi.counting import Counting, Timing
from powerpi.errors import PowerPiError
from powerpi.house import House, Room
from powerpi.locales import locale_environment
from powerpi.meter import Meter
from powerpi.pictures import Gallery
from powerpi.pin import Pin
from powerpi.pulses import STEP_SECONDS, next_boundary
from powerpi.reader import Reader, total_arguments, totals
from powerpi.readings import Energies, MeterReadings, Span, Total
from powerpi.store import Store, locked_folder
from powerpi.web import application
from powerpi.worker import Worker

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_DIED = 1  # a thread died: start again
OLDEST_START = 1_577_836_800  # 2020-01-01: where a new RRD begins while the clock cannot be trusted
M_ARENA_MAX = -8  # <malloc.h>
WEB_SETTINGS = {
    "threads": 4,
    "ident": None,
    "channel_timeout": 10,  # half-open connections would block the server for good at its defaults
    "cleanup_interval": 5,
    "max_request_body_size": 4096,  # nothing is ever posted
    "max_request_header_size": 16384,
    "connection_limit": 200,
    "clear_untrusted_proxy_headers": True,
}


class ServerError(PowerPiError, OSError):
    """The page cannot be served there: do not start."""


class Parts(NamedTuple):
    """Everything that runs."""

    counting: Counting
    house: House
    reader: Reader
    pins: tuple[Pin, ...]


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


def open_meters(settings: Settings, pins: Sequence[Pin], gate: Lock, start: int) -> list[Meter]:
    """The meters with their restored counters. Raises StoreError."""
    meters = []
    for meter, pin in zip(settings.meters, pins, strict=True):
        store = Store(settings.state, meter.name, settings.store.archive_years, gate)
        counted = Meter(meter.name, pin, store, meter.min_pulse_ms / 1000, start)
        for note in counted.notes:
            log.warning("meter %s: %s", meter.name, note)
        log.info(
            "meter %s: GPIO%d, %g imp/kWh, counter at %d pulses",
            *(meter.name, meter.gpio, meter.imp_per_kwh, counted.pulses),
        )
        meters.append(counted)
    return meters


def build_reader(settings: Settings, gate: Lock) -> tuple[Reader, Callable[[str], bool]]:
    """The reading child, in the configured time zone, and whether it names weekdays in a language."""

    @cache
    def locale(language: str) -> tuple[Mapping[str, str], bool]:
        return locale_environment(language, settings.state / "locale")

    def environment(language: str) -> Mapping[str, str]:
        own = {"TZ": settings.timezone.key or "UTC", "XDG_CACHE_HOME": str(settings.state / "cache")}
        return {**own, **locale(language)[0]}

    return Reader(gate, environment), lambda language: locale(language)[1]


def build_room(settings: Settings, meter: MeterSettings, counted: Meter, reader: Reader) -> Room:
    """One meter's place in the house."""

    def read(rrd: Path, spans: Sequence[Span], step_seconds: int) -> list[Total]:
        return totals(reader.graph(total_arguments(rrd, spans, step_seconds), reader.language).prints)

    energies = Energies(counted.store.rrd, meter.imp_per_kwh, read)
    return Room(counted, MeterReadings(meter, energies, settings.timezone))


def build(settings: Settings, factory: Any, clock: Clock, fate: Fate) -> Parts:
    """All parts, the counters restored, nothing started. Raises PinError, StoreError."""
    pins = tuple(Pin(factory, meter.gpio, meter.pull) for meter in settings.meters)
    gate = Lock()
    now = clock.monotonic() + clock.offset()
    start = next_boundary(now) - 2 * STEP_SECONDS if clock.trusted() else OLDEST_START
    meters = open_meters(settings, pins, gate, start)
    store = settings.store
    timing = Timing(store.flush_seconds, store.register_seconds, settings.clock_wait_seconds)
    counting = Counting(meters, clock, timing, fate.died)
    reader, names = build_reader(settings, gate)
    rooms = {
        meter.name: build_room(settings, meter, counted, reader)
        for meter, counted in zip(settings.meters, meters, strict=True)
    }
    house = House(counting, rooms, Gallery(reader, settings.timezone, names), reader)
    return Parts(counting, house, reader, pins)


@contextmanager
def ended_by_signals(workers: Sequence[Worker]) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP begin the last write at once and end the web server in the main thread."""

    def end(number: int, frame: object) -> NoReturn:  # noqa: ARG001 (the signature of signal handlers)
        for worker in workers:
            worker.stop_soon()
        sys.exit()

    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_server(settings: Settings, house: House) -> Any:
    """The web server, listening. Raises ServerError."""
    host, port = settings.listen
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    pages = application(house, settings.timezone, settings.host_names)
    try:
        return waitress.create_server(pages, host=host, port=port, **WEB_SETTINGS)
    except (OSError, ValueError) as error:
        raise ServerError(f"the page cannot be served at {host} port {port}: {error}") from error


def addresses(server: Any) -> list[tuple[str, int]]:
    """Where a server of waitress listens: one socket, or several for a name with several addresses."""
    several = getattr(server, "effective_listen", None)
    return [(host, int(port)) for host, port in several or [(server.effective_host, server.effective_port)]]


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
        stack.enter_context(locked_folder(settings.state))
        parts = build(settings, factory, clock, fate)
        stack.enter_context(suppress(SystemExit))  # how a signal ends the web server
        stack.callback(parts.reader.close)
        server = open_server(settings, parts.house)
        stack.callback(server.close)
        workers = [parts.counting, *drivers(fate)]
        stack.enter_context(ended_by_signals(workers))
        for worker in workers:
            stack.callback(worker.stop)
        for pin in parts.pins:
            stack.callback(pin.close)
        for worker in workers:
            worker.start()
        for host, port in addresses(server):
            log.info("the page is at http://%s:%d/", host, port)
        ready(addresses(server)[0][1])
        server.run()
    unwritten = [meter.name for meter in parts.counting.meters.values() if meter.faults]
    log.info(
        "stopped; %s", f"not everything could be written for {', '.join(unwritten)}" if unwritten else "all is written"
    )
    return fate.exit_code
