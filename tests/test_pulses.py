"""Edges to pulses, pulses to rows: tables, worked out by hand."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerpi.pulses import (
    Contact,
    Edge,
    Knot,
    Row,
    feed,
    idle_knot,
    next_boundary,
    rows_between,
)

MIN_PULSE = 0.010
OPEN = Contact(False)


def levels(*changes: tuple[float, bool]) -> list[Edge]:
    return [Edge(time, closed) for time, closed in changes]


def run(edges: list[Edge], contact: Contact = OPEN) -> tuple[Contact, list[float]]:
    pulses = []
    for edge in edges:
        contact, pulse = feed(contact, edge, MIN_PULSE)
        if pulse is not None:
            pulses.append(pulse)
    return contact, pulses


def clean(start: float, width: float = 0.030) -> list[Edge]:
    return levels((start, True), (start + width, False))


def chatter(start: float, closing: bool) -> list[Edge]:
    """Three times 0.7 ms there and back before the level settles, as a tired contact does."""
    return levels(*((start + 0.0007 * n, closing == (n % 2 == 0)) for n in range(7)))


@pytest.mark.parametrize(
    ("edges", "times", "rejected"),
    [
        pytest.param(clean(1.0), [1.0], 0, id="a clean pulse of 30 ms"),
        pytest.param(clean(1.0, 0.010), [1.0], 0, id="exactly the shortest pulse"),
        pytest.param(clean(1.0, 0.0099), [], 2, id="a little shorter than the shortest"),
        pytest.param(clean(1.0, 0.001), [], 2, id="a glitch of 1 ms"),
        pytest.param(clean(1.0) + clean(1.060), [1.0, 1.060], 0, id="16.7 pulses a second"),
        pytest.param(levels((1.0, True)), [], 0, id="a contact that stays closed"),
        pytest.param(levels((1.0, True), (3601.0, False)), [1.0], 0, id="a line stuck for an hour is one pulse"),
        # closing chatter: 3 short closings (6 edges) are rejected, the settled one began 6 x 0.7 ms later
        pytest.param(chatter(1.0, True) + levels((1.040, False)), [1.0042], 6, id="chatter on closing"),
        # opening chatter: the pulse counts at its first opening, 3 short closings (6 edges) are rejected
        pytest.param(levels((1.0, True)) + chatter(1.030, False), [1.0], 6, id="chatter on opening"),
        # after a break of 2 ms the contact closes again for 20 ms: long enough for a pulse, but the same one
        pytest.param(
            levels((1.0, True), (1.020, False), (1.022, True), (1.042, False)), [1.0], 2, id="one pulse with a break"
        ),
    ],
)
def test_edges_become_pulses(edges: list[Edge], times: list[float], rejected: int) -> None:
    contact, pulses = run(edges)
    assert pulses == pytest.approx(times)
    assert contact.rejected == rejected
    assert contact.lost == 0


def test_a_hundred_chattering_pulses_count_as_a_hundred() -> None:
    edges = [edge for n in range(100) for edge in chatter(n * 0.1, True) + chatter(n * 0.1 + 0.040, False)]
    contact, pulses = run(edges)
    assert len(pulses) == 100
    assert contact.rejected == 100 * 12


def test_contact_closed_at_the_start_is_no_pulse_when_it_opens() -> None:
    contact, pulses = run([Edge(5.0, False), *clean(6.0)], Contact(True))
    assert pulses == [6.0]
    assert (contact.rejected, contact.lost) == (0, 0)


def test_first_edge_that_repeats_the_level_found_at_the_start_is_no_loss() -> None:
    contact, pulses = run([Edge(0.5, False), *clean(1.0)])
    assert pulses == [1.0]
    assert contact.lost == 0


def test_two_equal_levels_in_a_row_count_as_a_lost_edge_and_invent_no_pulse() -> None:
    contact, pulses = run([*clean(1.0), Edge(2.0, False), *clean(3.0), Edge(4.0, True), Edge(5.0, True)])
    assert pulses == [1.0, 3.0]
    assert contact.lost == 2


@given(st.lists(st.floats(0.0001, 0.1), min_size=2, max_size=60))
def test_never_more_pulses_than_closings_long_enough(gaps: list[float]) -> None:
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    edges = [Edge(time, n % 2 == 0) for n, time in enumerate(times)]
    contact, pulses = run(edges)
    long_enough = [a for a, b in itertools.pairwise(edges) if a.closed and b.time - a.time >= MIN_PULSE]
    assert len(pulses) <= len(long_enough)
    assert set(pulses) <= {edge.time for edge in long_enough}
    completed = sum(not edge.closed for edge in edges)
    assert contact.rejected == 2 * (completed - len(pulses))


@pytest.mark.parametrize(("time", "boundary"), [(100, 110), (100.1, 110), (109.999, 110), (110, 120), (-5, 0)])
def test_next_boundary_lies_after_the_time(time: float, boundary: int) -> None:
    assert next_boundary(time) == boundary


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        # 1 pulse in 40 s, from 95 to 135: 0.125 at 100, then 0.25 more every 10 s
        (Knot(95, 7), Knot(135, 8), [Row(100, 7.125), Row(110, 7.375), Row(120, 7.625), Row(130, 7.875)]),
        (Knot(101, 7), Knot(109, 8), []),  # both within a step
        (Knot(100, 7), Knot(110, 8), [Row(110, 8)]),  # the boundary before belongs to the line before
        (Knot(95.5, 7), Knot(100.5, 8), [Row(100, 7.9)]),
        (Knot(95, 7), Knot(120, 7), [Row(100, 7), Row(110, 7), Row(120, 7)]),  # flat
    ],
)
def test_rows_are_read_off_the_line_at_the_boundaries(before: Knot, after: Knot, rows: list[Row]) -> None:
    found = rows_between(before, after)
    assert [row.time for row in found] == [row.time for row in rows]
    assert [row.pulses for row in found] == pytest.approx([row.pulses for row in rows])


@given(
    st.lists(st.floats(0.06, 500), min_size=1, max_size=40),
    st.floats(0, 1e6),
)
def test_rows_of_a_line_rise_one_step_at_a_time_and_never_beyond_the_counter(gaps: list[float], start: float) -> None:
    knots = [Knot(start + math.fsum(gaps[:n]), n) for n in range(len(gaps) + 1)]
    rows = [row for a, b in itertools.pairwise(knots) for row in rows_between(a, b)]
    assert [row.time for row in rows] == list(range(next_boundary(start), int(knots[-1].time) + 1, 10))
    counters = [0.0, *(row.pulses for row in rows), float(len(gaps))]
    assert all(a <= b + 1e-6 for a, b in itertools.pairwise(counters))


def test_line_stays_open_until_an_hour_without_a_pulse() -> None:
    assert idle_knot(Knot(1000, 5), 4599) is None
    assert idle_knot(Knot(1000, 5), 4600) == Knot(2800, 5)  # flat up to half an hour ago


def test_edges_that_the_kernel_counted_and_lost_are_lost_edges() -> None:
    contact, pulses = run([*clean(1.0), Edge(2.0, True, missed=4), Edge(2.03, False)])
    assert (pulses, contact.lost, contact.rejected) == ([1.0, 2.0], 4, 0)


def test_a_lost_edge_is_counted_once_although_the_levels_show_it_too() -> None:
    contact, pulses = run([Edge(1.0, True), Edge(5.0, True, missed=1), Edge(5.03, False)])
    assert (pulses, contact.lost) == ([5.0], 1)


def test_edges_lost_before_the_first_one_are_counted() -> None:
    contact, pulses = run([Edge(1.0, False, missed=2)])
    assert (pulses, contact.lost) == ([], 2)
