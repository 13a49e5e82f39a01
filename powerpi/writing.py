"""What the disk says to the writes of one meter: which are refused and why, and what happened to its files."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from powerpi.errors import BusyError, StoreError

log = logging.getLogger(__name__)

BUSY_REFUSALS = 24  # in a row: some minutes, then it is a fault
TOLD = 10  # the newest things that happened to the files


class Writing:
    """Tries writes; `faults` and `told` may be read by any thread: they are replaced, never changed."""

    def __init__(self, meter: str, notes: Sequence[str], now: float) -> None:
        """`notes` tell what happened to the files at the start; `now` is CLOCK_MONOTONIC seconds."""
        self._meter = meter
        self._busy: Counter[str] = Counter()  # refusals in a row because somebody else has the file
        self.faults: dict[str, str] = {}  # "rows", "register", "gaps": why the store refuses
        self.told: tuple[tuple[float, str], ...] = tuple((now, note) for note in notes)  # and when, CLOCK_MONOTONIC

    def attempt(self, what: str, write: Callable[[], Sequence[str] | None], now: float) -> bool:
        """Whether a write succeeded; one line in the log when that changes, and for each thing that it tells."""
        try:
            notes = write() or ()
        except BusyError as error:  # a drawing or a backup has the file: mostly it will be over soon
            self._busy[what] += 1
            if self._busy[what] >= BUSY_REFUSALS:
                self._refused(what, error)
            return False
        except StoreError as error:
            self._refused(what, error)
            return False
        del self._busy[what]
        for note in notes:
            log.warning("meter %s: %s", self._meter, note)
        self.told = (*self.told, *((now, note) for note in notes))[-TOLD:]
        if what in self.faults:
            self.faults = {other: why for other, why in self.faults.items() if other != what}
            log.warning("meter %s: its %s can be stored again", self._meter, what)
        return True

    def _refused(self, what: str, error: StoreError) -> None:
        if what not in self.faults:
            log.error("meter %s: its %s cannot be stored for now: %s", self._meter, what, error)
        self.faults = {**self.faults, what: str(error)}
