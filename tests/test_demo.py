"""The demo's history goes through the store and is the load itself; the process is tested in test_daemon.py."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from conftest import START
from test_store import rates

from powerpi import demo
from powerpi.demo import Wishes, fill, load_of, settings
from powerpi.errors import ConfigError, ServerError
from powerpi.gaps import STOPPED, Session
from powerpi.simulate import Recording
from powerpi.store import Store

WISHES = Wishes(8080, 1, None, False, None)


def test_settings_are_those_of_a_house_on_gpio_24(tmp_path: Path) -> None:
    chosen = settings(WISHES._replace(port=1234), tmp_path)
    assert (chosen.listen, chosen.state) == (("0.0.0.0", 1234), tmp_path)
    assert [(meter.name, meter.gpio) for meter in chosen.meters] == [("house", 24)]


def constant(folder: Path, watts: int) -> Recording:
    path = folder / "load.csv"
    path.write_text(f"minute,watts\n2024-01-01T00:00:00,{watts}\n")
    return Recording(path)


def test_history_is_the_load_and_reaches_back_more_than_a_year(tmp_path: Path) -> None:
    chosen = settings(WISHES, tmp_path / "state")
    pulses = fill(chosen, constant(tmp_path, 720), START + 7)
    # 720 W at 1000 imp/kWh are 0.2 pulses a second
    assert pulses == pytest.approx(demo.HISTORY_DAYS * 86400 * 0.2)
    rrd = chosen.state / "house.rrd"
    assert rates(rrd, START - 100, START) == pytest.approx([0.2] * 10)
    assert rates(rrd, START - 366 * 86400, START - 366 * 86400 + 100) == pytest.approx([0.2] * 10)
    assert Store(chosen.state, "house", 20, threading.Lock()).open(START)[0] == round(pulses)


def test_history_goes_on_where_it_ended(tmp_path: Path) -> None:
    chosen = settings(WISHES, tmp_path / "state")
    load = constant(tmp_path, 720)
    before = fill(chosen, load, START)
    assert fill(chosen, load, START + 1000) == pytest.approx(before + 200)
    assert fill(chosen, load, START + 1000) >= before + 200 - 1e-6
    assert rates(chosen.state / "house.rrd", START - 100, START + 1000) == pytest.approx([0.2] * 110)


def test_the_time_between_history_and_life_is_a_stop_and_nothing_unknown(tmp_path: Path) -> None:
    chosen = settings(WISHES, tmp_path / "state")
    fill(chosen, constant(tmp_path, 720), START)
    assert Session(chosen.state).last_end() == STOPPED


def test_a_port_that_is_taken_is_refused_with_another_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        other = port + 10 if port < 65526 else port - 10
        with pytest.raises(ServerError, match=rf"port {port}: Address already in use; .*: try --port {other}$"):
            demo.look_for_port("127.0.0.1", port)
    with pytest.raises(ServerError, match=r"[^0-9]$"):  # what no other port would mend
        demo.look_for_port("192.0.2.1", 8080)


def test_a_recorded_load_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_of(WISHES._replace(load=tmp_path / "none.csv"))


def test_a_mirror_runs_beside_the_house_and_ends_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "powerpi", "demo", "--mirror", "--empty", "--port", "0", "--state", str(tmp_path)]
    demo = subprocess.Popen(command, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout
        said = "".join(islice(demo.stdout, 4))
        mirror = re.search(r"Its mirror is at +(http://localhost:\d+/)", said)
        assert mirror, said
        meters: list[dict[str, object]] = []
        deadline = time.monotonic() + 30
        while not meters and time.monotonic() < deadline:
            time.sleep(0.1)  # other processes: it comes when it comes
            with suppress(OSError):
                meters = meters_at(mirror[1])
        demo.terminate()
        assert demo.wait(20) == 0
    finally:
        demo.kill()
        demo.communicate()
    assert [(meter["label"], meter["received_from"]) for meter in meters] == [("House", "house")]
    with pytest.raises(OSError):
        meters_at(mirror[1])


def meters_at(page: str) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{page}api/v1/meters", timeout=5) as answer:
        return list(json.load(answer)["meters"])
