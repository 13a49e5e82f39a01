"""What the newest closings of a contact say: widths, pauses, a proposed limit, the highest power. Pure."""

from __future__ import annotations

import pytest

from powerpi.pulse_health import KEPT, Bin, Seen, Told, Trace, health, histogram, told
from powerpi.pulses import Contact, Edge, feed


def trace_of(
    widths_ms: list[float], distance: float = 10.0, min_pulse_ms: float = 10.0, begin: float = 1000.0
) -> Trace:
    """A trace of pulses that begin `distance` seconds apart."""
    trace = Trace(min_pulse_ms / 1000)
    for number, width in enumerate(widths_ms):
        trace.pulse(begin + number * distance, begin + number * distance + width / 1000)
    return trace


def proposed(widths_ms: list[float], short_ms: list[float], min_pulse_ms: float) -> float | None:
    trace = trace_of(widths_ms, min_pulse_ms=min_pulse_ms)
    for number, width in enumerate(short_ms):
        trace.reject(1005 + number * 10, 1005 + number * 10 + width / 1000)
    return health(trace.seen(), 1000, 1100).proposed_min_pulse_ms


# ---------------------------------------------------------------- the trace


def test_what_is_handed_out_changes_only_when_something_came() -> None:
    trace = trace_of([30, 30])
    first = trace.seen()
    assert trace.seen() is first
    trace.reject(1500, 1500.002)
    second = trace.seen()
    assert (first.rejected, second.rejected) == ((), ((1500, 1500.002),))
    assert trace.seen() is second
    trace.pulse(1600, 1600.03)
    assert trace.seen().pulses[-1] == (1600, 1600.03)


def test_memory_is_bounded_and_rejected_closings_do_not_drive_out_pulses() -> None:
    trace = trace_of([30.0] * 5)
    for number in range(10_000):
        trace.reject(2000 + number, 2000.001 + number)
    seen = trace.seen()
    assert (len(seen.pulses), len(seen.rejected)) == (5, KEPT)
    assert seen.rejected[-1][0] == 11_999
    for number in range(10_000):
        trace.pulse(20_000 + number, 20_000.03 + number)
    assert len(trace.seen().pulses) == KEPT


def test_a_closing_that_nobody_saw_begin_is_none() -> None:
    trace = Trace(0.01)
    trace.reject(None, 1000)
    assert trace.seen() == Seen(min_pulse_ms=10)


def test_a_contact_is_fed_as_it_is_without_a_trace_and_its_closings_are_remembered() -> None:
    trace, contact, begins = Trace(0.01), Contact(False), []
    for time, closed in ((1.0, True), (1.003, False), (2.0, True), (2.05, False), (3.0, True)):
        wanted = feed(contact, Edge(time, closed), 0.01)
        assert trace.feed(contact, Edge(time, closed)) == wanted
        contact, begin = wanted
        begins.append(begin)
    assert begins == [None, None, None, 2.0, None]
    assert (trace.seen().pulses, trace.seen().rejected) == (((2.0, 2.05),), ((1.0, 1.003),))


# ---------------------------------------------------------------- as they are told


def test_closings_are_told_in_their_order_with_pause_and_power() -> None:
    trace = Trace(0.01)
    trace.pulse(1000, 1000.03)
    trace.reject(1005, 1005.003)
    trace.pulse(1010, 1010.04)
    first, short, second = told(trace.seen(), 1000)
    assert first == Told(1000, True, pytest.approx(30), None, None)
    assert short == Told(1005, False, pytest.approx(3), pytest.approx(4970), None)
    # 3 600 000 Ws per kWh / (1000 imp/kWh x 10 s) = 360 W; the pause is from 1000.03 to 1010
    assert second == Told(1010, True, pytest.approx(40), pytest.approx(9970), pytest.approx(360))


def test_nothing_seen_tells_nothing() -> None:
    assert told(Seen(), 1000) == []
    empty = health(Seen(min_pulse_ms=10), 1000, 0)
    assert (empty.pulses, empty.rejected, empty.widths, empty.pauses) == (0, 0, (), ())
    assert {empty.width_ms, empty.pause_ms, empty.proposed_min_pulse_ms, empty.highest_watts, empty.peak_watts} == {
        None
    }
    assert empty.peak_share is None


# ---------------------------------------------------------------- the histogram


def test_a_length_at_an_edge_belongs_above_it_and_empty_ends_are_left_out() -> None:
    bins = histogram((0, 10, 20, 30, 40, 60), [30, 39.9, 30.000000001], [0.5, 9.99])
    assert bins == (Bin(0, 10, 0, 2), Bin(10, 20, 0, 0), Bin(20, 30, 0, 0), Bin(30, 40, 3, 0))


def test_the_longest_have_no_end() -> None:
    assert histogram((0, 10), [5000.0]) == (Bin(10, None, 1, 0),)


def test_a_width_of_30_ms_is_30_ms_whatever_the_floats_say() -> None:
    # 1000.03 - 1000 is 29.99999999997 ms in binary
    assert health(trace_of([30.0] * 3).seen(), 1000, 1100).widths == (Bin(30, 40, 3, 0),)


def test_medians_and_shortest_are_of_the_pulses() -> None:
    trace = trace_of([30, 31, 32, 60, 33])
    trace.reject(1005, 1005.001)
    found = health(trace.seen(), 1000, 1100)
    assert (found.pulses, found.rejected) == (5, 1)
    assert found.width_ms == pytest.approx(32)
    assert found.shortest_width_ms == pytest.approx(30)
    # pauses: 9970, 9969, 9968, 9940 ms
    assert found.pause_ms == pytest.approx(9968.5)
    assert found.shortest_pause_ms == pytest.approx(9940)


# ---------------------------------------------------------------- the proposed limit


@pytest.mark.parametrize(
    ("widths_ms", "short_ms", "configured", "wanted"),
    [
        ([30.0] * 9, [9.0], 10, None),  # too few pulses
        ([30.0] * 10, [], 10, None),  # half as long as the shortest pulse and more: good
        ([30.0] * 10, [0.7] * 5, 10, None),  # far above the disturbances: good
        ([30.0] * 10, [8.0], 10, 15.0),  # 8 x 1.5 > 10; sqrt(8 x 30) = 15.49, two digits
        ([32.0] * 10, [], 29, 16.0),  # 29 x 1.5 > 32; half of the shortest pulse
        ([100.0] * 10, [20.0], 10, 29.0),  # sqrt(20 x 100) = 44.7, but S0 allows pulses of 30
        ([100.0] * 10 + [12.0] * 2, [], 10, 29.0),  # disturbances of 12 ms were counted
        ([12.0] * 10, [], 10, 6.0),  # shorter than S0 allows, but the usual pulse
        ([30.0] * 10, [25.0], 10, None),  # bounced for long: no disturbance, for it is as long as a pulse
        ([100.0] * 10, [29.5], 20, None),  # no limit below 30 ms is above it
    ],
    ids=["few", "quiet", "chatter", "tight", "high", "capped", "counted", "short", "bounce", "hopeless"],
)
def test_the_proposed_limit_lies_halfway_where_the_configured_one_has_no_margin(
    widths_ms: list[float], short_ms: list[float], configured: float, wanted: float | None
) -> None:
    assert proposed(widths_ms, short_ms, configured) == wanted


# ---------------------------------------------------------------- the highest power


def test_the_highest_power_follows_from_the_usual_width_and_the_shortest_pause() -> None:
    # 3 600 000 / (1000 x (0.03 + 0.03)) = 60 kW; 10 000 imp/kWh and 90 ms: 3 600 000 / (10 000 x 0.12) = 3 kW
    assert health(trace_of([30.0] * 10).seen(), 1000, 1100).highest_watts == pytest.approx(60_000)
    assert health(trace_of([90.0] * 10).seen(), 10_000, 1100).highest_watts == pytest.approx(3000)
    # a reed contact at a disc, closed for 3 s at this power: not longer than S0's longest pulse at the highest
    assert health(trace_of([3000.0] * 10).seen(), 75, 1100).highest_watts == pytest.approx(320_000)


@pytest.mark.parametrize("distance", [0.06, 0.08, 36])
def test_the_peak_is_a_share_of_the_highest_power(distance: float) -> None:
    # 30 ms wide: 60 ms apart at best
    found = health(trace_of([30.0] * 10, distance).seen(), 1000, 1400)
    assert found.peak_watts == pytest.approx(3600 / distance)
    assert found.peak_share == pytest.approx(0.06 / distance)


def test_a_single_short_distance_is_no_high_power() -> None:
    trace = trace_of([30.0] * 10)
    trace.pulse(1091, 1091.03)  # 1 s after the one at 1090; the mean of 3 distances is 7 s
    assert health(trace.seen(), 1000, 1100).peak_watts == pytest.approx(3600 / 7)


def test_a_high_power_is_remembered_for_a_day_also_after_its_pulses_are_forgotten() -> None:
    trace = trace_of([30.0] * 10, 0.07)
    trace.seen()
    for number in range(KEPT + 1):
        trace.pulse(2000 + 200 * number, 2000.03 + 200 * number)
        trace.seen()
    assert health(trace.seen(), 1000, 62_000).peak_watts == pytest.approx(3600 / 0.07)
    assert health(trace.seen(), 1000, 100_000).peak_watts == pytest.approx(3600 / 200)
