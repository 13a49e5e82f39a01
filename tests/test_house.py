"""The house: pictures, readings and health from real parts, with a clock moved by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import START, HandClock, Line
from pair import STATE, Mirroring, Pi, push_settings

from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse
from powerpi.digests import Unit
from powerpi.errors import ReaderError, UnknownNameError
from powerpi.graph import Figures
from powerpi.pictures import BarFigures, PictureRequest
from powerpi.push_status import PushStatus
from powerpi.readings import Health, Notice

DAY = PictureRequest("day", "png", None, 600, 300, 1, "en")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\nnetwork_time = no\n"
        "[meter house]\nlabel = Haus\ngpio = 24\n[meter shed]\ngpio = 25\nimp_per_kwh = 100\n"
    )


@pytest.fixture
def parts(settings: Settings, line: Line, clock: HandClock) -> Iterator[Parts]:
    parts = build(settings, line.factory, clock, Fate())
    line.pin = parts.pins[0]
    yield parts
    parts.counting.stop()
    parts.reader.close()


def count(parts: Parts, line: Line, pulses: int, seconds: float = 10) -> None:
    """So many pulses, evenly, from 5 s after now on."""
    first = line.clock.now + 5
    for n in range(pulses):
        line.pulse(first + seconds * n)
    parts.counting.turn()


@pytest.fixture
def running(parts: Parts, line: Line) -> Parts:
    """An hour at 360 W is counted, and the thread runs."""
    count(parts, line, 360)
    parts.counting.start()
    return parts


def test_readings_come_in_the_order_of_the_configuration(running: Parts) -> None:
    house, shed = running.house.meters()
    assert (house.meter, house.label, shed.meter, shed.label) == ("house", "Haus", "shed", "shed")
    assert house.watts == pytest.approx(360)
    assert house.meter_reading_watt_hours == 360
    # 359 pulses between the first and the last, all of them of today
    assert house.today_watt_hours == pytest.approx(359, abs=1)
    assert (shed.watts_at_most, shed.watts) == (True, pytest.approx(10, abs=0.1))  # at 100 imp/kWh, none in an hour


def test_looking_at_readings_writes_nothing(parts: Parts, line: Line) -> None:
    count(parts, line, 20)  # 200 s: not yet due by itself
    assert parts.house.meters()[0].today_watt_hours == pytest.approx(19, abs=1)
    assert parts.counting.meters["house"].store.last_row is None


def test_a_picture_holds_the_newest_rows(running: Parts) -> None:
    running.house.picture("house", DAY)
    stored = running.counting.meters["house"].store.last_row
    assert stored
    assert stored.time == START + 3590


def test_one_drawing_serves_all_until_a_newer_one_would_differ(running: Parts, line: Line) -> None:
    first = running.house.picture("house", DAY)
    assert running.house.picture("house", DAY) is first
    assert first.etag
    line.pulse(line.clock.now + 60)
    running.counting.flush(5)
    second = running.house.picture("house", DAY)
    assert second is not first


def test_many_at_once_get_the_same_drawing(running: Parts) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(running.house.picture("house", DAY))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(picture) for picture in found}) == 1


def test_pictures_of_all_periods_formats_and_languages_are_drawn(running: Parts) -> None:
    for period in ("hour", "12h", "day", "week", "month", "quarter", "year"):
        for image_format, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
            for language in ("en", "de"):
                request = DAY._replace(period=period, image_format=image_format, language=language)
                assert running.house.picture("house", request).image.startswith(start)


def test_figures_are_those_of_the_picture(running: Parts) -> None:
    day = running.house.figures("house", "day")
    assert isinstance(day, Figures)
    assert day.mean_watts == pytest.approx(360, abs=0.1)
    assert day.peak_watts == pytest.approx(360, abs=0.1)
    month = running.house.figures("house", "month")
    assert isinstance(month, BarFigures)
    assert month.peak_watt_hours is None  # no day is whole


def test_an_empty_meter_has_pictures_and_unknown_figures(running: Parts) -> None:
    assert running.house.picture("shed", DAY).image.startswith(b"\x89PNG")
    day = running.house.figures("shed", "day")
    assert isinstance(day, Figures)
    assert (day.mean_watts, day.peak_watts) == (None, None)


def test_a_picture_of_the_past_stays_as_it_is(running: Parts, line: Line) -> None:
    request = DAY._replace(end=START + 1800, period="hour")
    first = running.house.picture("house", request)
    line.pulse(line.clock.now + 60)
    running.counting.flush(5)
    assert running.house.picture("house", request) is first


def test_unknown_meter_is_said_with_those_there_are(running: Parts) -> None:
    with pytest.raises(UnknownNameError, match="no meter 'garage'; known: house, shed"):
        running.house.meter("garage")
    with pytest.raises(UnknownNameError):
        running.house.picture("garage", DAY)


def test_the_pulses_of_a_contact_are_told_with_what_they_say(running: Parts) -> None:
    pulses = running.house.pulses("house")
    assert pulses
    assert pulses.told[-1].watts == pytest.approx(360)
    assert pulses.health.width_ms == pytest.approx(30)
    assert pulses.offset == START - 1000
    with pytest.raises(UnknownNameError, match="no meter 'garage'"):
        running.house.pulses("garage")


def test_a_received_meter_has_no_contact_here(tmp_path: Path, clock: HandClock) -> None:
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        pi = Pi(tmp_path / "pi", mirroring.url)
        pi.write(2)
        clock.now += 100
        pi.push()
        assert mirroring.parts.house.pulses("house") is None


def test_pulses_that_come_nearly_too_fast_are_worth_a_look_for_a_day(parts: Parts, line: Line) -> None:
    count(parts, line, 20, seconds=0.07)  # 30 ms wide: at most one each 60 ms, and 60 / 70 = 86 %
    parts.counting.start()
    warned = Notice("near_limit", "house", "86")
    assert parts.house.health().warnings == (warned,)
    line.clock.now += 26 * 3600
    parts.counting.flush(5)
    assert warned not in parts.house.health().warnings


def test_all_is_well(running: Parts) -> None:
    assert running.house.health() == Health((), ())


def test_an_hour_without_a_pulse_is_worth_a_look(running: Parts, line: Line) -> None:
    line.clock.now += 3700
    running.counting.flush(5)
    # the shed has seen none since the start; at 100 imp/kWh two hours may pass (5 W), and have
    assert running.house.health().warnings == (
        Notice("no_pulse", "house", "1 h 2 min"),
        Notice("no_pulse", "shed", "2 h 2 min"),
    )


def test_a_store_that_refuses_is_a_fault_until_it_accepts(running: Parts, line: Line) -> None:
    rrd = running.counting.meters["house"].store.rrd
    content = rrd.read_bytes()
    rrd.unlink()
    rrd.mkdir()
    line.pulse(line.clock.now + 60)
    running.counting.flush(5)
    [fault] = running.house.health().faults
    assert (fault.key, fault.meter) == ("disk", "house")
    rrd.rmdir()
    rrd.write_bytes(content)
    running.counting.flush(5)
    assert running.house.health().faults == ()


def test_a_counting_thread_that_is_gone_or_hangs_is_a_fault(running: Parts, line: Line) -> None:
    running.counting.turned -= 31
    assert running.house.health().faults == (Notice("thread_dead", None, "pulses"),)
    running.counting.flush(5)
    assert running.house.health().faults == ()
    running.counting.stop()
    assert running.house.health().faults == (Notice("thread_dead", None, "pulses"),)


def test_a_clock_that_is_waited_for_is_said(settings: Settings, line: Line, clock: HandClock) -> None:
    clock.is_trusted = False
    parts = build(settings, line.factory, clock, Fate())
    parts.counting.start()
    try:
        parts.counting.flush(5)
        assert parts.house.health().warnings == (Notice("clock_waiting", None, None),)
        assert parts.house.meter("house").today_watt_hours is None
        clock.now += 901
        parts.counting.flush(5)
        assert parts.house.health().warnings == (Notice("clock_untrusted", None, None),)
    finally:
        parts.counting.stop()


def test_lost_edges_are_shown(running: Parts, line: Line) -> None:
    line.pin._append(line.clock.now, True)  # a second "open" in a row: the closing was lost
    running.counting.flush(5)
    assert running.house.health().warnings == (Notice("edges_lost", "house", "1"),)
    assert running.house.meter("house").edges_lost == 1


def test_a_contact_that_stays_closed_is_worth_a_look(running: Parts, line: Line, clock: HandClock) -> None:
    line.close()
    running.counting.flush(5)
    assert running.house.health().warnings == ()
    clock.now += 61
    running.counting.flush(5)
    assert running.house.health().warnings == (Notice("contact_closed", "house", "1 min"),)
    line.open()
    running.counting.flush(5)
    assert running.house.health().warnings == ()


def test_a_picture_that_fails_is_a_warning_and_the_readings_stay(running: Parts) -> None:
    rrd = running.counting.meters["house"].store.rrd
    running.counting.flush(5)
    content = rrd.read_bytes()
    rrd.write_bytes(content[:1000])
    with pytest.raises(ReaderError):
        running.house.picture("house", DAY)
    [warning] = running.house.health().warnings
    assert warning.key == "reader"
    rrd.write_bytes(content)
    assert running.house.picture("house", DAY).image


def test_rows_locked_by_a_long_drawing_wait_and_are_not_lost(
    parts: Parts, line: Line, make_store: Callable[..., object]
) -> None:
    count(parts, line, 10)
    meter = parts.counting.meters["house"]
    with meter.store._gate:
        assert not meter.flush()
    assert meter.faults == {}
    assert meter.flush()


# ---------------------------------------------------------------- received meters


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    """A mirror without meters of its own, an hour and a half after the first row."""
    clock.ahead += 5400
    with Mirroring(tmp_path / "mirror", clock).serving() as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, mirroring: Mirroring) -> Pi:
    """A Pi that has pushed an hour at 360 W: 360 steps of a pulse each."""
    pi = Pi(tmp_path / "pi", mirroring.url)
    pi.write(361, watts=360)
    pi.push()
    return pi


def test_a_meter_that_was_never_sent_has_no_room(mirroring: Mirroring) -> None:
    house = mirroring.parts.house
    assert (house.meters(), house.labels(), house.health().warnings) == ([], {}, ())
    with pytest.raises(UnknownNameError, match="no meter 'house'"):
        house.meter("house")


def test_a_received_meter_is_shown_as_its_sender_shows_it(mirroring: Mirroring, pi: Pi) -> None:
    [shown] = mirroring.parts.house.meters()
    assert (shown.meter, shown.label, shown.received_from) == ("house", "Haus", "pi-hq")
    assert shown.meter_reading_watt_hours == 360 + 12_500
    assert shown.watts == pytest.approx(900)  # a pulse every 4 s, as STATE says
    assert shown.received_time == mirroring.clock.wall()
    assert not shown.silent
    # START is 23:13:20 in Berlin: 2800 s of the hour are of yesterday, without the first step that nothing came before
    assert shown.yesterday_watt_hours == pytest.approx(280)
    assert mirroring.parts.house.picture("house", DAY).image.startswith(b"\x89PNG")


def test_after_a_repair_sums_and_pictures_are_new(mirroring: Mirroring, pi: Pi) -> None:
    house, request = mirroring.parts.house, DAY._replace(end=START + 3600)
    before, [reading] = house.picture("house", request), house.meters()
    assert house.picture("house", request) is before
    repaired = pi.ledger.rows(Unit(10, START + 1000, START + 1100))
    assert list(repaired) == pytest.approx([0.1] * 10)
    pi.ledger.put(Unit(10, START + 1000, START + 1100), [0.3] * 10)  # 20 pulses more
    assert pi.twin.verify(fresh=True).repaired_rows == 10
    after, [repaired_reading] = house.picture("house", request), house.meters()
    assert after.etag != before.etag
    assert repaired_reading.yesterday_watt_hours == pytest.approx((reading.yesterday_watt_hours or 0) + 20)


def test_rows_that_come_late_are_in_the_sums(mirroring: Mirroring, pi: Pi) -> None:
    """Who looked at a day before all of it had come sees the rest when it has."""
    mirroring.clock.now += 86400
    house = mirroring.parts.house
    [reading] = house.meters()
    assert reading.yesterday_watt_hours == pytest.approx(80)  # 800 s after midnight
    pi.write(720, watts=360)
    pi.push()
    [reading] = house.meters()
    assert reading.yesterday_watt_hours == pytest.approx(799)  # 8000 s, and nothing in the first step written anew


def test_another_constant_makes_all_figures_new(mirroring: Mirroring, pi: Pi) -> None:
    [before] = mirroring.parts.house.meters()
    list(pi.twin.catch_up(lambda: STATE._replace(imp_per_kwh=500.0, pulses=360)))
    [after] = mirroring.parts.house.meters()
    assert after.imp_per_kwh == 500
    assert after.yesterday_watt_hours == pytest.approx(2 * (before.yesterday_watt_hours or 0))


def test_a_sender_that_is_silent_is_worth_a_look(mirroring: Mirroring, pi: Pi) -> None:
    assert mirroring.parts.house.health().warnings == ()
    mirroring.clock.now += 181  # three messages of one a minute did not come
    mirroring.parts.counting.turn()
    assert mirroring.parts.house.health().warnings == (Notice("silent", "house", "3 min"),)
    [shown] = mirroring.parts.house.meters()
    assert (shown.silent, shown.watts) == (True, None)
    assert shown.meter_reading_watt_hours == 12_860


# ---------------------------------------------------------------- the mirror of this machine


def test_what_the_mirror_needs_somebody_for_is_worth_a_look(running: Parts, clock: HandClock) -> None:
    status = PushStatus("power.example.org", why="login", said="it says no", only_there_rows=3, counter_ahead=7)
    running.house._push = lambda: status
    assert running.house.push_status() is status
    assert running.house.health() == Health(
        (),
        (
            Notice("push_login", None, "it says no"),
            Notice("push_only_there", None, "3"),
            Notice("push_counter", None, "7"),
        ),
    )


def test_without_a_mirror_nothing_is_said_of_one(running: Parts) -> None:
    assert running.house.push_status() is None


def test_a_pi_that_pushes_says_how_its_mirror_stands(
    tmp_path: Path, line: Line, clock: HandClock, mirroring: Mirroring
) -> None:
    sent = push_settings(mirroring.url)
    pi = parse(
        f"[powerpi]\nstate = {tmp_path}/own\ntimezone = UTC\nnetwork_time = no\n[meter house]\ngpio = 24\n"
        f"[push]\nurl = {mirroring.url}\nuser = {sent.user}\npassword = {sent.password}\n"
    )
    pi.state.mkdir()
    parts = build(pi, line.factory, clock, Fate())
    line.pin = parts.pins[0]
    assert parts.push
    count(parts, line, 60)
    for meter in parts.counting.meters.values():
        assert meter.flush()
    parts.push.turn()
    status = parts.house.push_status()
    assert status
    assert (status.host, status.in_step, status.behind_rows, status.why) == ("127.0.0.1", True, 0, None)
    assert status.identical_until == START + 5400 + 590
    assert (
        mirroring.parts.house.meter("house").meter_reading_watt_hours
        == parts.counting.meters["house"].store.stored_pulses
    )
    parts.reader.close()
