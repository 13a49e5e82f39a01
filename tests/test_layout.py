"""What the header of an RRD says, and which bytes an update touches."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import rrdtool
from conftest import START

from powerpi import layout
from powerpi.errors import DamagedError
from powerpi.layout import Archive, Layout
from powerpi.pulses import Row
from powerpi.store import Store

PAGE = layout.PAGE_BYTES
RING = Archive(rows=6000, row_seconds=10, newest=100, begin=1000)


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    store = make_store(archive_years=1)
    store.open(START)
    store.write([Row(START + 10 * n, 2.5 * n) for n in range(1, 1000)])
    return store


def test_the_header_says_what_rrdtool_says(store: Store) -> None:
    info = rrdtool.info(str(store.rrd))
    found = layout.read(store.rrd)
    assert found.last_update == info["last_update"] == START + 9990
    assert found.last_pulses == float(info["ds[pulses].last_ds"]) == 2497.5
    assert found.header_bytes == info["header_size"]
    for number, (archive, seconds) in enumerate(zip(found.archives, (10, 900), strict=True)):
        assert archive.rows == info[f"rra[{number}].rows"]
        assert archive.newest == info[f"rra[{number}].cur_row"]
        assert archive.row_seconds == seconds
    assert found.archives[1].begin == found.archives[0].begin + 8 * 366 * 8640
    assert store.rrd.stat().st_size == found.archives[1].begin + 8 * 366 * 96


def test_a_new_rrd_has_no_last_value(make_store: Callable[..., Store]) -> None:
    store = make_store(archive_years=0)
    store.open(START)
    found = layout.read(store.rrd)
    assert (found.last_update, found.last_pulses, len(found.archives)) == (START, None, 1)


def test_phases_stay_while_rows_are_written(store: Store) -> None:
    before = layout.read(store.rrd).phases
    store.write([Row(START + 20_000, 3000.0), Row(START + 20_010, 3001.0)])
    assert layout.read(store.rrd).phases == before


def test_a_file_of_another_length_than_its_header_says_is_damaged(store: Store) -> None:
    size = store.rrd.stat().st_size
    for wrong in (size - 1, size + 1, 0):
        with pytest.raises(DamagedError, match=f"has {wrong} bytes"):
            layout.parse(layout.read_head(store.rrd)[0], wrong)


@pytest.mark.parametrize("pointer", [776, 784])
def test_a_newest_row_outside_of_its_ring_is_damage(store: Store, pointer: int) -> None:
    head, size = layout.read_head(store.rrd)
    rows = (366 * 8640, 366 * 96)[pointer == 784]
    layout.parse(head[:pointer] + struct.pack("@L", rows - 1) + head[pointer + 8 :], size)
    with pytest.raises(DamagedError, match="damaged archives"):
        layout.parse(head[:pointer] + struct.pack("@L", rows) + head[pointer + 8 :], size)


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    layout.check_room(tmp_path, 20)
    free = os.statvfs(tmp_path)
    years = free.f_bavail * free.f_frsize // (366 * 96 * 8) + 1
    with pytest.raises(OSError, match="No space left on device"):
        layout.check_room(tmp_path, years)


# ---------------------------------------------------------------- which bytes


def spans(since: int, until: int, ring: Archive = RING) -> list[tuple[int, int]]:
    """Places of rows instead of bytes; the ring's newest row is the one at START."""
    return [
        ((begin - ring.begin) // 8, (end - ring.begin) // 8) for begin, end in layout._spans(ring, START, since, until)
    ]


def test_rows_lie_in_a_ring() -> None:
    assert spans(START, START + 30) == [(100, 104)]  # the newest row itself and three more
    assert spans(START - 20, START + 30) == [(98, 104)]
    assert spans(START - 2000, START) == [(5900, 6000), (0, 101)]
    assert spans(START, START + 10 * 5950) == [(100, 6000), (0, 51)]


def test_more_rows_than_the_ring_has_are_all_of_it() -> None:
    assert spans(START, START + 10 * 6000) == [(0, 6000)]
    assert spans(0, START + 10) == [(0, 6000)]


def test_rows_later_than_what_is_there_begin_with_the_newest() -> None:
    assert spans(START + 1000, START + 2000) == [(100, 301)]


def test_pages_are_whole_and_hold_the_header() -> None:
    found = list(layout._pages(Layout(START, 0.0, (RING,)), START, START + 10))
    # the rows at 1000 + 800 and after it, in the page that the header lies in too
    assert found == [(0, PAGE), (0, PAGE)]


def test_touching_changes_nothing_and_says_what_the_disk_refuses(store: Store) -> None:
    content = store.rrd.read_bytes()
    layout.touch(store.rrd, layout.read(store.rrd), START - 1000, START + 400 * 86400)
    assert store.rrd.read_bytes() == content
    missing = store.rrd.with_name("none")
    with pytest.raises(FileNotFoundError):
        layout.touch(missing, layout.read(store.rrd), START, START + 10)
    assert not missing.exists()


def test_a_file_is_empty_until_a_row_is_known_even_if_that_is_zero(make_store: Callable[..., Store]) -> None:
    store = make_store(archive_years=1)
    store.open(START)
    assert layout.is_empty(store.rrd, layout.read(store.rrd))
    store.write([Row(START + 10, 5.0), Row(START + 20, 5.0), Row(START + 30, 5.0)])
    assert not layout.is_empty(store.rrd, layout.read(store.rrd))
    rrdtool.update(str(store.rrd), f"{START + 40}:U")  # by hand: there is no last value any more
    header = layout.read(store.rrd)
    assert header.last_pulses is None
    assert not layout.is_empty(store.rrd, header)
