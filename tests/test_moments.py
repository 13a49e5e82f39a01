"""Dates and times as people write them. Unix seconds were worked out with `date -d`."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from powerpi.moments import Clocks, Moment, QuickReader, Stamps, next_start, read

BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1_795_780_800  # 2026-11-27 12:00 UTC
SPRING, AUTUMN = 1_774_746_000, 1_792_890_000  # 2026-03-29 and 2026-10-25, 01:00 UTC: the clocks change


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-27T12:00:00Z", Moment(NOON, False)),
        ("2026-11-27T13:00:00+01:00", Moment(NOON, False)),
        ("2026-11-27 13:00+0100", Moment(NOON, False)),
        ("2026-11-27 07:00:00.5 -05:00", Moment(NOON + 0.5, False)),
        ("1795780800", Moment(NOON, False)),
        ("1795780800.25", Moment(NOON + 0.25, False)),
        ("2026-11-27T12:00", Moment(NOON, True)),
        ("2026-11-27 12:00:30", Moment(NOON + 30, True)),
        ("2026/11/27 12:00", Moment(NOON, True)),
        ("27.11.2026 12:00", Moment(NOON, True)),
        ("27.11.26, 12:00:00 Uhr", Moment(NOON, True)),
        ("2026-11-26 24:00", Moment(utc(2026, 11, 27), True)),
        ("2026-11-27", Moment(utc(2026, 11, 27), True, "day")),
        ("1.11.2026", Moment(utc(2026, 11, 1), True, "day")),
        ("2026-11", Moment(utc(2026, 11, 1), True, "month")),
        ("2026", Moment(utc(2026, 1, 1), True, "year")),
    ],
)
def test_what_is_written_is_understood(text: str, moment: Moment) -> None:
    assert read(text) == moment
    assert QuickReader().read(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "x", "11/26/2026", "2026-13", "2026-02-30", "30.2.2026", "2026-11-26T25:00", "2026-11-26 12:60", "12:00",
     "2026-11-26 24:01", "2026-11-26T12:00:61", "12345", "2026-11-26T12:00+1",
     "0001", "1969-12-31", "2100-01-01T00:00", "9999-12-31", "٢٠٢٦-11-26", "nan"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    for reader in (read, QuickReader().read):
        with pytest.raises(ValueError, match=r"^"):
            reader(text)


def test_the_quick_reader_reads_a_day_as_the_other_does() -> None:
    quick = QuickReader()
    for second in range(0, 86400, 613):
        for text in (f"{datetime.fromtimestamp(SPRING + second, BERLIN).isoformat()}", "2026-11-26T24:30:00"):
            try:
                wanted = read(text)
            except ValueError:
                with pytest.raises(ValueError, match=r"^"):
                    quick.read(text)
            else:
                assert quick.read(text) == wanted


def test_a_local_time_may_be_one_moment_or_two_or_none() -> None:
    clocks = Clocks(BERLIN)
    assert clocks.place(utc(2026, 7, 1, 12)) == ((7200,), 3600)
    assert clocks.place(utc(2026, 3, 29, 2, 30)) == ((), 3600)
    assert clocks.place(utc(2026, 3, 29, 3)) == ((7200,), 3600)
    assert clocks.place(utc(2026, 10, 25, 2, 30)) == ((7200, 3600), 3600)
    assert clocks.place(utc(2026, 10, 25, 3)) == ((3600,), 3600)
    assert clocks.unix(read("2026-10-25T02:30")) == AUTUMN - 1800
    assert clocks.unix(read("2026-10-25T02:30+01:00")) == AUTUMN + 1800
    assert clocks.unix(read("2026-03-29T02:30")) == SPRING + 1800


@pytest.mark.parametrize(
    ("step", "time", "following"),
    [
        ("10s", 1_700_000_003, 1_700_000_010),
        ("15min", 1_700_000_100, 1_700_001_000),
        ("hour", SPRING - 1800, SPRING),
        ("hour", AUTUMN - 3600, AUTUMN),
        ("hour", AUTUMN, AUTUMN + 3600),
        ("day", SPRING, int(utc(2026, 3, 29, 22))),  # a day of 23 hours
        ("day", AUTUMN, int(utc(2026, 10, 25, 23))),
        ("month", int(utc(2026, 2, 10)), int(utc(2026, 2, 28, 23))),
        ("month", int(utc(2026, 12, 10)), int(utc(2026, 12, 31, 23))),
        ("year", int(utc(2026, 1, 10)), int(utc(2026, 12, 31, 23))),
        ("year", int(utc(2026, 12, 10)), int(utc(2026, 12, 31, 23))),
    ],
)
def test_steps_begin_by_local_time(step: str, time: int, following: int) -> None:
    assert next_start(time, step, BERLIN) == following


def test_hours_of_a_zone_with_half_hours_begin_there() -> None:
    kathmandu = ZoneInfo("Asia/Kathmandu")  # UTC+5:45
    assert next_start(1_700_000_000, "hour", kathmandu) % 3600 == 900


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "UTC"])
def test_stamps_are_local_time_with_its_offset(zone: str) -> None:
    place = ZoneInfo(zone)
    stamps = Stamps(place)
    for time in itertools.chain(range(SPRING - 3600, SPRING + 3600, 70), range(AUTUMN - 3600, AUTUMN + 3600, 110)):
        assert stamps.text(time) == datetime.fromtimestamp(time, place).isoformat()


@pytest.mark.parametrize("offset", ["+99:99", "+00:75", "-00:60", "+14:01", "-15:00"])
def test_offsets_that_are_nowhere_are_refused(offset: str) -> None:
    with pytest.raises(ValueError, match=re.escape(offset)):
        read(f"2026-11-26T10:00{offset}")


def test_offsets_reach_to_14_hours() -> None:
    assert read("2026-11-26T14:00+14:00") == read("2026-11-26T00:00Z")
    assert read("2026-11-26T10:15+05:45").seconds == read("2026-11-26T04:30Z").seconds
