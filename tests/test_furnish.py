"""What is read and drawn is built here: the reading child's surroundings, and the rooms of meters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest
from conftest import START, HandClock, Line
from pair import Mirroring, Pi

from powerpi import furnish
from powerpi.config import Settings, parse
from powerpi.meter import Meter
from powerpi.pulses import Row
from powerpi.reader import Reader
from powerpi.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = Europe/Berlin\n[meter house]\ngpio = 24\nimp_per_kwh = 500\n"
    )


@pytest.fixture
def reader(settings: Settings) -> Iterator[Reader]:
    reader, _ = furnish.build_reader(settings, Lock())
    yield reader
    reader.close()


def test_the_reading_child_lives_in_the_configured_time_zone(reader: Reader, tmp_path: Path) -> None:
    store = Store(tmp_path, "house", 0, Lock())
    store.open(START)
    store.write([Row(START + 10, 0.0), Row(START + 20, 1.0)])
    # the only known row is that of START + 20, 22:13:40 UTC
    drawn = reader.graph(
        ["--start", str(START), "--end", str(START + 20), f"DEF:p={store.rrd}:pulses:AVERAGE", "VDEF:t=p,MAXIMUM",
         "PRINT:t:%H\\:%M\\:%S:strftime"]
    )  # fmt: skip
    assert drawn.prints == ("23:13:40",)


def test_a_counted_room_reads_its_own_file_with_its_own_constant(
    settings: Settings, reader: Reader, line: Line, tmp_path: Path
) -> None:
    store = Store(tmp_path, "house", 1, Lock())
    meter = Meter("house", line.pin, store, 0.010, START - 10)
    store.write([Row(START, 0.0), Row(START + 900, 0.0)])
    store.write([Row(START + 910, 3.0), Row(START + 920, 5.0)])
    room = furnish.counted_room(settings.meters[0], meter, reader, settings.timezone)
    assert (room.meter, room.origin) == (meter, None)
    # 5 pulses at 500 a kWh: 10 Wh in 20 known seconds
    [energy] = room.readings.energies.of([(START + 900, START + 920)], START + 920)
    assert (energy.watt_hours, energy.known_seconds) == (pytest.approx(10), 20)


def test_a_received_room_reads_what_its_sender_says(tmp_path: Path, clock: HandClock, reader: Reader) -> None:
    clock.ahead += 5400
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        pi = Pi(tmp_path / "pi", mirroring.url, archive_years=1)
        pi.write(91, watts=360)
        pi.push()
        meter = mirroring.meter()
        room = furnish.received_room(meter, reader, mirroring.settings.timezone)
        assert room.origin is room.meter is meter
        assert room.readings.settings.label == "Haus"
        [energy] = room.readings.energies.of([(START, START + 900)], START + 900)
        assert (energy.watt_hours, energy.known_seconds) == (pytest.approx(90), 900)
