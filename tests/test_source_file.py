"""The file that an import reads, whatever it is, and what is said of it."""

from __future__ import annotations

import errno
import io
import os
import resource
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import rrdtool
from conftest import SHARED
from pytest import approx

from powerpi import store
from powerpi.errors import DataError, StoreError
from powerpi.source_file import Loaded, Wanted, load, opened, spaced

BEGIN = 1_700_000_400


def loaded(content: bytes, kind: str | None = None, times: str | None = None) -> Loaded:
    return load(io.BytesIO(content), Wanted(kind, times, ZoneInfo("Europe/Paris"), 1000.0))


def power_rrd(folder: Path) -> Path:
    path = folder / "power.rrd"
    archives = ("RRA:AVERAGE:0.5:1:10", "RRA:AVERAGE:0.5:5:20")
    rrdtool.create(str(path), "--start", str(BEGIN), "--step", "60", "DS:power:GAUGE:120:0:U", *archives)
    for minute in range(1, 31):
        rrdtool.update(str(path), f"{BEGIN + 60 * minute}:600")
    return path


def test_the_line_says_what_was_recognised() -> None:
    text = b"hour,kwh\n2006-12-16T18:00:00,3.6322\n2006-12-16T19:00:00,3.4002\n"
    assert loaded(text).said == (
        "2 hours, kWh (column kwh), local time at the beginning, 2006-12-16 18:00 to 2006-12-16 20:00, 7.03 kWh"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bis;Verbrauch kWh\n26.11.2026 10:00;1,5\n26.11.2026 11:00;1\n",
         "2 hours, kWh (column Verbrauch kWh), local time at the end, 2026-11-26 09:00 to 2026-11-26 11:00, 2.50 kWh"),
        ("time,reading\n2026-11-26T10:00Z,1000\n2026-11-27T10:00Z,2234.5\n",
         "2 readings, kWh on the meter's display (column reading), time with offset, 2026-11-26 11:00 to"
         " 2026-11-27 11:00, 1 234.50 kWh"),
        ("from,to,kwh\n2026-11-26T10:00Z,2026-11-26T11:00Z,1\n",
         "1 interval, kWh (column kwh), time with offset, 2026-11-26 11:00 to 2026-11-26 12:00, 1.00 kWh"),
        ("minute,watts\n2026-11-26T10:00,\n2026-11-26T10:01,\n",
         "no values, W (column watts), local time at the beginning"),
    ],
)  # fmt: skip
def test_forms_are_told_in_words(text: str, said: str) -> None:
    assert loaded(text.encode()).said == said


def test_what_is_wanted_goes_before_what_the_headings_say() -> None:
    text = b"time,kwh,watts\n2026-11-26T10:00,1,1000\n2026-11-26T11:00,1,1000\n"
    assert "W (column watts), local time at the end, 2026-11-26 09:00" in loaded(text, "watts", "end").said


def test_an_rrd_and_its_dump_are_the_same(tmp_path: Path) -> None:
    path = power_rrd(tmp_path)
    store.dump(path, tmp_path / "power.xml")
    from_rrd, from_dump = loaded(path.read_bytes()), loaded((tmp_path / "power.xml").read_bytes())
    assert list(from_rrd.intervals) == list(from_dump.intervals)
    assert sum(from_rrd.intervals.watt_hours) == approx(300)  # 600 W for half an hour
    assert (
        from_rrd.said
        == from_dump.said
        == (
            "14 rows, an RRD, power in W, in rows of 60 s, 300 s, 2023-11-14 23:20 to 2023-11-14 23:50, 300.00 kWh"
        ).replace("300.00", "0.30")
    )


def test_an_rrd_of_powerpi_itself_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "house.rrd.future-20260101"
    rrdtool.create(str(path), "--start", str(BEGIN), "--step", "10", "DS:pulses:DDERIVE:10:0:U", "RRA:AVERAGE:0.5:1:9")
    for row in range(8):
        rrdtool.update(str(path), f"{BEGIN + 10 * row + 10}:{2 * row}")
    found = loaded(path.read_bytes())
    assert sum(found.intervals.watt_hours) == approx(14)  # pulses at 1000 imp/kWh
    assert "pulses in pulses per second, in rows of 10 s" in found.said


def test_an_rrd_that_cannot_be_read_here_is_told(tmp_path: Path) -> None:
    content = power_rrd(tmp_path).read_bytes()
    with pytest.raises(DataError, match=r"where it was made, `rrdtool dump` writes a text that can be imported"):
        loaded(content[:5] + b"9999" + content[9:])


def test_a_single_good_line_among_bad_ones_does_not_hide_them() -> None:
    with pytest.raises(DataError, match=r"a single value does not say .*; line 3: 'x' is no time"):
        loaded(b"time,kwh\n2026-11-26T10:00,1\nx,1\n")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_bytes_it_is_a_sentence_or_a_file(seed: int) -> None:
    whole = b"time;kwh\n" + b"".join(b"2026-11-%02d;1,5\n" % day for day in range(1, 29))
    noise = io.BytesIO(bytes((seed * 37 + n * n * 31) % 256 for n in range(2000))).read()
    for cut in range(0, len(whole), 13):
        try:
            found = loaded(whole[:cut] + noise[: cut % 50] + whole[cut:])
        except DataError as error:
            assert str(error)
        else:
            assert found.said


# ---------------------------------------------------------------- opening


def test_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"time,kwh\n")
    with opened(path) as file:
        assert file.read() == b"time,kwh\n"
        file.seek(0)


def test_a_pipe_can_be_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"time,kwh\n2026-11-26,1\n2026-11-27,1\n"), daemon=True)
    writer.start()
    with opened(pipe) as file:
        assert len(load(file, Wanted(None, None, ZoneInfo("UTC"), 1000.0)).intervals) == 2
    writer.join(10)


def test_a_disk_that_is_full_while_it_is_read_is_a_sentence(tmp_path: Path) -> None:
    content = power_rrd(tmp_path).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StoreError, match=r"copy\.rrd: File too large$"):
            loaded(content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("told", [False, True])
def test_what_is_large_is_kept_on_the_disk_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    disk, elsewhere, pipe = tmp_path / "disk", tmp_path / "elsewhere", tmp_path / "pipe"
    disk.mkdir()
    elsewhere.mkdir()
    monkeypatch.setattr("powerpi.source_file.ON_DISK", disk)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("TMPDIR", raising=False)
    if told:
        monkeypatch.setenv("TMPDIR", str(elsewhere))
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"time,kwh\n2026-11-26,1\n"), daemon=True)
    writer.start()
    with opened(pipe) as file:
        assert Path(f"/proc/self/fd/{file.fileno()}").readlink().parent == (elsewhere if told else disk)
    writer.join(10)


@pytest.mark.parametrize(("name", "said"), [("missing", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=f"cannot be read: {said}"), opened(tmp_path / name):
        pass


def test_numbers_have_blanks_between_thousands() -> None:
    assert (spaced(34949), spaced(37280.5801, 2), spaced(12)) == ("34 949", "37 280.58", "12")


def test_a_real_household_is_recognised() -> None:
    path = SHARED / "data" / "household-hours.csv"
    if not path.exists():
        pytest.skip("the recorded household (shared/data) is not beside this checkout")
    with opened(path) as file:
        found = load(file, Wanted(None, None, ZoneInfo("Europe/Paris"), 1000.0))
    assert found.said == (
        "34 949 hours, kWh (column kwh), local time at the beginning, 2006-12-16 18:00 to 2010-12-11 23:00,"
        " 37 280.58 kWh"
    )
    assert found.faults.count == 0


def test_names_out_of_the_file_cannot_steer_a_terminal() -> None:
    text = b"time,\x1b[31m kwh\n2026-11-26T10:00,1\n2026-11-26T11:00,1\n"
    assert "kWh (column '\\x1b[31m kwh'), local time" in loaded(text).said


def test_more_than_a_meter_can_measure_is_a_bad_line() -> None:
    found = loaded(b"time,kW\n2026-11-26T10:00,1200\n2026-11-26T11:00,1201\n2026-11-26T12:00,1\n")
    assert found.faults.sentences() == ["line 3: 1201000 W cannot be: wanted 1200000 W at most"]
    assert list(found.intervals.watt_hours) == [1_200_000, 1000]


def test_what_goes_wrong_while_the_file_is_open_is_none_of_its_faults(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a")
    with pytest.raises(OSError, match="No space left") as raised, opened(tmp_path / "a.csv"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not isinstance(raised.value, StoreError)
