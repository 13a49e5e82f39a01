"""kill -9 at any moment: what was acknowledged is there, what is known is true, and nothing is invented.

The processes that are killed count in virtual time (killed.py): a real contact on a mock pin, the real counting, a real
RRD and register. They say what they send and what is on disk; after each kill the files are held against that.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from select import select

import pytest
from conftest import START
from test_daemon import Process
from test_store import rates

from powerpi import layout, register, undo
from powerpi.pulses import STEP_SECONDS, Row, next_boundary
from powerpi.store import Store

HERE = Path(__file__).parent
SEED = int(os.environ.get("KILLS_SEED", Random().randrange(1 << 32)))
HOUSES = 11
LIVES = 20  # a house
DAEMONS = 10
LIBRRD_KILLS = 100
LONGEST_SECONDS = (0.03, 0.12, 0.4)  # of real time until a kill: a quarter hour, an hour, some hours of virtual time
# each row is stored with six decimals: two of them are off by half of the last one at most, and their difference by one
TOLERANCE = 1.1e-6


NOT_OPENED = -1  # killed before that


@dataclass
class Life:
    """What one process said before it was killed."""

    opened: int = NOT_OPENED  # the counter restored
    notes: str = ""
    pulses: list[float] = field(default_factory=list)  # Unix seconds
    register: int = 0
    row: tuple[int, float] = (0, 0.0)
    now: float = 0.0

    def hear(self, words: list[str]) -> None:
        match words:
            case ["opened", pulses, *notes]:
                self.opened, self.notes = int(pulses), " ".join(notes)
            case ["second", time]:
                self.now = float(time)
            case ["pulse", time]:
                self.pulses.append(float(time))
            case ["register", pulses]:
                self.register = int(pulses)
            case ["row", time, pulses]:
                self.row = (int(time), float(pulses))

    @property
    def acknowledged(self) -> int:
        """The least that the next process must restore."""
        return max(self.register, -int(-self.row[1] // 1))

    def truth(self, time: int) -> float:
        """The counter at a time between the first pulse and the last."""
        after = bisect_left(self.pulses, time)
        begin, end = self.pulses[after - 1], self.pulses[after]
        return self.opened + after + (time - begin) / (end - begin)

    def steps(self, newest_before: int, newest: Row) -> dict[int, float]:
        """The pulses in each step that this life made known, by its end: from its first row to its newest."""
        first = next_boundary(self.pulses[0])
        while first <= newest_before + STEP_SECONDS:  # the step in which it was started stays unknown
            first += STEP_SECONDS
        assert first <= newest.time <= self.pulses[-1]
        assert abs(newest.pulses - self.truth(newest.time)) <= TOLERANCE
        ends = range(first + STEP_SECONDS, newest.time + STEP_SECONDS, STEP_SECONDS)
        return {end: self.truth(end) - self.truth(end - STEP_SECONDS) for end in ends}


class Nursery:
    """Processes to kill."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "killed.py")],
            env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._rest = b""

    def life(self, folder: Path, seed: int | None, wall: float, seconds: float) -> Life:
        """A life from `wall` (Unix seconds) on, ended by kill -9 after so many seconds of real time."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"folder": str(folder), "seed": seed, "wall": wall}).encode() + b"\n")
        self.process.stdin.flush()
        life, deadline, child = Life(now=wall), time.monotonic() + 30, 0
        while True:
            for words in self._heard(deadline):
                if words[0] == "died":  # the last line of a life
                    assert words == ["died", str(-signal.SIGKILL)], "it was not the kill that ended it"
                    return life
                if words[0] == "born":
                    child, deadline = int(words[1]), time.monotonic() + seconds
                life.hear(words)
            if time.monotonic() >= deadline:
                assert child, "no process was born"
                os.kill(child, signal.SIGKILL)
                deadline = time.monotonic() + 30

    def _heard(self, deadline: float) -> list[list[str]]:
        """The lines that came since the last call, or until the deadline."""
        assert self.process.stdout
        if select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            self._rest += os.read(self.process.stdout.fileno(), 1 << 16)
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode().split() for line in lines]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.process.kill()
    nursery.process.communicate()


class House:
    """A state folder and the truth about it, life after life."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.wall = float(START)  # Unix seconds
        self.restored = 0
        self.newest = START - STEP_SECONDS  # row in the RRD
        self.known: dict[int, float] = {}  # pulses in each step that must be known, by its end
        self.sent = 0
        self.between = 0.0  # pulses before each life's first row, and pending at its kill

    def store(self) -> Store:
        return Store(self.folder, "house", 1, threading.Lock())

    def bury(self, life: Life) -> None:
        """Hold the files against what a process said that is dead now."""
        assert life.opened in (NOT_OPENED, self.restored)
        assert life.notes == ""
        store = self.store()
        restored, notes = store.open(START)
        assert notes == []  # nothing was set aside
        assert max(self.restored, life.acknowledged) <= restored <= self.restored + len(life.pulses)
        self.hold_rows(life, store.last_row or Row(self.newest, 0))
        self.restored = restored
        self.sent += len(life.pulses)
        self.wall = life.now

    def hold_rows(self, life: Life, newest: Row) -> None:
        """Hold the rows since the last life against the pulses."""
        assert newest.time >= life.row[0]
        known: dict[int, float] = {}
        self.between += len(life.pulses)
        if newest.time > self.newest:
            known = life.steps(self.newest, newest)
            self.between -= math.fsum(known.values())
        hold(self.stored(self.newest, life.now), known)
        self.known |= known
        self.newest = newest.time

    def stored(self, begin: int, end: float) -> dict[int, float]:
        """The pulses in each known step of the RRD, by its end."""
        found = rates(self.folder / "house.rrd", begin, next_boundary(end + STEP_SECONDS))
        return {begin + STEP_SECONDS * n: rate * STEP_SECONDS for n, rate in enumerate(found, 1) if rate is not None}


def hold(found: dict[int, float], known: dict[int, float]) -> None:
    """These steps are known, with so many pulses each, and no other: no spike, nothing negative."""
    assert found.keys() == known.keys()
    assert {end: (found[end], true) for end, true in known.items() if abs(found[end] - true) > TOLERANCE} == {}


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    """Half of them on the disk, where most kills fall into a wait for it, half in memory: more fall into librrd."""
    memory = Path("/dev/shm")
    usable = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > HOUSES * 30_000_000
    with tempfile.TemporaryDirectory(dir=memory if usable else tmp_path) as fast:
        yield [(tmp_path if number % 2 else Path(fast)) / str(number) for number in range(HOUSES)]


def test_220_kills_lose_nothing_that_was_acknowledged_and_invent_nothing(nursery: Nursery, folders: list[Path]) -> None:
    random = Random(SEED)
    print(f"KILLS_SEED={SEED}")
    for number, folder in enumerate(folders):
        house = House(folder)
        for _ in range(LIVES):
            seconds = random.uniform(0, random.choice(LONGEST_SECONDS))
            house.bury(nursery.life(house.folder, random.randrange(1 << 32), house.wall, seconds))
            house.wall += random.choice((1.5, random.uniform(2, 900)))  # down for so long
        stored = house.stored(START - STEP_SECONDS, house.wall)
        hold(stored, house.known)  # later lives left it as it was
        in_rows = math.fsum(stored.values())
        assert in_rows + house.between == pytest.approx(house.sent, abs=TOLERANCE * (1 + len(stored)))
        print(f"house {number}: {house.sent} sent, {in_rows:.1f} in {len(stored)} rows, {house.restored} restored")
        assert {path.suffix for path in house.folder.iterdir()} <= {".rrd", ".register", ".gaps", ".undo", ".new"}


def test_a_process_killed_within_librrd_leaves_every_row_in_its_place(nursery: Nursery, folders: list[Path]) -> None:
    """librrd changes the header in mapped memory, field by field; half changed, it moves all rows by a step."""
    random = Random(SEED)
    folder, torn = folders[0], 0
    folder.mkdir()
    store = Store(folder, "house", 1, threading.Lock())
    store.open(START)
    store.write([Row(START + 10, 1.5), Row(START + 20, 3.0)])
    acknowledged = Row(START + 20, 3)
    for kills in range(5 * LIBRRD_KILLS):
        if kills >= LIBRRD_KILLS and torn:
            break
        life = nursery.life(folder, None, START, random.uniform(0.01, 0.05))
        assert life.opened in (NOT_OPENED, math.ceil(acknowledged.pulses))
        head = layout.read_head(folder / "house.rrd")
        unfinished = undo.read(folder / "house.undo")
        torn += unfinished is not None and layout.is_torn(*head, *unfinished)
        store = Store(folder, "house", 1, threading.Lock())
        restored, notes = store.open(START)
        newest = store.last_row or acknowledged
        assert notes == []
        assert newest.time >= max(life.row[0], acknowledged.time)
        assert newest.pulses == 1.5 * (newest.time - START) / STEP_SECONDS
        newest_rows = rates(store.rrd, max(newest.time - 100_000, START + STEP_SECONDS), newest.time)
        assert {rate is not None and round(rate, 6) for rate in newest_rows} <= {0.15}
        assert rates(store.rrd, newest.time, newest.time + 100) == [None] * 10
        acknowledged = Row(newest.time, restored)
    print(f"{torn} of {kills} kills left a header half changed")
    assert torn > 0


def test_10_kills_of_the_real_daemon(tmp_path: Path) -> None:
    """50 kW at 1000 imp/kWh, a pulse every 72 ms: killed after up to 3 s, restored every time to what was on disk."""
    random = Random(SEED)
    load, state = tmp_path / "load.csv", tmp_path / "state"
    load.write_text("minute,watts\n2024-01-01T00:00:00,50000\n")
    arguments = ("demo", "--port", "0", "--empty", "--load", str(load), "--state", str(state))
    shown = on_disk = 0
    for _ in range(DAEMONS):
        process = Process(arguments)
        try:
            [restored] = process.said(r"counter at (\d+) pulses").groups()
            assert on_disk <= int(restored) <= shown
            time.sleep(random.uniform(0, 3))
            process.get("/house/hour.png")  # has the rows written
            shown = json.loads(process.get("/api/v1/meters/house"))["meter_reading_watt_hours"]
        finally:
            process.end(signal.SIGKILL)
        header, slot = layout.read(state / "house.rrd"), register.read(state / "house.register")
        on_disk = max(math.ceil(header.last_pulses or 0), slot.pulses if slot else 0)
        assert on_disk >= int(restored)
        assert list(state.glob("*.damaged-*")) == []
