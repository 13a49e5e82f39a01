"""The state folder: one process alone, also after somebody took it away."""

from __future__ import annotations

import fcntl
from pathlib import Path
from threading import Lock

import pytest

from powerpi.errors import BusyError, StoreError
from powerpi.folder import held, is_locked, locked_folder, storing


def test_a_second_process_is_refused_with_one_sentence(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path / "state"),
        pytest.raises(StoreError, match="in use by another powerpi"),
        locked_folder(tmp_path / "state"),
    ):
        pytest.fail("both have the folder")
    with locked_folder(tmp_path / "state"), (tmp_path / "state" / "lock").open("w") as file, pytest.raises(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"), locked_folder(tmp_path / "file" / "state"):
        pass


def test_whether_it_is_held_can_be_asked_and_makes_nothing(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    with locked_folder(tmp_path / "state"):
        assert is_locked(tmp_path / "state")
    assert not is_locked(tmp_path / "state")


def test_a_folder_that_vanished_is_made_and_held_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with locked_folder(state) as lock:
        state.rename(tmp_path / "elsewhere")
        assert not is_locked(state)
        lock.hold()
        assert is_locked(state)
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        lock.hold()
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
    assert not is_locked(state)


def test_a_folder_that_another_process_made_in_its_place_is_not_written_to(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with locked_folder(state) as lock:
        state.rename(tmp_path / "elsewhere")
        with locked_folder(state), pytest.raises(StoreError, match="in use by another powerpi"):
            lock.hold()
        (tmp_path / "state" / "lock").unlink()
        state.rmdir()
        (tmp_path / "elsewhere").rename(state)
        lock.hold()  # it is back
        assert is_locked(state)


def test_a_disk_that_is_not_mounted_gets_no_folder_on_another_one(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    with locked_folder(tmp_path / "stick" / "state") as lock:
        (tmp_path / "stick").rename(tmp_path / "pulled")
        with pytest.raises(StoreError, match="cannot be used: No such file"):
            lock.hold()
        assert not (tmp_path / "stick").exists()


def test_errors_of_the_system_name_their_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"house\.rrd: No such file"), storing(tmp_path / "other"):
        (tmp_path / "house.rrd").read_text()


def test_a_lock_that_another_thread_keeps_is_not_waited_for_without_end() -> None:
    lock = Lock()
    with (
        held(lock, 0.01, "the file is being drawn"),
        pytest.raises(BusyError, match=r"^the file is being drawn for longer than 0\.01 s$"),
        held(lock, 0.01, "the file is being drawn"),
    ):
        pytest.fail("both have the lock")
    assert not lock.locked()
