"""The counting of one contact: a mock pin driven by hand, a real store, no thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import START, HandClock, Line
from test_store import rates

from powerpi import anchors, gaps
from powerpi.anchors import Anchor
from powerpi.errors import PinError
from powerpi.gaps import Gap
from powerpi.meter import DEAF_SECONDS, DROPPED_ROWS, MANY_KNOTS, MOST_ROWS, Meter
from powerpi.pulses import Row
from powerpi.store import Store
from powerpi.writing import BUSY_REFUSALS

Make = Callable[..., Store]


@pytest.fixture
def make_meter(line: Line, clock: HandClock, make_store: Make) -> Callable[[], Meter]:
    """Starts the counting (again), as a new process would."""

    def make() -> Meter:
        meter = Meter("house", line.pin, make_store(), 0.010, START)
        meter.begin(clock.monotonic())
        return meter

    return make


def turn(meter: Meter, clock: HandClock) -> Meter:
    meter.take_edges(clock.monotonic())
    meter.make_rows(clock.monotonic(), clock.offset())
    meter.publish()
    return meter


def test_pulses_become_interpolated_rows(make_meter: Callable[[], Meter], line: Line, clock: HandClock) -> None:
    meter = make_meter()
    line.pulses([1005, 1025, 1035])  # wall time is START - 1000 later: boundaries at 1000, 1010, ...
    turn(meter, clock)
    # 1 pulse in 20 s from 1005: 1.25 at 1010, 1.75 at 1020; then 1 in 10 s: 2.5 at 1030
    assert meter.live.rows == (Row(START + 10, 1.25), Row(START + 20, 1.75), Row(START + 30, 2.5))
    assert meter.live.pulses == 3
    assert meter.live.pulses_since == pytest.approx(0.5)


def test_nothing_is_known_before_the_first_pulse(make_meter: Callable[[], Meter], line: Line, clock: HandClock) -> None:
    meter = make_meter()
    clock.now = 1600
    turn(meter, clock)
    assert meter.live.rows == ()
    line.pulse(1605)
    line.pulse(1615)
    turn(meter, clock)
    assert [row.time for row in meter.live.rows] == [START + 610]


def test_closings_are_remembered_whether_they_count_or_not(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulse(1005, width=0.04)
    line.pulse(1007, width=0.003)  # too short
    line.pulse(1015)
    line.pulse(1015.035, width=0.03)  # 5 ms after the pulse: it bounces
    turn(meter, clock)
    seen = meter.live.seen
    assert seen
    assert seen.min_pulse_ms == 10
    assert seen.pulses == (pytest.approx((1005, 1005.04)), pytest.approx((1015, 1015.03)))
    assert seen.rejected == (pytest.approx((1007, 1007.003)), pytest.approx((1015.035, 1015.065)))
    turn(meter, clock)
    assert meter.live.seen is seen


def test_flush_writes_and_forgets_what_is_on_disk(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulses([1005, 1025, 1035])
    turn(meter, clock)
    assert meter.flush()
    meter.publish()
    assert meter.live.rows == (Row(START + 30, 2.5),)
    assert rates(meter.store.rrd, START, START + 30) == [None, pytest.approx(0.05), pytest.approx(0.075)]


def test_counter_goes_on_after_a_restart_and_the_time_between_is_unknown(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock).flush()
    meter.save_register(int(clock.wall()))

    line.pulse(1030)  # nobody counts this one
    line.pin.drain()
    meter = make_meter()
    assert meter.pulses == 3
    line.pulses([1035, 1045, 1055])
    turn(meter, clock).flush()
    assert meter.pulses == 6
    # rows at 1010, 1020, then a gap although the next boundary, 1040, is known, then 1050
    assert rates(meter.store.rrd, START + 10, START + 50) == [pytest.approx(0.1), None, None, pytest.approx(0.1)]


def test_restart_within_a_step_leaves_a_gap_too(make_meter: Callable[[], Meter], line: Line, clock: HandClock) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1020.5])
    turn(meter, clock).flush()
    meter = make_meter()
    line.pulses([1022, 1035, 1045])
    turn(meter, clock)
    assert meter.live.rows[0].time == START + 20
    assert [row.time for row in meter.live.rows[1:]] == [START + 40]


def test_an_hour_without_a_pulse_becomes_zero_and_the_next_pulse_makes_no_spike(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015])
    clock.now = 1015 + 3601
    turn(meter, clock)
    line.pulse(1015 + 3605)
    turn(meter, clock).flush()
    known = rates(meter.store.rrd, START + 10, START + 3610)
    assert None not in known
    # the whole pulse is spread over the half hour kept back: 1 / 1804 s, 2 W at 1000 imp/kWh
    assert max(known[1:]) == pytest.approx(1 / 1804, rel=0.01)
    # the counter in the file and the pulses agree: the first row stands at 1.5
    assert sum(known) * 10 == pytest.approx(3 - 1.5, abs=0.01)


def test_a_contact_that_was_closed_for_hours_makes_no_spike_when_it_opens(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulses([1005, 1025])
    clock.now = 1045
    line.close()
    for clock.now in range(1050, 1050 + 2 * 3600, 60):
        turn(meter, clock)
    line.open()
    opened = clock.now
    turn(meter, clock)
    line.pulses([opened + 20, opened + 40])
    turn(meter, clock).flush()
    assert meter.pulses == 5
    known = [rate for rate in rates(meter.store.rrd, START, START + 7300) if rate is not None]
    assert max(known) == pytest.approx(0.05)


def test_idle_from_the_start_is_zero_after_an_hour(make_meter: Callable[[], Meter], clock: HandClock) -> None:
    meter = make_meter()
    for clock.now in range(1001, 1001 + 2 * 3600, 10):
        turn(meter, clock)
    times = [row.time for row in meter.live.rows]
    assert times[0] == START + 10
    assert times == list(range(START + 10, times[-1] + 1, 10))
    assert clock.wall() - times[-1] <= 3600
    assert {row.pulses for row in meter.live.rows} == {0}


def test_refused_write_keeps_all_rows_says_why_and_is_made_up_for(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    content = meter.store.rrd.read_bytes()
    meter.store.rrd.unlink()
    meter.store.rrd.mkdir()
    assert not meter.flush()
    assert not meter.flush()
    assert "rows" in meter.faults
    assert len([record for record in caplog.records if "cannot be stored" in record.message]) == 1
    meter.store.rrd.rmdir()
    meter.store.rrd.write_bytes(content)
    line.pulses([1035])
    turn(meter, clock)
    assert meter.flush()
    assert meter.faults == {}
    assert rates(meter.store.rrd, START + 10, START + 30) == pytest.approx([0.1, 0.1])


def test_clock_stepped_forward_leaves_a_gap_and_bends_no_interval(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    clock.ahead += 95
    meter.break_line()
    line.pulses([1035, 1045])
    turn(meter, clock).flush()
    # the interval from 1025 on lies 95 s later: boundaries at 1125, 1135 of the old clock; 0.1 pulses/s as before
    known = [rate for rate in rates(meter.store.rrd, START, START + 200) if rate is not None]
    assert known == pytest.approx([0.1, 0.1])


def test_clock_stepped_back_writes_no_row_twice_and_makes_no_spike(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulses(range(1005, 1106, 10))
    turn(meter, clock).flush()
    clock.ahead -= 65
    meter.break_line()
    line.pulses(range(1115, 1306, 10))
    turn(meter, clock).flush()
    assert meter.pulses == 31
    known = [rate for rate in rates(meter.store.rrd, START, START + 300) if rate is not None]
    assert max(known) == pytest.approx(0.1)


def test_many_pulses_before_the_clock_is_known_take_little_room(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulses(1000.0 + n * 0.06 for n in range(50_000))  # 16.7 a second for 50 minutes
    meter.take_edges(clock.monotonic())
    assert meter.pulses == 50_000
    assert len(meter._knots) < MANY_KNOTS + 3000 / 5 + 10
    turn(meter, clock).flush()
    # 16.67 pulses a second in every row all the same
    assert rates(meter.store.rrd, START + 10, START + 2990) == pytest.approx([1 / 0.06] * 298)


def test_live_interval_is_the_mean_of_the_last_seconds(
    make_meter: Callable[[], Meter], line: Line, clock: HandClock
) -> None:
    meter = make_meter()
    line.pulse(1000)
    assert turn(meter, clock).live.interval_seconds is None
    line.pulse(1040)
    assert turn(meter, clock).live.interval_seconds == pytest.approx(40)
    line.pulses([1041, 1043, 1044])
    # within 5 s of the last one: 1040, 1041, 1043, 1044
    assert turn(meter, clock).live.interval_seconds == pytest.approx(4 / 3)


def test_glitches_are_counted_as_rejected_edges(make_meter: Callable[[], Meter], line: Line, clock: HandClock) -> None:
    meter = make_meter()
    line.pulse(1005, width=0.001)
    line.pulse(1006, width=0.03)
    turn(meter, clock)
    assert (meter.pulses, meter.live.contact.rejected) == (1, 2)


# ---------------------------------------------------------------- gaps


def test_the_time_between_two_runs_is_a_gap_with_its_reason(
    line: Line, clock: HandClock, make_store: Make, make_meter: Callable[[], Meter]
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    assert meter.flush()
    assert meter.live.gaps == ()

    clock.now = 1500
    meter = Meter("house", line.pin, make_store(), 0.010, START, last_end=gaps.POWER_CUT)
    meter.begin(clock.monotonic())
    turn(meter, clock)
    assert meter.live.gaps == (Gap(START + 20, None, "power_cut"),)
    line.pulses([1505, 1515, 1525])
    turn(meter, clock)
    # boundaries after the first pulse at 1505: the row at 1510 only begins the line
    assert meter.live.gaps == (Gap(START + 20, START + 510, "power_cut"),)
    assert meter.flush()
    assert make_meter().live.gaps[0] == Gap(START + 20, START + 510, "power_cut")


def test_a_clock_step_is_a_gap_and_the_reason_of_an_open_one_stays(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter]
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    clock.ahead += 3600
    meter.break_line()
    line.pulses([1035, 1045])
    turn(meter, clock)
    assert meter.live.gaps == (Gap(START + 20, START + 3630, "clock_stepped"),)
    meter.flush()

    meter = make_meter()  # how the last run ended is not known here
    meter.break_line()  # the first clock that is adopted
    turn(meter, clock)
    assert meter.live.gaps[-1] == Gap(START + 3640, None, "unknown")


def test_a_meter_that_never_had_rows_has_no_gap(make_meter: Callable[[], Meter], clock: HandClock) -> None:
    meter = make_meter()
    turn(meter, clock)
    assert meter.live.gaps == ()


def test_a_file_that_was_damaged_leaves_a_gap_since_the_register(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter]
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    meter.flush()
    meter.save_register(START + 25)
    meter.store.rrd.write_text("no RRD")
    meter = make_meter()
    line.pulses([1105, 1115])
    turn(meter, clock)
    assert meter.live.gaps == (Gap(START + 25, START + 110, "disk"),)


def test_a_counter_that_is_lower_than_at_the_newest_reading_is_told(make_meter: Callable[[], Meter]) -> None:
    meter = make_meter()
    assert meter.notes == []
    anchors.write(meter.noted.path, [Anchor(START, 12_345_600.0, 12_345.6)], damaged=False)
    [note] = make_meter().notes
    assert note.startswith("the counter is at 0 pulses, lower than the 12346 at the newest reading")


def test_a_run_that_made_no_row_leaves_a_gap_with_the_reason_of_its_end(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter], make_store: Make
) -> None:
    meter = make_meter()
    line.pulse(1005)
    turn(meter, clock)
    meter.save_register(START + 5)
    meter = Meter("house", line.pin, make_store(), 0.010, START, last_end=gaps.STOPPED)
    assert meter.live.gaps == (Gap(START + 5, None, "stopped"),)


def test_gaps_that_cannot_be_stored_are_a_fault_and_stay(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter], tmp_path: Path
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    meter.flush()
    meter = make_meter()
    (tmp_path / "house.gaps.new").mkdir()  # in the way
    line.pulses([1105, 1115])
    turn(meter, clock)
    assert meter.flush()  # the rows; they need not be written again every few seconds
    assert "house.gaps" in meter.faults["gaps"]
    assert meter.unwritten
    (tmp_path / "house.gaps.new").rmdir()
    assert meter.flush()
    assert meter.faults == {}
    assert (tmp_path / "house.gaps").read_text() == f"{START + 20} {START + 110} unknown\n"


# ---------------------------------------------------------------- edges that nobody hands over


def test_a_pin_that_is_deaf_is_noticed_within_seconds(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter]
) -> None:
    meter = make_meter()
    line.pin.close()  # from here on gpiozero calls nobody
    line.close()
    for _ in range(100):  # turns follow each other at once while somebody looks
        meter.take_edges(clock.monotonic())
        meter.listen(clock.monotonic())
    clock.now += DEAF_SECONDS
    with pytest.raises(PinError, match="the pin of meter house is deaf: its contact is closed, and no edge"):
        meter.listen(clock.monotonic())


def test_a_pulse_that_is_seen_before_its_edge_comes_is_no_deafness(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter]
) -> None:
    meter = make_meter()
    for second in range(1001, 1050):
        clock.now = second
        line.close()
        held, line.pin._edges = line.pin._edges, deque()  # the thread that hands over is late
        meter.take_edges(clock.monotonic())
        meter.listen(clock.monotonic())
        line.pin._edges = held
        meter.take_edges(clock.monotonic())
        meter.listen(clock.monotonic())
        line.open()
        meter.take_edges(clock.monotonic())
        meter.listen(clock.monotonic())
    meter.publish()
    assert meter.live.contact.rejected == 2 * 49  # all edges came; each closing took no time


def test_edges_that_the_kernel_lost_are_counted(line: Line, clock: HandClock, make_meter: Callable[[], Meter]) -> None:
    meter = make_meter()
    line.pin._edges.extend([(1001.0, False, 0), (1001.03, True, 0), (1005.0, False, 6), (1005.03, True, 6)])
    clock.now = 1006
    turn(meter, clock)
    assert (meter.pulses, meter.live.contact.lost, meter.live.lost_edge) == (2, 6, 1006)


# ---------------------------------------------------------------- a disk that refuses for weeks


def test_after_two_weeks_the_oldest_day_of_the_curve_goes_and_the_counter_stays(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter]
) -> None:
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    assert meter.flush()
    line.pulses(range(3000, 16 * 86400, 3000))
    turn(meter, clock)
    assert MOST_ROWS - DROPPED_ROWS <= len(meter.live.rows) <= MOST_ROWS + 1
    assert meter.pulses == 3 + len(range(3000, 16 * 86400, 3000))
    assert meter.flush()
    # nothing is invented between the last row on disk and the first one kept
    first_kept = meter.live.rows[1].time
    assert meter.live.gaps == (Gap(START + 20, first_kept, "disk"),)
    assert set(rates(meter.store.rrd, START + 20, first_kept)) == {None}
    assert None not in rates(meter.store.rrd, first_kept, meter.live.rows[-1].time)


def test_a_file_that_stays_busy_is_a_fault_although_the_register_can_be_saved(
    line: Line, clock: HandClock, make_meter: Callable[[], Meter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("powerpi.store.GATE_SECONDS", 0.001)
    meter = make_meter()
    line.pulses([1005, 1015, 1025])
    turn(meter, clock)
    with meter.store._gate:
        for _ in range(BUSY_REFUSALS - 1):
            assert not meter.flush()
            meter.save_register(START + 25)
        assert meter.faults == {}
        assert not meter.flush()
        assert "house.rrd is being drawn for longer" in meter.faults["rows"]
    assert meter.flush()
    assert meter.faults == {}
