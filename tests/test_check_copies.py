"""`powerpi check`, the copies elsewhere: a real mirror, real backups."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import START, HandClock
from pair import PASSWORD, SENDER, Mirroring, Pi

from powerpi import backup, check_copies
from powerpi.config import load
from powerpi.finding import Finding
from powerpi.store import Store


def config_of(folder: Path, push: str) -> Path:
    path = folder / "powerpi.conf"
    path.write_text(f"[powerpi]\nstate = {folder}\nnetwork_time = no\ntimezone = UTC\n[meter house]\ngpio = 24\n{push}")
    return path


def test_a_mirror_that_answers_says_what_it_holds(tmp_path: Path, clock: HandClock) -> None:
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        settings = load(config_of(tmp_path, f"[push]\nurl = {mirroring.url}\nuser = {SENDER}\npassword = {PASSWORD}\n"))
        assert settings.push
        empty = check_copies.check_mirror(settings, settings.push)
        assert empty == Finding("mirror", True, "127.0.0.1 answers, it holds nothing yet")
        pi = Pi(tmp_path / "pi", mirroring.url)
        pi.write(2)
        clock.now += 100
        pi.push()
        held = check_copies.check_mirror(settings, settings.push)
    assert held == Finding("mirror", True, "127.0.0.1 answers, it holds house up to 2023-11-14 22:13:30")


def test_a_mirror_that_is_away_is_wrong(tmp_path: Path) -> None:
    settings = load(config_of(tmp_path, "[push]\nurl = http://127.0.0.1:9/\nuser = pi-hq\npassword = geheim\n"))
    assert settings.push
    found = check_copies.check_mirror(settings, settings.push)
    assert (found.what, found.right) == ("mirror", False)
    assert found.said.startswith("127.0.0.1 cannot be reached: ")


def test_the_old_server_can_only_be_asked_by_sending(tmp_path: Path) -> None:
    settings = load(config_of(tmp_path, "[push]\nurl = https://power.example.org/get.php\nprotocol = get.php\n"))
    assert settings.push
    assert check_copies.check_mirror(settings, settings.push).right is None


PUSHED: dict[str, Any] = {"text": "Mirror m: in step", "said": None, "why": None, "in_step": True}


@pytest.mark.parametrize(
    ("changes", "right", "said"),
    [
        ({}, True, "Mirror m: in step"),
        ({"in_step": False, "why": "away", "said": "refused"}, None, "Mirror m: in step; refused"),
        ({"in_step": False, "why": "login", "said": "401"}, False, "Mirror m: in step; 401"),
        ({"in_step": False}, None, "Mirror m: in step"),
    ],
    ids=["in step", "away", "login", "behind"],
)
def test_how_the_mirror_stands_is_told_by_the_powerpi_that_runs(
    changes: dict[str, Any], right: bool | None, said: str
) -> None:
    assert check_copies.check_push({**PUSHED, **changes}) == Finding("mirror", right, said)


# ---------------------------------------------------------------- backups


def test_no_backup_wants_a_look_unless_a_mirror_holds_the_rows(tmp_path: Path) -> None:
    alone = load(config_of(tmp_path, ""))
    found = check_copies.check_backups(alone, 0)
    assert found == Finding("backups", None, f"none in {tmp_path}/backups; `powerpi backup` makes one")
    mirrored = load(config_of(tmp_path, "[push]\nurl = http://127.0.0.1:9/\nuser = pi-hq\npassword = geheim\n"))
    assert check_copies.check_backups(mirrored, 0).right
    assert not (tmp_path / "backups").exists()


def test_the_newest_backup_has_an_age(tmp_path: Path, make_store: Callable[..., Store]) -> None:
    conf = config_of(tmp_path, "")
    make_store().open(START)
    backup.make(conf, None, False)
    settings = load(conf)
    assert check_copies.check_backups(settings, time.time() + 3600).said.startswith(
        f"1 in {tmp_path}/backups, the newest 1 h old"
    )
    old = check_copies.check_backups(settings, time.time() + 10 * 86400)
    assert old.right is None
    assert old.said.endswith("the newest 10 d old: `powerpi backup` makes a new one")


def test_a_folder_of_backups_that_is_gone_is_wrong(tmp_path: Path) -> None:
    settings = load(config_of(tmp_path, f"[backup]\nfolder = {tmp_path}/stick\n"))
    found = check_copies.check_backups(settings, 0)
    assert found.right is False
    assert found.said.startswith(f"{tmp_path}/stick: No such file or directory; is its disk mounted?")
