"""A backup is read as foreign bytes are: everything is checked, and rows come back to the last bit."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import START
from saved_house import House, backup_of, day_of, opened

from powerpi import sealed
from powerpi.backup_file import BackupFile, read_head
from powerpi.digests import Unit, digest, units
from powerpi.errors import BackupError
from powerpi.layout import MEAN_SECONDS
from powerpi.sealed import SEAL_BYTES

TODAY = day_of(START)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a backup of two days, with a gap, and of older means."""
    folder = tmp_path_factory.mktemp("state")
    house = House(folder)
    house.write(5000)
    house.write(5000, gap_rows=700)
    house.old_means(20_000)
    made = backup_of(folder).getvalue()
    shutil.rmtree(folder)
    return made


def of(content: bytes) -> BackupFile:
    return BackupFile(io.BytesIO(content))


def test_rows_come_back_to_the_last_bit(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.write(9000)
    house.write(300, gap_rows=700)
    house.old_means(10_000)
    backup = opened(tmp_path)
    for step, span in house.ledger.spans().items():
        for unit in units(step, *span):
            assert backup.rows("house", unit).rates.tobytes() == house.ledger.rows(unit).tobytes(), unit
    for unit in backup.meters["house"].units:
        assert digest(backup.whole_unit("house", unit)) == backup.meters["house"].digests[unit]
    backup.close()


def test_parts_of_units_are_read_in_any_order(content: bytes) -> None:
    backup = of(content)
    whole = backup.rows("house", TODAY).rates
    for after in (TODAY.until - 100, TODAY.after, START + 50):
        part = Unit(10, after, after + 100)
        begin = (after - TODAY.after) // 10
        assert backup.rows("house", part).rates.tobytes() == whole[begin : begin + 10].tobytes()
        assert backup.rows("house", part)[:2] == (10, after)


def test_what_was_not_saved_is_unknown(content: bytes) -> None:
    backup = of(content)
    newest = backup.standing("house").newest
    assert newest
    rates = backup.rows("house", Unit(10, newest - 20, newest + 30)).rates
    assert [math.isnan(rate) for rate in rates] == [False, False, True, True, True]
    assert all(map(math.isnan, backup.rows("house", Unit(10, TODAY.after - 50, TODAY.after - 10)).rates))
    assert all(map(math.isnan, backup.rows("house", Unit(10, newest + 10, newest + 30)).rates))


def test_digests_are_those_of_a_span_of_time(content: bytes) -> None:
    backup = of(content)
    assert list(backup.digests("house", TODAY, fresh=False)) == [TODAY]
    assert backup.digests("house", TODAY._replace(after=TODAY.after + 10), fresh=False) == {}
    means = backup.digests("house", Unit(MEAN_SECONDS, 0, 1 << 32), fresh=True)
    assert means
    assert {unit.step_seconds for unit in means} == {MEAN_SECONDS}


def test_of_a_meter_that_is_not_in_it_nothing_is_known(content: bytes) -> None:
    standing = of(content).standing("shed")
    assert (standing.newest, standing.pulses, standing.spans) == (None, 0, {})


def test_its_head_can_be_read_alone(content: bytes) -> None:
    head = read_head(io.BytesIO(content))
    assert head == of(content).head
    assert (head.time, head.version, head.meters) == (START + 1000 * 86400, "1.0.0", ("house",))


# ---------------------------------------------------------------- damage


def test_every_damaged_byte_is_found_and_said_in_one_sentence(content: bytes) -> None:
    chance = Random(5)
    places = [*range(200), *(chance.randrange(len(content)) for _ in range(200)), *range(-700, 0)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(BackupError) as caught:
            of(bytes(damaged))
        assert "\n" not in str(caught.value)


def test_every_cut_is_found(content: bytes) -> None:
    chance = Random(6)
    for length in [0, 1, 100, *(chance.randrange(len(content)) for _ in range(50)), len(content) - 1]:
        with pytest.raises(BackupError):
            of(content[:length])


# ---------------------------------------------------------------- made by somebody who knows how


def changed(content: bytes, change: dict[str, Any]) -> bytes:
    """The same backup with other parts and the right seal: bytes, or what stands in the JSON; None leaves it out."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, sealed.sealed(file) as new:
        for name in [*old.namelist(), *(name for name in change if name not in old.namelist())]:
            value = change.get(name, {})
            if isinstance(value, dict):
                value = json.dumps({**json.loads(old.read(name)), **value}) if value else old.read(name)
            if value is not None:
                new.writestr(name, value)
    return file.getvalue()


METER, ROWS = "meters/house/meter.json", "meters/house/rows.f64"


def test_a_backup_that_is_put_together_again_is_one(content: bytes) -> None:
    backup = of(changed(content, {}))
    assert backup.whole_unit("house", TODAY).tobytes() == of(content).whole_unit("house", TODAY).tobytes()


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("powerpi.json", None, "lacks powerpi.json"),
        ("powerpi.json", b"no json", "has a wrong powerpi.json: the body is not JSON"),
        ("powerpi.json", b"[1]", "wanted an object"),
        ("powerpi.json", {"format": "zip"}, r"format is '\"zip\"': wanted PowerPi backup"),
        ("powerpi.json", {"format_version": 2}, "format_version is '2': this PowerPi reads 1, update it"),
        ("powerpi.json", {"time": -1}, "time is"),
        ("powerpi.json", {"host": "a\nb"}, "host is"),
        ("powerpi.json", {"powerpi_version": None}, "powerpi_version is missing"),
        ("powerpi.json", {"meters": ["../../etc/cron.d/x"]}, "wanted names of meters"),
        ("powerpi.json", {"meters": ["/etc/passwd"]}, "wanted names of meters"),
        ("powerpi.json", {"meters": ["house", "house"]}, "a name twice"),
        ("powerpi.json", {"meters": [7]}, "wanted names of meters"),
        ("powerpi.json", {"meters": ["api"]}, "wanted names of meters"),
        ("powerpi.json", {"meters": ["house", "shed"]}, "lacks meters/shed/meter.json"),
        ("powerpi.conf", None, "lacks powerpi.conf"),
        (METER, None, f"lacks {METER}"),
        (METER, {"name": "../house"}, f"has a wrong {METER}: name is"),
        (METER, {"pulses": 1.5}, "pulses is"),
        (METER, {"gaps": [["a", "b", "stopped"]]}, "a gap is"),
        (METER, b"[" * 100_000, f"has a wrong {METER}"),
        (METER, b" " * 3_000_000, "of more than 2097152 bytes"),
        (ROWS, None, f"lacks {ROWS}"),
        (ROWS, b"", "has 0 bytes of"),
        (ROWS, b"12345678" * 20_000, "has 160000 bytes of"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_is_refused_by_name(content: bytes, part: str, value: Any, said: str) -> None:
    with pytest.raises(BackupError, match=said):
        of(changed(content, {part: value}))


@pytest.mark.parametrize("rate", [-1.0, 1e7, math.inf, -math.inf])
def test_a_row_that_cannot_be_is_refused(content: bytes, rate: float) -> None:
    rows = bytearray(zipfile.ZipFile(io.BytesIO(content)).read(ROWS))
    rows[0:8] = struct.pack("<d", rate)
    backup = of(changed(content, {ROWS: bytes(rows)}))
    with pytest.raises(BackupError, match="that is not between 0 and 1e\\+06 pulses per second"):
        backup.rows("house", TODAY)


def test_unknown_rows_of_any_pattern_are_one(content: bytes) -> None:
    rows = zipfile.ZipFile(io.BytesIO(content)).read(ROWS)
    ours = struct.pack("<Q", 0x7FF8 << 48)
    assert rows.startswith(ours)
    other = struct.pack("<Q", 0xFFF0_0000_0000_0001)
    backup = of(changed(content, {ROWS: other * 2 + rows[16:]}))
    assert backup.whole_unit("house", TODAY).tobytes() == rows[: 8 * 8640]


def test_rows_that_are_not_those_that_were_saved_are_named(content: bytes) -> None:
    rows = bytearray(zipfile.ZipFile(io.BytesIO(content)).read(ROWS))
    rows[8 * 8630 : 8 * 8631] = struct.pack("<d", 0.125)
    backup = of(changed(content, {ROWS: bytes(rows)}))
    with pytest.raises(BackupError, match=f"has other rows of house from {TODAY.after} to {TODAY.until} than were"):
        backup.whole_unit("house", TODAY)


NAMES = [f"m{number}" for number in range(300)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"powerpi.json": {"meters": [*NAMES, "x"]}}, "301 entries: wanted a list of at most 300"),
        ({f"meters/m{number}/x": b"" for number in range(20)}, r"has 26 parts, more than 1 meters have"),
        (
            {"powerpi.json": {"meters": NAMES}, **{f"meters/{name}/meter.json": b" " * 112_000 for name in NAMES}},
            r"says 336\d{5} bytes of its meters beside their rows: wanted at most 33554432",
        ),
    ],
    ids=["meters", "parts", "bytes"],
)
def test_one_that_would_take_much_memory_is_refused_before(content: bytes, change: dict[str, Any], said: str) -> None:
    bomb = changed(content, change)
    tracemalloc.start()
    try:
        with pytest.raises(BackupError, match=said):
            of(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_of_rows_takes_no_memory(content: bytes) -> None:
    bomb = changed(content, {ROWS: bytes(300 << 20)})
    assert len(bomb) < 2_000_000
    tracemalloc.start()
    try:
        with pytest.raises(BackupError, match="has 314572800 bytes of"):
            of(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_that_lies_about_its_size_takes_no_memory(content: bytes) -> None:
    """The list of parts tells of as many bytes as there should be, and there are a hundred times more."""
    honest = zipfile.ZipFile(io.BytesIO(content)).getinfo(ROWS).file_size
    bomb = changed(content, {ROWS: bytes(300 << 20)})
    places = [place for place in range(len(bomb)) if bomb.startswith(struct.pack("<L", 300 << 20), place)]
    lying = bytearray(bomb)
    for place in places:
        lying[place : place + 4] = struct.pack("<L", honest)
    sealed_again = bytes(lying[:-SEAL_BYTES]) + hashlib.sha256(lying[:-SEAL_BYTES]).hexdigest().encode()
    tracemalloc.start()
    try:
        backup = of(sealed_again)
        with pytest.raises(BackupError):
            for unit in backup.meters["house"].units:
                backup.whole_unit("house", unit)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
