"""The rows of an RRD of PowerPi, read and written in place: exact doubles, without librrd.

Values are pulses per second, NaN where unknown; a row's time (Unix seconds) is the END of its step. What is written is
what librrd 1.7.2 makes of the same rates, and librrd can go on with the file. Nobody else may write it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import math
import operator
import os
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import reduce
from itertools import compress, count, filterfalse, repeat
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from powerpi import files, layout
from powerpi.layout import (
    CDP_PREP_BYTES,
    COUNTER,
    DS_DEF,
    KNOWN_SHARE,
    LIVE_HEADS,
    MEAN_SECONDS,
    PDP_PREP,
    ROW_BYTES,
    RRA_DEF,
    RRA_PTR,
    STAT_HEAD,
    Archive,
    Layout,
    quarter_end,
)
from powerpi.pulses import STEP_SECONDS

Alone = Callable[[], AbstractContextManager[None]]

QUARTER_ROWS = MEAN_SECONDS // STEP_SECONDS
QUARTER = Struct("@dL")  # how the state of the means begins: sum of the known rows, number of the unknown ones
LAST_VALUE = Struct("@30s")  # how PDP_PREP begins
NAN: float = Struct(">d").unpack(b"\x7f\xf8" + bytes(6))[0]  # librrd writes several patterns; here is one for all
UNKNOWN = array("d", [NAN])


class Quarter(NamedTuple):
    """What is known of a quarter hour so far: the sum of its rates, and how many of its rows are unknown."""

    total: float = 0.0
    unknown: int = 0

    def grown(self, rates: Sequence[float]) -> Quarter:
        """The same with further rows."""
        known = list(filterfalse(math.isnan, rates))
        # one after the other, as librrd adds them: from Python 3.12 on sum() makes up for what is lost in rounding
        return Quarter(reduce(operator.add, known, self.total), self.unknown + len(rates) - len(known))

    def mean(self) -> float:
        """The mean when all rows are there; NaN when more than half of them are unknown."""
        if self.unknown > QUARTER_ROWS * KNOWN_SHARE:
            return NAN
        return self.total / (QUARTER_ROWS - self.unknown)


def mean(rates: Sequence[float]) -> float:
    """The mean of the 90 rows of a quarter hour, to the last bit as librrd has it; NaN: more than half are unknown."""
    return Quarter().grown(rates).mean()


def span(header: Layout, step_seconds: int) -> tuple[int, int] | None:
    """(after, until): the archive of this step holds the rows with times in (after, until]; None: there is none."""
    archive = _archive(header, step_seconds)
    return _held(archive, header.last_update) if archive else None


def read(path: Path, step_seconds: int, after: int, until: int) -> array[float]:
    """The rows with times in (after, until], in order; those that the file does not hold are NaN.

    Raises OSError, DamagedError for a file that is not one of ours, ValueError for times off the grid of the step.
    """
    if after % step_seconds or until % step_seconds or after > until:
        raise ValueError(f"there are no rows of {step_seconds} s from {after} to {until}")
    header = layout.read(path)
    archive = _archive(header, step_seconds)
    if archive is None:
        return UNKNOWN * ((until - after) // step_seconds)
    with files.opened(path, os.O_RDONLY) as descriptor:
        return _read(descriptor, archive, header.last_update, after, until)


def append(
    path: Path, after: int, rates: Sequence[float], pulses: float, alone: Alone = contextlib.nullcontext
) -> None:
    """Add the rows after `after`, one for each rate; those between the newest one there and `after` become unknown.

    `pulses` is the lifetime counter at the newest row; librrd goes on from it. `alone` keeps others from reading while
    the header changes; the places of new rows are no concern of theirs before. Returns when all is on disk. A process
    that is killed meanwhile leaves the file as it shall be, or as it was but for its oldest rows, whose places the new
    ones take. Raises OSError, DamagedError for a file that is not one of ours, ValueError for rows that the file has
    already and for a counter that cannot be.
    """
    header = layout.read(path)
    last_update, lossless = header.last_update, header.archives[0]
    if after < last_update or after % STEP_SECONDS:
        raise ValueError(f"rows after {after} cannot follow {path}, which ends at {last_update}")
    fresh = _fresh(rates)
    skipped = (after - last_update) // STEP_SECONDS
    until = after + STEP_SECONDS * len(fresh)
    with files.opened(path, os.O_RDWR) as descriptor:
        head = bytearray(_pread(descriptor, header.header_bytes, 0))
        _advance(head, header, until, pulses)
        means = _consolidate(head, header, skipped, fresh)
        _write(descriptor, lossless, last_update, after, UNKNOWN * min(skipped, lossless.rows))
        _write(descriptor, lossless, last_update, until, fresh)
        for archive in header.archives[1:]:
            _write(descriptor, archive, last_update, until, means)
        os.fdatasync(descriptor)
        with alone():
            _pwrite(descriptor, head, 0)
        os.fdatasync(descriptor)


def put(
    path: Path, step_seconds: int, after: int, rates: Sequence[float], alone: Alone = contextlib.nullcontext
) -> None:
    """Overwrite the rows after `after`, one for each rate, all of which the archive of this step must hold.

    The means of all quarter hours touched follow, as far as their 90 rows are there. `alone` keeps others from reading
    and writing meanwhile. Returns when all is on disk. After
    an error, or in a process that was killed, the same call can be made again. Raises OSError, DamagedError for a file
    that is not one of ours, ValueError for rows that the file does not hold.
    """
    header = layout.read(path)
    archive = _archive(header, step_seconds)
    until = after + step_seconds * len(rates)
    if archive is None or after % step_seconds or not _holds(_held(archive, header.last_update), after, until):
        raise ValueError(f"{path} holds no rows of {step_seconds} s from {after} to {until}")
    with files.opened(path, os.O_RDWR) as descriptor:
        with alone():
            _write(descriptor, archive, header.last_update, until, _fresh(rates))
            if step_seconds == STEP_SECONDS and len(header.archives) > 1:
                _consolidate_anew(descriptor, header, after, until)
        os.fdatasync(descriptor)


# ---------------------------------------------------------------- means


def _consolidate(head: bytearray, header: Layout, skipped: int, fresh: Sequence[float]) -> array[float]:
    """The means of the quarter hours that so many unknown rows and the fresh ones complete; the last go on in `head`.

    Without an archive for them there are none.
    """
    if len(header.archives) == 1:
        return array("d")
    total, unknown = QUARTER.unpack_from(head, _quarter_place(header))
    quarter = Quarter(0.0 if math.isnan(total) else total, min(unknown, QUARTER_ROWS))  # NaN: no row was ever known
    there = header.last_update % MEAN_SECONDS // STEP_SECONDS
    means, quarter = _fed(quarter, there, UNKNOWN * min(skipped, QUARTER_ROWS - there))
    whole, rest = divmod(max(there + skipped - QUARTER_ROWS, 0), QUARTER_ROWS)
    means.extend(UNKNOWN * min(whole, header.archives[1].rows))
    more, quarter = _fed(quarter.grown(UNKNOWN * rest), (there + skipped) % QUARTER_ROWS, fresh)
    QUARTER.pack_into(head, _quarter_place(header), *quarter)
    return means + more


def _fed(quarter: Quarter, there: int, rates: Sequence[float]) -> tuple[array[float], Quarter]:
    """The means of the quarter hours that these rows complete, and the running one; `there` rows of it went before."""
    means = array("d")
    for begin in range(-there, len(rates), QUARTER_ROWS):
        quarter = quarter.grown(rates[max(begin, 0) : begin + QUARTER_ROWS])
        if begin + QUARTER_ROWS <= len(rates):
            means.append(quarter.mean())
            quarter = Quarter()
    return means, quarter


def _consolidate_anew(descriptor: int, header: Layout, after: int, until: int) -> None:
    """Put the means of all quarter hours that have rows in (after, until], and the state of the running one."""
    lossless, means = header.archives
    held, (oldest, closed) = _held(lossless, header.last_update), _held(means, header.last_update)
    begin = max(after // MEAN_SECONDS * MEAN_SECONDS, quarter_end(held[0]), oldest)
    end = min(quarter_end(until), closed)
    if begin < end:
        rows = _read(descriptor, lossless, header.last_update, begin, end)
        _write(descriptor, means, header.last_update, end, _fed(Quarter(), 0, rows)[0])
    if until > closed >= held[0]:
        running = Quarter().grown(_read(descriptor, lossless, header.last_update, closed, held[1]))
        _pwrite(descriptor, QUARTER.pack(*running), _quarter_place(header))


# ---------------------------------------------------------------- the header


def _quarter_place(header: Layout) -> int:
    """Where the state of the running quarter hour lies, in a file that has means."""
    return header.header_bytes - RRA_PTR.size * len(header.archives) - CDP_PREP_BYTES


def _advance(head: bytearray, header: Layout, until: int, pulses: float) -> None:
    """Let a header say that the newest row is at `until` and the counter stands at `pulses`. Raises ValueError."""
    value = f"{pulses:.6f}".encode()
    if not COUNTER.fullmatch(value):
        raise ValueError(f"no counter stands at {pulses} pulses")
    archives = len(header.archives)
    live = STAT_HEAD.size + DS_DEF.size + RRA_DEF.size * archives
    pointers = header.header_bytes - RRA_PTR.size * archives
    present = pointers - CDP_PREP_BYTES * archives - PDP_PREP.size  # nothing of it is known: it ends on the grid
    live_head = next(each for each in LIVE_HEADS if each.size == present - live)
    live_head.pack_into(head, live, until, 0)
    LAST_VALUE.pack_into(head, present, value)
    for number, archive in enumerate(header.archives):
        newest = (archive.phase(header.last_update) + until // archive.row_seconds) % archive.rows
        RRA_PTR.pack_into(head, pointers + RRA_PTR.size * number, newest)


# ---------------------------------------------------------------- the rows


def _archive(header: Layout, step_seconds: int) -> Archive | None:
    return next((archive for archive in header.archives if archive.row_seconds == step_seconds), None)


def _held(archive: Archive, last_update: int) -> tuple[int, int]:
    """The rows that an archive holds: those with times in (after, until]."""
    until = last_update // archive.row_seconds * archive.row_seconds
    return until - archive.rows * archive.row_seconds, until


def _holds(held: tuple[int, int], after: int, until: int) -> bool:
    return held[0] <= after and until <= held[1]


def _fresh(rates: Sequence[float]) -> array[float]:
    """Rates as they are written: of one pattern all that is unknown, and all that is zero."""
    return _canonical(array("d", map(operator.add, rates, repeat(0.0))))  # -0.0 becomes 0.0, which librrd has


def _canonical(values: array[float]) -> array[float]:
    """The same values, with one bit pattern for all that are NaN."""
    if math.isnan(sum(values)):  # far quicker than to look at each, and mostly all are known
        if all(map(math.isnan, values)):  # or none, in a year that is not over
            return UNKNOWN * len(values)
        for index in compress(count(), map(math.isnan, values)):
            values[index] = NAN
    return values


def _places(archive: Archive, last_update: int, after: int, rows: int) -> list[tuple[int, int]]:
    """Where so many rows after `after` lie: byte and number of rows, once, twice where the ring closes, or never."""
    first = (archive.phase(last_update) + after // archive.row_seconds + 1) % archive.rows
    before_end = min(rows, archive.rows - first)
    places = ((archive.begin + ROW_BYTES * first, before_end), (archive.begin, rows - before_end))
    return [(place, number) for place, number in places if number]


def _read(descriptor: int, archive: Archive, last_update: int, after: int, until: int) -> array[float]:
    """The rows in (after, until]; those that the archive does not hold are NaN. Raises OSError."""
    held_after, held_until = _held(archive, last_update)
    begin = min(max(after, held_after), until)
    end = max(min(until, held_until), begin)
    values = UNKNOWN * ((begin - after) // archive.row_seconds)
    for place, rows in _places(archive, last_update, begin, (end - begin) // archive.row_seconds):
        values.frombytes(_pread(descriptor, ROW_BYTES * rows, place))
    values.extend(UNKNOWN * ((until - end) // archive.row_seconds))
    return _canonical(values)


def _write(descriptor: int, archive: Archive, last_update: int, until: int, values: array[float]) -> None:
    """Write the newest rows up to `until`, or as many of them as the ring has room for. Raises OSError."""
    kept = memoryview(values)[max(len(values) - archive.rows, 0) :]
    for place, rows in _places(archive, last_update, until - archive.row_seconds * len(kept), len(kept)):
        _pwrite(descriptor, kept[:rows], place)
        kept = kept[rows:]


def _pread(descriptor: int, length: int, place: int) -> bytes:
    content = os.pread(descriptor, length, place)
    if len(content) < length:
        raise OSError(errno.EIO, f"only {len(content)} of {length} bytes could be read")
    return content


def _pwrite(descriptor: int, content: bytes | bytearray | memoryview, place: int) -> None:
    """Write all of it; a disk that is nearly full takes a part at first."""
    rest = memoryview(content).cast("B")
    while rest:
        written = os.pwrite(descriptor, rest, place)
        rest, place = rest[written:], place + written
