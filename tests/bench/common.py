"""What the benchmarks share: figures and their table, a year of history, daemons in processes, /proc, a fast client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from powerpi import config, demo
from powerpi.config import Settings
from powerpi.demo import GPIO, METER
from powerpi.periods import PERIODS
from powerpi.pin import mock_factory

TOP = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0  # longer than any daemon needs to answer
END_SECONDS = 10.0
MOCK = {"GPIOZERO_PIN_FACTORY": "mock"}
CLIENT_SECONDS = 20.0  # longer than any answer takes
SETTLE_SECONDS = 0.01  # between two looks at a daemon that starts


class Figure(NamedTuple):
    """One line of a table; what does not apply is empty, `met` is None where there is no goal."""

    name: str
    value: str
    limit: str = ""  # what the machine can do at best, measured in the same run
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


def table(title: str, figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table under a heading."""
    verdicts = {None: "", True: "met", False: "missed"}
    lines = [(*figure[:-1], verdicts[figure.met]) for figure in figures]
    heads = (title, "measured", "limit, same run", "ratio", "goal", "verdict")
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, ("---",) * len(heads), *lines)) + "\n"


def at_most(name: str, value: float, goal: float, shape: Callable[[float], str], limit: str = "") -> Figure:
    """A figure whose goal is an upper bound."""
    return Figure(name, shape(value), limit, "", f"at most {shape(goal)}", value <= goal)


def compared(name: str, value: float, limit: float, shape: Callable[[float], str]) -> Figure:
    """A figure beside its limit, with the ratio of the two; no goal."""
    return Figure(name, shape(value), shape(limit), f"{value / limit:.2f}")


def share(values: Sequence[float], part: float) -> float:
    """The value that `part` (0 to 1) of the values do not exceed."""
    return sorted(values)[max(0, min(len(values) - 1, round(part * len(values)) - 1))]


def progress(text: str) -> None:
    """Say on standard error what is going on."""
    print(f"  ... {text}", file=sys.stderr, flush=True)


class HandClock:
    """A trusted clock that stands still until it is moved; satisfies powerpi.clock.Clock."""

    def __init__(self, wall: float) -> None:
        self.now = 1000.0
        self.ahead = wall - self.now

    def monotonic(self) -> float:
        """Seconds CLOCK_MONOTONIC."""
        return self.now

    def offset(self) -> float:
        """Unix seconds minus CLOCK_MONOTONIC seconds."""
        return self.ahead

    def trusted(self) -> bool:
        """It is right by definition."""
        return True


def clocked_factory(clock: HandClock) -> Any:
    """gpiozero's mock factory whose edges carry the time of a clock moved by hand."""
    factory = mock_factory()
    factory.reset()  # all local factories share their pins, and a pin keeps the ticks of its first factory

    class ClockedPin(factory.pin_class):  # type: ignore[misc, name-defined]  # gpiozero is not typed
        def _call_when_changed(self) -> None:
            handler = self.when_changed  # gpiozero 2's mock pin does not ask its factory for the time
            if handler:
                handler(clock.monotonic(), self._state)

    factory.pin_class = ClockedPin
    return factory


def config_text(state: Path, port: int = 0) -> str:
    """The configuration of the benchmarks: all defaults, one meter on the demo's pin."""
    return f"[powerpi]\nstate = {state}\nlisten = 127.0.0.1:{port}\nnetwork_time = no\n[meter {METER}]\ngpio = {GPIO}\n"


def settings(state: Path) -> Settings:
    """The same, read."""
    return config.parse(config_text(state))


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes away again."""
    with tempfile.TemporaryDirectory(prefix="powerpi-bench-") as name:
        yield Path(name)


@cache
def _history() -> tempfile.TemporaryDirectory[str]:
    """A state folder with a year of the demo's household, made once in a run."""
    made = tempfile.TemporaryDirectory(prefix="powerpi-bench-year-")
    wishes = demo.Wishes(0, 1, None, False, None)
    demo.fill(settings(Path(made.name)), demo.load_of(wishes), time.time())
    return made


def fill(state: Path) -> None:
    """Put a year of history into a state folder, and on its disk."""
    for source in Path(_history().name).glob(f"{METER}.*"):
        shutil.copy(source, state)
    os.sync()


@contextmanager
def running(module: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process with that module; it is asked to end, and killed when it does not."""
    environment = {**os.environ, **options.pop("environment", {})}
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=TOP, env=environment, **options) as process:
        try:
            yield process
        finally:
            if process.stdin:
                process.stdin.close()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def server(module: str, *arguments: str, **options: Any) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that says its port in its first line, and serves there."""
    with running(module, *arguments, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout
        said = process.stdout.readline()
        assert said, f"{module} ended without a word"
        yield process, int(said)


class Loaded(NamedTuple):
    """What clients in a process of their own got."""

    requests: int
    failures: int
    seconds: float


def start_clients(port: int, seconds: float, clients: int, paths: Sequence[str]) -> subprocess.Popen[bytes]:
    """Let `clients` ask for `paths` without a pause; `{}` in a path is a number that is new each time."""
    arguments = (str(port), str(seconds), str(clients), *paths)
    return subprocess.Popen([sys.executable, "-m", "tests.bench.clients", *arguments], cwd=TOP, stdout=subprocess.PIPE)


def clients_done(process: subprocess.Popen[bytes]) -> Loaded:
    """Wait for the clients' result."""
    said, _ = process.communicate()
    return Loaded(*json.loads(said))


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """One keep-alive connection that costs little: the client must not be what is measured."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), CLIENT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def get(self, path: str) -> tuple[bytes, bytes]:
        """The head and the body of an answer."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            self._rest += self._received()
        head, body = self._rest[:end], self._rest[end + 4 :]
        mark = head.lower().index(b"content-length:") + 15
        size = int(head[mark:].split(b"\r\n", 1)[0])
        while len(body) < size:
            body += self._received()
        self._rest = body[size:]
        return head, body[:size]

    def ask(self, path: str) -> Answer:
        """The same, taken apart."""
        head, body = self.get(path)
        first, *lines = head.decode("latin-1").split("\r\n")
        return Answer(int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body)

    def _received(self) -> bytes:
        data = self._socket.recv(262_144)
        assert data, "the server hung up"
        return data

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def fetched(port: int, *paths: str) -> None:
    """Ask once for each path; all must be there."""
    client = Client(port)
    for path in paths:
        answer = client.ask(path)
        assert answer.status == 200, f"{path}: {answer.status} {answer.body[:200]!r}"
    client.close()


def picture_paths() -> list[str]:
    """The addresses of all graphs as the page shows them."""
    return [f"/{METER}/{name}.png" for name in PERIODS]


@contextmanager
def powerpi_run(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`powerpi run` on gpiozero's mock pin, what it says put beside its configuration."""
    said = config.with_suffix(".log")
    arguments = ("run", "--config", str(config))
    with said.open("wb") as log, running("powerpi", *arguments, environment=MOCK, stderr=log) as process:
        yield process
        assert process.poll() is None, f"the daemon ended: {said.read_text(encoding='utf-8')}"


def seconds_to_page(process: subprocess.Popen[bytes], port: int, began: float) -> float:
    """Wait until `GET /` is answered or the process ends; seconds since `began` (CLOCK_MONOTONIC)."""
    while time.monotonic() - began < START_SECONDS and process.poll() is None:
        try:
            client = Client(port)
        except ConnectionRefusedError:
            time.sleep(SETTLE_SECONDS)
            continue
        status = client.ask("/").status
        client.close()
        assert status == 200, f"the first page was answered with {status}"
        return time.monotonic() - began
    return time.monotonic() - began  # far from any goal


def free_port() -> int:
    """A port that nobody uses at present."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def children(pid: int) -> list[int]:
    """The process ids of a process' children, of all its threads."""
    lists = (task / "children" for task in Path(f"/proc/{pid}/task").iterdir())
    return [int(child) for one in lists for child in one.read_text().split()]


def cpu_seconds(*pids: int) -> float:
    """CPU time of processes that live: the scheduler's own nanoseconds (proc(5), schedstat), all threads."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) / 1e9
        for pid in pids
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def memory_mb(pid: int, kind: str) -> float:
    """Resident memory of a process in MB (10^6 bytes); `kind` is Rss or Pss as in proc(5), smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{kind}:"))
