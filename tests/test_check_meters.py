"""`powerpi check`, the meters: contacts on mock pins or asked for at a daemon's door, real RRDs and registers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from conftest import START, ClockedFactory, HandClock, Line, counting_with_door

from powerpi import check_meters, contacts, register
from powerpi.building import Fate, Parts, build
from powerpi.check_meters import check_contacts, check_counter, check_files, gaps_text
from powerpi.config import Settings, parse
from powerpi.digests import Unit
from powerpi.errors import PinError
from powerpi.finding import Finding
from powerpi.folder import locked_folder
from powerpi.gaps import Gap
from powerpi.ledger import Ledger
from powerpi.pulses import Row
from powerpi.register import Register
from powerpi.store import Store

NOW = START + 3600  # 23:13:20 UTC


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse(
        f"[powerpi]\nstate = {tmp_path}\ntimezone = UTC\nnetwork_time = no\n"
        "[meter house]\ngpio = 24\n[meter pump]\ngpio = 23\nimp_per_kwh = 100\n"
    )


@pytest.fixture
def factory(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> ClockedFactory:
    """The pins that are opened where no PowerPi runs."""
    factory = ClockedFactory(clock)
    monkeypatch.setattr(contacts, "open_factory", lambda: factory)
    return factory


@pytest.fixture
def parts(settings: Settings, line: Line) -> Iterator[Parts]:
    parts = build(settings, line.factory, line.clock, Fate())
    line.pin = parts.pins[0]
    with counting_with_door(parts, settings.state):
        yield parts


def no_sleep(seconds: float) -> None:
    raise AssertionError(f"nobody has to wait {seconds} s here")


# ---------------------------------------------------------------- contacts, listened to here


def test_pulses_are_listened_to_for_as_long_as_is_wanted(
    settings: Settings, clock: HandClock, factory: ClockedFactory
) -> None:
    def sleep(seconds: float) -> None:
        """In the 12 slices of 3 s come 12 pulses of the house."""
        factory.pin(24).drive_low()
        clock.now += 0.03
        factory.pin(24).drive_high()
        clock.now += seconds - 0.03

    house, pump = check_contacts(settings, 3, clock, sleep)
    assert clock.now == pytest.approx(1003)
    # the last slice begins 0.25 s before the end
    assert house == Finding(
        "meter house", True, "GPIO24 (pin 18), 1000 imp/kWh, contact open; 12 pulses in 3 s, the newest 0 s ago"
    )
    assert pump == Finding(
        "meter pump", None,
        "GPIO23 (pin 16), 100 imp/kWh, contact open; 0 pulses in 3 s, none so far: `powerpi check --watch` shows each"
        " one as it comes",
    )  # fmt: skip
    assert factory.pin(24).when_changed is None  # let go


@pytest.mark.usefixtures("factory")
def test_nobody_waits_with_0_seconds(settings: Settings, clock: HandClock) -> None:
    house, _ = check_contacts(settings, 0, clock, no_sleep)
    assert house == Finding("meter house", True, "GPIO24 (pin 18), 1000 imp/kWh, contact open; pulses: none so far")


def test_a_contact_that_stays_closed_wants_a_look(settings: Settings, line: Line, monkeypatch: Any) -> None:
    monkeypatch.setattr(contacts, "open_factory", lambda: line.factory)

    def sleep(seconds: float) -> None:
        line.close()
        line.clock.now += seconds

    house, _ = check_contacts(settings, 3, line.clock, sleep)
    assert house.right is None
    assert "contact closed for 3 s: look at the wiring or at `pull`" in house.said


@pytest.mark.usefixtures("factory")
def test_a_pin_that_is_refused_is_wrong(clock: HandClock, tmp_path: Path) -> None:
    refused = parse(f"[powerpi]\nstate = {tmp_path}\n[meter house]\ngpio = 2\npull = down\n")
    [found] = check_contacts(refused, 0, clock, no_sleep)
    assert found.right is False
    assert "GPIO2 cannot be used as an input with pull down" in found.said


def test_a_machine_without_pins_is_wrong_once(
    settings: Settings, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> object:
        raise PinError("no Raspberry Pi GPIO chip found")

    monkeypatch.setattr(contacts, "open_factory", none)
    assert list(check_contacts(settings, 9, clock, no_sleep)) == [
        Finding("pins", False, "no Raspberry Pi GPIO chip found")
    ]


# ---------------------------------------------------------------- contacts, by the PowerPi that runs


def test_the_powerpi_that_runs_tells_the_last_seconds_at_once(settings: Settings, parts: Parts, line: Line) -> None:
    line.pulses([1010, 1050, 1055])
    line.clock.now = 1060
    parts.counting.flush(5)
    house, pump = check_contacts(settings, 30, line.clock, no_sleep)
    assert house == Finding(
        "meter house", True, "GPIO24 (pin 18), 1000 imp/kWh, contact open; 2 pulses in 30 s, the newest 5 s ago"
    )
    assert (pump.what, pump.right) == ("meter pump", None)


def test_lost_edges_want_a_look(settings: Settings, parts: Parts, line: Line) -> None:
    line.close()
    line.pin._append(1010.0, 0)  # the same level again: the edge between was lost
    line.clock.now = 1010.1
    line.open()
    parts.counting.flush(5)
    house, _ = check_contacts(settings, 30, line.clock, no_sleep)
    assert house.right is None
    assert house.said.endswith("; 1 edges were lost")


def test_pins_of_a_powerpi_that_does_not_answer_are_not_bad(settings: Settings, clock: HandClock) -> None:
    with locked_folder(settings.state):
        [found] = check_contacts(settings, 9, clock, no_sleep)
    assert (found.what, found.right) == ("pins", None)
    assert found.said.startswith("not looked at, for a PowerPi that cannot be asked may hold them: no PowerPi answers")


def test_a_meter_that_is_new_in_the_configuration_wants_a_restart(
    settings: Settings, parts: Parts, line: Line, tmp_path: Path
) -> None:
    assert parts.door.is_alive()
    more = parse(f"[powerpi]\nstate = {tmp_path}\n[meter new]\ngpio = 5\n")
    [found] = check_contacts(more, 9, line.clock, no_sleep)
    assert found == Finding("meter new", None, "the PowerPi that runs does not know it yet: restart it")


# ---------------------------------------------------------------- rows


@pytest.fixture
def stored(make_store: Callable[..., Store]) -> Store:
    """A house with two rows, 3600 s and 3590 s old, and its counter."""
    store = make_store(archive_years=0)
    store.open(START - 10)
    store.write([Row(START, 100.0), Row(START + 10, 102.0)])
    store.save_register(102, START + 10)
    return store


def test_rows_and_counter_that_fit_are_right(settings: Settings, stored: Store) -> None:
    rows, counter = check_files(settings, "house", False, NOW)
    megabytes = round(stored.rrd.stat().st_size / 1e6)
    assert rows == Finding(
        "rows house", True, f"{megabytes} MB, newest row 2023-11-14 22:13:30 (1 h ago), no gap today"
    )  # fmt: skip
    assert counter == Finding("counter house", True, "102 pulses, written 2023-11-14 22:13:30")


def test_old_rows_are_late_only_where_powerpi_runs(settings: Settings, stored: Store) -> None:
    assert stored.last_row
    later = NOW + 3600  # an hour and three flushes of 300 s is 4500 s
    assert next(check_files(settings, "house", False, later)).right
    assert next(check_files(settings, "house", True, NOW)).right
    late = next(check_files(settings, "house", True, later))
    assert late.right is None
    assert late.said.endswith("; it is late: see the log")


def test_a_newest_row_in_the_future_is_wrong(settings: Settings, stored: Store) -> None:
    assert stored.last_row
    found = next(check_files(settings, "house", True, START - 3590))
    assert found.right is False
    assert found.said.endswith("1 h in the future: one of two clocks was wrong")


def test_files_yet_to_be_made_want_a_look(settings: Settings, tmp_path: Path) -> None:
    assert list(check_files(settings, "house", False, NOW)) == [
        Finding("rows house", None, f"{tmp_path}/house.rrd is not there yet; PowerPi makes it"),
        Finding("counter house", None, f"{tmp_path}/house.register holds nothing yet"),
    ]


def test_an_rrd_without_rows_wants_a_look(settings: Settings, make_store: Callable[..., Store]) -> None:
    make_store(archive_years=0).open(START)
    found = next(check_files(settings, "house", False, NOW))
    assert found.right is None
    assert found.said.endswith(" MB, no row yet")


def test_an_rrd_with_imported_means_and_no_row_says_of_which_years(
    settings: Settings, make_store: Callable[..., Store]
) -> None:
    store = make_store(archive_years=20)
    store.open(START)
    ledger = Ledger(store.rrd, Lock())
    quarter = 1_104_537_600 // 900 * 900  # 2005-01-01 00:00 UTC, in the archive of 20 years before 2023-11
    ledger.put(Unit(900, quarter, quarter + 900), [0.5])
    assert next(check_files(settings, "house", False, NOW)).said.endswith(" MB, no row of 10 s yet; means of 2005")
    later = 1_293_840_000 - 900  # the last quarter hour of 2010
    ledger.put(Unit(900, later, later + 900), [0.5])
    found = next(check_files(settings, "house", False, NOW))
    assert (found.what, found.right) == ("rows house", None)
    assert found.said.endswith(" MB, no row of 10 s yet; means from 2005 to 2010")


def test_a_damaged_rrd_is_wrong(settings: Settings, stored: Store) -> None:
    stored.rrd.write_bytes(b"not an RRD" * 1000)
    rows, counter = check_files(settings, "house", False, NOW)
    assert rows.right is False
    assert rows.said.startswith(f"{stored.rrd} is not an RRD")
    assert rows.said.endswith("; at the next start it is set aside, and a new one begun")
    assert counter.right


@pytest.mark.parametrize(
    ("gaps", "wanted"),
    [
        ([], "no gap today"),
        ([(1000, 2000)], "no gap today"),
        ([(1000, 2010), (3000, 3600)], "2 gaps today, 10 min in all"),  # 10 s of the first are today's
        ([(7000, None)], "1 gap today, 50 min in all"),
    ],
    ids=["none", "yesterday", "two", "open"],
)
def test_gaps_of_today_are_counted_from_midnight_on(gaps: list[tuple[int, int | None]], wanted: str) -> None:
    assert gaps_text([Gap(start, end, "stopped") for start, end in gaps], 2000, 10_000) == wanted


# ---------------------------------------------------------------- the counter


def test_a_damaged_register_is_wrong(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "house.register").write_bytes(b"x" * 8192)
    found = check_counter(settings, "house", None)
    assert found.right is False
    assert "is damaged; at the next start it is set aside" in found.said


def test_a_register_that_lags_behind_the_rows_wants_a_look(settings: Settings, tmp_path: Path) -> None:
    register.write(tmp_path / "house.register", Register(1, 100, START))
    # rows may be newer by register_seconds (60) and a step
    assert check_counter(settings, "house", Row(START + 70, 120.0)).right
    found = check_counter(settings, "house", Row(START + 80, 120.0))
    assert found.right is None
    assert found.said.endswith("but the newest row knows 120: the disk forgot a write")


def test_a_register_that_was_written_without_a_clock_says_so(settings: Settings, tmp_path: Path) -> None:
    register.write(tmp_path / "house.register", Register(1, 100, 0))
    assert check_counter(settings, "house", None).said == "100 pulses, written at an unknown time"


def test_a_register_that_is_a_folder_is_wrong(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "house.register").mkdir()
    assert check_counter(settings, "house", None).right is False


def test_listening_takes_no_longer_than_is_said() -> None:
    slept: list[float] = []
    check_meters.listen(10, slept.append)
    assert sum(slept) == pytest.approx(10)
