"""The disk refuses, loses or garbles: counting goes on, health says it, and afterwards every row is there and true.

Real file systems that are made to fail: a small one that is full, one that turns read-only, an ext4 on a loop device
whose backing is taken away (reads fail) or has no room (writes fail). Those tests need root and are skipped without.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import START, HandClock, Line
from test_daemon import Process, config_file
from test_store import rates

from powerpi import files, layout, register
from powerpi.building import Fate, Parts, build
from powerpi.config import parse
from powerpi.counting import Counting, Timing
from powerpi.errors import StoreError
from powerpi.folder import locked_folder
from powerpi.meter import Meter
from powerpi.pulses import STEP_SECONDS, Edge, next_boundary
from powerpi.store import Store

HERE = Path(__file__).parent
TOLERANCE = 1.1e-6  # pulses in a step: each of its two rows is stored with six decimals
NOBODY = 65534
BLOCK_BYTES = 4096
MEGABYTE = 1 << 20


class House:
    """The parts of a daemon in a state folder, counting in virtual time, and the pulses that were sent."""

    def __init__(self, state: Path, clock: HandClock | None = None) -> None:
        self.clock = clock or HandClock()
        self.line = Line(self.clock)
        state.mkdir(exist_ok=True)
        settings = parse(f"[powerpi]\nstate = {state}\ntimezone = UTC\nnetwork_time = no\n[meter house]\ngpio = 24\n")
        self.parts: Parts = build(settings, self.line.factory, self.clock, Fate())
        self.line.pin = self.parts.pins[0]
        self.meter = self.parts.counting.meters["house"]
        self.opened = self.meter.pulses
        self.sent: list[float] = []  # Unix seconds
        self.random = Random(7)

    def live(self, seconds: int) -> None:
        """Pulses 0.5 to 8 s apart for so long, and a turn a second."""
        end = self.clock.now + seconds
        due = self.clock.now + self.random.uniform(0.5, 8)
        while self.clock.now + 1 < end:
            second = math.floor(self.clock.now) + 1
            while due < second - 0.1:
                self.line.pulse(due)
                self.sent.append(due + self.clock.ahead)
                due += self.random.uniform(0.5, 8)
            self.clock.now = second
            self.parts.counting.turn()
        assert self.meter.pulses == self.opened + len(self.sent)

    @property
    def faults(self) -> list[str]:
        """What health says of the disk."""
        return [fault.value or "" for fault in self.parts.house.health().faults if fault.key == "disk"]

    def check(self, begin: float | None = None) -> None:
        """No fault is left, all is on disk, and every step from the first row (or `begin`) to the newest is true."""
        self.live(400)  # a flush and a register are due
        assert self.faults == []
        assert len(self.meter.live.rows) <= 31
        newest = self.meter.store.last_row
        assert newest
        first = next_boundary(self.sent[0] if begin is None else begin)
        ends = range(first + STEP_SECONDS, newest.time + STEP_SECONDS, STEP_SECONDS)
        found = rates(self.meter.store.rrd, first, newest.time)
        wrong = [
            (end, rate)
            for end, rate in zip(ends, found, strict=True)
            if rate is None or abs(rate * STEP_SECONDS - self.truth(end) + self.truth(end - STEP_SECONDS)) > TOLERANCE
        ]
        assert wrong == []
        saved = register.read(self.meter.store._register_path)
        assert saved
        assert self.opened + len(self.sent) - saved.pulses < 60 / 0.5

    def truth(self, time: int) -> float:
        """The pulses sent until a time, read off on the line between those before and after."""
        after = bisect_left(self.sent, time)
        begin, end = self.sent[after - 1], self.sent[after]
        return after + (time - begin) / (end - begin)

    def restarted(self) -> House:
        """A new process on the same state, at once."""
        self.parts.counting.last_turn()
        return House(self.meter.store.rrd.parent, self.clock)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path / "state")
    house.live(700)
    return house


# ---------------------------------------------------------------- file systems that fail


def root(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Disk:
    """An ext4 file system on a loop device whose backing file lies in a small tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.backing, self.path = folder / "backing", folder / "disk"
        self.backing.mkdir()
        self.path.mkdir()
        self.image = self.backing / "image"

    def make(self) -> None:
        root("mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", self.backing)
        with self.image.open("wb") as file:
            file.truncate(60 * MEGABYTE)
        root("mkfs.ext4", "-q", "-F", "-b", BLOCK_BYTES, self.image)
        self.mount()

    def mount(self) -> None:
        root("mount", "-o", "loop,errors=continue", self.image, self.path)

    def remount(self, how: str) -> None:
        root("mount", "-o", f"remount,{how}", self.path)

    def fill(self) -> None:
        fill(self.path)

    def free(self) -> None:
        (self.path / "filling").unlink()

    def unmount(self) -> None:
        root("umount", self.path)

    def remove(self) -> None:
        for path in (self.path, self.backing):
            if os.path.ismount(path):
                root("umount", "-l", path)


def fill(folder: Path) -> None:
    """Leave no room, down to the last block."""
    with (folder / "filling").open("wb", buffering=0) as file:
        for size in (MEGABYTE, 4096, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    os.sync()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid():
        pytest.skip("only root can make a file system")
    disk = Disk(tmp_path)
    try:
        disk.make()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        disk.remove()
        pytest.skip(f"no file system can be made here: {getattr(error, 'stderr', error)}")
    yield disk
    disk.remove()


@pytest.fixture
def disk_house(disk: Disk) -> House:
    house = House(disk.path / "state")
    house.live(700)
    return house


def test_a_full_disk_is_no_obstacle_to_files_that_have_their_room(disk: Disk, disk_house: House) -> None:
    disk.fill()
    disk_house.live(3600)
    disk_house.check()


def test_a_disk_that_is_full_at_the_very_first_start(disk: Disk) -> None:
    (disk.path / "state").mkdir()
    disk.fill()
    os.truncate(disk.path / "filling", (disk.path / "filling").stat().st_size - 10 * MEGABYTE)
    os.sync()
    house = House(disk.path / "state")
    house.live(3600)
    # 10 MB are room for all but the RRD: told before it is tried, for that would wear the card
    assert house.faults == [f"{disk.path}/state: No space left on device"]
    assert len(house.meter.live.rows) > 350
    disk.free()
    house.check()
    assert [path.name for path in house.meter.store.rrd.parent.iterdir() if ".damaged-" in path.name] == []


def test_a_disk_that_turns_read_only(disk: Disk, disk_house: House) -> None:
    disk.remount("ro")
    disk_house.live(3600)
    assert any("Read-only file system" in fault for fault in disk_house.faults)
    disk.remount("rw")
    disk_house.check()


def test_a_disk_that_is_read_only_at_the_start(disk: Disk, disk_house: House) -> None:
    disk_house.parts.counting.last_turn()
    with locked_folder(disk.path / "state"):
        pass
    disk.remount("ro")
    with locked_folder(disk.path / "state"), pytest.raises(StoreError, match="in use"):
        locked_folder(disk.path / "state").__enter__()
    house = House(disk.path / "state", disk_house.clock)
    assert house.opened == disk_house.meter.pulses
    house.live(3600)
    assert any("Read-only file system" in fault for fault in house.faults)
    disk.remount("rw")
    house.check()


def test_a_disk_that_cannot_be_read(disk: Disk) -> None:
    """In a process of its own: a page that is mapped and cannot be read ends it with SIGBUS."""
    in_a_process("reads_fail", disk.path, disk.image)


def reads_fail(path: Path, image: Path) -> None:
    house = House(path / "state")
    house.live(700)
    os.sync()
    kept = Path(shutil.copyfile(image, path.with_name("kept")))
    files.sync_file(house.meter.store.rrd, forget=True)
    header = layout.read(house.meter.store.rrd)  # the header is in memory again, the rows are not
    os.truncate(image, MEGABYTE)
    device = root("losetup", "--associated", image).partition(":")[0]
    root("losetup", "--set-capacity", device)  # whatever lies further back is an input/output error from now on
    with pytest.raises(OSError, match="Input/output error"):  # instead of the SIGBUS that librrd would get
        layout.touch(house.meter.store.rrd, header, header.last_update, header.last_update + 300)
    house.live(900)
    assert any("Input/output error" in fault for fault in house.faults), house.faults
    root("umount", path)
    shutil.copyfile(kept, image)
    root("mount", "-o", "loop", image, path)
    house.check()


def test_a_disk_that_cannot_be_written(disk: Disk) -> None:
    in_a_process("writes_fail", disk.path, disk.image)


def writes_fail(path: Path, image: Path) -> None:
    house = House(path / "state")
    house.live(700)
    os.sync()
    kept = Path(shutil.copyfile(image, path.with_name("kept")))
    root("fallocate", "--punch-hole", "--length", image.stat().st_size, image)
    fill(image.parent)  # what is written finds no place in the image any more, and the sync fails
    house.live(3600)
    assert any("house.rrd: No space left" in fault for fault in house.faults), house.faults  # of its device
    root("umount", path)
    (image.parent / "filling").unlink()
    shutil.copyfile(kept, image)  # what was written meanwhile is gone, although librrd believed it was written
    root("mount", "-o", "loop", image, path)
    house.check()


def test_rows_whose_sync_failed_are_written_again_when_the_disk_is_back(disk: Disk) -> None:
    """The kernel takes pages for clean that it failed to write; what was acknowledged must be on the disk itself."""
    in_a_process("sync_fails", disk.path, disk.image)


def sync_fails(path: Path, image: Path) -> None:
    house = House(path / "state")
    house.live(700)
    os.sync()
    for begin, length in extents(house.meter.store.rrd):
        root("fallocate", "--punch-hole", "--offset", begin, "--length", length, image)
    fill(image.parent)
    house.live(16_000)  # 1600 rows lie in four pages
    assert any("house.rrd" in fault for fault in house.faults), house.faults
    (image.parent / "filling").unlink()
    before = house.meter.store.last_row
    house.live(400)
    after = house.meter.store.last_row
    assert before
    assert after
    root("umount", path)
    root("mount", "-o", "loop", image, path)
    # from the disk, not from memory: the header and all rows since the last sync that had succeeded
    steps = range(before.time + STEP_SECONDS, after.time + STEP_SECONDS, STEP_SECONDS)
    true = [(house.truth(end) - house.truth(end - STEP_SECONDS)) / STEP_SECONDS for end in steps]
    assert rates(house.meter.store.rrd, before.time, after.time) == pytest.approx(true, abs=TOLERANCE)


def extents(path: Path) -> list[tuple[int, int]]:
    """Where a file lies on its file system, in bytes: begin and length."""
    lines = [line.replace(".", " ").replace(":", " ").split() for line in root("filefrag", "-v", path).splitlines()]
    found = [line for line in lines if line and line[0].isdigit()]
    return [(int(line[3]) * BLOCK_BYTES, int(line[5]) * BLOCK_BYTES) for line in found]


def in_a_process(function: str, *paths: Path) -> None:
    """Call a function of this module in a process that may die of it."""
    script = f"import test_disk_faults as t; t.{function}(*map(t.Path, {[str(path) for path in paths]!r}))"
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])


# ---------------------------------------------------------------- files that are damaged while they are in use


@pytest.mark.parametrize("length", [0, 4, 100, 791, 792, 4096, 1_000_000, 25_298_711])
def test_an_rrd_cut_while_it_is_in_use_is_set_aside(house: House, length: int) -> None:
    rrd = house.meter.store.rrd
    os.truncate(rrd, length)
    content = rrd.read_bytes()
    cut = house.parts.counting.clock.monotonic() + house.clock.ahead
    house.live(1000)
    check_kept(house, content)
    house.check(begin=cut + 600)  # what was not yet written when it was cut begins the new one


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" * 5000, "Zähler\n".encode() * 9000, bytes(100_000)])
def test_foreign_content_in_its_place_is_set_aside(house: House, content: bytes) -> None:
    house.meter.store.rrd.write_bytes(content)
    now = house.clock.wall()
    house.live(1000)
    check_kept(house, content)
    house.check(begin=now + 600)


def test_another_rrd_in_its_place_is_set_aside(house: House, tmp_path: Path) -> None:
    other = tmp_path / "other.rrd"
    root("rrdtool", "create", other, "--step", "60", "DS:watts:GAUGE:120:0:U", "RRA:AVERAGE:0.5:1:10")
    content = other.read_bytes()
    other.rename(house.meter.store.rrd)
    now = house.clock.wall()
    house.live(1000)
    check_kept(house, content)
    house.check(begin=now + 600)


def check_kept(house: House, content: bytes) -> None:
    """The damaged file is there as it was, and a new process knows the counter."""
    [kept] = house.meter.store.rrd.parent.glob("house.rrd.damaged-*")
    assert kept.read_bytes() == content
    assert house.restarted().opened == house.meter.pulses


def test_damaged_files_never_overwrite_each_other(house: House) -> None:
    for n in range(3):
        house.meter.store.rrd.write_bytes(b"damage %d" % n)
        house.live(700)
    kept = house.meter.store.rrd.parent.glob("house.rrd.damaged-*")
    assert sorted(path.read_bytes() for path in kept) == [b"damage 0", b"damage 1", b"damage 2"]


def test_a_register_that_becomes_a_folder_is_said_and_rows_are_written(house: House) -> None:
    path = house.meter.store._register_path
    path.unlink()
    path.mkdir()
    house.live(700)
    [fault] = house.faults
    assert "house.register: Is a directory" in fault
    assert len(house.meter.live.rows) <= 31
    path.rmdir()
    house.check()
    assert house.restarted().opened == house.meter.pulses


def test_a_register_that_is_a_folder_at_the_start_is_set_aside(house: House) -> None:
    house.parts.counting.last_turn()
    path = house.meter.store._register_path
    path.unlink()
    (path / "something").mkdir(parents=True)
    again = House(path.parent, house.clock)
    # the newest row knows all but what came after it
    newest = house.meter.store.last_row
    assert newest
    assert again.opened == math.ceil(newest.pulses)
    [kept] = path.parent.glob("house.register.damaged-*")
    assert (kept / "something").is_dir()
    again.live(700)
    again.check()


def test_a_state_folder_that_vanishes_is_made_again(house: House) -> None:
    folder = house.meter.store.rrd.parent
    with locked_folder(folder) as lock:
        house.meter.store._hold = lock.hold  # as in the daemon
        shutil.rmtree(folder)
        now = house.clock.wall()
        house.live(1000)
    assert any("had vanished" in warning.value for warning in house.parts.house.health().warnings if warning.value)
    house.check(begin=now + 600)
    assert house.restarted().opened == house.meter.pulses


# ---------------------------------------------------------------- a folder that is not ours


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike tmp_path."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        if subprocess.run(["ls", HERE.parent], user=NOBODY, capture_output=True, check=False).returncode:
            pytest.skip("nobody may not read this checkout")
        yield Path(folder)


@pytest.mark.parametrize("made", [True, False])
def test_a_state_folder_that_is_not_ours_stops_the_start_with_one_sentence(open_folder: Path, made: bool) -> None:
    config = config_file(open_folder)
    if made:
        (open_folder / "state").mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-m", "powerpi", "run", "--config", config],
        cwd=HERE.parent,
        user=NOBODY,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "GPIOZERO_PIN_FACTORY": "mock", "HOME": "/"},
        check=False,
    )
    assert done.returncode == os.EX_IOERR
    [line] = done.stderr.splitlines()
    assert f"state folder {open_folder}/state cannot be used: Permission denied" in line


def test_a_state_folder_taken_away_from_the_daemon_is_said_and_made_up_for(open_folder: Path) -> None:
    """50 kW at 1000 imp/kWh, as another user, whose folder becomes root's for a while."""
    load, state = open_folder / "load.csv", open_folder / "state"
    load.write_text("minute,watts\n2024-01-01T00:00:00,50000\n")
    state.mkdir()
    os.chown(state, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        process = Process(("demo", "--port", "0", "--empty", "--load", str(load), "--state", str(state)), HOME="/")
    finally:
        os.seteuid(0)
    try:
        until(lambda: look(process) and (state / "house.rrd").exists())
        assert health(process)["faults"] == []
        os.chown(state, 0, 0)
        state.chmod(0o700)
        until(lambda: look(process) and "Permission denied" in str(health(process)["faults"]))
        os.chown(state, NOBODY, NOBODY)
        taken = time.time()
        until(lambda: look(process) and health(process)["faults"] == [])
        until(lambda: look(process) and layout.read(state / "house.rrd").last_update > taken + STEP_SECONDS)
    finally:
        assert process.end()[0] == 0
    header = layout.read(state / "house.rrd")
    found = rates(state / "house.rrd", header.last_update - 120, header.last_update)
    known = found[next(n for n, rate in enumerate(found) if rate is not None) :]
    assert len(known) >= 2
    assert known == pytest.approx([50 / 3.6] * len(known), rel=0.3)  # no gap; a busy machine sends late


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 45
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def look(process: Process) -> bool:
    """Ask for a picture, which has the rows written; whether it comes is no matter."""
    with suppress(urllib.error.HTTPError):
        process.get("/house/hour.png")
    return True


def health(process: Process) -> dict[str, Any]:
    try:
        return dict(json.loads(process.get("/health")))
    except urllib.error.HTTPError as answer:
        return dict(json.loads(answer.read()))


# ---------------------------------------------------------------- somebody else has the file


def test_a_lock_held_for_minutes_costs_nothing(house: House) -> None:
    script = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print('locked', flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(house.meter.store.rrd)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"locked\n"
        house.live(230)  # the flush and the tries that follow every 5 s
        assert len(house.meter.live.rows) > 25
        assert house.faults == []  # it will be over soon
        child.communicate()
    house.check()


@pytest.mark.parametrize(
    "command",
    [
        "while rrdtool dump $0 /dev/null && rrdtool lastupdate $0 >/dev/null; do :; done",
        "while rrdtool info $0 >/dev/null; do :; done",
        "while cp $0 $0.copy && cat $0 >/dev/null; do :; done",
    ],
)
def test_others_who_read_without_end_cost_nothing(house: House, command: str) -> None:
    shell = subprocess.Popen(["sh", "-c", command, house.meter.store.rrd], start_new_session=True)
    try:
        began = time.monotonic()
        while time.monotonic() - began < 4:
            house.live(330)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    house.check()


# ---------------------------------------------------------------- a week in memory


class SteadyContact:
    """16.7 pulses a second: an `EdgeSource` that is faster than a mock pin."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.number = 0

    def closed(self) -> bool:
        return False

    def drain(self) -> list[Edge]:
        edges = []
        while (begin := 1000.5 + self.number / 16.7) + 0.03 < self.clock.now:
            edges += (Edge(begin, True), Edge(begin + 0.03, False))
            self.number += 1
        return edges


def test_a_week_at_the_highest_load_waits_in_memory_for_the_disk(tmp_path: Path) -> None:
    in_a_process("wait_a_week", tmp_path)


def wait_a_week(folder: Path) -> None:
    clock = HandClock()
    contact = SteadyContact(clock)
    meter = Meter("house", contact, Store(folder, "house", 20, threading.Lock()), 0.010, START)
    counting = Counting([meter], clock, Timing(300, 3600, 900), lambda *_: None)
    turns(counting, clock, 3600)
    aside = meter.store.rrd.with_name("aside")
    meter.store.rrd.rename(aside)
    meter.store.rrd.mkdir()
    before = resident_bytes()
    turns(counting, clock, 7 * 86400)
    assert meter.faults
    grown = resident_bytes() - before
    print(f"a week of {contact.number} pulses: {grown / MEGABYTE:.1f} MB")
    assert grown < 100 * MEGABYTE
    meter.store.rrd.rmdir()
    aside.rename(meter.store.rrd)
    turns(counting, clock, 400)
    assert meter.faults == {}
    assert meter.pulses == contact.number
    found = rates(meter.store.rrd, START + 10, START + 3600 + 7 * 86400)
    assert [rate for rate in found if rate is None or abs(rate - 16.7) > TOLERANCE] == []


def turns(counting: Counting, clock: HandClock, seconds: int) -> None:
    """So long, in turns of 10 s."""
    for _ in range(seconds // 10):
        clock.now += 10
        counting.turn()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
