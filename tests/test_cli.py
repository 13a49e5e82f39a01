"""The command line: exit codes, and what is said on which stream. Signals are test_daemon's."""

from __future__ import annotations

import io
import os
import pwd
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import START, HandClock
from pair import HASH, PASSWORD, SENDER, Mirroring, Pi, flip_bit

from powerpi import __version__, cli, passwords
from powerpi.clock import SystemClock
from powerpi.digests import Unit
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
    listed = re.findall(r"^ {4}([a-z]+)(?: \(([a-z]+)\))?", capsys.readouterr().out, flags=re.MULTILINE)
    assert {name for names in listed for name in names if name} == set(cli.COMMANDS)


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("command", ["run", "check", "reading house", "backup", "setup", "export house"])
def test_who_may_not_read_the_configuration_is_told_to_try_sudo_in_one_sentence(command: str, capsys: Streams) -> None:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name, "powerpi.conf")
        path.write_text("[meter house]\ngpio = 24\n", encoding="utf-8")
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            code = cli.main([*command.split(), "--config", str(path)])
        finally:
            os.seteuid(0)
    who = pwd.getpwuid(65534).pw_name
    assert (code, capsys.readouterr().err) == (78, f"powerpi: {path} may not be read by {who}: try it with sudo\n")


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


def check(conf: Path, *arguments: str) -> int:
    return cli.main(["check", "--config", str(conf), "--seconds", "0", *arguments])


def looked_at(text: str) -> dict[str, str]:
    """What was looked at, and its state."""
    return {line[6:].split(":")[0]: line[:4].strip() for line in text.splitlines()}


def test_check_says_a_line_for_everything_and_ends_with_0(conf: Path, state: Path, capsys: Streams) -> None:
    assert check(conf) == 0
    told = capsys.readouterr().out
    assert f"ok    configuration: {conf}, 2 meters" in told.splitlines()
    assert looked_at(told) == {
        "version": "ok", "configuration": "ok", "powerpi": "look", "user": "ok", "gpio": "look", "state": "ok",
        "clock": "ok", "port": "ok", "rrdtool": "ok", "backups": "look", "meter house": "ok", "meter pump": "ok",
        "rows house": "look", "counter house": "look", "rows pump": "look", "counter pump": "look",
    }  # fmt: skip
    assert not state.exists()


def test_check_ends_with_1_when_something_is_wrong_and_says_the_rest_all_the_same(
    conf: Path, state: Path, capsys: Streams
) -> None:
    state.touch()
    assert check(conf) == 1
    found = looked_at(capsys.readouterr().out)
    assert [what for what, right in found.items() if right == "BAD"] == ["state"]
    assert len(found) == 16


def test_check_ends_with_0_when_something_only_wants_a_look(conf: Path, capsys: Streams) -> None:
    change(conf, "network_time = no", "network_time = yes")
    assert check(conf) == 0
    assert looked_at(capsys.readouterr().out)["clock"] == ("ok" if SystemClock(network_time=True).trusted() else "look")


def test_doctor_is_another_name_of_check(conf: Path, capsys: Streams) -> None:
    assert cli.main(["doctor", "--config", str(conf), "--seconds", "0"]) == 0
    doctor = capsys.readouterr().out
    check(conf)
    assert doctor.splitlines()[:2] == capsys.readouterr().out.splitlines()[:2]


def test_check_report_is_a_text(conf: Path, capsys: Streams) -> None:
    assert check(conf, "--report") == 0
    told = capsys.readouterr().out
    assert told.startswith("# PowerPi bug report\n")
    assert "[meter house]\ngpio = 24\n" in told


def test_check_watch_of_a_meter_that_is_none_ends_with_65(conf: Path, capsys: Streams) -> None:
    assert check(conf, "--watch", "--meter", "garage") == 65
    assert "--meter 'garage': wanted one of the meters that are counted here, house, pump" in capsys.readouterr().err


def test_check_of_one_meter_is_for_watching(conf: Path, capsys: Streams) -> None:
    assert check(conf, "--meter", "house") == 2
    assert "--meter goes with --watch alone" in capsys.readouterr().err


def test_check_watch_and_report_are_two_things(conf: Path, capsys: Streams) -> None:
    assert asked("check", "--watch", "--report") == 2
    assert "not allowed with" in capsys.readouterr().err


# ---------------------------------------------------------------- the demo


def test_a_demo_without_its_recorded_load_ends_with_78(tmp_path: Path, capsys: Streams) -> None:
    assert cli.main(["demo", "--load", str(tmp_path / "none.csv"), "--state", str(tmp_path), "--port", "0"]) == 78
    assert "none.csv" in capsys.readouterr().err


# ---------------------------------------------------------------- push and restore


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    clock.ahead += 86400
    with Mirroring(tmp_path / "mirror", clock, meters="house, pump").serving() as running:
        yield running


def with_push(conf: Path, url: str, password: str = PASSWORD, extra: str = "") -> None:
    with conf.open("a", encoding="utf-8") as file:
        file.write(f"[push]\nurl = {url}\nuser = {SENDER}\npassword = {password}\n{extra}")


def restore(conf: Path) -> int:
    return cli.main(["restore", "--from-mirror", "--config", str(conf)])


def test_push_sends_and_restore_fetches(conf: Path, state: Path, mirroring: Mirroring, capsys: Streams) -> None:
    with_push(conf, mirroring.url)
    Pi(state, mirroring.url, archive_years=0).write(10)
    assert cli.main(["push", "--verify", "--counter", "--config", str(conf)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(" up to ")[0] for line in told] == [
        "house: in step", "house: identical", "pump: nothing has been counted yet",
    ]  # fmt: skip
    assert restore(conf) == 0
    assert capsys.readouterr().out.splitlines() == [
        # 9 rows of 500 W: 12.5 pulses
        "house: 0 rows and 0 older means came back; the counter stands at 13 pulses (before: 13)",
        "pump: 127.0.0.1 knows nothing of it",
    ]


@pytest.mark.parametrize("arguments", [["push", "--from-mirror"], ["password", "--config", "x"]])
def test_wrong_arguments_of_the_mirrors_commands_end_with_2(arguments: list[str]) -> None:
    assert asked(*arguments) == 2


def test_a_mirror_that_is_away_ends_with_69(conf: Path, state: Path, capsys: Streams) -> None:
    with_push(conf, "http://127.0.0.1:1")
    Pi(state, "http://127.0.0.1:1", archive_years=0).write(10)
    for command in (lambda: run("push", conf), lambda: restore(conf)):
        assert command() == 69
        assert "powerpi: 127.0.0.1 cannot be reached: Connection refused\n" in capsys.readouterr().err


def test_a_password_that_the_mirror_does_not_know_ends_with_69(
    conf: Path, state: Path, mirroring: Mirroring, capsys: Streams
) -> None:
    with_push(conf, mirroring.url, "something else")
    Pi(state, mirroring.url, archive_years=0).write(10)
    assert run("push", conf) == 69
    assert "powerpi: 127.0.0.1 does not take this user and password" in capsys.readouterr().err


def test_rows_that_differ_on_both_ends_and_cannot_be_put_right_end_with_1(
    conf: Path, state: Path, mirroring: Mirroring
) -> None:
    with_push(conf, mirroring.url)
    pi = Pi(state, mirroring.url, archive_years=0)
    pi.write(2 * 8640)
    mirroring.clock.now += 2 * 86400
    assert run("push", conf) == 0
    midnight = START // 86400 * 86400 + 86400
    pi.ledger.digests(10, midnight, midnight + 86400)
    flip_bit(pi.store.rrd, midnight + 5000)
    mirroring.meter().ledger.put(Unit(10, midnight + 6000, midnight + 6010), [9.0])
    assert cli.main(["push", "--verify", "--config", str(conf)]) == 1


def test_a_folder_that_the_daemon_holds_ends_restore_with_74_and_lets_push_go_on(
    conf: Path, state: Path, mirroring: Mirroring, capsys: Streams
) -> None:
    with_push(conf, mirroring.url)
    Pi(state, mirroring.url, archive_years=0).write(10)
    with locked_folder(state):
        assert restore(conf) == 74
        assert "is in use by another powerpi; stop that one first" in capsys.readouterr().err
        assert run("push", conf) == 0


def test_a_store_that_cannot_be_read_ends_push_with_74(
    conf: Path, state: Path, mirroring: Mirroring, capsys: Streams
) -> None:
    with_push(conf, mirroring.url)
    state.mkdir()
    (state / "house.rrd").write_bytes(b"something else")
    with locked_folder(state):  # a daemon would have set it aside at its start
        assert run("push", conf) == 74
    assert f"powerpi: {state}/house.rrd is not an RRD\n" in capsys.readouterr().err


def test_push_and_restore_without_a_mirror_end_with_78(conf: Path, capsys: Streams) -> None:
    for command in (lambda: run("push", conf), lambda: restore(conf)):
        assert command() == 78
        assert "  [push] is missing: wanted url, user and password of a mirror\n" in capsys.readouterr().err


def test_restore_from_a_server_that_gives_nothing_back_ends_with_78(conf: Path, capsys: Streams) -> None:
    with_push(conf, "http://127.0.0.1:1", extra="protocol = get.php\nmeters = house\n")
    assert restore(conf) == 78
    assert "  [push] protocol = get.php: wanted powerpi" in capsys.readouterr().err


def test_restore_wants_to_be_told_where_from(conf: Path, capsys: Streams) -> None:
    assert run("restore", conf) == 2
    assert capsys.readouterr().err == "powerpi restore: wanted either the FILE of a backup or --from-mirror\n"


# ---------------------------------------------------------------- password


def typed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize(("option", "cost"), [([], passwords.USUAL_LOG2_N), (["--quick"], passwords.QUICK_LOG2_N)])
def test_password_makes_a_hash_of_what_is_piped_in(
    option: list[str], cost: int, capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(f"{PASSWORD}\nsecond line\n", monkeypatch)
    assert cli.main(["password", *option]) == 0
    told = capsys.readouterr()
    [made] = told.out.splitlines()
    assert told.err == ""
    assert made.split("$")[:2] == ["scrypt", str(cost)]
    assert passwords.matches(PASSWORD, passwords.read_hash(made))
    assert made != HASH


def test_a_password_is_asked_for_twice_on_a_terminal(capsys: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [PASSWORD, PASSWORD, "one", "another"]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: answers.pop(0))
    assert cli.main(["password", "--quick"]) == 0
    assert passwords.matches(PASSWORD, passwords.read_hash(capsys.readouterr().out.strip()))
    assert cli.main(["password", "--quick"]) == 65
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "powerpi: the two differ; nothing was made\n")


def test_an_empty_password_ends_with_65(capsys: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    typed("", monkeypatch)
    assert cli.main(["password"]) == 65
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("powerpi: ")


def test_a_mirror_without_meters_of_its_own_needs_no_pins(
    tmp_path: Path, conf: Path, capsys: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "telepathy")
    conf.write_text(
        f"[powerpi]\nstate = {tmp_path}/file/state\nlisten = 127.0.0.1:0\n[mirror]\naccept = yes\n"
        f"[mirror {SENDER}]\npassword_hash = {HASH}\nmeters = house\n"
    )
    (tmp_path / "file").touch()
    assert run("run", conf) == 74  # it comes as far as its files
    assert "pins" not in capsys.readouterr().err


# ---------------------------------------------------------------- standard streams that take or give nothing


def in_shell(command: str, conf: Path, buffered: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `command` in a shell, where $P is powerpi and $C names the configuration."""
    variables = {"P": f"{sys.executable} -m powerpi", "C": f"--config {conf}", "GPIOZERO_PIN_FACTORY": "mock"}
    environment = {**os.environ, **variables, "PYTHONUNBUFFERED": "" if buffered else "1"}
    line = ["bash", "-c", f"set -o pipefail; {command}"]
    return subprocess.run(line, capture_output=True, text=True, cwd=HERE.parent, check=False, env=environment)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", ["--help", "check $C --seconds 0", "export house $C", "backup - $C"])
def test_an_output_that_is_full_is_one_sentence(command: str, buffered: bool, conf: Path) -> None:
    run("create", conf)
    ran = in_shell(f"$P {command} >/dev/full", conf, buffered)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (
        74,
        "powerpi: standard output: No space left on device",
    )
    assert ran.stderr.count("powerpi:") == 1
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("buffered", [True, False])
def test_whoever_reads_may_have_enough(buffered: bool, conf: Path) -> None:
    ran = in_shell("$P check $C --seconds 0 | head -1", conf, buffered)
    assert (ran.returncode, ran.stdout.count("\n"), ran.stderr) == (141, 1, "")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("export house $C >&-", 74, "powerpi: standard output: Bad file descriptor\n"),
        ("backup - $C >&-", 74, "powerpi: standard output: Bad file descriptor\n"),
        ("import house - $C <&-", 74, "powerpi: the file: Bad file descriptor\n"),
        ("export house $C 2>&-", 0, ""),
    ],
)
def test_streams_that_are_closed_are_one_sentence(command: str, code: int, said: str, conf: Path) -> None:
    run("create", conf)
    ran = in_shell(f"$P {command}", conf)
    assert ran.returncode == code
    assert ran.stderr.endswith(said)
    assert ran.stderr.count("powerpi:") == bool(said)
    assert "Traceback" not in ran.stderr
