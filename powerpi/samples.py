"""Power samples, as the system that PowerPi replaces sends them: samples to rows, and rows to samples, pure.

In: `<epoch>;<watts>`, one at each pulse or one for each interval: the mean power since the sample before it.
Out: rates in pulses per second, one for each whole step of the 10 s grid, and the lifetime counter in pulses. Times are
Unix seconds. And the other way round.

A sample that was lost was lost for good, and a sample does not tell when the one before it was taken. So a sample
stands for the time since the one before it, but not for longer than a sender that lost nothing would have been silent.
What lies before that is unknown, never drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from powerpi import units
from powerpi.errors import shown
from powerpi.pulses import STEP_SECONDS, next_boundary

TEXT = re.compile(r"([0-9]{10});(?=.{1,20}\Z)([0-9]+(?:\.[0-9]+)?)")
MOST_WATTS = 1_000_000
LONGEST_SECONDS = 86400.0  # no sample stands for more than a day, so that no block is longer than that
TIME_ROUNDING_SECONDS = 1  # two time stamps in whole seconds may be this much further apart than they should be
WATTS_ROUNDING = 0.5  # a power in whole watts may be this much too high, and the pulse's time too short


class Sample(NamedTuple):
    """The mean power since the sample before it."""

    time: int  # Unix seconds
    watts: float


class Tally(NamedTuple):
    """What is remembered between two samples."""

    time: int | None  # of the last sample; None: there was none
    pulses: float  # the lifetime counter at `time`
    since: float  # from here to `time` every moment is covered by a sample; infinite: nothing is
    share: float  # pulses of the running step, if that is covered from its beginning


class Block(NamedTuple):
    """Rows that follow each other: number i, from 0, ends at `after` + 10 * (i + 1). All of them are known."""

    after: int  # where the first row's step begins, on the grid; before it, back to the last block, all is unknown
    rates: list[float]  # pulses per second
    pulses: float  # the lifetime counter at the end of the last row


def read_sample(text: str) -> Sample:
    """The sample in `1700000000;304.5`. Raises ValueError."""
    found = TEXT.fullmatch(text)
    if not found or float(found[2]) > MOST_WATTS:
        wanted = f"the Unix time in 10 digits, a semicolon, and from 0 to {MOST_WATTS} watts in up to 20 characters"
        raise ValueError(f"{shown(text)} is no sample: wanted is {wanted}, such as 1700000000;304.5")
    return Sample(int(found[1]), float(found[2]))


def sample_text(sample: Sample) -> str:
    """A sample as it is sent, to a tenth of a watt; `read_sample` reads it."""
    watts = f"{sample.watts:.1f}".removesuffix(".0")
    return f"{sample.time:010d};{watts}"


def begin(time: int | None, pulses: float) -> Tally:
    """The state at a start: the counter was `pulses` at `time`, and nothing is covered before that.

    The first sample stands for nothing before `time`. None: for nothing at all, for nobody knows since when.
    """
    return Tally(time, pulses, math.inf if time is None else time, 0.0)


def span_begin(last: int, sample: Sample, imp_per_kwh: float, hold_seconds: float) -> float:
    """From when on a sample stands, up to its own time; `last` is the time of the sample before it.

    No longer than `hold_seconds`, or than one pulse takes at that power where this is longer: somebody who sends at
    each pulse is silent for just that long. A little more is rounding, and leaves no hole.
    """
    silent = sample.time - last
    longest = min(max(hold_seconds, _pulse_seconds(sample.watts, imp_per_kwh)), LONGEST_SECONDS)
    least_watts = max(sample.watts - WATTS_ROUNDING, sample.watts / 2)
    rounded = max(hold_seconds, _pulse_seconds(least_watts, imp_per_kwh)) + TIME_ROUNDING_SECONDS
    return last if silent <= min(rounded, LONGEST_SECONDS) else sample.time - longest


def _pulse_seconds(watts: float, imp_per_kwh: float) -> float:
    """How long one pulse takes, at most a day; no time at all without power, for then there is no pulse."""
    per_second = _pulses_per_second(watts, imp_per_kwh)
    if not watts:
        return 0.0
    return 1 / per_second if per_second * LONGEST_SECONDS > 1 else LONGEST_SECONDS


def _pulses_per_second(watts: float, imp_per_kwh: float) -> float:
    return watts * imp_per_kwh / units.WATT_SECONDS_PER_KWH


def feed(tally: Tally, sample: Sample, imp_per_kwh: float, hold_seconds: float) -> tuple[Tally, Block | None]:
    """The state after a sample, and the rows that it completes; None: there is none.

    A row is known only if its whole step is covered; the counter grows by the covered part of the others as well.
    Raises ValueError when the sample is not later than the one before it. Whether it lies in the future is for the
    caller to know.
    """
    time, watts = sample
    if tally.time is None:
        return begin(time, tally.pulses), None
    if time <= tally.time:
        raise ValueError(f"the sample of {time} is not later than the last one, of {tally.time} (Unix seconds)")
    rate = _pulses_per_second(watts, imp_per_kwh)
    covered = span_begin(tally.time, sample, imp_per_kwh, hold_seconds)
    since = covered if covered > tally.time else tally.since
    pulses = tally.pulses + rate * (time - covered)
    boundary = next_boundary(tally.time)  # the end of the step that was running
    end = time // STEP_SECONDS * STEP_SECONDS
    if end < boundary:
        return Tally(time, pulses, since, tally.share + rate * (time - covered)), None
    left = rate * (time - end)  # too much where the silence ended after `end`, but then no row needs it
    after = max(math.ceil(since / STEP_SECONDS) * STEP_SECONDS, boundary - STEP_SECONDS)
    rates = [rate] * ((end - after) // STEP_SECONDS)
    if after < boundary:  # the step that was running is covered: by this sample and others
        rates[0] = (tally.share + rate * (boundary - tally.time)) / STEP_SECONDS
    return Tally(time, pulses, since, left), Block(after, rates, pulses - left) if rates else None


def interval_samples(after: int, rates: Sequence[float], imp_per_kwh: float, interval_seconds: int) -> list[Sample]:
    """One sample for each whole interval within rows, at its end: its mean power.

    `rates` are pulses per second of the steps that follow `after`, NaN where unknown: an interval with such a step
    gives no sample. Intervals end at multiples of `interval_seconds`, itself a multiple of 10.
    """
    steps = interval_seconds // STEP_SECONDS
    first = -after % interval_seconds // STEP_SECONDS  # the step at which the first whole interval begins
    samples = []
    for begun in range(first, len(rates) - steps + 1, steps):
        pulses = math.fsum(rates[begun : begun + steps]) * STEP_SECONDS
        if not math.isnan(pulses):
            end = after + (begun + steps) * STEP_SECONDS
            samples.append(Sample(end, units.watts(pulses, interval_seconds, imp_per_kwh)))
    return samples
