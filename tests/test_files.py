"""Small files that survive a power cut, on a real disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from powerpi import files


def test_room_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "small"
    files.prepare(path, 4096)
    files.overwrite(path, b"kept")
    files.prepare(path, 4096)
    assert path.read_bytes() == b"kept".ljust(4096, b"\0")
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_blocks * 512 >= 4096  # not sparse: a full disk is no obstacle


def test_a_part_is_overwritten_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"one two three")
    files.overwrite(path, b"TWO", 4, wait=False)
    assert path.read_bytes() == b"one TWO three"


def test_whoever_reads_sees_the_old_or_the_new_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "small"
    texts = ["a" * 100_000, "b" * 50]
    files.replace(path, texts[0])
    done = threading.Event()
    seen = set()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reading = threading.Thread(target=read)
    reading.start()
    for number in range(50):
        files.replace(path, texts[number % 2])
    done.set()
    reading.join()
    assert seen <= set(texts)
    assert [entry.name for entry in tmp_path.iterdir()] == ["small"]


def test_a_replacement_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "small"
    files.replace(path, "old")
    (tmp_path / "small.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.replace(path, "new")
    assert path.read_text() == "old"


def test_files_set_aside_never_meet(tmp_path: Path) -> None:
    kept = []
    for number in range(3):
        (tmp_path / "small").write_text(str(number))
        kept.append(files.set_aside(tmp_path / "small", "damaged"))
    assert [path.read_text() for path in kept] == ["0", "1", "2"]
    assert all(path.name.startswith("small.damaged-") for path in kept)


def test_a_damaged_file_stays_in_use_until_the_new_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small"
    path.write_text("damaged")
    (tmp_path / "small.new").mkdir()
    with pytest.raises(OSError, match="directory"):  # as on a disk that is full
        files.rewrite(path, "new", damaged=True)
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["small"]
    (tmp_path / "small.new").rmdir()

    def killed(_: Path, __: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        files.rewrite(path, "new", damaged=True)
    assert path.read_text() == "damaged"
    files.rewrite(path, "new", damaged=True)
    assert path.read_text() == "new"
    assert {entry.read_text() for entry in tmp_path.glob("small.damaged-*")} == {"damaged"}


def test_lines_that_cannot_be_read_are_passed_over_and_told(tmp_path: Path) -> None:
    path = tmp_path / "small"

    def number(line: str) -> int | None:
        return int(line) if line.strip().isdecimal() else None

    assert files.decoded(path, number) == ([], False)
    path.write_text("1\n0\n")
    assert files.decoded(path, number) == ([1, 0], False)
    path.write_text("1\nx\n0\n")
    assert files.decoded(path, number) == ([1, 0], True)
    files.rewrite(path, "3\n", damaged=True)
    [aside] = tmp_path.glob("small.damaged-*")
    assert (path.read_text(), aside.read_text()) == ("3\n", "1\nx\n0\n")


def test_what_cannot_be_synced_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.sync_file(tmp_path / "nothing")
    with pytest.raises(NotADirectoryError):
        files.sync_folder(Path(os.devnull))


def test_a_new_file_is_whole_and_for_user_and_group(tmp_path: Path) -> None:
    path = tmp_path / "note"
    files.create(path, "all of it")
    assert path.read_text() == "all of it"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        files.create(path, "yours")
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]
