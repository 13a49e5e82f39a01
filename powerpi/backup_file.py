"""A backup to read from: checked as foreign bytes are, and a source that rows come back from."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, TypeVar

from powerpi import saved, sealed
from powerpi.digests import Unit, digest
from powerpi.errors import BackupError, WireError
from powerpi.gaps import LATEST
from powerpi.identity import IDENTITY
from powerpi.layout import ROW_BYTES
from powerpi.messages import MOST_RATE, Rows, Standing
from powerpi.ring import NAN, UNKNOWN
from powerpi.saved import Saved
from powerpi.saving import CONFIGURATION, FORMAT, FORMAT_VERSION, HEAD, MOST_METERS, is_name, part_of
from powerpi.sealed import Part
from powerpi.wire import listing, told, unpack, whole

MOST_BYTES = 1 << 21  # of a part that is no rows
MOST_TOLD_BYTES = 1 << 25  # of what is said of all meters: a full year, 20 years of means and 1000 gaps take 83 kB
PARTS, METER_PARTS = 16, 4  # that there may be, and for each meter
TOLD = "meter.json"
NOTHING = Standing(None, None, 0, 0, {})

Value = TypeVar("Value")


class Head(NamedTuple):
    """What a backup says of itself."""

    time: int  # Unix seconds, when it was made
    version: str  # of PowerPi
    host: str
    identity: str  # of the state folder; "": it had none
    whole: bool  # with the rows of all meters
    meters: tuple[str, ...]


def read_head(file: BinaryIO) -> Head:
    """What the backup in a file says of itself; its seal is not looked at. Raises BackupError, OSError."""
    with sealed.opened(file) as archive:
        return _checked(lambda: _head(sealed.content(archive, HEAD, MOST_BYTES)), HEAD)


def _head(content: bytes) -> Head:
    given = unpack(content, packed=False)
    if given.get("format") != FORMAT:
        raise WireError(f"format is {told(given.get('format'))}: wanted {FORMAT}")
    if given.get("format_version") != FORMAT_VERSION:
        raise WireError(
            f"format_version is {told(given.get('format_version'))}: this PowerPi reads {FORMAT_VERSION}, update it"
        )
    names = listing(given.get("meters"), "meters", MOST_METERS)
    strange = [name for name in names if not (isinstance(name, str) and is_name(name))]
    if strange or len(set(names)) < len(names):
        raise WireError(f"meters has {told(strange[0]) if strange else 'a name twice'}: wanted names of meters")
    version, host = (saved.text(given.get(key), key) for key in ("powerpi_version", "host"))
    own = given.get("identity") or ""
    if not (own == "" or (isinstance(own, str) and IDENTITY.fullmatch(own))):
        raise WireError(f"identity is {told(own)}: wanted hexadecimal digits")
    time = whole(given.get("time"), "time", 0, LATEST)
    return Head(time, version, host, own, given.get("whole", True) is True, tuple(names))


def _checked(read: Callable[[], Value], part: str) -> Value:
    """What `read` makes of a part. Raises BackupError."""
    try:
        return read()
    except WireError as error:
        raise BackupError(f"has a wrong {part}: {error}") from error


class BackupFile:
    """An open backup; satisfies restore.Source. Every method raises BackupError and OSError."""

    name = "the backup"

    def __init__(self, file: BinaryIO, progress: Callable[[int, int], None] = lambda *_: None) -> None:
        """Check the seal, and read all but the rows; `progress` hears of bytes. Raises BackupError, OSError."""
        sealed.opened(file).close()  # another zip is told from a damaged backup
        sealed.check(file, progress)
        self.head = read_head(file)
        self._archive = sealed.opened(file)
        self._check_size()
        self.configuration = self._content(CONFIGURATION).decode("utf-8", "replace")
        self.meters = {name: self._meter(name) for name in self.head.meters}
        self._part: Part | None = None  # of rows, that was read from last

    def _check_size(self) -> None:
        """Before anything of a meter is read. Raises BackupError."""
        parts = self._archive.infolist()
        if len(parts) > PARTS + METER_PARTS * len(self.head.meters):
            raise BackupError(f"has {len(parts)} parts, more than {len(self.head.meters)} meters have")
        size = sum(part.file_size for part in parts if part.filename.endswith(f"/{TOLD}"))
        if size > MOST_TOLD_BYTES:
            raise BackupError(f"says {size} bytes of its meters beside their rows: wanted at most {MOST_TOLD_BYTES}")

    def _content(self, part: str) -> bytes:
        return sealed.content(self._archive, part, MOST_BYTES)

    def _meter(self, name: str) -> Saved:
        part = f"meters/{name}/{TOLD}"
        found = _checked(lambda: saved.read(unpack(self._content(part), packed=False), name), part)
        for step in found.standing.spans:
            rows = sealed.Part(self._archive, part_of(name, step))
            rows.close()
            if rows.size != ROW_BYTES * found.rows(step):
                raise BackupError(f"has {rows.size} bytes of {rows.name}, but {part} tells of {found.rows(step)} rows")
        return found

    def close(self) -> None:
        """Read no more; the file itself is the caller's."""
        if self._part:
            self._part.close()
        self._archive.close()

    def standing(self, meter: str) -> Standing:
        """What was held of a meter."""
        return self.meters[meter].standing if meter in self.meters else NOTHING

    def digests(self, meter: str, unit: Unit, fresh: bool) -> dict[Unit, str]:  # noqa: ARG002 (there is one truth)
        """The digests of the units in a span of time: those that were made when it was saved."""
        kept = self.meters[meter].digests
        meets = (other for other in kept if other.step_seconds == unit.step_seconds)
        return {other: kept[other] for other in meets if unit.after <= other.after and other.until <= unit.until}

    def rows(self, meter: str, unit: Unit) -> Rows:
        """The rows of a unit, unknown where none were saved; one unit after the other is quick."""
        step, (after, until) = unit.step_seconds, self.meters[meter].standing.spans.get(unit.step_seconds, (0, 0))
        begin = min(max(unit.after, after), unit.until)
        end = max(min(unit.until, until), begin)
        rates = UNKNOWN * ((begin - unit.after) // step)
        if begin < end:
            rates += self._read(part_of(meter, step), (begin - after) // step, (end - begin) // step)
        return Rows(step, unit.after, rates + UNKNOWN * ((unit.until - end) // step))

    def whole_unit(self, meter: str, unit: Unit) -> array[float]:
        """The rows of a unit of the saved ones, which must have the digest that was saved."""
        rates = self.rows(meter, unit).rates
        if digest(rates) != self.meters[meter].digests[unit]:
            raise BackupError(f"has other rows of {meter} from {unit.after} to {unit.until} than were saved")
        return rates

    def _read(self, name: str, first: int, count: int) -> array[float]:
        """So many rows of a part. Raises BackupError for one that can be no row."""
        if self._part is None or self._part.name != name:
            if self._part:
                self._part.close()
            self._part = Part(self._archive, name)
        content = self._part.read(ROW_BYTES * first, ROW_BYTES * count)
        if len(content) != ROW_BYTES * count:
            raise BackupError(f"has a part {name} that ends too early")
        return _rates(name, content)


def _rates(part: str, content: bytes) -> array[float]:
    """Bytes of the file as rows. Raises BackupError."""
    rates = array("d", content)
    if sys.byteorder == "big":
        rates.byteswap()
    known = [rate for rate in rates if rate == rate]  # noqa: PLR0124 (NaN: unknown)
    if known and not 0 <= min(known) <= max(known) <= MOST_RATE:
        raise BackupError(f"has a row in {part} that is not between 0 and {MOST_RATE:g} pulses per second")
    if len(known) < len(rates):  # of one pattern all that is unknown, as in the store
        rates = array("d", (NAN if rate != rate else rate for rate in rates))  # noqa: PLR0124
    return rates
