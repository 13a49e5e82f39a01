"""The ledger: what is read while others write is true, what is kept of it finds out what the disk has changed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

import pytest
from conftest import START
from pair import flip_bit

from powerpi import digests, ledger, ring, undo
from powerpi.digests import UNIT_ROWS, Unit
from powerpi.errors import BusyError, DamagedError, StoreError
from powerpi.folder import locked_folder
from powerpi.ledger import Ledger, merged
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store
from powerpi.undo import Undo

HERE = Path(__file__).parent
DAY = UNIT_ROWS * STEP_SECONDS
MIDNIGHT = START // DAY * DAY + DAY  # 2023-11-15 00:00 UTC: a unit begins
TENTHS = (3, 0, 7, 12, 1)  # pulses in steps that follow each other


def pulses(steps: int) -> int:
    """The counter after so many steps."""
    return sum(TENTHS) * (steps // 5) + sum(TENTHS[: steps % 5])


def rate(end: int) -> float:
    """The true rate of the step that ends then."""
    return TENTHS[((end - MIDNIGHT) // STEP_SECONDS - 1) % 5] / 10


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    """An empty one; its first row is unknown as there is none before it."""
    store = make_store(archive_years=1)
    store.open(MIDNIGHT - STEP_SECONDS)
    return store


@pytest.fixture
def book(store: Store) -> Ledger:
    return Ledger(store.rrd, Lock())


def write(store: Store, steps: int) -> None:
    """Write rows from midnight on so that there are so many steps between them."""
    begun = (store.last_row.time - MIDNIGHT) // STEP_SECONDS if store.last_row else -1
    store.write([Row(MIDNIGHT + STEP_SECONDS * n, pulses(n)) for n in range(begun + 1, steps + 1)])


# ---------------------------------------------------------------- while others write


def assert_true(found: array[float], after: int, true: Callable[[int], float]) -> None:
    ends = range(after + STEP_SECONDS, after + STEP_SECONDS * (len(found) + 1), STEP_SECONDS)
    assert {end: value for end, value in zip(ends, found, strict=True) if value != true(end)} == {}


def test_all_that_is_read_while_another_thread_writes_is_true(store: Store, book: Ledger) -> None:
    write(store, 1)
    over = threading.Event()

    def writing() -> None:
        for steps in range(2, 2000, 7):
            write(store, steps)
        over.set()

    thread = threading.Thread(target=writing)
    thread.start()
    seen = set()
    while not over.is_set():
        newest = book.newest()
        assert newest
        assert newest.pulses == pulses((newest.time - MIDNIGHT) // STEP_SECONDS)
        unit = Unit(STEP_SECONDS, MIDNIGHT, newest.time)
        rates = book.rows(unit)
        assert_true(rates, MIDNIGHT, rate)
        assert book.digests(*unit).digests == {unit: digests.digest(rates)}
        seen.add(newest.time)
    thread.join()
    assert len(seen) > 1, "nothing was read in between"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which writes 1.5 pulses a step for ever, as fast as it goes."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "killed.py")],
        env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        life = {"folder": str(tmp_path), "seed": None, "wall": START}
        process.stdin.write(json.dumps(life).encode() + b"\n")
        process.stdin.flush()
        child = int(process.stdout.readline().split()[1])
        while not process.stdout.readline().startswith(b"row"):
            pass
        threading.Thread(target=process.stdout.read, daemon=True).start()  # it would wait for a reader
        yield process
        os.kill(child, 9)
        process.stdin.close()
        process.wait(10)


@pytest.mark.usefixtures("writer")
def test_all_that_is_read_while_another_process_writes_is_true(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "house.rrd", Lock())
    seen: set[int] = set()
    deadline = time.monotonic() + 20
    while len(seen) < 15:
        newest = book.newest()
        assert newest
        assert newest.pulses == pytest.approx(0.15 * (newest.time - START))
        begin = max(START + STEP_SECONDS, newest.time - DAY)  # the step before the first row is unknown
        assert {round(value, 9) for value in book.rows(Unit(STEP_SECONDS, begin, newest.time))} == {0.15}
        seen.add(newest.time)
        assert time.monotonic() < deadline


def test_rows_that_are_not_known_to_be_on_disk_are_not_told(
    store: Store, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the header of before is kept, somebody writes, or was killed in the middle of it."""
    monkeypatch.setattr(ledger, "READ_TRIES", 3)
    write(store, 5)
    undo.keep(store.rrd.with_suffix(".undo"), Undo(store.rrd.read_bytes()[:100], Row(MIDNIGHT + 60, 99.0)))
    for ask in (book.newest, book.spans, lambda: book.rows(Unit(STEP_SECONDS, MIDNIGHT, MIDNIGHT + 10))):
        with pytest.raises(BusyError, match=r"is being written for longer than 0\.06 s"):
            ask()
    undo.forget(store.rrd.with_suffix(".undo"))
    assert book.newest() == Row(MIDNIGHT + 50, pulses(5))


# ---------------------------------------------------------------- what is there


def test_an_empty_file_has_spans_and_no_newest_row(store: Store, book: Ledger) -> None:
    assert book.newest() is None
    assert set(book.spans()) == {10, 900}
    # 366 days of 8640 rows end where the file begins
    assert book.spans()[10] == (MIDNIGHT - 10 - 366 * DAY, MIDNIGHT - 10)


def test_a_file_without_means_has_none(make_store: Callable[..., Store]) -> None:
    store = make_store(archive_years=0)
    store.open(MIDNIGHT)
    book = Ledger(store.rrd, Lock())
    assert set(book.spans()) == {10}
    assert all(map(math.isnan, book.rows(Unit(900, MIDNIGHT - 1800, MIDNIGHT))))


def test_rows_that_are_not_held_are_unknown(store: Store, book: Ledger) -> None:
    write(store, 3)
    rates = book.rows(Unit(STEP_SECONDS, MIDNIGHT - 20, MIDNIGHT + 50))
    assert list(map(math.isnan, rates)) == [True, True, False, False, False, True, True]
    assert list(rates[2:5]) == [0.3, 0.0, 0.7]


def test_files_that_are_missing_or_foreign_are_said(store: Store, book: Ledger) -> None:
    store.rrd.write_bytes(b"something else")
    with pytest.raises(DamagedError, match=r"house\.rrd is not an RRD"):
        book.newest()
    store.rrd.unlink()
    with pytest.raises(StoreError, match=r"house\.rrd: No such file"):
        book.newest()


# ---------------------------------------------------------------- digests that are kept


def kept(book: Ledger) -> list[str]:
    return book.rrd.with_suffix(".digests").read_text().splitlines()


def test_digests_of_units_that_are_over_are_kept_and_no_others(store: Store, book: Ledger) -> None:
    write(store, 2 * UNIT_ROWS + 100)
    until = MIDNIGHT + 2 * DAY + 1000
    found = book.digests(10, MIDNIGHT - 5000, until).digests
    units = [
        Unit(10, MIDNIGHT - 5000, MIDNIGHT),
        *(Unit(10, MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in (0, 1)),
    ]
    assert list(found) == [*units, Unit(10, MIDNIGHT + 2 * DAY, until)]
    assert kept(book) == [f"10 {unit.after} {found[unit]}" for unit in units[1:]]
    assert book.digests(10, MIDNIGHT - 5000, until).changed == {}


def test_a_kept_digest_stands_until_it_is_compared_with_the_disk(store: Store, book: Ledger) -> None:
    write(store, UNIT_ROWS)
    unit = Unit(10, MIDNIGHT, MIDNIGHT + DAY)
    before = book.digests(*unit).digests[unit]
    flip_bit(store.rrd, MIDNIGHT + 5000)
    assert book.digests(*unit) == ({unit: before}, {})
    for _ in range(2):  # it is found again and again: the digest of the true rows stays
        found, changed = book.digests(*unit, fresh=True)
        assert changed == {unit: before}
        assert found[unit] == digests.digest(book.rows(unit)) != before
    flip_bit(store.rrd, MIDNIGHT + 5000)
    assert book.digests(*unit, fresh=True) == ({unit: before}, {})


def test_rows_put_right_have_new_digests_and_so_have_their_means(store: Store, book: Ledger) -> None:
    write(store, 2 * UNIT_ROWS)
    book.digests(10, MIDNIGHT, MIDNIGHT + 2 * DAY)
    quarters = 90 * DAY
    means = Unit(900, MIDNIGHT // quarters * quarters, MIDNIGHT // quarters * quarters + quarters)
    book.rrd.with_suffix(".digests").open("a").write(f"900 {means.after} {'0' * 16}\n")
    book.put(Unit(10, MIDNIGHT + 5000, MIDNIGHT + 5020), [0.5, math.nan])
    assert [line.split()[:2] for line in kept(book)] == [["10", str(MIDNIGHT + DAY)]]
    assert book.digests(10, MIDNIGHT, MIDNIGHT + 2 * DAY, fresh=True).changed == {}


def test_means_put_right_leave_the_digests_of_rows(store: Store, book: Ledger) -> None:
    write(store, UNIT_ROWS)
    book.digests(10, MIDNIGHT, MIDNIGHT + DAY)
    book.put(Unit(900, MIDNIGHT - 900, MIDNIGHT), [0.25])
    assert len(kept(book)) == 1


def test_digests_of_rows_that_have_left_the_archive_are_forgotten(store: Store, book: Ledger) -> None:
    write(store, UNIT_ROWS)
    book.digests(10, MIDNIGHT, MIDNIGHT + DAY)
    later = MIDNIGHT + 400 * DAY
    store.write([Row(later, 70000.0), Row(later + DAY, 70001.0)])
    book.digests(10, later, later + DAY)
    assert [line.split()[1] for line in kept(book)] == [str(later)]


def test_torn_and_foreign_lines_are_passed_over(store: Store, book: Ledger) -> None:
    write(store, UNIT_ROWS)
    unit = Unit(10, MIDNIGHT, MIDNIGHT + DAY)
    true = book.digests(*unit)
    book.rrd.with_suffix(".digests").write_bytes(b"10 17000\xff\n\n10 " + str(MIDNIGHT).encode() + b" 0123456789abcde")
    assert book.digests(*unit) == true


def test_a_new_file_has_no_digests_of_the_old_one(store: Store, book: Ledger) -> None:
    write(store, UNIT_ROWS)
    book.digests(10, MIDNIGHT, MIDNIGHT + DAY)
    store.start_anew(MIDNIGHT, "future")
    assert not book.rrd.with_suffix(".digests").exists()


# ---------------------------------------------------------------- writing


def test_appended_rows_follow_with_the_counter_and_librrd_goes_on(store: Store, book: Ledger) -> None:
    book.append(MIDNIGHT, [0.3, 0.0], 3.0)
    assert book.newest() == Row(MIDNIGHT + 20, 3.0)
    store.open(MIDNIGHT)
    store.write([Row(MIDNIGHT + 30, 10.0)])
    assert list(book.rows(Unit(10, MIDNIGHT, MIDNIGHT + 30))) == [0.3, 0.0, 0.7]


def test_nothing_is_written_while_somebody_draws_for_long(
    store: Store, book: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "GATE_SECONDS", 0.01)
    book._gate.acquire()
    with pytest.raises(BusyError, match=r"is being drawn for longer than 0\.01 s"):
        book.append(MIDNIGHT, [0.3], 3.0)
    book._gate.release()
    assert book.newest() is None
    book.append(MIDNIGHT, [0.3], 3.0)


def test_nothing_is_written_into_a_folder_that_another_process_took(store: Store, tmp_path: Path) -> None:
    with locked_folder(tmp_path) as lock:
        book = Ledger(store.rrd, Lock(), lock.hold)
        book.append(MIDNIGHT, [0.3], 3.0)
        (tmp_path / "lock").unlink()
        with locked_folder(tmp_path), pytest.raises(StoreError, match="in use by another powerpi"):
            book.append(MIDNIGHT + 10, [0.3], 6.0)
        assert book.newest() == Row(MIDNIGHT + 10, 3.0)


def test_own_rows_go_before_those_of_another() -> None:
    nan = math.nan
    found = merged([1.0, nan, 3.0, nan], [9.0, 8.0, nan, nan])
    assert list(found[:3]) == [1.0, 8.0, 3.0]
    assert math.isnan(found[3])


def test_digests_that_cannot_be_kept_or_read_are_made_each_time(
    store: Store, book: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, UNIT_ROWS + 5)
    store.rrd.with_suffix(".digests").mkdir()
    span = (STEP_SECONDS, MIDNIGHT, MIDNIGHT + UNIT_ROWS * STEP_SECONDS)
    assert book.digests(*span).digests == book.digests(*span, fresh=True).digests != {}
    assert len(caplog.records) <= 4  # as often as it changes, not as often as it is asked


def test_newest_row_and_spans_are_of_one_moment(store: Store, book: Ledger) -> None:
    assert book.held() == (None, book.spans())
    write(store, 7)
    row, spans = book.held()
    assert row == book.newest() == Row(MIDNIGHT + 7 * STEP_SECONDS, pulses(7) + 0.0)
    assert spans == book.spans()
    assert spans[STEP_SECONDS].until == row.time


# ---------------------------------------------------------------- copies


def test_a_copy_is_the_file_between_two_writes(store: Store, book: Ledger, tmp_path: Path) -> None:
    write(store, 1)
    over = threading.Event()

    def writing() -> None:
        for steps in range(2, 400, 3):
            write(store, steps)
        over.set()

    thread = threading.Thread(target=writing)
    thread.start()
    copy, copies = tmp_path / "copy", 0
    while not over.is_set():
        book.copy(copy)
        found = Ledger(copy, Lock())
        newest = found.newest()
        assert newest
        assert newest.pulses == pulses((newest.time - MIDNIGHT) // STEP_SECONDS)
        assert_true(found.rows(Unit(STEP_SECONDS, MIDNIGHT, newest.time)), MIDNIGHT, rate)
        copies += 1
    thread.join()
    assert copies
    book.copy(copy)
    assert copy.read_bytes() == store.rrd.read_bytes()


def test_digests_of_a_file_that_was_replaced_meanwhile_are_not_kept(
    store: Store, book: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, UNIT_ROWS + 10)
    book.copy(tmp_path / "copy")
    digest, replaced = digests.digest, []

    def digest_and_replace(rates: array[float]) -> str:
        if not replaced:
            replaced.append(store.adopt(tmp_path / "copy"))  # type: ignore[func-returns-value]
        return digest(rates)

    monkeypatch.setattr(digests, "digest", digest_and_replace)
    with pytest.raises(BusyError, match="has just been replaced by an import"):
        book.digests(STEP_SECONDS, MIDNIGHT, MIDNIGHT + DAY)
    assert replaced
    assert not store.rrd.with_suffix(".digests").exists()
    book.digests(STEP_SECONDS, MIDNIGHT, MIDNIGHT + DAY)
    assert store.rrd.with_suffix(".digests").exists()


def test_imported_rows_are_never_taken_for_harm_to_those_that_were(
    store: Store, book: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, UNIT_ROWS + 10)
    span = Unit(STEP_SECONDS, MIDNIGHT, MIDNIGHT + DAY)
    book.digests(*span)  # are kept
    book.copy(tmp_path / "copy")
    ring.put(tmp_path / "copy", STEP_SECONDS, MIDNIGHT, array("d", [0.25] * 360))
    kept_of = book._kept

    def kept_and_replace() -> digests.Kept:
        kept = kept_of()
        store.adopt(tmp_path / "copy")
        return kept

    monkeypatch.setattr(book, "_kept", kept_and_replace)
    with pytest.raises(BusyError):  # else the mirror's rows would take the place of the imported ones
        book.digests(*span, fresh=True)
    monkeypatch.undo()
    assert book.digests(*span, fresh=True).changed == {}
