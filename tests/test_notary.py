"""Readings noted while PowerPi counts: a real daemon's parts and door, a mock pin, a clock moved by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import START, HandClock, Line
from pair import PASSWORD, SENDER, Mirroring
from test_door import wait_until

from powerpi import door
from powerpi.anchors import Anchor
from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse
from powerpi.errors import NobodyError, RefusedError
from powerpi.meter import Live
from powerpi.notary import pulses_now
from powerpi.noting import Answer, Wish, heard
from powerpi.pulses import Contact


def settings_of(folder: Path, extra: str = "") -> Settings:
    return parse(
        f"[powerpi]\nstate = {folder}\ntimezone = UTC\nnetwork_time = no\n"
        f"[meter house]\ngpio = 24\noffset_kwh = 7\n{extra}"
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path / "state")


def answers(folder: Path) -> bool:
    """Whether somebody is at the door."""
    with suppress(NobodyError):
        return bool(door.ask(folder, "flush"))
    return False


class House:
    """A daemon's parts; `turn` is one of the counting thread, which runs."""

    def __init__(self, settings: Settings, line: Line) -> None:
        settings.state.mkdir(exist_ok=True)
        self.settings, self.line = settings, line
        self.parts: Parts = build(settings, line.factory, line.clock, Fate())
        line.pin = self.parts.pins[0]

    def start(self) -> None:
        self.parts.counting.turn()
        self.parts.counting.start()
        self.parts.door.start()
        wait_until(lambda: answers(self.settings.state))

    def stop(self) -> None:
        self.parts.door.stop()
        self.parts.counting.stop()
        self.parts.reader.close()
        for pin in self.parts.pins:
            pin.close()

    def pulses(self, number: int, seconds: float = 10.0) -> None:
        for _ in range(number):
            self.line.pulse(self.line.clock.now + seconds - 0.03)
        self.parts.counting.flush(5)

    def note(self, kwh: float | None = None, **wish: Any) -> Answer:
        wished = Wish(None if kwh is None else kwh * 1000, **{"sure": True, **wish})
        return heard(door.ask(self.settings.state, "reading", meter="house", **wished._asdict()))

    @property
    def shown(self) -> float:
        return self.parts.house.meter("house").meter_reading_watt_hours


@pytest.fixture
def house(settings: Settings, line: Line) -> Iterator[House]:
    """100 pulses of 1 Wh, 10 s apart: 360 W."""
    made = House(settings, line)
    made.start()
    made.pulses(100)
    yield made
    made.stop()


# ---------------------------------------------------------------- what is shown


def test_page_and_api_show_at_once_what_the_display_shows(house: House) -> None:
    assert house.shown == 7_100  # by the configuration
    house.note(12345.6)
    assert house.shown == pytest.approx(12_345_600)
    [told] = house.parts.house.noted("house").readings
    assert (told.time, told.watt_hours) == (int(house.line.clock.wall()), 12_345_600)
    house.pulses(10)
    assert house.shown == pytest.approx(12_345_610)


def test_the_part_of_a_pulse_under_way_counts(house: House) -> None:
    house.line.clock.now += 4  # of 10 s: four tenths of the next pulse have gone through the meter
    house.note(100.0)
    [anchor] = house.parts.counting.meters["house"].noted.all
    assert anchor.pulses == pytest.approx(100.4, abs=0.01)  # a pulse is known from its begin on
    assert house.shown == pytest.approx(100_000)
    house.pulses(1, seconds=6)
    assert house.shown == pytest.approx(100_000.6, abs=0.01)


@pytest.mark.parametrize(
    ("last_pulse", "interval", "pulses"),
    [(None, None, 50), (990.0, None, 50), (990.0, 40.0, 50.25), (990.0, 5.0, 51), (1001.0, 5.0, 50)],
)
def test_the_part_is_as_the_last_interval_tells_and_one_at_most(
    last_pulse: float | None, interval: float | None, pulses: float
) -> None:
    assert pulses_now(Live(1000.0, 0.0, 50, last_pulse, interval, (), 0.0, Contact(False), None)) == pulses


def test_a_reading_of_half_an_hour_ago_is_tied_to_the_rows_of_then(house: House) -> None:
    house.pulses(180)  # 280 in 2800 s
    answer = house.note(50.0, time=int(house.line.clock.wall()) - 1800)
    [anchor] = answer.anchors
    assert anchor.pulses == pytest.approx(100, abs=0.02)
    assert house.shown == pytest.approx(50_180, abs=0.02)


def test_energies_come_from_pulses_whatever_is_noted(house: House) -> None:
    """A meter of another reading, a new meter: no day has a giant step, neither up nor down."""
    before = house.parts.house.meter("house").today_watt_hours
    house.note(99_999.0)
    house.pulses(1)
    house.note(0.0, new_meter=True)
    house.pulses(1)
    reading = house.parts.house.meter("house")
    assert before is not None
    assert reading.today_watt_hours == pytest.approx(before + 2, abs=0.05)
    assert reading.watts == pytest.approx(360, rel=0.01)
    assert reading.meter_reading_watt_hours == pytest.approx(1, abs=0.05)
    month = house.parts.house.figures("house", "month")
    assert month.peak_watt_hours is None or 0 <= month.peak_watt_hours < 200  # type: ignore[union-attr]
    hour = house.parts.house.figures("house", "hour")
    assert hour.peak_watts == pytest.approx(360, rel=0.01)  # type: ignore[union-attr]
    assert hour.mean_watts == pytest.approx(360, rel=0.01)  # type: ignore[union-attr]


def test_looking_writes_nothing(house: House) -> None:
    store = house.parts.counting.meters["house"].store
    house.line.pulse(house.line.clock.now + 15)
    before = (store.last_row, store.stored_pulses)
    answer = house.note()
    assert answer.display_watt_hours == pytest.approx(7_100, abs=2)
    assert (store.last_row, store.stored_pulses) == before


# ---------------------------------------------------------------- what is refused


def test_a_meter_that_this_daemon_does_not_count_is_told(house: House) -> None:
    with pytest.raises(RefusedError, match=r"^the PowerPi that runs counts house: wanted it restarted$"):
        door.ask(house.settings.state, "reading", meter="shed")


def test_without_a_clock_nothing_is_noted_but_all_is_shown(settings: Settings, line: Line, clock: HandClock) -> None:
    clock.is_trusted = False
    house = House(settings, line)
    house.start()
    try:
        with pytest.raises(RefusedError, match=r"^the clock is not set yet"):
            house.note(12345.6)
        assert house.note().display_watt_hours == 7_000
    finally:
        house.stop()


# a second pulse within a step makes no row yet: the counter alone knows it
@pytest.mark.parametrize(("file", "seconds"), [("house.rrd", 25), ("house.register", 3)])
def test_while_the_disk_refuses_nothing_is_noted(house: House, file: str, seconds: float) -> None:
    path = house.settings.state / file
    path.rename(path.with_name("away"))
    path.mkdir()
    house.line.pulse(house.line.clock.now + seconds)
    with pytest.raises(RefusedError, match=r"^what was counted cannot be written just now"):
        house.note(12345.6)
    assert house.shown < 8_000
    path.rmdir()
    path.with_name("away").rename(path)
    house.note(12345.6)
    assert house.shown == pytest.approx(12_345_600)


def test_what_is_doubtful_is_asked_about_and_nothing_is_noted(house: House) -> None:
    answer = house.note(12345.6, sure=False)
    assert answer.question == "12345.6 kWh is 12338.5 kWh more than was counted, by which it would be 7.1 kWh"
    assert house.shown == 7_100


# ---------------------------------------------------------------- restarts


def test_a_restart_goes_on_with_what_was_noted(house: House, settings: Settings, line: Line) -> None:
    house.note(12345.6)
    house.pulses(3)
    shown = house.shown
    house.stop()
    again = House(settings, line)
    try:
        assert again.shown == pytest.approx(shown)
    finally:
        again.stop()


def test_a_kill_right_after_takes_nothing_of_the_reading_back(house: House, tmp_path: Path, clock: HandClock) -> None:
    """What is on disk the moment a reading is noted is all that a kill leaves."""
    house.line.pulse(clock.now + 3)
    house.line.pulse(clock.now + 3)  # neither of both is due to be written
    house.note(12345.6)
    shutil.copytree(house.settings.state, tmp_path / "killed", ignore=shutil.ignore_patterns("door"))
    after = House(settings_of(tmp_path / "killed"), Line(clock))
    try:
        assert after.parts.counting.meters["house"].pulses == 102
        assert after.shown == pytest.approx(12_345_600)
    finally:
        after.stop()


def test_a_damaged_file_is_told_kept_and_what_can_be_read_counts(settings: Settings, line: Line) -> None:
    settings.state.mkdir()
    path = settings.state / "house.readings"
    path.write_text(f"{START - 5000} 5000.0 0.0 same_meter\ntorn 12\n")
    house = House(settings, line)
    house.start()
    try:
        assert house.shown == 5_000
        [notice] = house.parts.house.health().warnings
        assert (notice.key, notice.meter) == ("files", "house")
        assert "house.readings are damaged; it is kept when the next" in str(notice.value)
        house.pulses(1)
        house.note(5.5)
        [kept] = settings.state.glob("house.readings.damaged-*")
        assert "torn 12" in kept.read_text()
        assert len(path.read_text().splitlines()) == 2
    finally:
        house.stop()


# ---------------------------------------------------------------- the mirror


def test_the_mirror_shows_the_same_at_once(tmp_path: Path, line: Line, clock: HandClock) -> None:
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        push = f"[push]\nurl = {mirroring.url}\nuser = {SENDER}\npassword = {PASSWORD}\n"
        house = House(settings_of(tmp_path / "state", push), line)
        house.start()
        try:
            house.pulses(100)
            sender = house.parts.push
            assert sender
            sender.turn()
            mirrored = mirroring.parts.house
            assert mirrored.meter("house").meter_reading_watt_hours <= 7_100
            clock.now += 4
            house.note(12345.6)
            sender.turn()  # which is due although the interval is not over
            assert mirrored.meter("house").meter_reading_watt_hours == pytest.approx(12_345_600)
            assert mirrored.meter("house").meter_reading_watt_hours == pytest.approx(house.shown)
            house.pulses(20)
            house.parts.counting.flush(5, counters=True)
            clock.now += 60
            sender.turn()
            assert mirrored.meter("house").meter_reading_watt_hours == pytest.approx(house.shown)
            assert mirrored.noted("house").readings == ()
        finally:
            house.stop()


def test_the_api_lists_what_was_noted(house: House) -> None:
    house.note(100.0, time=int(house.line.clock.wall()) - 500)
    house.pulses(50)
    house.note(100.1)
    told = house.parts.house.noted("house")
    assert [reading.watt_hours for reading in told.readings] == [100_100, 100_000]
    # 50 pulses in the last 500 s, 50 in those before
    assert told.readings[0].counted_watt_hours == pytest.approx(100, abs=0.05)
    assert json.loads(json.dumps(told.readings[0]._asdict()))["new_meter"] is False
    assert house.parts.counting.meters["house"].noted.all[0] == Anchor(
        told.readings[1].time, 100_000.0, pytest.approx(50, abs=0.05)
    )
