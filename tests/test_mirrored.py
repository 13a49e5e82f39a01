"""One received meter without any network: what it takes, what it shows, and for how long."""

from __future__ import annotations

import json
import math
import threading
from array import array
from pathlib import Path

import pytest
from conftest import START, HandClock
from pair import STATE, Mirroring, ask, contents, known_rows

from powerpi.digests import Unit
from powerpi.errors import ConflictError, FutureError, WireError
from powerpi.gaps import ENDED, STOPPED, Gap
from powerpi.ledger import Ledger
from powerpi.messages import Push, Rows, State, read_push
from powerpi.mirrored import FUTURE_SECONDS, STALE_LEAST_SECONDS, WATCHED_SECONDS, MirroredMeter
from powerpi.readings import power
from powerpi.store import Store

NAN = math.nan
NOW = START + 1000.0


class Received:
    """A meter in a folder of its own, and a clock moved by hand."""

    def __init__(self, folder: Path, clock: HandClock) -> None:
        gate = threading.Lock()
        store = Store(folder, "house", 1, gate)
        self.clock = clock
        self.meter = MirroredMeter("house", "pi-hq", store, Ledger(store.rrd, gate), clock.monotonic)

    def push(self, after: int, rates: list[float], pulses: float, state: State | None = None) -> None:
        self.meter.take(Push(Rows(10, after, array("d", rates)), pulses, state), self.clock.wall())

    def tell(self, **changes: object) -> None:
        """A state without rows."""
        nothing = Rows(10, START, array("d"))
        self.meter.take(Push(nothing, None, STATE._replace(**changes)), self.clock.wall())  # type: ignore[arg-type]

    def watts(self) -> tuple[float | None, bool]:
        """What the page would show of the power now."""
        return power(self.meter.live._replace(taken=self.clock.now), 1000.0)


@pytest.fixture
def received(tmp_path: Path) -> Received:
    return Received(tmp_path, HandClock(NOW))


def again(received: Received) -> MirroredMeter:
    """The same folder in a new process."""
    return Received(received.meter.store.rrd.parent, received.clock).meter


# ---------------------------------------------------------------- rows


def test_rows_are_kept_to_the_last_bit_and_unknown_ones_stay_unknown(received: Received) -> None:
    received.push(START, [0.1, NAN, 1 / 3, 0.0], 4.25)
    assert known_rows(received.meter.ledger, START, START + 40) == {
        START + 10: 0.1, START + 30: 1 / 3, START + 40: 0.0,
    }  # fmt: skip
    standing = received.meter.standing()
    assert (standing.newest, standing.newest_pulses) == (START + 40, 4.25)


def test_rows_after_a_pause_leave_it_unknown(received: Received) -> None:
    received.push(START, [0.5], 5)
    received.push(START + 100, [0.5], 10)
    assert known_rows(received.meter.ledger, START, START + 110) == {START + 10: 0.5, START + 110: 0.5}


def test_rows_that_do_not_fit_are_refused_with_the_reason(received: Received, tmp_path: Path) -> None:
    received.push(START, [0.5] * 10, 50)
    before = contents(tmp_path)
    for after, rates, error in (
        (START + 90, [0.5], ConflictError),
        (START - 10, [0.5], ConflictError),
        (START + 1000, [0.5] * (FUTURE_SECONDS // 10 + 1), FutureError),
        (0, [0.5], WireError),
        (1_577_836_790, [0.5], WireError),
    ):
        with pytest.raises(error):
            received.push(after, rates, 60, STATE)
    assert contents(tmp_path) == before
    assert received.meter.facts is None


def test_the_first_row_may_be_of_2020_and_not_before(received: Received) -> None:
    with pytest.raises(WireError, match="2020"):
        received.push(1_577_836_790, [0.5], 5)
    assert not received.meter.store.rrd.exists()
    received.push(1_577_836_800, [0.5], 5)
    assert received.meter.standing().newest == 1_577_836_810


def test_a_repair_changes_known_rows_only_and_counts_as_a_new_edition(received: Received) -> None:
    received.push(START, [0.5, 0.5, NAN, 0.5], 20)
    edition = received.meter.edition
    received.meter.repair(Rows(10, START, array("d", [0.25, NAN, 0.75])))
    assert received.meter.rows(Unit(10, START, START + 40)).rates[:2].tolist() == [0.25, 0.5]
    assert received.meter.rows(Unit(10, START + 20, START + 40)).rates.tolist() == [0.75, 0.5]
    assert received.meter.edition == edition + 1
    assert received.meter.standing().newest_pulses == 20
    for after in (START - 366 * 86400 + 30, START + 40):
        with pytest.raises(ConflictError):
            received.meter.repair(Rows(10, after, array("d", [0.5])))
    assert received.meter.edition == edition + 1


def test_means_of_years_ago_are_repaired_too(received: Received) -> None:
    received.push(START, [0.5], 5)
    long_ago = START // 900 * 900 - 300 * 86400
    received.meter.repair(Rows(900, long_ago, array("d", [0.125])))
    assert received.meter.rows(Unit(900, long_ago, long_ago + 900)).rates.tolist() == [0.125]


# ---------------------------------------------------------------- the counter


def test_the_counter_rises_and_survives(received: Received) -> None:
    received.push(START, [0.5], 5.5, STATE._replace(pulses=7))
    received.tell(pulses=6)
    assert (received.meter.pulses, again(received).pulses) == (7, 7)
    received.meter.set_counter(3)
    assert (received.meter.pulses, again(received).pulses, received.meter.live.pulses) == (3, 3, 3)
    received.tell(pulses=4)
    assert again(received).standing() == received.meter.standing()


def test_a_counter_without_rows_is_kept_too(received: Received) -> None:
    received.tell(pulses=9)
    assert again(received).pulses == 9
    assert again(received).standing().newest is None


# ---------------------------------------------------------------- what is shown


def test_ages_become_times_of_this_machine(received: Received) -> None:
    received.tell(
        pulses=5,
        interval_seconds=4.0,
        last_pulse_age_seconds=3.0,
        begun_age_seconds=100.0,
        contact_closed_age_seconds=1.5,
        lost_edge_age_seconds=50.0,
        edges_rejected=2,
        edges_lost=1,
    )
    now, live = received.clock.now, received.meter.live
    assert (live.taken, live.begun, live.last_pulse, live.lost_edge) == (now, now - 100, now - 3, now - 50)
    assert (live.contact.closed, live.contact.since, live.contact.rejected, live.contact.lost) == (
        True,
        now - 1.5,
        2,
        1,
    )
    assert received.watts() == (900.0, False)  # 3 600 000 / (1000 x 4 s)


def test_pulses_since_the_newest_row_are_shown_while_that_is_new(received: Received) -> None:
    received.push(START + 990, [0.5], 100.5, STATE._replace(pulses=104))
    assert received.meter.live.pulses_since == 3.5
    received.clock.now += 7201
    received.tell(pulses=200)  # rows of two hours are still to come
    assert received.meter.live.pulses_since == 0


@pytest.mark.parametrize(("push_seconds", "fresh_seconds"), [(10, 180), (60, 180), (300, 900), (3600, 10_800)])
def test_power_is_unknown_once_nothing_was_heard_for_too_long(
    received: Received, push_seconds: int, fresh_seconds: float
) -> None:
    assert STALE_LEAST_SECONDS == 180
    assert received.meter.is_silent
    received.tell(push_seconds=push_seconds)
    received.clock.now += fresh_seconds
    assert (received.meter.is_silent, received.watts()[0] is None) == (False, False)
    received.clock.now += 1
    assert (received.meter.is_silent, power(received.meter.live, 1000.0)) == (True, (None, False))
    received.tell()
    assert (received.meter.is_silent, received.watts()) == (False, (900.0, False))


def test_rows_alone_are_no_news_of_the_present(received: Received) -> None:
    """A catch-up of a month brings old rows: nobody may take those for what is now."""
    received.push(START, [0.5], 5)
    assert received.meter.is_silent
    assert received.watts() == (None, False)


def test_a_sender_is_told_while_somebody_looks(received: Received) -> None:
    assert not received.meter.standing().watched
    received.meter.look()
    received.clock.now += WATCHED_SECONDS - 1
    assert received.meter.standing().watched
    received.clock.now += 1
    assert not received.meter.standing().watched


# ---------------------------------------------------------------- facts and gaps


def test_facts_survive_and_a_change_is_a_new_edition(received: Received) -> None:
    received.tell(label="Küche", imp_per_kwh=500.0, offset_kwh=-3.25)
    edition = received.meter.edition
    assert again(received).facts == received.meter.facts == ("house", "Küche", 500.0, -3.25)
    assert again(received).standing().offset_kwh == -3.25
    said = json.loads((received.meter.store.rrd.parent / "house.mirrored").read_text(encoding="utf-8"))
    assert said["label"] == "Küche"
    received.tell(label="Küche", imp_per_kwh=500.0, offset_kwh=-3.25)
    assert received.meter.edition == edition
    received.tell(label="Flur", imp_per_kwh=500.0, offset_kwh=-3.25)
    assert received.meter.edition > edition


def test_gaps_of_before_the_senders_list_stay(received: Received) -> None:
    """A Pi on a new card knows nothing of the old gaps; what it does know is right."""
    old, wrong, right = Gap(100, 200, ENDED), Gap(300, 400, ENDED), Gap(300, 450, STOPPED)
    received.tell(gaps=(old, wrong))
    received.tell(gaps=(right, Gap(500, None, STOPPED)))
    assert received.meter.standing(whole=True).gaps == (old, right, Gap(500, None, STOPPED))
    received.tell(gaps=None)
    assert received.meter.standing(whole=True).gaps == (old, right, Gap(500, None, STOPPED))
    assert again(received).standing(whole=True).gaps == (old, right)  # one that lasts is told again
    received.tell(gaps=(Gap(500, 600, STOPPED),))
    assert again(received).standing(whole=True).gaps == (old, right, Gap(500, 600, STOPPED))
    received.tell(gaps=())
    assert received.meter.standing(whole=True).gaps == (old, right, Gap(500, 600, STOPPED))


def test_a_file_of_gaps_that_was_damaged_is_kept(tmp_path: Path, received: Received) -> None:
    damaged = "100 200 stopped\n300 4"
    (tmp_path / "house.gaps").write_text(damaged)
    anew = Received(tmp_path, received.clock)
    for end in (600, 700):
        anew.tell(gaps=(Gap(500, end, STOPPED),))
    assert again(anew).standing(whole=True).gaps == (Gap(100, 200, STOPPED), Gap(500, 700, STOPPED))
    [kept] = tmp_path.glob("house.gaps.damaged-*")
    assert kept.read_text() == damaged


# ---------------------------------------------------------------- on the page


def wire_state(**changes: object) -> State:
    nothing = {"step_seconds": 10, "after": 0, "rates": [], "pulses": None}
    state = read_push({**nothing, "state": {**STATE._asdict(), "gaps": [], **changes}}).state
    assert state
    return state


def test_the_page_tells_who_sends_and_when_nothing_comes_any_more(tmp_path: Path, clock: HandClock) -> None:
    clock.ahead += 1000
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        nothing = ask(mirroring.port, "GET", "/", login=None)
        assert nothing.status == 200
        assert ask(mirroring.port, "GET", "/api/v1/meters", login=None).json == {"meters": []}
        meter = mirroring.meter()
        rows = Rows(10, START + 900, array("d", [0.25] * 10))
        meter.take(Push(rows, 2.5, wire_state(pulses=3)), clock.wall())
        page = ask(mirroring.port, "GET", "/?lang=en", login=None).text
        assert "Received from pi-hq" in page
        assert "power samples" not in page
        reading = ask(mirroring.port, "GET", "/api/v1/meters/house", login=None).json
        assert (reading["watts"], reading["received_from"], reading["received_time"]) == (900.0, "pi-hq", clock.wall())
        assert (reading["silent"], reading["sampled"]) == (False, False)
        assert reading["meter_reading_watt_hours"] == 12_503
        assert reading["last_pulse_time"] == clock.wall() - 2
        assert ask(mirroring.port, "GET", "/health", login=None).json["warnings"] == []

        heard = clock.wall()
        clock.now += 1000
        page = ask(mirroring.port, "GET", "/?lang=en", login=None).text
        assert "Received from pi-hq, last heard of " in page
        assert "Empfangen von pi-hq, zuletzt gehört " in ask(mirroring.port, "GET", "/?lang=de", login=None).text
        reading = ask(mirroring.port, "GET", "/api/v1/meters/house", login=None).json
        assert (reading["watts"], reading["silent"], reading["received_time"]) == (None, True, heard)
        assert reading["meter_reading_watt_hours"] == 12_503
        [warning] = ask(mirroring.port, "GET", "/health", login=None).json["warnings"]
        assert "Haus" in warning
        assert "17 min" in warning  # 1000 s
        assert warning in page


def test_a_picture_of_a_received_meter_is_drawn_and_its_sender_hears_of_it(tmp_path: Path, clock: HandClock) -> None:
    clock.ahead += 1000
    with Mirroring(tmp_path / "mirror", clock).serving() as mirroring:
        rows = Rows(10, START + 900, array("d", [0.25] * 10))
        mirroring.meter().take(Push(rows, 2.5, wire_state(pulses=3)), clock.wall())
        assert not mirroring.meter().standing().watched
        found = ask(mirroring.port, "GET", "/house/hour.png", login=None)
        assert (found.status, found.body[:4]) == (200, b"\x89PNG")
        assert mirroring.meter().standing().watched
        assert ask(mirroring.port, "GET", "/house/hour", login=None).status == 200
        again = ask(
            mirroring.port, "GET", "/house/hour.png", login=None, headers={"If-None-Match": found.headers["etag"]}
        )
        assert again.status == 304
