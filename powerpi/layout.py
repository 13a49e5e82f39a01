"""What an RRD of PowerPi holds, and its bytes: checked and touched the ordinary way before librrd maps them.

librrd 1.7.2 believes what a header says, and some flipped bits end the process (SIGSEGV, SIGFPE). And it reads and
writes mapped pages: one that the disk does not give, or has no room for, ends the process too (SIGBUS), where read and
write merely fail. The layout is that of rrd_format.h, in this machine's own sizes and alignment.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from powerpi.errors import DamagedError
from powerpi.pulses import STEP_SECONDS, Row

STAT_HEAD = Struct("@4s5sd3L0d80s")  # cookie, version, float cookie, sources, archives, step, parameters
DS_DEF = Struct("@20s20s0d80s")  # name, type, parameters: heartbeat, minimum, maximum
RRA_DEF = Struct("@20s2L0d80s")  # function, rows, steps per row, parameters: share that may be unknown
LIVE_HEADS = (Struct("@ll"), Struct("@ql0q"))  # last update in seconds and microseconds; 32-bit systems have either
PDP_PREP = Struct("@30s0d80s")  # last value as text, what is known of the present step
CDP_PREP_BYTES = 80
RRA_PTR = Struct("@L")  # place of the newest row
ROW_BYTES = 8
LIMITS = Struct("@L0d2d")  # of a source: heartbeat, minimum, maximum
SHARE = Struct("@d")
PRESENT = Struct("@L0dd")  # of the present step: unknown seconds, pulses; none of either on the grid

COOKIE = b"RRD\0"
LOSSLESS_DAYS = 366
MEAN_SECONDS = 900  # the utilities' load-profile interval; every time zone's midnight falls on one
FLOAT_COOKIE = 8.642135e130
VERSION = b"0005\0"  # the first that knows DDERIVE
SOURCE = (b"pulses", b"DDERIVE")
KNOWN_SHARE = 0.5  # a quarter hour at least half known counts as known
ARCHIVES_SECONDS = (STEP_SECONDS, MEAN_SECONDS)  # of the rows in each archive; there may be only the first
HEAD_BYTES = 4096  # more than a header
COUNTER = re.compile(rb"U|\d{1,20}(\.\d{1,9})?")
TOUCH_BYTES = 1 << 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def schema(archive_years: int) -> list[str]:
    """The definition of an RRD: every step of 366 days, and 15-minute means for `archive_years` (0: none).

    The heartbeat is one step: any missing row makes the time in between unknown.
    """
    source = f"DS:pulses:DDERIVE:{STEP_SECONDS}:0:U"
    archives = zip(ARCHIVES_SECONDS, archive_rows(archive_years), strict=False)
    return [source, *(f"RRA:AVERAGE:{KNOWN_SHARE}:{seconds // STEP_SECONDS}:{rows}" for seconds, rows in archives)]


def quarter_end(time: int) -> int:
    """The end of the quarter hour that the step before `time` is in, both in Unix seconds."""
    return -(-time // MEAN_SECONDS) * MEAN_SECONDS


def archive_rows(archive_years: int) -> list[int]:
    """How many rows each archive has."""
    lossless, means = LOSSLESS_DAYS * 86400 // STEP_SECONDS, archive_years * 366 * 86400 // MEAN_SECONDS
    return [lossless, means] if means else [lossless]


def check_room(folder: Path, archive_years: int) -> None:
    """Raise OSError where such an RRD has no room: to try it in vain, again and again, wears the card."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < sum(archive_rows(archive_years)) * ROW_BYTES + HEAD_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


class Archive(NamedTuple):
    """One RRA: its rows lie in a ring that begins at byte `begin` of the file; `newest` is the place of the last."""

    rows: int
    row_seconds: int
    newest: int
    begin: int

    def phase(self, last_update: int) -> int:
        """Where the row of the time 0 lies: the same for the whole life of a file."""
        return (self.newest - last_update // self.row_seconds) % self.rows


class Layout(NamedTuple):
    """What the header of an RRD of PowerPi says."""

    last_update: int  # Unix seconds
    last_pulses: float | None  # None: no row was ever written
    archives: tuple[Archive, ...]

    @property
    def last_row(self) -> Row | None:
        """The newest row with its counter; None where none was ever written."""
        return None if self.last_pulses is None else Row(self.last_update, self.last_pulses)

    @property
    def header_bytes(self) -> int:
        """How long the header is."""
        return self.archives[0].begin

    @property
    def phases(self) -> list[int]:
        """The phase of every archive."""
        return [archive.phase(self.last_update) for archive in self.archives]


def read(path: Path) -> Layout:
    """The header of the RRD at `path`, checked. Raises OSError, and DamagedError for a file that is not one of ours."""
    head, size = read_head(path)
    try:
        return parse(head, size)
    except DamagedError as error:
        raise DamagedError(f"{path} {error}") from error


def read_head(path: Path) -> tuple[bytes, int]:
    """The first bytes of a file, and how many it has. Raises OSError."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size


def is_torn(head: bytes, size: int, before: bytes, newest: Row) -> bool:
    """Whether a header that was `before` is neither that any more nor the one that has `newest` as its last row."""
    fixed = STAT_HEAD.size + DS_DEF.size + RRA_DEF.size
    if head[:fixed] != before[:fixed] or head.startswith(before):
        return False  # another file has taken its place, or nothing was written
    try:
        then = parse(before, size)
    except DamagedError:
        return False  # another file, with other archives
    try:
        now = parse(head, size)
    except DamagedError:
        return True
    if not then.last_update <= now.last_update <= newest.time:
        return False  # an older file from a backup, or later rows: what is kept was forgotten, but not on disk
    whole = (newest.time, then.phases, float(f"{newest.pulses:.6f}"))
    return (now.last_update, now.phases, now.last_pulses) != whole


def parse(head: bytes, size: int) -> Layout:
    """The header in the first bytes of a file of `size` bytes. Raises DamagedError; its text lacks the file's name."""
    if not head.startswith(COOKIE):
        raise DamagedError("is not an RRD")
    head = head.ljust(HEAD_BYTES, b"\0")  # what is cut off is found by the file's size
    _, version, float_cookie, sources, archives, step_seconds, _ = STAT_HEAD.unpack_from(head)
    if float_cookie != FLOAT_COOKIE or sources >> 32:
        raise DamagedError("was made on another architecture, or its header is damaged")
    ours = (sources, step_seconds) == (1, STEP_SECONDS) and 1 <= archives <= len(ARCHIVES_SECONDS)
    if not ours or not _is_our_source(head):
        raise DamagedError("is not an RRD of PowerPi, or its header is damaged")
    if version != VERSION:
        raise DamagedError(f"has the format {version[:4].decode('ascii', 'backslashreplace')}, not 0005")
    return _parse_rest(head, size, archives)


def _is_our_source(head: bytes) -> bool:
    name, kind, parameters = DS_DEF.unpack_from(head, STAT_HEAD.size)
    heartbeat, least, most = LIMITS.unpack_from(parameters)
    named = (name.rstrip(b"\0"), kind.rstrip(b"\0")) == SOURCE
    return named and (heartbeat, least) == (STEP_SECONDS, 0.0) and math.isnan(most)


def _parse_rest(head: bytes, size: int, archives: int) -> Layout:
    """What follows the source's definition: the archives, where they stand, and the last value."""
    place = STAT_HEAD.size + DS_DEF.size
    definitions = [RRA_DEF.unpack_from(head, place + RRA_DEF.size * n) for n in range(archives)]
    if not all(map(_is_our_archive, definitions, ARCHIVES_SECONDS)):
        raise DamagedError("has damaged archives")
    place += RRA_DEF.size * archives
    rows = [definition[1] for definition in definitions]
    rest_bytes = PDP_PREP.size + (CDP_PREP_BYTES + RRA_PTR.size) * archives
    live_bytes = size - place - rest_bytes - sum(rows) * ROW_BYTES
    live_head = next((live for live in LIVE_HEADS if live.size == live_bytes), None)
    if live_head is None:
        raise DamagedError(f"has {size} bytes, which is not what its header says")
    last_update = _last_update(*live_head.unpack_from(head, place))
    last_pulses = _last_pulses(*PDP_PREP.unpack_from(head, place + live_bytes))
    pointers = place + live_bytes + rest_bytes - RRA_PTR.size * archives
    newest = [RRA_PTR.unpack_from(head, pointers + RRA_PTR.size * n)[0] for n in range(archives)]
    if any(pointer >= count for pointer, count in zip(newest, rows, strict=True)):
        raise DamagedError("has damaged archives")
    return Layout(last_update, last_pulses, _archives(definitions, newest, place + live_bytes + rest_bytes))


def _is_our_archive(definition: tuple[bytes, int, int, bytes], row_seconds: int) -> bool:
    function, rows, steps_per_row, parameters = definition
    sane = function.rstrip(b"\0") == b"AVERAGE" and rows > 0 and steps_per_row * STEP_SECONDS == row_seconds
    return sane and SHARE.unpack_from(parameters) == (KNOWN_SHARE,)


def _archives(definitions: list[tuple[bytes, int, int, bytes]], newest: list[int], begin: int) -> tuple[Archive, ...]:
    """The archives, whose rows follow each other from byte `begin` on."""
    found = []
    for (_, rows, steps_per_row, _), place in zip(definitions, newest, strict=True):
        found.append(Archive(rows, steps_per_row * STEP_SECONDS, place, begin))
        begin += rows * ROW_BYTES
    return tuple(found)


def _last_update(seconds: int, microseconds: int) -> int:
    if microseconds or seconds <= 0 or seconds % STEP_SECONDS:
        raise DamagedError(f"was last updated at {seconds}.{microseconds:06d} s, which is not on the grid")
    return seconds


def _last_pulses(text: bytes, present: bytes) -> float | None:
    """The last value written; None for none. Raises DamagedError when it is none of PowerPi's."""
    value = text.partition(b"\0")[0]
    if not COUNTER.fullmatch(value):
        raise DamagedError(f"ends with {value.decode('ascii', 'backslashreplace')} pulses")
    unknown_seconds, rate = PRESENT.unpack_from(present)
    if unknown_seconds or not (rate == 0 or math.isnan(rate)):  # NaN until the first update
        raise DamagedError("has a damaged present step")
    return None if value == b"U" else float(value)


def is_empty(path: Path, layout: Layout) -> bool:
    """Whether no row was ever written: neither a last value nor a known one in any archive. Raises OSError."""
    if layout.last_pulses is not None:
        return False
    with path.open("rb") as file:
        file.seek(layout.header_bytes)
        unknown = file.read(ROW_BYTES)
        known = not math.isnan(SHARE.unpack(unknown)[0])
        chunks = iter(lambda: file.read(TOUCH_BYTES), b"")
        return not known and all(chunk == unknown * (len(chunk) // ROW_BYTES) for chunk in chunks)


def touch(path: Path, layout: Layout, since: int, until: int) -> None:
    """Read the pages that hold the rows from `since` to `until` (Unix seconds) and write them back as they are.

    Then they are in memory and have their place on disk, so that an update can map them; and those that an earlier
    sync failed to write are written again by the next one. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for begin, end in _pages(layout, since, until):
            for place in range(begin, end, TOUCH_BYTES):
                os.pwrite(descriptor, os.pread(descriptor, min(TOUCH_BYTES, end - place), place), place)
    finally:
        os.close(descriptor)


def _pages(layout: Layout, since: int, until: int) -> Iterator[tuple[int, int]]:
    """The header and the rows concerned, in whole pages: first byte, and the one after the last."""
    spans = [(0, layout.header_bytes)]
    for archive in layout.archives:
        spans += _spans(archive, layout.last_update, since, until)
    for begin, end in spans:
        yield begin // PAGE_BYTES * PAGE_BYTES, -(-end // PAGE_BYTES) * PAGE_BYTES


def _spans(archive: Archive, last_update: int, since: int, until: int) -> list[tuple[int, int]]:
    """The bytes of an archive's rows from `since` to `until`: one span, two where the ring closes."""
    newest_row = last_update // archive.row_seconds
    first = archive.newest + min(since // archive.row_seconds - newest_row, 0)
    count = archive.newest + until // archive.row_seconds - newest_row - first + 1
    if count >= archive.rows:
        return [(archive.begin, archive.begin + ROW_BYTES * archive.rows)]
    places = [(first % archive.rows, count)]
    if (over := first % archive.rows + count - archive.rows) > 0:
        places = [(first % archive.rows, count - over), (0, over)]
    return [(archive.begin + ROW_BYTES * place, archive.begin + ROW_BYTES * (place + rows)) for place, rows in places]
