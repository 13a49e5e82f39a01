"""What a backup says of one meter beside its rows: counter, facts, gaps, readings, digests.

To plain dicts, as JSON takes them, and back, each value checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from powerpi import anchors
from powerpi.anchors import Anchors
from powerpi.digests import MOST_UNITS, Unit, units
from powerpi.errors import WireError
from powerpi.facts import Facts
from powerpi.layout import ARCHIVES_SECONDS
from powerpi.messages import Standing, digests_message, read_digests, read_standing, standing_message
from powerpi.wire import listing, mapping, maybe, number, told

MOST_READINGS = 10_000
MOST_CHARACTERS = 100


class Saved(NamedTuple):
    """A meter at the moment of a backup."""

    name: str
    facts: Facts | None  # None: no configuration and no sender told any
    received_from: str | None  # the sender of a meter that was received; None: it was counted there
    standing: Standing  # counter, gaps, and the spans of the rows that are saved
    digests: dict[Unit, str]  # of all units in the spans
    readings: Anchors

    @property
    def units(self) -> list[Unit]:
        """All units of rows, those of each archive oldest first."""
        return [unit for step, span in self.standing.spans.items() for unit in units(step, *span)]

    def rows(self, step_seconds: int) -> int:
        """How many rows there are in the archive of a step."""
        after, until = self.standing.spans.get(step_seconds, (0, 0))
        return (until - after) // step_seconds


def message(saved: Saved) -> dict[str, Any]:
    """A meter as JSON takes it."""
    held = standing_message(saved.standing)
    held.pop("watched")
    return {
        "name": saved.name,
        "received_from": saved.received_from,
        "facts": saved.facts._asdict() if saved.facts else None,
        **held,
        **digests_message(saved.digests),
        "readings": [anchors.encode(anchor).rstrip() for anchor in saved.readings],
    }


def read(given: Mapping[str, Any], name: str) -> Saved:
    """The meter of that name out of a message. Raises WireError."""
    if given.get("name") != name:
        raise WireError(f"name is {told(given.get('name'))}: wanted {name}")
    standing = read_standing({**given, "watched": False})
    for step, span in standing.spans.items():
        if len(list(units(step, *span))) > MOST_UNITS:
            raise WireError(f"the span of {step} s from {span[0]} to {span[1]} is longer than that of any archive")
    found = Saved(
        name=name,
        facts=maybe(given.get("facts"), _facts, name),
        received_from=maybe(given.get("received_from"), text, "received_from"),
        standing=standing,
        digests=read_digests(given, MOST_UNITS * len(ARCHIVES_SECONDS)),
        readings=anchors.merged(map(_reading, listing(given.get("readings"), "readings", MOST_READINGS))),
    )
    if found.digests.keys() != set(found.units):
        raise WireError("the digests are not those of the spans")
    return found


def _facts(value: Any, name: str) -> Facts:
    given = mapping(value, "facts")
    constant = number(given.get("imp_per_kwh"), "imp_per_kwh", 0.001, 100_000)
    offset_kwh = number(given.get("offset_kwh"), "offset_kwh", -1e9, 1e9)
    return Facts(name, text(given.get("label"), "label"), constant, offset_kwh)


def text(value: Any, what: str) -> str:
    """A short text in one line. Raises WireError."""
    if not isinstance(value, str) or not 1 <= len(value) <= MOST_CHARACTERS or not value.isprintable():
        raise WireError(f"{what} is {told(value)}: wanted 1 to {MOST_CHARACTERS} characters in one line")
    return value


def _reading(value: Any) -> anchors.Anchor:
    found = anchors.decode(f"{value}\n") if isinstance(value, str) else None
    if found is None:
        words = " or ".join(anchors.WORDS)
        raise WireError(f"a reading is {told(value)}: wanted TIME WATT_HOURS PULSES and {words}")
    return found
