"""The scripts that install, remove and start PowerPi, as far as neither root nor a network is needed.

What they do to a machine is tried in virtual machines: tests/vm/scenarios/install.py and sysvinit.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
INSTALL, UNINSTALL, SERVICE, PREPARE = (TOP / "init" / name for name in ("install", "uninstall", "powerpi", "prepare"))
UNIT = TOP / "init" / "powerpi.service"
README = (TOP / "README.md").read_text(encoding="utf-8")
VM = TOP / "tests" / "vm"
SCRIPTS = (INSTALL, UNINSTALL, SERVICE, PREPARE, VM / "packages", VM / "guest" / "sysvinit")
NOBODY = 65534
SHELL = "dash" if shutil.which("dash") else "sh"

scripts = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)


def run(script: Path, *arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """A script with arguments and nobody at the keyboard; `user`: whom root becomes for it."""
    return subprocess.run(
        [SHELL, str(script), *arguments],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        user=user if os.geteuid() == 0 else None,
    )


def constants(script: Path) -> dict[str, str]:
    """The settings at the top of a script."""
    return dict(re.findall(r"^([A-Z_]+)=(\S+)", script.read_text(encoding="utf-8"), flags=re.MULTILINE))


def lsb_header() -> dict[str, str]:
    found = re.search(r"### BEGIN INIT INFO\n(.*?)### END INIT INFO\n", SERVICE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return dict(re.findall(r"^# ([\w-]+): +(.+)$", found[1], flags=re.MULTILINE))


# ---------------------------------------------------------------- all of them


@scripts
def test_the_script_is_posix_shell(script: Path) -> None:
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    for shell in filter(shutil.which, ("sh", "dash", "busybox")):
        command = [shell, *(["sh"] if shell == "busybox" else []), "-n", str(script)]
        assert subprocess.run(command, capture_output=True, check=False).stderr == b""


@scripts
@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(script: Path) -> None:
    ran = subprocess.run(["shellcheck", "-x", str(script)], cwd=TOP, capture_output=True, text=True, check=False)
    assert ran.stdout == ""


@scripts
def test_lines_are_no_longer_than_elsewhere(script: Path) -> None:
    assert [line for line in script.read_text(encoding="utf-8").splitlines() if len(line) > 120] == []


# ---------------------------------------------------------------- install and uninstall


@pytest.mark.parametrize("script", [INSTALL, UNINSTALL], ids=lambda path: path.name)
def test_help_names_every_option(script: Path) -> None:
    told = run(script, "--help")
    known = set(re.findall(r"^ +(--[a-z-]+)\)", script.read_text(encoding="utf-8"), flags=re.MULTILINE))
    known |= {"--gpio", "--imp-per-kwh", "--offline", "--prepare-offline"} if script == INSTALL else set()
    assert told.returncode == 0
    assert set(re.findall(r"--[a-z-]+", told.stdout)) >= known - {"--help"}


@pytest.mark.parametrize(
    ("script", "arguments", "sentence"),
    [
        (INSTALL, ["--frob"], "install: --frob is not known; see sh init/install --help"),
        (INSTALL, ["--gpio"], "install: --gpio wants a value; see sh init/install --help"),
        (UNINSTALL, ["--all"], "uninstall: --all is not known; see sh init/uninstall --help"),
    ],
    ids=["unknown", "without a value", "uninstall"],
)
def test_a_wrong_option_is_named(script: Path, arguments: list[str], sentence: str) -> None:
    ran = run(script, *arguments)
    assert (ran.returncode, ran.stderr) == (2, f"{sentence}\n")


@pytest.mark.parametrize("script", [INSTALL, UNINSTALL], ids=lambda path: path.name)
def test_without_root_one_sentence_says_so_and_nothing_happens(script: Path) -> None:
    ran = run(script, user=NOBODY)
    assert ran.returncode == 1
    assert re.fullmatch(rf"{script.name}: this wants root: sudo sh init/{script.name}\n", ran.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="it asks for root first")
def test_purge_wants_somebody_who_answers() -> None:
    ran = run(UNINSTALL, "--purge")
    assert ran.returncode == 1
    assert "it wants --yes as well" in ran.stderr


def test_a_folder_without_packages_is_refused(tmp_path: Path) -> None:
    text = INSTALL.read_text(encoding="utf-8").replace('\nmain "$@"\n', f'\ninstall_offline "{tmp_path}"\n')
    script = tmp_path / "install"
    script.write_text(text)
    ran = run(script)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"install: {tmp_path} has no packages in it; make it with:")
    (tmp_path / "Packages").touch()
    (tmp_path / "release").write_text("potato m68k\n")
    assert "holds packages for potato m68k, this machine is " in run(script).stderr


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("ExecStart=/usr/bin/python3 /srv/powerpi/power.py", True),
        ('DIR="/srv/powerpi"', True),
        ("cd /srv/powerpi", True),
        ("# copies the photos, not /srv/powerpi/", False),
        ("tar c /srv/powerpixyz", False),
        ("tar c /srv/powerpi.old", False),
    ],
)
def test_what_starts_the_predecessor_is_known_by_what_it_does(tmp_path: Path, line: str, is_one: bool) -> None:
    function = re.search(
        r"^is_of_predecessor\(\) \{.*?^\}", INSTALL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert function
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n{line}\n")
    code = f'OLD={constants(INSTALL)["OLD"]}\n{function[0]}\nis_of_predecessor "{script}"'
    assert (subprocess.run([SHELL, "-c", code], check=False).returncode == 0) is is_one


def test_what_is_installed_is_removed_from_the_same_places() -> None:
    there, gone = constants(INSTALL), constants(UNINSTALL)
    for name in ("PROGRAM", "STATE", "CONFIG", "COMMAND", "UNITS", "SCRIPT", "RULE"):
        assert there[name] == gone[name]
    assert constants(SERVICE)["LOG"] == gone["LOG"]
    assert constants(SERVICE)["RUN"] == gone["RUN"]


# ---------------------------------------------------------------- the service


def test_script_and_unit_start_the_same_program() -> None:
    program = constants(SERVICE)["DAEMON"]
    assert f"ExecStart={program} run\n" in UNIT.read_text(encoding="utf-8")
    assert program == f"{constants(INSTALL)['PROGRAM']}/bin/powerpi"


def test_script_and_unit_wait_as_long_for_the_last_write() -> None:
    assert f"TimeoutStopSec={constants(SERVICE)['STOP_SECONDS']}\n" in UNIT.read_text(encoding="utf-8")


def test_the_script_has_an_lsb_header() -> None:
    header = lsb_header()
    assert header["Provides"] == "powerpi"
    assert header["Default-Start"] == "2 3 4 5"
    assert header["Default-Stop"] == "0 1 6"
    assert "$remote_fs" in header["Required-Start"]
    assert {"Required-Stop", "Short-Description", "Description"} <= header.keys()


def test_the_script_knows_what_an_lsb_script_has_to_know() -> None:
    text = SERVICE.read_text(encoding="utf-8")
    offered = re.search(r"\{start\|stop\|restart\|force-reload\|status\}", text)
    assert offered
    for action in offered[0].strip("{}").split("|"):
        assert re.search(rf"^(\w+ \| )?{action}( \| [\w-]+)?\) do_", text, flags=re.MULTILINE)


# ---------------------------------------------------------------- the README


@pytest.mark.parametrize("line", re.findall(r"^ {4}sudo sh init/((?:un)?install.*)$", README, flags=re.MULTILINE))
def test_the_readme_uses_options_that_exist(line: str) -> None:
    name, *words = line.split()
    text = (TOP / "init" / name).read_text(encoding="utf-8")
    assert all(re.search(rf"{word}( \||\))", text) for word in words if word.startswith("--"))


def test_the_drop_in_of_the_readme_names_one_folder() -> None:
    state = re.search(r"`state = (/mnt/\S+)`", README)
    assert state
    assert f"ReadWritePaths={state[1]}\n" in README
    assert f"RequiresMountsFor={Path(state[1]).parent}\n" in README
