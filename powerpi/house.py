"""What the web asks: readings, pictures and health of all meters, put together from the parts that know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from powerpi import units
from powerpi.counting import Counting
from powerpi.errors import UnknownNameError, shown
from powerpi.gaps import Gap
from powerpi.graph import Figures
from powerpi.meter import Meter
from powerpi.periods import PERIODS, known_until, span_text
from powerpi.pictures import BarFigures, Gallery, Picture, PictureRequest, Settled, Subject
from powerpi.pulses import IDLE_SECONDS
from powerpi.reader import Reader
from powerpi.readings import Health, MeterReading, MeterReadings, Notice

FLUSH_WAIT_SECONDS = 2.0  # a picture waits no longer for the newest rows
HANGING_SECONDS = 30.0  # the counting thread turns once a second
LOST_EDGE_SECONDS = 86400.0  # how long a lost edge is worth a look
FILES_SECONDS = 7 * 86400.0  # how long a file that had to be replaced is told
STUCK_SECONDS = 60.0  # a pulse of EN 62053-31 is over after 0.12 s
QUIET_WATTS = 5.0  # a house that takes less than this is worth a look


class Room(NamedTuple):
    """One meter's parts."""

    meter: Meter
    readings: MeterReadings


class House:
    """All meters; every method may be called from several threads at once."""

    def __init__(self, counting: Counting, rooms: Mapping[str, Room], gallery: Gallery, reader: Reader) -> None:
        self._counting = counting
        self._rooms = rooms
        self._gallery = gallery
        self._reader = reader
        self._subjects = {name: self._subject(room) for name, room in rooms.items()}

    def _subject(self, room: Room) -> Subject:
        readings = room.readings
        return Subject(
            room.meter.name,
            room.meter.store.rrd,
            readings.settings.imp_per_kwh,
            readings.energies,
            lambda: self._settle(room.meter),
        )

    def _settle(self, meter: Meter) -> Settled:
        """Have rows that are not on disk yet written before somebody looks."""
        rows = meter.live.rows
        waiting = bool(rows) and rows[-1] != meter.store.last_row
        complete = not waiting or self._counting.flush(FLUSH_WAIT_SECONDS)
        stored = meter.store.last_row
        return Settled(stored.time if stored else 0, complete)

    def meters(self) -> list[MeterReading]:
        """All meters, in the order of the configuration."""
        return [self.meter(name) for name in self._rooms]

    def meter(self, name: str) -> MeterReading:
        """One meter's figures now. Raises UnknownNameError."""
        room = self._room(name)
        return room.readings.read(room.meter.live, self._counting.clock.monotonic(), self._counting.offset)

    def _room(self, name: str) -> Room:
        if name not in self._rooms:
            raise UnknownNameError("no_meter", name=shown(name), known=", ".join(self._rooms))
        return self._rooms[name]

    def picture(self, meter: str, request: PictureRequest) -> Picture:
        """A graph that holds the newest rows. Raises UnknownNameError, ReaderError."""
        room = self._room(meter)
        return self._gallery.picture(self._subjects[meter], request, self._until(room.meter))

    def figures(self, meter: str, period: str, end: int | None = None) -> Figures | BarFigures:
        """The figures of a graph that ends at `end` (Unix seconds; None: now). Raises UnknownNameError, ReaderError."""
        room = self._room(meter)
        return self._gallery.figures(self._subjects[meter], PERIODS[period], end, self._until(room.meter))

    def _until(self, meter: Meter) -> int:
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

    def labels(self) -> dict[str, str]:
        """What the meters are called, by name."""
        return {name: room.readings.settings.label for name, room in self._rooms.items()}

    def health(self) -> Health:
        """What is wrong with the counting and its data, and what is worth a look."""
        now = self._counting.clock.monotonic()
        faults = [
            Notice("disk", meter.name, fault)
            for meter in self._counting.meters.values()
            for fault in sorted(set(meter.faults.values()))
        ]
        if now - self._counting.turned > HANGING_SECONDS or not self._counting.is_alive():
            faults.insert(0, Notice("thread_dead", None, self._counting.name))
        warnings = [*self._clock_notices(), *self._reader_notices()]
        for room in self._rooms.values():
            warnings += self._meter_notices(room, now)
        return Health(tuple(faults), tuple(warnings))

    def _clock_notices(self) -> list[Notice]:
        if self._counting.trusted:
            return []
        return [Notice("clock_waiting" if self._counting.offset is None else "clock_untrusted", None, None)]

    def _reader_notices(self) -> list[Notice]:
        return [Notice("reader", None, None)] if self._reader.fault else []

    def _meter_notices(self, room: Room, now: float) -> list[Notice]:
        """Too long without a pulse, a contact that stays closed, lost edges, replaced files, late rows."""
        meter, live = room.meter, room.meter.live
        notices = []
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
        late_seconds = IDLE_SECONDS + 3 * self._counting.timing.flush_seconds
        if len(live.rows) > 1 and self._time() - live.rows[1].time > late_seconds:
            notices.append(Notice("stored_late", meter.name, None))
        return notices
