"""The whole process: started, asked, stopped, killed, with gpiozero's mock pin and a simulated house."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import rrdtool
from conftest import START, HandClock, Line, PipeChip
from pair import HASH, PASSWORD, SENDER

from powerpi import daemon, register
from powerpi.building import Fate
from powerpi.config import Settings, parse
from powerpi.digests import Unit, units
from powerpi.errors import PinError, StoreError
from powerpi.folder import locked_folder
from powerpi.gaps import Session
from powerpi.ledger import Ledger
from powerpi.pin import KernelFactory
from powerpi.pulses import Row
from powerpi.store import Store
from powerpi.worker import Worker

ROOT = Path(__file__).parent.parent
LISTENING = re.compile(r"the page is at http://[^/]+:(\d+)/")


class Process:
    """`python -m powerpi ...` as a child, its standard error read along."""

    def __init__(self, arguments: Sequence[str], **environment: str) -> None:
        self.lines: list[str] = []
        self._seen = threading.Condition()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "powerpi", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.child.stderr
        for line in self.child.stderr:
            with self._seen:
                self.lines.append(line.rstrip())
                self._seen.notify_all()

    def said(self, pattern: str | re.Pattern[str], timeout: float = 60) -> re.Match[str]:
        """The first line that matches, waited for."""
        with self._seen:
            found = self._seen.wait_for(
                lambda: next(filter(None, (re.search(pattern, line) for line in self.lines)), None), timeout
            )
        assert found, self.lines
        return found

    @property
    def port(self) -> int:
        return int(self.said(LISTENING)[1])

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return bytes(answer.read())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit code and how many seconds the end took."""
        began = time.monotonic()
        self.child.send_signal(number)
        code = self.child.wait(20)
        self._reading.join(5)
        return code, time.monotonic() - began


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(*arguments: str, **environment: str) -> Process:
        started.append(Process(arguments, **environment))
        return started[-1]

    yield begin
    for process in started:
        process.child.kill()
        process.child.wait()


def config_file(folder: Path, extra: str = "") -> Path:
    path = folder / "powerpi.conf"
    path.write_text(
        f"[powerpi]\nstate = {folder}/state\nlisten = 127.0.0.1:0\nnetwork_time = no\n[meter house]\ngpio = 24\n{extra}"
    )
    return path


Start = Callable[..., Process]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_starts_serves_and_stops_within_5_seconds_with_a_last_write(
    start: Start, tmp_path: Path, number: int
) -> None:
    process = start("run", "--config", str(config_file(tmp_path)), GPIOZERO_PIN_FACTORY="mock")
    [meter] = json.loads(process.get("/api/v1/meters"))["meters"]
    assert (meter["meter"], meter["watts"], meter["meter_reading_watt_hours"]) == ("house", None, 0)
    assert b"<html" in process.get("/")
    assert process.get("/house/day.png").startswith(b"\x89PNG")
    code, seconds = process.end(number)
    assert code == 0
    assert seconds < 5
    assert "stopped; all is written" in process.lines[-1]


def test_demo_is_a_living_house_and_keeps_its_state(start: Start, tmp_path: Path) -> None:
    process = start("demo", "--port", "0", "--state", str(tmp_path), "--seed", "7")
    [before] = json.loads(process.get("/api/v1/meters"))["meters"]
    assert before["meter"] == "house"
    assert before["yesterday_watt_hours"] > 1000
    assert before["meter_reading_watt_hours"] > 1_000_000
    for period in ("hour", "12h", "day", "week", "month", "quarter", "year"):
        assert len(process.get(f"/house/{period}.png")) > 5000
    assert process.end()[0] == 0

    process = start("demo", "--port", "0", "--state", str(tmp_path), "--seed", "7")
    [after] = json.loads(process.get("/api/v1/meters"))["meters"]
    assert after["meter_reading_watt_hours"] >= before["meter_reading_watt_hours"]
    assert after["yesterday_watt_hours"] == pytest.approx(before["yesterday_watt_hours"])
    assert process.end()[0] == 0


def test_demo_without_history_plays_a_recorded_load(start: Start, tmp_path: Path) -> None:
    # 36 kW: ten pulses a second, the counter rises soon
    load = tmp_path / "load.csv"
    load.write_text("minute,watts\n2024-01-01T00:00:00,36000\n")
    process = start("demo", "--port", "0", "--empty", "--load", str(load), "--state", str(tmp_path / "state"))
    deadline = time.monotonic() + 20
    while (meter := json.loads(process.get("/api/v1/meters/house")))["meter_reading_watt_hours"] < 5:
        assert time.monotonic() < deadline
    assert meter["watts"] == pytest.approx(36000, rel=0.2)
    assert meter["yesterday_watt_hours"] is None
    process.end()


def test_a_second_process_on_the_same_state_is_refused(start: Start, tmp_path: Path) -> None:
    config = str(config_file(tmp_path))
    first = start("run", "--config", config, GPIOZERO_PIN_FACTORY="mock")
    assert first.port
    second = start("run", "--config", config, GPIOZERO_PIN_FACTORY="mock")
    assert second.child.wait(20) == os.EX_IOERR
    second.said("is in use by another powerpi")
    assert first.get("/health")


def test_a_port_in_use_is_said(start: Start, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = config_file(tmp_path)
        path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        process = start("run", "--config", str(path), GPIOZERO_PIN_FACTORY="mock")
        assert process.child.wait(20) == os.EX_UNAVAILABLE
        process.said(f"cannot be served at 127.0.0.1 port {port}: .*in use")


def test_without_a_gpio_chip_run_says_so(start: Start, tmp_path: Path) -> None:
    if list(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip")
    process = start("run", "--config", str(config_file(tmp_path)))
    assert process.child.wait(20) == os.EX_UNAVAILABLE
    process.said("no Raspberry Pi GPIO chip")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(config_file(tmp_path).read_text())


class Bomb(Worker):
    """Ends with an exception in its first turn."""

    def turn(self) -> None:
        raise RuntimeError("boom")


def no_more_edges(factory: Any) -> None:
    """What takes the edges of GPIO24 is broken: whoever touches it fails."""
    factory.pin(24)._when_changed().__self__._edges = None


def died_in(caplog: pytest.LogCaptureFixture, thread: str) -> float:
    """How many seconds ago a thread died, by the log."""
    [record] = [record for record in caplog.records if f"thread {thread} died" in record.message]
    return time.time() - record.created


def test_a_thread_that_dies_takes_the_process_down_after_a_last_write(
    settings: Settings, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(clock)

    def drivers(fate: Fate) -> list[Worker]:
        line.pulse()
        return [Bomb("bomb", 1, fate.died)]

    line_factory = line.factory
    line.pin.close()
    assert daemon.run(settings, line_factory, clock, drivers) == daemon.EXIT_DIED
    assert died_in(caplog, "bomb") < 1
    assert Store(settings.state, "house", 20, threading.Lock()).open(START)[0] == 1


def test_a_counting_thread_that_dies_takes_the_process_down(
    settings: Settings, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    factory = Line(clock).factory
    assert daemon.run(settings, factory, clock, ready=lambda _: no_more_edges(factory)) == daemon.EXIT_DIED
    assert died_in(caplog, "pulses") < 1


def test_an_edge_thread_that_dies_takes_the_process_down(
    settings: Settings, clock: HandClock, caplog: pytest.LogCaptureFixture, chip: PipeChip
) -> None:
    class Full(deque[Any]):
        def append(self, _: object) -> None:
            raise MemoryError

    def ready(_: int) -> None:
        factory.pin(24)._when_changed().__self__._edges = Full()
        chip.edge(1.0, high=False)

    with contextlib.closing(KernelFactory(Path("/dev/gpiochip0"))) as factory:
        assert daemon.run(settings, factory, clock, ready=ready) == daemon.EXIT_DIED
    assert died_in(caplog, "edges") < 1


def test_the_main_thread_that_fails_ends_the_process_after_a_last_write(settings: Settings, clock: HandClock) -> None:
    line = Line(clock)
    line.pin.close()

    def ready(_: int) -> None:
        line.pulse()
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        daemon.run(settings, line.factory, clock, ready=ready)
    assert Store(settings.state, "house", 20, threading.Lock()).open(START)[0] == 1
    assert how_it_ended(settings) == "ended"


def how_it_ended(settings: Settings) -> str:
    return Session(settings.state).last_end()


def test_how_a_run_ended_is_known_to_the_next(settings: Settings, clock: HandClock) -> None:
    daemon.run(settings, Line(clock).factory, clock, lambda fate: [Bomb("bomb", 1, fate.died)])
    assert how_it_ended(settings) == "ended"
    daemon.run(settings, Line(clock).factory, clock, ready=lambda _: signal.raise_signal(signal.SIGTERM))
    assert how_it_ended(settings) == "stopped"
    clock.is_trusted = False
    daemon.run(settings, Line(clock).factory, clock, ready=lambda _: signal.raise_signal(signal.SIGTERM))
    assert how_it_ended(settings) == "clock_unset"


def test_a_start_that_is_refused_does_not_hide_why_the_last_run_ended(settings: Settings, clock: HandClock) -> None:
    daemon.run(settings, Line(clock).factory, clock, ready=lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(PinError):
        daemon.run(settings, object(), clock)
    assert how_it_ended(settings) == "stopped"


def test_a_start_says_what_is_amiss_and_goes_on(
    settings: Settings, clock: HandClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    daemon.run(settings, Line(clock).factory, clock, ready=lambda _: signal.raise_signal(signal.SIGTERM))
    assert "rrdtool: the program is missing: apt-get install rrdtool" in caplog.text
    assert how_it_ended(settings) == "stopped"


def test_what_could_not_be_written_is_the_disks_fault(settings: Settings, clock: HandClock) -> None:
    line = Line(clock)
    line.pin.close()

    def ready(_: int) -> None:
        line.pulse()
        for path in settings.state.glob("house.*"):
            path.unlink()
            path.mkdir()
        signal.raise_signal(signal.SIGTERM)

    assert daemon.run(settings, line.factory, clock, ready=ready) == os.EX_IOERR
    assert how_it_ended(settings) == "disk"


def test_the_service_manager_hears_of_ready_turns_and_the_end(
    settings: Settings, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        daemon.run(settings, Line(clock).factory, clock, ready=lambda _: signal.raise_signal(signal.SIGTERM))
        said = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(listening.recv(100).decode())
    assert {"READY=1", "WATCHDOG=1", "STOPPING=1"} == set(said)
    assert said.index("READY=1") < said.index("STOPPING=1")


def test_further_signals_do_not_disturb_the_last_write(start: Start, tmp_path: Path) -> None:
    process = start("run", "--config", str(config_file(tmp_path)), GPIOZERO_PIN_FACTORY="mock")
    assert process.port
    for _ in range(5):
        process.child.send_signal(signal.SIGTERM)
        process.child.send_signal(signal.SIGINT)
    assert process.child.wait(20) == 0
    process.said("stopped; all is written")


def test_stopping_in_the_middle_of_a_drawing_that_hangs_is_quick(start: Start, tmp_path: Path) -> None:
    process = start("run", "--config", str(config_file(tmp_path)), GPIOZERO_PIN_FACTORY="mock")
    process.get("/house/day.png")
    tasks = Path(f"/proc/{process.child.pid}/task").glob("*/children")
    [child] = [number for task in tasks for number in task.read_text().split()]
    os.kill(int(child), signal.SIGSTOP)

    def ask() -> None:
        with pytest.raises(OSError):
            process.get("/house/week.png")

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(0.5)  # the picture hangs
    code, seconds = process.end()
    assert (code, seconds < 5) == (0, True)
    assert not [line for line in process.lines if "Traceback" in line]


def test_what_cannot_be_written_at_the_end_is_said(start: Start, tmp_path: Path) -> None:
    load = tmp_path / "load.csv"
    load.write_text("minute,watts\n2024-01-01T00:00:00,36000\n")
    process = start("demo", "--port", "0", "--empty", "--load", str(load), "--state", str(tmp_path / "state"))
    while json.loads(process.get("/api/v1/meters/house"))["meter_reading_watt_hours"] < 2:
        pass
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    (tmp_path / "state").write_text("in the way")
    assert process.end()[0] == os.EX_IOERR
    process.said("not everything could be written for house")


def test_signal_handlers_are_put_back(settings: Settings, clock: HandClock) -> None:
    before = signal.getsignal(signal.SIGTERM)
    daemon.run(settings, Line(clock).factory, clock, lambda fate: [Bomb("bomb", 1, fate.died)])
    assert signal.getsignal(signal.SIGTERM) == before


def test_state_that_is_in_use_stops_the_start(settings: Settings, clock: HandClock) -> None:
    with locked_folder(settings.state), pytest.raises(StoreError, match="in use"):
        daemon.run(settings, Line(clock).factory, clock)


def test_kill_in_the_middle_restores_exactly_what_was_on_disk(start: Start, tmp_path: Path) -> None:
    """After kill -9 the counter is the larger of register and last row; what a look had written is all there."""
    load, state = tmp_path / "load.csv", tmp_path / "state"
    load.write_text("minute,watts\n2024-01-01T00:00:00,50000\n")  # a pulse every 72 ms
    arguments = ("demo", "--port", "0", "--empty", "--load", str(load), "--state", str(state))
    process = start(*arguments)
    reading = "/api/v1/meters/house"
    deadline = time.monotonic() + 60
    while (shown := json.loads(process.get(reading))["meter_reading_watt_hours"]) < 300:
        assert time.monotonic() < deadline
    process.get("/house/hour.png")  # has the rows written
    process.end(signal.SIGKILL)

    last_row = float(rrdtool.info(str(state / "house.rrd"))["ds[pulses].last_ds"])
    slot = register.read(state / "house.register")
    on_disk = max(math.ceil(last_row), slot.pulses if slot else 0)
    # the newest row is the last boundary before the look: at most 10 s and a pulse ago, at 13.9 pulses a second
    assert on_disk >= shown - 160
    process = start(*arguments)
    [restored] = process.said(r"counter at (\d+) pulses").groups()
    assert int(restored) == on_disk
    process.end()


def test_unknown_pages_are_404_for_the_real_house_too(start: Start, tmp_path: Path) -> None:
    process = start("run", "--config", str(config_file(tmp_path)), GPIOZERO_PIN_FACTORY="mock")
    for path in ("/garage/day.png", "/house/decade.png", "/api/v1/meters/garage", "/nothing"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            process.get(path)


# ---------------------------------------------------------------- a Pi and its mirror


def health(process: Process) -> Any:
    return json.loads(process.get("/health"))


def waited_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What a condition says when it is no longer nothing."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def is_connected(port: int) -> bool:
    """Whether anybody has a connection to a port: state 01 of proc(5), net/tcp."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[2].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


def mirror_config(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "powerpi.conf"
    path.write_text(
        f"[powerpi]\nstate = {folder}/state\nlisten = 127.0.0.1:0\nnetwork_time = no\n[mirror]\naccept = yes\n"
        f"[mirror {SENDER}]\npassword_hash = {HASH}\nmeters = house\n"
    )
    return path


def test_a_pi_and_its_mirror_show_the_same_and_stop_at_once(start: Start, tmp_path: Path) -> None:
    # a pin factory that is not there: a mirror without meters of its own asks for none
    mirror = start("run", "--config", str(mirror_config(tmp_path / "mirror")), GPIOZERO_PIN_FACTORY="telepathy")
    push = (
        f"[push]\nurl = http://127.0.0.1:{mirror.port}\nuser = {SENDER}\npassword = {PASSWORD}\ninterval_seconds = 10\n"
    )
    state = tmp_path / "state"
    state.mkdir()
    store = Store(state, "house", 20, threading.Lock())
    begun = int(time.time()) // 10 * 10 - 7200
    store.open(begun - 10)
    store.write([Row(begun + 10 * n, 5000 + n) for n in range(361)])  # an hour at 360 W, an hour ago
    store.save_register(5360, begun + 3600)
    pi = start("run", "--config", str(config_file(tmp_path, push)), GPIOZERO_PIN_FACTORY="mock")
    pi.said("push: the mirror 127.0.0.1 is in step")

    [there] = json.loads(mirror.get("/api/v1/meters"))["meters"]
    [here] = json.loads(pi.get("/api/v1/meters"))["meters"]
    assert there["meter_reading_watt_hours"] == here["meter_reading_watt_hours"] == 5360
    received = Ledger(tmp_path / "mirror" / "state" / "house.rrd", threading.Lock())
    own = Ledger(store.rrd, threading.Lock())
    assert received.newest() == own.newest() == Row(begun + 3600, 5360)
    rows = Unit(10, begun, begun + 3600)
    assert set(received.rows(Unit(10, begun, begun + 10))) == {0.1}
    parts = list(units(*rows))
    assert [received.rows(part) for part in parts] == [own.rows(part) for part in parts]

    assert b"pi-hq" in mirror.get("/")
    assert mirror.get("/house/day.png").startswith(b"\x89PNG")
    assert waited_for(lambda: b"127.0.0.1" in pi.get("/"))
    assert (health(mirror)["faults"], health(pi)["faults"]) == ([], [])
    pushing = waited_for(lambda: (said := health(pi)["push"]) and said["identical_until"] and said)
    assert (pushing["in_step"], pushing["behind_rows"]) == (True, 0)

    pi.end()
    mirror.child.send_signal(signal.SIGSTOP)  # the kernel takes connections, and nobody answers
    pi = start("run", "--config", str(config_file(tmp_path, push)), GPIOZERO_PIN_FACTORY="mock")
    assert pi.port
    waited_for(lambda: is_connected(mirror.port))
    code, seconds = pi.end()
    assert (code, seconds < 5) == (0, True)
    mirror.child.send_signal(signal.SIGCONT)
    code, seconds = mirror.end()
    assert (code, seconds < 5) == (0, True)
