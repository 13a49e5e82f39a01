"""Power cuts at random moments, with a meter that turns all the time.

Each reading of the API names the counter and the time of the last pulse; that pulse is found among those the host heard
of, and so counter and truth are tied together for that boot. The counter at the next start says which pulses are gone.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tests.vm import house, truth
from tests.vm.lab import Lab, progress
from tests.vm.machine import Machine
from tests.vm.results import Result
from tests.vm.truth import Life, Row, Sent

MEAN_SECONDS = 0.12  # between pulses: 30 kW at 1000 imp/kWh
LATE_SECONDS = 3.0  # a turn of the counting, and the write itself on a slow machine
CLOSE_SECONDS = 0.05  # how near a pulse must be to the time the API names
ROW_PULSES = 1.0  # by how much a row may differ: the host's times are taken before the contact moves
TIE_SECONDS = 30.0
FIRST_SECONDS = 45
EARLY_CUTS = 4  # while the machine boots or PowerPi starts
EARLY_SECONDS = (3.0, 35.0)


class Plan(NamedTuple):
    """What the configuration says, and when the cut comes after the first reading."""

    flush_seconds: int
    register_seconds: int
    shortest: float
    longest: float


BY_DEFAULT = Plan(300, 60, 5, 90)
TIGHT = Plan(10, 5, 0, 40)
PLANS = [*[BY_DEFAULT] * 5, *[TIGHT] * 15]


class Tie(NamedTuple):
    """A reading of the API and the pulse it names."""

    sent: Sent
    ahead: int  # the pulse's number since the boot, minus the counter with it
    off_seconds: float  # between the API's time of the pulse and the host's


class Cut(NamedTuple):
    """A boot and its end."""

    plan: Plan
    life: Life
    restored: int  # the counter at the start
    begun: float  # Unix seconds of the first reading; PowerPi counts since a little longer
    ahead: int  # number of a pulse since the boot, minus the counter with it
    drift: int  # by how much that changed while it ran: pulses missed, or counted twice
    off_seconds: float  # how far the API's time of a pulse is from the host's


class Loss(NamedTuple):
    """What a cut cost."""

    pulses: int  # negative: invented
    seconds: float  # from the first pulse that is gone to the last one before the cut
    curve_seconds: float  # from the newest row to the cut


def cuts(lab: Lab) -> Iterator[Result]:
    """All cuts, one after the other on one disk, and what is left in the end."""
    machine = lab.machine("cuts")
    with machine.running():
        _begin(machine)
    found = []
    for number, (plan, following) in enumerate(pairwise([*PLANS, TIGHT]), start=1):
        progress(f"cut {number} of {len(PLANS)}")
        found.append(_life(machine, plan, following))
    with machine.running():
        house.ready(machine)
        restored = [*(cut.restored for cut in found[1:]), _restored(machine)]
    for _ in range(EARLY_CUTS):
        _early(machine)
    with machine.running():
        house.ready(machine)
        yield Result("comes up by itself after each", f"{len(found)} cuts, {EARLY_CUTS} more while booting", True)
        yield from _judged(machine, found, restored)


def _begin(machine: Machine) -> None:
    """A boot with rows on the disk: before the first row there is no gap."""
    _configure(machine, TIGHT)
    house.restart(machine)
    house.meter_on(machine, MEAN_SECONDS)
    time.sleep(FIRST_SECONDS)
    _configure(machine, PLANS[0])


def _configure(machine: Machine, plan: Plan) -> None:
    house.configure(machine, flush_seconds=plan.flush_seconds, register_seconds=plan.register_seconds)


def _life(machine: Machine, plan: Plan, following: Plan) -> Cut:
    """Boot, count, ask, cut; `following` is how the next boot is configured."""
    machine.start()
    try:
        machine.wait()
        house.ready(machine)
        restored, deadline = _restored(machine), time.monotonic() + random.uniform(plan.shortest, plan.longest)
        if following != plan:
            _configure(machine, following)
        first = _tie(machine)
        time.sleep(max(0.0, deadline - time.monotonic()))
        second = _tie(machine)
    finally:
        machine.cut()
    life = truth.lives(machine.truth)[-1]
    return Cut(
        plan,
        life,
        restored,
        first.sent.wall,
        first.ahead,
        second.ahead - first.ahead,
        max(first.off_seconds, second.off_seconds),
    )


def _early(machine: Machine) -> None:
    """Cut while it boots."""
    machine.start()
    time.sleep(random.uniform(*EARLY_SECONDS))
    machine.cut()


def _restored(machine: Machine) -> int:
    """The counter with which PowerPi began."""
    lines = house.journal(machine)
    return next(int(found[1]) for line in lines if (found := re.search(r"counter at (\d+) pulses", line)))


def _tie(machine: Machine) -> Tie:
    """Find the last pulse that the API knows among those that were sent."""

    def timed() -> dict[str, Any] | None:
        said = house.reading(machine)
        return said if said and said["last_pulse_time"] else None

    said = house.until("a pulse with a time", timed, TIE_SECONDS)
    sent = truth.nearest(truth.lives(machine.truth)[-1], said["last_pulse_time"])
    off = abs(sent.wall - said["last_pulse_time"])
    assert off < CLOSE_SECONDS, f"the API's last pulse is {off:.3f} s from any that was sent"
    return Tie(sent, sent.number - round(said["meter_reading_watt_hours"]), off)


def _loss(cut: Cut, restored: int, rows: Sequence[Row]) -> Loss:
    """What was sent before the cut and is not known at the next start."""
    life, known = cut.life, restored + cut.ahead
    gone = [sent.monotonic for sent in life if sent.number > known]
    end = life[-1].wall
    within = truth.known_between(rows, life[0].wall, end)
    return Loss(
        life[-1].number - known,
        life[-1].monotonic - gone[0] if gone else 0.0,
        end - (within[-1].time if within else cut.begun),
    )


def _judged(machine: Machine, found: Sequence[Cut], restored: Sequence[int]) -> Iterator[Result]:
    """The promises, one by one."""
    lives = truth.lives(machine.truth)
    rows = house.rows(machine, lives[0][0].wall - 60, lives[-1][-1].wall + 60)
    losses = [_loss(cut, counter, rows) for cut, counter in zip(found, restored, strict=True)]
    for name, plan in (("by default", BY_DEFAULT), ("tight", TIGHT)):
        yield from _bounds(name, plan, [loss for cut, loss in zip(found, losses, strict=True) if cut.plan == plan])
    yield _counted(found)
    yield _never_back(machine, lives, restored)
    yield from _curve(rows, lives)
    yield _listed(machine, found)
    aside = machine.run(f"ls {house.STATE}").split()
    bad = [name for name in aside if "damaged" in name or "future" in name]
    yield Result("files are readable", ", ".join(bad) or "nothing had to be set aside", not bad)


def _bounds(name: str, plan: Plan, losses: Sequence[Loss]) -> Iterator[Result]:
    """What was lost, against what the configuration allows."""
    seconds, curve = (max(values) for values in zip(*(loss[1:] for loss in losses), strict=True))
    pulses = [loss.pulses for loss in losses]
    promise = f"{name}: at most register_seconds ({plan.register_seconds}) of pulses lost, none invented"
    said = f"{min(pulses)} to {max(pulses)} pulses, at most {seconds:.1f} s"
    yield Result(promise, said, seconds <= plan.register_seconds + LATE_SECONDS and min(pulses) >= 0)
    promise = f"{name}: at most flush_seconds ({plan.flush_seconds}) of curve lost"
    slack = 2 * truth.STEP_SECONDS + LATE_SECONDS  # the step that was not over yet, and after a start the one before it
    yield Result(promise, f"at most {curve:.1f} s, open steps included", curve <= plan.flush_seconds + slack)


def _counted(found: Sequence[Cut]) -> Result:
    """Between the two readings of each boot every pulse was counted, once."""
    drift, off = sum(abs(cut.drift) for cut in found), max(cut.off_seconds for cut in found)
    said = f"{drift} missed or counted twice; times at most {1000 * off:.0f} ms off"
    return Result("every pulse counted while it runs", said, drift == 0)


def _never_back(machine: Machine, lives: Sequence[Life], restored: Sequence[int]) -> Result:
    """The counter at each start, and in the end after the early cuts."""
    counters, sent = [*restored, house.counter(machine)], sum(len(life) for life in lives)
    kept = counters == sorted(counters) and counters[-1] <= sent
    return Result("the counter never falls, is never ahead of the truth", f"{counters[-1]} of {sent} sent", kept)


def _curve(rows: Sequence[Row], lives: Sequence[Life]) -> Iterator[Result]:
    """No known row differs from what was sent, and nothing is known of the time down."""
    off = [difference for life in lives for difference in truth.deviations(rows, life)]
    promise = f"known rows hold what was sent (within {ROW_PULSES:g} pulse)"
    said = f"{len(off)} rows, at most {max(off):.2f} pulses off"
    yield Result(promise, said, len(off) > 0 and max(off) <= ROW_PULSES)
    down = [
        row for before, after in pairwise(lives) for row in truth.known_between(rows, before[-1].wall, after[0].wall)
    ]
    yield Result("the time down is unknown", f"{len(down)} known rows", not down)


def _listed(machine: Machine, found: Sequence[Cut]) -> Result:
    """Every cut lies in a gap with its reason."""
    listed = [gap for gap in house.gaps(machine) if gap["reason"] == "power_cut" and gap["end"]]
    ends = [cut.life[-1].wall for cut in found]
    hit = [end for end in ends if any(gap["start"] <= end <= gap["end"] for gap in listed)]
    return Result("each is listed as a gap by power cut", f"{len(hit)} of {len(ends)}", len(hit) == len(ends))
