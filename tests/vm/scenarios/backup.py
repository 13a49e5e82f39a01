"""Backups under systemd: made by the timer's service while PowerPi counts, on a stick too, and brought back."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.vm import house
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.results import Result

GREATEST_EXPOSURE = 1.0
PULSES = 300
POWERPI = "/opt/powerpi/bin/powerpi"
FOLDER = f"{house.STATE}/backups"
STICK = "/mnt/stick"
MAKE = "systemctl start powerpi-backup.service || { journalctl -b -u powerpi-backup -o cat >&2; false; }"
UNITS = """
set -e
cp /usr/local/src/powerpi/init/powerpi-backup.* /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now powerpi-backup.timer
"""
TO_STICK = f"""
set -e
install -d -o powerpi -g powerpi -m 750 {STICK}
printf '[backup]\\nfolder = {STICK}\\nkeep = 1\\n' >>/etc/powerpi.conf
mkdir -p /etc/systemd/system/powerpi-backup.service.d
printf '[Service]\\nReadWritePaths={STICK}\\n' >/etc/systemd/system/powerpi-backup.service.d/stick.conf
systemctl daemon-reload
"""
LOST = f"""
set -e
systemctl stop powerpi
rm -r {house.STATE}/* /etc/powerpi.conf
{POWERPI} restore /root/house.powerpi
systemctl start powerpi
"""


def backup(lab: Lab) -> Iterator[Result]:
    """A machine that counts, is saved, and loses all it has."""
    machine = lab.machine("backup")
    with machine.running():
        house.ready(machine)
        yield _timer(machine)
        yield from _by_itself(machine)
        yield _on_a_stick(machine)
        yield _lost(machine)


def _timer(machine: Machine) -> Result:
    machine.run(UNITS)
    asked = "-p ActiveState -p NextElapseUSecRealtime"
    said = machine.run(f"systemctl show powerpi-backup.timer --value {asked}").splitlines()
    shut_in = machine.run("systemd-analyze security --no-pager powerpi-backup | tail -n 1")
    found = re.search(r": ([0-9.]+) ", shut_in)
    exposure = float(found[1]) if found else float("nan")
    right = "active" in said and any(re.match(r"[A-Z][a-z]{2} \d{4}-", line) for line in said)
    promise = f"a timer for every week, `systemd-analyze security` at most {GREATEST_EXPOSURE:g}"
    return Result(promise, f"{', '.join(filter(None, said))}; {exposure:g}", right and exposure <= GREATEST_EXPOSURE)


def _by_itself(machine: Machine) -> Iterator[Result]:
    """The service makes one, as its user, while pulses are counted."""
    house.pulses(machine, [house.GPIO], PULSES)
    counted = house.counted(machine, PULSES)
    machine.run(MAKE)
    made = machine.run(f"stat -c '%U %a %n' {FOLDER}/*").split("\n")
    said = f"{counted} of {PULSES} counted; {made[0]}"
    right = counted == PULSES and len(list(filter(None, made))) == 1 and made[0].startswith("powerpi 640 ")
    yield Result("the service makes one while PowerPi counts", said, right)
    verified = machine.run(f"{POWERPI} backup --verify 2>/dev/null").splitlines()[-1]
    yield Result("it is the same as the store", verified, "identical with the store" in verified)


def _on_a_stick(machine: Machine) -> Result:
    machine.run(TO_STICK)
    for _ in range(2):
        machine.run(f"{{ {MAKE}; }} && sleep 1")
    made = machine.run(f"ls {STICK}").split()
    promise = "a drop-in opens a folder elsewhere, and only so many are kept"
    return Result(promise, f"{len(made)} of 2 kept", len(made) == 1)


def _lost(machine: Machine) -> Result:
    """State and configuration are gone, and come back; what the service needs belongs to it."""
    before = house.counter(machine)
    machine.run(f"{POWERPI} backup /root/house.powerpi")
    said = machine.run(LOST).splitlines()
    house.ready(machine)
    after = house.counter(machine)
    house.pulses(machine, [house.GPIO], 50)
    counted = house.counted(machine, before + 50)
    right = before == after == PULSES and counted == before + 50 and any("identical with" in line for line in said)
    return Result("all that was lost comes back, and it counts on", f"{before}, {after}, then {counted} pulses", right)
