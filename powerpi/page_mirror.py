"""What the page says of a mirror: how the one of this machine stands, and who sends a meter that is received here."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from powerpi.push_status import PushStatus
from powerpi.readings import MeterReading
from powerpi.wording import Words, moment, number


def push_text(status: PushStatus, words: Words, zone: ZoneInfo, now: float) -> str:
    """How the mirror of this machine stands, in a line."""
    return words["push_host"].format(host=status.host, state=_push_state(status, words, zone, now))


def _push_state(status: PushStatus, words: Words, zone: ZoneInfo, now: float) -> str:
    if status.in_step:
        until = status.identical_until
        identical = None if until is None else words["push_identical"].format(time=moment(until, words, zone, now))
        return ", ".join(filter(None, (words["push_in_step"], identical)))
    if status.why is None and status.behind_rows is None:
        return words["push_starting"]
    since = None if status.since is None else moment(status.since, words, zone, now)
    keys = {None: "push_out_of_step", 0: "push_nothing_missing", 1: "push_behind_one"}
    key = keys.get(status.behind_rows, "push_behind")
    said = words[f"{key}_since" if since else key].format(rows=number(status.behind_rows, 0, words), time=since)
    return f"{said}: {words[f'push_why_{status.why}']}" if status.why else said


def origin_text(reading: MeterReading, words: Words, zone: ZoneInfo, now: float) -> str:
    """Who sends a meter, when something last came if that is long ago, and whether it is sampled."""
    if reading.received_from is None:
        return ""
    late = reading.silent and reading.received_time is not None
    time = moment(reading.received_time, words, zone, now) if late and reading.received_time else None
    said = words["received_last" if late else "received_from"].format(sender=reading.received_from, time=time)
    return f"{said}; {words['sampled']}" if reading.sampled else said
