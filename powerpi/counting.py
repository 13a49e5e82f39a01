"""The counting thread: lets every meter take its edges, follows the clock, and writes what is due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Condition
from typing import NamedTuple

from powerpi.clock import OLDEST_TIME, Clock
from powerpi.meter import Meter
from powerpi.pulses import STEP_SECONDS
from powerpi.worker import Worker

log = logging.getLogger(__name__)

TURN_SECONDS = 1.0
RETRY_SECONDS = 5.0  # after a refused write
LAST_TRIES = 4  # at the end; each waits for up to a second
STEP_TOLERANCE_SECONDS = 0.05  # the clock was stepped when its offset moved by more: readings agree to under 1 ms


class Timing(NamedTuple):
    """How often and how long, in seconds; the keys of the configuration."""

    flush_seconds: float
    register_seconds: float
    clock_wait_seconds: float


class Counting(Worker):
    """The thread that counts all meters: rows are written every `flush_seconds` and at once on `flush()`."""

    def __init__(
        self,
        meters: Sequence[Meter],
        clock: Clock,
        timing: Timing,
        on_death: Callable[[str, BaseException], None],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`beat` is called after every turn: the thread lives."""
        super().__init__("pulses", TURN_SECONDS, on_death)
        self._beat = beat
        self.meters = {meter.name: meter for meter in meters}
        self.clock = clock
        self.offset: float | None = None  # in use for rows; None while no clock is trusted
        self.trusted = False
        self.turned = clock.monotonic()  # when the last turn that was finished began: the thread lives
        self.timing = timing
        self._began = clock.monotonic()
        self._next_flush = self._began + timing.flush_seconds
        self._next_register = self._began + timing.register_seconds
        self._flushed = Condition()
        self._flushes_wanted = 0
        self._counters_wanted = 0  # the newest flush that wants the counters on disk as well
        self._flushes_done = 0
        self._all_written = True  # by the last flush
        newest = max((meter.newest_time for meter in meters), default=0) or OLDEST_TIME
        self._least_offset = newest + 2 * STEP_SECONDS - self._began
        for meter in meters:
            meter.begin(self._began)

    def turn(self) -> None:
        """Take edges, make rows, and write what is due; all that can be, should this be the last turn."""
        try:
            self._turn()
        except Exception:
            now = self.clock.monotonic()
            self._save_registers(now)
            for meter in self.meters.values():
                meter.flush()
            raise

    def _turn(self) -> None:
        wanted = self._flushes_wanted
        now = self.clock.monotonic()
        for meter in self.meters.values():
            meter.take_edges(now)
        self._follow_clock(now)
        if self.offset is not None:
            for meter in self.meters.values():
                if self.trusted:
                    meter.leave_future(now, self.offset)
                meter.make_rows(now, self.offset)
        if not self.stopping.is_set():
            for meter in self.meters.values():
                meter.listen(now)
        self._write_due(now)
        for meter in self.meters.values():
            meter.publish()
        self.turned = now
        self._answer(wanted)
        self._beat()

    def _follow_clock(self, now: float) -> None:
        """Adopt the wall clock once it is trusted or was waited for long enough, and again after each step."""
        self._trust(now)
        if now == self._began and not self.trusted:
            log.warning("the clock is not synchronised; rows wait for it, up to %g s", self.timing.clock_wait_seconds)
        if self.offset is None and not (self.trusted or now - self._began >= self.timing.clock_wait_seconds):
            return
        offset = self._wall_offset()
        if self.offset is not None and abs(offset - self.offset) <= STEP_TOLERANCE_SECONDS:
            return
        if self.offset is not None:
            log.warning("the clock was stepped by %.1f s", offset - self.offset)
        elif not self.trusted:
            log.warning("the clock is not synchronised; going on with it as it is")
        self.offset = offset
        for meter in self.meters.values():
            meter.break_line()

    def _wall_offset(self) -> float:
        """The clock's offset; one that is not trusted is later than the newest row on disk, and never goes back."""
        offset = self.clock.offset()
        return offset if self.trusted else max(offset, self._least_offset if self.offset is None else self.offset)

    def _trust(self, now: float) -> None:
        if not self.trusted and self.clock.trusted() and now + self.clock.offset() > OLDEST_TIME:
            self.trusted = True
            log.info("the clock is trusted, %.0f s after the start", now - self._began)

    def _write_due(self, now: float) -> None:
        if now >= self._next_register or self._counters_wanted > self._flushes_done:
            self._next_register = now + self.timing.register_seconds
            self._save_registers(now)
        if now < self._next_flush and self._flushes_wanted == self._flushes_done:
            return
        refused = [meter.name for meter in self.meters.values() if not meter.flush()]
        self._all_written = not refused
        self._next_flush = now + (self.timing.flush_seconds if self._all_written else RETRY_SECONDS)

    def _answer(self, wanted: int) -> None:
        """Tell those who asked for a flush before this turn began."""
        if wanted != self._flushes_done:
            with self._flushed:
                self._flushes_done = wanted
                self._flushed.notify_all()

    def _save_registers(self, now: float) -> None:
        for meter in self.meters.values():
            meter.save_register(int(now + self.offset) if self.offset is not None else 0)

    def flush(self, timeout_seconds: float, counters: bool = False) -> bool:
        """Have the thread write all rows made so far, and wait for it; False when it failed or took too long.

        `counters`: the lifetime counters as well.
        """
        with self._flushed:
            self._flushes_wanted += 1
            wanted = self._flushes_wanted
            if counters:
                self._counters_wanted = wanted
            self.wake()
            done = self._flushed.wait_for(lambda: self._flushes_done >= wanted, timeout_seconds)
            return done and self._all_written

    def last_turn(self) -> None:
        """Count the last edges and write everything; while somebody else has a file, try again."""
        for _ in range(LAST_TRIES):
            self._next_flush = self._next_register = self.clock.monotonic()
            self.turn()
            if not any(meter.unwritten for meter in self.meters.values()):
                break
