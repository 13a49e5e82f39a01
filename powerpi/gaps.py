"""Why there is no data: the gaps of a meter, kept beside its RRD, and how the last run ended.

A gap is noted when the first row after it is made, because only then is its end known. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from powerpi import files

STOPPED = "stopped"  # asked to stop
ENDED = "ended"  # the process was killed or crashed
POWER_CUT = "power_cut"  # the machine went down without a word
CLOCK_UNSET = "clock_unset"  # stopped before the clock was ever set: nobody knows when it was
CLOCK_STEPPED = "clock_stepped"
DISK = "disk"  # what was counted could not be stored, or its file was damaged
UNKNOWN = "unknown"
REASONS = (STOPPED, ENDED, POWER_CUT, CLOCK_UNSET, CLOCK_STEPPED, DISK, UNKNOWN)

KEPT = 1000  # gaps a meter: a restart a day for the time the lossless archive spans, twice over
LATEST = 1 << 32  # Unix seconds: the year 2106; whatever is later is damage
RUNNING = "running"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4): another one after each boot


class Gap(NamedTuple):
    """A stretch without rows: from the last row before it to the first one after it."""

    start: int
    end: int | None  # None: it lasts
    reason: str  # one of REASONS


def merged(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """The newest KEPT gaps, oldest first. Of two that begin together the later one is right: it is the longer one."""
    return tuple(sorted({gap.start: gap for gap in gaps}.values())[-KEPT:])


def encode(gap: Gap) -> str:
    """The line of a gap that is over."""
    return f"{gap.start} {gap.end} {gap.reason}\n"


def decode(line: str) -> Gap | None:
    """The gap in a line; None where it is torn or foreign."""
    match line.split():
        case [start, end, reason] if reason in REASONS and line.endswith("\n"):
            return _checked(start, end, reason)
    return None


def _checked(start: str, end: str, reason: str) -> Gap | None:
    try:
        gap = Gap(int(start), int(end), reason)
    except ValueError:
        return None
    return gap if 0 < gap.start < int(end) < LATEST else None


class Gaps:
    """The gaps of one meter: those in its text file (a line each: `START END REASON`), new ones, and one still open."""

    def __init__(self, path: Path, start: int, reason: str) -> None:
        """A gap is open since `start` (0: there was nothing before) because of `reason`."""
        self.path = path
        self.fresh: list[Gap] = []  # not on disk yet
        self._stored, self._damaged = read(path)
        self._open: Gap | None = None
        self.open(start, reason)

    def open(self, start: int, reason: str) -> None:
        """Rows end at `start`; 0: there was none before."""
        self._open = Gap(start, None, reason) if start else None
        self._all: tuple[Gap, ...] | None = None

    def close(self, end: int) -> None:
        """The first row after a gap, if one is open, is the one at `end`."""
        if self._open and self._open.start < end:
            self.add(self._open._replace(end=end))
        self._open = self._all = None

    def add(self, gap: Gap) -> None:
        """A gap that is over."""
        self.fresh.append(gap)
        self._all = None

    def save(self) -> None:
        """Put new gaps on disk; a damaged file is set aside. Raises OSError; then they stay new."""
        self._stored = write(self.path, [*self._stored, *self.fresh], self._damaged)
        self._damaged = False
        self.fresh.clear()

    def all(self) -> tuple[Gap, ...]:
        """All gaps, oldest first; the last one may be open."""
        if self._all is None:
            self._all = merged([*self._stored, *self.fresh, *([self._open] if self._open else [])])
        return self._all


def read(path: Path) -> tuple[tuple[Gap, ...], bool]:
    """The gaps in a file, oldest first, and whether anything in it is damaged: what cannot be read is passed over."""
    gaps, damaged = files.decoded(path, decode)
    return merged(gaps), damaged


def write(path: Path, gaps: Iterable[Gap], damaged: bool) -> tuple[Gap, ...]:
    """Put gaps that are over on disk, in the place of those there; returns what was kept. Raises OSError.

    `damaged`, as `read` says: the file there is set aside.
    """
    kept = merged(gaps)
    files.rewrite(path, "".join(map(encode, kept)), damaged)
    return kept


class Session:
    """The file that says whether PowerPi runs, since which boot, or how it ended: `BOOT_ID running|REASON`."""

    def __init__(self, folder: Path, boot_id: Path = BOOT_ID) -> None:
        self._path = folder / "session"
        self._boot_id = boot_id

    def last_end(self) -> str:
        """How the last run ended, one of REASONS. Raises OSError."""
        try:
            return reason_of(self._path.read_text(encoding="utf-8", errors="replace").split(), self._boot())
        except FileNotFoundError:
            return UNKNOWN

    def begin(self) -> None:
        """Note that PowerPi runs from now on. Raises OSError."""
        files.replace(self._path, f"{self._boot()} {RUNNING}\n")

    def end(self, reason: str) -> None:
        """Note how this run ends. Raises OSError."""
        files.replace(self._path, f"{self._boot()} {reason}\n")

    def _boot(self) -> str:
        return self._boot_id.read_text(encoding="ascii").strip()


def reason_of(session: list[str], boot: str) -> str:
    """How a run ended, from the words it left behind and the boot that runs now."""
    match session:
        case [_, reason] if reason in REASONS:
            return reason
        case [began, word] if word == RUNNING:
            return ENDED if began == boot else POWER_CUT
    return UNKNOWN
