"""A real waitress on a real socket."""

from __future__ import annotations

import errno
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from powerpi.errors import ServerError
from powerpi.server import listening_socket, open_server, page_address


def hello(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_pages_are_served_at_the_address_that_is_told(host: str) -> None:
    try:
        listening = listening_socket(host, 0)
    except ServerError as error:
        absent = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, socket.EAI_NONAME)
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in absent:
            pytest.skip(f"this machine has no address {host}")
        raise
    server = open_server(hello, listening)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with urllib.request.urlopen(page_address(listening), timeout=10) as answer:
        assert answer.read() == b"hello"
        assert "Server" not in answer.headers
    server.close()
    thread.join(10)


def test_every_address_of_the_machine_is_told_by_its_name() -> None:
    with listening_socket("0.0.0.0", 0) as listening:
        port = listening.getsockname()[1]
        assert page_address(listening) == f"http://{socket.gethostname()}:{port}/"


def test_a_port_in_use_is_said_with_what_to_do() -> None:
    with listening_socket("127.0.0.1", 0) as taken, pytest.raises(ServerError, match="choose another port"):
        listening_socket("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "999.1.1.1"])
def test_an_address_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(ServerError, match=f"cannot be served at {host} port 80: [A-Z]"):
        listening_socket(host, 80)
