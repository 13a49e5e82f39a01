"""The messages of a mirror: they come back bit for bit, and every field that will not do is named with its value."""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from conftest import START
from hypothesis import given, settings
from hypothesis import strategies as st
from pair import STATE

from powerpi.digests import UNIT_ROWS, Unit
from powerpi.errors import WireError
from powerpi.gaps import KEPT, LATEST, REASONS, Gap
from powerpi.messages import (
    MOST_PULSES,
    MOST_RATE,
    MOST_SECONDS,
    Push,
    Rows,
    Standing,
    State,
    digests_message,
    push_message,
    read_digests,
    read_gaps,
    read_push,
    read_rows,
    read_standing,
    rows_message,
    standing_message,
)
from powerpi.ring import NAN
from powerpi.wire import pack, unpack

MISSING = object()  # the field is not there at all
HUGE = 10**400
NO_NUMBERS = [MISSING, None, True, False, "1", [], {}, math.inf, -math.inf, math.nan, HUGE, -HUGE]


def sent(message: dict[str, Any]) -> dict[str, Any]:
    """The message as it comes out at the other end."""
    return unpack(pack(message), packed=True)


def bits(values: array[float]) -> bytes:
    """Their bits, with one pattern for all that is unknown."""
    return array("d", [NAN if math.isnan(value) else value for value in values]).tobytes()


def assert_refused(read: Callable[[Any], Any], message: Any, *words: str) -> None:
    """It is refused in one sentence that holds these words."""
    with pytest.raises(WireError) as caught:
        read(message)
    said = str(caught.value)
    assert "\n" not in said
    assert "wanted" in said
    assert all(word in said for word in words), said


def changed(message: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    return {name: old for name, old in {**message, field: value}.items() if old is not MISSING}


# ---------------------------------------------------------------- there and back

TIMES = st.integers(1, LATEST // 900).map(lambda number: number * 900)
RATES = st.lists(st.floats(0, MOST_RATE) | st.just(math.nan), max_size=40).map(lambda rates: array("d", rates))
ROWS = st.builds(Rows, st.sampled_from([10, 900]), TIMES, RATES)
PULSES = st.integers(0, MOST_PULSES)
AGES = st.none() | st.floats(0, MOST_SECONDS)
GAPS = st.lists(
    st.builds(
        lambda start, seconds, reason: Gap(start, start + seconds if seconds else None, reason),
        *(st.integers(1, LATEST - 10**6), st.integers(0, 10**6), st.sampled_from(REASONS)),
    ),
    max_size=5,
).map(tuple)
LABELS = st.text(min_size=1, max_size=40).filter(str.isprintable)
STATES = st.builds(
    State, LABELS, st.floats(0.001, 1e5), st.floats(-1e9, 1e9), PULSES, st.none() | st.floats(1e-6, MOST_SECONDS),
    AGES, st.floats(0, MOST_SECONDS), AGES, PULSES, PULSES, AGES, st.integers(1, 86400), st.none() | GAPS,
)  # fmt: skip
PUSHES = st.builds(
    Push, st.builds(Rows, st.just(10), TIMES, RATES), st.floats(0, MOST_PULSES), st.none() | STATES, st.none() | TIMES
)  # fmt: skip
SPANS = st.dictionaries(st.sampled_from([10, 900]), st.tuples(TIMES, TIMES).map(sorted).map(tuple))


def ended(standing: Standing) -> Standing:
    """The same, its rows ending with the newest one."""
    if standing.newest is None:
        return standing
    return standing._replace(spans={**standing.spans, 10: (standing.newest - 86400, standing.newest)})


STANDINGS = st.builds(
    Standing, st.none() | TIMES, st.none() | st.floats(0, MOST_PULSES), PULSES, st.integers(0, LATEST), SPANS,
    st.booleans(), st.floats(-1e9, 1e9), GAPS,
).map(ended)  # fmt: skip


@given(ROWS)
def test_rows_come_back_bit_for_bit(rows: Rows) -> None:
    found = read_rows(sent(rows_message(rows)))
    assert found[:2] == rows[:2]
    assert bits(found.rates) == bits(rows.rates)


def test_a_whole_day_of_every_kind_of_double_comes_back_bit_for_bit() -> None:
    edges = [0.0, 5e-324, 2.2250738585072014e-308, 0.1, 1 / 3, 16.7, math.nextafter(MOST_RATE, 0), MOST_RATE, math.nan]
    rates = array("d", [edges[index % len(edges)] / (1 + index // len(edges) % 3) for index in range(UNIT_ROWS)])
    found = read_rows(sent(rows_message(Rows(10, START, rates))))
    assert bits(found.rates) == bits(rates)


@given(PUSHES)
@settings(max_examples=40)
def test_a_push_comes_back_bit_for_bit(push: Push) -> None:
    found = read_push(sent(push_message(push)))
    assert bits(found.rows.rates) == bits(push.rows.rates)
    assert found.rows[:2] == push.rows[:2]
    assert repr(found[1:]) == repr(push[1:])  # -0.0 as well


@given(STANDINGS)
@settings(max_examples=30)
def test_what_the_mirror_holds_comes_back(standing: Standing) -> None:
    assert read_standing(sent(standing_message(standing))) == standing


@given(st.dictionaries(st.builds(Unit, *3 * [st.integers(0, 2**40)]), st.from_regex("[0-9a-f]{16}", fullmatch=True)))
@settings(max_examples=30)
def test_digests_come_back(found: dict[Unit, str]) -> None:
    assert read_digests(sent(digests_message(found)), 1000) == found


def test_a_message_without_rows_tells_the_state_alone() -> None:
    push = Push(Rows(10, START, array("d")), None, STATE)
    assert read_push(sent(push_message(push))) == push


def test_fields_that_nobody_knows_are_passed_over() -> None:  # a newer PowerPi may say more
    message = push_message(Push(Rows(10, START, array("d", [1.0])), 7.0, STATE))
    message["state"]["colour"] = message["more"] = "red"
    assert read_push(message).state == STATE


def test_rows_know_when_they_are() -> None:
    assert Rows(900, 1800, array("d", [1.0, 2.0])).unit == Unit(900, 1800, 3600)


# ---------------------------------------------------------------- rows

ROWS_MESSAGE = {"step_seconds": 10, "after": START, "rates": [0.0, None, 0.5]}


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, -10, 11, 60, 9.5])
def test_rows_of_another_step_are_refused(value: Any) -> None:
    assert_refused(read_rows, changed(ROWS_MESSAGE, "step_seconds", value), "step_seconds is", "one of 10, 900")


@pytest.mark.parametrize("value", [*NO_NUMBERS, -10, LATEST + 4, 1.5, float(START)])
def test_rows_at_no_time_are_refused(value: Any) -> None:
    assert_refused(read_rows, changed(ROWS_MESSAGE, "after", value), "after is", "whole number from 0 to 4294967296")


@pytest.mark.parametrize(("step", "after"), [(10, START + 1), (10, START + 9), (900, START + 10)])
def test_rows_off_the_grid_are_refused(step: int, after: int) -> None:
    message = {**ROWS_MESSAGE, "step_seconds": step, "after": after}
    assert_refused(read_rows, message, f"after is {after}: wanted a multiple of {step}")


@pytest.mark.parametrize("value", [MISSING, None, True, 1, "[]", {}, {"0": 1}])
def test_rates_that_are_no_list_are_refused(value: Any) -> None:
    assert_refused(read_rows, changed(ROWS_MESSAGE, "rates", value), "rates is", f"a list of at most {UNIT_ROWS}")


def test_more_than_a_day_of_rows_is_refused() -> None:
    assert len(read_rows({**ROWS_MESSAGE, "rates": [None] * UNIT_ROWS}).rates) == UNIT_ROWS
    message = {**ROWS_MESSAGE, "rates": [None] * (UNIT_ROWS + 1)}
    assert_refused(read_rows, message, f"rates has {UNIT_ROWS + 1} entries")


BAD_RATES = [
    True,
    False,
    "1",
    "",
    [],
    [1],
    {},
    -1e-9,
    -1,
    MOST_RATE * 1.001,
    1e400,
    -1e400,
    math.nan,
    HUGE,
    -HUGE,
    1e300,
]


@pytest.mark.parametrize("value", BAD_RATES)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_that_cannot_be_is_named_with_its_time(value: Any, place: int) -> None:
    rates: list[Any] = [1.0, None, 2]
    rates[place] = value
    message = {**ROWS_MESSAGE, "rates": rates}
    assert_refused(read_rows, message, f"the row at {START + 10 * (place + 1)} is", "0 to 1e+06 pulses per second")


def test_the_first_of_several_bad_rows_is_named() -> None:
    message = {**ROWS_MESSAGE, "step_seconds": 900, "after": 900, "rates": [1.0, -1, "x"]}
    assert_refused(read_rows, message, "the row at 2700 is '-1'")


def test_whole_numbers_are_rates_too() -> None:
    assert read_rows({**ROWS_MESSAGE, "rates": [0, 3, int(MOST_RATE)]}).rates == array("d", [0.0, 3.0, 1e6])


def test_one_exponent_too_many_in_the_body_is_refused() -> None:
    body = f'{{"step_seconds": 10, "after": {START}, "rates": [1e400]}}'.encode()
    assert_refused(lambda body: read_rows(unpack(body, packed=False)), body, f"the row at {START + 10} is")


# ---------------------------------------------------------------- a push

PUSH_MESSAGE = push_message(Push(Rows(10, START, array("d", [1.0])), 7.0, STATE._replace(gaps=(Gap(5, 9, "ended"),))))


def with_state(field: str, value: Any) -> dict[str, Any]:
    return {**PUSH_MESSAGE, "state": changed(PUSH_MESSAGE["state"], field, value)}


def test_new_rows_are_those_of_ten_seconds() -> None:
    assert_refused(read_push, {**PUSH_MESSAGE, "step_seconds": 900, "after": 900}, "step_seconds is 900: wanted 10")


@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value not in (MISSING, None)] + [-1, 2**53 + 2])
def test_a_counter_that_cannot_be_is_refused(value: Any) -> None:
    assert_refused(read_push, {**PUSH_MESSAGE, "pulses": value}, "pulses is")


@pytest.mark.parametrize("value", [MISSING, None])
def test_rows_come_with_the_counter_at_the_last_of_them(value: Any) -> None:
    assert_refused(read_push, changed(PUSH_MESSAGE, "pulses", value), "pulses is missing")


@pytest.mark.parametrize("value", [True, False, 0, 1, "", [], [1], HUGE])
def test_a_state_is_an_object(value: Any) -> None:
    assert_refused(read_push, {**PUSH_MESSAGE, "state": value}, "state is", "an object")


@pytest.mark.parametrize("value", [MISSING, None])
def test_rows_of_the_past_come_without_a_state(value: Any) -> None:
    assert read_push(changed(PUSH_MESSAGE, "state", value)).state is None


@pytest.mark.parametrize(
    "value", [MISSING, None, True, 1, 1.5, [], {}, "", "x" * 41, "a\nb", "a\x00", "\ud800", "\u2028", "\x7f"]
)
def test_a_label_is_a_short_line(value: Any) -> None:
    assert_refused(read_push, with_state("label", value), "label is", "1 to 40 characters in one line")


NEEDED = {  # field: what is below and above its bounds
    "imp_per_kwh": (0.0009, 100_001), "offset_kwh": (-1.1e9, 1.1e9), "pulses": (-1, MOST_PULSES + 1),
    "begun_age_seconds": (-0.1, 1.1e9), "edges_rejected": (-1, MOST_PULSES + 1), "edges_lost": (-1, MOST_PULSES + 1),
    "push_seconds": (0, 86401),
}  # fmt: skip
OPTIONAL = {
    "interval_seconds": (0, 1.1e9), "last_pulse_age_seconds": (-0.1, 1.1e9),
    "contact_closed_age_seconds": (-0.1, 1.1e9), "lost_edge_age_seconds": (-0.1, 1.1e9),
}  # fmt: skip
WHOLE = ("pulses", "edges_rejected", "edges_lost", "push_seconds")


@pytest.mark.parametrize("field", NEEDED)
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_figure_that_is_needed_is_a_number(field: str, value: Any) -> None:
    assert_refused(read_push, with_state(field, value), f"{field} is", "number")


@pytest.mark.parametrize("field", OPTIONAL)
@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value not in (MISSING, None)])
def test_a_figure_that_may_be_unknown_is_a_number_or_null(field: str, value: Any) -> None:
    assert_refused(read_push, with_state(field, value), f"{field} is", "number")


@pytest.mark.parametrize("field", OPTIONAL)
@pytest.mark.parametrize("value", [MISSING, None])
def test_a_figure_may_be_unknown(field: str, value: Any) -> None:
    state = read_push(with_state(field, value)).state
    assert state is not None
    assert state._asdict()[field] is None


@pytest.mark.parametrize(("field", "bounds"), [*NEEDED.items(), *OPTIONAL.items()])
def test_a_figure_out_of_bounds_is_refused(field: str, bounds: tuple[float, float]) -> None:
    for value in bounds:
        assert_refused(read_push, with_state(field, value), f"{field} is", str(value))


@pytest.mark.parametrize("field", WHOLE)
def test_a_count_is_whole(field: str) -> None:
    assert_refused(read_push, with_state(field, 1.0), f"{field} is", "whole number")


def test_every_field_of_a_state_is_looked_at() -> None:
    assert {*NEEDED, *OPTIONAL, "label", "gaps"} == set(State._fields)


# ---------------------------------------------------------------- gaps


@pytest.mark.parametrize("gap", [[1, 2, "stopped"], [1, None, "unknown"], [LATEST - 1, LATEST, "disk"]])
def test_a_gap_is_read(gap: list[Any]) -> None:
    assert read_gaps([gap]) == (Gap(*gap),)


@pytest.mark.parametrize(
    "gap",
    [
        None, True, 1, "gap", {}, [], [1], [1, 2], [1, 2, "stopped", 3], {"start": 1, "end": 2, "reason": "stopped"},
        [2, 1, "stopped"], [1, 1, "stopped"], [0, 1, "stopped"], [-1, 1, "stopped"], [1, LATEST + 1, "stopped"],
        [LATEST, None, "stopped"], [HUGE, None, "stopped"], [1, HUGE, "stopped"], [1.0, 2, "stopped"],
        [1, 2.0, "stopped"], [True, 2, "stopped"], [False, True, "stopped"], [None, 2, "stopped"], ["1", 2, "stopped"],
        [1, "2", "stopped"], [1, 2, "bored"], [1, 2, "Stopped"], [1, 2, None], [1, 2, 3], [1, 2, ["stopped"]],
        [1, 2, {}], [1, math.nan, "stopped"], [math.inf, None, "stopped"],
    ],
)  # fmt: skip
def test_what_is_no_gap_is_refused(gap: Any) -> None:
    assert_refused(read_gaps, [[1, 2, "stopped"], gap], "a gap is", "start, end or null, one of stopped")
    assert_refused(read_push, with_state("gaps", [gap]), "a gap is")


def test_as_many_gaps_as_are_kept_and_an_open_one_are_read() -> None:
    gaps = [[start, start + 1, "ended"] for start in range(1, KEPT + 1)] + [[KEPT + 2, None, "ended"]]
    assert len(read_gaps(gaps)) == KEPT + 1
    assert_refused(read_gaps, [*gaps, [KEPT + 3, None, "ended"]], f"gaps has {KEPT + 2} entries")


@pytest.mark.parametrize("value", [True, 1, "[]", {}])
def test_gaps_are_a_list(value: Any) -> None:
    assert_refused(read_push, with_state("gaps", value), "gaps is", "a list")
    assert_refused(read_gaps, None, "gaps is missing", "a list")


# ---------------------------------------------------------------- what the mirror says

STANDING = Standing(START, 7.5, 9, START, {10: (0, START), 900: (0, 1800)}, True, 12.5, (Gap(5, 9, "ended"),))
STANDING_MESSAGE = sent(standing_message(STANDING))


@pytest.mark.parametrize("field", ["newest", "newest_pulses"])
def test_a_mirror_may_hold_no_rows(field: str) -> None:
    for value in (MISSING, None):
        assert read_standing(changed(STANDING_MESSAGE, field, value))._asdict()[field] is None


@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value not in (MISSING, None)] + [-10, START + 1])
def test_newest_row_of_the_mirror_is_a_time_on_the_grid(value: Any) -> None:
    assert_refused(read_standing, {**STANDING_MESSAGE, "newest": value}, "newest is")


@pytest.mark.parametrize("field", ["pulses", "pulses_time", "offset_kwh"])
@pytest.mark.parametrize("value", [*NO_NUMBERS, -1.1e9, 2**60])
def test_figures_of_the_mirror_are_checked(field: str, value: Any) -> None:
    assert_refused(read_standing, changed(STANDING_MESSAGE, field, value), f"{field} is")


@pytest.mark.parametrize("value", [MISSING, None, 0, 1, "yes", [], {}])
def test_whether_somebody_looks_is_yes_or_no(value: Any) -> None:
    assert_refused(read_standing, changed(STANDING_MESSAGE, "watched", value), "watched is", "true or false")


@pytest.mark.parametrize("value", [MISSING, None, True, 1, "", [], [[0, 10]]])
def test_spans_are_an_object(value: Any) -> None:
    assert_refused(read_standing, changed(STANDING_MESSAGE, "spans", value), "spans is", "an object")


@pytest.mark.parametrize(
    "span",
    [
        None, True, 1, "", {}, [], [0], [0, 10, 20], [0, None], [None, 10], [0, True], [0.0, 10], [0, 10.0], [0, 11],
        [1, 10], [20, 10], [0, -10], [0, HUGE], [-HUGE, 10], [math.nan, 10], [0, math.inf],
    ],
)  # fmt: skip
def test_what_is_no_span_is_refused(span: Any) -> None:
    assert_refused(read_standing, {**STANDING_MESSAGE, "spans": {"10": span}})


def test_spans_of_archives_that_nobody_has_are_passed_over() -> None:
    newest = STANDING_MESSAGE["newest"]
    spans = {"10": [newest - 86400, newest], "60": "?", "010": 1}
    assert read_standing({**STANDING_MESSAGE, "spans": spans}).spans == {10: (newest - 86400, newest)}


@pytest.mark.parametrize("spans", [{}, {"900": [0, 900]}, {"10": [0, START + 10]}])
def test_what_is_held_ends_with_the_newest_row(spans: Any) -> None:
    message = {**STANDING_MESSAGE, "newest": START, "spans": spans}
    assert_refused(read_standing, message, f"do not end with the newest row, {START}")


@pytest.mark.parametrize("value", [MISSING, None, 1, "", {}])
def test_digests_are_a_list(value: Any) -> None:
    message = changed({}, "digests", value)
    assert_refused(lambda message: read_digests(message, 5), message, "digests is", "a list of at most 5")


def test_there_are_no_more_digests_than_were_asked_for() -> None:
    digests = [[10, 0, 10, "0" * 16]] * 6
    assert_refused(lambda message: read_digests(message, 5), {"digests": digests}, "digests has 6 entries")


@pytest.mark.parametrize(
    "digest",
    [
        None, True, 1, "", {}, [], [10, 0, 10], [10, 0, 10, "0" * 16, 1], [10, 0, 10, "0" * 15], [10, 0, 10, "0" * 17],
        [10, 0, 10, "G" * 16], [10, 0, 10, "A" * 16], [10, 0, 10, None], [10, 0, 10, 0], [10.0, 0, 10, "0" * 16],
        ["10", 0, 10, "0" * 16], [None, 0, 10, "0" * 16], [True, 0, 10, "0" * 16], [10, False, 10, "0" * 16],
        [10, 0, math.nan, "0" * 16], [10, 0, 10, "0" * 16 + "\n"],
    ],
)  # fmt: skip
def test_what_is_no_digest_is_refused(digest: Any) -> None:
    assert_refused(lambda message: read_digests(message, 5), {"digests": [digest]}, "a digest is")


# ---------------------------------------------------------------- whatever comes

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([HUGE, 10, 900]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
READERS: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "rows": (read_rows, ROWS_MESSAGE),
    "push": (read_push, PUSH_MESSAGE),
    "standing": (read_standing, STANDING_MESSAGE),
    "digests": (lambda message: read_digests(message, 9), {"digests": [[10, 0, 10, "0" * 16]]}),
}


def places(message: Any) -> list[tuple[Any, ...]]:
    """The ways to every value within a message."""
    inner = message.items() if isinstance(message, dict) else enumerate(message) if isinstance(message, list) else ()
    return [(), *((key, *rest) for key, value in inner for rest in places(value))]


def put(message: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The message with another value at that place."""
    if not place:
        return value
    copied = message.copy()
    copied[place[0]] = put(message[place[0]], place[1:], value)
    return copied


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_message_with_anything_anywhere_is_read_or_refused_with_a_wire_error(name: str, data: st.DataObject) -> None:
    read, message = READERS[name]
    place = data.draw(st.sampled_from(places(message)[1:]))
    try:
        read(put(message, place, data.draw(ANYTHING)))
    except WireError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", READERS)
@given(message=st.dictionaries(st.text(max_size=3), ANYTHING, max_size=3))
@settings(max_examples=30)
def test_any_object_is_read_or_refused_with_a_wire_error(name: str, message: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        READERS[name][0](message)


@pytest.mark.parametrize("name", READERS)
def test_nesting_of_any_depth_anywhere_is_refused_with_a_wire_error(name: str) -> None:
    read, message = READERS[name]
    for place in places(message)[1:]:
        body = json.dumps(put(message, place, "here"))
        for depth in (50, *range(975, 996), 100_000):
            nested = body.replace('"here"', "[" * depth + "]" * depth).encode()
            with pytest.raises(WireError):
                read(unpack(nested, packed=False))


def test_the_pattern_of_unknown_is_the_one_that_digests_need() -> None:
    """Both ends have the same bits for unknown rows, wherever they came from."""
    found = read_rows(sent(rows_message(Rows(10, START, array("d", [NAN, struct.unpack("<d", b"\xff" * 8)[0]])))))
    assert found.rates.tobytes() == array("d", [NAN, NAN]).tobytes()
