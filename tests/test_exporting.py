"""`powerpi export`: what is written, and where."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from pathlib import Path
from threading import Lock

import pytest
from conftest import START, HandClock, Line, wait_for_door

from powerpi import cli, exporting, facts, layout, undo
from powerpi.building import Fate, build
from powerpi.config import Settings, parse
from powerpi.digests import Unit
from powerpi.errors import DataError, StoreError
from powerpi.exporting import Wanted
from powerpi.facts import Facts
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store

HASH = "scrypt$10$8$1$c2FsdHNhbHRzYWx0c2FsdA==$" + "A" * 43 + "="
WANTED = Wanted("house", "10s", None, None, None)
HEADINGS = "from,to,kwh,watts,known_seconds\n"


@pytest.fixture
def text(tmp_path: Path) -> str:
    return f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\nnetwork_time = no\n[meter house]\ngpio = 24\n"


@pytest.fixture
def settings(text: str) -> Settings:
    return parse(text)


@pytest.fixture
def store(settings: Settings) -> Store:
    """Two known rows at 900 W, the second of which ends at START + 30."""
    store = Store(settings.state, "house", 20, Lock())
    store.open(START)
    store.write([Row(START + 10, 0.0), Row(START + 20, 2.5), Row(START + 30, 5.0)])
    return store


ROWS = (
    "2023-11-14T22:13:30+00:00,2023-11-14T22:13:40+00:00,0.002500000,900.000,10\n"
    "2023-11-14T22:13:40+00:00,2023-11-14T22:13:50+00:00,0.002500000,900.000,10\n"
)


@pytest.mark.usefixtures("store")
def test_lines_come_on_standard_output(settings: Settings, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert exporting.run(settings, WANTED) == 0
    told = capfdbinary.readouterr()
    assert told.out.decode() == HEADINGS + ROWS
    assert told.err == b""  # nobody sees a bar


@pytest.mark.usefixtures("store")
def test_a_time_of_which_nothing_is_known_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert exporting.run(settings, WANTED._replace(start="2024")) == 0
    assert "nothing is known of house in that time" in capsys.readouterr().err


@pytest.mark.usefixtures("store")
def test_or_in_a_file_that_is_whole_or_not_there(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "out" / "house.csv"
    path.parent.mkdir()
    path.write_text("of yesterday")
    assert exporting.run(settings, WANTED._replace(output=path)) == 0
    assert path.read_text() == HEADINGS + ROWS
    assert [each.name for each in path.parent.iterdir()] == ["house.csv"]


@pytest.mark.usefixtures("store")
def test_a_place_that_cannot_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing/house.csv\S*: No such file or directory"):
        exporting.run(settings, WANTED._replace(output=tmp_path / "missing" / "house.csv"))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        ("2023-11-14T22:13:40", None, ROWS[75:]),
        (None, "2023-11-14 23:13:40 +01:00", ROWS[:75]),
        ("2023", "2024", ROWS),
        ("14.11.2023", "2023-11-15", ROWS),
        ("2023-11-15", None, ""),
    ],
)
def test_a_part_can_be_asked_for(
    settings: Settings, start: str | None, end: str | None, rows: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    exporting.run(settings, WANTED._replace(start=start, end=end))
    assert capfdbinary.readouterr().out.decode() == HEADINGS + rows


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": "soon"}, r"--from 'soon': wanted a time such as 2026-11,"),
        ({"end": "2026-13"}, r"--to '2026-13': wanted a time such as"),
        ({"start": "2024", "end": "2023"}, r"--from 2024 --to 2023: wanted an end after the beginning"),
        ({"meter": "hous"}, r"there is no meter 'hous' here: wanted one of house"),
    ],
)
def test_wrong_wishes_are_one_sentence(settings: Settings, changes: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        exporting.run(settings, WANTED._replace(**changes))


def test_a_meter_of_which_nothing_is_stored_is_told(settings: Settings) -> None:
    with pytest.raises(StoreError, match="nothing is stored of house yet"):
        exporting.run(settings, WANTED)


def test_who_may_not_look_into_the_state_folder_is_told_what_to_do(settings: Settings, store: Store) -> None:
    assert store.last_row
    settings.state.chmod(0)
    if not os.geteuid():
        os.seteuid(65534)  # root may look everywhere
    try:
        with pytest.raises(StoreError, match=r"may not be read by this user; try it with sudo$"):
            exporting.run(settings, WANTED)
    finally:
        if not os.getuid():
            os.seteuid(0)
        settings.state.chmod(0o700)


def test_a_received_meter_has_the_constant_that_its_sender_tells(
    tmp_path: Path, store: Store, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    settings = parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\n[mirror]\naccept = yes\n"
        f"[mirror pi]\npassword_hash = {HASH}\nmeters = house\n"
    )
    with pytest.raises(DataError, match="nothing has come of house yet: its sender tells its constant"):
        exporting.run(settings, WANTED)
    facts.write(store.rrd.with_suffix(".mirrored"), Facts("house", "Haus", 500.0, 0.0))
    exporting.run(settings, WANTED)
    assert capfdbinary.readouterr().out.decode() == HEADINGS + ROWS.replace("0.0025", "0.0050").replace(",900", ",1800")


def test_what_was_just_counted_is_there_too(
    settings: Settings, line: Line, clock: HandClock, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    parts = build(settings, line.factory, clock, Fate())
    line.pin = parts.pins[0]
    line.pulses([clock.now + 4 * n for n in range(1, 11)])  # 900 W
    parts.counting.turn()
    parts.counting.start()
    parts.door.start()
    wait_for_door(settings.state)
    try:
        exporting.run(settings, WANTED)
    finally:
        parts.door.stop()
        parts.counting.stop()
        parts.reader.close()
    assert capfdbinary.readouterr().out.decode().startswith(HEADINGS + ROWS)


def test_what_a_killed_powerpi_left_half_written_is_put_right(
    settings: Settings, store: Store, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    head = layout.read_head(store.rrd)[0][: layout.read(store.rrd).header_bytes]
    undo.keep(store.rrd.with_suffix(".undo"), undo.Undo(head, Row(START + 40, 7.5)))
    exporting.run(settings, WANTED)
    assert capfdbinary.readouterr().out.decode() == HEADINGS + ROWS
    assert undo.read(store.rrd.with_suffix(".undo")) is None


def test_who_reads_may_have_enough(text: str, store: Store, tmp_path: Path) -> None:
    Ledger(store.rrd, Lock()).put(Unit(STEP_SECONDS, START - 864_000, START), array("d", [0.25] * 86_400))
    path = tmp_path / "powerpi.conf"
    path.write_text(text)
    command = [sys.executable, "-m", "powerpi", "export", "house", "--step", "10s", "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(20) == 141


@pytest.mark.usefixtures("store")
def test_the_state_folder_takes_no_export(settings: Settings) -> None:
    before = (settings.state / "house.rrd").read_bytes()
    with pytest.raises(StoreError, match="is for PowerPi's own files alone; wanted another place"):
        exporting.run(settings, WANTED._replace(output=settings.state / "house.rrd"))
    with pytest.raises(StoreError, match="is a folder; wanted the name of a file"):
        exporting.run(settings, WANTED._replace(output=Path()))
    assert (settings.state / "house.rrd").read_bytes() == before


@pytest.mark.usefixtures("store")
def test_the_command_says_what_is_wrong_and_returns_its_code(
    text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "powerpi.conf"
    path.write_text(text)
    assert cli.main(["export", "attic", "--config", str(path)]) == 65
    assert capfd.readouterr().err == "powerpi: there is no meter 'attic' here: wanted one of house\n"
    assert cli.main(["export", "house", "--step", "year", "--config", str(path)]) == 0
    assert (
        capfd.readouterr().out.splitlines()[1].startswith("2023-11-14T22:13:30+00:00,2023-11-14T22:13:50+00:00,0.005")
    )
