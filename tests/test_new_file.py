"""A file that comes into being at once, or not at all: kills, full disks, others who write, and whose it is."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from powerpi import new_file
from powerpi.errors import StoreError
from powerpi.new_file import NewFile

TOP = Path(__file__).parent.parent
NOBODY = 65534

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_has_its_name_when_all_of_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with NewFile(path) as new:
        new.file.write(b"half")
        new.file.flush()
        assert names(tmp_path) == ["a.zip.new"]
    assert names(tmp_path) == ["a.zip"]
    assert path.read_bytes() == b"half"


@pytest.mark.parametrize("umask", [0, 0o077])
def test_its_group_may_read_it_and_others_may_not(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with NewFile(tmp_path / "a.zip"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.zip").stat().st_mode) == 0o640


def test_after_an_exception_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyError), NewFile(tmp_path / "a.zip") as new:
        new.file.write(b"half")
        raise KeyError
    assert names(tmp_path) == []


def test_a_file_that_is_there_stays_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"old")
    with pytest.raises(StoreError, match=r"a.zip exists already and was left as it is; --force takes its place"):
        NewFile(path)
    assert (names(tmp_path), path.read_bytes()) == (["a.zip"], b"old")
    with pytest.raises(KeyError), NewFile(path, force=True) as new:
        new.file.write(b"half")
        raise KeyError
    assert (names(tmp_path), path.read_bytes()) == (["a.zip"], b"old")
    with NewFile(path, force=True) as new:
        new.file.write(b"new")
    assert (names(tmp_path), path.read_bytes()) == (["a.zip"], b"new")


def test_one_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with pytest.raises(StoreError, match="exists already"), NewFile(path):
        path.write_bytes(b"other")
    assert (names(tmp_path), path.read_bytes()) == (["a.zip"], b"other")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder; wanted the name of a file"):
        NewFile(tmp_path, force=True)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none/a.zip.new: No such file or directory"):
        NewFile(tmp_path / "none" / "a.zip")


def test_it_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.zip.new").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match=r"a.zip.new"):
        NewFile(tmp_path / "a.zip")
    assert names(tmp_path) == ["a.zip.new"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_nor_into_what_is_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.zip.new")
    said = r"a.zip.new is in the way, and is no file: wanted it removed"
    with pytest.raises(StoreError, match=said):  # at once: nobody waits for who reads the other end
        NewFile(tmp_path / "a.zip")
    with pytest.raises(StoreError, match=said):
        new_file.remove_stale(tmp_path / "a.zip.new")
    assert names(tmp_path) == ["a.zip.new"]


def test_nobody_who_had_what_was_left_open_sees_the_new_one(tmp_path: Path) -> None:
    left, other = tmp_path / "a.zip.new", tmp_path / "other"
    left.write_bytes(b"left by a process that was killed")
    left.chmod(0o666)
    os.link(left, other)
    with NewFile(tmp_path / "a.zip") as new:
        new.file.write(b"new")
    assert other.read_bytes() == b"left by a process that was killed"
    assert stat.S_IMODE((tmp_path / "a.zip").stat().st_mode) == 0o640
    assert (tmp_path / "a.zip").read_bytes() == b"new"


@root
def test_what_another_user_left_does_not_stay_that_users(tmp_path: Path) -> None:
    left = tmp_path / "a.zip.new"
    left.write_bytes(b"left")
    os.chown(left, NOBODY, NOBODY)
    with NewFile(tmp_path / "a.zip"):
        assert left.stat().st_uid == 0


def test_two_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with NewFile(path) as new:
        new.file.write(b"first")
        with pytest.raises(StoreError, match="is being written by another process"):
            NewFile(path)
        assert not new_file.remove_stale(tmp_path / "a.zip.new")
    assert path.read_bytes() == b"first"


def test_what_a_killed_process_left_is_taken_over_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    code = (
        "import sys, time; from pathlib import Path; from powerpi.new_file import NewFile\n"
        "new = NewFile(Path(sys.argv[1])); new.file.write(b'x' * 100_000); new.file.flush(); print(1, flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], cwd=TOP, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        process.stdout.readline()
        assert not new_file.remove_stale(tmp_path / "a.zip.new")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert names(tmp_path) == ["a.zip.new"]
    with NewFile(path) as new:
        new.file.write(b"short")
    assert path.read_bytes() == b"short"
    (tmp_path / "a.zip.new").write_bytes(b"left")
    assert new_file.remove_stale(tmp_path / "a.zip.new")
    assert names(tmp_path) == ["a.zip"]


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"), NewFile(tmp_path / "a.zip") as new:
            new.file.write(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_one_that_is_full_at_the_very_end_does_neither(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
    try:
        with pytest.raises(StoreError, match=r"a.zip: File too large"), NewFile(tmp_path / "a.zip") as new:
            new.file.write(bytes(100))  # in memory until it is flushed
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_a_link_stays_and_leads_to_the_place(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real.zip", tmp_path / "a.zip"
    link.symlink_to(real)
    for content in (b"first", b"second"):  # at first it leads to nothing yet
        with NewFile(link, force=True) as new:
            new.file.write(content)
        assert link.is_symlink()
        assert (real.read_bytes(), names(real.parent)) == (content, ["real.zip"])
    assert names(tmp_path) == ["a.zip", "elsewhere"]


def test_a_link_that_leads_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(StoreError, match="Too many levels of symbolic links"):
        NewFile(tmp_path / "a", force=True)


def test_a_fifo_is_written_straight_into(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with NewFile(path, force=True) as new:
            new.file.write(b"all of it")
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
    assert path.is_fifo()
    assert names(tmp_path) == ["fifo"]


def test_a_device_stays_one() -> None:
    with NewFile(Path("/dev/null"), force=True) as new:
        new.file.write(b"gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(StoreError, match="/dev/full: No space left on device"), NewFile(Path("/dev/full"), True) as new:
        new.file.write(b"no room")
    assert Path("/dev/full").is_char_device()


def test_what_is_open_already_is_written_behind_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before ")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        with NewFile(Path(f"/dev/fd/{descriptor}"), force=True) as new:
            new.file.write(b"after")
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"before after"


def test_a_folder_that_is_closed_takes_none_not_even_through_a_link(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(state / "house.rrd")
    for path in (state / "house.rrd", tmp_path / "link", state / "below" / ".." / "new.csv"):
        with pytest.raises(StoreError, match=r"is in .*state, which is for PowerPi's own files alone"):
            NewFile(path, force=True, closed=state)
    assert names(state) == ["below"]
    with NewFile(state / "below" / "new.csv", closed=state):
        pass


@root
def test_root_makes_it_for_whom_the_folder_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    with NewFile(tmp_path / "a.zip"):
        pass
    made = (tmp_path / "a.zip").stat()
    assert (made.st_uid, made.st_gid) == (NOBODY, NOBODY)
    assert time.time() - made.st_mtime < 60
