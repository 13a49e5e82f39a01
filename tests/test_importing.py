"""`powerpi import`: all of a file or nothing, while the meter is counted on."""

from __future__ import annotations

import io
import math
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import pytest
from conftest import SHARED, START, HandClock, Line, counting_with_door, wait_for_door
from pair import PASSWORD, SENDER, Mirroring, Pi, assert_equal_ends
from pytest import approx

from powerpi import cli, draft, export, gaps, importing
from powerpi import door as door_module
from powerpi.building import Fate, Parts, build
from powerpi.config import Settings, parse
from powerpi.digests import Unit
from powerpi.door import Door
from powerpi.errors import DataError, StoreError
from powerpi.folder import FolderLock, locked_folder
from powerpi.importing import Wanted
from powerpi.layout import MEAN_SECONDS, quarter_end
from powerpi.ledger import Ledger
from powerpi.pictures import BarFigures
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.store import Store

WANTED = Wanted("house", None, None, overwrite=False, dry_run=False, skip_bad=False)
HOURS = b"hour,kwh\n2023-11-13T10:00,1.5\n2023-11-13T11:00,0.5\n"
BEGIN = 1_699_869_600  # 2023-11-13 10:00 UTC
MONTHS = b"month,kwh\n2022-01,31\n2022-02,28\n"

Streams = pytest.CaptureFixture[str]


@pytest.fixture
def text(tmp_path: Path) -> str:
    return f"[powerpi]\nstate = {tmp_path / 'state'}\ntimezone = UTC\nnetwork_time = no\n[meter house]\ngpio = 24\n"


@pytest.fixture
def settings(text: str) -> Settings:
    made = parse(text)
    made.state.mkdir()
    return made


@pytest.fixture
def store(settings: Settings) -> Store:
    """A meter that was counted for a minute up to START, and stands at 42 pulses."""
    store = Store(settings.state, "house", 20, Lock())
    store.open(START - 70)
    store.write([Row(START - 60 + 10 * n, 36.0 + n) for n in range(7)])
    store.save_register(42, START)
    return store


def imported(settings: Settings, content: bytes, **changes: object) -> int:
    return importing.run(settings, WANTED._replace(**changes), io.BytesIO(content))  # type: ignore[arg-type]


def watt_hours(settings: Settings, step: str = "year") -> list[float | None]:
    """The energy of each step that has any."""
    ledger = Ledger(settings.state / "house.rrd", Lock())
    found = [line.split(",")[2] for line in export.lines(ledger, 1000.0, settings.timezone, step)]
    return [1000 * float(kwh) for kwh in found if kwh]


# ---------------------------------------------------------------- what comes in


@pytest.mark.usefixtures("store")
def test_hours_of_the_last_year_become_rows(settings: Settings, capfd: Streams) -> None:
    assert imported(settings, HOURS) == 0
    assert capfd.readouterr().out.splitlines() == [
        "2 hours, kWh (column kwh), local time at the beginning, 2023-11-13 10:00 to 2023-11-13 12:00, 2.00 kWh",
        "house: 720 rows of 10 s and 0 quarter hours were filled in",
    ]
    ledger = Ledger(settings.state / "house.rrd", Lock())
    assert list(ledger.rows(Unit(STEP_SECONDS, BEGIN, BEGIN + 20))) == approx([1.5 / 3.6] * 2)


def test_the_counter_and_what_was_counted_stay(settings: Settings, store: Store) -> None:
    minute = Unit(STEP_SECONDS, START - 60, START)
    before = Ledger(store.rrd, Lock()).rows(minute)
    imported(settings, HOURS)
    imported(settings, MONTHS)
    assert Ledger(store.rrd, Lock()).rows(minute) == before
    again = Store(settings.state, "house", 20, Lock())
    assert again.open(START) == (42, [])
    assert again.last_row == Row(START, 42.0)


@pytest.mark.usefixtures("store")
def test_months_before_the_last_year_become_quarter_hours(settings: Settings, capfd: Streams) -> None:
    imported(settings, MONTHS)
    # 31 + 28 days of 96 quarter hours
    assert "house: 0 rows of 10 s and 5 664 quarter hours were filled in" in capfd.readouterr().out
    assert watt_hours(settings, "month")[:2] == approx([31_000, 28_000])


@pytest.mark.usefixtures("store")
def test_the_same_again_changes_nothing(settings: Settings, capfd: Streams) -> None:
    imported(settings, HOURS)
    inode = (settings.state / "house.rrd").stat().st_ino
    capfd.readouterr()
    imported(settings, HOURS)
    assert capfd.readouterr().out.splitlines()[1:] == [
        "house: known already, and left as they are (--overwrite replaces them): 720",
        "house: nothing was changed",
    ]
    assert (settings.state / "house.rrd").stat().st_ino == inode


@pytest.mark.usefixtures("store")
def test_what_is_known_is_replaced_when_that_is_wanted(settings: Settings, capfd: Streams) -> None:
    imported(settings, HOURS)
    capfd.readouterr()
    imported(settings, HOURS.replace(b"1.5", b"3.0"), overwrite=True)
    assert "house: known before, and replaced: 360" in capfd.readouterr().out
    assert watt_hours(settings, "day")[0] == approx(3500)


def test_trying_it_changes_nothing(settings: Settings, store: Store, capfd: Streams) -> None:
    before = store.rrd.read_bytes()
    imported(settings, HOURS, dry_run=True)
    assert capfd.readouterr().out.splitlines()[1:] == [
        "house: 720 rows of 10 s and 0 quarter hours would be filled in",
        "house: nothing was changed",
    ]
    assert store.rrd.read_bytes() == before


@pytest.mark.usefixtures("store")
def test_what_has_no_room_is_told_and_the_rest_taken(settings: Settings, capfd: Streams) -> None:
    lines = b"day,kwh\n1999-01-01,1\n1999-01-02,1\n2023-11-10,1\n2099-01-01,1\n"
    assert imported(settings, lines) == 0
    told = capfd.readouterr().out.splitlines()
    assert "house: left out, as older than what is kept: 2" in told
    assert any(line.startswith("house: left out, as later than 20") and line.endswith(": 1") for line in told)
    assert 1000 in [approx(day) for day in watt_hours(settings, "day")]


@pytest.mark.usefixtures("store")
def test_rows_after_the_newest_are_taken_while_nobody_counts(settings: Settings) -> None:
    gaps.Session(settings.state).end(gaps.STOPPED)
    imported(settings, b"hour,kwh\n2023-11-15T10:00,1\n2023-11-15T11:00,2\n")
    again = Store(settings.state, "house", 20, Lock())
    assert again.open(START) == (42, [])
    assert again.last_row == Row(1_700_049_600, 42.0)  # 12:00 of that day
    assert gaps.read(again.rrd.with_suffix(".gaps")) == ((gaps.Gap(START, 1_700_049_600, gaps.STOPPED),), False)
    assert watt_hours(settings, "day")[-1] == approx(3000)
    again.write([Row(1_700_049_700, 42.5), Row(1_700_049_710, 43.5)])  # and counting goes on behind a gap
    assert watt_hours(settings, "day")[-1] == approx(3001)


def test_a_meter_that_is_new_gets_its_rrd(settings: Settings) -> None:
    imported(settings, MONTHS)
    assert watt_hours(settings, "month") == approx([31_000, 28_000])
    assert Store(settings.state, "house", 20, Lock()).open(START) == (0, [])
    assert sorted(path.name for path in settings.state.iterdir()) == [
        "house.register", "house.rrd", "house.undo", "lock"
    ]  # fmt: skip


def test_what_is_exported_comes_back_the_same(settings: Settings, text: str, store: Store) -> None:
    chance = random.Random(3)
    ledger = Ledger(store.rrd, Lock())
    border = quarter_end(ledger.spans()[STEP_SECONDS].after)
    for step, after, until in ((MEAN_SECONDS, border - 90_000, border), (STEP_SECONDS, border, border + 50_000)):
        rates = [chance.choice([chance.uniform(0, 3), 0.0, math.nan]) for _ in range((until - after) // step)]
        ledger.put(Unit(step, after, until), rates)
    found = export.lines(ledger, 1000.0, settings.timezone, "10s", end=border + 50_000)
    lines = "".join([export.HEADINGS, "\n", *found])
    other = parse(text.replace("/state", "/other"))
    there = Store(other.state, "house", 20, Lock())
    other.state.mkdir()
    there.create(ledger.spans()[STEP_SECONDS].until)
    assert imported(other, lines.encode()) == 0
    back = Ledger(there.rrd, Lock())
    for step, after, until in ((MEAN_SECONDS, border - 90_000, border), (STEP_SECONDS, border, border + 50_000)):
        ours, theirs = (each.rows(Unit(step, after, until)) for each in (ledger, back))
        assert list(theirs) == approx(list(ours), abs=1e-6, nan_ok=True)


# ---------------------------------------------------------------- nothing half-done


def test_bad_lines_are_named_and_nothing_is_imported(settings: Settings, store: Store, capfd: Streams) -> None:
    before = store.rrd.read_bytes()
    lines = HOURS + b"2023-11-13T12:00,much\n2023-11-13T13:00,1\n"
    assert imported(settings, lines) == os.EX_DATAERR
    assert "powerpi: line 4: 'much' is no number; wanted one with a decimal point" in capfd.readouterr().err
    assert store.rrd.read_bytes() == before
    assert imported(settings, lines, skip_bad=True) == 0
    assert watt_hours(settings, "day")[0] == approx(3000)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"hour,kwh\n2023-11-13T10:00,\n2023-11-13T11:00,\n", "the file holds no energy of any time"),
        (b"hello\n", "no headings were found"),
    ],
)
def test_a_file_without_anything_is_refused(settings: Settings, store: Store, content: bytes, said: str) -> None:
    before = store.rrd.read_bytes()
    with pytest.raises(DataError, match=said):
        imported(settings, content)
    assert store.rrd.read_bytes() == before


def test_a_meter_that_is_not_counted_here_is_refused(settings: Settings) -> None:
    with pytest.raises(DataError, match=r"there is no meter 'attic' here: wanted one that is counted here \(house\)"):
        imported(settings, HOURS, meter="attic")


def command(settings: Settings, text: str, content: bytes) -> list[str]:
    (settings.state.parent / "powerpi.conf").write_text(text)
    (settings.state.parent / "file.csv").write_bytes(content)
    options = ["--config", str(settings.state.parent / "powerpi.conf")]
    return [sys.executable, "-m", "powerpi", "import", "house", str(settings.state.parent / "file.csv"), *options]


def test_a_disk_that_is_full_leaves_all_as_it_was(settings: Settings, text: str, store: Store) -> None:
    before = store.rrd.read_bytes()

    def no_more() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    ran = subprocess.run(
        command(settings, text, HOURS), capture_output=True, text=True, preexec_fn=no_more, check=False
    )
    assert ran.returncode == os.EX_IOERR
    assert "house.rrd" in ran.stderr
    assert "File too large" in ran.stderr
    assert store.rrd.read_bytes() == before
    assert not draft.path_of(store.rrd).exists()


def test_kills_at_any_moment_leave_the_rows_that_were_or_all_of_the_new(
    settings: Settings, text: str, store: Store
) -> None:
    days = b"".join(b"2023-%02d-%02d,24\n" % (month, day) for month in range(1, 11) for day in range(1, 29))
    line = command(settings, text, b"day,kwh\n" + days)
    before, chance, finished = store.rrd.read_bytes(), random.Random(5), 0
    for _ in range(12):
        began = time.monotonic()
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            assert child.stdout
            child.stdout.readline()  # it knows the file: now it begins
            try:
                child.wait(chance.uniform(0.0, 0.8))
            except subprocess.TimeoutExpired:
                child.kill()
            child.wait()
        assert time.monotonic() - began < 60
        if store.rrd.read_bytes() != before:
            finished += 1
            assert sum(day or 0 for day in watt_hours(settings)) == approx(280 * 24_000 + 6)
            store.rrd.write_bytes(before)
    assert Store(settings.state, "house", 20, Lock()).open(START) == (42, [])
    subprocess.run(line, check=True, capture_output=True)
    assert sum(day or 0 for day in watt_hours(settings)) == approx(280 * 24_000 + 6)
    assert not draft.path_of(store.rrd).exists()


def test_the_command_reads_standard_input(settings: Settings, text: str, store: Store, tmp_path: Path) -> None:
    assert store.last_row
    line = command(settings, text, HOURS)
    with (tmp_path / "file.csv").open("rb") as file:
        ran = subprocess.run([*line[:5], "-", *line[6:]], stdin=file, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert "720 rows of 10 s" in ran.stdout


def test_an_unknown_file_is_one_sentence(settings: Settings, text: str, capfd: Streams) -> None:
    line = command(settings, text, HOURS)[3:]
    assert cli.main([*line[:2], "/nowhere.csv", *line[3:]]) == 65
    assert capfd.readouterr().err == "powerpi: /nowhere.csv cannot be read: No such file or directory\n"


# ---------------------------------------------------------------- while it is counted


@pytest.fixture
def parts(settings: Settings, line: Line, clock: HandClock) -> Iterator[Parts]:
    """A house that counted 10 pulses, 10 s apart; its counting and its door run."""
    parts = build(settings, line.factory, clock, Fate())
    line.pin = parts.pins[0]
    line.pulses([clock.now + 10 * n for n in range(1, 11)])
    parts.counting.turn()
    with locked_folder(settings.state), counting_with_door(parts, settings.state):
        yield parts


def test_a_powerpi_that_runs_takes_it_in_and_goes_on(
    settings: Settings, parts: Parts, line: Line, clock: HandClock
) -> None:
    meter = parts.counting.meters["house"]
    assert imported(settings, HOURS) == 0
    assert meter.store.edition == 1
    line.pulses([clock.now + 10 * n for n in range(1, 6)])
    assert parts.counting.flush(10)
    assert meter.pulses == 15
    days = watt_hours(settings, "day")
    assert days == [approx(2000), approx(13, abs=0.01)]  # between the first pulse and the last: 14, less one row
    assert meter.faults == {}


def test_rows_after_the_newest_one_are_left_to_the_counting(settings: Settings, parts: Parts, capfd: Streams) -> None:
    newest = parts.counting.meters["house"].newest_time
    imported(settings, b"hour,kwh\n2023-11-13T10:00,1\n2023-11-14T23:00,1\n")
    assert "house: left out, as later than 2023-11-14 22:1" in capfd.readouterr().out
    parts.counting.flush(10)
    assert parts.counting.meters["house"].store.last_time == newest


def test_what_the_page_remembers_of_the_past_is_forgotten(settings: Settings, parts: Parts) -> None:
    before = parts.house.meter("house")
    assert before.yesterday_watt_hours is None
    imported(settings, HOURS)
    after = parts.house.meter("house")
    assert after.yesterday_watt_hours == approx(2000)
    assert after.yesterday_unknown_seconds == 22 * 3600


def test_figures_of_the_past_are_drawn_anew(settings: Settings, parts: Parts) -> None:
    before = parts.house.figures("house", "month")
    imported(settings, b"day,kwh\n2023-11-11,24\n2023-11-12,12\n")
    after = parts.house.figures("house", "month")
    assert isinstance(before, BarFigures)
    assert isinstance(after, BarFigures)
    assert (before.mean_watt_hours, after.mean_watt_hours) == (None, approx(18_000))


def test_a_meter_that_the_running_one_does_not_know_needs_a_restart(
    text: str, settings: Settings, parts: Parts
) -> None:
    assert parts
    more = parse(text + "[meter shed]\ngpio = 25\n")
    with pytest.raises(StoreError, match=r"the PowerPi that runs keeps no .*shed.rrd: wanted it restarted"):
        imported(more, HOURS, meter="shed")


@pytest.mark.parametrize("taken_in", [True, False])
def test_a_powerpi_that_ends_while_it_is_asked_leaves_nothing_half_done(
    settings: Settings, store: Store, taken_in: bool
) -> None:
    def adopt(_: object) -> None:
        if taken_in:
            store.adopt(draft.path_of(store.rrd))
        raise SystemExit  # before it could answer, as when it is killed

    door = Door(
        settings.state, {"health": lambda _: {}, "flush": lambda _: True, "adopt": adopt}, lambda _name, _death: None
    )
    door.start()
    try:
        wait_for_door(settings.state)
        assert imported(settings, HOURS) == 0
    finally:
        door.stop()
    assert watt_hours(settings, "day") == [approx(2000), approx(6)]
    assert not draft.path_of(store.rrd).exists()


def test_a_powerpi_that_does_not_answer_is_told(settings: Settings, parts: Parts) -> None:
    parts.door.stop()
    with pytest.raises(StoreError, match="the PowerPi that runs does not answer: try again, or stop it first"):
        imported(settings, HOURS)


@contextmanager
def answering(settings: Settings, adopt: Callable[[object], object]) -> Iterator[None]:
    """Somebody at the door who takes nothing in but by `adopt`."""
    door = Door(settings.state, {"health": lambda _: {}, "flush": lambda _: True, "adopt": adopt}, lambda *_: None)
    door.start()
    try:
        wait_for_door(settings.state)
        yield
    finally:
        door.stop()


def gone(_: object) -> None:
    raise ConnectionAbortedError  # before it could answer, as when it is killed


def test_one_that_is_killed_and_still_dying_is_waited_for(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ADOPT_PAUSE_SECONDS", 0.1)
    assert store.last_row
    lock = FolderLock(settings.state)
    dying = threading.Timer(0.3, lock.close)
    with answering(settings, gone):
        dying.start()
        assert imported(settings, HOURS) == 0
    dying.join()
    assert watt_hours(settings, "day") == [approx(2000), approx(6)]


def test_where_another_one_has_the_folder_then_nothing_is_imported_and_that_is_said(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ADOPT_PAUSE_SECONDS", 0.01)
    before = store.rrd.read_bytes()
    with (
        locked_folder(settings.state),
        answering(settings, gone),
        pytest.raises(StoreError, match=r"has ended, and another process holds .*; nothing was imported, try again$"),
    ):
        imported(settings, HOURS)
    assert store.rrd.read_bytes() == before
    assert not draft.path_of(store.rrd).exists()


def test_one_that_hangs_may_or_may_not_have_taken_it_in(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "ANSWER_SECONDS", 0.3)
    goes_on = threading.Event()
    with locked_folder(settings.state), answering(settings, lambda _: goes_on.wait(60)):
        try:
            with pytest.raises(StoreError, match="nobody knows whether it has taken the rows in: import the file"):
                imported(settings, HOURS)
        finally:
            goes_on.set()
    assert not draft.path_of(store.rrd).exists()
    assert imported(settings, HOURS) == 0
    assert watt_hours(settings, "day") == [approx(2000), approx(6)]


def test_a_signal_leaves_no_copy_behind(settings: Settings, text: str, store: Store) -> None:
    goes_on = threading.Event()
    asked = threading.Event()

    def adopt(_: object) -> None:
        asked.set()
        goes_on.wait(60)

    before = store.rrd.read_bytes()
    with locked_folder(settings.state), answering(settings, adopt):
        child = subprocess.Popen(command(settings, text, HOURS), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            assert asked.wait(30)
            assert draft.path_of(store.rrd).exists()
            child.terminate()
            assert b"Traceback" not in child.communicate(timeout=30)[1]
            assert child.returncode == 130
        finally:
            goes_on.set()
            child.kill()
            child.wait()
    assert not draft.path_of(store.rrd).exists()
    assert store.rrd.read_bytes() == before


def test_a_clock_that_is_not_set_is_said_where_it_is_why_rows_are_left_out(
    text: str, store: Store, monkeypatch: pytest.MonkeyPatch, capfd: Streams
) -> None:
    assert store.last_row
    settings = parse(text.replace("network_time = no", "network_time = yes"))
    monkeypatch.setattr(importing.SystemClock, "trusted", lambda _: False)
    assert imported(settings, HOURS + b"2023-11-15T10:00,1\n2023-11-15T11:00,2\n") == 0
    assert (
        "house: left out, as later than 2023-11-14 22:13:20, up to which there are rows (there could be more, but the"
        " clock is not set yet: try again later): 2" in capfd.readouterr().out
    )


def test_more_than_a_meter_can_measure_is_a_bad_line(settings: Settings, store: Store, capfd: Streams) -> None:
    before = store.rrd.read_bytes()
    assert imported(settings, HOURS.replace(b"0.5", b"5e8")) == os.EX_DATAERR
    assert "line 3: 500000000 kWh in 3600 s cannot be: wanted 1200 kWh at most" in capfd.readouterr().err
    assert store.rrd.read_bytes() == before


# ---------------------------------------------------------------- the mirror, and a real household


def test_the_mirror_gets_the_rows_by_its_ordinary_comparison(tmp_path: Path, clock: HandClock) -> None:
    clock.ahead += 86400
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        pi = Pi(tmp_path / "pi", mirroring.url)
        pi.write(100, seed=1)
        pi.push()
        pi.twin.verify(fresh=False)  # both keep digests of days that are over
        settings = parse(
            f"[powerpi]\nstate = {tmp_path / 'pi'}\nnetwork_time = no\ntimezone = UTC\n[meter house]\ngpio = 24\n"
            f"[push]\nurl = {mirroring.url}\nuser = {SENDER}\npassword = {PASSWORD}\n"
        )
        imported(settings, HOURS)
        imported(settings, MONTHS)
        verdict = pi.twin.verify(fresh=False)
        assert (verdict.repaired_rows, verdict.healed_rows, verdict.damaged_rows) == (720 + 5664, 0, 0)
        assert_equal_ends(pi, mirroring.meter())


def test_four_years_of_a_real_household_come_in_whole(tmp_path: Path) -> None:
    path = SHARED / "data" / "household-hours.csv"
    if not path.exists():
        pytest.skip("the recorded household (shared/data) is not beside this checkout")
    settings = parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = Europe/Paris\nnetwork_time = no\n[meter house]\ngpio = 24\n"
        "[store]\narchive_years = 40\n"
    )
    began = time.monotonic()
    with path.open("rb") as file:
        assert importing.run(settings, WANTED, file) == 0
    assert time.monotonic() - began < 30
    # the sums of the file's lines by the year that they begin with
    wanted = [694.3540, 9711.8057, 9414.8862, 9371.9194, 8087.6148]
    assert watt_hours(settings) == approx([1000 * kwh for kwh in wanted], rel=1e-4)
