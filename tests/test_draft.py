"""The copy of an RRD that an import works on, and how it takes the RRD's place."""

from __future__ import annotations

import errno
import os
import threading
from array import array
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import pytest
from conftest import START
from pytest import approx

from powerpi import draft, layout, ring
from powerpi.digests import Unit
from powerpi.errors import BusyError, StoreError
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store

MakeStore = Callable[..., Store]


def rows(count: int, after: int = START, pulses: float = 100.0) -> list[Row]:
    """Rows at 1/6 pulse a second, 600 W at 1000 imp/kWh."""
    step_pulses = STEP_SECONDS / 6
    return [Row(after + STEP_SECONDS * n, round(pulses + step_pulses * n, 6)) for n in range(1, count + 1)]


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """A store with an hour of rows."""
    made = make_store()
    made.open(START - STEP_SECONDS)
    made.write(rows(360))
    return made


def ledger(path: Path) -> Ledger:
    return Ledger(path, Lock())


def day_before(store: Store) -> Unit:
    """An hour of the day before the first row."""
    return Unit(STEP_SECONDS, START - 86400, START - 86400 + 3600)


def changed_copy(store: Store, path: Path) -> Unit:
    """Make a copy at `path` in which an hour of the day before is known."""
    ledger(store.rrd).copy(path)
    unit = day_before(store)
    ledger(path).put(unit, array("d", [0.25] * 360))
    return unit


def test_a_changed_copy_takes_the_place_of_the_rrd(store: Store) -> None:
    with draft.begun(store.rrd) as copy:
        unit = changed_copy(store, copy)
        store.adopt(copy)
    assert set(ledger(store.rrd).rows(unit)) == {0.25}
    assert store.edition == 1
    assert not draft.path_of(store.rrd).exists()


def test_rows_that_came_meanwhile_are_carried_over_to_the_last_bit(store: Store) -> None:
    with draft.begun(store.rrd) as copy:
        unit = changed_copy(store, copy)
        store.write([Row(START + 3610, 701.1), Row(START + 3620, 702.123456), Row(START + 3650, 702.5)])
        hour = Unit(STEP_SECONDS, START, START + 3650)
        before = ledger(store.rrd).rows(hour).tobytes()
        store.adopt(copy)
    assert ledger(store.rrd).rows(hour).tobytes() == before
    assert set(ledger(store.rrd).rows(unit)) == {0.25}
    assert ledger(store.rrd).newest() == Row(START + 3650, 702.5)


def test_the_store_goes_on_writing_as_if_nothing_had_happened(store: Store) -> None:
    with draft.begun(store.rrd) as copy:
        changed_copy(store, copy)
        store.adopt(copy)
    assert store.write(rows(3, START + 3600, 700.0)) == []
    known = ledger(store.rrd).rows(Unit(STEP_SECONDS, START, START + 3630))
    assert list(known)[1:] == approx([1 / 6] * 362, abs=1e-6)  # only the first has none before it


def test_an_opened_store_finds_the_same_counter(store: Store, make_store: MakeStore) -> None:
    store.save_register(701, START + 3600)
    with draft.begun(store.rrd) as copy:
        changed_copy(store, copy)
        store.adopt(copy)
    assert make_store().open(START) == (701, [])


def test_the_digests_of_the_rows_that_were_are_forgotten(store: Store) -> None:
    digests = store.rrd.with_suffix(".digests")
    digests.write_text("10 1699920000 0123456789abcdef\n")
    with draft.begun(store.rrd) as copy:
        changed_copy(store, copy)
        store.adopt(copy)
    assert not digests.exists()


def test_a_copy_of_another_file_is_refused(store: Store, make_store: MakeStore) -> None:
    other = make_store("other")
    other.open(START + 7 * STEP_SECONDS)
    before = store.rrd.read_bytes()
    with draft.begun(store.rrd) as copy:
        while True:  # where librrd begins is chance
            ledger(other.rrd).copy(copy)
            if layout.read(copy).phases != layout.read(store.rrd).phases:
                break
        with pytest.raises(StoreError, match=r"is no copy of .* as it is now"):
            store.adopt(copy)
    assert store.rrd.read_bytes() == before
    assert store.edition == 0


def test_a_copy_that_is_cut_is_refused(store: Store) -> None:
    before = store.rrd.read_bytes()
    with draft.begun(store.rrd) as copy:
        copy.write_bytes(before[: len(before) // 2])
        with pytest.raises(StoreError):
            store.adopt(copy)
    assert store.rrd.read_bytes() == before


def test_while_it_is_drawn_it_is_not_replaced(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerpi.store.GATE_SECONDS", 0.05)
    gate = Lock()
    store = make_store(gate=gate)
    store.open(START - STEP_SECONDS)
    store.write(rows(10))
    before = store.rrd.read_bytes()
    with draft.begun(store.rrd) as copy:
        unit = changed_copy(store, copy)
        with gate, pytest.raises(BusyError):
            store.adopt(copy)
        assert store.rrd.read_bytes() == before
        store.adopt(copy)  # and once more
    assert set(ledger(store.rrd).rows(unit)) == {0.25}


def test_who_counts_does_not_wait_for_an_import(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("powerpi.store.GATE_SECONDS", 0.05)
    adopting, refused = threading.Event(), threading.Event()
    ready = draft.ready

    def ready_on_a_slow_disk(copy: Path, rrd: Path) -> None:
        adopting.set()
        assert refused.wait(20)
        ready(copy, rrd)

    monkeypatch.setattr(draft, "ready", ready_on_a_slow_disk)
    row = Row(START + 3610, 701.1)
    with draft.begun(store.rrd) as copy:
        unit = changed_copy(store, copy)
        door = threading.Thread(target=store.adopt, args=(copy,))
        door.start()
        try:
            assert adopting.wait(20)
            with pytest.raises(BusyError, match="is being replaced by an import"):
                store.write([row])
        finally:
            refused.set()
            door.join()
    assert store.write([row]) == []
    assert set(ledger(store.rrd).rows(unit)) == {0.25}
    assert ledger(store.rrd).newest() == row


def test_a_disk_that_fails_after_the_copy_took_its_place_is_no_refusal(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder))

    with draft.begun(store.rrd) as copy:
        unit = changed_copy(store, copy)
        monkeypatch.setattr("powerpi.files.sync_folder", broken)
        store.adopt(copy)  # it has: to say that nothing was imported would be untrue
    assert set(ledger(store.rrd).rows(unit)) == {0.25}
    assert store.edition == 1


def test_a_first_rrd_may_come_as_a_copy(tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store()
    with draft.begun(store.rrd) as copy:
        store.make(tmp_path / "fresh", START)
        copy.write_bytes((tmp_path / "fresh").read_bytes())
        store.adopt(copy)
    assert make_store().open(START)[1] == []


# ---------------------------------------------------------------- the file


def test_what_is_not_adopted_is_removed(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), draft.begun(store.rrd) as copy:
        copy.write_bytes(b"half")
        raise ZeroDivisionError
    assert not draft.path_of(store.rrd).exists()


def test_what_a_killed_process_left_is_taken_over(store: Store) -> None:
    draft.path_of(store.rrd).write_bytes(b"left behind")
    with draft.begun(store.rrd) as copy:
        assert copy.read_bytes() == b""


def test_two_at_once_are_one_too_many(store: Store) -> None:
    with (
        draft.begun(store.rrd) as copy,
        pytest.raises(StoreError, match=r"another import into .* is under way"),
        draft.begun(store.rrd),
    ):
        pass
    assert not copy.exists()


def test_the_copy_wants_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    draft.check_room(store.rrd)
    free = os.statvfs(store.rrd.parent)
    monkeypatch.setattr(draft, "SPARE_BYTES", free.f_bavail * free.f_frsize)
    with pytest.raises(OSError, match="No space left"):
        draft.check_room(store.rrd)


def test_following_an_original_that_has_not_moved_changes_nothing(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ledger(store.rrd).copy(copy)
    before = copy.read_bytes()
    draft.follow(copy, store.rrd)
    assert copy.read_bytes() == before == store.rrd.read_bytes()
    assert ring.span(layout.read(copy), STEP_SECONDS)
