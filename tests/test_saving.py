"""What goes into a backup: all that is kept of a meter, readable without PowerPi."""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import threading
import zipfile
from pathlib import Path

import pytest
from conftest import START
from saved_house import FIRST, HAUS, House, backup_of

from powerpi import anchors, config, facts, gaps, register, saving, sealed
from powerpi.anchors import Anchor
from powerpi.digests import units
from powerpi.errors import StoreError
from powerpi.facts import Facts
from powerpi.gaps import Gap
from powerpi.ledger import Ledger
from powerpi.pulses import Row
from powerpi.register import Register
from powerpi.saving import Origin
from powerpi.store import Store


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.write(500)
    return made


def test_a_stranger_reads_it_with_python_alone(house: House) -> None:
    """As the table of the README says, without a line of PowerPi's own."""
    house.old_means(10)
    content = backup_of(house.folder).getvalue()
    assert hashlib.sha256(content[:-64]).hexdigest() == content[-64:].decode()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        head = json.loads(archive.read("powerpi.json"))
        assert (head["format"], head["format_version"], head["meters"]) == ("PowerPi backup", 1, ["house"])
        meter = json.loads(archive.read("meters/house/meter.json"))
        rows, means = (archive.read(f"meters/house/{name}.f64") for name in ("rows", "means"))
        assert "NaN where unknown" in archive.read("README.txt").decode()
    after, until = meter["spans"]["10"]
    rates = struct.unpack(f"<{(until - after) // 10}d", rows)
    assert until == meter["newest"] == START + 4990
    times = range(after + 10, until + 10, 10)
    first = rates.index(next(rate for rate in rates if not math.isnan(rate)))
    assert times[first] == START + 10  # the row at START is the first one: nothing is known before
    assert not any(map(math.isnan, rates[first:]))
    # what was counted after the row at START, from the rates and from the counters
    row_at_start = meter["newest_pulses"] - sum(rates[first:]) * 10
    assert row_at_start == pytest.approx(house_rows(house)[0].pulses, abs=1e-6)
    assert meter["pulses"] == math.ceil(meter["newest_pulses"])
    assert meter["facts"] == {"name": "house", "label": "Haus", "imp_per_kwh": 1000, "offset_kwh": 12.5}
    after, until = meter["spans"]["900"]
    assert len(means) == 8 * (until - after) // 900
    assert sum(not math.isnan(mean) for mean in struct.unpack(f"<{len(means) // 8}d", means)) == 10 + 5


def house_rows(house: House) -> list[Row]:
    """The rows that `House.write` made with its seed."""
    again = House(house.folder / "again")
    again.write(1)
    assert again.store.last_row
    return [again.store.last_row]


def test_time_before_anything_was_known_takes_no_room(house: House) -> None:
    with sealed.sealed(io.BytesIO()) as archive:
        made = saving.save(archive, house.folder, "house", HAUS)
    assert (made.rows, made.means, made.impossible_rows) == (499, 5, 0)
    midnight = START // 86400 * 86400
    assert made.saved.standing.spans[10] == (midnight, START + 4990)
    assert list(made.saved.digests) == [
        *units(10, midnight, START + 4990),
        *units(900, *made.saved.standing.spans[900]),
    ]


def test_gaps_readings_and_what_is_known_of_the_meter_are_in_it(house: House) -> None:
    gap, anchor = Gap(START + 100, START + 200, "stopped"), Anchor(START + 60, 1234.5, 6.25)
    gaps.write(house.folder / "house.gaps", [gap], damaged=False)
    anchors.write(house.folder / "house.readings", [anchor], damaged=False)
    with sealed.sealed(io.BytesIO()) as archive:
        made = saving.save(archive, house.folder, "house", Origin(HAUS.facts, "pi-hq"))
    assert made.saved.standing.gaps == (gap,)
    assert made.saved.readings == (anchor,)
    assert (made.saved.facts, made.saved.received_from) == (Facts("house", "Haus", 1000.0, 12.5), "pi-hq")


def test_a_register_that_is_older_than_the_rows_does_not_lower_the_counter(house: House) -> None:
    house.store.save_register(1, START)
    with sealed.sealed(io.BytesIO()) as archive:
        standing = saving.save(archive, house.folder, "house", HAUS).saved.standing
    assert standing.newest_pulses
    assert (standing.pulses, standing.pulses_time) == (math.ceil(standing.newest_pulses), START + 4990)


def test_pulses_that_no_row_has_yet_are_in_the_counter(house: House) -> None:
    house.store.save_register(9999, START + 5003)
    with sealed.sealed(io.BytesIO()) as archive:
        standing = saving.save(archive, house.folder, "house", HAUS).saved.standing
    assert (standing.pulses, standing.pulses_time, standing.newest) == (9999, START + 5003, START + 4990)


def test_a_counter_without_any_row_is_saved(tmp_path: Path) -> None:
    store = Store(tmp_path, "house", 20, threading.Lock())
    store.open_counter()
    store.save_register(77, 0)
    with sealed.sealed(io.BytesIO()) as archive:
        made = saving.save(archive, tmp_path, "house", HAUS)
    assert (made.saved.standing.pulses, made.saved.standing.spans, made.rows) == (77, {}, 0)


def test_an_rrd_without_any_row_is_saved_as_nothing(tmp_path: Path) -> None:
    House(tmp_path)
    with sealed.sealed(io.BytesIO()) as archive:
        made = saving.save(archive, tmp_path, "house", HAUS)
    assert made.saved.standing.spans == {}


def test_rows_that_cannot_be_are_unknown_in_the_backup_and_told(house: House) -> None:
    house.ledger.put(next(units(10, START + 100, START + 120)), [1e7, -1.0])
    with sealed.sealed(io.BytesIO()) as archive:
        made = saving.save(archive, house.folder, "house", HAUS)
    assert (made.rows, made.impossible_rows) == (497, 2)


def test_rows_that_are_written_meanwhile_wait_for_the_next_backup(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that comes while the first unit is read is in no part of it: span, counter and rows are of one moment."""
    read = Ledger.rows
    wrote: list[bool] = []

    def rows(ledger: Ledger, unit: object) -> object:
        if not wrote:
            wrote.append(True)
            house.write(5, seed=3)
        return read(ledger, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "rows", rows)
    with sealed.sealed(io.BytesIO()) as archive:
        made = saving.save(archive, house.folder, "house", HAUS)
    assert wrote
    assert made.rows == 499
    assert made.saved.standing.newest == START + 4990


def test_a_file_that_is_replaced_meanwhile_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    read, other = Ledger.rows, House(house.folder / "other").store.rrd

    def rows(ledger: Ledger, unit: object) -> object:
        if other.exists():
            other.rename(house.store.rrd)
        return read(ledger, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "rows", rows)
    said = r"house.rrd was replaced while it was being saved; make the backup again"
    with pytest.raises(StoreError, match=said), sealed.sealed(io.BytesIO()) as archive:
        saving.save(archive, house.folder, "house", HAUS)


# ---------------------------------------------------------------- which meters


def test_meters_of_the_configuration_come_first_and_all_others_that_have_files(tmp_path: Path) -> None:
    for name in ("house", "garage", "api", "UPPER", "new", "empty"):
        (tmp_path / f"{name}.rrd").touch()
    House(tmp_path, "zoo")
    register.write(tmp_path / "counter.register", Register(1, 7, 0))
    (tmp_path / "blank.register").touch()
    (tmp_path / "power.rrd").write_bytes(b"RRD\0of another program")
    facts.write(tmp_path / "garage.mirrored", Facts("garage", "Garage", 500.0, 1.0))
    settings = config.parse(
        f"[powerpi]\nstate = {tmp_path}\n[meter new]\ngpio = 23\n[meter house]\ngpio = 24\nlabel = Haus\n"
        "[meter none]\ngpio = 22\n[mirror]\naccept = yes\n"
        "[mirror pi]\npassword_hash = scrypt$14$8$1$AAAAAAAAAAAAAAAAAAAAAA==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nmeters = garage\n"
    )
    found = saving.meters(settings)
    assert list(found) == ["new", "house", "garage", "counter", "zoo"]
    assert found["house"] == Origin(Facts("house", "Haus", 1000.0, 0.0), None)
    assert found["garage"] == Origin(Facts("garage", "Garage", 500.0, 1.0), "pi")
    assert found["zoo"] == Origin(None, None)


def test_a_host_has_a_name_that_goes_into_a_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Machine:
        nodename = "Küche/../pi.local"

    monkeypatch.setattr("os.uname", Machine)
    assert saving.host_name() == "K-che-pi-local"
    Machine.nodename = "ü"
    assert saving.host_name() == "powerpi"


@pytest.mark.parametrize("name", ["../house", "a/b", "", "api", ".", "house.rrd", "House", "x" * 33])
def test_names_that_are_no_meters_are_told_from_them(name: str) -> None:
    assert not saving.is_name(name)


def test_a_damaged_rrd_is_told_and_the_rest_of_the_meter_is_saved(house: House) -> None:
    with house.store.rrd.open("r+b") as file:
        file.truncate(1000)
    with sealed.sealed(io.BytesIO()) as archive:
        made = saving.save(archive, house.folder, "house", HAUS)
    assert "house.rrd has 1000 bytes, which is not what its header says" in made.fault
    assert (made.rows, made.saved.standing.spans) == (0, {})
    assert made.saved.standing.pulses == house.store.stored_pulses


def test_saving_reports_how_far_it_is(house: House) -> None:
    heard: list[float] = []
    with sealed.sealed(io.BytesIO()) as archive:
        saving.save(archive, house.folder, "house", HAUS, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 300
    assert FIRST < START
