"""An RRD of the system that PowerPi replaces, power in watts, as the XML of `rrdtool dump`: to intervals with energy.

Its archives hold the same time in steps of differing length: the finest that knows anything serves, coarser ones for
the time before it. A row's time is the end of its step.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import IO, NamedTuple
from xml.etree import ElementTree

from powerpi.csv_forms import MOST
from powerpi.errors import DataError, shown
from powerpi.intervals import Intervals

RRD_COOKIE = b"RRD\0"
XML_MARKS = (b"<?xml", b"<!DOCTYPE rrd", b"<rrd")
SOURCE_NAMES = ("power", "watt", "watts", "p")
MOST_DEPTH, MOST_CHILDREN = 20, 1000  # elements in each other (a dump has 5), and in a row
MOST_SECONDS = 1 << 32  # of a step, and of a time since 1970
ROWS_TOLD = 10_000  # between two calls of `progress`


class Archive(NamedTuple):
    """The rows of one archive, oldest first; NaN is unknown."""

    step_seconds: int
    values: array[float]


class Dump:
    """What a dump says of its mean values."""

    def __init__(self) -> None:
        self.source = ""  # the name of the one that holds the power
        self.last_update = 0
        self.archives: list[Archive] = []
        self._step_seconds = 0
        self._sources: list[str] = []
        self._place = 0  # of the power in every row
        self._function, self._steps = "", 0
        self._rows = array("d")

    def take(self, parent: str, element: ElementTree.Element) -> None:
        """One element, when it is over. Raises DataError, ValueError, IndexError for what no dump holds."""
        text = (element.text or "").strip()
        match parent, element.tag:
            case "rrd", "step":
                self._step_seconds = _whole(text)
            case "rrd", "lastupdate":
                self.last_update = _whole(text)
            case "ds", "name":
                self._sources.append(text)
            case "rra", "cf":
                self._function, self._rows = text, array("d")
                self._place = _place(self._sources)
                self.source = self._sources[self._place]
            case "rra", "pdp_per_row":
                self._steps = _whole(text)
            case "database", "row":
                self._rows.append(float(element[self._place].text or ""))
            case "rrd", "rra":
                self._end_archive()

    def _end_archive(self) -> None:
        step_seconds = _whole(str(self._step_seconds)) * self._steps
        if self._function == "AVERAGE" and self.last_update:
            self.archives.append(Archive(step_seconds, self._rows))


def _whole(text: str) -> int:
    """A whole number of seconds or steps. Raises ValueError."""
    value = int(text)
    if not 0 < value < MOST_SECONDS:
        raise ValueError(text)
    return value


def _place(sources: list[str]) -> int:
    """Which of the sources is the power. Raises DataError."""
    if len(sources) == 1:
        return 0
    for place, name in enumerate(sources):
        if name.lower() in SOURCE_NAMES:
            return place
    raise DataError(f"it has {len(sources)} sources, {shown(', '.join(sources))}: wanted one, or one called power")


def is_rrd(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an RRD."""
    return head.startswith(RRD_COOKIE)


def is_dump(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an RRD's dump."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(XML_MARKS)


def read(file: IO[bytes], progress: Callable[[int], None] = lambda _: None) -> Dump:
    """A dump, row by row; `progress` hears how many bytes were read. Raises DataError."""
    dump, inside, count = Dump(), [], 0
    try:
        for event, element in ElementTree.iterparse(file, ("start", "end")):  # noqa: S314 (expat limits its entities)
            if event == "start":
                inside.append(element)
                row = next((each for each in inside[-2:] if each.tag == "row"), ())
                if len(inside) > MOST_DEPTH or len(row) > MOST_CHILDREN:
                    raise DataError(f"it is no dump of an RRD: {shown(element.tag)} has no place there")
                continue
            inside.pop()
            if not inside:
                break
            dump.take(inside[-1].tag, element)
            if inside[-1].tag != "row":  # which is read as a whole; a year of rows would not fit in memory
                inside[-1].remove(element)
            count += 1
            if not count % ROWS_TOLD:
                progress(file.tell())
    except ElementTree.ParseError as error:
        raise DataError(f"it is no dump of an RRD: {error}") from error
    except (ValueError, IndexError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"it is no dump of an RRD: {shown(str(error))} stands where a number should") from error
    except LookupError as error:  # of codecs
        raise DataError(f"it is no dump of an RRD: its encoding is unknown, {shown(str(error))}") from error
    if not dump.archives:
        raise DataError("it is no dump of an RRD that holds mean values")
    return dump


def intervals(dump: Dump, watts_per_value: float = 1.0, most_watts: float = MOST) -> Intervals:
    """The energy of all that is known, oldest first; what is above `most_watts` is left out, and noted."""
    parts: list[Intervals] = []
    impossible = 0
    finer = math.inf  # archives with shorter steps serve from there on
    for archive in sorted(dump.archives, key=lambda archive: archive.step_seconds):
        part, strange = _known(archive, dump.last_update, finer, watts_per_value, most_watts)
        impossible += strange
        if len(part):
            finer = part.starts[0]
            parts.append(part)
    made = Intervals()
    made.step = "row{s}"
    for part in reversed(parts):
        for interval in part:
            made.add(*interval)
    if impossible:
        made.notes.append(f"rows of more than {most_watts:.0f} W, which cannot be, are left out: {impossible}")
    return made


def _known(
    archive: Archive, last_update: int, before: float, watts_per_value: float, most_watts: float
) -> tuple[Intervals, int]:
    """The known rows of an archive that lie before a moment, the last of them perhaps in part; how many cannot be."""
    step = archive.step_seconds
    begin = last_update // step * step - step * len(archive.values)
    part, impossible = Intervals(), 0
    for start, value in zip(range(begin, begin + step * len(archive.values), step), archive.values, strict=True):
        if start >= before:
            break
        mean_watts = value * watts_per_value
        impossible += mean_watts > most_watts
        if 0 <= mean_watts <= most_watts and start >= 0:  # before 1970 there were none
            end = min(start + step, before)
            part.add(start, end, mean_watts * (end - start) / 3600)
    return part, impossible
