"""The demo: a load, made up or recorded, becomes counter rows of the past and pulses on a pin in real time.

In: a `Load` (W per 10 s step of local days) or a CSV file of one. Out: the lifetime counter in pulses at step
boundaries (Unix seconds), the exact times of the pulses, and a contact that closes at these times.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, count, repeat, takewhile
from pathlib import Path
from time import sleep
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from powerpi import units
from powerpi.clock import Clock
from powerpi.errors import ConfigError
from powerpi.load import Load
from powerpi.pulses import STEP_SECONDS
from powerpi.worker import Worker

CLOSED_SECONDS = 0.040  # EN 62053-31: a pulse lasts 30 to 120 ms ...
OPEN_SECONDS = 0.030  # ... and the pause after it 30 ms at least
PIECE_SECONDS = 900  # clocks change, and days begin, on quarter hours in every time zone's present rules
HEADING = "minute,watts"
MINUTE = datetime.timedelta(minutes=1)
MINUTES_PER_DAY = 24 * 60
STEPS_PER_MINUTE = 60 // STEP_SECONDS
MOST_MISSING_MINUTES = 60  # logs have small holes, and a change of clocks looks like one
MAX_BYTES = 20_000_000
SHOWN_CHARACTERS = 60  # of a line that is wrong
MAX_WATTS = 100_000  # more than S0 can say at 1000 imp/kWh (60 kW)


class Recording:
    """A recorded load from a CSV file `minute,watts`: local minutes in order (ISO 8601), mean power in W.

    It repeats by whole weeks, so that weekday and time of day fit; one shorter than a week by whole days, one
    shorter than a day by its own length. Raises ConfigError naming file, line, value, and what was wanted.
    """

    def __init__(self, path: Path) -> None:
        minutes = list(_minutes(path))
        self._first_minute = minutes[0][0]
        unit = next(unit for unit in (7 * MINUTES_PER_DAY, MINUTES_PER_DAY, 1) if unit <= len(minutes))
        self._watts = [watts for _, watts in minutes[: len(minutes) // unit * unit]]

    def day_watts(self, date: datetime.date) -> list[float]:
        """Mean power in W of each 10 s step of a local day (8640 values)."""
        first = (datetime.datetime.combine(date, datetime.time()) - self._first_minute) // MINUTE
        day = (self._watts[minute % len(self._watts)] for minute in range(first, first + MINUTES_PER_DAY))
        return list(chain.from_iterable(map(repeat, day, repeat(STEPS_PER_MINUTE))))


def _fault(path: Path, line: int, found: str, wanted: str) -> ConfigError:
    return ConfigError([f"{path}, line {line}: {found} found, wanted {wanted}"], str(path))


def _text(path: Path) -> str:
    """The file's text; whatever the file is, no more than MAX_BYTES are read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        said = f"{path}: cannot be read ({error.strerror}), wanted a CSV file {HEADING}"
        raise ConfigError([said], str(path)) from error
    if len(data) > MAX_BYTES:
        line = 1 + data.count(b"\n")
        raise _fault(path, line, f"more than {MAX_BYTES} bytes", "a smaller file (a year of minutes has 13 MB)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise _fault(path, line, f"byte {data[error.start]:#04x}", "text in UTF-8") from error


def _minutes(path: Path) -> Iterator[tuple[datetime.datetime, float]]:
    """The local minutes of a recording and their watts, checked; at least one."""
    lines = _text(path).splitlines() or [""]
    if lines[0] != HEADING:
        raise _fault(path, 1, repr(lines[0][:SHOWN_CHARACTERS]), f"the heading {HEADING}")
    before: tuple[datetime.datetime, float] | None = None
    repeated = False
    for number, line in enumerate(lines[1:] or [""], 2):
        minute = _minute(line)
        if minute is None:
            wanted = f"a whole local minute and 0 to {MAX_WATTS} watts, such as 2006-12-16T17:24:00,4216"
            raise _fault(path, number, repr(line[:SHOWN_CHARACTERS]), wanted)
        if before:
            repeated = minute[0] == before[0] - 59 * MINUTE or (repeated and minute[0] <= before[0])
        if repeated:  # the hour that the end of summer time brings twice
            continue
        yield from _bridge(path, number, before, minute[0]) if before else ()
        yield minute
        before = minute


def _bridge(
    path: Path, number: int, before: tuple[datetime.datetime, float], after: datetime.datetime
) -> Iterator[tuple[datetime.datetime, float]]:
    """The minutes that are missing between two lines, at the power before them; up to an hour of them."""
    missing = (after - before[0]) // MINUTE - 1
    if not 0 <= missing <= MOST_MISSING_MINUTES:
        wanted = f"one of the {MOST_MISSING_MINUTES + 1} minutes after {before[0].isoformat()}"
        raise _fault(path, number, after.isoformat(), wanted)
    return ((before[0] + MINUTE * n, before[1]) for n in range(1, missing + 1))


def _minute(line: str) -> tuple[datetime.datetime, float] | None:
    """The local minute and the watts of a line, or None if it says anything else."""
    try:
        text, number = line.split(",")
        minute, watts = datetime.datetime.fromisoformat(text), float(number)
    except ValueError:
        return None
    whole = minute == minute.replace(second=0, microsecond=0, tzinfo=None)
    return (minute, watts) if whole and 0 <= watts <= MAX_WATTS else None


def load_slices(load: Load, start: int, zone: ZoneInfo) -> Iterator[tuple[int, Sequence[float]]]:
    """The load from `start` on (Unix seconds, a step boundary), for ever: when a piece begins, the W of its steps.

    Pieces are quarter hours (the first may be shorter). A wall time that a change of clocks skips is left out,
    one that it repeats comes twice.
    """
    date: datetime.date | None = None
    watts: Sequence[float] = ()
    for begin in chain((start,), count(start - start % PIECE_SECONDS + PIECE_SECONDS, PIECE_SECONDS)):
        local = datetime.datetime.fromtimestamp(begin, zone)
        if local.date() != date:
            date = local.date()
            watts = load.day_watts(date)
        first = (local.hour * 3600 + local.minute * 60 + local.second) // STEP_SECONDS
        yield begin, watts[first : first + (PIECE_SECONDS - begin % PIECE_SECONDS) // STEP_SECONDS]


def energy_rows(
    load: Load, imp_per_kwh: float, start: int, end: int, zone: ZoneInfo, *, pulses: float = 0.0
) -> Iterator[list[tuple[int, float]]]:
    """Rows (Unix seconds, lifetime counter in pulses) at every step boundary from `start` to `end`, both included.

    They come in lists of at most 90, one a quarter hour, because that is faster. `start` and `end` are step
    boundaries; the first row's counter is `pulses`.
    """
    pulses_per_watt = units.pulses(STEP_SECONDS / 3600, imp_per_kwh)
    total_watts = 0.0  # of all steps so far: sums of whole watts stay exact, sums of pulses would not
    yield [(start, pulses)]
    for begin, watts in takewhile(lambda piece: piece[0] < end, load_slices(load, start, zone)):
        totals = list(accumulate(watts[: (end - begin) // STEP_SECONDS], initial=total_watts))
        total_watts = totals[-1]
        times = range(begin + STEP_SECONDS, end + STEP_SECONDS, STEP_SECONDS)
        yield [(time, pulses + pulses_per_watt * total) for time, total in zip(times, totals[1:], strict=False)]


class PulseStep(NamedTuple):
    """The pulses of one step: when it ends and the times of its pulses, in Unix seconds."""

    end: int
    times: list[float]


def pulse_steps(
    load: Load, imp_per_kwh: float, start: float, zone: ZoneInfo, fraction: float = 0.0
) -> Iterator[PulseStep]:
    """The pulses of a load from `start` on (Unix seconds), for ever, step by step: a load of 0 W has empty steps.

    A pulse comes at the very time at which the energy since `start` passes a whole pulse; `fraction` (0 to
    below 1) of the first one has passed before.
    """
    pulse_energy = units.WATT_SECONDS_PER_KWH / imp_per_kwh
    missing = pulse_energy * (1 - fraction)
    begin = start
    first = int(start // STEP_SECONDS) * STEP_SECONDS
    steps = chain.from_iterable(watts for _, watts in load_slices(load, first, zone))
    for end, watts in zip(count(first + STEP_SECONDS, STEP_SECONDS), steps, strict=False):
        times, missing = _step_pulses(begin, end, watts, missing, pulse_energy)
        yield PulseStep(end, times)
        begin = end


def _step_pulses(
    begin: float, end: int, watts: float, missing: float, pulse_energy: float
) -> tuple[list[float], float]:
    """The times of a step's pulses, and the energy (Ws, above 0) missing to the next one, as `missing` is before."""
    energy = watts * (end - begin)
    if energy < missing:
        return [], missing - energy
    whole, rest = divmod(energy - missing, pulse_energy)
    times = [begin + (missing + pulse * pulse_energy) / watts for pulse in range(int(whole) + 1)]
    return times, pulse_energy - rest


class Contact(Protocol):
    """The pin of gpiozero's mock factory, as far as it is used here."""

    def drive_low(self) -> None:
        """Pull the pin to ground."""
        ...

    def drive_high(self) -> None:
        """Pull the pin to 3.3 V."""
        ...

    def clear_states(self) -> None:
        """Forget the levels that the pin had."""
        ...


class PulseDriver(Worker):
    """Closes an S0 contact at the times of `steps`, mapped once to the monotonic clock.

    When it is late it loses nothing: it closes up, at most 14 pulses a second. `pull` as for `pin.Pin`.
    """

    def __init__(
        self,
        name: str,
        contact: Contact,
        steps: Iterator[PulseStep],
        clock: Clock,
        *,
        on_death: Callable[[str, BaseException], None],
        pull: str,
    ) -> None:
        super().__init__(name, 0, on_death)
        self._contact = contact
        self._close, self._open = contact.drive_low, contact.drive_high
        if pull == "down":
            self._close, self._open = self._open, self._close
        self._steps = steps
        self._step = PulseStep(0, [])
        self._clock = clock
        self._offset = clock.offset()

    def turn(self) -> None:
        """One pulse, or the change to the next step, if it is due; then sleep until the next is due."""
        if self._now() >= self._due():
            if self._step.times:
                self._pulse()
            else:
                self._contact.clear_states()  # the mock pin remembers them all
                self._step = next(self._steps)
        self.wake_seconds = max(0.0, self._due() - self._now())

    def _now(self) -> float:
        return self._clock.monotonic() + self._offset

    def _due(self) -> float:
        return self._step.times[0] if self._step.times else self._step.end

    def _pulse(self) -> None:
        """Not on `stopping`: a pulse cut short would be counted as chatter."""
        self._close()
        sleep(CLOSED_SECONDS)
        self._open()
        del self._step.times[0]
        sleep(OPEN_SECONDS)
