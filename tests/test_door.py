"""The door: a real socket in a real folder, a thread that answers, and callers of all kinds."""

from __future__ import annotations

import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from powerpi import door
from powerpi.door import Door, ask
from powerpi.errors import NobodyError, RefusedError, StoreError


def echo(request: Mapping[str, Any]) -> Any:
    return request["value"]


def refuse(request: Mapping[str, Any]) -> Any:
    raise StoreError(f"no room for {request['value']}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder whose path is longer than that of a socket may be."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    return long


@pytest.fixture
def opened(folder: Path) -> Iterator[Door]:
    deaths: list[BaseException] = []
    made = Door(folder, {"echo": echo, "refuse": refuse}, lambda _, death: deaths.append(death))
    made.start()
    try:
        wait_until((folder / "door").is_socket)
        yield made
    finally:
        made.stop()
        assert not deaths


def wait_until(true: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(500):
        if true():
            return
        tick.wait(0.01)
    raise AssertionError("it never came true")


def said(folder: Path, data: bytes) -> bytes:
    """What is answered to raw bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, door._short(folder) as path:
        caller.settimeout(10)
        caller.connect(str(path))
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: caller.recv(4096), b""))


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    "value", [1, None, "Küche", ["a", {"b": 2.5}], "x" * 60000], ids=["1", "None", "text", "list", "long"]
)
def test_what_is_asked_is_answered(folder: Path, value: Any) -> None:
    assert ask(folder, "echo", value=value) == value


@pytest.mark.usefixtures("opened")
def test_a_refusal_is_its_sentence(folder: Path) -> None:
    with pytest.raises(RefusedError, match=r"^no room for 5$"):
        ask(folder, "refuse", value=5)


def test_no_value_ends_the_thread_that_answers(folder: Path) -> None:
    deaths: list[BaseException] = []
    handlers = {"float": lambda request: float(request["value"]), "refuse": refuse}
    made = Door(folder, handlers, lambda _, death: deaths.append(death))
    made.start()
    try:
        wait_until((folder / "door").is_socket)
        with pytest.raises(RefusedError, match="too large"):
            ask(folder, "float", value=10**400)
        with pytest.raises(RefusedError, match="no room for \ud800"):  # half a character, which no text can hold
            ask(folder, "refuse", value="\ud800")
        assert ask(folder, "float", value=1) == 1
    finally:
        made.stop()
    assert not deaths


@pytest.mark.usefixtures("opened")
def test_what_is_not_known_or_incomplete_is_refused(folder: Path) -> None:
    with pytest.raises(RefusedError, match="does not know what is asked"):
        ask(folder, "dance")
    with pytest.raises(RefusedError, match="value"):
        ask(folder, "echo")


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("data", [b"", b"\n", b"{", b"[]\n", b"[" * 70000, b"\xff\n", b'{"ask": []}\n', b"x" * 70000])
def test_noise_is_refused_and_the_next_one_is_answered(folder: Path, data: bytes) -> None:
    try:
        assert "refusal" in json.loads(said(folder, data))
    except ConnectionError:  # hung up on in the middle of too much
        assert len(data) > door.MOST_BYTES
    assert ask(folder, "echo", value=1) == 1


@pytest.mark.usefixtures("opened")
def test_a_caller_who_says_nothing_is_hung_up_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REQUEST_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent, door._short(folder) as path:
        silent.connect(str(path))
        assert ask(folder, "echo", value=1) == 1


@pytest.mark.usefixtures("opened")
def test_a_caller_who_says_one_letter_after_the_other_is_hung_up_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "REQUEST_SECONDS", 0.3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow, door._short(folder) as path:
        slow.connect(str(path))

        def is_hung_up_on() -> bool:
            try:
                slow.sendall(b"x")
            except ConnectionError:
                return True
            return False

        wait_until(is_hung_up_on)
    assert ask(folder, "echo", value=1) == 1


def test_nobody_at_home_is_said(folder: Path) -> None:
    with pytest.raises(NobodyError, match="no PowerPi answers"):
        ask(folder, "echo", value=1)


def test_a_door_left_by_a_killed_process_is_replaced_and_one_that_is_stopped_is_gone(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left, door._short(folder) as path:
        left.bind(str(path))
    made = Door(folder, {"echo": echo}, lambda *_: None)
    made.start()
    try:
        assert ask_soon(folder) == 1
    finally:
        made.stop()
    assert not (folder / "door").exists()


def ask_soon(folder: Path) -> Any:
    answers: list[Any] = []

    def answered() -> bool:
        try:
            answers.append(ask(folder, "echo", value=1))
        except NobodyError:
            return False
        return True

    wait_until(answered)
    return answers[0]


def test_a_door_that_vanished_with_its_folder_is_made_again(opened: Door, folder: Path) -> None:
    (folder / "door").unlink()
    folder.rmdir()
    folder.mkdir()
    opened.wake()
    assert ask_soon(folder) == 1


def test_only_the_owner_and_the_group_may_come_in(opened: Door, folder: Path) -> None:
    assert opened.is_alive()
    wait_until(lambda: (folder / "door").stat().st_mode & 0o777 == 0o660)


def test_a_folder_that_refuses_is_no_reason_to_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Door(tmp_path / "none", {}, lambda *_: None)
    made.start()
    try:
        wait_until(lambda: "commands cannot talk to this PowerPi" in caplog.text)
        assert made.is_alive()
    finally:
        made.stop()


def test_an_answer_takes_no_more_memory_than_it_needs(folder: Path, opened: Door) -> None:
    tracemalloc.start()
    try:
        assert ask(folder, "echo", value="x" * 10_000) == "x" * 10_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
