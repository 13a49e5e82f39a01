"""Both ends of a mirror in one process: a real PowerPi that receives, behind a real waitress, and the store of a Pi.

Nothing runs by itself but the web server: clocks are moved by hand, rows are written and sent when a test says so.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from conftest import START, HandClock
from waitress import wasyncore

from powerpi import building, config, daemon, layout, passwords
from powerpi.building import Fate, Parts
from powerpi.config import PushSettings, Settings
from powerpi.digests import units
from powerpi.keys import POWERPI
from powerpi.ledger import Ledger
from powerpi.logins import basic
from powerpi.messages import State
from powerpi.mirrored import MirroredMeter
from powerpi.peer import Peer
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.server import listening_socket, open_server
from powerpi.store import Store
from powerpi.sync import Progress, Twin

SENDER, PASSWORD = "pi-hq", "geheim ü:1"
HASH = passwords.hashed(PASSWORD, 10)  # cheap: it is not scrypt that is tested
STATE = State(
    label="Haus",
    imp_per_kwh=1000.0,
    offset_kwh=12.5,
    pulses=0,
    interval_seconds=4.0,
    last_pulse_age_seconds=2.0,
    begun_age_seconds=3600.0,
    contact_closed_age_seconds=None,
    edges_rejected=0,
    edges_lost=0,
    lost_edge_age_seconds=None,
    push_seconds=60,
    gaps=(),
)


def push_settings(url: str, **changes: object) -> PushSettings:
    """The [push] section of a Pi that this mirror knows."""
    given = {
        "url": urlsplit(url), "user": SENDER, "password": PASSWORD, "ca_file": None, "interval_seconds": 60,
        "meters": ("house",), "protocol": POWERPI, "allow_http": False,
    }  # fmt: skip
    return PushSettings(**{**given, **changes})  # type: ignore[arg-type]


class Mirroring:
    """A mirror: `parts` of a real daemon, whose counting thread does not run; served at `url` while in a `with`."""

    def __init__(
        self, folder: Path, clock: HandClock, extra: str = "", meters: str = "house", factory: Any = None
    ) -> None:
        """`factory` makes pins, where `extra` has meters that are counted here."""
        self.clock = clock
        self.settings: Settings = config.parse(
            f"[powerpi]\nstate = {folder}\nlisten = 127.0.0.1:0\ntimezone = Europe/Berlin\n[mirror]\naccept = yes\n"
            f"[mirror {SENDER}]\npassword_hash = {HASH}\nmeters = {meters}\n{extra}"
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.parts: Parts = building.build(self.settings, factory, clock, Fate())
        self.parts.counting.turn()  # adopts the clock
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[Mirroring]:
        """Served on a free port, or on the one it had before."""
        listening = listening_socket("127.0.0.1", port)
        self.port = listening.getsockname()[1]
        server = open_server(daemon.serve_pages(self.settings, self.parts), listening, receives=True)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            with suppress(OSError):  # it may be closed before the trigger is pulled for this
                server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))  # outside the loop would stumble
            thread.join(10)
            server.task_dispatcher.shutdown()
            self.parts.reader.close()
            listening.close()

    def meter(self, name: str = "house") -> MirroredMeter:
        """What it holds of a meter."""
        assert self.parts.mirror
        return next(meter for meter in self.parts.mirror.meters if meter.name == name)


class Pi:
    """The files of a meter on a Pi, and its way to a mirror."""

    def __init__(self, folder: Path, url: str, name: str = "house", archive_years: int = 20) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.gate = threading.Lock()
        self.store = Store(folder, name, archive_years, self.gate)
        self.store.open(START - STEP_SECONDS)
        self.ledger = Ledger(self.store.rrd, self.gate)
        self.connect(url)

    def connect(self, url: str, **changes: object) -> None:
        """From now on it sends to another address."""
        self.peer = Peer(push_settings(url, meters=(self.name,), **changes), answer_seconds=5.0)
        self.twin = Twin(self.name, self.ledger, self.peer)

    def state(self) -> State:
        """What it tells of this moment."""
        return STATE._replace(pulses=self.store.stored_pulses)

    def write(self, count: int, watts: float = 500.0, gap_rows: int = 0, seed: int | None = None) -> None:
        """Write rows after `gap_rows` unknown ones; with a `seed` of powers between 0 and `watts`."""
        chance = random.Random(seed)
        last = self.store.last_row or Row(START - STEP_SECONDS, 0.0)
        rows = [Row(last.time + STEP_SECONDS * (1 + gap_rows), last.pulses + (0.25 if gap_rows else 0.0))]
        for _ in range(count - (0 if gap_rows else 1)):
            power = watts if seed is None else chance.uniform(0, watts)
            before = rows[-1]
            rows.append(Row(before.time + STEP_SECONDS, round(before.pulses + power * STEP_SECONDS / 3600, 6)))
        self.store.write(rows)
        self.store.save_register(max(self.store.stored_pulses, math.ceil(rows[-1].pulses)), rows[-1].time)

    def push(self) -> list[Progress]:
        """Catch up; the answer to every message."""
        try:
            return list(self.twin.catch_up(self.state))
        finally:
            self.peer.close()


def known_rows(ledger: Ledger, after: int, until: int) -> dict[int, float]:
    """The known rows with times in (after, until], by their time."""
    rates = [rate for unit in units(STEP_SECONDS, after, until) for rate in ledger.rows(unit)]
    times = range(after + STEP_SECONDS, until + 1, STEP_SECONDS)
    return {time: rate for time, rate in zip(times, rates, strict=True) if not math.isnan(rate)}


def assert_equal_ends(pi: Pi, mirror: MirroredMeter) -> None:
    """Both ends hold the same rows, means and counter: not within 1e-9, but to the last bit."""
    assert pi.ledger.newest() == mirror.ledger.newest()
    assert pi.ledger.spans() == mirror.ledger.spans()
    for step, span in pi.ledger.spans().items():
        for unit in units(step, *span):
            assert pi.ledger.rows(unit).tobytes() == mirror.ledger.rows(unit).tobytes(), unit


class Answer(NamedTuple):
    """What came back; names of headers in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


LOGIN = basic(SENDER, PASSWORD)


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    login: str | None = LOGIN,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request, as plain as it can be: nothing is checked, unpacked or followed."""
    given = {**({"Authorization": login} if login else {}), **(headers or {})}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def contents(folder: Path) -> dict[str, bytes]:
    """All bytes of all files in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip_bit(rrd: Path, time: int, step_seconds: int = STEP_SECONDS) -> None:
    """Let the disk change a row behind everybody's back: a bit of its mantissa."""
    header = layout.read(rrd)
    [archive] = [archive for archive in header.archives if archive.row_seconds == step_seconds]
    row = (archive.phase(header.last_update) + time // step_seconds) % archive.rows
    with rrd.open("r+b") as file:
        file.seek(archive.begin + layout.ROW_BYTES * row + 3)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 16]))
