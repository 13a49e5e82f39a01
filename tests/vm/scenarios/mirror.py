"""A Pi and its mirror, one of them in a machine whose power is cut in the middle of a catch-up: afterwards equal.

The other end is a process of the host, which the machine reaches at 10.0.2.2. There is more than a year to be sent, and
a real meter counts on meanwhile.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.vm import ends, house, truth
from tests.vm.lab import Lab, progress
from tests.vm.local import Local, certificates, password_hash, tls_front
from tests.vm.machine import Machine
from tests.vm.results import Result

HOST = "10.0.2.2"  # how qemu's own network calls the host's 127.0.0.1
NAME = "mirror.example.org"
SENDER = "pi-hq"
CUTS = 6
ROWS = 366 * 8640  # of the lossless archive: how far the mirror is behind at first
MEAN_SECONDS = 0.3  # between pulses
ROW_PULSES = 1.0
FLUSH_SECONDS, REGISTER_SECONDS, PUSH_SECONDS = 10, 5, 10
COUNTED_SECONDS = 45  # after the catch-up
CATCH_UP_SECONDS = 1200.0
REFUSED_SECONDS = 20.0
GREATEST_EXPOSURE = 2.0
WITHIN_MESSAGE_SECONDS = 1.0  # a day of rows takes less
BAD_WORDS = re.compile(r"Traceback|CRITICAL|SIGSYS|Fontconfig|enied")
POWERPI = "runuser -u powerpi -- /opt/powerpi/bin/powerpi"
MOVE_IN = f"systemctl stop powerpi; rm -rf {house.STATE}/*; tar -x -C {house.STATE}"
OWN = f"chown -R powerpi:powerpi {house.STATE}; sync; systemctl start powerpi"
TRUST = "cat >/usr/local/share/ca-certificates/vm.crt && update-ca-certificates 2>/dev/null"
NAMES = (
    f"echo nameserver 127.0.0.1 >/etc/resolv.conf; systemd-run --quiet --unit=names python3 {house.HELPERS}/names.py"
)

Health = Callable[[], dict[str, Any] | None]


def mirror(lab: Lab) -> Iterator[Result]:
    """First the Pi is in the machine, then the mirror."""
    progress("mirror: a year of rows")
    history = _folder(lab.folder / "history")
    subprocess.run([sys.executable, "-m", "tests.vm.history", str(history), house.HOUSE], cwd=lab.checkout, check=True)
    password = secrets.token_urlsafe()
    known = f"[mirror]\naccept = yes\n[mirror {SENDER}]\npassword_hash = {password_hash(lab.checkout, password)}\n"
    known += f"meters = {house.HOUSE}\n"
    yield from _pi_in_machine(lab, history, known, password)
    yield from _mirror_in_machine(lab, history, known, password)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _push_section(url: str, password: str) -> str:
    keys = f"url = {url}\nuser = {SENDER}\npassword = {password}\ninterval_seconds = {PUSH_SECONDS}\n"
    return f"[push]\n{keys}"


# ---------------------------------------------------------------- the Pi is cut


def _pi_in_machine(lab: Lab, history: Path, known: str, password: str) -> Iterator[Result]:
    machine = lab.machine("mirrored")
    there = Local(lab.checkout, machine.folder / "there", f"host_names = {NAME}\n{known}")

    def health() -> dict[str, Any] | None:
        return _push_of(machine)

    with there.running():
        lefts = []
        for number, share in enumerate(_shares()):
            with machine.running():  # and then its power is cut
                if not number:
                    _move_in(machine, history, _push_section(f"http://{HOST}:{there.port}", password))
                lefts.append(_middle(health, share))
                progress(f"mirror: the Pi's cut {number + 1} of {CUTS}, {lefts[-1]} rows to go")
        with machine.running():
            house.until("in step", lambda: (health() or {}).get("in_step"), CATCH_UP_SECONDS)
            yield _all_in_the_middle("the Pi", lefts)
            yield from _sandboxed(machine, there, password)
            yield from _judged_pi(machine, there)


def _shares() -> list[float]:
    """How much is still to be sent at each cut, as shares of all; at random, but all in the middle."""
    return [1 - (number + random.uniform(0.5, 1.4)) / (CUTS + 1) for number in range(CUTS)]


def _move_in(machine: Machine, history: Path, sections: str) -> None:
    """The history and the configuration of a Pi whose meter turns from now on."""
    machine.run(MOVE_IN, _packed(history))
    _configure(machine, sections)
    house.meter_on(machine, MEAN_SECONDS)
    machine.run(OWN)


def _packed(folder: Path) -> bytes:
    return subprocess.run(["tar", "-c", "-C", str(folder), "."], stdout=subprocess.PIPE, check=True).stdout


def _configure(machine: Machine, sections: str) -> None:
    house.configure(machine, None, FLUSH_SECONDS, REGISTER_SECONDS, sections)


def _push_of(machine: Machine) -> dict[str, Any] | None:
    """How the machine's own mirror stands; None while it does not say."""
    try:
        said = json.loads(machine.get("/health").body)
    except (OSError, ValueError):
        return None
    return dict(said["push"])


def _middle(health: Health, share: float) -> int:
    """Wait until that share of the rows is still to be sent, and a moment more; how many rows that are."""

    def reached() -> int | None:
        said = health() or {}
        assert not said.get("in_step"), "the catch-up was over before the power was cut"
        left = said.get("behind_rows") or 0
        return left if 0 < left < share * ROWS else None

    left: int = house.until("the middle of the catch-up", reached, CATCH_UP_SECONDS)
    time.sleep(random.uniform(0, WITHIN_MESSAGE_SECONDS))
    return (health() or {}).get("behind_rows") or left


def _all_in_the_middle(who: str, lefts: list[int]) -> Result:
    said = f"{len(lefts)} cuts, with {', '.join(f'{left:,}' for left in lefts)} rows still to be sent"
    return Result(f"{who} comes up by itself after each cut and the catch-up goes on", said, len(lefts) == CUTS)


def _sandboxed(machine: Machine, there: Local, password: str) -> Iterator[Result]:
    """TLS by a certificate that the system trusts, to a name that has to be asked for, from inside the unit's walls."""
    progress("mirror: TLS")
    authority, chain = certificates(machine.folder, NAME)
    machine.run(TRUST, authority.read_bytes())
    machine.run(f"{NAMES} {HOST}")
    with tls_front(chain, there.port) as port:
        _configure(machine, _push_section(f"https://{NAME}:{port}", password))
        house.restart(machine)
        status: dict[str, Any] = {}

        def compared() -> bool:
            status.update(_push_of(machine) or {})
            return bool(status["in_step"] and status["identical_until"])

        house.until("in step over TLS", compared, CATCH_UP_SECONDS)
        time.sleep(COUNTED_SECONDS)
        last = _push_of(machine)
    said = (last or {}).get("text", "no answer")
    yield Result("pushes over TLS to a name, from inside its walls", said, bool(last and last["in_step"]))
    exposed = machine.run("systemd-analyze security --no-pager powerpi | tail -n 1")
    found = re.search(r": ([0-9.]+) ", exposed)
    exposure = float(found[1]) if found else float("nan")
    promise = f"`systemd-analyze security` at most {GREATEST_EXPOSURE:g}"
    yield Result(promise, f"{exposure:g}", exposure <= GREATEST_EXPOSURE)
    bad = [line for line in house.journal(machine, "") if BAD_WORDS.search(line)]
    yield Result("the Pi was cut: nothing bad in the journal", "; ".join(bad) or "nothing", not bad)
    _configure(machine, _push_section(f"http://{HOST}:{there.port}", password))


def _judged_pi(machine: Machine, there: Local) -> Iterator[Result]:
    house.meter_off(machine)
    time.sleep(2)  # for the last pulse to be counted
    counter = house.counter(machine)
    machine.run("systemctl stop powerpi")
    yield ends.verified("the Pi", machine.run(f"{POWERPI} push --verify 2>&1"))
    here = machine.fetch(f"{house.STATE}/{house.HOUSE}.rrd", machine.folder / "here.rrd")
    yield from ends.equal("the Pi", here, there.state / f"{house.HOUSE}.rrd")
    reading = (there.get(f"/api/v1/meters/{house.HOUSE}") or {}).get("meter_reading_watt_hours")
    yield Result(
        "the Pi was cut: the meter reading too", f"{counter} pulses here, {reading} Wh there", reading == counter
    )
    yield _true(machine, there)


def _true(machine: Machine, there: Local) -> Result:
    """What the mirror holds against what the meter sent, all boots."""
    lives = truth.lives(machine.truth)
    span = ["-r", "10", "-s", str(int(lives[0][0].wall)), "-e", str(int(lives[-1][-1].wall))]
    command = ["rrdtool", "fetch", str(there.state / f"{house.HOUSE}.rrd"), "AVERAGE", *span]
    rows = truth.parse_rows(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    off = [difference for life in lives for difference in truth.deviations(rows, life)]
    promise = f"the mirror's rows hold what the meter sent (within {ROW_PULSES:g} pulse)"
    said = f"{len(off)} rows of {len(lives)} boots, at most {max(off, default=99):.2f} pulses off"
    return Result(promise, said, bool(off) and max(off) <= ROW_PULSES)


# ---------------------------------------------------------------- the mirror is cut


def _mirror_in_machine(lab: Lab, history: Path, known: str, password: str) -> Iterator[Result]:
    machine = lab.machine("mirroring")
    url = f"http://127.0.0.1:{machine.page_port}"
    meter = f"[meter {house.HOUSE}]\ngpio = {house.GPIO}\n"
    here = Local(lab.checkout, machine.folder / "here", meter + _push_section(url, password))
    shutil.copytree(history, here.state, dirs_exist_ok=True)

    def health() -> dict[str, Any] | None:
        said = here.get("/health")
        return dict(said["push"]) if said else None

    lefts, lost = list[int](), list[int]()
    with here.running():
        for number, share in enumerate(_shares()):
            with machine.running():  # and then its power is cut
                if number:
                    lost += _resumed(machine, here, lefts[-1])
                else:
                    house.configure(machine, {}, sections=known)
                    machine.run("systemctl restart powerpi")
                lefts.append(_middle(health, share))
                progress(f"mirror: the mirror's cut {number + 1} of {CUTS}, {lefts[-1]} rows to go")
                if number % 2:
                    here.pause()
        with machine.running():
            lost += _resumed(machine, here, lefts[-1])
            yield from _refusing(machine, health, lefts[-1])
            house.until("in step", lambda: (health() or {}).get("in_step"), CATCH_UP_SECONDS)
            yield _all_in_the_middle("the mirror", lefts)
            said = f"{', '.join(map(str, lost))} rows lost in {len(lost)} cuts"
            yield Result("what the mirror said it had, it has after the cut", said, bool(lost) and not any(lost))
            yield from _judged_mirror(machine, here)


def _resumed(machine: Machine, here: Local, left: int) -> list[int]:
    """How many rows that were acknowledged before the cut are gone, where the sender was held since; it goes on."""
    if not here.paused:
        return []
    house.until("the mirror", lambda: _status(machine, "/"), house.READY_SECONDS)
    newest = int(ends.info(here.state / f"{house.HOUSE}.rrd")["last_update"])
    there = int(machine.run(f"rrdtool last {house.STATE}/{house.HOUSE}.rrd"))
    here.resume()
    return [max(0, newest - left * truth.STEP_SECONDS - there) // truth.STEP_SECONDS]


def _status(machine: Machine, path: str) -> int | None:
    """The status of a page; None while nobody answers."""
    try:
        return machine.get(path).status
    except OSError:
        return None


def _refusing(machine: Machine, health: Health, left: int) -> Iterator[Result]:
    """The mirror's disk turns read-only for a while, by the kernel's own emergency remount."""
    progress("mirror: read-only")
    house.until("progress", lambda: ((health() or {}).get("behind_rows") or left) < left, CATCH_UP_SECONDS)
    machine.run("echo u >/proc/sysrq-trigger")
    status = house.until("a refusal", lambda: (health() or {}).get("why") and health(), REFUSED_SECONDS)
    told = _status(machine, "/health")
    machine.run("mount -o remount,rw /")
    promise = "its disk refuses in the middle of the catch-up: both ends say so"
    yield Result(promise, f"the Pi: {status['said']}; the mirror's /health: {told}", told == 503)


def _judged_mirror(machine: Machine, here: Local) -> Iterator[Result]:
    yield ends.verified("the mirror", here.run("push", "--verify"))
    there = machine.fetch(f"{house.STATE}/{house.HOUSE}.rrd", machine.folder / "there.rrd")
    yield from ends.equal("the mirror", here.state / f"{house.HOUSE}.rrd", there)
    readings = [here.get(f"/api/v1/meters/{house.HOUSE}"), house.reading(machine)]
    found = [reading["meter_reading_watt_hours"] if reading else None for reading in readings]
    yield Result(
        "the mirror was cut: the meter reading too",
        f"{found[0]} Wh here, {found[1]} Wh there",
        found[0] == found[1] and None not in found,
    )
    lines = [*house.journal(machine, ""), *here.said().splitlines()]
    bad = [line for line in lines if BAD_WORDS.search(line)]
    yield Result("the mirror was cut: nothing bad in either log", "; ".join(bad) or "nothing", not bad)
