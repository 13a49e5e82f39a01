"""Nothing is lost and nothing is invented, whatever comes in whatever order.

Hypothesis plays random lives of one meter: pulses, chatter and interference, quiet hours, clock steps, a clock that is
trusted never, late or from the start, flushes, register saves, restarts and kills. All parts are real; only the clock
and the contact are moved by hand. The truth is what was sent: a line through the pulses on CLOCK_MONOTONIC, which no
clock step can bend. A failure prints the shortest life that leads to it.
"""

from __future__ import annotations

import math
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from conftest import START, HandClock, Line
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_store import rates

from powerpi import register
from powerpi.clock import OLDEST_TIME
from powerpi.config import MeterSettings
from powerpi.counting import Counting, Timing
from powerpi.layout import LOSSLESS_DAYS
from powerpi.meter import FUTURE_SECONDS, Meter
from powerpi.pulses import IDLE_KEPT_SECONDS, IDLE_SECONDS, STEP_SECONDS, Row, next_boundary
from powerpi.readings import Energies, MeterReadings
from powerpi.store import Store

TIMING = Timing(flush_seconds=1e9, register_seconds=60, clock_wait_seconds=1200)  # flushed by a rule, not by itself
MIN_PULSE_SECONDS = 0.010
LONGEST_CLOSED_SECONDS = 300.0  # of the pulses sent here
CLOSE = 1e-4  # pulses: 1 us of rounding in Unix seconds at 33 pulses a second
YEAR_SECONDS = 365 * 86400
SETTINGS = MeterSettings("house", "House", 24, 1000, "up", 10, offset_kwh=0.0)

distances = st.one_of(st.sampled_from([0.03, 10.0, 36.0]), st.floats(0.03, 60), st.floats(60, 9000))
widths = st.one_of(st.floats(0.03, 0.12), st.floats(0.12, LONGEST_CLOSED_SECONDS))
steps = st.one_of(
    st.sampled_from([1.0, 10.0, 60.0, 3599.0]),
    st.sampled_from([3601.0, 86400.0, YEAR_SECONDS]),
    st.floats(0.06, 7200),
    st.floats(7200, YEAR_SECONDS),
)
still_or_steps = st.one_of(st.just(0.0), steps)
signs = st.sampled_from([-1, 1])


class Process:
    """One run of the program: the parts that a restart makes anew, and what was sent to them."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        self.line = Line(clock)
        store = Store(folder, "house", 0, threading.Lock())
        start = next_boundary(clock.wall()) - 2 * STEP_SECONDS if clock.is_trusted else OLDEST_TIME
        self.meter = Meter("house", self.line.pin, store, MIN_PULSE_SECONDS, start)
        self.first_pulses = self.meter.pulses
        self.begun = clock.now
        self.sent: list[float] = []  # when the contact closed, CLOCK_MONOTONIC seconds
        self.counting = Counting([self.meter], clock, TIMING, lambda *_: None)
        self.readings = MeterReadings(SETTINGS, Energies(folder, 1000, lambda *_: []), ZoneInfo("UTC"))

    def gap(self, number: int) -> tuple[float, float]:
        """When the gap before the pulse of this number (from 0) began and ended; before the first: since the start."""
        return (self.sent[number - 1] if number else self.begun), self.sent[number]

    def true_pulses(self, time: float) -> tuple[float, float]:
        """The least and the most that the counter can have been at `time`: the same unless it was idle."""
        number = bisect_right(self.sent, time)
        passed = float(self.first_pulses + number)
        if number == len(self.sent):
            return passed, passed
        begin, end = self.gap(number)
        if end - begin >= IDLE_SECONDS - LONGEST_CLOSED_SECONDS:  # where the line was flat depends on who looked when
            return passed, passed + 1
        assert number, "nothing is known before the first pulse"
        exact = passed + (time - begin) / (end - begin)
        return exact, exact

    def steepest(self, since: float, until: float) -> float:
        """The highest power in a stretch of time, in pulses per second; an idle meter's next pulse has half an hour."""
        numbers = range(bisect_right(self.sent, since), min(bisect_right(self.sent, until) + 1, len(self.sent)))
        gaps = (end - begin for begin, end in map(self.gap, numbers))
        return max((1 / min(gap, IDLE_KEPT_SECONDS) for gap in gaps), default=0.0)


class Stretch(NamedTuple):
    """A stretch of one process' life without a clock step: its rows follow each other without a gap."""

    process: Process
    offset: float | None  # Unix seconds minus CLOCK_MONOTONIC seconds; None: rows wait for the clock
    sent_before: int  # pulses up to the turn before the one that began it
    line_from: float  # CLOCK_MONOTONIC: the line that was drawn so far ended here or earlier, but for pulses
    rows_until: int  # Unix seconds: the newest row made before, or the begin of an RRD without rows; 0: nothing

    def first_row_by(self) -> float:
        """The time (Unix seconds) of the first row at the latest: one step after the newest row stays unknown."""
        assert self.offset is not None
        sent = self.process.sent
        begin = sent[self.sent_before - 1] if self.sent_before else sent[0] if sent else self.process.begun
        return max(max(begin, self.line_from) + self.offset + STEP_SECONDS, self.rows_until + 2 * STEP_SECONDS)


def unbroken(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows in stretches of neighbours."""
    stretches: list[list[Row]] = []
    for row in rows:
        if not stretches or row.time != stretches[-1][-1].time + STEP_SECONDS:
            stretches.append([])
        stretches[-1].append(row)
    return stretches


class Life(RuleBasedStateMachine):
    """A meter's life. `rows` are all that were ever made for the present RRD, with the stretch that each belongs to."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.rows: list[tuple[Row, Stretch]] = []
        self.pending: tuple[Row, ...] = ()
        self.unchecked = 0  # rows before this place were compared with the RRD
        self.highest = 0  # the counter that was shown last

    def teardown(self) -> None:
        self.folder.cleanup()

    # What happens

    @initialize(trusted=st.booleans(), wrong=still_or_steps, sign=signs)
    def start(self, trusted: bool, wrong: float, sign: int) -> None:
        self.clock = HandClock(wall=START + (0 if trusted else sign * wrong), trusted=trusted)
        self.begin()

    @rule(distance=distances, width=widths, look=st.booleans())
    def pulse(self, distance: float, width: float, look: bool) -> None:
        self.clock.now += distance
        self.process.sent.append(self.clock.now)
        self.process.line.close()
        if look:
            self.turn(pending_pulses=1)
        self.clock.now += width
        self.process.line.open()
        self.turn()

    @rule(count=st.integers(2, 30), distance=distances, look=st.booleans())
    def even_pulses(self, count: int, distance: float, look: bool) -> None:
        for _ in range(count):
            self.clock.now += distance
            self.process.sent.append(self.clock.now)
            self.process.line.pulse(width=0.03)
            if look:
                self.turn()
        self.turn()

    @rule(distance=distances, broken=st.booleans())
    def chattering_pulse(self, distance: float, broken: bool) -> None:
        """Three times 0.7 ms on both edges, or a break of 2 ms: the pulse begins when the contact has settled."""
        self.clock.now += distance
        self.shake()
        self.process.sent.append(self.clock.now)
        self.process.line.close()
        self.clock.now += 0.03
        self.process.line.open()
        if broken:
            self.clock.now += 0.002
            self.process.line.pulse(width=0.02)
        else:
            self.clock.now += 0.0007
            self.shake()
        self.turn()

    @rule(distance=distances, width=st.floats(0.0001, 0.0099))
    def interference(self, distance: float, width: float) -> None:
        self.clock.now += distance
        self.process.line.pulse(width=width)
        self.turn()

    @rule(seconds=st.one_of(st.floats(0, 100), st.floats(100, 4 * 3600)), turns=st.integers(1, 12))
    def wait(self, seconds: float, turns: int) -> None:
        for _ in range(turns):
            self.clock.now += seconds / turns
            self.turn()

    @rule(seconds=steps, sign=signs)
    def step_clock(self, seconds: float, sign: int) -> None:
        self.clock.ahead += sign * seconds
        self.turn()

    @rule(seconds=st.floats(-0.04, 0.04))
    def nudge_clock(self, seconds: float) -> None:
        self.clock.ahead += seconds
        self.turn()

    @precondition(lambda self: not self.clock.is_trusted)
    @rule(seconds=still_or_steps, sign=signs)
    def trust_clock(self, seconds: float, sign: int) -> None:
        self.clock.ahead += sign * seconds
        self.clock.is_trusted = True
        self.turn()

    @rule()
    def flush(self) -> None:
        self.process.counting.flush(0)  # asks; the turn that follows writes
        self.turn()
        assert not self.pending
        self.check_file()

    @rule(seconds=st.floats(1, 5 * 3600), trusted=st.booleans(), behind=still_or_steps)
    def restart(self, seconds: float, trusted: bool, behind: float) -> None:
        self.process.counting.last_turn()
        assert not self.process.meter.unwritten
        self.pending = ()
        self.check_file()
        counted = self.process.meter.pulses
        self.boot(seconds, trusted, behind)
        assert self.process.first_pulses == counted

    @rule(seconds=st.floats(1, 5 * 3600), trusted=st.booleans(), behind=still_or_steps)
    def kill(self, seconds: float, trusted: bool, behind: float) -> None:
        counted, acknowledged = self.process.meter.pulses, self.acknowledged()
        if self.pending:
            del self.rows[-len(self.pending) :]
            self.pending = ()
        self.check_file()
        self.boot(seconds, trusted, behind)
        assert acknowledged <= self.process.first_pulses <= counted
        self.highest = self.process.first_pulses

    # What is done about it

    def boot(self, seconds: float, trusted: bool, behind: float) -> None:
        """Down for so long; pulses meanwhile are nobody's. The clock may have stood still, or was lost altogether."""
        self.clock.now += seconds
        self.clock.is_trusted = trusted
        self.clock.ahead -= 0 if trusted else behind
        self.begin()

    def begin(self) -> None:
        self.process = Process(Path(self.folder.name), self.clock)
        self.stretch = Stretch(self.process, None, 0, -math.inf, 0)
        self.turn()

    def shake(self) -> None:
        for _ in range(3):
            self.process.line.pulse(width=0.0007)
            self.clock.now += 0.0007

    def acknowledged(self) -> int:
        """The counter that the files hold."""
        kept = register.read(Path(self.folder.name) / "house.register")
        stored = self.process.meter.store.last_row
        return max(kept.pulses if kept else 0, math.ceil(stored.pulses) if stored else 0)

    def turn(self, pending_pulses: int = 0) -> None:
        """One turn of the counting thread, and what must be true after it."""
        counting, meter = self.process.counting, self.process.meter
        aside, rows_until, turned = len(self.set_aside()), meter.newest_time, counting.turned
        counting.turn()
        if len(self.set_aside()) > aside:
            self.rows, self.pending, self.unchecked, rows_until = [], (), 0, 0
        assert meter.pulses == self.process.first_pulses + len(self.process.sent) - pending_pulses
        self.forget_future()
        self.follow_clock(turned, min(rows_until, meter.newest_time))
        self.take_rows(meter.live.rows[1:] if meter.store.last_row else meter.live.rows)

    def set_aside(self) -> list[Path]:
        """The files whose rows lay in the future; nothing else is ever set aside here, for nothing is damaged."""
        kept = list(Path(self.folder.name).glob("house.rrd.*"))
        assert all(path.name.startswith("house.rrd.future-") for path in kept)
        return kept

    def forget_future(self) -> None:
        """Rows not yet written are dropped when they lie more than an hour in the future of a right clock."""
        counting = self.process.counting
        if not self.pending or not counting.trusted or counting.offset is None:
            return
        time = self.clock.now + counting.offset
        if self.pending[-1].time > time + FUTURE_SECONDS:
            kept = tuple(row for row in self.pending if row.time <= time)
            del self.rows[len(self.rows) - len(self.pending) + len(kept) :]
            self.pending = kept

    def follow_clock(self, turned: float, rows_until: int) -> None:
        """Begin a new stretch when another offset is in use than at the turn before, which was at `turned`."""
        offset = self.process.counting.offset
        if offset is None or offset == self.stretch.offset:
            return
        adopted = self.stretch.offset is None  # then all that waited is placed now
        sent_before = 0 if adopted else bisect_right(self.process.sent, turned)
        line_from = -math.inf if adopted else turned - IDLE_KEPT_SECONDS
        self.stretch = Stretch(self.process, offset, sent_before, line_from, rows_until)

    def take_rows(self, pending: tuple[Row, ...]) -> None:
        """Rows that wait to be written: those of the turn before, or none of them, and then new ones."""
        kept = len(self.pending) if pending else 0
        assert pending[:kept] == self.pending[:kept]
        for row in pending[kept:]:
            self.check_row(row)
            self.rows.append((row, self.stretch))
        self.pending = pending

    def check_row(self, row: Row) -> None:
        """A row that was just made lies on the true line, in the past, after all others."""
        assert self.stretch.offset is not None
        time = row.time - self.stretch.offset
        assert time <= self.clock.now
        assert row.time % STEP_SECONDS == 0
        low, high = self.process.true_pulses(time)
        assert low - CLOSE <= row.pulses <= high + CLOSE
        before, stretch = self.rows[-1] if self.rows else (Row(0, 0.0), None)
        assert row.pulses >= before.pulses - CLOSE
        if stretch is self.stretch:
            assert row.time == before.time + STEP_SECONDS
            assert row.pulses - before.pulses <= STEP_SECONDS * self.process.steepest(time - STEP_SECONDS, time) + CLOSE
        else:
            assert row.time > before.time + STEP_SECONDS
            assert row.time <= self.stretch.first_row_by()

    def check_file(self) -> None:
        """The RRD holds the rows since the last check; what lies between rows that are no neighbours is unknown."""
        rrd = self.process.meter.store.rrd
        oldest = self.process.meter.newest_time - LOSSLESS_DAYS * 86400
        fresh = [row for row, _ in self.rows[self.unchecked :] if row.time - STEP_SECONDS > oldest]
        for rows in unbroken(fresh):
            rising = [(after.pulses - before.pulses) / STEP_SECONDS for before, after in pairwise(rows)]
            since = rows[0].time if rows[0] == fresh[0] else rows[0].time - STEP_SECONDS
            unknown = [None] * ((rows[0].time - since) // STEP_SECONDS)
            found = rates(rrd, since, rows[-1].time + STEP_SECONDS)
            assert found == [*unknown, *(pytest.approx(rate, abs=CLOSE) for rate in rising), None]
        self.unchecked = max(0, len(self.rows) - 1)

    # What holds at any time

    @invariant()
    def counter_never_falls(self) -> None:
        live = self.process.meter.live
        assert live.pulses >= self.highest
        self.highest = live.pulses

    @invariant()
    def power_is_never_zero_and_never_more_than_there_was(self) -> None:
        process = self.process
        found = process.readings.read(process.meter.live, self.clock.now, None)
        assert found.meter_reading_watt_hours == process.meter.pulses
        assert found.watts is None or found.watts > 0
        if found.watts is not None and not found.watts_at_most:
            shortest = min(after - before for before, after in pairwise(process.sent))
            assert found.watts <= 3600 / shortest * (1 + CLOSE)

    @invariant()
    def the_curve_follows_the_pulses(self) -> None:
        """Nothing lies far in the future; rows reach up to the last pulse unless a small step back is waited for."""
        stretch, newest_time = self.stretch, self.process.meter.newest_time
        if stretch.offset is None:
            return
        assert newest_time <= self.clock.now + stretch.offset + FUTURE_SECONDS
        if len(self.process.sent) > max(1, stretch.sent_before):
            boundary = next_boundary(self.process.sent[-1] + stretch.offset) - STEP_SECONDS
            assert newest_time >= boundary or boundary < stretch.first_row_by()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=200, stateful_step_count=40, deadline=None, print_blob=True)
