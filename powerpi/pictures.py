"""Pictures and their figures: drawn by the reading child once per new row, then served from memory.

In: what a browser asks and how far a meter's rows reach. Out: image bytes with an ETag.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from powerpi import bars, graph
from powerpi.bars import Bar
from powerpi.graph import Figures, Span
from powerpi.periods import PERIODS, Period, midnights
from powerpi.picture import Look, Size
from powerpi.pulses import STEP_SECONDS
from powerpi.reader import Reader
from powerpi.readings import Energies
from powerpi.texts import LANGUAGES, texts

CACHED_BYTES = 2_000_000  # a page's pictures take some 0.5 MB in each language
FIGURES_BYTES = 500  # what the figures of a picture take, about


class PictureRequest(NamedTuple):
    """What a browser asks for, already checked."""

    period: str
    image_format: str  # "png" or "svg"
    end: int | None  # Unix seconds; None: the newest row
    width: int
    height: int
    zoom: int
    language: str


class Picture(NamedTuple):
    """A drawn graph."""

    image: bytes
    etag: str
    stale_time: int  # Unix seconds: asked for again from then on, it may look different


class BarFigures(NamedTuple):
    """The mean and the highest of the whole bars of a picture, None is unknown; and how many bars lack something."""

    mean_watt_hours: float | None
    peak_watt_hours: float | None
    peak_start: int | None  # Unix seconds
    incomplete: int  # time still to come is not lacking


class Settled(NamedTuple):
    """What a meter's file holds after its newest rows were to be written."""

    stored: int  # time of the newest row there, Unix seconds; 0: none
    complete: bool  # whether no row made so far is missing there


class Subject(NamedTuple):
    """The meter to be drawn."""

    meter: str
    rrd: Path
    imp_per_kwh: float
    energies: Energies
    settle: Callable[[], Settled]  # brings rows that are in memory to the file
    edition: int = 0  # another one: rows of the past have changed


class Cache:
    """Things by key, up to a sum of bytes; those asked for longest ago go first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._things: OrderedDict[Any, tuple[int, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Any) -> Any:
        """The thing, or None."""
        with self._lock:
            if key not in self._things:
                return None
            self._things.move_to_end(key)
            return self._things[key][1]

    def put(self, key: Any, size_bytes: int, thing: Any) -> None:
        """Remember a thing of that size."""
        with self._lock:
            self._bytes += size_bytes - self._things.pop(key, (0, None))[0]
            self._things[key] = (size_bytes, thing)
            while self._bytes > self._most_bytes and len(self._things) > 1:
                self._bytes -= self._things.popitem(last=False)[1][0]


class Gallery:
    """Draws for all meters; several threads may ask at once, each picture is drawn once."""

    def __init__(self, reader: Reader, zone: ZoneInfo, names: Callable[[str], bool]) -> None:
        self._reader = reader
        self._zone = zone
        self._names = names
        self._words = {language: texts(language) for language in LANGUAGES}
        self._cache = Cache(CACHED_BYTES)
        self._drawing = Lock()

    def picture(self, subject: Subject, request: PictureRequest, until: int) -> Picture:
        """The picture of a meter whose rows reach to `until`. Raises ReaderError."""
        reach = _reach(PERIODS[request.period], request.end, until)
        key = (subject.meter, subject.edition, request, reach.end, reach.due_rounded)
        found = self._cache.get(key)
        if found is None:
            with self._drawing:
                found = self._cache.get(key) or self._draw_settled(subject, request, reach, key)
        return found  # type: ignore[no-any-return]

    def _draw_settled(self, subject: Subject, request: PictureRequest, reach: Reach, key: Any) -> Picture:
        """Draw what is on disk by now; remember it unless newer rows could not be written."""
        settled = subject.settle()
        drawn = self._draw(subject, request, reach.upon(settled))
        if settled.complete:
            self._cache.put(key, len(drawn.image), drawn)
        return drawn

    def _draw(self, subject: Subject, request: PictureRequest, reach: Reach) -> Picture:
        period = PERIODS[request.period]
        size = Size(request.width, request.height, request.zoom)
        words, names = self._words[request.language], self._names(request.language)
        look = Look(size, request.image_format.upper(), words, names, self._zone)
        if period.bars:
            drawn = self._bars(subject, period, reach)
            arguments = bars.bars_arguments(subject.rrd, drawn, period, reach.due, look)
        else:
            seen = self._curve_figures(subject, period, reach)
            span = _span(period, reach)
            arguments = graph.curve_arguments(subject.rrd, subject.imp_per_kwh, span, seen, look)
        image = self._reader.graph(arguments, request.language).image
        if request.image_format == "svg":
            image = in_pixels(image)
        return Picture(image, hashlib.sha256(image).hexdigest()[:20], reach.due_rounded)

    def figures(self, subject: Subject, period: Period, end: int | None, until: int) -> Figures | BarFigures:
        """The figures of the picture that ends at `end` (None: the newest). Raises ReaderError."""
        reach = _reach(period, end, until)
        key = (subject.meter, subject.edition, period.name, reach.end, reach.due_rounded)
        found = self._cache.get(key)
        if found is None:
            with self._drawing:
                found = self._cache.get(key) or self._settled_figures(subject, period, reach, key)
        return found  # type: ignore[no-any-return]

    def _settled_figures(self, subject: Subject, period: Period, reach: Reach, key: Any) -> Figures | BarFigures:
        """The figures of what is on disk by now, remembered as pictures are."""
        settled = subject.settle()
        found = self._figures(subject, period, reach.upon(settled))
        if settled.complete:
            self._cache.put(key, FIGURES_BYTES, found)
        return found

    def _figures(self, subject: Subject, period: Period, reach: Reach) -> Figures | BarFigures:
        if period.bars:
            return bar_figures(self._bars(subject, period, reach), reach.due)
        return self._curve_figures(subject, period, reach)

    def _curve_figures(self, subject: Subject, period: Period, reach: Reach) -> Figures:
        key = (subject.meter, subject.edition, period.name, reach)
        found = self._cache.get(key)
        if found is None:
            arguments = graph.figures_arguments(subject.rrd, subject.imp_per_kwh, _span(period, reach))
            found = graph.figures(self._reader.graph(arguments).prints)
            self._cache.put(key, FIGURES_BYTES, found)
        return found  # type: ignore[no-any-return]

    def _bars(self, subject: Subject, period: Period, reach: Reach) -> list[Bar]:
        spans = list(pairwise(midnights(period, reach.end, self._zone)))
        energies = subject.energies.of(spans, reach.read)
        return [
            Bar(start, end, energy.watt_hours, end - start - energy.known_seconds)
            for (start, end), energy in zip(spans, energies, strict=True)
        ]


class Reach(NamedTuple):
    """Where a picture ends, and up to where its rows are due; Unix seconds on the grid."""

    end: int
    due: int
    due_rounded: int  # up to `fresh_seconds`: until then a newer picture would look no different
    read: int  # up to where there may be rows on disk: what is summed beyond it could be remembered too early

    def upon(self, settled: Settled) -> Reach:
        """The same for what is on disk: rows that are only in memory are not due, missing ones are."""
        due = self.due if settled.complete else min(self.due, settled.stored)
        return self._replace(due=due, read=min(self.due, settled.stored))


def _reach(period: Period, asked_end: int | None, until: int) -> Reach:
    fresh = period.fresh_seconds
    rounded = -(-until // fresh) * fresh
    end = rounded if asked_end is None else -(-asked_end // STEP_SECONDS) * STEP_SECONDS
    due = min(until, end) // STEP_SECONDS * STEP_SECONDS
    return Reach(end, due, min(rounded, end), due)


def _span(period: Period, reach: Reach) -> Span:
    return Span(reach.end - period.seconds, reach.end, reach.due)


def in_pixels(svg: bytes) -> bytes:
    """An SVG whose size is in pixels, as that of a PNG is: rrdtool says points, which browsers draw a third larger."""
    head, tag, rest = svg.partition(b">\n<g")
    return re.sub(rb'(width|height)="([\d.]+)pt"', rb'\1="\2"', head) + tag + rest


def bar_figures(drawn: Sequence[Bar], due: int) -> BarFigures:
    """The figures of a picture of bars; what lies behind `due` may still come."""
    whole = [bar for bar in drawn if bars.is_whole(bar) and bar.watt_hours is not None]
    energies = [bar.watt_hours or 0.0 for bar in whole]
    incomplete = sum(bars.missing_seconds(bar, due) > 0 for bar in drawn)
    if not whole:
        return BarFigures(None, None, None, incomplete)
    peak = max(energies)
    return BarFigures(sum(energies) / len(energies), peak, whole[energies.index(peak)].start, incomplete)
