"""CSV files as people have them: which columns hold what, and every line to a time and a value.

In: text of any encoding, with commas, semicolons or tabs, headings in English or German, a decimal point or comma.
Out: entries (start, end if there is one, value), and a sentence for each line that says nothing of the kind.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import IO, NamedTuple

from powerpi.errors import DataError, shown
from powerpi.moments import EXAMPLES, Moment, QuickReader
from powerpi.values import THOUSANDS

HEAD_LINES = 200  # are looked at before anything is decided
PREAMBLE_LINES = 20  # may stand above the headings
HEAD_BYTES = 1 << 16
MOST_CHARACTERS = 1 << 16  # of a line: what has none, such as a disk's image, is not to fill the memory
TOLD_FAULTS = 10
MOST = 1e15  # no value is as high
DELIMITERS = ";\t,|"
KWH, WATTS, READING = "kwh", "watts", "reading"
KINDS = (KWH, WATTS, READING)

WORD = re.compile(r"[a-zäöüß]+")
DATE_WORDS = {"date", "datum", "tag", "day"}
CLOCK_WORDS = {"time", "zeit", "uhrzeit"}
STEP_WORDS = {
    "hour": 3600, "stunde": 3600, "minute": 60, "day": 86400, "tag": 86400, "month": 0, "monat": 0, "year": 0, "jahr": 0
}  # fmt: skip
START_WORDS = {"from", "von", "ab", "start", "begin", "beginn"}
END_WORDS = {"to", "bis", "until", "end", "ende"}
TIME_WORDS = (
    DATE_WORDS | CLOCK_WORDS | set(STEP_WORDS)
    | {"datetime", "timestamp", "zeitstempel", "zeitpunkt", "zeitraum", "ablesedatum", "epoch"}
)  # fmt: skip
READING_WORDS = {"reading", "zählerstand", "zaehlerstand", "stand"}
UNITS = {  # of a heading: what the values are, and how many Wh or W one of them is
    "kwh": (KWH, 1000.0), "wh": (KWH, 1.0), "mwh": (KWH, 1e6),
    "watts": (WATTS, 1.0), "watt": (WATTS, 1.0), "w": (WATTS, 1.0), "kw": (WATTS, 1000.0),
}  # fmt: skip
UNKNOWN = {"", "-", "--", "nan", "null", "none", "na", "n/a", "u"}
CLOCK_ALONE = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
POINTS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d*)?", re.ASCII)  # between thousands, with a decimal comma
SPACES = re.compile("[\\s\u00a0\u202f'’]")  # between thousands


class Form(NamedTuple):
    """Where in a line what stands."""

    delimiter: str
    comma: bool  # of decimals
    skipped: int  # lines up to the headings, these included
    starts: tuple[int, ...]  # one column, or a date and a time
    ends: tuple[int, ...]  # none: the values are of the time up to the next, or since the last
    value: int
    kind: str
    scale: float  # Wh, or W, of one
    heading: str  # of the values
    time_heading: str


class Entry(NamedTuple):
    """One line; a value of None is unknown."""

    line: int
    start: Moment
    end: Moment | None
    value: float | None  # Wh, W, or Wh on the meter's display


class Faults:
    """The bad lines of a file: the first of them with a sentence each, the others counted."""

    def __init__(self) -> None:
        self.count = 0
        self.told: list[str] = []

    def add(self, line: int, sentence: str) -> None:
        """A line that cannot be taken."""
        self.count += 1
        if self.count <= TOLD_FAULTS:
            self.told.append(f"line {line}: {sentence}")

    def sentences(self) -> list[str]:
        """What is told of them."""
        more = self.count - len(self.told)
        return [*self.told, *([f"and {more} more lines like these"] if more else [])]


def decoded(file: IO[bytes]) -> io.TextIOWrapper:
    """The text of a file that can be read from its beginning again: UTF-8, UTF-16 with its mark, else Windows-1252."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)  # the last sign may be cut
            encoding = "utf-8-sig"
        except UnicodeDecodeError:
            encoding = "cp1252"
    return io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a text. Raises DataError for one without an end."""
    for line in iter(lambda: text.readline(MOST_CHARACTERS), ""):
        if len(line) == MOST_CHARACTERS:
            raise DataError(f"a line has {MOST_CHARACTERS} characters or more, as no CSV has: {shown(line[:40])}")
        yield line


class Table:
    """A CSV file whose form was recognised."""

    def __init__(self, text: io.TextIOWrapper, kind: str | None) -> None:
        """`kind` is one of KINDS, None: as the headings say. Raises DataError."""
        self._text = text  # which closes the file when nobody holds it any more
        lines = _lines(text)
        head = list(islice(lines, HEAD_LINES))
        if not any(line.strip() for line in head):
            raise DataError("the file is empty")
        self._lines = chain(head, lines)
        self.form = _form(head, kind)
        self._fields = max(*self.form.starts, *self.form.ends, self.form.value) + 1  # are needed
        self._quick = QuickReader()

    def entries(self, faults: Faults) -> Iterator[Entry]:
        """Every line that holds a time, once. Raises DataError for what is no CSV at all."""
        delimiter, skipped = self.form.delimiter, self.form.skipped
        for line, text in enumerate(self._lines, 1):
            if line <= skipped:
                continue
            try:  # each line alone: a quote that is not closed swallows none of the others
                row = next(csv.reader((text,), delimiter=delimiter, strict=True))
                if any(map(str.strip, row)):
                    yield self._entry(line, row)
            except csv.Error:
                faults.add(line, "a field in quotes does not end in it as one does")
            except ValueError as error:
                faults.add(line, str(error))

    def _entry(self, line: int, row: list[str]) -> Entry:
        form = self.form
        if len(row) < self._fields:
            raise ValueError(f"it has {len(row)} fields, wanted {self._fields} or more")
        start = self._moment([row[place] for place in form.starts])
        end = self._end([row[place] for place in form.ends], row[form.starts[0]], start) if form.ends else None
        value = number(row[form.value], form.comma)
        return Entry(line, start, end, None if value is None else value * form.scale)

    def _moment(self, fields: Sequence[str]) -> Moment:
        text = " ".join(map(str.strip, fields)) if len(fields) > 1 else fields[0].strip()
        try:
            return self._quick.read(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is no time; wanted one such as {EXAMPLES}") from None

    def _end(self, fields: Sequence[str], start_field: str, start: Moment) -> Moment:
        """The end of an interval; a time without a date is of the same day, or of the next."""
        if len(fields) > 1 or not CLOCK_ALONE.fullmatch(fields[0].strip()):
            return self._moment(fields)
        end = self._moment([start_field.strip().partition(" ")[0], fields[0]])
        return end if end.seconds > start.seconds else end._replace(seconds=end.seconds + 86400)


def number(text: str, comma: bool) -> float | None:
    """A number of 0 or more, None for what says that it is unknown. Raises ValueError."""
    if not comma and text.isascii() and text[-1:].isdigit() and "_" not in text:  # as most are: the quick way
        with suppress(ValueError):
            value = float(text)
            if 0 <= value < MOST:
                return value
    plain = SPACES.sub("", text)
    if plain.lower() in UNKNOWN:
        return None
    english = plain.replace(".", "").replace(",", ".") if comma else plain
    misplaced = comma and "." in plain and not POINTS.fullmatch(plain)  # 0.5 is not 5
    if misplaced or not NUMBER.fullmatch(english):
        raise ValueError(f"{shown(text)} is no number; wanted one with a decimal {'comma' if comma else 'point'}")
    value = float(english)
    if not 0 <= value < MOST:
        raise ValueError(f"{shown(text)} cannot be: wanted 0 or more")
    return value


# ---------------------------------------------------------------- recognising


def _form(head: Sequence[str], kind: str | None) -> Form:
    """What the first lines say of the others. Raises DataError."""
    delimiter = max(DELIMITERS, key=lambda sign: sum(sign in line for line in head) - DELIMITERS.index(sign) / 10)
    rows = csv.reader(head, delimiter=delimiter)
    table = []
    for row in rows:
        table.append((rows.line_num, [cell.strip() for cell in row]))
    for line, cells in table[:PREAMBLE_LINES]:
        if found := _columns(cells, kind):
            starts, ends, value, what, scale = found
            comma = _has_comma((row[value] for _, row in table if len(row) > value), delimiter, what)
            return Form(delimiter, comma, line, starts, ends, value, what, scale, cells[value], cells[starts[0]])
    return _without_headings(table, delimiter, kind)


def _without_headings(table: Sequence[tuple[int, list[str]]], delimiter: str, kind: str | None) -> Form:
    """A time and a value in every line."""
    cells = next((cells for _, cells in table if any(cells)), [])
    try:
        QuickReader().read(cells[0])
        is_data = len(cells) > 1
    except (ValueError, IndexError):
        is_data = False
    if not is_data:
        raise DataError(
            f"no headings were found such as `time,kwh`; the first line is {shown(delimiter.join(cells))}."
            " Wanted a time and one of kwh, watts, reading among them (or --kind)"
        )
    if kind is None:
        raise DataError("the file has no headings: wanted --kind kwh, --kind watts or --kind reading")
    comma = _has_comma((row[1] for _, row in table if len(row) > 1), delimiter, kind)
    return Form(delimiter, comma, 0, (0,), (), 1, kind, 1.0 if kind == WATTS else 1000.0, "", "")


def _has_comma(values: Iterator[str], delimiter: str, kind: str) -> bool:
    """Whether decimals have a comma; where none shows, watts such as 1.234 with semicolons tell it too."""
    texts = [SPACES.sub("", value) for value in values]
    if any("," in text for text in texts[1:]):
        return True
    points = [text for text in texts if "." in text and any(sign.isdigit() for sign in text)]
    return (delimiter, kind) == (";", WATTS) and bool(points) and all(THOUSANDS.fullmatch(text) for text in points)


def heading_words(cell: str) -> set[str]:
    """The words of a heading, in small letters."""
    return set(WORD.findall(cell.lower().replace("_", " ")))


def _columns(cells: Sequence[str], kind: str | None) -> tuple[tuple[int, ...], tuple[int, ...], int, str, float] | None:
    """Where starts, ends and values stand, what the values are and their scale; None: this is no line of headings."""
    words = [heading_words(cell) for cell in cells]
    values = {place: found for place, said in enumerate(words) if (found := _value(said))}
    ends = [place for place, said in enumerate(words) if said & END_WORDS and place not in values]
    times = TIME_WORDS | START_WORDS
    starts = [place for place, said in enumerate(words) if said & times and place not in (*values, *ends)]
    if not starts:
        starts, ends = ends, []
    if not starts:
        return None
    chosen = _chosen(values, kind)
    if chosen is None and kind is not None:  # its heading says no unit
        others = [place for place in range(len(cells)) if place not in (*starts, *ends, *values)]
        chosen = (others[0], kind, 1.0 if kind == WATTS else 1000.0) if others else None
    if chosen is None:
        return None
    return _joined(starts, words), _joined(ends, words), *chosen


def _value(words: set[str]) -> tuple[str, float] | None:
    """What the values below a heading are, and their scale."""
    unit = next((UNITS[word] for word in sorted(words) if word in UNITS), None)
    if words & READING_WORDS:
        return READING, unit[1] if unit and unit[0] == KWH else 1000.0
    return None if words & {"seconds", "sekunden"} else unit


def _chosen(values: dict[int, tuple[str, float]], kind: str | None) -> tuple[int, str, float] | None:
    """The first column of the kind that is wanted, or of the kind that says most."""
    for wanted in (kind,) if kind else (KWH, WATTS, READING):
        for place, (what, scale) in values.items():
            if what == wanted:
                return place, what, scale
    return None


def _joined(places: Sequence[int], words: Sequence[set[str]]) -> tuple[int, ...]:
    """One column, or that of the date and that of the time."""
    if len(places) > 1 and words[places[0]] & DATE_WORDS:
        second = words[places[1]]
        if second & (CLOCK_WORDS | START_WORDS | END_WORDS) and not second & DATE_WORDS:
            return tuple(places[:2])
    return tuple(places[:1])
