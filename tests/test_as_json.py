"""What the API tells: rounded, unknown as null, health in English."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from test_web import HOUSE_METER, NOON

from powerpi.as_json import health_json, reading_json
from powerpi.push_status import PushStatus
from powerpi.readings import Health, Notice

UTC = ZoneInfo("UTC")


def test_figures_are_rounded_by_their_unit_and_nothing_else_is() -> None:
    reading = HOUSE_METER._replace(watts=304.4567, last_pulse_time=NOON + 0.12345, yesterday_watt_hours=None)
    told = reading_json(reading)
    assert (told["watts"], told["last_pulse_time"], told["yesterday_watt_hours"]) == (304.5, NOON + 0.123, None)
    assert told.keys() == set(HOUSE_METER._fields)
    assert told["label"] == "Haus & Hof"


def test_health_tells_faults_before_warnings_and_the_mirror_where_there_is_one() -> None:
    health = Health((Notice("disk", "house", "full"),), (Notice("push_login", None, "no"),))
    told = health_json(health, {"house": "Haus"}, PushStatus("mirror.lan", why="login", said="no"), UTC, NOON)
    assert told["status"] == "fault"
    assert told["faults"] == ["Haus: Storing fails; what is counted is kept in memory: full"]
    assert told["warnings"] == [
        "The mirror refuses user or password: look at [push] here, and at the section of that name there."
    ]
    assert told["push"]["text"] == "Mirror mirror.lan: not in step yet: it refuses user or password"
    assert "push" not in health_json(Health((), ()), {}, None, UTC, NOON)
