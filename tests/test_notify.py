"""A real datagram socket listens as systemd does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from powerpi.notify import notifier, service_command


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name if request.param == "path" else "\0" + name)
        listening.settimeout(5)
        yield listening, name if request.param == "path" else "@" + name


def test_service_manager_hears_what_is_said(listener: tuple[socket.socket, str]) -> None:
    listening, address = listener
    notify = notifier({"NOTIFY_SOCKET": address})
    notify("READY=1")
    notify("WATCHDOG=1")
    assert [listening.recv(100), listening.recv(100)] == [b"READY=1", b"WATCHDOG=1"]


def test_without_a_service_manager_nothing_happens() -> None:
    assert notifier({})("READY=1") is None


def test_a_service_manager_that_is_gone_is_borne(tmp_path: Path) -> None:
    assert notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})("WATCHDOG=1") is None


def test_the_command_is_that_of_the_system_that_runs(tmp_path: Path) -> None:
    assert service_command("start", tmp_path) == "sudo systemctl start powerpi"
    assert service_command("stop", tmp_path / "none") == "sudo /etc/init.d/powerpi stop"
