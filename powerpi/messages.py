"""What a PowerPi and its mirror say to each other: rows, the present state of a meter, and what the mirror holds.

To plain dicts and back, each value checked: `wire` turns them into bytes. README, "The mirror's API", has the fields.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

from powerpi.digests import UNIT_ROWS, Unit
from powerpi.errors import WireError
from powerpi.gaps import KEPT, LATEST, REASONS, Gap
from powerpi.layout import ARCHIVES_SECONDS
from powerpi.pulses import STEP_SECONDS
from powerpi.wire import listing, mapping, maybe, number, told, whole, yes_no

MOST_RATE = 1e6  # pulses a second; S0 sends 16.7 at most
MOST_PULSES = 1 << 53  # whole numbers beyond it are not exact in a double
MOST_SECONDS = 1e9
DIGEST = re.compile(r"[0-9a-f]{16}")


class State(NamedTuple):
    """What is known of a meter at this moment, beside its rows. Ages are seconds before the message was made."""

    label: str
    imp_per_kwh: float
    offset_kwh: float
    pulses: int  # the lifetime counter, as far as it is on disk
    interval_seconds: float | None  # mean distance of the last pulses
    last_pulse_age_seconds: float | None
    begun_age_seconds: float  # since when it is counting
    contact_closed_age_seconds: float | None  # since when the contact is closed; None: it is open
    edges_rejected: int
    edges_lost: int
    lost_edge_age_seconds: float | None  # when an edge was last found missing
    push_seconds: int  # when the next message is to be expected
    gaps: tuple[Gap, ...] | None = None  # None: as told before


class Rows(NamedTuple):
    """Rows that follow each other, in pulses per second, NaN where unknown; the first has the time after + step."""

    step_seconds: int
    after: int
    rates: array[float]

    @property
    def unit(self) -> Unit:
        """When they are."""
        return Unit(self.step_seconds, self.after, self.after + self.step_seconds * len(self.rates))


class Push(NamedTuple):
    """A message to the mirror: new rows (perhaps none), the counter at the last of them, and the present state."""

    rows: Rows
    pulses: float | None
    state: State | None  # None: rows of the past
    newest: int | None = None  # the newest row that the mirror is thought to hold; None: none, or not said


class Standing(NamedTuple):
    """What the mirror holds of a meter."""

    newest: int | None  # the newest row, Unix seconds; None: there is none
    newest_pulses: float | None  # the counter at that row
    pulses: int  # the lifetime counter: the highest that was told ...
    pulses_time: int  # ... and the newest row at that time
    spans: dict[int, tuple[int, int]]  # by the length of the steps in seconds: rows with times in (after, until]
    watched: bool = False  # somebody looks at its graphs just now
    offset_kwh: float = 0.0
    gaps: tuple[Gap, ...] = ()


def time_on_grid(value: Any, what: str, step_seconds: int) -> int:
    """A Unix time on the grid of a step. Raises WireError."""
    time = whole(value, what, 0, LATEST)
    if time % step_seconds:
        raise WireError(f"{what} is {time}: wanted a multiple of {step_seconds}")
    return time


def step_of_rows(value: Any) -> int:
    """The length of the steps of an archive, in seconds. Raises WireError."""
    if isinstance(value, bool) or value not in ARCHIVES_SECONDS:
        raise WireError(f"step_seconds is {told(value)}: wanted one of {', '.join(map(str, ARCHIVES_SECONDS))}")
    return int(value)


def _rates(values: list[Any], after: int, step_seconds: int) -> array[float]:
    """The values of rows; the first that will not do is named with its time."""
    try:
        rates = array("d", [math.nan if value is None else value for value in values])
    except (TypeError, OverflowError):
        rates = array("d")
    for place, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST_RATE:
            time = after + step_seconds * (place + 1)
            raise WireError(
                f"the row at {time} is {told(value)}: wanted 0 to {MOST_RATE:g} pulses per second, or null for unknown"
            )
    return rates


# ---------------------------------------------------------------- rows


def rows_message(rows: Rows) -> dict[str, Any]:
    """Rows as part of a message."""
    rates = [None if rate != rate else rate for rate in rows.rates]  # noqa: PLR0124 (NaN: unknown)
    return {"step_seconds": rows.step_seconds, "after": rows.after, "rates": rates}


def read_rows(message: Mapping[str, Any], most: int = UNIT_ROWS) -> Rows:
    """Rows out of a message. Raises WireError."""
    step_seconds = step_of_rows(message.get("step_seconds"))
    after = time_on_grid(message.get("after"), "after", step_seconds)
    values = listing(message.get("rates"), "rates", most)
    return Rows(step_seconds, after, _rates(values, after, step_seconds))


def push_message(push: Push) -> dict[str, Any]:
    """New rows and the present state as a message."""
    state = None if push.state is None else _state_message(push.state)
    return {**rows_message(push.rows), "pulses": push.pulses, "state": state, "newest": push.newest}


def read_push(message: Mapping[str, Any]) -> Push:
    """New rows and the present state out of a message. Raises WireError."""
    rows = read_rows(message)
    if rows.step_seconds != STEP_SECONDS:
        raise WireError(f"step_seconds is {rows.step_seconds}: wanted {STEP_SECONDS} for new rows")
    pulses = maybe(message.get("pulses"), number, "pulses", 0, MOST_PULSES)
    if rows.rates and pulses is None:
        raise WireError("pulses is missing: wanted the counter at the last row")
    state = message.get("state")
    newest = maybe(message.get("newest"), time_on_grid, "newest", STEP_SECONDS)
    return Push(rows, pulses, None if state is None else _read_state(mapping(state, "state")), newest)


def _state_message(state: State) -> dict[str, Any]:
    gaps = None if state.gaps is None else [list(gap) for gap in state.gaps]
    return {**state._asdict(), "gaps": gaps}


def _read_state(given: Mapping[str, Any]) -> State:
    return State(
        label=_label(given.get("label")),
        imp_per_kwh=number(given.get("imp_per_kwh"), "imp_per_kwh", 0.001, 100_000),
        offset_kwh=number(given.get("offset_kwh"), "offset_kwh", -1e9, 1e9),
        pulses=whole(given.get("pulses"), "pulses", 0, MOST_PULSES),
        interval_seconds=maybe(given.get("interval_seconds"), number, "interval_seconds", 1e-6, MOST_SECONDS),
        last_pulse_age_seconds=_age(given, "last_pulse_age_seconds"),
        begun_age_seconds=number(given.get("begun_age_seconds"), "begun_age_seconds", 0, MOST_SECONDS),
        contact_closed_age_seconds=_age(given, "contact_closed_age_seconds"),
        edges_rejected=whole(given.get("edges_rejected"), "edges_rejected", 0, MOST_PULSES),
        edges_lost=whole(given.get("edges_lost"), "edges_lost", 0, MOST_PULSES),
        lost_edge_age_seconds=_age(given, "lost_edge_age_seconds"),
        push_seconds=whole(given.get("push_seconds"), "push_seconds", 1, 86400),
        gaps=maybe(given.get("gaps"), read_gaps),
    )


def _age(given: Mapping[str, Any], name: str) -> Any:
    return maybe(given.get(name), number, name, 0, MOST_SECONDS)


def _label(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 40 or not value.isprintable():
        raise WireError(f"label is {told(value)}: wanted 1 to 40 characters in one line")
    return value


def read_gaps(value: Any) -> tuple[Gap, ...]:
    """Gaps out of a message, oldest first; the last may be open. Raises WireError."""
    return tuple(map(_gap, listing(value, "gaps", KEPT + 1)))


def _gap(value: Any) -> Gap:
    match value:
        case [int(start), None | int() as end, str(reason)] if reason in REASONS and not isinstance(start, bool):
            if 0 < start < (LATEST if end is None else end) <= LATEST:
                return Gap(start, end, reason)
    raise WireError(f"a gap is {told(value)}: wanted [start, end or null, one of {', '.join(REASONS)}]")


# ---------------------------------------------------------------- what the mirror says


def standing_message(standing: Standing) -> dict[str, Any]:
    """What the mirror holds as a message."""
    spans = {str(step): span for step, span in standing.spans.items()}
    return {**standing._asdict(), "spans": spans, "gaps": [list(gap) for gap in standing.gaps]}


def read_standing(message: Mapping[str, Any]) -> Standing:
    """What the mirror holds out of a message. Raises WireError."""
    given = mapping(message.get("spans"), "spans")
    spans = {step: _span(given[str(step)], step) for step in ARCHIVES_SECONDS if str(step) in given}
    newest = maybe(message.get("newest"), time_on_grid, "newest", STEP_SECONDS)
    if newest is not None and spans.get(STEP_SECONDS, (0, None))[1] != newest:
        raise WireError(f"the spans do not end with the newest row, {newest}: wanted what each archive holds")
    return Standing(
        newest=newest,
        newest_pulses=maybe(message.get("newest_pulses"), number, "newest_pulses", 0, MOST_PULSES),
        pulses=whole(message.get("pulses"), "pulses", 0, MOST_PULSES),
        pulses_time=whole(message.get("pulses_time"), "pulses_time", 0, LATEST),
        spans=spans,
        watched=yes_no(message.get("watched"), "watched"),
        offset_kwh=number(message.get("offset_kwh"), "offset_kwh", -1e9, 1e9),
        gaps=read_gaps(message.get("gaps")),
    )


def _span(value: Any, step_seconds: int) -> tuple[int, int]:
    ends = listing(value, "spans", 2)
    if len(ends) != 2:
        raise WireError(f"a span is {told(value)}: wanted [after, until]")
    after, until = whole(ends[0], "after", -LATEST, LATEST), time_on_grid(ends[1], "until", step_seconds)
    if after % step_seconds or after > until:
        raise WireError(f"after is {after}: wanted a multiple of {step_seconds}, no later than {until}")
    return after, until


def digests_message(found: Mapping[Unit, str]) -> dict[str, Any]:
    """Digests as a message."""
    return {"digests": [[*unit, text] for unit, text in found.items()]}


def read_digests(message: Mapping[str, Any], most: int) -> dict[Unit, str]:
    """Digests out of a message. Raises WireError."""
    return dict(map(_digest, listing(message.get("digests"), "digests", most)))


def _digest(value: Any) -> tuple[Unit, str]:
    match value:
        case [int(), int(), int(), str(text)] if DIGEST.fullmatch(text) and not any(
            isinstance(one, bool) for one in value
        ):
            return Unit(*value[:3]), text
    raise WireError(f"a digest is {told(value)}: wanted [step, after, until, 16 hexadecimal digits]")
