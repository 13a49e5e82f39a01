"""A process that is killed, and threads that hang: the service manager has it back soon, with its counter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tests.vm import house
from tests.vm.lab import Lab
from tests.vm.machine import CommandError, Machine
from tests.vm.results import Result

GREATEST_BACK_SECONDS = 10.0
WATCHDOG_SECONDS = 5
KILLS = 5
PULSES = 100
REGISTER_SECONDS = 1
FROZEN_SECONDS = 60


def threads(lab: Lab) -> Iterator[Result]:
    """Killed; then hanging, with a watchdog that is quicker than the real one."""
    machine = lab.machine("threads", counted=True)
    with machine.running():
        house.configure(machine, register_seconds=REGISTER_SECONDS)
        house.restart(machine)
        house.pulses(machine, [house.GPIO], PULSES)
        house.counted(machine, PULSES)
        time.sleep(REGISTER_SECONDS + 2)  # until it is on disk
        yield _killed(machine)
        house.drop_in(machine, f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n")
        house.restart(machine)
        yield from _hanging(machine, "counting and all other threads but the first hang", _freeze)
        yield from _hanging(machine, "the whole process hangs", _stop)
        again = house.counter(machine)
        yield Result("the counter afterwards", f"{again} of {PULSES}", again == PULSES)


def _another(machine: Machine, before: int, began: float) -> float:
    """Seconds from `began` until another process than `before` was ready, all by the machine's own clock."""

    def back() -> bool:
        return house.process(machine) not in (0, before) and house.reading(machine) is not None

    house.until("another process", back, 2 * FROZEN_SECONDS)
    return int(machine.run("systemctl show -p ActiveEnterTimestampMonotonic --value powerpi")) / 1e6 - began


def _killed(machine: Machine) -> Result:
    """kill -9 of the process."""
    seconds = []
    for _ in range(KILLS):
        before = house.process(machine)
        began = _now(machine, f"kill -KILL {before}")
        seconds.append(_another(machine, before, began))
    promise = f"kill -9: back within {GREATEST_BACK_SECONDS:g} s"
    return Result(promise, f"{KILLS} times, at most {max(seconds):.1f} s", max(seconds) <= GREATEST_BACK_SECONDS)


def _now(machine: Machine, command: str) -> float:
    """Run a command; when that was, in seconds since the machine's boot."""
    return float(machine.run(f"{command}; cut -d ' ' -f 1 /proc/uptime"))


def _freeze(process: int) -> str:
    freeze = f"python3 {house.HELPERS}/freeze.py {process} {FROZEN_SECONDS}"
    return f"systemd-run --quiet --collect {freeze}"


def _stop(process: int) -> str:
    return f"kill -STOP {process}"


def _hanging(machine: Machine, what: str, hang: Callable[[int], str]) -> Iterator[Result]:
    """The watchdog ends it, the service manager starts it again."""
    before = house.process(machine)
    began = _now(machine, hang(before))
    limit = WATCHDOG_SECONDS + GREATEST_BACK_SECONDS
    promise = f"{what}: WatchdogSec={WATCHDOG_SECONDS} ends it, back {GREATEST_BACK_SECONDS:g} s later"
    try:
        seconds = _another(machine, before, began)
    except CommandError as error:
        yield Result(promise, str(error), False)
        return
    told = any("atchdog timeout" in line for line in house.journal(machine))
    yield Result(promise, f"{seconds:.1f} s", told and seconds <= limit)
