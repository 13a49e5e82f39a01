"""Contacts that work hard, chatter, stick and pick up interference, while browsers load graphs and the disk is busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from tests.vm import house
from tests.vm.lab import Lab, progress
from tests.vm.machine import Machine
from tests.vm.results import Result

CLIENTS = 4
PERIODS = ("hour", "12h", "day", "week", "month", "quarter", "year")
MANY, EACH_OF_SIX, CHATTERING = 10_000, 1000, 1000
BOUNCE_SECONDS = 0.0007
MIN_PULSE_SECONDS = 0.01
DISTURBANCES = 500
STUCK_SECONDS = 20
BUSY_DISK = "while :; do dd if=/dev/zero of=/var/tmp/busy bs=1M count=16 conv=fsync 2>/dev/null; done"


def contact(lab: Lab) -> Iterator[Result]:
    """Six meters; the first one has the special cases."""
    machine = lab.machine("contact", counted=True)
    with machine.running():
        house.configure(machine, house.SIX)
        house.restart(machine)
        with _load(machine) as answers:
            yield _many(machine)
            yield from _six(machine)
            yield _chatter(machine)
            yield from _interference(machine)
        served = sum(status == 200 for status in answers)
        said = f"{served} answers, {len(answers) - served} others"
        yield Result(f"{CLIENTS} clients and a busy disk meanwhile", said, served > 0)
        yield _stuck(machine)
        lost = sum(_said(machine, meter)["edges_lost"] for meter in house.SIX)
        yield Result("no edge lost", str(lost), lost == 0)


@contextmanager
def _load(machine: Machine) -> Iterator[list[int]]:
    """Clients that ask for graphs without a pause, none from a cache, and writes to the disk; the answers' statuses."""
    stopping, answers = threading.Event(), list[int]()
    threads = [threading.Thread(target=_client, args=(machine, n, stopping, answers)) for n in range(CLIENTS)]
    machine.run(f"systemd-run --quiet --unit=busy sh -c '{BUSY_DISK}'")
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        machine.run("systemctl stop busy")


def _client(machine: Machine, number: int, stopping: threading.Event, answers: list[int]) -> None:
    for turn in count(number):
        if stopping.is_set():
            return
        path = f"/house/{PERIODS[turn % len(PERIODS)]}.png?width={400 + turn % 800}"
        try:
            answers.append(machine.get(path, timeout=60).status)
        except OSError:
            answers.append(0)


def _said(machine: Machine, meter: str = house.HOUSE) -> dict[str, int]:
    said: dict[str, int] = house.until("a reading", lambda: house.reading(machine, meter), 60)
    return said


def _sent(machine: Machine, meters: Sequence[str], number: int, bounce: float = 0.0) -> tuple[list[int], float, float]:
    """Send pulses; what each meter counted, pulses a second, and the longest bounce in seconds."""
    gpios = [house.SIX[meter] for meter in meters]
    before = [house.counter(machine, meter) for meter in meters]
    done = house.pulses(machine, gpios, number, bounce)
    found = [house.counted(machine, start + number, meter) - start for meter, start in zip(meters, before, strict=True)]
    return found, number / max(line["seconds"] for line in done), max(line["longest_bounce"] for line in done)


def _many(machine: Machine) -> Result:
    progress(f"contact: {MANY} pulses")
    found, speed, _ = _sent(machine, [house.HOUSE], MANY)
    said = f"{found[0]} of {MANY}, {speed:.1f} a second"
    return Result(f"{MANY} pulses, 30 ms closed and 30 ms open", said, found == [MANY])


def _six(machine: Machine) -> Iterator[Result]:
    progress("contact: six meters at once")
    found, speed, _ = _sent(machine, list(house.SIX), EACH_OF_SIX)
    said = f"{', '.join(map(str, found))} at {speed:.1f} a second each"
    yield Result(f"six meters at once, {EACH_OF_SIX} pulses each", said, set(found) == {EACH_OF_SIX})


def _chatter(machine: Machine) -> Result:
    """A bounce that the busy machine made as long as a pulse is one; such a run proves nothing and fails."""
    progress("contact: chatter")
    found, _, longest = _sent(machine, [house.HOUSE], CHATTERING, BOUNCE_SECONDS)
    said = f"{found[0]} of {CHATTERING}, longest bounce {1000 * longest:.1f} ms"
    promise = f"{CHATTERING} pulses with 3 x {1000 * BOUNCE_SECONDS:g} ms chatter on both edges"
    return Result(promise, said, found == [CHATTERING] and longest < MIN_PULSE_SECONDS)


def _interference(machine: Machine) -> Iterator[Result]:
    """Closings too short for a pulse; those that the machine made longer than that are told apart by the sender."""
    for shortest, longest in ((0.0001, 0.001), (0.001, 0.005)):
        before = _said(machine)
        command = f"python3 {house.HELPERS}/contact.py interfere {house.GPIO} {DISTURBANCES} {shortest} {longest} 0.03"
        machine.run(command)
        time.sleep(3)
        after = _said(machine)
        pulses = after["meter_reading_watt_hours"] - before["meter_reading_watt_hours"]
        rejected = after["edges_rejected"] - before["edges_rejected"]
        promise = f"{DISTURBANCES} closings of {1000 * shortest:g} to {1000 * longest:g} ms: rejected, none counted"
        yield Result(
            promise, f"{pulses:g} counted, {rejected} edges rejected", pulses == 0 and rejected == 2 * DISTURBANCES
        )


def _stuck(machine: Machine) -> Result:
    """A contact that stays closed is no pulse, and the API says that it is closed."""
    before = house.counter(machine)
    machine.run(f"python3 {house.HELPERS}/contact.py hold {house.GPIO} closed")
    time.sleep(STUCK_SECONDS)
    said = _said(machine)
    pulses = round(said["meter_reading_watt_hours"]) - before
    machine.run(f"python3 {house.HELPERS}/contact.py hold {house.GPIO} open")
    told = f"{pulses} counted, contact_closed {said['contact_closed']}"
    return Result(
        f"closed for {STUCK_SECONDS} s: nothing counted, and told", told, pulses == 0 and bool(said["contact_closed"])
    )
