"""The daemon in a process of its own, on gpiozero's mock pin: `python -m tests.bench.serve STATE [WATTS | OUTPUT]`.

The first line on standard output is the port of the page. With a number as second argument the pin is driven by a
constant load of so many W. With a path, edges come from standard input as they come from lgpio: another process has
written a record (CLOCK_MONOTONIC seconds, level) into a pipe, one Python thread waits for it and drives the pin. How
late that was goes to OUTPUT as a JSON list of [sent, driven, appended] in CLOCK_MONOTONIC seconds.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from powerpi import daemon
from powerpi.building import Fate
from powerpi.clock import SystemClock
from powerpi.demo import GPIO
from powerpi.pin import mock_factory
from powerpi.simulate import PulseDriver, pulse_steps
from powerpi.worker import Worker
from tests.bench.common import settings

EDGE = struct.Struct("=d?")  # when it happened, CLOCK_MONOTONIC seconds; the level
KEPT_STATES = 1000  # the mock pin remembers them all


class Constant:
    """A load that never changes."""

    def __init__(self, watts: float) -> None:
        self._watts = watts

    def day_watts(self, date: date) -> Sequence[float]:  # noqa: ARG002 (every day is the same)
        """Mean power in W of each 10 s step of a day."""
        return [self._watts] * 8640


class EdgeRelay(Worker):
    """Drives the pin as the edges come from standard input, until that ends."""

    def __init__(self, contact: Any, output: Path, on_death: Callable[[str, BaseException], None]) -> None:
        super().__init__("edges", 0, on_death)
        self._contact = contact
        self._output = output
        self._seen: list[tuple[float, float, float]] = []

    def turn(self) -> None:
        """Wait for one edge and hand it to the pin."""
        record = os.read(0, EDGE.size)
        if not record:
            self.wake_seconds = 3600  # until `stop()`
            return
        sent, level = EDGE.unpack(record)
        driven = time.monotonic()
        (self._contact.drive_high if level else self._contact.drive_low)()
        self._seen.append((sent, driven, time.monotonic()))
        if len(self._contact.states) > KEPT_STATES:
            self._contact.clear_states()

    def last_turn(self) -> None:
        """Hand over what was measured."""
        self._output.write_text(json.dumps(self._seen), encoding="utf-8")


def main() -> int:
    """Serve until a signal comes."""
    chosen = settings(Path(sys.argv[1]))
    source = sys.argv[2]
    factory, clock = mock_factory(), SystemClock(network_time=False)

    def drivers(fate: Fate) -> Sequence[Worker]:
        contact = factory.pin(GPIO)
        if not source.isdigit():
            return [EdgeRelay(contact, Path(source), fate.died)]
        begin = clock.monotonic() + clock.offset()
        steps = pulse_steps(Constant(int(source)), 1000, begin, chosen.timezone)
        return [PulseDriver("load", contact, steps, clock, on_death=fate.died, pull="up")]

    return daemon.run(chosen, factory, clock, drivers, lambda port: print(port, flush=True))


if __name__ == "__main__":
    sys.exit(main())
