"""Which readings can be noted, which are doubtful, and what becomes of those that are there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

import pytest
from conftest import START

from powerpi import noting
from powerpi.anchors import Anchor, Noted, path_of
from powerpi.config import MeterSettings
from powerpi.errors import RefusedError, StoreError
from powerpi.gaps import Gap
from powerpi.ledger import Ledger
from powerpi.noting import Answer, Place, Present, Wish, fulfil
from powerpi.pulses import Knot, Row
from powerpi.store import Store

HOUR = 3600
KWH = 1000.0
NOW = START + 10 * HOUR + 4


class House:
    """10 hours at 10 kW, 100 000 pulses, at 1000 imp/kWh: 10 pulses (10 Wh) in 3.6 s; and what is noted of it."""

    def __init__(self, store: Store, offset_kwh: float = 0.0) -> None:
        store.open(START - 10)
        store.write([Row(START, 0.0)])
        self.ledger = Ledger(store.rrd, Lock())
        self.ledger.append(START, [100 / 36] * HOUR, 100_000.0)
        self.noted = Noted(path_of(store.rrd))
        self.now = Knot(NOW, 100_010.5)
        self.gaps: tuple[Gap, ...] = ()
        self.published = 0
        self.held = True
        meter = MeterSettings("house", "Haus", 24, 1000.0, "up", 10.0, offset_kwh)
        self.place = Place(meter, ZoneInfo("UTC"), self.noted, self.ledger, self.present, self.publish, self.hold)

    def present(self, _: bool) -> Present:
        return Present(self.now, self.gaps)

    def publish(self) -> None:
        self.published += 1

    def hold(self) -> None:
        if not self.held:
            raise StoreError("the folder is another one")

    def wish(self, kwh: float | None = None, **wish: object) -> Answer:
        return fulfil(self.place, Wish(None if kwh is None else kwh * KWH, **wish))  # type: ignore[arg-type]


@pytest.fixture
def house(make_store: Callable[..., Store]) -> House:
    return House(make_store())


# ---------------------------------------------------------------- noting


def test_a_reading_right_now_is_tied_to_the_counter_of_this_moment(house: House) -> None:
    answer = house.wish(12345.6)
    assert house.noted.all == (Anchor(NOW, 12_345_600.0, 100_010.5),)
    assert answer.display_watt_hours == pytest.approx(12_345_600)
    assert (answer.time, answer.unknown_seconds, answer.question, answer.replaced) == (NOW, 0, "", None)
    assert house.published == 1
    assert Noted(house.noted.path).all == house.noted.all  # on disk


def test_a_reading_of_an_earlier_time_is_tied_to_the_counter_of_then(house: House) -> None:
    # half past the second hour: 25 000 pulses; since then 75 010.5
    answer = house.wish(500.0, time=START + 5 * HOUR // 2)
    assert house.noted.all[0].pulses == pytest.approx(25_000)
    assert answer.display_watt_hours == pytest.approx(500_000 + 75_010.5)


def test_what_is_unknown_since_then_is_told(make_store: Callable[..., Store]) -> None:
    house = House(make_store())
    house.ledger.append(START + 13 * HOUR, [100 / 36] * 360, 110_000.0)  # 3 hours later
    house.now = Knot(START + 14 * HOUR + 60, 110_000.0)
    house.gaps = (Gap(START + 10 * HOUR, START + 13 * HOUR, "ended"), Gap(START + 14 * HOUR, None, "stopped"))
    assert house.wish(500.0, time=START + 9 * HOUR).unknown_seconds == 3 * HOUR + 60


def test_the_future_is_refused(house: House) -> None:
    with pytest.raises(RefusedError, match=r"^2023-11-15 08:13:25 is still to come: it is 2023-11-15 08:13:24 now$"):
        house.wish(5.0, time=NOW + 1)
    assert house.noted.all == ()


def test_a_time_before_anything_was_counted_is_refused(house: House) -> None:
    with pytest.raises(RefusedError, match=r"^nothing had been counted yet at 2023-11-14 22:13:00: wanted a later"):
        house.wish(5.0, time=START - 20)
    assert (house.noted.all, house.published) == ((), 0)


def test_a_reading_lower_than_the_one_before_is_refused_unless_the_meter_is_new(house: House) -> None:
    house.wish(12_345.6, time=START + HOUR)
    with pytest.raises(
        RefusedError,
        match=r"^12345.5 kWh is less than the 12345.6 kWh of 2023-11-14 23:13:20: wanted at least that, or --new-meter",
    ):
        house.wish(12_345.5)
    slip = r"replaced, or if that one was a slip: powerpi reading house --remove 2023-11-14T23:13:20$"
    with pytest.raises(RefusedError, match=slip):
        house.wish(12_345.5)
    answer = house.wish(0.3, new_meter=True)
    assert [anchor.new_meter for anchor in answer.anchors] == [False, True]
    assert answer.display_watt_hours == pytest.approx(300)


def test_a_reading_higher_than_a_later_one_is_refused(house: House) -> None:
    house.wish(100.0, time=START + 5 * HOUR)
    with pytest.raises(RefusedError, match=r"^101 kWh is more than the 100 kWh of 2023-11-15 03:13:20, which is later"):
        house.wish(101.0, time=START + 2 * HOUR)
    with pytest.raises(RefusedError, match=r"at most that, or if that one was a slip: .* --remove 2023-11-15T03:13:20"):
        house.wish(101.0, time=START + 2 * HOUR)
    house.wish(70.0, time=START + 2 * HOUR)
    assert [anchor.watt_hours for anchor in house.noted.all] == [70_000, 100_000]


def test_the_same_reading_again_is_none_too_low(house: House) -> None:
    house.wish(100.0, time=NOW - 1)
    assert len(house.wish(100.0).anchors) == 2


@pytest.mark.parametrize(
    ("kwh", "doubted"),
    [
        (150.0, False),  # 50 kWh were counted
        (155.0, False),  # 5 more are not many
        (155.6, True),  # more than 5, and more than a tenth of 55.6
        (144.9, True),  # likewise of 50
        (145.0, False),
        (1500.0, True),
    ],
)
def test_a_reading_far_off_what_was_counted_is_asked_about(house: House, kwh: float, doubted: bool) -> None:
    house.wish(100.0, time=START)
    answer = house.wish(kwh, time=START + 5 * HOUR)
    assert bool(answer.question) is doubted
    assert len(house.noted.all) == (1 if doubted else 2)
    assert house.wish(kwh, time=START + 5 * HOUR, sure=True).question == ""
    assert len(house.noted.all) == 2


def test_five_kilowatt_hours_are_much_only_beside_few(house: House) -> None:
    house.wish(100.0, time=START)
    assert house.wish(208.0, time=START + 10 * HOUR).question == ""  # 8 more than 100 counted: less than a tenth


def test_the_question_says_what_was_expected_and_why_it_may_be_right(house: House) -> None:
    house.wish(100.0, time=START)
    house.gaps = (Gap(START + HOUR, START + 4 * HOUR, "ended"),)
    assert house.wish(180.0, time=START + 5 * HOUR).question == (
        "180 kWh is 30.0 kWh more than was counted, by which it would be 150.0 kWh; 3 h in between are unknown"
    )
    house.gaps = ()
    assert house.wish(120.0, time=START + 5 * HOUR).question == (
        "120 kWh is 30.0 kWh less than was counted, by which it would be 150.0 kWh"
    )


def test_an_earlier_reading_that_does_not_fit_a_later_one_is_the_one_that_is_doubted(house: House) -> None:
    house.wish(100.0, time=START + 5 * HOUR)
    assert house.wish(60.0, time=START + 3 * HOUR).question == (  # 20 kWh were counted in between
        "with 60 kWh then, the later reading 100 kWh of 2023-11-15 03:13:20 would be 20.0 kWh more than was counted"
    )


def test_the_removal_of_a_slip_is_exact_where_the_time_alone_is_not(house: House) -> None:
    place = house.place._replace(zone=ZoneInfo("Europe/Berlin"))
    october = 1_792_891_800  # 2026-10-25 02:30 in Berlin, the second time
    told = noting._removal(place, Anchor(october, 1.0, 1.0, new_meter=True))
    assert told == "powerpi reading house --remove 2026-10-25T02:30:00+01:00 --new-meter"


def test_the_first_reading_is_compared_with_the_configuration_if_that_says_anything(
    make_store: Callable[..., Store],
) -> None:
    house = House(make_store("shed"), offset_kwh=200.0)
    assert "by which it would be 300.0 kWh" in house.wish(1300.0, time=START + 10 * HOUR).question
    assert house.wish(301.0, time=START + 10 * HOUR).question == ""


def test_a_reading_of_the_same_time_takes_the_place_of_the_first(house: House) -> None:
    house.wish(100.0, time=START + HOUR)
    answer = house.wish(90.0, time=START + HOUR)  # which the first one would forbid
    assert answer.replaced == Anchor(START + HOUR, 100_000.0, pytest.approx(10_000))
    assert [anchor.watt_hours for anchor in answer.anchors] == [90_000]


def test_a_lower_one_in_the_same_second_is_asked_about(house: House) -> None:
    house.wish(100.0)
    assert house.wish(99.0).question == "99 kWh is less than the 100 kWh of this second, and takes its place"
    assert [anchor.watt_hours for anchor in house.noted.all] == [100_000]
    assert house.wish(101.0).question == ""
    assert house.wish(99.0, sure=True).question == ""
    assert [anchor.watt_hours for anchor in house.noted.all] == [99_000]


@pytest.mark.parametrize("watt_hours", [float("nan"), float("inf"), 1e308, 1.1e11, -1.0])
def test_what_no_display_can_show_is_refused(house: House, watt_hours: float) -> None:
    with pytest.raises(RefusedError, match=r"Wh is no reading: wanted 0 to 1e\+11$"):
        fulfil(house.place, noting.asked({"watt_hours": watt_hours, "sure": True}))
    assert (house.noted.all, house.published) == ((), 0)


def test_after_the_counter_was_lost_a_reading_is_compared_with_nothing(house: House) -> None:
    house.noted.put([Anchor(START + HOUR, 12_345_600.0, 12_345_600.0)])
    answer = house.wish(12_999.9)
    assert answer.question == ""
    assert answer.display_watt_hours == pytest.approx(12_999_900)


def test_the_last_of_a_meter_and_the_first_of_the_next_may_be_of_one_moment(house: House) -> None:
    house.wish(100.0, time=START + HOUR)
    house.wish(0.0, time=START + HOUR, new_meter=True)
    assert [(anchor.watt_hours, anchor.new_meter) for anchor in house.noted.all] == [(100_000, False), (0, True)]


def test_a_folder_that_is_another_one_now_is_not_written(house: House) -> None:
    house.held = False
    with pytest.raises(StoreError, match="another one"):
        house.wish(5.0)
    assert not house.noted.path.exists()


def test_a_disk_that_refuses_is_told_and_nothing_is_noted(house: House) -> None:
    (house.noted.path.parent / "house.readings.new").mkdir()
    with pytest.raises(StoreError, match=r"house\.readings\.new: Is a directory"):
        house.wish(5.0)
    assert (house.noted.all, house.published) == ((), 0)


# ---------------------------------------------------------------- taking away


def noted(house: House) -> list[float]:
    return [anchor.watt_hours / KWH for anchor in house.noted.all]


def test_a_reading_is_taken_away_once_that_was_confirmed(house: House) -> None:
    house.wish(100.0, time=START + HOUR)
    house.wish(110.0, time=START + 2 * HOUR)
    asked = house.wish(remove=START + 2 * HOUR)
    assert asked.question == "the reading 110 kWh of 2023-11-15 00:13:20 will be taken away"
    assert noted(house) == [100, 110]
    answer = house.wish(remove=asked.time, sure=True)
    assert answer.replaced
    assert answer.replaced.watt_hours == 110_000
    # 90 010.5 pulses since the one that is left
    assert answer.display_watt_hours == pytest.approx(100_000 + 90_010.5)
    assert noted(house) == [100]
    assert Noted(house.noted.path).all == house.noted.all


def test_a_minute_stands_for_each_of_its_seconds(house: House) -> None:
    house.wish(100.0, time=START + 47)  # START is at 20 s past a minute
    assert house.wish(remove=START + 40).time == START + 47
    with pytest.raises(RefusedError, match=r"^no reading of 2023-11-14 22:14:01 is noted for house$"):
        house.wish(remove=START + 41)
    house.wish(100.0, time=START + 50)
    with pytest.raises(RefusedError, match=r"^2 readings were noted in that minute: wanted one of .*:14:07, .*:14:10$"):
        house.wish(remove=START + 40)


def test_of_two_of_one_moment_the_new_meters_is_meant_if_it_is_said(house: House) -> None:
    house.wish(100.0, time=START + HOUR)
    house.wish(0.0, time=START + HOUR, new_meter=True)
    house.wish(remove=START + HOUR, new_meter=True, sure=True)
    assert noted(house) == [100]
    house.wish(0.0, time=START + HOUR, new_meter=True)
    house.wish(remove=START + HOUR, sure=True)
    assert noted(house) == [0]


def test_a_new_meter_stays_one_when_its_first_reading_is_taken_away(house: House) -> None:
    house.wish(1000.0, time=START + HOUR)
    house.wish(0.0, time=START + 2 * HOUR, new_meter=True)
    house.wish(10.0, time=START + 3 * HOUR)
    answer = house.wish(remove=START + 2 * HOUR, sure=True)
    assert [(anchor.watt_hours, anchor.new_meter) for anchor in answer.anchors] == [(1_000_000, False), (10_000, True)]


def test_a_meter_that_was_not_new_after_all_goes_on_with_its_series(house: House) -> None:
    house.wish(1000.0, time=START + HOUR)
    house.wish(1010.0, time=START + 2 * HOUR, new_meter=True)
    house.wish(1020.0, time=START + 3 * HOUR)
    answer = house.wish(remove=START + 2 * HOUR, sure=True)
    assert [anchor.new_meter for anchor in answer.anchors] == [False, False]


# ---------------------------------------------------------------- looking, and the way through the door


def test_without_a_wish_all_is_as_it_was(house: House) -> None:
    house.wish(100.0, time=START)
    answer = house.wish()
    assert (answer.anchors, answer.question) == (house.noted.all, "")
    assert answer.display_watt_hours == pytest.approx(100_000 + 100_010.5)
    assert house.published == 1


def test_wishes_and_answers_come_through_the_door_as_they_are(house: House, tmp_path: Path) -> None:
    house.gaps = (Gap(START + HOUR, START + 4 * HOUR, "ended"), Gap(START + 5 * HOUR, None, "stopped"))
    house.wish(100.0, time=START)
    wish = Wish(150_000.0, START, True, None, True)
    assert noting.asked({"ask": "reading", "meter": "house", **json.loads(json.dumps(wish._asdict()))}) == wish
    for answer in (house.wish(101.0, time=START), house.wish(), house.wish(150.0, time=START + HOUR)):
        assert noting.heard(json.loads(json.dumps(noting.told(answer)))) == answer
