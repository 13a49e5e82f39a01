"""The rows of a backup against those that are here: what is the same, what is not, and when."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import START
from saved_house import House, opened

from powerpi.backup_file import BackupFile
from powerpi.comparing import Comparison, compare
from powerpi.digests import Unit
from powerpi.layout import MEAN_SECONDS
from powerpi.ring import UNKNOWN


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Rows from START + 10 to START + 1990; means of the quarter hours that end at START + 1000 and START + 1900."""
    made = House(tmp_path / "state")
    made.write(200)
    return made


@pytest.fixture
def backup(house: House) -> BackupFile:
    return opened(house.folder)


def test_the_same_rows_are_identical(house: House, backup: BackupFile) -> None:
    found = compare(backup, "house", house.ledger)
    assert found == Comparison(rows=199, means=2)
    assert found.identical


def test_without_a_ledger_rows_are_counted(backup: BackupFile) -> None:
    assert compare(backup, "house", None) == Comparison(rows=199, means=2)


def test_rows_that_came_later_make_no_difference(house: House, backup: BackupFile) -> None:
    house.write(10_000, seed=4)
    assert compare(backup, "house", house.ledger) == Comparison(rows=199, means=2)


def test_a_row_that_is_another_is_told_with_its_time(house: House, backup: BackupFile) -> None:
    house.ledger.put(Unit(MEAN_SECONDS, START + 100, START + 1000), [9.0])
    house.ledger.put(Unit(10, START + 1920, START + 1940), [7.0, 8.0])
    found = compare(backup, "house", house.ledger)
    assert found == Comparison(rows=199, means=2, different=3, first_different=START + 1930)
    assert not found.identical


def test_rows_that_are_unknown_here_are_told_with_their_time(house: House, backup: BackupFile) -> None:
    house.ledger.put(Unit(10, START + 1950, START + 1980), UNKNOWN * 3)
    found = compare(backup, "house", house.ledger)
    assert found == Comparison(rows=199, means=2, missing=3, first_missing=START + 1960)
    assert not found.identical


def test_a_file_of_which_nothing_is_known_lacks_all(tmp_path: Path, backup: BackupFile) -> None:
    found = compare(backup, "house", House(tmp_path / "new").ledger)
    assert (found.missing, found.first_missing, found.without_room) == (201, START + 10, 0)


def test_rows_that_have_no_room_here_any_more_are_no_difference(house: House, backup: BackupFile) -> None:
    house.write(10, gap_rows=366 * 8640 - 100)  # the newest row at START + 1990 + 366 days - 1000 + 100
    found = compare(backup, "house", house.ledger)
    assert found.without_room == (1990 - 900 - 10) // 10 + 1
    assert found.identical


def test_means_have_no_room_where_none_are_kept(tmp_path: Path, house: House, backup: BackupFile) -> None:
    other = House(tmp_path / "other", archive_years=0)
    other.write(200)
    assert compare(backup, "house", other.ledger) == Comparison(rows=199, means=2, without_room=2)


def test_it_reports_how_far_it_is(house: House, backup: BackupFile) -> None:
    heard: list[float] = []
    compare(backup, "house", house.ledger, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    shutil.rmtree(house.folder)
