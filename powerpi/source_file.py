"""The file that an import reads, whatever it is: a CSV, an RRD, or the XML of `rrdtool dump`; to intervals with energy.

What was recognised comes with it in a line, so that somebody sees before anything is written whether it is right.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple
from zoneinfo import ZoneInfo

from powerpi import old_rrd, store
from powerpi.csv_forms import KWH, READING, WATTS, Entry, Faults, Form, Table, decoded
from powerpi.errors import SHOWN_CHARACTERS, DataError, PowerPiError, StoreError, shown
from powerpi.folder import storing
from powerpi.intervals import END, Intervals, intervals, is_at_end, timed
from powerpi.limits import most_watts
from powerpi.units import WATT_HOURS_PER_KWH, watts

HEAD_BYTES = 1024
LINES_TOLD = 1000  # between two calls of `progress`
ON_DISK = Path("/var/tmp")  # noqa: S108 (what is made there has a name that nobody can guess)
OWN_SOURCE = "pulses"  # of an RRD of PowerPi
IN_WORDS = {KWH: "kWh", WATTS: "W", READING: "kWh on the meter's display"}
Progress = Callable[[float], None]  # hears which share of the file is read


class Wanted(NamedTuple):
    """How to understand a file; None: as it says itself."""

    kind: str | None  # one of csv_forms.KINDS
    times: str | None  # intervals.START or END
    zone: ZoneInfo
    imp_per_kwh: float


class Loaded(NamedTuple):
    """What a file holds."""

    intervals: Intervals
    said: str  # what it was taken for
    faults: Faults  # its bad lines


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to read from its beginning, more than once; `-` is standard input.

    Raises DataError where it cannot be opened, StoreError for what the disk says later.
    """
    inside = False
    try:
        with open(sys.stdin.fileno() if str(path) == "-" else path, "rb", closefd=str(path) != "-") as file:
            if file.seekable():
                inside = True
                yield file
                return
            with tempfile.TemporaryFile(dir=_roomy()) as copy:
                shutil.copyfileobj(file, copy)
                copy.seek(0)
                inside = True
                yield copy
    except PowerPiError:
        raise
    except OSError as error:
        if error.filename == str(path):
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
        if inside and not error.filename:  # it may be of anything
            raise
        named = "standard input" if str(path) == "-" else path
        raise StoreError(f"{error.filename or named}: {error.strerror}") from error


def _roomy() -> Path | None:
    """Where large files may be for a while: on the disk, as /tmp may be in memory; None: where TMPDIR says."""
    return ON_DISK if "TMPDIR" not in os.environ and os.access(ON_DISK, os.W_OK | os.X_OK) else None


def load(file: IO[bytes], wanted: Wanted, progress: Progress = lambda _: None) -> Loaded:
    """All that a file holds. Raises DataError, StoreError for an RRD that cannot be read here."""
    size = max(file.seek(0, os.SEEK_END), 1)
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if old_rrd.is_rrd(head):
        return _load_rrd(file, wanted, progress)
    if old_rrd.is_dump(head):
        return _load_dump(file, wanted, lambda read: progress(read / size))
    return _load_csv(file, wanted, lambda read: progress(read / size))


def _load_rrd(file: IO[bytes], wanted: Wanted, progress: Progress) -> Loaded:
    # a copy, for the file itself may be closed to this user
    with tempfile.TemporaryDirectory(prefix="powerpi-import-", dir=_roomy()) as folder:
        rrd, xml = Path(folder) / "copy.rrd", Path(folder) / "copy.xml"
        with storing(rrd), rrd.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        try:
            store.dump(rrd, xml)
        except StoreError as error:
            said = str(error).replace(str(rrd), "the RRD")
            raise DataError(f"{said}; where it was made, `rrdtool dump` writes a text that can be imported") from error
        size = max(xml.stat().st_size, 1)
        with xml.open("rb") as text:
            return _load_dump(text, wanted, lambda read: progress(read / size))


def _load_dump(file: IO[bytes], wanted: Wanted, progress: Callable[[int], None]) -> Loaded:
    dump = old_rrd.read(file, progress)
    own = dump.source == OWN_SOURCE
    watts_per_value = watts(1, 1, wanted.imp_per_kwh) if own else 1.0
    found = old_rrd.intervals(dump, watts_per_value, most_watts(wanted.imp_per_kwh))
    steps = sorted({archive.step_seconds for archive in dump.archives})
    unit = "pulses per second" if own else "W"
    said = f"an RRD, {_plain(dump.source)} in {unit}, in rows of {' s, '.join(map(str, steps))} s"
    return Loaded(found, _said(found, said, wanted.zone), Faults())


def _load_csv(file: IO[bytes], wanted: Wanted, progress: Callable[[int], None]) -> Loaded:
    faults = Faults()
    table = Table(decoded(file), wanted.kind)
    form = table.form

    def told() -> Iterator[Entry]:
        for number, entry in enumerate(table.entries(faults)):
            if not number % LINES_TOLD:
                progress(file.tell())
            yield entry

    at_end = is_at_end(form) if wanted.times is None else wanted.times == END
    entries, notes = timed(told(), wanted.zone, faults)
    try:
        found = intervals(entries, form, wanted.zone, at_end, faults, most=most_watts(wanted.imp_per_kwh))
    except DataError as error:
        raise DataError("; ".join([str(error), *faults.sentences()[:1]])) from error
    found.notes[:0] = notes
    return Loaded(found, _said(found, _form_said(form, entries.local, at_end), wanted.zone), faults)


def _form_said(form: Form, local: bool, at_end: bool) -> str:
    """Kind of values and times, in words."""
    column = f" (column {_plain(form.heading)})" if form.heading else ""
    times = "local time" if local else "time with offset"
    if not form.ends and form.kind != READING:
        times += " at the end" if at_end else " at the beginning"
    return f"{IN_WORDS[form.kind]}{column}, {times}"


def _plain(name: str) -> str:
    """A name out of the file as it may stand on a terminal: as it is, or quoted where it is strange."""
    return name if name.isprintable() and len(name) <= SHOWN_CHARACTERS else shown(name)


def _said(found: Intervals, form: str, zone: ZoneInfo) -> str:
    """The line that tells what a file was taken for."""
    if not len(found):
        return f"no values, {form}"
    first, last = (f"{datetime.fromtimestamp(time, zone):%F %H:%M}" for time in (found.starts[0], found.ends[-1]))
    kwh = sum(found.watt_hours) / WATT_HOURS_PER_KWH
    count = found.readings or len(found)
    step = found.step.format(s="" if count == 1 else "s")
    return f"{spaced(count)} {step}, {form}, {first} to {last}, {spaced(kwh, 2)} kWh"


def spaced(value: float, digits: int = 0) -> str:
    """A number with blanks between thousands."""
    return f"{value:,.{digits}f}".replace(",", " ")
