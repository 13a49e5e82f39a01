"""The service under systemd: it starts with the machine, is shut in, serves everything, and stops with a last write."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from tests.vm import house
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.results import Result

GREATEST_EXPOSURE = 2.0
GREATEST_STOP_SECONDS = 5.0
PULSES = 200
BAD_WORDS = re.compile(r"WARNING|ERROR|CRITICAL|Traceback|Fontconfig|SIGSYS|failed|denied", re.IGNORECASE)
EXPECTED = "the clock is not synchronised; rows wait"  # until clock-set.service has run
PERIODS = ("hour", "day", "week", "month", "year")
REGISTER = "from powerpi import register; import pathlib; print(register.read(pathlib.Path({!r})).pulses)"


def service(lab: Lab) -> Iterator[Result]:
    """The whole life of a service."""
    machine = lab.machine("service", counted=True)
    with machine.running():
        yield _started(machine)
        yield _shut_in(machine)
        yield _served(machine)
        yield from _stopped(machine)
        yield _quiet(machine)


def _started(machine: Machine) -> Result:
    house.ready(machine)
    stamps = "-p ExecMainStartTimestampMonotonic -p ActiveEnterTimestampMonotonic"
    said = machine.run(f"systemctl show powerpi --value {stamps}").split()
    seconds = (int(said[1]) - int(said[0])) / 1e6 if len(said) == 2 else float("nan")
    active = machine.run("systemctl is-active powerpi").strip()
    return Result("starts with the machine", f"{active}, ready after {seconds:.1f} s", active == "active")


def _shut_in(machine: Machine) -> Result:
    said = machine.run("systemd-analyze security --no-pager powerpi | tail -n 1")
    found = re.search(r": ([0-9.]+) ", said)
    exposure = float(found[1]) if found else float("nan")
    promise = f"`systemd-analyze security` at most {GREATEST_EXPOSURE:g}"
    return Result(promise, f"{exposure:g}", exposure <= GREATEST_EXPOSURE)


def _served(machine: Machine) -> Result:
    """All pages, pictures and readings, in both languages."""
    pages = ["/", "/api/v1/meters", "/api/v1/meters/house", "/api/v1/meters/house/gaps", "/health"]
    pages += [f"/house/{period}" for period in PERIODS]
    pages += [
        f"/house/{period}.{kind}?lang={lang}" for period in PERIODS for kind in ("png", "svg") for lang in ("de", "en")
    ]
    bad = [f"{path}: {status}" for path in pages if (status := machine.get(path, timeout=60).status) != 200]
    said = f"{len(pages) - len(bad)} of {len(pages)} {', '.join(bad)}".strip()
    return Result("everything is served from inside its walls", said, not bad)


def _stopped(machine: Machine) -> Iterator[Result]:
    """A stop right after pulses: the counter on disk is the one that was counted."""
    house.pulses(machine, [house.GPIO], PULSES)
    began = time.monotonic()
    machine.run("systemctl stop powerpi")
    seconds = time.monotonic() - began
    promise = f"stops within {GREATEST_STOP_SECONDS:g} s"
    yield Result(promise, f"{seconds:.1f} s", seconds <= GREATEST_STOP_SECONDS)
    register = REGISTER.format(f"{house.STATE}/house.register")
    stored = int(machine.run(f'{house.PYTHON} -c "{register}"'))
    machine.run("systemctl start powerpi")
    house.ready(machine)
    again = house.counter(machine)
    said = f"{stored} of {PULSES} on disk, {again} after the next start"
    yield Result("the last write holds all pulses", said, stored == again == PULSES)


def _quiet(machine: Machine) -> Result:
    bad = [line for line in house.journal(machine) if BAD_WORDS.search(line) and EXPECTED not in line]
    return Result("nothing bad in the journal", "; ".join(bad) or "nothing", not bad)
