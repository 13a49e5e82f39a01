"""Load and malice against a real daemon: 50 browsers without a pause, clients that are slow, many or mean.

The daemon is a process of its own with a year of history; pulses come at the fastest pace of S0 (see tests/bench/load).
"""

from __future__ import annotations

import http.client
import os
import re
import select
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from conftest import HandClock, Line
from test_server import serving

from powerpi.building import Fate, Parts, build
from powerpi.config import parse
from powerpi.front import application
from powerpi.guard import PAGE_HEADERS, PICTURE_HEADERS, guarded
from powerpi.periods import PERIODS
from tests.bench import load
from tests.bench.common import children, fill, memory_mb, server, share

ME = "127.0.0.1"
OTHER = "127.0.0.2"  # all of 127/8 is this machine: another client's address
PROMISED_SECONDS = 15.0
COUNTING_MB, DRAWING_MB = 90.0, 60.0


def test_fifty_browsers_for_a_minute_cost_no_pulse_no_time_and_little_memory(tmp_path: Path) -> None:
    seen = load.besieged(tmp_path, 60.0)
    for name, probe in (("at rest", seen.rest), ("50 browsers", seen.busy)):
        p50, p99 = (share(probe.answer_ms, part) for part in (0.5, 0.99))
        print(f"{load.FIGURES} {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms; {probe[1:]} MB")
    print(f"{seen.served.requests} answers; rows off by {max(seen.off_ms):.3f} ms at most")
    assert seen.served.failures == 0
    assert seen.served.requests > 500
    assert seen.sent >= 900  # 16.7 a second
    assert seen.counted == seen.sent
    assert len(seen.off_ms) >= 4
    assert max(seen.off_ms) < 50
    assert seen.busy.counting_mb < COUNTING_MB
    assert seen.busy.drawing_mb < DRAWING_MB


# ---------------------------------------------------------------- mean clients

ASKED = b"GET /house/%s.svg?width=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
PIPELINE = b"".join(ASKED % (period.encode(), 1400 + n) for n in range(20) for period in PERIODS)
Step = Callable[[socket.socket, int], object]


def post(length: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n"


def reads(client: socket.socket, size: int) -> None:
    """Read so much if it is there; OSError where the server hung up."""
    try:
        if not client.recv(size):
            raise ConnectionError
    except BlockingIOError:
        return


class Kind(NamedTuple):
    """A kind of mean client: how many, what it sends at once, and what it does every quarter of a second."""

    count: int
    sends: bytes = b""
    step: Step = lambda client, _: reads(client, 65536)


def every(steps: int, act: Step) -> Step:
    return lambda client, step: act(client, step) if step % steps == 0 else None


def greedy(client: socket.socket, step: int) -> None:
    client.send(ASKED % (b"year", 700 + (client.fileno() * 7 + step) % 1300))
    reads(client, 1 << 20)


KINDS = {
    "asks for 140 pictures and never reads": Kind(60, PIPELINE, lambda *_: None),
    "reads a byte a second": Kind(20, PIPELINE, every(4, lambda client, _: reads(client, 1))),
    "sends a byte in 5 s": Kind(20, b"GET / HT", every(20, lambda client, _: client.send(b"a"))),
    "says nothing": Kind(150),
    "has 300 connections": Kind(300, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "draws without a pause": Kind(30, b"", greedy),
    "never ends its headers": Kind(5, b"GET / HTTP/1.1\r\n", lambda client, _: client.send(b"A: b\r\n" * 500)),
    "sends a long body": Kind(5, post(b"Content-Length: 300000000"), lambda client, _: client.send(b"a" * 65536)),
    "sends an endless body": Kind(
        5, post(b"Transfer-Encoding: chunked"), lambda client, _: client.send(b"100\r\n" + b"a" * 256 + b"\r\n")
    ),
    "speaks HTTP/0.9": Kind(5, b"GET /\r\n\r\n"),
    "speaks TLS": Kind(5, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "sends garbage": Kind(5, b"", lambda client, _: client.send(os.urandom(512))),
}


class Mean:
    """One mean client that comes back whenever it is thrown out."""

    def __init__(self, kind: Kind, port: int) -> None:
        self._kind, self._port = kind, port
        self._client: socket.socket | None = None
        self.thrown_out = 0

    def act(self, step: int) -> None:
        """One quarter of a second of it."""
        if self._client is None:
            self._come()
            return
        try:
            if hung_up(self._client):
                raise ConnectionError
            self._kind.step(self._client, step)
        except BlockingIOError:
            return
        except OSError:
            self.thrown_out += 1
            self.go()

    def _come(self) -> None:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(1)
        try:
            client.connect((ME, self._port))
            client.setblocking(False)
            client.send(self._kind.sends)
            self._client = client
        except OSError:
            client.close()

    def go(self) -> None:
        if self._client:
            self._client.close()
        self._client = None


def hung_up(client: socket.socket) -> bool:
    """Whether the server has closed the connection, without reading what it sent."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))


class Attack(threading.Thread):
    """Mean clients of some kinds at once, until the end."""

    def __init__(self, port: int, kinds: Mapping[str, Kind]) -> None:
        super().__init__(daemon=True)
        self._clients = [(name, Mean(kind, port)) for name, kind in kinds.items() for _ in range(kind.count)]
        self._over = threading.Event()

    def run(self) -> None:
        step = 0
        while not self._over.wait(0.25):
            for _, client in self._clients:
                client.act(step)
            step += 1

    def end(self) -> None:
        self._over.set()
        self.join()
        for _, client in self._clients:
            client.go()

    def stands(self, names: Collection[str]) -> bool:
        """Whether there is a kind of client of which none has been thrown out yet."""
        return any(times == 0 for name, times in self.thrown_out().items() if name in names)

    def thrown_out(self) -> Counter[str]:
        """How often those of each kind were thrown out."""
        outs: Counter[str] = Counter()
        for name, client in self._clients:
            outs[name] += client.thrown_out
        return outs


def page_seconds(port: int, source: str, path: str = "/") -> float:
    """How long a client with a connection of its own waits for a whole page."""
    began = time.monotonic()
    client = http.client.HTTPConnection(ME, port, timeout=60, source_address=(source, 0))
    client.request("GET", path)
    answer = client.getresponse()
    body = answer.read()
    assert (answer.status, bool(body)) == (200, True)
    client.close()
    return time.monotonic() - began


class Daemon(NamedTuple):
    """A running daemon and what it has written so far."""

    pid: int
    port: int
    edges: Any  # a pipe, see capture.send_edges

    def written_bytes(self) -> int:
        """What it wrote to files and pipes (sockets do not count); see proc(5), io."""
        text = Path(f"/proc/{self.pid}/io").read_text()
        return int(re.search(r"wchar: (\d+)", text)[1])  # type: ignore[index]

    def memory(self) -> tuple[float, float]:
        """MB of the counting process and of its drawing child."""
        return memory_mb(self.pid, "Rss"), sum(memory_mb(child, "Rss") for child in children(self.pid))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    state = tmp_path_factory.mktemp("state")
    fill(state)
    arguments = ("serve", str(state), str(state / "edges.json"))
    with server("tests.bench.load", *arguments, stdin=subprocess.PIPE) as (process, port):
        yield Daemon(process.pid, port, process.stdin)


THE_SLOW = ("asks for 140 pictures and never reads", "reads a byte a second", "sends a byte in 5 s")
THE_MANY = ("says nothing", "has 300 connections")


@pytest.mark.parametrize(
    ("names", "seconds"), [(THE_SLOW, 13.0), (THE_MANY, 6.0), (tuple(KINDS), 8.0)], ids=["slow", "many", "all"]
)
def test_mean_clients_stop_neither_the_page_nor_the_counting(
    daemon: Daemon, names: Sequence[str], seconds: float
) -> None:
    """Another client gets the page, a picture and the figures all the time; the slow ones outlast the patience."""
    page_seconds(daemon.port, OTHER)
    before = load.counter(daemon.port)
    sent: list[int] = []
    pulses = threading.Thread(target=lambda: sent.append(load.send_edges(daemon.edges, seconds)))
    attack = Attack(daemon.port, {name: KINDS[name] for name in names})
    waits, memories = [], []
    # where all attack at once, those who ask for pictures wait behind the greedy ones
    patient = set(names) - set(THE_SLOW[:2] if len(names) == len(KINDS) else ())
    late = time.monotonic() + 60  # on a busy machine
    attack.start()
    pulses.start()
    try:
        while pulses.is_alive() or (attack.stands(patient) and time.monotonic() < late):
            waits += [page_seconds(daemon.port, OTHER, path) for path in ("/", "/house/day.png", load.FIGURES)]
            memories.append(memory_mb(daemon.pid, "Rss"))
            time.sleep(0.1)
    finally:
        pulses.join()
        attack.end()
    counted = load.counted_since(daemon.port, before, sent[0] // 2)
    print(f"pages within {max(waits):.2f} s, median {share(waits, 0.5):.3f} s; {max(memories):.1f} MB")
    print(attack.thrown_out())
    assert max(waits) < PROMISED_SECONDS
    assert counted == sent[0] // 2 >= 16 * seconds
    assert max(memories) < COUNTING_MB
    assert not attack.stands(patient)


@pytest.mark.parametrize("headers", ["Content-Length: 300000000", "Transfer-Encoding: chunked"])
def test_300_mb_are_refused_before_they_are_stored(daemon: Daemon, headers: str) -> None:
    page_seconds(daemon.port, ME)
    written, (memory, _) = daemon.written_bytes(), daemon.memory()
    with socket.create_connection((ME, daemon.port), 10) as client:
        client.sendall(post(headers.encode()))
        chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        sent, got = 0, b""
        try:
            while sent < 300_000_000:
                sent += client.send(chunk)
        except OSError:
            got = received(client)
    assert sent < 20_000_000  # what fits into the kernel's buffers
    assert got == b"" or got.startswith(b"HTTP/1.1 413 ")
    assert daemon.written_bytes() - written < 100_000
    assert daemon.memory()[0] - memory < 3


def received(client: socket.socket) -> bytes:
    """All that comes, up to the end of the connection."""
    got = b""
    try:
        while part := client.recv(65536):
            got += part
    except OSError:
        pass
    return got


# ---------------------------------------------------------------- foreign hosts, headers on every kind of answer


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


def asked(port: int, raw: bytes) -> Answer:
    """What comes for these bytes; no header is given twice."""
    with socket.create_connection((ME, port), 20) as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        head, _, body = received(client).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [line.split(": ", 1) for line in lines]
    assert len({name.title() for name, _ in headers}) == len(headers)
    return Answer(int(first.split()[1]), dict(headers), body)


def get(target: str, host: str = "localhost", method: str = "GET", extra: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{extra}Connection: close\r\n\r\n".encode("latin-1")


FOREIGN = [
    get("/", "evil.example"),
    get("/", "evil.example:8080"),
    get("/house/day.png", "192.168.0.1.evil.example"),
    get("/", "localhost.evil.example"),
    get("/", "127.0.0.1@evil.example"),
    get("/", "localhost, evil.example"),
    get("/", "localhost\r\nHost: evil.example"),
    get("/", ""),
    get("/static/style.css", "evil.example", extra="X-Forwarded-Host: localhost\r\n"),
    get("/", "evil.example", "POST"),
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET /\r\n\r\n",
]


@pytest.mark.parametrize("raw", FOREIGN, ids=[str(raw)[2:70] for raw in FOREIGN])
def test_a_foreign_host_gets_421_and_learns_nothing(daemon: Daemon, raw: bytes) -> None:
    answer = asked(daemon.port, raw)
    assert answer.status == 421
    assert answer.body.count(b"\n") == 1
    assert b"house" not in answer.body
    assert set(PAGE_HEADERS) <= set(answer.headers.items())


@pytest.fixture
def parts(tmp_path: Path, line: Line, clock: HandClock) -> Iterator[Parts]:
    settings = parse(f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\nnetwork_time = no\n[meter house]\ngpio = 24\n")
    parts = build(settings, line.factory, clock, Fate())
    parts.counting.start()
    yield parts
    parts.counting.stop()
    parts.reader.close()


ANSWERS = [
    ("page", get("/"), 200),
    ("page of a graph", get("/house/day"), 200),
    ("figures", get(load.FIGURES), 200),
    ("figures of a meter", get(f"{load.FIGURES}/house"), 200),
    ("health", get("/health"), 200),
    ("static file", get("/static/style.css"), 200),
    ("favicon", get("/favicon.ico"), 200),
    ("robots", get("/robots.txt"), 200),
    ("head", get("/", method="HEAD"), 200),
    ("png", get("/house/day.png"), 200),
    ("svg", get("/house/day.svg"), 200),
    ("file known", get("/static/style.css", extra="If-None-Match: *\r\n"), 304),
    ("picture known", get("/house/day.png", extra="If-None-Match: *\r\n"), 304),
    ("bad parameter", get("/house/day.png?width=1"), 400),
    ("bad escape", get("/%ff%fe"), 400),
    ("no request", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
    ("no page", get("/nothing"), 404),
    ("no meter", get("/garage/day.png"), 404),
    ("post", get("/", method="POST"), 405),
    ("body", post(b"Content-Length: 300000000"), 413),
    ("long address", get("/" + "a" * 1000), 414),
    ("foreign host", get("/", "evil.example"), 421),
    ("long header", get("/", extra=f"A: {'a' * 16384}\r\n"), 431),
    ("coding", post(b"Transfer-Encoding: gzip"), 501),
]


def has_all_headers(answer: Answer, picture: bool = False) -> bool:
    expected = PICTURE_HEADERS if picture else PAGE_HEADERS
    return set(expected) <= set(answer.headers.items()) and "Server" not in answer.headers


def test_security_headers_are_on_every_kind_of_answer(parts: Parts) -> None:
    with serving(application(parts.house, ZoneInfo("UTC"))) as (_, port):
        for name, raw, status in ANSWERS:
            answer = asked(port, raw)
            assert (name, answer.status) == (name, status)
            image = answer.headers.get("Content-Type", "").startswith("image/") and name in ("png", "svg")
            assert has_all_headers(answer, image), name
            if status >= 400:
                assert answer.body.endswith(b".\n"), name
                assert answer.body.count(b"\n") == 1, name


def test_security_headers_are_on_a_503_and_a_500_too(parts: Parts) -> None:
    parts.counting.flush(5)
    rrd = parts.counting.meters["house"].store.rrd
    rrd.write_bytes(rrd.read_bytes()[:1000])
    with serving(application(parts.house, ZoneInfo("UTC"))) as (_, port):
        away = asked(port, get("/house/day.png"))
        assert (away.status, away.body.count(b"\n")) == (503, 1)
        assert has_all_headers(away)
        assert asked(port, get("/")).status == 200

    def broken(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise RuntimeError("boom")

    with serving(guarded(broken, ["localhost"])) as (_, port):
        failed = asked(port, get("/"))
        assert (failed.status, failed.body.count(b"\n")) == (500, 1)
        assert b"boom" not in failed.body
        assert has_all_headers(failed)
