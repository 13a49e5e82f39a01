"""PowerPi in a virtual machine: how it is installed there, configured, asked, and what it left on its disk."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.vm.machine import PAUSE_SECONDS, CommandError, Machine
from tests.vm.truth import Row, parse_rows

TOP = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).parent / "guest"
HELPERS = "/usr/local/lib/vm"
STATE = "/var/lib/powerpi"
PYTHON = "/opt/powerpi/bin/python"
GPIO = 24
HOUSE = "house"
SIX = {HOUSE: GPIO, "cellar": 5, "kitchen": 6, "garage": 13, "attic": 19, "garden": 26}
PHASE_SECONDS = 0.03  # EN 62053-31: at most 16.7 pulses a second
IMP_PER_KWH = 1000  # a pulse is a watt-hour: the meter reading is the counter
READY_SECONDS = 240.0
COUNTED_SECONDS = 15.0  # turns come every second; the machine is slow and busy

INSTALL = """
set -e
install -d /usr/local/src/powerpi && tar -x -C /usr/local/src/powerpi
addgroup --system --quiet powerpi
adduser --system --quiet --ingroup powerpi --no-create-home --home /var/lib/powerpi powerpi
python3 -m venv --system-site-packages /opt/powerpi
/opt/powerpi/bin/pip install --quiet --no-index --no-build-isolation /usr/local/src/powerpi
install -m 644 /usr/local/src/powerpi/init/powerpi.service /etc/systemd/system/
systemctl --quiet enable powerpi
"""
HELP = f"""
set -e
install -d {HELPERS} && tar -x -C {HELPERS} && chmod +x {HELPERS}/gpio-sim-up
cp {HELPERS}/*.service /etc/systemd/system/
install -D -m 644 -t /etc/systemd/system/powerpi.service.d {HELPERS}/hardware.conf
systemctl --quiet enable gpio-sim meter clock-set
"""


def source(uncommitted: bool) -> bytes:
    """The checkout as a tar file: its last commit, or its files as they are now."""
    if not uncommitted:
        return subprocess.run(["git", "archive", "HEAD"], cwd=TOP, stdout=subprocess.PIPE, check=True).stdout
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=TOP, stdout=subprocess.PIPE, check=True).stdout
    packed = ["tar", "-c", "--null", "--verbatim-files-from", "--ignore-failed-read", "-T", "-"]
    return subprocess.run(packed, cwd=TOP, input=names, stdout=subprocess.PIPE, check=True).stdout


def install(machine: Machine, packed: bytes) -> None:
    """Install PowerPi (a tar file) as a service that starts with the machine, and what the scenarios need beside it."""
    furnish(machine)
    machine.run(INSTALL, packed, timeout=900)
    configure(machine)


def furnish(machine: Machine) -> None:
    """What the scenarios need beside PowerPi: a GPIO chip, a contact, a clock that is set."""
    helpers = ["tar", "-c", "-C", str(GUEST), "--exclude", "__pycache__", "."]
    machine.run(HELP, subprocess.run(helpers, stdout=subprocess.PIPE, check=True).stdout)


def carry(machine: Machine, folder: Path, target: str) -> None:
    """Copy a folder of the host into a machine, as on a stick."""
    packed = subprocess.run(["tar", "-c", "-C", str(folder), "."], stdout=subprocess.PIPE, check=True).stdout
    machine.run(f"mkdir -p {target} && tar -x --no-same-owner -C {target}", packed)


def config_text(meters: Mapping[str, int], flush_seconds: int, register_seconds: int) -> str:
    """The configuration of a house; all else as it is by default."""
    sections = [f"[meter {name}]\ngpio = {gpio}\nimp_per_kwh = {IMP_PER_KWH}\n" for name, gpio in meters.items()]
    store = f"[store]\nflush_seconds = {flush_seconds}\nregister_seconds = {register_seconds}\n"
    return f"[powerpi]\nstate = {STATE}\ntimezone = Europe/Berlin\n{''.join(sections)}{store}"


def configure(
    machine: Machine,
    meters: Mapping[str, int] | None = None,
    flush_seconds: int = 300,
    register_seconds: int = 60,
    sections: str = "",
) -> None:
    """Write the configuration, with further sections; it counts from the next start on."""
    text = config_text({HOUSE: GPIO} if meters is None else meters, flush_seconds, register_seconds) + sections
    command = "cat >/etc/powerpi.conf && chmod 640 /etc/powerpi.conf && chown root:powerpi /etc/powerpi.conf && sync"
    machine.run(command, text.encode())


def drop_in(machine: Machine, text: str) -> None:
    """Add to the service's unit; empty text takes everything away again."""
    folder = "/etc/systemd/system/powerpi.service.d"
    command = f"mkdir -p {folder} && cat >{folder}/vm.conf && systemctl daemon-reload"
    machine.run(command, text.encode())


def until(what: str, answer: Callable[[], Any], seconds: float) -> Any:
    """Ask until the answer is neither None nor False, and return it. Raises CommandError when it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = answer()
        if found is not None and found is not False:
            return found
        time.sleep(PAUSE_SECONDS)
    raise CommandError(f"{what}: not within {seconds:g} s")


def reading(machine: Machine, meter: str = HOUSE) -> dict[str, Any] | None:
    """What the API says of a meter; None while it does not answer."""
    try:
        answer = machine.get(f"/api/v1/meters/{meter}")
    except OSError:
        return None
    return dict(json.loads(answer.body)) if answer.status == 200 else None


def ready(machine: Machine) -> float:
    """Wait until the page is served; seconds that took."""
    began = time.monotonic()
    until("the page", lambda: reading(machine), READY_SECONDS)
    return time.monotonic() - began


def restart(machine: Machine) -> None:
    """Start the service again and wait for it."""
    machine.run("systemctl restart powerpi")
    ready(machine)


def counter(machine: Machine, meter: str = HOUSE) -> int:
    """The lifetime counter in pulses."""
    said = until("a reading", lambda: reading(machine, meter), COUNTED_SECONDS)
    return round(float(said["meter_reading_watt_hours"]) * IMP_PER_KWH / 1000)


def counted(machine: Machine, wanted: int, meter: str = HOUSE) -> int:
    """The counter once it has reached `wanted` and stayed there for a turn, or after it had time enough."""
    try:
        until("the counter", lambda: counter(machine, meter) >= wanted, COUNTED_SECONDS)
    except CommandError:
        return counter(machine, meter)
    time.sleep(2)  # one pulse too many would come now
    return counter(machine, meter)


def health(machine: Machine) -> tuple[int, dict[str, Any]]:
    """The status and the words of the health check."""
    answer = machine.get("/health")
    return answer.status, json.loads(answer.body)


def gaps(machine: Machine, meter: str = HOUSE) -> list[dict[str, Any]]:
    """The gaps as the API lists them."""
    return list(json.loads(machine.get(f"/api/v1/meters/{meter}/gaps").body)["gaps"])


def process(machine: Machine) -> int:
    """The process id of the daemon; 0 when there is none."""
    return int(machine.run("systemctl show -p MainPID --value powerpi"))


def journal(machine: Machine, options: str = "-b") -> list[str]:
    """What PowerPi and the service manager said about it."""
    return machine.run(f"journalctl {options} -u powerpi -o cat").splitlines()


def rows(machine: Machine, start: float, end: float, meter: str = HOUSE) -> list[Row]:
    """The lossless archive as it lies on the disk, read by rrdtool itself and not by PowerPi."""
    command = f"rrdtool fetch {STATE}/{meter}.rrd AVERAGE -r 10 -s {int(start)} -e {int(end)}"
    return parse_rows(machine.run(command))


def pulses(machine: Machine, gpios: Sequence[int], count: int, chatter_seconds: float = 0.0) -> list[dict[str, Any]]:
    """Send pulses as fast as S0 allows on all lines at once; what was really done, by line."""
    lines = ",".join(map(str, gpios))
    command = f"python3 {HELPERS}/contact.py pulses {lines} {count} {PHASE_SECONDS} {PHASE_SECONDS} {chatter_seconds}"
    return list(json.loads(machine.run(command, timeout=1800)))


def meter_on(machine: Machine, mean_seconds: float) -> None:
    """Let the simulated meter turn from now on, and after each boot from its beginning."""
    settings = f"GPIO={GPIO}\nMEAN_SECONDS={mean_seconds}\n"
    machine.run("cat >/etc/meter && sync && systemctl start meter", settings.encode())


def meter_off(machine: Machine) -> None:
    """Let the simulated meter stand still; a pulse that has begun is ended."""
    machine.run("systemctl stop meter")
