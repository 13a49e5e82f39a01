"""What is told of a meter beside its rows: ages instead of times, what is on disk, gaps only when they are news."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest
from conftest import HandClock

from powerpi.anchors import Anchor
from powerpi.config import MeterSettings
from powerpi.gaps import Gap
from powerpi.messages import Push, Rows, State, push_message, read_push
from powerpi.meter import Live
from powerpi.pulses import Contact
from powerpi.telling import Telling

HOUSE = MeterSettings("house", "Haus", 24, 500.0, "up", 10.0, -12.25)
NOW = 1000.0
LIVE = Live(
    taken=NOW - 1,
    begun=400.0,
    pulses=123,
    last_pulse=998.5,
    interval_seconds=7.5,
    rows=(),
    pulses_since=0.0,
    contact=Contact(False, 990.0, rejected=4, lost=2),
    lost_edge=700.0,
    gaps=(),
)
STOPPED, CUT = Gap(10, 20, "stopped"), Gap(30, None, "power_cut")


class Counting:
    """A meter whose live picture the test paints; telling asks for nothing else of it."""

    def __init__(self) -> None:
        self.live = LIVE
        self.stored_pulses = 120
        self.clock = HandClock(monotonic=NOW)
        self.telling = Telling(HOUSE, self, lambda: self.stored_pulses, self.clock.monotonic, 60)

    def state(self, **changes: Any) -> State:
        self.live = self.live._replace(**changes)
        return self.telling.state()


@pytest.fixture
def house() -> Counting:
    return Counting()


def test_everything_is_told_as_it_is_known(house: Counting) -> None:
    assert house.state() == State(
        label="Haus",
        imp_per_kwh=500.0,
        offset_kwh=-12.25,
        pulses=120,
        interval_seconds=7.5,
        last_pulse_age_seconds=1.5,
        begun_age_seconds=600.0,
        contact_closed_age_seconds=None,
        edges_rejected=4,
        edges_lost=2,
        lost_edge_age_seconds=300.0,
        push_seconds=60,
        gaps=(),
    )


def test_the_offset_is_that_of_the_newest_noted_reading(house: Counting) -> None:
    # 100 kWh on the display at 60 pulses, 0.12 kWh at 500 imp/kWh
    read = (Anchor(10, 5_000.0, 10.0), Anchor(20, 100_000.0, 60.0))
    assert house.state(anchors=read).offset_kwh == pytest.approx(100 - 0.12)


def test_no_more_pulses_are_told_than_are_on_disk(house: Counting) -> None:
    assert house.state(pulses=10_000).pulses == 120  # a power cut takes what is not, and the mirror never goes back
    house.stored_pulses = 10_000
    assert house.state().pulses == 10_000


def test_what_was_never_seen_is_unknown(house: Counting) -> None:
    state = house.state(last_pulse=None, interval_seconds=None, lost_edge=None)
    assert (state.last_pulse_age_seconds, state.interval_seconds, state.lost_edge_age_seconds) == (None, None, None)


def test_ages_grow_with_the_clock(house: Counting) -> None:
    house.clock.now += 100
    state = house.state()
    assert (state.last_pulse_age_seconds, state.begun_age_seconds, state.lost_edge_age_seconds) == (101.5, 700.0, 400.0)


def test_no_age_is_below_zero(house: Counting) -> None:
    """An edge may be newer than the moment at which this thread looked at the clock."""
    state = house.state(last_pulse=NOW + 1, begun=NOW + 1, lost_edge=NOW + 1, contact=Contact(True, NOW + 1))
    assert state.last_pulse_age_seconds == state.begun_age_seconds == state.lost_edge_age_seconds == 0.0
    assert state.contact_closed_age_seconds == 0.0


@pytest.mark.parametrize(
    ("contact", "seconds"),
    [
        (Contact(True, 940.0), 60.0),
        (Contact(True, None), 600.0),  # it was closed when counting began
        (Contact(False, 940.0), None),
        (Contact(False, None), None),
    ],
)
def test_a_closed_contact_is_told_since_when(house: Counting, contact: Contact, seconds: float | None) -> None:
    assert house.state(contact=contact).contact_closed_age_seconds == seconds


# ---------------------------------------------------------------- gaps


def test_gaps_are_told_until_the_mirror_has_them(house: Counting) -> None:
    assert house.state(gaps=(STOPPED,)).gaps == (STOPPED,)
    assert house.state().gaps == (STOPPED,)  # whether the first message arrived nobody knows
    house.telling.told()
    assert house.state().gaps is None


def test_no_gaps_at_all_is_news_at_first(house: Counting) -> None:
    assert house.state().gaps == ()
    house.telling.told()
    assert house.state().gaps is None


def test_a_new_gap_is_told_with_all_others(house: Counting) -> None:
    house.state(gaps=(STOPPED,))
    house.telling.told()
    assert house.state(gaps=(STOPPED, CUT)).gaps == (STOPPED, CUT)
    house.telling.told()
    ended = CUT._replace(end=40)
    assert house.state(gaps=(STOPPED, ended)).gaps == (STOPPED, ended)


def test_a_gap_that_came_after_the_message_was_made_is_still_news(house: Counting) -> None:
    house.state(gaps=(STOPPED,))
    house.live = house.live._replace(gaps=(STOPPED, CUT))
    house.telling.told()
    assert house.state().gaps == (STOPPED, CUT)


def test_all_gaps_are_told_again_to_a_mirror_that_may_be_another(house: Counting) -> None:
    house.state(gaps=(STOPPED,))
    house.telling.told()
    house.telling.forget()
    assert house.state().gaps == (STOPPED,)


def test_what_is_told_is_what_a_mirror_takes(house: Counting) -> None:
    state = house.state(gaps=(STOPPED, CUT), contact=Contact(True, 940.0, rejected=1, lost=1))
    push = Push(Rows(10, 0, array("d")), None, state)
    assert read_push(json.loads(json.dumps(push_message(push)))) == push
