"""What 50 browsers without a pause do to the pulses, to the figures, and to the memory.

The daemon has a year of history. Its contact closes 16.7 times a second, the fastest that S0 allows: another process
writes each edge with its time into a pipe, as the kernel keeps them, and one thread of the daemon hands them to the
mock pin with that time, as the thread of a pin factory does. 50 clients load the page and every graph, in its usual
size and in sizes that must be drawn. One more client asks for `/api/v1/meters` twenty times a second and looks at the
memory; it does the same before, while nobody else asks: the limit.

A pulse is lost when the counter does not show it within some seconds of the last one. A time stamp is off by as much as
the counter of a stored row differs from the pulses that were sent, times the seconds between two of them. What an edge
waits for the thread is told besides: no time stamp depends on it.

As a program this is the daemon (`python -m tests.bench.load serve STATE OUTPUT`) or the client that asks
(`python -m tests.bench.load ask PORT PID SECONDS`, prints its Probe as JSON).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, NamedTuple

from powerpi import daemon
from powerpi.building import Fate
from powerpi.clock import SystemClock
from powerpi.demo import GPIO, METER
from powerpi.pulses import STEP_SECONDS
from powerpi.worker import Worker
from tests.bench.capture import LEVEL_SECONDS
from tests.bench.common import (
    TOP,
    Client,
    Figure,
    HandClock,
    Loaded,
    at_most,
    children,
    clients_done,
    clocked_factory,
    fill,
    folder,
    memory_mb,
    picture_paths,
    progress,
    server,
    settings,
    share,
    start_clients,
)
from tests.bench.serve import EDGE, KEPT_STATES

BROWSERS = 50
SECONDS = 60.0
REST_SECONDS = 5.0
ASK_SECONDS = 0.05
LOOK_SECONDS = 0.5  # memory is not looked at more often: the kernel counts pages for it
COUNTED_SECONDS = 5.0
FIGURES = "/api/v1/meters"
PULSE_SECONDS = 2 * LEVEL_SECONDS
GOAL_OFF_MS = 50.0
GOAL_COUNTING_MB = 80.0
GOAL_DRAWING_MB = 50.0


class Probe(NamedTuple):
    """What the asking client saw: the time of each answer, and the highest memory of the two processes."""

    answer_ms: Sequence[float]
    counting_mb: float
    drawing_mb: float


class Siege(NamedTuple):
    """All that was seen."""

    rest: Probe
    busy: Probe
    served: Loaded
    sent: int  # pulses
    counted: int  # pulses
    off_ms: Sequence[float]  # of each stored row
    waited_ms: Sequence[float]  # each edge, for the daemon's thread


def measure() -> list[Figure]:
    """All figures of this subject."""
    progress(f"{BROWSERS} browsers load every graph")
    with folder() as state:
        seen = besieged(state, SECONDS)
    ms, mb, number = "{:.1f} ms".format, "{:.1f} MB".format, "{:.0f}".format
    busy, rest = seen.busy, seen.rest
    answers = f"{seen.served.requests / seen.served.seconds:.0f} answers a second"
    return [
        slower(f"{FIGURES}, p99 ({answers})", share(busy.answer_ms, 0.99), share(rest.answer_ms, 0.99)),
        slower(f"{FIGURES}, p50", share(busy.answer_ms, 0.5), share(rest.answer_ms, 0.5)),
        at_most("answers that failed", seen.served.failures, 0, number),
        at_most(f"pulses lost of {seen.sent}", seen.sent - seen.counted, 0, number),
        at_most(f"time stamp off, max of {len(seen.off_ms)} rows", max(seen.off_ms), GOAL_OFF_MS, ms),
        Figure(
            "edge waits for its thread, p99 / max", f"{ms(share(seen.waited_ms, 0.99))} / {ms(max(seen.waited_ms))}"
        ),
        at_most("RSS, counting process", busy.counting_mb, GOAL_COUNTING_MB, mb, f"{mb(rest.counting_mb)} at rest"),
        at_most("RSS, drawing process", busy.drawing_mb, GOAL_DRAWING_MB, mb),
    ]


def slower(name: str, busy_ms: float, rest_ms: float) -> Figure:
    """How long an answer takes, beside how long it takes at rest."""
    return Figure(name, f"{busy_ms:.1f} ms", f"{rest_ms:.1f} ms at rest", f"{busy_ms / rest_ms:.0f}")


def besieged(state: Path, seconds: float) -> Siege:
    """Let the browsers loose for so long on a daemon with that state folder, while pulses come."""
    fill(state)
    output = state / "edges.json"
    with server("tests.bench.load", "serve", str(state), str(output), stdin=subprocess.PIPE) as (process, port):
        assert process.stdin
        before = counter(port)
        rest = probed(start_probe(port, process.pid, REST_SECONDS))
        load = start_clients(port, seconds, BROWSERS, browsed())
        probing = start_probe(port, process.pid, seconds)
        edges = send_edges(process.stdin, seconds)
        served, busy = clients_done(load), probed(probing)
        counted = counted_since(port, before, edges // 2)
    seen = json.loads(output.read_text(encoding="utf-8"))
    assert len(seen) == edges
    offset = SystemClock(network_time=False).offset()
    closed = [sent + offset for sent, _ in seen[::2]]
    off_ms = rows_off_ms(state / f"{METER}.rrd", before, closed)
    return Siege(rest, busy, served, edges // 2, counted, off_ms, [(taken - sent) * 1e3 for sent, taken in seen])


def send_edges(pipe: IO[bytes], seconds: float) -> int:
    """Write the edges of the fastest pace, each with the time at which it is due: no contact waits for this process.

    Returns how many.
    """
    edges = round(seconds / LEVEL_SECONDS)
    began = time.monotonic()
    for number in range(edges):
        due = began + number * LEVEL_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        pipe.write(EDGE.pack(due, number % 2 == 1))
        pipe.flush()
    return edges


def browsed() -> list[str]:
    """What each browser asks for in turn."""
    return ["/", *picture_paths(), *(f"{path}?width={{}}" for path in picture_paths())]


def counter(port: int) -> int:
    """The lifetime counter as it is shown, at 1 Wh a pulse."""
    client = Client(port)
    [meter] = json.loads(client.ask(FIGURES).body)["meters"]
    client.close()
    return round(float(meter["meter_reading_watt_hours"]))


def counted_since(port: int, before: int, expected: int) -> int:
    """How many pulses are shown more than `before`, once they are as many as expected or it took too long."""
    deadline = time.monotonic() + COUNTED_SECONDS
    while (counted := counter(port) - before) < expected and time.monotonic() < deadline:
        time.sleep(ASK_SECONDS)
    return counted


def rows_off_ms(rrd: Path, before: int, closed: Sequence[float]) -> list[float]:
    """How far the counter of each row is from the pulses that began at `closed` (Unix seconds), in ms.

    `before` is the counter before the first of them. Rows hold pulses a second, so counters are summed up backwards
    from the last one, which is stored itself.
    """
    said = subprocess.run(["rrdtool", "lastupdate", str(rrd)], capture_output=True, text=True, check=True).stdout
    last, counted = said.split()[-2:]
    end = int(last.rstrip(":"))
    start = -(-int(closed[0] + 1) // STEP_SECONDS) * STEP_SECONDS
    steps = accumulate((rate * STEP_SECONDS for rate in reversed(rates(rrd, start, end))), initial=0.0)
    counters = (float(counted) - before - later for later in steps)
    return [
        abs(counter - pulses_until(time, closed)) * PULSE_SECONDS * 1e3
        for time, counter in zip(range(end, start - 1, -STEP_SECONDS), counters, strict=True)
    ]


def rates(rrd: Path, start: int, end: int) -> list[float]:
    """The rows of an RRD that end after `start` and not after `end`: pulses a second."""
    span = ("--start", str(start), "--end", str(end), "--step", str(STEP_SECONDS))
    command = ["rrdtool", "xport", "--json", *span, f"DEF:p={rrd}:pulses:AVERAGE", "XPORT:p"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [rate for (rate,) in json.loads(said)["data"]]


def pulses_until(time: float, closed: Sequence[float]) -> float:
    """How many pulses there were at that time, on the straight line between the two on either side of it."""
    number = bisect_right(closed, time)
    return number + (time - closed[number - 1]) / (closed[number] - closed[number - 1])


class Kernel(Worker):
    """Hands edges from standard input to the mock pin with the time that they carry, until the input ends.

    `clock` is the one that the pin's factory asks for the time of an edge.
    """

    def __init__(
        self, contact: Any, clock: HandClock, output: Path, on_death: Callable[[str, BaseException], None]
    ) -> None:
        super().__init__("edges", 0, on_death)
        self._contact, self._clock, self._output = contact, clock, output
        self._seen: list[tuple[float, float]] = []

    def turn(self) -> None:
        """Wait for one edge and hand it to the pin."""
        record = os.read(0, EDGE.size)
        if not record:
            self.wake_seconds = 3600  # until `stop()`
            return
        self._clock.now, level = EDGE.unpack(record)
        self._seen.append((self._clock.now, time.monotonic()))
        (self._contact.drive_high if level else self._contact.drive_low)()
        if len(self._contact.states) > KEPT_STATES:
            self._contact.clear_states()

    def last_turn(self) -> None:
        """Hand over when each edge happened and when it was taken, in CLOCK_MONOTONIC seconds."""
        self._output.write_text(json.dumps(self._seen), encoding="utf-8")


def serve(state: Path, output: Path) -> int:
    """The daemon, until a signal comes; the first line on standard output is its port."""
    kernel_time = HandClock(0)
    factory = clocked_factory(kernel_time)

    def drivers(fate: Fate) -> Sequence[Worker]:
        return [Kernel(factory.pin(GPIO), kernel_time, output, fate.died)]

    clock = SystemClock(network_time=False)
    return daemon.run(settings(state), factory, clock, drivers, lambda port: print(port, flush=True))


def start_probe(port: int, pid: int, seconds: float) -> subprocess.Popen[bytes]:
    """The asking client in a process of its own."""
    arguments = ("ask", str(port), str(pid), str(seconds))
    return subprocess.Popen([sys.executable, "-m", "tests.bench.load", *arguments], cwd=TOP, stdout=subprocess.PIPE)


def probed(process: subprocess.Popen[bytes]) -> Probe:
    """Wait for its result."""
    said, _ = process.communicate()
    return Probe(*json.loads(said))


def ask(port: int, pid: int, seconds: float) -> Probe:
    """Ask for the figures again and again, and look at the memory of the daemon and of its drawing child."""
    client = Client(port)
    answer_ms, counting, drawing = [], [0.0], [0.0]
    end, look = time.monotonic() + seconds, 0.0
    while (began := time.monotonic()) < end:
        assert client.ask(FIGURES).status == 200
        answered = time.monotonic()
        answer_ms.append((answered - began) * 1e3)
        if answered >= look:
            counting.append(memory_mb(pid, "Rss"))
            drawing += drawing_mb(pid)
            look = answered + LOOK_SECONDS
        time.sleep(max(0.0, began + ASK_SECONDS - time.monotonic()))
    return Probe(answer_ms, max(counting), max(drawing))


def drawing_mb(pid: int) -> list[float]:
    """RSS of the drawing child; nothing at the moment it is replaced."""
    try:
        return [memory_mb(child, "Rss") for child in children(pid)]
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return []


def main(role: str, *arguments: str) -> int:
    """The daemon or the client that asks."""
    if role == "serve":
        state, output = map(Path, arguments)
        return serve(state, output)
    port, pid, seconds = arguments
    print(json.dumps(ask(int(port), int(pid), float(seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
