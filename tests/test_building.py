"""What the daemon is built of: counters restored, nothing started, one reason why a process ends."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from conftest import HandClock, Line

from powerpi.building import EXIT_DIED, EXIT_OK, Fate, build
from powerpi.config import parse

METERS = "[meter house]\ngpio = 24\n[meter shed]\ngpio = 25\n"


def test_counters_are_restored_and_nothing_runs_yet(tmp_path: Path, line: Line, clock: HandClock) -> None:
    settings = parse(f"[powerpi]\nstate = {tmp_path}\nnetwork_time = no\n{METERS}")
    threads = threading.active_count()
    first = build(settings, line.factory, clock, Fate())
    line.pin = first.pins[0]
    line.pulse(clock.now + 5)
    line.pulse(clock.now + 5)
    first.counting.turn()
    first.counting.last_turn()
    for pin in first.pins:
        pin.close()
    second = build(settings, line.factory, clock, Fate())
    assert {name: meter.pulses for name, meter in second.counting.meters.items()} == {"house": 2, "shed": 0}
    assert (second.mirror, second.push) == (None, None)
    assert threading.active_count() == threads


def test_a_thread_that_dies_asks_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr("os.kill", lambda _, number: signals.append(number))
    fate = Fate()
    assert fate.exit_code == EXIT_OK
    fate.died("pulses", ValueError("x"))
    assert (fate.exit_code, signals) == (EXIT_DIED, [signal.SIGTERM])
