"""What somebody types on the command line, a local time or a meter's reading, to a value.

Whatever will not do raises ValueError with one sentence: what was typed, and what was wanted.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from powerpi import moments
from powerpi.errors import shown
from powerpi.units import WATT_HOURS_PER_KWH

TIME_WANTED = "wanted a date and a time such as 2026-11-26T18:30, with seconds or an offset (+01:00) if need be"
READING = re.compile(r"\d{1,9}([.,]\d{1,4})?")  # zeros in front stand on many displays
AMBIGUOUS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
MOST_KWH = 99_999_999  # a display of 8 digits
READING_WANTED = "wanted kWh as on the display, such as 12345.6 or 12345,6, without a sign for thousands"


def unix_time(text: str, zone: ZoneInfo) -> int:
    """The Unix seconds of a local time of the zone, or of one with an offset. Raises ValueError."""
    try:
        moment = moments.read(text.strip())
    except ValueError:
        raise ValueError(f"{shown(text)} is no time: {TIME_WANTED}") from None
    if moment.width:
        raise ValueError(f"{shown(text)} is a {moment.width}: {TIME_WANTED}")
    if not moment.local:
        return int(moment.seconds)
    offsets = moments.Clocks(zone).place(moment.seconds).offsets
    if len(offsets) == 1:
        return int(moment.seconds) - offsets[0]
    place = f"in {zone.key}" if zone.key else "here"
    if not offsets:
        raise ValueError(f"{shown(text)} does not exist {place}: the clocks were put forward then")
    first, second = (datetime.fromtimestamp(moment.seconds - offset, zone).isoformat() for offset in offsets)
    raise ValueError(f"{shown(text)} comes twice {place}: wanted it with its offset, {first} or {second}")


def reading(text: str) -> float:
    """The energy in Wh of a meter's reading, typed in kWh with a point or a comma for decimals. Raises ValueError.

    Where a thousand could be meant as well as three decimals it is asked for again; behind four or more digits, or a
    zero in front, it cannot.
    """
    typed = text.strip()
    if AMBIGUOUS.fullmatch(typed):
        digits = re.sub("[.,]", "", typed)
        raise ValueError(
            f"{shown(text)} may be {typed} kWh or {digits} kWh: wanted {typed}0 if the last three are decimals, or"
            f" {digits}"
        )
    if not (READING.fullmatch(typed) and typed.isascii()):
        raise ValueError(f"{shown(text)} is no reading: {READING_WANTED}")
    kwh = Decimal(typed.replace(",", "."))
    if kwh > MOST_KWH:
        raise ValueError(f"{shown(text)} is no reading: wanted at most {MOST_KWH} kWh")
    return float(kwh * WATT_HOURS_PER_KWH)
