"""`powerpi restore FILE`: all comes back, on any machine, whatever was counted there meanwhile, and is compared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from conftest import START
from pair import flip_bit
from saved_house import FIRST, HAUS, House, all_rows, backup_of
from test_backup import config_in

from powerpi import anchors, cli, config, facts, gaps, passwords, register, restore, restoring
from powerpi.anchors import Anchor
from powerpi.digests import Unit, units
from powerpi.errors import BackupError, ConfigError, RefusedError, StoreError
from powerpi.facts import Facts
from powerpi.folder import locked_folder
from powerpi.gaps import Gap
from powerpi.layout import MEAN_SECONDS
from powerpi.pulses import Row
from powerpi.ring import UNKNOWN
from powerpi.saving import Origin
from powerpi.store import Store

Streams = pytest.CaptureFixture[str]

TOP = Path(__file__).parent.parent
NOBODY = 65534
HASH = passwords.hashed("geheim", 10)
VIEWER = f"[viewer anna]\npassword_hash = {HASH}\n"

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def old(tmp_path: Path) -> House:
    """What is saved: rows with a gap in between, the newest one right behind another gap, and older means."""
    made = House(tmp_path / "old")
    made.write(9000)
    made.write(300, gap_rows=700, seed=2)
    made.write(1, gap_rows=100)
    made.old_means(10_000)
    return made


def save(house: House, *names: str, origin: Origin = HAUS) -> Path:
    path = house.folder.parent / "a.zip"
    path.write_bytes(backup_of(house.folder, *names, origin=origin).getvalue())
    return path


@pytest.fixture
def file(old: House) -> Path:
    return save(old)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new"


@pytest.fixture
def conf(tmp_path: Path, new: Path) -> Path:
    return config_in(tmp_path, new)


def lines(capfd: Streams) -> list[str]:
    return capfd.readouterr().out.splitlines()


def assert_same(one: Path, other: Path, meter: str = "house") -> None:
    """All rows of both archives are the same to the last bit, and so is the counter."""
    before, after = (all_rows(folder / f"{meter}.rrd") for folder in (one, other))
    assert before == after
    stored = [register.read(folder / f"{meter}.register") for folder in (one, other)]
    assert stored[0]
    assert stored[1]
    assert stored[0].pulses == stored[1].pulses


# ---------------------------------------------------------------- a new machine


def test_all_comes_back_to_the_last_bit(old: House, file: Path, conf: Path, new: Path, capfd: Streams) -> None:
    assert restoring.from_file(conf, file) == 0
    assert_same(old.folder, new)
    assert House(new).ledger.held() == old.ledger.held()
    head, beside, line = lines(capfd)
    assert head.startswith(f"{file}: whole, made ")
    assert beside == f"{conf} stays as it is; that of the backup is another one and lies in {new}/powerpi.conf.backup"
    pulses = old.store.stored_pulses
    # the first row of each stretch is unknown; of the quarter hours 100 and 3 are known by more than half of their rows
    assert line == (
        f"house: {8999 + 299} rows and 10000 means came back (103 more means follow from these rows); "
        f"the counter stands at {pulses} pulses (before: 0);"
        " identical with the backup"
    )
    assert restoring.from_file(conf, file) == 0  # once more changes nothing
    assert "house: 0 rows and 0 means came back; " in capfd.readouterr().out
    assert_same(old.folder, new)


def test_librrd_goes_on_where_it_was(old: House, file: Path, conf: Path, new: Path) -> None:
    restoring.from_file(conf, file)
    restored = House(new)
    for house in (old, restored):
        house.write(2000, seed=5)
    assert_same(old.folder, new)


def test_gaps_readings_and_facts_come_back(old: House, conf: Path, new: Path) -> None:
    gap, anchor = Gap(START + 100, START + 200, "power_cut"), Anchor(START + 60, 1234.5, 6.25)
    gaps.write(old.folder / "house.gaps", [gap], damaged=False)
    anchors.write(old.folder / "house.readings", [anchor], damaged=False)
    origin = Origin(Facts("house", "Haus am See", 500.0, 7.0), "pi-hq")
    assert restoring.from_file(conf, save(old, origin=origin)) == 0
    assert gaps.read(new / "house.gaps") == ((gap,), False)
    assert anchors.read(new / "house.readings") == ((anchor,), False)
    assert facts.read(new / "house.mirrored", "house") == origin.facts
    facts.write(new / "house.mirrored", Facts("house", "newer", 500.0, 7.0))
    restoring.from_file(conf, save(old, origin=origin))
    assert facts.read(new / "house.mirrored", "house") == Facts("house", "newer", 500.0, 7.0)


def test_a_meter_that_is_counted_here_has_no_facts_of_a_sender(file: Path, conf: Path, new: Path) -> None:
    restoring.from_file(conf, file)
    assert not (new / "house.mirrored").exists()


def test_meters_that_the_configuration_does_not_know_come_back_and_are_told(
    old: House, conf: Path, new: Path, capfd: Streams
) -> None:
    House(old.folder, "shed").write(50, seed=3)
    assert restoring.from_file(conf, save(old, "shed", "house")) == 0
    assert_same(old.folder, new, "shed")
    assert [line for line in lines(capfd) if "no meter" in line] == [
        "shed: the configuration has no meter of that name; its files are complete for the day it has"
    ]


def test_a_counter_without_rows_comes_back(tmp_path: Path, conf: Path, new: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    store = Store(folder, "house", 20, threading.Lock())
    store.open_counter()
    store.save_register(77, 0)
    file = tmp_path / "a.zip"
    file.write_bytes(backup_of(folder).getvalue())
    assert restoring.from_file(conf, file) == 0
    assert House(new).store.open(FIRST)[0] == 77


@pytest.mark.parametrize("years", [0, 1, 30])
def test_another_span_of_means_takes_what_has_room(
    old: House, conf: Path, new: Path, years: int, capfd: Streams
) -> None:
    file = save(old)
    conf.write_text(conf.read_text() + f"[store]\narchive_years = {years}\n")
    assert restoring.from_file(conf, file) == 0
    here = House(new)
    for unit in units(10, START // 86400 * 86400, old.store.last_time):
        assert here.ledger.rows(unit).tobytes() == old.ledger.rows(unit).tobytes()
    said = capfd.readouterr().out
    assert ("older than what has room here: 10" in said) == (years != 30)


def test_means_of_which_no_rows_are_left_come_back_within_the_last_year_too(old: House, conf: Path, new: Path) -> None:
    quarter = Unit(MEAN_SECONDS, START // 900 * 900 + 900, START // 900 * 900 + 1800)
    [mean] = old.ledger.rows(quarter)
    for part in units(10, quarter.after, quarter.until):
        old.ledger.put(part, UNKNOWN * 90)
    old.ledger.put(quarter, [mean])
    assert restoring.from_file(conf, save(old)) == 0
    assert list(House(new).ledger.rows(quarter)) == [mean]
    assert_same(old.folder, new)


# ---------------------------------------------------------------- one that has counted


def test_what_was_counted_meanwhile_stays_and_is_added(
    old: House, file: Path, conf: Path, new: Path, capfd: Streams
) -> None:
    here = House(new)
    last = old.store.last_time + 864_000
    here.store.write([Row(last + 10 * n, 0.25 + 2 * n) for n in range(101)])
    here.store.save_register(204, last + 1003)
    anchors.write(new / "house.readings", [Anchor(last + 500, 777.0, 100.25)], damaged=False)
    before = old.store.stored_pulses
    assert restoring.from_file(conf, file) == 0
    # 200 pulses in rows, and 204 - 200.25 after the newest of them
    assert f"the counter stands at {before + 204} pulses (before: 204)" in capfd.readouterr().out
    whole = House(new)
    assert list(whole.ledger.rows(Unit(10, last + 500, last + 520))) == [0.2, 0.2]
    assert whole.store.open(FIRST)[0] == before + 204
    # what was noted then was noted of a counter that has grown by what came back
    assert anchors.read(new / "house.readings")[0] == (Anchor(last + 500, 777.0, 100.25 + before),)


def test_over_the_machine_itself_nothing_is_lost(old: House, file: Path, tmp_path: Path, capfd: Streams) -> None:
    old.write(500, seed=6)
    pulses = old.store.stored_pulses
    kept = all_rows(old.store.rrd)
    assert restoring.from_file(config_in(tmp_path, old.folder), file) == 0
    assert all_rows(old.store.rrd) == kept
    assert (
        f"the counter stands at {pulses} pulses (before: {pulses}); identical with the backup" in capfd.readouterr().out
    )


def test_rows_that_are_known_here_stay_and_are_told(old: House, file: Path, tmp_path: Path, capfd: Streams) -> None:
    unit = Unit(10, START + 1000, START + 1020)
    old.ledger.put(unit, [7.0, 8.0])
    assert restoring.from_file(config_in(tmp_path, old.folder), file) == 0  # as they were known before
    assert list(old.ledger.rows(unit)) == [7.0, 8.0]
    # and the mean of their quarter hour
    assert "; different here: 3, the first of 2023-11-14 23:30:10" in capfd.readouterr().out


def test_what_the_disk_makes_of_it_is_told(
    file: Path, conf: Path, new: Path, capfd: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = restore.restore

    def damaging(*arguments: object, **more: object) -> object:
        found = whole(*arguments, **more)  # type: ignore[arg-type]
        flip_bit(new / "house.rrd", START + 500)
        return found

    monkeypatch.setattr("powerpi.restore.restore", damaging)
    assert restoring.from_file(conf, file) == 1
    assert "; different here: 1, the first of 2023-11-14 23:21:40" in capfd.readouterr().out


def test_a_reading_that_was_put_right_since_stays_right(old: House, tmp_path: Path) -> None:
    path = old.folder / "house.readings"
    first, second = Anchor(START + 10, 10.0, 1.0), Anchor(START + 20, 20.0, 2.0)
    anchors.write(path, [first, second], damaged=False)
    file = save(old)
    put_right = first._replace(watt_hours=11.0)
    anchors.write(path, [put_right], damaged=False)
    for _ in range(2):
        assert restoring.from_file(config_in(tmp_path, old.folder), file) == 0
        assert anchors.read(path)[0] == (put_right, second)


def test_one_that_was_taken_away_since_comes_back_and_is_told(old: House, tmp_path: Path, capfd: Streams) -> None:
    path = old.folder / "house.readings"
    wrong, right = Anchor(START + 10, 99_000.0, 1.0), Anchor(START + 20, 20_500.0, 2.0)
    anchors.write(path, [wrong], damaged=False)
    file = save(old)
    anchors.write(path, [right], damaged=False)
    said = (
        "house: readings of the display came back: 99 kWh of 2023-11-14 23:13:30;"
        " `powerpi reading house --remove TIME` takes away one that is wrong"
    )
    assert restoring.from_file(config_in(tmp_path, old.folder), file) == 0
    assert lines(capfd).count(said) == 1
    assert restoring.from_file(config_in(tmp_path, old.folder), file) == 0
    assert "came back: 99" not in capfd.readouterr().out
    assert anchors.read(path)[0] == (wrong, right)
    anchors.write(path, [right], damaged=False)
    many = [Anchor(START + 1000 + number, 30_000.0, 3.0) for number in range(25)]
    anchors.write(path, many, damaged=False)
    file = save(old)
    path.unlink()
    restoring.from_file(config_in(tmp_path, old.folder), file)
    assert ", and 5 older ones; `powerpi" in capfd.readouterr().out


# ---------------------------------------------------------------- without a configuration


def whole_backup(folder: Path, text: str) -> Path:
    """A backup made by the command, of a machine with this configuration."""
    conf = folder / "old.conf"
    conf.write_text(text)
    assert cli.main(["backup", str(folder / "a.zip"), "--config", str(conf)]) == 0
    return folder / "a.zip"


def test_the_configuration_comes_back_where_there_is_none(tmp_path: Path, capfd: Streams) -> None:
    House(tmp_path / "state").write(20)
    text = (
        f"[powerpi]\nstate = {tmp_path}/state\ntimezone = Europe/Berlin\nnetwork_time = no\n# the cellar\n"
        f"[meter house]\ngpio = 23\n{VIEWER}[push]\nurl = https://h/\nuser = x\npassword = y\n"
    )
    file = whole_backup(tmp_path, text)
    capfd.readouterr()
    (tmp_path / "state").rename(tmp_path / "lost")
    conf = tmp_path / "etc" / "powerpi.conf"
    conf.parent.mkdir()
    assert restoring.from_file(conf, file) == 0
    assert_same(tmp_path / "lost", tmp_path / "state")
    settings = config.load(conf)
    assert (settings.meters[0].gpio, settings.viewers, settings.push) == (23, (), None)
    assert "# the cellar" in conf.read_text()
    assert conf.stat().st_mode & 0o777 == 0o640
    assert lines(capfd)[1:5] == [
        f"wrote {conf} as it was, without passwords",
        "  [viewer anna] is a comment until it has a new password_hash",
        "  [push] is a comment until it has a new password",
        "  without viewers everybody who reaches the page may look",
    ]
    assert not (tmp_path / "state" / "powerpi.conf.backup").exists()


def test_one_that_is_not_complete_says_what_it_lacks_and_the_rows_come_all_the_same(
    tmp_path: Path, capfd: Streams
) -> None:
    House(tmp_path / "state").write(20)
    text = (
        f"[powerpi]\nstate = {tmp_path}/state\nnetwork_time = no\n[mirror]\naccept = yes\n"
        f"[mirror pi]\npassword_hash = {HASH}\nmeters = house\n"
    )
    file = whole_backup(tmp_path, text)
    (tmp_path / "state").rename(tmp_path / "lost")
    assert restoring.from_file(tmp_path / "powerpi.conf", file) == 0
    assert_same(tmp_path / "lost", tmp_path / "state")
    assert (
        "  it is not complete: no meter is configured: wanted at least one section such as [meter house] with gpio = 24"
        in lines(capfd)
    )
    # interrupted, and given again
    (tmp_path / "state" / "house.register").unlink()
    assert restoring.from_file(tmp_path / "powerpi.conf", file) == 0
    assert_same(tmp_path / "lost", tmp_path / "state")
    told = capfd.readouterr()
    assert f"powerpi: {tmp_path}/powerpi.conf is not complete: no meter is configured" in told.err
    assert "stays as it is" not in told.out


def test_the_same_configuration_is_not_put_beside(tmp_path: Path, new: Path, capfd: Streams) -> None:
    House(tmp_path / "state").write(20)
    file = whole_backup(tmp_path, config_in(tmp_path, tmp_path / "state").read_text())
    assert restoring.from_file(tmp_path / "powerpi.conf", file) == 0
    assert not (tmp_path / "state" / "powerpi.conf.backup").exists()


@root
def test_root_puts_all_back_for_the_service() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        top.chmod(0o755)
        House(top / "old").write(20)
        (top / "private").mkdir(mode=0o700)
        (top / "private/a.zip").write_bytes(backup_of(top / "old").getvalue())
        state = top / "state"
        state.mkdir()
        os.chown(state, NOBODY, NOBODY)
        conf = config_in(top, state)
        command = [sys.executable, "-m", "powerpi", "restore", str(top / "private/a.zip"), "--config", str(conf)]
        subprocess.run(command, cwd=TOP, check=True, capture_output=True)
        assert {path.stat().st_uid for path in state.iterdir()} == {NOBODY}
        assert_same(top / "old", state)


# ---------------------------------------------------------------- refused


def test_while_a_powerpi_runs_it_says_how_to_stop_it(file: Path, conf: Path, new: Path) -> None:
    said = rf"a PowerPi runs on {new}: stop it first \(sudo .*stop.*\), and start it afterwards"
    with locked_folder(new), pytest.raises(StoreError, match=said):
        restoring.from_file(conf, file)
    assert not (new / "house.rrd").exists()


def test_a_damaged_file_changes_nothing(file: Path, tmp_path: Path, new: Path) -> None:
    content = bytearray(file.read_bytes())
    content[1000] ^= 4
    file.write_bytes(content)
    with pytest.raises(BackupError, match=rf"{file} is damaged"):
        restoring.from_file(tmp_path / "none.conf", file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "old"]


@pytest.mark.parametrize(
    "text",
    [
        "[powerpi]\nstat = {new}\n[meter house]\ngpio = 24\n",
        "[powerp]\nstate = {new}\n[meter house]\ngpio = 24\n",
        "[powerpi\nstate = {new}\n[meter house]\ngpio = 24\n",
        "[powerpi]\nstate = {new}\n[store]\narchive_years = x\n[meter house]\ngpio = 24\n",
        "[powerpi]\nstate = new\n",
        "[meter house]\ngpio = 24\n[powerpi]\nstate = {new}\ntimezone = Europe/Nowhere\n",
    ],
)
def test_a_configuration_that_may_mean_another_place_is_told_first(
    file: Path, conf: Path, new: Path, text: str
) -> None:
    conf.write_text(text.format(new=new))
    with pytest.raises(ConfigError):
        restoring.from_file(conf, file)
    assert not new.exists()


def test_rows_of_the_future_are_refused(old: House, file: Path, conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: old.store.last_time - 400.0)
    with pytest.raises(RefusedError, match=r"the backup holds rows up to \d+, 400 s in the future: a clock is wrong"):
        restoring.from_file(conf, file)


def test_a_clock_that_nobody_vouches_for_is_no_obstacle(
    old: House, file: Path, conf: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("powerpi.clock.SystemClock.trusted", lambda _: False)
    monkeypatch.setattr("time.time", lambda: old.store.last_time - 400.0)
    assert restoring.from_file(conf, file) == 0
    assert_same(old.folder, new)


@pytest.mark.parametrize("arguments", [[], ["a.zip", "--from-mirror"]], ids=["neither", "both"])
def test_where_from_must_be_said_once(arguments: list[str], capfd: Streams) -> None:
    assert cli.main(["restore", *arguments]) == 2
    assert capfd.readouterr().err == "powerpi restore: wanted either the FILE of a backup or --from-mirror\n"


# ---------------------------------------------------------------- killed


def test_killed_at_any_moment_it_can_be_begun_again(tmp_path: Path, new: Path, conf: Path) -> None:
    old = House(tmp_path / "old")
    old.write(8640 * 30)
    old.old_means(10_000)
    file = save(old)
    command = [sys.executable, "-m", "powerpi", "restore", str(file), "--config", str(conf)]
    kills, pause = 0, threading.Event()
    for attempt in range(12):
        process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and not (new / "house.rrd").exists():
                pause.wait(0.002)
            pause.wait(0.03 * attempt)
            kills += process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if attempt == 3:  # from the beginning
            for path in new.iterdir():
                path.unlink()
    assert kills >= 5
    assert restoring.from_file(conf, file) == 0
    assert_same(old.folder, new)
