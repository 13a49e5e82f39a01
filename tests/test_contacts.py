"""What the contacts do: on mock pins here, and through the door of a daemon's real parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import START, ClockedFactory, HandClock, Line, counting_with_door

from powerpi import contacts
from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse
from powerpi.contacts import Asking, Listening, Sights, message, open_source, read
from powerpi.errors import NobodyError, PinError
from powerpi.folder import locked_folder
from powerpi.pulse_health import Seen


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\nnetwork_time = no\n"
        "[meter house]\ngpio = 24\n[meter shed]\ngpio = 25\nimp_per_kwh = 100\n"
    )


@pytest.fixture
def parts(settings: Settings, line: Line) -> Iterator[Parts]:
    """A daemon's parts, of which counting and door run."""
    parts = build(settings, line.factory, line.clock, Fate())
    line.pin = parts.pins[0]
    with counting_with_door(parts, settings.state):
        yield parts


def use_factory(monkeypatch: pytest.MonkeyPatch, factory: object) -> None:
    monkeypatch.setattr(contacts, "open_factory", lambda: factory)


# ---------------------------------------------------------------- by listening here


def test_closings_are_seen_with_the_level_and_none_twice(settings: Settings, line: Line) -> None:
    listening = Listening(line.factory, settings.meters, line.clock)
    line.pulse(1010)
    line.pulse(1011, width=0.003)
    first = listening.look({})
    assert (first.now, first.offset) == (line.clock.now, START - 1000)
    house = first.meters["house"]
    assert (house.begun, house.closed, house.pulses, house.lost) == (1000, False, 1, 0)
    assert house.since == pytest.approx(1011.003)
    assert house.seen == Seen(
        (pytest.approx((1010, 1010.03)),), (pytest.approx((1011, 1011.003)),), (), 10.0
    )  # fmt: skip
    assert first.meters["shed"].pulses == 0

    line.pulse(1020)
    line.close()
    second = listening.look({"house": 1011.003}).meters["house"]
    assert (second.closed, second.pulses) == (True, 2)
    assert second.seen.pulses == (pytest.approx((1020, 1020.03)),)
    assert second.seen.rejected == ()
    assert listening.look({"house": second.seen.pulses[0][1]}).meters["house"].seen.pulses == ()


def test_a_contact_that_is_closed_at_first_is_no_pulse(settings: Settings, line: Line) -> None:
    line.close()
    listening = Listening(line.factory, settings.meters, line.clock)
    line.clock.now += 5
    line.open()
    seen = listening.look({}).meters["house"]
    assert (seen.pulses, seen.closed, seen.seen.pulses) == (0, False, ())


def test_a_pin_that_is_refused_lets_go_of_those_before(line: Line) -> None:
    meters = parse("[powerpi]\n[meter a]\ngpio = 24\n[meter b]\ngpio = 2\npull = down\n").meters
    with pytest.raises(PinError, match="GPIO2"):
        Listening(line.factory, meters, line.clock)
    assert line.factory.pin(24).when_changed is None


# ---------------------------------------------------------------- by the PowerPi that runs


def test_what_is_seen_survives_its_way_as_json(settings: Settings, line: Line) -> None:
    listening = Listening(line.factory, settings.meters, line.clock)
    for number in range(5):
        line.pulse(1010 + number)
    sights = listening.look({})
    assert read(json.loads(json.dumps(message(sights)))) == sights


def test_the_powerpi_that_runs_is_asked(settings: Settings, parts: Parts, line: Line) -> None:
    line.pulse(1010)
    line.pulse(1020)
    parts.counting.flush(5)
    source = open_source(settings, line.clock)
    assert source.running
    sights = source.look({"house": 1015.0})
    assert sights.offset == START - 1000
    assert sights.meters["house"].pulses == 2
    assert sights.meters["house"].seen.pulses == (pytest.approx((1020, 1020.03)),)
    assert sights.meters["shed"].seen == Seen(min_pulse_ms=10.0)
    source.close()


def test_being_asked_makes_it_look_again_soon(settings: Settings, parts: Parts, line: Line) -> None:
    parts.counting.flush(5)
    asking = Asking(settings.state)
    line.pulse(1010)

    def counted() -> bool:
        return asking.look({}).meters["house"].pulses == 1

    assert any(counted() for _ in range(200))  # far less than the second until the thread looks by itself


def test_nobody_who_runs_leaves_the_pins_to_this_command(
    settings: Settings, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_factory(monkeypatch, ClockedFactory(clock))
    source = open_source(settings, clock)
    assert not source.running
    assert isinstance(source.look({}), Sights)
    source.close()


def test_a_powerpi_that_runs_and_does_not_answer_keeps_its_pins(settings: Settings, clock: HandClock) -> None:
    with locked_folder(settings.state), pytest.raises(NobodyError):
        open_source(settings, clock)
