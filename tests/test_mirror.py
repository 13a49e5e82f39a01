"""The receiving side as a whole: its clock, its disk, restarts, files that are lost; afterwards both ends are equal."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import START, HandClock
from pair import STATE, Mirroring, Pi, ask, contents, known_rows

from powerpi.digests import MOST_UNITS, Unit
from powerpi.errors import (
    PeerError,
    RefusedError,
    StoreError,
    UnknownNameError,
    WireError,
)
from powerpi.gaps import STOPPED, Gap
from powerpi.messages import Push, Rows
from powerpi.mirror import Mirror
from powerpi.mirrored import MirroredMeter
from powerpi.pulses import STEP_SECONDS

HOUSE = "/api/v1/mirror/house"


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    clock.ahead += 86400
    with Mirroring(tmp_path / "mirror", clock).serving() as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, mirroring: Mirroring) -> Pi:
    """Its first row is at the mirror already: looking through an empty year for it takes a while."""
    pi = Pi(tmp_path / "pi", mirroring.url)
    pi.write(1)
    first = pi.store.last_row
    assert first
    pi.peer.push("house", Push(pi_rows(pi, first.time - STEP_SECONDS, first.time), first.pulses, None))
    pi.write(49, seed=1)
    return pi


def pi_rows(pi: Pi, after: int, until: int) -> Rows:
    return Rows(STEP_SECONDS, after, pi.ledger.rows(Unit(STEP_SECONDS, after, until)))


def assert_same_rows(pi: Pi, meter: MirroredMeter) -> None:
    """Both ends hold the same rows of the day, to the last bit; test_sync looks at the whole year."""
    newest = pi.ledger.newest()
    assert newest == meter.ledger.newest()
    assert newest
    assert pi.ledger.spans() == meter.ledger.spans()
    rows = known_rows(pi.ledger, newest.time - 86400, newest.time)
    assert rows
    assert rows == known_rows(meter.ledger, newest.time - 86400, newest.time)


def mirror_of(mirroring: Mirroring) -> Mirror:
    assert mirroring.parts.mirror
    return mirroring.parts.mirror


# ---------------------------------------------------------------- the clock


def test_without_a_clock_nothing_is_taken_until_it_is_set(tmp_path: Path) -> None:
    clock = HandClock(wall=1000, trusted=False)
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        pi = Pi(tmp_path / "pi", mirroring.url)
        pi.write(30, seed=2)
        before = contents(mirroring.settings.state)
        with pytest.raises(PeerError, match=r"answered 503: .*clock"):
            pi.push()
        found = ask(mirroring.port, "GET", HOUSE)  # what is held can be told without
        assert (found.status, found.json["newest"]) == (200, None)
        assert contents(mirroring.settings.state) == before
        assert [notice.key for notice in mirroring.parts.house.health().warnings] == ["clock_waiting"]
        clock.ahead += START + 3600
        clock.is_trusted = True
        mirroring.parts.counting.turn()
        pi.push()
        assert_same_rows(pi, mirroring.meter())


def test_a_clock_that_is_behind_refuses_until_it_is_set(pi: Pi, mirroring: Mirroring) -> None:
    pi.push()
    mirroring.clock.ahead -= 2 * 86400
    mirroring.parts.counting.turn()
    pi.write(20, seed=3)
    before = contents(mirroring.settings.state)
    mirroring.clock.ahead += 86400  # its newest row is not an hour ahead: it may be right
    mirroring.parts.counting.turn()
    with pytest.raises(RefusedError, match=r"answered 422: .*future"):
        pi.push()
    assert contents(mirroring.settings.state) == before
    mirroring.clock.ahead += 86400
    mirroring.parts.counting.turn()
    pi.push()
    assert_same_rows(pi, mirroring.meter())


def test_a_clock_that_is_behind_and_not_trusted_sets_nothing_aside(pi: Pi, mirroring: Mirroring) -> None:
    """A mirror that booted without network takes its clock as it is after a while: a month behind, say."""
    pi.push()
    clock = HandClock(mirroring.clock.wall() - 30 * 86400, trusted=False)
    with Mirroring(mirroring.settings.state, clock).serving() as again:
        pi.connect(again.url)
        with pytest.raises(PeerError, match="503"):
            pi.push()
        clock.now += again.settings.clock_wait_seconds
        again.parts.counting.turn()
        pi.write(5, seed=4)
        with pytest.raises(RefusedError, match="422"):
            pi.push()
        assert not list(again.settings.state.glob("*future*"))
        clock.ahead += 30 * 86400
        clock.is_trusted = True
        again.parts.counting.turn()
        pi.push()
        assert_same_rows(pi, again.meter())


def test_own_rows_in_the_future_of_a_right_clock_are_set_aside_and_all_comes_again(
    tmp_path: Path, clock: HandClock
) -> None:
    """Both clocks were a day ahead. The Pi begins anew with the right one, and so does its mirror."""
    clock.ahead += 86400 + 1000
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        wrong = Pi(tmp_path / "wrong", mirroring.url)
        wrong.write(20, gap_rows=8640, seed=5)  # a day after the start
        wrong.push()
        clock.ahead -= 86400
        mirroring.parts.counting.turn()
        right = Pi(tmp_path / "right", mirroring.url)
        right.write(40, seed=6)
        right.push()
        right.push()
        [kept] = mirroring.settings.state.glob("house.rrd.future-*")
        assert_same_rows(right, mirroring.meter())
        assert mirroring.meter().pulses == max(wrong.store.stored_pulses, right.store.stored_pulses)
        [(_, note)] = mirroring.meter().writing.told
        assert str(kept) in note
        right.write(10, seed=7)
        right.push()
        assert_same_rows(right, mirroring.meter())
        assert right.twin.verify(fresh=True).repaired_rows == 0
        assert len(list(mirroring.settings.state.glob("house.rrd.future-*"))) == 1


# ---------------------------------------------------------------- restarts


def test_a_mirror_that_is_restarted_knows_what_it_knew(tmp_path: Path, pi: Pi, mirroring: Mirroring) -> None:
    pi.write(30, gap_rows=7, seed=8)
    gaps = (Gap(START + 490, START + 570, STOPPED),)
    list(pi.twin.catch_up(lambda: STATE._replace(pulses=4711, gaps=gaps)))
    before = mirroring.meter().standing(whole=True)
    assert (before.pulses, before.gaps, before.offset_kwh) == (4711, gaps, 12.5)
    with Mirroring(mirroring.settings.state, mirroring.clock).serving() as again:
        meter = again.meter()
        assert meter.standing(whole=True) == before
        assert meter.facts == ("house", "Haus", 1000.0, 12.5)
        assert meter.live.gaps == gaps
        [reading] = again.parts.house.meters()
        assert (reading.label, reading.received_from, reading.silent) == ("Haus", "pi-hq", True)
        assert (reading.watts, reading.meter_reading_watt_hours) == (None, 4711 + 12_500)
        pi.connect(again.url)
        pi.write(5, seed=9)
        pi.push()
        assert_same_rows(pi, meter)


def test_a_mirror_restored_from_a_backup_gets_the_rest_again(tmp_path: Path, pi: Pi, mirroring: Mirroring) -> None:
    pi.push()
    backup = contents(mirroring.settings.state)
    pi.write(50, seed=10)
    pi.push()
    older = tmp_path / "older"
    older.mkdir()
    for name, content in backup.items():
        (older / name).write_bytes(content)
    with Mirroring(older, mirroring.clock).serving() as again:
        pi.peer._base = again.url
        pi.write(10, seed=11)
        pi.push()
        pi.twin.verify(fresh=True)
        assert_same_rows(pi, again.meter())


def test_a_pi_on_a_new_card_does_not_take_the_counter_back(tmp_path: Path, pi: Pi, mirroring: Mirroring) -> None:
    pi.push()
    counted = mirroring.meter().pulses
    assert counted > 0
    fresh = Pi(tmp_path / "new", mirroring.url)
    fresh.write(1, gap_rows=100)
    [progress] = fresh.push()
    assert progress.counter_ahead == counted - fresh.store.stored_pulses
    assert mirroring.meter().pulses == counted
    assert fresh.peer.replace_counter("house", fresh.store.stored_pulses) is None
    assert mirroring.meter().pulses == fresh.store.stored_pulses
    assert Mirroring(mirroring.settings.state, mirroring.clock).meter().pulses == fresh.store.stored_pulses


# ---------------------------------------------------------------- lost and damaged files


def test_a_file_that_vanished_comes_again(pi: Pi, mirroring: Mirroring) -> None:
    pi.push()
    (mirroring.settings.state / "house.rrd").unlink()
    pi.push()  # there is nothing new: the state alone
    pi.push()
    assert_same_rows(pi, mirroring.meter())


def test_a_file_that_is_damaged_is_set_aside_and_comes_again(pi: Pi, mirroring: Mirroring) -> None:
    pi.push()
    path = mirroring.settings.state / "house.rrd"
    path.write_bytes(b"garbage" + path.read_bytes()[7:])
    pi.push()
    pi.push()
    assert_same_rows(pi, mirroring.meter())
    [kept] = mirroring.settings.state.glob("house.rrd.damaged-*")
    assert kept.read_bytes().startswith(b"garbage")
    assert mirroring.meter().faults == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("house.mirrored", b""), ("house.mirrored", b'{"label": 5}'), ("house.mirrored", b"\xff["),
        ("house.gaps", b"\xff\n1"), ("house.digests", b"10 0 \xff"), ("house.register", bytes(8192)),
    ],
)  # fmt: skip
def test_what_else_is_damaged_is_told_again(pi: Pi, mirroring: Mirroring, name: str, content: bytes) -> None:
    gaps = (Gap(START + 490, START + 570, STOPPED),)
    pi.write(20, gap_rows=8, seed=12)
    pi.state = lambda: STATE._replace(pulses=pi.store.stored_pulses, gaps=gaps)  # type: ignore[method-assign]
    pi.push()
    if name == "house.digests":
        pi.twin.verify(fresh=False)
    before = mirroring.meter().standing(whole=True)
    path = mirroring.settings.state / name
    assert path.stat().st_size
    path.write_bytes(content)
    with Mirroring(mirroring.settings.state, mirroring.clock).serving() as again:
        pi.connect(again.url)
        pi.push()
        if name == "house.digests":
            assert pi.twin.verify(fresh=False) == (before.newest, 0, 0, 0, 0)
        assert again.meter().standing(whole=True) == before
        assert again.meter().facts == ("house", "Haus", 1000.0, 12.5)


# ---------------------------------------------------------------- the disk


@contextmanager
def no_room() -> Iterator[None]:
    """No file may grow, as on a full disk; what has its room keeps it. Root or not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def faults(mirroring: Mirroring) -> list[str]:
    """What /health says of the disk."""
    found = ask(mirroring.port, "GET", "/health")
    assert found.status == 503  # here also because no thread counts in this test
    return [said for said in found.json["faults"] if "stopped or hangs" not in said]


def test_a_disk_that_refuses_is_told_to_both_sides_and_forgotten_afterwards(pi: Pi, mirroring: Mirroring) -> None:
    with no_room():  # of a full disk; of this one nothing at all
        with pytest.raises(PeerError, match="answered 503: "):
            pi.push()
        [said] = faults(mirroring)
        assert "house.rrd" in said
    pi.push()
    assert faults(mirroring) == []
    assert_same_rows(pi, mirroring.meter())


def test_a_meter_whose_first_rows_find_no_room_is_told_in_health_too(mirroring: Mirroring) -> None:
    rows = Rows(STEP_SECONDS, START, array("d", [0.25]))
    with no_room(), pytest.raises(StoreError, match="is the disk full"):
        mirroring.meter().take(Push(rows, 2.5, STATE), mirroring.clock.wall())
    [said] = faults(mirroring)
    assert "is the disk full" in said
    mirroring.meter().take(Push(rows, 2.5, STATE), mirroring.clock.wall())
    assert faults(mirroring) == []


def test_facts_that_cannot_be_stored_do_not_harm_the_rows(pi: Pi, mirroring: Mirroring) -> None:
    """The new label does not fit on the disk; the rows that came along do, and are not sent twice."""
    pi.push()
    pi.write(10, seed=14)
    blocked = mirroring.settings.state / "house.mirrored.new"
    blocked.mkdir()
    named = STATE._replace(label="Hütte", pulses=pi.store.stored_pulses)
    with pytest.raises(PeerError, match="503"):
        list(pi.twin.catch_up(lambda: named))
    assert len(faults(mirroring)) == 1
    assert_same_rows(pi, mirroring.meter())
    with pytest.raises(PeerError, match="503"):
        list(pi.twin.catch_up(lambda: named))
    blocked.rmdir()
    list(pi.twin.catch_up(lambda: named))
    assert_same_rows(pi, mirroring.meter())
    assert faults(mirroring) == []
    assert [reading.label for reading in mirroring.parts.house.meters()] == ["Hütte"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory with room for one RRD and a little more."""
    if os.geteuid():
        pytest.skip("only root can make a file system")
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=31m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be made here: {made.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_takes_nothing_and_afterwards_everything(tmp_path: Path, small: Path, clock: HandClock) -> None:
    clock.ahead += 3600
    (small / "filling").write_bytes(bytes(10 << 20))
    with Mirroring(small / "state", clock, "[store]\narchive_years = 0\n").serving() as mirroring:
        pi = Pi(tmp_path / "pi", mirroring.url, archive_years=0)
        pi.write(60, seed=15)
        with pytest.raises(PeerError, match="503"):
            pi.push()
        [said] = faults(mirroring)
        assert os.strerror(errno.ENOSPC) in said
        (small / "filling").unlink()
        pi.push()
        assert faults(mirroring) == []
        assert_same_rows(pi, mirroring.meter())
        assert not list((small / "state").glob("*.new*"))


# ---------------------------------------------------------------- in code


def test_what_the_mirror_is_asked_is_checked_here_too(pi: Pi, mirroring: Mirroring) -> None:
    pi.push()
    mirror = mirror_of(mirroring)
    day = 86400
    with pytest.raises(UnknownNameError, match="'hut'"):
        mirror.standing("pi-hq", "hut")
    with pytest.raises(WireError, match="one unit"):
        mirror.rows("pi-hq", "house", Unit(10, START // day * day, START // day * day + day + 10))
    longest = Unit(10, 0, MOST_UNITS * day)
    assert len(mirror.digests("pi-hq", "house", longest, fresh=False)) == MOST_UNITS
    with pytest.raises(WireError, match=f"at most {MOST_UNITS}"):
        mirror.digests("pi-hq", "house", longest._replace(until=longest.until + 10), fresh=False)
    with pytest.raises(UnknownNameError):
        mirror.sample("pi-hq", f"{START};5")
    assert not mirror.takes_samples
    assert [meter.name for meter in mirror.meters] == ["house"]
