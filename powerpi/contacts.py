"""What the S0 contacts do at this moment, for the commands: seen by the PowerPi that runs, or by listening here.

Times are CLOCK_MONOTONIC seconds, which are the same for all processes; `offset` leads from them to Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from powerpi import door
from powerpi.clock import Clock
from powerpi.config import MeterSettings, Settings
from powerpi.errors import NobodyError
from powerpi.folder import is_locked
from powerpi.pin import Pin, open_factory
from powerpi.pulse_health import Closing, Seen, Trace
from powerpi.pulses import Contact

After = Mapping[str, float]  # the end of the newest closing of each meter that is known already


class Sight(NamedTuple):
    """One contact."""

    begun: float  # since when it is looked at
    closed: bool
    since: float  # when it became so; not before `begun`
    pulses: int  # the counter
    lost: int  # edges
    seen: Seen  # what came after the closing that was known


class Sights(NamedTuple):
    """All contacts at one moment."""

    now: float
    offset: float | None  # None: the clock is not set
    meters: dict[str, Sight]


class Source(Protocol):
    """Somebody who looks at the contacts."""

    running: bool  # whether it is the PowerPi that runs

    def look(self, after: After) -> Sights:
        """The contacts now, with the closings that ended after those known. Raises NobodyError, RefusedError."""

    def close(self) -> None:
        """Look no more; safe to call twice."""


def sight(begun: float, contact: Contact, counted: int, seen: Seen, after: float) -> Sight:
    """One contact, with the closings that ended after `after`."""
    since = begun if contact.since is None else contact.since
    return Sight(begun, contact.closed, since, counted, contact.lost, _newer(seen, after))


def _newer(seen: Seen, after: float) -> Seen:
    def newer(closings: Iterable[Closing]) -> tuple[Closing, ...]:
        return tuple(closing for closing in closings if closing[1] > after)

    return seen._replace(pulses=newer(seen.pulses), rejected=newer(seen.rejected))


def message(sights: Sights) -> dict[str, Any]:
    """What is seen as JSON takes it."""
    meters = {name: {**one._asdict(), "seen": one.seen._asdict()} for name, one in sights.meters.items()}
    return {**sights._asdict(), "meters": meters}


def read(said: Mapping[str, Any]) -> Sights:
    """What is seen, out of a message of the PowerPi that runs."""
    meters = {name: Sight(**{**one, "seen": _seen(one["seen"])}) for name, one in said["meters"].items()}
    return Sights(said["now"], said["offset"], meters)


def _seen(said: Mapping[str, Any]) -> Seen:
    lists = {name: tuple(map(tuple, said[name])) for name in ("pulses", "rejected", "nearest")}
    return Seen(**{**said, **lists})


class Asking:
    """The contacts as the PowerPi that runs sees them: it holds the pins."""

    running = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def look(self, after: After) -> Sights:
        """The contacts now. Raises NobodyError, RefusedError."""
        return read(door.ask(self._folder, "contacts", after=dict(after)))

    def close(self) -> None:
        """There is nothing to let go."""


class Listened:
    """One contact that is listened to here."""

    def __init__(self, factory: object, meter: MeterSettings, now: float) -> None:
        """Raises PinError."""
        self._pin = Pin(factory, meter.gpio, meter.pull)
        self._begun = now
        self._contact = Contact(self._pin.closed())
        self._trace = Trace(meter.min_pulse_ms / 1000)
        self._counted = 0

    def look(self, after: float) -> Sight:
        """The contact now, with all edges that have come."""
        for edge in self._pin.drain():
            self._contact, pulse = self._trace.feed(self._contact, edge)
            self._counted += pulse is not None
        return sight(self._begun, self._contact, self._counted, self._trace.seen(), after)

    def close(self) -> None:
        """Let go of the pin."""
        self._pin.close()


class Listening:
    """The contacts, listened to here while no PowerPi runs."""

    running = False

    def __init__(self, factory: object, meters: Iterable[MeterSettings], clock: Clock) -> None:
        """Raises PinError."""
        self._clock = clock
        self._contacts: dict[str, Listened] = {}
        try:
            for meter in meters:
                self._contacts[meter.name] = Listened(factory, meter, clock.monotonic())
        except BaseException:
            self.close()
            raise

    def look(self, after: After) -> Sights:
        """The contacts now."""
        now = self._clock.monotonic()
        meters = {name: one.look(after.get(name, 0.0)) for name, one in self._contacts.items()}
        return Sights(now, self._clock.offset(), meters)

    def close(self) -> None:
        """Let go of the pins."""
        for contact in self._contacts.values():
            contact.close()


def open_source(settings: Settings, clock: Clock) -> Source:
    """The PowerPi that runs, or else the pins of all meters. Raises NobodyError, RefusedError, PinError.

    NobodyError, where one runs and does not answer, or this user may not ask: the pins are its own.
    """
    asking = Asking(settings.state)
    try:
        asking.look({})
    except NobodyError as error:
        if is_locked(settings.state) or isinstance(error.__cause__, PermissionError):
            raise
        return Listening(open_factory(), settings.meters, clock)
    return asking
