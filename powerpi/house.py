"""What the web asks: readings, pictures and health of all meters, put together from the parts that know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from powerpi import units
from powerpi.anchors import Account, account
from powerpi.counting import Counting
from powerpi.errors import UnknownNameError, shown
from powerpi.gaps import Gap
from powerpi.graph import Figures
from powerpi.meter import Live
from powerpi.mirrored import STALE_LEAST_SECONDS, MirroredMeter
from powerpi.periods import PERIODS, known_until, span_text
from powerpi.pictures import BarFigures, Gallery, Picture, PictureRequest, Settled, Subject
from powerpi.pulse_health import NEAR_SHARE, Pulses, peak_share, pulses_of
from powerpi.pulses import IDLE_SECONDS
from powerpi.push_status import PushStatus, push_notices
from powerpi.reader import Reader
from powerpi.readings import Health, MeterReading, MeterReadings, Notice
from powerpi.store import Store
from powerpi.writing import Writing

FLUSH_WAIT_SECONDS = 2.0  # a picture waits no longer for the newest rows
HANGING_SECONDS = 30.0  # the counting thread turns once a second
LOST_EDGE_SECONDS = 86400.0  # how long a lost edge is worth a look
FILES_SECONDS = 7 * 86400.0  # how long a file that had to be replaced is told
STUCK_SECONDS = 60.0  # a pulse of EN 62053-31 is over after 0.12 s
NAMED = 20  # meters, where they are all told
QUIET_WATTS = 5.0  # a house that takes less than this is worth a look


class Shown(Protocol):
    """A meter, counted here or received."""

    name: str
    store: Store
    writing: Writing

    @property
    def live(self) -> Live:
        """What is known ahead of the files."""

    @property
    def faults(self) -> Mapping[str, str]:
        """Why the store refuses, while it does."""


class Room(NamedTuple):
    """One meter's parts; `origin` where it is received."""

    meter: Shown
    readings: MeterReadings
    origin: MirroredMeter | None = None


class Received:
    """The rooms of the meters that are sent here; `furnish` makes one."""

    def __init__(self, meters: Sequence[MirroredMeter], furnish: Callable[[MirroredMeter], Room]) -> None:
        self._meters = {meter.name: meter for meter in meters}
        self._furnish = furnish
        self._rooms: dict[str, tuple[int, Room]] = {}  # with the editions that they are of

    @property
    def meters(self) -> list[MirroredMeter]:
        """All meters, also those of which nothing is known yet."""
        return list(self._meters.values())

    def names(self) -> list[str]:
        """The meters of which anything is known."""
        return [name for name, meter in self._meters.items() if meter.facts]

    def room(self, name: str) -> Room | None:
        """The room of a meter of which something is known; furnished anew where its past has changed."""
        meter = self._meters.get(name)
        if meter is None or meter.facts is None:
            return None
        edition, room = self._rooms.get(name, (None, None))
        if room is None or edition != meter.edition:
            edition, room = meter.edition, self._furnish(meter)
            self._rooms[name] = edition, room
        return room


class House:
    """All meters; every method may be called from several threads at once."""

    def __init__(
        self,
        counting: Counting,
        rooms: Mapping[str, Room],
        gallery: Gallery,
        reader: Reader,
        received: Received,
        *,
        push: Callable[[], PushStatus] | None = None,
    ) -> None:
        """`received` makes rooms of meters that are sent here, `push` tells how the mirror of this machine stands."""
        self._counting = counting
        self._counted = rooms
        self._editions: dict[str, int] = {}  # of counted meters' files, as their energies are remembered
        self._gallery = gallery
        self._reader = reader
        self._received = received
        self._push = push

    def _names(self) -> list[str]:
        """All meters; a received one from its first message on."""
        return [*self._counted, *self._received.names()]

    def _subject(self, room: Room) -> Subject:
        readings, origin = room.readings, room.origin
        return Subject(
            room.meter.name,
            room.meter.store.rrd,
            readings.settings.imp_per_kwh,
            readings.energies,
            lambda: self._settle(room.meter),
            origin.edition if origin else room.meter.store.edition,
        )

    def _settle(self, meter: Shown) -> Settled:
        """Have rows that are not on disk yet written before somebody looks."""
        rows = meter.live.rows
        waiting = bool(rows) and rows[-1] != meter.store.last_row
        complete = not waiting or self._counting.flush(FLUSH_WAIT_SECONDS)
        return Settled(meter.store.last_time, complete)

    def meters(self, brief: bool = False) -> list[MeterReading]:
        """All meters, in the order of the configuration; `brief`: without the energy of days."""
        return [self.meter(name, brief) for name in self._names()]

    def meter(self, name: str, brief: bool = False) -> MeterReading:
        """One meter's figures now. Raises UnknownNameError."""
        room, now, offset = self._room(name), self._counting.clock.monotonic(), self._counting.offset
        reading = room.readings.read(room.meter.live, now, offset, brief)
        if not room.origin:
            return reading
        heard = room.origin.heard
        return reading._replace(
            sampled=room.origin.sampled,
            contact_closed=None if room.origin.sampled else reading.contact_closed,
            received_from=room.origin.sender,
            received_time=None if heard is None or offset is None else heard + offset,
            silent=room.origin.is_silent,
        )

    def _room(self, name: str) -> Room:
        room = self._as_it_is(self._counted.get(name)) or self._received.room(name)
        if room is None:
            raise UnknownNameError("no_meter", name=shown(name), known=", ".join(self._names()[:NAMED]) or "-")
        return room

    def _as_it_is(self, room: Room | None) -> Room | None:
        """A counted meter's room, which remembers nothing of a past that has changed since."""
        if room:
            name, edition = room.meter.name, room.meter.store.edition
            if self._editions.get(name, 0) != edition:
                room.readings.energies.forget()
                self._editions[name] = edition
        return room

    def picture(self, meter: str, request: PictureRequest) -> Picture:
        """A graph that holds the newest rows. Raises UnknownNameError, ReaderError."""
        room = self._looked_at(meter)
        return self._gallery.picture(self._subject(room), request, self._until(room.meter))

    def figures(self, meter: str, period: str, end: int | None = None) -> Figures | BarFigures:
        """The figures of a graph that ends at `end` (Unix seconds; None: now). Raises UnknownNameError, ReaderError."""
        room = self._looked_at(meter)
        return self._gallery.figures(self._subject(room), PERIODS[period], end, self._until(room.meter))

    def _looked_at(self, name: str) -> Room:
        """A room whose newest rows are wanted soon, also from where they are counted. Raises UnknownNameError."""
        room = self._room(name)
        if room.origin:
            room.origin.look()
        return room

    def _until(self, meter: Shown) -> int:
        """How far the rows of a meter reach, in Unix seconds."""
        rows = meter.live.rows
        return known_until(rows[-1].time if rows else 0, self._time())

    def _time(self) -> float:
        clock = self._counting.clock
        offset = self._counting.offset
        return clock.monotonic() + (clock.offset() if offset is None else offset)

    def gaps(self, meter: str) -> Sequence[Gap]:
        """When nothing is known of a meter, newest first. Raises UnknownNameError."""
        return self._room(meter).meter.live.gaps[::-1]

    def noted(self, meter: str) -> Account:
        """The noted readings of a meter's display; none where it is received. Raises UnknownNameError."""
        room = self._room(meter)
        return account(room.meter.live.anchors, room.readings.settings.imp_per_kwh, room.meter.live.gaps)

    def pulses(self, meter: str) -> Pulses | None:
        """The newest closings of a meter's contact; None: it is not at this machine. Raises UnknownNameError."""
        room, counting = self._room(meter), self._counting
        seen, imp_per_kwh = room.meter.live.seen, room.readings.settings.imp_per_kwh
        return pulses_of(seen, imp_per_kwh, counting.clock.monotonic(), counting.offset) if seen else None

    def labels(self) -> dict[str, str]:
        """What the meters are called, by name."""
        return {name: self._room(name).readings.settings.label for name in self._names()}

    def health(self) -> Health:
        """What is wrong with the counting and its data, and what is worth a look."""
        now = self._counting.clock.monotonic()
        rooms = [self._room(name) for name in self._names()]
        meters: list[Shown] = [*(room.meter for room in self._counted.values()), *self._received.meters]
        faults = [Notice("disk", meter.name, fault) for meter in meters for fault in sorted(set(meter.faults.values()))]
        if now - self._counting.turned > HANGING_SECONDS or not self._counting.is_alive():
            faults.insert(0, Notice("thread_dead", None, self._counting.name))
        warnings = [*self._clock_notices(), *self._reader_notices(), *self._push_notices()]
        for room in rooms:
            warnings += self._meter_notices(room, now)
        return Health(tuple(faults), tuple(warnings))

    def _clock_notices(self) -> list[Notice]:
        if self._counting.trusted:
            return []
        return [Notice("clock_waiting" if self._counting.offset is None else "clock_untrusted", None, None)]

    def _reader_notices(self) -> list[Notice]:
        return [Notice("reader", None, None)] if self._reader.fault else []

    def _push_notices(self) -> list[Notice]:
        """What the mirror of this machine needs somebody for."""
        return push_notices(self._push(), self._time()) if self._push else []

    def push_status(self) -> PushStatus | None:
        """How the mirror of this machine stands; None: it has none."""
        return self._push() if self._push else None

    def _meter_notices(self, room: Room, now: float) -> list[Notice]:
        """Too long without a pulse, a contact that stays closed, lost edges, replaced files, late rows."""
        meter, live, origin = room.meter, room.meter.live, room.origin
        notices = []
        if origin and origin.is_silent:
            return _silence(origin, now)
        expected = max(IDLE_SECONDS, units.WATT_SECONDS_PER_KWH / (QUIET_WATTS * room.readings.settings.imp_per_kwh))
        quiet = now - (live.begun if live.last_pulse is None else live.last_pulse)
        if quiet > expected:
            notices.append(Notice("no_pulse", meter.name, span_text(int(quiet))))
        contact = live.contact
        closed_seconds = now - (live.begun if contact.since is None else contact.since) if contact.closed else 0
        if closed_seconds > STUCK_SECONDS:
            notices.append(Notice("contact_closed", meter.name, span_text(int(closed_seconds))))
        if live.lost_edge is not None and now - live.lost_edge < LOST_EDGE_SECONDS:
            notices.append(Notice("edges_lost", meter.name, str(live.contact.lost)))
        notices += [
            Notice("files", meter.name, note) for told, note in meter.writing.told if now - told < FILES_SECONDS
        ]
        share = peak_share(live.seen, room.readings.settings.imp_per_kwh, now) if live.seen else None
        if share is not None and share > NEAR_SHARE:
            notices.append(Notice("near_limit", meter.name, f"{100 * share:.0f}"))
        late_seconds = IDLE_SECONDS + 3 * self._counting.timing.flush_seconds
        if len(live.rows) > 1 and self._time() - live.rows[1].time > late_seconds:
            notices.append(Notice("stored_late", meter.name, None))
        return notices


def _silence(origin: MirroredMeter, now: float) -> list[Notice]:
    """That nothing is heard of a meter's sender; after a start every sender gets the time that a message may take."""
    if origin.heard is not None:
        return [Notice("silent", origin.name, span_text(int(now - origin.heard)))]
    late = now - origin.live.taken > STALE_LEAST_SECONDS
    return [Notice("silent_so_far", origin.name, origin.sender)] if late else []
