"""`powerpi check --watch`: each pulse as it comes, until Ctrl-C. The tool for the ladder in front of the fuse box."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from powerpi import units
from powerpi.clock import Clock, SystemClock
from powerpi.config import MeterSettings, Settings
from powerpi.contacts import Sight, Source, open_source
from powerpi.errors import DataError, NobodyError, shown
from powerpi.header import ground_for, place_of
from powerpi.page_pulses import length
from powerpi.periods import span_text
from powerpi.pulse_health import LONGEST_SECONDS, Seen, Told, told
from powerpi.texts import texts
from powerpi.wording import watts_text

POLL_SECONDS = 0.25
QUIET_SECONDS = 30.0  # without any pulse: time to say what to try
EXAMPLE_WATTS = 500.0
WORDS = texts("en")


def run(
    settings: Settings, name: str | None, clock: Clock | None = None, pause: Callable[[], object] | None = None
) -> int:
    """Watch all meters, or the one of that name, until Ctrl-C; returns the exit code.

    `pause` is called between two looks. Raises DataError, NobodyError, RefusedError, PinError.
    """
    clock = clock or SystemClock(settings.network_time)
    wait = pause or (lambda: time.sleep(POLL_SECONDS))
    meters = [meter for meter in settings.meters if name in (None, meter.name)]
    if not meters:
        known = ", ".join(meter.name for meter in settings.meters) or "-"
        raise DataError(f"--meter {shown(name or '')}: wanted one of the meters that are counted here, {known}")
    source = open_source(settings, clock)
    watch = Watch(source, meters, lambda time: f"{datetime.fromtimestamp(time, settings.timezone):%T.%f}"[:-5], clock)
    try:
        for line in watch.opening():
            print(line, flush=True)
        while True:
            wait()
            for line in watch.turn():
                print(line, flush=True)
    except KeyboardInterrupt:
        print()
        for line in watch.summary():
            print(line)
    finally:
        source.close()
    return 0


class Watched:
    """What was seen of one meter so far."""

    def __init__(self, settings: MeterSettings, sight: Sight) -> None:
        """What `sight` holds came before."""
        self.settings = settings
        self.known = 0.0  # the end of the newest closing
        self.widths: list[float] = []  # in ms, of the shortest and the longest pulse
        self.pulses = 0
        self.rejected = 0
        self.longest_rejected_ms = 0.0
        self._begun = sight.begun  # of whoever looks: another one has seen nothing of what was before
        self._last = Seen()  # the newest closing of each kind: the next one needs its distance
        self._keep(sight)

    def _keep(self, sight: Sight) -> None:
        self._counter = sight.pulses
        self._last = Seen(sight.seen.pulses[-1:] or self._last.pulses, sight.seen.rejected[-1:] or self._last.rejected)
        self.known = max([self.known, *(end for _, end in (*self._last.pulses, *self._last.rejected))])

    def news(self, sight: Sight) -> tuple[list[Told], int]:
        """The closings that came since the last call, oldest first, and how many pulses came without being kept."""
        seen, known = sight.seen, self.known
        if sight.begun != self._begun:
            self._begun, self._last, self._counter = sight.begun, Seen(), sight.pulses - len(seen.pulses)
        missing = max(0, sight.pulses - self._counter - len(seen.pulses))
        before = () if missing else self._last.pulses
        whole = Seen((*before, *seen.pulses), (*self._last.rejected, *seen.rejected))
        found = [one for one in told(whole, self.settings.imp_per_kwh) if one.begin >= known]
        self._keep(sight)
        self.pulses += missing
        for one in found:
            self._tally(one)
        return found, missing

    def _tally(self, one: Told) -> None:
        if one.counted:
            self.pulses += 1
            ends = [*self.widths, one.width_ms]
            self.widths = [min(ends), max(ends)]
        else:
            self.rejected += 1
            self.longest_rejected_ms = max(self.longest_rejected_ms, one.width_ms)

    def summary(self) -> str:
        """What came, in a line."""
        energy = units.watt_hours(self.pulses, self.settings.imp_per_kwh)
        parts = [f"{self.pulses} pulse{'' if self.pulses == 1 else 's'} ({energy:g} Wh)"]
        if self.widths:
            shortest, longest = map(_length, self.widths)
            parts.append(f"{shortest} wide" if shortest == longest else f"{shortest} to {longest} wide")
        if self.rejected:
            parts.append(f"{self.rejected} rejected, up to {_length(self.longest_rejected_ms)} wide")
        return ", ".join(parts)


class Watch:
    """The lines that are printed; `source` looks, `clock_text` writes Unix seconds as local time."""

    def __init__(
        self, source: Source, meters: Sequence[MeterSettings], clock_text: Callable[[float], str], clock: Clock
    ) -> None:
        """What came before is known. Raises NobodyError, RefusedError."""
        self._source = source
        self._clock_text = clock_text
        self._clock = clock
        self._began = clock.monotonic()
        self._away = False
        self._name_width = max(len(meter.name) for meter in meters)
        self._hinted: set[str] = set()
        self._sights = source.look({})
        self._meters = {meter.name: Watched(meter, self._sights.meters[meter.name]) for meter in meters}

    def opening(self) -> Iterator[str]:
        """What is watched, and by whom."""
        for name, meter in self._meters.items():
            level = "closed" if self._sights.meters[name].closed else "open"
            yield f"{name}: {place_text(meter.settings)}, {meter.settings.imp_per_kwh:g} imp/kWh, contact {level} now"
        yield f"Watching {'what the PowerPi that runs counts' if self._source.running else 'the pins'}; Ctrl-C ends it."

    def turn(self) -> Iterator[str]:
        """Look once: a line for each closing that came, and what to try while none comes. Raises RefusedError."""
        try:
            self._sights = self._source.look({name: meter.known for name, meter in self._meters.items()})
        except NobodyError as error:
            if not self._away:
                yield f"PowerPi does not answer any more, waiting for it: {error}"
            self._away = True
            return
        if self._away:
            yield "PowerPi answers again."
        self._away = False
        for name, meter in self._meters.items():
            if name in self._sights.meters:
                yield from self._lines(name, meter, self._sights.meters[name])

    def _lines(self, name: str, meter: Watched, sight: Sight) -> Iterator[str]:
        offset = self._clock.offset() if self._sights.offset is None else self._sights.offset
        found, missing = meter.news(sight)
        if missing:
            yield f"{name}: {missing} more pulses came in between; they are counted, and too many to be shown"
        for one in found:
            said = closing_text(one, meter.settings)
            yield f"{self._clock_text(one.begin + offset)}  {name:<{self._name_width}}  {said}"
        if not meter.pulses and name not in self._hinted and self._sights.now - self._began >= QUIET_SECONDS:
            self._hinted.add(name)
            yield f"{name}: no pulse for {QUIET_SECONDS:.0f} s. {hint(meter, sight, self._sights.now)}"

    def summary(self) -> Iterator[str]:
        """What was seen in all."""
        length_text = span_text(int(self._clock.monotonic() - self._began))
        for name, meter in self._meters.items():
            yield f"{name}: {meter.summary()} in {length_text}"


def closing_text(one: Told, settings: MeterSettings) -> str:
    """One closing in words: of a pulse the width, the pause before and the power, else why it did not count."""
    if not one.counted:
        if one.width_ms < settings.min_pulse_ms:
            return f"{_length(one.width_ms)}: too short, rejected (min_pulse_ms = {settings.min_pulse_ms:g})"
        return f"{_length(one.width_ms)}: too soon after the pulse, which bounces; rejected"
    parts = [f"{_length(one.width_ms)} wide"]
    if one.pause_ms is not None:
        parts.append(f"{_length(one.pause_ms)} pause")
    if one.watts is not None:
        parts.append(f"{watts_text(one.watts, WORDS)} W")
    return ", ".join(parts)


def _length(milliseconds: float) -> str:
    return length(milliseconds, WORDS).replace("\u00a0", " ")


def hint(meter: Watched, sight: Sight, now: float) -> str:
    """What to try where no pulse comes."""
    settings = meter.settings
    if sight.closed and now - sight.since > LONGEST_SECONDS:
        return (
            "The contact is closed all the time: turn the two wires of S0 round, look for a short circuit, or try"
            f" pull = {'down' if settings.pull == 'up' else 'up'}."
        )
    if meter.rejected:
        return (
            f"What closed did so for {_length(meter.longest_rejected_ms)} at most: are the leads long, or is"
            f" min_pulse_ms = {settings.min_pulse_ms:g} too much?"
        )
    seconds = units.WATT_SECONDS_PER_KWH / (settings.imp_per_kwh * EXAMPLE_WATTS)
    other = f"ground (pin {ground_for(place_of(settings.gpio))})" if settings.pull == "up" else "3.3 V (pin 1)"
    return (
        f"The contact is open. At {EXAMPLE_WATTS:.0f} W a pulse comes every {seconds:.3g} s: switch something on. Else"
        f" turn the two wires of S0 round, and look whether they are at {place_text(settings)} and {other}."
    )


def place_text(settings: MeterSettings) -> str:
    """Where a contact is wired to."""
    return f"GPIO{settings.gpio} (pin {place_of(settings.gpio)})"
