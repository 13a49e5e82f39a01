"""`powerpi check --report`: what is told, and that no secret ever is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Line, counting_with_door

from powerpi import __version__, contacts, passwords, report
from powerpi.building import Fate, build
from powerpi.config import load
from powerpi.folder import locked_folder
from powerpi.gaps import Gap
from powerpi.keys import HEADINGS, SECTIONS
from powerpi.report import Private, configuration, gaps_line, machine_model, package_version

MARKER = "Geheim-4711-niemand"
SECRETS = [(section, key.name) for section, keys in SECTIONS.items() for key in keys if key.secret]
Streams = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def mock_pins(monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(contacts, "open_factory", lambda: line.factory)


def written(folder: Path, more: str = "") -> Path:
    path = folder / "powerpi.conf"
    path.write_text(
        f"[powerpi]\nstate = {folder}/state\nlisten = 127.0.0.1:9\nnetwork_time = no\ntimezone = UTC\n"
        f"[meter house]\nlabel = Haus am See\ngpio = 24\n{more}",
        encoding="utf-8",
    )
    path.chmod(0o640)
    return path


PRIVATE = f"""
[push]
url = https://secret-mirror.example.org/
user = anna.example
password = {MARKER}
[mirror]
accept = yes
[mirror bobs-pi]
password_hash = HASH
meters = garage
[viewer carla-surname]
password_hash = HASH
"""


def test_no_secret_and_nobodys_name_is_told(tmp_path: Path, capsys: Streams) -> None:
    hashed = passwords.hashed(MARKER, 10)
    path = written(tmp_path, PRIVATE.replace("HASH", hashed))
    load(path)  # a right one
    report.run(path, 0)
    told = capsys.readouterr()
    everything = told.out + told.err
    for hidden in (MARKER, hashed, hashed.split("$")[-1], "secret-mirror", "anna.example", "bobs-pi", "carla-surname"):
        assert hidden not in everything
    assert "mirror: ******** cannot be reached" in told.out
    assert "label = Haus am See\n" in told.out


@pytest.mark.parametrize(("section", "key"), SECRETS, ids=[f"{section}-{key}" for section, key in SECRETS])
@pytest.mark.parametrize("form", ["{key} = {marker}", "{key}: {marker}", "{key} = x\n  {marker}", "{key} = {marker} #"])
def test_a_secret_of_any_form_is_hidden_also_where_the_configuration_is_wrong(
    section: str, key: str, form: str, tmp_path: Path, capsys: Streams
) -> None:
    heading = HEADINGS.get(section, section).replace("NAME", "anna")
    path = written(tmp_path, f"[{heading}]\n{form.format(key=key, marker=MARKER)}\n")
    report.run(path, 0)
    told = capsys.readouterr()
    assert f"{key} = ********" in told.out
    assert MARKER not in told.out + told.err


WRONG_PLACES = pytest.mark.parametrize(
    "line",
    [
        f"pasword = {MARKER}",  # a key that is none
        f"password {MARKER}",  # a line that is none
        f"url = https://anna:{MARKER}@mirror.example/",
        f"url = https://anna:{MARKER}/x@mirror.example/",
        f"[{MARKER}]\npassword = x",
        f"[viewer {MARKER}]\npassword_hash = x",
        f"[mirror {MARKER}]\npassword_hash = x",
    ],
    ids=["key", "line", "url", "url with slash", "section", "viewer", "sender"],
)


@WRONG_PLACES
def test_secrets_in_the_wrong_place_are_hidden_in_the_configuration(line: str) -> None:
    assert MARKER not in "\n".join(configuration(f"[push]\n{line}\n"))


@WRONG_PLACES
def test_and_so_they_are_where_it_is_told_what_is_wrong(line: str, tmp_path: Path, capsys: Streams) -> None:
    assert report.run(written(tmp_path, f"[push]\n{line}\n"), 0) == 78
    told = capsys.readouterr()
    assert MARKER not in told.out + told.err


def test_what_is_no_secret_is_told_as_it_is_written() -> None:
    text = "[powerpi]\nlisten = [::]:8080\nhost_names = power.example.org\n[meter house]\ngpio = 24\nspeed = 9\n"
    assert list(configuration(text)) == [
        "[powerpi]", "listen = [::]:8080", "host_names = ********", "[meter house]", "gpio = 24", "speed = ********",
    ]  # fmt: skip


def test_lines_at_fault_are_counted_and_not_told() -> None:
    assert next(configuration("nonsense\n[store]\n")) == "(lines at fault, left out here: 1)"


def test_hosts_of_a_domain_are_hidden_in_all_lines_and_short_words_are_not() -> None:
    private = Private(
        "[powerpi]\nhost_names = power.example.org, attic\n"
        "[push]\nurl = https://hut.example.org:8443/x\npassword = pi\n"
    )
    assert private.hide("hut.example.org cannot be reached") == "******** cannot be reached"
    assert private.hide("power.example.org: 421") == "********: 421"
    assert private.hide("the pi in the attic") == "the pi in the attic"
    assert Private("").hide("all\u00a0of it") == "all of it"


# ---------------------------------------------------------------- what is told


def test_a_wrong_configuration_is_reported_with_its_faults_and_78(tmp_path: Path, capsys: Streams) -> None:
    assert report.run(written(tmp_path, "pul = up\n"), 0) == 78
    told = capsys.readouterr().out
    assert "## What is wrong with it\n\n[meter house] pul: unknown key, did you mean pull?\n" in told
    assert "## Findings" not in told


def test_a_configuration_that_is_not_there_is_reported_too(tmp_path: Path, capsys: Streams) -> None:
    assert report.run(tmp_path / "none.conf", 0) == 78
    assert f"{tmp_path}/none.conf cannot be read" in capsys.readouterr().out


def test_versions_findings_and_gaps_are_told(tmp_path: Path, capsys: Streams) -> None:
    path = written(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/house.gaps").write_text("1700000000 1700000600 stopped\n1700001000 1700001600 power_cut\n")
    assert report.run(path, 0) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"# PowerPi bug report\n\nPowerPi {__version__}\nPython 3.")
    assert f"gpiozero {package_version('gpiozero')}, rrdtool {package_version('rrdtool')}" in told
    assert "look  powerpi: does not run" in told
    assert "## Gaps\n\nhouse: 1 stopped, 1 power_cut\n" in told
    assert "## Pulses\n\nnot known: no PowerPi answers" in told


@pytest.fixture
def counted(tmp_path: Path, line: Line) -> Iterator[Path]:
    """A PowerPi that runs has counted 12 pulses, 10 s apart."""
    path = written(tmp_path)
    settings = load(path)
    settings.state.mkdir()
    with locked_folder(settings.state):
        parts = build(settings, line.factory, line.clock, Fate())
        line.pin = parts.pins[0]
        line.pulses(1010.0 + 10 * number for number in range(12))
        with counting_with_door(parts, settings.state):
            parts.counting.flush(5)
            yield path


def test_the_health_of_pulses_is_that_of_the_powerpi_that_runs(counted: Path, capsys: Streams) -> None:
    report.run(counted, 0)
    told = capsys.readouterr().out
    assert "house: 12 pulses, 0 edges lost\n  Width: 30 ms, at least 30 ms\n  Pause: 10.0 s, at least 10.0 s\n" in told
    assert "  Widths of the newest pulses (12): 30–40 ms 12\n" in told


def test_gaps_are_told_by_reason_the_most_frequent_first() -> None:
    gaps = [Gap(1, 2, "stopped"), Gap(3, 4, "disk"), Gap(5, None, "disk")]
    assert gaps_line(gaps) == "2 disk, 1 stopped"
    assert gaps_line([]) == "none"


def test_the_machine_is_what_it_calls_itself(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"Raspberry Pi Zero 2 W Rev 1.0\0")
    assert machine_model([tmp_path / "none", model]) == "Raspberry Pi Zero 2 W Rev 1.0"
    assert machine_model([tmp_path / "none"]) == "unknown"


def test_a_package_that_is_not_there_is_missing() -> None:
    assert package_version("no-such-package") == "missing"
