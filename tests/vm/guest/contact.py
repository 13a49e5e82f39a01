"""Closes and opens simulated contacts, inside the virtual machine; at real-time priority, so that phases last what they
should.

    contact.py pulses GPIO[,GPIO...] COUNT CLOSED OPEN CHATTER   all lines at once; CHATTER: length of a bounce, or 0
    contact.py interfere GPIO COUNT SHORTEST LONGEST PAUSE       closings of random length
    contact.py hold GPIO closed|open
    contact.py for-ever GPIO MEAN TRUTH                            random distances; tells each pulse to the file TRUTH

All durations in seconds. Prints what was really done as one line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

BOUNCES = 3
ASLEEP_SECONDS = 0.02  # shorter phases are kept awake: waking up depends on how busy the host is
PRIORITY = 10  # below the kernel's own interrupt threads (50)
CLOSED_SECONDS = 0.03  # EN 62053-31
OPEN_SECONDS = 0.03


class Done(NamedTuple):
    """What happened on one line."""

    gpio: int
    closings: int
    seconds: float
    longest_bounce: float  # seconds; of the phases that are no pulse


class Line:
    """One simulated contact."""

    def __init__(self, gpio: int) -> None:
        self._file = os.open(f"/run/gpio-sim/sim_gpio{gpio}/pull", os.O_WRONLY)

    def hold(self, closed: bool, seconds: float = 0.0) -> float:
        """Drive the contact and wait; returns how long it took, from before to after."""
        began = time.monotonic()
        os.pwrite(self._file, b"pull-down" if closed else b"pull-up", 0)
        if seconds >= ASLEEP_SECONDS:
            time.sleep(seconds)
        while time.monotonic() - began < seconds:
            pass
        return time.monotonic() - began

    def bounce(self, closed: bool, seconds: float) -> float:
        """Go to and fro before a new level; returns the longest phase."""
        phases = [self.hold(level, seconds) for _ in range(BOUNCES) for level in (closed, not closed)]
        return max(phases)


def pulses(gpio: int, count: int, closed: float, open_: float, chatter: float) -> Done:
    """Pulses as a meter makes them, each phase at least as long as wished."""
    line, began, longest = Line(gpio), time.monotonic(), 0.0
    for _ in range(count):
        for level, seconds in ((True, closed), (False, open_)):
            if chatter:
                longest = max(longest, line.bounce(level, chatter))
            line.hold(level, seconds)
    return Done(gpio, count, time.monotonic() - began, longest)


def interfere(gpio: int, count: int, shortest: float, longest: float, pause: float) -> Done:
    """Closings that are too short to be pulses."""
    line, began, seen = Line(gpio), time.monotonic(), 0.0
    for _ in range(count):
        seen = max(seen, line.hold(True, random.uniform(shortest, longest)))
        line.hold(False, pause)
    return Done(gpio, count, time.monotonic() - began, seen)


def for_ever(gpio: int, mean: float, truth: str) -> None:
    """Pulses at random distances; before each one a line `NUMBER MONOTONIC WALL` goes to the host.

    The host takes a line within less time than a pulse lasts, so that no pulse is counted of which it never heard.
    SIGTERM ends it when the contact is open.
    """
    line, number, asked = Line(gpio), 0, threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    with Path(truth).open("wb", buffering=0) as port:
        while not asked.is_set():
            number += 1
            port.write(b"%d %.6f %.6f\n" % (number, time.monotonic(), time.time()))
            line.hold(True, CLOSED_SECONDS)
            line.hold(False, OPEN_SECONDS + random.expovariate(1 / max(mean - CLOSED_SECONDS - OPEN_SECONDS, 1e-3)))


def main(what: str, gpios: str, *rest: str) -> None:
    """Do what the command line says."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    lines = [int(gpio) for gpio in gpios.split(",")]
    if what == "for-ever":
        for_ever(lines[0], float(rest[0]), rest[1])
        return
    if what == "hold":
        Line(lines[0]).hold(rest[0] == "closed")
        return
    count, *seconds = int(rest[0]), *map(float, rest[1:])
    act: Callable[..., Done] = pulses if what == "pulses" else interfere
    with ThreadPoolExecutor(len(lines)) as pool:
        done = [future.result() for future in [pool.submit(act, line, count, *seconds) for line in lines]]
    print(json.dumps([one._asdict() for one in done]))


if __name__ == "__main__":
    main(*sys.argv[1:])
