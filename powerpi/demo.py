"""The demo: the daemon as it is, with a simulated household (or a recorded load) on gpiozero's mock pin."""

from __future__ import annotations

import errno
import logging
import math
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from powerpi import arrival, config, daemon, passwords, pin, simulate
from powerpi.building import Fate
from powerpi.clock import SystemClock
from powerpi.config import Settings
from powerpi.errors import ServerError
from powerpi.folder import locked_folder
from powerpi.gaps import STOPPED, Session
from powerpi.layout import LOSSLESS_DAYS
from powerpi.load import Household, Load
from powerpi.progress import Progress
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.server import listening_socket
from powerpi.store import Store
from powerpi.worker import Worker

log = logging.getLogger(__name__)

METER = "house"
GPIO = 24
HISTORY_DAYS = LOSSLESS_DAYS + 34  # a year and a bit: a little of it is left in quarter hours only
BATCH_ROWS = 30_000  # written at once: few waits for the disk
PORT_STEP, MOST_PORTS = 10, 1 << 16
MIRROR_SECONDS = 15.0  # to start; then the house sends to it all the same


class Wishes(NamedTuple):
    """What the command line asks of the demo."""

    port: int
    seed: int
    load: Path | None
    empty: bool
    state: Path | None
    mirror: bool = False


def settings(wishes: Wishes, state: Path, push: str = "") -> Settings:
    """The demo's configuration: one meter called house on GPIO24, the machine's clock taken as it is."""
    return config.parse(
        f"[powerpi]\nstate = {state}\nlisten = 0.0.0.0:{wishes.port}\nnetwork_time = no\n"
        f"[meter {METER}]\nlabel = House\ngpio = {GPIO}\n{push}"
    )


@contextmanager
def mirrored(wishes: Wishes, state: Path) -> Iterator[tuple[int, str]]:
    """A second PowerPi that receives, as a process of its own: the port of its page, and the [push] section for it."""
    with listening_socket("0.0.0.0", wishes.port + 1 if wishes.port else 0) as free:  # noqa: S104 (as the page itself)
        port = free.getsockname()[1]
    password, path = secrets.token_urlsafe(), state / "mirror.conf"
    state.mkdir(mode=0o750, parents=True, exist_ok=True)
    path.write_text(
        f"[powerpi]\nstate = {state / 'mirror'}\nlisten = 0.0.0.0:{port}\nnetwork_time = no\n[mirror]\naccept = yes\n"
        f"[mirror {METER}]\npassword_hash = {passwords.hashed(password, passwords.QUICK_LOG2_N)}\nmeters = {METER}\n",
        encoding="utf-8",
    )
    child = subprocess.Popen([sys.executable, "-m", "powerpi", "run", "--config", str(path)])  # noqa: S603 (ourselves)
    try:
        yield (
            port,
            f"[push]\nurl = http://127.0.0.1:{port}/\nuser = {METER}\npassword = {password}\ninterval_seconds = 10\n",
        )
    finally:
        child.terminate()
        child.wait()


def look_for_port(host: str, port: int) -> None:
    """Say that a port is taken before a year is filled. Raises ServerError."""
    try:
        listening_socket(host, port).close()
    except ServerError as error:
        other = port + PORT_STEP if port + PORT_STEP < MOST_PORTS else port - PORT_STEP
        taken = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
        raise ServerError(f"{error}: try --port {other}" if taken else str(error)) from error


def load_of(wishes: Wishes) -> Load:
    """The recorded load, or the simulated household. Raises ConfigError."""
    return simulate.Recording(wishes.load) if wishes.load else Household(wishes.seed)


def fill(chosen: Settings, load: Load, now: float) -> float:
    """Write the history up to `now` (Unix seconds) through the store, as if the daemon had run all the time.

    Goes on where an earlier demo in the same state folder ended. Returns the counter at the last row.
    """
    meter = chosen.meters[0]
    end = int(now) // STEP_SECONDS * STEP_SECONDS
    start = end - HISTORY_DAYS * 86400
    with locked_folder(chosen.state):
        store = Store(chosen.state, meter.name, chosen.store.archive_years, Lock())
        counted, notes = store.open(start - STEP_SECONDS)
        for note in notes:
            log.warning("%s", note)
        pulses = float(counted)
        if store.last_row and store.last_row.time > start:
            start, pulses = store.last_row
        if start >= end:
            return pulses
        with Progress("Filling a year of history", end - start) as progress:
            batch: list[Row] = []
            for rows in simulate.energy_rows(load, meter.imp_per_kwh, start, end, chosen.timezone, pulses=pulses):
                batch += [Row(*row) for row in rows]
                if len(batch) >= BATCH_ROWS or batch[-1].time >= end:
                    store.write(batch)
                    progress.to(batch[-1].time - start)
                    pulses = batch[-1].pulses
                    batch.clear()
        store.save_register(max(counted, math.ceil(pulses)), end)
        Session(chosen.state).end(STOPPED)  # the time until the house lives has a reason
    return pulses


def run(wishes: Wishes) -> int:
    """Run the demo until a signal comes; returns the exit code. Raises PowerPiError."""
    clock = SystemClock(network_time=False)
    load = load_of(wishes)
    factory = pin.mock_factory()
    with ExitStack() as stack:
        state = wishes.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="powerpi-demo-")))
        chosen = settings(wishes, state.absolute())
        look_for_port(*chosen.listen)
        mirror_port = 0
        if wishes.mirror:
            mirror_port, push = stack.enter_context(mirrored(wishes, state.absolute()))
            chosen = settings(wishes, state.absolute(), push)
        if wishes.state and (state / f"{METER}.rrd").exists():
            log.info("%s holds a house already: going on with its history", state)
        now = clock.monotonic() + clock.offset()
        pulses = 0.0 if wishes.empty else fill(chosen, load, now)
        meter = chosen.meters[0]
        if mirror_port:
            arrival.wait(("127.0.0.1", mirror_port), MIRROR_SECONDS)

        def drivers(fate: Fate) -> Sequence[Worker]:
            begin = clock.monotonic() + clock.offset()  # not the last row's time: pulses made up for would be a spike
            steps = simulate.pulse_steps(load, meter.imp_per_kwh, begin, chosen.timezone, pulses % 1)
            contact = factory.pin(meter.gpio)
            return [simulate.PulseDriver("household", contact, steps, clock, on_death=fate.died, pull=meter.pull)]

        return daemon.run(chosen, factory, clock, drivers, partial(_announce, mirror_port))


def _announce(mirror_port: int, port: int) -> None:
    mirror = f"  Its mirror is at  http://localhost:{mirror_port}/\n" if mirror_port else ""
    print(f"\n  A simulated house is living at  http://localhost:{port}/\n{mirror}  Ctrl-C ends it.\n", flush=True)  # noqa: T201
