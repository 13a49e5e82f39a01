"""The folder of dated backups: names that sort, and only what is ours goes, never a good one for a bad one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from conftest import START

from powerpi import backups, config, saving, sealed
from powerpi.errors import StoreError
from powerpi.new_file import NewFile
from powerpi.saving import host_name

HOST = host_name()
OWN, OTHER = "0123456789abcdef", "fedcba9876543210"
NOW = 100.0 + backups.FUTURE_SECONDS


def settings(state: Path, backup: str = "") -> config.Settings:
    return config.parse(f"[powerpi]\nstate = {state}\n[meter house]\ngpio = 24\n[backup]\n{backup}")


def made(
    folder: Path, number: int, own: str = OWN, name: str = "", *, time: int = 0, whole: bool = True, host: str = HOST
) -> Path:
    """A small backup of a state folder, the older the lower its number, which is the time in its head too."""
    file = io.BytesIO()
    with sealed.sealed(file) as archive:
        saving.end(archive, [], time or number, "1", identity=own, whole=whole)
    path = folder / (name or f"powerpi-{host}-{own[:8]}-202311{number:02d}T000000Z.zip")
    path.write_bytes(file.getvalue())
    return path


def ours(folder: Path, now: float = NOW) -> list[Path]:
    return [kept.path for kept in backups.ours(folder, OWN, now)]


def keep_newest(made: Path, keep: int) -> list[Path]:
    return backups.keep_newest(made, keep, OWN, NOW)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_they_go_into_the_state_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert backups.made_folder(settings(tmp_path)) == tmp_path / "backups"
    assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o750
    other = tmp_path / "stick"
    other.mkdir()
    assert backups.made_folder(settings(tmp_path, f"folder = {other}\n")) == other


def test_a_stick_that_is_not_mounted_is_not_made_on_the_card(tmp_path: Path) -> None:
    other = tmp_path / "stick"
    with pytest.raises(StoreError, match=rf"\[backup\] folder = {other} is not there: is its disk mounted\?"):
        backups.made_folder(settings(tmp_path, f"folder = {other}\n"))
    assert not other.exists()


def test_a_name_has_host_and_utc_whatever_the_season(tmp_path: Path) -> None:
    assert backups.next_path(tmp_path, OWN, START + 0.9) == tmp_path / f"powerpi-{HOST}-01234567-20231114T221320Z.zip"
    # the hour that comes twice in Berlin, 2023-10-29 02:30
    twice = [backups.next_path(tmp_path, OWN, time).name for time in (1_698_539_400, 1_698_543_000)]
    assert [name[-20:] for name in twice] == ["20231029T003000Z.zip", "20231029T013000Z.zip"]
    assert twice == sorted(twice)


def test_the_newest_are_kept_and_the_oldest_go(tmp_path: Path) -> None:
    paths = [made(tmp_path, number) for number in range(1, 6)]
    assert keep_newest(paths[-1], 3) == [paths[1], paths[0]]
    assert names(tmp_path) == [path.name for path in paths[2:]]


def test_the_one_just_made_stays_though_a_wrong_clock_made_it_the_oldest(tmp_path: Path) -> None:
    first, *rest = [made(tmp_path, number) for number in range(1, 4)]
    assert keep_newest(first, 2) == [rest[0]]
    assert keep_newest(first, 1) == [rest[1]]
    assert names(tmp_path) == [first.name]


def test_what_is_not_ours_by_name_and_content_stays(tmp_path: Path) -> None:
    newest = made(tmp_path, 9)
    kept = {
        made(tmp_path, 1, OTHER).name,  # of another machine with this one's name
        made(tmp_path, 2, OTHER, f"powerpi-{HOST}-{OWN[:8]}-20231102T000000Z.zip").name,
        made(tmp_path, 3, name="holiday.zip").name,
        made(tmp_path, 3, name=f"powerpi-{HOST}-{OWN[:8]}-20231103T000000Z.zip.old").name,
        newest.name,
    }
    damaged = made(tmp_path, 4)
    damaged.write_bytes(damaged.read_bytes()[:-10])
    (tmp_path / f"powerpi-{HOST}-{OWN[:8]}-20231105T000000Z.zip").write_text("not a zip")
    (tmp_path / f"powerpi-{HOST}-{OWN[:8]}-20231106T000000Z.zip").mkdir()
    (tmp_path / f"powerpi-{HOST}-{OWN[:8]}-20231107T000000Z.zip").symlink_to(made(tmp_path, 3, name="holiday2.zip"))
    before = names(tmp_path)
    assert ours(tmp_path) == [newest]
    assert keep_newest(newest, 1) == []
    assert names(tmp_path) == before
    assert kept < set(before)


def test_damaged_ones_do_not_count_as_kept(tmp_path: Path) -> None:
    good, bad, worse, newest = (made(tmp_path, number) for number in (1, 2, 3, 4))
    bad.write_bytes(b"")
    content = bytearray(worse.read_bytes())
    content[-1] ^= 1  # its head can be read
    worse.write_bytes(content)
    assert keep_newest(newest, 2) == []
    assert good.exists()


def test_nor_do_those_without_all_rows_of_which_as_many_are_kept(tmp_path: Path) -> None:
    good = made(tmp_path, 1)
    parts = [made(tmp_path, number, whole=False) for number in (2, 3, 4)]
    assert keep_newest(parts[-1], 2) == [parts[0]]
    newest = made(tmp_path, 5)
    assert keep_newest(newest, 2) == []
    assert names(tmp_path) == [path.name for path in (good, *parts[1:], newest)]


def test_those_of_a_clock_that_was_ahead_go_first(tmp_path: Path) -> None:
    ahead = [made(tmp_path, 20 + number, time=2_000_000_000 + number) for number in (1, 2)]
    paths = [made(tmp_path, number) for number in (1, 2, 3)]
    assert ours(tmp_path) == [*paths[::-1], *ahead[::-1]]
    assert ours(tmp_path, 2_000_000_001.0) == [*ahead[::-1], *paths[::-1]]
    assert keep_newest(paths[-1], 2) == [paths[0], *ahead[::-1]]


def test_a_machine_may_be_called_otherwise_meanwhile(tmp_path: Path) -> None:
    paths = [made(tmp_path, 1, host="old-name"), made(tmp_path, 2)]
    assert keep_newest(paths[1], 1) == [paths[0]]


def test_what_killed_ones_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    left = tmp_path / f"powerpi-{HOST}-{OWN[:8]}-20231101T000000Z.zip.new"
    left.write_bytes(b"half")
    (tmp_path / "letter.new").write_bytes(b"half")
    (tmp_path / f"powerpi-{HOST}-{OTHER[:8]}-20231101T000000Z.zip.new").write_bytes(b"half")
    os.mkfifo(tmp_path / f"powerpi-{HOST}-{OWN[:8]}-20231103T000000Z.zip.new")  # nobody waits for who writes
    with NewFile(tmp_path / f"powerpi-{HOST}-{OWN[:8]}-20231102T000000Z.zip"):
        backups.sweep(tmp_path, OWN)
        assert names(tmp_path) == sorted(
            [
                "letter.new",
                f"powerpi-{HOST}-{OWN[:8]}-20231102T000000Z.zip.new",
                f"powerpi-{HOST}-{OWN[:8]}-20231103T000000Z.zip.new",
                f"powerpi-{HOST}-{OTHER[:8]}-20231101T000000Z.zip.new",
            ]
        )


def test_a_folder_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="none: No such file"):
        ours(tmp_path / "none")
    backups.sweep(tmp_path / "none", OWN)
