"""Catching up and comparing, with both ends real: afterwards every row is the same to the last bit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
from conftest import START, HandClock
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from pair import Mirroring, Pi, assert_equal_ends, flip_bit, known_rows

from powerpi.digests import Unit
from powerpi.messages import Rows
from powerpi.pulses import STEP_SECONDS

DAY_ROWS = 86400 // STEP_SECONDS


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    clock.ahead += 400 * 86400
    with Mirroring(tmp_path / "mirror", clock).serving() as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, mirroring: Mirroring) -> Pi:
    return Pi(tmp_path / "pi", mirroring.url)


def test_rows_gaps_and_the_counter_come_across(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(100, seed=1)
    pi.write(50, gap_rows=7, seed=2)
    assert [progress.behind_rows for progress in pi.push()] == [0]
    assert_equal_ends(pi, mirroring.meter())
    assert mirroring.meter().pulses == pi.store.stored_pulses
    assert mirroring.meter().facts == ("house", "Haus", 1000.0, 12.5)


def test_nothing_is_sent_twice(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(20)
    pi.push()
    pi.write(20)
    assert len(pi.push()) == 1
    assert len(pi.push()) == 1  # the state alone
    assert_equal_ends(pi, mirroring.meter())


def test_an_outage_of_a_month_is_caught_up_a_day_at_a_time(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(31 * DAY_ROWS, seed=3)
    behind = [progress.behind_rows for progress in pi.push()]
    assert len(behind) == 31
    assert behind == sorted(behind, reverse=True)
    assert_equal_ends(pi, mirroring.meter())


def test_verify_finds_nothing_where_nothing_differs(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(3 * DAY_ROWS, seed=4)
    pi.push()
    for fresh in (False, True):
        verdict = pi.twin.verify(fresh)
        assert verdict == (START + 3 * 86400 - STEP_SECONDS, 0, 0, 0, 0)


def test_a_different_row_is_found_and_put_right(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(2 * DAY_ROWS, seed=5)
    pi.push()
    pi.twin.verify(fresh=False)
    meter = mirroring.meter()
    unit = Unit(STEP_SECONDS, START + 5000, START + 5010)
    meter.ledger.put(unit, [1.5])
    assert pi.twin.verify(fresh=False).repaired_rows == 1
    assert_equal_ends(pi, meter)
    assert pi.twin.verify(fresh=True).repaired_rows == 0


# ---------------------------------------------------------------- what disks do


DAY = 86400
MIDNIGHT = START // DAY * DAY + DAY


def test_the_very_first_row_and_one_after_a_gap_come_across(pi: Pi, mirroring: Mirroring) -> None:
    """Nothing is known before them: both are rows that are unknown, with a counter that is not."""
    pi.write(1)
    assert [progress.behind_rows for progress in pi.push()] == [0]
    assert_equal_ends(pi, mirroring.meter())
    pi.write(1, gap_rows=3 * DAY_ROWS)
    assert [progress.behind_rows for progress in pi.push()] == [0]
    assert_equal_ends(pi, mirroring.meter())
    assert mirroring.meter().pulses == pi.store.stored_pulses


def test_a_mirror_restored_from_a_backup_gets_everything_in_the_next_round(
    tmp_path: Path, clock: HandClock, pi: Pi, mirroring: Mirroring
) -> None:
    pi.write(100, seed=13)
    pi.push()
    shutil.copytree(tmp_path / "mirror", tmp_path / "backup")
    pi.write(100, seed=14)
    pi.push()
    with Mirroring(tmp_path / "backup", clock).serving() as restored:
        pi.peer._base = restored.url  # at the same address, as far as the twin knows
        pi.write(10, seed=15)  # rows that would follow what the mirror held once leave a hole
        assert [progress.behind_rows for progress in pi.push()] == [0]  # refused, asked anew, all sent
        assert_equal_ends(pi, restored.meter())


def test_a_row_that_the_disk_here_has_changed_is_fetched_and_not_sent(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(2 * DAY_ROWS, seed=6)
    pi.push()
    pi.twin.verify(fresh=False)  # keeps the digests
    unit = Unit(STEP_SECONDS, MIDNIGHT, MIDNIGHT + DAY)
    true = pi.ledger.rows(unit)
    flip_bit(pi.store.rrd, MIDNIGHT + 5000)
    flip_bit(pi.store.rrd, MIDNIGHT + 5010)
    assert pi.ledger.rows(unit) != true
    assert pi.twin.verify(fresh=False)[1:] == (0, 0, 0, 0)  # the disk was not asked
    assert pi.twin.verify(fresh=True)[1:] == (0, 2, 0, 0)  # healed
    assert pi.ledger.rows(unit) == true
    assert_equal_ends(pi, mirroring.meter())
    assert pi.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)


def test_where_both_disks_have_changed_nothing_is_overwritten(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(2 * DAY_ROWS, seed=7)
    pi.push()
    pi.twin.verify(fresh=False)
    flip_bit(pi.store.rrd, MIDNIGHT + 5000)
    flip_bit(mirroring.meter().store.rrd, MIDNIGHT + 6000)
    unit = Unit(STEP_SECONDS, MIDNIGHT, MIDNIGHT + DAY)
    before = pi.ledger.rows(unit), mirroring.meter().ledger.rows(unit)
    for fresh in (True, False, True):
        # without `fresh` neither disk is asked, and both once held the same
        assert pi.twin.verify(fresh)[1:] == (0, 0, DAY_ROWS if fresh else 0, 0)
    assert (pi.ledger.rows(unit), mirroring.meter().ledger.rows(unit)) == before


def test_rows_that_the_disk_here_has_changed_are_never_sent_not_even_unseen(pi: Pi, mirroring: Mirroring) -> None:
    """The mirror's rows were changed too, and it knows: digests differ before anybody asks the disk here."""
    pi.write(2 * DAY_ROWS, seed=8)
    pi.push()
    pi.twin.verify(fresh=False)
    flip_bit(pi.store.rrd, MIDNIGHT + 5000)
    mirroring.meter().ledger.put(Unit(STEP_SECONDS, MIDNIGHT + 6000, MIDNIGHT + 6010), [1.5])
    unit = Unit(STEP_SECONDS, MIDNIGHT, MIDNIGHT + DAY)
    before = pi.ledger.rows(unit), mirroring.meter().ledger.rows(unit)
    assert pi.twin.verify(fresh=False).damaged_rows == DAY_ROWS
    assert (pi.ledger.rows(unit), mirroring.meter().ledger.rows(unit)) == before


def test_a_row_that_the_mirrors_disk_has_changed_is_sent_again(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(2 * DAY_ROWS, seed=9)
    pi.push()
    pi.twin.verify(fresh=False)
    flip_bit(mirroring.meter().store.rrd, MIDNIGHT + 5000)
    assert pi.twin.verify(fresh=True)[1:] == (1, 0, 0, 0)
    assert_equal_ends(pi, mirroring.meter())
    assert pi.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)


def test_rows_changed_alike_on_both_ends_are_no_damage(pi: Pi, mirroring: Mirroring) -> None:
    pi.write(2 * DAY_ROWS, seed=10)
    pi.push()
    pi.twin.verify(fresh=False)
    for rrd in (pi.store.rrd, mirroring.meter().store.rrd):  # as a restored pair of backups would
        flip_bit(rrd, MIDNIGHT + 5000)
    for fresh in (True, False, True):
        assert pi.twin.verify(fresh)[1:] == (0, 0, 0, 0)
    assert pi.ledger.digests(STEP_SECONDS, MIDNIGHT, MIDNIGHT + DAY).changed == {}


# ---------------------------------------------------------------- rows that only the mirror knows


class Counted:
    """How often rows are fetched."""

    def __init__(self, pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fetched: list[Unit] = []
        fetch = pi.peer.rows

        def rows(meter: str, unit: Unit) -> Rows:
            self.fetched.append(unit)
            return fetch(meter, unit)

        monkeypatch.setattr(pi.peer, "rows", rows)


def test_rows_that_only_the_mirror_knows_stay_and_are_fetched_once(
    pi: Pi, mirroring: Mirroring, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi.write(DAY_ROWS, seed=11)
    pi.write(DAY_ROWS, gap_rows=500, seed=12)
    pi.push()
    gap = START + DAY - STEP_SECONDS  # the newest row before it
    unit = Unit(STEP_SECONDS, gap + 100, gap + 130)
    mirroring.meter().ledger.put(unit, [1.0, 2.0, 3.0])
    counted = Counted(pi, monkeypatch)
    for fresh in (False, False, True):
        assert pi.twin.verify(fresh)[1:] == (0, 0, 0, 3)
    assert len(counted.fetched) == 1
    assert list(mirroring.meter().ledger.rows(unit)) == [1.0, 2.0, 3.0]
    flip = Unit(STEP_SECONDS, unit.until + 10000, unit.until + 10010)  # in the same day
    mirroring.meter().ledger.put(flip, [9.0])
    assert pi.twin.verify(fresh=False)[1:] == (1, 0, 0, 3)
    assert list(mirroring.meter().ledger.rows(unit)) == [1.0, 2.0, 3.0]
    assert pi.twin.verify(fresh=False)[1:] == (0, 0, 0, 3)
    assert len(counted.fetched) == 2


# ---------------------------------------------------------------- whatever comes in whatever order


class Pair(RuleBasedStateMachine):
    """A Pi and a mirror, to which everything happens; in the end both hold the same."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory(dir=memory())))
        self.clock = HandClock()
        self.clock.ahead += 400 * DAY
        self.serving = ExitStack()
        self.start_mirror()
        self.pi = Pi(self.folder / "pi", self.mirroring.url, archive_years=1)
        self.backed_up = False

    def start_mirror(self) -> None:
        self.serving.close()
        mirroring = Mirroring(self.folder / "mirror", self.clock, "[store]\narchive_years = 1\n")
        self.mirroring = self.serving.enter_context(mirroring.serving())

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.serving.close()
            self._stack.close()

    def settle(self) -> None:
        """Send and compare; nothing may be left then, and nothing more may be known at the mirror than here."""
        self.pi.push()
        meter = self.mirroring.meter()
        if not self.pi.ledger.newest():
            assert not meter.store.last_row
            return
        self.pi.twin.verify(fresh=True)
        assert self.pi.twin.verify(fresh=False)[1:] == (0, 0, 0, 0)
        assert_equal_ends(self.pi, meter)
        assert meter.pulses == self.pi.store.stored_pulses

    @rule(count=st.integers(1, 400), gap=st.sampled_from([0, 0, 1, 89, 5000]), seed=st.integers(0, 9))
    def write(self, count: int, gap: int, seed: int) -> None:
        self.pi.write(count, seed=seed, gap_rows=gap)

    @rule()
    def push(self) -> None:
        self.pi.push()

    @rule()
    def push_whose_answer_is_lost(self) -> None:
        """The mirror has written, and the one who sent never hears of it."""
        next(self.pi.twin.catch_up(self.pi.state))
        self.restart_pi()

    @rule()
    def restart_pi(self) -> None:
        self.pi.peer.close()
        self.pi = Pi(self.folder / "pi", self.mirroring.url, archive_years=1)

    @rule()
    def restart_mirror(self) -> None:
        self.start_mirror()
        self.restart_pi()

    @rule()
    def back_up(self) -> None:
        shutil.rmtree(self.folder / "backup", ignore_errors=True)
        shutil.copytree(self.folder / "mirror", self.folder / "backup")
        self.backed_up = True

    @precondition(lambda self: self.backed_up)
    @rule()
    def put_the_backup_back(self) -> None:
        self.serving.close()
        shutil.rmtree(self.folder / "mirror")
        shutil.copytree(self.folder / "backup", self.folder / "mirror")
        self.start_mirror()
        self.pi.connect(self.mirroring.url)

    @precondition(lambda self: self.mirroring.meter().store.last_row)
    @rule(place=st.floats(0, 1, exclude_max=True), rate=st.floats(0, 10))
    def something_changes_a_row_there(self, place: float, rate: float) -> None:
        """One that is known: what is known there alone would stay."""
        ledger = self.mirroring.meter().ledger
        newest = ledger.newest()
        assert newest
        known = sorted(known_rows(ledger, START, newest.time))
        if known:
            time = known[int(place * len(known))]
            ledger.put(Unit(STEP_SECONDS, time - STEP_SECONDS, time), [rate])

    @rule(fresh=st.booleans())
    def verify(self, fresh: bool) -> None:
        self.pi.twin.verify(fresh)


def memory() -> str | None:
    """Where a disk need not be waited for."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


TestPair = Pair.TestCase
TestPair.settings = hypothesis.settings(max_examples=5, stateful_step_count=12, deadline=None)
