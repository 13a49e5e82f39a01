"""The load of the demo: a household made up from a seed, as mean power in W per 10 s step of local days.

A day has 24 h of wall time here; which of its steps happen, once or twice, on a day on which the clocks change is the
business of whoever asks (`simulate.load_slices`). Figures of the appliances are everyday experience, not measurements.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from random import Random
from typing import NamedTuple, Protocol

from powerpi.pulses import STEP_SECONDS

STEPS_PER_HOUR = 3600 // STEP_SECONDS
STEPS_PER_DAY = 24 * STEPS_PER_HOUR
NOISE_STEPS = 10_007  # prime and longer than a day: the noise comes round at another time of day
NOISE_REACH_WATTS = 15
NOISE_DOUBLES_WATTS = 400  # a heater shows the ups and downs of the mains more than a lamp does
AWAY_CHANCE = 0.03
HOLIDAY_DAYS = 14


class Load(Protocol):
    """Something that draws power."""

    def day_watts(self, date: datetime.date) -> Sequence[float]:
        """Mean power in W of each 10 s step from 0:00 to 24:00 local wall time (8640 values, none negative)."""
        ...


class Run(NamedTuple):
    """An appliance drawing `watts` for `steps` steps from step `start` of a day on, past midnight if need be."""

    start: int
    steps: int
    watts: int


class Day(NamedTuple):
    """What a day is like for those who live in the house; hours are local and may exceed 24."""

    dice: Random
    weekend: bool
    winter: float  # 1 in the middle of January, 0 in the middle of July
    wake_hour: float
    bed_hour: float

    @property
    def sunrise_hour(self) -> float:
        """About right for 50 degrees north, summer time included."""
        return 5.2 + 3.0 * self.winter

    @property
    def sunset_hour(self) -> float:
        """As `sunrise_hour`."""
        return 21.5 - 5.0 * self.winter


def _dice(*key: object) -> Random:
    """Random numbers that are the same for the same key, whatever was asked before."""
    return Random("/".join(map(str, key)))  # noqa: S311 (a house, not a secret)


def _run(hour: float, minutes: float, watts: float) -> Run:
    return Run(round(hour * STEPS_PER_HOUR), round(minutes * STEPS_PER_HOUR / 60), round(watts))


def _cycles(hour: float, minutes: float, watts: float, share: float, cycle_minutes: float) -> Iterator[Run]:
    """A thermostat: on for `share` of every cycle."""
    for cycle in range(round(minutes / cycle_minutes)):
        yield _run(hour + cycle * cycle_minutes / 60, share * cycle_minutes, watts)


def kettle(day: Day) -> Iterator[Run]:
    """Tea in the morning, and perhaps in the afternoon and evening."""
    chances = ((day.wake_hour + 0.4, 1.0), (15.5, 0.7 * day.weekend), (day.bed_hour - 2, 0.6))
    for hour, chance in chances:
        if day.dice.random() < chance:
            yield _run(hour + day.dice.uniform(-0.2, 0.2), day.dice.uniform(2, 4), 2000)


def cooking(day: Day) -> Iterator[Run]:
    """Dinner in the evening, at weekends lunch too; now and then something from the oven."""
    dice = day.dice
    for hour in (12.0, 18.3) if day.weekend else (18.5,):
        start = hour + dice.uniform(-0.5, 0.5)
        yield _run(start, dice.uniform(5, 9), dice.choice((1400, 1800, 2200)))
        yield from _cycles(start + 0.15, dice.uniform(15, 35), dice.choice((1200, 1500, 1800)), 0.45, 1.2)
        if dice.random() < 0.35:
            yield _run(start - 0.2, 9, 2500)
            yield from _cycles(start - 0.05, dice.uniform(20, 45), 2500, 0.35, 4)


def laundry(day: Day) -> Iterator[Run]:
    """A load of washing, tumbled dry when it is too cold to hang it outside."""
    dice = day.dice
    if dice.random() > (0.65 if day.weekend else 0.35):
        return
    start = dice.uniform(9, 14) if day.weekend else dice.uniform(16.5, 18.5)
    yield _run(start + 0.05, dice.uniform(12, 20), 2050)
    yield from _cycles(start + 0.4, 50, 220, 0.7, 1)
    yield _run(start + 1.25, 7, 480)
    if dice.random() < 0.9 * day.winter:
        yield from _cycles(start + 1.6, dice.uniform(50, 80), 2300, 0.75, 11)


def dishes(day: Day) -> Iterator[Run]:
    """The dishwasher after dinner: it heats for washing and for the last rinse."""
    if day.dice.random() < 0.65:
        start = day.dice.uniform(19.8, 21.5)
        yield _run(start, 85, 70)
        yield _run(start + 0.15, day.dice.uniform(12, 17), 1950)
        yield _run(start + 0.95, day.dice.uniform(9, 13), 1950)


def light(day: Day) -> Iterator[Run]:
    """Rooms lit while it is dark and somebody is up."""
    morning_end = min(day.sunrise_hour + 0.3, day.wake_hour + 1.5)
    for watts in (60, 40):
        begin = day.wake_hour + day.dice.uniform(0, 0.4)
        yield _run(begin, max(0.0, morning_end - begin) * 60, watts)
    for watts in (70, 50, 40, 25):
        begin = max(day.sunset_hour - 0.5, 16.4) + day.dice.uniform(0, 0.8)
        end = day.bed_hour - day.dice.uniform(0, 0.9)
        yield _run(begin, max(0.0, end - begin) * 60, watts)


def screens(day: Day) -> Iterator[Run]:
    """Television in the evening, a computer some hours a day."""
    dice = day.dice
    if dice.random() < 0.85:
        begin = dice.uniform(19.2, 20.5)
        yield _run(begin, (day.bed_hour - begin) * 60 - dice.uniform(5, 40), 110)
    yield _run(dice.uniform(10, 15) if day.weekend else dice.uniform(16.3, 18), dice.uniform(60, 240), 120)


def heating(day: Day) -> Iterator[Run]:
    """The circulation pump of the heating, and on cold mornings a fan heater in the bathroom."""
    if day.winter > 0.35:
        yield _run(5.5, 17 * 60, 45)
    if day.dice.random() < 1.6 * (day.winter - 0.4):
        yield from _cycles(day.wake_hour - 0.1, day.dice.uniform(20, 35), 1500, 0.8, 5)


APPLIANCES = (kettle, cooking, laundry, dishes, light, screens, heating)


class Cooler(NamedTuple):
    """A fridge or freezer: it runs day and night, its cycles numbered from the first day of the calendar on."""

    watts: int
    cycle_steps: int
    on_steps: int
    late_steps: Sequence[int]  # a cycle starts so much later, and runs half that longer; it ends before the next

    def runs(self, first_step: int) -> Iterator[Run]:
        """The runs that touch the day which begins at `first_step`, counted from the calendar's first day."""
        for cycle in range(first_step // self.cycle_steps, (first_step + STEPS_PER_DAY) // self.cycle_steps + 1):
            late = self.late_steps[cycle % len(self.late_steps)]
            yield Run(cycle * self.cycle_steps + late - first_step, self.on_steps + late // 2, self.watts)


def _cooler(dice: Random, watts: int) -> Cooler:
    late_steps = [round(dice.uniform(0, 60)) for _ in range(101)]
    return Cooler(watts, round(dice.uniform(250, 320)), round(dice.uniform(70, 90)), late_steps)


def _noise(dice: Random) -> list[int]:
    """Small ups and downs in W: a slow wandering and a fast flicker."""
    flicker = (dice.uniform(-1, 1) for _ in range(NOISE_STEPS))
    slow = accumulate(flicker, lambda level, change: 0.98 * level + change)
    watts = [round(level + dice.uniform(-3, 3)) for level in slow]
    return [max(-NOISE_REACH_WATTS, min(NOISE_REACH_WATTS, value)) for value in watts]


def _total(runs: Iterator[Run], base_watts: int) -> Iterator[int]:
    """Power in W of each step of a day: the sum of the runs, cut to the day."""
    changes = [base_watts] + [0] * STEPS_PER_DAY
    for start, steps, watts in runs:
        begin, end = max(start, 0), min(start + steps, STEPS_PER_DAY)
        if begin < end:
            changes[begin] += watts
            changes[end] -= watts
    return accumulate(changes[:STEPS_PER_DAY])


class Household:
    """A made-up family of four: the same seed is the same house, the same date always the same day."""

    def __init__(self, seed: int) -> None:
        dice = _dice(seed)
        self._seed = seed
        self._base_watts = round(dice.uniform(70, 110))
        self._coolers = (_cooler(dice, 85), _cooler(dice, 105))
        noise = _noise(dice)
        self._noise_watts = noise + noise

    def away(self, date: datetime.date) -> bool:
        """Whether nobody is at home: two weeks in July and August, and some days in the year."""
        leave = datetime.date(date.year, 7, 5) + datetime.timedelta(
            days=_dice(self._seed, date.year, "holiday").randrange(35)
        )
        on_holiday = 0 <= (date - leave).days < HOLIDAY_DAYS
        return on_holiday or _dice(self._seed, date, "away").random() < AWAY_CHANCE

    def day_watts(self, date: datetime.date) -> list[int]:
        """Power in W of each 10 s step of a local day (8640 values)."""
        first_step = date.toordinal() * STEPS_PER_DAY
        yesterday = (
            run._replace(start=run.start - STEPS_PER_DAY) for run in self._runs(date - datetime.timedelta(days=1))
        )
        coolers = (cooler.runs(first_step) for cooler in self._coolers)
        watts = _total(chain(yesterday, self._runs(date), *coolers), self._base_watts)
        noise = self._noise_watts[first_step % NOISE_STEPS :]
        return [
            power + flicker * (NOISE_DOUBLES_WATTS + power) // NOISE_DOUBLES_WATTS
            for power, flicker in zip(watts, noise, strict=False)
        ]

    def _runs(self, date: datetime.date) -> Iterator[Run]:
        """What the people switch on that day."""
        if self.away(date):
            return iter(())
        day = self._day(date)
        return chain.from_iterable(appliance(day) for appliance in APPLIANCES)

    def _day(self, date: datetime.date) -> Day:
        dice = _dice(self._seed, date)
        weekend = date.weekday() >= 5
        winter = (1 + math.cos(2 * math.pi * (date.timetuple().tm_yday - 15) / 365)) / 2
        wake_hour = dice.uniform(8, 9) if weekend else dice.uniform(6, 6.6)
        late = 0.9 if date.weekday() in (4, 5) else 0.0
        return Day(dice, weekend, winter, wake_hour, dice.uniform(22.6, 23.5) + late)
