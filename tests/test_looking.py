"""What the PowerPi that runs tells `powerpi check` at its door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import HandClock, Line, counting_with_door, wait_for_door

from powerpi import __version__, door
from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse
from powerpi.errors import RefusedError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\n[meter house]\ngpio = 24\n")


@pytest.fixture
def parts(settings: Settings, line: Line) -> Iterator[Parts]:
    parts = build(settings, line.factory, line.clock, Fate())
    line.pin = parts.pins[0]
    with counting_with_door(parts, settings.state):
        parts.counting.flush(5)
        yield parts


def test_it_tells_how_it_is(parts: Parts, settings: Settings) -> None:
    assert parts.counting.is_alive()
    assert door.ask(settings.state, "health") == {
        "status": "ok",
        "faults": [],
        "warnings": [],
        "version": __version__,
        "clock": {"trusted": True, "waiting": False},
    }


def test_it_tells_that_it_waits_for_the_clock(settings: Settings) -> None:
    line = Line(HandClock(trusted=False))
    parts = build(settings, line.factory, line.clock, Fate())
    parts.door.start()
    parts.counting.start()
    try:
        wait_for_door(settings.state)
        parts.counting.flush(5)
        said = door.ask(settings.state, "health")
        assert said["clock"] == {"trusted": False, "waiting": True}
        assert said["warnings"][0].startswith("The clock is not set yet.")
        assert door.ask(settings.state, "contacts", after={})["offset"] is None
    finally:
        parts.door.stop()
        parts.counting.stop()
        parts.reader.close()


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("after", [None, [1], {"house": "soon"}], ids=["none", "list", "text"])
def test_what_makes_no_sense_is_refused(settings: Settings, after: object) -> None:
    with pytest.raises(RefusedError):
        door.ask(settings.state, "contacts", after=after)
