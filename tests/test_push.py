"""The push thread, turn by turn with clocks moved by hand, between both ends as they are: a Pi's rows, a real mirror.

After every fault, once it is over, both ends hold the same rows, every row once.
"""

from __future__ import annotations

import logging
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from conftest import START, HandClock, Line
from pair import PASSWORD, Mirroring, Pi, assert_equal_ends, known_rows
from tls import EXPIRED, HOST, Answering, Authority, Forwarder, Silent, always, http

from powerpi import config
from powerpi.config import MeterSettings
from powerpi.counting import Counting, Timing
from powerpi.digests import Unit
from powerpi.gaps import STOPPED, Gap
from powerpi.layout import MEAN_SECONDS
from powerpi.ledger import Ledger
from powerpi.meter import Live, Meter
from powerpi.pulses import STEP_SECONDS, Contact
from powerpi.push import Push, Sending, pause_seconds
from powerpi.push_status import PushStatus, push_notices
from powerpi.sending import build_push
from powerpi.store import Store
from powerpi.sync import LEAST_ROWS, Twin, Verdict, added
from powerpi.telling import Telling

YEAR_SECONDS = 400 * 86400
DAY_ROWS = 86400 // STEP_SECONDS
FACTS = MeterSettings("house", "Haus", 24, 1000.0, "up", 10.0, 12.5)
NOTHING_YET = Live(0.0, 0.0, 0, None, None, (), 0.0, Contact(False), None)


class Trial(NamedTuple):
    """A Pi, its clock, the line to its mirror, which can be spoiled, the mirror, and the thread that sends."""

    pi: Pi
    clock: HandClock
    line: Forwarder
    mirroring: Mirroring
    push: Push
    live: SimpleNamespace

    def after(self, seconds: float) -> PushStatus:
        """How it stands after the turn that comes so much later."""
        self.clock.now += seconds
        self.push.turn()
        return self.push.status

    def wait(self) -> float:
        """How long it sleeps now, in seconds."""
        return round(self.push.wake_seconds, 6)

    def assert_equal(self) -> None:
        """As pair.assert_equal_ends, but for the year before the first row: that is quicker."""
        here, there = self.pi.ledger, self.mirroring.meter().ledger
        assert here.newest() == there.newest()
        assert here.spans() == there.spans()
        for step, span in here.spans().items():
            part = Unit(step, START // MEAN_SECONDS * MEAN_SECONDS - 86400, span.until)
            assert here.rows(part).tobytes() == there.rows(part).tobytes()

    def compares(self) -> None:
        """Both ends are to be compared at the next turn."""
        self.push._verify_due = self.push._fresh_due = self.clock.now


def make_push(pi: Pi, clock: HandClock, live: object, flush: Callable[[], object] = bool, chance: float = 1.0) -> Push:
    telling = Telling(FACTS, live, lambda: pi.store.stored_pulses, clock.monotonic, 60)  # type: ignore[arg-type]

    def newest() -> int:
        return pi.store.last_row.time if pi.store.last_row else 0

    push = Push(
        "mirror.lan",
        [Sending(pi.twin, telling, newest)],
        60,
        trusted=clock.trusted,
        flush=flush,
        hang_up=pi.peer.close,
        monotonic=clock.monotonic,
        now=clock.wall,
        on_death=lambda *_: None,
        chance=lambda: chance,
    )
    push._verify_due = math.inf  # a year of rows is read on both ends: only where it is the point
    return push


@pytest.fixture(scope="module")
def in_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a Pi and of its mirror, after twenty rows: to read an empty year takes a while."""
    folder = tmp_path_factory.mktemp("in_step")
    with Mirroring(folder / "mirror", mirror_clock()).serving() as mirroring, Forwarder(mirroring.port) as line:
        trial = make_trial(folder, mirroring, line)
        trial.pi.write(20, seed=1)
        assert trial.after(0).in_step
        trial.assert_equal()
    return folder


def mirror_clock() -> HandClock:
    return HandClock(wall=START + YEAR_SECONDS)


@pytest.fixture
def mirroring(tmp_path: Path, in_step: Path) -> Iterator[Mirroring]:
    shutil.copytree(in_step, tmp_path, dirs_exist_ok=True)
    with Mirroring(tmp_path / "mirror", mirror_clock()).serving() as running:
        yield running


@pytest.fixture
def trial(tmp_path: Path, mirroring: Mirroring) -> Iterator[Trial]:
    """Both ends are equal, and ten rows are there that are not sent yet."""
    with Forwarder(mirroring.port) as line:
        trial = make_trial(tmp_path, mirroring, line)
        trial.pi.write(10, seed=2)
        yield trial


def make_trial(folder: Path, mirroring: Mirroring, line: Forwarder) -> Trial:
    pi = Pi(folder / "pi", line.url)
    clock = HandClock(wall=mirroring.clock.wall())
    live = SimpleNamespace(live=NOTHING_YET)
    return Trial(pi, clock, line, mirroring, make_push(pi, clock, live), live)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of the push, and forget it."""
    said = [record.getMessage() for record in caplog.records if record.name == "powerpi.push"]
    caplog.clear()
    return said


# ---------------------------------------------------------------- in step


def test_new_rows_are_sent_at_every_interval(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "powerpi.push")
    assert trial.push.status == PushStatus("mirror.lan")
    trial.compares()
    now = trial.clock.wall()
    assert trial.after(0) == PushStatus(
        "mirror.lan", in_step=True, behind_rows=0, since=now, identical_until=START + 290
    )
    trial.assert_equal()
    assert trial.wait() == 60
    trial.pi.write(6)
    trial.after(59.5)
    assert trial.mirroring.meter().ledger.newest() != trial.pi.ledger.newest()
    assert trial.wait() == 0.5
    assert trial.after(0.5).since == now + 60
    trial.assert_equal()
    assert lines(caplog) == ["push: the mirror mirror.lan is in step"]


def test_news_is_sent_at_once_unless_the_mirror_is_away(trial: Trial) -> None:
    trial.after(0)
    trial.pi.write(6)
    trial.push.send_soon()
    trial.after(1)  # and not after 60 s
    trial.assert_equal()
    trial.line.most_request = 0
    trial.after(60)
    wait = trial.wait()
    assert wait > 1
    trial.push.send_soon()
    trial.after(1)
    assert trial.wait() == wait - 1


def test_news_that_comes_in_the_middle_of_a_round_is_sent_right_after_it(trial: Trial) -> None:
    trial.push._hang_up = trial.push.send_soon  # the end of a round: what it told is older
    trial.after(0)
    trial.push._hang_up = trial.pi.peer.close
    trial.pi.write(6)
    trial.after(1)  # and not after 60 s
    trial.assert_equal()


def test_nothing_is_sent_before_the_clock_is_trusted(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "powerpi.push")
    trial.clock.is_trusted = False
    for _ in range(3):
        status = trial.after(5)
        assert (status.in_step, status.why, trial.wait()) == (False, "clock", 5)
    assert not trial.line.taken
    assert push_notices(status, trial.clock.wall()) == []
    [said] = lines(caplog)
    assert "the clock is not synchronised yet" in said
    trial.clock.is_trusted = True
    assert trial.after(5).in_step
    trial.assert_equal()


def test_somebody_who_looks_there_has_new_rows_written_here(tmp_path: Path, trial: Trial) -> None:
    flushed: list[float] = []
    push = make_push(trial.pi, trial.clock, trial.live, lambda: flushed.append(trial.clock.now))
    push.turn()
    trial.mirroring.meter().look()
    for _ in range(3):
        trial.clock.now += 60
        push.turn()
    assert flushed == [1120.0, 1180.0]  # the answer at 1060 was the first that told of it
    trial.mirroring.clock.now += 301
    for _ in range(2):
        trial.clock.now += 60
        push.turn()
    assert flushed == [1120.0, 1180.0, 1240.0]


def test_both_ends_are_compared_every_hour_and_with_the_disks_every_day(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[float, bool]] = []

    def verify(_: Twin, fresh: bool) -> Verdict:
        compared.append((trial.clock.now - 1000, fresh))
        return Verdict()

    monkeypatch.setattr(Twin, "verify", verify)
    trial.compares()
    for _ in range(25 * 4 + 1):
        trial.after(900 if compared else 0)
    hours = [(3600.0 * hour, hour == 24) for hour in range(1, 26)]
    assert compared == [(0.0, True), *hours]


def test_a_row_that_differs_is_repaired_and_told(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    trial.after(0)
    trial.mirroring.meter().ledger.put(Unit(STEP_SECONDS, START, START + 10), [3.0])
    caplog.clear()
    trial.compares()
    status = trial.after(60)
    assert (status.repaired_rows, status.identical_until) == (1, START + 290)
    [said] = lines(caplog)
    assert said.startswith("push: 1 rows of house were missing or different at mirror.lan")
    trial.assert_equal()


def test_rows_that_only_the_mirror_knows_are_not_called_identical(trial: Trial) -> None:
    trial.pi.write(20, gap_rows=5)
    trial.after(0)
    trial.mirroring.meter().ledger.put(Unit(STEP_SECONDS, START + 300, START + 310), [3.0])
    trial.compares()
    status = trial.after(60)
    assert (status.only_there_rows, status.identical_until, status.in_step) == (1, None, True)
    assert [notice.key for notice in push_notices(status, trial.clock.wall())] == ["push_only_there"]


def test_a_counter_that_is_ahead_there_is_told(trial: Trial) -> None:
    trial.after(0)
    trial.mirroring.meter().set_counter(1000)
    status = trial.after(60)
    assert status.counter_ahead == 1000 - trial.pi.store.stored_pulses
    assert [notice.key for notice in push_notices(status, trial.clock.wall())] == ["push_counter"]


# ---------------------------------------------------------------- waiting


def test_pauses_double_up_to_five_minutes_and_begin_anew_after_success(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "powerpi.push")
    trial.line.most_request = 0
    pauses = []
    for _ in range(9):
        trial.after(trial.push.wake_seconds if pauses else 0)
        pauses.append(trial.wait())
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert lines(caplog) == ["push: 127.0.0.1 cannot be reached: Connection reset by peer; it is tried again"]
    trial.line.heal()
    assert trial.after(300).in_step
    assert trial.wait() == 60
    trial.line.most_request = 0
    assert trial.after(60).why == "away"
    assert trial.wait() == 5
    assert [line.partition(";")[0] for line in lines(caplog)] == [
        "push: the mirror mirror.lan is in step",
        "push: 127.0.0.1 cannot be reached: Connection reset by peer",
    ]


def test_pauses_begin_anew_when_a_mirror_takes_rows_before_it_fails_again(trial: Trial) -> None:
    trial.after(0)
    trial.line.most_request = 0
    for _ in range(8):
        trial.after(300)
    assert trial.wait() == 300
    trial.pi.write(3 * DAY_ROWS, seed=1)
    trial.line.most_request = 120_000  # a day of rows, but not two
    status = trial.after(300)
    assert (status.why, status.behind_rows) == ("away", 2 * DAY_ROWS)
    assert trial.wait() == 5
    trial.line.most_request = 0  # and takes nothing any more
    assert [trial.after(300) and trial.wait() for _ in range(3)] == [10, 20, 40]


def test_senders_that_lost_the_same_mirror_do_not_all_come_back_at_once() -> None:
    assert [pause_seconds(failures, 0.0) for failures in (1, 2, 7, 10_000)] == [2.5, 5.0, 150.0, 150.0]
    assert [pause_seconds(failures, 0.5) for failures in (1, 2, 7, 10_000)] == [3.75, 7.5, 225.0, 225.0]


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 810.0), (0.5, 900.0), (1.0, 990.0)])
@pytest.mark.parametrize(("status", "why"), [(401, "login"), (403, "login"), (404, "refused"), (302, "refused")])
def test_what_somebody_has_to_put_right_is_tried_rarely(
    tmp_path: Path, status: int, why: str, chance: float, pause: float
) -> None:
    with Answering(always(http(status))) as server:
        pi, clock = Pi(tmp_path, server.url, archive_years=0), HandClock()
        push = make_push(pi, clock, SimpleNamespace(live=NOTHING_YET), chance=chance)
        for _ in range(2):
            push.turn()
            clock.now += push.wake_seconds
            assert (push.status.why, round(push.wake_seconds, 6)) == (why, pause)
    assert [notice.key for notice in push_notices(push.status, 0)] == [f"push_{why}"]


def test_other_figures_in_the_same_refusal_are_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = iter(range(100, 0, -7))
    with Answering(lambda _: [http(429, f"Try again in {next(left)} s.".encode())]) as server:
        pi, clock = Pi(tmp_path, server.url, archive_years=0), HandClock()
        push = make_push(pi, clock, SimpleNamespace(live=NOTHING_YET))
        for _ in range(5):
            push.turn()
            clock.now += push.wake_seconds
    assert lines(caplog) == ["push: 127.0.0.1 answered 429: Try again in 100 s; it is tried again"]
    assert push.status.said == "127.0.0.1 answered 429: Try again in 72 s"


def test_a_mirror_that_is_away_is_worth_a_notice_after_ten_minutes(trial: Trial) -> None:
    trial.after(0)
    since = trial.clock.wall()
    trial.line.most_request = 0
    trial.pi.write(12)
    status = trial.after(120)
    assert (status.in_step, status.behind_rows, status.since, status.why) == (False, 12, since, "away")
    assert push_notices(status, since + 600) == []
    assert [notice.key for notice in push_notices(status, since + 601)] == ["push_away"]


def test_a_mirror_that_never_answered_is_worth_a_notice_after_ten_minutes_too(trial: Trial) -> None:
    trial.line.most_request = 0
    status, begun = trial.after(0), trial.clock.wall()
    assert (status.since, status.behind_rows, status.tried) == (None, None, begun)
    assert push_notices(status, begun + 600) == []
    assert [notice.key for notice in push_notices(status, begun + 601)] == ["push_away"]


# ---------------------------------------------------------------- faults of the line


def spoil_request(trial: Trial) -> None:
    trial.line.most_request = 400  # in the middle of the headers, or of the body


def spoil_answer(trial: Trial) -> None:
    trial.line.most_answer = 300


def lose_answer(trial: Trial) -> None:
    trial.line.most_answer = 0


def cut_line(trial: Trial) -> None:
    trial.line.target = 1  # nobody listens there


@pytest.mark.parametrize("spoil", [spoil_request, spoil_answer, lose_answer, cut_line])
def test_every_row_comes_once_through_a_line_that_breaks(trial: Trial, spoil: Callable[[Trial], None]) -> None:
    trial.after(0)
    for number in range(3):
        spoil(trial)
        trial.pi.write(30, gap_rows=2, seed=number)
        assert trial.after(60).why == "away"
        trial.pi.write(30, seed=number)
        assert trial.after(60).why == "away"
        trial.line.heal()
        trial.line.target = trial.mirroring.port
        assert trial.after(300).in_step
    trial.assert_equal()
    until = trial.pi.ledger.newest()
    assert until
    known = known_rows(trial.mirroring.meter().ledger, START - STEP_SECONDS, until.time)
    assert len(known) == 29 + 3 * (30 + 30)  # nothing is known of the time before the first row
    assert trial.mirroring.meter().pulses == trial.pi.store.stored_pulses


def test_rows_whose_answer_was_lost_are_not_sent_again(trial: Trial) -> None:
    trial.after(0)
    trial.line.most_answer = 0
    trial.pi.write(30, seed=1)
    trial.after(60)
    trial.assert_equal()  # the first byte of an answer, which comes after the rows are on disk, broke the line
    trial.line.heal()
    counts = count_rows(trial)
    assert trial.after(60).in_step
    assert counts == []
    trial.assert_equal()


def test_a_connection_that_is_refused_is_tried_until_somebody_listens(tmp_path: Path, mirroring: Mirroring) -> None:
    with Forwarder(mirroring.port) as line:
        trial, port = make_trial(tmp_path, mirroring, line), line.port
    status = trial.after(0)
    assert (status.why, status.said) == ("away", "127.0.0.1 cannot be reached: Connection refused")
    with Forwarder(mirroring.port, port=port):
        assert trial.after(5).in_step
    trial.assert_equal()


def test_an_outage_of_a_month_is_caught_up(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "powerpi.push")
    trial.after(0)
    cut_line(trial)
    said = trial.after(60).said
    for _ in range(30):
        trial.pi.write(DAY_ROWS)
        trial.after(86400)
    assert trial.push.status.behind_rows == 30 * DAY_ROWS
    trial.line.target = trial.mirroring.port
    assert trial.after(300).in_step
    assert [line.partition(";")[0] for line in lines(caplog)] == [
        "push: the mirror mirror.lan is in step",
        f"push: {said}",
        f"push: the mirror mirror.lan answers, {29 * DAY_ROWS} rows behind",
        "push: the mirror mirror.lan is in step",
    ]
    trial.assert_equal()


def test_a_restarted_pi_goes_on_where_the_mirror_is(tmp_path: Path, trial: Trial) -> None:
    trial.after(0)
    trial.pi.write(30, seed=1)
    lose_answer(trial)
    trial.after(60)
    again = Pi(tmp_path / "pi", trial.line.url)
    again.write(10, gap_rows=4, seed=2)
    trial.line.heal()
    push = make_push(again, trial.clock, trial.live)
    push.turn()
    assert push.status.in_step
    assert_equal_ends(again, trial.mirroring.meter())


def test_a_slow_line_gets_shorter_messages_down_to_an_hour(trial: Trial) -> None:
    trial.after(0)
    trial.pi.write(DAY_ROWS, seed=3)
    trial.line.mute.set()
    trial.pi.peer._timeout = (10.0, 0.05)
    for _ in range(6):
        assert trial.after(300).why == "slow"
    assert trial.push.status.said == "127.0.0.1 does not answer in time"
    trial.line.heal()
    trial.pi.peer._timeout = (10.0, 30.0)
    counts = count_rows(trial)
    assert trial.after(300).in_step
    trial.assert_equal()
    assert max(counts) == 540  # 8640, halved four times; half of that is less than an hour
    assert LEAST_ROWS == 360
    trial.pi.write(DAY_ROWS, seed=4)
    counts.clear()
    trial.after(300)
    assert counts == [DAY_ROWS]  # what comes once it is in step is sent as if nothing had been


def count_rows(trial: Trial) -> list[int]:
    """How many rows come with each message from now on."""
    counts: list[int] = []
    ledger = trial.mirroring.meter().ledger
    append = ledger.append

    def counting(after: int, rates: list[float], pulses: float) -> None:
        counts.append(len(rates))
        append(after, rates, pulses)

    ledger.append = counting  # type: ignore[method-assign, assignment]
    return counts


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has whoever is in front of the mirror answer 413 to a body of more bytes."""
    return lambda most: monkeypatch.setattr("powerpi.receiving.PACKED_BYTES", most)


def test_who_takes_no_long_messages_gets_short_ones(trial: Trial, limit: Callable[[int], None]) -> None:
    limit(12_000)
    trial.pi.write(DAY_ROWS, seed=4)
    counts = count_rows(trial)
    assert trial.after(0).in_step
    trial.assert_equal()
    assert LEAST_ROWS < max(counts) < DAY_ROWS


def test_who_takes_hardly_anything_is_named(trial: Trial, limit: Callable[[int], None]) -> None:
    limit(1000)
    trial.pi.write(DAY_ROWS, seed=4)
    status = trial.after(0)
    assert (status.why, status.said) == ("refused", "127.0.0.1 answered 413: The body is longer than 1000 bytes")
    limit(12_000)
    assert trial.after(990).in_step
    trial.assert_equal()


# ---------------------------------------------------------------- faults of the mirror


def test_a_mirror_that_is_set_back_to_an_older_backup_gets_all_again(tmp_path: Path, in_step: Path) -> None:
    folder = tmp_path / "mirror"
    shutil.copytree(in_step, tmp_path, dirs_exist_ok=True)
    with Mirroring(folder, mirror_clock()).serving() as mirroring, Forwarder(mirroring.port) as line:
        trial = make_trial(tmp_path, mirroring, line)
        trial.after(0)
        told(trial, Gap(START, START + 5, STOPPED))
        trial.pi.write(40, gap_rows=3, seed=1)
        assert trial.after(60).in_step
        trial.assert_equal()
    shutil.rmtree(folder)
    shutil.copytree(in_step / "mirror", folder)
    restored(trial, tmp_path)


def test_a_mirror_that_was_emptied_gets_all_again(tmp_path: Path, in_step: Path) -> None:
    shutil.copytree(in_step, tmp_path, dirs_exist_ok=True)
    with Mirroring(tmp_path / "mirror", mirror_clock()).serving() as mirroring, Forwarder(mirroring.port) as line:
        trial = make_trial(tmp_path, mirroring, line)
        told(trial, Gap(START, START + 5, STOPPED))
        trial.after(0)
    shutil.rmtree(tmp_path / "mirror")
    restored(trial, tmp_path)


def told(trial: Trial, gap: Gap) -> None:
    """A gap is known from now on."""
    trial.live.live = NOTHING_YET._replace(gaps=(gap,))


def restored(trial: Trial, folder: Path) -> None:
    """The mirror starts anew, while nobody here has noticed, and there are new rows: in the end all is equal."""
    trial.pi.write(10, seed=2)
    with Mirroring(folder / "mirror", trial.mirroring.clock).serving(trial.mirroring.port) as again:
        trial.line.target = again.port
        with Forwarder(again.port, port=trial.line.port):
            anew = trial._replace(mirroring=again)
            assert anew.after(60).in_step
            anew.compares()
            assert anew.after(60).in_step
            assert anew.after(60).in_step
            anew.assert_equal()
            assert again.meter().pulses == trial.pi.store.stored_pulses
            assert again.meter().live.gaps == trial.live.live.gaps


def test_a_mirror_whose_clock_is_behind_refuses_rows_until_it_is_right(trial: Trial) -> None:
    trial.mirroring.clock.ahead -= YEAR_SECONDS + 3600
    trial.mirroring.parts.counting.turn()
    before = trial.mirroring.meter().ledger.newest()
    status = trial.after(0)
    assert status.why == "refused"
    assert status.said
    assert "in the future by this machine's clock" in status.said
    assert trial.mirroring.meter().ledger.newest() == before
    trial.mirroring.clock.ahead += YEAR_SECONDS + 3600
    trial.mirroring.parts.counting.turn()
    assert trial.after(990).in_step
    trial.assert_equal()


def test_a_mirror_whose_clock_is_ahead_takes_all_the_same(trial: Trial) -> None:
    trial.mirroring.clock.ahead += YEAR_SECONDS
    trial.mirroring.parts.counting.turn()
    trial.after(0)
    trial.mirroring.clock.ahead -= YEAR_SECONDS
    trial.mirroring.parts.counting.turn()
    trial.pi.write(10)
    assert trial.after(60).in_step
    trial.assert_equal()


def test_a_pi_whose_clock_was_ahead_is_refused_and_goes_on_where_it_was(tmp_path: Path, trial: Trial) -> None:
    trial.after(0)
    shutil.copytree(tmp_path / "pi", tmp_path / "right")
    trial.pi.write(10, gap_rows=2 * YEAR_SECONDS // STEP_SECONDS)  # these rows lie in the future
    assert trial.after(60).why == "refused"
    again = Pi(tmp_path / "right", trial.line.url)
    again.write(10, gap_rows=3)
    push = make_push(again, trial.clock, trial.live)
    push.turn()
    assert push.status.in_step
    assert_equal_ends(again, trial.mirroring.meter())


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 401, 403, 302, 404])
def test_whatever_was_answered_meanwhile_all_rows_come(tmp_path: Path, trial: Trial, status: int) -> None:
    trial.after(0)
    trial.pi.write(10, gap_rows=1, seed=5)
    with Answering(always(http(status, b"<p>no</p>", "text/html", "Location: /elsewhere"))) as server:
        trial.line.target = server.port
        assert trial.after(60).why == {401: "login", 403: "login", 302: "refused", 404: "refused"}.get(status, "away")
    trial.line.target = trial.mirroring.port
    assert trial.after(990).in_step
    trial.assert_equal()


def test_a_wrong_password_is_told_and_the_right_one_sends_all(tmp_path: Path, trial: Trial) -> None:
    trial.pi.connect(trial.line.url, password="wrong")  # noqa: S106
    push = make_push(trial.pi, trial.clock, trial.live)
    push.turn()
    assert push.status.why == "login"
    assert push.status.said == (
        "127.0.0.1 does not take this user and password; it answered 401: A name and its password are wanted here;"
        " they are missing or wrong"
    )
    trial.pi.connect(trial.line.url)
    push = make_push(trial.pi, trial.clock, trial.live)
    push.turn()
    assert push.status.in_step
    trial.assert_equal()


def test_rows_that_somebody_else_sent_under_this_name_are_told(tmp_path: Path, trial: Trial) -> None:
    trial.after(0)
    shutil.copytree(tmp_path / "pi", tmp_path / "other")
    other = Pi(tmp_path / "other", trial.mirroring.url)
    other.write(30, seed=9)
    other.push()
    trial.pi.write(5)
    assert trial.after(60).in_step  # the mirror is ahead: nothing is missing there
    trial.pi.write(40, seed=8)
    trial.compares()
    status = trial.after(60)
    assert status.repaired_rows
    trial.assert_equal()


def test_a_meter_that_the_mirror_does_not_know_does_not_keep_others_from_being_sent(
    tmp_path: Path, trial: Trial
) -> None:
    other = Pi(tmp_path / "other", trial.line.url, name="workshop", archive_years=0)
    other.write(5)
    push = make_push(trial.pi, trial.clock, trial.live)
    [known] = push._sendings
    push._sendings = [known._replace(course=other.twin), known]
    push.turn()
    assert (push.status.why, push.status.behind_rows) == ("refused", None)
    assert push.status.said == "127.0.0.1 answered 404: There is no meter 'workshop'; known: house"
    trial.assert_equal()


# ---------------------------------------------------------------- certificates


def test_rows_wait_for_the_right_certificate(tmp_path: Path, mirroring: Mirroring) -> None:
    authority = Authority()
    ca_file = authority.pem(tmp_path)
    pi, clock = Pi(tmp_path / "pi", mirroring.url), HandClock(wall=mirroring.clock.wall())
    pi.write(20, seed=1)
    before = mirroring.meter().ledger.newest()
    wrong = [Authority().context(), authority.context("mirror.test"), authority.context(not_after=EXPIRED)]
    with Forwarder(mirroring.port, wrong[0]) as line:
        pi.connect(line.url, ca_file=ca_file)
        push = make_push(pi, clock, SimpleNamespace(live=NOTHING_YET))
        for context in wrong:
            line.context = context
            push.turn()
            assert (push.status.why, mirroring.meter().ledger.newest()) == ("certificate", before)
            assert [notice.key for notice in push_notices(push.status, clock.wall())] == ["push_certificate"]
            clock.now += push.wake_seconds
        assert push.status.said == f"the certificate of {HOST} will not do: it has expired"
        line.context = authority.context()
        push.turn()
    assert push.status.in_step
    assert_equal_ends(pi, mirroring.meter())


# ---------------------------------------------------------------- the thread itself


def test_a_disk_that_cannot_be_read_is_told(trial: Trial) -> None:
    trial.after(0)
    rrd = trial.pi.ledger.rrd
    rrd.rename(rrd.with_suffix(".away"))
    assert trial.after(60).why == "store"
    rrd.with_suffix(".away").rename(rrd)
    assert trial.after(60).in_step


def test_a_fault_of_its_own_ends_nothing_and_is_logged_once(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError(PASSWORD)

    monkeypatch.setattr(trial.pi.twin, "catch_up", broken)
    for _ in range(3):
        status = trial.after(60)
        assert (status.why, status.said) == ("failed", "PowerPi failed; its log says why")
    assert lines(caplog) == ["pushing failed", "push: PowerPi failed; its log says why; it is tried again"]
    monkeypatch.undo()
    assert trial.after(60).in_step


def test_it_stops_soon_while_a_request_hangs(trial: Trial) -> None:
    trial.line.mute.set()
    trial.push.start()
    assert trial.line.asked.wait(5)
    began = time.monotonic()
    trial.push.stop()
    assert time.monotonic() - began < 3


def test_it_stops_in_the_middle_of_a_long_catch_up(trial: Trial) -> None:
    trial.pi.write(5 * DAY_ROWS)
    counts = count_rows(trial)
    trial.push.stop_soon()
    trial.push.turn()
    assert len(counts) == 1
    assert not trial.push.status.in_step


def test_counting_never_waits_for_a_mirror_that_hangs(tmp_path: Path, line: Line) -> None:
    clock, gate = line.clock, threading.Lock()
    store = Store(tmp_path, "house", 0, gate)
    counting = Counting([Meter("house", line.pin, store, 0.010, START)], clock, Timing(10, 10, 900), lambda *_: None)
    with Silent() as hanging:
        settings = config.parse(
            f"[powerpi]\nstate = {tmp_path}\n[meter house]\ngpio = 24\n"
            f"[push]\nurl = {hanging.url}\nuser = pi\npassword = {PASSWORD}\n"
        )
        push = build_push(settings, counting, {"house": Ledger(store.rrd, gate)}, lambda *_: None)
        assert push
        counting.turn()
        push.start()
        assert hanging.asked.wait(5)
        longest = 0.0
        for _ in range(100):
            line.pulse(clock.now + 5)
            began = time.monotonic()
            counting.turn()
            longest = max(longest, time.monotonic() - began)
        push.stop()
    assert store.stored_pulses > 90
    assert longest < 1.0  # such a request hangs for a minute


def test_verdicts_on_several_meters_hold_for_what_was_compared_of_all() -> None:
    assert added([Verdict(500, 1, 2, 3, 4), Verdict(400, 10, 20, 30, 40)]) == Verdict(400, 11, 22, 33, 44)
    assert added([Verdict(500), Verdict(None)]).until is None
