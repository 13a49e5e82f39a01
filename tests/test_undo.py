"""A header that was left half changed is put back, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import START
from test_store import rates

from powerpi import layout, undo
from powerpi.errors import BusyError
from powerpi.pulses import Row
from powerpi.store import Store
from powerpi.undo import Undo

Make = Callable[..., Store]
KEPT = Undo(b"header" * 100, Row(START + 60, 12.345678))
LAST_UPDATE = slice(488, 496)  # bytes in the header of an RRD with two archives on a 64-bit system
FIRST_POINTER = slice(776, 784)  # where the newest row lies
BEFORE = [Row(START + 10 * n, 2.0 * n) for n in range(1, 40)]
AFTER = [Row(START + 10 * n, 3.0 * n) for n in range(40, 50)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "house.undo"


def test_what_is_kept_is_read_back_until_it_is_forgotten(path: Path) -> None:
    assert undo.read(path) is None
    undo.keep(path, KEPT)
    assert undo.read(path) == KEPT
    undo.forget(path)
    assert undo.read(path) is None
    assert path.stat().st_size == undo.FILE_BYTES


def test_a_later_and_shorter_one_takes_the_place(path: Path) -> None:
    undo.keep(path, KEPT)
    undo.keep(path, Undo(b"short", Row(START, 1.0)))
    assert undo.read(path) == Undo(b"short", Row(START, 1.0))


def test_any_damaged_byte_or_cut_makes_it_none(path: Path) -> None:
    undo.keep(path, KEPT)
    content = path.read_bytes()
    used = undo.FIXED.size + len(KEPT.header)
    for place in range(used):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert undo.read(path) is None
    for length in range(0, used, 7):
        path.write_bytes(content[:length])
        assert undo.read(path) is None


# ---------------------------------------------------------------- through the store


class Torn:
    """A store that was killed while it wrote AFTER: the header before and after it, and what is on disk now."""

    def __init__(self, make: Make) -> None:
        self.make = make
        store = make(archive_years=1)
        store.open(START)
        store.write(BEFORE)
        self.rrd = store.rrd
        self.size = layout.read(store.rrd).header_bytes
        self.before = self.header
        store.write(AFTER)
        self.after = self.header
        undo.keep(store.rrd.with_suffix(".undo"), Undo(self.before, AFTER[-1]))

    @property
    def header(self) -> bytes:
        return self.rrd.read_bytes()[: self.size]

    def put(self, header: bytes) -> None:
        with self.rrd.open("r+b") as file:
            file.write(header)

    def reopened(self) -> Store:
        store = self.make(archive_years=1)
        store.open(START)
        return store


@pytest.fixture
def torn(make_store: Make) -> Torn:
    return Torn(make_store)


@pytest.mark.parametrize("field", [LAST_UPDATE, FIRST_POINTER])
def test_a_half_changed_header_is_put_back(torn: Torn, field: slice) -> None:
    """Time and place disagree: without the undo, every row would stand 100 s off."""
    mixed = bytearray(torn.after)
    mixed[field] = torn.before[field]
    torn.put(bytes(mixed))
    store = torn.reopened()
    assert torn.header == torn.before
    assert store.last_row == BEFORE[-1]
    assert rates(torn.rrd, START + 10, START + 390) == pytest.approx([0.2] * 38)
    assert undo.read(torn.rrd.with_suffix(".undo")) is None  # it is on disk as it was, and nothing is being written
    store.write([Row(START + 600, 200.0), Row(START + 610, 201.0)])
    assert undo.read(torn.rrd.with_suffix(".undo")) is None
    assert rates(torn.rrd, START + 390, START + 610) == [*[None] * 21, pytest.approx(0.1)]


@pytest.mark.parametrize("value", [b"U", b"9"])
def test_a_half_written_last_value_is_put_back(torn: Torn, value: bytes) -> None:
    torn.put(torn.after.replace(b"147.000000\0", value.ljust(11, b"\0")))
    assert torn.reopened().last_row == BEFORE[-1]


def test_it_is_kept_before_the_first_row_is_written(make_store: Make) -> None:
    store = make_store(archive_years=1)
    store.open(START)
    store.write(BEFORE)
    header = layout.read_head(store.rrd)[0][: layout.read(store.rrd).header_bytes]
    with store._gate, pytest.raises(BusyError):
        store.write(AFTER)
    assert undo.read(store.rrd.with_suffix(".undo")) == Undo(header, AFTER[-1])


def test_a_finished_header_stays(torn: Torn) -> None:
    assert torn.reopened().last_row == AFTER[-1]
    assert torn.header == torn.after


def test_a_header_that_was_not_touched_yet_stays(torn: Torn) -> None:
    torn.put(torn.before)
    assert torn.reopened().last_row == BEFORE[-1]


def test_rows_that_were_written_later_stay(torn: Torn) -> None:
    """What is kept was forgotten, but a power cut took the forgetting."""
    kept = torn.rrd.with_suffix(".undo").read_bytes()
    later = [Row(START + 10 * n, 3.0 * n) for n in range(50, 60)]
    torn.reopened().write(later)
    torn.rrd.with_suffix(".undo").write_bytes(kept)
    assert torn.reopened().last_row == later[-1]


def test_an_older_file_from_a_backup_stays(torn: Torn, make_store: Make) -> None:
    older = make_store(meter="older", archive_years=1)
    older.open(START)
    older.write(BEFORE[:5])
    torn.rrd.write_bytes(older.rrd.read_bytes())
    assert torn.reopened().last_row == BEFORE[4]


def test_another_file_in_its_place_is_left_alone(torn: Torn, make_store: Make) -> None:
    """Restored from a backup with other archives while nothing ran."""
    other = make_store(meter="other", archive_years=2)
    other.open(START)
    other.write([Row(START + 10, 5.0), Row(START + 20, 6.0)])
    content = other.rrd.read_bytes()
    other.rrd.rename(torn.rrd)
    assert torn.reopened().last_row == Row(START + 20, 6.0)
    assert torn.rrd.read_bytes() == content


def test_a_new_file_begins_with_nothing_to_undo(torn: Torn) -> None:
    torn.rrd.unlink()
    assert torn.reopened().last_row is None
    assert undo.read(torn.rrd.with_suffix(".undo")) is None
    assert torn.reopened().last_row is None
