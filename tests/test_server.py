"""A real waitress on a real socket, and clients that are slow, many, or mean."""

from __future__ import annotations

import errno
import select
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from waitress import wasyncore
from waitress.adjustments import Adjustments

from powerpi import server
from powerpi.errors import ServerError
from powerpi.guard import PAGE_HEADERS
from powerpi.server import FairQueue, OneRequest, listening_socket, most_in_the_way, open_server, page_address
from powerpi.wire import API, PACKED_BYTES

LARGE = b"x" * 8_000_000  # more than the kernel takes for a client that does not read
ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hello(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def large(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(len(LARGE)))])
    return [LARGE]


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers with the path and the length of the body."""
    said = f"{environ['PATH_INFO']} {len(environ['wsgi.input'].read())}".encode()
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]


class Running(NamedTuple):
    web: Any
    port: int

    def client(self, source: str = "127.0.0.1", buffer_bytes: int | None = None) -> socket.socket:
        made = socket.socket()
        made.settimeout(10)
        if buffer_bytes:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        made.bind((source, 0))
        made.connect(("127.0.0.1", self.port))
        return made

    def until(self, count: int) -> float:
        """Wait until so many connections are left; seconds that it took."""
        began = time.monotonic()
        while len(self.web.active_channels) != count:
            assert time.monotonic() < began + 10, len(self.web.active_channels)
            time.sleep(0.01)
        return time.monotonic() - began


@contextmanager
def serving(pages: Any, listening: socket.socket | None = None, receives: bool = False) -> Iterator[Running]:
    """The pages on a server of their own; at the end it is stopped in its own thread."""
    listening = listening or listening_socket("127.0.0.1", 0)
    web = open_server(pages, listening, receives=receives)
    thread = threading.Thread(target=web.run)
    thread.start()
    try:
        yield Running(web, listening.getsockname()[1])
    finally:
        with suppress(OSError):  # it may be closed before the trigger is pulled for this
            web.trigger.pull_trigger(lambda: wasyncore.close_all(web._map))  # from outside the loop would stumble
        thread.join(10)
        web.task_dispatcher.shutdown()
    assert not thread.is_alive()


def until_closed(client: socket.socket) -> bytes:
    """All that comes; where the server threw the connection away, that is the end too."""
    got = b""
    try:
        while part := client.recv(65536):
            got += part
    except ConnectionError:
        pass
    return got


def answer(client: socket.socket, end: bytes = b"hello") -> bytes:
    """What comes until `end`."""
    got = b""
    while not got.endswith(end):
        part = client.recv(65536)
        assert part, got
        got += part
    return got


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> float:
    """Clients have this much time instead of the 10 s."""
    monkeypatch.setattr(server, "PATIENCE_SECONDS", 1.0)
    return 1.0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_pages_are_served_at_the_address_that_is_told(host: str) -> None:
    try:
        listening = listening_socket(host, 0)
    except ServerError as error:
        absent = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, socket.EAI_NONAME)
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in absent:
            pytest.skip(f"this machine has no address {host}")
        raise
    with serving(hello, listening), urllib.request.urlopen(page_address(listening), timeout=10) as answered:
        assert answered.read() == b"hello"
        assert "Server" not in answered.headers


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


# ---------------------------------------------------------------- one request at a time


def test_requests_sent_all_at_once_are_answered_in_their_order() -> None:
    asked = b"".join(f"GET /{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for number in range(300))
    with serving(echo) as running, running.client() as client:
        client.sendall(asked)
        got = answer(client, b"/299 0")
    assert [part.partition(b"\r\n\r\n")[2] for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"/%d 0" % number for number in range(300)
    ]


def test_what_follows_a_request_is_kept_wherever_it_is_cut() -> None:
    asked = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n\x16yz"
    for cut in range(1, len(asked) + 1):
        request = OneRequest(Adjustments(clear_untrusted_proxy_headers=True))
        assert request.received(asked[:cut]) == cut
        if cut < len(asked):
            assert not request.completed
            assert request.received(asked[cut:] + b"GET /") == len(asked) - cut + 5
            assert request.rest == b"GET /"
        assert request.completed
        assert request.error is None
        assert request.get_body_stream().read() == b"\x16yz"


def test_what_was_never_understood_can_be_logged_by_waitress() -> None:
    request = OneRequest(Adjustments(clear_untrusted_proxy_headers=True))
    request.received(b"\x16\x03\x01")
    assert (request.completed, request.path, request.error.code) == (True, "", 400)


def test_a_request_cut_anywhere_is_understood_like_a_whole_one() -> None:
    asked = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n\x16yzGET /b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(echo) as running:
        for cut in range(len(asked)):
            with running.client() as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(asked[:cut])
                client.sendall(asked[cut:])
                got = answer(client, b"/b 0")
                assert b"\r\n\r\n/a 3HTTP" in got


def test_no_answer_is_made_before_the_last_one_was_taken() -> None:
    """180 requests in one packet and nothing read: one answer is in memory, no thread waits."""
    made = []

    def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        made.append(environ["PATH_INFO"])
        return large(environ, start_response)

    with serving(counted) as running, running.client(buffer_bytes=4096) as mean:
        mean.sendall(ASKED * 180)
        with running.client("127.0.0.2") as other:
            other.sendall(ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert until_closed(other).endswith(LARGE)
        [channel] = running.web.active_channels.values()
        assert 0 < channel.total_outbufs_len <= len(LARGE) + 1000
        assert running.web.task_dispatcher.active_count == 0
        assert len(made) == 2


# ---------------------------------------------------------------- patience


def test_a_client_that_takes_nothing_is_given_up_and_nothing_is_kept_for_it(hasty: float) -> None:
    with serving(large) as running, running.client(buffer_bytes=4096) as mean:
        mean.sendall(ASKED * 180)
        running.until(1)
        assert hasty - 0.2 < running.until(0) < hasty + 2
        assert len(until_closed(mean)) < len(LARGE)
        assert sockets_of(running.port) == {LISTEN}


def test_the_kernel_keeps_an_answer_for_a_short_time_only(hasty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits into its buffers it would send for minutes to a client that takes nothing."""
    monkeypatch.setattr(server, "GONE_SECONDS", 1.0)

    def small(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "300000")])
        return [LARGE[:300_000]]

    with serving(small) as running, running.client(buffer_bytes=4096) as mean:
        mean.sendall(ASKED)
        running.until(1)
        running.until(0)
        began = time.monotonic()
        while sockets_of(running.port) != {LISTEN}:
            assert time.monotonic() < began + 8
            time.sleep(0.1)


def test_a_client_that_is_slow_but_takes_enough_gets_everything(hasty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # some 2 MB each quarter of a second: half of the 8 MB are not out after the first second
    monkeypatch.setattr(server, "LEAST_BYTES", 10_000)
    with serving(large) as running, running.client(buffer_bytes=4096) as slow:
        slow.sendall(ASKED)
        began, got = time.monotonic(), 0
        while got < len(LARGE):
            time.sleep(0.05)
            for _ in range(200):
                got += len(slow.recv(1000))
        assert time.monotonic() - began > 2 * hasty


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc"])
def test_a_client_that_does_not_ask_to_the_end_is_given_up(hasty: float, sent: bytes) -> None:
    with serving(hello) as running, running.client() as idle:
        idle.sendall(sent)
        began = time.monotonic()
        assert until_closed(idle) == b""
        assert hasty - 0.2 < time.monotonic() - began < hasty + 2


def test_bytes_that_trickle_in_gain_no_time(hasty: float) -> None:
    with serving(hello) as running, running.client() as loris:
        began = time.monotonic()
        while not select.select([loris], [], [], 0.1)[0]:
            loris.sendall(b"G")
        assert until_closed(loris) == b""
        assert time.monotonic() - began < hasty + 2


def test_a_client_that_asks_again_and_again_is_kept(hasty: float) -> None:
    with serving(hello) as running, running.client() as client:
        began = time.monotonic()
        while time.monotonic() < began + 2.5 * hasty:
            client.sendall(ASKED)
            answer(client)
            time.sleep(0.3)


def test_a_client_waits_for_a_slow_answer_as_long_as_it_takes(hasty: float) -> None:
    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        time.sleep(3 * hasty)
        return hello(environ, start_response)

    with serving(slow) as running, running.client() as client:
        client.sendall(ASKED)
        answer(client)
        time.sleep(0.5 * hasty)  # and its time for the next request begins afterwards
        client.sendall(ASKED)
        answer(client)


def test_a_clock_that_is_stepped_back_does_not_make_waiting_clients_immortal(
    hasty: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(hello) as running, running.client() as idle:
        running.until(1)
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() - 86400 * 365)
        assert until_closed(idle) == b""


# ---------------------------------------------------------------- larger bodies, where a mirror receives

BODY = b"x" * 200_000
RECEIVED = API + "house"


def posting(path: str = RECEIVED, length: int = len(BODY), login: str = "Authorization: Basic eDp5\r\n") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{login}Content-Length: {length}\r\n\r\n".encode()


def test_a_mirror_takes_a_larger_body(hasty: float) -> None:
    with serving(echo, receives=True) as running, running.client() as client:
        for body in (BODY, b"", bytes(PACKED_BYTES), BODY):
            client.sendall(posting(length=len(body)) + body)
            assert f"{RECEIVED} {len(body)}".encode() in answer(client, f" {len(body)}".encode())


SMALL = [
    (True, posting("/")), (True, posting("/get.php")), (True, posting("/api/v1/mirror")), (True, posting(login="")),
    (True, posting(login="Authorisation: Basic eDp5\r\n")), (True, posting("/x" + RECEIVED)), (False, posting()),
    (True, posting(length=PACKED_BYTES + 1)), (True, posting(length=300_000_000)), (True, posting(length=10**30)),
]  # fmt: skip


@pytest.mark.parametrize(("receives", "asked"), SMALL, ids=[str(asked[5:90]) for _, asked in SMALL])
def test_nothing_else_may_be_larger(receives: bool, asked: bytes) -> None:
    """Not even begun: who says so in the headers is refused before anything is stored."""
    with serving(echo, receives=receives) as running, running.client() as client:
        client.sendall(asked)
        assert until_closed(client).startswith(b"HTTP/1.1 413 ")
        running.until(0)


def test_a_body_in_chunks_is_given_up_where_it_grows_too_large(hasty: float) -> None:
    asked = posting().replace(f"Content-Length: {len(BODY)}".encode(), b"Transfer-Encoding: chunked")
    chunk = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    with serving(echo, receives=True) as running:
        with running.client() as client:
            client.sendall(asked + chunk * 5 + b"0\r\n\r\n")
            assert answer(client, b" %d" % (5 * 0x8000))
        with running.client() as client:
            client.sendall(asked)
            sent = 0
            with suppress(ConnectionError):
                while sent < 300_000_000:
                    client.sendall(chunk)
                    sent += len(chunk)
            assert sent < 20_000_000  # what the kernel's buffers take


def test_a_sender_that_is_slow_but_keeps_sending_is_not_hung_up_on(
    hasty: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A piece in time each time, and all of it in several times the patience."""
    monkeypatch.setattr(server, "LEAST_SENT_BYTES", 1000)
    with serving(echo, receives=True) as running, running.client() as slow:
        began = time.monotonic()
        slow.sendall(posting(length=12_000))
        for _ in range(12):
            time.sleep(0.25 * hasty)
            slow.sendall(BODY[:1000])
        assert answer(slow, b"12000")
        assert time.monotonic() - began > 2.5 * hasty


def test_a_sender_that_dawdles_is_hung_up_on(hasty: float) -> None:
    """Less than a piece in all that time, however often it sends a byte."""
    with serving(echo, receives=True) as running, running.client() as loris:
        loris.sendall(posting())
        began = time.monotonic()
        while not select.select([loris], [], [], 0.1)[0]:
            loris.sendall(b"x" * 100)
        assert until_closed(loris) == b""
        assert time.monotonic() - began < hasty + 2
        running.until(0)


# ---------------------------------------------------------------- many


def test_where_it_is_crowded_the_address_with_most_waiting_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MANY_CONNECTIONS", 20)
    with serving(hello) as running, ExitStack() as stack:
        good = stack.enter_context(running.client("127.0.0.2"))
        running.until(1)
        mean = [stack.enter_context(running.client()) for _ in range(100)]
        last = stack.enter_context(running.client("127.0.0.3"))
        for client in (good, last, mean[-1]):
            client.sendall(ASKED)
            assert answer(client)
        assert until_closed(mean[0]) == b""
        assert len(running.web.active_channels) <= 20


def test_where_it_is_crowded_a_connection_ends_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MANY_CONNECTIONS", 0)
    with serving(hello) as running, running.client() as client:
        client.sendall(ASKED * 2)
        got = until_closed(client)
        assert got.count(b"hello") == 1
        assert b"\r\nConnection: close\r\n" in got


class Waiting(NamedTuple):
    """As much of a connection as is looked at."""

    name: str
    addr: tuple[str, int]
    waiting_since: float
    requests: tuple[str, ...] = ()
    will_close: bool = False


def test_nobody_is_in_the_way_while_all_are_being_served() -> None:
    assert most_in_the_way([]) is None
    served: Any = [Waiting("a", ("10.0.0.1", 1), 1.0, ("GET",)), Waiting("b", ("10.0.0.1", 2), 1.0, will_close=True)]
    assert most_in_the_way(served) is None


def test_connections_that_are_being_served_count_too() -> None:
    """A newcomer is not thrown out because all of the crowd happen to be served at that moment."""
    crowd = [Waiting("served", ("10.0.0.1", port), 1.0, ("GET",)) for port in range(5)]
    connections: Any = [
        *crowd,
        Waiting("newcomer", ("10.0.0.2", 1), 2.0),
        Waiting("of the crowd", ("10.0.0.1", 9), 3.0),
    ]
    victim: Any = most_in_the_way(connections)
    assert victim.name == "of the crowd"


def test_of_the_address_with_most_the_one_that_waits_for_longest_goes() -> None:
    connections: Any = [
        Waiting("old and alone", ("10.0.0.2", 1), 1.0),
        Waiting("old but served", ("10.0.0.1", 1), 2.0, ("GET",)),
        Waiting("young", ("10.0.0.1", 2), 5.0),
        Waiting("oldest of many", ("10.0.0.1", 3), 4.0),
    ]
    victim: Any = most_in_the_way(connections)
    assert victim.name == "oldest of many"


def test_addresses_take_turns_for_a_thread() -> None:
    queue = FairQueue()
    for name, host in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")):
        waiting: Any = Waiting(name, (host, 1), 0.0)
        queue.append(waiting)
    assert len(queue) == 6
    order: list[Any] = [queue.popleft() for _ in range(6)]
    assert [one.name for one in order] == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert not queue


def test_one_who_asks_for_much_does_not_keep_others_waiting() -> None:
    """40 requests of 0.2 s from one address take 2 s on four threads; another address waits for one turn."""

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        time.sleep(0.2)
        return hello(environ, start_response)

    with serving(slow) as running, ExitStack() as stack:
        greedy = [stack.enter_context(running.client()) for _ in range(40)]
        for client in greedy:
            client.sendall(ASKED)
        running.until(40)
        with running.client("127.0.0.2") as other:
            began = time.monotonic()
            other.sendall(ASKED)
            answer(other)
            assert time.monotonic() - began < 1
        for client in greedy:
            answer(client)


# ---------------------------------------------------------------- what is no request

REFUSED = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a browser's https
    (b"GET http://[/ HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"get / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nContent-Length: 300000000\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nContent-Length: 300000000\r\nExpect: 100-continue\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"a" * 4096 + b"\r\n", 413),
    (b"GET / HTTP/1.1\r\nA: " + b"a" * 16384, 431),
    (b"GET / HTTP/1.1\r\nA: " + b"a" * 40000 + b"\r\n\r\n", 431),
    (b"GET /" + b"a" * 16384, 431),
]


@pytest.mark.parametrize(("asked", "status"), REFUSED, ids=[str(asked[:45]) for asked, _ in REFUSED])
def test_what_waitress_refuses_is_answered_with_a_sentence_and_the_security_headers(asked: bytes, status: int) -> None:
    with serving(hello) as running, running.client() as client:
        client.sendall(asked)
        got = b"".join(iter(lambda: client.recv(65536), b""))  # a reset connection would have lost it
    head, _, body = got.decode().partition("\r\n\r\n")
    first, *headers = head.split("\r\n")
    assert int(first.split()[1]) == status
    assert body.endswith(".\n")
    assert (body.count("\n"), "waitress" in body) == (1, False)
    expected = {f"{name}: {value}" for name, value in PAGE_HEADERS} | {"Connection: close", "Cache-Control: no-store"}
    assert expected <= set(headers)
    assert len(headers) == len({header.partition(":")[0] for header in headers}), "a header is given twice"


def test_a_request_that_fails_in_waitress_is_answered_with_a_sentence_too() -> None:
    def broken(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError("boom")

    with serving(broken) as running, running.client() as client:
        client.sendall(ASKED)
        head, _, body = until_closed(client).decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 500 ")
    assert "Content-Security-Policy" in head
    assert body == "PowerPi failed; its log says why.\n"


def test_no_exception_ends_a_thread_that_answers() -> None:
    asked: list[object] = []
    failing = 8  # twice as many as there are threads

    def broken(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked.append(environ)
        if len(asked) <= failing:
            raise SystemExit
        return hello(environ, start_response)

    with serving(broken) as running, ExitStack() as clients:
        for _ in range(failing):
            clients.enter_context(running.client()).sendall(ASKED)
        client = clients.enter_context(running.client())
        client.sendall(ASKED)
        answer(client)


def test_clients_that_reset_their_connection_leave_the_server_as_it_is() -> None:
    with serving(hello) as running:
        for sent in (b"", ASKED, b"\x16\x03", b"GET / HT"):
            for _ in range(25):
                client = running.client()
                client.sendall(sent)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
        with running.client() as client:
            client.sendall(ASKED)
            answer(client)
        running.until(0)


LISTEN = "0A"  # <net/tcp_states.h>


def sockets_of(port: int) -> set[str]:
    """The states of the server's ends of its connections, and of its listening socket; see proc(5), net/tcp."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {line[3] for line in lines if int(line[1].partition(":")[2], 16) == port}
