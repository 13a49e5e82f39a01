"""How much a pulse costs, and how late its edge is taken while pages are served.

Cost: an hour of pulses at the fastest pace of S0 (16.7 a second) through gpiozero's mock pin, the real Meter, the real
Counting and the real Store on disk, the clock moved by hand and one turn a second; CPU time of the process divided by
pulses, the disk's waiting not included. The limit is the same pin, driven as often, with an empty callback.

Lateness: the daemon serves four clients that load every graph in sizes that must be drawn, and the page, without a
pause. Edges come as they come from lgpio (see serve): this process writes them into a pipe at 33.4 a second; from just
before that write to the moment they are in the deque is what is called late. Both ends read CLOCK_MONOTONIC.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import IO, Any

from powerpi.counting import Counting, Timing
from powerpi.demo import GPIO, METER
from powerpi.meter import Meter
from powerpi.pin import Pin
from powerpi.store import Store
from tests.bench.common import (
    Figure,
    HandClock,
    at_most,
    clients_done,
    clocked_factory,
    compared,
    fill,
    folder,
    picture_paths,
    progress,
    server,
    share,
    start_clients,
)
from tests.bench.serve import EDGE

LEVEL_SECONDS = 0.030  # EN 62053-31: closed and open for 30 ms at least, 16.7 pulses a second
COST_SECONDS = 3600
COST_ROUNDS = 3
START = 1_700_000_000  # on the grid
SERVED_SECONDS = 20.0
CLIENTS = 4
GOAL_MS = 15.0
QUIET_SECONDS = 5.0


def measure() -> list[Figure]:
    """All figures of this subject."""
    return [*costs(), *lateness()]


def drive(contact: Any, clock: HandClock, each_second: Callable[[], None]) -> int:
    """Pulses at the fastest pace for COST_SECONDS of the clock; returns how many."""
    end, second, driven = clock.now + COST_SECONDS, clock.now + 1, 0
    while clock.now < end:
        contact.drive_low()
        clock.now += LEVEL_SECONDS
        contact.drive_high()
        clock.now += LEVEL_SECONDS
        driven += 1
        if clock.now >= second:
            second += 1
            contact.clear_states()
            each_second()
    return driven


def died(name: str, death: BaseException) -> None:
    """Nothing may fail here."""
    raise AssertionError(name) from death


def full_cost_us(state: Path) -> float:
    """CPU microseconds a pulse from the edge to the row on disk."""
    clock = HandClock(START)
    factory = clocked_factory(clock)
    meter = Meter(METER, Pin(factory, GPIO, "up"), Store(state, METER, 20, Lock()), 0.010, START - 20)
    counting = Counting([meter], clock, Timing(300, 60, 0), died)
    contact = factory.pin(GPIO)
    before = time.process_time()
    driven = drive(contact, clock, counting.turn)
    counting.last_turn()
    spent = time.process_time() - before
    assert meter.pulses == driven
    assert meter.store.last_row
    assert meter.store.last_row.pulses > driven - 170  # of the last 10 s
    return spent / driven * 1e6


def bare_cost_us() -> float:
    """CPU microseconds a pulse with a callback that does nothing."""
    clock = HandClock(START)
    pin = clocked_factory(clock).pin(GPIO)
    pin.function, pin.pull, pin.edges = "input", "up", "both"

    def nothing(ticks: float, state: int) -> None:
        """What an empty callback costs is the limit."""

    pin.when_changed = nothing
    before = time.process_time()
    driven = drive(pin, clock, lambda: None)
    return (time.process_time() - before) / driven * 1e6


def costs() -> list[Figure]:
    """CPU time a pulse: the best of some rounds, PowerPi and the limit in turn."""
    progress("CPU time of a pulse")
    full, bare = [], []
    for _ in range(COST_ROUNDS):
        bare.append(bare_cost_us())
        with folder() as state:
            full.append(full_cost_us(state))
    return [compared("CPU per pulse, edge to stored row", min(full), min(bare), "{:.1f} us".format)]


def send_edges(pipe: IO[bytes], until: float) -> int:
    """Write edges at the fastest pace; one that is late does not shift those after it. Returns how many."""
    due = time.monotonic()
    sent = 0
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        pipe.write(EDGE.pack(time.monotonic(), sent % 2 == 1))
        pipe.flush()
        due += LEVEL_SECONDS
        sent += 1
    return sent


def edges_late(seconds: float, clients: int) -> tuple[list[float], list[float], str]:
    """Milliseconds from pipe to deque, from the mock pin to the deque, and what was served meanwhile."""
    pictures = [f"{path}?width={{}}" for path in picture_paths()]
    with folder() as state:
        fill(state)
        output = state / "edges.json"
        with server("tests.bench.serve", str(state), str(output), stdin=subprocess.PIPE) as (process, port):
            load = start_clients(port, seconds, clients, [*pictures, "/"]) if clients else None
            assert process.stdin
            sent = send_edges(process.stdin, time.monotonic() + seconds)
            served = clients_done(load) if load else None
        seen = json.loads(output.read_text(encoding="utf-8"))
    assert len(seen) == sent
    assert served is None or (served.failures == 0 and served.requests > 0)
    said = f"{served.requests / served.seconds:.0f} answers a second" if served else "nobody looking"
    return [(late - early) * 1e3 for early, _, late in seen], [(late - early) * 1e3 for _, early, late in seen], said


def lateness() -> list[Figure]:
    """How late edges are, at rest and while pages are served."""
    progress("lateness of edges while pages are served")
    quiet, _, _ = edges_late(QUIET_SECONDS, 0)
    late, own, said = edges_late(SERVED_SECONDS, CLIENTS)
    ms = "{:.2f} ms".format
    return [
        Figure(f"edge late, p50 ({said})", ms(share(late, 0.5)), ms(share(quiet, 0.5)) + " at rest"),
        at_most("edge late, p99", share(late, 0.99), GOAL_MS, ms, ms(share(quiet, 0.99)) + " at rest"),
        Figure("edge late, max", ms(max(late)), ms(max(quiet)) + " at rest"),
        Figure("of it in gpiozero and the deque, p99 / max", f"{ms(share(own, 0.99))} / {ms(max(own))}"),
    ]
