"""What a backup says of a meter comes back as it was, and anything else is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from powerpi import saved
from powerpi.anchors import Anchor
from powerpi.digests import Unit
from powerpi.errors import WireError
from powerpi.facts import Facts
from powerpi.gaps import Gap
from powerpi.messages import Standing
from powerpi.saved import Saved

DAY = 86400
HOUSE = Saved(
    name="house",
    facts=Facts("house", "Haus", 1000.0, 12.5),
    received_from="pi-hq",
    standing=Standing(
        newest=2 * DAY + 50,
        newest_pulses=99.75,
        pulses=101,
        pulses_time=2 * DAY + 53,
        spans={10: (DAY, 2 * DAY + 50), 900: (DAY, 2 * DAY)},
        offset_kwh=12.5,
        gaps=(Gap(DAY + 100, DAY + 200, "power_cut"),),
    ),
    digests={
        Unit(10, DAY, 2 * DAY): "0" * 16,
        Unit(10, 2 * DAY, 2 * DAY + 50): "1" * 16,
        Unit(900, DAY, 2 * DAY): "2" * 16,
    },
    readings=(Anchor(DAY + 7, 12345600.1, 50.25), Anchor(DAY + 9, 0.0, 60.0, True)),
)


def told() -> dict[str, Any]:
    """As it stands in the file."""
    found: dict[str, Any] = json.loads(json.dumps(saved.message(HOUSE)))
    return found


def test_all_of_it_comes_back() -> None:
    assert saved.read(told(), "house") == HOUSE


def test_a_meter_that_nobody_knows_anything_of_comes_back() -> None:
    nothing = Saved("pump", None, None, Standing(None, None, 7, 0, {}), {}, ())
    assert saved.read(json.loads(json.dumps(saved.message(nothing))), "pump") == nothing


def test_its_units_are_those_of_its_spans() -> None:
    assert HOUSE.units == list(HOUSE.digests)
    assert HOUSE.rows(10) == 8640 + 5
    assert HOUSE.rows(900) == 96


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("name", "shed", 'name is .*"shed".*: wanted house'),
        ("facts", {}, "imp_per_kwh is missing"),
        ("facts", {"imp_per_kwh": 1, "offset_kwh": 0, "label": "a\nb"}, "label is"),
        ("facts", [], "facts is .*: wanted an object"),
        ("received_from", "", "received_from is"),
        ("pulses", -1, "pulses is '-1'"),
        ("newest", DAY, "the spans do not end with the newest row"),
        ("spans", {"10": [0, 2 * DAY + 50], "900": [DAY, 2 * DAY]}, "the digests are not those of the spans"),
        ("spans", {"10": [-(10**9), 2 * DAY + 50]}, "longer than that of any archive"),
        ("digests", [], "the digests are not those of the spans"),
        ("gaps", [[1, 2, "luck"]], "a gap is"),
        ("readings", ["1 2.0 3.0"], "a reading is .*: wanted TIME WATT_HOURS PULSES and same_meter or new_meter"),
        ("readings", ["1 nan 3.0 same_meter"], "a reading is"),
        ("readings", [5], "a reading is"),
    ],
)
def test_what_will_not_do_is_named(key: str, value: object, said: str) -> None:
    with pytest.raises(WireError, match=said):
        saved.read({**told(), key: value}, "house")


@pytest.mark.parametrize("key", sorted(set(told()) - {"facts", "received_from", "newest", "newest_pulses"}))
def test_nothing_may_be_missing(key: str) -> None:
    given = told()
    del given[key]
    with pytest.raises(WireError):
        saved.read(given, "house")
