"""Readings and health as the API tells them: plain values for JSON, rounded to what is no noise."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from powerpi.page import notice_texts
from powerpi.page_mirror import push_text
from powerpi.push_status import PushStatus
from powerpi.readings import Health, MeterReading
from powerpi.texts import texts

DECIMALS = {"watts": 1, "watt_hours": 1, "time": 3}  # by the last word of a name; finer is noise


def reading_json(reading: MeterReading) -> dict[str, object]:
    """A reading; unknown is None."""
    return {name: _rounded(name, value) for name, value in reading._asdict().items()}


def _rounded(name: str, value: object) -> object:
    decimals = next((decimals for unit, decimals in DECIMALS.items() if name.endswith(unit)), None)
    return round(value, decimals) if decimals and isinstance(value, float) else value


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
