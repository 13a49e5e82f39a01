"""Files that are not what they should be: of another architecture, of an older format, empty, or with flipped bits.

Whatever it is, this process must not end (librrd believes what a header says), the file is set aside under a name that
says so with every byte it had, and the counter goes on from the register.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rrdtool
from conftest import START
from test_store import rates

from powerpi.pulses import Row
from powerpi.store import Store

HERE = Path(__file__).parent
Make = Callable[..., Store]
TRUTH = 1050  # pulses in the register; the newest row says 1043.5
ROWS = [Row(START + 10 * n, 1000 + 1.5 * n) for n in range(1, 30)]
NEXT = [Row(START + 310, 1051.0), Row(START + 320, 1053.0)]

# stat_head_t, ds_def_t and rra_def_t of rrd_format.h as other systems lay them out: order, sizes and alignment differ
LAYOUTS = {
    "32-bit ARM": ("<4s5s7xd3L4x80x", "<20s20sL76x", "<20s2L4x80x", "<"),
    "32-bit PC": ("<4s5s3xd3L80x", "<20s20sL76x", "<20s2L80x", "<"),
    "64-bit, big end first": (">4s5s7xd3Q80x", ">20s20sQ72x", ">20s4x2Q80x", ">"),
}
HEADER_BYTES = 792  # of an RRD with two archives on a 64-bit system
POINTER_BYTES = 16  # the last ones: where the newest rows lie; librrd has no way to tell a wrong place
COUNTS = (*range(24, 48), *range(272, 288), *range(392, 408))  # sources, archives, step, rows, steps per row


def foreign(layout: str) -> bytes:
    """An RRD of PowerPi, with archives of 100 rows, as another architecture writes it."""
    head, source, archive, order = LAYOUTS[layout]
    content = struct.pack(head, b"RRD\0", b"0005\0", 8.642135e130, 1, 2, 10)
    content += struct.pack(source, b"pulses", b"DDERIVE", 10)
    content += struct.pack(archive, b"AVERAGE", 100, 1) + struct.pack(archive, b"AVERAGE", 100, 90)
    return content + struct.pack(f"{order}2L30s", START, 0, b"1043.500000") + struct.pack(f"{order}240d", *[0.15] * 240)


@pytest.fixture
def store(make_store: Make) -> Store:
    return filled(make_store(archive_years=1))


def filled(store: Store) -> Store:
    store.open(START)
    store.write(ROWS)
    store.save_register(TRUTH, START + 300)
    return store


def check_set_aside(store: Store, content: bytes, reason: str) -> None:
    """Open a store whose RRD holds this: it is kept as it was and named, and all goes on."""
    store.rrd.write_bytes(content)
    again = Store(store.rrd.parent, "house", 1, threading.Lock())
    pulses, notes = again.open(START + 300)
    assert pulses == TRUTH
    [kept] = store.rrd.parent.glob("house.rrd.damaged-*")
    assert kept.read_bytes() == content
    [note] = notes
    assert reason in note
    assert str(kept) in note
    again.write(NEXT)
    assert rates(store.rrd, START, START + 320) == [*[None] * 31, pytest.approx(0.2)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_rrd_of_another_architecture_is_set_aside(store: Store, layout: str) -> None:
    content = foreign(layout)
    store.rrd.write_bytes(content)
    with pytest.raises(rrdtool.OperationalError, match=r"another architecture|reached EOF while loading header"):
        rrdtool.info(str(store.rrd))
    check_set_aside(store, content, "was made on another architecture, or its header is damaged")


@pytest.mark.parametrize("version", [b"0001", b"0002", b"0003", b"0004", b"0006", b"    "])
def test_an_rrd_of_a_format_that_cannot_hold_fractions_is_set_aside(store: Store, version: bytes) -> None:
    content = store.rrd.read_bytes()
    check_set_aside(store, content[:4] + version + content[8:], f"has the format {version.decode()}, not 0005")


def test_an_old_system_s_rrd_is_set_aside(store: Store, tmp_path: Path) -> None:
    old = tmp_path / "old.rrd"
    rrdtool.create(str(old), "--step", "10", "DS:watts:GAUGE:30:0:U", "RRA:AVERAGE:0.5:1:8640")
    check_set_aside(store, old.read_bytes(), "is not an RRD of PowerPi")


@pytest.mark.parametrize(
    ("source", "archive", "reason"),
    [
        ("DS:pulses:DDERIVE:10:0:U", "RRA:AVERAGE:0.5:1:8640", None),
        ("DS:pulses:DDERIVE:600:0:U", "RRA:AVERAGE:0.5:1:8640", "is not an RRD of PowerPi"),
        ("DS:pulses:DDERIVE:10:U:U", "RRA:AVERAGE:0.5:1:8640", "is not an RRD of PowerPi"),
        ("DS:power:DDERIVE:10:0:U", "RRA:AVERAGE:0.5:1:8640", "is not an RRD of PowerPi"),
        ("DS:pulses:DDERIVE:10:0:U", "RRA:MAX:0.5:1:8640", "has damaged archives"),
    ],
)
def test_an_rrd_that_would_invent_energy_is_set_aside(
    store: Store, tmp_path: Path, source: str, archive: str, reason: str | None
) -> None:
    other = tmp_path / "other.rrd"
    rrdtool.create(str(other), "--start", str(START), "--step", "10", source, archive)
    if reason:
        check_set_aside(store, other.read_bytes(), reason)
        return
    other.rename(store.rrd)  # one archive of another length, as an older or later configuration may have
    assert Store(tmp_path, "house", 1, threading.Lock()).open(START) == (TRUTH, [])


@pytest.mark.parametrize("content", [b"", b"RRD", b"\x89PNG\r\n\x1a\n" * 200, b"text\n" * 3000])
def test_an_empty_or_foreign_file_is_set_aside(store: Store, content: bytes) -> None:
    check_set_aside(store, content, "is not an RRD")


def test_a_file_moved_by_dump_and_restore_is_taken_as_it_is(store: Store, tmp_path: Path) -> None:
    """The way from one architecture to another."""
    dump = tmp_path / "dump.xml"
    subprocess.run(["rrdtool", "dump", store.rrd, dump], check=True)
    store.rrd.unlink()
    subprocess.run(["rrdtool", "restore", dump, store.rrd], check=True)
    again = Store(tmp_path, "house", 1, threading.Lock())
    assert again.open(START + 300) == (TRUTH, [])
    again.write(NEXT)
    assert rates(store.rrd, START + 10, START + 320) == [
        *[pytest.approx(0.15)] * 28,
        None,
        None,
        pytest.approx(0.2),
    ]


# ---------------------------------------------------------------- flipped bits, in a process that may die of them


def sweep(folder: Path, places: list[tuple[int, int]]) -> None:
    """Flip these bits (byte, mask), one at a time, and see what a new process makes of it. Prints where and what."""
    store = filled(Store(folder, "house", 1, threading.Lock()))
    whole, slots = store.rrd.read_bytes()[:HEADER_BYTES], (folder / "house.register").read_bytes()
    for place, mask in places:
        print(place, mask, flush=True)
        (folder / "house.register").write_bytes(slots)
        damaged = whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :]
        with store.rrd.open("r+b") as file:
            file.write(damaged)
        check_flipped(folder, damaged)
        mend(folder, whole)


def check_flipped(folder: Path, damaged: bytes) -> None:
    store = Store(folder, "house", 1, threading.Lock())
    pulses, notes = store.open(START + 300)
    assert pulses == TRUTH
    notes += store.write(NEXT)
    *history, newest = rates(store.rrd, START + 10, START + 320)
    assert newest == pytest.approx(0.2)
    kept = list(folder.glob("house.rrd.damaged-*"))
    assert len(kept) == len(notes)
    if kept:
        with kept[0].open("rb") as file:
            assert file.read(HEADER_BYTES) == damaged
        assert history == [None] * 30
    else:
        assert history == [*[pytest.approx(0.15)] * 28, None, None]


def mend(folder: Path, whole: bytes) -> None:
    """Put the file back as it was before the bit was flipped."""
    for kept in folder.glob("house.rrd.damaged-*"):
        kept.rename(folder / "house.rrd")
    with (folder / "house.rrd").open("r+b") as file:
        file.write(whole)


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: some hundred files of 25 MB are made in it, one after the other."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < 200_000_000:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def swept(folder: Path, places: list[tuple[int, int]]) -> None:
    script = f"import test_old_files as t; t.sweep(t.Path({str(folder)!r}), {places!r})"
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout.splitlines()[-1:], done.stderr[-2000:])
    assert len(done.stdout.splitlines()) == len(places)


def test_every_byte_of_the_header_may_be_wrong(fast_folder: Path) -> None:
    places = [(n, mask) for n in range(HEADER_BYTES - POINTER_BYTES) for mask in (1 << n % 8, 0xFF)]
    swept(fast_folder, places)


def test_every_bit_of_what_librrd_counts_and_divides_by_may_be_wrong(fast_folder: Path) -> None:
    swept(fast_folder, [(n, 1 << bit) for n in COUNTS for bit in range(8)])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (536, struct.pack("@L", 3)),
        (544, struct.pack("@d", 1e6)),
        (504, b"0043.500000"),
        (488, struct.pack("@q", 1 << 40)),
    ],
)
def test_what_changes_while_it_is_in_use_makes_no_spike(store: Store, place: int, value: bytes) -> None:
    """Seconds unknown and pulses of the present step, the last value, the last time: as this process left them."""
    with store.rrd.open("r+b") as file:
        file.seek(place)
        file.write(value)
    [note] = store.write([Row(START + 10 * n, 1000 + 1.5 * n) for n in range(30, 40)])
    assert "damaged-" in note
    assert rates(store.rrd, START + 290, START + 390) == [None, *[pytest.approx(0.15)] * 9]


def test_librrd_itself_does_not_bear_it(store: Store) -> None:
    """Why the header is checked before: one bit of the step makes librrd divide by zero."""
    damaged = bytearray(store.rrd.read_bytes())
    damaged[280] ^= 1  # steps per row of the first archive: 1
    store.rrd.write_bytes(damaged)
    update = f"import rrdtool; rrdtool.update({str(store.rrd)!r}, '{START + 310}:1051', '{START + 320}:1053')"
    assert subprocess.run([sys.executable, "-c", update], check=False).returncode < 0
