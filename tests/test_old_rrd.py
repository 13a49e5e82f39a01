"""Dumps of the RRD of the system that PowerPi replaces: real ones, of real RRDs."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
import rrdtool
from pytest import approx

from powerpi import old_rrd, store
from powerpi.errors import DataError

BEGIN = 1_700_000_400  # on the grid of 300 s
SMALL = ("RRA:AVERAGE:0.5:1:10", "RRA:AVERAGE:0.5:5:10", "RRA:MAX:0.5:5:10")


def made(folder: Path, *schema: str, minutes: int = 60, start: int = BEGIN) -> Path:
    """The dump of an RRD that got 100 W, 101 W, ... for a minute each, after `start`."""
    rrd, xml = folder / "power.rrd", folder / "power.xml"
    rrdtool.create(str(rrd), "--start", str(start), "--step", "60", "DS:power:GAUGE:120:0:U", *schema)
    for minute in range(1, minutes + 1):
        rrdtool.update(str(rrd), f"{start + 60 * minute}:{99 + minute}")
    store.dump(rrd, xml)
    return xml


def read(xml: Path) -> old_rrd.Dump:
    with xml.open("rb") as file:
        return old_rrd.read(file)


def test_a_dump_holds_the_mean_values_of_all_archives(tmp_path: Path) -> None:
    dump = read(made(tmp_path, *SMALL))
    assert (dump.source, dump.last_update) == ("power", BEGIN + 3600)
    assert [archive.step_seconds for archive in dump.archives] == [60, 300]
    assert list(dump.archives[0].values) == [approx(150 + n) for n in range(10)]
    # the minutes of (3300, 3600] had 155 to 159 W
    assert dump.archives[1].values[-1] == approx(157)


def test_the_finest_archive_serves_and_the_coarser_for_the_time_before(tmp_path: Path) -> None:
    found = old_rrd.intervals(read(made(tmp_path, *SMALL)))
    spans = [(int(a - BEGIN), int(b - BEGIN)) for a, b, _ in found]
    assert spans == [*((n, n + 300) for n in range(600, 3000, 300)), *((n, n + 60) for n in range(3000, 3600, 60))]
    # minutes 10 to 59 at 110 to 159 W: 50 minutes at 134.5 W on average
    assert sum(found.watt_hours) == approx(134.5 * 50 / 60)


def test_what_the_finest_archive_does_not_know_the_coarser_tell(tmp_path: Path) -> None:
    found = old_rrd.intervals(read(made(tmp_path, "RRA:AVERAGE:0.5:1:7", "RRA:AVERAGE:0.5:5:100", minutes=13)))
    # fine: minutes 6 to 12 from 360 s on; coarse: 0 to 300, and of 300 to 600 only what comes before
    assert [(int(a - BEGIN), int(b - BEGIN)) for a, b, _ in found][:3] == [(0, 300), (300, 360), (360, 420)]
    assert found.watt_hours[1] == approx(107 / 60)  # the mean of minutes 5 to 9


def test_unknown_rows_are_left_out(tmp_path: Path) -> None:
    rrd, xml = tmp_path / "power.rrd", tmp_path / "power.xml"
    rrdtool.create(str(rrd), "--start", str(BEGIN), "--step", "60", "DS:power:GAUGE:120:0:U", "RRA:AVERAGE:0.5:1:10")
    for minute in (1, 2, 6, 7):
        rrdtool.update(str(rrd), f"{BEGIN + 60 * minute}:600")
    store.dump(rrd, xml)
    found = old_rrd.intervals(read(xml))
    assert [int(a - BEGIN) // 60 for a, _, _ in found] == [0, 1, 6]
    assert list(found.watt_hours) == [approx(10)] * 3


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [("e+02</v>", "e+302</v>", 0), ("<pdp_per_row>5", f"<pdp_per_row>{2**32 - 1}", 10)],
    ids=["power", "step"],
)
def test_what_cannot_be_is_left_out(tmp_path: Path, before: str, after: str, left: int) -> None:
    xml = made(tmp_path, *SMALL)
    text = xml.read_text()
    assert before in text
    xml.write_text(text.replace(before, after))
    found = old_rrd.intervals(read(xml))
    assert len(found) == left
    assert all(BEGIN <= start < end <= BEGIN + 3600 for start, end, _ in found)


def test_of_several_sources_the_one_called_power_counts(tmp_path: Path) -> None:
    rrd, xml = tmp_path / "two.rrd", tmp_path / "two.xml"
    sources = ("DS:temp:GAUGE:120:0:U", "DS:power:GAUGE:120:0:U")
    rrdtool.create(str(rrd), "--start", str(BEGIN), "--step", "60", *sources, "RRA:AVERAGE:0.5:1:10")
    rrdtool.update(str(rrd), f"{BEGIN + 60}:20:600")
    store.dump(rrd, xml)
    assert list(old_rrd.intervals(read(xml)).watt_hours) == [approx(10)]


def test_sources_that_nobody_can_tell_apart_are_refused(tmp_path: Path) -> None:
    rrd, xml = tmp_path / "two.rrd", tmp_path / "two.xml"
    sources = ("DS:a:GAUGE:120:0:U", "DS:b:GAUGE:120:0:U")
    rrdtool.create(str(rrd), "--start", str(BEGIN), "--step", "60", *sources, "RRA:AVERAGE:0.5:1:10")
    store.dump(rrd, xml)
    with pytest.raises(DataError, match="it has 2 sources, 'a, b': wanted one, or one called power"):
        read(xml)


def test_a_dump_without_mean_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dump of an RRD that holds mean values"):
        read(made(tmp_path, "RRA:MAX:0.5:1:10"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<v>1.5000000000e+02</v>", "<v>many</v>"),
        ("<v>1.5000000000e+02</v>", ""),
        ("<step>60</step>", "<step>0</step>"),
        ("<step>60</step>", "<step>1e99</step>"),
        ("<pdp_per_row>5</pdp_per_row>", "<pdp_per_row></pdp_per_row>"),
        ("</database>", ""),
        ("<lastupdate>", "<lastupdate>-"),
        ("<name> power </name>", ""),
    ],
)
def test_a_damaged_dump_is_refused_in_a_sentence(tmp_path: Path, before: str, after: str) -> None:
    text = made(tmp_path, *SMALL).read_text()
    assert before in text
    with pytest.raises(DataError, match="it "):
        old_rrd.read(io.BytesIO(text.replace(before, after).encode()))


def test_a_dump_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = made(tmp_path, *SMALL).read_bytes()
    for end in range(0, len(content.rstrip()) - 1, 97):
        with pytest.raises(DataError):
            old_rrd.read(io.BytesIO(content[:end]))


def test_entities_that_grow_without_end_are_refused() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE rrd [<!ENTITY l0 "ha">{laughs}]><rrd><step>&l9;</step></rrd>'
    with pytest.raises(DataError):
        old_rrd.read(io.BytesIO(bomb.encode()))


def test_files_are_told_apart_by_their_beginning(tmp_path: Path) -> None:
    xml = made(tmp_path, *SMALL)
    assert old_rrd.is_dump(xml.read_bytes()[:100])
    assert old_rrd.is_dump(b"\xef\xbb\xbf\n<rrd>")
    assert not old_rrd.is_dump(b"time,kwh\n")
    assert old_rrd.is_rrd((tmp_path / "power.rrd").read_bytes()[:100])
    assert not old_rrd.is_rrd(xml.read_bytes()[:100])


def test_who_waits_hears_how_far_it_is(tmp_path: Path) -> None:
    xml, heard = made(tmp_path, "RRA:AVERAGE:0.5:1:20000"), []
    with xml.open("rb") as file:
        old_rrd.read(file, heard.append)
    assert heard == sorted(heard)
    assert 0 < heard[0] <= heard[-1] <= xml.stat().st_size
    assert not math.isnan(heard[0])


def test_power_that_no_meter_can_have_measured_is_left_out_and_told(tmp_path: Path) -> None:
    found = old_rrd.intervals(read(made(tmp_path, "RRA:AVERAGE:0.5:1:10")), most_watts=154.5)
    # the last ten minutes: 150 to 159 W
    assert [round(wh * 60) for wh in found.watt_hours] == [150, 151, 152, 153, 154]
    assert found.notes == ["rows of more than 154 W, which cannot be, are left out: 5"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'<?xml version="1.0" encoding="rot13"?><rrd/>', "its encoding is unknown"),
        (b"<rrd>" + b"<rrd>" * 100_000, "'rrd' has no place there"),
        (b"<rrd><rra><database><row>" + b"<v>1</v>" * 100_000, "'(row|v)' has no place there"),
    ],
    ids=["encoding", "deep", "wide"],
)
def test_what_would_fill_the_memory_or_cannot_be_read_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        old_rrd.read(io.BytesIO(content))
