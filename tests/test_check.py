"""`powerpi check`: everything is looked at in the order of need, with and without a PowerPi that runs."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from conftest import HandClock, Line, wait_for_door
from pair import PASSWORD, SENDER, Mirroring

from powerpi import check, contacts, pin
from powerpi.building import Fate, build
from powerpi.config import Settings, load
from powerpi.finding import Finding
from powerpi.folder import locked_folder


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    path = tmp_path / "powerpi.conf"
    path.write_text(
        f"[powerpi]\nstate = {tmp_path}/state\nlisten = 127.0.0.1:{port}\nnetwork_time = no\ntimezone = UTC\n"
        "[meter house]\ngpio = 24\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture(autouse=True)
def mock_pins(monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(contacts, "open_factory", lambda: line.factory)


@pytest.fixture
def running(conf: Path, line: Line) -> Iterator[Settings]:
    """The parts of a daemon run on the configuration, but for its page."""
    settings = load(conf)
    settings.state.mkdir()
    with locked_folder(settings.state):
        parts = build(settings, line.factory, line.clock, Fate())
        parts.counting.start()
        parts.door.start()
        wait_for_door(settings.state)
        parts.counting.flush(5)
        yield settings
        parts.door.stop()
        parts.counting.stop()
        parts.reader.close()


def states(found: list[Finding]) -> dict[str, bool | None]:
    return {finding.what: finding.right for finding in found}


def test_everything_is_looked_at_in_the_order_of_need_and_nothing_is_made(conf: Path, clock: HandClock) -> None:
    settings = load(conf)
    found = list(check.findings(settings, 0, clock))
    assert list(states(found).items()) == [
        ("powerpi", None), ("user", True), ("gpio", None), ("state", True), ("clock", True), ("port", True),
        ("rrdtool", True), ("backups", None), ("meter house", True), ("rows house", None), ("counter house", None),
    ]  # fmt: skip
    assert not settings.state.exists()


def test_a_missing_chip_is_told_once(conf: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY")
    monkeypatch.setattr(contacts, "open_factory", pin.open_factory)
    if any(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip")
    said = [one.said for one in check.findings(load(conf), 0, clock)]
    assert [one for one in said if "no Raspberry Pi GPIO chip found" in one] == [said[2]]


def test_a_powerpi_that_runs_is_asked_for_what_it_holds(running: Settings, clock: HandClock) -> None:
    found = list(check.findings(running, 10, clock))
    assert states(found) == {
        "powerpi": True, "user": True, "gpio": None, "state": True, "clock": True,
        "page": False,  # there is none in this test
        "rrdtool": True, "backups": None, "meter house": None, "rows house": None, "counter house": None,
    }  # fmt: skip
    [house] = [finding for finding in found if finding.what == "meter house"]
    assert "0 pulses in 10 s, none so far" in house.said


def test_a_mirror_that_receives_has_no_pins_but_files(tmp_path: Path, clock: HandClock) -> None:
    mirroring = Mirroring(tmp_path, clock)
    found = states(list(check.findings(mirroring.settings, 10, clock)))
    assert not {"gpio", "user", "pins"} & found.keys()
    assert found["rows house"] is None
    mirroring.parts.reader.close()


def test_a_mirror_is_asked_where_no_powerpi_runs(conf: Path, tmp_path: Path, clock: HandClock) -> None:
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        text = f"[push]\nurl = {mirroring.url}\nuser = {SENDER}\npassword = {PASSWORD}\n"
        conf.write_text(conf.read_text(encoding="utf-8") + text, encoding="utf-8")
        found = [one for one in check.findings(load(conf), 0, clock) if one.what == "mirror"]
    assert found == [Finding("mirror", True, "127.0.0.1 answers, it holds nothing yet")]


def test_how_the_mirror_stands_is_told_by_the_powerpi_that_runs(
    conf: Path, line: Line, request: pytest.FixtureRequest
) -> None:
    text = "[push]\nurl = http://127.0.0.1:9/\nuser = pi-hq\npassword = geheim\n"
    conf.write_text(conf.read_text(encoding="utf-8") + text, encoding="utf-8")
    settings = request.getfixturevalue("running")
    found = [one for one in check.findings(settings, 0, line.clock) if one.what == "mirror"]
    assert found == [Finding("mirror", None, "Mirror 127.0.0.1: not asked yet")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_who_may_not_look_is_told_so_and_nothing_is_called_bad_for_it(clock: HandClock) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        conf = folder / "powerpi.conf"
        conf.write_text(f"[powerpi]\nstate = {folder}/state\nlisten = 127.0.0.1:0\n[meter house]\ngpio = 24\n")
        settings = load(conf)
        settings.state.mkdir(mode=0o750)
        with locked_folder(settings.state):
            found = as_nobody(lambda: [[one.what, one.said] for one in check.findings(settings, 0, clock)])
    told = dict(found)
    assert told["powerpi"] == f"{settings.state} may not be looked into by this user; try it with sudo"
    assert told["pins"].startswith("not looked at, for a PowerPi that cannot be asked may hold them: ")
    assert not {"rows house", "counter house", "backups"} & told.keys()


def as_nobody(do: Callable[[], Any]) -> Any:
    """What comes of doing something in a process of another user."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            os.write(writing, json.dumps(do()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    try:
        return json.loads(os.read(reading, 1 << 16))
    finally:
        os.close(reading)


def test_the_command_prints_a_line_for_each_and_ends_with_0_or_1(
    conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.run(conf, 0) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok    version: PowerPi ")
    assert lines[1] == f"ok    configuration: {conf}, 1 meter"
    (conf.parent / "state").touch()
    assert check.run(conf, 0) == 1
    assert "BAD   state: " in capsys.readouterr().out


def test_passwords_that_everybody_can_read_are_bad(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "[push]\nurl = http://127.0.0.1:9/\nuser = pi-hq\npassword = geheim\n"
    conf.write_text(conf.read_text(encoding="utf-8") + text, encoding="utf-8")
    conf.chmod(0o644)
    assert check.run(conf, 0) == 1
    told = capsys.readouterr().out
    assert f"BAD   secrets: {conf} holds passwords, and everybody can read it (644)" in told
    assert "geheim" not in told
