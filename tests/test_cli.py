"""The command line: exit codes, and what is said on which stream. Signals are test_daemon's."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from powerpi import __version__, cli
from powerpi.clock import SystemClock
from powerpi.folder import locked_folder
from powerpi.store import Store

HERE = Path(__file__).parent
Streams = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def mock_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pins without a Pi, as in a new process."""
    monkeypatch.setattr("gpiozero.Device.pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def conf(tmp_path: Path, state: Path) -> Path:
    """A right configuration with two meters."""
    path = tmp_path / "powerpi.conf"
    text = f"[powerpi]\nstate = {state}\nlisten = 127.0.0.1:0\nnetwork_time = no\n[store]\narchive_years = 0\n"
    path.write_text(f"{text}[meter house]\ngpio = 24\n[meter pump]\ngpio = 23\n", encoding="utf-8")
    return path


def change(conf: Path, old: str, new: str) -> None:
    text = conf.read_text(encoding="utf-8")
    assert old in text
    conf.write_text(text.replace(old, new), encoding="utf-8")


def run(command: str, conf: Path) -> int:
    return cli.main([command, "--config", str(conf)])


# ---------------------------------------------------------------- arguments


def asked(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ending:
        cli.main(arguments)
    return ending.value.code


def test_version(capsys: Streams) -> None:
    assert asked("--version") == 0
    assert capsys.readouterr().out == f"powerpi {__version__}\n"


def test_help_lists_every_command(capsys: Streams) -> None:
    assert asked("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.split()[:1] == [command] for line in lines) for command in cli.COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["count"], "invalid choice: 'count'"),
        (["run", "--speed", "9"], "unrecognized arguments: --speed 9"),
        (["demo", "--port", "99999"], "argument --port"),
        (["demo", "--port", "http"], "argument --port"),
        (["demo", "--seed", "luck"], "argument --seed"),
    ],
)
def test_wrong_arguments_are_told_and_end_with_2(arguments: list[str], said: str, capsys: Streams) -> None:
    assert asked(*arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "check", "create"])
def test_configuration_is_looked_for_in_etc_unless_named(command: str) -> None:
    assert cli.parser().parse_args([command]).config == Path("/etc/powerpi.conf")


def test_python_m_powerpi_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "powerpi", "check", "--config", "/none.conf"],
        capture_output=True, text=True, cwd=HERE.parent, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (78, "")
    assert "/none.conf cannot be read" in done.stderr


# ---------------------------------------------------------------- 78: the configuration


@pytest.mark.parametrize("command", ["run", "check", "create"])
def test_a_wrong_configuration_ends_with_78_and_every_fault_on_standard_error(
    command: str, conf: Path, state: Path, capsys: Streams
) -> None:
    change(conf, "gpio = 24", "gpio = 99")
    change(conf, "archive_years = 0", "archive_year = 0")
    assert run(command, conf) == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        f"powerpi: {conf} is wrong:",
        "  [store] archive_year: unknown key, did you mean archive_years?",
        "  [meter house] gpio = 99: wanted a GPIO number from 0 to 27",
    ]
    assert not state.exists()


# ---------------------------------------------------------------- 74: the store


@pytest.mark.parametrize("command", ["run", "create"])
def test_a_state_folder_that_cannot_be_used_ends_with_74(
    command: str, conf: Path, state: Path, capsys: Streams
) -> None:
    state.touch()
    assert run(command, conf) == 74
    assert f"powerpi: state folder {state} cannot be used: " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "create"])
def test_a_state_folder_that_another_powerpi_holds_ends_with_74(
    command: str, conf: Path, state: Path, capsys: Streams
) -> None:
    with locked_folder(state):
        assert run(command, conf) == 74
    assert f"state folder {state} is in use by another powerpi" in capsys.readouterr().err


# ---------------------------------------------------------------- 69: pins and ports


def test_a_pin_that_cannot_be_used_ends_with_69(conf: Path, capsys: Streams) -> None:
    change(conf, "gpio = 24", "gpio = 2\npull = down")
    assert run("run", conf) == 69
    assert "powerpi: GPIO2 cannot be used as an input with pull down" in capsys.readouterr().err


def test_a_machine_without_pins_ends_with_69(
    conf: Path, state: Path, capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "telepathy")
    assert run("run", conf) == 69
    assert "powerpi: GPIOZERO_PIN_FACTORY is 'telepathy'" in capsys.readouterr().err
    assert not state.exists()


def test_a_port_that_is_taken_ends_with_69(conf: Path, capsys: Streams) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        change(conf, "127.0.0.1:0", f"127.0.0.1:{port}")
        assert run("run", conf) == 69
    assert f"{port}" in capsys.readouterr().err


# ---------------------------------------------------------------- create


def test_create_makes_the_rrd_of_every_meter(conf: Path, state: Path, capsys: Streams) -> None:
    assert run("create", conf) == 0
    assert capsys.readouterr().out.splitlines() == [f"made {state}/house.rrd", f"made {state}/pump.rrd"]
    assert sorted(path.name for path in state.glob("*.rrd")) == ["house.rrd", "pump.rrd"]


def test_create_never_overwrites_and_makes_what_is_missing(conf: Path, state: Path, capsys: Streams) -> None:
    assert run("create", conf) == 0
    (state / "pump.rrd").unlink()
    before = (state / "house.rrd").read_bytes()
    capsys.readouterr()
    assert run("create", conf) == 74
    told = capsys.readouterr()
    assert told.out == f"made {state}/pump.rrd\n"
    assert told.err.startswith("powerpi: ")
    assert "house.rrd" in told.err
    assert (state / "house.rrd").read_bytes() == before


def test_a_created_rrd_takes_a_row_at_the_boundary_before_it(conf: Path, state: Path) -> None:
    from threading import Lock  # noqa: PLC0415

    from powerpi.pulses import Row  # noqa: PLC0415

    assert run("create", conf) == 0
    store = Store(state, "house", 0, Lock())
    store.open(0)
    begun = int((state / "house.rrd").stat().st_mtime) // 10 * 10
    store.write([Row(begun, 1.0)])
    assert store.last_row == Row(begun, 1.0)


# ---------------------------------------------------------------- check


def test_check_says_a_line_for_everything_and_ends_with_0(conf: Path, state: Path, capsys: Streams) -> None:
    assert run("check", conf) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"ok    configuration: {conf}, 2 meter(s)"
    assert [line[:4] for line in lines] == ["ok  "] * 7
    assert [line[6:].split(":")[0] for line in lines[1:]] == [
        "state", "clock", "port", "rrdtool", "meter house", "meter pump",
    ]  # fmt: skip
    assert not state.exists()


def test_check_ends_with_1_when_something_is_wrong_and_says_the_rest_all_the_same(
    conf: Path, state: Path, capsys: Streams
) -> None:
    state.touch()
    assert run("check", conf) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith("ok")] == ["BAD   state"]
    assert len(lines) == 7


def test_check_ends_with_0_when_something_only_wants_a_look(conf: Path, capsys: Streams) -> None:
    change(conf, "network_time = no", "network_time = yes")
    assert run("check", conf) == 0
    looks = [line for line in capsys.readouterr().out.splitlines() if line.startswith("look")]
    assert len(looks) == (0 if SystemClock(network_time=True).trusted() else 1)


# ---------------------------------------------------------------- the demo


def test_a_demo_without_its_recorded_load_ends_with_78(tmp_path: Path, capsys: Streams) -> None:
    assert cli.main(["demo", "--load", str(tmp_path / "none.csv"), "--state", str(tmp_path), "--port", "0"]) == 78
    assert "none.csv" in capsys.readouterr().err
