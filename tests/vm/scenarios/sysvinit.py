"""The LSB script on a Debian that is booted by sysvinit: it counts, is asked, killed, stopped and booted again."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.vm import house
from tests.vm.lab import Lab
from tests.vm.machine import CommandError, Machine
from tests.vm.results import Result
from tests.vm.scenarios.install import CHECKOUT, NO_GROUP, PULSES, counted_all, put_in, stopped

SCRIPT = "/etc/init.d/powerpi"
PID = "/run/powerpi/powerpi.pid"
OTHER_INIT = f"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --allow-remove-essential --no-install-recommends /root/sysvinit/*.deb \\
    systemd-sysv- libpam-systemd- >/dev/null 2>&1
install -m 755 {house.HELPERS}/sysvinit /etc/init.d/vm
update-rc.d vm defaults
sync
"""
RUNS, DEAD, NOT_THERE = 0, 1, 3  # LSB: what `status` says


def sysvinit(lab: Lab) -> Iterator[Result]:
    """The life of a service without systemd."""
    packages = lab.packages()
    machine = lab.bare("sysvinit")
    with machine.running():
        house.furnish(machine)
        house.carry(machine, lab.checkout, CHECKOUT)
        house.carry(machine, packages / "sysvinit", "/root/sysvinit")
        machine.run(f"systemctl start gpio-sim; {NO_GROUP}")
        machine.run(OTHER_INIT)
        machine.cut()  # the systemd that runs cannot be asked any more
        machine.start()
        machine.wait()
        yield from _installed(machine)
        yield from _asked(machine)
        yield from stopped(machine, f"{SCRIPT} stop")
        yield from _booted(machine)
        yield _removed(machine)


def _status(machine: Machine) -> int:
    return int(machine.run(f"{SCRIPT} status >/dev/null 2>&1; echo $?"))


def _installed(machine: Machine) -> Iterator[Result]:
    first = machine.run("cat /proc/1/comm; ls -d /run/systemd/system 2>/dev/null || true").split()
    said, seconds = put_in(machine, f"--gpio {house.GPIO} --imp-per-kwh {house.IMP_PER_KWH}")
    house.ready(machine)
    right = first == ["init"] and f"sudo {SCRIPT} restart" in said
    yield Result("installs where sysvinit runs", f"{seconds:.0f} s, process 1 is {first[0]}", right)
    groups = machine.run(f"id -Gn powerpi; grep Groups /proc/$(cat {PID})/status; getent group gpio")
    gpio = groups.strip().split(":")[-2]
    right = gpio in groups.splitlines()[1].split()
    yield Result("runs as powerpi in the group gpio", " / ".join(groups.splitlines()[:2]), right)
    yield counted_all(machine)


def _asked(machine: Machine) -> Iterator[Result]:
    """status, restart and a kill."""
    began = time.monotonic()
    machine.run(f"{SCRIPT} restart")
    seconds = time.monotonic() - began
    at_once = house.reading(machine) is not None
    found = house.counter(machine)
    said = f"{seconds:.1f} s, the page {'answers' if at_once else 'does not answer'}, {found} pulses"
    yield Result("`restart` is over when the page is served", said, at_once and found == PULSES)
    codes = [_status(machine)]
    machine.run(f"kill -9 $(cat {PID})")
    time.sleep(1)
    codes.append(_status(machine))
    machine.run(f"{SCRIPT} start")
    codes.append(_status(machine))
    found = house.counter(machine)
    said = f"status {codes[0]}, {codes[1]}, after a start {codes[2]}, {found} pulses"
    right = codes == [RUNS, DEAD, RUNS] and found == PULSES
    yield Result("after `kill -9` `status` says so, and it can be started", said, right)
    machine.run("echo '[nonsense]' >>/etc/powerpi.conf")
    try:
        machine.run(f"{SCRIPT} restart")
        said, right = "it did not say so", False
    except CommandError as error:
        said, right = str(error).splitlines()[-1].strip(), "[nonsense]" in str(error)
    codes = [_status(machine)]
    machine.run(f"sed -i '$d' /etc/powerpi.conf && {SCRIPT} start")
    yield Result("a start that fails says why", said, right and codes == [NOT_THERE])


def _booted(machine: Machine) -> Iterator[Result]:
    before = _status(machine)
    machine.run(f"{SCRIPT} start")
    counter = house.counter(machine)
    house.pulses(machine, [house.GPIO], PULSES)  # written by the stop of the shutdown
    began = time.monotonic()
    machine.shut_down()
    seconds = time.monotonic() - began
    machine.start()
    machine.wait()
    house.ready(machine)
    found = house.counter(machine) - counter
    said = f"down in {seconds:.0f} s, {found} of {PULSES} pulses, status {before} before"
    right = found == PULSES and before == NOT_THERE
    yield Result("starts with the machine, and is stopped with it", said, right)
    yield counted_all(machine)


def _removed(machine: Machine) -> Result:
    machine.run(f"sh {CHECKOUT}/init/uninstall --purge --yes")
    left = machine.run(
        f"ls {SCRIPT} /etc/rc2.d/*powerpi /opt/powerpi* {house.STATE} 2>/dev/null; pgrep powerpi || true"
    )
    return Result("`init/uninstall --purge` leaves nothing", left or "nothing", not left)
