"""What is written to the card while nobody looks, and what a power cut costs.

A real ext4 (blocks of 4096 bytes, default mount options) in a file on a loop device, a state folder with a year of
history on it, freshly mounted as after a boot; the real Store, Meter and Counting, the clock moved by hand, a constant
load, a turn a second. Bytes are sectors (512 bytes) that the block device was told to write (/sys/block/loopN/stat),
journal and metadata included, divided by the days of the clock. Simulated time runs hundreds of times faster than the
kernel's own timers (journal every 5 s, dirty pages after 30 s), so the file system is synced every 30 simulated
seconds: what the kernel would write by itself later is in the figures. (The daemon in real time, without any sync from
outside, agreed within 5 % over nine minutes.) Most of it is not data: each write changes the file's time stamps, for
which the journal takes three blocks and the table of inodes one.

Power cuts: at random instants the file behind the loop device is copied, which is what had reached the device; the copy
is mounted (ext4 replays its journal), the counter is restored by Store.open and compared with what was counted. Nothing
is synced there but by PowerPi itself: the worst case. Half of the cuts happen at the load of the table, half at the
greatest one that S0 can say, where a second of lost pulses shows best. The instants lie between turns: a write that is
cut in its middle is not seen here.

Needs root, loop devices and ext4; says why when it cannot. Log lines of the service manager are not PowerPi's files.
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from powerpi.counting import Counting, Timing
from powerpi.demo import GPIO, METER
from powerpi.meter import Meter
from powerpi.periods import PERIODS
from powerpi.pin import Pin
from powerpi.pulses import STEP_SECONDS
from powerpi.store import Store
from tests.bench.capture import died
from tests.bench.common import Figure, HandClock, at_most, clocked_factory, fill, folder, progress, settings
from tests.bench.graphs import Twin

IMAGE_BYTES = 512_000_000
SECTOR_BYTES = 512  # of /sys/block/*/stat, whatever the device
SIMULATED_SECONDS = 6 * 3600
SYNC_SECONDS = 30
PULSE_SECONDS = 7.2  # 500 W at 1000 imp/kWh
FAST_PULSE_SECONDS = 0.06  # EN 62053-31: 30 ms closed and 30 ms open at least
CLOSED_SECONDS = 0.030
DEFAULTS = Timing(300, 60, 900)
GOAL_MB = 16.0
CUTS = 12  # at each load
CUT_SECONDS = 3600  # of the clock, in which they happen
GOAL_CURVE_SECONDS = DEFAULTS.flush_seconds
AROUND = tuple(Timing(flush, 60, 900) for flush in (10, 60, 900)) + tuple(
    Timing(300, wait, 900) for wait in (10, 120, 300)
)
PEERS = (
    ("RRD updates with fsync every 10 / 60 / 300 s", "192 / 42 / 9 MB"),
    ("emoncms", "148 MB"),
    ("volkszaehler", "172 MB"),
    ("weewx", "409 MB"),
    ("the system that PowerPi replaces", "600 MB"),
)


def measure() -> list[Figure]:
    """All figures of this subject."""
    if os.geteuid() != 0:
        return [Figure("not measured: loop devices need root", "")]
    with folder() as files:
        try:
            image = make_image(files)
            with mounted(image):
                pass
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            return [Figure(f"not measured: no ext4 on a loop device here ({error})", "")]
        return [*writes(image), *losses(image, files), *peers()]


def command(*words: str) -> str:
    """Run a program that has to succeed; its output."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def make_image(files: Path) -> Path:
    """A file with an ext4 as on a card: large blocks, nothing left to be initialised later."""
    image = files / "card"
    with image.open("wb") as card:
        card.truncate(IMAGE_BYTES)
    command("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    return image


class Disk(NamedTuple):
    """A mounted file system and its block device."""

    folder: Path
    device: str

    def written_bytes(self) -> int:
        """What the device was told to write so far."""
        fields = Path(f"/sys/block/{self.device}/stat").read_text().split()
        return int(fields[6]) * SECTOR_BYTES

    def sync(self) -> None:
        """Write out all that this file system still holds back."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        ctypes.CDLL(None).syncfs(descriptor)
        os.close(descriptor)


@contextmanager
def mounted(image: Path) -> Iterator[Disk]:
    """The file system in an image."""
    device = command("losetup", "--find", "--show", str(image))
    place = image.with_suffix(".mounted")
    place.mkdir(exist_ok=True)
    try:
        command("mount", device, str(place))
        try:
            yield Disk(place, Path(device).name)
        finally:
            command("umount", str(place))
    finally:
        command("losetup", "--detach", device)


class Bench:
    """The counting on a file system, with a clock moved by hand and a constant load."""

    def __init__(self, state: Path, timing: Timing, pulse_seconds: float) -> None:
        store = Store(state, METER, 20, Lock())
        store.open(0)
        assert store.last_row
        self.clock = HandClock(store.last_row.time + 4 * STEP_SECONDS)
        factory = clocked_factory(self.clock)
        self.meter = Meter(METER, Pin(factory, GPIO, "up"), store, 0.010, 0)
        self._counting = Counting([self.meter], self.clock, timing, died)
        self._contact: Any = factory.pin(GPIO)
        self._pulse_seconds = pulse_seconds
        self._due = self.clock.now + pulse_seconds
        self._second = self.clock.now
        self.pulse_times: list[float] = []

    def second(self) -> None:
        """A second of pulses, and the turn at its end."""
        self._second += 1
        while self._due + CLOSED_SECONDS <= self._second:
            self.clock.now = self._due
            self._contact.drive_low()
            self.clock.now += CLOSED_SECONDS
            self._contact.drive_high()
            self.pulse_times.append(self._due)
            self._due += self._pulse_seconds
        self.clock.now = self._second
        self._contact.clear_states()
        self._counting.turn()

    def run(self, seconds: int, each: Callable[[int], None]) -> None:
        """Some time, and `each(second)` after each turn."""
        for second in range(seconds):
            self.second()
            each(second)

    def wall(self) -> float:
        """Unix seconds."""
        return self.clock.now + self.clock.ahead


def prepare(image: Path) -> None:
    """Put a year of history on the card, and forget all other traces."""
    with mounted(image) as disk:
        for old in disk.folder.glob(f"{METER}.*"):
            old.unlink()
        fill(disk.folder)


def megabytes_a_day(image: Path, timing: Timing, first: Callable[[Path], None] = lambda _: None) -> float:
    """MB a day with those settings; `first` does something else on the disk beforehand."""
    with mounted(image) as disk:
        bench = Bench(disk.folder, timing, PULSE_SECONDS)
        first(disk.folder)
        bench.run(int(timing.flush_seconds), lambda _: None)  # the first batch meets cold caches
        disk.sync()
        before = disk.written_bytes()
        bench.run(SIMULATED_SECONDS, lambda second: None if second % SYNC_SECONDS else disk.sync())
        disk.sync()
        assert bench.meter.pulses >= SIMULATED_SECONDS // PULSE_SECONDS
        return (disk.written_bytes() - before) / SIMULATED_SECONDS * 86400 / 1e6


def draw_all(state: Path) -> None:
    """Let every graph of the file be drawn by the daemon's child."""
    twin = Twin(settings(state))
    for name in PERIODS:
        twin.arguments(name, twin.newest_time, 900)
    twin.close()


def writes(image: Path) -> list[Figure]:
    """MB a day at the default settings and round them."""
    progress("bytes written to a block device")
    prepare(image)
    mb = "{:.1f} MB a day".format
    told = f"flush {DEFAULTS.flush_seconds} s, register {DEFAULTS.register_seconds} s (default)"
    lines = [at_most(told, megabytes_a_day(image, DEFAULTS), GOAL_MB, mb)]
    drawn = megabytes_a_day(image, DEFAULTS, first=draw_all)
    lines.append(at_most("the same, after all graphs were drawn", drawn, GOAL_MB, mb))
    for timing in AROUND:
        told = f"flush {timing.flush_seconds} s, register {timing.register_seconds} s"
        lines.append(Figure(told, mb(megabytes_a_day(image, timing))))
    return lines


class Loss(NamedTuple):
    """What a power cut cost, in seconds: pulses of the lifetime counter, and the curve."""

    counted: float
    curve: float


def loss(cut: Path, bench: Bench) -> Loss:
    """What is missing in a copy of the device."""
    with mounted(cut) as disk:
        store = Store(disk.folder, METER, 20, Lock())
        counter, notes = store.open(0)
        assert not notes, notes
        assert store.last_row
    lost = bench.meter.pulses - counter
    assert 0 <= lost <= len(bench.pulse_times)
    oldest = bench.pulse_times[-lost] if lost else bench.clock.now
    return Loss(bench.clock.now - oldest, bench.wall() - store.last_row.time)


def cut_losses(image: Path, files: Path, pulse_seconds: float) -> list[Loss]:
    """Cut the power at random instants of a run; each copy is looked at by itself."""
    dice = random.Random(1)
    start = int(DEFAULTS.flush_seconds)  # before the first flush nothing of this run is on disk, nor promised
    instants = {*dice.sample(range(start, CUT_SECONDS), CUTS)}
    found = []
    with mounted(image) as disk:
        bench = Bench(disk.folder, DEFAULTS, pulse_seconds)

        def maybe_cut(second: int) -> None:
            if second in instants:
                cut = files / "cut"
                command("cp", "--sparse=always", str(image), str(cut))
                found.append(loss(cut, bench))

        bench.run(CUT_SECONDS, maybe_cut)
    return found


def losses(image: Path, files: Path) -> list[Figure]:
    """What the cuts cost at worst."""
    progress("power cuts")
    slow, fast = (cut_losses(image, files, seconds) for seconds in (PULSE_SECONDS, FAST_PULSE_SECONDS))
    every = [*slow, *fast]
    counted = max(one.counted for one in every)
    seconds = "{:.1f} s".format
    wait = DEFAULTS.flush_seconds + STEP_SECONDS
    return [
        at_most(f"counted pulses lost, worst of {len(every)} power cuts", counted, DEFAULTS.register_seconds, seconds),
        curve_figure("500 W", slow, wait + PULSE_SECONDS),
        curve_figure("S0's greatest load", fast, wait + FAST_PULSE_SECONDS),
    ]


def curve_figure(load: str, seen: Sequence[Loss], goal: float) -> Figure:
    """The curve's loss at one load; a row waits for the end of its step and for the next pulse."""
    worst = max(one.curve for one in seen)
    return at_most(f"curve lost at {load}, worst of {len(seen)}", worst, goal, "{:.1f} s".format)


def peers() -> list[Figure]:
    """What others write, from measurements that were made elsewhere."""
    return [Figure(f"{name} (measured elsewhere)", value) for name, value in PEERS]
