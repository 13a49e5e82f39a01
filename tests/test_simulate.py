"""The demo's load as rows, as pulse times and as pulses on a real mock pin; recordings good and bad."""

import datetime
import threading
from bisect import bisect_right
from itertools import chain, islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from gpiozero.pins.mock import MockFactory

from powerpi.clock import SystemClock
from powerpi.errors import ConfigError
from powerpi.load import Household
from powerpi.simulate import (
    MAX_BYTES,
    PulseDriver,
    PulseStep,
    Recording,
    energy_rows,
    load_slices,
    pulse_steps,
)

UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime.date(2024, 1, 1)
NOON = 1_704_110_400  # 2024-01-01T12:00:00Z


class Constant:
    def __init__(self, watts):
        self.watts = watts

    def day_watts(self, _date):
        return [self.watts] * 8640


class HundredTimesTheHour:
    def day_watts(self, _date):
        return [step // 360 * 100 for step in range(8640)]


def pulse_times(*arguments):
    """The times of all steps one by one."""
    return chain.from_iterable(step.times for step in pulse_steps(*arguments))


def midnight(zone, date):
    return int(datetime.datetime.combine(date, datetime.time(), zone).timestamp())


def rows(*arguments, **options):
    return list(chain.from_iterable(energy_rows(*arguments, **options)))


# rows


def test_rows_of_a_kilowatt_grow_by_2_8_pulses_a_step():
    # 1000 W for 10 s at 1000 imp/kWh: 1000 x 10 / 3600 Wh = 2.7778 pulses
    assert rows(Constant(1000), 1000, NOON, NOON + 30, UTC, pulses=5.5) == [
        (NOON, 5.5),
        (NOON + 10, pytest.approx(5.5 + 25 / 9)),
        (NOON + 20, pytest.approx(5.5 + 50 / 9)),
        (NOON + 30, pytest.approx(5.5 + 75 / 9)),
    ]


def test_rows_count_in_the_meter_constant():
    # 500 W for 24 h are 12 kWh: 9600 pulses at 800 imp/kWh
    assert rows(Constant(500), 800, NOON, NOON + 86_400, UTC)[-1] == (NOON + 86_400, pytest.approx(9600))


def test_rows_of_no_time_are_the_first_row():
    assert rows(Constant(1000), 1000, NOON, NOON, UTC, pulses=3.0) == [(NOON, 3.0)]


def test_rows_follow_each_other_by_10_s_and_never_fall():
    house = rows(Household(1), 1000, NOON + 50, NOON + 90_000, BERLIN)
    assert [time for time, _ in house] == list(range(NOON + 50, NOON + 90_001, 10))
    assert all(before[1] < after[1] for before, after in pairwise(house))


@pytest.mark.parametrize(
    ("name", "date", "hours", "pulses"),
    [
        # 0 + 100 + ... + 2300 W for an hour each: 27 600 Wh
        ("Europe/Berlin", (2024, 3, 30), 24, 27_600),
        ("Europe/Berlin", (2024, 3, 31), 23, 27_600 - 200),  # 2:00 to 3:00 does not happen
        ("Europe/Berlin", (2024, 10, 27), 25, 27_600 + 200),  # 2:00 to 3:00 comes twice
        ("Australia/Lord_Howe", (2024, 4, 7), 24.5, 27_600 + 50),  # 1:30 to 2:00 comes twice
        ("Asia/Kathmandu", (2024, 4, 7), 24, 27_600),  # UTC+5:45
    ],
)
def test_rows_of_a_local_day_hold_its_wall_time(name, date, hours, pulses):
    zone = ZoneInfo(name)
    start, end = (midnight(zone, datetime.date(*date) + datetime.timedelta(days=days)) for days in (0, 1))
    assert end - start == hours * 3600
    assert rows(HundredTimesTheHour(), 1000, start, end, zone)[-1] == (end, pytest.approx(pulses))


def test_slices_begin_where_asked_and_then_on_quarter_hours():
    start = NOON + 14 * 60 + 50
    slices = list(islice(load_slices(HundredTimesTheHour(), start, BERLIN), 5))
    assert [(begin, len(watts)) for begin, watts in slices[:2]] == [(start, 1), (NOON + 900, 90)]
    assert [begin for begin, _ in slices[2:]] == [NOON + 1800, NOON + 2700, NOON + 3600]
    assert [watts[0] for _, watts in slices] == [1300, 1300, 1300, 1300, 1400]  # noon UTC is 13:00 in Berlin


# pulses


def test_kilowatt_at_1000_impulses_makes_a_pulse_every_3_6_s():
    times = list(islice(pulse_times(Constant(1000), 1000, NOON + 3.5, UTC), 1000))
    assert times == pytest.approx([NOON + 3.5 + 3.6 * pulse for pulse in range(1, 1001)], abs=1e-5, rel=0)


def test_fraction_already_done_brings_the_first_pulse_forward():
    # 0.75 of a pulse missing: 0.75 x 3.6 s = 2.7 s
    times = islice(pulse_times(Constant(1000), 1000, NOON, UTC, 0.25), 2)
    assert list(times) == pytest.approx([NOON + 2.7, NOON + 6.3], abs=1e-5, rel=0)


def test_pulse_on_a_step_boundary_comes_once():
    # 360 W at 1000 imp/kWh: 3600 Ws in exactly 10 s
    times = list(islice(pulse_times(Constant(360), 1000, NOON, UTC), 3))
    assert times == [NOON + 10, NOON + 20, NOON + 30]


def test_pulse_on_a_step_boundary_belongs_to_the_step_that_ends_there():
    assert next(pulse_steps(Constant(360), 1000, NOON, UTC)) == PulseStep(NOON + 10, [NOON + 10])


def test_pulses_of_a_household_day_agree_with_its_rows():
    house, start, end = Household(3), *(midnight(BERLIN, datetime.date(2024, 10, day)) for day in (27, 28))
    times = list(takewhile(lambda time: time <= end, pulse_times(house, 1000, start, BERLIN, 0.4)))
    counters = rows(house, 1000, start, end, BERLIN, pulses=0.4)
    assert len(times) > 3000
    assert all(-1e-6 < counter - bisect_right(times, time) < 1 + 1e-6 for time, counter in counters)


def test_load_without_power_has_steps_without_pulses():
    steps = islice(pulse_steps(Constant(0), 1000, NOON + 5, UTC), 3)
    assert list(steps) == [PulseStep(NOON + end, []) for end in (10, 20, 30)]


# recordings


def recording(tmp_path, watts, first=datetime.datetime(2024, 1, 1)):
    lines = (f"{first + datetime.timedelta(minutes=n):%Y-%m-%dT%H:%M:%S},{w}\n" for n, w in enumerate(watts))
    return write(tmp_path, "minute,watts\n" + "".join(lines))


def write(tmp_path, text):
    path = tmp_path / "load.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def days_of(watts):
    """A recording's minutes: each day its own power."""
    return chain.from_iterable([power] * 1440 for power in watts)


def first_watts(load, days):
    return [load.day_watts(MONDAY + datetime.timedelta(days=day))[0] for day in days]


def test_recording_holds_each_minute_for_six_steps(tmp_path):
    day = Recording(recording(tmp_path, range(1440))).day_watts(MONDAY)
    assert day == [step // 6 for step in range(8640)]


def test_recording_of_nine_days_repeats_its_first_week(tmp_path):
    load = Recording(recording(tmp_path, days_of(range(101, 110))))
    assert first_watts(load, range(-1, 9)) == [107, 101, 102, 103, 104, 105, 106, 107, 101, 102]


def test_recording_of_two_weeks_repeats_both(tmp_path):
    load = Recording(recording(tmp_path, days_of(range(101, 115))))
    assert first_watts(load, (6, 7, 13, 14)) == [107, 108, 114, 101]


def test_recording_that_begins_in_the_afternoon_keeps_time_of_day_and_weekday(tmp_path):
    # 8 days from Monday 15:00 on: the week to next Monday 15:00 repeats, Monday 0:00 comes from its last day
    watts = list(range(8 * 1440))
    load = Recording(recording(tmp_path, watts, datetime.datetime(2024, 1, 1, 15)))
    monday = load.day_watts(MONDAY + datetime.timedelta(days=28))
    assert monday[15 * 360] == 0
    assert monday[0] == 7 * 1440 - 15 * 60


def test_recording_of_a_day_and_a_half_repeats_its_first_day(tmp_path):
    load = Recording(recording(tmp_path, range(2160)))
    assert load.day_watts(MONDAY + datetime.timedelta(days=5)) == [step // 6 for step in range(8640)]


def test_recording_of_seven_minutes_repeats_every_seven_minutes(tmp_path):
    # a day is 205 times 7 minutes and 5 more
    load = Recording(recording(tmp_path, range(7)))
    assert load.day_watts(MONDAY)[::6][:9] == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert load.day_watts(MONDAY + datetime.timedelta(days=1))[0] == 5


def test_recording_with_windows_line_ends_and_byte_order_mark_is_read(tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbfminute,watts\r\n2024-01-01T00:00,12.5\r\n")
    assert Recording(path).day_watts(MONDAY)[0] == 12.5


LINE = "wanted a whole local minute and 0 to 100000 watts, such as 2006-12-16T17:24:00,4216"
TWO = "minute,watts\n2024-01-01T00:00:00,5\n2024-01-01T00:01:00,5\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: '' found, wanted the heading minute,watts"),
        ("hour,kwh\n", "line 1: 'hour,kwh' found, wanted the heading minute,watts"),
        ("x" * 999, f"line 1: '{'x' * 60}' found, wanted the heading minute,watts"),
        ("minute,watts\n", f"line 2: '' found, {LINE}"),
        (TWO + "\n" + "2024-01-01T00:02:00,5\n", f"line 4: '' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00\n", f"line 4: '2024-01-01T00:02:00' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00,5,6\n", f"line 4: '2024-01-01T00:02:00,5,6' found, {LINE}"),
        (TWO + "yesterday,5\n", f"line 4: 'yesterday,5' found, {LINE}"),
        (TWO + "2024-01-01T00:02:30,5\n", f"line 4: '2024-01-01T00:02:30,5' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00Z,5\n", f"line 4: '2024-01-01T00:02:00Z,5' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00,much\n", f"line 4: '2024-01-01T00:02:00,much' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00,\n", f"line 4: '2024-01-01T00:02:00,' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00,-1\n", f"line 4: '2024-01-01T00:02:00,-1' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00,nan\n", f"line 4: '2024-01-01T00:02:00,nan' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00,inf\n", f"line 4: '2024-01-01T00:02:00,inf' found, {LINE}"),
        (TWO + "2024-01-01T00:02:00,100001\n", f"line 4: '2024-01-01T00:02:00,100001' found, {LINE}"),
        (
            TWO + "2024-01-01T01:03:00,5\n",
            "line 4: 2024-01-01T01:03:00 found, wanted one of the 61 minutes after 2024-01-01T00:01:00",
        ),
        (
            TWO + "2024-01-01T00:01:00,5\n",
            "line 4: 2024-01-01T00:01:00 found, wanted one of the 61 minutes after 2024-01-01T00:01:00",
        ),
        (
            TWO + "2024-01-01T00:00:00,5\n",
            "line 4: 2024-01-01T00:00:00 found, wanted one of the 61 minutes after 2024-01-01T00:01:00",
        ),
        (TWO.encode() + b"2024-01-01T00:02:00,5 \xb0\n", "line 4: byte 0xb0 found, wanted text in UTF-8"),
        (
            b"minute,watts" + b"\n" * MAX_BYTES,  # read: one byte too many, 12 of them no line ends
            f"line {MAX_BYTES - 10}: more than 20000000 bytes found,"
            " wanted a smaller file (a year of minutes has 13 MB)",
        ),
    ],
)
def test_bad_recording_is_refused_by_file_line_value_and_what_was_wanted(tmp_path, text, sentence):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Recording(path)
    assert caught.value.faults == (f"{path}, {sentence}",)


def test_missing_recording_is_named(tmp_path):
    path = tmp_path / "none.csv"
    with pytest.raises(ConfigError) as caught:
        Recording(path)
    assert str(caught.value) == f"{path}: cannot be read (No such file or directory), wanted a CSV file minute,watts"


def test_folder_is_no_recording(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        Recording(tmp_path)


# the driver


class Edges:
    """What a mock pin reports: (ticks, level), and an event at the `wanted`th edge."""

    def __init__(self, pin, wanted=None):
        self.seen = []
        self.wanted = wanted
        self.complete = threading.Event()
        pin.when_changed = self.append

    def append(self, ticks, level):
        self.seen.append((ticks, level))
        if len(self.seen) == self.wanted:
            self.complete.set()

    @property
    def levels(self):
        return [level for _, level in self.seen]


class HandClock:
    """A clock moved by hand: starts at noon."""

    now = 100.0

    def monotonic(self):
        return self.now

    def offset(self):
        return NOON - 100.0

    def trusted(self):
        return True


def fail(name, death):
    raise AssertionError(f"{name} died") from death


def mock_pin(pull="up"):
    pin = MockFactory().pin(24)
    pin.function, pin.pull = "input", pull
    return pin


def driver(pin, steps, clock, pull="up"):
    return PulseDriver("demo", pin, iter(steps), clock, on_death=fail, pull=pull)


def test_turn_closes_the_contact_when_the_pulse_is_due_and_not_before():
    pin, clock = mock_pin(), HandClock()
    edges = Edges(pin)
    demo = driver(pin, [PulseStep(NOON + 10, [NOON + 4.0])], clock)
    demo.turn()
    assert demo.wake_seconds == 4.0
    clock.now += 3.0
    demo.turn()  # woken too early
    assert (demo.wake_seconds, edges.levels) == (1.0, [])
    clock.now += 1.0
    demo.turn()
    assert edges.levels == [False, True]
    assert demo.wake_seconds == 6.0  # to the end of the step


def test_turn_goes_through_steps_without_pulses():
    clock = HandClock()
    demo = driver(mock_pin(), [PulseStep(NOON + 10, []), PulseStep(NOON + 20, [NOON + 20.0])], clock)
    demo.turn()
    clock.now += 10.0
    demo.turn()
    assert demo.wake_seconds == 10.0


def test_pin_with_pull_down_closes_to_high():
    pin, clock = mock_pin("down"), HandClock()
    edges = Edges(pin)
    demo = driver(pin, [PulseStep(NOON + 10, [NOON + 0.0])], clock, "down")
    demo.turn()
    demo.turn()
    assert edges.levels == [True, False]


def test_mock_pin_does_not_remember_the_pulses_of_past_steps():
    pin, clock = mock_pin(), HandClock()
    demo = driver(pin, [PulseStep(NOON - 10, [NOON - 12.0]), PulseStep(NOON + 10, [])], clock)
    demo.turn()
    demo.turn()
    assert len(pin.states) == 3  # at rest, closed, open
    demo.turn()
    assert len(pin.states) == 1


def test_late_driver_makes_up_for_every_pulse_with_whole_pulses_and_pauses():
    pin = mock_pin()
    edges = Edges(pin, wanted=12)
    late = (
        step for step in (PulseStep(NOON, [NOON - 2.0, NOON - 1.9, NOON - 1.8]), PulseStep(NOON + 10, [NOON + 1.0] * 3))
    )
    clock = SystemClock(network_time=False)
    now = clock.monotonic() + clock.offset()
    demo = driver(pin, chain(late, [PulseStep(int(now) + 3600, [])]), clock)
    demo.start()
    assert edges.complete.wait(10)
    demo.stop()
    assert edges.levels == [False, True] * 6
    gaps = [after - before for (before, _), (after, _) in pairwise(edges.seen)]
    assert min(gaps[0::2]) >= 0.030  # closed
    assert min(gaps[1::2]) >= 0.030  # open


def test_pulses_of_a_load_come_at_their_times():
    # 36 kW at 1000 imp/kWh: ten pulses a second
    clock = SystemClock(network_time=False)
    offset = clock.offset()
    start = clock.monotonic() + offset
    pin = mock_pin()
    edges = Edges(pin, wanted=6)
    demo = driver(pin, pulse_steps(Constant(36_000), 1000, start, UTC), clock)
    demo.start()
    assert edges.complete.wait(10)
    demo.stop()
    closed = [ticks + offset - start for ticks, level in edges.seen if not level]
    assert all(late >= 0.1 * pulse - 0.005 for pulse, late in enumerate(closed, 1))


def test_stop_does_not_wait_for_the_next_pulse():
    clock = SystemClock(network_time=False)
    start = clock.monotonic() + clock.offset()
    demo = driver(mock_pin(), pulse_steps(Constant(1), 1000, start, UTC), clock)
    demo.start()
    demo.stop()
    assert not demo.is_alive()
    assert clock.monotonic() + clock.offset() < start + 5


def test_recording_with_a_hole_of_two_minutes_goes_on_at_the_power_before_it(tmp_path):
    path = tmp_path / "load.csv"
    path.write_text("minute,watts\n2024-01-01T00:00:00,5\n2024-01-01T00:03:00,7\n")
    # 4 minutes in all: 5, 5, 5, 7; six steps each
    assert Recording(path).day_watts(MONDAY)[:24] == [5] * 18 + [7] * 6


def test_recording_that_has_the_end_of_summer_time_in_it_leaves_the_second_hour_out(tmp_path):
    path = tmp_path / "load.csv"
    start = datetime.datetime(2024, 10, 27, 1, 30)
    wall = [start + datetime.timedelta(minutes=n) for n in range(90)]  # 1:30 to 2:59
    wall += [datetime.datetime(2024, 10, 27, 2) + datetime.timedelta(minutes=n) for n in range(120)]  # 2:00 to 3:59
    path.write_text("minute,watts\n" + "".join(f"{t.isoformat()},{n}\n" for n, t in enumerate(wall)))
    day = Recording(path).day_watts(datetime.date(2024, 10, 27))
    assert day[2 * 360 + 30 * 6] == 60  # 2:30 as it came first
    assert day[3 * 360] == 150  # 3:00
