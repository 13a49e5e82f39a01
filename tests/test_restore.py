"""A mirror gives a Pi its history back: on a new card, on one that has counted meanwhile, on an old image of one."""

from __future__ import annotations

import math
import shutil
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import START, HandClock
from pair import STATE, Mirroring, Pi, assert_equal_ends, known_rows

from powerpi import anchors, gaps, restore
from powerpi.anchors import Anchor
from powerpi.digests import Unit, units
from powerpi.errors import PeerError, RefusedError
from powerpi.gaps import Gap
from powerpi.layout import MEAN_SECONDS
from powerpi.messages import Push, Rows
from powerpi.peer import Peer
from powerpi.pulses import STEP_SECONDS, Row
from powerpi.restore import Restored

DAY_ROWS = 86400 // STEP_SECONDS
YEAR_ROWS = 366 * DAY_ROWS
FIRST = START - STEP_SECONDS  # where the files begin
LATER = START + 400 * 86400  # when it is restored


@pytest.fixture
def mirroring(tmp_path: Path, clock: HandClock) -> Iterator[Mirroring]:
    clock.ahead += 1000 * 86400
    with Mirroring(tmp_path / "mirror", clock).serving() as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, mirroring: Mirroring) -> Pi:
    """A Pi with an hour of rows at 0.2 pulses/s, all pushed: 360 rows after the first, the counter at 720."""
    old = Pi(tmp_path / "old", mirroring.url)
    write(old, 360, 0)
    old.push()
    return old


def write(pi: Pi, steps: int, begun: float, after: int = 0, counted: int = 0) -> None:
    """Steps of 2 pulses each that begin `after` seconds after the newest row (or the start) with the counter `begun`.

    The register has `counted` further pulses, that no row has yet.
    """
    newest = pi.store.last_row.time if pi.store.last_row else FIRST + STEP_SECONDS
    pi.store.write(
        [
            Row(newest + after + STEP_SECONDS * n, begun + 2 * n)
            for n in range(1 if not after and pi.store.last_row else 0, steps + 1)
        ]
    )
    end = math.ceil(begun + 2 * steps) + counted
    pi.store.save_register(end, pi.store.last_row.time if pi.store.last_row else 0)


def new_card(tmp_path: Path, mirroring: Mirroring, name: str = "new") -> Pi:
    return Pi(tmp_path / name, mirroring.url)


def fetch(pi: Pi) -> Restored:
    found = restore.restore(pi.name, pi.store, pi.ledger, pi.peer, LATER, progress=lambda *_: None)
    pi.peer.close()
    assert found
    assert pi.store.open(0)[0] == found.pulses  # what a start would begin with
    return found


# ---------------------------------------------------------------- an empty card


def test_an_empty_card_gets_all_rows_and_the_counter(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = new_card(tmp_path, mirroring)
    assert fetch(new) == Restored(360, 0, 0, 720, 12.5, ())
    assert_equal_ends(new, mirroring.meter())
    assert fetch(new) == Restored(0, 0, 720, 720, 12.5, ())  # once more changes nothing


def test_a_restored_pi_goes_on_counting_and_pushing_as_if_nothing_had_happened(
    tmp_path: Path, mirroring: Mirroring, pi: Pi
) -> None:
    new = new_card(tmp_path, mirroring)
    fetch(new)
    write(new, 200, 721, after=600)
    write(new, 40, 1121)  # librrd goes on in the quarter hour that it began itself
    new.push()
    assert_equal_ends(new, mirroring.meter())
    assert len(known_rows(new.ledger, FIRST, FIRST + 86400)) == 360 + 240
    assert mirroring.meter().pulses == 1201
    verdict = new.twin.verify(fresh=True)
    assert verdict[1:] == (0, 0, 0, 0)


def test_rows_that_follow_without_a_gap_are_true(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = new_card(tmp_path, mirroring)
    fetch(new)
    write(new, 10, 720)
    newest = new.ledger.newest()
    assert newest
    assert list(new.ledger.rows(Unit(10, newest.time - 110, newest.time))) == [0.2] * 11


def test_only_days_that_differ_are_fetched(
    tmp_path: Path, mirroring: Mirroring, pi: Pi, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Unit] = []
    fetch_rows = Peer.rows

    def rows(peer: Peer, meter: str, unit: Unit) -> Rows:
        fetched.append(unit)
        return fetch_rows(peer, meter, unit)

    monkeypatch.setattr(Peer, "rows", rows)
    new = new_card(tmp_path, mirroring)
    fetch(new)
    # START is 22:13:20 UTC: an hour of one day; and the quarter hour in which the lossless rows begin
    assert [(unit.step_seconds, unit.after <= START < unit.until) for unit in fetched] == [(10, True), (900, False)]
    fetch(new)
    assert [unit.step_seconds for unit in fetched[2:]] == [900]


def test_a_mirror_that_knows_nothing_gives_nothing(tmp_path: Path, mirroring: Mirroring) -> None:
    new = new_card(tmp_path, mirroring)
    assert restore.restore("house", new.store, new.ledger, new.peer, LATER, progress=lambda *_: None) is None
    assert new.ledger.newest() is None


def test_progress_goes_from_nothing_to_all(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = new_card(tmp_path, mirroring)
    heard: list[tuple[int, int]] = []
    restore.restore("house", new.store, new.ledger, new.peer, LATER, progress=lambda *progress: heard.append(progress))
    assert heard == sorted(heard)
    assert {total for _, total in heard} == {YEAR_ROWS}
    assert heard[-1] == (YEAR_ROWS, YEAR_ROWS)


def test_gaps_come_back_and_own_ones_stay(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    mirror_gaps = (Gap(START + 100, START + 200, "power_cut"),)
    mirroring.meter()._save_gaps(mirror_gaps)
    new = new_card(tmp_path, mirroring)
    own = Gap(START + 9000, START + 9100, "stopped")
    gaps.write(new.store.rrd.with_suffix(".gaps"), [own], damaged=False)
    fetch(new)
    assert gaps.read(new.store.rrd.with_suffix(".gaps"))[0] == (*mirror_gaps, own)


def test_the_first_row_after_a_gap_which_is_unknown_comes_back_with_its_counter(
    tmp_path: Path, mirroring: Mirroring, pi: Pi
) -> None:
    pi.store.write([Row(pi.store.last_time + 50_000, 800.25)])
    pi.push()
    new = new_card(tmp_path, mirroring)
    assert fetch(new).rows == 360
    assert new.ledger.held() == pi.ledger.held()
    assert_equal_ends(new, mirroring.meter())


def test_a_counter_is_raised_where_no_rows_are_known(tmp_path: Path, mirroring: Mirroring) -> None:
    old = new_card(tmp_path, mirroring, "old")
    old.peer.push("house", Push(Rows(10, 0, array("d")), None, STATE._replace(pulses=77)))
    new = new_card(tmp_path, mirroring)
    assert fetch(new) == Restored(0, 0, 0, 77, 12.5, ())


# ---------------------------------------------------------------- one that has counted


def test_a_new_card_that_has_counted_keeps_what_it_counted(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = new_card(tmp_path, mirroring)
    write(new, 100, 0.25, after=86400, counted=3)
    # 720 at the mirror. Here the counter stands at 201 + 3: 200 in rows, 0.25 before the first of them is in none,
    # and 204 - 200.25 = 3.75 came after the newest: 203.75, so 204
    assert fetch(new) == Restored(360, 0, 204, 924, 12.5, ())
    assert len(known_rows(new.ledger, FIRST, FIRST + 2 * 86400)) == 460
    new.push()
    assert_equal_ends(new, mirroring.meter())
    assert mirroring.meter().pulses == 924


@pytest.mark.parametrize("when", ["save_register", "gaps"])
def test_what_its_display_was_read_to_show_still_holds(tmp_path: Path, mirroring: Mirroring, pi: Pi, when: str) -> None:
    new = new_card(tmp_path, mirroring)
    write(new, 100, 0.25, after=86400, counted=3)
    noted = anchors.path_of(new.store.rrd)
    first, second = Anchor(START + 86_900, 777_000.0, 100.25), Anchor(START + 87_400, 777_100.0, 200.25)
    anchors.write(noted, [first, second], damaged=False)
    before = anchors.watt_hours((first, second), 204, 1000, 0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(CutError):  # before the counter is on disk, or after
        patch.setattr(*((new.store, when, cut) if when == "save_register" else (gaps, "write", cut)))
        restore.restore("house", new.store, new.ledger, new.peer, LATER, progress=lambda *_: None)
    for _ in range(2):
        assert fetch(new).pulses == 924
        whole, _ = anchors.read(noted)
        assert whole == (first._replace(pulses=820.25), second._replace(pulses=920.25))  # 720 came back
        assert anchors.watt_hours(whole, 924, 1000, 0) == before


def test_it_makes_no_difference_that_it_has_pushed_meanwhile(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = new_card(tmp_path, mirroring)
    write(new, 100, 0.25, after=86400, counted=3)
    progress = new.push()
    assert progress[-1].counter_ahead == 720 - 204
    assert new.twin.verify(fresh=False).only_there_rows == 360
    assert fetch(new) == Restored(360, 0, 204, 924, 12.5, ())
    new.push()
    assert_equal_ends(new, mirroring.meter())
    assert new.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)


def test_nor_that_the_mirror_was_started_anew_meanwhile(
    tmp_path: Path, mirroring: Mirroring, pi: Pi, clock: HandClock
) -> None:
    new = new_card(tmp_path, mirroring)
    write(new, 100, 0.25, after=86400, counted=3)
    new.push()
    with Mirroring(tmp_path / "mirror", clock).serving() as again:
        new.connect(again.url)
        assert fetch(new).pulses == 924


def test_a_second_new_card_gets_what_the_first_one_counted_too(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    first = new_card(tmp_path, mirroring)
    write(first, 100, 0.25, after=86400)
    first.push()  # the counter there stays at 720; 200 pulses in rows came after that
    second = new_card(tmp_path, mirroring, "second")
    assert fetch(second) == Restored(460, 0, 0, 920, 12.5, ())
    assert_equal_ends(second, mirroring.meter())


def test_an_old_image_of_the_card_gets_what_came_after_it(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    shutil.copytree(pi.store.rrd.parent, tmp_path / "image")
    write(pi, 500, 720)  # to 1720
    pi.push()
    image = new_card(tmp_path, mirroring, "image")
    image.store.open(0)
    assert fetch(image) == Restored(500, 0, 720, 1720, 12.5, ())
    assert_equal_ends(image, mirroring.meter())


def test_an_old_image_that_has_counted_keeps_what_it_counted(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    shutil.copytree(pi.store.rrd.parent, tmp_path / "image")
    write(pi, 500, 720)  # to 1720, 5000 s after the image
    pi.push()
    image = new_card(tmp_path, mirroring, "image")
    write(image, 50, 720.5, after=8000, counted=1)  # to 822, of which 820.5 - 720.5 in rows, and 1.5 after them
    found = fetch(image)
    assert found == Restored(500, 0, 822, 1720 + 102, 12.5, ())  # 101.5 is rounded to the even one
    image.push()
    assert_equal_ends(image, mirroring.meter())


def test_rows_that_are_known_here_stay_as_they_are(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    meter = mirroring.meter()
    unit = Unit(10, START + 1000, START + 1010)
    meter.ledger.put(unit, [7.0])
    assert fetch(pi) == Restored(0, 0, 720, 720, 12.5, ())
    assert list(pi.ledger.rows(unit)) == [0.2]


def test_a_digest_that_was_kept_before_is_no_damage(tmp_path: Path, mirroring: Mirroring) -> None:
    old = new_card(tmp_path, mirroring, "old")
    write(old, 2 * DAY_ROWS, 0)
    old.push()
    new = new_card(tmp_path, mirroring)
    write(new, 3 * DAY_ROWS, 0, after=DAY_ROWS * 10 + 5000)  # a day and a half later than the other began
    new.push()
    verdict = new.twin.verify(fresh=False)  # keeps digests of the days that it knows in part
    assert verdict.only_there_rows == DAY_ROWS + 500
    assert new.store.rrd.with_suffix(".digests").read_text()
    fetch(new)
    assert new.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)
    assert_equal_ends(new, mirroring.meter())


# ---------------------------------------------------------------- older than a year


def old_means(pi: Pi, count: int) -> Unit:
    """Let a Pi know means of the time before its last year, as if it had been counting then."""
    end = pi.ledger.spans()[STEP_SECONDS].after // MEAN_SECONDS * MEAN_SECONDS
    unit = Unit(MEAN_SECONDS, end - count * MEAN_SECONDS, end)
    for part in units(*unit):
        pi.ledger.put(
            part, [0.001 * (time // MEAN_SECONDS % 1000) for time in range(part.after, part.until, MEAN_SECONDS)]
        )
    return unit


def test_means_of_the_years_before_go_to_an_empty_mirror_and_come_back(
    tmp_path: Path, mirroring: Mirroring, pi: Pi
) -> None:
    unit = old_means(pi, 10000)
    pi.push()  # has come before, when the mirror knew the rows already: then they are found by comparing
    assert pi.twin.verify(fresh=False).repaired_rows == 10000
    assert_equal_ends(pi, mirroring.meter())
    assert pi.twin.verify(fresh=False) == pi.twin.verify(fresh=True)
    new = new_card(tmp_path, mirroring)
    assert fetch(new) == Restored(360, 10000, 0, 720, 12.5, ())
    assert_equal_ends(new, mirroring.meter())
    assert not any(map(math.isnan, new.ledger.rows(Unit(MEAN_SECONDS, unit.until - 9000, unit.until))))


def test_the_quarter_hour_that_has_lost_some_of_its_rows_keeps_its_mean(tmp_path: Path, mirroring: Mirroring) -> None:
    """366 days after it the last of its 90 rows are there, and the mean of all of them."""
    old = new_card(tmp_path, mirroring, "old")
    quarter = START // MEAN_SECONDS * MEAN_SECONDS + MEAN_SECONDS
    old.store.write([Row(quarter, 0.0)])
    old.store.write([Row(quarter + 10 * n, n * 1.0 if n < 45 else 44 + (n - 44) * 3.0) for n in range(1, 121)])
    old.push()
    later = quarter + 366 * 86400 + 500  # 50 of the rows are gone then, whose mean is another
    old.store.write([Row(later - 10, 500.0), Row(later, 501.0)])
    old.push()
    unit = Unit(MEAN_SECONDS, quarter, quarter + MEAN_SECONDS)
    # 44 rows of 0.1, 46 of 0.3
    [mean] = old.ledger.rows(unit)
    assert mean == pytest.approx((4.4 + 13.8) / 90)
    new = new_card(tmp_path, mirroring)
    fetch(new)
    assert list(new.ledger.rows(unit)) == [mean]
    assert_equal_ends(new, mirroring.meter())
    assert new.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)


@pytest.mark.parametrize("years", [0, 1])
def test_a_mirror_may_keep_its_means_for_another_time(tmp_path: Path, clock: HandClock, years: int) -> None:
    clock.ahead += 1000 * 86400
    store = f"[store]\narchive_years = {years}\n"
    with Mirroring(tmp_path / "mirror", clock, store).serving() as mirroring:
        pi = new_card(tmp_path, mirroring, "old")
        write(pi, 360, 0)
        pi.push()
        old_means(pi, 500)
        meter = mirroring.meter()
        # a year of means (366 days) is no longer than the lossless archive: there is no place for older ones
        assert pi.twin.verify(fresh=True)[1:] == (0, 0, 0, 0)
        assert known_rows(meter.ledger, FIRST, FIRST + 86400) == known_rows(pi.ledger, FIRST, FIRST + 86400)
        new = new_card(tmp_path, mirroring)
        assert fetch(new) == Restored(360, 0, 0, 720, 12.5, ())


def test_a_card_that_keeps_no_means_gets_its_rows(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = Pi(tmp_path / "new", mirroring.url, archive_years=0)
    assert fetch(new).rows == 360
    assert known_rows(new.ledger, FIRST, FIRST + 86400) == known_rows(pi.ledger, FIRST, FIRST + 86400)


def test_rows_that_have_no_room_here_any_more_are_left(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = new_card(tmp_path, mirroring)
    write(new, 10, 0, after=366 * 86400 + 1800)  # half of the mirror's hour is more than 366 days before that
    found = fetch(new)
    held = new.ledger.spans()[STEP_SECONDS].after
    assert found.rows == (START + 3600 - held) // STEP_SECONDS
    # quarter hours end at START + 100, 1000, 1900: the first is known for 100 s only, the rows of the others are gone
    assert held == START + 1900
    assert found.means == 2


# ---------------------------------------------------------------- interrupted


class CutError(Exception):
    """Somebody presses Ctrl-C."""


def cut(*_: object) -> None:
    raise CutError


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_restore_is_begun_again(tmp_path: Path, mirroring: Mirroring, after: int) -> None:
    old = new_card(tmp_path, mirroring, "old")
    write(old, 2 * DAY_ROWS, 0, counted=4)
    old.push()
    new = new_card(tmp_path, mirroring)
    looked = 0

    def interrupt(done: int, _: int) -> None:
        nonlocal looked
        looked += new.ledger.newest() is not None
        if looked >= after:
            raise CutError

    with pytest.raises(CutError):
        restore.restore("house", new.store, new.ledger, new.peer, LATER, progress=interrupt)
    found = fetch(new)
    assert (found.pulses, found.notes) == (2 * 2 * DAY_ROWS + 4, ())
    assert_equal_ends(new, mirroring.meter())


def test_a_pi_that_counts_between_an_interrupted_restore_and_the_next_loses_nothing(
    tmp_path: Path, mirroring: Mirroring
) -> None:
    old = new_card(tmp_path, mirroring, "old")
    write(old, 2 * DAY_ROWS, 0)
    old.push()
    new = new_card(tmp_path, mirroring)

    def interrupt(*_: int) -> None:
        if new.ledger.newest():
            raise CutError

    with pytest.raises(CutError):
        restore.restore("house", new.store, new.ledger, new.peer, LATER, progress=interrupt)
    new.store.open(0)
    begun = new.store.stored_pulses
    write(new, 100, max(begun, 2 * 2 * DAY_ROWS) + 0.5, after=4 * 86400)
    found = fetch(new)
    assert found.pulses == 2 * 2 * DAY_ROWS + 201
    new.push()
    assert_equal_ends(new, mirroring.meter())


def test_a_mirror_that_goes_away_leaves_what_has_come(tmp_path: Path, mirroring: Mirroring, pi: Pi) -> None:
    new = new_card(tmp_path, mirroring)
    new.connect("http://127.0.0.1:1")
    with pytest.raises(PeerError):
        restore.restore("house", new.store, new.ledger, new.peer, LATER, progress=lambda *_: None)
    new.connect(mirroring.url)
    assert fetch(new).rows == 360


def test_rows_of_the_future_are_refused_before_anything_is_touched(
    tmp_path: Path, mirroring: Mirroring, pi: Pi
) -> None:
    newest = pi.store.last_time
    before = pi.store.rrd.read_bytes()
    for now in (newest - 301, newest - 366 * 86400):
        with pytest.raises(RefusedError, match="in the future: a clock is wrong"):
            restore.restore(pi.name, pi.store, pi.ledger, pi.peer, now, progress=lambda *_: None)
    assert pi.store.rrd.read_bytes() == before


def test_a_counter_that_no_meter_can_have_counted_is_refused(mirroring: Mirroring, pi: Pi) -> None:
    mirroring.meter().set_counter(1 << 52)
    with pytest.raises(RefusedError, match="a counter of 4503599627370496 pulses, which cannot be by its rows"):
        restore.restore(pi.name, pi.store, pi.ledger, pi.peer, LATER, progress=lambda *_: None)
