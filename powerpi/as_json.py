"""Readings and health as the API tells them: plain values for JSON, rounded to what is no noise."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from powerpi.anchors import Account
from powerpi.page import notice_texts
from powerpi.page_mirror import push_text
from powerpi.pulse_health import Pulses, Told
from powerpi.push_status import PushStatus
from powerpi.readings import Health, MeterReading
from powerpi.texts import texts

# by the last word of a name; finer is noise
DECIMALS = {"watts": 1, "watt_hours": 1, "time": 3, "ms": 1, "share": 3, "pulses": 1}


def reading_json(reading: MeterReading) -> dict[str, object]:
    """A reading; unknown is None."""
    return {name: _rounded(name, value) for name, value in reading._asdict().items()}


def _rounded(name: str, value: object) -> object:
    decimals = next((decimals for unit, decimals in DECIMALS.items() if name.endswith(unit)), None)
    return round(value, decimals) if decimals and isinstance(value, float) else value


def pulses_json(pulses: Pulses | None) -> dict[str, object]:
    """The newest closings of a contact, newest first, and what they say; both None where the contact is elsewhere."""
    if pulses is None:
        return {"closings": None, "summary": None}
    said = pulses.health._asdict()
    bins = {name: [one._asdict() for one in said[name]] for name in ("widths", "pauses")}
    summary = {name: _rounded(name, value) for name, value in said.items()}
    return {"closings": [_told_json(one, pulses.offset) for one in reversed(pulses.told)], "summary": summary | bins}


def _told_json(told: Told, offset: float | None) -> dict[str, object]:
    closing = {"time": None if offset is None else told.begin + offset, **told._asdict()}
    del closing["begin"]
    return {name: _rounded(name, value) for name, value in closing.items()}


def noted_json(account: Account) -> dict[str, object]:
    """The noted readings of a meter, newest first."""
    noted = [{name: _rounded(name, value) for name, value in one._asdict().items()} for one in account.readings]
    return {"readings": noted}


def health_json(
    health: Health, labels: Mapping[str, str], push: PushStatus | None, zone: ZoneInfo, now: float
) -> dict[str, object]:
    """Whether all is well, in English: for a machine that watches. `now` is Unix seconds."""
    words = texts("en")
    answer: dict[str, object] = {
        "status": "fault" if health.faults else "warning" if health.warnings else "ok",
        "faults": notice_texts(health.faults, labels, words),
        "warnings": notice_texts(health.warnings, labels, words),
    }
    if push:
        answer["push"] = {**push._asdict(), "text": push_text(push, words, zone, now)}
    return answer
