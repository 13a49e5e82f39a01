"""`powerpi push` and `powerpi restore`: what is said, and to whom, with a real mirror."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest
from conftest import START, HandClock
from pair import PASSWORD, SENDER, Mirroring, Pi, assert_equal_ends, flip_bit

from powerpi import anchors, by_hand, config, register
from powerpi.anchors import Anchor
from powerpi.config import Settings
from powerpi.digests import UNIT_ROWS, Unit
from powerpi.errors import ConfigError, PeerError, StoreError
from powerpi.folder import locked_folder
from powerpi.gaps import Gap
from powerpi.ledger import Ledger
from powerpi.pulses import STEP_SECONDS

Streams = pytest.CaptureFixture[str]

DAY = UNIT_ROWS * STEP_SECONDS
MIDNIGHT = START // DAY * DAY + DAY
DAY_ROWS = 86400 // STEP_SECONDS


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    clock.ahead += 400 * 86400
    with Mirroring(tmp_path / "mirror", clock, meters="house, shed").serving() as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, mirroring: Mirroring) -> Pi:
    return Pi(tmp_path / "pi", mirroring.url)


def wishes(folder: Path, url: str, extra: str = "", push: str = "") -> Settings:
    """The configuration of a Pi whose state is in `folder`."""
    return config.parse(
        f"[powerpi]\nstate = {folder}\nnetwork_time = no\ntimezone = Europe/Berlin\n"
        f"[meter house]\nlabel = Haus\ngpio = 24\noffset_kwh = 7\n{extra}"
        f"[push]\nurl = {url}\nuser = {SENDER}\npassword = {PASSWORD}\n{push}"
    )


@pytest.fixture
def settings(tmp_path: Path, mirroring: Mirroring) -> Settings:
    return wishes(tmp_path / "pi", mirroring.url)


def pushed(settings: Settings, capfd: Streams, *, counter: bool = False) -> tuple[int, list[str]]:
    """The exit code of `powerpi push --verify`, and the lines on standard output."""
    code = by_hand.push(settings, verify=True, counter=counter)
    return code, capfd.readouterr().out.splitlines()


# ---------------------------------------------------------------- push


def test_push_sends_what_is_missing_and_the_state(
    settings: Settings, pi: Pi, mirroring: Mirroring, capfd: Streams
) -> None:
    pi.write(100, seed=1)
    assert by_hand.push(settings, verify=False, counter=False) == 0
    told = capfd.readouterr()
    assert told.out == "house: in step\n"
    assert re.fullmatch(r"Sending house: done in \d+\.\d s\n", told.err)  # no terminal: a line at the end
    assert_equal_ends(pi, mirroring.meter())
    assert mirroring.meter().facts == ("house", "Haus", 1000.0, 7.0)
    assert mirroring.meter().pulses == pi.store.stored_pulses


def test_gaps_come_across_too(settings: Settings, pi: Pi, mirroring: Mirroring) -> None:
    pi.write(10)
    (settings.state / "house.gaps").write_text(f"{START + 10} {START + 50} power_cut\n")
    by_hand.push(settings, verify=False, counter=False)
    assert mirroring.meter().live.gaps == (Gap(START + 10, START + 50, "power_cut"),)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_that_only_grows(settings: Settings, pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("powerpi.progress.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr", terminal)
    pi.write(4 * DAY_ROWS)
    by_hand.push(settings, verify=False, counter=False)
    shares = [int(share) for share in re.findall(r"Sending house [█░]{32} +(\d+)%", terminal.getvalue())]
    # four days in parts of a day that end at no midnight: after the first three are left, and it is the beginning
    assert shares == [0, 33, 67, 100, 100]
    assert terminal.getvalue().endswith(" s\n")


def test_while_the_daemon_runs_rows_are_sent_and_the_state_is_left_to_it(
    settings: Settings, pi: Pi, mirroring: Mirroring
) -> None:
    pi.write(100, seed=2)
    with locked_folder(settings.state):
        assert by_hand.push(settings, verify=True, counter=False) == 0
    assert_equal_ends(pi, mirroring.meter())
    assert mirroring.meter().facts is None


def test_what_a_killed_daemon_left_behind_is_put_right_first(
    settings: Settings, pi: Pi, mirroring: Mirroring, capfd: Streams
) -> None:
    pi.write(10)
    (settings.state / "house.register").write_bytes(b"x" * 8192)
    by_hand.push(settings, verify=False, counter=False)
    assert "house: the register was damaged and is kept as " in capfd.readouterr().err
    assert_equal_ends(pi, mirroring.meter())


def test_only_the_meters_that_are_to_be_sent_are_sent(
    pi: Pi, mirroring: Mirroring, tmp_path: Path, capfd: Streams
) -> None:
    pi.write(10)
    both = "[meter shed]\ngpio = 23\n"
    by_hand.push(wishes(tmp_path / "pi", mirroring.url, both, "meters = house\n"), verify=False, counter=False)
    assert capfd.readouterr().out.splitlines() == ["house: in step"]
    by_hand.push(wishes(tmp_path / "pi", mirroring.url, both), verify=True, counter=False)
    house, verdict, shed = capfd.readouterr().out.splitlines()
    assert (house, shed) == ("house: in step", "shed: nothing has been counted yet")
    assert verdict.startswith("house: identical up to ")
    assert not (tmp_path / "pi" / "shed.rrd").exists()


def test_a_mirror_takes_a_lower_counter_when_it_is_told_to(settings: Settings, pi: Pi, mirroring: Mirroring) -> None:
    pi.write(100)
    mirroring.meter().set_counter(99_999)
    by_hand.push(settings, verify=False, counter=False)
    assert mirroring.meter().pulses == 99_999
    by_hand.push(settings, verify=False, counter=True)
    assert mirroring.meter().pulses == pi.store.stored_pulses


# ---------------------------------------------------------------- push --verify


def test_identical(settings: Settings, pi: Pi, capfd: Streams) -> None:
    pi.write(100)
    # the newest row is at START + 990: 2023-11-14 22:29:50 UTC, an hour later in Berlin
    assert pushed(settings, capfd) == (0, ["house: in step", "house: identical up to 2023-11-14 23:29:50"])


def test_different_there(settings: Settings, pi: Pi, mirroring: Mirroring, capfd: Streams) -> None:
    pi.write(100)
    pushed(settings, capfd)
    mirroring.meter().ledger.put(Unit(10, START + 100, START + 120), [9.0, 8.0])
    said = "house: identical up to 2023-11-14 23:29:50; 2 rows were missing or different there and were sent again"
    assert pushed(settings, capfd) == (0, ["house: in step", said])
    assert_equal_ends(pi, mirroring.meter())


def test_changed_on_the_disk_here(settings: Settings, pi: Pi, mirroring: Mirroring, capfd: Streams) -> None:
    pi.write(2 * DAY_ROWS, seed=3)
    pushed(settings, capfd)
    flip_bit(pi.store.rrd, MIDNIGHT + 5000)
    code, (_, said) = pushed(settings, capfd)
    assert code == 0
    assert said.startswith("house: identical up to 2023-11-16 ")
    assert said.endswith("; 1 rows had changed on the disk here and were fetched from there")
    assert_equal_ends(pi, mirroring.meter())


def test_changed_on_both_disks(settings: Settings, pi: Pi, mirroring: Mirroring, capfd: Streams) -> None:
    pi.write(2 * DAY_ROWS, seed=3)
    pushed(settings, capfd)
    flip_bit(pi.store.rrd, MIDNIGHT + 5000)
    mirroring.meter().ledger.put(Unit(10, MIDNIGHT + 6000, MIDNIGHT + 6010), [9.0])
    code, (_, said) = pushed(settings, capfd)
    assert code == 1
    assert re.fullmatch(
        r"house: not identical up to 2023-11-16 [\d:]{8}; 8640 rows are of days that have changed on the disk here and"
        r" are otherwise there too: left alone",
        said,
    )


def test_known_there_alone(settings: Settings, pi: Pi, mirroring: Mirroring, capfd: Streams) -> None:
    pi.write(100)
    pi.write(100, gap_rows=10)
    pushed(settings, capfd)
    mirroring.meter().ledger.put(Unit(10, START + 1010, START + 1030), [9.0, 8.0])
    code, (_, said) = pushed(settings, capfd)
    assert code == 1  # not quite the same
    assert said.endswith(" but for 2 rows that are known there alone (`powerpi restore --from-mirror` fetches them)")


def test_nothing_to_compare(settings: Settings, pi: Pi, capfd: Streams) -> None:
    assert pushed(settings, capfd) == (0, ["house: in step", "house: there is nothing to compare with 127.0.0.1"])


# ---------------------------------------------------------------- restore


def test_restore_fetches_all_and_says_so(
    pi: Pi, mirroring: Mirroring, tmp_path: Path, settings: Settings, capfd: Streams
) -> None:
    pi.write(100)
    by_hand.push(settings, verify=False, counter=False)
    new = wishes(tmp_path / "new", mirroring.url)
    capfd.readouterr()
    assert by_hand.from_mirror(new) == 0
    told = capfd.readouterr()
    # 99 rows of 500 W: 1.3889 pulses each, rounded up
    assert told.out == ("house: 99 rows and 0 older means came back; the counter stands at 138 pulses (before: 0)\n")
    assert re.fullmatch(r"Fetching house: done in \d+\.\d s\n", told.err)
    assert Ledger(tmp_path / "new" / "house.rrd", Lock()).newest() == pi.ledger.newest()
    found = register.read(tmp_path / "new" / "house.register")
    assert found
    assert found.pulses == 138


def test_a_new_card_notes_what_the_mirror_was_told_of_the_display(
    pi: Pi, mirroring: Mirroring, tmp_path: Path, settings: Settings, capfd: Streams
) -> None:
    pi.write(100)
    anchors.write(settings.state / "house.readings", [Anchor(START + 500, 12_345_600.0, 69.5)], damaged=False)
    by_hand.push(settings, verify=False, counter=False)
    # 138 pulses at 1000 imp/kWh: 68.5 Wh more than when it was read
    assert mirroring.parts.house.meter("house").meter_reading_watt_hours == pytest.approx(12_345_668.5)
    new = wishes(tmp_path / "new", mirroring.url)
    capfd.readouterr()
    by_hand.from_mirror(new)
    assert capfd.readouterr().out.endswith(
        "; that its display shows 12345.7 kWh then is noted, as the mirror was told\n"
    )
    [anchor] = anchors.read(tmp_path / "new" / "house.readings")[0]
    assert anchor == Anchor(START + 990, pytest.approx(12_345_668.5), 138.0)
    by_hand.from_mirror(new)  # where a reading is noted already it stays
    assert "is noted" not in capfd.readouterr().out
    assert anchors.read(tmp_path / "new" / "house.readings")[0] == (anchor,)
    by_hand.push(new, verify=False, counter=False)  # and the mirror is told the same again
    assert mirroring.parts.house.meter("house").meter_reading_watt_hours == pytest.approx(12_345_668.5)


def test_a_display_that_is_as_configured_is_not_noted(
    pi: Pi, mirroring: Mirroring, tmp_path: Path, settings: Settings, capfd: Streams
) -> None:
    pi.write(10)
    by_hand.push(settings, verify=False, counter=False)  # says 7, as it is here
    by_hand.from_mirror(wishes(tmp_path / "new", mirroring.url))
    assert "is noted" not in capfd.readouterr().out
    assert not (tmp_path / "new" / "house.readings").exists()


def test_a_mirror_that_knows_nothing_of_a_meter_says_so(settings: Settings, capfd: Streams) -> None:
    by_hand.from_mirror(settings)
    assert capfd.readouterr().out == "house: 127.0.0.1 knows nothing of it\n"


def test_what_is_damaged_here_is_set_aside_and_said(pi: Pi, settings: Settings, capfd: Streams) -> None:
    pi.write(100)
    by_hand.push(settings, verify=False, counter=False)
    pi.store.rrd.write_bytes(b"rubbish")
    by_hand.from_mirror(settings)
    told = capfd.readouterr()
    assert "house.rrd is not an RRD; it is kept as " in told.err
    assert "house: 99 rows and 0 older means came back" in told.out


def test_restore_does_not_run_beside_the_daemon(settings: Settings) -> None:
    with (
        locked_folder(settings.state),
        pytest.raises(StoreError, match="in use by another powerpi; stop that one first"),
    ):
        by_hand.from_mirror(settings)


# ---------------------------------------------------------------- what cannot be


def test_without_a_mirror_there_is_nothing_to_do(tmp_path: Path) -> None:
    alone = config.parse(f"[powerpi]\nstate = {tmp_path}\nnetwork_time = no\n[meter house]\ngpio = 24\n")
    for command in (lambda: by_hand.push(alone, verify=False, counter=False), lambda: by_hand.from_mirror(alone)):
        with pytest.raises(ConfigError, match=r"\[push\] is missing: wanted url, user and password of a mirror"):
            command()


def test_an_old_server_cannot_be_asked_what_it_holds(tmp_path: Path) -> None:
    old = wishes(tmp_path, "http://127.0.0.1:1/", push="protocol = get.php\n")
    for command in (lambda: by_hand.push(old, verify=False, counter=False), lambda: by_hand.from_mirror(old)):
        with pytest.raises(ConfigError, match=r"\[push\] protocol = get\.php: wanted powerpi, nobody can ask"):
            command()


def test_a_mirror_that_is_away_is_said(pi: Pi, tmp_path: Path) -> None:
    pi.write(10)
    away = wishes(tmp_path / "pi", "http://127.0.0.1:1/")
    with pytest.raises(PeerError, match=r"127\.0\.0\.1 cannot be reached: Connection refused"):
        by_hand.push(away, verify=False, counter=False)
    with pytest.raises(PeerError, match=r"127\.0\.0\.1 cannot be reached: Connection refused"):
        by_hand.from_mirror(away)


def test_nothing_is_sent_while_the_clock_is_not_set(
    settings: Settings, pi: Pi, mirroring: Mirroring, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi.write(10)
    monkeypatch.setattr("powerpi.clock.SystemClock.trusted", lambda _: False)
    with pytest.raises(PeerError, match="the clock is not synchronised"):
        by_hand.push(settings, verify=False, counter=False)
    assert mirroring.meter().store.last_row is None
