"""`powerpi check`: every finding, right and wrong, on real folders, sockets and mock pins."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ClockedFactory, HandClock
from pair import PASSWORD, SENDER, Mirroring, Pi

from powerpi import check, config
from powerpi.check import RRD_BYTES, Finding
from powerpi.clock import kernel_synchronised
from powerpi.config import Settings, load
from powerpi.errors import PinError
from powerpi.folder import locked_folder
from powerpi.store import Store

SETTINGS = config.parse("[powerpi]\ntimezone = Europe/Berlin\n[meter house]\ngpio = 24\n[meter pump]\ngpio = 23")
AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def with_(**changes: Any) -> Settings:
    return dataclasses.replace(SETTINGS, **changes)


# ---------------------------------------------------------------- the state folder


def test_state_folder_that_is_there_is_right(tmp_path: Path) -> None:
    found = check.check_state(tmp_path, ["house"])
    assert found.right
    assert found.said.startswith(f"{tmp_path}, ")
    assert found.said.endswith(" MB free")


def test_state_folder_that_can_be_made_is_right_and_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/powerpi"
    found = check.check_state(folder, ["house"])
    assert found.right
    assert "(will be made)" in found.said
    assert list(tmp_path.iterdir()) == []


def test_state_below_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = check.check_state(tmp_path / "file" / "state", ["house"])
    assert found == Finding("state", False, f"{tmp_path}/file is not a folder; name another one in [powerpi] state")


@AS_ROOT
def test_state_folder_of_somebody_else_is_wrong(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    found = check.check_state(tmp_path / "state", ["house"])
    assert found.right is False
    assert f"{tmp_path} cannot be written by this user" in found.said


@AS_ROOT
def test_state_folder_behind_a_closed_door_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    found = check.check_state(tmp_path / "closed/inner/state", ["house"])
    assert found.right is False
    assert f"{tmp_path}/closed cannot be written by this user" in found.said


def test_read_only_file_system_is_wrong_for_root_too() -> None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    places = [Path(place) for _, place, _, options, *_ in mounts if "ro" in options.split(",") and Path(place).is_dir()]
    if not places:
        pytest.skip("nothing is mounted read-only here")
    found = check.check_state(places[0] / "powerpi", [])
    assert found.right is False
    assert f"{places[0]} cannot be written" in found.said


def test_too_little_room_for_the_rrds_to_be_made_is_wrong(tmp_path: Path) -> None:
    fitting = shutil.disk_usage(tmp_path).free // RRD_BYTES
    found = check.check_state(tmp_path, [f"meter{number}" for number in range(fitting + 50)])
    assert found.right is False
    assert f"need {(fitting + 50) * 31} MB" in found.said


def test_rrds_that_are_made_need_no_more_room(tmp_path: Path) -> None:
    meters = [f"meter{number}" for number in range(shutil.disk_usage(tmp_path).free // RRD_BYTES + 50)]
    for meter in meters:
        (tmp_path / f"{meter}.rrd").touch()
    assert check.check_state(tmp_path, meters).right


def test_room_of_one_rrd_is_what_a_real_one_takes(make_store: Callable[..., Store]) -> None:
    store = make_store()
    store.create(1_700_000_000)
    assert store.rrd.stat().st_size <= RRD_BYTES <= store.rrd.stat().st_size * 1.05


# ---------------------------------------------------------------- the clock


def test_clock_without_network_time_is_right() -> None:
    found = check.check_clock(with_(network_time=False))
    assert found == Finding("clock", True, "taken as it is (network_time = no), time zone Europe/Berlin")


def test_clock_with_network_time_is_right_when_it_is_synchronised_and_else_to_be_looked_at() -> None:
    found = check.check_clock(with_(clock_wait_seconds=123))
    if kernel_synchronised() or Path("/run/systemd/timesync/synchronized").exists():
        assert found == Finding("clock", True, "synchronised, time zone Europe/Berlin")
    else:
        assert found.right is None
        assert "rows wait up to 123 s" in found.said


# ---------------------------------------------------------------- the port


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_port_that_somebody_else_serves_is_wrong(taken_port: int, tmp_path: Path) -> None:
    found = check.check_port(with_(listen=("127.0.0.1", taken_port), state=tmp_path))
    assert found.right is False
    assert f"127.0.0.1 port {taken_port}: Address already in use" in found.said


def test_port_that_powerpi_serves_is_right(taken_port: int, tmp_path: Path) -> None:
    with locked_folder(tmp_path):
        found = check.check_port(with_(listen=("127.0.0.1", taken_port), state=tmp_path))
    assert found == Finding("port", True, f"127.0.0.1 port {taken_port} is in use, and PowerPi is running")


def test_free_port_is_right_and_stays_free(taken_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for _ in range(2):
        assert check.check_port(with_(listen=("127.0.0.1", port))) == Finding(
            "port", True, f"127.0.0.1 port {port} is free"
        )


def test_port_of_a_powerpi_that_has_just_stopped_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""  # closed by the server first: its end stays in TIME_WAIT
    assert check.check_port(with_(listen=("127.0.0.1", port))).right


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_address_that_is_not_this_machines_is_wrong(host: str) -> None:
    found = check.check_port(with_(listen=(host, 8080)))  # RFC 5737, RFC 6761: nobody's
    assert found.right is False
    assert f"cannot be served at {host} port 8080: " in found.said
    assert not found.said.endswith("None")


# ---------------------------------------------------------------- the program


def test_program_that_draws_is_found_or_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check.check_program() == Finding("rrdtool", False, "the program is missing: apt-get install rrdtool")
    (tmp_path / "rrdtool").touch(mode=0o755)
    assert check.check_program() == Finding("rrdtool", True, str(tmp_path / "rrdtool"))


# ---------------------------------------------------------------- the pins


@pytest.fixture
def factory(clock: HandClock) -> ClockedFactory:
    return ClockedFactory(clock)


def test_open_contact_is_right(factory: ClockedFactory) -> None:
    found = check.check_pin(factory, SETTINGS.meters[0])
    assert found == Finding("meter house", True, "GPIO24, 1000 imp/kWh, contact open")


class ClosedFactory(ClockedFactory):
    """Pins whose contact stays closed, whatever the pull."""

    def pin(self, spec: Any, *arguments: Any, **options: Any) -> Any:
        pin = super().pin(spec, *arguments, **options)
        pin.drive_high = lambda: None
        pin.drive_low()
        return pin


def test_closed_contact_is_to_be_looked_at(clock: HandClock) -> None:
    found = check.check_pin(ClosedFactory(clock), SETTINGS.meters[0])
    assert found.right is None
    assert "closed now" in found.said


def test_pin_that_is_refused_is_wrong(factory: ClockedFactory) -> None:
    found = check.check_pin(factory, dataclasses.replace(SETTINGS.meters[0], gpio=2, pull="down"))
    assert found.right is False
    assert "GPIO2 cannot be used" in found.said
    assert "a running PowerPi" in found.said


def test_a_looked_at_pin_is_let_go(factory: ClockedFactory) -> None:
    check.check_pin(factory, SETTINGS.meters[0])
    assert factory.pin(24).when_changed is None


def test_every_meter_is_looked_at(factory: ClockedFactory) -> None:
    found = list(check.check_pins(SETTINGS, lambda: factory))
    assert [(finding.what, finding.right) for finding in found] == [("meter house", True), ("meter pump", True)]


def test_a_machine_without_pins_is_wrong_once() -> None:
    def none() -> object:
        raise PinError("no Raspberry Pi GPIO chip found")

    assert list(check.check_pins(SETTINGS, none)) == [Finding("gpio", False, "no Raspberry Pi GPIO chip found")]


def test_everything_is_looked_at_in_the_order_of_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gpiozero.Device.pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    found = list(check.findings(with_(state=tmp_path)))
    assert [finding.what for finding in found] == ["state", "clock", "port", "rrdtool", "meter house", "meter pump"]
    assert all(finding.said for finding in found)


# ---------------------------------------------------------------- the mirror


def config_of(folder: Path, push: str) -> Path:
    path = folder / "powerpi.conf"
    path.write_text(f"[powerpi]\nstate = {folder}\nnetwork_time = no\ntimezone = UTC\n[meter house]\ngpio = 24\n{push}")
    return path


def test_a_configuration_without_passwords_may_be_read_by_all(tmp_path: Path) -> None:
    path = config_of(tmp_path, "")
    assert check.check_secrets(path, load(path)) is None


@pytest.mark.parametrize(("mode", "right"), [(0o640, True), (0o600, True), (0o644, False), (0o641, False)])
def test_a_password_is_for_owner_and_group_alone(tmp_path: Path, mode: int, right: bool) -> None:
    path = config_of(tmp_path, "[push]\nurl = http://127.0.0.1:9/\nuser = pi-hq\npassword = geheim\n")
    path.chmod(mode)
    found = check.check_secrets(path, load(path))
    assert found
    assert found.right is right
    assert "geheim" not in found.said
    assert right or f"chmod o= {path}" in found.said


def test_a_mirror_that_answers_says_what_it_holds(tmp_path: Path, clock: HandClock) -> None:
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        settings = load(config_of(tmp_path, f"[push]\nurl = {mirroring.url}\nuser = {SENDER}\npassword = {PASSWORD}\n"))
        assert settings.push
        empty = check.check_mirror(settings, settings.push)
        assert empty == Finding("mirror", True, "127.0.0.1 answers, it holds nothing yet")
        pi = Pi(tmp_path / "pi", mirroring.url)
        pi.write(2)
        clock.now += 100
        pi.push()
        held = check.check_mirror(settings, settings.push)
    assert held == Finding("mirror", True, "127.0.0.1 answers, it holds house up to 2023-11-14 22:13:30")


def test_a_mirror_that_is_away_is_wrong(tmp_path: Path) -> None:
    settings = load(config_of(tmp_path, "[push]\nurl = http://127.0.0.1:9/\nuser = pi-hq\npassword = geheim\n"))
    assert settings.push
    found = check.check_mirror(settings, settings.push)
    assert (found.what, found.right) == ("mirror", False)
    assert found.said.startswith("127.0.0.1 cannot be reached: ")


def test_the_old_server_can_only_be_asked_by_sending(tmp_path: Path) -> None:
    settings = load(config_of(tmp_path, "[push]\nurl = https://power.example.org/get.php\nprotocol = get.php\n"))
    assert settings.push
    assert check.check_mirror(settings, settings.push).right is None
