"""A machine that boots a year behind: what is counted before the clock is set gets its right times."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tests.vm import house, truth
from tests.vm.lab import Lab, progress
from tests.vm.machine import Machine
from tests.vm.results import Result
from tests.vm.truth import Row, Sent

MEAN_SECONDS = 0.3
YEAR_SECONDS = 365 * 86400
FIRST_SECONDS = 40  # with a right clock
WRONG_SECONDS = 60  # a year behind
RIGHT_SECONDS = 40  # after it was set
ROW_PULSES = 1.0
FLUSH_SECONDS = 10


def clock(lab: Lab) -> Iterator[Result]:
    """A boot with the right clock, one that begins a year behind."""
    machine = lab.machine("clock")
    with machine.running():
        house.configure(machine, flush_seconds=FLUSH_SECONDS)
        house.restart(machine)
        house.meter_on(machine, MEAN_SECONDS)
        time.sleep(FIRST_SECONDS)
        machine.run("touch /etc/clock-unset")  # from the next boot on nobody sets it
        machine.shut_down()
    behind = datetime.fromtimestamp(time.time() - YEAR_SECONDS, UTC)
    progress("clock: a year behind")
    with machine.running(behind.strftime("%Y-%m-%dT%H:%M:%S")):
        house.ready(machine)
        time.sleep(WRONG_SECONDS)
        yield _waits(machine)
        machine.run(f"python3 {house.HELPERS}/set-clock.py {time.time():.3f}")
        time.sleep(RIGHT_SECONDS)
        yield _goes_on(machine)
        house.meter_off(machine)
        machine.run("systemctl stop powerpi")
        yield from _placed(machine)


def _waits(machine: Machine) -> Result:
    """Before the clock is set: counted, not dated, and told."""
    status, said = house.health(machine)
    reading = house.reading(machine)
    sent = len(truth.lives(machine.truth)[-1])
    dated = reading and reading["last_pulse_time"]
    words = "; ".join(said["warnings"])
    kept = status == 200 and "clock" in words and dated is None
    return Result("a year behind: counts, waits, says so", f"{sent} pulses sent; /health: {words}", kept)


def _goes_on(machine: Machine) -> Result:
    status, said = house.health(machine)
    calm = not [words for words in said["warnings"] if "clock" in words]
    told = "; ".join(said["warnings"]) or "nothing"
    return Result("set, as chrony does: nothing to tell any more", f"{status}, {told}", status == 200 and calm)


def _placed(machine: Machine) -> Iterator[Result]:
    """Rows of both boots, read from the disk."""
    first, second = truth.lives(machine.truth)
    life = truth.placed(second)
    rows = house.rows(machine, first[0].wall - 60, life[-1].wall + 60)
    for name, sent in (("before", first), ("a year behind, and after", life)):
        yield _true(f"rows of the boot {name}", rows, sent)
    down = truth.known_between(rows, first[-1].wall, life[0].wall)
    yield Result("the time between is unknown", f"{len(down)} known rows", not down)
    wrong = house.rows(machine, life[0].wall - YEAR_SECONDS - 86400, life[0].wall - YEAR_SECONDS + 86400)
    dated = [row for row in wrong if row.pulses is not None]
    yield Result("nothing stands a year too early", f"{len(dated)} known rows", not dated)


def _true(what: str, rows: Sequence[Row], sent: Sequence[Sent]) -> Result:
    off = truth.deviations(rows, sent)
    whole = (sent[-1].wall - sent[0].wall) // truth.STEP_SECONDS
    said = f"{len(off)} of about {whole:g}, at most {max(off, default=99):.2f} pulses off"
    return Result(f"{what}: all there, right", said, len(off) >= whole - 4 and max(off) <= ROW_PULSES)
