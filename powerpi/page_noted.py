"""What is said of noted readings: the last one, and how well was counted between two of them, as plain text."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from powerpi.anchors import LEAST_UNKNOWN_SECONDS, Account, Interval
from powerpi.periods import TOLD_IN_DAYS_SECONDS, span_text
from powerpi.units import WATT_HOURS_PER_KWH
from powerpi.wording import Words, kwh, local, number

ONE_PERCENT = 0.01
WHOLE_PERCENT = 100


def noted_details(account: Account, words: Words, zone: ZoneInfo) -> list[tuple[str, str]]:
    """The last noted reading, and how well was counted since the first one of this meter: pairs of name and value."""
    if not account.readings:
        return []
    last, decimals = account.readings[0], account.decimals
    time = local(last.time, zone, words["format_date_clock"])
    details = [
        (words["noted_last"], words["noted_value"].format(kwh=kwh(last.watt_hours, decimals, words), time=time)),
    ]
    if account.whole:
        name = words["noted_since"].format(date=since_text(account.whole, words, zone))
        details.append((name, _filled("noted_part", account.whole, decimals, words)))
        details.append((words["noted_well"], _verdict(account.whole, decimals, words)))
    return details


def interval_text(interval: Interval, decimals: int, words: Words, zone: ZoneInfo) -> str:
    """What was counted between two readings, in a sentence; `decimals` of a kWh are on the display."""
    return _filled("noted_interval", interval, decimals, words, since_text(interval, words, zone))


def since_text(interval: Interval, words: Words, zone: ZoneInfo) -> str:
    """When it began: the date, and the time of day where it is short."""
    short = interval.until - interval.since < TOLD_IN_DAYS_SECONDS
    return local(interval.since, zone, words["format_date_clock" if short else "format_past_day"])


def _filled(key: str, interval: Interval, decimals: int, words: Words, date: str = "") -> str:
    shown = max(decimals, 1)  # of what was counted a decimal is always known
    return words[key].format(
        date=date,
        counted=kwh(interval.counted_watt_hours, shown, words),
        shown=kwh(interval.shown_watt_hours, decimals, words),
        verdict=_verdict(interval, decimals, words),
    )


def _verdict(interval: Interval, decimals: int, words: Words) -> str:
    verdict = _difference(interval, decimals, words)
    if interval.unknown_seconds < LEAST_UNKNOWN_SECONDS:
        return verdict
    return words["noted_unknown"].format(verdict=verdict, span=span_text(interval.unknown_seconds))


def _difference(interval: Interval, decimals: int, words: Words) -> str:
    """How much is missing or too many; less than the last digit of the display is neither."""
    missing, share = interval.missing_pulses, interval.missing_share
    pulses = number(abs(missing), 0, words)
    if abs(interval.shown_watt_hours - interval.counted_watt_hours) < WATT_HOURS_PER_KWH * 10.0**-decimals:
        return words["noted_exact"]
    if share is None:
        return words["noted_too_many_alone"].format(pulses=pulses)
    key = "noted_missing" if missing > 0 else "noted_too_many"
    fine = 2 if abs(share) < ONE_PERCENT else 1
    return words[key].format(share=number(WHOLE_PERCENT * abs(share), fine, words), pulses=pulses)
