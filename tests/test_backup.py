"""`powerpi backup`: made while a PowerPi runs and while none does, verified, kept, and never a half one."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import START
from pair import flip_bit
from saved_house import House
from test_daemon import Process

from powerpi import backup, cli, identity, passwords
from powerpi.backup_file import BackupFile
from powerpi.comparing import compare
from powerpi.digests import Unit
from powerpi.door import Door, ask
from powerpi.errors import BackupError, ConfigError, NobodyError, StoreError
from powerpi.folder import locked_folder
from powerpi.ring import UNKNOWN
from powerpi.saving import host_name

Streams = pytest.CaptureFixture[str]

TOP = Path(__file__).parent.parent
NOBODY = 65534
NEWEST = "the newest minutes may be missing"

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def house(state: Path) -> House:
    """200 rows from START on."""
    made = House(state)
    made.write(200)
    return made


@pytest.fixture
def conf(tmp_path: Path, state: Path) -> Path:
    return config_in(tmp_path, state)


def config_in(folder: Path, state: Path, extra: str = "") -> Path:
    path = folder / "powerpi.conf"
    path.write_text(
        f"[powerpi]\nstate = {state}\ntimezone = Europe/Berlin\nnetwork_time = no\nlisten = 127.0.0.1:0\n"
        f"[meter house]\ngpio = 24\nlabel = Haus\n{extra}"
    )
    return path


def opened(path: Path) -> BackupFile:
    return BackupFile(path.open("rb"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------- made


def test_a_file_with_all_meters_is_made_and_told(house: House, conf: Path, tmp_path: Path, capfd: Streams) -> None:
    House(house.folder, "shed").write(10)
    file = tmp_path / "a.zip"
    assert backup.make(conf, file, force=False) == 0
    told = capfd.readouterr()
    assert told.out == f"made {file}, {file.stat().st_size} bytes\n"
    pulses = house.store.stored_pulses
    assert f"house: 199 rows and 2 means, the counter at {pulses} pulses\n" in told.err
    assert "shed: 9 rows and 0 means, the counter at " in told.err
    assert "; the configuration does not know it\n" in told.err
    assert opened(file).head.meters == ("house", "shed")
    assert opened(file).configuration == conf.read_text()
    assert compare(opened(file), "house", house.ledger).identical
    assert file.stat().st_mode & 0o777 == 0o640
    with pytest.raises(StoreError, match="exists already and was left as it is; --force"):
        backup.make(conf, file, force=False)
    assert backup.make(conf, file, force=True) == 0


def test_a_received_meter_that_has_told_nothing_of_itself_is_known(
    house: House, tmp_path: Path, capfd: Streams
) -> None:
    sender = f"[mirror]\naccept = yes\n[mirror pi]\npassword_hash = {passwords.hashed('geheim', 10)}\nmeters = shed\n"
    House(house.folder, "shed").write(10)
    assert backup.make(config_in(tmp_path, house.folder, sender), tmp_path / "a.zip", force=False) == 0
    assert "the configuration does not know it" not in capfd.readouterr().err


def test_more_meters_than_can_be_read_again_are_not_saved(
    house: House, conf: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    House(house.folder, "shed")
    monkeypatch.setattr("powerpi.saving.MOST_METERS", 1)
    with pytest.raises(StoreError, match=f"{state} has 2 meters: a backup takes 1"):
        backup.make(conf, tmp_path / "a.zip", force=False)
    assert names(tmp_path) == ["powerpi.conf", "state"]


def test_two_machines_of_one_name_share_a_folder(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(START, START + 100))
    monkeypatch.setattr("time.time", lambda: next(times))
    stick = tmp_path / "stick"
    stick.mkdir()
    House(tmp_path / "other").write(10)
    for folder in (house.folder, tmp_path / "other") * 2:
        conf = config_in(tmp_path, folder, f"[backup]\nkeep = 1\nfolder = {stick}\n")
        assert backup.make(conf, None, force=False) == 0
        assert len([path for path in stick.iterdir() if identity.read(folder)[:8] in path.name]) == 1
    assert len(names(stick)) == 2


def test_without_a_file_it_is_dated_and_the_oldest_go(
    house: House, conf: Path, state: Path, capfd: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf.write_text(conf.read_text() + "[backup]\nkeep = 2\n")
    times = iter(range(START, START + 100))
    monkeypatch.setattr("time.time", lambda: next(times))
    for _ in range(3):
        assert backup.make(conf, None, force=False) == 0
    kept = names(state / "backups")
    assert len(kept) == 2
    own = identity.read(state)[:8]
    assert all(name.startswith(f"powerpi-{host_name()}-{own}-20231114T2213") for name in kept)
    assert capfd.readouterr().out.splitlines()[-1].endswith(".zip: 2 are kept")


def test_a_failed_one_removes_no_good_one(
    house: House, conf: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf.write_text(conf.read_text() + "[backup]\nkeep = 1\n")
    house.write(5000)
    backup.make(conf, None, force=False)
    before = names(state / "backups")
    monkeypatch.setattr("time.time", lambda: float(START))  # another name
    with limited(20_000), pytest.raises(StoreError, match="File too large"):
        backup.make(conf, None, force=False)
    assert names(state / "backups") == before
    with limited(20_000), pytest.raises(StoreError, match=r"a.zip: File too large"):
        backup.make(conf, tmp_path / "a.zip", force=False)
    assert not list(tmp_path.glob("a.zip*"))


@contextmanager
def limited(most_bytes: int) -> Iterator[None]:
    """A disk on which no file grows beyond so many bytes: as one that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@root
def test_a_disk_that_is_really_full_is_told_and_left_as_it_was(house: House, conf: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    house.write(5000)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(StoreError, match="No space left on device"):
            backup.make(conf, disk / "a.zip", force=False)
        assert names(disk) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_nothing_counted_is_nothing_to_save(conf: Path, state: Path, tmp_path: Path) -> None:
    state.mkdir()
    with pytest.raises(StoreError, match=f"there is nothing to save in {state}: nothing has been counted yet"):
        backup.make(conf, tmp_path / "a.zip", force=False)
    assert names(tmp_path) == ["powerpi.conf", "state"]


def test_a_wrong_configuration_is_told_before_anything_is_made(conf: Path, state: Path, tmp_path: Path) -> None:
    conf.write_text("[meter house]\n")
    with pytest.raises(ConfigError):
        backup.make(conf, tmp_path / "a.zip", force=False)
    assert names(tmp_path) == ["powerpi.conf"]


def test_it_goes_to_another_program(house: House, conf: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "powerpi", "backup", "-", "--config", str(conf)]
    ran = subprocess.run(command, cwd=TOP, capture_output=True, check=True)
    (tmp_path / "a.zip").write_bytes(ran.stdout)
    assert compare(opened(tmp_path / "a.zip"), "house", house.ledger).identical


# ---------------------------------------------------------------- while a PowerPi runs


def test_what_runs_writes_its_newest_rows_first(house: House, conf: Path, state: Path, tmp_path: Path) -> None:
    asked: list[object] = []

    def flush(request: object) -> bool:
        asked.append(request)
        if len(asked) == 2:  # the first one is the test's own
            house.write(5, seed=2)
        return True

    deaths: list[BaseException] = []
    with locked_folder(state):
        door = Door(state, {"flush": flush}, lambda _, death: deaths.append(death))
        door.start()
        try:
            wait_until(lambda: answers(state))
            backup.make(conf, tmp_path / "a.zip", force=False)
        finally:
            door.stop()
    assert not deaths
    assert len(asked) == 2
    assert opened(tmp_path / "a.zip").standing("house").newest == START + 1990 + 50


def answers(folder: Path) -> bool:
    """Whether the door of a PowerPi is not merely there."""
    try:
        return bool(ask(folder, "flush"))
    except NobodyError:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(500):
        if true():
            return
        tick.wait(0.02)
    raise AssertionError("it never came true")


def test_one_that_does_not_answer_is_told_and_saved(
    house: House, conf: Path, state: Path, tmp_path: Path, capfd: Streams
) -> None:
    with locked_folder(state):
        assert backup.make(conf, tmp_path / "a.zip", force=False) == 0
    assert f"{NEWEST}: no PowerPi answers in {state}" in capfd.readouterr().err
    assert compare(opened(tmp_path / "a.zip"), "house", house.ledger).identical


def test_a_real_one_goes_on(house: House, conf: Path, tmp_path: Path, capfd: Streams) -> None:
    process = Process(["run", "--config", str(conf)], GPIOZERO_PIN_FACTORY="mock")
    try:
        assert process.port
        wait_until(lambda: answers(house.folder))
        assert backup.make(conf, tmp_path / "a.zip", force=False) == 0
        assert backup.verify(conf, tmp_path / "a.zip") == 0
        told = capfd.readouterr()
        assert NEWEST not in told.err
        assert "house: 199 rows and 2 means; identical with the store\n" in told.out
        assert process.get("/health")
        assert process.end()[0] == 0
    finally:
        process.child.kill()
        process.child.wait()


def test_one_that_writes_without_a_pause_is_saved_as_of_one_moment(
    house: House, conf: Path, state: Path, tmp_path: Path
) -> None:
    stopping, seed = threading.Event(), 10

    def write() -> None:
        nonlocal seed
        while not stopping.is_set():
            seed += 1
            house.write(seed % 50 + 1, seed)

    writer = threading.Thread(target=write)
    with locked_folder(state):
        writer.start()
        try:
            backup.make(conf, tmp_path / "a.zip", force=False)
        finally:
            stopping.set()
            writer.join()
    assert seed > 20
    found = opened(tmp_path / "a.zip")
    assert compare(found, "house", house.ledger).identical
    newest = found.standing("house").newest
    assert newest
    assert START + 1990 <= newest < house.store.last_time


def test_while_none_runs_what_was_torn_is_put_right_and_one_can_be_started(
    house: House, conf: Path, tmp_path: Path, capfd: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.folder / "house.register").write_bytes(b"x" * 8192)
    asked: list[bool] = []

    def started(archive: object, copy: str) -> None:
        with locked_folder(house.folder):
            asked.append(True)

    monkeypatch.setattr("powerpi.saving.begin", started)
    with pytest.raises(BackupError, match=r"lacks powerpi.conf"):
        backup.make(conf, tmp_path / "a.zip", force=False)
        opened(tmp_path / "a.zip")
    assert asked == [True]
    assert "house: the register was damaged and is kept as " in capfd.readouterr().err


def test_one_without_the_rows_of_a_damaged_file_says_so_and_takes_no_other_ones_place(
    house: House, conf: Path, state: Path, capfd: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf.write_text(conf.read_text() + "[backup]\nkeep = 1\n")
    House(state, "shed").write(10)
    backup.make(conf, None, force=False)
    good = conf.parent / "a.zip"
    backup.make(conf, good, force=False)
    (state / "other.rrd").write_bytes(b"RRD\0of another program")
    with locked_folder(state):  # while a PowerPi runs, which is about to set it aside
        (state / "house.rrd").write_bytes(b"no rrd")
        monkeypatch.setattr("time.time", lambda: float(START))
        assert backup.make(conf, None, force=False) == 1
        with pytest.raises(StoreError, match=r"a.zip stays as it was, it may know more"):
            backup.make(conf, good, force=True)
    assert compare(opened(good), "house", None).rows == 199
    assert names(good.parent).count("a.zip.new") == 0
    assert f"; its rows are not in the backup: {state}/house.rrd is not an RRD\n" in capfd.readouterr().err
    assert len(names(state / "backups")) == 2
    [lacking] = (state / "backups").glob(f"powerpi-{host_name()}-*-20231114T221320Z.zip")
    assert opened(lacking).head.meters == ("house", "shed")
    assert (opened(lacking).head.whole, opened(good).head.whole) == (False, True)
    assert (state / "other.rrd").read_bytes() == b"RRD\0of another program"


# ---------------------------------------------------------------- killed, and as root


def test_a_kill_in_the_middle_leaves_the_good_ones_and_the_next_one_cleans_up(
    house: House, conf: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup.make(conf, None, force=False)
    [good] = names(state / "backups")
    command = [sys.executable, "-m", "powerpi", "backup", "--config", str(conf)]
    kills, pause = 0, threading.Event()
    for attempt in range(20):
        process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and not list((state / "backups").glob("*.new")):
                pause.wait(0.001)
            if process.poll() is None:
                pause.wait(0.02 * attempt)
                kills += process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        left = [name for name in names(state / "backups") if name.endswith(".new")]
        for path in (state / "backups").glob("*.zip"):
            opened(path).close()  # whatever has its name is whole
        if kills >= 3 and left:
            break
    assert kills >= 3
    assert good in names(state / "backups")
    monkeypatch.setattr("time.time", lambda: float(START))  # another name
    assert backup.make(conf, None, force=False) == 0
    assert not [name for name in names(state / "backups") if name.endswith(".new")]


@root
def test_root_works_as_the_service_does_and_writes_where_only_root_may() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        top.chmod(0o755)
        state, private = top / "state", top / "private"
        House(state).write(20)
        private.mkdir(mode=0o700)
        for path in (state, *state.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        (state / "house.register").unlink()  # is made anew by whoever opens the store
        conf = config_in(top, state)
        base = [sys.executable, "-m", "powerpi", "backup", "--config", str(conf)]
        for arguments in ([str(private / "a.zip")], [], ["--verify", str(private / "a.zip")], ["--verify"]):
            subprocess.run([*base, *arguments], cwd=TOP, check=True, capture_output=True)
        assert (private / "a.zip").stat().st_uid == 0
        owners = {path.stat().st_uid for path in (*state.iterdir(), *(state / "backups").iterdir())}
        assert owners == {NOBODY}
        assert (state / "house.register").exists()


# ---------------------------------------------------------------- verify


@pytest.fixture
def made(house: House, conf: Path, tmp_path: Path, capfd: Streams) -> Path:
    backup.make(conf, tmp_path / "a.zip", force=False)
    capfd.readouterr()
    return tmp_path / "a.zip"


def test_verify_says_that_all_is_the_same(made: Path, conf: Path, capfd: Streams) -> None:
    assert backup.verify(conf, made) == 0
    head, line = capfd.readouterr().out.splitlines()
    assert head.startswith(f"{made}: whole, made 2")
    assert f" on {host_name()} by PowerPi " in head
    assert line == "house: 199 rows and 2 means; identical with the store"


def test_verify_names_what_differs(made: Path, house: House, conf: Path, capfd: Streams) -> None:
    flip_bit(house.store.rrd, START + 500)
    house.ledger.put(Unit(10, START + 1950, START + 1970), UNKNOWN * 2)
    assert backup.verify(conf, made) == 1
    # START is 23:13:20 in Berlin
    assert capfd.readouterr().out.splitlines()[1] == (
        "house: 199 rows and 2 means; different here: 1, the first of 2023-11-14 23:21:40; unknown here: 2, the first"
        " of 2023-11-14 23:46:00"
    )


def test_verify_tells_of_rows_that_have_no_room_and_of_a_lower_counter(
    made: Path, house: House, conf: Path, capfd: Streams
) -> None:
    pulses = house.store.stored_pulses
    house.write(10, gap_rows=400 * 8640)
    assert backup.verify(conf, made) == 0
    assert "; identical with the store; older than what has room here: 199" in capfd.readouterr().out
    house.store.save_register(3, house.store.last_time)
    assert backup.verify(conf, made) == 1
    assert f"; the counter here is lower than the {pulses} pulses in the backup" in capfd.readouterr().out


def test_verify_tells_that_nothing_is_here(made: Path, conf: Path, state: Path, capfd: Streams) -> None:
    shutil.rmtree(state)
    assert backup.verify(conf, made) == 1
    assert "none of them is here: `powerpi restore` brings them back" in capfd.readouterr().out


def test_verify_without_a_configuration_checks_the_file_alone(made: Path, tmp_path: Path, capfd: Streams) -> None:
    assert backup.verify(tmp_path / "none.conf", made) == 0
    told = capfd.readouterr()
    assert told.out.splitlines()[1] == "house: 199 rows and 2 means"
    assert "only the file is checked, without comparing" in told.err


def test_verify_takes_the_newest_one(made: Path, conf: Path, capfd: Streams) -> None:
    with pytest.raises(StoreError, match="backups: No such file or directory"):
        backup.verify(conf, None)
    backup.make(conf, None, force=False)
    assert backup.verify(conf, None) == 0
    assert f"/backups/powerpi-{host_name()}-" in capfd.readouterr().out


def test_a_damaged_one_ends_with_65_and_one_sentence(made: Path, conf: Path, capfd: Streams) -> None:
    content = bytearray(made.read_bytes())
    content[len(content) // 2] ^= 1
    made.write_bytes(content)
    assert cli.main(["backup", "--verify", str(made), "--config", str(conf)]) == 65
    assert capfd.readouterr().err.splitlines() == [
        f"powerpi: {made} is damaged: its checksum does not fit what it holds"
    ]


# ---------------------------------------------------------------- every week


def test_what_has_no_end_is_not_waited_for(conf: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(StoreError, match=f"{path} is no file: wanted one that is on a disk"):
            backup.verify(conf, path)


def test_the_units_are_what_systemd_wants_and_run_the_command(tmp_path: Path) -> None:
    service = (TOP / "init/powerpi-backup.service").read_text()
    assert "\nExecStart=/opt/powerpi/bin/powerpi backup\n" in service
    assert "\nUser=powerpi\n" in service
    assert cli.parser().parse_args(["backup"]).command == "backup"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed here")
    (tmp_path / "powerpi-backup.service").write_text(service.replace("/opt/powerpi/bin/powerpi", "/bin/true"))
    shutil.copy(TOP / "init/powerpi-backup.timer", tmp_path)
    for name in ("powerpi-backup.service", "powerpi-backup.timer"):
        command = ["systemd-analyze", "verify", str(tmp_path / name)]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (said.returncode, [line for line in said.stderr.splitlines() if str(tmp_path) in line]) == (0, [])
