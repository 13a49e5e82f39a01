"""Whom a command works as; in a process of its own, because there is no way back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from powerpi.user import as_owner

TOP = Path(__file__).parent.parent
NOBODY = 65534

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def after(folder: Path) -> list[int]:
    """User and group that a process has after it became the owner."""
    code = "import os, sys; from pathlib import Path; from powerpi.user import become_owner\n"
    code += "become_owner(Path(sys.argv[1])); print(os.getuid(), os.getgid())"
    ran = subprocess.run([sys.executable, "-c", code, folder], cwd=TOP, capture_output=True, text=True, check=True)
    return [int(number) for number in ran.stdout.split()]


@root
@pytest.mark.parametrize("owner", [NOBODY, 54321], ids=["with a name", "a mere number"])
def test_root_becomes_the_owner_of_the_state_folder(tmp_path: Path, owner: int) -> None:
    os.chown(tmp_path, owner, owner)
    assert after(tmp_path) == [owner, owner]


def test_whoever_owns_the_folder_stays_who_he_is(tmp_path: Path) -> None:
    assert after(tmp_path) == [os.getuid(), os.getgid()]


def test_without_a_folder_nobody_changes(tmp_path: Path) -> None:
    assert after(tmp_path / "none") == [os.getuid(), os.getgid()]


@root
def test_root_is_the_owner_for_a_while_and_then_root_again(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    code = (
        "import os, sys; from pathlib import Path; from powerpi.user import as_owner\n"
        "os.setgroups([5, 6]); folder = Path(sys.argv[1])\n"
        "with as_owner(folder):\n"
        "    (folder / 'made').touch(); print(os.geteuid(), os.getegid(), os.getgroups() == [5, 6])\n"
        "print(os.geteuid(), os.getegid(), sorted(os.getgroups()))"
    )
    for parent in tmp_path.parents:  # the folder of all tests is root's alone
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    ran = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=TOP, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [f"{NOBODY} {NOBODY} False", "0 0 [5, 6]"]
    assert (tmp_path / "made").stat().st_uid == NOBODY


def test_for_a_while_whoever_owns_the_folder_stays_who_he_is(tmp_path: Path) -> None:
    with as_owner(tmp_path):
        assert os.geteuid() == os.getuid()
