"""The counting thread: turns by hand with a clock moved by hand, and the real thread where it matters."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import START, HandClock, Line
from test_store import rates

from powerpi.counting import Counting, Timing
from powerpi.meter import Meter
from powerpi.pulses import Row
from powerpi.store import Store

TIMING = Timing(flush_seconds=300, register_seconds=60, clock_wait_seconds=900)
Make = Callable[..., Counting]


@pytest.fixture
def deaths() -> list[tuple[str, BaseException]]:
    return []


@pytest.fixture
def make_counting(
    line: Line, clock: HandClock, make_store: Callable[..., Store], deaths: list[tuple[str, BaseException]]
) -> Iterator[Make]:
    made: list[Counting] = []

    def make(timing: Timing = TIMING) -> Counting:
        meter = Meter("house", line.pin, make_store(), 0.010, START)
        made.append(Counting([meter], clock, timing, lambda name, death: deaths.append((name, death))))
        return made[-1]

    yield make
    for counting in made:
        counting.stop()


def pulse_every(line: Line, counting: Counting, seconds: int, until: int) -> None:
    """A pulse every so many seconds and a turn after each, from the clock's time to `until` (CLOCK_MONOTONIC)."""
    for time in range(int(line.clock.now) + 5, until, seconds):
        line.pulse(time)
        counting.turn()


def test_rows_are_written_every_flush_seconds_only(
    make_counting: Make, line: Line, make_store: Callable[..., Store]
) -> None:
    counting = make_counting()
    pulse_every(line, counting, 10, 1299)
    stored = make_store()
    stored.open(START)
    assert stored.last_row is None
    pulse_every(line, counting, 10, 1310)
    stored.open(START)
    assert stored.last_row
    assert stored.last_row.time == START + 300


def test_register_is_written_every_register_seconds(
    make_counting: Make, line: Line, make_store: Callable[..., Store]
) -> None:
    counting = make_counting()
    pulse_every(line, counting, 10, 1059)
    assert make_store().open(START)[0] == 0
    pulse_every(line, counting, 10, 1075)
    # due at 1060: pulses at 1005, 1015, ... 1055 and the one whose turn wrote it
    assert make_store().open(START)[0] == 7


def test_a_reader_gets_the_rows_at_once(make_counting: Make, line: Line, make_store: Callable[..., Store]) -> None:
    counting = make_counting()
    counting.start()
    line.pulses([1005, 1015, 1025])
    assert counting.flush(5.0)
    stored = make_store()
    stored.open(START)
    assert stored.last_row
    assert stored.last_row.time == START + 20


def test_who_wants_the_counter_on_disk_gets_it_at_once(
    make_counting: Make, line: Line, make_store: Callable[..., Store]
) -> None:
    counting = make_counting()
    counting.start()
    line.pulses([1005, 1015, 1025])
    store = counting.meters["house"].store
    assert counting.flush(5.0)
    assert store.stored_pulses == 3  # as far as there are rows, rounded up
    line.pulses([1026, 1027, 1028])  # which make no row yet
    assert counting.flush(5.0)
    assert store.stored_pulses == 3
    assert counting.flush(5.0, counters=True)
    assert store.stored_pulses == 6
    line.pulses([1029])
    assert counting.flush(5.0)
    assert store.stored_pulses == 6  # once only


def test_stopping_counts_the_last_edges_and_writes_everything(
    make_counting: Make, line: Line, make_store: Callable[..., Store]
) -> None:
    counting = make_counting()
    counting.start()
    line.pulses([1005, 1015, 1025])
    counting.stop()
    stored = make_store()
    assert stored.open(START)[0] == 3
    assert rates(stored.rrd, START + 10, START + 20) == pytest.approx([0.1])
    assert make_store()._register_path.exists()


def test_rows_wait_for_a_trusted_clock_and_are_placed_at_their_right_times(
    make_counting: Make, line: Line, clock: HandClock
) -> None:
    true_offset = clock.ahead
    clock.is_trusted = False
    clock.ahead -= 86400 * 300
    counting = make_counting()
    pulse_every(line, counting, 10, 1100)
    meter = counting.meters["house"]
    assert meter.live.rows == ()
    assert meter.pulses == 10
    clock.is_trusted, clock.ahead = True, true_offset
    counting.turn()
    assert [row.time for row in meter.live.rows] == list(range(START + 10, START + 100, 10))


def test_after_the_wait_it_goes_on_with_the_clock_as_it_is(
    make_counting: Make, line: Line, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.is_trusted = False
    counting = make_counting(TIMING._replace(clock_wait_seconds=100))
    pulse_every(line, counting, 10, 1099)
    assert counting.offset is None
    pulse_every(line, counting, 10, 1130)
    assert counting.offset == clock.offset()
    assert counting.meters["house"].live.rows[0].time == START + 10
    assert "not synchronised" in caplog.text


def test_a_clock_behind_the_last_row_goes_on_later_than_it(make_counting: Make, line: Line, clock: HandClock) -> None:
    counting = make_counting()
    pulse_every(line, counting, 10, 1200)
    counting.last_turn()
    newest = counting.meters["house"].newest_time
    clock.is_trusted = False
    clock.ahead -= 86400  # booted a day behind
    counting = make_counting(TIMING._replace(clock_wait_seconds=0))
    pulse_every(line, counting, 10, 1300)
    rows = counting.meters["house"].live.rows
    assert rows[1].time > newest + 10
    assert len(rows) > 5


def test_clock_step_is_followed_and_said_once(
    make_counting: Make, line: Line, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    counting = make_counting()
    pulse_every(line, counting, 10, 1100)
    clock.ahead += 3600
    pulse_every(line, counting, 10, 1200)
    assert caplog.text.count("the clock was stepped by 3600.0 s") == 1
    times = [row.time for row in counting.meters["house"].live.rows]
    assert times == sorted(set(times))
    assert max(times) > START + 3600


def test_a_refused_write_is_tried_again_soon(make_counting: Make, line: Line) -> None:
    counting = make_counting()
    meter = counting.meters["house"]
    content = meter.store.rrd.read_bytes()
    meter.store.rrd.unlink()
    meter.store.rrd.mkdir()
    pulse_every(line, counting, 10, 1400)
    assert meter.faults
    meter.store.rrd.rmdir()
    meter.store.rrd.write_bytes(content)
    pulse_every(line, counting, 10, 1430)
    assert not meter.faults
    assert rates(meter.store.rrd, START + 10, START + 390) == pytest.approx([0.1] * 38)


def test_death_of_the_thread_is_told(make_counting: Make, deaths: list[tuple[str, BaseException]]) -> None:
    counting = make_counting()
    counting.meters["house"].take_edges = lambda _: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    counting.start()
    counting.join(5)
    assert not counting.is_alive()
    [(name, death)] = deaths
    assert name == "pulses"
    assert isinstance(death, ZeroDivisionError)


def test_rows_in_the_future_of_a_right_clock_are_set_aside_and_counting_goes_on(
    make_counting: Make, line: Line, clock: HandClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counting = make_counting()
    clock.ahead += 86400 * 30  # somebody set the clock a month ahead ...
    pulse_every(line, counting, 10, 1100)
    counting.last_turn()
    clock.ahead -= 86400 * 30  # ... and right again
    pulse_every(line, counting, 10, 1200)
    counting.last_turn()
    meter = counting.meters["house"]
    assert meter.pulses == 20
    [kept] = tmp_path.glob("house.rrd.future-*")
    assert str(kept) in caplog.text
    # the rows that follow are at their right times, the first after a gap
    known = [rate for rate in rates(meter.store.rrd, START, START + 190) if rate is not None]
    assert known == pytest.approx([0.1] * len(known))
    assert len(known) >= 7


def test_a_file_from_the_future_is_set_aside_at_the_start(
    make_counting: Make, make_store: Callable[..., Store], line: Line, tmp_path: Path
) -> None:
    store = make_store()
    store.open(START)
    store.write([Row(START + 10, 5.0), Row(START + 86400 * 365, 9.0)])
    counting = make_counting()
    pulse_every(line, counting, 10, 1100)
    counting.last_turn()
    assert counting.meters["house"].pulses == 9 + 10
    assert len(list(tmp_path.glob("house.rrd.future-*"))) == 1
    assert rates(counting.meters["house"].store.rrd, START + 10, START + 90) == pytest.approx([0.1] * 8)


def test_a_step_back_of_some_minutes_is_waited_for_and_nothing_set_aside(
    make_counting: Make, line: Line, clock: HandClock, tmp_path: Path
) -> None:
    counting = make_counting()
    pulse_every(line, counting, 10, 1400)
    clock.ahead -= 300
    pulse_every(line, counting, 10, 1900)
    counting.last_turn()
    assert list(tmp_path.glob("house.rrd.*")) == []
    known = [rate for rate in rates(counting.meters["house"].store.rrd, START, START + 600) if rate is not None]
    assert max(known) == pytest.approx(0.1)


def test_a_flush_that_is_refused_says_so(make_counting: Make, line: Line, make_store: Callable[..., Store]) -> None:
    counting = make_counting()
    counting.start()
    line.pulses([1005, 1015, 1025])
    meter = counting.meters["house"]
    with meter.store._gate:
        assert not counting.flush(5.0)
    assert meter.faults == {}
    assert counting.flush(5.0)


def test_stopping_tries_again_while_somebody_else_has_the_file(make_counting: Make, line: Line) -> None:
    counting = make_counting()
    counting.start()
    line.pulses([1005, 1015, 1025])
    meter = counting.meters["house"]
    assert meter.store._gate.acquire()
    counting.stop_soon()
    threading.Timer(1.5, meter.store._gate.release).start()
    counting.join(10)
    assert not meter.unwritten
    assert rates(meter.store.rrd, START + 10, START + 20) == pytest.approx([0.1])


def test_a_clock_before_2020_is_not_set_whatever_says_so(make_counting: Make, line: Line, clock: HandClock) -> None:
    clock.ahead = 100 - clock.now  # 1970
    counting = make_counting()
    pulse_every(line, counting, 10, 1500)
    assert (counting.trusted, counting.offset) == (False, None)
    clock.ahead = START - 1000
    clock.now = 1500
    pulse_every(line, counting, 10, 1600)
    counting.last_turn()
    # what waited is back-dated
    assert rates(counting.meters["house"].store.rrd, START + 10, START + 590) == pytest.approx([0.1] * 58)


def test_a_turn_that_fails_writes_what_all_meters_have_counted(
    line: Line, clock: HandClock, make_store: Callable[..., Store]
) -> None:
    other = Line(clock, gpio=23)
    meters = [Meter(name, contact.pin, make_store(name), 0.010, START) for name, contact in (("a", line), ("b", other))]
    counting = Counting(meters, clock, TIMING, lambda *_: None)
    for time in (1005, 1015, 1025):
        other.pulse(time)
    line.pin._edges = None  # type: ignore[assignment]  # the fault: its edges cannot be taken
    with pytest.raises(TypeError):
        counting.turn()
    assert make_store("b").open(START)[0] == 0  # they had not been taken yet
    line.pin._edges = deque()
    counting.turn()
    line.pin._edges = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        counting.turn()
    assert make_store("b").open(START)[0] == 3
    assert rates(meters[1].store.rrd, START + 10, START + 20) == pytest.approx([0.1])
