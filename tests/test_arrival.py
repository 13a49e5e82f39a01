"""Whether the page answers, with real sockets, and the addresses that are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from powerpi import arrival


class Refusing(BaseHTTPRequestHandler):
    """A page that asks for a password: it is there all the same."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_a_page_that_answers_anything_is_there(port: int) -> None:
    assert arrival.answers(("127.0.0.1", port))
    assert arrival.answers(("0.0.0.0", port))


def test_a_port_without_a_page_does_not_answer() -> None:
    assert not arrival.answers(("127.0.0.1", free_port()))


def test_it_waits_as_long_as_it_is_told_and_no_longer() -> None:
    times = iter([0.0, 1.0, 2.0, 3.0, 4.0])
    slept: list[float] = []
    assert not arrival.wait(("127.0.0.1", free_port()), 2.5, lambda: next(times), slept.append)
    assert slept == [arrival.PAUSE_SECONDS] * 2  # looked at 1 s, 2 s and, too late, 3 s


def test_it_does_not_wait_for_what_is_there(port: int) -> None:
    assert arrival.wait(("127.0.0.1", port), 0.0)


def test_an_address_that_is_listened_to_alone_is_the_one() -> None:
    assert arrival.addresses(("192.168.1.5", 81)) == ["http://192.168.1.5:81/"]
    assert arrival.addresses(("fd00::5", 81)) == ["http://[fd00::5]:81/"]


@pytest.mark.parametrize("listen", ["0.0.0.0", "::"])
def test_a_name_is_told_where_somebody_answers_for_it(tmp_path: Path, listen: str) -> None:
    there = tmp_path / "socket"
    without = arrival.addresses((listen, 8080), "pi", there)
    there.touch()
    assert arrival.addresses((listen, 8080), "pi", there) == ["http://pi.local:8080/", *without]
    assert without
    assert all(address.endswith(":8080/") for address in without)


def test_a_machine_without_a_way_out_tells_the_addresses_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with_way = arrival.own_addresses()
    monkeypatch.setattr(arrival, "ELSEWHERE", ("255.255.255.255", 9))  # broadcast: refused without asking anybody
    without = arrival.own_addresses()
    assert set(with_way) <= set(without)
    assert "127.0.0.1" not in without


def test_a_machine_without_network_has_its_own_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(arrival, "ELSEWHERE", ("255.255.255.255", 9))
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    assert arrival.own_addresses() == []
    assert arrival.addresses(("0.0.0.0", 8080), "pi", tmp_path / "none") == ["http://127.0.0.1:8080/"]
