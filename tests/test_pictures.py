"""Pictures from real rrdtool, drawn once and kept; what they show worked out by hand."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import START

from powerpi.bars import Bar
from powerpi.digests import Unit
from powerpi.graph import Figures
from powerpi.ledger import Ledger
from powerpi.periods import PERIODS
from powerpi.pictures import BarFigures, Cache, Gallery, PictureRequest, Settled, Subject, bar_figures
from powerpi.pulses import Row
from powerpi.reader import Reader
from powerpi.readings import Energies
from powerpi.store import Store
from powerpi.totals import Span, Total, total_arguments, totals

UTC = ZoneInfo("UTC")
MIDNIGHT = START // 86400 * 86400
HOUR = PictureRequest("hour", "png", None, 600, 300, 1, "en")


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(threading.Lock(), lambda _: {"TZ": "UTC", "LC_ALL": "C.UTF-8"})
    yield reader
    reader.close()


@pytest.fixture
def settled() -> list[int]:
    """Grows by one whenever a picture wants the newest rows on disk."""
    return []


@pytest.fixture
def subject(reader: Reader, make_store: Callable[..., Store], settled: list[int]) -> Subject:
    """Three days: 100 W, 200 W, and 300 W until noon, at 1000 imp/kWh."""
    store = make_store()
    store.open(MIDNIGHT - 10)
    pulses, rows = 0.0, [Row(MIDNIGHT, 0.0)]
    for step in range(5 * 4320):
        pulses += (100 + 100 * (step // 8640)) / 360
        rows.append(Row(MIDNIGHT + 10 * (step + 1), pulses))
    store.write(rows)

    def read(rrd: Path, spans: Sequence[Span], step_seconds: int) -> list[Total]:
        return totals(reader.graph(total_arguments(rrd, spans, step_seconds), "en").prints)

    def settle() -> Settled:
        settled.append(1)
        return Settled(NEWEST, True)

    return Subject("house", store.rrd, 1000, Energies(store.rrd, 1000, read), settle)


NEWEST = MIDNIGHT + 5 * 43200


@pytest.fixture
def gallery(reader: Reader) -> Gallery:
    return Gallery(reader, UTC, lambda _: True)


def test_figures_of_a_curve(gallery: Gallery, subject: Subject) -> None:
    found = gallery.figures(subject, PERIODS["day"], None, NEWEST)
    assert isinstance(found, Figures)
    # the last 24 hours: 12 at 200 W, 12 at 300 W
    assert found.mean_watts == pytest.approx(250, abs=0.1)
    assert found.peak_watts == pytest.approx(300, abs=0.1)


def test_figures_of_bars_are_those_of_whole_days(gallery: Gallery, subject: Subject) -> None:
    # 28 days before the first row are missing; what is left of the third day is still to come
    whole = BarFigures(pytest.approx(3600), pytest.approx(4800), MIDNIGHT + 86400, 28)
    assert gallery.figures(subject, PERIODS["month"], None, NEWEST) == whole
    assert gallery.figures(subject, PERIODS["month"], NEWEST + 43_200, NEWEST) == whole


def test_nothing_is_drawn_twice_for_the_same_rows(gallery: Gallery, subject: Subject, settled: list[int]) -> None:
    first = gallery.picture(subject, HOUR, NEWEST)
    asked = len(settled)
    assert gallery.picture(subject, HOUR, NEWEST) is first
    assert len(settled) == asked


def test_a_new_row_makes_a_new_picture_only_where_it_would_show(gallery: Gallery, subject: Subject) -> None:
    hour = gallery.picture(subject, HOUR, NEWEST - 20)
    assert gallery.picture(subject, HOUR, NEWEST - 10) is not hour
    year = gallery.picture(subject, HOUR._replace(period="year"), NEWEST - 20)
    assert gallery.picture(subject, HOUR._replace(period="year"), NEWEST - 10) is year


def test_size_format_and_language_are_pictures_of_their_own(gallery: Gallery, subject: Subject) -> None:
    changes: list[dict[str, object]] = [{}, {"width": 400}, {"zoom": 2}, {"image_format": "svg"}, {"language": "de"}]
    pictures = [gallery.picture(subject, HOUR._replace(**change), NEWEST) for change in changes]
    assert len({picture.etag for picture in pictures}) == len(changes)


def test_a_picture_may_end_long_ago_or_in_the_future(gallery: Gallery, subject: Subject) -> None:
    for end in (946_684_800, MIDNIGHT + 3, NEWEST + 86400, 4_102_444_800):
        for period in PERIODS:
            request = HOUR._replace(period=period, end=end)
            assert gallery.picture(subject, request, NEWEST).image.startswith(b"\x89PNG")


def test_figures_of_the_past(gallery: Gallery, subject: Subject) -> None:
    found = gallery.figures(subject, PERIODS["day"], MIDNIGHT + 86400, NEWEST)
    assert isinstance(found, Figures)
    assert found.mean_watts == pytest.approx(100, abs=0.1)


def test_an_svg_is_as_large_as_the_png(gallery: Gallery, subject: Subject) -> None:
    head = gallery.picture(subject, HOUR._replace(image_format="svg"), NEWEST).image[:400]
    assert b'width="600" height="300"' in head
    assert b'viewBox="0 0 600 300"' in head


def test_missing_rows_are_due_and_rows_that_wait_are_not(gallery: Gallery, subject: Subject) -> None:
    now = NEWEST + 6 * 3600
    missing = gallery.figures(subject, PERIODS["day"], None, now)
    waiting = gallery.figures(
        subject._replace(meter="other", settle=lambda: Settled(NEWEST, False)), PERIODS["day"], None, now
    )
    assert isinstance(missing, Figures)
    assert isinstance(waiting, Figures)
    assert (missing.unknown_seconds, waiting.unknown_seconds) == (6 * 3600, 0)


def test_pictures_of_a_meter_whose_rows_are_missing_are_kept_too(gallery: Gallery, subject: Subject) -> None:
    first = gallery.picture(subject, HOUR, NEWEST + 86400)
    assert gallery.picture(subject, HOUR, NEWEST + 86400) is first


def test_pictures_without_the_newest_rows_are_not_kept(gallery: Gallery, subject: Subject) -> None:
    late = subject._replace(settle=lambda: Settled(NEWEST - 600, False))
    assert gallery.picture(late, HOUR, NEWEST) is not gallery.picture(late, HOUR, NEWEST)


def test_bars_that_lack_something_do_not_count_in_the_figures() -> None:
    bars = [Bar(0, 86400, 5000.0, 40000), Bar(86400, 172800, 3000.0, 0), Bar(172800, 259200, None, 86400)]
    assert bar_figures(bars, 259200) == BarFigures(3000.0, 3000.0, 86400, 2)
    assert bar_figures(bars[2:], 259200) == BarFigures(None, None, None, 1)
    assert bar_figures(bars, 172800).incomplete == 1  # the third day is still to come


def test_cache_forgets_what_was_asked_for_longest_ago() -> None:
    cache = Cache(100)
    for name in "abc":
        cache.put(name, 40, name.upper())
    assert [cache.get(name) for name in "abc"] == [None, "B", "C"]
    cache.get("b")
    cache.put("d", 40, "D")
    assert [cache.get(name) for name in "bcd"] == ["B", None, "D"]


def test_cache_keeps_one_thing_however_large() -> None:
    cache = Cache(100)
    cache.put("a", 1000, "A")
    assert cache.get("a") == "A"
    cache.put("a", 10, "AA")
    cache.put("b", 90, "B")
    assert (cache.get("a"), cache.get("b")) == ("AA", "B")


@pytest.mark.parametrize("image_format", ["png", "svg"])
@pytest.mark.parametrize("rate", [1e7, 1e14, 1e300, 1.7e308, math.inf])
def test_rows_that_cannot_be_break_no_picture(
    gallery: Gallery, subject: Subject, rate: float, image_format: str
) -> None:
    Ledger(subject.rrd, threading.Lock()).put(Unit(10, NEWEST - 7200, NEWEST - 3600), array("d", [rate] * 360))
    for name in PERIODS:
        request = HOUR._replace(period=name, image_format=image_format)
        assert len(gallery.picture(subject, request, NEWEST).image) > 1000
        gallery.figures(subject, PERIODS[name], None, NEWEST)
