"""A first configuration: from options, the predecessor, a person at a terminal, or as usual; the result is loaded."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from test_predecessor import WHOLE

from powerpi import cli, config, settling
from powerpi.errors import ConfigError, ServerError, StoreError
from powerpi.settling import Wishes

TOP = Path(__file__).parent.parent
SAMPLE = TOP / "init" / "powerpi.conf"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "powerpi.conf"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "srv"
    folder.mkdir()
    (folder / "powerpi.ini").write_text(WHOLE)
    return folder


def test_options_are_written_at_their_places_and_all_else_stays(path: Path, tmp_path: Path) -> None:
    assert settling.run(Wishes(path, gpio="5", imp_per_kwh="500", predecessor=tmp_path / "none")) == 0
    [meter] = config.load(path).meters
    assert (meter.name, meter.gpio, meter.imp_per_kwh) == ("house", 5, 500)
    before, after = SAMPLE.read_text().splitlines(), path.read_text().splitlines()
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert changed == [("gpio = 24", "gpio = 5"), ("imp_per_kwh = 1000", "imp_per_kwh = 500")]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_mode_does_not_depend_on_the_umask(path: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        settling.run(Wishes(path, predecessor=tmp_path / "none"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_without_anybody_it_is_as_usual_and_says_so(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settling.run(Wishes(path, gpio="5", predecessor=tmp_path / "none"))
    said = capsys.readouterr().out
    assert "nobody said imp_per_kwh: it is 1000, as usual" in said
    assert "gpio" not in said
    assert config.load(path).meters[0].imp_per_kwh == 1000


def test_the_predecessor_is_taken_over_and_its_password_never_said(
    path: Path, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old / "power.rrd").write_bytes(b"RRD")
    settling.run(Wishes(path, predecessor=old))
    settings = config.load(path)
    assert (settings.meters[0].gpio, settings.meters[0].imp_per_kwh, settings.meters[0].min_pulse_ms) == (23, 2000, 20)
    assert settings.push
    assert settings.push.url.geturl() == "https://power.example.org/get.php"
    assert (settings.push.user, settings.push.password, settings.push.protocol) == ("pi", 'se;cr#et "x"', "get.php")
    said = capsys.readouterr().out
    assert f"found the system that PowerPi replaces: {old}/powerpi.ini\n" in said
    assert "  taken: [gpio] port = 23, as gpio = 23\n" in said
    assert f"take it over with: sudo powerpi import house {old}/power.rrd\n" in said
    assert "se;cr#et" not in said


def test_options_go_before_the_predecessor(path: Path, old: Path) -> None:
    settling.run(Wishes(path, gpio="6", predecessor=old))
    [meter] = config.load(path).meters
    assert (meter.gpio, meter.imp_per_kwh) == (6, 2000)


def test_a_server_that_would_be_refused_stays_a_comment_with_the_reason(
    path: Path, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old / "powerpi.ini").write_text(WHOLE.replace("ssl = yes", "ssl = no"))
    settling.run(Wishes(path, predecessor=old))
    assert config.load(path).push is None
    text = path.read_text()
    assert "\n#[push]\n" in text
    assert "\n#url = http://power.example.org/get.php\n" in text
    assert "\n# [push] url = http://power.example.org/get.php: wanted https://" in text
    assert "not used: [push] stays a comment" in capsys.readouterr().out


def test_what_is_there_is_never_touched(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("[meter hut]\ngpio = 4\n")
    assert settling.run(Wishes(path, gpio="5")) == 0
    assert path.read_text() == "[meter hut]\ngpio = 4\n"
    assert capsys.readouterr().out.splitlines() == [
        f"{path} is there already and stays as it is",
        f"not taken: gpio = 5; change it in {path}",
    ]


def test_what_is_there_and_wrong_is_said(path: Path) -> None:
    path.write_text("[meter hut]\n")
    with pytest.raises(ConfigError, match="gpio is missing"):
        settling.run(Wishes(path))


def test_a_link_that_leads_nowhere_is_somebodys_too(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "stick" / "powerpi.conf")
    with pytest.raises(ConfigError, match="cannot be read"):
        settling.run(Wishes(path))
    assert path.is_symlink()


def test_where_nothing_can_be_written_one_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none/powerpi.conf cannot be written: No such file or directory"):
        settling.run(Wishes(tmp_path / "none" / "powerpi.conf", predecessor=tmp_path / "none"))


@pytest.mark.parametrize("text", [None, "[meter house]\ngpio = many\n"], ids=["missing", "wrong"])
def test_a_sample_that_will_not_do_is_named(path: Path, tmp_path: Path, text: str | None) -> None:
    sample = tmp_path / "sample.conf"
    if text is not None:
        sample.write_text(text)
    with pytest.raises(ConfigError) as caught:
        settling.run(Wishes(path, sample=sample))
    assert caught.value.source == str(sample)
    assert not path.exists()


def test_the_sample_is_that_of_the_checkout_or_of_the_installed_program(tmp_path: Path) -> None:
    assert settling.default_sample().samefile(SAMPLE)
    package = tmp_path / "lib" / "powerpi"
    assert settling.default_sample(package, tmp_path) == tmp_path / "share" / "powerpi" / "powerpi.conf"


def test_a_page_that_never_answers_is_said(path: Path) -> None:
    path.write_text("[powerpi]\nlisten = 127.0.0.1:1\n[meter house]\ngpio = 24\n")
    with pytest.raises(ServerError, match=r"nobody answers at 127.0.0.1 port 1 within 0 s"):
        settling.run(Wishes(path, wait=0.0))


@pytest.mark.parametrize("option", ["--gpio=28", "--gpio=pin18", "--imp-per-kwh=1.000", "--imp-per-kwh=0", "--wait=x"])
def test_options_that_will_not_do_are_named(option: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["setup", f"--config={path}", option])
    assert f"not {option.partition('=')[2]!r}" in capsys.readouterr().err
    assert not path.exists()


def typed(path: Path, keys: bytes) -> tuple[int, str]:
    """The exit code of `powerpi setup` at a terminal where somebody types, and all that was seen there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "powerpi", "setup", f"--config={path}", f"--predecessor={path.parent}/none"]
    with subprocess.Popen(command, cwd=TOP, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as ran:
        os.close(theirs)
        os.write(ours, keys)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # the other end is closed
            code = ran.wait(20)
        finally:
            ran.kill()
            os.close(ours)
    return code, seen.decode()


def test_a_person_is_asked_and_asked_again(path: Path) -> None:
    code, seen = typed(path, b"1.000\n800\n99\n\n")
    assert code == 0
    assert "'1.000' will not do: wanted a number above 0" in seen
    assert "'99' will not do: wanted a GPIO number from 0 to 27" in seen
    [meter] = config.load(path).meters
    assert (meter.imp_per_kwh, meter.gpio) == (800, 24)
    assert seen.index("imp/kWh") < seen.index("GPIO that S0+")
    assert "GPIO24 is pin 18 of the header: S0+ goes there, S0− to a ground such as pin 20" in seen
    assert "sudo powerpi check --watch" in seen.splitlines()[-1]


@pytest.mark.parametrize(
    ("gpio", "pull", "said"),
    [
        ("18", "up", "GPIO18 is pin 12 of the header: S0+ goes there, S0− to a ground such as pin 14"),
        ("4", "down", "GPIO4 is pin 7 of the header: S0− goes there, S0+ to 3.3 V (pin 1)"),
    ],
)
def test_it_says_where_the_two_wires_go(gpio: str, pull: str, said: str) -> None:
    assert settling._wires({"gpio": gpio, "pull": pull}) == said


def test_a_person_may_leave(path: Path) -> None:
    assert typed(path, b"800\n\x04")[0] == 130
    assert not path.exists()
