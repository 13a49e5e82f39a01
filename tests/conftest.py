"""What several tests share: clocks moved by hand, pins of gpiozero's mock factory, real RRDs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPin
from gpiozero.pins.pi import PiPin

from powerpi import door
from powerpi.building import Parts
from powerpi.clock import Clock
from powerpi.errors import NobodyError
from powerpi.lines import LINE_EVENT, RISING_EDGE
from powerpi.pin import KernelFactory, Pin
from powerpi.store import Store

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared"
START = 1_700_000_000  # 2023-11-14 22:13:20 UTC, on the grid

os.environ.setdefault("LC_ALL", "C.UTF-8")


class HandClock:
    """A clock that stands still until it is moved; satisfies powerpi.clock.Clock."""

    def __init__(self, wall: float = START, monotonic: float = 1000.0, trusted: bool = True) -> None:
        self.now = monotonic
        self.ahead = wall - monotonic
        self.is_trusted = trusted

    def monotonic(self) -> float:
        return self.now

    def offset(self) -> float:
        return self.ahead

    def trusted(self) -> bool:
        return self.is_trusted

    def wall(self) -> float:
        return self.now + self.ahead


class ClockedFactory(MockFactory):
    """gpiozero's mock factory whose edges carry the time of a clock moved by hand."""

    def __init__(self, clock: Clock) -> None:
        class ClockedPin(MockPin):
            def _call_when_changed(self) -> None:
                PiPin._call_when_changed(self, clock.monotonic(), self._state)  # in 2.0 the factory is not asked

        super().__init__(pin_class=ClockedPin)
        self.pins = {}  # gpiozero's factories share theirs


class PipeChip:
    """What the kernel does when a line is requested: hands out a descriptor, here a pipe's end; the level is `high`."""

    def __init__(self) -> None:
        self.high = True
        self.requests: list[tuple[Path, int, str, str]] = []
        self._writing = -1
        self._sequence = 0

    def request(self, *request: Any) -> int:
        self.requests.append(request)
        reading, self._writing = os.pipe2(os.O_NONBLOCK)
        return reading

    def edge(self, time: float, high: bool, lost: int = 0) -> None:
        self.high = high
        self._sequence += 1 + lost
        kind = RISING_EDGE if high else RISING_EDGE + 1
        os.write(self._writing, LINE_EVENT.pack(round(time * 1e9), kind, 24, 0, self._sequence))


class Line:
    """A contact on a mock pin, and the means to close it: pull up, so low is closed."""

    def __init__(self, clock: HandClock, gpio: int = 24) -> None:
        self.clock = clock
        self.factory = ClockedFactory(clock)
        self.gpio = gpio
        self.pin = Pin(self.factory, gpio, "up")
        self._contact = self.factory.pin(gpio)

    def close(self) -> None:
        self._contact.drive_low()

    def open(self) -> None:
        self._contact.drive_high()

    def pulse(self, time: float | None = None, width: float = 0.03) -> None:
        """One pulse that begins at `time` (CLOCK_MONOTONIC), or now; the clock is moved to its end."""
        self.clock.now = self.clock.now if time is None else time
        self.close()
        self.clock.now += width
        self.open()

    def pulses(self, times: Iterable[float]) -> None:
        for time in times:
            self.pulse(time)


def wait_for_door(folder: Path) -> None:
    """Wait until the door that was just started in a state folder is open."""
    for _ in range(500):
        try:
            door.ask(folder, "health")
        except NobodyError:
            threading.Event().wait(0.01)
        else:
            return
    raise AssertionError("the door never opened")


@contextmanager
def counting_with_door(parts: Parts, folder: Path) -> Iterator[None]:
    """Let a daemon's parts count and answer at the door of a state folder meanwhile."""
    parts.counting.start()
    parts.door.start()
    try:
        wait_for_door(folder)
        yield
    finally:
        parts.door.stop()
        parts.counting.stop()
        parts.reader.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def line(clock: HandClock) -> Line:
    return Line(clock)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> PipeChip:
    """Lets KernelFactory find a chip."""
    chip = PipeChip()
    monkeypatch.setattr("powerpi.pin.request_line", chip.request)
    monkeypatch.setattr("powerpi.lines.Line.high", lambda _: chip.high)
    monkeypatch.setattr(KernelFactory, "_get_revision", lambda _: 0xC03114)  # a Pi 4B
    return chip


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Store]:
    """Opens (again) the store of a meter in the test's folder."""

    def make(meter: str = "house", archive_years: int = 20, gate: Any = None) -> Store:
        return Store(tmp_path, meter, archive_years, gate or threading.Lock())

    return make


@pytest.fixture
def household_minutes() -> Path:
    """The recorded household that lies beside the checkout of those who build PowerPi."""
    path = SHARED / "data" / "household-minutes.csv"
    if not path.exists():
        pytest.skip("the recorded household (shared/data) is not beside this checkout")
    return path
