"""PowerPi's own pin factory and gpiozero's lgpio, measured alike."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.vm import house
from tests.vm.lab import Lab, progress
from tests.vm.machine import Machine
from tests.vm.results import Result

FACTORIES = {"powerpi": "", "lgpio": "/opt/lgpio"}  # and where Python finds what it needs, beyond Debian's packages
STARTS = 100
STOPPED_SECONDS = 2.0
PULSES = 100  # 6 s at 16.7 a second; the process is stopped for two of them
IDLE_SECONDS = 60.0


class Measured(NamedTuple):
    """What was measured of one factory."""

    heard: int  # of STARTS
    counted: int  # of PULSES
    lost: int  # edges that PowerPi says it lost
    wakes: float  # voluntary context switches a minute
    cpu: float  # CPU seconds a minute


def pins(lab: Lab) -> Iterator[Result]:
    """One line for each thing measured; the promises are those of our own factory."""
    machine = lab.machine("pins", counted=True)
    with machine.running():
        own, other = (_measured(machine, factory, path) for factory, path in FACTORIES.items())
    yield Result(f"{STARTS} starts that hear the first pulses", _both(own.heard, other.heard), own.heard == STARTS)
    promise = f"{PULSES} pulses at 16.7 a second, stopped for {STOPPED_SECONDS:g} s of them"
    yield Result(promise, _both(own.counted, other.counted), own.counted == PULSES)
    lost = f"{own.lost} (lgpio: {other.lost}, of {2 * (PULSES - other.counted)} or more)"
    yield Result("edges known to be lost", lost, own.lost == 0)
    yield Result("wake-ups a minute, idle", _both(round(own.wakes), round(other.wakes)), own.wakes < other.wakes)
    yield Result("CPU a minute, idle (s)", _both(round(own.cpu, 2), round(other.cpu, 2)), own.cpu < other.cpu)


def _both(own: float, other: float) -> str:
    return f"{own:g} (lgpio: {other:g})"


def _measured(machine: Machine, factory: str, path: str) -> Measured:
    progress(f"pins: {factory}")
    machine.run("systemctl stop powerpi")
    heard = _starts(machine, factory, path)
    house.drop_in(machine, f"[Service]\nEnvironment=GPIOZERO_PIN_FACTORY={factory} PYTHONPATH={path}\n")
    house.restart(machine)
    counted, lost = _stopped(machine)
    return Measured(heard, counted, lost, *_idle(machine))


def _starts(machine: Machine, factory: str, path: str) -> int:
    environment = f"GPIOZERO_PIN_FACTORY={factory} LG_WD=/tmp PYTHONPATH={house.HELPERS}:{path}"
    command = f"cd /tmp && {environment} {house.PYTHON} {house.HELPERS}/starts.py {house.GPIO} {STARTS}"
    return int(json.loads(machine.run(command, timeout=1200).splitlines()[-1])["heard"])


def _stopped(machine: Machine) -> tuple[int, int]:
    """Pulses counted and edges lost, by the daemon's own account, with the process stopped in the middle."""
    before, process = house.counter(machine), house.process(machine)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(house.pulses, machine, [house.GPIO], PULSES)
        time.sleep(1.5)
        machine.run(f"kill -STOP {process}; sleep {STOPPED_SECONDS}; kill -CONT {process}")
        sending.result()
    counted = house.counted(machine, before + PULSES) - before
    said = house.reading(machine)
    assert said
    return counted, said["edges_lost"]


def _idle(machine: Machine) -> tuple[float, float]:
    """Wake-ups and CPU seconds a minute of the daemon's process while nobody asks and no pulse comes."""
    time.sleep(5)
    process = house.process(machine)
    look = f"cat /proc/{process}/task/*/schedstat; cat /proc/{process}/task/*/status | grep ^voluntary"
    before, after = _look(machine.run(look)), _look(machine.run(f"sleep {IDLE_SECONDS}; {look}"))
    minutes = IDLE_SECONDS / 60
    return (after[0] - before[0]) / minutes, (after[1] - before[1]) / minutes


def _look(text: str) -> tuple[int, float]:
    """Wake-ups and CPU seconds so far, from /proc (proc(5): status, schedstat)."""
    lines = text.splitlines()
    wakes = sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))
    return wakes, sum(int(line.split()[0]) for line in lines if line[0].isdigit()) / 1e9
