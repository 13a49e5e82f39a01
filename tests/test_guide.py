"""Every command line of the README is run: here against a house that lives, or by a test or scenario that is named.

A command line that nobody runs fails here. What changes the machine (packages, services) is run in its harmless form,
and for good on the virtual machines of tests/vm.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from guide import PASSWORD, TOP, Home, command_lines, first_lines, living_house, run

from powerpi import config
from powerpi.page_help import COMMANDS

TESTS = TOP / "tests"
Way = Callable[[list[str], Home], None]
HERE: dict[str, Way] = {}


class Proof(NamedTuple):
    """A test or a scenario that runs a command, and text of it that does."""

    where: str  # file, and the name of a function in it if need be
    text: str


# Commands that want systemd, root, or much time
ELSEWHERE = {
    r"systemctl restart powerpi": Proof("vm/house.py", "systemctl restart powerpi"),
    r"systemctl stop powerpi": Proof("vm/scenarios/install.py", "\nsystemctl stop powerpi\n"),
    r"systemctl start powerpi": Proof("vm/scenarios/install.py", "\nsystemctl start powerpi\n"),
    r"systemctl edit powerpi-backup\.service": Proof("vm/scenarios/backup.py", "ReadWritePaths={STICK}"),
    r"systemctl enable --now powerpi-backup\.timer": Proof(
        "vm/scenarios/backup.py", "\nsystemctl enable --now powerpi-backup.timer\n"
    ),
    r"systemctl edit( powerpi)?": Proof("vm/scenarios/install.py", "ReadWritePaths={STICK}/powerpi"),
    r"cp -a /var/lib/powerpi /mnt/stick/": Proof("vm/scenarios/install.py", "cp -a {house.STATE} {STICK}/"),
    r"/etc/init\.d/powerpi status": Proof("vm/scenarios/sysvinit.py", "{SCRIPT} status"),
    r"/etc/init\.d/powerpi restart": Proof("vm/scenarios/sysvinit.py", "{SCRIPT} restart"),
    r"journalctl -u powerpi": Proof("vm/house.py", "journalctl {options} -u powerpi"),
    r"mount /mnt/stick": Proof("vm/scenarios/install.py", "\nmount {STICK}\n"),
    r"poweroff": Proof("vm/machine.py", "/sbin/poweroff"),
    r"rrdtool dump": Proof("test_old_files.py", '"rrdtool", "dump"'),
    r"rrdtool -": Proof("test_reader.py", "Reader("),
    r"sh tests/(run|matrix)": Proof("matrix", "sh /root/powerpi/tests/run"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with living_house(tmp_path_factory.mktemp("home")) as home:
        yield home


def here(pattern: str) -> Callable[[Way], Way]:
    """Says of a function that it runs the command lines that match wholly."""

    def register(way: Way) -> Way:
        HERE[pattern] = way
        return way

    return register


def matching(line: str) -> list[str]:
    return [pattern for pattern in (*HERE, *ELSEWHERE) if re.fullmatch(pattern, line)]


# ---------------------------------------------------------------- powerpi itself


@here(r"powerpi (setup|run|create|push|restore|demo|reading|export|import|doctor)")
def a_command_that_is_named(words: list[str], home: Home) -> None:
    said = run(sys.executable, "-m", "powerpi", words[1], "--help", cwd=home.folder)
    assert said.code == 0
    assert said.out.startswith("usage: powerpi "), said


@here(r"(\.venv/bin/python -m )?powerpi( COMMAND)?")
def the_program(words: list[str], home: Home) -> None:
    assert run(sys.executable, "-m", "powerpi", "--version", cwd=home.folder).out.startswith("powerpi ")
    assert (TOP / "init" / "demo").read_text(encoding="utf-8").count(".venv/bin/python") == 1


@here(r"powerpi check")
def check(words: list[str], home: Home) -> None:
    said = home.powerpi("check")
    assert "BAD" not in said.out, said
    assert said.code == 0, said
    assert re.search(rf"ok +\S.*\b{home.port}\b", said.out), said


@here(r"powerpi password( --quick)?")
def password(words: list[str], home: Home) -> None:
    said = run(sys.executable, "-m", "powerpi", *words[1:], typed="correct horse\n", cwd=home.folder)
    assert re.fullmatch(r"scrypt\$1[24]\$8\$1\$\S+\n", said.out)


@here(r"powerpi push --verify")
def push(words: list[str], home: Home) -> None:
    said = home.powerpi(*words[1:])
    assert said.code == 0, said
    assert "identical up to" in said.out + said.err, said


@here(r"powerpi restore --from-mirror")
def restore_from_the_mirror(words: list[str], home: Home) -> None:
    assert home.powerpi("push").code == 0
    said = home.powerpi(*words[1:], conf=home.elsewhere())
    assert said.code == 0, said


@here(r"powerpi check --watch")
def watch(words: list[str], home: Home) -> None:
    lines, code = first_lines(4, *words[1:], "--config", str(home.conf))
    assert code == 0, lines
    assert "pin 18" in lines[0]
    assert [line for line in lines[2:4] if " wide" in line] == lines[2:4]


@here(r"powerpi check --report")
def report(words: list[str], home: Home) -> None:
    said = home.powerpi(*words[1:])
    assert said.code == 0, said
    assert "[meter house]" in said.out
    assert PASSWORD not in said.out


@here(r"powerpi reading house( .+)?")
def reading(words: list[str], home: Home) -> None:
    asked = ["--yes"]
    if "--remove" in words:  # there must be one
        assert home.powerpi("reading", "house", "1", "--new-meter", "--yes").code == 0
        listed = home.powerpi("reading", "house").out
        words[words.index("--remove") + 1] = "T".join(re.findall(r"^(\S+) (\S+)  1 kWh", listed, re.MULTILINE)[-1])
    if "--at" in words:  # a time of which the house knows something; the guide's own is long ago
        before = datetime.now(UTC) - timedelta(minutes=30)
        words[words.index("--at") + 1] = f"{before:%FT%T}+00:00"
    said = home.powerpi(*words[1:], *(asked if len(words) > 3 else []))
    assert said.code == 0, said
    assert "house" in said.out


@here(r"powerpi backup")
def backup_in_its_folder(words: list[str], home: Home) -> None:
    said = home.powerpi("backup")
    assert said.code == 0, said
    assert f"made {home.folder / 'state' / 'backups'}" in said.out


@here(r"powerpi backup --verify")
def check_the_newest_backup(words: list[str], home: Home) -> None:
    assert home.powerpi("backup").code == 0
    said = home.powerpi(*words[1:])
    assert said.code == 0, said


@here(r"powerpi backup [^-]\S*")
def backup(words: list[str], home: Home) -> None:
    assert saved(home).stat().st_size > 1000


@here(r"powerpi restore (FILE|/mnt/stick/house\.zip)")
def restore_from_a_file(words: list[str], home: Home) -> None:
    said = home.powerpi("restore", str(saved(home)), conf=home.elsewhere())
    assert said.code == 0, said


def saved(home: Home) -> Path:
    """A backup of the house, made once."""
    path = home.folder / "house.zip"
    if not path.exists():
        said = home.powerpi("backup", str(path))
        assert said.code == 0, said
    return path


@here(r"powerpi export house .*--output winter\.csv")
def export(words: list[str], home: Home) -> None:
    said = home.powerpi(*words[1:-1], str(home.folder / words[-1]))
    assert said.code == 0, said
    assert (home.folder / words[-1]).read_text(encoding="utf-8").startswith("from,to,kwh,watts,known_seconds")


@here(r"powerpi import house old-meter\.csv( --dry-run)?")
def import_old_rows(words: list[str], home: Home) -> None:
    path, day = home.folder / words[3], datetime.now(UTC) - timedelta(days=800)
    path.write_text("time,kwh\n" + "".join(f"{day:%F}T{hour:02}:00:00Z,0.5\n" for hour in range(24)))
    said = home.powerpi(*words[1:3], str(path), *words[4:])
    assert said.code == 0, said
    assert re.search(r"\b12(\.0+)? kWh", said.out + said.err), said


@here(r"rrdtool dump power\.rrd > power\.xml")
def dump(words: list[str], home: Home) -> None:
    made = ("rrdtool", "create", "power.rrd", "--step", "60", "DS:watts:GAUGE:120:0:U", "RRA:AVERAGE:0.5:1:10")
    assert run(*made, cwd=home.folder).code == 0
    assert run("sh", "-c", " ".join(words), cwd=home.folder).code == 0
    assert "<rrd>" in (home.folder / "power.xml").read_text(encoding="utf-8")


# ---------------------------------------------------------------- what the system has


@here(r"ssh \S+@powerpi\.local")
def ssh(words: list[str], home: Home) -> None:
    """`-G` says what would be done, and does not connect."""
    need("ssh")
    said = run("ssh", "-G", "-F", "none", words[1], cwd=home.folder)
    assert said.code == 0
    assert "hostname powerpi.local\n" in said.out


@here(r"apt-get (update|install [a-z0-9 -]+)")
def apt(words: list[str], home: Home) -> None:
    need("apt-get")
    harmless = "--print-uris" if words[1] == "update" else "--simulate"
    assert run("apt-get", "-qq", harmless, *words[1:], cwd=home.folder).code == 0


@here(r"git clone ADDRESS powerpi( && cd powerpi)?")
def clone(words: list[str], home: Home) -> None:
    checkout(home)
    assert (home.folder / "powerpi" / "init" / "demo").exists()


@here(r"cd powerpi")
def change_folder(words: list[str], home: Home) -> None:
    checkout(home)
    assert run("sh", "-c", "cd powerpi && ls init", cwd=home.folder).code == 0


@here(r"git pull")
def pull(words: list[str], home: Home) -> None:
    checkout(home)
    assert run("git", "pull", "--quiet", cwd=home.folder / "powerpi", **TRUSTED).code == 0


TRUSTED = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def checkout(home: Home) -> None:
    """A clone of this checkout, once."""
    need("git")
    if not (TOP / ".git").exists():
        pytest.skip("not a checkout")
    if not (home.folder / "powerpi").exists():
        assert run("git", "clone", "--quiet", str(TOP), "powerpi", cwd=home.folder, **TRUSTED).code == 0


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@here(r"nano \S+")
def editor(words: list[str], home: Home) -> None:
    """What a person does is not run; but it must be done to the right file."""
    assert Path(words[1]) in (config.DEFAULT_PATH, Path("/etc/fstab"))


@here(r"lsblk( -o \S+)?")
def disks(words: list[str], home: Home) -> None:
    need("lsblk")
    said = run(*words, cwd=home.folder)
    assert "unknown column" not in said.err
    assert "invalid option" not in said.err


@here(r"(mkdir|chown powerpi:) /mnt/stick(/backups)?")
def place_for_a_stick(words: list[str], home: Home) -> None:
    folder = home.folder / words[-1].lstrip("/")
    if words[0] == "mkdir":
        folder.parent.mkdir(parents=True, exist_ok=True)
        assert run("mkdir", str(folder)).code == 0
        return
    assert Path(words[-1]) == Path("/mnt/stick/backups")  # the stick's own folder stays root's
    assert "User=powerpi" in (TOP / "init" / "powerpi-backup.service").read_text(encoding="utf-8").split()


@here(r"df -h /var/lib/powerpi")
def free_space(words: list[str], home: Home) -> None:
    assert "%" in run("df", "-h", str(home.folder / "state")).out


@here(r"(timedatectl|systemctl status powerpi)")
def state_of_the_system(words: list[str], home: Home) -> None:
    """Both only ask; where no systemd runs they say that, and not that they were asked wrongly."""
    need(words[0])
    said = run(*words, "--no-pager", cwd=home.folder)
    assert "nvalid option" not in said.err
    assert "Unknown" not in said.err


# ---------------------------------------------------------------- scripts of the checkout


@here(r"sh init/demo( --mirror| --port 8090)?")
def demo(words: list[str], home: Home) -> None:
    said = run(*words, "--help")  # with its options read before
    assert said.code == 0, said
    assert "usage: powerpi demo" in said.out


@here(r"sh init/(un)?install( .*)?")
def install(words: list[str], home: Home) -> None:
    """What is asked for is known; it is done on virtual machines."""
    options = {word for word in words if word.startswith("--")}
    said = run("sh", words[1], "--help")
    assert said.code == 0, said
    assert options <= set(re.findall(r"--[a-z-]+", said.out))
    sources = [path for path in (TESTS / "vm").rglob("*") if path.is_file() and path.suffix in ("", ".py")]
    done = "".join(path.read_text(encoding="utf-8") for path in sources)
    assert words[1] in done
    assert {option for option in options if option not in done} == set()


@here(r"sh tests/(servers|bench/run|vm/run)( .*)?")
def script_for_developers(words: list[str], home: Home) -> None:
    """What takes long, or root, is read by the shell and not run."""
    assert run("sh", "-n", words[1]).code == 0


# ---------------------------------------------------------------- the test


def test_readme_has_commands() -> None:
    lines = command_lines()
    assert len(lines) > 20
    assert {"powerpi check", "sh init/demo", "git clone ADDRESS powerpi"} <= set(lines)


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_of_the_readme_is_run(line: str, home: Home) -> None:
    ways = matching(line)
    assert len(ways) == 1, f"{line!r} is run by {len(ways)} ways: {ways}; give it one in {__file__}"
    if ways[0] in HERE:
        HERE[ways[0]](shlex.split(line), home)
        return
    proof = ELSEWHERE[ways[0]]
    assert proof.text in (TESTS / proof.where).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS.values())
def test_every_command_of_the_help_page_is_run_as_those_of_the_readme(command: str) -> None:
    assert len(matching(command.removeprefix("sudo "))) == 1


def test_the_help_page_of_the_house_shows_how_its_meter_is_wired(home: Home) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{home.port}/help?lang=en", timeout=20) as answer:
        page = answer.read().decode()
    assert "Wiring: House" in page
    assert "<td>18</td><td>GPIO24</td><td>S0+ of the meter</td>" in page
    assert "powerpi reading house 12345.6" in page


def test_no_way_is_left_over() -> None:
    lines = command_lines()
    assert [pattern for pattern in (*HERE, *ELSEWHERE) if not any(re.fullmatch(pattern, line) for line in lines)] == []
