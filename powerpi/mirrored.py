"""One meter whose rows come from another machine: what is received goes to its store, and is shown like a meter's.

A sender says what is known there at this moment in ages ("the last pulse came 3 s ago"), so that the clocks of both
machines need not agree for the live figures. Rows carry Unix times.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from threading import RLock

from powerpi import facts, gaps
from powerpi.clock import OLDEST_TIME
from powerpi.digests import Unit
from powerpi.errors import ConflictError, DamagedError, FutureError, StoreError, WireError
from powerpi.facts import Facts
from powerpi.folder import storing
from powerpi.gaps import Gap
from powerpi.ledger import Ledger, Span, merged
from powerpi.messages import Push, Rows, Standing, State
from powerpi.meter import Live
from powerpi.periods import WAITING_SECONDS
from powerpi.pulses import Contact, Row
from powerpi.ring import UNKNOWN
from powerpi.store import Store
from powerpi.writing import Writing

log = logging.getLogger(__name__)

FUTURE_SECONDS = 300  # rows may be ahead of this machine's clock by this much: one of the two may have no network time
LOST_SECONDS = 3600  # an own newest row further ahead than this comes from a wrong clock: its file is set aside
STALE_PUSHES = 3  # a live figure is shown for as long as this many messages may take to come ...
STALE_LEAST_SECONDS = 180.0  # ... and for so long at least
WATCHED_SECONDS = 300.0  # a page that is open asks for its graphs every minute or less often


class MirroredMeter:
    """The store of a meter and what was last heard of it; every method may be called from several threads at once."""

    sampled = False
    renamed = False  # its sender calls it otherwise, because another meter here has that name

    def __init__(self, name: str, sender: str, store: Store, ledger: Ledger, monotonic: Callable[[], float]) -> None:
        """Open what is there. Raises StoreError."""
        self.name = name
        self.sender = sender
        self.store = store
        self.ledger = ledger
        self.lock = RLock()
        self.edition = 0  # how often rows of the past were changed
        self.heard: float | None = None  # when something last came, CLOCK_MONOTONIC seconds
        self._monotonic = monotonic
        self._looked: float | None = None
        self._stale_seconds = STALE_LEAST_SECONDS
        self._disowned = False  # the file ends in the future: the next rows set it aside
        self._facts_path = store.rrd.with_suffix(".mirrored")
        self._gaps_path = store.rrd.with_suffix(".gaps")
        self.facts = facts.read(self._facts_path, name)
        self.pulses, notes = store.open(OLDEST_TIME) if store.rrd.exists() else store.open_counter()
        self._pulses_time = store.stored_pulses_time if store.stored_pulses == self.pulses else store.known_until
        now = monotonic()
        self.writing = Writing(name, notes, now)
        self._gaps, self._gaps_damaged = gaps.read(self._gaps_path)
        self._live = Live(now, now, self.pulses, None, None, (), 0.0, Contact(False), None)

    # ------------------------------------------------------------ what is shown

    @property
    def live(self) -> Live:
        """What was last heard; nothing is said of the power once that is too long ago."""
        live, row = self._live, self.store.last_row
        live = live._replace(rows=(row,) if row else (), gaps=self._gaps, pulses=self.pulses)
        if self.is_silent:
            return live._replace(begun=live.taken, last_pulse=None, interval_seconds=None, pulses_since=0.0)
        return live

    @property
    def faults(self) -> dict[str, str]:
        """Why the store refuses, while it does, by what it refuses."""
        return self.writing.faults

    @property
    def is_silent(self) -> bool:
        """Whether it is too long ago that anything was heard."""
        return self.heard is None or self._monotonic() - self.heard > self._stale_seconds

    def look(self) -> None:
        """Somebody looks at the graphs."""
        self._looked = self._monotonic()

    # ------------------------------------------------------------ what comes

    def standing(self, whole: bool = False) -> Standing:
        """What is held here; `whole`: with the gaps. Raises StoreError."""
        with self.lock:
            row, spans = self._look()
            return Standing(
                newest=row.time if row else None,
                newest_pulses=row.pulses if row else None,
                pulses=self.pulses,
                pulses_time=self._pulses_time,
                spans=dict(spans),
                watched=self._looked is not None and self._monotonic() - self._looked < WATCHED_SECONDS,
                offset_kwh=self.facts.offset_kwh if self.facts else 0.0,
                gaps=self._gaps if whole else (),
            )

    def _look(self) -> tuple[Row | None, Mapping[int, Span]]:
        """What is held, and let the page know where that cannot be read. Raises StoreError."""
        found: list[tuple[Row | None, Mapping[int, Span]]] = []
        self._attempt("file", lambda: found.append(self._held()))
        return found[0]

    def _held(self) -> tuple[Row | None, Mapping[int, Span]]:
        """The newest row and what is held; nothing where the file vanished, was damaged or is disowned.

        Then its sender begins anew, and so does `_append`. Raises StoreError.
        """
        row = self.store.last_row
        with storing(self.store.rrd):
            if row is None or self._disowned or not self.store.rrd.exists():
                return None, {}
        try:
            return row, self.ledger.spans()
        except DamagedError:
            return None, {}

    def take(self, push: Push, now: float, latest: float = math.inf) -> Standing:
        """Store new rows and remember the state; `now` is Unix seconds, by a clock that may be wrong.

        A file whose newest row is later than `latest`, and than what its sender has, is set aside by the next rows: one
        clock alone may be the wrong one. Raises WireError, ConflictError, FutureError, and
        StoreError: then the rows may be there already, and `standing` tells. After all others nothing has changed.
        """
        with self.lock:
            self._disown(push.rows.unit.until, latest)
            newest = self._look()[0]
            if push.newest is not None and push.newest != (newest.time if newest else None):
                raise ConflictError("rows_conflict", after=push.newest, newest=newest.time if newest else 0)
            if push.rows.rates:
                self._store(push.rows, push.pulses or 0.0, now)
            if push.state:
                self._hear(push.state, now)
            return self.standing()

    def _disown(self, theirs: int, latest: float) -> bool:
        """Hold nothing any more where the newest row lies in the future, of this clock and of its sender's rows.

        Returns whether that has just come to light.
        """
        row, before = self.store.last_row, self._disowned
        if row and row.time > latest and row.time > theirs + LOST_SECONDS:
            self._disowned = True
        return self._disowned and not before

    def _store(self, rows: Rows, pulses: float, now: float) -> None:
        """Check and add rows. Raises WireError, ConflictError, FutureError, StoreError."""
        newest, until = self._held()[0], rows.unit.until
        if rows.after < OLDEST_TIME:
            raise WireError(f"after is {rows.after}: wanted {OLDEST_TIME} (the year 2020) or later")
        if until > now + FUTURE_SECONDS:
            raise FutureError("rows_future", time=until, seconds=int(until - now))
        if newest and rows.after < newest.time:
            raise ConflictError("rows_conflict", after=rows.after, newest=newest.time)
        self._attempt("rows", lambda: self._append(rows, pulses))

    def _append(self, rows: Rows, pulses: float) -> list[str]:
        """Add rows to the RRD, made if need be. Raises StoreError."""
        notes, held = [], self._held()[0]
        if self._disowned and self.store.rrd.exists():
            notes.append(f"its rows lay in the future and are kept as {self.store.start_anew(rows.after, 'future')}")
        elif held is None:
            counted, notes = self.store.open(rows.after)
            self.pulses = max(self.pulses, counted)
            if not self.store.rrd.exists():
                self.store.create(rows.after)  # is refused again, and says why
        self._disowned = False
        self.ledger.append(rows.after, rows.rates, pulses)
        self.store.last_row = self.ledger.newest()
        return notes

    def _hear(self, state: State, wall: float) -> None:
        """Remember what the sender says of this moment. Raises StoreError."""
        now = self._monotonic()
        self._save_facts(Facts(self.name, self._label(state.label), state.imp_per_kwh, state.offset_kwh))
        if state.gaps is not None:
            self._save_gaps(state.gaps)
        self.raise_counter(state.pulses)

        def ago(age: float | None) -> float | None:
            return None if age is None else now - age

        if self.is_silent:
            log.info("%s reports meter %s", self.sender, self.name)
        closed = ago(state.contact_closed_age_seconds)
        contact = Contact(closed is not None, closed, rejected=state.edges_rejected, lost=state.edges_lost)
        self._live = Live(
            taken=now,
            begun=now - state.begun_age_seconds,
            pulses=self.pulses,
            last_pulse=ago(state.last_pulse_age_seconds),
            interval_seconds=state.interval_seconds,
            rows=(),
            pulses_since=self._pulses_since(state, wall),
            contact=contact,
            lost_edge=ago(state.lost_edge_age_seconds),
        )
        self._stale_seconds = max(STALE_LEAST_SECONDS, STALE_PUSHES * state.push_seconds)
        self.heard = now

    def _label(self, told: str) -> str:
        """What the page calls it: two senders' houses are told apart by the names they have here."""
        return f"{told} ({self.name})" if self.renamed else told

    def _pulses_since(self, state: State, wall: float) -> float:
        """What was counted since the newest row; nothing while rows of the past are still to come."""
        row = self.store.last_row
        if not row or wall - row.time > WAITING_SECONDS:
            return 0.0
        return max(0.0, state.pulses - row.pulses)

    def raise_counter(self, pulses: int) -> None:
        """Keep a counter that is higher than the one that is known: it never goes back by itself. Raises StoreError."""
        if pulses > self.pulses:
            self.set_counter(pulses)

    def set_counter(self, pulses: int) -> None:
        """Keep a counter whatever was known. Raises StoreError."""
        time = self.store.last_time
        self._attempt("register", lambda: self.store.save_register(pulses, time))
        self.pulses, self._pulses_time = pulses, time

    def repair(self, rows: Rows) -> Standing:
        """Put rows of the past in the place of those here; unknown ones change nothing.

        Raises ConflictError, StoreError.
        """
        with self.lock:
            held = self._held()[1].get(rows.step_seconds)
            if not held or rows.after < held.after or rows.unit.until > held.until:
                raise ConflictError("rows_not_held", after=rows.after, until=rows.unit.until)
            whole = merged(rows.rates, self.ledger.rows(rows.unit))
            self._attempt("rows", lambda: self.ledger.put(rows.unit, whole))
            self.edition += 1
            return self.standing()

    def rows(self, unit: Unit) -> Rows:
        """The rows of a unit. Raises StoreError."""
        with self.lock:
            held = self._held()[0]
            rates = self.ledger.rows(unit) if held else UNKNOWN * ((unit.until - unit.after) // unit.step_seconds)
            return Rows(unit.step_seconds, unit.after, rates)

    def digests(self, unit: Unit, fresh: bool) -> dict[Unit, str]:
        """The digests of what is held in a span. Raises StoreError."""
        with self.lock:
            return self.ledger.digests(*unit, fresh=fresh).digests if self._held()[0] else {}

    # ------------------------------------------------------------ files

    def _attempt(self, what: str, write: Callable[[], list[str] | None]) -> None:
        """Write, and let the page know of a refusal, and the sender too. Raises StoreError."""
        refused: list[StoreError] = []

        def tried() -> list[str] | None:
            try:
                return write()
            except StoreError as error:
                refused.append(error)
                raise

        if not self.writing.attempt(what, tried, self._monotonic()):
            raise refused[0]

    def _save_facts(self, told: Facts) -> None:
        if told != self.facts:
            self._attempt("facts", lambda: facts.write(self._facts_path, told))
            self.facts = told
            self.edition += 1

    def _save_gaps(self, told: tuple[Gap, ...]) -> None:
        """Keep the gaps; those from before the sender's own list begins stay."""
        older = (gap for gap in self._gaps if gap.end and (not told or gap.start < told[0].start))
        kept = gaps.merged([*older, *told])
        if kept != self._gaps:
            self._attempt("gaps", lambda: self._write_gaps([gap for gap in kept if gap.end]))
            self._gaps = kept

    def _write_gaps(self, over: list[Gap]) -> None:
        with storing(self._gaps_path):
            gaps.write(self._gaps_path, over, self._gaps_damaged)
        self._gaps_damaged = False
