"""`powerpi check`, the machine: real folders, sockets, users and files."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import HandClock
from pair import HASH, Mirroring

from powerpi import __version__, check_machine, config
from powerpi.check_machine import RRD_BYTES, Account, account, may_use, service_account
from powerpi.clock import kernel_synchronised
from powerpi.config import Settings, load
from powerpi.finding import Finding
from powerpi.folder import locked_folder
from powerpi.notify import service_command
from powerpi.store import Store

SETTINGS = config.parse("[powerpi]\ntimezone = Europe/Berlin\n[meter house]\ngpio = 24\n[meter pump]\ngpio = 23")
AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
WELL: dict[str, Any] = {"status": "ok", "faults": [], "warnings": [], "version": __version__}


def with_(**changes: Any) -> Settings:
    return dataclasses.replace(SETTINGS, **changes)


# ---------------------------------------------------------------- the state folder


def test_state_folder_that_is_there_is_right(tmp_path: Path) -> None:
    found = check_machine.check_state(tmp_path, ["house"])
    assert found.right
    assert found.said.startswith(f"{tmp_path}, ")
    assert " MB free, enough for good" in found.said


def test_state_folder_that_can_be_made_is_right_and_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/powerpi"
    found = check_machine.check_state(folder, ["house"])
    assert found.right
    assert "(will be made)" in found.said
    assert list(tmp_path.iterdir()) == []


def test_state_below_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = check_machine.check_state(tmp_path / "file" / "state", ["house"])
    assert found == Finding("state", False, f"{tmp_path}/file is not a folder; name another one in [powerpi] state")


@AS_ROOT
def test_state_folder_of_somebody_else_is_wrong(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    found = check_machine.check_state(tmp_path / "state", ["house"])
    assert found.right is False
    assert f"{tmp_path} cannot be written by this user" in found.said


@AS_ROOT
def test_state_folder_behind_a_closed_door_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    found = check_machine.check_state(tmp_path / "closed/inner/state", ["house"])
    assert found.right is False
    assert f"{tmp_path}/closed cannot be written by this user" in found.said


def test_read_only_file_system_is_wrong_for_root_too() -> None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    places = [Path(place) for _, place, _, options, *_ in mounts if "ro" in options.split(",") and Path(place).is_dir()]
    if not places:
        pytest.skip("nothing is mounted read-only here")
    found = check_machine.check_state(places[0] / "powerpi", [])
    assert found.right is False
    assert f"{places[0]} cannot be written" in found.said


def test_too_little_room_for_the_rrds_to_be_made_is_wrong(tmp_path: Path) -> None:
    fitting = shutil.disk_usage(tmp_path).free // RRD_BYTES
    found = check_machine.check_state(tmp_path, [f"meter{number}" for number in range(fitting + 50)])
    assert found.right is False
    assert f"need {(fitting + 50) * 31} MB" in found.said


def test_rrds_that_are_made_need_no_more_room(tmp_path: Path) -> None:
    meters = [f"meter{number}" for number in range(shutil.disk_usage(tmp_path).free // RRD_BYTES + 50)]
    for meter in meters:
        (tmp_path / f"{meter}.rrd").touch()
    assert check_machine.check_state(tmp_path, meters).right


def test_room_of_one_rrd_is_what_a_real_one_takes(make_store: Callable[..., Store]) -> None:
    store = make_store()
    store.create(1_700_000_000)
    assert store.rrd.stat().st_size <= RRD_BYTES <= store.rrd.stat().st_size * 1.05


# ---------------------------------------------------------------- the clock


def test_clock_without_network_time_is_right() -> None:
    found = check_machine.check_clock(with_(network_time=False))
    assert found == Finding("clock", True, "taken as it is (network_time = no), time zone Europe/Berlin")


def test_clock_with_network_time_is_right_when_it_is_synchronised_and_else_to_be_looked_at() -> None:
    found = check_machine.check_clock(with_(clock_wait_seconds=123))
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
    found = check_machine.check_port(with_(listen=("127.0.0.1", taken_port), state=tmp_path))
    assert found.right is False
    assert f"127.0.0.1 port {taken_port}: Address already in use" in found.said


def test_a_page_that_answers_says_its_health(tmp_path: Path, clock: HandClock) -> None:
    with Mirroring(tmp_path / "state", clock).serving() as served, locked_folder(tmp_path / "state"):
        where = with_(listen=("127.0.0.1", served.port), state=tmp_path / "state")
        said = f"answers at 127.0.0.1 port {served.port}, its health: "
        served.parts.counting.start()
        assert check_machine.check_port(where) == Finding("page", True, said + "ok")
        clock.is_trusted = served.parts.counting.trusted = False
        assert check_machine.check_port(where) == Finding("page", None, said + "warning")
        served.parts.counting.stop()
        assert check_machine.check_port(where) == Finding("page", False, said + "fault")


def test_a_page_for_viewers_alone_answers(tmp_path: Path, clock: HandClock) -> None:
    viewer = f"[viewer anna]\npassword_hash = {HASH}\n"
    with Mirroring(tmp_path / "state", clock, viewer).serving() as served:
        found = check_machine.check_page("0.0.0.0", served.port)
    assert found == Finding("page", True, f"answers at 0.0.0.0 port {served.port}, to viewers alone")


def test_a_page_that_does_not_answer_where_powerpi_runs_is_wrong(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with locked_folder(tmp_path):
        found = check_machine.check_port(with_(listen=("127.0.0.1", port), state=tmp_path))
    assert (found.what, found.right) == ("page", False)
    assert f"its page does not answer at 127.0.0.1 port {port}: [Errno 111] Connection refused" in found.said


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<h1>It works!</h1>"), (404, b"{}"), (200, b"[]"), (200, b"{}"), (302, b'{"status": "ok"}')],
    ids=["html", "404", "list", "empty", "elsewhere"],
)
def test_somebody_elses_page_is_wrong(status: int, body: bytes) -> None:
    right, said = check_machine._health_said(status, body, "0.0.0.0 port 80")
    assert right is False
    assert said.startswith(f"something else than PowerPi answers at 0.0.0.0 port 80 (HTTP {status})")


def test_free_port_is_right_and_stays_free(taken_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for _ in range(2):
        assert check_machine.check_port(with_(listen=("127.0.0.1", port))) == Finding(
            "port", True, f"127.0.0.1 port {port} is free"
        )


def test_port_of_a_powerpi_that_has_just_stopped_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""  # closed by the server first: its end stays in TIME_WAIT
    assert check_machine.check_port(with_(listen=("127.0.0.1", port))).right


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_address_that_is_not_this_machines_is_wrong(host: str) -> None:
    found = check_machine.check_port(with_(listen=(host, 8080)))  # RFC 5737, RFC 6761: nobody's
    assert found.right is False
    assert f"cannot be served at {host} port 8080: " in found.said
    assert not found.said.endswith("None")


# ---------------------------------------------------------------- the program


def test_program_that_draws_is_found_or_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_machine.check_program() == Finding("rrdtool", False, "the program is missing: apt-get install rrdtool")
    (tmp_path / "rrdtool").touch(mode=0o755)
    assert check_machine.check_program() == Finding("rrdtool", True, str(tmp_path / "rrdtool"))


# ---------------------------------------------------------------- passwords


def config_of(folder: Path, push: str) -> Path:
    path = folder / "powerpi.conf"
    path.write_text(f"[powerpi]\nstate = {folder}\nnetwork_time = no\ntimezone = UTC\n[meter house]\ngpio = 24\n{push}")
    return path


def test_a_configuration_without_passwords_may_be_read_by_all(tmp_path: Path) -> None:
    path = config_of(tmp_path, "")
    assert check_machine.check_secrets(path, load(path)) is None


@pytest.mark.parametrize(("mode", "right"), [(0o640, True), (0o600, True), (0o644, False), (0o641, False)])
def test_a_password_is_for_owner_and_group_alone(tmp_path: Path, mode: int, right: bool) -> None:
    path = config_of(tmp_path, "[push]\nurl = http://127.0.0.1:9/\nuser = pi-hq\npassword = geheim\n")
    path.chmod(mode)
    found = check_machine.check_secrets(path, load(path))
    assert found
    assert found.right is right
    assert "geheim" not in found.said
    assert right or f"chmod o= {path}" in found.said


# ---------------------------------------------------------------- who runs it


def test_the_owner_of_the_state_folder_is_who_powerpi_runs_as(tmp_path: Path) -> None:
    assert service_account(tmp_path) == account(os.geteuid())
    known = [entry.pw_name for entry in pwd.getpwall()]
    assert service_account(tmp_path / "none").name == ("powerpi" if "powerpi" in known else account(os.geteuid()).name)


def test_a_user_without_a_name_is_its_number() -> None:
    assert account(54321) == Account("54321", 54321, frozenset())


@pytest.mark.parametrize(
    ("mode", "number", "groups", "may"),
    [
        (0o660, 1000, {20}, True),  # by the group
        (0o660, 1000, {30}, False),
        (0o660, 10, set(), True),  # its owner
        (0o060, 10, {20}, False),  # its owner counts as owner alone
        (0o640, 1000, {20}, False),  # to read does not do
        (0o666, 1000, set(), True),
        (0o600, 0, set(), True),  # root
    ],
)
def test_who_may_use_a_device_follows_from_its_mode(mode: int, number: int, groups: set[int], may: bool) -> None:
    device = os.stat_result((0o020000 | mode, 0, 0, 1, 10, 20, 0, 0, 0, 0))
    assert may_use(device, Account("anna", number, frozenset(groups))) is may


def test_a_user_who_may_use_the_chip_is_right(tmp_path: Path) -> None:
    device = tmp_path / "gpiochip0"
    device.touch(mode=0o660)
    found = check_machine.check_user(tmp_path, device)
    assert found.right
    assert f"PowerPi runs as {account(os.geteuid()).name}" in found.said
    assert f"and may use {device}" in found.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_user_who_may_not_use_the_chip_is_told_which_group_lacks(tmp_path: Path) -> None:
    device, state = tmp_path / "gpiochip0", tmp_path / "state"
    device.touch()
    device.chmod(0o660)
    state.mkdir()
    os.chown(state, 65534, 65534)
    nobody = account(65534).name
    found = check_machine.check_user(state, device)
    assert found.right is False
    assert found.said == (
        f"PowerPi runs as {nobody}, who may not use {device} (group root, 660): sudo usermod --append --groups root"
        f" {nobody}, and restart PowerPi (this command: root)"
    )


def test_a_machine_without_a_chip_says_what_was_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    if list(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip")
    found, device = check_machine.check_chip()
    assert (found.what, found.right, device) == ("gpio", False, None)
    assert found.said.startswith("no Raspberry Pi GPIO chip found")


def test_the_chip_is_named_with_its_label(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr("powerpi.pin.header_chip", lambda: tmp_path / "gpiochip0")
    monkeypatch.setattr("powerpi.check_machine.chip_label", lambda _: "pinctrl-bcm2711")
    found, device = check_machine.check_chip()
    assert found == Finding("gpio", True, f"{tmp_path}/gpiochip0, pinctrl-bcm2711")
    assert device == tmp_path / "gpiochip0"


def test_other_pins_than_the_headers_want_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    found, device = check_machine.check_chip()
    assert (found.right, device) == (None, None)
    assert "'mock'" in found.said


# ---------------------------------------------------------------- what runs


def test_the_version_comes_with_python_and_system() -> None:
    found = check_machine.check_version()
    assert found.said.startswith(f"PowerPi {__version__}, Python 3.")


@pytest.mark.parametrize(
    ("changes", "right", "said"),
    [
        ({}, True, f"runs, version {__version__}"),
        ({"warnings": ["No pulse."]}, None, f"runs, version {__version__}; No pulse."),
        ({"faults": ["Disk."], "warnings": ["No pulse."]}, False, f"runs, version {__version__}; Disk.; No pulse."),
    ],
    ids=["well", "warning", "fault"],
)
def test_a_powerpi_that_runs_says_how_it_is(
    tmp_path: Path, changes: dict[str, Any], right: bool | None, said: str
) -> None:
    assert check_machine.check_running(tmp_path, {**WELL, **changes}) == Finding("powerpi", right, said)


def test_another_version_that_still_runs_wants_a_restart(tmp_path: Path) -> None:
    found = check_machine.check_running(tmp_path, {**WELL, "version": "0.9"})
    assert found.right is None
    assert found.said == f"runs, version 0.9; this command is {__version__}: {service_command('restart')}"


def test_a_powerpi_that_does_not_run_is_told_from_one_that_does_not_answer(tmp_path: Path) -> None:
    assert check_machine.check_running(tmp_path, "nobody").said.startswith("does not run; start it with: ")
    with locked_folder(tmp_path):
        assert check_machine.check_running(tmp_path, "nobody").said == "runs, but cannot be asked: nobody"


def test_a_clock_that_is_waited_for_is_told() -> None:
    if kernel_synchronised() or Path("/run/systemd/timesync/synchronized").exists():
        pytest.skip("this machine's clock is right")
    waits = check_machine.check_clock(SETTINGS, {"clock": {"waiting": True, "trusted": False}})
    assert "PowerPi holds its rows back until then" in waits.said
    given_up = check_machine.check_clock(SETTINGS, {"clock": {"waiting": False, "trusted": False}})
    assert "holds its rows" not in given_up.said
    trusted = check_machine.check_clock(SETTINGS, {"clock": {"waiting": False, "trusted": True}})
    assert trusted == Finding("clock", True, "the PowerPi that runs trusts it, time zone Europe/Berlin")


def test_a_chip_that_is_not_seen_is_no_fault_beside_a_powerpi_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    if any(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has a GPIO chip")
    assert check_machine.check_chip()[0].right is False
    found, device = check_machine.check_chip(running=True)
    assert (found.right, device) == (True, None)
    assert found.said.endswith("the PowerPi that runs has its pins")
