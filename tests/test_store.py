"""A real RRD and a real register in a folder."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import rrdtool
from conftest import START

from powerpi.errors import BusyError, StoreError
from powerpi.folder import locked_folder
from powerpi.pulses import Row
from powerpi.store import Store

Make = Callable[..., Store]


def rates(path: Path, start: int, end: int) -> list[float | None]:
    """The rows ending after `start` up to `end`, in pulses per second."""
    arguments = (f"DEF:p={path}:pulses:AVERAGE:step=10", "XPORT:p")
    data = rrdtool.xport("--start", str(start), "--end", str(end), "--step", "10", "--maxrows", "400000", *arguments)
    return [row[0] for row in data["data"]][: (end - start) // 10]


def opened(make: Make, **settings: object) -> Store:
    store = make(**settings)
    store.open(START)
    return store


def test_a_new_store_begins_at_zero_with_nothing_known(make_store: Make) -> None:
    store = make_store()
    assert store.open(START) == (0, [])
    assert (store.last_row, store.last_time) == (None, 0)


def test_rows_one_step_apart_become_the_rate_between_them(make_store: Make) -> None:
    store = opened(make_store)
    store.write([Row(START + 10, 100), Row(START + 20, 102.5), Row(START + 30, 102.5)])
    # 2.5 pulses in 10 s, then none; the step before the first row is unknown
    assert rates(store.rrd, START, START + 30) == [None, pytest.approx(0.25), 0]
    assert (store.last_row, store.last_time) == (Row(START + 30, 102.5), START + 30)


def test_one_missing_row_makes_the_time_in_between_unknown(make_store: Make) -> None:
    store = opened(make_store)
    store.write([Row(START + 10, 1), Row(START + 20, 2), Row(START + 40, 50), Row(START + 50, 51)])
    assert rates(store.rrd, START + 10, START + 50) == [pytest.approx(0.1), None, None, pytest.approx(0.1)]


def test_rows_already_there_are_passed_over(make_store: Make) -> None:
    store = opened(make_store)
    rows = [Row(START + 10, 1), Row(START + 20, 2)]
    store.write(rows)
    store.write([*rows, Row(START + 30, 4)])
    assert rates(store.rrd, START + 10, START + 30) == pytest.approx([0.1, 0.2])


def test_many_rows_go_in_batches(make_store: Make) -> None:
    store = opened(make_store)
    store.write([Row(START + 10 * n, n * 3.0) for n in range(1, 2600)])
    assert rates(store.rrd, START + 10, START + 25990) == pytest.approx([0.3] * 2598)


def test_counter_is_the_larger_of_the_register_and_the_last_row_rounded_up(make_store: Make) -> None:
    store = opened(make_store)
    store.write([Row(START + 10, 41.25)])
    store.save_register(30, START)
    assert make_store().open(START)[0] == 42
    store.save_register(60, START)
    assert make_store().open(START)[0] == 60


def test_register_goes_on_with_its_sequence_after_a_restart(make_store: Make) -> None:
    for pulses in (5, 6, 7):
        store = opened(make_store)
        store.save_register(pulses, START)
    assert make_store().open(START)[0] == 7


def test_create_never_overwrites(make_store: Make) -> None:
    store = opened(make_store)
    store.write([Row(START + 10, 5)])
    content = store.rrd.read_bytes()
    with pytest.raises(StoreError, match="exists already"):
        make_store().create(START)
    assert store.rrd.read_bytes() == content


def test_archive_years_zero_leaves_the_single_archive_of_one_year(make_store: Make) -> None:
    store = opened(make_store, archive_years=0)
    info = rrdtool.info(str(store.rrd))
    assert info["rra[0].rows"] == 366 * 8640
    assert info["rra[0].pdp_per_row"] == 1
    assert "rra[1].rows" not in info
    twenty = opened(make_store, meter="other")
    info = rrdtool.info(str(twenty.rrd))
    assert (info["rra[1].pdp_per_row"], info["rra[1].rows"]) == (90, 20 * 366 * 96)


def test_a_year_and_a_day_later_every_step_of_the_year_is_still_there(make_store: Make) -> None:
    store = opened(make_store)
    year = [Row(START + 10 * n, n) for n in range(1, 367 * 8640 + 1)]
    for first in range(0, len(year), 100_000):
        store.write(year[first : first + 100_000])
    end = year[-1].time
    assert rates(store.rrd, end - 366 * 86400, end - 365 * 86400) == pytest.approx([0.1] * 8640)


@pytest.mark.parametrize("content", [b"", b"RRD\0000003", b"something else" * 500])
def test_a_damaged_file_is_set_aside_and_the_counter_goes_on(make_store: Make, tmp_path: Path, content: bytes) -> None:
    store = opened(make_store)
    store.save_register(77, START)
    store.rrd.write_bytes(content)
    pulses, notes = make_store().open(START)
    assert pulses == 77
    assert len(notes) == 1
    kept = list(tmp_path.glob("house.rrd.damaged-*"))
    assert [path.read_bytes() for path in kept] == [content]
    assert str(kept[0]) in notes[0]


def test_an_rrd_of_something_else_is_set_aside(make_store: Make, tmp_path: Path) -> None:
    rrdtool.create(str(tmp_path / "house.rrd"), "--step", "60", "DS:watts:GAUGE:120:0:U", "RRA:AVERAGE:0.5:1:10")
    _, notes = make_store().open(START)
    assert "is not an RRD of PowerPi" in notes[0]
    assert len(list(tmp_path.glob("house.rrd.damaged-*"))) == 1


def test_a_damaged_register_is_set_aside(make_store: Make, tmp_path: Path) -> None:
    (tmp_path / "house.register").write_bytes(b"x" * 8192)
    pulses, notes = make_store().open(START)
    assert pulses == 0
    assert "register was damaged" in notes[0]
    assert len(list(tmp_path.glob("house.register.damaged-*"))) == 1


def test_a_file_that_vanished_is_made_again(make_store: Make) -> None:
    store = opened(make_store)
    store.rrd.unlink()
    notes = store.write([Row(START + 10, 5), Row(START + 20, 6)])
    assert "had vanished" in notes[0]
    assert rates(store.rrd, START + 10, START + 20) == pytest.approx([0.1])


def test_a_folder_that_vanished_is_made_again(make_store: Make, tmp_path: Path) -> None:
    with locked_folder(tmp_path) as lock:
        store = Store(tmp_path, "house", 20, threading.Lock(), lock.hold)
        store.open(START)
        store.save_register(5, START)
        shutil.rmtree(tmp_path)
        store.write([Row(START + 10, 5), Row(START + 20, 6)])
        assert not store.has_register()
        store.save_register(6, START)
    assert make_store().open(START)[0] == 6


@pytest.mark.parametrize("damage", [b"", b"RRD\0000003", b"noise" * 100_000])
def test_a_file_damaged_while_it_is_in_use_is_set_aside(make_store: Make, tmp_path: Path, damage: bytes) -> None:
    store = opened(make_store)
    store.write([Row(START + 10, 5), Row(START + 20, 6)])
    store.rrd.write_bytes(damage)
    [note] = store.write([Row(START + 30, 7), Row(START + 40, 8)])
    [kept] = tmp_path.glob("house.rrd.damaged-*")
    assert str(kept) in note
    assert kept.read_bytes() == damage
    assert rates(store.rrd, START + 20, START + 40) == [None, pytest.approx(0.1)]


def test_a_last_value_that_is_no_number_is_damage(make_store: Make, tmp_path: Path) -> None:
    store = opened(make_store)
    store.write([Row(START + 10, 5), Row(START + 20, 6)])
    content = store.rrd.read_bytes()
    assert content.count(b"6.000000\0") == 1
    store.rrd.write_bytes(content.replace(b"6.000000\0", b"nan\0\0\0\0\0\0"))
    _, notes = make_store().open(START)
    assert "ends with nan pulses" in notes[0]


def test_register_has_its_room_on_disk_from_the_start(make_store: Make, tmp_path: Path) -> None:
    opened(make_store)
    assert (tmp_path / "house.register").stat().st_size == 8192
    assert make_store().open(START) == (0, [])


def test_a_file_locked_by_another_process_is_busy_and_keeps_nothing_half_done(make_store: Make) -> None:
    store = opened(make_store)
    # librrd locks with fcntl record locks, which another process must hold: here a child of ours
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    script = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print('locked', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store.rrd)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"locked\n"
        with pytest.raises(BusyError, match="locked by another process"):
            store.write([Row(START + 10, 5)])
        child.communicate()
    store.write([Row(START + 10, 5), Row(START + 20, 6)])
    assert rates(store.rrd, START + 10, START + 20) == pytest.approx([0.1])


def test_a_long_drawing_makes_a_write_busy(make_store: Make) -> None:
    gate = threading.Lock()
    store = opened(make_store, gate=gate)
    with gate, pytest.raises(BusyError, match="being drawn"):
        store.write([Row(START + 10, 5)])
    store.write([Row(START + 10, 5)])


def test_a_file_of_another_meter_in_its_place_is_set_aside_although_its_times_fit(make_store: Make) -> None:
    store, other = opened(make_store), make_store("other")
    store.write([Row(START + 10, 5), Row(START + 20, 6)])
    other.open(START)
    other.write([Row(START + 10, 70_000), Row(START + 20, 70_001), Row(START + 30, 70_002)])
    store.rrd.write_bytes(other.rrd.read_bytes())
    [note] = store.write([Row(START + 30, 7), Row(START + 40, 8)])
    assert "ends with 70002.0 pulses" in note
    assert rates(store.rrd, START + 10, START + 40) == [None, None, pytest.approx(0.1)]


def test_an_older_backup_copied_over_a_file_in_use_is_gone_on_with(make_store: Make) -> None:
    store = opened(make_store)
    store.write([Row(START + 10, 5), Row(START + 20, 6)])
    backup = store.rrd.read_bytes()
    store.write([Row(START + 30, 7), Row(START + 40, 8)])
    store.rrd.write_bytes(backup)
    assert store.write([Row(START + 50, 9), Row(START + 60, 10)]) == []
    assert rates(store.rrd, START + 10, START + 60) == [pytest.approx(0.1), None, None, None, pytest.approx(0.1)]
