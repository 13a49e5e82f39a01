"""`init/install` on a Debian without PowerPi, without network, and with the system that it replaces; to the very end.

In: packages that were fetched beforehand. Then a life: pulses, a kill, an upgrade, a stick, a read-only root, removal.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from tests.vm import house
from tests.vm.lab import Lab, progress
from tests.vm.machine import CommandError, Machine
from tests.vm.results import Result
from tests.vm.scenarios.service import GREATEST_EXPOSURE, GREATEST_STOP_SECONDS, REGISTER

CHECKOUT = "/root/checkout"
OFFLINE = "/root/offline"
STICK = "/mnt/stick"
PULSES = 50
INSTALL_SECONDS = 1500.0  # of a slow machine, which unpacks all packages
OLD_SCRIPT = "/var/backups/powerpi.predecessor"

# what tests/vm/build has put there for other scenarios; the simulated chip and its helpers need Python alone
BARE = """
set -e
apt-mark manual python3 udev >/dev/null
apt-get purge -y -qq --auto-remove $(sed '/^#/d' /root/checkout/init/packages) >/dev/null 2>&1
"""
NO_GROUP = """
set -e
rm -rf /etc/udev/rules.d/99-gpio.rules /opt/lgpio
groupdel gpio
udevadm control --reload && udevadm trigger --subsystem-match=gpio && udevadm settle
chgrp root /dev/gpiochip* && chmod 600 /dev/gpiochip*
"""
OLD_INI = """[smartmeter]
impkwh = 1000
[gpio]
port = 24
mintime = 20
[server]
url = power.example.org/get.php
ssl = yes
basicauth = yes
user = pi
password = s%cr;et
sslself = yes
"""
OLD_INIT = """#!/bin/sh
### BEGIN INIT INFO
# Provides:          powerpi
# Required-Start:    $remote_fs
# Required-Stop:     $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: the system that PowerPi replaces
### END INIT INFO
case $1 in
start) start-stop-daemon -S -b -m -p /run/old.pid -a /srv/powerpi/old ;;
stop) start-stop-daemon -K -p /run/old.pid ;;
esac
"""
OLD_SYSTEM = f"""
set -e
mkdir -p /srv/powerpi
cat >/srv/powerpi/powerpi.ini <<'END'
{OLD_INI}END
cat >/etc/init.d/powerpi <<'END'
{OLD_INIT}END
printf '#!/bin/sh\\nexec sleep 100000\\n' >/srv/powerpi/old
chmod +x /srv/powerpi/old /etc/init.d/powerpi
: >/srv/powerpi/power.rrd
update-rc.d powerpi defaults
systemctl daemon-reload
systemctl start powerpi
"""
DROP_IN = f"[Unit]\nRequiresMountsFor={STICK}\n[Service]\nReadWritePaths={STICK}/powerpi\n"
TO_STICK = f"""
set -e
mkfs.ext4 -q /dev/vdb
mkdir -p {STICK}
printf '/dev/vdb {STICK} ext4 defaults,noatime 0 2\\n' >>/etc/fstab
mount {STICK}
systemctl stop powerpi
cp -a {house.STATE} {STICK}/
sed -i 's|^state = .*|state = {STICK}/powerpi|' /etc/powerpi.conf
"""
READ_ONLY = """
set -e
sed -i '1s/defaults,noatime/defaults,noatime,ro/' /etc/fstab
for folder in /tmp /var/tmp /var/log; do echo "tmpfs $folder tmpfs defaults 0 0" >>/etc/fstab; done
"""
KEPT = f"ls -d {house.STATE} {STICK}/powerpi /etc/powerpi.conf /opt/powerpi* /usr/local/bin/powerpi /etc/init.d/powerpi"
KEPT += " /etc/systemd/system/powerpi.service /etc/udev/rules.d/60-powerpi-gpio.rules 2>/dev/null || true"


def install(lab: Lab) -> Iterator[Result]:
    """The whole life of an installation."""
    packages = lab.packages()
    machine = lab.bare("install", spare=True)
    with machine.running():
        house.furnish(machine)
        house.carry(machine, lab.checkout, CHECKOUT)
        house.carry(machine, packages / "offline", OFFLINE)
        machine.run(f"systemctl start gpio-sim clock-set; {BARE} {NO_GROUP}")
        machine.run(OLD_SYSTEM)
        yield from _installed(machine)
        yield from _lives(machine)
        yield from _upgraded(machine)
        yield from _on_a_stick(machine)
        yield from _removed(machine)


def put_in(machine: Machine, options: str = f"--offline {OFFLINE}") -> tuple[str, float]:
    """What `init/install` says in a machine, and how many seconds it takes."""
    began = time.monotonic()
    said = machine.run(f"sh {CHECKOUT}/init/install {options} 2>&1", timeout=INSTALL_SECONDS)
    for line in said.splitlines()[-25:]:
        progress(f"    {line}")
    return said, time.monotonic() - began


def counted_all(machine: Machine) -> Result:
    """Pulses at the pin arrive in the counter."""
    before = house.counter(machine)
    house.pulses(machine, [house.GPIO], PULSES)
    found = house.counted(machine, before + PULSES) - before
    return Result("pulses are counted", f"{found} of {PULSES}", found == PULSES)


def stopped(machine: Machine, command: str, state: str = house.STATE) -> Iterator[Result]:
    """A stop right after pulses is quick, and its last write holds them."""
    before = house.counter(machine)
    house.pulses(machine, [house.GPIO], PULSES)
    began = time.monotonic()
    machine.run(command)
    seconds = time.monotonic() - began
    stored = int(machine.run(f'{house.PYTHON} -c "{REGISTER.format(f"{state}/house.register")}"'))
    said = f"{seconds:.1f} s, {stored - before} of {PULSES} on disk"
    right = seconds <= GREATEST_STOP_SECONDS and stored == before + PULSES
    yield Result(f"stops within {GREATEST_STOP_SECONDS:g} s with a last write", said, right)


def _installed(machine: Machine) -> Iterator[Result]:
    said, seconds = put_in(machine)
    house.ready(machine)
    served = "http://10.0.2.15:8080/" in said and "powerpi check --watch" in said
    yield Result("installs without network, in one command", f"{seconds:.0f} s, and says where the page is", served)
    wanted = ["port = 24, as gpio = 24", "impkwh = 1000", "mintime = 20", "url = https://power.example.org/get.php"]
    wanted += ["sslself = yes", "import house /srv/powerpi/power.rrd", OLD_SCRIPT]
    missing = [words for words in wanted if words not in said]
    leaked = "s%cr;et" in said
    old = machine.run(f"pgrep -fx 'sleep 100000' || true; ls {OLD_SCRIPT} /srv/powerpi/old").split()
    right = not missing and not leaked and sorted(old) == ["/srv/powerpi/old", OLD_SCRIPT]
    yield Result(
        "takes over the system it replaces, and stops it", ", ".join(missing) or "pin, constant, server", right
    )
    owners = machine.run(f"stat -c '%U:%G %a' /etc/powerpi.conf {house.STATE} /dev/gpiochip0; id -nG powerpi")
    right = owners.splitlines() == ["root:powerpi 640", "powerpi:powerpi 750", "root:gpio 660", "powerpi gpio"]
    yield Result("files, folders and pins belong to whom they should", " / ".join(owners.splitlines()), right)
    said = machine.run("powerpi check 2>&1 || true")
    bad = [line for line in said.splitlines() if line.startswith("BAD") and "mirror" not in line]
    yield Result("`powerpi check` finds nothing bad", "; ".join(bad) or "nothing", not bad and "configuration" in said)


def _lives(machine: Machine) -> Iterator[Result]:
    yield counted_all(machine)
    exposed = re.search(r": ([0-9.]+) ", machine.run("systemd-analyze security --no-pager powerpi | tail -n 1"))
    exposure = float(exposed[1]) if exposed else float("nan")
    promise = f"`systemd-analyze security` at most {GREATEST_EXPOSURE:g}"
    yield Result(promise, f"{exposure:g}", exposure <= GREATEST_EXPOSURE)
    machine.run("systemctl restart powerpi")  # writes the counter
    before = house.process(machine)
    machine.run(f"kill -9 {before}")
    began = time.monotonic()
    house.until("another process", lambda: house.process(machine) not in (0, before), 60.0)
    house.ready(machine)
    found = house.counter(machine)
    yield Result("back after `kill -9`", f"{time.monotonic() - began:.1f} s, {found} pulses", found == PULSES)


def _upgraded(machine: Machine) -> Iterator[Result]:
    """A newer program, then one that does not start."""
    counter, config = house.counter(machine), machine.run("sha256sum /etc/powerpi.conf")
    machine.run(f"sed -i 's/__version__ = .*/__version__ = \"99.0.0\"/' {CHECKOUT}/powerpi/__init__.py")
    said, seconds = put_in(machine)
    house.ready(machine)
    kept = house.counter(machine) == counter and machine.run("sha256sum /etc/powerpi.conf") == config
    told = re.search(r"upgraded from [0-9.]+ to 99\.0\.0", said)
    slots = machine.run("ls -d /opt/powerpi*").split()
    right = kept and bool(told) and slots == ["/opt/powerpi", "/opt/powerpi.2"]
    yield Result("run again it upgrades, and keeps what is there", f"{seconds:.0f} s, {' '.join(slots)}", right)
    machine.run(f"cp -R {CHECKOUT} /root/good && echo 'raise SystemExit(3)' >>{CHECKOUT}/powerpi/daemon.py")
    try:
        put_in(machine)
        right, said = False, "it did not say so"
    except CommandError as error:
        said = str(error).splitlines()[-1]
        right = "the one before (99.0.0) goes on" in said
    machine.run(f"rm -rf {CHECKOUT} && mv /root/good {CHECKOUT}")
    house.ready(machine)
    right = right and house.counter(machine) == counter
    yield Result("where a new program does not start the old one goes on", said, right)


def _on_a_stick(machine: Machine) -> Iterator[Result]:
    """The state on a stick, and then a root that is read-only."""
    machine.run(TO_STICK)
    machine.run("cat >/etc/systemd/system/powerpi.service.d/stick.conf", DROP_IN.encode())
    machine.run(READ_ONLY)
    counter = int(machine.run(f'{house.PYTHON} -c "{REGISTER.format(f"{STICK}/powerpi/house.register")}"'))
    machine.shut_down()
    machine.start()
    machine.wait()
    house.ready(machine)
    rooted = machine.run("findmnt -n -o OPTIONS / | cut -d, -f1; touch /root/x 2>&1 || true")
    again = house.counter(machine)
    said = f"{' '.join(rooted.split()[:1])}, {again} pulses as before"
    yield Result(
        "starts with the machine, on a read-only root, its data on a stick",
        said,
        again == counter and "Read-only" in rooted and rooted.startswith("ro"),
    )
    yield counted_all(machine)
    bad = [line for line in house.journal(machine) if re.search(r"Read-only|denied|Traceback|Fontconfig", line)]
    status = machine.get("/house/day.png", timeout=60).status
    said = "; ".join(bad) or f"day.png {status}"
    yield Result("nothing there wants to write elsewhere", said, not bad and status == 200)
    yield from stopped(machine, "systemctl stop powerpi", f"{STICK}/powerpi")


def _removed(machine: Machine) -> Iterator[Result]:
    machine.run("mount -o remount,rw /")
    said = machine.run(f"sh {CHECKOUT}/init/uninstall")
    left = machine.run(KEPT).split()
    wanted = ["/etc/powerpi.conf", f"{STICK}/powerpi", house.STATE]
    right = sorted(left) == sorted(wanted) and f"{STICK}/powerpi" in said
    yield Result("`init/uninstall` keeps data and configuration", " ".join(left), right)
    machine.run(f"sh {CHECKOUT}/init/uninstall --purge --yes")
    left = machine.run(f"{KEPT}; getent passwd powerpi || true; ls {OLD_SCRIPT}").split()
    right = left == [f"{STICK}/powerpi", OLD_SCRIPT]
    yield Result("`--purge` removes them too, but for a stick and what is not ours", " ".join(left), right)
