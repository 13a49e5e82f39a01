"""Builds the parts, starts them, waits in the web server, and stops them in order."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from powerpi.building import EXIT_DIED, Fate, Parts, build
from powerpi.check_machine import check_program, check_state
from powerpi.clock import Clock
from powerpi.config import Settings
from powerpi.counting import Counting
from powerpi.folder import locked_folder
from powerpi.front import application
from powerpi.gaps import CLOCK_UNSET, DISK, ENDED, STOPPED, Session
from powerpi.logins import Desk, Logins
from powerpi.notify import notifier
from powerpi.reader import Reader
from powerpi.server import listening_socket, open_server, page_address
from powerpi.worker import Worker

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
M_ARENA_MAX = -8  # <malloc.h>
LOGINS_WAITING = 1  # two of the web server's four threads may be held by passwords, the others serve


def share_one_heap() -> None:
    """Let all threads of this process allocate from one heap: glibc gives each its own otherwise, half empty."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc alone has it
    if mallopt:
        mallopt(M_ARENA_MAX, 1)


def look_around(settings: Settings) -> None:
    """Log what is amiss on this machine, as `powerpi check` would say it; counting goes on."""
    for finding in (check_program(), check_state(settings.state, settings.names)):
        if not finding.right:
            log.warning("%s: %s", finding.what, finding.said)


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


def serve_pages(settings: Settings, parts: Parts) -> WSGIApplication:
    """All that is served, with the logins that the configuration wants."""
    viewers = {viewer.name: viewer.password_hash for viewer in settings.viewers}
    senders = {sender.name: sender.password_hash for sender in settings.senders}
    desk = Desk(LOGINS_WAITING)
    return application(
        parts.house,
        settings.timezone,
        settings.host_names,
        contacts=settings.meters,
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
        workers = [parts.counting, *drivers(fate), *([parts.push] if parts.push else []), parts.door]
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
