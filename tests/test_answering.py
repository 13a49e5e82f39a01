"""What is answered at the door of a daemon: its parts are real, its clock is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import START, HandClock, Line

from powerpi import door
from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\nnetwork_time = no\n[meter house]\ngpio = 24\n")


@pytest.fixture
def parts(settings: Settings, line: Line, clock: HandClock) -> Iterator[Parts]:
    """A house that counted 10 pulses, 10 s apart; its counting and its door run."""
    parts = build(settings, line.factory, clock, Fate())
    line.pin = parts.pins[0]
    for _ in range(10):
        line.pulse(clock.now + 10)
    parts.counting.turn()
    parts.counting.start()
    parts.door.start()
    yield parts
    parts.door.stop()
    parts.counting.stop()
    parts.reader.close()


def test_rows_are_written_for_whoever_asks(parts: Parts, settings: Settings) -> None:
    store = parts.counting.meters["house"].store
    assert store.last_row is None
    assert door.ask(settings.state, "flush") is True
    assert store.last_row
    assert store.last_row.time > START
