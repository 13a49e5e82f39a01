"""What is answered at the door of a daemon: its parts are real, its clock is moved by hand."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest
from conftest import START, HandClock, Line, counting_with_door

from powerpi import door, draft
from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse
from powerpi.digests import Unit
from powerpi.errors import RefusedError
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS


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
    with counting_with_door(parts, settings.state):
        yield parts


def test_rows_are_written_for_whoever_asks(parts: Parts, settings: Settings) -> None:
    store = parts.counting.meters["house"].store
    assert store.last_row is None
    assert door.ask(settings.state, "flush") is True
    assert store.last_row
    assert store.last_row.time > START


def test_a_copy_of_a_meters_rows_takes_their_place(parts: Parts, settings: Settings) -> None:
    store = parts.counting.meters["house"].store
    door.ask(settings.state, "flush")
    with draft.begun(store.rrd) as copy:
        Ledger(store.rrd, Lock()).copy(copy)
        unit = Unit(STEP_SECONDS, START - 7200, START - 3600)
        Ledger(copy, Lock()).put(unit, array("d", [0.5] * 360))
        assert door.ask(settings.state, "adopt", meter="house") is True
    assert set(Ledger(store.rrd, Lock()).rows(unit)) == {0.5}
    assert store.edition == 1


@pytest.mark.parametrize(
    ("meter", "said"),
    [
        ("attic", "this PowerPi counts no meter called 'attic'"),
        ("../house", "this PowerPi counts no meter called '../house'"),
        ("house", r"house.rrd.import: No such file or directory"),
    ],
)
def test_what_cannot_take_their_place_is_refused(parts: Parts, settings: Settings, meter: str, said: str) -> None:
    assert door.ask(settings.state, "flush") is True
    with pytest.raises(RefusedError, match=said):
        door.ask(settings.state, "adopt", meter=meter)
    assert parts.counting.meters["house"].store.edition == 0
