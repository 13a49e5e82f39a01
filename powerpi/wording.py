"""Numbers and times in the signs and words of one language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from powerpi.units import WATT_HOURS_PER_KWH

UNKNOWN = "–"
Words = Mapping[str, str]


def number(value: float | None, decimals: int, words: Words) -> str:
    """A number in the language's signs, grouped from five digits on (four read well and match the graphs)."""
    if value is None:
        return UNKNOWN
    text = f"{value:.{decimals}f}"
    if len(text.partition(".")[0]) > 4:
        text = f"{value:,.{decimals}f}"
    return text.translate({ord(","): words["group_sign"], ord("."): words["graph_decimal_sign"]})


def watts_text(watts: float | None, words: Words) -> str:
    """Power without its unit: whole watts, one decimal below 10 W so that a falling figure keeps moving."""
    return number(watts, 1 if watts is not None and watts < 9.95 else 0, words)


def kwh(watt_hours: float | None, decimals: int, words: Words) -> str:
    """Energy in kWh, without its unit."""
    return number(None if watt_hours is None else watt_hours / WATT_HOURS_PER_KWH, decimals, words)


def local(time: float, zone: ZoneInfo, time_format: str) -> str:
    """A time of the zone, as strftime writes it."""
    return datetime.fromtimestamp(time, zone).strftime(time_format)


def moment(time: float, words: Words, zone: ZoneInfo, now: float) -> str:
    """The time of today, or with the date."""
    today = local(time, zone, "%F") == local(now, zone, "%F")
    return local(time, zone, words["format_clock" if today else "format_date_clock"])
