"""What sends is built from the configuration, and only where something is to be sent."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import START, Line
from pair import PASSWORD, push_settings
from tls import Forwarder

from powerpi import config
from powerpi.config import Settings
from powerpi.counting import Counting, Timing
from powerpi.errors import MissingError
from powerpi.ledger import Ledger
from powerpi.meter import Meter
from powerpi.push import Push
from powerpi.sample_course import SampleCourse
from powerpi.sending import build_push, course, open_peer
from powerpi.store import Store
from powerpi.sync import Twin

METER = "[meter house]\ngpio = 24\nimp_per_kwh = 2000\n"
PUSH = f"[push]\nurl = {{url}}\nuser = pi-hq\npassword = {PASSWORD}\n"


class Kit:
    """A meter that is counted, and what belongs to it."""

    def __init__(self, folder: Path, line: Line) -> None:
        gate = threading.Lock()
        self.store = Store(folder, "house", 0, gate)
        self.ledger = Ledger(self.store.rrd, gate)
        self.meter = Meter("house", line.pin, self.store, 0.010, START)
        self.counting = Counting([self.meter], line.clock, Timing(300, 60, 900), lambda *_: None)

    def push(self, settings: Settings) -> Push | None:
        return build_push(settings, self.counting, {"house": self.ledger}, lambda *_: None)


@pytest.fixture
def kit(tmp_path: Path, line: Line) -> Kit:
    return Kit(tmp_path, line)


def settings(folder: Path, more: str = "") -> Settings:
    return config.parse(f"[powerpi]\nstate = {folder}\n{METER}{more}")


def test_without_a_section_nothing_is_sent_and_requests_is_not_even_loaded(kit: Kit, tmp_path: Path) -> None:
    assert kit.push(settings(tmp_path)) is None
    loaded = "import sys, powerpi.sending; print('requests' in sys.modules, 'powerpi.peer' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert said.stdout == "False False\n"


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "powerpi.peer", raising=False)
    monkeypatch.delattr("powerpi.peer", raising=False)
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(MissingError, match="apt-get install python3-requests"):
        open_peer(push_settings("https://mirror.lan"))


def test_the_protocol_says_how_a_meter_is_sent(kit: Kit, tmp_path: Path) -> None:
    to_mirror = settings(tmp_path, PUSH.format(url="https://mirror.lan"))
    to_php = settings(tmp_path, PUSH.format(url="https://old.lan") + "protocol = get.php\n")
    assert to_mirror.push
    peer = open_peer(to_mirror.push)
    assert type(course(to_mirror, "house", kit.ledger, peer)) is Twin
    assert type(course(to_php, "house", kit.ledger, peer)) is SampleCourse


def test_the_thread_is_called_push_and_knows_whether_the_clock_is_trusted(kit: Kit, tmp_path: Path, line: Line) -> None:
    line.clock.is_trusted = False
    with Forwarder(1) as nothing:
        push = kit.push(settings(tmp_path, PUSH.format(url=nothing.url) + "interval_seconds = 30\n"))
        assert push
        assert (push.name, push.status.host) == ("push", "127.0.0.1")
        push.turn()
        assert (push.status.why, nothing.taken) == ("clock", 0)
        line.clock.is_trusted = True
        kit.counting.turn()
        line.clock.now += 5
        push.turn()
        assert (push.status.why, nothing.taken) == ("away", 1)


def test_nothing_that_is_built_shows_the_password(kit: Kit, tmp_path: Path) -> None:
    given = settings(tmp_path, PUSH.format(url="https://mirror.lan"))
    push = kit.push(given)
    assert push
    assert given.push
    assert PASSWORD not in f"{given!r} {push!r} {push.status!r} {open_peer(given.push)!r}"
