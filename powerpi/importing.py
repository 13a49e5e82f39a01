"""`powerpi import`: a file's energy into the rows of a meter, all of it or nothing, while the meter is counted on.

The rows are changed in a copy of the RRD, which then takes its place in one step: in the PowerPi that runs, or here
where none does.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import IO, NamedTuple, NoReturn

from powerpi import door, draft, files, gaps, layout, ring, source_file
from powerpi.clock import OLDEST_TIME, SystemClock
from powerpi.config import MeterSettings, Settings
from powerpi.errors import DataError, NobodyError, RefusedError, StoreError
from powerpi.folder import FolderLock, is_locked, locked_folder, storing
from powerpi.gaps import Gap, Session
from powerpi.intervals import Intervals
from powerpi.ledger import Ledger
from powerpi.progress import Progress
from powerpi.pulses import STEP_SECONDS
from powerpi.source_file import Loaded, spaced
from powerpi.spreading import Filled, spread
from powerpi.store import Store

ADOPT_TRIES = 10  # a drawing may be under way, for some 10 s if it hangs
ADOPT_PAUSE_SECONDS = 1.0
UNANSWERED = (
    "the PowerPi that runs does not answer, and nobody knows whether it has taken the rows in:"
    " import the file again when it does, which puts it right; nothing is there twice then"
)
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Wanted(NamedTuple):
    """What the command line asks."""

    meter: str
    kind: str | None
    times: str | None
    overwrite: bool
    dry_run: bool
    skip_bad: bool


def run(settings: Settings, wanted: Wanted, file: IO[bytes]) -> int:
    """Import a file; returns the exit code. Raises DataError, StoreError: then nothing has changed."""
    with _ended_by_signals():
        return _run(settings, wanted, file)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Leave nothing behind where a signal ends this, as with Ctrl-C."""

    def end(number: int, frame: object) -> NoReturn:  # noqa: ARG001 (the signature of signal handlers)
        raise KeyboardInterrupt

    taken = [each for each in SIGNALS if signal.getsignal(each) == signal.SIG_DFL]
    for each in taken:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


def _run(settings: Settings, wanted: Wanted, file: IO[bytes]) -> int:
    meter = settings.counted(wanted.meter, "import it there, and the rows come here")
    asked = source_file.Wanted(wanted.kind, wanted.times, settings.timezone, meter.imp_per_kwh)
    with Progress("Reading the file", 1) as bar, storing(Path("the file")):
        loaded = source_file.load(file, asked, bar.to)
    if not _tell(loaded, wanted):
        return os.EX_DATAERR
    with _at_rest(settings, meter) as base, draft.begun(base.store.rrd) as copy:
        until = base.copy_to(copy, loaded.intervals)
        ledger = Ledger(copy, Lock())
        with Progress(f"Importing into {meter.name}", 1) as bar:
            filled = spread(ledger, loaded.intervals, meter.imp_per_kwh, wanted.overwrite, bar.to)
        files.sync_file(copy)
        if filled.changed and not wanted.dry_run:
            base.adopt(copy)
    reach = f"{datetime.fromtimestamp(until, settings.timezone):%F %T}, up to which there are rows"
    reach += " (there could be more, but the clock is not set yet: try again later)" if base.unset else ""
    for line in _report(filled, wanted, reach):
        print(f"{meter.name}: {line}")
    return os.EX_OK


def _tell(loaded: Loaded, wanted: Wanted) -> bool:
    """Say what was recognised, and which lines are bad; whether to go on. Raises DataError where there is nothing."""
    print(loaded.said, flush=True)
    for note in loaded.intervals.notes:
        print(f"note: {note}", flush=True)
    for sentence in loaded.faults.sentences():
        print(f"powerpi: {sentence}", file=sys.stderr)
    if loaded.faults.count and not wanted.skip_bad:
        print("powerpi: nothing was imported; --skip-bad leaves such lines out", file=sys.stderr)
        return False
    if not len(loaded.intervals):
        raise DataError("the file holds no energy of any time; nothing was imported")
    return True


class Base:
    """The files that an import starts from."""

    def __init__(self, store: Store, running: Path | None, trusted: bool) -> None:
        """`running`: the state folder of a PowerPi that runs on it; `trusted`: whether the clock is."""
        self.store = store
        self._running = running
        self._trusted = trusted
        self.unset = False  # the clock: no rows up to now can be made
        self._gap: Gap | None = None  # what nobody counted, where the copy reaches further than the RRD

    def copy_to(self, copy: Path, found: Intervals) -> int:
        """Make the copy, with room for what is to come; returns how far its rows reach, Unix seconds.

        Only where nobody counts it may reach further than the RRD. Raises StoreError.
        """
        now = int(time.time()) // STEP_SECONDS * STEP_SECONDS
        with storing(copy):
            if not self.store.rrd.exists():
                self._make(copy, now)
                return now
            draft.check_room(self.store.rrd)
            Ledger(self.store.rrd, Lock()).copy(copy)
            shutil.copymode(self.store.rrd, copy)
            header = layout.read(copy)
            until = min(now, -int(-found.ends[-1] // STEP_SECONDS * STEP_SECONDS))
            if self._running or not self._trusted or until <= header.last_update:
                self.unset = not self._running and not self._trusted
                return header.last_update
            stands = self.store.stored_pulses if header.last_pulses is None else header.last_pulses
            ring.append(copy, until, array("d"), stands)
            if header.last_row:
                self._gap = Gap(header.last_update, until, Session(self.store.rrd.parent).last_end())
            return until

    def _make(self, copy: Path, now: int) -> None:
        """An empty RRD, as it is made for a meter that is new. Raises StoreError, OSError."""
        if self._running:
            raise StoreError(f"the PowerPi that runs keeps no {self.store.rrd}: wanted it restarted")
        if not self._trusted:
            raise StoreError("the clock is not set yet: nobody knows up to when an RRD should reach; try again later")
        fresh = self.store.rrd.with_name(f"{self.store.rrd.name}.new")
        try:
            self.store.make(fresh, now)
            shutil.copyfile(fresh, copy)
            shutil.copymode(fresh, copy)
        finally:
            fresh.unlink(missing_ok=True)

    def adopt(self, copy: Path) -> None:
        """Let the copy take the RRD's place. Raises StoreError."""
        if not self._running:
            self.store.adopt(copy)
            self._keep_gap()
            return
        for attempt in range(1, ADOPT_TRIES + 1):
            try:
                door.ask(self._running, "adopt", meter=self.store.rrd.stem)
            except RefusedError as error:
                said = str(error)
            except NobodyError as error:
                if isinstance(error.__cause__, TimeoutError):
                    raise StoreError(UNANSWERED) from error
                if self._adopted_alone(self._running, copy):
                    return
                said = f"the PowerPi that ran has ended, and another process holds {self._running}"
            else:
                return
            if attempt < ADOPT_TRIES:
                time.sleep(ADOPT_PAUSE_SECONDS)
        raise StoreError(f"{said}; nothing was imported, try again")

    def _adopted_alone(self, folder: Path, copy: Path) -> bool:
        """Do it without the PowerPi that has ended; False while that is still dying, or another one has begun."""
        if not copy.exists():  # it ended in the moment after it had taken it in
            return True
        try:
            lock = FolderLock(folder)
        except StoreError:
            if is_locked(folder):
                return False
            raise
        with closing(lock):
            if copy.exists():
                self.store.open(OLDEST_TIME)
                self.store.adopt(copy)
        return True

    def _keep_gap(self) -> None:
        """Note when nobody counted: the next start finds rows up to a later time. Raises StoreError."""
        if self._gap:
            path = self.store.rrd.with_suffix(".gaps")
            with storing(path):
                known, damaged = gaps.read(path)
                gaps.write(path, [*known, self._gap], damaged)


@contextmanager
def _at_rest(settings: Settings, meter: MeterSettings) -> Iterator[Base]:
    """The files of a meter with all rows written; where nobody counts, nobody begins meanwhile. Raises StoreError."""
    trusted = SystemClock(settings.network_time).trusted()

    def store(hold: Callable[[], None] = lambda: None) -> Store:
        return Store(settings.state, meter.name, settings.store.archive_years, Lock(), hold)

    try:
        door.ask(settings.state, "flush")
    except (NobodyError, RefusedError):
        if is_locked(settings.state):
            raise StoreError("the PowerPi that runs does not answer: try again, or stop it first") from None
    else:
        yield Base(store(), settings.state, trusted)
        return
    with locked_folder(settings.state) as lock:
        own = store(lock.hold)
        _, notes = own.open(OLDEST_TIME) if own.rrd.exists() else own.open_counter()
        for note in notes:
            print(f"{meter.name}: {note}", file=sys.stderr)
        yield Base(own, None, trusted)


def _report(filled: Filled, wanted: Wanted, reach: str) -> Iterator[str]:
    """What became of the file, a sentence each."""
    would = "would be" if wanted.dry_run else "were"
    if filled.changed:
        yield f"{spaced(filled.rows)} rows of 10 s and {spaced(filled.means)} quarter hours {would} filled in"
    if filled.replaced:
        yield f"known before, and{' would be' if wanted.dry_run else ''} replaced: {spaced(filled.replaced)}"
    if filled.kept:
        yield f"known already, and left as they are (--overwrite replaces them): {spaced(filled.kept)}"
    if filled.older:
        yield f"left out, as older than what is kept: {spaced(filled.older)}"
    if filled.later:
        yield f"left out, as later than {reach}: {spaced(filled.later)}"
    if filled.lost_watt_hours:
        yield f"left out, as it covers no more than a part of a row: {filled.lost_watt_hours:.3g} Wh"
    if wanted.dry_run or not filled.changed:
        yield "nothing was changed"
