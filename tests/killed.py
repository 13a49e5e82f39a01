"""A nursery of processes that count in virtual time and are there to be killed; helps test_kills.py, and is run by it.

In, on standard input: one line of JSON for each life (folder, seed, wall: Unix seconds). Out, on standard output: lines
of words, each written at once, by the child and, first and last, by the nursery:

    born PID
    opened PULSES NOTES...   the counter restored, and what was not as expected
    second TIME              another second begins; Unix seconds
    pulse TIME               about to send one; Unix seconds
    register PULSES          on disk
    row TIME PULSES          on disk, with all before it
    died SIGNAL              0: it ended by itself
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from random import Random

from conftest import START, HandClock, Line

from powerpi.counting import Counting, Timing
from powerpi.meter import Meter
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store

TIMING = Timing(flush_seconds=300, register_seconds=60, clock_wait_seconds=0)
PULSES_A_SECOND = (0.2, 16.0)
PULSE_SECONDS = 0.03


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Life:
    """One process's life: a real meter, driven second by second."""

    def __init__(self, folder: Path, seed: int, wall: float) -> None:
        self.random = Random(seed)
        self.clock = HandClock(wall)
        self.line = Line(self.clock)
        store = Store(folder, "house", 1, threading.Lock())
        meter = Meter("house", self.line.pin, store, 0.010, START)
        say("opened", meter.pulses, *meter.notes)
        self.store = store
        self.counting = Counting([meter], self.clock, TIMING, lambda *_: None)
        self.known: tuple[int, Row | None] = (-1, store.last_row)
        self.next_pulse = self.clock.now + self.random.random()
        self.pause = 1 / self.random.uniform(*PULSES_A_SECOND)

    def second(self) -> None:
        """A second with its pulses and a turn, sometimes with somebody who looks."""
        end = self.clock.now + 1
        say("second", repr(self.clock.wall()))
        while self.next_pulse + PULSE_SECONDS < end:
            say("pulse", repr(self.next_pulse + self.clock.ahead))
            self.line.pulse(self.next_pulse, PULSE_SECONDS)
            self.next_pulse += self.pause
        self.clock.now = end
        if self.random.random() < 0.02:
            self.pause = 1 / self.random.uniform(*PULSES_A_SECOND)
        if self.random.random() < 0.002 and self.next_pulse < end + self.pause:
            self.next_pulse += self.random.uniform(30, 1200)
        if self.random.random() < 0.02:
            self.counting._flushes_wanted += 1
        self.counting.turn()
        self.tell()

    def tell(self) -> None:
        """Say what has come to disk."""
        pulses, row = self.store._register.pulses, self.store.last_row
        if pulses != self.known[0]:
            say("register", pulses)
        if row and row != self.known[1]:
            say("row", row.time, repr(row.pulses))
        self.known = (pulses, row)


def catch_up(folder: Path) -> None:
    """Write rows as fast as it goes, 1.5 pulses a step: most of the time is spent in librrd."""
    store = Store(folder, "house", 1, threading.Lock())
    say("opened", *store.open(START))
    first = store.last_row or Row(START, 0)
    while True:
        rows = [Row(first.time + STEP_SECONDS * n, first.pulses + 1.5 * n) for n in range(1, 1000)]
        store.write(rows)
        first = rows[-1]
        say("row", first.time, repr(first.pulses))


def live(folder: str, seed: int | None, wall: float) -> None:
    """Count for ever, or until an exception, which is said; without a seed, catch up."""
    try:
        if seed is None:
            catch_up(Path(folder))
        life = Life(Path(folder), seed, wall)
        while True:
            life.second()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def main() -> None:
    """Bear one child for each line, and bury it."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            live(**json.loads(line))
        say("born", child)
        say("died", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
