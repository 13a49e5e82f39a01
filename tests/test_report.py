"""`powerpi check --report`: what is told, and that no secret ever is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Line, counting_with_door
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from powerpi import __version__, contacts, passwords, report
from powerpi.building import Fate, build
from powerpi.config import load
from powerpi.finding import Finding
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
        "[powerpi]", "listen = [::]:8080", "host_names = ********", "[meter house]", "gpio = 24",
        "(line 6: unknown key, left out here)",
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


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://MyHost.Example.invalid/tok3nInPath", ["myhost.example.invalid", "tok3ninpath"]),
        ("https://[2001:DB8:0::77]:8443/", ["2001:db8"]),
        ("http://pi-of-anna:9/", ["pi-of-anna"]),
    ],
    ids=["capitals", "IPv6", "short"],
)
def test_the_mirror_is_told_by_none_of_its_names(url: str, private: list[str], tmp_path: Path, capsys: Streams) -> None:
    path = written(tmp_path, f"[push]\nurl = {url}\nuser = anna\npassword = {MARKER}\n")
    assert report.run(path, 0) == 1
    told = capsys.readouterr().out
    assert "  mirror: ******** cannot be reached: " in told
    assert not [word for word in private if word in told.lower()]


def test_of_paths_names_of_people_are_hidden_and_the_folder_of_the_configuration(
    tmp_path: Path, capsys: Streams
) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace(f"{tmp_path}/state", "/home/alice/state"))
    report.run(path, 0)
    told = capsys.readouterr().out
    assert "state = /home/********/state\n" in told
    assert "  configuration: powerpi.conf, 1 meter\n" in told
    assert "alice" not in told
    assert str(tmp_path) not in told


def test_findings_do_not_tell_who_uses_this_machine_or_answers_elsewhere() -> None:
    private = Private("[push]\nurl = https://Hut:8443/a/bcd\n")
    said = "PowerPi runs as bob (this command: root), who may not use it: sudo usermod bob"
    shown = "PowerPi runs as ******** (this command: root), who may not use it: sudo usermod ********"
    assert private.shown(Finding("user", True, said), {"bob", "root"}) == f"ok    user: {shown}"
    said = "hut:8443 sends to 'https://other.example/x', leads to 2003::1 and 8.8.8.8, up to 2026-11-26 18:30:10. a bcd"
    shown = "******** sends to '********', leads to ******** and ********, up to 2026-11-26 18:30:10. a ********"
    assert private.shown(Finding("mirror", None, said)) == f"look  mirror: {shown}"


def test_values_that_will_not_do_are_hidden() -> None:
    text = f"[store]\nflush_seconds = {MARKER}\nregister_seconds = 60\n  {MARKER}\n[meter House]\nlabel = pwd x\n"
    assert list(configuration(text)) == [
        "[store]", "flush_seconds = ********", "register_seconds = ********",
        "[meter ******** 2]", "label = ********",
    ]  # fmt: skip


JUNK = st.text("aZ9 =:#;[]$%&@/.-_'\"\t", max_size=4)
# no figures alone: those may be the name of a meter, which is told
CORES = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=10, max_size=16).map("Z{}".format)
PLACES = st.sampled_from(
    [
        *("{}", "  {}", "pwd {}", "passphrase {}", "{}: x", "{} = x", "{}==", "  password = {}", "password\n{}"),
        *("[push {}]", "[password = {}]", "[{}]\nuser = x", "[mirror {}]", "[viewer {}]", "[meter +{}]", "[{}]\n[{}]"),
        *("password = {}", "password_hash = {}", "user = {}", "password = x\n{}", "password = x\n  {}"),
        *("host_names = {}", "host_names = h.invalid,\n  {}", "user = x\n{}: y", "ca_file = {}", "meters = {}"),
        *("url = https://{}/", "url = https://h.invalid/{}", "url = https://a:{}@h/", "url = a:{}@h", "url = {}"),
        *("url = https://h:{}/", "url = https://h/?token={}", "url = http://{}.example.org/", "url = https://[{}]/"),
        *("gpio = 24\n  {}", "label = Haus\n  {}", "interval_seconds = 60\n\tpassword = {}", "gpio = {}"),
    ]
)
HEADINGS_AROUND = st.sampled_from(["", "[powerpi]\n", "[store]\n", "[meter shed]\n", "[push]\n", "[mirror b]\n"])


@given(st.lists(st.tuples(HEADINGS_AROUND, PLACES, JUNK, CORES, JUNK), min_size=1, max_size=4), st.booleans())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_secret_anywhere_in_a_wrong_configuration_is_not_in_the_report(
    tmp_path: Path, capsys: Streams, pieces: list[tuple[str, str, str, str, str]], before: bool
) -> None:
    path = written(tmp_path)
    lines = [heading + place.replace("{}", f"{left}{core}{right}") for heading, place, left, core, right in pieces]
    more = "\n".join(["[store]", "keep = no", *lines]) + "\n"
    path.write_text(more + path.read_text() if before else path.read_text() + more)
    assert report.run(path, 0) == 78
    told = capsys.readouterr()
    everything = (told.out + told.err).lower()
    assert not [core for *_, core, _ in pieces if core.lower() in everything]


@given(CORES, CORES, CORES, CORES, st.sampled_from([str.lower, str.upper, str.title]))
def test_a_secret_of_a_right_configuration_is_in_no_finding(
    host: str, path: str, user: str, password: str, written_as: Callable[[str], str]
) -> None:
    text = f"[push]\nurl = https://{host}.example.org:8443/x/{path}\nuser = {user}\npassword = {password}\n"
    private = Private(text)
    words = [f"{host}.example.org", f"https://{host}.example.org:8443/x/{path}", path, user, password]
    for what in ("mirror", "powerpi", "meter house"):
        told = private.shown(Finding(what, None, written_as(f"({', '.join(words)})"))).lower()
        assert not [word for word in (host, path, user, password) if word.lower() in told]


# ---------------------------------------------------------------- what is told


def test_a_wrong_configuration_is_reported_with_its_faults_and_78(tmp_path: Path, capsys: Streams) -> None:
    assert report.run(written(tmp_path, "pul = up\n"), 0) == 78
    told = capsys.readouterr().out
    assert "## What is wrong with it\n\nline 9: [meter house] unknown key, did you mean pull?\n" in told
    assert "## Findings" not in told


def test_a_configuration_that_is_not_there_is_reported_too(tmp_path: Path, capsys: Streams) -> None:
    assert report.run(tmp_path / "none.conf", 0) == 78
    told = capsys.readouterr().out
    assert "\nnone.conf cannot be read" in told
    assert str(tmp_path) not in told


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
