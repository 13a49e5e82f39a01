"""The counting of one contact, without a thread: edges in, rows to the store.

Edges and knots carry CLOCK_MONOTONIC; Unix seconds appear only when rows are made, with the clock's offset of that
moment. Nothing leaves memory before it is on disk; a refused write is tried again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from powerpi import anchors, gaps, pulses
from powerpi.anchors import Anchors, Noted
from powerpi.errors import PinError
from powerpi.folder import storing
from powerpi.gaps import Gap, Gaps
from powerpi.pulse_health import Seen, Trace
from powerpi.pulses import STEP_SECONDS, Contact, Edge, Knot, Row
from powerpi.store import Store
from powerpi.writing import Writing

log = logging.getLogger(__name__)

FUTURE_SECONDS = 3600.0  # rows no further ahead than this are waited for
LIVE_SECONDS = 5.0  # the live figure is the mean of the last two pulses, of these last seconds where there are more
MANY_KNOTS = 1000  # more wait only while no clock is trusted; from then on ...
SPARSE_KNOT_SECONDS = 5.0  # ... they are kept half a step apart: a week of them takes 16 MB at any load
MOST_ROWS = 14 * 86400 // STEP_SECONDS  # wait for a disk that refuses: two weeks take 17 MB; then the oldest ...
DROPPED_ROWS = 86400 // STEP_SECONDS  # ... day of the curve goes; the counter keeps what it held
DEAF_SECONDS = 3.0  # with another level than the last edge told, and no edge: nobody hands edges over any more


class EdgeSource(Protocol):
    """A contact, as `pin.Pin` offers it."""

    def closed(self) -> bool:
        """Whether the contact is closed now."""
        ...

    def drain(self) -> list[Edge]:
        """The edges since the last call."""
        ...


class Live(NamedTuple):
    """What is known of a meter at the end of a turn, ahead of its files. Times are CLOCK_MONOTONIC seconds."""

    taken: float  # up to when edges were taken
    begun: float  # when counting began
    pulses: int  # the lifetime counter
    last_pulse: float | None  # None: none since the start
    interval_seconds: float | None  # mean distance of the last pulses
    rows: tuple[Row, ...]  # the newest row on disk (if any), then those not yet written
    pulses_since: float  # counted since the newest row
    contact: Contact
    lost_edge: float | None  # when an edge was last found missing
    gaps: tuple[Gap, ...] = ()  # the newest ones, oldest first; the last may still be open
    seen: Seen | None = None  # the newest closings of the contact; None: it is not here
    anchors: Anchors = ()  # the noted readings of its display, oldest first


class Meter:
    """One contact and its store; every method belongs to the counting thread, `live` may be read by any."""

    def __init__(
        self,
        name: str,
        source: EdgeSource,
        store: Store,
        min_pulse_seconds: float,
        start: int,
        *,
        last_end: str = gaps.UNKNOWN,
    ) -> None:
        """`start` is where a new RRD begins, `last_end` how the last run ended. Raises StoreError."""
        self.name = name
        self.store = store
        self.noted = Noted(anchors.path_of(store.rrd))
        self.pulses, self.notes = store.open(start)
        self.writing = Writing(name, self.notes, 0.0)
        self._source = source
        self._contact = Contact(False)
        self._trace = Trace(min_pulse_seconds)
        self._knots: list[Knot] = []  # not yet turned into rows; the last one begins the next line
        self._rows: list[Row] = []  # not yet on disk
        self.newest_time = store.last_time  # of all rows made, Unix seconds
        self._resumed = False  # whether rows may follow the newest one without a gap
        lost_history = self.notes and not store.last_row
        self._gaps = Gaps(store.rrd.with_suffix(".gaps"), store.known_until, gaps.DISK if lost_history else last_end)
        self.notes += [*self.noted.notes, *anchors.lost_notes(self.noted.all, self.pulses)]  # nothing of the history
        self._dropped_since: int | None = None  # the last row before those that were given up
        self._begun = self._taken = 0.0
        self._odd_since: float | None = None  # the contact is not as the last edge told, and no edge has come
        self._lost_edge: float | None = None
        self._recent: deque[float] = deque()  # times of the last pulses, at least two, those of the last seconds
        self._saved_pulses = self.pulses
        self._shown: tuple[Row, ...] = ()
        self._shown_state: tuple[Row | None, int, int] = (None, 0, 0)
        self.publish()

    def begin(self, now: float) -> None:
        """Look at the contact before the first edge counts."""
        self._contact = Contact(self._source.closed())
        self._begun = self._taken = now
        self.writing = Writing(self.name, self.notes, now)

    def take_edges(self, now: float) -> None:
        """Count the pulses among the edges that came since the last call; all up to `now` have come."""
        contact, lost = self._contact, self._contact.lost
        edges = self._source.drain()
        for edge in edges:
            contact, pulse = self._trace.feed(contact, edge)
            if pulse is not None:
                # a contact that was closed for long began its pulse where the line is drawn already
                drawn = bool(self._knots) and pulse <= self._knots[-1].time
                self._count(edge.time if drawn else pulse)
        if contact.lost > lost:
            self._lost_edge = now
        self._contact = contact
        self._taken = now
        if edges:
            self._odd_since = None

    def listen(self, now: float) -> None:
        """Raise PinError when the contact has moved and no edge came: start anew rather than count nothing."""
        if self._source.closed() == self._contact.closed:
            self._odd_since = None
        elif self._odd_since is None:
            self._odd_since = now
        elif now - self._odd_since >= DEAF_SECONDS:
            is_now = "open" if self._contact.closed else "closed"
            raise PinError(f"the pin of meter {self.name} is deaf: its contact is {is_now}, and no edge has told so")

    def _count(self, pulse: float) -> None:
        recent = self._recent
        recent.append(pulse)
        while len(recent) > 2 and pulse - recent[0] > LIVE_SECONDS:
            recent.popleft()
        self.pulses += 1
        knots = self._knots
        if len(knots) > MANY_KNOTS and pulse - knots[-2].time < SPARSE_KNOT_SECONDS:
            knots.pop()
        knots.append(Knot(pulse, self.pulses))

    def make_rows(self, now: float, offset: float) -> None:
        """Turn knots into rows; `offset` is Unix seconds minus CLOCK_MONOTONIC seconds."""
        self._draw_idle(now)
        if len(self._knots) < 2:
            return
        placed = [Knot(time + offset, counter) for time, counter in self._knots]
        for before, after in pairwise(placed):
            for row in pulses.rows_between(before, after):
                self._append(row)
        del self._knots[:-1]

    def _draw_idle(self, now: float) -> None:
        """Draw the line on flat when no pulse came for long; after a start the counter stands since then."""
        last = self._knots[-1] if self._knots else Knot(self._begun, self.pulses)
        idle = pulses.idle_knot(last, now)
        if idle:
            self._knots = self._knots or [last]
            self._knots.append(idle)

    def _append(self, row: Row) -> None:
        """Add a row. The first after a start or a clock step leaves a gap, so that the time between stays unknown."""
        if row.time <= self.newest_time + (0 if self._resumed else STEP_SECONDS):
            return
        self._gaps.close(row.time)
        self._rows.append(row)
        self.newest_time = row.time
        self._resumed = True
        if len(self._rows) > MOST_ROWS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Give up the oldest day of rows that the disk has refused for so long; the counter stands for them."""
        if self._dropped_since is None:
            self._dropped_since = (self.store.last_row or self._rows[0]).time
        del self._rows[:DROPPED_ROWS]
        until = self._rows[0].time
        self._gaps.add(Gap(self._dropped_since, until, gaps.DISK))
        log.error(
            "meter %s: refused for two weeks; its curve from %d to %d (Unix seconds) is given up, the counter stays",
            *(self.name, self._dropped_since, until),
        )

    def break_line(self) -> None:
        """The clock was stepped: rows made from now on do not continue those before."""
        if self._resumed:
            self._resumed = False
            self._gaps.open(self.newest_time, gaps.CLOCK_STEPPED)

    def leave_future(self, now: float, offset: float) -> None:
        """Begin a new RRD when the rows made so far lie in the future of `now` on a wall clock that is right.

        Such rows would refuse all others until then. The old file is kept, the new one has room for what still makes
        no row; a small step back is waited for.
        """
        time = now + offset
        if self.newest_time <= time + FUTURE_SECONDS:
            return
        line = self._knots[0].time if self._knots else self._begun
        start = pulses.next_boundary(line + offset) - 2 * STEP_SECONDS
        stored = self.store.last_row
        if (
            stored
            and stored.time > time + FUTURE_SECONDS
            and not self._attempt("rows", lambda: self._start_anew(start))
        ):
            return
        self._rows = [row for row in self._rows if row.time <= time]
        self.newest_time = max([start, *(row.time for row in (self.store.last_row, *self._rows) if row)])
        self._resumed = False
        self._gaps.open(self.newest_time, gaps.CLOCK_STEPPED)

    def _start_anew(self, start: int) -> list[str]:
        """Complete the RRD, keep it as it is and begin another; what is to be told. Raises StoreError."""
        notes = self.store.write(self._rows) if self._rows else []
        return [*notes, f"its rows lay in the future and are kept as {self.store.start_anew(start, 'future')}"]

    def flush(self) -> bool:
        """Write all rows that are not on disk yet, and the gaps; what fails stays. False: the rows were refused."""
        if self._rows:
            if not self._attempt("rows", lambda: self.store.write(self._rows)):
                return False
            self._rows.clear()
            self._dropped_since = None
        if self._gaps.fresh:
            self._attempt("gaps", self._save_gaps)
        return True

    def _save_gaps(self) -> None:
        with storing(self._gaps.path):
            self._gaps.save()

    @property
    def faults(self) -> dict[str, str]:
        """Why the store refuses, while it does, by what it refuses."""
        return self.writing.faults

    @property
    def unwritten(self) -> bool:
        """Whether anything that was counted is not on disk yet, but for pulses that still make no row."""
        return bool(self._rows or self._gaps.fresh) or self.pulses != self._saved_pulses

    def save_register(self, time: int) -> None:
        """Put the lifetime counter on disk if it has changed; `time` is Unix seconds, 0 for unknown."""
        pulses = self.pulses

        def save() -> None:
            if pulses != self._saved_pulses or not self.store.has_register():
                self.store.save_register(pulses, time)

        if self._attempt("register", save):
            self._saved_pulses = pulses

    def _attempt(self, what: str, write: Callable[[], Sequence[str] | None]) -> bool:
        return self.writing.attempt(what, write, self._taken)

    def publish(self) -> None:
        """Let other threads see the present state."""
        recent, rows = self._recent, self._shown_rows()
        self.live = Live(
            self._taken,
            self._begun,
            self.pulses,
            recent[-1] if recent else None,
            (recent[-1] - recent[0]) / (len(recent) - 1) if len(recent) > 1 else None,
            rows,
            self._pulses_since(rows),
            self._contact,
            self._lost_edge,
            self._gaps.all(),
            self._trace.seen(),
            self.noted.all,
        )

    def _shown_rows(self) -> tuple[Row, ...]:
        """The newest row on disk (if any), then the others; copied only when they changed, for they may be many."""
        state = (self.store.last_row, len(self._rows), self.newest_time)
        if state != self._shown_state:
            on_disk = (self.store.last_row,) if self.store.last_row else ()
            self._shown_state, self._shown = state, (*on_disk, *self._rows)
        return self._shown

    def _pulses_since(self, rows: Sequence[Row]) -> float:
        """What was counted since the newest row; since the first pulse where no row continues the line yet."""
        if self._resumed and rows:
            return self.pulses - rows[-1].pulses
        return self.pulses - self._knots[0].pulses if self._knots else 0.0
