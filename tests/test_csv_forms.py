"""CSV files as people have them."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from powerpi.csv_forms import Entry, Faults, Form, Table, decoded, number
from powerpi.errors import DataError


def table(text: str | bytes, kind: str | None = None) -> Table:
    return Table(decoded(io.BytesIO(text if isinstance(text, bytes) else text.encode())), kind)


def taken(text: str | bytes, kind: str | None = None) -> tuple[Form, list[Entry], list[str]]:
    """The form, the entries, and what is said of bad lines."""
    made, faults = table(text, kind), Faults()
    return made.form, list(made.entries(faults)), faults.sentences()


def values(text: str | bytes, kind: str | None = None) -> list[float | None]:
    _, entries, faults = taken(text, kind)
    assert faults == []
    return [entry.value for entry in entries]


def times(text: str) -> list[str]:
    """The starts, and the ends where there are any, as local or UTC."""
    _, entries, faults = taken(text)
    assert faults == []
    moments = [moment for entry in entries for moment in (entry.start, entry.end) if moment]
    return [f"{datetime.fromtimestamp(moment.seconds, UTC):%F %H:%M}" for moment in moments]


# ---------------------------------------------------------------- headings


@pytest.mark.parametrize(
    ("heading", "kind", "scale"),
    [
        ("hour,kwh", "kwh", 1000), ("minute,watts", "watts", 1), ("time,reading", "reading", 1000),
        ("time,Wh", "kwh", 1), ("time,power_kW", "watts", 1000), ("from,to,kwh,watts,known_seconds", "kwh", 1000),
        ("Datum;Verbrauch [kWh]", "kwh", 1000), ("Zeitstempel;Leistung in W", "watts", 1),
        ("Ablesedatum;Zählerstand", "reading", 1000), ("Datum;Zählerstand (Wh)", "reading", 1),
        ("timestamp\tenergy MWh", "kwh", 1e6), ('"time","kwh"', "kwh", 1000),
    ],
)  # fmt: skip
def test_headings_say_what_the_values_are(heading: str, kind: str, scale: float) -> None:
    form = table(f"{heading}\n2026-11-26,2026-11-27,1,1,1\n").form
    assert (form.kind, form.scale) == (kind, scale)


def test_a_kind_that_is_wanted_chooses_its_column() -> None:
    text = "from,to,kwh,watts\n2026-11-26T10:00,2026-11-26T11:00,1.5,1500\n"
    assert values(text) == [1500]
    assert values(text, "watts") == [1500]
    assert table(text, "watts").form.heading == "watts"


def test_a_heading_without_a_unit_needs_to_be_told() -> None:
    text = "time,value\n2026-11-26T10:00,3\n"
    assert values(text, "kwh") == [3000]
    assert values(text, "watts") == [3]
    with pytest.raises(DataError, match=r"no headings were found such as `time,kwh`; the first line is 'time,value'"):
        table(text)


def test_lines_above_the_headings_are_passed_over() -> None:
    _, [entry], faults = taken("Netzbetreiber;Muster AG\nZählpunkt;DE00\n\nZeit;kWh\n26.11.2026 10:00;1,5\n")
    assert (entry.line, entry.value, faults) == (5, 1500, [])


def test_without_headings_the_kind_must_be_told() -> None:
    text = "1795780800,100\n1795780860,200\n"
    assert values(text, "watts") == [100, 200]
    with pytest.raises(DataError, match="no headings: wanted --kind kwh, --kind watts or --kind reading"):
        table(text)


@pytest.mark.parametrize("text", ["", "\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_told(text: str | bytes) -> None:
    with pytest.raises(DataError, match="the file is empty"):
        table(text)


@pytest.mark.parametrize("text", ["<html></html>", "kwh\n1\n", "name,colour\nx,y\n", b"\x00\x01\x02" * 50])
def test_a_file_of_another_kind_is_refused_in_a_sentence(text: str | bytes) -> None:
    with pytest.raises(DataError, match="no headings were found"):
        taken(text)


@pytest.mark.parametrize("before", ["", "time,kwh\n", "time,kwh\n" + "2026-11-26 10:00,1\n" * 300])
def test_a_line_without_an_end_is_not_read_to_its_end(before: str) -> None:
    with pytest.raises(DataError, match="a line has 65536 characters or more"):
        taken(before + "2" * 10_000_000)


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Datum;Uhrzeit;kWh\n26.11.2026;18:30;1\n", ["2026-11-26 18:30"]),
        ("date,time,kwh\n2026-11-26,18:30:00,1\n", ["2026-11-26 18:30"]),
        ("Datum;von;bis;kWh\n26.11.2026;18:30;18:45;1\n", ["2026-11-26 18:30", "2026-11-26 18:45"]),
        ("Datum;Zeit von;Zeit bis;kWh\n26.11.2026;23:45;00:00;1\n", ["2026-11-26 23:45", "2026-11-27 00:00"]),
        ("from,to,kwh\n2026-11-26T18:00Z,2026-11-26T19:00Z,1\n", ["2026-11-26 18:00", "2026-11-26 19:00"]),
        ("Datum von;Zeit von;Datum bis;Zeit bis;kWh\n26.11.2026;18:00;26.11.2026;19:00;1\n",
         ["2026-11-26 18:00", "2026-11-26 19:00"]),
        ("bis;kWh\n26.11.2026 18:00;1\n", ["2026-11-26 18:00"]),
    ],
)  # fmt: skip
def test_times_stand_in_one_column_or_several(text: str, wanted: list[str]) -> None:
    assert times(text) == wanted


# ---------------------------------------------------------------- values, encodings


@pytest.mark.parametrize(
    "text",
    [
        "time;kwh\n2026-11-26 10:00;1.234,5\n2026-11-26 11:00;0,25\n",
        b"\xef\xbb\xbfZeit;kWh\r\n26.11.2026 10:00;1234,5\r\n26.11.2026 11:00;0,25\r\n",
        "Zeit;Zählpunkt;kWh\n26.11.2026 10:00;Küche;1 234,5\n26.11.2026 11:00;Küche;0,25\n".encode("cp1252"),
        "Zeit\tkWh\n26.11.2026 10:00\t1234,5\n26.11.2026 11:00\t0,25\n".encode("utf-16"),
        '"time","kwh"\n"2026-11-26T10:00","1234.5"\n\n"2026-11-26T11:00","0.25"\n',
        '"time","kwh"\n"2026-11-26T10:00","1234,5"\n"2026-11-26T11:00","0,25"\n',
        "time|kwh\n2026-11-26T10:00|1234.5\n2026-11-26T11:00|2.5e-1\n",
    ],
)
def test_numbers_of_many_lands_and_encodings(text: str | bytes) -> None:
    assert values(text) == [1234500, 250]


def test_watts_with_semicolons_may_have_points_between_thousands() -> None:
    assert values("Zeit;Watt\n26.11.2026 10:00;1.250\n26.11.2026 10:01;800\n") == [1250, 800]
    assert values("Zeit;Watt\n26.11.2026 10:00;1.250\n26.11.2026 10:01;800.5\n") == [1.25, 800.5]
    assert values("Zeit;kWh\n26.11.2026 10:00;1.250\n26.11.2026 11:00;2.500\n") == [1250, 2500]


@pytest.mark.parametrize("text", ["", " ", "-", "NaN", "null", "U", "N/A"])
def test_what_is_unknown_is_none(text: str) -> None:
    assert number(text, comma=False) is None


@pytest.mark.parametrize("text", ["-1", "x", "1,5", "1_000", "inf", "1e99", "٣", "0x10", "1.2.3"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wanted"):
        number(text, comma=False)


@pytest.mark.parametrize("text", ["0.5", "1234.5", "1.2345", "1.234.5", "12.34,5", "1,234.5", ",", "1.234e3"])
def test_a_point_among_decimal_commas_stands_between_thousands_alone(text: str) -> None:
    with pytest.raises(ValueError, match="wanted one with a decimal comma"):
        number(text, comma=True)


def test_points_between_thousands_say_nothing() -> None:
    assert [number(text, comma=True) for text in ("1.234,5", "12.345.678", "0,5", "5", "1,5e3")] == [
        1234.5, 12_345_678, 0.5, 5, 1500
    ]  # fmt: skip


def test_bad_lines_are_named_by_number_the_first_ten_of_them() -> None:
    bad = "".join(f"2026-11-26T11:{minute:02d},x{minute}\n" for minute in range(13))
    _, entries, faults = taken(f"time,kwh\n2026-11-26T10:00,1\n2026-11-26,\nyesterday,2\n2026-11-26\n{bad}")
    assert [entry.value for entry in entries] == [1000, None]
    assert faults[0].startswith("line 4: 'yesterday' is no time; wanted one such as 2026-11,")
    assert faults[1] == "line 5: it has 1 fields, wanted 2 or more"
    assert faults[2] == "line 6: 'x0' is no number; wanted one with a decimal point"
    assert len(faults) == 11
    assert faults[-1] == "and 5 more lines like these"


def test_a_quote_that_is_not_closed_swallows_no_other_line() -> None:
    _, entries, faults = taken('time,kwh,note\n2026-11-01,1,a\n2026-11-02,1,"b\n2026-11-03,1,c\n2026-11-04,1,"d, d"\n')
    assert [entry.line for entry in entries] == [2, 4, 5]
    assert faults == ["line 3: a field in quotes does not end in it as one does"]


def test_headings_in_quotes_may_have_two_lines() -> None:
    _, [entry], faults = taken('"time","energy\n(kWh)"\n2026-11-26,1\n')
    assert (entry.line, entry.value, faults) == (3, 1000, [])
