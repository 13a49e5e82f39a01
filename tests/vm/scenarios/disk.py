"""A disk that fails, fills up and turns read-only under a running PowerPi: all that was counted is written afterwards.

The state lies on a file system of its own, on a device-mapper device that can be made to fail. It has no journal: ext4
with one stays read-only after an error until it is mounted anew, for which every program has to let go of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tests.vm import house, truth
from tests.vm.lab import Lab, progress
from tests.vm.machine import Machine
from tests.vm.results import Result
from tests.vm.truth import Row, Sent

MEAN_SECONDS = 0.2
FLUSH_SECONDS, REGISTER_SECONDS = 10, 5
WELL_SECONDS = 25  # between faults: several writes
FAULT_SECONDS = 45
NOTICED_SECONDS = 40.0  # a write is due every 10 s
MENDED_SECONDS = 40.0
ROW_PULSES = 1.0

PREPARE = f"""
set -e
systemctl stop powerpi
rm -rf {house.STATE}/*
echo "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0" >/run/well
echo "0 $(blockdev --getsz /dev/vdb) error" >/run/broken
dmsetup create state /run/well
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 /dev/mapper/state
mount -o errors=continue,noatime /dev/mapper/state {house.STATE}
chown powerpi:powerpi {house.STATE}
systemctl start powerpi
"""
SWITCH = "dmsetup suspend --nolockfs --noflush state; dmsetup load state /run/{}; dmsetup resume state"
FILL = f"for size in 1M 1k; do dd if=/dev/zero of={house.STATE}/filler.$size bs=$size 2>/dev/null; done; true"
FORGET = "sync; echo 3 >/proc/sys/vm/drop_caches"  # what is read from now on comes from the disk


class Fault(NamedTuple):
    """A fault, its end, and whether a write must fail meanwhile."""

    name: str
    begin: str
    end: str
    noticed: bool


FAULTS = (
    Fault("I/O errors", SWITCH.format("broken"), SWITCH.format("well"), True),
    # the files have their full size from the start: a full disk need not stop them
    Fault("disk full", FILL, f"rm {house.STATE}/filler.*", False),
    # the emergency remount, as after a kernel's own error: of all file systems
    Fault(
        "read-only", "echo u >/proc/sysrq-trigger", f"mount -o remount,rw /; mount -o remount,rw {house.STATE}", True
    ),
)


def disk(lab: Lab) -> Iterator[Result]:
    """All faults one after the other while the meter turns, then the truth about everything."""
    machine = lab.machine("disk", spare=True)
    with machine.running():
        house.configure(machine, flush_seconds=FLUSH_SECONDS, register_seconds=REGISTER_SECONDS)
        machine.run(PREPARE)
        house.ready(machine)
        house.meter_on(machine, MEAN_SECONDS)
        for fault in FAULTS:
            time.sleep(WELL_SECONDS)
            yield from _suffered(machine, fault)
        time.sleep(WELL_SECONDS)
        house.meter_off(machine)
        yield from _complete(machine)


def _suffered(machine: Machine, fault: Fault) -> Iterator[Result]:
    """One fault: counting goes on, the health check tells of it, and tells when it is over."""
    progress(f"disk: {fault.name}")
    machine.run(fault.begin)
    began, before = time.monotonic(), _behind(machine)
    told = _turns(machine, 503, NOTICED_SECONDS) if fault.noticed else None
    time.sleep(max(0.0, began + FAULT_SECONDS - time.monotonic()))
    behind = _behind(machine)
    promise = f"{fault.name}: counting goes on" + (", /health tells" if fault.noticed else "")
    said = f"{behind} pulses behind after {FAULT_SECONDS} s" + (f", told after {told:.0f} s" if told else "")
    yield Result(promise, said, max(before, behind) < 3 / MEAN_SECONDS and (told is not None or not fault.noticed))
    machine.run(fault.end)
    mended = _turns(machine, 200, MENDED_SECONDS)
    said = "still at fault" if mended is None else f"{mended:.0f} s later"
    yield Result(f"{fault.name}: well again by itself", said, mended is not None)
    time.sleep(FLUSH_SECONDS + REGISTER_SECONDS)
    machine.run(FORGET)


def _behind(machine: Machine) -> int:
    """Pulses that were sent and that the API does not know yet; the meter and the counter began together."""
    counter = house.counter(machine)
    return truth.lives(machine.truth)[-1][-1].number - counter


def _turns(machine: Machine, status: int, seconds: float) -> float | None:
    """Seconds until the health check has that status; None when it takes too long."""
    return _timed(lambda: house.health(machine)[0] == status, seconds)


def _timed(reached: Callable[[], bool], seconds: float) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if reached():
            return time.monotonic() - began
        time.sleep(1)
    return None


def _complete(machine: Machine) -> Iterator[Result]:
    """Counter, rows and files after a restart."""
    life = truth.lives(machine.truth)[-1]
    counted = house.counted(machine, len(life))
    house.restart(machine)
    again = house.counter(machine)
    said = f"{counted} counted, {again} after a restart, of {len(life)}"
    yield Result("afterwards the counter is the truth", said, counted == again == len(life))
    machine.run(FORGET)
    yield from _rows(house.rows(machine, life[0].wall - 60, life[-1].wall + 60), life)
    aside = machine.run(f"ls {house.STATE}").split()
    bad = [name for name in aside if "damaged" in name]
    yield Result("no file had to be set aside", ", ".join(bad) or "none", not bad)


def _rows(rows: Sequence[Row], life: Sequence[Sent]) -> Iterator[Result]:
    """Every step of the time is known, and true."""
    off, holes = truth.deviations(rows, life), truth.holes(rows)
    missing = (life[-1].wall - life[0].wall) // truth.STEP_SECONDS - 1 - len(off)
    yield Result("and there is no gap", f"{len(off)} rows on the disk, {holes} holes", holes == 0 and missing <= 2)
    promise = f"all rows hold what was sent (within {ROW_PULSES:g} pulse)"
    yield Result(promise, f"at most {max(off, default=0):.2f} pulses off", max(off, default=99) <= ROW_PULSES)
